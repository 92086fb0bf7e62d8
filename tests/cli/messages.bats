#!/usr/bin/env bats
# What tools say on standard error: progress, answers to SIGUSR1, --log-format json.

bats_require_minimum_version 1.5.0

load common

setup_file() {
    cd "$BATS_FILE_TMPDIR"
    make_tiny tiny
}

setup() {
    cd "$BATS_TEST_TMPDIR"
    export MEDRAT_MODEL=$BATS_FILE_TMPDIR/tiny/mistral-f32
    for ((i = 1; i <= 20; i++)); do
        printf '{"id":"needle-%d","tokens":[1,%d,5,7,3]}\n' $i $i
    done >in.jsonl
}

teardown() {
    [ -z "${tool:-}" ] || kill -KILL "$tool" 2>/dev/null || true
}

@test "SIGUSR1 asks how far a run is, while it works and while it waits, quiet or not" {
    mkfifo fifo
    medrat-gen -q --max-tokens 4 fifo >out 2>err 3>&- &
    tool=$!
    exec 9<>fifo
    head -n 5 in.jsonl >&9
    until_true sh -c '[ "$(wc -l <out)" -eq 5 ]'
    kill -USR1 "$tool"
    until_true test -s err
    grep -qxE 'medrat-gen: 5 records, [0-9.]+/s, [0-9]+ tokens/s' err
    cat in.jsonl >&9
    until_true sh -c '[ "$(wc -l <out)" -eq 25 ]'
    kill -USR1 "$tool"
    until_true sh -c '[ "$(wc -l <err)" -eq 2 ]'
    grep -q '25 records' err
    kill -TERM "$tool"
    exec 9>&-
    local status=0
    wait "$tool" || status=$?
    [ "$status" -eq 75 ]
}

@test "a terminal gets one line: records, tokens a second, failures, what is left" {
    for ((i = 0; i < 40; i++)); do cat in.jsonl; done >many.jsonl
    echo '{"broken":' >>many.jsonl
    TERM=xterm script --quiet --return --log-out typed --command \
        "stty cols 100; medrat-gen --max-tokens 50 --batch 1 many.jsonl -o out.jsonl" </dev/null || true
    tr '\r' '\n' <typed >lines
    grep -qE 'medrat-gen: \[[=> ]{12}\] +[0-9]+ % [0-9]+ records, [0-9.]+/s, [0-9]+ tokens/s, ETA [0-9:]+' lines
    [ "$(awk 'length > 99' lines | grep -c tokens/s)" -eq 0 ]
}

@test "as JSON every message is an object: notes, failures, the end" {
    cat in.jsonl >mixed.jsonl
    echo '{"broken":"needle"' >>mixed.jsonl
    echo '{"tokens":"needle"}' >>mixed.jsonl
    run -1 --separate-stderr medrat-score --log-format json -v --progress mixed.jsonl
    jq -e -s 'all(.[]; .tool == "medrat-score" and (.time | fromdate > 0)
        and (.level | IN("info", "warning", "error")))' <<<"$stderr"
    jq -e -s 'map(select(.line == 21)) | length == 1 and .[0].code == "json" and .[0].file == "mixed.jsonl"
        and .[0].column > 0 and .[0].level == "warning"' <<<"$stderr"
    jq -e -s 'any(.[]; .line == 22 and .member == "tokens" and .code == "type")' <<<"$stderr"
    jq -e -s 'any(.[]; .records == 22 and .failed == 2 and .share == 1 and .tokens > 0 and .eta_seconds == 0)' <<<"$stderr"
    [[ "$stderr" != *needle* ]]
}

@test "as JSON what ends a run is one object, wherever it is found" {
    for wrong in "--nothing" "--batch none" "-m $PWD/none" "--expect 3 in.jsonl" "none.jsonl"; do
        run --separate-stderr medrat-score --log-format json $wrong
        [ "$status" -ge 64 ]
        jq -e -s 'length == 1 and .[0].level == "error" and (.[0].message | length > 0)' <<<"$stderr"
    done
    MEDRAT_LOG_FORMAT=json run -66 --separate-stderr medrat-train -o adapter none.jsonl
    jq -e '.tool == "medrat-train"' <<<"$stderr"
}

@test "a run that goes on tells its own speed, and what is left of all" {
    for ((i = 0; i < 10; i++)); do cat in.jsonl; done >many.jsonl
    head -n 100 many.jsonl >half.jsonl
    run -65 medrat-score -q --resume --expect 200 -o out.jsonl half.jsonl
    jq -e '.lines == 100' out.jsonl.state
    medrat-score --log-format json --progress --resume -o out.jsonl many.jsonl 2>err
    jq -e 'select(.records == 200) | .tokens == 500' err
}

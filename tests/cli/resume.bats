#!/usr/bin/env bats
# --resume: however a run ends, the same command goes on, and its output is that of a run that nothing
# happened to. What makes another output is refused by name.

bats_require_minimum_version 1.5.0

load common

setup_file() {
    command -v medrat-tokenize
    cd "$BATS_FILE_TMPDIR"
    make_tiny tiny
    mkdir words && make_vocab words/vocab.txt
    for ((i = 1; i <= 60; i++)); do
        printf '{"id":%d,"tokens":[1,%d,5,%d,3],"text":"aspirin %d"}\n' $i $i $((i % 9 + 1)) $((i % 7))
        [ $((i % 17)) -ne 3 ] || echo '{"broken":'
    done >in.jsonl
}

setup() {
    work=$BATS_TEST_TMPDIR
    cd "$work"
    tiny=$BATS_FILE_TMPDIR/tiny
    words=$BATS_FILE_TMPDIR/words
    in=$BATS_FILE_TMPDIR/in.jsonl
}

teardown() {
    [ -z "${tool:-}" ] || kill -KILL "$tool" 2>/dev/null || true
}

# Reads lines as a fifo gives them, so that a test can end it in between; $tool is its process.
start() { # start COMMAND...
    mkfifo fifo
    env --default-signal=INT,TERM,HUP "$@" fifo 2>err 3>&- &
    tool=$!
    exec 9<>fifo
}

ends_with() { # ends_with STATUS
    until_true sh -c "! kill -0 $tool 2>/dev/null || [ \"\$(ps -o stat= -p $tool)\" = Z ]"
    local status=0
    wait "$tool" || status=$?
    tool=
    exec 9>&-
    rm -f fifo
    [ "$status" -eq "$1" ]
}

lines_done() { # lines_done N: written down in out*.state
    jq -e --argjson n "$1" '.lines >= $n' out*.state >/dev/null 2>&1
}

# A run over the first N lines that dies there; the rest of what is given is the command.
interrupt() { # interrupt SIGNAL STATUS N COMMAND...
    local signal=$1 status=$2 n=$3
    shift 3
    start "$@"
    head -n "$n" "$in" >&9
    until_true lines_done "$n"
    kill "-$signal" "$tool"
    ends_with "$status"
}

nothing_is_left() {
    [ "$(find . -name '*.part*' -o -name '*.state*' -o -name '.medrat-*')" = "" ]
}

tokenize() {
    medrat-tokenize -q -m "$words" --existing replace "$@"
}

@test "killed, asked to stop, interrupted: the same bytes in the end, plain and packed" {
    run -1 tokenize -o whole --errors whole.errors "$in"
    run -1 tokenize -o whole.gz "$in"
    for end in "KILL 137" "TERM 75" "INT 130"; do
        # shellcheck disable=SC2086
        interrupt $end 20 medrat-tokenize -q -m "$words" --existing replace --resume --checkpoint-every 1 -o out --errors errors
        [ ! -e out ]
        [ -s out.part ]
        run -1 tokenize --resume -o out --errors errors "$in"
        cmp out whole
        jq -c 'del(.file)' errors | cmp - <(jq -c 'del(.file)' whole.errors)
        nothing_is_left
        rm -f out errors
        # shellcheck disable=SC2086
        interrupt $end 20 medrat-tokenize -q -m "$words" --existing replace --resume --checkpoint-every 1 -o out.gz
        run -1 tokenize --resume -o out.gz "$in"
        cmp out.gz whole.gz
        nothing_is_left
        rm -f out.gz
    done
}

@test "what a run adds up goes on, too" {
    score() { medrat-score -q -m "$tiny/llama-3" --summary summary "$@"; }
    run -1 score -o whole "$in"
    mv summary whole.summary
    interrupt KILL 137 30 medrat-score -q -m "$tiny/llama-3" --summary summary --resume --checkpoint-every 1 -o out
    run -1 score --resume -o out "$in"
    cmp out whole
    times='walk(if type == "object" then with_entries(select(.key | test("second") | not)) else . end)'
    cmp <(jq "$times" summary) <(jq "$times" whole.summary)
    nothing_is_left
}

@test "generations do not depend on where a run was cut" {
    gen() { medrat-gen -q -m "$tiny/llama-3" --max-tokens 4 --temperature 1 "$@"; }
    run -1 gen -o whole "$in"
    interrupt KILL 137 25 medrat-gen -q -m "$tiny/llama-3" --max-tokens 4 --temperature 1 --resume --checkpoint-every 1 -o out
    run -1 gen --resume --batch 3 --threads 1 -o out "$in"
    cmp out whole
}

@test "another option, model or input is refused by name, and nothing is lost" {
    interrupt KILL 137 20 medrat-score -q -m "$tiny/llama-3" --resume --checkpoint-every 1 -o out
    cp out.part part
    run -78 --separate-stderr medrat-score -q -m "$tiny/llama-3" --max-length 3 --resume -o out "$in"
    [[ "$stderr" == *"out.state: made with another 'max-length': it was 1024, and is 3"* ]]
    run -78 --separate-stderr medrat-score -q -m "$tiny/llama-f32" --resume -o out "$in"
    [[ "$stderr" == *"made with another 'model': it was llama-3@"* ]]
    run -78 --separate-stderr medrat-score -q -m "$tiny/llama-3" --resume -o out <(sed 's/"id":7,/"id":70,/' "$in")
    [[ "$stderr" == *"the first 20 lines of the input are not those that were read before"* ]]
    run -78 --separate-stderr medrat-score -q -m "$tiny/llama-3" --resume -o out <(head -n 10 "$in")
    cmp out.part part
    run -1 medrat-score -q -m "$tiny/llama-3" --resume -o out "$in"
    run -1 medrat-score -q -m "$tiny/llama-3" -o whole "$in"
    cmp out whole
}

@test "a run goes on with the kernels that it began with" {
    export MEDRAT_KERNELS=scalar
    run -1 medrat-score -q -m "$tiny/llama-3" -o whole "$in"
    interrupt KILL 137 20 medrat-score -q -m "$tiny/llama-3" --resume --checkpoint-every 1 -o out
    unset MEDRAT_KERNELS
    run -1 medrat-score -q -m "$tiny/llama-3" --resume --stats stats -o out "$in"
    cmp out whole
    [[ "$(jq -r .device stats)" == scalar* ]]

    interrupt KILL 137 20 medrat-score -q -m "$tiny/llama-3" --resume --checkpoint-every 1 -o out2
    sed -i 's/"kernels":"[^"]*"/"kernels":"sve2"/' out2.state
    run -78 --separate-stderr medrat-score -q -m "$tiny/llama-3" --resume -o out2 "$in"
    [[ "$stderr" == *"sve2"* ]]
}

@test "two runs at once: the second one waits for another day" {
    start medrat-tokenize -q -m "$words" --existing replace --resume --checkpoint-every 1 -o out
    head -n 1 "$in" >&9
    until_true lines_done 1
    run -75 --separate-stderr tokenize --resume -o out "$in"
    [[ "$stderr" == *"out.part: another run is at work on it"* ]]
    kill -TERM "$tool"
    ends_with 75
}

@test "a state that is damaged, a part that is short, an output that cannot be one" {
    interrupt KILL 137 20 medrat-tokenize -q -m "$words" --existing replace --resume --checkpoint-every 1 -o out
    cp out.state state
    truncate -s 10 out.part
    run -65 --separate-stderr tokenize --resume -o out "$in"
    [[ "$stderr" == *"out.part: has 10 bytes, but "* ]]
    for damage in 's/"format":"medrat-run 1"/"format":"x"/' 's/"lines":20/"lines":-1/' 's/"input":"/"input":"g/' \
        's/"settings":{/"settings":{"x":1,/' 's/}$//'; do
        sed "$damage" state >out.state
        run -78 --separate-stderr tokenize --resume -o out "$in"
        [[ "$stderr" == *"out.state"* ]]
    done
    run -64 --separate-stderr tokenize --resume "$in"
    [[ "$stderr" == *"option '--resume' needs an output file (-o)"* ]]
    mkfifo pipe
    run -64 --separate-stderr tokenize --resume -o pipe "$in"
    [[ "$stderr" == *"pipe: is not a regular file"* ]]
}

@test "--expect counts the records of all runs" {
    interrupt KILL 137 20 medrat-tokenize -q -m "$words" --existing replace --resume --checkpoint-every 1 -o out
    run -65 tokenize --resume --expect 62 -o out "$in"
    [ ! -e out ]
    run -1 tokenize --resume --expect "$(wc -l <"$in")" --stats stats -o out "$in"
    [ "$(jq .records stats)" -eq "$(wc -l <"$in")" ]
    [ "$(jq .failed stats)" -eq 4 ]
    nothing_is_left
}

@test "--grace: what has been begun is finished" {
    # longer than any test takes, unless SIGTERM gives it an end
    yes '{"tokens":[1,2,3]}' | head -n 16 >many
    start medrat-gen -q -m "$tiny/llama-3" --greedy --max-tokens 1000 --grace 100 --resume --checkpoint-every 1 -o out
    cat many >&9
    until_true test -s out.part -o -e out.part
    sleep 0.2
    kill -TERM "$tool"
    ends_with 75
    [ "$(jq .lines out.state)" -ge 1 ]
    [ "$(wc -l <out.part)" -eq "$(jq .lines out.state)" ]
}

@test "killed or refused at system calls of every kind (all of them: make torture)" {
    strace -o /dev/null true 2>/dev/null || skip "strace cannot be used here"
    [ "${MEDRAT_BUILD_CONFIG:-release}" = release ] || skip "the sanitizers do not run under strace"
    run -0 "$root/tests/torture.sh" 11 tokenize score packed
}

@test "--lock: the second run ends with 75, or waits" {
    mkfifo fifo
    # waits, for what asks below whether it has the lock has it for a moment
    medrat-tokenize -q -m "$words" --lock lock --lock-wait 20 fifo >one 3>&- &
    tool=$!
    exec 9<>fifo
    until_true sh -c "! flock -n lock true"
    run -75 --separate-stderr tokenize --lock lock "$in"
    [[ "$stderr" == *"lock: another run has the lock"* ]]
    (sleep 0.3 && kill -TERM "$tool") 3>&- &
    run -1 tokenize --existing replace --lock lock --lock-wait 20 "$in"
    ends_with 75
}

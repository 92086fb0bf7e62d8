#!/usr/bin/env bats
# Tools close themselves off before they read what others wrote (tests/unit/sandbox_test.c: what that
# holds back); all that they are there for goes on.

bats_require_minimum_version 1.5.0

load common

setup_file() {
    cd "$BATS_FILE_TMPDIR"
    make_tiny tiny
}

setup() {
    cd "$BATS_TEST_TMPDIR"
    model=$BATS_FILE_TMPDIR/tiny/mistral-f32
    printf '{"id":%d,"tokens":[1,%d,5,7,3]}\n' 1 4 2 6 >in.jsonl
}

@test "-v and --meta say what holds" {
    run -0 --separate-stderr medrat-score -v -m "$model" --meta -o out.jsonl in.jsonl
    [[ "$stderr" == *"starts no program, opens no socket"* ]]
    jq -e '.sandbox | test("opens no socket")' out.jsonl.meta.json
    MEDRAT_NO_SANDBOX=1 run -0 --separate-stderr medrat-score -v -m "$model" --meta -o out.jsonl in.jsonl
    [[ "$stderr" == *"not closed: MEDRAT_NO_SANDBOX is set"* ]]
}

@test "it stands before the first thread, and before model and records are read" {
    [ "${MEDRAT_BUILD_CONFIG:-release}" = release ] || skip "the leak checker is a tracer as well"
    need_command strace
    for command in "medrat-score -m $model in.jsonl" "medrat-gen -m $model --max-tokens 2 in.jsonl" \
        "medrat-rerank --method bm25 ranked.jsonl" "medrat-train -m $model --steps 1 -o adapter in.jsonl"; do
        echo '{"query":"a","passages":["a"]}' >ranked.jsonl
        strace -f -qq -o trace -e trace=seccomp,prctl,clone,clone3,openat $command >out
        [ "$(grep -c 'SECCOMP' trace)" -eq 1 ]
        sed '/SECCOMP/q' trace >before
        run ! grep -E 'clone|safetensors|config.json|(in|ranked).jsonl"' before
    done
}

@test "outputs of all kinds are written: elsewhere, linked, devices, pipes, folders that are not there" {
    mkdir a b c d
    ln -s ../b/real.jsonl a/link.jsonl
    medrat-score -q -m "$model" -o a/link.jsonl --errors b/errors --stats c/stats --dep-file d/d.mk --summary c/summary in.jsonl
    [ -s b/real.jsonl ] && [ -L a/link.jsonl ] && [ -s c/stats ] && [ -s c/summary ] && [ -s d/d.mk ]
    medrat-score -q -m "$model" -o /dev/null in.jsonl
    [ "$(medrat-score -q -m "$model" -o /dev/stdout in.jsonl | wc -l)" -eq 2 ]
    mkfifo fifo
    wc -l <fifo >n &
    medrat-score -q -m "$model" -o fifo in.jsonl
    wait $!
    [ "$(cat n)" -eq 2 ]
    run -74 medrat-score -q -m "$model" -o nowhere/out.jsonl in.jsonl
    medrat-train -q -m "$model" --steps 1 -o a/adapter/ in.jsonl
    medrat-train -q -m "$model" --steps 1 --force -o a/adapter in.jsonl
    [ -s a/adapter/adapter_model.safetensors ]
    medrat-score -q -m "$model" --partial c/partial in.jsonl >out
    medrat-score --merge --summary d/summary c/partial
    [ -s d/summary ]
}

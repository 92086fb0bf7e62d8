#!/usr/bin/env bats
# --shard: a file in parts, whose outputs one after the other are that of the whole.

bats_require_minimum_version 1.5.0

load common

setup_file() {
    cd "$BATS_FILE_TMPDIR"
    mkdir words && make_vocab words/vocab.txt
    for ((i = 1; i <= 40; i++)); do
        printf '{"id":%d,"text":"aspirin %d"}\n' $i $((i % 7))
        [ $((i % 17)) -ne 3 ] || echo '{"broken":'
    done >plain
    printf '' >empty
    printf 'x' >stub
    printf '{"text":"a"}\n\n\n{"text":"b"}' >unended
    printf '\xef\xbb\xbf{"text":"a"}\r\n{"text":"%s"}\r\n{"text":"b"}\r\n' "$(head -c 200000 /dev/zero | tr '\0' a)" >long
    yes '{"text":"a b c"}' | head -n 9000 >many
}

setup() {
    work=$BATS_TEST_TMPDIR
    cd "$BATS_FILE_TMPDIR"
}

tokenize() {
    medrat-tokenize -q -m words "$@"
}

@test "parts of any number one after the other are the whole, line numbers and all" {
    for file in plain empty stub unended long many; do
        tokenize --errors "$work/errors" "$file" >"$work/whole" || [ $? -eq 1 ]
        for n in 1 2 3 5 9 17; do
            : >"$work/parts"
            : >"$work/parts.errors"
            for k in $(seq 1 $n); do
                tokenize --errors "$work/e" --shard "$k/$n" "$file" >>"$work/parts" || [ $? -eq 1 ]
                cat "$work/e" >>"$work/parts.errors"
            done
            cmp "$work/whole" "$work/parts"
            cmp "$work/errors" "$work/parts.errors"
        done
    done
}

@test "a part that is interrupted goes on, and only as the part that it was" {
    tokenize --shard 2/3 many >"$work/whole"
    run timeout -s KILL 0.05 medrat-tokenize -q -m words --shard 2/3 --resume --checkpoint-every 1 -o "$work/out" many
    if [ -e "$work/out.state" ]; then
        run -78 --separate-stderr tokenize --shard 1/3 --resume -o "$work/out" many
        [[ "$stderr" == *"made with another 'shard': it was 2/3, and is 1/3"* ]]
    fi
    run -0 tokenize --shard 2/3 --resume -o "$work/out" many
    cmp "$work/out" "$work/whole"
}

@test "shards of a score add up to the single run" {
    make_tiny "$work/tiny"
    for ((i = 1; i <= 30; i++)); do echo "{\"id\":$i,\"tokens\":[1,$i,5,3]}"; done >"$work/in"
    score() { medrat-score -q -m "$work/tiny/llama-3" "$@"; }
    score --partial "$work/whole" "$work/in" >/dev/null
    for k in 1 2 3; do score --shard $k/3 --partial "$work/part.$k" "$work/in" >/dev/null; done
    times='walk(if type == "object" then del(.seconds) else . end)'
    medrat-score --merge --partial "$work/merged" "$work"/part.[123]
    cmp <(jq "$times" "$work/whole") <(jq "$times" "$work/merged")
}

@test "a task of a Slurm array takes its part" {
    export SLURM_ARRAY_TASK_ID=14 SLURM_ARRAY_TASK_MIN=10 SLURM_ARRAY_TASK_COUNT=4 SLURM_ARRAY_TASK_STEP=2
    cmp <(tokenize --shard auto many) <(tokenize --shard 3/4 many)
    unset SLURM_ARRAY_TASK_ID
    run -64 --separate-stderr tokenize --shard auto many
    [[ "$stderr" == *"SLURM_ARRAY_TASK_ID"* ]]
}

@test "what has no parts is refused by name" {
    gzip -c many >"$work/many.gz"
    run -64 --separate-stderr tokenize --shard 1/2 "$work/many.gz"
    [[ "$stderr" == *"many.gz: is packed (gzip)"* ]]
    mkfifo "$work/fifo"
    run -64 --separate-stderr tokenize --shard 1/2 "$work/fifo"
    [[ "$stderr" == *"fifo: is a pipe or a device"* ]]
    run -64 --separate-stderr tokenize --shard 1/2 <many
    [[ "$stderr" == *"standard input"* ]]
    run -64 --separate-stderr tokenize --shard 1/2 many plain
    run -64 --separate-stderr tokenize --shard 1/2 --expect many many
    [[ "$stderr" == *"only a number can be expected"* ]]
    for wrong in 0/2 3/2 1 /2 1/ a/b 1/9999999; do
        run -64 --separate-stderr tokenize --shard "$wrong" many
    done
}

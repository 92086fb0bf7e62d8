#!/usr/bin/env bats
# What a tool does when the world fails it: closed and full outputs, signals, missing and broken
# inputs. Whole lines only, a message that names the place, the right exit status, nothing left over.

bats_require_minimum_version 1.5.0

load common

setup_file() {
    command -v medrat-tokenize
    make_vocab "$BATS_FILE_TMPDIR/vocab.txt"
    yes '{"text":"a"}' | head -n 20000 >"$BATS_FILE_TMPDIR/many.jsonl"
}

setup() {
    work=$BATS_TEST_TMPDIR
    vocab=$BATS_FILE_TMPDIR/vocab.txt
    many=$BATS_FILE_TMPDIR/many.jsonl
    one='{"text":"a"}'
    done='{"text":"a","tokens":[2,5,3],"n_tokens":3}'
}

teardown() {
    [ -z "${tool:-}" ] || kill -KILL "$tool" 2>/dev/null || true
}

tokenize() {
    medrat-tokenize -m "$vocab" "$@"
}

# Starts the tool on a fifo that this test holds open as descriptor 9; its process is $tool. Signals
# that a background job of a shell ignores are as at a terminal.
start() { # start [OPTION]... with output to $work/out, unless -o is given
    mkfifo "$work/fifo"
    env --default-signal=INT,TERM,HUP medrat-tokenize -m "$vocab" "$@" "$work/fifo" \
        >"$work/out" 2>"$work/err" 3>&- &
    tool=$!
    exec 9<>"$work/fifo"
}

# The exit status of the tool, within 10 seconds.
ends_with() { # ends_with STATUS
    until_true sh -c "! kill -0 $tool 2>/dev/null || [ \"\$(ps -o stat= -p $tool)\" = Z ]"
    local status=0
    wait "$tool" || status=$?
    tool=
    exec 9>&-
    [ "$status" -eq "$1" ]
}

only_whole_lines() { # only_whole_lines FILE
    [ ! -s "$1" ] || [ "$(tail -c 1 "$1" | od -An -tx1 | tr -d ' ')" = 0a ]
    jq -e -n 'all(inputs; .n_tokens == 3)' "$1" >/dev/null
}

# strace stands in for a disk that fails.
can_inject() {
    strace -o /dev/null true 2>/dev/null || skip "strace cannot be used here"
    [ "${MEDRAT_BUILD_CONFIG:-release}" = release ] || skip "the sanitizers do not run under strace"
}

@test "SIGTERM: what is done is out, exit 75" {
    start
    echo "$one" >&9
    until_true has_lines "$work/out" 1
    kill -TERM "$tool"
    ends_with 75
    [ "$(cat "$work/out")" = "$done" ]
    [[ "$(cat "$work/err")" == *"stopped by SIGTERM after 1 records"* ]]
}

@test "SIGINT: the same, then death by it" {
    start
    echo "$one" >&9
    until_true has_lines "$work/out" 1
    kill -INT "$tool"
    ends_with 130
    [ "$(cat "$work/out")" = "$done" ]
}

@test "SIGHUP: the same, then death by it" {
    start
    echo "$one" >&9
    until_true has_lines "$work/out" 1
    kill -HUP "$tool"
    ends_with 129
    [ "$(cat "$work/out")" = "$done" ]
}

@test "a signal while waiting for the first byte of a fifo" {
    start
    until_true sh -c "ls -l /proc/$tool/fd 2>/dev/null | grep -q '$work/fifo'"
    kill -TERM "$tool"
    ends_with 75
    [ ! -s "$work/out" ]
}

@test "a signal that was ignored stays so" {
    mkfifo "$work/fifo"
    env --ignore-signal=HUP medrat-tokenize -m "$vocab" "$work/fifo" >"$work/out" 3>&- &
    tool=$!
    exec 9<>"$work/fifo"
    echo "$one" >&9
    until_true has_lines "$work/out" 1
    kill -HUP "$tool"
    echo "$one" >&9
    until_true has_lines "$work/out" 2
    exec 9>&-
    ends_with 0
}

@test "a signal in full flow cuts no line" {
    for after in 0.02 0.05 0.1; do
        rm -f "$work/flow"
        env --default-signal=INT medrat-tokenize -m "$vocab" - < <(yes "$one") >"$work/flow" 2>/dev/null 3>&- &
        tool=$!
        until_true test -s "$work/flow" # it is in full flow, however slow its start
        sleep "$after"
        kill -TERM "$tool" 2>/dev/null
        status=0
        wait "$tool" || status=$?
        tool=
        [ "$status" -eq 75 ]
        only_whole_lines "$work/flow"
    done
}

@test "a signal leaves no output file and no temporary one" {
    mkdir "$work/d"
    start -o "$work/d/out"
    echo "$one" >&9
    until_true sh -c "ls -A '$work/d' | grep -q ."
    kill -TERM "$tool"
    ends_with 75
    [ "$(ls -A "$work/d")" = "" ]
}

@test "a second signal ends the run at once, also where output is stuck" {
    mkfifo "$work/stuck"
    env --default-signal=INT medrat-tokenize -m "$vocab" "$many" >"$work/stuck" 2>/dev/null 3>&- &
    tool=$!
    exec 8<>"$work/stuck" # nobody reads it
    sleep 0.3
    kill -TERM "$tool"
    sleep 0.2
    kill -TERM "$tool" 2>/dev/null || true
    ends_with 75
    exec 8<&-
}

@test "a pipe that closes ends the tool quietly" {
    run -0 bash -c 'medrat-tokenize -m "$1" <(yes "$2") 2>"$3" | head -n 1
        [ "${PIPESTATUS[0]}" -eq 141 ]' - "$vocab" "$one" "$work/err"
    [ "$output" = "$done" ]
    [ ! -s "$work/err" ]
}

@test "a closed pipe where SIGPIPE is ignored: a message and exit 74" {
    run -0 bash -c 'env --ignore-signal=PIPE medrat-tokenize -m "$1" <(yes "$2" 2>/dev/null) 2>"$3" | head -n 1
        [ "${PIPESTATUS[0]}" -eq 74 ]' - "$vocab" "$one" "$work/err"
    [ "$(cat "$work/err")" = "medrat-tokenize: stdout: Broken pipe" ]
}

@test "a full device: a message and exit 74" {
    run -74 --separate-stderr bash -c 'echo "$2" | medrat-tokenize -m "$1" >/dev/full' - "$vocab" "$one"
    [ "$stderr" = "medrat-tokenize: stdout: No space left on device" ]
    run -74 --separate-stderr tokenize -o /dev/full <<<"$one"
    [ "$stderr" = "medrat-tokenize: /dev/full: No space left on device" ]
    run -74 tokenize -q --errors /dev/full <<<'x'
    run -74 --separate-stderr tokenize --stats /dev/full <<<"$one"
    [ "$output" = "$done" ]
}

@test "no output is no error on a full device" {
    run -0 bash -c 'medrat-tokenize -m "$1" </dev/null >/dev/full' - "$vocab"
}

@test "a file size limit: a message, exit 74, no file" {
    mkdir "$work/d"
    run -74 --separate-stderr bash -c 'ulimit -f 100; medrat-tokenize -m "$1" -o "$2" "$3"' - \
        "$vocab" "$work/d/out" "$many"
    [[ "$stderr" == *"$work/d/out: File too large"* ]]
    [ "$(ls -A "$work/d")" = "" ]
}

@test "a disk that is full when it is flushed: exit 74, no file" {
    can_inject
    mkdir "$work/d"
    for fault in fsync:error=EIO write:error=ENOSPC:when=1+ rename:error=EXDEV fchmod:error=EPERM; do
        run strace -f -o "$work/trace" -e "inject=$fault" \
            medrat-tokenize -q -m "$vocab" -o "$work/d/out" <<<"$one"
        [ "$status" -eq 74 ]
        [ "$(ls -A "$work/d")" = "" ]
    done
}

@test "closed standard streams are errors where they are used, and only there" {
    run -74 --separate-stderr bash -c 'medrat-tokenize -m "$1" <&-' - "$vocab"
    [ "$stderr" = "medrat-tokenize: stdin: Bad file descriptor" ]
    run -74 --separate-stderr bash -c 'echo "$2" | medrat-tokenize -m "$1" >&-' - "$vocab" "$one"
    [ "$stderr" = "medrat-tokenize: stdout: Bad file descriptor" ]
    run -0 bash -c 'echo "$2" | medrat-tokenize -m "$1" -o "$3" >&-' - "$vocab" "$one" "$work/out"
    [ "$(cat "$work/out")" = "$done" ]
    # no file gets the number of a closed stream, and so none gets the messages
    run -1 bash -c 'echo x | medrat-tokenize -m "$1" -o "$2" 2>&-' - "$vocab" "$work/out2"
    [ "$(wc -l <"$work/out2")" -eq 1 ]
    run -0 bash -c 'medrat-tokenize -m "$1" "$2" <&- >"$3"' - "$vocab" "$many" "$work/out3"
    [ "$(wc -l <"$work/out3")" -eq 20000 ]
}

@test "what is not there is exit 66 by name, before anything is read or written" {
    run -66 --separate-stderr tokenize -o "$work/out" "$many" "$work/nowhere"
    [[ "$stderr" == "medrat-tokenize: $work/nowhere: No such file or directory"* ]]
    [ ! -e "$work/out" ]
}

@test "a folder is not an input" {
    run -66 --separate-stderr tokenize "$work"
    [[ "$stderr" == *"$work: Is a directory"* ]]
    run -66 --separate-stderr bash -c 'medrat-tokenize -m "$1" <"$2"' - "$vocab" "$work"
    [[ "$stderr" == *"stdin: Is a directory"* ]]
}

@test "a place that cannot be written is exit 74 before anything is read" {
    run -74 --separate-stderr tokenize -o "$work/no/such/folder/out" "$many"
    [[ "$stderr" == *"$work/no/such/folder/out"* ]]
    run -74 tokenize --errors "$work/no/errors" "$many"
}

@test "broken gzip is exit 65, the records before it are out, no file appears" {
    (echo "$one" && cat "$many") | gzip >"$work/whole.gz"
    head -c -5 "$work/whole.gz" >"$work/cut.gz"
    run -65 bash -c 'medrat-tokenize -m "$1" "$2" >"$3"' - "$vocab" "$work/cut.gz" "$work/some"
    [[ "$output" == *"cut.gz: gzip data is cut short"* ]]
    only_whole_lines "$work/some"
    has_lines "$work/some" 20000
    run -65 tokenize -o "$work/out" "$work/cut.gz"
    [ ! -e "$work/out" ]
    (cat "$work/whole.gz" && echo rest) >"$work/garbage.gz"
    run -65 --separate-stderr tokenize -o "$work/out" "$work/garbage.gz"
    [[ "$stderr" == *"garbage.gz: something that is not gzip follows gzip data"* ]]
}

@test "a read that fails is exit 74, the records before it are out" {
    can_inject
    run -74 --separate-stderr strace -f -o "$work/trace" -P "$many" -e inject=read:error=EIO:when=3 \
        medrat-tokenize -m "$vocab" "$many"
    [[ "$stderr" == *"$many: Input/output error"* ]]
    [ "${#lines[@]}" -gt 100 ]
    [ "${lines[0]}" = "$done" ]
}

@test "output that nobody takes stops the reading, memory stays bounded" {
    [ "${MEDRAT_BUILD_CONFIG:-release}" = release ] || skip "the sanitizers reserve address space"
    run -0 bash -c 'ulimit -v 150000
        yes "$2" | head -n 8000 | medrat-tokenize -m "$1" | { sleep 1; tail -n 1; }
        [ "${PIPESTATUS[2]}" -eq 0 ]' - "$vocab" "{\"text\":\"a\",\"x\":\"$(printf '%020000d' 0)\"}"
    [[ "$output" == *'"n_tokens":3}' ]]
}

@test "writes that are cut short or interrupted change nothing" {
    [ "${MEDRAT_BUILD_CONFIG:-release}" = release ] || skip "sanitizers have to be loaded first"
    local preload=$MEDRAT_BUILD/tests/preload/short_writes.so
    [ -e "$preload" ]
    make_tiny "$work/tiny"
    for ((i = 1; i <= 50; i++)); do
        printf '{"id":%d,"query":"word %d","tokens":[1,%d,5,3],"text":"a b","passages":["a","b %d"]}\n' $i $i $i $i
        [ $((i % 9)) -ne 4 ] || echo '{"broken":'
    done >"$work/in.jsonl"
    cd "$work"
    for command in "medrat-score -m tiny/mistral-f32 --max-errors 9 --summary summary" "medrat-rerank --method bm25 --max-errors 9" \
        "medrat-tokenize -m $vocab --existing replace --max-errors 9" \
        "medrat-gen -m tiny/mistral-f32 --max-tokens 3 --max-errors 9"; do
        for kind in "-o out" "-o out.gz" "-o out --resume --checkpoint-every 7"; do
            rm -f out out.gz
            $command -q $kind --errors errors in.jsonl
            sha256sum out* errors >whole
            rm out*
            LD_PRELOAD=$preload $command -q $kind --errors errors in.jsonl
            sha256sum --quiet -c whole
        done
        $command -q in.jsonl >whole
        LD_PRELOAD=$preload $command -q in.jsonl | cmp - whole
    done
    printf '{"tokens":[1,5,3]}\n{"tokens":[1,7,2]}\n' >rows.jsonl
    medrat-train -q -m tiny/mistral-f32 --steps 3 -o whole-adapter rows.jsonl
    LD_PRELOAD=$preload medrat-train -q -m tiny/mistral-f32 --steps 3 -o adapter rows.jsonl
    cmp adapter/adapter_model.safetensors whole-adapter/adapter_model.safetensors
}

@test "where memory ends the run does, with exit 71, and goes on with more from its last checkpoint" {
    [ "${MEDRAT_BUILD_CONFIG:-release}" = release ] || skip "sanitizers take address space of their own"
    make_tiny "$work/tiny"
    cd "$work"
    for ((i = 1; i <= 60; i++)); do
        printf '{"id":%d,"tokens":[1,%d,5,3]}\n' $i $i
    done >few.jsonl
    # a line that takes what is left
    { cat few.jsonl; printf '{"id":61,"tokens":[1,5],"text":"'; head -c 15000000 /dev/zero | tr '\0' a; echo '"}'; } >in.jsonl
    medrat-score -q --threads 1 --batch 1 -m tiny/mistral-f32 -o whole in.jsonl
    local limit=$((20 * 1024)) # so low that not even the model fits; up to where it does
    local status=71 checkpoints=0
    while [ $limit -lt $((400 * 1024)) ] && [ "$status" -ne 0 ]; do
        rm -f out out.*
        status=0
        (ulimit -v $limit && exec medrat-score -q --threads 1 --batch 1 -m tiny/mistral-f32 \
            --resume --checkpoint-every 10 -o out in.jsonl) 2>err || status=$?
        # the loader's own end, before there is a program, is 127
        [ "$status" -eq 0 ] || [ "$status" -eq 71 ] || [ "$status" -eq 127 ] || { cat err; return 1; }
        if [ "$status" -eq 71 ]; then
            [ ! -e out ]
            [ ! -e out.state ] || checkpoints=$((checkpoints + 1))
            medrat-score -q --threads 1 --batch 1 -m tiny/mistral-f32 --resume --checkpoint-every 10 -o out in.jsonl
            cmp out whole
        fi
        limit=$((limit + 8 * 1024))
    done
    [ "$status" -eq 0 ]
    [ "$checkpoints" -ge 1 ] # at least once in the middle
}

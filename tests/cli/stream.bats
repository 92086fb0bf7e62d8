#!/usr/bin/env bats
# The loop that all tools share: input, output, what the options about records promise.

bats_require_minimum_version 1.5.0

load common

setup_file() {
    command -v medrat-tokenize
    make_vocab "$BATS_FILE_TMPDIR/vocab.txt"
    # 17 records, 3 of them bad: lines 2, 9, 12
    for n in {1..17}; do
        case $n in
        2) echo 'not JSON' ;;
        9) echo '{"id":9}' ;;
        12) printf '{"id":12,"text":"\xff"}\n' ;;
        *) echo "{\"id\":$n,\"text\":\"a\"}" ;;
        esac
    done >"$BATS_FILE_TMPDIR/mixed.jsonl"
}

setup() {
    work=$BATS_TEST_TMPDIR
    vocab=$BATS_FILE_TMPDIR/vocab.txt
    mixed=$BATS_FILE_TMPDIR/mixed.jsonl
}

tokenize() {
    medrat-tokenize -m "$vocab" "$@"
}

@test "a record leaves while the input stays open" {
    mkfifo "$work/fifo"
    medrat-tokenize -m "$vocab" "$work/fifo" >"$work/out" 3>&- &
    tool=$!
    exec 9<>"$work/fifo"
    for n in 1 2 3; do
        echo "{\"id\":$n,\"text\":\"a\"}" >&9
        until_true has_lines "$work/out" "$n"
    done
    exec 9>&-
    wait "$tool"
    [ "$(jq -c .id "$work/out" | tr '\n' ' ')" = "1 2 3 " ]
}

@test "a record of a gzip stream leaves while the stream stays open" {
    mkfifo "$work/fifo"
    medrat-tokenize -m "$vocab" <"$work/fifo" >"$work/out" 3>&- &
    tool=$!
    exec 9<>"$work/fifo"
    echo '{"text":"a"}' | gzip >&9
    until_true has_lines "$work/out" 1
    echo '{"text":"b"}' | gzip >&9
    until_true has_lines "$work/out" 2
    exec 9>&-
    wait "$tool"
}

@test "one line out for each line in, in order, and exit 1" {
    run -1 --separate-stderr tokenize "$mixed"
    [ "${#lines[@]}" -eq 17 ]
    [ "$(jq -c '.id // .error.line' <<<"$output")" = "$(seq 17)" ]
    [ "$(jq -c 'select(.error) | .error.line' <<<"$output" | tr '\n' ' ')" = "2 9 12 " ]
    [ "${#stderr_lines[@]}" -eq 3 ]
    [[ "${stderr_lines[1]}" == "medrat-tokenize: $mixed:9: "* ]]
}

@test "operands follow each other; - is standard input; lines are numbered by file" {
    printf '{"id":"a","text":"a"}' >"$work/a"
    printf 'x\n' >"$work/b"
    run -1 --separate-stderr tokenize "$work/a" - "$work/b" "$work/a" <<<'{"id":"in","text":"a"}'
    [ "$(jq -rc '.id // .error.line' <<<"$output" | tr '\n' ' ')" = "a in 1 a " ]
    [[ "$stderr" == "medrat-tokenize: $work/b:1: "* ]]
}

@test "gzip is known by its bytes, members join, each file may be what it likes" {
    (printf '{"id":1,"text":"a"}\n{"id":2,' | gzip && printf '"text":"a"}\r\n' | gzip) >"$work/in.txt"
    printf '\xef\xbb\xbf{"id":3,"text":"a"}' | gzip >"$work/bom"
    echo '{"id":4,"text":"a"}' >"$work/plain.gz"
    run -0 tokenize "$work/in.txt" "$work/bom" "$work/plain.gz" - < <(echo '{"id":5,"text":"a"}' | gzip)
    [ "$(jq .id <<<"$output" | tr '\n' ' ')" = "1 2 3 4 5 " ]
}

@test "empty input is no error and no output" {
    run -0 --separate-stderr tokenize </dev/null
    [ "$output$stderr" = "" ]
    : | gzip >"$work/empty.gz"
    run -0 --separate-stderr tokenize "$work/empty.gz"
    [ "$output$stderr" = "" ]
    run -0 tokenize -o "$work/out" /dev/null
    [ -e "$work/out" ] && [ ! -s "$work/out" ]
}

@test "--on-error skip leaves failed records out and still exits 1" {
    run -1 --separate-stderr tokenize --on-error skip "$mixed"
    [ "${#lines[@]}" -eq 14 ]
    [ "${#stderr_lines[@]}" -eq 3 ]
    line='{"error":{"tool":"t","code":"c"}}'
    run -1 tokenize -q --on-error skip <<<"$line"
    [ "$output" = "" ]
}

@test "--on-error fail ends at the first failed record, those before it are out" {
    run -65 --separate-stderr tokenize --on-error fail "$mixed"
    [ "$(jq .id <<<"$output")" = 1 ]
    [[ "$stderr" == *"$mixed:2"* ]]
    run -65 --separate-stderr tokenize -q --on-error fail -o "$work/out" "$mixed"
    [ ! -e "$work/out" ]
    [[ "$stderr" == *"$mixed:2"* ]]
    run -65 --separate-stderr tokenize --on-error fail <<<'{"error":{"tool":"t","code":"c"}}'
    [ "$output" = "" ]
}

@test "--max-errors: exit 0 while failures stay within it" {
    run -1 tokenize -q --max-errors 2 "$mixed"
    run -0 tokenize -q --max-errors 3 "$mixed"
    [ "${#lines[@]}" -eq 17 ]
    run -1 tokenize -q --max-errors 17% "$mixed" # 3 of 17 are 17.6 %
    run -0 tokenize -q --max-errors 18% "$mixed"
    run -0 tokenize -q --max-errors 18% --on-error skip "$mixed"
}

@test "--errors has each failed line as it came, with its place and the reason" {
    tokenize -q --errors "$work/errors" "$mixed" >"$work/out" || [ $? -eq 1 ]
    [ "$(stat -c %a "$work/errors")" = 600 ]
    [ "$(jq -c '[.file,.line,.error.line,.error.code,.raw]' "$work/errors")" = \
        "[\"$mixed\",2,2,\"json\",\"not JSON\"]
[\"$mixed\",9,9,\"missing\",\"{\\\"id\\\":9}\"]
[\"$mixed\",12,12,\"utf8\",null]" ]
    jq -r 'select(.raw_base64) | .raw_base64' "$work/errors" | base64 -d | cmp - <(sed -n 12p "$mixed" | tr -d '\n')
    [ "$(jq -c 'select(.error) | .error' "$work/out")" = "$(jq -c .error "$work/errors")" ]
}

@test "--errors is emptied when the run begins, and made private" {
    echo old >"$work/errors"
    chmod 644 "$work/errors"
    run -0 tokenize --errors "$work/errors" <<<'{"text":"a"}'
    [ ! -s "$work/errors" ]
    [ "$(stat -c %a "$work/errors")" = 600 ]
}

@test "--errors says how long a line over --max-line was" {
    run -1 tokenize -q --max-line 10 --errors "$work/errors" <<<'{"text":"aaaa"}'
    [ "$(jq -c '[.raw,.bytes]' "$work/errors")" = "[null,15]" ]
}

@test "a file that is read is not written as well" {
    cp "$mixed" "$work/in"
    run -64 --separate-stderr tokenize --errors "$work/in" "$work/in"
    [[ "$stderr" == *"$work/in"* ]]
    run -64 bash -c 'medrat-tokenize -m "$1" "$2" >>"$2"' - "$vocab" "$work/in"
    cmp "$work/in" "$mixed"
    run -64 tokenize -o "$work/out" --errors "$work/out" "$work/in"
}

@test "-o may replace its own input" {
    echo '{"text":"a"}' >"$work/in"
    run -0 tokenize -o "$work/in" "$work/in"
    [ "$(cat "$work/in")" = '{"text":"a","tokens":[2,5,3],"n_tokens":3}' ]
}

@test "-o appears when it is complete, with the mode of new files" {
    mkfifo "$work/fifo"
    mkdir "$work/d"
    (umask 027 && exec medrat-tokenize -m "$vocab" -o "$work/d/out" "$work/fifo") 3>&- &
    tool=$!
    exec 9<>"$work/fifo"
    echo '{"text":"a"}' >&9
    until_true sh -c "ls -A '$work/d' | grep -q ."
    [ ! -e "$work/d/out" ]
    [ "$(stat -c %a "$work/d"/.[!.]*)" = 600 ]
    exec 9>&-
    wait "$tool"
    [ "$(ls -A "$work/d")" = out ]
    [ "$(stat -c %a "$work/d/out")" = 640 ]
}

@test "-o is complete also when records failed" {
    run -1 tokenize -q -o "$work/out" "$mixed"
    [ "$(wc -l <"$work/out")" -eq 17 ]
}

@test "-o NAME.gz is gzip" {
    run -1 tokenize -q -o "$work/out.gz" "$mixed"
    gzip -t "$work/out.gz"
    tokenize -q "$mixed" >"$work/plain" || [ $? -eq 1 ]
    zcat "$work/out.gz" | cmp - "$work/plain"
}

@test "-o into a device writes it, a link stays a link" {
    run -0 --separate-stderr tokenize -o /dev/stdout <<<'{"text":"a"}'
    [ "$output" = '{"text":"a","tokens":[2,5,3],"n_tokens":3}' ]
    [ -c /dev/null ]
    run -0 tokenize -o /dev/null <<<'{"text":"a"}'
    [ -c /dev/null ]
    echo old >"$work/file"
    ln -s file "$work/link"
    run -0 tokenize -o "$work/link" <<<'{"text":"a"}'
    [ -L "$work/link" ]
    [ "$(cat "$work/file")" = '{"text":"a","tokens":[2,5,3],"n_tokens":3}' ]
}

@test "--expect N: another count is exit 65 and no output" {
    run -1 tokenize -q --expect 17 -o "$work/out" "$mixed"
    [ "$(wc -l <"$work/out")" -eq 17 ]
    for n in 0 16 18; do
        run -65 --separate-stderr tokenize -q --expect "$n" -o "$work/none" "$mixed"
        [ ! -e "$work/none" ]
        [[ "$stderr" == *"expected $n records, but 17 came"* ]]
    done
}

@test "--expect FILE: as many records as it has lines, packed or not" {
    gzip <"$mixed" >"$work/upstream.gz"
    run -1 tokenize -q --expect "$work/upstream.gz" -o "$work/out" "$mixed"
    [ -e "$work/out" ]
    # a tool upstream that died at a line border
    run -65 bash -c 'head -n 5 "$2" | medrat-tokenize -q -m "$1" --expect "$2" -o "$3"' - "$vocab" "$mixed" "$work/none"
    [ ! -e "$work/none" ]
    run -66 --separate-stderr tokenize --expect "$work/nowhere" -o "$work/none" "$mixed"
    [[ "$stderr" == *"$work/nowhere"* ]]
}

@test "--stats counts what came and what became of it" {
    (cat "$mixed" && echo '{"error":{"tool":"t","code":"c"}}' && echo '{"tokens":1,"n_tokens":1,"types":1}') >"$work/in"
    tokenize -q --existing keep --stats "$work/stats" "$work/in" >"$work/out" || [ $? -eq 1 ]
    jq -e '.tool == "medrat-tokenize" and .exit_status == 1 and .records == 19 and .done == 15 and
        .kept == 1 and .failed == 4 and .failed_upstream == 1 and .seconds >= 0 and
        .peak_memory > 0 and (.started | test("^20..-..-..T..:..:..Z$"))' "$work/stats"
    [ "$(jq .bytes_out "$work/stats")" -eq "$(wc -c <"$work/out")" ]
    [ "$(jq .bytes_in "$work/stats")" -eq $(($(wc -c <"$work/in") - 19)) ]
    run -66 tokenize --stats "$work/stats" "$work/nowhere"
}

@test "messages: the first ten failures one by one, then a count; with -q none" {
    for n in {1..25}; do echo '{"id":'"$n"'}'; done >"$work/in"
    run -1 --separate-stderr tokenize "$work/in"
    [ "${#stderr_lines[@]}" -eq 11 ]
    [[ "${stderr_lines[10]}" == *"15 more records failed, 25 of 25"* ]]
    run -1 --separate-stderr tokenize -q "$work/in"
    [ "$stderr" = "" ]
}

@test "nothing is said when all is well; -v sums up" {
    run -0 --separate-stderr tokenize <<<'{"text":"a"}'
    [ "$stderr" = "" ]
    run -0 --separate-stderr tokenize -v <<<'{"text":"a"}'
    [[ "$stderr" == *"1 records"* ]]
}

@test "progress: nothing off a terminal, a line on request" {
    run -0 --separate-stderr tokenize --progress <<<'{"text":"a"}'
    [[ "$stderr" == *"1 records"* ]]
    [[ "$stderr" != *$'\r'* ]]
}

@test "progress on a terminal: a bar with rate and remaining time, gone at the end" {
    need_command script
    yes '{"text":"a b c"}' | head -n 100000 >"$work/in"
    run -0 script -qec "medrat-tokenize -m '$vocab' -o '$work/out' '$work/in'" /dev/null
    [[ "$output" == *"medrat-tokenize: ["*"records"*"/s"*"ETA "* ]]
    # what stands there at the end is spaces
    last=${output##*ETA}
    [[ "$last" == *$'\r'* && "${last##*$'\r'}" != *records* ]]
    run -0 script -qec "medrat-tokenize --no-progress -m '$vocab' -o '$work/out' '$work/in'" /dev/null
    [[ "$output" != *records* ]]
}

@test "a first line that is not JSON names --format lines" {
    run -1 --separate-stderr tokenize <<<'What causes anemia?'
    [[ "$stderr" == *"--format lines"* ]]
    # but not a later one, or one that is meant to be JSON
    run -1 --separate-stderr tokenize <<<$'{"text":"a"}\nplain'
    [[ "$stderr" != *"--format lines"* ]]
    run -1 --separate-stderr tokenize <<<'{"text":17}'
    [[ "$stderr" != *"--format lines"* ]]
}

@test "many records stay in order and in bounded memory" {
    seq 0 19999 | sed 's/.*/{"id":&,"text":"abc &"}/' >"$work/in"
    tokenize --stats "$work/few" -o /dev/null < <(head -n 1000 "$work/in")
    tokenize --stats "$work/many" "$work/in" >"$work/out"
    cmp <(jq -c .id "$work/out") <(seq 0 19999)
    # the sanitizers keep what was freed
    [ "${MEDRAT_BUILD_CONFIG:-release}" != release ] ||
        [ "$(jq .peak_memory "$work/many")" -lt $(($(jq .peak_memory "$work/few") + 4000000)) ]
}

@test "an endless line costs no memory" {
    [ "${MEDRAT_BUILD_CONFIG:-release}" = release ] || skip "the sanitizers reserve address space"
    run -1 bash -c 'ulimit -v 100000
        { yes aaaaaaaa | tr -d "\n" | head -c 150000000; printf "\n{\"text\":\"a\"}\n"; } |
        medrat-tokenize -m "$1" --max-line 1M' - "$vocab"
    [[ "$output" == *'"code":"line_too_long"'*'"n_tokens":3}'* ]]
}

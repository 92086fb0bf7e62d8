#!/usr/bin/env bats
# A record in, a record out: what stays, what is added, what becomes of a line that is none.

bats_require_minimum_version 1.5.0

load common

setup_file() {
    command -v medrat-tokenize
    make_vocab "$BATS_FILE_TMPDIR/vocab.txt"
}

setup() {
    work=$BATS_TEST_TMPDIR
    vocab=$BATS_FILE_TMPDIR/vocab.txt
}

tokenize() {
    medrat-tokenize -m "$vocab" "$@"
}

# What the tool adds to a record whose text is "a".
added='"tokens":[2,5,3],"n_tokens":3'

@test "new members go behind the old ones, which stay byte for byte" {
    while IFS= read -r line; do
        run -0 --separate-stderr tokenize <<<"$line"
        [ "$output" = "${line%\}},$added}" ]
        [ "$stderr" = "" ]
    done <<'LINES'
{"text":"a"}
{ "text" : "a" }
{"n":1.000,"e":-0.0E+2,"i":12345678901234567890123456,"huge":1e999,"text":"a"}
{"escapes":"\u00e9\/\ud83d\ude00\u0000","utf8":"é😀","text":"a"}
{"z":[ 1,2 ,{"text":"b"}],"\u0061":null,	"text":"a"	}
{"text":"\u0061","text_":"}"}
LINES
}

@test "line ends, a byte order mark and spaces round the object do not matter" {
    printf '\xef\xbb\xbf{"text":"a"}\r\n{"text":"a"} \n\t{"text":"a"}' >"$work/in"
    tokenize "$work/in" >"$work/out"
    printf '%s\n' "{\"text\":\"a\",$added}" "{\"text\":\"a\",$added}" "	{\"text\":\"a\",$added}" |
        cmp - "$work/out"
}

@test "a second byte order mark, or one on a later line, is not JSON" {
    printf '\xef\xbb\xbf\xef\xbb\xbf{"text":"a"}\n\xef\xbb\xbf{"text":"a"}\n' >"$work/in"
    run -1 --separate-stderr tokenize "$work/in"
    [ "$(jq -c '[.error.code,.error.line,.error.column]' <<<"$output")" = \
        $'["json",1,1]\n["json",2,1]' ]
}

# Checks code, line, column and member of the error record of one bad line among good ones.
bad() { # bad 'printf format of the line' CODE COLUMN MEMBER
    printf '{"text":"a"}\n'"$1"'\n{"text":"a"}\n' >"$work/in"
    run -1 --separate-stderr tokenize "$work/in"
    [ "${#lines[@]}" -eq 3 ]
    [ "${lines[0]}" = "{\"text\":\"a\",$added}" ]
    [ "${lines[2]}" = "${lines[0]}" ]
    [ "$(jq -c '[.error.tool,.error.code,.error.line,.error.column,.error.member]' <<<"${lines[1]}")" = \
        "[\"medrat-tokenize\",\"$2\",2,$3,$4]" ]
    [ "$(jq -r '.error.message' <<<"${lines[1]}")" != "" ]
    [[ "${stderr_lines[0]}" == "medrat-tokenize: $work/in:2: "* ]]
}

@test "not JSON" {
    bad 'SECRET' json 1 null
    bad '{"text":SECRET}' json 9 null
    bad '{"text":"a"' json 12 null
    bad '{"text":"a",}' json 13 null
    bad '{"text":"a"}{}' json 13 null
    bad "{'text':1}" json 2 null
    bad '{"text":01}' json 10 null
    bad '{"text":NaN}' json 9 null
    bad '{"text":"\t"}' json 10 null
    bad '{"text":"\\x"}' json 11 null
}

@test "not an object" {
    bad '[{"text":"a"}]' object 1 null
    bad '"SECRET"' object 1 null
    bad 'null' object 1 null
}

@test "a blank line" {
    bad '' blank 1 null
    bad ' \t' blank 1 null
}

@test "invalid UTF-8: a stray byte, overlong, a surrogate, above U+10FFFF, cut" {
    bad '{"text":"SECRET\xff"}' utf8 16 null
    bad '{"text":"\xc0\x80"}' utf8 10 null
    bad '{"text":"\xed\xa0\x80"}' utf8 10 null
    bad '{"text":"\xf4\x90\x80\x80"}' utf8 10 null
    bad '{"text":"\xe2\x82"}' utf8 10 null
}

@test "a lone surrogate" {
    bad '{"text":"\\ud800"}' surrogate 10 null
    bad '{"text":"\\ude00\\ud83d"}' surrogate 10 null
}

@test "a member that occurs twice, also inside" {
    bad '{"text":"a","text":"b"}' duplicate 13 '"text"'
    bad '{"text":"a","x":{"SECRET":1,"SECRET":2}}' duplicate 29 null
}

@test "a NUL byte" {
    bad '\000' nul 1 null
    bad '{"text":"\000"}' nul 10 null
    bad '{"text":"a"}\000' nul 13 null
}

@test "nested deeper than 256" {
    deep=$(printf '[%.0s' {1..255})
    bad "{\"text\":\"a\",\"x\":$deep[" depth 272 null
    printf '{"x":%s%s,"text":"a"}\n' "$deep" "${deep//\[/]}" >"$work/in"
    run -0 tokenize "$work/in"
}

@test "wrong types and a missing member" {
    bad '{"text":17}' type 9 '"text"'
    bad '{"text":["SECRET"]}' type 9 '"text"'
    bad '{"id":1.5,"text":"a"}' type 7 '"id"'
    bad '{"id":{},"text":"a"}' type 7 '"id"'
    bad '{}' missing null '"text"'
    bad '{"text":null}' missing 9 '"text"'
}

@test "a line over --max-line costs that line" {
    printf '{"text":"a"}\n{"text":"aaaaaaaaaaaaaaaaaaaa"}\n{"text":"a"}\n' >"$work/in"
    run -1 --separate-stderr tokenize --max-line 20 "$work/in"
    [ "${#lines[@]}" -eq 3 ]
    [ "$(jq -c '[.error.code,.error.line]' <<<"${lines[1]}")" = '["line_too_long",2]' ]
    run -0 tokenize --max-line 12 <<<'{"text":"a"}'
    run -0 tokenize --max-line 12 <<<$'{"text":"a"}\r'
    run -1 tokenize --max-line 11 <<<'{"text":"a"}'
}

@test "a last line that was cut short says so" {
    run -1 --separate-stderr tokenize < <(printf '{"text":"a"}\n{"text":"a')
    [[ "$(jq -r '.error.message' <<<"${lines[1]}")" == *"cut short"* ]]
    run -0 tokenize < <(printf '{"text":"a"}')
}

@test "no message shows anything of the record" {
    for line in 'SECRET' '{"SECRET' '{"text":SECRET}' '{"text":"a","SECRET":1,"SECRET":2}' \
        '{"id":["SECRET"],"text":"a"}' '{"text":{"SECRET":1}}' '{"id":1,"text":"SECRET\x'; do
        run -1 --separate-stderr tokenize -v <<<"$line"
        [[ "$output$stderr" != *SECRET* ]]
    done
}

@test "the error record carries the id as it is spelled, wherever it is known" {
    for id in '"q\/\u00e91"' 17 -0 12345678901234567890123; do
        run -1 --separate-stderr tokenize <<<"{\"a\":1,\"id\" : $id,\"text\":1}"
        [[ "$output" == "{\"id\":$id,\"error\":{\"tool\":"* ]]
    done
    run -1 --separate-stderr tokenize <<<'{"id":"x","text":"a","text":"b"}'
    [[ "$output" == '{"id":"x","error":'* ]]
    run -1 --separate-stderr tokenize <<<'{"id":"x","text":"a'
    [[ "$output" == '{"id":"x","error":'* ]]
}

@test "a record that failed before passes on unread and counts as failed" {
    line='{"id":[],"error" :{"tool":"medrat-gen","code":"type"},"text":17 ,"tokens":1}'
    run -1 --separate-stderr tokenize <<<"$line"
    [ "$output" = "$line" ]
    [[ "$stderr" == *"1 of 1 records had failed in an earlier tool" ]]
    run -1 --separate-stderr tokenize -q <<<"$line"
    [ "$stderr" = "" ]
}

@test "an error record of this tool passes through it again" {
    tokenize -q <<<'{"id":7,"text":1}' >"$work/once" || [ $? -eq 1 ]
    run -1 tokenize -q "$work/once"
    [ "$output" = "$(cat "$work/once")" ]
}

@test "an error member of another kind is data" {
    for error in null '"none"' '{"code":"x"}' '[]' '{"tool":"x"}'; do
        run -0 tokenize <<<"{\"error\":$error,\"text\":\"a\"}"
        [ "$output" = "{\"error\":$error,\"text\":\"a\",$added}" ]
    done
}

@test "what is there already fails the record" {
    for member in '"tokens":[1]' '"n_tokens":null' '"n_tok\u0065ns":5'; do
        run -1 --separate-stderr tokenize <<<"{\"text\":\"a\",$member}"
        [ "$(jq -c '[.error.code,.error.column]' <<<"$output")" = "[\"exists\",$((14 + $(expr index "$member" ':') - 1))]" ]
    done
}

@test "--existing replace leaves no trace of the old member" {
    while IFS='>' read -r line expected; do
        run -0 tokenize --existing replace <<<"$line"
        [ "$output" = "${expected/@/$added}" ]
    done <<'LINES'
{"tokens":[1], "text":"a", "b":1}>{"text":"a", "b":1,@}
{"text":"a", "tokens":[1], "b":1}>{"text":"a", "b":1,@}
{"text":"a", "b":1, "n_tokens":{"tokens":1} }>{"text":"a", "b":1 ,@}
{"tokens":1,"n_tokens":2,"text":"a"}>{"text":"a",@}
{"tok\u0065ns":1,"x":{"tokens":3},"text":"a"}>{"x":{"tokens":3},"text":"a",@}
{"text":"a"}>{"text":"a",@}
LINES
}

@test "--existing keep fills gaps and keeps what is there" {
    run -0 tokenize --existing keep <<<'{"tokens":[9, 9],"text":"a"}'
    [ "$output" = '{"tokens":[9, 9],"text":"a","n_tokens":3}' ]
    run -0 tokenize --existing keep <<<'{"text":"a"}'
    [ "$output" = "{\"text\":\"a\",$added}" ]
    # all there: nothing is read, nothing is done
    run -0 tokenize --existing keep <<<'{"tokens":null,"n_tokens":0,"types":[] }'
    [ "$output" = '{"tokens":null,"n_tokens":0,"types":[] }' ]
}

@test "every prefix of a file gives its whole records and at most one error" {
    printf '{"id":1,"text":"é"}\r\n{"n":[1e5,{}],"text":"\\u00e9"}\n{"text":"a"}\n' >"$work/file"
    size=$(wc -c <"$work/file")
    for ((n = 0; n <= size; n += 3)); do
        head -c "$n" "$work/file" >"$work/in"
        whole=$(wc -l <"$work/in")
        tokenize -q "$work/in" >"$work/out" || [ $? -eq 1 ]
        good=$(grep -c '"n_tokens":' "$work/out" || true)
        failed=$(grep -c '"error":' "$work/out" || true)
        [ "$good" -eq "$whole" ] || [ "$good" -eq $((whole + 1)) ]
        [ $((good + failed)) -eq "$(wc -l <"$work/out")" ]
        [ $((good + failed)) -le $((whole + 1)) ]
    done
}

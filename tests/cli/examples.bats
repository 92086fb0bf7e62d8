#!/usr/bin/env bats
# The examples work and stay what their attribution says.

bats_require_minimum_version 1.5.0

load common

setup() {
    set -o pipefail
    cd "$BATS_TEST_DIRNAME/../.."
    canned=tests/cli/show/evidence.jsonl
    unset NO_COLOR
}

@test "show lays evidence out, wide and narrow" {
    for width in 72 44; do
        COLUMNS=$width examples/show "$canned" | diff tests/cli/show/expected-$width.txt -
    done
}

@test "show is headed: model text, to be checked by a person" {
    run -0 examples/show /dev/null
    [ "$output" = "model text, to be checked by a person" ]
}

@test "show keeps within the width and ends no line in a space" {
    for width in 40 57 80 100; do
        COLUMNS=$width examples/show "$canned" | jq -e -R -n --argjson width $width \
            'all(inputs; length <= $width and (endswith(" ") | not) or startswith("failed in "))' >/dev/null
    done
}

@test "show lets no control character of a record through" {
    examples/show "$canned" >"$BATS_TEST_TMPDIR/out"
    run ! grep -q "$(printf '[\033\r\t]')" "$BATS_TEST_TMPDIR/out"
    run ! grep -q "$(printf '\342\200\256')" "$BATS_TEST_TMPDIR/out" # U+202E turns text round
}

@test "show has colour on a terminal alone, and never with NO_COLOR" {
    export TERM=xterm
    script --quiet --command "examples/show $canned" /dev/null </dev/null >"$BATS_TEST_TMPDIR/out"
    grep -q "$(printf '\033')" "$BATS_TEST_TMPDIR/out"
    NO_COLOR=1 script --quiet --command "examples/show $canned" /dev/null </dev/null >"$BATS_TEST_TMPDIR/out"
    run ! grep -q "$(printf '\033')" "$BATS_TEST_TMPDIR/out"
}

@test "show reads what medrat-rerank writes" {
    medrat-rerank -q --method bm25 --cut top:3 examples/questions.jsonl | COLUMNS=80 examples/show >"$BATS_TEST_TMPDIR/out"
    [ "$(grep -c '^Evidence  3 of ' "$BATS_TEST_TMPDIR/out")" -eq "$(wc -l <examples/questions.jsonl)" ]
    [ "$(grep -c 'its words' "$BATS_TEST_TMPDIR/out")" -eq $((3 * $(wc -l <examples/questions.jsonl))) ]
}

@test "there are at least 8 questions of 4 sources, small enough to read, each attributed" {
    [ "$(stat -c %s examples/questions.jsonl)" -lt 204800 ]
    jq -e -s 'length >= 8 and ([.[].id | sub("-.*"; "")] | unique | length) == 4
        and all(.[]; (.passages | length) <= 30 and (.source | length) > 0 and (.query | endswith("?"))
            and (([.passages[].id] | unique | length) == (.passages | length)))' examples/questions.jsonl >/dev/null
    for id in $(jq -r '.id' examples/questions.jsonl); do
        grep -q -e "${id%-dev-*}-dev-.*${id##*-}" examples/ATTRIBUTION.md || { echo "$id has no attribution" && return 1; }
    done
    # an open-access article is named with its own licence
    for article in $(jq -r '.source' examples/questions.jsonl | grep -o 'PMC[0-9]*'); do
        grep -q "$article.*CC BY" examples/ATTRIBUTION.md
    done
}

# medrat-gen that dies after the first record: what --expect of the pipeline is there for.
dying_gen() {
    mkdir "$BATS_TEST_TMPDIR/bin"
    printf '#!/bin/sh\nhead -n 1 "$1"\nexit 70\n' >"$BATS_TEST_TMPDIR/bin/medrat-gen"
    ln -s "$(command -v medrat-rerank)" "$BATS_TEST_TMPDIR/bin"
    chmod +x "$BATS_TEST_TMPDIR/bin/medrat-gen"
}

@test "pipeline.sh leaves no evidence when the first tool dies" {
    dying_gen
    MEDRAT_METHOD=bm25 MEDRAT_BIN=$BATS_TEST_TMPDIR/bin run -65 \
        examples/pipeline.sh examples/questions.jsonl "$BATS_TEST_TMPDIR/evidence.jsonl"
    [ ! -e "$BATS_TEST_TMPDIR/evidence.jsonl" ]
}

@test "pipeline.sh makes evidence of real rationales" {
    [ "$MEDRAT_BUILD_CONFIG" = release ] || skip "real models run in the release build"
    need_models
    head -n 1 examples/questions.jsonl >"$BATS_TEST_TMPDIR/one.jsonl"
    MEDRAT_MAX_TOKENS=64 run -0 examples/pipeline.sh "$BATS_TEST_TMPDIR/one.jsonl" "$BATS_TEST_TMPDIR/evidence.jsonl"
    jq -e '(.rationales | length > 0) and .selection.n > 0 and (.evidence | length) == (.passages | length)' "$BATS_TEST_TMPDIR/evidence.jsonl" >/dev/null
}

@test "every pipeline of tools that README, man pages and examples show says what it expects" {
    run -0 grep -hE 'medrat-[a-z]+ .*\| *medrat-' README.md bin/*.scd $(git ls-files examples | grep -v '\.jsonl$')
    [ "${#lines[@]}" -ge 6 ]
    for line in "${lines[@]}"; do
        [[ "${line##*| medrat-}" == *--expect* ]] || { echo "$line" && return 1; }
    done
}

@test "README's pipeline says so when its first tool dies at a line border" {
    dying_gen
    pipeline=$(sed -n 's/^    \(medrat-gen .* | medrat-rerank .*\)/\1/p' README.md)
    PATH=$BATS_TEST_TMPDIR/bin:$PATH MEDRAT_METHOD=bm25 run --separate-stderr sh -c "$pipeline"
    [[ "$stderr" == *"expected $(wc -l <examples/questions.jsonl) records, but 1 came"* ]]
}

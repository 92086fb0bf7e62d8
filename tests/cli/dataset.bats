#!/usr/bin/env bats
# The data set that make builds: examples/dataset.

bats_require_minimum_version 1.5.0

load common

setup_file() {
    cd "$BATS_FILE_TMPDIR"
    make_tiny tiny
    make_questions 300 >questions.jsonl
}

setup() {
    work=$BATS_TEST_TMPDIR
    cp -r "$BATS_FILE_TMPDIR/questions.jsonl" "$BATS_FILE_TMPDIR/tiny/llama-3" "$work"
    set_questions_options "$work/llama-3"
    unset MAKEFLAGS MAKELEVEL
}

build() { # build [VARIABLE=VALUE]...
    make --no-print-directory -C "$root/examples/dataset" QUESTIONS="$work/questions.jsonl" OUT="$work/set" "$@"
}

@test "one bad line in many is tolerated: all is built, and built once" {
    run -0 build
    jq -e '.error.code == "json"' <(sed -n 31p "$work/set/evidence.jsonl") >/dev/null
    [ "$(wc -l <"$work/set/rationales.jsonl.bad")" -eq 1 ]
    [ "$(wc -l <"$work/set/evidence.jsonl")" -eq 301 ]
    [ "$(wc -l <"$work/set/scores.jsonl")" -eq 301 ]
    jq -e '.medrat.records.failed == 1' "$work/set/summary.json" >/dev/null
    run -0 build
    [ "$output" = "make: Nothing to be done for 'all'." ]
}

@test "more bad lines than that end the build, and cost no work" {
    run -2 build MAX_ERRORS=0
    [ ! -e "$work/set/rationales.jsonl" ]
    [ "$(wc -l <"$work/set/rationales.jsonl.rejected")" -eq 301 ]
    run -2 build MAX_ERRORS=0 # it stays so
}

@test "a build that is stopped goes on with the next make" {
    run -0 build
    mv "$work/set" "$work/whole"
    build 3>&- &
    until_true grep -qs '"lines":[1-9]' "$work/set/rationales.jsonl.state"
    # make and its shell die; the tool, that nobody waits for any more, is not run a second time
    builder=$(pgrep -P $!)
    shell=$(pgrep -P "$builder")
    tool=$(pgrep -P "$shell")
    kill -KILL "$builder" "$shell"
    run -2 build
    [[ "$output" == *"Error 75" ]]
    kill -TERM "$tool"
    until_true sh -c "! kill -0 $tool 2>/dev/null"
    [ ! -e "$work/set/rationales.jsonl" ]
    grep -q '"lines":[1-9]' "$work/set/rationales.jsonl.state"
    run -0 build
    for file in rationales.jsonl evidence.jsonl scores.jsonl; do
        cmp "$work/set/$file" "$work/whole/$file"
    done
}

@test "questions that are newer build anew" {
    run -0 build
    head -n 20 "$BATS_FILE_TMPDIR/questions.jsonl" >"$work/questions.jsonl"
    run -0 build
    [ "$(wc -l <"$work/set/evidence.jsonl")" -eq 20 ]
}

@test "a model that has changed builds anew what it made, and what is made of that" {
    run -0 build
    mv "$work/set" "$work/before" && cp -rp "$work/before" "$work/set"
    sed -i 's/\("rms_norm_eps": *\)[0-9.e-]*/\10.5/' "$work/llama-3/config.json"
    run -0 build
    for file in rationales.jsonl evidence.jsonl scores.jsonl; do
        run ! cmp -s "$work/set/$file" "$work/before/$file"
    done
    run -0 build
    [ "$output" = "make: Nothing to be done for 'all'." ]
}

#!/usr/bin/env bats
# What a newcomer types in the first hour, each command as typed, with the real demo models.

bats_require_minimum_version 1.5.0

load cli/common

setup_file() {
    need_models
}

setup() {
    cd "$BATS_TEST_DIRNAME/.."
    work=$BATS_TEST_TMPDIR
    questions=examples/questions.jsonl
}

# The command as if typed at a terminal: standard input is one.
on_terminal() {
    script --quiet --return --command "$1" /dev/null </dev/null
}

@test "1: a tool typed alone on a terminal shows a short help and exits 64" {
    for tool in medrat-tokenize medrat-gen medrat-score medrat-rerank medrat-train; do
        run -64 on_terminal "$tool"
        [[ "$output" == *"$tool"* && "$output" == *"--help"* ]]
        [ "${#lines[@]}" -le 8 ]
    done
}

@test "2: --help goes to standard output and exits 0" {
    for tool in medrat-tokenize medrat-gen medrat-score medrat-rerank medrat-train; do
        run -0 --separate-stderr "$tool" --help
        [[ "${lines[0]}" == "usage: $tool "* ]]
        [ "$stderr" = "" ]
    done
}

@test "3: --version says what it is for" {
    run -0 medrat-gen --version
    [[ "$output" == "medrat-gen "* && "$output" == *research* ]]
}

@test "4: one question on the command line" {
    run -0 --separate-stderr medrat-gen --query "Does vitamin D prevent falls in older adults?"
    [ "${#lines[@]}" -eq 1 ]
    echo "$output" | jq -e '.query and (.rationales | unique | length) == 3 and .generation.finish_reason == "stop"'
    echo "$output" | jq -e '.generation.model | test("[+]rationales-smollm2@")' # the adapter that ships
    run -0 --separate-stderr medrat-gen -m smollm2 --query "What is gout?" --max-tokens 4
    echo "$output" | jq -e '.generation.model | test("[+]") | not'
    run -0 --separate-stderr medrat-gen -q -m smollm2 --adapter rationales-smollm2 --query "What is gout?" --greedy
    named=$output
    run -0 --separate-stderr medrat-gen -q --query "What is gout?" --greedy
    [ "$output" = "$named" ]
}

@test "5: the line about the demo model can be silenced" {
    run -0 --separate-stderr medrat-gen --query "What is gout?" --max-tokens 4
    [[ "$stderr" == *"not for medical use"* ]]
    run -0 --separate-stderr medrat-gen -q --query "What is gout?" --max-tokens 4
    [ "$stderr" = "" ]
}

@test "6: plain questions, one a line" {
    printf 'What is gout?\nWhat causes anemia?\n' >"$work/questions.txt"
    run -0 --separate-stderr medrat-gen -q --format lines --max-tokens 8 "$work/questions.txt"
    [ "${#lines[@]}" -eq 2 ]
    [ "$(echo "${lines[1]}" | jq -r .query)" = "What causes anemia?" ]
}

@test "7: plain questions without the option: the message names it" {
    run -1 --separate-stderr medrat-gen <<<"What is gout?"
    [[ "$stderr" == *"--format lines"* ]]
}

@test "8: a mistyped option gets a suggestion" {
    run -64 --separate-stderr medrat-gen --temprature 1 --query x
    [[ "$stderr" == *"--temperature"* ]]
}

@test "9: a number out of range says the range" {
    run -64 --separate-stderr medrat-gen --temperature hot --query x
    [[ "$stderr" == *"--temperature"* ]]
    run -64 --separate-stderr medrat-gen --top-p 3 --query x
    [[ "$stderr" == *"--top-p"*"1"* ]]
}

@test "10: a missing model names the command that fetches it" {
    run -66 --separate-stderr medrat-gen -m smollm3 --query "What is gout?"
    [[ "$stderr" == *"smollm3"* && "$stderr" == *"make models"* ]]
    MEDRAT_MODELS=$work run -66 --separate-stderr env HOME="$work" XDG_DATA_HOME="$work" \
        sh -c 'cd / && medrat-gen --query "What is gout?"'
    [[ "$stderr" == *"make models"* ]]
}

@test "11: a missing file is named" {
    run -66 --separate-stderr medrat-score nosuch.jsonl
    [[ "$stderr" == *nosuch.jsonl* ]]
}

@test "12: text to tokens and back" {
    run -0 --separate-stderr sh -c \
        'echo "{\"text\":\"Aspirin 100 mg, twice daily\"}" | medrat-tokenize -q | medrat-tokenize -q --decode --existing replace | jq -r .text'
    [ "$output" = "Aspirin 100 mg, twice daily" ]
}

@test "13: counting tokens" {
    run -0 --separate-stderr medrat-tokenize -q <<<'{"text":"gout"}'
    echo "$output" | jq -e '.n_tokens == (.tokens | length)'
}

@test "14: the tokens of a chat" {
    run -0 --separate-stderr medrat-tokenize -q --pieces \
        <<<'{"messages":[{"role":"user","content":"What is gout?"}]}'
    [[ "$output" == *'<|im_start|>'* ]]
}

@test "15: the loss of a text" {
    run -0 --separate-stderr medrat-score -q <<<'{"id":1,"text":"Gout is caused by uric acid crystals."}'
    echo "$output" | jq -e '.id == 1 and .score.tokens > 5 and .score.perplexity > 1'
}

@test "16: which of two completions is likelier" {
    run -0 --separate-stderr medrat-score -q <<'EOF'
{"prompt":"The capital of France is","completion":" Paris"}
{"prompt":"The capital of France is","completion":" banana"}
EOF
    paris=$(echo "${lines[0]}" | jq .score.nll)
    banana=$(echo "${lines[1]}" | jq .score.nll)
    jq -en "$paris < $banana"
}

@test "17: ranking passages by words alone, no model" {
    run -0 --separate-stderr medrat-rerank --method bm25 <<'EOF'
{"query":"uric acid and gout","passages":["Colds are caused by viruses.","Gout follows high uric acid."]}
EOF
    echo "$output" | jq -e '.evidence[0].id == 1'
}

@test "18: ranking passages by meaning" {
    run -0 --separate-stderr medrat-rerank -q <<'EOF'
{"query":"heart attack","rationales":["Look for chest pain."],"passages":["The tax is due in May.","Myocardial infarction often begins with chest pain."]}
EOF
    echo "$output" | jq -e '.evidence[0].id == 1 and .evidence[0].selected'
}

@test "19: the whole pipeline, shown to a person" {
    head -n 2 "$questions" >"$work/two.jsonl"
    run -0 --separate-stderr sh -c \
        "medrat-gen -q --max-tokens 48 '$work/two.jsonl' | medrat-rerank -q | examples/show"
    [[ "$output" == *"model text, to be checked by a person"* ]]
}

@test "20: gzip in, gzip out" {
    echo '{"text":"gout"}' | gzip >"$work/in.gz"
    run -0 --separate-stderr medrat-tokenize -q -o "$work/out.jsonl.gz" "$work/in.gz"
    run -0 sh -c "gzip -dc '$work/out.jsonl.gz' | jq .n_tokens"
}

@test "21: a bad line costs one line" {
    printf '{"text":"one"}\n{"text":\n{"text":"three"}\n' >"$work/in"
    run -1 --separate-stderr medrat-tokenize -q "$work/in"
    [ "${#lines[@]}" -eq 3 ]
    echo "${lines[1]}" | jq -e '.error.tool == "medrat-tokenize" and .error.line == 2 and .error.code'
}

@test "22: failed lines go to a file of their own" {
    printf '{"text":"one"}\nnot json\n' >"$work/in"
    run -1 --separate-stderr medrat-tokenize -q --on-error skip --errors "$work/bad" "$work/in"
    [ "${#lines[@]}" -eq 1 ]
    [ "$(stat -c %a "$work/bad")" = 600 ]
    grep -q 'not json' "$work/bad"
}

@test "23: an output that would be incomplete does not appear" {
    echo '{"text":"one"}' >"$work/in"
    run -65 --separate-stderr medrat-tokenize -q --expect 2 -o "$work/out" "$work/in"
    [ ! -e "$work/out" ]
}

@test "24: an unknown recipe lists those that ship; one of your own works" {
    run -66 --separate-stderr medrat-gen --recipe poems --query x
    [[ "$stderr" == *rationales-chat* ]]
    cat >"$work/mine.yaml" <<'EOF'
prompt: "Question: {query}\nKeyword:"
max_tokens: 4
greedy: true
EOF
    run -0 --separate-stderr medrat-gen -q --recipe "$work/mine.yaml" --query "What is gout?"
    echo "$output" | jq -e '.generation.completion_tokens <= 4'
}

@test "25: settings from a file, a pipe cut short, and the manual" {
    printf 'max-tokens: 3\n' >"$work/gen.yaml"
    run -0 --separate-stderr medrat-gen -q -c "$work/gen.yaml" --query "What is gout?"
    echo "$output" | jq -e '.generation.completion_tokens <= 3'
    run -0 --separate-stderr bash -c "yes '{\"text\":\"a\"}' | medrat-tokenize -q | head -n 1"
    [ "$stderr" = "" ]
    run -0 man -l "$MEDRAT_BUILD/man/medrat-gen.1"
    [[ "$output" == *"medrat-gen"* ]]
}

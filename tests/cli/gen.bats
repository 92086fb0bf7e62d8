#!/usr/bin/env bats
# medrat-gen from the outside: what it reads, what it adds, and that the way does not matter.

bats_require_minimum_version 1.5.0

load common

setup_file() {
    make_tiny "$BATS_FILE_TMPDIR/tiny"
}

setup() {
    set -o pipefail # a pipe into jq must not hide a failure
    tiny=$BATS_FILE_TMPDIR/tiny/llama-q4_1.gguf # byte-level BPE
    work=$BATS_TEST_TMPDIR
    cd "$BATS_TEST_DIRNAME/../.."
}

gen() {
    medrat-gen -q -m "$tiny" --recipe raw "$@"
}

# Prompts of very different lengths, with ids.
make_prompts() { # make_prompts N
    local i
    for ((i = 0; i < $1; i++)); do
        printf '{"id":"p%d","prompt":"%s the cause of fever %d"}\n' \
            "$i" "$(printf 'pain and %.0s' $(seq $((i * i % 23))))" "$i"
    done
}

# One result, and of answers that differ, so that a mix-up would show.
one_result() { # one_result IN COMMAND...
    check_one_result "$@"
    [ "$(jq -r '.generation.text' "$work/alone" | sort -u | wc -l)" -gt 3 ]
}

@test "greedy: one result on the small model" {
    make_prompts 12 >"$work/in"
    one_result "$work/in" gen --greedy --max-tokens 20
}

@test "sampled: one result on the small model" {
    make_prompts 12 >"$work/in"
    one_result "$work/in" gen --temperature 1.1 --max-tokens 20 --seed 7 --logprobs 2
}

@test "greedy: one result on the real model" {
    need_models
    head -n 6 examples/questions.jsonl | jq -c '{id, query}' >"$work/in"
    one_result "$work/in" medrat-gen -q --greedy --max-tokens 16
}

@test "sampled: one result on the real model" {
    need_models
    head -n 6 examples/questions.jsonl | jq -c '{id, query}' >"$work/in"
    one_result "$work/in" medrat-gen -q --max-tokens 16 --seed 3
}

# A chat with examples before each question: one prompt but for its last line.
@test "a common prompt head is computed once, and the bytes are the same" {
    need_models
    need_data
    head -n 9 "$MEDRAT_DATA/rationales/val.jsonl" | jq -c '{id, query}' >"$work/in"
    medrat-gen -q --recipe rationales-chat --greedy --max-tokens 3 --batch 1 --stats "$work/stats" "$work/in" >"$work/alone"
    jq -e '.shared_tokens % (8 * 64) == 0 and .shared_tokens > .prompt_tokens / 2' "$work/stats"
    for batch in 7 32; do
        medrat-gen -q --recipe rationales-chat --greedy --max-tokens 3 --batch $batch "$work/in" | cmp - "$work/alone"
    done
    shuf --random-source="$work/in" "$work/in" >"$work/shuffled"
    medrat-gen -q --recipe rationales-chat --greedy --max-tokens 3 --batch 4 "$work/shuffled" | sort | cmp - <(sort "$work/alone")
}

@test "each kernel set gives one result" {
    make_prompts 4 >"$work/in"
    MEDRAT_KERNELS=scalar gen --greedy --max-tokens 6 --batch 1 "$work/in" >"$work/alone"
    MEDRAT_KERNELS=scalar gen --greedy --max-tokens 6 --batch 4 --threads 2 "$work/in" | cmp - "$work/alone"
}

@test "the input is tokens, else messages, else prompt, else the recipe's" {
    echo '{"prompt":"a cough","tokens":[5,6,7],"messages":7,"query":"gout"}' >"$work/in"
    [ "$(gen --max-tokens 2 "$work/in" | jq .generation.prompt_tokens)" = 3 ]
    echo '{"prompt":"fever fever fever","query":"x"}' >"$work/in"
    n=$(gen --max-tokens 2 "$work/in" | jq .generation.prompt_tokens)
    echo '{"query":"fever fever fever"}' >"$work/in" # which raw takes as it stands
    [ "$(gen --max-tokens 2 "$work/in" | jq .generation.prompt_tokens)" = "$n" ]
}

@test "the text of a prompt is the text of its tokens" {
    echo '{"prompt":"the cause of fever"}' >"$work/in"
    gen --greedy --max-tokens 9 "$work/in" | jq -c .generation >"$work/text"
    medrat-tokenize -q -m "$tiny" <(echo '{"text":"the cause of fever"}') >"$work/tokens"
    gen --greedy --max-tokens 9 "$work/tokens" | jq -c .generation | cmp - "$work/text"
}

@test "the generation has its members" {
    run -0 gen --greedy --max-tokens 3 --seed 18446744073709551615 <<<'{"id":1,"prompt":"the cause"}'
    [[ "$output" == '{"id":1,"prompt":"the cause","generation":{"text":'* ]]
    [[ "$output" == *'"seed":18446744073709551615,'* ]]
    jq -e '.generation | (keys_unsorted == ["text", "finish_reason", "prompt_tokens", "completion_tokens",
        "logprob", "seed", "truncated", "model"]) and .finish_reason == "length" and
        .completion_tokens == 3 and .logprob < 0 and .truncated == 0 and
        (.model | test("^llama-q4_1@[0-9a-f]{16}$"))' <<<"$output"
}

@test "log-probabilities: one entry a token, the best first, and they add up" {
    run -0 gen --greedy --max-tokens 7 --logprobs 3 <<<'{"prompt":"the cause of"}'
    jq -e '.generation | (.logprobs | length) == .completion_tokens
        and all(.logprobs[]; (.top | length) == 3 and .top[0].id == .id and .top[0].logprob == .logprob
            and .top[0].logprob >= .top[1].logprob and .top[1].logprob >= .top[2].logprob)
        and ((.logprobs | map(.logprob) | add) - .logprob | fabs) < 1e-9
        and (.logprobs | map(.token) | join("")) == .text' <<<"$output"
}

@test "a stop string ends the text before it, across borders of tokens" {
    echo '{"prompt":"the cause of fever"}' >"$work/in"
    gen --greedy --max-tokens 24 --logprobs 1 "$work/in" >"$work/whole"
    # from the middle of token 5 to the middle of token 8, by the bytes of the text
    stop=$(jq -j '.generation | (.logprobs[:5] | map(.token) | join("") | length) as $n | .text[$n + 1:$n + 6]' "$work/whole")
    run -0 gen --greedy --max-tokens 24 --stop "not in it" --stop "$stop" "$work/in"
    jq -e --arg stop "$stop" --slurpfile whole "$work/whole" '
        ($whole[0].generation.text | split($stop)[0]) as $want | .generation |
        .finish_reason == "stop" and .text == $want and .completion_tokens < 24' <<<"$output"
    run -64 gen --stop "" "$work/in"
    [[ "$output" == *"stop string is empty"* ]]
}

@test "samples: the first is what one sample is, and they differ" {
    echo '{"id":"a","prompt":"the cause of fever"}' >"$work/in"
    gen --temperature 1 --max-tokens 12 "$work/in" | jq -c .generation >"$work/one"
    run -0 gen --temperature 1 --max-tokens 12 --samples 4 --batch 2 "$work/in"
    jq -c '.generations[0]' <<<"$output" | cmp - "$work/one"
    jq -e '(has("generation") | not) and (.generations | map(.text) | unique | length) >= 3' <<<"$output"
}

@test "seed and id decide, and the place in the input does not" {
    one='{"id":"a","prompt":"the cause of fever"}' two='{"id":"b","prompt":"the cause of fever"}'
    text() { jq -r '.generation.text'; }
    a=$(gen --temperature 1 --max-tokens 12 <<<"$one" | text)
    [ "$(gen --temperature 1 --max-tokens 12 < <(echo "$two" && echo "$one") | tail -n 1 | text)" = "$a" ]
    [ "$(gen --temperature 1 --max-tokens 12 <<<"$two" | text)" != "$a" ]
    [ "$(gen --temperature 1 --max-tokens 12 --seed 1 <<<"$one" | text)" != "$a" ]
    [ "$(gen --temperature 1 --max-tokens 12 --seed 1 <<<'{"id":"a","x":0,"prompt":"the cause of fever"}' | text)" = \
        "$(gen --temperature 1 --max-tokens 12 --seed 1 <<<"$one" | text)" ]
}

@test "temperature 0 and top-k 1 are greedy" {
    echo '{"prompt":"the cause of fever"}' >"$work/in"
    gen --greedy --max-tokens 9 "$work/in" >"$work/greedy"
    gen --temperature 0 --max-tokens 9 "$work/in" | cmp - "$work/greedy"
    gen --temperature 2 --top-k 1 --max-tokens 9 "$work/in" | cmp - "$work/greedy"
    gen --temperature 2 --top-k 0 --top-p 0 --max-tokens 9 "$work/in" | cmp - "$work/greedy"
    gen --temperature 2 --top-k 0 --min-p 1 --max-tokens 9 "$work/in" | cmp - "$work/greedy"
}

@test "what does not fit the context fails alone" {
    {
        echo '{"id":1,"prompt":"the cause"}'
        jq -nc '{id: 2, tokens: [range(2050) | 5]}'
        echo '{"id":3,"tokens":[1,2,999999]}'
        echo '{"id":4,"tokens":[]}'
        echo '{"id":5,"prompt":"the cause"}'
    } >"$work/in"
    run -1 gen --greedy --max-tokens 4 "$work/in"
    [ "${#lines[@]}" -eq 5 ]
    [ "$(jq -rs 'map(.error.code // "done") | join(" ")' <<<"$output")" = "done too_long range empty done" ]
    run -78 gen --max-tokens 100000 "$work/in"
    [[ "$output" == *"context is "* ]]
}

@test "a long question is cut and counted, its frame stays" {
    long=$(printf 'fever and pain %.0s' $(seq 100))
    jq -nc --arg q "$long" '{query: $q}' >"$work/in"
    run -0 gen --recipe card --max-length 200 --max-tokens 2 --stats "$work/stats" "$work/in"
    jq -e '.generation.truncated > 0 and .generation.prompt_tokens <= 200' <<<"$output"
    jq -e '.truncated_records == 1 and .truncated_tokens > 0' "$work/stats"
    run -1 gen --recipe card --max-length 200 --truncate error --max-tokens 2 "$work/in"
    [ "$(jq -r .error.code <<<"$output")" = too_long ]
}

@test "the recipe's settings hold until an option says otherwise" {
    printf '%s\n' 'prompt: "{query}"' 'greedy: true' 'max_tokens: 5' 'parse: none' >"$work/r.yaml"
    echo '{"query":"the cause of fever"}' >"$work/in"
    gen --recipe "$work/r.yaml" "$work/in" >"$work/a"
    [ "$(jq .generation.completion_tokens "$work/a")" = 5 ]
    gen --recipe "$work/r.yaml" --seed 9 "$work/in" | jq -c .generation.text | cmp - <(jq -c .generation.text "$work/a")
    [ "$(gen --recipe "$work/r.yaml" --max-tokens 6 "$work/in" | jq .generation.completion_tokens)" = 6 ]
    [ "$(gen --recipe "$work/r.yaml" --temperature 3 "$work/in" | jq .generation.text)" != \
        "$(jq .generation.text "$work/a")" ]
    run -66 gen --recipe nonesuch "$work/in"
    [[ "$output" == *rationales-chat* ]]
}

@test "members that are there: an error, replaced, or kept" {
    echo '{"prompt":"the cause","generation":5}' >"$work/in"
    run -1 gen --max-tokens 2 "$work/in"
    [ "$(jq -r .error.code <<<"$output")" = exists ]
    [ "$(gen --existing replace --max-tokens 2 "$work/in" | jq .generation.completion_tokens)" = 2 ]
    gen --existing keep "$work/in" | cmp - "$work/in"
}

@test "rationales come from questions, edited ones survive" {
    echo '{"query":"the cause of fever","rationales":["Mine."]}' >"$work/in"
    medrat-gen -q -m "$tiny" --recipe rationales --existing keep --max-tokens 9 "$work/in" |
        jq -e '.rationales == ["Mine."] and .generation.completion_tokens > 0'
    echo '{"query":"the cause of fever"}' | medrat-gen -q -m "$tiny" --recipe rationales --max-tokens 9 |
        jq -e '.rationales | type == "array"'
    echo '{"prompt":"the cause of fever"}' | medrat-gen -q -m "$tiny" --recipe rationales --max-tokens 9 |
        jq -e 'has("rationales") | not'
}

@test "a model without a tokenizer serves tokens" {
    tiny=$BATS_FILE_TMPDIR/tiny/mistral-f32
    run -1 gen --greedy --max-tokens 4 < <(echo '{"tokens":[3,4,5]}' && echo '{"prompt":"fever"}')
    jq -e '.generation.tokens | length == 4' <<<"${lines[0]}"
    [ "$(jq -r .error.code <<<"${lines[1]}")" = no_tokenizer ]
}

@test "records leave while the input stays open" {
    mkfifo "$work/pipe"
    medrat-gen -q -m "$tiny" --recipe raw --max-tokens 2 <"$work/pipe" >"$work/out" &
    exec 9>"$work/pipe"
    echo '{"prompt":"fever"}' >&9
    until_true has_lines "$work/out" 1
    echo '{"prompt":"cough"}' >&9
    until_true has_lines "$work/out" 2
    exec 9>&-
    wait
}

@test "threads are counted and told" {
    run -0 --separate-stderr medrat-gen -v -m "$tiny" --recipe raw --threads 2 --max-tokens 2 --stats "$work/stats" \
        <<<'{"prompt":"fever"}'
    [[ "$stderr" == *"2 threads"* ]]
    jq -e '.threads == 2 and (.model | startswith("llama-q4_1@")) and .prompt_tokens > 0 and
        .completion_tokens == 2' "$work/stats"
    need_command taskset
    taskset -c 0 medrat-gen -q -m "$tiny" --recipe raw --max-tokens 2 --stats "$work/stats" <<<'{"prompt":"fever"}' >/dev/null
    jq -e '.threads == 1' "$work/stats"
}

@test "bad models are refused with their name" {
    run -66 medrat-gen -q -m "$work/none.gguf" --query x
    head -c 5000 "$tiny" >"$work/cut.gguf"
    run -78 medrat-gen -q -m "$work/cut.gguf" --query x
    [[ "$output" == *cut.gguf* ]]
    run -78 medrat-gen -q -m "$BATS_FILE_TMPDIR/tiny/bert-f32" --query x
    [[ "$output" == *encoder* ]]
    run -78 env MEDRAT_KERNELS=avx9000 medrat-gen -q -m "$tiny" --query x
    [[ "$output" == *avx9000* ]]
}

#!/usr/bin/env bats
# What the tools write is what the references say (tests/golden/README.md), end to end; the C tests
# golden_*_test.c compare more of it, token by token.

bats_require_minimum_version 1.5.0

load common

setup() {
    set -o pipefail # a pipe into jq must not hide a failure
    golden=$BATS_TEST_DIRNAME/../golden
    work=$BATS_TEST_TMPDIR
}

@test "medrat-score: losses of the small models are those of transformers" {
    "$MEDRAT_BUILD/tests/golden/make_tiny" "$work"
    for model in mistral-bf16 llama-f32 llama-q4_0.gguf llama-q4_1.gguf; do
        jq -c "select(.model == \"$model\" and (.nll | length) > 0)" "$golden/tiny_losses.jsonl" >"$work/in"
        [ "$(n_lines "$work/in")" -eq 7 ]
        run -0 --separate-stderr medrat-score -q -m "$work/$model" "$work/in"
        [ "${#lines[@]}" -eq 7 ]
        jq -es 'all(.[]; (.score.tokens == (.nll | length))
            and (.score.loss - (.nll | add / length) | fabs) < 1e-3)' <<<"$output"
    done
}

@test "medrat-gen: greedy answers to chats are those of transformers" {
    need_models
    [ "${MEDRAT_BUILD_CONFIG:-release}" = release ] || skip "real models run in release builds"
    # Where the reference's best two are within 0.05 anywhere, rounding may decide: not compared here.
    jq -c 'select(.margins | min >= 0.05) | {messages, want: .text, n: (.completion | length)}' \
        "$golden/greedy.jsonl" >"$work/in"
    [ "$(n_lines "$work/in")" -ge 8 ]
    run -0 --separate-stderr medrat-gen -q -m smollm2 --greedy --max-tokens 40 "$work/in"
    [ "${#lines[@]}" -eq "$(n_lines "$work/in")" ]
    jq -es 'all(.[]; .generation.text == .want and .generation.completion_tokens == .n)' <<<"$output"
}

#!/usr/bin/env bats
# medrat-rerank with encoders of every kind and with cross-encoders: the scores of the reference
# (tests/golden/berts.py), and what is refused.

bats_require_minimum_version 1.5.0

load common

setup_file() {
    make_tiny "$BATS_FILE_TMPDIR/tiny"
}

setup() {
    set -o pipefail
    cd "$BATS_TEST_DIRNAME/../.."
    tiny=$BATS_FILE_TMPDIR/tiny
    scores=tests/golden/tiny_scores.jsonl
    work=$BATS_TEST_TMPDIR
}

cross() {
    medrat-rerank -q --method cross --cross-encoder "$tiny/cross-f32" "$@"
}

every() { # every FILTER [FILE]: true of each record, and there is one
    jq -e -n "[inputs] | length > 0 and all(.[]; $1)" "${@:2}" >/dev/null
}

# The evidence has the scores of the reference, and its order. On the kernels that compute in full: what others round
# is said in tests/unit/golden_berts_test.c.
agrees() { # agrees MODEL OPTION...
    local model=$1
    shift
    jq -c "select(.model == \"$model\")" "$scores" >"$work/golden"
    [ -s "$work/golden" ]
    MEDRAT_KERNELS=scalar medrat-rerank -q "$@" "$tiny/$model" "$work/golden" >"$work/out"
    every '. as $r | all(.evidence[]; (.score - $r.scores[.id] | fabs) <= 2e-5 * ([$r.scores[] | fabs] | max))' "$work/out"
    every '. as $r | [.evidence[].id] == ([$r.passages | keys[]] | sort_by(- $r.scores[.]))' "$work/out"
}

@test "an encoder of CLS pooling ranks by the dot product of prompted texts" {
    agrees bert-cls-bf16 --method query --encoder
    every '.evidence[0].score > 2' "$work/out" # no cosine
}

@test "encoders of max and of mean pooling leave their prompts out, where the folder says so" {
    agrees bert-max-f16 --method query --encoder
    agrees bert-unpooled --method query --encoder
}

@test "a folder without modules.json is an encoder of mean pooling, and -v says so" {
    agrees bert-plain --method query --encoder
    medrat-rerank -v --method query --encoder "$tiny/bert-plain" "$work/golden" 2>"$work/log" >/dev/null
    grep -q "encoder bert-plain@.*: mean of the tokens, cosine, 50 tokens, tokenizer vocab.txt (it has no modules.json)" "$work/log"
    medrat-rerank -v --method query --encoder "$tiny/bert-cls-bf16" "$work/golden" 2>"$work/log" >/dev/null
    grep -q ": the first token, dot product, 40 tokens, with its prompts, tokenizer vocab.txt$" "$work/log"
}

@test "a cross-encoder's score is its logit, as CrossEncoder's without an activation" {
    agrees cross-f32 --method cross --cross-encoder
    every 'all(.evidence[]; .rationales == [] and .selected == (.via == ["cross"]))' "$work/out"
    every '.selection.method == "cross" and (.selection.encoder | startswith("cross-f32@"))' "$work/out"
    every '.selection.reason | test("by the cross-encoder$")' "$work/out"
    every '.evidence[0].reason | test("^1st of [0-9] above the elbow by the cross-encoder \\(1.72\\)$")' "$work/out"
    every '[.evidence[] | select(.truncated) | .id] == [4] and .selection.truncated == 1' "$work/out"
}

@test "the cuts apply to logits; rationales in the record change nothing" {
    cross --cut top:2 "$scores" | every '[.evidence[:2][].selected, .selection.n == 2] | all'
    cross --cut score:1 "$scores" | every 'all(.evidence[]; .selected == (.score >= 1))'
    jq -c '.rationales = ["pain"]' "$scores" | cross >"$work/with"
    cross "$scores" >"$work/without"
    cmp <(jq -c '.evidence, .selection' "$work/with") <(jq -c '.evidence, .selection' "$work/without")
}

@test "the same bytes for every batch, thread count and order of records" {
    cross examples/questions.jsonl >"$work/out"
    check_one_result examples/questions.jsonl cross
    cmp "$work/out" "$work/alone"
}

@test "statistics name the cross-encoder and count its tokens" {
    cross --stats "$work/stats" "$scores" >"$work/out"
    every '.method == "cross" and (.encoder | startswith("cross-f32@")) and .encoder_tokens > 100 and .truncated == 5' "$work/stats"
    medrat-rerank -v --method cross --cross-encoder "$tiny/cross-f32" "$scores" 2>"$work/log" >/dev/null
    grep -q "cross-encoder cross-f32@.* on .*: 50 tokens, tokenizer vocab.txt$" "$work/log"
}

@test "no passages is no error" {
    echo '{"query":"q","passages":[]}' | cross | every '.evidence == [] and .selection.n == 0'
}

@test "--cross-encoder and --method cross go together" {
    run -64 --separate-stderr medrat-rerank --method cross /dev/null
    [[ "$stderr" == *"--method cross needs --cross-encoder DIR"* ]]
    run -64 --separate-stderr medrat-rerank --method query --cross-encoder "$tiny/cross-f32" /dev/null
    [[ "$stderr" == *"--method query uses no --cross-encoder"* ]]
    run -64 --separate-stderr cross --encoder "$tiny/bert-f32" /dev/null
    [[ "$stderr" == *"--method cross uses no --encoder"* ]]
}

@test "what is no cross-encoder, or no encoder, is told by what it is" {
    run -78 --separate-stderr medrat-rerank -q --method cross --cross-encoder "$tiny/bert-f32" /dev/null
    [[ "$stderr" == *"bert-f32: is an encoder (BertModel), not a cross-encoder (BertForSequenceClassification)"* ]]
    run -78 --separate-stderr medrat-rerank -q --method cross --cross-encoder "$tiny/llama-f32" /dev/null
    [[ "$stderr" == *"llama-f32: is a language model ('llama'), not a cross-encoder"* ]]
    run -78 --separate-stderr medrat-rerank -q --method cross --cross-encoder "$tiny/cross-3-bf16" /dev/null
    [[ "$stderr" == *"cross-3-bf16: a classifier of 3 labels; --method cross takes one of 1 label"* ]]
    run -78 --separate-stderr medrat-rerank -q --encoder "$tiny/cross-f32" /dev/null
    [[ "$stderr" == *"cross-f32: is a cross-encoder (BertForSequenceClassification), not an encoder"* ]]
    run -66 --separate-stderr medrat-rerank -q --method cross --cross-encoder "$work/none" /dev/null
}

#!/usr/bin/env bats
# --plan: what a run would take and what would fail in it, without its weights.

bats_require_minimum_version 1.5.0

load common

setup_file() {
    cd "$BATS_FILE_TMPDIR"
    make_tiny tiny
    for ((i = 1; i <= 40; i++)); do
        jq -cn --argjson i $i '{id: $i, tokens: [range($i % 9 + 2)]}'
    done >in.jsonl
}

setup() {
    cd "$BATS_TEST_TMPDIR"
    cp "$BATS_FILE_TMPDIR/in.jsonl" .
    model=$BATS_FILE_TMPDIR/tiny/mistral-f32
}

@test "the tokens that are planned are those of the run" {
    medrat-gen -q -m "$model" --max-tokens 3 --plan in.jsonl >plan
    medrat-gen -q -m "$model" --max-tokens 3 --stats stats in.jsonl >out
    [ "$(jq .plan.tokens.total plan)" -eq "$(jq .prompt_tokens stats)" ]
    [ "$(jq .plan.max_new_tokens plan)" -eq 120 ]
    jq -e '.records == 40 and .exit_status == 0
        and .plan.tokens.least == 2 and .plan.tokens.greatest == 10 and .plan.tokens.p50 == 6
        and ([.plan.tokens.histogram[].records] | add) == 40' plan
    [ "$(jq -r .model plan)" = "$(jq -r .model stats)" ]

    medrat-score -q -m "$model" --max-length 5 --plan in.jsonl >plan
    medrat-score -q -m "$model" --max-length 5 --stats stats in.jsonl >out
    for figure in truncated_records truncated_tokens; do
        [ "$(jq .plan.$figure plan)" -eq "$(jq .$figure stats)" ]
    done
    [ "$(jq .plan.truncated_records plan)" -gt 0 ]
}

@test "what would fail is named and ends with 65, as far as it is not tolerated" {
    sed -i '7s/.*/{"broken":/; 9s/.*/{"tokens":[1,999999]}/' in.jsonl
    run -65 --separate-stderr medrat-gen -m "$model" --plan in.jsonl
    [[ "$stderr" == *"in.jsonl:7"* && "$stderr" == *"in.jsonl:9"* ]]
    jq -e '.failed == 2 and .exit_status == 65' <<<"$output"
    run -0 medrat-gen -q -m "$model" --plan --max-errors 5% in.jsonl
    run -65 medrat-gen -q -m "$model" --plan --max-errors 5% --on-error fail in.jsonl
    run -65 medrat-gen -q -m "$model" --plan --max-errors 5% --expect 41 in.jsonl
}

@test "a model or an adapter that would be refused is" {
    cp -r "$model" broken
    truncate -s -1 broken/model.safetensors
    run -78 medrat-score -q -m broken --plan in.jsonl
    [[ "$output" == *"broken/model.safetensors"* ]]
    medrat-train -q -m "$model" --steps 1 -o adapter in.jsonl
    run -0 medrat-score -q -m "$model" --adapter adapter --plan in.jsonl
    sed -i 's/"r": *[0-9]*/"r": 0/' adapter/adapter_config.json
    run -78 medrat-score -q -m "$model" --adapter adapter --plan in.jsonl
    [[ "$output" == *"adapter_config.json"* ]]
}

@test "the time comes from an earlier run with the same model on the same device, or is not told" {
    medrat-score -q -m "$model" --plan in.jsonl | jq -e '.plan.seconds == null and (.plan.no_seconds_because | length > 0)'
    medrat-score -q -m "$model" --stats stats in.jsonl >out
    cp stats before
    medrat-score -q -m "$model" --plan --stats stats in.jsonl >plan
    jq -e --slurpfile was stats '.plan.seconds as $s | .plan.tokens.total * $was[0].seconds / $was[0].scored_tokens | . - $s | fabs < 1e-9' plan
    cmp stats before # a plan writes no file
    medrat-score -q -m "$BATS_FILE_TMPDIR/tiny/llama-f32" --plan --stats stats in.jsonl |
        jq -e '.plan.seconds == null and (.plan.no_seconds_because | test("model"))'
}

@test "nothing is written, also where the run would" {
    medrat-gen -q -m "$model" --plan --resume --meta --dep-file d -o out --errors bad in.jsonl >plan
    [ "$(ls)" = "$(printf 'in.jsonl\nplan')" ]
}

@test "weights are not loaded, and memory is what --mem goes by" {
    need_models
    medrat-score -q --plan --batch 4 --max-length 256 <<<'{"text":"aspirin"}' >plan
    jq -e '.peak_memory < .plan.memory.weights' plan
    run -71 medrat-score -q --batch 4 --max-length 256 --mem "$(($(jq .plan.memory.total plan) * 9 / 10))" <<<'{"text":"aspirin"}'
    run -0 medrat-score -q --batch 4 --max-length 256 --mem "$(($(jq .plan.memory.total plan) * 11 / 10))" <<<'{"text":"aspirin"}'
}

@test "training is planned by the rows, steps and memory of the run" {
    train() { medrat-train -q -m "$model" --rank 4 --batch 3 --accumulation 2 --epochs 2 "$@"; }
    train --plan in.jsonl >plan
    train --stats stats -o adapter in.jsonl
    for figure in rows tokens targets truncated; do
        [ "$(jq ".$figure" plan)" -eq "$(jq ".$figure" stats)" ]
    done
    [ "$(jq .plan.tokens.total plan)" -eq "$(jq .tokens stats)" ]
    [ "$(jq .plan.steps plan)" -eq "$(jq .steps stats)" ]
    [ "$(jq .trained_tokens stats)" -eq $((2 * $(jq .tokens stats))) ]
    [ "$(jq .trained_tokens stats)" -eq "$(jq -s 'map(.tokens // 0) | add' adapter/metrics.jsonl)" ]
    jq -e '.plan.seconds == null and .steps == 0' plan
    # as many tokens as that run: its time
    train --plan --stats stats in.jsonl | jq -e --slurpfile was stats '.plan.seconds - $was[0].seconds | fabs < 1e-9'
    # half of the steps: half of it
    train --plan --steps $(($(jq .steps stats) / 2)) --stats stats in.jsonl |
        jq -e --slurpfile was stats '.plan.seconds * 2 - $was[0].seconds | fabs < 1e-9'
}

@test "what would end training is told by its plan, which writes nothing" {
    train() { medrat-train -q -m "$model" --plan "$@"; }
    run -0 train in.jsonl
    run -0 train -o adapter in.jsonl
    [ "$(ls)" = in.jsonl ]
    mkdir adapter
    run -64 train -o adapter in.jsonl
    run -71 train --mem 1K in.jsonl
    run -66 train --init "$BATS_FILE_TMPDIR" in.jsonl # no adapter
    echo '{"broken":' >bad.jsonl
    run -65 train in.jsonl bad.jsonl
    run -0 train --max-errors 1 in.jsonl bad.jsonl
    run -65 train --validation <(cat in.jsonl bad.jsonl) in.jsonl
    run -65 train /dev/null
}

#!/usr/bin/env bats
# make card: the model card's evaluation on folders laid out as the hub's cache has them, beside the
# card's own figures.

bats_require_minimum_version 1.5.0

load common

setup_file() {
    local files=$BATS_FILE_TMPDIR/files
    make_tiny "$BATS_FILE_TMPDIR/tiny"
    mkdir "$BATS_FILE_TMPDIR/adapters"
    "$MEDRAT_BUILD/tests/golden/make_adapters" "$BATS_FILE_TMPDIR/adapters"
    # three files, their index, a config and a tokenizer
    cp -r "$BATS_FILE_TMPDIR/tiny/mistral-shards" "$files"
    cp "$root/tests/golden/tokenizers/bytes.json" "$files/tokenizer.json"
    export HF_HUB_CACHE=$BATS_FILE_TMPDIR/hub
    make_snapshot "$HF_HUB_CACHE" mistralai/Mistral-7B-Instruct-v0.3 "$files"
    make_snapshot "$HF_HUB_CACHE" someone/rationales "$BATS_FILE_TMPDIR/adapters/shards"
}

setup() {
    set -o pipefail
    work=$BATS_TEST_TMPDIR
    model=mistralai/Mistral-7B-Instruct-v0.3
    adapter=$BATS_FILE_TMPDIR/adapters/shards
    cd "$root"
    for i in $(seq 12); do
        words=$(printf 'pain and %.0s' $(seq $((i * i % 7 + 1))))
        printf '{"id":"q%d","query":"%s","text":"### Instruction:\\nSay it.\\n\\n### Query:\\n%s?\\n\\n### Response:\\nfever %d"}\n' \
            "$i" "$words" "$words" "$i"
    done >"$work/texts"
    echo '{"id":"q13","query":"a cough"}' >>"$work/texts" # is scored by its query
}

card() {
    .make/card.sh "$@" "$work/out"
}

@test "the card's evaluation is printed beside the card" {
    run -0 --separate-stderr card "$model" "$adapter" "$work/texts"
    [[ "$output" == *"perplexity                                7.784124"* ]]
    [[ "$output" == *"texts                                         1624            13"* ]]
    [[ "$output" == *"speed                                     -43.6679"* ]]
    [[ "$output" == *"completion, "*" % of the tokens"* ]]
    [[ "$output" == *"95 % interval: "* ]]
    [[ "$output" == *"These are not the texts of the card"* ]]
    [[ "$output" == *"model Mistral-7B-Instruct-v0.3@"*", adapter shards@"* ]]
    # what is printed is what was measured
    perplexity=$(jq '.fine_tuned_model.perplexity | . * 1000 | floor / 1000' "$work/out/summary.json")
    [[ "$output" == *" $perplexity"* ]]
    [ "$(wc -l <"$work/out/scores.jsonl")" = 13 ]
    jq -e '.comparison.relative_speed > 0 and .evaluation_parameters.max_length == 1024
        and .medrat.records.failed == 0' "$work/out/summary.json"
}

@test "the adapter may lie in the cache as well" {
    run -0 --separate-stderr card "$model" someone/rationales "$work/texts"
    jq -e '.medrat.options.adapters | test("^rationales@")' "$work/out/summary.json"
}

@test "the summary is made of the two scores of each record" {
    run -0 --separate-stderr card "$model" "$adapter" "$work/texts"
    jq -s 'map(select(.score.loss)) as $r
        | def card(f): ($r | map((f | .loss) * ((f | .tokens) + 1)) | add) / ($r | map((f | .tokens) + 1) | add);
        {base: card(.score_base), tuned: card(.score),
         improved: ($r | map(select(.score.loss < .score_base.loss)) | length),
         worst: ($r | map(select(.score.loss > .score_base.loss))
             | sort_by(.score_base.loss - .score.loss) | map(.id))}' "$work/out/scores.jsonl" >"$work/figures"
    jq -e --slurpfile f "$work/figures" 'def near($b): (. - $b | fabs) <= 1e-12 * ($b | fabs);
        (.baseline_model.average_loss | near($f[0].base)) and (.fine_tuned_model.average_loss | near($f[0].tuned))
        and .medrat.comparison.improved == $f[0].improved
        and ([.medrat.comparison.worst_regressions[].id] == $f[0].worst)
        and (.comparison.loss_improvement_percent | near(($f[0].base - $f[0].tuned) / $f[0].base * 100))' \
        "$work/out/summary.json"
}

@test "shards of a comparison are the single run" {
    compare() {
        medrat-score -q -m "$model" --adapter "$adapter" --compare "$@"
    }
    without_times() {
        jq 'del(.medrat.times, .comparison.relative_speed) | del(.baseline_model, .fine_tuned_model
            | .evaluation_time_seconds, .samples_per_second)' "$1"
    }
    head -n 12 "$work/texts" >"$work/in"
    compare --summary "$work/summary" "$work/in" >/dev/null
    tac "$work/in" | split -n r/4 - "$work/part."
    for part in "$work"/part.a?; do
        compare --batch 2 --threads 1 --partial "$part.json" "$part" >/dev/null
    done
    medrat-score --merge "$work"/part.a{c,a,d,b}.json >"$work/merged"
    without_times "$work/merged" | jq '.evaluation_parameters.batch_size = 16' | cmp - <(without_times "$work/summary")
}

@test "what is missing is said before anything is scored" {
    run -64 --separate-stderr card "$model" "" "$work/texts"
    [[ "$stderr" == "usage: make card "* ]]
    run -66 --separate-stderr card "$model" "$adapter" "$work/none"
    run -66 --separate-stderr card "$model" "$work/none" "$work/texts"
    [ ! -e "$work/out/summary.json" ]
}

@test "200 real texts have the figures that transformers gives" {
    need_models
    need_data
    # golden rows: tokens and losses of the three regions, by text
    grep '"kind":"text"' "$root/tests/golden/smollm2_scores.jsonl" >"$work/golden"
    [ "$(wc -l <"$work/golden")" = 200 ]
    jq -s 'map(. + {n: (.tokens | add), loss: ((.nll | add) / (.tokens | add))}) as $r
        | (($r | map(.loss * .n_tokens) | add) / ($r | map(.n_tokens) | add)) as $average
        | ($r | map(.loss) | add / length) as $mean
        | def part($i): ($r | map(.nll[$i]) | add) / ($r | map(.tokens[$i]) | add);
        {average_loss: $average, perplexity: ($average | exp),
         loss_std: ($r | map(.loss - $mean | . * .) | add / length | sqrt),
         token_loss: (($r | map(.nll | add) | add) / ($r | map(.n) | add)),
         bits_per_byte: (($r | map(.nll | add) | add) / (2 | log) / ($r | map(.bytes | add) | add)),
         template: part(0), query: part(1), completion: part(2)}' "$work/golden" >"$work/wanted"
    head -n 200 "$MEDRAT_DATA/rationales/val.jsonl" >"$work/texts"
    medrat-score -q -m smollm2 --summary "$work/summary" "$work/texts" >/dev/null
    # what products of 16-bit numbers round away, else what float sums do
    jq -e --slurpfile w "$work/wanted" '
        (if .medrat.options.kernels | test("vnni|madd") then 2e-3 else 1e-4 end) as $error
        | (.baseline_model + .medrat.baseline_model
           + (.medrat.baseline_model.regions | map_values(.token_loss))) as $got
        | $w[0] | to_entries[] | select($got[.key] / .value - 1 | fabs > $error) | .key' "$work/summary" >"$work/off" || [ $? = 4 ]
    cat "$work/off"
    [ ! -s "$work/off" ]
}

@test "a comparison of 40 real texts has the figures that transformers and PEFT give" {
    need_models
    need_data
    # golden rows: tokens and losses of the three regions of the base; the loss with the adapter
    jq -sc --slurpfile adapted "$root/tests/golden/smollm2_adapter_losses.jsonl" '
        ($adapted | map(select(.adapter == "smollm2-attention")) | INDEX(.row)) as $loss
        | .[] | select(.kind == "text" and .row < 40)
        | {row, weight: .n_tokens, n: (.tokens | add), tokens, bytes, nll,
           base: ((.nll | add) / (.tokens | add)), tuned: $loss["\(.row)"].loss}' \
        "$root/tests/golden/smollm2_scores.jsonl" >"$work/golden"
    [ "$(wc -l <"$work/golden")" = 40 ]
    jq -s '. as $r | def part($i): ($r | map(.nll[$i]) | add) / ($r | map(.tokens[$i]) | add);
        def leg(f): ($r | map(f) | add / length) as $mean
            | (($r | map(f * .weight) | add) / ($r | map(.weight) | add)) as $average
            | {average_loss: $average, perplexity: ($average | exp),
               loss_std: ($r | map(f - $mean | . * .) | add / length | sqrt),
               token_loss: (($r | map(f * .n) | add) / ($r | map(.n) | add)),
               bits_per_byte: (($r | map(f * .n) | add) / (2 | log) / ($r | map(.bytes | add) | add))};
        {base: (leg(.base) + {template: part(0), query: part(1), completion: part(2)}), tuned: leg(.tuned)}
        | .gain = 1 - .tuned.perplexity / .base.perplexity' "$work/golden" >"$work/wanted"
    head -n 40 "$MEDRAT_DATA/rationales/val.jsonl" >"$work/texts"
    medrat-score -q -m smollm2 --adapter "$BATS_FILE_TMPDIR/adapters/smollm2-attention" --compare \
        --summary "$work/summary" "$work/texts" >/dev/null
    # what products of 16-bit numbers round away, else what sums of floats do
    jq -c --slurpfile w "$work/wanted" '
        (if .medrat.options.kernels | test("vnni|madd") then 2e-3 else 1e-4 end) as $error
        | def leg($name): .[$name] + .medrat[$name] + (.medrat[$name].regions | map_values(.token_loss));
        {base: leg("baseline_model"), tuned: leg("fine_tuned_model"),
         gain: (.comparison.perplexity_improvement_percent / 100)} as $got
        | $w[0] | paths(numbers) as $p | getpath($p) as $wanted | ($got | getpath($p)) as $value
        | select($value / $wanted - 1 | fabs > $error) | [$p, $value, $wanted]' "$work/summary" >"$work/off"
    cat "$work/off"
    [ ! -s "$work/off" ]
}

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

# What transformers and PEFT say of the first N texts, in the summary's words: golden rows have the
# tokens, bytes and losses of each text's parts (template, query, completion), by the model alone and
# with the adapter.
make_wanted() { # make_wanted N
    jq -sc --argjson n "$1" --slurpfile adapted "$root/tests/golden/smollm2_adapter_losses.jsonl" '
        ($adapted | map(select(.adapter == "smollm2-attention")) | INDEX(.row)) as $adapted
        | map(select(.kind == "text" and .row < $n) | . + {tuned: $adapted["\(.row)"].nll})
        | . as $r | def sum(f): $r | map(f) | add;
        def leg(f):
            def loss: (f | add) / (.tokens | add);
            def part($i): {token_loss: (sum(f[$i]) / sum(.tokens[$i])),
                           bits_per_byte: (sum(f[$i]) / (2 | log) / sum(.bytes[$i]))};
            (sum(loss * .n_tokens) / sum(.n_tokens)) as $average
            | (sum(loss) / length) as $mean
            | (sum(f | add) / sum(.tokens | add)) as $token
            | ($r | map(loss) | sort) as $sorted
            | {average_loss: $average, perplexity: ($average | exp),
               loss_std: (sum(loss - $mean | . * .) / length | sqrt),
               token_loss: $token, token_perplexity: ($token | exp),
               bits_per_byte: (sum(f | add) / (2 | log) / sum(.bytes | add)),
               regions: {template: part(0), query: part(1), completion: part(2)},
               loss_percentiles: ([1, 5, 10, 25, 50, 75, 90, 95, 99]
                   | map({"p\(.)": $sorted[(. * ($r | length) / 100 | ceil) - 1]}) | add
                   | . + {least: $sorted[0], greatest: $sorted[-1]})};
        {baseline_model: leg(.nll), fine_tuned_model: leg(.tuned)}
        | . + {comparison: {
            perplexity_improvement_percent: ((1 - .fine_tuned_model.perplexity / .baseline_model.perplexity) * 100),
            loss_improvement_percent: ((1 - .fine_tuned_model.average_loss / .baseline_model.average_loss) * 100)}}' \
        "$root/tests/golden/smollm2_scores.jsonl" >"$work/wanted"
}

# Figures of the summary that are off by more than ERROR, relative; a percentile is the middle of a
# bin of 2^-10.
check_figures() { # check_figures ERROR
    jq -c --argjson error "$1" --slurpfile w "$work/wanted" '
        {baseline_model: (.baseline_model + .medrat.baseline_model),
         fine_tuned_model: (.fine_tuned_model + .medrat.fine_tuned_model), comparison} as $got
        | $w[0] | paths(numbers) as $p | getpath($p) as $wanted | ($got | getpath($p)) as $value
        | (if $p[1] == "loss_percentiles" then pow(2; -11) else 0 end) as $half
        | select($value - $wanted | fabs > $error * ($wanted | fabs) + $half) | [$p, $value, $wanted]' \
        "$work/summary" >"$work/off"
    cat "$work/off"
    [ ! -s "$work/off" ]
    [ "$(jq '[paths(numbers)] | length' "$work/wanted")" = 48 ]
}

compare_texts() { # compare_texts N
    head -n "$1" "$MEDRAT_DATA/rationales/val.jsonl" >"$work/texts"
    make_wanted "$1"
    medrat-score -q -m smollm2 --adapter "$BATS_FILE_TMPDIR/adapters/smollm2-attention" --compare \
        --summary "$work/summary" "$work/texts" >/dev/null
    jq -e --argjson n "$1" '.evaluation_parameters.num_samples_evaluated == $n' "$work/summary"
}

@test "200 real texts, compared, have the figures that transformers and PEFT give" {
    need_models
    need_data
    compare_texts 200
    # what products of 16-bit numbers round away, else what sums of floats do
    if jq -e '.medrat.options.kernels | test("vnni|madd")' "$work/summary"; then
        check_figures 2e-3
    else
        check_figures 1e-4
    fi
}

@test "40 real texts in floats have the same figures, closer" {
    need_models
    need_data
    grep -q avx2 /proc/cpuinfo || skip "this CPU has no AVX2"
    MEDRAT_KERNELS=avx2 compare_texts 40
    check_figures 1e-4
}

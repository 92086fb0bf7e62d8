#!/usr/bin/env bats
# medrat-score --compare: each record by its adapter and by the model alone, in one run.

bats_require_minimum_version 1.5.0

load common

setup_file() {
    make_tiny "$BATS_FILE_TMPDIR/tiny"
    mkdir "$BATS_FILE_TMPDIR/adapters"
    "$MEDRAT_BUILD/tests/golden/make_adapters" "$BATS_FILE_TMPDIR/adapters"
}

setup() {
    set -o pipefail
    tiny=$BATS_FILE_TMPDIR/tiny/llama-q4_1.gguf
    adapter=$BATS_FILE_TMPDIR/adapters/gguf
    work=$BATS_TEST_TMPDIR
    cd "$BATS_TEST_DIRNAME/../.."
}

score() {
    medrat-score -q -m "$tiny" "$@"
}

make_texts() { # make_texts FILE
    for i in $(seq 12); do
        printf '{"id":%d,"text":"### Instruction:\\nSay it.\\n\\n### Query:\\n%s?\\n\\n### Response:\\nfever %d"}\n' \
            "$i" "$(printf 'pain and %.0s' $(seq $((i * i % 17 + 1))))" "$i"
    done >"$1"
}

@test "either leg is what a run of its own gives" {
    make_texts "$work/in"
    score --adapter "$adapter" --compare --tokens "$work/in" >"$work/both"
    jq -c .score "$work/both" | cmp - <(score --adapter "$adapter" --tokens "$work/in" | jq -c .score)
    jq -c .score_base "$work/both" | cmp - <(score --tokens "$work/in" | jq -c .score)
    jq -se 'all(.[]; .score.nll != .score_base.nll and .score.ids == .score_base.ids)' "$work/both"
    check_one_result "$work/in" score --adapter "$adapter" --compare
    # in windows
    score --adapter "$adapter" --compare --truncate window --max-length 40 --stride 13 "$work/in" >"$work/both"
    jq -c .score "$work/both" |
        cmp - <(score --adapter "$adapter" --truncate window --max-length 40 --stride 13 "$work/in" | jq -c .score)
    jq -c .score_base "$work/both" |
        cmp - <(score --truncate window --max-length 40 --stride 13 "$work/in" | jq -c .score)
}

@test "a record picks the adapter that is compared" {
    printf '%s\n' '{"text":"fever and pain","adapter":null}' '{"text":"fever and pain"}' \
        '{"text":"fever and pain","adapter":"a"}' '{"text":"fever and pain","adapter":"none"}' '{"text":""}' >"$work/in"
    run -1 score --adapter a="$adapter" --compare "$work/in"
    jq -se '.[0].score == .[0].score_base and .[1].score != .[1].score_base and .[1].score == .[2].score
        and .[0].score_base == .[1].score_base and .[3].error.code == "adapter"
        and .[4].score == .[4].score_base and .[4].score.reason != null' <<<"$output"
}

@test "the summary compares both legs" {
    make_texts "$work/in"
    score --adapter "$adapter" --compare --summary "$work/summary" "$work/in" >"$work/out"
    score --summary "$work/base" "$work/in" >/dev/null
    score --adapter "$adapter" --summary "$work/tuned" "$work/in" >/dev/null
    for member in perplexity average_loss loss_std; do
        [ "$(jq ".baseline_model.$member" "$work/summary")" = "$(jq ".baseline_model.$member" "$work/base")" ]
        [ "$(jq ".fine_tuned_model.$member" "$work/summary")" = "$(jq ".fine_tuned_model.$member" "$work/tuned")" ]
    done
    jq -e '.comparison.relative_speed > 0 and .baseline_model.evaluation_time_seconds > 0
        and .fine_tuned_model.evaluation_time_seconds > 0
        and (.comparison.loss_improvement_percent - 100 * (1 - .fine_tuned_model.average_loss / .baseline_model.average_loss)
            | fabs) < 1e-9' "$work/summary"
}

@test "without an adapter there is nothing to compare" {
    run -64 --separate-stderr score --compare <<<'{"text":"fever"}'
    [[ "$stderr" == *"option '--compare' needs an adapter (--adapter)"* ]]
    run -1 score --adapter "$adapter" --compare <<<'{"text":"fever","score_base":1}'
    [ "$(jq -r '.error.code + " " + .error.member' <<<"$output")" = "exists score_base" ]
}

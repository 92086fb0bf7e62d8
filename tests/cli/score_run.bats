#!/usr/bin/env bats
# medrat-score over a whole run: the summary, parts of a run and their sum, and files that must fit.

bats_require_minimum_version 1.5.0

load common

setup_file() {
    make_tiny "$BATS_FILE_TMPDIR/tiny"
}

setup() {
    set -o pipefail
    tiny=$BATS_FILE_TMPDIR/tiny/llama-q4_1.gguf
    work=$BATS_TEST_TMPDIR
    cd "$BATS_TEST_DIRNAME/../.."
}

score() {
    medrat-score -q -m "$tiny" "$@"
}

# 30 texts, every other one in the form of the fine-tune; a text without tokens and a bad record.
make_texts() { # make_texts FILE
    for i in $(seq 30); do
        words=$(printf 'pain and %.0s' $(seq $((i * i % 37 + 1))))
        if [ $((i % 2)) = 0 ]; then
            printf '{"id":%d,"text":"%s fever %d"}\n' "$i" "$words" "$i"
        else
            printf '{"id":"q%d","text":"### Instruction:\\nSay it.\\n\\n### Query:\\n%s?\\n\\n### Response:\\nfever %d"}\n' \
                "$i" "$words" "$i"
        fi
    done >"$1"
    printf '%s\n' '{"id":"none","text":""}' '{"id":"bad","text":5}' >>"$1"
}

without_times() { # without_times FILE
    jq 'del(.medrat.times, .comparison.relative_speed)
        | del(.baseline_model, .fine_tuned_model | .evaluation_time_seconds?, .samples_per_second?)' "$1"
}

# The largest relative distance of two numbers.
close() { # close A B
    jq -en --argjson a "$1" --argjson b "$2" '($a - $b | fabs) <= 1e-12 * ($b | fabs)'
}

@test "the summary has the keys of the card and the figures of the records" {
    make_texts "$work/in"
    run -1 score --summary "$work/summary" -o "$work/out" "$work/in"
    jq -e '(keys_unsorted == ["baseline_model", "evaluation_parameters", "medrat"])
        and (.baseline_model | keys_unsorted == ["perplexity", "average_loss", "loss_std",
            "evaluation_time_seconds", "samples_per_second"])
        and .baseline_model.evaluation_time_seconds > 0
        and .evaluation_parameters == {"max_length": 1024, "batch_size": 16, "num_samples_evaluated": 30}
        and .medrat.records == {"scored": 30, "truncated": 0, "truncated_tokens": 0, "failed": 1, "kept": 0,
            "repeated_keys": 0, "skipped": 1, "skipped_because": {"there is no token": 1}}' "$work/summary"
    # what the records say, added up by jq: L is one more than the tokens scored
    jq -s 'map(.score | select(.loss?)) | {
        card: ((map(.loss * (.tokens + 1)) | add) / (map(.tokens + 1) | add)),
        token: ((map(.nll) | add) / (map(.tokens) | add)),
        bits: ((map(.nll) | add) / (2 | log) / (map(.bytes) | add)),
        std: ((map(.loss) | add / length) as $m | map(.loss - $m | . * .) | add / length | sqrt)}' \
        "$work/out" >"$work/figures"
    close "$(jq .baseline_model.average_loss "$work/summary")" "$(jq .card "$work/figures")"
    close "$(jq .baseline_model.perplexity "$work/summary")" "$(jq '.card | exp' "$work/figures")"
    close "$(jq .baseline_model.loss_std "$work/summary")" "$(jq .std "$work/figures")"
    close "$(jq .medrat.baseline_model.token_loss "$work/summary")" "$(jq .token "$work/figures")"
    close "$(jq .medrat.baseline_model.bits_per_byte "$work/summary")" "$(jq .bits "$work/figures")"
}

@test "regions are those of the fine-tune's form" {
    make_texts "$work/in"
    run -1 score --summary "$work/summary" "$work/in"
    jq -e '.medrat | (.tokens.regions | keys_unsorted == ["template", "query", "completion", "plain"])
        and (.tokens.regions | [.[].share] | add - 1 | fabs) < 1e-12
        and (.tokens.regions | [.[].scored] | add) == .tokens.scored
        and (.baseline_model.regions | keys_unsorted == ["template", "query", "completion", "plain"])' "$work/summary"
    run -0 score --summary "$work/summary" <<<'{"text":"a cough"}'
    jq -e '.medrat.tokens.regions | keys_unsorted == ["plain"]' "$work/summary"
}

@test "order, batch and threads change nothing but times" {
    make_texts "$work/in"
    run -1 score --summary "$work/summary" --partial "$work/partial" "$work/in"
    without_times "$work/summary" >"$work/wanted"
    tac "$work/in" >"$work/backwards"
    run -1 score --batch 3 --threads 2 --summary "$work/summary" "$work/backwards"
    without_times "$work/summary" | jq '.evaluation_parameters.batch_size = 16' | cmp - "$work/wanted"
}

@test "shards merged in any order are the single run" {
    make_texts "$work/in"
    run -1 score --summary "$work/summary" --partial "$work/whole" "$work/in"
    for i in 0 1 2 3 4; do
        awk "NR % 5 == $i" "$work/in" | score --max-errors 1 --partial "$work/part$i" >"$work/out"
    done
    medrat-score --merge "$work"/part{3,0,4,2,1} >"$work/merged"
    without_times "$work/merged" | cmp - <(without_times "$work/summary")
    # a sum of sums, and by way of files
    medrat-score --merge --partial "$work/some" "$work"/part{1,4}
    medrat-score --merge --partial "$work/all" --summary "$work/merged" "$work"/part{2,0} "$work/some" "$work/part3"
    without_times "$work/merged" | cmp - <(without_times "$work/summary")
    jq 'del(.legs[].seconds)' "$work/all" | cmp - <(jq 'del(.legs[].seconds)' "$work/whole")
    medrat-score --merge -o "$work/merged" "$work/whole"
    cmp "$work/merged" "$work/summary"
}

@test "files that do not go together are refused" {
    make_texts "$work/in"
    head -n 10 "$work/in" | score --partial "$work/a" >/dev/null
    sed -n 10,19p "$work/in" | score --partial "$work/b" >/dev/null
    run -65 --separate-stderr medrat-score --merge "$work/a" "$work/b"
    [ "$stderr" = "medrat-score: $work/b: has 1 record that $work/a has too: a record may be in one shard only" ]
    [ "$output" = "" ]
    run -65 --separate-stderr medrat-score --merge "$work/b" "$work/b"
    [[ "$stderr" == *"has 10 records that $work/b has too"* ]]
    score --max-length 512 --partial "$work/c" >/dev/null <<<'{"text":"a"}'
    run -65 --separate-stderr medrat-score --merge "$work/a" "$work/c"
    [ "$stderr" = "medrat-score: $work/c: max_length is 512, but 1024 in the shards before" ]
    MEDRAT_KERNELS=scalar score --partial "$work/c" >/dev/null <<<'{"text":"a"}'
    run -65 --separate-stderr medrat-score --merge "$work/a" "$work/c"
    [[ "$stderr" == *"kernels is \"scalar\", but "* ]]
    head -c 500 "$work/a" >"$work/c"
    run -65 --separate-stderr medrat-score --merge "$work/a" "$work/c"
    [[ "$stderr" == "medrat-score: $work/c: line "* ]]
    run -65 --separate-stderr medrat-score --merge "$work/in"
    run -66 --separate-stderr medrat-score --merge "$work/a" "$work/none"
    run -64 --separate-stderr medrat-score --merge
    run -64 --separate-stderr medrat-score --merge -m "$tiny" "$work/a"
    [[ "$stderr" == "medrat-score: option '--model' means nothing with --merge"* ]]
    run -64 --separate-stderr medrat-score --merge --compare "$work/a"
    [[ "$stderr" == "medrat-score: option '--compare' means nothing with --merge"* ]]
    run -64 --separate-stderr medrat-score --merge --summary "$work/s" -o "$work/o" "$work/a"
    [[ "$stderr" == "medrat-score: option '--output' means nothing with --merge"* ]]
    run -64 --separate-stderr medrat-score --verify --summary "$work/s" -m "$tiny"
    [[ "$stderr" == "medrat-score: option '--summary' means nothing with --verify"* ]]
    # a part is not overwritten by the whole
    run -64 --separate-stderr medrat-score --merge --summary "$work/./b" "$work/a" "$work/b"
    [[ "$stderr" == "medrat-score: option '--summary': '$work/./b' is used otherwise"* ]]
}

@test "a record that comes twice in one run is counted, and said" {
    printf '%s\n' '{"id":1,"text":"a cough"}' '{"id":2,"text":"fever"}' '{"id":1,"text":"a cough"}' >"$work/in"
    score --summary "$work/summary" "$work/in" >/dev/null
    jq -e '.medrat.records.scored == 3 and .medrat.records.repeated_keys == 1' "$work/summary"
}

@test "without a score there is a reason" {
    run -0 score --summary "$work/summary" <<<'{"text":""}'
    jq -e '.baseline_model.perplexity == null and .evaluation_parameters.num_samples_evaluated == 0
        and .medrat.reason == "no record was scored: there are no figures"' "$work/summary"
}

@test "a run that is not complete leaves no summary, and one that cannot be written ends the run at once" {
    make_texts "$work/in"
    run -65 score --on-error fail --summary "$work/summary" "$work/in"
    [ ! -e "$work/summary" ]
    run -65 score --expect 5 -o "$work/out" --summary "$work/summary" --partial "$work/partial" "$work/in"
    [ ! -e "$work/summary" ] && [ ! -e "$work/partial" ]
    run -74 --separate-stderr score --summary "$work/no/summary" "$work/in"
    [ "$output" = "" ]
    run -64 score --summary "$work/x" --partial "$work/x" "$work/in"
    # nothing that is read or written otherwise
    run -64 --separate-stderr score --summary - "$work/in"
    [ "$output" = "" ]
    run -64 score --summary "$work/in" "$work/in"
    ln "$work/in" "$work/again"
    run -64 score --summary "$work/again" "$work/in"
    run -64 score --partial "$work/./in" "$work/in"
    run -64 score --partial "$work/x" -o "$work/x" "$work/in"
    [ -z "$(find "$work" -name x -o -name '.x*' -o -name '*summary*' -o -name '*partial*')" ]
}

@test "the summary may go to standard output where the records do not" {
    score --summary - -o "$work/out" <<<'{"text":"a cough"}' >"$work/summary"
    jq -e '.evaluation_parameters.num_samples_evaluated == 1' "$work/summary"
    [ "$(wc -l <"$work/out")" = 1 ]
}

@test "records kept as they were are in no figure" {
    printf '%s\n' '{"id":1,"text":"a cough","score":{"nll":1}}' '{"id":2,"text":"fever"}' >"$work/in"
    score --existing keep --summary "$work/summary" "$work/in" >/dev/null
    jq -e '.medrat.records | .kept == 1 and .scored == 1' "$work/summary"
}

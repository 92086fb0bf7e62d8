#!/usr/bin/env bats
# METEORA on real questions with the real encoder, against sentence-transformers and the reference in
# Python (tests/golden/meteora_sets.py). Rows that hang on a near tie are null and not compared.

bats_require_minimum_version 1.5.0

load common

setup_file() {
    [ "$MEDRAT_BUILD_CONFIG" = release ] || skip "the real encoder runs in the release build"
    need_models
    need_data
    golden=$BATS_TEST_DIRNAME/../golden/meteora_sets.jsonl
    cat "$MEDRAT_DATA"/rerank/*.dev.jsonl |
        jq -c --slurpfile golden "$golden" '($golden | INDEX(.id)) as $rows | select($rows[.id])
            | {id, query, passages, rationales: $rows[.id].rationales}' >"$BATS_FILE_TMPDIR/questions.jsonl"
}

setup() {
    set -o pipefail
}

# selected FILTER: per record, the ids of the passages whose evidence the filter takes
selected() {
    jq -c "([.evidence[] | select($1) | .id] | INDEX(.)) as \$taken
        | {id, ids: [.passages[].id | select(\$taken[.])]}"
}

# compare METHOD AT_LEAST: selected on standard input, with the golden file
compare() {
    golden=$BATS_TEST_DIRNAME/../golden/meteora_sets.jsonl
    jq -c -n --arg method "$1" --slurpfile golden "$golden" '
        ($golden | INDEX(.id)) as $rows
        | [inputs | {id, got: .ids, want: $rows[.id][$method]} | select(.want != null)]
        | {method: $method, compared: length, wrong: map(select(.want != .got))}' >"$BATS_TEST_TMPDIR/$1"
    cat "$BATS_TEST_TMPDIR/$1"
    jq -e --argjson at_least "$2" '.compared >= $at_least and .wrong == []' "$BATS_TEST_TMPDIR/$1" >/dev/null
}

@test "meteora, and its pairs and pools, are those of the reference on 50 questions" {
    sed -n '0~2p' "$BATS_FILE_TMPDIR/questions.jsonl" | medrat-rerank -q >"$BATS_TEST_TMPDIR/out"
    selected '.selected' <"$BATS_TEST_TMPDIR/out" | compare meteora 45
    selected '.via | index("pair") != null' <"$BATS_TEST_TMPDIR/out" | compare pair 45
    selected '.via | index("pool") != null' <"$BATS_TEST_TMPDIR/out" | compare pool 45
}

@test "the query alone selects what the reference selects on 20 questions" {
    sed -n '0~5p' "$BATS_FILE_TMPDIR/questions.jsonl" | medrat-rerank -q --method query |
        selected '.selected' | compare query 18
}

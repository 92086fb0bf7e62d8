#!/usr/bin/env bats
# The examples of the man pages, as typed, with the demo models.

bats_require_minimum_version 1.5.0

load common

setup() {
    need_models
    cd "$BATS_TEST_TMPDIR"
    # short, so that all of them take seconds
    export MEDRAT_MAX_TOKENS=12 MEDRAT_STEPS=2
    adapter=$root/examples/adapters/rationales-smollm2
    export MODEL=smollm2 DIR=$adapter
    head -n 2 "$root/examples/questions.jsonl" | jq -c '.passages |= .[:3]' >questions.jsonl
    jq -r .query questions.jsonl >questions.txt
    jq -c '{id, text: .passages[0].text}' questions.jsonl | tee texts.jsonl articles.jsonl >documents.jsonl
    jq -c '{id, query, text: .passages[0].text}' questions.jsonl >documents.jsonl
    jq -c '{query, rationales: [.passages[].text | .[:40]]}' questions.jsonl | tee rows.jsonl held-out.jsonl more.jsonl >/dev/null
    mkdir adapters
    cp -r "$adapter" adapters/card
    cp -r "$adapter" checkpoint-300
    make_tiny tiny
    cp -r tiny/cross-f32 ms-marco-MiniLM-L6-v2
}

# Of a page, by line; what needs a model that is not here is left out.
examples() { # examples TOOL
    awk '/^# EXAMPLES/ { on = 1; next } /^# / { on = 0 } on && /^\t/ { print substr($0, 2) }' "$root/bin/$1.1.scd" |
        grep -v Mistral-7B | sed -e 's/-m MODEL/-m "$MODEL"/; s/--adapter DIR/--adapter "$DIR"/'
}

run_examples() { # run_examples TOOL LEAST
    examples "$1" >examples
    [ "$(wc -l <examples)" -ge "$2" ]
    while read -r example; do
        echo "$example"
        bash -o pipefail -ec "$example" >out 2>err </dev/null || { cat err; return 1; }
        [ -s out ] || [[ "$example" == *-o\ * || "$example" == *\>* ]]
    done <examples
}

@test "medrat-gen" { run_examples medrat-gen 4; }
@test "medrat-rerank" { run_examples medrat-rerank 3; }
@test "medrat-score" { run_examples medrat-score 7; }
@test "medrat-tokenize" { run_examples medrat-tokenize 3; }
@test "medrat-train" { run_examples medrat-train 4; }

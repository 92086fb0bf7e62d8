#!/usr/bin/env bats
# --retry: mended lines of an --errors file take their places in the output, which becomes that of a run over
# the mended corpus.

bats_require_minimum_version 1.5.0

load common

setup_file() {
    cd "$BATS_FILE_TMPDIR"
    make_tiny tiny
    make_vocab vocab.txt
    for ((i = 1; i <= 30; i++)); do
        printf '{"id":%d,"query":"word %d","text":"word %d","tokens":[1,%d,5,3],"passages":["word","%d"]}\n' $i $i $i $i $i
    done >whole.jsonl
    # three lines that fail in every tool; one has no id
    sed -i '9s/"id":9,//' whole.jsonl
    sed -e '4s/}$//' -e '9s/"tokens".*/{/' -e '30s/^/x/' whole.jsonl >in.jsonl
}

setup() {
    cd "$BATS_TEST_TMPDIR"
    cp "$BATS_FILE_TMPDIR"/{in,whole}.jsonl .
    tiny=$BATS_FILE_TMPDIR/tiny
}

# What a person does, for all of them.
mend() {
    jq -c --rawfile whole whole.jsonl '.raw = ($whole | split("\n"))[.line - 1]' bad.jsonl >mended.jsonl
}

@test "the result is that of a run over the mended corpus, for every tool" {
    for command in "medrat-tokenize -m $BATS_FILE_TMPDIR/vocab.txt --existing keep" "medrat-rerank --method bm25" \
        "medrat-score -m $tiny/llama-3" "medrat-gen -m $tiny/llama-3 --max-tokens 9 --temperature 1"; do
        sed 's/"tokens":[^]]*\],//' in.jsonl >input
        sed 's/"tokens":[^]]*\],//' whole.jsonl >mended
        case $command in *llama*) cp in.jsonl input && cp whole.jsonl mended ;; esac
        run -1 $command -q --errors bad.jsonl -o out.jsonl input
        [ "$(wc -l <bad.jsonl)" -eq 3 ]
        jq -c --rawfile whole mended '.raw = ($whole | split("\n"))[.line - 1]' bad.jsonl >mended.jsonl
        $command -q --retry mended.jsonl -o again.jsonl out.jsonl
        $command -q mended | cmp - again.jsonl
    done
}

@test "some of them may be mended, in any order, and what fails again keeps its line" {
    run -1 medrat-rerank -q --method bm25 --errors bad.jsonl -o out.jsonl in.jsonl
    mend
    tac mended.jsonl | jq -c 'select(.line != 9) | if .line == 4 then .raw = "{\"id\":4,\"query\":4}" else . end' >some.jsonl
    run -1 medrat-rerank --method bm25 --retry some.jsonl --errors still.jsonl -o again.jsonl out.jsonl
    [ "$(jq -r '"\(.line) \(.error.code)"' still.jsonl)" = "$(printf '4 type\n9 upstream')" ]
    jq -e -s '.[3].error.line == 4 and .[8].error.line == 9 and (.[29].evidence | length == 2)' again.jsonl
}

@test "plain lines are mended as plain lines" {
    printf 'one\n\ntwo\n' >lines
    run -1 medrat-gen -q -m "$tiny/llama-3" --format lines --errors bad.jsonl -o out.jsonl lines
    jq -c 'select(.line == 2) | .raw = "three"' bad.jsonl >mended.jsonl
    run -1 medrat-gen -m "$tiny/llama-3" --format lines --retry mended.jsonl -o again.jsonl out.jsonl
    [[ "$output" == *":2: "*"tokenizer"* ]] # a query now, for which the small model has no tokenizer
}

@test "what does not fit is refused by line" {
    run -1 medrat-rerank -q --method bm25 --errors bad.jsonl -o out.jsonl in.jsonl
    mend
    refuse() { # refuse REASON JQ-PROGRAM
        jq -c "$2" mended.jsonl >wrong.jsonl
        run -65 medrat-rerank --method bm25 --retry wrong.jsonl -o again.jsonl out.jsonl
        [[ "$output" == *"wrong.jsonl:"*"$1"* ]] || { echo "$output"; return 1; }
        [ ! -e again.jsonl ]
    }
    refuse "'line': must be" 'del(.line)'
    refuse "'raw': must be" '.raw = null'
    refuse "is there already, in line 1" '., .'
    refuse "no error record of medrat-rerank in the input is about line 1" '.line -= 3'
    refuse "'file': is another" 'if .line == 9 then .file = "other" else . end'
    echo '[1]' >list
    run -65 medrat-rerank --method bm25 --retry list -o again.jsonl out.jsonl
    run -66 medrat-rerank --method bm25 --retry none.jsonl -o again.jsonl out.jsonl
    run -64 medrat-rerank --method bm25 --retry mended.jsonl --resume -o again.jsonl out.jsonl
    # another tool's errors are not ours to mend
    sed -i 's/"tool":"medrat-rerank"/"tool":"medrat-gen"/' out.jsonl
    run -65 medrat-rerank --method bm25 --retry mended.jsonl -o again.jsonl out.jsonl
}

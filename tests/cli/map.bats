#!/usr/bin/env bats
# --map: members under other names.

bats_require_minimum_version 1.5.0

load common

setup() {
    cd "$BATS_TEST_TMPDIR"
    make_vocab vocab.txt
    ours='{"id":"q1","query":"aspirin dose","rationales":["dose"],"passages":[{"id":"a","text":"dose of aspirin","doc":"d","pos":1},{"id":"b","text":"tea","doc":"d","pos":2}],"n":1.50}'
    theirs='{"qid":"q1","question":"aspirin dose","why":["dose"],"ctxs":[{"key":"a","contents":"dose of aspirin","source":"d","at":1},{"key":"b","contents":"tea","source":"d","at":2}],"n":1.50}'
    map=id=qid,query=question,rationales=why,passages=ctxs,passages.id=key,passages.text=contents,passages.doc=source,passages.pos=at
}

@test "what is made is the same, and the record stays as it came" {
    medrat-rerank -q --method bm25 --window 1 <<<"$ours" >ours
    medrat-rerank -q --method bm25 --window 1 --map "$map" <<<"$theirs" >theirs
    [ "$(jq -c '.evidence, .selection' ours)" = "$(jq -c '.evidence, .selection' theirs)" ]
    [[ "$(cat theirs)" == "${theirs%\}},"* ]]
    medrat-tokenize -q -m vocab.txt --map text=body <<<'{"body":"a b"}' | jq -e '.n_tokens == 4 and .body == "a b"'
}

@test "another name is the only one: what is called as we do is not read" {
    run -1 --separate-stderr medrat-tokenize -m vocab.txt --map text=body <<<'{"text":"a"}'
    [[ "$stderr" == *"member 'body' is missing"* ]]
    medrat-tokenize -q -m vocab.txt --map text=body <<<'{"text":"a a a","body":"a"}' | jq -e '.n_tokens == 3'
}

@test "failures name what the user calls it" {
    run -1 --separate-stderr medrat-rerank --method bm25 --map "$map" <<<"${theirs/\"tea\"/7}"
    [[ "$stderr" == *"member 'ctxs[1].contents': expected a string, got an integer"* ]]
    jq -e '.error.member == "ctxs[1].contents" and .error.column > 0' <<<"$output"
    run -1 --separate-stderr medrat-rerank --method bm25 --map "$map" <<<'{"qid":[1]}'
    [[ "$stderr" == *"member 'qid': expected a string or an integer"* ]]
}

@test "the name of a record is that under its other name" {
    medrat-rerank -q --method bm25 --map id=qid <<<'{"qid":"x","query":1,"passages":[]}' >out || true
    jq -e '.id == "x"' out
}

# How many tokens the prompt of this recipe has.
prompt_tokens() { # prompt_tokens RECORD [OPTION]...
    local record=$1
    shift
    medrat-gen -q -m smollm2 --recipe ./mine.yaml --max-tokens 1 "$@" <<<"$record" | jq .generation.prompt_tokens
}

@test "a recipe's members have other names as well, in lists too" {
    need_models
    printf 'prompt: "{query}{each passages} {item.id} {item.text}{end}"\n' >mine.yaml
    theirs='{"question":"why","ctxs":[{"key":"a","contents":"one two three four","text":"x"}],"query":"other words here"}'
    [ "$(prompt_tokens "$theirs" --map query=question,passages=ctxs,passages.text=contents,passages.id=key)" -eq \
        "$(prompt_tokens '{"query":"why","passages":[{"id":"a","text":"one two three four"}]}')" ]
    run -64 medrat-gen -q --recipe ./mine.yaml --map qurey=question <<<"$theirs"
    [[ "$output" == *"no member 'qurey' is read here"* ]]
    run -64 medrat-gen -q --recipe ./mine.yaml --map passages.txt=contents,rationales=why <<<"$theirs"
}

@test "questions from the command line and plain lines are read by their other name, too" {
    need_models
    printf 'prompt: "{query}"\n' >mine.yaml
    medrat-gen -q -m smollm2 --recipe ./mine.yaml --max-tokens 1 --map query=question --query "why" |
        jq -e '.question == "why" and (.generation | length > 0)'
    echo why | medrat-gen -q -m smollm2 --recipe ./mine.yaml --max-tokens 1 --map query=question --format lines |
        jq -e '.question == "why" and (.generation | length > 0)'
}

@test "what cannot be is refused before anything is read" {
    for wrong in "qurey=question" "query" "=a" "query=" "query=a,query=b" "query=a=b"; do
        run -64 medrat-rerank --method bm25 --map "$wrong" <<<"$ours"
        [[ "$output" == *"option '--map'"* ]]
    done
    run -64 medrat-rerank --method bm25 --map "qurey=question" <<<"$ours"
    [[ "$output" == *"did you mean 'query'?"* ]]
}

@test "a run goes on with the map it had" {
    yes "$theirs" | head -n 20 >in.jsonl
    run -65 medrat-rerank -q --method bm25 --map "$map" --resume --expect 30 -o out in.jsonl
    run -78 medrat-rerank -q --method bm25 --map query=question --resume -o out in.jsonl
    [[ "$output" == *"map"* ]]
    medrat-rerank -q --method bm25 --map "$map" --resume -o out in.jsonl
    [ "$(wc -l <out)" -eq 20 ]
}

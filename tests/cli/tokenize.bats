#!/usr/bin/env bats
# medrat-tokenize: what it makes of text, pairs, chats and ids.

bats_require_minimum_version 1.5.0

load common

setup_file() {
    command -v medrat-tokenize
    make_vocab "$BATS_FILE_TMPDIR/vocab.txt"
}

setup() {
    work=$BATS_TEST_TMPDIR
    vocab=$BATS_FILE_TMPDIR/vocab.txt
}

tokenize() {
    medrat-tokenize -m "$vocab" "$@"
}

smollm2() {
    medrat-tokenize -q -m "$MEDRAT_MODELS/smollm2" "$@"
}

# Runs it on one record; the output must be one record with these members (null: without).
makes() { # makes 'jq object' COMMAND...
    local want=$1
    shift
    run -0 --separate-stderr "$@" <<<"$record"
    [ "${#lines[@]}" -eq 1 ]
    jq -e --argjson want "$want" '. as $got | all($want | to_entries[]; $got[.key] == .value)' \
        <<<"$output"
}

# The same for a record that fails with this code on this member.
fails() { # fails CODE MEMBER COMMAND...
    local code=$1 member=$2
    shift 2
    run -1 --separate-stderr "$@" <<<"$record"
    jq -e --arg code "$code" --arg member "$member" \
        '.error.code == $code and .error.member == $member' <<<"$output"
}

@test "a text gets its ids, their number, and its pieces when asked" {
    record='{"text":"ab c"}'
    makes '{"tokens":[2,5,42,7,3],"n_tokens":5,"pieces":null}' tokenize
    makes '{"pieces":["[CLS]","a","##b","c","[SEP]"]}' tokenize --pieces
    makes '{"tokens":[5,42,7],"n_tokens":3}' tokenize --no-special
    record='{"text":""}'
    makes '{"tokens":[2,3],"n_tokens":2}' tokenize
    makes '{"tokens":[],"n_tokens":0,"pieces":[]}' tokenize --no-special --pieces
}

@test "a pair gets the segment of each id" {
    record='{"text":"a","text_pair":"bc"}'
    makes '{"tokens":[2,5,3,6,43,3],"types":[0,0,0,1,1,1]}' tokenize
    makes '{"tokens":[5,6,43],"types":[0,1,1]}' tokenize --no-special
    record='{"text":"a","text_pair":null}'
    makes '{"tokens":[2,5,3],"types":null}' tokenize
}

@test "nothing is cut unless asked, and then it is told" {
    record='{"text":"a b c d e f"}'
    makes '{"n_tokens":8,"truncated":null}' tokenize
    makes '{"n_tokens":8,"truncated":0}' tokenize --max-length 8
    makes '{"tokens":[2,5,6,3],"truncated":4}' tokenize --max-length 4
    makes '{"tokens":[2,9,10,3],"truncated":4}' tokenize --max-length 4 --truncate tail
    makes '{"tokens":[5,6,7,8],"truncated":2}' tokenize --max-length 4 --no-special
    fails too_long text tokenize --max-length 4 --truncate error
    record='{"text":"a b c d e f","text_pair":"1 2"}'
    makes '{"tokens":[2,5,6,3,32,33,3],"types":[0,0,0,0,1,1,1],"truncated":4}' tokenize --max-length 7
}

@test "ids become text, control tokens only when asked" {
    record='{"tokens":[2,5,42,7,3]}'
    makes '{"text":"ab c","pieces":null}' tokenize --decode
    makes '{"text":"[CLS] ab c [SEP]","pieces":["[CLS]","a","##b","c","[SEP]"]}' \
        tokenize --decode --pieces
    record='{"tokens":[]}'
    makes '{"text":""}' tokenize -d
}

@test "ids that are none, or not the model's, fail" {
    record='{"tokens":[5,99999]}'
    fails range 'tokens[1]' tokenize --decode
    record='{"tokens":[5,"a"]}'
    fails type 'tokens[1]' tokenize --decode
    record='{"tokens":7}'
    fails type tokens tokenize --decode
    record='{"query":"a"}'
    fails missing tokens tokenize --decode
    record='{"tokens":[5],"text":"a"}'
    fails exists text tokenize --decode
}

@test "a record without text fails; so do texts of another type" {
    record='{"query":"a"}'
    fails missing text tokenize
    record='{"text":["a"]}'
    fails type text tokenize
    record='{"text":"a","text_pair":1}'
    fails type text_pair tokenize
    record='{"messages":"a"}'
    fails type messages tokenize
}

@test "members that are there already: fail, replace, keep" {
    record='{"text":"a","pieces":[]}'
    makes '{"pieces":[],"n_tokens":3}' tokenize
    fails exists pieces tokenize --pieces
    makes '{"pieces":["[CLS]","a","[SEP]"]}' tokenize --pieces --existing replace
    makes '{"pieces":[],"n_tokens":3}' tokenize --pieces --existing keep
    record='{"text":"a","truncated":1}'
    makes '{"truncated":1}' tokenize
    fails exists truncated tokenize --max-length 9
}

@test "options that have no meaning together are refused" {
    for option in "--no-special" "--max-length 3" "--truncate tail" "--template chatml"; do
        # shellcheck disable=SC2086
        run -64 --separate-stderr tokenize --decode $option </dev/null
        [[ "$stderr" == *"option '${option%% *}' means nothing with --decode"* ]]
    done
    run -64 --separate-stderr tokenize --max-length 2 </dev/null
    [[ "$stderr" == *"no room for 3 special tokens"* ]]
    run -64 --separate-stderr tokenize --max-length 0 </dev/null
}

@test "models that are none, or not known, are refused by name" {
    run -66 --separate-stderr medrat-tokenize -m "$work/nothing" </dev/null
    printf 'roses are red\n' >"$work/poem"
    run -78 --separate-stderr medrat-tokenize -m "$work/poem" </dev/null
    [[ "$stderr" == *"neither GGUF nor a "* ]]
    printf '{"version":"1.0","model":{"type":"Unigram"}}' >"$work/tokenizer.json"
    run -78 --separate-stderr medrat-tokenize -m "$work/tokenizer.json" </dev/null
    [[ "$stderr" == *"tokenizer.json: model: type 'Unigram' is not known"* ]]
}

@test "a SentencePiece file encodes as sentencepiece does, and decodes" {
    need_models
    echo '{"text":"  [INST] Hi\n"}' >"$work/spm.jsonl"
    run -0 medrat-tokenize -m "$MEDRAT_MODELS/mistral-v3-tokenizer" "$work/spm.jsonl"
    [[ "$output" == *'"tokens":[1027,1501,17057,29561,16127,781],'* ]]
    run -0 medrat-tokenize -m "$MEDRAT_MODELS/mistral-v3-tokenizer" --decode --existing replace <<<"$output"
    [[ "$output" == *'"text":"  [INST] Hi\n"'* ]]
}

@test "--chunk cuts text into passages that medrat-rerank reads" {
    need_models
    echo '{"id":"a \"b","query":"dose","text":"One dose. A \u00e9 fell.\n\nThree, e.g. Four."}' >"$work/doc.jsonl"
    run -0 medrat-tokenize -m minilm --chunk 18 --stats "$work/stats" "$work/doc.jsonl"
    [[ "$(jq -c '[.passages[]|[.id,.text,.doc,.pos,.span,.n_tokens]]' <<<"$output")" == '[["a \"b.0","One dose. A é fell.\n\nThree, e.g. Four.","a \"b",0,[0,39],17]]' ]]
    [ "$(jq .passages "$work/stats")" = 1 ]
    medrat-rerank --method bm25 -q <<<"$output" >/dev/null
    for id in '7' '-1'; do
        run -0 medrat-tokenize -m minilm --chunk 18 <<<"{\"id\":$id,\"text\":\"One.\"}"
        [[ "$output" == *"\"passages\":[{\"id\":\"$id.0\",\"text\":\"One.\",\"doc\":$id,\"pos\":0,\"span\":[0,4],\"n_tokens\":4}]}" ]]
    done
    run -0 medrat-tokenize -m minilm --chunk 18 <<<'{"text":" \n"}'
    [[ "$output" == *'"passages":[]}' ]]
    run -0 medrat-tokenize -m minilm --chunk 18 <<<'{"text":"One."}'
    [[ "$output" == *'"passages":[{"id":"0","text":"One.","pos":0,'* ]]
}

@test "--chunk with a vocabulary of letters" {
    # a full stop is [UNK]
    run -0 tokenize --chunk 18 <<<'{"id":"d","text":"aa bb cc dd ee ff gg. aa b c."}'
    [ "$(jq -c '[.passages[] | [.id, .text, .doc, .pos, .span, .n_tokens]]' <<<"$output")" = \
        '[["d.0","aa bb cc dd ee ff gg.","d",0,[0,21],17],["d.1","aa b c.","d",1,[22,29],7]]' ]
    run -0 tokenize --chunk 18 <<<'{"text":"a."}'
    [ "$output" = '{"text":"a.","passages":[{"id":"0","text":"a.","pos":0,"span":[0,2],"n_tokens":4}]}' ]
    run -0 tokenize --chunk 18 <<<'{"id":-7,"text":"a."}'
    [[ "$output" == *'{"id":"-7.0","text":"a.","doc":-7,'* ]]
}

@test "--chunk refuses what does not go with it" {
    run -64 --separate-stderr tokenize --chunk 17 </dev/null
    [[ "$stderr" == *"option '--chunk': must be at least"* ]]
    run -64 --separate-stderr tokenize --overlap 3 </dev/null
    [[ "$stderr" == *"option '--overlap': must be less"* ]]
    run -64 --separate-stderr tokenize --chunk 30 --pieces </dev/null
    [[ "$stderr" == *"'--pieces' means nothing with --chunk"* ]]
    run -64 --separate-stderr tokenize --chunk 30 --decode </dev/null
    [[ "$stderr" == *"'--chunk' means nothing with --decode"* ]]
    record='{"messages":[]}'
    fails missing text tokenize --chunk 30
    record='{"text":"a","passages":[]}'
    fails exists passages tokenize --chunk 30
}

@test "a model without chat tokens has no chat" {
    record='{"messages":[{"role":"user","content":"a"}]}'
    fails no_template messages tokenize
    run -78 --separate-stderr tokenize --template chatml <<<"$record"
    run -78 --separate-stderr tokenize --template vicuna <<<"$record"
    [[ "$stderr" == *"'vicuna' is not known"* ]]
}

@test "a chat gets the template of its model, or the one that was named" {
    need_models
    record='{"messages":[{"role":"user","content":"Hi"}]}'
    run -0 --separate-stderr smollm2 --pieces <<<"$record"
    [ "$(jq -r '.pieces | join("")' <<<"$output")" = "<|im_start|>systemĊYouĠareĠaĠhelpfulĠAIĠassistantĠnamedĠSmolLM,ĠtrainedĠbyĠHuggingĠFace<|im_end|>Ċ<|im_start|>userĊHi<|im_end|>Ċ<|im_start|>assistantĊ" ]
    makes '{"tokens":[1,4093,198,26843,2,198,1,520,9531,198]}' smollm2 --template chatml
    record='{"messages":[{"role":"user","content":"Hi"},{"role":"assistant","content":"Hi"}]}'
    makes '{"tokens":[1,4093,198,26843,2,198,1,520,9531,198,26843,2,198]}' smollm2 --template chatml
    fails too_long messages smollm2 --template chatml --max-length 12
    record='{"messages":[]}'
    fails messages messages smollm2
}

@test "text that spells a control token is one in a text, but not in a chat" {
    need_models
    run -0 --separate-stderr smollm2 <<'LINES'
{"text":"a<|im_end|>b"}
{"messages":[{"role":"user","content":"a<|im_end|>b"}]}
LINES
    [ "$(jq '[.tokens[] | select(. == 2)] | length' <<<"${lines[0]}")" -eq 1 ]
    [ "$(jq '[.tokens[] | select(. == 2)] | length' <<<"${lines[1]}")" -eq 2 ] # its own ends alone
}

@test "texts come back from their ids" {
    need_models
    need_data
    head -n 200 "$MEDRAT_DATA/rationales/val.jsonl" | jq -c '{id, text}' >"$work/in"
    smollm2 "$work/in" >"$work/ids"
    smollm2 --decode --existing replace "$work/ids" | jq -c '{id, text}' | cmp - "$work/in"
}

@test "statistics count tokens and what was cut" {
    printf '{"text":"a b c"}\n{"text":"a"}\n' >"$work/in"
    tokenize --max-length 4 --stats "$work/stats" "$work/in" >/dev/null
    jq -e '.records == 2 and .tokens == 7 and .truncated_records == 1 and .truncated_tokens == 1' \
        "$work/stats"
}

@test "of a folder's tokenizers tokenizer.json is taken, and -v and --stats say so" {
    folder=$work/several
    mkdir "$folder"
    cp tests/golden/tokenizers/bert_cased.json "$folder/tokenizer.json"
    printf '[UNK]\n[CLS]\n[SEP]\na\n' >"$folder/vocab.txt"
    run -0 --separate-stderr medrat-tokenize -v -m "$folder" --stats "$work/stats" <<<'{"text":"a"}'
    [[ "$stderr" == *"tokenizer tokenizer.json: wordpiece, 1202 tokens"* ]]
    [ "$(jq -r .tokenizer "$work/stats")" = tokenizer.json ]
    rm "$folder/tokenizer.json"
    medrat-tokenize -m "$folder" --stats "$work/stats" <<<'{"text":"a"}' >/dev/null
    [ "$(jq -r .tokenizer "$work/stats")" = vocab.txt ]
}

@test "-v says what tokenizer it is; without a model the demo model is named" {
    run -0 --separate-stderr tokenize -v </dev/null
    [[ "$stderr" == *"wordpiece, 77 tokens"* ]]
    need_models
    run -0 --separate-stderr medrat-tokenize </dev/null
    [[ "$stderr" == *smollm2*"not for medical use"* ]]
}

#!/usr/bin/env bats
# medrat-rerank from the outside: what it adds, what it refuses, and that the way does not matter.

bats_require_minimum_version 1.5.0

load common

setup_file() {
    make_tiny "$BATS_FILE_TMPDIR/tiny"
    cd "$BATS_TEST_DIRNAME/../.."
    jq -c '. + {rationales: ["Look for measured numbers.", " ", "The passage names the cause."]}' \
        examples/questions.jsonl >"$BATS_FILE_TMPDIR/questions.jsonl"
}

setup() {
    set -o pipefail # a pipe into jq must not hide a failure
    tiny=$BATS_FILE_TMPDIR/tiny/bert-f32
    questions=$BATS_FILE_TMPDIR/questions.jsonl
    work=$BATS_TEST_TMPDIR
}

rerank() {
    medrat-rerank -q --encoder "$tiny" "$@"
}

bm25() {
    medrat-rerank -q --method bm25 "$@"
}

# every FILTER [FILE]: true of each record, and there is one
every() {
    jq -e -n "[inputs] | length > 0 and all(.[]; $1)" "${@:2}" >/dev/null
}

# One record of three passages, the second about the query.
cough() {
    echo '{"id":"c","query":"What causes cough?","passages":["Fever is common.","Cough: causes of cough.","Rash."]}'
}

@test "every passage is reported once, best first, ranks from 1" {
    rerank "$questions" >"$work/out"
    [ "$(wc -l <"$work/out")" -eq "$(wc -l <"$questions")" ]
    every '[.evidence[].rank] == [range(1; 1 + (.passages | length))]' "$work/out"
    every '([.evidence[].id] | sort) == ([.passages[].id] | sort)' "$work/out"
    every '[.evidence[].score] | . == (sort | reverse)' "$work/out"
    every '.selection.n == ([.evidence[] | select(.selected)] | length) and .selection.n > 0' "$work/out"
    every 'all(.evidence[]; .selected == (.via != []) and (.reason | length > 10))' "$work/out"
}

@test "the rest of the line stays byte for byte" {
    printf '%s\n' '{ "z":1.50 ,"query":"caf\u00e9?", "passages":["a b","\ud83d\ude00"],"big":1234567890123456789012345 }' >"$work/in"
    bm25 "$work/in" >"$work/out"
    head=$(head -c -3 "$work/in")
    [[ "$(cat "$work/out")" == "$head"*',"evidence":['* ]]
}

@test "each rationale has one best passage; a blank rationale has none" {
    rerank "$questions" >"$work/out"
    every '[.evidence[].rationales[] | select(.best) | .index] | sort == [0, 2]' "$work/out"
    every 'all(.evidence[]; [.rationales[].index] == [0, 2])' "$work/out"
    every 'all(.evidence[]; (.via | index("pair") != null) == any(.rationales[]; .best))' "$work/out"
    every '[.evidence[] as $e | $e.rationales[] | {index, similarity, best}] | group_by(.index)
           | all(.[]; max_by(.similarity).similarity == (map(select(.best))[0].similarity))' "$work/out"
}

@test "neighbours are those of the same document, one place away, by default with meteora alone" {
    rerank "$questions" >"$work/out"
    every '. as $r | ([.passages[] | {key: .id, value: {doc, pos}}] | from_entries) as $place
           | all(.evidence[] | select(.via == ["expand"]);
                 $place[.id] as $p
                 | any($r.evidence[] | select(.selected and .via != ["expand"]);
                       $place[.id].doc == $p.doc and ($place[.id].pos - $p.pos | fabs) == 1))' "$work/out"
    jq -e -s 'any(.[].evidence[]; .via == ["expand"])' "$work/out" >/dev/null
    for method in pair pool query; do
        rerank --method $method "$questions" | jq -e -s 'all(.[].evidence[]; .via | index("expand") == null)' >/dev/null
    done
    rerank --window 0 "$questions" | jq -e -s 'all(.[].evidence[]; .via | index("expand") == null)' >/dev/null
}

@test "meteora is pair and pool and their neighbours" {
    for method in pair pool; do
        rerank --method $method "$questions" | jq -c '[.evidence[] | select(.selected) | .id] | sort' >"$work/$method"
    done
    rerank --window 0 "$questions" | jq -c '[.evidence[] | select(.selected) | .id] | sort' >"$work/both"
    paste -d '\n' "$work/pair" "$work/pool" | jq -c -n '[inputs] | range(0; length; 2) as $i | .[$i] + .[$i + 1] | unique' |
        cmp - "$work/both"
}

@test "the same bytes for every batch, thread count and order of records" {
    rerank "$questions" >"$work/out"
    rerank --batch 1 --threads 1 "$questions" | cmp - "$work/out"
    rerank --batch 7 --threads 3 "$questions" | cmp - "$work/out"
    tac "$questions" | rerank --batch 1000 | tac | cmp - "$work/out"
}

@test "without rationales the query ranks, and the record says so" {
    jq -c '.rationales = []' "$questions" | rerank >"$work/empty"
    jq -c 'del(.rationales)' "$questions" | rerank >"$work/absent"
    jq -c 'del(.rationales)' "$questions" | rerank --method query --window 1 >"$work/query"
    for file in empty absent query; do
        jq -c '[.evidence[] | [.id, .score, .via]]' "$work/$file" >"$work/$file.ids"
    done
    cmp "$work/empty.ids" "$work/query.ids"
    cmp "$work/absent.ids" "$work/query.ids"
    every '.selection.reason | startswith("no rationales, so ranked by the query alone")' "$work/empty"
    run ! grep -q "no rationales" "$work/query"
}

@test "cuts: top:N and score:X keep what they say" {
    rerank --method query --cut top:3 "$questions" | every '[.evidence[:3][].selected, .selection.n == 3] | all'
    rerank --method query --cut score:2 "$questions" | every '.selection.n == 0 and .selection.abstained'
    rerank --method query --cut score:-1 "$questions" | every '.selection.n == (.passages | length)'
    cough | bm25 --cut score:0.5 | every '[.evidence[] | select(.selected) | .id] == [1]'
}

@test "bm25 finds the words of the query and opens no encoder" {
    cough | MEDRAT_MODELS=$work/none MEDRAT_NO_DEFAULT=1 bm25 >"$work/out"
    every '.evidence[0].id == 1 and .evidence[0].via == ["bm25"] and .selection.encoder == null' "$work/out"
    every '[.evidence[].id] == [1, 0, 2]' "$work/out" # no word in common: input order
    run -64 --separate-stderr bm25 --encoder "$tiny" /dev/null
    [[ "$stderr" == *"--method bm25 uses no --encoder"* ]]
}

@test "no passages is no error; no query and no list of passages are" {
    printf '%s\n' '{"query":"q","passages":[]}' '{"passages":["a"]}' '{"query":"q"}' '{"query":"q","passages":"a"}' \
        '{"query":"q","passages":[{"id":1,"text":"a"},{"id":1,"text":"b"}]}' '{"query":"q","passages":["a"],"rationales":"r"}' |
        { run -1 rerank; echo "$output"; } >"$work/out"
    jq -e -s '.[0].evidence == [] and .[0].selection.n == 0 and .[0].selection.reason == "no passages to choose from"' "$work/out"
    jq -e -s '[.[1:][].error | .code + " " + .member] == ["missing query", "missing passages", "type passages",
        "duplicate passages[1].id", "type rationales"]' "$work/out"
}

@test "a record that would have more than a million similarities fails, and says why" {
    jq -n -c '{query: "q", passages: [range(1001) | "p\(.)"], rationales: [range(1000) | "r\(.)"]}' >"$work/in"
    run -1 rerank "$work/in"
    echo "$output" | jq -e 'select(.error) | .error.code == "too_many" and .error.member == "rationales"'
}

@test "one passage, and two, are all selected" {
    printf '%s\n' '{"query":"q","passages":["a"]}' '{"query":"q","passages":["a","b"]}' | rerank --method query |
        every 'all(.evidence[]; .selected)'
}

@test "what the encoder cuts is marked and counted" {
    long=$(printf 'word %.0s' $(seq 2000))
    printf '{"query":"q","passages":["short","%s"],"rationales":["r"]}\n' "$long" |
        rerank --stats "$work/stats" >"$work/out"
    every '[.evidence[] | select(.truncated) | .id] == [1] and .selection.truncated == 1' "$work/out"
    every '.truncated == 1 and .passages == 2' "$work/stats"
}

@test "members that are there already: refused, replaced, or kept" {
    cough | bm25 >"$work/one"
    run -1 bm25 "$work/one"
    [[ "$output" == *'"code":"exists"'* ]]
    bm25 --existing keep "$work/one" | cmp - "$work/one"
    bm25 --existing replace --cut top:3 "$work/one" | every '.selection.n == 3 and (keys | length) == 5'
}

@test "statistics count records, passages and what was selected" {
    rerank --threads 2 --stats "$work/stats" "$questions" >"$work/out"
    every '.threads == 2 and (.device | contains("2 threads"))' "$work/stats"
    jq -e --slurpfile out "$work/out" '.passages == ([$out[].passages[]] | length) and .selected == ([$out[].selection.n] | add)
        and .method == "meteora" and .cut == "elbow" and .window == 1 and .without_rationales == 0 and .encoder_tokens > 0' "$work/stats"
}

@test "wrong options are told by name" {
    run -64 --separate-stderr rerank --cut tops:3 /dev/null
    [[ "$stderr" == *"--cut"*"'tops:3' is not one of: elbow, top:N, score:X"* ]]
    run -64 --separate-stderr rerank --method metora /dev/null
    [[ "$stderr" == *meteora* ]]
    run -64 --separate-stderr rerank --window -1 /dev/null
}

@test "a record leaves while the input stays open" {
    mkfifo "$work/in" "$work/out"
    rerank <"$work/in" >"$work/out" 3>&- &
    exec 7>"$work/in" 8<"$work/out"
    cough >&7
    read -r -t 60 line <&8
    [[ "$line" == *'"evidence":['* ]]
    exec 7>&-
    wait $!
    exec 8<&-
}

@test "with the real encoder a rationale finds the passage that it describes" {
    need_models
    [ "$MEDRAT_BUILD_CONFIG" = release ] || skip "the real encoder runs in the release build"
    echo '{"query":"Is aspirin safe?","passages":["The trial was done in three centres in Spain.","Bleeding from the stomach was twice as frequent with aspirin.","Participants were recruited by telephone.","Funding came from a foundation."],"rationales":["Look for side effects such as gastrointestinal haemorrhage.","Who paid for the study?"]}' |
        medrat-rerank -q --method pair | jq -e '[.evidence[] | select(.selected) | [.id, (.rationales[] | select(.best) | .index)]] | sort == [[1, 0], [3, 1]]'
}

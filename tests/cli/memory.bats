#!/usr/bin/env bats
# What a run takes of memory, and --mem, which says so before.

bats_require_minimum_version 1.5.0

load common

setup() {
    # a sanitizer's own memory would drown what is measured
    [ "${MEDRAT_BUILD_CONFIG:-release}" = release ] || skip "on the release build only"
    work=$BATS_TEST_TMPDIR
    shape=(dim=1024 layers=4 heads=8 kv_heads=4 ffn=4096 vocab=2048 context=512)
    jq -nc '{tokens: [range(3; 515)]}' >"$work/in.jsonl"
}

make_shape() { # make_shape OUT KEY=VALUE...
    "$MEDRAT_BUILD/tests/golden/make_shape" "$1" "${shape[@]}" "${@:2}"
}

# The peak of a run is what --mem estimates, which counts no page of the files: at most 3 % more,
# at most 10 % less.
check_estimate() { # check_estimate MODEL [OPTION]...
    local estimate peak
    run -71 --separate-stderr medrat-score -m "$@" --batch 1 --mem 1K "$work/in.jsonl"
    [ -z "$output" ]
    estimate=$(sed 's/.*may need \([0-9]*\).*/\1/' <<<"$stderr")
    medrat-score -m "$@" --batch 1 --stats "$work/stats" "$work/in.jsonl" >"$work/out"
    peak=$(($(jq .peak_memory "$work/stats") >> 20))
    echo "$1: peak $peak MiB, estimate $estimate MiB"
    [ $((100 * peak)) -le $((103 * estimate)) ]
    [ $((100 * peak)) -ge $((90 * estimate)) ]
}

@test "a folder in 16 bits takes what --mem says, and not its files beside it" {
    make_shape "$work/hub" form=hub type=BF16 shard=40000000
    check_estimate "$work"/hub/models--*/snapshots/*
}

@test "so does a folder of floats, which are kept in 16 bits" {
    make_shape "$work/folder" form=folder type=F32
    check_estimate "$work/folder"
}

@test "so do GGUF files of 4 and 8 bits" {
    for type in Q4_0 Q4_1 Q8_0; do
        make_shape "$work/$type.gguf" form=gguf type=$type
        check_estimate "$work/$type.gguf"
    done
}

@test "so do GGUF files of K blocks" {
    for type in Q4_K_M Q5_K_M Q6_K; do
        make_shape "$work/$type.gguf" form=gguf type=$type
        check_estimate "$work/$type.gguf"
    done
}

@test "so does a folder that becomes NF4" {
    make_shape "$work/folder" form=folder type=BF16
    check_estimate "$work/folder" --quantize nf4
}

@test "--mem refuses part by part, or lets a run go" {
    make_shape "$work/m.gguf" form=gguf type=Q4_0
    for tool in medrat-score medrat-gen; do
        run -71 $tool -m "$work/m.gguf" --mem 10M "$work/in.jsonl"
        for part in weights 'KV cache' scratch adapters tokenizer program; do
            [[ "$output" == *", $part "[0-9]*" MiB"* ]]
        done
        [[ "$output" == *"--mem allows 10.0, "* ]]
    done
    run -0 medrat-score -m "$work/m.gguf" --mem 1G "$work/in.jsonl"
    run -64 medrat-score -m "$work/m.gguf" --mem much "$work/in.jsonl"
    run -66 medrat-score -m "$work/none" --mem 1G "$work/in.jsonl"
}

@test "fewer texts at once and shorter ones need less" {
    make_shape "$work/m.gguf" form=gguf type=Q4_0
    cache() { # cache OPTION...
        run -71 medrat-score -m "$work/m.gguf" "$@" --mem 1K "$work/in.jsonl"
        sed 's/.*KV cache \([0-9][0-9]*\).*/\1/' <<<"$output"
    }
    [ "$(cache)" -gt "$(cache --batch 2)" ]
    [ "$(cache)" -gt "$(cache --max-length 64)" ]
}

@test "training takes what --mem says, with and without all activations" {
    make_shape "$work/folder" form=folder type=BF16
    for i in 1 2 3; do cat "$work/in.jsonl"; done >"$work/rows"
    for options in "" "--mem 300M" "--quantize nf4" "--quantize nf4 --mem 200M"; do
        run -0 --separate-stderr medrat-train -v -m "$work/folder" $options --batch 2 --accumulation 1 --steps 2 \
            --stats "$work/stats" -o "$work/adapter" "$work/rows"
        [[ "$options" != *--mem* || "$stderr" == *"activations are computed again"* ]]
        estimate=$(grep -o '[0-9]*\.[0-9] MiB of memory at most' <<<"$stderr")
        peak=$(($(jq .peak_memory "$work/stats") >> 20))
        echo "$options: peak $peak MiB, $estimate"
        estimate=${estimate%%.*}
        [ $((100 * peak)) -le $((103 * estimate)) ]
        [ $((100 * peak)) -ge $((90 * estimate)) ]
        rm -r "$work/adapter"
    done
}

@test "--mem refuses to train part by part, before anything is made" {
    make_shape "$work/m.gguf" form=gguf type=Q4_0
    run -71 medrat-train -m "$work/m.gguf" --mem 10M -o "$work/adapter" "$work/in.jsonl"
    for part in weights rows parameters 'activations (recomputed)' tokenizer program; do
        [[ "$output" == *", $part "[0-9]*" MiB"* ]]
    done
    run -71 medrat-train -m "$work/m.gguf" --mem 1K -o "$work/adapter" "$work/in.jsonl"
    [[ "$output" == *"1 rows take "*" MiB, more than --mem allows, and more follow"* ]]
    [ ! -e "$work/adapter" ] && [ ! -e "$work/adapter.part" ]
}

# Peak memory of N records through a tool, in MiB.
peak_of() { # peak_of N COMMAND...
    local n=$1
    shift
    jq -nc "range($n) | {id: ., query: \"word \\(.)\", text: \"word \\(.)\", tokens: [range(3; 3 + . % 37 + 2)],
        passages: [\"a word\", \"another \\(.)\"], rationales: [\"word\"]}" >"$work/many.jsonl"
    "$@" -q --stats "$work/stats" "$work/many.jsonl" >/dev/null
    [ "$(jq .done "$work/stats")" -eq "$n" ]
    echo $(($(jq .peak_memory "$work/stats") >> 10))
}

@test "ten times the records take no more memory" {
    printf '%s\n' '[PAD]' '[UNK]' '[CLS]' '[SEP]' '[MASK]' {a..z} '##'{a..z} >"$work/vocab.txt"
    "$MEDRAT_BUILD/tests/golden/make_tiny" "$work"
    for command in "medrat-tokenize -m $work/vocab.txt --existing replace" "medrat-rerank --method bm25" \
        "medrat-rerank --encoder $work/bert-f32 --method query" \
        "medrat-score -m $work/llama-3" "medrat-gen -m $work/llama-3 --max-tokens 2 --existing replace"; do
        few=$(peak_of 2000 $command)
        many=$(peak_of 20000 $command)
        echo "$command: $few KiB, $many KiB"
        [ "$many" -le $((few + 4096)) ]
    done
}

@test "a record of 16 MiB passes, or fails alone" {
    "$MEDRAT_BUILD/tests/golden/make_tiny" "$work"
    jq -nc '{id: 1, text: ("word " * 3300000), tokens: [4, 5], query: "word", passages: ["a word"]}, {id: 2, tokens: [4, 5], text: "a", query: "word", passages: []}' >"$work/large.jsonl"
    [ "$(head -n 1 "$work/large.jsonl" | wc -c)" -gt 16000000 ]
    for command in "medrat-score -m $work/llama-3" "medrat-gen -m $work/llama-3 --max-tokens 2" "medrat-rerank --method bm25"; do
        $command -q -o "$work/out" "$work/large.jsonl"
        jq -e -s 'length == 2 and all(.[]; .error | not)' "$work/out" >/dev/null
    done
}

#!/usr/bin/env bats
# medrat-score --verify: what was downloaded, held against what was published.

bats_require_minimum_version 1.5.0

load common

setup_file() {
    make_tiny "$BATS_FILE_TMPDIR/tiny"
}

setup() {
    work=$BATS_TEST_TMPDIR
    cd "$BATS_TEST_DIRNAME/../.."
    export HF_HUB_CACHE=$work/hub
    snapshot=$(make_snapshot "$HF_HUB_CACHE" some/model "$BATS_FILE_TMPDIR/tiny/mistral-shards")
}

# The results of the files, in their order, without the first line and the last.
results() {
    sed '1d;$d' <<<"$output" | cut -c 1-17 | sed 's/ *$//' | paste -sd ,
}

@test "large files are as the cache calls them, small ones are not known" {
    run -0 medrat-score --verify -m some/model
    [ "${lines[0]}" = "$snapshot" ]
    [ "$(results)" = "not known,as the cache says,as the cache says,as the cache says,not known" ]
    [[ "$output" == *"$(sha256sum "$snapshot/config.json" | cut -d ' ' -f 1)"*config.json* ]]
    [ "${lines[6]}" = "no model that is known here: 0 as published, 3 as the cache says, 2 not known, 0 differ, 0 missing" ]
}

@test "a byte that changed is found" {
    printf x | dd of="$(readlink -f "$snapshot/model-00002-of-00003.safetensors")" bs=1 seek=700 conv=notrunc status=none
    run -65 --separate-stderr medrat-score --verify -m some/model
    [ "$(results)" = "not known,as the cache says,DIFFERS,as the cache says,not known" ]
    [[ "$stderr" == "medrat-score: "*": 1 of its files are not those that were published" ]]
}

@test "a name that was published asks for its files" {
    snapshot=$(make_snapshot "$HF_HUB_CACHE" mistralai/Mistral-7B-Instruct-v0.3 "$BATS_FILE_TMPDIR/tiny/mistral-shards")
    rm "$snapshot/model-00003-of-00003.safetensors"
    run -65 --separate-stderr medrat-score --verify -m mistralai/Mistral-7B-Instruct-v0.3
    [ "$(results)" = "DIFFERS,DIFFERS,DIFFERS,DIFFERS,MISSING,MISSING" ]
    [ "${lines[7]}" = "mistralai/Mistral-7B-Instruct-v0.3: 0 as published, 0 as the cache says, 0 not known, 4 differ, 2 missing" ]
}

@test "the tokenizer and the demo model are as published" {
    need_models
    run -0 medrat-score --verify
    [ "$(results)" = "as published" ]
    mkdir "$work/files"
    cp "$MEDRAT_MODELS"/mistral-v3-tokenizer/*.model.v2 "$work/files/tokenizer.model"
    echo "{}" >"$work/files/a.json"
    snapshot=$(make_snapshot "$HF_HUB_CACHE" mistralai/Mistral-7B-Instruct-v0.3 "$work/files")
    run -65 medrat-score --verify -m mistralai/Mistral-7B-Instruct-v0.3
    [[ "${lines[2]}" == "as published "*" 587404 "*" tokenizer.model" ]]
}

@test "half of the demo model is not the demo model" {
    head -c 1000 "$BATS_FILE_TMPDIR/tiny/llama-q4_1.gguf" >"$work/SmolLM2-135M-Instruct.Q4_1.gguf"
    run -65 --separate-stderr medrat-score --verify -m "$work/SmolLM2-135M-Instruct.Q4_1.gguf"
    [ "$(results)" = "DIFFERS" ]
    [[ "${lines[1]}" == *": shorter than published" ]]
}

@test "weights that nobody published are whole by what they say of themselves" {
    cp -r "$BATS_FILE_TMPDIR/tiny/mistral-f32" "$work/whole"
    run -0 medrat-score --verify -m "$work/whole"
    truncate -s -100 "$work/whole/model.safetensors"
    run -65 medrat-score --verify -m "$work/whole"
    [[ "$output" == *"DIFFERS "*" model.safetensors: $work/whole/model.safetensors: "*"is the file cut short?"* ]]
    head -c 5000 "$BATS_FILE_TMPDIR/tiny/llama-q4_1.gguf" >"$work/half.gguf"
    run -65 --separate-stderr medrat-score --verify -m "$work/half.gguf"
    [ "$(results)" = "DIFFERS" ]
}

@test "other folders are named behind the model" {
    echo '{}' >"$work/adapter_config.json"
    run -0 medrat-score --verify -m some/model "$work/adapter_config.json"
    [ "${lines[7]}" = "$work/adapter_config.json" ]
    [[ "${lines[8]}" == "not known "*" 3 "*" adapter_config.json" ]]
    run -66 medrat-score --verify -m some/model "$work/none"
}

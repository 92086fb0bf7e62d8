#!/usr/bin/env bats
# LoRA adapters from the outside: which one a record gets, where they and their bases are found, and
# that records with different ones share a batch without a trace.

bats_require_minimum_version 1.5.0

load common

setup_file() {
    make_tiny "$BATS_FILE_TMPDIR/models"
    mkdir "$BATS_FILE_TMPDIR/adapters"
    "$MEDRAT_BUILD/tests/golden/make_adapters" "$BATS_FILE_TMPDIR/adapters"
    # the same matrices by another scale
    cp -r "$BATS_FILE_TMPDIR/adapters/gguf" "$BATS_FILE_TMPDIR/adapters/half"
    sed -i 's/"lora_alpha": 32/"lora_alpha": 16/' "$BATS_FILE_TMPDIR/adapters/half/adapter_config.json"
}

setup() {
    set -o pipefail
    export MEDRAT_MODELS=$BATS_FILE_TMPDIR/models
    base=$MEDRAT_MODELS/llama-q4_1.gguf # byte-level BPE
    adapters=$BATS_FILE_TMPDIR/adapters
    work=$BATS_TEST_TMPDIR
    unset HF_HUB_CACHE HF_HOME
    export XDG_CACHE_HOME=$work/cache HOME=$work
    cd "$work"
}

score() {
    medrat-score -q -m "$base" "$@"
}

two() {
    "$@" --adapter whole="$adapters/gguf" --adapter half="$adapters/half"
}

mixed() { # records with all kinds of "adapter"
    for i in $(seq 12); do
        case $((i % 4)) in
        0) with= ;;
        1) with=',"adapter":null' ;;
        2) with=',"adapter":"half"' ;;
        3) with=',"adapter":"whole"' ;;
        esac
        printf '{"id":%d,"text":"%s fever %d"%s}\n' "$i" "$(printf 'pain and %.0s' $(seq $((i * i % 37))))" "$i" "$with"
    done
}

nll() {
    jq -c .score.nll "$@"
}

@test "a record names its adapter, or none, or gets the first" {
    text='"text":"the cause of fever"'
    printf '{%s}\n{%s,"adapter":"half"}\n{%s,"adapter":null}\n{%s,"adapter":"whole"}\n' \
        "$text" "$text" "$text" "$text" >in
    two score in | nll >out
    head -n 1 in | score | nll >plain
    head -n 1 in | score --adapter "$adapters/half" | nll >half
    [ "$(sed -n 1p out)" = "$(sed -n 4p out)" ]
    [ "$(sed -n 2p out)" = "$(cat half)" ]
    [ "$(sed -n 3p out)" = "$(cat plain)" ]
    [ "$(sort -u out | wc -l)" = 3 ]
}

@test "records with different adapters share a batch, each with its own bytes" {
    mixed >in
    check_one_result in two score
    jq -c 'select(.adapter == "half") | del(.adapter)' in | score --adapter "$adapters/half" | nll >half
    jq -c 'select(.adapter == "half")' alone | nll | cmp - half
    jq -c 'select(has("adapter") and .adapter == null)' in | score | nll >plain
    jq -c 'select(has("adapter") and .adapter == null)' alone | nll | cmp - plain
}

@test "generations are the same in any mix, and say by what they were made" {
    mixed | jq -c '{id, prompt: .text} + (if has("adapter") then {adapter} else {} end)' >in
    gen() {
        medrat-gen -q -m "$base" --recipe raw --max-tokens 12 --seed 3 "$@"
    }
    check_one_result in two gen
    jq -r '[.adapter // "-", .generation.model] | @tsv' alone | sort -u >models
    [ "$(grep -c '^half	llama-q4_1@[0-9a-f]\{16\}+half@[0-9a-f]\{16\}$' models)" = 1 ]
    [ "$(grep -c '^whole	llama-q4_1@[0-9a-f]\{16\}+gguf@[0-9a-f]\{16\}$' models)" = 1 ]
    [ "$(grep -c '^-	llama-q4_1@[0-9a-f]\{16\}$' models)" = 1 ]
    [ "$(jq -r '.generation.model' alone | sed 's/.*+//' | sort -u | wc -l)" = 3 ]
}

@test "an unknown adapter fails its record alone" {
    printf '{"id":1,"text":"a fever","adapter":"third"}\n{"id":2,"text":"a fever","adapter":7}\n{"id":3,"text":"a fever"}\n' >in
    run --separate-stderr -1 two score in
    [ "$(jq -r '.error.code // "-"' <<<"$output" | paste -sd ' ')" = "adapter type -" ]
    [ "$(jq -r 'select(.error) | .error.member' <<<"$output" | sort -u)" = adapter ]
    [[ "$output" == *"no adapter of that name was given with --adapter"* ]]
    run -1 score in
    [ "$(grep -c '"code":"adapter"' <<<"$output")" = 1 ]
}

@test "what was loaded is told" {
    echo '{"text":"a fever"}' >in
    run --separate-stderr -0 medrat-score -v -m "$base" --adapter "$adapters/gguf" --stats stats in
    [[ "$stderr" == *"medrat-score: adapter 'gguf': gguf@"*", 10 modules, rank 16, weights $adapters/gguf/adapter_model.safetensors"* ]]
    jq -e '.adapters | length == 1 and .[0].name == "gguf" and .[0].modules == 10 and .[0].max_rank == 16' stats
    run -0 score --stats stats in
    jq -e 'has("adapters") | not' stats
}

@test "another base's name is a warning, quiet or not as asked" {
    echo '{"tokens":[5,6,7,8]}' >in
    run --separate-stderr -0 medrat-score -m "$MEDRAT_MODELS/mistral-bf16" --adapter "$adapters/attention" in
    [ "$stderr" = "medrat-score: adapter 'attention': made for the model 'tiny/mistral-f32', used with 'mistral-bf16'" ]
    run --separate-stderr -0 medrat-score -q -m "$MEDRAT_MODELS/mistral-bf16" --adapter "$adapters/attention" in
    [ "$stderr" = "" ]
}

@test "-m takes the folder of an adapter, whose base is installed" {
    echo '{"tokens":[5,6,7,8]}' >in
    run --separate-stderr -0 medrat-score -m "$adapters/attention" in
    [ "$stderr" = "medrat-score: adapter 'attention': its base model is $MEDRAT_MODELS/mistral-f32" ]
    [ "$(nll <<<"$output")" = "$(medrat-score -q -m "$MEDRAT_MODELS/mistral-f32" --adapter "$adapters/attention" in | nll)" ]
    # by its words: "mistral f32" begins "Mistral-F32-Instruct"
    cp -r "$adapters/attention" mine
    sed -i 's,tiny/mistral-f32,org/Mistral-F32-Instruct,' mine/adapter_config.json
    run --separate-stderr -0 medrat-score -m mine in
    [ "${stderr_lines[0]}" = "medrat-score: adapter 'mine': its base model is $MEDRAT_MODELS/mistral-f32" ]
    [ "${stderr_lines[1]}" = "medrat-score: adapter 'mine': made for the model 'org/Mistral-F32-Instruct', used with 'mistral-f32'" ]
    # more adapters come behind it
    printf '{"tokens":[5,6,7,8],"adapter":"%s"}\n' mine other >in
    run -0 medrat-score -q -m mine --adapter other="$adapters/regex" in
    [ "$(nll <<<"$output" | sort -u | wc -l)" = 2 ]
}

@test "-m takes the folder of an adapter, whose base is a path or in the Hugging Face cache" {
    echo '{"tokens":[5,6,7,8]}' >in
    hub=$work/cache/huggingface/hub/models--org--Base
    mkdir -p "$hub/refs" "$hub/snapshots"
    printf 0123456789012345678901234567890123456789 >"$hub/refs/main"
    cp -r "$MEDRAT_MODELS/mistral-bf16" "$hub/snapshots/0123456789012345678901234567890123456789"
    cp -r "$adapters/attention" mine
    sed -i 's,tiny/mistral-f32,org/Base,' mine/adapter_config.json
    run --separate-stderr -0 medrat-score -m mine in
    [ "${stderr_lines[0]}" = "medrat-score: adapter 'mine': its base model is $hub/snapshots/0123456789012345678901234567890123456789" ]
    [ "${#stderr_lines[@]}" = 1 ]
    sed -i "s,org/Base,$MEDRAT_MODELS/mistral-f16," mine/adapter_config.json
    run --separate-stderr -0 medrat-score -m mine in
    [ "$stderr" = "medrat-score: adapter 'mine': its base model is $MEDRAT_MODELS/mistral-f16" ]
}

@test "a base that is nowhere is told with what would fetch it" {
    echo '{"tokens":[5,6,7,8]}' >in
    cp -r "$adapters/attention" mine
    sed -i 's,tiny/mistral-f32,org/Nothing-7B,' mine/adapter_config.json
    run --separate-stderr -66 medrat-score -m mine in
    [ "$stderr" = "medrat-score: mine/adapter_config.json: its base 'org/Nothing-7B' is neither in the local Hugging Face cache nor installed: 'hf download org/Nothing-7B' fetches it; or name another with -m, and the adapter with --adapter" ]
    sed -i 's,"org/Nothing-7B",null,' mine/adapter_config.json
    run --separate-stderr -78 medrat-score -m mine in
    [ "$stderr" = "medrat-score: mine/adapter_config.json: base_model_name_or_path: missing: name a model with -m, and the adapter with --adapter" ]
}

@test "adapters that cannot be are refused" {
    echo '{"tokens":[5,6,7,8]}' >in
    run --separate-stderr -66 score --adapter nowhere in
    [ "$stderr" = "medrat-score: adapter 'nowhere': no such folder" ]
    run --separate-stderr -64 score --adapter a= in
    [[ "$stderr" == "medrat-score: an adapter's folder is empty"* ]]
    run --separate-stderr -64 score --adapter "$adapters/gguf" --adapter "$adapters/gguf/" in
    [[ "$stderr" == "medrat-score: two adapters are called 'gguf': name them, as in --adapter NAME=DIR"* ]]
    run --separate-stderr -78 score --adapter "$adapters/layers" in
    [ "$stderr" = "medrat-score: adapter 'layers': $adapters/layers/adapter_model.safetensors: tensor 'base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight': shape [8, 64], must be [8, 96]" ]
    cp -r "$adapters/gguf" cut
    truncate -s -100 cut/adapter_model.safetensors
    run --separate-stderr -78 score --adapter cut in
    [[ "$stderr" == "medrat-score: adapter 'cut': cut/adapter_model.safetensors: "*"is the file cut short?" ]]
}

@test "an adapter is found by its name among the installed models" {
    echo '{"text":"a fever"}' >in
    mkdir models
    cp -r "$adapters/gguf" models/mine
    [ "$(score --adapter mine in | nll)" = "$(score --adapter "$adapters/gguf" in | nll)" ]
}

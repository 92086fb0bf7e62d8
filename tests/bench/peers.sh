#!/bin/sh
# llama.cpp beside medrat: the same GGUF file, the same threads, one after the other.
#
#   peers.sh MODEL.gguf THREADS <FIGURES >LINES
#
# FIGURES are bench_model's lines for that model; a line comes out for each that a peer can answer,
# `ratio` > 1 where medrat is faster. llama-bench and llama-batched-bench are looked for in
# $LLAMA_CPP_BIN, then on the PATH.
#
# Not all is alike: llama-bench makes the logits of the last of its 512 tokens alone, medrat those of
# all (for SmolLM2 a quarter more work); llama.cpp rounds activations to 8 bits where weights are
# quantised and may use AVX-512, medrat computes in f32. Both tell their best of three.
set -eu

model=$1
threads=$2
figures=$(cat)
rounds=3

find_tool() { # find_tool NAME: its path, or false and a line that says so
    if [ -n "${LLAMA_CPP_BIN:-}" ] && [ -x "$LLAMA_CPP_BIN/$1" ]; then
        echo "$LLAMA_CPP_BIN/$1"
    elif ! command -v "$1"; then
        echo "skipped: $1 not found" >&2
        return 1
    fi
}

prefill() { # best tokens a second of llama-bench
    "$1" -m "$model" -p 512 -n 0 -t "$threads" -r "$rounds" -o jsonl 2>/dev/null |
        jq '.samples_ts | max'
}

decode() { # decode TOOL SEQUENCES: best tokens a second of llama-batched-bench
    i=0
    while [ "$i" -lt "$rounds" ]; do
        "$1" -m "$model" -c $(($2 * 256)) -npp 128 -ntg 64 -npl "$2" -t "$threads" \
            -tb "$threads" --output-format jsonl 2>/dev/null
        i=$((i + 1))
    done | jq -s 'map(select(.speed_tg) | .speed_tg) | max'
}

# figure BENCH SEQUENCES: medrat's line for it, if there is one
figure() {
    printf '%s\n' "$figures" |
        jq -c "select(.bench == \"$1\" and (\"$2\" == \"\" or .sequences == (\"$2\" | tonumber)))"
}

if tool=$(find_tool llama-bench); then
    line=$(figure score '')
    if [ -n "$line" ]; then
        theirs=$(prefill "$tool")
        printf '%s\n' "$line" | jq -c --argjson theirs "$theirs" '
            {bench, peer: "llama-bench -p 512", tokens_per_s, peer_tokens_per_s: $theirs,
             ratio: (.tokens_per_s / $theirs)}'
    fi
fi
if tool=$(find_tool llama-batched-bench); then
    for sequences in 1 8 32; do
        line=$(figure decode "$sequences")
        [ -n "$line" ] || continue
        theirs=$(decode "$tool" "$sequences")
        printf '%s\n' "$line" | jq -c --argjson theirs "$theirs" '
            {bench, sequences, peer: "llama-batched-bench -npp 128 -ntg 64", tokens_per_s,
             peer_tokens_per_s: $theirs, ratio: (.tokens_per_s / $theirs)}'
    done
fi

#!/bin/sh
# Peers beside medrat: the same files, the same texts, the same threads, one after the other.
#
#   peers.sh MODEL.gguf MINILM_FOLDER MISTRAL.model THREADS
#
# Reads build/bench/figures.jsonl (medrat's own lines, made a moment ago) and the texts beside it. A
# line comes out for each figure that a peer answers: the peer and its version, what was compared on
# how many threads, both figures, `ratio` > 1 where medrat is faster. Peers are what `make peers` put
# into build/peers, else what is found: llama.cpp in $LLAMA_CPP_BIN or on the PATH, Python packages
# in $MEDRAT_PYTHON. What is absent is skipped with a word.
#
# Not all is alike: llama-bench makes the logits of the last of its 512 tokens alone, medrat those of
# all (for SmolLM2 a quarter more work); llama.cpp rounds activations to 8 bits where weights are
# quantised. All tell their best of three.
set -eu

gguf=$1 minilm=$2 spm=$3 threads=$4
figures=build/bench/figures.jsonl
rounds=3
python=${MEDRAT_PYTHON:-build/peers/venv/bin/python}

find_tool() { # find_tool NAME: its path, or false and a line that says so
    for folder in "${LLAMA_CPP_BIN:-}" build/peers/llama.cpp/build/bin; do
        [ -n "$folder" ] && [ -x "$folder/$1" ] && echo "$folder/$1" && return
    done
    command -v "$1" || { echo "skipped: $1 not found (make peers)" >&2 && return 1; }
}

version_of() { # version_of TOOL: the package that make peers built it from, or its commit
    case $1 in
    build/peers/*)
        for package in build/peers/source/llama_cpp_python-*.tar.gz; do
            basename "$package" .tar.gz | tr _ - && return
        done
        ;;
    *) echo "of $1" ;;
    esac
}

prefill() { # prefill TOOL: {peer, tokens_per_s, ...} of llama-bench
    "$1" -m "$gguf" -p 512 -n 0 -t "$threads" -r "$rounds" -o jsonl 2>/dev/null |
        jq -c --arg version "$(version_of "$1")" '{bench: "score", peer: "llama-bench",
            version: $version, threads: .n_threads, tokens_per_s: (.samples_ts | max),
            compared: "512-token prompts; medrat makes all logits, the peer the last ones"}'
}

decode() { # decode TOOL SEQUENCES THREADS: the same of llama-batched-bench
    i=0
    while [ "$i" -lt "$rounds" ]; do
        "$1" -m "$gguf" -c $(($2 * 256)) -npp 128 -ntg 64 -npl "$2" -t "$3" -tb "$3" \
            --output-format jsonl 2>/dev/null
        i=$((i + 1))
    done | jq -cs --argjson n "$2" --argjson threads "$3" --arg version "$(version_of "$1")" '
        {bench: "decode", sequences: $n, peer: "llama-batched-bench", version: $version,
         threads: $threads, tokens_per_s: (map(.speed_tg // 0) | max),
         compared: "64 new tokens of each sequence behind 128"} | select(.tokens_per_s)'
}

python_peers() { # python_peers COMMAND ARGUMENT...
    if [ ! -x "$python" ]; then
        echo "skipped: Python peers of '$1' (make peers)" >&2
        return
    fi
    "$python" tests/bench/peers.py "$@" 2>build/bench/peers.log || {
        echo "peers.py $1 failed: build/bench/peers.log" >&2
        return 1
    }
    grep '^skipped' build/bench/peers.log >&2 || true
}

{
    ! tool=$(find_tool llama-bench) || prefill "$tool"
    if tool=$(find_tool llama-batched-bench); then
        [ "$threads" -eq 1 ] || decode "$tool" 1 1
        for sequences in 1 8 32; do
            decode "$tool" "$sequences" "$threads"
        done
    fi
    python_peers score "$gguf" "$threads"
    python_peers embed "$minilm" build/bench/passages.txt "$threads"
    python_peers tokens "$gguf" "$minilm" "$spm" build/bench/texts.txt
} | jq -c --unbuffered --slurpfile ours "$figures" '
    . as $peer
    | $ours[]
    | select(.bench == $peer.bench and .threads == $peer.threads
             and ($peer.sequences == null or .sequences == $peer.sequences)
             and ($peer.tokenizer == null or .tokenizer == $peer.tokenizer))
    | (.tokens_per_s // .mb_per_s) as $mine
    | ($peer.tokens_per_s // $peer.mb_per_s) as $theirs
    | {bench, peer: $peer.peer, version: $peer.version, compared: $peer.compared, threads}
      + (if $peer.sequences then {sequences} else {} end)
      + (if $peer.tokenizer then {tokenizer} else {} end)
      + {unit: (if .tokens_per_s then "tokens/s" else "MB/s" end),
         medrat: $mine, theirs: ($theirs * 100 | round / 100),
         ratio: ($mine / $theirs * 100 | round / 100)}'

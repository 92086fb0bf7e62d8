#!/bin/sh
# make bench: that no text takes a tokenizer much longer than another of its length; then JSON lines
# with shares of this machine's own peak, probed in the same run; then ratios to the peers that
# `make peers` fetched, measured in the same run as well; then the floors that both are held to.
# The lines stay in build/bench/figures.jsonl and build/bench/ratios.jsonl.
# THREADS=N (default: all processors), OPS=1 (each operation on its own too, some minutes),
# MEDRAT_DATA=FOLDER (tokenizers read the texts of its rationales/val.jsonl, not those of examples/).
set -eu
cd "$(dirname "$0")/../.."
: "${MEDRAT_BIN:=build/release/bin}" "${MEDRAT_BENCH:=build/release/tests/bench}"
models=${MEDRAT_MODELS:-models}
if [ ! -e "$models/smollm2" ] || [ ! -e "$models/minilm" ]; then
    echo "make bench: no demo models in $models (make models)" >&2
    exit 66
fi
threads=${THREADS:-$(nproc)}
gguf=$(echo "$models"/smollm2/*.gguf)
val=${MEDRAT_DATA:-}/rationales/val.jsonl
mkdir -p build/bench
jq -r '.passages[].text' examples/questions.jsonl | head -n 128 >build/bench/passages.txt
if [ -e "$val" ]; then
    jq -r '.text | gsub("\n"; " ")' "$val" >build/bench/texts.txt
else
    jq -r '.query, .passages[].text' examples/questions.jsonl >build/bench/texts.txt
fi

models_on() { # models_on THREADS
    "$MEDRAT_BENCH/bench_model" "$gguf" "$models/minilm" build/bench/passages.txt "$1" |
        jq -c --unbuffered --argjson threads "$1" '. + {threads: $threads}'
}

MEDRAT_MODELS=$models "$MEDRAT_BENCH/tokenizer_time_test"
[ -z "${OPS:-}" ] || "$MEDRAT_BENCH/bench_ops" "$threads"
{
    models_on "$threads"
    [ "$threads" -eq 1 ] || models_on 1 | sed '/"bench":"decode"/q' # scoring, and one sequence
    "$MEDRAT_BENCH/bench_adapter" "$gguf" "$threads" |
        jq -c --unbuffered --argjson threads "$threads" '. + {threads: $threads}'
    for name in smollm2 minilm mistral-v3-tokenizer; do
        "$MEDRAT_BENCH/bench_tokens" "$models/$name" build/bench/texts.txt |
            jq -c --arg name "$name" '.kind = .tokenizer | .tokenizer = $name | .threads = 1'
    done
} | tee build/bench/figures.jsonl
tests/bench/peers.sh "$gguf" "$models/minilm" "$models"/mistral-v3-tokenizer/*.model.v* "$threads" |
    tee build/bench/ratios.jsonl
tests/bench/floors.sh build/bench/figures.jsonl build/bench/ratios.jsonl "$threads"

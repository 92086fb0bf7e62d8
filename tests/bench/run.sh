#!/bin/sh
# make bench: that no text takes a tokenizer much longer than another of its length; then JSON lines
# with shares of this machine's own peak, probed in the same run; then peers that are found.
# THREADS=N (default: all processors), OPS=1 (each operation on its own too, some minutes).
set -eu
cd "$(dirname "$0")/../.."
: "${MEDRAT_BIN:=build/release/bin}" "${MEDRAT_BENCH:=build/release/tests/bench}"
models=${MEDRAT_MODELS:-models}
if [ ! -e "$models/smollm2" ] || [ ! -e "$models/minilm" ]; then
    echo "make bench: no demo models in $models (make models)" >&2
    exit 66
fi
threads=${THREADS:-$(nproc)}
MEDRAT_MODELS=$models "$MEDRAT_BENCH/tokenizer_time_test"
[ -z "${OPS:-}" ] || "$MEDRAT_BENCH/bench_ops" "$threads"
"$MEDRAT_BENCH/bench_model" "$models/smollm2" "$models/minilm" "$threads" | tee build/bench.jsonl
tests/bench/peers.sh "$models"/smollm2/*.gguf "$threads" <build/bench.jsonl

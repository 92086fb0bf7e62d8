#!/bin/sh
# make bench-train: an adapter of SmolLM2 trained on real texts, as JSON lines; then the same steps
# by PEFT and transformers in the same run, where `make peers` put them, and the ratio.
# THREADS=N (default: all processors; of one, processor time counts, which other programs do not
# take), MEDRAT_DATA=FOLDER with rationales/val.jsonl.
set -eu
cd "$(dirname "$0")/../.."
: "${MEDRAT_BENCH:=build/release/tests/bench}"
models=${MEDRAT_MODELS:-models}
texts=${MEDRAT_DATA:-../shared/data}/rationales/val.jsonl
python=${MEDRAT_PYTHON:-build/peers/venv/bin/python}
threads=${THREADS:-$(nproc)}
if [ ! -e "$models/smollm2" ] || [ ! -e "$texts" ]; then
    echo "make bench-train: needs $models/smollm2 (make models) and $texts" >&2
    exit 66
fi
gguf=$(echo "$models"/smollm2/*.gguf)
mkdir -p build/bench
"$MEDRAT_BENCH/bench_train" "$gguf" "$texts" "$threads" | tee build/bench/train.jsonl
if ! "$python" -c 'import peft' 2>/dev/null; then
    echo "skipped: PEFT not found (make peers)" >&2
    exit
fi
"$python" tests/bench/peers.py train "$gguf" "$texts" "$threads" 2>build/bench/peers.log |
    jq -c --slurpfile ours build/bench/train.jsonl '
        . as $peer | $ours[]
        | {bench, recompute, peer: $peer.peer, version: $peer.version, compared: $peer.compared,
           threads, unit: "tokens/s", medrat: .tokens_per_s,
           theirs: ($peer.tokens_per_s * 100 | round / 100),
           ratio: (.tokens_per_s / $peer.tokens_per_s * 100 | round / 100)}'

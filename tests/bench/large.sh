#!/bin/sh
# make bench-7b: layers of Mistral-7B's shape in Q4_K_M, medrat beside llama.cpp on one file, in one
# run; then the floors that both are held to. A stack of fewer layers has nearly the ratios of all 32.
# The lines stay in build/bench/large.jsonl.
#   LAYERS=N (default 4; 32 is the whole shape: 19 GB of disk)   THREADS=N (default: all processors)
#   LLAMA_CPP_BIN=FOLDER (default: what make peers built; without it no ratios)
#   LLAMA_CPP_AVX2_BIN=FOLDER (the same built without AVX-512: what the set avx2-madd is held to)
#
# llama-bench makes the logits of the last of its 512 tokens alone, medrat those of all: of four
# layers an eighth more work. Peaks of memory are of whole processes (score, then decode of 16).
set -eu
cd "$(dirname "$0")/../.."
: "${MEDRAT_BENCH:=build/release/tests/bench}" "${MEDRAT_FIXTURES:=build/release/tests/golden}"
layers=${LAYERS:-4}
threads=${THREADS:-$(nproc)}
models=${MEDRAT_MODELS:-models}
peers=${LLAMA_CPP_BIN:-build/peers/llama.cpp/build/bin}
out=build/bench
mkdir -p "$out"
: >"$out/large.jsonl"
trap 'rm -f "$out/large.gguf" "$out/large.bf16.gguf"' EXIT

make_file() { # make_file FILE TYPE
    "$MEDRAT_FIXTURES/make_shape" "$1" form=gguf type="$2" layers="$layers" \
        tokenizer="$(echo "$models"/mistral-v3-tokenizer/*.model.v*)"
}

ours() { # ours FILE TYPE KERNELS
    MEDRAT_KERNELS=$3 "$MEDRAT_BENCH/bench_model" "$1" "$threads" |
        jq -c --arg type "$2" '. + {by: "medrat", type: $type,
            kernels: (.device | split(",")[0])} | del(.device)'
}

# The most memory that a command and what it starts had, in bytes, behind its output.
peak_of() {
    "$@" 2>/dev/null &
    peak=0
    while kill -0 $! 2>/dev/null; do
        now=$(awk '$1 == "VmHWM:" { print $2 }' "/proc/$!/status" 2>/dev/null || true)
        [ "${now:-0}" -le "$peak" ] || peak=$now
        sleep 0.2
    done
    echo "{\"peak_memory\":$((peak * 1024))}"
}

theirs() { # theirs FOLDER NAME
    if [ ! -x "$1/llama-bench" ]; then
        echo "skipped: no llama-bench in $1 (make peers)" >&2
        return
    fi
    "$1/llama-bench" -m "$out/large.gguf" -p 512 -n 0 -t "$threads" -r 2 -o jsonl 2>/dev/null |
        jq -c '{bench: "score", tokens_per_s: (.samples_ts | max)}'
    for sequences in 1 16; do
        peak_of "$1/llama-batched-bench" -m "$out/large.gguf" -c $((sequences * 256)) -npp 128 \
            -ntg 16 -npl "$sequences" -t "$threads" -tb "$threads" --output-format jsonl |
            jq -c --argjson n "$sequences" 'if .peak_memory then {bench: "memory", sequences: $n,
                peak_memory} else {bench: "decode", sequences: $n, tokens_per_s: .speed_tg} end
                | select(.peak_memory // .tokens_per_s)'
    done | jq -c .
}

tell() { # tell NAME: the peer's lines
    jq -c --arg by "$1" '. + {by: $by, type: "Q4_K_M"}'
}

make_file "$out/large.gguf" Q4_K_M
{
    ours "$out/large.gguf" Q4_K_M ""
    theirs "$peers" | tell llama.cpp
    if grep -qw avx512f /proc/cpuinfo && grep -qw avx2 /proc/cpuinfo; then
        ours "$out/large.gguf" Q4_K_M avx2-madd
        [ -z "${LLAMA_CPP_AVX2_BIN:-}" ] || theirs "$LLAMA_CPP_AVX2_BIN" | tell "llama.cpp avx2"
    fi
    make_file "$out/large.bf16.gguf" BF16
    ours "$out/large.bf16.gguf" BF16 "" | sed '/"bench":"score"/q'
} | tee "$out/large.jsonl"

jq -rs '
    def times: . * 100 | round / 100 | "\(.) x";
    def find(by; f): first(.[] | select(.by == by) | select(f)) // null;
    def row(name; floor; value; at_most): [name, (if at_most then "at most " else "" end) + (floor | times)]
        + if value == null then ["-", "not measured"]
          else [(value | times), if (if at_most then value <= floor else value >= floor end)
                                 then "holds" else "does not hold" end] end;
    def over(a; b): if a and b then a / b else null end;
    (first(.[] | select(.by == "medrat")).kernels) as $best
    | . as $all
    | ["floor", "at least", "measured", ""],
      ((if $best == "avx2-madd" then [["avx2-madd", "llama.cpp"]]
        else [[$best, "llama.cpp"], ["avx2-madd", "llama.cpp avx2"]] end)[] as [$set, $peer]
       | ($all | map(select(.by == "medrat" and .kernels == $set and .type == "Q4_K_M"))) as $mine
       | def ratio(f): over(($mine | map(select(f)) | first).tokens_per_s;
                            ($all | find($peer; f)).tokens_per_s);
         row("\($set): scoring beside \($peer)"; 1.5; ratio(.bench == "score"); false),
         row("\($set): batch of 16"; 1.5; ratio(.bench == "decode" and .sequences == 16); false),
         (if $set == "avx2-madd"
          then row("\($set): single stream"; 1.1; ratio(.bench == "decode" and .sequences == 1); false)
          else empty end),
         row("\($set): peak memory"; 1.1;
             over(($mine | map(select(.bench == "memory")) | first).peak_memory;
                  ($all | find($peer; .bench == "memory" and .sequences == 16)).peak_memory); true)),
      row("scoring in Q4_K_M beside BF16"; 0.9;
          over(($all | find("medrat"; .bench == "score" and .type == "Q4_K_M")).tokens_per_s;
               ($all | find("medrat"; .bench == "score" and .type == "BF16")).tokens_per_s); false)
    | @tsv' "$out/large.jsonl" | awk -F '\t' '{ printf "%-50s %14s %12s  %s\n", $1, $2, $3, $4 }'

#!/bin/sh
# The floors of this project's speed beside what a run of `make bench` measured: holds, below, or not
# measured. Nothing fails here: a busy machine may be below.
#
#   floors.sh FIGURES RATIOS THREADS
#
# Shares are of the peak of float multiply-adds; of bf16's where the kernel set is an AVX-512 one and
# the processor has it, which may be half of floats' or twice that, so the others stand beside it.
# They bind on every machine; the ratios on those with AVX2, of THREADS threads unless said.
set -eu

jq -rn --slurpfile figures "$1" --slurpfile ratios "$2" --argjson threads "$3" '
    def percent: . * 100 | round | "\(.) %";
    def times: "\(. * 100 | round / 100) x";
    def row(name; floor; value; format): [name, (floor | format)]
        + if value == null then ["-", "not measured"]
          else [(value | format), if value >= floor then "holds" else "below" end] end;
    def figure(f): first($figures[] | select(.threads == $threads) | select(f)) // {};
    def share(name; f; floor): figure(f) as $line
        | [if $line.share_of_bf16 then "float peak: \($line.share_of_f32 | percent)" else empty end,
           if $line.share_of_16_bit
           then "16-bit peak: \($line.share_of_16_bit | percent)" else empty end] as $others
        | if $line.share_of_bf16
          then row("\(name), of the bf16 peak"; floor; $line.share_of_bf16; percent)
          else row("\(name), of the float peak"; floor; $line.share_of_f32; percent) end
        | if $others != [] then .[3] += " (\($others | join(", ")))" else . end;
    def ratio(name; lines; floor): [$ratios[] | select(lines)] as $lines
        | row(name; floor; ($lines | map(.ratio) | min); times);

    ["floor", "at least", "measured", ""],
    share("scoring with all logits"; .bench == "score"; 0.65),
    share("decode of 32"; .bench == "decode" and .sequences == 32; 0.55),
    share("MiniLM"; .bench == "embed"; 0.55),
    ratio("llama.cpp, prefill";
          .bench == "score" and (.peer | startswith("llama")); 2.4),
    row("llama.cpp, the best batched decode of both"; 2.5;
        ([$figures[] | select(.bench == "decode" and .threads == $threads) | .tokens_per_s] | max) as $mine
        | [$ratios[] | select(.bench == "decode" and .threads == $threads) | .theirs] | max
        | if . and $mine then $mine / . else null end; times),
    ratio("llama.cpp, one sequence on one thread";
          .bench == "decode" and .sequences == 1 and .threads == 1; 1),
    ratio("sentence-transformers"; .peer == "sentence-transformers"; 2),
    ratio("ONNX Runtime fp32"; .peer == "onnxruntime fp32"; 1.7),
    (("smollm2", "minilm") as $name
     | ratio("tokenizers, \($name), one thread"; .peer == "tokenizers" and .tokenizer == $name; 5)),
    ratio("sentencepiece, one thread"; .peer == "sentencepiece"; 5),
    (figure(.bench == "first_token").seconds as $s
     | ["opening SmolLM2 to first token", "under 0.5 s"]
     + if $s then ["\($s) s", if $s < 0.5 then "holds" else "below" end]
       else ["-", "not measured"] end),
    (["smollm2", 0.06], ["7b-layers", 0.03] | . as [$model, $most] | ("score", "decode") as $what
     | figure(.bench == "adapter" and .model == $model and .what == $what).cost as $cost
     | ["an adapter of rank 16, \($what), \($model)", "most \($most | percent)"]
     + if $cost then ["\($cost * 1000 | round / 10) %", if $cost <= $most then "holds" else "above" end]
       else ["-", "not measured"] end),
    if $threads == 2
    then row("scoring, 2 threads beside 1"; 1.8; figure(.bench == "threads").ratio; times)
    else empty end
    | @tsv' | awk -F '\t' '{ printf "%-50s %12s %12s  %s\n", $1, $2, $3, $4 }'

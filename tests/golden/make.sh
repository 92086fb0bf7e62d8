#!/bin/sh
# Makes the golden files again, all of them or those named: make.sh [NAME...]. See README.md.
# $PYTHON has the packages; models, data and build as tests/run.sh finds them.
set -eu
cd "$(dirname "$0")/../.."
here=tests/golden
python=${PYTHON:-python3}
build=${MEDRAT_BUILD:-build/release}
models=${MEDRAT_MODELS:-models}
data=${MEDRAT_DATA:-../shared/data}
smollm2=$models/smollm2/SmolLM2-135M-Instruct.Q4_1.gguf
tiny=$build/tiny

[ $# -gt 0 ] || set -- tiny adapters losses peft_target rope greedy embeddings meteora tokens small_tokenizers mistral bm25 meteora_sets exact_sums score_totals nf4 train train_order ggml_blocks
for name; do
    case $name in
    tiny)
        mkdir -p "$tiny"
        "$build/tests/golden/make_tiny" "$tiny"
        "$python" $here/losses.py tiny "$tiny" $here/tiny_losses.jsonl
        "$python" $here/losses.py variants "$tiny" $here/variant_losses.jsonl
        "$python" $here/scores.py tiny "$tiny" $here/tiny_windows.jsonl
        "$python" $here/embeddings.py tiny "$tiny/bert-f32" $here/tiny_embeddings.jsonl
        "$python" $here/berts.py "$tiny" $here/tiny_berts.jsonl $here/tiny_scores.jsonl
        ;;
    adapters)
        mkdir -p "$tiny" "$build/adapters"
        "$build/tests/golden/make_tiny" "$tiny"
        "$build/tests/golden/make_adapters" "$build/adapters"
        "$python" $here/adapters.py tiny "$tiny" "$build/adapters" $here/adapter_losses.jsonl
        "$python" $here/adapters.py smollm2 "$smollm2" "$build/adapters" \
            "$data/rationales/val.jsonl" $here/smollm2_adapter_losses.jsonl
        ;;
    losses)
        "$python" $here/losses.py smollm2 "$smollm2" "$data/rationales/val.jsonl" \
            $here/smollm2_losses.jsonl
        "$python" $here/scores.py smollm2 "$smollm2" "$data/rationales/val.jsonl" \
            $here/smollm2_scores.jsonl
        ;;
    nf4)
        "$python" $here/nf4.py $here/nf4.jsonl
        "$python" $here/nf4.py model $here/nf4 $here/nf4_losses.jsonl
        ;;
    train_order)
        "$python" $here/train_order.py $here/train_order.jsonl
        ;;
    train)
        mkdir -p "$tiny"
        "$build/tests/golden/make_tiny" "$tiny"
        "$python" $here/train.py tiny "$tiny" $here/tiny_train.jsonl
        "$python" $here/train.py smollm2 "$smollm2" "$data/rationales/val.jsonl" \
            $here/smollm2_train.jsonl
        ;;
    ggml_blocks)
        "$python" $here/ggml_blocks.py $here/ggml_blocks.jsonl
        ;;
    peft_target)
        "$python" $here/peft_target.py $here/peft_target.jsonl
        ;;
    score_totals)
        "$python" $here/score_totals.py $here/score_totals.jsonl
        ;;
    exact_sums)
        "$python" $here/exact_sums.py $here/exact_sums.jsonl
        ;;
    rope)
        "$python" $here/rope.py $here/rope.jsonl
        ;;
    greedy)
        "$python" $here/greedy.py "$smollm2" $here/greedy.jsonl
        ;;
    embeddings)
        "$python" $here/embeddings.py minilm "$models/minilm" $here/minilm_embeddings.jsonl
        ;;
    meteora)
        "$python" $here/meteora.py
        ;;
    bm25)
        "$python" $here/bm25.py "$data"
        ;;
    meteora_sets)
        "$python" $here/meteora_sets.py "$models/minilm" "$data" $here/meteora_sets.jsonl
        ;;
    small_tokenizers)
        "$python" $here/small_tokenizers.py "$data" $here/tokenizers
        ;;
    mistral)
        "$python" $here/mistral.py \
            "$models/mistral-v3-tokenizer/mistral_instruct_tokenizer_240216.model.v2" "$data" \
            $here/tokens
        ;;
    tokens)
        "$python" $here/tokens.py "$models" "$data" $here/tokens
        "$python" $here/gguf_tokens.py "$smollm2" $here/tokens
        ;;
    *)
        echo "make.sh: no golden file is called '$name'" >&2
        exit 64
        ;;
    esac
done

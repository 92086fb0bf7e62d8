#!/usr/bin/env bats
# The same weights as a Hugging Face folder and as GGUF files of every kind have the same losses: rows
# of q and k turned round, names, keys that a conversion leaves out, the tokenizer, blocks of codes.

bats_require_minimum_version 1.5.0

load common

setup() {
    work=$BATS_TEST_TMPDIR
    shape=(dim=256 layers=8 heads=4 kv_heads=2 head_dim=64 ffn=512 vocab=512 context=512)
    jq -nc '{tokens: [range(3; 200)]}, {tokens: [range(500; 3; -7)]}' >"$work/in.jsonl"
}

make_shape() { # make_shape OUT KEY=VALUE...
    "$MEDRAT_BUILD/tests/golden/make_shape" "$1" "${shape[@]}" "${@:2}"
}

losses() { # losses MODEL: a line a text
    medrat-score -q -m "$1" "${@:2}" "$work/in.jsonl" | jq .score.nll
}

# Losses of two models are the same numbers on sets that multiply floats; on those that round to 16
# bits, which cut rows of blocks and of floats by other scales, nearly.
same_losses() { # same_losses MODEL MODEL
    local set
    for set in avx2 avx512; do
        grep -qw "${set/avx512/avx512bw}" /proc/cpuinfo || continue
        MEDRAT_KERNELS=$set losses "$1" >"$work/a"
        MEDRAT_KERNELS=$set losses "$2" >"$work/b"
        [ "$(wc -l <"$work/a")" = 2 ]
        cmp "$work/a" "$work/b"
    done
    losses "$1" >"$work/a"
    losses "$2" >"$work/b"
    paste "$work/a" "$work/b" | awk '{ d = $1 / $2 - 1; if (d < -2e-3 || d > 2e-3) { print; exit 1 } }'
}

@test "F32, F16 and BF16: a folder and a GGUF file" {
    for type in F32 F16 BF16; do
        make_shape "$work/$type" form=folder type=$type
        make_shape "$work/$type.gguf" form=gguf type=$type
        same_losses "$work/$type" "$work/$type.gguf"
    done
}

@test "Q4_K_M, Q5_K_M and Q6_K: beside the numbers that they stand for, as floats" {
    for type in Q4_K_M Q5_K_M Q6_K; do
        make_shape "$work/$type" form=folder type=F32 through=$type
        make_shape "$work/$type.gguf" form=gguf type=$type
        same_losses "$work/$type" "$work/$type.gguf"
    done
    # they are no copies of each other
    [ "$(losses "$work/Q4_K_M.gguf")" != "$(losses "$work/Q6_K.gguf")" ]
}

@test "a converted Mistral reads texts as its folder does" {
    local spm=("$MEDRAT_MODELS"/mistral-v3-tokenizer/*.model.v*)
    [ -e "${spm[0]}" ] || skip "no tokenizer of Mistral"
    shape+=(vocab=32768 layers=1 "tokenizer=${spm[0]}")
    jq -nc '{text: "Does vitamin D prevent falls?"}, {text: "  two spaces\n\t[INST]"}' \
        >"$work/in.jsonl"
    make_shape "$work/folder" form=folder type=F32
    make_shape "$work/m.gguf" form=gguf type=F32
    same_losses "$work/folder" "$work/m.gguf"
    medrat-tokenize -m "$work/folder" "$work/in.jsonl" | jq -c .tokens >"$work/a"
    medrat-tokenize -m "$work/m.gguf" "$work/in.jsonl" | jq -c .tokens >"$work/b"
    cmp "$work/a" "$work/b"
}

@test "rows that are no whole number of K blocks are refused by name" {
    make_shape "$work/m.gguf" form=gguf type=Q4_K_M
    # the first row length of 256 after the name of the first matrix
    at=$(grep -abo 'token_embd.weight' "$work/m.gguf" | head -n 1 | cut -d: -f1)
    printf '\200' | dd of="$work/m.gguf" bs=1 seek=$((at + 17 + 4)) conv=notrunc status=none
    run -78 --separate-stderr medrat-score -m "$work/m.gguf" "$work/in.jsonl"
    [[ "$stderr" == *"m.gguf: tensor 'token_embd.weight': rows of 384, but Q4_K has blocks of 256"* ]]
}

@test "a block's factor that is not finite is refused with its tensor" {
    make_shape "$work/m.gguf" form=gguf type=Q4_K_M
    # the last tensor but its padding: blk.7.ffn_down.weight in Q6_K, whose last two bytes are d
    size=$(stat -c %s "$work/m.gguf")
    printf '\000\174' | dd of="$work/m.gguf" bs=1 seek=$((size - 2)) conv=notrunc status=none
    run -78 --separate-stderr medrat-score -m "$work/m.gguf" "$work/in.jsonl"
    echo "$stderr"
    [[ "$stderr" == *"tensor 'model.layers.7.mlp.down_proj.weight': a factor of values 130816 to 131071 is infinite"* ]]
}

@test "a base of codes trains as the floats that they stand for" {
    grep -qw avx2 /proc/cpuinfo || skip "no AVX2"
    shape+=(layers=1)
    make_shape "$work/floats" form=folder type=F32 through=Q4_K_M
    make_shape "$work/codes.gguf" form=gguf type=Q4_K_M
    for base in floats codes.gguf; do
        MEDRAT_KERNELS=avx2 medrat-train -q -m "$work/$base" --steps 2 --batch 1 --accumulation 1 \
            --rank 2 --threads 1 -o "$work/adapter-$base" "$work/in.jsonl"
    done
    cmp "$work"/adapter-{floats,codes.gguf}/adapter_model.safetensors
    # sets of 16-bit numbers have scales of other kinds for both
    for base in floats codes.gguf; do
        medrat-train -q -m "$work/$base" --steps 2 --batch 1 --accumulation 1 --rank 2 --threads 1 \
            -o "$work/words-$base" "$work/in.jsonl"
        losses "$work/$base" --adapter "$work/words-$base" >"$work/$base.nll"
    done
    paste "$work"/{floats,codes.gguf}.nll |
        awk '{ d = $1 / $2 - 1; if (d < -2e-3 || d > 2e-3) { print; exit 1 } }'
}

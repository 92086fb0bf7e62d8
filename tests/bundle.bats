#!/usr/bin/env bats
# make bundle: a tar that works where there is nothing but a kernel and glibc.

bats_require_minimum_version 1.5.0

load cli/common

setup() {
    cd "$BATS_TEST_DIRNAME/.."
    work=$BATS_TEST_TMPDIR
    bin=$MEDRAT_BIN
    unset MAKEFLAGS MAKELEVEL
}

# A root that holds the bundle and the libraries it names, and no shell, no /proc, no /dev.
unpack() { # unpack MODELS
    local library
    run -0 make --no-print-directory bundle BUNDLE="$work/medrat.tar" BUNDLE_MODELS="$1"
    mkdir "$work/root"
    tar -xf "$work/medrat.tar" -C "$work/root"
    for library in $(ldd "$work/root/medrat/bin/medrat-gen" | grep -o '/[^ ]*'); do
        mkdir -p "$work/root/${library%/*}"
        cp -L "$library" "$work/root/$library"
    done
}

# A tool of the bundle, in that root.
inside() { # inside TOOL ARGUMENT...
    if [ "$(id -u)" -eq 0 ]; then
        env -i /usr/sbin/chroot "$work/root" "/medrat/bin/$1" "${@:2}"
    else
        env -i unshare --map-root-user /usr/sbin/chroot "$work/root" "/medrat/bin/$1" "${@:2}"
    fi
}

@test "a bundle's tools need the C library alone, and it says which" {
    unpack ''
    for tool in "$work"/root/medrat/bin/*; do
        run -1 sh -c "objdump -p '$tool' | sed -n 's/^ *NEEDED *//p' | grep -v '^lib[cm]\.so\.6$'"
    done
    oldest=$(objdump -T "$work"/root/medrat/bin/* | grep -o 'GLIBC_[0-9.]*' | sort -Vu | tail -n 1)
    grep -q "glibc ${oldest#GLIBC_} or newer" "$work/root/medrat/BUNDLE"
    for page in "$bin"/../man/*.1; do
        cmp "$page" "$work/root/medrat/share/man/man1/${page##*/}"
    done
    cp "$work/medrat.tar" "$work/again"
    run -0 make --no-print-directory bundle BUNDLE="$work/medrat.tar" BUNDLE_MODELS=
    cmp "$work/medrat.tar" "$work/again"
}

@test "in an empty root every tool of a bundle does what the build does" {
    unpack ''
    make_tiny "$work/tiny"
    mkdir -p "$work/root/medrat/share/medrat/models"
    cp -r "$work/tiny/llama-3" "$work/tiny/bert-f32" "$work/root/medrat/share/medrat/models"
    cd "$work/root"
    export MEDRAT_MODELS=$work/tiny
    make_questions 40 >in.jsonl
    for command in "medrat-gen -q -m llama-3 -n 8" "medrat-score -q -m llama-3" \
        "medrat-rerank -q --method bm25 --cut top:1" "medrat-tokenize -q -m bert-f32 --decode"; do
        run -1 sh -c "$bin/$command in.jsonl >$work/built"
        inside $command in.jsonl >"$work/inside" || [ $? -eq 1 ]
        cmp "$work/built" "$work/inside"
    done
    grep -v broken in.jsonl | jq -c '{tokens}' >rows.jsonl
    "$bin/medrat-train" -q -m llama-3 --epochs 1 -o "$work/adapter" rows.jsonl
    inside medrat-train -q -m llama-3 --epochs 1 -o adapter rows.jsonl
    cmp "$work/adapter/adapter_model.safetensors" adapter/adapter_model.safetensors
}

@test "a bundle with the demo models answers a question in an empty root" {
    need_models
    unpack "smollm2 minilm"
    head -n 1 examples/questions.jsonl >"$work/root/one.jsonl"
    inside medrat-gen -q -n 48 -o rationales.jsonl one.jsonl
    inside medrat-rerank -q -o evidence.jsonl rationales.jsonl
    jq -e '(.rationales | length > 0) and .selection.n > 0 and (.selection.encoder | startswith("minilm"))' \
        "$work/root/evidence.jsonl"
}

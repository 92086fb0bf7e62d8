#!/usr/bin/env bats
# Models as accidents leave them: cut downloads, web pages, pointers of Git LFS, missing files. Each
# is one line on standard error that names the file and what is wrong with it, and the exit status.

bats_require_minimum_version 1.5.0

load common

setup_file() {
    make_tiny "$BATS_FILE_TMPDIR/tiny"
}

setup() {
    tiny=$BATS_FILE_TMPDIR/tiny
    work=$BATS_TEST_TMPDIR
    question='{"query":"q","passages":["a"],"rationales":["b"]}'
    cd "$work"
    printf '<!DOCTYPE html>\n<html><head><title>404</title></head></html>\n' >page
    printf 'version https://git-lfs.github.com/spec/v1\noid sha256:%064d\nsize 1\n' 0 >pointer
    head -c 4096 /dev/zero >zeros
    printf '{"error":"Repository not found"}' >answer
    : >nothing
}

# One line, and nothing computed.
refused() { # refused STATUS MESSAGE COMMAND...
    local status=$1 message=$2
    shift 2
    run -"$status" --separate-stderr "$@" <<<"$question"
    [ "$stderr" = "$message" ] || { echo "$stderr" && return 1; }
    [ "$output" = "" ]
}

gen() { # gen STATUS FILE MESSAGE
    refused "$1" "medrat-gen: $2: $3" medrat-gen -q -m "$2"
}

# The encoder's folder with one file replaced.
rerank() { # rerank STATUS FILE FROM MESSAGE
    rm -rf folder
    cp -r "$tiny/bert-f32" folder
    cp "$3" "folder/$2"
    refused "$1" "medrat-rerank: folder/$2: $4" medrat-rerank -q --encoder folder
}

@test "a file in place of a GGUF file is called what it is" {
    local wanted="a GGUF file or the folder of a Hugging Face model"
    gen 78 ./page "is a web page (HTML or XML), not $wanted"
    gen 78 ./pointer "is a pointer of Git LFS, not $wanted: 'git lfs pull' fetches the file"
    gen 78 ./zeros "begins with zero bytes, not as $wanted does: is it fetched completely?"
    gen 78 ./answer "is a JSON file, not $wanted"
    gen 78 ./nothing "is empty, not $wanted"
    gzip -c "$tiny/llama-f32.gguf" >packed.gguf
    gen 78 ./packed.gguf "is gzip data, not $wanted"
    gen 78 "$tiny/bert-f32/model.safetensors" "is a safetensors file, not $wanted"
}

@test "a file in place of weights is called what it is" {
    rerank 78 model.safetensors page "is a web page (HTML or XML), not a safetensors file"
    rerank 78 model.safetensors pointer \
        "is a pointer of Git LFS, not a safetensors file: 'git lfs pull' fetches the file"
    rerank 78 model.safetensors zeros \
        "begins with zero bytes, not as a safetensors file does: is it fetched completely?"
    rerank 78 model.safetensors answer "is a JSON file, not a safetensors file"
    rerank 78 model.safetensors nothing "is empty, not a safetensors file"
    rerank 78 model.safetensors "$tiny/llama-f32.gguf" "is a GGUF file, not a safetensors file"
}

@test "a file in place of a configuration is called what it is" {
    local name
    for name in config.json modules.json sentence_bert_config.json tokenizer_config.json; do
        rerank 78 $name page "is a web page (HTML or XML), not a JSON file"
        rerank 78 $name pointer \
            "is a pointer of Git LFS, not a JSON file: 'git lfs pull' fetches the file"
        rerank 78 $name nothing "is empty, not a JSON file"
    done
    printf '{"a":\n "b' >cut
    rerank 78 config.json cut "line 2, column 3: premature end of input"
}

@test "a download that stopped, wherever it did" {
    local size n
    size=$(stat -c %s "$tiny/llama-q8_0.gguf")
    for n in 4 20 100 1000 5000 20000 100000 $((size - 1)); do
        head -c "$n" "$tiny/llama-q8_0.gguf" >cut.gguf
        run -78 --separate-stderr medrat-gen -q -m ./cut.gguf <<<"$question"
        [[ "$stderr" == "medrat-gen: ./cut.gguf: "*": is "*" cut short?" ]] || { echo "$stderr" && false; }
        [ "${#stderr_lines[@]}" -eq 1 ]
    done
    size=$(stat -c %s "$tiny/bert-f32/model.safetensors")
    for n in 9 1000 10000 $((size - 1)); do
        head -c "$n" "$tiny/bert-f32/model.safetensors" >cut
        cp -r "$tiny/bert-f32" "folder$n"
        cp cut "folder$n/model.safetensors"
        run -78 --separate-stderr medrat-rerank -q --encoder "folder$n" <<<"$question"
        [[ "$stderr" == "medrat-rerank: folder$n/model.safetensors: "*": is the file cut short?" ]] ||
            { echo "$stderr" && false; }
        [ "${#stderr_lines[@]}" -eq 1 ]
    done
}

@test "what is not there is exit 66" {
    mkdir empty
    cp -r "$tiny/bert-f32" weightless
    rm weightless/model.safetensors
    refused 66 "medrat-gen: model './nowhere': no such file or folder" medrat-gen -q -m ./nowhere
    gen 66 ./empty "has neither config.json nor a GGUF file"
    refused 66 "medrat-rerank: ./weightless: no model.safetensors" \
        medrat-rerank -q --encoder ./weightless
    refused 66 "medrat-tokenize: ./empty: no tokenizer in this folder" medrat-tokenize -q -m ./empty
}

@test "links that lead nowhere or in a circle, and what is no file" {
    ln -s circle circle
    ln -s nowhere broken
    mkfifo fifo
    refused 66 "medrat-gen: model './broken': no such file or folder" medrat-gen -q -m ./broken
    gen 74 ./circle "Too many levels of symbolic links"
    gen 78 ./fifo "is not a GGUF file or the folder of a Hugging Face model"
}

@test "a file that may not be read is exit 74 with the reason" {
    # root may read all: strace stands in for the permissions
    strace -o /dev/null true 2>/dev/null || skip "strace cannot be used here"
    [ "${MEDRAT_BUILD_CONFIG:-release}" = release ] || skip "the sanitizers do not run under strace"
    local model=$tiny/llama-f32.gguf
    refused 74 "medrat-gen: $model: Permission denied" \
        strace -f -o trace -P "$model" -e inject=openat:error=EACCES medrat-gen -q -m "$model"
    model=$tiny/bert-f32/model.safetensors
    refused 74 "medrat-rerank: $model: Permission denied" \
        strace -f -o trace -P "$model" -e inject=openat:error=EACCES \
        medrat-rerank -q --encoder "$tiny/bert-f32"
}

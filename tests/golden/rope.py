"""The frequencies that transformers rotates with, for every kind of scaling that is read.

    rope.py OUT.jsonl

A row: `config` (a config.json), `inv_freq` (float32, shortest digits that give it back).
"""

import sys

import numpy
from common import write_jsonl
from transformers import LlamaConfig, MistralConfig
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding
from transformers.models.mistral.modeling_mistral import MistralRotaryEmbedding

SIZES = {
    "hidden_size": 256,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 16,
    "max_position_embeddings": 131072,
    "rms_norm_eps": 1e-05,
}

LLAMA3 = {
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}

# What differs from the sizes: the spellings of transformers 4 and of 5.
SETTINGS = [
    {},
    {"rope_theta": 1000000.0},
    {"rope_theta": 100000, "head_dim": 24},
    {"rope_theta": 500000.0, "rope_scaling": {"type": "linear", "factor": 2.5}},
    {"rope_parameters": {"rope_type": "linear", "factor": 3, "rope_theta": 20000.0}},
    {"rope_parameters": {"rope_type": "default", "rope_theta": 12345.678}, "head_dim": 128},
    {"rope_theta": 500000.0, "rope_scaling": {"rope_type": "llama3", **LLAMA3}, "head_dim": 128},
    {"rope_parameters": {"rope_type": "llama3", "rope_theta": 500000.0, **LLAMA3, "factor": 32.0}},
    {
        "rope_parameters": {"rope_type": "llama3", "rope_theta": 1e4, **LLAMA3},
        "original_max_position_embeddings": 8192,
        "rope_theta": 777.0,
    },
    {
        "rope_theta": 1e5,
        "rope_scaling": {**LLAMA3, "rope_type": "llama3", "original_max_position_embeddings": 64},
    },
]


def frequencies(config):
    if config["model_type"] == "llama":
        rotary = LlamaRotaryEmbedding(LlamaConfig(**config))
    else:
        rotary = MistralRotaryEmbedding(MistralConfig(**config))
    return [float(str(numpy.float32(x))) for x in rotary.inv_freq.numpy()]


def main(out):
    rows = []
    for i, settings in enumerate(SETTINGS):
        config = {"model_type": ("llama", "mistral")[i % 2], **SIZES, **settings}
        copied = {k: dict(v) if isinstance(v, dict) else v for k, v in config.items()}
        rows.append({"config": config, "inv_freq": frequencies(copied)})
    write_jsonl(out, rows)


if __name__ == "__main__":
    main(sys.argv[1])

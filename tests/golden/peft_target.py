"""Which modules PEFT adapts, by which rank and alpha, for configs of every kind.

    peft_target.py OUT.jsonl

A row: `config` as saved, and what becomes of a Llama of 12 layers. `modules` has a letter for each of
its 86 modules in order (embed_tokens; of each layer q, k, v, o, gate, up, down; lm_head): "." where
PEFT adapts nothing, else "a", "b", ... with rank and alpha in `numbers` at that place of the
alphabet. PEFT refuses a config that adapts nothing at all.
"""

import sys
import warnings

import torch
from common import write_jsonl
from peft import LoraConfig, get_peft_model
from peft.tuners.lora import LoraLayer
from torch.nn import Embedding, Linear
from transformers import LlamaConfig, LlamaForCausalLM

ATTENTION = ["q_proj", "k_proj", "v_proj", "o_proj"]
ALL = [*ATTENTION, "gate_proj", "up_proj", "down_proj"]

TARGETS = [
    None,
    ["q_proj"],
    ATTENTION,
    ALL,
    ["lm_head"],
    ["lm_head", "v_proj"],
    ["embed_tokens", "q_proj"],
    ["self_attn.q_proj", "mlp.down_proj"],
    ["layers.1.self_attn.q_proj", "layers.11.mlp.up_proj"],
    ["1.self_attn.q_proj"],
    ["model.layers.3.mlp.gate_proj", "k_proj"],
    ["odel.layers.3.mlp.gate_proj", "k_proj"],
    ["_proj"],
    [""],
    [],
    ["q.proj"],
    ["nothing"],
    "all-linear",
    "ALL-Linear",
    "all-linea",
    "q_proj",
    ".*q_proj",
    r".*\.q_proj",
    r"model\.layers\.\d\.self_attn\..*_proj",
    r"model\.layers\.\d+\.(self_attn|mlp)\.(q|down)_proj",
    r".*\.layers\.(1|3|5)\.mlp\.(?:gate|up)_proj",
    r"(?!lm_head).*_proj",
    r".*(?<!o)_proj",
    r"(?P<all>.*)\.v_proj",
    r"[^.]+\.[a-z]+\.1[01]\.mlp\.[ud]\w*proj",
    r"lm_head|.*\.o_proj",
    r".*\.q_pro",
    r"^model.*k_proj$",
    r"model\.layers\.[2-4]\.self_attn\.v_proj\Z",
    r".*layers\.(\d)\.mlp\.down_proj",
    r"(?:model|x)\.layers\.(\d)\1\.self_attn\.q_proj",
    r".*\.[]v[]_proj",
    "",
]

EXCLUDES = [
    ["q_proj"],
    ["layers.1.self_attn.q_proj", "lm_head"],
    ["1.self_attn.v_proj"],
    [],
    "",
    ".*v_proj",
    r"model\.layers\.1?\d\.mlp\..*",
]

LAYERS = [
    (0, None),
    ([1, 3], None),
    ([11], None),
    ([], None),
    ([2, 99, -1], None),
    (5, "layers"),
    ([5, 6], ["layers"]),
    ([5, 6], ["h", "layers"]),
    ([5, 6], "h"),
    ([5], "[a-z]+"),
    ([5], "h|layers"),
    ([5], []),
    ([5], ""),
    ([5], r"model\.layers"),
]

PATTERNS = [
    ({"q_proj": 4}, {"q_proj": 64}),
    ({"proj": 4}, {"_proj": 64}),
    ({"layers.1.self_attn.q_proj": 4, "q_proj": 2}, {"q_proj": 7, "layers.1.self_attn.q_proj": 9}),
    ({"model.layers.0.self_attn.v_proj": 3}, {"model.layers.0.self_attn.v_proj": 5.5}),
    ({"^model.layers.0.self_attn.v_proj": 3}, {"^model.layers.0.self_attn.v_proj": 5}),
    ({"self_attn.(q|v)_proj": 3, ".*": 6}, {}),
    ({}, {r"layers\.1\d\..*": 1, "o_proj": 2, "down_proj": 3}),
    ({"q_proj|v_proj": 12}, {"q_proj|self_attn.v_proj": 13}),
    ({"k_proj": 3}, {"layers.2.self_attn.k_proj": 40}),
    ({"q_proj$": 3, "v_proj.*": 5}, {".*mlp.*": 11}),
    ({"layers.[0-3].*": 3}, {"[a-z]_proj": 11}),
]


def configs():
    for targets in TARGETS:
        yield {"target_modules": targets}
    for exclude in EXCLUDES:
        yield {"target_modules": ATTENTION, "exclude_modules": exclude}
        yield {"target_modules": "all-linear", "exclude_modules": exclude}
        yield {"target_modules": r".*\.(q|v|up)_proj", "exclude_modules": exclude}
    for layers, pattern in LAYERS:
        for targets in (["q_proj", "down_proj"], ["model.layers.7.mlp.up_proj", "lm_head", "v_proj"]):
            yield {
                "target_modules": targets,
                "layers_to_transform": layers,
                "layers_pattern": pattern,
            }
    for ranks, alphas in PATTERNS:
        yield {"target_modules": ALL, "r": 16, "lora_alpha": 32, "rank_pattern": ranks, "alpha_pattern": alphas}


def adapted(base, config):
    """[rank, alpha] of each module that PEFT adapts, by its path."""
    try:
        model = get_peft_model(base, LoraConfig(**config))
    except ValueError as error:
        assert "not found in the base" in str(error) or "No `target_modules`" in str(error), error
        return {}
    return {
        name.removeprefix("base_model.model."): [module.r["default"], module.lora_alpha["default"]]
        for name, module in model.named_modules()
        if isinstance(module, LoraLayer)
    }


def row(shape, config):
    base = LlamaForCausalLM(shape)
    paths = [name for name, module in base.named_modules() if isinstance(module, (Linear, Embedding))]
    found = adapted(base, config)
    assert len(paths) == 86 and set(found) <= set(paths)
    numbers = []
    for pair in found.values():
        if pair not in numbers:
            numbers.append(pair)
    modules = "".join(chr(ord("a") + numbers.index(found[p])) if p in found else "." for p in paths)
    return {"config": {"peft_type": "LORA", **config}, "modules": modules, "numbers": numbers}


def main():
    warnings.simplefilter("ignore")
    shape = LlamaConfig(
        hidden_size=8, intermediate_size=8, num_hidden_layers=12, num_attention_heads=1, vocab_size=8
    )
    with torch.device("meta"):
        write_jsonl(sys.argv[1], [row(shape, config) for config in configs()])


main()

"""Losses under LoRA adapters, by transformers and PEFT in float32.

    adapters.py tiny TINY_DIR ADAPTERS_DIR OUT.jsonl
    adapters.py smollm2 MODEL.gguf ADAPTERS_DIR VAL.jsonl OUT.jsonl

A row has `model`, `adapter`, `modules` (how many linear layers PEFT adapted) and

  tiny     `hash` of the model's files, `adapter_hash`, `tokens`, `nll` (nats a token but the first);
           by how much the adapter moves the mean loss is `moved`
  smollm2  `row` in VAL.jsonl, `n_tokens`, `ids_hash`, `loss`, the mean, and `nll` of template, query
           and completion (smollm2_scores.jsonl has those of the base alone)
"""

import sys
from pathlib import Path

import torch
from common import ids_hash, read_jsonl, tiny_hash, write_jsonl
from losses import likely_and_unlikely
from peft import PeftModel
from peft.tuners.lora import LoraLayer
from reference import language_model, smollm_tokenizer, token_losses
from scores import parts

BASES = {
    "attention": ("mistral-f32", "mistral-bf16"),
    "least": ("mistral-f32",),
    "suffixes": ("mistral-f32",),
    "regex": ("mistral-f32",),
    "all-linear": ("mistral-f32",),
    "head": ("mistral-f32",),
    "old": ("llama-f32",),
    "layers": ("llama-f32",),
    "layers-pattern": ("llama-f32",),
    "patterns": ("llama-f32",),
    "head-tied": ("llama-f32",),
    "as-trained": ("llama-f32",),
    "gguf": ("llama-f32.gguf", "llama-f16.gguf", "llama-q8_0.gguf", "llama-q4_1.gguf"),
}
LENGTHS = (20, 90)
SMOLLM2 = {"smollm2-attention": 200, "smollm2-all": 24}  # and on how many texts


def adapted(base, folder):
    """The base with the adapter in float32, and how many modules it has; every tensor was used."""
    model = PeftModel.from_pretrained(base, folder, torch_dtype=torch.float32).eval()
    layers = [m for m in model.modules() if isinstance(m, LoraLayer)]
    for layer in layers:
        for part in (layer.lora_A["default"].weight, layer.lora_B["default"].weight):
            assert part.dtype == torch.float32 and part.abs().max() > 0
    return model, len(layers)


def tiny(folder, adapters, out):
    rows = []
    for name, bases in BASES.items():
        for base in bases:
            path = Path(folder) / base
            plain = language_model(path)
            sequences = [likely_and_unlikely(plain, n, f"{name} {n}") for n in LENGTHS]
            before = [token_losses(plain, ids) for ids in sequences]
            model, n_modules = adapted(plain, Path(adapters) / name)
            for ids, old in zip(sequences, before):
                nll = token_losses(model, ids)
                rows.append(
                    {
                        "model": base,
                        "hash": tiny_hash(path),
                        "adapter": name,
                        "adapter_hash": tiny_hash(Path(adapters) / name),
                        "modules": n_modules,
                        "moved": round((sum(nll) - sum(old)) / len(nll), 4),
                        "tokens": ids,
                        "nll": [round(x, 5) for x in nll],
                    }
                )
    write_jsonl(out, rows)


def smollm2(gguf, adapters, val, out):
    tokenizer = smollm_tokenizer(gguf)
    rows = []
    for name, n_texts in SMOLLM2.items():
        model, n_modules = adapted(language_model(gguf), Path(adapters) / name)
        adapter_hash = tiny_hash(Path(adapters) / name)
        for i, row in enumerate(read_jsonl(val, n_texts)):
            ids = tokenizer.encode(row["text"]).ids
            nll = token_losses(model, ids)
            rows.append(
                {
                    "model": "smollm2",
                    "adapter": name,
                    "adapter_hash": adapter_hash,
                    "modules": n_modules,
                    "row": i,
                    "n_tokens": len(ids),
                    "ids_hash": ids_hash(ids),
                    "loss": round(sum(nll) / len(nll), 6),
                    "nll": parts(tokenizer, row["text"].encode(), ids, nll)[2],
                }
            )
            write_jsonl(out, rows)


if __name__ == "__main__":
    {"tiny": tiny, "smollm2": smollm2}[sys.argv[1]](*sys.argv[2:])

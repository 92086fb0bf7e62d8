"""LoRA under training, by PEFT and torch: gradients, and steps of AdamW.

    train.py tiny TINY_DIR OUT.jsonl            gradients of every variant; 50 steps on mistral-f32
    train.py smollm2 MODEL.gguf VAL.jsonl OUT.jsonl    20 steps

A row: `model`, `rank`, `alpha`, `targets` (names of modules), `drawn_b` (B starts as numbers, not as
zeros), `batches` (lists of rows), and
  gradients: `nll` of each row, `gradients` of the loss `weight` * (sum of nll): of each tensor
             `largest` (absolute), `at` (places) and `values` there;
  steps:     `lr`, `warmup`, `losses` (a target, each step's before it is taken), `norms` (of the gradients,
             before they are clipped to 1), and of each final tensor its `norm` and `sketch`.

Parameters start as drawn(): a function of tensor and place that C has as well. A tensor's sketch
are sums of its elements with random signs: the mean square of the differences of two sketches
estimates the square of the Frobenius norm of the tensors' difference, whose whole values would be
megabytes.

SmolLM2 warms up: Adam's first step is as large for a gradient that is next to nothing, and has the
sign of its rounding, as for any other. For the same reason it is computed in double: torch's own f32
comes to weights a thousandth away (its losses are 7.5e-6 nats too low, its gradients 5e-6 off).

Rows are passed one by one: nothing is padded. No dropout. A row of the tiny models is its tokens, all
behind its first third targets; of SmolLM2 a number of a row of VAL, all targets.
"""

import random
import sys
from pathlib import Path

import numpy as np
import torch
from peft import LoraConfig, get_peft_model

from common import ids_hash, read_jsonl, tiny_hash, write_jsonl
from reference import language_model, smollm_tokenizer

TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
VARIANTS = ("mistral-f32", "llama-f32", "mistral-window", "mistral-shards", "llama-linear", "llama-3")
SKETCH, SAMPLES, WEIGHT = 32, 12, 0.01


def mixed(stream, n):
    """n words of 32 bits of a stream: mixed() of tests/unit/train_golden.h."""
    x = (np.arange(1, n + 1, dtype=np.uint64) * 2654435761 + (stream + 1) * 2246822519) & 0xFFFFFFFF
    x ^= x >> 16
    x = x * 2246822519 & 0xFFFFFFFF
    x ^= x >> 13
    x = x * 3266489917 & 0xFFFFFFFF
    return x ^ x >> 16


def drawn(tensor, shape, width):
    """Uniform in [-width, width)."""
    x = mixed(tensor, shape[0] * shape[1]).astype(np.float64) / 2**31 - 1
    return torch.tensor((x * width).astype(np.float32).reshape(shape))


def sketch(tensor, values):
    flat = values.detach().double().numpy().reshape(-1)
    signs = [(mixed(1000 * (tensor + 1) + p, flat.size) & 1).astype(np.float64) * 2 - 1 for p in range(SKETCH)]
    return [float(f"{(s * flat).sum():.7g}") for s in signs]


def adapted(base, rank, alpha, targets, drawn_b):
    """The model with an adapter, and its tensors in medrat's order: layer by layer, A then B."""
    torch.set_grad_enabled(True)
    config = LoraConfig(r=rank, lora_alpha=alpha, lora_dropout=0.0, target_modules=list(targets), task_type="CAUSAL_LM")
    model = get_peft_model(base, config).to(base.dtype)
    model.train()
    named = dict(model.named_parameters())
    tensors = []
    for layer in range(base.config.num_hidden_layers):
        for target in TARGETS:
            if target not in targets:
                continue
            half = "self_attn" if target in TARGETS[:4] else "mlp"
            path = f"base_model.model.model.layers.{layer}.{half}.{target}"
            tensors += [named[f"{path}.lora_A.default.weight"], named[f"{path}.lora_B.default.weight"]]
    for i, p in enumerate(tensors):
        width = 0.1 if i % 2 else p.shape[1] ** -0.5
        with torch.no_grad():
            p.copy_(drawn(i, tuple(p.shape), width if drawn_b or i % 2 == 0 else 0.0))
    assert len(tensors) == sum(p.requires_grad for p in model.parameters())
    return model, tensors


def row_nll(model, ids, first):
    logits = model(input_ids=torch.tensor([ids])).logits[0, first - 1 : -1]
    return torch.nn.functional.cross_entropy(logits, torch.tensor(ids[first:]), reduction="sum")


def first_target(ids):
    return max(1, len(ids) // 3)


def gradients(path):
    draw = random.Random(path.name)
    base = language_model(path)
    rows = [[draw.randrange(base.config.vocab_size) for _ in range(n)] for n in (70, 5, 131)]
    model, tensors = adapted(base, 4, 6, TARGETS, True)
    nll = []
    for ids in rows:
        loss = row_nll(model, ids, first_target(ids))
        (loss * WEIGHT).backward()
        nll.append(round(loss.item(), 4))
    kept = []
    for p in tensors:
        flat = p.grad.reshape(-1)
        at = sorted({int(flat.abs().argmax())} | {draw.randrange(flat.numel()) for _ in range(SAMPLES)})
        kept.append(
            {
                "largest": float(f"{flat.abs().max():.7g}"),
                "at": at,
                "values": [float(f"{flat[i]:.7g}") for i in at],
            }
        )
    return {
        "model": path.name,
        "hash": tiny_hash(path),
        "rank": 4,
        "alpha": 6,
        "targets": list(TARGETS),
        "drawn_b": True,
        "batches": [rows],
        "weight": WEIGHT,
        "nll": nll,
        "gradients": kept,
    }


def steps(base, batches, rank, alpha, targets, lr, warmup, first):
    """Steps on batches of rows of ids, the first `warmup` at 1 / warmup, 2 / warmup, ... of lr."""
    model, tensors = adapted(base, rank, alpha, targets, False)
    optimiser = torch.optim.AdamW(tensors, lr=lr, weight_decay=0.0)
    losses, norms = [], []
    for i, batch in enumerate(batches):
        optimiser.param_groups[0]["lr"] = lr * min(1.0, (i + 1) / max(1, warmup))
        n = sum(len(ids) - first(ids) for ids in batch)
        total = 0.0
        for ids in batch:
            loss = row_nll(model, ids, first(ids)) / n
            loss.backward()
            total += loss.item()
        norms.append(float(f"{torch.nn.utils.clip_grad_norm_(tensors, 1.0):.7g}"))
        optimiser.step()
        optimiser.zero_grad()
        losses.append(round(total, 6))
        print(len(losses), losses[-1], norms[-1], file=sys.stderr, flush=True)
    return {
        "rank": rank,
        "alpha": alpha,
        "targets": list(targets),
        "drawn_b": False,
        "lr": lr,
        "warmup": warmup,
        "losses": losses,
        "norms": norms,
        "norm": [float(f"{p.detach().norm():.7g}") for p in tensors],
        "sketch": [sketch(i, p) for i, p in enumerate(tensors)],
    }


def tiny(folder, out):
    rows = [gradients(Path(folder) / name) for name in VARIANTS]
    path = Path(folder) / "mistral-f32"
    base = language_model(path)
    draw = random.Random("steps")
    # few tokens, so that there is something to learn
    batches = [
        [[draw.randrange(40) for _ in range(draw.randrange(4, 60))] for _ in range(3)] for _ in range(50)
    ]
    row = steps(base, batches, 8, 16, TARGETS, 2e-3, 0, first_target)
    rows.append({"model": path.name, "hash": tiny_hash(path), "batches": batches, **row})
    write_jsonl(out, rows)


def smollm2(gguf, val, out):
    tokenizer = smollm_tokenizer(gguf)
    texts = [row["text"] for row in read_jsonl(val, 40)]
    ids = [tokenizer.encode(text).ids for text in texts]
    numbers = [[2 * i, 2 * i + 1] for i in range(20)]
    batches = [[ids[i] for i in batch] for batch in numbers]
    base = language_model(gguf).double()
    row = steps(base, batches, 16, 32, TARGETS[:4], 2e-4, 10, lambda _: 1)
    hashes = [ids_hash(row) for row in ids]
    write_jsonl(out, [{"model": "smollm2", "batches": numbers, "ids_hashes": hashes, **row}])


if __name__ == "__main__":
    {"tiny": tiny, "smollm2": smollm2}[sys.argv[1]](*sys.argv[2:])

"""Per-token losses of the tiny models and of SmolLM2 on real texts.

    losses.py tiny TINY_DIR OUT.jsonl
    losses.py variants TINY_DIR OUT.jsonl
    losses.py smollm2 MODEL.gguf VAL.jsonl OUT.jsonl

A row: `model`, `nll` (nats, one for each token but the first), then
  tiny, variants: `hash` of the model's files, `tokens`;
  smollm2: `row` in VAL.jsonl or rows joined by an empty line, `n_tokens`, `ids_hash`, `loss`.
"""

import random
import sys
from pathlib import Path

from common import ids_hash, read_jsonl, tiny_hash, write_jsonl
from reference import greedy, language_model, smollm_tokenizer, token_losses

# Around a KV block (64), and past a prefill chunk (512).
LENGTHS = (1, 2, 17, 63, 64, 65, 130, 600)

# The files of a family hold the same values in several types, so they share their sequences.
FAMILIES = {
    "mistral-f32": ("mistral-f32", "mistral-f16", "mistral-bf16"),
    "llama-f32": ("llama-f32",),
    "llama-f32.gguf": (
        "llama-f32.gguf",
        "llama-f16.gguf",
        "llama-q8_0.gguf",
        "llama-q4_0.gguf",
        "llama-q4_1.gguf",
    ),
}

# As above, but a GGUF file's losses are those of the folder with the same values: transformers does
# not read biases, scaling or rope_freqs.weight out of a GGUF file.
VARIANTS = {
    "mistral-window": ("mistral-window",),
    "mistral-shards": ("mistral-shards",),
    "llama-linear": ("llama-linear", "llama-linear-v2.gguf"),
    "llama-3": ("llama-3", "llama-3.gguf"),
}

N_TEXTS = 50
LONG_TEXT_ROWS = list(range(8))


def likely_and_unlikely(model, n, seed):
    """Half of the tokens are the model's own choice, half are drawn blindly."""
    draw = random.Random(seed)
    vocab_size = model.config.vocab_size
    ids = [draw.randrange(vocab_size)]
    while len(ids) < n:
        own = draw.random() < 0.5
        ids.append(greedy(model, ids, 1, ())[0][0] if own else draw.randrange(vocab_size))
    return ids


def tiny(folder, out):
    rows = []
    for first, names in FAMILIES.items():
        model = language_model(Path(folder) / first)
        sequences = [likely_and_unlikely(model, n, f"{first} {n}") for n in LENGTHS]
        for name in names:
            path = Path(folder) / name
            model = language_model(path)
            for ids in sequences:
                nll = [round(x, 5) for x in token_losses(model, ids)]
                rows.append({"model": name, "hash": tiny_hash(path), "tokens": ids, "nll": nll})
    write_jsonl(out, rows)


def variants(folder, out):
    rows = []
    for first, names in VARIANTS.items():
        model = language_model(Path(folder) / first)
        for n in LENGTHS:
            ids = likely_and_unlikely(model, n, f"{first} {n}")
            nll = [round(x, 5) for x in token_losses(model, ids)]
            for name in names:
                path = Path(folder) / name
                rows.append({"model": name, "hash": tiny_hash(path), "tokens": ids, "nll": nll})
    rows.sort(key=lambda row: row["model"])
    write_jsonl(out, rows)


def smollm2(gguf, val, out):
    tokenizer = smollm_tokenizer(gguf)
    model = language_model(gguf)
    texts = [row["text"] for row in read_jsonl(val, N_TEXTS)]
    cases = [([i], text) for i, text in enumerate(texts)]
    cases.append((LONG_TEXT_ROWS, "\n\n".join(texts[i] for i in LONG_TEXT_ROWS)))
    rows = []
    for numbers, text in cases:
        ids = tokenizer.encode(text).ids
        nll = token_losses(model, ids)
        rows.append(
            {
                "model": "smollm2",
                "rows": numbers,
                "n_tokens": len(ids),
                "ids_hash": ids_hash(ids),
                "loss": round(sum(nll) / len(nll), 6),
                "nll": [round(x, 4) for x in nll],
            }
        )
    write_jsonl(out, rows)


if __name__ == "__main__":
    {"tiny": tiny, "variants": variants, "smollm2": smollm2}[sys.argv[1]](*sys.argv[2:])

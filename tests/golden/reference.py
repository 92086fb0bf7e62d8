"""The reference implementations that goldens are taken from: transformers and tokenizers.

Weights of every type are expanded to float32 on load and computed in float32. Loading 16-bit
weights in 16 bits (or model.to(float16)) would round activations and the rotary inv_freq too: a
loss would then say more about the rounding than about the model.
"""

from pathlib import Path

import torch
from gguf import GGUFReader
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoModelForCausalLM

torch.set_grad_enabled(False)


def language_model(path):
    """A Hugging Face folder or a .gguf file, dequantised; on the CPU, in float32."""
    path = Path(path)
    if path.is_dir():
        model = AutoModelForCausalLM.from_pretrained(
            path, dtype=torch.float32, attn_implementation="eager"
        )
    else:
        model = AutoModelForCausalLM.from_pretrained(
            path.parent, gguf_file=path.name, dtype=torch.float32, attn_implementation="eager"
        )
    wrong = {name for name, p in model.named_parameters() if p.dtype != torch.float32}
    assert not wrong, wrong
    return model.eval()


def token_losses(model, ids):
    """-log p(ids[t] | ids[:t]) in nats for t = 1 .. len(ids) - 1."""
    if len(ids) < 2:
        return []
    logits = model(torch.tensor([ids])).logits[0, :-1].double()
    return torch.nn.functional.cross_entropy(
        logits, torch.tensor(ids[1:]), reduction="none"
    ).tolist()


def greedy(model, ids, n_new, stop_ids):
    """Greedy continuation and, step by step, by how much the best logit beats the second."""
    new, margins, past = [], [], None
    step = ids
    for _ in range(n_new):
        out = model(torch.tensor([step]), past_key_values=past, use_cache=True)
        past = out.past_key_values
        best = torch.topk(out.logits[0, -1].double(), 2)
        new.append(best.indices[0].item())
        margins.append((best.values[0] - best.values[1]).item())
        if new[-1] in stop_ids:
            break
        step = new[-1:]
    return new, margins


def _strings(reader, key):
    field = reader.fields[key]
    return [bytes(field.parts[i]).decode("utf-8") for i in field.data]


def smollm_tokenizer(gguf_path):
    """The tokenizer of a SmolLM2 GGUF as Hugging Face's own tokenizer.json has it.

    Each digit stands alone (Digits) before GPT-2's pattern splits the rest. transformers' own
    reading of the GGUF leaves Digits out and so splits e.g. circled digits differently.
    """
    reader = GGUFReader(str(gguf_path))
    tokens = _strings(reader, "tokenizer.ggml.tokens")
    types = reader.fields["tokenizer.ggml.token_type"]
    merges = [tuple(m.split(" ")) for m in _strings(reader, "tokenizer.ggml.merges")]
    tokenizer = Tokenizer(models.BPE(vocab={t: i for i, t in enumerate(tokens)}, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    control = [t for t, i in zip(tokens, types.data) if types.parts[i][0] == 3]
    tokenizer.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in control])
    return tokenizer

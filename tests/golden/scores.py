"""What medrat-score must say: ranks, continuations, windows, and the parts of the fine-tune's texts.

    scores.py tiny TINY_DIR OUT.jsonl
    scores.py smollm2 MODEL.gguf VAL.jsonl OUT.jsonl

Rows by `kind`:
  text          `row` of VAL.jsonl, `n_tokens`, `ids_hash`; `tokens`, `bytes` and `nll` of template,
                query and completion; `score_tokens` rows also `token_nll` and ranks
  continuation  `context`, `continuation`, `n_tokens`, `logprob`, `is_greedy` by the rule of
                lm-evaluation-harness; `margin`: by how much the nearest of these choices was made
  windows       `rows` of VAL.jsonl joined by an empty line (or `tokens`), `max_length`, `stride`,
                `token_nll`: the strided perplexity of the transformers documentation

A rank is 1 for the most likely token. Two implementations disagree on nearly equal logits, so each
is given as the ranks it has if all logits within NEAR of its own came first (`rank_high`), or last
(`rank_low`).
"""

import random
import sys
from pathlib import Path

import torch
from common import ids_hash, read_jsonl, tiny_hash, write_jsonl
from losses import FAMILIES, likely_and_unlikely
from reference import greedy, language_model, smollm_tokenizer, token_losses

N_TEXTS = 200
N_TEXTS_BY_TOKEN = 20
N_CONTINUATIONS = 30
PREFIX_TOKEN = 1  # SmolLM2's bos_token
NEAR = {"smollm2": 0.05, "tiny": 1e-3}
SMOLLM2_WINDOWS = ((256, 128), (200, 199))
LONG_TEXT_ROWS = [0, 1, 2, 3]
TINY_WINDOWS = ((64, 32), (65, 64), (100, 7), (300, 299), (1000, 500))


def ranks(model, ids, near):
    """Of ids[1:]: the lowest and the highest rank that logits off by `near` may give."""
    logits = model(torch.tensor([ids])).logits[0, :-1].double()
    own = logits.gather(1, torch.tensor(ids[1:])[:, None])
    low = 1 + (logits > own + near).sum(1)
    high = (logits >= own - near).sum(1)
    return low.tolist(), high.tolist()


def windows(model, ids, max_length, stride):
    """As transformers documents it (Perplexity of fixed-length models), token by token."""
    nll, previous_end = [], 0
    for begin in range(0, len(ids), stride):
        end = min(begin + max_length, len(ids))
        losses = token_losses(model, ids[begin:end])
        nll += losses[len(losses) - min(end - previous_end, len(losses)) :]
        previous_end = end
        if end == len(ids):
            break
    assert len(nll) == len(ids) - 1
    return nll


def frame(text):
    """Byte offsets of the query, its end, and the completion."""
    query = text.index(b"\n\n### Query:\n") + len(b"\n\n### Query:\n")
    end = text.find(b"\n\n### Response:\n", query)
    if end < 0:
        return query, len(text), len(text)
    return query, end, end + len(b"\n\n### Response:\n")


def parts(tokenizer, text, ids, nll):
    """Targets, bytes and loss of template, query, completion. A token with bytes of two parts is of
    the later one."""
    query, query_end, completion = frame(text)
    n, size, loss, at = [0, 0, 0], [0, 0, 0], [0.0, 0.0, 0.0], 0
    for i, token in enumerate(ids):
        length = len(tokenizer.id_to_token(token))  # one character a byte
        at += length
        if at > completion:
            part = 2
        else:
            part = 1 if query < at <= query_end else 0
        if i > 0:
            n[part] += 1
            size[part] += length
            loss[part] += nll[i - 1]
    assert at == len(text)
    return n, size, [round(x, 5) for x in loss]


def texts(model, tokenizer, rows):
    for i, row in enumerate(rows[:N_TEXTS]):
        ids = tokenizer.encode(row["text"]).ids
        nll = token_losses(model, ids)
        n, size, loss = parts(tokenizer, row["text"].encode(), ids, nll)
        out = {"kind": "text", "row": i, "n_tokens": len(ids), "ids_hash": ids_hash(ids)}
        out |= {"tokens": n, "bytes": size, "nll": loss}
        if i < N_TEXTS_BY_TOKEN:
            out["token_nll"] = [round(x, 4) for x in nll]
            out["rank_low"], out["rank_high"] = ranks(model, ids, NEAR["smollm2"])
        yield out


def encode_pair(tokenizer, context, continuation):
    """lm-evaluation-harness, TemplateLM.loglikelihood and _encode_pair."""
    if context == "":
        return [PREFIX_TOKEN], tokenizer.encode(continuation).ids
    stripped = context.rstrip()
    continuation = context[len(stripped) :] + continuation
    whole = tokenizer.encode(stripped + continuation).ids
    n = len(tokenizer.encode(stripped).ids)
    return whole[:n], whole[n:]


def continuation(model, tokenizer, context, text):
    first, second = encode_pair(tokenizer, context, text)
    logits = model(torch.tensor([first + second])).logits[0, len(first) - 1 : -1].double()
    chosen = torch.tensor(second)[:, None]
    own = logits.gather(1, chosen)[:, 0]
    rest = logits.scatter(1, chosen, float("-inf")).max(1).values
    return {
        "kind": "continuation",
        "context": context,
        "continuation": text,
        "n_tokens": len(second),
        "logprob": round(torch.log_softmax(logits, 1).gather(1, chosen).sum().item(), 4),
        "is_greedy": bool((logits.argmax(1) == chosen[:, 0]).all()),
        "margin": round((own - rest).abs().min().item(), 4),
    }


def continuations(model, tokenizer, rows):
    """Beginnings of texts, with or without white space at their end, and what the model itself
    would write, what the text says, or a mixture of both."""
    draw = random.Random("continuations")
    for i, row in enumerate(rows[-N_CONTINUATIONS:]):
        words = row["text"].split(" ")
        at = draw.randrange(len(words) // 3, len(words) - 6)
        context, space = " ".join(words[:at]), ""
        ids, _ = greedy(model, tokenizer.encode(context).ids, 1 + i % 5, ())
        own = tokenizer.decode(ids)
        real = " " + " ".join(words[at : at + 1 + i % 4])
        text = (own, real, own + real, own)[i % 4]
        if i % 3 == 0 and text.startswith(" "):
            space, text = " ", text[1:]
        if "\ufffd" in text or not text:
            continue
        yield continuation(model, tokenizer, context + space, text)
        if i % 6 == 0:
            yield continuation(model, tokenizer, "", " ".join(words[at : at + 6]))


def long_texts(model, tokenizer, rows):
    ids = tokenizer.encode("\n\n".join(rows[i]["text"] for i in LONG_TEXT_ROWS)).ids
    for max_length, stride in SMOLLM2_WINDOWS:
        nll = windows(model, ids, max_length, stride)
        row = {"kind": "windows", "rows": LONG_TEXT_ROWS, "max_length": max_length}
        row |= {"stride": stride, "n_tokens": len(ids), "ids_hash": ids_hash(ids)}
        yield row | {"token_nll": [round(x, 4) for x in nll]}


def smollm2(gguf, val, out):
    tokenizer = smollm_tokenizer(gguf)
    model = language_model(gguf)
    data = read_jsonl(val)
    rows = [
        *long_texts(model, tokenizer, data),
        *continuations(model, tokenizer, data),
        *texts(model, tokenizer, data),
    ]
    write_jsonl(out, rows)


def tiny(folder, out):
    rows = []
    for name in FAMILIES:
        path = Path(folder) / name
        model = language_model(path)
        ids = likely_and_unlikely(model, 600, f"{name} 600")
        low, high = ranks(model, ids, NEAR["tiny"])
        whole = {"kind": "tokens", "model": name, "hash": tiny_hash(path), "tokens": ids}
        whole |= {"token_nll": [round(x, 5) for x in token_losses(model, ids)]}
        rows.append(whole | {"rank_low": low, "rank_high": high})
        for max_length, stride in TINY_WINDOWS:
            nll = windows(model, ids, max_length, stride)
            row = {"kind": "windows", "model": name, "max_length": max_length, "stride": stride}
            rows.append(row | {"token_nll": [round(x, 5) for x in nll]})
    write_jsonl(out, rows)


if __name__ == "__main__":
    {"tiny": tiny, "smollm2": smollm2}[sys.argv[1]](*sys.argv[2:])

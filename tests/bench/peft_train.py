"""The adapter that PEFT makes of rows of query and rationales: what medrat-train's is held against.

    peft_train.py MODEL.gguf TRAIN.jsonl VALIDATION.jsonl ADAPTER_DIR THREADS

Rows, their order, rates, rank, targets and dropout are those of examples/adapters/train.yaml; what
differs is what is drawn: the first A and the dropout. Rows are padded, the loss is the mean over a
batch's targets (a completion and the end). Prints the loss of every tenth step, and at the end the
perplexity of VALIDATION's completions without the end, as medrat-score --completion-only has it.
"""

import json
import math
import sys
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from transformers import get_scheduler

sys.path.insert(0, str(Path(__file__).parents[1] / "golden"))
from reference import language_model, smollm_tokenizer

RANK, RATE, WARMUP, BATCH, SEED = 6, 2e-3, 20, 8, 42
TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
PROMPT = (
    "### Instruction:\nGiven the user query below, generate 3 concise rationales (1–2 sentences each) "
    "describing what evidence a correct passage should contain.\n\n### Query:\n{}\n\n### Response:\n"
)


def rows_of(path, tokenizer):
    """Of each row its ids and how many of them are the prompt."""
    end = tokenizer.token_to_id("<|im_end|>")
    rows = []
    for line in Path(path).read_text().splitlines():
        row = json.loads(line)
        prompt = tokenizer.encode(PROMPT.format(row["query"])).ids
        rows.append((prompt + tokenizer.encode("\n".join(row["rationales"])).ids + [end], len(prompt)))
    return rows


def batch_loss(model, rows):
    """The sum of -log p over the rows' targets."""
    longest = max(len(ids) for ids, _ in rows)
    ids = torch.tensor([ids + [0] * (longest - len(ids)) for ids, _ in rows])
    mask = torch.tensor([[1] * len(ids) + [0] * (longest - len(ids)) for ids, _ in rows])
    labels = torch.tensor(
        [[-100] * first + ids[first:] + [-100] * (longest - len(ids)) for ids, first in rows]
    )
    logits = model(input_ids=ids, attention_mask=mask).logits[:, :-1]
    wanted = labels[:, 1:] >= 0
    return torch.nn.functional.cross_entropy(logits[wanted], labels[:, 1:][wanted], reduction="sum")


def train(model, rows):
    trained = [p for p in model.parameters() if p.requires_grad]
    n_steps = math.ceil(len(rows) / BATCH)
    optimiser = torch.optim.AdamW(trained, lr=RATE, weight_decay=0.0)
    scheduler = get_scheduler("linear", optimiser, WARMUP, n_steps)
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(SEED)).tolist()
    for step in range(n_steps):
        batch = [rows[i] for i in order[step * BATCH : (step + 1) * BATCH]]
        loss = batch_loss(model, batch) / sum(len(ids) - first for ids, first in batch)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimiser.step()
        scheduler.step()
        optimiser.zero_grad()
        if step % 10 == 0:
            print(json.dumps({"step": step, "loss": loss.item()}), flush=True)


def perplexity(model, rows):
    total, n = 0.0, 0
    with torch.no_grad():
        for ids, first in rows:
            total += batch_loss(model, [(ids[:-1], first)]).item()
            n += len(ids) - 1 - first
    return math.exp(total / n)


def main(gguf, train_path, validation_path, out, threads):
    torch.set_num_threads(int(threads))
    torch.set_grad_enabled(True)
    torch.manual_seed(SEED)
    tokenizer = smollm_tokenizer(gguf)
    config = LoraConfig(
        r=RANK, lora_alpha=2 * RANK, lora_dropout=0.05, target_modules=TARGETS, task_type="CAUSAL_LM"
    )
    model = get_peft_model(language_model(gguf), config).train()
    train(model, rows_of(train_path, tokenizer))
    model.save_pretrained(out)
    found = perplexity(model.eval(), rows_of(validation_path, tokenizer))
    print(json.dumps({"adapter": out, "perplexity": found}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])

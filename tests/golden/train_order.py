"""What a training run draws and computes outside of the model: torch's order of rows, and the
learning rates of transformers' schedules.

    train_order.py OUT.jsonl

A row: `seed`, `n`, `order` (torch.randperm of a generator with that seed); or `schedule`, `steps`,
`warmup`, `factors` (the rate of each step as a share of the highest).
"""

import sys

import torch
from common import write_jsonl
from transformers import get_scheduler

ORDERS = [(42, 10), (42, 1), (42, 2), (43, 10), (0, 7), (2**32 + 42, 10), (5, 625), (44, 1300)]

SCHEDULES = [
    ("linear", 10, 0),
    ("linear", 10, 3),
    ("linear", 1, 0),
    ("linear", 4, 4),
    ("cosine", 12, 0),
    ("cosine", 12, 5),
    ("constant_with_warmup", 6, 2),
    ("constant_with_warmup", 3, 0),
]


def order(seed, n):
    generator = torch.Generator()
    generator.manual_seed(seed)
    return {"seed": seed, "n": n, "order": torch.randperm(n, generator=generator).tolist()}


def factors(name, steps, warmup):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = get_scheduler(name, optimizer, warmup, steps)
    found = []
    for _ in range(steps):
        found.append(scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step()
    return {
        "schedule": name.split("_")[0],
        "steps": steps,
        "warmup": warmup,
        "factors": found,
    }


def main(out):
    write_jsonl(out, [order(*o) for o in ORDERS] + [factors(*s) for s in SCHEDULES])


if __name__ == "__main__":
    main(sys.argv[1])

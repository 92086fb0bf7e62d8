"""The figures of an evaluation, from losses that are given: the model card's by its own arithmetic
in numpy, ours by fractions.

    score_totals.py OUT.jsonl

First row: `summary`, the members of `medrat-score --compare --summary` that have a number, and
`percentiles`, which numpy takes from the losses themselves. Then a row a record: `key`, `n_ids`,
`tokens` and `bytes` of each region, `nll` of each leg and region, `seconds` of each leg.
"""

import math
import random
import sys
from fractions import Fraction

import numpy
from common import hash64, write_jsonl

REGIONS = ["template", "query", "completion", "plain"]
LEGS = ["baseline_model", "fine_tuned_model"]
REPLICATES = 1000
PERCENTS = [1, 5, 10, 25, 50, 75, 90, 95, 99]


def make_records():
    rng = random.Random(7)
    for i in range(150):
        framed = rng.random() < 0.8
        tokens = [rng.randint(20, 60), rng.randint(5, 80), rng.randint(20, 120), 0]
        if not framed:
            tokens = [0, 0, 0, rng.randint(1, 400)]
        base = [n * rng.uniform(0.2, 3.5) for n in tokens]
        tuned = [b * rng.uniform(0.05, 1.7) for b in base]
        if i % 40 == 7:
            tuned = list(base)
        yield {
            "key": f"{hash64(str(i).encode()):016x}",
            "n_ids": sum(tokens) + 1,
            "tokens": tokens,
            "bytes": [n * rng.randint(3, 6) for n in tokens],
            "nll": [base, tuned],
            "seconds": [rng.uniform(0.1, 0.3), rng.uniform(0.1, 0.3)],
        }


def loss_of(record, leg):
    """As lib/run/score_result.h adds up: a double at a time."""
    nll = 0.0
    for part in record["nll"][leg]:
        nll += part
    return nll, nll / sum(record["tokens"])


def card(records, leg):
    """What the card's script does with each sample's loss and number of tokens."""
    losses, total_loss, total_tokens = [], 0.0, 0
    for record in records:
        loss = loss_of(record, leg)[1]
        losses.append(loss)
        total_loss += loss * record["n_ids"]
        total_tokens += record["n_ids"]
    average = total_loss / total_tokens
    seconds = sum(r["seconds"][leg] for r in records)
    return {
        "perplexity": float(numpy.exp(average)),
        "average_loss": average,
        "loss_std": float(numpy.std(losses)),
        "evaluation_time_seconds": seconds,
        "samples_per_second": len(records) / seconds,
    }


def exactly(numbers) -> Fraction:
    return sum((Fraction(x) for x in numbers), Fraction(0))


def part(records, leg, regions):
    nll = exactly(r["nll"][leg][i] for r in records for i in regions)
    loss = float(nll / sum(r["tokens"][i] for r in records for i in regions))
    n_bytes = sum(r["bytes"][i] for r in records for i in regions)
    return {
        "token_perplexity": math.exp(loss),
        "token_loss": loss,
        "bits_per_byte": float(nll) / math.log(2) / n_bytes,
    }


def improvement(base, tuned):
    return (base - tuned) / base * 100


def philox(key, counter):
    """Philox4x32-10 of Salmon et al. (2011)."""
    x, k = list(counter), [key & 0xFFFFFFFF, key >> 32]
    for _ in range(10):
        a, b = 0xD2511F53 * x[0], 0xCD9E8D57 * x[2]
        x = [b >> 32 ^ x[1] ^ k[0], b & 0xFFFFFFFF, a >> 32 ^ x[3] ^ k[1], a & 0xFFFFFFFF]
        k = [(k[0] + 0x9E3779B9) & 0xFFFFFFFF, (k[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return x


def poisson_thresholds():
    """2^32 times the distribution function of Poisson(1), as far as it is below 1."""
    inverse_e = sum(Fraction((-1) ** i, math.factorial(i)) for i in range(40))
    total, found = Fraction(0), []
    for i in range(20):
        total += inverse_e / math.factorial(i)
        threshold = round(total * 2**32)
        if threshold == 2**32:
            return found
        found.append(threshold)


def weights(key):
    thresholds = poisson_thresholds()
    stream = int.from_bytes(b"boot", "big")
    for first in range(0, REPLICATES, 4):
        for word in philox(key, [first // 4, 0, stream, 0]):
            yield sum(word >= t for t in thresholds)


def intervals(records):
    """Differences and improvements of both perplexities, 95 %."""
    card_sums = [[Fraction(0), Fraction(0), 0] for _ in range(REPLICATES)]
    token_sums = [[Fraction(0), Fraction(0), 0] for _ in range(REPLICATES)]
    for record in records:
        pairs = [loss_of(record, leg) for leg in (0, 1)]
        n_tokens = sum(record["tokens"])
        for i, times in enumerate(weights(int(record["key"], 16))):
            for leg in (0, 1):
                card_sums[i][leg] += times * record["n_ids"] * Fraction(pairs[leg][1])
                token_sums[i][leg] += times * Fraction(pairs[leg][0])
            card_sums[i][2] += times * record["n_ids"]
            token_sums[i][2] += times * n_tokens
    for sums in (card_sums, token_sums):
        perplexities = [[math.exp(s[leg] / s[2]) for leg in (0, 1)] for s in sums if s[2] > 0]
        outside = len(perplexities) // 40
        for values in ([b - a for a, b in perplexities], [improvement(a, b) for a, b in perplexities]):
            values.sort()
            yield [values[outside], values[-1 - outside]]


def figures(records):
    cards = [card(records, leg) for leg in (0, 1)]
    tokens = [part(records, leg, range(4)) for leg in (0, 1)]
    losses = [[loss_of(r, leg)[1] for r in records] for leg in (0, 1)]
    improved = sum(b < a for a, b in zip(*losses))
    all_tokens = sum(sum(r["tokens"]) for r in records)
    found = list(intervals(records))
    ppl = [c["perplexity"] for c in cards]
    token_ppl = [t["token_perplexity"] for t in tokens]
    worst = sorted(
        ({"key": r["key"], "difference": b - a} for r, a, b in zip(records, *losses) if b > a),
        key=lambda w: (-w["difference"], w["key"]),
    )
    ours = {
        "records": {"scored": len(records), "skipped": 0, "repeated_keys": 0},
        "tokens": {
            "scored": all_tokens,
            "bytes": sum(sum(r["bytes"]) for r in records),
            "regions": {
                name: {"share": sum(r["tokens"][i] for r in records) / all_tokens}
                for i, name in enumerate(REGIONS)
            },
        },
        "comparison": {
            "perplexity": {
                "difference": ppl[1] - ppl[0],
                "difference_interval": found[0],
                "improvement_percent": improvement(*ppl),
                "improvement_percent_interval": found[1],
            },
            "token_perplexity": {
                "difference": token_ppl[1] - token_ppl[0],
                "difference_interval": found[2],
                "improvement_percent": improvement(*token_ppl),
                "improvement_percent_interval": found[3],
            },
            "improved": improved,
            "worse": len(worst),
            "equal": len(records) - improved - len(worst),
            "share_improved": improved / len(records),
            "worst_regressions": worst[:20],
        },
    }
    for leg, name in enumerate(LEGS):
        ours[name] = tokens[leg] | {
            "regions": {n: part(records, leg, [i]) for i, n in enumerate(REGIONS)},
            "loss_percentiles": {"least": min(losses[leg]), "greatest": max(losses[leg])},
        }
    return {
        "summary": {
            LEGS[0]: cards[0],
            LEGS[1]: cards[1],
            "comparison": {
                "perplexity_improvement_percent": improvement(*ppl),
                "loss_improvement_percent": improvement(*(c["average_loss"] for c in cards)),
                "relative_speed": cards[1]["samples_per_second"] / cards[0]["samples_per_second"],
            },
            "evaluation_parameters": {
                "max_length": 1024,
                "batch_size": 1,
                "num_samples_evaluated": len(records),
            },
            "medrat": ours,
        },
        "percentiles": [
            [float(numpy.percentile(leg, p, method="inverted_cdf")) for p in PERCENTS] for leg in losses
        ],
    }


if __name__ == "__main__":
    rows = list(make_records())
    write_jsonl(sys.argv[1], [figures(rows)] + rows)

#!/usr/bin/env python3
"""METEORA's selection on real questions with all-MiniLM-L6-v2 in sentence-transformers.

    meteora_sets.py MODEL DATA OUT.jsonl      DATA/rerank/*.dev.jsonl, the first 20 questions of each

A row: `id`, `rationales`, and for each method of METHODS the ids it selects, in input order; null
where the choice hangs on a near tie: one of 30 changes of all similarities by up to 2e-5 (more than
two float encoders differ by) selects something else.

The data sets have no rationales. Each question gets three fixed ones: the question as a search
instruction, and the middle words of two of its passages, so that there is something to pair.
"""

import logging
import random
import sys
from pathlib import Path

import numpy
from sentence_transformers import SentenceTransformer

from common import read_jsonl, write_jsonl
from meteora import select

N_QUESTIONS = 20
NOISE = 2e-5
N_TRIALS = 30
METHODS = {  # name: (pair, pool, window)
    "meteora": (True, True, 1),
    "pair": (True, False, 0),
    "pool": (False, True, 0),
    "query": (False, True, 0),
}


def rationales_of(record, number):
    passages = record["passages"]

    def middle_words(index):
        words = passages[index % len(passages)]["text"].split()
        start = max(0, len(words) // 2 - 8)
        return " ".join(words[start:start + 16])

    return ["Look for a passage that answers: " + record["query"],
            "It should report " + middle_words(7 * number + 3),
            "Discuss the role of " + middle_words(11 * number + 5)]


def cosines(a, b):
    a, b = (x / numpy.linalg.norm(x, axis=1, keepdims=True) for x in (a, b))
    return a @ b.T


def chosen(method, similarity, pooled, places):
    pair, pool, window = METHODS[method]
    _, via, _ = select(len(places), similarity, pooled if pool else None, ("elbow", None), window,
                       places, pair)
    return [j for j, ways in enumerate(via) if ways]


def selections(model, record, rationales):
    embed = lambda texts: model.encode(texts, convert_to_numpy=True).astype(numpy.float64)
    passages = embed([p["text"] for p in record["passages"]])
    vectors = embed(rationales)
    similarity = cosines(vectors, passages)
    pooled = {"query": cosines(embed([record["query"]]), passages)[0]}
    mean = cosines(vectors.mean(axis=0, keepdims=True), passages)[0]
    places = [(p["doc"], p["pos"]) for p in record["passages"]]
    noise = numpy.random.default_rng(random.Random(record["id"]).getrandbits(32))
    row = {}
    for method in METHODS:
        scores = pooled.get(method, mean)
        exact = chosen(method, similarity.tolist(), scores.tolist(), places)
        stable = all(exact == chosen(method,
                                     (similarity + noise.uniform(-NOISE, NOISE, similarity.shape)).tolist(),
                                     (scores + noise.uniform(-NOISE, NOISE, scores.shape)).tolist(), places)
                     for _ in range(N_TRIALS))
        row[method] = [record["passages"][j]["id"] for j in exact] if stable else None
    return row


def main():
    logging.disable(logging.WARNING)
    model_path, data, out = sys.argv[1:]
    model = SentenceTransformer(model_path, device="cpu")
    rows = []
    for path in sorted(Path(data, "rerank").glob("*.dev.jsonl")):
        for number, record in enumerate(read_jsonl(path, N_QUESTIONS)):
            rationales = rationales_of(record, number)
            rows.append({"id": record["id"], "rationales": rationales,
                         **selections(model, record, rationales)})
        print(path.name, file=sys.stderr)
    write_jsonl(out, rows)


if __name__ == "__main__":
    main()

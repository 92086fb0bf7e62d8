#!/usr/bin/env python3
"""BM25 in plain Python, and the golden file of lib/rank/bm25 made with it.

    bm25.py DATA      reads DATA/rerank/*.dev.jsonl, writes bm25.jsonl: a hash of each question's order
    bm25.py DATA -v   also prints nDCG@10 of each set

The words, the stop list and the stemmer are those that lib/rank/terms.h describes.
"""

import math
import sys
import unicodedata
from pathlib import Path

from common import hex64, read_jsonl, write_jsonl

HERE = Path(__file__).parent
STOP = set("""a about an and are as at be been but by can did do does for from had has have how if in into is
it its may no not of on or s such t than that the their then there these they this those to was we were what
when where which who why will with you your""".split())


def words(text):
    word = ""
    for c in text + " ":
        if unicodedata.category(c)[0] in "LMN":
            word += c.lower()[0]  # the one-to-one mapping; longer ones start with it
        elif word:
            yield word
            word = ""


def stem(word):
    if len(word) <= 3:
        return word
    if word.endswith("ies") and not word.endswith(("eies", "aies")):
        return word[:-3] + "y"
    if word.endswith("es") and not word.endswith(("aes", "ees", "oes")):
        return word[:-1]
    if word.endswith("s") and not word.endswith(("us", "ss")):
        return word[:-1]
    return word


def terms(text):
    return [stem(word) for word in words(text) if word not in STOP]


def bm25(query, texts, k1=1.2, b=0.75):
    passages = [terms(text) for text in texts]
    n = len(passages)
    mean = sum(len(p) for p in passages) / n
    scores = [0.0] * n
    for term in sorted(set(terms(query)), key=lambda t: t.encode()):
        df = sum(term in p for p in passages)
        idf = math.log(1 + (n - df + 0.5) / (df + 0.5))
        for j, p in enumerate(passages):
            tf = p.count(term)
            if tf:
                scores[j] += idf * tf * (k1 + 1) / (tf + k1 * (1 - b + b * len(p) / mean))
    return scores


def order_of(record):
    scores = bm25(record["query"], [p["text"] for p in record["passages"]])
    return sorted(range(len(scores)), key=lambda j: -scores[j])


def ndcg10(record, order):
    grades = [record["qrels"].get(record["passages"][j]["id"], 0) for j in order]
    best = sorted(record["qrels"].values(), reverse=True)
    dcg = [sum(g / math.log2(i + 2) for i, g in enumerate(list_[:10])) for list_ in (grades, best)]
    return dcg[0] / dcg[1] if dcg[1] else 0.0


def main():
    rows = []
    for path in sorted(Path(sys.argv[1], "rerank").glob("*.dev.jsonl")):
        records = read_jsonl(path)
        orders = [order_of(record) for record in records]
        rows += [{"id": record["id"], "order": hex64(",".join(map(str, order)).encode())}
                 for record, order in zip(records, orders)]
        if "-v" in sys.argv:
            print(path.name, round(sum(map(ndcg10, records, orders)) / len(records), 3))
    write_jsonl(HERE / "bm25.jsonl", rows)


if __name__ == "__main__":
    main()

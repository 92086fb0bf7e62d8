#!/usr/bin/env python3
"""METEORA's selection in plain Python, and the golden files of lib/rank made with it.

    meteora.py              writes meteora_elbow.txt and meteora_select.txt
    meteora.py --elbow N    shows case N of meteora_elbow.txt (line N + 1)
    meteora.py --select N   shows case N of meteora_select.txt

Written from the description of the method (Saxena et al., arXiv 2505.16014, and the behaviour of its
released code), not from lib/rank. Inputs are not stored: both sides draw them from the same integers
(class Draw; struct draw of tests/unit/draw.h). Sums are spelled out as loops: sum() of newer Pythons
compensates its rounding.
"""

import argparse
import math
from pathlib import Path

from common import hex64

HERE = Path(__file__).parent
N_ELBOW = 4000
N_SELECT = 4000
MASK = 0xFFFFFFFFFFFFFFFF


# --- the method ---------------------------------------------------------------------------------

def elbow(scores):
    """How many of the falling scores are kept."""
    n = len(scores)
    if n <= 2:
        return n
    steps = []
    for above, below in zip(scores, scores[1:]):
        step = above - below
        steps.append(step if step >= 1e-9 else 0.0)
    if n >= 4:
        total = 0.0
        for step in steps:
            total += step
        mu = total / len(steps)
        total = 0.0
        for step in steps:
            total += (step - mu) * (step - mu)
        sigma = math.sqrt(total / len(steps))
        if sigma > 0:
            for i, step in enumerate(steps, start=1):
                if (step - mu) / sigma > 1.0:
                    return i
    bends = [after - before for before, after in zip(steps, steps[1:])]
    return bends.index(max(bends)) + 1


def by_score(scores):
    """Indexes, best first; sorted() keeps the input order of equals."""
    return sorted(range(len(scores)), key=lambda j: -scores[j])


def kept(scores, cut):
    order = by_score(scores)
    falling = [scores[j] for j in order]
    rule, value = cut
    if rule == "elbow":
        k = elbow(falling)
    elif rule == "top":
        k = min(value, len(scores))
    else:
        k = len([s for s in falling if s >= value])
    return order[:k]


def neighbours(places, j, window):
    """places[j] = (doc, pos) or None; without any place the list is the document."""
    n = len(places)
    if all(place is None for place in places):
        return [i for i in range(n) if i != j and abs(i - j) <= window]
    if places[j] is None:
        return []
    doc, pos = places[j]
    return [i for i in range(n) if i != j and places[i] is not None and places[i][0] == doc
            and 1 <= abs(places[i][1] - pos) <= window]


def select(n, similarity, pooled, cut, window, places, pair=True):
    """-> (order of all passages, via of each, for the expanded ones whose neighbour they are)."""
    via = [set() for _ in range(n)]
    if pair:
        for row in similarity:
            if n:
                via[row.index(max(row))].add("pair")
    if pooled is not None:
        for j in kept(pooled, cut):
            via[j].add("pool")
    score = list(pooled) if pooled is not None else list(similarity[0])
    if pair:
        for row in similarity:
            score = [max(s, r) for s, r in zip(score, row)]
    order = by_score(score)
    neighbour_of = {}
    for j in [j for j in order if via[j]]:
        for i in neighbours(places, j, window):
            if not via[i] and i not in neighbour_of:
                neighbour_of[i] = j
    for i in neighbour_of:
        via[i].add("expand")
    return order, via, neighbour_of


# --- the cases ----------------------------------------------------------------------------------

class Draw:
    """SplitMix64 (Steele, Lea, Flood 2014), seeded by the number of the case."""

    def __init__(self, seed):
        self.state = seed

    def below(self, n):
        self.state = self.state + 0x9E3779B97F4A7C15 & MASK
        z = self.state
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & MASK
        z = (z ^ z >> 27) * 0x94D049BB133111EB & MASK
        return (z ^ z >> 31) % n


def draw_score(draw, shape, j, base):
    """One score in the given shape; numerator over denominator, so that both sides divide alike."""
    if shape == 0:  # anything
        return draw.below(1000000) / 1000000
    if shape == 1:  # many ties
        return draw.below(4) / 4
    if shape == 2:  # flat
        return (base + 1) / 100
    if shape == 3:  # equal steps that are not exact in binary
        return (1000 - j * (base % 17)) / 1000
    if shape == 4:  # equal steps that are
        return (512 - 4 * j) / 512
    if shape == 5:  # a few relevant, the rest not
        return (650 + draw.below(150)) / 1000 if draw.below(10) < base % 6 else (100 + draw.below(250)) / 1000
    if shape == 6:  # steps about the size that counts as none
        return (500000000000 + draw.below(4000)) / 1000000000000
    return (1 << 30 - j % 30) / (1 << 30)  # halving


def elbow_case(number):
    draw = Draw(number)
    n = draw.below(6) if draw.below(4) == 0 else draw.below(60)
    shape, base = draw.below(8), draw.below(100)
    return sorted((draw_score(draw, shape, j, base) for j in range(n)), reverse=True)


def select_case(number):
    draw = Draw(1000000 + number)
    n = draw.below(5) if draw.below(4) == 0 else draw.below(40)
    m = 1 + draw.below(6)
    shape, base = draw.below(8), draw.below(100)
    similarity = [[draw_score(draw, shape, j, base) for j in range(n)] for _ in range(m)]
    shape, base = draw.below(8), draw.below(100)
    pooled = [draw_score(draw, shape, j, base) for j in range(n)]
    method = draw.below(4)  # 0, 1: all steps; 2: pair alone; 3: pool alone
    rule = draw.below(4)  # 0, 1: elbow
    cut = ("top", 1 + draw.below(10)) if rule == 2 else ("score", draw.below(1000) / 1000) if rule == 3 else (
        "elbow", None)
    window = draw.below(4)
    placing = draw.below(3)  # 0: no places; 1: all; 2: some
    places = []
    for _ in range(n):
        doc, pos, missing = draw.below(3), draw.below(12), draw.below(3)
        places.append(None if placing == 0 or placing == 2 and missing == 0 else (doc, pos))
    return {"n": n, "similarity": similarity, "pooled": None if method == 2 else pooled, "cut": cut,
            "window": window, "places": places, "pair": method != 3}


def select_line(case):
    """'3:pair+pool 0:expand<3 1:' ...: index, how it was selected, whose neighbour; best first."""
    order, via, neighbour_of = select(**case)
    words = []
    for j in order:
        ways = "+".join(way for way in ("pair", "pool", "expand") if way in via[j])
        words.append(f"{j}:{ways}" + (f"<{neighbour_of[j]}" if j in neighbour_of else ""))
    return " ".join(words)


def main():
    parser = argparse.ArgumentParser(description="golden files of METEORA's selection")
    parser.add_argument("--elbow", type=int, metavar="N")
    parser.add_argument("--select", type=int, metavar="N")
    args = parser.parse_args()
    if args.elbow is not None:
        scores = elbow_case(args.elbow)
        print(*scores, f"keeps {elbow(scores)}")
    elif args.select is not None:
        case = select_case(args.select)
        print(*(f"{name}: {value}" for name, value in case.items()), select_line(case), sep="\n")
    else:
        lines = [str(elbow(elbow_case(i))) for i in range(N_ELBOW)]
        (HERE / "meteora_elbow.txt").write_text("\n".join(lines) + "\n")
        lines = [hex64(select_line(select_case(i)).encode()) for i in range(N_SELECT)]
        (HERE / "meteora_select.txt").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()

"""Sums of doubles as Python's math.fsum and fractions compute them.

    exact_sums.py OUT.jsonl

A row: `name`, `values` (hexadecimal floats), `sum` (rounded once), `text` (the exact sum
as lib/base/exact_sum.h spells it), `spread` (n times the sum of squares less the square of the sum,
in fractions, rounded once; null where a square leaves the range of exact_sum_add_product).
"""

import math
import random
import sys
from fractions import Fraction

from common import write_jsonl

LEAST = 5e-324
BIG = sys.float_info.max


def spelled(value: Fraction) -> str:
    """Hexadecimal digits without zeros at either end, and the exponent of the last one."""
    if value == 0:
        return "0"
    shifted = abs(value) * 2**1088
    assert shifted.denominator == 1
    digits = f"{shifted.numerator:x}"
    zeros = len(digits) - len(digits.rstrip("0"))
    return f"{'-' if value < 0 else ''}0x{digits.rstrip('0')}p{4 * zeros - 1088}"


def wide(rng: random.Random) -> float:
    return math.ldexp(rng.uniform(-1, 1), rng.randint(-1070, 1010))


def rounded(values) -> float:
    """math.fsum, and in fractions where that overflows on the way."""
    exact = float(sum(Fraction(v) for v in values))
    try:
        assert math.fsum(values) == exact
    except OverflowError:
        pass
    return exact


def row(name, values):
    exact = [Fraction(v) for v in values]
    squares = sum(v * v for v in exact)
    fits = all(v == 0 or 1e-140 < abs(v) < 1e140 for v in values)
    spread = float(len(values) * squares - sum(exact) ** 2) if fits else None
    return {
        "name": name,
        "values": [v.hex() for v in values],
        "sum": rounded(values).hex(),
        "text": spelled(sum(exact)),
        "spread": None if spread is None else spread.hex(),
    }


def cases():
    rng = random.Random(42)
    yield "none", []
    yield "zeros", [0.0, -0.0]
    yield "one", [0.1]
    yield "cancels", [1e308, 1.0, -1e308]
    yield "cancels to nothing", [0.1, 0.2, -0.3, -0.1, 0.3, -0.2]
    yield "cancels to the least", [1.0, LEAST, -1.0]
    yield "subnormals", [LEAST] * 7 + [-LEAST * 3, 2.0**-1030, 1e-310]
    yield "up to a normal number", [2.0**-1023] * 2 + [LEAST]
    yield "ties to even, down", [1.0, 2.0**-53]
    yield "ties to even, up", [1.0 + 2.0**-52, 2.0**-53]
    yield "just above a tie", [1.0, 2.0**-53, LEAST]
    yield "just below a tie", [1.0, 2.0**-53, -LEAST]
    yield "rounds up to a power of two", [2.0, -(2.0**-53), -(2.0**-60)]
    yield "beyond the largest on the way", [BIG, BIG, -BIG, 1.0]
    yield "negative", [-0.1] * 10
    yield "losses", [rng.uniform(0.05, 4) for _ in range(100)]
    yield "losses that are almost equal", [0.4 + 1e-12 * rng.random() for _ in range(100)]
    yield "equal losses", [0.1] * 11
    for n in (2, 3, 10, 50):
        yield f"wide {n}", [wide(rng) for _ in range(n)]
        some = [wide(rng) for _ in range(n)]
        yield f"wide {n} and back", some + [-v for v in some[1:]] + [rng.random()]
        yield f"squares {n}", [math.ldexp(rng.uniform(-1, 1), rng.randint(-400, 400)) for _ in range(n)]


if __name__ == "__main__":
    write_jsonl(sys.argv[1], [row(name, values) for name, values in cases()])

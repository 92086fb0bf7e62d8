"""What ggml's blocks stand for, by the gguf package: one hash a type of all values.

    ggml_blocks.py OUT.jsonl

A row has `type`, `rows`, `cols` and `values`, the hash of the float32 values, row by row, with -0
written as 0. The bytes are block_bytes() below: any bytes are legal, but factors of 16 bits are made
finite. Every fifth block is all zeros or all ones beside its factors, every seventh has d = 0.
"""

import sys

import gguf
import numpy
from common import hex64, write_jsonl

ROWS, COLS = 33, 512

# Where a block has its 16-bit floats.
FACTORS = {
    "F16": [0],
    "BF16": [],
    "Q8_0": [0],
    "Q4_0": [0],
    "Q4_1": [0, 2],
    "Q5_0": [0],
    "Q5_1": [0, 2],
    "IQ4_NL": [0],
    "Q2_K": [80, 82],
    "Q3_K": [108],
    "Q4_K": [0, 2],
    "Q5_K": [0, 2],
    "Q6_K": [208],
}


def block_bytes(n_blocks, size, factors):
    i = numpy.arange(n_blocks * size, dtype=numpy.uint64)
    h = (i * numpy.uint64(2654435761) + numpy.uint64(977)) & numpy.uint64(0xFFFFFFFF)
    h = (h ^ (h >> numpy.uint64(15))) * numpy.uint64(2246822519) & numpy.uint64(0xFFFFFFFF)
    data = (h >> numpy.uint64(24)).astype(numpy.uint8).reshape(n_blocks, size)
    blocks = numpy.arange(n_blocks)
    for at, byte in ((1, 0x00), (2, 0xFF)):
        keep = {f: data[:, f : f + 2].copy() for f in factors}
        if size > 2:
            data[blocks % 5 == at] = byte
        for f in factors:
            data[:, f : f + 2] = keep[f]
    for f in factors:
        data[:, f + 1] &= 0xFB  # the exponent is not that of infinity
    if size > 2:
        data[blocks % 7 == 3, factors[0] : factors[0] + 2] = 0
    else:
        data[:, 1] &= 0xBF if not factors else 0xFB  # nor is BF16's
    return data


def row(name):
    kind = gguf.GGMLQuantizationType[name]
    elements, size = gguf.GGML_QUANT_SIZES[kind]
    data = block_bytes(ROWS * COLS // elements, size, FACTORS[name])
    values = gguf.dequantize(data.reshape(ROWS, -1), kind).astype(numpy.float32).reshape(ROWS, COLS)
    assert numpy.isfinite(values).all()
    values[values == 0] = 0
    return {"type": name, "rows": ROWS, "cols": COLS, "values": hex64(values.tobytes())}


def main():
    write_jsonl(sys.argv[1], [row(name) for name in FACTORS])


if __name__ == "__main__":
    main()

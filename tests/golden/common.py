"""What the golden scripts share: the hash of lib/base/hash.h, and how files are read and written."""

import hashlib
import json
import struct
import sys
from pathlib import Path

MASK = 0xFFFFFFFFFFFFFFFF


def hash64(data: bytes) -> int:
    """FNV-1a 64, then the 64-bit finaliser of MurmurHash3: hash64() of lib/base/hash.h."""
    h = 0xCBF29CE484222325
    for byte in data:
        h = (h ^ byte) * 0x100000001B3 & MASK
    h = (h ^ h >> 33) * 0xFF51AFD7ED558CCD & MASK
    h = (h ^ h >> 33) * 0xC4CEB9FE1A85EC53 & MASK
    return h ^ h >> 33


def hex64(data: bytes) -> str:
    return f"{hash64(data):016x}"


def ids_hash(ids) -> str:
    """One row of token ids as 16 hex digits: the hash of its int32, little-endian."""
    return hex64(struct.pack(f"<{len(ids)}i", *ids))


def tiny_hash(path) -> str:
    """tiny_hash() of tests/golden/tiny.h: a .gguf file, or a folder's config and weights."""
    path = Path(path)
    if (path / "adapter_config.json").exists():
        parts = [path / "adapter_config.json", path / "adapter_model.safetensors"]
        return hex64(b"".join(p.read_bytes() for p in parts))
    if path.is_dir():
        weights = [path / "model.safetensors"]
        if not weights[0].exists():
            weights = [path / "model.safetensors.index.json", *sorted(path.glob("model-0*"))]
        return hex64(b"".join(p.read_bytes() for p in [path / "config.json", *weights]))
    return hex64(path.read_bytes())


def file_sha256(path) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def read_jsonl(path, limit=None):
    with open(path, encoding="utf-8") as lines:
        rows = []
        for line in lines:
            if limit is not None and len(rows) == limit:
                break
            rows.append(json.loads(line))
        return rows


def write_jsonl(path, rows):
    """One compact object a line; what is not ASCII is escaped, so that diffs show it."""
    with open(path, "w", encoding="ascii", newline="\n") as out:
        for row in rows:
            out.write(json.dumps(row, separators=(",", ":")) + "\n")
    print(f"{path}: {len(rows)} rows, {Path(path).stat().st_size} bytes", file=sys.stderr)


def write_lines(path, lines):
    Path(path).write_text("".join(line + "\n" for line in lines), encoding="ascii")

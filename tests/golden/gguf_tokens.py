"""Ids of SmolLM2's vocabulary behind other pre-tokenizers, as tokenizers makes them.

    gguf_tokens.py GGUF TOKENS      SmolLM2's file and tests/golden/tokens

gguf_hard.jsonl   of each text of hard.jsonl a hash of the ids, for each name that a GGUF file may give
"""

import sys
from pathlib import Path

from tokenizers import Regex, pre_tokenizers

from common import ids_hash, read_jsonl, write_jsonl
from reference import smollm_tokenizer

LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def main():
    gguf, tokens = sys.argv[1], Path(sys.argv[2])
    by_name = {"gpt-2": smollm_tokenizer(gguf), "llama-bpe": smollm_tokenizer(gguf)}
    by_name["gpt-2"].pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    by_name["llama-bpe"].model.ignore_merges = True  # as Llama 3's tokenizer.json has it
    by_name["llama-bpe"].pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(LLAMA3), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    rows = [
        {name: ids_hash(t.encode(row["text"]).ids) for name, t in by_name.items()}
        for row in read_jsonl(tokens / "hard.jsonl")
    ]
    write_jsonl(tokens / "gguf_hard.jsonl", rows)


main()

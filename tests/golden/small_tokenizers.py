"""Small tokenizers of every family that tokenizer.json knows, and what the library makes of texts.

    small_tokenizers.py DATA OUT       the folders ../shared/data and tests/golden/tokenizers

Each is trained on the first texts of DATA/rationales/val.jsonl, or has bytes alone, and written as
the library writes it:
NAME.json       the tokenizer
NAME.hash       the hashes of ids, of 16 texts each: all of val.jsonl, then all passages of the dev sets
NAME.hard.hash  the hash of its ids, and that of what they decode to, for each hard text: those of
                tokens/hard.jsonl, then those of texts.json
steps.jsonl     variants: members to put into bytes.json, and texts with their ids
pairs.jsonl     pairs: ids, types, cut or not
configs.jsonl   what transformers makes of a folder with the tokenizer and a tokenizer_config.json
"""

import json
import sys
import tempfile
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers
from tokenizers import pre_tokenizers, processors, trainers

from common import hex64, ids_hash, read_jsonl, write_jsonl, write_lines
from tokens import hard_texts

N_TRAIN = 400
GROUP = 16
DEV_SETS = ("evinf", "liveqa", "medquad", "poison", "pubmedqa")

GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|"
    r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN2 = LLAMA3.replace("{1,3}", "")
GPT4O = "|".join(
    (
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
        r"\p{N}{1,3}",
        r" ?[^\s\p{L}\p{N}]+[\r\n/]*",
        r"\s*[\r\n]+",
        r"\s+(?!\S)",
        r"\s+",
    )
)


def split(pattern, behavior="isolated", invert=False):
    return pre_tokenizers.Split(Regex(pattern), behavior, invert)


def byte_level(prefix=False, use_regex=True):
    return pre_tokenizers.ByteLevel(add_prefix_space=prefix, use_regex=use_regex)


def sequence(*steps):
    return pre_tokenizers.Sequence(list(steps))


def train_bpe(texts, pre_tokenizer, size, special, normalizer=None, alphabet=True):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizer
    if normalizer:
        tokenizer.normalizer = normalizer
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=special,
        show_progress=False,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()) if alphabet else [],
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def edit(tokenizer, change):
    """What the library's constructors have no argument for."""
    tree = json.loads(tokenizer.to_str())
    change(tree)
    return Tokenizer.from_str(json.dumps(tree))


def gpt2(texts):
    return train_bpe(texts, byte_level(), 1200, ["<|endoftext|>"])


def gpt2_prefix(texts):
    """A space before each text; bytes that training did not see are unknown, one for a run."""
    tokenizer = train_bpe(texts, byte_level(prefix=True), 900, ["<unk>", "<s>"], alphabet=False)

    def change(tree):
        tree["model"]["unk_token"] = "<unk>"
        tree["model"]["fuse_unk"] = True
        tree["model"]["continuing_subword_prefix"] = ""
        tree["model"]["end_of_word_suffix"] = ""
        del tree["model"]["type"]

    return edit(tokenizer, change)


def llama3(texts):
    specials = ["<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|eot_id|>"]
    tokenizer = train_bpe(
        texts, sequence(split(LLAMA3), byte_level(use_regex=False)), 1400, specials
    )

    def change(tree):
        tree["model"]["ignore_merges"] = True
        # tokens that merging does not arrive at
        for piece in ("Ġnonexistingword", "Ġpatient,", "hypertension"):
            tree["model"]["vocab"].setdefault(piece, len(tree["model"]["vocab"]))

    tokenizer = edit(tokenizer, change)
    begin = ("<|begin_of_text|>", tokenizer.token_to_id("<|begin_of_text|>"))
    tokenizer.post_processor = processors.Sequence(
        [
            processors.ByteLevel(trim_offsets=False),
            processors.TemplateProcessing(
                single="<|begin_of_text|> $A",
                pair="<|begin_of_text|>:0 $A:0 <|begin_of_text|>:1 $B:1",
                special_tokens=[begin],
            ),
        ]
    )
    return tokenizer


def qwen2(texts):
    tokenizer = train_bpe(
        texts,
        sequence(split(QWEN2), byte_level(use_regex=False)),
        1200,
        [],
        normalizer=normalizers.NFC(),
    )
    tokenizer.add_special_tokens(["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
    tokenizer.add_tokens(
        [
            AddedToken("<think>", normalized=False),
            AddedToken("</think>", normalized=False),
            AddedToken("caf\u00e9", normalized=True),
        ]
    )
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    return tokenizer


def roberta(texts):
    specials = ["<s>", "<pad>", "</s>", "<unk>"]
    tokenizer = train_bpe(texts, byte_level(), 1200, specials)
    tokenizer.add_special_tokens([AddedToken("<mask>", lstrip=True, special=True)])
    tokenizer.post_processor = processors.RobertaProcessing(
        ("</s>", tokenizer.token_to_id("</s>")), ("<s>", tokenizer.token_to_id("<s>"))
    )
    return tokenizer


def smollm(texts):
    """As older files spell merges."""
    return train_bpe(
        texts,
        sequence(pre_tokenizers.Digits(individual_digits=True), byte_level()),
        1200,
        ["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
    )


def gpt4o(texts):
    """A pattern that only a regular expression engine reads."""
    return train_bpe(
        texts, sequence(split(GPT4O), byte_level(use_regex=False)), 1200, ["<|endoftext|>"]
    )


def many_splits(texts):
    """As DeepSeek's: several patterns one after the other."""
    return train_bpe(
        texts,
        sequence(
            split(r"[\r\n]"),
            split(r"\s?[A-Za-z\u00b5\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u01ba]+"),
            split(r"\s?[!-/:-~\uff01-\uff0f\uff1a-\uff5e\u2018-\u201f\u3000-\u3002]+"),
            split(r"\s+$"),
            split("[\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]+"),
            pre_tokenizers.Digits(individual_digits=True),
            byte_level(use_regex=False),
        ),
        1200,
        ["<eos>"],
    )


def flags(texts):
    """Every flag of an added token, in a text that is changed first."""
    tokenizer = train_bpe(
        texts,
        byte_level(),
        1000,
        [],
        normalizer=normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()]),
    )
    tokens = []
    for n in range(16):
        tokens.append(
            AddedToken(
                f"Tok{n:02d}",
                single_word=bool(n & 1),
                lstrip=bool(n & 2),
                rstrip=bool(n & 4),
                normalized=bool(n & 8),
            )
        )
    tokens += [
        AddedToken("Tok0", normalized=False),
        AddedToken("\ufb01n", normalized=True),
        AddedToken("of the", normalized=True, single_word=True),
        AddedToken("  ", normalized=False, rstrip=True),
        # its normal form is itself: the library shows other special ones when it should skip them
        AddedToken("<s>", special=True, normalized=True, lstrip=True, rstrip=True),
    ]
    tokenizer.add_tokens(tokens)
    return tokenizer


def train_wordpiece(texts, normalizer, size):
    specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece(cleanup=False)
    trainer = trainers.WordPieceTrainer(
        vocab_size=size, special_tokens=specials, show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def bert_cased(texts):
    normalizer = normalizers.BertNormalizer(lowercase=False, strip_accents=False)
    tokenizer = train_wordpiece(texts, normalizer, 1200)
    tokenizer.add_tokens([AddedToken("COVID-19", normalized=True), AddedToken("mg/dL")])
    tokenizer.post_processor = processors.BertProcessing(
        ("[SEP]", tokenizer.token_to_id("[SEP]")), ("[CLS]", tokenizer.token_to_id("[CLS]"))
    )
    return tokenizer


def bert_steps(texts):
    """BERT's words behind other normalizers."""
    normalizer = normalizers.Sequence(
        [
            normalizers.NFD(),
            normalizers.StripAccents(),
            normalizers.Lowercase(),
            normalizers.Replace("``", '"'),
            normalizers.Strip(),
        ]
    )
    return train_wordpiece(texts, normalizer, 1000)


FAMILIES = (
    gpt2,
    gpt2_prefix,
    llama3,
    qwen2,
    roberta,
    smollm,
    gpt4o,
    many_splits,
    flags,
    bert_cased,
    bert_steps,
)


def spell(tokenizer, old_merges):
    """The library's own spelling, without indentation; or as it wrote merges before version 0.20."""
    tree = json.loads(tokenizer.to_str())
    if old_merges:
        tree["model"]["merges"] = [" ".join(merge) for merge in tree["model"]["merges"]]
    return json.dumps(tree, ensure_ascii=False, separators=(",", ":"))


def flag_texts():
    for n in range(16):
        t = f"Tok{n:02d}"
        yield from (t, f"a{t}b", f"a {t} b", f"a  {t}  b", f"a\n{t}\n b", f"({t})", t * 3)
        yield from (f"{t} {t}", f" {t}  {t} ", t.lower(), f"a {t.upper()} b", f"_{t}_", f"\u0301{t}x")
        yield from (f"5{t}5", f"{t}\u200d", f"\u24b6{t}", f"\u3000{t}\u00a0x", f"Tok{t}", f"{t}0")
    yield from ("\ufb01n fin FIN", "of the OF THE oof then", "  a    b  ", "<s> <S>", " a <s> <S> b ")
    yield from ("cafe\u0301 caf\u00e9", "a<think>b</think> c", "a  <mask> b<mask>", "COVID-19s mg/dL.")
    yield from ("<s></s>", "<|eot_id|> <|begin_of_text|>", " nonexistingword patient, hypertension")


def all_texts():
    """Those of tokens/hard.jsonl, then those of texts.json."""
    return [*dict.fromkeys(hard_texts()), *flag_texts()]


def grouped(tokenizer, texts):
    rows = tokenizer.encode_batch(texts)
    for first in range(0, len(rows), GROUP):
        yield ids_hash([i for row in rows[first : first + GROUP] for i in row.ids])


def passages(data):
    for name in DEV_SETS:
        for row in read_jsonl(data / "rerank" / f"{name}.dev.jsonl"):
            for passage in row["passages"]:
                yield passage if isinstance(passage, str) else passage["text"]


def bytes_tokenizer():
    """A token a byte. With a space before each piece, the ids show where the text was cut."""
    vocab = {c: i for i, c in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=[]))
    tokenizer.pre_tokenizer = byte_level(prefix=True, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


BEHAVIORS = ("removed", "isolated", "merged_with_previous", "merged_with_next", "contiguous")


def splits():
    cut = byte_level(prefix=True, use_regex=False)
    for behavior in BEHAVIORS:
        for invert in (False, True):
            for pattern in ("a", "aa", "-", Regex(r"\d"), Regex(r"[a-c]+"), Regex(r"b*")):
                yield sequence(pre_tokenizers.Split(pattern, behavior, invert), cut)
    for pattern in (GPT2, LLAMA3, QWEN2):
        yield sequence(split(pattern, "removed", True), cut)
        yield sequence(split(pattern, "merged_with_next"), cut)
    for pattern in (
        r"\w+",
        r"\W",
        r"\s+",
        r"\S",
        r"[^\s\w]",
        r"^.",
        r".$",
        r"(?<=a)b|(?<!a)c",
        r"(?:ab)++",
        r"x\/|\-|\ ",
        r"\x{61}|\t",
        "\u4e2d|\u00e9",
        r"(a|b)\d",
        r"(?>a+)b",
        r"(?i:AB)",
    ):
        yield sequence(split(pattern), cut)
    yield sequence(pre_tokenizers.Digits(individual_digits=False), cut)
    yield sequence(pre_tokenizers.Digits(individual_digits=True), cut)
    yield sequence(pre_tokenizers.Digits(individual_digits=False), byte_level(prefix=True))
    yield sequence(split("a"), sequence(split("b"), cut))
    yield byte_level(prefix=True)


SPLIT_TEXTS = (
    "",
    " ",
    "a",
    "aaa",
    "abc-123--a  bca",
    "a\nb\n\nab1 abab ABab",
    "--12ab34\u4e2d\u4e2d5x",
    "x/ - \tcafe\u0301 \u00e9\u2460\u0663",
    " a\u3000b\u00a0\u0085c\u180e_\u200d\u24b6'S \u017f 're'LL\r\n  \r\n x",
)


def normalizer_variants():
    n = normalizers
    yield from (n.NFC(), n.NFD(), n.NFKC(), n.NFKD(), n.Lowercase(), n.StripAccents())
    yield from (n.Strip(), n.Strip(left=False), n.Strip(right=False), n.Prepend("> "))
    yield from (n.Replace("a", "bb"), n.Replace(" ", "\u2581"), n.Replace(Regex(r"\s+"), "_"))
    yield from (n.Replace("aa", ""), n.BertNormalizer())
    yield from (n.BertNormalizer(lowercase=False), n.BertNormalizer(strip_accents=False))
    yield n.Sequence([n.NFD(), n.Sequence([n.StripAccents(), n.Lowercase()])])
    yield n.Sequence([n.Strip(), n.Prepend("_")])


NORMAL_TEXTS = (
    "",
    " ",
    "aaa a",
    " \u3000A\u030a\u00c5 x ",
    "\u1e9b\u0323\ufb01\u2460\u212b\u0130\u03a3",
    "\uac01\u1100\u1161\u11a8\u1100",
    "e\u0327\u0301\u0300 a\u0315\u0300\u05ae\u0062",
    "\u0344\u0958\ufb1d\U0001d15e\u2126",
    "\u0301\u0301a\n\r\n\u00a0xx\u200b\ufffd",
    "\u4e2dA\u1b44\u302e\u0903",
)


def encoded(tokenizer, texts):
    return {"texts": texts, "ids": [tokenizer.encode(text).ids for text in texts]}


def step_rows():
    for pre_tokenizer in splits():
        base = bytes_tokenizer()
        base.pre_tokenizer = pre_tokenizer
        tree = json.loads(base.to_str())
        yield {"members": {"pre_tokenizer": tree["pre_tokenizer"]}, **encoded(base, SPLIT_TEXTS)}
    for normalizer in normalizer_variants():
        base = bytes_tokenizer()
        base.normalizer = normalizer
        tree = json.loads(base.to_str())
        yield {"members": {"normalizer": tree["normalizer"]}, **encoded(base, NORMAL_TEXTS)}


def pair_rows(made):
    a, b = "Which patients need anticoagulation?", "Those with a high score; bleeding counts. " * 2
    for name in ("llama3", "roberta", "bert_cased"):
        tokenizer = made[name]
        for first, second in ((a, b), (b, a), ("", a), (a, ""), ("", "")):
            for special in (True, False):
                for max_length in (0, 4, 5, 9, 20, 33):
                    for keep in ("head", "tail") if max_length else ("head",):
                        tokenizer.no_truncation()
                        if max_length:
                            tokenizer.enable_truncation(
                                max_length, direction="right" if keep == "head" else "left"
                            )
                        encoding = tokenizer.encode(first, second, add_special_tokens=special)
                        yield {
                            "tokenizer": name,
                            "text": first,
                            "text_pair": second,
                            "special": special,
                            "max_length": max_length,
                            "keep": keep,
                            "ids": encoding.ids,
                            "types": encoding.type_ids,
                        }
        tokenizer.no_truncation()


LLAMA_ENDS = {"bos_token": "<|begin_of_text|>", "eos_token": "<|end_of_text|>"}
ROBERTA_ENDS = {
    "bos_token": "<s>",
    "eos_token": "</s>",
    "cls_token": "<s>",
    "sep_token": "</s>",
    "unk_token": "<unk>",
    "pad_token": "<pad>",
    "mask_token": {"__type": "AddedToken", "content": "<mask>", "lstrip": True, "rstrip": False,
                   "single_word": False, "normalized": False, "special": True},
}
CONFIGS = (
    ("llama3", {"tokenizer_class": "PreTrainedTokenizerFast", **LLAMA_ENDS}),
    ("llama3", {"tokenizer_class": "TokenizersBackend", "add_bos_token": False, **LLAMA_ENDS}),
    ("llama3", {"tokenizer_class": "TokenizersBackend", "add_eos_token": True, **LLAMA_ENDS}),
    (
        "llama3",
        {"tokenizer_class": "TokenizersBackend", "add_bos_token": True, "add_eos_token": True}
        | LLAMA_ENDS,
    ),
    ("smollm", {"tokenizer_class": "TokenizersBackend", "bos_token": "<|im_start|>",
                "eos_token": "<|im_end|>", "add_bos_token": True}),
    ("smollm", {"tokenizer_class": "TokenizersBackend", "bos_token": "he", "eos_token": "ing"}),
    ("roberta", {"tokenizer_class": "TokenizersBackend", "mask_token": "<mask>"}),
    ("qwen2", {"tokenizer_class": "TokenizersBackend", "eos_token": "<think>",
               "pad_token": "caf\u00e9"}),
    ("gpt2", {"tokenizer_class": "GPT2Tokenizer"}),
    ("gpt2", {"tokenizer_class": "GPT2Tokenizer", "add_prefix_space": True}),
    ("roberta", {"tokenizer_class": "RobertaTokenizer", **ROBERTA_ENDS}),
    ("roberta", {"tokenizer_class": "RobertaTokenizerFast", "add_prefix_space": True}
     | ROBERTA_ENDS),
    ("bert_cased", {"tokenizer_class": "BertTokenizer", "do_lower_case": False}),
    ("bert_cased", {"tokenizer_class": "BertTokenizer", "do_lower_case": True}),
    ("bert_cased", {"tokenizer_class": "BertTokenizerFast"}),
    ("bert_cased", {"tokenizer_class": "BertTokenizer", "do_lower_case": False,
                    "strip_accents": True, "tokenize_chinese_chars": False}),
)
CONFIG_TEXTS = (
    "",
    "Which patients need Anticoagulation?",
    " caf\u00e9 \u4e2d\u6587 x",
    "a <mask> b</s> <|eot_id|> [SEP] [MASK] <|endoftext|> c",
    "the thing, breathing: <think>cafe\u0301</think>",
)


def config_rows(out):
    """A class that transformers builds anew has no added tokens that are not special."""
    from transformers import AutoTokenizer

    for name, config in CONFIGS:
        tree = json.loads((out / f"{name}.json").read_text(encoding="utf-8"))
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "tokenizer.json").write_text(json.dumps(tree), encoding="utf-8")
            Path(folder, "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
            tokenizer = AutoTokenizer.from_pretrained(folder)
            yield {
                "tokenizer": name,
                "config": config,
                "texts": CONFIG_TEXTS,
                "ids": [tokenizer(text)["input_ids"] for text in CONFIG_TEXTS],
            }


def main():
    data, out = Path(sys.argv[1]), Path(sys.argv[2])
    out.mkdir(exist_ok=True)
    val = [row["text"] for row in read_jsonl(data / "rationales" / "val.jsonl")]
    texts = val + list(passages(data))
    made = {}
    for family in FAMILIES:
        name = family.__name__
        path = out / f"{name}.json"
        path.write_text(spell(family(val[:N_TRAIN]), name == "smollm") + "\n", encoding="utf-8")
        made[name] = tokenizer = Tokenizer.from_file(str(path))
        write_lines(out / f"{name}.hash", grouped(tokenizer, texts))
        hard = [tokenizer.encode(text).ids for text in all_texts()]
        decoded = [tokenizer.decode(ids, skip_special_tokens=True) for ids in hard]
        write_lines(
            out / f"{name}.hard.hash",
            (ids_hash(ids) + " " + hex64(text.encode()) for ids, text in zip(hard, decoded)),
        )
    (out / "bytes.json").write_text(spell(bytes_tokenizer(), False) + "\n", encoding="utf-8")
    (out / "texts.json").write_text(json.dumps(list(flag_texts())) + "\n", encoding="ascii")
    write_jsonl(out / "steps.jsonl", list(step_rows()))
    write_jsonl(out / "pairs.jsonl", list(pair_rows(made)))
    write_jsonl(out / "configs.jsonl", list(config_rows(out)))


if __name__ == "__main__":
    main()

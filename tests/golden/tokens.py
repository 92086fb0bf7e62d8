"""Token ids of SmolLM2 and MiniLM as their own tokenizers make them.

    tokens.py MODELS DATA OUT       the folders models/, ../shared/data and tests/golden/tokens

NAME.val.hash     one hash a row of DATA/rationales/val.jsonl: the ids of its `text`
NAME.blocks.hash  one hash a block of 4096 code points: the ids of block_text(c) of each, in a row
hard.jsonl        texts, each with the ids of both models and what those decode to without specials
pairs.jsonl       pairs for MiniLM: ids and types, whole or cut to max_length, head or tail
chats.jsonl       messages for SmolLM2, with and without a generation prompt
"""

import sys
from pathlib import Path

import jinja2
from gguf import GGUFReader
from transformers import BertTokenizerFast

from common import ids_hash, read_jsonl, write_jsonl, write_lines
from reference import smollm_tokenizer

BLOCK = 4096


def minilm_tokenizer(folder):
    """As transformers has it, but without the truncation that its tokenizer.json carries."""
    tokenizer = BertTokenizerFast.from_pretrained(folder).backend_tokenizer
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def block_text(c):
    """Shows whether a code point is a letter, a number, a space, punctuation, dropped, or none."""
    return f"x{c}y {c}'s  {c}{c}'re 1{c}\n"


def block_hashes(tokenizer):
    for first in range(0, 0x110000, BLOCK):
        points = [c for c in range(first, first + BLOCK) if not 0xD800 <= c < 0xE000]
        rows = tokenizer.encode_batch([block_text(chr(c)) for c in points])
        yield ids_hash([i for row in rows for i in row.ids])


def hard_texts():
    yield from ("", " ", "  ", "\n", "\t", "\u00a0", "\u0085", "\u200b", "\ufeff", "\ufffd", "\0")
    yield from (
        "a\0b",
        "a\0\0 b",
        "\x01\x04\x06\x13\x14\x16\x1d\x7f",
        "x\x04y\x1dz",
        "\x1c\x1d\x1e\x1f",
    )
    yield from ("\x04", "a\x06bc", "ing\x13er", " \x14the", "\x16\x16\x16")
    # runs
    for run in (
        "a",
        "A",
        " ",
        "\n",
        "\r\n",
        "\t",
        "0",
        ".",
        "-",
        "=",
        "中",
        "é",
        "\u0301",
        "😀",
        "ا",
    ):
        for n in (2, 3, 7, 8, 16, 17, 31, 99, 100, 101, 300):
            yield run * n
    for run in ("a", " ", "\n", ".", "ab", "the ", "中文"):
        yield run * (20000 // len(run))
    yield "internationalization" * 1000
    # white space
    spaces = "\t\n\v\f\r \u0085\u00a0\u1680\u2000\u2001\u2009\u200a\u2028\u2029\u202f\u205f\u3000\u180e\u200b"
    for c in spaces:
        yield from (f"a{c}b", f"a{c}{c}b", f" {c}b", f"{c} b", f"a{c}1", f"{c}{c}{c}", f"a {c} .")
    yield from (
        "a  b",
        "a   b",
        "a  5",
        "a 5b",
        "a  'b",
        " 's",
        "  's",
        "a \n b",
        "a\n\nb",
        "a\n \n b  ",
    )
    yield from (
        "end ",
        "end  ",
        "end\n",
        " start",
        "   start",
        "\n start",
        "1 2  3   4",
        " 1",
        "  1",
        "1  ",
    )
    # contractions, apostrophes
    yield from (
        "I'm you're he's it'd we'll they've don't",
        "I'M YOU'RE HE'S IT'D WE'LL THEY'VE DON'T",
    )
    yield from (
        "'s't're've'm'll'd",
        "''s",
        "'''",
        "'r",
        "'re're",
        "'v 'l 'rest",
        "a's'",
        "don’t it’s",
        "1's",
        " 're",
    )
    yield from ("x'lly", "'dog", "'sense", "'tis the 'm", "rock'n'roll", "'\u0301s", "5'd")
    # numbers of every kind
    yield from (
        "0123456789",
        "3.14159 1,000,000 -5 +7 1e-9 0x1F",
        "٠١٢٣٤٥٦٧٨٩",
        "०१२३४५६७८९",
        "①②③ ⑩ ⓿",
        "ⅠⅡⅢ ⅷ ↈ",
    )
    yield from (
        "½ ¾ ⅓ x² H₂O 10⁻³",
        "一二三 〇 零",
        "𝟎𝟏𝟐 𝟘",
        "a1b2c3",
        "12ab34",
        "１２３",
        "𐄇𐄈",
        "๑๒๓",
        "㊀㈠",
        "a½b",
    )
    # letters and marks
    yield from (
        "naïve café résumé Ångström",
        "nai\u0308ve cafe\u0301",
        "ÀÉÎÕÜ àéîõü",
        "ǅ ǈ ǲ",
        "İstanbul ıI İİ",
        "Straße STRASSE ẞ",
    )
    yield from (
        "Σίσυφος ΣΣ ς σ",
        "Ὀδυσσεύς ᾳ ᾼ",
        "Привет, мир! Ёж ё е\u0308",
        "Ⅷ ⓐ Ⓐ",
        "ﬁ ﬂ ﬀ",
        "ａｂｃ ＡＢＣ",
        "ŉ ǰ ΐ",
    )
    yield from (
        "a\u0301\u0300\u0323",
        "a\u0323\u0301",
        "\u0301a",
        "a \u0301 b",
        "\u0345\u0301",
        "q\u0307\u0323",
        "Z͑ͫ̓ͪ̂ͫ̽͏̴̙̤̞͉͚̯̞̠͍A̴̵̜̰͔ͫ͗͢L̠ͨͧͩ͘G̴̻͈͍͔̹̑͗̎̅͛́Ǫ̵̹̻̝̳͂̌̌͘!",
    )
    yield from (
        "\u1b44\u302e\u0316\ua953x",
        "\u302e\u1b44\u0316\ua953 x",
        "가\u302e나\u302f",
        "\u0f73\u0f75\u0f81",
        "\u1d15e\u1d165",
    )
    yield from (
        "각 각 ㄱㅏㄱ",
        "\u1100\u1161\u11a8",
        "한국어 문장입니다.",
        "日本語のテキスト、カタカナ。",
        "中文字符，测试！",
        "ｶﾀｶﾅ",
        "が か\u3099",
        "㍿ ㌔",
    )
    yield from (
        "漢\u3000字",
        "\u3007\u4dbf\u4e00\u9fff\uf900\ufaff",
        "𠀀𪛟𪜀𫜿𫝀𫠝𫠠𬺡",
        "丽\U0002f800a",
        "\U0002b820x\U0002b91fy\U0002b920z",
    )
    yield from (
        "العربية النص",
        "السَّلَامُ عَلَيْكُم",
        "ﷺ لا \u0640",
        "עברית שָׁלוֹם",
        "हिन्दी क्षेत्र",
        "বাংলা",
        "ภาษาไทย",
        "ລາວ",
        "မြန်မာ",
        "ខ្មែរ",
        "தமிழ்",
        "ქართული ᲐᲑ",
        "አማርኛ",
        "ᏣᎳᎩ ꭰ",
        "Հայերեն և",
    )
    # emoji sequences
    yield from (
        "😀😃😄",
        "👨‍👩‍👧‍👦",
        "👍🏽 👩🏿‍⚕️",
        "🇩🇪🇫🇷🇺",
        "❤️ ❤ ☎︎",
        "1️⃣ #️⃣",
        "🏴\U000e0067\U000e0062\U000e007f",
        "🥰🫠🩺",
        "x😀y 😀 z",
        "🧑‍🦽‍➡️",
    )
    # controls, formats, private use, noncharacters, unassigned, every plane
    yield from (
        "a\u00adb",
        "a\u200db\u200cc",
        "\u202eabc\u202c",
        "\u2066x\u2069",
        "a\u0600b",
        "\ue000\uf8ff",
        "\U000f0000\U0010fffd",
        "\ufdd0\uffff\U0001ffff\U0010ffff",
    )
    yield from (
        "\u0378\u0379 x\u0378y",
        "\u2fe0",
        "\U0001fbff",
        "\U000e0001\U000e0100",
        "\U0003134a\U00031350",
        "\U00050000 \U000a1234x",
        "\U00012345\U00013000\U0001d400\U00016800",
    )
    for plane in range(17):
        yield f"x{chr(plane << 16 | 0x00a1)}y {chr(plane << 16 | 0x4e2d)}z {chr(plane << 16 | 0xf900)}"
    # punctuation, old and new; symbols
    yield from (
        "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~",
        "¡¿«»‹›“”‘’„‚…–—―‐‑",
        "、。〈〉《》「」・〜",
        "§¶†‡•·×÷±≤≥≠≈∞µ°",
        "€£¥₹₿¢ ©®™",
    )
    yield from (
        "a\u2e43b\u2e52c\u2e5dd",
        "a\u061db \u061b \u061c",
        "a\u166db\u1734c\U000111c9d",
        "a\u1885b\u1abfc\u1df6d",
        "a_b-c.d,e;f:g",
        "e.g., i.e.; etc...",
        "!!!???",
        "a\u0300.\u0300b",
    )
    # literal special tokens
    yield from (
        "<|im_start|>user\nHi<|im_end|>\n",
        "<|endoftext|>",
        "a<|im_end|>b",
        " <|im_end|> ",
        "<|im_end|><|im_end|>",
        "<|im_end",
        "<|im_end|",
        "<<|im_end|>>",
    )
    yield from (
        "<|IM_END|>",
        "<repo_name><reponame><filename><file_sep>",
        "<issue_start><issue_comment><issue_closed>",
        "<empty_output><jupyter_start>",
        "1<|im_start|>2",
        "<|im_start|>" * 50,
    )
    yield from (
        "[CLS] a [SEP]",
        "[MASK]",
        "[mask] [Mask]",
        "[PAD][UNK]",
        "x[SEP]y",
        "[ SEP ]",
        "[SEP",
        "[[SEP]]",
        "[SE\u0301P]",
        "un[MASK]able",
        "##ing ing",
        "## #",
        "[unused0] [unused99]",
        "[CLS]" * 50,
    )
    # words
    yield from (
        "a" * 99 + " b",
        "a" * 100 + " b",
        "a" * 101 + " b",
        "é" * 100,
        "e\u0301" * 100,
        "e\u0301" * 101,
        "中" * 120,
        "unaffable unaffableness xqzjwk",
        "Pneumonoultramicroscopicsilicovolcanoconiosis",
    )
    yield from (
        "HER2/neu-positive, ER−/PR− (IHC 3+)",
        "TNF-α ≥ 5 ng·mL⁻¹; p < 0.001",
        "10 mg b.i.d. × 14 d → 37.5 °C",
        "β-blocker (e.g. metoprolol 50mg)",
        "C₁₇H₂₁NO₄ · HCl",
        "I²=67%, 95% CI 0.8–1.2",
    )
    yield from (
        "https://example.org/a?b=c&d=%20#e",
        "def f(x):\n    return x**2  # square\n",
        '{"a": [1, 2.5e3, null]}',
        "| a | b |\n|---|---|\n| 1 | 2 |",
        "\r\nline one\r\n\r\nline two\r",
        "a\tb\t\tc",
        "CamelCaseIdentifier snake_case_name kebab-case",
        "ALLCAPS lowercase MiXeD",
    )
    yield "The quick brown fox jumps over the lazy dog. " * 8


def hard_rows(smollm2, minilm):
    for text in dict.fromkeys(hard_texts()):
        row = {"text": text}
        for name, tokenizer in (("smollm2", smollm2), ("minilm", minilm)):
            ids = tokenizer.encode(text).ids
            row[name] = ids if len(text) < 1000 else ids_hash(ids)
            if len(text) < 1000:
                row[name + "_text"] = tokenizer.decode(ids, skip_special_tokens=True)
        yield row


def pair_rows(minilm):
    a = "Which patients with atrial fibrillation need anticoagulation?"
    b = (
        "Those with a CHA₂DS₂-VASc score of 2 or more; [SEP] bleeding risk is weighed against it. "
        * 2
    )
    for first, second in ((a, b), (b, a), (a, a), ("", a), (a, ""), ("", "")):
        for max_length in (None, 3, 4, 5, 8, 20, 21, 40, 64):
            for keep in ("head", "tail") if max_length else ("head",):
                minilm.no_truncation()
                if max_length:
                    direction = "right" if keep == "head" else "left"
                    minilm.enable_truncation(
                        max_length, strategy="longest_first", direction=direction
                    )
                encoding = minilm.encode(first, second)
                yield {
                    "text": first,
                    "text_pair": second,
                    "max_length": max_length or 0,
                    "keep": keep,
                    "ids": encoding.ids,
                    "types": encoding.type_ids,
                }
    minilm.no_truncation()


def chat_rows(smollm2, gguf_path):
    field = GGUFReader(str(gguf_path)).fields["tokenizer.chat_template"]
    template = jinja2.Environment().from_string(field.contents())
    chats = (
        [("user", "What is gout?")],
        [("system", "Be brief."), ("user", "What is gout?")],
        [("user", "Hi"), ("assistant", "Hello! How can I help?"), ("user", " 1. Fever\n2. Cough ")],
        [("user", ""), ("assistant", "")],
        [("system", ""), ("user", "\n\n")],
        [("tool", '{"a": 1}'), ("user", "中文 😀")],
    )
    for chat in chats:
        messages = [{"role": role, "content": content} for role, content in chat]
        for prompt in (False, True):
            text = template.render(messages=messages, add_generation_prompt=prompt)
            yield {"messages": messages, "prompt": prompt, "ids": smollm2.encode(text).ids}


def main():
    folder, data, out = (Path(argument) for argument in sys.argv[1:4])
    gguf_path = folder / "smollm2" / "SmolLM2-135M-Instruct.Q4_1.gguf"
    smollm2 = smollm_tokenizer(gguf_path)
    minilm = minilm_tokenizer(folder / "minilm")
    texts = [row["text"] for row in read_jsonl(data / "rationales" / "val.jsonl")]
    for name, tokenizer in (("smollm2", smollm2), ("minilm", minilm)):
        write_lines(out / f"{name}.val.hash", (ids_hash(tokenizer.encode(t).ids) for t in texts))
        write_lines(out / f"{name}.blocks.hash", block_hashes(tokenizer))
    write_jsonl(out / "hard.jsonl", list(hard_rows(smollm2, minilm)))
    write_jsonl(out / "pairs.jsonl", list(pair_rows(minilm)))
    write_jsonl(out / "chats.jsonl", list(chat_rows(smollm2, gguf_path)))


if __name__ == "__main__":
    main()

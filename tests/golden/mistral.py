"""Token ids of Mistral-7B-Instruct-v0.3's tokenizer as four references make them.

    mistral.py MODEL DATA OUT       a SentencePiece .model, ../shared/data and tests/golden/tokens

Encoders: "spm", sentencepiece itself; and tokenizers, on the tokenizer.json that stands for the file
(see llama_json), with the space in front "first" (Mistral v0.3), "always", "never", "split" (always,
each word alone) or by normalizers ("legacy": Llama 2).

mistral.ENCODER.hash  a hash a row, for spm and first: val.jsonl, then the passages of each record of
                      the dev sets in a row, then blocks of code points
mistral_hard.jsonl    of each text of hard.jsonl and of some more: hashes of ids and of decoded text
mistral_bytes.jsonl   rows of ids that no text gives, and what they decode to
mistral_chats.jsonl   messages and the ids that mistral-common builds, or null where it refuses
"""

import json
import random
import shutil
import sys
import tempfile
from pathlib import Path

from mistral_common.exceptions import MistralCommonException
from mistral_common.protocol.instruct.messages import AssistantMessage, SystemMessage, UserMessage
from mistral_common.protocol.instruct.request import ChatCompletionRequest
from mistral_common.protocol.instruct.validator import ValidationMode
from mistral_common.tokens.tokenizers.mistral import MistralTokenizer
from sentencepiece import SentencePieceProcessor
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from common import hex64, ids_hash, read_jsonl, write_jsonl

BLOCK = 4096
SETS = ("evinf", "liveqa", "medquad", "poison", "pubmedqa")
SPACE = "\u2581"


def llama_merges(spm):
    """Every way to put a piece together, by score, then the longer left half, the longer right."""
    pieces = [spm.id_to_piece(i) for i in range(spm.get_piece_size())]
    vocab = {piece: i for i, piece in enumerate(pieces)}
    merges = []
    for i, piece in enumerate(pieces):
        for at in range(1, len(piece)):
            left, right = piece[:at], piece[at:]
            if left in vocab and right in vocab:
                merges.append((spm.get_score(i), len(left), len(right), left, right))
    merges.sort(key=lambda merge: merge[:3], reverse=True)
    return vocab, [merge[3:] for merge in merges]


def llama_json(spm, scheme):
    """The file's tokenizer.json as transformers' LlamaConverter makes it, with its merges by score."""
    vocab, merges = llama_merges(spm)
    tokenizer = Tokenizer(
        models.BPE(vocab=vocab, merges=merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True)
    )
    if scheme == "legacy":
        tokenizer.normalizer = normalizers.Sequence(
            [normalizers.Prepend(SPACE), normalizers.Replace(" ", SPACE)]
        )
    else:
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(
            replacement=SPACE,
            prepend_scheme="always" if scheme == "split" else scheme,
            split=scheme == "split",
        )
    if scheme == "split":
        tokenizer.decoder = decoders.Metaspace(replacement=SPACE, prepend_scheme="always")
    else:
        steps = [decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse()]
        if scheme != "never":
            steps.append(decoders.Strip(" ", 1, 0))
        tokenizer.decoder = decoders.Sequence(steps)
    control = [spm.id_to_piece(i) for i in range(len(vocab)) if i == 0 or spm.is_control(i)]
    tokenizer.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in control])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s>:1 $B:1", special_tokens=[("<s>", 1)]
    )
    return tokenizer


class Encoders:
    def __init__(self, spm):
        self.spm = spm
        self.json = {
            s: llama_json(spm, s) for s in ("first", "always", "never", "split", "legacy")
        }

    def names(self):
        return ["spm", *self.json]

    def encode(self, name, text):
        return self.spm.encode(text) if name == "spm" else self.json[name].encode(text).ids

    def decode(self, name, ids):
        return self.spm.decode(ids) if name == "spm" else self.json[name].decode(ids)


def block_text(c):
    """As tokens.py has it."""
    return f"x{c}y {c}'s  {c}{c}'re 1{c}\n"


def hashes(encoders, name, data):
    for row in read_jsonl(data / "rationales" / "val.jsonl"):
        yield ids_hash(encoders.encode(name, row["text"]))
    for which in SETS:
        for row in read_jsonl(data / "rerank" / f"{which}.dev.jsonl"):
            ids = []
            for passage in row["passages"]:
                ids += encoders.encode(name, passage["text"])
            yield ids_hash(ids)
    for first in range(0, 0x110000, BLOCK):
        ids = []
        for c in range(first, first + BLOCK):
            if not 0xD800 <= c < 0xE000:
                ids += encoders.encode(name, block_text(chr(c)))
        yield ids_hash(ids)


def more_texts():
    yield from ("\u2581", "\u2581\u2581", " \u2581 ", "a\u2581b", "\u2581a", "a \u2581", "x\u2581\u2581 y")
    yield from ("<s>", "</s> a", "a<s> b", "<unk>", " <s> a", "[INST] Hi[/INST]", "[INST]x [/INST] y")
    yield from ("<0x0A>", "<0x41><0x42>", "[control_8]", "[control_768] x", "[REFERENCE_DOC_1]")
    yield from (" [INST]  a", "[/INST][/INST]", "[INST]\u2581a", "a  </s>  b", "\u2047", " \u2047 ")
    yield from (" " * n + "x" for n in range(1, 40))
    yield from ("x" + " " * n for n in range(1, 20))
    draw = random.Random(4)
    alphabet = [" ", "  ", " " * 5, "\n", "\t", "a", "the", "\u2581", "-", "=", ".", "中", "é", "😀", "0"]
    for _ in range(400):
        yield "".join(draw.choice(alphabet) for _ in range(draw.randrange(1, 60)))
    for unit in ("-", "=", "*", ".", "ab", "a ", " a", "\n ", "ha", "Ñ", "😀", "\U0001fbff"):
        yield unit * 3000


def hard_rows(encoders, texts):
    for text, row in texts:
        for name in encoders.names():
            ids = encoders.encode(name, text)
            row[name] = ids_hash(ids)
            row[name + "_text"] = hex64(encoders.decode(name, ids).encode())
        yield row


def byte_rows(encoders):
    """Broken characters, bytes beside controls, spaces and unknown tokens at the beginning."""
    byte = 771
    rows = [
        [byte + b for b in "é".encode()],
        [byte + 0xE2, byte + 0x82, byte + 0x41],
        [byte + 0xF0, byte + 0x9F, byte + 0x98],
        [byte + 0xF0, byte + 0x9F, byte + 0x98, 29476],
        [byte + 0xC3, 3, byte + 0xA9],
        [byte + 0xFF, byte + 0x80, byte + 0xC0, byte + 0xAF],
        [byte + 0xED, byte + 0xA0, byte + 0x80, byte + 0x41],
        [*(byte + b for b in "😀".encode()), byte + 0x80],
        [byte + 0x20, 1032],
        [1, byte + 0x20, byte + 0x20, 1032],
        [29473, 1032],
        [1027, 1032],
        [29473, 29473, 29473, 29476],
        [1, 29473, 2, 1032],
        [0, 1032],
        [1032, 0, 0, 1032],
        [1, 3, 16127, 4, 1032, 2],
        [byte + 0x0A, 29473, 1032],
        [29476, 29473],
        [],
    ]
    for ids in rows:
        row = {"ids": ids}
        for name in encoders.names():
            row[name] = encoders.decode(name, ids)
        yield row


def chats():
    user, assistant, system = "user", "assistant", "system"
    texts = ["Hi", " Hi ", "", "Was ist Gicht?\n\n", "[INST] Hi [/INST]</s>", "  ", "中文 😀", "\u2581x", "a" * 40]
    for text in texts:
        yield [(user, text)]
        yield [(system, text), (user, "What is gout?")]
        yield [(user, "What is gout?"), (assistant, text or "-"), (user, text)]
        yield [(user, text), (assistant, " An answer.  ")]
        yield [(user, text), (system, "Be brief.")]
    yield [(user, "a"), (user, "b"), (user, "")]
    yield [(user, ""), (user, ""), (user, "b")]
    yield [(user, "a"), (assistant, "b "), (assistant, "c \n "), (user, "d")]
    yield [(system, "s"), (system, ""), (system, "t"), (user, "a"), (assistant, "b"), (user, "c")]
    yield [(user, "a"), (system, "s"), (user, "b")]
    yield [(user, "a"), (system, "s"), (assistant, "b"), (user, "c")]
    yield [(system, "s")]
    yield [(system, "")]
    yield [(system, "s"), (assistant, "b"), (user, "c")]
    yield [(assistant, "b"), (user, "c")]
    yield [(system, "s"), (assistant, "b")]
    yield [(assistant, "b")]
    yield [(user, "a"), (assistant, "")]
    yield [(user, "a"), (assistant, "   "), (user, "b")]
    yield [(user, "a"), (assistant, "b"), (system, "s"), (user, "c")]
    yield []
    draw = random.Random(5)
    for _ in range(120):
        n = draw.randrange(1, 7)
        yield [(draw.choice([user, user, assistant, assistant, system]), draw.choice(texts)) for _ in range(n)]


def chat_rows(model):
    """v3, which is what the file is for v0.3: its name says so there."""
    classes = {"user": UserMessage, "assistant": AssistantMessage, "system": SystemMessage}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tokenizer.model.v3"
        shutil.copy(model, path)
        by_mode = {
            mode: MistralTokenizer.from_file(path, mode=mode)
            for mode in (ValidationMode.test, ValidationMode.finetuning)
        }
    for chat in chats():
        answered = bool(chat) and chat[-1][0] == "assistant"
        mode = ValidationMode.finetuning if answered else ValidationMode.test
        try:
            request = ChatCompletionRequest(messages=[classes[role](content=text) for role, text in chat])
            ids = by_mode[mode].encode_chat_completion(request).tokens
        except (MistralCommonException, ValueError):
            ids = None
        yield {
            "messages": [{"role": role, "content": text} for role, text in chat],
            "prompt": not answered,
            "ids": ids,
        }


def main():
    model, data, out = (Path(argument) for argument in sys.argv[1:4])
    spm = SentencePieceProcessor(model_file=str(model))
    encoders = Encoders(spm)
    for name in ("spm", "first"):
        path = out / f"mistral.{name}.hash"
        path.write_text("".join(f"{h}\n" for h in hashes(encoders, name, data)), encoding="ascii")
    texts = [(row["text"], {}) for row in read_jsonl(out / "hard.jsonl")]
    texts += [(text, {"text": text}) for text in dict.fromkeys(more_texts())]
    write_jsonl(out / "mistral_hard.jsonl", list(hard_rows(encoders, texts)))
    write_jsonl(out / "mistral_bytes.jsonl", list(byte_rows(encoders)))
    write_jsonl(out / "mistral_chats.jsonl", list(chat_rows(model)))


main()

"""The Python peers of `make bench`: what they do in a second, as one JSON line a peer.

    peers.py embed MINILM_FOLDER TEXTS THREADS    sentence-transformers, ONNX Runtime (fp32)
    peers.py score MODEL.gguf THREADS             transformers (fp32)
    peers.py train MODEL.gguf TEXTS.jsonl THREADS PEFT and transformers (fp32)
    peers.py tokens MODEL.gguf MINILM_FOLDER MISTRAL.model TEXTS
                                                  tokenizers, sentencepiece: one thread

TEXTS has a text a line. Each figure is the best of ROUNDS. A peer that is not installed is skipped
with a word on standard error.
"""

import importlib.metadata
import importlib.util
import json
import os
import sys
import time
from pathlib import Path

ROUNDS = 3
TRAIN_STEPS = 4  # of bench_train.c
BATCH = 32  # sentence-transformers' own default


def installed(*names):
    missing = [name for name in names if importlib.util.find_spec(name) is None]
    if missing:
        print(f"skipped: Python has no {', '.join(missing)} (make peers)", file=sys.stderr)
    return not missing


def best_seconds(run):
    run()
    seconds = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def lines_of(path):
    return Path(path).read_text(encoding="utf-8").splitlines()


def tell(package, compared, **figures):
    version = importlib.metadata.version(package)
    print(json.dumps({**figures, "version": version, "compared": compared}), flush=True)


def embed_sentence_transformers(folder, texts, threads):
    import torch
    from sentence_transformers import SentenceTransformer

    torch.set_num_threads(threads)
    model = SentenceTransformer(folder, device="cpu")
    n_tokens = sum(len(ids) for ids in model.tokenizer(texts, truncation=True, max_length=256)["input_ids"])
    seconds = best_seconds(lambda: model.encode(texts, batch_size=BATCH))
    tell("sentence-transformers", f"{len(texts)} passages to unit vectors, tokenizer included",
         bench="embed", peer="sentence-transformers", threads=threads, tokens_per_s=n_tokens / seconds)
    return model, n_tokens


def export_onnx(bert, tokenizer, path):
    """BertModel with all three inputs, batch and length free, as fp32 ONNX."""
    import torch

    class Hidden(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.bert = bert

        def forward(self, input_ids, attention_mask, token_type_ids):
            return self.bert(
                input_ids=input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids
            ).last_hidden_state

    names = ["input_ids", "attention_mask", "token_type_ids"]
    inputs = tokenizer(["one text", "and another, longer"], padding=True, return_tensors="pt")
    axes = {0: torch.export.Dim("batch"), 1: torch.export.Dim("length")}
    torch.onnx.export(
        Hidden().eval(), tuple(inputs[name] for name in names), path, input_names=names,
        output_names=["hidden"], dynamic_shapes={name: axes for name in names}, dynamo=True,
        external_data=False, verbose=False,
    )


def embed_onnx(model, n_tokens, texts, threads, path):
    """What sentence-transformers does around the model, with ONNX Runtime in its place: batches of
    like length, mean pooling, unit length."""
    import numpy as np
    import onnxruntime

    tokenizer = model.tokenizer
    export_onnx(model[0].auto_model, tokenizer, path)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    names = [i.name for i in session.get_inputs()]
    order = sorted(range(len(texts)), key=lambda i: -len(texts[i]))

    def run():
        vectors = np.zeros((len(texts), 384), np.float32)
        for first in range(0, len(order), BATCH):
            at = order[first : first + BATCH]
            batch = tokenizer([texts[i] for i in at], padding=True, truncation=True, max_length=256,
                              return_tensors="np")
            hidden = session.run(None, {name: batch[name] for name in names})[0]
            mask = batch["attention_mask"][:, :, None].astype(np.float32)
            pooled = (hidden * mask).sum(1) / mask.sum(1)
            vectors[at] = pooled / np.linalg.norm(pooled, axis=1, keepdims=True)
        return vectors

    theirs = model.encode(texts, batch_size=BATCH)
    worst = float((run() * theirs).sum(1).min())
    assert worst > 0.99999, worst  # it computes the same thing
    tell("onnxruntime", f"{len(texts)} passages to unit vectors, tokenizer included", bench="embed",
         peer="onnxruntime fp32", threads=threads, tokens_per_s=n_tokens / best_seconds(run))


def embed(folder, texts_path, threads):
    if not installed("torch", "sentence_transformers"):
        return
    texts = lines_of(texts_path)
    model, n_tokens = embed_sentence_transformers(folder, texts, int(threads))
    if installed("onnx", "onnxscript", "onnxruntime"):
        embed_onnx(model, n_tokens, texts, int(threads), os.path.join(folder_of_peers(), "minilm.onnx"))


def folder_of_peers():
    folder = Path(os.environ.get("MEDRAT_PEERS", "build/peers"))
    folder.mkdir(parents=True, exist_ok=True)
    return str(folder)


def score(gguf, threads):
    if not installed("torch", "transformers", "gguf"):
        return
    import torch
    from transformers import AutoModelForCausalLM

    torch.set_num_threads(int(threads))
    torch.set_grad_enabled(False)
    path = Path(gguf)
    model = AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, dtype=torch.float32).eval()
    ids = torch.tensor([[300 + (i * 7919 + s * 104729) % 3700 for i in range(512)] for s in range(2)])
    seconds = best_seconds(lambda: torch.log_softmax(model(ids).logits, -1).gather(2, ids[:, :, None]))
    tell("transformers", "log-probabilities of 512-token texts; the peer 2 at once, in fp32",
         bench="score", peer="transformers fp32", threads=int(threads), tokens_per_s=ids.numel() / seconds)


def train(gguf, texts_path, threads):
    """The steps that bench_train takes on the same texts: padded, as this peer must have them."""
    if not installed("gguf", "torch", "transformers", "peft"):
        return
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    sys.path.insert(0, str(Path(__file__).parents[1] / "golden"))
    from reference import smollm_tokenizer

    torch.set_grad_enabled(True)
    torch.set_num_threads(int(threads))
    clock = time.perf_counter if int(threads) > 1 else time.process_time
    path = Path(gguf)
    base = AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, dtype=torch.float32)
    config = LoraConfig(r=16, lora_alpha=32, target_modules=["q_proj", "k_proj", "v_proj", "o_proj"],
                        task_type="CAUSAL_LM")
    model = get_peft_model(base, config).train()
    trained = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(trained, lr=1e-4)
    tokenizer = smollm_tokenizer(gguf)
    ids = [tokenizer.encode(json.loads(line)["text"]).ids for line in lines_of(texts_path)[: 8 * TRAIN_STEPS]]
    best = 0.0
    for step in range(TRAIN_STEPS):
        batch = ids[8 * step : 8 * step + 8]
        longest = max(map(len, batch))
        start = clock()
        model(
            input_ids=torch.tensor([row + [0] * (longest - len(row)) for row in batch]),
            attention_mask=torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in batch]),
            labels=torch.tensor([row + [-100] * (longest - len(row)) for row in batch]),
        ).loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimiser.step()
        optimiser.zero_grad()
        if step > 0:  # the first one warms up
            best = max(best, sum(map(len, batch)) / (clock() - start))
    tell("peft", "steps of 8 texts, rank 16 on q, k, v and o, in fp32, AdamW; the peer pads",
         bench="train", peer="PEFT + transformers", threads=int(threads), tokens_per_s=best)


def tokens(gguf, minilm, spm, texts_path):
    """The same lines that bench_tokens reads, one call a line, as it does."""
    texts = lines_of(texts_path)
    n_bytes = sum(len(text.encode()) for text in texts)
    os.environ["TOKENIZERS_PARALLELISM"] = "false"

    def one(name, peer, encode):
        seconds = best_seconds(lambda: [encode(text) for text in texts])
        tell(peer, f"{len(texts)} texts to ids, a call a text", bench="tokens", tokenizer=name, peer=peer,
             threads=1, mb_per_s=n_bytes / seconds * 1e-6)

    if installed("tokenizers"):
        from tokenizers import Tokenizer

        one("minilm", "tokenizers", Tokenizer.from_file(f"{minilm}/tokenizer.json").encode)
        if installed("gguf", "torch", "transformers"):
            sys.path.insert(0, str(Path(__file__).parents[1] / "golden"))
            from reference import smollm_tokenizer

            one("smollm2", "tokenizers", smollm_tokenizer(gguf).encode)
    if installed("sentencepiece"):
        import sentencepiece

        one("mistral-v3-tokenizer", "sentencepiece",
            sentencepiece.SentencePieceProcessor(model_file=spm).encode)


if __name__ == "__main__":
    {"embed": embed, "score": score, "train": train, "tokens": tokens}[sys.argv[1]](*sys.argv[2:])

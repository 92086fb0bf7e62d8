"""What sentence-transformers and transformers make of the small BERTs.

    berts.py DIR VECTORS.jsonl SCORES.jsonl

VECTORS: of each encoder its encode_query and encode_document, of each cross-encoder the logits:
`model`, `hash` of its files, `role` (query, document, pair), `text` (and `text_pair`), `n_tokens`
(specials and prompt included, before the cut), `vector` (times 1000000, rounded).
SCORES: a question and its passages as `medrat-rerank` reads them, with `scores` in the order of the
passages by the encoder's own similarity(), or by CrossEncoder.predict with no activation.
"""

import logging
import sys
from pathlib import Path

import torch
from sentence_transformers import CrossEncoder, SentenceTransformer
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from common import tiny_hash, write_jsonl
from embeddings import TINY_TEXTS

ENCODERS = ("bert-cls-bf16", "bert-max-f16", "bert-unpooled", "bert-plain")
CROSS = ("cross-f32", "cross-3-bf16")

QUESTION = "What is the treatment of hypertension with heart pain?"
PASSAGES = (
    "acute pain in the heart of the patient",
    "The drug treats hypertension: dose 12.5 mg, to 25 mg.",
    "",
    "fever and β-blockers; risk of cardiomyopathy",
    "blood pressure " * 60,
    "what is the risk?",
)

PAIRS = (
    (QUESTION, PASSAGES[0]),
    (QUESTION, PASSAGES[1]),
    (QUESTION, ""),
    ("", PASSAGES[3]),
    ("", ""),
    (QUESTION, PASSAGES[4]),  # the second is cut
    (PASSAGES[4], QUESTION),  # the first is
    (PASSAGES[4], "pain and fever " * 40),  # both are
    ("[SEP] a [CLS]", "血 ☃"),
)


def rounded(vector):
    return [round(x * 1000000) for x in vector.double().tolist()]


def encoder_rows(folder):
    model = SentenceTransformer(str(folder), device="cpu", model_kwargs={"dtype": torch.float32})
    base = {"model": folder.name, "hash": tiny_hash(folder)}
    rows = []
    for role, encode, prompt in (
        ("query", model.encode_query, model.prompts["query"]),
        ("document", model.encode_document, model.prompts["document"]),
    ):
        for text in TINY_TEXTS:  # one by one: nothing is padded
            ids = model.tokenizer(prompt + text, truncation=False)["input_ids"]
            vector = encode(text, convert_to_tensor=True)
            rows.append(
                {**base, "role": role, "text": text, "n_tokens": len(ids), "vector": rounded(vector)}
            )
    query = model.encode_query(QUESTION, convert_to_tensor=True)
    documents = [model.encode_document(p, convert_to_tensor=True) for p in PASSAGES]
    scores = [model.similarity(query, d).item() for d in documents]
    return rows, {**base, "method": "query", "scores": scores}


def cross_rows(folder):
    model = CrossEncoder(str(folder), device="cpu", model_kwargs={"dtype": torch.float32})
    alone = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    prompt = model.prompts.get(model.default_prompt_name, "")
    base = {"model": folder.name, "hash": tiny_hash(folder)}
    none = torch.nn.Identity()
    rows = []
    for a, b in PAIRS:
        pair = ([prompt + a], [b])  # lists: an empty b alone would be no pair
        n = len(tokenizer(*pair, truncation=False)["input_ids"][0])
        logits = model.predict([(a, b)], activation_fn=none, convert_to_tensor=True)[0].reshape(-1)
        most = min(tokenizer.model_max_length, alone.config.max_position_embeddings)
        ids = tokenizer(*pair, truncation="longest_first", max_length=most, return_tensors="pt")
        with torch.no_grad():  # the two references agree
            assert torch.allclose(alone(**ids).logits[0], logits, atol=1e-5)
        rows.append(
            {**base, "role": "pair", "text": a, "text_pair": b, "n_tokens": n, "vector": rounded(logits)}
        )
    if alone.config.num_labels > 1:
        return rows, None
    scores = [model.predict([(QUESTION, p)], activation_fn=none)[0].item() for p in PASSAGES]
    return rows, {**base, "method": "cross", "scores": scores}


def main(folder, vectors_out, scores_out):
    logging.getLogger("transformers").setLevel(logging.ERROR)
    folder = Path(folder)
    rows, scores = [], []
    for name, make in [(n, encoder_rows) for n in ENCODERS] + [(n, cross_rows) for n in CROSS]:
        made, score = make(folder / name)
        rows += made
        if score:
            scores.append(score)
    write_jsonl(vectors_out, rows)
    write_jsonl(
        scores_out,
        [
            {
                "model": s["model"],
                "hash": s["hash"],
                "method": s["method"],
                "query": QUESTION,
                "passages": list(PASSAGES),
                "scores": [round(x, 6) for x in s["scores"]],
            }
            for s in scores
        ],
    )


if __name__ == "__main__":
    main(*sys.argv[1:])

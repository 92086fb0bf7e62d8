"""Sentence embeddings of a sentence-transformers folder.

    embeddings.py NAME FOLDER OUT.jsonl     NAME: minilm or tiny

A row: `text`, `n_tokens` (specials included, before the cut to max_seq_length), `embedding`
(times 1000000, rounded to integers: 2e-11 of cosine). Of the tiny model, whose vocabulary is that of
a toy, only the texts in TINY_TEXTS; its rows carry the `hash` of its files.
"""

import logging
import sys

import torch
from sentence_transformers import SentenceTransformer

from common import tiny_hash, write_jsonl

SHORT = (
    "What are the common signs of an underactive thyroid?",
    "Look for fatigue, weight gain and intolerance of cold.",
    "TSH above 10 mIU/L with low free T4 confirms overt primary hypothyroidism.",
    "The patient was started on levothyroxine 50 micrograms daily.",
    "Metformin is the first-line treatment of type 2 diabetes mellitus.",
    "HbA1c fell from 8.9 % to 7.1 % in 12 weeks (p < 0.001; 95 % CI 1.4-2.2).",
    "Aspirin reduces the risk of a second myocardial infarction.",
    "Aspirin does not reduce the risk of a second myocardial infarction.",
    "Side effects include nausea, vomiting, diarrhoea and abdominal pain.",
    "No randomised trial has compared these two regimens head to head.",
    "Warfarin",
    "INR 2.0–3.0",
    "Chest X-ray: clear. ECG: sinus rhythm, 72/min.",
    "A 54-year-old woman presents with chest pain radiating to the left arm.",
    "Dogs with hypothyroidism often gain weight and lose hair.",
    "The sky is blue because short wavelengths are scattered more.",
    "Pneumonoultramicroscopicsilicovolcanoconiosis is a lung disease.",
    "immunohistochemistry",
    "CD4+ T-cells <200/µL",
    "IL-6, TNF-α and IFN-γ rise in sepsis.",
    "Vitamin B12 (cobalamin) deficiency causes megaloblastic anaemia.",
    "HER2-positive breast cancer responds to trastuzumab.",
    "q.d., b.i.d., t.i.d., p.r.n.",
    "What is the capital of France?",
    "def add(a, b): return a + b",
    "1 2 3 4 5 6 7 8 9 10 11 12",
    "3.14159265358979323846",
    "https://example.org/path?query=1&b=2#fragment",
    "UPPER CASE SENTENCE ABOUT BLOOD PRESSURE",
    "upper case sentence about blood pressure",
)

ODD = (
    "",
    " ",
    "\t\n\r ",
    "  leading and trailing space  ",
    "a",
    ".",
    "!?!?!?...",
    "tabs\tand\nnewlines\r\nbetween words",
    "zero\u200bwidth\u200dand soft\u00adhyphen",
    "nul\u0000inside and bell\u0007",
    "replacement \ufffd character",
    "Café, naïve, Zoë, Ångström, São Paulo, İstanbul, ß, ǅ",
    "Cafe\u0301 decomposed, n\u0303",
    "Größe und Gewicht des Säuglings",
    "高血压的症状是什么?",
    "糖尿病 and 高血圧 mixed with English",
    "Какие симптомы у гипотиреоза?",
    "ما هي أعراض مرض السكري؟",
    "मधुमेह के लक्षण क्या हैं?",
    "당뇨병의 증상은 무엇입니까?",
    "Emoji 😀 heart ❤️ pill 💊 family 👨‍👩‍👧",
    "ﬁne ligatures, ½ dose, ² squared, ①②③, Ⅳ",
    "“Curly quotes” — dashes – and … ellipsis",
    "[CLS] [SEP] [MASK] [PAD] [UNK] in the text",
    "an[SEP]inline[MASK]special",
    "under_score and snake_case_names",
    "x" * 99,
    "x" * 100,
    "x" * 101,
    "\u00a0no-break\u2003em space\u3000ideographic space",
)

SENTENCES = (
    "In this double-blind trial, patients were assigned at random to the drug or to placebo.",
    "The primary outcome was death from any cause within 28 days.",
    "Baseline characteristics were similar in the two groups.",
    "Adverse events were more frequent with the drug, most of them mild.",
    "A subgroup analysis suggested a benefit in patients over 65 years of age.",
)


def long_text(n):
    """n sentences, no two of them alike."""
    return " ".join(f"{i + 1}. {SENTENCES[i * 3 % 5]}" for i in range(n))


# Below, at, just above and far beyond 256 tokens with the specials.
LONG = tuple(long_text(n) for n in (6, 10, 13, 15, 40)) + (
    "dose " * 253 + "x",
    "dose " * 254,
    "dose " * 255,
    "word" * 400,
)

TINY_TEXTS = (
    "the blood pressure of the patient",
    "Hypertension and fever: what is the treatment?",
    "acute pain in the heart",
    "cardiomyopathy (dose 12.5 mg)",
    "血 心 and β-blockers",
    "unknowable ☃ words",
    "",
    "a",
    "drug " * 37 + "risk",
    "drug " * 38 + "risk",
    "fever, pain and pressure; " * 20,
    "patient 1 is with fever and patient 2 is in pain",
)


def main(name, folder, out):
    logging.getLogger("transformers").setLevel(logging.ERROR)
    encoder = SentenceTransformer(folder, device="cpu", model_kwargs={"dtype": torch.float32})
    texts = TINY_TEXTS if name == "tiny" else SHORT + ODD + LONG
    rows = []
    for text in texts:  # one by one: nothing is padded
        ids = encoder.tokenizer(text.strip(), truncation=False)["input_ids"]
        vector = encoder.encode(text, convert_to_numpy=True).astype(float)
        row = {
            "text": text,
            "n_tokens": len(ids),
            "embedding": [round(x * 1000000) for x in vector.tolist()],
        }
        rows.append({"hash": tiny_hash(folder), **row} if name == "tiny" else row)
    write_jsonl(out, rows)


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Greedy answers of SmolLM2-135M-Instruct to chat prompts.

    greedy.py MODEL.gguf OUT.jsonl

A row: `messages`, the prompt's `tokens` (the chat template with a generation prompt, tokenized by
the reference), `completion` (ids, the end token included where it came), `margins` (by how much
the best logit beat the second at each step), `text` (the completion decoded, control tokens
dropped). Another implementation must agree up to the first margin it may get wrong.
"""

import sys

from common import write_jsonl
from reference import greedy, language_model, smollm_tokenizer

N_NEW = 40
STOP_IDS = (0, 2)  # <|endoftext|>, <|im_end|>

SYSTEM = "You are a helpful AI assistant named SmolLM, trained by Hugging Face"

QUESTIONS = (
    "What are the common signs of an underactive thyroid?",
    "How is iron-deficiency anaemia treated in adults?",
    "Which vaccine protects newborns from hepatitis B, and when is it given?",
    "Can metformin cause vitamin B12 deficiency?",
    "Name three risk factors for type 2 diabetes.",
    "What does a blood pressure of 150/95 mmHg mean?",
    "Is it safe to take ibuprofen and warfarin together?",
    "Explain in one sentence what an electrocardiogram shows.",
    "My child has had a fever of 39.2 °C for 2 days. What should I watch for?",
    "Write a short list of foods that are rich in folate.",
    "What is the capital of France?",
    "Which organ makes insulin?",
    "Count from 1 to 12, separated by commas.",
    "Write a Python function that returns the sum of two numbers.",
    "Why is the sky blue?",
)

CONVERSATIONS = (
    [("system", "You answer with a single word."), ("user", "Which gas do plants take in?")],
    [
        ("system", "You are a careful medical librarian. Say which evidence a passage must contain."),
        ("user", "Does low-dose aspirin prevent a first heart attack?"),
    ],
    [
        ("user", "Hi!"),
        ("assistant", "Hello! How can I help you today?"),
        ("user", "What is the difference between a virus and a bacterium?"),
    ],
    [
        ("user", "List two symptoms of asthma."),
        ("assistant", "1. Wheezing\n2. Shortness of breath"),
        ("user", "Add two more, in the same form."),
    ],
    [("user", "Summarise: “β-blockers lower heart rate — and blood pressure — by 10–20 %.”")],
)


def chatml(messages):
    """The template that the model's file carries, by hand: special tokens are part of the text."""
    if messages[0][0] != "system":
        messages = [("system", SYSTEM), *messages]
    turns = [f"<|im_start|>{role}\n{content}<|im_end|>\n" for role, content in messages]
    return "".join(turns) + "<|im_start|>assistant\n"


def main(gguf, out):
    tokenizer = smollm_tokenizer(gguf)
    model = language_model(gguf)
    rows = []
    for messages in [[("user", q)] for q in QUESTIONS] + list(CONVERSATIONS):
        ids = tokenizer.encode(chatml(messages)).ids
        completion, margins = greedy(model, ids, N_NEW, STOP_IDS)
        rows.append(
            {
                "messages": [{"role": r, "content": c} for r, c in messages],
                "tokens": ids,
                "completion": completion,
                "margins": [round(m, 4) for m in margins],
                "text": tokenizer.decode(completion),
            }
        )
    write_jsonl(out, rows)


if __name__ == "__main__":
    main(*sys.argv[1:])

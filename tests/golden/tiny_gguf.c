/* A GGUF v3 file of the llama architecture with a byte-level BPE small enough to read:
 * 3 control tokens, 256 bytes less the five that SmolLM2 also lacks, and some merges. */
#include "tests/golden/tiny.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

enum { TYPE_NORMAL = 1, TYPE_CONTROL = 3 };
enum { ALIGNMENT = 32, N_CONTROL = 3, N_ABSENT = 5 };

static const char *const control_tokens[N_CONTROL] = {"<|endoftext|>", "<|im_start|>",
                                                      "<|im_end|>"};

/* In rank order; each side is a token already. Ġ and Ċ are how a space and a newline are spelt. */
static const char *const merges[] = {
    "Ġ t",  "h e", "Ġ a",   "i n",  "r e", "o n", "Ġt he", "e r",    "Ġ s",  "a t",   "i s",
    "e n",  "o r", "Ġ c",   "in g", "e s", "Ġ o", "Ġo f",  "Ġa n",   "e d",  "Ġan d", "Ġ p",
    "i on", "a l", "t ion", "Ġ in", "a s", "Ġ Ġ", "l e",   "at ion", "Ġt o", "Ċ Ċ",
};
enum { N_MERGES = sizeof(merges) / sizeof(merges[0]) };

/* Bytes that GPT-2's alphabet spells by their own code point. */
static int spelt_by_itself(int byte)
{
    return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

static int is_absent(int byte)
{
    static const int absent[N_ABSENT] = {0x04, 0x06, 0x13, 0xC0, 0xFF};

    for (int i = 0; i < N_ABSENT; i++)
        if (absent[i] == byte)
            return 1;
    return 0;
}

int tiny_gguf_vocab_size(void)
{
    return N_CONTROL + 256 - N_ABSENT + N_MERGES;
}

static void put_byte_tokens(struct buf *out)
{
    int next = 0x100; /* the code point of the next byte that does not spell itself */

    for (int byte = 0; byte < 256; byte++) {
        const int point = spelt_by_itself(byte) ? byte : next++;
        char utf8[2] = {(char)point};

        if (is_absent(byte))
            continue;
        if (point < 0x80) {
            tiny_put_string(out, utf8, 1);
            continue;
        }
        utf8[0] = (char)(0xC0 | point >> 6);
        utf8[1] = (char)(0x80 | (point & 0x3F));
        tiny_put_string(out, utf8, 2);
    }
}

static void put_tokenizer(struct tiny_gguf_values *w)
{
    tiny_put_text(w, "tokenizer.ggml.model", "gpt2");
    tiny_put_text(w, "tokenizer.ggml.pre", "smollm");
    tiny_put_array(w, "tokenizer.ggml.tokens", TINY_VALUE_STRING, tiny_gguf_vocab_size());
    for (int i = 0; i < N_CONTROL; i++)
        tiny_put_string(w->out, control_tokens[i], strlen(control_tokens[i]));
    put_byte_tokens(w->out);
    for (int i = 0; i < N_MERGES; i++) {
        struct buf joined = {0};

        for (const char *p = merges[i]; *p; p++)
            if (*p != ' ')
                buf_append_char(&joined, *p);
        tiny_put_string(w->out, joined.data, joined.len);
        buf_release(&joined);
    }
    tiny_put_array(w, "tokenizer.ggml.token_type", TINY_VALUE_I32, tiny_gguf_vocab_size());
    for (int i = 0; i < tiny_gguf_vocab_size(); i++)
        tiny_put_le(w->out, i < N_CONTROL ? TYPE_CONTROL : TYPE_NORMAL, 4);
    tiny_put_array(w, "tokenizer.ggml.merges", TINY_VALUE_STRING, N_MERGES);
    for (int i = 0; i < N_MERGES; i++)
        tiny_put_string(w->out, merges[i], strlen(merges[i]));
    tiny_put_u32(w, "tokenizer.ggml.bos_token_id", 1);
    tiny_put_u32(w, "tokenizer.ggml.eos_token_id", 2);
    tiny_put_u32(w, "tokenizer.ggml.unknown_token_id", 0);
    tiny_put_u32(w, "tokenizer.ggml.padding_token_id", 2);
    tiny_put_bool(w, "tokenizer.ggml.add_space_prefix", false);
    tiny_put_bool(w, "tokenizer.ggml.add_bos_token", false);
}

static void put_values(struct tiny_gguf_values *w, const struct tiny_model *m,
                       const struct tiny_shape *s)
{
    tiny_put_text(w, "general.architecture", "llama");
    tiny_put_text(w, "general.name", m->name);
    tiny_put_u32(w, "llama.block_count", s->n_layers);
    tiny_put_u32(w, "llama.context_length", s->max_seq_len);
    tiny_put_u32(w, "llama.embedding_length", s->dim);
    tiny_put_u32(w, "llama.feed_forward_length", s->ffn_dim);
    tiny_put_u32(w, "llama.attention.head_count", s->n_heads);
    tiny_put_u32(w, "llama.attention.head_count_kv", s->n_kv_heads);
    tiny_put_u32(w, "llama.attention.key_length", s->head_dim);
    tiny_put_u32(w, "llama.attention.value_length", s->head_dim);
    tiny_put_u32(w, "llama.rope.dimension_count", s->head_dim);
    tiny_put_u32(w, "llama.vocab_size", s->vocab_size);
    tiny_put_f32(w, "llama.rope.freq_base", m->rope_theta > 0 ? m->rope_theta : 100000.0f);
    if (m->linear_factor > 0) {
        tiny_put_text(w, "llama.rope.scaling.type", "linear");
        tiny_put_f32(w, "llama.rope.scaling.factor", m->linear_factor);
    }
    tiny_put_f32(w, "llama.attention.layer_norm_rms_epsilon", 1e-5f);
    if (m->sentencepiece)
        tiny_put_sentencepiece(w, m->sentencepiece, s->vocab_size);
    else
        put_tokenizer(w);
}

static size_t padded(size_t size)
{
    return (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

static void describe(struct buf *infos, const struct tiny_model *model)
{
    size_t at = 0;

    for (int i = 0; i < model->n_tensors; i++) {
        const struct tiny_tensor *t = &model->tensors[i];

        tiny_put_string(infos, t->name, strlen(t->name));
        tiny_put_le(infos, (uint64_t)t->n_dims, 4);
        for (int d = t->n_dims - 1; d >= 0; d--)
            tiny_put_le(infos, (uint64_t)t->shape[d], 8);
        tiny_put_le(infos, tiny_type_gguf(t->type), 4);
        tiny_put_le(infos, at, 8);
        at += padded(tiny_tensor_size(t));
    }
}

static bool put(FILE *file, const void *bytes, size_t size)
{
    static const uint8_t zeros[ALIGNMENT];

    return fwrite(bytes, 1, size, file) == size &&
           fwrite(zeros, 1, padded(size) - size, file) == padded(size) - size;
}

static bool put_tensor(FILE *file, const struct tiny_tensor *tensor)
{
    size_t size;
    uint8_t *bytes = tiny_tensor_bytes(tensor, &size);
    const bool ok = put(file, bytes, size);

    free(bytes);
    return ok;
}

void tiny_write_gguf(const char *path, const struct tiny_model *model,
                     const struct tiny_shape *shape)
{
    struct buf head = {0}, pairs = {0};
    struct tiny_gguf_values values = {&pairs, 0};
    FILE *file = fopen(path, "wb");
    bool ok;

    put_values(&values, model, shape);
    buf_append_string(&head, "GGUF");
    tiny_put_le(&head, (uint64_t)(model->gguf_version ? model->gguf_version : 3), 4);
    tiny_put_le(&head, (uint64_t)model->n_tensors, 8);
    tiny_put_le(&head, values.n, 8);
    buf_append_text(&head, buf_text(&pairs));
    describe(&head, model);
    ok = file && put(file, head.data, head.len);
    for (int i = 0; ok && i < model->n_tensors; i++)
        ok = put_tensor(file, &model->tensors[i]);
    if (!file || fclose(file) || !ok) {
        fprintf(stderr, "tiny models: %s: %s\n", path, strerror(errno));
        exit(70);
    }
    buf_release(&head);
    buf_release(&pairs);
}

/* A GGUF v3 file of the llama architecture with a byte-level BPE small enough to read:
 * 3 control tokens, 256 bytes less the five that SmolLM2 also lacks, and some merges. */
#include "tests/golden/tiny.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

enum { VALUE_U32 = 4, VALUE_I32 = 5, VALUE_F32 = 6, VALUE_BOOL = 7, VALUE_STRING = 8, ARRAY = 9 };
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

static void put_le(struct buf *out, uint64_t value, int n_bytes)
{
    for (int i = 0; i < n_bytes; i++)
        buf_append_char(out, (char)(value >> (8 * i) & 0xFF));
}

static void put_string(struct buf *out, const char *bytes, size_t len)
{
    put_le(out, len, 8);
    buf_append(out, bytes, len);
}

struct writer {
    struct buf out;
    uint64_t n_values;
};

static void put_key(struct writer *w, const char *key, uint32_t type)
{
    put_string(&w->out, key, strlen(key));
    put_le(&w->out, type, 4);
    w->n_values++;
}

static void put_u32(struct writer *w, const char *key, int value)
{
    put_key(w, key, VALUE_U32);
    put_le(&w->out, (uint64_t)value, 4);
}

static void put_f32(struct writer *w, const char *key, float value)
{
    uint32_t bits;

    memcpy(&bits, &value, 4);
    put_key(w, key, VALUE_F32);
    put_le(&w->out, bits, 4);
}

static void put_text(struct writer *w, const char *key, const char *value)
{
    put_key(w, key, VALUE_STRING);
    put_string(&w->out, value, strlen(value));
}

static void put_array(struct writer *w, const char *key, uint32_t type, int n)
{
    put_key(w, key, ARRAY);
    put_le(&w->out, type, 4);
    put_le(&w->out, (uint64_t)n, 8);
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
            put_string(out, utf8, 1);
            continue;
        }
        utf8[0] = (char)(0xC0 | point >> 6);
        utf8[1] = (char)(0x80 | (point & 0x3F));
        put_string(out, utf8, 2);
    }
}

static void put_tokenizer(struct writer *w)
{
    put_text(w, "tokenizer.ggml.model", "gpt2");
    put_text(w, "tokenizer.ggml.pre", "smollm");
    put_array(w, "tokenizer.ggml.tokens", VALUE_STRING, tiny_gguf_vocab_size());
    for (int i = 0; i < N_CONTROL; i++)
        put_string(&w->out, control_tokens[i], strlen(control_tokens[i]));
    put_byte_tokens(&w->out);
    for (int i = 0; i < N_MERGES; i++) {
        struct buf joined = {0};

        for (const char *p = merges[i]; *p; p++)
            if (*p != ' ')
                buf_append_char(&joined, *p);
        put_string(&w->out, joined.data, joined.len);
        buf_release(&joined);
    }
    put_array(w, "tokenizer.ggml.token_type", VALUE_I32, tiny_gguf_vocab_size());
    for (int i = 0; i < tiny_gguf_vocab_size(); i++)
        put_le(&w->out, i < N_CONTROL ? TYPE_CONTROL : TYPE_NORMAL, 4);
    put_array(w, "tokenizer.ggml.merges", VALUE_STRING, N_MERGES);
    for (int i = 0; i < N_MERGES; i++)
        put_string(&w->out, merges[i], strlen(merges[i]));
    put_u32(w, "tokenizer.ggml.bos_token_id", 1);
    put_u32(w, "tokenizer.ggml.eos_token_id", 2);
    put_u32(w, "tokenizer.ggml.unknown_token_id", 0);
    put_u32(w, "tokenizer.ggml.padding_token_id", 2);
    put_key(w, "tokenizer.ggml.add_space_prefix", VALUE_BOOL);
    put_le(&w->out, 0, 1);
    put_key(w, "tokenizer.ggml.add_bos_token", VALUE_BOOL);
    put_le(&w->out, 0, 1);
}

static void put_values(struct writer *w, const char *name, float linear_factor,
                       const struct tiny_shape *s)
{
    put_text(w, "general.architecture", "llama");
    put_text(w, "general.name", name);
    put_u32(w, "llama.block_count", s->n_layers);
    put_u32(w, "llama.context_length", s->max_seq_len);
    put_u32(w, "llama.embedding_length", s->dim);
    put_u32(w, "llama.feed_forward_length", s->ffn_dim);
    put_u32(w, "llama.attention.head_count", s->n_heads);
    put_u32(w, "llama.attention.head_count_kv", s->n_kv_heads);
    put_u32(w, "llama.attention.key_length", s->head_dim);
    put_u32(w, "llama.attention.value_length", s->head_dim);
    put_u32(w, "llama.rope.dimension_count", s->head_dim);
    put_u32(w, "llama.vocab_size", s->vocab_size);
    put_f32(w, "llama.rope.freq_base", 100000.0f);
    if (linear_factor > 0) {
        put_text(w, "llama.rope.scaling.type", "linear");
        put_f32(w, "llama.rope.scaling.factor", linear_factor);
    }
    put_f32(w, "llama.attention.layer_norm_rms_epsilon", 1e-5f);
    put_tokenizer(w);
}

static void pad(struct buf *out)
{
    while (out->len % ALIGNMENT)
        buf_append_char(out, 0);
}

void tiny_write_gguf(const char *path, const struct tiny_model *model,
                     const struct tiny_shape *shape)
{
    struct writer w = {0};
    struct buf head = {0}, infos = {0}, data = {0};

    put_values(&w, model->name, model->linear_factor, shape);
    for (int i = 0; i < model->n_tensors; i++) {
        const struct tiny_tensor *t = &model->tensors[i];
        size_t size;
        uint8_t *bytes = tiny_tensor_bytes(t, &size);

        put_string(&infos, t->name, strlen(t->name));
        put_le(&infos, (uint64_t)t->n_dims, 4);
        for (int d = t->n_dims - 1; d >= 0; d--)
            put_le(&infos, (uint64_t)t->shape[d], 8);
        put_le(&infos, tiny_type_gguf(t->type), 4);
        put_le(&infos, data.len, 8);
        buf_append(&data, bytes, size);
        pad(&data);
        free(bytes);
    }
    buf_append_string(&head, "GGUF");
    put_le(&head, (uint64_t)(model->gguf_version ? model->gguf_version : 3), 4);
    put_le(&head, (uint64_t)model->n_tensors, 8);
    put_le(&head, w.n_values, 8);
    buf_append_text(&head, buf_text(&w.out));
    buf_append_text(&head, buf_text(&infos));
    pad(&head);
    buf_append_text(&head, buf_text(&data));

    FILE *file = fopen(path, "wb");

    if (!file || fwrite(head.data, 1, head.len, file) != head.len || fclose(file)) {
        fprintf(stderr, "tiny models: %s: %s\n", path, strerror(errno));
        exit(70);
    }
    buf_release(&w.out);
    buf_release(&head);
    buf_release(&infos);
    buf_release(&data);
}

/* What a GGUF file says beside its tensors: keys with values, and a tokenizer of SentencePiece. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mapped_file.h"
#include "formats/sentencepiece.h"
#include "tests/golden/tiny.h"

enum { VALUE_ARRAY = 9 };

void tiny_put_le(struct buf *out, uint64_t value, int n_bytes)
{
    for (int i = 0; i < n_bytes; i++)
        buf_append_char(out, (char)(value >> (8 * i) & 0xFF));
}

void tiny_put_string(struct buf *out, const char *bytes, size_t len)
{
    tiny_put_le(out, len, 8);
    buf_append(out, bytes, len);
}

static void put_key(struct tiny_gguf_values *v, const char *key, uint32_t type)
{
    tiny_put_string(v->out, key, strlen(key));
    tiny_put_le(v->out, type, 4);
    v->n++;
}

void tiny_put_u32(struct tiny_gguf_values *v, const char *key, int value)
{
    put_key(v, key, TINY_VALUE_U32);
    tiny_put_le(v->out, (uint64_t)value, 4);
}

static void put_float(struct buf *out, float value)
{
    uint32_t bits;

    memcpy(&bits, &value, 4);
    tiny_put_le(out, bits, 4);
}

void tiny_put_f32(struct tiny_gguf_values *v, const char *key, float value)
{
    put_key(v, key, TINY_VALUE_F32);
    put_float(v->out, value);
}

void tiny_put_bool(struct tiny_gguf_values *v, const char *key, bool value)
{
    put_key(v, key, TINY_VALUE_BOOL);
    tiny_put_le(v->out, value, 1);
}

void tiny_put_text(struct tiny_gguf_values *v, const char *key, const char *value)
{
    put_key(v, key, TINY_VALUE_STRING);
    tiny_put_string(v->out, value, strlen(value));
}

void tiny_put_array(struct tiny_gguf_values *v, const char *key, enum tiny_gguf_type type, int n)
{
    put_key(v, key, VALUE_ARRAY);
    tiny_put_le(v->out, type, 4);
    tiny_put_le(v->out, (uint64_t)n, 8);
}

static void open_pieces(struct mapped_file *file, struct sentencepiece *sp, const char *path,
                        int n_tokens)
{
    struct status status = {0};

    if (!mapped_file_open(file, path, &status) ||
        !sentencepiece_read(sp, file->data, file->size, &status) || sp->n > (size_t)n_tokens) {
        fprintf(stderr, "tiny models: %s: %s\n", path,
                status.code != STATUS_OK ? status.message : "more pieces than tokens");
        exit(70);
    }
}

/* Rows of the embedding that have no piece: as converters name them. */
static void put_padding(struct buf *out, int id)
{
    char name[32];

    snprintf(name, sizeof(name), "[PAD%d]", id);
    tiny_put_string(out, name, strlen(name));
}

void tiny_put_sentencepiece(struct tiny_gguf_values *v, const char *path, int n_tokens)
{
    struct mapped_file file;
    struct sentencepiece sp = {0};
    const int n = n_tokens;

    open_pieces(&file, &sp, path, n);
    tiny_put_text(v, "tokenizer.ggml.model", "llama");
    tiny_put_array(v, "tokenizer.ggml.tokens", TINY_VALUE_STRING, n);
    for (int i = 0; i < n; i++) {
        if ((size_t)i < sp.n)
            tiny_put_string(v->out, sp.pieces[i].text.ptr, sp.pieces[i].text.len);
        else
            put_padding(v->out, i);
    }
    tiny_put_array(v, "tokenizer.ggml.scores", TINY_VALUE_F32, n);
    for (int i = 0; i < n; i++)
        put_float(v->out, (size_t)i < sp.n ? sp.pieces[i].score : 0);
    tiny_put_array(v, "tokenizer.ggml.token_type", TINY_VALUE_I32, n);
    for (int i = 0; i < n; i++)
        tiny_put_le(v->out, (size_t)i < sp.n ? sp.pieces[i].type : SENTENCEPIECE_UNUSED, 4);
    tiny_put_u32(v, "tokenizer.ggml.bos_token_id", sp.begin_id);
    tiny_put_u32(v, "tokenizer.ggml.eos_token_id", sp.end_id);
    tiny_put_u32(v, "tokenizer.ggml.unknown_token_id", sp.unknown_id);
    tiny_put_bool(v, "tokenizer.ggml.add_bos_token", true);
    tiny_put_bool(v, "tokenizer.ggml.add_eos_token", false);
    sentencepiece_release(&sp);
    mapped_file_close(&file);
}

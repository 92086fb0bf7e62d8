/* A GGUF file with nothing but a small byte-level BPE: four added tokens, a token for each byte,
 * and a few merges. */
#ifndef UNIT_SMALL_BPE_H
#define UNIT_SMALL_BPE_H

#include "file_bytes.h"
#include "text/unicode.h"

enum {
    SMALL_END = 0,   /* <|endoftext|>, control */
    SMALL_START = 1, /* <|im_start|>, control */
    SMALL_STOP = 2,  /* <|im_end|>, control */
    SMALL_NOTE = 3,  /* <note>, matched in text, but no control token */
    SMALL_BYTES = 4, /* the token of byte b is SMALL_BYTES + b */
    SMALL_MERGED = 260,
    SMALL_N_MERGES = 11,
    SMALL_N = SMALL_MERGED + SMALL_N_MERGES,
};

static const char *const small_added[SMALL_BYTES] = {"<|endoftext|>", "<|im_start|>", "<|im_end|>",
                                                     "<note>"};
/* U+0120 is a space, U+010A a newline, U+00C3 U+00A9 the two bytes of e acute. */
static const char *const small_merges[SMALL_N_MERGES] = {
    "t h",   "th e", "\u0120 the", "a a",           "aa aa",        "a b",
    "ab aa", "e r",  "i n",        "\u0120 \u0120", "\u00c3 \u00a9"};

/* What a test may change; zeroed is the good file. */
struct small_bpe {
    const char *model, *pre;   /* NULL: gpt2, smollm */
    const char *chat_template; /* NULL: none */
    const char *extra_merge;   /* NULL: none */
    int missing_byte;          /* its token spells something else; 0: none */
    bool add_bos, add_eos;     /* both put SMALL_END there */
    bool no_types, no_merges, one_type_less, add_space_prefix;
    uint32_t note_type;  /* 0: user defined */
    uint32_t end_id;     /* bos_token_id and eos_token_id, plus 1; 0: SMALL_END */
    const char *token_0; /* NULL: <|endoftext|> */
};

static inline void put_byte_token(struct buf *buf, int byte)
{
    char piece[2 * UNICODE_MAX_BYTES] = {0};
    int32_t c = 0x100;

    for (int b = 0; b <= byte; b++) {
        const bool itself = (b >= 0x21 && b <= 0x7E) || (b >= 0xA1 && b <= 0xAC) || b >= 0xAE;

        unicode_encode(itself ? b : c, piece);
        c += !itself;
        if (b < byte)
            memset(piece, 0, sizeof(piece));
    }
    put_string(buf, piece);
}

static inline void put_small_tokens(struct buf *buf, const struct small_bpe *small)
{
    put_key_array(buf, "tokenizer.ggml.tokens", BYTES_STRING, SMALL_N);
    for (int i = 0; i < SMALL_BYTES; i++)
        put_string(buf, i == 0 && small->token_0 ? small->token_0 : small_added[i]);
    for (int byte = 0; byte < 256; byte++) {
        if (byte != 0 && byte == small->missing_byte)
            put_string(buf, "<missing>");
        else
            put_byte_token(buf, byte);
    }
    for (int i = 0; i < SMALL_N_MERGES; i++) {
        const char *space = strchr(small_merges[i], ' ');
        struct buf joined = {0};

        buf_append(&joined, small_merges[i], (size_t)(space - small_merges[i]));
        buf_append_string(&joined, space + 1);
        put_string(buf, joined.data);
        buf_release(&joined);
    }
}

static inline void put_small_types(struct buf *buf, const struct small_bpe *small)
{
    const int n = SMALL_N - small->one_type_less;

    put_key_array(buf, "tokenizer.ggml.token_type", BYTES_I32, (uint64_t)n);
    for (int i = 0; i < n; i++) {
        if (i == SMALL_NOTE)
            put_u32(buf, small->note_type ? small->note_type : 4);
        else
            put_u32(buf, i < SMALL_NOTE ? 3 : 1);
    }
}

static inline void put_small_merges(struct buf *buf, const struct small_bpe *small)
{
    put_key_array(buf, "tokenizer.ggml.merges", BYTES_STRING,
                  SMALL_N_MERGES + (small->extra_merge != NULL));
    for (int i = 0; i < SMALL_N_MERGES; i++)
        put_string(buf, small_merges[i]);
    if (small->extra_merge)
        put_string(buf, small->extra_merge);
}

static inline void put_key_bool(struct buf *buf, const char *key, bool value)
{
    put_key(buf, key, BYTES_BOOL);
    buf_append_char(buf, value);
}

static inline void put_small_bpe(struct buf *buf, const struct small_bpe *small)
{
    const uint32_t end_id = small->end_id ? small->end_id - 1 : SMALL_END;

    put_gguf_start(
        buf, 0, 10 + (uint64_t)(small->chat_template != NULL) - small->no_types - small->no_merges);
    put_key_string(buf, "general.architecture", "llama");
    put_key_string(buf, "tokenizer.ggml.model", small->model ? small->model : "gpt2");
    put_key_string(buf, "tokenizer.ggml.pre", small->pre ? small->pre : "smollm");
    put_small_tokens(buf, small);
    if (!small->no_types)
        put_small_types(buf, small);
    if (!small->no_merges)
        put_small_merges(buf, small);
    put_key_u32(buf, "tokenizer.ggml.bos_token_id", end_id);
    put_key_u32(buf, "tokenizer.ggml.eos_token_id", end_id);
    put_key_bool(buf, "tokenizer.ggml.add_bos_token", small->add_bos);
    put_key_bool(buf,
                 small->add_space_prefix ? "tokenizer.ggml.add_space_prefix"
                                         : "tokenizer.ggml.add_eos_token",
                 small->add_space_prefix || small->add_eos);
    if (small->chat_template)
        put_key_string(buf, "tokenizer.chat_template", small->chat_template);
    put_padding(buf, 32);
}

#endif

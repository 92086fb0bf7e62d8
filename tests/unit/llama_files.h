/* The files that stand for a SentencePiece model in other containers: a tokenizer.json with its
 * merges, and the tokenizer's keys of a GGUF file. tests/golden/mistral.py makes the former too. */
#ifndef UNIT_LLAMA_FILES_H
#define UNIT_LLAMA_FILES_H

#include "base/memory.h"
#include "file_bytes.h"
#include "formats/json_write.h"
#include "formats/sentencepiece.h"
#include "text/unicode.h"
#include "text/vocab.h"

struct llama_merge {
    double score;
    int left_size, right_size; /* characters */
    size_t order;
    struct text left, right;
};

static inline int llama_compare(const void *a, const void *b)
{
    const struct llama_merge *l = a, *r = b;

    if (l->score != r->score)
        return l->score < r->score ? 1 : -1;
    if (l->left_size != r->left_size)
        return r->left_size - l->left_size;
    if (l->right_size != r->right_size)
        return r->right_size - l->right_size;
    return l->order < r->order ? -1 : 1;
}

static inline int llama_size(struct text text)
{
    int n = 0;

    for (size_t i = 0; i < text.len; i++)
        n += ((unsigned char)text.ptr[i] & 0xC0) != 0x80;
    return n;
}

/* All splits of all pieces, by rank; the caller frees them. */
static inline struct llama_merge *llama_merges(const struct sentencepiece *model, size_t *n)
{
    struct text *pieces = memory_zeroed(model->n, sizeof(*pieces));
    struct llama_merge *merges = NULL;
    struct vocab vocab;
    struct status status;

    for (size_t i = 0; i < model->n; i++)
        pieces[i] = model->pieces[i].text;
    if (!vocab_init(&vocab, pieces, model->n, &status))
        abort();
    *n = 0;
    for (size_t i = 0; i < model->n; i++) {
        for (size_t at = 1; at < pieces[i].len; at++) {
            const struct text left = {pieces[i].ptr, at},
                              right = {pieces[i].ptr + at, pieces[i].len - at};

            if (((unsigned char)*right.ptr & 0xC0) == 0x80 || vocab_find(&vocab, left) < 0 ||
                vocab_find(&vocab, right) < 0)
                continue;
            if ((*n & (*n - 1)) == 0)
                merges = memory_resize(merges, *n ? 2 * *n : 1, sizeof(*merges));
            merges[*n] = (struct llama_merge){(double)model->pieces[i].score,
                                              llama_size(left),
                                              llama_size(right),
                                              *n,
                                              left,
                                              right};
            ++*n;
        }
    }
    qsort(merges, *n, sizeof(*merges), llama_compare);
    vocab_release(&vocab);
    free(pieces);
    return merges;
}

static inline bool llama_is_special(const struct sentencepiece_piece *piece)
{
    return piece->type == SENTENCEPIECE_CONTROL || piece->type == SENTENCEPIECE_UNKNOWN;
}

static inline void put_llama_steps(struct buf *buf, const char *scheme)
{
    const bool legacy = strcmp(scheme, "legacy") == 0, split = strcmp(scheme, "split") == 0;

    if (legacy)
        buf_append_string(buf, "\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":"
                               "\"Prepend\",\"prepend\":\"\u2581\"},{\"type\":\"Replace\","
                               "\"pattern\":{\"String\":\" \"},\"content\":\"\u2581\"}]},"
                               "\"pre_tokenizer\":null,");
    else
        buf_printf(buf,
                   "\"normalizer\":null,\"pre_tokenizer\":{\"type\":\"Metaspace\",\"replacement\":"
                   "\"\u2581\",\"prepend_scheme\":\"%s\",\"split\":%s},",
                   split ? "always" : scheme, split ? "true" : "false");
    if (split)
        buf_append_string(buf, "\"decoder\":{\"type\":\"Metaspace\",\"replacement\":\"\u2581\","
                               "\"prepend_scheme\":\"always\",\"split\":true},");
    else
        buf_printf(buf,
                   "\"decoder\":{\"type\":\"Sequence\",\"decoders\":[{\"type\":\"Replace\","
                   "\"pattern\":{\"String\":\"\u2581\"},\"content\":\" \"},{\"type\":"
                   "\"ByteFallback\"},{\"type\":\"Fuse\"}%s]},",
                   strcmp(scheme, "never") == 0
                       ? ""
                       : ",{\"type\":\"Strip\",\"content\":\" \",\"start\":1,\"stop\":0}");
}

/* scheme: first, always, never, split or legacy. */
static inline void put_llama_json(struct buf *buf, const struct sentencepiece *model,
                                  const char *scheme)
{
    size_t n;
    struct llama_merge *merges = llama_merges(model, &n);

    buf_append_string(buf, "{\"version\":\"1.0\",\"truncation\":null,\"padding\":null,");
    put_llama_steps(buf, scheme);
    buf_append_string(buf,
                      "\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":["
                      "{\"SpecialToken\":{\"id\":\"<s>\",\"type_id\":0}},{\"Sequence\":"
                      "{\"id\":\"A\",\"type_id\":0}}],\"pair\":[{\"Sequence\":{\"id\":\"A\",\"type_"
                      "id\":0}},{\"Sequence\":{\"id\":\"B\",\"type_id\":1}}],\"special_tokens\":{"
                      "\"<s>\":{\"id\":\"<s>\",\"ids\":[1],\"tokens\":[\"<s>\"]}}},"
                      "\"added_tokens\":[");
    for (size_t i = 0; i < model->n; i++) {
        if (!llama_is_special(&model->pieces[i]))
            continue;
        json_write_comma(buf);
        buf_printf(buf,
                   "{\"id\":%zu,\"special\":true,\"normalized\":false,\"single_word\":false,"
                   "\"lstrip\":false,\"rstrip\":false,",
                   i);
        json_write_name(buf, "content");
        json_write_string(buf, model->pieces[i].text);
        buf_append_char(buf, '}');
    }
    buf_append_string(buf, "],\"model\":{\"type\":\"BPE\",\"dropout\":null,\"unk_token\":\"<unk>\","
                           "\"continuing_subword_prefix\":null,\"end_of_word_suffix\":null,"
                           "\"fuse_unk\":true,\"byte_fallback\":true,\"ignore_merges\":false,"
                           "\"vocab\":{");
    for (size_t i = 0; i < model->n; i++) {
        json_write_comma(buf);
        json_write_string(buf, model->pieces[i].text);
        buf_printf(buf, ":%zu", i);
    }
    buf_append_string(buf, "},\"merges\":[");
    for (size_t i = 0; i < n; i++) {
        json_write_comma(buf);
        buf_append_char(buf, '[');
        json_write_string(buf, merges[i].left);
        buf_append_char(buf, ',');
        json_write_string(buf, merges[i].right);
        buf_append_char(buf, ']');
    }
    buf_append_string(buf, "]}}");
    free(merges);
}

/* The same in GGUF: tokenizer llama, which has no merges. */
static inline void put_llama_gguf(struct buf *buf, const struct sentencepiece *model)
{
    struct buf piece = {0};

    put_gguf_start(buf, 0, 5);
    put_key_string(buf, "general.architecture", "llama");
    put_key_string(buf, "tokenizer.ggml.model", "llama");
    put_key_array(buf, "tokenizer.ggml.tokens", BYTES_STRING, model->n);
    for (size_t i = 0; i < model->n; i++) {
        buf_reset(&piece);
        buf_append_text(&piece, model->pieces[i].text);
        put_string(buf, piece.data);
    }
    put_key_array(buf, "tokenizer.ggml.scores", BYTES_F32, model->n);
    for (size_t i = 0; i < model->n; i++) {
        uint32_t bits;

        memcpy(&bits, &model->pieces[i].score, sizeof(bits));
        put_u32(buf, bits);
    }
    put_key_array(buf, "tokenizer.ggml.token_type", BYTES_I32, model->n);
    for (size_t i = 0; i < model->n; i++)
        put_u32(buf, (uint32_t)model->pieces[i].type);
    put_padding(buf, 32);
    buf_release(&piece);
}

#endif

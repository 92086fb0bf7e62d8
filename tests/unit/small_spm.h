/* A SentencePiece model file with a small vocabulary: controls, all bytes, a few letters and what
 * they merge to; and what a test may change of it. */
#ifndef UNIT_SMALL_SPM_H
#define UNIT_SMALL_SPM_H

#include "tests/unit/sentencepiece_bytes.h"

/* Zeroed is the good file: no prefix, no collapsing, no byte fallback. */
struct small_spm {
    bool prefix, collapse, plain_spaces;
    bool bytes;        /* byte pieces and byte_fallback */
    const char *extra; /* one more piece, of extra_type and extra_score */
    enum sentencepiece_type extra_type;
    float extra_score;
};

static inline void put_spm_pieces(struct buf *buf, const struct small_spm *small)
{
    static const char *const pieces[] = {"\u2581",
                                         "a",
                                         "b",
                                         "c",
                                         "h",
                                         "t",
                                         "e",
                                         "\u00e9",
                                         "-",
                                         "th",
                                         "the",
                                         "\u2581the",
                                         "ab",
                                         "aa",
                                         "aaa",
                                         "\u2581\u2581",
                                         "\u2581\u2581\u2581",
                                         "--",
                                         "---",
                                         "bc"};

    put_control_pieces(buf);
    if (small->bytes)
        put_byte_pieces(buf);
    for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++)
        put_piece(buf, pieces[i], strstr(pieces[i], "\u2581\u2581") ? -1e9f : -(float)i,
                  SENTENCEPIECE_NORMAL);
    if (small->extra)
        put_piece(buf, small->extra, small->extra_score, small->extra_type);
}

static inline void put_small_spm(struct buf *buf, const struct small_spm *small)
{
    struct buf trainer = {0}, normalizer = {0};

    put_spm_pieces(buf, small);
    put_number_field(&trainer, 3, 2);
    put_number_field(&trainer, 35, small->bytes);
    put_bytes_field(&trainer, 44, text_of(" ? "));
    put_bytes_field(&trainer, 46, text_of("<s>"));
    put_bytes_field(&trainer, 47, text_of("</s>"));
    put_bytes_field(buf, 2, buf_text(&trainer));
    put_bytes_field(&normalizer, 1, text_of("identity"));
    put_number_field(&normalizer, 3, small->prefix);
    put_number_field(&normalizer, 4, small->collapse);
    put_number_field(&normalizer, 5, !small->plain_spaces);
    put_bytes_field(buf, 3, buf_text(&normalizer));
    buf_release(&trainer);
    buf_release(&normalizer);
}

#endif

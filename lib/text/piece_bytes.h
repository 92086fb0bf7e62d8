/* What the pieces of a Metaspace vocabulary stand for: U+2581 is a space, <0x0A> a byte. */
#ifndef TEXT_PIECE_BYTES_H
#define TEXT_PIECE_BYTES_H

#include "text/vocab.h"

/* Zeroed = valid and empty. */
struct piece_bytes {
    struct text *texts; /* ours, [n]; into store */
    bool *is_byte;      /* ours, [n] */
    size_t n;
    struct buf store;
};

/* With bytes == false, <0x0A> is six letters. unknown_id (-1: none) stands for `unknown`. */
void piece_bytes_init(struct piece_bytes *p, const struct vocab *vocab, bool bytes,
                      int32_t unknown_id, struct text unknown);
void piece_bytes_release(struct piece_bytes *p);

#endif

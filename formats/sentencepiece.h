/* Reads a SentencePiece model file (a ModelProto message in protobuf's wire format) of the BPE
 * kind.
 *
 * What the text would have to go through beyond the steps named here is refused by name: another
 * kind of model, a character map (NFKC and the like), white space as a suffix.
 */
#ifndef FORMATS_SENTENCEPIECE_H
#define FORMATS_SENTENCEPIECE_H

#include <stdint.h>

#include "base/status.h"
#include "base/text.h"

#define SENTENCEPIECE_MAX_PIECES ((size_t)4 << 20)

/* The numbers of sentencepiece_model.proto, which GGUF files use as well. */
enum sentencepiece_type {
    SENTENCEPIECE_NORMAL = 1,
    SENTENCEPIECE_UNKNOWN,
    SENTENCEPIECE_CONTROL,
    SENTENCEPIECE_USER_DEFINED,
    SENTENCEPIECE_UNUSED,
    SENTENCEPIECE_BYTE,
};

struct sentencepiece_piece {
    struct text text; /* into the file */
    float score;      /* finite */
    enum sentencepiece_type type;
};

/* Zeroed = valid for sentencepiece_release. */
struct sentencepiece {
    struct sentencepiece_piece *pieces; /* ours, [n] */
    size_t n;
    int32_t unknown_id;
    int32_t begin_id, end_id;    /* the control pieces that stand for BOS and EOS; -1: none */
    struct text unknown_surface; /* what unknown text decodes to; into the file or constant */
    bool add_dummy_prefix;       /* a space before the text */
    bool remove_extra_whitespaces;
    bool escape_whitespaces; /* a space becomes U+2581 */
    bool byte_fallback;      /* then there are 256 pieces of type BYTE */
};

/* Do these first bytes of a file begin a ModelProto whose first field is a piece? */
bool sentencepiece_is(const uint8_t *data, size_t size);

/* Texts point into `data`, which the caller keeps. STATUS_CONFIG if it is damaged or not known. */
bool sentencepiece_read(struct sentencepiece *model, const uint8_t *data, size_t size,
                        struct status *status) MUST_CHECK;
void sentencepiece_release(struct sentencepiece *model);

/* The value of a byte piece "<0x0A>"; -1 if it is none. */
int sentencepiece_byte(struct text piece);

#endif

/* Builds SentencePiece model files (protobuf's wire format) field by field. */
#ifndef UNIT_SENTENCEPIECE_BYTES_H
#define UNIT_SENTENCEPIECE_BYTES_H

#include <string.h>

#include "formats/sentencepiece.h"
#include "tests/unit/file_bytes.h"

enum { PROTO_VARINT = 0, PROTO_FIXED64 = 1, PROTO_BYTES = 2, PROTO_FIXED32 = 5 };

static inline void put_varint(struct buf *buf, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        buf_append_char(buf, (char)(value | 0x80));
    buf_append_char(buf, (char)value);
}

static inline void put_field(struct buf *buf, unsigned number, unsigned wire)
{
    put_varint(buf, number << 3 | wire);
}

static inline void put_number_field(struct buf *buf, unsigned number, uint64_t value)
{
    put_field(buf, number, PROTO_VARINT);
    put_varint(buf, value);
}

static inline void put_bytes_field(struct buf *buf, unsigned number, struct text bytes)
{
    put_field(buf, number, PROTO_BYTES);
    put_varint(buf, bytes.len);
    buf_append_text(buf, bytes);
}

/* ModelProto.pieces */
static inline void put_piece(struct buf *buf, const char *text, float score,
                             enum sentencepiece_type type)
{
    struct buf piece = {0};
    uint32_t bits;

    memcpy(&bits, &score, sizeof(bits));
    put_bytes_field(&piece, 1, text_of(text));
    put_field(&piece, 2, PROTO_FIXED32);
    put_u32(&piece, bits);
    put_number_field(&piece, 3, type);
    put_bytes_field(buf, 1, buf_text(&piece));
    buf_release(&piece);
}

/* ModelProto.trainer_spec: BPE. */
static inline void put_trainer(struct buf *buf, bool byte_fallback)
{
    struct buf trainer = {0};

    put_number_field(&trainer, 3, 2);
    put_number_field(&trainer, 35, byte_fallback);
    put_bytes_field(buf, 2, buf_text(&trainer));
    buf_release(&trainer);
}

/* <unk>, <s>, </s>. */
static inline void put_control_pieces(struct buf *buf)
{
    put_piece(buf, "<unk>", 0, SENTENCEPIECE_UNKNOWN);
    put_piece(buf, "<s>", 0, SENTENCEPIECE_CONTROL);
    put_piece(buf, "</s>", 0, SENTENCEPIECE_CONTROL);
}

static inline void put_byte_pieces(struct buf *buf)
{
    for (int byte = 0; byte < 256; byte++) {
        char text[8];

        snprintf(text, sizeof(text), "<0x%02X>", (unsigned)byte);
        put_piece(buf, text, 0, SENTENCEPIECE_BYTE);
    }
}

#endif

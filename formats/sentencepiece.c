/* Fields that matter, by number (google/sentencepiece, src/sentencepiece_model.proto):
 *
 *   ModelProto      1 pieces { 1 piece, 2 score, 3 type }   2 trainer_spec   3 normalizer_spec
 *                   5 denormalizer_spec
 *   TrainerSpec     3 model_type   24 treat_whitespace_as_suffix   35 byte_fallback
 *                   44 unk_surface   46 bos_piece   47 eos_piece
 *   NormalizerSpec  1 name   2 precompiled_charsmap   3 add_dummy_prefix
 *                   4 remove_extra_whitespaces   5 escape_whitespaces
 *
 * The others say how the model was trained and tested.
 */
#include "formats/sentencepiece.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/utf8.h"

/* Protobuf's wire types. */
enum { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_BYTES = 2, WIRE_FIXED32 = 5 };

enum { MODEL_BPE = 2 };

struct message {
    struct text bytes;
    size_t at; /* <= bytes.len */
};

struct field {
    uint64_t number;
    unsigned wire;
    uint64_t value;    /* of the numbers */
    struct text bytes; /* WIRE_BYTES */
};

/* What is read on the way to a model. */
struct reading {
    struct sentencepiece *model;
    size_t cap;
    uint64_t model_type;
    bool suffix;
    struct text begin_piece, end_piece;
};

static bool read_varint(struct message *m, uint64_t *value, struct status *status)
{
    *value = 0;
    for (unsigned shift = 0; shift < 64 && m->at < m->bytes.len; shift += 7) {
        const uint8_t byte = (uint8_t)m->bytes.ptr[m->at++];

        if (shift == 63 && byte > 1)
            break;
        *value |= (uint64_t)(byte & 0x7F) << shift;
        if (byte < 0x80)
            return true;
    }
    return status_fail(status, STATUS_CONFIG, "a number is cut or too long");
}

static bool take(struct message *m, uint64_t n, struct text *bytes, struct status *status)
{
    const size_t left = m->bytes.len - m->at;

    if (n > left)
        return status_fail(status, STATUS_CONFIG,
                           "needs %llu bytes, but %zu are left: is the file cut short?",
                           (unsigned long long)n, left);
    *bytes = (struct text){m->bytes.ptr + m->at, (size_t)n};
    m->at += (size_t)n;
    return true;
}

/* The next field of a message that has not ended. */
static bool read_field(struct message *m, struct field *f, struct status *status)
{
    uint64_t key, n;
    bool ok;

    *f = (struct field){0};
    if (!read_varint(m, &key, status))
        return false;
    f->number = key >> 3;
    f->wire = key & 7;
    switch (f->wire) {
    case WIRE_VARINT:
        ok = read_varint(m, &f->value, status);
        break;
    case WIRE_BYTES:
        ok = read_varint(m, &n, status) && take(m, n, &f->bytes, status);
        break;
    case WIRE_FIXED32:
    case WIRE_FIXED64:
        ok = take(m, f->wire == WIRE_FIXED32 ? 4 : 8, &f->bytes, status);
        for (size_t i = 0; ok && i < f->bytes.len; i++)
            f->value |= (uint64_t)(uint8_t)f->bytes.ptr[i] << 8 * i;
        break;
    default:
        return status_fail(status, STATUS_CONFIG, "field %llu: wire type %u is not known",
                           (unsigned long long)f->number, f->wire);
    }
    return ok || status_context(status, "field %llu", (unsigned long long)f->number);
}

static bool expect(const struct field *f, unsigned wire, const char *name, struct status *status)
{
    return f->wire == wire ||
           status_fail(status, STATUS_CONFIG, "%s: wire type %u, must be %u", name, f->wire, wire);
}

static bool read_flag(const struct field *f, const char *name, bool *flag, struct status *status)
{
    if (!expect(f, WIRE_VARINT, name, status))
        return false;
    *flag = f->value != 0;
    return true;
}

static bool read_bytes(const struct field *f, const char *name, struct text *bytes,
                       struct status *status)
{
    if (!expect(f, WIRE_BYTES, name, status))
        return false;
    *bytes = f->bytes;
    return true;
}

static bool read_score(const struct field *f, float *score, struct status *status)
{
    const uint32_t bits = (uint32_t)f->value;

    if (!expect(f, WIRE_FIXED32, "score", status))
        return false;
    memcpy(score, &bits, sizeof(bits));
    return isfinite(*score) || status_fail(status, STATUS_CONFIG, "score: not a finite number");
}

static bool read_type(const struct field *f, enum sentencepiece_type *type, struct status *status)
{
    if (!expect(f, WIRE_VARINT, "type", status))
        return false;
    if (f->value < SENTENCEPIECE_NORMAL || f->value > SENTENCEPIECE_BYTE)
        return status_fail(status, STATUS_CONFIG, "type: %llu is not known",
                           (unsigned long long)f->value);
    *type = (enum sentencepiece_type)f->value;
    return true;
}

static bool read_piece(struct text bytes, struct sentencepiece_piece *piece, struct status *status)
{
    struct message m = {bytes, 0};
    struct field f;

    *piece = (struct sentencepiece_piece){.type = SENTENCEPIECE_NORMAL};
    while (m.at < m.bytes.len) {
        bool ok = read_field(&m, &f, status);

        if (ok && f.number == 1)
            ok = read_bytes(&f, "piece", &piece->text, status);
        else if (ok && f.number == 2)
            ok = read_score(&f, &piece->score, status);
        else if (ok && f.number == 3)
            ok = read_type(&f, &piece->type, status);
        if (!ok)
            return false;
    }
    return true;
}

static bool add_piece(struct reading *r, const struct field *f, struct status *status)
{
    struct sentencepiece *model = r->model;

    if (!expect(f, WIRE_BYTES, "pieces", status))
        return false;
    if (model->n == SENTENCEPIECE_MAX_PIECES)
        return status_fail(status, STATUS_CONFIG, "more than %zu pieces", model->n);
    if (model->n == r->cap) {
        r->cap = r->cap ? 2 * r->cap : 1024;
        model->pieces = memory_resize(model->pieces, r->cap, sizeof(*model->pieces));
    }
    if (!read_piece(f->bytes, &model->pieces[model->n], status))
        return status_context(status, "piece %zu", model->n);
    model->n++;
    return true;
}

static bool read_trainer(struct reading *r, struct text bytes, struct status *status)
{
    struct message m = {bytes, 0};
    struct field f;
    bool ok = true;

    while (ok && m.at < m.bytes.len) {
        ok = read_field(&m, &f, status);
        switch (ok ? f.number : 0) {
        case 3:
            ok = expect(&f, WIRE_VARINT, "model_type", status);
            r->model_type = f.value;
            break;
        case 24:
            ok = read_flag(&f, "treat_whitespace_as_suffix", &r->suffix, status);
            break;
        case 35:
            ok = read_flag(&f, "byte_fallback", &r->model->byte_fallback, status);
            break;
        case 44:
            ok = read_bytes(&f, "unk_surface", &r->model->unknown_surface, status);
            break;
        case 46:
            ok = read_bytes(&f, "bos_piece", &r->begin_piece, status);
            break;
        case 47:
            ok = read_bytes(&f, "eos_piece", &r->end_piece, status);
            break;
        default:
            break;
        }
    }
    return ok || status_context(status, "trainer_spec");
}

static bool read_normalizer(struct sentencepiece *model, struct text bytes, struct status *status)
{
    struct message m = {bytes, 0};
    struct text name = {"", 0}, map = {"", 0};
    struct field f;
    bool ok = true;

    while (ok && m.at < m.bytes.len) {
        ok = read_field(&m, &f, status);
        if (ok && f.number == 1)
            ok = read_bytes(&f, "name", &name, status);
        else if (ok && f.number == 2)
            ok = read_bytes(&f, "precompiled_charsmap", &map, status);
        else if (ok && f.number == 3)
            ok = read_flag(&f, "add_dummy_prefix", &model->add_dummy_prefix, status);
        else if (ok && f.number == 4)
            ok =
                read_flag(&f, "remove_extra_whitespaces", &model->remove_extra_whitespaces, status);
        else if (ok && f.number == 5)
            ok = read_flag(&f, "escape_whitespaces", &model->escape_whitespaces, status);
    }
    if (ok && map.len > 0)
        ok = status_fail(status, STATUS_CONFIG,
                         "normalizer '%.*s' is not known: it has a precompiled_charsmap",
                         (int)(name.len < 40 ? name.len : 40), name.ptr);
    return ok || status_context(status, "normalizer_spec");
}

/* It may only say what normalizer_spec says by default: nothing. */
static bool check_denormalizer(struct text bytes, struct status *status)
{
    struct sentencepiece ignored = {0};

    return read_normalizer(&ignored, bytes, status) || status_context(status, "denormalizer_spec");
}

static bool read_model(struct reading *r, struct text bytes, struct status *status)
{
    struct message m = {bytes, 0};
    struct field f;
    bool ok = true;

    while (ok && m.at < m.bytes.len) {
        ok = read_field(&m, &f, status);
        if (ok && f.number == 1)
            ok = add_piece(r, &f, status);
        else if (ok && f.number == 2)
            ok = expect(&f, WIRE_BYTES, "trainer_spec", status) && read_trainer(r, f.bytes, status);
        else if (ok && f.number == 3)
            ok = expect(&f, WIRE_BYTES, "normalizer_spec", status) &&
                 read_normalizer(r->model, f.bytes, status);
        else if (ok && f.number == 5)
            ok = expect(&f, WIRE_BYTES, "denormalizer_spec", status) &&
                 check_denormalizer(f.bytes, status);
    }
    return ok;
}

static bool check_options(const struct reading *r, struct status *status)
{
    static const char *const kinds[] = {"0", "unigram", "bpe", "word", "char"};
    const uint64_t type = r->model_type;

    if (type >= sizeof(kinds) / sizeof(kinds[0]))
        return status_fail(status, STATUS_CONFIG, "trainer_spec: model_type %llu is not known",
                           (unsigned long long)type);
    if (type != MODEL_BPE)
        return status_fail(status, STATUS_CONFIG,
                           "trainer_spec: model_type '%s' is not known; bpe is", kinds[type]);
    if (r->suffix)
        return status_fail(status, STATUS_CONFIG,
                           "trainer_spec: treat_whitespace_as_suffix is not known");
    if (utf8_first_bad(r->model->unknown_surface) < r->model->unknown_surface.len)
        return status_fail(status, STATUS_CONFIG, "trainer_spec: unk_surface: not UTF-8");
    return true;
}

int sentencepiece_byte(struct text piece)
{
    static const char digits[] = "0123456789ABCDEF";
    const char *high, *low;

    if (piece.len != 6 || memcmp(piece.ptr, "<0x", 3) != 0 || piece.ptr[5] != '>')
        return -1;
    high = memchr(digits, piece.ptr[3], 16);
    low = memchr(digits, piece.ptr[4], 16);
    return high && low ? (int)(16 * (high - digits) + (low - digits)) : -1;
}

/* All 256 of them, or none. */
static bool check_bytes(const struct sentencepiece *model, struct status *status)
{
    bool seen[256] = {false};
    size_t n = 0;

    for (size_t i = 0; i < model->n; i++) {
        const int byte = sentencepiece_byte(model->pieces[i].text);

        if (model->pieces[i].type != SENTENCEPIECE_BYTE)
            continue;
        if (!model->byte_fallback)
            return status_fail(status, STATUS_CONFIG,
                               "piece %zu is a byte, but there is no byte_fallback", i);
        if (byte < 0 || seen[byte])
            return status_fail(status, STATUS_CONFIG, "piece %zu is not a byte of its own", i);
        seen[byte] = true;
        n++;
    }
    return !model->byte_fallback || n == 256 ||
           status_fail(status, STATUS_CONFIG, "byte_fallback with %zu byte pieces, not 256", n);
}

static bool find_special(const struct reading *r, struct status *status)
{
    struct sentencepiece *model = r->model;

    model->unknown_id = model->begin_id = model->end_id = -1;
    for (size_t i = 0; i < model->n; i++) {
        const struct sentencepiece_piece *piece = &model->pieces[i];

        if (piece->type == SENTENCEPIECE_UNKNOWN) {
            if (model->unknown_id >= 0)
                return status_fail(status, STATUS_CONFIG, "pieces %d and %zu are both unknown",
                                   (int)model->unknown_id, i);
            model->unknown_id = (int32_t)i;
        } else if (piece->type == SENTENCEPIECE_CONTROL) {
            if (text_equals(piece->text, r->begin_piece))
                model->begin_id = (int32_t)i;
            else if (text_equals(piece->text, r->end_piece))
                model->end_id = (int32_t)i;
        }
    }
    return model->unknown_id >= 0 ||
           status_fail(status, STATUS_CONFIG, "no piece stands for unknown text");
}

bool sentencepiece_is(const uint8_t *data, size_t size)
{
    /* Field 1, a short length, and in it the piece's own field 1. */
    return size > 3 && data[0] == 0x0A && data[1] < 0x80 && data[2] == 0x0A;
}

bool sentencepiece_read(struct sentencepiece *model, const uint8_t *data, size_t size,
                        struct status *status)
{
    struct reading r = {.model = model,
                        .model_type = 1,
                        .begin_piece = text_of("<s>"),
                        .end_piece = text_of("</s>")};

    *model = (struct sentencepiece){.unknown_surface = text_of(" \xE2\x81\x87 "),
                                    .add_dummy_prefix = true,
                                    .remove_extra_whitespaces = true,
                                    .escape_whitespaces = true};
    if (read_model(&r, (struct text){(const char *)data, size}, status) &&
        check_options(&r, status) && check_bytes(model, status) && find_special(&r, status))
        return true;
    sentencepiece_release(model);
    return false;
}

void sentencepiece_release(struct sentencepiece *model)
{
    free(model->pieces);
    *model = (struct sentencepiece){0};
}

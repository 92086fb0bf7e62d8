/* SentencePiece model files: what is read, and for every way to lie, the message that it gets. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "sentencepiece_bytes.h"

static void reads_pieces_and_options(void **state)
{
    struct buf bytes = {0}, part = {0};
    struct sentencepiece model;
    struct status status = {0};

    (void)state;
    put_control_pieces(&bytes);
    put_byte_pieces(&bytes);
    put_piece(&bytes, "\xE2\x96\x81the", -1.5f, SENTENCEPIECE_NORMAL);
    put_piece(&bytes, "<note>", 0, SENTENCEPIECE_USER_DEFINED);
    put_number_field(&part, 1, 77); /* what does not matter is passed over, whatever its type */
    put_number_field(&part, 3, 2);
    put_field(&part, 10, PROTO_FIXED32);
    put_u32(&part, 0x3F7FDF3B);
    put_field(&part, 90, PROTO_FIXED64);
    put_u64(&part, 5);
    put_number_field(&part, 35, 1);
    put_bytes_field(&part, 44, text_of(" ? "));
    put_bytes_field(&part, 47, text_of("<s>"));
    put_bytes_field(&bytes, 2, buf_text(&part));
    buf_reset(&part);
    put_bytes_field(&part, 1, text_of("identity"));
    put_bytes_field(&part, 2, text_of(""));
    put_number_field(&part, 3, 1);
    put_number_field(&part, 4, 0);
    put_number_field(&part, 5, 1);
    put_bytes_field(&bytes, 3, buf_text(&part));
    put_bytes_field(&bytes, 5, text_of(""));
    assert_true(sentencepiece_is((const uint8_t *)bytes.data, bytes.len));
    assert_true(sentencepiece_read(&model, (const uint8_t *)bytes.data, bytes.len, &status));
    assert_int_equal(model.n, 261);
    assert_true(text_is(model.pieces[259].text, "\xE2\x96\x81the"));
    assert_true(model.pieces[259].score >= -1.5f && model.pieces[259].score <= -1.5f);
    assert_int_equal(model.pieces[260].type, SENTENCEPIECE_USER_DEFINED);
    assert_int_equal(model.unknown_id, 0);
    assert_int_equal(model.begin_id, 1);
    assert_int_equal(model.end_id, -1); /* that is called <s> here, which begins a text */
    assert_true(text_is(model.unknown_surface, " ? "));
    assert_true(model.add_dummy_prefix && model.escape_whitespaces && model.byte_fallback);
    assert_false(model.remove_extra_whitespaces);
    sentencepiece_release(&model);
    buf_release(&bytes);
    buf_release(&part);
}

static void knows_the_bytes_by_their_spelling(void **state)
{
    static const char *const none[] = {"<0x0a>", "<0x0A", "0x0A", "<0xG0>", "<0x0A>>", ""};

    (void)state;
    assert_int_equal(sentencepiece_byte(text_of("<0x0A>")), 10);
    assert_int_equal(sentencepiece_byte(text_of("<0xFF>")), 255);
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
        assert_int_equal(sentencepiece_byte(text_of(none[i])), -1);
}

/* ---- files with one thing wrong ---------------------------------------------------------- */

static void nothing(struct buf *b)
{
    (void)b;
}

static void key_cut(struct buf *b)
{
    put_control_pieces(b);
    buf_append_char(b, (char)0x80);
}

static void number_too_long(struct buf *b)
{
    buf_append(b, "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x7F", 10);
}

static void length_beyond_the_end(struct buf *b)
{
    put_field(b, 1, PROTO_BYTES);
    put_varint(b, 9);
    buf_append(b, "12345678", 8);
}

static void length_of_2_to_the_64(struct buf *b)
{
    put_field(b, 1, PROTO_BYTES);
    put_varint(b, UINT64_MAX);
}

static void group(struct buf *b)
{
    put_field(b, 4, 3);
}

static void float_cut(struct buf *b)
{
    put_field(b, 9, PROTO_FIXED32);
    buf_append(b, "123", 3);
}

static void double_cut(struct buf *b)
{
    put_field(b, 9, PROTO_FIXED64);
    buf_append(b, "1234567", 7);
}

static void pieces_a_number(struct buf *b)
{
    put_number_field(b, 1, 5);
}

static void trainer_a_number(struct buf *b)
{
    put_number_field(b, 2, 5);
}

static void normalizer_a_number(struct buf *b)
{
    put_number_field(b, 3, 5);
}

static void denormalizer_a_number(struct buf *b)
{
    put_number_field(b, 5, 5);
}

/* The second piece is these fields. */
static void piece_of(struct buf *b, void (*fill)(struct buf *piece))
{
    struct buf piece = {0};

    put_piece(b, "<unk>", 0, SENTENCEPIECE_UNKNOWN);
    fill(&piece);
    put_bytes_field(b, 1, buf_text(&piece));
    buf_release(&piece);
}

static void fill_text(struct buf *b)
{
    put_number_field(b, 1, 5);
}

static void piece_text_a_number(struct buf *b)
{
    piece_of(b, fill_text);
}

static void fill_score(struct buf *b)
{
    put_number_field(b, 2, 5);
}

static void score_an_integer(struct buf *b)
{
    piece_of(b, fill_score);
}

static void fill_type(struct buf *b)
{
    put_bytes_field(b, 3, text_of("normal"));
}

static void type_a_string(struct buf *b)
{
    piece_of(b, fill_type);
}

static void fill_cut(struct buf *b)
{
    put_field(b, 1, PROTO_BYTES);
    put_varint(b, 4);
    buf_append(b, "the", 3);
}

static void piece_cut(struct buf *b)
{
    piece_of(b, fill_cut);
}

static void score_infinite(struct buf *b)
{
    put_piece(b, "a", -INFINITY, SENTENCEPIECE_NORMAL);
}

static void score_nan(struct buf *b)
{
    put_piece(b, "a", NAN, SENTENCEPIECE_NORMAL);
}

static void type_0(struct buf *b)
{
    put_piece(b, "a", 0, (enum sentencepiece_type)0);
}

static void type_7(struct buf *b)
{
    put_piece(b, "a", 0, (enum sentencepiece_type)7);
}

/* A good model, but for one number in its trainer_spec. */
static void trainer_of(struct buf *b, unsigned field, uint64_t value)
{
    struct buf trainer = {0};

    put_control_pieces(b);
    put_number_field(&trainer, 3, 2);
    put_number_field(&trainer, field, value);
    put_bytes_field(b, 2, buf_text(&trainer));
    buf_release(&trainer);
}

static void no_trainer(struct buf *b)
{
    put_control_pieces(b);
}

static void model_type_0(struct buf *b)
{
    trainer_of(b, 3, 0);
}

static void model_type_unigram(struct buf *b)
{
    trainer_of(b, 3, 1);
}

static void model_type_char(struct buf *b)
{
    trainer_of(b, 3, 4);
}

static void model_type_9(struct buf *b)
{
    trainer_of(b, 3, 9);
}

static void suffix(struct buf *b)
{
    trainer_of(b, 24, 1);
}

static void surface_a_number(struct buf *b)
{
    trainer_of(b, 44, 1);
}

static void surface_not_utf8(struct buf *b)
{
    struct buf trainer = {0};

    put_control_pieces(b);
    put_number_field(&trainer, 3, 2);
    put_bytes_field(&trainer, 44, text_of(" \xE2\x81 "));
    put_bytes_field(b, 2, buf_text(&trainer));
    buf_release(&trainer);
}

static void begin_a_number(struct buf *b)
{
    trainer_of(b, 46, 1);
}

static void end_a_number(struct buf *b)
{
    trainer_of(b, 47, 1);
}

static void trainer_string(struct buf *b, unsigned field)
{
    struct buf trainer = {0};

    put_control_pieces(b);
    put_bytes_field(&trainer, field, text_of("bpe"));
    put_bytes_field(b, 2, buf_text(&trainer));
    buf_release(&trainer);
}

static void model_type_a_string(struct buf *b)
{
    trainer_string(b, 3);
}

static void suffix_a_string(struct buf *b)
{
    trainer_string(b, 24);
}

static void fallback_a_string(struct buf *b)
{
    trainer_string(b, 35);
}

/* A good model with this normalizer_spec (field 3) or denormalizer_spec (5). */
static void normalizer_of(struct buf *b, unsigned field, const struct buf *spec)
{
    put_control_pieces(b);
    put_trainer(b, false);
    put_bytes_field(b, field, buf_text(spec));
}

static void character_map(struct buf *b)
{
    struct buf spec = {0};

    put_bytes_field(&spec, 1, text_of("nmt_nfkc"));
    put_bytes_field(&spec, 2, text_of("map"));
    normalizer_of(b, 3, &spec);
    buf_release(&spec);
}

static void character_map_back(struct buf *b)
{
    struct buf spec = {0};

    put_bytes_field(&spec, 2, text_of("map"));
    normalizer_of(b, 5, &spec);
    buf_release(&spec);
}

static void normalizer_name_a_number(struct buf *b)
{
    struct buf spec = {0};

    put_number_field(&spec, 1, 7);
    normalizer_of(b, 3, &spec);
    buf_release(&spec);
}

static void prefix_a_string(struct buf *b)
{
    struct buf spec = {0};

    put_bytes_field(&spec, 3, text_of("yes"));
    normalizer_of(b, 3, &spec);
    buf_release(&spec);
}

static void byte_without_fallback(struct buf *b)
{
    put_control_pieces(b);
    put_piece(b, "<0x41>", 0, SENTENCEPIECE_BYTE);
    put_trainer(b, false);
}

static void byte_of_no_value(struct buf *b)
{
    put_control_pieces(b);
    put_piece(b, "<0x4g>", 0, SENTENCEPIECE_BYTE);
    put_trainer(b, true);
}

static void byte_twice(struct buf *b)
{
    put_control_pieces(b);
    put_byte_pieces(b);
    put_piece(b, "<0x41>", 0, SENTENCEPIECE_BYTE);
    put_trainer(b, true);
}

static void bytes_missing(struct buf *b)
{
    put_control_pieces(b);
    put_piece(b, "<0x41>", 0, SENTENCEPIECE_BYTE);
    put_trainer(b, true);
}

static void unknown_twice(struct buf *b)
{
    put_control_pieces(b);
    put_piece(b, "<?>", 0, SENTENCEPIECE_UNKNOWN);
    put_trainer(b, false);
}

static void unknown_missing(struct buf *b)
{
    put_piece(b, "a", 0, SENTENCEPIECE_NORMAL);
    put_trainer(b, false);
}

static const struct {
    void (*write)(struct buf *bytes);
    const char *message;
} bad[] = {
    {nothing, "trainer_spec: model_type 'unigram' is not known; bpe is"},
    {key_cut, "a number is cut or too long"},
    {number_too_long, "a number is cut or too long"},
    {length_beyond_the_end, "field 1: needs 9 bytes, but 8 are left: is the file cut short?"},
    {length_of_2_to_the_64,
     "field 1: needs 18446744073709551615 bytes, but 0 are left: is the file cut short?"},
    {group, "field 4: wire type 3 is not known"},
    {float_cut, "field 9: needs 4 bytes, but 3 are left: is the file cut short?"},
    {double_cut, "field 9: needs 8 bytes, but 7 are left: is the file cut short?"},
    {pieces_a_number, "pieces: wire type 0, must be 2"},
    {trainer_a_number, "trainer_spec: wire type 0, must be 2"},
    {normalizer_a_number, "normalizer_spec: wire type 0, must be 2"},
    {denormalizer_a_number, "denormalizer_spec: wire type 0, must be 2"},
    {piece_text_a_number, "piece 1: piece: wire type 0, must be 2"},
    {score_an_integer, "piece 1: score: wire type 0, must be 5"},
    {type_a_string, "piece 1: type: wire type 2, must be 0"},
    {piece_cut, "piece 1: field 1: needs 4 bytes, but 3 are left: is the file cut short?"},
    {score_infinite, "piece 0: score: not a finite number"},
    {score_nan, "piece 0: score: not a finite number"},
    {type_0, "piece 0: type: 0 is not known"},
    {type_7, "piece 0: type: 7 is not known"},
    {no_trainer, "trainer_spec: model_type 'unigram' is not known; bpe is"},
    {model_type_0, "trainer_spec: model_type '0' is not known; bpe is"},
    {model_type_unigram, "trainer_spec: model_type 'unigram' is not known; bpe is"},
    {model_type_char, "trainer_spec: model_type 'char' is not known; bpe is"},
    {model_type_9, "trainer_spec: model_type 9 is not known"},
    {suffix, "trainer_spec: treat_whitespace_as_suffix is not known"},
    {surface_a_number, "trainer_spec: unk_surface: wire type 0, must be 2"},
    {surface_not_utf8, "trainer_spec: unk_surface: not UTF-8"},
    {begin_a_number, "trainer_spec: bos_piece: wire type 0, must be 2"},
    {end_a_number, "trainer_spec: eos_piece: wire type 0, must be 2"},
    {model_type_a_string, "trainer_spec: model_type: wire type 2, must be 0"},
    {suffix_a_string, "trainer_spec: treat_whitespace_as_suffix: wire type 2, must be 0"},
    {fallback_a_string, "trainer_spec: byte_fallback: wire type 2, must be 0"},
    {character_map,
     "normalizer_spec: normalizer 'nmt_nfkc' is not known: it has a precompiled_charsmap"},
    {character_map_back, "denormalizer_spec: normalizer_spec: normalizer '' is not known: it has a "
                         "precompiled_charsmap"},
    {normalizer_name_a_number, "normalizer_spec: name: wire type 0, must be 2"},
    {prefix_a_string, "normalizer_spec: add_dummy_prefix: wire type 2, must be 0"},
    {byte_without_fallback, "piece 3 is a byte, but there is no byte_fallback"},
    {byte_of_no_value, "piece 3 is not a byte of its own"},
    {byte_twice, "piece 259 is not a byte of its own"},
    {bytes_missing, "byte_fallback with 1 byte pieces, not 256"},
    {unknown_twice, "pieces 0 and 3 are both unknown"},
    {unknown_missing, "no piece stands for unknown text"},
};

static void refuses_each_lie_with_its_own_message(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct buf bytes = {0};
        struct sentencepiece model;
        struct status status = {0};
        uint8_t *copy;

        bad[i].write(&bytes);
        copy = exact_copy(bytes.data, bytes.len);
        assert_false(sentencepiece_read(&model, copy, bytes.len, &status));
        assert_string_equal(status.message, bad[i].message);
        assert_int_equal(status.code, STATUS_CONFIG);
        assert_null(model.pieces); /* nothing is left open */
        free(copy);
        buf_release(&bytes);
    }
}

static void cut_anywhere_it_is_refused_or_whole(void **state)
{
    struct buf bytes = {0};

    (void)state;
    put_trainer(&bytes, false);
    put_control_pieces(&bytes);
    put_piece(&bytes, "a", -1, SENTENCEPIECE_NORMAL);
    for (size_t n = 0; n < bytes.len; n++) {
        uint8_t *copy = exact_copy(bytes.data, n);
        struct sentencepiece model;
        struct status status;

        if (sentencepiece_read(&model, copy, n, &status)) {
            assert_true(model.n < 4); /* between two pieces: protobuf cannot tell */
            sentencepiece_release(&model);
        }
        free(copy);
    }
    buf_release(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_pieces_and_options),
        cmocka_unit_test(knows_the_bytes_by_their_spelling),
        cmocka_unit_test(refuses_each_lie_with_its_own_message),
        cmocka_unit_test(cut_anywhere_it_is_refused_or_whole),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The tokenizer `llama` of GGUF files on a small vocabulary: ids, bytes that are no text, and what
 * is refused. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "encode_text.h"
#include "file_bytes.h"
#include "text/detokenizer.h"
#include "text/tokenizer.h"

enum { UNKNOWN, BEGIN, END, BYTES, SPACE = BYTES + 256, A, B, AB, SPACE_AB, N_TOKENS };

/* What a test may change; zeroed is the good file. */
struct small_llama {
    size_t n_scores, n_types; /* 0: as many as tokens */
    float score_of_a;         /* 0: as it is */
    uint32_t unknown_id;
    bool merges;
};

static void put_pieces(struct buf *buf)
{
    static const char *const ends[] = {"<unk>", "<s>", "</s>"};
    static const char *const pieces[] = {"\xE2\x96\x81", "a", "b", "ab",
                                         "\xE2\x96\x81"
                                         "ab"};

    put_key_array(buf, "tokenizer.ggml.tokens", BYTES_STRING, N_TOKENS);
    for (size_t i = 0; i < BYTES; i++)
        put_string(buf, ends[i]);
    for (unsigned byte = 0; byte < 256; byte++) {
        char piece[8];

        snprintf(piece, sizeof(piece), "<0x%02X>", byte);
        put_string(buf, piece);
    }
    for (size_t i = 0; i < N_TOKENS - SPACE; i++)
        put_string(buf, pieces[i]);
}

static void put_file(struct buf *buf, const struct small_llama *small)
{
    const size_t n_scores = small->n_scores ? small->n_scores : N_TOKENS;
    const size_t n_types = small->n_types ? small->n_types : N_TOKENS;

    put_gguf_start(buf, 0, 5 + (uint64_t)small->merges);
    put_key_string(buf, "tokenizer.ggml.model", "llama");
    put_pieces(buf);
    put_key_array(buf, "tokenizer.ggml.scores", BYTES_F32, n_scores);
    for (size_t i = 0; i < n_scores; i++) {
        const float score = i == A && isnan(small->score_of_a) ? small->score_of_a : -(float)i;
        uint32_t bits;

        memcpy(&bits, &score, sizeof(bits));
        put_u32(buf, bits);
    }
    put_key_array(buf, "tokenizer.ggml.token_type", BYTES_I32, n_types);
    for (size_t i = 0; i < n_types; i++)
        put_u32(buf, i == UNKNOWN ? 2 : i < BYTES ? 3 : i < SPACE ? 6 : 1);
    put_key_u32(buf, "tokenizer.ggml.unknown_token_id", small->unknown_id);
    if (small->merges) {
        put_key_array(buf, "tokenizer.ggml.merges", BYTES_STRING, 1);
        put_string(buf, "a b");
    }
}

static struct tokenizer *open_small(struct small_llama small, struct status *status)
{
    struct tokenizer *tokenizer;
    struct gguf gguf;
    struct buf buf = {0};

    put_file(&buf, &small);
    assert_true(gguf_read(&gguf, (const uint8_t *)buf.data, buf.len, status));
    tokenizer = tokenizer_open_gguf(&gguf, "small", status);
    gguf_close(&gguf);
    buf_release(&buf);
    return tokenizer;
}

static void texts_become_pieces_and_bytes_and_come_back(void **state)
{
    static const int32_t wanted[] = {BEGIN,       SPACE_AB,     SPACE,       B,
                                     BYTES + 'c', BYTES + 0xC3, BYTES + 0xA9};
    struct status status;
    struct tokenizer *tokenizer = open_small((struct small_llama){0}, &status);
    struct detokenizer d;
    struct tokens tokens = {0};
    struct buf text = {0};

    (void)state;
    assert_non_null(tokenizer);
    encode_text(tokenizer, text_of("ab bc\xC3\xA9"), TOKENIZER_SPECIAL, &tokens);
    assert_int_equal(tokens.n, sizeof(wanted) / sizeof(wanted[0]));
    assert_memory_equal(tokens.ids, wanted, sizeof(wanted));
    detokenizer_init(&d, tokenizer, false);
    for (size_t i = 0; i < tokens.n; i++)
        detokenizer_push(&d, tokens.ids[i], &text);
    detokenizer_flush(&d, &text);
    assert_string_equal(text.data, "ab bc\xC3\xA9");
    buf_reset(&text);
    detokenizer_go_on(&d); /* behind another text its first space stays */
    detokenizer_push(&d, SPACE_AB, &text);
    detokenizer_flush(&d, &text);
    assert_string_equal(text.data, " ab");
    tokens_release(&tokens);
    buf_release(&text);
    tokenizer_close(tokenizer);
}

/* U+FFFD for each byte of a run that is not UTF-8, however long the run. */
static void a_run_of_bytes_that_is_no_text_is_replaced_whole(void **state)
{
    struct status status;
    struct tokenizer *tokenizer = open_small((struct small_llama){0}, &status);

    (void)state;
    assert_non_null(tokenizer);
    for (size_t n = 1; n < 200; n += 7) {
        struct detokenizer d;
        struct buf text = {0};

        detokenizer_init(&d, tokenizer, false);
        for (size_t i = 0; i < n; i++)
            detokenizer_push(&d, BYTES + 0x80, &text);
        detokenizer_push(&d, A, &text);
        detokenizer_flush(&d, &text);
        assert_int_equal(text.len, 3 * n + 1);
        for (size_t i = 0; i < n; i++)
            assert_memory_equal(text.data + 3 * i, "\xEF\xBF\xBD", 3);
        buf_release(&text);
    }
    tokenizer_close(tokenizer);
}

static void refuses_each_lie_with_its_own_message(void **state)
{
    static const struct {
        struct small_llama small;
        const char *message;
    } bad[] = {
        {{.n_scores = 5}, "key 'tokenizer.ggml.scores': 5 scores for 264 tokens"},
        {{.score_of_a = NAN}, "key 'tokenizer.ggml.scores': that of token 260 is not finite"},
        {{.n_types = 7}, "key 'tokenizer.ggml.token_type': 7 types for 264 tokens"},
        {{.unknown_id = 264},
         "key 'tokenizer.ggml.unknown_token_id': 264, but there are 264 tokens"},
        {{.merges = true}, "key 'tokenizer.ggml.merges' is not known with tokenizer llama"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct status status = {0};

        assert_null(open_small(bad[i].small, &status));
        assert_int_equal(status.code, STATUS_CONFIG);
        if (!strstr(status.message, bad[i].message))
            fail_msg("'%s' is not in '%s'", bad[i].message, status.message);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_become_pieces_and_bytes_and_come_back),
        cmocka_unit_test(a_run_of_bytes_that_is_no_text_is_replaced_whole),
        cmocka_unit_test(refuses_each_lie_with_its_own_message),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

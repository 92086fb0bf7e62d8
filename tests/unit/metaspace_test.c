/* SentencePiece: for every way to be damaged or unknown, the message that it gets; and what the
 * options do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/memory.h"
#include "small_spm.h"
#include "text/detokenizer.h"
#include "text/tokenizer.h"

static char folder[64];

static struct tokenizer *open_bytes(const struct buf *bytes, struct status *status)
{
    char path[128];
    struct tokenizer *tokenizer;

    write_file(folder, "x.model", bytes->data, bytes->len);
    snprintf(path, sizeof(path), "%s/x.model", folder);
    tokenizer = tokenizer_open(path, status);
    remove_file(folder, "x.model");
    return tokenizer;
}

static void expect_refused(const struct small_spm *small, const char *want)
{
    struct status status = {0};
    struct buf bytes = {0};

    put_small_spm(&bytes, small);
    assert_null(open_bytes(&bytes, &status));
    assert_int_equal(status.code, STATUS_CONFIG);
    assert_non_null(strstr(status.message, "x.model: "));
    assert_non_null(strstr(status.message, want));
    buf_release(&bytes);
}

static void refuses_what_is_not_known(void **state)
{
    static const struct {
        struct small_spm file;
        const char *message;
    } rows[] = {
        {{.extra = "the", .extra_type = SENTENCEPIECE_NORMAL}, "tokens 13 and 23 are the same"},
        {{.extra = "", .extra_type = SENTENCEPIECE_NORMAL}, "token 23 is empty"},
        {{.extra = "\xC3", .extra_type = SENTENCEPIECE_NORMAL}, "token 23 is not UTF-8"},
        {{.extra = "bcc", .extra_type = SENTENCEPIECE_UNUSED},
         "piece 23 is unused, but merges make it: that is not known"},
        {{.extra = "q", .extra_type = SENTENCEPIECE_UNUSED},
         "piece 23 is an unused character: that is not known"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        expect_refused(&rows[i].file, rows[i].message);
}

static void refuses_a_piece_too_long_to_merge(void **state)
{
    struct buf piece = {0};
    struct small_spm small = {.extra_type = SENTENCEPIECE_NORMAL};

    (void)state;
    for (int i = 0; i < 600; i++)
        buf_append_char(&piece, 'a');
    small.extra = piece.data;
    expect_refused(&small, "piece 23 has 600 bytes; at most 512 are known");
    buf_release(&piece);
}

/* The pieces of a text, each in front of a bar, and what they decode to. */
static void expect(struct small_spm small, const char *text, const char *pieces,
                   const char *decoded)
{
    struct buf bytes = {0}, got = {0};
    struct status status;
    struct tokens tokens = {0};
    struct tokenizer *tokenizer;
    struct detokenizer d;

    put_small_spm(&bytes, &small);
    tokenizer = open_bytes(&bytes, &status);
    assert_non_null(tokenizer);
    assert_true(tokenizer_encode(tokenizer, text_of(text), TOKENIZER_SPECIAL, &tokens, &status));
    for (size_t i = 0; i < tokens.n; i++) {
        buf_append_text(&got, tokenizer_piece(tokenizer, tokens.ids[i]));
        buf_append_char(&got, '|');
    }
    assert_string_equal(got.data ? got.data : "", pieces);
    buf_reset(&got);
    buf_append_string(&got, "");
    detokenizer_init(&d, tokenizer, false);
    for (size_t i = 0; i < tokens.n; i++)
        detokenizer_push(&d, tokens.ids[i], &got);
    detokenizer_flush(&d, &got);
    assert_string_equal(got.data ? got.data : "", decoded);
    tokenizer_close(tokenizer);
    tokens_release(&tokens);
    buf_release(&bytes);
    buf_release(&got);
}

/* As sentencepiece 0.2.3 does with the same file. */
static void options_do_what_they_say(void **state)
{
    (void)state;
    expect((struct small_spm){0}, " the  ab", "\u2581the|\u2581\u2581|ab|", " the  ab");
    expect((struct small_spm){.prefix = true}, "the a", "\u2581the|\u2581|a|", "the a");
    expect((struct small_spm){.prefix = true}, " a", "\u2581\u2581|a|", " a");
    expect((struct small_spm){.prefix = true}, "", "", "");
    expect((struct small_spm){.collapse = true}, "  the   a \u2581", "the|\u2581|a|", "the a");
    expect((struct small_spm){.collapse = true, .prefix = true}, "   ", "", "");
    expect((struct small_spm){.collapse = true, .prefix = true}, " the", "\u2581the|", "the");
    expect((struct small_spm){.plain_spaces = true}, "a a", "a|<unk>|a|", "a ? a");
    expect((struct small_spm){0}, "aqqx\u4e2dz-a", "a|<unk>|-|a|", "a ? -a");
    expect((struct small_spm){.bytes = true}, "aq\u4e2d", "a|<0x71>|<0xE4>|<0xB8>|<0xAD>|",
           "aq\u4e2d");
    expect((struct small_spm){.bytes = true}, "a\xFF", "a|<0xEF>|<0xBF>|<0xBD>|", "a\uFFFD");
    expect((struct small_spm){0}, "aaaaa", "aa|aaa|", "aaaaa");
    expect((struct small_spm){0}, "<s>a</s>", "<unk>|a|<unk>|", " ? a ? ");
    expect((struct small_spm){.extra = "abc", .extra_type = SENTENCEPIECE_USER_DEFINED}, "ababcbc",
           "ab|abc|bc|", "ababcbc");
    expect((struct small_spm){.extra = "b\u2581t",
                              .extra_type = SENTENCEPIECE_NORMAL,
                              .extra_score = 1},
           "ab the", "ab|\u2581the|", "ab the");
    expect((struct small_spm){.extra = "b\u2581",
                              .extra_type = SENTENCEPIECE_NORMAL,
                              .extra_score = 1},
           "ab the", "a|b\u2581|the|", "ab the");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_what_is_not_known),
        cmocka_unit_test(refuses_a_piece_too_long_to_merge),
        cmocka_unit_test(options_do_what_they_say),
    };
    int n_failed;

    make_folder(folder);
    n_failed = cmocka_run_group_tests_name("metaspace", tests, NULL, NULL);
    rmdir(folder);
    return n_failed;
}

/* Ids back to text, one at a time, always whole UTF-8. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "small_bpe.h"
#include "text/detokenizer.h"

static struct tokenizer *tokenizer;

static int open_tokenizer(void **state)
{
    const struct small_bpe small = {0};
    struct status status;
    struct gguf gguf;
    struct buf buf = {0};

    (void)state;
    put_small_bpe(&buf, &small);
    if (!gguf_read(&gguf, (const uint8_t *)buf.data, buf.len, &status))
        return 1;
    tokenizer = tokenizer_open_gguf(&gguf, "small", &status);
    gguf_close(&gguf);
    buf_release(&buf);
    return tokenizer == NULL;
}

static int close_tokenizer(void **state)
{
    (void)state;
    tokenizer_close(tokenizer);
    return 0;
}

/* Pushes a byte at a time; what is out must be whole at every step. */
static void expect(const char *bytes, const char *want)
{
    struct detokenizer d;
    struct buf out = {0};

    detokenizer_init(&d, tokenizer, false);
    for (const char *p = bytes; *p; p++) {
        detokenizer_push(&d, SMALL_BYTES + (unsigned char)*p, &out);
        assert_true(unicode_is_valid(buf_text(&out)));
    }
    detokenizer_flush(&d, &out);
    assert_string_equal(out.data ? out.data : "", want);
    assert_int_equal(d.n_held, 0);
    buf_release(&out);
}

static void holds_a_character_back_until_it_is_whole(void **state)
{
    struct detokenizer d;
    struct buf out = {0};
    const char face[] = "\xF0\x9F\x98\x80";

    (void)state;
    detokenizer_init(&d, tokenizer, false);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(out.len, 0);
        detokenizer_push(&d, SMALL_BYTES + (unsigned char)face[i], &out);
    }
    assert_string_equal(out.data, face);
    buf_release(&out);
}

/* What Python's bytes.decode("utf-8", "replace") makes of them. */
static void replaces_what_cannot_become_a_character(void **state)
{
    (void)state;
    expect("a\x80z", "a\uFFFDz");
    expect("\xC3", "\uFFFD");
    expect("\xC3"
           "a",
           "\uFFFDa");
    expect("\xC0\xAF", "\uFFFD\uFFFD");
    expect("\xE2\x82", "\uFFFD");
    expect("\xE2\x82"
           "a",
           "\uFFFDa");
    expect("\xE0\x9F\xBF", "\uFFFD\uFFFD\uFFFD");
    expect("\xED\xA0\x80", "\uFFFD\uFFFD\uFFFD");
    expect("\xF0\x8F\xBF\xBF", "\uFFFD\uFFFD\uFFFD\uFFFD");
    expect("\xF0\x9F\x98", "\uFFFD");
    expect("\xF0\x9F\xF0\x9F\x98\x80", "\uFFFD\U0001F600");
    expect("\xF4\x90\x80\x80", "\uFFFD\uFFFD\uFFFD\uFFFD");
    expect("\xF5\xFF", "\uFFFD\uFFFD");
    expect("\xC3\xC3\xA9", "\uFFFD\u00E9");
    expect("\xED\x9F\xBF\xEE\x80\x80\xF4\x8F\xBF\xBF", "\uD7FF\uE000\U0010FFFF");
}

static void drops_control_tokens_or_shows_them(void **state)
{
    static const int32_t ids[] = {SMALL_START, SMALL_BYTES + 'a', SMALL_NOTE, SMALL_STOP};
    struct detokenizer d;
    struct buf out = {0};

    (void)state;
    for (int shown = 0; shown < 2; shown++) {
        buf_reset(&out);
        detokenizer_init(&d, tokenizer, shown);
        for (size_t i = 0; i < 4; i++)
            detokenizer_push(&d, ids[i], &out);
        detokenizer_flush(&d, &out);
        assert_string_equal(out.data, shown ? "<|im_start|>a<note><|im_end|>" : "a<note>");
    }
    buf_release(&out);
}

static void keeps_a_leading_space_and_ignores_ids_out_of_range(void **state)
{
    struct detokenizer d;
    struct buf out = {0};

    (void)state;
    detokenizer_init(&d, tokenizer, false);
    detokenizer_push(&d, -1, &out);
    detokenizer_push(&d, SMALL_N, &out);
    detokenizer_push(&d, INT32_MAX, &out);
    detokenizer_push(&d, tokenizer_find(tokenizer, "Ġthe"), &out);
    detokenizer_flush(&d, &out);
    assert_string_equal(out.data, " the");
    buf_release(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(holds_a_character_back_until_it_is_whole),
        cmocka_unit_test(replaces_what_cannot_become_a_character),
        cmocka_unit_test(drops_control_tokens_or_shows_them),
        cmocka_unit_test(keeps_a_leading_space_and_ignores_ids_out_of_range),
    };

    return cmocka_run_group_tests_name("detokenizer", tests, open_tokenizer, close_tokenizer);
}

/* Passages: nothing is lost, none is too long, none breaks a character; on real texts and odd ones.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "chunk_check.h"
#include "small_bpe.h"

static struct tokenizer *tokenizer;

static struct tokenizer *open_small(void)
{
    const struct small_bpe small = {.add_bos = true};
    struct buf bytes = {0};
    struct status status;
    struct tokenizer *t;
    struct gguf gguf;

    put_small_bpe(&bytes, &small);
    assert_true(gguf_read(&gguf, (const uint8_t *)bytes.data, bytes.len, &status));
    t = tokenizer_open_gguf(&gguf, "x.gguf", &status);
    assert_non_null(t);
    gguf_close(&gguf);
    buf_release(&bytes);
    return t;
}

static void check_all(struct text text)
{
    static const size_t sizes[] = {17, 23, 64, 200, 5000};

    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        check_chunks(tokenizer, text, sizes[i], 0);
        check_chunks(tokenizer, text, sizes[i], 7);
        check_chunks(tokenizer, text, sizes[i], sizes[i] - 1);
    }
}

static void nothing_is_lost_and_nothing_is_too_long(void **state)
{
    static const char *const units[] = {"The dose was 5 mg, e.g. twice. It rose! ",
                                        "a",
                                        "the ",
                                        "\xC3\xA9",
                                        "\xE4\xB8\xAD\xE3\x80\x82",
                                        "\xF0\x9F\x98\x80",
                                        " ",
                                        "\n\n",
                                        "x y. ",
                                        "aaaa aa. Bbb\n\n- the the. "};

    (void)state;
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        for (size_t n = 1; n <= 256; n *= 4) {
            struct buf text = {0};

            for (size_t k = 0; k < n; k++)
                buf_append_string(&text, units[(i + (k % 3) * (n > 64)) % 10]);
            check_all(buf_text(&text));
            buf_release(&text);
        }
    }
}

static void passages_are_as_many_sentences_as_fit(void **state)
{
    const struct text text = text_of("Aaa. Bbb. Ccc. Ddd. Eee.");
    struct chunks chunks = {0};

    (void)state;
    cut_text(tokenizer, text, 30, 0, &chunks); /* a token a letter but for aa, and BOS */
    assert_int_equal(chunks.n, 1);
    cut_text(tokenizer, text, 17, 0, &chunks);
    assert_int_equal(chunks.n, 2);
    assert_int_equal(chunks.items[0].end, 14);
    assert_int_equal(chunks.items[1].begin, 15);
    cut_text(tokenizer, text, 17, 5, &chunks);
    assert_int_equal(chunks.n, 2);
    assert_int_equal(chunks.items[1].begin, 10); /* Ccc. again */
    chunks_release(&chunks);
}

static void long_sentences_are_cut_between_words(void **state)
{
    struct chunks chunks = {0};

    (void)state;
    cut_text(tokenizer, text_of("bcdef bcdef bcdef bcdef"), 17, 0, &chunks);
    assert_int_equal(chunks.n, 2);
    assert_int_equal(chunks.items[0].end, 11);
    assert_int_equal(chunks.items[1].begin, 12);
    chunks_release(&chunks);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_lost_and_nothing_is_too_long),
        cmocka_unit_test(passages_are_as_many_sentences_as_fit),
        cmocka_unit_test(long_sentences_are_cut_between_words),
    };
    int n_failed;

    tokenizer = open_small();
    n_failed = cmocka_run_group_tests_name("chunk", tests, NULL, NULL);
    tokenizer_close(tokenizer);
    return n_failed;
}

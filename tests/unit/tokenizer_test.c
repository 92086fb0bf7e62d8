/* Tokenizers from GGUF: what they encode, and what they refuse. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/thread_pool.h"
#include "encode_text.h"
#include "small_bpe.h"
#include "text/tokenizer.h"

static struct tokenizer *try_small(const struct small_bpe *small, struct status *status)
{
    struct tokenizer *tokenizer = NULL;
    struct gguf gguf;
    struct buf buf = {0};

    put_small_bpe(&buf, small);
    assert_true(gguf_read(&gguf, (const uint8_t *)buf.data, buf.len, status));
    tokenizer = tokenizer_open_gguf(&gguf, "x.gguf", status);
    gguf_close(&gguf); /* the tokenizer must not need the file any longer */
    buf_release(&buf);
    return tokenizer;
}

static struct tokenizer *open_small(struct small_bpe small)
{
    struct status status = {0};
    struct tokenizer *tokenizer = try_small(&small, &status);

    assert_string_equal(status.message, "");
    assert_non_null(tokenizer);
    return tokenizer;
}

/* The pieces with | between them. */
static void expect_pieces(const struct tokenizer *tokenizer, struct text text, unsigned flags,
                          const char *want)
{
    struct tokens tokens = {0};
    struct buf got = {0};

    encode_text(tokenizer, text, flags, &tokens);
    for (size_t i = 0; i < tokens.n; i++) {
        if (i > 0)
            buf_append_char(&got, '|');
        buf_append_text(&got, tokenizer_piece(tokenizer, tokens.ids[i]));
    }
    assert_string_equal(got.data ? got.data : "", want);
    tokens_release(&tokens);
    buf_release(&got);
}

static void expect(const struct tokenizer *tokenizer, const char *text, const char *want)
{
    expect_pieces(tokenizer, text_of(text), TOKENIZER_PLAIN, want);
}

static void merges_within_words_and_nowhere_else(void **state)
{
    struct tokenizer *t = open_small((struct small_bpe){0});

    (void)state;
    expect(t, "", "");
    expect(t, "the the", "the|Ġthe");
    expect(t, "other", "o|the|r"); /* "th e" comes before "e r" */
    expect(t, "aaaaa aaaa", "aaaa|a|Ġ|aaaa");
    expect(t, "abaa", "abaa");
    expect(t, "the  the", "the|Ġ|Ġthe");
    expect(t, "x   ", "x|ĠĠ|Ġ");
    expect(t, "é", "Ã©");
    expect(t, "a1aa22", "a|1|aa|2|2");
    expect(t, "the 5", "the|Ġ|5");
    tokenizer_close(t);
}

static void splits_as_gpt_2_does(void **state)
{
    struct tokenizer *t = open_small((struct small_bpe){0});

    (void)state;
    expect(t, "there's", "the|r|e|'|s"); /* 's is a segment of its own, but no token here */
    expect(t, "aa'aa", "aa|'|aa");
    expect(t, "th\ne", "th|Ċ|e");
    expect(t, "aa\n\n  aa", "aa|Ċ|Ċ|Ġ|Ġ|aa");
    tokenizer_close(t);
}

static void finds_added_tokens_in_plain_text(void **state)
{
    struct tokenizer *t = open_small((struct small_bpe){0});
    const char *text = "aa<|im_end|>aa <note><|im_end<|im_end|>";

    (void)state;
    expect(t, text, "aa|<|im_end|>|aa|Ġ|<note>|<|||i|m|_|e|n|d|<|im_end|>");
    expect(t, "<|im_start|><|im_start|>", "<|im_start|>|<|im_start|>");
    expect_pieces(t, text_of("<note>aa<|im_end|>"), TOKENIZER_NO_ADDED,
                  "<|n|o|t|e|>|aa|<|||i|m|_|e|n|d|||>");
    tokenizer_close(t);
}

static void tells_control_tokens_from_others(void **state)
{
    struct tokenizer *t = open_small((struct small_bpe){0});

    (void)state;
    assert_true(tokenizer_is_control(t, SMALL_STOP));
    assert_false(tokenizer_is_control(t, SMALL_NOTE));
    assert_false(tokenizer_is_control(t, SMALL_BYTES));
    assert_false(tokenizer_is_control(t, -1));
    assert_false(tokenizer_is_control(t, SMALL_N));
    assert_int_equal(tokenizer_vocab_size(t), SMALL_N);
    assert_int_equal(tokenizer_find(t, "<|im_end|>"), SMALL_STOP);
    assert_int_equal(tokenizer_find(t, "nothing"), -1);
    assert_string_equal(tokenizer_name(t), "gpt2/smollm");
    assert_true(text_is(tokenizer_bytes(t, tokenizer_find(t, "Ġthe")), " the"));
    assert_true(text_is(tokenizer_piece(t, SMALL_N), ""));
    assert_true(text_is(tokenizer_bytes(t, -1), ""));
    tokenizer_close(t);
}

static void adds_specials_where_the_file_says_so(void **state)
{
    struct tokenizer *t = open_small((struct small_bpe){.add_bos = true, .add_eos = true});
    struct tokenizer *plain = open_small((struct small_bpe){0});

    (void)state;
    expect_pieces(t, text_of("aa"), TOKENIZER_SPECIAL, "<|endoftext|>|aa|<|endoftext|>");
    expect_pieces(t, text_of("aa"), TOKENIZER_PLAIN, "aa");
    expect_pieces(plain, text_of("aa"), TOKENIZER_SPECIAL, "aa");
    assert_int_equal(tokenizer_n_special(t, false), 2);
    assert_int_equal(tokenizer_n_special(plain, false), 0);
    tokenizer_close(t);
    tokenizer_close(plain);
}

static void gives_any_bytes_back(void **state)
{
    struct tokenizer *t = open_small((struct small_bpe){0});
    struct tokens tokens = {0};
    struct buf got = {0};
    char bytes[512];

    (void)state;
    for (int i = 0; i < 512; i++) /* all of them, most of them not UTF-8 */
        bytes[i] = (char)(i * 167 + i / 256);
    encode_text(t, (struct text){bytes, sizeof(bytes)}, TOKENIZER_NO_ADDED, &tokens);
    for (size_t i = 0; i < tokens.n; i++)
        buf_append_text(&got, tokenizer_bytes(t, tokens.ids[i]));
    assert_int_equal(got.len, sizeof(bytes));
    assert_memory_equal(got.data, bytes, sizeof(bytes));
    tokens_release(&tokens);
    buf_release(&got);
    tokenizer_close(t);
}

static void leaves_out_a_byte_without_a_token_and_merges_across(void **state)
{
    struct tokenizer *t = open_small((struct small_bpe){.missing_byte = 'x'});

    (void)state;
    expect(t, "txhe", "the");
    expect(t, "xx", "");
    tokenizer_close(t);
}

static void takes_all_tokens_for_text_without_types(void **state)
{
    struct tokenizer *t = open_small((struct small_bpe){.no_types = true});

    (void)state;
    expect(t, "<note>", "<|n|o|t|e|>");
    tokenizer_close(t);
}

static void cut(struct tokenizer *t, size_t max_length, enum tokenizer_keep keep, const char *want,
                size_t want_gone)
{
    struct tokens tokens = {0};
    struct buf got = {0};

    encode_text(t, text_of("12345"), TOKENIZER_SPECIAL, &tokens);
    assert_int_equal(tokenizer_cut(t, TOKENIZER_SPECIAL, max_length, keep, &tokens), want_gone);
    for (size_t i = 0; i < tokens.n; i++)
        buf_append_text(&got, tokenizer_piece(t, tokens.ids[i]));
    assert_string_equal(got.data, want);
    tokens_release(&tokens);
    buf_release(&got);
}

static void cuts_text_and_leaves_specials(void **state)
{
    struct tokenizer *t = open_small((struct small_bpe){.add_bos = true});

    (void)state;
    cut(t, 6, TOKENIZER_KEEP_HEAD, "<|endoftext|>12345", 0);
    cut(t, 3, TOKENIZER_KEEP_HEAD, "<|endoftext|>12", 3);
    cut(t, 3, TOKENIZER_KEEP_TAIL, "<|endoftext|>45", 3);
    cut(t, 1, TOKENIZER_KEEP_TAIL, "<|endoftext|>", 5);
    cut(t, 0, TOKENIZER_KEEP_HEAD, "<|endoftext|>", 5);
    tokenizer_close(t);
}

/* ---- threads ---- */

enum { N_TEXTS = 64 };

struct shared {
    const struct tokenizer *tokenizer;
    struct tokens got[N_TEXTS];
};

/* Texts of all lengths, so that scratch space of every kind changes hands. */
static void encode_item(void *context, size_t item, int thread)
{
    struct shared *shared = context;
    struct buf text = {0};

    (void)thread;
    for (size_t i = 0; i < item * item; i++)
        buf_append_string(&text, i % 7 == 3 ? " the " : "aab");
    encode_text(shared->tokenizer, buf_text(&text), TOKENIZER_PLAIN, &shared->got[item]);
    buf_release(&text);
}

static void serves_several_threads_at_once(void **state)
{
    struct tokenizer *t = open_small((struct small_bpe){0});
    struct shared alone = {.tokenizer = t}, together = {.tokenizer = t};
    struct thread_pool *pool;
    struct status status;

    (void)state;
    pool = thread_pool_open(4, &status);
    assert_non_null(pool);
    thread_pool_for(pool, N_TEXTS, encode_item, &together);
    thread_pool_close(pool);
    for (size_t i = 0; i < N_TEXTS; i++) {
        encode_item(&alone, i, 0);
        assert_int_equal(alone.got[i].n, together.got[i].n);
        if (alone.got[i].n > 0)
            assert_memory_equal(alone.got[i].ids, together.got[i].ids,
                                alone.got[i].n * sizeof(*alone.got[i].ids));
        tokens_release(&alone.got[i]);
        tokens_release(&together.got[i]);
    }
    tokenizer_close(t);
}

/* ---- files that lie ---- */

static void refuses_what_it_does_not_know_by_name(void **state)
{
    static const struct {
        struct small_bpe small;
        const char *message;
    } cases[] = {
        {{.model = "t5"}, "x.gguf: tokenizer 't5' is not known; gpt2, llama and bert are"},
        {{.pre = "tekken"},
         "x.gguf: pre-tokenizer 'tekken' is not known; smollm, gpt-2, llama-bpe and "
         "default are"},
        {{.add_space_prefix = true},
         "x.gguf: key 'tokenizer.ggml.add_space_prefix': true is not known with gpt2"},
        {{.extra_merge = "t h"}, "x.gguf: merges 0 and 11 are the same"},
        {{.extra_merge = "th"}, "x.gguf: merge 11 is not made of two tokens and a third"},
        {{.extra_merge = " t"}, "x.gguf: merge 11 is not made of two tokens and a third"},
        {{.extra_merge = ""}, "x.gguf: merge 11 is not made of two tokens and a third"},
        {{.extra_merge = "the the"}, "x.gguf: merge 11 is not made of two tokens and a third"},
        {{.extra_merge = "zz a"}, "x.gguf: merge 11 is not made of two tokens and a third"},
        {{.one_type_less = true},
         "x.gguf: key 'tokenizer.ggml.token_type': 270 types for 271 tokens"},
        {{.note_type = 7}, "x.gguf: key 'tokenizer.ggml.token_type': token 3 has type 7"},
        {{.end_id = SMALL_N + 1},
         "x.gguf: key 'tokenizer.ggml.bos_token_id': 271, but there are 271 tokens"},
        {{.token_0 = "the"}, "x.gguf: tokens 0 and 261 are the same"},
        {{.token_0 = ""}, "x.gguf: token 0 is empty"},
        {{.token_0 = "\xC3"}, "x.gguf: token 0 is not UTF-8"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct status status = {0};

        assert_null(try_small(&cases[i].small, &status));
        assert_string_equal(status.message, cases[i].message);
        assert_int_equal(status.code, STATUS_CONFIG);
    }
}

static void refuses_a_vocabulary_without_merges(void **state)
{
    const struct small_bpe small = {.no_merges = true};
    struct status status = {0};

    (void)state;
    assert_null(try_small(&small, &status));
    assert_non_null(strstr(status.message, "tokenizer.ggml.merges"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(merges_within_words_and_nowhere_else),
        cmocka_unit_test(splits_as_gpt_2_does),
        cmocka_unit_test(finds_added_tokens_in_plain_text),
        cmocka_unit_test(tells_control_tokens_from_others),
        cmocka_unit_test(adds_specials_where_the_file_says_so),
        cmocka_unit_test(gives_any_bytes_back),
        cmocka_unit_test(leaves_out_a_byte_without_a_token_and_merges_across),
        cmocka_unit_test(takes_all_tokens_for_text_without_types),
        cmocka_unit_test(cuts_text_and_leaves_specials),
        cmocka_unit_test(serves_several_threads_at_once),
        cmocka_unit_test(refuses_what_it_does_not_know_by_name),
        cmocka_unit_test(refuses_a_vocabulary_without_merges),
    };

    return cmocka_run_group_tests_name("tokenizer", tests, NULL, NULL);
}

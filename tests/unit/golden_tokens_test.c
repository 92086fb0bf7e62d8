/* Token ids agree with the models' own tokenizers: hard texts, every code point, pairs, chats. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/golden/golden.h"
#include "tests/golden/hashes.h"
#include "tests/unit/encode_text.h"
#include "text/chat_template.h"
#include "text/detokenizer.h"
#include "text/tokenizer.h"
#include "text/unicode.h"

enum { BLOCK = 4096, N_POINTS = 0x110000 };

static struct tokenizer *smollm2, *minilm;
static struct tokens tokens, types;
static struct buf decoded;

/* The first row that differs is shown by its number: texts stay out of logs. */
static void expect_ids(const json_t *row, const char *name, size_t number)
{
    const json_t *want = json_object_get(row, name);

    if (json_is_string(want)) { /* a long text: the hash of its ids */
        char hash[17];

        snprintf(hash, sizeof(hash), "%016llx", (unsigned long long)hashes_of_ids(&tokens));
        assert_string_equal(hash, json_string_value(want));
        return;
    }
    if (json_array_size(want) != tokens.n)
        fail_msg("row %zu, %s: %zu ids, must be %zu", number, name, tokens.n,
                 json_array_size(want));
    for (size_t i = 0; i < tokens.n; i++) {
        if (json_integer_value(json_array_get(want, i)) != tokens.ids[i])
            fail_msg("row %zu, %s: id %zu is %d", number, name, i, (int)tokens.ids[i]);
    }
}

static void expect_types(const json_t *row, const char *name)
{
    const json_t *want = json_object_get(row, name);

    assert_int_equal(types.n, json_array_size(want));
    for (size_t i = 0; i < types.n; i++)
        assert_int_equal(types.ids[i], json_integer_value(json_array_get(want, i)));
}

static void check_hard(const struct tokenizer *tokenizer, const char *name)
{
    json_t *rows = golden_rows("tokens/hard.jsonl");
    const json_t *row;
    size_t i;

    json_array_foreach(rows, i, row)
    {
        tokens_reset(&tokens);
        encode_text(tokenizer, golden_text(row, "text"), TOKENIZER_SPECIAL, &tokens);
        expect_ids(row, name, i);
    }
    json_decref(rows);
}

static void check_decoded(const struct tokenizer *tokenizer, const char *name)
{
    json_t *rows = golden_rows("tokens/hard.jsonl");
    const json_t *row;
    size_t i;

    json_array_foreach(rows, i, row)
    {
        char text_name[32];
        struct detokenizer detokenizer;
        int n;
        int32_t *ids;

        snprintf(text_name, sizeof(text_name), "%s_text", name);
        if (!json_object_get(row, text_name))
            continue;
        ids = golden_ids(row, name, &n);
        buf_reset(&decoded);
        detokenizer_init(&detokenizer, tokenizer, false);
        for (int k = 0; k < n; k++) {
            detokenizer_push(&detokenizer, ids[k], &decoded);
            assert_true(unicode_is_valid(buf_text(&decoded)));
        }
        detokenizer_flush(&detokenizer, &decoded);
        if (!text_equals(buf_text(&decoded), golden_text(row, text_name)))
            fail_msg("row %zu: %s differs", i, text_name);
        free(ids);
    }
    json_decref(rows);
}

/* tests/golden/tokens.py has the same. */
static void put_block_text(struct buf *text, int32_t code_point)
{
    char c[UNICODE_MAX_BYTES + 1] = {0};

    unicode_encode(code_point, c);
    buf_reset(text);
    if (code_point != 0) {
        buf_printf(text, "x%sy %s's  %s%s're 1%s\n", c, c, c, c, c);
        return;
    }
    buf_append(text, "x\0y \0's  \0\0're 1\0\n", 18);
}

static void check_blocks(const struct tokenizer *tokenizer, const char *name)
{
    struct buf text = {0};
    size_t n;
    uint64_t *want = hashes_read(name, &n);

    assert_int_equal(n, N_POINTS / BLOCK);
    for (int32_t block = 0; block < N_POINTS / BLOCK; block++) {
        tokens_reset(&tokens);
        for (int32_t c = block * BLOCK; c < (block + 1) * BLOCK; c++) {
            if (c >= 0xD800 && c < 0xE000)
                continue;
            put_block_text(&text, c);
            encode_text(tokenizer, buf_text(&text), TOKENIZER_SPECIAL, &tokens);
        }
        if (hashes_of_ids(&tokens) != want[block])
            fail_msg("%s: code points %X to %X", name, (unsigned)(block * BLOCK),
                     (unsigned)(block * BLOCK + BLOCK - 1));
    }
    buf_release(&text);
    free(want);
}

static void smollm2_encodes_hard_texts_as_tokenizers_does(void **state)
{
    (void)state;
    check_hard(smollm2, "smollm2");
}

static void minilm_encodes_hard_texts_as_transformers_does(void **state)
{
    (void)state;
    check_hard(minilm, "minilm");
}

static void smollm2_decodes_hard_texts_as_tokenizers_does(void **state)
{
    (void)state;
    check_decoded(smollm2, "smollm2");
}

static void minilm_decodes_hard_texts_as_transformers_does(void **state)
{
    (void)state;
    check_decoded(minilm, "minilm");
}

static void smollm2_classifies_every_code_point_as_tokenizers_does(void **state)
{
    (void)state;
    check_blocks(smollm2, "tokens/smollm2.blocks.hash");
}

static void minilm_classifies_every_code_point_as_transformers_does(void **state)
{
    (void)state;
    check_blocks(minilm, "tokens/minilm.blocks.hash");
}

static void pairs_and_their_truncation_agree(void **state)
{
    json_t *rows = golden_rows("tokens/pairs.jsonl");
    const json_t *row;
    size_t i;

    (void)state;
    json_array_foreach(rows, i, row)
    {
        const json_int_t max_length = json_integer_value(json_object_get(row, "max_length"));
        const bool head = text_is(golden_text(row, "keep"), "head");
        struct status status;
        size_t lengths[2];

        tokens_reset(&tokens);
        tokens_reset(&types);
        assert_true(tokenizer_encode_pair(minilm, golden_text(row, "text"),
                                          golden_text(row, "text_pair"), TOKENIZER_SPECIAL, &tokens,
                                          &types, lengths, &status));
        if (max_length > 0)
            tokenizer_cut_pair(minilm, TOKENIZER_SPECIAL, (size_t)max_length,
                               head ? TOKENIZER_KEEP_HEAD : TOKENIZER_KEEP_TAIL, lengths, &tokens,
                               &types);
        expect_ids(row, "ids", i);
        expect_types(row, "types");
    }
    json_decref(rows);
}

enum { MAX_TURNS = 8 };

static void chats_agree_with_the_template_of_the_model(void **state)
{
    json_t *rows = golden_rows("tokens/chats.jsonl");
    enum chat_template template = CHAT_TEMPLATE_COUNT;
    struct status status;
    const json_t *row;
    size_t i;

    (void)state;
    assert_true(chat_template_find(NULL, smollm2, &template, &status));
    assert_int_equal(template, CHAT_TEMPLATE_SMOLLM2);
    json_array_foreach(rows, i, row)
    {
        const json_t *turns = json_object_get(row, "messages"), *turn;
        struct message messages[MAX_TURNS];
        size_t k;

        assert_in_range(json_array_size(turns), 1, MAX_TURNS);
        json_array_foreach(turns, k, turn)
        {
            messages[k] = (struct message){golden_text(turn, "role"), golden_text(turn, "content")};
        }
        tokens_reset(&tokens);
        assert_true(chat_template_render(template, smollm2, messages, json_array_size(turns),
                                         json_is_true(json_object_get(row, "prompt")), &tokens,
                                         &status));
        expect_ids(row, "ids", i);
    }
    json_decref(rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(smollm2_encodes_hard_texts_as_tokenizers_does),
        cmocka_unit_test(minilm_encodes_hard_texts_as_transformers_does),
        cmocka_unit_test(smollm2_decodes_hard_texts_as_tokenizers_does),
        cmocka_unit_test(minilm_decodes_hard_texts_as_transformers_does),
        cmocka_unit_test(smollm2_classifies_every_code_point_as_tokenizers_does),
        cmocka_unit_test(minilm_classifies_every_code_point_as_transformers_does),
        cmocka_unit_test(pairs_and_their_truncation_agree),
        cmocka_unit_test(chats_agree_with_the_template_of_the_model),
    };
    struct buf path = {0};
    struct status status;
    int n_failed;

    smollm2 = tokenizer_open(golden_model("smollm2", &path), &status);
    golden_need(smollm2 != NULL, "smollm2", &status);
    buf_reset(&path);
    minilm = tokenizer_open(golden_model("minilm", &path), &status);
    golden_need(minilm != NULL, "minilm", &status);
    n_failed = cmocka_run_group_tests_name("golden_tokens", tests, NULL, NULL);
    tokenizer_close(smollm2);
    tokenizer_close(minilm);
    tokens_release(&tokens);
    tokens_release(&types);
    buf_release(&decoded);
    buf_release(&path);
    return n_failed;
}

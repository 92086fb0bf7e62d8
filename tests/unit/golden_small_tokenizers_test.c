/* tokenizer.json files of every family give the ids, the text and the pairs that the tokenizers
 * library gives: tests/golden/small_tokenizers.py made them and asked it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/hash.h"
#include "file_bytes.h"
#include "tests/golden/golden.h"
#include "tests/golden/hashes.h"
#include "tests/unit/encode_text.h"
#include "text/detokenizer.h"
#include "text/tokenizer.h"
#include "text/unicode.h"

#define FOLDER "tests/golden/tokenizers/"

enum { GROUP = 16, N_VAL = 3246 };

static const char *const families[] = {"gpt2",    "gpt2_prefix", "llama3",    "qwen2",
                                       "roberta", "smollm",      "gpt4o",     "many_splits",
                                       "flags",   "bert_cased",  "bert_steps"};

static const struct {
    const char *file;
    size_t n_rows;
} dev_sets[] = {{"rerank/evinf.dev.jsonl", 120},
                {"rerank/liveqa.dev.jsonl", 20},
                {"rerank/medquad.dev.jsonl", 150},
                {"rerank/poison.dev.jsonl", 120},
                {"rerank/pubmedqa.dev.jsonl", 150}};

static struct text *texts; /* val.jsonl, then the passages of the dev sets */
static size_t n_texts;
static json_t *text_owner; /* a list of the rows that they lie in */
static struct tokens tokens, types;
static struct buf decoded;

static struct tokenizer *open_family(const char *name)
{
    struct buf path = {0};
    struct status status = {0};
    struct tokenizer *tokenizer;

    buf_printf(&path, FOLDER "%s.json", name);
    tokenizer = tokenizer_open(path.data, &status);
    if (!tokenizer)
        fail_msg("%s", status.message);
    buf_release(&path);
    return tokenizer;
}

static void add_text(const json_t *value)
{
    texts = realloc(texts, (n_texts + 1) * sizeof(*texts));
    assert_non_null(texts);
    texts[n_texts++] = (struct text){json_string_value(value), json_string_length(value)};
}

static void read_texts(void)
{
    json_t *rows = golden_data("rationales/val.jsonl", N_VAL);
    const json_t *row, *passage;
    size_t i, k;

    text_owner = json_array();
    json_array_append_new(text_owner, rows);
    json_array_foreach(rows, i, row)
    {
        add_text(json_object_get(row, "text"));
    }
    for (size_t set = 0; set < sizeof(dev_sets) / sizeof(dev_sets[0]); set++) {
        rows = golden_data(dev_sets[set].file, dev_sets[set].n_rows);
        json_array_append_new(text_owner, rows);
        json_array_foreach(rows, i, row)
        {
            json_array_foreach(json_object_get(row, "passages"), k, passage)
            {
                add_text(json_is_string(passage) ? passage : json_object_get(passage, "text"));
            }
        }
    }
}

static void check_texts(const char *name)
{
    struct tokenizer *tokenizer = open_family(name);
    char file[64];
    uint64_t *want;
    size_t n;

    snprintf(file, sizeof(file), "tokenizers/%s.hash", name);
    want = hashes_read(file, &n);
    assert_int_equal(n, (n_texts + GROUP - 1) / GROUP);
    for (size_t group = 0; group < n; group++) {
        tokens_reset(&tokens);
        for (size_t i = group * GROUP; i < n_texts && i < (group + 1) * GROUP; i++)
            encode_text(tokenizer, texts[i], TOKENIZER_SPECIAL, &tokens);
        if (hashes_of_ids(&tokens) != want[group])
            fail_msg("%s: texts %zu to %zu", name, group * GROUP, group * GROUP + GROUP - 1);
    }
    free(want);
    tokenizer_close(tokenizer);
}

/* Streaming: whole characters after each token. */
static uint64_t decoded_hash(const struct tokenizer *tokenizer)
{
    struct detokenizer detokenizer;

    buf_reset(&decoded);
    detokenizer_init(&detokenizer, tokenizer, false);
    for (size_t i = 0; i < tokens.n; i++) {
        const size_t n = decoded.len;

        detokenizer_push(&detokenizer, tokens.ids[i], &decoded);
        assert_true(unicode_is_valid((struct text){decoded.data + n, decoded.len - n}));
    }
    detokenizer_flush(&detokenizer, &decoded);
    return hash64(buf_text(&decoded).ptr, decoded.len);
}

static void check_hard_text(const struct tokenizer *tokenizer, FILE *file, struct text text,
                            const char *name, const char *where, size_t i)
{
    unsigned long long ids, chars;

    assert_int_equal(fscanf(file, "%llx %llx", &ids, &chars), 2);
    tokens_reset(&tokens);
    encode_text(tokenizer, text, TOKENIZER_SPECIAL, &tokens);
    if (hashes_of_ids(&tokens) != ids)
        fail_msg("%s: %s %zu: ids", name, where, i);
    if (decoded_hash(tokenizer) != chars)
        fail_msg("%s: %s %zu: decoded", name, where, i);
}

static void check_hard(const char *name)
{
    struct tokenizer *tokenizer = open_family(name);
    json_t *rows = golden_rows("tokens/hard.jsonl"),
           *more = json_load_file(FOLDER "texts.json", 0, NULL);
    struct buf path = {0};
    const json_t *row;
    FILE *file;
    size_t i;

    buf_printf(&path, FOLDER "%s.hard.hash", name);
    file = fopen(path.data, "r");
    assert_non_null(file);
    assert_non_null(more);
    json_array_foreach(rows, i, row)
    {
        check_hard_text(tokenizer, file, golden_text(row, "text"), name, "tokens/hard.jsonl", i);
    }
    json_array_foreach(more, i, row)
    {
        const struct text text = {json_string_value(row), json_string_length(row)};

        check_hard_text(tokenizer, file, text, name, "texts.json", i);
    }
    fclose(file);
    buf_release(&path);
    json_decref(rows);
    json_decref(more);
    tokenizer_close(tokenizer);
}

static void expect_ids(const struct tokens *got, const json_t *want, const char *what, size_t row,
                       size_t text)
{
    bool same = got->n == json_array_size(want);

    for (size_t i = 0; same && i < got->n; i++)
        same = got->ids[i] == json_integer_value(json_array_get(want, i));
    if (!same)
        fail_msg("%s: row %zu, text %zu", what, row, text);
}

static void encodes_texts_as_the_library_does(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++)
        check_texts(families[i]);
}

static void encodes_and_decodes_hard_texts_as_the_library_does(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++)
        check_hard(families[i]);
}

/* bytes.json with other members. */
static struct tokenizer *open_variant(const char *folder, const json_t *members)
{
    json_t *tree = json_load_file(FOLDER "bytes.json", 0, NULL);
    struct status status = {0};
    struct tokenizer *tokenizer;
    struct buf path = {0};
    char *bytes;

    assert_non_null(tree);
    json_object_update(tree, (json_t *)members);
    bytes = json_dumps(tree, 0);
    write_text(folder, "tokenizer.json", bytes);
    buf_printf(&path, "%s/tokenizer.json", folder);
    tokenizer = tokenizer_open(path.data, &status);
    if (!tokenizer)
        fail_msg("%s", status.message);
    remove_file(folder, "tokenizer.json");
    buf_release(&path);
    free(bytes);
    json_decref(tree);
    return tokenizer;
}

static void every_step_does_what_the_library_does(void **state)
{
    json_t *rows = golden_rows("tokenizers/steps.jsonl");
    const json_t *row, *text;
    char folder[64];
    size_t i, k;

    (void)state;
    make_folder(folder);
    json_array_foreach(rows, i, row)
    {
        struct tokenizer *tokenizer = open_variant(folder, json_object_get(row, "members"));

        json_array_foreach(json_object_get(row, "texts"), k, text)
        {
            tokens_reset(&tokens);
            encode_text(tokenizer, (struct text){json_string_value(text), json_string_length(text)},
                        TOKENIZER_SPECIAL, &tokens);
            expect_ids(&tokens, json_array_get(json_object_get(row, "ids"), k), "steps.jsonl", i,
                       k);
        }
        tokenizer_close(tokenizer);
    }
    rmdir(folder);
    json_decref(rows);
}

static void check_pair(const struct tokenizer *tokenizer, const json_t *row, size_t i)
{
    const size_t max_length = (size_t)json_integer_value(json_object_get(row, "max_length"));
    const unsigned flags =
        json_is_true(json_object_get(row, "special")) ? TOKENIZER_SPECIAL : TOKENIZER_PLAIN;
    struct status status;
    size_t lengths[2];

    tokens_reset(&tokens);
    tokens_reset(&types);
    assert_true(tokenizer_encode_pair(tokenizer, golden_text(row, "text"),
                                      golden_text(row, "text_pair"), flags, &tokens, &types,
                                      lengths, &status));
    if (max_length > 0)
        tokenizer_cut_pair(tokenizer, flags, max_length,
                           text_is(golden_text(row, "keep"), "head") ? TOKENIZER_KEEP_HEAD
                                                                     : TOKENIZER_KEEP_TAIL,
                           lengths, &tokens, &types);
    expect_ids(&tokens, json_object_get(row, "ids"), "pairs.jsonl, ids", i, 0);
    expect_ids(&types, json_object_get(row, "types"), "pairs.jsonl, types", i, 0);
}

static void pairs_and_their_truncation_agree(void **state)
{
    json_t *rows = golden_rows("tokenizers/pairs.jsonl");
    struct tokenizer *tokenizer = NULL;
    struct text name = {"", 0};
    const json_t *row;
    size_t i;

    (void)state;
    json_array_foreach(rows, i, row)
    {
        if (!text_equals(name, golden_text(row, "tokenizer"))) {
            name = golden_text(row, "tokenizer");
            tokenizer_close(tokenizer);
            tokenizer = open_family(name.ptr);
        }
        check_pair(tokenizer, row, i);
    }
    tokenizer_close(tokenizer);
    json_decref(rows);
}

/* A folder with the tokenizer of the row and its tokenizer_config.json. */
static struct tokenizer *open_configured(const char *folder, const json_t *row)
{
    char *config = json_dumps(json_object_get(row, "config"), 0);
    struct buf path = {0};
    struct status status = {0};
    struct tokenizer *tokenizer;
    json_t *tree;

    buf_printf(&path, FOLDER "%s.json", golden_text(row, "tokenizer").ptr);
    tree = json_load_file(path.data, 0, NULL);
    assert_non_null(tree);
    buf_reset(&path);
    buf_printf(&path, "%s/tokenizer.json", folder);
    assert_int_equal(json_dump_file(tree, path.data, 0), 0);
    write_text(folder, "tokenizer_config.json", config);
    tokenizer = tokenizer_open(folder, &status);
    if (!tokenizer)
        fail_msg("%s", status.message);
    remove_file(folder, "tokenizer.json");
    remove_file(folder, "tokenizer_config.json");
    json_decref(tree);
    buf_release(&path);
    free(config);
    return tokenizer;
}

static void the_configuration_counts_as_in_transformers(void **state)
{
    json_t *rows = golden_rows("tokenizers/configs.jsonl");
    const json_t *row, *text;
    char folder[64];
    size_t i, k;

    (void)state;
    make_folder(folder);
    json_array_foreach(rows, i, row)
    {
        struct tokenizer *tokenizer = open_configured(folder, row);

        json_array_foreach(json_object_get(row, "texts"), k, text)
        {
            tokens_reset(&tokens);
            encode_text(tokenizer, (struct text){json_string_value(text), json_string_length(text)},
                        TOKENIZER_SPECIAL, &tokens);
            expect_ids(&tokens, json_array_get(json_object_get(row, "ids"), k), "configs.jsonl", i,
                       k);
        }
        tokenizer_close(tokenizer);
    }
    rmdir(folder);
    json_decref(rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(encodes_texts_as_the_library_does),
        cmocka_unit_test(encodes_and_decodes_hard_texts_as_the_library_does),
        cmocka_unit_test(every_step_does_what_the_library_does),
        cmocka_unit_test(pairs_and_their_truncation_agree),
        cmocka_unit_test(the_configuration_counts_as_in_transformers),
    };
    int n_failed;

    read_texts();
    n_failed = cmocka_run_group_tests_name("golden_small_tokenizers", tests, NULL, NULL);
    json_decref(text_owner);
    free(texts);
    tokens_release(&tokens);
    tokens_release(&types);
    buf_release(&decoded);
    return n_failed;
}

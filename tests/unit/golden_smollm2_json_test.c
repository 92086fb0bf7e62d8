/* SmolLM2's tokenizer gives the same ids out of a tokenizer.json as out of its GGUF file: the file
 * is made here of the GGUF file's vocabulary and merges, with the steps of its reference. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "file_bytes.h"
#include "formats/gguf.h"
#include "tests/golden/golden.h"
#include "tests/golden/hashes.h"
#include "tests/unit/encode_text.h"
#include "text/tokenizer.h"

enum { N_ROWS = 3246, TYPE_CONTROL = 3 };

static struct tokenizer *tokenizer;
static json_t *rows;

static json_t *string_of(struct text text)
{
    return json_stringn(text.ptr, text.len);
}

static json_t *added_token(struct text content, size_t id)
{
    return json_pack("{s:o,s:I,s:b,s:b,s:b,s:b,s:b}", "content", string_of(content), "id",
                     (json_int_t)id, "single_word", 0, "lstrip", 0, "rstrip", 0, "normalized", 0,
                     "special", 1);
}

static json_t *make_tree(const struct gguf *gguf)
{
    const struct text *pieces, *merge_texts;
    json_t *vocab = json_object(), *merges = json_array(), *added = json_array();
    struct status status;
    int32_t *types = NULL;
    size_t n, n_merges, n_types;
    bool found;

    golden_need(
        gguf_string_array(gguf, "tokenizer.ggml.tokens", &pieces, &n, NULL, &status) &&
            gguf_string_array(gguf, "tokenizer.ggml.merges", &merge_texts, &n_merges, NULL,
                              &status) &&
            gguf_int_array(gguf, "tokenizer.ggml.token_type", &types, &n_types, &found, &status),
        "smollm2", &status);
    for (size_t id = 0; id < n; id++) {
        json_object_setn_new(vocab, pieces[id].ptr, pieces[id].len, json_integer((json_int_t)id));
        if (types[id] == TYPE_CONTROL)
            json_array_append_new(added, added_token(pieces[id], id));
    }
    for (size_t i = 0; i < n_merges; i++)
        json_array_append_new(merges, string_of(merge_texts[i]));
    free(types);
    return json_pack("{s:s,s:o,s:{s:s,s:[{s:s,s:b},{s:s,s:b}]},s:{s:s},s:{s:s,s:o,s:o}}", "version",
                     "1.0", "added_tokens", added, "pre_tokenizer", "type", "Sequence",
                     "pretokenizers", "type", "Digits", "individual_digits", 1, "type", "ByteLevel",
                     "add_prefix_space", 0, "decoder", "type", "ByteLevel", "model", "type", "BPE",
                     "vocab", vocab, "merges", merges);
}

static struct tokenizer *open_json(void)
{
    struct buf path = {0};
    struct status status;
    struct gguf gguf;
    struct tokenizer *opened;
    char folder[64];
    json_t *tree;

    golden_model("smollm2", &path);
    buf_append_string(&path, "/SmolLM2-135M-Instruct.Q4_1.gguf");
    golden_need(gguf_open(&gguf, path.data, &status), "smollm2", &status);
    tree = make_tree(&gguf);
    gguf_close(&gguf);
    make_folder(folder);
    buf_reset(&path);
    buf_printf(&path, "%s/tokenizer.json", folder);
    if (!tree || json_dump_file(tree, path.data, 0) != 0)
        abort();
    opened = tokenizer_open(folder, &status);
    golden_need(opened != NULL, "tokenizer.json", &status);
    remove_file(folder, "tokenizer.json");
    rmdir(folder);
    json_decref(tree);
    buf_release(&path);
    return opened;
}

static void encodes_every_text_of_val_as_the_library_does(void **state)
{
    struct tokens tokens = {0};
    size_t n;
    uint64_t *want = hashes_read("tokens/smollm2.val.hash", &n);

    (void)state;
    assert_int_equal(n, N_ROWS);
    for (size_t i = 0; i < n; i++) {
        tokens_reset(&tokens);
        encode_text(tokenizer, golden_text(json_array_get(rows, i), "text"), TOKENIZER_SPECIAL,
                    &tokens);
        if (hashes_of_ids(&tokens) != want[i])
            fail_msg("the ids of row %zu differ", i);
    }
    free(want);
    tokens_release(&tokens);
}

static void encodes_hard_texts_as_the_gguf_file_does(void **state)
{
    json_t *hard = golden_rows("tokens/hard.jsonl");
    struct buf path = {0};
    struct status status;
    struct tokenizer *other = tokenizer_open(golden_model("smollm2", &path), &status);
    struct tokens got = {0}, want = {0};
    const json_t *row;
    size_t i;

    (void)state;
    assert_non_null(other);
    json_array_foreach(hard, i, row)
    {
        tokens_reset(&got);
        tokens_reset(&want);
        encode_text(tokenizer, golden_text(row, "text"), TOKENIZER_SPECIAL, &got);
        encode_text(other, golden_text(row, "text"), TOKENIZER_SPECIAL, &want);
        if (hashes_of_ids(&got) != hashes_of_ids(&want))
            fail_msg("row %zu", i);
    }
    tokens_release(&got);
    tokens_release(&want);
    tokenizer_close(other);
    buf_release(&path);
    json_decref(hard);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(encodes_every_text_of_val_as_the_library_does),
        cmocka_unit_test(encodes_hard_texts_as_the_gguf_file_does),
    };
    int n_failed;

    tokenizer = open_json();
    rows = golden_data("rationales/val.jsonl", N_ROWS);
    n_failed = cmocka_run_group_tests_name("golden_smollm2_json", tests, NULL, NULL);
    json_decref(rows);
    tokenizer_close(tokenizer);
    return n_failed;
}

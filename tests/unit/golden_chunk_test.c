/* Passages of real documents: those of the dev sets, put together again, for real tokenizers. */
#include "chunk_check.h"
#include "tests/golden/golden.h"

static void check_set(const struct tokenizer *tokenizer, const char *file, size_t n_rows)
{
    json_t *rows = golden_data(file, n_rows);
    const json_t *row, *passage;
    struct buf text = {0};
    size_t i, k;

    json_array_foreach(rows, i, row)
    {
        buf_reset(&text);
        json_array_foreach(json_object_get(row, "passages"), k, passage)
        {
            buf_append_text(&text, golden_text(passage, "text"));
            buf_append_string(&text, k % 3 == 0 ? "\n\n" : " ");
        }
        check_chunks(tokenizer, buf_text(&text), 32, 0);
        check_chunks(tokenizer, buf_text(&text), 128, 40);
    }
    json_decref(rows);
    buf_release(&text);
}

static void check_model(const char *model)
{
    struct buf path = {0};
    struct status status;
    struct tokenizer *tokenizer = tokenizer_open(golden_model(model, &path), &status);

    assert_non_null(tokenizer);
    check_set(tokenizer, "rerank/evinf.dev.jsonl", 40);
    check_set(tokenizer, "rerank/pubmedqa.dev.jsonl", 40);
    check_set(tokenizer, "rerank/medquad.dev.jsonl", 40);
    tokenizer_close(tokenizer);
    buf_release(&path);
}

static void byte_level_passages_keep_all_text(void **state)
{
    (void)state;
    check_model("smollm2");
}

static void wordpiece_passages_keep_all_text(void **state)
{
    (void)state;
    check_model("minilm");
}

static void metaspace_passages_keep_all_text(void **state)
{
    (void)state;
    check_model("mistral-v3-tokenizer");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(byte_level_passages_keep_all_text),
        cmocka_unit_test(wordpiece_passages_keep_all_text),
        cmocka_unit_test(metaspace_passages_keep_all_text),
    };
    static const char *const models[] = {"smollm2", "minilm", "mistral-v3-tokenizer"};

    for (size_t i = 0; i < 3; i++) {
        struct buf path = {0};

        golden_model(models[i], &path);
        buf_release(&path);
    }
    json_decref(golden_data("rerank/evinf.dev.jsonl", 1));
    return cmocka_run_group_tests_name("golden_chunk", tests, NULL, NULL);
}

/* all-MiniLM-L6-v2's embeddings agree with sentence-transformers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/golden/golden.h"

enum { N_SLOW_TEXTS = 12 };

/* Cosine 0.9999 is what is promised; ours and theirs are f32, so that little more than the golden
 * file's rounding is left, 2e-11. */
static const double min_cosine = 1 - 1e-9;
/* Where products are of 16-bit numbers, 1 - 2e-7 was seen. */
static const double min_cosine_words = 1 - 1e-6;

static json_t *rows;
static const char *model_path;

static void embeddings_agree(const char *kernels, size_t n, double least_allowed)
{
    struct golden_device d;

    if (!golden_device_open(&d, kernels, 2))
        return;
    const double least = golden_least_cosine(&d, model_path, rows, n);

    printf("# %zu texts, least cosine 1 - %.2g\n", n, 1 - least);
    assert_true(least > least_allowed);
    golden_device_close(&d);
}

static void embeddings_agree_with_sentence_transformers_on_the_avx2_kernels(void **state)
{
    (void)state;
    embeddings_agree("avx2", json_array_size(rows), min_cosine);
}

static void embeddings_agree_with_sentence_transformers_on_the_avx2_madd_kernels(void **state)
{
    (void)state;
    embeddings_agree("avx2-madd", json_array_size(rows), min_cosine_words);
}

static void embeddings_agree_with_sentence_transformers_on_the_avx512_vnni_kernels(void **state)
{
    (void)state;
    embeddings_agree("avx512-vnni", json_array_size(rows), min_cosine_words);
}

static void embeddings_agree_with_sentence_transformers_on_the_scalar_kernels(void **state)
{
    (void)state;
    embeddings_agree("scalar", N_SLOW_TEXTS, min_cosine);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(embeddings_agree_with_sentence_transformers_on_the_avx2_kernels),
        cmocka_unit_test(embeddings_agree_with_sentence_transformers_on_the_avx2_madd_kernels),
        cmocka_unit_test(embeddings_agree_with_sentence_transformers_on_the_avx512_vnni_kernels),
        cmocka_unit_test(embeddings_agree_with_sentence_transformers_on_the_scalar_kernels),
    };
    struct buf path = {0};
    int n_failed;

    model_path = golden_model("minilm", &path);
    rows = golden_rows("minilm_embeddings.jsonl");
    n_failed = cmocka_run_group_tests_name("golden_minilm", tests, NULL, NULL);
    json_decref(rows);
    buf_release(&path);
    return n_failed;
}

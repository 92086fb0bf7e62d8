/* Token ids of all of val.jsonl agree with the models' own tokenizers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/golden/golden.h"
#include "tests/golden/hashes.h"
#include "tests/unit/encode_text.h"
#include "text/tokenizer.h"

enum { N_ROWS = 3246 };

static json_t *rows;

static void check(const char *model, const char *hashes)
{
    struct buf path = {0};
    struct status status;
    struct tokenizer *tokenizer = tokenizer_open(golden_model(model, &path), &status);
    struct tokens tokens = {0};
    size_t n;
    uint64_t *want = hashes_read(hashes, &n);

    assert_non_null(tokenizer);
    assert_int_equal(n, N_ROWS);
    for (size_t i = 0; i < n; i++) {
        tokens_reset(&tokens);
        encode_text(tokenizer, golden_text(json_array_get(rows, i), "text"), TOKENIZER_SPECIAL,
                    &tokens);
        if (hashes_of_ids(&tokens) != want[i])
            fail_msg("%s: the ids of row %zu differ", model, i);
    }
    free(want);
    tokens_release(&tokens);
    tokenizer_close(tokenizer);
    buf_release(&path);
}

static void smollm2_encodes_every_text_as_tokenizers_does(void **state)
{
    (void)state;
    check("smollm2", "tokens/smollm2.val.hash");
}

static void minilm_encodes_every_text_as_transformers_does(void **state)
{
    (void)state;
    check("minilm", "tokens/minilm.val.hash");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(smollm2_encodes_every_text_as_tokenizers_does),
        cmocka_unit_test(minilm_encodes_every_text_as_transformers_does),
    };
    struct buf path = {0};
    int n_failed;

    golden_model("smollm2", &path);
    buf_reset(&path);
    golden_model("minilm", &path);
    buf_release(&path);
    rows = golden_data("rationales/val.jsonl", N_ROWS);
    n_failed = cmocka_run_group_tests_name("golden_tokens_val", tests, NULL, NULL);
    json_decref(rows);
    return n_failed;
}

/* Small BERTs of every kind agree with sentence-transformers (encode_query, encode_document,
 * CrossEncoder) and transformers (BertForSequenceClassification) on every kernel set. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/memory.h"
#include "model/cross_encoder.h"
#include "model/encoder.h"
#include "tests/golden/golden.h"
#include "tests/golden/tiny.h"

/* Both sides compute in f32 from the very same weights, whatever the type they are stored in. What
 * is left is the order of sums, and the golden file's six digits behind the point; vectors are
 * about 1 or about 10 long, logits about 1. */
static const double max_distance = 2e-5; /* of the vectors' difference to the vector's length */
static const double max_logit_error = 2e-5;
/* On sets that round what they multiply to 16 bits. */
static const double max_distance_words = 1e-3, max_logit_error_words = 2e-3;

enum { MOST_ROWS = 64 };

static struct buf folder; /* of the small models */
static json_t *rows;

/* The golden rows of one model, and what its encoder reads of them. */
struct model_rows {
    struct buf path;
    const json_t *rows[MOST_ROWS];
    size_t n;
};

static bool row_is(const json_t *row, const char *key, const char *value)
{
    return strcmp(json_string_value(json_object_get(row, key)), value) == 0;
}

static struct model_rows find_rows(const char *model)
{
    struct model_rows found = {0};
    char hash[17];
    json_t *row;
    size_t i;

    buf_printf(&found.path, "%s/%s", folder.data, model);
    snprintf(hash, sizeof(hash), "%016llx", (unsigned long long)tiny_hash(found.path.data));
    json_array_foreach(rows, i, row)
    {
        if (!row_is(row, "model", model))
            continue;
        assert_true(row_is(row, "hash", hash));
        assert_true(found.n < MOST_ROWS);
        found.rows[found.n++] = row;
    }
    assert_true(found.n > 5);
    return found;
}

/* The largest difference from the row's vector; *length is that vector's. */
static double compare(const float *got, size_t dim, const json_t *row, double *distance)
{
    int n;
    double *want = golden_numbers(row, "vector", &n);
    double largest = 0, difference = 0, squares = 0;

    assert_int_equal(n, dim);
    for (size_t i = 0; i < dim; i++) {
        const double d = (double)got[i] - want[i] * 1e-6;

        if (!(fabs(d) <= largest)) /* NaN too */
            largest = fabs(d);
        difference += d * d;
        squares += want[i] * want[i] * 1e-12;
    }
    *distance = sqrt(difference / squares);
    free(want);
    return largest;
}

static void encoder_agrees(const struct golden_device *d, const char *model)
{
    struct model_rows found = find_rows(model);
    struct text texts[MOST_ROWS];
    enum encoder_role roles[MOST_ROWS];
    int32_t n_tokens[MOST_ROWS];
    struct status status = {0};
    double worst = 0;
    struct encoder *encoder = encoder_open(found.path.data, d->backend, d->device, &status);

    golden_need(encoder != NULL, found.path.data, &status);
    const size_t dim = (size_t)encoder_dim(encoder);
    float *vectors = memory_zeroed(found.n * dim, sizeof(*vectors));

    for (size_t i = 0; i < found.n; i++) {
        texts[i] = golden_text(found.rows[i], "text");
        roles[i] = row_is(found.rows[i], "role", "query") ? ENCODER_QUERY : ENCODER_DOCUMENT;
    }
    golden_need(encoder_embed(encoder, texts, roles, found.n, vectors, n_tokens, &status), "embed",
                &status);
    for (size_t i = 0; i < found.n; i++) {
        double distance;

        compare(vectors + i * dim, dim, found.rows[i], &distance);
        if (!(distance <= worst))
            worst = distance;
        assert_int_equal(n_tokens[i],
                         json_integer_value(json_object_get(found.rows[i], "n_tokens")));
    }
    printf("# %s: %zu texts, largest distance %.2g\n", model, found.n, worst);
    assert_true(worst < (golden_rounds(d) ? max_distance_words : max_distance));
    encoder_close(encoder);
    free(vectors);
    buf_release(&found.path);
}

static void cross_encoder_agrees(const struct golden_device *d, const char *model, int n_labels)
{
    struct model_rows found = find_rows(model);
    struct text_pair pairs[MOST_ROWS];
    float logits[MOST_ROWS * 3];
    int32_t n_tokens[MOST_ROWS];
    struct status status = {0};
    double worst = 0;
    struct cross_encoder *cross =
        cross_encoder_open(found.path.data, d->backend, d->device, &status);

    golden_need(cross != NULL, found.path.data, &status);
    assert_int_equal(cross_encoder_n_labels(cross), n_labels);
    for (size_t i = 0; i < found.n; i++)
        pairs[i] = (struct text_pair){golden_text(found.rows[i], "text"),
                                      golden_text(found.rows[i], "text_pair")};
    golden_need(cross_encoder_score(cross, pairs, found.n, logits, n_tokens, &status), "score",
                &status);
    for (size_t i = 0; i < found.n; i++) {
        double distance;
        const double error =
            compare(logits + i * (size_t)n_labels, (size_t)n_labels, found.rows[i], &distance);

        if (!(error <= worst))
            worst = error;
        assert_int_equal(n_tokens[i],
                         json_integer_value(json_object_get(found.rows[i], "n_tokens")));
    }
    printf("# %s: %zu pairs, largest difference %.2g\n", model, found.n, worst);
    assert_true(worst < (golden_rounds(d) ? max_logit_error_words : max_logit_error));
    cross_encoder_close(cross);
    buf_release(&found.path);
}

static void encoders_agree_with_sentence_transformers(void **state)
{
    static const char *const models[] = {"bert-cls-bf16", "bert-max-f16", "bert-unpooled",
                                         "bert-plain"};

    (void)state;
    for (int k = 0; k < GOLDEN_N_KERNELS; k++) {
        struct golden_device d;

        if (!golden_device_open(&d, golden_kernels[k], 2))
            continue;
        for (size_t i = 0; i < sizeof(models) / sizeof(models[0]); i++)
            encoder_agrees(&d, models[i]);
        golden_device_close(&d);
    }
}

static void cross_encoders_agree_with_transformers(void **state)
{
    (void)state;
    for (int k = 0; k < GOLDEN_N_KERNELS; k++) {
        struct golden_device d;

        if (!golden_device_open(&d, golden_kernels[k], 2))
            continue;
        cross_encoder_agrees(&d, "cross-f32", 1);
        cross_encoder_agrees(&d, "cross-3-bf16", 3);
        golden_device_close(&d);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(encoders_agree_with_sentence_transformers),
        cmocka_unit_test(cross_encoders_agree_with_transformers),
    };
    int n_failed;

    golden_tiny_make(&folder);
    rows = golden_rows("tiny_berts.jsonl");
    n_failed = cmocka_run_group_tests_name("golden_berts", tests, NULL, NULL);
    json_decref(rows);
    golden_tiny_remove(&folder);
    return n_failed;
}

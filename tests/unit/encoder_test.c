/* A text has one vector, whatever texts it is embedded with. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/memory.h"
#include "base/rng.h"
#include "model/encoder.h"
#include "tests/golden/golden.h"

enum { TEXTS = 150 }; /* more than a pass takes */

static struct buf folder; /* of the small models */

struct fixture {
    struct golden_device device;
    struct encoder *encoder;
};

static bool open_fixture(struct fixture *f, int kernels, int n_threads)
{
    struct status status = {0};
    struct buf path = {0};

    if (!golden_device_open(&f->device, golden_kernels[kernels], n_threads))
        return false;
    buf_printf(&path, "%s/bert-f32", folder.data);
    f->encoder = encoder_open(path.data, f->device.backend, f->device.device, &status);
    golden_need(f->encoder != NULL, path.data, &status);
    buf_release(&path);
    return true;
}

static void close_fixture(struct fixture *f)
{
    encoder_close(f->encoder);
    golden_device_close(&f->device);
}

/* Texts of 0 to 60 words of the letters that any vocabulary has. */
static struct buf make_text(uint32_t number)
{
    const int n_words = (int)(rng_uniform(1, 0, number) * 61);
    struct buf text = {0};

    for (int w = 0; w < n_words; w++) {
        buf_append_char(&text, ' ');
        for (uint64_t i = 0; i < 1 + (uint64_t)w % 5; i++)
            buf_append_char(&text,
                            (char)('a' + (int)(rng_uniform(2 + i, (uint64_t)w, number) * 26)));
    }
    return text;
}

static void embed(const struct fixture *f, const struct text *texts, size_t n, float *out,
                  int32_t *n_tokens)
{
    struct status status = {0};

    golden_need(encoder_embed(f->encoder, texts, NULL, n, out, n_tokens, &status), "embed",
                &status);
}

static void check_one_result(int kernels)
{
    struct buf buffers[TEXTS];
    struct text texts[TEXTS], backwards[TEXTS];
    struct fixture f;

    if (!open_fixture(&f, kernels, 2))
        return;
    const size_t dim = (size_t)encoder_dim(f.encoder);
    float *together = memory_zeroed(TEXTS * dim, sizeof(float));
    float *others = memory_zeroed(TEXTS * dim, sizeof(float));

    for (uint32_t i = 0; i < TEXTS; i++) {
        buffers[i] = make_text(i);
        texts[i] = backwards[TEXTS - 1 - i] = buf_text(&buffers[i]);
    }
    embed(&f, texts, TEXTS, together, NULL);
    embed(&f, backwards, TEXTS, others, NULL);
    for (size_t i = 0; i < TEXTS; i++)
        assert_memory_equal(together + i * dim, others + (TEXTS - 1 - i) * dim,
                            dim * sizeof(float));
    close_fixture(&f);
    open_fixture(&f, kernels, 1);
    for (size_t i = 0; i < TEXTS; i += 7) {
        embed(&f, &texts[i], 1, others, NULL);
        assert_memory_equal(together + i * dim, others, dim * sizeof(float));
    }
    close_fixture(&f);
    for (int i = 0; i < TEXTS; i++)
        buf_release(&buffers[i]);
    free(together);
    free(others);
}

static void a_vector_does_not_depend_on_its_company_or_on_threads(void **state)
{
    (void)state;
    for (int kernels = 0; kernels < GOLDEN_N_KERNELS; kernels++)
        check_one_result(kernels);
}

static void vectors_have_length_one_and_differ(void **state)
{
    const struct text texts[] = {text_of("fever"), text_of("a cough"), text_of("")};
    struct fixture f;

    (void)state;
    open_fixture(&f, 0, 1);
    const size_t dim = (size_t)encoder_dim(f.encoder);
    float *out = memory_zeroed(3 * dim, sizeof(float));

    embed(&f, texts, 3, out, NULL);
    for (size_t i = 0; i < 3; i++) {
        double squares = 0;

        for (size_t j = 0; j < dim; j++)
            squares += (double)out[i * dim + j] * (double)out[i * dim + j];
        assert_true(fabs(squares - 1) < 1e-5);
        assert_memory_not_equal(out + i * dim, out + (i + 1) % 3 * dim, dim * sizeof(float));
    }
    embed(&f, texts, 0, NULL, NULL); /* nothing asked, nothing done */
    free(out);
    close_fixture(&f);
}

static void long_texts_are_cut_and_their_tokens_counted(void **state)
{
    struct buf longer = {0}, longest = {0};
    int32_t n_tokens[3];
    struct fixture f;

    (void)state;
    open_fixture(&f, 0, 1);
    const size_t dim = (size_t)encoder_dim(f.encoder);
    const int max = encoder_max_tokens(f.encoder);
    float *out = memory_zeroed(3 * dim, sizeof(float));

    for (int i = 0; i < max; i++)
        buf_append_string(&longer, "a ");
    buf_append_text(&longest, buf_text(&longer));
    buf_append_string(&longest, "b c d");
    const struct text texts[] = {buf_text(&longer), buf_text(&longest), text_of("  a \n")};

    embed(&f, texts, 3, out, n_tokens);
    assert_int_equal(n_tokens[0], max + 2); /* with [CLS] and [SEP] */
    assert_int_equal(n_tokens[1], max + 5);
    assert_int_equal(n_tokens[2], 3);
    assert_memory_equal(out, out + dim, dim * sizeof(float)); /* what was cut is not seen */
    assert_memory_not_equal(out, out + 2 * dim, dim * sizeof(float));
    free(out);
    buf_release(&longer);
    buf_release(&longest);
    close_fixture(&f);
}

static void a_language_model_is_no_encoder(void **state)
{
    struct status status = {0};
    struct golden_device d;
    struct buf path = {0};

    (void)state;
    golden_device_open(&d, golden_kernels[0], 1);
    buf_printf(&path, "%s/mistral-f32", folder.data);
    assert_null(encoder_open(path.data, d.backend, d.device, &status));
    assert_int_equal(status.code, STATUS_CONFIG);
    assert_non_null(strstr(status.message, "not an encoder"));
    golden_device_close(&d);
    buf_release(&path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_vector_does_not_depend_on_its_company_or_on_threads),
        cmocka_unit_test(vectors_have_length_one_and_differ),
        cmocka_unit_test(long_texts_are_cut_and_their_tokens_counted),
        cmocka_unit_test(a_language_model_is_no_encoder),
    };
    int n_failed;

    golden_tiny_make(&folder);
    n_failed = cmocka_run_group_tests(tests, NULL, NULL);
    golden_tiny_remove(&folder);
    return n_failed;
}

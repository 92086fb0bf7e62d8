/* A pair has one score, whatever pairs it is scored with; what a folder of BERT lacks is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/memory.h"
#include "base/rng.h"
#include "file_bytes.h"
#include "model/cross_encoder.h"
#include "model/encoder.h"
#include "tests/golden/golden.h"

enum { PAIRS = 90, LABELS = 3 }; /* more than a pass takes */

static struct buf folder; /* of the small models */

/* The folder of a small model. */
static const char *model(const char *name)
{
    static char path[4200];

    snprintf(path, sizeof(path), "%s/%s", folder.data, name);
    return path;
}

/* Up to 40 words of one letter. */
static struct buf make_text(uint32_t number, uint64_t stream)
{
    const int n_words = (int)(rng_uniform(1, stream, number) * 41);
    struct buf text = {0};

    for (int w = 0; w < n_words; w++)
        buf_printf(&text, "%c ", 'a' + (int)(rng_uniform(2 + stream, (uint64_t)w, number) * 26));
    return text;
}

static void score(const struct golden_device *d, const struct text_pair *pairs, size_t n,
                  float *out)
{
    struct status status = {0};
    struct cross_encoder *cross =
        cross_encoder_open(model("cross-3-bf16"), d->backend, d->device, &status);

    golden_need(cross != NULL, "cross-3-bf16", &status);
    assert_int_equal(cross_encoder_n_labels(cross), LABELS);
    assert_int_equal(cross_encoder_max_tokens(cross), 64);
    assert_string_equal(cross_encoder_prompt(cross), "what is ");
    golden_need(cross_encoder_score(cross, pairs, n, out, NULL, &status), "score", &status);
    cross_encoder_close(cross);
}

static void check_one_result(const char *kernels)
{
    struct text_pair pairs[PAIRS], backwards[PAIRS];
    struct buf a[PAIRS], b[PAIRS];
    float together[PAIRS * LABELS], others[PAIRS * LABELS];
    struct golden_device d;

    if (!golden_device_open(&d, kernels, 2))
        return;
    for (uint32_t i = 0; i < PAIRS; i++) {
        a[i] = make_text(i, 0);
        b[i] = make_text(i, 1);
        pairs[i] = backwards[PAIRS - 1 - i] = (struct text_pair){buf_text(&a[i]), buf_text(&b[i])};
    }
    score(&d, pairs, PAIRS, together);
    score(&d, backwards, PAIRS, others);
    for (size_t i = 0; i < PAIRS; i++)
        assert_memory_equal(together + i * LABELS, others + (PAIRS - 1 - i) * LABELS,
                            LABELS * sizeof(float));
    golden_device_close(&d);
    golden_device_open(&d, kernels, 1);
    for (size_t i = 0; i < PAIRS; i += 11) {
        score(&d, &pairs[i], 1, others);
        assert_memory_equal(together + i * LABELS, others, LABELS * sizeof(float));
    }
    golden_device_close(&d);
    for (int i = 0; i < PAIRS; i++) {
        buf_release(&a[i]);
        buf_release(&b[i]);
    }
}

static void a_score_does_not_depend_on_its_company_or_on_threads(void **state)
{
    (void)state;
    for (int k = 0; k < GOLDEN_N_KERNELS; k++)
        check_one_result(golden_kernels[k]);
}

/* ---- what is refused --------------------------------------------------------------------- */

static const char bert[] = "\"model_type\":\"bert\",\"hidden_size\":48,\"num_hidden_layers\":2,"
                           "\"num_attention_heads\":3,\"intermediate_size\":90,\"vocab_size\":%d,"
                           "\"max_position_embeddings\":64,\"layer_norm_eps\":1e-12,"
                           "\"hidden_act\":\"gelu\",\"type_vocab_size\":%d";

/* A config.json of the small BERTs' sizes; `head`: its first members. */
static void write_config(const char *name, const char *head, int vocab_size, int types)
{
    struct buf config = {0};

    buf_printf(&config, "{%s,", head);
    buf_printf(&config, bert, vocab_size, types);
    buf_append_char(&config, '}');
    write_text(model(name), "config.json", config.data);
    buf_release(&config);
}

static void refuses(const char *name, bool cross, const char *message)
{
    struct status status = {0};
    struct golden_device d;

    golden_device_open(&d, golden_kernels[0], 1);
    if (cross)
        assert_null(cross_encoder_open(model(name), d.backend, d.device, &status));
    else
        assert_null(encoder_open(model(name), d.backend, d.device, &status));
    assert_int_equal(status.code, STATUS_CONFIG);
    assert_non_null(strstr(status.message, model(name)));
    if (!strstr(status.message, message))
        fail_msg("%s", status.message);
    golden_device_close(&d);
}

#define CLASSIFIER "\"architectures\":[\"BertForSequenceClassification\"]"
#define ONE_LABEL CLASSIFIER ",\"id2label\":{\"0\":\"LABEL_0\"}"

static void refuses_a_head_that_does_not_fit(void **state)
{
    (void)state;
    write_config("cross-f32", CLASSIFIER, 129, 2); /* two labels, where none is named */
    refuses("cross-f32", true, ": tensor 'classifier.weight': shape [1, 48], must be [2, 48]");
    write_config("bert-plain", ONE_LABEL, 129, 2);
    refuses("bert-plain", true, ": tensor 'classifier.weight' is missing");
    write_config("cross-f32", ONE_LABEL, 129, 1);
    refuses("cross-f32", true,
            ": config.json: type_vocab_size: must be at least 2 for pairs, is 1");
    refuses("bert-f32", true, ": is an encoder (BertModel), not a cross-encoder");
    refuses("llama-f32", true, ": is a language model ('llama'), not a cross-encoder");
    refuses("cross-3-bf16", false, ": is a cross-encoder (BertForSequenceClassification)");
}

static void refuses_weights_and_vocabularies_that_do_not_fit(void **state)
{
    struct buf words = {0};

    (void)state;
    write_config("bert-f32", "\"architectures\":[\"BertModel\"]", 128, 2);
    refuses("bert-f32", false,
            ": tensor 'embeddings.word_embeddings.weight': shape [129, 48], must be [128, 48]");
    buf_append_string(&words, "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n");
    for (int i = 5; i < 130; i++)
        buf_printf(&words, "w%d\n", i);
    write_config("bert-plain", "\"architectures\":[\"BertModel\"]", 129, 2);
    write_text(model("bert-plain"), "vocab.txt", words.data);
    refuses("bert-plain", false, ": the tokenizer has 130 tokens, the embedding only 129 rows");
    buf_release(&words);
}

static void refuses_a_prompt_that_leaves_no_room(void **state)
{
    struct buf settings = {0};

    (void)state;
    buf_append_string(&settings, "{\"prompts\":{\"query\":\"");
    for (int i = 0; i < 42; i++)
        buf_append_string(&settings, "a ");
    buf_append_string(&settings, "\"}}");
    write_text(model("bert-max-f16"), "config_sentence_transformers.json", settings.data);
    refuses("bert-max-f16", false, ": a prompt of 44 tokens leaves no room for a text in 44");
    buf_release(&settings);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_score_does_not_depend_on_its_company_or_on_threads),
        cmocka_unit_test(refuses_a_head_that_does_not_fit),
        cmocka_unit_test(refuses_weights_and_vocabularies_that_do_not_fit),
        cmocka_unit_test(refuses_a_prompt_that_leaves_no_room),
    };
    int n_failed;

    golden_tiny_make(&folder);
    n_failed = cmocka_run_group_tests(tests, NULL, NULL);
    golden_tiny_remove(&folder);
    return n_failed;
}

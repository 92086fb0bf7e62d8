/* A model opens whole or not at all, and says which tensor is at fault. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/memory.h"
#include "model/encoder.h"
#include "model/model.h"
#include "model/model_files.h"
#include "tests/golden/golden.h"
#include "tests/golden/tiny.h"

static struct buf folder; /* of the small models */
static struct golden_device device;

static struct model *open_model(const char *name, struct status *status)
{
    struct buf path = {0};
    struct model *model;

    buf_printf(&path, "%s/%s", folder.data, name);
    model = model_open(path.data, device.backend, device.device, status);
    buf_release(&path);
    return model;
}

static bool opens_encoder(const char *name, struct status *status)
{
    struct buf path = {0};
    struct encoder *encoder;

    buf_printf(&path, "%s/%s", folder.data, name);
    encoder = encoder_open(path.data, device.backend, device.device, status);
    buf_release(&path);
    encoder_close(encoder);
    return encoder != NULL;
}

/* config.json of a model with `from` replaced by `to`, which is as long. */
static void edit_config(const char *model, const char *from, const char *to)
{
    struct buf path = {0};
    char text[4096] = "";
    FILE *file;
    char *at;

    buf_printf(&path, "%s/%s/config.json", folder.data, model);
    file = fopen(path.data, "r+");
    assert_non_null(file);
    assert_true(fread(text, 1, sizeof(text) - 1, file) > 0);
    at = strstr(text, from);
    assert_non_null(at);
    assert_int_equal(strlen(from), strlen(to));
    assert_int_equal(fseek(file, at - text, SEEK_SET), 0);
    assert_int_equal(fputs(to, file) < 0, 0);
    assert_int_equal(fclose(file), 0);
    buf_release(&path);
}

static void refuses(const char *model, const char *from, const char *to, const char *message)
{
    struct status status = {0};

    edit_config(model, from, to);
    assert_null(open_model(model, &status));
    assert_int_equal(status.code, STATUS_CONFIG);
    assert_non_null(strstr(status.message, model));
    if (!strstr(status.message, message))
        fail_msg("'%s' is not in: %s", message, status.message);
    edit_config(model, to, from);
}

static void a_tensor_that_is_missing_or_misshapen_is_named(void **state)
{
    (void)state;
    refuses("mistral-f32", "\"num_hidden_layers\": 2", "\"num_hidden_layers\": 3",
            "tensor 'model.layers.2.input_layernorm.weight' is missing");
    refuses("mistral-f32", "\"intermediate_size\": 150", "\"intermediate_size\": 151",
            "tensor 'model.layers.0.mlp.gate_proj.weight': shape [150, 76], must be [151, 76]");
    refuses("mistral-f32", "\"vocab_size\": 307", "\"vocab_size\": 306",
            "tensor 'model.embed_tokens.weight': shape [307, 76], must be [306, 76]");
    refuses("mistral-f16", "\"num_key_value_heads\": 2", "\"num_key_value_heads\": 3",
            "tensor 'model.layers.0.self_attn.k_proj.weight': shape [64, 76], must be [96, 76]");
    refuses("mistral-bf16", "\"hidden_size\": 76", "\"hidden_size\": 75",
            "shape [307, 76], must be [307, 75]");
    refuses("llama-f32", "embeddings\": true,\n  ", "embeddings\": false,\n ",
            "tensor 'lm_head.weight' is missing");
}

/* What a config does not account for changes the model, so it must not be passed over. */
static void a_tensor_that_the_config_leaves_out_is_named(void **state)
{
    (void)state;
    refuses(
        "llama-3", "\"attention_bias\": true", "\"attention_bias\":false",
        "tensor 'model.layers.0.self_attn.k_proj.bias': is no part of a llama of 2 layers as its "
        "config describes it");
    refuses("llama-linear", "\"attention_bias\": false", "\"attention_bias\":  true",
            "tensor 'model.layers.0.self_attn.q_proj.bias' is missing");
    refuses("mistral-f32", "\"num_hidden_layers\": 2", "\"num_hidden_layers\": 1",
            "tensor 'model.layers.1.input_layernorm.weight': is no part of a mistral of 1 layers");
    refuses("mistral-f32", "embeddings\": false", "embeddings\":  true",
            "tensor 'lm_head.weight': differs from 'model.embed_tokens.weight', but "
            "tie_word_embeddings is true");
}

/* Two bytes of a tensor's, which lie in some file of the model, change places with `bytes`. */
static void swap_bytes(const char *model, const char *tensor, size_t at, char bytes[2])
{
    struct status status = {0};
    struct buf path = {0};
    struct model_files files;
    const struct tensor_entry *entry;
    const struct tensor_file *in;
    char old[2];
    FILE *file;
    long place;

    buf_printf(&path, "%s/%s", folder.data, model);
    golden_need(model_files_open(&files, path.data, &status), model, &status);
    entry = model_files_tensor(&files, tensor);
    assert_non_null(entry);
    in = model_files_tensors(&files);
    for (size_t i = 0; i < in->n_parts; i++) {
        if (tensor_file_find(&in->parts[i], entry->name))
            in = &in->parts[i];
    }
    place = (long)(entry->data - in->map.data) + (long)at;
    file = fopen(in->path ? in->path : path.data, "r+b");
    assert_non_null(file);
    assert_int_equal(fseek(file, place, SEEK_SET), 0);
    assert_int_equal(fread(old, 1, 2, file), 2);
    assert_int_equal(fseek(file, place, SEEK_SET), 0);
    assert_int_equal(fwrite(bytes, 1, 2, file), 2);
    assert_int_equal(fclose(file), 0);
    memcpy(bytes, old, 2);
    model_files_close(&files);
    buf_release(&path);
}

static void a_value_that_is_no_number_is_named_with_its_file(void **state)
{
    static const struct {
        const char *model, *tensor;
        size_t at;
        char bytes[3];
        const char *message;
    } bad[] = {
        {"mistral-f32", "model.embed_tokens.weight", 4 * 76 + 2, "\xC0\x7F",
         "/mistral-f32: model.safetensors: tensor 'model.embed_tokens.weight': value 76 is NaN"},
        {"mistral-shards", "model.layers.1.input_layernorm.weight", 142, "\x80\x7F",
         "/mistral-shards: model-00002-of-00003.safetensors: tensor "
         "'model.layers.1.input_layernorm.weight': value 71 is infinite"},
        {"llama-q4_1.gguf", "model.layers.0.mlp.up_proj.weight", 22, "\x00\xFC",
         "/llama-q4_1.gguf: tensor 'model.layers.0.mlp.up_proj.weight': a factor of values 32 to "
         "63 "
         "is infinite"},
        {"bert-f32", "encoder.layer.0.output.dense.bias", 2, "\xC0\xFF",
         "/bert-f32: model.safetensors: tensor 'encoder.layer.0.output.dense.bias': value 0 is "
         "NaN"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct status status = {0};
        char bytes[2];

        memcpy(bytes, bad[i].bytes, 2);
        swap_bytes(bad[i].model, bad[i].tensor, bad[i].at, bytes);
        if (strstr(bad[i].model, "bert"))
            assert_false(opens_encoder(bad[i].model, &status));
        else
            assert_null(open_model(bad[i].model, &status));
        assert_int_equal(status.code, STATUS_CONFIG);
        assert_string_equal(strrchr(status.message, '/') ? strrchr(status.message, '/') : "",
                            bad[i].message);
        swap_bytes(bad[i].model, bad[i].tensor, bad[i].at, bytes);
    }
}

/* As transformers 5: lm_head.weight beside tied embeddings may be there if it is the same. Old
 * files have the frequencies of positions too. */
static void a_copy_of_the_tied_embeddings_is_passed_over(void **state)
{
    static const struct tiny_shape s = {32, 1, 2, 2, 16, 32, 40, 64};
    struct tiny_model *m = memory_zeroed(1, sizeof(*m));
    const struct tiny_tensor *embed;
    struct tiny_tensor *head;
    struct status status = {0};
    struct model *model;
    char path[4096];

    (void)state;
    m->name = "copy";
    tiny_add_decoder(m, TINY_HF, TINY_F32, TINY_F32, TINY_F32, TINY_NONE, &s);
    for (embed = m->tensors; strcmp(embed->name, "model.embed_tokens.weight") != 0; embed++)
        ;
    head = tiny_add(m, TINY_F32, s.vocab_size, s.dim, embed->scale, "lm_head.weight");
    head->key = embed->key;
    tiny_add(m, TINY_F32, 8, 0, 1, "model.layers.0.self_attn.rotary_emb.inv_freq");
    tiny_make_dir(folder.data, "copy", path, sizeof(path));
    tiny_write_safetensors(path, m);
    tiny_write_text(path, "config.json",
                    "{\"architectures\": [\"LlamaForCausalLM\"], \"hidden_size\": 32,"
                    " \"num_hidden_layers\": 1, \"num_attention_heads\": 2,"
                    " \"intermediate_size\": 32, \"vocab_size\": 40,"
                    " \"max_position_embeddings\": 64, \"rms_norm_eps\": 1e-6,"
                    " \"tie_word_embeddings\": true}");
    model = open_model("copy", &status);
    golden_need(model != NULL, "copy", &status);
    assert_ptr_equal(model->weights.lm_head, model->weights.embed_tokens);
    model_close(model);
    free(m);
}

static void an_encoder_is_no_language_model(void **state)
{
    struct status status = {0};

    (void)state;
    assert_null(open_model("bert-f32", &status));
    assert_int_equal(status.code, STATUS_CONFIG);
    assert_non_null(strstr(status.message, "bert-f32: is an encoder"));
}

static void a_model_that_is_not_there_is_missing_input(void **state)
{
    struct status status = {0};

    (void)state;
    assert_null(open_model("nonesuch", &status));
    assert_int_equal(status.code, STATUS_NO_INPUT);
}

static void names_tell_models_apart_and_hold_their_hash(void **state)
{
    static const char *const names[] = {"mistral-f32",    "mistral-bf16",    "llama-f32",
                                        "llama-f32.gguf", "llama-q4_0.gguf", "llama-q4_1.gguf"};
    enum { N = sizeof(names) / sizeof(names[0]) };
    char hashes[N][32];

    (void)state;
    for (int i = 0; i < N; i++) {
        struct status status = {0};
        struct model *model = open_model(names[i], &status);
        const char *at;

        golden_need(model != NULL, names[i], &status);
        at = strchr(model->name, '@');
        assert_non_null(at);
        assert_int_equal(strlen(at), 17);
        assert_memory_equal(model->name, names[i], (size_t)(at - model->name));
        assert_null(strstr(model->name, ".gguf"));
        snprintf(hashes[i], sizeof(hashes[i]), "%s", at);
        for (int j = 0; j < i; j++)
            assert_string_not_equal(hashes[i], hashes[j]);
        model_close(model);
    }
}

static void a_model_without_a_tokenizer_says_why(void **state)
{
    struct status status = {0};
    struct model *model = open_model("mistral-f32", &status);

    (void)state;
    golden_need(model != NULL, "mistral-f32", &status);
    assert_null(model->tokenizer);
    assert_false(model_need_tokenizer(model, &status));
    assert_int_equal(status.code, STATUS_CONFIG);
    assert_true(strlen(status.message) > 0);
    model_close(model);
    model = open_model("llama-q4_1.gguf", &status);
    golden_need(model != NULL, "llama-q4_1.gguf", &status);
    assert_true(model_need_tokenizer(model, &status));
    model_close(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_tensor_that_is_missing_or_misshapen_is_named),
        cmocka_unit_test(a_tensor_that_the_config_leaves_out_is_named),
        cmocka_unit_test(a_value_that_is_no_number_is_named_with_its_file),
        cmocka_unit_test(a_copy_of_the_tied_embeddings_is_passed_over),
        cmocka_unit_test(an_encoder_is_no_language_model),
        cmocka_unit_test(a_model_that_is_not_there_is_missing_input),
        cmocka_unit_test(names_tell_models_apart_and_hold_their_hash),
        cmocka_unit_test(a_model_without_a_tokenizer_says_why),
    };
    int n_failed;

    golden_tiny_make(&folder);
    golden_device_open(&device, golden_kernels[0], 1);
    n_failed = cmocka_run_group_tests(tests, NULL, NULL);
    golden_device_close(&device);
    golden_tiny_remove(&folder);
    return n_failed;
}

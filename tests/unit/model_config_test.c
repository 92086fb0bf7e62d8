/* Model configurations: both spellings of config.json, GGUF keys, and what is refused by name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "file_bytes.h"
#include "formats/json_file.h"
#include "formats/model_config.h"

/* ---- config.json ------------------------------------------------------------------------- */

/* Mistral-7B-Instruct-v0.3 as transformers 4 writes it. */
static const char mistral_4[] =
    "{\"architectures\":[\"MistralForCausalLM\"],\"attention_dropout\":0.0,\"bos_token_id\":1,"
    "\"eos_token_id\":2,\"hidden_act\":\"silu\",\"hidden_size\":4096,\"initializer_range\":0.02,"
    "\"intermediate_size\":14336,\"max_position_embeddings\":32768,\"model_type\":\"mistral\","
    "\"num_attention_heads\":32,\"num_hidden_layers\":32,\"num_key_value_heads\":8,"
    "\"rms_norm_eps\":1e-05,\"rope_theta\":1000000.0,\"sliding_window\":null,"
    "\"tie_word_embeddings\":false,\"torch_dtype\":\"bfloat16\",\"use_cache\":true,"
    "\"vocab_size\":32768}";

/* A Llama as transformers 5 writes it. */
static const char llama_5[] =
    "{\"architectures\":[\"LlamaForCausalLM\"],\"attention_bias\":false,\"bos_token_id\":1,"
    "\"dtype\":\"bfloat16\",\"eos_token_id\":[2,0],\"head_dim\":48,\"hidden_act\":\"silu\","
    "\"hidden_size\":64,\"intermediate_size\":128,\"max_position_embeddings\":2048,"
    "\"mlp_bias\":false,\"model_type\":\"llama\",\"num_attention_heads\":4,"
    "\"num_hidden_layers\":2,\"num_key_value_heads\":2,\"pad_token_id\":null,"
    "\"rms_norm_eps\":1e-06,\"rope_parameters\":{\"rope_theta\":20000.0,"
    "\"rope_type\":\"default\"},\"tie_word_embeddings\":true,\"vocab_size\":96}";

static const char minilm[] =
    "{\"architectures\":[\"BertModel\"],\"attention_probs_dropout_prob\":0.1,"
    "\"hidden_act\":\"gelu\",\"hidden_size\":384,\"intermediate_size\":1536,"
    "\"layer_norm_eps\":1e-12,\"max_position_embeddings\":512,\"model_type\":\"bert\","
    "\"num_attention_heads\":12,\"num_hidden_layers\":6,\"pad_token_id\":0,"
    "\"position_embedding_type\":\"absolute\",\"type_vocab_size\":2,\"vocab_size\":30522}";

/* `base` with the members of `change`; a member named "-x" takes x away. */
static json_t *changed(const char *base, const char *change)
{
    struct status status = {0};
    json_t *root = json_file_parse(text_of(base), JSON_FILE_EXACT, &status);
    json_t *members = json_file_parse(text_of(change), JSON_FILE_EXACT, &status);
    const char *key;
    json_t *value;

    assert_non_null(root);
    assert_non_null(members);
    json_object_foreach(members, key, value)
    {
        if (key[0] == '-')
            json_object_del(root, key + 1);
        else
            json_object_set(root, key, value);
    }
    json_decref(members);
    return root;
}

static struct model_config read_changed(const char *base, const char *change)
{
    json_t *root = changed(base, change);
    struct model_config config;
    struct status status = {0};

    if (!model_config_from_json(&config, root, &status))
        fail_msg("%s: %s", change, status.message);
    json_decref(root);
    return config;
}

static void assert_double(double value, double wanted)
{
    assert_true(value >= wanted && value <= wanted);
}

static void reads_mistral_7b_in_the_spelling_of_transformers_4(void **state)
{
    const struct model_config c = read_changed(mistral_4, "{}");

    (void)state;
    assert_int_equal(c.architecture, ARCH_LLAMA);
    assert_string_equal(c.model_type, "mistral");
    assert_int_equal(c.dim, 4096);
    assert_int_equal(c.n_layers, 32);
    assert_int_equal(c.n_heads, 32);
    assert_int_equal(c.n_kv_heads, 8);
    assert_int_equal(c.head_dim, 128);
    assert_int_equal(c.ffn_dim, 14336);
    assert_int_equal(c.vocab_size, 32768);
    assert_int_equal(c.max_seq_len, 32768);
    assert_double((double)c.norm_eps, (double)1e-5f);
    assert_double(c.rope_theta, 1e6);
    assert_false(c.tied_embeddings);
    assert_false(c.qk_interleaved);
    assert_int_equal(c.bos_id, 1);
    assert_int_equal(c.n_eos_ids, 1);
    assert_int_equal(c.eos_ids[0], 2);
}

static void reads_a_llama_in_the_spelling_of_transformers_5(void **state)
{
    const struct model_config c = read_changed(llama_5, "{}");

    (void)state;
    assert_string_equal(c.model_type, "llama");
    assert_int_equal(c.head_dim, 48); /* not 64 / 4 */
    assert_double(c.rope_theta, 20000);
    assert_true(c.tied_embeddings);
    assert_int_equal(c.n_eos_ids, 2);
    assert_int_equal(c.eos_ids[0], 2);
    assert_int_equal(c.eos_ids[1], 0);
}

#define CLASSIFIER(members) "{\"architectures\":[\"BertForSequenceClassification\"]," members "}"

static void reads_a_classifier_and_its_number_of_labels(void **state)
{
    (void)state;
    assert_int_equal(read_changed(minilm, "{}").n_labels, 0);
    /* two, where no name is told */
    assert_int_equal(read_changed(minilm, CLASSIFIER("\"id2label\":null")).n_labels, 2);
    assert_int_equal(read_changed(minilm, CLASSIFIER("\"num_labels\":1")).n_labels, 1);
    assert_int_equal(read_changed(minilm, CLASSIFIER("\"id2label\":{\"0\":\"LABEL_0\"}")).n_labels,
                     1);
    assert_int_equal(
        read_changed(minilm, CLASSIFIER("\"id2label\":{\"0\":\"a\",\"1\":\"b\",\"2\":\"c\"},"
                                        "\"num_labels\":2"))
            .n_labels,
        3);
}

static void reads_the_activations_of_bert(void **state)
{
    (void)state;
    assert_int_equal(read_changed(minilm, "{}").activation, ACTIVATION_GELU);
    assert_int_equal(read_changed(minilm, "{\"-hidden_act\":0}").activation, ACTIVATION_GELU);
    assert_int_equal(read_changed(minilm, "{\"hidden_act\":\"gelu_new\"}").activation,
                     ACTIVATION_GELU_TANH);
    assert_int_equal(read_changed(minilm, "{\"hidden_act\":\"gelu_pytorch_tanh\"}").activation,
                     ACTIVATION_GELU_TANH);
    assert_int_equal(read_changed(minilm, "{\"hidden_act\":\"relu\"}").activation, ACTIVATION_RELU);
}

static void reads_a_bert(void **state)
{
    const struct model_config c = read_changed(minilm, "{}");

    (void)state;
    assert_int_equal(c.architecture, ARCH_BERT);
    assert_string_equal(c.model_type, "bert");
    assert_int_equal(c.dim, 384);
    assert_int_equal(c.n_heads, 12);
    assert_int_equal(c.n_kv_heads, 12);
    assert_int_equal(c.head_dim, 32);
    assert_int_equal(c.max_seq_len, 512);
    assert_int_equal(c.type_vocab_size, 2);
    assert_double((double)c.norm_eps, (double)1e-12f);
    assert_int_equal(c.bos_id, -1);
    assert_int_equal(c.n_eos_ids, 0);
}

static void takes_the_defaults_of_transformers(void **state)
{
    struct model_config c = read_changed(
        llama_5, "{\"-rope_parameters\":0,\"-num_key_value_heads\":0,\"head_dim\":null,"
                 "\"-tie_word_embeddings\":0,\"-bos_token_id\":0,\"-eos_token_id\":0,"
                 "\"-architectures\":0,\"-hidden_act\":0}");

    (void)state;
    assert_double(c.rope_theta, 10000);
    assert_int_equal(c.n_kv_heads, 4);
    assert_int_equal(c.head_dim, 16);
    assert_false(c.tied_embeddings);
    assert_int_equal(c.bos_id, 1);
    assert_int_equal(c.n_eos_ids, 1);
    assert_int_equal(c.eos_ids[0], 2);
    c = read_changed(llama_5, "{\"bos_token_id\":null,\"eos_token_id\":null}");
    assert_int_equal(c.bos_id, -1);
    assert_int_equal(c.n_eos_ids, 0);
}

/* A sliding window as long as the context changes nothing; rope settings may say "no scaling". */
static void takes_settings_that_change_nothing(void **state)
{
    (void)state;
    read_changed(mistral_4, "{\"sliding_window\":32768}");
    read_changed(mistral_4, "{\"-sliding_window\":0,\"max_position_embeddings\":4096}");
    read_changed(mistral_4, "{\"rope_scaling\":null,\"quantization_config\":null}");
    read_changed(mistral_4, "{\"rope_scaling\":{\"type\":\"default\"}}");
    read_changed(llama_5, "{\"partial_rotary_factor\":1.0,\"eos_token_id\":[2,2,2]}");
}

static const struct {
    const char *base, *change, *message;
} bad[] = {
    {mistral_4, "{\"architectures\":[\"Qwen2ForCausalLM\"]}",
     "architectures: 'Qwen2ForCausalLM' is not supported"},
    {mistral_4, "{\"architectures\":[\"Evil\\u001b[2J\"]}", "architectures: '?' is not supported"},
    {mistral_4, "{\"architectures\":[]}", "architectures: must be an array of one string"},
    {mistral_4, "{\"architectures\":\"MistralForCausalLM\"}",
     "architectures: must be an array of one string"},
    {mistral_4, "{\"architectures\":[7]}", "architectures: must be an array of one string"},
    {mistral_4, "{\"-architectures\":0,\"-model_type\":0}", "architectures: missing"},
    {mistral_4, "{\"-architectures\":0,\"model_type\":\"phi3\"}",
     "model_type: 'phi3' is not supported"},
    {mistral_4, "{\"model_type\":\"llama\"}",
     "model_type: 'llama' is not supported with MistralForCausalLM"},
    {mistral_4, "{\"model_type\":7}", "model_type: must be a string, is an integer"},
    {mistral_4, "{\"-hidden_size\":0}", "hidden_size: missing"},
    {mistral_4, "{\"hidden_size\":null}", "hidden_size: missing"},
    {mistral_4, "{\"hidden_size\":0}", "hidden_size: must be an integer from 1 to 65536, is 0"},
    {mistral_4, "{\"hidden_size\":-4096}",
     "hidden_size: must be an integer from 1 to 65536, is -4096"},
    {mistral_4, "{\"hidden_size\":65537}",
     "hidden_size: must be an integer from 1 to 65536, is 65537"},
    {mistral_4, "{\"hidden_size\":9223372036854775807}",
     "hidden_size: must be an integer from 1 to 65536, is 9223372036854775807"},
    {mistral_4, "{\"hidden_size\":\"4096\"}",
     "hidden_size: must be an integer from 1 to 65536, is a string"},
    {mistral_4, "{\"hidden_size\":4096.0}",
     "hidden_size: must be an integer from 1 to 65536, is a number"},
    {mistral_4, "{\"hidden_size\":[4096]}",
     "hidden_size: must be an integer from 1 to 65536, is a list"},
    {mistral_4, "{\"hidden_size\":true}",
     "hidden_size: must be an integer from 1 to 65536, is a boolean"},
    {mistral_4, "{\"hidden_size\":4097}",
     "hidden_size: must be a multiple of num_attention_heads 32, is 4097"},
    {mistral_4, "{\"num_attention_heads\":1,\"num_key_value_heads\":1}",
     "hidden_size: heads of 4096, at most 1024 are computed"},
    {mistral_4, "{\"num_hidden_layers\":1025}",
     "num_hidden_layers: must be an integer from 1 to 1024, is 1025"},
    {mistral_4, "{\"num_attention_heads\":0}",
     "num_attention_heads: must be an integer from 1 to 1024, is 0"},
    {mistral_4, "{\"num_key_value_heads\":7}",
     "num_key_value_heads: must divide num_attention_heads 32, is 7"},
    {mistral_4, "{\"num_key_value_heads\":64}",
     "num_key_value_heads: must divide num_attention_heads 32, is 64"},
    {mistral_4, "{\"head_dim\":127}", "head_dim: must be even for rotary positions, is 127"},
    {mistral_4, "{\"head_dim\":2048}", "head_dim: must be an integer from 1 to 1024, is 2048"},
    {mistral_4, "{\"intermediate_size\":1048577}",
     "intermediate_size: must be an integer from 1 to 1048576, is 1048577"},
    {mistral_4, "{\"vocab_size\":4194305}",
     "vocab_size: must be an integer from 1 to 4194304, is 4194305"},
    {mistral_4, "{\"max_position_embeddings\":0}",
     "max_position_embeddings: must be an integer from 1 to 16777216, is 0"},
    {mistral_4, "{\"rms_norm_eps\":0}", "rms_norm_eps: must be a number from 1e-30 to 1, is 0"},
    {mistral_4, "{\"rms_norm_eps\":\"x\"}",
     "rms_norm_eps: must be a number from 1e-30 to 1, is a string"},
    {mistral_4, "{\"rope_theta\":0.5}", "rope_theta: must be a number from 1 to 1e+12, is 0.5"},
    {mistral_4, "{\"hidden_act\":\"gelu\"}", "hidden_act: 'gelu' is not supported, only 'silu'"},
    {mistral_4, "{\"sliding_window\":4096}",
     "sliding_window: 4096 of 32768 positions is not supported; null, or no less than "
     "max_position_embeddings, is"},
    {mistral_4, "{\"-sliding_window\":0}", /* absent: the class's default */
     "sliding_window: 4096 of 32768 positions is not supported; null, or no less than "
     "max_position_embeddings, is"},
    {mistral_4, "{\"rope_scaling\":{\"type\":\"linear\",\"factor\":2.0}}",
     "rope_scaling: type: 'linear' is not supported, only 'default'"},
    {mistral_4, "{\"rope_scaling\":{\"rope_type\":\"llama3\"}}",
     "rope_scaling: rope_type: 'llama3' is not supported, only 'default'"},
    {mistral_4, "{\"rope_scaling\":7}", "rope_scaling: must be an object"},
    {mistral_4, "{\"quantization_config\":{\"quant_method\":\"bitsandbytes\"}}",
     "quantization_config: checkpoints quantised by 'bitsandbytes' are not supported"},
    {mistral_4, "{\"quantization_config\":{}}",
     "quantization_config: checkpoints quantised by '?' are not supported"},
    {mistral_4, "{\"tie_word_embeddings\":1}",
     "tie_word_embeddings: must be true or false, is an integer"},
    {mistral_4, "{\"bos_token_id\":32768}",
     "bos_token_id: must be an integer from 0 to 32767, is 32768"},
    {mistral_4, "{\"eos_token_id\":32768}", "eos_token_id: 32768 is no token of 32768"},
    {mistral_4, "{\"eos_token_id\":[2,-1]}", "eos_token_id: -1 is no token of 32768"},
    {mistral_4, "{\"eos_token_id\":\"2\"}",
     "eos_token_id: must be an integer or an array of integers"},
    {mistral_4, "{\"eos_token_id\":[0,1,2,3,4,5,6,7,8]}", "eos_token_id: more than 8 end tokens"},
    {llama_5, "{\"rope_parameters\":{\"rope_type\":\"yarn\",\"factor\":4}}",
     "rope_parameters: rope_type: 'yarn' is not supported, only 'default'"},
    {llama_5, "{\"rope_parameters\":{\"partial_rotary_factor\":0.5}}",
     "partial_rotary_factor: 0.5 is not supported"},
    {llama_5, "{\"partial_rotary_factor\":0.25}", "partial_rotary_factor: 0.25 is not supported"},
    {llama_5, "{\"attention_bias\":true}", "attention_bias: true is not supported"},
    {llama_5, "{\"mlp_bias\":true}", "mlp_bias: true is not supported"},
    {llama_5, "{\"mlp_bias\":\"no\"}", "mlp_bias: must be true or false, is a string"},
    {minilm, "{\"architectures\":[\"BertForMaskedLM\"]}",
     "architectures: 'BertForMaskedLM' is not supported"},
    {minilm, "{\"hidden_act\":\"silu\"}",
     "hidden_act: 'silu' is not supported, only 'gelu', 'gelu_new', 'gelu_pytorch_tanh' and "
     "'relu'"},
    {minilm, "{\"hidden_act\":3}", "hidden_act: must be a string, is an integer"},
    {minilm, CLASSIFIER("\"id2label\":{}"), "id2label: must be an object of 1 to 65536 names"},
    {minilm, CLASSIFIER("\"id2label\":[\"a\"]"), "id2label: must be an object of 1 to 65536 names"},
    {minilm, CLASSIFIER("\"num_labels\":0"),
     "num_labels: must be an integer from 1 to 65536, is 0"},
    {minilm, "{\"hidden_size\":12300,\"num_attention_heads\":12}",
     "hidden_size: heads of 1025, at most 1024 are computed"},
    {minilm, "{\"position_embedding_type\":\"relative_key\"}",
     "position_embedding_type: 'relative_key' is not supported, only 'absolute'"},
    {minilm, "{\"is_decoder\":true}", "is_decoder: true is not supported"},
    {minilm, "{\"add_cross_attention\":true}", "add_cross_attention: true is not supported"},
    {minilm, "{\"-type_vocab_size\":0}", "type_vocab_size: missing"},
    {minilm, "{\"-layer_norm_eps\":0}", "layer_norm_eps: missing"},
    {minilm, "{\"num_attention_heads\":7}",
     "hidden_size: must be a multiple of num_attention_heads 7, is 384"},
};

static void refuses_by_name_what_is_not_computed(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        json_t *root = changed(bad[i].base, bad[i].change);
        struct model_config config;
        struct status status = {0};

        assert_false(model_config_from_json(&config, root, &status));
        assert_string_equal(status.message, bad[i].message);
        assert_int_equal(status.code, STATUS_CONFIG);
        json_decref(root);
    }
}

/* ---- the files of a folder --------------------------------------------------------------- */

static void assert_file(const char *folder, const char *wanted)
{
    struct buf path = {0}, message = {0};
    struct model_config config;
    struct status status = {0};

    buf_printf(&path, "%s/config.json", folder);
    buf_printf(&message, "%s/%s", folder, wanted ? wanted : "");
    assert_int_equal(model_config_read_json(&config, path.data, &status), wanted == NULL);
    if (wanted)
        assert_string_equal(status.message, message.data);
    buf_release(&path);
    buf_release(&message);
}

static void names_file_line_and_key(void **state)
{
    char folder[64];

    (void)state;
    make_folder(folder);
    assert_file(folder, "config.json: No such file or directory");
    write_text(folder, "config.json", "");
    assert_file(folder, "config.json: is empty, not a JSON file");
    write_text(folder, "config.json", "[]");
    assert_file(folder, "config.json: must be an object");
    write_text(folder, "config.json", "{\"a\":1,\n\"a\":2}");
    assert_file(folder, "config.json: line 2, column 3: duplicate object key");
    write_text(folder, "config.json", "{\"architectures\":[\"LlamaForCausalLM\"]}");
    assert_file(folder, "config.json: hidden_size: missing");
    write_text(folder, "config.json", llama_5);
    assert_file(folder, NULL);
    write_text(folder, "generation_config.json", "{\"eos_token_id\":[2,96]}");
    assert_file(folder, "generation_config.json: eos_token_id: 96 is no token of 96");
    write_text(folder, "generation_config.json", "{\"eos_token_id\":");
    assert_file(folder,
                "generation_config.json: line 1, column 16: unexpected token near end of file");
    remove_file(folder, "generation_config.json");
    remove_file(folder, "config.json");
    rmdir(folder);
}

static void adds_the_end_tokens_of_generation_config(void **state)
{
    char folder[64];
    struct buf path = {0};
    struct model_config c;
    struct status status = {0};

    (void)state;
    make_folder(folder);
    buf_printf(&path, "%s/config.json", folder);
    write_text(folder, "config.json", llama_5);
    write_text(folder, "generation_config.json", "{\"eos_token_id\":[0,7]}");
    assert_true(model_config_read_json(&c, path.data, &status));
    assert_int_equal(c.n_eos_ids, 3);
    assert_int_equal(c.eos_ids[0], 2);
    assert_int_equal(c.eos_ids[1], 0);
    assert_int_equal(c.eos_ids[2], 7);
    remove_file(folder, "generation_config.json");
    remove_file(folder, "config.json");
    rmdir(folder);
    buf_release(&path);
}

/* ---- GGUF -------------------------------------------------------------------------------- */

enum { T_F32 = 0 };

/* One key of a GGUF file; type 0 takes the key away. */
struct pair {
    const char *key;
    uint32_t type; /* BYTES_U32, BYTES_F32, BYTES_STRING */
    double number;
    const char *string;
};

static const struct pair good_pairs[] = {
    {"general.architecture", BYTES_STRING, 0, "llama"},
    {"llama.context_length", BYTES_U32, 8192, NULL},
    {"llama.embedding_length", BYTES_U32, 576, NULL},
    {"llama.block_count", BYTES_U32, 30, NULL},
    {"llama.feed_forward_length", BYTES_U32, 1536, NULL},
    {"llama.attention.head_count", BYTES_U32, 9, NULL},
    {"llama.attention.head_count_kv", BYTES_U32, 3, NULL},
    {"llama.attention.layer_norm_rms_epsilon", BYTES_F32, 0.25, NULL},
    {"llama.rope.freq_base", BYTES_F32, 100000, NULL},
    {"llama.rope.dimension_count", BYTES_U32, 64, NULL},
    {"llama.vocab_size", BYTES_U32, 49152, NULL},
    {"tokenizer.ggml.bos_token_id", BYTES_U32, 1, NULL},
    {"tokenizer.ggml.eos_token_id", BYTES_U32, 2, NULL},
};

#define N_GOOD (sizeof(good_pairs) / sizeof(good_pairs[0]))

static void put_pair(struct buf *b, const struct pair *pair)
{
    if (pair->type == BYTES_STRING)
        put_key_string(b, pair->key, pair->string);
    else if (pair->type == BYTES_F32)
        put_key_f32(b, pair->key, (float)pair->number);
    else
        put_key_u32(b, pair->key, (uint32_t)pair->number);
}

/* The good pairs with one changed, added or taken away, and one tensor of this name. */
static bool read_gguf(struct model_config *config, const struct pair *change, const char *tensor,
                      struct status *status)
{
    struct buf body = {0}, bytes = {0};
    struct gguf gguf;
    uint64_t n = 0;
    bool ok, placed = false;

    for (size_t i = 0; i < N_GOOD; i++) {
        const bool same = strcmp(good_pairs[i].key, change->key) == 0;
        const struct pair *pair = same ? change : &good_pairs[i];

        placed = placed || same;
        if (pair->type == 0)
            continue;
        put_pair(&body, pair);
        n++;
    }
    if (!placed && change->type != 0) {
        put_pair(&body, change);
        n++;
    }
    put_gguf_start(&bytes, 1, n);
    buf_append_text(&bytes, buf_text(&body));
    put_tensor(&bytes, tensor, 2, 2, T_F32, 0);
    put_padding(&bytes, 32);
    put_zeros(&bytes, 16);
    assert_true(gguf_read(&gguf, (const uint8_t *)bytes.data, bytes.len, status));
    ok = model_config_read_gguf(config, &gguf, status);
    gguf_close(&gguf);
    buf_release(&body);
    buf_release(&bytes);
    return ok;
}

static void reads_the_keys_of_a_llama_gguf(void **state)
{
    struct model_config c;
    struct status status = {0};

    (void)state;
    assert_true(read_gguf(&c, &(struct pair){"x", 0, 0, NULL}, "token_embd.weight", &status));
    assert_int_equal(c.architecture, ARCH_LLAMA);
    assert_string_equal(c.model_type, "llama");
    assert_int_equal(c.dim, 576);
    assert_int_equal(c.n_layers, 30);
    assert_int_equal(c.n_heads, 9);
    assert_int_equal(c.n_kv_heads, 3);
    assert_int_equal(c.head_dim, 64);
    assert_int_equal(c.ffn_dim, 1536);
    assert_int_equal(c.vocab_size, 49152);
    assert_int_equal(c.max_seq_len, 8192);
    assert_double((double)c.norm_eps, 0.25);
    assert_double(c.rope_theta, 100000);
    assert_true(c.tied_embeddings);
    assert_true(c.qk_interleaved);
    assert_int_equal(c.bos_id, 1);
    assert_int_equal(c.n_eos_ids, 1);
    assert_int_equal(c.eos_ids[0], 2);
}

static void takes_what_a_gguf_leaves_out_from_the_rest(void **state)
{
    struct model_config c;
    struct status status = {0};

    (void)state;
    assert_true(read_gguf(&c, &(struct pair){"llama.rope.freq_base", 0, 0, NULL},
                          "token_embd.weight", &status));
    assert_double(c.rope_theta, 10000);
    assert_true(read_gguf(&c, &(struct pair){"llama.attention.head_count_kv", 0, 0, NULL},
                          "output.weight", &status));
    assert_int_equal(c.n_kv_heads, 9);
    assert_false(c.tied_embeddings);
    assert_true(read_gguf(&c, &(struct pair){"tokenizer.ggml.eot_token_id", BYTES_U32, 0, NULL},
                          "token_embd.weight", &status));
    assert_int_equal(c.n_eos_ids, 2);
    assert_int_equal(c.eos_ids[1], 0);
}

static const struct {
    struct pair change;
    const char *message;
} bad_pairs[] = {
    {{"general.architecture", 0, 0, NULL}, "general.architecture: missing"},
    {{"general.architecture", BYTES_U32, 7, NULL},
     "general.architecture: must be a string, is an integer"},
    {{"general.architecture", BYTES_STRING, 0, "bert"},
     "general.architecture: 'bert' is not supported, only 'llama'"},
    {{"general.architecture", BYTES_STRING, 0, "\033[2J"},
     "general.architecture: '?' is not supported, only 'llama'"},
    {{"general.type", BYTES_STRING, 0, "adapter"},
     "general.type: 'adapter' is not supported, only 'model'"},
    {{"llama.embedding_length", 0, 0, NULL}, "llama.embedding_length: missing"},
    {{"llama.embedding_length", BYTES_U32, 65537, NULL},
     "llama.embedding_length: must be an integer from 1 to 65536, is 65537"},
    {{"llama.embedding_length", BYTES_STRING, 0, "576"},
     "llama.embedding_length: must be an integer, is a string"},
    {{"llama.embedding_length", BYTES_U32, 577, NULL},
     "llama.embedding_length: must be a multiple of llama.attention.head_count 9, is 577"},
    {{"llama.block_count", BYTES_U32, 0, NULL},
     "llama.block_count: must be an integer from 1 to 1024, is 0"},
    {{"llama.context_length", BYTES_U32, 4294967295.0, NULL},
     "llama.context_length: must be an integer from 1 to 16777216, is 4294967295"},
    {{"llama.attention.head_count_kv", BYTES_U32, 2, NULL},
     "llama.attention.head_count_kv: must divide llama.attention.head_count 9, is 2"},
    {{"llama.attention.layer_norm_rms_epsilon", 0, 0, NULL},
     "llama.attention.layer_norm_rms_epsilon: missing"},
    {{"llama.attention.layer_norm_rms_epsilon", BYTES_F32, 2, NULL},
     "llama.attention.layer_norm_rms_epsilon: must be a number from 1e-30 to 1, is 2"},
    {{"llama.attention.key_length", BYTES_U32, 63, NULL},
     "llama.attention.key_length: must be even for rotary positions, is 63"},
    {{"llama.attention.value_length", BYTES_U32, 32, NULL},
     "llama.attention.value_length: 32 is not supported with keys of 64"},
    {{"llama.rope.dimension_count", BYTES_U32, 32, NULL},
     "llama.rope.dimension_count: 32 is not supported with heads of 64"},
    {{"llama.rope.freq_base", BYTES_F32, 0, NULL},
     "llama.rope.freq_base: must be a number from 1 to 1e+12, is 0"},
    {{"llama.rope.scaling.type", BYTES_STRING, 0, "linear"},
     "llama.rope.scaling.type: 'linear' is not supported, only 'none'"},
    {{"llama.rope.scaling.factor", BYTES_F32, 4, NULL},
     "llama.rope.scaling.factor: 4 is not supported"},
    {{"llama.rope.scale_linear", BYTES_F32, 0.5, NULL},
     "llama.rope.scale_linear: 0.5 is not supported"},
    {{"llama.expert_count", BYTES_U32, 8, NULL},
     "llama.expert_count: mixtures of experts are not supported"},
    {{"llama.attention.sliding_window", BYTES_U32, 4096, NULL},
     "llama.attention.sliding_window: 4096 of 8192 positions is not supported"},
    {{"llama.vocab_size", 0, 0, NULL}, "llama.vocab_size: missing"},
    {{"tokenizer.ggml.bos_token_id", BYTES_U32, 49152, NULL},
     "tokenizer.ggml.bos_token_id: 49152 is no token of 49152"},
    {{"tokenizer.ggml.eos_token_id", BYTES_U32, 4294967295.0, NULL},
     "tokenizer.ggml.eos_token_id: 4294967295 is no token of 49152"},
};

static void refuses_gguf_keys_by_name(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(bad_pairs) / sizeof(bad_pairs[0]); i++) {
        struct model_config config;
        struct status status = {0};

        assert_false(read_gguf(&config, &bad_pairs[i].change, "token_embd.weight", &status));
        assert_string_equal(status.message, bad_pairs[i].message);
        assert_int_equal(status.code, STATUS_CONFIG);
    }
}

static void refuses_gguf_tensors_that_change_the_model(void **state)
{
    const struct pair nothing = {"x", 0, 0, NULL};
    struct model_config config;
    struct status status = {0};

    (void)state;
    assert_false(read_gguf(&config, &nothing, "rope_freqs.weight", &status));
    assert_string_equal(status.message,
                        "tensor 'rope_freqs.weight': rope scaling is not supported");
    assert_false(read_gguf(&config, &nothing, "blk.0.attn_q.bias", &status));
    assert_string_equal(status.message, "tensor 'blk.0.attn_q.bias': biases are not supported");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_mistral_7b_in_the_spelling_of_transformers_4),
        cmocka_unit_test(reads_a_llama_in_the_spelling_of_transformers_5),
        cmocka_unit_test(reads_a_bert),
        cmocka_unit_test(reads_a_classifier_and_its_number_of_labels),
        cmocka_unit_test(reads_the_activations_of_bert),
        cmocka_unit_test(takes_the_defaults_of_transformers),
        cmocka_unit_test(takes_settings_that_change_nothing),
        cmocka_unit_test(refuses_by_name_what_is_not_computed),
        cmocka_unit_test(names_file_line_and_key),
        cmocka_unit_test(adds_the_end_tokens_of_generation_config),
        cmocka_unit_test(reads_the_keys_of_a_llama_gguf),
        cmocka_unit_test(takes_what_a_gguf_leaves_out_from_the_rest),
        cmocka_unit_test(refuses_gguf_keys_by_name),
        cmocka_unit_test(refuses_gguf_tensors_that_change_the_model),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

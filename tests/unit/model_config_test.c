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
    assert_double(c.rope.theta, 1e6);
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
    assert_double(c.rope.theta, 20000);
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
    assert_double(c.rope.theta, 10000);
    assert_int_equal(c.n_kv_heads, 4);
    assert_int_equal(c.head_dim, 16);
    assert_false(c.tied_embeddings);
    assert_int_equal(c.bos_id, 1);
    assert_int_equal(c.n_eos_ids, 1);
    assert_int_equal(c.eos_ids[0], 2);
    c = read_changed(llama_5, "{\"bos_token_id\":null,\"eos_token_id\":null}");
    assert_int_equal(c.bos_id, -1);
    assert_int_equal(c.n_eos_ids, 0);
    assert_int_equal(read_changed(mistral_4, "{\"-num_key_value_heads\":0}").n_kv_heads, 8);
    assert_int_equal(read_changed(mistral_4, "{\"num_key_value_heads\":null}").n_kv_heads, 32);
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

#define LLAMA3(members) "{\"rope_type\":\"llama3\"," members "}"
#define BANDS "\"factor\":8,\"low_freq_factor\":1,\"high_freq_factor\":4"
#define ORIGINAL(n) ",\"original_max_position_embeddings\":" n

static void reads_the_scaling_of_positions_in_both_spellings(void **state)
{
    struct rope_config r = read_changed(mistral_4, "{\"rope_scaling\":{\"type\":\"linear\","
                                                   "\"factor\":4}}")
                               .rope;

    (void)state;
    assert_int_equal(r.scaling, ROPE_LINEAR);
    assert_double(r.theta, 1e6); /* beside it */
    assert_double(r.factor, 4);
    r = read_changed(llama_5, "{\"rope_parameters\":{\"rope_type\":\"linear\",\"factor\":1.5,"
                              "\"rope_theta\":7e4}}")
            .rope;
    assert_int_equal(r.scaling, ROPE_LINEAR);
    assert_double(r.theta, 7e4);
    assert_double(r.factor, 1.5);
    r = read_changed(llama_5, "{\"rope_scaling\":" LLAMA3(BANDS ORIGINAL("64")) "}").rope;
    assert_int_equal(r.scaling, ROPE_LLAMA3);
    assert_double(r.theta, 10000); /* rope_scaling takes the place of rope_parameters */
    assert_double(r.factor, 8);
    assert_double(r.low_freq_factor, 1);
    assert_double(r.high_freq_factor, 4);
    assert_int_equal(r.original_positions, 64);
    r = read_changed(
            llama_5,
            "{\"original_max_position_embeddings\":32,\"rope_parameters\":" LLAMA3(BANDS) "}")
            .rope;
    assert_int_equal(r.original_positions, 32);
    /* an empty object is none */
    assert_double(read_changed(llama_5, "{\"rope_scaling\":{}}").rope.theta, 20000);
    r = read_changed(llama_5, "{\"layer_types\":[\"full_attention\",\"full_attention\"],"
                              "\"rope_parameters\":{\"full_attention\":{\"rope_theta\":3e4},"
                              "\"sliding_attention\":null}}")
            .rope;
    assert_double(r.theta, 3e4);
}

static void reads_windows_and_biases(void **state)
{
    struct model_config c = read_changed(mistral_4, "{\"sliding_window\":4096}");

    (void)state;
    assert_int_equal(c.sliding_window, 4096);
    assert_int_equal(read_changed(mistral_4, "{}").sliding_window, 0);
    /* absent: the class's default */
    assert_int_equal(read_changed(mistral_4, "{\"-sliding_window\":0}").sliding_window, 4096);
    assert_int_equal(read_changed(mistral_4, "{\"sliding_window\":9,\"num_hidden_layers\":1,"
                                             "\"layer_types\":[\"sliding_attention\"]}")
                         .sliding_window,
                     9);
    c = read_changed(llama_5, "{\"attention_bias\":true}");
    assert_true(c.attention_bias && !c.mlp_bias);
    c = read_changed(llama_5, "{\"mlp_bias\":true}");
    assert_true(c.mlp_bias && !c.attention_bias);
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
    {mistral_4, "{\"sliding_window\":0}",
     "sliding_window: must be an integer from 1 to 2147483647, is 0"},
    {mistral_4, "{\"sliding_window\":\"all\"}",
     "sliding_window: must be an integer from 1 to 2147483647, is a string"},
    {llama_5, "{\"sliding_window\":2047}",
     "sliding_window: 2047 of 2048 positions is not supported with model_type 'llama'"},
    {llama_5, "{\"layer_types\":[\"full_attention\"]}", "layer_types: must be an array of 2 names"},
    {llama_5, "{\"layer_types\":\"full_attention\"}", "layer_types: must be an array of 2 names"},
    {llama_5, "{\"layer_types\":[\"full_attention\",7]}",
     "layer_types: '?' is not supported, only 'full_attention' and 'sliding_attention'"},
    {llama_5, "{\"layer_types\":[\"chunked_attention\",\"chunked_attention\"]}",
     "layer_types: 'chunked_attention' is not supported, only 'full_attention' and "
     "'sliding_attention'"},
    {llama_5, "{\"layer_types\":[\"full_attention\",\"sliding_attention\"]}",
     "layer_types: layers of several types are not supported"},
    {llama_5, "{\"layer_types\":[\"sliding_attention\",\"sliding_attention\"]}",
     "layer_types: 'sliding_attention', but sliding_window is null"},
    {mistral_4,
     "{\"num_hidden_layers\":1,\"layer_types\":[\"full_attention\"],\"sliding_window\":4096}",
     "sliding_window: 4096 of 32768 positions, but layer_types has 'full_attention'"},
    {llama_5, "{\"per_layer_config\":{\"0\":{\"hidden_size\":8}}}",
     "per_layer_config: layers that differ are not supported"},
    {mistral_4, "{\"rope_scaling\":7}", "rope_scaling: must be an object"},
    {mistral_4, "{\"rope_scaling\":{\"type\":\"dynamic\",\"factor\":2.0}}",
     "rope_scaling: rope_type: 'dynamic' is not supported, only 'default', 'linear' and 'llama3'"},
    {mistral_4, "{\"rope_scaling\":{\"rope_type\":\"longrope\"}}",
     "rope_scaling: rope_type: 'longrope' is not supported, only 'default', 'linear' and 'llama3'"},
    {mistral_4, "{\"rope_scaling\":{\"rope_type\":\"linear\",\"type\":\"llama3\"}}",
     "rope_scaling: rope_type: 'linear', but type is 'llama3'"},
    {mistral_4, "{\"rope_scaling\":{\"rope_type\":3}}",
     "rope_scaling: rope_type: must be a string, is an integer"},
    {mistral_4, "{\"rope_scaling\":{\"type\":\"linear\"}}", "rope_scaling: factor: missing"},
    {mistral_4, "{\"rope_scaling\":{\"type\":\"linear\",\"factor\":0}}",
     "rope_scaling: factor: must be a number from 1e-06 to 1e+06, is 0"},
    {mistral_4, "{\"rope_scaling\":{\"type\":\"linear\",\"factor\":\"2\"}}",
     "rope_scaling: factor: must be a number from 1e-06 to 1e+06, is a string"},
    {mistral_4, "{\"rope_scaling\":{\"type\":\"linear\",\"factor\":2,\"rope_theta\":0}}",
     "rope_scaling: rope_theta: must be a number from 1 to 1e+12, is 0"},
    {llama_5, "{\"rope_scaling\":" LLAMA3("\"factor\":8") "}",
     "rope_scaling: low_freq_factor: missing"},
    {llama_5, "{\"rope_scaling\":" LLAMA3("\"factor\":8,\"low_freq_factor\":1") "}",
     "rope_scaling: high_freq_factor: missing"},
    {llama_5, "{\"rope_scaling\":" LLAMA3(BANDS) "}",
     "rope_scaling: original_max_position_embeddings: missing"},
    {llama_5, "{\"rope_scaling\":" LLAMA3(BANDS ORIGINAL("0")) "}",
     "rope_scaling: original_max_position_embeddings: must be an integer from 1 to 16777216, is 0"},
    {llama_5,
     "{\"original_max_position_embeddings\":64,\"rope_scaling\":" LLAMA3(BANDS ORIGINAL("128")) "}",
     "rope_scaling: original_max_position_embeddings: 128, but 64 outside of it"},
    {llama_5,
     "{\"rope_scaling\":" LLAMA3("\"factor\":8,\"low_freq_factor\":4,\"high_freq_factor\":4") "}",
     "rope_scaling: high_freq_factor: must be more than low_freq_factor 4, is 4"},
    {llama_5, "{\"rope_parameters\":{\"full_attention\":{\"rope_theta\":1e5}}}",
     "rope_parameters: 'full_attention': settings by type of layer are not supported, but where "
     "layer_types has one type"},
    {mistral_4, "{\"quantization_config\":{\"quant_method\":\"bitsandbytes\"}}",
     "quantization_config: load_in_4bit: 8-bit weights (llm.int8()) are not supported, only nf4"},
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
     "rope_parameters: rope_type: 'yarn' is not supported, only 'default', 'linear' and 'llama3'"},
    {llama_5, "{\"rope_parameters\":{\"partial_rotary_factor\":0.5}}",
     "rope_parameters: partial_rotary_factor: 0.5 is not supported"},
    {llama_5, "{\"partial_rotary_factor\":0.25}", "partial_rotary_factor: 0.25 is not supported"},
    {mistral_4, "{\"attention_bias\":true}", "attention_bias: true is not supported"},
    {mistral_4, "{\"mlp_bias\":true}", "mlp_bias: true is not supported"},
    {llama_5, "{\"attention_bias\":1}", "attention_bias: must be true or false, is an integer"},
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_mistral_7b_in_the_spelling_of_transformers_4),
        cmocka_unit_test(reads_a_llama_in_the_spelling_of_transformers_5),
        cmocka_unit_test(reads_a_bert),
        cmocka_unit_test(reads_the_scaling_of_positions_in_both_spellings),
        cmocka_unit_test(reads_windows_and_biases),
        cmocka_unit_test(reads_a_classifier_and_its_number_of_labels),
        cmocka_unit_test(reads_the_activations_of_bert),
        cmocka_unit_test(takes_the_defaults_of_transformers),
        cmocka_unit_test(takes_settings_that_change_nothing),
        cmocka_unit_test(refuses_by_name_what_is_not_computed),
        cmocka_unit_test(names_file_line_and_key),
        cmocka_unit_test(adds_the_end_tokens_of_generation_config),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

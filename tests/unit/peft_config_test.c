/* adapter_config.json: what is read of each version of PEFT, and what is refused by name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "file_bytes.h"
#include "formats/json_file.h"
#include "formats/peft_config.h"

/* As PEFT 0.21 writes it, sorted, with all that is not used. */
static const char newest[] =
    "{\"alora_invocation_tokens\":null,\"alpha_pattern\":{},\"arrow_config\":null,"
    "\"auto_mapping\":null,\"base_model_name_or_path\":\"org/base\",\"bias\":\"none\","
    "\"corda_config\":null,\"ensure_weight_tying\":false,\"eva_config\":null,"
    "\"exclude_modules\":null,\"fan_in_fan_out\":false,\"inference_mode\":true,"
    "\"init_lora_weights\":true,\"kasa_config\":null,\"layer_replication\":null,"
    "\"layers_pattern\":null,\"layers_to_transform\":null,\"loftq_config\":{},"
    "\"lora_alpha\":32,\"lora_bias\":false,\"lora_dropout\":0.05,\"lora_ga_config\":null,"
    "\"megatron_config\":null,\"megatron_core\":\"megatron.core\",\"modules_to_save\":null,"
    "\"monteclora_config\":null,\"peft_type\":\"LORA\",\"peft_version\":\"0.21.2\","
    "\"qalora_group_size\":16,\"r\":16,\"rank_pattern\":{},\"revision\":null,"
    "\"target_modules\":[\"q_proj\",\"v_proj\"],\"target_parameters\":null,"
    "\"task_type\":\"CAUSAL_LM\",\"trainable_token_indices\":null,\"use_bdlora\":null,"
    "\"use_dora\":false,\"use_qalora\":false,\"use_rslora\":true,\"velora_config\":null}";

/* As 0.5 wrote it. */
static const char oldest[] =
    "{\"auto_mapping\":null,\"base_model_name_or_path\":\"org/base\",\"bias\":\"none\","
    "\"fan_in_fan_out\":false,\"inference_mode\":true,\"init_lora_weights\":true,"
    "\"layers_pattern\":null,\"layers_to_transform\":null,\"lora_alpha\":16,\"lora_dropout\":0.1,"
    "\"modules_to_save\":null,\"peft_type\":\"LORA\",\"r\":64,\"revision\":null,"
    "\"target_modules\":[\"q_proj\"],\"task_type\":\"CAUSAL_LM\"}";

static bool parse(struct peft_config *config, const char *text, struct status *status)
{
    json_t *root = json_file_parse(text_of(text), JSON_FILE_EXACT, status);

    assert_non_null(root);
    return peft_config_parse(config, root, status);
}

static struct peft_config read_good(const char *text)
{
    struct peft_config config;
    struct status status = {0};

    if (!parse(&config, text, &status))
        fail_msg("%s", status.message);
    return config;
}

static void reads_what_peft_0_21_writes(void **state)
{
    struct peft_config c = read_good(newest);

    (void)state;
    assert_int_equal(c.r, 16);
    assert_true(c.lora_alpha >= 32 && c.lora_alpha <= 32);
    assert_true(c.use_rslora);
    assert_int_equal(c.target_modules.n_names, 2);
    assert_string_equal(c.target_modules.names[1], "v_proj");
    assert_null(c.target_modules.pattern);
    assert_false(c.exclude_modules.given);
    assert_null(c.layers);
    assert_string_equal(c.base_model, "org/base");
    assert_null(c.revision);
    assert_string_equal(c.peft_version, "0.21.2");
    peft_config_release(&c);
}

static void reads_what_peft_0_5_wrote(void **state)
{
    struct peft_config c = read_good(oldest);

    (void)state;
    assert_int_equal(c.r, 64);
    assert_false(c.use_rslora);
    assert_int_equal(c.n_ranks, 0);
    assert_null(c.peft_version);
    peft_config_release(&c);
}

static void the_least_config_has_defaults(void **state)
{
    struct peft_config c = read_good("{\"peft_type\":\"LORA\",\"target_modules\":\"all-linear\"}");

    (void)state;
    assert_int_equal(c.r, 8);
    assert_true(c.lora_alpha >= 8 && c.lora_alpha <= 8);
    assert_string_equal(c.target_modules.pattern, "all-linear");
    assert_null(c.base_model);
    peft_config_release(&c);
}

static void patterns_keep_their_order(void **state)
{
    struct peft_config c =
        read_good("{\"peft_type\":\"LORA\",\"rank_pattern\":{\"b\":4,\"a\":2,\"c\":9},"
                  "\"alpha_pattern\":{\"z\":1.5,\"y\":-3},\"layers_to_transform\":7}");

    (void)state;
    assert_int_equal(c.n_ranks, 3);
    assert_string_equal(c.ranks[0].pattern, "b");
    assert_string_equal(c.ranks[2].pattern, "c");
    assert_true(c.ranks[1].value >= 2 && c.ranks[1].value <= 2);
    assert_int_equal(c.n_alphas, 2);
    assert_string_equal(c.alphas[1].pattern, "y");
    assert_int_equal(c.n_layers, 1);
    assert_int_equal(c.layers[0], 7);
    peft_config_release(&c);
}

static void what_only_training_needs_is_passed_over(void **state)
{
    static const char *const members[] = {
        "\"init_lora_weights\":\"gaussian\"",
        "\"init_lora_weights\":\"eva\",\"eva_config\":{\"rho\":2.0}",
        "\"init_lora_weights\":false",
        "\"loftq_config\":{\"loftq_bits\":4}",
        "\"corda_config\":{\"x\":1}",
        "\"auto_mapping\":{\"base_model_class\":\"MistralForCausalLM\",\"unsloth_fixed\":true}",
        "\"modules_to_save\":[]",
        "\"fan_in_fan_out\":true",
        "\"not_known\":null",
        "\"not_known\":false",
        "\"not_known\":\"\"",
        "\"not_known\":[]",
        "\"not_known\":{}",
        "\"task_type\":\"SEQ_CLS\"",
        "\"layers_pattern\":[]",
        "\"bias\":null",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
        struct buf text = {0};
        struct peft_config c;

        buf_printf(&text, "{\"peft_type\":\"LORA\",%s}", members[i]);
        c = read_good(text.data);
        peft_config_release(&c);
        buf_release(&text);
    }
}

static const struct {
    const char *members, *message;
} bad[] = {
    {"\"peft_type\":null", "peft_type: missing"},
    {"\"peft_type\":\"LOHA\"", "peft_type: 'LOHA' is not supported, only 'LORA'"},
    {"\"peft_type\":\"\\u0001\"", "peft_type: '?' is not supported, only 'LORA'"},
    {"\"r\":0", "r: must be an integer from 1 to 1048576, is 0"},
    {"\"r\":-4", "r: must be an integer from 1 to 1048576, is -4"},
    {"\"r\":\"16\"", "r: must be an integer from 1 to 1048576, is a string"},
    {"\"lora_alpha\":\"x\"", "lora_alpha: must be a number from -1e+09 to 1e+09, is a string"},
    {"\"lora_dropout\":2", "lora_dropout: must be a number from 0 to 1, is 2"},
    {"\"use_rslora\":1", "use_rslora: must be true or false, is an integer"},
    {"\"bias\":\"all\"", "bias: 'all' is not supported, only 'none'"},
    {"\"bias\":\"lora_only\"", "bias: 'lora_only' is not supported, only 'none'"},
    {"\"use_dora\":true", "use_dora: DoRA: not supported"},
    {"\"lora_bias\":true", "lora_bias: biases of lora_B: not supported"},
    {"\"modules_to_save\":[\"lm_head\"]",
     "modules_to_save: modules that are saved whole: not supported"},
    {"\"trainable_token_indices\":[1,2]",
     "trainable_token_indices: embeddings of single tokens: not supported"},
    {"\"target_parameters\":[\"x\"]",
     "target_parameters: parameters that are no modules: not supported"},
    {"\"layer_replication\":[[0,4],[2,5]]",
     "layer_replication: layers used several times: not supported"},
    {"\"alora_invocation_tokens\":[5]", "alora_invocation_tokens: aLoRA: not supported"},
    {"\"arrow_config\":{\"top_k\":3}", "arrow_config: Arrow: not supported"},
    {"\"kasa_config\":{\"x\":3}", "kasa_config: KaSA: not supported"},
    {"\"velora_config\":{\"x\":3}", "velora_config: VeLoRA: not supported"},
    {"\"monteclora_config\":{\"x\":3}", "monteclora_config: MonteCLoRA: not supported"},
    {"\"megatron_config\":{\"x\":3}", "megatron_config: Megatron: not supported"},
    {"\"use_qalora\":true", "use_qalora: QALoRA: not supported"},
    {"\"use_bdlora\":{\"x\":1}", "use_bdlora: BD-LoRA: not supported"},
    {"\"ensure_weight_tying\":true",
     "ensure_weight_tying: adapters of tied weights: not supported"},
    {"\"qalora_group_size\":32",
     "qalora_group_size: not known, and its value is not null, false or empty"},
    {"\"megatron_core\":\"mine\"",
     "megatron_core: not known, and its value is not null, false or empty"},
    {"\"new_thing\":1", "new_thing: not known, and its value is not null, false or empty"},
    {"\"new\\u0007\":1", "?: not known, and its value is not null, false or empty"},
    {"\"init_lora_weights\":\"pissa\"",
     "init_lora_weights: 'pissa' is not supported: it changes the base model too"},
    {"\"init_lora_weights\":\"pissa_niter_16\"",
     "init_lora_weights: 'pissa_niter_16' is not supported: it changes the base model too"},
    {"\"init_lora_weights\":\"loftq\"",
     "init_lora_weights: 'loftq' is not supported: it changes the base model too"},
    {"\"init_lora_weights\":3", "init_lora_weights: must be a boolean or a string, is an integer"},
    {"\"target_modules\":3", "target_modules: must be a string or a list, is an integer"},
    {"\"target_modules\":[\"a\",3]", "target_modules[1]: must be a string, is an integer"},
    {"\"exclude_modules\":{}", "exclude_modules: must be a string or a list, is an object"},
    {"\"layers_to_transform\":\"1\"",
     "layers_to_transform: must be an integer or a list of them, has a string"},
    {"\"layers_to_transform\":[1,1.5]",
     "layers_to_transform: must be an integer or a list of them, has a number"},
    {"\"target_modules\":\".*q\",\"layers_to_transform\":[1]",
     "layers_to_transform: not with a string in target_modules"},
    {"\"target_modules\":\".*q\",\"layers_pattern\":\"h\"",
     "layers_pattern: not with a string in target_modules"},
    {"\"layers_pattern\":\"h\"", "layers_pattern: not without layers_to_transform"},
    {"\"rank_pattern\":[]", "rank_pattern: must be an object, is a list"},
    {"\"rank_pattern\":{\"q_proj\":0}",
     "rank_pattern['q_proj']: a rank must be an integer from 1 to 1048576"},
    {"\"rank_pattern\":{\"q_proj\":4.0}",
     "rank_pattern['q_proj']: a rank must be an integer from 1 to 1048576"},
    {"\"alpha_pattern\":{\"q_proj\":\"4\"}",
     "alpha_pattern['q_proj']: an alpha must be a number from -1e+09 to 1e+09"},
    {"\"alpha_pattern\":{\"q_proj\":1e10}",
     "alpha_pattern['q_proj']: an alpha must be a number from -1e+09 to 1e+09"},
    {"\"revision\":1", "revision: must be a string, is an integer"},
    {"\"base_model_name_or_path\":[\"a\"]", "base_model_name_or_path: must be a string, is a list"},
};

static void what_changes_the_result_is_refused_by_name(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        const bool has_type = strstr(bad[i].members, "peft_type") != NULL;
        struct status status = {0};
        struct peft_config c;
        struct buf text = {0};

        buf_printf(&text, "{%s%s}", has_type ? "" : "\"peft_type\":\"LORA\",", bad[i].members);
        if (parse(&c, text.data, &status))
            fail_msg("%s", text.data);
        assert_string_equal(status.message, bad[i].message);
        assert_int_equal(status.code, STATUS_CONFIG);
        assert_null(c.root);
        buf_release(&text);
    }
}

static void lists_have_limits(void **state)
{
    static const char *const keys[] = {"target_modules", "layers_to_transform"};
    struct status status = {0};
    struct peft_config c;

    (void)state;
    for (size_t k = 0; k < 2; k++) {
        struct buf text = {0};

        buf_printf(&text, "{\"peft_type\":\"LORA\",\"%s\":[0", keys[k]);
        for (size_t i = 0; i < PEFT_CONFIG_MAX_NAMES; i++)
            buf_append_string(&text, ",0");
        buf_append_string(&text, "]}");
        assert_false(parse(&c, text.data, &status));
        assert_non_null(strstr(status.message, "16385 n"));
        buf_release(&text);
    }
    struct buf text = {0};

    buf_append_string(&text, "{\"peft_type\":\"LORA\",\"rank_pattern\":{\"a\":1");
    for (size_t i = 0; i < PEFT_CONFIG_MAX_PATTERNS; i++)
        buf_printf(&text, ",\"%zu\":1", i);
    buf_append_string(&text, "}}");
    assert_false(parse(&c, text.data, &status));
    assert_string_equal(status.message, "rank_pattern: 2049 patterns, at most 2048 are read");
    buf_release(&text);
}

static void a_file_is_named_in_the_message(void **state)
{
    struct status status = {0};
    struct peft_config c;
    struct buf path = {0};
    char folder[64];

    (void)state;
    make_folder(folder);
    buf_printf(&path, "%s/%s", folder, PEFT_CONFIG_FILE);
    assert_false(peft_config_read(&c, path.data, &status));
    assert_int_equal(status.code, STATUS_NO_INPUT);
    write_text(folder, PEFT_CONFIG_FILE, "{\"peft_type\":\"LORA\",");
    assert_false(peft_config_read(&c, path.data, &status));
    assert_non_null(strstr(status.message, "adapter_config.json: line 1, column 20: "));
    write_text(folder, PEFT_CONFIG_FILE, "[]");
    assert_false(peft_config_read(&c, path.data, &status));
    assert_non_null(strstr(status.message, "adapter_config.json: must be an object, is a list"));
    write_text(folder, PEFT_CONFIG_FILE, oldest);
    assert_true(peft_config_read(&c, path.data, &status));
    peft_config_release(&c);
    remove_file(folder, PEFT_CONFIG_FILE);
    rmdir(folder);
    buf_release(&path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_peft_0_21_writes),
        cmocka_unit_test(reads_what_peft_0_5_wrote),
        cmocka_unit_test(the_least_config_has_defaults),
        cmocka_unit_test(patterns_keep_their_order),
        cmocka_unit_test(what_only_training_needs_is_passed_over),
        cmocka_unit_test(what_changes_the_result_is_refused_by_name),
        cmocka_unit_test(lists_have_limits),
        cmocka_unit_test(a_file_is_named_in_the_message),
    };

    return cmocka_run_group_tests_name("peft_config", tests, NULL, NULL);
}

/* sentence-transformers folders: what is read, in the spelling up to 5 and from 6 on, and what is
 * refused by name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "file_bytes.h"
#include "formats/sbert_config.h"

enum { DIM = 384, POSITIONS = 512 };

/* The files that a folder may have. NULL in a case: as in the good folder; "": not there. */
enum { MODULES, POOLING, NORMALIZE, LIMIT, TOKENIZER, SETTINGS, N_FILES };

static const char *const names[N_FILES] = {
    "modules.json",
    "1_Pooling/config.json",
    "2_Normalize/config.json",
    "sentence_bert_config.json",
    "tokenizer_config.json",
    "config_sentence_transformers.json",
};

#define MODULE(type, path) "{\"type\":\"sentence_transformers." type "\",\"path\":\"" path "\"}"

static const char *const good_5[N_FILES] = {
    "[" MODULE("models.Transformer", "") "," MODULE("models.Pooling", "1_Pooling") "," MODULE(
        "models.Normalize", "2_Normalize") "]",
    "{\"word_embedding_dimension\":384,\"pooling_mode_cls_token\":false,"
    "\"pooling_mode_mean_tokens\":true,\"pooling_mode_max_tokens\":false,"
    "\"pooling_mode_mean_sqrt_len_tokens\":false}",
    "",
    "{\"max_seq_length\":256,\"do_lower_case\":false}",
    "{\"do_lower_case\":true,\"model_max_length\":512}",
    "{\"__version__\":{\"sentence_transformers\":\"2.0.0\"}}",
};

static const char *const good_6[N_FILES] = {
    "[" MODULE("base.modules.transformer.Transformer", "") "," MODULE(
        "sentence_transformer.modules.pooling.Pooling",
        "1_Pooling") "," MODULE("base.modules.normalize.Normalize", "2_Normalize") "]",
    "{\"embedding_dimension\":384,\"pooling_mode\":\"mean\",\"include_prompt\":true}",
    "{\"module_input_name\":\"sentence_embedding\",\"module_output_name\":\"sentence_embedding\"}",
    "{\"transformer_task\":\"feature-extraction\",\"modality_config\":{\"text\":{\"method\":"
    "\"forward\",\"method_output_name\":\"last_hidden_state\"}},\"module_output_name\":"
    "\"token_embeddings\"}",
    "{\"model_max_length\":256}",
    "{\"default_prompt_name\":null,\"prompts\":{\"document\":\"\",\"query\":\"\"}}",
};

/* A CrossEncoder that sentence-transformers 6 saved. */
static const char *const cross_6[N_FILES] = {
    "[" MODULE("base.modules.transformer.Transformer", "") "]",
    "",
    "",
    "{\"transformer_task\":\"sequence-classification\",\"modality_config\":{\"text\":{\"method\":"
    "\"forward\",\"method_output_name\":\"logits\"}},\"module_output_name\":\"scores\"}",
    "{\"model_max_length\":512}",
    "{\"activation_fn\":\"torch.nn.modules.activation.Sigmoid\",\"default_prompt_name\":\"q\","
    "\"model_type\":\"CrossEncoder\",\"prompts\":{\"q\":\"find: \",\"other\":\"x\"}}",
};

/* Read a folder of these files; *folder is where it was. */
static bool read_folder(struct sbert_config *config, enum sbert_kind kind,
                        const char *const files[N_FILES], char folder[64], struct status *status)
{
    bool ok;

    make_folder(folder);
    for (int i = 0; i < N_FILES; i++) {
        struct buf path = {0};

        buf_printf(&path, "%s/%s", folder, names[i]);
        if (strchr(names[i], '/')) {
            *strrchr(path.data, '/') = '\0';
            mkdir(path.data, 0700);
        }
        buf_release(&path);
        if (files[i][0])
            write_text(folder, names[i], files[i]);
    }
    ok = sbert_config_read(config, kind, folder, DIM, POSITIONS, status);
    for (int i = 0; i < N_FILES; i++)
        remove_file(folder, names[i]);
    remove_file(folder, "1_Pooling");
    remove_file(folder, "2_Normalize");
    rmdir(folder);
    return ok;
}

static struct sbert_config prompts; /* of the last good folder, released by the next */

static struct sbert_config read_good(const char *const base[N_FILES], int file, const char *text)
{
    const char *files[N_FILES];
    struct sbert_config config;
    struct status status = {0};
    char folder[64];

    memcpy(files, base, sizeof(files));
    if (file < N_FILES)
        files[file] = text;
    if (!read_folder(&config, base == cross_6 ? SBERT_CROSS_ENCODER : SBERT_ENCODER, files, folder,
                     &status))
        fail_msg("%s", status.message);
    sbert_config_release(&prompts);
    prompts = config;
    return config;
}

static void reads_a_folder_of_sentence_transformers_up_to_5(void **state)
{
    const struct sbert_config config = read_good(good_5, N_FILES, NULL);

    (void)state;
    assert_int_equal(config.max_seq_length, 256);
    assert_int_equal(config.pooling, SBERT_MEAN);
    assert_true(config.normalize);
}

static void reads_a_folder_of_sentence_transformers_6(void **state)
{
    const struct sbert_config config = read_good(good_6, N_FILES, NULL);

    (void)state;
    assert_int_equal(config.max_seq_length, 256);
    assert_int_equal(config.pooling, SBERT_MEAN);
    assert_true(config.normalize);
}

/* As sentence-transformers does: mean pooling, no normalisation, the tokenizer's limit. */
static void reads_a_folder_without_modules(void **state)
{
    static const char *const bare[N_FILES] = {"", "", "", "", "{\"model_max_length\":300}", ""};
    struct sbert_config config = read_good(bare, N_FILES, NULL);

    (void)state;
    assert_int_equal(config.max_seq_length, 300);
    assert_int_equal(config.pooling, SBERT_MEAN);
    assert_false(config.normalize);
    config = read_good(bare, TOKENIZER, "");
    assert_int_equal(config.max_seq_length, POSITIONS);
    /* what transformers writes for "no limit" */
    config = read_good(bare, TOKENIZER, "{\"model_max_length\":1000000000000000019884624838656}");
    assert_int_equal(config.max_seq_length, POSITIONS);
}

static void takes_harmless_variants(void **state)
{
    struct sbert_config config;

    (void)state;
    config = read_good(
        good_5, MODULES,
        "[" MODULE("models.Transformer", "") "," MODULE("models.Pooling", "1_Pooling") "]");
    assert_false(config.normalize);
    read_good(good_5, SETTINGS, "");
    read_good(good_5, TOKENIZER, "");
    read_good(good_5, LIMIT, "{\"max_seq_length\":256,\"do_lower_case\":true}");
    config = read_good(good_5, LIMIT, "{\"max_seq_length\":null}");
    assert_int_equal(config.max_seq_length, POSITIONS);
    config = read_good(good_5, POOLING, "{}");
    assert_int_equal(config.pooling, SBERT_MEAN);
}

static void reads_the_three_poolings_in_both_spellings(void **state)
{
    static const struct {
        const char *const *base;
        const char *text;
        enum sbert_pooling pooling;
    } good[] = {
        {good_5, "{\"pooling_mode_cls_token\":true,\"pooling_mode_mean_tokens\":false}", SBERT_CLS},
        {good_5, "{\"pooling_mode_max_tokens\":true,\"pooling_mode_lasttoken\":false}", SBERT_MAX},
        {good_5, "{\"pooling_mode_mean_tokens\":false}", SBERT_MEAN}, /* none said: the mean */
        {good_6, "{\"pooling_mode\":[\"mean\"]}", SBERT_MEAN},
        {good_6, "{\"pooling_mode\":\"cls\"}", SBERT_CLS},
        {good_6, "{\"pooling_mode\":[\"max\"]}", SBERT_MAX},
        /* the flags are of no account beside the name */
        {good_6, "{\"pooling_mode\":\"max\",\"pooling_mode_cls_token\":true}", SBERT_MAX},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        const struct sbert_config config = read_good(good[i].base, POOLING, good[i].text);

        assert_int_equal(config.pooling, good[i].pooling);
        assert_true(config.pools_prompt);
    }
    assert_false(read_good(good_6, POOLING, "{\"include_prompt\":false}").pools_prompt);
}

static void check_prompts(const char *const *base, const char *settings, const char *query,
                          const char *document)
{
    const struct sbert_config config = read_good(base, SETTINGS, settings);

    assert_string_equal(config.query_prompt, query);
    assert_string_equal(config.document_prompt, document);
}

/* As encode_query and encode_document take them. */
static void reads_prompts_and_similarity(void **state)
{
    (void)state;
    check_prompts(good_6, "", "", "");
    check_prompts(good_6, "{\"prompts\":null}", "", "");
    check_prompts(good_6, "{\"prompts\":{\"query\":\"q: \",\"document\":null}}", "q: ", "");
    check_prompts(good_6, "{\"prompts\":{\"passage\":\"p: \",\"query\":\"q: \"}}", "q: ", "p: ");
    check_prompts(good_6, "{\"prompts\":{\"corpus\":\"c\",\"passage\":\"p\",\"document\":\"d\"}}",
                  "", "d");
    check_prompts(good_6, "{\"prompts\":{\"corpus\":\"c\"}}", "", "c");
    /* what encode alone would take is for neither */
    check_prompts(good_6, "{\"prompts\":{\"s\":\"s: \"},\"default_prompt_name\":\"s\"}", "", "");
    check_prompts(good_6, "{\"prompts\":{},\"default_prompt_name\":\"query\"}", "", "");
    assert_int_equal(read_good(good_6, SETTINGS, "{}").similarity, SBERT_COSINE);
    assert_int_equal(read_good(good_6, SETTINGS, "{\"similarity_fn_name\":null}").similarity,
                     SBERT_COSINE);
    assert_int_equal(read_good(good_6, SETTINGS, "{\"similarity_fn_name\":\"dot\"}").similarity,
                     SBERT_DOT);
}

static void reads_a_cross_encoder(void **state)
{
    static const char *const bare[N_FILES] = {"", "", "", "", "{\"model_max_length\":300}", ""};
    struct sbert_config config = read_good(cross_6, N_FILES, NULL);
    struct status status = {0};
    char folder[64];

    (void)state;
    assert_int_equal(config.max_seq_length, 512);
    assert_true(config.has_modules);
    check_prompts(cross_6, "", "", "");
    check_prompts(cross_6, "{\"prompts\":{\"q\":\"find: \"},\"default_prompt_name\":\"q\"}",
                  "find: ", "");
    check_prompts(cross_6, "{\"prompts\":{\"query\":\"find: \"}}", "",
                  ""); /* none is the default */
    /* transformers' own folder, without modules.json */
    assert_true(read_folder(&config, SBERT_CROSS_ENCODER, bare, folder, &status));
    assert_int_equal(config.max_seq_length, 300);
    assert_false(config.has_modules);
    sbert_config_release(&config);
}

static const struct {
    const char *const *base;
    int file;
    const char *text;
    const char *message; /* behind the folder's name */
} bad[] = {
    {good_5, MODULES, "{}", "/modules.json: must list a Transformer and a Pooling"},
    {good_5, MODULES, "[]", "/modules.json: must list a Transformer and a Pooling"},
    {good_5, MODULES, "[" MODULE("models.Transformer", "") "]",
     "/modules.json: must list a Transformer and a Pooling"},
    {good_5, MODULES, "[7]", "/modules.json: module 0: must be an object"},
    {good_5, MODULES, "[{\"path\":\"\"}]", "/modules.json: module 0: type: missing"},
    {good_5, MODULES, "[{\"type\":\"sentence_transformers.models.Transformer\"}]",
     "/modules.json: module 0: path: missing"},
    {good_5, MODULES, "[{\"type\":\"my.code.Transformer\",\"path\":\"\"}]",
     "/modules.json: module 0: 'my.code.Transformer' is not supported, only Transformer, Pooling, "
     "Normalize in this order"},
    {good_5, MODULES,
     "[" MODULE("models.Transformer", "") "," MODULE("models.Pooling", "1_Pooling") "," MODULE(
         "models.Dense", "2_Dense") "]",
     "/modules.json: module 2: 'sentence_transformers.models.Dense' is not supported, only "
     "Transformer, Pooling, Normalize in this order"},
    {good_5, MODULES,
     "[" MODULE("models.Transformer", "") "," MODULE("models.Pooling", "1_Pooling") "," MODULE(
         "models.Normalize", "2_Normalize") "," MODULE("models.Normalize", "3_Normalize") "]",
     "/modules.json: module 3: 'sentence_transformers.models.Normalize' is not supported, only "
     "Transformer, Pooling, Normalize in this order"},
    {good_5, MODULES, "[" MODULE("models.Transformer", "0_Transformer") "]",
     "/modules.json: module 0: a transformer in the folder '0_Transformer' is not supported"},
    {good_5, MODULES,
     "[" MODULE("models.Transformer", "") "," MODULE("models.Pooling", "../1_Pooling") "]",
     "/modules.json: module 1: path '../1_Pooling' leads out of the folder"},
    {good_5, MODULES, "[" MODULE("models.Transformer", "") "," MODULE("models.Pooling", "/etc") "]",
     "/modules.json: module 1: path '/etc' leads out of the folder"},
    {good_5, MODULES, "[", "/modules.json: line 1, column 1: ']' expected near end of file"},
    {good_5, POOLING, "", "/1_Pooling/config.json: No such file or directory"},
    {good_5, POOLING, "[]", "/1_Pooling/config.json: must be an object"},
    {good_5, POOLING, "{\"word_embedding_dimension\":768}",
     "/1_Pooling/config.json: word_embedding_dimension: must be a number from 384 to 384, is 768"},
    {good_5, POOLING, "{\"pooling_mode_cls_token\":true,\"pooling_mode_mean_tokens\":true}",
     "/1_Pooling/config.json: pooling_mode_mean_tokens: true is not supported beside "
     "pooling_mode_cls_token"},
    {good_5, POOLING, "{\"pooling_mode_mean_sqrt_len_tokens\":true}",
     "/1_Pooling/config.json: pooling_mode_mean_sqrt_len_tokens: true is not supported, only "
     "pooling by mean, cls or max"},
    {good_5, POOLING, "{\"pooling_mode_lasttoken\":true}",
     "/1_Pooling/config.json: pooling_mode_lasttoken: true is not supported, only pooling by mean, "
     "cls or max"},
    {good_5, POOLING, "{\"pooling_mode_cls_token\":1}",
     "/1_Pooling/config.json: pooling_mode_cls_token: must be true or false"},
    {good_6, POOLING, "{\"include_prompt\":\"no\"}",
     "/1_Pooling/config.json: include_prompt: must be true or false, is a string"},
    {good_5, LIMIT, "{\"max_seq_length\":1024}",
     "/sentence_bert_config.json: max_seq_length: must be a number from 3 to 512, is 1024"},
    {good_5, LIMIT, "{\"max_seq_length\":0}",
     "/sentence_bert_config.json: max_seq_length: must be a number from 3 to 512, is 0"},
    {good_5, LIMIT, "{\"max_seq_length\":\"256\"}",
     "/sentence_bert_config.json: max_seq_length: must be a number from 3 to 512, is a string"},
    {good_5, SETTINGS, "{\"truncate_dim\":128}",
     "/config_sentence_transformers.json: truncate_dim: must be a number from 384 to 384, is 128"},
    {good_6, POOLING, "{\"embedding_dimension\":384,\"pooling_mode\":\"lasttoken\"}",
     "/1_Pooling/config.json: pooling_mode: 'lasttoken' is not supported, only 'mean', 'cls' and "
     "'max'"},
    {good_6, POOLING, "{\"pooling_mode\":7}",
     "/1_Pooling/config.json: pooling_mode: '?' is not supported, only 'mean', 'cls' and 'max'"},
    {good_6, POOLING, "{\"pooling_mode\":[]}",
     "/1_Pooling/config.json: pooling_mode: '?' is not supported, only 'mean', 'cls' and 'max'"},
    {good_6, POOLING, "{\"embedding_dimension\":384,\"pooling_mode\":[\"mean\",\"max\"]}",
     "/1_Pooling/config.json: pooling_mode: 2 modes together are not supported, only one"},
    {good_6, NORMALIZE, "{\"module_input_name\":\"token_embeddings\"}",
     "/2_Normalize/config.json: module_input_name: 'token_embeddings' is not supported, "
     "only 'sentence_embedding'"},
    {good_6, LIMIT, "{\"transformer_task\":\"text-generation\"}",
     "/sentence_bert_config.json: transformer_task: 'text-generation' is not supported, only "
     "'feature-extraction'"},
    {good_6, LIMIT, "{\"modality_config\":{\"text\":{\"method\":\"encode\"}}}",
     "/sentence_bert_config.json: method: 'encode' is not supported, only 'forward'"},
    {good_6, TOKENIZER, "{\"model_max_length\":-1}",
     "/tokenizer_config.json: model_max_length: must be a number from 3 to 1.79769e+308, is -1"},
    {good_6, SETTINGS, "{\"default_prompt_name\":\"s2p\",\"prompts\":{\"query\":\"query: \"}}",
     "/config_sentence_transformers.json: default_prompt_name: no prompt is called 's2p'"},
    {good_6, SETTINGS, "{\"default_prompt_name\":1}",
     "/config_sentence_transformers.json: default_prompt_name: must be a string, is a number"},
    {good_6, SETTINGS, "{\"prompts\":[]}",
     "/config_sentence_transformers.json: prompts: must be an object"},
    {good_6, SETTINGS, "{\"prompts\":{\"query\":3}}",
     "/config_sentence_transformers.json: prompts: 'query' must be a string"},
    {good_6, SETTINGS, "{\"similarity_fn_name\":\"euclidean\"}",
     "/config_sentence_transformers.json: similarity_fn_name: 'euclidean' is not supported, only "
     "'cosine' and 'dot'"},
    {good_6, SETTINGS, "{\"similarity_fn_name\":\"manhattan\"}",
     "/config_sentence_transformers.json: similarity_fn_name: 'manhattan' is not supported, only "
     "'cosine' and 'dot'"},
    {good_6, SETTINGS, "{\"similarity_fn_name\":[]}",
     "/config_sentence_transformers.json: similarity_fn_name: must be a string, is a list"},
    {good_6, SETTINGS, "{\"model_type\":\"SparseEncoder\"}",
     "/config_sentence_transformers.json: model_type: 'SparseEncoder' is not supported, only "
     "'SentenceTransformer'"},
    {good_6, SETTINGS, "{",
     "/config_sentence_transformers.json: line 1, column 1: string or '}' "
     "expected near end of file"},
    {good_6, LIMIT, "{",
     "/sentence_bert_config.json: line 1, column 1: string or '}' expected near "
     "end of file"},
    {good_6, TOKENIZER, "{",
     "/tokenizer_config.json: line 1, column 1: string or '}' expected near "
     "end of file"},
    {good_6, TOKENIZER, "{\"do_lower_case\":0}",
     "/sentence_bert_config.json: do_lower_case: must be true or false, is a number"},
    {good_6, NORMALIZE, "{",
     "/2_Normalize/config.json: line 1, column 1: string or '}' expected "
     "near end of file"},
    {cross_6, MODULES, "[]", "/modules.json: must list a Transformer"},
    {cross_6, MODULES,
     "[" MODULE("models.Transformer", "") "," MODULE("models.Pooling", "1_Pooling") "]",
     "/modules.json: module 1: 'sentence_transformers.models.Pooling' is not supported, only a "
     "Transformer alone"},
    {cross_6, LIMIT, "{\"transformer_task\":\"feature-extraction\"}",
     "/sentence_bert_config.json: transformer_task: 'feature-extraction' is not supported, only "
     "'sequence-classification'"},
    {cross_6, LIMIT, "{\"module_output_name\":\"token_embeddings\"}",
     "/sentence_bert_config.json: module_output_name: 'token_embeddings' is not supported, only "
     "'scores'"},
    {cross_6, SETTINGS, "{\"model_type\":\"SentenceTransformer\"}",
     "/config_sentence_transformers.json: model_type: 'SentenceTransformer' is not supported, only "
     "'CrossEncoder'"},
    {cross_6, SETTINGS, "{\"default_prompt_name\":\"query\"}",
     "/config_sentence_transformers.json: default_prompt_name: no prompt is called 'query'"},
};

static void refuses_by_name_what_is_not_computed(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        const char *files[N_FILES];
        struct sbert_config config;
        struct status status = {0};
        struct buf message = {0};
        char folder[64];

        memcpy(files, bad[i].base, sizeof(files));
        files[bad[i].file] = bad[i].text;
        assert_false(read_folder(&config,
                                 bad[i].base == cross_6 ? SBERT_CROSS_ENCODER : SBERT_ENCODER,
                                 files, folder, &status));
        buf_printf(&message, "%s%s", folder, bad[i].message);
        assert_string_equal(status.message, message.data);
        assert_true(status.code == STATUS_CONFIG || status.code == STATUS_NO_INPUT);
        buf_release(&message);
    }
}

/* A tokenizer that keeps case, under a chain that lower-cases first, would need another encoder. */
static void refuses_to_lower_what_the_tokenizer_keeps(void **state)
{
    const char *files[N_FILES];
    struct sbert_config config;
    struct status status = {0};
    char folder[64];

    (void)state;
    memcpy(files, good_5, sizeof(files));
    files[LIMIT] = "{\"do_lower_case\":true}";
    files[TOKENIZER] = "{\"do_lower_case\":false}";
    assert_false(read_folder(&config, SBERT_ENCODER, files, folder, &status));
    assert_non_null(strstr(status.message, "sentence_bert_config.json: do_lower_case: true is not "
                                           "supported with a tokenizer that keeps case"));
}

static char minilm[512];

static void reads_all_minilm_l6_v2(void **state)
{
    struct sbert_config config;
    struct status status = {0};

    (void)state;
    assert_true(sbert_config_read(&config, SBERT_ENCODER, minilm, DIM, POSITIONS, &status));
    assert_int_equal(config.max_seq_length, 256);
    assert_true(config.normalize);
    sbert_config_release(&config);
}

int main(void)
{
    struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_a_folder_of_sentence_transformers_up_to_5),
        cmocka_unit_test(reads_a_folder_of_sentence_transformers_6),
        cmocka_unit_test(reads_a_folder_without_modules),
        cmocka_unit_test(takes_harmless_variants),
        cmocka_unit_test(reads_the_three_poolings_in_both_spellings),
        cmocka_unit_test(reads_prompts_and_similarity),
        cmocka_unit_test(reads_a_cross_encoder),
        cmocka_unit_test(refuses_by_name_what_is_not_computed),
        cmocka_unit_test(refuses_to_lower_what_the_tokenizer_keeps),
        {0}, /* a real model's, where it is installed */
    };

    if (model_file("minilm/modules.json", minilm)[0]) {
        *strrchr(minilm, '/') = '\0';
        tests[sizeof(tests) / sizeof(tests[0]) - 1] =
            (struct CMUnitTest)cmocka_unit_test(reads_all_minilm_l6_v2);
    }
    const int n_failed = cmocka_run_group_tests(tests, NULL, NULL);

    sbert_config_release(&prompts);
    return n_failed;
}

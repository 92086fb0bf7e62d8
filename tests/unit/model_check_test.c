/* Files against what was published, in a folder laid out as the hub's cache lays it out. */
#define _XOPEN_SOURCE 700 /* nftw */
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "formats/model_check.h"

/* Two files of Mistral-7B-Instruct-v0.3, as its publisher's tools wrote them. */
static const char config[] = "{\n"
                             "  \"architectures\": [\n"
                             "    \"MistralForCausalLM\"\n"
                             "  ],\n"
                             "  \"attention_dropout\": 0.0,\n"
                             "  \"bos_token_id\": 1,\n"
                             "  \"eos_token_id\": 2,\n"
                             "  \"hidden_act\": \"silu\",\n"
                             "  \"hidden_size\": 4096,\n"
                             "  \"initializer_range\": 0.02,\n"
                             "  \"intermediate_size\": 14336,\n"
                             "  \"max_position_embeddings\": 32768,\n"
                             "  \"model_type\": \"mistral\",\n"
                             "  \"num_attention_heads\": 32,\n"
                             "  \"num_hidden_layers\": 32,\n"
                             "  \"num_key_value_heads\": 8,\n"
                             "  \"rms_norm_eps\": 1e-05,\n"
                             "  \"rope_theta\": 1000000.0,\n"
                             "  \"sliding_window\": null,\n"
                             "  \"tie_word_embeddings\": false,\n"
                             "  \"torch_dtype\": \"bfloat16\",\n"
                             "  \"transformers_version\": \"4.42.0.dev0\",\n"
                             "  \"use_cache\": true,\n"
                             "  \"vocab_size\": 32768\n"
                             "}\n";
static const char generation_config[] = "{\n"
                                        "  \"_from_model_config\": true,\n"
                                        "  \"bos_token_id\": 1,\n"
                                        "  \"eos_token_id\": 2,\n"
                                        "  \"transformers_version\": \"4.42.0.dev0\"\n"
                                        "}\n";

static char root[] = "/tmp/model-check-XXXXXX";
static char snapshot[256];

static void make_folder(const char *format, const char *name)
{
    char path[256];

    snprintf(path, sizeof(path), format, root, name);
    assert_int_equal(mkdir(path, 0700), 0);
}

/* A blob and its link in the snapshot; blob NULL: a file of its own. */
static void put(const char *name, const char *bytes, size_t n, const char *blob)
{
    char path[512], target[256];
    FILE *file;

    if (blob) {
        snprintf(target, sizeof(target), "../../blobs/%s", blob);
        snprintf(path, sizeof(path), "%s/%s", snapshot, name);
        assert_int_equal(symlink(target, path), 0);
        snprintf(path, sizeof(path), "%s/%s", snapshot, target);
    } else {
        snprintf(path, sizeof(path), "%s/%s", snapshot, name);
    }
    file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, n, file), n);
    assert_int_equal(fclose(file), 0);
}

static int make_snapshot(const char *model)
{
    strcpy(root + strlen(root) - 6, "XXXXXX");
    assert_non_null(mkdtemp(root));
    make_folder("%s/%s", model);
    snprintf(snapshot, sizeof(snapshot), "%s/%s/snapshots", root, model);
    assert_int_equal(mkdir(snapshot, 0700), 0);
    snprintf(snapshot, sizeof(snapshot), "%s/%s/blobs", root, model);
    assert_int_equal(mkdir(snapshot, 0700), 0);
    snprintf(snapshot, sizeof(snapshot), "%s/%s/snapshots/abc", root, model);
    return mkdir(snapshot, 0700);
}

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *at)
{
    (void)info;
    (void)type;
    (void)at;
    return remove(path);
}

static void remove_snapshot(void)
{
    assert_int_equal(nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

static void note(const struct model_check_file *file, void *context)
{
    buf_printf(context, "%s %d %llu%s%s\n", file->name, file->result,
               (unsigned long long)file->size, file->why ? " " : "", file->why ? file->why : "");
}

static void assert_notes(const char *path, struct model_check *check, const char *wanted)
{
    struct buf notes = {0};
    struct status status = {0};

    if (!model_check_run(path, note, &notes, check, &status))
        fail_msg("%s", status.message);
    assert_string_equal(notes.data, wanted);
    buf_release(&notes);
}

static void sees_what_differs_and_what_is_missing(void **state)
{
    struct model_check check;

    (void)state;
    assert_int_equal(make_snapshot("models--mistralai--Mistral-7B-Instruct-v0.3"), 0);
    put("config.json", config, strlen(config), "0123456789012345678901234567890123456789");
    put("generation_config.json", "{", 1, NULL);
    put("model-00001-of-00003.safetensors", "short", 5,
        "ce6fb6f6f4d0183f4813cbf4ece24109da629a08d4210da46f77e1d8b0bd5c19");
    put("special_tokens_map.json", generation_config, 100, NULL);
    put("tokenizer_config.json", "abc", 3,
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    put("other.json", "abd", 3, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    put("README.md", "abc", 3, NULL);
    put(".hidden", "abc", 3, NULL);
    assert_notes(snapshot, &check,
                 "README.md 2 3\n"
                 "config.json 0 601\n"
                 "generation_config.json 3 1 shorter than published\n"
                 "model-00001-of-00003.safetensors 3 5 shorter than published\n"
                 "other.json 3 3 other bytes than the cache's name for them says\n"
                 "special_tokens_map.json 3 100 shorter than published\n"
                 "tokenizer_config.json 1 3\n"
                 "model-00002-of-00003.safetensors 4 0\n"
                 "model-00003-of-00003.safetensors 4 0\n"
                 "model.safetensors.index.json 4 0\n"
                 "tokenizer.json 4 0\n");
    assert_string_equal(check.model->name, "mistralai/Mistral-7B-Instruct-v0.3");
    remove_snapshot();
}

static void a_copied_folder_is_known_by_its_config(void **state)
{
    struct model_check check;
    char path[512];

    (void)state;
    assert_int_equal(make_snapshot("mistral"), 0);
    put("config.json", config, strlen(config), NULL);
    put("generation_config.json", generation_config, strlen(generation_config), NULL);
    put("special_tokens_map.json", "x", 1, NULL);
    snprintf(path, sizeof(path), "%s/generation_config.json", snapshot);
    assert_notes(path, &check, "generation_config.json 0 116\n");
    assert_non_null(check.model);
    assert_int_equal(check.n[MODEL_CHECK_MISSING], 0); /* of one file alone nothing is missing */
    snprintf(path, sizeof(path), "%s/config.json", snapshot);
    assert_int_equal(remove(path), 0);
    put("config.json", config, strlen(config) - 1, NULL);
    assert_notes(snapshot, &check,
                 "config.json 2 600\ngeneration_config.json 2 116\nspecial_tokens_map.json 2 1\n");
    assert_null(check.model);
    remove_snapshot();
}

static void what_cannot_be_read_is_named(void **state)
{
    struct status status = {0};
    struct model_check check;
    char path[512];

    (void)state;
    assert_false(model_check_run("/no/such", note, NULL, &check, &status));
    assert_int_equal(status.code, STATUS_NO_INPUT);
    assert_int_equal(make_snapshot("mistral"), 0);
    snprintf(path, sizeof(path), "%s/broken.json", snapshot);
    assert_int_equal(symlink("../nowhere", path), 0);
    assert_false(model_check_run(snapshot, note, NULL, &check, &status));
    assert_int_equal(status.code, STATUS_NO_INPUT);
    assert_non_null(strstr(status.message, "broken.json: "));
    remove_snapshot();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sees_what_differs_and_what_is_missing),
        cmocka_unit_test(a_copied_folder_is_known_by_its_config),
        cmocka_unit_test(what_cannot_be_read_is_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

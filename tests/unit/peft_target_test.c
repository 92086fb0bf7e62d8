/* Which modules an adapter changes: the same as PEFT, for every config of the golden file; and
 * patterns that cannot be matched as Python would. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "formats/json_file.h"
#include "formats/peft_target.h"
#include "tests/golden/golden.h"

enum { N_LAYERS = 12, N_MODULES = 2 + 7 * N_LAYERS };

static json_t *rows;

/* The i-th module of the golden rows. */
static enum peft_module module_at(int i, char path[96])
{
    static const char *const names[] = {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj",
                                        "self_attn.o_proj", "mlp.gate_proj",    "mlp.up_proj",
                                        "mlp.down_proj"};

    if (i == 0 || i == N_MODULES - 1) {
        snprintf(path, 96, "%s", i == 0 ? "model.embed_tokens" : "lm_head");
        return i == 0 ? PEFT_OTHER : PEFT_OUTPUT;
    }
    snprintf(path, 96, "model.layers.%d.%s", (i - 1) / 7, names[(i - 1) % 7]);
    return PEFT_LINEAR;
}

static struct peft_target *open_config(struct peft_config *config, const json_t *object,
                                       struct status *status)
{
    json_t *copy = json_deep_copy(object);

    if (!peft_config_parse(config, copy, status))
        fail_msg("%s", status->message);
    return peft_target_open(config, status);
}

static void check_row(const json_t *row)
{
    const char *letters = json_string_value(json_object_get(row, "modules"));
    const json_t *numbers = json_object_get(row, "numbers");
    struct status status = {0};
    struct peft_config config;
    struct peft_target *target = open_config(&config, json_object_get(row, "config"), &status);

    if (!target)
        fail_msg("%s", status.message);
    for (int i = 0; i < N_MODULES; i++) {
        char path[96];
        const enum peft_module kind = module_at(i, path);
        const json_t *want = json_array_get(numbers, (size_t)(letters[i] - 'a'));
        double alpha, old_alpha, want_alpha = json_number_value(json_array_get(want, 1));
        bool included;
        int rank;

        assert_true(peft_target_includes(target, path, kind, &included, &status));
        if (included != (letters[i] != '.'))
            fail_msg("%s: %s", json_dumps(row, 0), path);
        assert_true(peft_target_numbers(target, path, &rank, &alpha, &old_alpha, &status));
        if (included && (rank != json_integer_value(json_array_get(want, 0)) ||
                         alpha < want_alpha || alpha > want_alpha))
            fail_msg("%s: %s: %d %g", json_dumps(row, 0), path, rank, alpha);
    }
    peft_target_close(target);
    peft_config_release(&config);
}

static void modules_ranks_and_alphas_are_those_of_peft(void **state)
{
    const json_t *row;
    size_t i;

    (void)state;
    assert_true(json_array_size(rows) > 90);
    json_array_foreach(rows, i, row) check_row(row);
}

/* Before 0.14 the first of all patterns that fitted gave the alpha too, and none fitted a whole
 * path. */
static void old_alphas_are_those_of_peft_before_0_14(void **state)
{
    static const struct {
        const char *ranks, *alphas, *path;
        double alpha, old_alpha;
    } cases[] = {
        {"{\"q_proj\":4}", "{\"q_proj\":3}", "a.b.q_proj", 3, 3},
        {"{\"q_proj\":4}", "{\"b.q_proj\":3}", "a.b.q_proj", 3, 8},
        {"{\"q_proj\":4}", "{\"b.q_proj\":3,\"q_proj\":5}", "a.b.q_proj", 3, 5},
        {"{}", "{\"b.q_proj\":3,\"q_proj\":5}", "a.b.q_proj", 3, 3},
        {"{}", "{\"a.b.q_proj\":3}", "a.b.q_proj", 3, 8},
        {"{}", "{\"k_proj|q_proj\":3}", "a.b.q_proj", 3, 8},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct status status = {0};
        struct peft_config config;
        struct buf text = {0};
        double alpha, old_alpha;
        int rank;

        buf_printf(&text, "{\"peft_type\":\"LORA\",\"rank_pattern\":%s,\"alpha_pattern\":%s}",
                   cases[i].ranks, cases[i].alphas);
        json_t *object = json_file_parse(buf_text(&text), JSON_FILE_EXACT, &status);
        struct peft_target *target = open_config(&config, object, &status);

        assert_non_null(target);
        assert_true(peft_target_numbers(target, cases[i].path, &rank, &alpha, &old_alpha, &status));
        assert_true(alpha >= cases[i].alpha && alpha <= cases[i].alpha);
        assert_true(old_alpha >= cases[i].old_alpha && old_alpha <= cases[i].old_alpha);
        peft_target_close(target);
        peft_config_release(&config);
        json_decref(object);
        buf_release(&text);
    }
}

static const struct {
    const char *members, *message;
} bad[] = {
    {"\"target_modules\":\"(\"", "target_modules '(': pattern: missing closing parenthesis"},
    {"\"target_modules\":\"*\"",
     "target_modules '*': pattern: quantifier does not follow a repeatable item"},
    {"\"target_modules\":\"\\\\\"", "target_modules '\\': pattern: ends in a backslash"},
    {"\"target_modules\":\"\\\\Kq\"", "target_modules '\\Kq': pattern: '\\K' is not supported"},
    {"\"target_modules\":\"\\\\Qq\\\\E\"",
     "target_modules '\\Qq\\E': pattern: '\\Q' is not supported"},
    {"\"target_modules\":\"\\\\x{71}\"",
     "target_modules '\\x{71}': pattern: '\\x' is not supported"},
    {"\"target_modules\":\"(*FAIL)\"", "target_modules '(*FAIL)': pattern: '(*' is not supported"},
    {"\"target_modules\":\"(?i)Q\"", "target_modules '(?i)Q': pattern: '(?i' is not supported"},
    {"\"target_modules\":\"(?R)\"", "target_modules '(?R)': pattern: '(?R' is not supported"},
    {"\"target_modules\":\"(?P>a)\"", "target_modules '(?P>a)': pattern: '(?P' is not supported"},
    {"\"target_modules\":\"a{,3}\"", "target_modules 'a{,3}': pattern: '{,' is not supported"},
    {"\"target_modules\":\"[[:alpha:]]\"",
     "target_modules '[[:alpha:]]': pattern: '[:' in brackets is not supported"},
    {"\"target_modules\":\"\\u00e9\"",
     "target_modules '\303\251': pattern: only ASCII is supported"},
    {"\"target_modules\":\"\\n\"", "target_modules '?': pattern: only ASCII is supported"},
    {"\"exclude_modules\":\"[\"",
     "exclude_modules '[': pattern: missing terminating ] for character class"},
    {"\"rank_pattern\":{\"q)\":1}", "rank_pattern 'q)': pattern: unmatched closing parenthesis"},
    {"\"alpha_pattern\":{\"(?\":1}", "alpha_pattern '(?': pattern: '(?)' is not supported"},
    {"\"layers_to_transform\":[1],\"layers_pattern\":[\"a\",\"(\"]",
     "layers_pattern '(': pattern: missing closing parenthesis"},
};

static json_t *config_object(const char *members)
{
    struct status status = {0};
    struct buf text = {0};
    json_t *object;

    buf_printf(&text, "{\"peft_type\":\"LORA\",%s}", members);
    object = json_file_parse(buf_text(&text), JSON_FILE_EXACT, &status);
    if (!object)
        fail_msg("%s", status.message);
    buf_release(&text);
    return object;
}

static void patterns_that_python_reads_otherwise_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        json_t *object = config_object(bad[i].members);
        struct status status = {0};
        struct peft_config config;

        if (open_config(&config, object, &status))
            fail_msg("%s", bad[i].members);
        assert_string_equal(status.message, bad[i].message);
        assert_int_equal(status.code, STATUS_CONFIG);
        peft_config_release(&config);
        json_decref(object);
    }
}

static void a_pattern_that_never_ends_is_stopped(void **state)
{
    static const char *const members[] = {
        "\"target_modules\":\"(([a-z.]+)+)+[XY]\"",
        "\"exclude_modules\":\"(([a-z.]+)+)+[XY]\"",
        "\"layers_to_transform\":0,\"layers_pattern\":\"(([a-z.]+)+)+[XY]\"",
    };
    static const char path[] = "model.layers.aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.q_proj";

    (void)state;
    for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
        json_t *object = config_object(members[i]);
        struct status status = {0};
        struct peft_config config;
        struct peft_target *target = open_config(&config, object, &status);
        bool included;

        assert_non_null(target);
        assert_false(peft_target_includes(target, path, PEFT_LINEAR, &included, &status));
        assert_non_null(
            strstr(status.message, "pattern: takes too many steps on the name of a module"));
        peft_target_close(target);
        peft_config_release(&config);
        json_decref(object);
    }
}

static void a_pattern_has_a_length(void **state)
{
    struct buf members = {0};
    struct status status = {0};
    struct peft_config config;
    json_t *object;

    (void)state;
    buf_append_string(&members, "\"target_modules\":\"");
    for (int i = 0; i < 16385; i++)
        buf_append_char(&members, 'q');
    buf_append_string(&members, "\"");
    object = config_object(members.data);
    assert_null(open_config(&config, object, &status));
    assert_string_equal(status.message, "target_modules '?': pattern: 16385 bytes, at most 16384 "
                                        "are supported");
    peft_config_release(&config);
    json_decref(object);
    buf_release(&members);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(modules_ranks_and_alphas_are_those_of_peft),
        cmocka_unit_test(old_alphas_are_those_of_peft_before_0_14),
        cmocka_unit_test(patterns_that_python_reads_otherwise_are_refused),
        cmocka_unit_test(a_pattern_that_never_ends_is_stopped),
        cmocka_unit_test(a_pattern_has_a_length),
    };
    int n_failed;

    rows = golden_rows("peft_target.jsonl");
    n_failed = cmocka_run_group_tests_name("peft_target", tests, NULL, NULL);
    json_decref(rows);
    return n_failed;
}

/* Which names may mean the same model. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "formats/model_name.h"

static void the_name_is_the_last_part_of_a_path(void **state)
{
    static const struct {
        const char *path, *name;
    } cases[] = {
        {"smollm2", "smollm2"},
        {"HuggingFaceTB/SmolLM2-135M-Instruct", "SmolLM2-135M-Instruct"},
        {"/a/b/model.Q4_K_M.gguf", "model.Q4_K_M"},
        {"a/b///", "b"},
        {"/", ""},
        {"", ""},
        {".gguf", ".gguf"},
        {"/c/models--org--Base-7B/snapshots/0123", "Base-7B"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_true(text_is(model_name_of(cases[i].path), cases[i].name));
}

static void names_fit_word_by_word(void **state)
{
    static const struct {
        const char *a, *b;
        size_t n;
        bool same;
    } cases[] = {
        {"smollm2", "SmolLM2-135M-Instruct", 1, false},
        {"SmolLM2-135M-Instruct.Q4_1", "smollm2_135m_instruct", 3, false},
        {"Mistral-7B-Instruct-v0.3", "mistral-7b-instruct-v0.3-bnb-4bit", 5, false},
        {"Mistral-7B-Instruct-v0.3", "mistral 7b instruct v0 3", 5, true},
        {"Mistral-7B-Instruct-v0.3", "Mistral-7B-Instruct-v0.2", 0, false},
        {"mistral-v3-tokenizer", "Mistral-7B", 0, false},
        {"smol", "smollm2", 0, false},
        {"", "smollm2", 0, false},
        {"--", "..", 0, false},
        {"mod\303\251le", "mod\303\251le-1", 1, false},
    };
    bool same;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(model_name_fit(text_of(cases[i].a), text_of(cases[i].b), &same),
                         cases[i].n);
        assert_int_equal(same, cases[i].same);
        assert_int_equal(model_name_fit(text_of(cases[i].b), text_of(cases[i].a), &same),
                         cases[i].n);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_name_is_the_last_part_of_a_path),
        cmocka_unit_test(names_fit_word_by_word),
    };

    return cmocka_run_group_tests_name("model_name", tests, NULL, NULL);
}

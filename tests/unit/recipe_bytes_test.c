/* The recipe `rationales` against the data that the model was tuned with: its prompt is, byte for
 * byte, how the texts of val.jsonl begin, and its parser gives back their rationales. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "formats/jsonl.h"
#include "formats/recipe.h"
#include "text/prompt_render.h"
#include "text/rationales.h"

static char path[512];

struct row {
    struct text text;
    struct text *rationales;
    size_t n;
};

static void read_row(const struct record *record, struct row *row)
{
    struct status status;
    bool found;

    assert_true(record_string(record, "text", &row->text, &found, &status) && found);
    assert_true(
        record_string_list(record, "rationales", &row->rationales, &row->n, &found, &status));
    assert_true(found);
}

/* prompt and rationales, one a line: what the text should be */
static bool is_text(const struct row *row, const struct buf *prompt)
{
    struct buf whole = {0};
    bool same;

    buf_append_text(&whole, buf_text(prompt));
    for (size_t i = 0; i < row->n; i++) {
        if (i > 0)
            buf_append_char(&whole, '\n');
        buf_append_text(&whole, row->rationales[i]);
    }
    same = text_equals(buf_text(&whole), row->text);
    buf_release(&whole);
    return same;
}

static bool parses_back(const struct row *row, size_t prompt_size)
{
    struct rationales parsed = {0};
    const struct text answer = {row->text.ptr + prompt_size, row->text.len - prompt_size};
    bool same;

    rationales_parse(&parsed, answer, row->n);
    same = parsed.n == row->n;
    for (size_t i = 0; same && i < row->n; i++)
        same = text_equals(parsed.items[i], row->rationales[i]);
    rationales_release(&parsed);
    return same;
}

static void the_recipes_prompt_is_how_the_models_own_texts_begin(void **state)
{
    const char *const files[] = {path};
    struct status status;
    struct jsonl *lines = jsonl_open(files, 1, 1 << 20, &status);
    struct record record = {0};
    struct recipe recipe;
    struct line line;
    int n_rows = 0, n_exact = 0, n_parsed = 0;

    (void)state;
    assert_non_null(lines);
    assert_true(recipe_read(&recipe, MEDRAT_SOURCE_SHARE "/recipes/rationales.yaml", &status));
    while (jsonl_next(lines, &line, &status) == JSONL_LINE) {
        struct prompt_text prompt;
        struct row row;

        assert_true(record_parse(&record, line.bytes, &status));
        read_row(&record, &row);
        assert_true(prompt_render(&recipe.prompt, &record, recipe.n, NULL, &prompt, &status));
        n_rows++;
        if (is_text(&row, &prompt.frame)) {
            n_exact++;
            n_parsed += parses_back(&row, prompt.frame.len);
        }
        prompt_render_release(&prompt);
        free(row.rationales);
    }
    recipe_release(&recipe);
    record_release(&record);
    jsonl_close(lines);
    assert_int_equal(n_rows, 3246);
    assert_int_equal(n_exact, 3102); /* the other rows are flawed, see STATS.md beside the data */
    assert_int_equal(n_parsed, n_exact - 1); /* the rationales of one row hold newlines */
}

int main(void)
{
    const char *data = getenv("MEDRAT_DATA");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_recipes_prompt_is_how_the_models_own_texts_begin),
    };

    snprintf(path, sizeof(path), "%s/rationales/val.jsonl", data ? data : "../shared/data");
    if (access(path, R_OK) != 0) {
        printf("1..0 # SKIP no val.jsonl\n");
        return 0;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}

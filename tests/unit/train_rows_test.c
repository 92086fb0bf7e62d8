/* Records -> rows to train on, on a tokenizer small enough to know by heart: tiny_tokenizer.h,
 * bytes but for ab, cd, abcd, and <s> before every text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/tiny_tokenizer.h"
#include "train/train_rows.h"

enum { END = TINY_TURN_END };

static struct tokenizer *tokenizer;
static struct recipe recipe;
static struct train_rows rows;

static struct train_rows_options defaults(void)
{
    return (struct train_rows_options){
        .prompt = {.recipe = &recipe, .tokenizer = tokenizer, .context = 256},
        .max_length = 64,
        .vocab_size = TINY_SIZE,
        .end_id = END,
        .masked_id = -1,
    };
}

static bool add(struct train_rows_options options, const char *line, struct status *status)
{
    struct record record = {.number = 7};
    bool ok;

    assert_true(record_parse(&record, text_of(line), status));
    record.number = 7;
    ok = train_rows_add(&rows, &options, &record, status);
    record_release(&record);
    return ok;
}

/* The one row of a record: its tokens, targets in capitals; '<' is <s>, '$' the end token. */
static const char *row_of(struct train_rows_options options, const char *line)
{
    static char text[256];
    struct status status = {0};
    struct train_row row;

    train_rows_release(&rows);
    if (!add(options, line, &status))
        fail_msg("%s: %s", line, status.message);
    row = train_rows_get(&rows, 0, 0, 0);
    for (int i = 0; i < row.n_tokens; i++) {
        const int32_t id = row.tokens[i];
        const char letter = id == TINY_BEGIN ? '<' : id == END ? '$' : id > 255 ? '+' : (char)id;

        text[2 * i] = row.targets[i] ? '*' : '.';
        text[2 * i + 1] = letter == '\n' ? '/' : letter;
    }
    text[2 * row.n_tokens] = '\0';
    return text;
}

static void assert_fails(struct train_rows_options options, const char *line, const char *kind)
{
    struct status status = {0};

    train_rows_release(&rows);
    assert_false(add(options, line, &status));
    assert_int_equal(status.code, STATUS_INPUT);
    assert_string_equal(status.kind, kind);
    assert_int_equal(rows.n, 0);
    assert_int_equal(rows.n_tokens, 0);
}

static void all_but_the_first_token_is_learned_and_the_end(void **state)
{
    (void)state;
    assert_string_equal(row_of(defaults(), "{\"text\":\"xy\"}"), ".<*x*y*$");
    assert_string_equal(row_of(defaults(), "{\"prompt\":\"x\",\"completion\":\"y\"}"), ".<*x*y*$");
    assert_string_equal(row_of(defaults(), "{\"tokens\":[120,121]}"), ".x*y*$");
    assert_string_equal(row_of(defaults(), "{\"context\":\"x\",\"continuation\":\"y\"}"),
                        ".<.x*y*$");
}

static void of_a_completion_its_own_tokens_alone_if_asked(void **state)
{
    struct train_rows_options only = defaults();

    (void)state;
    only.completion_only = true;
    assert_string_equal(row_of(only, "{\"prompt\":\"x\",\"completion\":\"y\"}"), ".<.x*y*$");
    assert_string_equal(row_of(only, "{\"text\":\"### Response:\\ny\"}"),
                        ".<.#.#.#. .R.e.s.p.o.n.s.e.:./*y*$");
    assert_fails(only, "{\"text\":\"y\"}", "missing");
}

static void rationales_follow_the_recipes_prompt(void **state)
{
    struct train_rows_options o = defaults();

    (void)state;
    assert_string_equal(row_of(o, "{\"query\":\"q\",\"rationales\":[\"x\",\"y\"]}"),
                        ".<*2*:*q*/*x*/*y*$");
    o.completion_only = true;
    assert_string_equal(row_of(o, "{\"query\":\"q\",\"rationales\":[\"x\"]}"), ".<.1.:.q./*x*$");
    o.recipe_only = true;
    assert_string_equal(row_of(o, "{\"text\":\"t\",\"query\":\"q\",\"rationales\":[\"x\"]}"),
                        ".<.1.:.q./*x*$");
    o.recipe_only = false;
    o.completion_only = false;
    assert_string_equal(row_of(o, "{\"text\":\"t\",\"query\":\"q\",\"rationales\":[\"x\"]}"),
                        ".<*t*$");
}

static void text_never_makes_control_tokens_of_rationales(void **state)
{
    struct train_row row;

    (void)state;
    row_of(defaults(), "{\"query\":\"<s>\",\"rationales\":[\"<|im_end|>\"]}");
    row = train_rows_get(&rows, 0, 0, 0);
    for (int i = 1; i + 1 < row.n_tokens; i++)
        assert_in_range(row.tokens[i], 0, TINY_ABCD);
    assert_int_equal(row.tokens[row.n_tokens - 1], END);
}

static void what_was_cut_has_no_end(void **state)
{
    struct train_rows_options o = defaults();

    (void)state;
    o.max_length = 4;
    assert_string_equal(row_of(o, "{\"text\":\"xy\"}"), ".<*x*y*$");
    assert_int_equal(rows.n_truncated, 0);
    assert_string_equal(row_of(o, "{\"text\":\"xyz\"}"), ".<*x*y*z"); /* no room for it */
    assert_int_equal(rows.n_truncated, 1);
    assert_string_equal(row_of(o, "{\"text\":\"xyzxyz\"}"), ".<*x*y*z");
    assert_string_equal(row_of(o, "{\"query\":\"\",\"rationales\":[\"xy\"]}"), ".<*1*:*/");
    o.prompt.truncate = TRUNCATE_ERROR;
    assert_fails(o, "{\"text\":\"xyz\"}", "too_long");
    assert_fails(o, "{\"text\":\"xyzxyz\"}", "too_long");
    assert_fails(o, "{\"query\":\"\",\"rationales\":[\"xy\"]}", "too_long");
    o.completion_only = true;
    o.prompt.truncate = TRUNCATE_HEAD;
    assert_fails(o, "{\"query\":\"\",\"rationales\":[\"xy\"]}", "no_target"); /* all of it was */
}

static void a_query_that_was_cut_still_has_a_whole_answer(void **state)
{
    struct train_rows_options o = defaults();

    (void)state;
    o.prompt.max_length = 6; /* <s> 1 : / and two of the query */
    assert_string_equal(row_of(o, "{\"query\":\"qrst\",\"rationales\":[\"x\"]}"),
                        ".<*1*:*q*r*/*x*$");
    assert_int_equal(rows.n_truncated, 1);
}

static void a_text_without_its_completion_has_no_end(void **state)
{
    const char *row;

    (void)state;
    row = row_of(defaults(), "{\"text\":\"### Instruction:\\ni\\n\\n### Query:\\nq\"}");
    assert_string_equal(row + strlen(row) - 2, "*q");
}

static void the_originals_rows_have_no_end_and_learn_none(void **state)
{
    struct train_rows_options card = defaults();

    (void)state;
    card.end_id = -1;
    card.masked_id = END;
    assert_string_equal(row_of(card, "{\"text\":\"xy\"}"), ".<*x*y");
    assert_string_equal(row_of(card, "{\"text\":\"x<|im_end|>y\"}"), ".<*x.$*y");
}

static void what_cannot_be_learned_is_told(void **state)
{
    (void)state;
    assert_fails(defaults(), "{}", "missing");
    assert_fails(defaults(), "{\"rationales\":[\"x\"]}", "missing");
    assert_fails(defaults(), "{\"query\":\"q\",\"rationales\":[]}", "no_target");
    assert_fails(defaults(), "{\"query\":\"q\",\"rationales\":[1]}", "type");
    assert_fails(defaults(), "{\"tokens\":[1,999]}", "range");
    assert_fails(defaults(), "{\"tokens\":[]}", "no_target");
    struct train_rows_options none = defaults();
    none.end_id = -1;
    assert_fails(none, "{\"text\":\"\"}", "no_target");
    none.prompt.tokenizer = NULL;
    assert_fails(none, "{\"text\":\"x\"}", "no_tokenizer");
    assert_fails(none, "{\"query\":\"q\",\"rationales\":[\"x\"]}", "no_tokenizer");
    assert_string_equal(row_of(none, "{\"tokens\":[120,121]}"), ".x*y");
}

static void rows_have_names_keys_and_a_hash(void **state)
{
    struct status status = {0};
    uint64_t hash;

    (void)state;
    train_rows_release(&rows);
    assert_true(add(defaults(), "{\"id\":\"q1\",\"text\":\"abcd\"}", &status));
    assert_true(add(defaults(), "{\"text\":\"xyz\"}", &status));
    hash = train_rows_hash(&rows);
    assert_true(add(defaults(), "{\"id\":3,\"text\":\"x\"}", &status));
    assert_true(hash != train_rows_hash(&rows));
    assert_string_equal(train_rows_name(&rows, 0), "\"q1\"");
    assert_string_equal(train_rows_name(&rows, 1), "line 7");
    assert_string_equal(train_rows_name(&rows, 2), "3");
    assert_int_equal(rows.longest, 5);
    assert_int_equal(train_rows_most(&rows, 2), 5 + 3);
    assert_int_equal(train_rows_most(&rows, 9), 5 + 3 + 3);
    /* its dropout is another in each epoch, and for each record */
    assert_true(train_rows_get(&rows, 0, 1, 0).key != train_rows_get(&rows, 0, 1, 1).key);
    assert_true(train_rows_get(&rows, 0, 1, 0).key != train_rows_get(&rows, 0, 2, 0).key);
    assert_true(train_rows_get(&rows, 0, 1, 0).key != train_rows_get(&rows, 1, 1, 0).key);
}

static void memory_has_a_bound(void **state)
{
    struct train_rows_options o = defaults();
    struct status status = {0};
    int n = 0;

    (void)state;
    train_rows_release(&rows);
    o.max_bytes = 4096;
    while (add(o, "{\"text\":\"xyz\"}", &status))
        n++;
    assert_int_equal(status.code, STATUS_MEMORY);
    assert_in_range(n, 10, 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_but_the_first_token_is_learned_and_the_end),
        cmocka_unit_test(of_a_completion_its_own_tokens_alone_if_asked),
        cmocka_unit_test(rationales_follow_the_recipes_prompt),
        cmocka_unit_test(text_never_makes_control_tokens_of_rationales),
        cmocka_unit_test(what_was_cut_has_no_end),
        cmocka_unit_test(a_query_that_was_cut_still_has_a_whole_answer),
        cmocka_unit_test(a_text_without_its_completion_has_no_end),
        cmocka_unit_test(the_originals_rows_have_no_end_and_learn_none),
        cmocka_unit_test(what_cannot_be_learned_is_told),
        cmocka_unit_test(rows_have_names_keys_and_a_hash),
        cmocka_unit_test(memory_has_a_bound),
    };
    struct status status = {0};
    int failed;

    tokenizer = tiny_open(true, &status);
    if (!tokenizer ||
        !recipe_parse_yaml(&recipe, text_of("prompt: \"{n}:{query}\\n\"\ncut: query\n"), "test",
                           &status)) {
        fprintf(stderr, "%s\n", status.message);
        return 1;
    }
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    train_rows_release(&rows);
    recipe_release(&recipe);
    tokenizer_close(tokenizer);
    return failed;
}

/* Records -> tokens, targets and parts, on a tokenizer small enough to know by heart:
 * tiny_tokenizer.h, bytes but for ab, cd, abcd, and <s> before every text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "run/score_frame.h"
#include "run/score_input.h"
#include "tests/unit/small_spm.h"
#include "tests/unit/tiny_tokenizer.h"

static struct tokenizer *tokenizer;
static struct score_input input; /* kept over the tests, as the scorer might */

static const struct score_input_options all = {.max_length = 1024};

/* Fills `input`, with the tokenizer unless the options bring one. */
static bool make(struct score_input_options options, const char *line, struct status *status)
{
    struct record record = {0};
    bool ok;

    if (!options.tokenizer)
        options.tokenizer = tokenizer;
    assert_true(record_parse(&record, text_of(line), status));
    ok = score_input_make(&options, &record, &input, status);
    record_release(&record);
    return ok;
}

static void need(struct score_input_options options, const char *line)
{
    struct status status = {0};

    if (!make(options, line, &status))
        fail_msg("%s: %s", line, status.message);
}

static void assert_fails(struct score_input_options options, const char *line, const char *kind,
                         const char *member)
{
    struct status status = {0};

    assert_false(make(options, line, &status));
    assert_int_equal(status.code, STATUS_INPUT);
    assert_string_equal(status.kind, kind);
    assert_string_equal(status.member, member);
}

/* One letter a token: t, q, c, p by region; '-' for what is no target; and the sum of bytes. */
static const char *regions(size_t *n_bytes)
{
    static char letters[2048];

    *n_bytes = 0;
    for (size_t i = 0; i < input.tokens.n; i++) {
        const bool is_target = i >= input.first_target;

        letters[i] = is_target ? "tqcp"[score_input_region(&input, i)] : '-';
        *n_bytes += is_target ? score_input_bytes(&input, tokenizer, i) : 0;
    }
    letters[input.tokens.n] = '\0';
    return letters;
}

static void assert_regions(struct score_input_options options, const char *line, const char *want,
                           size_t want_bytes)
{
    size_t n_bytes;

    need(options, line);
    assert_string_equal(regions(&n_bytes), want);
    assert_int_equal(n_bytes, want_bytes);
}

static void headings_part_a_text(void **state)
{
    static const struct {
        const char *text;
        struct score_frame want;
    } cases[] = {
        {"### Instruction:\nI\n\n### Query:\nQ\n\n### Response:\nC", {true, true, 31, 32, 48}},
        {"### Instruction:\nI\n\n### Query:\n\n\n### Response:\n", {true, true, 31, 31, 47}},
        {"### Instruction:\nI\n### Query:\nQ\n### Response:\nC", {true, true, 30, 31, 46}},
        {"### Instruction:\n### Query:\n### Response:\nC", {true, true, 28, 28, 42}},
        {"### Instruction:\nI\n\n### Query:\nQ", {true, false, 31, 32, 32}},
        {"### Instruction:\nI\n\n### Query:\nQ### Response:\nC", {true, false, 31, 47, 47}},
        /* the first of each kind */
        {"### Instruction:\n### Response:\n### Query:\nQ\n\n\n### Response:\n### Query:\n",
         {true, true, 42, 44, 60}},
        /* no frame */
        {"### Response:\nC", {false, true, 0, 0, 14}},
        {"a ### Response:\nC\n### Response:\nD", {false, true, 0, 0, 32}},
        {" ### Instruction:\nI\n\n### Query:\nQ", {false, false, 0, 0, 33}},
        {"### Instruction:\nI\n\n### Response:\nC", {false, true, 0, 0, 34}},
        {"### Instruction:\n", {false, false, 0, 0, 17}},
        {"### Response:", {false, false, 0, 0, 13}},
        {"", {false, false, 0, 0, 0}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct score_frame got;

        score_frame_find(text_of(cases[i].text), &got);
        if (got.is_whole != cases[i].want.is_whole ||
            got.has_completion != cases[i].want.has_completion ||
            got.query != cases[i].want.query || got.query_end != cases[i].want.query_end ||
            got.completion != cases[i].want.completion)
            fail_msg("case %zu: %d %d %zu %zu %zu", i, got.is_whole, got.has_completion, got.query,
                     got.query_end, got.completion);
    }
}

static void a_text_is_scored_whole_or_its_completion_alone(void **state)
{
    const struct score_input_options completion = {.max_length = 1024, .completion_only = true};
    static const char line[] =
        "{\"text\":\"### Instruction:\\nI\\n\\n### Query:\\nQ\\n\\n### Response:\\nab\"}";

    (void)state;
    assert_regions(all, "{\"text\":\"xabcd\"}", "-pp", 5); /* <s> is no target */
    assert_regions(all, line, "-tttttttttttttttttttttttttttttttqttttttttttttttttc", 50);
    assert_regions(completion, line, "-------------------------------------------------c", 2);
    assert_regions(all, "{\"text\":\"### Response:\\nab\"}", "-ppppppppppppppc", 16);
    assert_regions(completion, "{\"text\":\"### Response:\\nab\"}", "---------------c", 2);
    assert_fails(completion, "{\"text\":\"### Response:\"}", "missing", "completion");
    assert_fails(completion, "{\"text\":\"### Instruction:\\nI\\n\\n### Query:\\nQ\"}", "missing",
                 "completion");
    assert_regions(completion, "{\"text\":\"### Response:\\n\"}", "---------------", 0);
    assert_string_equal(input.reason, "there is nothing to score");
}

static void a_token_that_spans_a_border_belongs_behind_it(void **state)
{
    const struct score_input_options completion = {.max_length = 1024, .completion_only = true};

    (void)state;
    assert_regions(all, "{\"prompt\":\"xab\",\"completion\":\"cdx\"}", "-pcc", 6);
    assert_regions(completion, "{\"prompt\":\"xab\",\"completion\":\"cdx\"}", "--cc", 5);
    assert_regions(completion, "{\"prompt\":\"xab\",\"completion\":\"x\"}", "---c", 1);
    assert_regions(all, "{\"prompt\":\"\",\"completion\":\"x\"}", "-c", 1);
    /* of a frame, the record's own border counts, and the query does not reach beyond it */
    assert_regions(all,
                   "{\"prompt\":\"### Instruction:\\nI\\n### Query:\\nab\",\"completion\":\"\\n### "
                   "Response:\\n\"}",
                   "-ttttttttttttttttttttttttttttttqccccccccccccccc", 47);
}

static void a_continuation_begins_behind_as_many_tokens_as_its_context_has(void **state)
{
    (void)state;
    assert_regions(all, "{\"context\":\"xab\",\"continuation\":\"cdx\"}", "---c", 1);
    assert_true(input.is_continuation);
    assert_regions(all, "{\"context\":\"x  \",\"continuation\":\"ab\"}", "--ccc", 4);
    assert_regions(all, "{\"context\":\"\",\"continuation\":\"ab\"}", "-c", 2);
    assert_regions(all, "{\"context\":\"abc\",\"continuation\":\"d\"}", "--", 0);
    assert_string_equal(input.reason, "there is nothing to score");
}

static void tokens_are_taken_as_they_are(void **state)
{
    (void)state;
    assert_regions(all, "{\"tokens\":[120,256,121],\"text\":5}", "-pp", 3);
    assert_int_equal(input.n_front, 0); /* 120 is no special token */
    assert_regions(all, "{\"tokens\":[259,120,256]}", "-pp", 3);
    assert_int_equal(input.n_front, 1);
    assert_regions(all, "{\"tokens\":[259]}", "-", 0);
    assert_string_equal(input.reason, "a single token has no predecessor");
    assert_regions(all, "{\"tokens\":[]}", "", 0);
    assert_string_equal(input.reason, "there is no token");
    assert_fails((struct score_input_options){.max_length = 9, .completion_only = true},
                 "{\"tokens\":[1,2]}", "missing", "completion");
}

static void parts_move_with_what_is_cut(void **state)
{
    struct score_input_options tail = {.max_length = 5, .truncate = TRUNCATE_TAIL};
    struct score_input_options head = {.max_length = 4};
    static const char pair[] = "{\"prompt\":\"0123\",\"completion\":\"4567\"}";

    (void)state;
    assert_regions(head, pair, "-ppp", 3);
    assert_int_equal(input.truncated, 5);
    assert_regions(tail, pair, "-cccc", 4);
    assert_int_equal(input.tokens.ids[0], TINY_BEGIN);
    assert_int_equal(input.tokens.ids[1], '4');
    tail.max_length = 7;
    assert_regions(tail, pair, "-ppcccc", 6);
    tail.completion_only = true;
    assert_regions(tail, pair, "---cccc", 4);
    tail.max_length = 3;
    assert_regions(tail, pair, "-cc", 2);
    head.completion_only = true;
    assert_regions(head, pair, "----", 0);
    assert_string_equal(input.reason, "all that would be scored was cut");
    head.windows = true;
    assert_regions(head, pair, "-----cccc", 4);
    assert_int_equal(input.truncated, 0);
    head.windows = false;
    head.truncate = TRUNCATE_ERROR;
    assert_fails(head, pair, "too_long", "");
    assert_regions(tail, "{\"context\":\"0123\",\"continuation\":\"4567\"}", "-cc", 2);
    /* query and template */
    tail = (struct score_input_options){.max_length = 20, .truncate = TRUNCATE_TAIL};
    assert_regions(tail,
                   "{\"text\":\"### Instruction:\\nI\\n\\n### Query:\\n0123\\n\\n### "
                   "Response:\\nab\"}",
                   "-qqttttttttttttttttc", 20);
}

/* Of a tokenizer that puts a space in front and no start token; a start token stands for an empty
 * context all the same. */
static void a_space_that_the_tokenizer_puts_in_front_is_no_byte_of_the_text(void **state)
{
    const struct small_spm spm = {.prefix = true, .bytes = true};
    const int32_t start = 1;
    struct score_input_options stands = {.max_length = 1024, .empty_context = &start};
    struct tokenizer *small, *const tiny = tokenizer;
    struct status status = {0};
    struct buf file = {0}, path = {0};
    char folder[64];

    (void)state;
    put_small_spm(&file, &spm);
    make_folder(folder);
    write_file(folder, "small.model", file.data, file.len);
    buf_printf(&path, "%s/small.model", folder);
    small = tokenizer_open(path.data, &status);
    assert_non_null(small);
    tokenizer = small;
    assert_regions(all, "{\"tokens\":[0,0]}", "-p", tokenizer_bytes(small, 0).len);
    assert_regions(all, "{\"context\":\"\",\"continuation\":\"the ab\"}", "-cc", 3);
    assert_regions(stands, "{\"context\":\"\",\"continuation\":\"the ab\"}", "-ccc", 6);
    assert_int_equal(input.tokens.ids[0], start);
    assert_int_equal(input.n_front, 1);
    stands.max_length = 2;
    assert_regions(stands, "{\"context\":\"\",\"continuation\":\"the ab\"}", "-c", 3);
    stands.truncate = TRUNCATE_TAIL;
    assert_regions(stands, "{\"context\":\"\",\"continuation\":\"the ab\"}", "-c", 2);
    assert_int_equal(input.tokens.ids[0], start);
    /* of no text, of another context, of another kind of record */
    assert_regions(stands, "{\"context\":\"\",\"continuation\":\"\"}", "", 0);
    assert_string_equal(input.reason, "there is no token");
    assert_regions(stands, "{\"context\":\" \",\"continuation\":\"ab\"}", "-c", 2);
    assert_regions(stands, "{\"prompt\":\"\",\"completion\":\"the ab\"}", "-c", 2);
    need(all, "{\"text\":\"the ab\"}");
    assert_int_equal(input.lead, 1);
    assert_int_equal(score_input_bytes(&input, small, 0), 3);
    need((struct score_input_options){.max_length = 2, .truncate = TRUNCATE_TAIL},
         "{\"text\":\"the ab\"}");
    assert_int_equal(input.lead, 0);
    assert_int_equal(score_input_bytes(&input, NULL, 0), 0);
    tokenizer = tiny;
    tokenizer_close(small);
    remove_file(folder, "small.model");
    rmdir(folder);
    buf_release(&path);
    buf_release(&file);
}

static void a_record_without_a_text_fails(void **state)
{
    (void)state;
    assert_fails(all, "{}", "missing", "text");
    assert_fails(all, "{\"text\":1}", "type", "text");
    assert_fails(all, "{\"completion\":\"x\"}", "missing", "prompt");
    assert_fails(all, "{\"continuation\":\"x\"}", "missing", "context");
    assert_fails(all, "{\"continuation\":\"x\",\"context\":[]}", "type", "context");
    assert_fails(all, "{\"completion\":7,\"text\":\"x\"}", "type", "completion");
    assert_fails(all, "{\"tokens\":\"x\"}", "type", "tokens");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headings_part_a_text),
        cmocka_unit_test(a_text_is_scored_whole_or_its_completion_alone),
        cmocka_unit_test(a_token_that_spans_a_border_belongs_behind_it),
        cmocka_unit_test(a_continuation_begins_behind_as_many_tokens_as_its_context_has),
        cmocka_unit_test(tokens_are_taken_as_they_are),
        cmocka_unit_test(parts_move_with_what_is_cut),
        cmocka_unit_test(a_space_that_the_tokenizer_puts_in_front_is_no_byte_of_the_text),
        cmocka_unit_test(a_record_without_a_text_fails),
    };
    struct status status = {0};
    int n_failed;

    tokenizer = tiny_open(true, &status);
    if (!tokenizer) {
        printf("Bail out! %s\n", status.message);
        return 1;
    }
    n_failed = cmocka_run_group_tests(tests, NULL, NULL);
    score_input_release(&input);
    tokenizer_close(tokenizer);
    return n_failed;
}

/* The loop with a tool whose records end late and out of order: nobody outside may notice. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/memory.h"
#include "cli/stream.h"
#include "formats/json_write.h"

#define N_RECORDS 500
#define WINDOW 7

/* Ends jobs a few steps after they began, the later the smaller their "wait". */
struct late_tool {
    struct job *open[WINDOW];
    size_t n_open, max_open;
    size_t n_begun, n_released, n_steps;
    size_t fatal_at; /* this step ends the run; 0: none does */
};

static char input[] = "/tmp/stream-test-in-XXXXXX";
static char output[] = "/tmp/stream-test-out-XXXXXX";

static bool begin(void *self, struct job *job, struct status *status)
{
    struct late_tool *tool = self;
    const json_t *wait = record_get(&job->record, "wait");

    tool->n_begun++;
    if (!json_is_integer(wait))
        return record_fail_missing(&job->record, "wait", status);
    job->work = memory_zeroed(1, sizeof(int));
    *(int *)job->work = (int)json_integer_value(wait);
    if (*(int *)job->work == 0) { /* some end at once */
        json_write_name(&job->members, "late");
        json_write_uint(&job->members, tool->n_steps);
        job_done(job);
        return true;
    }
    tool->open[tool->n_open++] = job;
    if (tool->n_open > tool->max_open)
        tool->max_open = tool->n_open;
    return true;
}

static void end(struct late_tool *tool, struct job *job)
{
    struct status why;

    if (record_get(&job->record, "bad")) {
        status_set_record(&why, "late", "bad", "failed late");
        job_fail(job, &why);
        return;
    }
    json_write_name(&job->members, "late");
    json_write_uint(&job->members, tool->n_steps);
    job_done(job);
}

static bool step(void *self, struct status *status)
{
    struct late_tool *tool = self;
    size_t n_left = 0;

    if (++tool->n_steps == tool->fatal_at)
        return status_fail(status, STATUS_MEMORY, "the step failed");
    for (size_t i = 0; i < tool->n_open; i++) {
        int *wait = tool->open[i]->work;

        if (--*wait == 0)
            end(tool, tool->open[i]);
        else
            tool->open[n_left++] = tool->open[i];
    }
    tool->n_open = n_left;
    return true;
}

static void release(void *self, struct job *job)
{
    struct late_tool *tool = self;

    tool->n_released++;
    free(job->work);
}

/* Records that wait 0 to 4 steps; those whose number is a multiple of `bad` fail late. */
static void make_input(int bad)
{
    FILE *file = fopen(input, "w");

    assert_non_null(file);
    for (int i = 1; i <= N_RECORDS; i++)
        fprintf(file, "{\"id\":%d,\"wait\":%d%s}\n", i, (i * 7 + i / 5) % 5,
                bad > 0 && i % bad == 0 ? ",\"bad\":1" : "");
    assert_int_equal(fclose(file), 0);
}

static int run(struct late_tool *tool, enum stream_on_error on_error)
{
    static const char *const makes[] = {"late"};
    const char *const files[] = {input};
    const struct stream_options options = {
        .files = files, .n_files = 1, .output = output, .on_error = on_error, .quiet = true};
    const struct stream_tool stream_tool = {
        .name = "late",
        .self = tool,
        .makes = makes,
        .n_makes = 1,
        .begin = begin,
        .step = step,
        .release = release,
        .window = WINDOW,
    };

    unlink(output);
    return stream_run(&options, &stream_tool);
}

/* The ids of the output in order must be 1, 2, 3...; returns how many lines are error records. */
static size_t check_order(size_t n_lines)
{
    FILE *file = fopen(output, "r");
    size_t n = 0, n_errors = 0;
    char line[300];

    assert_non_null(file);
    while (fgets(line, sizeof(line), file)) {
        assert_int_equal(strtol(line + strlen("{\"id\":"), NULL, 10), ++n);
        if (strstr(line, "\"error\":"))
            n_errors++;
        else
            assert_non_null(strstr(line, ",\"late\":"));
    }
    fclose(file);
    assert_int_equal(n, n_lines);
    return n_errors;
}

static void records_that_end_out_of_order_leave_in_order(void **state)
{
    struct late_tool tool = {0};

    (void)state;
    make_input(0);
    assert_int_equal(run(&tool, STREAM_EMIT), 0);
    assert_int_equal(check_order(N_RECORDS), 0);
    assert_int_equal(tool.n_begun, N_RECORDS);
    assert_int_equal(tool.n_released, N_RECORDS);
    assert_in_range(tool.max_open, 2, WINDOW);
}

static void records_that_fail_late_keep_their_place(void **state)
{
    struct late_tool tool = {0};
    size_t n_bad = 0;

    (void)state;
    make_input(3);
    for (int i = 3; i <= N_RECORDS; i += 3)
        n_bad += (i * 7 + i / 5) % 5 != 0; /* those that end at once do not fail */
    assert_int_equal(run(&tool, STREAM_EMIT), 1);
    assert_int_equal(check_order(N_RECORDS), n_bad);
    assert_int_equal(tool.n_released, N_RECORDS);
}

static void at_the_first_failure_the_run_ends_and_all_work_is_freed(void **state)
{
    struct late_tool tool = {0};

    (void)state;
    make_input(101);
    assert_int_equal(run(&tool, STREAM_FAIL), 65);
    assert_int_not_equal(access(output, F_OK), 0);
    assert_in_range(tool.n_begun, 101, 101 + WINDOW);
    assert_int_equal(tool.n_released, tool.n_begun);
}

static void a_step_that_fails_ends_the_run_with_its_code(void **state)
{
    struct late_tool tool = {.fatal_at = 20};

    (void)state;
    make_input(0);
    assert_int_equal(run(&tool, STREAM_EMIT), 71);
    assert_int_not_equal(access(output, F_OK), 0);
    assert_int_equal(tool.n_released, tool.n_begun);
    assert_true(tool.n_begun < N_RECORDS);
}

static int set_up(void **state)
{
    (void)state;
    return close(mkstemp(input)) != 0 || close(mkstemp(output)) != 0;
}

static int tear_down(void **state)
{
    (void)state;
    unlink(output);
    return unlink(input);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_that_end_out_of_order_leave_in_order),
        cmocka_unit_test(records_that_fail_late_keep_their_place),
        cmocka_unit_test(at_the_first_failure_the_run_ends_and_all_work_is_freed),
        cmocka_unit_test(a_step_that_fails_ends_the_run_with_its_code),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}

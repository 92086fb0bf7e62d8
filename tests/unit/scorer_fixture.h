/* What the scorer's tests share: one on an open model, and a line's score as JSON. */
#ifndef UNIT_SCORER_FIXTURE_H
#define UNIT_SCORER_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "run/scorer.h"
#include "tests/golden/golden.h"

static inline struct scorer *open_scorer(const struct model *model, struct scorer_options options)
{
    struct status status = {0};
    struct scorer *s;

    options.batch = options.batch ? options.batch : 4;
    options.threads = options.threads ? options.threads : 1;
    s = scorer_open(model, &options, &status);
    golden_need(s != NULL, "scorer", &status);
    return s;
}

static inline struct scoring *begin(struct scorer *s, const char *line, struct status *status)
{
    struct record record = {0};
    struct scoring *scoring;

    assert_true(record_parse(&record, text_of(line), status));
    scoring = scorer_begin(s, &record, NULL, status);
    record_release(&record);
    return scoring;
}

/* A record's scoring, complete; the caller frees it. */
static inline struct scoring *score(struct scorer *s, const char *line)
{
    struct status status = {0};
    struct scoring *scoring = begin(s, line, &status), *done;

    golden_need(scoring != NULL, line, &status);
    while ((done = scorer_next_done(s)) == NULL)
        golden_need(scorer_step(s, &status), "step", &status);
    assert_ptr_equal(done, scoring);
    return scoring;
}

/* What is written, as `{"score":{...}}`; the caller drops it. */
static inline json_t *written(const struct scoring *scoring)
{
    struct status status = {0};
    struct buf members = {0};
    json_t *object;

    buf_append_char(&members, '{');
    golden_need(scorer_write(scoring, &members, &status), "write", &status);
    buf_append_char(&members, '}');
    object = json_loadb(members.data, members.len, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(object);
    buf_release(&members);
    return object;
}

/* The member `score` of a line; the caller drops it. */
static inline json_t *score_line(struct scorer *s, const char *line)
{
    struct scoring *scoring = score(s, line);
    json_t *object = written(scoring), *member = json_incref(json_object_get(object, "score"));

    json_decref(object);
    scorer_free(scoring);
    return member;
}

#endif

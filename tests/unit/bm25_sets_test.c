/* The order of the passages of 560 real questions by BM25, against the reference in Python. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/hash.h"
#include "base/memory.h"
#include "formats/jsonl.h"
#include "formats/record.h"
#include "rank/bm25.h"
#include "rank/passages.h"
#include "rank/ranking.h"
#include "tests/golden/golden.h"

static const char *const sets[] = {"evinf", "liveqa", "medquad", "poison", "pubmedqa"};

enum { N_SETS = sizeof(sets) / sizeof(sets[0]), MAX_LINE = 1 << 20 };

static void set_path(size_t i, struct buf *path)
{
    const char *data = getenv("MEDRAT_DATA");

    buf_reset(path);
    buf_printf(path, "%s/rerank/%s.dev.jsonl", data ? data : "../shared/data", sets[i]);
}

/* The next line of an open file as a record. */
static bool next_record(struct jsonl *file, struct record *record)
{
    struct status status = {0};
    struct line line;
    const enum jsonl_result result = jsonl_next(file, &line, &status);

    if (result == JSONL_FAILED ||
        (result == JSONL_LINE && !record_parse(record, line.bytes, &status)))
        fail_msg("%s", status.message);
    return result == JSONL_LINE;
}

static struct jsonl *open_file(const char *path)
{
    struct status status = {0};
    struct jsonl *file = jsonl_open(&path, 1, MAX_LINE, &status);

    if (!file)
        fail_msg("%s", status.message);
    return file;
}

/* The hash of the indexes, best first, with commas between. */
static uint64_t order_hash(const struct record *record)
{
    struct status status = {0};
    struct passages passages;
    struct text query;
    struct text *texts;
    double *scores;
    size_t *order;
    struct buf line = {0};
    uint64_t hash;
    bool found;

    assert_true(record_string(record, "query", &query, &found, &status) && found);
    assert_true(passages_read(&passages, record, &status));
    texts = memory_zeroed(passages.n, sizeof(*texts));
    scores = memory_zeroed(passages.n, sizeof(*scores));
    order = memory_zeroed(passages.n, sizeof(*order));
    for (size_t i = 0; i < passages.n; i++)
        texts[i] = passages.list[i].text;
    bm25_scores(query, texts, passages.n, scores);
    ranking_order(scores, passages.n, order);
    for (size_t i = 0; i < passages.n; i++)
        buf_printf(&line, "%s%zu", i > 0 ? "," : "", order[i]);
    hash = hash64(line.data, line.len);
    buf_release(&line);
    free(texts);
    free(scores);
    free(order);
    passages_release(&passages);
    return hash;
}

static void orders_560_questions_as_the_reference_does(void **state)
{
    struct jsonl *golden = open_file("tests/golden/bm25.jsonl");
    struct record want = {0};
    struct record record = {0};
    struct buf path = {0};
    size_t n = 0;

    (void)state;
    for (size_t i = 0; i < N_SETS; i++) {
        struct jsonl *file;

        set_path(i, &path);
        file = open_file(path.data);
        for (; next_record(file, &record); n++) {
            struct status status = {0};
            struct text hash;
            bool found;

            assert_true(next_record(golden, &want));
            assert_true(text_equals(want.id, record.id));
            assert_true(record_string(&want, "order", &hash, &found, &status) && found);
            if (order_hash(&record) != strtoull(hash.ptr, NULL, 16))
                fail_msg("%.*s: another order than tests/golden/bm25.py has", (int)record.id.len,
                         record.id.ptr);
        }
        jsonl_close(file);
    }
    assert_int_equal(n, 560);
    jsonl_close(golden);
    record_release(&want);
    record_release(&record);
    buf_release(&path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(orders_560_questions_as_the_reference_does),
    };
    struct buf path = {0};
    FILE *file;

    set_path(0, &path);
    file = fopen(path.data, "r");
    buf_release(&path);
    if (!file)
        golden_skip("needs the data sets (MEDRAT_DATA or ../shared/data)");
    fclose(file);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Partial statistics: what is accepted is written back as the same bytes that a second reading
 * gives, has a summary that is JSON, and merges with an empty shard into itself. */
#include <jansson.h>
#include <stdlib.h>

#include "fuzz.h"
#include "run/score_partial.h"
#include "run/score_summary.h"

/* No NaN, no infinity, nothing that only some parsers read. */
static void check_summary(struct score_totals *totals)
{
    struct buf text = {0};
    json_t *summary;

    score_summary_write(totals, &text);
    summary = json_loadb(text.data, text.len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
    require(json_is_object(summary));
    json_decref(summary);
    buf_release(&text);
}

static void check_round_trip(struct score_totals *totals)
{
    struct buf once = {0}, twice = {0};
    struct status status = {0};
    struct score_totals *again;

    score_partial_write(totals, &once);
    again = score_partial_parse(buf_text(&once), &status);
    require(again != NULL);
    score_partial_write(again, &twice);
    require(text_equals(buf_text(&once), buf_text(&twice)));
    score_totals_free(again);
    buf_release(&once);
    buf_release(&twice);
}

static void check_merge(struct score_totals *totals)
{
    static const char *const names[] = {"a", "b"};
    struct score_totals *empty = score_totals_new(&totals->protocol, totals->batch);
    struct buf before = {0}, after = {0};
    struct status status = {0};

    score_partial_write(totals, &before);
    require(score_totals_merge(empty, totals, names, 1, &status));
    score_partial_write(empty, &after);
    require(text_equals(buf_text(&before), buf_text(&after)));
    /* its own records are in it already; without any, it may come again */
    require(score_totals_merge(empty, totals, names, 1, &status) == (totals->keys.n == 0));
    score_totals_free(empty);
    buf_release(&before);
    buf_release(&after);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct status status = {0};
    struct score_totals *totals =
        score_partial_parse((struct text){(const char *)data, size}, &status);

    if (!totals) {
        require(status.code == STATUS_DATA && status.message[0] != '\0');
        return 0;
    }
    check_summary(totals);
    check_round_trip(totals);
    check_merge(totals);
    score_totals_free(totals);
    return 0;
}

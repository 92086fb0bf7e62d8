/* A line to its evidence by words: passages, terms, BM25, selection and reasons. What comes out is
 * JSON, and has as many passages as went in. */
#include <stdlib.h>

#include "fuzz.h"
#include "rank/reranker.h"

static void check(const struct record *record, const struct buf *members)
{
    struct buf object = {0};
    json_t *made;

    buf_append_char(&object, '{');
    buf_append_text(&object, buf_text(members));
    buf_append_char(&object, '}');
    made = json_loadb(object.data, object.len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
    require(made != NULL);
    require(json_array_size(json_object_get(made, "evidence")) ==
            json_array_size(record_get(record, "passages")));
    json_decref(made);
    buf_release(&object);
}

static void rerank(const struct record *record, struct cut cut, size_t window)
{
    struct reranker reranker = {.method = RERANK_BM25, .cut = cut, .window = window};
    struct status status;
    struct reranking *reranking = reranker_begin(&reranker, record, NULL, &status);
    struct buf members = {0};

    if (!reranking) {
        require(status.code == STATUS_INPUT && status.kind && status.member[0] != '\0');
        return;
    }
    require(reranker_finish(&reranker, reranking, &members, &status));
    check(record, &members);
    reranker_free(&reranker, reranking);
    buf_release(&members);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct record record = {0};
    struct status status;

    if (record_parse(&record, (struct text){(const char *)data, size}, &status)) {
        rerank(&record, (struct cut){.rule = CUT_ELBOW}, 0);
        rerank(&record, (struct cut){.rule = CUT_TOP, .count = 2}, 2);
    }
    record_release(&record);
    return 0;
}

/* The passages of one record: strings, or {"id","text","doc"?,"pos"?} objects, mixed as they come.
 *
 * `id` is a string or an integer; without one a passage is known by its index, from 0. Two passages
 * with one id are an error, "1" and 1 being one (qrels and TREC runs cannot tell them apart). `doc`
 * (string or integer) and `pos` (integer) together name a passage's place in a document; one of
 * them alone, or null, is no place. Other members are not read.
 */
#ifndef RANK_PASSAGES_H
#define RANK_PASSAGES_H

#include <stdint.h>

#include "formats/record.h"

#define PASSAGES_MAX 65536 /* passages a record */

struct passage {
    struct text id;   /* as JSON: "\"a.1\"" or "7" */
    struct text name; /* as text: "a.1" or "7" */
    struct text text; /* into the record */
    bool placed;      /* has doc and pos */
    struct text doc;  /* as JSON */
    int64_t pos;
};

struct passages {
    struct passage *list;
    size_t n;
    bool placed;    /* at least one passage has a place */
    struct buf ids; /* what id and doc of the list point into */
};

/* The record must outlive *passages. Failures are the record's (STATUS_INPUT) and leave *passages
 * empty: kind "missing" without the member, "type", "duplicate", "too_many". */
bool passages_read(struct passages *passages, const struct record *record,
                   struct status *status) MUST_CHECK;
void passages_release(struct passages *passages);

#endif

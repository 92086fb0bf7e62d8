/* What a run of medrat-score did to each record: what two shards must have in common to be parts of
 * one evaluation. */
#ifndef RUN_SCORE_PROTOCOL_H
#define RUN_SCORE_PROTOCOL_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/status.h"

struct score_protocol {
    char model[96];      /* NAME@HASH, as struct model's */
    char adapters[1024]; /* NAME@HASH of each, ", " between them; empty: none */
    char tokenizer[64];  /* the file it was read from */
    char kernels[32];    /* the set that computed: others round otherwise */
    char truncate[16];   /* head, tail, error, window */
    size_t max_length;   /* tokens of a text */
    size_t stride;       /* of windows; 0: none */
    bool completion_only;
    bool compare; /* base and adapter, else the one of the two that records ask for */
};

enum { SCORE_PROTOCOL_MAX_LEGS = 2 };
int score_protocol_legs(const struct score_protocol *protocol); /* 1 or 2 */

/* Copies a string into a field of `size` bytes, cut where it is too long. */
void score_protocol_set(char *field, size_t size, const char *value);

/* {"model":..,...} */
void score_protocol_write(const struct score_protocol *protocol, struct buf *out);
/* The same from JSON: every member must be there and no other. STATUS_CONFIG. */
bool score_protocol_read(struct score_protocol *protocol, const json_t *object,
                         struct status *status) MUST_CHECK;

/* False with STATUS_DATA and the first member that differs. */
bool score_protocol_equal(const struct score_protocol *a, const struct score_protocol *b,
                          struct status *status) MUST_CHECK;

/* The whole in sentences, for people: what was scored, and what the figures mean. */
void score_protocol_describe(const struct score_protocol *protocol, struct buf *out);

#endif

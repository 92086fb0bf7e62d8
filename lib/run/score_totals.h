/* What a run of medrat-score adds up to, in bounded memory: sufficient statistics of which every
 * figure of --summary is a function, and which shards add up to, in any order, bit for bit.
 *
 * One leg (the model as each record asked for it), or with --compare two: the base, then the
 * adapter. A record counts when all of its legs have a loss; else it is skipped, with a reason.
 */
#ifndef RUN_SCORE_TOTALS_H
#define RUN_SCORE_TOTALS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/exact_sum.h"
#include "base/status.h"
#include "base/text.h"
#include "run/bootstrap.h"
#include "run/loss_histogram.h"
#include "run/record_keys.h"
#include "run/score_protocol.h"
#include "run/score_result.h"
#include "run/worst_records.h"

#define SCORE_TOTALS_MAX_COUNT ((uint64_t)1 << 53) /* of anything that is counted */

enum { SCORE_MAX_REASONS = 32, SCORE_MAX_REASON = 96 };

struct score_reason {
    char text[SCORE_MAX_REASON];
    uint64_t n; /* records */
};

struct score_counts {
    uint64_t scored;           /* records with a loss */
    uint64_t truncated;        /* of those: records of which something was cut */
    uint64_t truncated_tokens; /* what was cut of them */
    uint64_t failed;           /* error records: set by whoever reads them */
    uint64_t kept;             /* passed on with a score they had: likewise */
    uint64_t weight;           /* sum of L, the tokens of a record */
    uint64_t improved, worse;  /* two legs: loss with the adapter below, above that of the base */
    uint64_t tokens[SCORE_REGIONS], bytes[SCORE_REGIONS]; /* targets, and their UTF-8 bytes */
};

struct score_leg {
    struct exact_sum card;            /* of L * loss */
    struct exact_sum losses, squares; /* of loss, of its square */
    struct exact_sum nll[SCORE_REGIONS];
    struct exact_sum seconds; /* the one figure that no second run gives again */
    double least, greatest;   /* loss; of no meaning while nothing was scored */
    struct loss_histogram histogram;
};

struct score_totals {
    struct score_protocol protocol;
    uint64_t batch; /* --batch; 0: shards differ in it */
    int n_legs;
    struct score_counts counts;
    struct score_reason reasons[SCORE_MAX_REASONS]; /* [n_reasons] by text */
    int n_reasons;
    struct record_keys keys;
    struct score_leg legs[SCORE_PROTOCOL_MAX_LEGS];
    struct bootstrap *bootstrap; /* ours; NULL with one leg */
    struct worst_records worst;
};

struct score_totals *score_totals_new(const struct score_protocol *protocol, uint64_t batch);
void score_totals_free(struct score_totals *totals); /* NULL allowed */

/* A record: its key and the JSON bytes of its id (formats/record.h), its results [n_legs]. Those of
 * two legs are of the same tokens. */
void score_totals_add(struct score_totals *totals, uint64_t key, struct text id,
                      const struct score_result *results);

/* += other, which stays the same but for the order of its keys. False with STATUS_DATA: another
 * protocol, or records that are in both. `names` are those of the shards merged so far, `shard` is
 * the number of this one. */
bool score_totals_merge(struct score_totals *totals, struct score_totals *other,
                        const char *const *names, uint32_t shard, struct status *status) MUST_CHECK;

/* Counts n records under a reason; false: that would be one reason more than are kept. */
bool score_totals_skip(struct score_totals *totals, const char *reason, uint64_t n) MUST_CHECK;

/* The number of records that were skipped. */
uint64_t score_totals_skipped(const struct score_totals *totals);

#endif

/* The records that an adapter made worst: by how much their loss grew, then by key, then by id. */
#ifndef RUN_WORST_RECORDS_H
#define RUN_WORST_RECORDS_H

#include <stddef.h>
#include <stdint.h>

#include "base/text.h"

enum { WORST_RECORDS = 20, WORST_RECORDS_MAX_ID = 256 };

struct worst_record {
    uint64_t key;
    char id[WORST_RECORDS_MAX_ID]; /* its JSON; empty: there is none, or one too long to keep */
    size_t id_len;
    double base, adapted; /* loss, nats; base < adapted */
};

/* Zeroed = empty. */
struct worst_records {
    struct worst_record list[WORST_RECORDS]; /* the worst first */
    size_t n;
};

/* Whoever did not get worse is not kept. `id`: JSON bytes. */
void worst_records_add(struct worst_records *worst, uint64_t key, struct text id, double base,
                       double adapted);
void worst_records_merge(struct worst_records *worst, const struct worst_records *other);

#endif

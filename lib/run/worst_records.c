#include "run/worst_records.h"

#include <stdbool.h>
#include <string.h>

static bool is_before(const struct worst_record *a, const struct worst_record *b)
{
    const double growth_a = a->adapted - a->base, growth_b = b->adapted - b->base;
    int order;

    if (growth_a != growth_b)
        return growth_a > growth_b;
    if (a->key != b->key)
        return a->key < b->key;
    order = memcmp(a->id, b->id, a->id_len < b->id_len ? a->id_len : b->id_len);
    return order != 0 ? order < 0 : a->id_len < b->id_len;
}

static void insert(struct worst_records *worst, const struct worst_record *record)
{
    size_t at = worst->n;

    while (at > 0 && is_before(record, &worst->list[at - 1]))
        at--;
    if (at == WORST_RECORDS)
        return;
    if (worst->n < WORST_RECORDS)
        worst->n++;
    memmove(&worst->list[at + 1], &worst->list[at], (worst->n - 1 - at) * sizeof(*record));
    worst->list[at] = *record;
}

void worst_records_add(struct worst_records *worst, uint64_t key, struct text id, double base,
                       double adapted)
{
    struct worst_record record = {.key = key, .base = base, .adapted = adapted};

    if (!(adapted > base))
        return;
    if (id.len <= WORST_RECORDS_MAX_ID) {
        memcpy(record.id, id.ptr ? id.ptr : "", id.len);
        record.id_len = id.len;
    }
    insert(worst, &record);
}

void worst_records_merge(struct worst_records *worst, const struct worst_records *other)
{
    for (size_t i = 0; i < other->n; i++)
        insert(worst, &other->list[i]);
}

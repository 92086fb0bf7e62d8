#include <math.h>
#include <string.h>

#include "base/mapped_file.h"
#include "formats/json_file.h"
#include "formats/json_kind.h"
#include "run/score_partial.h"
#include "run/score_regions.h"

#define MAX_LOSS 1e100
/* Of losses, and of their squares: beyond it the deviation's arithmetic would overflow. */
#define MAX_LOSSES 1e120
#define MAX_SQUARES 1e220

/* ---- values ---- */

static bool read_count(const json_t *object, const char *name, uint64_t *n, struct status *status)
{
    int64_t value;

    if (!json_file_int(object, name, 0, (int64_t)SCORE_TOTALS_MAX_COUNT, &value, NULL, status))
        return false;
    *n = (uint64_t)value;
    return true;
}

static bool read_sum(const json_t *value, const char *name, struct exact_sum *sum,
                     struct status *status)
{
    const char *text = json_string_value(value);

    if (!text)
        return status_fail(status, STATUS_DATA, "%s: must be a string, is %s", name,
                           value ? json_kind(value) : "missing");
    if (!exact_sum_read((struct text){text, json_string_length(value)}, sum))
        return status_fail(status, STATUS_DATA, "%s: is not an exact sum as \"0x1ap-64\"", name);
    return true;
}

static bool read_named_sum(const json_t *object, const char *name, struct exact_sum *sum,
                           struct status *status)
{
    return read_sum(json_object_get(object, name), name, sum, status);
}

static bool read_bounded_sum(const json_t *object, const char *name, double max,
                             struct exact_sum *sum, struct status *status)
{
    if (!read_named_sum(object, name, sum, status))
        return false;
    return fabs(exact_sum_value(sum)) <= max ||
           status_fail(status, STATUS_DATA, "%s: beyond %g", name, max);
}

/* The member, which must be an object or an array of `size` members. SIZE_MAX: any number. */
static const json_t *part_of(const json_t *object, const char *name, json_type type, size_t size,
                             struct status *status)
{
    const json_t *part = json_object_get(object, name);
    const char *wanted = type == JSON_OBJECT ? "an object" : "a list";
    size_t n;

    if (!part || json_typeof(part) != type) {
        status_set(status, STATUS_DATA, "%s: must be %s, is %s", name, wanted,
                   part ? json_kind(part) : "missing");
        return NULL;
    }
    n = type == JSON_OBJECT ? json_object_size(part) : json_array_size(part);
    if (size != SIZE_MAX && n != size) {
        status_set(status, STATUS_DATA, "%s: must have %zu items, has %zu", name, size, n);
        return NULL;
    }
    return part;
}

/* ---- counts and reasons ---- */

static bool read_region(const json_t *counts, const char *name, uint64_t *tokens, uint64_t *bytes,
                        struct status *status)
{
    const json_t *region = part_of(counts, name, JSON_OBJECT, 2, status);

    if (!region)
        return false;
    return (read_count(region, "tokens", tokens, status) &&
            read_count(region, "bytes", bytes, status)) ||
           status_context(status, "%s", name);
}

static bool read_counts(const json_t *root, struct score_counts *c, struct status *status)
{
    const struct {
        const char *name;
        uint64_t *n;
    } members[] = {
        {"scored", &c->scored},
        {"truncated", &c->truncated},
        {"truncated_tokens", &c->truncated_tokens},
        {"failed", &c->failed},
        {"kept", &c->kept},
        {"weight", &c->weight},
        {"improved", &c->improved},
        {"worse", &c->worse},
    };
    const size_t n_members = sizeof(members) / sizeof(members[0]);
    const json_t *counts = part_of(root, "counts", JSON_OBJECT, n_members + SCORE_REGIONS, status);

    if (!counts)
        return false;
    for (size_t i = 0; i < n_members; i++) {
        if (!read_count(counts, members[i].name, members[i].n, status))
            return status_context(status, "counts");
    }
    for (int i = 0; i < SCORE_REGIONS; i++) {
        if (!read_region(counts, score_region_names[i], &c->tokens[i], &c->bytes[i], status))
            return status_context(status, "counts");
    }
    return true;
}

static uint64_t n_tokens(const struct score_counts *c)
{
    uint64_t n = 0;

    for (int i = 0; i < SCORE_REGIONS; i++)
        n += c->tokens[i];
    return n;
}

/* What can be seen of counts that belong to no run. */
static bool check_counts(const struct score_totals *t, struct status *status)
{
    const struct score_counts *c = &t->counts;

    if (c->truncated > c->scored || c->improved + c->worse > c->scored ||
        (t->n_legs == 1 && c->improved + c->worse > 0))
        return status_fail(status, STATUS_DATA, "counts: more records than were scored");
    if (n_tokens(c) < c->scored || c->weight < n_tokens(c) || (c->scored == 0 && c->weight > 0))
        return status_fail(status, STATUS_DATA, "counts: the tokens do not fit the records");
    return true;
}

static bool read_reasons(const json_t *root, struct score_totals *t, struct status *status)
{
    json_t *skipped = json_object_get(root, "skipped");
    const char *text;
    json_t *value;

    if (!part_of(root, "skipped", JSON_OBJECT, SIZE_MAX, status))
        return false;
    json_object_foreach(skipped, text, value)
    {
        uint64_t n;

        if (text[0] == '\0' || strlen(text) >= SCORE_MAX_REASON ||
            strcmp(json_file_shown(text), text) != 0)
            return status_fail(status, STATUS_DATA, "skipped: a reason that is none of ours");
        if (!read_count(skipped, text, &n, status))
            return status_context(status, "skipped");
        if (!score_totals_skip(t, text, n))
            return status_fail(status, STATUS_DATA, "skipped: more than %d reasons",
                               SCORE_MAX_REASONS);
    }
    return true;
}

/* ---- keys ---- */

/* 16 hexadecimal digits, small letters. */
static bool read_key(const char *digits, uint64_t *key)
{
    *key = 0;
    for (int i = 0; i < 16; i++) {
        const char c = digits[i];
        const bool is_digit = c >= '0' && c <= '9';

        if (!is_digit && !(c >= 'a' && c <= 'f'))
            return false;
        *key = *key << 4 | (uint64_t)(is_digit ? c - '0' : c - 'a' + 10);
    }
    return true;
}

static const char *fail_keys(const char *name, struct status *status)
{
    status_set(status, STATUS_DATA, "%s: must be ascending keys of 16 hexadecimal digits each",
               name);
    return NULL;
}

/* The digits of *n keys. */
static const char *read_digits(const json_t *root, const char *name, size_t *n,
                               struct status *status)
{
    const json_t *value = json_object_get(root, name);
    const size_t len = json_is_string(value) ? json_string_length(value) : 1;

    *n = len / 16;
    return len % 16 == 0 ? json_string_value(value) : fail_keys(name, status);
}

static bool read_keys(const json_t *root, struct score_totals *t, struct status *status)
{
    const uint64_t n_records = t->counts.scored + score_totals_skipped(t);
    size_t n, n_repeated, at = 0;
    const char *digits = read_digits(root, "keys", &n, status), *repeated;
    uint64_t key, before = 0;

    if (!digits || !(repeated = read_digits(root, "repeated_keys", &n_repeated, status)))
        return false;
    if (n > RECORD_KEYS_MAX || n > n_records || (n == 0 && n_records > 0))
        return status_fail(status, STATUS_DATA, "keys: %zu of them, of %llu records", n,
                           (unsigned long long)n_records);
    for (size_t i = 0; i < n; i++, before = key) {
        const bool is_repeated =
            at < n_repeated && memcmp(digits + 16 * i, repeated + 16 * at, 16) == 0;

        if (!read_key(digits + 16 * i, &key) || (i > 0 && key <= before))
            return fail_keys("keys", status);
        record_keys_add(&t->keys, key);
        t->keys.keys[i].repeated = is_repeated;
        at += is_repeated;
    }
    if (at < n_repeated)
        return fail_keys("repeated_keys", status);
    record_keys_settle(&t->keys);
    return true;
}

/* ---- legs ---- */

static bool read_histogram(const json_t *leg, uint64_t n_scored, struct loss_histogram *h,
                           struct status *status)
{
    const json_t *list = part_of(leg, "histogram", JSON_ARRAY, SIZE_MAX, status), *item;
    json_int_t before = -1;
    uint64_t sum = 0;
    size_t i;

    if (!list)
        return false;
    json_array_foreach(list, i, item)
    {
        const json_t *bin = json_array_get(item, 0), *n = json_array_get(item, 1);
        const json_int_t at = json_integer_value(bin), count = json_integer_value(n);

        if (json_array_size(item) != 2 || !json_is_integer(bin) || !json_is_integer(n) ||
            at <= before || at >= LOSS_HISTOGRAM_BINS || count < 1 ||
            (uint64_t)count > n_scored - sum)
            return status_fail(status, STATUS_DATA,
                               "histogram: must be ascending pairs of bin and number, %llu in all",
                               (unsigned long long)n_scored);
        h->bins[at] = (uint64_t)count;
        sum += (uint64_t)count;
        before = at;
    }
    return sum == n_scored ||
           status_fail(status, STATUS_DATA, "histogram: %llu records, but %llu were scored",
                       (unsigned long long)sum, (unsigned long long)n_scored);
}

static bool read_leg(const json_t *object, uint64_t n_scored, struct score_leg *leg,
                     struct status *status)
{
    enum { N_MEMBERS = 7 + SCORE_REGIONS };

    if (!json_is_object(object) || json_object_size(object) != N_MEMBERS)
        return status_fail(status, STATUS_DATA, "must be an object of %d members", N_MEMBERS);
    for (int i = 0; i < SCORE_REGIONS; i++) {
        if (!read_named_sum(object, score_region_names[i], &leg->nll[i], status))
            return false;
    }
    return read_named_sum(object, "card", &leg->card, status) &&
           read_bounded_sum(object, "losses", MAX_LOSSES, &leg->losses, status) &&
           read_bounded_sum(object, "squares", MAX_SQUARES, &leg->squares, status) &&
           read_named_sum(object, "seconds", &leg->seconds, status) &&
           json_file_number(object, "least", -MAX_LOSS, MAX_LOSS, &leg->least, NULL, status) &&
           json_file_number(object, "greatest", -MAX_LOSS, MAX_LOSS, &leg->greatest, NULL,
                            status) &&
           read_histogram(object, n_scored, &leg->histogram, status);
}

static bool read_legs(const json_t *root, struct score_totals *t, struct status *status)
{
    const json_t *legs = part_of(root, "legs", JSON_ARRAY, (size_t)t->n_legs, status);

    if (!legs)
        return false;
    for (int i = 0; i < t->n_legs; i++) {
        if (!read_leg(json_array_get(legs, (size_t)i), t->counts.scored, &t->legs[i], status))
            return status_context(status, "legs[%d]", i);
    }
    return true;
}

/* ---- pairs ---- */

/* An id is put into --summary as it is: it must be one JSON string or integer, and nothing else. */
static bool is_id(const char *text, size_t len)
{
    json_t *value;
    bool ok;

    if (len == 0)
        return true;
    if (len > WORST_RECORDS_MAX_ID || strchr(" \t\r\n", text[0]) ||
        strchr(" \t\r\n", text[len - 1]))
        return false;
    value = json_loadb(text, len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    ok = json_is_string(value) || json_is_integer(value);
    json_decref(value);
    return ok;
}

static bool read_worst_record(const json_t *object, struct worst_records *worst,
                              struct status *status)
{
    const json_t *id = json_object_get(object, "id");
    const char *key_text;
    double base, adapted;
    uint64_t key;

    if (!json_is_object(object) || json_object_size(object) != 4)
        return status_fail(status, STATUS_DATA, "must be an object of 4 members");
    if (!json_is_string(id) || !is_id(json_string_value(id), json_string_length(id)))
        return status_fail(status, STATUS_DATA, "id: must be the JSON text of an id");
    if (!json_file_string(object, "key", &key_text, NULL, status) ||
        !json_file_number(object, "base", -MAX_LOSS, MAX_LOSS, &base, NULL, status) ||
        !json_file_number(object, "adapted", -MAX_LOSS, MAX_LOSS, &adapted, NULL, status))
        return false;
    if (strlen(key_text) != 16 || !read_key(key_text, &key))
        return status_fail(status, STATUS_DATA, "key: must be 16 hexadecimal digits");
    if (!(base < adapted))
        return status_fail(status, STATUS_DATA, "did not get worse");
    worst_records_add(worst, key, (struct text){json_string_value(id), json_string_length(id)},
                      base, adapted);
    return true;
}

static bool read_worst(const json_t *root, struct score_totals *t, struct status *status)
{
    const uint64_t n_wanted = t->counts.worse < WORST_RECORDS ? t->counts.worse : WORST_RECORDS;
    const json_t *list = part_of(root, "worst", JSON_ARRAY, (size_t)n_wanted, status), *item;
    size_t i;

    if (!list)
        return false;
    json_array_foreach(list, i, item)
    {
        if (!read_worst_record(item, &t->worst, status))
            return status_context(status, "worst[%zu]", i);
    }
    return true;
}

static bool read_replicate(const json_t *list, struct bootstrap_mean *means, struct status *status)
{
    enum { PER_KIND = BOOTSTRAP_LEGS + 1 };

    if (!json_is_array(list) || json_array_size(list) != BOOTSTRAP_KINDS * PER_KIND)
        return status_fail(status, STATUS_DATA, "must be a list of %d", BOOTSTRAP_KINDS * PER_KIND);
    for (size_t kind = 0; kind < BOOTSTRAP_KINDS; kind++) {
        const json_t *weight = json_array_get(list, kind * PER_KIND + BOOTSTRAP_LEGS);
        const json_int_t n = json_integer_value(weight);

        for (size_t leg = 0; leg < BOOTSTRAP_LEGS; leg++) {
            if (!read_sum(json_array_get(list, kind * PER_KIND + leg), "sum",
                          &means[kind].sums[leg], status))
                return false;
        }
        /* a weight is Poisson's, 12 at most, times what is counted */
        if (!json_is_integer(weight) || n < 0 || n > (json_int_t)SCORE_TOTALS_MAX_COUNT * 12)
            return status_fail(status, STATUS_DATA, "weight: out of range");
        means[kind].weight = (uint64_t)n;
    }
    return true;
}

static bool read_bootstrap(const json_t *root, struct bootstrap *b, struct status *status)
{
    const json_t *list = part_of(root, "bootstrap", JSON_ARRAY, BOOTSTRAP_REPLICATES, status);

    if (!list)
        return false;
    for (size_t i = 0; i < BOOTSTRAP_REPLICATES; i++) {
        if (!read_replicate(json_array_get(list, i), b->means[i], status))
            return status_context(status, "bootstrap[%zu]", i);
    }
    return true;
}

/* ---- the file ---- */

static bool read_totals(const json_t *root, struct score_totals *t, struct status *status)
{
    const size_t n_members = t->bootstrap ? 10 : 8;

    if (json_object_size(root) != n_members)
        return status_fail(status, STATUS_DATA, "must have %zu members, has %zu", n_members,
                           json_object_size(root));
    return read_count(root, "batch", &t->batch, status) && read_counts(root, &t->counts, status) &&
           check_counts(t, status) && read_reasons(root, t, status) && read_keys(root, t, status) &&
           read_legs(root, t, status) &&
           (!t->bootstrap ||
            (read_worst(root, t, status) && read_bootstrap(root, t->bootstrap, status)));
}

/* NULL: not of a version that we read. */
static struct score_totals *begin(const json_t *root, struct status *status)
{
    struct score_protocol protocol;
    const json_t *object;
    int64_t version;

    if (!json_is_object(root) || !json_object_get(root, "medrat_partial")) {
        status_set(status, STATUS_DATA, "is not what medrat-score --partial writes");
        return NULL;
    }
    if (!json_file_int(root, "medrat_partial", SCORE_PARTIAL_VERSION, SCORE_PARTIAL_VERSION,
                       &version, NULL, status) ||
        !(object = part_of(root, "protocol", JSON_OBJECT, SIZE_MAX, status)))
        return NULL;
    if (!score_protocol_read(&protocol, object, status)) {
        status_prefix(status, "protocol");
        return NULL;
    }
    return score_totals_new(&protocol, 0);
}

static struct score_totals *read_root(const json_t *root, struct status *status)
{
    struct score_totals *t = begin(root, status);

    if (t && !read_totals(root, t, status)) {
        score_totals_free(t);
        t = NULL;
    }
    if (!t && status->code == STATUS_CONFIG) /* of the helpers for configuration files */
        status->code = STATUS_DATA;
    return t;
}

struct score_totals *score_partial_parse(struct text bytes, struct status *status)
{
    json_t *root = json_file_parse(bytes, JSON_FILE_EXACT, status);
    struct score_totals *t = root ? read_root(root, status) : NULL;

    if (!root && status->code == STATUS_CONFIG)
        status->code = STATUS_DATA;
    json_decref(root);
    return t;
}

struct score_totals *score_partial_read(const char *path, struct status *status)
{
    struct mapped_file map;
    struct score_totals *t;

    if (!mapped_file_open(&map, path, status)) {
        if (status->code == STATUS_CONFIG)
            status->code = STATUS_DATA;
        return NULL;
    }
    t = score_partial_parse((struct text){(const char *)map.data, map.size}, status);
    mapped_file_close(&map);
    if (!t)
        status_prefix(status, "%s", path);
    return t;
}

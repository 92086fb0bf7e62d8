#include "rank/cut.h"

#include <string.h>

#include "base/number.h"
#include "rank/elbow.h"

static bool parse_count(const char *digits, size_t *count)
{
    uint64_t value;

    if (!number_uint64(digits, &value) || value < 1 || value > SIZE_MAX)
        return false;
    *count = (size_t)value;
    return true;
}

bool cut_parse(struct cut *cut, const char *name, struct status *status)
{
    struct cut parsed = {0};

    if (strcmp(name, "elbow") == 0) {
        parsed.rule = CUT_ELBOW;
    } else if (strncmp(name, "top:", 4) == 0) {
        parsed.rule = CUT_TOP;
        if (!parse_count(name + 4, &parsed.count))
            return status_fail(status, STATUS_USAGE, "N of top:N is a whole number from 1");
    } else if (strncmp(name, "score:", 6) == 0) {
        parsed.rule = CUT_THRESHOLD;
        if (!number_double(name + 6, &parsed.threshold))
            return status_fail(status, STATUS_USAGE, "X of score:X is a number");
    } else {
        return status_fail(status, STATUS_USAGE, "'%s' is not one of: elbow, top:N, score:X", name);
    }
    *cut = parsed;
    return true;
}

void cut_name(const struct cut *cut, struct buf *out)
{
    switch (cut->rule) {
    case CUT_ELBOW:
        buf_append_string(out, "elbow");
        break;
    case CUT_TOP:
        buf_printf(out, "top:%zu", cut->count);
        break;
    case CUT_THRESHOLD:
        buf_printf(out, "score:%.15g", cut->threshold);
        break;
    }
}

size_t cut_apply(const struct cut *cut, const double *scores, size_t n)
{
    size_t k = 0;

    switch (cut->rule) {
    case CUT_ELBOW:
        k = elbow_cut(scores, n);
        break;
    case CUT_TOP:
        k = cut->count < n ? cut->count : n;
        break;
    case CUT_THRESHOLD:
        while (k < n && scores[k] >= cut->threshold)
            k++;
        break;
    }
    return k;
}

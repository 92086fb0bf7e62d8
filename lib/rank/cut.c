#include "rank/cut.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "rank/elbow.h"

static bool parse_count(const char *digits, size_t *count)
{
    char *end;
    unsigned long value;

    if (*digits < '0' || *digits > '9') /* strtoul would take a sign or a space */
        return false;
    errno = 0;
    value = strtoul(digits, &end, 10);
    if (errno != 0 || *end != '\0' || value < 1)
        return false;
    *count = value;
    return true;
}

static bool parse_threshold(const char *number, double *threshold)
{
    char *end;

    if (strspn(number, "+-.0123456789eE") != strlen(number) || *number == '\0')
        return false; /* strtod would take inf, nan, hexadecimal and spaces */
    *threshold = strtod(number, &end);
    return *end == '\0' && isfinite(*threshold);
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
        if (!parse_threshold(name + 6, &parsed.threshold))
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

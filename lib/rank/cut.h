/* How many of a ranking are kept: elbow, top:N or score:X. */
#ifndef RANK_CUT_H
#define RANK_CUT_H

#include <stddef.h>

#include "base/buf.h"
#include "base/status.h"

enum cut_rule {
    CUT_ELBOW,     /* rank/elbow.h */
    CUT_TOP,       /* the best `count` */
    CUT_THRESHOLD, /* all scores >= `threshold`, so perhaps none */
};

struct cut {
    enum cut_rule rule;
    size_t count;
    double threshold;
};

/* "elbow", "top:5", "score:0.4"; STATUS_USAGE on anything else, and *cut is left alone. */
bool cut_parse(struct cut *cut, const char *name, struct status *status) MUST_CHECK;

/* Appends the rule as cut_parse reads it. */
void cut_name(const struct cut *cut, struct buf *out);

/* How many of the n scores, which are finite and fall, are kept. */
size_t cut_apply(const struct cut *cut, const double *scores, size_t n);

#endif

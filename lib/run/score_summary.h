/* struct score_totals -> the file of --summary: the model card's evaluation file, key for key and
 * by its arithmetic, and beside it a member `medrat` with what that file leaves out. The members
 * are listed in formats/README.md; a figure that is no number is null.
 */
#ifndef RUN_SCORE_SUMMARY_H
#define RUN_SCORE_SUMMARY_H

#include "base/buf.h"
#include "run/score_totals.h"

/* Appends the file, indented. Equal totals give equal bytes. */
void score_summary_write(struct score_totals *totals, struct buf *out);

/* The card's figures of a leg. Those that have no value (nothing was scored) are NAN. */
struct score_card {
    double perplexity, average_loss, loss_std, seconds, samples_per_second;
};
struct score_card score_summary_card(const struct score_totals *totals, int leg);

/* Mean nll of a token: of a region, or with SCORE_REGIONS of all. NAN: it has no token. */
double score_summary_token_loss(const struct score_totals *totals, int leg, int region);

#endif

/* Logits -> log-probabilities, natural logarithms, before temperature. */
#ifndef RUN_LOGPROB_H
#define RUN_LOGPROB_H

/* log of the sum of exp(logits[0 .. n)): the log-probability of a token is its logit less this.
 * Sums in double. NaN when a logit is NaN or +infinity, or when all are -infinity. */
double logprob_normalizer(const float *logits, int n);

#endif

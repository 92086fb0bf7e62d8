/* One record's tokens and where they stand: waiting, prefill, decode, done. */
#ifndef RUN_SEQUENCE_H
#define RUN_SEQUENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/status.h"
#include "run/sampler.h"
#include "run/stop.h"

/* What is asked for. The arrays are copied; stop's are not, and must outlive the sequence. */
struct request {
    const int32_t *tokens; /* the prompt, or the text to score; n_tokens >= 1 */
    int n_tokens;
    bool score; /* the log-probability of each token from first_target on, nothing generated */
    int first_target;         /* >= 1: a token needs a predecessor */
    struct sampling sampling; /* generation only, as are: */
    struct stop_rules stop;
    void *owner; /* the caller's */
};

/* One of the most likely tokens at a place. */
struct alternative {
    int32_t id;
    float logprob;
};

struct sequence {
    void *owner;
    struct sequence *next; /* in the scheduler's list that it is on */
    struct sampling sampling;
    struct stop_rules stop;
    bool score;
    int first_target;

    int32_t *tokens; /* ours: the prompt, then what was generated */
    int n_prompt;
    int n_tokens;
    int capacity; /* n_prompt + max_tokens: nothing grows in a step */
    int slot;     /* in the KV cache; -1: not admitted */
    int n_cached; /* tokens whose keys and values are in the cache */

    struct detokenizer *detokenizer; /* ours; NULL without a tokenizer */
    struct buf text;                 /* ours: generated so far, stop strings cut off */
    enum finish finish;
    bool done;
    bool failed; /* done, and `status` says why */
    struct status status;

    double logprob;                   /* sum over generated tokens, or over targets; natural log */
    float *logprobs;                  /* ours; of each generated token, or of each target */
    int n_logprobs;                   /* entries in logprobs */
    struct alternative *alternatives; /* ours; [n_logprobs][sampling.n_logprobs]; NULL if none */
};

#endif

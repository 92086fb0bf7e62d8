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
#include "text/detokenizer.h"

enum { REQUEST_MAX_ALTERNATIVES = 100 };

/* What is asked for. Tokens are copied; what stop points to is not, and must outlive the sequence.
 */
struct request {
    const int32_t *tokens; /* the prompt, or the text to score; n_tokens >= 1 */
    int n_tokens;
    bool score;       /* the log-probability of each token from first_target on; no generation */
    int first_target; /* 1 <= first_target <= n_tokens: a token needs a predecessor; the last:
                         there is no target, and the sequence is done at once */
    bool ranks;       /* of a text to score: the targets' places, too */
    int adapter;      /* of the scheduler's, by index; -1: the base alone, as for all where there
                         are none */
    struct sampling sampling; /* generation only, as is: */
    struct stop_rules stop;
    void *owner; /* the caller's */
};

/* One of the most likely tokens at a place. */
struct alternative {
    int32_t id;
    double logprob;
};

struct sequence {
    void *owner;
    struct sequence *next; /* in the list of waiting or of done ones */
    struct sampling sampling;
    struct stop_rules stop;
    bool score;
    int first_target;
    int adapter; /* -1: none */

    int32_t *tokens; /* ours: the prompt, then what was generated */
    int n_prompt;
    int n_tokens;
    int capacity; /* n_prompt + max_tokens: nothing grows in a step */
    int slot;     /* in the KV cache; -1: none */
    int n_cached; /* tokens whose keys and values are in the cache */

    struct detokenizer detokenizer; /* its tokenizer NULL: the model has none, no text is made */
    struct buf text;                /* ours: generated so far, without what stopped it */
    enum finish finish;
    bool done;
    struct status status; /* done, and code is not STATUS_OK: why there is no result */

    double *logprobs; /* ours; natural log, of each generated token, or of each target, in order */
    int n_logprobs;
    int32_t *ranks; /* ours; of each target, 1: the most likely token; NULL unless asked for */
    struct alternative *alternatives; /* ours; [n_logprobs][sampling.n_logprobs]; NULL if none */
};

/* A new sequence for the request, which has been checked; `tokenizer` may be NULL. */
struct sequence *sequence_open(const struct request *request, const struct tokenizer *tokenizer);
void sequence_free(struct sequence *sequence); /* NULL allowed */

/* Rows that forward passes still owe it: tokens that are known and not in the cache. The last token
 * of a text to score predicts nothing and is never passed. */
int sequence_pending(const struct sequence *sequence);

/* Tokens that the cache must hold at the worst. */
int sequence_worst_case(const struct sequence *sequence);

/* How many of its first tokens predict nothing that is wanted: others may have passed them. */
int sequence_head(const struct sequence *sequence);

/* Does the row of token `i` predict what is wanted: a target, or the next token? */
bool sequence_wants(const struct sequence *sequence, int i);

/* Takes a generated token: appends it and its text, and looks whether that ends the sequence. */
void sequence_append(struct sequence *sequence, int32_t id);

/* Sum of logprobs. */
double sequence_logprob(const struct sequence *sequence);

#endif

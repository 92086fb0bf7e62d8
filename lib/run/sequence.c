#include "run/sequence.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

enum { BYTES_PER_TOKEN = 8 }; /* room that is made for text beforehand; it may grow beyond */

struct sequence *sequence_open(const struct request *r, const struct tokenizer *tokenizer)
{
    struct sequence *s = memory_zeroed(1, sizeof(*s));
    const int n_new = r->score ? 0 : r->stop.max_tokens;
    const int n_targets = r->n_tokens > r->first_target ? r->n_tokens - r->first_target : 0;
    const int n_logprobs = r->score ? n_targets : n_new;
    const int n_alternatives = r->sampling.n_logprobs;

    s->owner = r->owner;
    s->sampling = r->sampling;
    s->stop = r->stop;
    s->score = r->score;
    s->first_target = r->first_target;
    s->adapter = r->adapter;
    s->n_prompt = r->n_tokens;
    s->n_tokens = r->n_tokens;
    s->capacity = r->n_tokens + n_new;
    s->slot = -1;
    s->tokens = memory_zeroed((size_t)s->capacity, sizeof(*s->tokens));
    memcpy(s->tokens, r->tokens, (size_t)r->n_tokens * sizeof(*s->tokens));
    s->logprobs = memory_zeroed((size_t)n_logprobs, sizeof(*s->logprobs));
    if (r->score && r->ranks)
        s->ranks = memory_zeroed((size_t)n_logprobs, sizeof(*s->ranks));
    if (n_alternatives > 0)
        s->alternatives =
            memory_zeroed((size_t)n_logprobs * (size_t)n_alternatives, sizeof(*s->alternatives));
    if (!r->score && tokenizer) {
        detokenizer_init(&s->detokenizer, tokenizer, false);
        detokenizer_go_on(&s->detokenizer); /* behind the prompt */
        buf_reserve(&s->text, (size_t)n_new * BYTES_PER_TOKEN);
    }
    return s;
}

void sequence_free(struct sequence *s)
{
    if (!s)
        return;
    buf_release(&s->text);
    free(s->alternatives);
    free(s->ranks);
    free(s->logprobs);
    free(s->tokens);
    free(s);
}

int sequence_pending(const struct sequence *s)
{
    return (s->score ? s->n_tokens - 1 : s->n_tokens) - s->n_cached;
}

int sequence_worst_case(const struct sequence *s)
{
    return s->capacity - 1; /* the last token is an answer, not a question */
}

int sequence_head(const struct sequence *s)
{
    return (s->score ? s->first_target : s->n_prompt) - 1;
}

bool sequence_wants(const struct sequence *s, int i)
{
    return s->score ? i + 1 >= s->first_target : i + 1 == s->n_tokens;
}

static void end(struct sequence *s, enum finish finish)
{
    s->finish = finish;
    s->done = true;
}

void sequence_append(struct sequence *s, int32_t id)
{
    const size_t seen = s->text.len;
    enum finish finish;
    size_t cut;

    assert(s->n_tokens < s->capacity);
    s->tokens[s->n_tokens++] = id;
    if (stop_is_end(&s->stop, id)) {
        end(s, FINISH_STOP);
    } else if (s->detokenizer.tokenizer) {
        detokenizer_push(&s->detokenizer, id, &s->text);
        finish = stop_search(&s->stop, buf_text(&s->text), seen, &cut);
        if (finish != FINISH_NONE) {
            s->text.len = cut;
            end(s, finish);
            return;
        }
    }
    if (!s->done && s->n_tokens == s->capacity)
        end(s, FINISH_LENGTH);
    if (s->done && s->detokenizer.tokenizer)
        detokenizer_flush(&s->detokenizer, &s->text);
}

double sequence_logprob(const struct sequence *s)
{
    double sum = 0;

    for (int i = 0; i < s->n_logprobs; i++)
        sum += s->logprobs[i];
    return sum;
}

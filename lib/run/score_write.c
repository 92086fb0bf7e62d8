#include "run/score_write.h"

#include <math.h>

#include "formats/json_write.h"

static size_t count_targets(const struct score_view *view)
{
    return view->input->tokens.n - view->input->first_target;
}

/* In the order of the targets; not finite where the model gives one of them no probability. */
static double sum_logprobs(const struct score_view *view)
{
    const size_t n = count_targets(view);
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += view->logprobs[i];
    return sum;
}

static bool is_greedy(const struct score_view *view)
{
    const size_t n = count_targets(view);

    for (size_t i = 0; i < n; i++) {
        if (view->ranks[i] != 1)
            return false;
    }
    return true;
}

static void write_bytes(struct buf *members, const struct score_view *view)
{
    json_write_name(members, "bytes");
    if (view->has_bytes)
        json_write_uint(members, score_result_bytes(view->result));
    else
        buf_append_string(members, "null");
}

static void write_continuation(struct buf *members, const struct score_view *view, double logprob)
{
    const bool scored = count_targets(view) > 0;

    json_write_name(members, "logprob");
    json_write_double(members, scored ? logprob : (double)NAN);
    json_write_name(members, "is_greedy");
    if (scored)
        json_write_bool(members, is_greedy(view));
    else
        buf_append_string(members, "null");
}

static void write_tokens(struct buf *members, const struct score_view *view)
{
    const size_t n = count_targets(view), first = view->input->first_target;

    json_write_name(members, "ids");
    json_write_ints(members, n ? view->input->tokens.ids + first : NULL, n);
    json_write_name(members, "logprobs");
    buf_append_char(members, '[');
    for (size_t i = 0; i < n; i++) {
        json_write_comma(members);
        json_write_double(members, view->logprobs[i]);
    }
    buf_append_char(members, ']');
    json_write_name(members, "ranks");
    json_write_ints(members, view->ranks, n);
}

void score_write(struct buf *members, const char *name, const struct score_view *view)
{
    const size_t n = count_targets(view);
    const double logprob = n > 0 ? sum_logprobs(view) : 0;
    const double loss = n > 0 ? -logprob / (double)n : (double)NAN; /* NaN is written as null */
    const char *reason = view->result->reason;

    if (!reason && !isfinite(exp(loss)))
        reason = "the perplexity is beyond the largest number";
    json_write_name(members, name);
    buf_append_char(members, '{');
    json_write_name(members, "nll");
    json_write_double(members, logprob == 0 ? 0 : -logprob); /* not -0 */
    json_write_name(members, "tokens");
    json_write_uint(members, n);
    write_bytes(members, view);
    json_write_name(members, "loss");
    json_write_double(members, loss == 0 ? 0 : loss);
    json_write_name(members, "perplexity");
    json_write_double(members, exp(loss));
    json_write_name(members, "truncated");
    json_write_uint(members, view->input->truncated);
    if (view->n_windows > 0) {
        json_write_name(members, "windows");
        json_write_uint(members, view->n_windows);
    }
    if (view->input->is_continuation)
        write_continuation(members, view, logprob);
    if (reason) {
        json_write_name(members, "reason");
        json_write_string(members, text_of(reason));
    }
    if (view->list_tokens)
        write_tokens(members, view);
    buf_append_char(members, '}');
}

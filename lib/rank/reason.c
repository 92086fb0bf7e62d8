#include "rank/reason.h"

static const char *ordinal_suffix(size_t n)
{
    if (n % 100 >= 11 && n % 100 <= 13)
        return "th";
    switch (n % 10) {
    case 1:
        return "st";
    case 2:
        return "nd";
    case 3:
        return "rd";
    default:
        return "th";
    }
}

static void ordinal(size_t n, struct buf *out)
{
    buf_printf(out, "%zu%s", n, ordinal_suffix(n));
}

/* What `pooled` compares the passage with. */
static const char *pooled_with(enum via pooled_via)
{
    switch (pooled_via) {
    case VIA_QUERY:
        return "the query";
    case VIA_BM25:
        return "the words of the query";
    case VIA_CROSS:
        return "the cross-encoder";
    default:
        return "the rationales together";
    }
}

/* "best match of rationale 2 (0.61)", "best match of rationales 1 (0.66) and 3 (0.61)" */
static void best_match(const struct meteora *meteora, const struct meteora_scores *scores,
                       size_t index, struct buf *out)
{
    const size_t n = meteora->choices[index].chosen_by;
    size_t said = 0;

    buf_append_string(out, n == 1 ? "best match of rationale " : "best match of rationales ");
    for (size_t i = 0; i < scores->n_rationales; i++) {
        if (meteora->best[i] != index)
            continue;
        if (said > 0)
            buf_append_string(out, said + 1 == n ? " and " : ", ");
        buf_printf(out, "%zu (%.2f)", scores->rationales[i] + 1,
                   scores->similarity[i * scores->n + index]);
        said++;
    }
}

/* "2nd of 3 above the elbow by the query (0.54)" */
static void above_cut(const struct meteora *meteora, const struct meteora_scores *scores,
                      size_t index, struct buf *out)
{
    ordinal(meteora->choices[index].pooled_place, out);
    switch (scores->cut.rule) {
    case CUT_ELBOW:
        buf_printf(out, " of %zu above the elbow", meteora->n_pooled);
        break;
    case CUT_TOP:
        buf_printf(out, " of the top %zu", meteora->n_pooled);
        break;
    case CUT_THRESHOLD:
        buf_printf(out, " of %zu at or above %.2f", meteora->n_pooled, scores->cut.threshold);
        break;
    }
    buf_printf(out, " by %s (%.2f)", pooled_with(scores->pooled_via), scores->pooled[index]);
}

/* "5th by the query, below the elbow after the 3rd (0.31 against 0.42)" */
static void below_cut(const struct meteora *meteora, const struct meteora_scores *scores,
                      size_t index, struct buf *out)
{
    ordinal(meteora->choices[index].pooled_place, out);
    buf_printf(out, " by %s, below ", pooled_with(scores->pooled_via));
    switch (scores->cut.rule) {
    case CUT_ELBOW:
        buf_append_string(out, "the elbow after the ");
        ordinal(meteora->n_pooled, out);
        break;
    case CUT_TOP:
        buf_printf(out, "the top %zu", meteora->n_pooled);
        break;
    case CUT_THRESHOLD:
        buf_printf(out, "%.2f (%.2f)", scores->cut.threshold, scores->pooled[index]);
        return;
    }
    buf_printf(out, " (%.2f against %.2f)", scores->pooled[index], meteora->last_pooled);
}

/* "; the nearest, rationale 2, prefers passage a.1 (0.44 against 0.61)" */
static void nearest(const struct meteora *meteora, const struct meteora_scores *scores,
                    const struct passages *passages, size_t index, struct buf *out)
{
    size_t row = 0;
    size_t best;

    for (size_t i = 1; i < scores->n_rationales; i++)
        if (scores->similarity[i * scores->n + index] > scores->similarity[row * scores->n + index])
            row = i;
    best = meteora->best[row];
    buf_printf(out, "; the nearest, rationale %zu, prefers passage ", scores->rationales[row] + 1);
    buf_append_text(out, passages->list[best].name);
    buf_printf(out, " (%.2f against %.2f)", scores->similarity[row * scores->n + index],
               scores->similarity[row * scores->n + best]);
}

static void neighbour(const struct meteora *meteora, const struct meteora_scores *scores,
                      const struct passages *passages, size_t index, struct buf *out)
{
    const size_t from = meteora->choices[index].neighbour_of;

    if (scores->window == 1)
        buf_append_string(out, "next to selected passage ");
    else
        buf_printf(out, "within %zu of selected passage ", scores->window);
    buf_append_text(out, passages->list[from].name);
}

static void selected(const struct meteora *meteora, const struct meteora_scores *scores,
                     const struct passages *passages, size_t index, struct buf *out)
{
    const unsigned via = meteora->choices[index].via;

    if (via & VIA_EXPAND) {
        neighbour(meteora, scores, passages, index, out);
        return;
    }
    if (via & VIA_PAIR)
        best_match(meteora, scores, index, out);
    if (via & (unsigned)scores->pooled_via) {
        if (via & VIA_PAIR)
            buf_append_string(out, "; ");
        above_cut(meteora, scores, index, out);
    }
}

void reason_passage(const struct meteora *meteora, const struct meteora_scores *scores,
                    const struct passages *passages, size_t index, struct buf *out)
{
    if (meteora->choices[index].via != 0) {
        selected(meteora, scores, passages, index, out);
        return;
    }
    if (scores->pair)
        buf_append_string(out, "no rationale's best match");
    if (scores->pooled) {
        if (scores->pair)
            buf_append_string(out, "; ");
        below_cut(meteora, scores, index, out);
    } else {
        nearest(meteora, scores, passages, index, out);
    }
}

/* "2 above the elbow by the query": what the cut kept */
static void kept_by_cut(const struct meteora *meteora, const struct meteora_scores *scores,
                        struct buf *out)
{
    buf_printf(out, "%zu ", meteora->n_pooled);
    switch (scores->cut.rule) {
    case CUT_ELBOW:
        buf_append_string(out, "above the elbow");
        break;
    case CUT_TOP:
        buf_append_string(out, "at the top");
        break;
    case CUT_THRESHOLD:
        buf_printf(out, "at or above %.2f", scores->cut.threshold);
        break;
    }
    buf_printf(out, " by %s", pooled_with(scores->pooled_via));
}

void reason_selection(const struct meteora *meteora, const struct meteora_scores *scores,
                      bool query_alone, struct buf *out)
{
    size_t n_matches = 0;
    size_t n_neighbours = 0;

    for (size_t i = 0; i < meteora->n; i++) {
        n_matches += (meteora->choices[i].via & VIA_PAIR) != 0;
        n_neighbours += meteora->choices[i].via == VIA_EXPAND;
    }
    if (meteora->n == 0) {
        buf_append_string(out, "no passages to choose from");
        return;
    }
    if (query_alone)
        buf_append_string(out, "no rationales, so ranked by the query alone; ");
    buf_printf(out, "%zu of %zu passages: ", meteora->n_selected, meteora->n);
    if (scores->pair)
        buf_printf(out, "%zu as best match of %zu rationale%s", n_matches, scores->n_rationales,
                   scores->n_rationales == 1 ? "" : "s");
    if (scores->pair && scores->pooled)
        buf_append_string(out, ", ");
    if (scores->pooled)
        kept_by_cut(meteora, scores, out);
    if (scores->window > 0)
        buf_printf(out, ", %zu next to these", n_neighbours);
}

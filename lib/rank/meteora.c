#include "rank/meteora.h"

#include <stdlib.h>

#include "base/memory.h"
#include "rank/ranking.h"

static void pair(struct meteora *meteora, const struct meteora_scores *scores)
{
    meteora->best = memory_zeroed(scores->n_rationales, sizeof(*meteora->best));
    for (size_t i = 0; i < scores->n_rationales; i++) {
        const double *row = scores->similarity + i * scores->n;
        size_t best = 0;

        for (size_t j = 1; j < scores->n; j++)
            if (row[j] > row[best])
                best = j;
        meteora->best[i] = best;
        meteora->choices[best].via |= VIA_PAIR;
        meteora->choices[best].chosen_by++;
    }
}

static void pool(struct meteora *meteora, const struct meteora_scores *scores)
{
    size_t *order = memory_zeroed(scores->n, sizeof(*order));
    double *falling = memory_zeroed(scores->n, sizeof(*falling));

    ranking_order(scores->pooled, scores->n, order);
    for (size_t place = 0; place < scores->n; place++) {
        falling[place] = scores->pooled[order[place]];
        meteora->choices[order[place]].pooled_place = place + 1;
    }
    meteora->n_pooled = cut_apply(&scores->cut, falling, scores->n);
    for (size_t place = 0; place < meteora->n_pooled; place++)
        meteora->choices[order[place]].via |= scores->pooled_via;
    if (meteora->n_pooled > 0)
        meteora->last_pooled = falling[meteora->n_pooled - 1];
    free(order);
    free(falling);
}

static double score_of(const struct meteora_scores *scores, size_t j)
{
    double score = scores->pooled ? scores->pooled[j] : scores->similarity[j];

    for (size_t i = 0; scores->pair && i < scores->n_rationales; i++)
        if (scores->similarity[i * scores->n + j] > score)
            score = scores->similarity[i * scores->n + j];
    return score;
}

static void rank(struct meteora *meteora, const struct meteora_scores *scores)
{
    double *by_passage = memory_zeroed(scores->n, sizeof(*by_passage));

    for (size_t j = 0; j < scores->n; j++) {
        by_passage[j] = score_of(scores, j);
        meteora->choices[j].score = by_passage[j];
    }
    ranking_order(by_passage, scores->n, meteora->order);
    free(by_passage);
}

struct expansion {
    struct choice *choices;
    size_t from;
};

static void take_neighbour(void *context, size_t neighbour)
{
    const struct expansion *expansion = context;
    struct choice *choice = &expansion->choices[neighbour];

    if (choice->via != 0)
        return;
    choice->via = VIA_EXPAND;
    choice->neighbour_of = expansion->from;
}

static void expand(struct meteora *meteora, size_t window, const struct neighbours *neighbours)
{
    struct expansion expansion = {.choices = meteora->choices};

    for (size_t place = 0; place < meteora->n; place++) {
        expansion.from = meteora->order[place];
        if (meteora->choices[expansion.from].via & ~(unsigned)VIA_EXPAND)
            neighbours_each(neighbours, expansion.from, window, take_neighbour, &expansion);
    }
}

void meteora_select(struct meteora *meteora, const struct meteora_scores *scores,
                    const struct neighbours *neighbours)
{
    *meteora = (struct meteora){.n = scores->n};
    if (scores->n == 0)
        return;
    meteora->choices = memory_zeroed(scores->n, sizeof(*meteora->choices));
    meteora->order = memory_zeroed(scores->n, sizeof(*meteora->order));
    if (scores->pair)
        pair(meteora, scores);
    if (scores->pooled)
        pool(meteora, scores);
    rank(meteora, scores);
    if (scores->window > 0)
        expand(meteora, scores->window, neighbours);
    for (size_t j = 0; j < scores->n; j++)
        meteora->n_selected += meteora->choices[j].via != 0;
}

void meteora_release(struct meteora *meteora)
{
    free(meteora->choices);
    free(meteora->order);
    free(meteora->best);
    *meteora = (struct meteora){0};
}

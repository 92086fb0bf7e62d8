/* Keys and values as 16-bit integers, in half the memory of floats. A head's part of a block:
 *     keys          pairs [64 / 16][padded / 2][16]     a pair: two neighbouring elements of a
 * token their scales  float [64 / 16][groups][16]         groups of WORD_GROUP elements values
 * pairs [padded / 16][64 / 2][16]     a pair: an element of two neighbouring tokens their scales
 * float [64]                          one a token where padded is head_dim rounded up to 16; what
 * pads it is zero.
 *
 * Products with keys are those of linear layers (cpu_words.h). In the product of weights and values
 * the sum is over the tokens of a block, so a token's scale goes into its weight before the row's
 * 64 weights are rounded with a scale s of their own, and the sum counts s times. Tokens that a row
 * does not see have a weight of 0, which is exact, whatever old values lie there: so a row's bits
 * do not depend on which tokens its tile reads.
 *
 * No sum overflows: weights are not negative, those of a row and block add up to WEIGHT_SUM, and
 * with their rounding and that of their float sum to 100 more at most; no value is over VALUE_MOST
 * + 0.5; 185400 * 11580.5 < 2^31, for any part of the sum as well. A value is off by 2^-14.5 of its
 * token's greatest, a weight by 2^-18.5 of the sum of all or 2^-16 of the greatest, if that is
 * more.
 *
 * Scales that are not finite are NaN here, so that a row which sees a key or value that is not
 * finite has no number among its results; rows that do not see it have theirs. */
#include <math.h>

#include "cpu/cpu_attention.h"

static size_t key_pairs(size_t dim)
{
    return KV_BLOCK_TOKENS * attention_padded(dim) / 2;
}

static size_t head_floats(size_t dim)
{
    return 2 * key_pairs(dim) + KV_BLOCK_TOKENS * (word_groups(dim) + 1);
}

/* Where they begin in a head's part. */
struct part {
    int32_t *keys;
    float *key_scales;
    int32_t *values;
    float *value_scales;
};

static struct part part_of(float *at, size_t dim)
{
    float *scales = at + key_pairs(dim), *values = scales + KV_BLOCK_TOKENS * word_groups(dim);

    return (struct part){(int32_t *)(void *)at, scales, (int32_t *)(void *)values,
                         values + key_pairs(dim)};
}

static float finite_or_nan(float scale)
{
    return isfinite(scale) ? scale : NAN;
}

static void append_key(const struct cpu_kernels *kernels, const struct part *part, size_t dim,
                       size_t t, const float *k)
{
    const size_t n = attention_padded(dim) / 2, groups = word_groups(dim);
    int32_t pairs[KV_MAX_HEAD_DIM / 2];
    int32_t *keys = part->keys + t / PANEL_ROWS * n * PANEL_ROWS + t % PANEL_ROWS;
    float *scales = part->key_scales + t / PANEL_ROWS * groups * PANEL_ROWS + t % PANEL_ROWS;

    kernels->words->round(pairs, scales, PANEL_ROWS, k, dim);
    for (size_t i = 0; i < groups; i++)
        scales[i * PANEL_ROWS] = finite_or_nan(scales[i * PANEL_ROWS]);
    for (size_t i = 0; i < n; i++)
        keys[i * PANEL_ROWS] = pairs[i];
}

static void append_value(const struct cpu_kernels *kernels, const struct part *part, size_t dim,
                         size_t t, const float *v)
{
    enum { PANEL = PANEL_ROWS * KV_BLOCK_TOKENS }; /* words */
    int16_t q[KV_MAX_HEAD_DIM];
    int16_t *values = (int16_t *)(void *)part->values + t / 2 * 2 * PANEL_ROWS + t % 2;

    part->value_scales[t] = kernels->round_values(q, v, dim);
    for (size_t c = 0; c < attention_padded(dim); c += PANEL_ROWS, values += PANEL) {
        for (size_t i = 0; i < PANEL_ROWS; i++)
            values[2 * i] = q[c + i];
    }
}

static void append(const struct cpu_kernels *kernels, float *at, size_t dim, size_t t,
                   const float *k, const float *v)
{
    const struct part part = part_of(at, dim);

    append_key(kernels, &part, dim, t, k);
    append_value(kernels, &part, dim, t, v);
}

/* In item->spare. */
struct spare {
    float *q_scales;      /* [groups][ATTENTION_ROWS] */
    int32_t *weights;     /* [MAX_TILE_ROWS][KV_BLOCK_TOKENS / 2] */
    float *weight_scales; /* [MAX_TILE_ROWS] */
    float *shrink;        /* [MAX_TILE_ROWS] */
};

static struct spare spare_of(const struct attention_item *item)
{
    float *scales = item->spare, *weights = scales + ATTENTION_ROWS * KV_MAX_HEAD_DIM / WORD_GROUP;

    return (struct spare){scales, (int32_t *)(void *)weights,
                          weights + MAX_TILE_ROWS * KV_BLOCK_TOKENS / 2,
                          weights + MAX_TILE_ROWS * (KV_BLOCK_TOKENS / 2 + 1)};
}

static void begin(struct attention_item *item)
{
    const struct attention_job *job = item->job;
    const struct spare spare = spare_of(item);
    int32_t *q = item->q;

    for (int r = 0; r < item->n_rows; r++, q += job->padded / 2) {
        float *scales = spare.q_scales + r;

        job->device->kernels->words->round(q, scales, ATTENTION_ROWS,
                                           job->q + attention_place(item, r), job->dim);
        for (size_t i = 0; i < word_groups(job->dim); i++)
            scales[i * ATTENTION_ROWS] = finite_or_nan(scales[i * ATTENTION_ROWS]);
    }
}

/* scores [n][64] = products with the keys that any of these rows sees */
static void multiply_keys(const struct attention_item *item, int row, int n,
                          const struct part *part)
{
    const struct attention_job *job = item->job;
    const struct cpu_words *words = job->device->kernels->words;
    const size_t pairs = job->padded / 2, groups = word_groups(job->dim);
    const struct word_rows q = {(const int32_t *)item->q + (size_t)row * pairs,
                                spare_of(item).q_scales + row,
                                pairs,
                                ATTENTION_ROWS,
                                NULL,
                                0};
    const int width = words->tile_panels * PANEL_ROWS, end = item->seen[row + n - 1].end;

    for (int t = item->seen[row].first / width * width; t < end; t += width) {
        const struct word_panels keys = {part->keys + (size_t)t * pairs,
                                         part->key_scales + (size_t)t * groups,
                                         pairs * PANEL_ROWS,
                                         groups * PANEL_ROWS,
                                         NULL,
                                         0};

        words->tile(item->scores + t, KV_BLOCK_TOKENS, width, &q, n, &keys, job->dim, false);
    }
}

/* Products become weights, and the rows' sums so far shrink to the new maximum. */
static void weigh(struct attention_item *item, int row, int n, const float *value_scales)
{
    const struct cpu_kernels *kernels = item->job->device->kernels;
    const size_t padded = item->job->padded;
    const struct spare spare = spare_of(item);
    const struct word_softmax softmax = {.scores = item->scores,
                                         .seen = item->seen + row,
                                         .token_scales = value_scales,
                                         .factor = item->job->factor,
                                         .max = item->max + row,
                                         .sum = item->total + row,
                                         .weights = (int16_t *)(void *)spare.weights,
                                         .weight_scales = spare.weight_scales,
                                         .shrink = spare.shrink};

    kernels->softmax_words(&softmax, n);
    for (int r = 0; r < n; r++) {
        float *sums = item->sums + (size_t)(row + r) * padded;

        if (spare.shrink[r] != 1.0f)
            kernels->scale(sums, sums, spare.shrink[r], padded);
    }
}

/* sums [n][padded] += weights times the values of tokens that any of these rows sees */
static void add_values(const struct attention_item *item, int row, int n, const int32_t *values)
{
    static const float ones[PANEL_ROWS] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    const struct cpu_words *words = item->job->device->kernels->words;
    const struct spare spare = spare_of(item);
    const size_t padded = item->job->padded, panel = PANEL_ROWS * KV_BLOCK_TOKENS / 2;
    const size_t width = (size_t)words->tile_panels * PANEL_ROWS;
    const int first = item->seen[row].first / 2, end = item->seen[row + n - 1].end;
    const struct word_rows weights = {
        spare.weights + first, spare.weight_scales, KV_BLOCK_TOKENS / 2, 0, NULL, 0};

    values += first * PANEL_ROWS;
    for (size_t c = 0; c < padded; c += width) {
        const struct word_panels panels = {
            values + c / PANEL_ROWS * panel, ones, panel, 0, NULL, 0};

        words->tile(item->sums + (size_t)row * padded + c, padded,
                    (int)(padded - c < width ? padded - c : width), &weights, n, &panels,
                    (size_t)(end - 2 * first), true);
    }
}

static void attend(struct attention_item *item, int row, int n, const float *at)
{
    const struct part part = part_of((float *)(uintptr_t)at, item->job->dim);

    multiply_keys(item, row, n, &part);
    weigh(item, row, n, part.value_scales);
    add_values(item, row, n, part.values);
}

const struct attention_way attention_words = {head_floats, append, begin, attend};

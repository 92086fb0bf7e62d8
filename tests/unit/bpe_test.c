/* Byte-pair merging agrees with its definition: again and again, the pair of lowest rank, the
 * leftmost of those. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/memory.h"
#include "draw.h"
#include "text/bpe.h"

enum { MAX_TOKENS = 64, MAX_TOKEN = 16, MAX_LETTERS = 3, MAX_MERGES = 60 };

/* Ids below n_letters are letters, the others what merges make; spelled, so that two merges may
 * make the same token, as they often do where there are few letters. */
struct vocabulary {
    int n_letters;
    char spelling[MAX_TOKENS][MAX_TOKEN + 1];
    int n;
    struct bpe_merge merges[MAX_MERGES];
    size_t n_merges;
    uint32_t n_of_rank; /* so many merges in a row share a rank */
};

static int32_t spell(struct vocabulary *v, int left, int right)
{
    char joined[2 * MAX_TOKEN + 1];

    strcpy(joined, v->spelling[left]);
    strcat(joined, v->spelling[right]);
    for (int id = 0; id < v->n; id++) {
        if (strcmp(v->spelling[id], joined) == 0)
            return id;
    }
    if (v->n == MAX_TOKENS || strlen(joined) > MAX_TOKEN)
        return -1;
    strcpy(v->spelling[v->n], joined);
    return v->n++;
}

static bool has_pair(const struct vocabulary *v, int left, int right)
{
    for (size_t i = 0; i < v->n_merges; i++) {
        if (v->merges[i].left == left && v->merges[i].right == right)
            return true;
    }
    return false;
}

static void draw_vocabulary(struct vocabulary *v, struct draw *draw, size_t n_merges, bool shuffled)
{
    *v = (struct vocabulary){.n_letters = 1 + (int)draw_below(draw, MAX_LETTERS), .n_of_rank = 1};
    v->n = v->n_letters;
    for (int id = 0; id < v->n_letters; id++)
        v->spelling[id][0] = (char)('a' + id);
    for (int tries = 0; v->n_merges < n_merges && tries < 1000; tries++) {
        const int left = (int)draw_below(draw, (uint64_t)v->n);
        const int right = (int)draw_below(draw, (uint64_t)v->n);
        const int32_t result = has_pair(v, left, right) ? -1 : spell(v, left, right);

        if (result >= 0)
            v->merges[v->n_merges++] = (struct bpe_merge){left, right, result, 0};
    }
    for (size_t i = v->n_merges; shuffled && i > 1; i--) {
        const size_t other = draw_below(draw, i);
        const struct bpe_merge merge = v->merges[i - 1];

        v->merges[i - 1] = v->merges[other];
        v->merges[other] = merge;
    }
}

static void open_bpe(struct bpe *bpe, const struct vocabulary *v)
{
    struct bpe_merge *merges = memory_zeroed(v->n_merges + 1, sizeof(*merges));
    struct status status;

    memcpy(merges, v->merges, v->n_merges * sizeof(*merges));
    for (size_t i = 0; i < v->n_merges; i++)
        merges[i].rank = (uint32_t)i / v->n_of_rank;
    if (v->n_of_rank > 1)
        assert_true(bpe_init_ranked(bpe, merges, v->n_merges, &status));
    else
        assert_true(bpe_init(bpe, merges, v->n_merges, &status));
}

/* The definition, word by word. Returns how many ids are left. */
static size_t merge_by_definition(const struct vocabulary *v, int32_t *ids, size_t n)
{
    uint32_t found[MAX_TOKENS][MAX_TOKENS]; /* merges, plus 1; 0: none */

    memset(found, 0, sizeof(found));
    for (uint32_t i = 0; i < v->n_merges; i++)
        found[v->merges[i].left][v->merges[i].right] = i + 1;
    for (;;) {
        uint32_t best = UINT32_MAX;
        size_t at = 0;

        for (size_t i = 0; i + 1 < n; i++) {
            const uint32_t merge = found[ids[i]][ids[i + 1]];

            if (merge > 0 && (merge - 1) / v->n_of_rank < best) {
                best = (merge - 1) / v->n_of_rank;
                at = i;
            }
        }
        if (best == UINT32_MAX)
            return n;
        ids[at] = v->merges[found[ids[at]][ids[at + 1]] - 1].result;
        memmove(ids + at + 1, ids + at + 2, (n - at - 2) * sizeof(*ids));
        n--;
    }
}

/* Letters of one of three kinds: any, a run, a short word again and again. */
static void draw_letters(struct draw *draw, int n_letters, int32_t *ids, size_t n)
{
    const uint64_t kind = draw_below(draw, 3), period = 1 + draw_below(draw, 6);

    for (size_t i = 0; i < n; i++) {
        if (kind == 0 || (kind == 2 && i < period))
            ids[i] = (int32_t)draw_below(draw, (uint64_t)n_letters);
        else
            ids[i] = kind == 1 || i == 0 ? 0 : ids[i - period];
    }
}

static void compare(const struct vocabulary *v, struct draw *draw, size_t n,
                    struct bpe_scratch *scratch)
{
    int32_t *want = memory_zeroed(n + 1, sizeof(*want));
    int32_t *ids = memory_zeroed(n + 1, sizeof(*ids));
    struct tokens got = {0};
    struct bpe bpe;
    size_t n_want;

    draw_letters(draw, v->n_letters, want, n);
    memcpy(ids, want, n * sizeof(*ids));
    open_bpe(&bpe, v);
    bpe_encode(&bpe, scratch, ids, n, &got);
    n_want = merge_by_definition(v, want, n);
    assert_int_equal(got.n, n_want);
    if (n_want > 0)
        assert_memory_equal(got.ids, want, n_want * sizeof(*want));
    bpe_release(&bpe);
    tokens_release(&got);
    free(want);
    free(ids);
}

static void compare_many(uint64_t seed, int n_rounds, size_t max_n, bool shuffled,
                         uint32_t n_of_rank)
{
    struct draw draw = {seed};

    for (int i = 0; i < n_rounds; i++) {
        struct bpe_scratch scratch = {0};
        struct vocabulary v;

        draw_vocabulary(&v, &draw, 1 + draw_below(&draw, 30), shuffled);
        v.n_of_rank = n_of_rank;
        for (int k = 0; k < 4; k++)
            compare(&v, &draw, draw_below(&draw, max_n), &scratch);
        bpe_scratch_release(&scratch);
    }
}

static void merges_words_by_rank_then_leftmost(void **state)
{
    (void)state;
    compare_many(1, 500, 25, false, 1);
}

static void merges_long_segments_by_rank_then_leftmost(void **state)
{
    (void)state;
    compare_many(2, 300, 400, false, 1);
}

static void merges_with_ranks_in_any_order(void **state)
{
    (void)state;
    compare_many(3, 500, 25, true, 1);
    compare_many(4, 300, 400, true, 1);
}

static void merges_of_one_rank_go_from_left_to_right(void **state)
{
    (void)state;
    compare_many(6, 500, 25, true, 3);
    compare_many(7, 300, 400, true, 2);
    compare_many(8, 300, 400, false, 100);
}

static void merges_segments_of_several_windows(void **state)
{
    struct draw draw = {5};

    (void)state;
    for (int i = 0; i < 6; i++) {
        struct bpe_scratch scratch = {0};
        struct vocabulary v;

        draw_vocabulary(&v, &draw, 8, i % 2 == 1);
        v.n_of_rank = i < 4 ? 1 : 8;
        compare(&v, &draw, 8300 + draw_below(&draw, 1000), &scratch);
        bpe_scratch_release(&scratch);
    }
}

/* Then a window is what the one before was, and is not merged again. */
static void merges_runs_of_many_windows(void **state)
{
    enum { N = 24000 };
    static const char *const words[] = {"a", "ab", "aab", "abaabba"};
    struct vocabulary v = {.n_letters = 2, .spelling = {"a", "b"}, .n = 2, .n_of_rank = 1};

    (void)state;
    for (int i = 0; i < 3; i++) { /* aa, aaaa; ab, abab */
        const int left = i == 2 ? 0 : i + (i > 0), right = i == 2 ? 1 : left;

        v.merges[v.n_merges++] = (struct bpe_merge){left, right, spell(&v, left, right), 0};
    }
    for (size_t w = 0; w < sizeof(words) / sizeof(words[0]); w++) {
        struct bpe_scratch scratch = {0};
        int32_t *ids = memory_zeroed(N, sizeof(*ids)), *want = memory_zeroed(N, sizeof(*ids));
        struct tokens got = {0};
        struct bpe bpe;

        for (size_t i = 0; i < N; i++)
            ids[i] = want[i] = words[w][i % strlen(words[w])] - 'a';
        want[N - 100] = ids[N - 100] = 1;
        open_bpe(&bpe, &v);
        bpe_encode(&bpe, &scratch, ids, N, &got);
        assert_int_equal(got.n, merge_by_definition(&v, want, N));
        assert_memory_equal(got.ids, want, got.n * sizeof(*want));
        bpe_release(&bpe);
        tokens_release(&got);
        bpe_scratch_release(&scratch);
        free(ids);
        free(want);
    }
}

/* One id swallows all the others, from its end of the segment to the other: no window that does not
 * hold it can know. */
static void swallow(const struct bpe_merge pair[2], size_t swallower_at)
{
    enum { N = 20000 };
    struct bpe_merge *merges = memory_zeroed(2, sizeof(*merges));
    int32_t *ids = memory_zeroed(N, sizeof(*ids));
    struct bpe_scratch scratch = {0};
    struct tokens got = {0};
    struct status status;
    struct bpe bpe;

    memcpy(merges, pair, 2 * sizeof(*merges));
    ids[swallower_at * (N - 1)] = 1;
    assert_true(bpe_init(&bpe, merges, 2, &status));
    bpe_encode(&bpe, &scratch, ids, N, &got);
    assert_int_equal(got.n, 1);
    assert_int_equal(got.ids[0], 2); /* an odd number of merges */
    bpe_release(&bpe);
    bpe_scratch_release(&scratch);
    tokens_release(&got);
    free(ids);
}

static void gives_up_windows_where_one_end_decides_all(void **state)
{
    static const struct bpe_merge to_the_right[2] = {{1, 0, 2, 0}, {2, 0, 1, 0}};
    static const struct bpe_merge to_the_left[2] = {{0, 1, 2, 0}, {0, 2, 1, 0}};

    (void)state;
    swallow(to_the_right, 0);
    swallow(to_the_left, 1);
}

/* a b and, later, c d become x; of three x in a row the left two merge, though the right two met
 * first. */
static void takes_the_leftmost_pair_even_if_it_came_last(void **state)
{
    enum { A, B, C, D, X, Y, OTHER, N = 40 };
    static const struct bpe_merge rules[] = {{A, B, X, 0}, {C, D, X, 0}, {X, X, Y, 0}};
    static const int32_t begin[] = {C, D, A, B, A, B};
    struct bpe_merge *merges = memory_zeroed(3, sizeof(*merges));
    struct bpe_scratch scratch = {0};
    struct tokens got = {0};
    struct status status;
    struct bpe bpe;
    int32_t ids[N];

    (void)state;
    for (size_t i = 0; i < N; i++)
        ids[i] = i < 6 ? begin[i] : OTHER;
    memcpy(merges, rules, sizeof(rules));
    assert_true(bpe_init(&bpe, merges, 3, &status));
    bpe_encode(&bpe, &scratch, ids, N, &got);
    assert_int_equal(got.n, N - 4);
    assert_int_equal(got.ids[0], Y);
    assert_int_equal(got.ids[1], X);
    bpe_release(&bpe);
    bpe_scratch_release(&scratch);
    tokens_release(&got);
}

static void keeps_its_scratch_clean_between_vocabularies_of_one_size(void **state)
{
    struct bpe_scratch scratch = {0};
    struct draw draw = {6};

    (void)state;
    for (int i = 0; i < 50; i++) {
        struct vocabulary v;

        draw_vocabulary(&v, &draw, 20, false);
        compare(&v, &draw, 100, &scratch);
    }
    bpe_scratch_release(&scratch);
}

static void refuses_a_pair_that_is_there_twice(void **state)
{
    struct bpe_merge *merges = memory_zeroed(2, sizeof(*merges));
    struct status status;
    struct bpe bpe;

    (void)state;
    merges[0] = (struct bpe_merge){0, 1, 2, 0};
    merges[1] = (struct bpe_merge){0, 1, 3, 0};
    assert_false(bpe_init(&bpe, merges, 2, &status));
    assert_string_equal(status.message, "merges 0 and 1 are the same");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(merges_words_by_rank_then_leftmost),
        cmocka_unit_test(merges_long_segments_by_rank_then_leftmost),
        cmocka_unit_test(merges_with_ranks_in_any_order),
        cmocka_unit_test(merges_of_one_rank_go_from_left_to_right),
        cmocka_unit_test(merges_segments_of_several_windows),
        cmocka_unit_test(merges_runs_of_many_windows),
        cmocka_unit_test(gives_up_windows_where_one_end_decides_all),
        cmocka_unit_test(takes_the_leftmost_pair_even_if_it_came_last),
        cmocka_unit_test(keeps_its_scratch_clean_between_vocabularies_of_one_size),
        cmocka_unit_test(refuses_a_pair_that_is_there_twice),
    };

    return cmocka_run_group_tests_name("bpe", tests, NULL, NULL);
}

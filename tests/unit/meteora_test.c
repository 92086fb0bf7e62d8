/* Pair, pool and expand against the reference in Python, and the sentences that explain them. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/hash.h"
#include "rank/meteora.h"
#include "rank/ranking.h"
#include "rank/reason.h"
#include "rank/similarity.h"

#include "tests/unit/draw.h"

enum { MAX_PASSAGES = 40, MAX_RATIONALES = 6 };

struct sample { /* a case of tests/golden/meteora.py */
    struct meteora_scores scores;
    struct passages passages;
    struct passage list[MAX_PASSAGES];
    size_t rationales[MAX_RATIONALES];
    double similarity[MAX_RATIONALES * MAX_PASSAGES];
    double pooled[MAX_PASSAGES];
};

static void draw_scores(struct draw *draw, double *scores, size_t n_rows, size_t n)
{
    const uint64_t shape = draw_below(draw, 8);
    const uint64_t base = draw_below(draw, 100);

    for (size_t i = 0; i < n_rows; i++)
        for (size_t j = 0; j < n; j++)
            scores[i * n + j] = draw_score(draw, shape, j, base);
}

static struct cut draw_cut(struct draw *draw)
{
    switch (draw_below(draw, 4)) {
    case 2:
        return (struct cut){.rule = CUT_TOP, .count = 1 + draw_below(draw, 10)};
    case 3:
        return (struct cut){.rule = CUT_THRESHOLD,
                            .threshold = (double)draw_below(draw, 1000) / 1000};
    default:
        return (struct cut){.rule = CUT_ELBOW};
    }
}

static void draw_places(struct draw *draw, struct sample *sample)
{
    static const char *const docs[] = {"0", "1", "2"};
    const uint64_t placing = draw_below(draw, 3); /* none, all, some */

    sample->passages = (struct passages){.list = sample->list, .n = sample->scores.n};
    for (size_t j = 0; j < sample->scores.n; j++) {
        const char *doc = docs[draw_below(draw, 3)];
        const int64_t pos = (int64_t)draw_below(draw, 12);
        const bool missing = draw_below(draw, 3) == 0;

        sample->list[j] = (struct passage){.doc = text_of(doc), .pos = pos};
        sample->list[j].placed = placing == 1 || (placing == 2 && !missing);
        sample->passages.placed |= sample->list[j].placed;
    }
}

/* select_case() of tests/golden/meteora.py */
static void make_case(uint64_t number, struct sample *sample)
{
    struct draw draw = {1000000 + number};
    struct meteora_scores *scores = &sample->scores;
    uint64_t method;

    memset(sample, 0, sizeof(*sample));
    scores->n = draw_below(&draw, 4) == 0 ? draw_below(&draw, 5) : draw_below(&draw, 40);
    scores->n_rationales = 1 + draw_below(&draw, 6);
    draw_scores(&draw, sample->similarity, scores->n_rationales, scores->n);
    draw_scores(&draw, sample->pooled, 1, scores->n);
    method = draw_below(&draw, 4);
    scores->rationales = sample->rationales;
    scores->similarity = sample->similarity;
    scores->pooled = method == 2 ? NULL : sample->pooled;
    scores->pooled_via = method == 2 ? 0 : VIA_POOL;
    scores->pair = method != 3;
    scores->cut = draw_cut(&draw);
    scores->window = draw_below(&draw, 4);
    draw_places(&draw, sample);
}

/* select_line() of tests/golden/meteora.py */
static void write_line(const struct meteora *meteora, struct buf *out)
{
    buf_reset(out);
    for (size_t rank = 0; rank < meteora->n; rank++) {
        const size_t j = meteora->order[rank];
        const struct choice *choice = &meteora->choices[j];

        buf_printf(out, "%s%zu:", rank > 0 ? " " : "", j);
        if (choice->via & VIA_PAIR)
            buf_append_string(out, "pair");
        if (choice->via & VIA_POOL)
            buf_append_string(out, choice->via & VIA_PAIR ? "+pool" : "pool");
        if (choice->via & VIA_EXPAND)
            buf_printf(out, "expand<%zu", choice->neighbour_of);
    }
}

static void agrees_with_the_reference_on_4000_cases(void **state)
{
    FILE *golden = fopen("tests/golden/meteora_select.txt", "r");
    static struct sample sample;
    struct buf got = {0};
    size_t number = 0;
    char line[32];

    (void)state;
    assert_non_null(golden);
    while (fgets(line, sizeof(line), golden)) {
        const uint64_t want = strtoull(line, NULL, 16);
        struct neighbours neighbours;
        struct meteora meteora;

        make_case(number, &sample);
        neighbours_init(&neighbours, &sample.passages);
        meteora_select(&meteora, &sample.scores, &neighbours);
        write_line(&meteora, &got);
        if (hash64(buf_text(&got).ptr, got.len) != want)
            fail_msg("case %zu: got '%s'; meteora.py --select %zu shows what it should be", number,
                     buf_text(&got).ptr, number);
        neighbours_release(&neighbours);
        meteora_release(&meteora);
        number++;
    }
    buf_release(&got);
    fclose(golden);
    assert_int_equal(number, 4000);
}

static void cosines_are_those_of_the_vectors_whatever_their_length(void **state)
{
    const float a[] = {3, 0, 4, 0, 0, 0};
    const float b[] = {6, 0, 8, 0, 2, 0, -3, 0, -4};
    double cosines[6];

    (void)state;
    assert_true(similarity_cosines(a, 2, b, 3, 3, cosines));
    assert_true(cosines[0] == 1.0 && cosines[1] == 0.0 && cosines[2] == -1.0);
    assert_true(cosines[3] == 0.0 && cosines[4] == 0.0 && cosines[5] == 0.0); /* a zero vector */
}

static void numbers_that_are_not_finite_are_told_and_not_sorted(void **state)
{
    const float good[] = {1, 2};
    const float nan_inside[] = {1, NAN};
    const float infinite[] = {INFINITY, 1};
    double cosine;

    (void)state;
    assert_false(similarity_cosines(good, 1, nan_inside, 1, 2, &cosine));
    assert_false(similarity_cosines(nan_inside, 1, good, 1, 2, &cosine));
    assert_false(similarity_cosines(infinite, 1, good, 1, 2, &cosine));
    assert_true(similarity_cosines(good, 1, good, 1, 2, &cosine));
}

static void the_mean_does_not_weigh_or_normalise(void **state)
{
    const float rows[] = {1, 0, 0, 3, 2, 0};
    float mean[2];

    (void)state;
    similarity_mean(rows, 3, 2, mean);
    assert_true(mean[0] == 1.0F && mean[1] == 1.0F);
}

static void equal_scores_stay_in_input_order(void **state)
{
    const double scores[] = {0.5, 0.9, 0.5, -0.0, 0.9, 0.0};
    size_t order[6];

    (void)state;
    ranking_order(scores, 6, order);
    assert_memory_equal(order, ((size_t[]){1, 4, 0, 2, 3, 5}), sizeof(order));
}

/* Three rationales, the second blank in the record, and four passages in a row. */
static void explain(struct meteora_scores *scores, const char *const want[4],
                    const char *want_selection)
{
    static const size_t rationales[] = {0, 2};
    static const double similarity[] = {0.70, 0.20, 0.30, 0.10, 0.60, 0.25, 0.20, 0.15};
    static const double pooled[] = {0.80, 0.30, 0.25, 0.20};
    struct passage list[4] = {{.name = text_of("a")},
                              {.name = text_of("b")},
                              {.name = text_of("c")},
                              {.name = text_of("d")}};
    const struct passages passages = {.list = list, .n = 4};
    struct neighbours neighbours;
    struct meteora meteora;
    struct buf sentence = {0};

    scores->n = 4;
    scores->n_rationales = 2;
    scores->rationales = rationales;
    scores->similarity = similarity;
    scores->pooled = scores->pooled_via ? pooled : NULL;
    neighbours_init(&neighbours, &passages);
    meteora_select(&meteora, scores, &neighbours);
    for (size_t i = 0; i < 4; i++) {
        buf_reset(&sentence);
        reason_passage(&meteora, scores, &passages, i, &sentence);
        assert_string_equal(sentence.data, want[i]);
    }
    buf_reset(&sentence);
    reason_selection(&meteora, scores, false, &sentence);
    assert_string_equal(sentence.data, want_selection);
    buf_release(&sentence);
    neighbours_release(&neighbours);
    meteora_release(&meteora);
}

static void says_why_a_passage_was_chosen(void **state)
{
    struct meteora_scores meteora = {.pooled_via = VIA_POOL, .pair = true, .window = 1};
    struct meteora_scores pair = {.pair = true};
    struct meteora_scores query = {.pooled_via = VIA_QUERY, .cut = {.rule = CUT_TOP, .count = 2}};
    struct meteora_scores bm25 = {.pooled_via = VIA_BM25,
                                  .cut = {.rule = CUT_THRESHOLD, .threshold = 0.3}};

    (void)state;
    explain(&meteora,
            (const char *const[]){
                "best match of rationales 1 (0.70) and 3 (0.60); "
                "1st of 1 above the elbow by the rationales together (0.80)",
                "next to selected passage a",
                "no rationale's best match; 3rd by the rationales together, below the elbow after "
                "the 1st (0.25 against 0.80)",
                "no rationale's best match; 4th by the rationales together, below the elbow after "
                "the 1st (0.20 against 0.80)",
            },
            "2 of 4 passages: 1 as best match of 2 rationales, 1 above the elbow by the rationales "
            "together, 1 next to these");
    explain(&pair,
            (const char *const[]){
                "best match of rationales 1 (0.70) and 3 (0.60)",
                "no rationale's best match; the nearest, rationale 3, prefers passage a "
                "(0.25 against 0.60)",
                "no rationale's best match; the nearest, rationale 1, prefers passage a "
                "(0.30 against 0.70)",
                "no rationale's best match; the nearest, rationale 3, prefers passage a "
                "(0.15 against 0.60)",
            },
            "1 of 4 passages: 1 as best match of 2 rationales");
    explain(&query,
            (const char *const[]){
                "1st of the top 2 by the query (0.80)",
                "2nd of the top 2 by the query (0.30)",
                "3rd by the query, below the top 2 (0.25 against 0.30)",
                "4th by the query, below the top 2 (0.20 against 0.30)",
            },
            "2 of 4 passages: 2 at the top by the query");
    explain(&bm25,
            (const char *const[]){
                "1st of 2 at or above 0.30 by the words of the query (0.80)",
                "2nd of 2 at or above 0.30 by the words of the query (0.30)",
                "3rd by the words of the query, below 0.30 (0.25)",
                "4th by the words of the query, below 0.30 (0.20)",
            },
            "2 of 4 passages: 2 at or above 0.30 by the words of the query");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_the_reference_on_4000_cases),
        cmocka_unit_test(cosines_are_those_of_the_vectors_whatever_their_length),
        cmocka_unit_test(numbers_that_are_not_finite_are_told_and_not_sorted),
        cmocka_unit_test(the_mean_does_not_weigh_or_normalise),
        cmocka_unit_test(equal_scores_stay_in_input_order),
        cmocka_unit_test(says_why_a_passage_was_chosen),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

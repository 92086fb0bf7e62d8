/* Terms and BM25, by hand. The orders of real questions: bm25_sets_test.c. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "rank/bm25.h"
#include "rank/terms.h"

static void assert_terms(const char *text, const char *want)
{
    struct terms terms = {0};
    struct buf got = {0};

    terms_split(&terms, text_of(text));
    buf_append_string(&got, "");
    for (size_t i = 0; i < terms.n; i++) {
        buf_append_string(&got, i > 0 ? " " : "");
        buf_append_text(&got, terms_at(&terms, i));
    }
    assert_string_equal(buf_text(&got).ptr, want);
    buf_release(&got);
    terms_release(&terms);
}

static void words_are_letters_marks_and_numbers_in_lower_case(void **state)
{
    (void)state;
    assert_terms("", "");
    assert_terms(" \t\n.,;-", "");
    assert_terms("Acyl-CoA,DEHYDROGENASE(12.5mg)", "acyl coa dehydrogenase 12 5mg");
    assert_terms("Sj\u00F6gren \u00C4TIOLOGIE \u0391\u03A3", "sj\u00F6gren \u00E4tiologie "
                                                             "\u03B1\u03C3");
    assert_terms("e\u0301t\u00E9\u2014x\u00B2", "e\u0301t\u00E9 x\u00B2");
    assert_terms("\u4E2D\u6587", "\u4E2D\u6587");
}

static void stop_words_are_dropped_before_stemming(void **state)
{
    (void)state;
    assert_terms("What are the treatments for this?", "treatment");
    assert_terms("A about AN and ARE as at be been but by can did do does for from had has have "
                 "how if in into is it its may no not of on or s such t than that the their then "
                 "there these they this those to was we were what when where which who why will "
                 "with you your",
                 "");
    assert_terms("thes", "the"); /* no stop word before the stemmer */
}

static void plurals_lose_their_s(void **state)
{
    (void)state;
    assert_terms("therapies bodies skies", "therapy body sky");
    assert_terms("calories pies", "calory py"); /* what the rule makes of them */
    assert_terms("doses diseases aes goes shoes trees", "dose disease aes goe shoe tree");
    assert_terms("virus illness cells gas bus", "virus illness cell gas bus");
    assert_terms("\u00E4\u00F6s \u00E4\u00F6\u00FCs", "\u00E4\u00F6s \u00E4\u00F6\u00FC");
}

static void bytes_that_are_not_text_end_a_word(void **state)
{
    struct terms terms = {0};

    (void)state;
    terms_split(&terms, (struct text){"heart\xff\xfelung\0liver", 17});
    assert_int_equal(terms.n, 3);
    assert_true(text_is(terms_at(&terms, 2), "liver"));
    terms_release(&terms);
}

static void scores_are_those_of_the_formula(void **state)
{
    const struct text texts[] = {text_of("Fever and cough, fever."), text_of("Cough."),
                                 text_of("Rash of the skin in children")};
    double scores[3];
    /* lengths 3 1 3 (fever cough fever; cough; rash skin children), mean 7 / 3 */
    const double idf_fever = log(1 + (3 - 1 + 0.5) / 1.5);
    const double idf_cough = log(1 + (3 - 2 + 0.5) / 2.5);
    const double k_long = 1.2 * (0.25 + 0.75 * 3 / (7.0 / 3));
    const double k_short = 1.2 * (0.25 + 0.75 * 1 / (7.0 / 3));

    (void)state;
    bm25_scores(text_of("does fever, fevers or coughs matter?"), texts, 3, scores);
    assert_true(fabs(scores[0] - (idf_cough * 2.2 / (1 + k_long) +
                                  idf_fever * 2 * 2.2 / (2 + k_long))) < 1e-12);
    assert_true(fabs(scores[1] - idf_cough * 2.2 / (1 + k_short)) < 1e-12);
    assert_true(scores[2] == 0.0);
}

static void without_a_common_word_all_scores_are_zero(void **state)
{
    const struct text texts[] = {text_of(""), text_of("skin")};
    double scores[2] = {-1, -1};

    (void)state;
    bm25_scores(text_of("what is it?"), texts, 2, scores);
    assert_true(scores[0] == 0.0 && scores[1] == 0.0);
    bm25_scores(text_of("skin"), texts, 1, scores);
    assert_true(scores[0] == 0.0); /* mean length 0 */
    bm25_scores(text_of("skin"), NULL, 0, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_are_letters_marks_and_numbers_in_lower_case),
        cmocka_unit_test(stop_words_are_dropped_before_stemming),
        cmocka_unit_test(plurals_lose_their_s),
        cmocka_unit_test(bytes_that_are_not_text_end_a_word),
        cmocka_unit_test(scores_are_those_of_the_formula),
        cmocka_unit_test(without_a_common_word_all_scores_are_zero),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Sentences of medical prose, and what lies between them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/buf.h"
#include "text/sentences.h"

/* The text's sentences, each in front of a bar. */
static void expect(const char *text, const char *want)
{
    struct sentence s = {0, 0};
    struct buf got = {0};

    while (sentences_next(text_of(text), s.end, &s)) {
        assert_true(s.begin < s.end && s.end <= strlen(text));
        buf_append(&got, text + s.begin, s.end - s.begin);
        buf_append_char(&got, '|');
    }
    assert_string_equal(got.data ? got.data : "", want);
    buf_release(&got);
}

static void ends_at_full_stops_before_white_space(void **state)
{
    (void)state;
    expect("", "");
    expect(" \n\t ", "");
    expect("One", "One|");
    expect(" One.  Two! Three? Four\xE2\x80\xA6 Five", "One.|Two!|Three?|Four\xE2\x80\xA6|Five|");
    expect("He said \"no.\" She (too.) left.", "He said \"no.\"|She (too.) left.|");
    expect("One.Two. three. Four", "One.Two. three.|Four|");
    expect("Really?! Yes... And so on", "Really?!|Yes...|And so on|");
    expect("A dose of 5 mg. 12 patients left.", "A dose of 5 mg.|12 patients left.|");
    expect("\xC3\x84rzte kamen. \xC3\x84ltere gingen. \xC3\xA4h.",
           "\xC3\x84rzte kamen.|\xC3\x84ltere gingen. \xC3\xA4h.|");
}

static void knows_abbreviations(void **state)
{
    (void)state;
    expect("Drugs, e.g. Aspirin, i.e. ASA, vs. Placebo.",
           "Drugs, e.g. Aspirin, i.e. ASA, vs. Placebo.|");
    expect("See Fig. 3 and Figs. 4. Then", "See Fig. 3 and Figs. 4.|Then|");
    expect("(Fig. 2A). Next.", "(Fig. 2A).|Next.|");
    expect("Smith et al. (2010) found it. Jones et al. 2011 did not.",
           "Smith et al. (2010) found it.|Jones et al. 2011 did not.|");
    expect("Dr. Brown and Prof. Green met. They left.",
           "Dr. Brown and Prof. Green met.|They left.|");
    expect("pain, fever, etc. The patient", "pain, fever, etc.|The patient|");
    expect("pain, fever, etc. were seen", "pain, fever, etc. were seen|");
    expect("500 mg b.i.d. for ten days", "500 mg b.i.d. for ten days|");
    expect("given i.v. 3 times. No. 5 is", "given i.v. 3 times.|No. 5 is|");
    expect("St. John's wort", "St. John's wort|");
    expect("in the U.S. and the U.K. Costs rose.", "in the U.S. and the U.K.|Costs rose.|");
}

static void knows_numbers_and_initials(void **state)
{
    (void)state;
    expect("p = 0.05 and p < .001. It was 3.5.", "p = 0.05 and p < .001.|It was 3.5.|");
    expect("(p<0. 05 is enough). Then 10. 20 came.", "(p<0. 05 is enough).|Then 10.|20 came.|");
    expect("J. F. Smith and E. coli. Then", "J. F. Smith and E. coli.|Then|");
    expect("lack of vitamin D. Then hepatitis C. More",
           "lack of vitamin D.|Then hepatitis C.|More|");
    expect("1. Fever. 2. Cough.", "1. Fever.|2. Cough.|");
    expect("since 2010. The rate", "since 2010.|The rate|");
}

static void takes_citations_along(void **state)
{
    (void)state;
    expect("a disease.[1,2] The next", "a disease.[1,2]|The next|");
    expect("a disease.12-14 The next", "a disease.12-14|The next|");
    expect("a disease.[1 The next", "a disease.[1 The next|");
    expect("version 2.0 Then", "version 2.0 Then|");
}

static void ends_at_empty_lines_and_list_items(void **state)
{
    (void)state;
    expect("Background\n\nWe saw\nthat. it", "Background|We saw\nthat. it|");
    expect("Signs:\n- fever\n- cough\n\xE2\x80\xA2 pain\n1. one\n2) two\n10 mg",
           "Signs:|- fever|- cough|\xE2\x80\xA2 pain|1. one|2) two\n10 mg|");
    expect("a\r\n\r\nb\n", "a|b|");
}

static void ends_at_the_stops_of_other_scripts(void **state)
{
    (void)state;
    expect("\xE4\xBD\xA0\xE5\xA5\xBD\xE3\x80\x82\xE5\x86\x8D\xE8\xA7\x81\xEF\xBC\x81",
           "\xE4\xBD\xA0\xE5\xA5\xBD\xE3\x80\x82|\xE5\x86\x8D\xE8\xA7\x81\xEF\xBC\x81|");
    expect("\xE3\x80\x8C\xE5\xA5\xBD\xE3\x80\x82\xE3\x80\x8D x",
           "\xE3\x80\x8C\xE5\xA5\xBD\xE3\x80\x82\xE3\x80\x8D|x|");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ends_at_full_stops_before_white_space),
        cmocka_unit_test(knows_abbreviations),
        cmocka_unit_test(knows_numbers_and_initials),
        cmocka_unit_test(takes_citations_along),
        cmocka_unit_test(ends_at_empty_lines_and_list_items),
        cmocka_unit_test(ends_at_the_stops_of_other_scripts),
    };

    return cmocka_run_group_tests_name("sentences", tests, NULL, NULL);
}

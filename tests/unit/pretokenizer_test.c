/* The rules cut every text where their patterns do when PCRE2 runs them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/buf.h"
#include "tests/unit/draw.h"
#include "text/pretokenizer.h"
#include "text/split_regex.h"

enum { N_TEXTS = 20000, MAX_CHARACTERS = 12 };

/* Each class that a pattern tells from another, and what contractions are made of. */
static const char *const alphabet[] = {
    "a",      "A",      "s",      "l",      "L",  "t",      "'",  "\u017f", "\u01c5",     "\u02b0",
    "\u00aa", "\u4e2d", "\u0301", "\u20dd", " ",  "\n",     "\r", "\t",     "\u00a0",     "\u2028",
    "1",      "\u0663", "\u2460", ".",      "\\", "\u2019", "/",  "\x01",   "\U0001F600",
};

static const struct {
    const char *pattern;
    enum pretokenizer rule;
} known[] = {
    {"'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+",
     PRETOKENIZER_GPT2},
    {"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| "
     "?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
     PRETOKENIZER_LLAMA3},
    {"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| "
     "?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
     PRETOKENIZER_QWEN2},
    {"[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+(?i:"
     "'s|'t|'re|'ve|'m|'ll|'d)?|[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}"
     "\\p{Lm}\\p{Lo}\\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\\p{N}{1,3}| "
     "?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
     PRETOKENIZER_GPT4O},
};

static void draw_text(struct draw *d, struct buf *text)
{
    const unsigned n = 1 + (unsigned)draw_below(d, MAX_CHARACTERS);

    buf_reset(text);
    for (unsigned i = 0; i < n; i++)
        buf_append_string(text, alphabet[draw_below(d, sizeof(alphabet) / sizeof(alphabet[0]))]);
}

static void compare(const struct split_regex *regex, enum pretokenizer rule, struct text text,
                    struct split_regex_scratch *scratch)
{
    struct split_regex_walk walk;
    struct status status;
    size_t at = 0, begin, end;
    bool found;

    split_regex_allow(scratch, text.len);
    split_regex_begin(&walk, regex, scratch, text);
    while (at < text.len) {
        const size_t ours = pretokenizer_next(rule, text, at);

        assert_true(split_regex_next(&walk, &found, &begin, &end, &status));
        if (!found || begin != at || end != ours) {
            fprintf(stderr, "# rule %d cuts '%s' at %zu, its pattern at %zu\n", (int)rule, text.ptr,
                    ours, end);
            fail();
        }
        at = ours;
    }
}

static void every_rule_cuts_as_its_pattern(void **state)
{
    struct split_regex_scratch scratch = {0};
    struct buf text = {0};

    (void)state;
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        struct status status;
        struct split_regex *regex = split_regex_new(text_of(known[i].pattern), &status);
        struct draw d = {1};

        assert_non_null(regex);
        assert_int_equal(pretokenizer_find(text_of(known[i].pattern)), known[i].rule);
        for (int n = 0; n < N_TEXTS; n++) {
            draw_text(&d, &text);
            compare(regex, known[i].rule, buf_text(&text), &scratch);
        }
        split_regex_free(regex);
    }
    buf_release(&text);
    split_regex_scratch_release(&scratch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_rule_cuts_as_its_pattern),
    };

    return cmocka_run_group_tests_name("pretokenizer", tests, NULL, NULL);
}

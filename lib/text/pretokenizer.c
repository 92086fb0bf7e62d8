#include "text/pretokenizer.h"

#include "text/unicode.h"

/* A character of the text: its class, and where the next one begins. */
struct character {
    enum unicode_class kind;
    size_t end;
};

/* With `latest`, numbers are those of Rust, which cuts them out for SmolLM before Oniguruma sees
 * the rest, and knows some more. */
static inline struct character look(struct text text, size_t at, bool latest)
{
    struct character c;
    int32_t code_point;

    c.end = at + unicode_decode(text, at, &code_point);
    c.kind = unicode_class(code_point);
    if (latest && c.kind == UNICODE_OTHER && code_point >= 0x10000 && unicode_is_number(code_point))
        c.kind = UNICODE_NUMBER;
    return c;
}

enum pretokenizer pretokenizer_find(struct text pattern)
{
    static const struct {
        const char *pattern;
        enum pretokenizer rule;
    } known[] = {
        {"'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+",
         PRETOKENIZER_GPT2},
        {"'(?:[sdmt]|ll|ve|re)| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+",
         PRETOKENIZER_GPT2},
        {"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}|"
         " ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
         PRETOKENIZER_LLAMA3},
        {"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}|"
         " ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
         PRETOKENIZER_QWEN2},
        {"[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*"
         "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
         "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+"
         "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
         "\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
         PRETOKENIZER_GPT4O},
    };

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (text_is(pattern, known[i].pattern))
            return known[i].rule;
    }
    return PRETOKENIZER_NONE;
}

/* The length of 's, 't, 're, 've, 'm, 'll or 'd behind an apostrophe, without it; 0 if none. */
static size_t contraction(struct text text, size_t at)
{
    const size_t rest = text.len - at;
    const char *p = text.ptr + at;

    if (rest >= 1 && (*p == 's' || *p == 't' || *p == 'm' || *p == 'd'))
        return 1;
    if (rest >= 2 && ((p[1] == 'e' && (*p == 'r' || *p == 'v')) || (*p == 'l' && p[1] == 'l')))
        return 2;
    return 0;
}

/* The same in either case; U+017F, the long s, is an s, too. */
static size_t contraction_any_case(struct text text, size_t at)
{
    char lowered[2] = {0};
    size_t n = text.len - at < 2 ? text.len - at : 2;

    if (n == 2 && memcmp(text.ptr + at, "\u017f", 2) == 0)
        return 2;
    for (size_t i = 0; i < n; i++) {
        const char c = text.ptr[at + i];

        lowered[i] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
    }
    return contraction((struct text){lowered, n}, 0);
}

/* The end of the run of characters of one kind that goes on at `at`. */
static size_t run_end(struct text text, size_t at, enum unicode_class kind, bool latest)
{
    while (at < text.len) {
        const struct character c = look(text, at, latest);

        if (c.kind != kind)
            break;
        at = c.end;
    }
    return at;
}

static bool is_newline(char c)
{
    return c == '\n' || c == '\r';
}

/* A run of white space: all of it at the end of a stretch; else all but its last character, which
 * the next segment takes if it can. A run of one character stands alone. With `newlines`, a run
 * with line ends in it goes up to the last of them. */
static size_t space_end(struct text text, size_t at, bool numbers_end, bool newlines)
{
    size_t last = at; /* where the run's last character begins */
    size_t end = at;
    size_t line_end = 0;

    while (end < text.len) {
        const struct character c = look(text, end, numbers_end);

        if (c.kind != UNICODE_SPACE) {
            if (line_end > 0)
                return line_end;
            if (c.kind == UNICODE_NUMBER && numbers_end)
                return end;
            return last > at ? last : end;
        }
        if (newlines && is_newline(text.ptr[end]))
            line_end = c.end;
        last = end;
        end = c.end;
    }
    return line_end > 0 ? line_end : end;
}

static size_t next_gpt2(struct text text, size_t at, bool single_numbers)
{
    const struct character first = look(text, at, single_numbers);

    if (first.kind == UNICODE_NUMBER && single_numbers)
        return first.end;
    if (first.kind == UNICODE_SPACE) {
        if (text.ptr[at] == ' ' && first.end < text.len) {
            const struct character next = look(text, first.end, single_numbers);

            if (next.kind != UNICODE_SPACE && !(next.kind == UNICODE_NUMBER && single_numbers))
                return run_end(text, next.end, next.kind, single_numbers);
        }
        return space_end(text, at, single_numbers, false);
    }
    if (text.ptr[at] == '\'') {
        const size_t n = contraction(text, first.end);

        if (n > 0)
            return first.end + n;
    }
    return run_end(text, first.end, first.kind, single_numbers);
}

static size_t next_numbers(struct text text, size_t at, int max)
{
    for (int i = 0; i < max && at < text.len; i++) {
        const struct character c = look(text, at, false);

        if (c.kind != UNICODE_NUMBER)
            break;
        at = c.end;
    }
    return at;
}

/* [^\s\p{L}\p{N}]+[\r\n]* of which the first character is passed already; with `slashes`, the
 * brackets behind have / in them, too. */
static size_t others_end(struct text text, size_t at, bool slashes)
{
    at = run_end(text, at, UNICODE_OTHER, false);
    while (at < text.len && (is_newline(text.ptr[at]) || (slashes && text.ptr[at] == '/')))
        at++;
    return at;
}

static size_t next_llama3(struct text text, size_t at, int max_numbers)
{
    const struct character first = look(text, at, false);
    struct character next;

    if (text.ptr[at] == '\'') {
        const size_t n = contraction_any_case(text, first.end);

        if (n > 0)
            return first.end + n;
    }
    if (first.kind == UNICODE_LETTER)
        return run_end(text, first.end, UNICODE_LETTER, false);
    if (first.kind == UNICODE_NUMBER)
        return next_numbers(text, first.end, max_numbers - 1);
    if (first.end < text.len) {
        next = look(text, first.end, false);
        if (next.kind == UNICODE_LETTER && !is_newline(text.ptr[at]))
            return run_end(text, next.end, UNICODE_LETTER, false);
        if (next.kind == UNICODE_OTHER && text.ptr[at] == ' ')
            return others_end(text, next.end, false);
    }
    if (first.kind == UNICODE_OTHER)
        return others_end(text, first.end, false);
    return space_end(text, at, false, true);
}

/* GPT-4o's words. U is what may stand among capitals (Lu Lt), L what may stand among small letters
 * (Ll), and both are Lm, Lo and marks. At `at`, which is behind the optional first character:
 *
 *   U*L+   all of it; without an L behind the U, up to the last of them that is both
 *   U+L*   tried next: capitals alone, so *capitals
 *
 * Returns `at` if there is no word. */
static size_t gpt4o_letters(struct text text, size_t at, bool *capitals)
{
    size_t both_end = at, end = at;
    unsigned cases = 0;

    *capitals = false;
    for (size_t n; end < text.len; end += n) {
        int32_t c;

        n = unicode_decode(text, end, &c);
        cases = unicode_cases(c);
        if (!(cases & UNICODE_UPPER))
            break;
        if (cases & UNICODE_LOWER)
            both_end = end + n;
    }
    if (end == text.len || cases == 0) {
        *capitals = both_end == at;
        return *capitals ? end : both_end;
    }
    for (size_t n; end < text.len; end += n) {
        int32_t c;

        n = unicode_decode(text, end, &c);
        if (!(unicode_cases(c) & UNICODE_LOWER))
            break;
    }
    return end;
}

/* [^\r\n\p{L}\p{N}]? and the letters; `at` if there is no word. A mark in front is a word by itself
 * if capitals alone follow: it may be the L+ of the first alternative. */
static size_t gpt4o_word(struct text text, size_t at, const struct character *first)
{
    bool capitals = false;
    size_t end = at;

    if (first->kind == UNICODE_LETTER)
        return gpt4o_letters(text, at, &capitals);
    if (first->kind == UNICODE_NUMBER || is_newline(text.ptr[at]))
        return at;
    if (first->end < text.len)
        end = gpt4o_letters(text, first->end, &capitals);
    if (end > first->end && !capitals)
        return end;
    if (first->kind == UNICODE_OTHER) {
        int32_t c;

        unicode_decode(text, at, &c);
        if (unicode_cases(c) != 0)
            return first->end;
    }
    return end > first->end ? end : at;
}

static size_t next_gpt4o(struct text text, size_t at)
{
    const struct character first = look(text, at, false);
    const size_t word_end = gpt4o_word(text, at, &first);

    if (word_end > at) {
        const bool apostrophe = word_end < text.len && text.ptr[word_end] == '\'';
        const size_t n = apostrophe ? contraction_any_case(text, word_end + 1) : 0;

        return n > 0 ? word_end + 1 + n : word_end;
    }
    if (first.kind == UNICODE_NUMBER)
        return next_numbers(text, first.end, 2);
    if (first.kind == UNICODE_OTHER)
        return others_end(text, first.end, true);
    if (text.ptr[at] == ' ' && first.end < text.len) {
        const struct character next = look(text, first.end, false);

        if (next.kind == UNICODE_OTHER)
            return others_end(text, next.end, true);
    }
    return space_end(text, at, false, true);
}

size_t pretokenizer_next(enum pretokenizer rule, struct text text, size_t at)
{
    switch (rule) {
    case PRETOKENIZER_GPT2:
        return next_gpt2(text, at, false);
    case PRETOKENIZER_SMOLLM:
        return next_gpt2(text, at, true);
    case PRETOKENIZER_LLAMA3:
        return next_llama3(text, at, 3);
    case PRETOKENIZER_QWEN2:
        return next_llama3(text, at, 1);
    case PRETOKENIZER_GPT4O:
        return next_gpt4o(text, at);
    case PRETOKENIZER_NONE:
        break;
    }
    return text.len;
}

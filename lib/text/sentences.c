#include "text/sentences.h"

#include "text/unicode.h"

enum { MAX_WORD = 12, MAX_CITATION = 40 }; /* bytes */

/* Never the end of a sentence: something belongs to them. */
static const char *const open_ended[] = {
    "e.g",  "i.e",  "cf",   "vs",    "viz",    "fig",  "figs", "eq",  "eqs", "tab", "ref",
    "refs", "nos",  "vol",  "pp",    "ch",     "sec",  "sect", "ed",  "eds", "dr",  "mr",
    "mrs",  "ms",   "prof", "st",    "approx", "ca",   "resp", "spp", "sp",  "ssp", "subsp",
    "var",  "incl", "est",  "suppl", "dept",   "univ", "rev",  "gen", "col", "sgt", "capt",
    "lt",   "mt",   "al.e", "c.f",   "v.s",    "eg",   "ie",
};

/* The end where a word with a capital letter comes next: they often stand last. */
static const char *const often_last[] = {
    "etc",   "al",  "jr",  "sr",    "inc",   "ltd",   "co",  "corp", "u.s",  "u.k", "ph.d",
    "m.d",   "a.m", "p.m", "b.i.d", "t.i.d", "q.i.d", "q.d", "p.o",  "i.v",  "i.m", "s.c",
    "p.r.n", "q.h", "h.s", "min",   "max",   "no",    "wt",  "conc", "temp", "dep",
};

/* A single letter behind these is a name, not an initial: "vitamin D. Then". */
static const char *const lettered[] = {
    "vitamin", "vitamins", "hepatitis", "type",    "types",    "group", "groups",
    "factor",  "grade",    "class",     "stage",   "phase",    "table", "figure",
    "panel",   "arm",      "virus",     "protein", "appendix", "part",  "case",
    "patient", "or",       "and",       "level",   "score",
};

static bool is_white(struct text text, size_t at)
{
    int32_t c;

    unicode_decode(text, at, &c);
    return unicode_is_space(c);
}

static size_t skip_white(struct text text, size_t at)
{
    while (at < text.len) {
        int32_t c;
        const size_t n = unicode_decode(text, at, &c);

        if (!unicode_is_space(c))
            break;
        at += n;
    }
    return at;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

/* Where the word (letters and inner full stops) that ends at `end` begins; not before `from`. */
static size_t word_begin(struct text text, size_t from, size_t end)
{
    size_t begin = end;

    while (begin > from && (is_letter(text.ptr[begin - 1]) || text.ptr[begin - 1] == '.') &&
           end - begin <= MAX_WORD)
        begin--;
    return begin;
}

static bool is_one_of(struct text word, const char *const *list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        size_t k = 0;

        while (k < word.len && list[i][k] != '\0' && lower(word.ptr[k]) == list[i][k])
            k++;
        if (k == word.len && list[i][k] == '\0')
            return true;
    }
    return false;
}

#define IS_ONE_OF(word, list) is_one_of(word, list, sizeof(list) / sizeof((list)[0]))

/* The end of what closes a sentence behind its full stop: quotes and brackets. */
static size_t skip_closing(struct text text, size_t at)
{
    while (at < text.len) {
        int32_t c;
        const size_t n = unicode_decode(text, at, &c);

        if (c != ')' && c != ']' && c != '}' && c != '"' && c != '\'' && c != 0x2019 &&
            c != 0x201D && c != 0xBB && c != 0x300D && c != 0x300F && c != 0xFF09)
            break;
        at += n;
    }
    return at;
}

/* Reference numbers right behind a full stop: "disease.[1,2]", "disease.12-14"; else `at`. */
static size_t skip_citation(struct text text, size_t at)
{
    const bool bracket = at < text.len && text.ptr[at] == '[';
    size_t end = at + bracket;

    while (end < text.len && end - at < MAX_CITATION &&
           (is_digit(text.ptr[end]) || text.ptr[end] == ',' || text.ptr[end] == '-' ||
            (bracket && text.ptr[end] == ' ') ||
            (text.len - end >= 3 && memcmp(text.ptr + end, "\xE2\x80\x93", 3) == 0)))
        end += text.ptr[end] == '\xE2' ? 3 : 1;
    if (end == at + bracket || (bracket && (end >= text.len || text.ptr[end] != ']')))
        return at;
    return end + bracket;
}

/* What comes next, as far as it says whether a sentence begins. */
enum follower { FOLLOWER_NONE, FOLLOWER_SMALL, FOLLOWER_CAPITAL, FOLLOWER_DIGIT, FOLLOWER_OTHER };

static enum follower look_ahead(struct text text, size_t at)
{
    int32_t c, lowered[UNICODE_MAX_LOWER];

    at = skip_white(text, at);
    if (at == text.len)
        return FOLLOWER_NONE;
    unicode_decode(text, at, &c);
    if (c < 0x80 && is_digit((char)c))
        return FOLLOWER_DIGIT;
    if (unicode_class(c) != UNICODE_LETTER)
        return FOLLOWER_OTHER;
    unicode_lower(c, lowered);
    if (lowered[0] != c)
        return FOLLOWER_CAPITAL;
    /* scripts without cases count as beginnings */
    return c < 0x80 || (c >= 0xDF && c < 0x530) ? FOLLOWER_SMALL : FOLLOWER_CAPITAL;
}

/* The word before the one that begins at `begin`. */
static struct text word_before(struct text text, size_t from, size_t begin)
{
    size_t end = begin, first;

    while (end > from && text.ptr[end - 1] == ' ')
        end--;
    first = word_begin(text, from, end);
    return (struct text){text.ptr + first, end - first};
}

/* Behind a digit: "1." at the beginning numbers an item, "0. 05" is a number with a space in it. */
static bool is_number_part(struct text text, size_t from, size_t at, enum follower next)
{
    if (at - from <= 3 && is_digit(text.ptr[from]))
        return true;
    return next == FOLLOWER_DIGIT && text.ptr[at - 1] == '0' &&
           !(is_digit(text.ptr[at - 2]) || text.ptr[at - 2] == '.');
}

/* Does the full stop at `at` belong to the word before it? */
static bool is_abbreviation(struct text text, size_t from, size_t at, enum follower next)
{
    const size_t begin = word_begin(text, from, at);
    const struct text word = {text.ptr + begin, at - begin};

    if (word.len == 0 && at > from && is_digit(text.ptr[at - 1]))
        return is_number_part(text, from, at, next);
    if (IS_ONE_OF(word, open_ended))
        return true;
    if (IS_ONE_OF(word, often_last))
        return next != FOLLOWER_CAPITAL;
    if (word.len == 1 && word.ptr[0] >= 'A' && word.ptr[0] <= 'Z')
        return !IS_ONE_OF(word_before(text, from, begin), lettered);
    return false;
}

/* Is the terminator at `at` (behind it: `after`) the end of a sentence? *end is then its end. */
static bool ends_here(struct text text, size_t from, size_t at, size_t after, size_t *end)
{
    const bool stop = text.ptr[at] == '.';
    enum follower next;

    *end = skip_closing(text, after);
    if (stop && at > from && (is_letter(text.ptr[at - 1]) || text.ptr[at - 1] == ')'))
        *end = skip_closing(text, skip_citation(text, *end));
    if (*end == text.len)
        return true;
    if (!is_white(text, *end))
        return false;
    next = look_ahead(text, *end);
    if (next == FOLLOWER_SMALL)
        return false;
    return !stop || *end != after || !is_abbreviation(text, from, at, next);
}

/* Full stops of East Asia end a sentence whatever follows. */
static bool is_wide_stop(int32_t c)
{
    return c == 0x3002 || c == 0xFF01 || c == 0xFF1F || c == 0xFF61 || c == 0x0964 || c == 0x06D4;
}

/* Does the line break at `at` end a sentence: an empty line, or an item of a list behind it? */
static bool breaks_paragraph(struct text text, size_t at)
{
    size_t next = at + 1;

    while (next < text.len &&
           (text.ptr[next] == ' ' || text.ptr[next] == '\t' || text.ptr[next] == '\r'))
        next++;
    if (next >= text.len || text.ptr[next] == '\n')
        return true;
    if ((text.ptr[next] == '-' || text.ptr[next] == '*') && next + 1 < text.len &&
        text.ptr[next + 1] == ' ')
        return true;
    if (text.len - next > 3 && memcmp(text.ptr + next, "\xE2\x80\xA2", 3) == 0) /* bullet */
        return true;
    for (at = next; at < text.len && is_digit(text.ptr[at]);)
        at++;
    return at > next && at - next <= 3 && at + 1 < text.len &&
           (text.ptr[at] == '.' || text.ptr[at] == ')') && text.ptr[at + 1] == ' ';
}

static size_t trim_end(struct text text, size_t from, size_t end)
{
    size_t last = from;

    while (from < end) {
        int32_t c;
        const size_t n = unicode_decode(text, from, &c);

        from += n;
        if (!unicode_is_space(c))
            last = from;
    }
    return last;
}

bool sentences_next(struct text text, size_t at, struct sentence *sentence)
{
    const size_t begin = skip_white(text, at);
    size_t end = text.len;

    if (begin >= text.len)
        return false;
    for (at = begin; at < text.len;) {
        int32_t c;
        const size_t n = unicode_decode(text, at, &c);

        if (is_wide_stop(c)) {
            end = skip_closing(text, at + n);
            break;
        }
        if ((c == '.' || c == '!' || c == '?' || c == 0x2026) &&
            ends_here(text, begin, at, at + n, &end))
            break;
        if (c == '\n' && breaks_paragraph(text, at)) {
            end = at;
            break;
        }
        end = text.len;
        at += n;
    }
    *sentence = (struct sentence){begin, trim_end(text, begin, end)};
    return true;
}

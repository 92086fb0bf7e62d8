#define PCRE2_CODE_UNIT_WIDTH 8
#include "text/split_regex.h"

#include <pcre2.h>
#include <stdlib.h>
#include <time.h>

#include "base/buf.h"
#include "base/memory.h"

enum {
    MAX_PATTERN = 1 << 16, /* bytes */
    /* Steps: what PCRE2 counts as one is about a choice that can be taken back. */
    FIRST_LIMIT = 64, /* of one place of the text, before the steps are counted at all */
    LIMIT_GROWTH = 8,
    BUDGET_BASE = 100000,
    BUDGET_PER_BYTE = 256,
    HEAP_LIMIT = 1 << 16, /* KiB */
    CALLS_A_LOOK = 64,    /* at the clock */
};

#define MAX_SECONDS 2.0
#define MAX_SECONDS_PER_BYTE 10e-6

struct split_regex {
    pcre2_code *code;
};

/* What PCRE2 10.42 (Unicode 14.0) lacks of Oniguruma's letters and numbers (16.0). */
#define LATER_L                                                                                    \
    "\\x{1C89}-\\x{1C8A}\\x{A7CB}-\\x{A7CD}\\x{A7DA}-\\x{A7DC}\\x{105C0}-\\x{105F3}"               \
    "\\x{10D4A}-\\x{10D65}\\x{10D6F}-\\x{10D85}\\x{10EC2}-\\x{10EC4}"                              \
    "\\x{1123F}-\\x{11240}\\x{11380}-\\x{11389}\\x{1138B}\\x{1138E}"                               \
    "\\x{11390}-\\x{113B5}\\x{113B7}\\x{113D1}\\x{113D3}\\x{11BC0}-\\x{11BE0}"                     \
    "\\x{11F02}\\x{11F04}-\\x{11F10}\\x{11F12}-\\x{11F33}\\x{1342F}"                               \
    "\\x{13441}-\\x{13446}\\x{13460}-\\x{143FA}\\x{16100}-\\x{1611D}"                              \
    "\\x{16D40}-\\x{16D6C}\\x{18CFF}\\x{1B132}\\x{1B155}\\x{1DF25}-\\x{1DF2A}"                     \
    "\\x{1E030}-\\x{1E06D}\\x{1E4D0}-\\x{1E4EB}\\x{1E5D0}-\\x{1E5ED}\\x{1E5F0}"                    \
    "\\x{2B739}\\x{2EBF0}-\\x{2EE5D}\\x{31350}-\\x{323AF}"
#define LATER_N                                                                                    \
    "\\x{10D40}-\\x{10D49}\\x{116D0}-\\x{116E3}\\x{11BF0}-\\x{11BF9}"                              \
    "\\x{11F50}-\\x{11F59}\\x{16130}-\\x{16139}\\x{16D70}-\\x{16D79}"                              \
    "\\x{1CCF0}-\\x{1CCF9}\\x{1D2C0}-\\x{1D2D3}\\x{1E4F0}-\\x{1E4F9}"                              \
    "\\x{1E5F1}-\\x{1E5FA}"

#define LETTER "\\p{L}" LATER_L
#define NUMBER "\\p{N}" LATER_N
/* Oniguruma has some numbers of Latin-1 among the word characters, and no others that are not Nd.
 */
#define WORD                                                                                       \
    "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\x{B2}\\x{B3}\\x{B9}\\x{BC}-\\x{BE}" LATER_L LATER_N

/* Oniguruma's classes over Unicode, within brackets (NULL: refused) or by themselves. */
static const struct {
    const char *escape, *within, *alone;
} classes[] = {
    {"\\s", "\\p{White_Space}", "\\p{White_Space}"},
    {"\\S", "\\P{White_Space}", "\\P{White_Space}"},
    {"\\d", "\\p{Nd}", "\\p{Nd}"},
    {"\\D", "\\P{Nd}", "\\P{Nd}"},
    {"\\w", WORD, "[" WORD "]"},
    {"\\W", NULL, "[^" WORD "]"},
    {"\\p{L}", LETTER, "[" LETTER "]"},
    {"\\p{N}", NUMBER, "[" NUMBER "]"},
    {"\\P{L}", NULL, "[^" LETTER "]"},
    {"\\P{N}", NULL, "[^" NUMBER "]"},
};

/* The length of \p{...} or \x{...}, of \pL and the like, of \xHH; or of two characters. */
static size_t escape_length(struct text p)
{
    const char *end;

    if (!strchr("pPx", p.ptr[1]) || p.len < 3 || p.ptr[2] != '{')
        return 2;
    end = memchr(p.ptr, '}', p.len);
    return end ? (size_t)(end - p.ptr) + 1 : 2;
}

/* \uHHHH, which PCRE2 does not have. */
static bool put_code_point(struct text p, struct buf *out)
{
    if (p.len < 6 || p.ptr[1] != 'u')
        return false;
    for (int i = 2; i < 6; i++) {
        if (!p.ptr[i] || !strchr("0123456789abcdefABCDEF", p.ptr[i]))
            return false;
    }
    buf_printf(out, "\\x{%.4s}", p.ptr + 2);
    return true;
}

/* Append what stands for the escape at p[0] = '\\'; returns its length, 0 if it is refused. */
static size_t put_escape(struct text p, bool in_class, struct buf *out, struct status *status)
{
    const char c = p.len > 1 ? p.ptr[1] : '\0';

    for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++) {
        const char *spelled = in_class ? classes[i].within : classes[i].alone;

        if (spelled && text_starts_with(p, text_of(classes[i].escape))) {
            buf_append_string(out, spelled);
            return strlen(classes[i].escape);
        }
    }
    if (put_code_point(p, out))
        return 6;
    if (c != '\0' && !(c == 'W' || (c == 'P' && in_class)) &&
        strchr("pPrntfevx !\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", c)) {
        buf_append(out, p.ptr, escape_length(p));
        return escape_length(p);
    }
    status_set(status, STATUS_CONFIG, "pattern: '\\%c' is not known%s",
               c >= ' ' && c < 0x7F ? c : '?', in_class ? " in brackets" : "");
    return 0;
}

/* {2,3}+ repeats again in Ruby's syntax and forbids going back in PCRE2's. */
static bool is_odd_repeat(struct text p)
{
    return p.len > 1 && p.ptr[0] == '}' && p.ptr[1] == '+';
}

/* Group openings that mean the same to both. */
static bool check_group(struct text p, struct status *status)
{
    static const char *const known[] = {"(?:", "(?=", "(?!", "(?<=", "(?<!", "(?>", "(?i:", "(?i)"};

    if (p.len < 2 || p.ptr[1] != '?')
        return p.len < 2 || p.ptr[1] != '*' ||
               status_fail(status, STATUS_CONFIG, "pattern: '(*' is not known");
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (text_starts_with(p, text_of(known[i])))
            return true;
    }
    return status_fail(status, STATUS_CONFIG, "pattern: '(?%.1s' is not known",
                       p.len > 2 && p.ptr[2] > ' ' ? p.ptr + 2 : "");
}

static bool check_class_char(struct text p, struct status *status)
{
    if (*p.ptr == '[')
        return status_fail(status, STATUS_CONFIG, "pattern: '[' in brackets is not known");
    return !text_starts_with(p, text_of("&&")) ||
           status_fail(status, STATUS_CONFIG, "pattern: '&&' in brackets is not known");
}

/* Spell the pattern for PCRE2. */
static bool translate(struct text pattern, struct buf *out, struct status *status)
{
    bool in_class = false;

    for (size_t at = 0; at < pattern.len;) {
        const struct text rest = {pattern.ptr + at, pattern.len - at};
        size_t n = 1;

        if (*rest.ptr == '\\') {
            n = put_escape(rest, in_class, out, status);
            if (n == 0)
                return false;
            at += n;
            continue;
        }
        if (in_class) {
            if (!check_class_char(rest, status))
                return false;
            in_class = *rest.ptr != ']';
        } else if (*rest.ptr == '[') {
            in_class = true;
            n += rest.len > 1 && rest.ptr[1] == '^';
            if (rest.len > n && rest.ptr[n] == ']')
                return status_fail(status, STATUS_CONFIG, "pattern: empty brackets");
        } else if (*rest.ptr == '(' && !check_group(rest, status)) {
            return false;
        } else if (is_odd_repeat(rest)) {
            return status_fail(status, STATUS_CONFIG, "pattern: '}+' is not known");
        }
        buf_append(out, rest.ptr, n);
        at += n;
    }
    return true;
}

static pcre2_code *compile(struct text spelled, struct status *status)
{
    pcre2_compile_context *context = pcre2_compile_context_create(NULL);
    pcre2_code *code;
    int error;
    PCRE2_SIZE offset;

    if (!context) {
        status_set(status, STATUS_MEMORY, "no memory for a pattern");
        return NULL;
    }
    pcre2_set_newline(context, PCRE2_NEWLINE_LF);
    pcre2_set_parens_nest_limit(context, 64);
    code = pcre2_compile((PCRE2_SPTR)spelled.ptr, spelled.len,
                         PCRE2_UTF | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C |
                             PCRE2_NO_AUTO_CAPTURE | PCRE2_DOLLAR_ENDONLY,
                         &error, &offset, context);
    pcre2_compile_context_free(context);
    if (!code) {
        char message[120] = "";

        pcre2_get_error_message(error, (PCRE2_UCHAR *)message, sizeof(message));
        status_set(status, STATUS_CONFIG, "pattern: %s", message);
    }
    return code;
}

struct split_regex *split_regex_new(struct text pattern, struct status *status)
{
    struct split_regex *regex = NULL;
    struct buf spelled = {0};
    pcre2_code *code = NULL;

    if (pattern.len > MAX_PATTERN)
        status_set(status, STATUS_CONFIG, "pattern: %zu bytes, at most %d are known", pattern.len,
                   MAX_PATTERN);
    else if (translate(pattern, &spelled, status))
        code = compile(buf_text(&spelled), status);
    buf_release(&spelled);
    if (!code)
        return NULL;
    pcre2_jit_compile(code, PCRE2_JIT_COMPLETE); /* where it cannot, the interpreter runs */
    regex = memory_zeroed(1, sizeof(*regex));
    regex->code = code;
    return regex;
}

void split_regex_free(struct split_regex *regex)
{
    if (!regex)
        return;
    pcre2_code_free(regex->code);
    free(regex);
}

void split_regex_scratch_release(struct split_regex_scratch *scratch)
{
    pcre2_match_data_free(scratch->match_data);
    pcre2_match_context_free(scratch->match_context);
    *scratch = (struct split_regex_scratch){0};
}

void split_regex_allow(struct split_regex_scratch *scratch, size_t size)
{
    scratch->budget = BUDGET_BASE + BUDGET_PER_BYTE * (uint64_t)size;
    scratch->max_seconds = MAX_SECONDS + MAX_SECONDS_PER_BYTE * (double)size;
    scratch->deadline = 0;
}

void split_regex_begin(struct split_regex_walk *walk, const struct split_regex *regex,
                       struct split_regex_scratch *scratch, struct text text)
{
    *walk = (struct split_regex_walk){.regex = regex, .scratch = scratch, .text = text};
    if (!scratch->match_data) {
        scratch->match_data = pcre2_match_data_create(1, NULL);
        scratch->match_context = pcre2_match_context_create(NULL);
        if (scratch->match_context)
            pcre2_set_heap_limit(scratch->match_context, HEAP_LIMIT);
    }
}

/* PCRE2's answer from `at` on, of at most `limit` steps a place. */
static int match(const struct split_regex_walk *walk, size_t at, uint64_t limit, uint32_t options)
{
    struct split_regex_scratch *s = walk->scratch;
    int rc;

    if (!s->match_data || !s->match_context)
        return PCRE2_ERROR_NOMEMORY;
    pcre2_set_match_limit(s->match_context, limit < UINT32_MAX ? (uint32_t)limit : UINT32_MAX);
    rc = pcre2_match(walk->regex->code, (PCRE2_SPTR)walk->text.ptr, walk->text.len, at,
                     PCRE2_NO_UTF_CHECK | options, s->match_data, s->match_context);
    if (rc == PCRE2_ERROR_JIT_STACKLIMIT) /* the interpreter has its stack on the heap */
        rc = pcre2_match(walk->regex->code, (PCRE2_SPTR)walk->text.ptr, walk->text.len, at,
                         PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT | options, s->match_data,
                         s->match_context);
    return rc;
}

/* The same at this place alone, of as many steps as the budget has. */
static int match_here(struct split_regex_walk *walk, size_t at)
{
    uint64_t limit = FIRST_LIMIT, *budget = &walk->scratch->budget;
    int rc;

    for (;;) {
        rc = match(walk, at, limit, PCRE2_ANCHORED);
        if (limit > FIRST_LIMIT || rc == PCRE2_ERROR_MATCHLIMIT)
            *budget -= limit < *budget ? limit : *budget;
        if (rc != PCRE2_ERROR_MATCHLIMIT || *budget == 0)
            return rc;
        limit *= LIMIT_GROWTH;
        if (limit > *budget)
            limit = *budget;
    }
}

static size_t next_character(struct text text, size_t at)
{
    at++;
    while (at < text.len && ((unsigned char)text.ptr[at] & 0xC0) == 0x80)
        at++;
    return at;
}

/* Is this thread past its time for this text? Asked now and then. */
static bool is_late(struct split_regex_scratch *s)
{
    struct timespec now;
    double seconds;

    if (++s->n_calls % CALLS_A_LOOK != 0)
        return false;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    seconds = (double)now.tv_sec + (double)now.tv_nsec / 1e9;
    if (s->deadline <= 0)
        s->deadline = seconds + s->max_seconds;
    return seconds > s->deadline;
}

/* Mostly one look finds the next match, few steps a place. If a place wants more, place after place
 * is asked alone, so that the steps can be counted. */
static int search(struct split_regex_walk *walk)
{
    int rc = is_late(walk->scratch) ? PCRE2_ERROR_HEAPLIMIT : match(walk, walk->at, FIRST_LIMIT, 0);
    size_t at = walk->at;

    if (rc != PCRE2_ERROR_MATCHLIMIT)
        return rc;
    while ((rc = match_here(walk, at)) == PCRE2_ERROR_NOMATCH && at < walk->text.len) {
        if (is_late(walk->scratch))
            return PCRE2_ERROR_HEAPLIMIT;
        at = next_character(walk->text, at);
    }
    return rc;
}

bool split_regex_next(struct split_regex_walk *walk, bool *found, size_t *begin, size_t *end,
                      struct status *status)
{
    for (;;) {
        const PCRE2_SIZE *ends;
        int rc;

        *found = false;
        if (walk->at > walk->text.len)
            return true;
        rc = search(walk);
        if (rc == PCRE2_ERROR_NOMATCH)
            return true;
        if (rc == PCRE2_ERROR_NOMEMORY)
            return status_fail(status, STATUS_MEMORY, "no memory to split a text by a pattern");
        if (rc < 0)
            return status_fail_record(
                status, "pattern", NULL,
                "the tokenizer's own pattern takes too many steps to split this text");
        ends = pcre2_get_ovector_pointer(walk->scratch->match_data);
        *begin = ends[0] < ends[1] ? ends[0] : ends[1]; /* \K, which is refused, could turn them */
        *end = ends[1];
        walk->at = *end > *begin ? *end : next_character(walk->text, *end);
        if (*end > *begin || !walk->matched || walk->last_end != *end)
            break; /* an empty match right behind the last one does not count */
    }
    *found = true;
    walk->matched = true;
    walk->last_end = *end;
    return true;
}

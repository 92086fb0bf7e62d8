#include "text/splitter.h"

#include <stdlib.h>

#include "base/memory.h"
#include "text/unicode.h"

enum step_kind { STEP_RULE, STEP_REGEX, STEP_LITERAL, STEP_NUMBER, STEP_PREFIX };

struct splitter_step {
    enum step_kind kind;
    enum pretokenizer rule;
    struct split_regex *regex; /* ours */
    struct buf literal;
    enum tokenizer_json_behavior behavior;
    bool invert;
};

/* A stretch of a piece. */
struct splitter_match {
    size_t begin, end;
    bool is_match;
};

static struct splitter_step *add_step(struct splitter *splitter, enum step_kind kind)
{
    struct splitter_step *step;

    splitter->steps = memory_resize(splitter->steps, splitter->n + 1, sizeof(*splitter->steps));
    step = &splitter->steps[splitter->n++];
    *step = (struct splitter_step){.kind = kind};
    return step;
}

/* Numbers one by one before GPT-2's pattern are a rule of their own. */
void splitter_add_rule(struct splitter *splitter, enum pretokenizer rule)
{
    struct splitter_step *last = splitter->n > 0 ? &splitter->steps[splitter->n - 1] : NULL;

    if (rule == PRETOKENIZER_GPT2 && last && last->kind == STEP_NUMBER &&
        last->behavior == SPLIT_ISOLATED && !last->invert) {
        last->kind = STEP_RULE;
        last->rule = PRETOKENIZER_SMOLLM;
        return;
    }
    add_step(splitter, STEP_RULE)->rule = rule;
}

/* A known rule matches every character: to keep the matches and to drop the rest is the same. */
static bool is_plain(const struct tokenizer_json_step *step)
{
    return step->behavior == SPLIT_ISOLATED ? !step->invert
                                            : step->behavior == SPLIT_REMOVED && step->invert;
}

static bool add_split(struct splitter *splitter, const struct tokenizer_json_step *from,
                      struct status *status)
{
    const enum pretokenizer rule =
        from->is_regex && is_plain(from) ? pretokenizer_find(from->pattern) : PRETOKENIZER_NONE;
    struct splitter_step *step;

    if (rule != PRETOKENIZER_NONE) {
        splitter_add_rule(splitter, rule);
        return true;
    }
    step = add_step(splitter, from->is_regex ? STEP_REGEX : STEP_LITERAL);
    step->behavior = from->behavior;
    step->invert = from->invert;
    if (!from->is_regex) {
        buf_append_text(&step->literal, from->pattern);
        return true;
    }
    splitter->has_regex = true;
    step->regex = split_regex_new(from->pattern, status);
    return step->regex != NULL;
}

bool splitter_add(struct splitter *splitter, const struct tokenizer_json_step *step,
                  struct status *status)
{
    switch (step->type) {
    case STEP_SPLIT:
        return add_split(splitter, step, status);
    case STEP_DIGITS:
        add_step(splitter, STEP_NUMBER)->behavior =
            step->individual_digits ? SPLIT_ISOLATED : SPLIT_CONTIGUOUS;
        return true;
    case STEP_BYTE_LEVEL:
        if (step->add_prefix_space)
            add_step(splitter, STEP_PREFIX);
        if (step->use_regex)
            splitter_add_rule(splitter, PRETOKENIZER_GPT2);
        return true;
    default:
        return status_fail(status, STATUS_CONFIG, "a step that does not cut");
    }
}

void splitter_release(struct splitter *splitter)
{
    for (size_t i = 0; i < splitter->n; i++) {
        split_regex_free(splitter->steps[i].regex);
        buf_release(&splitter->steps[i].literal);
    }
    free(splitter->steps);
    *splitter = (struct splitter){0};
}

void splitter_scratch_release(struct splitter_scratch *scratch)
{
    free(scratch->pieces.items);
    free(scratch->others.items);
    free(scratch->matches);
    buf_release(&scratch->prefixed);
    buf_release(&scratch->clean);
    split_regex_scratch_release(&scratch->regex);
    *scratch = (struct splitter_scratch){0};
}

static void put_piece(struct splitter_pieces *pieces, const char *from, size_t len)
{
    if (len == 0)
        return;
    if (pieces->n == pieces->cap) {
        pieces->cap = pieces->cap ? 2 * pieces->cap : 256;
        pieces->items = memory_resize(pieces->items, pieces->cap, sizeof(*pieces->items));
    }
    pieces->items[pieces->n++] = (struct text){from, len};
}

static void put_match(struct splitter_scratch *s, size_t begin, size_t end, bool is_match)
{
    if (s->n_matches == s->cap_matches) {
        s->cap_matches = s->cap_matches ? 2 * s->cap_matches : 256;
        s->matches = memory_resize(s->matches, s->cap_matches, sizeof(*s->matches));
    }
    s->matches[s->n_matches++] = (struct splitter_match){begin, end, is_match};
}

static bool find_regex(const struct splitter_step *step, struct splitter_scratch *s,
                       struct text piece, struct status *status)
{
    struct split_regex_walk walk;
    size_t done = 0, begin, end;
    bool found;

    split_regex_begin(&walk, step->regex, &s->regex, piece);
    for (;;) {
        if (!split_regex_next(&walk, &found, &begin, &end, status))
            return false;
        if (!found)
            break;
        if (done < begin)
            put_match(s, done, begin, step->invert);
        put_match(s, begin, end, !step->invert);
        done = end;
    }
    if (done < piece.len)
        put_match(s, done, piece.len, step->invert);
    return true;
}

static void find_literal(const struct splitter_step *step, struct splitter_scratch *s,
                         struct text piece)
{
    const struct text literal = buf_text(&step->literal);
    size_t done = 0;

    for (size_t at = 0; at + literal.len <= piece.len;) {
        const char *first = memchr(piece.ptr + at, literal.ptr[0], piece.len - at);

        if (!first)
            break;
        at = (size_t)(first - piece.ptr);
        if (!text_starts_with((struct text){first, piece.len - at}, literal)) {
            at++;
            continue;
        }
        if (done < at)
            put_match(s, done, at, step->invert);
        put_match(s, at, at + literal.len, !step->invert);
        at += literal.len;
        done = at;
    }
    if (done < piece.len)
        put_match(s, done, piece.len, step->invert);
}

static void find_numbers(struct splitter_scratch *s, struct text piece)
{
    size_t done = 0;

    for (size_t at = 0, n; at < piece.len; at += n) {
        int32_t c;

        n = unicode_decode(piece, at, &c);
        if (!unicode_is_number(c))
            continue;
        if (done < at)
            put_match(s, done, at, false);
        put_match(s, at, at + n, true);
        done = at + n;
    }
    if (done < piece.len)
        put_match(s, done, piece.len, false);
}

/* A match goes to the stretch before it or behind it, but only the one beside it: of matches in a
 * row the others stand alone. */
static void put_merged(struct splitter_scratch *s, const char *base, bool with_next)
{
    const struct splitter_match *m = s->matches;
    const size_t n = s->n_matches;

    for (size_t i = 0; i < n; i++) {
        size_t begin = m[i].begin, end = m[i].end;

        if (with_next && m[i].is_match && i + 1 < n && !m[i + 1].is_match)
            end = m[++i].end;
        else if (!with_next && !m[i].is_match && i + 1 < n && m[i + 1].is_match)
            end = m[++i].end;
        put_piece(&s->pieces, base + begin, end - begin);
    }
}

static void put_contiguous(struct splitter_scratch *s, const char *base)
{
    const struct splitter_match *m = s->matches;

    for (size_t i = 0, end; i < s->n_matches; i = end) {
        end = i + 1;
        while (end < s->n_matches && m[end].is_match == m[i].is_match)
            end++;
        put_piece(&s->pieces, base + m[i].begin, m[end - 1].end - m[i].begin);
    }
}

static void put_matches(const struct splitter_step *step, struct splitter_scratch *s,
                        const char *base)
{
    switch (step->behavior) {
    case SPLIT_CONTIGUOUS:
        put_contiguous(s, base);
        return;
    case SPLIT_MERGED_WITH_PREVIOUS:
    case SPLIT_MERGED_WITH_NEXT:
        put_merged(s, base, step->behavior == SPLIT_MERGED_WITH_NEXT);
        return;
    case SPLIT_ISOLATED:
    case SPLIT_REMOVED:
        break;
    }
    for (size_t i = 0; i < s->n_matches; i++) {
        const struct splitter_match *m = &s->matches[i];

        if (step->behavior == SPLIT_ISOLATED || !m->is_match)
            put_piece(&s->pieces, base + m->begin, m->end - m->begin);
    }
}

/* Cut one piece of the step before. The last piece's matches serve another with the same bytes:
 * many short pieces in a row are. */
static bool cut(const struct splitter_step *step, struct splitter_scratch *s, struct text piece,
                const struct text *last, struct status *status)
{
    if (last && text_equals(piece, *last)) {
        put_matches(step, s, piece.ptr);
        return true;
    }
    s->n_matches = 0;
    if (step->kind == STEP_RULE) {
        for (size_t at = 0, end; at < piece.len; at = end) {
            end = pretokenizer_next(step->rule, piece, at);
            put_piece(&s->pieces, piece.ptr + at, end - at);
        }
        return true;
    }
    if (step->kind == STEP_REGEX && !find_regex(step, s, piece, status))
        return false;
    if (step->kind == STEP_LITERAL)
        find_literal(step, s, piece);
    if (step->kind == STEP_NUMBER)
        find_numbers(s, piece);
    put_matches(step, s, piece.ptr);
    return true;
}

static void add_prefixes(struct splitter_scratch *s)
{
    size_t size = 0, at = 0;

    for (size_t i = 0; i < s->pieces.n; i++)
        size += s->pieces.items[i].len + 1;
    buf_reset(&s->prefixed);
    buf_reserve(&s->prefixed, size);
    for (size_t i = 0; i < s->pieces.n; i++) {
        if (s->pieces.items[i].ptr[0] != ' ')
            buf_append_char(&s->prefixed, ' ');
        buf_append_text(&s->prefixed, s->pieces.items[i]);
        s->pieces.items[i] = (struct text){s->prefixed.data + at, s->prefixed.len - at};
        at = s->prefixed.len;
    }
}

static bool run_step(const struct splitter_step *step, struct splitter_scratch *s,
                     struct status *status)
{
    const struct splitter_pieces pieces = s->pieces;

    if (step->kind == STEP_PREFIX) {
        add_prefixes(s);
        return true;
    }
    s->pieces = s->others;
    s->pieces.n = 0;
    s->others = pieces;
    for (size_t i = 0; i < pieces.n; i++) {
        const struct text *last = i > 0 && step->kind != STEP_RULE ? &pieces.items[i - 1] : NULL;

        if (!cut(step, s, pieces.items[i], last, status))
            return false;
    }
    return true;
}

/* Each malformed byte becomes a control character, so that places stay what they are. */
static struct text without_malformed(struct splitter_scratch *s, struct text text)
{
    if (unicode_is_valid(text))
        return text;
    buf_reset(&s->clean);
    for (size_t at = 0, n; at < text.len; at += n) {
        int32_t c;

        n = unicode_decode(text, at, &c);
        if (n == 1 && c == UNICODE_REPLACEMENT)
            buf_append_char(&s->clean, '\x1A');
        else
            buf_append(&s->clean, text.ptr + at, n);
    }
    return buf_text(&s->clean);
}

/* Where the pieces of a cleaned copy lie in the text itself. */
static void point_back(struct splitter_scratch *s, const char *copy, struct text text)
{
    if (copy == text.ptr)
        return;
    for (size_t i = 0; i < s->pieces.n; i++)
        s->pieces.items[i].ptr = text.ptr + (s->pieces.items[i].ptr - copy);
}

bool splitter_run(const struct splitter *splitter, struct splitter_scratch *scratch,
                  struct text text, struct status *status)
{
    const struct text whole = splitter->has_regex ? without_malformed(scratch, text) : text;
    bool pointed = false;

    split_regex_allow(&scratch->regex, text.len);
    scratch->pieces.n = 0;
    put_piece(&scratch->pieces, whole.ptr, whole.len);
    for (size_t i = 0; i < splitter->n; i++) {
        if (splitter->steps[i].kind == STEP_PREFIX && !pointed) {
            point_back(scratch, whole.ptr, text);
            pointed = true;
        }
        if (!run_step(&splitter->steps[i], scratch, status))
            return false;
    }
    if (!pointed)
        point_back(scratch, whole.ptr, text);
    return true;
}

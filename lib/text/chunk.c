#include "text/chunk.h"

#include <stdlib.h>

#include "base/memory.h"
#include "text/sentences.h"
#include "text/unicode.h"

/* How many bytes a token has: a first guess, and what is enough for all but runs of one character.
 */
enum { BYTES_PER_TOKEN = 4, MAX_BYTES_PER_TOKEN = 64 };

/* A sentence, or a part of one that is too long: what passages are made of. */
struct unit {
    size_t begin, end;
    size_t n_tokens; /* without special tokens */
};

struct cutter {
    const struct chunk_options *options;
    struct text text;
    struct unit *units; /* ours */
    size_t n_units, cap_units;
    struct tokens tokens;
    struct status *status;
};

static bool count(struct cutter *c, size_t begin, size_t end, unsigned flags, size_t *n)
{
    const struct text part = {c->text.ptr + begin, end - begin};

    tokens_reset(&c->tokens);
    if (!tokenizer_encode(c->options->tokenizer, part, flags, &c->tokens, c->status))
        return false;
    *n = c->tokens.n;
    return true;
}

static bool fits(struct cutter *c, size_t begin, size_t end, bool *fit)
{
    size_t n = 0;

    if (!count(c, begin, end, c->options->flags, &n))
        return false;
    *fit = n <= c->options->max_tokens;
    return true;
}

static void add_unit(struct cutter *c, size_t begin, size_t end, size_t n_tokens)
{
    if (c->n_units == c->cap_units) {
        c->cap_units = c->cap_units ? 2 * c->cap_units : 64;
        c->units = memory_resize(c->units, c->cap_units, sizeof(*c->units));
    }
    c->units[c->n_units++] = (struct unit){begin, end, n_tokens};
}

/* -- a sentence that does not fit ---------------------------------------------------------------
 */

static bool is_continuation(char byte)
{
    return ((unsigned char)byte & 0xC0) == 0x80;
}

/* The last place in (from, to] where a word ends or, if !words, a character; from: there is none.
 */
static size_t border_at_or_before(const struct cutter *c, size_t from, size_t to, size_t end,
                                  bool words)
{
    for (; to > from; to--) {
        int32_t code_point;

        if (to < end && is_continuation(c->text.ptr[to]))
            continue;
        if (!words || to == end)
            return to;
        unicode_decode(c->text, to, &code_point);
        if (unicode_is_space(code_point))
            return to;
    }
    return from;
}

/* The first such border in (from, to); to: there is none. */
static size_t border_after(const struct cutter *c, size_t from, size_t to, size_t end, bool words)
{
    size_t at = from + 1;

    while (at < to && border_at_or_before(c, at - 1, at, end, words) != at)
        at++;
    return at;
}

/* The longest part of [from, end) that fits and ends at such a border; *cut == from: none does.
 * Looks only so far as N tokens may reach, so that a long text is not read again and again. */
static bool longest_fit(struct cutter *c, size_t from, size_t end, bool words, size_t *cut)
{
    const size_t reach = MAX_BYTES_PER_TOKEN * c->options->max_tokens;
    const size_t limit = end - from > reach ? from + reach : end;
    size_t step = BYTES_PER_TOKEN * c->options->max_tokens;
    size_t low = from, high = limit + 1; /* [from, low) fits; [from, high) does not, if <= limit */

    for (;;) {
        const bool growing = high > limit;
        const size_t middle = !growing             ? low + (high - low) / 2
                              : limit - low > step ? low + step
                                                   : limit;
        size_t to = border_at_or_before(c, low, middle, end, words);
        bool fit;

        if (to == low && growing && middle < limit) {
            step *= 2;
            continue;
        }
        if (to == low && !growing)
            to = border_after(c, middle, high, end, words);
        if (to == low || to >= high)
            break;
        if (!fits(c, from, to, &fit))
            return false;
        if (fit)
            low = to;
        else
            high = to;
    }
    *cut = low;
    return true;
}

static size_t skip_white(struct text text, size_t at, size_t end)
{
    while (at < end) {
        int32_t code_point;
        const size_t n = unicode_decode(text, at, &code_point);

        if (!unicode_is_space(code_point))
            break;
        at += n;
    }
    return at;
}

static bool cut_sentence(struct cutter *c, size_t begin, size_t end)
{
    while (begin < end) {
        size_t cut, n;

        if (!longest_fit(c, begin, end, true, &cut) ||
            (cut == begin && !longest_fit(c, begin, end, false, &cut)))
            return false;
        if (cut == begin) /* not one character: then one, since nothing is left out */
            cut = begin + unicode_decode(c->text, begin, &(int32_t){0});
        if (!count(c, begin, cut, TOKENIZER_PLAIN, &n))
            return false;
        add_unit(c, begin, cut, n);
        begin = skip_white(c->text, cut, end);
    }
    return true;
}

static bool collect_units(struct cutter *c)
{
    const size_t n_special = c->options->flags & TOKENIZER_SPECIAL
                                 ? tokenizer_n_special(c->options->tokenizer, false)
                                 : 0;
    struct sentence s = {0, 0};

    while (sentences_next(c->text, s.end, &s)) {
        size_t n;

        if (!count(c, s.begin, s.end, TOKENIZER_PLAIN, &n))
            return false;
        if (n + n_special <= c->options->max_tokens)
            add_unit(c, s.begin, s.end, n);
        else if (!cut_sentence(c, s.begin, s.end))
            return false;
    }
    return true;
}

/* -- passages -------------------------------------------------------------------------------------
 */

static void add_chunk(struct chunks *chunks, struct chunk chunk)
{
    if (chunks->n == chunks->cap) {
        chunks->cap = chunks->cap ? 2 * chunks->cap : 16;
        chunks->items = memory_resize(chunks->items, chunks->cap, sizeof(*chunks->items));
    }
    chunks->items[chunks->n++] = chunk;
}

/* As many units from `first` on as fit, at least one. The sum of their tokens is a guess; what they
 * have together is what counts. */
static bool fill_chunk(struct cutter *c, size_t first, size_t *last, struct chunk *chunk)
{
    const size_t max = c->options->max_tokens;
    size_t sum = c->units[first].n_tokens, n = first + 1;
    bool grew = false, shrunk = false;

    while (n < c->n_units && sum + c->units[n].n_tokens <= max)
        sum += c->units[n++].n_tokens;
    for (;;) {
        const size_t begin = c->units[first].begin, end = c->units[n - 1].end;
        size_t n_tokens = 0;

        if (!count(c, begin, end, c->options->flags, &n_tokens))
            return false;
        if (n_tokens > max && grew)
            return true;
        if (n_tokens > max && n > first + 1) {
            n--;
            shrunk = true;
            continue;
        }
        *chunk = (struct chunk){begin, end, n_tokens};
        *last = n;
        if (shrunk || n == c->n_units)
            return true;
        n++;
        grew = true;
    }
}

/* Where the passage behind [first, last) begins: with as many of its units, but not all, as the
 * overlap holds. */
static bool begin_next(struct cutter *c, size_t first, size_t last, size_t *from)
{
    for (*from = last; last<c->n_units && * from> first + 1; --*from) {
        size_t n;

        if (c->units[*from - 1].n_tokens > c->options->overlap)
            break;
        if (!count(c, c->units[*from - 1].begin, c->units[last - 1].end, TOKENIZER_PLAIN, &n))
            return false;
        if (n > c->options->overlap)
            break;
    }
    return true;
}

static bool pack_units(struct cutter *c, struct chunks *chunks)
{
    size_t first = 0, last = 0;

    while (last < c->n_units) {
        const size_t before = last;
        struct chunk chunk = {0};

        if (!fill_chunk(c, first, &last, &chunk))
            return false;
        if (last <= before) { /* the overlap leaves no room for anything new */
            first++;
            last = before;
            continue;
        }
        add_chunk(chunks, chunk);
        if (!begin_next(c, first, last, &first))
            return false;
    }
    return true;
}

bool chunk_text(const struct chunk_options *options, struct text text, struct chunks *chunks,
                struct status *status)
{
    struct cutter c = {.options = options, .text = text, .status = status};
    bool ok;

    chunks->n = 0;
    ok = collect_units(&c) && pack_units(&c, chunks);
    free(c.units);
    tokens_release(&c.tokens);
    return ok;
}

void chunks_release(struct chunks *chunks)
{
    free(chunks->items);
    *chunks = (struct chunks){0};
}

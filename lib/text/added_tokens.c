#include "text/added_tokens.h"

#include <stdlib.h>

#include "base/memory.h"
#include "text/unicode.h"
#include "text/vocab.h"

/* The first two bytes tell most text apart from tokens, a run of [ among it. */
static void set_starts(struct added_tokens *added, struct text content)
{
    added->first[(unsigned char)content.ptr[0]] = true;
    for (size_t byte = 0; byte < 256; byte++)
        added->second[byte] =
            added->second[byte] || content.len == 1 || (unsigned char)content.ptr[1] == byte;
}

bool added_tokens_init(struct added_tokens *added, const struct added_token *tokens, size_t n,
                       struct status *status)
{
    struct text *keys = memory_zeroed(n + 1, sizeof(*keys));
    int32_t *places = memory_zeroed(n + 1, sizeof(*places));
    struct vocab_index index;
    size_t n_keys = 0;
    bool ok;

    *added = (struct added_tokens){.tokens = memory_zeroed(n + 1, sizeof(*added->tokens))};
    vocab_index_init(&index, n + 1);
    for (size_t i = 0; i < n; i++) {
        keys[n_keys] = tokens[i].content;
        if (vocab_index_add(&index, keys, (int32_t)n_keys) >= 0)
            continue;
        set_starts(added, keys[n_keys]);
        added->tokens[n_keys] = (struct added_token){{0}, tokens[i].id, tokens[i].flags};
        places[n_keys] = (int32_t)n_keys;
        n_keys++;
    }
    ok = trie_init(&added->trie, keys, places, n_keys, status);
    vocab_index_release(&index);
    free(keys);
    free(places);
    if (!ok)
        added_tokens_release(added);
    return ok;
}

void added_tokens_release(struct added_tokens *added)
{
    trie_release(&added->trie);
    free(added->tokens);
    *added = (struct added_tokens){0};
}

/* Could a token begin here? */
static bool may_begin(const struct added_tokens *added, struct text text, size_t at)
{
    return added->first[(unsigned char)text.ptr[at]] &&
           (at + 1 == text.len || added->second[(unsigned char)text.ptr[at + 1]]);
}

/* Where the character that ends at `at` > 0 begins. */
static size_t previous(struct text text, size_t at, int32_t *code_point)
{
    size_t from = at - 1;

    while (from > 0 && at - from < UNICODE_MAX_BYTES &&
           ((unsigned char)text.ptr[from] & 0xC0) == 0x80)
        from--;
    if (from + unicode_decode(text, from, code_point) == at)
        return from;
    *code_point = UNICODE_REPLACEMENT;
    return at - 1;
}

static bool is_single_word(struct text text, size_t begin, size_t end)
{
    int32_t c;

    if (begin > 0) {
        previous(text, begin, &c);
        if (unicode_is_word(c))
            return false;
    }
    if (end < text.len) {
        unicode_decode(text, end, &c);
        if (unicode_is_word(c))
            return false;
    }
    return true;
}

/* Where the white space that ends at `at` begins, but not before `floor`. */
static size_t space_begin(struct text text, size_t at, size_t floor)
{
    while (at > floor) {
        int32_t c;
        const size_t from = previous(text, at, &c);

        if (!unicode_is_space(c))
            break;
        at = from;
    }
    return at;
}

/* The end of the white space that begins at `at`. A token within what was measured before (it can
 * only be made of white space itself) does not measure again. */
static size_t space_end(struct text text, size_t at, struct added_walk *walk)
{
    if (at >= walk->space_begin && at < walk->space_end)
        return walk->space_end;
    walk->space_begin = at;
    while (at < text.len) {
        int32_t c;
        const size_t n = unicode_decode(text, at, &c);

        if (!unicode_is_space(c))
            break;
        at += n;
    }
    walk->space_end = at;
    return at;
}

/* The leftmost token from walk->scan on: its place and where it lies; -1: none. */
static int32_t search(const struct added_tokens *added, struct text text, struct added_walk *walk,
                      size_t *begin, size_t *end)
{
    for (size_t at = walk->scan; at < text.len; at++) {
        int32_t place;
        size_t len;

        if (!may_begin(added, text, at))
            continue;
        place = trie_longest(&added->trie, text, at, &len);
        if (place < 0)
            continue;
        *begin = at;
        *end = at + len;
        walk->scan = *end;
        if (!(added->tokens[place].flags & ADDED_SINGLE_WORD) || is_single_word(text, at, *end))
            return place;
        at = *end - 1;
    }
    walk->scan = text.len;
    return -1;
}

int32_t added_tokens_next(const struct added_tokens *added, struct text text,
                          struct added_walk *walk, struct text *before)
{
    size_t begin = text.len, end = text.len;
    const int32_t place = added->trie.n_slots > 0 ? search(added, text, walk, &begin, &end) : -1;
    const unsigned flags = place >= 0 ? added->tokens[place].flags : 0;

    if (place < 0)
        begin = text.len;
    if (flags & ADDED_LSTRIP)
        begin = space_begin(text, begin, walk->done);
    if (flags & ADDED_RSTRIP)
        end = space_end(text, end, walk);
    /* a token that lies in the white space another has taken leaves nothing before it */
    *before = (struct text){text.ptr + walk->done, begin > walk->done ? begin - walk->done : 0};
    walk->done = place < 0 ? text.len : end;
    return place < 0 ? -1 : added->tokens[place].id;
}

/* Short segments (words) are merged by scanning for the lowest rank again and again. Long ones need
 * a queue of candidate pairs, ordered by (rank, position):
 *
 *   heap:   chains, by the key of their first entry       rank 3 - 12  rank 7 - 4  rank 7 - 90
 *   chains: entries of one rank, positions ascending              |           |
 *                                                                18           5
 *
 * A candidate that comes behind the last one of its rank joins that chain in constant time; one
 * that comes too early begins a chain of its own. Runs of equal characters give long chains, so
 * they take linear time; text without any order takes n log n. Candidates whose symbols have been
 * merged otherwise meanwhile are recognised when their turn comes, and dropped.
 */
#include "text/bpe.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

/* All in symbols. */
enum {
    MAX_SHORT = 24, /* where both ways take the same time */
    WINDOW = 8192,  /* 20 bytes each: within the second cache */
    MARGIN = 512,   /* what a window's end may disturb */
};

#define NO_MERGE UINT32_MAX

struct bpe_symbol {
    int32_t id;         /* -1: merged into the one before */
    uint32_t next;      /* n: none */
    uint32_t prev_plus; /* previous symbol plus 1; 0: none */
};

struct bpe_entry {
    uint32_t position;
    uint32_t merge;
    uint32_t next; /* in its chain or in the list of unused entries, plus 1; 0: none */
};

struct bpe_chain {
    uint64_t key;  /* rank << 32 | position of the first entry */
    uint32_t head; /* the first entry */
};

static size_t pair_hash(const struct bpe *bpe, int32_t left, int32_t right)
{
    const uint64_t pair = (uint64_t)(uint32_t)left << 32 | (uint32_t)right;

    return (size_t)((pair * UINT64_C(0x9E3779B97F4A7C15)) >> 29) & (bpe->n_slots - 1);
}

/* The merge of a pair; NO_MERGE if there is none. */
static uint32_t find_merge(const struct bpe *bpe, int32_t left, int32_t right)
{
    size_t i = pair_hash(bpe, left, right);

    for (; bpe->slots[i] != 0; i = (i + 1) & (bpe->n_slots - 1)) {
        const uint32_t merge = bpe->slots[i] - 1;

        if (bpe->merges[merge].left == left && bpe->merges[merge].right == right)
            return merge;
    }
    return NO_MERGE;
}

/* A rank is orderly if its results take part in later merges only: so all are in a vocabulary as it
 * was trained, not so in one whose merges were guessed from its tokens. */
static void find_orderly(struct bpe *bpe)
{
    int32_t n_ids = 0;
    uint32_t *first_use; /* of each id, the lowest rank that takes it */

    for (uint32_t i = 0; i < bpe->n_merges; i++) {
        const struct bpe_merge *m = &bpe->merges[i];

        n_ids = m->left >= n_ids ? m->left + 1 : n_ids;
        n_ids = m->right >= n_ids ? m->right + 1 : n_ids;
        n_ids = m->result >= n_ids ? m->result + 1 : n_ids;
    }
    first_use = memory_zeroed((size_t)n_ids + 1, sizeof(*first_use));
    memset(first_use, 0xFF, (size_t)n_ids * sizeof(*first_use)); /* NO_MERGE: above all ranks */
    for (uint32_t i = bpe->n_merges; i-- > 0;) {
        first_use[bpe->merges[i].left] = bpe->merges[i].rank;
        first_use[bpe->merges[i].right] = bpe->merges[i].rank;
    }
    bpe->orderly = memory_zeroed(bpe->n_merges + (size_t)1, sizeof(*bpe->orderly));
    for (uint32_t i = 0; i < bpe->n_merges; i++) {
        const struct bpe_merge *m = &bpe->merges[i];
        const bool first = i == 0 || m[-1].rank != m->rank;

        bpe->orderly[m->rank] = first_use[m->result] > m->rank && (first || bpe->orderly[m->rank]);
    }
    free(first_use);
}

bool bpe_init_ranked(struct bpe *bpe, struct bpe_merge *merges, size_t n_merges,
                     struct status *status)
{
    *bpe = (struct bpe){.merges = merges, .n_merges = (uint32_t)n_merges, .n_slots = 16};
    while (bpe->n_slots < 2 * n_merges)
        bpe->n_slots *= 2;
    bpe->slots = memory_zeroed(bpe->n_slots, sizeof(*bpe->slots));
    for (uint32_t merge = 0; merge < n_merges; merge++) {
        const struct bpe_merge *m = &merges[merge];
        const uint32_t twin = find_merge(bpe, m->left, m->right);
        size_t i = pair_hash(bpe, m->left, m->right);

        if (twin != NO_MERGE) {
            bpe_release(bpe);
            return status_fail(status, STATUS_CONFIG, "merges %u and %u are the same", twin, merge);
        }
        while (bpe->slots[i] != 0)
            i = (i + 1) & (bpe->n_slots - 1);
        bpe->slots[i] = merge + 1;
    }
    find_orderly(bpe);
    return true;
}

bool bpe_init(struct bpe *bpe, struct bpe_merge *merges, size_t n_merges, struct status *status)
{
    for (size_t i = 0; i < n_merges; i++)
        merges[i].rank = (uint32_t)i;
    return bpe_init_ranked(bpe, merges, n_merges, status);
}

void bpe_release(struct bpe *bpe)
{
    free(bpe->merges);
    free(bpe->slots);
    free(bpe->orderly);
    *bpe = (struct bpe){0};
}

void bpe_scratch_release(struct bpe_scratch *scratch)
{
    free(scratch->symbols);
    free(scratch->entries);
    free(scratch->heap);
    free(scratch->merged);
    free(scratch->tails);
    *scratch = (struct bpe_scratch){0};
}

/* Does merge a go before merge b, which is further left? Merges are sorted by rank. */
static bool goes_before(const struct bpe *bpe, uint32_t a, uint32_t b)
{
    return a < b && (b == NO_MERGE || bpe->merges[a].rank < bpe->merges[b].rank);
}

static void encode_short(const struct bpe *bpe, int32_t *ids, size_t n, struct tokens *out)
{
    uint32_t merges[MAX_SHORT]; /* of the pair (i, i + 1) */

    for (size_t i = 0; i + 1 < n; i++)
        merges[i] = find_merge(bpe, ids[i], ids[i + 1]);
    while (n > 1) {
        size_t best = 0;

        for (size_t i = 1; i + 1 < n; i++) {
            if (goes_before(bpe, merges[i], merges[best]))
                best = i;
        }
        if (merges[best] == NO_MERGE)
            break;
        ids[best] = bpe->merges[merges[best]].result;
        n--;
        memmove(ids + best + 1, ids + best + 2, (n - best - 1) * sizeof(*ids));
        memmove(merges + best, merges + best + 1, (n - best - 1) * sizeof(*merges));
        if (best > 0)
            merges[best - 1] = find_merge(bpe, ids[best - 1], ids[best]);
        if (best + 1 < n)
            merges[best] = find_merge(bpe, ids[best], ids[best + 1]);
    }
    for (size_t i = 0; i < n; i++)
        tokens_push(out, ids[i]);
}

static void sift_up(struct bpe_chain *heap, size_t at)
{
    const struct bpe_chain chain = heap[at];

    while (at > 0 && chain.key < heap[(at - 1) / 2].key) {
        heap[at] = heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    heap[at] = chain;
}

static void sift_down(struct bpe_chain *heap, size_t n, size_t at)
{
    const struct bpe_chain chain = heap[at];

    for (;;) {
        size_t child = 2 * at + 1;

        if (child >= n)
            break;
        if (child + 1 < n && heap[child + 1].key < heap[child].key)
            child++;
        if (chain.key <= heap[child].key)
            break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = chain;
}

static uint32_t new_entry(struct bpe_scratch *s, uint32_t merge, uint32_t position)
{
    uint32_t entry = s->free_entry - 1;

    if (s->free_entry != 0) {
        s->free_entry = s->entries[entry].next;
    } else {
        if (s->n_entries == s->cap_entries) {
            s->cap_entries = s->cap_entries ? 2 * s->cap_entries : 256;
            s->entries = memory_resize(s->entries, s->cap_entries, sizeof(*s->entries));
        }
        entry = (uint32_t)s->n_entries++;
    }
    s->entries[entry] = (struct bpe_entry){position, merge, 0};
    return entry;
}

static void push(struct bpe_scratch *s, uint32_t merge, uint32_t rank, uint32_t position)
{
    const uint32_t entry = new_entry(s, merge, position);
    const uint32_t tail = s->tails[rank];

    s->tails[rank] = entry + 1;
    if (tail != 0 && s->entries[tail - 1].position <= position) {
        s->entries[tail - 1].next = entry + 1;
        return;
    }
    if (s->n_heap == s->cap_heap) {
        s->cap_heap = s->cap_heap ? 2 * s->cap_heap : 64;
        s->heap = memory_resize(s->heap, s->cap_heap, sizeof(*s->heap));
    }
    s->heap[s->n_heap] = (struct bpe_chain){(uint64_t)rank << 32 | position, entry};
    sift_up(s->heap, s->n_heap++);
}

/* Take the first candidate off the heap. */
static struct bpe_entry pop(struct bpe_scratch *s)
{
    const struct bpe_chain top = s->heap[0];
    const struct bpe_entry entry = s->entries[top.head];
    const uint32_t rank = (uint32_t)(top.key >> 32);

    if (entry.next != 0) {
        s->heap[0] = (struct bpe_chain){(uint64_t)rank << 32 | s->entries[entry.next - 1].position,
                                        entry.next - 1};
    } else {
        if (s->tails[rank] == top.head + 1)
            s->tails[rank] = 0;
        s->heap[0] = s->heap[--s->n_heap];
    }
    sift_down(s->heap, s->n_heap, 0);
    s->entries[top.head].next = s->free_entry;
    s->free_entry = top.head + 1;
    return entry;
}

static void push_pair(const struct bpe *bpe, struct bpe_scratch *s, uint32_t left, uint32_t right)
{
    const int32_t l = s->symbols[left].id, r = s->symbols[right].id;

    if (l != s->last_left || r != s->last_right) { /* in a run, all pairs are the same */
        s->last_left = l;
        s->last_right = r;
        s->last_merge = find_merge(bpe, l, r);
    }
    if (s->last_merge != NO_MERGE)
        push(s, s->last_merge, bpe->merges[s->last_merge].rank, left);
}

static void begin_long(const struct bpe *bpe, struct bpe_scratch *s, const int32_t *ids, size_t n)
{
    if (!s->tails)
        s->tails = memory_zeroed(bpe->n_merges + (size_t)1, sizeof(*s->tails));
    if (s->cap_symbols < n) {
        free(s->symbols);
        free(s->merged);
        s->symbols = memory_zeroed(n, sizeof(*s->symbols));
        s->merged = memory_zeroed(n / 2 + 1, sizeof(*s->merged)); /* a merge takes two symbols */
        s->cap_symbols = n;
    }
    s->n_entries = 0;
    s->free_entry = 0;
    s->n_heap = 0;
    s->n_merged = 0;
    s->last_left = -1;
    for (size_t i = 0; i < n; i++)
        s->symbols[i] = (struct bpe_symbol){ids[i], (uint32_t)i + 1, (uint32_t)i};
    for (size_t i = 0; i + 1 < n; i++)
        push_pair(bpe, s, (uint32_t)i, (uint32_t)i + 1);
}

/* Merge the candidate if its pair is still there. */
static bool merge_pair(const struct bpe *bpe, struct bpe_scratch *s, const struct bpe_entry *entry,
                       uint32_t n)
{
    struct bpe_symbol *symbol = &s->symbols[entry->position];
    const struct bpe_merge *merge = &bpe->merges[entry->merge];
    const uint32_t right = symbol->next;

    if (right == n || symbol->id != merge->left || s->symbols[right].id != merge->right)
        return false;
    symbol->id = merge->result;
    symbol->next = s->symbols[right].next;
    s->symbols[right].id = -1;
    if (symbol->next < n)
        s->symbols[symbol->next].prev_plus = entry->position + 1;
    return true;
}

/* The pairs of the symbols that were merged last, with their neighbours. Positions ascend, so where
 * two of them are neighbours, the left one has made their pair a candidate already. */
static void push_merged(const struct bpe *bpe, struct bpe_scratch *s, uint32_t n)
{
    uint32_t before_plus = 0; /* the last position plus 1 */

    for (size_t i = 0; i < s->n_merged; i++) {
        const uint32_t position = s->merged[i];
        const struct bpe_symbol *symbol = &s->symbols[position];

        if (symbol->prev_plus != 0 && symbol->prev_plus != before_plus)
            push_pair(bpe, s, symbol->prev_plus - 1, position);
        if (symbol->next < n)
            push_pair(bpe, s, position, symbol->next);
        before_plus = position + 1;
    }
    s->n_merged = 0;
}

/* All candidates of one rank are merged before their new pairs are looked at, unless a new pair
 * could come before the rest of them. */
static void merge_long(const struct bpe *bpe, struct bpe_scratch *s, const int32_t *ids, uint32_t n)
{
    begin_long(bpe, s, ids, n);
    while (s->n_heap > 0) {
        const uint64_t rank = s->heap[0].key >> 32;
        const struct bpe_entry entry = pop(s);

        if (merge_pair(bpe, s, &entry, n))
            s->merged[s->n_merged++] = entry.position;
        if (s->n_heap == 0 || s->heap[0].key >> 32 != rank || !bpe->orderly[rank])
            push_merged(bpe, s, n);
    }
}

/* Append the tokens that end within `limit` symbols; returns where the last of them ends. */
static uint32_t put_tokens(const struct bpe_scratch *s, uint32_t limit, struct tokens *out)
{
    uint32_t end = 0;

    while (end < limit && s->symbols[end].next <= limit) {
        tokens_push(out, s->symbols[end].id);
        end = s->symbols[end].next;
    }
    return end;
}

/* The window before, to be known again: a run of one character is the same window many times. */
struct window {
    size_t from;
    uint32_t size, end;
    size_t first_token, n_tokens; /* in the output */
    int32_t first, follower;      /* ids of its first token and of the one behind the cut */
};

/* Merge a window, or repeat the one before. */
static struct window next_window(const struct bpe *bpe, struct bpe_scratch *s, const int32_t *ids,
                                 size_t n, const struct window *before, struct tokens *out)
{
    const size_t from = before->from + before->end, n_before = out->n;
    const bool last = n - from <= WINDOW;
    const uint32_t size = last ? (uint32_t)(n - from) : WINDOW;
    struct window w = {
        from, size, before->end, n_before, before->n_tokens, before->first, before->follower};

    if (before->end > 0 && size == before->size && !last &&
        memcmp(ids + from, ids + before->from, size * sizeof(*ids)) == 0) {
        tokens_reserve(out, w.n_tokens);
        memcpy(out->ids + out->n, out->ids + before->first_token, w.n_tokens * sizeof(*out->ids));
        out->n += w.n_tokens;
        return w;
    }
    merge_long(bpe, s, ids + from, size);
    w.end = put_tokens(s, last ? size : size - MARGIN, out);
    w.n_tokens = out->n - n_before;
    w.first = s->symbols[0].id;
    w.follower = last ? -1 : s->symbols[w.end].id;
    return w;
}

/* A stretch that would not stay in the cache is merged in windows. Where a window's result is cut,
 * the next window begins; if its first token is the one that followed the cut before, the cut is
 * right: a boundary of the whole text's result is one that the two tokens beside it keep when they
 * are merged alone (the first merge across it would be the first there, too), and these two have
 * just kept it. Else, and that takes odd merges, false, and nothing is appended. */
static bool encode_windows(const struct bpe *bpe, struct bpe_scratch *s, const int32_t *ids,
                           size_t n, struct tokens *out)
{
    const size_t n_before = out->n;
    struct window before = {0};

    while (before.from + before.end < n) {
        const struct window w = next_window(bpe, s, ids, n, &before, out);

        if (w.end == 0 || (w.from > 0 && w.first != before.follower)) {
            out->n = n_before;
            return false;
        }
        before = w;
    }
    return true;
}

void bpe_encode(const struct bpe *bpe, struct bpe_scratch *scratch, int32_t *ids, size_t n,
                struct tokens *out)
{
    if (n <= MAX_SHORT) {
        encode_short(bpe, ids, n, out);
    } else if (n <= WINDOW || !encode_windows(bpe, scratch, ids, n, out)) {
        merge_long(bpe, scratch, ids, (uint32_t)n);
        put_tokens(scratch, (uint32_t)n, out);
    }
}

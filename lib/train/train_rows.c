#include "train/train_rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/memory.h"
#include "run/score_input.h"

/* A row while it is made. */
struct draft {
    struct tokens tokens;
    size_t first_target;
    bool was_cut; /* something was, be it of the query */
    bool ends;    /* the text is complete: an end token belongs behind it */
};

/* -- what a record says -- */

static bool draft_input(struct draft *draft, const struct train_rows_options *o,
                        const struct record *record, struct status *status)
{
    const struct score_input_options options = {
        .tokenizer = o->prompt.tokenizer,
        .completion_only = o->completion_only,
        .max_length = o->max_length,
        .truncate = o->prompt.truncate,
    };
    struct score_input input = {.tokens = draft->tokens};
    const bool ok = score_input_make(&options, record, &input, status);

    draft->tokens = input.tokens;
    draft->first_target = input.first_target;
    draft->was_cut = input.truncated > 0;
    draft->ends = !draft->was_cut && (!input.parts.is_framed || input.parts.has_completion);
    return ok;
}

/* The rationales as lines, like the texts of the data set have them. */
static bool join_rationales(const struct record *record, struct buf *lines, size_t *n,
                            struct status *status)
{
    struct text *items;
    bool found;

    if (!record_string_list(record, "rationales", &items, n, &found, status))
        return false;
    if (!found)
        return record_fail_missing(record, "rationales", status);
    for (size_t i = 0; i < *n; i++) {
        if (i > 0)
            buf_append_char(lines, '\n');
        buf_append_text(lines, items[i]);
    }
    free(items);
    return *n > 0 || record_fail(record, status, "no_target", "rationales",
                                 "the list is empty: there is nothing to learn");
}

static bool cut(struct draft *draft, const struct train_rows_options *o, struct status *status)
{
    if (draft->tokens.n <= o->max_length)
        return true;
    if (o->prompt.truncate == TRUNCATE_ERROR)
        return status_fail_record(status, "too_long", NULL,
                                  "%zu tokens, but --max-length is %zu, and --truncate error",
                                  draft->tokens.n, o->max_length);
    draft->tokens.n = o->max_length;
    draft->was_cut = true;
    draft->ends = false;
    return true;
}

/* The prompt asks for as many rationales as follow. */
static bool draft_recipe(struct draft *draft, const struct train_rows_options *o,
                         const struct record *record, struct status *status)
{
    struct recipe recipe = *o->prompt.recipe;
    struct prompt_options prompt = o->prompt;
    struct buf lines = {0};
    size_t n, truncated = 0;
    bool ok;

    if (!prompt.tokenizer)
        return status_fail_record(status, "no_tokenizer", NULL,
                                  "the model has no tokenizer: only 'tokens' can be trained on");
    ok = join_rationales(record, &lines, &n, status);
    recipe.n = (int)n;
    prompt.recipe = &recipe;
    ok = ok && prompt_make_recipe(&prompt, record, &draft->tokens, &truncated, status);
    draft->first_target = o->completion_only ? draft->tokens.n : 1;
    draft->was_cut = truncated > 0;
    draft->ends = true;
    ok = ok &&
         tokenizer_encode(prompt.tokenizer, buf_text(&lines),
                          TOKENIZER_GOES_ON | TOKENIZER_NO_ADDED, &draft->tokens, status) &&
         cut(draft, o, status);
    buf_release(&lines);
    return ok;
}

static bool has(const struct record *record, const char *member)
{
    const json_t *value = record_get(record, member);

    return value && !json_is_null(value);
}

static bool takes_recipe(const struct train_rows_options *o, const struct record *record)
{
    static const char *const others[] = {"tokens", "continuation", "completion", "text"};

    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        if (!o->recipe_only && has(record, others[i]))
            return false;
    }
    return o->recipe_only || has(record, "rationales");
}

/* -- from the draft to the arrays -- */

static bool put_end(struct draft *draft, const struct train_rows_options *o, struct status *status)
{
    struct tokens *t = &draft->tokens;

    if (o->end_id < 0 || !draft->ends)
        return true;
    if (t->n > 0 && t->ids[t->n - 1] == o->end_id)
        return true;
    tokens_push(t, o->end_id);
    return cut(draft, o, status);
}

static bool check_ids(const struct draft *draft, const struct train_rows_options *o,
                      const struct record *record, struct status *status)
{
    for (size_t i = 0; i < draft->tokens.n; i++) {
        if (draft->tokens.ids[i] >= o->vocab_size)
            return record_fail(record, status, "range", "tokens",
                               "token id %d, but the model has %d tokens", draft->tokens.ids[i],
                               o->vocab_size);
    }
    return true;
}

static void reserve(struct train_rows *rows, size_t n)
{
    if (rows->n_tokens + n > rows->cap) {
        rows->cap = rows->n_tokens + n + rows->cap / 2;
        rows->tokens = memory_resize(rows->tokens, rows->cap, sizeof(*rows->tokens));
        rows->targets = memory_resize(rows->targets, rows->cap, sizeof(*rows->targets));
    }
    if (rows->n == rows->entries_cap) {
        rows->entries_cap = rows->n + rows->n / 2 + 16;
        rows->entries = memory_resize(rows->entries, rows->entries_cap, sizeof(*rows->entries));
    }
}

/* Appends behind the last row, which does not know of it yet. Returns the number of targets. */
static int append(struct train_rows *rows, const struct draft *draft,
                  const struct train_rows_options *o)
{
    const size_t first = draft->first_target > 0 ? draft->first_target : 1;
    int n_targets = 0;

    for (size_t i = 0; i < draft->tokens.n; i++) {
        const bool is_target = i >= first && draft->tokens.ids[i] != o->masked_id;

        rows->tokens[rows->n_tokens + i] = draft->tokens.ids[i];
        rows->targets[rows->n_tokens + i] = is_target;
        n_targets += is_target;
    }
    return n_targets;
}

static size_t put_name(struct train_rows *rows, const struct record *record)
{
    const size_t at = rows->names.len;

    if (record->id.len > 0)
        buf_append_text(&rows->names, record->id);
    else
        buf_printf(&rows->names, "line %zu", record->number);
    buf_append_char(&rows->names, '\0');
    return at;
}

static bool check_room(const struct train_rows *rows, const struct train_rows_options *o,
                       struct status *status)
{
    const size_t bytes = train_rows_bytes(rows);

    if (rows->n_tokens > TRAIN_ROWS_MAX_TOKENS || (o->max_bytes > 0 && bytes > o->max_bytes))
        return status_fail(status, STATUS_MEMORY,
                           "%zu rows take %.1f MiB, more than --mem allows, and more follow",
                           rows->n, (double)bytes / (1 << 20));
    return true;
}

static bool add(struct train_rows *rows, const struct train_rows_options *o,
                const struct record *record, const struct draft *draft, struct status *status)
{
    int n_targets;

    reserve(rows, draft->tokens.n);
    n_targets = append(rows, draft, o);
    if (n_targets == 0)
        return status_fail_record(status, "no_target", NULL, "%s",
                                  draft->was_cut ? "all that would be learned was cut"
                                                 : "there is nothing to learn");
    rows->entries[rows->n] = (struct train_rows_entry){
        .first = rows->n_tokens,
        .n_tokens = (int)draft->tokens.n,
        .n_targets = n_targets,
        .key = record->key,
        .id = put_name(rows, record),
    };
    rows->n++;
    rows->n_tokens += draft->tokens.n;
    rows->n_targets += (size_t)n_targets;
    rows->n_truncated += draft->was_cut;
    if (rows->longest < (int)draft->tokens.n)
        rows->longest = (int)draft->tokens.n;
    return check_room(rows, o, status);
}

bool train_rows_add(struct train_rows *rows, const struct train_rows_options *o,
                    const struct record *record, struct status *status)
{
    struct draft draft = {0};
    const bool ok = (takes_recipe(o, record) ? draft_recipe(&draft, o, record, status)
                                             : draft_input(&draft, o, record, status)) &&
                    put_end(&draft, o, status) && check_ids(&draft, o, record, status) &&
                    add(rows, o, record, &draft, status);

    tokens_release(&draft.tokens);
    return ok;
}

void train_rows_release(struct train_rows *rows)
{
    free(rows->tokens);
    free(rows->targets);
    free(rows->entries);
    buf_release(&rows->names);
    *rows = (struct train_rows){0};
}

/* -- what training asks -- */

struct train_row train_rows_get(const struct train_rows *rows, size_t i, uint64_t seed,
                                uint64_t epoch)
{
    const struct train_rows_entry *e = &rows->entries[i];
    const uint64_t key[] = {seed, epoch, e->key};

    return (struct train_row){
        .tokens = rows->tokens + e->first,
        .n_tokens = e->n_tokens,
        .targets = rows->targets + e->first,
        .key = hash64(key, sizeof(key)),
    };
}

const char *train_rows_name(const struct train_rows *rows, size_t i)
{
    return rows->names.data + rows->entries[i].id;
}

uint64_t train_rows_hash(const struct train_rows *rows)
{
    uint64_t h = HASH_START;

    for (size_t i = 0; i < rows->n; i++) {
        const struct train_rows_entry *e = &rows->entries[i];
        const uint64_t numbers[] = {(uint64_t)e->n_tokens, e->key};

        h = hash_more(h, numbers, sizeof(numbers));
    }
    h = hash_more(h, rows->tokens, rows->n_tokens * sizeof(*rows->tokens));
    return hash_mix(hash_more(h, rows->targets, rows->n_tokens));
}

size_t train_rows_bytes(const struct train_rows *rows)
{
    return rows->cap * (sizeof(*rows->tokens) + sizeof(*rows->targets)) +
           rows->entries_cap * sizeof(*rows->entries) + rows->names.cap;
}

static int longest_first(const void *left, const void *right)
{
    const int a = *(const int *)left, b = *(const int *)right;

    return (a < b) - (a > b);
}

size_t train_rows_most(const struct train_rows *rows, size_t n)
{
    int *lengths = memory_zeroed(rows->n, sizeof(*lengths));
    size_t most = 0;

    for (size_t i = 0; i < rows->n; i++)
        lengths[i] = rows->entries[i].n_tokens;
    qsort(lengths, rows->n, sizeof(*lengths), longest_first);
    for (size_t i = 0; i < rows->n && i < n; i++)
        most += (size_t)lengths[i];
    free(lengths);
    return most;
}

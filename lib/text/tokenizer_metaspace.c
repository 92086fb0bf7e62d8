/* The Llama and Mistral family of a tokenizer.json: BPE over characters, spaces as U+2581. */
#include <stdlib.h>

#include "base/memory.h"
#include "text/tokenizer_parts.h"

static bool is_replace(const struct tokenizer_json_step *step, const char *pattern,
                       const char *content)
{
    return step->type == STEP_REPLACE && !step->is_regex && text_is(step->pattern, pattern) &&
           text_is(step->content, content);
}

/* Prepend U+2581, Replace " " by U+2581: what Metaspace does, before anything is looked at. */
bool tokenizer_is_llama_normalizer(const struct tokenizer_json *json)
{
    const struct tokenizer_json_step *steps = json->normalizers.steps;

    for (size_t i = 0; i < json->n_added; i++) {
        if (json->added[i].normalized) /* it would be looked for in the normalised text */
            return false;
    }
    return json->normalizers.n == 2 && json->pre_tokenizers.n == 0 &&
           steps[0].type == STEP_PREPEND && text_is(steps[0].content, METASPACE) &&
           is_replace(&steps[1], " ", METASPACE);
}

/* Metaspace alone, or nothing. */
static bool read_prefix(struct tokenizer *t, const struct tokenizer_json *json,
                        struct metaspace_options *options, struct status *status)
{
    const struct tokenizer_json_steps *steps = &json->pre_tokenizers;
    const struct tokenizer_json_step *step = steps->steps;

    if (tokenizer_is_llama_normalizer(json)) {
        options->escape = true;
        options->prefix = METASPACE_PREFIX;
        return true;
    }
    if (steps->n == 0)
        return true;
    if (steps->n > 1 || step->type != STEP_METASPACE || !text_is(step->content, METASPACE))
        return status_fail(status, STATUS_CONFIG,
                           "pre_tokenizer: BPE with neither ByteLevel nor Metaspace (U+2581) alone "
                           "is not known");
    options->escape = true;
    options->split = step->split;
    if (step->prepend != PREPEND_NEVER)
        options->prefix = METASPACE_PREFIX_UNLESS;
    t->prefix_once = step->prepend == PREPEND_FIRST;
    return true;
}

/* Replace, ByteFallback, Fuse and perhaps Strip; or Metaspace. */
static bool read_decoder(struct tokenizer *t, const struct tokenizer_json *json, bool *bytes,
                         struct status *status)
{
    const struct tokenizer_json_step *s = json->decoders.steps;
    const size_t n = json->decoders.n;

    *bytes = true;
    t->damage = TOKENIZER_DAMAGE_RUN;
    if (n == 1 && s->type == STEP_METASPACE && text_is(s->content, METASPACE)) {
        *bytes = false;
        t->lead = s->prepend == PREPEND_NEVER ? TOKENIZER_LEAD_KEPT : TOKENIZER_LEAD_TOKEN;
        return true;
    }
    if (n >= 3 && n <= 4 && is_replace(&s[0], METASPACE, " ") && s[1].type == STEP_BYTE_FALLBACK &&
        s[2].type == STEP_FUSE) {
        if (n == 3)
            return true;
        t->lead = TOKENIZER_LEAD_ONE;
        if (s[3].type == STEP_STRIP_TOKENS && text_is(s[3].content, " ") && s[3].start == 1 &&
            s[3].stop == 0)
            return true;
    }
    return status_fail(
        status, STATUS_CONFIG,
        "decoder: with Metaspace BPE, only Metaspace, or Replace, ByteFallback, Fuse "
        "and Strip of one space are known");
}

static bool find_merge(const struct vocab *vocab, const struct tokenizer_json_merge *from,
                       struct bpe_merge *merge, struct buf *joined)
{
    buf_reset(joined);
    buf_append_text(joined, from->left);
    buf_append_text(joined, from->right);
    merge->left = vocab_find(vocab, from->left);
    merge->right = vocab_find(vocab, from->right);
    merge->result = vocab_find(vocab, buf_text(joined));
    return merge->left >= 0 && merge->right >= 0 && merge->result >= 0;
}

static struct bpe_merge *find_merges(const struct vocab *vocab, const struct tokenizer_json *json,
                                     struct status *status)
{
    struct bpe_merge *merges = memory_zeroed(json->n_merges + 1, sizeof(*merges));
    struct buf joined = {0};
    bool ok = true;

    for (size_t i = 0; ok && i < json->n_merges; i++)
        ok = find_merge(vocab, &json->merges[i], &merges[i], &joined) ||
             status_fail(status, STATUS_CONFIG, "merge %zu is not made of two tokens and a third",
                         i);
    buf_release(&joined);
    if (ok)
        return merges;
    free(merges);
    return NULL;
}

bool tokenizer_fill_metaspace(struct tokenizer *t, const struct tokenizer_json *json,
                              struct status *status)
{
    struct metaspace_options options = {
        .byte_fallback = json->byte_fallback,
        .fuse_unknown = json->fuse_unk,
        .ignore_merges = json->ignore_merges,
        .unknown_id = json->unknown_id,
        .n_model = json->n_model,
    };
    struct bpe_merge *merges;
    bool bytes;

    if (!read_prefix(t, json, &options, status) || !read_decoder(t, json, &bytes, status))
        return false;
    merges = find_merges(&t->vocab, json, status);
    if (!merges || !metaspace_bpe_init_merges(&t->metaspace, &t->vocab, merges, json->n_merges,
                                              &options, status))
        return status_context(status, "model");
    piece_bytes_init(&t->piece_bytes, &t->vocab, bytes, -1, (struct text){"", 0});
    return true;
}

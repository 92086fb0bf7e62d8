/* Pairs -> tokens -> ragged passes -> the head's logits. */
#include "model/cross_encoder.h"

#include <stdlib.h>

#include "base/buf.h"
#include "base/memory.h"
#include "model/bert_folder.h"

struct cross_encoder {
    struct bert_folder folder;
    struct tokens tokens, types; /* of one pair */
    struct buf prompted;
};

struct cross_encoder *cross_encoder_open(const char *path, const struct backend *backend,
                                         struct device *device, struct status *status)
{
    struct cross_encoder *x = memory_zeroed(1, sizeof(*x));

    if (bert_folder_open(&x->folder, SBERT_CROSS_ENCODER, path, backend, device, status))
        return x;
    free(x);
    return NULL;
}

void cross_encoder_close(struct cross_encoder *x)
{
    if (!x)
        return;
    bert_folder_close(&x->folder);
    tokens_release(&x->tokens);
    tokens_release(&x->types);
    buf_release(&x->prompted);
    free(x);
}

int cross_encoder_n_labels(const struct cross_encoder *x)
{
    return x->folder.config.n_labels;
}

int cross_encoder_max_tokens(const struct cross_encoder *x)
{
    return x->folder.settings.max_seq_length;
}

const char *cross_encoder_name(const struct cross_encoder *x)
{
    return x->folder.name;
}

const char *cross_encoder_tokenizer(const struct cross_encoder *x)
{
    return tokenizer_source(x->folder.tokenizer);
}

const char *cross_encoder_prompt(const struct cross_encoder *x)
{
    return x->folder.settings.query_prompt;
}

/* The tokens of a pair into tokens and types, cut to what the model reads; *n is how many they
 * were. */
static bool tokenize(struct cross_encoder *x, const struct text_pair *pair, size_t *n,
                     struct status *status)
{
    const size_t most = (size_t)x->folder.settings.max_seq_length;
    struct text a = pair->a;
    size_t lengths[2];

    if (x->folder.settings.query_prompt[0]) {
        buf_reset(&x->prompted);
        buf_append_string(&x->prompted, x->folder.settings.query_prompt);
        buf_append_text(&x->prompted, a);
        a = buf_text(&x->prompted);
    }
    tokens_reset(&x->tokens);
    tokens_reset(&x->types);
    if (!tokenizer_encode_pair(x->folder.tokenizer, a, pair->b, TOKENIZER_SPECIAL, &x->tokens,
                               &x->types, lengths, status))
        return false;
    *n = x->tokens.n;
    if (*n > most)
        tokenizer_cut_pair(x->folder.tokenizer, TOKENIZER_SPECIAL, most, TOKENIZER_KEEP_HEAD,
                           lengths, &x->tokens, &x->types);
    return true;
}

/* The pairs gathered so far -> their logits; the next pass begins empty. */
static bool run_pass(struct cross_encoder *x, float *out, struct status *status)
{
    const struct batch batch = bert_pass_batch(&x->folder.pass);

    bert_pass_clear(&x->folder.pass);
    return bert_classify(x->folder.bert, &batch, out, status);
}

bool cross_encoder_score(struct cross_encoder *x, const struct text_pair *pairs, size_t n,
                         float *out, int32_t *n_tokens, struct status *status)
{
    const size_t n_labels = (size_t)x->folder.config.n_labels;
    size_t done = 0; /* pairs that have their logits */

    bert_pass_clear(&x->folder.pass);
    for (size_t i = 0; i < n; i++) {
        size_t whole;

        if (!tokenize(x, &pairs[i], &whole, status))
            return false;
        if (n_tokens)
            n_tokens[i] = whole < INT32_MAX ? (int32_t)whole : INT32_MAX;
        if (!bert_pass_fits(&x->folder.pass, x->tokens.n)) {
            if (!run_pass(x, out + done * n_labels, status))
                return false;
            done = i;
        }
        bert_pass_add(&x->folder.pass, &x->tokens, &x->types);
    }
    return done == n || run_pass(x, out + done * n_labels, status);
}

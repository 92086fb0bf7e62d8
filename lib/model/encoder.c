/* Texts -> tokens -> ragged passes -> the mean of each text's hidden states -> length 1. */
#include "model/encoder.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "formats/sbert_config.h"
#include "model/bert.h"
#include "model/model_files.h"
#include "text/tokenizer.h"

enum { PASS_ROWS = 1024, PASS_TEXTS = 64 };

struct encoder {
    int dim;
    struct sbert_config pooling;
    struct bert *bert;
    struct tokenizer *tokenizer;
    char name[96];

    /* one pass */
    int max_rows;
    struct tokens tokens;       /* of all its texts */
    int32_t *positions, *types; /* [max_rows] */
    float *hidden;              /* [max_rows][dim] */
    struct segment segments[PASS_TEXTS];
    int n_segments;
    struct tokens text_tokens; /* of one text */
};

static bool open_model(struct encoder *e, const char *path, const struct backend *backend,
                       struct device *device, struct status *status)
{
    struct model_files files;
    bool ok = false;

    if (!model_files_open(&files, path, status))
        return false;
    const struct model_config *c = &files.config;

    if (c->architecture != ARCH_BERT) {
        status_set(status, STATUS_CONFIG, "%s: is a language model ('%s'), not an encoder", path,
                   c->model_type);
        goto out;
    }
    if (c->n_labels > 0) {
        status_set(status, STATUS_CONFIG,
                   "%s: is a classifier of texts (BertForSequenceClassification), not an encoder",
                   path);
        goto out;
    }
    e->dim = c->dim;
    weights_identity(&files, path, e->name, sizeof(e->name));
    if (!sbert_config_read(&e->pooling, path, c->dim, c->max_seq_len, status))
        goto out;
    e->max_rows = e->pooling.max_seq_length > PASS_ROWS ? e->pooling.max_seq_length : PASS_ROWS;
    e->bert = bert_open(&files, backend, device, e->max_rows, PASS_TEXTS, status);
    if (!e->bert) {
        status_prefix(status, "%s", path);
        goto out;
    }
    e->tokenizer = tokenizer_open_folder(path, status);
    if (e->tokenizer && tokenizer_vocab_size(e->tokenizer) > c->vocab_size)
        status_set(status, STATUS_CONFIG,
                   "%s: the tokenizer has %d tokens, the embedding only %d rows", path,
                   tokenizer_vocab_size(e->tokenizer), c->vocab_size);
    else
        ok = e->tokenizer != NULL;
out:
    model_files_close(&files);
    return ok;
}

struct encoder *encoder_open(const char *path, const struct backend *backend, struct device *device,
                             struct status *status)
{
    struct encoder *e = memory_zeroed(1, sizeof(*e));

    if (!open_model(e, path, backend, device, status)) {
        encoder_close(e);
        return NULL;
    }
    e->positions = memory_zeroed((size_t)e->max_rows, sizeof(*e->positions));
    e->types = memory_zeroed((size_t)e->max_rows, sizeof(*e->types));
    e->hidden = memory_zeroed((size_t)e->max_rows * (size_t)e->dim, sizeof(*e->hidden));
    return e;
}

void encoder_close(struct encoder *e)
{
    if (!e)
        return;
    bert_close(e->bert);
    tokenizer_close(e->tokenizer);
    tokens_release(&e->tokens);
    tokens_release(&e->text_tokens);
    free(e->positions);
    free(e->types);
    free(e->hidden);
    free(e);
}

int encoder_dim(const struct encoder *e)
{
    return e->dim;
}

int encoder_max_tokens(const struct encoder *e)
{
    return e->pooling.max_seq_length;
}

const char *encoder_name(const struct encoder *e)
{
    return e->name;
}

/* The tokens of a text into text_tokens, cut to what the encoder reads; *n is how many they were.
 * The white space around a text is no part of it: BERT's own tokenizer drops it. */
static bool tokenize(struct encoder *e, struct text text, size_t *n, struct status *status)
{
    tokens_reset(&e->text_tokens);
    if (!tokenizer_encode(e->tokenizer, text, TOKENIZER_SPECIAL, &e->text_tokens, status))
        return false;
    *n = e->text_tokens.n;
    if (*n > (size_t)e->pooling.max_seq_length)
        tokenizer_cut(e->tokenizer, TOKENIZER_SPECIAL, (size_t)e->pooling.max_seq_length,
                      TOKENIZER_KEEP_HEAD, &e->text_tokens);
    return true;
}

static bool fits(const struct encoder *e)
{
    return e->n_segments < PASS_TEXTS && e->tokens.n + e->text_tokens.n <= (size_t)e->max_rows;
}

static void add_text(struct encoder *e)
{
    const int n = (int)e->text_tokens.n;

    e->segments[e->n_segments] = (struct segment){e->n_segments, (int)e->tokens.n, n, 0};
    e->n_segments++;
    for (int i = 0; i < n; i++) {
        e->positions[e->tokens.n] = i;
        tokens_push(&e->tokens, e->text_tokens.ids[i]);
    }
}

/* The mean of the rows, summed in double in their order; of length 1 if the model wants that. */
static void pool(const struct encoder *e, const float *rows, int n, float *out)
{
    double squares = 0, scale = 1;

    for (int j = 0; j < e->dim; j++) {
        double sum = 0;

        for (int i = 0; i < n; i++)
            sum += (double)rows[(size_t)i * (size_t)e->dim + (size_t)j];
        out[j] = (float)(sum / n);
        squares += (double)out[j] * (double)out[j];
    }
    if (e->pooling.normalize)
        scale = 1 / fmax(sqrt(squares), 1e-12);
    for (int j = 0; j < e->dim; j++)
        out[j] = (float)((double)out[j] * scale);
}

/* The texts gathered so far -> their vectors; the next pass begins empty. */
static bool pass(struct encoder *e, float *out, struct status *status)
{
    const struct batch batch = {
        .n_rows = (int)e->tokens.n,
        .tokens = e->tokens.ids,
        .positions = e->positions,
        .types = e->types,
        .n_segments = e->n_segments,
        .segments = e->segments,
    };
    const size_t dim = (size_t)e->dim;

    if (!bert_forward(e->bert, &batch, e->hidden, status))
        return false;
    for (int i = 0; i < e->n_segments; i++) {
        const struct segment *s = &e->segments[i];

        pool(e, e->hidden + (size_t)s->first_row * dim, s->n_rows, out + (size_t)i * dim);
    }
    tokens_reset(&e->tokens);
    e->n_segments = 0;
    return true;
}

bool encoder_embed(struct encoder *e, const struct text *texts, size_t n, float *out,
                   int32_t *n_tokens, struct status *status)
{
    size_t done = 0; /* texts that have their vectors */

    tokens_reset(&e->tokens);
    e->n_segments = 0;
    for (size_t i = 0; i < n; i++) {
        size_t whole;

        if (!tokenize(e, texts[i], &whole, status))
            return false;
        if (n_tokens)
            n_tokens[i] = whole < INT32_MAX ? (int32_t)whole : INT32_MAX;
        if (!fits(e)) {
            if (!pass(e, out + done * (size_t)e->dim, status))
                return false;
            done = i;
        }
        add_text(e);
    }
    return done == n || pass(e, out + done * (size_t)e->dim, status);
}

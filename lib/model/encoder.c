/* Texts -> tokens -> ragged passes -> one vector of each text's hidden states -> length 1. */
#include "model/encoder.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "model/bert_folder.h"

enum { N_ROLES = 2 };

struct encoder {
    struct bert_folder folder;
    int dim;
    struct text prompts[N_ROLES];
    int unpooled[N_ROLES]; /* rows at the beginning that the pooling leaves out */

    int first_row[BERT_PASS_TEXTS]; /* of a text's rows, the first that is pooled */
    float *hidden;                  /* [max_rows][dim] */
    double *sums;                   /* [dim] */
    struct tokens text_tokens;      /* of one text */
    struct buf prompted;
};

/* ---- opening ----------------------------------------------------------------------------- */

/* Does a special token stand behind a text: [SEP]? */
static bool closes(const struct tokenizer *tokenizer)
{
    return tokenizer_n_special(tokenizer, false) > tokenizer_n_front(tokenizer);
}

/* Prompts must leave room for a text. Where they are not pooled, the first rows are left out, as
 * many as the prompt alone has with its [CLS] (sentence-transformers counts them so too). */
static bool set_prompts(struct encoder *e, const char *path, struct status *status)
{
    e->prompts[ENCODER_QUERY] = text_of(e->folder.settings.query_prompt);
    e->prompts[ENCODER_DOCUMENT] = text_of(e->folder.settings.document_prompt);
    for (int role = 0; role < N_ROLES; role++) {
        if (e->prompts[role].len == 0)
            continue;
        tokens_reset(&e->text_tokens);
        if (!tokenizer_encode(e->folder.tokenizer, e->prompts[role], TOKENIZER_SPECIAL,
                              &e->text_tokens, status))
            return status_context(status, "%s", path);
        if (e->text_tokens.n >= (size_t)e->folder.settings.max_seq_length)
            return status_fail(status, STATUS_CONFIG,
                               "%s: a prompt of %zu tokens leaves no room for a text in %d", path,
                               e->text_tokens.n, e->folder.settings.max_seq_length);
        if (!e->folder.settings.pools_prompt)
            e->unpooled[role] = (int)e->text_tokens.n - closes(e->folder.tokenizer);
    }
    return true;
}

struct encoder *encoder_open(const char *path, const struct backend *backend, struct device *device,
                             struct status *status)
{
    struct encoder *e = memory_zeroed(1, sizeof(*e));

    if (!bert_folder_open(&e->folder, SBERT_ENCODER, path, backend, device, status) ||
        !set_prompts(e, path, status)) {
        encoder_close(e);
        return NULL;
    }
    e->dim = e->folder.config.dim;
    e->hidden = memory_zeroed((size_t)e->folder.pass.max_rows * (size_t)e->dim, sizeof(*e->hidden));
    e->sums = memory_zeroed((size_t)e->dim, sizeof(*e->sums));
    return e;
}

void encoder_close(struct encoder *e)
{
    if (!e)
        return;
    bert_folder_close(&e->folder);
    tokens_release(&e->text_tokens);
    buf_release(&e->prompted);
    free(e->hidden);
    free(e->sums);
    free(e);
}

/* ---- what it is -------------------------------------------------------------------------- */

int encoder_dim(const struct encoder *e)
{
    return e->dim;
}

int encoder_max_tokens(const struct encoder *e)
{
    return e->folder.settings.max_seq_length;
}

const char *encoder_name(const struct encoder *e)
{
    return e->folder.name;
}

enum sbert_similarity encoder_similarity(const struct encoder *e)
{
    return e->folder.settings.similarity;
}

void encoder_describe(const struct encoder *e, struct buf *out)
{
    static const char *const poolings[] = {
        [SBERT_MEAN] = "mean of the tokens",
        [SBERT_CLS] = "the first token",
        [SBERT_MAX] = "maximum of the tokens",
    };

    buf_printf(out, "%s%s, %s, %d tokens", poolings[e->folder.settings.pooling],
               e->folder.settings.normalize ? ", normalised" : "",
               e->folder.settings.similarity == SBERT_DOT ? "dot product" : "cosine",
               e->folder.settings.max_seq_length);
    if (e->prompts[ENCODER_QUERY].len > 0 || e->prompts[ENCODER_DOCUMENT].len > 0)
        buf_append_string(out, ", with its prompts");
    buf_printf(out, ", tokenizer %s", tokenizer_source(e->folder.tokenizer));
    if (!e->folder.settings.has_modules)
        buf_append_string(out, " (it has no modules.json)");
}

/* ---- pooling ----------------------------------------------------------------------------- */

/* Sums in double, row by row; of no rows, zeros. */
static void pool_mean(struct encoder *e, const float *rows, int n, float *out)
{
    const size_t dim = (size_t)e->dim;

    memset(e->sums, 0, dim * sizeof(*e->sums));
    for (int i = 0; i < n; i++, rows += dim) {
        for (size_t j = 0; j < dim; j++)
            e->sums[j] += (double)rows[j];
    }
    for (size_t j = 0; j < dim; j++)
        out[j] = (float)(e->sums[j] / (n > 0 ? n : 1));
}

static void pool_max(const struct encoder *e, const float *rows, int n, float *out)
{
    const size_t dim = (size_t)e->dim;

    for (size_t j = 0; j < dim; j++)
        out[j] = -INFINITY;
    for (int i = 0; i < n; i++, rows += dim) {
        for (size_t j = 0; j < dim; j++)
            out[j] = rows[j] > out[j] || isnan(rows[j]) ? rows[j] : out[j];
    }
}

static void normalize(float *vector, size_t dim)
{
    double squares = 0, scale;

    for (size_t j = 0; j < dim; j++)
        squares += (double)vector[j] * (double)vector[j];
    scale = 1 / fmax(sqrt(squares), 1e-12);
    for (size_t j = 0; j < dim; j++)
        vector[j] = (float)((double)vector[j] * scale);
}

/* A text's n rows; those before `first` do not count. */
static void pool(struct encoder *e, const float *rows, int first, int n, float *out)
{
    rows += (size_t)first * (size_t)e->dim;
    if (e->folder.settings.pooling == SBERT_MAX)
        pool_max(e, rows, n - first, out);
    else
        pool_mean(e, rows, n - first, out);
}

/* ---- embedding --------------------------------------------------------------------------- */

const char *encoder_tokenizer(const struct encoder *e)
{
    return tokenizer_source(e->folder.tokenizer);
}

/* The tokens of a text into text_tokens, cut to what the encoder reads; *n is how many they were.
 * The white space around a text is no part of it: BERT's own tokenizer drops it. */
static bool tokenize(struct encoder *e, struct text text, enum encoder_role role, size_t *n,
                     struct status *status)
{
    if (e->prompts[role].len > 0) {
        buf_reset(&e->prompted);
        buf_append_text(&e->prompted, e->prompts[role]);
        buf_append_text(&e->prompted, text);
        text = buf_text(&e->prompted);
    }
    tokens_reset(&e->text_tokens);
    if (!tokenizer_encode(e->folder.tokenizer, text, TOKENIZER_SPECIAL, &e->text_tokens, status))
        return false;
    *n = e->text_tokens.n;
    if (*n > (size_t)e->folder.settings.max_seq_length)
        tokenizer_cut(e->folder.tokenizer, TOKENIZER_SPECIAL,
                      (size_t)e->folder.settings.max_seq_length, TOKENIZER_KEEP_HEAD,
                      &e->text_tokens);
    return true;
}

/* One row of each text is its vector: the first that counts, or where none does the first of all.
 */
static bool take_rows(struct encoder *e, const struct batch *batch, float *out,
                      struct status *status)
{
    int32_t rows[BERT_PASS_TEXTS];

    for (int i = 0; i < batch->n_segments; i++) {
        const struct segment *s = &batch->segments[i];

        rows[i] = s->first_row + (e->first_row[i] < s->n_rows ? e->first_row[i] : 0);
    }
    return bert_forward(e->folder.bert, batch, rows, batch->n_segments, out, status);
}

static bool pool_rows(struct encoder *e, const struct batch *batch, float *out,
                      struct status *status)
{
    const size_t dim = (size_t)e->dim;

    if (!bert_forward(e->folder.bert, batch, NULL, 0, e->hidden, status))
        return false;
    for (int i = 0; i < batch->n_segments; i++) {
        const struct segment *s = &batch->segments[i];
        const int first = e->first_row[i] < s->n_rows ? e->first_row[i] : s->n_rows;

        pool(e, e->hidden + (size_t)s->first_row * dim, first, s->n_rows, out + (size_t)i * dim);
    }
    return true;
}

/* The texts gathered so far -> their vectors; the next pass begins empty. */
static bool run_pass(struct encoder *e, float *out, struct status *status)
{
    const struct batch batch = bert_pass_batch(&e->folder.pass);
    const bool cls = e->folder.settings.pooling == SBERT_CLS;

    bert_pass_clear(&e->folder.pass);
    if (!(cls ? take_rows(e, &batch, out, status) : pool_rows(e, &batch, out, status)))
        return false;
    for (int i = 0; e->folder.settings.normalize && i < batch.n_segments; i++)
        normalize(out + (size_t)i * (size_t)e->dim, (size_t)e->dim);
    return true;
}

bool encoder_embed(struct encoder *e, const struct text *texts, const enum encoder_role *roles,
                   size_t n, float *out, int32_t *n_tokens, struct status *status)
{
    size_t done = 0; /* texts that have their vectors */

    bert_pass_clear(&e->folder.pass);
    for (size_t i = 0; i < n; i++) {
        const enum encoder_role role = roles ? roles[i] : ENCODER_DOCUMENT;
        size_t whole;

        if (!tokenize(e, texts[i], role, &whole, status))
            return false;
        if (n_tokens)
            n_tokens[i] = whole < INT32_MAX ? (int32_t)whole : INT32_MAX;
        if (!bert_pass_fits(&e->folder.pass, e->text_tokens.n)) {
            if (!run_pass(e, out + done * (size_t)e->dim, status))
                return false;
            done = i;
        }
        e->first_row[e->folder.pass.n_segments] = e->unpooled[role];
        bert_pass_add(&e->folder.pass, &e->text_tokens, NULL);
    }
    return done == n || run_pass(e, out + done * (size_t)e->dim, status);
}

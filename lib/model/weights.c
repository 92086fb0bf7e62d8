#include "model/weights.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "formats/bnb_state.h"
#include "model/nf4_tensor.h"
#include "model/rope.h"
#include "model/tensor_values.h"

/* What the loading of one model needs at each tensor. */
struct loader {
    const struct model_files *files;
    const struct model_config *config;
    const struct backend *op;
    struct device *device;
    struct status *status;
    bool *used;   /* [n_entries of the files] tensors that were asked for; NULL: nobody counts */
    size_t *size; /* adds up what would be uploaded instead; NULL: uploads */
    const struct tensor_entry **at; /* the one at hand, which a failure is about; NULL: none */
};

static bool fail_shape(const struct loader *l, const struct tensor_entry *t, const char *name,
                       size_t rows, size_t cols)
{
    char has[64] = "";
    size_t n = 0;

    for (int i = 0; i < t->n_dims && n < sizeof(has); i++)
        n += (size_t)snprintf(has + n, sizeof(has) - n, "%s%zu", i ? ", " : "", t->shape[i]);
    if (rows == 1)
        return status_fail(l->status, STATUS_CONFIG, "tensor '%s': shape [%s], must be [%zu]", name,
                           has, cols);
    return status_fail(l->status, STATUS_CONFIG, "tensor '%s': shape [%s], must be [%zu, %zu]",
                       name, has, rows, cols);
}

static const struct tensor_entry *look_up(const struct loader *l, const char *name)
{
    *l->at = model_files_tensor(l->files, name);
    return *l->at;
}

/* The tensor as a view of rows x cols; a vector has one row. */
static bool find(const struct loader *l, const char *name, size_t rows, size_t cols, bool is_vector,
                 struct tensor_view *view)
{
    const struct tensor_entry *t = look_up(l, name);

    if (!t)
        return status_fail(l->status, STATUS_CONFIG, "tensor '%s' is missing", name);
    if (l->used)
        l->used[t - model_files_tensors(l->files)->entries] = true;
    if (is_vector ? t->n_dims != 1 || t->shape[0] != cols
                  : t->n_dims != 2 || t->shape[0] != rows || t->shape[1] != cols)
        return fail_shape(l, t, name, rows, cols);
    if (t->dtype == DTYPE_NONE)
        return status_fail(l->status, STATUS_CONFIG, "tensor '%s': type %s is not supported", name,
                           t->type_name);
    *view = (struct tensor_view){t->dtype, rows, cols, t->data, t->size, NULL};
    return true;
}

/* It is packed: the file's pages have served. */
static void drop(const struct loader *l, const char *name)
{
    const struct tensor_entry *t = model_files_tensor(l->files, name);

    tensor_file_drop(model_files_tensors(l->files), t->data, t->size);
}

static void format_name(char *name, size_t size, const char *format, int layer)
{
    const char *number = strstr(format, "#"); /* "#" stands for the layer's number */

    if (number)
        snprintf(name, size, "%.*s%d%s", (int)(number - format), format, layer, number + 1);
    else
        snprintf(name, size, "%s", format);
}

static bool is_layer(const char *name)
{
    return strncmp(name, "model.layers.", strlen("model.layers.")) == 0;
}

/* As bitsandbytes saved it. */
static bool find_nf4(const struct loader *l, const struct tensor_entry *t, size_t rows, size_t cols,
                     struct tensor_view *view, struct nf4_tensor *nf4)
{
    const struct tensor_file *file = model_files_tensors(l->files);

    if (l->files->quantize)
        return status_fail(l->status, STATUS_CONFIG,
                           "is quantised already, --quantize takes F32, F16 and BF16");
    l->used[t - file->entries] = true;
    return nf4_tensor_read(nf4, view, file, t, rows, cols, l->used, l->status);
}

/* The view of a linear layer's weights; *nf4 (empty before) owns what of it is not the file's. */
static bool find_linear(const struct loader *l, const char *name, size_t rows, size_t cols,
                        struct tensor_view *view, struct nf4_tensor *nf4)
{
    const struct tensor_entry *t = look_up(l, name);

    if (t && l->used && !l->files->is_gguf && bnb_state_is(model_files_tensors(l->files), t))
        return find_nf4(l, t, rows, cols, view, nf4) ||
               status_context(l->status, "tensor '%s'", name);
    if (!find(l, name, rows, cols, false, view))
        return false;
    if (l->files->quantize == QUANTIZE_OFF || !is_layer(name))
        return true;
    return nf4_tensor_quantise(nf4, view, l->files->quantize == QUANTIZE_NF4_DQ, l->status) ||
           status_context(l->status, "tensor '%s'", name);
}

/* Of a linear layer, whose quantisation is not looked into. */
static bool add_size(const struct loader *l, const char *name, size_t rows, size_t cols)
{
    const struct tensor_entry *t = model_files_tensor(l->files, name);
    const bool saved = t && !l->files->is_gguf && bnb_state_is(model_files_tensors(l->files), t);
    struct tensor_view view = {DTYPE_NF4, rows, cols, NULL, rows * cols / 2, NULL};

    if (!saved && (!l->files->quantize || !is_layer(name)) &&
        !find(l, name, rows, cols, false, &view))
        return false;
    *l->size += l->op->matrix_size(l->device, &view, true);
    return true;
}

/* Of a linear layer. */
static bool load_ordered(const struct loader *l, struct matrix **matrix, const char *format,
                         int layer, int rows, int cols, const int32_t *row_order)
{
    char name[128];
    struct tensor_view view;
    struct nf4_tensor nf4 = {0};

    format_name(name, sizeof(name), format, layer);
    if (l->size)
        return add_size(l, name, (size_t)rows, (size_t)cols);
    if (!find_linear(l, name, (size_t)rows, (size_t)cols, &view, &nf4))
        return false;
    if (tensor_values_check(&view, l->status))
        *matrix = l->op->upload_linear(l->device, &view, row_order, l->status);
    nf4_tensor_release(&nf4);
    drop(l, name);
    return *matrix || status_context(l->status, "tensor '%s'", name);
}

static bool load_matrix(const struct loader *l, struct matrix **matrix, const char *format,
                        int layer, int rows, int cols)
{
    return load_ordered(l, matrix, format, layer, rows, cols, NULL);
}

/* Of an embedding, which may be the head of a model as well. */
static bool load_table(const struct loader *l, struct matrix **matrix, const char *name, int rows,
                       int cols)
{
    struct tensor_view view;

    if (!find(l, name, (size_t)rows, (size_t)cols, false, &view))
        return false;
    if (l->size) {
        *l->size += l->op->matrix_size(l->device, &view, false);
        return true;
    }
    if (tensor_values_check(&view, l->status))
        *matrix = l->op->upload(l->device, &view, NULL, l->status);
    drop(l, name);
    return *matrix || status_context(l->status, "tensor '%s'", name);
}

/* row_order: of the elements, or NULL */
static bool load_vector_ordered(const struct loader *l, float **vector, const char *format,
                                int layer, int n, const int32_t *row_order)
{
    char name[128];
    struct tensor_view view;

    format_name(name, sizeof(name), format, layer);
    if (!find(l, name, 1, (size_t)n, true, &view))
        return false;
    if (l->size) {
        *l->size += (size_t)n * sizeof(float);
        return true;
    }
    if (tensor_values_check(&view, l->status))
        *vector = l->op->upload_vector(l->device, &view, row_order, l->status);
    return *vector || status_context(l->status, "tensor '%s'", name);
}

static bool load_vector(const struct loader *l, float **vector, const char *format, int layer,
                        int n)
{
    return load_vector_ordered(l, vector, format, layer, n, NULL);
}

/* ---- decoders ---------------------------------------------------------------------------- */

/* A linear layer of a decoder. */
struct linear {
    struct affine *affine;
    const char *weight, *bias; /* names, "#" for the layer's number */
    int rows, cols;
    int n_heads; /* rows are heads that are rotated; 0: they are not */
    bool has_bias;
};

/* The rows of q_proj or k_proj in Hugging Face's order, for the caller to free. Where the file
 * pairs them as (2i, 2i + 1), row j * head_dim/2 + i of a head is the file's row 2i + j (j = 0, 1).
 */
static int32_t *order_of_heads(const struct model_config *c, int n_heads)
{
    const int half = c->head_dim / 2, rows = n_heads * c->head_dim;
    int32_t *order = memory_zeroed((size_t)rows, sizeof(*order));

    for (int row = 0; row < rows; row++) {
        const int in_head = row % c->head_dim;

        order[row] = row - in_head + 2 * (in_head % half) + in_head / half;
    }
    return order;
}

/* config.json says which biases there are; a GGUF file just has them. */
static bool has_bias(const struct loader *l, const struct linear *linear, int layer)
{
    char name[128];

    format_name(name, sizeof(name), linear->bias, layer);
    return linear->has_bias || (l->files->is_gguf && model_files_tensor(l->files, name));
}

static bool load_linear(const struct loader *l, const struct linear *linear, int layer)
{
    const bool reorder = linear->n_heads > 0 && l->config->qk_interleaved;
    int32_t *order = reorder ? order_of_heads(l->config, linear->n_heads) : NULL;
    const bool ok =
        load_ordered(l, &linear->affine->weight, linear->weight, layer, linear->rows, linear->cols,
                     order) &&
        (!has_bias(l, linear, layer) ||
         load_vector_ordered(l, &linear->affine->bias, linear->bias, layer, linear->rows, order));

    free(order);
    return ok;
}

/* The two names of a linear layer. */
#define LLAMA_LAYER(name) "model.layers.#." name ".weight", "model.layers.#." name ".bias"

static bool load_llama_layer(const struct loader *l, struct llama_layer *w, int i)
{
    const struct model_config *c = l->config;
    const int q_dim = c->n_heads * c->head_dim, kv_dim = c->n_kv_heads * c->head_dim;
    const bool att = c->attention_bias, mlp = c->mlp_bias;
    const struct linear linears[] = {
        {&w->q_proj, LLAMA_LAYER("self_attn.q_proj"), q_dim, c->dim, c->n_heads, att},
        {&w->k_proj, LLAMA_LAYER("self_attn.k_proj"), kv_dim, c->dim, c->n_kv_heads, att},
        {&w->v_proj, LLAMA_LAYER("self_attn.v_proj"), kv_dim, c->dim, 0, att},
        {&w->o_proj, LLAMA_LAYER("self_attn.o_proj"), c->dim, q_dim, 0, att},
        {&w->gate_proj, LLAMA_LAYER("mlp.gate_proj"), c->ffn_dim, c->dim, 0, mlp},
        {&w->up_proj, LLAMA_LAYER("mlp.up_proj"), c->ffn_dim, c->dim, 0, mlp},
        {&w->down_proj, LLAMA_LAYER("mlp.down_proj"), c->dim, c->ffn_dim, 0, mlp},
    };

    if (!load_vector(l, &w->input_layernorm.weight, "model.layers.#.input_layernorm.weight", i,
                     c->dim) ||
        !load_vector(l, &w->post_attention_layernorm.weight,
                     "model.layers.#.post_attention_layernorm.weight", i, c->dim))
        return false;
    for (size_t j = 0; j < sizeof(linears) / sizeof(linears[0]); j++) {
        if (!load_linear(l, &linears[j], i))
            return false;
    }
    return true;
}

static bool load_llama(const struct loader *l, struct llama_weights *w)
{
    const struct model_config *c = l->config;

    if (!load_table(l, &w->embed_tokens, "model.embed_tokens.weight", c->vocab_size, c->dim) ||
        !load_vector(l, &w->norm.weight, "model.norm.weight", 0, c->dim))
        return false;
    for (int i = 0; i < c->n_layers; i++) {
        if (!load_llama_layer(l, &w->layers[i], i))
            return false;
    }
    if (!c->tied_embeddings)
        return load_matrix(l, &w->lm_head, "lm_head.weight", 0, c->vocab_size, c->dim);
    w->lm_head = w->embed_tokens;
    return true;
}

static bool ends_with(const char *name, const char *end)
{
    const size_t len = strlen(name), n = strlen(end);

    return len >= n && strcmp(name + len - n, end) == 0;
}

/* Two tensors of one size, a piece at a time: neither is in memory as a whole. */
static bool same_bytes(const struct loader *l, const struct tensor_entry *a,
                       const struct tensor_entry *b)
{
    const size_t most = (size_t)16 << 20;
    bool same = true;

    for (size_t at = 0, n; same && at < a->size; at += n) {
        n = a->size - at < most ? a->size - at : most;
        same = memcmp(a->data + at, b->data + at, n) == 0;
        tensor_file_drop(model_files_tensors(l->files), a->data + at, n);
        tensor_file_drop(model_files_tensors(l->files), b->data + at, n);
    }
    return same;
}

/* An output matrix beside tied embeddings says nothing new, or is no copy of them: then the
 * versions of transformers differ in which they take. */
static bool check_tied(const struct loader *l, const struct tensor_entry *head)
{
    const struct tensor_entry *embed = model_files_tensor(l->files, "model.embed_tokens.weight");

    if (embed->size == head->size && embed->dtype == head->dtype && same_bytes(l, embed, head))
        return true;
    return status_fail(l->status, STATUS_CONFIG,
                       "tensor '%s': differs from '%s', but tie_word_embeddings is true",
                       head->name, embed->name);
}

/* What a file has and no one asked for would change the model, but for frequencies that the config
 * gives as well and copies. */
static bool refuse_strangers(const struct loader *l)
{
    const struct tensor_file *file = model_files_tensors(l->files);

    for (size_t i = 0; i < file->n_entries; i++) {
        const struct tensor_entry *t = &file->entries[i];

        if (l->used[i] || ends_with(t->name, "rotary_emb.inv_freq") ||
            (l->files->is_gguf && strcmp(t->name, ROPE_FREQS) == 0))
            continue;
        *l->at = t;
        if (strcmp(t->name, "lm_head.weight") == 0 && l->config->tied_embeddings) {
            if (!check_tied(l, t))
                return false;
            continue;
        }
        return status_fail(
            l->status, STATUS_CONFIG,
            "tensor '%s': is no part of a %s of %d layers as its config describes it", t->name,
            l->config->model_type, l->config->n_layers);
    }
    return true;
}

/* What config.json says of quantisation is what the tensors say. */
static bool check_quantized(const struct loader *l)
{
    const struct tensor_file *file = model_files_tensors(l->files);
    bool any = false;

    *l->at = NULL;
    for (size_t i = 0; i < file->n_entries; i++)
        any = any || ends_with(file->entries[i].name, ".quant_state.bitsandbytes__nf4");
    if (any == l->config->quantized)
        return true;
    return status_fail(l->status, STATUS_CONFIG,
                       any ? "has quantised weights, but config.json no quantization_config"
                           : "config.json has a quantization_config, but no weight is quantised");
}

/* Which of a folder's files the failure is about. */
static bool name_file(const struct loader *l)
{
    const char *name = *l->at && !l->files->is_gguf
                           ? tensor_file_name_of(model_files_tensors(l->files), *l->at)
                           : NULL;

    return name ? status_context(l->status, "%s", name) : false;
}

bool weights_load_llama(struct llama_weights *weights, const struct model_files *files,
                        const struct backend *backend, struct device *device, struct status *status)
{
    const struct tensor_entry *at = NULL;
    struct loader l = {files, &files->config, backend, device, status, NULL, NULL, &at};
    bool ok;

    *weights = (struct llama_weights){0};
    weights->layers = memory_zeroed((size_t)files->config.n_layers, sizeof(*weights->layers));
    l.used = memory_zeroed(model_files_tensors(files)->n_entries + 1, sizeof(*l.used));
    ok = (load_llama(&l, weights) && refuse_strangers(&l) && check_quantized(&l)) || name_file(&l);
    free(l.used);
    if (!ok)
        weights_release_llama(weights, files->config.n_layers, backend, device);
    return ok;
}

bool weights_size_llama(size_t *size, const struct model_files *files,
                        const struct backend *backend, struct device *device, struct status *status)
{
    const struct tensor_entry *at = NULL;
    const struct loader l = {files, &files->config, backend, device, status, NULL, size, &at};
    struct llama_weights none = {0};
    bool ok;

    *size = 0;
    none.layers = memory_zeroed((size_t)files->config.n_layers, sizeof(*none.layers));
    ok = load_llama(&l, &none) || name_file(&l);
    free(none.layers);
    return ok;
}

void weights_release_llama(struct llama_weights *weights, int n_layers,
                           const struct backend *backend, struct device *device)
{
    for (int i = 0; weights->layers && i < n_layers; i++) {
        struct llama_layer *w = &weights->layers[i];
        const struct affine affines[] = {w->q_proj,    w->k_proj,  w->v_proj,   w->o_proj,
                                         w->gate_proj, w->up_proj, w->down_proj};

        for (size_t j = 0; j < sizeof(affines) / sizeof(affines[0]); j++) {
            backend->free_matrix(device, affines[j].weight);
            backend->free(device, affines[j].bias);
        }
        backend->free(device, w->input_layernorm.weight);
        backend->free(device, w->post_attention_layernorm.weight);
    }
    if (weights->lm_head != weights->embed_tokens)
        backend->free_matrix(device, weights->lm_head);
    backend->free_matrix(device, weights->embed_tokens);
    backend->free(device, weights->norm.weight);
    free(weights->layers);
    *weights = (struct llama_weights){0};
}

/* ---- encoders ---------------------------------------------------------------------------- */

static bool load_affine(const struct loader *l, struct affine *affine, const char *weight,
                        const char *bias, int layer, int rows, int cols)
{
    return load_matrix(l, &affine->weight, weight, layer, rows, cols) &&
           load_vector(l, &affine->bias, bias, layer, rows);
}

static bool load_norm(const struct loader *l, struct norm *norm, const char *weight,
                      const char *bias, int layer)
{
    return load_vector(l, &norm->weight, weight, layer, l->config->dim) &&
           load_vector(l, &norm->bias, bias, layer, l->config->dim);
}

/* The two names of a thing of layer i: its weight and its bias. */
#define BERT_LAYER(name) "encoder.layer.#." name ".weight", "encoder.layer.#." name ".bias", i

static bool load_bert_layer(const struct loader *l, struct bert_layer *w, int i)
{
    const int dim = l->config->dim, ffn_dim = l->config->ffn_dim;

    return load_affine(l, &w->query, BERT_LAYER("attention.self.query"), dim, dim) &&
           load_affine(l, &w->key, BERT_LAYER("attention.self.key"), dim, dim) &&
           load_affine(l, &w->value, BERT_LAYER("attention.self.value"), dim, dim) &&
           load_affine(l, &w->attention_output, BERT_LAYER("attention.output.dense"), dim, dim) &&
           load_norm(l, &w->attention_output_norm, BERT_LAYER("attention.output.LayerNorm")) &&
           load_affine(l, &w->intermediate, BERT_LAYER("intermediate.dense"), ffn_dim, dim) &&
           load_affine(l, &w->output, BERT_LAYER("output.dense"), dim, ffn_dim) &&
           load_norm(l, &w->output_norm, BERT_LAYER("output.LayerNorm"));
}

static bool load_bert(const struct loader *l, struct bert_weights *w)
{
    const struct model_config *c = l->config;

    if (!load_table(l, &w->word_embeddings, "embeddings.word_embeddings.weight", c->vocab_size,
                    c->dim) ||
        !load_table(l, &w->position_embeddings, "embeddings.position_embeddings.weight",
                    c->max_seq_len, c->dim) ||
        !load_table(l, &w->token_type_embeddings, "embeddings.token_type_embeddings.weight",
                    c->type_vocab_size, c->dim) ||
        !load_norm(l, &w->embeddings_norm, "embeddings.LayerNorm.weight",
                   "embeddings.LayerNorm.bias", 0))
        return false;
    for (int i = 0; i < c->n_layers; i++) {
        if (!load_bert_layer(l, &w->layers[i], i))
            return false;
    }
    return c->n_labels == 0 || (load_affine(l, &w->pooler, "pooler.dense.weight",
                                            "pooler.dense.bias", 0, c->dim, c->dim) &&
                                load_affine(l, &w->classifier, "classifier.weight",
                                            "classifier.bias", 0, c->n_labels, c->dim));
}

bool weights_load_bert(struct bert_weights *weights, const struct model_files *files,
                       const struct backend *backend, struct device *device, struct status *status)
{
    const struct tensor_entry *at = NULL;
    const struct loader l = {files, &files->config, backend, device, status, NULL, NULL, &at};

    *weights = (struct bert_weights){0};
    weights->layers = memory_zeroed((size_t)files->config.n_layers, sizeof(*weights->layers));
    if (load_bert(&l, weights) || name_file(&l))
        return true;
    weights_release_bert(weights, files->config.n_layers, backend, device);
    return false;
}

static void release_affine(const struct affine *affine, const struct backend *backend,
                           struct device *device)
{
    backend->free_matrix(device, affine->weight);
    backend->free(device, affine->bias);
}

void weights_release_bert(struct bert_weights *weights, int n_layers, const struct backend *backend,
                          struct device *device)
{
    for (int i = 0; weights->layers && i < n_layers; i++) {
        struct bert_layer *w = &weights->layers[i];
        const struct affine affines[] = {w->query,        w->key,   w->value, w->attention_output,
                                         w->intermediate, w->output};
        const struct norm norms[] = {w->attention_output_norm, w->output_norm};

        for (size_t j = 0; j < sizeof(affines) / sizeof(affines[0]); j++)
            release_affine(&affines[j], backend, device);
        for (size_t j = 0; j < sizeof(norms) / sizeof(norms[0]); j++) {
            backend->free(device, norms[j].weight);
            backend->free(device, norms[j].bias);
        }
    }
    backend->free_matrix(device, weights->word_embeddings);
    backend->free_matrix(device, weights->position_embeddings);
    backend->free_matrix(device, weights->token_type_embeddings);
    backend->free(device, weights->embeddings_norm.weight);
    backend->free(device, weights->embeddings_norm.bias);
    release_affine(&weights->pooler, backend, device);
    release_affine(&weights->classifier, backend, device);
    free(weights->layers);
    *weights = (struct bert_weights){0};
}

#include "model/adapter.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/hash.h"
#include "base/memory.h"
#include "formats/json_file.h"
#include "formats/model_name.h"
#include "formats/peft_config.h"
#include "formats/peft_target.h"
#include "formats/safetensors.h"
#include "model/adapter_tensor.h"

#define WEIGHTS_FILE "adapter_model.safetensors"
#define PICKLE_FILE "adapter_model.bin"
#define PREFIX "base_model.model."

enum { LINEARS_A_LAYER = 7, MAX_NAME = 160 };

/* What the loading of one adapter needs at each tensor. */
struct loader {
    const char *folder;
    const struct model *model;
    struct adapter *adapter;
    const struct peft_config *config;
    const struct tensor_file *file;
    struct peft_target *target;
    bool *used;    /* [n_entries of the file] tensors that have a home */
    uint64_t hash; /* of modules and scales */
    bool old_told; /* the warning of alphas was given */
    struct status *status;
};

/* A linear layer of the model. */
struct home {
    char path[96];
    enum peft_module kind;
    size_t in, out;
    struct adapter_linear *linear;
};

/* The i-th of them; the last is the output. */
static struct home find_home(const struct loader *l, int i)
{
    const struct model_config *c = &l->model->config;
    const size_t dim = (size_t)c->dim, ffn_dim = (size_t)c->ffn_dim;
    const size_t q_dim = (size_t)c->n_heads * (size_t)c->head_dim;
    const size_t kv_dim = (size_t)c->n_kv_heads * (size_t)c->head_dim;
    const int layer = i / LINEARS_A_LAYER;
    struct home home = {"lm_head", PEFT_OUTPUT, dim, (size_t)c->vocab_size, &l->adapter->lm_head};

    if (layer == c->n_layers)
        return home;
    struct adapter_layer *w = &l->adapter->layers[layer];
    const struct {
        const char *name;
        size_t in, out;
        struct adapter_linear *linear;
    } linears[LINEARS_A_LAYER] =
        {
            {"self_attn.q_proj", dim, q_dim, &w->q_proj},
            {"self_attn.k_proj", dim, kv_dim, &w->k_proj},
            {"self_attn.v_proj", dim, kv_dim, &w->v_proj},
            {"self_attn.o_proj", q_dim, dim, &w->o_proj},
            {"mlp.gate_proj", dim, ffn_dim, &w->gate_proj},
            {"mlp.up_proj", dim, ffn_dim, &w->up_proj},
            {"mlp.down_proj", ffn_dim, dim, &w->down_proj},
        },
      *linear = &linears[i % LINEARS_A_LAYER];

    snprintf(home.path, sizeof(home.path), "model.layers.%d.%s", layer, linear->name);
    home.kind = PEFT_LINEAR;
    home.in = linear->in;
    home.out = linear->out;
    home.linear = linear->linear;
    return home;
}

static bool fail_config(const struct loader *l)
{
    return status_context(l->status, "%s/" PEFT_CONFIG_FILE, l->folder);
}

static int count_homes(const struct loader *l)
{
    return l->model->config.n_layers * LINEARS_A_LAYER + 1;
}

static bool load_matrix(struct loader *l, const char *path, const char *part, size_t rows,
                        size_t cols, struct matrix **matrix)
{
    const struct model *m = l->model;
    const struct tensor_entry *t;
    struct tensor_view view;
    char name[MAX_NAME];

    snprintf(name, sizeof(name), PREFIX "%s.%s.weight", path, part);
    t = tensor_file_find(l->file, name);
    if (!t)
        return status_fail(l->status, STATUS_CONFIG,
                           "tensor '%s' is missing, but the adapter's config targets its module",
                           name);
    l->used[t - l->file->entries] = true;
    if (!adapter_tensor_view(t, rows, cols, &view, l->status))
        return false;
    *matrix = (strcmp(part, "lora_A") == 0 ? m->backend->upload_linear
                                           : m->backend->upload)(m->device, &view, NULL, l->status);
    return *matrix || status_context(l->status, "tensor '%s'", name);
}

static void warn_of_old_alpha(struct loader *l, const char *path, double alpha, double old_alpha)
{
    const bool same = alpha >= old_alpha && alpha <= old_alpha;

    if (same || l->old_told || l->config->peft_version) /* files say their version since 0.18 */
        return;
    l->old_told = true;
    buf_printf(&l->adapter->warnings,
               "alpha of '%s' is %g; PEFT before 0.14 made %g of the same alpha_pattern\n", path,
               alpha, old_alpha);
}

static bool load_module(struct loader *l, const struct home *home)
{
    struct adapter_linear *linear = home->linear;
    double alpha, old_alpha;

    if (!peft_target_numbers(l->target, home->path, &linear->rank, &alpha, &old_alpha, l->status))
        return fail_config(l);
    if (!load_matrix(l, home->path, "lora_A", (size_t)linear->rank, home->in, &linear->a) ||
        !load_matrix(l, home->path, "lora_B", home->out, (size_t)linear->rank, &linear->b))
        return status_context(l->status, "%s", l->adapter->source.data);
    linear->scale =
        (float)(alpha / (l->config->use_rslora ? sqrt((double)linear->rank) : linear->rank));
    l->hash = hash_more(l->hash, home->path, strlen(home->path) + 1);
    l->hash = hash_more(l->hash, &linear->scale, sizeof(linear->scale));
    warn_of_old_alpha(l, home->path, alpha, old_alpha);
    if (l->adapter->n_modules == 0 || linear->rank < l->adapter->min_rank)
        l->adapter->min_rank = linear->rank;
    if (linear->rank > l->adapter->max_rank)
        l->adapter->max_rank = linear->rank;
    l->adapter->n_modules++;
    return true;
}

static bool load_modules(struct loader *l)
{
    bool included;

    for (int i = 0; i < count_homes(l); i++) {
        const struct home home = find_home(l, i);

        if (!peft_target_includes(l->target, home.path, home.kind, &included, l->status))
            return fail_config(l);
        if (included && !load_module(l, &home))
            return false;
    }
    if (!peft_target_includes(l->target, "model.embed_tokens", PEFT_OTHER, &included, l->status))
        return fail_config(l);
    if (included)
        return status_fail(l->status, STATUS_CONFIG,
                           "%s/" PEFT_CONFIG_FILE
                           ": target_modules: has the embeddings ('model.embed_tokens'): not "
                           "supported",
                           l->folder);
    return true;
}

/* ---- tensors that are no part of it ------------------------------------------------------- */

/* PEFT saves the output's own weights, or the embeddings, with an adapter of the output. A copy of
 * what the base has anyway is passed over. */
static bool check_copy(struct loader *l, const struct tensor_entry *t, const struct matrix *matrix)
{
    const struct model *m = l->model;
    const size_t rows = (size_t)m->config.vocab_size, cols = (size_t)m->config.dim;
    /* What a file's type may round: 4 bits move the norm of the difference by a tenth. */
    const double rounding = 0.02, quantisation = 0.2;
    struct tensor_view view;
    double distance;

    if (!adapter_tensor_view(t, rows, cols, &view, l->status) ||
        !adapter_tensor_distance(t, m->backend, m->device, matrix, rows, cols, &distance,
                                 l->status))
        return false;
    if (distance > quantisation)
        return status_fail(l->status, STATUS_CONFIG,
                           "tensor '%s': differs from the base model's own: not supported",
                           t->name);
    if (distance > rounding)
        buf_printf(&l->adapter->warnings,
                   "tensor '%s': differs by %.2g %% from the base model's own, which is used\n",
                   t->name, distance * 100);
    return true;
}

static bool has(const char *name, const char *part)
{
    return strstr(name, part) != NULL;
}

/* Why a tensor has no home. */
static bool refuse(const struct loader *l, const char *name)
{
    static const struct {
        const char *part, *what;
    } kinds[] = {
        {".lora_magnitude_vector", "DoRA"},
        {".lora_embedding_", "LoRA of embeddings"},
        {".modules_to_save.", "modules that are saved whole"},
        {".original_module.", "modules that are saved whole"},
        {".token_adapter.", "embeddings of single tokens"},
        {".bias", "biases"},
    };

    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (has(name, kinds[i].part))
            return status_fail(l->status, STATUS_CONFIG, "tensor '%s': %s: not supported", name,
                               kinds[i].what);
    }
    for (int i = 0; i < count_homes(l); i++) {
        const struct home home = find_home(l, i);
        char module[MAX_NAME];

        snprintf(module, sizeof(module), PREFIX "%s.lora_", home.path);
        if (strncmp(name, module, strlen(module)) == 0)
            return status_fail(l->status, STATUS_CONFIG,
                               home.linear->a
                                   ? "tensor '%s': is neither lora_A.weight nor lora_B.weight"
                                   : "tensor '%s': the adapter's config does not target its module",
                               name);
    }
    return status_fail(l->status, STATUS_CONFIG,
                       "tensor '%s': the model (a %s of %d layers) has no such place", name,
                       l->model->config.model_type, l->model->config.n_layers);
}

static bool check_strangers(struct loader *l)
{
    const struct llama_weights *w = &l->model->weights;
    const struct {
        const char *name;
        const struct matrix *matrix;
    } copies[] = {
        {PREFIX "lm_head.base_layer.weight", w->lm_head},
        {PREFIX "lm_head.weight", w->lm_head},
        {PREFIX "model.embed_tokens.weight", w->embed_tokens},
    };

    for (size_t i = 0; i < l->file->n_entries; i++) {
        const struct tensor_entry *t = &l->file->entries[i];
        const struct matrix *copy = NULL;
        bool is_copy = false;

        if (l->used[i])
            continue;
        for (size_t k = 0; k < sizeof(copies) / sizeof(copies[0]); k++) {
            if (strcmp(t->name, copies[k].name) == 0) {
                copy = copies[k].matrix;
                is_copy = true;
            }
        }
        if (is_copy && !model_has_weights(l->model))
            continue;
        if (!(copy ? check_copy(l, t, copy) : refuse(l, t->name)))
            return status_context(l->status, "%s", l->adapter->source.data);
    }
    return true;
}

/* ---- opening ------------------------------------------------------------------------------ */

/* What would be no surprise to PEFT, but may be one to people. */
static void warn(struct loader *l)
{
    const struct peft_config *c = l->config;
    struct buf *warnings = &l->adapter->warnings;
    struct text model = text_of(l->model->name);
    bool same;

    model.len = (size_t)(strrchr(model.ptr, '@') - model.ptr);
    if (c->base_model)
        model_name_fit(model_name_of(c->base_model), model, &same);
    if (c->base_model && !same)
        buf_printf(warnings, "made for the model '%s', used with '%.*s'\n",
                   json_file_shown(c->base_model), (int)model.len, model.ptr);
    if (c->task_type && strcmp(c->task_type, "CAUSAL_LM") != 0)
        buf_printf(warnings, "made for the task '%s', used for a language model\n",
                   json_file_shown(c->task_type));
    if (c->fan_in_fan_out)
        buf_append_string(warnings, "fan_in_fan_out is true, but these are linear layers: taken as "
                                    "false, as PEFT does\n");
}

static bool load(struct loader *l)
{
    l->target = peft_target_open(l->config, l->status);
    if (!l->target)
        return fail_config(l);
    l->used = memory_zeroed(l->file->n_entries + 1, sizeof(*l->used));
    if (!load_modules(l) || !check_strangers(l))
        return false;
    if (l->adapter->n_modules == 0)
        return status_fail(l->status, STATUS_CONFIG,
                           "%s/" PEFT_CONFIG_FILE ": target_modules: no module of the model fits",
                           l->folder);
    identity_of(l->file, IDENTITY_ALL, l->hash, l->folder, l->adapter->name);
    warn(l);
    return true;
}

struct adapter *adapter_make(const char *folder, const struct peft_config *config,
                             const struct tensor_file *file, const struct model *model,
                             struct status *status)
{
    struct adapter *adapter = memory_zeroed(1, sizeof(*adapter));
    struct loader l = {.folder = folder,
                       .model = model,
                       .adapter = adapter,
                       .config = config,
                       .file = file,
                       .hash = HASH_START,
                       .status = status};
    bool ok;

    adapter->backend = model->backend;
    adapter->device = model->device;
    adapter->layers = memory_zeroed((size_t)model->config.n_layers, sizeof(*adapter->layers));
    adapter->n_layers = model->config.n_layers;
    buf_printf(&adapter->source, "%s/" WEIGHTS_FILE, folder);
    ok = load(&l);
    free(l.used);
    peft_target_close(l.target);
    if (ok)
        return adapter;
    adapter_close(adapter);
    return NULL;
}

static bool is_there(const char *folder, const char *name)
{
    struct buf path = {0};
    struct stat info;
    bool found;

    buf_printf(&path, "%s/%s", folder, name);
    found = stat(path.data, &info) == 0;
    buf_release(&path);
    return found;
}

static bool open_files(const char *folder, struct peft_config *config, struct tensor_file *file,
                       struct status *status)
{
    struct buf path = {0};
    bool ok;

    buf_printf(&path, "%s/" PEFT_CONFIG_FILE, folder);
    ok = peft_config_read(config, path.data, status);
    if (ok && !is_there(folder, WEIGHTS_FILE) && is_there(folder, PICKLE_FILE))
        ok = status_fail(status, STATUS_CONFIG,
                         "%s/" PICKLE_FILE ": not supported, as it is a program: save the adapter "
                         "as " WEIGHTS_FILE,
                         folder);
    buf_reset(&path);
    buf_printf(&path, "%s/" WEIGHTS_FILE, folder);
    ok = ok && safetensors_open(file, path.data, status);
    buf_release(&path);
    return ok;
}

struct adapter *adapter_open(const char *path, const struct model *model, struct status *status)
{
    struct peft_config config = {0};
    struct tensor_file file = {0};
    struct adapter *adapter = NULL;

    if (open_files(path, &config, &file, status))
        adapter = adapter_make(path, &config, &file, model, status);
    tensor_file_close(&file);
    peft_config_release(&config);
    return adapter;
}

static void release(const struct adapter *a, const struct adapter_linear *linear)
{
    a->backend->free_matrix(a->device, linear->a);
    a->backend->free_matrix(a->device, linear->b);
}

void adapter_close(struct adapter *a)
{
    if (!a)
        return;
    for (int i = 0; i < a->n_layers; i++) {
        const struct adapter_layer *w = &a->layers[i];
        const struct adapter_linear linears[LINEARS_A_LAYER] = {
            w->q_proj, w->k_proj, w->v_proj, w->o_proj, w->gate_proj, w->up_proj, w->down_proj};

        for (int j = 0; j < LINEARS_A_LAYER; j++)
            release(a, &linears[j]);
    }
    release(a, &a->lm_head);
    free(a->layers);
    buf_release(&a->source);
    buf_release(&a->warnings);
    free(a);
}

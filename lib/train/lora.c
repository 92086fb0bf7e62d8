#include "train/lora.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/hash.h"
#include "base/memory.h"
#include "base/rng.h"

static const struct {
    const char *name, *path;
} targets[LORA_TARGETS] = {
    [LORA_Q_PROJ] = {"q_proj", "self_attn.q_proj"},
    [LORA_K_PROJ] = {"k_proj", "self_attn.k_proj"},
    [LORA_V_PROJ] = {"v_proj", "self_attn.v_proj"},
    [LORA_O_PROJ] = {"o_proj", "self_attn.o_proj"},
    [LORA_GATE_PROJ] = {"gate_proj", "mlp.gate_proj"},
    [LORA_UP_PROJ] = {"up_proj", "mlp.up_proj"},
    [LORA_DOWN_PROJ] = {"down_proj", "mlp.down_proj"},
};

const char *lora_target_name(enum lora_target target)
{
    return targets[target].name;
}

/* The bit of a name, or of its letters before '_'; of "all" all of them; 0: none has it. */
static unsigned find_targets(const char *name, size_t len)
{
    unsigned found = len == 3 && memcmp(name, "all", 3) == 0 ? (1u << LORA_TARGETS) - 1 : 0;

    for (int t = 0; t < LORA_TARGETS; t++) {
        const char *known = targets[t].name;

        if (len > 0 && strncmp(name, known, len) == 0 && (known[len] == '\0' || known[len] == '_'))
            found |= 1u << t;
    }
    return found;
}

bool lora_targets_parse(unsigned *set, const char *list, struct status *status)
{
    *set = 0;
    for (const char *p = list; *p;) {
        const size_t len = strcspn(p, ",");
        const unsigned found = find_targets(p, len);

        if (!found)
            return status_fail(status, STATUS_USAGE,
                               "'%.64s' is not a list of q, k, v, o, gate, up, down, or all", list);
        *set |= found;
        p += len + (p[len] == ',');
    }
    return *set || status_fail(status, STATUS_USAGE, "no module is named");
}

const char *lora_target_path(enum lora_target target)
{
    return targets[target].path;
}

/* Inputs and outputs of a target. */
static void find_shape(const struct model_config *c, enum lora_target target, int *in, int *out)
{
    const int q_dim = c->n_heads * c->head_dim, kv_dim = c->n_kv_heads * c->head_dim;
    const int shapes[LORA_TARGETS][2] = {
        [LORA_Q_PROJ] = {c->dim, q_dim},         [LORA_K_PROJ] = {c->dim, kv_dim},
        [LORA_V_PROJ] = {c->dim, kv_dim},        [LORA_O_PROJ] = {q_dim, c->dim},
        [LORA_GATE_PROJ] = {c->dim, c->ffn_dim}, [LORA_UP_PROJ] = {c->dim, c->ffn_dim},
        [LORA_DOWN_PROJ] = {c->ffn_dim, c->dim},
    };

    *in = shapes[target][0];
    *out = shapes[target][1];
}

static bool check_options(const struct lora_options *o, struct status *status)
{
    if (o->rank < 1 || o->rank > LORA_MAX_RANK)
        return status_fail(status, STATUS_CONFIG, "rank %d is not in [1, %d]", o->rank,
                           LORA_MAX_RANK);
    if (!(o->alpha > 0.0f && o->alpha < INFINITY))
        return status_fail(status, STATUS_CONFIG, "alpha %g is not a number above 0",
                           (double)o->alpha);
    if (!(o->dropout >= 0.0f && o->dropout < 1.0f))
        return status_fail(status, STATUS_CONFIG, "dropout %g is not in [0, 1)",
                           (double)o->dropout);
    if (o->targets == 0 || o->targets >> LORA_TARGETS)
        return status_fail(status, STATUS_CONFIG, "no module to train");
    return true;
}

size_t lora_count(const struct model_config *c, const struct lora_options *options)
{
    size_t n = 0;

    for (enum lora_target t = 0; t < LORA_TARGETS; t++) {
        int in, out;

        find_shape(c, t, &in, &out);
        if (options->targets >> t & 1)
            n += (size_t)in + (size_t)out; /* below 2^21, as the checked config has it */
    }
    if (!checked_mul(n, (size_t)options->rank, &n) || !checked_mul(n, (size_t)c->n_layers, &n))
        return 0;
    return n;
}

static void add_modules(struct lora *lora, const struct model_config *c)
{
    const size_t rank = (size_t)lora->options.rank;
    size_t at = 0;

    lora->modules = memory_zeroed((size_t)c->n_layers * LORA_TARGETS, sizeof(*lora->modules));
    for (int layer = 0; layer < c->n_layers; layer++) {
        for (enum lora_target t = 0; t < LORA_TARGETS; t++) {
            struct lora_module *m = &lora->modules[lora->n_modules];

            if (!(lora->options.targets >> t & 1))
                continue;
            *m = (struct lora_module){.layer = layer, .target = t};
            find_shape(c, t, &m->in, &m->out);
            m->a = at;
            m->b = m->a + rank * (size_t)m->in;
            at = m->b + rank * (size_t)m->out;
            lora->n_modules++;
        }
    }
}

/* A of every module; B stays zero, so that the adapter begins as nothing. */
static void draw(struct lora *lora, uint64_t seed)
{
    static const char purpose[] = "lora";
    const uint64_t key =
        hash_mix(hash_more(hash_more(HASH_START, purpose, sizeof(purpose)), &seed, sizeof(seed)));

    for (int i = 0; i < lora->n_modules; i++) {
        const struct lora_module *m = &lora->modules[i];
        const double limit = 1 / sqrt((double)m->in);
        float *a = lora->values + m->a;

        for (size_t j = 0; j < (size_t)lora->options.rank * (size_t)m->in; j++)
            a[j] = (float)((2 * rng_uniform(key, j, (uint32_t)i) - 1) * limit);
    }
}

struct lora *lora_open(const struct model_config *config, const struct lora_options *options,
                       uint64_t seed, struct status *status)
{
    struct lora *lora;

    if (!check_options(options, status))
        return NULL;
    lora = memory_zeroed(1, sizeof(*lora));
    lora->options = *options;
    lora->scale =
        options->alpha / (options->rslora ? sqrtf((float)options->rank) : (float)options->rank);
    add_modules(lora, config);
    lora->n_values = lora_count(config, options);
    lora->values = calloc(lora->n_values, sizeof(*lora->values));
    lora->gradients = calloc(lora->n_values, sizeof(*lora->gradients));
    if (lora->n_values == 0 || !lora->values || !lora->gradients) {
        status_set(status, STATUS_MEMORY, "cannot have %zu parameters of 8 bytes", lora->n_values);
        lora_close(lora);
        return NULL;
    }
    draw(lora, seed);
    return lora;
}

void lora_close(struct lora *lora)
{
    if (!lora)
        return;
    free(lora->modules);
    free(lora->values);
    free(lora->gradients);
    free(lora);
}

#include <math.h>

#include "train/train_layers.h"

static const struct affine *affine_of(const struct train_pass *p, int layer, enum lora_target t)
{
    const struct llama_layer *w = &p->model->weights.layers[layer];
    const struct affine *const all[LORA_TARGETS] = {
        [LORA_Q_PROJ] = &w->q_proj,       [LORA_K_PROJ] = &w->k_proj,
        [LORA_V_PROJ] = &w->v_proj,       [LORA_O_PROJ] = &w->o_proj,
        [LORA_GATE_PROJ] = &w->gate_proj, [LORA_UP_PROJ] = &w->up_proj,
        [LORA_DOWN_PROJ] = &w->down_proj,
    };

    return all[t];
}

bool train_has(const struct train_pass *p, int layer, unsigned targets)
{
    for (int t = 0; t < LORA_TARGETS; t++) {
        if (targets >> t & 1 && p->modules[layer * LORA_TARGETS + t] >= 0)
            return true;
    }
    return false;
}

static struct lora_linear lora_of(const struct train_pass *p, int layer, enum lora_target t)
{
    const int i = p->modules[layer * LORA_TARGETS + (int)t];
    const struct lora_module *m = &p->lora->modules[i];
    const long drop_below = p->drops ? lrintf(p->lora->options.dropout * 65536.0f) : 0;

    return (struct lora_linear){
        .rank = p->lora->options.rank,
        .in = m->in,
        .out = m->out,
        .scale = p->lora->scale,
        .a = p->lora->values + m->a,
        .b = p->lora->values + m->b,
        .a_gradient = p->lora->gradients + m->a,
        .b_gradient = p->lora->gradients + m->b,
        .drop_below = (uint32_t)(drop_below < 65536 ? drop_below : 65535),
        .module = (uint32_t)i,
    };
}

void train_add_lora(const struct train_pass *p, struct train_activations *a, int layer,
                    enum lora_target t, float *y, const float *x)
{
    const struct model *m = p->model;

    if (train_has(p, layer, TRAIN_BIT(t))) {
        const struct lora_linear lora = lora_of(p, layer, t);

        m->backend->gradients->lora(m->device, y, a->u[t], x, &lora, &p->batch);
    }
}

void train_multiply(const struct train_pass *p, struct train_activations *a, int layer,
                    enum lora_target first, float *const y[], int n, const float *x)
{
    const struct model *m = p->model;
    struct linear_call calls[BACKEND_MAX_LINEARS] = {{0}};

    for (int i = 0; i < n; i++) {
        const struct affine *affine = affine_of(p, layer, first + (enum lora_target)i);

        calls[i] = (struct linear_call){.y = y[i], .matrix = affine->weight, .bias = affine->bias};
    }
    m->backend->linears(m->device, calls, n, x, p->batch.n_rows);
    for (int i = 0; i < n; i++)
        train_add_lora(p, a, layer, first + (enum lora_target)i, y[i], x);
}

void train_multiply_back(const struct train_pass *p, const struct train_activations *a, int layer,
                         enum lora_target first, float *const dy[], int n, float *dx,
                         const float *x)
{
    const struct model *m = p->model;
    const struct gradient_ops *op = m->backend->gradients;

    for (int i = 0; dx && i < n; i++)
        op->linear(m->device, dx, dy[i], affine_of(p, layer, first + (enum lora_target)i)->weight,
                   p->batch.n_rows, i > 0);
    for (int i = 0; i < n; i++) {
        const enum lora_target t = first + (enum lora_target)i;

        if (train_has(p, layer, TRAIN_BIT(t))) {
            const struct lora_linear lora = lora_of(p, layer, t);

            op->lora_backward(m->device, dx, dy[i], a->u[t], x, &lora, &p->batch);
        }
    }
}

/* What the golden tests of training share: the parameters that tests/golden/train.py starts from,
 * the sketches that it tells final ones by, and an adapter under training on an open model. */
#ifndef UNIT_TRAIN_GOLDEN_H
#define UNIT_TRAIN_GOLDEN_H

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "model/model.h"
#include "tests/golden/golden.h"
#include "train/adamw.h"
#include "train/train_pass.h"

enum { GOLDEN_SKETCH = 32 };

/* Word `i` of a stream: mixed() of train.py. */
static inline uint32_t golden_mixed(uint64_t stream, size_t i)
{
    uint32_t x = (uint32_t)((i + 1) * UINT64_C(2654435761) + (stream + 1) * UINT64_C(2246822519));

    x ^= x >> 16;
    x *= 2246822519u;
    x ^= x >> 13;
    x *= 3266489917u;
    return x ^ x >> 16;
}

static inline void golden_draw(float *values, size_t n, uint64_t tensor, double width)
{
    for (size_t i = 0; i < n; i++)
        values[i] = (float)(((double)golden_mixed(tensor, i) * 0x1p-31 - 1) * width);
}

/* Tensor i of an adapter: A and B of its modules in turn. */
static inline float *golden_tensor(const struct lora *lora, float *values, size_t i, size_t *n)
{
    const struct lora_module *m = &lora->modules[i / 2];

    *n = (size_t)lora->options.rank * (size_t)(i % 2 ? m->out : m->in);
    return values + (i % 2 ? m->b : m->a);
}

static inline size_t golden_n_tensors(const struct lora *lora)
{
    return 2 * (size_t)lora->n_modules;
}

/* The Frobenius norm of what differs from the tensor that was sketched, as a part of its norm. */
static inline double golden_distance(const float *values, size_t n, size_t tensor,
                                     const json_t *sketch, double norm)
{
    double sum = 0;

    for (size_t p = 0; p < GOLDEN_SKETCH; p++) {
        double here = 0;

        for (size_t i = 0; i < n; i++)
            here += golden_mixed(1000 * (tensor + 1) + p, i) & 1 ? (double)values[i]
                                                                 : -(double)values[i];
        here -= json_number_value(json_array_get(sketch, p));
        sum += here * here;
    }
    return sqrt(sum / GOLDEN_SKETCH) / norm;
}

static inline double golden_number(const json_t *row, const char *name)
{
    return json_number_value(json_object_get(row, name));
}

/* The learning rate of step i, from 0. */
static inline double golden_rate(const json_t *row, size_t i)
{
    const double share = ((double)i + 1) / fmax(1, golden_number(row, "warmup"));

    return golden_number(row, "lr") * fmin(1, share);
}

static inline unsigned golden_targets(const json_t *row)
{
    const json_t *names = json_object_get(row, "targets");
    unsigned targets = 0;

    for (size_t i = 0; i < json_array_size(names); i++) {
        for (enum lora_target t = 0; t < LORA_TARGETS; t++) {
            if (strcmp(json_string_value(json_array_get(names, i)), lora_target_name(t)) == 0)
                targets |= 1u << t;
        }
    }
    return targets;
}

struct golden_trainer {
    struct model *model;
    struct lora *lora;
    struct train_pass *pass;
};

/* The row's adapter on its model. */
static inline struct golden_trainer golden_trainer_open(const struct golden_device *d,
                                                        const char *path, const json_t *row,
                                                        bool recompute)
{
    const struct lora_options options = {.rank = (int)golden_number(row, "rank"),
                                         .alpha = (float)golden_number(row, "alpha"),
                                         .targets = golden_targets(row)};
    const struct train_pass_options sizes = {2048, recompute};
    struct golden_trainer t;
    struct status status = {0};

    t.model = model_open(path, d->backend, d->device, &status);
    golden_need(t.model != NULL, path, &status);
    t.lora = lora_open(&t.model->config, &options, 0, &status);
    golden_need(t.lora != NULL, path, &status);
    for (size_t i = 0; i < golden_n_tensors(t.lora); i++) {
        const bool drawn = i % 2 == 0 || json_is_true(json_object_get(row, "drawn_b"));
        size_t n;
        float *values = golden_tensor(t.lora, t.lora->values, i, &n);

        golden_draw(values, n, i,
                    i % 2 ? (drawn ? 0.1 : 0) : 1 / sqrt((double)t.lora->modules[i / 2].in));
    }
    t.pass = train_pass_open(t.model, t.lora, &sizes, &status);
    golden_need(t.pass != NULL, path, &status);
    return t;
}

static inline void golden_trainer_close(struct golden_trainer *t)
{
    train_pass_close(t->pass);
    lora_close(t->lora);
    model_close(t->model);
}

/* Rows of ids with targets from some token on. */
struct golden_batch {
    struct train_row rows[4];
    int n, n_targets;
};

static inline void golden_batch_add(struct golden_batch *b, const int32_t *ids, int n, int first)
{
    uint8_t *targets = memory_zeroed((size_t)n, 1);

    memset(targets + first, 1, (size_t)(n - first));
    b->rows[b->n++] = (struct train_row){ids, n, targets, 1};
    b->n_targets += n - first;
}

static inline void golden_batch_release(struct golden_batch *b)
{
    for (int i = 0; i < b->n; i++) {
        free((void *)(uintptr_t)b->rows[i].tokens);
        free((void *)(uintptr_t)b->rows[i].targets);
    }
    b->n = b->n_targets = 0;
}

/* One step of AdamW, as torch takes it: the loss of a target, and the norm of the gradients. */
static inline double golden_step(struct golden_trainer *t, struct adamw *adamw,
                                 const struct golden_batch *b, double lr, double *norm)
{
    double nll[4], sum = 0;
    struct status status = {0};

    memset(t->lora->gradients, 0, t->lora->n_values * sizeof(float));
    golden_need(
        train_pass_gradients(t->pass, b->rows, b->n, 1.0f / (float)b->n_targets, nll, &status),
        "step", &status);
    *norm = gradients_clip(t->lora->gradients, t->lora->n_values, 1);
    adamw_step(adamw, t->lora->values, t->lora->gradients, lr);
    for (int i = 0; i < b->n; i++)
        sum += nll[i];
    return sum / b->n_targets;
}

/* Inside a cmocka test: the norm of each final tensor's difference to where PEFT and torch came to
 * is at most 1e-3, and so much of the tensor's own norm. */
static inline void golden_compare_tensors(const struct golden_trainer *t, const json_t *row,
                                          double tolerance)
{
    double worst = 0, worst_norm = 0;

    for (size_t i = 0; i < golden_n_tensors(t->lora); i++) {
        const json_t *sketch = json_array_get(json_object_get(row, "sketch"), i);
        const double norm = json_number_value(json_array_get(json_object_get(row, "norm"), i));
        size_t n;
        const float *values = golden_tensor(t->lora, t->lora->values, i, &n);
        const double distance = golden_distance(values, n, i, sketch, norm);

        worst = fmax(worst, distance);
        worst_norm = fmax(worst_norm, distance * norm);
    }
    printf("# final tensors: at most %.2g away, %.2g of the own norm\n", worst_norm, worst);
    assert_true(worst_norm <= 1e-3);
    assert_true(worst <= tolerance);
}

#endif

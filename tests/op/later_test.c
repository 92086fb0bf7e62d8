/* Operations on rows may be put off until something needs them. A program of random operations on
 * parts of a few buffers, which overlap in every way, leaves the same bits whether each is waited
 * for or only the last. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/op/op_device.h"

enum { FLOATS = 24 * 64, BUFFERS = 3, STEPS = 40, PROGRAMS = 300 };

static const char *sets[OP_MAX_SETS];
static int n_sets;

struct program {
    const struct op_device *d;
    float *buffers[BUFFERS];
    float *weight;
    uint64_t key;
    size_t drawn;
};

static size_t below(struct program *p, size_t n)
{
    const float x = op_draw(p->key, p->drawn++, 1); /* in [-1, 1] */
    const size_t i = (size_t)((x + 1) / 2 * (float)n);

    return i < n ? i : n - 1;
}

/* n floats of some buffer; often all of it or its front. */
static float *some(struct program *p, size_t n)
{
    float *buffer = p->buffers[below(p, BUFFERS)];

    return below(p, 3) == 0 ? buffer + below(p, FLOATS - n + 1) : buffer;
}

/* Some operation on n rows of `dim` floats. */
static void run_one(struct program *p, int n, int dim)
{
    static const float inv_freq[] = {1, 0.5f, 0.25f, 0.125f, 1, 1, 1, 1};
    static const int32_t rows[] = {0, 2, 1};
    const struct backend *op = p->d->op;
    struct device *d = p->d->device;
    const size_t count = (size_t)n * (size_t)dim;
    int32_t positions[FLOATS / 16];
    float *y = some(p, count), *x = some(p, count);
    double sum;

    for (int i = 0; i < n; i++)
        positions[i] = (int32_t)(i + (int)below(p, 2));
    switch (below(p, 8)) {
    case 0:
        op->rmsnorm(d, y, y, p->weight, n, dim, 1e-5f);
        break;
    case 1:
        op->layernorm(d, y, y, p->weight, p->weight, n, dim, 1e-5f);
        break;
    case 2:
        op->silu_mul(d, y, y, y, count);
        break;
    case 3:
        op->gelu(d, y, count);
        break;
    case 4:
        op->rope(d, y, positions, n, dim / 16, 16, inv_freq);
        break;
    case 5:
        op->log_sum_exp(d, &sum, y, 1, dim);
        break;
    case 6:
        op->gather_rows(d, p->buffers[0], p->buffers[1], rows, 3, dim);
        break;
    default: /* of the same floats, or of others */
        if (x + count <= y || y + count <= x || x == y)
            op->add(d, y, x, count);
        else
            op->tanh(d, y, count);
    }
}

/* What the program of a key leaves in the buffers. */
static void run_program(const struct op_device *d, uint64_t key, bool waits, float *out)
{
    static const int dims[] = {16, 32, 64};
    struct program p = {.d = d, .key = key};
    float host[FLOATS];
    struct status status = {0};

    for (size_t i = 0; i < FLOATS; i++)
        host[i] = op_draw(key + 1000, i, 1);
    for (int b = 0; b < BUFFERS; b++)
        p.buffers[b] = op_upload(d, host, FLOATS);
    p.weight = op_upload(d, host, 64);
    for (int i = 0; i < STEPS; i++) {
        const int dim = dims[below(&p, 6) % 3];
        const size_t most = FLOATS / (size_t)dim;

        run_one(&p, (int)(below(&p, 2) == 0 ? most : 3 + below(&p, most - 2)), dim);
        if (waits)
            op_need(d->op->finish(d->device, &status), "finish", &status);
    }
    for (int b = 0; b < BUFFERS; b++) {
        d->op->to_host(d->device, out + b * FLOATS, p.buffers[b], FLOATS);
        d->op->free(d->device, p.buffers[b]);
    }
    d->op->free(d->device, p.weight);
    op_need(d->op->finish(d->device, &status), "finish", &status);
}

static void what_is_put_off_gives_what_waiting_gives(void **state)
{
    static float now[BUFFERS * FLOATS], later[BUFFERS * FLOATS];

    (void)state;
    for (int set = 0; set < n_sets; set++) {
        struct op_device d = op_device_open(sets[set], 1 + set % 3);

        for (uint64_t key = 0; key < PROGRAMS; key++) {
            run_program(&d, key, true, now);
            run_program(&d, key, false, later);
            if (memcmp(now, later, sizeof(now)) != 0)
                fail_msg("%s: program %d differs", sets[set], (int)key);
        }
        op_device_close(&d);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_put_off_gives_what_waiting_gives),
    };

    n_sets = op_sets(sets);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "cpu/cpu_later.h"

#include "cpu/cpu_device.h"

/* Floats an item should have, so that taking it costs little beside doing it. */
enum { ITEM_FLOATS = 8192 };

struct rows_loop {
    const struct rows_job *jobs; /* [n_jobs] */
    int n_jobs;
    size_t n, rows_an_item;
};

static void rows_item(void *context, size_t item, int thread)
{
    const struct rows_loop *loop = context;
    const size_t first = item * loop->rows_an_item, left = loop->n - first;
    const size_t end = first + (left < loop->rows_an_item ? left : loop->rows_an_item);

    (void)thread;
    for (int i = 0; i < loop->n_jobs; i++) {
        const struct rows_job *job = &loop->jobs[i];
        const size_t width = job->n / loop->n; /* 1, unless the job is of elements */

        job->run(job, first * width, end * width);
    }
}

/* n: the rows of all jobs. */
static void run_jobs(struct device *d, const struct rows_job *jobs, int n_jobs, size_t n)
{
    struct rows_loop loop = {jobs, n_jobs, n, 1};
    size_t floats = 0;

    if (n == 0)
        return;
    for (int i = 0; i < n_jobs; i++)
        floats += jobs[i].floats * (jobs[i].n / n);
    if (floats < ITEM_FLOATS)
        loop.rows_an_item = ITEM_FLOATS / floats;
    thread_pool_for(d->pool, n / loop.rows_an_item + (n % loop.rows_an_item > 0), rows_item, &loop);
}

void cpu_later_run(struct device *d)
{
    struct cpu_later *later = &d->later;

    if (later->n > 0)
        run_jobs(d, later->jobs, later->n, later->rows > 0 ? later->rows : later->jobs[0].n);
    later->n = 0;
    later->rows = 0;
}

void cpu_rows_run(struct device *d, struct rows_job *job)
{
    cpu_later_run(d);
    job->device = d;
    run_jobs(d, job, 1, job->n);
}

void cpu_loop(struct device *d, size_t n_items, thread_pool_run *run, void *context)
{
    cpu_later_run(d);
    thread_pool_for(d->pool, n_items, run, context);
}

/* ---- what may follow what ------------------------------------------------------------------ */

static bool overlap(const float *a, size_t n_a, const float *b, size_t n_b)
{
    const uintptr_t first = (uintptr_t)a, second = (uintptr_t)b;

    return a && b && first < second + n_b * sizeof(*b) && second < first + n_a * sizeof(*a);
}

/* Whether a thread that has row i of one has row i of the other: they are the same, or apart. */
static bool go_together(const float *a, size_t n_a, const float *b, size_t n_b)
{
    return (a == b && n_a == n_b) || !overlap(a, n_a, b, n_b);
}

/* Whether rows of `next` need nothing but the same rows of `job`, and `job` nothing of `next`. */
static bool may_follow(const struct rows_job *job, const struct rows_job *next)
{
    const size_t a = job->n * job->floats, b = next->n * next->floats;

    return go_together(job->y, a, next->y, b) && go_together(job->y, a, next->x, b) &&
           go_together(job->y, a, next->x2, b) && go_together(job->x, a, next->y, b) &&
           go_together(job->x2, a, next->y, b);
}

/* The rows of all when `job` comes to what is put off; false: it must be run first. */
static bool rows_with(const struct cpu_later *later, const struct rows_job *job, size_t *rows)
{
    *rows = job->of_elements ? later->rows : job->n;
    if (later->n == CPU_LATER_MOST || (later->rows > 0 && *rows != later->rows))
        return false;
    for (int i = 0; i < later->n; i++) {
        if (!may_follow(&later->jobs[i], job))
            return false;
        if (*rows > 0 ? later->jobs[i].n % *rows != 0 : later->jobs[i].n != job->n)
            return false;
    }
    return *rows == 0 || job->n % *rows == 0;
}

void cpu_later_add(struct device *d, const struct rows_job *job)
{
    struct cpu_later *later = &d->later;
    size_t rows;

    if (job->n == 0)
        return;
    if (!rows_with(later, job, &rows)) {
        cpu_later_run(d);
        rows = job->of_elements ? 0 : job->n;
    }
    later->rows = rows;
    later->jobs[later->n] = *job;
    later->jobs[later->n++].device = d;
}

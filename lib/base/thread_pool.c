/* The caller publishes a loop, wakes the workers, takes items itself, and waits for the last one.
 *
 * Workers sleep on a condition between loops after a short spin: a forward pass publishes hundreds
 * of loops a second, and a futex round trip for each would cost more than many of them. The spin is
 * bounded by time on the processor (some microseconds), so that a machine under a quota does not
 * burn it. */
#include "base/thread_pool.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

enum { SPINS = 2000 };

struct worker {
    struct thread_pool *pool;
    pthread_t thread;
    int number; /* 1 .. n_threads - 1; 0 is the caller */
};

struct thread_pool {
    int n_threads;
    struct worker *workers; /* [n_threads - 1] */
    int n_started;

    pthread_mutex_t mutex;
    pthread_cond_t published; /* a new loop, or the end */
    pthread_cond_t finished;  /* the last worker has left the loop */
    bool closing;

    /* the loop at hand; written under the mutex while no worker is inside */
    thread_pool_run *run;
    void *context;
    size_t n_items;
    atomic_size_t next_item;
    atomic_uint generation; /* counts loops */
    atomic_int n_inside;    /* workers that have not yet left this loop */
};

static void take_items(struct thread_pool *pool, int thread)
{
    for (;;) {
        const size_t item = atomic_fetch_add_explicit(&pool->next_item, 1, memory_order_relaxed);

        if (item >= pool->n_items)
            return;
        pool->run(pool->context, item, thread);
    }
}

static void pause_briefly(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

/* Waits for a loop after `seen`; false at the end of the pool. */
static bool wait_for_loop(struct thread_pool *pool, unsigned *seen)
{
    bool closing;

    for (int i = 0; i < SPINS; i++) {
        if (atomic_load_explicit(&pool->generation, memory_order_acquire) != *seen)
            break;
        pause_briefly();
    }
    pthread_mutex_lock(&pool->mutex);
    while (atomic_load(&pool->generation) == *seen && !pool->closing)
        pthread_cond_wait(&pool->published, &pool->mutex);
    closing = pool->closing;
    *seen = atomic_load(&pool->generation);
    pthread_mutex_unlock(&pool->mutex);
    return !closing;
}

static void *work(void *argument)
{
    struct worker *worker = argument;
    struct thread_pool *pool = worker->pool;
    unsigned seen = 0;

    while (wait_for_loop(pool, &seen)) {
        take_items(pool, worker->number);
        if (atomic_fetch_sub_explicit(&pool->n_inside, 1, memory_order_acq_rel) == 1) {
            pthread_mutex_lock(&pool->mutex);
            pthread_cond_signal(&pool->finished);
            pthread_mutex_unlock(&pool->mutex);
        }
    }
    return NULL;
}

static void wait_for_workers(struct thread_pool *pool)
{
    for (int i = 0; i < SPINS; i++) {
        if (atomic_load_explicit(&pool->n_inside, memory_order_acquire) == 0)
            return;
        pause_briefly();
    }
    pthread_mutex_lock(&pool->mutex);
    while (atomic_load_explicit(&pool->n_inside, memory_order_acquire) != 0)
        pthread_cond_wait(&pool->finished, &pool->mutex);
    pthread_mutex_unlock(&pool->mutex);
}

void thread_pool_for(struct thread_pool *pool, size_t n_items, thread_pool_run *run, void *context)
{
    if (pool->n_threads == 1 || n_items == 1) {
        for (size_t item = 0; item < n_items; item++)
            run(context, item, 0);
        return;
    }
    if (n_items == 0)
        return;
    pthread_mutex_lock(&pool->mutex);
    pool->run = run;
    pool->context = context;
    pool->n_items = n_items;
    atomic_store(&pool->next_item, 0);
    atomic_store(&pool->n_inside, pool->n_threads - 1);
    atomic_fetch_add_explicit(&pool->generation, 1, memory_order_release);
    pthread_cond_broadcast(&pool->published);
    pthread_mutex_unlock(&pool->mutex);
    take_items(pool, 0);
    wait_for_workers(pool);
}

/* Signals are for the thread that reads and writes: workers are born with all of them blocked. */
static int start_worker(struct worker *worker)
{
    sigset_t all, before;
    int error;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    error = pthread_create(&worker->thread, NULL, work, worker);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}

struct thread_pool *thread_pool_open(int n_threads, struct status *status)
{
    struct thread_pool *pool = memory_zeroed(1, sizeof(*pool));

    pool->n_threads = n_threads;
    pool->workers = memory_zeroed((size_t)n_threads, sizeof(*pool->workers));
    pthread_mutex_init(&pool->mutex, NULL);
    pthread_cond_init(&pool->published, NULL);
    pthread_cond_init(&pool->finished, NULL);
    for (int i = 0; i < n_threads - 1; i++) {
        struct worker *worker = &pool->workers[i];
        int error;

        *worker = (struct worker){.pool = pool, .number = i + 1};
        error = start_worker(worker);
        if (error) {
            status_set(status, STATUS_MEMORY, "cannot start thread %d of %d: %s", i + 2, n_threads,
                       strerror(error));
            thread_pool_close(pool);
            return NULL;
        }
        pool->n_started++;
    }
    return pool;
}

void thread_pool_close(struct thread_pool *pool)
{
    if (!pool)
        return;
    pthread_mutex_lock(&pool->mutex);
    pool->closing = true;
    pthread_cond_broadcast(&pool->published);
    pthread_mutex_unlock(&pool->mutex);
    for (int i = 0; i < pool->n_started; i++)
        pthread_join(pool->workers[i].thread, NULL);
    pthread_cond_destroy(&pool->finished);
    pthread_cond_destroy(&pool->published);
    pthread_mutex_destroy(&pool->mutex);
    free(pool->workers);
    free(pool);
}

int thread_pool_size(const struct thread_pool *pool)
{
    return pool->n_threads;
}

/* The caller publishes a loop, takes items itself, and waits until all are done.
 *
 * Each thread has a share of the items, one piece of them in order, and takes these first: loops
 * over the same rows find them in the cache of the thread that wrote them. When its own are gone it
 * takes from the others' shares.
 *
 * A share's ticket holds in one word a number and the next item. Even numbers are loops, the odd
 * number before one says that it is being written. An item is taken by counting the ticket up,
 * which fails once the loop is over. So nobody waits for a worker that has not come: a machine with
 * more to do than processors still finishes a loop with the threads that run.
 *
 * Workers sleep on a condition between loops after a short spin: a forward pass publishes thousands
 * of loops a second, and a futex round trip for each would cost more than many of them. The spin is
 * bounded (some ten microseconds), so that a machine under a quota does not burn it. */
#include "base/thread_pool.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

enum { SPINS = 1000, ITEM_BITS = 32, CACHE_LINE = 64 };

/* In a line of its own: the other threads leave it in peace until their shares are gone. */
struct share {
    _Atomic uint64_t ticket; /* number << ITEM_BITS | next item */
    char rest[CACHE_LINE - sizeof(uint64_t)];
};

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
    pthread_cond_t finished;  /* the last item is done */
    bool closing;             /* under the mutex */
    atomic_int n_asleep;      /* workers that wait for `published` */
    atomic_bool caller_waits; /* for `finished` */

    /* The loop at hand. They are read after a ticket and before it is counted up, and written while
     * all numbers are odd: when the count succeeds, what was read belongs to the ticket's loop. */
    _Atomic(thread_pool_run *) run;
    _Atomic(void *) context;
    atomic_size_t n_items;
    struct share *shares; /* [n_threads] */
    char rest[CACHE_LINE];
    atomic_size_t n_done;
};

static uint32_t loop_of(uint64_t ticket)
{
    return (uint32_t)(ticket >> ITEM_BITS);
}

/* The first item of a thread's share; of the one behind the last, the end of all. */
static size_t share_begin(size_t n_items, int n_threads, int thread)
{
    const size_t each = n_items / (size_t)n_threads, left = n_items % (size_t)n_threads;

    return each * (size_t)thread + ((size_t)thread < left ? (size_t)thread : left);
}

static void count_done(struct thread_pool *pool, size_t n, size_t n_items)
{
    if (atomic_fetch_add(&pool->n_done, n) + n < n_items || !atomic_load(&pool->caller_waits))
        return;
    pthread_mutex_lock(&pool->mutex);
    pthread_cond_signal(&pool->finished);
    pthread_mutex_unlock(&pool->mutex);
}

/* Items of this loop from `owner`'s share until there are none. */
static void take_share(struct thread_pool *pool, uint32_t loop, int owner, int thread)
{
    struct share *share = &pool->shares[owner];
    uint64_t ticket = atomic_load(&share->ticket);
    size_t n_items = 0, n_taken = 0;

    while (loop_of(ticket) == loop && loop % 2 == 0) {
        thread_pool_run *run = atomic_load_explicit(&pool->run, memory_order_acquire);
        void *context = atomic_load_explicit(&pool->context, memory_order_acquire);
        const size_t n = atomic_load_explicit(&pool->n_items, memory_order_acquire);
        const uint32_t item = (uint32_t)ticket;

        if (item >= share_begin(n, pool->n_threads, owner + 1))
            break;
        if (!atomic_compare_exchange_weak(&share->ticket, &ticket, ticket + 1))
            continue;
        run(context, item, thread);
        n_items = n;
        n_taken++;
        ticket = atomic_load(&share->ticket);
    }
    if (n_taken > 0)
        count_done(pool, n_taken, n_items);
}

/* Its own share, then what the others have left. */
static void take_items(struct thread_pool *pool, uint32_t loop, int thread)
{
    for (int i = 0; i < pool->n_threads; i++)
        take_share(pool, loop, (thread + i) % pool->n_threads, thread);
}

static void pause_briefly(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

/* The number that a thread's share is at. */
static uint32_t loop_at(struct thread_pool *pool, int thread)
{
    return loop_of(atomic_load(&pool->shares[thread].ticket));
}

/* Waits for a loop after `seen`; false at the end of the pool. */
static bool wait_for_loop(struct worker *worker, uint32_t *seen)
{
    struct thread_pool *pool = worker->pool;
    bool closing = false;

    for (int i = 0; i < SPINS && loop_at(pool, worker->number) == *seen; i++)
        pause_briefly();
    if (loop_at(pool, worker->number) == *seen) {
        pthread_mutex_lock(&pool->mutex);
        atomic_fetch_add(&pool->n_asleep, 1); /* before the look at the ticket: see publish */
        while (loop_at(pool, worker->number) == *seen && !pool->closing)
            pthread_cond_wait(&pool->published, &pool->mutex);
        atomic_fetch_sub(&pool->n_asleep, 1);
        closing = pool->closing;
        pthread_mutex_unlock(&pool->mutex);
    }
    *seen = loop_at(pool, worker->number);
    return !closing;
}

static void *work(void *argument)
{
    struct worker *worker = argument;
    uint32_t seen = 0;

    while (wait_for_loop(worker, &seen))
        take_items(worker->pool, seen, worker->number);
    return NULL;
}

/* Makes a loop the one at hand. A worker that falls asleep counts itself and then looks at its
 * ticket; here the ticket is set and then the count read: one of the two sees the other. */
static uint32_t publish(struct thread_pool *pool, size_t n_items, thread_pool_run *run,
                        void *context)
{
    const uint32_t loop = loop_at(pool, 0) + 2;

    for (int i = 0; i < pool->n_threads; i++)
        atomic_store(&pool->shares[i].ticket, (uint64_t)(loop - 1) << ITEM_BITS);
    atomic_store_explicit(&pool->run, run, memory_order_release);
    atomic_store_explicit(&pool->context, context, memory_order_release);
    atomic_store_explicit(&pool->n_items, n_items, memory_order_release);
    atomic_store_explicit(&pool->n_done, 0, memory_order_relaxed);
    for (int i = 0; i < pool->n_threads; i++)
        atomic_store(&pool->shares[i].ticket,
                     (uint64_t)loop << ITEM_BITS | share_begin(n_items, pool->n_threads, i));
    if (atomic_load(&pool->n_asleep) > 0) {
        pthread_mutex_lock(&pool->mutex);
        pthread_cond_broadcast(&pool->published);
        pthread_mutex_unlock(&pool->mutex);
    }
    return loop;
}

static void wait_for_items(struct thread_pool *pool, size_t n_items)
{
    for (int i = 0; i < SPINS; i++) {
        if (atomic_load(&pool->n_done) == n_items)
            return;
        pause_briefly();
    }
    pthread_mutex_lock(&pool->mutex);
    atomic_store(&pool->caller_waits, true); /* before the look at n_done: see finish_item */
    while (atomic_load(&pool->n_done) != n_items)
        pthread_cond_wait(&pool->finished, &pool->mutex);
    atomic_store(&pool->caller_waits, false);
    pthread_mutex_unlock(&pool->mutex);
}

void thread_pool_for(struct thread_pool *pool, size_t n_items, thread_pool_run *run, void *context)
{
    assert(n_items <= UINT32_MAX);
    if (pool->n_threads == 1 || n_items <= 1) {
        for (size_t item = 0; item < n_items; item++)
            run(context, item, 0);
        return;
    }
    take_items(pool, publish(pool, n_items, run, context), 0);
    wait_for_items(pool, n_items);
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
    pool->shares = memory_zeroed((size_t)n_threads, sizeof(*pool->shares));
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
    free(pool->shares);
    free(pool->workers);
    free(pool);
}

int thread_pool_size(const struct thread_pool *pool)
{
    return pool->n_threads;
}

/* Many short loops of all sizes: no item is lost, run twice, or run with another loop's context. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/thread_pool.h"

enum { MAX_ITEMS = 64, N_LOOPS = 30000, MAX_THREADS = 4 };

struct loop {
    size_t n_items;
    int n_threads;
    atomic_int n_run[MAX_ITEMS];
    atomic_int n_strays; /* items or threads that are not of this loop */
};

static void count(void *context, size_t item, int thread)
{
    struct loop *loop = context;

    if (item >= loop->n_items || thread < 0 || thread >= loop->n_threads)
        atomic_fetch_add(&loop->n_strays, 1);
    else
        atomic_fetch_add(&loop->n_run[item], 1);
}

static void every_item_of_many_short_loops_runs_once(void **state)
{
    static struct loop loops[2]; /* by turns, so that a late worker finds another context */

    (void)state;
    for (int n_threads = 1; n_threads <= MAX_THREADS; n_threads++) {
        struct status status = {0};
        struct thread_pool *pool = thread_pool_open(n_threads, &status);

        assert_non_null(pool);
        for (int i = 0; i < N_LOOPS; i++) {
            struct loop *loop = &loops[i % 2];

            loop->n_threads = n_threads;
            loop->n_items = (size_t)(i % 2 ? MAX_ITEMS - i % 5 : i % 4); /* large after small */
            for (int j = 0; j < MAX_ITEMS; j++)
                atomic_store(&loop->n_run[j], 0);
            thread_pool_for(pool, loop->n_items, count, loop);
            for (size_t j = 0; j < MAX_ITEMS; j++)
                assert_int_equal(atomic_load(&loop->n_run[j]), j < loop->n_items);
            assert_int_equal(atomic_load(&loop->n_strays), 0);
        }
        thread_pool_close(pool);
    }
}

static void closes_while_its_workers_sleep_or_have_never_worked(void **state)
{
    (void)state;
    for (int i = 0; i < 50; i++) {
        struct status status = {0};
        struct thread_pool *pool = thread_pool_open(MAX_THREADS, &status);

        assert_non_null(pool);
        assert_int_equal(thread_pool_size(pool), MAX_THREADS);
        thread_pool_close(pool);
    }
    thread_pool_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_item_of_many_short_loops_runs_once),
        cmocka_unit_test(closes_while_its_workers_sleep_or_have_never_worked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

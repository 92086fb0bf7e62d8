/* Worker threads that share the items of one loop at a time. Each begins with a piece of them of
 * its own, in order, so that loops over the same rows find them in the cache of the thread that had
 * them.
 *
 * Which thread runs which item is not fixed, so an item must write only what is its own, in an
 * order of its own: then the result does not depend on the number of threads.
 */
#ifndef BASE_THREAD_POOL_H
#define BASE_THREAD_POOL_H

#include <stddef.h>

#include "base/status.h"

struct thread_pool;

/* n_threads >= 1, the caller included; NULL and a status when threads cannot be had. */
struct thread_pool *thread_pool_open(int n_threads, struct status *status) MUST_CHECK;
void thread_pool_close(struct thread_pool *pool); /* NULL allowed */
int thread_pool_size(const struct thread_pool *pool);

/* run(context, item, thread) once for each item in [0, n_items); thread in [0, n_threads) names the
 * scratch space to use. Returns when all are done. One caller at a time; not from inside run. */
typedef void thread_pool_run(void *context, size_t item, int thread);
void thread_pool_for(struct thread_pool *pool, size_t n_items, thread_pool_run *run, void *context);

#endif

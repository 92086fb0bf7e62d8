/* Memory that the program cannot do without: these end the run (exit 71) when there is none.
 *
 * For sizes that a record or a model file chose, call malloc and report STATUS_MEMORY instead.
 */
#ifndef BASE_MEMORY_H
#define BASE_MEMORY_H

#include <stddef.h>

/* n * size bytes, zeroed; the caller frees. */
void *memory_zeroed(size_t n, size_t size);

/* `old` (may be NULL) grown or shrunk to n * size bytes. */
void *memory_resize(void *old, size_t n, size_t size);

/* A copy of len bytes with a zero behind them; the caller frees. */
char *memory_string(const char *bytes, size_t len);

#endif

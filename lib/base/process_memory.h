/* What the system says of memory. */
#ifndef BASE_PROCESS_MEMORY_H
#define BASE_PROCESS_MEMORY_H

#include <stddef.h>

/* Bytes of this process that are in memory; 0 where the system does not say. */
size_t process_memory_resident(void);

/* Bytes that this machine can give without swapping; 0 where it does not say. */
size_t process_memory_available(void);

#endif

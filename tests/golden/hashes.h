/* Token ids as tests/golden/tokens.py keeps them: one hash a row. */
#ifndef GOLDEN_HASHES_H
#define GOLDEN_HASHES_H

#include <stddef.h>
#include <stdint.h>

#include "text/tokens.h"

/* The hashes of tests/golden/NAME, one a line; the caller frees them. Ends the program if the file
 * is not what it should be. */
uint64_t *hashes_read(const char *name, size_t *n);

uint64_t hashes_of_ids(const struct tokens *ids);

#endif

/* Numbers in text, read strictly: the whole string, decimal, no spaces, no plus sign, no overflow.
 * False leaves *value alone. */
#ifndef BASE_NUMBER_H
#define BASE_NUMBER_H

#include <stdbool.h>
#include <stdint.h>

bool number_int64(const char *text, int64_t *value);
bool number_uint64(const char *text, uint64_t *value);
bool number_double(const char *text, double *value); /* finite; "1", "0.5", "-2e-3" */

/* The double that the fewest decimal digits stand for which give this float: 0.05 for 0.05f. */
double number_shortest(float value);

#endif

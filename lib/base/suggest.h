/* The name that was probably meant. */
#ifndef BASE_SUGGEST_H
#define BASE_SUGGEST_H

#include <stddef.h>

/* The nearest of `names` by edits (insert, delete, replace, swap of neighbours), the first of
 * equals; NULL when none is near: more than a third of the longer name's letters would change. */
const char *suggest(const char *typed, const char *const *names, size_t n);

#endif

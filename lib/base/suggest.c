#include "base/suggest.h"

#include <string.h>

enum { MAX_NAME = 63 };

static size_t smallest(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Optimal string alignment distance: Levenshtein's with swaps of neighbours. Both shorter than
 * MAX_NAME; rows i - 2, i - 1 and i of the table are kept. */
static size_t distance(const char *a, size_t n_a, const char *b, size_t n_b)
{
    size_t rows[3][MAX_NAME + 1];

    for (size_t j = 0; j <= n_b; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= n_a; i++) {
        size_t *row = rows[i % 3];
        const size_t *above = rows[(i - 1) % 3];

        row[0] = i;
        for (size_t j = 1; j <= n_b; j++) {
            row[j] = above[j - 1] + (a[i - 1] != b[j - 1]);
            row[j] = smallest(row[j], smallest(above[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                row[j] = smallest(row[j], rows[(i - 2) % 3][j - 2] + 1);
        }
    }
    return rows[n_a % 3][n_b];
}

const char *suggest(const char *typed, const char *const *names, size_t n)
{
    const size_t n_typed = strlen(typed);
    const char *best = NULL;
    size_t best_distance = MAX_NAME;

    if (n_typed == 0 || n_typed > MAX_NAME)
        return NULL;
    for (size_t i = 0; i < n; i++) {
        const size_t n_name = strlen(names[i]);
        size_t edits;

        if (n_name > MAX_NAME)
            continue;
        edits = distance(typed, n_typed, names[i], n_name);
        if (edits < best_distance && 3 * edits <= (n_typed > n_name ? n_typed : n_name)) {
            best = names[i];
            best_distance = edits;
        }
    }
    return best;
}

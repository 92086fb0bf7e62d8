/* Sorted ranges of code points. */
#ifndef TEXT_UNICODE_RANGE_H
#define TEXT_UNICODE_RANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Is c in one of the n ranges (first, last), which ascend? */
static inline bool unicode_range_has(const int32_t (*ranges)[2], size_t n, int32_t c)
{
    size_t low = 0, high = n;

    while (low < high) {
        const size_t middle = (low + high) / 2;

        if (c < ranges[middle][0])
            high = middle;
        else if (c > ranges[middle][1])
            low = middle + 1;
        else
            return true;
    }
    return false;
}

#endif

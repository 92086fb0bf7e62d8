/* NF4, the 4-bit numbers of bitsandbytes (functional.py, csrc/): a tensor is flattened row by row
 * and cut into blocks; a block's largest size is its absmax, a number is one of 16 codes times it.
 *
 * Double quantisation keeps an absmax in 8 bits: less the mean of all (offset), in blocks of
 * NF4_NESTED_BLOCK with an absmax of their own, as one of 256 values of a dynamic map.
 */
#ifndef BASE_NF4_H
#define BASE_NF4_H

#include <stddef.h>
#include <stdint.h>

enum { NF4_CODES = 16, NF4_BLOCK = 64, NF4_MAP = 256, NF4_NESTED_BLOCK = 256 };

extern const float nf4_codes[NF4_CODES]; /* ascending, -1 to 1 */

/* n numbers, an even number of them, to codes [n / 2], element 2k in the high half of byte k, and
 * absmax [ceil(n / block)]; the last block may be short. A block of zeros gets codes of 0. */
void nf4_quantise(uint8_t *codes, float *absmax, const float *x, size_t n, size_t block);

/* The map of signed 8-bit numbers, ascending. */
void nf4_dynamic_map(float map[NF4_MAP]);

/* What double quantisation takes from n absmax first: their mean. bitsandbytes adds floats up in an
 * order of its machine's; here the sum is a double, so the last bits may differ. */
float nf4_offset(const float *absmax, size_t n);

/* absmax [n] to places q [n] in the map, and nested [ceil(n / NF4_NESTED_BLOCK)]. */
void nf4_compress(uint8_t *q, float *nested, const float *absmax, size_t n, float offset,
                  const float map[NF4_MAP]);

/* The absmax that such a place stands for: two roundings, as torch's product and sum. */
static inline float nf4_absmax(const float map[NF4_MAP], uint8_t q, float nested, float offset)
{
    const float product = map[q] * nested;

    return product + offset;
}

#endif

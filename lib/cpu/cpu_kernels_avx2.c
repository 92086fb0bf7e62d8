/* The AVX2 + FMA + F16C sets. Products are in cpu_tile_avx2.c, cpu_few_avx2.c and cpu_words_avx2.c.
 */
#if defined(__x86_64__)

#include "cpu/cpu_kernels.h"

#include "cpu/cpu_tile_avx2.h"
#include "cpu/cpu_vector_gradient.h"
#include "cpu/cpu_vector_rows.h"

/* What both sets have: only linear layers differ. */
#define COMMON                                                                                     \
    .chunk = 384, .tile_rows = TILE_AVX2_ROWS, .tile_panels = 1, .expand = tile_avx2_expand,       \
    .tile = tile_avx2_multiply, VECTOR_ROWS, .gradient = &vector_gradient

const struct cpu_kernels cpu_kernels_avx2 = {
    .name = "avx2", COMMON, .few_rows = FEW_ROWS, .few = few_avx2_multiply};
const struct cpu_kernels cpu_kernels_avx2_madd = {
    .name = "avx2-madd", COMMON, .words = &words_avx2};

#else
typedef int cpu_kernels_avx2_is_empty_here; /* ISO C wants a declaration */
#endif

/* The AVX-512 sets. Products are in cpu_tile_avx512.c and cpu_words_avx512vnni.c. */
#if defined(__x86_64__)

#include "cpu/cpu_kernels.h"

#include "cpu/cpu_tile_avx512.h"
#include "cpu/cpu_vector_gradient.h"
#include "cpu/cpu_vector_rows.h"

/* What both sets have: only linear layers differ. */
#define COMMON                                                                                     \
    .chunk = 256, .tile_rows = TILE_AVX512_ROWS, .tile_panels = TILE_AVX512_PANELS,                \
    .expand = tile_avx512_expand, .tile = tile_avx512_multiply, VECTOR_ROWS,                       \
    .gradient = &vector_gradient

const struct cpu_kernels cpu_kernels_avx512 = {.name = "avx512", COMMON};
const struct cpu_kernels cpu_kernels_avx512_vnni = {
    .name = "avx512-vnni", COMMON, .words = &words_avx512vnni};

#else
typedef int cpu_kernels_avx512_is_empty_here; /* ISO C wants a declaration */
#endif

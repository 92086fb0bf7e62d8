#include "cpu/cpu_kernels.h"

#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>

/* clang 14 does not know the feature by name */
static bool has_f16c(void)
{
    unsigned a, b, c, d;

    return __get_cpuid(1, &a, &b, &c, &d) && (c & bit_F16C);
}

static bool has_avx2(void)
{
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && has_f16c();
}

static bool has_avx512(void)
{
    return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
}

static bool has_avx512_vnni(void)
{
    return has_avx512() && __builtin_cpu_supports("avx512vnni");
}
#endif

static bool has_any(void)
{
    return true;
}

/* By the multiply-adds that a core can do in a cycle: avx512-vnni 64; avx512 32; avx2-madd 32 on
 * Zen 3, 24 on Intel since Skylake, where products and their sums share three ports, 16 on Haswell
 * and Zen 2, which have one unit for the products; avx2 16.
 *
 * So an AVX-512 CPU without VNNI stays with floats (in 512 bits vpmaddwd and vpaddd share two ports
 * and do 32 as well). Those of them whose second 512-bit multiplier is switched off would gain by
 * avx2-madd, but CPUID does not tell them. */
const struct cpu_kernel_set cpu_kernel_sets[] = {
#if defined(__x86_64__)
    {&cpu_kernels_avx512_vnni, has_avx512_vnni},
    {&cpu_kernels_avx512, has_avx512},
    {&cpu_kernels_avx2_madd, has_avx2},
    {&cpu_kernels_avx2, has_avx2},
#endif
    {&cpu_kernels_scalar, has_any},
    {NULL, NULL},
};

const struct cpu_kernels *cpu_kernels_pick(const char *name, struct status *status)
{
    for (const struct cpu_kernel_set *set = cpu_kernel_sets; set->kernels; set++) {
        if (name && name[0] && strcmp(name, set->kernels->name) != 0)
            continue;
        if (set->supported())
            return set->kernels;
        if (name && name[0]) {
            status_set(status, STATUS_CONFIG, "MEDRAT_KERNELS: this CPU has no '%s'", name);
            return NULL;
        }
    }
    status_set(status, STATUS_CONFIG, "MEDRAT_KERNELS: no kernel set '%s'", name);
    return NULL;
}

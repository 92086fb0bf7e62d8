/* How many threads this process may well use: the smallest of what its affinity mask, its cgroups'
 * CPU quota and the machine's physical cores allow. */
#ifndef BASE_CPU_COUNT_H
#define BASE_CPU_COUNT_H

#include <stdbool.h>
#include <stddef.h>

struct cpu_count {
    int threads;  /* the smallest of the three, at least 1 */
    int affinity; /* CPUs in the affinity mask */
    int quota;    /* CPUs of the cgroup quota, rounded up; 0: no quota */
    int cores;    /* physical cores in the affinity mask, hyperthreads once; 0: not known */
};

/* Of this process. */
struct cpu_count cpu_count(void);

/* The same for CPUs 0 <= i < n with allowed[i] true, read from other roots than /sys and /proc:
 * SYS/devices/system/cpu/cpuN/topology/, PROC/self/cgroup and PROC/self/mountinfo. */
struct cpu_count cpu_count_from(const char *sys, const char *proc, const bool *allowed, size_t n);

#endif

#define _GNU_SOURCE /* sched_getaffinity */
#include "base/cpu_count.h"

#include <limits.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/number.h"

enum { MAX_CPUS = 1 << 16 };

/* The first line of a small file, without its end; false if there is none. */
static bool read_line(const char *path, char *line, size_t size)
{
    FILE *file = fopen(path, "r");
    bool ok;

    if (!file)
        return false;
    ok = fgets(line, (int)size, file) != NULL;
    fclose(file);
    if (ok)
        line[strcspn(line, "\n")] = '\0';
    return ok;
}

/* CPUs that quota microseconds a period make, rounded up; 0: no quota. */
static int quota_cpus(int64_t quota, int64_t period)
{
    if (quota <= 0 || period <= 0 || quota / period >= INT_MAX)
        return 0;
    return (int)((quota + period - 1) / period);
}

/* cgroup v2: cpu.max holds "max 100000" or "150000 100000". */
static int quota_v2(const char *folder)
{
    char path[PATH_MAX + 32], line[64];
    int64_t quota, period;
    char *space;

    snprintf(path, sizeof(path), "%s/cpu.max", folder);
    if (!read_line(path, line, sizeof(line)))
        return 0;
    space = strchr(line, ' ');
    if (!space)
        return 0;
    *space = '\0';
    return number_int64(line, &quota) && number_int64(space + 1, &period)
               ? quota_cpus(quota, period)
               : 0;
}

/* cgroup v1: a quota of -1 is none. */
static int quota_v1(const char *folder)
{
    char path[PATH_MAX + 32], line[64];
    int64_t quota, period;

    snprintf(path, sizeof(path), "%s/cpu.cfs_quota_us", folder);
    if (!read_line(path, line, sizeof(line)) || !number_int64(line, &quota))
        return 0;
    snprintf(path, sizeof(path), "%s/cpu.cfs_period_us", folder);
    if (!read_line(path, line, sizeof(line)) || !number_int64(line, &period))
        return 0;
    return quota_cpus(quota, period);
}

static int smaller(int a, int b) /* 0: no limit */
{
    return a == 0 || (b != 0 && b < a) ? b : a;
}

/* The smallest quota of a cgroup and those above it, up to where the hierarchy is mounted. `path`
 * is the cgroup's below `mount`, "" or "/a/b". */
static int quota_upwards(const char *mount, const char *path, bool v2)
{
    char folder[PATH_MAX];
    const size_t n_mount = strlen(mount);
    const int n = snprintf(folder, sizeof(folder), "%s%s", mount, path);
    int quota = 0;

    if (n < 0 || (size_t)n >= sizeof(folder))
        return 0;
    for (;;) {
        char *slash;

        quota = smaller(quota, v2 ? quota_v2(folder) : quota_v1(folder));
        slash = strrchr(folder, '/');
        if (!slash || (size_t)(slash - folder) < n_mount)
            return quota;
        *slash = '\0';
    }
}

static bool list_has(const char *list, const char *word)
{
    const size_t n = strlen(word);

    for (const char *p = list; p; p = strchr(p, ',') ? strchr(p, ',') + 1 : NULL) {
        if (strncmp(p, word, n) == 0 && (p[n] == ',' || p[n] == '\0'))
            return true;
    }
    return false;
}

/* Our cgroup in the hierarchy of the cpu controller (v1) or in the one hierarchy (v2), from lines
 * "ID:CONTROLLERS:PATH". */
static bool own_cgroup(const char *proc, bool v2, char *path, size_t size)
{
    char name[PATH_MAX], line[PATH_MAX + 256];
    bool found = false;
    FILE *file;

    snprintf(name, sizeof(name), "%s/self/cgroup", proc);
    file = fopen(name, "r");
    while (file && !found && fgets(line, sizeof(line), file)) {
        char *controllers = strchr(line, ':');
        char *own = controllers ? strchr(controllers + 1, ':') : NULL;

        if (!own)
            continue;
        *own++ = '\0';
        own[strcspn(own, "\n")] = '\0';
        found = v2 ? controllers[1] == '\0' : list_has(controllers + 1, "cpu");
        if (found)
            snprintf(path, size, "%s", strcmp(own, "/") == 0 ? "" : own);
    }
    if (file)
        fclose(file);
    return found;
}

/* "\040" and the like are spaces in mountinfo. */
static void unescape(char *s)
{
    char *to = s;

    for (; *s; s++) {
        if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] >= '0' && s[2] <= '7' &&
            s[3] >= '0' && s[3] <= '7') {
            *to++ = (char)((s[1] - '0') * 64 + (s[2] - '0') * 8 + (s[3] - '0'));
            s += 3;
        } else {
            *to++ = *s;
        }
    }
    *to = '\0';
}

/* One line of mountinfo: "36 35 0:30 ROOT MOUNT OPTIONS ... - TYPE SOURCE SUPER_OPTIONS". */
static bool parse_mount(char *line, bool v2, char **root, char **mount)
{
    char *end = strstr(line, " - ");
    char *type, *source, *super, *save = NULL;

    if (!end)
        return false;
    *end = '\0';
    type = strtok_r(end + 3, " \n", &save);
    source = strtok_r(NULL, " \n", &save);
    super = source ? strtok_r(NULL, " \n", &save) : NULL;
    if (!super || strcmp(type, v2 ? "cgroup2" : "cgroup") != 0 || (!v2 && !list_has(super, "cpu")))
        return false;
    strtok_r(line, " ", &save);
    strtok_r(NULL, " ", &save);
    strtok_r(NULL, " ", &save);
    *root = strtok_r(NULL, " ", &save);
    *mount = *root ? strtok_r(NULL, " ", &save) : NULL;
    if (!*mount)
        return false;
    unescape(*root);
    unescape(*mount);
    return true;
}

/* What is left of our cgroup's path below a mount that shows the hierarchy from `root` down; ""
 * where the mount does not show it by that name (another namespace): then the mount is it. */
static const char *below(const char *own, const char *root)
{
    const size_t n = strcmp(root, "/") == 0 ? 0 : strlen(root);

    if (strstr(own, "/..") || strncmp(own, root, n) != 0 || (own[n] != '/' && own[n] != '\0'))
        return "";
    return own + n;
}

static int quota_of(const char *proc, bool v2)
{
    char name[PATH_MAX], own[PATH_MAX], line[3 * PATH_MAX];
    int quota = 0;
    FILE *file;

    if (!own_cgroup(proc, v2, own, sizeof(own)))
        return 0;
    snprintf(name, sizeof(name), "%s/self/mountinfo", proc);
    file = fopen(name, "r");
    while (file && fgets(line, sizeof(line), file)) {
        char *root, *mount;

        if (parse_mount(line, v2, &root, &mount))
            quota = smaller(quota, quota_upwards(mount, below(own, root), v2));
    }
    if (file)
        fclose(file);
    return quota;
}

/* The lowest CPU of the core that CPU i belongs to; -1: not known. The list is "0,64" or "0-1". */
static long core_of(const char *sys, size_t i)
{
    static const char *const names[] = {"core_cpus_list", "thread_siblings_list"};

    for (size_t k = 0; k < sizeof(names) / sizeof(names[0]); k++) {
        char path[PATH_MAX], line[4096];

        snprintf(path, sizeof(path), "%s/devices/system/cpu/cpu%zu/topology/%s", sys, i, names[k]);
        if (read_line(path, line, sizeof(line)) && line[0] >= '0' && line[0] <= '9')
            return strtol(line, NULL, 10);
    }
    return -1;
}

static int count_cores(const char *sys, const bool *allowed, size_t n)
{
    bool *seen = memory_zeroed(MAX_CPUS, sizeof(*seen));
    int cores = 0;

    for (size_t i = 0; i < n; i++) {
        long core;

        if (!allowed[i])
            continue;
        core = core_of(sys, i);
        if (core < 0 || core >= MAX_CPUS) {
            cores = 0;
            break;
        }
        cores += !seen[core];
        seen[core] = true;
    }
    free(seen);
    return cores;
}

struct cpu_count cpu_count_from(const char *sys, const char *proc, const bool *allowed, size_t n)
{
    struct cpu_count count = {0};

    for (size_t i = 0; i < n; i++)
        count.affinity += allowed[i];
    count.cores = count_cores(sys, allowed, n);
    count.quota = smaller(quota_of(proc, true), quota_of(proc, false));
    count.threads = smaller(smaller(count.affinity, count.cores), count.quota);
    if (count.threads < 1)
        count.threads = 1;
    return count;
}

/* The affinity mask as one bool a CPU; the caller frees. The kernel refuses masks that are smaller
 * than its own, so larger ones are tried. */
static bool *read_affinity(size_t *n)
{
    for (size_t n_cpus = 1024; n_cpus <= MAX_CPUS; n_cpus *= 4) {
        cpu_set_t *set = CPU_ALLOC(n_cpus);
        const size_t size = CPU_ALLOC_SIZE(n_cpus);
        bool *allowed = NULL;

        if (set && sched_getaffinity(0, size, set) == 0) {
            allowed = memory_zeroed(n_cpus, sizeof(*allowed));
            for (size_t i = 0; i < n_cpus; i++)
                allowed[i] = CPU_ISSET_S(i, size, set) != 0;
        }
        CPU_FREE(set);
        if (allowed) {
            *n = n_cpus;
            return allowed;
        }
    }
    *n = 1;
    return memory_zeroed(1, sizeof(bool)); /* none known: one thread */
}

struct cpu_count cpu_count(void)
{
    size_t n;
    bool *allowed = read_affinity(&n);
    const struct cpu_count count = cpu_count_from("/sys", "/proc", allowed, n);

    free(allowed);
    return count;
}

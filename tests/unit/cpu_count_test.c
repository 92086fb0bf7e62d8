/* The default number of threads, on fixture trees of /sys and /proc. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/cpu_count.h"

enum { N = 8 };

static char root[64]; /* of the tree at hand: ROOT/sys, ROOT/proc, ROOT/cgroup */
static const bool all[N] = {true, true, true, true, true, true, true, true};

/* ROOT/path with these bytes; its folders are made. */
static void put(const char *path, const char *format, ...)
{
    struct buf name = {0};
    va_list args;
    FILE *file;

    buf_printf(&name, "%s/%s", root, path);
    for (char *slash = name.data + 1; (slash = strchr(slash, '/')); slash++) {
        *slash = '\0';
        mkdir(name.data, 0700); /* may be there */
        *slash = '/';
    }
    file = fopen(name.data, "w");
    assert_non_null(file);
    va_start(args, format);
    vfprintf(file, format, args);
    va_end(args);
    assert_int_equal(fclose(file), 0);
    buf_release(&name);
}

/* 8 CPUs of 4 cores: i and i + 4 are one core, as most machines count. */
static void put_cores(void)
{
    for (int i = 0; i < N; i++) {
        char path[96];

        snprintf(path, sizeof(path), "sys/devices/system/cpu/cpu%d/topology/core_cpus_list", i);
        put(path, "%d,%d\n", i % 4, i % 4 + 4);
    }
}

static int make_tree(void **state)
{
    (void)state;
    snprintf(root, sizeof(root), "%s/medrat-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    return mkdtemp(root) ? 0 : -1;
}

static int remove_tree(void **state)
{
    char command[96];

    (void)state;
    snprintf(command, sizeof(command), "rm -rf '%s'", root);
    return system(command);
}

static struct cpu_count count(const bool *allowed)
{
    char sys[80], proc[80];

    snprintf(sys, sizeof(sys), "%s/sys", root);
    snprintf(proc, sizeof(proc), "%s/proc", root);
    return cpu_count_from(sys, proc, allowed, N);
}

static void takes_the_affinity_mask_where_nothing_else_is_known(void **state)
{
    const bool three[N] = {false, true, true, false, false, false, false, true};
    const struct cpu_count c = count(three);

    (void)state;
    assert_int_equal(c.affinity, 3);
    assert_int_equal(c.cores, 0);
    assert_int_equal(c.quota, 0);
    assert_int_equal(c.threads, 3);
}

static void counts_hyperthreads_once_and_only_within_the_mask(void **state)
{
    const bool one_core[N] = {true, false, false, false, true, false, false, false};
    const bool upper[N] = {false, false, false, false, true, true, true, true};

    (void)state;
    put_cores();
    assert_int_equal(count(all).threads, 4);
    assert_int_equal(count(one_core).affinity, 2);
    assert_int_equal(count(one_core).threads, 1);
    assert_int_equal(count(upper).threads, 4); /* second threads of four cores: still four cores */
}

static void reads_the_older_name_of_the_siblings_too(void **state)
{
    const bool two[N] = {true, true};

    (void)state;
    put("sys/devices/system/cpu/cpu0/topology/thread_siblings_list", "0-1\n");
    put("sys/devices/system/cpu/cpu1/topology/thread_siblings_list", "0-1\n");
    assert_int_equal(count(two).cores, 1);
}

static void put_v2(const char *own, const char *mounted_root)
{
    put("proc/self/cgroup", "0::%s\n", own);
    put("proc/self/mountinfo",
        "22 1 0:20 / / rw - ext4 /dev/root rw\n"
        "30 22 0:26 %s %s/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n",
        mounted_root, root);
}

static void rounds_a_quota_of_cgroup_v2_up(void **state)
{
    (void)state;
    put_v2("/job", "/");
    put("cgroup/job/cpu.max", "150000 100000\n");
    assert_int_equal(count(all).quota, 2);
    assert_int_equal(count(all).threads, 2);
    put("cgroup/job/cpu.max", "10000 100000\n");
    assert_int_equal(count(all).threads, 1);
    put("cgroup/job/cpu.max", "max 100000\n");
    assert_int_equal(count(all).quota, 0);
    assert_int_equal(count(all).threads, 8);
}

static void heeds_the_quotas_of_the_groups_above(void **state)
{
    (void)state;
    put_v2("/slice/job", "/");
    put("cgroup/slice/job/cpu.max", "600000 100000\n");
    put("cgroup/slice/cpu.max", "300000 100000\n");
    assert_int_equal(count(all).quota, 3);
    put("cgroup/cpu.max", "200000 100000\n");
    assert_int_equal(count(all).quota, 2);
}

static void finds_its_group_in_a_mount_that_shows_a_part(void **state)
{
    (void)state;
    put_v2("/docker/abc/inner", "/docker/abc");
    put("cgroup/inner/cpu.max", "500000 100000\n");
    put("cgroup/cpu.max", "400000 100000\n");
    assert_int_equal(count(all).quota, 4);
    put_v2("/somewhere/else", "/docker/abc"); /* another namespace's name: the mount is ours */
    assert_int_equal(count(all).quota, 4);
}

static void reads_cgroup_v1_by_its_controllers(void **state)
{
    (void)state;
    put("proc/self/cgroup", "5:cpuset:/\n4:cpu,cpuacct:/box\n1:name=systemd:/\n");
    put("proc/self/mountinfo",
        "31 22 0:27 / %s/cpuset rw - cgroup cgroup rw,cpuset\n"
        "32 22 0:28 / %s/with\\040space rw - cgroup cgroup rw,cpu,cpuacct\n",
        root, root);
    put("cpuset/box/cpu.cfs_quota_us", "100000\n"); /* not the cpu controller */
    put("cpuset/box/cpu.cfs_period_us", "100000\n");
    put("with space/box/cpu.cfs_quota_us", "-1\n");
    put("with space/box/cpu.cfs_period_us", "100000\n");
    assert_int_equal(count(all).quota, 0);
    put("with space/box/cpu.cfs_quota_us", "250000\n");
    assert_int_equal(count(all).quota, 3);
    put("with space/cpu.cfs_quota_us", "50000\n");
    put("with space/cpu.cfs_period_us", "50000\n");
    assert_int_equal(count(all).quota, 1);
}

static void survives_nonsense_in_the_files(void **state)
{
    (void)state;
    put_v2("/job", "/");
    put("cgroup/job/cpu.max", "lots\n");
    assert_int_equal(count(all).threads, 8);
    put("cgroup/job/cpu.max", "5 0\n");
    assert_int_equal(count(all).threads, 8);
    put("cgroup/job/cpu.max", "9223372036854775807 1\n");
    assert_int_equal(count(all).threads, 8);
    put("proc/self/cgroup", "0\n::\n\n0::/../..\n");
    put("proc/self/mountinfo", "1 2 3\n - cgroup2\n1 2 3 4 5 - cgroup2 x rw\n");
    assert_int_equal(count(all).threads, 8);
    put("sys/devices/system/cpu/cpu0/topology/core_cpus_list", "none\n");
    assert_int_equal(count(all).cores, 0);
}

static void never_says_less_than_one(void **state)
{
    const bool none[N] = {false};

    (void)state;
    assert_int_equal(count(none).threads, 1);
    assert_true(cpu_count().threads >= 1);
    assert_true(cpu_count().threads <= cpu_count().affinity);
}

#define IN_A_TREE(test) cmocka_unit_test_setup_teardown(test, make_tree, remove_tree)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_A_TREE(takes_the_affinity_mask_where_nothing_else_is_known),
        IN_A_TREE(counts_hyperthreads_once_and_only_within_the_mask),
        IN_A_TREE(reads_the_older_name_of_the_siblings_too),
        IN_A_TREE(rounds_a_quota_of_cgroup_v2_up),
        IN_A_TREE(heeds_the_quotas_of_the_groups_above),
        IN_A_TREE(finds_its_group_in_a_mount_that_shows_a_part),
        IN_A_TREE(reads_cgroup_v1_by_its_controllers),
        IN_A_TREE(survives_nonsense_in_the_files),
        IN_A_TREE(never_says_less_than_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

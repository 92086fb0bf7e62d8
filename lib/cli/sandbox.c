#define _GNU_SOURCE /* syscall, O_PATH */
#include "cli/sandbox.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/file_io.h"
#include "base/memory.h"

/* Of linux/landlock.h, whose copy may be older than the kernel: the number says since which ABI. */
#define ACCESS_TRUNCATE (UINT64_C(1) << 14) /* 3 */
#define NET_BIND_TCP (UINT64_C(1) << 0)     /* 4 */
#define NET_CONNECT_TCP (UINT64_C(1) << 1)  /* 4 */

struct ruleset {
    uint64_t files;
    uint64_t net; /* 4 */
};

/* All that changes files, and their being started as programs. */
#define WRITING                                                                                    \
    (LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |                               \
     LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_DIR | \
     LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO |   \
     LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM)

/* What outputs take: new files and (of an adapter) folders, written, renamed, removed. */
#define OUTPUT_FOLDER                                                                              \
    (LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |                               \
     LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG)

static const char *paths[SANDBOX_MAX_PATHS];
static int n_paths, n_rules;
static int abi; /* of Landlock, once it holds; 0: it does not */
static bool is_filtered, is_off;

void sandbox_allow(const char *path)
{
    if (!path || strcmp(path, "-") == 0)
        return;
    assert(n_paths < SANDBOX_MAX_PATHS);
    paths[n_paths++] = path;
}

/* ---- Landlock ---- */

/* Where the file lies, or what it is if it is no regular one; -1: neither is there. */
static int open_place(const char *path, uint64_t *access)
{
    char *real = file_resolve(path), *slash;
    struct stat st;
    size_t len = strlen(real);
    int fd;

    while (len > 1 && real[len - 1] == '/')
        real[--len] = '\0';
    *access = LANDLOCK_ACCESS_FS_WRITE_FILE;
    if (stat(real, &st) != 0 || S_ISREG(st.st_mode) || S_ISDIR(st.st_mode)) {
        *access = OUTPUT_FOLDER;
        slash = strrchr(real, '/');
        if (slash)
            slash[slash == real] = '\0';
        fd = open(slash ? real : ".", O_PATH | O_CLOEXEC | O_DIRECTORY);
    } else {
        fd = open(real, O_PATH | O_CLOEXEC);
    }
    free(real);
    return fd;
}

/* A place that cannot be opened gets no rule: writing there will say so. */
static void add_place(int ruleset, const char *path, uint64_t handled)
{
    struct landlock_path_beneath_attr place = {.parent_fd = -1};
    uint64_t access;

    place.parent_fd = open_place(path, &access);
    if (place.parent_fd < 0)
        return;
    place.allowed_access = (access | ACCESS_TRUNCATE) & handled;
    if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &place, 0) == 0)
        n_rules++;
    close(place.parent_fd);
}

static bool enter_landlock(void)
{
    const long version =
        syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    struct ruleset rules = {.files = WRITING | LANDLOCK_ACCESS_FS_EXECUTE};
    bool ok;
    int fd;

    if (version < 1)
        return false;
    if (version >= 3)
        rules.files |= ACCESS_TRUNCATE;
    if (version >= 4)
        rules.net = NET_BIND_TCP | NET_CONNECT_TCP;
    fd = (int)syscall(SYS_landlock_create_ruleset, &rules,
                      version >= 4 ? sizeof(rules) : sizeof(rules.files), 0);
    if (fd < 0)
        return false;
    for (int i = 0; i < n_paths; i++)
        add_place(fd, paths[i], rules.files);
    ok = syscall(SYS_landlock_restrict_self, fd, 0) == 0;
    close(fd);
    abi = ok ? (int)version : 0;
    return ok;
}

/* ---- seccomp ---- */

#if defined(__x86_64__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#endif

/* Calls by another numbering (32 bits, x32) fail as well, as those that are refused: EPERM. */
static bool enter_filter(void)
{
#ifdef ARCHITECTURE
#define REFUSED (SECCOMP_RET_ERRNO | EPERM)
#define REFUSE(call)                                                                               \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (call), 0, 1), BPF_STMT(BPF_RET | BPF_K, REFUSED)
    static struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCHITECTURE, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, REFUSED),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 0x40000000, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, REFUSED),
        REFUSE(SYS_socket),
        REFUSE(SYS_io_uring_setup), /* its rings open sockets past this filter */
        REFUSE(SYS_execve),
        REFUSE(SYS_execveat),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const struct sock_fprog program = {sizeof(filter) / sizeof(filter[0]), filter};

    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
#else
    return false;
#endif
}

/* ---- both ---- */

void sandbox_enter(void)
{
    is_off = getenv("MEDRAT_NO_SANDBOX") != NULL;
    if (is_off || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return;
    enter_landlock();
    is_filtered = enter_filter();
}

void sandbox_describe(struct buf *out)
{
    if (is_off) {
        buf_append_string(out, "not closed: MEDRAT_NO_SANDBOX is set");
        return;
    }
    if (abi > 0)
        buf_printf(out, "writes to %d place%s alone (Landlock %d)", n_rules,
                   n_rules == 1 ? "" : "s", abi);
    else
        buf_append_string(out, "may write anywhere (this kernel has no Landlock)");
    if (is_filtered)
        buf_append_string(out, ", starts no program, opens no socket");
    else
        buf_append_string(out, "; programs and sockets are not refused (no seccomp)");
}

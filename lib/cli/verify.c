#include "cli/verify.h"

#include <inttypes.h>
#include <stdio.h>

#include "formats/model_check.h"

static const char *const words[] = {
    [MODEL_CHECK_PUBLISHED] = "as published", [MODEL_CHECK_BLOB] = "as the cache says",
    [MODEL_CHECK_UNKNOWN] = "not known",      [MODEL_CHECK_DIFFERS] = "DIFFERS",
    [MODEL_CHECK_MISSING] = "MISSING",
};

/* A large file takes a while: each line leaves as soon as it is known. */
static void print_file(const struct model_check_file *file, void *context)
{
    (void)context;
    printf("%-17s %12" PRIu64 "  %-64s  %s%s%s\n", words[file->result], file->size,
           file->sha256[0] != '\0' ? file->sha256 : "-", file->name, file->why ? ": " : "",
           file->why ? file->why : "");
    fflush(stdout);
}

bool verify_print(const char *path, struct status *status)
{
    struct model_check check;
    unsigned n_bad;

    printf("%s\n", path);
    if (!model_check_run(path, print_file, NULL, &check, status))
        return false;
    n_bad = check.n[MODEL_CHECK_DIFFERS] + check.n[MODEL_CHECK_MISSING];
    printf("%s: %u as published, %u as the cache says, %u not known, %u differ, %u missing\n",
           check.model ? check.model->name : "no model that is known here",
           check.n[MODEL_CHECK_PUBLISHED], check.n[MODEL_CHECK_BLOB], check.n[MODEL_CHECK_UNKNOWN],
           check.n[MODEL_CHECK_DIFFERS], check.n[MODEL_CHECK_MISSING]);
    if (fflush(stdout) != 0)
        return status_fail(status, STATUS_IO, "cannot write to standard output");
    return n_bad == 0 ||
           status_fail(status, STATUS_DATA, "%s: %u of its files are not those that were published",
                       path, n_bad);
}

/* Why a call failed: one value, filled where the failure is seen, read where it is reported.
 *
 * A call that can fail returns bool, is MUST_CHECK, and takes `struct status *` last. It fills the
 * status when, and only when, it returns false. Messages say the place, then what: no capital, no
 * full stop, subjects in quotes, never text of a record.
 *
 * STATUS_INPUT concerns one record: the caller goes on with the next. Everything else ends the run.
 */
#ifndef BASE_STATUS_H
#define BASE_STATUS_H

#include <stdbool.h>
#include <stddef.h>

#define MUST_CHECK __attribute__((warn_unused_result))

enum status_code {
    STATUS_OK,
    STATUS_INPUT,    /* this record failed; the others go on */
    STATUS_USAGE,    /* a wrong command line */
    STATUS_DATA,     /* the input as a whole is not usable: broken gzip, --expect not met */
    STATUS_NO_INPUT, /* a file that should be read is not there */
    STATUS_INTERNAL, /* our own fault */
    STATUS_MEMORY,   /* not enough memory */
    STATUS_DEVICE,   /* the device is not usable */
    STATUS_IO,       /* read or write failed */
    STATUS_AGAIN,    /* stopped early or locked: run the same command again */
    STATUS_CONFIG,   /* a bad configuration or model file */
};

struct status {
    enum status_code code;
    const char *kind; /* STATUS_INPUT: the error record's "code", a constant: "json", "type", ... */
    size_t column;    /* STATUS_INPUT: byte column in the line, from 1; 0: not known */
    char member[64];  /* STATUS_INPUT: the member concerned, "" if none */
    char message[512]; /* for people */
};

/* Fill *status and be false: `return status_fail(status, STATUS_IO, "%s: %s", path, why);`
 * A macro, so that the analyzer sees the false. */
#define status_fail(status, code, ...) (status_set((status), (code), __VA_ARGS__), false)

/* A record's failure: `kind` is the error record's code, `member` its member or NULL. */
#define status_fail_record(status, kind, member, ...)                                              \
    (status_set_record((status), (kind), (member), __VA_ARGS__), false)

/* Put "where: " in front of the message of a failure, and be false. */
#define status_context(status, ...) (status_prefix((status), __VA_ARGS__), false)

void status_set(struct status *status, enum status_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void status_set_record(struct status *status, const char *kind, const char *member,
                       const char *format, ...) __attribute__((format(printf, 4, 5)));
void status_prefix(struct status *status, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The exit status of a run that ends with this code: sysexits, as the README lists them. */
int status_exit_code(enum status_code code);

#endif

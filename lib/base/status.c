#include "base/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void status_set(struct status *status, enum status_code code, const char *format, ...)
{
    va_list args;

    *status = (struct status){.code = code};
    va_start(args, format);
    vsnprintf(status->message, sizeof(status->message), format, args);
    va_end(args);
}

void status_set_record(struct status *status, const char *kind, const char *member,
                       const char *format, ...)
{
    va_list args;

    *status = (struct status){.code = STATUS_INPUT, .kind = kind};
    snprintf(status->member, sizeof(status->member), "%s", member ? member : "");
    va_start(args, format);
    vsnprintf(status->message, sizeof(status->message), format, args);
    va_end(args);
}

void status_prefix(struct status *status, const char *format, ...)
{
    char joined[sizeof(status->message)];
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(joined, sizeof(joined), format, args);
    va_end(args);
    if (n < 0 || (size_t)n >= sizeof(joined))
        return;
    n += snprintf(joined + n, sizeof(joined) - (size_t)n, ": ");
    if ((size_t)n < sizeof(joined)) {
        const size_t room = sizeof(joined) - 1 - (size_t)n;

        memcpy(joined + n, status->message, room); /* message is as long as joined */
        joined[sizeof(joined) - 1] = '\0';
    }
    memcpy(status->message, joined, sizeof(joined));
}

int status_exit_code(enum status_code code)
{
    switch (code) {
    case STATUS_OK:
        return 0;
    case STATUS_INPUT:
        return 1;
    case STATUS_USAGE:
        return 64;
    case STATUS_DATA:
        return 65;
    case STATUS_NO_INPUT:
        return 66;
    case STATUS_INTERNAL:
        return 70;
    case STATUS_MEMORY:
    case STATUS_DEVICE:
        return 71;
    case STATUS_IO:
        return 74;
    case STATUS_AGAIN:
        return 75;
    case STATUS_CONFIG:
        return 78;
    }
    return 70;
}

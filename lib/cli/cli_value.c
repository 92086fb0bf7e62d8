#include "cli/cli_value.h"

#include <limits.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "base/checked.h"
#include "base/memory.h"
#include "base/number.h"
#include "base/suggest.h"

/* "from 1 to 8", "of 1 or more" */
static void describe_range(const struct cli_option *option, struct buf *out)
{
    if (isfinite(option->max) && option->max < (double)INT_MAX)
        buf_printf(out, "from %.15g to %.15g", option->min, option->max);
    else
        buf_printf(out, "of %.15g or more", option->min);
}

/* The argument is shown: it is the user's own, from the command line or a configuration. */
static bool fail_number(const struct cli_option *option, const char *argument, const char *what,
                        struct status *status)
{
    struct buf range = {0};

    describe_range(option, &range);
    status_set(status, STATUS_USAGE, "'%.64s' is not a %s %s", argument, what, range.data);
    buf_release(&range);
    return false;
}

static bool in_range(const struct cli_option *option, double number)
{
    return number >= option->min && number <= option->max;
}

static bool set_int(const struct cli_option *option, const char *argument, struct status *status)
{
    int64_t number;

    if (!number_int64(argument, &number) || !in_range(option, (double)number) || number > INT_MAX ||
        number < INT_MIN)
        return fail_number(option, argument, "whole number", status);
    *(int *)option->value = (int)number;
    return true;
}

static bool set_uint64(const struct cli_option *option, const char *argument, struct status *status)
{
    uint64_t number;

    if (!number_uint64(argument, &number))
        return status_fail(status, STATUS_USAGE, "'%.64s' is not a whole number from 0 to 2^64-1",
                           argument);
    *(uint64_t *)option->value = number;
    return true;
}

/* "16M" */
static bool set_size(const struct cli_option *option, const char *argument, struct status *status)
{
    const size_t len = strlen(argument);
    const char unit = len > 0 ? argument[len - 1] : '\0';
    const int shift = unit == 'K' ? 10 : unit == 'M' ? 20 : unit == 'G' ? 30 : 0;
    char digits[24];
    uint64_t number;
    size_t bytes;

    if (len - (shift > 0) >= sizeof(digits))
        return fail_number(option, argument, "size", status);
    memcpy(digits, argument, len - (shift > 0));
    digits[len - (shift > 0)] = '\0';
    if (!number_uint64(digits, &number) || number > SIZE_MAX ||
        !checked_mul((size_t)number, (size_t)1 << shift, &bytes) ||
        !in_range(option, (double)bytes))
        return fail_number(option, argument, "size", status);
    *(size_t *)option->value = bytes;
    return true;
}

static bool set_float(const struct cli_option *option, const char *argument, struct status *status)
{
    double number;

    if (!number_double(argument, &number) || !in_range(option, number))
        return fail_number(option, argument, "number", status);
    *(double *)option->value = number;
    return true;
}

static bool set_bool(const char *argument, bool *value, struct status *status)
{
    *value = strcmp(argument, "true") == 0;
    if (!*value && strcmp(argument, "false") != 0)
        return status_fail(status, STATUS_USAGE, "'%.64s' is not true or false", argument);
    return true;
}

static bool set_choice(const struct cli_option *option, const char *argument, struct status *status)
{
    struct buf names = {0};
    const char *near;
    int n = 0;

    for (; option->choices[n]; n++) {
        if (strcmp(option->choices[n], argument) == 0) {
            *(int *)option->value = n;
            return true;
        }
    }
    for (int i = 0; i < n; i++)
        buf_printf(&names, "%s%s", i == 0 ? "" : i == n - 1 ? " or " : ", ", option->choices[i]);
    near = suggest(argument, option->choices, (size_t)n);
    status_set(status, STATUS_USAGE, "'%.64s' is not %s%s%s%s", argument, names.data,
               near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
    buf_release(&names);
    return false;
}

static void add_string(struct cli_strings *strings, const char *argument)
{
    strings->items = memory_resize(strings->items, strings->n + 1, sizeof(*strings->items));
    strings->items[strings->n++] = argument;
}

bool cli_value_set(const struct cli_option *option, const char *argument, struct status *status)
{
    bool yes;

    switch (option->kind) {
    case CLI_FLAG:
        return set_bool(argument, option->value, status);
    case CLI_SWITCH:
        if (!set_bool(argument, &yes, status))
            return false;
        *(int *)option->value = yes;
        return true;
    case CLI_INT:
        return set_int(option, argument, status);
    case CLI_UINT64:
        return set_uint64(option, argument, status);
    case CLI_SIZE:
        return set_size(option, argument, status);
    case CLI_FLOAT:
        return set_float(option, argument, status);
    case CLI_STRING:
        *(const char **)option->value = argument;
        return true;
    case CLI_STRINGS:
        add_string(option->value, argument);
        return true;
    case CLI_CHOICE:
        return set_choice(option, argument, status);
    case CLI_CUSTOM:
        return option->parse(option->value, argument, status);
    case CLI_HEADING:
        break;
    }
    return status_fail(status, STATUS_INTERNAL, "option of no kind");
}

void cli_value_reset(const struct cli_option *option)
{
    if (option->kind == CLI_STRINGS)
        ((struct cli_strings *)option->value)->n = 0;
}

static void describe_size(size_t size, struct buf *out)
{
    static const char units[] = "KMG";
    int unit = -1;

    while (unit < 2 && size >= 1024 && size % 1024 == 0) {
        size /= 1024;
        unit++;
    }
    buf_printf(out, "%zu", size);
    if (unit >= 0)
        buf_append_char(out, units[unit]);
}

static void describe_default(const struct cli_option *option, struct buf *out)
{
    if (option->fallback) {
        buf_append_string(out, option->fallback);
        return;
    }
    switch (option->kind) {
    case CLI_INT:
        buf_printf(out, "%d", *(const int *)option->value);
        break;
    case CLI_UINT64:
        buf_printf(out, "%llu", (unsigned long long)*(const uint64_t *)option->value);
        break;
    case CLI_SIZE:
        describe_size(*(const size_t *)option->value, out);
        break;
    case CLI_FLOAT:
        buf_printf(out, "%.15g", *(const double *)option->value);
        break;
    case CLI_CHOICE:
        buf_append_string(out, option->choices[*(const int *)option->value]);
        break;
    default: /* flags are off, strings not given */
        break;
    }
}

void cli_value_describe(const struct cli_option *option, struct buf *out)
{
    struct buf initial = {0};

    if (option->kind == CLI_INT || option->kind == CLI_FLOAT) {
        if (isfinite(option->max) && option->max < (double)INT_MAX)
            buf_printf(out, "%.15g to %.15g", option->min, option->max);
        else
            buf_printf(out, "%.15g or more", option->min);
    }
    if (option->kind == CLI_CHOICE) {
        for (int i = 0; option->choices[i]; i++)
            buf_printf(out, "%s%s", i > 0 ? ", " : "", option->choices[i]);
    }
    describe_default(option, &initial);
    if (initial.len > 0)
        buf_printf(out, "%sdefault %s", out->len > 0 ? "; " : "", initial.data);
    buf_release(&initial);
}

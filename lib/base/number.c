#include "base/number.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

bool number_int64(const char *text, int64_t *value)
{
    char *end;
    long long parsed;

    if (!is_digit(text[text[0] == '-']))
        return false;
    errno = 0;
    parsed = strtoll(text, &end, 10);
    if (*end != '\0' || errno != 0)
        return false;
    *value = parsed;
    return true;
}

bool number_uint64(const char *text, uint64_t *value)
{
    char *end;
    unsigned long long parsed;

    if (!is_digit(text[0]))
        return false;
    errno = 0;
    parsed = strtoull(text, &end, 10);
    if (*end != '\0' || errno != 0)
        return false;
    *value = parsed;
    return true;
}

/* strtod alone would also take "inf", "nan", "0x1p3" and leading spaces. Programs that call this
 * never leave the C locale, so the point is a point. */
bool number_double(const char *text, double *value)
{
    const char *digits = text + (text[0] == '-');
    char *end;
    double parsed;

    if (!is_digit(digits[digits[0] == '.']) || text[strspn(text, "0123456789.eE+-")] != '\0')
        return false;
    parsed = strtod(text, &end);
    if (*end != '\0' || !isfinite(parsed))
        return false;
    *value = parsed;
    return true;
}

double number_shortest(float value)
{
    char text[32];

    for (int digits = 1; digits <= 9; digits++) {
        float back;

        snprintf(text, sizeof(text), "%.*g", digits, (double)value);
        back = strtof(text, NULL);
        if (back >= value && back <= value)
            break;
    }
    return strtod(text, NULL);
}

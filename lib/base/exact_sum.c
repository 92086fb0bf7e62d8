#include "base/exact_sum.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum {
    LIMB_BITS = 32,
    N_BITS = EXACT_SUM_LIMBS * LIMB_BITS,
    LEAST_BIT = -1074 - EXACT_SUM_LOWEST, /* of the least subnormal double */
    MAX_DIGITS = N_BITS / 4 - 16, /* that are read: room above them for carries and the sign */
    MAX_WAITING = 1 << 28,        /* an addition moves a limb by less than 2^34 */
};

#define LIMB_MASK ((int64_t)0xFFFFFFFF)

/* Carries move up: all limbs but the last lie in [0, 2^32), the last one has the sign. */
static void carry(struct exact_sum *sum)
{
    if (sum->n_waiting == 0)
        return;
    for (int i = 0; i + 1 < EXACT_SUM_LIMBS; i++) {
        const int64_t rest = sum->limbs[i] & LIMB_MASK;

        sum->limbs[i + 1] += (sum->limbs[i] - rest) / (LIMB_MASK + 1);
        sum->limbs[i] = rest;
    }
    sum->n_waiting = 0;
}

/* += or -= n * 2^(bit + EXACT_SUM_LOWEST) */
static void add_at(struct exact_sum *sum, uint64_t n, int bit, bool negative)
{
    int64_t *limbs = &sum->limbs[bit / LIMB_BITS];
    const int shift = bit % LIMB_BITS;
    const uint64_t low = n << shift;
    const int64_t parts[3] = {(int64_t)(low & 0xFFFFFFFF), (int64_t)(low >> 32),
                              shift > 0 ? (int64_t)(n >> (64 - shift)) : 0};

    for (int i = 0; i < 3; i++)
        limbs[i] += negative ? -parts[i] : parts[i];
}

/* value = +-mantissa * 2^(bit + EXACT_SUM_LOWEST) */
static uint64_t take_apart(double value, int *bit, bool *negative)
{
    uint64_t bits, mantissa;
    int exponent;

    memcpy(&bits, &value, sizeof(bits));
    exponent = (int)(bits >> 52 & 0x7FF);
    mantissa = bits & ((UINT64_C(1) << 52) - 1);
    assert(exponent < 0x7FF && "an exact sum takes finite numbers");
    *negative = bits >> 63 != 0;
    *bit = LEAST_BIT + (exponent > 0 ? exponent - 1 : 0);
    return exponent > 0 ? mantissa | UINT64_C(1) << 52 : mantissa;
}

void exact_sum_add(struct exact_sum *sum, double value, uint64_t times)
{
    const uint64_t times_low = times & 0xFFFFFFFF, times_high = times >> 32;
    bool negative;
    int bit;
    const uint64_t mantissa = take_apart(value, &bit, &negative);
    const uint64_t low = mantissa & 0xFFFFFFFF, high = mantissa >> 32;

    add_at(sum, low * times_low, bit, negative);
    add_at(sum, high * times_low, bit + 32, negative);
    if (times_high > 0) {
        add_at(sum, low * times_high, bit + 32, negative);
        add_at(sum, high * times_high, bit + 64, negative);
    }
    if (++sum->n_waiting == MAX_WAITING)
        carry(sum);
}

void exact_sum_add_product(struct exact_sum *sum, double a, double b)
{
    const double product = a * b;

    exact_sum_add(sum, product, 1);
    exact_sum_add(sum, fma(a, b, -product), 1);
}

void exact_sum_merge(struct exact_sum *sum, const struct exact_sum *other)
{
    struct exact_sum carried = *other;

    carry(&carried);
    for (int i = 0; i < EXACT_SUM_LIMBS; i++)
        sum->limbs[i] += carried.limbs[i];
    if (++sum->n_waiting == MAX_WAITING)
        carry(sum);
}

/* |sum| with its carries moved up; true: the sum is below 0. */
static bool magnitude(const struct exact_sum *sum, struct exact_sum *result)
{
    *result = *sum;
    carry(result);
    if (result->limbs[EXACT_SUM_LIMBS - 1] >= 0)
        return false;
    for (int i = 0; i < EXACT_SUM_LIMBS; i++)
        result->limbs[i] = -result->limbs[i];
    result->n_waiting = 1;
    carry(result);
    return true;
}

static bool bit_of(const struct exact_sum *magnitude, int bit)
{
    return (magnitude->limbs[bit / LIMB_BITS] >> bit % LIMB_BITS & 1) != 0;
}

/* The highest bit that is set; -1: none. */
static int highest_bit(const struct exact_sum *magnitude)
{
    int bit = N_BITS - 1;

    while (bit >= 0 && magnitude->limbs[bit / LIMB_BITS] == 0)
        bit -= LIMB_BITS;
    while (bit >= 0 && !bit_of(magnitude, bit))
        bit--;
    return bit;
}

static bool any_below(const struct exact_sum *magnitude, int bit)
{
    for (int i = 0; i < bit / LIMB_BITS; i++) {
        if (magnitude->limbs[i] != 0)
            return true;
    }
    for (int i = bit / LIMB_BITS * LIMB_BITS; i < bit; i++) {
        if (bit_of(magnitude, i))
            return true;
    }
    return false;
}

double exact_sum_value(const struct exact_sum *sum)
{
    struct exact_sum m;
    const bool negative = magnitude(sum, &m);
    const int highest = highest_bit(&m);
    const int lowest = highest - 52 > LEAST_BIT ? highest - 52 : LEAST_BIT;
    uint64_t mantissa = 0;
    double value;

    for (int bit = highest; bit >= lowest; bit--)
        mantissa = mantissa << 1 | bit_of(&m, bit);
    /* to the nearest; of two that are as near, to the even one */
    if (bit_of(&m, lowest - 1) && (any_below(&m, lowest - 1) || (mantissa & 1) != 0))
        mantissa++;
    value = ldexp((double)mantissa, lowest + EXACT_SUM_LOWEST);
    return negative ? -value : value;
}

/* Takes the nearest double away from the sum, and returns it: what is left is what rounding
 * dropped. */
static double take_value(struct exact_sum *sum)
{
    const double value = exact_sum_value(sum);

    exact_sum_add(sum, -value, 1);
    return value;
}

double exact_sum_spread(const struct exact_sum *sum, const struct exact_sum *squares, uint64_t n)
{
    double parts[N_BITS / 53 + 2]; /* of the sum, which they add up to */
    struct exact_sum left = *sum, spread = {0};
    int n_parts = 0;
    double part;

    while ((part = take_value(&left)) != 0)
        parts[n_parts++] = part;
    for (int i = 0; i < n_parts; i++) {
        for (int k = 0; k < n_parts; k++)
            exact_sum_add_product(&spread, -parts[i], parts[k]);
    }
    left = *squares;
    while ((part = take_value(&left)) != 0)
        exact_sum_add(&spread, part, n);
    return exact_sum_value(&spread);
}

/* ---- as text ---- */

static unsigned hex_digit_of(const struct exact_sum *magnitude, int digit)
{
    return (unsigned)(magnitude->limbs[digit * 4 / LIMB_BITS] >> digit * 4 % LIMB_BITS & 15);
}

void exact_sum_write(const struct exact_sum *sum, struct buf *out)
{
    struct exact_sum m;
    const bool negative = magnitude(sum, &m);
    const int highest = highest_bit(&m) / 4;
    int lowest = 0;

    if (highest_bit(&m) < 0) {
        buf_append_char(out, '0');
        return;
    }
    while (m.limbs[lowest * 4 / LIMB_BITS] == 0)
        lowest += LIMB_BITS / 4;
    while (hex_digit_of(&m, lowest) == 0)
        lowest++;
    buf_append_string(out, negative ? "-0x" : "0x");
    for (int digit = highest; digit >= lowest; digit--)
        buf_append_char(out, "0123456789abcdef"[hex_digit_of(&m, digit)]);
    buf_printf(out, "p%d", lowest * 4 + EXACT_SUM_LOWEST);
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* "p-64" up to the end: the number of the lowest digit; -1: it is none of ours. */
static int read_lowest(struct text text)
{
    char written[16];
    int exponent = 0;
    size_t at = 1;

    if (at < text.len && text.ptr[at] == '-')
        at++;
    if (text.len - at > 4)
        return -1;
    for (size_t i = at; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return -1;
        exponent = exponent * 10 + (text.ptr[i] - '0');
    }
    exponent = at > 1 ? -exponent : exponent;
    /* one spelling a number */
    snprintf(written, sizeof(written), "p%d", exponent);
    if (!text_is(text, written) || exponent < EXACT_SUM_LOWEST || exponent % 4 != 0)
        return -1;
    return (exponent - EXACT_SUM_LOWEST) / 4;
}

bool exact_sum_read(struct text text, struct exact_sum *sum)
{
    const bool negative = text.len > 0 && text.ptr[0] == '-';
    struct exact_sum read = {0}, m;
    size_t first, n = 0;
    int lowest;

    if (text_is(text, "0")) {
        *sum = read;
        return true;
    }
    first = negative ? 3 : 2;
    if (text.len <= first || memcmp(text.ptr + (negative ? 1 : 0), "0x", 2) != 0)
        return false;
    while (first + n < text.len && hex_value(text.ptr[first + n]) >= 0)
        n++;
    if (n == 0 || first + n == text.len || text.ptr[first + n] != 'p' || text.ptr[first] == '0' ||
        text.ptr[first + n - 1] == '0')
        return false;
    lowest = read_lowest((struct text){text.ptr + first + n, text.len - first - n});
    if (lowest < 0 || n > MAX_DIGITS || lowest + (int)n > MAX_DIGITS)
        return false;
    for (size_t i = 0; i < n; i++)
        add_at(&read, (uint64_t)hex_value(text.ptr[first + i]), (lowest + (int)(n - 1 - i)) * 4,
               negative);
    read.n_waiting = 1;
    magnitude(&read, &m);
    if (any_below(&m, LEAST_BIT)) /* no sum of doubles */
        return false;
    *sum = read;
    return true;
}

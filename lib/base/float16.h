/* The two 16-bit float formats <-> float. f16 is IEEE 754 binary16, bf16 the upper half of a float.
 * Conversions to 16 bits round to nearest, ties to even. */
#ifndef BASE_FLOAT16_H
#define BASE_FLOAT16_H

#include <stdint.h>
#include <string.h>

/* A float of 32 bits also where tests compute with wider ones (tests/double/double.h). */
typedef __typeof__(1.0f) float32;

static inline float float_from_bits(uint32_t bits)
{
    float32 f;

    memcpy(&f, &bits, sizeof(f));
    return f;
}

static inline uint32_t float_to_bits(float f)
{
    const float32 narrow = (float32)f;
    uint32_t bits;

    memcpy(&bits, &narrow, sizeof(bits));
    return bits;
}

static inline float bf16_to_float(uint16_t h)
{
    return float_from_bits((uint32_t)h << 16);
}

static inline float f16_to_float(uint16_t h)
{
    const uint32_t sign = (uint32_t)(h & 0x8000u) << 16;
    const uint32_t exponent = (h >> 10) & 31u;
    const uint32_t fraction = h & 0x3FFu;

    if (exponent == 31) /* infinity, NaN */
        return float_from_bits(sign | 0x7F800000u | fraction << 13);
    if (exponent == 0) /* zero, subnormal: fraction * 2^-24, exact in a float */
        return float_from_bits(sign | float_to_bits((float)fraction * 0x1p-24f));
    return float_from_bits(sign | (exponent + 112) << 23 | fraction << 13);
}

static inline uint16_t float_to_bf16(float f)
{
    const uint32_t bits = float_to_bits(f);

    if (f != f)
        return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

static inline uint16_t float_to_f16(float f)
{
    const uint32_t bits = float_to_bits(f), sign = bits >> 16 & 0x8000u;
    const uint32_t size = bits & 0x7FFFFFFFu;

    if (size > 0x7F800000u) /* NaN */
        return (uint16_t)(sign | 0x7E00u);
    if (size >= 0x477FF000u) /* 65520 and more round to infinity */
        return (uint16_t)(sign | 0x7C00u);
    if (size < 0x38800000u) /* below 2^-14: the sum rounds to a multiple of 2^-24 */
        return (uint16_t)(sign | (float_to_bits(float_from_bits(size) + 0.5f) - 0x3F000000u));
    return (uint16_t)(sign | ((size - 0x38000000u + 0xFFF + (size >> 13 & 1)) >> 13));
}

#endif

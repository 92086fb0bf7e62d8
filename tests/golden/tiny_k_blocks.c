/* ggml's blocks of 256, as block_q4_K, block_q5_K and block_q6_K of its ggml-common.h lay them out.
 * The numbers are the nearest ones to each part's own range, not the best that a quantiser could
 * search. */
#include "tests/golden/tiny.h"

#include <math.h>
#include <string.h>

#include "base/float16.h"

static void put_f16(uint8_t *out, float x)
{
    const uint16_t bits = tiny_f16(x);

    out[0] = (uint8_t)bits;
    out[1] = (uint8_t)(bits >> 8);
}

static float rounded_f16(float x)
{
    return f16_to_float(tiny_f16(x));
}

static int nearest(float x, float step, int low, int high)
{
    const float q = step != 0 ? x / step : 0;

    if (q <= (float)low)
        return low;
    return q >= (float)high ? high : low + (int)(q - (float)low + 0.5f);
}

/* Six bits each: eight scales, eight minima. */
static void put_scales(uint8_t *out, const int *scales, const int *minima)
{
    for (int i = 0; i < 4; i++) {
        out[i] = (uint8_t)(scales[i] | (scales[i + 4] >> 4) << 6);
        out[i + 4] = (uint8_t)(minima[i] | (minima[i + 4] >> 4) << 6);
        out[i + 8] = (uint8_t)((scales[i + 4] & 15) | (minima[i + 4] & 15) << 4);
    }
}

/* y = d scale q - dmin minimum, eight parts of 32; q of 0 to `most`. The factors are written, the
 * codes are for the caller to write. */
static void round_k(const float *x, int most, uint8_t *out, uint8_t q[256])
{
    float ranges[8], lows[8], d = 0, dmin = 0;
    int scales[8], minima[8];

    for (int i = 0; i < 8; i++) {
        float low = 0, high = 0;

        for (int j = 0; j < 32; j++) {
            low = x[32 * i + j] < low ? x[32 * i + j] : low;
            high = x[32 * i + j] > high ? x[32 * i + j] : high;
        }
        ranges[i] = (high - low) / (float)most;
        lows[i] = -low;
        d = ranges[i] > d ? ranges[i] : d;
        dmin = lows[i] > dmin ? lows[i] : dmin;
    }
    d = rounded_f16(d / 63);
    dmin = rounded_f16(dmin / 63);
    for (int i = 0; i < 8; i++) {
        scales[i] = nearest(ranges[i], d, 0, 63);
        minima[i] = nearest(lows[i], dmin, 0, 63);
        for (int j = 0; j < 32; j++)
            q[32 * i + j] = (uint8_t)nearest(x[32 * i + j] + dmin * (float)minima[i],
                                             d * (float)scales[i], 0, most);
    }
    put_f16(out, d);
    put_f16(out + 2, dmin);
    put_scales(out + 4, scales, minima);
}

/* The lower halves of codes; parts 2n and 2n + 1 share bytes. */
static void put_nibbles(const uint8_t q[256], uint8_t *out)
{
    for (int i = 0; i < 128; i++)
        out[i] =
            (uint8_t)((q[i / 32 * 64 + i % 32] & 15) | (q[i / 32 * 64 + 32 + i % 32] & 15) << 4);
}

void tiny_put_q4_k(const float *x, uint8_t *out)
{
    uint8_t q[256];

    round_k(x, 15, out, q);
    put_nibbles(q, out + 16);
}

void tiny_put_q5_k(const float *x, uint8_t *out)
{
    uint8_t q[256];

    round_k(x, 31, out, q);
    memset(out + 16, 0, 32);
    for (int i = 0; i < 256; i++) /* the fifth bit of part n is bit n */
        out[16 + i % 32] = (uint8_t)(out[16 + i % 32] | q[i] >> 4 << i / 32);
    put_nibbles(q, out + 48);
}

/* y = d scale (q - 32), sixteen parts of 16 */
void tiny_put_q6_k(const float *x, uint8_t *out)
{
    uint8_t *low = out, *high = out + 128, *scales = out + 192;
    float steps[16], d = 0;
    uint8_t q[256];

    for (int i = 0; i < 16; i++) {
        float most = 0;

        for (int j = 0; j < 16; j++)
            most = fabsf(x[16 * i + j]) > most ? fabsf(x[16 * i + j]) : most;
        steps[i] = most / 31;
        d = steps[i] > d ? steps[i] : d;
    }
    d = rounded_f16(d / 127);
    for (int i = 0; i < 16; i++) {
        const int scale = nearest(steps[i], d, 0, 127);

        scales[i] = (uint8_t)scale;
        for (int j = 0; j < 16; j++)
            q[16 * i + j] = (uint8_t)(nearest(x[16 * i + j], d * (float)scale, -32, 31) + 32);
    }
    put_f16(out + 208, d);
    for (int half = 0; half < 2; half++, low += 64, high += 32) {
        const uint8_t *p = q + 128 * half;

        for (int j = 0; j < 32; j++) {
            low[j] = (uint8_t)((p[j] & 15) | (p[j + 64] & 15) << 4);
            low[j + 32] = (uint8_t)((p[j + 32] & 15) | (p[j + 96] & 15) << 4);
            high[j] = (uint8_t)(p[j] >> 4 | (p[j + 32] >> 4) << 2 | (p[j + 64] >> 4) << 4 |
                                (p[j + 96] >> 4) << 6);
        }
    }
}

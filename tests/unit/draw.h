/* The inputs of the golden cases of METEORA's selection: SplitMix64 (Steele, Lea, Flood 2014),
 * seeded by the number of the case. tests/golden/meteora.py draws the same. */
#ifndef UNIT_DRAW_H
#define UNIT_DRAW_H

#include <stdint.h>

struct draw {
    uint64_t state;
};

static inline uint64_t draw_below(struct draw *draw, uint64_t n)
{
    uint64_t z = draw->state += UINT64_C(0x9E3779B97F4A7C15);

    z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
    return (z ^ z >> 31) % n;
}

/* Score j of a list of one of 8 shapes; numerator over denominator, so that both sides divide
 * alike. */
static inline double draw_score(struct draw *draw, uint64_t shape, uint64_t j, uint64_t base)
{
    switch (shape) {
    case 0: /* anything */
        return (double)draw_below(draw, 1000000) / 1000000;
    case 1: /* many ties */
        return (double)draw_below(draw, 4) / 4;
    case 2: /* flat */
        return (double)(base + 1) / 100;
    case 3: /* equal steps that are not exact in binary */
        return (double)(1000 - j * (base % 17)) / 1000;
    case 4: /* equal steps that are */
        return (double)(512 - 4 * j) / 512;
    case 5: /* a few relevant, the rest not */
        if (draw_below(draw, 10) < base % 6)
            return (double)(650 + draw_below(draw, 150)) / 1000;
        return (double)(100 + draw_below(draw, 250)) / 1000;
    case 6: /* steps about the size that counts as none */
        return (double)(UINT64_C(500000000000) + draw_below(draw, 4000)) / 1000000000000.0;
    default: /* halving */
        return (double)(UINT64_C(1) << (30 - j % 30)) / (double)(UINT64_C(1) << 30);
    }
}

#endif

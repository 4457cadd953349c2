/* The codes of 8-bit optimizer states, as bitsandbytes' CPU library looks them up: a number from -1
 * to 1 is that of the nearest of 65536 steps, and a step has the code of the value nearest to it.
 * Numbers within half a step of 0 so become the value nearest to 0x1p-16: a second moment
 * that is not 0 does not become 0. */
#ifndef HN_BACKEND_CPU_NEAREST8_H
#define HN_BACKEND_CPU_NEAREST8_H

#include <stdint.h>

enum { HN_NEAREST8_STEPS = 65536 };

struct hn_nearest8 {
    uint8_t code[HN_NEAREST8_STEPS];
};

/* For an ascending map of 256 values; about 0.2 ms. */
void hn_nearest8_make(struct hn_nearest8 *out, const float map[256]);

/* The code of x; beyond -1 and 1, that of the end. */
static inline uint8_t hn_nearest8(const struct hn_nearest8 *map, float x)
{
    x = x > -1 ? x < 1 ? x : 1 : -1;
    return map->code[(int)((x + 1) * 0.5f * (HN_NEAREST8_STEPS - 1) + 0.5f)];
}

#endif

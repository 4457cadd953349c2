/* The nearest of 256 values without a search, for 8-bit optimizer states.
 *
 * A bucket is all floats of one sign, exponent and seven leading bits of mantissa.  The dynamic
 * maps' steps are wider, so that a bucket holds one bound at most:
 *
 *      code = first[bucket of x] + (x > bound[first])                bound[c]: the last x of code c
 *
 * Magnitudes below 2^-23 share a bucket (zero's), and so do those from 1 on. */
#ifndef HN_BACKEND_CPU_NEAREST8_H
#define HN_BACKEND_CPU_NEAREST8_H

#include <stdint.h>
#include <string.h>

enum { HN_NEAREST8_OCTAVES = 23, HN_NEAREST8_BUCKETS = HN_NEAREST8_OCTAVES * 128 + 2 };

struct hn_nearest8 {
    uint8_t first[2][HN_NEAREST8_BUCKETS]; /* of positive numbers, of negative ones */
    float bound[256];
};

/* For one of the dynamic maps, or another with values as far apart; about 0.1 ms. */
void hn_nearest8_make(struct hn_nearest8 *out, const float map[256]);

/* The number of the value nearest to x, -1 <= x <= 1; of two as near, the lower. */
static inline uint8_t hn_nearest8(const struct hn_nearest8 *map, float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    int k = (int)((bits & 0x7fffffff) >> 16) - ((127 - HN_NEAREST8_OCTAVES) * 128 - 1);
    k = k < 0 ? 0 : k >= HN_NEAREST8_BUCKETS ? HN_NEAREST8_BUCKETS - 1 : k;
    uint8_t first = map->first[bits >> 31][k];
    return (uint8_t)(first + (x > map->bound[first]));
}

#endif

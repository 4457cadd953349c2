/* Makes the index of hn_nearest8. */
#include "backend/cpu/nearest8.h"

#include <math.h>
#include <stdbool.h>

/* In float32, as the definition says: near both values the differences may be rounded alike. */
static bool lower_is_nearest(float low, float high, float x)
{
    return fabsf(x - low) <= fabsf(x - high);
}

static float bound_between(float low, float high)
{
    float x = low + (high - low) / 2, above = nextafterf(x, high);
    for (; lower_is_nearest(low, high, above); above = nextafterf(x, high))
        x = above;
    while (!lower_is_nearest(low, high, x))
        x = nextafterf(x, low);
    return x;
}

/* Where bucket k of positive numbers begins; those of negative ones are its mirror images. */
static float bucket_start(int k)
{
    uint32_t bits = ((127 - HN_NEAREST8_OCTAVES) * 128 + (uint32_t)k - 1) << 16;
    float x = 0;
    if (k > 0)
        memcpy(&x, &bits, sizeof x);
    return x;
}

static uint8_t code_from(const struct hn_nearest8 *out, int code, float x)
{
    while (x > out->bound[code])
        code++;
    return (uint8_t)code;
}

void hn_nearest8_make(struct hn_nearest8 *out, const float map[256])
{
    enum { LAST = HN_NEAREST8_BUCKETS - 1 };
    int code = 0;
    for (int c = 0; c < 255; c++)
        out->bound[c] = bound_between(map[c], map[c + 1]);
    out->bound[255] = INFINITY;
    /* Ascending: a bucket of negative numbers begins just after the next one's mirrored start. */
    for (int k = LAST; k >= 0; k--) {
        float x = k == LAST ? -INFINITY : nextafterf(-bucket_start(k + 1), 0);
        code = out->first[1][k] = code_from(out, code, x);
    }
    for (int k = 0; k <= LAST; k++)
        code = out->first[0][k] = code_from(out, code, bucket_start(k));
}

#include "base/rng_peers.h"

enum { N = 624, M = 397 };

void hn_numpy_seed(struct hn_numpy_rng *r, uint32_t seed)
{
    r->state[0] = seed;
    for (uint32_t i = 1; i < N; i++)
        r->state[i] = 1812433253u * (r->state[i - 1] ^ r->state[i - 1] >> 30) + i;
    r->at = N;
}

static uint32_t numpy_u32(struct hn_numpy_rng *r)
{
    uint32_t *s = r->state;
    if (r->at == N) {
        for (int i = 0; i < N; i++) {
            uint32_t y = (s[i] & 0x80000000u) | (s[(i + 1) % N] & 0x7fffffffu);
            s[i] = s[(i + M) % N] ^ y >> 1 ^ (y & 1 ? 0x9908b0dfu : 0);
        }
        r->at = 0;
    }
    uint32_t y = s[r->at++];
    y ^= y >> 11;
    y ^= y << 7 & 0x9d2c5680u;
    y ^= y << 15 & 0xefc60000u;
    return y ^ y >> 18;
}

/* random_interval: masked words until one is at most max. */
static uint32_t interval(struct hn_numpy_rng *r, uint32_t max)
{
    uint32_t mask = max, v;
    if (max == 0)
        return 0;
    for (int shift = 1; shift < 32; shift *= 2)
        mask |= mask >> shift;
    do {
        v = numpy_u32(r) & mask;
    } while (v > max);
    return v;
}

void hn_numpy_permutation(struct hn_numpy_rng *r, uint64_t *items, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        items[i] = i;
    for (uint64_t i = n; i-- > 1;) {
        uint64_t j = interval(r, (uint32_t)i), t = items[i];
        items[i] = items[j];
        items[j] = t;
    }
}

/* Threefry-2x32 with 20 rounds (Salmon et al. 2011). */
static void threefry(const uint32_t key[2], uint32_t a, uint32_t b, uint32_t out[2])
{
    static const uint32_t turns[2][4] = {{13, 15, 26, 6}, {17, 29, 16, 24}};
    const uint32_t ks[3] = {key[0], key[1], key[0] ^ key[1] ^ 0x1bd11bdau};
    a += ks[0];
    b += ks[1];
    for (uint32_t i = 0; i < 5; i++) {
        for (int k = 0; k < 4; k++) {
            a += b;
            b = b << turns[i % 2][k] | b >> (32 - turns[i % 2][k]);
            b ^= a;
        }
        a += ks[(i + 1) % 3];
        b += ks[(i + 2) % 3] + i + 1;
    }
    out[0] = a;
    out[1] = b;
}

/* Word i of n: mlx hashes pairs of counters, one from each half of the output. */
static uint32_t word(const uint32_t key[2], uint32_t i, uint32_t n)
{
    uint32_t half = n / 2, second = half + n % 2, out[2];
    if (i < half) {
        threefry(key, i, second + i, out);
        return out[0];
    }
    if (i < second) { /* the odd one */
        threefry(key, half, 0, out);
        return out[0];
    }
    threefry(key, i - second, i, out);
    return out[1];
}

void hn_mlx_seed(struct hn_mlx_rng *r, uint64_t seed)
{
    r->key[0] = (uint32_t)(seed >> 32);
    r->key[1] = (uint32_t)seed;
}

static void split(struct hn_mlx_rng *r, uint32_t used[2])
{
    uint32_t kept[2] = {word(r->key, 0, 4), word(r->key, 1, 4)};
    used[0] = word(r->key, 2, 4);
    used[1] = word(r->key, 3, 4);
    r->key[0] = kept[0];
    r->key[1] = kept[1];
}

void hn_mlx_skip(struct hn_mlx_rng *r)
{
    uint32_t unused[2];
    split(r, unused);
}

void hn_mlx_uniform(struct hn_mlx_rng *r, float low, float high, float *out, uint32_t n)
{
    uint32_t key[2];
    float range = high - low;
    split(r, key);
    for (uint32_t i = 0; i < n; i++) {
        float u = (float)word(key, i, n) / 4294967296.0f;
        u = u < 0x1.fffffep-1f ? u : 0x1.fffffep-1f;
        out[i] = range * u + low;
    }
}

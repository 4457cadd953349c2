#include "base/rng.h"

void hn_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4])
{
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
    uint32_t k0 = key[0], k1 = key[1];
    for (int round = 0; round < 10; round++) {
        uint64_t p0 = (uint64_t)0xD2511F53u * c0, p1 = (uint64_t)0xCD9E8D57u * c2;
        c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
        c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c1 = (uint32_t)p1;
        c3 = (uint32_t)p0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    out[0] = c0, out[1] = c1, out[2] = c2, out[3] = c3;
}

void hn_rng_init(struct hn_rng *r, uint64_t seed, uint32_t stream)
{
    *r = (struct hn_rng){.key = {(uint32_t)seed, (uint32_t)(seed >> 32)},
                         .counter = {0, 0, 0, stream}};
}

uint32_t hn_rng_u32(struct hn_rng *r)
{
    if (r->left == 0) {
        hn_philox(r->counter, r->key, r->words);
        if (++r->counter[0] == 0)
            r->counter[1]++;
        r->left = 4;
    }
    return r->words[4 - r->left--];
}

uint64_t hn_rng_below(struct hn_rng *r, uint64_t n)
{
    /* Rejection keeps it exactly uniform. */
    uint64_t reject = -n % n, v;
    do {
        uint64_t high = hn_rng_u32(r);
        v = high << 32 | hn_rng_u32(r);
    } while (v < reject);
    return v % n;
}

double hn_rng_uniform(struct hn_rng *r)
{
    uint64_t high = hn_rng_u32(r);
    return (double)((high << 32 | hn_rng_u32(r)) >> 11) * 0x1p-53;
}

void hn_rng_permutation(struct hn_rng *r, uint64_t *items, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        items[i] = i;
    for (uint64_t i = n; i > 1; i--) {
        uint64_t j = hn_rng_below(r, i), t = items[i - 1];
        items[i - 1] = items[j];
        items[j] = t;
    }
}

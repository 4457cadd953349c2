/* Random numbers that depend on their coordinates alone: Philox4x32-10 (Salmon et al., "Parallel
 * random numbers: as easy as 1, 2, 3", SC 2011).  The same key and counter give the same four words
 * on every machine, thread and backend. */
#ifndef HN_BASE_RNG_H
#define HN_BASE_RNG_H

#include "base/compiler.h"

void hn_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

/* A sequential stream over one key. */
struct hn_rng {
    uint32_t key[2], counter[4], words[4];
    int left;
};
void hn_rng_init(struct hn_rng *r, uint64_t seed, uint32_t stream);
uint32_t hn_rng_u32(struct hn_rng *r);
uint64_t hn_rng_below(struct hn_rng *r, uint64_t n); /* uniform in [0, n); n > 0 */
double hn_rng_uniform(struct hn_rng *r);             /* [0, 1), 53 bits */
/* items[i] = a random order of 0..n-1 (Fisher-Yates). */
void hn_rng_permutation(struct hn_rng *r, uint64_t *items, uint64_t n);

#endif

/* The random numbers of other systems, bit for bit, where a run has to repeat theirs: numpy's
 * legacy generator (np.random.seed, np.random.permutation) and mlx's (mx.random.seed,
 * mx.random.uniform).
 */
#ifndef HN_BASE_RNG_PEERS_H
#define HN_BASE_RNG_PEERS_H

#include "base/compiler.h"

/* MT19937 (Matsumoto and Nishimura 1998), seeded by one word as init_genrand. */
struct hn_numpy_rng {
    uint32_t state[624];
    int at;
};
void hn_numpy_seed(struct hn_numpy_rng *r, uint32_t seed);
/* items[n] = np.random.permutation(n), n <= 2^32 */
void hn_numpy_permutation(struct hn_numpy_rng *r, uint64_t *items, uint64_t n);

/* mx.random's implicit key: every draw splits it in two, keeps one half and uses the other. */
struct hn_mlx_rng {
    uint32_t key[2];
};
void hn_mlx_seed(struct hn_mlx_rng *r, uint64_t seed);
/* A draw whose numbers are not wanted. */
void hn_mlx_skip(struct hn_mlx_rng *r);
/* out[n] = mx.random.uniform(low, high, (n,)) in float32 */
void hn_mlx_uniform(struct hn_mlx_rng *r, float low, float high, float *out, uint32_t n);

#endif

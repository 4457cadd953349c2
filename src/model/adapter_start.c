#include "model/adapter_start.h"
#include "base/mem.h"
#include "base/rng_peers.h"

#include <math.h>

/* A block's linears in the order in which mlx's named_modules walks them: last attribute first. */
static const enum hn_linear_id order[] = {
    HN_LINEAR_UP, HN_LINEAR_DOWN, HN_LINEAR_GATE, HN_LINEAR_O,
    HN_LINEAR_V,  HN_LINEAR_K,    HN_LINEAR_Q,
};
_Static_assert(HN_COUNT(order) == HN_LINEAR_COUNT, "every linear has its turn");

int hn_adapters_draw_mlx(struct hone_model *m, uint64_t seed, struct hone_err *err)
{
    struct hn_mlx_rng rng;
    hn_mlx_seed(&rng, seed);
    for (int64_t i = 0; i < m->spec.n_layers * HN_LINEAR_COUNT; i++) {
        struct hn_lora *lo = hn_adapters_get(m, i / HN_LINEAR_COUNT, order[i % HN_LINEAR_COUNT]);
        if (!lo)
            continue;
        struct hn_tensor *to = &lo->a->part[HN_PART_PARAM];
        int64_t rank = to->rows, in = to->cols;
        /* Its LoRALinear (or DoRALinear) makes a linear of its own first, and drops it. */
        hn_mlx_skip(&rng);
        if (rank * in > UINT32_MAX)
            return hn_fail(err, HONE_USAGE, "a rank of %lld is too large for mlx-lm's start",
                           (long long)rank);
        float *drawn = hn_calloc((size_t)(rank * in), sizeof *drawn); /* [in, R] */
        float *a = hn_calloc((size_t)(rank * in), sizeof *a);         /* [R, in] */
        float bound = (float)(1 / sqrt((double)in));
        if (drawn && a) {
            hn_mlx_uniform(&rng, -bound, bound, drawn, (uint32_t)(rank * in));
            for (int64_t k = 0; k < rank * in; k++)
                a[k % rank * in + k / rank] = drawn[k];
            m->backend->write(m->dev, to, a);
        }
        bool failed = !drawn || !a;
        hn_free(drawn);
        hn_free(a);
        if (failed)
            return hn_fail_memory(err, "making an adapter");
    }
    return 0;
}

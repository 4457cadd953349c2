#include "model/memory.h"
#include "base/os.h"

void hn_memory_plan(const struct hone_model *m, const struct hn_plan *const *plans, size_t n,
                    uint64_t cache_size, uint64_t host_size, struct hone_memory_plan *out)
{
    uint64_t params = (uint64_t)m->adapters.n_parameters * sizeof(float);
    uint64_t arena = 0, scratch = 0;
    struct hone_memory_plan p = {0};
    for (size_t i = 0; i < n; i++) {
        arena = HN_MAX(arena, (uint64_t)plans[i]->arena_size);
        scratch = HN_MAX(scratch, (uint64_t)m->backend->scratch_size(m->dev, &plans[i]->limits));
    }
    p.weights = m->mapped_bytes;
    p.repacked = m->private_bytes;
    p.adapter = params;
    if (m->adapters.training) {
        p.gradients = params;
        p.optimizer =
            (uint64_t)(hn_adapters_count(m, HN_PART_M) + hn_adapters_count(m, HN_PART_V)) *
            sizeof(float);
    }
    p.kept = HN_MIN((uint64_t)plans[0]->kept_size, arena);
    p.working = arena - p.kept + scratch;
    p.cache = cache_size;
    p.max_tokens = plans[0]->limits.max_tokens;
    /* What the process holds by now, less the parts counted above that it may hold already. */
    uint64_t anonymous, mapped, counted = p.repacked + m->adapters.arena_size;
    hn_resident(&anonymous, &mapped);
    mapped -= HN_MIN(mapped, m->touched_bytes);
    p.process = HN_MAX(anonymous, counted) - counted + mapped + host_size;
    p.total = p.process + p.weights + p.repacked + p.adapter + p.gradients + p.optimizer + p.kept +
              p.working + p.cache;
    *out = p;
}

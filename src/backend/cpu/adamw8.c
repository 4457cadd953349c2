/* AdamW whose moments are stored as 8-bit codes, as bitsandbytes' blockwise optimizers store them:
 * a block of 256 numbers is widened, stepped in float32, and rounded again to values of the dynamic
 * map times the block's largest magnitude.  Tensors of fewer than HN_STATE8_MIN numbers keep
 * float32 moments.
 *
 *      codes [n] bytes, to a multiple of 4 | largest [ceil(n/256)] float32
 */
#include "backend/cpu/dynamic_map.h"
#include "backend/cpu/nearest8.h"
#include "backend/cpu/vector.h"

#include <math.h>
#include <string.h>

struct job {
    const struct hn_cpu_vector *vector;
    struct hn_tensor *const *x, *const *grad, *const *m, *const *v;
    size_t n;
    struct hn_cpu_adamw k;
    struct hn_nearest8 of_signed, of_unsigned;
};

static float *largest(struct hn_tensor *state, int64_t n)
{
    return (float *)state->data + (n + 3) / 4;
}

static void widen(float *out, const uint8_t *codes, const float *map, float by, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        out[i] = map[codes[i]] * by;
}

static float narrow(uint8_t *codes, const float *x, const struct hn_nearest8 *map, int64_t n)
{
    float most[8] = {0}, top = 0; /* eight chains: one would wait for itself */
    int64_t i = 0;
    for (; i + 8 <= n; i += 8)
        for (int l = 0; l < 8; l++)
            most[l] = fabsf(x[i + l]) > most[l] ? fabsf(x[i + l]) : most[l];
    for (; i < n; i++)
        top = HN_MAX(top, fabsf(x[i]));
    for (int l = 0; l < 8; l++)
        top = HN_MAX(top, most[l]);
    if (top == 0) {
        memset(codes, 0, (size_t)n);
        return 0;
    }
    float inverse = 1 / top;
    for (i = 0; i < n; i++)
        codes[i] = hn_nearest8(map, x[i] * inverse);
    return top;
}

static void step_blocks(const struct job *j, size_t k, int64_t part, int64_t n_parts)
{
    float m[HN_STATE8_BLOCK], v[HN_STATE8_BLOCK], *p = j->x[k]->data;
    const float *g = j->grad[k]->data;
    int64_t n = j->x[k]->rows * j->x[k]->cols, b, end;
    uint8_t *mc = j->m[k]->data, *vc = j->v[k]->data;
    float *m_most = largest(j->m[k], n), *v_most = largest(j->v[k], n);
    hn_pool_split((n + HN_STATE8_BLOCK - 1) / HN_STATE8_BLOCK, 1, part, n_parts, &b, &end);
    for (; b < end; b++) {
        int64_t at = b * HN_STATE8_BLOCK, size = HN_MIN(n - at, (int64_t)HN_STATE8_BLOCK);
        widen(m, mc + at, hn_dynamic_map_signed, m_most[b], size);
        widen(v, vc + at, hn_dynamic_map_unsigned, v_most[b], size);
        j->vector->adamw(p + at, g + at, m, v, size, &j->k);
        m_most[b] = narrow(mc + at, m, &j->of_signed, size);
        v_most[b] = narrow(vc + at, v, &j->of_unsigned, size);
    }
}

static void step_part(const struct job *j, int64_t part, int64_t n_parts)
{
    for (size_t k = 0; k < j->n; k++) {
        int64_t n = j->x[k]->rows * j->x[k]->cols, i, end;
        if (j->m[k]->rows * j->m[k]->cols != n) {
            step_blocks(j, k, part, n_parts);
            continue;
        }
        float *p = j->x[k]->data, *m = j->m[k]->data, *v = j->v[k]->data;
        const float *g = j->grad[k]->data;
        hn_pool_split(n, 64, part, n_parts, &i, &end);
        j->vector->adamw(p + i, g + i, m + i, v + i, end - i, &j->k);
    }
}

static void step_job(void *arg, struct hn_parts *parts)
{
    while (hn_parts_next(parts))
        step_part(arg, parts->at, parts->n);
}

void hn_cpu_adamw8(struct hn_device *dev, struct hn_tensor *const *param,
                   struct hn_tensor *const *grad, struct hn_tensor *const *m,
                   struct hn_tensor *const *v, size_t n, const struct hn_adamw *o)
{
    struct job j = {.vector = dev->vector, .x = param, .grad = grad, .m = m, .v = v, .n = n};
    int64_t total = 0;
    hn_cpu_adamw_constants(o, &j.k);
    hn_nearest8_make(&j.of_signed, hn_dynamic_map_signed);
    hn_nearest8_make(&j.of_unsigned, hn_dynamic_map_unsigned);
    for (size_t k = 0; k < n; k++) {
        int64_t size = param[k]->rows * param[k]->cols, words = m[k]->rows * m[k]->cols;
        HN_ASSERT(grad[k]->rows * grad[k]->cols == size);
        HN_ASSERT(words == size || words == hn_state8_words(size));
        HN_ASSERT(v[k]->rows * v[k]->cols == words);
        total += size;
    }
    hn_cpu_run(dev, step_job, &j, total * 16);
}

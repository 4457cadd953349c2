/* Attention of a few query rows over many keys, as one token of a group of heads asks for it: part
 * of vector_loops.h, which includes it.  Keys and values pass once, from memory through registers,
 * for up to V_FEW rows; more rows go in blocks, as even as can be, over a tile that the first block
 * has brought into cache.  V_FEW: as many rows as four vectors of sums each, one of each and one
 * more fit in the registers. */

enum { FEW_KEYS = 4, FEW_VECS = 4 }; /* keys of a step of scores; vectors of a step of weigh */

/* Ask for n bytes; the processor's own prefetching stops where rows or pages do. */
INLINE void few_prefetch(const char *p, int64_t n)
{
    for (int64_t i = 0; i < n; i += 64)
        HN_PREFETCH(p + i);
}

/* W elements of float16 or float32. */
INLINE vec few_get(bool half, const char *p)
{
    return half ? v_widen((const uint16_t *)(const void *)p)
                : v_load((const float *)(const void *)p);
}

/* n < W elements, and zeros. */
static vec few_get_part(bool half, const char *p, int64_t n)
{
    uint16_t x[W] = {0};
    if (!half)
        return v_load_part((const float *)(const void *)p, v_part(n));
    memcpy(x, p, (size_t)n * sizeof *x);
    return v_widen(x);
}

/* FEW_KEYS keys, n of them real, times nr rows of q. */
INLINE void few_scores(int nr, bool half, float *s, int64_t lds, const char *k, int64_t k_size,
                       const float *q, int64_t n, int64_t hd)
{
    const int element = half ? 2 : 4;
    const char *row[FEW_KEYS];
    vec sums[V_FEW][FEW_KEYS], x[V_FEW];
#pragma GCC unroll 4
    for (int j = 0; j < FEW_KEYS; j++)
        row[j] = k + (j < n ? j : 0) * k_size;
#pragma GCC unroll 4
    for (int r = 0; r < nr; r++)
#pragma GCC unroll 4
        for (int j = 0; j < FEW_KEYS; j++)
            sums[r][j] = v_set(0);
    int64_t i = 0;
    for (; i + W <= hd; i += W) {
#pragma GCC unroll 4
        for (int r = 0; r < nr; r++)
            x[r] = v_load(q + r * hd + i);
#pragma GCC unroll 4
        for (int j = 0; j < FEW_KEYS; j++) {
            vec y = few_get(half, row[j] + i * element);
#pragma GCC unroll 4
            for (int r = 0; r < nr; r++)
                sums[r][j] = v_fma(x[r], y, sums[r][j]);
        }
    }
    for (int j = 0; j < FEW_KEYS && i < hd; j++) {
        vec y = few_get_part(half, row[j] + i * element, hd - i);
        for (int r = 0; r < nr; r++)
            sums[r][j] = v_fma(v_load_part(q + r * hd + i, v_part(hd - i)), y, sums[r][j]);
    }
#pragma GCC unroll 4
    for (int r = 0; r < nr; r++)
        v_sums4(s + r * lds, sums[r]);
}

/* nv vectors of nr rows: y = y shrink + s v; ragged: of the one vector, n elements are real. */
INLINE void few_weigh(int nr, int nv, bool half, bool ragged, float *y, int64_t hd,
                      const float *shrink, const float *s, int64_t lds, const char *v,
                      int64_t v_size, int64_t n_keys, int64_t n, const char *next)
{
    vec sums[V_FEW][FEW_VECS], x[V_FEW];
    part rest = v_part(ragged ? n : 0);
#pragma GCC unroll 4
    for (int r = 0; r < nr; r++)
#pragma GCC unroll 4
        for (int i = 0; i < nv; i++)
            sums[r][i] = v_mul(v_get(y + r * hd + i * W, !ragged, rest), v_set(shrink[r]));
    for (int64_t j = 0; j < n_keys; j++, v += v_size) {
        if (next)
            few_prefetch(next + j * v_size, hd * (half ? 2 : 4));
#pragma GCC unroll 4
        for (int r = 0; r < nr; r++)
            x[r] = v_set(s[r * lds + j]);
#pragma GCC unroll 4
        for (int i = 0; i < nv; i++) {
            vec z = ragged ? few_get_part(half, v, n) : few_get(half, v + i * W * (half ? 2 : 4));
#pragma GCC unroll 4
            for (int r = 0; r < nr; r++)
                sums[r][i] = v_fma(x[r], z, sums[r][i]);
        }
    }
#pragma GCC unroll 4
    for (int r = 0; r < nr; r++)
#pragma GCC unroll 4
        for (int i = 0; i < nv; i++)
            v_put(y + r * hd + i * W, !ragged, rest, sums[r][i]);
}

/* All keys, and then all elements, of nr rows. */
INLINE void few_scores_rows(int nr, bool half, float *s, int64_t lds, const struct hn_cpu_rows *k,
                            const float *q, int64_t n_keys, int64_t hd)
{
    const int64_t element = half ? 2 : 4, size = k->ld * element;
    for (int64_t j = 0; j < n_keys; j += FEW_KEYS) {
        for (int64_t i = j; k->next && i < HN_MIN(j + FEW_KEYS, n_keys); i++)
            few_prefetch((const char *)k->next + i * size, hd * element);
        few_scores(nr, half, s + j, lds, (const char *)k->data + j * size, size, q, n_keys - j, hd);
    }
}

INLINE void few_weigh_rows(int nr, bool half, float *y, const float *shrink, const float *s,
                           int64_t lds, const struct hn_cpu_rows *v, int64_t n_keys, int64_t hd)
{
    const int64_t element = half ? 2 : 4, size = v->ld * element;
    const char *p = v->data, *next = v->next;
    int64_t d = 0;
#define WEIGH(nv, ragged, n)                                                                       \
    few_weigh(nr, nv, half, ragged, y + d, hd, shrink, s, lds, p + d * element, size, n_keys, n,   \
              d ? NULL : next)
    for (; d + FEW_VECS * W <= hd; d += FEW_VECS * W)
        WEIGH(FEW_VECS, false, 0);
    for (; d + W <= hd; d += W)
        WEIGH(1, false, 0);
    if (d < hd)
        WEIGH(1, true, hd - d);
#undef WEIGH
}

/* f(nr, half, …) with both constants, so that each has its own registers. */
#define FEW_CASE(nr, half, f, ...)                                                                 \
    if (half)                                                                                      \
        f(nr, true, __VA_ARGS__);                                                                  \
    else                                                                                           \
        f(nr, false, __VA_ARGS__)
#define FEW_CASES(nr, half, f, ...)                                                                \
    if ((nr) == 1)                                                                                 \
        FEW_CASE(1, half, f, __VA_ARGS__);                                                         \
    else if ((nr) == 2)                                                                            \
        FEW_CASE(2, half, f, __VA_ARGS__);                                                         \
    else if (V_FEW == 3 || (nr) == 3)                                                              \
        FEW_CASE(3, half, f, __VA_ARGS__);                                                         \
    else                                                                                           \
        FEW_CASE(V_FEW, half, f, __VA_ARGS__);

/* Rows of the next block, of those that are left. */
INLINE int64_t few_block(int64_t rows)
{
    int64_t blocks = (rows + V_FEW - 1) / V_FEW;
    return (rows + blocks - 1) / blocks;
}

static void scores_few(float *s, int64_t lds, const struct hn_cpu_rows *k, const float *q,
                       int64_t n_rows, int64_t n_keys, int64_t hd)
{
    const bool half = k->type == HN_F16;
    for (int64_t n; n_rows > 0; n_rows -= n, s += n * lds, q += n * hd) {
        n = few_block(n_rows);
        FEW_CASES(n, half, few_scores_rows, s, lds, k, q, n_keys, hd)
    }
}

static void weigh_few(float *y, const float *shrink, const float *s, int64_t lds,
                      const struct hn_cpu_rows *v, int64_t n_rows, int64_t n_keys, int64_t hd)
{
    const bool half = v->type == HN_F16;
    for (int64_t n; n_rows > 0; n_rows -= n, s += n * lds, y += n * hd, shrink += n) {
        n = few_block(n_rows);
        FEW_CASES(n, half, few_weigh_rows, y, shrink, s, lds, v, n_keys, hd)
    }
}

/* n vectors of keys from j on: exp(factor s - top), in place, 0 where not seen. */
INLINE vec few_exps(int n, bool masked, float *s, int64_t j, vec f, vec top, ivec from, ivec to)
{
    vec x[4];
#pragma GCC unroll 4
    for (int k = 0; k < n; k++)
        x[k] = v_sub(v_mul(v_load(s + j + k * W), f), top);
    v_exps(x, n);
#pragma GCC unroll 4
    for (int k = 0; k < n; k++) {
        seen_lanes seen = v_seen(from, to, v_iadd(v_count(), v_key(j + k * W)));
        x[k] = masked ? v_if(seen, x[k]) : x[k];
        v_store(s + j + k * W, x[k]);
    }
    return n == 4 ? v_add(v_add(x[0], x[1]), v_add(x[2], x[3])) : x[0];
}

/* One row: its keys [lo, hi) count; masked is a constant. */
INLINE void softmax_row(bool masked, float *s, int64_t n_keys, float factor, int64_t lo, int64_t hi,
                        float *max, float *sum, float *shrink)
{
    const ivec from = v_key(lo), to = v_key(hi);
    vec f = v_set(factor), top = v_set(*max), total = v_set(0);
    float lanes[W], most = *max;
    for (int64_t j = 0; j < n_keys; j += W) {
        vec x = v_mul(v_load(s + j), f);
        top = masked ? v_seen_max(v_seen(from, to, v_iadd(v_count(), v_key(j))), top, x)
                     : v_max(top, x);
    }
    v_store(lanes, top);
    for (int i = 0; i < W; i++)
        most = lanes[i] > most ? lanes[i] : most;
    top = v_set(most);
    int64_t j = 0;
    for (; j + 4 * W <= n_keys; j += 4 * W)
        total = v_add(total, few_exps(4, masked, s, j, f, top, from, to));
    for (; j < n_keys; j += W)
        total = v_add(total, few_exps(1, masked, s, j, f, top, from, to));
    v_store(lanes, v_exp(v_set(*max - most)));
    *shrink = lanes[0];
    *sum = *sum * lanes[0] + v_sum(total);
    *max = most;
}

static void softmax_few(float *s, int64_t lds, int64_t n_rows, int64_t n_keys, float factor,
                        const int32_t *first, const int32_t *last, float *max, float *sum,
                        float *shrink)
{
    for (int64_t r = 0; r < n_rows; r++, s += lds) {
        int64_t lo = first ? first[r] : 0, hi = first ? last[r] : n_keys;
        if (lo <= 0 && hi >= n_keys && n_keys % W == 0)
            softmax_row(false, s, n_keys, factor, 0, 0, max + r, sum + r, shrink + r);
        else
            softmax_row(true, s, n_keys, factor, lo, HN_MIN(hi, n_keys), max + r, sum + r,
                        shrink + r);
    }
}

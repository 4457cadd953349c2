/* Attention of a few query rows over many keys, as one token of a group of heads asks for it: part
 * of vector_loops.h, which includes it.  Keys and values pass once, from memory through registers,
 * for up to V_FEW rows; more rows go in blocks, as even as can be, over a tile that the first block
 * has brought into cache.  V_FEW: as many rows as four vectors of sums each, one of each and one
 * more fit in the registers. */

enum { FEW_KEYS = 4, FEW_VECS = 4 }; /* keys of a step of scores; vectors of a step of weigh */

/* Ask for n bytes; the processor's own prefetching stops where rows or pages do. */
INLINE void few_prefetch(const unsigned char *p, int64_t n)
{
    for (int64_t i = 0; i < n; i += 64)
        HN_PREFETCH(p + i);
}

/* W numbers of a row, from number i on; of Q8_0 not yet times their block's scale. */
INLINE vec few_numbers(const enum hn_kv_type type, const unsigned char *row, int64_t i, int64_t hd)
{
    if (type == HN_KV_F32)
        return v_load((const float *)(const void *)row + i);
    if (type == HN_KV_F16)
        return v_widen((const uint16_t *)(const void *)row + i);
    return v_bytes((const int8_t *)row + hn_cpu_kv_codes(hd) + i);
}

/* The last of a row from number i on, fewer than W, and zeros. */
static vec few_part(const enum hn_kv_type type, const unsigned char *row, int64_t i, int64_t hd)
{
    int64_t n = hd - i;
    if (type == HN_KV_F32)
        return v_load_part((const float *)(const void *)row + i, v_part(n));
    if (type == HN_KV_F16) {
        uint16_t x[W] = {0};
        memcpy(x, row + i * (int)sizeof *x, (size_t)n * sizeof *x);
        return v_widen(x);
    }
    int8_t x[W] = {0};
    memcpy(x, row + hn_cpu_kv_codes(hd) + i, (size_t)n);
    return v_bytes(x);
}

/* x times the scale of a row's number i. */
INLINE vec few_scaled(const enum hn_kv_type type, const unsigned char *row, int64_t i, vec x)
{
    if (type != HN_KV_Q8_0)
        return x;
    return v_mul(x, v_set(((const float *)(const void *)row)[i / HN_KV_BLOCK]));
}

static void widen(float *y, const struct hn_cpu_rows *x, int64_t n_rows, int64_t hd)
{
#define EACH(type)                                                                                 \
    for (int64_t r = 0; r < n_rows; r++, y += hd) {                                                \
        const unsigned char *row = x->data + r * x->size;                                          \
        int64_t i = 0;                                                                             \
        for (; i + W <= hd; i += W)                                                                \
            v_store(y + i, few_scaled(type, row, i, few_numbers(type, row, i, hd)));               \
        if (i < hd)                                                                                \
            v_store_part(y + i, v_part(hd - i),                                                    \
                         few_scaled(type, row, i, few_part(type, row, i, hd)));                    \
    }
    if (x->type == HN_KV_F32)
        EACH(HN_KV_F32)
    else if (x->type == HN_KV_F16)
        EACH(HN_KV_F16)
    else
        EACH(HN_KV_Q8_0)
#undef EACH
}

/* FEW_KEYS keys, n of them real, times nr rows of q. */
INLINE void few_scores(int nr, const enum hn_kv_type type, float *s, int64_t lds,
                       const unsigned char *k, int64_t size, const float *q, int64_t n, int64_t hd)
{
    const unsigned char *row[FEW_KEYS];
    vec sums[V_FEW][FEW_KEYS], x[V_FEW];
#pragma GCC unroll 4
    for (int j = 0; j < FEW_KEYS; j++)
        row[j] = k + (j < n ? j : 0) * size;
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
            vec y = few_scaled(type, row[j], i, few_numbers(type, row[j], i, hd));
#pragma GCC unroll 4
            for (int r = 0; r < nr; r++)
                sums[r][j] = v_fma(x[r], y, sums[r][j]);
        }
    }
    for (int j = 0; j < FEW_KEYS && i < hd; j++) {
        vec y = few_scaled(type, row[j], i, few_part(type, row[j], i, hd));
        for (int r = 0; r < nr; r++)
            sums[r][j] = v_fma(v_load_part(q + r * hd + i, v_part(hd - i)), y, sums[r][j]);
    }
#pragma GCC unroll 4
    for (int r = 0; r < nr; r++)
        v_sums4(s + r * lds, sums[r]);
}

/* nv vectors of nr rows, from number d on: y = y shrink + s v; ragged: the last, not a whole one.
 */
INLINE void few_weigh(int nr, int nv, const enum hn_kv_type type, bool ragged, float *y, int64_t d,
                      const float *shrink, const float *s, int64_t lds, const unsigned char *v,
                      int64_t size, int64_t n_keys, int64_t hd, const unsigned char *next)
{
    vec sums[V_FEW][FEW_VECS], x[V_FEW];
    part rest = v_part(ragged ? hd - d : 0);
#pragma GCC unroll 4
    for (int r = 0; r < nr; r++)
#pragma GCC unroll 4
        for (int i = 0; i < nv; i++)
            sums[r][i] = v_mul(v_get(y + r * hd + d + i * W, !ragged, rest), v_set(shrink[r]));
    for (int64_t j = 0; j < n_keys; j++, v += size) {
        if (next)
            few_prefetch(next + j * size, hn_cpu_kv_row_size(type, hd));
#pragma GCC unroll 4
        for (int i = 0; i < nv; i++) {
            vec z = ragged ? few_part(type, v, d, hd) : few_numbers(type, v, d + i * W, hd);
#pragma GCC unroll 4
            for (int r = 0; r < nr; r++) {
                if (i == 0 || (type == HN_KV_Q8_0 && i * W % HN_KV_BLOCK == 0))
                    x[r] = few_scaled(type, v, d + i * W, v_set(s[r * lds + j]));
                sums[r][i] = v_fma(x[r], z, sums[r][i]);
            }
        }
    }
#pragma GCC unroll 4
    for (int r = 0; r < nr; r++)
#pragma GCC unroll 4
        for (int i = 0; i < nv; i++)
            v_put(y + r * hd + d + i * W, !ragged, rest, sums[r][i]);
}

/* All keys, and then all numbers, of nr rows. */
INLINE void few_scores_rows(int nr, const enum hn_kv_type type, float *s, int64_t lds,
                            const struct hn_cpu_rows *k, const float *q, int64_t n_keys, int64_t hd)
{
    for (int64_t j = 0; j < n_keys; j += FEW_KEYS) {
        for (int64_t i = j; k->next && i < HN_MIN(j + FEW_KEYS, n_keys); i++)
            few_prefetch(k->next + i * k->size, hn_cpu_kv_row_size(type, hd));
        few_scores(nr, type, s + j, lds, k->data + j * k->size, k->size, q, n_keys - j, hd);
    }
}

INLINE void few_weigh_rows(int nr, const enum hn_kv_type type, float *y, const float *shrink,
                           const float *s, int64_t lds, const struct hn_cpu_rows *v, int64_t n_keys,
                           int64_t hd)
{
    int64_t d = 0;
#define WEIGH(nv, ragged)                                                                          \
    few_weigh(nr, nv, type, ragged, y, d, shrink, s, lds, v->data, v->size, n_keys, hd,            \
              d ? NULL : v->next)
    for (; d + FEW_VECS * W <= hd; d += FEW_VECS * W)
        WEIGH(FEW_VECS, false);
    for (; d + W <= hd; d += W)
        WEIGH(1, false);
    if (d < hd)
        WEIGH(1, true);
#undef WEIGH
}

/* f(nr, type, …) with both constants, so that each has its own registers. */
#define FEW_CASE(nr, type, f, ...)                                                                 \
    do {                                                                                           \
        if ((type) == HN_KV_F32)                                                                   \
            f(nr, HN_KV_F32, __VA_ARGS__);                                                         \
        else if ((type) == HN_KV_F16)                                                              \
            f(nr, HN_KV_F16, __VA_ARGS__);                                                         \
        else                                                                                       \
            f(nr, HN_KV_Q8_0, __VA_ARGS__);                                                        \
    } while (0)
#define FEW_CASES(nr, type, f, ...)                                                                \
    if ((nr) == 1)                                                                                 \
        FEW_CASE(1, type, f, __VA_ARGS__);                                                         \
    else if ((nr) == 2)                                                                            \
        FEW_CASE(2, type, f, __VA_ARGS__);                                                         \
    else if (V_FEW == 3 || (nr) == 3)                                                              \
        FEW_CASE(3, type, f, __VA_ARGS__);                                                         \
    else                                                                                           \
        FEW_CASE(V_FEW, type, f, __VA_ARGS__);

/* Rows of the next block, of those that are left. */
INLINE int64_t few_block(int64_t rows)
{
    int64_t blocks = (rows + V_FEW - 1) / V_FEW;
    return (rows + blocks - 1) / blocks;
}

static void scores_few(float *s, int64_t lds, const struct hn_cpu_rows *k, const float *q,
                       int64_t n_rows, int64_t n_keys, int64_t hd)
{
    struct hn_cpu_rows x = *k; /* the first block asks for what is next */
    for (int64_t n; n_rows > 0; n_rows -= n, s += n * lds, q += n * hd, x.next = NULL) {
        n = few_block(n_rows);
        FEW_CASES(n, x.type, few_scores_rows, s, lds, &x, q, n_keys, hd)
    }
}

static void weigh_few(float *y, const float *shrink, const float *s, int64_t lds,
                      const struct hn_cpu_rows *v, int64_t n_rows, int64_t n_keys, int64_t hd)
{
    struct hn_cpu_rows x = *v;
    for (int64_t n; n_rows > 0; n_rows -= n, s += n * lds, y += n * hd, shrink += n) {
        n = few_block(n_rows);
        FEW_CASES(n, x.type, few_weigh_rows, y, shrink, s, lds, &x, n_keys, hd)
        x.next = NULL;
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

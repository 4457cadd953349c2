/* Attention backward, from the log-sum-exp that the forward pass kept (Dao et al.,
 * "FlashAttention-2", 2023, algorithm 2).  With P = exp(scale Q K^T - lse), delta = rowsum(dO * O):
 *
 *     dV = P^T dO      dS = scale P * (dO V^T - delta)      dK = dS^T Q      dQ = dS K
 *
 * A unit is (sequence, key/value head, tile of TILE keys): it owns its rows of dK and dV and walks
 * over the tiles of TILE tokens that see it, head by head.  dQ of a token tile gets one term from
 * each key tile, and they are added in ascending order of keys: a turn counter per (head, token
 * tile) says whose turn it is.  Threads take units in that order from a counter, so whoever waits,
 * waits for a unit that is already running; and the sums do not depend on who runs what. */
#include "backend/cpu/vector.h"

#include <stdatomic.h>
#include <string.h>
#include <time.h>

enum {
    TILE = 64,
    CHUNK = 16, /* on the diagonal, rows of a cell that are cut to the keys they see */
    SPINS = 2000,
};

struct job {
    struct hn_device *dev;
    const struct hn_batch *batch;
    const struct hn_attention *shape;
    int64_t group;
    float *dq, *dk, *dv;
    const float *d_o, *q, *k, *v, *o, *lse;
    float *delta;      /* [H, T] */
    atomic_int *turns; /* [sum over sequences of tiles, H]: the key tile that may add next */
    float *work;       /* per thread */
    int64_t n_units;
    atomic_llong next;
};

/* Everything a cell multiplies lies here in one piece: rows of the tensors are often a multiple of
 * 4096 bytes apart, and would push each other out of the first-level cache. */
struct work {
    float *kt, *vt; /* [HD, TILE]: the unit's keys and values transposed, zeros beyond the last */
    float *k;       /* [TILE, HD] */
    float *dk, *dv; /* [TILE, HD]: the unit's sums */
    float *q, *d_o; /* [TILE, HD]: the cell's */
    float *p, *ds;  /* [TILE, TILE]: tokens by keys */
    float *lse, *delta;
    int32_t *first, *last;
};

/* A sequence's place, moved along as units are taken in ascending order. */
struct place {
    int64_t seq, first_unit, first_tile; /* first_tile: tiles of the sequences before */
    int64_t token, n_tokens, n_tiles;
};

/* One unit's products: everything that depends on (unit, token tile, head). */
struct cell {
    int64_t keys, n_keys, head, tokens, n; /* keys and tokens: first row in the batch */
    int64_t step;                          /* rows that are cut to the same keys: CHUNK or TILE */
    bool first;                            /* the first cell of its unit */
    int64_t n_alone; /* rows from the first on that see one key, the one of their own place */
};

static int64_t work_floats(int64_t head_size)
{
    return 7 * head_size * TILE + 2 * TILE * TILE + 4 * TILE;
}

static int64_t align_floats(int64_t n)
{
    return (n + 15) / 16 * 16;
}

size_t hn_cpu_attention_bwd_scratch_size(const struct hn_device *dev,
                                         const struct hn_limits *limits)
{
    int64_t tiles = limits->max_tokens / TILE + limits->max_seqs;
    int64_t n = dev->n_threads * work_floats(limits->head_size);
    n += align_floats(limits->max_tokens * limits->n_heads);
    n += align_floats(tiles * limits->n_heads);
    return (size_t)n * sizeof(float);
}

static struct work work_of(const struct job *j, int thread)
{
    int64_t size = j->shape->head_size * TILE;
    float *p = j->work + thread * work_floats(j->shape->head_size);
    struct work w = {.kt = p,
                     .vt = p + size,
                     .k = p + 2 * size,
                     .dk = p + 3 * size,
                     .dv = p + 4 * size,
                     .q = p + 5 * size,
                     .d_o = p + 6 * size,
                     .p = p + 7 * size};
    w.ds = w.p + TILE * TILE;
    w.lse = w.ds + TILE * TILE;
    w.delta = w.lse + TILE;
    w.first = (int32_t *)(w.delta + TILE);
    w.last = w.first + TILE;
    return w;
}

/* ---- cutting the work ----------------------------------------------------------------------- */

static void enter(const struct job *j, struct place *p)
{
    p->token = j->batch->offsets[p->seq];
    p->n_tokens = j->batch->offsets[p->seq + 1] - p->token;
    p->n_tiles = (p->n_tokens + TILE - 1) / TILE;
}

static int64_t n_units_of(const struct job *j, const struct place *p)
{
    return p->n_tiles * j->shape->n_kv_heads;
}

static void advance(const struct job *j, struct place *p)
{
    p->first_unit += n_units_of(j, p);
    p->first_tile += p->n_tiles;
    p->seq++;
    enter(j, p);
}

/* The first key tile that any token of a tile sees, and the tile after the last that sees a key
 * tile. */
static int64_t first_key_tile(const struct job *j, int64_t tile)
{
    int64_t window = j->shape->window;
    return window && tile * TILE >= window ? (tile * TILE - window + 1) / TILE : 0;
}

static int64_t end_tile(const struct job *j, const struct place *p, int64_t key_tile)
{
    int64_t window = j->shape->window;
    if (!window)
        return p->n_tiles;
    int64_t last_key = HN_MIN(p->n_tokens, (key_tile + 1) * TILE) - 1;
    return HN_MIN(p->n_tiles, (last_key + window - 1) / TILE + 1);
}

/* ---- one unit ------------------------------------------------------------------------------- */

static void pack_transposed(const struct job *j, float *out, const float *x, int64_t n)
{
    int64_t hd = j->shape->head_size;
    const float *rows[TILE];
    for (int64_t i = 0; i < n; i++)
        rows[i] = x + i * j->shape->n_kv_heads * hd;
    j->dev->vector->transpose(out, TILE, rows, n, hd);
    for (int64_t d = 0; d < hd && n < TILE; d++)
        memset(out + d * TILE + n, 0, (size_t)(TILE - n) * sizeof(float));
}

static bool mask_cell(const struct job *j, const struct work *w, const struct cell *c)
{
    int64_t window = j->shape->window, ahead = c->tokens - c->keys;
    if (c->n_keys == TILE && ahead >= TILE - 1 && (!window || ahead + c->n <= window))
        return false;
    for (int64_t r = 0; r < c->n; r++) {
        w->first[r] = (int32_t)(window ? HN_MAX(0, ahead + r - window + 1) : 0);
        w->last[r] = (int32_t)HN_MIN(c->n_keys, ahead + r + 1);
    }
    return true;
}

/* On a busy machine the thread waited for may be without a core: a nap offers it this one. */
static void wait_turn(atomic_int *turn, int mine)
{
    static const struct timespec nap = {.tv_nsec = 50000};
    for (int spins = 0; atomic_load_explicit(turn, memory_order_acquire) != mine; spins++) {
        hn_cpu_relax();
        if (spins >= SPINS)
            (void)nanosleep(&nap, NULL);
    }
}

static void copy_rows(float *to, int64_t ldt, const float *from, int64_t ldf, int64_t n, int64_t hd)
{
    for (int64_t r = 0; r < n; r++)
        memcpy(to + r * ldt, from + r * ldf, (size_t)hd * sizeof *to);
}

static void load_cell(const struct job *j, const struct work *w, const struct cell *c)
{
    int64_t hd = j->shape->head_size, n_heads = j->shape->n_heads;
    int64_t at = (c->tokens * n_heads + c->head) * hd;
    copy_rows(w->q, hd, j->q + at, n_heads * hd, c->n, hd);
    copy_rows(w->d_o, hd, j->d_o + at, n_heads * hd, c->n, hd);
    for (int64_t r = 0; r < c->n; r++) {
        w->lse[r] = j->lse[(c->tokens + r) * n_heads + c->head];
        w->delta[r] = j->delta[c->head * j->batch->n_tokens + c->tokens + r];
    }
}

/* P and dS of a cell, and its terms of dV and dK.  On the diagonal, where half of the cell is
 * masked, rows are taken a chunk at a time, with the keys up to their last: what lies beyond is
 * neither computed nor read. */
static void run_cell(const struct job *j, const struct work *w, const struct cell *c)
{
    const struct hn_cpu_vector *f = j->dev->vector;
    int64_t hd = j->shape->head_size, step = c->step;
    bool masked = mask_cell(j, w, c);
    for (int64_t r = 0; r < c->n; r += step) {
        int64_t n = HN_MIN(step, c->n - r), n_keys = step < TILE ? r + step : TILE;
        float *p = w->p + r * TILE, *ds = w->ds + r * TILE;
        f->product(p, TILE, w->q + r * hd, hd, 1, w->kt, TILE, n, n_keys, hd, false);
        f->product(ds, TILE, w->d_o + r * hd, hd, 1, w->vt, TILE, n, n_keys, hd, false);
        f->softmax_bwd(p, ds, TILE, n, n_keys, j->shape->scale, masked ? w->first + r : NULL,
                       masked ? w->last + r : NULL, w->lse + r, w->delta + r);
    }
    for (int64_t r = 0; r < c->n_alone; r++) /* rounding apart, which Adam makes whole steps of */
        w->ds[r * TILE + r] = 0;
    for (int64_t key = 0; key < c->n_keys; key += step) {
        int64_t m = HN_MIN(step, c->n_keys - key), r = step < TILE ? key : 0;
        int64_t at = r * TILE + key, n = c->n - r;
        f->product(w->dv + key * hd, hd, w->p + at, 1, TILE, w->d_o + r * hd, hd, m, hd, n,
                   !c->first);
        f->product(w->dk + key * hd, hd, w->ds + at, 1, TILE, w->q + r * hd, hd, m, hd, n,
                   !c->first);
    }
}

/* The cell's term of dQ. */
static void add_dq(const struct job *j, const struct work *w, const struct cell *c, bool first_term)
{
    int64_t hd = j->shape->head_size, ldq = j->shape->n_heads * hd, step = c->step;
    float *dq = j->dq + c->tokens * ldq + c->head * hd;
    for (int64_t r = 0; r < c->n; r += step) {
        int64_t n = HN_MIN(step, c->n - r);
        int64_t n_keys = step < TILE ? HN_MIN(c->n_keys, r + step) : c->n_keys;
        j->dev->vector->product(dq + r * ldq, ldq, w->ds + r * TILE, TILE, 1, w->k, hd, n, hd,
                                n_keys, !first_term);
    }
}

static void run_unit(const struct job *j, const struct work *w, const struct place *p, int64_t unit)
{
    int64_t n_heads = j->shape->n_heads, n_kv = j->shape->n_kv_heads, hd = j->shape->head_size;
    int64_t key_tile = unit / n_kv, kv_head = unit % n_kv;
    struct cell c = {.keys = p->token + key_tile * TILE, .first = true};
    c.n_keys = HN_MIN(TILE, p->n_tokens - key_tile * TILE);
    int64_t k_at = (c.keys * n_kv + kv_head) * hd;
    pack_transposed(j, w->kt, j->k + k_at, c.n_keys);
    pack_transposed(j, w->vt, j->v + k_at, c.n_keys);
    copy_rows(w->k, hd, j->k + k_at, n_kv * hd, c.n_keys, hd);
    for (int64_t tile = key_tile; tile < end_tile(j, p, key_tile); tile++) {
        c.tokens = p->token + tile * TILE;
        c.n = HN_MIN(TILE, p->n_tokens - tile * TILE);
        c.step = tile == key_tile ? CHUNK : TILE;
        c.n_alone = tile == key_tile && j->shape->window == 1 ? c.n : tile == 0;
        bool first_term = key_tile == first_key_tile(j, tile);
        for (int64_t g = 0; g < j->group; g++) {
            c.head = kv_head * j->group + g;
            load_cell(j, w, &c);
            run_cell(j, w, &c);
            c.first = false;
            atomic_int *turn = j->turns + (p->first_tile + tile) * n_heads + c.head;
            if (!first_term)
                wait_turn(turn, (int)key_tile);
            add_dq(j, w, &c, first_term);
            atomic_store_explicit(turn, (int)key_tile + 1, memory_order_release);
        }
    }
    copy_rows(j->dk + k_at, n_kv * hd, w->dk, hd, c.n_keys, hd);
    copy_rows(j->dv + k_at, n_kv * hd, w->dv, hd, c.n_keys, hd);
}

static void take_units(struct job *j, int thread)
{
    struct work w = work_of(j, thread);
    struct place p = {0};
    int64_t n;
    enter(j, &p);
    while ((n = atomic_fetch_add(&j->next, 1)) < j->n_units) {
        while (n >= p.first_unit + n_units_of(j, &p))
            advance(j, &p);
        run_unit(j, &w, &p, n - p.first_unit);
    }
}

static void unit_part(void *arg, struct hn_parts *parts)
{
    while (hn_parts_next(parts))
        take_units(arg, parts->thread);
}

static void delta_tokens(const struct job *j, int64_t t, int64_t end)
{
    int64_t hd = j->shape->head_size, n_tokens = j->batch->n_tokens;
    for (; t < end; t++)
        for (int64_t h = 0; h < j->shape->n_heads; h++) {
            int64_t at = (t * j->shape->n_heads + h) * hd;
            j->delta[h * n_tokens + t] = j->dev->vector->dot(j->d_o + at, j->o + at, hd);
        }
}

static void delta_part(void *arg, struct hn_parts *parts)
{
    const struct job *j = arg;
    int64_t t, end;
    while (hn_parts_range(parts, j->batch->n_tokens, 16, &t, &end))
        delta_tokens(j, t, end);
}

void hn_cpu_attention_bwd(struct hn_device *dev, struct hn_tensor *dq, struct hn_tensor *dk,
                          struct hn_tensor *dv, const struct hn_tensor *d_o,
                          const struct hn_tensor *q, const struct hn_tensor *k,
                          const struct hn_tensor *v, const struct hn_tensor *o,
                          const struct hn_tensor *lse, const struct hn_attention *s)
{
    const struct hn_batch *batch = dev->batch;
    struct job j = {.dev = dev,
                    .batch = batch,
                    .shape = s,
                    .dq = dq->data,
                    .dk = dk->data,
                    .dv = dv->data,
                    .d_o = d_o->data,
                    .q = q->data,
                    .k = k->data,
                    .v = v->data,
                    .o = o->data,
                    .lse = lse->data};
    HN_ASSERT(s->n_kv_heads > 0 && s->n_heads % s->n_kv_heads == 0 && s->window >= 0);
    HN_ASSERT(q->rows == batch->n_tokens && q->cols == s->n_heads * s->head_size);
    int64_t n_tiles = 0;
    for (int64_t b = 0; b < batch->n_seqs; b++)
        n_tiles += (batch->offsets[b + 1] - batch->offsets[b] + TILE - 1) / TILE;
    j.group = s->n_heads / s->n_kv_heads;
    j.n_units = n_tiles * s->n_kv_heads;
    j.work = (float *)dev->scratch;
    j.delta = j.work + dev->n_threads * work_floats(s->head_size);
    j.turns = (atomic_int *)(j.delta + align_floats(batch->n_tokens * s->n_heads));
    HN_ASSERT((unsigned char *)(j.turns + n_tiles * s->n_heads) <=
              dev->scratch + dev->scratch_size);
    if (j.n_units == 0)
        return;
    memset(j.turns, 0, (size_t)(n_tiles * s->n_heads) * sizeof *j.turns);
    hn_cpu_run(dev, delta_part, &j, batch->n_tokens * s->n_heads * s->head_size);
    hn_pool_run(dev->pool, unit_part, &j, dev->n_threads);
}

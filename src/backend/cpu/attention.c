/* Attention over sequences laid end to end, forward, with and without a cache.
 *
 * The work is cut into units: (sequence, key/value head, tile of ROWS query rows, chunk of keys). A
 * query row is one (token, head) pair; the G = H/HK heads that share keys lie side by side, so that
 * one pass over the keys serves them all:
 *
 *     row r of a sequence = token r / G, head G*kv_head + r % G
 *
 * A unit walks over its keys in tiles of KEYS, keeping an online softmax per row (Dao et al.,
 * "FlashAttention-2", 2023; the T x T matrix never exists).  Scores are kept transposed, a query
 * per column, so the softmax needs no sums across lanes and the queries are packed once per unit:
 *
 *     scores [KEYS, ROWS] = K [KEYS, HD]  packed Q^T [HD, ROWS]
 *     acc    [ROWS, HD]  += scores^T      V [KEYS, HD]
 *
 * FEW rows or fewer, such as one token's, wait for memory: keys and values then pass once from the
 * cache as it is through registers (few_loops.h), and the next are asked for meanwhile.
 *
 * Threads take units from a counter, dearest first.  A unit's arithmetic does not depend on who
 * runs it or when, so neither does the result.  When there are too few units for the threads (one
 * token of one sequence), keys are cut into chunks too, whose partial results are merged in order.
 */
#include "backend/cpu/vector.h"

#include <math.h>
#include <stdatomic.h>
#include <string.h>

enum {
    ROWS = 96,             /* query rows of a unit: a multiple of HN_CPU_LANES and of 6, a tile's */
    KEYS = 96,             /* keys of a score tile; the same */
    CHUNK = 16,            /* queries and keys that are masked together on the diagonal */
    FEW = 16,              /* as many rows or fewer: keys are streamed, FEW_KEYS at a time */
    FEW_KEYS = 64,         /* at most KEYS*ROWS/FEW */
    UNITS_PER_THREAD = 8,  /* chunks are cut for about as many units */
    PARTS_PER_THREAD = 16, /* storage for partial results */
    CHUNK_MIN = 3 * KEYS,  /* keys that are worth a unit */
};

/* Nothing was seen yet: finite, so that exp(max - max) is 1 and not NaN. */
static const float no_max = -1e30f;

struct job {
    struct hn_device *dev;
    const struct hn_batch *batch;
    const struct hn_attention *shape;
    const struct hn_kv *kv; /* or NULL */
    int64_t layer, group;   /* G */
    float *o, *lse;
    const float *q, *k, *v;
    int64_t chunk;   /* keys of a chunk; a multiple of KEYS */
    int64_t n_units; /* chunks included */
    bool partial;    /* some sequence has more than one chunk */
    float *parts;    /* [n_units, ROWS, HD + 2] when partial */
    atomic_llong next;
};

/* How one sequence is cut. */
struct cut {
    int64_t seq, first_unit, n_units;
    int64_t n_tokens, past, n_tiles, n_chunks;
};

struct unit {
    int64_t seq, kv_head, row, n_rows; /* rows [row, row + n_rows) of the sequence */
    int64_t past, lo, hi;              /* keys [lo, hi) */
    int64_t token;                     /* first token of the sequence in the batch */
};

/* One thread's working memory. */
struct work {
    float *q;      /* [HD, ROWS], or [FEW, HD] */
    float *scores; /* [KEYS, ROWS], or [FEW, FEW_KEYS] */
    float *acc;    /* [ROWS, HD] */
    float *tile;   /* [KEYS, HD]: keys or values of a float16 cache, widened */
    float *max, *sum, *shrink;
    int32_t *first, *last;
};

static int64_t work_floats(int64_t head_size)
{
    return (2 * ROWS + KEYS) * head_size + KEYS * ROWS + 5 * ROWS;
}

static int64_t part_floats(int64_t head_size)
{
    return ROWS * (head_size + 2);
}

size_t hn_cpu_attention_scratch_size(const struct hn_device *dev, const struct hn_limits *limits)
{
    int64_t n = work_floats(limits->head_size) + PARTS_PER_THREAD * part_floats(limits->head_size);
    size_t fwd = (size_t)(dev->n_threads * n) * sizeof(float);
    size_t bwd = limits->training ? hn_cpu_attention_bwd_scratch_size(dev, limits) : 0;
    return HN_MAX(fwd, bwd);
}

static struct work work_of(const struct job *j, int thread)
{
    int64_t hd = j->shape->head_size;
    float *p = (float *)j->dev->scratch + thread * work_floats(hd);
    struct work w = {.q = p, .acc = p + ROWS * hd, .tile = p + 2 * ROWS * hd};
    w.scores = w.tile + KEYS * hd;
    w.max = w.scores + KEYS * ROWS;
    w.sum = w.max + ROWS;
    w.shrink = w.sum + ROWS;
    w.first = (int32_t *)(w.shrink + ROWS);
    w.last = w.first + ROWS;
    return w;
}

/* Keys or values in float32, rows ld apart. */
struct tile {
    const float *at;
    int64_t ld;
};

/* ---- cutting the work ----------------------------------------------------------------------- */

static struct cut cut_sequence(const struct job *j, int64_t seq, int64_t first_unit)
{
    const struct hn_batch *b = j->batch;
    struct cut c = {.seq = seq, .first_unit = first_unit};
    c.n_tokens = b->offsets[seq + 1] - b->offsets[seq];
    c.past = j->kv ? b->past[seq] : 0;
    c.n_tiles = (c.n_tokens * j->group + ROWS - 1) / ROWS;
    int64_t keys = c.past + c.n_tokens, window = j->shape->window;
    if (window) /* the most keys that any tile sees */
        keys = HN_MIN(keys, window + (ROWS + j->group - 1) / j->group);
    c.n_chunks = HN_MAX(1, (keys + j->chunk - 1) / j->chunk);
    c.n_units = c.n_tiles * j->shape->n_kv_heads * c.n_chunks;
    return c;
}

static int64_t count_units(const struct job *j, int64_t *keys)
{
    int64_t n = 0;
    *keys = 0;
    for (int64_t b = 0; b < j->batch->n_seqs; b++) {
        struct cut c = cut_sequence(j, b, n);
        n += c.n_units;
        *keys += c.n_tiles * j->shape->n_kv_heads * (c.past + c.n_tokens);
    }
    return n;
}

/* Choose the chunk, and with it the number of units. */
static void cut_work(struct job *j)
{
    int64_t keys, threads = j->dev->n_threads, max_parts = threads * PARTS_PER_THREAD;
    j->chunk = INT32_MAX / KEYS * KEYS;
    j->n_units = count_units(j, &keys);
    j->partial = false;
    if (threads == 1 || j->n_units >= threads * UNITS_PER_THREAD)
        return;
    int64_t units = j->n_units, each = keys / (threads * UNITS_PER_THREAD);
    j->chunk = HN_MAX(CHUNK_MIN, (each + KEYS - 1) / KEYS * KEYS);
    while ((j->n_units = count_units(j, &keys)) > max_parts && j->n_units > units)
        j->chunk *= 2;
    j->partial = j->n_units > units;
}

/* Unit number n; c is the cut of a sequence at or before its own, and moves on to it. */
static struct unit unit_at(const struct job *j, struct cut *c, int64_t n)
{
    while (n >= c->first_unit + c->n_units)
        *c = cut_sequence(j, c->seq + 1, c->first_unit + c->n_units);
    int64_t i = n - c->first_unit, heads = j->shape->n_kv_heads, window = j->shape->window;
    int64_t chunk = i % c->n_chunks, tile = c->n_tiles - 1 - i / c->n_chunks / heads;
    int64_t row = tile * ROWS;
    struct unit u = {.seq = c->seq,
                     .kv_head = i / c->n_chunks % heads,
                     .row = row,
                     .past = c->past,
                     .token = j->batch->offsets[c->seq]};
    u.n_rows = HN_MIN(ROWS, c->n_tokens * j->group - row);
    int64_t begin = c->past + row / j->group; /* position of the first row's token */
    int64_t end = c->past + (row + u.n_rows - 1) / j->group + 1;
    int64_t lo = window && begin >= window ? begin - window + 1 : 0;
    u.lo = HN_MIN(end, lo + chunk * j->chunk);
    u.hi = HN_MIN(end, u.lo + j->chunk);
    return u;
}

/* ---- one unit ------------------------------------------------------------------------------- */

static int64_t pad_lanes(int64_t n)
{
    return (n + HN_CPU_LANES - 1) / HN_CPU_LANES * HN_CPU_LANES;
}

/* Address of a query row (or, of o, an output row) of [T, H*HD]. */
static int64_t row_at(const struct job *j, const struct unit *u, int64_t r)
{
    int64_t token = u->token + r / j->group, head = u->kv_head * j->group + r % j->group;
    return (token * j->shape->n_heads + head) * j->shape->head_size;
}

/* Queries into w->q, transposed, padded with zeros to whole lanes. */
static void pack_queries(const struct job *j, const struct unit *u, const struct work *w)
{
    int64_t hd = j->shape->head_size, pad = pad_lanes(u->n_rows) - u->n_rows;
    const float *rows[ROWS];
    for (int64_t r = 0; r < u->n_rows; r++)
        rows[r] = j->q + row_at(j, u, u->row + r);
    j->dev->vector->transpose(w->q, ROWS, rows, u->n_rows, hd);
    for (int64_t d = 0; d < hd && pad; d++)
        memset(w->q + d * ROWS + u->n_rows, 0, (size_t)pad * sizeof(float));
}

/* Which keys of the tile that starts at key each row sees; false when every row sees all. */
static bool mask_tile(const struct job *j, const struct unit *u, const struct work *w, int64_t key,
                      int64_t n_keys, int64_t n_cols)
{
    int64_t window = j->shape->window;
    int64_t begin = u->past + u->row / j->group;
    int64_t end = u->past + (u->row + u->n_rows - 1) / j->group;
    if (key + n_keys <= begin + 1 && (!window || key > end - window))
        return false;
    for (int64_t r = 0; r < n_cols; r++) {
        int64_t pos = u->past + (u->row + HN_MIN(r, u->n_rows - 1)) / j->group;
        w->first[r] = (int32_t)(window ? HN_MAX(0, pos - window + 1 - key) : 0);
        w->last[r] = (int32_t)HN_MIN(n_keys, pos + 1 - key);
    }
    return true;
}

/* On a tile that the diagonal crosses, queries and keys are taken CHUNK at a time, and what no
 * query of a chunk sees is neither computed nor read; worth it when the rows see different numbers.
 */
static bool is_steep(const struct work *w, const struct unit *u, bool masked)
{
    return masked && w->last[0] + CHUNK <= w->last[u->n_rows - 1];
}

/* scores = k q^T */
static void score_tile(const struct job *j, const struct work *w, struct tile k, int64_t n_keys,
                       int64_t n_cols, bool steep)
{
    const struct hn_cpu_vector *f = j->dev->vector;
    int64_t hd = j->shape->head_size, step = steep ? CHUNK : n_keys, c = 0;
    for (int64_t key = 0; key < n_keys; key += step) {
        while (steep && c + CHUNK < n_cols && w->last[c + CHUNK - 1] <= key)
            c += CHUNK; /* no query of the chunk sees this key or a later one */
        f->product(w->scores + key * ROWS + c, ROWS, k.at + key * k.ld, k.ld, 1, w->q + c, ROWS,
                   HN_MIN(step, n_keys - key), n_cols - c, hd, false);
    }
}

/* acc = acc shrink + scores^T v; first: acc = scores^T v. */
static void add_values(const struct job *j, const struct unit *u, const struct work *w,
                       struct tile v, int64_t n_keys, bool steep, bool first)
{
    const struct hn_cpu_vector *f = j->dev->vector;
    int64_t hd = j->shape->head_size, step = steep ? CHUNK : u->n_rows;
    for (int64_t r = 0; r < u->n_rows && !first; r++)
        if (w->shrink[r] != 1)
            f->scale(w->acc + r * hd, w->acc + r * hd, w->shrink[r], hd);
    for (int64_t r = 0; r < u->n_rows; r += step) {
        int64_t n = HN_MIN(step, u->n_rows - r), seen = steep ? w->last[r + n - 1] : n_keys;
        f->product(w->acc + r * hd, hd, w->scores + r, 1, ROWS, v.at, v.ld, n, hd, HN_MAX(seen, 0),
                   !first);
    }
}

/* A unit's keys (which 0) or values (1), from its sequence's first on. */
static struct hn_cpu_rows rows_of(const struct job *j, const struct unit *u, int which)
{
    int64_t hd = j->shape->head_size, ld = j->shape->n_kv_heads * hd;
    const float *rows = which ? j->v : j->k;
    struct hn_cpu_rows x = {.type = j->kv ? j->kv->shape.type : HN_KV_F32};
    if (j->kv) {
        x.data = hn_cpu_kv_head(j->kv, j->layer, j->batch->slots[u->seq], which, u->kv_head);
        x.size = hn_cpu_kv_row_size(x.type, hd);
    } else {
        x.data = (const unsigned char *)(rows + u->token * ld + u->kv_head * hd);
        x.size = ld * (int)sizeof *rows;
    }
    return x;
}

/* The same from row key on. */
static struct hn_cpu_rows rows_from(const struct hn_cpu_rows *x, int64_t key)
{
    return (struct hn_cpu_rows){x->data + key * x->size, x->size, x->type, NULL};
}

/* n rows from row key on; valid until the next call. */
static struct tile tile_of(const struct job *j, const struct work *w, const struct hn_cpu_rows *x,
                           int64_t key, int64_t n)
{
    struct hn_cpu_rows from = rows_from(x, key);
    if (x->type == HN_KV_F32)
        return (struct tile){(const float *)(const void *)from.data, x->size / (int)sizeof(float)};
    j->dev->vector->widen(w->tile, &from, n, j->shape->head_size);
    return (struct tile){w->tile, j->shape->head_size};
}

/* Online softmax over the unit's keys: w->acc, w->max, w->sum. */
static void run_tiles(const struct job *j, const struct unit *u, const struct work *w)
{
    struct hn_cpu_rows k = rows_of(j, u, 0), v = rows_of(j, u, 1);
    int64_t n_cols = pad_lanes(u->n_rows);
    pack_queries(j, u, w);
    for (int64_t key = u->lo; key < u->hi; key += KEYS) {
        int64_t n = HN_MIN(KEYS, u->hi - key);
        bool masked = mask_tile(j, u, w, key, n, n_cols), steep = is_steep(w, u, masked);
        score_tile(j, w, tile_of(j, w, &k, key, n), n, n_cols, steep);
        j->dev->vector->softmax(w->scores, ROWS, n, n_cols, j->shape->scale,
                                masked ? w->first : NULL, masked ? w->last : NULL, w->max, w->sum,
                                w->shrink);
        add_values(j, u, w, tile_of(j, w, &v, key, n), n, steep, key == u->lo);
    }
}

/* The same for few rows: scores are kept a query per row, and nothing is widened into memory. */
static void run_few(const struct job *j, const struct unit *u, const struct work *w)
{
    const struct hn_cpu_vector *f = j->dev->vector;
    struct hn_cpu_rows keys = rows_of(j, u, 0), values = rows_of(j, u, 1);
    int64_t hd = j->shape->head_size, rows = u->n_rows;
    for (int64_t r = 0; r < rows; r++)
        memcpy(w->q + r * hd, j->q + row_at(j, u, u->row + r), (size_t)hd * sizeof *w->q);
    memset(w->acc, 0, (size_t)(rows * hd) * sizeof *w->acc);
    for (int64_t key = u->lo; key < u->hi; key += FEW_KEYS) {
        int64_t n = HN_MIN(FEW_KEYS, u->hi - key);
        struct hn_cpu_rows k = rows_from(&keys, key), v = rows_from(&values, key);
        k.next = v.data;
        if (key + n + FEW_KEYS <= u->hi)
            v.next = rows_from(&keys, key + n).data;
        bool masked = mask_tile(j, u, w, key, n, rows);
        f->scores_few(w->scores, FEW_KEYS, &k, w->q, rows, n, hd);
        f->softmax_few(w->scores, FEW_KEYS, rows, n, j->shape->scale, masked ? w->first : NULL,
                       masked ? w->last : NULL, w->max, w->sum, w->shrink);
        f->weigh_few(w->acc, w->shrink, w->scores, FEW_KEYS, &v, rows, n, hd);
    }
}

static void run_unit(const struct job *j, const struct unit *u, const struct work *w)
{
    for (int64_t r = 0; r < ROWS; r++) {
        w->max[r] = no_max;
        w->sum[r] = 0;
    }
    if (u->lo >= u->hi)
        memset(w->acc, 0, (size_t)(u->n_rows * j->shape->head_size) * sizeof(float));
    else if (u->n_rows <= FEW)
        run_few(j, u, w);
    else
        run_tiles(j, u, w);
}

static void write_row(const struct job *j, const struct unit *u, int64_t r, const float *acc,
                      float max, float sum)
{
    int64_t at = row_at(j, u, u->row + r), hd = j->shape->head_size;
    j->dev->vector->scale(j->o + at, acc, 1 / sum, hd);
    if (j->lse)
        j->lse[at / hd] = max + logf(sum);
}

static void take_units(struct job *j, int thread)
{
    struct work w = work_of(j, thread);
    struct cut c = cut_sequence(j, 0, 0);
    int64_t n, hd = j->shape->head_size;
    while ((n = atomic_fetch_add(&j->next, 1)) < j->n_units) {
        struct unit u = unit_at(j, &c, n);
        run_unit(j, &u, &w);
        if (c.n_chunks == 1) {
            for (int64_t r = 0; r < u.n_rows; r++)
                write_row(j, &u, r, w.acc + r * hd, w.max[r], w.sum[r]);
        } else {
            float *part = j->parts + n * part_floats(hd);
            memcpy(part, w.acc, (size_t)(u.n_rows * hd) * sizeof(float));
            memcpy(part + ROWS * hd, w.max, ROWS * sizeof(float));
            memcpy(part + ROWS * hd + ROWS, w.sum, ROWS * sizeof(float));
        }
    }
}

static void unit_part(void *arg, struct hn_parts *parts)
{
    while (hn_parts_next(parts))
        take_units(arg, parts->thread);
}

/* Merge the chunks of unit n's tile, in order, into the output; n is the tile's first chunk. */
static void merge_tile(const struct job *j, const struct unit *u, float *parts, int64_t n_chunks)
{
    int64_t hd = j->shape->head_size, size = part_floats(hd);
    for (int64_t r = 0; r < u->n_rows; r++) {
        float *acc = parts + r * hd, top = no_max, sum = 0;
        for (int64_t c = 0; c < n_chunks; c++)
            top = fmaxf(top, parts[c * size + ROWS * hd + r]);
        for (int64_t c = 0; c < n_chunks; c++) {
            const float *part = parts + c * size;
            float f = expf(part[ROWS * hd + r] - top);
            sum += part[ROWS * hd + ROWS + r] * f;
            for (int64_t d = 0; d < hd; d++)
                acc[d] = c ? acc[d] + part[r * hd + d] * f : acc[d] * f;
        }
        write_row(j, u, r, acc, top, sum);
    }
}

static void merge_units(const struct job *j, int64_t part, int64_t n_parts)
{
    int64_t first = 0, size = part_floats(j->shape->head_size);
    for (int64_t b = 0; b < j->batch->n_seqs; b++) {
        struct cut c = cut_sequence(j, b, first);
        int64_t i, end;
        hn_pool_split(c.n_units / c.n_chunks, 1, part, n_parts, &i, &end);
        for (; i < end && c.n_chunks > 1; i++) {
            int64_t n = first + i * c.n_chunks;
            struct unit u = unit_at(j, &c, n);
            merge_tile(j, &u, j->parts + n * size, c.n_chunks);
        }
        first += c.n_units;
    }
}

static void merge_part(void *arg, struct hn_parts *parts)
{
    while (hn_parts_next(parts))
        merge_units(arg, parts->at, parts->n);
}

/* ---- the operations ------------------------------------------------------------------------- */

static void attend(struct job *j, const struct hn_tensor *q)
{
    const struct hn_attention *s = j->shape;
    int64_t hd = s->head_size;
    size_t need =
        (size_t)(j->dev->n_threads * (work_floats(hd) + PARTS_PER_THREAD * part_floats(hd))) *
        sizeof(float);
    HN_ASSERT(s->n_kv_heads > 0 && s->n_heads % s->n_kv_heads == 0 && s->window >= 0);
    HN_ASSERT(q->cols == s->n_heads * hd && q->rows == j->batch->n_tokens);
    HN_ASSERT(need <= j->dev->scratch_size);
    if (j->batch->n_tokens == 0)
        return;
    j->group = s->n_heads / s->n_kv_heads;
    j->q = q->data;
    cut_work(j);
    j->parts = (float *)j->dev->scratch + j->dev->n_threads * work_floats(hd);
    hn_pool_run(j->dev->pool, unit_part, j, j->dev->n_threads);
    if (j->partial)
        hn_cpu_run(j->dev, merge_part, j, j->n_units * ROWS * hd);
}

void hn_cpu_attention_fwd(struct hn_device *dev, struct hn_tensor *o, struct hn_tensor *lse,
                          const struct hn_tensor *q, const struct hn_tensor *k,
                          const struct hn_tensor *v, const struct hn_attention *shape)
{
    struct job j = {.dev = dev,
                    .batch = dev->batch,
                    .shape = shape,
                    .o = o->data,
                    .lse = lse ? lse->data : NULL,
                    .k = k->data,
                    .v = v->data};
    attend(&j, q);
}

void hn_cpu_attention_cached(struct hn_device *dev, struct hn_tensor *o, const struct hn_tensor *q,
                             const struct hn_tensor *k, const struct hn_tensor *v, struct hn_kv *kv,
                             int64_t layer, const struct hn_attention *shape)
{
    struct job j = {
        .dev = dev, .batch = dev->batch, .shape = shape, .kv = kv, .layer = layer, .o = o->data};
    HN_ASSERT(kv->shape.n_heads == shape->n_kv_heads && kv->shape.head_size == shape->head_size);
    hn_cpu_kv_append(dev, kv, layer, k, v);
    attend(&j, q);
}

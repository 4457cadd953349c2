/* The blocking and the threads of the matrix product; what runs inside is the level's table. */
#include "backend/cpu/matmul.h"

#include <string.h>

#define OVERLAY(out, table, slot)                                                                  \
    do {                                                                                           \
        if ((table)->slot)                                                                         \
            (out)->slot = (table)->slot;                                                           \
    } while (0)

static void overlay(struct hn_cpu_matmul *out, const struct hn_cpu_matmul *table)
{
    if (table->plain.tile)
        out->plain = table->plain;
    for (int k = 0; k < HN_LAYOUT_COUNT; k++)
        OVERLAY(out, table, decode[k]);
    OVERLAY(out, table, dots);
    OVERLAY(out, table, dropout_mask);
    OVERLAY(out, table, masked);
    OVERLAY(out, table, softmax_step);
}

static void overlay_gemv(struct hn_cpu_gemv *out, const struct hn_cpu_gemv *table)
{
    for (int i = 0; table && i < HN_LAYOUT_COUNT; i++)
        if (table->layout[i].rows)
            out->layout[i] = table->layout[i];
}

/* *to = a kernel that takes panels as plain makes them, and so has the same nr. */
static void put(struct hn_mm_kernel *to, const struct hn_mm_kernel *kernel,
                const struct hn_mm_kernel *plain)
{
    if (!kernel->tile)
        return;
    *to = *kernel;
    to->transpose = plain->transpose;
    to->spread = plain->spread;
    HN_ASSERT(to->nr == plain->nr);
}

void hn_cpu_matmul_select(struct hn_cpu_matmul *out, enum hn_cpu_level level, enum hn_class compute)
{
    static const struct hn_cpu_matmul *const tables[HN_CPU_LEVEL_COUNT] = {
        [HN_CPU_NEON] = &hn_cpu_matmul_neon,
        [HN_CPU_AVX2] = &hn_cpu_matmul_avx2,
        [HN_CPU_AVX512] = &hn_cpu_matmul_avx512,
    };
    static const struct hn_cpu_gemv *const gemv[HN_CPU_LEVEL_COUNT] = {
        [HN_CPU_NEON] = &hn_cpu_gemv_neon,
        [HN_CPU_NEON_DOT] = &hn_cpu_gemv_neon_dot,
        [HN_CPU_AVX2] = &hn_cpu_gemv_avx2,
        [HN_CPU_AVX512] = &hn_cpu_gemv_avx512,
    };
    static const struct hn_mm_kernel *const bf16[HN_CPU_LEVEL_COUNT] = {
        [HN_CPU_C] = &hn_mm_kernel_bf16_c,
        [HN_CPU_NEON_I8MM] = &hn_mm_kernel_bf16_neon,
        [HN_CPU_AMX] = &hn_mm_kernel_bf16_amx,
    };
    *out = hn_cpu_matmul_c;
    for (int k = 0; k < HN_LAYOUT_COUNT; k++) /* formats without a row in any table */
        if (!out->decode[k])
            out->decode[k] = hn_matrix_decode;
    for (int k = 0; k < HN_LAYOUT_COUNT && level >= HN_CPU_AVX2; k++)
        if (hn_cpu_decode_avx2.layout[k])
            out->decode[k] = hn_cpu_decode_avx2.layout[k];
    for (int k = 0; k <= (int)level && k < HN_CPU_LEVEL_COUNT; k++)
        if (tables[k])
            overlay(out, tables[k]);
    for (int k = 0; k <= (int)level && k < HN_CPU_LEVEL_COUNT; k++)
        overlay_gemv(&out->gemv, gemv[k]);
    if (compute == HN_CLASS_INT8 && level == HN_CPU_AVX2)
        overlay_gemv(&out->gemv, &hn_cpu_gemv_bytes_avx2);
    out->main = out->plain;
    if (compute == HN_CLASS_BF16 && bf16[level]) /* a lower level's would be slower than exact */
        put(&out->main, bf16[level], &out->plain);
    else if (level == HN_CPU_AMX)
        put(&out->main, &hn_mm_kernel_amx, &out->plain);
    if (compute == HN_CLASS_EXACT && level == HN_CPU_AMX)
        put(&out->rounded, &hn_mm_kernel_amx_rounded, &out->plain);
    else if (compute == HN_CLASS_INT8 && level == HN_CPU_AMX) {
        put(&out->rounded, &hn_mm_kernel_bf16_amx, &out->plain); /* nearer than bytes are */
        out->rounded.least_tokens = 128;                         /* with fewer, they are faster */
    }
    if (out->plain.tile == hn_cpu_matmul_avx512.plain.tile && out->plain.tile)
        out->panel = hn_cpu_panel_avx512; /* of the same nr */
    else if (out->plain.tile == hn_cpu_matmul_avx2.plain.tile && out->plain.tile)
        out->panel = hn_cpu_panel_avx2;
}

/* ---- scratch ------------------------------------------------------------------------------- */

enum { LINE = 16 }; /* floats of a cache line */

struct hn_mm_scratch hn_mm_scratch_open(const struct hn_device *dev)
{
    return (struct hn_mm_scratch){dev->scratch, dev->scratch_size};
}

size_t hn_mm_scratch_floats(size_t n)
{
    return (n + 2 * LINE - 1) / LINE * LINE; /* and a line more: stores may round up to vectors */
}

float *hn_mm_scratch_take(struct hn_mm_scratch *s, size_t n)
{
    float *p = (float *)(void *)s->at;
    size_t size = hn_mm_scratch_floats(n) * sizeof *p;
    HN_ASSERT(size <= s->left);
    s->at += size;
    s->left -= size;
    return p;
}

/* ---- blocking ------------------------------------------------------------------------------ */

static int64_t round_up(int64_t n, int64_t grain)
{
    return (n + grain - 1) / grain * grain;
}

const struct hn_mm_kernel *hn_mm_pick(const struct hn_cpu_matmul *mm, int64_t n_tokens)
{
    return n_tokens < mm->main.least_tokens ? &mm->plain : &mm->main;
}

bool hn_mm_rounds(const struct hn_device *dev, int64_t n_tokens)
{
    const struct hn_mm_kernel *rounded = &dev->matmul->rounded;
    bool may = dev->compute == HN_CLASS_INT8 || hn_cpu_generates(dev);
    return may && rounded->tile && n_tokens >= rounded->least_tokens;
}

int64_t hn_mm_depth_block(const struct hn_device *dev, const struct hn_mm_kernel *kernel, int64_t n,
                          int64_t grain)
{
    /* Three quarters of the first cache for the panel; the tokens stream past it.  A kernel with
     * forms of its own lives from the second cache, and gains by fewer visits to the output. */
    size_t l1 = dev->l1_size ? dev->l1_size : 32768;
    size_t share = kernel->settle ? l1 / 2 * 3 : l1 / 4 * 3;
    int64_t most = (int64_t)(share / sizeof(float)) / kernel->nr;
    most = HN_MAX(64, HN_MIN(most, HN_MM_DEPTH_MAX));
    int64_t blocks = (n + most - 1) / most, depth = (n + blocks - 1) / blocks;
    depth = round_up(depth, HN_MAX(grain, kernel->depth_grain)); /* both are powers of two */
    return HN_MIN(depth, HN_MM_DEPTH_MAX);
}

int64_t hn_mm_grain(const struct hn_matrix *w)
{
    return w->layout == HN_LAYOUT_AFFINE ? w->group : HN_MAX(8, hn_layout_block(w->layout));
}

void hn_mm_enter(const struct hn_mm_kernel *kernel)
{
    if (kernel->enter)
        kernel->enter();
}

void hn_mm_leave(const struct hn_mm_kernel *kernel)
{
    if (kernel->leave)
        kernel->leave();
}

/* rows is a multiple of row_grain. */
static int64_t packed_floats(const struct hn_mm_kernel *kernel, int64_t rows, int64_t depth)
{
    return rows * round_up(depth, kernel->depth_grain) * kernel->element_size / (int)sizeof(float);
}

size_t hn_mm_packed_floats(const struct hn_mm_kernel *kernel, int64_t n_tokens, int64_t depth)
{
    return (size_t)packed_floats(kernel, round_up(n_tokens, kernel->row_grain), depth);
}

int64_t hn_mm_n_tiles(const struct hn_mm_kernel *kernel, int64_t n_tokens)
{
    return (n_tokens + kernel->mr - 1) / kernel->mr;
}

/* Tiles differ by one grain at most. */
static int64_t tile_bound(const struct hn_mm_kernel *kernel, int64_t n_tokens, int64_t tile)
{
    int64_t grains = (n_tokens + kernel->row_grain - 1) / kernel->row_grain;
    int64_t n = HN_MAX(1, hn_mm_n_tiles(kernel, n_tokens));
    return HN_MIN(n_tokens, (tile * (grains / n) + HN_MIN(tile, grains % n)) * kernel->row_grain);
}

void hn_mm_pack(const struct hn_mm_kernel *kernel, const float *x, int64_t ldx, int64_t n_tokens,
                int64_t tile_begin, int64_t tile_end, int64_t depth, float *a)
{
    for (int64_t i = tile_begin; i < tile_end; i++) {
        int64_t t = tile_bound(kernel, n_tokens, i);
        int rows = (int)(tile_bound(kernel, n_tokens, i + 1) - t);
        kernel->pack(rows, x + t * ldx, ldx, depth, a + packed_floats(kernel, t, depth));
    }
}

/* Stored weights that will be decoded next, fetched while the present panel is multiplied: their
 * rows lie too far apart for the processor to guess. */
struct ahead {
    const struct hn_matrix *w;
    int64_t row, rows;
    size_t at, size;               /* bytes of codes inside a row */
    size_t scales_at, scales_size; /* bytes inside a row's scales and biases; size 0: none */
};

static struct ahead look_ahead(const struct hn_matrix *w, int64_t row, int64_t rows, int64_t col,
                               int64_t cols)
{
    struct ahead a = {.w = w, .row = row};
    if (rows <= 0 || cols <= 0)
        return a;
    a.rows = rows;
    a.at = w->row_size * (size_t)col / (size_t)w->cols;
    a.size = w->row_size * (size_t)cols / (size_t)w->cols;
    if (w->layout == HN_LAYOUT_AFFINE) {
        size_t width = hn_dtype_size(w->scale_dtype);
        a.scales_at = (size_t)(col / w->group) * width;
        a.scales_size = (size_t)(cols / w->group) * width;
    }
    return a;
}

static void fetch(const unsigned char *at, size_t size)
{
    for (size_t k = 0; k < size; k += 64)
        HN_PREFETCH(at + k);
    HN_PREFETCH(at + size - 1);
}

/* Rows [begin, end) of what lies ahead. */
static void fetch_rows(const struct ahead *a, int64_t begin, int64_t end)
{
    for (int64_t r = begin; r < HN_MIN(end, a->rows); r++) {
        size_t row = (size_t)hn_matrix_stored_row(a->w, a->row + r);
        fetch(a->w->data + row * a->w->row_size + a->at, a->size);
        if (a->scales_size) {
            size_t groups = (size_t)(a->w->cols / a->w->group);
            size_t at = row * groups * hn_dtype_size(a->w->scale_dtype) + a->scales_at;
            fetch(a->w->scales + at, a->scales_size);
            fetch(a->w->biases + at, a->scales_size);
        }
    }
}

/* Panels of a kernel with forms of its own that the tokens meet together: those live in the second
 * cache beside a tile of the tokens, which then come from further away once for all of them. */
enum { GROUP = 8 };

/* One thread's memory: decoded rows, panels, and a group of panels as the kernel wants them. */
enum {
    ROWS_FLOATS = HN_MM_PANEL_MAX * HN_MM_STRIP,
    PANEL_FLOATS = (HN_MM_STRIP + HN_MM_PANEL_MAX) * HN_MM_DEPTH_MAX,
};

/* The most that settle writes, in whole lines. */
static int64_t settled_floats(const struct hn_mm_kernel *kernel)
{
    int64_t n = packed_floats(kernel, kernel->nr, HN_MM_DEPTH_MAX);
    return kernel->settle ? HN_MM_HEAD + round_up(n, LINE) : 0;
}

size_t hn_mm_panel_floats(const struct hn_mm_kernel *kernel)
{
    return ROWS_FLOATS + PANEL_FLOATS + GROUP * (size_t)settled_floats(kernel);
}

/* Packed tokens, and where a thread keeps panels. */
struct strip {
    const struct hn_mm_kernel *kernel;
    const float *a;
    int64_t n_tokens, depth;
    float *decoded, *panel, *settled;
};

static struct strip strip_of(const struct hn_mm_kernel *kernel, const float *a, int64_t n_tokens,
                             int64_t depth, float *panels)
{
    return (struct strip){.kernel = kernel,
                          .a = a,
                          .n_tokens = n_tokens,
                          .depth = depth,
                          .decoded = panels,
                          .panel = panels + ROWS_FLOATS,
                          .settled = panels + ROWS_FLOATS + PANEL_FLOATS};
}

/* Columns whose panels the tokens meet together. */
static int64_t group_cols(const struct hn_mm_kernel *kernel)
{
    return kernel->settle ? GROUP * kernel->nr : kernel->nr;
}

/* What a tile will take up: it reads its sums before all else, from lines that lie far apart. */
static void fetch_output(const float *c, int64_t ldc, int64_t rows, int64_t cols)
{
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < cols; j += LINE)
            HN_PREFETCH(c + i * ldc + j);
}

/* All tiles of packed tokens times the panels of cols columns, at most group_cols, which are group
 * number i of n before what is ahead. */
static void sweep(const struct strip *b, const float *panels, float *c, int64_t ldc, int64_t cols,
                  bool add, const struct ahead *ahead, int64_t i, int64_t n)
{
    const struct hn_mm_kernel *kernel = b->kernel;
    int64_t n_tiles = hn_mm_n_tiles(kernel, b->n_tokens), nr = kernel->nr;
    int64_t some = (ahead->rows + n * n_tiles - 1) / (n * n_tiles), row = some * n_tiles * i;
    int64_t grains = (b->n_tokens + kernel->row_grain - 1) / kernel->row_grain;
    int64_t least = grains / n_tiles, longer = grains % n_tiles; /* as tile_bound */
    int64_t row_floats = packed_floats(kernel, 1, b->depth), t = 0;
    int64_t stride = settled_floats(kernel);
    for (int64_t k = 0; k < n_tiles; k++, row += some) {
        int64_t rows = (k < longer ? least + 1 : least) * kernel->row_grain;
        rows = HN_MIN(rows, b->n_tokens - t);
        fetch_rows(ahead, row, row + some);
        const float *panel = panels;
        for (int64_t j = 0; j < cols; j += nr, panel += stride) {
            float *to = c + t * ldc + j;
            if (kernel->settle && j + nr < cols)
                fetch_output(to + nr, ldc, rows, HN_MIN(nr, cols - j - nr));
            else if (kernel->settle)
                fetch_output(c + (t + rows) * ldc, ldc, HN_MIN(rows, b->n_tokens - t - rows),
                             HN_MIN(nr, cols));
            kernel->tile((int)rows, b->depth, b->a + t * row_floats, panel, to, ldc,
                         (int)HN_MIN(nr, cols - j), add);
        }
        t += rows;
    }
}

/* Panel number i of a group in the kernel's own form, if it has one.  Returns the group's first. */
static const float *settle(const struct strip *b, int64_t i, const float *panel)
{
    if (!b->kernel->settle)
        return panel;
    b->kernel->settle(b->depth, panel, b->settled + i * settled_floats(b->kernel));
    return b->settled;
}

/* b.panel = w's rows [row, row + cols), columns from k0 on. */
static void fill_panel(const struct hn_cpu_matmul *mm, const struct strip *b,
                       const struct hn_matrix *w, int64_t row, int cols, int64_t k0)
{
    hn_panel_fn *direct = mm->panel.layout[w->layout];
    if (direct && direct(w, row, cols, k0, b->depth, b->panel))
        return;
    for (int64_t k = 0; k < b->depth; k += HN_MM_STRIP) {
        int64_t n = HN_MIN(HN_MM_STRIP, b->depth - k);
        for (int i = 0; i < cols; i++)
            mm->decode[w->layout](w, row + i, k0 + k, n, b->decoded + i * HN_MM_STRIP);
        b->kernel->transpose(cols, b->decoded, HN_MM_STRIP, n, b->panel + k * b->kernel->nr);
    }
}

void hn_mm_forward_strip(const struct hn_cpu_matmul *mm, const struct hn_mm_kernel *kernel,
                         const struct hn_matrix *w, int64_t row, int64_t rows, int64_t k0,
                         int64_t depth, const float *a, int64_t n_tokens, float *panels, float *y,
                         int64_t ldy, bool add)
{
    struct strip b = strip_of(kernel, a, n_tokens, depth, panels);
    int64_t nr = kernel->nr, group = group_cols(kernel);
    for (int64_t j0 = 0; j0 < rows; j0 += group) {
        int64_t cols = HN_MIN(group, rows - j0), next = j0 + cols;
        const float *first = NULL;
        for (int64_t j = 0; j < cols; j += nr) {
            fill_panel(mm, &b, w, row + j0 + j, (int)HN_MIN(nr, cols - j), k0);
            first = settle(&b, j / nr, b.panel);
        }
        struct ahead ahead = look_ahead(w, row + next, HN_MIN(group, rows - next), k0, depth);
        sweep(&b, first, y + j0, ldy, cols, add, &ahead, 0, 1);
    }
}

/* Panels of w's columns [col, col+cols), from rows [n0, n0+depth). */
static void fill_across(const struct hn_cpu_matmul *mm, const struct strip *b,
                        const struct hn_matrix *w, int64_t col, int64_t cols, int64_t n0)
{
    hn_panels_across_fn *across = mm->panel.across[w->layout];
    int64_t stride = b->kernel->nr * b->depth;
    if (across && across(w, n0, b->depth, col, cols, stride, b->panel))
        return;
    for (int64_t n = 0; n < b->depth; n++) {
        mm->decode[w->layout](w, n0 + n, col, cols, b->decoded);
        b->kernel->spread(b->decoded, cols, stride, b->panel + n * b->kernel->nr);
    }
}

void hn_mm_backward_strip(const struct hn_cpu_matmul *mm, const struct hn_mm_kernel *kernel,
                          const struct hn_matrix *w, int64_t col, int64_t cols, int64_t n0,
                          int64_t depth, const float *a, int64_t n_tokens, float *panels, float *dx,
                          int64_t ldx, bool add)
{
    struct strip b = strip_of(kernel, a, n_tokens, depth, panels);
    int64_t nr = kernel->nr, group = group_cols(kernel);
    /* What needs no decoded rows is made a few panels at a time, and found in the second cache. */
    int64_t width = mm->panel.across[w->layout] ? HN_MAX(64, hn_mm_grain(w)) : HN_MM_STRIP;
    int64_t span = HN_MAX(width, group);
    for (int64_t j0 = 0; j0 < cols; j0 += span) {
        int64_t strip = HN_MIN(span, cols - j0), next = j0 + strip;
        int64_t n_groups = (strip + group - 1) / group;
        struct ahead ahead = look_ahead(w, n0, depth, col + next, HN_MIN(span, cols - next));
        for (int64_t j = 0; j < strip; j += nr) {
            int64_t from = j / group * group, end = HN_MIN(j + nr, strip);
            if (j % width == 0)
                fill_across(mm, &b, w, col + j0 + j, HN_MIN(width, strip - j), n0);
            const float *first = settle(&b, (j - from) / nr, b.panel + j % width * depth);
            if (end == strip || end == from + group)
                sweep(&b, first, dx + j0 + from, ldx, end - from, add, &ahead, j / group, n_groups);
        }
    }
}

void hn_mm_pack_rows(const struct hn_mm_rows *r, const float *x, int64_t part, int64_t n_parts)
{
    int64_t begin, end;
    hn_pool_split(hn_mm_n_tiles(r->kernel, r->n), 1, part, n_parts, &begin, &end);
    for (int64_t k = 0; k < r->depth; k += r->block)
        hn_mm_pack(r->kernel, x + k, r->depth, r->n, begin, end, HN_MIN(r->block, r->depth - k),
                   r->packed + hn_mm_packed_floats(r->kernel, r->n, k));
}

void hn_mm_rows_strip(const struct hn_cpu_matmul *mm, const struct hn_mm_rows *r,
                      const struct hn_matrix *w, int64_t row, int64_t rows, float *panels, float *y,
                      int64_t ldy)
{
    for (int64_t k = 0; k < r->depth; k += r->block)
        hn_mm_forward_strip(mm, r->kernel, w, row, rows, k, HN_MIN(r->block, r->depth - k),
                            r->packed + hn_mm_packed_floats(r->kernel, r->n, k), r->n, panels, y,
                            ldy, k > 0);
}

/* ---- cutting a product into parts ---------------------------------------------------------- */

/* A block of tokens and depth. */
struct block {
    const float *x; /* [n_tokens, ldx], from the first step of depth on */
    int64_t ldx, t0, n_tokens, k0, depth;
    int which; /* input, of a backward product */
};

/* A part is one run of the output's columns for one group of the block's tokens, group after group:
 * a thread whose parts lie side by side packs and reads the tokens of few.  More groups mean finer
 * parts, and weights that are decoded again for each. */
struct cut {
    int64_t columns, groups;
};

/* For units of columns that cannot be cut further. */
static struct cut cut_product(const struct hn_device *dev, int64_t units, int64_t n_tokens)
{
    enum { GROUP_MIN = 64, DECODE = 16 }; /* tokens; what decoding costs, in tokens multiplied */
    int64_t threads = hn_pool_size(dev->pool), least = INT64_MAX,
            few = hn_pool_cut(dev->pool, units);
    struct cut cut = {units <= 2 * few ? units : few, 1};
    if (threads == 1)
        cut.columns = 1;
    for (int64_t g = 1; g == 1 || n_tokens >= g * GROUP_MIN; g *= 2) {
        int64_t rounds = (cut.columns * g + threads - 1) / threads;
        int64_t time = rounds * units * (n_tokens / g + DECODE) / cut.columns;
        if (time < least) {
            least = time;
            cut.groups = g;
        }
    }
    return cut;
}

/* A product goes block by block: all threads pack it, then multiply it. */
struct blocks {
    const struct hn_mm_kernel *kernel;
    int64_t units; /* of columns */
    struct block now;
    struct cut cut; /* of this block: the last one may have too few tokens for groups */
    float *packed;
    float *panels; /* per thread */
};

struct span {
    int64_t begin, n; /* tokens of the block */
    float *packed;
};

/* A group's tokens, which are packed as if there were no others. */
static struct span tokens_of(const struct blocks *b, int64_t group)
{
    int64_t begin, end;
    hn_pool_split(b->now.n_tokens, b->kernel->mr, group, b->cut.groups, &begin, &end);
    return (struct span){begin, end - begin,
                         b->packed + packed_floats(b->kernel, begin, b->now.depth)};
}

/* A part packs a few tiles of its group. */
static void pack_job(void *arg, struct hn_parts *parts)
{
    const struct blocks *b = arg;
    while (hn_parts_next(parts)) {
        int64_t begin, end, shares = parts->n / b->cut.groups;
        struct span t = tokens_of(b, parts->at / shares);
        hn_pool_split(hn_mm_n_tiles(b->kernel, t.n), 1, parts->at % shares, shares, &begin, &end);
        hn_mm_pack(b->kernel, b->now.x + t.begin * b->now.ldx, b->now.ldx, t.n, begin, end,
                   b->now.depth, t.packed);
    }
}

static void run_block(struct hn_device *dev, struct blocks *b, const struct block *now,
                      hn_pool_fn *fn, void *arg)
{
    b->now = *now;
    b->cut = cut_product(dev, b->units, now->n_tokens);
    int64_t groups = b->cut.groups, tiles = hn_mm_n_tiles(b->kernel, now->n_tokens / groups);
    hn_pool_run(dev->pool, pack_job, b, hn_pool_cut(dev->pool, tiles) * groups);
    hn_pool_run(dev->pool, fn, arg, b->cut.columns * groups);
}

/* One packed block of tokens. */
static size_t block_floats(const struct hn_mm_kernel *kernel, int64_t n_tokens)
{
    return hn_mm_packed_floats(kernel, HN_MIN(n_tokens, HN_MM_TOKENS_MAX), HN_MM_DEPTH_MAX);
}

static struct blocks open_blocks(const struct hn_device *dev, struct hn_mm_scratch *s,
                                 const struct hn_mm_kernel *kernel, int64_t units, int64_t n_tokens)
{
    size_t panels = hn_mm_panel_floats(kernel) * (size_t)hn_pool_size(dev->pool);
    struct blocks b = {.kernel = kernel};
    b.units = units;
    b.packed = hn_mm_scratch_take(s, block_floats(kernel, n_tokens));
    b.panels = hn_mm_scratch_take(s, panels);
    return b;
}

/* ---- forward ------------------------------------------------------------------------------- */

struct forward {
    struct hn_device *dev;
    const struct hn_mm_kernel *kernel;
    const float *x;
    int64_t n_tokens, depth;
    const struct hn_mm_out *out;
    int n;
    bool add;
    struct blocks blocks; /* of many tokens */
    float *tokens;        /* of few, prepared, per thread */
};

static int64_t panels_of(const struct hn_mm_out *o, int64_t nr)
{
    return (o->w->rows + nr - 1) / nr;
}

int64_t hn_mm_panels(const struct hn_mm_out *out, int n, int64_t nr)
{
    int64_t panels = 0;
    for (int i = 0; i < n; i++)
        panels += panels_of(&out[i], nr);
    return panels;
}

void hn_mm_part_rows(const struct hn_mm_out *out, int n, int64_t nr, int i, int64_t part,
                     int64_t n_parts, int64_t *begin, int64_t *end)
{
    int64_t before = hn_mm_panels(out, i, nr), own = panels_of(&out[i], nr), rows = out[i].w->rows;
    hn_pool_split(hn_mm_panels(out, n, nr), 1, part, n_parts, begin, end);
    *begin = HN_MIN(rows, HN_MAX(0, HN_MIN(*begin - before, own)) * nr);
    *end = HN_MIN(rows, HN_MAX(0, HN_MIN(*end - before, own)) * nr);
}

void hn_mm_start_output(const struct hn_mm_out *o, float *y, int64_t n_tokens, int64_t begin,
                        int64_t end, bool add)
{
    for (int64_t t = 0; t < n_tokens; t++)
        for (int64_t j = begin; j < end; j++)
            y[t * o->w->rows + j] = add ? y[t * o->w->rows + j] + o->bias[j] : o->bias[j];
}

/* A part of the block: some of all outputs' rows. */
static void forward_part_of_block(const struct forward *f, int64_t part, float *panels)
{
    const struct block *b = &f->blocks.now;
    const struct cut *cut = &f->blocks.cut;
    struct span t = tokens_of(&f->blocks, part / cut->columns);
    for (int i = 0; i < f->n; i++) {
        const struct hn_mm_out *o = &f->out[i];
        int64_t begin, end;
        hn_mm_part_rows(f->out, f->n, f->kernel->nr, i, part % cut->columns, cut->columns, &begin,
                        &end);
        float *y = o->y + (b->t0 + t.begin) * o->w->rows;
        if (o->bias && b->k0 == 0)
            hn_mm_start_output(o, y, t.n, begin, end, f->add);
        hn_mm_forward_strip(f->dev->matmul, f->kernel, o->w, begin, end - begin, b->k0, b->depth,
                            t.packed, t.n, panels, y + begin, o->w->rows,
                            f->add || b->k0 > 0 || o->bias);
    }
}

static int64_t forward_grain(const struct forward *f)
{
    int64_t grain = 1;
    for (int i = 0; i < f->n; i++)
        grain = HN_MAX(grain, hn_mm_grain(f->out[i].w)); /* powers of two */
    return grain;
}

static void forward_job(void *arg, struct hn_parts *parts)
{
    struct forward *f = arg;
    float *panels = f->blocks.panels + (size_t)parts->thread * hn_mm_panel_floats(f->kernel);
    hn_mm_enter(f->kernel);
    while (hn_parts_next(parts))
        forward_part_of_block(f, parts->at, panels);
    hn_mm_leave(f->kernel);
}

static void forward_blocks(struct forward *f)
{
    int64_t depth = hn_mm_depth_block(f->dev, f->kernel, f->depth, forward_grain(f));
    for (int64_t t0 = 0; t0 < f->n_tokens; t0 += HN_MM_TOKENS_MAX) {
        for (int64_t k0 = 0; k0 < f->depth; k0 += depth) {
            const struct block b = {.x = f->x + t0 * f->depth + k0,
                                    .ldx = f->depth,
                                    .t0 = t0,
                                    .n_tokens = HN_MIN(HN_MM_TOKENS_MAX, f->n_tokens - t0),
                                    .k0 = k0,
                                    .depth = HN_MIN(depth, f->depth - k0)};
            run_block(f->dev, &f->blocks, &b, forward_job, f);
        }
    }
}

/* ---- forward, few tokens ------------------------------------------------------------------- */

static size_t vectors_floats(int64_t depth, size_t n_threads)
{
    return hn_mm_scratch_floats(hn_gemv_prepared_floats(depth) * HN_MM_VECTORS_MAX) * n_threads;
}

enum { STREAM_ROWS = 64 }; /* rows of W whose sums are collected before they go to y */

/* True when the level streams w's rows; those kernels that round tokens are for generation only:
 * a batch behind a cache. */
static bool streams(const struct forward *f, const struct hn_matrix *w)
{
    const struct hn_cpu_gemv *gemv = &f->dev->matmul->gemv;
    return gemv->layout[w->layout].rows &&
           (hn_cpu_generates(f->dev) || !hn_gemv_rounds(w->layout)) &&
           (!gemv->layout[w->layout].suits || gemv->layout[w->layout].suits(w));
}

/* y [n_tokens][ldy] = the sums of n rows from row on. */
static void stream_rows(const struct forward *f, const struct hn_matrix *w, int64_t row, int64_t n,
                        float *work, bool prepared, float *y, int64_t ldy)
{
    const struct hn_cpu_matmul *mm = f->dev->matmul;
    int nt = (int)f->n_tokens;
    if (!streams(f, w)) {
        for (int64_t j = 0; j < n; j++) {
            mm->decode[w->layout](w, row + j, 0, f->depth, work);
            mm->dots(f->x, f->depth, nt, work, f->depth, 1, f->depth, y + j, ldy);
        }
        return;
    }
    const float *x = prepared ? work : f->x;
    int64_t ldx = prepared ? (int64_t)hn_gemv_prepared_floats(f->depth) : f->depth;
    mm->gemv.layout[w->layout].rows(w, row, n, x, ldx, nt, y, ldy);
}

static void add_to(int64_t n, const float *restrict x, float *restrict sum)
{
    for (int64_t i = 0; i < n; i++)
        sum[i] += x[i];
}

static void vector_rows(const struct forward *f, const struct hn_mm_out *o, int64_t begin,
                        int64_t end, float *work, bool prepared)
{
    float sums[HN_MM_VECTORS_MAX * STREAM_ROWS];
    const bool direct = !o->bias && !f->add;
    for (int64_t j = begin; j < end; j += STREAM_ROWS) {
        int64_t rows = HN_MIN(STREAM_ROWS, end - j);
        float *y = o->y + j;
        if (direct)
            stream_rows(f, o->w, j, rows, work, prepared, y, o->w->rows);
        else
            stream_rows(f, o->w, j, rows, work, prepared, sums, STREAM_ROWS);
        for (int64_t t = 0; t < f->n_tokens && !direct; t++, y += o->w->rows) {
            float *sum = sums + t * STREAM_ROWS;
            if (o->bias)
                add_to(rows, o->bias + j, sum);
            if (f->add)
                add_to(rows, sum, y);
            else
                memcpy(y, sum, (size_t)rows * sizeof *y);
        }
    }
}

/* A thread prepares the tokens for the format at hand, and again when it comes to another. */
static void vectors_job(void *arg, struct hn_parts *parts)
{
    struct forward *f = arg;
    size_t stride = hn_gemv_prepared_floats(f->depth);
    float *work = f->tokens + (size_t)parts->thread * vectors_floats(f->depth, 1);
    const struct hn_matrix *ready = NULL;
    while (hn_parts_next(parts)) {
        for (int i = 0; i < f->n; i++) {
            const struct hn_matrix *w = f->out[i].w;
            hn_gemv_prepare_fn *prepare =
                streams(f, w) ? f->dev->matmul->gemv.layout[w->layout].prepare : NULL;
            int64_t begin, end;
            hn_mm_part_rows(f->out, f->n, f->kernel->nr, i, parts->at, parts->n, &begin, &end);
            if (begin == end)
                continue;
            bool same = ready && ready->layout == w->layout && ready->bits == w->bits &&
                        ready->group == w->group;
            for (int64_t t = 0; prepare && !same && t < f->n_tokens; t++)
                prepare(w, f->x + t * f->depth, work + (size_t)t * stride);
            vector_rows(f, &f->out[i], begin, end, work, prepare != NULL);
            ready = prepare ? w : NULL; /* else work holds a decoded row */
        }
    }
}

/* Long streams are cut finer than other jobs: threads that the memory or the system served
 * unequally end them together. */
static int64_t vectors_cut(const struct forward *f, int64_t panels)
{
    enum { PART = 128 << 10 }; /* bytes of weights, the least worth a part of its own */
    size_t bytes = 0;
    for (int i = 0; i < f->n; i++)
        bytes += (size_t)f->out[i].w->rows * f->out[i].w->row_size;
    int64_t parts = HN_MIN((int64_t)(bytes / PART), HN_POOL_PARTS_MAX);
    return HN_MIN(panels, HN_MAX(parts, hn_pool_cut(f->dev->pool, panels)));
}

void hn_mm_forward(struct hn_device *dev, struct hn_mm_scratch s, const float *x, int64_t n_tokens,
                   int64_t depth, const struct hn_mm_out *out, int n, bool add)
{
    const struct hn_mm_kernel *kernel =
        hn_mm_rounds(dev, n_tokens) ? &dev->matmul->rounded : hn_mm_pick(dev->matmul, n_tokens);
    struct forward f = {.dev = dev,
                        .kernel = kernel,
                        .x = x,
                        .n_tokens = n_tokens,
                        .depth = depth,
                        .out = out,
                        .n = n,
                        .add = add};
    size_t threads = (size_t)hn_pool_size(dev->pool);
    int64_t panels = hn_mm_panels(out, n, kernel->nr);
    if (n_tokens <= HN_MM_VECTORS_MAX) {
        f.tokens = hn_mm_scratch_take(&s, vectors_floats(depth, threads));
        hn_pool_run(dev->pool, vectors_job, &f, vectors_cut(&f, panels));
        return;
    }
    f.blocks = open_blocks(dev, &s, kernel, panels, n_tokens);
    forward_blocks(&f);
}

/* ---- backward ------------------------------------------------------------------------------ */

struct backward {
    struct hn_device *dev;
    const struct hn_mm_kernel *kernel;
    float *dx;
    int64_t n_tokens, cols;
    const struct hn_mm_in *in;
    bool add;
    int64_t grain; /* columns that are decoded together */
    struct blocks blocks;
};

static void backward_job(void *arg, struct hn_parts *parts)
{
    const struct backward *p = arg;
    const struct block *b = &p->blocks.now;
    const struct cut *cut = &p->blocks.cut;
    float *panels = p->blocks.panels + (size_t)parts->thread * hn_mm_panel_floats(p->kernel);
    hn_mm_enter(p->kernel);
    while (hn_parts_next(parts)) {
        struct span t = tokens_of(&p->blocks, parts->at / cut->columns);
        int64_t begin, end, run = parts->at % cut->columns;
        hn_pool_split(p->cols, p->grain, run, cut->columns, &begin, &end);
        hn_mm_backward_strip(p->dev->matmul, p->kernel, p->in[b->which].w, begin, end - begin,
                             b->k0, b->depth, t.packed, t.n, panels,
                             p->dx + (b->t0 + t.begin) * p->cols + begin, p->cols,
                             p->add || b->which > 0 || b->k0 > 0);
    }
    hn_mm_leave(p->kernel);
}

/* The blocks of tokens [t0, t0 + nt): all rows of all weights. */
static void backward_blocks(struct backward *p, int n, int64_t t0, int64_t nt)
{
    for (int i = 0; i < n; i++) {
        int64_t rows = p->in[i].w->rows, depth = hn_mm_depth_block(p->dev, p->kernel, rows, 8);
        for (int64_t n0 = 0; n0 < rows; n0 += depth) {
            const struct block b = {.x = p->in[i].dy + t0 * rows + n0,
                                    .ldx = rows,
                                    .t0 = t0,
                                    .n_tokens = nt,
                                    .k0 = n0,
                                    .depth = HN_MIN(depth, rows - n0),
                                    .which = i};
            run_block(p->dev, &p->blocks, &b, backward_job, p);
        }
    }
}

void hn_mm_backward(struct hn_device *dev, struct hn_mm_scratch s, float *dx, int64_t n_tokens,
                    int64_t cols, const struct hn_mm_in *in, int n, bool add)
{
    const struct hn_mm_kernel *kernel = hn_mm_pick(dev->matmul, n_tokens);
    struct backward p = {.dev = dev,
                         .kernel = kernel,
                         .dx = dx,
                         .n_tokens = n_tokens,
                         .cols = cols,
                         .in = in,
                         .add = add,
                         .grain = kernel->nr};
    for (int i = 0; i < n; i++)
        p.grain = HN_MAX(p.grain, hn_mm_grain(in[i].w));
    int64_t units = (cols + p.grain - 1) / p.grain;
    p.blocks = open_blocks(dev, &s, kernel, units, n_tokens);
    for (int64_t t0 = 0; t0 < n_tokens; t0 += HN_MM_TOKENS_MAX)
        backward_blocks(&p, n, t0, HN_MIN(HN_MM_TOKENS_MAX, n_tokens - t0));
}

size_t hn_mm_scratch_needed(const struct hn_device *dev, int64_t n_tokens, int64_t width)
{
    size_t threads = (size_t)hn_pool_size(dev->pool);
    size_t block = HN_MAX(block_floats(&dev->matmul->main, n_tokens),
                          block_floats(&dev->matmul->plain, n_tokens));
    size_t vectors = hn_mm_scratch_floats(vectors_floats(width, threads));
    size_t blocked = hn_mm_scratch_floats(block) +
                     hn_mm_scratch_floats(hn_mm_panel_floats(&dev->matmul->main) * threads);
    return HN_MAX(vectors, blocked);
}

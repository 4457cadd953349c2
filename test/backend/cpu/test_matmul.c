/* Every slot of every level's table against C's: ragged sizes, odd addresses, guard pages.
 * Decoders and dropout bit for bit; sums within the rounding of their terms. */
#include "mm_fixture.h"

static const struct hn_cpu_matmul *tables[HN_CPU_LEVEL_COUNT] = {
    [HN_CPU_C] = &hn_cpu_matmul_c,
    [HN_CPU_NEON] = &hn_cpu_matmul_neon,
    [HN_CPU_AVX2] = &hn_cpu_matmul_avx2,
    [HN_CPU_AVX512] = &hn_cpu_matmul_avx512,
};

#define EACH_LEVEL(level, table)                                                                   \
    for (int level = 0; level < HN_CPU_LEVEL_COUNT; level++)                                       \
        for (const struct hn_cpu_matmul *table = tables[level];                                    \
             table && level_tested((enum hn_cpu_level)level); table = NULL)

static struct guarded random_floats(int64_t n)
{
    struct guarded g = guarded_open((size_t)n * sizeof(float));
    for (int64_t i = 0; i < n; i++)
        ((float *)(void *)g.data)[i] = uniform(-1, 1);
    return g;
}

static float *floats(const struct guarded *g)
{
    return (float *)(void *)g->data;
}

static void same_bits(const char *what, int level, const void *got, const void *want, size_t size)
{
    const unsigned char *a = got, *b = want;
    for (size_t i = 0; i < size; i++)
        if (a[i] != b[i])
            fail_msg("%s, %s: byte %zu of %zu is %02x, C's is %02x", what,
                     hn_cpu_level_name((enum hn_cpu_level)level), i, size, a[i], b[i]);
}

/* ---- tile ---------------------------------------------------------------------------------- */

/* The textbook sum, and the bound of any order of float32 sums. */
static void check_tile(int level, const struct hn_cpu_matmul *mm, int rows, int64_t depth, int cols,
                       bool add)
{
    struct guarded a = random_floats(rows * depth), b = random_floats(mm->plain.nr * depth);
    int64_t ldc = cols + 3;
    struct guarded c = random_floats((rows - 1) * ldc + cols);
    float *before = malloc((size_t)(rows * ldc) * sizeof *before), *at = floats(&c);
    memcpy(before, at, (size_t)((rows - 1) * ldc + cols) * sizeof *before);
    mm->plain.tile(rows, depth, floats(&a), floats(&b), at, ldc, cols, add);
    for (int i = 0; i < rows; i++) {
        for (int j = 0; j < (i + 1 < rows ? ldc : cols); j++) {
            float got = at[i * ldc + j], old = before[i * ldc + j];
            double want = add ? (double)old : 0, mag = fabs(want);
            if (j >= cols) {
                assert_true(got == old); /* between the rows nothing may change */
                continue;
            }
            for (int64_t k = 0; k < depth; k++) {
                double term =
                    (double)floats(&a)[k * rows + i] * (double)floats(&b)[k * mm->plain.nr + j];
                want += term;
                mag += fabs(term);
            }
            if (!(fabs((double)got - want) <= rounding(depth) * mag))
                fail_msg("%s tile %d x %d, depth %lld: [%d, %d] is %.9g, expected %.9g",
                         hn_cpu_level_name((enum hn_cpu_level)level), rows, cols, (long long)depth,
                         i, j, (double)got, want);
        }
    }
    free(before);
    guarded_close(&a);
    guarded_close(&b);
    guarded_close(&c);
}

static void test_tile(void **state)
{
    (void)state;
    EACH_LEVEL(level, mm)
    for (int rows = 1; mm->plain.tile && rows <= mm->plain.mr; rows++)
        for (int cols = 1; cols <= mm->plain.nr; cols++)
            check_tile(level, mm, rows, 1 + (int64_t)hn_rng_below(&rng, 70), cols, cols % 2);
}

/* ---- kernels with forms of their own ------------------------------------------------------- */

static double to_bf16(float v)
{
    return (double)hn_bf16_to_f32(hn_bf16_from_f32(v));
}

static double as_it_is(float v)
{
    return (double)v;
}

/* The products of operands, as off as off of the terms' magnitudes, then the bound of any order of
 * float32 sums. */
static void check_own_tile(int level, const struct hn_mm_kernel *kernel, double (*operand)(float),
                           double off, int rows, int64_t depth, int cols, bool add)
{
    int64_t ldx = depth + 2, ldc = cols + 3, grain = kernel->depth_grain;
    int64_t deep = (depth + grain - 1) / grain * grain;
    int64_t packed = (rows + kernel->row_grain - 1) / kernel->row_grain * kernel->row_grain;
    struct guarded x = random_floats((rows - 1) * ldx + depth);
    struct guarded panel = random_floats(kernel->nr * depth);
    struct guarded a = guarded_open((size_t)(packed * deep * kernel->element_size));
    float *settled = hn_alloc_aligned((size_t)(2 * kernel->nr * deep + HN_MM_HEAD) * sizeof(float));
    struct guarded c = random_floats((rows - 1) * ldc + cols);
    float *before = malloc(c.map_size), *at = floats(&c);
    memcpy(before, at, (size_t)((rows - 1) * ldc + cols) * sizeof *before);
    kernel->pack(rows, floats(&x), ldx, depth, floats(&a));
    kernel->settle(depth, floats(&panel), settled);
    if (kernel->enter)
        kernel->enter();
    kernel->tile(rows, depth, floats(&a), settled, at, ldc, cols, add);
    if (kernel->leave)
        kernel->leave();
    for (int i = 0; i < rows; i++) {
        for (int j = 0; j < (i + 1 < rows ? ldc : cols); j++) {
            double old = (double)before[i * ldc + j], want = add || j >= cols ? old : 0, mag = 0;
            for (int64_t k = 0; k < depth && j < cols; k++) {
                double term =
                    operand(floats(&x)[i * ldx + k]) * operand(floats(&panel)[k * kernel->nr + j]);
                want += term;
                mag += fabs(term);
            }
            if (!(fabs((double)at[i * ldc + j] - want) <=
                  off * mag +
                      (double)(depth + 2) * 0x1p-24 * (mag + (add && mag > 0 ? fabs(old) : 0))))
                fail_msg("%s own tile %d x %d, depth %lld: [%d, %d] is %.9g, expected %.9g",
                         hn_cpu_level_name((enum hn_cpu_level)level), rows, cols, (long long)depth,
                         i, j, (double)at[i * ldc + j], want);
        }
    }
    free(before);
    hn_free(settled);
    guarded_close(&x);
    guarded_close(&panel);
    guarded_close(&a);
    guarded_close(&c);
}

static void check_own_tiles(int level, const struct hn_mm_kernel *kernel, double (*operand)(float),
                            double off)
{
    for (int rows = 1; rows <= kernel->mr; rows++)
        for (int cols = 1; cols <= kernel->nr; cols += 1 + rows % 3)
            check_own_tile(level, kernel, operand, off, rows, 1 + (int64_t)hn_rng_below(&rng, 70),
                           cols, cols % 2);
}

/* Of the class exact: all three terms of both operands, or two behind a cache. */
static void test_split_tile(void **state)
{
    (void)state;
    for (int level = 0; level < HN_CPU_LEVEL_COUNT; level++) {
        struct hn_cpu_matmul mm;
        if (!level_tested((enum hn_cpu_level)level))
            continue;
        hn_cpu_matmul_select(&mm, (enum hn_cpu_level)level, HN_CLASS_EXACT);
        if (mm.main.settle)
            check_own_tiles(level, &mm.main, as_it_is, 0x1p-22);
        if (mm.rounded.settle)
            check_own_tiles(level, &mm.rounded, as_it_is, 3 * 0x1p-16);
    }
}

/* Operands rounded to nearest even: a kernel that rounded otherwise, or not at all, would miss the
 * bound. */
static void test_bf16_tile(void **state)
{
    (void)state;
    int served = 0;
    for (int level = 0; level < HN_CPU_LEVEL_COUNT; level++) {
        struct hn_cpu_matmul mm;
        if (!level_tested((enum hn_cpu_level)level))
            continue;
        hn_cpu_matmul_select(&mm, (enum hn_cpu_level)level, HN_CLASS_BF16);
        if (mm.main.class != HN_CLASS_BF16) {
            assert_true(mm.main.tile == mm.plain.tile); /* the exact product */
            continue;
        }
        served++;
        check_own_tiles(level, &mm.main, to_bf16, 0);
    }
    assert_true(served > 0 || getenv("HONE_TEST_LEVEL"));
}

/* ---- packing ------------------------------------------------------------------------------- */

static void test_pack(void **state)
{
    (void)state;
    EACH_LEVEL(level, mm)
    for (int rows = 1; mm->plain.pack && rows <= mm->plain.mr; rows++) {
        for (int64_t depth = 1; depth <= 70; depth += depth < 36 ? 1 : 17) {
            int64_t ldx = depth + rows % 4;
            struct guarded x = random_floats((rows - 1) * ldx + depth);
            struct guarded a = random_floats(rows * depth);
            mm->plain.pack(rows, floats(&x), ldx, depth, floats(&a));
            for (int64_t k = 0; k < depth; k++)
                for (int i = 0; i < rows; i++)
                    if (floats(&a)[k * rows + i] != floats(&x)[i * ldx + k])
                        fail_msg("%s pack of %d x %lld: [%d, %lld] is wrong",
                                 hn_cpu_level_name((enum hn_cpu_level)level), rows,
                                 (long long)depth, i, (long long)k);
            guarded_close(&x);
            guarded_close(&a);
        }
    }
}

static void test_transpose(void **state)
{
    (void)state;
    EACH_LEVEL(level, mm)
    for (int cols = 1; mm->plain.transpose && cols <= mm->plain.nr; cols++) {
        for (int64_t depth = 1; depth <= 70; depth += depth < 36 ? 1 : 17) {
            int64_t ldw = depth + cols % 5;
            struct guarded w = random_floats((cols - 1) * ldw + depth);
            struct guarded panel = random_floats(mm->plain.nr * depth);
            mm->plain.transpose(cols, floats(&w), ldw, depth, floats(&panel));
            for (int64_t k = 0; k < depth; k++) {
                for (int j = 0; j < mm->plain.nr; j++) {
                    float want = j < cols ? floats(&w)[j * ldw + k] : 0.0f;
                    if (floats(&panel)[k * mm->plain.nr + j] != want)
                        fail_msg("%s transpose of %d x %lld: [%d, %lld] is wrong",
                                 hn_cpu_level_name((enum hn_cpu_level)level), cols,
                                 (long long)depth, j, (long long)k);
                }
            }
            guarded_close(&w);
            guarded_close(&panel);
        }
    }
}

static void test_spread(void **state)
{
    (void)state;
    EACH_LEVEL(level, mm)
    for (int64_t n = 1; mm->plain.spread && n <= 150; n++) {
        int64_t panels = (n + mm->plain.nr - 1) / mm->plain.nr, stride = mm->plain.nr + n % 3;
        struct guarded w = random_floats(n),
                       to = random_floats((panels - 1) * stride + mm->plain.nr);
        mm->plain.spread(floats(&w), n, stride, floats(&to));
        for (int64_t j = 0; j < panels * mm->plain.nr; j++)
            if (floats(&to)[j / mm->plain.nr * stride + j % mm->plain.nr] !=
                (j < n ? floats(&w)[j] : 0.0f))
                fail_msg("%s spread of %lld: [%lld] is wrong",
                         hn_cpu_level_name((enum hn_cpu_level)level), (long long)n, (long long)j);
        guarded_close(&w);
        guarded_close(&to);
    }
}

/* ---- decoders ------------------------------------------------------------------------------ */

static void test_decode(void **state)
{
    (void)state;
    for (int level = 0; level < HN_CPU_LEVEL_COUNT; level++)
        for (size_t k = 0; k < HN_COUNT(formats) && level_tested((enum hn_cpu_level)level); k++) {
            const struct format *f = &formats[k];
            struct hn_cpu_matmul mm;
            hn_cpu_matmul_select(&mm, (enum hn_cpu_level)level, HN_CLASS_EXACT);
            for (int blocks = 1; blocks <= 9; blocks += 2) {
                struct weight w;
                int64_t cols = f->group == 8 ? 8 * blocks + 3 : f->group * blocks, rows = 12;
                weight_open(&w, f, rows, cols, blocks % 4 == 1 ? 6 : 0);
                for (int64_t row = 0; row < rows; row++) {
                    int64_t col = f->group * (int64_t)hn_rng_below(&rng, (uint64_t)blocks);
                    struct guarded out = guarded_open((size_t)(cols - col) * sizeof(float));
                    float *want = malloc((size_t)cols * sizeof *want);
                    hn_matrix_decode(&w.w.m, row, col, cols - col, want);
                    mm.decode[f->layout](&w.w.m, row, col, cols - col, floats(&out));
                    same_bits(f->name, level, out.data, want, (size_t)(cols - col) * sizeof *want);
                    free(want);
                    guarded_close(&out);
                }
                weight_close(&w);
            }
        }
}

/* All 65,536 halves and bfloats, NaN and subnormals too. */
static void test_decode_halves(void **state)
{
    (void)state;
    EACH_LEVEL(level, mm)
    for (int layout = HN_LAYOUT_F16; layout <= HN_LAYOUT_BF16; layout++) {
        enum { N = 65536 };
        if (!mm->decode[layout])
            continue;
        uint16_t *halves = malloc(N * sizeof *halves);
        float *got = malloc(N * sizeof *got), *want = malloc(N * sizeof *want);
        for (int i = 0; i < N; i++)
            halves[i] = (uint16_t)i;
        struct hn_matrix m = {.layout = (enum hn_layout)layout,
                              .rows = 1,
                              .cols = N,
                              .data = (const unsigned char *)halves,
                              .row_size = N * sizeof *halves};
        mm->decode[layout](&m, 0, 0, N, got);
        hn_matrix_decode(&m, 0, 0, N, want);
        same_bits("halves", level, got, want, N * sizeof *got);
        free(halves);
        free(got);
        free(want);
    }
}

static void check_panel(int level, hn_panel_fn *fn, int nr, const struct format *f, int64_t groups,
                        int64_t rope_head)
{
    struct weight w;
    int64_t rows = 48, cols = f->group * groups;
    weight_open(&w, f, rows, cols, rope_head);
    for (int64_t row = 0; row < rows; row += 1 + (int64_t)hn_rng_below(&rng, 20)) {
        int64_t k0 = f->group * (int64_t)hn_rng_below(&rng, (uint64_t)groups), depth = cols - k0;
        int64_t some = 1 + (int64_t)hn_rng_below(&rng, (uint64_t)nr);
        int n = (int)HN_MIN(rows - row, some);
        struct guarded panel = random_floats(depth * nr);
        bool done = fn(&w.w.m, row, n, k0, depth, floats(&panel));
        for (int64_t k = 0; done && k < depth; k++)
            for (int j = 0; j < n; j++)
                if ((double)floats(&panel)[k * nr + j] != w.value[(row + j) * cols + k0 + k])
                    fail_msg("%s panel of %s: [%lld, %lld] is %.9g, expected %.9g",
                             hn_cpu_level_name((enum hn_cpu_level)level), f->name,
                             (long long)(row + j), (long long)(k0 + k),
                             (double)floats(&panel)[k * nr + j],
                             w.value[(row + j) * cols + k0 + k]);
        guarded_close(&panel);
    }
    weight_close(&w);
}

static void check_across(int level, hn_panels_across_fn *fn, int nr, const struct format *f,
                         int64_t groups, int64_t rope_head)
{
    struct weight w;
    int64_t rows = 48, cols = f->group * groups;
    weight_open(&w, f, rows, cols, rope_head);
    for (int64_t row = 0; row < rows; row += 1 + (int64_t)hn_rng_below(&rng, 20)) {
        int64_t col = f->group * (int64_t)hn_rng_below(&rng, (uint64_t)groups), n = cols - col;
        int64_t depth = 1 + (int64_t)hn_rng_below(&rng, (uint64_t)(rows - row));
        int64_t stride = depth * nr + 3;
        struct guarded panel = random_floats((n + nr - 1) / nr * stride);
        bool done = fn(&w.w.m, row, depth, col, n, stride, floats(&panel));
        for (int64_t k = 0; done && k < depth; k++)
            for (int64_t j = 0; j < n; j++) {
                double got = (double)floats(&panel)[j / nr * stride + k * nr + j % nr];
                double want = w.value[(row + k) * cols + col + j];
                if (got != want)
                    fail_msg("%s panels across %s: [%lld, %lld] is %.9g, expected %.9g",
                             hn_cpu_level_name((enum hn_cpu_level)level), f->name,
                             (long long)(row + k), (long long)(col + j), got, want);
            }
        guarded_close(&panel);
    }
    weight_close(&w);
}

static void test_panel(void **state)
{
    (void)state;
    for (int level = 0; level < HN_CPU_LEVEL_COUNT; level++) {
        struct hn_cpu_matmul mm;
        if (!level_tested((enum hn_cpu_level)level))
            continue;
        hn_cpu_matmul_select(&mm, (enum hn_cpu_level)level, HN_CLASS_EXACT);
        for (size_t k = 0; k < HN_COUNT(formats); k++)
            for (int64_t groups = 1; mm.panel.layout[formats[k].layout] && groups <= 5; groups++)
                check_panel(level, mm.panel.layout[formats[k].layout], mm.plain.nr, &formats[k],
                            groups, groups % 2 * 8);
        for (size_t k = 0; k < HN_COUNT(formats); k++)
            for (int64_t groups = 1; mm.panel.across[formats[k].layout] && groups <= 5; groups++)
                check_across(level, mm.panel.across[formats[k].layout], mm.plain.nr, &formats[k],
                             groups, groups % 2 * 8);
    }
}

/* ---- dot products -------------------------------------------------------------------------- */

static void test_dots(void **state)
{
    (void)state;
    EACH_LEVEL(level, mm)
    for (int nt = 1; mm->dots && nt <= HN_MM_VECTORS_MAX; nt++) {
        for (int n = 1; n <= 9; n++) {
            int64_t depth = 1 + (int64_t)hn_rng_below(&rng, 150), ldx = depth + 1, ldw = depth + 2;
            struct guarded x = random_floats((nt - 1) * ldx + depth);
            struct guarded w = random_floats((n - 1) * ldw + depth), y = random_floats(nt * n);
            mm->dots(floats(&x), ldx, nt, floats(&w), ldw, n, depth, floats(&y), n);
            for (int t = 0; t < nt; t++) {
                for (int i = 0; i < n; i++) {
                    double want = 0, mag = 0;
                    for (int64_t k = 0; k < depth; k++) {
                        double term =
                            (double)floats(&x)[t * ldx + k] * (double)floats(&w)[i * ldw + k];
                        want += term;
                        mag += fabs(term);
                    }
                    double error = fabs((double)floats(&y)[t * n + i] - want);
                    if (!(error <= rounding(depth) * mag))
                        fail_msg("%s dots %d x %d, depth %lld: [%d, %d] is off by %.3g",
                                 hn_cpu_level_name((enum hn_cpu_level)level), nt, n,
                                 (long long)depth, t, i, error);
                }
            }
            guarded_close(&x);
            guarded_close(&w);
            guarded_close(&y);
        }
    }
}

/* ---- few tokens ---------------------------------------------------------------------------- */

/* What rounding x to 16 bits (the class int8: 8) per block of 32 may change in a row of m times x.
 */
static double rounded_away(const struct hn_cpu_gemv *table, const struct hn_matrix *m,
                           const float *x, const double *values)
{
    const double step = table == &hn_cpu_gemv_bytes_avx2 ? 1.001 / 254 : 0x1.01p-16;
    double sum = 0;
    for (int64_t k = 0; k < m->cols && hn_gemv_rounds(m->layout); k += 32) {
        double most = 0, weights = 0;
        for (int64_t i = k; i < HN_MIN(k + 32, m->cols); i++) {
            most = fmax(most, fabs((double)x[i]));
            weights += fabs(values[i]);
        }
        sum += step * most * weights;
    }
    return sum;
}

/* Rows [from, rows) of m, whose values and terms' magnitudes (NULL: the values') are given. */
static void check_gemv_of(int level, const struct hn_cpu_gemv *table, const char *name,
                          const struct hn_matrix *m, const double *value, const double *magnitude,
                          int64_t from, int nt)
{
    hn_gemv_prepare_fn *prepare = table->layout[m->layout].prepare;
    int64_t rows = m->rows, cols = m->cols, ldx = cols, n = rows - from;
    struct guarded x = random_floats(nt * cols), y = random_floats(nt * rows), order = {0};
    for (int64_t i = 0; i < nt * cols; i += 37) /* blocks of unlike sizes */
        floats(&x)[i] *= 16;
    if (prepare) {
        ldx = (int64_t)hn_gemv_prepared_floats(cols);
        order = guarded_open((size_t)(nt * ldx) * sizeof(float));
        for (int t = 0; t < nt; t++)
            prepare(m, floats(&x) + t * cols, floats(&order) + t * ldx);
    }
    table->layout[m->layout].rows(m, from, n, prepare ? floats(&order) : floats(&x), ldx, nt,
                                  floats(&y), rows);
    for (int t = 0; t < nt; t++) {
        for (int64_t j = 0; j < n; j++) {
            const double *v = value + (from + j) * cols;
            double want = 0, mag = 0;
            for (int64_t k = 0; k < cols; k++) {
                double xk = (double)floats(&x)[t * cols + k];
                want += xk * v[k];
                mag += fabs(xk) * (magnitude ? magnitude[(from + j) * cols + k] : fabs(v[k]));
            }
            double got = (double)floats(&y)[t * rows + j];
            double bound =
                rounding(cols + 4) * mag + rounded_away(table, m, floats(&x) + t * cols, v);
            if (!(fabs(got - want) <= bound))
                fail_msg("%s, %s, %d tokens of %lld: [%d, %lld] is %.9g, expected %.9g",
                         hn_cpu_level_name((enum hn_cpu_level)level), name, nt, (long long)cols, t,
                         (long long)j, got, want);
        }
    }
    guarded_close(&x);
    guarded_close(&y);
    guarded_close(&order);
}

static void check_gemv(int level, const struct hn_cpu_gemv *table, const struct format *f,
                       int64_t cols, int nt, int64_t rope_head)
{
    struct weight w;
    weight_open(&w, f, 8, cols, rope_head);
    check_gemv_of(level, table, f->name, &w.w.m, w.value, w.magnitude,
                  (int64_t)hn_rng_below(&rng, 3), nt);
    weight_close(&w);
}

/* The level's decoder from any even column on, where C's row is given. */
static void check_decode_bnb(int level, const struct hn_matrix *m, int64_t row, const float *want)
{
    struct hn_cpu_matmul mm;
    hn_cpu_matmul_select(&mm, (enum hn_cpu_level)level, HN_CLASS_EXACT);
    int64_t col = 2 * (int64_t)hn_rng_below(&rng, (uint64_t)m->cols / 2), n = m->cols - col;
    struct guarded out = guarded_open((size_t)n * sizeof(float));
    mm.decode[m->layout](m, row, col, n, floats(&out));
    same_bits(hn_layout_name(m->layout), level, out.data, want + col, (size_t)n * sizeof(float));
    guarded_close(&out);
}

/* bitsandbytes: both layouts, every type of result, nested scales, blocks that span rows. */
static void check_gemv_bnb(int level, const struct hn_cpu_gemv *table, int64_t cols, int nt,
                           enum hn_dtype dtype, int64_t block, bool nested)
{
    enum { ROWS = 5 };
    int64_t n = ROWS * cols, blocks = (n + block - 1) / block;
    struct guarded codes = guarded_open((size_t)n / 2), bytes = guarded_open((size_t)n);
    struct guarded map = random_floats(16), wide = random_floats(256);
    struct guarded absmax = guarded_open((size_t)blocks * (nested ? 1 : 4));
    struct guarded outer = random_floats((blocks + 15) / 16), scales = random_floats(ROWS);
    double *value = malloc((size_t)n * sizeof *value);
    float *row = malloc((size_t)cols * sizeof *row);
    for (size_t i = 0; i < (size_t)n; i++)
        bytes.data[i] = (unsigned char)hn_rng_u32(&rng);
    memcpy(codes.data, bytes.data, (size_t)n / 2);
    for (int64_t i = 0; i < blocks; i++) {
        if (nested)
            absmax.data[i] = (unsigned char)hn_rng_u32(&rng);
        else
            floats(&absmax)[i] = uniform(0.5f, 2);
    }
    struct hn_bnb4 b = {.map = map.data, .block = block, .absmax = absmax.data, .dtype = dtype};
    if (nested)
        b.nested_map = wide.data, b.nested_absmax = outer.data, b.nested_block = 16,
        b.nested_offset = 0.75f;
    const struct hn_matrix both[] = {
        {.layout = HN_LAYOUT_BNB4, .data = codes.data, .row_size = (size_t)cols / 2, .bnb4 = &b},
        {.layout = HN_LAYOUT_BNB8,
         .data = bytes.data,
         .row_size = (size_t)cols,
         .scales = scales.data},
    };
    for (int i = 0; i < 2; i++) {
        struct hn_matrix m = both[i];
        m.rows = ROWS, m.cols = cols;
        for (int64_t r = 0; r < ROWS; r++) {
            hn_matrix_decode(&m, r, 0, cols, row);
            check_decode_bnb(level, &m, r, row);
            for (int64_t k = 0; k < cols; k++)
                value[r * cols + k] = (double)row[k];
        }
        if (!table->layout[m.layout].rows ||
            (table->layout[m.layout].suits && !table->layout[m.layout].suits(&m)))
            continue;
        check_gemv_of(level, table, i ? "int8" : "4 bits of bitsandbytes", &m, value, NULL, 1, nt);
    }
    free(value);
    free(row);
    guarded_close(&codes);
    guarded_close(&bytes);
    guarded_close(&map);
    guarded_close(&wide);
    guarded_close(&absmax);
    guarded_close(&outer);
    guarded_close(&scales);
}

/* Every format that a level's table has. */
static void check_gemv_table(int level, const struct hn_cpu_gemv *table, int nt)
{
    const bool bytes = table == &hn_cpu_gemv_bytes_avx2;
    for (size_t k = 0; k < HN_COUNT(formats); k++) {
        const struct format *f = &formats[k];
        for (int64_t blocks = 1; blocks <= 9 && table->layout[f->layout].rows; blocks += 1 + nt % 3)
            check_gemv(level, table, f, f->group * blocks + (f->group == 8) * nt, nt,
                       blocks % 2 * 4);
    }
    for (int k = 0; k < 6 * 3 * 3; k++) { /* every affine combination */
        static const int bits[] = {2, 3, 4, 5, 6, 8};
        static const enum hn_dtype types[] = {HN_F32, HN_F16, HN_BF16};
        struct format f = {"affine", HN_LAYOUT_AFFINE, bits[k % 6], 32 << k / 6 % 3, types[k / 18]};
        if (f.bits == 4 || !bytes)
            check_gemv(level, table, &f, f.group * (1 + (k + nt) % 5), nt, 0);
    }
    for (int k = 0; k < 12; k++)
        check_gemv_bnb(level, table, 64 * (1 + (k + nt) % 5), nt, (enum hn_dtype)(k % 3),
                       k % 2 ? 64 : 128, k >= 6);
}

static void test_gemv(void **state)
{
    (void)state;
    static const struct hn_cpu_gemv *const gemv[HN_CPU_LEVEL_COUNT] = {
        [HN_CPU_NEON] = &hn_cpu_gemv_neon,
        [HN_CPU_NEON_DOT] = &hn_cpu_gemv_neon_dot,
        [HN_CPU_AVX2] = &hn_cpu_gemv_avx2,
        [HN_CPU_AVX512] = &hn_cpu_gemv_avx512,
    };
    for (int level = 0; level < HN_CPU_LEVEL_COUNT; level++) {
        if (!gemv[level] || !level_tested((enum hn_cpu_level)level))
            continue;
        for (int nt = 1; nt <= HN_MM_VECTORS_MAX; nt++) {
            check_gemv_table(level, gemv[level], nt);
            if (level == HN_CPU_AVX2)
                check_gemv_table(level, &hn_cpu_gemv_bytes_avx2, nt);
        }
    }
}

/* ---- dropout and softmax ------------------------------------------------------------------- */

static void test_dropout(void **state)
{
    (void)state;
    EACH_LEVEL(level, mm)
    for (int64_t n = 1; n <= 600; n += n < 150 ? 1 : 61) {
        if (!mm->dropout_mask || !mm->masked)
            continue;
        const uint32_t key[2] = {hn_rng_u32(&rng), hn_rng_u32(&rng)};
        uint32_t t = hn_rng_u32(&rng), module = hn_rng_u32(&rng), step = hn_rng_u32(&rng);
        uint32_t threshold = n % 5 ? (uint32_t)hn_rng_below(&rng, 65536) : 3277;
        struct guarded got = guarded_open((size_t)(n + 7) / 8);
        unsigned char want[80];
        mm->dropout_mask(key, t, module, step, threshold, n, got.data);
        hn_cpu_matmul_c.dropout_mask(key, t, module, step, threshold, n, want);
        same_bits("dropout", level, got.data, want, (size_t)(n + 7) / 8);
        struct guarded x = random_floats(n), y = random_floats(n);
        float *sum = malloc((size_t)n * sizeof *sum);
        memcpy(sum, y.data, (size_t)n * sizeof *sum);
        for (int add = 0; add < 2; add++) {
            mm->masked(got.data, 1.125f, floats(&x), n, floats(&y), add);
            hn_cpu_matmul_c.masked(got.data, 1.125f, floats(&x), n, sum, add);
            for (int64_t i = 0; i < n; i++) /* one more rounding where product and sum are fused */
                if (fabsf(floats(&y)[i] - sum[i]) > 0x1p-22f)
                    fail_msg("%s masked, add %d: [%lld] of %lld is %.9g, C's is %.9g",
                             hn_cpu_level_name((enum hn_cpu_level)level), add, (long long)i,
                             (long long)n, (double)floats(&y)[i], (double)sum[i]);
        }
        free(sum);
        guarded_close(&got);
        guarded_close(&x);
        guarded_close(&y);
    }
}

static void check_softmax(int level, const struct hn_cpu_matmul *mm, int64_t n, float spread,
                          float start, double sum_start)
{
    struct guarded x = random_floats(n);
    float max = start, top = start;
    double sum = sum_start, want = 0;
    int64_t best = -1;
    float *copy = malloc((size_t)n * sizeof *copy);
    for (int64_t i = 0; i < n; i++) {
        copy[i] = floats(&x)[i] *= spread;
        if (copy[i] > top) {
            top = copy[i];
            best = i;
        }
    }
    if (n > 9) /* a tie: the first counts */
        copy[n - 1] = floats(&x)[n - 1] = best < 0 ? start : top;
    assert_int_equal(mm->softmax_step(floats(&x), n, &max, &sum), best);
    assert_true(max == top);
    want = sum_start > 0 ? sum_start * exp((double)start - (double)top) : 0;
    for (int64_t i = 0; i < n; i++) {
        double e = exp((double)copy[i] - (double)top);
        want += e;
        /* 4 ulp, the argument's rounding, and what may be taken for 0 */
        double bound = e * (4 + fabs((double)copy[i] - (double)top)) * 0x1p-24;
        bound = e < 0x1.0001p-90 ? e : bound;
        if (!(fabs((double)floats(&x)[i] - e) <= bound))
            fail_msg("%s: exp(%.9g) is %.9g, expected %.9g",
                     hn_cpu_level_name((enum hn_cpu_level)level), (double)(copy[i] - top),
                     (double)floats(&x)[i], e);
    }
    assert_true(fabs(sum - want) <= want * (double)(n + 8 + (int)spread) * 0x1p-24);
    free(copy);
    guarded_close(&x);
}

static void test_softmax(void **state)
{
    (void)state;
    EACH_LEVEL(level, mm)
    for (int64_t n = 1; mm->softmax_step && n <= 300; n += n < 70 ? 1 : 37) {
        check_softmax(level, mm, n, 5, -INFINITY, 0);
        check_softmax(level, mm, n, 120, -INFINITY, 0);
        check_softmax(level, mm, n, 3, 2.5f, 7.5);
        check_softmax(level, mm, n, 3, 9.0f, 7.5);
    }
}

int main(void)
{
    seed_rng();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tile),          cmocka_unit_test(test_pack),
        cmocka_unit_test(test_split_tile),    cmocka_unit_test(test_bf16_tile),
        cmocka_unit_test(test_transpose),     cmocka_unit_test(test_spread),
        cmocka_unit_test(test_panel),         cmocka_unit_test(test_decode),
        cmocka_unit_test(test_decode_halves), cmocka_unit_test(test_dots),
        cmocka_unit_test(test_gemv),          cmocka_unit_test(test_dropout),
        cmocka_unit_test(test_softmax),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

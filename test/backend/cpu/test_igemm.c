/* Integer products: every level's pieces against C's, bit for bit; whole products of both classes
 * against a double-precision oracle with the class's bound; and that neither other tokens nor
 * threads change a bit of a token's result. */
#include "mm_fixture.h"

#include "backend/cpu/igemm.h"

#define EACH(i, n) for (int64_t i = 0; i < (n); i++)

static const struct format bnb8 = {"bitsandbytes int8", HN_LAYOUT_BNB8, 8, 32, 0};
enum { N_FORMATS = (int)HN_COUNT(formats) + 1 };

static const struct format *format_at(size_t i)
{
    return i < HN_COUNT(formats) ? &formats[i] : &bnb8;
}

/* As weight_open, for all formats. */
static void open_weight(struct weight *w, const struct format *f, int64_t rows, int64_t cols,
                        int64_t rope_head)
{
    if (f != &bnb8) {
        weight_open(w, f, rows, cols, rope_head);
        return;
    }
    memset(w, 0, sizeof *w);
    w->data = guarded_open((size_t)(rows * cols));
    w->scales = guarded_open((size_t)rows * 4);
    w->w.m = (struct hn_matrix){.layout = HN_LAYOUT_BNB8,
                                .rows = rows,
                                .cols = cols,
                                .row_size = (size_t)cols,
                                .data = w->data.data,
                                .scales = w->scales.data};
    EACH(i, rows * cols) w->data.data[i] = (unsigned char)hn_rng_u32(&rng);
    EACH(i, rows) put(&w->scales, HN_F32, (size_t)i, uniform(-1, 1));
    w->value = malloc((size_t)(rows * cols) * sizeof(double));
    w->magnitude = malloc((size_t)(rows * cols) * sizeof(double));
    float *row = malloc((size_t)cols * sizeof *row);
    assert_true(w->value && w->magnitude && row);
    EACH(n, rows)
    {
        hn_matrix_decode(&w->w.m, n, 0, cols, row);
        EACH(k, cols)
        w->value[n * cols + k] = (double)row[k], w->magnitude[n * cols + k] = fabs((double)row[k]);
    }
    free(row);
}

/* ---- pieces -------------------------------------------------------------------------------- */

/* One table's tokens, panel and tile. */
struct pieces {
    struct guarded q, scale, sum, total, panel, y;
    struct hn_im_tokens x;
};

static void make_pieces(struct pieces *p, const struct hn_cpu_igemm *table,
                        const struct hn_matrix *m, int most, const float *x, int nt, int64_t row,
                        int n_rows, int64_t k0, bool add)
{
    enum hn_im_width width = hn_im_width(table, m, most);
    int64_t cols = m->cols, depth = cols - k0, blocks = cols / HN_IM_BLOCK;
    int64_t room = (nt + table->tokens - 1) / table->tokens * table->tokens;
    size_t block = width == HN_IM_16 ? HN_IM_BLOCK_16 : HN_IM_BLOCK_8;
    p->q = guarded_open((size_t)(room * cols) * (width == HN_IM_8 ? 1 : 2));
    p->scale = guarded_open((size_t)(room * blocks) * 4);
    p->sum = guarded_open((size_t)(room * blocks) * 4);
    p->total = guarded_open((size_t)(room * blocks) * 4);
    p->panel = guarded_open((size_t)(depth / HN_IM_BLOCK) * block);
    p->y = guarded_open((size_t)(nt * HN_IM_ROWS) * 4);
    p->x = (struct hn_im_tokens){p->q.data,
                                 (float *)(void *)p->scale.data,
                                 (float *)(void *)p->sum.data,
                                 (int32_t *)(void *)p->total.data,
                                 cols,
                                 blocks};
    EACH(t, nt)
    table->form[width].pack(x + t * cols, cols, most,
                            p->x.q + t * cols * (width == HN_IM_8 ? 1 : 2), p->x.scale + t * blocks,
                            p->x.sum + t * blocks, p->x.total + t * blocks);
    table->form[width].panel(m, row, n_rows, k0, depth, p->panel.data);
    float *y = (float *)(void *)p->y.data;
    EACH(i, nt * HN_IM_ROWS) y[i] = (float)i;
    if (table->enter)
        table->enter();
    table->form[width].tile(hn_im_kind(m, width), nt, &p->x, k0, depth, p->panel.data, y,
                            HN_IM_ROWS, add);
    if (table->leave)
        table->leave();
}

static void close_pieces(struct pieces *p)
{
    struct guarded *all[] = {&p->q, &p->scale, &p->sum, &p->total, &p->panel, &p->y};
    for (size_t i = 0; i < HN_COUNT(all); i++)
        guarded_close(all[i]);
}

static void check_pieces(const struct hn_cpu_igemm *table, const struct format *f, int most,
                         int64_t n_blocks, int nt, int n_rows, bool add)
{
    struct weight w;
    struct pieces want, got;
    int64_t cols = f->group * n_blocks, k0 = n_blocks > 1 && f->group >= 32 ? f->group : 0;
    float *x = malloc((size_t)(nt * cols) * sizeof *x);
    open_weight(&w, f, 24, cols, n_rows % 2 ? 8 : 0);
    EACH(i, nt * cols) x[i] = uniform(-1, 1) * (i / 32 % 3 ? 1.0f : 40.0f);
    if (nt > 2)
        x[0] = 0x1p-120f, x[cols] = INFINITY, x[2 * cols] = NAN;
    if (hn_im_width(table, &w.w.m, most) != HN_IM_NONE && cols % HN_IM_BLOCK == 0) {
        int64_t row = 24 - n_rows;
        make_pieces(&want, &hn_cpu_igemm_c, &w.w.m, most, x, nt, row, n_rows, k0, add);
        make_pieces(&got, table, &w.w.m, most, x, nt, row, n_rows, k0, add);
        size_t blocks = (size_t)(nt * cols / HN_IM_BLOCK);
        assert_memory_equal(want.total.data, got.total.data, blocks * sizeof(int32_t));
        EACH(i, (int64_t)blocks * 2)
        {
            float a = ((float *)(void *)(i % 2 ? want.sum.data : want.scale.data))[i / 2];
            float b = ((float *)(void *)(i % 2 ? got.sum.data : got.scale.data))[i / 2];
            assert_true(a == b || (isnan(a) && isnan(b)));
        }
        EACH(i, nt * HN_IM_ROWS)
        {
            float a = ((float *)(void *)want.y.data)[i], b = ((float *)(void *)got.y.data)[i];
            if (i % HN_IM_ROWS < n_rows && !(a == b || (isnan(a) && isnan(b))))
                fail_msg("%s, most %d, %d tokens, %d rows: [%d] is %.9g, C has %.9g", f->name, most,
                         nt, n_rows, (int)i, (double)b, (double)a);
        }
        close_pieces(&want);
        close_pieces(&got);
    }
    weight_close(&w);
    free(x);
}

static void test_pieces(void **state)
{
    (void)state;
    for (int level = HN_CPU_C + 1; level < HN_CPU_LEVEL_COUNT; level++) {
        struct hn_cpu_igemm table;
        if (!level_tested((enum hn_cpu_level)level))
            continue;
        hn_cpu_igemm_select(&table, (enum hn_cpu_level)level);
        assert_true(level == HN_CPU_NEON || table.form[HN_IM_8].tile); /* it has none */
        for (size_t i = 0; i < N_FORMATS; i++)
            for (int k = 0; k < 20; k++) { /* at last whole tiles */
                int nt = k < 16 ? 1 + k * table.tokens / 16 : table.tokens;
                check_pieces(&table, format_at(i), k % 2 ? 127 : 32767, 1 + k % 3, nt, 16 - k % 16,
                             k % 5 == 0);
            }
    }
}

/* Codes and tokens as large as they come, all of one sign: no sum may overflow. */
static void check_extremes(const struct hn_cpu_igemm *table)
{
    for (size_t i = 0; i < N_FORMATS; i++) {
        for (int most = 127; most < 40000; most += 32767 - 127) {
            struct weight w;
            struct pieces p;
            int64_t cols = HN_MAX(32, format_at(i)->group);
            float x[256];
            open_weight(&w, format_at(i), 16, cols, 0);
            if (hn_im_width(table, &w.w.m, most) != HN_IM_NONE) {
                struct hn_matrix *m = &w.w.m;
                unsigned char code = m->layout == HN_LAYOUT_Q8_0 || m->layout == HN_LAYOUT_BNB8 ||
                                             m->layout == HN_LAYOUT_Q6_K
                                         ? 0x80
                                         : 0xff;
                bool half = m->layout != HN_LAYOUT_AFFINE && m->layout != HN_LAYOUT_BNB8;
                memset(w.data.data, code, (size_t)m->rows * m->row_size);
                for (size_t at = 0; half && at + 2 <= (size_t)m->rows * m->row_size; at += 2)
                    if (m->layout != HN_LAYOUT_Q8_0) /* any halves that are numbers will do */
                        w.data.data[at + 1] = 0xff & (code == 0x80 ? 0x80 : 0xfb);
                EACH(k, 256) x[k] = -1.0f;
                make_pieces(&p, table, m, most, x, 1, 0, 16, 0, false);
                float row[256];
                EACH(r, 16)
                {
                    double want = 0, magnitude = 0;
                    hn_matrix_decode(m, r, 0, cols, row);
                    EACH(k, cols) want -= (double)row[k], magnitude += fabs((double)row[k]);
                    double got = (double)((float *)(void *)p.y.data)[r];
                    /* every x is the largest of its block: rounding is exact */
                    if (fabs(got - want) > 1e-4 * magnitude + 1e-3)
                        fail_msg("%s, most %d: %.9g, expected %.9g", format_at(i)->name, most, got,
                                 want);
                }
                close_pieces(&p);
            }
            weight_close(&w);
        }
    }
}

static void test_extremes(void **state)
{
    (void)state;
    for (int level = 0; level < HN_CPU_LEVEL_COUNT; level++) {
        struct hn_cpu_igemm table;
        if (!level_tested((enum hn_cpu_level)level))
            continue;
        hn_cpu_igemm_select(&table, (enum hn_cpu_level)level);
        check_extremes(&table);
    }
}

/* ---- whole products ------------------------------------------------------------------------ */

/* |x rounded - x| times the weights' magnitudes: 1/(2 most) of each block's largest. */
static double rounded_away(const float *x, const double *value, int64_t cols, double most)
{
    double sum = 0;
    for (int64_t k = 0; k < cols; k += 32) {
        double top = 0, weights = 0;
        for (int64_t i = k; i < HN_MIN(k + 32, cols); i++) {
            top = fmax(top, fabs((double)x[i]));
            weights += fabs(value[i]);
        }
        sum += 0.5001 / most * top * weights;
    }
    return sum;
}

struct group {
    struct weight w[HN_LINEAR_MAX];
    struct hn_weight bias;
    struct array x, y[HN_LINEAR_MAX];
    struct hn_linear lin[HN_LINEAR_MAX];
    int n;
};

static void group_open(struct group *g, const struct format *const *f, int n, int64_t t,
                       int64_t cols, int64_t rows, bool bias)
{
    memset(g, 0, sizeof *g);
    g->n = n;
    array_open(&g->x, t, cols);
    array_random(&g->x, -1, 1);
    EACH(i, t * cols) if (i / 32 % 5 == 0) array_data(&g->x)[i] *= 30;
    g->bias.vector = calloc((size_t)(rows + 7 * n), sizeof(float));
    EACH(j, rows + 7 * n) g->bias.vector[j] = uniform(-1, 1);
    for (int i = 0; i < n; i++) {
        open_weight(&g->w[i], f[i], rows + 7 * i, cols, 0);
        array_open(&g->y[i], t, rows + 7 * i);
        array_random(&g->y[i], -1, 1);
        g->lin[i] = (struct hn_linear){.w = &g->w[i].w, .bias = bias ? &g->bias : NULL};
    }
}

static void group_close(struct group *g)
{
    for (int i = 0; i < g->n; i++) {
        weight_close(&g->w[i]);
        array_close(&g->y[i]);
    }
    array_close(&g->x);
    free(g->bias.vector);
}

static void run_group(struct group *g, enum hn_cpu_level level, enum hn_class class, int threads)
{
    struct fixture f;
    struct hn_tensor *y[HN_LINEAR_MAX];
    int32_t slots[1] = {0};
    struct hn_limits limits = {.max_tokens = g->x.t.rows, .max_width = 2048};
    fixture_open(&f, level, threads, &limits);
    hn_cpu_matmul_select(&f.table, level, class); /* all of it, as a device has it */
    f.dev.compute = class;
    hn_free(f.dev.scratch);
    f.dev.scratch_size = hn_cpu_linear_scratch_size(&f.dev, &limits);
    f.dev.scratch = hn_alloc_aligned(f.dev.scratch_size);
    assert_non_null(f.dev.scratch);
    memset(f.dev.scratch, 0xff, f.dev.scratch_size);
    f.batch = (struct hn_batch){.n_tokens = g->x.t.rows, .slots = slots};
    for (int i = 0; i < g->n; i++)
        y[i] = &g->y[i].t;
    hn_cpu_linear_fwd(&f.dev, y, NULL, &g->x.t, g->lin, g->n, false);
    fixture_close(&f);
}

static void check_group(const struct format *const *f, int n, enum hn_cpu_level level,
                        enum hn_class class, int64_t t, int64_t cols, int64_t rows, bool bias)
{
    struct group g;
    group_open(&g, f, n, t, cols, rows, bias);
    run_group(&g, level, class, 2);
    double most = class == HN_CLASS_INT8 ? 127 : 32767;
    for (int i = 0; i < n; i++) {
        int64_t out = rows + 7 * i;
        double *want = malloc((size_t)(t * out) * sizeof *want);
        double *bound = malloc((size_t)(t * out) * sizeof *bound);
        assert_true(want && bound);
        EACH(a, t * out)
        {
            const float *x = array_data(&g.x) + a / out * cols;
            const double *v = g.w[i].value + a % out * cols;
            double magnitude = 0, sum = bias ? (double)g.bias.vector[a % out] : 0;
            EACH(k, cols)
            {
                sum += (double)x[k] * v[k];
                magnitude += fabs((double)x[k]) * g.w[i].magnitude[a % out * cols + k];
            }
            want[a] = sum;
            bound[a] = rounding(cols + 8) * (magnitude + fabs(sum)) +
                       rounded_away(x, v, cols, most) * 1.0001;
        }
        check(f[i]->name, &g.y[i], want, bound);
        free(want);
        free(bound);
    }
    group_close(&g);
}

static void test_products(void **state)
{
    (void)state;
    static const int64_t counts[] = {1, 2, 5, 9, 37};
    for (int level = 0; level < HN_CPU_LEVEL_COUNT; level++) {
        if (!level_tested((enum hn_cpu_level)level))
            continue;
        for (size_t i = 0; i < N_FORMATS; i++) {
            for (size_t k = 0; k < HN_COUNT(counts); k++) {
                const struct format *f[] = {format_at(i), format_at(i), &formats[1], &formats[19]};
                int64_t cols = f[0]->group * (f[0]->group == 256 ? 2 : f[0]->group < 32 ? 9 : 3);
                enum hn_class class = k % 2 ? HN_CLASS_EXACT : HN_CLASS_INT8;
                check_group(f, 2, (enum hn_cpu_level)level, class, counts[k], cols, 33, k == 2);
                check_group(f, 1, (enum hn_cpu_level)level, HN_CLASS_INT8, counts[k], cols, 40,
                            k == 1);
                if (cols % 256 == 0)
                    check_group(f, 4, (enum hn_cpu_level)level, class, counts[k], cols, 18, false);
            }
        }
        /* more tokens and columns than a panel, a slab and a pack hold */
        const struct format *f[] = {&formats[3], &formats[7]};
        if (level > HN_CPU_C)
            for (int k = 0; k < 2; k++)
                check_group(f, 2, (enum hn_cpu_level)level, k ? HN_CLASS_EXACT : HN_CLASS_INT8,
                            HN_MM_TOKENS_MAX + 3, 1120, 20, k == 0);
    }
}

/* A token's result is the same whoever is beside it (but with few, where other kernels stream), and
 * for any number of threads. */
static void test_independence(void **state)
{
    (void)state;
    for (int level = 0; level < HN_CPU_LEVEL_COUNT; level++) {
        if (!level_tested((enum hn_cpu_level)level))
            continue;
        for (size_t i = 3; i < N_FORMATS; i++) {
            enum { FEW = HN_MM_VECTORS_MAX, T = FEW + 11, COLS = 512, ROWS = 40 };
            const struct format *f[] = {format_at(i)};
            struct group g;
            float *all = malloc(sizeof(float) * T * ROWS), *x = malloc(sizeof(float) * T * COLS);
            assert_true(all && x);
            group_open(&g, f, 1, T, COLS, ROWS, false);
            /* others meet float32 tokens, whose sums follow the number of tokens */
            struct hn_cpu_igemm table;
            hn_cpu_igemm_select(&table, (enum hn_cpu_level)level);
            bool integer = hn_im_width(&table, &g.w[0].w.m, 127) != HN_IM_NONE;
            run_group(&g, (enum hn_cpu_level)level, HN_CLASS_INT8, 1);
            memcpy(all, array_data(&g.y[0]), sizeof(float) * T * ROWS);
            memcpy(x, array_data(&g.x), sizeof(float) * T * COLS);
            for (int64_t n = FEW + 1; n <= T && integer; n += 3) {
                int64_t first = T - n;
                g.x.t.rows = g.y[0].t.rows = n;
                memcpy(array_data(&g.x), x + first * COLS, sizeof(float) * (size_t)n * COLS);
                run_group(&g, (enum hn_cpu_level)level, HN_CLASS_INT8, 1 + (int)(n % 3));
                assert_memory_equal(array_data(&g.y[0]), all + first * ROWS,
                                    sizeof(float) * (size_t)n * ROWS);
            }
            g.x.t.rows = g.y[0].t.rows = T;
            group_close(&g);
            free(all);
            free(x);
        }
    }
}

int main(void)
{
    seed_rng();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_extremes),
        cmocka_unit_test(test_products),
        cmocka_unit_test(test_independence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Groups of linears with adapters, forward and backward, against a textbook double-precision
 * oracle: every level, thread count, weight format, ragged sizes, with and without bias, dropout,
 * kept h, dx.  The backward pass is also checked against finite differences of the forward. */
#include "mm_fixture.h"

#define EACH(i, n) for (int64_t i = 0; i < (n); i++)

struct shape {
    int64_t t, in, out[HN_LINEAR_MAX];
    int n;        /* linears */
    int64_t rank; /* 0: no adapters */
    float dropout;
    bool bias, add, keep_h, want_dx, gradients;
    int64_t rope_head;
};

/* One linear and its tensors, with the oracle's answers. */
struct linear {
    struct weight w;
    struct hn_weight bias;
    struct array a, b, da, db, h, y, dy;
    struct hn_adapter ad;
    double *kept;          /* [T, in] dropout's factor: 0 or 1/(1-p) */
    double *low, *low_mag; /* [T, R] drop(x) A^T */
    double *g, *g_mag;     /* [T, R] scale dy B */
};

struct problem {
    struct shape s;
    struct linear l[HN_LINEAR_MAX];
    struct hn_linear lin[HN_LINEAR_MAX];
    struct array x, dx;
};

static double *doubles(int64_t n)
{
    double *p = calloc((size_t)n, sizeof *p);
    assert_non_null(p);
    return p;
}

static void oracle_mask(const struct fixture *f, struct linear *l, const struct shape *s)
{
    uint32_t p = (uint32_t)lround((double)s->dropout * 65536);
    EACH(t, s->t)
    {
        EACH(c, s->in)
        {
            uint32_t counter[4] = {(uint32_t)(c / 8), (uint32_t)t, l->ad.module, f->batch.step};
            uint32_t key[2] = {(uint32_t)f->batch.seed, (uint32_t)(f->batch.seed >> 32)}, word[4];
            hn_philox(counter, key, word);
            uint32_t u = c % 2 ? word[c % 8 / 2] >> 16 : word[c % 8 / 2] & 0xffff;
            l->kept[t * s->in + c] = u >= p ? 65536.0 / (65536.0 - p) : 0.0;
        }
    }
}

static void oracle_low(struct linear *l, const struct shape *s, const float *x)
{
    const float *a = array_data(&l->a);
    EACH(t, s->t)
    {
        EACH(r, s->rank)
        {
            double sum = 0, mag = 0;
            EACH(k, s->in)
            {
                double term =
                    (double)x[t * s->in + k] * l->kept[t * s->in + k] * (double)a[r * s->in + k];
                sum += term;
                mag += fabs(term);
            }
            l->low[t * s->rank + r] = sum;
            l->low_mag[t * s->rank + r] = mag;
        }
    }
}

static void open_linear(struct problem *p, int i, const struct format *f)
{
    const struct shape *s = &p->s;
    struct linear *l = &p->l[i];
    int64_t n = s->out[i];
    weight_open(&l->w, f, n, s->in, s->rope_head && n % s->rope_head == 0 ? s->rope_head : 0);
    p->lin[i] = (struct hn_linear){.w = &l->w.w};
    if (s->bias) {
        l->bias.vector = calloc((size_t)n, sizeof(float));
        EACH(j, n) l->bias.vector[j] = uniform(-1, 1);
        p->lin[i].bias = &l->bias;
    }
    array_open(&l->y, s->t, n);
    array_open(&l->dy, s->t, n);
    array_random(&l->y, -1, 1);
    array_random(&l->dy, -1, 1);
    l->kept = doubles(s->t * s->in);
    if (!s->rank)
        return;
    array_open(&l->a, s->rank, s->in);
    array_open(&l->b, n, s->rank);
    array_open(&l->da, s->rank, s->in);
    array_open(&l->db, n, s->rank);
    array_open(&l->h, s->t, s->rank);
    array_random(&l->a, -1, 1);
    array_random(&l->b, -1, 1);
    array_random(&l->da, -1, 1);
    array_random(&l->db, -1, 1);
    array_fill(&l->h, NAN);
    l->ad = (struct hn_adapter){.a = &l->a.t,
                                .b = &l->b.t,
                                .da = s->gradients ? &l->da.t : NULL,
                                .db = s->gradients ? &l->db.t : NULL,
                                .scale = 1.75f,
                                .dropout = s->dropout,
                                .module = 5 + (uint32_t)i};
    p->lin[i].adapter = &l->ad;
    l->low = doubles(s->t * s->rank);
    l->low_mag = doubles(s->t * s->rank);
    l->g = doubles(s->t * s->rank);
    l->g_mag = doubles(s->t * s->rank);
}

static void problem_open(struct problem *p, const struct shape *s, const struct format *f,
                         const struct fixture *fix)
{
    memset(p, 0, sizeof *p);
    p->s = *s;
    array_open(&p->x, s->t, s->in);
    array_open(&p->dx, s->t, s->in);
    array_random(&p->x, -1, 1);
    array_fill(&p->dx, NAN);
    for (int i = 0; i < s->n; i++) {
        open_linear(p, i, f);
        oracle_mask(fix, &p->l[i], s);
        if (s->rank)
            oracle_low(&p->l[i], s, array_data(&p->x));
    }
}

static void problem_close(struct problem *p)
{
    for (int i = 0; i < p->s.n; i++) {
        struct linear *l = &p->l[i];
        struct array *arrays[] = {&l->a, &l->b, &l->da, &l->db, &l->h, &l->y, &l->dy};
        for (size_t k = 0; k < HN_COUNT(arrays); k++)
            array_close(arrays[k]);
        weight_close(&l->w);
        free(l->bias.vector);
        free(l->kept);
        free(l->low);
        free(l->low_mag);
        free(l->g);
        free(l->g_mag);
    }
    array_close(&p->x);
    array_close(&p->dx);
}

/* ---- forward ------------------------------------------------------------------------------- */

static void oracle_y(const struct problem *p, const struct linear *l, int64_t n, double *y,
                     double *bound)
{
    const struct shape *s = &p->s;
    const float *x = array_data(&p->x);
    EACH(t, s->t)
    {
        EACH(j, n)
        {
            double sum = s->add ? (double)array_data(&l->y)[t * n + j] : 0, mag = fabs(sum);
            EACH(k, s->in)
            {
                sum += (double)x[t * s->in + k] * l->w.value[j * s->in + k];
                mag += fabs((double)x[t * s->in + k]) * l->w.magnitude[j * s->in + k];
            }
            if (s->bias) {
                sum += (double)l->bias.vector[j];
                mag += fabs((double)l->bias.vector[j]);
            }
            EACH(r, s->rank)
            {
                double b = (double)l->ad.scale * (double)array_data(&l->b)[j * s->rank + r];
                sum += b * l->low[t * s->rank + r];
                mag += fabs(b) * l->low_mag[t * s->rank + r];
            }
            y[t * n + j] = sum;
            bound[t * n + j] = rounding(s->in + s->rank + 8) * mag;
        }
    }
}

static void check_forward(struct fixture *f, struct problem *p)
{
    const struct shape *s = &p->s;
    double *want[HN_LINEAR_MAX], *bound[HN_LINEAR_MAX];
    struct hn_tensor *y[HN_LINEAR_MAX], *h[HN_LINEAR_MAX];
    for (int i = 0; i < s->n; i++) {
        want[i] = doubles(s->t * s->out[i]);
        bound[i] = doubles(s->t * s->out[i]);
        oracle_y(p, &p->l[i], s->out[i], want[i], bound[i]);
        y[i] = &p->l[i].y.t;
        h[i] = s->rank && s->keep_h ? &p->l[i].h.t : NULL;
    }
    hn_cpu_linear_fwd(&f->dev, y, s->keep_h ? h : NULL, &p->x.t, p->lin, s->n, s->add);
    for (int i = 0; i < s->n; i++) {
        check("y", &p->l[i].y, want[i], bound[i]);
        if (h[i]) {
            double *h_bound = doubles(s->t * s->rank);
            EACH(k, s->t * s->rank) h_bound[k] = rounding(s->in + 4) * p->l[i].low_mag[k];
            check("h", &p->l[i].h, p->l[i].low, h_bound);
            free(h_bound);
        }
        free(want[i]);
        free(bound[i]);
    }
}

/* ---- backward ------------------------------------------------------------------------------ */

static void oracle_g(struct problem *p, struct linear *l, int64_t n)
{
    const struct shape *s = &p->s;
    EACH(t, s->t)
    {
        EACH(r, s->rank)
        {
            double sum = 0, mag = 0;
            EACH(j, n)
            {
                double term = (double)l->ad.scale * (double)array_data(&l->dy)[t * n + j] *
                              (double)array_data(&l->b)[j * s->rank + r];
                sum += term;
                mag += fabs(term);
            }
            l->g[t * s->rank + r] = sum;
            l->g_mag[t * s->rank + r] = mag;
        }
    }
}

static void oracle_dx(const struct problem *p, double *dx, double *bound)
{
    const struct shape *s = &p->s;
    int64_t widest = 0;
    for (int i = 0; i < s->n; i++)
        widest += s->out[i];
    EACH(t, s->t)
    {
        EACH(k, s->in)
        {
            double sum = 0, mag = 0;
            for (int i = 0; i < s->n; i++) {
                const struct linear *l = &p->l[i];
                EACH(j, s->out[i])
                {
                    double dy = (double)array_data(&l->dy)[t * s->out[i] + j];
                    sum += dy * l->w.value[j * s->in + k];
                    mag += fabs(dy) * l->w.magnitude[j * s->in + k];
                }
                EACH(r, s->rank)
                {
                    double a = l->kept[t * s->in + k] * (double)array_data(&l->a)[r * s->in + k];
                    sum += l->g[t * s->rank + r] * a;
                    mag += l->g_mag[t * s->rank + r] * fabs(a);
                }
            }
            dx[t * s->in + k] = sum;
            bound[t * s->in + k] = rounding(widest + s->rank + 8) * mag;
        }
    }
}

static void oracle_da(const struct problem *p, const struct linear *l, int64_t n, double *da,
                      double *bound)
{
    const struct shape *s = &p->s;
    const float *x = array_data(&p->x);
    EACH(r, s->rank)
    {
        EACH(k, s->in)
        {
            double sum = (double)array_data(&l->da)[r * s->in + k], mag = fabs(sum);
            EACH(t, s->t)
            {
                double kept = l->kept[t * s->in + k] * (double)x[t * s->in + k];
                sum += l->g[t * s->rank + r] * kept;
                mag += l->g_mag[t * s->rank + r] * fabs(kept);
            }
            da[r * s->in + k] = sum;
            bound[r * s->in + k] = rounding(s->t + n + 8) * mag;
        }
    }
}

static void oracle_db(const struct problem *p, const struct linear *l, int64_t n, double *db,
                      double *bound)
{
    const struct shape *s = &p->s;
    EACH(j, n)
    {
        EACH(r, s->rank)
        {
            double sum = (double)array_data(&l->db)[j * s->rank + r], mag = fabs(sum);
            EACH(t, s->t)
            {
                double dy = (double)l->ad.scale * (double)array_data(&l->dy)[t * n + j];
                sum += dy * l->low[t * s->rank + r];
                mag += fabs(dy) * l->low_mag[t * s->rank + r];
            }
            db[j * s->rank + r] = sum;
            bound[j * s->rank + r] = rounding(s->t + s->in + 8) * mag;
        }
    }
}

static void check_backward(struct fixture *f, struct problem *p)
{
    const struct shape *s = &p->s;
    double *want[2 * HN_LINEAR_MAX + 1], *bound[2 * HN_LINEAR_MAX + 1];
    const struct hn_tensor *dy[HN_LINEAR_MAX], *h[HN_LINEAR_MAX];
    for (int i = 0; i < s->n; i++) {
        struct linear *l = &p->l[i];
        if (s->rank)
            oracle_g(p, l, s->out[i]);
        dy[i] = &l->dy.t;
        h[i] = s->rank && s->keep_h ? &l->h.t : NULL;
        for (int k = 0; k < 2; k++) {
            int64_t size = s->rank * (k ? s->out[i] : s->in) + 1;
            want[2 * i + k] = doubles(size);
            bound[2 * i + k] = doubles(size);
        }
        if (s->rank && s->gradients) {
            oracle_da(p, l, s->out[i], want[2 * i], bound[2 * i]);
            oracle_db(p, l, s->out[i], want[2 * i + 1], bound[2 * i + 1]);
        }
    }
    want[2 * s->n] = doubles(s->t * s->in);
    bound[2 * s->n] = doubles(s->t * s->in);
    oracle_dx(p, want[2 * s->n], bound[2 * s->n]);
    hn_cpu_linear_bwd(&f->dev, s->want_dx ? &p->dx.t : NULL, dy, &p->x.t, s->keep_h ? h : NULL,
                      p->lin, s->n);
    if (s->want_dx)
        check("dx", &p->dx, want[2 * s->n], bound[2 * s->n]);
    for (int i = 0; s->rank && s->gradients && i < s->n; i++) {
        check("da", &p->l[i].da, want[2 * i], bound[2 * i]);
        check("db", &p->l[i].db, want[2 * i + 1], bound[2 * i + 1]);
    }
    for (int i = 0; i <= 2 * s->n; i++) {
        free(want[i]);
        free(bound[i]);
    }
}

/* ---- the runs ------------------------------------------------------------------------------ */

static struct hn_limits limits_of(const struct shape *s)
{
    struct hn_limits limits = {.max_tokens = s->t, .max_rank = s->rank, .max_width = s->in};
    for (int i = 0; i < s->n; i++)
        limits.max_width = HN_MAX(limits.max_width, s->out[i]);
    return limits;
}

static void run_class(const struct shape *s, const struct format *f, enum hn_cpu_level level,
                      int n_threads, enum hn_class compute)
{
    struct fixture fix;
    struct problem p;
    struct hn_limits limits = limits_of(s);
    fixture_open_class(&fix, level, n_threads, &limits, compute);
    fix.batch = (struct hn_batch){.n_tokens = s->t, .seed = 0x123456789abcdefu, .step = 3};
    problem_open(&p, s, f, &fix);
    print_message("%s, %d threads, %s: %d x [%lld, %lld] -> %lld.., rank %lld\n",
                  hn_cpu_level_name(level), n_threads, f->name, s->n, (long long)s->t,
                  (long long)s->in, (long long)s->out[0], (long long)s->rank);
    check_forward(&fix, &p);
    check_backward(&fix, &p);
    problem_close(&p);
    fixture_close(&fix);
}

static void run(const struct shape *s, const struct format *f, enum hn_cpu_level level,
                int n_threads)
{
    run_class(s, f, level, n_threads, HN_CLASS_EXACT);
}

/* Every format at every level, at sizes that are whole in nothing. */
static void test_formats(void **state)
{
    (void)state;
    for (int level = 0; level < HN_CPU_LEVEL_COUNT; level++) {
        if (!level_tested((enum hn_cpu_level)level))
            continue;
        for (size_t k = 0; k < HN_COUNT(formats); k++) {
            const struct format *f = &formats[k];
            int64_t in = f->group * (f->group == 8 ? 37 : f->group == 32 ? 11 : 3);
            struct shape s = {.t = 21,
                              .in = in + (f->group == 8),
                              .out = {40, 70},
                              .n = 2,
                              .want_dx = true,
                              .rope_head = 10};
            run(&s, f, (enum hn_cpu_level)level, 2);
            s = (struct shape){.t = 1 + (int64_t)k % 8,
                               .in = in,
                               .out = {33},
                               .n = 1,
                               .want_dx = true,
                               .add = true};
            run(&s, f, (enum hn_cpu_level)level, 3);
        }
    }
}

/* Every count of tokens around the tiles, every option in turn. */
static void test_shapes(void **state)
{
    (void)state;
    for (int level = 0; level < HN_CPU_LEVEL_COUNT; level++) {
        if (!level_tested((enum hn_cpu_level)level))
            continue;
        for (int64_t t = 1; t <= 34; t++) {
            struct shape s = {.t = t,
                              .in = 64 + 64 * (t % 3),
                              .out = {1 + t, 64, 7, 36},
                              .n = 1 + (int)(t % 4),
                              .rank = t % 5 * 4,
                              .bias = t % 2,
                              .dropout = t % 3 ? 0.05f * (float)(t % 3) : 0,
                              .add = t % 4 == 0,
                              .keep_h = t % 7 < 4,
                              .want_dx = t % 6 > 0,
                              .gradients = t % 8 > 0,
                              .rope_head = t % 2 ? 4 : 0};
            run(&s, &formats[t % 2 ? 4 : 9 - t % 4], (enum hn_cpu_level)level, 1 + (int)(t % 3));
        }
    }
}

/* More depth, tokens and rank than one block holds. */
static void test_blocks(void **state)
{
    (void)state;
    for (int level = HN_CPU_LEVEL_COUNT - 1; level >= 0; level--) {
        if (!level_tested((enum hn_cpu_level)level))
            continue;
        struct shape s = {.t = HN_MM_TOKENS_MAX + 9,
                          .in = 1088,
                          .out = {70},
                          .n = 1,
                          .rank = 3,
                          .dropout = 0.1f,
                          .want_dx = true,
                          .gradients = true,
                          .keep_h = true};
        run(&s, &formats[4], (enum hn_cpu_level)level, 2);
        s.t = HN_MM_TOKENS_MAX + 1; /* threads share tokens, of which the last block has one */
        s.out[0] = 16;
        run(&s, &formats[4], (enum hn_cpu_level)level, 2);
        s = (struct shape){.t = 19,
                           .in = 96,
                           .out = {1100, 3},
                           .n = 2,
                           .rank = 37,
                           .bias = true,
                           .want_dx = true,
                           .gradients = true};
        run(&s, &formats[0], (enum hn_cpu_level)level, 2);
    }
}

/* The class bf16 within its declared bound, blocks and threads and all. */
static void test_bf16(void **state)
{
    (void)state;
    for (int level = 0; level < HN_CPU_LEVEL_COUNT; level++) {
        if (!level_tested((enum hn_cpu_level)level))
            continue;
        for (int64_t t = 1; t <= 73; t += 4) {
            struct shape s = {.t = t,
                              .in = t % 3 ? 64 * (t % 5 + 1) : 576,
                              .out = {1 + t, 64},
                              .n = 2,
                              .bias = t % 2,
                              .add = t % 8 == 1,
                              .want_dx = true};
            s.n = s.add ? 1 : 2;
            run_class(&s, &formats[t % 2 ? 4 : 9], (enum hn_cpu_level)level, 1 + (int)(t % 3),
                      HN_CLASS_BF16);
        }
        struct shape s = {
            .t = HN_MM_TOKENS_MAX + 9, .in = 1088, .out = {70}, .n = 1, .want_dx = true};
        run_class(&s, &formats[2], (enum hn_cpu_level)level, 2, HN_CLASS_BF16);
    }
}

/* ---- finite differences -------------------------------------------------------------------- */

/* Sum of dy * y over all outputs, in double; *noise is how far rounding may carry it. */
static double objective(struct fixture *f, struct problem *p, double *noise)
{
    const struct shape *s = &p->s;
    struct hn_tensor *y[HN_LINEAR_MAX];
    double total = 0;
    for (int i = 0; i < s->n; i++)
        y[i] = &p->l[i].y.t;
    hn_cpu_linear_fwd(&f->dev, y, NULL, &p->x.t, p->lin, s->n, false);
    *noise = 0;
    for (int i = 0; i < s->n; i++) {
        int64_t size = s->t * s->out[i];
        double *want = doubles(size), *bound = doubles(size);
        oracle_y(p, &p->l[i], s->out[i], want, bound);
        EACH(k, size)
        {
            double dy = (double)array_data(&p->l[i].dy)[k];
            total += dy * (double)array_data(&p->l[i].y)[k];
            *noise += fabs(dy) * bound[k];
        }
        free(want);
        free(bound);
    }
    return total;
}

/* The objective is linear in every single input, so the central difference is its slope. */
static void check_slopes(struct fixture *f, struct problem *p, const char *what, struct array *in,
                         const struct array *gradient)
{
    const float step = 0.5f;
    EACH(i, in->t.rows * in->t.cols)
    {
        float at = array_data(in)[i];
        double noise[2], side[2];
        for (int k = 0; k < 2; k++) {
            array_data(in)[i] = k ? at + step : at - step;
            side[k] = objective(f, p, &noise[k]);
        }
        array_data(in)[i] = at;
        double slope = (side[1] - side[0]) / (2 * (double)step);
        double bound = (noise[0] + noise[1]) / (double)step;
        if (!(fabs(slope - (double)array_data(gradient)[i]) <= bound))
            fail_msg("%s[%lld] is %.9g, but the objective's slope %.9g (bound %.2g)", what,
                     (long long)i, (double)array_data(gradient)[i], slope, bound);
    }
}

static void test_finite_differences(void **state)
{
    (void)state;
    for (int level = 0; level < HN_CPU_LEVEL_COUNT; level++) {
        if (!level_tested((enum hn_cpu_level)level))
            continue;
        struct shape s = {.t = 9,
                          .in = 32,
                          .out = {17, 8},
                          .n = 2,
                          .rank = 3,
                          .dropout = 0.25f,
                          .want_dx = true,
                          .gradients = true};
        struct fixture fix;
        struct problem p;
        struct hn_limits limits = limits_of(&s);
        const struct hn_tensor *dy[2];
        fixture_open(&fix, (enum hn_cpu_level)level, 2, &limits);
        fix.batch = (struct hn_batch){.n_tokens = s.t, .seed = 99, .step = 1};
        problem_open(&p, &s, &formats[4], &fix);
        for (int i = 0; i < s.n; i++) {
            array_fill(&p.l[i].da, 0);
            array_fill(&p.l[i].db, 0);
            dy[i] = &p.l[i].dy.t;
        }
        hn_cpu_linear_bwd(&fix.dev, &p.dx.t, dy, &p.x.t, NULL, p.lin, s.n);
        check_slopes(&fix, &p, "dx", &p.x, &p.dx);
        for (int i = 0; i < s.n; i++) {
            check_slopes(&fix, &p, "da", &p.l[i].a, &p.l[i].da);
            check_slopes(&fix, &p, "db", &p.l[i].b, &p.l[i].db);
        }
        problem_close(&p);
        fixture_close(&fix);
    }
}

/* ---- not a number -------------------------------------------------------------------------- */

/* A NaN weight, of any bits, reaches every product it is part of, and no other. */
static void check_nan(enum hn_cpu_level level, int64_t t, uint16_t bits)
{
    struct shape s = {.t = t, .in = 40, .out = {37}, .n = 1, .want_dx = true};
    struct fixture fix;
    struct problem p;
    struct hn_limits limits = limits_of(&s);
    const int64_t row = 33, col = 21;
    fixture_open(&fix, level, 2, &limits);
    problem_open(&p, &s, &formats[1], &fix); /* F16 */
    memcpy(p.l[0].w.data.data + (row * s.in + col) * 2, &bits, sizeof bits);
    struct hn_tensor *y[] = {&p.l[0].y.t};
    const struct hn_tensor *dy[] = {&p.l[0].dy.t};
    hn_cpu_linear_fwd(&fix.dev, y, NULL, &p.x.t, p.lin, 1, false);
    hn_cpu_linear_bwd(&fix.dev, &p.dx.t, dy, &p.x.t, NULL, p.lin, 1);
    EACH(i, t * s.out[0])
    assert_true(!isnan(array_data(&p.l[0].y)[i]) == (i % s.out[0] != row));
    EACH(i, t * s.in)
    assert_true(!isnan(array_data(&p.dx)[i]) == (i % s.in != col));
    problem_close(&p);
    fixture_close(&fix);
}

static void test_nan(void **state)
{
    (void)state;
    for (int level = 0; level < HN_CPU_LEVEL_COUNT; level++) {
        for (int64_t t = 2; t <= 40 && level_tested((enum hn_cpu_level)level); t += 19) {
            check_nan((enum hn_cpu_level)level, t, 0x7e00);
            check_nan((enum hn_cpu_level)level, t, 0xffff);
        }
    }
}

/* ---- the same bits ------------------------------------------------------------------------- */

/* Forward and backward twice, from the same start: not a bit may differ. */
static void test_repeatable(void **state)
{
    (void)state;
    for (int level = 0; level < HN_CPU_LEVEL_COUNT; level++) {
        for (int64_t t = 3; t <= 103 && level_tested((enum hn_cpu_level)level); t += 50) {
            struct shape s = {.t = t,
                              .in = 576,
                              .out = {70, 33},
                              .n = 2,
                              .rank = 8,
                              .dropout = 0.1f,
                              .want_dx = true,
                              .gradients = true};
            struct fixture fix;
            struct problem p;
            struct hn_limits limits = limits_of(&s);
            fixture_open(&fix, (enum hn_cpu_level)level, 3, &limits);
            fix.batch = (struct hn_batch){.n_tokens = s.t, .seed = 7, .step = 2};
            problem_open(&p, &s, &formats[4], &fix);
            struct array *outputs[] = {&p.dx,     &p.l[0].y,  &p.l[0].da, &p.l[0].db,
                                       &p.l[1].y, &p.l[1].da, &p.l[1].db};
            struct hn_tensor *y[] = {&p.l[0].y.t, &p.l[1].y.t};
            const struct hn_tensor *dy[] = {&p.l[0].dy.t, &p.l[1].dy.t};
            unsigned char *first[HN_COUNT(outputs)];
            for (int run = 0; run < 2; run++) {
                for (size_t k = 0; k < HN_COUNT(outputs); k++)
                    array_fill(outputs[k], 0);
                hn_cpu_linear_fwd(&fix.dev, y, NULL, &p.x.t, p.lin, 2, false);
                hn_cpu_linear_bwd(&fix.dev, &p.dx.t, dy, &p.x.t, NULL, p.lin, 2);
                for (size_t k = 0; k < HN_COUNT(outputs); k++) {
                    struct hn_tensor *o = &outputs[k]->t;
                    size_t size = (size_t)(o->rows * o->cols) * sizeof(float);
                    if (run == 0) {
                        first[k] = malloc(size);
                        assert_non_null(first[k]);
                        memcpy(first[k], o->data, size);
                    } else {
                        assert_memory_equal(first[k], o->data, size);
                        free(first[k]);
                    }
                }
            }
            problem_close(&p);
            fixture_close(&fix);
        }
    }
}

int main(void)
{
    seed_rng();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_formats),    cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_blocks),     cmocka_unit_test(test_finite_differences),
        cmocka_unit_test(test_bf16),       cmocka_unit_test(test_nan),
        cmocka_unit_test(test_repeatable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

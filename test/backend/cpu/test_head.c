/* Embedding rows and the fused loss against a textbook double-precision oracle, at every level. */
#include "mm_fixture.h"

struct sizes {
    int64_t rows, d, vocab;
    int threads;
    float spread; /* logits are about this large */
    bool hit, dx;
    enum hn_class compute;
};

struct oracle {
    double *loss, *loss_bound, *dx, *dx_bound;
    int32_t *best;
};

/* logit = x w; every float32 logit may be off by rounding(d) * sum |terms|. */
static double logits_of(const struct weight *w, const float *x, int64_t d, int64_t vocab,
                        double *logits)
{
    double off = 0;
    for (int64_t v = 0; v < vocab; v++) {
        double sum = 0, mag = 0;
        for (int64_t k = 0; k < d; k++) {
            sum += (double)x[k] * w->value[v * d + k];
            mag += fabs((double)x[k]) * w->magnitude[v * d + k];
        }
        logits[v] = sum;
        off = fmax(off, rounding(d) * mag);
    }
    return off;
}

/* loss = log sum exp - target.  exp has a relative error of about 4 ulp and the argument carries
 * the logit's error, both pass through unchanged: p off by p * (2*off + 8 eps), sums by V-term sums
 * of blocks. */
static void oracle_row(const struct weight *w, const float *x, int64_t d, int64_t vocab,
                       int32_t target, struct oracle *o, int64_t r)
{
    double *logits = malloc((size_t)vocab * sizeof *logits), sum = 0;
    assert_non_null(logits);
    double off = logits_of(w, x, d, vocab, logits), max = -INFINITY;
    for (int64_t v = 0; v < vocab; v++) {
        if (logits[v] > max) {
            max = logits[v];
            o->best[r] = (int32_t)v;
        }
    }
    for (int64_t v = 0; v < vocab; v++)
        sum += exp(logits[v] - max);
    o->loss[r] = log(sum) + max - logits[target];
    o->loss_bound[r] = 2 * off + 0x1p-24 * (fabs(o->loss[r]) + 300);
    double p_off = 2 * off + split_error + 0x1p-24 * (double)(vocab + 300);
    for (int64_t k = 0; k < d; k++) {
        double dx = 0, mag = 0;
        for (int64_t v = 0; v < vocab; v++) {
            double p = exp(logits[v] - max) / sum;
            dx += (p - (v == target)) * w->value[v * d + k];
            mag += (p + (v == target)) * w->magnitude[v * d + k];
        }
        o->dx[r * d + k] = dx;
        o->dx_bound[r * d + k] = p_off * mag;
    }
    free(logits);
}

static void run(const struct sizes *s, const struct format *f, enum hn_cpu_level level)
{
    struct fixture fix;
    struct weight w;
    struct array x, loss, hit, dx;
    struct hn_limits limits = {.max_rows = s->rows, .d_model = s->d, .vocab = s->vocab};
    size_t n = (size_t)(s->rows * s->d), rows = (size_t)s->rows;
    struct oracle o = {calloc(rows, 8), calloc(rows, 8), calloc(n, 8), calloc(n, 8),
                       calloc(rows, 4)};
    int32_t *targets = calloc(rows, sizeof *targets);
    fixture_open_class(&fix, level, s->threads, &limits, s->compute);
    weight_open(&w, f, s->vocab, s->d, 0);
    array_open(&x, s->rows, s->d);
    array_open(&dx, s->rows, s->d);
    array_open(&loss, s->rows, 1);
    array_open(&hit, s->rows, 1);
    array_random(&x, -s->spread / sqrtf((float)s->d), s->spread / sqrtf((float)s->d));
    for (int64_t r = 0; r < s->rows; r++) {
        oracle_row(&w, array_data(&x) + r * s->d, s->d, s->vocab, 0, &o, r);
        targets[r] = r % 3 ? (int32_t)hn_rng_below(&rng, (uint64_t)s->vocab) : o.best[r];
        oracle_row(&w, array_data(&x) + r * s->d, s->d, s->vocab, targets[r], &o, r);
    }
    fix.batch = (struct hn_batch){.n_rows = s->rows, .targets = targets};
    hn_cpu_head_loss(&fix.dev, &loss.t, s->hit ? &hit.t : NULL, s->dx ? &dx.t : NULL, &x.t, &w.w);
    print_message("%s, %s: [%lld, %lld] of %lld\n", hn_cpu_level_name(level), f->name,
                  (long long)s->rows, (long long)s->d, (long long)s->vocab);
    check("loss", &loss, o.loss, o.loss_bound);
    if (s->dx)
        check("dx", &dx, o.dx, o.dx_bound);
    for (int64_t r = 0; s->hit && r < s->rows; r++)
        assert_true(array_data(&hit)[r] == (targets[r] == o.best[r] ? 1.0f : 0.0f));
    array_close(&x);
    array_close(&dx);
    array_close(&loss);
    array_close(&hit);
    weight_close(&w);
    fixture_close(&fix);
    free(o.loss);
    free(o.loss_bound);
    free(o.dx);
    free(o.dx_bound);
    free(o.best);
    free(targets);
}

static void test_loss(void **state)
{
    (void)state;
    for (int level = 0; level < HN_CPU_LEVEL_COUNT; level++) {
        if (!level_tested((enum hn_cpu_level)level))
            continue;
        for (size_t k = 0; k < HN_COUNT(formats); k++) {
            const struct format *f = &formats[k];
            int64_t d = f->group == 8 ? 50 : f->group == 32 ? 96 : HN_MAX(128, f->group);
            run(&(struct sizes){1 + (int64_t)k * 3, d, 777, 1 + (int)k % 4, 8, true, k % 5 > 0,
                                HN_CLASS_EXACT},
                f, (enum hn_cpu_level)level);
        }
        /* huge logits, rows beyond one chunk, fewer entries than threads have shares */
        run(&(struct sizes){7, 64, 500, 2, 300, true, true, HN_CLASS_EXACT}, &formats[5],
            (enum hn_cpu_level)level);
        run(&(struct sizes){261, 32, 300, 2, 4, true, true, HN_CLASS_EXACT}, &formats[0],
            (enum hn_cpu_level)level);
        run(&(struct sizes){5, 32, 40, 4, 4, true, true, HN_CLASS_EXACT}, &formats[2],
            (enum hn_cpu_level)level);
    }
}

/* The class bf16: no hits are asked for, as rounded logits may tie or turn. */
static void test_loss_bf16(void **state)
{
    (void)state;
    for (int level = 0; level < HN_CPU_LEVEL_COUNT; level++) {
        if (!level_tested((enum hn_cpu_level)level))
            continue;
        run(&(struct sizes){7, 96, 777, 3, 4, false, true, HN_CLASS_BF16}, &formats[4],
            (enum hn_cpu_level)level);
        run(&(struct sizes){75, 50, 500, 2, 4, false, true, HN_CLASS_BF16}, &formats[1],
            (enum hn_cpu_level)level);
    }
}

/* A NaN anywhere in a row must reach that row's loss, and no other. */
static void test_loss_nan(void **state)
{
    (void)state;
    for (int level = 0; level < HN_CPU_LEVEL_COUNT; level++) {
        if (!level_tested((enum hn_cpu_level)level))
            continue;
        struct fixture fix;
        struct weight w;
        struct array x, loss;
        struct hn_limits limits = {.max_rows = 3, .d_model = 32, .vocab = 600};
        int32_t targets[3] = {4, 500, 9};
        fixture_open(&fix, (enum hn_cpu_level)level, 2, &limits);
        weight_open(&w, &formats[4], 600, 32, 0);
        array_open(&x, 3, 32);
        array_open(&loss, 3, 1);
        array_random(&x, -1, 1);
        array_data(&x)[32 + 7] = NAN;
        fix.batch = (struct hn_batch){.n_rows = 3, .targets = targets};
        hn_cpu_head_loss(&fix.dev, &loss.t, NULL, NULL, &x.t, &w.w);
        assert_true(isfinite(array_data(&loss)[0]));
        assert_true(isnan(array_data(&loss)[1]));
        assert_true(isfinite(array_data(&loss)[2]));
        array_close(&x);
        array_close(&loss);
        weight_close(&w);
        fixture_close(&fix);
    }
}

/* The gradient is that of the loss: central differences of the operation itself. */
static void test_finite_differences(void **state)
{
    (void)state;
    enum { ROWS = 3, D = 32, V = 90 };
    for (int level = 0; level < HN_CPU_LEVEL_COUNT; level++) {
        if (!level_tested((enum hn_cpu_level)level))
            continue;
        struct fixture fix;
        struct weight w;
        struct array x, loss, dx;
        struct hn_limits limits = {.max_rows = ROWS, .d_model = D, .vocab = V};
        int32_t targets[ROWS] = {4, 50, 89};
        fixture_open(&fix, (enum hn_cpu_level)level, 2, &limits);
        weight_open(&w, &formats[0], V, D, 0);
        array_open(&x, ROWS, D);
        array_open(&dx, ROWS, D);
        array_open(&loss, ROWS, 1);
        array_random(&x, -1, 1);
        fix.batch = (struct hn_batch){.n_rows = ROWS, .targets = targets};
        hn_cpu_head_loss(&fix.dev, &loss.t, NULL, &dx.t, &x.t, &w.w);
        for (int64_t i = 0; i < ROWS * D; i++) {
            float at = array_data(&x)[i], step = 0x1p-6f;
            double sides[2];
            for (int side = 0; side < 2; side++) {
                array_data(&x)[i] = side ? at + step : at - step;
                hn_cpu_head_loss(&fix.dev, &loss.t, NULL, NULL, &x.t, &w.w);
                sides[side] = (double)array_data(&loss)[i / D];
            }
            array_data(&x)[i] = at;
            double slope = (sides[1] - sides[0]) / (2 * (double)step);
            /* third derivative of a log-sum-exp of weights up to 1: at most 2, so step^2/3; and
             * the losses' rounding, a few ulp of a loss below 16, over 2*step */
            double bound = (double)(step * step) / 3 + 8 * 0x1p-20 / (2 * (double)step);
            if (!(fabs(slope - (double)array_data(&dx)[i]) <= bound))
                fail_msg("%s: dx[%lld] = %.6g but the loss rises by %.6g (bound %.2g)",
                         hn_cpu_level_name((enum hn_cpu_level)level), (long long)i,
                         (double)array_data(&dx)[i], slope, bound);
        }
        array_close(&x);
        array_close(&dx);
        array_close(&loss);
        weight_close(&w);
        fixture_close(&fix);
    }
}

static void test_embed(void **state)
{
    (void)state;
    for (int level = 0; level < HN_CPU_LEVEL_COUNT; level++) {
        if (!level_tested((enum hn_cpu_level)level))
            continue;
        for (size_t k = 0; k < HN_COUNT(formats); k++) {
            struct fixture fix;
            struct weight w;
            struct array y;
            struct hn_limits limits = {.max_tokens = 11, .d_model = 256, .vocab = 60};
            int32_t tokens[11];
            fixture_open(&fix, (enum hn_cpu_level)level, 2, &limits);
            weight_open(&w, &formats[k], 60, 256, 0);
            array_open(&y, 11, 256);
            for (int i = 0; i < 11; i++)
                tokens[i] = i ? (int32_t)hn_rng_below(&rng, 60) : 59;
            fix.batch = (struct hn_batch){.n_tokens = 11, .tokens = tokens};
            hn_cpu_embed_fwd(&fix.dev, &y.t, &w.w);
            for (int i = 0; i < 11; i++)
                for (int c = 0; c < 256; c++)
                    assert_true((double)array_data(&y)[i * 256 + c] ==
                                w.value[tokens[i] * 256 + c]);
            array_close(&y);
            weight_close(&w);
            fixture_close(&fix);
        }
    }
}

int main(void)
{
    seed_rng();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_loss),     cmocka_unit_test(test_loss_bf16),
        cmocka_unit_test(test_loss_nan), cmocka_unit_test(test_finite_differences),
        cmocka_unit_test(test_embed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* rate.h against transformers' get_scheduler and mlx_lm's build_schedule (rates.json, made by
 * tools/make_rate_goldens.py), and what it refuses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "conf/conf.h"
#include "train/rate.h"

enum { MAX_KWARGS = 8 };

static double real(const struct hn_json *j, const char *key)
{
    double v;
    if (!hn_json_float(hn_json_get(j, key), &v))
        fail_msg("\"%s\" is no number", key);
    return v;
}

/* Through the command line: the names are checked too. */
static void open_case(const struct hn_json *c, struct hn_conf *conf, struct hn_rate *r)
{
    const struct hn_json *kwargs = hn_json_get(c, "kwargs");
    struct hone_err err = {0};
    char text[3 + MAX_KWARGS][96], *argv[3 + MAX_KWARGS];
    int n = 0;
    assert_true(kwargs->n <= MAX_KWARGS);
    snprintf(text[n++], 96, "--learning-rate=%s", hn_json_get(c, "lr")->text.p);
    snprintf(text[n++], 96, "--warmup-steps=%s", hn_json_get(c, "warmup")->text.p);
    snprintf(text[n++], 96, "--lr-scheduler-type=%s", hn_json_get(c, "type")->text.p);
    for (size_t i = 0; i < kwargs->n; i++)
        snprintf(text[n++], 96, "--lr-scheduler-kwargs=%s", hn_json_at(kwargs, i)->text.p);
    for (int i = 0; i < n; i++)
        argv[i] = text[i];
    if (hn_conf_init(conf, HN_TRAIN, n, argv, &err) ||
        hn_rate_init(r, &conf->set.train, (int64_t)real(c, "steps"), &err))
        fail_msg("%s: %s", argv[2], err.message);
}

static void rates(void **state)
{
    struct hn_arena arena;
    struct hn_json *cases;
    struct hn_buf text = {0};
    struct hone_err err = {0};
    (void)state;
    hn_arena_init(&arena, 0);
    if (hn_file_read(HN_TEST_DIR "/train/rates.json", 1 << 20, &text, &err) ||
        hn_json_parse(&arena, hn_buf_str(&text), text.len, 0, &cases, &err))
        fail_msg("%s", err.message);
    assert_true(cases->n >= 29);
    for (size_t i = 0; i < cases->n; i++) {
        const struct hn_json *c = hn_json_at(cases, i), *want = hn_json_get(c, "rates");
        const struct hn_json *losses = hn_json_get(c, "losses");
        struct hn_conf conf;
        struct hn_rate r;
        struct hn_plateau p;
        double lr = real(c, "lr"), v;
        open_case(c, &conf, &r);
        hn_plateau_init(&r, &p);
        /* transformers computes in double; mlx in float32, its cosine within about 1e-6. */
        double bound = 1e-12 * lr;
        if (r.type >= HONE_COSINE_DECAY)
            bound = 1e-6 * r.value[HN_RATE_INIT];
        for (size_t k = 0; k < want->n; k++) {
            assert_true(hn_json_float(hn_json_at(want, k), &v));
            if (losses) {
                double loss;
                assert_true(hn_json_float(hn_json_at(losses, k), &loss));
                hn_plateau_step(&r, &p, loss);
            }
            double got = losses ? p.rate : hn_rate_at(&r, (int64_t)k);
            if (!(fabs(got - v) <= bound))
                fail_msg("case %zu (%s), step %zu: %.17g, expected %.17g", i,
                         hn_json_get(c, "type")->text.p, k, got, v);
        }
        hn_conf_release(&conf);
    }
    hn_buf_release(&text);
    hn_arena_release(&arena);
}

static void refuses(const char *type, const char *kwargs, const char *want)
{
    char *argv[] = {"--lr-scheduler-type", (char *)(uintptr_t)type, "--lr-scheduler-kwargs",
                    (char *)(uintptr_t)kwargs};
    struct hn_conf conf;
    struct hn_rate r;
    struct hone_err err = {0};
    int rc = hn_conf_init(&conf, HN_TRAIN, 4, argv, &err);
    rc = rc ? rc : hn_rate_init(&r, &conf.set.train, 10, &err);
    assert_int_equal(rc, HONE_USAGE);
    if (!strstr(err.message, want))
        fail_msg("%s %s: %s", type, kwargs, err.message);
    hn_conf_release(&conf);
}

static void refusals(void **state)
{
    (void)state;
    refuses("cosine", "power=2", "\"power\" is no argument of this schedule; it takes num_cycles");
    refuses("linear", "x=2", "it takes none");
    refuses("polynomial", "power=two", "power is \"two\", expected a number");
    refuses("polynomial", "lr_end=1", "must be below the learning rate");
    refuses("warmup_stable_decay", "min_lr_ratio=0.1", "num_decay_steps=…");
    refuses("warmup_stable_decay", "num_decay_steps=2,decay_type=square", "expected linear");
    refuses("cosine_with_min_lr", "num_cycles=1", "one of --lr-scheduler-kwargs min_lr=…");
    refuses("cosine_decay", "init=1e-3", "decay_steps=…");
    refuses("cosine", "num_cycles", "expected name=value");
}

static void takes_json(void **state)
{
    char *argv[] = {"--lr-scheduler-type", "polynomial", "--lr-scheduler-kwargs",
                    "{\"power\": 2.0, \"lr_end\": 1e-6}"};
    struct hn_conf conf;
    struct hn_rate r;
    struct hone_err err = {0};
    (void)state;
    if (hn_conf_init(&conf, HN_TRAIN, 4, argv, &err) || hn_rate_init(&r, &conf.set.train, 10, &err))
        fail_msg("%s", err.message);
    assert_int_equal(conf.set.train.n_lr_scheduler_kwargs, 2);
    assert_string_equal(conf.set.train.lr_scheduler_kwargs[0], "power=2.0");
    assert_string_equal(conf.set.train.lr_scheduler_kwargs[1], "lr_end=1e-6");
    hn_conf_release(&conf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rates),
        cmocka_unit_test(refusals),
        cmocka_unit_test(takes_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

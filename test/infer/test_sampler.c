/* sampler.h: filters keep what they should, draws follow the probabilities, greedy is the arg max.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>

#include "base/compiler.h"
#include "infer/sampler.h"

enum { V = 6, DRAWS = 20000 };
static const double p[V] = {0.05, 0.4, 0.3, 0.15, 0.08, 0.02};

static void frequencies(const struct hone_generate_options *o, double got[V])
{
    struct hn_sampler s;
    struct hone_err err;
    float logits[V];
    for (int i = 0; i < V; i++)
        logits[i] = (float)log(p[i]) + 3, got[i] = 0;
    assert_int_equal(hn_sampler_open(&s, o, V, &err), 0);
    for (int i = 0; i < DRAWS; i++)
        got[hn_sampler_next(&s, logits, NULL, 0, NULL)] += 1.0 / DRAWS;
    hn_sampler_close(&s);
}

static void check(struct hone_generate_options o, const double want[V])
{
    double got[V];
    o.temperature = o.temperature > 0 ? o.temperature : 1;
    frequencies(&o, got);
    for (int i = 0; i < V; i++)
        /* 5 standard deviations of a binomial frequency */
        if (fabs(got[i] - want[i]) > 5 * sqrt(0.25 / DRAWS))
            fail_msg("token %d: drawn %.4f of the time, expected %.4f", i, got[i], want[i]);
}

static void draws_follow_probabilities(void **state)
{
    (void)state;
    struct hone_generate_options o;
    hone_generate_defaults(&o);
    check(o, p);
    o.temperature = 0.5;
    double want[V], sum = 0;
    for (int i = 0; i < V; i++)
        sum += want[i] = p[i] * p[i];
    for (int i = 0; i < V; i++)
        want[i] /= sum;
    check(o, want);
}

static void filters_keep_the_right_tokens(void **state)
{
    (void)state;
    struct hone_generate_options o;
    hone_generate_defaults(&o);
    o.top_k = 2;
    check(o, (const double[V]){0, 0.4 / 0.7, 0.3 / 0.7});
    o.top_k = 0, o.top_p = 0.6; /* the token that crosses 0.6 is kept */
    check(o, (const double[V]){0, 0.4 / 0.7, 0.3 / 0.7});
    o.top_p = 1, o.min_p = 0.3; /* of the largest: 0.12 and more */
    check(o, (const double[V]){0, 0.4 / 0.85, 0.3 / 0.85, 0.15 / 0.85});
    o.min_p = 0, o.top_p = 0.01; /* at least one token is left */
    check(o, (const double[V]){0, 1});
}

static void top_p_keeps_all_that_are_as_likely(void **state)
{
    (void)state;
    const float logits[V] = {0, 1, 0, 0, -2, 0}; /* one of the four makes it 0.54 */
    struct hone_generate_options o;
    struct hn_sampler s;
    struct hone_err err;
    int drawn[V] = {0};
    hone_generate_defaults(&o);
    o.temperature = 1;
    o.top_p = 0.5;
    assert_int_equal(hn_sampler_open(&s, &o, V, &err), 0);
    for (int i = 0; i < 1000; i++)
        drawn[hn_sampler_next(&s, logits, NULL, 0, NULL)]++;
    hn_sampler_close(&s);
    for (int i = 0; i < V; i++)
        assert_int_equal(drawn[i] > 0, i != 4);
}

static void greedy_and_logprob(void **state)
{
    (void)state;
    struct hone_generate_options o;
    struct hn_sampler s;
    struct hone_err err;
    float logits[V], logprob;
    for (int i = 0; i < V; i++)
        logits[i] = (float)log(p[i]);
    hone_generate_defaults(&o);
    assert_int_equal(hn_sampler_open(&s, &o, V, &err), 0);
    assert_int_equal(hn_sampler_next(&s, logits, NULL, 0, &logprob), 1);
    assert_true(fabs((double)logprob - log(0.4)) < 1e-6);
    hn_sampler_close(&s);
    /* logits -0.92 and -1.20: a penalty of 2 on token 1 doubles its negative logit */
    const int32_t recent[] = {5, 1, 1};
    o.repetition_penalty = 2;
    assert_int_equal(hn_sampler_open(&s, &o, V, &err), 0);
    assert_int_equal(hn_sampler_next(&s, logits, recent, 3, NULL), 2);
    hn_sampler_close(&s);
}

static void logits_that_are_no_numbers(void **state)
{
    (void)state;
    const float bad[] = {NAN, INFINITY, -INFINITY};
    struct hone_generate_options o;
    struct hn_sampler s;
    struct hone_err err;
    float logits[V];
    hone_generate_defaults(&o);
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
        for (int i = 0; i < V; i++)
            logits[i] = bad[k];
        for (int way = 0; way < 3; way++) { /* greedy, drawn, drawn of a few */
            o.temperature = way > 0;
            o.top_k = way > 1 ? 2 : 0;
            assert_int_equal(hn_sampler_open(&s, &o, V, &err), 0);
            assert_int_equal(hn_sampler_next(&s, logits, NULL, 0, NULL), -1);
            hn_sampler_close(&s);
        }
    }
    for (int at = 0; at < V; at++) { /* one of them is enough */
        for (int i = 0; i < V; i++)
            logits[i] = i == at ? NAN : (float)i;
        o.temperature = 0;
        assert_int_equal(hn_sampler_open(&s, &o, V, &err), 0);
        assert_int_equal(hn_sampler_next(&s, logits, NULL, 0, NULL), -1);
        hn_sampler_close(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(draws_follow_probabilities),
        cmocka_unit_test(filters_keep_the_right_tokens),
        cmocka_unit_test(top_p_keeps_all_that_are_as_likely),
        cmocka_unit_test(greedy_and_logprob),
        cmocka_unit_test(logits_that_are_no_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

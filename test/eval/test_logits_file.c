/* hone_compare_agree on files of logits whose KL is known. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "hone/compare.h"

enum { V = 4, POSITIONS = 3 };

struct side {
    struct hone_compare_side s;
    struct hone_compare_row row;
    int32_t ids[POSITIONS + 1];
    char path[40];
};

static void assert_near(double got, double want, double most)
{
    if (!(fabs(got - want) <= most))
        fail_msg("found %.12g, expected %.12g", got, want);
}

/* A side whose probabilities are p, as logits moved by shift. */
static void make(struct side *x, const double p[POSITIONS][V], double shift)
{
    *x = (struct side){.ids = {1, 2, 3, 0}, .path = "/tmp/hone-test-XXXXXX"};
    int fd = mkstemp(x->path);
    assert_true(fd >= 0);
    for (size_t i = 0; i < POSITIONS; i++)
        for (size_t k = 0; k < V; k++) {
            float logit = (float)(log(p[i][k]) + shift);
            assert_int_equal(write(fd, &logit, sizeof logit), sizeof logit);
        }
    close(fd);
    x->row = (struct hone_compare_row){.ids = x->ids, .n = POSITIONS + 1, .positions = POSITIONS};
    x->s.rows = &x->row;
    x->s.n_rows = 1;
    x->s.vocab_size = V;
}

static struct hone_agreement agree(const struct side *a, const struct side *b)
{
    struct hone_agreement g;
    struct hone_err err = {0};
    assert_int_equal(hone_compare_agree(&a->s, a->path, &b->s, b->path, &g, &err), 0);
    return g;
}

static const double even[POSITIONS][V] = {{.25, .25, .25, .25}, {.7, .1, .1, .1}, {.1, .2, .3, .4}};
static const double other[POSITIONS][V] = {{.4, .3, .2, .1}, {.1, .7, .1, .1}, {.1, .2, .3, .4}};

static double kl(const double p[V], const double q[V])
{
    double sum = 0;
    for (size_t k = 0; k < V; k++)
        sum += p[k] * log(p[k] / q[k]);
    return sum;
}

static void kl_and_top1_are_those_of_the_definition(void **state)
{
    (void)state;
    struct side a, b;
    double ab = 0, ba = 0, most = 0;
    make(&a, even, 0);
    make(&b, other, 5); /* a shift of all logits changes no distribution */
    for (size_t i = 0; i < POSITIONS; i++) {
        ab += kl(even[i], other[i]) / POSITIONS;
        ba += kl(other[i], even[i]) / POSITIONS;
        most = fmax(most, kl(even[i], other[i]));
    }
    struct hone_agreement g = agree(&a, &b);
    assert_int_equal(g.positions, POSITIONS);
    assert_near(g.top1, 2.0 / 3, 1e-12);
    assert_near(g.kl_ab, ab, 1e-6);
    assert_near(g.kl_ba, ba, 1e-6);
    assert_near(g.kl_max, most, 1e-6);
    assert_near(g.logit_difference, 5 + log(7), 1e-5);
    g = agree(&a, &a);
    assert_near(g.top1, 1, 0);
    assert_near(g.kl_ab, 0, 0);
    assert_near(g.kl_max, 0, 0);
    unlink(a.path);
    unlink(b.path);
}

/* b's first two positions are read as one of twice as many words. */
static void words_that_one_model_lacks_are_left_out(void **state)
{
    (void)state;
    struct side a, b;
    make(&a, even, 0);
    make(&b, other, 0);
    a.row.n = b.row.n = 2;
    a.row.positions = b.row.positions = 1;
    b.s.vocab_size = 2 * V;
    struct hone_agreement g = agree(&a, &b);
    assert_int_equal(g.positions, 1);
    assert_int_equal(g.vocabulary, V);
    assert_near(g.kl_ab, kl(even[0], other[0]), 1e-6);
    g = agree(&b, &a);
    assert_near(g.kl_ba, kl(even[0], other[0]), 1e-6);
    unlink(a.path);
    unlink(b.path);
}

static void what_cannot_be_compared_says_why(void **state)
{
    (void)state;
    struct side a, b;
    struct hone_err err = {0};
    struct hone_agreement g;
    make(&a, even, 0);
    make(&b, other, 0);
    b.ids[1] = 3;
    g = agree(&a, &b);
    assert_int_equal(g.positions, 0);
    assert_string_equal(g.why, "the tokenizers give row 1 other tokens");
    b.ids[1] = a.ids[1];
    b.s.n_rows = 0;
    assert_string_equal(agree(&a, &b).why, "the tokenizers find 1 and 0 rows in the same data");
    b.s.n_rows = 1;
    assert_int_equal(truncate(b.path, 20), 0);
    assert_int_equal(hone_compare_agree(&a.s, a.path, &b.s, b.path, &g, &err), HONE_FAILED);
    assert_non_null(strstr(err.message, "ends after 1 of 3 positions of 4 numbers"));
    unlink(a.path);
    unlink(b.path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kl_and_top1_are_those_of_the_definition),
        cmocka_unit_test(words_that_one_model_lacks_are_left_out),
        cmocka_unit_test(what_cannot_be_compared_says_why),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

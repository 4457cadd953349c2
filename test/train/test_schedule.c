/* schedule.h: lengths of runs, and orders. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/compiler.h"
#include "base/err.h"
#include "base/mem.h"
#include "train/order.h"
#include "train/schedule.h"

static struct hone_train_options defaults(void)
{
    struct hone_train_options o;
    hone_train_defaults(&o);
    return o;
}

static void lengths(void **state)
{
    (void)state;
    struct hn_run_length r;
    struct hone_train_options o = defaults();
    o.batch_size = 4, o.grad_accumulation_steps = 3, o.num_epochs = 2;
    hn_run_length(&o, 21, &r); /* 6 micro-batches, 2 steps an epoch */
    assert_true(r.micro_per_epoch == 6 && r.steps_per_epoch == 2);
    assert_true(r.total_micro == 12 && r.total_steps == 4);
    hn_run_length(&o, 29, &r); /* 8 micro-batches: the last window of an epoch holds 2 */
    assert_true(r.micro_per_epoch == 8 && r.steps_per_epoch == 3 && r.total_steps == 6);
    o.iters = 10; /* beats epochs: one epoch and two more micro-batches */
    hn_run_length(&o, 29, &r);
    assert_true(r.total_micro == 10 && r.total_steps == 4);
    o.iters = 0, o.max_steps = 5;
    hn_run_length(&o, 29, &r);
    assert_true(r.total_micro == 14 && r.total_steps == 5);
    o.max_steps = 0, o.num_epochs = 0.5; /* of 3 steps: 2, whole as transformers' */
    hn_run_length(&o, 29, &r);
    assert_true(r.total_micro == 6 && r.total_steps == 2);
    o.num_epochs = 0.4; /* of 8 micro-batches that would be 4 */
    hn_run_length(&o, 29, &r);
    assert_true(r.total_micro == 6 && r.total_steps == 2);
    o.num_epochs = 1.7;
    hn_run_length(&o, 29, &r);
    assert_true(r.total_micro == 16 && r.total_steps == 6);
    o.num_epochs = 1.3;
    hn_run_length(&o, 29, &r);
    assert_true(r.total_micro == 11 && r.total_steps == 4);
}

static void lengths_as_mlx_lm(void **state)
{
    (void)state;
    struct hn_run_length r;
    struct hone_train_options o = defaults();
    o.batch_order = HONE_ORDER_MLX, o.step_rule = HONE_STEPS_MLX;
    o.batch_size = 4, o.grad_accumulation_steps = 3, o.iters = 20;
    hn_run_length(&o, 21, &r); /* 5 micro-batches an epoch; the last 2 iterations update nothing */
    assert_true(r.micro_per_epoch == 5 && r.total_micro == 20 && r.total_steps == 6);
    o.max_steps = 4;
    hn_run_length(&o, 21, &r);
    assert_true(r.total_micro == 12 && r.total_steps == 4);
}

static void orders(void **state)
{
    (void)state;
    enum { N = 100 };
    struct hone_train_options o = defaults();
    uint64_t a[N], b[N], c[N];
    hn_epoch_order(&o, 0, a, N);
    hn_epoch_order(&o, 0, b, N);
    hn_epoch_order(&o, 1, c, N);
    size_t same = 0, sum = 0;
    for (int i = 0; i < N; i++) {
        assert_int_equal(a[i], b[i]);
        same += a[i] == c[i];
        sum += c[i];
    }
    assert_true(same < 10 && sum == N * (N - 1) / 2);
    o.seed = 1;
    hn_epoch_order(&o, 0, c, N);
    same = 0;
    for (int i = 0; i < N; i++)
        same += a[i] == c[i];
    assert_true(same < 10);
    o.shuffle = false;
    hn_epoch_order(&o, 3, a, N);
    for (uint64_t i = 0; i < N; i++)
        assert_int_equal(a[i], i);
}

static void groups_by_length(void **state)
{
    (void)state;
    enum { N = 103, BATCH = 4 };
    struct hone_train_options o = defaults();
    struct hn_run_length length;
    struct hn_order a, b;
    struct hone_err err;
    int seen[N] = {0};
    o.batch_size = BATCH, o.group_by_length = true, o.seed = 3;
    hn_run_length(&o, N, &length);
    assert_int_equal(hn_order_init(&a, &o, &length, N, NULL, 0, NULL, &err), 0);
    assert_int_equal(hn_order_init(&b, &o, &length, N, NULL, 0, NULL, &err), 0);
    a.lengths = hn_calloc(N, sizeof *a.lengths);
    b.lengths = hn_calloc(N, sizeof *b.lengths);
    for (int i = 0; i < N; i++)
        a.lengths[i] = b.lengths[i] = (uint32_t)(i * 37 % 101 + 1);
    hn_order_epoch(&a, 1);
    hn_order_epoch(&b, 0);
    assert_memory_not_equal(a.rows, b.rows, N * sizeof *a.rows);
    hn_order_epoch(&b, 1); /* the same again, whatever came before */
    assert_memory_equal(a.rows, b.rows, N * sizeof *a.rows);
    assert_int_equal(a.lengths[a.rows[0]], 101);
    int64_t group = HN_MIN(N / (BATCH * 4), 50) * BATCH, rising = 0;
    for (int64_t i = 0; i < N; i++) {
        seen[a.rows[i]]++;
        /* the row that made way for the longest may lie out of order */
        rising += i % group && a.lengths[a.rows[i]] > a.lengths[a.rows[i - 1]];
    }
    assert_true(rising <= 1);
    for (int i = 0; i < N; i++)
        assert_int_equal(seen[i], 1);
    hn_order_release(&a);
    hn_order_release(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lengths),
        cmocka_unit_test(lengths_as_mlx_lm),
        cmocka_unit_test(orders),
        cmocka_unit_test(groups_by_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* plan.h: tensors that live at the same time never share bytes, those that do not may, and what
 * lives across the middle is counted as kept. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "base/rng.h"
#include "model/plan.h"

static void copy(struct hn_plan *p, hn_value y, hn_value x)
{
    struct hn_plan_op *op = hn_plan_add(p, HN_DO_COPY);
    assert_non_null(op);
    op->y = y, op->x = x;
}

static size_t bytes_of(const struct hn_plan_tensor *t)
{
    return (size_t)t->t.rows_max * (size_t)t->t.cols * 4;
}

static void check_layout(const struct hn_plan *p)
{
    for (size_t i = 0; i < p->n_tensors; i++) {
        const struct hn_plan_tensor *a = &p->tensors[i];
        assert_true(a->t.offset % 64 == 0 && a->t.offset + bytes_of(a) <= p->arena_size);
        for (size_t k = 0; k < i; k++) {
            const struct hn_plan_tensor *b = &p->tensors[k];
            bool together = a->first <= b->last && b->first <= a->last;
            bool overlap =
                a->t.offset < b->t.offset + bytes_of(b) && b->t.offset < a->t.offset + bytes_of(a);
            if (together && overlap)
                fail_msg("tensors %zu and %zu live together at %zu and %zu", i, k, a->t.offset,
                         b->t.offset);
        }
    }
}

static void a_chain_needs_two_places(void **state)
{
    (void)state;
    const struct hn_limits limits = {.max_tokens = 16, .max_rows = 4, .max_seqs = 1};
    struct hn_plan p;
    struct hone_err err;
    hn_plan_init(&p, &limits);
    hn_value x = hn_plan_tensor(&p, HN_ROWS_TOKENS, 16);
    for (int i = 0; i < 10; i++) {
        hn_value y = hn_plan_tensor(&p, HN_ROWS_TOKENS, 16);
        copy(&p, y, x);
        x = y;
    }
    hn_plan_output(&p, x);
    assert_int_equal(hn_plan_finish(&p, &err), 0);
    check_layout(&p);
    assert_int_equal(p.arena_size, 2 * 16 * 16 * 4);
    assert_int_equal(p.kept_size, 0);
    hn_plan_release(&p);
}

static void random_plans_never_overlap(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 50; seed++) {
        const struct hn_limits limits = {.max_tokens = 7, .max_rows = 3, .max_seqs = 1};
        struct hn_plan p;
        struct hone_err err;
        struct hn_rng rng;
        hn_rng_init(&rng, seed, 0);
        hn_plan_init(&p, &limits);
        hn_value made[64];
        made[0] = hn_plan_tensor(&p, HN_ROWS_TOKENS, 5);
        copy(&p, made[0], made[0]);
        for (uint64_t i = 1; i < 64; i++) {
            if (i == 32)
                hn_plan_begin_backward(&p);
            made[i] = hn_plan_tensor(&p, hn_rng_below(&rng, 2) ? HN_ROWS_TOKENS : HN_ROWS_PICKED,
                                     1 + (int64_t)hn_rng_below(&rng, 90));
            copy(&p, made[i], made[hn_rng_below(&rng, i)]);
        }
        assert_int_equal(hn_plan_finish(&p, &err), 0);
        check_layout(&p);
        size_t kept = 0;
        for (size_t i = 0; i < p.n_tensors; i++)
            kept += p.tensors[i].kept ? (bytes_of(&p.tensors[i]) + 63) / 64 * 64 : 0;
        assert_int_equal(kept, p.kept_size);
        hn_plan_release(&p);
    }
}

/* Pieces have places of their own, which the pieces after them share; views lie in their tensor,
 * and keep it alive. */
static void pieces_share_one_place(void **state)
{
    (void)state;
    const struct hn_limits limits = {.max_tokens = 40, .max_rows = 1, .max_seqs = 1};
    struct hn_plan p;
    struct hone_err err;
    hn_plan_init(&p, &limits);
    hn_value x = hn_plan_tensor(&p, HN_ROWS_TOKENS, 16), y = hn_plan_tensor(&p, HN_ROWS_TOKENS, 16);
    copy(&p, x, x);
    for (int64_t first = 0; first < 40; first += 16) {
        hn_value wide = hn_plan_piece(&p, HN_ROWS_TOKENS, first, 16, 64);
        hn_value from = hn_plan_view(&p, x, first, 16), to = hn_plan_view(&p, y, first, 16);
        copy(&p, wide, from);
        copy(&p, to, wide);
        assert_int_equal(p.tensors[wide].t.rows_max, first == 32 ? 8 : 16);
    }
    hn_plan_output(&p, y);
    assert_int_equal(hn_plan_finish(&p, &err), 0);
    assert_int_equal(p.arena_size, (2 * 40 * 16 + 16 * 64) * 4);
    for (size_t i = 0; i < p.n_tensors; i++) {
        const struct hn_plan_tensor *t = &p.tensors[i];
        if (t->base != HN_NONE)
            assert_int_equal(t->t.offset,
                             p.tensors[t->base].t.offset + (size_t)t->t.first_row * 16 * 4);
    }
    assert_int_equal(p.tensors[x].last, 5);
    hn_plan_release(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_chain_needs_two_places),
        cmocka_unit_test(random_plans_never_overlap),
        cmocka_unit_test(pieces_share_one_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

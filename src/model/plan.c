#include "model/plan.h"
#include "base/mem.h"

#include <stdlib.h>

enum { ALIGN = 64 };

void hn_plan_init(struct hn_plan *p, const struct hn_limits *limits)
{
    *p = (struct hn_plan){
        .limits = *limits, .backward_from = -1, .loss = HN_NONE, .hit = HN_NONE, .logits = HN_NONE};
}

void hn_plan_release(struct hn_plan *p)
{
    hn_free(p->ops);
    hn_free(p->tensors);
    *p = (struct hn_plan){0};
}

hn_value hn_plan_tensor(struct hn_plan *p, enum hn_rows rows, int64_t cols)
{
    if (p->failed || p->n_tensors == INT32_MAX ||
        hn_grow((void **)&p->tensors, &p->cap_tensors, p->n_tensors + 1, sizeof *p->tensors)) {
        p->failed = true;
        return HN_NONE;
    }
    int64_t max = rows == HN_ROWS_TOKENS ? p->limits.max_tokens : p->limits.max_rows;
    p->tensors[p->n_tensors] = (struct hn_plan_tensor){
        .t = {.rows_max = max, .cols = cols, .picked = rows == HN_ROWS_PICKED, .dtype = HN_F32},
        .rows = rows,
        .base = HN_NONE,
        .first = -1,
        .last = -1};
    return (hn_value)p->n_tensors++;
}

hn_value hn_plan_piece(struct hn_plan *p, enum hn_rows rows, int64_t first, int64_t n, int64_t cols)
{
    hn_value v = hn_plan_tensor(p, rows, cols);
    if (v == HN_NONE)
        return v;
    struct hn_plan_tensor *t = &p->tensors[v];
    HN_ASSERT(first >= 0 && n > 0 && first < t->t.rows_max);
    t->piece = true;
    t->t.first_row = first;
    t->t.rows_max = HN_MIN(n, t->t.rows_max - first);
    return v;
}

hn_value hn_plan_view(struct hn_plan *p, hn_value base, int64_t first, int64_t n)
{
    if (p->failed)
        return HN_NONE;
    const struct hn_plan_tensor *of = &p->tensors[base];
    HN_ASSERT(!of->piece);
    hn_value v = hn_plan_piece(p, of->rows, first, n, of->t.cols);
    if (v != HN_NONE)
        p->tensors[v].base = base;
    return v;
}

void hn_plan_output(struct hn_plan *p, hn_value v)
{
    if (!p->failed)
        p->tensors[v].last = INT32_MAX;
}

struct hn_plan_op *hn_plan_add(struct hn_plan *p, enum hn_plan_code code)
{
    if (p->failed || p->n_ops == INT32_MAX ||
        hn_grow((void **)&p->ops, &p->cap_ops, p->n_ops + 1, sizeof *p->ops)) {
        p->failed = true;
        return NULL;
    }
    struct hn_plan_op *op = &p->ops[p->n_ops++];
    *op = (struct hn_plan_op){
        .code = code, .x = HN_NONE, .y = HN_NONE, .extra = HN_NONE, .extra2 = HN_NONE};
    for (int i = 0; i < HN_LINEAR_MAX; i++)
        op->many[i] = op->more[i] = HN_NONE;
    return op;
}

void hn_plan_begin_backward(struct hn_plan *p)
{
    p->backward_from = (int32_t)p->n_ops;
}

/* -------------------------------------------------------------------------------------------- */

static void touch(struct hn_plan *p, hn_value v, int32_t at)
{
    if (v == HN_NONE)
        return;
    struct hn_plan_tensor *t = &p->tensors[v];
    if (t->first < 0)
        t->first = at;
    if (t->last < at)
        t->last = at;
    touch(p, t->base, at);
}

static void find_lifetimes(struct hn_plan *p)
{
    for (size_t i = 0; i < p->n_ops; i++) {
        const struct hn_plan_op *op = &p->ops[i];
        int32_t at = (int32_t)i;
        touch(p, op->x, at);
        touch(p, op->y, at);
        touch(p, op->extra, at);
        touch(p, op->extra2, at);
        for (int k = 0; k < HN_LINEAR_MAX; k++) {
            touch(p, op->many[k], at);
            touch(p, op->more[k], at);
        }
    }
}

static size_t size_of(const struct hn_plan_tensor *t)
{
    size_t bytes = (size_t)t->t.rows_max * (size_t)t->t.cols * sizeof(float);
    return (bytes + ALIGN - 1) / ALIGN * ALIGN;
}

static int larger_first(const void *a, const void *b)
{
    const struct hn_plan_tensor *x = *(struct hn_plan_tensor *const *)a;
    const struct hn_plan_tensor *y = *(struct hn_plan_tensor *const *)b;
    size_t n = size_of(x), m = size_of(y);
    if (n != m)
        return n < m ? 1 : -1;
    return x->first != y->first ? (x->first > y->first) - (x->first < y->first) : (x > y) - (x < y);
}

static bool live_together(const struct hn_plan_tensor *a, const struct hn_plan_tensor *b)
{
    return a->first <= b->last && b->first <= a->last;
}

static int lower_first(const void *a, const void *b)
{
    const struct hn_plan_tensor *x = *(struct hn_plan_tensor *const *)a;
    const struct hn_plan_tensor *y = *(struct hn_plan_tensor *const *)b;
    return (x->t.offset > y->t.offset) - (x->t.offset < y->t.offset);
}

/* Greedy by size (Pisarchyk and Lee, "Efficient memory management for deep neural net inference",
 * 2020): the largest first, each at the lowest offset that is free during its whole life. */
static int lay_out(struct hn_plan *p, struct hone_err *err)
{
    size_t n = p->n_tensors, n_conflicts;
    struct hn_plan_tensor **order = hn_calloc(n + 1, sizeof *order);
    struct hn_plan_tensor **conflicts = hn_calloc(n + 1, sizeof *conflicts);
    if (!order || !conflicts) {
        hn_free(order);
        hn_free(conflicts);
        return hn_fail_memory(err, "planning a step");
    }
    size_t n_own = 0;
    for (size_t i = 0; i < n; i++)
        if (p->tensors[i].base == HN_NONE)
            order[n_own++] = &p->tensors[i];
    qsort(order, n_own, sizeof *order, larger_first);
    for (size_t i = 0; i < n_own; i++) {
        size_t at = 0, size = size_of(order[i]);
        n_conflicts = 0;
        for (size_t k = 0; k < i; k++)
            if (live_together(order[i], order[k]))
                conflicts[n_conflicts++] = order[k];
        qsort(conflicts, n_conflicts, sizeof *conflicts, lower_first);
        for (size_t k = 0; k < n_conflicts; k++) {
            if (conflicts[k]->t.offset >= at + size)
                break;
            at = HN_MAX(at, conflicts[k]->t.offset + size_of(conflicts[k]));
        }
        order[i]->t.offset = at;
        p->arena_size = HN_MAX(p->arena_size, at + size);
    }
    for (size_t i = 0; i < n; i++) {
        struct hn_tensor *t = &p->tensors[i].t;
        if (p->tensors[i].base != HN_NONE)
            t->offset = p->tensors[p->tensors[i].base].t.offset +
                        (size_t)(t->first_row * t->cols) * sizeof(float);
    }
    hn_free(order);
    hn_free(conflicts);
    return 0;
}

int hn_plan_finish(struct hn_plan *p, struct hone_err *err)
{
    if (p->failed)
        return hn_fail_memory(err, "planning a step");
    if (p->backward_from < 0)
        p->backward_from = (int32_t)p->n_ops;
    find_lifetimes(p);
    for (size_t i = 0; i < p->n_tensors; i++) {
        struct hn_plan_tensor *t = &p->tensors[i];
        HN_ASSERT(t->first >= 0);
        t->kept = t->first < p->backward_from && t->last >= p->backward_from &&
                  t->last != INT32_MAX && t->base == HN_NONE;
        if (t->kept)
            p->kept_size += size_of(t);
    }
    return lay_out(p, err);
}

/* Writing: each row goes through a cache in pieces, so that only a piece's logits are held.
 * Reading and comparing: one position of each file at a time. */
#include "eval/logits_file.h"
#include "base/mem.h"
#include "eval/divergence.h"
#include "model/batch.h"
#include "model/decoder.h"
#include "model/model.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { PIECE = 64 };

struct writer {
    struct hone_model *m;
    struct hn_kv *kv;
    struct hn_plan plan;
    struct hn_batch_rows batch;
    void *arena;
    float *logits; /* [PIECE, V] */
    FILE *f;
    const char *path;
    struct hone_err *err;
};

static int open_writer(struct writer *w, int64_t context)
{
    struct hone_model *m = w->m;
    const struct hn_spec *s = &m->spec;
    struct hn_plan *plans[] = {&w->plan};
    struct hn_kv_shape shape = hn_model_kv_shape(m, 1, context);
    shape.type = HN_KV_F32; /* rounding is what is measured, and a cache's is for answers alone */
    int rc = m->backend->kv_open(m->dev, &shape, &w->kv, w->err);
    const struct hn_decoder_options o = {.purpose = HN_FOR_GENERATION,
                                         .max_tokens = PIECE,
                                         .max_rows = PIECE,
                                         .max_seqs = 1,
                                         .max_context = context,
                                         .kv = w->kv};
    if (!rc)
        rc = hn_decoder_plan(m, &o, &w->plan, w->err);
    if (!rc)
        rc = hn_plan_bind(plans, 1, m->backend, m->dev, &w->arena, w->err);
    if (!rc)
        rc = hn_batch_init(&w->batch, PIECE, 1, w->err);
    w->logits = hn_calloc((size_t)s->vocab_size, PIECE * sizeof *w->logits);
    if (!rc && !w->logits)
        rc = hn_fail_memory(w->err, "comparing logits");
    w->f = rc ? NULL : fopen(w->path, "wb");
    if (!rc && !w->f)
        rc = hn_fail(w->err, HONE_FAILED, "cannot write %s: %s", w->path, strerror(errno));
    return rc;
}

static int close_writer(struct writer *w, int rc)
{
    struct hone_model *m = w->m;
    if (w->f && fclose(w->f) != 0 && !rc)
        rc = hn_fail(w->err, HONE_FAILED,
                     "cannot write the logits to compare: %s (TMPDIR can name "
                     "a folder with more room)",
                     strerror(errno));
    hn_plan_release(&w->plan);
    if (w->arena)
        m->backend->unbind(m->dev, &w->arena);
    if (w->kv)
        m->backend->kv_close(m->dev, &w->kv);
    hn_batch_release(&w->batch);
    hn_free(w->logits);
    return rc;
}

static int write_row(struct writer *w, const int32_t *ids, int64_t n)
{
    const struct hn_backend *be = w->m->backend;
    struct hn_batch_rows *b = &w->batch;
    for (int64_t done = 0; done < n;) {
        int32_t slot[1] = {0}, past[1] = {(int32_t)done};
        int64_t part = HN_MIN(n - done, (int64_t)PIECE);
        hn_batch_clear(b);
        hn_batch_add(b, ids + done, part, NULL);
        for (int64_t i = 0; i < part; i++) {
            b->positions[i] += past[0];
            b->rows[i] = (int32_t)i;
        }
        b->batch.n_rows = part;
        b->batch.targets = NULL;
        b->batch.slots = slot;
        b->batch.past = past;
        int rc = hn_plan_run(&w->plan, be, w->m->dev, &b->batch, w->err);
        if (!rc)
            rc = be->read(w->m->dev, &w->plan.tensors[w->plan.logits].t, w->logits, w->err);
        if (rc)
            return rc;
        fwrite(w->logits, sizeof(float) * (size_t)w->m->spec.vocab_size, (size_t)part, w->f);
        if (ferror(w->f))
            return hn_fail(w->err, HONE_FAILED,
                           "cannot write the logits to compare: %s (TMPDIR can name a folder with "
                           "more room)",
                           strerror(errno));
        done += part;
    }
    return 0;
}

int hn_logits_write(struct hone_model *m, const struct hone_compare_row *rows, size_t n,
                    const char *path, struct hone_err *err)
{
    struct writer w = {.m = m, .path = path, .err = err};
    int64_t context = 1;
    for (size_t i = 0; i < n; i++)
        context = HN_MAX(context, rows[i].positions);
    int rc = open_writer(&w, context);
    for (size_t i = 0; i < n && !rc; i++)
        rc = write_row(&w, rows[i].ids, rows[i].positions);
    return close_writer(&w, rc);
}

/* -------------------------------------------------------------------------------------------- */

static bool same_rows(const struct hone_compare_side *a, const struct hone_compare_side *b,
                      size_t *row)
{
    for (size_t i = 0; i < a->n_rows; i++) {
        const struct hone_compare_row *x = &a->rows[i], *y = &b->rows[i];
        *row = i;
        if (x->positions != y->positions || x->n != y->n ||
            memcmp(x->ids, y->ids, x->n * sizeof *x->ids) != 0)
            return false;
    }
    return true;
}

/* Can the two be compared position by position? */
static bool possible(const struct hone_compare_side *a, const struct hone_compare_side *b,
                     struct hone_agreement *g)
{
    size_t row;
    if (a->vocab_size < 1 || b->vocab_size < 1)
        snprintf(g->why, sizeof g->why, "one of them has no vocabulary");
    else if (a->n_rows != b->n_rows)
        snprintf(g->why, sizeof g->why, "the tokenizers find %zu and %zu rows in the same data",
                 a->n_rows, b->n_rows);
    else if (!same_rows(a, b, &row))
        snprintf(g->why, sizeof g->why, "the tokenizers give row %zu other tokens", row + 1);
    return !g->why[0];
}

static FILE *open_logits(const char *path, struct hone_err *err)
{
    FILE *f = fopen(path, "rb");
    if (!f)
        hn_fail(err, HONE_FAILED, "cannot read the logits in %s: %s", path, strerror(errno));
    return f;
}

/* A position's logits, of which the first n are kept; a model may have more words than the other.
 */
static bool read_position(FILE *f, float *out, int64_t n, int64_t vocab)
{
    return fread(out, sizeof *out, (size_t)n, f) == (size_t)n &&
           (n == vocab || fseek(f, (long)((vocab - n) * (int64_t)sizeof *out), SEEK_CUR) == 0);
}

static int agree(FILE *fa, int64_t va, FILE *fb, int64_t vb, int64_t positions,
                 struct hone_agreement *g, struct hone_err *err)
{
    int64_t n = HN_MIN(va, vb);
    float *a = hn_calloc((size_t)n, sizeof *a), *b = hn_calloc((size_t)n, sizeof *b);
    struct hn_divergence s = {0};
    int rc = a && b ? 0 : hn_fail_memory(err, "comparing logits");
    for (int64_t i = 0; i < positions && !rc; i++) {
        if (!read_position(fa, a, n, va) || !read_position(fb, b, n, vb)) {
            rc = hn_fail(err, HONE_FAILED,
                         "a file of logits ends after %lld of %lld positions of %lld numbers",
                         (long long)i, (long long)positions, (long long)n);
            break;
        }
        double kl = hn_divergence_add(&s, a, b, n);
        g->kl_max = HN_MAX(g->kl_max, kl);
    }
    hn_free(a);
    hn_free(b);
    if (rc || positions == 0)
        return rc;
    g->positions = positions;
    g->vocabulary = n;
    g->top1 = (double)s.same / (double)positions;
    g->kl_ab = s.ab / (double)positions;
    g->kl_ba = s.ba / (double)positions;
    g->logit_difference = s.difference;
    g->relative_difference = s.largest > 0 ? s.difference / s.largest : 0;
    return 0;
}

int hone_compare_agree(const struct hone_compare_side *a, const char *logits_a,
                       const struct hone_compare_side *b, const char *logits_b,
                       struct hone_agreement *out, struct hone_err *err)
{
    struct hone_agreement g = {0};
    int64_t positions = 0;
    for (size_t i = 0; i < a->n_rows; i++)
        positions += a->rows[i].positions;
    if (possible(a, b, &g) && positions == 0)
        snprintf(g.why, sizeof g.why, "there is no row of tokens to compare them on");
    if (g.why[0]) {
        *out = g;
        return 0;
    }
    FILE *fa = open_logits(logits_a, err), *fb = fa ? open_logits(logits_b, err) : NULL;
    int rc =
        fa && fb ? agree(fa, a->vocab_size, fb, b->vocab_size, positions, &g, err) : HONE_FAILED;
    if (fa)
        fclose(fa);
    if (fb)
        fclose(fb);
    if (!rc)
        *out = g;
    return rc;
}

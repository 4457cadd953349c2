/* One tensor from the mapped source into the output, a few megabytes at a time, on all threads. */
#include "base/mem.h"
#include "convert/convert_impl.h"

#include <string.h>

enum { CHUNK = 8 << 20 }; /* bytes of encoded rows at a time */

struct job {
    const struct hn_converter *c;
    struct hn_tensor *t;
    int64_t first, n; /* rows of this chunk, in the target's order */
    size_t row_size, scales_row;
    unsigned char *data;            /* [chunk, row_size] */
    unsigned char *scales, *biases; /* [rows, scales_row] of the whole tensor; NULL: not affine */
    float *rows;                    /* [parts, cols] */
    int64_t *inexact;               /* [parts] */
    enum hn_encode_result *results; /* [parts] the first that is none of HN_ENCODED */
};

/* The row in Hugging Face's order that the target stores as its row r. */
static int64_t source_row(const struct hn_tensor *t, int64_t r)
{
    if (!t->rope_head)
        return r;
    int64_t half = t->rope_head / 2, i = r % t->rope_head;
    return r - i + i % 2 * half + i / 2;
}

static void copy_row(const struct job *j, int64_t stored, struct hn_encoded to, int64_t cols)
{
    const struct hn_matrix *m = &j->t->from;
    (void)cols;
    memcpy(to.data, m->data + (size_t)stored * m->row_size, j->row_size);
    if (!j->scales)
        return;
    memcpy(to.scales, m->scales + (size_t)stored * j->scales_row, j->scales_row);
    memcpy(to.biases, m->biases + (size_t)stored * j->scales_row, j->scales_row);
}

static enum hn_encode_result encode(const struct job *j, int64_t row, struct hn_encoded to,
                                    float *values)
{
    const struct hn_tensor *t = j->t;
    int64_t cols = t->from.cols;
    if (t->values)
        values[0] = t->values[row];
    else
        hn_matrix_decode(&t->from, row, 0, cols, values);
    if (t->patched)
        j->c->patch->apply(j->c->patch->arg, j->c->patch->by_name ? t->name : t->module, row, cols,
                           values);
    return hn_encode_row(&t->to, values, cols, to);
}

static void rows_part(struct job *j, int64_t part, int64_t begin, int64_t end)
{
    const struct hn_tensor *t = j->t;
    float *values = j->rows + part * t->from.cols;
    for (int64_t i = begin; i < end; i++) {
        int64_t r = j->first + i, row = source_row(t, r);
        size_t at = (size_t)r * j->scales_row;
        struct hn_encoded to = {j->data + (size_t)i * j->row_size,
                                j->scales ? j->scales + at : NULL,
                                j->scales ? j->biases + at : NULL};
        enum hn_encode_result result = HN_ENCODED;
        if (t->way == HN_WAY_COPY)
            copy_row(j, hn_matrix_stored_row(&t->from, row), to, t->from.cols);
        else if (t->way == HN_WAY_ENCODE)
            result = encode(j, row, to, values);
        else if (!hn_transcode_row(&t->from, hn_matrix_stored_row(&t->from, row), &t->to, to,
                                   &j->inexact[part]))
            result = HN_ENCODE_TOO_LARGE;
        if (j->results[part] == HN_ENCODED)
            j->results[part] = result;
    }
}

static void run(void *arg, struct hn_parts *parts)
{
    struct job *j = arg;
    int64_t begin, end;
    while (hn_parts_range(parts, j->n, 1, &begin, &end))
        rows_part(j, parts->at, begin, end);
}

size_t hn_tensor_size(const struct hn_tensor *t)
{
    return (size_t)t->from.rows * hn_layout_row_size(t->to.layout, t->from.cols, t->to.bits);
}

size_t hn_tensor_scales_size(const struct hn_tensor *t)
{
    if (t->to.layout != HN_LAYOUT_AFFINE)
        return 0;
    return (size_t)t->from.rows * (size_t)(t->from.cols / t->to.group) *
           hn_dtype_size(t->to.scale_dtype);
}

static int refuse(const struct job *j, enum hn_encode_result result)
{
    char name[48];
    hn_storage_name(&j->t->to, name);
    if (result == HN_ENCODE_NOT_FINITE)
        return hn_fail(j->c->err, HONE_FAILED,
                       "%s: the tensor %s holds a value that is not finite, which %s cannot store",
                       j->c->o->model, j->t->name, name);
    return hn_fail(j->c->err, HONE_FAILED,
                   "%s: the tensor %s holds values too large for %s; choose bfloat16 or float32",
                   j->c->o->model, j->t->name, name);
}

static int progress(struct hn_converter *c, const struct hn_tensor *t, int64_t rows)
{
    c->done += (uint64_t)(rows * t->from.cols);
    struct hone_convert_progress p = {c->done, c->total, t->name};
    if (c->on_progress && c->on_progress(c->arg, &p))
        return hn_fail(c->err, HONE_INTERRUPTED, "interrupted; nothing was written to %s",
                       c->o->output);
    return 0;
}

static int stream_rows(struct hn_converter *c, struct job *j, hn_sink_fn *sink, void *arg)
{
    int rc = 0;
    int64_t chunk = HN_MAX((int64_t)(CHUNK / j->row_size), (int64_t)hn_pool_size(c->pool));
    chunk = HN_MIN(chunk, j->t->from.rows);
    int64_t parts = hn_pool_cut(c->pool, chunk);
    j->data = hn_calloc((size_t)chunk, j->row_size);
    j->rows = hn_calloc((size_t)parts * (size_t)j->t->from.cols, sizeof *j->rows);
    j->inexact = hn_calloc((size_t)parts, sizeof *j->inexact);
    j->results = hn_calloc((size_t)parts, sizeof *j->results);
    if (!j->data || !j->rows || !j->inexact || !j->results)
        rc = hn_fail_memory(c->err, "converting a tensor");
    for (int64_t at = 0; at < j->t->from.rows && !rc; at += j->n) {
        j->first = at;
        j->n = HN_MIN(chunk, j->t->from.rows - at);
        hn_pool_run(c->pool, run, j, parts);
        for (int64_t i = 0; i < parts && !rc; i++)
            if (j->results[i] != HN_ENCODED)
                rc = refuse(j, j->results[i]);
        if (!rc) {
            sink(arg, j->data, (size_t)j->n * j->row_size);
            rc = progress(c, j->t, j->n);
        }
    }
    for (int64_t i = 0; i < parts && j->inexact; i++)
        j->t->n_inexact += j->inexact[i];
    hn_free(j->data);
    hn_free(j->rows);
    hn_free(j->inexact);
    hn_free(j->results);
    return rc;
}

int hn_tensor_stream(struct hn_converter *c, struct hn_tensor *t, hn_sink_fn *sink, void *arg)
{
    struct job j = {
        .c = c, .t = t, .row_size = hn_layout_row_size(t->to.layout, t->from.cols, t->to.bits)};
    size_t scales = hn_tensor_scales_size(t);
    int rc = 0;
    if (scales) {
        j.scales_row = scales / (size_t)t->from.rows;
        j.scales = hn_calloc(2, scales);
        j.biases = j.scales ? j.scales + scales : NULL;
        rc = j.scales ? 0 : hn_fail_memory(c->err, "converting a tensor");
    }
    rc = rc ? rc : stream_rows(c, &j, sink, arg);
    if (!rc && scales) {
        sink(arg, j.scales, scales);
        sink(arg, j.biases, scales);
    }
    hn_free(j.scales);
    return rc;
}

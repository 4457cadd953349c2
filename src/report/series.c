#include "report/series.h"
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"

#include <math.h>

static double number(const struct hn_json *j, const char *key)
{
    double v = NAN;
    hn_json_float(hn_json_get(j, key), &v);
    return isfinite(v) ? v : NAN;
}

static int add(struct hn_series *s, const struct hn_metric *m, struct hone_err *err)
{
    if (s->seen == 0) {
        s->stride = 1;
        s->first = s->lowest = *m;
    }
    s->last = *m;
    if (m->loss < s->lowest.loss || isnan(s->lowest.loss))
        s->lowest = *m;
    s->memory = fmax(s->memory, m->memory);
    if (s->n == HN_SERIES_MAX) {
        s->n = 0;
        for (size_t i = 0; i < HN_SERIES_MAX; i += 2)
            s->items[s->n++] = s->items[i];
        s->stride *= 2;
    }
    if (s->seen++ % s->stride)
        return 0;
    if (hn_grow((void **)&s->items, &s->cap, s->n + 1, sizeof *s->items))
        return hn_fail_memory(err, "reading metrics");
    s->items[s->n++] = *m;
    return 0;
}

static int take(struct hn_metrics *all, const struct hn_json *j, struct hone_err *err)
{
    bool valid = hn_json_get(j, "val_loss") != NULL;
    struct hn_metric m = {
        .step = number(j, "step"),
        .epoch = number(j, "epoch"),
        .loss = number(j, valid ? "val_loss" : "loss"),
        .learning_rate = number(j, "learning_rate"),
        .grad_norm = number(j, "grad_norm"),
        .tokens = number(j, "tokens"),
        .tokens_per_second = number(j, "tokens_per_second"),
        .memory = number(j, "peak_memory_bytes"),
    };
    if (isnan(m.step))
        return hn_fail(err, HONE_FAILED, "found %s without a number \"step\", expected a record",
                       hn_json_type_name(j));
    return add(valid ? &all->valid : &all->train, &m, err);
}

int hn_metrics_read(struct hn_metrics *m, const char *path, struct hone_err *err)
{
    struct hn_lines lines = {0};
    struct hn_arena arena;
    int rc, bad = 0;
    *m = (struct hn_metrics){0};
    if (!hn_file_exists(path))
        return 0;
    hn_arena_init(&arena, 16 << 20);
    rc = hn_lines_open(&lines, path, 1 << 20, err);
    while (!rc && (rc = hn_lines_next(&lines, err)) > 0) {
        struct hn_json *j = NULL;
        rc = bad; /* of the line before: only the last may be malformed */
        if (rc)
            break;
        hn_arena_clear(&arena);
        bad =
            hn_json_parse(&arena, hn_buf_str(&lines.line), lines.line.len, HN_JSON_PYTHON, &j, err);
        bad = bad ? bad : take(m, j, err);
        if (bad)
            hn_fail_prefix(err, "%s, line %llu", path, (unsigned long long)lines.number);
        if (bad == HONE_NO_MEMORY)
            rc = bad;
    }
    hn_lines_close(&lines);
    hn_arena_release(&arena);
    if (rc)
        hn_metrics_release(m);
    return rc;
}

void hn_metrics_release(struct hn_metrics *m)
{
    hn_free(m->train.items);
    hn_free(m->valid.items);
    *m = (struct hn_metrics){0};
}

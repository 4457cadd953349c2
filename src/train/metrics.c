#include "train/metrics.h"
#include "base/file.h"

#include <errno.h>
#include <string.h>

int hn_metrics_begin(const char *path, int64_t step, struct hone_err *err)
{
    struct hn_buf old = {0}, kept = {0};
    int rc = hn_file_exists(path) && step > 0 ? hn_file_read(path, (size_t)1 << 32, &old, err) : 0;
    for (const char *p = hn_buf_str(&old), *end; *p && !rc; p = end) {
        struct hn_arena arena;
        struct hn_json *j = NULL;
        int64_t at = INT64_MAX;
        end = strchr(p, '\n');
        if (!end)
            break; /* a line that a crash cut short */
        end++;
        hn_arena_init(&arena, 0);
        if (hn_json_parse(&arena, p, (size_t)(end - p), HN_JSON_PYTHON, &j, NULL) == 0)
            hn_json_int(hn_json_get(j, "step"), &at);
        if (at <= step)
            hn_buf_add(&kept, p, (size_t)(end - p));
        hn_arena_release(&arena);
    }
    if (!rc)
        rc = kept.failed ? hn_fail(err, HONE_NO_MEMORY, "out of memory while writing %s", path)
                         : hn_file_write(path, hn_buf_str(&kept), kept.len, err);
    hn_buf_release(&old);
    hn_buf_release(&kept);
    return rc;
}

static void add_double(struct hn_json_writer *w, const char *key, double v)
{
    hn_jw_key(w, key);
    hn_jw_double(w, v);
}

static void add_int(struct hn_json_writer *w, const char *key, int64_t v)
{
    hn_jw_key(w, key);
    hn_jw_int(w, v);
}

int hn_metrics_add(const char *path, const struct hone_train_event *e, struct hone_err *err)
{
    struct hn_buf line = {0};
    struct hn_json_writer w;
    hn_jw_init(&w, &line, -1);
    hn_jw_open(&w, '{');
    add_int(&w, "step", e->step);
    add_double(&w, "epoch", e->epoch);
    if (e->kind == HONE_TRAIN_EVAL) {
        add_double(&w, "val_loss", e->val_loss);
        add_double(&w, "val_seconds", e->val_seconds);
        add_int(&w, "peak_memory_bytes", (int64_t)e->peak_memory);
    } else {
        add_double(&w, "loss", e->loss);
        add_double(&w, "learning_rate", e->learning_rate);
        add_double(&w, "grad_norm", e->grad_norm);
        add_int(&w, "tokens", e->tokens);
        add_double(&w, "tokens_per_second", e->tokens_per_second);
        add_int(&w, "peak_memory_bytes", (int64_t)e->peak_memory);
    }
    hn_jw_close(&w, '}');
    hn_buf_add_char(&line, '\n');
    int rc = line.failed ? hn_fail(err, HONE_NO_MEMORY, "out of memory while writing %s", path) : 0;
    FILE *f = rc ? NULL : fopen(path, "abe");
    if (!rc && (!f || fwrite(line.data, 1, line.len, f) != line.len))
        rc = hn_fail(err, HONE_FAILED, "cannot write %s: %s", path, strerror(errno));
    if (f && fclose(f) != 0 && !rc)
        rc = hn_fail(err, HONE_FAILED, "cannot write %s: %s", path, strerror(errno));
    hn_buf_release(&line);
    return rc;
}

/* metrics.csv: RFC 4180, streamed from metrics.jsonl. */
#include "base/file.h"
#include "report/report.h"

#include <string.h>

static const char *const columns[] = {
    "step",
    "epoch",
    "loss",
    "val_loss",
    "learning_rate",
    "grad_norm",
    "tokens",
    "tokens_per_second",
    "peak_memory_bytes",
    "val_seconds",
};

static void add_record(struct hn_file_writer *w, const struct hn_json *j)
{
    for (size_t i = 0; i < HN_COUNT(columns); i++) {
        const struct hn_json *v = hn_json_get(j, columns[i]);
        if (i)
            hn_file_writer_add(w, ",", 1);
        if (v && (v->type == HN_JSON_INT || v->type == HN_JSON_FLOAT))
            hn_file_writer_add(w, v->text.p, v->text.n);
    }
    hn_file_writer_add(w, "\r\n", 2);
}

int hn_metrics_csv(const char *from, const char *to, struct hone_err *err)
{
    struct hn_lines lines = {0};
    struct hn_file_writer w = {0};
    struct hn_arena arena;
    int rc = hn_lines_open(&lines, from, 1 << 20, err);
    if (rc)
        return rc;
    hn_arena_init(&arena, 16 << 20);
    rc = hn_file_writer_open(&w, to, err);
    for (size_t i = 0; !rc && i < HN_COUNT(columns); i++) {
        hn_file_writer_add(&w, ",", i > 0);
        hn_file_writer_add(&w, columns[i], strlen(columns[i]));
    }
    if (!rc)
        hn_file_writer_add(&w, "\r\n", 2);
    while (!rc && (rc = hn_lines_next(&lines, err)) > 0) {
        struct hn_json *j = NULL;
        hn_arena_clear(&arena);
        rc =
            hn_json_parse(&arena, hn_buf_str(&lines.line), lines.line.len, HN_JSON_PYTHON, &j, err);
        if (!rc)
            add_record(&w, j);
        else if (rc != HONE_NO_MEMORY)
            rc = 0; /* hn_metrics_read has judged it: a last line that a kill cut short */
    }
    if (w.f && rc)
        hn_file_writer_cancel(&w);
    else if (w.f)
        rc = hn_file_writer_commit(&w, err);
    hn_lines_close(&lines);
    hn_arena_release(&arena);
    return rc;
}

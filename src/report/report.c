#include "report/report.h"
#include "base/file.h"
#include "base/json_file.h"
#include "base/mem.h"
#include "report/page.h"

#include <string.h>

int hn_report_read_run(struct hn_arena *arena, const char *dir, struct hn_json **run,
                       struct hone_err *err)
{
    struct hn_json *j = NULL;
    char *path = hn_path_join(dir, "run.json");
    int rc = path ? hn_json_read_object(arena, path, HN_REPORT_MAX_RUN, &j, err)
                  : hn_fail_memory(err, "reading run.json");
    if (!rc)
        *run = j;
    hn_free(path);
    return rc;
}

int hn_report_put_samples(const char *dir, const struct hn_json *run,
                          const struct hn_samples *samples, struct hone_err *err)
{
    struct hn_buf text = {0};
    struct hn_json_writer w;
    hn_jw_init(&w, &text, -1);
    hn_jw_open(&w, '{');
    for (size_t i = 0; i < run->n; i++) {
        const struct hn_json_member *m = &run->members[i];
        if (hn_str_is(m->key, "samples"))
            continue;
        hn_jw_key(&w, m->key.p);
        hn_jw_value(&w, &m->value);
    }
    hn_jw_key(&w, "samples");
    hn_samples_write(&w, samples);
    hn_jw_close(&w, '}');
    hn_buf_add_char(&text, '\n');
    char *path = hn_path_join(dir, "run.json");
    int rc = text.failed || !path ? hn_fail_memory(err, "writing run.json")
                                  : hn_file_write(path, text.data, text.len, err);
    hn_free(path);
    hn_buf_release(&text);
    return rc;
}

/* Is it held by a process, as hone train does for as long as it runs? */
static bool is_busy(const char *dir)
{
    int lock, rc = hn_dir_lock(dir, &lock, NULL);
    hn_dir_unlock(&lock);
    return rc != 0;
}

static int write_page(const char *path, const struct hn_page *p, struct hone_err *err)
{
    hn_page_write(p);
    if (p->out->failed)
        return hn_fail_memory(err, "writing the report");
    return hn_file_write(path, hn_buf_str(p->out), p->out->len, err);
}

int hn_report_write(const char *dir, struct hone_err *err)
{
    enum { METRICS, YAML, CSV, PAGE, ADAPTER_MLX, ADAPTER_PEFT };
    static const char *const names[] = {[METRICS] = "metrics.jsonl",
                                        [YAML] = "train.yaml",
                                        [CSV] = "metrics.csv",
                                        [PAGE] = "report.html",
                                        [ADAPTER_MLX] = "adapters.safetensors",
                                        [ADAPTER_PEFT] = "adapter_model.safetensors"};
    char *paths[HN_COUNT(names)] = {0};
    struct hn_arena arena;
    struct hn_metrics metrics = {0};
    struct hn_buf yaml = {0}, out = {0};
    struct hn_json *run = NULL;
    int rc = 0;
    hn_arena_init(&arena, 8 * (size_t)HN_REPORT_MAX_RUN);
    for (size_t i = 0; i < HN_COUNT(names) && !rc; i++) {
        paths[i] = hn_path_join(dir, names[i]);
        rc = paths[i] ? 0 : hn_fail_memory(err, "writing the report");
    }
    rc = rc ? rc : hn_report_read_run(&arena, dir, &run, err);
    if (!rc && !run && !hn_file_exists(paths[METRICS]))
        rc = hn_fail(err, HONE_NOT_FOUND,
                     "%s has neither run.json nor metrics.jsonl, expected a folder that hone train "
                     "wrote",
                     dir);
    rc = rc ? rc : hn_metrics_read(&metrics, paths[METRICS], err);
    if (!rc && hn_file_exists(paths[YAML]))
        rc = hn_file_read(paths[YAML], 1 << 18, &yaml, err);
    if (!rc && hn_file_exists(paths[METRICS]))
        rc = hn_metrics_csv(paths[METRICS], paths[CSV], err);
    if (!rc) {
        const struct hn_page page = {.run = run,
                                     .yaml = yaml.len ? hn_buf_str(&yaml) : NULL,
                                     .dir = dir,
                                     .busy = is_busy(dir),
                                     .saved = hn_file_exists(paths[ADAPTER_MLX]) ||
                                              hn_file_exists(paths[ADAPTER_PEFT]),
                                     .metrics = &metrics,
                                     .out = &out};
        rc = write_page(paths[PAGE], &page, err);
    }
    for (size_t i = 0; i < HN_COUNT(names); i++)
        hn_free(paths[i]);
    hn_metrics_release(&metrics);
    hn_buf_release(&yaml);
    hn_buf_release(&out);
    hn_arena_release(&arena);
    return rc;
}

#include "cli/pull_view.h"

#include <string.h>
#include "base/err.h"
#include "base/json.h"
#include "base/os.h"
#include "cli/cli.h"

enum { LINE_SECONDS = 15 };

void hn_pull_view_init(struct hn_pull_view *v, FILE *out, bool brief)
{
    *v = (struct hn_pull_view){.brief = brief};
    hn_ui_init(&v->ui, out);
}

void hn_pull_view_release(struct hn_pull_view *v)
{
    hn_ui_clear(&v->ui);
    hn_buf_release(&v->files);
}

static void show_plan(struct hn_pull_view *v, const struct hone_pull_event *e)
{
    char bytes[HN_UI_TEXT];
    snprintf(v->commit, sizeof v->commit, "%s", e->commit);
    hn_ui_say(&v->ui, HN_BOLD, "%s at %.12s from %s: %zu files, %s%s", e->name, e->commit,
              e->endpoint, e->n_files, e->total_known ? "" : "at least ",
              hn_ui_bytes(e->total, bytes));
}

static void show_progress(struct hn_pull_view *v, const struct hone_pull_event *e)
{
    char done[HN_UI_TEXT], total[HN_UI_TEXT], rate[HN_UI_TEXT], left[HN_UI_TEXT];
    double now = hn_now();
    bool speaks = v->ui.terminal || now - v->last_line >= LINE_SECONDS;
    if (v->last_line == 0)
        v->last_line = now;
    if (!speaks || !e->total || !e->file)
        return;
    hn_ui_bytes(e->done, done);
    hn_ui_bytes(e->total, total);
    hn_ui_bytes((uint64_t)e->rate, rate);
    uint64_t more = e->total > e->done ? e->total - e->done : 0;
    hn_ui_time(e->rate > 0 ? (double)more / e->rate : -1, left);
    if (v->ui.terminal) {
        hn_ui_progress(&v->ui, (double)e->done / (double)e->total, false,
                       "%s of %s · %s/s · %s left · %s", done, total, rate, left, e->file);
    } else {
        hn_ui_say(&v->ui, HN_PLAIN, "  %s of %s, %s/s, %s left", done, total, rate, left);
        v->last_line = now;
    }
}

static void show_file(struct hn_pull_view *v, const struct hone_pull_event *e)
{
    char bytes[HN_UI_TEXT];
    struct hn_json_writer w;
    v->n_files++;
    v->n_fetched += !e->cached;
    v->received += e->cached ? 0 : e->file_size;
    if (v->files.len)
        hn_buf_add_str(&v->files, ", ");
    hn_jw_init(&w, &v->files, -1);
    hn_jw_open(&w, '{');
    hn_jw_put_str(&w, "file", e->file);
    hn_jw_put_int(&w, "bytes", (int64_t)e->file_size);
    hn_jw_put_bool(&w, "cached", e->cached);
    hn_jw_close(&w, '}');
    if (!v->brief)
        hn_ui_say(&v->ui, HN_PLAIN, "  %s, %s%s", e->file, hn_ui_bytes(e->file_size, bytes),
                  e->cached ? " (was there)" : "");
}

int hn_pull_view_event(void *arg, const struct hone_pull_event *e)
{
    struct hn_pull_view *v = arg;
    switch (e->kind) {
    case HONE_PULL_PLAN:
        show_plan(v, e);
        break;
    case HONE_PULL_PROGRESS:
        show_progress(v, e);
        break;
    case HONE_PULL_FILE:
        show_file(v, e);
        break;
    case HONE_PULL_NOTE:
        hn_ui_say(&v->ui, HN_YELLOW, "note: %s", e->text);
        break;
    }
    return hn_cli_interrupted();
}

int hn_cli_locate(const char *name, bool tokenizer_only, char **path, struct hone_err *err)
{
    struct hn_pull_view v;
    const struct hone_pull_options o = {.tokenizer_only = tokenizer_only};
    int rc = (tokenizer_only ? hone_tokenizer_locate : hone_model_locate)(name, path, err);
    if (rc != HONE_NOT_FOUND || !hone_model_is_remote(name) || hone_hub_is_offline())
        return rc;
    hn_pull_view_init(&v, stderr, true);
    hn_cli_catch_interrupts();
    rc = hone_pull(name, &o, hn_pull_view_event, &v, path, err);
    hn_pull_view_release(&v);
    return rc == HONE_NOT_FOUND ? hn_fail_prefix(err, "there is no folder or file %s here", name)
                                : rc;
}

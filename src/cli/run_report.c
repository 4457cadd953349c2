#include "cli/run_report.h"
#include "base/mem.h"
#include "base/os.h"
#include "cli/cli.h"
#include "conf/value.h"
#include "report/report.h"

#include <string.h>

/* Seconds between two writes at least, and for the samples of a run at most. */
enum { REST = 5, SAMPLE_SECONDS = 120 };

/* ---- settings ---------------------------------------------------------------------------------
 */

/* Every setting of the run, and whether it is another than by default. */
static void put_settings(const struct hn_conf *c, struct hn_buf *out)
{
    struct hn_conf plain;
    struct hn_json_writer w;
    const struct hn_option *o;
    char key[64];
    bool known = hn_conf_init(&plain, HN_TRAIN, 0, NULL, NULL) == 0;
    hn_jw_init(&w, out, -1);
    hn_jw_open(&w, '[');
    for (size_t i = 0; (o = hn_option_at(i)); i++) {
        struct hn_buf value = {0}, usual = {0};
        if (!(o->commands & HN_BIT(HN_TRAIN)) || o->offset == HN_OPTION_NOWHERE ||
            o->type == HN_OPTION_FIXED || o->flags & (HN_OPTION_LINE_ONLY | HN_OPTION_NOT_KEPT))
            continue;
        hn_value_get(o, &c->set, &value);
        hn_value_get(o, known ? &plain.set : &c->set, &usual);
        hn_jw_open(&w, '{');
        hn_jw_put_str(&w, "name", hn_option_key(o, key, sizeof key));
        hn_jw_put_str(&w, "value", hn_buf_str(&value));
        hn_jw_put_bool(&w, "changed", strcmp(hn_buf_str(&value), hn_buf_str(&usual)) != 0);
        hn_jw_close(&w, '}');
        hn_buf_release(&value);
        hn_buf_release(&usual);
    }
    hn_jw_close(&w, ']');
    hn_conf_release(&plain);
}

/* ---- the files --------------------------------------------------------------------------------
 */

void hn_run_report_init(struct hn_run_report *r, const struct hn_conf *c, struct hn_ui *ui)
{
    static const char *const classes[] = {"exact", "bf16", "int8"};
    *r = (struct hn_run_report){.c = c, .ui = ui};
    hn_run_record_init(&r->record);
    put_settings(c, &r->settings);
    r->record.adapter_path = c->set.train.adapter_path;
    r->record.settings = r->settings.len ? hn_buf_str(&r->settings) : NULL;
    r->record.max_seq_length = c->set.train.max_seq_length;
    r->record.compute = classes[c->set.device.compute];
}

void hn_run_report_release(struct hn_run_report *r)
{
    hn_run_record_release(&r->record);
    hn_buf_release(&r->settings);
}

static void update(struct hn_run_report *r, const char *status, const char *message)
{
    struct hone_err err = {0};
    double start = hn_now();
    int rc = hn_run_record_write(&r->record, status, message, &err);
    rc = rc ? rc : hn_report_write(r->record.adapter_path, &err);
    if (rc && !r->noted)
        hn_ui_say(r->ui, HN_YELLOW, "note: the report could not be written: %s", err.message);
    r->noted |= rc != 0;
    r->next = hn_now() + HN_MAX((double)REST, 100 * (hn_now() - start));
}

void hn_run_report_event(struct hn_run_report *r, const struct hone_train_event *e)
{
    hn_run_record_event(&r->record, e);
    bool due =
        e->kind == HONE_TRAIN_PLAN || e->kind == HONE_TRAIN_EVAL || e->kind == HONE_TRAIN_SAVED;
    if (due && hn_now() >= r->next)
        update(r, "running", NULL);
}

void hn_run_report_end(struct hn_run_report *r, int code, const char *message)
{
    struct hn_run_record *record = &r->record;
    if (!record->planned) /* it never began */
        return;
    update(r,
           code == 0                  ? "finished"
           : code == HONE_INTERRUPTED ? "interrupted"
                                      : "failed",
           code ? message : NULL);
    if (code == 0 && record->samples.n && !hn_cli_interrupted()) {
        struct hone_err err = {0};
        int rc = hn_run_report_samples(&record->samples, r->c, r->c->set.model,
                                       record->adapter_path, SAMPLE_SECONDS, r->ui, &err);
        if (rc)
            hn_ui_say(r->ui, HN_YELLOW,
                      "note: not all samples were written (hone report %s does "
                      "it): %s",
                      record->adapter_path, err.message);
        update(r, "finished", NULL);
    }
    if (!r->noted)
        hn_ui_say(r->ui, HN_PLAIN, "Report: %s/report.html", record->adapter_path);
}

/* ---- samples ----------------------------------------------------------------------------------
 */

enum { MAX_ANSWER = 256, MAX_PROMPT = 2048 }; /* tokens */

struct writer {
    struct hone_model *model;
    struct hone_tokenizer *tok;
    struct hone_tokens ids;
    double deadline; /* 0: none */
};

static int on_text(void *arg, const char *text, size_t n)
{
    const struct writer *w = arg;
    (void)text;
    (void)n;
    return hn_cli_interrupted() || (w->deadline > 0 && hn_now() > w->deadline);
}

static int encode(struct writer *w, const char *text, bool special, struct hone_err *err)
{
    w->ids.n = 0;
    return hone_tokenizer_encode(w->tok, text, strlen(text), special ? HONE_ADD_SPECIAL : 0,
                                 &w->ids, err);
}

/* Let the model write to the sample, into *out, as long as twice what was expected. */
static int answer(struct writer *w, struct hn_sample *x, char **out, struct hone_err *err)
{
    struct hone_generate_options o;
    struct hone_generation g = {0};
    hone_generate_defaults(&o);
    int rc = encode(w, x->expected, false, err);
    if (rc)
        return rc;
    o.max_tokens = HN_MIN(2 * (int64_t)w->ids.n + 64, (int64_t)MAX_ANSWER);
    if (x->continued)
        o.max_tokens = HN_MIN((int64_t)w->ids.n + 32, (int64_t)MAX_ANSWER / 2);
    rc = encode(w, x->prompt, !x->templated, err);
    if (rc || w->ids.n == 0 || w->ids.n > MAX_PROMPT)
        return rc;
    rc = hone_generate(w->model, w->tok, w->ids.ids, w->ids.n, &o, on_text, w, &g, err);
    if (!rc) {
        *out = hn_calloc(g.text_size + 1, 1);
        if (*out)
            memcpy(*out, g.text, g.text_size);
        else
            rc = hn_fail_memory(err, "writing samples");
        x->cut |= strcmp(g.finish_reason, "stop") != 0;
    }
    hone_generation_release(&g);
    return rc;
}

static int answer_all(struct writer *w, struct hn_samples *s, bool tuned, struct hn_ui *ui,
                      struct hone_err *err)
{
    for (size_t i = 0; i < s->n; i++) {
        struct hn_sample *x = &s->items[i];
        char **out = tuned ? &x->tuned : &x->base;
        if (*out || !x->expected)
            continue;
        if (on_text(w, "", 0))
            return hn_fail(err, HONE_INTERRUPTED, "%s",
                           hn_cli_interrupted() ? "interrupted" : "they take too long");
        hn_ui_progress(ui, (double)i / (double)s->n, true, "samples: the %s model, %zu of %zu",
                       tuned ? "tuned" : "base", i + 1, s->n);
        int rc = answer(w, x, out, err);
        if (rc)
            return rc;
    }
    return 0;
}

static bool lacks(const struct hn_samples *s, bool tuned)
{
    for (size_t i = 0; i < s->n; i++)
        if (!(tuned ? s->items[i].tuned : s->items[i].base))
            return true;
    return false;
}

int hn_run_report_samples(struct hn_samples *s, const struct hn_conf *c, const char *base,
                          const char *dir, double seconds, struct hn_ui *ui, struct hone_err *err)
{
    struct hn_conf with = *c; /* the same device, and the base without an adapter */
    struct writer w = {.deadline = seconds > 0 ? hn_now() + seconds : 0};
    int rc = 0;
    with.set.model = base;
    with.set.adapter = NULL;
    if (!lacks(s, false) && !lacks(s, true))
        return 0;
    hn_cli_catch_interrupts();
    rc = hn_cli_open(&with, &w.model, &w.tok, err);
    if (!rc && lacks(s, false))
        rc = answer_all(&w, s, false, ui, err);
    if (!rc && lacks(s, true))
        rc = hone_model_load_adapter(w.model, dir, err);
    if (!rc && lacks(s, true))
        rc = answer_all(&w, s, true, ui, err);
    hn_ui_clear(ui);
    hone_tokens_release(&w.ids);
    hone_tokenizer_close(&w.tok);
    hone_model_close(&w.model);
    return rc;
}

/* hone report: report.html and metrics.csv of a run, from the files in its folder. */
#include <string.h>
#include "base/err.h"
#include "base/file.h"
#include "cli/cli.h"
#include "cli/run_report.h"
#include "report/report.h"

/* Load the base as the run did: its compute and quantisation, where the command line says nothing
 * else. */
static int take_settings(struct hn_conf *c, const struct hn_json *run, struct hone_err *err)
{
    const struct hn_json *list = hn_json_get(run, "settings"), *j;
    const struct hn_option *o;
    struct hn_str name, value;
    char key[64];
    for (size_t i = 0; (o = hn_option_at(i)); i++) {
        if (!(o->commands & HN_BIT(HN_TRAIN)) || o->offset == HN_OPTION_NOWHERE ||
            (strcmp(o->group, "Quantisation") != 0 && strcmp(o->name, "compute") != 0))
            continue;
        hn_option_key(o, key, sizeof key);
        for (size_t k = 0; (j = hn_json_at(list, k)); k++) {
            bool mine = hn_json_str(hn_json_get(j, "name"), &name) && hn_str_is(name, key) &&
                        hn_json_str(hn_json_get(j, "value"), &value) && value.n;
            int rc = mine ? hn_conf_set(c, i, value.p, value.n, false, HN_FROM_FILE, key, err) : 0;
            if (rc)
                return hn_fail_prefix(err, "run.json");
        }
    }
    return 0;
}

/* Fill the samples of run.json; run's own tree is left as it was. */
static int fill_samples(struct hn_conf *c, const char *dir, const struct hn_json *run,
                        struct hn_ui *ui, struct hone_err *err)
{
    struct hn_samples s = {0};
    struct hn_str base = {"", 0};
    struct hone_err reason = {0};
    (void)hn_json_str(hn_json_get(hn_json_get(run, "model"), "path"), &base);
    int rc = hn_samples_read(&s, run, err);
    s.n = rc ? 0 : s.n;
    if (!rc && base.n) {
        int written = take_settings(c, run, &reason);
        written = written ? written : hn_run_report_samples(&s, c, base.p, dir, 0, ui, &reason);
        if (written)
            hn_ui_say(ui, HN_YELLOW, "note: not all samples were written: %s", reason.message);
        rc = hn_report_put_samples(dir, run, &s, err);
    }
    hn_samples_release(&s);
    return rc;
}

int hn_cmd_report(struct hn_conf *c, struct hone_err *err)
{
    const char *dir = hn_cli_argument(c, c->set.train.adapter_path);
    struct hn_arena arena;
    struct hn_json *run = NULL;
    struct hn_ui ui;
    hn_ui_init(&ui, stdout);
    hn_arena_init(&arena, 8 * (size_t)HN_REPORT_MAX_RUN);
    int rc = 0;
    if (!hn_dir_exists(dir))
        rc = hn_fail(err, HONE_NOT_FOUND, "%s: there is no such folder", dir);
    rc = rc ? rc : hn_report_read_run(&arena, dir, &run, err);
    if (!rc && run && c->set.train.report_samples > 0)
        rc = fill_samples(c, dir, run, &ui, err);
    rc = rc ? rc : hn_report_write(dir, err);
    if (!rc)
        hn_ui_say(&ui, HN_PLAIN, "Wrote %s/report.html", dir);
    hn_arena_release(&arena);
    return rc;
}

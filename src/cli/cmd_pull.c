/* hone pull: a model of a hub into the Hugging Face cache. */
#include "base/err.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/pull_view.h"

static int print_json(const struct hn_pull_view *v, const char *name, const char *path,
                      struct hone_err *err)
{
    struct hn_buf out = {0};
    struct hn_json_writer w;
    hn_jw_init(&w, &out, -1);
    hn_jw_open(&w, '{');
    hn_jw_put_str(&w, "model", name);
    hn_jw_put_str(&w, "commit", v->commit[0] ? v->commit : NULL);
    hn_jw_put_str(&w, "path", path);
    hn_jw_put_int(&w, "downloaded_bytes", (int64_t)v->received);
    hn_buf_printf(&out, ", \"files\": [%s]", hn_buf_str(&v->files));
    hn_jw_close(&w, '}');
    out.failed |= v->files.failed;
    return hn_cli_print_json(&out, err);
}

int hn_cmd_pull(struct hn_conf *c, struct hone_err *err)
{
    struct hn_pull_view v;
    char *path = NULL;
    const char *name = hn_cli_argument(c, c->set.model);
    if (!name)
        return hn_fail(err, HONE_USAGE, "which model? hone pull ORG/NAME");
    hn_pull_view_init(&v, c->set.json ? stderr : stdout, c->set.json);
    hn_cli_catch_interrupts();
    int rc = hone_pull(name, &c->set.pull, hn_pull_view_event, &v, &path, err);
    hn_ui_clear(&v.ui);
    if (!rc && c->set.json)
        rc = print_json(&v, name, path, err);
    else if (!rc)
        hn_ui_say(&v.ui, HN_PLAIN, "%s", path);
    hn_pull_view_release(&v);
    hn_free(path);
    return rc;
}

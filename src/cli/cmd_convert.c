/* hone convert: settles what is to be written from the names and options, shows progress, and says
 * what became of the weights. */
#include <string.h>
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/os.h"
#include "base/str.h"
#include "cli/convert_view.h"

static bool is_adapter(const char *path)
{
    char *config = hn_path_join(path, "adapter_config.json"),
         *model = hn_path_join(path, "config.json");
    bool is = config && model && hn_file_exists(config) && !hn_file_exists(model);
    hn_free(config);
    hn_free(model);
    return is;
}

static enum hn_convert_to format_of(const struct hn_conf *c, bool adapter)
{
    const struct hone_convert_options *o = &c->set.convert;
    if (c->set.convert_to != HN_CONVERT_TO_AUTO)
        return (enum hn_convert_to)c->set.convert_to;
    if (adapter)
        return HN_CONVERT_TO_AUTO;
    if ((o->output && hn_ends_with(o->output, ".gguf")) || o->type > HONE_TYPE_BF16)
        return HN_CONVERT_TO_GGUF;
    return HN_CONVERT_TO_MLX;
}

static int check(struct hn_conf *c, enum hn_convert_to to, bool adapter, struct hone_err *err)
{
    struct hone_convert_options *o = &c->set.convert;
    if (to == HN_CONVERT_TO_PEFT && !adapter)
        return hn_fail(
            err, HONE_USAGE,
            "--to peft is for adapters, and %s is none (there is no adapter_config.json)",
            o->model);
    if (adapter && to != HN_CONVERT_TO_PEFT && to != HN_CONVERT_TO_MLX)
        return hn_fail(err, HONE_USAGE,
                       "%s is an adapter: --to mlx or --to peft says whose layout to write",
                       o->model);
    if (!o->output && to == HN_CONVERT_TO_MLX && !adapter)
        o->output = "mlx_model";
    if (!o->output)
        return hn_fail(err, HONE_USAGE, "--output is missing: the %s to write",
                       to == HN_CONVERT_TO_GGUF ? ".gguf file" : "folder");
    if (to == HN_CONVERT_TO_GGUF && !hn_ends_with(o->output, ".gguf"))
        return hn_fail(err, HONE_USAGE, "--output %s: a GGUF's name ends in .gguf", o->output);
    if (to != HN_CONVERT_TO_GGUF && hn_ends_with(o->output, ".gguf"))
        return hn_fail(err, HONE_USAGE, "--output %s is a .gguf file, but --to asks for a folder",
                       o->output);
    return 0;
}

static void print_report(const struct hone_convert_report *r, const char *output, double seconds,
                         struct hn_ui *ui)
{
    char a[HN_UI_TEXT], b[HN_UI_TEXT];
    hn_convert_print(r, "the source", 0, "", ui);
    hn_ui_say(ui, HN_GREEN, "wrote %s: %s of weights (the source has %s) in %.1f s", output,
              hn_ui_bytes(r->output_size, a), hn_ui_bytes(r->source_size, b), seconds);
}

static int print_json(const struct hone_convert_report *r, const char *output, double seconds,
                      struct hone_err *err)
{
    struct hn_buf out = {0};
    struct hn_json_writer w;
    hn_jw_init(&w, &out, -1);
    hn_jw_open(&w, '{');
    hn_jw_put_str(&w, "output", output);
    hn_convert_write(&w, r, NULL, seconds);
    hn_jw_close(&w, '}');
    return hn_cli_print_json(&out, err);
}

static int convert_model(struct hn_conf *c, enum hn_convert_to to, struct hn_ui *ui,
                         struct hone_err *err)
{
    struct hone_convert_options *o = &c->set.convert;
    struct hone_convert_report report = {0};
    double start = hn_now();
    hn_convert_settle(o, to, &c->set);
    hn_cli_catch_interrupts();
    int rc = hone_convert(o, hn_convert_progress, ui, &report, err);
    hn_ui_clear(ui);
    if (!rc && c->set.json)
        rc = print_json(&report, o->output, hn_now() - start, err);
    else if (!rc)
        print_report(&report, o->output, hn_now() - start, ui);
    hone_convert_report_release(&report);
    return rc;
}

int hn_cmd_convert(struct hn_conf *c, struct hone_err *err)
{
    struct hone_convert_options *o = &c->set.convert;
    const char *name = hn_cli_argument(c, c->set.model);
    char *path = NULL;
    struct hn_ui ui;
    hn_ui_init(&ui, c->set.json ? stderr : stdout);
    if (!name)
        return hn_fail(err, HONE_USAGE,
                       "--model is missing: a model's folder, a .gguf file, an adapter's folder or "
                       "ORG/NAME");
    int rc = hn_cli_locate(name, false, &path, err);
    if (rc)
        return rc;
    o->model = path;
    bool adapter = is_adapter(path);
    enum hn_convert_to to = format_of(c, adapter);
    rc = check(c, to, adapter, err);
    if (!rc && adapter) {
        rc = hone_convert_adapter(path, o->output,
                                  to == HN_CONVERT_TO_PEFT ? HONE_ADAPTER_PEFT : HONE_ADAPTER_MLX,
                                  o->overwrite, err);
        if (!rc)
            hn_ui_say(&ui, HN_GREEN, "wrote %s", o->output);
    } else if (!rc) {
        rc = convert_model(c, to, &ui, err);
    }
    hn_free(path);
    return rc;
}

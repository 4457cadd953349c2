/* hone fuse: settles what is fused with what and in which form it is written, and says what became
 * of the weights and what that cost. */
#include <string.h>
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/os.h"
#include "base/str.h"
#include "cli/accuracy.h"
#include "cli/convert_view.h"
#include "hone/fuse.h"

struct job {
    struct hn_conf *c;
    struct hn_ui ui;
    struct hone_model *model;
    char *base; /* its path */
    char *rows; /* to measure it with; NULL: the built-in texts */
    size_t n_fused;
    struct hone_convert_report report;
    struct hn_accuracy accuracy;
    char *gguf; /* of --export-gguf; NULL: none */
    double seconds;
};

/* Before the work: what cannot be read is not found out behind it. */
static int find_rows(struct job *job, struct hone_err *err)
{
    struct hn_settings *set = &job->c->set;
    if (!set->data || !set->fuse_measure)
        return 0;
    int rc = hn_cli_find_rows(set->data, &job->rows, err);
    set->data = job->rows;
    return rc;
}

/* --model may be the adapter's folder, as everywhere. */
static int settle_adapter(struct hn_conf *c, struct hone_err *err)
{
    static const char usual[] = "adapters";
    char *base = NULL;
    c->set.model = hn_cli_argument(c, c->set.model);
    if (c->set.adapter)
        return 0;
    bool itself = c->set.model && hone_adapter_base_model(c->set.model, &base, NULL) == 0;
    hone_free(base);
    c->set.adapter = itself ? c->set.model : usual;
    if (itself)
        c->set.model = NULL;
    else if (!hn_dir_exists(usual))
        return hn_fail(err, HONE_USAGE, "--adapter-path is missing, and there is no folder %s here",
                       usual);
    return 0;
}

static int open_model(struct job *job, struct hone_err *err)
{
    struct hone_model_info info;
    int rc = settle_adapter(job->c, err);
    rc = rc ? rc : hn_cli_open(job->c, &job->model, NULL, err);
    if (rc)
        return rc;
    hone_model_info(job->model, &info);
    job->base = hn_dup(info.path, strlen(info.path));
    return job->base ? 0 : hn_fail_memory(err, "fusing an adapter");
}

/* Where the output's name and --to do not say, the base does. */
static enum hn_convert_to settle_form(const struct hn_conf *c, const struct hone_model_info *base)
{
    const struct hone_convert_options *o = &c->set.convert;
    bool gguf = hn_starts_with(base->format, "GGUF"),
         plain = hn_starts_with(base->quantization, "none");
    if (c->set.convert_to != HN_CONVERT_TO_AUTO)
        return (enum hn_convert_to)c->set.convert_to;
    if (o->output ? hn_ends_with(o->output, ".gguf") : gguf && !o->dequantize && !c->set.fuse_gguf)
        return HN_CONVERT_TO_GGUF;
    if (o->type > HONE_TYPE_BF16)
        return HN_CONVERT_TO_GGUF;
    if (o->quantize || strcmp(base->format, "MLX") == 0 || (gguf && !plain && !o->dequantize))
        return HN_CONVERT_TO_MLX;
    return HN_CONVERT_TO_HF;
}

static int settle_output(struct job *job, struct hone_err *err)
{
    struct hn_settings *set = &job->c->set;
    struct hone_convert_options *o = &set->convert;
    struct hone_model_info info;
    hone_model_info(job->model, &info);
    enum hn_convert_to to = settle_form(job->c, &info);
    if (!o->output)
        o->output = to == HN_CONVERT_TO_GGUF ? "fused_model.gguf" : "fused_model";
    bool named = hn_ends_with(o->output, ".gguf");
    if (named != (to == HN_CONVERT_TO_GGUF))
        return hn_fail(err, HONE_USAGE, "--save-path %s: %s", o->output,
                       named ? "a .gguf file, but the output is to be a folder"
                             : "a GGUF's name ends in .gguf");
    if (set->fuse_gguf && named)
        return hn_fail(err, HONE_USAGE,
                       "--export-gguf writes a GGUF into the folder of --save-path, and that is "
                       "a .gguf file itself");
    if (to == HN_CONVERT_TO_GGUF && o->dequantize && o->type == HONE_TYPE_AUTO)
        o->type = HONE_TYPE_F16;
    hn_convert_settle(o, to, set);
    o->dequantize = o->dequantize && o->to == HONE_FORMAT_MLX;
    return 0;
}

static int export_gguf(struct job *job, struct hone_err *err)
{
    const struct hn_settings *set = &job->c->set;
    struct hone_convert_options o = {.to = HONE_FORMAT_GGUF,
                                     .type = HONE_TYPE_F16,
                                     .overwrite = set->convert.overwrite,
                                     .n_threads = set->device.n_threads};
    job->gguf = hn_path_join(set->convert.output, set->fuse_gguf_path);
    o.output = job->gguf;
    if (!job->gguf)
        return hn_fail_memory(err, "fusing an adapter");
    return hone_fuse(job->model, &o, hn_convert_progress, &job->ui, NULL, NULL, err);
}

static int fuse(struct job *job, struct hone_err *err)
{
    double start = hn_now();
    int rc = hone_fuse(job->model, &job->c->set.convert, hn_convert_progress, &job->ui,
                       &job->n_fused, &job->report, err);
    if (!rc && job->c->set.fuse_gguf)
        rc = export_gguf(job, err);
    job->seconds = hn_now() - start;
    hn_ui_clear(&job->ui);
    return rc;
}

static int measure(struct job *job, struct hone_err *err)
{
    const struct hn_settings *set = &job->c->set;
    hone_model_close(&job->model);
    int rc = hn_accuracy_measure(&job->accuracy, set, job->base, set->adapter, set->convert.output,
                                 &job->ui, err);
    return rc ? hn_fail_prefix(err, "%s was written, but could not be measured",
                               set->convert.output)
              : 0;
}

static void print_report(struct job *job)
{
    const struct hone_convert_report *r = &job->report;
    char a[HN_UI_TEXT], b[HN_UI_TEXT];
    struct hone_model_info info;
    hone_model_info(job->model, &info);
    hn_convert_print(r, "the base", job->n_fused,
                     info.adapter_rank ? "had an adapter" : "were trained", &job->ui);
    if (job->gguf)
        hn_ui_say(&job->ui, HN_GREEN, "wrote %s", job->gguf);
    hn_ui_say(&job->ui, HN_GREEN, "wrote %s: %s of weights (the base has %s) in %.1f s",
              job->c->set.convert.output, hn_ui_bytes(r->output_size, a),
              hn_ui_bytes(r->source_size, b), job->seconds);
}

static int print_json(const struct job *job, bool measured, struct hone_err *err)
{
    struct hn_buf out = {0};
    struct hn_json_writer w;
    hn_jw_init(&w, &out, -1);
    hn_jw_open(&w, '{');
    hn_jw_put_str(&w, "output", job->c->set.convert.output);
    hn_jw_put_str(&w, "base", job->base);
    hn_jw_put_str(&w, "adapter", job->c->set.adapter);
    hn_convert_write(&w, &job->report, &job->n_fused, job->seconds);
    if (measured) {
        hn_jw_key(&w, "accuracy");
        hn_accuracy_write(&job->accuracy, &w);
    }
    hn_jw_close(&w, '}');
    return hn_cli_print_json(&out, err);
}

int hn_cmd_fuse(struct hn_conf *c, struct hone_err *err)
{
    struct job job = {.c = c};
    hn_ui_init(&job.ui, c->set.json ? stderr : stdout);
    int rc = find_rows(&job, err);
    rc = rc ? rc : open_model(&job, err);
    rc = rc ? rc : settle_output(&job, err);
    hn_cli_catch_interrupts();
    rc = rc ? rc : fuse(&job, err);
    if (!rc && !c->set.json)
        print_report(&job);
    if (!rc && c->set.fuse_measure)
        rc = measure(&job, err);
    if (!rc && c->set.json)
        rc = print_json(&job, c->set.fuse_measure, err);
    else if (!rc && c->set.fuse_measure)
        hn_accuracy_print(&job.accuracy, job.report.quantized > 0, &job.ui);
    hn_accuracy_release(&job.accuracy);
    hone_convert_report_release(&job.report);
    hone_model_close(&job.model);
    hn_free(job.gguf);
    hn_free(job.rows);
    hn_free(job.base);
    return rc;
}

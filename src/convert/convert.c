/* The converter: opens the source, lists and plans its tensors, writes, and counts what was done.
 */
#include "hone/convert.h"
#include "base/err.h"
#include "base/mem.h"
#include "convert/convert_impl.h"
#include "convert/out_place.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const size_t max_memory = (size_t)1 << 30; /* of names, configs and notes */

void hone_convert_defaults(struct hone_convert_options *o)
{
    *o = (struct hone_convert_options){.to = HONE_FORMAT_MLX};
}

void hone_convert_report_release(struct hone_convert_report *r)
{
    for (size_t i = 0; i < r->n_notes; i++)
        hn_free(r->notes[i]);
    hn_free(r->notes);
    *r = (struct hone_convert_report){0};
}

enum hone_model_format hn_convert_kind(const struct hn_bundle *b)
{
    struct hn_bundle_info info;
    hn_bundle_info(b, &info);
    return info.kind == HN_BUNDLE_GGUF  ? HONE_FORMAT_GGUF
           : info.kind == HN_BUNDLE_MLX ? HONE_FORMAT_MLX
                                        : HONE_FORMAT_HF;
}

int hn_converter_note(struct hn_converter *c, const char *fmt, ...)
{
    struct hone_convert_report *r = &c->report;
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    char **notes = hn_realloc(r->notes, r->n_notes + 1, sizeof *notes);
    if (!notes)
        return hn_fail_memory(c->err, "converting a model");
    r->notes = notes;
    size_t n = strlen(text) + 1;
    notes[r->n_notes] = hn_calloc(n, 1);
    if (!notes[r->n_notes])
        return hn_fail_memory(c->err, "converting a model");
    memcpy(notes[r->n_notes++], text, n);
    return 0;
}

static int usage(struct hone_err *err, const char *what)
{
    return hn_fail(err, HONE_USAGE, "%s", what);
}

static int check_options(const struct hone_convert_options *o, struct hone_err *err)
{
    int64_t bits = o->q_bits, group = o->q_group_size;
    if (o->quantize && o->dequantize)
        return usage(err, "--quantize and --dequantize exclude each other");
    if (bits && (bits < 2 || bits > 8 || bits == 7))
        return hn_fail(err, HONE_USAGE, "--q-bits is %lld, expected 2, 3, 4, 5, 6 or 8",
                       (long long)bits);
    if (group && group != 32 && group != 64 && group != 128)
        return hn_fail(err, HONE_USAGE, "--q-group-size is %lld, expected 32, 64 or 128",
                       (long long)group);
    if (o->to != HONE_FORMAT_MLX && (o->quantize || bits || group))
        return usage(err, o->to == HONE_FORMAT_GGUF
                              ? "--quantize and --q-bits are MLX's; a GGUF's type is --type"
                              : "a Hugging Face directory is written in floats; --quantize is for "
                                "--to mlx");
    if (!o->quantize && (bits || group))
        return usage(err, "--q-bits and --q-group-size need --quantize");
    if (o->to != HONE_FORMAT_GGUF && o->type > HONE_TYPE_BF16)
        return usage(err, "--type q4_0 to q8_0 are GGUF's; a directory takes f32, f16 or bf16");
    return 0;
}

static bool narrows(const struct hn_tensor *t)
{
    enum hn_dtype from, to;
    if (t->way != HN_WAY_ENCODE || !hn_layout_plain(t->to.layout, &to) || to == HN_F32)
        return false;
    return !hn_layout_plain(t->from.layout, &from) || from != to;
}

/* What happened to the matrices; after they were written. */
static void count(struct hn_converter *c)
{
    struct hone_convert_report *r = &c->report;
    for (size_t i = 0; i < c->n; i++) {
        const struct hn_tensor *t = &c->tensors[i];
        enum hn_dtype plain;
        if (!t->is_matrix)
            continue;
        r->matrices++;
        if (t->way == HN_WAY_TRANSCODE && t->n_inexact)
            r->rounded++;
        else if (t->way == HN_WAY_ENCODE && !hn_layout_plain(t->to.layout, &plain))
            r->quantized++;
        else if (narrows(t))
            r->narrowed++;
        else if (!t->patched)
            r->kept++;
    }
}

/* The storage of most weights, and how many there are. */
static void describe(struct hn_converter *c)
{
    struct hone_convert_report *r = &c->report;
    int64_t most = 0;
    uint64_t bytes = 0;
    for (size_t i = 0; i < c->n; i++) {
        const struct hn_tensor *t = &c->tensors[i];
        enum hn_dtype plain;
        int64_t same = 0;
        for (size_t k = 0; k < c->n && t->is_matrix; k++)
            if (c->tensors[k].is_matrix && hn_storage_same(&t->to, &c->tensors[k].to))
                same += c->tensors[k].from.rows * c->tensors[k].from.cols;
        bytes += hn_tensor_size(t) + 2 * hn_tensor_scales_size(t);
        if (same <= most)
            continue;
        char name[48];
        most = same;
        snprintf(r->storage, sizeof r->storage, "%s",
                 hn_layout_plain(t->to.layout, &plain) ? hn_dtype_torch_name(plain)
                                                       : hn_storage_name(&t->to, name));
    }
    r->parameters = c->total;
    r->bits_per_weight = c->total ? 8.0 * (double)bytes / (double)c->total : 0;
}

static int read_source(struct hn_converter *c)
{
    struct hn_bundle_info info;
    int rc = hn_bundle_open(&c->bundle, c->o->model, c->err);
    if (rc)
        return rc;
    hn_bundle_info(c->bundle, &info);
    c->report.source_size = (uint64_t)info.file_bytes;
    rc = hn_spec_read(hn_bundle_config(c->bundle), &c->spec, c->err);
    return rc ? hn_fail_prefix(c->err, "%s", c->o->model) : 0;
}

static int write_output(struct hn_converter *c)
{
    bool dir = c->o->to != HONE_FORMAT_GGUF;
    struct hn_out_place place;
    int rc = hn_out_place_open(&place, c->o->output, dir, "config.json", c->o->model,
                               c->o->overwrite, c->err);
    if (rc)
        return rc;
    rc = dir ? hn_converter_write_dir(c, place.temp) : hn_converter_write_gguf(c, place.path);
    rc = rc ? rc : hn_out_place_commit(&place, c->err);
    hn_out_place_close(&place);
    return rc;
}

int hn_convert_run(const struct hone_convert_options *o, const struct hn_convert_patch *patch,
                   hone_convert_fn *on_progress, void *arg, struct hone_convert_report *report,
                   struct hone_err *err)
{
    struct hn_converter c = {
        .o = o, .patch = patch, .on_progress = on_progress, .arg = arg, .err = err};
    hn_arena_init(&c.arena, max_memory);
    int rc = check_options(o, err);
    rc = rc ? rc : read_source(&c);
    rc = rc ? rc : hn_converter_list(&c);
    rc = rc ? rc : hn_converter_plan(&c);
    rc = rc ? rc : hn_pool_open(&c.pool, o->n_threads, err);
    if (!rc)
        describe(&c);
    rc = rc ? rc : write_output(&c);
    if (!rc)
        count(&c);
    hn_pool_close(&c.pool);
    hn_bundle_close(&c.bundle);
    hn_arena_release(&c.arena);
    if (!rc && report)
        *report = c.report;
    else
        hone_convert_report_release(&c.report);
    return rc;
}

int hone_convert(const struct hone_convert_options *o, hone_convert_fn *on_progress, void *arg,
                 struct hone_convert_report *report, struct hone_err *err)
{
    return hn_convert_run(o, NULL, on_progress, arg, report, err);
}

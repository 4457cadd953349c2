#include "cli/convert_view.h"

void hn_convert_settle(struct hone_convert_options *o, enum hn_convert_to to,
                       const struct hn_settings *set)
{
    o->to = to == HN_CONVERT_TO_GGUF ? HONE_FORMAT_GGUF
            : to == HN_CONVERT_TO_HF ? HONE_FORMAT_HF
                                     : HONE_FORMAT_MLX;
    o->n_threads = set->device.n_threads;
}

int hn_convert_progress(void *arg, const struct hone_convert_progress *p)
{
    hn_ui_progress(arg, p->total ? (double)p->done / (double)p->total : 0, false, "%s", p->tensor);
    return hn_cli_interrupted();
}

void hn_convert_print(const struct hone_convert_report *r, const char *source, size_t fused,
                      const char *what, struct hn_ui *ui)
{
    char exact[64];
    struct hn_table t;
    snprintf(exact, sizeof exact, "have %s's values", source);
    const struct {
        const char *name;
        uint64_t n;
        const char *what;
    } counts[] = {{"fused", fused, what},
                  {"exact", r->kept, exact},
                  {"rounded", r->rounded, "kept their codes; some scales were rounded"},
                  {"quantised", r->quantized, "were quantised"},
                  {"narrowed", r->narrowed, "were rounded to a narrower float type"}};
    hn_table_init(&t, 2, 0);
    hn_table_add(&t, "weights");
    hn_table_add(&t, "%s, %.3f bits per weight", r->storage, r->bits_per_weight);
    for (size_t i = 0; i < HN_COUNT(counts); i++) {
        if (!counts[i].n)
            continue;
        hn_table_add(&t, "%s", counts[i].name);
        hn_table_add(&t, "%llu of %llu matrices %s", (unsigned long long)counts[i].n,
                     (unsigned long long)r->matrices, counts[i].what);
    }
    hn_table_print(&t, ui, false);
    for (size_t i = 0; i < r->n_notes; i++)
        hn_ui_say(ui, HN_YELLOW, "  %s", r->notes[i]);
}

void hn_convert_write(struct hn_json_writer *w, const struct hone_convert_report *r,
                      const size_t *fused, double seconds)
{
    hn_jw_put_str(w, "storage", r->storage);
    hn_jw_put_double(w, "bits_per_weight", r->bits_per_weight);
    hn_jw_put_int(w, "parameters", (int64_t)r->parameters);
    hn_jw_put_int(w, "source_bytes", (int64_t)r->source_size);
    hn_jw_put_int(w, "output_bytes", (int64_t)r->output_size);
    hn_jw_put_int(w, "matrices", (int64_t)r->matrices);
    if (fused)
        hn_jw_put_int(w, "fused", (int64_t)*fused);
    hn_jw_put_int(w, "exact", (int64_t)r->kept);
    hn_jw_put_int(w, "rounded", (int64_t)r->rounded);
    hn_jw_put_int(w, "quantized", (int64_t)r->quantized);
    hn_jw_put_int(w, "narrowed", (int64_t)r->narrowed);
    hn_jw_put_double(w, "seconds", seconds);
    hn_jw_put_open(w, "notes", '[');
    for (size_t i = 0; i < r->n_notes; i++)
        hn_jw_str(w, r->notes[i]);
    hn_jw_close(w, ']');
}

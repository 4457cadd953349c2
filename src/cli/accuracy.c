#include "cli/accuracy.h"

#include <unistd.h>
#include "base/file.h"
#include "cli/child.h"
#include "cli/cli.h"
#include "cli/compare_texts.h"

static const char *const names[] = {"base", "with the adapter", "fused"};

struct task {
    struct hn_ui *ui;
    size_t side;
};

static int on_progress(void *arg, double fraction, const char *what)
{
    const struct task *t = arg;
    hn_ui_progress(t->ui, ((double)t->side + fraction) / HN_ACCURACY_SIDES, false, "%s: %s",
                   names[t->side], what);
    return hn_cli_interrupted();
}

static int measure_side(struct hn_accuracy *a, const struct hn_settings *set, struct task *task,
                        const char *model_path, const char *adapter, const char *logits,
                        struct hone_err *err)
{
    struct hn_conf c = {.set = {.model = model_path, .adapter = adapter, .device = set->device}};
    c.set.device.kv_type = HONE_KV_F32; /* differences of rounding are what is measured */
    struct hone_compare_options o = {.data = set->data,
                                     .rows = set->test.data,
                                     .limit = set->compare.limit,
                                     .agreement_tokens = set->compare.agreement_tokens,
                                     .logits_path = logits};
    struct hone_model *model = NULL;
    struct hone_tokenizer *tok = NULL;
    if (!set->data) {
        o.texts = hn_compare_texts;
        o.n_texts = hn_n_compare_texts;
    }
    int rc = hn_cli_open(&c, &model, &tok, err);
    if (!rc)
        rc = hone_compare_measure(model, tok, &o, on_progress, task, &a->sides[task->side], err);
    hone_tokenizer_close(&tok);
    hone_model_close(&model);
    return rc;
}

int hn_accuracy_measure(struct hn_accuracy *a, const struct hn_settings *set, const char *base,
                        const char *adapter, const char *fused, struct hn_ui *ui,
                        struct hone_err *err)
{
    const char *const models[] = {base, base, fused}, *const adapters[] = {NULL, adapter, NULL};
    int fds[HN_ACCURACY_SIDES] = {-1, -1, -1}, rc = 0;
    char paths[HN_ACCURACY_SIDES][32];
    *a = (struct hn_accuracy){.data = set->data};
    for (size_t i = 0; i < HN_ACCURACY_SIDES && !rc; i++) {
        struct task task = {ui, i};
        fds[i] = hn_temp_file(err);
        if (fds[i] < 0) {
            rc = HONE_FAILED;
            break;
        }
        hn_fd_path(fds[i], paths[i]);
        rc = measure_side(a, set, &task, models[i], adapters[i], paths[i], err);
    }
    hn_ui_clear(ui);
    for (size_t i = 0; i < HN_ACCURACY_SIDES && !rc; i++)
        rc = hone_compare_agree(&a->sides[HN_TUNED], paths[HN_TUNED], &a->sides[i], paths[i],
                                &a->beside[i], err);
    for (size_t i = 0; i < HN_ACCURACY_SIDES; i++)
        if (fds[i] >= 0)
            close(fds[i]);
    return rc;
}

void hn_accuracy_release(struct hn_accuracy *a)
{
    for (size_t i = 0; i < HN_ACCURACY_SIDES; i++)
        hone_compare_side_release(&a->sides[i]);
}

/* -------------------------------------------------------------------------------------------- */

static const struct figure {
    const char *name, *key;
} figures[] = {
    {"loss", "loss"},  {"perplexity", "perplexity"}, {"same likeliest token", "top1"},
    {"mean KL", "kl"}, {"largest KL", "kl_max"},
};

static double value(const struct hn_accuracy *a, size_t side, size_t figure)
{
    const struct hone_compare_side *s = &a->sides[side];
    const struct hone_agreement *g = &a->beside[side];
    const double values[] = {s->loss, s->perplexity, g->top1, g->kl_ab, g->kl_max};
    return values[figure];
}

static void add_cell(struct hn_table *t, size_t figure, double v)
{
    switch (figure) {
    case 0:
        hn_table_add(t, "%.4f", v);
        break;
    case 1:
        hn_table_add(t, "%.3f", v);
        break;
    case 2:
        hn_table_add(t, "%.1f %%", 100 * v);
        break;
    default:
        hn_table_add(t, "%.2g", v);
    }
}

void hn_accuracy_print(const struct hn_accuracy *a, bool quantized, struct hn_ui *ui)
{
    const struct hone_compare_side *tuned = &a->sides[HN_TUNED];
    double lost = a->beside[HN_FUSED].kl_ab, changed = a->beside[HN_UNTUNED].kl_ab;
    struct hn_table t;
    hn_ui_say(ui, HN_PLAIN, " ");
    hn_table_init(&t, 1 + HN_ACCURACY_SIDES, 0xfe);
    hn_table_add(&t, " ");
    for (size_t i = 0; i < HN_ACCURACY_SIDES; i++)
        hn_table_add(&t, "%s", names[i]);
    for (size_t f = 0; f < HN_COUNT(figures); f++) {
        hn_table_add(&t, "%s", figures[f].name);
        for (size_t i = 0; i < HN_ACCURACY_SIDES; i++)
            add_cell(&t, f, value(a, i, f));
    }
    hn_table_print(&t, ui, true);
    hn_ui_say(ui, HN_DIM,
              "  loss over %lld tokens of %zu rows of %s, distributions at %lld of them",
              (long long)tuned->loss_tokens, tuned->n_rows,
              a->data ? hn_path_name(a->data) : "the built-in texts",
              (long long)a->beside[HN_FUSED].positions);
    if (quantized && lost > 0.1 * changed)
        hn_ui_say(ui, HN_YELLOW,
                  "  Quantising again moved the distributions by %.0f %% of what the adapter did "
                  "(mean KL); --dequantize avoids it.",
                  100 * lost / changed);
}

void hn_accuracy_write(const struct hn_accuracy *a, struct hn_json_writer *w)
{
    static const char *const keys[] = {"base", "adapter", "fused"};
    const struct hone_compare_side *tuned = &a->sides[HN_TUNED];
    hn_jw_open(w, '{');
    hn_jw_put_str(w, "data", a->data);
    hn_jw_put_int(w, "rows", (int64_t)tuned->n_rows);
    hn_jw_put_int(w, "tokens", tuned->loss_tokens);
    hn_jw_put_int(w, "positions", a->beside[HN_FUSED].positions);
    for (size_t i = 0; i < HN_ACCURACY_SIDES; i++) {
        hn_jw_put_open(w, keys[i], '{');
        for (size_t f = 0; f < HN_COUNT(figures); f++)
            hn_jw_put_double(w, figures[f].key, value(a, i, f));
        hn_jw_close(w, '}');
    }
    hn_jw_close(w, '}');
}

/* hone bench: tokens per second beside what this machine could do at most. */
#include "base/err.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "hone/bench.h"

static int on_note(void *arg, const char *text)
{
    struct hn_ui *ui = arg;
    hn_ui_progress(ui, 0, true, "%s", text);
    return hn_cli_interrupted();
}

static const char *const class_names[] = {
    [HONE_EXACT] = "exact", [HONE_BF16] = "bf16", [HONE_INT8] = "int8"};

static void put_classes(struct hn_json_writer *w, const struct hone_bench_result *r)
{
    hn_jw_put_open(w, "classes", '[');
    for (size_t i = 0; i < r->n_classes; i++) {
        const struct hone_bench_class *c = &r->classes[i];
        hn_jw_open(w, '{');
        hn_jw_put_str(w, "compute", class_names[c->compute]);
        hn_jw_put_double(w, "prefill_tokens_per_second", c->prefill);
        hn_jw_put_double(w, "decode_tokens_per_second", c->decode);
        hn_jw_put_int(w, "positions", c->positions);
        hn_jw_put_double(w, "mean_kl_to_float32", c->mean_kl);
        hn_jw_put_double(w, "same_likeliest_token", c->same_top);
        hn_jw_close(w, '}');
    }
    hn_jw_close(w, ']');
}

static int print_json(const char *model, const struct hone_bench_result *r, struct hone_err *err)
{
    struct hn_buf out = {0};
    struct hn_json_writer w;
    hn_jw_init(&w, &out, -1);
    hn_jw_open(&w, '{');
    hn_jw_put_str(&w, "model", model);
    hn_jw_put_double(&w, "bytes_per_second_limit", r->limits.bytes_per_second);
    hn_jw_put_double(&w, "flops_per_second_limit", r->limits.flops_per_second);
    hn_jw_put_open(&w, "measurements", '[');
    for (size_t i = 0; i < r->n_rows; i++) {
        const struct hone_bench_row *row = &r->rows[i];
        hn_jw_open(&w, '{');
        hn_jw_put_str(&w, "name", row->name);
        hn_jw_put_int(&w, "sequences", row->sequences);
        hn_jw_put_double(&w, "tokens_per_second", row->tokens_per_second);
        hn_jw_put_double(&w, "median_tokens_per_second", row->median);
        hn_jw_put_double(&w, "bytes_per_token", row->bytes_per_token);
        hn_jw_put_double(&w, "flops_per_token", row->flops_per_token);
        hn_jw_put_str(&w, "limit", row->limit);
        hn_jw_put_double(&w, "fraction_of_limit", row->fraction);
        hn_jw_put_double(&w, "one_thread_fraction", row->alone);
        hn_jw_put_int(&w, "peak_memory_bytes", (int64_t)row->peak_memory);
        hn_jw_close(&w, '}');
    }
    hn_jw_close(&w, ']');
    put_classes(&w, r);
    hn_jw_put_double(&w, "first_token_seconds", r->first_token_seconds);
    hn_jw_put_int(&w, "first_token_prompt", r->first_token_prompt);
    hn_jw_close(&w, '}');
    return hn_cli_print_json(&out, err);
}

static void print_classes(const struct hone_bench_result *r, struct hn_ui *ui)
{
    struct hn_table t;
    if (r->classes[0].positions > 0)
        hn_ui_say(ui, HN_PLAIN,
                  "Classes of arithmetic; likelihoods beside float32's on %lld tokens of English, "
                  "eight sequences at once:",
                  (long long)r->classes[0].positions);
    hn_table_init(&t, 5, 0x1e);
    hn_table_add(&t, "--compute");
    hn_table_add(&t, "prefill");
    hn_table_add(&t, "decode");
    hn_table_add(&t, "mean KL");
    hn_table_add(&t, "same likeliest token");
    for (size_t i = 0; i < r->n_classes; i++) {
        const struct hone_bench_class *c = &r->classes[i];
        hn_table_add(&t, "%s", class_names[c->compute]);
        hn_table_add(&t, "%.1f tok/s", c->prefill);
        hn_table_add(&t, "%.1f tok/s", c->decode);
        hn_table_add(&t, c->positions ? "%.1e" : "", c->mean_kl);
        hn_table_add(&t, c->positions ? "%.1f %%" : "", 100 * c->same_top);
    }
    hn_table_print(&t, ui, true);
}

static void print_table(const struct hone_bench_result *r, struct hn_ui *ui)
{
    char memory[HN_UI_TEXT];
    struct hn_table t;
    hn_ui_say(ui, HN_PLAIN, "This machine: %.1f GB/s of memory reads, %.1f GFLOP/s of float32",
              r->limits.bytes_per_second / 1e9, r->limits.flops_per_second / 1e9);
    hn_table_init(&t, 7, 0x76);
    hn_table_add(&t, " ");
    hn_table_add(&t, "tokens/s");
    hn_table_add(&t, "median");
    hn_table_add(&t, "limit");
    hn_table_add(&t, "reached");
    hn_table_add(&t, "one thread");
    hn_table_add(&t, "peak memory");
    for (size_t i = 0; i < r->n_rows; i++) {
        const struct hone_bench_row *row = &r->rows[i];
        hn_table_add(&t, "%s", row->name);
        hn_table_add(&t, "%.1f", row->tokens_per_second);
        hn_table_add(&t, "%.1f", row->median);
        hn_table_add(&t, "%s", row->limit);
        hn_table_add(&t, "%.1f %%", 100 * row->fraction);
        hn_table_add(&t, "%.1f %%", 100 * row->alone);
        hn_table_add(&t, "%s", hn_ui_bytes(row->peak_memory, memory));
    }
    hn_table_print(&t, ui, true);
    hn_ui_say(ui, HN_PLAIN,
              "First token after %.2f s from the start: opening, and %lld tokens read",
              r->first_token_seconds, (long long)r->first_token_prompt);
    if (r->n_classes)
        print_classes(r, ui);
}

int hn_cmd_bench(struct hn_conf *c, struct hone_err *err)
{
    struct hone_bench_options o = c->set.bench;
    struct hone_bench_result result = {0};
    struct hn_ui ui;
    char *path = NULL;
    const char *name = hn_cli_argument(c, c->set.model);
    if (!name)
        return hn_fail(err, HONE_USAGE, "--model is missing: which model should be measured?");
    hn_ui_init(&ui, c->set.json ? stderr : stdout);
    o.device = c->set.device;
    o.train = c->set.train;
    o.train.device = o.device;
    int rc = hn_cli_locate(name, false, &path, err);
    hn_cli_catch_interrupts();
    if (!rc)
        rc = hone_bench(path, &o, on_note, &ui, &result, err);
    hn_ui_clear(&ui);
    if (!rc && c->set.json)
        rc = print_json(name, &result, err);
    else if (!rc)
        print_table(&result, &ui);
    hn_free(path);
    return rc;
}

/* hone train (hone lora): what is shown before, during and after a run.  On a terminal a line of
 * progress; through a pipe the classic lines of mlx_lm up to 0.31.3, which scripts read. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/os.h"
#include "cli/cli.h"
#include "cli/run_report.h"
#include "cli/slow.h"
#include "conf/config_file.h"
#include "hone/convert.h"
#include "hone/fuse.h"
#include "hone/test.h"
#include "hone/train.h"

struct view {
    struct hn_slow slow;
    struct hn_ui ui;
    const struct hn_conf *c;
    struct hn_run_report report;
    double loss; /* smoothed, for the line of progress */
    double last_val;
    bool started;
};

static void show_data(struct view *v, const char *what, const struct hone_dataset_info *d)
{
    char rows[HN_UI_TEXT], tokens[HN_UI_TEXT], trained[HN_UI_TEXT];
    hn_ui_say(&v->ui, HN_PLAIN, "%-12s %s row%s, %s tokens (%s with loss), longest row %llu%s",
              what, hn_ui_count(d->rows, rows), d->rows == 1 ? "" : "s",
              hn_ui_count(d->tokens, tokens), hn_ui_count(d->trained_tokens, trained),
              (unsigned long long)d->max_tokens, d->rows == 0 ? ": nothing to measure" : "");
    const struct {
        uint64_t n;
        const char *what;
    } findings[] = {{d->empty, "empty rows left out"},
                    {d->truncated, "rows cut at the maximum length"},
                    {d->cut_answers, "of them in their answer, whose end is not learnt"},
                    {d->double_bos, "rows with the begin token twice"},
                    {d->duplicates, "rows that were met before, kept"},
                    {d->unlabelled, "rows without a token to train, left out"}};
    for (size_t i = 0; i < HN_COUNT(findings); i++) {
        if (findings[i].n)
            hn_ui_say(&v->ui, HN_YELLOW, "%-12s %s %s", "", hn_ui_count(findings[i].n, rows),
                      findings[i].what);
    }
    for (size_t i = 0; i < d->n_notes && i < 8; i++)
        hn_ui_say(&v->ui, HN_DIM, "%-12s %s", "", d->notes[i]);
}

static void show_plan(struct view *v, const struct hone_train_event *e)
{
    const struct hone_model_info *m = e->model;
    char count[HN_UI_TEXT], machine[HN_UI_TEXT], weights[HN_UI_WEIGHTS];
    hn_ui_say(&v->ui, HN_PLAIN, "%-12s %s (%s, %s, %s parameters)", "model", m->path, m->family,
              hn_ui_weights(m->quantization, weights),
              hn_ui_short((uint64_t)m->n_parameters, count));
    hn_ui_say(&v->ui, HN_PLAIN, "%-12s %s", "device", m->device);
    show_data(v, "training", e->train_data);
    if (e->valid_data)
        show_data(v, "validation", e->valid_data);
    hn_ui_say(&v->ui, HN_PLAIN, "Trainable parameters: %.3f%% (%.3fM/%.3fM)",
              100.0 * (double)e->trainable_parameters / (double)m->n_parameters,
              (double)e->trainable_parameters / 1e6, (double)m->n_parameters / 1e6);
    hn_ui_plan(&v->ui, e->plan, "Memory plan");
    hn_ui_say(&v->ui, HN_DIM, "  of %s that this machine has",
              hn_ui_bytes(hn_memory_total(), machine));
    if (e->step > 0)
        hn_ui_say(&v->ui, HN_PLAIN, "Going on after step %lld of %lld", (long long)e->step,
                  (long long)e->total_steps);
    hn_ui_say(&v->ui, HN_BOLD, "Starting training..., iters: %lld", (long long)e->total_iters);
    v->started = true;
}

static void show_progress(struct view *v, const struct hone_train_event *e)
{
    char memory[HN_UI_TEXT], left[HN_UI_TEXT], val[HN_UI_TEXT] = "";
    if (!v->ui.terminal)
        return;
    int64_t step = HN_MIN(e->step + 1, e->total_steps); /* the one that the micro-batch was of */
    v->loss = v->loss > 0 ? 0.9 * v->loss + 0.1 * e->loss : e->loss;
    if (v->last_val > 0)
        snprintf(val, sizeof val, " · val %.3f", v->last_val);
    hn_ui_progress(&v->ui, (double)e->iter / (double)HN_MAX(e->total_iters, (int64_t)1), false,
                   "step %lld/%lld · loss %.3f%s · %.0f tok/s · %s · %s left", (long long)step,
                   (long long)e->total_steps, v->loss, val, e->tokens_per_second,
                   hn_ui_bytes(e->peak_memory, memory), hn_ui_time(e->seconds_left, left));
}

static void show_report(struct view *v, const struct hone_train_event *e)
{
    double iters_per_second = e->steps_per_second * (double)v->c->set.train.grad_accumulation_steps;
    hn_ui_say(&v->ui, HN_PLAIN,
              "Iter %lld: Train loss %.3f, Learning Rate %.3e, It/sec %.3f, Tokens/sec %.3f, "
              "Trained Tokens %lld, Peak mem %.3f GB",
              (long long)e->iter, e->loss, e->learning_rate, iters_per_second, e->tokens_per_second,
              (long long)e->tokens, (double)e->peak_memory / 1e9);
}

/* On a terminal the report is shorter: the line of progress has the rest. */
static void show_short_report(struct view *v, const struct hone_train_event *e)
{
    hn_ui_say(&v->ui, HN_PLAIN, "  step %5lld   epoch %5.2f   loss %7.4f   norm %7.3f   lr %.2e",
              (long long)e->step, e->epoch, e->loss, e->grad_norm, e->learning_rate);
}

/* What bounds a run that is slower than it could be. */
static void show_bound(struct view *v)
{
    struct hn_buf text = {0};
    const struct hone_device_options *d = &v->c->set.device;
    hn_slow_look(&v->slow, d->n_threads, d->cpu_level, &text);
    if (text.len)
        hn_ui_say(&v->ui, HN_YELLOW, "note: %s", hn_buf_str(&text));
    hn_buf_release(&text);
}

static void show_done(struct view *v, const struct hone_train_event *e)
{
    char seconds[HN_UI_TEXT], tokens[HN_UI_TEXT], memory[HN_UI_TEXT];
    hn_ui_say(&v->ui, HN_PLAIN, "Saved final weights to %s/adapters.safetensors.", e->text);
    hn_ui_say(&v->ui, HN_GREEN, "%lld steps, %s tokens in %s, %.0f tokens/s, peak memory %s",
              (long long)e->step, hn_ui_count((uint64_t)e->tokens, tokens),
              hn_ui_time(e->seconds, seconds), e->seconds > 0 ? (double)e->tokens / e->seconds : 0,
              hn_ui_bytes(e->peak_memory, memory));
}

static int on_event(void *arg, const struct hone_train_event *e)
{
    struct view *v = arg;
    hn_run_report_event(&v->report, e);
    switch (e->kind) {
    case HONE_TRAIN_PLAN:
        show_plan(v, e);
        break;
    case HONE_TRAIN_SAMPLE:
        break;
    case HONE_TRAIN_PROGRESS:
        show_progress(v, e);
        break;
    case HONE_TRAIN_REPORT:
        (v->ui.terminal ? show_short_report : show_report)(v, e);
        show_bound(v);
        break;
    case HONE_TRAIN_EVAL:
        v->last_val = e->val_loss;
        hn_ui_say(&v->ui, e->best ? HN_GREEN : HN_PLAIN, "Iter %lld: Val loss %.3f, Val took %.3fs",
                  (long long)e->iter, e->val_loss, e->val_seconds);
        break;
    case HONE_TRAIN_SAVED:
        hn_ui_say(&v->ui, HN_DIM, "Iter %lld: Saved adapter weights to %s.", (long long)e->iter,
                  e->text);
        break;
    case HONE_TRAIN_NOTE:
        hn_ui_say(&v->ui, HN_YELLOW, "note: %s", e->text);
        break;
    case HONE_TRAIN_DONE:
        show_done(v, e);
        break;
    }
    return hn_cli_interrupted();
}

/* What can be said without opening anything. */
static int check(const struct hn_conf *c, struct hone_err *err)
{
    const struct hone_train_options *t = &c->set.train;
    if (!c->set.model)
        return hn_fail(err, HONE_USAGE,
                       "--model is missing: a model's folder, a .gguf file or ORG/NAME");
    if (!t->data)
        return hn_fail(err, HONE_USAGE,
                       "--data is missing: a folder with train.jsonl, or one file of rows");
    int found = hn_dir_exists(t->data) ? 1 : hn_file_find(t->data, err);
    if (found < 0)
        return hn_fail_prefix(err, "--data");
    if (!found)
        return hn_fail(
            err, HONE_FAILED,
            "--data %s: there is no such folder or file here (a data set of a hub has to "
            "be written to a .jsonl file first)",
            t->data);
    if (!t->adapter_path)
        return hn_fail(err, HONE_USAGE, "--adapter-path is empty: the adapter has to go somewhere");
    return 0;
}

static void note_differences(struct view *v)
{
    struct hn_buf text = {0};
    hn_conf_mlx_differences(v->c, &text);
    if (text.len)
        hn_ui_say(&v->ui, HN_DIM,
                  "Defaults that are not mlx_lm.lora's: %s; --preset mlx-lm takes all",
                  hn_buf_str(&text));
    hn_buf_release(&text);
}

/* Who asks for 16 bits as transformers' arguments do gets more exact numbers, and hears why. */
static void note_precision(struct view *v)
{
    if (v->c->set.narrow && v->c->set.device.compute == HONE_EXACT)
        hn_ui_say(&v->ui, HN_YELLOW,
                  "note: bf16 and fp16 change nothing: hone computes as exactly as float32, "
                  "whatever the weights are stored in; --compute bf16 asks for products of 16 "
                  "bits, where the processor has them");
}

static int run(struct view *v, struct hone_err *err)
{
    struct hn_buf yaml = {0};
    char *path = NULL;
    struct hone_train_options options = v->c->set.train;
    hn_config_write(v->c, &yaml);
    int rc = hn_cli_locate(v->c->set.model, false, &path, err);
    if (!rc && yaml.failed)
        rc = hn_fail_memory(err, "writing the settings");
    if (!rc) {
        options.model = path;
        if (v->c->mlx_only && v->c->called && strcmp(v->c->called, "lora") == 0)
            note_differences(v);
        note_precision(v);
        hn_cli_catch_interrupts();
        hn_cli_catch_broken_pipe();
        hn_run_report_init(&v->report, v->c, &v->ui);
        rc = hone_train(&options, hn_buf_str(&yaml), on_event, v, err);
        hn_ui_clear(&v->ui);
        hn_run_report_end(&v->report, rc, err->message);
        hn_run_report_release(&v->report);
    }
    if (rc == HONE_INTERRUPTED)
        hn_ui_say(&v->ui, HN_PLAIN, "Go on with: hone train --config %s/train.yaml --resume",
                  options.adapter_path);
    hn_free(path);
    hn_buf_release(&yaml);
    return rc;
}

static int on_convert(void *arg, const struct hone_convert_progress *p)
{
    hn_ui_progress(arg, p->total ? (double)p->done / (double)p->total : 0, false, "%s", p->tensor);
    return hn_cli_interrupted();
}

/* Full fine-tuning ends with a model that needs no base: a Hugging Face folder. */
static int write_model(struct view *v, struct hone_err *err)
{
    const struct hone_train_options *t = &v->c->set.train;
    struct hone_model *model = NULL;
    char *path = hn_path_join(t->adapter_path, "model");
    struct hone_convert_options o;
    hone_convert_defaults(&o);
    o.output = path;
    o.to = HONE_FORMAT_HF;
    o.overwrite = true;
    o.n_threads = v->c->set.device.n_threads;
    int rc = path ? hone_model_open(&model, t->adapter_path, &v->c->set.device, err)
                  : hn_fail_memory(err, "writing the model");
    if (!rc)
        rc = hone_fuse(model, &o, on_convert, &v->ui, NULL, NULL, err);
    hn_ui_clear(&v->ui);
    if (!rc)
        hn_ui_say(&v->ui, HN_GREEN, "Saved the whole model, which needs no base, to %s.", path);
    hone_model_close(&model);
    hn_free(path);
    return rc;
}

/* mlx_lm's --test: the loss on test.jsonl beside the training data, with the adapter. */
static int test(struct view *v, struct hone_err *err)
{
    const struct hone_train_options *t = &v->c->set.train;
    struct hn_conf with = *v->c; /* the same settings, with the trained adapter to apply */
    struct hone_model *model = NULL;
    struct hone_tokenizer *tok = NULL;
    struct hone_test_options o = v->c->set.test;
    struct hone_test_summary sum = {0};
    char *data = NULL;
    int rc = hn_dir_exists(t->data)
                 ? hone_data_find(t->data, "test", &data, err)
                 : hn_fail(err, HONE_USAGE,
                           "--test wants test.jsonl in the --data folder; use hone test for a "
                           "file");
    with.set.adapter = t->adapter_path;
    rc = rc ? rc : hn_cli_open(&with, &model, &tok, err);
    if (!rc) {
        o.data = (struct hone_dataset_options){.tokenizer = tok,
                                               .format = t->format,
                                               .max_seq_length = t->max_seq_length,
                                               .append_eos = t->append_eos,
                                               .mask_prompt = t->mask_prompt,
                                               .train_last_turn = t->train_last_turn,
                                               .plain_completions = t->plain_completions,
                                               .train_padding = t->train_padding};
        o.generate = false;
        if (v->c->set.test_batches > 0)
            o.limit = v->c->set.test_batches * t->batch_size;
        hn_ui_say(&v->ui, HN_PLAIN, "Testing");
        rc = hone_test(model, tok, data, &o, NULL, NULL, &sum, err);
    }
    if (!rc)
        hn_ui_say(&v->ui, HN_PLAIN, "Test loss %.3f, Test ppl %.3f.", sum.loss, sum.perplexity);
    hone_tokenizer_close(&tok);
    hone_model_close(&model);
    hn_free(data);
    return rc;
}

int hn_cmd_train(struct hn_conf *c, struct hone_err *err)
{
    struct view v = {.c = c};
    hn_ui_init(&v.ui, stdout);
    int rc = check(c, err);
    /* As in mlx_lm: --test alone trains nothing. */
    bool only_test = c->set.test_after && !c->set.train_flag;
    if (!rc && !only_test)
        rc = run(&v, err);
    if (!rc && !only_test && c->set.train.fine_tune_type == HONE_FULL)
        rc = write_model(&v, err);
    if (!rc && c->set.test_after)
        rc = test(&v, err);
    return rc;
}

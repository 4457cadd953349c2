/* hone compare: every measurement in a process of its own, one after the other, and then the
 * tables.  Each process tells in lines of JSON how far it is, and at its end what it found; hone's
 * are copies of this one, PyTorch's runs pytorch_side.py. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/os.h"
#include "base/str.h"
#include "cli/child.h"
#include "cli/cli.h"
#include "cli/comparison.h"
#include "cli/compare_texts.h"
#include "cli/prompt.h"
#include "cli/pytorch.h"

enum task { DESCRIBE, MEASURE, TRAIN };

/* A side before it is measured. */
struct place {
    char *model, *adapter; /* as --model and --adapter-path would have them; adapter NULL: none */
    int logits;            /* a temporary file; -1: none */
    char logits_path[32];
};

struct job {
    const struct hn_conf *c;
    struct hn_ui ui;
    struct hn_comparison found;
    struct place places[HN_MAX_SIDES];
    /* of the process that runs: */
    enum task task;
    size_t side;
    size_t done, total; /* processes */
    char *folder;       /* what training leaves; removed afterwards */
    char pytorch_error[sizeof((struct hone_err *)0)->message];
    char training_note[sizeof((struct hone_err *)0)->message];
};

/* ---- which models ------------------------------------------------------------------------------
 */

static bool exists(const char *path)
{
    return hn_dir_exists(path) || hn_file_exists(path);
}

/* MODEL or MODEL+ADAPTER.  A '+' may be part of a path: the whole is tried first, then the split
 * whose adapter exists. */
static int split(const char *text, struct place *place, struct hone_err *err)
{
    const char *plus = NULL;
    for (const char *p = text + strlen(text); p-- > text && !exists(text);)
        if (*p == '+' && p > text && p[1] && (!plus || exists(p + 1))) {
            plus = p;
            if (exists(p + 1))
                break;
        }
    place->model = hn_dup(text, plus ? (size_t)(plus - text) : strlen(text));
    place->adapter = plus ? hn_dup(plus + 1, strlen(plus + 1)) : NULL;
    if (!place->model || (plus && !place->adapter))
        return hn_fail_memory(err, "comparing");
    if (plus && !exists(place->adapter))
        return hn_fail(err, HONE_FAILED, "%s: there is no adapter %s here", text, place->adapter);
    return 0;
}

/* Here, where a download can be seen, not in the process that measures. */
static int locate(struct place *place, struct hone_err *err)
{
    char *path = NULL;
    int rc = hn_cli_locate(place->model, false, &path, err);
    if (!rc) {
        hn_free(place->model);
        place->model = path;
    }
    return rc;
}

/* ---- in a process of its own -------------------------------------------------------------------
 */

static void say_failed(const struct hone_err *err)
{
    struct hn_buf out = {0};
    struct hn_json_writer w;
    hn_jw_init(&w, &out, -1);
    hn_jw_open(&w, '{');
    hn_jw_put_str(&w, "failed", err->message);
    hn_jw_put_int(&w, "code", err->code);
    hn_jw_close(&w, '}');
    puts(hn_buf_str(&out));
    hn_buf_release(&out);
}

static int on_progress(void *arg, double fraction, const char *what)
{
    double *last = arg, now = hn_now();
    if (now - *last > 0.1) {
        *last = now;
        printf("{\"progress\": %.4f, \"what\": \"%s\"}\n", fraction, what);
        fflush(stdout);
    }
    return hn_cli_interrupted();
}

/* The prompts of the command line or the built-in ones, as this model sees them. */
static int encode_prompts(const struct hn_settings *set, const struct hone_tokenizer *tok,
                          struct hone_compare_prompt *out, struct hone_tokens *ids, size_t n,
                          struct hone_err *err)
{
    const struct hn_prompt_options o = {.bare = set->ignore_chat_template};
    int rc = 0;
    for (size_t i = 0; i < n && !rc; i++) {
        const char *text = set->n_compare_prompts ? set->compare_prompts[i] : hn_compare_prompts[i];
        rc = hn_prompt_encode(tok, text, strlen(text), &o, &ids[i], err);
        out[i] = (struct hone_compare_prompt){text, ids[i].ids, ids[i].n};
    }
    return rc;
}

static int measure(struct job *job, struct hone_model *model, const struct hone_tokenizer *tok,
                   struct hone_compare_side *out, struct hone_err *err)
{
    const struct hn_settings *set = &job->c->set;
    struct hone_compare_options o = set->compare;
    double last = 0;
    size_t n = set->n_compare_prompts;
    o.rows = set->test.data;
    o.data = set->data;
    if (!set->data) {
        o.texts = hn_compare_texts;
        o.n_texts = hn_n_compare_texts;
        n = n ? n : hn_n_compare_prompts;
    }
    o.prompt_tokens = set->bench.prompt_tokens;
    o.generation_tokens = set->bench.generation_tokens;
    o.logits_path = job->places[job->side].logits_path;
    struct hone_compare_prompt *prompts = hn_calloc(n, sizeof *prompts);
    struct hone_tokens *ids = hn_calloc(n, sizeof *ids);
    int rc = prompts && ids ? 0 : hn_fail_memory(err, "comparing");
    if (!rc)
        rc = encode_prompts(set, tok, prompts, ids, n, err);
    o.prompts = prompts;
    o.n_prompts = n;
    if (!rc)
        rc = hone_compare_measure(model, tok, &o, on_progress, &last, out, err);
    for (size_t i = 0; ids && i < n; i++)
        hone_tokens_release(&ids[i]);
    hn_free(ids);
    hn_free(prompts);
    return rc;
}

static int open_and_measure(struct job *job, struct hone_err *err)
{
    const struct place *p = &job->places[job->side];
    const struct hn_conf c = {
        .set = {.model = p->model, .adapter = p->adapter, .device = job->c->set.device}};
    struct hone_model *model = NULL;
    struct hone_tokenizer *tok = NULL;
    struct hone_compare_side side = {0};
    struct hn_buf out = {0};
    double start = hn_now();
    int rc = hn_cli_open(&c, &model, &tok, err);
    side.load_seconds = hn_now() - start;
    if (!rc && job->task == DESCRIBE)
        rc = hone_compare_describe(model, &side, err);
    else if (!rc)
        rc = measure(job, model, tok, &side, err);
    if (!rc) {
        struct hn_json_writer w;
        hn_jw_init(&w, &out, -1);
        hn_jw_open(&w, '{');
        hn_jw_put_open(&w, "side", '{');
        hn_side_write(&w, &side, true);
        hn_jw_close(&w, '}');
        hn_jw_close(&w, '}');
        rc = hn_cli_print_json(&out, err);
    }
    hn_buf_release(&out);
    hone_compare_side_release(&side);
    hone_tokenizer_close(&tok);
    hone_model_close(&model);
    return rc;
}

struct training {
    struct hn_training sum;
    int64_t before; /* tokens of the steps so far */
    double seconds, last_tick;
    int64_t steps;
};

static int on_train(void *arg, const struct hone_train_event *e)
{
    struct training *t = arg;
    if (e->kind == HONE_TRAIN_PROGRESS)
        return on_progress(&t->last_tick, (double)e->iter / (double)t->steps, "training");
    if (e->kind != HONE_TRAIN_REPORT)
        return hn_cli_interrupted();
    int64_t tokens = e->tokens - t->before;
    t->before = e->tokens;
    t->sum.last_loss = e->loss;
    if (t->sum.steps++ == 0)
        t->sum.first_loss = e->loss;
    /* The first one warms up, where there are more. */
    if ((t->sum.steps > 1 || t->steps == 1) && e->tokens_per_second > 0) {
        t->sum.tokens += tokens;
        t->seconds += (double)tokens / e->tokens_per_second;
    }
    return hn_cli_interrupted();
}

/* The built-in texts as a file of rows. */
static int write_texts(const char *path, struct hone_err *err)
{
    struct hn_buf out = {0};
    struct hn_json_writer w;
    for (size_t i = 0; i < hn_n_compare_texts; i++) {
        hn_jw_init(&w, &out, -1);
        hn_jw_open(&w, '{');
        hn_jw_put_str(&w, "text", hn_compare_texts[i]);
        hn_jw_close(&w, '}');
        hn_buf_add_char(&out, '\n');
    }
    int rc = out.failed ? hn_fail_memory(err, "comparing")
                        : hn_file_write(path, hn_buf_str(&out), out.len, err);
    hn_buf_release(&out);
    return rc;
}

static int train(struct job *job, struct hone_err *err)
{
    const struct hn_settings *set = &job->c->set;
    const struct hone_dataset_options *rows = &set->test.data;
    struct hone_train_options o = set->train;
    struct training t = {.steps = set->compare_train_steps};
    char *texts = hn_path_join(job->folder, "texts.jsonl"),
         *adapters = hn_path_join(job->folder, "adapters");
    int rc = texts && adapters ? 0 : hn_fail_memory(err, "comparing");
    if (!rc && !set->data)
        rc = write_texts(texts, err);
    o.model = job->found.sides[job->side].got.model;
    o.data = set->data ? set->data : texts;
    o.adapter_path = adapters;
    o.format = rows->format;
    o.max_seq_length = rows->max_seq_length > 0 ? rows->max_seq_length : INT32_MAX;
    o.append_eos = set->data && rows->append_eos;
    o.mask_prompt = rows->mask_prompt;
    o.plain_completions = rows->plain_completions;
    o.shuffle = false;
    o.max_steps = set->compare_train_steps;
    o.steps_per_report = 1;
    o.eval_strategy = o.save_strategy = HONE_NEVER;
    o.device = set->device;
    if (o.grad_checkpoint == HONE_CHECKPOINT_AUTO)
        o.grad_checkpoint = HONE_CHECKPOINT_NONE;
    if (!rc)
        rc = hone_train(&o, NULL, on_train, &t, err);
    hn_free(texts);
    hn_free(adapters);
    if (rc)
        return rc;
    struct hn_buf out = {0};
    struct hn_json_writer w;
    t.sum.tokens_per_second = t.seconds > 0 ? (double)t.sum.tokens / t.seconds : 0;
    t.sum.peak_memory = hn_peak_rss();
    hn_jw_init(&w, &out, -1);
    hn_jw_open(&w, '{');
    hn_jw_put_open(&w, "training", '{');
    hn_training_write(&w, &t.sum);
    hn_jw_close(&w, '}');
    hn_jw_close(&w, '}');
    return hn_cli_print_json(&out, err);
}

static void in_child(void *arg)
{
    struct job *job = arg;
    struct hone_err err = {0};
    hn_cli_catch_interrupts();
    int rc = job->task == TRAIN ? train(job, &err) : open_and_measure(job, &err);
    err.code = rc;
    if (rc)
        say_failed(&err);
}

/* ---- here --------------------------------------------------------------------------------------
 */

/* A line of JSON from a process. */
static int on_line(void *arg, const char *line, size_t n, struct hone_err *err)
{
    struct job *job = arg;
    struct hn_compared *side = &job->found.sides[job->side];
    struct hn_arena arena;
    struct hn_json *root = NULL;
    struct hn_str text;
    double progress;
    int64_t code = HONE_FAILED;
    hn_arena_init(&arena, 0);
    int rc = hn_json_parse(&arena, line, n, HN_JSON_PYTHON, &root, err);
    if (rc)
        rc = hn_fail_prefix(err, "what a measurement says cannot be read");
    const struct hn_json *what = hn_json_get(root, "what");
    if (!rc && hn_json_float(hn_json_get(root, "progress"), &progress) && hn_json_str(what, &text))
        hn_ui_progress(&job->ui, ((double)job->done + progress) / (double)job->total, false,
                       "%c: %.*s", 'A' + (int)job->side, (int)text.n, text.p);
    if (!rc && hn_json_str(hn_json_get(root, "failed"), &text)) {
        (void)hn_json_int(hn_json_get(root, "code"), &code);
        rc = hn_fail(err, (int)code, "%.*s", (int)text.n, text.p);
    }
    if (!rc && hn_json_get(root, "side"))
        rc = hn_side_read(hn_json_get(root, "side"), &side->got, err);
    if (!rc && hn_json_get(root, "training"))
        hn_training_read(hn_json_get(root, "training"), &side->training);
    hn_arena_release(&arena);
    return rc;
}

static int run_hone(struct job *job, enum task task, size_t side, struct hone_err *err)
{
    struct hn_child child;
    job->task = task;
    job->side = side;
    int rc = hn_child_call(&child, "the measurement", in_child, job, err);
    if (!rc)
        rc = hn_child_wait(&child, 0, on_line, job, err);
    job->done += task != DESCRIBE;
    return rc;
}

static int run_pytorch(struct job *job, enum hn_pytorch_task task, size_t side,
                       const struct hone_compare_side *like, struct hone_err *err)
{
    const struct hn_settings *set = &job->c->set;
    struct hn_child child;
    job->side = side;
    int rc = hn_pytorch_start(&child, set, task, like, job->places[side].logits_path, err);
    if (!rc)
        rc = hn_child_wait(&child, set->pytorch_timeout, on_line, job, err);
    job->done++;
    return rc;
}

/* A copy of all that describes what was measured, to be filled in by another system. */
static int copy_side(const struct hone_compare_side *from, struct hone_compare_side *to,
                     struct hone_err *err)
{
    struct hn_buf text = {0};
    struct hn_json_writer w;
    struct hn_arena arena;
    struct hn_json *root = NULL;
    hn_jw_init(&w, &text, -1);
    hn_jw_open(&w, '{');
    hn_side_write(&w, from, true);
    hn_jw_close(&w, '}');
    hn_arena_init(&arena, 0);
    int rc = text.failed ? hn_fail_memory(err, "comparing") : 0;
    if (!rc)
        rc = hn_json_parse(&arena, hn_buf_str(&text), text.len, HN_JSON_PYTHON, &root, err);
    if (!rc)
        rc = hn_side_read(root, to, err);
    hn_arena_release(&arena);
    hn_buf_release(&text);
    return rc;
}

static int compare_logits(struct job *job, size_t a, size_t b, struct hone_err *err)
{
    struct hn_comparison *x = &job->found;
    struct hn_pair *p = &x->pairs[x->n_pairs++];
    *p = (struct hn_pair){.a = a, .b = b};
    lseek(job->places[a].logits, 0, SEEK_SET);
    lseek(job->places[b].logits, 0, SEEK_SET);
    hn_ui_progress(&job->ui, (double)job->done / (double)job->total, true, "comparing %c and %c",
                   'A' + (int)a, 'A' + (int)b);
    return hone_compare_agree(&x->sides[a].got, job->places[a].logits_path, &x->sides[b].got,
                              job->places[b].logits_path, &p->g, err);
}

static int open_logits(struct place *p, struct hone_err *err)
{
    p->logits = hn_temp_file(err);
    if (p->logits < 0)
        return HONE_FAILED;
    hn_fd_path(p->logits, p->logits_path);
    return 0;
}

/* The side that transformers can load: the last whose files are a Hugging Face checkpoint. */
static int choose_checkpoint(struct job *job, size_t *like, struct hone_err *err)
{
    const struct hn_comparison *x = &job->found;
    for (size_t i = x->n_sides; i-- > 0;) {
        const char *format = x->sides[i].got.format;
        *like = i;
        if (format && strcmp(format, "safetensors") == 0)
            return 0;
    }
    return hn_fail(err, HONE_USAGE,
                   "--pytorch: transformers loads Hugging Face checkpoints (a folder with "
                   "config.json and safetensors), and %s; name the original as the second model",
                   x->n_sides > 1 ? "neither of the two is one" : "the model is none");
}

static bool has_adapter(const struct hn_comparison *x)
{
    for (size_t i = 0; i < x->n_sides; i++)
        if (x->sides[i].got.adapter)
            return true;
    return false;
}

/* A few steps in both systems; why not, where one cannot. */
static int measure_training(struct job *job, size_t like, struct hone_err *err)
{
    struct hn_comparison *x = &job->found;
    struct hone_err why = {0};
    job->folder = hn_temp_dir(err);
    if (!job->folder)
        return HONE_FAILED;
    int rc = run_hone(job, TRAIN, x->hone, &why);
    if (!rc)
        rc = run_pytorch(job, HN_PYTORCH_TRAIN, x->torch, &x->sides[like].got, &why);
    if (rc && rc != HONE_INTERRUPTED) {
        x->sides[x->hone].training = x->sides[x->torch].training = (struct hn_training){0};
        snprintf(job->training_note, sizeof job->training_note, "%s", why.message);
        x->training_note = job->training_note;
        rc = 0;
    } else if (rc) {
        *err = why;
    }
    int removed = hn_dir_remove(job->folder, rc ? NULL : err);
    hn_free(job->folder);
    return rc ? rc : removed;
}

/* The original through transformers, as one side more.  When it fails, what hone measured is shown
 * all the same, and the failure is the command's. */
static int measure_pytorch(struct job *job, size_t like, struct hone_err *err)
{
    struct hn_comparison *x = &job->found;
    size_t side = x->n_sides;
    int rc = open_logits(&job->places[side], err);
    if (!rc)
        rc = copy_side(&x->sides[like].got, &x->sides[side].got, err);
    if (!rc)
        rc = run_pytorch(job, HN_PYTORCH_MEASURE, side, &x->sides[like].got, err);
    if (rc)
        return rc;
    x->sides[side].title = x->sides[like].title;
    x->sides[side].pytorch = true;
    x->n_sides++;
    x->headline = true;
    x->torch = side;
    x->hone = 0; /* what is deployed: A, which is B itself when there is no other */
    rc = hone_compare_score(&x->sides[side].got, err);
    if (!rc)
        rc = compare_logits(job, like, side, err);
    if (!rc && like != 0)
        rc = compare_logits(job, 0, side, err);
    if (!rc && job->c->set.compare_train_steps > 0)
        rc = measure_training(job, like, err);
    return rc;
}

static int measure_all(struct job *job, struct hone_err *err)
{
    struct hn_comparison *x = &job->found;
    const struct hn_settings *set = &job->c->set;
    size_t like = 0;
    int rc = 0;
    for (size_t i = 0; i < x->n_sides && !rc; i++)
        rc = run_hone(job, DESCRIBE, i, err);
    if (!rc && set->pytorch)
        rc = choose_checkpoint(job, &like, err);
    if (!rc && set->pytorch)
        rc = hn_pytorch_check(set, has_adapter(x) || set->compare_train_steps > 0,
                              x->sides[like].got.quantization, err);
    for (size_t i = 0; i < x->n_sides && !rc; i++) {
        hone_compare_side_release(&x->sides[i].got);
        rc = open_logits(&job->places[i], err);
        rc = rc ? rc : run_hone(job, MEASURE, i, err);
    }
    if (!rc && x->n_sides == 2)
        rc = compare_logits(job, 0, 1, err);
    if (rc || !set->pytorch)
        return rc;
    struct hone_err why = {0};
    rc = measure_pytorch(job, like, &why);
    if (rc) {
        *err = why;
        snprintf(job->pytorch_error, sizeof job->pytorch_error, "%s", why.message);
        x->pytorch_error = job->pytorch_error;
    }
    return rc;
}

static int check(struct job *job, struct hone_err *err)
{
    const struct hn_conf *c = job->c;
    const struct hn_settings *set = &c->set;
    size_t need = set->pytorch ? 1 : 2;
    if (c->n_arguments < need)
        return hn_fail(err, HONE_USAGE,
                       "compare needs two models, each MODEL or MODEL+ADAPTER (or one, with "
                       "--pytorch), found %zu",
                       c->n_arguments);
    if (strcmp(set->pytorch_dtype, "auto") != 0 && strcmp(set->pytorch_dtype, "float32") != 0 &&
        strcmp(set->pytorch_dtype, "bfloat16") != 0 && strcmp(set->pytorch_dtype, "float16") != 0)
        return hn_fail(err, HONE_USAGE,
                       "--pytorch-dtype: found %s, expected float32, bfloat16, float16 or auto",
                       set->pytorch_dtype);
    job->found.data = set->data;
    job->found.n_sides = c->n_arguments;
    job->total = c->n_arguments + (set->pytorch ? 1 + 2 * (set->compare_train_steps > 0) : 0);
    for (size_t i = 0; i < HN_MAX_SIDES; i++)
        job->places[i].logits = -1;
    int rc = 0;
    for (size_t i = 0; i < c->n_arguments && !rc; i++) {
        job->found.sides[i].title = c->arguments[i];
        rc = split(c->arguments[i], &job->places[i], err);
        rc = rc ? rc : locate(&job->places[i], err);
    }
    return rc;
}

static int show(struct job *job, struct hone_err *err)
{
    struct hn_buf out = {0};
    struct hn_json_writer w;
    hn_ui_clear(&job->ui);
    if (!job->c->set.json) {
        hn_comparison_print(&job->found, &job->ui);
        return 0;
    }
    hn_jw_init(&w, &out, -1);
    hn_comparison_write(&job->found, &w);
    return hn_cli_print_json(&out, err);
}

int hn_cmd_compare(struct hn_conf *c, struct hone_err *err)
{
    struct job job = {.c = c};
    char *rows = NULL;
    int rc = c->set.data ? hn_cli_find_rows(c->set.data, &rows, err) : 0;
    c->set.data = rows;
    rc = rc ? rc : check(&job, err);
    /* Under --json standard output is the object's alone. */
    hn_ui_init(&job.ui, c->set.json ? stderr : stdout);
    if (!rc) {
        hn_cli_catch_interrupts();
        rc = measure_all(&job, err);
    }
    bool measured = !rc || job.found.pytorch_error;
    struct hone_err shown = {0};
    hn_ui_clear(&job.ui);
    if (measured && rc != HONE_INTERRUPTED && show(&job, &shown) && !rc) {
        *err = shown;
        rc = HONE_FAILED;
    }
    for (size_t i = 0; i < HN_MAX_SIDES; i++) {
        hone_compare_side_release(&job.found.sides[i].got);
        hn_free(job.places[i].model);
        hn_free(job.places[i].adapter);
        if (job.places[i].logits > 0)
            close(job.places[i].logits);
    }
    hn_free(rows);
    return rc;
}

/* The training loop: micro-batches, windows, updates, reports, validation, checkpoints. */
#include "train/run.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/os.h"
#include "train/metrics.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* What a window of micro-batches (one optimizer step) has gathered so far. */
struct window {
    int64_t tokens; /* that the gradient sums are of; mlx_lm's rule: of its newest micro-batch */
    int64_t micro;
    double loss; /* sum over those tokens */
    double started;
};

/* What reports are measured from. */
struct reporter {
    double start;
    int64_t tokens;
};

static bool by_mlx(const struct hn_run *r)
{
    return r->o->step_rule == HONE_STEPS_MLX;
}

static double epoch_at(const struct hn_run *r)
{
    return (double)r->progress.micro / (double)r->length.micro_per_epoch;
}

static int sum_losses(struct hn_run *r, struct hn_plan *p, double *sum, struct hone_err *err)
{
    int rc = r->model->backend->read(r->model->dev, &p->tensors[p->loss].t, r->losses, err);
    *sum = 0;
    for (int64_t i = 0; i < r->batch.batch.n_rows && !rc; i++)
        *sum += (double)r->losses[i];
    return rc;
}

/* -------------------------------------------------------------------------------------------- */

/* A sentence on values that are not numbers: where, and what to go back to. */
static int fail_not_finite(struct hn_run *r, const char *what, struct hone_err *err)
{
    return hn_fail(err, HONE_FAILED,
                   "%s is not a finite number at step %lld (last row: %s, line %llu); the run is "
                   "stopped before it updates anything; %s%s; a lower --learning-rate or "
                   "--max-grad-norm may help",
                   what, (long long)r->progress.step + 1, r->row.path ? r->row.path : "?",
                   (unsigned long long)r->row.line,
                   r->saved_path ? "the last good checkpoint is " : "no checkpoint was saved yet",
                   r->saved_path ? r->saved_path : "");
}

/* Forward and backward over the rows that lie in the batch, into the gradient sums. */
static int run_part(struct hn_run *r, uint32_t first_token, double *sum, struct hone_err *err)
{
    double part;
    r->batch.batch.seed = r->o->seed;
    r->batch.batch.step = (uint32_t)r->progress.micro;
    r->batch.batch.first_token = first_token;
    int rc = hn_plan_run(&r->train_plan, r->model->backend, r->model->dev, &r->batch.batch, err);
    if (!rc)
        rc = sum_losses(r, &r->train_plan, &part, err);
    if (rc)
        return rc;
    *sum += part;
    return isfinite(part) ? 0 : fail_not_finite(r, "the loss", err);
}

/* mlx_lm's rule: a step's gradient is the mean of its micro-batches' gradients, each the mean over
 * its own tokens.  The sums so far are scaled as if they were of as many tokens as those that come
 * next, so that one division at the end serves all. */
static int weigh(struct hn_run *r, struct window *w, const uint64_t *rows, int64_t n,
                 struct hone_err *err)
{
    int64_t trained = 0;
    for (int64_t i = 0; i < n; i++) {
        const struct hn_rows_view *v = &r->train;
        int rc = hone_dataset_read(v->data, v->index ? v->index[rows[i]] : rows[i], &r->row, err);
        if (rc)
            return rc;
        for (size_t t = 0; t < r->row.tokens.n; t++)
            trained += r->row.trained[t];
    }
    for (size_t i = 0; i < r->n_params; i++)
        r->model->backend->scale(r->model->dev, r->grad[i],
                                 (float)((double)trained / (double)w->tokens));
    w->tokens = 0;
    return 0;
}

/* One micro-batch, in as many parts as the plan's bound on tokens makes it. */
static int micro_batch(struct hn_run *r, struct window *w, struct hone_err *err)
{
    int64_t per_epoch = r->length.micro_per_epoch, b = r->o->batch_size;
    int64_t epoch = r->progress.micro / per_epoch, at = r->progress.micro % per_epoch;
    int64_t end = HN_MIN((at + 1) * b, r->train.n), trained = 0;
    uint32_t first_token = 0;
    double sum = 0;
    hn_order_epoch(&r->order, epoch);
    const uint64_t *rows = r->order.rows;
    if (by_mlx(r) && w->micro > 0) {
        int rc = weigh(r, w, rows + at * b, end - at * b, err);
        if (rc)
            return rc;
    }
    for (int64_t i = at * b; i < end;) {
        hn_batch_clear(&r->batch);
        int rc = 0;
        while (i < end && !rc &&
               r->batch.batch.n_tokens + hn_view_length(&r->train, rows[i]) <=
                   r->train_plan.limits.max_tokens)
            rc = hn_run_add_row(r, &r->train, rows[i++], err);
        if (!rc)
            rc = run_part(r, first_token, &sum, err);
        if (rc)
            return rc;
        first_token += (uint32_t)r->batch.batch.n_tokens;
        trained += r->batch.batch.n_rows;
    }
    w->tokens += trained;
    w->micro++;
    w->loss += sum;
    r->progress.window_loss += by_mlx(r) ? sum / (double)trained : 0;
    r->progress.window_micro++;
    r->progress.tokens += trained;
    r->progress.micro++;
    struct hone_train_event e = {
        .kind = HONE_TRAIN_PROGRESS,
        .step = r->progress.step,
        .iter = r->progress.micro,
        .epoch = epoch_at(r),
        .loss = trained ? sum / (double)trained : 0,
        .tokens = r->progress.tokens,
        .seconds = r->progress.seconds + hn_now() - w->started,
    };
    e.tokens_per_second = e.seconds > 0 ? (double)e.tokens / e.seconds : 0;
    e.seconds_left = e.seconds / (double)e.iter * (double)(r->length.total_micro - e.iter);
    hn_run_tell(r, &e);
    return 0;
}

static double rate_now(const struct hn_run *r)
{
    return r->rate.type == HONE_PLATEAU ? r->progress.plateau.rate
                                        : hn_rate_at(&r->rate, r->progress.step);
}

/* The optimizer's step on n of the parameters, whose gradients are multiplied by scale first. */
static void apply(struct hn_run *r, size_t from, size_t n, double decay, double rate, double scale)
{
    const struct hone_train_options *o = r->o;
    const struct hn_backend *be = r->model->backend;
    struct hn_device *dev = r->model->dev;
    if (o->optimizer == HONE_SGD) {
        bool first = r->progress.step == 0 && !by_mlx(r);
        const struct hn_sgd s = {
            .learning_rate = rate,
            .momentum = o->momentum,
            .dampening = first ? 0 : o->dampening,
            .weight_decay = decay,
            .nesterov = o->nesterov,
            .grad_scale = scale,
        };
        be->sgd(dev, r->param + from, r->grad + from, r->m + from, n, &s);
        return;
    }
    const struct hn_adamw a = {
        .learning_rate = rate,
        .beta1 = o->adam_beta1,
        .beta2 = o->adam_beta2,
        .eps = o->adam_epsilon,
        .weight_decay = decay,
        .step = r->progress.step + 1,
        .bias_correction = o->bias_correction,
        .grad_scale = scale,
    };
    (o->optimizer == HONE_ADAMW_8BIT ? be->adamw8 : be->adamw)(dev, r->param + from, r->grad + from,
                                                               r->m + from, r->v + from, n, &a);
}

/* Scale, clip and apply the gradient sums, then empty them. */
static int update(struct hn_run *r, const struct window *w, struct hone_err *err)
{
    const struct hone_train_options *o = r->o;
    const struct hn_backend *be = r->model->backend;
    struct hn_device *dev = r->model->dev;
    struct hn_progress *p = &r->progress;
    double scale = w->tokens ? 1.0 / (double)w->tokens : 0, squares;
    if (by_mlx(r))
        scale /= (double)w->micro;
    int rc = be->sum_squares(dev, r->grad, r->n_params, &squares, err);
    if (rc)
        return rc;
    p->norm = sqrt(squares) * scale;
    p->rate = rate_now(r);
    if (!isfinite(p->norm))
        return fail_not_finite(r, "the gradient", err);
    if (o->max_grad_norm > 0) /* torch.nn.utils.clip_grad_norm_ */
        scale *= HN_MIN(1.0, o->max_grad_norm / (p->norm + 1e-6));
    apply(r, 0, r->n_decayed, o->weight_decay, p->rate, scale);
    if (r->n_decayed < r->n_params)
        apply(r, r->n_decayed, r->n_params - r->n_decayed, 0, p->rate, scale);
    hn_adapters_refresh(r->model);
    for (size_t i = 0; i < r->n_params; i++)
        be->zero(dev, r->grad[i]);
    if (!by_mlx(r) && w->tokens)
        p->window_loss += w->loss / (double)w->tokens;
    return be->eval(dev, err);
}

/* The loss is the mean of the steps' losses, as in transformers; with mlx_lm's rule, of the
 * micro-batches'.  within: in the middle of the window of the step that is next. */
static int report(struct hn_run *r, struct reporter *rep, bool within, struct hone_err *err)
{
    struct hn_progress *p = &r->progress;
    double seconds = hn_now() - rep->start;
    double steps = (double)(p->step - p->window_first_step);
    double of = by_mlx(r) ? (double)p->window_micro : steps;
    if (by_mlx(r))
        steps = (double)p->window_micro / (double)r->o->grad_accumulation_steps;
    struct hone_train_event e = {
        .kind = HONE_TRAIN_REPORT,
        .step = p->step + within,
        .iter = p->micro,
        .epoch = epoch_at(r),
        .loss = of > 0 ? p->window_loss / of : 0,
        .learning_rate = p->rate,
        .grad_norm = p->norm,
        .tokens = p->tokens,
        .tokens_per_second = seconds > 0 ? (double)(p->tokens - rep->tokens) / seconds : 0,
        .steps_per_second = seconds > 0 ? steps / seconds : 0,
        .seconds = p->seconds,
    };
    rep->tokens = p->tokens;
    p->window_loss = 0;
    p->window_micro = 0;
    p->window_first_step = p->step;
    hn_run_tell(r, &e);
    e.peak_memory = hn_peak_rss();
    rep->start = hn_now();
    return hn_metrics_add(r->metrics_path, &e, err);
}

/* iter: the one that it counts for: the newest, or with mlx_lm's rule the one that comes next. */
static int validate(struct hn_run *r, int64_t iter, struct hone_err *err)
{
    double start = hn_now(), loss;
    int rc = hn_run_evaluate(r, iter, &loss, err);
    if (rc)
        return rc;
    r->progress.validated_step = r->progress.step;
    struct hone_train_event e = {
        .kind = HONE_TRAIN_EVAL,
        .step = r->progress.step,
        .iter = iter,
        .epoch = epoch_at(r),
        .val_loss = loss,
        .val_seconds = hn_now() - start,
        .best = r->progress.step > 0 && loss < r->progress.best_loss,
    };
    if (r->progress.step > 0) { /* the base's own loss is no result of the run */
        bool counts = loss < r->progress.best_loss - r->o->early_stopping_threshold;
        r->progress.worse = counts ? 0 : r->progress.worse + 1;
        hn_plateau_step(&r->rate, &r->progress.plateau, loss);
    }
    if (e.best) {
        r->progress.best_loss = loss;
        r->progress.best_step = r->progress.step;
    }
    hn_run_tell(r, &e);
    e.peak_memory = hn_peak_rss();
    return hn_metrics_add(r->metrics_path, &e, err);
}

/* The adapter itself, at the top of the directory. */
static int save_adapter(const struct hn_run *r, struct hone_err *err)
{
    const struct hone_train_options *o = r->o;
    return hn_adapters_save(r->model, o->adapter_path, o->model, o->lora_alpha, o->lora_dropout,
                            o->use_rslora, o->num_layers, err);
}

/* A checkpoint, and the adapter. */
static int save(struct hn_run *r, struct hone_err *err)
{
    const struct hone_train_options *o = r->o;
    char *path = NULL;
    if (r->saved_step == r->progress.step)
        return 0;
    int rc = hn_checkpoint_save(&r->checkpoint, &r->progress, &path, err);
    if (rc)
        return rc;
    hn_free(r->saved_path);
    r->saved_path = path;
    r->saved_step = r->progress.step;
    rc = save_adapter(r, err);
    if (!rc && o->save_total_limit > 0)
        rc = hn_checkpoint_prune(&r->checkpoint, o->save_total_limit, r->progress.best_step, err);
    struct hone_train_event e = {.kind = HONE_TRAIN_SAVED,
                                 .step = r->progress.step,
                                 .iter = r->progress.micro,
                                 .text = path};
    if (!rc)
        hn_run_tell(r, &e);
    return rc;
}

/* Is something due after the step that was just done?  before: micro-batches done before it. */
static bool due(enum hone_strategy s, int64_t every, const struct hn_run *r, int64_t before)
{
    int64_t micro = r->progress.micro, per_epoch = r->length.micro_per_epoch;
    if (s == HONE_EPOCH)
        return micro / per_epoch > before / per_epoch;
    if (s != HONE_STEPS || every <= 0)
        return false;
    return by_mlx(r) ? micro / every > before / every : r->progress.step % every == 0;
}

/* The validations that mlx_lm has before each iteration of the window that comes next. */
static int validate_window(struct hn_run *r, struct hone_err *err)
{
    int64_t micro = r->progress.micro;
    int64_t end = HN_MIN(micro + r->o->grad_accumulation_steps, r->length.total_micro);
    for (int64_t iter = micro + 1; iter <= end; iter++) {
        int rc = hn_mlx_validates(r->o, &r->length, iter) ? validate(r, iter, err) : 0;
        if (rc)
            return rc;
    }
    return 0;
}

/* Validate what the step that was just done has made, if that is due and was not done yet. */
static int validate_step(struct hn_run *r, int64_t before, struct hone_err *err)
{
    const struct hn_progress *p = &r->progress;
    if (!r->valid.n || r->o->eval_strategy == HONE_NEVER || p->validated_step == p->step)
        return 0;
    if (by_mlx(r))
        return validate_window(r, err);
    if (p->micro < r->length.total_micro &&
        !due(r->o->eval_strategy, r->o->steps_per_eval, r, before))
        return 0;
    return validate(r, p->micro, err);
}

/* Before the first step: the base. */
static int validate_base(struct hn_run *r, struct hone_err *err)
{
    if (!r->valid.n || r->o->eval_strategy == HONE_NEVER)
        return 0;
    if (by_mlx(r))
        return validate_window(r, err);
    return r->o->eval_on_start ? validate(r, 0, err) : 0;
}

/* Has the validation loss not fallen for as long as was allowed? */
static bool early_stop(const struct hn_run *r)
{
    return r->o->early_stopping_patience > 0 && r->progress.worse >= r->o->early_stopping_patience;
}

/* Is a checkpoint to be kept after this step? */
static bool save_due(const struct hn_run *r, int64_t before, bool last)
{
    const struct hn_progress *p = &r->progress;
    bool best = p->validated_step == p->step && p->best_step == p->step;
    return last || r->stop || early_stop(r) ||
           due(r->o->save_strategy, r->o->save_every, r, before) ||
           (best && (r->o->load_best_model_at_end || r->o->save_strategy == HONE_BEST));
}

/* Is a report due after the newest micro-batch (mlx_lm's rule) or step? */
static bool report_due(const struct hn_run *r)
{
    const struct hn_progress *p = &r->progress;
    int64_t every = HN_MAX(r->o->steps_per_report, 1);
    return p->micro >= r->length.total_micro || (by_mlx(r) ? p->micro : p->step) % every == 0;
}

/* The micro-batches of one step.  *whole: they make an update. */
static int gather(struct hn_run *r, struct window *w, struct reporter *rep, bool *whole,
                  struct hone_err *err)
{
    const struct hn_progress *p = &r->progress;
    int64_t size = r->o->grad_accumulation_steps;
    while (w->micro < size && p->micro < r->length.total_micro) {
        int rc = micro_batch(r, w, err);
        if (!rc && by_mlx(r) && w->micro < size && p->micro < r->length.total_micro &&
            report_due(r))
            rc = report(r, rep, true, err);
        if (rc)
            return rc;
        if (!by_mlx(r) && p->micro % r->length.micro_per_epoch == 0)
            break;
    }
    *whole = !by_mlx(r) || w->micro == size;
    return 0;
}

/* From where progress stands to the end, or to a stop. */
static int loop(struct hn_run *r, struct hone_err *err)
{
    struct hn_progress *p = &r->progress;
    struct reporter rep = {.start = hn_now(), .tokens = p->tokens};
    int rc = 0;
    if (p->step == 0)
        p->rate = rate_now(r);
    if (p->micro == 0 && !r->stop)
        rc = validate_base(r, err);
    else if (p->step > 0) /* a run that was stopped before it came to what was due */
        rc = validate_step(r, HN_MAX(p->micro - 1, 0), err);
    rep.start = hn_now();
    while (!rc && p->micro < r->length.total_micro && !r->stop && !early_stop(r)) {
        struct window w = {.started = hn_now()};
        int64_t before = p->micro;
        bool whole = false;
        rc = gather(r, &w, &rep, &whole, err);
        if (!rc && whole)
            rc = update(r, &w, err);
        if (rc)
            return rc;
        p->step += whole;
        p->seconds += hn_now() - w.started;
        if (report_due(r))
            rc = report(r, &rep, !whole, err);
        double pause = hn_now();
        if (!rc && !r->stop)
            rc = validate_step(r, before, err);
        if (!rc && save_due(r, before, p->micro >= r->length.total_micro))
            rc = save(r, err);
        rep.start += hn_now() - pause; /* reports count training alone */
    }
    return rc ? rc : save(r, err);
}

/* After the last step: why it was the last, and which parameters are left. */
static int finish(struct hn_run *r, struct hone_err *err)
{
    const struct hone_train_options *o = r->o;
    const struct hn_progress *p = &r->progress;
    if (early_stop(r))
        hn_run_note(r, "stopped early: the validation loss has not fallen for as many validations "
                       "as --early-stopping-patience allows");
    if (!o->load_best_model_at_end || p->best_step == 0 || p->best_step == p->step || r->stop)
        return 0;
    int rc = hn_checkpoint_take(&r->checkpoint, p->best_step, err);
    if (!rc)
        rc = save_adapter(r, err);
    if (!rc)
        hn_run_note(r, "the adapter that is left is the best validation's, not the last step's");
    return rc;
}

/* -------------------------------------------------------------------------------------------- */

/* The base model's tokenizer files, copied so that the adapter directory is complete (PEFT and
 * mlx-lm users expect them there).  A GGUF carries its vocabulary inside: nothing to copy. */
static int copy_tokenizer(struct hn_run *r, struct hone_err *err)
{
    static const char *const names[] = {
        "tokenizer.json",      "tokenizer_config.json",
        "tokenizer.model",     "special_tokens_map.json",
        "chat_template.jinja", "added_tokens.json",
        "vocab.json",          "merges.txt",
    };
    const char *from = r->model->files.tokenizer_path;
    int rc = 0;
    for (size_t i = 0; i < HN_COUNT(names) && !rc && hn_dir_exists(from); i++) {
        char *source = hn_path_join(from, names[i]),
             *target = hn_path_join(r->o->adapter_path, names[i]);
        struct hn_buf bytes = {0};
        if (!source || !target)
            rc = hn_fail_memory(err, "copying the tokenizer");
        else if (hn_file_exists(source) &&
                 !(rc = hn_file_read(source, (size_t)1 << 30, &bytes, err)))
            rc = hn_file_write(target, hn_buf_str(&bytes), bytes.len, err);
        hn_buf_release(&bytes);
        hn_free(source);
        hn_free(target);
    }
    return rc;
}

/* A template that is not the model's own goes with the adapter: whoever writes with it needs it.
 * What an earlier run left in the folder goes before the tokenizer's files come. */
static int write_template(struct hn_run *r, bool before, struct hone_err *err)
{
    struct hone_tokenizer_info info;
    char *path = hn_path_join(r->o->adapter_path, "chat_template.jinja");
    int rc = path ? 0 : hn_fail_memory(err, "writing the chat template");
    hone_tokenizer_info(r->tok, &info);
    if (!rc && before)
        (void)remove(path);
    else if (!rc && r->o->chat_template)
        rc = hn_file_write(path, info.chat_template, strlen(info.chat_template), err);
    hn_free(path);
    return rc;
}

/* The checkpoints of an earlier run: --resume and --save-total-limit would take them for ours. */
static int set_aside(struct hn_run *r, struct hone_err *err)
{
    char text[600], *to = NULL;
    int rc = hn_checkpoint_set_aside(&r->checkpoint, &to, err);
    if (!rc && to) {
        snprintf(text, sizeof text,
                 "the checkpoints of an earlier run are now in %s; remove it if it is not wanted",
                 to);
        hn_run_note(r, text);
    }
    hn_free(to);
    return rc;
}

static int start(struct hn_run *r, const char *yaml, struct hone_err *err)
{
    const struct hone_train_options *o = r->o;
    int rc = hn_dir_make(o->adapter_path, err);
    char *path = NULL;
    if (!rc)
        rc = hn_dir_lock(o->adapter_path, &r->lock, err);
    if (!rc && !o->resume)
        rc = set_aside(r, err);
    if (!rc)
        rc = hn_checkpoint_try(&r->checkpoint, err);
    if (!rc && o->resume) {
        rc = hn_checkpoint_load(&r->checkpoint, &r->progress, &r->saved_path, err);
        if (rc == HONE_NOT_FOUND) {
            hn_run_note(r,
                        "there is no checkpoint to resume from: the run starts at its beginning");
            rc = 0;
        } else if (!rc) {
            r->saved_step = r->progress.step;
            rc = save_adapter(r, err); /* a kill can fall between the checkpoint and this one */
        }
    }
    if (!rc)
        rc = write_template(r, true, err);
    if (!rc)
        rc = copy_tokenizer(r, err);
    if (!rc)
        rc = write_template(r, false, err);
    if (!rc)
        rc = hn_metrics_begin(r->metrics_path, r->progress.step, err);
    if (!rc && yaml) {
        path = hn_path_join(o->adapter_path, "train.yaml");
        rc = path ? hn_file_write(path, yaml, strlen(yaml), err)
                  : hn_fail_memory(err, "starting a run");
        hn_free(path);
    }
    return rc;
}

static void tell_plan(struct hn_run *r)
{
    struct hone_model_info info;
    hone_model_info(r->model, &info);
    struct hone_train_event e = {
        .kind = HONE_TRAIN_PLAN,
        .step = r->progress.step,
        .iter = r->progress.micro,
        .plan = &r->memory,
        .model = &info,
        .train_data = &r->train_info,
        .valid_data = r->valid_data ? &r->valid_info : NULL,
        .trainable_parameters = r->model->adapters.n_parameters,
        .train_rows = r->train.n,
        .valid_rows = r->valid.n,
    };
    hn_run_tell(r, &e);
}

/* A micro-batch that would not fit is run in parts, which gives the same numbers: say so. */
static void tell_parts(struct hn_run *r)
{
    char text[200];
    int64_t tokens = r->train_plan.limits.max_tokens;
    if (tokens >= r->largest)
        return;
    snprintf(text, sizeof text,
             "to fit, a micro-batch of up to %lld tokens is run in parts of at most %lld: the same "
             "step, in less memory",
             (long long)r->largest, (long long)tokens);
    hn_run_note(r, text);
}

/* Hand over a few rows from all over the data: of each part the shortest of four. */
static int tell_samples(struct hn_run *r, struct hone_err *err)
{
    const struct hn_rows_view *v = r->valid.n ? &r->valid : &r->train;
    int64_t n = HN_MIN(r->o->report_samples, v->n);
    for (int64_t k = 0; k < n; k++) {
        int64_t from = k * v->n / n, to = (k + 1) * v->n / n, best = from;
        for (int64_t i = from; i < to; i += HN_MAX((to - from) / 4, (int64_t)1))
            if (hn_view_length(v, (uint64_t)i) < hn_view_length(v, (uint64_t)best))
                best = i;
        int rc =
            hone_dataset_read(v->data, v->index ? v->index[best] : (uint64_t)best, &r->row, err);
        if (rc)
            return rc;
        struct hone_train_event e = {.kind = HONE_TRAIN_SAMPLE, .row = &r->row};
        hn_run_tell(r, &e);
    }
    return 0;
}

int hone_train(const struct hone_train_options *o, const char *settings_yaml,
               hone_train_fn *on_event, void *arg, struct hone_err *err)
{
    struct hn_run r;
    int rc = hn_run_open(&r, o, on_event, arg, err);
    if (!rc)
        rc = start(&r, settings_yaml, err);
    if (!rc) {
        tell_plan(&r);
        rc = tell_samples(&r, err);
    }
    if (!rc) {
        tell_parts(&r);
        if (!r.valid.n && o->eval_strategy != HONE_NEVER)
            hn_run_note(&r, "there is no validation set: the run is not evaluated as it goes");
        rc = loop(&r, err);
        if (!rc)
            rc = finish(&r, err);
    }
    if (!rc) {
        struct hone_train_event e = {
            .kind = HONE_TRAIN_DONE,
            .step = r.progress.step,
            .iter = r.progress.micro,
            .epoch = epoch_at(&r),
            .tokens = r.progress.tokens,
            .seconds = r.progress.seconds,
            .val_loss = r.progress.best_loss,
            .text = o->adapter_path,
        };
        hn_run_tell(&r, &e);
        if (r.stop && r.progress.micro < r.length.total_micro)
            rc = hn_fail(err, HONE_INTERRUPTED,
                         "stopped at step %lld of %lld and saved to %s; the same command with "
                         "--resume goes on from there",
                         (long long)r.progress.step, (long long)r.length.total_steps, r.saved_path);
    }
    hn_run_release(&r);
    return rc;
}

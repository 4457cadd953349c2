/* Everything before the first step: files opened, rows counted, memory planned. */
#include "train/run.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/os.h"
#include "base/rng.h"
#include "model/memory.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { STREAM_SPLIT = 0x53504c54, EVAL_TOKENS = 512 };

void hn_run_tell(struct hn_run *r, struct hone_train_event *e)
{
    e->total_steps = r->length.total_steps;
    e->total_iters = r->length.total_micro;
    e->peak_memory = hn_peak_rss();
    if (r->on_event && r->on_event(r->arg, e))
        r->stop = true;
}

void hn_run_note(struct hn_run *r, const char *text)
{
    struct hone_train_event e = {.kind = HONE_TRAIN_NOTE, .text = text};
    hn_run_tell(r, &e);
}

int64_t hn_view_length(const struct hn_rows_view *v, uint64_t i)
{
    return hone_dataset_length(v->data, v->index ? v->index[i] : i);
}

/* -------------------------------------------------------------------------------------------- */
/* data */

static int open_rows(struct hn_run *r, const char *path, struct hone_dataset **out,
                     struct hone_err *err)
{
    const struct hone_dataset_options o = {
        .tokenizer = r->tok,
        .format = r->o->format,
        .max_seq_length = r->o->max_seq_length,
        .append_eos = r->o->append_eos,
        .mask_prompt = r->o->mask_prompt,
        .train_last_turn = r->o->train_last_turn,
        .plain_completions = r->o->plain_completions,
        .train_padding = r->o->train_padding,
    };
    return hone_dataset_open(out, &path, 1, &o, err);
}

/* Hold out a fraction of one file, chosen by the seed, in file order. */
static int split(struct hn_run *r, double fraction, struct hone_err *err)
{
    uint64_t n = r->train_info.rows, held = (uint64_t)llround(fraction * (double)n);
    held = HN_MAX(held, 1);
    if (held >= n)
        return hn_fail(err, HONE_FAILED,
                       "a valid-fraction of %g leaves nothing to train on: %s has %llu rows",
                       fraction, r->o->data, (unsigned long long)n);
    uint64_t *order = hn_calloc(n, sizeof *order);
    uint8_t *out = hn_calloc(n, 1);
    r->train.index = hn_calloc(n - held, sizeof *r->train.index);
    r->valid.index = hn_calloc(held, sizeof *r->valid.index);
    int rc = 0;
    if (!order || !out || !r->train.index || !r->valid.index) {
        rc = hn_fail_memory(err, "splitting the data");
    } else {
        struct hn_rng rng;
        hn_rng_init(&rng, r->o->seed, STREAM_SPLIT);
        hn_rng_permutation(&rng, order, n);
        for (uint64_t i = 0; i < held; i++)
            out[order[i]] = 1;
        r->train.n = r->valid.n = 0;
        for (uint64_t i = 0; i < n; i++) {
            struct hn_rows_view *v = out[i] ? &r->valid : &r->train;
            v->index[v->n++] = i;
        }
        r->valid.data = r->train_data;
    }
    hn_free(order);
    hn_free(out);
    return rc;
}

static int open_data(struct hn_run *r, struct hone_err *err)
{
    const char *data = r->o->data, *valid = r->o->valid_data;
    bool dir = hn_dir_exists(data);
    char *train_path = NULL, *valid_path = NULL;
    int rc = hone_data_find(data, "train", &train_path, err);
    if (!rc && dir && !valid) {
        rc = hone_data_find(data, "valid", &valid_path, err);
        rc = rc == HONE_NOT_FOUND ? 0 : rc;
        valid = valid_path;
    }
    if (!rc)
        rc = open_rows(r, train_path, &r->train_data, err);
    if (!rc) {
        hone_dataset_info(r->train_data, &r->train_info);
        r->train = (struct hn_rows_view){r->train_data, NULL, (int64_t)r->train_info.rows};
        if (r->train.n == 0)
            rc = hn_fail(err, HONE_FAILED, "%s holds no row to train on", train_path);
    }
    if (!rc && valid) {
        rc = open_rows(r, valid, &r->valid_data, err);
        if (!rc) {
            hone_dataset_info(r->valid_data, &r->valid_info);
            r->valid = (struct hn_rows_view){r->valid_data, NULL, (int64_t)r->valid_info.rows};
        }
    } else if (!rc && r->o->valid_fraction > 0) {
        rc = split(r, r->o->valid_fraction, err);
    }
    hn_free(train_path);
    hn_free(valid_path);
    return rc;
}

int hn_run_add_row(struct hn_run *r, const struct hn_rows_view *view, uint64_t i,
                   struct hone_err *err)
{
    int rc = hone_dataset_read(view->data, view->index ? view->index[i] : i, &r->row, err);
    if (!rc)
        rc = hn_tokens_check(r->model, r->row.tokens.ids, r->row.tokens.n, err);
    if (!rc)
        hn_batch_add(&r->batch, r->row.tokens.ids, (int64_t)r->row.tokens.n, r->row.trained);
    return rc;
}

/* -------------------------------------------------------------------------------------------- */
/* plan */

/* Tokens of the largest micro-batch that the run will meet, over all its epochs. */
static int64_t largest_batch(struct hn_run *r)
{
    int64_t most = 0, b = r->o->batch_size;
    if (b == 1) {
        for (int64_t i = 0; i < r->train.n; i++)
            most = HN_MAX(most, hn_view_length(&r->train, (uint64_t)i));
        return most;
    }
    int64_t per_epoch = r->length.micro_per_epoch, total = r->length.total_micro;
    if (r->o->batch_order == HONE_ORDER_MLX) /* the same batches in every epoch */
        total = HN_MIN(total, per_epoch);
    for (int64_t micro = 0; micro < total; micro++) {
        int64_t at = micro % per_epoch, sum = 0;
        if (at == 0)
            hn_order_epoch(&r->order, micro / per_epoch);
        for (int64_t i = at * b; i < HN_MIN((at + 1) * b, r->train.n); i++)
            sum += hn_view_length(&r->train, r->order.rows[i]);
        most = HN_MAX(most, sum);
    }
    return most;
}

/* How the backward pass gets what it reads. */
struct way {
    enum hone_checkpointing name;
    enum hn_keep keep;
    int64_t segment, whole; /* as in hn_decoder_options */
};

/* Way number i of those that the options allow, fastest first; false past the last. */
static bool way_at(const struct hn_run *r, int i, struct way *out)
{
    static const struct way ways[] = {
        {HONE_CHECKPOINT_NONE, HN_KEEP_ALL, 0, 0},
        {HONE_CHECKPOINT_FFN, HN_KEEP_ATTENTION, 0, 0},
        {HONE_CHECKPOINT_BLOCKS, HN_KEEP_INPUTS, 1, 0},
    };
    enum { SEGMENTS = HN_COUNT(ways) };
    enum hone_checkpointing asked = r->o->grad_checkpoint;
    int64_t smallest = hn_decoder_smallest_segment(r->model);
    if (asked == HONE_CHECKPOINT_SEGMENTS)
        *out = (struct way){asked, HN_KEEP_INPUTS, smallest, 0};
    else if (asked != HONE_CHECKPOINT_AUTO)
        *out = ways[asked - HONE_CHECKPOINT_NONE];
    else if (i < SEGMENTS)
        *out = ways[i];
    else
        *out = (struct way){HONE_CHECKPOINT_SEGMENTS, HN_KEEP_INPUTS, 2 + i - SEGMENTS, 0};
    return asked == HONE_CHECKPOINT_AUTO ? out->segment <= HN_MAX(1, smallest) : i == 0;
}

static void sum_memory(struct hn_run *r, const struct way *way, bool eval)
{
    const struct hn_plan *plans[] = {&r->train_plan, &r->eval_plan};
    const struct hn_adapter_set *set = &r->model->adapters;
    uint64_t host = (uint64_t)(set->full ? set->largest : set->n_parameters * 2) * sizeof(float);
    /* for saving */
    hn_memory_plan(r->model, plans, eval ? 2 : 1, 0, host, &r->memory);
    r->memory.checkpointing = way->name;
    r->memory.segment = way->whole ? r->model->spec.n_layers - way->whole : way->segment;
}

/* Plans of a step of at most so many tokens, and of validation (eval_tokens 0: none). */
static int make_plans(struct hn_run *r, const struct way *way, int64_t tokens, int64_t eval_tokens,
                      struct hone_err *err)
{
    struct hn_decoder_options o = {
        .purpose = HN_FOR_TRAINING,
        .keep = way->keep,
        .segment = way->segment,
        .whole = way->whole,
        .max_tokens = tokens,
        .max_rows = tokens,
        .max_seqs = r->o->batch_size,
    };
    hn_plan_release(&r->train_plan);
    hn_plan_release(&r->eval_plan);
    int rc = hn_decoder_plan(r->model, &o, &r->train_plan, err);
    if (!rc && eval_tokens) {
        o.purpose = HN_FOR_LOSS;
        o.max_tokens = o.max_rows = eval_tokens;
        o.max_seqs = HN_EVAL_SEQS;
        rc = hn_decoder_plan(r->model, &o, &r->eval_plan, err);
    }
    if (!rc)
        sum_memory(r, way, eval_tokens > 0);
    return rc;
}

/* Where feed-forward halves are made again, but memory is left: keeps those of as many blocks as
 * fit.  The plan at hand is that of none. */
static int keep_more(struct hn_run *r, struct way *way, int64_t tokens, int64_t eval_tokens,
                     uint64_t limit, struct hone_err *err)
{
    uint64_t each = (uint64_t)(2 * tokens * r->model->spec.d_ff) * sizeof(float);
    way->whole = HN_MIN(r->model->spec.n_layers - 1, (int64_t)((limit - r->memory.total) / each));
    int rc = way->whole ? make_plans(r, way, tokens, eval_tokens, err) : 0;
    while (!rc && way->whole && r->memory.total > limit) { /* the last pieces found no gap */
        way->whole--;
        rc = make_plans(r, way, tokens, eval_tokens, err);
    }
    return rc;
}

/* The fastest way that fits: all of a micro-batch at once; else in parts (which costs next to
 * nothing: there is no padding), down to its longest row; else the same with more made again.
 * *limit is what there is; the plan that is left is the last that was tried. */
static int fit(struct hn_run *r, int64_t tokens, int64_t longest, int64_t eval_tokens,
               uint64_t *limit, bool *fits, struct hone_err *err)
{
    struct way way;
    *limit = 0;
    for (int i = 0; way_at(r, i, &way); i++) {
        for (int64_t t = tokens;; t = HN_MAX(t / 2, longest)) {
            int rc = make_plans(r, &way, t, eval_tokens, err);
            if (rc)
                return rc;
            if (!*limit) /* the process's own size is known now */
                *limit = r->o->memory ? r->o->memory : hn_memory_available() + r->memory.process;
            *fits = r->memory.total <= *limit;
            bool partly = way.name == HONE_CHECKPOINT_FFN && way.name != r->o->grad_checkpoint;
            if (*fits)
                return partly ? keep_more(r, &way, t, eval_tokens, *limit, err) : 0;
            if (t == longest)
                break;
        }
    }
    return 0;
}

/* The longest row, below `longest`, with which the way that needs the least fits; 0: none does. */
static int longest_that_fits(struct hn_run *r, int64_t longest, int64_t eval_tokens, uint64_t limit,
                             int64_t *fits, struct hone_err *err)
{
    struct way way, last = {0};
    int64_t low = 0, high = longest - 1; /* low fits; what is above high does not */
    for (int i = 0; way_at(r, i, &way); i++)
        last = way;
    limit -= limit / 200; /* the process itself is not the same to the byte each time */
    while (low < high) {
        int64_t middle = low + (high - low + 1) / 2;
        int64_t eval = HN_MAX(HN_MIN(eval_tokens, middle), (int64_t)EVAL_TOKENS);
        int rc = make_plans(r, &last, middle, eval_tokens ? eval : 0, err);
        if (rc)
            return rc;
        if (r->memory.total <= limit)
            low = middle;
        else
            high = middle - 1;
    }
    *fits = low;
    return 0;
}

static const char *size_text(uint64_t bytes, char out[32])
{
    bool large = bytes >= 1000000000;
    snprintf(out, 32, large ? "%.2f GB" : "%.1f MB", (double)bytes / (large ? 1e9 : 1e6));
    return out;
}

/* Say what is needed and what there is, and the settings that fit, as the plans have them. */
static int refuse(struct hn_run *r, int64_t longest, int64_t eval_tokens, uint64_t limit,
                  struct hone_err *err)
{
    const struct hone_memory_plan most = r->memory;
    const uint64_t steps = most.kept + most.working;
    char total[32], activations[32], there[32], fixed[32], advice[256];
    int64_t fits = 0;
    int rc = longest_that_fits(r, longest, eval_tokens, limit, &fits, err);
    if (rc)
        return rc;
    if (fits >= 16)
        snprintf(
            advice, sizeof advice,
            "rows cut at --max-seq-length %lld fit; else use a smaller or more quantised model",
            (long long)fits);
    else if (r->model->adapters.full)
        snprintf(advice, sizeof advice,
                 "%s of it are the weights with their gradients and the optimizer's state: train "
                 "fewer blocks (--num-layers)%s, or an adapter (--fine-tune-type lora)",
                 size_text(most.gradients + most.optimizer + most.adapter, fixed),
                 r->model->moments == HN_MOMENTS_TWO ? ", with --optimizer adamw_8bit" : "");
    else if (most.gradients + most.optimizer + most.adapter > most.weights)
        snprintf(advice, sizeof advice,
                 "the adapter takes most of it: use a smaller --lora-rank (now %lld) or fewer "
                 "--num-layers or --target-modules",
                 (long long)r->o->lora_rank);
    else
        snprintf(advice, sizeof advice,
                 "%s are needed without any activation: use a smaller or more quantised model%s",
                 size_text(most.total - steps, fixed), r->o->memory ? ", or allow more" : "");
    return hn_fail(err, HONE_FAILED,
                   "this run needs %s (%s for activations of %lld tokens, the longest row), but "
                   "only %s %s; %s",
                   size_text(most.total, total), size_text(steps, activations),
                   (long long)most.max_tokens, size_text(limit, there),
                   r->o->memory ? "are allowed by --memory" : "are available", advice);
}

static int plan(struct hn_run *r, int64_t tokens, int64_t longest, int64_t eval_tokens,
                struct hone_err *err)
{
    uint64_t limit;
    bool fits;
    int rc = fit(r, tokens, longest, eval_tokens, &limit, &fits, err);
    return rc || fits ? rc : refuse(r, longest, eval_tokens, limit, err);
}

/* transformers' Trainer spares norms and biases, which are the vectors among a model's weights; of
 * an adapter everything decays. */
static bool decays(const struct hn_run *r, const struct hn_param *p)
{
    return !r->model->adapters.full || r->o->decay_norms || p->part[HN_PART_PARAM].rows > 1;
}

static void list_params(struct hn_run *r)
{
    struct hn_adapter_set *set = &r->model->adapters;
    size_t n = 0;
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < set->n_params; i++) {
            struct hn_param *p = &set->params[i];
            if (decays(r, p) != (pass == 0))
                continue;
            r->param[n] = &p->part[HN_PART_PARAM];
            r->grad[n] = &p->part[HN_PART_GRAD];
            r->m[n] = &p->part[HN_PART_M];
            r->v[n++] = &p->part[HN_PART_V];
        }
        if (pass == 0)
            r->n_decayed = n;
    }
}

static int bind(struct hn_run *r, struct hone_err *err)
{
    struct hn_plan *plans[] = {&r->train_plan, &r->eval_plan};
    struct hone_model *m = r->model;
    int64_t most = HN_MAX(r->train_plan.limits.max_tokens, r->eval_plan.limits.max_tokens);
    int rc = hn_plan_bind(plans, r->valid.n ? 2 : 1, m->backend, m->dev, &r->arena, err);
    if (!rc)
        rc = hn_batch_init(&r->batch, most, HN_MAX(r->o->batch_size, (int64_t)HN_EVAL_SEQS), err);
    if (rc)
        return rc;
    r->n_params = m->adapters.n_params;
    r->losses = hn_calloc((size_t)most, sizeof *r->losses);
    struct hn_tensor ***lists[] = {&r->param, &r->grad, &r->m, &r->v};
    for (size_t i = 0; i < HN_COUNT(lists); i++) {
        *lists[i] = hn_calloc(r->n_params, sizeof(struct hn_tensor *));
        if (!*lists[i] || !r->losses)
            return hn_fail_memory(err, "preparing a run");
    }
    list_params(r);
    return 0;
}

int hn_train_adapter(struct hone_model *m, const struct hone_train_options *o, struct hone_err *err)
{
    static const enum hn_moments of[] = {[HONE_ADAMW] = HN_MOMENTS_TWO,
                                         [HONE_ADAM] = HN_MOMENTS_TWO,
                                         [HONE_ADAMW_8BIT] = HN_MOMENTS_8BIT,
                                         [HONE_SGD] = HN_MOMENTS_ONE};
    m->moments = of[o->optimizer];
    if (o->optimizer == HONE_SGD && o->momentum == 0)
        m->moments = HN_MOMENTS_NONE;
    if (o->resume_adapter_file) {
        const char *from = o->resume_adapter_file;
        int found = hn_dir_exists(from) ? 1 : hn_file_find(from, err);
        if (found < 0)
            return hn_fail_prefix(err, "resume-adapter-file");
        if (!found)
            return hn_fail(err, HONE_NOT_FOUND,
                           "resume-adapter-file %s: there is no such file or folder", from);
        int rc = hn_adapter_read(&m->adapter_file, from, err);
        static const char *const names[] = {"lora", "dora", "full"};
        const struct hn_adapter_file *f = &m->adapter_file;
        enum hone_fine_tune_type type = f->full ? HONE_FULL : f->use_dora ? HONE_DORA : HONE_LORA;
        if (!rc && type != o->fine_tune_type)
            rc =
                hn_fail(err, HONE_FAILED,
                        "%s is the result of fine-tune-type %s, but %s is set: give "
                        "--fine-tune-type %s",
                        o->resume_adapter_file, names[type], names[o->fine_tune_type], names[type]);
        return rc ? rc : hn_adapters_load(m, &m->adapter_file, true, (float)o->lora_dropout, err);
    }
    const struct hn_adapter_config c = {
        .rank = o->lora_rank,
        .alpha = o->lora_alpha,
        .scale = o->lora_scale,
        .use_rslora = o->use_rslora,
        .use_dora = o->fine_tune_type == HONE_DORA,
        .full = o->fine_tune_type == HONE_FULL,
        .dropout = (float)o->lora_dropout,
        .targets = o->target_modules,
        .n_targets = o->n_target_modules,
        .num_layers = o->num_layers,
        .seed = o->seed,
        .mlx_start = o->adapter_start == HONE_START_MLX,
    };
    return hn_adapters_make(m, &c, err);
}

/* Lengths of the rows, where the order asks for them. */
static int give_lengths(struct hn_run *r, struct hone_err *err)
{
    if (!r->o->group_by_length)
        return 0;
    r->order.lengths = hn_calloc((size_t)r->train.n, sizeof *r->order.lengths);
    if (!r->order.lengths)
        return hn_fail_memory(err, "ordering the rows");
    for (int64_t i = 0; i < r->train.n; i++)
        r->order.lengths[i] = (uint32_t)hn_view_length(&r->train, (uint64_t)i);
    return 0;
}

/* Keys of the records of a view's rows, where an order asks for them. */
static int view_keys(const struct hn_run *r, const struct hn_rows_view *v, uint16_t **keys,
                     struct hone_err *err)
{
    *keys = NULL;
    if (r->o->batch_order != HONE_ORDER_MLX || v->n == 0)
        return 0;
    *keys = hn_calloc((size_t)v->n, sizeof **keys);
    if (!*keys)
        return hn_fail_memory(err, "ordering the rows");
    for (int64_t i = 0; i < v->n; i++)
        (*keys)[i] = (uint16_t)hone_dataset_keys(v->data, v->index ? v->index[i] : (uint64_t)i);
    return 0;
}

static int make_order(struct hn_run *r, struct hone_err *err)
{
    uint16_t *keys = NULL, *valid_keys = NULL;
    int rc = view_keys(r, &r->train, &keys, err);
    if (!rc)
        rc = view_keys(r, &r->valid, &valid_keys, err);
    if (!rc)
        rc = hn_order_init(&r->order, r->o, &r->length, r->train.n, keys, r->valid.n, valid_keys,
                           err);
    hn_free(keys);
    hn_free(valid_keys);
    return rc ? rc : give_lengths(r, err);
}

/* Options that no table can check alone. */
static int check_options(const struct hone_train_options *o, struct hone_err *err)
{
    if (!o->model || !o->data)
        return hn_fail(err, HONE_USAGE, "training needs --%s", o->model ? "data" : "model");
    if (o->batch_size < 1 || o->grad_accumulation_steps < 1 || o->lora_rank < 1)
        return hn_fail(err, HONE_USAGE,
                       "batch-size, grad-accumulation-steps and lora-rank must be at least 1");
    if (o->group_by_length && (o->batch_order == HONE_ORDER_MLX || !o->shuffle))
        return hn_fail(err, HONE_USAGE,
                       "group-by-length is an order of its own: it goes with neither --no-shuffle "
                       "nor --batch-order mlx-lm");
    if (o->save_strategy == HONE_BEST && o->eval_strategy == HONE_NEVER)
        return hn_fail(err, HONE_USAGE, "save-strategy best needs validation: set --eval-strategy");
    if (o->load_best_model_at_end && o->eval_strategy == HONE_NEVER)
        return hn_fail(err, HONE_USAGE,
                       "load-best-model-at-end needs validation: set --eval-strategy");
    if (!(o->lora_dropout >= 0 && o->lora_dropout < 1))
        return hn_fail(err, HONE_USAGE, "lora-dropout is %g, expected 0 up to below 1",
                       o->lora_dropout);
    return 0;
}

int hn_run_open(struct hn_run *r, const struct hone_train_options *o, hone_train_fn *on_event,
                void *arg, struct hone_err *err)
{
    *r = (struct hn_run){.o = o, .on_event = on_event, .arg = arg, .lock = -1, .saved_step = -1};
    r->progress.best_loss = INFINITY;
    int rc = check_options(o, err);
    if (!rc)
        rc = hone_model_open(&r->model, o->model, &o->device, err);
    if (!rc && r->model->note[0])
        hn_run_note(r, r->model->note);
    if (!rc)
        rc = hone_tokenizer_open(&r->tok, r->model->files.tokenizer_path, err);
    if (!rc && r->o->chat_template)
        rc = hone_tokenizer_set_chat_template(r->tok, r->o->chat_template, err);
    if (!rc)
        rc = open_data(r, err);
    if (!rc)
        rc = hn_train_adapter(r->model, o, err);
    if (rc)
        return rc;
    hn_run_length(o, r->train.n, &r->length);
    rc = make_order(r, err);
    if (!rc && r->length.total_steps < 1)
        rc = hn_fail(err, HONE_USAGE,
                     "%lld iterations are less than the %lld of one optimizer step "
                     "(grad-accumulation-steps): mlx_lm's step rule would update nothing",
                     (long long)r->length.total_micro, (long long)o->grad_accumulation_steps);
    if (!rc)
        rc = hn_rate_init(&r->rate, o, r->length.total_steps, err);
    if (rc)
        return rc;
    hn_plateau_init(&r->rate, &r->progress.plateau);
    int64_t eval_tokens = 0;
    for (int64_t i = 0; i < r->valid.n; i++)
        eval_tokens = HN_MAX(eval_tokens, hn_view_length(&r->valid, (uint64_t)i));
    if (eval_tokens)
        eval_tokens = HN_MAX(eval_tokens, (int64_t)EVAL_TOKENS);
    int64_t longest = 0;
    for (int64_t i = 0; i < r->train.n; i++)
        longest = HN_MAX(longest, hn_view_length(&r->train, (uint64_t)i));
    r->largest = largest_batch(r);
    rc = plan(r, r->largest, longest, eval_tokens, err);
    if (!rc)
        rc = bind(r, err);
    r->checkpoint = (struct hn_checkpoint){
        .model = r->model,
        .options = o,
        .base_model = o->model,
        .identity = {r->train.n, (int64_t)r->train_info.tokens,
                     (int64_t)r->train_info.trained_tokens, r->model->adapters.n_parameters},
    };
    r->metrics_path = hn_path_join(o->adapter_path, "metrics.jsonl");
    return rc || r->metrics_path ? rc : hn_fail_memory(err, "preparing a run");
}

void hn_run_release(struct hn_run *r)
{
    hn_plan_release(&r->train_plan);
    hn_plan_release(&r->eval_plan);
    if (r->arena)
        r->model->backend->unbind(r->model->dev, &r->arena);
    hn_batch_release(&r->batch);
    hone_row_release(&r->row);
    hn_order_release(&r->order);
    hn_free(r->losses);
    hn_free(r->param);
    hn_free(r->grad);
    hn_free(r->m);
    hn_free(r->v);
    hn_free(r->train.index);
    hn_free(r->valid.index);
    hn_free(r->saved_path);
    hn_free(r->metrics_path);
    hone_dataset_close(&r->valid_data);
    hone_dataset_close(&r->train_data);
    hone_tokenizer_close(&r->tok);
    hone_model_close(&r->model);
    hn_dir_unlock(&r->lock);
}

int hone_train_plan(struct hone_model *model, const struct hone_train_options *o,
                    int64_t max_tokens, struct hone_memory_plan *out, struct hone_err *err)
{
    struct hn_run r = {.o = o, .model = model};
    int rc = hn_train_adapter(model, o, err);
    if (rc)
        return rc;
    uint64_t limit;
    bool fits;
    rc = fit(&r, max_tokens, max_tokens, 0, &limit, &fits, err);
    if (!rc)
        *out = r.memory;
    hn_plan_release(&r.train_plan);
    hn_plan_release(&r.eval_plan);
    hn_adapters_release(model);
    return rc;
}

/* adapter_config.json: PEFT's keys (peft 0.21 LoraConfig) and mlx-lm's (0.32) side by side; each
 * system ignores the other's.  Keys of an adapter that was read and that neither list knows are
 * carried over. */
#include "format/adapter_config.h"
#include "base/file.h"
#include "format/adapter_impl.h"

#include <math.h>
#include <string.h>

/* lora_alpha of a module: its scale as PEFT would have it. */
static double alpha_of(const struct hn_adapter_spec *spec, const struct hn_adapter_module *m)
{
    double alpha = m->scale * (spec->use_rslora ? sqrt((double)m->rank) : (double)m->rank);
    /* alpha / rank * rank may miss alpha by a bit: the number the user gave is better. */
    if (fabs(alpha - spec->alpha) <= 1e-12 * fabs(alpha))
        return spec->alpha;
    double whole = nearbyint(alpha);
    return fabs(alpha - whole) <= 1e-12 * fabs(alpha) ? whole : alpha;
}

/* Index of the module whose key (rank, or scale within a rank) is the most common one. */
static size_t most_common(const struct hn_adapter_spec *spec, bool by_rank)
{
    size_t best = 0, best_count = 0;
    for (size_t i = 0; i < spec->n; i++) {
        const struct hn_adapter_module *m = &spec->modules[i];
        size_t count = 0;
        for (size_t k = 0; k < spec->n; k++) {
            const struct hn_adapter_module *n = &spec->modules[k];
            count += by_rank ? n->rank == m->rank && n->scale == m->scale : n->scale == m->scale;
        }
        if (count > best_count) {
            best = i;
            best_count = count;
        }
    }
    return best;
}

/* Is module i the first with its name inside a block (or its path, outside)? */
static bool first_of_name(const struct hn_adapter_spec *spec, size_t i)
{
    const char *rest, *other;
    (void)hn_adapter_block(spec->modules[i].path, &rest);
    for (size_t k = 0; k < i; k++) {
        (void)hn_adapter_block(spec->modules[k].path, &other);
        if (strcmp(other, rest) == 0)
            return false;
    }
    return true;
}

static bool is_regular(const struct hn_adapter_spec *spec, const struct hn_adapter_plan *plan)
{
    size_t names = 0;
    for (size_t i = 0; i < spec->n; i++) {
        const char *rest;
        if (hn_adapter_block(spec->modules[i].path, &rest) < 0)
            return false;
        names += first_of_name(spec, i);
    }
    return spec->n == names * (size_t)plan->n_blocks;
}

int hn_adapter_plan(const struct hn_adapter_spec *spec, struct hn_adapter_plan *plan,
                    struct hone_err *err)
{
    const struct hn_adapter_module *common = &spec->modules[most_common(spec, true)];
    *plan = (struct hn_adapter_plan){.scale = spec->modules[most_common(spec, false)].scale,
                                     .peft_rank = common->rank,
                                     .peft_alpha = alpha_of(spec, common),
                                     .model_layers = spec->model_layers};
    int64_t first = INT64_MAX, last = -1;
    for (size_t i = 0; i < spec->n; i++) {
        const struct hn_adapter_module *m = &spec->modules[i];
        const char *rest;
        int64_t block = hn_adapter_block(m->path, &rest);
        if (!(m->scale - m->scale == 0))
            return hn_fail(err, HONE_FAILED, "the scale of adapter module \"%s\" is not finite",
                           m->path);
        plan->rank = HN_MAX(plan->rank, m->rank);
        if (block >= 0) {
            first = HN_MIN(first, block);
            last = HN_MAX(last, block);
        }
    }
    if (plan->scale == 0 && spec->n > 1)
        for (size_t i = 0; i < spec->n && plan->scale == 0; i++)
            plan->scale = spec->modules[i].scale;
    if (plan->model_layers <= last)
        plan->model_layers = last + 1;
    plan->n_blocks = last < 0 ? 0 : plan->model_layers - first;
    plan->regular = is_regular(spec, plan);
    return 0;
}

/* As an integer where it is one: LoraConfig declares lora_alpha as int. */
static void put_number(struct hn_json_writer *w, double v)
{
    if (v == nearbyint(v) && fabs(v) < 1e15)
        hn_jw_int(w, (int64_t)v);
    else
        hn_jw_double(w, v);
}

/* The last part of a path: what target_modules calls it. */
static const char *last_name(const char *path)
{
    const char *dot = strrchr(path, '.');
    return dot ? dot + 1 : path;
}

/* A name per kind of linear where that says it all, else every path. */
static void put_targets(struct hn_json_writer *w, const struct hn_adapter_spec *spec,
                        const struct hn_adapter_plan *plan)
{
    hn_jw_put_open(w, "target_modules", '[');
    for (size_t i = 0; i < spec->n; i++) {
        if (!plan->regular)
            hn_jw_str(w, spec->modules[i].path);
        else if (first_of_name(spec, i))
            hn_jw_str(w, last_name(spec->modules[i].path));
    }
    hn_jw_close(w, ']');
    hn_jw_key(w, "layers_to_transform");
    if (plan->regular && plan->n_blocks < plan->model_layers) {
        hn_jw_open(w, '[');
        for (int64_t i = plan->model_layers - plan->n_blocks; i < plan->model_layers; i++)
            hn_jw_int(w, i);
        hn_jw_close(w, ']');
    } else {
        hn_jw_null(w);
    }
    hn_jw_put_null(w, "layers_pattern");
}

static void put_patterns(struct hn_json_writer *w, const struct hn_adapter_spec *spec,
                         const struct hn_adapter_plan *plan)
{
    hn_jw_put_open(w, "rank_pattern", '{');
    for (size_t i = 0; i < spec->n; i++) {
        if (spec->modules[i].rank != plan->peft_rank)
            hn_jw_put_int(w, spec->modules[i].path, spec->modules[i].rank);
    }
    hn_jw_close(w, '}');
    hn_jw_put_open(w, "alpha_pattern", '{');
    for (size_t i = 0; i < spec->n; i++) {
        double alpha = alpha_of(spec, &spec->modules[i]);
        if (alpha != plan->peft_alpha) {
            hn_jw_key(w, spec->modules[i].path);
            put_number(w, alpha);
        }
    }
    hn_jw_close(w, '}');
}

static void put_peft(struct hn_json_writer *w, const struct hn_adapter_spec *spec,
                     const struct hn_adapter_plan *plan)
{
    static const char *const absent[] = {"modules_to_save", "exclude_modules", "revision"};
    static const char *const off[] = {"lora_bias", "fan_in_fan_out"};
    hn_jw_put_str(w, "peft_type", "LORA");
    hn_jw_put_str(w, "task_type", "CAUSAL_LM");
    hn_jw_put_str(w, "base_model_name_or_path", spec->base_model);
    hn_jw_put_bool(w, "inference_mode", true);
    hn_jw_put_bool(w, "init_lora_weights", true);
    hn_jw_put_str(w, "bias", "none");
    hn_jw_put_int(w, "r", plan->peft_rank);
    hn_jw_key(w, "lora_alpha");
    put_number(w, plan->peft_alpha);
    hn_jw_put_double(w, "lora_dropout", spec->dropout);
    hn_jw_put_bool(w, "use_rslora", spec->use_rslora);
    hn_jw_put_bool(w, "use_dora", spec->use_dora);
    for (size_t i = 0; i < HN_COUNT(absent); i++)
        hn_jw_put_null(w, absent[i]);
    for (size_t i = 0; i < HN_COUNT(off); i++)
        hn_jw_put_bool(w, off[i], false);
    put_targets(w, spec, plan);
    put_patterns(w, spec, plan);
}

static void put_mlx(struct hn_json_writer *w, const struct hn_adapter_spec *spec,
                    const struct hn_adapter_plan *plan)
{
    hn_jw_put_str(w, "fine_tune_type", spec->use_dora ? "dora" : "lora");
    hn_jw_put_str(w, "model", spec->base_model);
    /* It counts from the last block: of a model of unknown depth, -1 is all blocks. */
    hn_jw_put_int(w, "num_layers",
                  spec->model_layers > 0 ? plan->n_blocks
                  : spec->num_layers > 0 ? spec->num_layers
                                         : -1);
    hn_jw_put_open(w, "lora_parameters", '{');
    hn_jw_put_int(w, "rank", plan->rank);
    hn_jw_put_double(w, "scale", plan->scale);
    hn_jw_put_double(w, "dropout", spec->dropout);
    hn_jw_put_open(w, "keys", '[');
    for (size_t i = 0; i < spec->n; i++) {
        const char *rest;
        (void)hn_adapter_block(spec->modules[i].path, &rest);
        if (first_of_name(spec, i))
            hn_jw_str(w, rest);
    }
    hn_jw_close(w, ']');
    hn_jw_close(w, '}');
}

/* Keys of the config that was read and that are not among the written ones. */
static void put_rest(struct hn_json_writer *w, const struct hn_json *config,
                     const struct hn_json *written)
{
    for (size_t i = 0; config && config->type == HN_JSON_OBJECT && i < config->n; i++) {
        if (hn_json_get(written, config->members[i].key.p))
            continue;
        hn_jw_key(w, config->members[i].key.p);
        hn_jw_value(w, &config->members[i].value);
    }
}

/* One pass of writing; written is the tree of the first pass, or NULL. */
static int build(struct hn_arena *arena, const struct hn_adapter_spec *spec,
                 const struct hn_adapter_plan *plan, const struct hn_json *written,
                 struct hn_json **out, struct hone_err *err)
{
    struct hn_buf text = {0};
    struct hn_json_writer w;
    hn_jw_init(&w, &text, -1);
    hn_jw_open(&w, '{');
    put_peft(&w, spec, plan);
    put_mlx(&w, spec, plan);
    if (written)
        put_rest(&w, spec->config, written);
    hn_jw_close(&w, '}');
    int rc = text.failed ? hn_fail_memory(err, "writing an adapter")
                         : hn_json_parse(arena, text.data, text.len, HN_JSON_PYTHON, out, err);
    hn_buf_release(&text);
    return rc;
}

int hn_adapter_write_config(const char *path, const struct hn_adapter_spec *spec,
                            const struct hn_adapter_plan *plan, struct hone_err *err)
{
    struct hn_arena arena;
    struct hn_json *ours, *all;
    struct hn_buf text = {0};
    hn_arena_init(&arena, 0);
    int rc = build(&arena, spec, plan, NULL, &ours, err);
    if (!rc)
        rc = build(&arena, spec, plan, ours, &all, err);
    if (!rc) {
        hn_json_dump(&text, all, 2, true, true); /* as PEFT writes it: indented, sorted */
        hn_buf_add_char(&text, '\n');
        rc = text.failed ? hn_fail_memory(err, "writing an adapter")
                         : hn_file_write(path, text.data, text.len, err);
    }
    hn_buf_release(&text);
    hn_arena_release(&arena);
    return rc;
}

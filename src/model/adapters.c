/* The trainable part of a model: made fresh, loaded, listed, read, written and saved. */
#include "model/full.h"
#include "base/mem.h"
#include "base/rng.h"
#include "model/adapter_start.h"

#include <fnmatch.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { STREAM_ADAPTER_START = 0x4c6f5241 }; /* keeps the start apart from dropout's words */

void hn_linear_path(int64_t block, enum hn_linear_id id, char out[96])
{
    snprintf(out, 96, "model.layers.%lld.%s", (long long)block, hn_linear_name(id));
}

struct hn_lora *hn_adapters_get(const struct hone_model *m, int64_t block, enum hn_linear_id id)
{
    if (!m->adapters.loras)
        return NULL;
    struct hn_lora *lo = &m->adapters.loras[block * HN_LINEAR_COUNT + (int64_t)id];
    return lo->present ? lo : NULL;
}

void hn_adapters_release(struct hone_model *m)
{
    hn_full_release(m);
    if (m->adapters.arena)
        m->backend->unbind(m->dev, &m->adapters.arena);
    hn_free(m->adapters.loras);
    hn_free(m->adapters.params);
    m->adapters = (struct hn_adapter_set){0};
}

void hn_tensor_place(struct hn_tensor *t, int64_t rows, int64_t cols, size_t *offset)
{
    *t = (struct hn_tensor){
        .rows = rows, .rows_max = rows, .cols = cols, .dtype = HN_F32, .offset = *offset};
    *offset += ((size_t)(rows * cols) * sizeof(float) + 63) / 64 * 64;
}

/* Give a lora, present with its rank set, its parameters, the next ones of the set. */
static void give_params(const struct hone_model *m, struct hn_adapter_set *set, int64_t i)
{
    struct hn_lora *lo = &set->loras[i];
    enum hn_linear_id id = (enum hn_linear_id)(i % HN_LINEAR_COUNT);
    int64_t in = hn_linear_in(&m->spec, id), out = hn_linear_out(&m->spec, id);
    size_t none = 0;
    lo->a = &set->params[set->n_params++];
    lo->b = &set->params[set->n_params++];
    lo->mag = set->dora ? &set->params[set->n_params++] : NULL;
    for (int part = 0; part < HN_PART_COUNT; part++) {
        hn_tensor_place(&lo->a->part[part], lo->rank, in, &none);
        hn_tensor_place(&lo->b->part[part], out, lo->rank, &none);
        if (lo->mag)
            hn_tensor_place(&lo->mag->part[part], 1, out, &none);
    }
    set->n_present++;
    set->n_parameters += lo->rank * (in + out) + (lo->mag ? out : 0);
    set->largest = HN_MAX(set->largest, lo->rank * HN_MAX(in, out));
    set->max_rank = HN_MAX(set->max_rank, lo->rank);
    set->first_block = HN_MIN(set->first_block, i / HN_LINEAR_COUNT);
    lo->use.a = lo->still.a = &lo->a->part[HN_PART_PARAM];
    lo->use.b = lo->still.b = &lo->b->part[HN_PART_PARAM];
    lo->use.module = (uint32_t)i;
    lo->still.scale = lo->use.scale;
    if (!set->training)
        return;
    lo->use.da = &lo->a->part[HN_PART_GRAD];
    lo->use.db = &lo->b->part[HN_PART_GRAD];
    lo->use.dropout = lo->mag ? 0 : lo->dropout; /* DoRA's is an operation of its own */
}

void hn_moment_shape(struct hn_tensor *t, enum hn_moments moments, int part)
{
    if (part < HN_PART_M)
        return;
    if (moments == HN_MOMENTS_8BIT) {
        t->cols = hn_state8_words(t->rows * t->cols);
        t->rows = 1;
    } else if (moments == HN_MOMENTS_NONE || (moments == HN_MOMENTS_ONE && part == HN_PART_V)) {
        t->rows = 0;
    }
}

/* Lay out and bind the tensors of every lora that is present with its rank set. */
static int bind(struct hone_model *m, struct hn_adapter_set *set, bool training,
                struct hone_err *err)
{
    size_t n_parts = training ? HN_PART_COUNT : 1, n = 0, offset = 0;
    int64_t n_all = m->spec.n_layers * HN_LINEAR_COUNT;
    struct hn_tensor **list = hn_calloc((size_t)n_all * (3 * HN_PART_COUNT + 3), sizeof *list);
    set->params = hn_calloc((size_t)n_all * 3, sizeof *set->params);
    if (!list || !set->params) {
        hn_free(list);
        return hn_fail_memory(err, "making an adapter");
    }
    set->training = training;
    set->n_layers = set->first_block = m->spec.n_layers;
    for (int64_t i = 0; i < n_all; i++)
        if (set->loras[i].present)
            give_params(m, set, i);
    for (size_t part = 0; part < n_parts; part++) {
        for (size_t i = 0; i < set->n_params; i++) {
            struct hn_tensor *t = &set->params[i].part[part];
            hn_moment_shape(t, m->moments, (int)part);
            hn_tensor_place(t, t->rows, t->cols, &offset);
            list[n++] = t;
        }
    }
    for (int64_t i = 0; i < n_all && set->dora; i++) {
        struct hn_lora *lo = &set->loras[i];
        struct hn_tensor *const rows[] = {&lo->squares, &lo->norm, &lo->factor};
        for (size_t k = 0; k < HN_COUNT(rows) && lo->present; k++) {
            hn_tensor_place(rows[k], 1, lo->mag->part[HN_PART_PARAM].cols, &offset);
            list[n++] = rows[k];
        }
    }
    set->arena_size = offset;
    int rc = m->backend->bind(m->dev, list, n, offset, &set->arena, err);
    for (size_t i = 0; i < n && !rc; i++)
        m->backend->zero(m->dev, list[i]);
    hn_free(list);
    return rc;
}

/* The model takes the set.  DoRA's operations need working memory before any plan is there. */
static int adopt(struct hone_model *m, const struct hn_adapter_set *set, struct hone_err *err)
{
    const struct hn_spec *s = &m->spec;
    const struct hn_limits limits = {
        .max_tokens = 1,
        .max_seqs = 1,
        .max_rows = 1,
        .max_width = HN_MAX(HN_MAX(s->d_ff, s->d_model), s->n_heads * s->head_size),
        .d_model = s->d_model,
        .vocab = s->vocab_size,
        .n_heads = s->n_heads,
        .n_kv_heads = s->n_kv_heads,
        .head_size = s->head_size,
        .max_rank = set->max_rank,
        .max_context = 1,
    };
    hn_adapters_release(m);
    m->adapters = *set;
    if (!set->dora)
        return 0;
    int rc = m->backend->reserve(m->dev, &limits, err);
    for (int64_t i = 0; i < s->n_layers * HN_LINEAR_COUNT && !rc; i++)
        if (set->loras[i].present)
            m->backend->row_squares(m->dev, &m->adapters.loras[i].squares,
                                    m->blocks[i / HN_LINEAR_COUNT].w[i % HN_LINEAR_COUNT]);
    return rc;
}

void hn_adapters_refresh(struct hone_model *m)
{
    for (int64_t i = 0; i < m->spec.n_layers * HN_LINEAR_COUNT && m->adapters.dora; i++) {
        struct hn_lora *lo = &m->adapters.loras[i];
        if (lo->present)
            m->backend->dora_norms(
                m->dev, &lo->norm, &lo->factor, &lo->mag->part[HN_PART_PARAM], &lo->squares,
                m->blocks[i / HN_LINEAR_COUNT].w[i % HN_LINEAR_COUNT], &lo->still);
    }
}

static struct hn_lora *new_loras(const struct hone_model *m)
{
    return hn_calloc((size_t)m->spec.n_layers * HN_LINEAR_COUNT, sizeof(struct hn_lora));
}

/* Does a target name this linear: by its last name, its name in the block, its whole path (globs
 * allowed in each), or "all-linear"? */
static bool matches(const char *target, int64_t block, enum hn_linear_id id)
{
    char path[96];
    const char *name = hn_linear_name(id);
    hn_linear_path(block, id, path);
    return strcmp(target, "all-linear") == 0 || fnmatch(target, strchr(name, '.') + 1, 0) == 0 ||
           fnmatch(target, name, 0) == 0 || fnmatch(target, path, 0) == 0;
}

static int choose(const struct hone_model *m, const struct hn_adapter_config *c,
                  struct hn_lora *loras, struct hone_err *err)
{
    int64_t n = m->spec.n_layers, first = c->num_layers > 0 ? n - c->num_layers : 0;
    if (c->num_layers > n)
        return hn_fail(err, HONE_USAGE, "num-layers is %lld, but the model has %lld blocks",
                       (long long)c->num_layers, (long long)n);
    for (size_t t = 0; t < c->n_targets; t++) {
        bool found = false;
        for (int64_t i = 0; i < n * HN_LINEAR_COUNT; i++) {
            enum hn_linear_id id = (enum hn_linear_id)(i % HN_LINEAR_COUNT);
            if (!matches(c->targets[t], i / HN_LINEAR_COUNT, id))
                continue;
            found = true;
            if (i / HN_LINEAR_COUNT >= first)
                loras[i].present = true;
        }
        if (!found)
            return hn_fail(err, HONE_USAGE,
                           "the target module \"%s\" matches no linear layer of the model; it has "
                           "q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj and down_proj",
                           c->targets[t]);
    }
    return 0;
}

/* A starts uniform in ±1/sqrt(in), as PEFT's (kaiming_uniform with a = sqrt(5)). */
static int draw(struct hone_model *m, uint64_t seed, struct hone_err *err)
{
    int64_t n_all = m->spec.n_layers * HN_LINEAR_COUNT;
    for (int64_t i = 0; i < n_all; i++) {
        struct hn_lora *lo = &m->adapters.loras[i];
        if (!lo->present)
            continue;
        struct hn_tensor *a = &lo->a->part[HN_PART_PARAM];
        size_t n = (size_t)(a->rows * a->cols);
        float *values = hn_calloc(n, sizeof *values), bound = 1 / sqrtf((float)a->cols);
        if (!values)
            return hn_fail_memory(err, "making an adapter");
        const uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
        for (size_t k = 0; k < n; k++) {
            uint32_t counter[4] = {(uint32_t)k, 0, (uint32_t)i, STREAM_ADAPTER_START}, words[4];
            hn_philox(counter, key, words);
            values[k] = ((float)(words[0] >> 8) * 0x1p-23f - 1) * bound;
        }
        m->backend->write(m->dev, a, values);
        hn_free(values);
    }
    return 0;
}

/* A as drawn, B at zero, the magnitudes as the lengths that they stand for. */
static int start(struct hone_model *m, const struct hn_adapter_config *c, struct hone_err *err)
{
    int64_t n_all = m->spec.n_layers * HN_LINEAR_COUNT;
    int rc = c->mlx_start ? hn_adapters_draw_mlx(m, c->seed, err) : draw(m, c->seed, err);
    if (rc)
        return rc;
    hn_adapters_refresh(m);
    for (int64_t i = 0; i < n_all && m->adapters.dora; i++)
        if (m->adapters.loras[i].present) /* W's own length, for B is zero */
            m->backend->copy(m->dev, &m->adapters.loras[i].mag->part[HN_PART_PARAM],
                             &m->adapters.loras[i].norm);
    hn_adapters_refresh(m);
    return 0;
}

int hn_adapters_make(struct hone_model *m, const struct hn_adapter_config *c, struct hone_err *err)
{
    if (c->full)
        return hn_full_make(m, c->num_layers, err);
    struct hn_adapter_set set = {.loras = new_loras(m), .dora = c->use_dora};
    if (!set.loras)
        return hn_fail_memory(err, "making an adapter");
    int rc = choose(m, c, set.loras, err);
    double scale = c->scale > 0
                       ? c->scale
                       : c->alpha / (c->use_rslora ? sqrt((double)c->rank) : (double)c->rank);
    for (int64_t i = 0; i < m->spec.n_layers * HN_LINEAR_COUNT; i++) {
        set.loras[i].rank = c->rank;
        set.loras[i].use.scale = (float)scale;
        set.loras[i].dropout = c->dropout;
    }
    if (!rc)
        rc = bind(m, &set, true, err);
    if (rc) {
        hn_free(set.loras);
        hn_free(set.params);
        return rc;
    }
    rc = adopt(m, &set, err);
    return rc ? rc : start(m, c, err);
}

/* Which linear a path names; false when none. */
static bool find_linear(const struct hone_model *m, const char *path, int64_t *index)
{
    for (int64_t i = 0; i < m->spec.n_layers * HN_LINEAR_COUNT; i++) {
        char name[96];
        hn_linear_path(i / HN_LINEAR_COUNT, (enum hn_linear_id)(i % HN_LINEAR_COUNT), name);
        if (strcmp(name, path) == 0) {
            *index = i;
            return true;
        }
    }
    return false;
}

static int take(const struct hone_model *m, const struct hn_adapter_file *f, struct hn_lora *loras,
                const struct hn_adapter_module **from, float dropout, struct hone_err *err)
{
    for (size_t k = 0; k < f->n; k++) {
        const struct hn_adapter_module *mod = &f->modules[k];
        int64_t i;
        if (!find_linear(m, mod->path, &i))
            return hn_fail(err, HONE_FAILED,
                           "%s: the adapter's module %s does not exist in the base model %s (%s, "
                           "%lld blocks)",
                           f->weights_path, mod->path, m->files.path, m->spec.family->name,
                           (long long)m->spec.n_layers);
        enum hn_linear_id id = (enum hn_linear_id)(i % HN_LINEAR_COUNT);
        int64_t in = hn_linear_in(&m->spec, id), out = hn_linear_out(&m->spec, id);
        if (mod->in != in || mod->out != out)
            return hn_fail(err, HONE_FAILED,
                           "%s: the adapter's module %s maps %lld to %lld, but in the base model "
                           "%s it maps %lld to %lld",
                           f->weights_path, mod->path, (long long)mod->in, (long long)mod->out,
                           m->files.path, (long long)in, (long long)out);
        loras[i].present = true;
        loras[i].rank = mod->rank;
        loras[i].use.scale = (float)mod->scale;
        loras[i].dropout = dropout;
        from[i] = mod;
    }
    return 0;
}

int hn_adapters_load(struct hone_model *m, const struct hn_adapter_file *f, bool training,
                     float dropout, struct hone_err *err)
{
    int64_t n_all = m->spec.n_layers * HN_LINEAR_COUNT;
    if (f->full)
        return hn_full_load(m, f, training, err);
    struct hn_adapter_set set = {.loras = new_loras(m), .dora = f->use_dora};
    const struct hn_adapter_module **from = hn_calloc((size_t)n_all, sizeof *from);
    int rc = set.loras && from ? take(m, f, set.loras, from, dropout, err)
                               : hn_fail_memory(err, "loading an adapter");
    if (!rc)
        rc = bind(m, &set, training, err);
    if (rc) {
        hn_free(set.loras);
        hn_free(set.params);
        hn_free(from);
        return rc;
    }
    rc = adopt(m, &set, err);
    for (int64_t i = 0; i < n_all && !rc; i++) {
        const struct hn_lora *lo = &set.loras[i];
        if (!from[i])
            continue;
        m->backend->write(m->dev, &lo->a->part[HN_PART_PARAM], from[i]->a);
        m->backend->write(m->dev, &lo->b->part[HN_PART_PARAM], from[i]->b);
        if (lo->mag)
            m->backend->write(m->dev, &lo->mag->part[HN_PART_PARAM], from[i]->magnitude);
    }
    hn_free(from);
    if (!rc)
        hn_adapters_refresh(m);
    return rc;
}

/* -------------------------------------------------------------------------------------------- */

int hn_adapters_read(const struct hone_model *m, enum hn_adapter_part part, float *out,
                     struct hone_err *err)
{
    int rc = 0;
    for (size_t i = 0; i < m->adapters.n_params && !rc; i++) {
        const struct hn_tensor *t = &m->adapters.params[i].part[part];
        rc = m->backend->read(m->dev, t, out, err);
        out += t->rows * t->cols;
    }
    return rc;
}

int64_t hn_adapters_count(const struct hone_model *m, enum hn_adapter_part part)
{
    int64_t n = 0;
    for (size_t i = 0; i < m->adapters.n_params; i++)
        n += m->adapters.params[i].part[part].rows * m->adapters.params[i].part[part].cols;
    return n;
}

int hn_adapters_save(const struct hone_model *m, const char *dir, const char *base_model,
                     double alpha, double dropout, bool use_rslora, int64_t num_layers,
                     struct hone_err *err)
{
    const struct hn_adapter_set *set = &m->adapters;
    if (set->full)
        return hn_full_save(m, dir, base_model, num_layers, err);
    float *values = hn_calloc((size_t)set->n_parameters, sizeof *values), *at = values;
    char(*paths)[96] = hn_calloc((size_t)set->n_present, sizeof *paths);
    struct hn_adapter_module *modules = hn_calloc((size_t)set->n_present, sizeof *modules);
    int rc = values && paths && modules ? hn_adapters_read(m, HN_PART_PARAM, values, err)
                                        : hn_fail_memory(err, "saving an adapter");
    size_t n = 0;
    for (int64_t i = 0; i < m->spec.n_layers * HN_LINEAR_COUNT && !rc; i++) {
        const struct hn_lora *lo = &set->loras[i];
        if (!lo->present)
            continue;
        hn_linear_path(i / HN_LINEAR_COUNT, (enum hn_linear_id)(i % HN_LINEAR_COUNT), paths[n]);
        int64_t in = lo->use.a->cols, out = lo->use.b->rows;
        const float *a = at, *b = a + lo->rank * in, *magnitude = b + out * lo->rank;
        at += lo->rank * (in + out) + (lo->mag ? out : 0);
        modules[n] = (struct hn_adapter_module){.path = paths[n],
                                                .rank = lo->rank,
                                                .in = in,
                                                .out = out,
                                                .a = a,
                                                .b = b,
                                                .magnitude = lo->mag ? magnitude : NULL,
                                                .scale = (double)lo->use.scale};
        n++;
    }
    if (!rc) {
        struct hn_adapter_spec spec = {.modules = modules,
                                       .n = n,
                                       .base_model = base_model,
                                       .alpha = alpha,
                                       .dropout = dropout,
                                       .use_rslora = use_rslora,
                                       .use_dora = set->dora,
                                       .model_layers = m->spec.n_layers,
                                       .num_layers = num_layers,
                                       .config = m->adapter_file.config};
        rc = hn_adapter_write(dir, &spec, err);
    }
    hn_free(values);
    hn_free(paths);
    hn_free(modules);
    return rc;
}

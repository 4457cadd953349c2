#include "model/full.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/os.h"

#include <stdio.h>
#include <string.h>

enum { NAME_SIZE = 112, NORMS = 4 };

/* One weight of a model. */
struct place {
    char name[NAME_SIZE];
    int64_t block; /* -1: outside the blocks */
    int64_t rows, cols;
    bool vector;
    struct hn_weight **slot;
    struct hn_param **param; /* where the decoder looks for it */
};

static int64_t count_places(const struct hone_model *m)
{
    return 3 + m->spec.n_layers * (NORMS + 2 * HN_LINEAR_COUNT);
}

static bool norm_at(struct hone_model *m, int64_t l, int64_t i, struct place *p)
{
    const struct hn_spec *s = &m->spec;
    struct hn_block *b = &m->blocks[l];
    struct hn_block_params *q = m->adapters.blocks ? &m->adapters.blocks[l] : NULL;
    const struct {
        const char *name;
        int64_t n;
        struct hn_weight **slot;
        struct hn_param **param;
    } norms[NORMS] = {
        {"input_layernorm", s->d_model, &b->attn_norm, q ? &q->attn_norm : NULL},
        {"post_attention_layernorm", s->d_model, &b->ffn_norm, q ? &q->ffn_norm : NULL},
        {"self_attn.q_norm", s->head_size, &b->q_norm, q ? &q->q_norm : NULL},
        {"self_attn.k_norm", s->head_size, &b->k_norm, q ? &q->k_norm : NULL},
    };
    *p = (struct place){.block = l,
                        .rows = 1,
                        .cols = norms[i].n,
                        .vector = true,
                        .slot = norms[i].slot,
                        .param = norms[i].param};
    snprintf(p->name, sizeof p->name, "model.layers.%lld.%s.weight", (long long)l, norms[i].name);
    return *p->slot != NULL;
}

static bool linear_at(struct hone_model *m, int64_t l, enum hn_linear_id id, bool bias,
                      struct place *p)
{
    struct hn_block *b = &m->blocks[l];
    struct hn_block_params *q = m->adapters.blocks ? &m->adapters.blocks[l] : NULL;
    int64_t out = hn_linear_out(&m->spec, id);
    char path[96];
    hn_linear_path(l, id, path);
    *p = (struct place){.block = l, .rows = bias ? 1 : out, .vector = bias};
    p->cols = bias ? out : hn_linear_in(&m->spec, id);
    p->slot = bias ? &b->bias[id] : &b->w[id];
    if (q)
        p->param = bias ? &q->bias[id] : &q->w[id];
    snprintf(p->name, sizeof p->name, "%s.%s", path, bias ? "bias" : "weight");
    return *p->slot != NULL;
}

/* Weight number i; false when the model has none there. */
static bool place_at(struct hone_model *m, int64_t i, struct place *p)
{
    const struct hn_spec *s = &m->spec;
    struct hn_adapter_set *set = &m->adapters;
    int64_t per_block = NORMS + 2 * HN_LINEAR_COUNT, blocks = s->n_layers * per_block;
    if (i > 0 && i <= blocks) {
        int64_t l = (i - 1) / per_block, k = (i - 1) % per_block - NORMS;
        if (k < 0)
            return norm_at(m, l, k + NORMS, p);
        return linear_at(m, l, (enum hn_linear_id)(k / 2), k % 2 != 0, p);
    }
    *p = (struct place){.block = -1, .rows = s->vocab_size, .cols = s->d_model};
    if (i == 0) {
        snprintf(p->name, sizeof p->name, "model.embed_tokens.weight");
        p->slot = &m->embed, p->param = &set->embed;
    } else if (i == blocks + 1) {
        snprintf(p->name, sizeof p->name, "model.norm.weight");
        p->slot = &m->final_norm, p->param = &set->final_norm;
        p->rows = 1, p->vector = true;
    } else {
        snprintf(p->name, sizeof p->name, "lm_head.weight");
        p->slot = &m->head, p->param = &set->head;
        return m->head != m->embed;
    }
    return true;
}

/* ---- swapping weights ---------------------------------------------------------------------- */

static void swap_in(struct hone_model *m, struct hn_weight **slot, struct hn_weight *now)
{
    struct hn_replaced *r = &m->adapters.replaced[m->adapters.n_replaced++];
    bool tied = slot == &m->embed && m->head == m->embed;
    *r = (struct hn_replaced){slot, *slot, tied};
    *slot = now;
    if (tied)
        m->head = now;
}

static void count_mapped(struct hone_model *m, int64_t change)
{
    m->mapped_bytes = (uint64_t)((int64_t)m->mapped_bytes + change);
    m->adapters.mapped_change += change;
}

void hn_full_release(struct hone_model *m)
{
    struct hn_adapter_set *set = &m->adapters;
    for (size_t i = 0; i < set->n_replaced; i++) {
        struct hn_replaced *r = &set->replaced[i];
        m->backend->weight_close(m->dev, r->slot);
        *r->slot = r->own;
        if (r->tied)
            m->head = r->own;
    }
    count_mapped(m, -set->mapped_change);
    hn_free(set->replaced);
    hn_free(set->blocks);
    hn_free(set->names);
}

/* ---- training ------------------------------------------------------------------------------ */

static int check_type(const struct hone_model *m, const char *name, struct hone_err *err)
{
    struct hn_matrix w;
    int rc = hn_bundle_matrix(m->bundle, name, &w, err);
    if (rc || w.layout <= HN_LAYOUT_BF16)
        return rc;
    return hn_fail(err, HONE_FAILED,
                   "fine-tune-type full changes the weights themselves, but %s is quantised (%s: "
                   "%s): use --fine-tune-type lora or dora on it, or train the model's float "
                   "weights (hone convert --dequantize makes them)",
                   m->files.path, name, m->files.quantization);
}

/* The model's own values of a weight, into its copy. */
static int copy_values(struct hone_model *m, const struct place *p, struct hn_tensor *t,
                       struct hone_err *err)
{
    struct hn_matrix w = {0};
    float *values = hn_calloc((size_t)(p->rows * p->cols), sizeof *values);
    int rc = values ? 0 : hn_fail_memory(err, "copying a weight");
    if (!rc && p->vector)
        rc = hn_bundle_decode_vector(m->bundle, p->name, values, p->cols, err);
    else if (!rc)
        rc = hn_bundle_matrix(m->bundle, p->name, &w, err);
    for (int64_t row = 0; row < p->rows && !rc && !p->vector; row++)
        hn_matrix_decode(&w, row, 0, p->cols, values + row * p->cols);
    if (!rc)
        m->backend->write(m->dev, t, values);
    if (!rc && !p->vector && w.data) { /* nobody reads the file's values again */
        hn_map_forget(w.data, hn_matrix_size(&w));
        count_mapped(m, -(int64_t)hn_matrix_size(&w));
    }
    hn_free(values);
    return rc;
}

static int copy_file_values(struct hone_model *m, const struct hn_st_tensor *from,
                            struct hn_tensor *t, struct hone_err *err)
{
    float *values = hn_calloc((size_t)from->n_elements, sizeof *values);
    if (!values)
        return hn_fail_memory(err, "copying a weight");
    for (int64_t i = 0; i < from->n_elements; i++)
        values[i] = hn_dtype_load(from->dtype, from->data, (size_t)i);
    m->backend->write(m->dev, t, values);
    hn_free(values);
    return 0;
}

/* Room for a set that may hold every weight. */
static int open_set(struct hone_model *m, struct hn_adapter_set *set, bool training,
                    struct hone_err *err)
{
    size_t n = (size_t)count_places(m);
    *set = (struct hn_adapter_set){.full = true,
                                   .training = training,
                                   .n_layers = m->spec.n_layers,
                                   .first_block = m->spec.n_layers};
    set->replaced = hn_calloc(n, sizeof *set->replaced);
    if (training) {
        set->params = hn_calloc(n, sizeof *set->params);
        set->names = hn_calloc(n, NAME_SIZE);
        set->blocks = hn_calloc((size_t)m->spec.n_layers, sizeof *set->blocks);
    }
    if (set->replaced && (!training || (set->params && set->names && set->blocks)))
        return 0;
    hn_free(set->replaced);
    hn_free(set->params);
    hn_free(set->names);
    hn_free(set->blocks);
    return hn_fail_memory(err, "preparing the weights");
}

/* Is this weight to be trained? */
static bool chosen(const struct hone_model *m, const struct place *p, int64_t num_layers,
                   const struct hn_adapter_file *f)
{
    if (f)
        return hn_st_find(&f->weights, p->name) != NULL;
    return num_layers <= 0 || p->block >= m->spec.n_layers - num_layers;
}

/* The embedding's moments stay in float32, as transformers' Trainer has bitsandbytes keep them:
 * most of its rows have no gradient, and a second moment that is rounded to 0 makes steps of m/eps.
 */
static enum hn_moments moments_of(const struct hone_model *m, int64_t place)
{
    return place == 0 && m->moments == HN_MOMENTS_8BIT ? HN_MOMENTS_TWO : m->moments;
}

/* The parameters of the set, with their names and their places in the decoder. */
static int list_params(struct hone_model *m, int64_t num_layers, const struct hn_adapter_file *f,
                       struct hone_err *err)
{
    struct hn_adapter_set *set = &m->adapters;
    size_t offset = 0;
    int rc = 0;
    for (int64_t i = 0; i < count_places(m) && !rc; i++) {
        struct place p;
        if (!place_at(m, i, &p) || !chosen(m, &p, num_layers, f))
            continue;
        rc = p.vector ? 0 : check_type(m, p.name, err);
        struct hn_param *param = &set->params[set->n_params];
        memcpy(set->names[set->n_params++], p.name, NAME_SIZE);
        *p.param = param;
        for (int part = 0; part < HN_PART_COUNT; part++) {
            struct hn_tensor *t = &param->part[part];
            *t = (struct hn_tensor){.rows = p.rows, .cols = p.cols};
            hn_moment_shape(t, moments_of(m, i), part);
            hn_tensor_place(t, t->rows, t->cols, &offset);
        }
        set->n_parameters += p.rows * p.cols;
        set->largest = HN_MAX(set->largest, p.rows * p.cols);
        if (p.block >= 0)
            set->first_block = HN_MIN(set->first_block, p.block);
    }
    if (set->embed)
        set->first_block = 0;
    set->arena_size = offset;
    return rc;
}

static int bind_params(struct hone_model *m, struct hone_err *err)
{
    struct hn_adapter_set *set = &m->adapters;
    struct hn_tensor **list = hn_calloc(set->n_params * HN_PART_COUNT, sizeof *list);
    size_t n = 0;
    if (!list)
        return hn_fail_memory(err, "preparing the weights");
    if (set->arena_size > hn_memory_available()) {
        hn_free(list);
        return hn_fail(err, HONE_FAILED,
                       "full fine-tuning of %s needs %.2f GB for %lld weights, their gradients and "
                       "the optimizer's state alone, but only %.2f GB are available; train fewer "
                       "blocks (--num-layers), or an adapter (--fine-tune-type lora)",
                       m->files.path, (double)set->arena_size * 1e-9, (long long)set->n_parameters,
                       (double)hn_memory_available() * 1e-9);
    }
    for (size_t i = 0; i < set->n_params; i++)
        for (int part = 0; part < HN_PART_COUNT; part++)
            list[n++] = &set->params[i].part[part];
    int rc = m->backend->bind(m->dev, list, n, set->arena_size, &set->arena, err);
    for (size_t i = 0; i < n && !rc; i++)
        if (i % HN_PART_COUNT != HN_PART_PARAM)
            m->backend->zero(m->dev, list[i]);
    hn_free(list);
    return rc;
}

static int make(struct hone_model *m, int64_t num_layers, const struct hn_adapter_file *f,
                struct hone_err *err)
{
    struct hn_adapter_set set;
    hn_adapters_release(m);
    int rc = open_set(m, &set, true, err);
    if (rc)
        return rc;
    m->adapters = set;
    rc = list_params(m, num_layers, f, err);
    if (!rc)
        rc = bind_params(m, err);
    for (int64_t i = 0; i < count_places(m) && !rc; i++) {
        struct place p;
        struct hn_weight *now = NULL;
        if (!place_at(m, i, &p) || !*p.param)
            continue;
        struct hn_tensor *t = &(*p.param)->part[HN_PART_PARAM];
        rc = f ? copy_file_values(m, hn_st_find(&f->weights, p.name), t, err)
               : copy_values(m, &p, t, err);
        if (!rc)
            rc = m->backend->weight_of_tensor(m->dev, t, &now, err);
        if (!rc)
            swap_in(m, p.slot, now);
    }
    if (rc)
        hn_adapters_release(m);
    return rc;
}

int hn_full_make(struct hone_model *m, int64_t num_layers, struct hone_err *err)
{
    if (num_layers > m->spec.n_layers)
        return hn_fail(err, HONE_USAGE, "num-layers is %lld, but the model has %lld blocks",
                       (long long)num_layers, (long long)m->spec.n_layers);
    return make(m, num_layers, NULL, err);
}

/* ---- loading ------------------------------------------------------------------------------- */

static bool find_place(struct hone_model *m, const char *name, struct place *p)
{
    for (int64_t i = 0; i < count_places(m); i++)
        if (place_at(m, i, p) && strcmp(p->name, name) == 0)
            return true;
    return false;
}

static int check_file(struct hone_model *m, const struct hn_adapter_file *f, struct hone_err *err)
{
    for (size_t i = 0; i < f->weights.n; i++) {
        const struct hn_st_tensor *t = &f->weights.tensors[i];
        struct place p;
        if (!find_place(m, t->name, &p))
            return hn_fail(err, HONE_FAILED,
                           "%s: the tensor %s is no weight of the base model %s (%s, %lld blocks)",
                           f->weights_path, t->name, m->files.path, m->spec.family->name,
                           (long long)m->spec.n_layers);
        bool fits = p.vector ? t->n_dims == 1 && t->shape[0] == p.cols
                             : t->n_dims == 2 && t->shape[0] == p.rows && t->shape[1] == p.cols;
        if (!fits)
            return hn_fail(err, HONE_FAILED,
                           "%s: the tensor %s has %lld elements in %d dimensions, but in the base "
                           "model %s it is [%lld, %lld]",
                           f->weights_path, t->name, (long long)t->n_elements, t->n_dims,
                           m->files.path, (long long)p.rows, (long long)p.cols);
        if (t->dtype != HN_F32 && t->dtype != HN_F16 && t->dtype != HN_BF16)
            return hn_fail(err, HONE_FAILED,
                           "%s: the tensor %s is of type %s, expected F32, F16 or BF16",
                           f->weights_path, t->name, hn_dtype_name(t->dtype));
    }
    return 0;
}

/* The weights where they lie in the file. */
static int view(struct hone_model *m, const struct hn_adapter_file *f, struct hone_err *err)
{
    int rc = 0;
    for (size_t i = 0; i < f->weights.n && !rc; i++) {
        const struct hn_st_tensor *t = &f->weights.tensors[i];
        struct hn_weight *now = NULL;
        struct place p;
        if (!find_place(m, t->name, &p))
            continue;
        const struct hn_matrix w = {.layout = hn_dtype_layout(t->dtype),
                                    .rows = p.rows,
                                    .cols = p.cols,
                                    .data = t->data,
                                    .row_size = (size_t)p.cols * hn_dtype_size(t->dtype)};
        struct hn_matrix own;
        rc = m->backend->weight_open(m->dev, &w, &now, err);
        if (!rc)
            swap_in(m, p.slot, now);
        if (!rc && !p.vector)
            rc = hn_bundle_matrix(m->bundle, p.name, &own, err);
        if (!rc && !p.vector)
            count_mapped(m, (int64_t)t->size - (int64_t)hn_matrix_size(&own));
        m->adapters.n_parameters += t->n_elements;
    }
    return rc;
}

int hn_full_load(struct hone_model *m, const struct hn_adapter_file *f, bool training,
                 struct hone_err *err)
{
    struct hn_adapter_set set;
    int rc = check_file(m, f, err);
    if (rc)
        return rc;
    if (training)
        return make(m, 0, f, err);
    hn_adapters_release(m);
    rc = open_set(m, &set, false, err);
    if (rc)
        return rc;
    m->adapters = set;
    rc = view(m, f, err);
    if (rc)
        hn_adapters_release(m);
    return rc;
}

/* ---- saving -------------------------------------------------------------------------------- */

int hn_full_save(const struct hone_model *m, const char *dir, const char *base_model,
                 int64_t num_layers, struct hone_err *err)
{
    const struct hn_adapter_set *set = &m->adapters;
    struct hn_st_entry *entries = hn_calloc(set->n_params, sizeof *entries);
    int64_t(*shapes)[2] = hn_calloc(set->n_params, sizeof *shapes);
    float *values = hn_calloc((size_t)set->largest, sizeof *values);
    struct hn_st_writer w;
    int rc = entries && shapes && values ? 0 : hn_fail_memory(err, "saving the weights");
    for (size_t i = 0; i < set->n_params && !rc; i++) {
        const struct hn_tensor *t = &set->params[i].part[HN_PART_PARAM];
        bool vector = t->rows == 1;
        shapes[i][0] = vector ? t->cols : t->rows;
        shapes[i][1] = t->cols;
        entries[i] = (struct hn_st_entry){
            .name = set->names[i], .dtype = HN_F32, .n_dims = vector ? 1 : 2, .shape = shapes[i]};
    }
    if (!rc)
        rc = hn_adapter_write_full(&w, dir, entries, set->n_params, err);
    if (!rc) {
        for (size_t i = 0; i < set->n_params && !rc; i++) {
            const struct hn_tensor *t = &set->params[i].part[HN_PART_PARAM];
            rc = m->backend->read(m->dev, t, values, err);
            hn_st_writer_add(&w, values, (size_t)(t->rows * t->cols) * sizeof *values);
        }
        if (rc)
            hn_st_writer_cancel(&w);
        else
            rc = hn_st_writer_commit(&w, err);
    }
    if (!rc)
        rc = hn_adapter_write_full_config(dir, base_model, num_layers, err);
    hn_free(entries);
    hn_free(shapes);
    hn_free(values);
    return rc;
}

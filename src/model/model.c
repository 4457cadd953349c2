#include "model/model.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/os.h"

#include <stdio.h>
#include <string.h>

/* -------------------------------------------------------------------------------------------- */
/* weights */

static void count_weight(struct hone_model *m, const struct hn_matrix *w)
{
    size_t own = m->backend->weight_private_size(m->dev, w);
    m->private_bytes += own;
    m->mapped_bytes += own ? 0 : hn_matrix_size(w);
    m->read_bytes += hn_matrix_size(w);
}

/* w becomes what the options make of the matrix of this module, in memory of the model's own. */
static int quantize(struct hone_model *m, const char *name, struct hn_pool *pool,
                    struct hn_matrix *w, struct hone_err *err)
{
    struct hn_quantized *q;
    int rc = hn_quantize_open(&q, w, name, &m->quantize, pool, err);
    if (rc)
        return hn_fail_prefix(err, "%s", m->files.path);
    q->next = m->quantized;
    m->quantized = q;
    m->saved_bytes += (int64_t)hn_matrix_size(w) - (int64_t)q->size;
    m->private_bytes += q->size;
    m->read_bytes += q->size;
    *w = q->m;
    return 0;
}

/* pool: quantise it; NULL: as it is. */
static int open_matrix(struct hone_model *m, const char *name, int64_t rows, int64_t cols,
                       struct hn_pool *pool, struct hn_weight **out, struct hone_err *err)
{
    struct hn_matrix w;
    int rc = hn_bundle_matrix(m->bundle, name, &w, err);
    if (rc)
        return rc;
    if (w.rows != rows || w.cols != cols)
        return hn_fail(err, HONE_FAILED,
                       "%s: the tensor %s is [%lld, %lld], but the configuration makes it "
                       "[%lld, %lld]",
                       m->files.path, name, (long long)w.rows, (long long)w.cols, (long long)rows,
                       (long long)cols);
    if (pool)
        rc = quantize(m, name, pool, &w, err);
    else
        count_weight(m, &w);
    return rc ? rc : m->backend->weight_open(m->dev, &w, out, err);
}

static int open_vector(struct hone_model *m, const char *name, int64_t n, struct hn_weight **out,
                       struct hone_err *err)
{
    float *values = hn_calloc((size_t)n, sizeof *values);
    if (!values)
        return hn_fail_memory(err, "opening the model");
    int rc = hn_bundle_decode_vector(m->bundle, name, values, n, err);
    if (!rc) {
        struct hn_matrix w = {.layout = HN_LAYOUT_F32,
                              .rows = 1,
                              .cols = n,
                              .data = (const unsigned char *)values,
                              .row_size = (size_t)n * sizeof *values};
        m->private_bytes += (uint64_t)n * sizeof *values;
        rc = m->backend->weight_open(m->dev, &w, out, err);
    }
    hn_free(values);
    return rc;
}

/* The pool when the module's weight is to be quantised, else NULL. */
static struct hn_pool *pool_for(const struct hone_model *m, struct hn_pool *pool,
                                const char *module)
{
    return hn_quantize_wanted(&m->quantize) && hn_quantize_takes(&m->quantize, module) ? pool
                                                                                       : NULL;
}

static int open_linear(struct hone_model *m, int64_t l, enum hn_linear_id id, struct hn_pool *pool,
                       struct hone_err *err)
{
    struct hn_block *b = &m->blocks[l];
    char path[96], name[112];
    int64_t out = hn_linear_out(&m->spec, id);
    hn_linear_path(l, id, path);
    snprintf(name, sizeof name, "%s.weight", path);
    int rc = open_matrix(m, name, out, hn_linear_in(&m->spec, id), pool_for(m, pool, path),
                         &b->w[id], err);
    if (rc)
        return rc;
    snprintf(name, sizeof name, "%s.bias", path);
    bool must = m->spec.family->qkv_bias && id <= HN_LINEAR_V;
    if (!m->spec.bias[id] || (!must && !hn_bundle_has(m->bundle, name)))
        return 0;
    return open_vector(m, name, out, &b->bias[id], err);
}

static int open_block(struct hone_model *m, int64_t l, struct hn_pool *pool, struct hone_err *err)
{
    const struct {
        const char *name;
        int64_t n;
        struct hn_weight **out;
        bool wanted;
    } norms[] = {
        {"input_layernorm", m->spec.d_model, &m->blocks[l].attn_norm, true},
        {"post_attention_layernorm", m->spec.d_model, &m->blocks[l].ffn_norm, true},
        {"self_attn.q_norm", m->spec.head_size, &m->blocks[l].q_norm, m->spec.family->qk_norm},
        {"self_attn.k_norm", m->spec.head_size, &m->blocks[l].k_norm, m->spec.family->qk_norm},
    };
    int rc = 0;
    for (size_t i = 0; i < HN_COUNT(norms) && !rc; i++) {
        char name[112];
        snprintf(name, sizeof name, "model.layers.%lld.%s.weight", (long long)l, norms[i].name);
        if (norms[i].wanted)
            rc = open_vector(m, name, norms[i].n, norms[i].out, err);
    }
    for (int id = 0; id < HN_LINEAR_COUNT && !rc; id++)
        rc = open_linear(m, l, (enum hn_linear_id)id, pool, err);
    return rc;
}

static int open_head(struct hone_model *m, struct hn_pool *pool, struct hone_err *err)
{
    m->spec.tied = hn_bundle_tied(m->bundle, m->spec.tied);
    if (m->spec.tied) {
        m->head = m->embed;
        return 0;
    }
    return open_matrix(m, "lm_head.weight", m->spec.vocab_size, m->spec.d_model,
                       pool_for(m, pool, "lm_head"), &m->head, err);
}

static int open_rope(struct hone_model *m, struct hone_err *err)
{
    static const char name[] = "rope_freqs.weight";
    int64_t n = m->spec.head_size / 2;
    float *factors = NULL;
    int rc = 0;
    m->inv_freq = hn_calloc((size_t)n, sizeof *m->inv_freq);
    if (hn_bundle_has(m->bundle, name))
        factors = hn_calloc((size_t)n, sizeof *factors);
    if (!m->inv_freq || (hn_bundle_has(m->bundle, name) && !factors))
        rc = hn_fail_memory(err, "opening the model");
    else if (factors)
        rc = hn_bundle_decode_vector(m->bundle, name, factors, n, err);
    for (int64_t i = 0; factors && i < n && !rc; i++)
        if (!(factors[i] > 0))
            rc = hn_fail(err, HONE_FAILED, "%s: %s holds %g, expected positive numbers",
                         m->files.path, name, (double)factors[i]);
    if (!rc) {
        float magnitude = hn_rope_frequencies(&m->spec, factors, m->inv_freq);
        m->rope = (struct hn_rope){m->spec.head_size, n, m->inv_freq, magnitude};
    }
    hn_free(factors);
    return rc;
}

/* Drops a wish to quantise that the files have fulfilled already, with a note. */
static void settle_quantize(struct hone_model *m, const struct hone_quantize_options *o)
{
    char text[64];
    if (!hn_quantize_wanted(o))
        return;
    if (hn_bundle_is_quantized(m->bundle)) {
        snprintf(
            m->note, sizeof m->note,
            "the model's files are quantised already (%.60s): %s is unnecessary, they are used "
            "as they are",
            m->files.quantization, o->load_in_8bit ? "load_in_8bit" : "load_in_4bit");
        return;
    }
    m->quantize = *o;
    /* "none (bfloat16)" */
    snprintf(m->quantization, sizeof m->quantization, "%s, made of the files' %.*s",
             hn_quantize_text(o, text), (int)strcspn(m->files.quantization + 6, ")"),
             m->files.quantization + 6);
    m->files.quantization = m->quantization;
}

static int open_weights(struct hone_model *m, struct hn_pool *pool, struct hone_err *err)
{
    m->blocks = hn_calloc((size_t)m->spec.n_layers, sizeof *m->blocks);
    if (!m->blocks)
        return hn_fail_memory(err, "opening the model");
    int rc = open_matrix(m, "model.embed_tokens.weight", m->spec.vocab_size, m->spec.d_model, NULL,
                         &m->embed, err);
    uint64_t embedding = m->read_bytes;
    for (int64_t l = 0; l < m->spec.n_layers && !rc; l++)
        rc = open_block(m, l, pool, err);
    if (!rc)
        rc = open_vector(m, "model.norm.weight", m->spec.d_model, &m->final_norm, err);
    if (!rc)
        rc = open_head(m, pool, err);
    if (m->head != m->embed)
        m->read_bytes -= embedding;
    if (!rc)
        rc = open_rope(m, err);
    return rc;
}

/* What is asked for by name and is not in this build: what it is, and what to do. */
static int no_backend(const char *name, struct hone_err *err)
{
    static const struct {
        const char *name, *why;
    } known[] = {
        {"mlx", "this hone was built without the MLX backend, which is not there yet"},
        {"metal", "Metal is reached through MLX, and that backend is not there yet"},
        {"mps", "Metal is reached through MLX, and that backend is not there yet"},
        {"cuda", "this hone was built without the CUDA backend, which is not there yet"},
        {"gpu", "this hone computes on the processor: no GPU backend is there yet"},
    };
    for (size_t i = 0; i < HN_COUNT(known); i++)
        if (strncmp(known[i].name, name, strlen(known[i].name)) == 0)
            return hn_fail(err, HONE_USAGE,
                           "--backend %s: %s; leave --backend out, or say cpu, which trains and "
                           "runs the same files",
                           name, known[i].why);
    return hn_fail(err, HONE_USAGE, "there is no backend \"%s\"; this hone has cpu", name);
}

/* -------------------------------------------------------------------------------------------- */

struct hn_kv_shape hn_model_kv_shape(const struct hone_model *m, int64_t n_slots, int64_t context)
{
    const struct hn_spec *s = &m->spec;
    return (struct hn_kv_shape){s->n_layers,   n_slots,      context,
                                s->n_kv_heads, s->head_size, m->kv_type};
}

static int open_device(struct hone_model *m, const struct hone_device_options *o,
                       struct hone_err *err)
{
    static const enum hn_class classes[] = {
        [HONE_EXACT] = HN_CLASS_EXACT, [HONE_BF16] = HN_CLASS_BF16, [HONE_INT8] = HN_CLASS_INT8};
    static const enum hn_kv_type kv_types[] = {
        [HONE_KV_F32] = HN_KV_F32, [HONE_KV_F16] = HN_KV_F16, [HONE_KV_Q8_0] = HN_KV_Q8_0};
    struct hn_device_options d = {0};
    if (o)
        d = (struct hn_device_options){o->n_threads, o->cpu_level, classes[o->compute]};
    m->kv_type = o ? kv_types[o->kv_type] : HN_KV_F32;
    m->backend = hn_backend_find(o ? o->backend : NULL);
    if (!m->backend)
        return no_backend(o->backend, err);
    int rc = m->backend->open(&d, &m->dev, err);
    if (!rc)
        snprintf(m->device_text, sizeof m->device_text, "%s", m->backend->describe(m->dev));
    return rc;
}

static int open_base(struct hone_model *m, const char *path,
                     const struct hone_device_options *options, struct hone_err *err)
{
    int rc = hn_bundle_open(&m->bundle, path, err);
    if (rc)
        return rc;
    hn_bundle_info(m->bundle, &m->files);
    if (hn_spec_read(hn_bundle_config(m->bundle), &m->spec, err))
        return hn_fail_prefix(err, "%s: the model's configuration", path);
    const int32_t *eos;
    size_t n = hn_bundle_eos(m->bundle, &eos);
    m->spec.n_eos = HN_MIN(n, (size_t)HN_MAX_EOS);
    for (size_t i = 0; i < m->spec.n_eos; i++)
        m->spec.eos[i] = eos[i];
    m->spec.bos = hn_bundle_bos(m->bundle);
    rc = open_device(m, options, err);
    if (!rc && options)
        rc = hn_quantize_check(&options->quantize, err);
    if (rc)
        return rc;
    struct hn_pool *pool = NULL;
    if (options)
        settle_quantize(m, &options->quantize);
    if (hn_quantize_wanted(&m->quantize))
        rc = hn_pool_open(&pool, options->n_threads, err);
    rc = rc ? rc : open_weights(m, pool, err);
    hn_pool_close(&pool);
    return rc;
}

int hone_adapter_base_model(const char *path, char **out, struct hone_err *err)
{
    struct hn_buf base = {0};
    if (!hn_adapter_is_dir(path))
        return hn_fail(err, HONE_NOT_FOUND, "%s is not an adapter directory", path);
    int rc = hn_adapter_base_model(path, &base, err);
    if (!rc) {
        *out = hn_buf_take(&base);
        rc = *out ? 0 : hn_fail_memory(err, "reading an adapter");
    }
    hn_buf_release(&base);
    return rc;
}

int hone_model_open(struct hone_model **out, const char *path,
                    const struct hone_device_options *options, struct hone_err *err)
{
    struct hone_model *m = hn_calloc(1, sizeof *m);
    if (!m)
        return hn_fail_memory(err, "opening a model");
    char *base = NULL;
    int rc = 0;
    bool adapter = hn_adapter_is_dir(path);
    uint64_t anonymous, before, after;
    hn_resident(&anonymous, &before);
    if (adapter)
        rc = hone_adapter_base_model(path, &base, err);
    if (!rc)
        rc = open_base(m, base ? base : path, options, err);
    hn_resident(&anonymous, &after);
    m->touched_bytes = after > before ? after - before : 0;
    if (!rc && adapter)
        rc = hone_model_load_adapter(m, path, err);
    hn_free(base);
    if (rc)
        hone_model_close(&m);
    else
        *out = m;
    return rc;
}

void hone_model_close(struct hone_model **model)
{
    struct hone_model *m = *model;
    if (!m)
        return;
    *model = NULL;
    if (m->dev) {
        hn_adapters_release(m);
        if (m->head && m->head != m->embed)
            m->backend->weight_close(m->dev, &m->head);
        for (int64_t l = 0; m->blocks && l < m->spec.n_layers; l++) {
            struct hn_block *b = &m->blocks[l];
            struct hn_weight **norms[] = {&b->attn_norm, &b->ffn_norm, &b->q_norm, &b->k_norm};
            for (size_t i = 0; i < HN_COUNT(norms); i++)
                if (*norms[i])
                    m->backend->weight_close(m->dev, norms[i]);
            for (int id = 0; id < HN_LINEAR_COUNT; id++) {
                if (b->w[id])
                    m->backend->weight_close(m->dev, &b->w[id]);
                if (b->bias[id])
                    m->backend->weight_close(m->dev, &b->bias[id]);
            }
        }
        if (m->embed)
            m->backend->weight_close(m->dev, &m->embed);
        if (m->final_norm)
            m->backend->weight_close(m->dev, &m->final_norm);
        m->backend->close(&m->dev);
    }
    hn_quantize_close(&m->quantized);
    hn_adapter_release(&m->adapter_file);
    hn_free(m->adapter_path);
    hn_free(m->blocks);
    hn_free(m->inv_freq);
    hn_bundle_close(&m->bundle);
    hn_free(m);
}

int hone_model_load_adapter(struct hone_model *m, const char *path, struct hone_err *err)
{
    struct hn_adapter_file f = {0};
    char *copy = hn_dup(path, strlen(path));
    int rc = copy ? 0 : hn_fail_memory(err, "loading an adapter");
    if (!rc && !hn_dir_exists(path) && !hn_file_exists(path))
        rc = hn_fail(err, HONE_NOT_FOUND,
                     "adapter %s: there is no such folder or file; hone train writes one into its "
                     "--adapter-path (adapters unless told)",
                     path);
    rc = rc ? rc : hn_adapter_read(&f, path, err);
    if (!rc)
        rc = hn_adapters_load(m, &f, false, 0, err);
    if (rc) {
        hn_adapter_release(&f);
        hn_free(copy);
        return rc;
    }
    hn_adapter_release(&m->adapter_file);
    hn_free(m->adapter_path);
    m->adapter_file = f;
    m->adapter_path = copy;
    return 0;
}

int hn_tokens_check(const struct hone_model *m, const int32_t *ids, size_t n, struct hone_err *err)
{
    for (size_t i = 0; i < n; i++)
        if (ids[i] < 0 || ids[i] >= m->spec.vocab_size)
            return hn_fail(err, HONE_FAILED,
                           "token %zu is %d, but the model %s knows 0 to %lld: this tokenizer is "
                           "not the model's",
                           i, (int)ids[i], m->files.path, (long long)m->spec.vocab_size - 1);
    return 0;
}

void hone_model_info(const struct hone_model *m, struct hone_model_info *out)
{
    const struct hn_spec *s = &m->spec;
    bool bias = false;
    for (int id = HN_LINEAR_Q; id <= HN_LINEAR_V; id++)
        bias |= m->blocks[0].bias[id] != NULL;
    *out = (struct hone_model_info){
        .path = m->files.path,
        .adapter_path = m->adapter_path,
        .tokenizer_path = m->files.tokenizer_path,
        .family = s->family->name,
        .format = m->files.format,
        .quantization = m->files.quantization,
        .device = m->device_text,
        .note = m->note[0] ? m->note : NULL,
        .n_parameters = m->files.n_parameters,
        .weight_bytes = m->files.weight_bytes - m->saved_bytes,
        .file_bytes = m->files.file_bytes,
        .bits_per_weight = m->files.n_parameters
                               ? 8.0 * (double)(m->files.weight_bytes - m->saved_bytes) /
                                     (double)m->files.n_parameters
                               : 0,
        .n_layers = s->n_layers,
        .d_model = s->d_model,
        .n_heads = s->n_heads,
        .n_kv_heads = s->n_kv_heads,
        .head_size = s->head_size,
        .d_ff = s->d_ff,
        .vocab_size = s->vocab_size,
        .context_length = s->context,
        .window = s->window,
        .rope_theta = s->rope.theta,
        .norm_eps = s->norm_eps,
        .rope_scaling = s->rope_text,
        .tied_embeddings = m->head == m->embed,
        .qk_norm = s->family->qk_norm,
        .attention_bias = bias,
        .n_eos = s->n_eos,
        .eos = s->eos,
        .bos = s->bos,
        .adapter_rank = m->adapters.n_present ? m->adapters.max_rank : 0,
        .adapter_parameters = m->adapters.n_parameters,
    };
}

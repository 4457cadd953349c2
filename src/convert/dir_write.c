/* A directory of safetensors, Hugging Face's or MLX's: which tensors go into which file, the files,
 * and the index that names them. */
#include "base/file.h"
#include "base/mem.h"
#include "convert/convert_impl.h"
#include "format/safetensors.h"

#include <stdio.h>
#include <string.h>

enum { MAX_PARTS = 3 }; /* weight, scales, biases */

static const uint64_t default_shard = (uint64_t)5 << 30;

struct part {
    char *name;
    enum hn_dtype dtype;
    int n_dims;
    int64_t shape[2];
    uint64_t size;
};

/* The tensors of the file that one of ours becomes. */
static size_t parts_of(struct hn_converter *c, const struct hn_tensor *t,
                       struct part out[MAX_PARTS])
{
    static const char *const ends[] = {"weight", "scales", "biases"};
    int64_t rows = t->from.rows, cols = t->from.cols;
    enum hn_dtype dtype;
    if (hn_layout_plain(t->to.layout, &dtype)) {
        out[0] = (struct part){(char *)(uintptr_t)t->name,
                               dtype,
                               t->is_matrix ? 2 : 1,
                               {rows, cols},
                               hn_tensor_size(t)};
        return 1;
    }
    for (size_t i = 0; i < MAX_PARTS; i++) {
        size_t n = strlen(t->module) + 8;
        char *name = hn_arena_alloc(&c->arena, n, 1);
        if (name)
            snprintf(name, n, "%s.%s", t->module, ends[i]);
        if (i == 0)
            out[i] =
                (struct part){name, HN_U32, 2, {rows, cols * t->to.bits / 32}, hn_tensor_size(t)};
        else
            out[i] = (struct part){
                name, t->to.scale_dtype, 2, {rows, cols / t->to.group}, hn_tensor_scales_size(t)};
    }
    return MAX_PARTS;
}

/* Everything that will be written. */
struct layout {
    struct part *parts; /* [n] in order */
    uint32_t *shard_of; /* [n] from 0 */
    size_t n, n_shards;
    uint64_t size;
};

static int lay_out(struct hn_converter *c, struct layout *l)
{
    uint64_t most = c->o->max_shard_size ? c->o->max_shard_size : default_shard, filled = 0;
    l->parts = hn_arena_alloc(&c->arena, c->n * MAX_PARTS, sizeof *l->parts);
    l->shard_of = hn_arena_alloc(&c->arena, c->n * MAX_PARTS, sizeof *l->shard_of);
    if (!l->parts || !l->shard_of)
        return hn_fail_memory(c->err, "writing a model");
    l->n_shards = 1;
    for (size_t i = 0; i < c->n; i++) {
        struct part *p = l->parts + l->n;
        size_t n = parts_of(c, &c->tensors[i], p);
        uint64_t size = 0;
        for (size_t k = 0; k < n; k++)
            size += p[k].size;
        if (filled && filled + size > most) {
            l->n_shards++;
            filled = 0;
        }
        for (size_t k = 0; k < n; k++)
            l->shard_of[l->n++] = (uint32_t)l->n_shards - 1;
        filled += size;
        l->size += size;
    }
    return c->arena.failed ? hn_fail_memory(c->err, "writing a model") : 0;
}

static void shard_name(const struct layout *l, size_t shard, char out[64])
{
    if (l->n_shards == 1)
        snprintf(out, 64, "model.safetensors");
    else
        snprintf(out, 64, "model-%05zu-of-%05zu.safetensors", shard + 1, l->n_shards);
}

static void to_file(void *arg, const void *p, size_t n)
{
    hn_st_writer_add(arg, p, n);
}

/* The tensors from *next on that go into this shard. */
static int write_shard(struct hn_converter *c, const struct layout *l, size_t shard,
                       const char *path, size_t *next)
{
    const struct hn_st_pair mark = {"format", c->o->to == HONE_FORMAT_MLX ? "mlx" : "pt"};
    size_t first = 0, n = 0;
    while (l->shard_of[first] < shard)
        first++;
    while (first + n < l->n && l->shard_of[first + n] == shard)
        n++;
    struct hn_st_entry *entries = hn_calloc(n, sizeof *entries);
    if (!entries)
        return hn_fail_memory(c->err, "writing a model");
    for (size_t i = 0; i < n; i++) {
        const struct part *p = &l->parts[first + i];
        entries[i] = (struct hn_st_entry){p->name, p->dtype, p->n_dims, p->shape, NULL};
    }
    struct hn_st_writer w;
    int rc = hn_st_writer_open(&w, path, entries, n, &mark, 1, c->err);
    hn_free(entries);
    if (rc)
        return rc;
    for (size_t i = 0; i < n && !rc && !w.file.error;) {
        enum hn_dtype plain;
        struct hn_tensor *t = &c->tensors[(*next)++];
        rc = hn_tensor_stream(c, t, to_file, &w);
        i += hn_layout_plain(t->to.layout, &plain) ? 1 : MAX_PARTS;
    }
    if (!rc)
        return hn_st_writer_commit(&w, c->err);
    hn_st_writer_cancel(&w);
    return rc;
}

/* model.safetensors.index.json, as mlx_lm and transformers write it. */
static int write_index(struct hn_converter *c, const struct layout *l, const char *dir)
{
    struct hn_buf text = {0};
    struct hn_json_writer w;
    char *path = hn_path_join(dir, "model.safetensors.index.json");
    hn_jw_init(&w, &text, c->o->to == HONE_FORMAT_MLX ? 4 : 2);
    hn_jw_open(&w, '{');
    hn_jw_put_open(&w, "metadata", '{');
    hn_jw_put_int(&w, "total_size", (int64_t)l->size);
    hn_jw_put_int(&w, "total_parameters", (int64_t)c->report.parameters);
    hn_jw_close(&w, '}');
    hn_jw_put_open(&w, "weight_map", '{');
    for (size_t i = 0; i < l->n; i++) {
        char name[64];
        shard_name(l, l->shard_of[i], name);
        hn_jw_put_str(&w, l->parts[i].name, name);
    }
    hn_jw_close(&w, '}');
    hn_jw_close(&w, '}');
    hn_buf_add_char(&text, '\n');
    int rc = !path || text.failed ? hn_fail_memory(c->err, "writing a model")
                                  : hn_file_write(path, text.data, text.len, c->err);
    hn_buf_release(&text);
    hn_free(path);
    return rc;
}

int hn_converter_write_dir(struct hn_converter *c, const char *dir)
{
    struct layout l = {0};
    size_t next = 0;
    int rc = lay_out(c, &l);
    for (size_t shard = 0; shard < l.n_shards && !rc; shard++) {
        char name[64];
        shard_name(&l, shard, name);
        char *path = hn_path_join(dir, name);
        rc = path ? write_shard(c, &l, shard, path, &next)
                  : hn_fail_memory(c->err, "writing a model");
        if (!rc)
            c->report.output_size += (uint64_t)HN_MAX(hn_file_size(path), (int64_t)0);
        hn_free(path);
    }
    if (!rc && (c->o->to == HONE_FORMAT_MLX || l.n_shards > 1))
        rc = write_index(c, &l, dir);
    rc = rc ? rc : hn_converter_write_config(c, dir);
    return rc ? rc : hn_converter_write_tokenizer(c, dir);
}

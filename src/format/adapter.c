/* Reading an adapter: which files there are, whose layout they have, and whether two that should be
 * the same are. */
#include "format/adapter.h"
#include "base/file.h"
#include "base/json_file.h"
#include "base/mem.h"
#include "format/adapter_impl.h"

#include <math.h>
#include <string.h>

static const char mlx_file[] = "adapters.safetensors", peft_file[] = "adapter_model.safetensors";
static const size_t max_config = 16u << 20;

bool hn_adapter_is_dir(const char *path)
{
    char *config = hn_path_join(path, "adapter_config.json");
    char *model = hn_path_join(path, "config.json");
    bool yes = config && model && hn_file_exists(config) && !hn_file_exists(model);
    hn_free(config);
    hn_free(model);
    return yes;
}

/* "DIR/name" in the arena, where DIR is path (a directory) or what holds it (a file). */
static char *beside(struct hn_arena *arena, const char *path, bool is_dir, const char *name)
{
    size_t n = is_dir ? strlen(path) : (size_t)(hn_path_name(path) - path);
    bool slash = n && path[n - 1] != '/';
    size_t m = strlen(name);
    char *s = hn_arena_alloc(arena, n + slash + m + 1, 1);
    if (!s)
        return NULL;
    memcpy(s, path, n);
    if (slash)
        s[n] = '/';
    memcpy(s + n + slash, name, m);
    return s;
}

/* adapter_config.json in the arena; *out is NULL when there is none. */
static int read_config(struct hn_arena *arena, const char *path, const struct hn_json **out,
                       struct hone_err *err)
{
    struct hn_json *json = NULL;
    int rc = path ? hn_json_read_object(arena, path, max_config, &json, err)
                  : hn_fail_memory(err, "reading an adapter");
    *out = json;
    return rc;
}

static void read_common(struct hn_adapter_file *f)
{
    struct hn_str s;
    if (hn_json_str(hn_json_get(f->config, "base_model_name_or_path"), &s) && s.n)
        f->base_model = s.p;
    else if (hn_json_str(hn_json_get(f->config, "model"), &s) && s.n)
        f->base_model = s.p;
    f->num_layers = -1;
    if (!hn_json_int(hn_json_get(f->config, "num_layers"), &f->num_layers))
        (void)hn_json_int(hn_json_get(f->config, "lora_layers"), &f->num_layers);
    if (f->num_layers <= 0)
        f->num_layers = -1;
}

/* Does the file hold PEFT's names? */
static bool is_peft(const struct hn_safetensors *st)
{
    for (size_t i = 0; i < st->n; i++)
        if (hn_starts_with(st->tensors[i].name, "base_model.") ||
            strstr(st->tensors[i].name, ".lora_A.") || strstr(st->tensors[i].name, ".lora_B."))
            return true;
    return false;
}

static bool is_full(const struct hn_adapter_file *f)
{
    struct hn_str type;
    return hn_json_str(hn_json_get(f->config, "fine_tune_type"), &type) && hn_str_is(type, "full");
}

/* Read the weights at path with the config that is already in f. */
static int read_weights(struct hn_adapter_file *f, const char *path, struct hone_err *err)
{
    struct hn_safetensors st;
    if (!path)
        return hn_fail_memory(err, "reading an adapter");
    int rc = hn_st_open(&st, path, err);
    if (rc)
        return rc;
    f->weights_path = path;
    read_common(f);
    if (st.n && is_full(f) && !is_peft(&st)) {
        f->full = true;
        f->weights = st;
        f->layout = HN_ADAPTER_MLX;
        return 0;
    }
    if (!st.n)
        rc = hn_fail(err, HONE_FAILED, "%s holds no tensors", path);
    else if (is_peft(&st))
        rc = hn_adapter_from_peft(f, &st, err);
    else
        rc = hn_adapter_from_mlx(f, &st, err);
    hn_st_release(&st);
    if (!rc)
        hn_adapter_sort(f->modules, f->n);
    if (!rc && !(f->dropout >= 0 && f->dropout <= 1))
        rc = hn_fail(err, HONE_FAILED,
                     "%s: adapter_config.json gives a dropout of %g, expected 0 to 1", path,
                     f->dropout);
    for (size_t i = 1; i < f->n && !rc; i++)
        if (strcmp(f->modules[i - 1].path, f->modules[i].path) == 0)
            rc = hn_fail(err, HONE_FAILED, "%s: module \"%s\" is there twice", path,
                         f->modules[i].path);
    return rc;
}

static bool near(double x, double y)
{
    return fabs(x - y) <= 1e-5 * HN_MAX(fabs(x), fabs(y));
}

/* Do the two modules change the base alike?  The larger rank may be the smaller one padded with
 * zeros, and a part of the scale may have been folded into B. */
static bool same_module(const struct hn_adapter_module *m, const struct hn_adapter_module *n,
                        bool ignore_scale)
{
    if (strcmp(m->path, n->path) != 0 || m->in != n->in || m->out != n->out)
        return false;
    int64_t rank = HN_MIN(m->rank, n->rank), most = HN_MAX(m->rank, n->rank);
    const struct hn_adapter_module *wide = m->rank > n->rank ? m : n;
    double m_scale = ignore_scale ? 1 : m->scale, n_scale = ignore_scale ? 1 : n->scale;
    if (memcmp(m->a, n->a, (size_t)(rank * m->in) * sizeof *m->a) != 0)
        return false;
    for (int64_t o = 0; o < m->out; o++) {
        for (int64_t r = 0; r < rank; r++)
            if (!near(m_scale * (double)m->b[o * m->rank + r],
                      n_scale * (double)n->b[o * n->rank + r]))
                return false;
        for (int64_t r = rank; r < most; r++)
            if (wide->b[o * most + r] != 0)
                return false;
    }
    if (!m->magnitude || !n->magnitude)
        return m->magnitude == n->magnitude;
    return memcmp(m->magnitude, n->magnitude, (size_t)m->out * sizeof *m->magnitude) == 0;
}

/* The first module in which two adapters differ, or NULL. */
static const char *first_difference(const struct hn_adapter_file *f,
                                    const struct hn_adapter_file *g, bool ignore_scale)
{
    for (size_t i = 0; i < f->n && i < g->n; i++)
        if (!same_module(&f->modules[i], &g->modules[i], ignore_scale))
            return f->modules[i].path;
    return f->n == g->n ? NULL : f->n > g->n ? f->modules[g->n].path : g->modules[f->n].path;
}

/* A config that lacks the other system's keys, completed so that A and B of both can be compared.
 */
static int complete(struct hn_adapter_file *other, const struct hn_adapter_file *known, bool peft,
                    struct hone_err *err)
{
    struct hn_buf text = {0};
    struct hn_json *json = NULL;
    hn_buf_printf(&text,
                  peft ? "{\"peft_type\":\"LORA\",\"r\":%lld,\"lora_alpha\":1,\"use_dora\":%s}"
                       : "{\"lora_parameters\":{\"rank\":%lld,\"scale\":1},\"dora\":%s}",
                  (long long)known->rank, known->use_dora ? "true" : "false");
    int rc = text.failed ? hn_fail_memory(err, "reading an adapter")
                         : hn_json_parse(&other->arena, text.data, text.len, 0, &json, err);
    hn_buf_release(&text);
    other->config = json;
    return rc;
}

/* Read DIR's other weight file and hold it against f, which was read from the one that the config
 * describes. */
static int compare_with(const struct hn_adapter_file *f, const char *dir, const char *path,
                        bool described, struct hone_err *err)
{
    struct hn_adapter_file other = {0};
    struct hone_err inner = {0};
    struct hn_map map;
    if (hn_map_open(&map, path, err)) /* nothing can be said of what is in it */
        return HONE_FAILED;
    hn_map_close(&map);
    hn_arena_init(&other.arena, 0);
    other.config = f->config;
    bool peft = f->layout != HN_ADAPTER_PEFT;
    int rc = described ? 0 : complete(&other, f, peft, err);
    if (!rc)
        rc = read_weights(&other, path, &inner);
    if (rc == HONE_NO_MEMORY) {
        hn_adapter_release(&other);
        return hn_fail_memory(err, "reading an adapter");
    }
    const char *module = rc ? inner.message : first_difference(f, &other, !described);
    if (module)
        rc = hn_fail(
            err, HONE_FAILED,
            "%s: %s and %s hold different adapters (%s%s): one of them is stale; delete it, "
            "or give the path of the right file itself",
            dir, mlx_file, peft_file, rc ? "" : "first difference: ", module);
    hn_adapter_release(&other);
    return rc;
}

static int read_dir(struct hn_adapter_file *f, const char *dir, struct hone_err *err)
{
    const char *mlx = beside(&f->arena, dir, true, mlx_file);
    const char *peft = beside(&f->arena, dir, true, peft_file);
    if (!mlx || !peft)
        return hn_fail_memory(err, "reading an adapter");
    bool has_mlx = hn_file_exists(mlx), has_peft = hn_file_exists(peft);
    if (!has_mlx && !has_peft)
        return hn_fail(err, HONE_NOT_FOUND, "%s holds no adapter: neither %s nor %s is there", dir,
                       mlx_file, peft_file);
    if (!has_mlx || !has_peft)
        return read_weights(f, has_mlx ? mlx : peft, err);
    if (is_full(f))
        return read_weights(f, mlx, err);
    bool knows_mlx = hn_json_get(f->config, "lora_parameters") != NULL;
    bool knows_peft = hn_json_get(f->config, "lora_alpha") || hn_json_get(f->config, "peft_type");
    bool use_peft = knows_peft || !knows_mlx;
    int rc = read_weights(f, use_peft ? peft : mlx, err);
    if (!rc)
        rc = compare_with(f, dir, use_peft ? mlx : peft, knows_mlx && knows_peft, err);
    return rc;
}

int hn_adapter_read(struct hn_adapter_file *out, const char *path, struct hone_err *err)
{
    *out = (struct hn_adapter_file){.num_layers = -1};
    hn_arena_init(&out->arena, 0);
    bool is_dir = hn_dir_exists(path);
    int rc = read_config(&out->arena, beside(&out->arena, path, is_dir, "adapter_config.json"),
                         &out->config, err);
    if (!rc && is_dir) {
        rc = read_dir(out, path, err);
    } else if (!rc) {
        char *copy = hn_arena_dup(&out->arena, path, strlen(path));
        rc = read_weights(out, copy, err);
    }
    if (rc)
        hn_adapter_release(out);
    return rc;
}

void hn_adapter_release(struct hn_adapter_file *f)
{
    hn_st_release(&f->weights);
    hn_arena_release(&f->arena);
    *f = (struct hn_adapter_file){.num_layers = -1};
}

int hn_adapter_base_model(const char *path, struct hn_buf *buf, struct hone_err *err)
{
    struct hn_adapter_file f = {0};
    hn_arena_init(&f.arena, 0);
    const char *config = beside(&f.arena, path, hn_dir_exists(path), "adapter_config.json");
    int rc = read_config(&f.arena, config, &f.config, err);
    read_common(&f);
    if (!rc && !f.base_model)
        rc = hn_fail(err, HONE_NOT_FOUND,
                     "%s does not say what base model it belongs to; give it with "
                     "--model",
                     path);
    if (!rc)
        hn_buf_add_str(buf, f.base_model);
    hn_arena_release(&f.arena);
    return rc;
}

/* Writing one adapter directory for mlx-lm and PEFT.
 *
 * mlx-lm knows one rank R and one scale for all modules: narrower ones are padded with zeros to the
 * widest, and what a module's own scale differs by goes into its lora_b.  PEFT knows patterns. */
#include "base/file.h"
#include "base/mem.h"
#include "format/adapter.h"
#include "format/adapter_config.h"
#include "format/safetensors.h"

#include <string.h>

/* Names and entries of the tensors of one file: of each module A, B and, for DoRA, magnitudes. */
struct listing {
    struct hn_arena arena;
    struct hn_st_entry *entries;
    size_t n;
    int64_t (*shapes)[2];
};

static char *join(struct hn_arena *arena, const char *a, const char *b, const char *c)
{
    size_t na = strlen(a), nb = strlen(b), nc = strlen(c);
    char *s = hn_arena_alloc(arena, na + nb + nc + 1, 1);
    if (s) {
        memcpy(s, a, na);
        memcpy(s + na, b, nb);
        memcpy(s + na + nb, c, nc);
    }
    return s;
}

static void list(struct listing *l, const struct hn_adapter_spec *spec,
                 const struct hn_adapter_plan *plan, bool peft)
{
    l->n = 0;
    hn_arena_init(&l->arena, 0);
    l->entries = hn_arena_alloc(&l->arena, 3 * spec->n, sizeof *l->entries);
    l->shapes = hn_arena_alloc(&l->arena, 3 * spec->n, sizeof *l->shapes);
    if (l->arena.failed)
        return;
    for (size_t i = 0; i < spec->n; i++) {
        const struct hn_adapter_module *m = &spec->modules[i];
        const char *prefix = peft ? "base_model.model." : "";
        for (int part = 0; part < (spec->use_dora ? 3 : 2); part++) {
            static const char *const mlx_suffix[] = {".lora_a", ".lora_b", ".m"};
            static const char *const peft_suffix[] = {".lora_A.weight", ".lora_B.weight",
                                                      ".lora_magnitude_vector"};
            const float *const data[] = {m->a, m->b, m->magnitude};
            const char *suffix = (peft ? peft_suffix : mlx_suffix)[part];
            struct hn_st_entry *e = &l->entries[l->n];
            int64_t *shape = l->shapes[l->n++];
            int64_t rank = peft ? m->rank : plan->rank, wide = part ? m->out : m->in;
            bool rank_first = peft != (part == 1);
            shape[0] = rank_first && part < 2 ? rank : wide;
            shape[1] = rank_first ? wide : rank;
            *e = (struct hn_st_entry){.name = join(&l->arena, prefix, m->path, suffix),
                                      .dtype = HN_F32,
                                      .n_dims = part < 2 ? 2 : 1,
                                      .shape = shape,
                                      .data = data[part]};
        }
    }
}

static int write_peft(const char *path, const struct hn_adapter_spec *spec,
                      const struct hn_adapter_plan *plan, struct hone_err *err)
{
    static const struct hn_st_pair metadata = {"format", "pt"};
    struct listing l;
    list(&l, spec, plan, true);
    int rc = l.arena.failed ? hn_fail_memory(err, "writing an adapter")
                            : hn_st_write(path, l.entries, l.n, &metadata, 1, err);
    hn_arena_release(&l.arena);
    return rc;
}

/* lora_a [in, plan rank] of A [R, in], row by row through line. */
static void add_lora_a(struct hn_st_writer *w, const struct hn_adapter_module *m, int64_t rank,
                       float *line)
{
    memset(line, 0, (size_t)rank * sizeof *line);
    for (int64_t i = 0; i < m->in; i++) {
        for (int64_t r = 0; r < m->rank; r++)
            line[r] = m->a[r * m->in + i];
        hn_st_writer_add(w, line, (size_t)rank * sizeof *line);
    }
}

/* lora_b [plan rank, out] of B [out, R], times the module's own part of the scale. */
static void add_lora_b(struct hn_st_writer *w, const struct hn_adapter_module *m, int64_t rank,
                       double factor, float *line)
{
    for (int64_t r = 0; r < rank; r++) {
        for (int64_t o = 0; o < m->out; o++) {
            float b = r < m->rank ? m->b[o * m->rank + r] : 0;
            line[o] = factor == 1 ? b : (float)((double)b * factor);
        }
        hn_st_writer_add(w, line, (size_t)m->out * sizeof *line);
    }
}

static int write_mlx(const char *path, const struct hn_adapter_spec *spec,
                     const struct hn_adapter_plan *plan, struct hone_err *err)
{
    static const struct hn_st_pair metadata = {"format", "mlx"};
    struct listing l;
    list(&l, spec, plan, false);
    int64_t widest = plan->rank;
    for (size_t i = 0; i < spec->n; i++)
        widest = HN_MAX(widest, spec->modules[i].out);
    float *line = hn_calloc((size_t)widest, sizeof *line);
    struct hn_st_writer w;
    int rc = l.arena.failed || !line
                 ? hn_fail_memory(err, "writing an adapter")
                 : hn_st_writer_open(&w, path, l.entries, l.n, &metadata, 1, err);
    if (!rc) {
        for (size_t i = 0; i < spec->n; i++) {
            const struct hn_adapter_module *m = &spec->modules[i];
            add_lora_a(&w, m, plan->rank, line);
            add_lora_b(&w, m, plan->rank, m->scale == plan->scale ? 1 : m->scale / plan->scale,
                       line);
            if (spec->use_dora)
                hn_st_writer_add(&w, m->magnitude, (size_t)m->out * sizeof(float));
        }
        rc = hn_st_writer_commit(&w, err);
    }
    hn_free(line);
    hn_arena_release(&l.arena);
    return rc;
}

typedef int write_fn(const char *path, const struct hn_adapter_spec *spec,
                     const struct hn_adapter_plan *plan, struct hone_err *err);

static int write_in(const char *dir, const char *name, write_fn *fn,
                    const struct hn_adapter_spec *spec, const struct hn_adapter_plan *plan,
                    struct hone_err *err)
{
    char *path = hn_path_join(dir, name);
    int rc = path ? fn(path, spec, plan, err) : hn_fail_memory(err, "writing an adapter");
    hn_free(path);
    return rc;
}

int hn_adapter_write(const char *dir, const struct hn_adapter_spec *spec, struct hone_err *err)
{
    struct hn_adapter_plan plan;
    if (!spec->n)
        return hn_fail(err, HONE_FAILED, "there is no adapter to write to %s", dir);
    int rc = hn_dir_make(dir, err);
    if (!rc)
        rc = hn_adapter_plan(spec, &plan, err);
    if (rc)
        return rc;
    if (!spec->no_mlx)
        rc = write_in(dir, "adapters.safetensors", write_mlx, spec, &plan, err);
    if (!rc && !spec->no_peft)
        rc = write_in(dir, "adapter_model.safetensors", write_peft, spec, &plan, err);
    if (!rc)
        rc = write_in(dir, "adapter_config.json", hn_adapter_write_config, spec, &plan, err);
    return rc;
}

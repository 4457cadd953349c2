/* mlx-lm's layout: P.lora_a [in, R], P.lora_b [R, out], P.m [out] for DoRA; adapter_config.json's
 * lora_parameters.scale is the whole multiplier. */
#include "format/adapter_impl.h"
#include "base/mem.h"

#include <string.h>

static int check_config(const struct hn_adapter_file *f, double *scale, struct hone_err *err)
{
    const struct hn_json *type = hn_json_get(f->config, "fine_tune_type");
    const struct hn_json *p = hn_json_get(f->config, "lora_parameters");
    struct hn_str name;
    if (hn_json_str(type, &name) && !hn_str_is(name, "lora") && !hn_str_is(name, "dora"))
        return hn_fail(err, HONE_FAILED,
                       "%s: adapter_config.json says fine_tune_type \"%.20s\"; hone applies "
                       "\"lora\", \"dora\" and \"full\"",
                       f->weights_path, name.p);
    if (!f->config)
        return hn_fail(err, HONE_NOT_FOUND,
                       "%s: there is no adapter_config.json beside it, so its scale is not known",
                       f->weights_path);
    if (!p || p->type != HN_JSON_OBJECT)
        return hn_fail(err, HONE_FAILED,
                       "%s: adapter_config.json has no lora_parameters, so its scale is not known "
                       "(PEFT drops them when it saves into the same directory)",
                       f->weights_path);
    if (!hn_json_float(hn_json_get(p, "scale"), scale) || !(*scale - *scale == 0))
        return hn_fail(err, HONE_FAILED,
                       "%s: adapter_config.json: lora_parameters.scale is %s, expected a number",
                       f->weights_path, hn_json_type_name(hn_json_get(p, "scale")));
    return 0;
}

static int fail_foreign(const struct hn_adapter_file *f, const char *name, struct hone_err *err)
{
    return hn_fail(err, HONE_FAILED,
                   "%s: tensor \"%s\" is not of a LoRA (P.lora_a, P.lora_b): fully trained weights "
                   "are not an adapter that hone applies",
                   f->weights_path, name);
}

static int collect(struct hn_adapter_file *f, const struct hn_safetensors *st,
                   struct hn_adapter_pairs *pairs, struct hone_err *err)
{
    static const struct {
        const char *suffix, *what;
    } foreign[] = {{"embed_tokens", "the embedding"}, {"lm_head", "the language model's head"}};
    for (size_t i = 0; i < st->n; i++) {
        const char *name = st->tensors[i].name;
        bool a = hn_ends_with(name, ".lora_a"), b = hn_ends_with(name, ".lora_b");
        if (!a && !b && !hn_ends_with(name, ".m"))
            return fail_foreign(f, name, err);
        size_t n = (size_t)(strrchr(name, '.') - name);
        for (size_t k = 0; k < HN_COUNT(foreign); k++) {
            size_t m = strlen(foreign[k].suffix);
            if (n >= m && memcmp(name + n - m, foreign[k].suffix, m) == 0)
                return hn_fail(err, HONE_FAILED,
                               "%s: tensor \"%s\" adapts %s, which hone does not apply",
                               f->weights_path, name, foreign[k].what);
        }
        struct hn_adapter_pair *p = hn_adapter_pair_of(pairs, &f->arena, name, n);
        if (!p)
            return hn_fail_memory(err, "reading an adapter");
        *(a ? &p->a : b ? &p->b : &p->m) = &st->tensors[i];
    }
    return 0;
}

int hn_adapter_from_mlx(struct hn_adapter_file *f, const struct hn_safetensors *st,
                        struct hone_err *err)
{
    const struct hn_json *p = hn_json_get(f->config, "lora_parameters");
    struct hn_adapter_pairs pairs = {0};
    double scale = 0;
    int64_t rank;
    int rc = check_config(f, &scale, err);
    if (!rc)
        rc = collect(f, st, &pairs, err);
    if (!rc)
        rc = hn_adapter_take(f, &pairs, true, err);
    for (size_t i = 0; i < f->n && !rc; i++) {
        struct hn_adapter_module *m = &f->modules[i];
        m->scale = scale;
        if (hn_json_int(hn_json_get(p, "rank"), &rank) && rank != m->rank)
            rc = hn_fail(err, HONE_FAILED,
                         "%s: module \"%s\" has rank %lld, but adapter_config.json says %lld",
                         f->weights_path, m->path, (long long)m->rank, (long long)rank);
    }
    hn_free(pairs.items);
    f->layout = HN_ADAPTER_MLX;
    f->alpha = scale * (double)f->rank;
    (void)hn_json_float(hn_json_get(p, "dropout"), &f->dropout);
    return rc;
}

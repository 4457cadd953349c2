/* PEFT's layout: base_model.model.P.lora_A.weight [R, in], .lora_B.weight [out, R], with
 * scale = alpha/R, or alpha/sqrt(R) for rsLoRA, and per-module patterns.  What would change the
 * result and is not applied here is refused by name. */
#include "format/adapter_impl.h"
#include "base/mem.h"
#include "format/adapter_pattern.h"

#include <math.h>
#include <string.h>

/* Settings that must be absent, null, false or empty; peft 0.21 LoraConfig. */
static const struct {
    const char *key, *why;
} refused[] = {
    {"lora_bias", "the adapter has biases of its own, which hone does not apply"},
    {"modules_to_save", "it carries whole trained modules, which hone does not apply"},
    {"trainable_token_indices", "it carries trained embeddings, which hone does not apply"},
    {"target_parameters", "it adapts parameters of expert layers, which hone does not apply"},
    {"layer_replication", "it replicates layers of the base, which hone does not do"},
    {"alora_invocation_tokens",
     "it acts only after certain tokens (aLoRA), which hone does not do"},
    {"use_qalora", "QA-LoRA averages its inputs in groups, which hone does not do"},
    {"use_bdlora", "BD-LoRA is block-diagonal, which hone does not apply"},
    {"arrow_config", "Arrow routes between adapters, which hone does not do"},
    {"kasa_config", "KaSA adds a term of its own, which hone does not apply"},
    {"velora_config", "VeLoRA is not applied by hone"},
    {"monteclora_config", "MonteCLoRA is not applied by hone"},
};

/* Starts of LoRA that leave the base as it was, so that the saved A and B are the whole change. */
static const char *const plain_starts[] = {"gaussian", "eva", "orthogonal", "mica"};
/* Starts that move a part of the base into A and B. */
static const char *const moving_starts[] = {"pissa", "olora", "corda", "loftq", "lora_ga"};

static bool is_set(const struct hn_json *j)
{
    if (!j || j->type == HN_JSON_NULL)
        return false;
    if (j->type == HN_JSON_BOOL)
        return j->boolean;
    if (j->type == HN_JSON_ARRAY || j->type == HN_JSON_OBJECT)
        return j->n > 0;
    return true;
}

static int check_start(const struct hn_adapter_file *f, struct hone_err *err)
{
    struct hn_str s;
    if (!hn_json_str(hn_json_get(f->config, "init_lora_weights"), &s))
        return 0;
    for (size_t i = 0; i < HN_COUNT(plain_starts); i++)
        if (hn_str_is(s, plain_starts[i]))
            return 0;
    for (size_t i = 0; i < HN_COUNT(moving_starts); i++)
        if (hn_starts_with(s.p, moving_starts[i]))
            return hn_fail(
                err, HONE_FAILED,
                "%s: init_lora_weights is \"%.40s\", a start that changes the base model's "
                "weights, so the adapter does not fit the original ones; save it again with "
                "PEFT's save_pretrained(…, path_initial_model_for_weight_conversion=…), "
                "which makes a plain LoRA of it",
                f->weights_path, s.p);
    return hn_fail(
        err, HONE_FAILED,
        "%s: init_lora_weights is \"%.40s\", which hone does not know, so it cannot tell "
        "whether the base model was changed",
        f->weights_path, s.p);
}

static int check_config(const struct hn_adapter_file *f, struct hone_err *err)
{
    struct hn_str s;
    if (!f->config)
        return hn_fail(
            err, HONE_NOT_FOUND,
            "%s: there is no adapter_config.json beside it, so its lora_alpha is not known",
            f->weights_path);
    const struct hn_json *type = hn_json_get(f->config, "peft_type");
    if (hn_json_str(type, &s) && !hn_str_is(s, "LORA"))
        return hn_fail(err, HONE_FAILED,
                       "%s: adapter_config.json says peft_type \"%.40s\"; hone applies \"LORA\"",
                       f->weights_path, s.p);
    if (!type && !hn_json_get(f->config, "lora_alpha"))
        return hn_fail(
            err, HONE_FAILED,
            "%s: adapter_config.json has neither peft_type nor lora_alpha, so it does not "
            "describe these weights",
            f->weights_path);
    for (size_t i = 0; i < HN_COUNT(refused); i++)
        if (is_set(hn_json_get(f->config, refused[i].key)))
            return hn_fail(err, HONE_FAILED, "%s: adapter_config.json sets %s: %s", f->weights_path,
                           refused[i].key, refused[i].why);
    if (hn_json_str(hn_json_get(f->config, "bias"), &s) && !hn_str_is(s, "none"))
        return hn_fail(
            err, HONE_FAILED,
            "%s: adapter_config.json sets bias \"%.20s\": trained biases of the base are "
            "not applied by hone",
            f->weights_path, s.p);
    return check_start(f, err);
}

static int fail_foreign(const struct hn_adapter_file *f, const char *name, struct hone_err *err)
{
    static const struct {
        const char *part, *why;
    } known[] = {
        {".lora_embedding_", "adapts an embedding, which hone does not apply yet"},
        {".embed_tokens.lora_", "adapts the embedding, which hone does not apply"},
        {"lm_head.lora_", "adapts the language model's head, which hone does not apply"},
        {".lora_B.bias", "is a bias of the adapter, which hone does not apply"},
        {".base_layer.",
         "is a whole weight of the base, which hone does not apply; save the adapter "
         "again with save_pretrained(…, save_embedding_layers=False) if it was not "
         "trained"},
        {".trainable_tokens_", "holds trained token embeddings, which hone does not apply"},
        {".ia3_l", "belongs to an IA3 adapter, which hone does not apply"},
        {"vera_", "belongs to a VeRA adapter, which hone does not apply"},
    };
    for (size_t i = 0; i < HN_COUNT(known); i++)
        if (strstr(name, known[i].part))
            return hn_fail(err, HONE_FAILED, "%s: tensor \"%s\" %s", f->weights_path, name,
                           known[i].why);
    return hn_fail(err, HONE_FAILED,
                   "%s: tensor \"%s\" is not of a LoRA (P.lora_A.weight, P.lora_B.weight): whole "
                   "trained weights are not applied by hone",
                   f->weights_path, name);
}

enum half { HALF_A, HALF_B, MAGNITUDE };

/* Where in name the suffix of a LoRA tensor begins, or NULL; *what says which it is. */
static const char *suffix_of(const char *name, enum half *what)
{
    static const struct {
        const char *text;
        enum half what;
    } suffixes[] = {
        {".lora_A.weight", HALF_A},
        {".lora_B.weight", HALF_B},
        {".lora_A.default.weight", HALF_A},
        {".lora_B.default.weight", HALF_B},
        {".lora_magnitude_vector", MAGNITUDE},
        {".lora_magnitude_vector.weight", MAGNITUDE},
        {".lora_magnitude_vector.default", MAGNITUDE}, /* PEFT before 0.12 */
        {".lora_magnitude_vector.default.weight", MAGNITUDE},
    };
    for (size_t i = 0; i < HN_COUNT(suffixes); i++) {
        if (hn_ends_with(name, suffixes[i].text)) {
            *what = suffixes[i].what;
            return name + strlen(name) - strlen(suffixes[i].text);
        }
    }
    return NULL;
}

static int collect(struct hn_adapter_file *f, const struct hn_safetensors *st,
                   struct hn_adapter_pairs *pairs, struct hone_err *err)
{
    for (size_t i = 0; i < st->n; i++) {
        enum half what = HALF_A;
        const char *name = st->tensors[i].name, *suffix = suffix_of(name, &what);
        if (!suffix || strstr(name, ".embed_tokens.lora_") || strstr(name, "lm_head.lora_"))
            return fail_foreign(f, name, err);
        const char *module = name;
        if (hn_starts_with(module, "base_model.model."))
            module += sizeof "base_model.model." - 1;
        if (suffix <= module)
            return fail_foreign(f, name, err);
        struct hn_adapter_pair *p =
            hn_adapter_pair_of(pairs, &f->arena, module, (size_t)(suffix - module));
        if (!p)
            return hn_fail_memory(err, "reading an adapter");
        const struct hn_st_tensor **part = what == HALF_A ? &p->a : what == HALF_B ? &p->b : &p->m;
        if (*part)
            return hn_fail(err, HONE_FAILED, "%s: tensors \"%s\" and \"%s\" are one and the same",
                           f->weights_path, (*part)->name, name);
        *part = &st->tensors[i];
    }
    return 0;
}

struct settings {
    double rank, alpha;
    struct hn_patterns ranks, alphas;
};

static int number(const struct hn_adapter_file *f, const char *key, double *out,
                  struct hone_err *err)
{
    const struct hn_json *j = hn_json_get(f->config, key);
    if (!j)
        return 0;
    if (!hn_json_float(j, out))
        return hn_fail(err, HONE_FAILED, "adapter_config.json: %s is %s, expected a number", key,
                       hn_json_type_name(j));
    if (!(*out - *out == 0))
        return hn_fail(err, HONE_FAILED, "adapter_config.json: %s is not finite", key);
    return 0;
}

static int read_settings(struct hn_adapter_file *f, struct settings *s, struct hone_err *err)
{
    *s = (struct settings){.rank = 8, .alpha = 8}; /* LoraConfig's defaults */
    int rc = number(f, "r", &s->rank, err);
    if (!rc)
        rc = number(f, "lora_alpha", &s->alpha, err);
    if (!rc)
        rc = number(f, "lora_dropout", &f->dropout, err);
    if (!rc)
        rc = hn_patterns_open(&s->ranks, hn_json_get(f->config, "rank_pattern"), "rank_pattern",
                              err);
    if (!rc)
        rc = hn_patterns_open(&s->alphas, hn_json_get(f->config, "alpha_pattern"), "alpha_pattern",
                              err);
    (void)hn_json_bool(hn_json_get(f->config, "use_rslora"), &f->use_rslora);
    f->alpha = s->alpha;
    return rc;
}

/* The multiplier of one module, once its rank agrees with the config's. */
static int scale_module(const struct hn_adapter_file *f, const struct settings *s,
                        const char *written, struct hn_adapter_module *m, struct hone_err *err)
{
    double rank, alpha;
    int rc = hn_patterns_find(&s->ranks, written, s->rank, &rank, err);
    if (!rc)
        rc = hn_patterns_find(&s->alphas, written, s->alpha, &alpha, err);
    if (rc)
        return rc;
    if (rank != (double)m->rank)
        return hn_fail(err, HONE_FAILED,
                       "module \"%s\" has rank %lld, but adapter_config.json says %g", m->path,
                       (long long)m->rank, rank);
    if (!(alpha - alpha == 0))
        return hn_fail(err, HONE_FAILED, "the alpha of module \"%s\" is not finite", m->path);
    m->scale = alpha / (f->use_rslora ? sqrt(rank) : rank);
    return 0;
}

int hn_adapter_from_peft(struct hn_adapter_file *f, const struct hn_safetensors *st,
                         struct hone_err *err)
{
    struct hn_adapter_pairs pairs = {0};
    struct settings s = {0};
    int rc = check_config(f, err);
    if (!rc && (rc = read_settings(f, &s, err)))
        rc = hn_fail_prefix(err, "%s", f->weights_path);
    if (!rc)
        rc = collect(f, st, &pairs, err);
    if (!rc)
        rc = hn_adapter_take(f, &pairs, false, err);
    for (size_t i = 0; i < f->n && !rc; i++)
        if ((rc = scale_module(f, &s, pairs.items[i].written, &f->modules[i], err)))
            rc = hn_fail_prefix(err, "%s", f->weights_path);
    bool says = is_set(hn_json_get(f->config, "use_dora"));
    if (!rc && says != f->use_dora)
        rc = hn_fail(err, HONE_FAILED,
                     "%s: adapter_config.json sets use_dora to %s, but the file has %s DoRA "
                     "magnitudes",
                     f->weights_path, says ? "true" : "false", says ? "no" : "");
    hn_patterns_close(&s.ranks);
    hn_patterns_close(&s.alphas);
    hn_free(pairs.items);
    f->layout = HN_ADAPTER_PEFT;
    return rc;
}

/* A directory as a bundle: config.json and safetensors, in one file or in shards. */
#include "base/json_file.h"
#include "base/mem.h"
#include "format/bundle_impl.h"

#include <stdio.h>
#include <string.h>

static const size_t max_config = 64u << 20, max_index = 256u << 20;

/* Names of weight files, each once; borrowed. */
struct names {
    const char **items;
    size_t n, cap;
};

static int add_name(struct names *s, const char *name, struct hone_err *err)
{
    for (size_t i = s->n; i-- > 0;)
        if (strcmp(s->items[i], name) == 0)
            return 0;
    void *items = s->items;
    if (hn_grow(&items, &s->cap, s->n + 1, sizeof *s->items))
        return hn_fail_memory(err, "opening a model");
    s->items = items;
    s->items[s->n++] = name;
    return 0;
}

static bool has(char **names, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

/* Parse DIR/name into the arena; *out is NULL when the file does not exist. */
static int read_json(struct hn_bundle *b, const char *name, size_t max, const struct hn_json **out,
                     struct hone_err *err)
{
    const char *path = hn_arena_printf(&b->arena, "%s/%s", b->path, name);
    struct hn_json *json = NULL;
    int rc = path ? hn_json_read_object(&b->arena, path, max, &json, err)
                  : hn_fail_memory(err, "opening a model");
    *out = json;
    return rc;
}

/* The first names of a directory, for a message. */
static void say_names(struct hn_buf *out, char **names, size_t n)
{
    if (!n)
        hn_buf_add_str(out, "nothing");
    for (size_t i = 0; i < n && i < 8; i++)
        hn_buf_printf(out, "%s%s", i ? ", " : "", names[i]);
    if (n > 8)
        hn_buf_printf(out, " and %zu more", n - 8);
}

static int fail_no_config(const struct hn_bundle *b, char **names, size_t n, struct hone_err *err)
{
    struct hn_buf list = {0};
    const char *hint = "";
    for (size_t i = 0; i < n && !*hint; i++)
        if (hn_ends_with(names[i], ".gguf"))
            hint = "; to use a .gguf file, give its own path";
    say_names(&list, names, n);
    int rc = hn_fail(err, HONE_FAILED,
                     "%s is not a model directory: it has no config.json; it holds %s%s", b->path,
                     hn_buf_str(&list), hint);
    hn_buf_release(&list);
    return rc;
}

static int fail_no_weights(const struct hn_bundle *b, char **names, size_t n, struct hone_err *err)
{
    for (size_t i = 0; i < n; i++) {
        if (hn_starts_with(names[i], "pytorch_model") && hn_ends_with(names[i], ".bin"))
            return hn_fail(err, HONE_FAILED,
                           "%s holds its weights only as %s, a Python pickle, which hone does not "
                           "run; convert it once with transformers: "
                           "AutoModelForCausalLM.from_pretrained(DIR).save_pretrained(NEW_DIR)",
                           b->path, names[i]);
        if (hn_starts_with(names[i], "consolidated") && hn_ends_with(names[i], ".safetensors"))
            return hn_fail(
                err, HONE_FAILED,
                "%s holds its weights only as %s, in Mistral's own layout; hone reads the "
                "Hugging Face files (model*.safetensors)",
                b->path, names[i]);
    }
    struct hn_buf list = {0};
    say_names(&list, names, n);
    int rc = hn_fail(err, HONE_FAILED,
                     "%s has no model.safetensors and no model-….safetensors; it holds %s", b->path,
                     hn_buf_str(&list));
    hn_buf_release(&list);
    return rc;
}

/* The files that the index names. */
static int shards_of_index(const struct hn_bundle *b, const struct hn_json *map, char **names,
                           size_t n, struct names *out, struct hone_err *err)
{
    if (!map || map->type != HN_JSON_OBJECT)
        return hn_fail(err, HONE_FAILED,
                       "%s/model.safetensors.index.json: weight_map is %s, expected an object",
                       b->path, hn_json_type_name(map));
    for (size_t i = 0; i < map->n; i++) {
        struct hn_str file;
        if (!hn_json_str(&map->members[i].value, &file) || !file.n || memchr(file.p, 0, file.n) ||
            memchr(file.p, '/', file.n) || !hn_ends_with(file.p, ".safetensors"))
            return hn_fail(err, HONE_FAILED,
                           "%s/model.safetensors.index.json: \"%s\" is not given the name of a "
                           ".safetensors file in this directory",
                           b->path, map->members[i].key.p);
        if (!has(names, n, file.p)) /* at once: a long index of many names would take hours */
            return hn_fail(err, HONE_NOT_FOUND,
                           "%s: the weight file %s is missing (model.safetensors.index.json names "
                           "it); fetch the model again",
                           b->path, file.p);
        int rc = add_name(out, file.p, err);
        if (rc)
            return rc;
    }
    if (out->n && has(names, n, "model.safetensors") &&
        !has((char **)(uintptr_t)out->items, out->n, "model.safetensors"))
        return hn_fail(
            err, HONE_FAILED,
            "%s holds model.safetensors and an index that names other files; move one of "
            "the two sets of weights away",
            b->path);
    return 0;
}

/* Without an index: model.safetensors alone, or every model*.safetensors, complete. */
static int shards_of_names(const struct hn_bundle *b, char **names, size_t n, struct names *out,
                           struct hone_err *err)
{
    int rc = 0;
    if (has(names, n, "model.safetensors"))
        return add_name(out, "model.safetensors", err);
    for (size_t i = 0; i < n && !rc; i++)
        if (hn_starts_with(names[i], "model") && hn_ends_with(names[i], ".safetensors"))
            rc = add_name(out, names[i], err);
    if (rc)
        return rc;
    if (!out->n)
        return fail_no_weights(b, names, n, err);
    unsigned part, parts;
    if (sscanf(out->items[0], "model-%5u-of-%5u.safetensors", &part, &parts) != 2)
        return 0;
    for (part = 1; part <= parts; part++) {
        char name[64];
        snprintf(name, sizeof name, "model-%05u-of-%05u.safetensors", part, parts);
        if (!has(names, n, name))
            return hn_fail(err, HONE_NOT_FOUND,
                           "%s: the weight file %s is missing; fetch the model again", b->path,
                           name);
    }
    return 0;
}

static int open_shards(struct hn_bundle *b, const struct names *files, struct hone_err *err)
{
    b->shards = hn_arena_alloc(&b->arena, files->n, sizeof *b->shards);
    b->shard_names = hn_arena_alloc(&b->arena, files->n, sizeof *b->shard_names);
    if (!b->shards || !b->shard_names)
        return hn_fail_memory(err, "opening a model");
    for (size_t i = 0; i < files->n; i++) {
        const char *path = hn_arena_printf(&b->arena, "%s/%s", b->path, files->items[i]);
        b->shard_names[i] = hn_arena_dup(&b->arena, files->items[i], strlen(files->items[i]));
        if (!path || !b->shard_names[i])
            return hn_fail_memory(err, "opening a model");
        int rc = hn_st_open(&b->shards[i], path, err);
        if (rc)
            return rc;
        b->n_shards++;
    }
    return 0;
}

static int layout_of(enum hn_dtype t)
{
    return t == HN_F32    ? HN_LAYOUT_F32
           : t == HN_F16  ? HN_LAYOUT_F16
           : t == HN_BF16 ? HN_LAYOUT_BF16
                          : -1;
}

static int list_tensors(struct hn_bundle *b, struct hone_err *err)
{
    size_t total = 0;
    for (size_t i = 0; i < b->n_shards; i++)
        total += b->shards[i].n;
    b->tensors = hn_arena_alloc(&b->arena, total, sizeof *b->tensors);
    if (!b->tensors)
        return hn_fail_memory(err, "opening a model");
    for (size_t i = 0; i < b->n_shards; i++) {
        for (size_t k = 0; k < b->shards[i].n; k++) {
            const struct hn_st_tensor *from = &b->shards[i].tensors[k];
            struct hn_stored *t = &b->tensors[b->n++];
            *t = (struct hn_stored){.name = from->name,
                                    .stored = from->name,
                                    .type = hn_dtype_name(from->dtype),
                                    .file = b->shard_names[i],
                                    .n_dims = from->n_dims,
                                    .data = from->data,
                                    .size = from->size,
                                    .layout = layout_of(from->dtype),
                                    .dtype = from->dtype,
                                    .part = hn_ends_with(from->name, "rotary_emb.inv_freq")};
            memcpy(t->shape, from->shape, sizeof t->shape);
        }
    }
    return 0;
}

/* Some files say "language_model.model.layers…", "model.language_model.layers…" or just "layers…":
 * what stands before "embed_tokens.weight" is what the others call "model.". */
static int rename_all(struct hn_bundle *b, struct hone_err *err)
{
    static const char anchor[] = "embed_tokens.weight";
    const char *found = NULL;
    size_t prefix = 0;
    for (size_t i = 0; i < b->n; i++) {
        const char *name = b->tensors[i].stored;
        size_t n = strlen(name), m = sizeof anchor - 1;
        if (strcmp(name, "model.embed_tokens.weight") == 0)
            return 0;
        if (!hn_ends_with(name, anchor) || (n > m && name[n - m - 1] != '.'))
            continue;
        if (found) /* two decoders: leave the names alone */
            return 0;
        found = name;
        prefix = n - m;
    }
    for (size_t i = 0; found && i < b->n; i++) {
        struct hn_stored *t = &b->tensors[i];
        const char *head = strstr(t->stored, "lm_head.");
        if (strncmp(t->stored, found, prefix) == 0 && !head)
            t->name = hn_arena_printf(&b->arena, "model.%s", t->stored + prefix);
        else if (head && (head == t->stored || head[-1] == '.'))
            t->name = head;
        if (!t->name)
            return hn_fail_memory(err, "opening a model");
    }
    return 0;
}

/* Every tensor that the index promises must be in the file that it names. */
static int check_index(const struct hn_bundle *b, const struct hn_json *map, struct hone_err *err)
{
    for (size_t i = 0; i < map->n; i++) {
        const struct hn_json_member *m = &map->members[i];
        size_t s = 0;
        while (s < b->n_shards && !hn_json_is(&m->value, b->shard_names[s]))
            s++;
        if (s == b->n_shards || !hn_st_find(&b->shards[s], m->key.p))
            return hn_fail(err, HONE_FAILED,
                           "%s: model.safetensors.index.json promises tensor \"%s\" in %s, which "
                           "does not hold it; fetch the model again",
                           b->path, m->key.p, m->value.text.p);
    }
    return 0;
}

static int open_weights(struct hn_bundle *b, char **names, size_t n, struct hone_err *err)
{
    const struct hn_json *index, *map = NULL;
    struct names files = {0};
    int rc = read_json(b, "model.safetensors.index.json", max_index, &index, err);
    if (!rc && index) {
        map = hn_json_get(index, "weight_map");
        rc = shards_of_index(b, map, names, n, &files, err);
    } else if (!rc) {
        rc = shards_of_names(b, names, n, &files, err);
    }
    if (!rc)
        rc = open_shards(b, &files, err);
    if (!rc && map)
        rc = check_index(b, map, err);
    if (!rc)
        rc = list_tensors(b, err);
    hn_free(files.items);
    return rc;
}

/* Quantised by something else than MLX: by name, before a weight is looked at. */
static int check_method(const struct hn_bundle *b, const struct hn_json **quantization,
                        struct hone_err *err)
{
    const struct hn_json *mlx = hn_json_get(b->config, "quantization");
    const struct hn_json *other = hn_json_get(b->config, "quantization_config");
    if (!other)
        other = hn_json_get(hn_json_get(b->config, "text_config"), "quantization_config");
    struct hn_str method;
    bool named = hn_json_str(hn_json_get(other, "quant_method"), &method);
    *quantization = mlx && mlx->type == HN_JSON_OBJECT ? mlx : named ? NULL : other;
    if (*quantization || !named || hn_str_is(method, "bitsandbytes"))
        return 0;
    return hn_fail(
        err, HONE_FAILED,
        "%s is quantised by %.*s (quantization_config in config.json), which hone does not "
        "read; use an MLX or a GGUF version of it, or the original model, which load_in_4bit "
        "quantises while it is loaded",
        b->path, (int)HN_MIN(method.n, (size_t)40), method.p);
}

int hn_bundle_open_dir(struct hn_bundle *b, struct hone_err *err)
{
    char **names = NULL;
    size_t n = 0;
    b->kind = HN_BUNDLE_HF;
    int rc = hn_dir_list(b->path, &names, &n, err);
    if (rc)
        return rc;
    const struct hn_json *quantization = NULL;
    rc = read_json(b, "config.json", max_config, &b->config, err);
    if (!rc && !b->config)
        rc = fail_no_config(b, names, n, err);
    if (!rc)
        rc = read_json(b, "generation_config.json", max_config, &b->generation, err);
    if (!rc)
        rc = check_method(b, &quantization, err);
    if (!rc && has(names, n, "hf_quant_config.json") && !quantization)
        rc = hn_fail(
            err, HONE_FAILED,
            "%s is quantised by NVIDIA ModelOpt (hf_quant_config.json), which hone does not "
            "read; use the original model, an MLX or a GGUF version of it",
            b->path);
    if (!rc)
        rc = open_weights(b, names, n, err);
    if (!rc)
        rc = rename_all(b, err);
    if (!rc)
        rc = hn_bundle_index(b, err);
    if (!rc)
        rc = hn_bundle_pair_affine(b, quantization, err);
    if (!rc)
        rc = hn_bundle_pair_bnb(b, err);
    hn_free(names);
    return rc;
}

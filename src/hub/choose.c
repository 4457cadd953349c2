#include "hub/choose.h"

#include <fnmatch.h>
#include <stdio.h>
#include <string.h>
#include "base/json.h"
#include "base/str.h"

static const char index_name[] = "model.safetensors.index.json";
enum { MAX_SMALL = 128 << 20 }; /* the largest tokenizers have some 40 MB */

static bool any(const char *path, const char *const *patterns, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (fnmatch(patterns[i], path, 0) == 0)
            return true;
    return false;
}

static bool is_gguf(const char *path)
{
    return hn_ends_with(path, ".gguf");
}

static bool is_weights(const char *path)
{
    static const char *const ends[] = {".safetensors", ".gguf", ".bin", ".pt",   ".pth", ".h5",
                                       ".msgpack",     ".onnx", ".npz", ".ckpt", ".ot",  ".tflite"};
    for (size_t i = 0; i < HN_COUNT(ends); i++)
        if (hn_ends_with(path, ends[i]))
            return true;
    return false;
}

/* Configuration, tokenizer, templates, licence: whatever the model's maker put at the top, except
 * for what belongs to weights that are not fetched, and programs. */
static bool is_small(const struct hn_hub_file *f)
{
    const char *p = f->path;
    if (f->size > MAX_SMALL)
        return false;
    if (hn_starts_with(p, "additional_chat_templates/"))
        return hn_ends_with(p, ".jinja");
    if (strchr(p, '/') || p[0] == '.')
        return false;
    if (hn_ends_with(p, ".index.json"))
        return strcmp(p, index_name) == 0;
    return hn_ends_with(p, ".json") || hn_ends_with(p, ".jinja") || hn_ends_with(p, ".txt") ||
           hn_ends_with(p, ".model") || hn_ends_with(p, ".tiktoken") ||
           strcmp(p, "README.md") == 0 || hn_starts_with(p, "LICENSE") ||
           hn_starts_with(p, "LICENCE") || hn_starts_with(p, "NOTICE");
}

const struct hn_hub_file *hn_hub_index(const struct hn_hub_listing *l,
                                       const struct hone_pull_options *o)
{
    return o->n_include || o->tokenizer_only ? NULL : hn_hub_listing_find(l, index_name);
}

/* The shards that the index names. */
static int choose_indexed(struct hn_hub_listing *l, const char *repo, const struct hn_buf *index,
                          struct hone_err *err)
{
    struct hn_arena arena;
    struct hn_json *root = NULL;
    hn_arena_init(&arena, (size_t)512 << 20);
    int rc = hn_json_parse(&arena, hn_buf_str(index), index->len, 0, &root, err);
    if (rc && rc != HONE_NO_MEMORY)
        rc = hn_fail_prefix(err, "%s, %s", repo, index_name);
    const struct hn_json *map = rc ? NULL : hn_json_get(root, "weight_map");
    struct hn_str last = {0};
    for (size_t i = 0; map && map->type == HN_JSON_OBJECT && i < map->n && !rc; i++) {
        struct hn_str name;
        if (!hn_json_str(&map->members[i].value, &name) || hn_str_eq(name, last))
            continue;
        last = name;
        struct hn_hub_file *f = (struct hn_hub_file *)hn_hub_listing_find(l, name.p);
        if (f)
            f->chosen = true;
        else
            rc = hn_fail(err, HONE_FAILED, "%s: its %s names the file \"%.*s\", which is not there",
                         repo, index_name, (int)HN_MIN(name.n, (size_t)200), name.p);
    }
    hn_arena_release(&arena);
    return rc;
}

/* "x-00002-of-00003.gguf" is no file of its own. */
static bool is_later_part(const char *path)
{
    const char *dash = strstr(path, "-of-");
    unsigned part = 0;
    if (!dash || dash - path < 6 || sscanf(dash - 6, "-%5u", &part) != 1)
        return false;
    return part > 1;
}

static bool is_model_gguf(const char *path)
{
    return is_gguf(path) && !strchr(path, '/') && !strstr(path, "mmproj") &&
           !strstr(path, "imatrix");
}

/* The one GGUF file, or a question with the choices that there are. */
static int choose_gguf(struct hn_hub_listing *l, const char *repo, size_t n, struct hone_err *err)
{
    struct hn_buf list = {0};
    size_t shown = 0;
    for (size_t i = 0; i < l->n; i++) {
        struct hn_hub_file *f = &l->files[i];
        if (!is_model_gguf(f->path))
            continue;
        f->chosen = n == 1;
        if (n > 1 && !is_later_part(f->path) && shown++ < 10)
            hn_buf_printf(&list, "%s%s", shown > 1 ? ", " : "", f->path);
    }
    int rc = 0;
    if (n > 1)
        rc = hn_fail(err, HONE_USAGE,
                     "%s holds %zu GGUF files: %s%s; say which one, as in: hone pull %s --include "
                     "'*Q4_0*'",
                     repo, n, hn_buf_str(&list), n > 10 ? ", …" : "", repo);
    hn_buf_release(&list);
    return rc;
}

/* Weights, but none that hone reads: they are Python programs in part, or of another runtime. */
static int fail_unreadable(const struct hn_hub_listing *l, const char *repo, struct hone_err *err)
{
    for (size_t i = 0; i < l->n; i++)
        if (is_weights(l->files[i].path))
            return hn_fail(err, HONE_FAILED,
                           "%s holds no safetensors and no GGUF files; %s and the like are not "
                           "read by hone (a pickle can run code): look for another revision or "
                           "copy of the model",
                           repo, l->files[i].path);
    return 0;
}

static int choose_weights(struct hn_hub_listing *l, const char *repo, const struct hn_buf *index,
                          struct hone_err *err)
{
    size_t n_safetensors = 0, n_gguf = 0;
    struct hn_hub_file *whole = (struct hn_hub_file *)hn_hub_listing_find(l, "model.safetensors");
    if (index)
        return choose_indexed(l, repo, index, err);
    if (whole) {
        whole->chosen = true;
        n_safetensors = 1;
    }
    for (size_t i = 0; i < l->n; i++) {
        struct hn_hub_file *f = &l->files[i];
        bool part = hn_ends_with(f->path, ".safetensors") && !strchr(f->path, '/');
        bool of_model = part && !whole && hn_starts_with(f->path, "model");
        bool of_adapter = part && hn_starts_with(f->path, "adapter");
        f->chosen |= of_model || of_adapter;
        n_safetensors += of_model || of_adapter;
        n_gguf += is_model_gguf(f->path) && !is_later_part(f->path);
    }
    if (n_safetensors)
        return 0;
    return n_gguf ? choose_gguf(l, repo, n_gguf, err) : fail_unreadable(l, repo, err);
}

int hn_hub_choose(struct hn_hub_listing *l, const char *repo, const struct hone_pull_options *o,
                  const struct hn_buf *index, struct hone_err *err)
{
    int rc = 0;
    if (!o->n_include && !o->tokenizer_only)
        rc = choose_weights(l, repo, index, err);
    size_t n = 0, matched = 0;
    for (size_t i = 0; i < l->n; i++) {
        struct hn_hub_file *f = &l->files[i];
        bool wanted = any(f->path, o->include, o->n_include);
        matched += wanted;
        f->chosen |= wanted || is_small(f);
        f->chosen &= !any(f->path, o->exclude, o->n_exclude);
        n += f->chosen;
    }
    if (!rc && o->n_include && !matched)
        rc = hn_fail(err, HONE_USAGE, "--include: none of the %zu files of %s matches \"%s\"", l->n,
                     repo, o->include[0]);
    if (!rc && !n)
        rc = hn_fail(err, HONE_FAILED, "%s holds nothing that hone reads", repo);
    return rc;
}

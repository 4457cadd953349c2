/* Where models are: local paths first, then the Hugging Face cache. */
#include "hone/hub.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "hub/cache.h"

static bool has(const char *dir, const char *file)
{
    char *path = hn_path_join(dir, file);
    bool there = path && hn_file_exists(path); /* a link to nothing is not there */
    hn_free(path);
    return there;
}

/* ---- what a download left ---------------------------------------------------------------------
 */

/* Every file that the index of shards names is there; the first that is not goes to missing. */
static bool has_indexed(const char *dir, const char *index, struct hn_buf *missing)
{
    struct hn_arena arena;
    struct hn_buf text = {0};
    struct hn_json *root = NULL;
    bool whole = true;
    char *path = hn_path_join(dir, index);
    hn_arena_init(&arena, (size_t)512 << 20);
    if (path && hn_file_read(path, 256 << 20, &text, NULL) == 0 &&
        hn_json_parse(&arena, hn_buf_str(&text), text.len, 0, &root, NULL) == 0) {
        const struct hn_json *map = hn_json_get(root, "weight_map");
        struct hn_str last = {0}, name;
        for (size_t i = 0; map && map->type == HN_JSON_OBJECT && i < map->n && whole; i++) {
            if (!hn_json_str(&map->members[i].value, &name) || hn_str_eq(name, last))
                continue;
            last = name;
            whole = has(dir, name.p);
            if (!whole)
                hn_buf_add_str(missing, name.p);
        }
    } /* what cannot be read, the model layer explains better */
    hn_free(path);
    hn_buf_release(&text);
    hn_arena_release(&arena);
    return whole;
}

/* model-0000K-of-0000N: all N. */
static bool has_numbered(const char *dir, const char *name, struct hn_buf *missing)
{
    unsigned part, parts;
    if (sscanf(name, "model-%5u-of-%5u.safetensors", &part, &parts) != 2)
        return true;
    for (part = 1; part <= parts; part++) {
        char other[64];
        snprintf(other, sizeof other, "model-%05u-of-%05u.safetensors", part, parts);
        if (!has(dir, other)) {
            hn_buf_add_str(missing, other);
            return false;
        }
    }
    return true;
}

/* A snapshot has its weights; else what is missing of them. */
static bool is_complete(const char *dir, char **names, size_t n, struct hn_buf *missing)
{
    static const char index[] = "model.safetensors.index.json";
    size_t weights = 0;
    if (has(dir, index))
        return has_indexed(dir, index, missing);
    for (size_t i = 0; i < n; i++) {
        bool part = hn_ends_with(names[i], ".safetensors") || hn_ends_with(names[i], ".gguf");
        if (!part || !has(dir, names[i]))
            continue;
        weights++;
        if (!has_numbered(dir, names[i], missing))
            return false;
    }
    if (!weights)
        hn_buf_add_str(missing, "the weights");
    return weights > 0;
}

/* A folder with a configuration is a model; one with a single .gguf file stands for that file. */
static int inside(char *dir, char **path, struct hone_err *err)
{
    char **names = NULL;
    size_t n = 0, found = 0, which = 0;
    if (has(dir, "config.json") || has(dir, "adapter_config.json")) {
        *path = dir;
        return 0;
    }
    int rc = hn_dir_list(dir, &names, &n, err);
    for (size_t i = 0; i < n && !rc; i++) {
        if (hn_ends_with(names[i], ".gguf"))
            found++, which = i;
    }
    if (!rc && found == 1)
        *path = hn_path_join(dir, names[which]);
    if (!rc && found == 1 && !*path)
        rc = hn_fail_memory(err, "looking for a model");
    if (!rc && found != 1)
        rc = hn_fail(err, HONE_FAILED,
                     "%s holds no config.json and %zu .gguf files; give the path of the file", dir,
                     found);
    hn_free(names);
    if (!rc)
        hn_free(dir);
    return rc;
}

/* A snapshot of the cache, or why it is none that can be used. */
static int snapshot(const char *name, char *dir, bool tokenizer_only, char **path,
                    struct hone_err *err)
{
    static const char *const tokenizers[] = {"tokenizer.json", "tokenizer.model"};
    struct hn_buf missing = {0};
    char **names = NULL;
    size_t n = 0;
    for (size_t i = 0; i < HN_COUNT(tokenizers) && tokenizer_only; i++) {
        if (has(dir, tokenizers[i])) {
            *path = dir;
            return 0;
        }
    }
    int rc = hn_dir_list(dir, &names, &n, err);
    if (!rc && !is_complete(dir, names, n, &missing))
        rc = hn_fail(err, HONE_NOT_FOUND,
                     "model %s: its copy in the cache, %s, is not complete (%s %s not there); hone "
                     "pull %s gets the rest",
                     name, dir, hn_buf_str(&missing),
                     strcmp(hn_buf_str(&missing), "the weights") == 0 ? "are" : "is", name);
    hn_buf_release(&missing);
    hn_free(names);
    return rc ? rc : inside(dir, path, err);
}

/* ---- names ---------------------------------------------------------------------------------- */

/* The name in the same folder that text is likely a mistyped form of. */
static void near_here(const char *text, struct hn_buf *near)
{
    const char *name = hn_path_name(text), *best = NULL;
    size_t before = (size_t)(name - text), n = 0;
    char **names = NULL, *dir = before ? hn_dup(text, before) : hn_dup(".", 1);
    if (dir && *name && hn_dir_list(dir, &names, &n, NULL) == 0)
        best = hn_nearest(name, (const char *const *)names, n);
    if (best)
        hn_buf_printf(near, "%.*s%s", (int)before, text, best);
    hn_free(names);
    hn_free(dir);
}

/* Say that it is nowhere, what comes near or is there at all, and how to get it. */
static int not_found(const char *text, const struct hn_hub_name *name, const char *cache,
                     struct hone_err *err)
{
    struct hn_buf near = {0};
    if (name)
        hn_hub_near(cache, name->repo, &near);
    else
        hn_hub_near_bare(cache, text, &near);
    if (!name && !near.len)
        near_here(text, &near);
    if (!name)
        hn_fail(err, HONE_NOT_FOUND,
                "model %s: there is no such folder or .gguf file, and it is no ORG/NAME of a hub"
                "%s%s%s",
                text, near.len ? " (did you mean " : "", hn_buf_str(&near), near.len ? "?)" : "");
    else if (hn_hub_is_offline())
        hn_fail(err, HONE_NOT_FOUND,
                "model %s: there is no such folder or file here, and %s holds no such model (%s); "
                "HF_HUB_OFFLINE is set: without it, hone pull %s gets it",
                text, cache ? cache : "the Hugging Face cache", hn_buf_str(&near), text);
    else
        hn_fail(err, HONE_NOT_FOUND,
                "model %s: there is no such folder or file here, and %s holds no such model (%s); "
                "get it with: hone pull %s",
                text, cache ? cache : "the Hugging Face cache", hn_buf_str(&near), text);
    hn_buf_release(&near);
    return HONE_NOT_FOUND;
}

static int from_cache(const char *text, const struct hn_hub_name *name, const char *cache,
                      bool tokenizer_only, char **path, struct hone_err *err)
{
    char hash[HN_HASH_SIZE] = "", *repo = hn_hub_repo_dir(cache, name->repo);
    if (!repo)
        return hn_fail_memory(err, "looking for a model");
    int rc = hn_dir_exists(repo) ? hn_hub_read_ref(repo, name->revision, hash, err)
                                 : not_found(text, name, cache, err);
    char *snapshots = hn_path_join(repo, "snapshots"), *dir = NULL;
    if (!rc && snapshots)
        dir = hn_path_join(snapshots, hash);
    if (!rc && !dir)
        rc = hn_fail_memory(err, "looking for a model");
    else if (!rc && !hn_dir_exists(dir))
        rc = hn_fail(err, HONE_NOT_FOUND,
                     "model %s: the snapshot %s is not in the cache; hone pull %s gets it", text,
                     dir, text);
    if (!rc) {
        rc = snapshot(text, dir, tokenizer_only, path, err);
        if (!rc)
            dir = NULL;
    }
    hn_free(dir);
    hn_free(snapshots);
    hn_free(repo);
    return rc;
}

/* What is here is itself, but for a folder with nothing that counts beside a single .gguf file. */
static int local(const char *name, char **path, struct hone_err *err)
{
    char *here = hn_dup(name, strlen(name));
    if (!here)
        return hn_fail_memory(err, "looking for a model");
    if (!hn_dir_exists(here) || has(here, "tokenizer.json") || inside(here, path, NULL) != 0)
        *path = here; /* the model layer knows best what a folder lacks */
    return 0;
}

static int find(const char *text, bool tokenizer_only, char **path, struct hone_err *err)
{
    struct hn_hub_name name;
    if (hn_dir_exists(text) || hn_file_exists(text))
        return local(text, path, err);
    bool named = hn_hub_name_parse(text, &name);
    char *cache = hn_hub_cache_dir();
    int rc = named && cache ? from_cache(text, &name, cache, tokenizer_only, path, err)
                            : not_found(text, named ? &name : NULL, cache, err);
    hn_free(cache);
    return rc;
}

int hone_model_locate(const char *name, char **path, struct hone_err *err)
{
    return find(name, false, path, err);
}

int hone_tokenizer_locate(const char *name, char **path, struct hone_err *err)
{
    return find(name, true, path, err);
}

bool hone_model_is_remote(const char *name)
{
    struct hn_hub_name parsed;
    return !hn_dir_exists(name) && !hn_file_exists(name) && hn_hub_name_parse(name, &parsed);
}

bool hone_hub_is_offline(void)
{
    return hn_hub_is_offline();
}

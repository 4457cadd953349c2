/* Where models are: local paths first, then the Hugging Face cache, whose layout is
 *   <cache>/models--ORG--NAME/refs/main                 holds a commit's hash
 *   <cache>/models--ORG--NAME/snapshots/<hash>/...      the files */
#include "hone/hub.h"

#include <stdlib.h>
#include <string.h>
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"

enum { MAX_HASH = 64, MAX_NAMES = 512 };

/* The cache folder, hn_free'd by the caller; NULL: no memory, or no home. */
static char *cache_dir(void)
{
    const char *dir = getenv("HF_HUB_CACHE");
    if (dir && *dir)
        return hn_path_join("", dir);
    if ((dir = getenv("HUGGINGFACE_HUB_CACHE")) && *dir)
        return hn_path_join("", dir);
    if ((dir = getenv("HF_HOME")) && *dir)
        return hn_path_join(dir, "hub");
    if ((dir = getenv("XDG_CACHE_HOME")) && *dir)
        return hn_path_join(dir, "huggingface/hub");
    dir = getenv("HOME");
    return dir && *dir ? hn_path_join(dir, ".cache/huggingface/hub") : NULL;
}

/* ORG/NAME or NAME of the hub: letters, digits, - _ and dots, at most one slash within. */
static bool is_hub_name(const char *name)
{
    size_t n = strlen(name), slashes = 0;
    for (size_t i = 0; i < n; i++) {
        char c = name[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      c == '-' || c == '_' || c == '.';
        slashes += c == '/';
        if (!letter && c != '/')
            return false;
    }
    return n > 0 && n < 200 && slashes == 1 && name[0] != '/' && name[0] != '.' &&
           name[n - 1] != '/' && !strstr(name, "..") && !strstr(name, "--");
}

/* "models--ORG--NAME" */
static void folder_of(const char *name, struct hn_buf *out)
{
    hn_buf_add_str(out, "models--");
    for (const char *p = name; *p; p++) {
        if (*p == '/')
            hn_buf_add_str(out, "--");
        else
            hn_buf_add_char(out, *p);
    }
}

/* The hash that refs/main names; without one, the only snapshot that there is. */
static int read_hash(const char *repo, char hash[MAX_HASH + 1], struct hone_err *err)
{
    struct hn_buf text = {0};
    char *ref = hn_path_join(repo, "refs/main"), *snapshots = hn_path_join(repo, "snapshots");
    char **names = NULL;
    size_t n = 0;
    int rc = 0;
    if (!ref || !snapshots) {
        rc = hn_fail_memory(err, "looking for a model");
    } else if (hn_file_exists(ref)) {
        rc = hn_file_read(ref, 4096, &text, err);
        size_t len = strspn(hn_buf_str(&text), "0123456789abcdefABCDEF");
        const char *rest = hn_buf_str(&text) + len;
        if (!rc && (len == 0 || len > MAX_HASH || rest[strspn(rest, " \r\n")]))
            rc = hn_fail(err, HONE_FAILED, "%s should hold the hash of a commit", ref);
        if (!rc) {
            memcpy(hash, hn_buf_str(&text), len);
            hash[len] = 0;
        }
    } else {
        rc = hn_dir_list(snapshots, &names, &n, err);
        if (!rc && (n != 1 || strlen(names[0]) > MAX_HASH))
            rc = hn_fail(err, HONE_FAILED,
                         "%s holds %zu snapshots and no refs/main that says which one counts", repo,
                         n);
        if (!rc)
            memcpy(hash, names[0], strlen(names[0]) + 1);
    }
    hn_free(names);
    hn_free(ref);
    hn_free(snapshots);
    hn_buf_release(&text);
    return rc;
}

/* A snapshot with a config.json is a model; one with a single .gguf file stands for that file. */
static int inside(char *snapshot, char **path, struct hone_err *err)
{
    char **names = NULL, *config = hn_path_join(snapshot, "config.json");
    size_t n = 0, found = 0, which = 0;
    if (!config)
        return hn_fail_memory(err, "looking for a model");
    bool complete = hn_file_exists(config);
    hn_free(config);
    if (complete) {
        *path = snapshot;
        return 0;
    }
    int rc = hn_dir_list(snapshot, &names, &n, err);
    for (size_t i = 0; i < n && !rc; i++) {
        if (hn_ends_with(names[i], ".gguf"))
            found++, which = i;
    }
    if (!rc && found == 1)
        *path = hn_path_join(snapshot, names[which]);
    if (!rc && found == 1 && !*path)
        rc = hn_fail_memory(err, "looking for a model");
    if (!rc && found != 1)
        rc = hn_fail(err, HONE_FAILED,
                     "%s holds no config.json and %zu .gguf files%s; give the path of the file",
                     snapshot, found, found ? "" : ": the download is not complete");
    hn_free(names);
    if (!rc)
        hn_free(snapshot);
    return rc;
}

/* "models--A--B" back to "A/B", in place. */
static void unfold(char *name)
{
    char *from = name + strlen("models--"), *to = name;
    for (; *from; from++) {
        if (from[0] == '-' && from[1] == '-') {
            *to++ = '/';
            from++;
        } else {
            *to++ = *from;
        }
    }
    *to = 0;
}

/* Say that it is nowhere, and what comes near or is there at all. */
static int not_found(const char *name, const char *cache, struct hone_err *err)
{
    const char *models[MAX_NAMES];
    char **names = NULL;
    size_t n = 0, n_models = 0;
    if (cache && hn_dir_exists(cache) && hn_dir_list(cache, &names, &n, NULL))
        n = 0;
    for (size_t i = 0; i < n && n_models < MAX_NAMES; i++) {
        if (!hn_starts_with(names[i], "models--"))
            continue;
        unfold(names[i]);
        models[n_models++] = names[i];
    }
    const char *near = hn_nearest(name, models, n_models);
    struct hn_buf have = {0};
    for (size_t i = 0; i < n_models && i < 3 && !near; i++)
        hn_buf_printf(&have, "%s%s", i ? ", " : "", models[i]);
    if (near)
        hn_buf_printf(&have, "did you mean %s?", near);
    else if (n_models)
        hn_buf_printf(&have, "%s there", n_models > 3 ? ", … are" : n_models > 1 ? " are" : " is");
    else
        hn_buf_add_str(&have, "the cache is empty");
    if (is_hub_name(name))
        hn_fail(err, HONE_NOT_FOUND,
                "model %s: there is no such folder or file here, and %s holds no such model (%s); "
                "get it with: hf download %s",
                name, cache ? cache : "the Hugging Face cache", hn_buf_str(&have), name);
    else
        hn_fail(err, HONE_NOT_FOUND,
                "model %s: there is no such folder or .gguf file, and it is no ORG/NAME of a hub",
                name);
    hn_buf_release(&have);
    hn_free(names);
    return HONE_NOT_FOUND;
}

static int from_cache(const char *name, const char *cache, char **path, struct hone_err *err)
{
    char hash[MAX_HASH + 1] = "";
    struct hn_buf folder = {0};
    folder_of(name, &folder);
    char *repo = hn_path_join(cache, hn_buf_str(&folder));
    hn_buf_release(&folder);
    if (!repo)
        return hn_fail_memory(err, "looking for a model");
    int rc = hn_dir_exists(repo) ? read_hash(repo, hash, err) : not_found(name, cache, err);
    char *snapshots = hn_path_join(repo, "snapshots"), *snapshot = NULL;
    if (!rc && snapshots)
        snapshot = hn_path_join(snapshots, hash);
    if (!rc && !snapshot)
        rc = hn_fail_memory(err, "looking for a model");
    else if (!rc && !hn_dir_exists(snapshot))
        rc = hn_fail(err, HONE_NOT_FOUND,
                     "model %s: refs/main names the snapshot %s, which is not in the cache", name,
                     snapshot);
    if (!rc) {
        rc = inside(snapshot, path, err);
        if (!rc)
            snapshot = NULL;
    }
    hn_free(snapshot);
    hn_free(snapshots);
    hn_free(repo);
    return rc;
}

/* What is here is itself, but for a folder with nothing that counts beside a single .gguf file. */
static int local(const char *name, char **path, struct hone_err *err)
{
    static const char *const whole[] = {"config.json", "adapter_config.json", "tokenizer.json"};
    char *here = hn_path_join("", name);
    bool is_model = here && !hn_dir_exists(here);
    for (size_t i = 0; i < HN_COUNT(whole) && here && !is_model; i++) {
        char *file = hn_path_join(here, whole[i]);
        is_model = file && hn_file_exists(file);
        hn_free(file);
    }
    if (!here)
        return hn_fail_memory(err, "looking for a model");
    if (is_model || inside(here, path, NULL) != 0)
        *path = here; /* the model layer knows best what a folder lacks */
    return 0;
}

int hone_model_locate(const char *name, char **path, struct hone_err *err)
{
    if (hn_dir_exists(name) || hn_file_exists(name))
        return local(name, path, err);
    char *cache = cache_dir();
    int rc = is_hub_name(name) && cache ? from_cache(name, cache, path, err)
                                        : not_found(name, cache, err);
    hn_free(cache);
    return rc;
}

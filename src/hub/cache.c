#include "hub/cache.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"

enum { MAX_NAMES = 512 };

/* ---- names ---------------------------------------------------------------------------------- */

static bool is_word(const char *s, size_t n, const char *also)
{
    for (size_t i = 0; i < n; i++) {
        char c = s[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              (c && strchr(also, c))))
            return false;
    }
    return n > 0;
}

/* ORG/NAME: letters, digits, '-', '_' and '.', one slash within. */
static bool is_repo(const char *s, size_t n)
{
    const char *slash = memchr(s, '/', n);
    return slash && n < HN_NAME_SIZE && is_word(s, (size_t)(slash - s), "-_.") &&
           is_word(slash + 1, n - (size_t)(slash - s) - 1, "-_.") && s[0] != '.' &&
           slash[1] != '.' && s[n - 1] != '.';
}

bool hn_hub_is_revision(const char *s)
{
    size_t n = strlen(s);
    return n < HN_NAME_SIZE && is_word(s, n, "-_./+") && s[0] != '/' && s[0] != '.' &&
           s[n - 1] != '/' && !strstr(s, "..") && !strstr(s, "//") && !strstr(s, "/.");
}

/* 40 hexadecimal digits */
static bool is_commit(const char *s)
{
    return strlen(s) == 40 && strspn(s, "0123456789abcdef") == 40;
}

bool hn_hub_name_parse(const char *text, struct hn_hub_name *out)
{
    size_t n = strcspn(text, "@");
    const char *revision = text[n] ? text + n + 1 : "main";
    if (!is_repo(text, n) || !hn_hub_is_revision(revision))
        return false;
    *out = (struct hn_hub_name){0};
    memcpy(out->repo, text, n);
    memcpy(out->revision, revision, strlen(revision));
    return !strstr(out->repo, "..") && !strstr(out->repo, "--");
}

/* ---- places --------------------------------------------------------------------------------- */

/* As the shell, "~/x" is below the home folder. */
static char *expand(const char *dir)
{
    const char *home = getenv("HOME");
    if (dir[0] == '~' && (dir[1] == '/' || !dir[1]) && home && *home)
        return hn_path_join(home, dir[1] ? dir + 2 : "");
    return hn_dup(dir, strlen(dir));
}

/* HF_HOME joined with name */
static char *below_home(const char *name)
{
    char *home = NULL, *path = NULL;
    const char *dir = getenv("HF_HOME");
    if (dir && *dir)
        home = expand(dir);
    else if ((dir = getenv("XDG_CACHE_HOME")) && *dir)
        home = hn_path_join(dir, "huggingface");
    else if ((dir = getenv("HOME")) && *dir)
        home = hn_path_join(dir, ".cache/huggingface");
    if (home)
        path = hn_path_join(home, name);
    hn_free(home);
    return path;
}

char *hn_hub_cache_dir(void)
{
    const char *dir = getenv("HF_HUB_CACHE");
    if (dir && *dir)
        return expand(dir);
    if ((dir = getenv("HUGGINGFACE_HUB_CACHE")) && *dir)
        return expand(dir);
    return below_home("hub");
}

char *hn_hub_token_path(void)
{
    const char *path = getenv("HF_TOKEN_PATH");
    return path && *path ? expand(path) : below_home("token");
}

char *hn_hub_repo_dir(const char *cache, const char *repo)
{
    struct hn_buf name = {0};
    hn_buf_add_str(&name, "models--");
    for (const char *p = repo; *p; p++) {
        if (*p == '/')
            hn_buf_add_str(&name, "--");
        else
            hn_buf_add_char(&name, *p);
    }
    char *path = name.failed ? NULL : hn_path_join(cache, hn_buf_str(&name));
    hn_buf_release(&name);
    return path;
}

bool hn_hub_is_on(const char *variable)
{
    static const char *const yes[] = {"1", "on", "yes", "true"};
    const char *value = getenv(variable);
    for (size_t i = 0; value && i < HN_COUNT(yes); i++)
        if (strcasecmp(value, yes[i]) == 0)
            return true;
    return false;
}

bool hn_hub_is_offline(void)
{
    const char *value = getenv("HF_HUB_OFFLINE");
    return hn_hub_is_on(value && *value ? "HF_HUB_OFFLINE" : "TRANSFORMERS_OFFLINE");
}

/* ---- revisions ------------------------------------------------------------------------------ */

static char *ref_path(const char *repo_dir, const char *revision)
{
    char *refs = hn_path_join(repo_dir, "refs");
    char *path = refs ? hn_path_join(refs, revision) : NULL;
    hn_free(refs);
    return path;
}

static int read_hash(const char *path, char hash[HN_HASH_SIZE], struct hone_err *err)
{
    struct hn_buf text = {0};
    int rc = hn_file_read(path, 4096, &text, err);
    size_t n = strspn(hn_buf_str(&text), "0123456789abcdefABCDEF");
    const char *rest = hn_buf_str(&text) + n;
    if (!rc && (n == 0 || n >= HN_HASH_SIZE || rest[strspn(rest, " \r\n")]))
        rc = hn_fail(err, HONE_FAILED, "%s should hold the hash of a commit", path);
    if (!rc) {
        memcpy(hash, hn_buf_str(&text), n);
        hash[n] = 0;
    }
    hn_buf_release(&text);
    return rc;
}

/* No refs/main: older tools that were given a commit leave none. */
static int only_snapshot(const char *repo_dir, char hash[HN_HASH_SIZE], struct hone_err *err)
{
    char **names = NULL, *snapshots = hn_path_join(repo_dir, "snapshots");
    size_t n = 0;
    int rc = snapshots ? 0 : hn_fail_memory(err, "looking for a model");
    if (!rc && hn_dir_exists(snapshots))
        rc = hn_dir_list(snapshots, &names, &n, err);
    if (!rc && n == 1 && strlen(names[0]) < HN_HASH_SIZE)
        memcpy(hash, names[0], strlen(names[0]) + 1);
    else if (!rc)
        rc = hn_fail(err, HONE_NOT_FOUND,
                     "%s holds %zu snapshots and no refs/main that says which one counts", repo_dir,
                     n);
    hn_free(names);
    hn_free(snapshots);
    return rc;
}

int hn_hub_read_ref(const char *repo_dir, const char *revision, char hash[HN_HASH_SIZE],
                    struct hone_err *err)
{
    char *path = ref_path(repo_dir, revision);
    int rc;
    if (!path)
        return hn_fail_memory(err, "looking for a model");
    if (hn_file_exists(path)) {
        rc = read_hash(path, hash, err);
    } else if (is_commit(revision)) {
        memcpy(hash, revision, strlen(revision) + 1);
        rc = 0;
    } else if (strcmp(revision, "main") == 0) {
        rc = only_snapshot(repo_dir, hash, err);
    } else {
        rc = hn_fail(err, HONE_NOT_FOUND, "%s holds no revision %s", repo_dir, revision);
    }
    hn_free(path);
    return rc;
}

int hn_hub_write_ref(const char *repo_dir, const char *revision, const char *hash,
                     struct hone_err *err)
{
    if (strcmp(revision, hash) == 0)
        return 0;
    char *path = ref_path(repo_dir, revision), *slash = path ? strrchr(path, '/') : NULL;
    if (!slash) {
        hn_free(path);
        return hn_fail_memory(err, "noting a revision");
    }
    *slash = 0;
    int rc = hn_dir_make(path, err);
    *slash = '/';
    rc = rc ? rc : hn_file_write(path, hash, strlen(hash), err);
    hn_free(path);
    return rc;
}

/* ---- what there is -------------------------------------------------------------------------- */

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

/* The models of the cache, "A/B", which lie in names (hn_free). */
static size_t list_models(const char *cache, const char *models[MAX_NAMES], char ***names)
{
    size_t n = 0, n_models = 0;
    *names = NULL;
    if (!cache || !hn_dir_exists(cache) || hn_dir_list(cache, names, &n, NULL))
        return 0;
    for (size_t i = 0; i < n && n_models < MAX_NAMES; i++) {
        if (!hn_starts_with((*names)[i], "models--"))
            continue;
        unfold((*names)[i]);
        models[n_models++] = (*names)[i];
    }
    return n_models;
}

void hn_hub_near_bare(const char *cache, const char *name, struct hn_buf *out)
{
    const char *models[MAX_NAMES], *bare[MAX_NAMES];
    char **names;
    size_t n = list_models(cache, models, &names);
    for (size_t i = 0; i < n; i++)
        bare[i] = hn_path_name(models[i]);
    const char *near = hn_nearest(name, bare, n);
    for (size_t i = 0; i < n && near; i++)
        if (bare[i] == near)
            hn_buf_add_str(out, models[i]);
    hn_free(names);
}

void hn_hub_near(const char *cache, const char *repo, struct hn_buf *out)
{
    const char *models[MAX_NAMES];
    char **names;
    size_t n = list_models(cache, models, &names);
    const char *near = hn_nearest(repo, models, n);
    if (near && strcmp(near, repo) != 0) {
        hn_buf_printf(out, "did you mean %s?", near);
    } else if (n) {
        for (size_t i = 0; i < n && i < 3; i++)
            hn_buf_printf(out, "%s%s", i ? ", " : "", models[i]);
        hn_buf_add_str(out, n > 3 ? ", … are there" : n > 1 ? " are there" : " is there");
    } else {
        hn_buf_add_str(out, "the cache is empty");
    }
    hn_free(names);
}

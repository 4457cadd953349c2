#include "hub/listing.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"

enum {
    MAX_ANSWER = 64 << 20,
    MAX_FILES = 100000,
    MAX_PAGES = 1000,
    MAX_PATH = 1000,
    MAX_PART = 255,
    MAX_PARTS = 32,
};

void hn_hub_listing_release(struct hn_hub_listing *l)
{
    hn_free(l->files);
    hn_arena_release(&l->arena);
    *l = (struct hn_hub_listing){0};
}

bool hn_hub_is_safe_path(const char *path, size_t n)
{
    size_t start = 0, parts = 0;
    if (n == 0 || n > MAX_PATH || hn_utf8_check(path, n) != n)
        return false;
    for (size_t i = 0; i <= n; i++) {
        unsigned char c = i < n ? (unsigned char)path[i] : '/';
        if (c < ' ' || c == 127 || c == '\\')
            return false;
        if (c != '/')
            continue;
        size_t len = i - start;
        const char *part = path + start;
        if (len == 0 || len > MAX_PART || ++parts > MAX_PARTS || (len == 1 && part[0] == '.') ||
            (len == 2 && part[0] == '.' && part[1] == '.'))
            return false;
        start = i + 1;
    }
    return true;
}

/* ---- answers that are no success --------------------------------------------------------------
 */

static int fail_refused(const struct hn_http *h, const struct hn_hub_name *name, bool gated,
                        struct hone_err *err)
{
    const char *repo = name->repo;
    if (gated && !h->token)
        return hn_fail(err, HONE_FAILED,
                       "%s is gated: accept its terms at %s/%s, make a token at "
                       "%s/settings/tokens, and set HF_TOKEN to it",
                       repo, h->endpoint, repo, h->endpoint);
    if (gated)
        return hn_fail(err, HONE_FAILED,
                       "%s is gated, and the account of the token in %s has no access to it; ask "
                       "for it at %s/%s",
                       repo, h->token_from, h->endpoint, repo);
    return hn_fail(err, HONE_FAILED,
                   "the hub %s refuses %s with the token in %s; see that the token is right, not "
                   "expired, and may read that model",
                   h->endpoint, repo, h->token_from);
}

/* A hub says 401 for a name that nobody has too, so as not to tell what is private. */
static int fail_missing(const struct hn_http *h, const struct hn_hub_name *name,
                        struct hone_err *err)
{
    struct hn_buf near = {0};
    char *cache = hn_hub_cache_dir();
    hn_hub_near(cache, name->repo, &near);
    int rc = hn_fail(err, HONE_NOT_FOUND,
                     "%s: the hub %s has no such model, or it is private%s (in the cache: %s)",
                     name->repo, h->endpoint,
                     h->token ? " and the token may not read it"
                              : ": then set HF_TOKEN to a token that may read it",
                     hn_buf_str(&near));
    hn_buf_release(&near);
    hn_free(cache);
    return rc;
}

int hn_hub_fail_status(const struct hn_http *h, const struct hn_hub_name *name,
                       const struct hn_wire_reply *r, const char *asked, struct hone_err *err)
{
    bool gated = strcmp(r->error_code, "GatedRepo") == 0 ||
                 strstr(r->error_message, "gated") != NULL ||
                 strstr(hn_buf_str(&r->text), "gated") != NULL;
    bool bad_token = strstr(r->error_message, "Invalid credentials") != NULL;
    if (r->failure || (r->status != 401 && r->status != 403 && r->status != 404))
        return hn_http_fail(h, r, asked, err);
    if (strcmp(r->error_code, "RevisionNotFound") == 0)
        return hn_fail(err, HONE_NOT_FOUND, "%s has no revision %s; %s/%s/tree/main lists them",
                       name->repo, name->revision, h->endpoint, name->repo);
    if (strcmp(r->error_code, "EntryNotFound") == 0)
        return hn_fail(err, HONE_NOT_FOUND, "%s: the hub %s lists it and does not have it", asked,
                       h->endpoint);
    if (gated && r->status != 404)
        return fail_refused(h, name, true, err);
    if (h->token && (r->status == 403 || bad_token))
        return fail_refused(h, name, false, err);
    if (r->status == 403)
        return hn_fail(err, HONE_FAILED,
                       "the hub %s refuses %s; if it is gated, accept its terms at %s/%s and set "
                       "HF_TOKEN to a token that may read it",
                       h->endpoint, name->repo, h->endpoint, name->repo);
    return fail_missing(h, name, err);
}

/* ---- answers ---------------------------------------------------------------------------------
 */

static bool is_hex(struct hn_str s, size_t n)
{
    for (size_t i = 0; i < s.n; i++)
        if (!strchr("0123456789abcdef", s.p[i]) || !s.p[i])
            return false;
    return s.n == n;
}

/* The value of this key as a digest of n digits, kept in the arena; NULL where it is none. */
static const char *digest(struct hn_hub_listing *l, const struct hn_json *j, const char *key,
                          size_t n)
{
    struct hn_str s;
    if (!hn_json_str(hn_json_get(j, key), &s))
        return NULL;
    if (s.n > 7 && memcmp(s.p, "sha256:", 7) == 0)
        s.p += 7, s.n -= 7;
    return is_hex(s, n) ? hn_arena_dup(&l->arena, s.p, s.n) : NULL;
}

/* One file of the tree ("path", "oid") or of the model's description ("rfilename", "blobId"). */
static int add_file(struct hn_hub_listing *l, const struct hn_hub_name *name,
                    const struct hn_json *j, struct hone_err *err)
{
    struct hn_str path;
    int64_t size = -1;
    if (!hn_json_str(hn_json_get(j, "path"), &path) &&
        !hn_json_str(hn_json_get(j, "rfilename"), &path))
        return hn_fail(err, HONE_FAILED, "the hub's listing of %s holds %s without a name",
                       name->repo, hn_json_type_name(j));
    if (!hn_hub_is_safe_path(path.p, path.n))
        return hn_fail(err, HONE_FAILED,
                       "the hub's listing of %s holds the file name \"%.*s\", which could be "
                       "written outside the model's folder: nothing of it is downloaded",
                       name->repo, (int)HN_MIN(path.n, (size_t)200), path.p);
    if (l->n == MAX_FILES)
        return hn_fail(err, HONE_FAILED, "the hub's listing of %s holds more than %d files",
                       name->repo, MAX_FILES);
    const struct hn_json *lfs = hn_json_get(j, "lfs");
    const char *sha256 = digest(l, lfs, "oid", 64), *blob = NULL;
    if (!sha256)
        sha256 = digest(l, lfs, "sha256", 64);
    if (!lfs || lfs->type != HN_JSON_OBJECT) {
        blob = digest(l, j, "oid", 40);
        blob = blob ? blob : digest(l, j, "blobId", 40);
    }
    if (!hn_json_int(hn_json_get(lfs, "size"), &size))
        (void)hn_json_int(hn_json_get(j, "size"), &size);
    size = HN_MAX(size, (int64_t)-1);
    const char *copy = hn_arena_dup(&l->arena, path.p, path.n);
    if (hn_grow((void **)&l->files, &l->cap, l->n + 1, sizeof *l->files) || l->arena.failed)
        return hn_fail_memory(err, "reading a hub's listing");
    l->files[l->n++] =
        (struct hn_hub_file){.path = copy, .size = size, .blob = blob, .sha256 = sha256};
    return 0;
}

/* Parse an answer and add what it lists; *n is how many items it had. */
static int take_answer(struct hn_hub_listing *l, const struct hn_hub_name *name,
                       const struct hn_buf *text, bool tree, size_t *n, struct hone_err *err)
{
    struct hn_arena arena;
    struct hn_json *root = NULL;
    struct hn_str sha;
    hn_arena_init(&arena, (size_t)1 << 30);
    int rc = hn_json_parse(&arena, hn_buf_str(text), text->len, 0, &root, err);
    if (rc && rc != HONE_NO_MEMORY)
        rc = hn_fail_prefix(err, "the hub's listing of %s is no JSON", name->repo);
    const struct hn_json *list = tree ? root : hn_json_get(root, "siblings");
    if (!rc && !tree && hn_json_str(hn_json_get(root, "sha"), &sha)) {
        if (sha.n >= HN_HASH_SIZE || !sha.n || strspn(sha.p, "0123456789abcdef") != sha.n)
            rc = hn_fail(err, HONE_FAILED, "the hub names \"%.*s\" as the commit of %s",
                         (int)HN_MIN(sha.n, (size_t)100), sha.p, name->repo);
        else
            memcpy(l->commit, sha.p, sha.n + 1);
    }
    if (!rc && tree && (!list || list->type != HN_JSON_ARRAY))
        rc = hn_fail(err, HONE_FAILED, "the hub's listing of %s is %s, expected an array",
                     name->repo, hn_json_type_name(list));
    *n = list && list->type == HN_JSON_ARRAY ? list->n : 0;
    for (size_t i = 0; i < *n && !rc; i++)
        if (!hn_json_is(hn_json_get(&list->items[i], "type"), "directory"))
            rc = add_file(l, name, &list->items[i], err);
    hn_arena_release(&arena);
    return rc;
}

/* '<URL>; rel="next"' of a Link header, as a C string; "" where there is none. */
static void next_page(const struct hn_wire_reply *r, struct hn_buf *url)
{
    const char *link = hn_buf_str(&r->link), *rel = strstr(link, "rel=\"next\"");
    const char *open = strchr(link, '<'), *close = open ? strchr(open, '>') : NULL;
    hn_buf_clear(url);
    if (rel && close && close < rel)
        hn_buf_add(url, open + 1, (size_t)(close - open) - 1);
}

static int compare_files(const void *a, const void *b)
{
    return strcmp(((const struct hn_hub_file *)a)->path, ((const struct hn_hub_file *)b)->path);
}

/* The tree of the commit, page by page.  A hub without it (a plain mirror) is asked no further:
 * what the description listed is kept. */
static int list_tree(struct hn_http *h, const struct hn_hub_name *name, struct hn_hub_listing *l,
                     struct hone_err *err)
{
    struct hn_buf url = {0}, text = {0};
    struct hn_wire_reply reply = {0};
    int rc = 0;
    hn_buf_printf(&url, "%s/api/models/%s/tree/", h->endpoint, name->repo);
    hn_url_add_path(&url, l->commit);
    hn_buf_add_str(&url, "?recursive=True&expand=False");
    for (int page = 0; url.len && !rc; page++) {
        size_t n;
        hn_buf_clear(&text);
        rc = url.failed ? hn_fail_memory(err, "reading a hub's listing")
                        : hn_http_text(h, hn_buf_str(&url), false, MAX_ANSWER, &text, &reply, err);
        if (!rc && page == MAX_PAGES)
            rc = hn_fail(err, HONE_FAILED, "the hub's listing of %s has more than %d pages",
                         name->repo, MAX_PAGES);
        if (!rc && page == 0 && l->n && !reply.failure && reply.status == 404)
            break;
        if (!rc && (reply.failure || reply.status != 200))
            rc = hn_hub_fail_status(h, name, &reply, "the list of files", err);
        if (!rc && page == 0)
            l->n = 0;
        rc = rc ? rc : take_answer(l, name, &text, true, &n, err);
        next_page(&reply, &url);
    }
    hn_wire_reply_release(&reply);
    hn_buf_release(&text);
    hn_buf_release(&url);
    return rc;
}

int hn_hub_list(struct hn_http *h, const struct hn_hub_name *name, struct hn_hub_listing *l,
                struct hone_err *err)
{
    struct hn_buf url = {0}, text = {0};
    struct hn_wire_reply reply = {0};
    size_t n;
    *l = (struct hn_hub_listing){0};
    hn_arena_init(&l->arena, (size_t)256 << 20);
    hn_buf_printf(&url, "%s/api/models/%s/revision/", h->endpoint, name->repo);
    for (const char *p = name->revision; *p; p++) /* here a '/' is part of the name */
        hn_buf_printf(&url, *p == '/' ? "%%2F" : "%c", *p);
    int rc = url.failed ? hn_fail_memory(err, "reading a hub's listing")
                        : hn_http_text(h, hn_buf_str(&url), false, MAX_ANSWER, &text, &reply, err);
    if (!rc && (reply.failure || reply.status != 200))
        rc = hn_hub_fail_status(h, name, &reply, "asking for its files", err);
    rc = rc ? rc : take_answer(l, name, &text, false, &n, err);
    if (!rc && !l->commit[0])
        rc = hn_fail(err, HONE_FAILED, "%s names no commit of %s: it is no hub that hone knows",
                     h->endpoint, name->repo);
    rc = rc ? rc : list_tree(h, name, l, err);
    if (!rc && l->n)
        qsort(l->files, l->n, sizeof *l->files, compare_files);
    hn_wire_reply_release(&reply);
    hn_buf_release(&text);
    hn_buf_release(&url);
    return rc;
}

const struct hn_hub_file *hn_hub_listing_find(const struct hn_hub_listing *l, const char *path)
{
    for (size_t i = 0; i < l->n; i++)
        if (strcmp(l->files[i].path, path) == 0)
            return &l->files[i];
    return NULL;
}

/* hone_pull: the listing, the choice, the room on the disk, the files one after the other, and last
 * the reference that makes the snapshot the model. */
#include "hone/hub.h"

#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "hub/choose.h"
#include "hub/fetch.h"

static int on_tick(void *arg)
{
    return hn_hub_tell(arg, HONE_PULL_PROGRESS, NULL);
}

/* Bytes free where the cache is or will be; UINT64_MAX when that cannot be told. */
static uint64_t free_bytes(const char *cache)
{
    struct statvfs v;
    size_t n = strlen(cache);
    char *path = hn_calloc(n + 2, 1);
    uint64_t bytes = UINT64_MAX;
    if (!path)
        return bytes;
    memcpy(path, cache, n);
    while (statvfs(path, &v) != 0) {
        char *slash = strrchr(path, '/');
        if (!slash || slash == path)
            memcpy(path, slash ? "/" : ".", 2);
        else
            *slash = 0;
        if (strlen(path) <= 1 && statvfs(path, &v) != 0)
            break;
    }
    if (statvfs(path, &v) == 0)
        bytes = (uint64_t)v.f_bavail * v.f_frsize;
    hn_free(path);
    return bytes;
}

/* Count the chosen files, and refuse what has no room. */
static int plan(struct hn_hub_job *job, const struct hn_hub_listing *l, struct hone_err *err)
{
    struct hone_pull_event *e = &job->event;
    uint64_t present = 0;
    e->total_known = true;
    for (size_t i = 0; i < l->n; i++) {
        const struct hn_hub_file *f = &l->files[i];
        uint64_t size = (uint64_t)HN_MAX(f->size, (int64_t)0);
        if (!f->chosen)
            continue;
        e->n_files++;
        e->total_known &= f->size >= 0;
        if (hn_add_overflows(e->total, size, &e->total))
            return hn_fail(err, HONE_FAILED, "the hub lists sizes of %s that no disk holds",
                           job->name->repo);
        present += HN_MIN(hn_hub_present(job, f), size);
    }
    uint64_t room = free_bytes(job->cache), need = e->total - present;
    if (need <= room)
        return 0;
    return hn_fail(err, HONE_FAILED,
                   "%s needs %.2f GB, and %s has %.2f GB free; make room, or set HF_HUB_CACHE to a "
                   "folder on another disk",
                   job->name->repo, (double)need * 1e-9, job->cache, (double)room * 1e-9);
}

static int stopped(const struct hn_hub_job *job, struct hone_err *err)
{
    return hn_fail(err, HONE_INTERRUPTED, "stopped; hone pull %s goes on from there",
                   job->name->repo);
}

/* Every chosen file.  early: one that was fetched before the choice could be made, or NULL. */
static int fetch_all(struct hn_hub_job *job, const struct hn_hub_listing *l,
                     const struct hn_hub_file *early, struct hone_err *err)
{
    int rc = 0;
    for (size_t i = 0; i < l->n && !rc; i++) {
        const struct hn_hub_file *f = &l->files[i];
        bool cached;
        if (!f->chosen)
            continue;
        rc = hn_hub_fetch(job, f, &cached, err);
        if (rc)
            break;
        char *pointer = hn_hub_pointer(job, f->path);
        int64_t size = pointer ? hn_file_size(pointer) : 0;
        hn_free(pointer);
        job->event.file_size = (uint64_t)HN_MAX(size, (int64_t)0);
        job->event.file_done = 0;
        job->before += job->event.file_size;
        job->event.files_done++;
        job->event.cached = cached && f != early;
        if (hn_hub_tell(job, HONE_PULL_FILE, NULL))
            rc = stopped(job, err);
    }
    return rc;
}

/* The shards' index, which has to be here before the choice. */
static int fetch_index(struct hn_hub_job *job, const struct hn_hub_file *f, struct hn_buf *text,
                       bool *fetched, struct hone_err *err)
{
    bool cached;
    int rc = hn_hub_fetch(job, f, &cached, err);
    char *path = rc ? NULL : hn_hub_pointer(job, f->path);
    *fetched = !cached;
    if (!rc)
        rc = path ? hn_file_read(path, 256 << 20, text, err) : hn_fail_memory(err, "downloading");
    hn_free(path);
    return rc;
}

/* The one GGUF file that was asked for is the model itself; else the snapshot is. */
static int result(struct hn_hub_job *job, const struct hn_hub_listing *l, char **path,
                  struct hone_err *err)
{
    const struct hn_hub_file *gguf = NULL;
    size_t n_gguf = 0;
    bool others = false;
    for (size_t i = 0; i < l->n; i++) {
        const struct hn_hub_file *f = &l->files[i];
        if (!f->chosen)
            continue;
        others |= hn_ends_with(f->path, ".safetensors");
        if (hn_ends_with(f->path, ".gguf") && n_gguf++ == 0)
            gguf = f;
    }
    *path = hn_hub_pointer(job, gguf && !others && n_gguf == 1 ? gguf->path : NULL);
    return *path ? 0 : hn_fail_memory(err, "downloading");
}

static int pull(struct hn_hub_job *job, struct hn_hub_listing *l, const struct hone_pull_options *o,
                char **path, struct hone_err *err)
{
    struct hn_buf index = {0};
    bool early = false;
    memcpy(job->commit, l->commit, sizeof job->commit);
    const struct hn_hub_file *f = hn_hub_index(l, o);
    int rc = f ? fetch_index(job, f, &index, &early, err) : 0;
    rc = rc ? rc : hn_hub_choose(l, job->name->repo, o, f ? &index : NULL, err);
    rc = rc ? rc : plan(job, l, err);
    char *snapshot = rc ? NULL : hn_hub_pointer(job, NULL);
    job->event.commit = job->commit;
    job->event.path = snapshot;
    job->event.file = NULL;
    job->event.file_done = 0;
    if (!rc && hn_hub_tell(job, HONE_PULL_PLAN, NULL))
        rc = stopped(job, err);
    rc = rc ? rc : fetch_all(job, l, early ? f : NULL, err);
    rc = rc ? rc : hn_hub_write_ref(job->repo_dir, job->name->revision, job->commit, err);
    rc = rc ? rc : result(job, l, path, err);
    hn_free(snapshot);
    hn_buf_release(&index);
    return rc;
}

/* The hub is out of reach: the cache is good enough when it has the model. */
static int from_cache(struct hn_hub_job *job, const struct hn_hub_name *name, bool tokenizer_only,
                      char **path, struct hone_err *err)
{
    char full[2 * HN_NAME_SIZE], text[700];
    struct hone_err why = {0};
    struct hn_buf near = {0};
    bool newest = strcmp(name->revision, "main") == 0;
    snprintf(full, sizeof full, "%s%s%s", name->repo, newest ? "" : "@",
             newest ? "" : name->revision);
    bool offline = hn_hub_is_offline();
    int rc = (tokenizer_only ? hone_tokenizer_locate : hone_model_locate)(full, path, &why);
    if (!rc) {
        snprintf(text, sizeof text, "%s; the copy in the cache is used",
                 offline ? "HF_HUB_OFFLINE is set" : "the hub cannot be reached");
        (void)hn_hub_tell(job, HONE_PULL_NOTE, text);
        return 0;
    }
    if (offline)
        return hn_fail(err, HONE_NOT_FOUND, "%s", why.message);
    hn_hub_near(job->cache, name->repo, &near);
    hn_fail_prefix(err, "%s is not in the cache (%s)", name->repo, hn_buf_str(&near));
    hn_buf_release(&near);
    if (err)
        err->code = HONE_NOT_FOUND;
    return HONE_NOT_FOUND;
}

static int parse(const char *text, const struct hone_pull_options *o, struct hn_hub_name *name,
                 struct hone_err *err)
{
    if (!hn_hub_name_parse(text, name))
        return hn_fail(err, HONE_USAGE,
                       "\"%s\" is no model of a hub: expected ORG/NAME or ORG/NAME@REVISION", text);
    if (!o->revision)
        return 0;
    if (!hn_hub_is_revision(o->revision))
        return hn_fail(err, HONE_USAGE, "--revision \"%s\" is no branch, tag or commit",
                       o->revision);
    if (strchr(text, '@') && strcmp(name->revision, o->revision) != 0)
        return hn_fail(err, HONE_USAGE, "two revisions: %s and --revision %s", text, o->revision);
    memcpy(name->revision, o->revision, strlen(o->revision) + 1);
    return 0;
}

int hone_pull(const char *text, const struct hone_pull_options *options, hone_pull_fn *on_event,
              void *arg, char **path, struct hone_err *err)
{
    const struct hone_pull_options none = {0}, *o = options ? options : &none;
    struct hn_hub_name name;
    struct hn_hub_listing listing = {0};
    struct hn_http http = {.backoff = o->backoff > 0 ? o->backoff : 1, .on_tick = on_tick};
    struct hn_hub_job job = {.http = &http, .name = &name, .on_event = on_event, .arg = arg};
    int rc = parse(text, o, &name, err);
    if (rc)
        return rc;
    job.event.name = name.repo;
    job.cache = hn_hub_cache_dir();
    job.repo_dir = job.cache ? hn_hub_repo_dir(job.cache, name.repo) : NULL;
    http.arg = &job;
    if (!job.repo_dir)
        rc = hn_fail(err, HONE_FAILED, "there is no folder for the cache: set HF_HOME or HOME");
    else if (hn_hub_is_offline())
        rc = from_cache(&job, &name, o->tokenizer_only, path, err);
    else
        rc = hn_http_open(&http, err);
    if (!rc && http.wire) {
        job.event.endpoint = http.endpoint;
        rc = hn_hub_list(&http, &name, &listing, err);
        if (rc == HONE_FAILED && !http.reached)
            rc = from_cache(&job, &name, o->tokenizer_only, path, err);
        else if (!rc)
            rc = pull(&job, &listing, o, path, err);
    }
    hn_hub_listing_release(&listing);
    hn_http_close(&http);
    hn_free(job.cache);
    hn_free(job.repo_dir);
    return rc;
}

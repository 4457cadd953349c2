#include "hub/fetch.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "base/file.h"
#include "base/mem.h"
#include "base/os.h"
#include "hub/blob.h"

/* What the hub says of one file before it is fetched. */
struct facts {
    char etag[160]; /* its name among the blobs */
    int64_t size;   /* -1: not told */
    const char *sha256, *blob;
};

struct transfer {
    struct hn_hub_job *job;
    const struct hn_hub_file *file;
    struct hn_hub_blob *blob;
    struct facts facts;
    struct hone_err *err;
    int rc;         /* of a step inside a callback */
    bool bad_range; /* the answer begins elsewhere than was asked */
    bool restarted; /* for that reason, once */
    bool too_long;
};

/* ---- telling -------------------------------------------------------------------------------- */

int hn_hub_tell(struct hn_hub_job *job, enum hone_pull_event_kind kind, const char *text)
{
    double now = hn_now();
    if (!job->on_event)
        return 0;
    if (now - job->rate_time >= 0.5) {
        double rate = (double)(job->received - job->rate_bytes) / (now - job->rate_time);
        if (job->rate_time > 0)
            job->event.rate = job->event.rate > 0 ? 0.7 * job->event.rate + 0.3 * rate : rate;
        job->rate_time = now;
        job->rate_bytes = job->received;
    }
    job->event.kind = kind;
    job->event.text = text;
    job->event.done = job->before + job->event.file_done;
    return job->on_event(job->arg, &job->event);
}

/* ---- places --------------------------------------------------------------------------------- */

static char *join3(const char *a, const char *b, const char *c)
{
    char *ab = hn_path_join(a, b), *abc = ab ? hn_path_join(ab, c) : NULL;
    hn_free(ab);
    return abc;
}

char *hn_hub_pointer(const struct hn_hub_job *job, const char *path)
{
    char *snapshot = join3(job->repo_dir, "snapshots", job->commit);
    char *pointer = snapshot && path ? hn_path_join(snapshot, path) : NULL;
    if (!path)
        return snapshot;
    hn_free(snapshot);
    return pointer;
}

static bool is_whole(const char *path, int64_t size)
{
    int64_t n = hn_file_size(path);
    return n >= 0 && (size < 0 || n == size);
}

uint64_t hn_hub_present(const struct hn_hub_job *job, const struct hn_hub_file *f)
{
    const char *etag = f->sha256 ? f->sha256 : f->blob;
    char *pointer = hn_hub_pointer(job, f->path), *blob = NULL, *part = NULL;
    struct hn_buf name = {0};
    int64_t n = pointer ? hn_file_size(pointer) : -1;
    if (n < 0 && etag) {
        hn_buf_printf(&name, "%s.incomplete", etag);
        blob = join3(job->repo_dir, "blobs", etag);
        part = join3(job->repo_dir, "blobs", hn_buf_str(&name));
        n = blob ? hn_file_size(blob) : -1;
        n = n < 0 && part ? hn_file_size(part) : n;
    }
    hn_buf_release(&name);
    hn_free(pointer);
    hn_free(blob);
    hn_free(part);
    return (uint64_t)HN_MAX(n, (int64_t)0);
}

/* Make the folder that path is in. */
static int make_parent(char *path, struct hone_err *err)
{
    char *slash = strrchr(path, '/');
    HN_ASSERT(slash);
    *slash = 0;
    int rc = hn_dir_make(path, err);
    *slash = '/';
    return rc;
}

/* The link in the snapshot, relative as huggingface_hub makes it, so that a cache can be moved.
 * Where there are no links the file itself moves there, as huggingface_hub does it too. */
static int link_pointer(const struct hn_hub_job *job, const struct hn_hub_file *f, const char *etag,
                        const char *blob, struct hone_err *err)
{
    struct hn_buf to = {0};
    char *pointer = hn_hub_pointer(job, f->path);
    hn_buf_add_str(&to, "../../");
    for (const char *p = f->path; *p; p++)
        if (*p == '/')
            hn_buf_add_str(&to, "../");
    hn_buf_printf(&to, "blobs/%s", etag);
    int rc = !pointer || to.failed ? hn_fail_memory(err, "downloading") : make_parent(pointer, err);
    if (!rc) {
        unlink(pointer);
        bool done = !hn_hub_is_on("HF_HUB_DISABLE_SYMLINKS") &&
                    (symlink(hn_buf_str(&to), pointer) == 0 || errno == EEXIST);
        if (!done && rename(blob, pointer) != 0)
            rc = hn_fail(err, HONE_FAILED, "cannot write %s: %s", pointer, strerror(errno));
    }
    hn_buf_release(&to);
    hn_free(pointer);
    return rc;
}

/* ---- asking --------------------------------------------------------------------------------- */

static int make_url(const struct hn_hub_job *job, const struct hn_hub_file *f, struct hn_buf *url,
                    struct hone_err *err)
{
    hn_buf_printf(url, "%s/%s/resolve/", job->http->endpoint, job->name->repo);
    hn_url_add_path(url, job->commit);
    hn_buf_add_char(url, '/');
    hn_url_add_path(url, f->path);
    return url->failed ? hn_fail_memory(err, "downloading") : 0;
}

/* 'W/"abc"' is abc.  False when it could not be the name of a file. */
static bool normal_etag(const char *etag, char out[160])
{
    size_t n, digits = 0;
    etag += strspn(etag, "W/");
    etag += strspn(etag, "\"");
    n = strcspn(etag, "\"");
    for (size_t i = 0; i < n; i++) {
        char c = etag[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!letter && !strchr("-_.:+=", c))
            return false;
        digits += letter;
    }
    if (n == 0 || n >= 150 || etag[0] == '.' || digits == 0)
        return false;
    memcpy(out, etag, n);
    out[n] = 0;
    return true;
}

static bool is_hex(const char *s, size_t n)
{
    return strlen(s) == n && strspn(s, "0123456789abcdef") == n;
}

/* Ask for the file's name, size and digest; what the listing says stands where the hub says
 * nothing. */
static int ask(struct hn_hub_job *job, const struct hn_hub_file *f, const char *url,
               struct facts *facts, struct hone_err *err)
{
    struct hn_wire_reply r = {0};
    *facts = (struct facts){.size = f->size, .sha256 = f->sha256, .blob = f->blob};
    int rc = hn_http_text(job->http, url, true, 0, NULL, &r, err);
    bool silent = !r.failure && (r.status == 405 || r.status == 501); /* it knows no HEAD */
    bool good = !r.failure && (r.status / 100 == 2 || r.status / 100 == 3);
    const char *etag = r.linked_etag[0] ? r.linked_etag : r.etag;
    if (!rc && !good && !silent)
        rc = hn_hub_fail_status(job->http, job->name, &r, f->path, err);
    if (!rc && good && etag[0] && !normal_etag(etag, facts->etag))
        rc = hn_fail(err, HONE_FAILED, "%s: the hub gives it the tag %s, which names no file",
                     f->path, etag);
    if (!rc && !facts->etag[0] && (f->sha256 || f->blob))
        (void)normal_etag(f->sha256 ? f->sha256 : f->blob, facts->etag);
    if (!rc && !facts->etag[0])
        rc = hn_fail(err, HONE_FAILED,
                     "%s: %s tells no tag (ETag) of it: it is not a hub that hone knows", f->path,
                     job->http->endpoint);
    if (!rc && good && facts->size < 0)
        facts->size = r.linked_size >= 0 ? r.linked_size : r.status / 100 == 2 ? r.length : -1;
    if (!facts->sha256 && !facts->blob) {
        facts->sha256 = is_hex(facts->etag, 64) ? facts->etag : NULL;
        facts->blob = is_hex(facts->etag, 40) ? facts->etag : NULL;
    }
    hn_wire_reply_release(&r);
    return rc;
}

/* ---- fetching ------------------------------------------------------------------------------- */

static int on_head(void *arg, const struct hn_wire_reply *r)
{
    struct transfer *t = arg;
    struct hn_hub_blob *b = t->blob;
    int64_t from = r->status == 206 ? r->range_start : 0;
    if (from != 0 && (uint64_t)from != b->have) {
        t->bad_range = true;
        return 1;
    }
    if (from == 0 && b->have) {
        char text[200];
        snprintf(text, sizeof text, "%s: the server does not continue files; from its beginning",
                 t->file->path);
        (void)hn_hub_tell(t->job, HONE_PULL_NOTE, text);
        t->rc = hn_hub_blob_restart(b, t->err);
    }
    if (t->facts.size < 0 && r->length >= 0)
        t->facts.size = r->length + (int64_t)b->have;
    t->job->event.file_done = b->have;
    t->job->event.file_size = (uint64_t)HN_MAX(t->facts.size, (int64_t)0);
    return t->rc;
}

static int on_body(void *arg, const void *p, size_t n)
{
    struct transfer *t = arg;
    if (t->facts.size >= 0 && t->blob->have + n > (uint64_t)t->facts.size) {
        t->too_long = true;
        return 1;
    }
    t->job->received += n;
    bool written = hn_hub_blob_add(t->blob, p, n);
    t->job->event.file_done = t->blob->have;
    return !written;
}

static int fail_stopped(const struct transfer *t, struct hone_err *err)
{
    return hn_fail(err, HONE_INTERRUPTED,
                   "stopped: %.1f MB of %s are kept; hone pull %s%s%s goes on from there",
                   (double)t->blob->have / 1e6, t->file->path, t->job->name->repo,
                   strcmp(t->job->name->revision, "main") == 0 ? "" : "@",
                   strcmp(t->job->name->revision, "main") == 0 ? "" : t->job->name->revision);
}

/* One attempt; *again: another one may do better. */
static int attempt(struct transfer *t, const char *url, bool *again, struct hn_wire_reply *r,
                   struct hone_err *err)
{
    struct hn_wire_request q = {
        .url = url, .from = t->blob->have, .on_head = on_head, .on_body = on_body, .arg = t};
    t->bad_range = false;
    *again = false;
    int rc = hn_http_run(t->job->http, q, r, err);
    if (rc == HONE_INTERRUPTED)
        return fail_stopped(t, err);
    if (rc || t->rc)
        return rc ? rc : t->rc;
    if (t->blob->error)
        return hn_hub_blob_fail_write(t->blob, err);
    if (t->too_long) {
        hn_hub_blob_remove(t->blob);
        return hn_fail(err, HONE_FAILED,
                       "%s: the server sends more than the %lld bytes that were announced; what "
                       "came was removed",
                       t->file->path, (long long)t->facts.size);
    }
    if ((t->bad_range || r->status == 416) && q.from) {
        if (t->restarted)
            return hn_fail(err, HONE_FAILED,
                           "%s: the server has no bytes from %llu on, and the hub lists %lld of "
                           "them; it may be changing: try again later",
                           t->file->path, (unsigned long long)q.from, (long long)t->facts.size);
        t->restarted = true;
        *again = true;
        return hn_hub_blob_restart(t->blob, err);
    }
    bool good = !r->failure && r->status / 100 == 2 && !t->bad_range;
    if (good && t->facts.size < 0)
        t->facts.size = (int64_t)t->blob->have;
    if (good && t->blob->have < (uint64_t)t->facts.size) {
        r->failure = HN_WIRE_CUT;
        snprintf(r->why, sizeof r->why, "it ended early");
    }
    *again = hn_http_transient(t->job->http, r);
    if (*again || (good && !r->failure))
        return 0;
    return hn_hub_fail_status(t->job->http, t->job->name, r, t->file->path, err);
}

/* All bytes of the file into the part. */
static int transfer(struct transfer *t, const char *url, struct hone_err *err)
{
    struct hn_wire_reply r = {0};
    bool again = true;
    int rc = 0;
    if (t->facts.size >= 0 && t->blob->have > (uint64_t)t->facts.size)
        rc = hn_hub_blob_restart(t->blob, err);
    uint64_t furthest = t->blob->have;
    for (int n = 1; !rc && again && t->blob->have != (uint64_t)t->facts.size;) {
        rc = attempt(t, url, &again, &r, err);
        if (rc || !again)
            break;
        n = t->blob->have > furthest ? 1 : n + 1;
        furthest = HN_MAX(furthest, t->blob->have);
        if (n > HN_HTTP_ATTEMPTS) {
            rc = hn_hub_fail_status(t->job->http, t->job->name, &r, t->file->path, err);
            break;
        }
        char text[600], status[40];
        snprintf(status, sizeof status, "status %ld", r.status);
        snprintf(text, sizeof text, "%s: %s; going on from %.1f MB", t->file->path,
                 r.failure ? r.why : status, (double)t->blob->have / 1e6);
        if (hn_hub_tell(t->job, HONE_PULL_NOTE, text) || hn_http_wait(t->job->http, n, &r, err))
            rc = fail_stopped(t, err);
    }
    hn_wire_reply_release(&r);
    return rc;
}

/* Fetch and check; a part from an earlier download that turns out bad is thrown away and the file
 * fetched once more from its beginning. */
static int fetch_blob(struct transfer *t, const char *url, struct hone_err *err)
{
    char found[HN_SHA256_HEX] = "";
    bool right = false;
    int rc = hn_hub_blob_open(t->blob, err);
    for (int round = 0; !rc && !right && round < 2; round++) {
        uint64_t resumed = t->blob->have;
        t->job->event.file_done = resumed;
        rc = transfer(t, url, err);
        rc = rc ? rc
                : hn_hub_blob_check(t->blob, t->facts.sha256, t->facts.blob, &right, found, err);
        if (rc || right)
            break;
        if (!resumed || round == 1) {
            hn_hub_blob_remove(t->blob);
            return hn_fail(err, HONE_FAILED,
                           "%s: its %s is %s, expected %s: what came is damaged, or is not the "
                           "file that the hub lists; it was removed, so try again",
                           t->file->path, t->facts.sha256 ? "SHA-256" : "git SHA-1", found,
                           t->facts.sha256 ? t->facts.sha256 : t->facts.blob);
        }
        (void)hn_hub_tell(t->job, HONE_PULL_NOTE,
                          "the part of an earlier download was damaged; from the beginning");
        rc = hn_hub_blob_restart(t->blob, err);
    }
    return rc ? rc : hn_hub_blob_finish(t->blob, err);
}

/* Wait until nobody else writes the blob. */
static int wait_lock(struct transfer *t, struct hone_err *err)
{
    const struct timespec nap = {.tv_nsec = 50000000};
    struct hn_buf name = {0};
    char *locks = join3(t->job->cache, ".locks", hn_path_name(t->job->repo_dir)), *path = NULL;
    bool locked = false, told = false;
    hn_buf_printf(&name, "%s.lock", t->facts.etag);
    path = locks && !name.failed ? hn_path_join(locks, hn_buf_str(&name)) : NULL;
    int rc = path ? hn_dir_make(locks, err) : hn_fail_memory(err, "downloading");
    while (!rc && !locked) {
        rc = hn_hub_blob_lock(t->blob, path, &locked, err);
        if (rc || locked)
            break;
        if (!told)
            (void)hn_hub_tell(t->job, HONE_PULL_NOTE, "another program downloads it; waiting");
        told = true;
        if (hn_hub_tell(t->job, HONE_PULL_PROGRESS, NULL))
            rc = hn_fail(err, HONE_INTERRUPTED, "stopped while waiting for another download");
        nanosleep(&nap, NULL);
    }
    hn_buf_release(&name);
    hn_free(locks);
    hn_free(path);
    return rc;
}

int hn_hub_fetch(struct hn_hub_job *job, const struct hn_hub_file *f, bool *cached,
                 struct hone_err *err)
{
    struct hn_hub_blob blob = {.fd = -1, .lock = -1};
    struct transfer t = {.job = job, .file = f, .blob = &blob, .err = err};
    struct hn_buf url = {0}, part = {0};
    char *pointer = hn_hub_pointer(job, f->path);
    *cached = pointer && is_whole(pointer, f->size);
    hn_free(pointer);
    job->event.file = f->path;
    job->event.file_done = 0;
    job->event.file_size = (uint64_t)HN_MAX(f->size, (int64_t)0);
    if (*cached)
        return 0;
    int rc = make_url(job, f, &url, err);
    rc = rc ? rc : ask(job, f, hn_buf_str(&url), &t.facts, err);
    if (!rc) {
        blob.path = join3(job->repo_dir, "blobs", t.facts.etag);
        hn_buf_printf(&part, "%s.incomplete", t.facts.etag);
        blob.part = join3(job->repo_dir, "blobs", hn_buf_str(&part));
        rc = blob.path && blob.part && !part.failed ? make_parent(blob.path, err)
                                                    : hn_fail_memory(err, "downloading");
    }
    rc = rc ? rc : wait_lock(&t, err);
    if (!rc && is_whole(blob.path, t.facts.size))
        *cached = true;
    else if (!rc)
        rc = fetch_blob(&t, hn_buf_str(&url), err);
    rc = rc ? rc : link_pointer(job, f, t.facts.etag, blob.path, err);
    hn_buf_release(&part);
    hn_buf_release(&url);
    hn_hub_blob_close(&blob);
    return rc;
}

#include "hub/blob.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"

enum { CHUNK = 1 << 18 };

static int fail_path(const char *verb, const char *path, struct hone_err *err)
{
    return hn_fail(err, HONE_FAILED, "cannot %s %s: %s", verb, path, strerror(errno));
}

int hn_hub_blob_lock(struct hn_hub_blob *b, const char *path, bool *locked, struct hone_err *err)
{
    struct stat here, there;
    *locked = false;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0)
        return fail_path("open the lock", path, err);
    if (flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
        close(fd);
        return 0;
    }
    /* Whoever held it may have removed the file: then another one carries the lock by now. */
    if (fstat(fd, &here) != 0 || stat(path, &there) != 0 || here.st_ino != there.st_ino) {
        close(fd);
        return 0;
    }
    b->lock = fd;
    *locked = true;
    return 0;
}

/* Take in what the part holds: its size, and its digest. */
static int take_in(struct hn_hub_blob *b, struct hone_err *err)
{
    char *chunk = hn_alloc_aligned(CHUNK);
    ssize_t n = 0;
    if (!chunk)
        return hn_fail_memory(err, "continuing a download");
    hn_sha256_init(&b->sha);
    b->have = 0;
    while ((n = pread(b->fd, chunk, CHUNK, (off_t)b->have)) > 0) {
        hn_sha_add(&b->sha, chunk, (size_t)n);
        b->have += (uint64_t)n;
    }
    hn_free(chunk);
    return n < 0 ? fail_path("read", b->part, err) : 0;
}

int hn_hub_blob_open(struct hn_hub_blob *b, struct hone_err *err)
{
    b->fd = open(b->part, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    return b->fd < 0 ? fail_path("write", b->part, err) : take_in(b, err);
}

bool hn_hub_blob_add(struct hn_hub_blob *b, const void *p, size_t n)
{
    const char *from = p;
    for (size_t done = 0; done < n;) {
        ssize_t m = write(b->fd, from + done, n - done);
        if (m < 0 && errno == EINTR)
            continue;
        if (m <= 0) {
            b->error = m < 0 ? errno : ENOSPC;
            return false;
        }
        hn_sha_add(&b->sha, from + done, (size_t)m);
        b->have += (uint64_t)m;
        done += (size_t)m;
    }
    return true;
}

int hn_hub_blob_restart(struct hn_hub_blob *b, struct hone_err *err)
{
    hn_sha256_init(&b->sha);
    b->have = 0;
    return ftruncate(b->fd, 0) == 0 ? 0 : fail_path("write", b->part, err);
}

/* SHA-1 of the part, behind git's header for a blob or as it is. */
static int sha1_of(const struct hn_hub_blob *b, bool as_blob, char out[HN_SHA1_HEX],
                   struct hone_err *err)
{
    struct hn_map map = {0};
    struct hn_sha sha;
    struct hn_buf head = {0};
    int rc = hn_map_open(&map, b->part, err);
    hn_sha1_init(&sha);
    hn_buf_printf(&head, "blob %zu", map.size);
    if (!rc && head.failed)
        rc = hn_fail_memory(err, "checking a download");
    if (!rc && as_blob)
        hn_sha_add(&sha, hn_buf_str(&head), head.len + 1);
    if (!rc && map.size)
        hn_sha_add(&sha, map.data, map.size);
    hn_sha_finish(&sha, out);
    hn_buf_release(&head);
    hn_map_close(&map);
    return rc;
}

int hn_hub_blob_check(const struct hn_hub_blob *b, const char *sha256, const char *blob,
                      bool *right, char found[HN_SHA256_HEX], struct hone_err *err)
{
    struct hn_sha sha = b->sha;
    char other[HN_SHA1_HEX];
    int rc = 0;
    *right = true;
    if (sha256) {
        hn_sha_finish(&sha, found);
        *right = strcmp(found, sha256) == 0;
    } else if (blob) {
        rc = sha1_of(b, true, found, err);
        rc = rc ? rc : sha1_of(b, false, other, err);
        *right = !rc && (strcmp(found, blob) == 0 || strcmp(other, blob) == 0);
    }
    return rc;
}

int hn_hub_blob_finish(struct hn_hub_blob *b, struct hone_err *err)
{
    if (fsync(b->fd) != 0 && errno != EINVAL) {
        b->error = errno;
        return hn_hub_blob_fail_write(b, err);
    }
    return rename(b->part, b->path) == 0 ? 0 : fail_path("write", b->path, err);
}

void hn_hub_blob_remove(struct hn_hub_blob *b)
{
    unlink(b->part);
}

void hn_hub_blob_close(struct hn_hub_blob *b)
{
    if (b->fd >= 0)
        close(b->fd);
    if (b->lock >= 0)
        close(b->lock);
    hn_free(b->path);
    hn_free(b->part);
    *b = (struct hn_hub_blob){.fd = -1, .lock = -1};
}

int hn_hub_blob_fail_write(const struct hn_hub_blob *b, struct hone_err *err)
{
    bool full = b->error == ENOSPC || b->error == EDQUOT || b->error == EFBIG;
    return hn_fail(err, HONE_FAILED,
                   full ? "cannot write %s: %s; make room, or set HF_HUB_CACHE to a folder on "
                          "another disk; what has come is kept, and the same command goes on"
                        : "cannot write %s: %s",
                   b->part, strerror(b->error));
}

/* A blob of the cache on its way: the lock, the part that is there, its digest, its name. */
#ifndef HN_HUB_BLOB_H
#define HN_HUB_BLOB_H

#include "base/err.h"
#include "base/sha.h"

struct hn_hub_blob {
    char *path, *part; /* blobs/ETAG and blobs/ETAG.incomplete */
    int fd, lock;      /* of the part and of the lock file; -1: not open */
    uint64_t have;     /* bytes in the part */
    struct hn_sha sha; /* SHA-256 of them */
    int error;         /* errno of a write that failed */
};

/* Take the lock of the blob if it is free: *locked tells.  Where locks do not work, it is taken. */
HN_MUST_USE int hn_hub_blob_lock(struct hn_hub_blob *b, const char *path, bool *locked,
                                 struct hone_err *err);
/* Open the part and take in what it holds. */
HN_MUST_USE int hn_hub_blob_open(struct hn_hub_blob *b, struct hone_err *err);
/* Append; false: the write failed, and b->error says why. */
bool hn_hub_blob_add(struct hn_hub_blob *b, const void *p, size_t n);
/* Throw away what the part holds. */
HN_MUST_USE int hn_hub_blob_restart(struct hn_hub_blob *b, struct hone_err *err);
/* The part is what it should be: sha256 (of the content) and blob (of git; some mirrors mean the
 * content's own SHA-1), each NULL when not known.  found: the digest that it has. */
HN_MUST_USE int hn_hub_blob_check(const struct hn_hub_blob *b, const char *sha256, const char *blob,
                                  bool *right, char found[HN_SHA256_HEX], struct hone_err *err);
/* Give the part its name: from here on the blob is there. */
HN_MUST_USE int hn_hub_blob_finish(struct hn_hub_blob *b, struct hone_err *err);
void hn_hub_blob_remove(struct hn_hub_blob *b); /* the part */
void hn_hub_blob_close(struct hn_hub_blob *b);
/* "cannot write PATH: …", and what to do when the disk is full. */
int hn_hub_blob_fail_write(const struct hn_hub_blob *b, struct hone_err *err);

#endif

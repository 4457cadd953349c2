/* What a hub says that a model consists of, checked: names that would leave the model's folder are
 * refused here. */
#ifndef HN_HUB_LISTING_H
#define HN_HUB_LISTING_H

#include "base/arena.h"
#include "hub/cache.h"
#include "hub/http.h"

struct hn_hub_file {
    const char *path;   /* relative, '/' between its parts, no ".." */
    int64_t size;       /* -1: not told */
    const char *blob;   /* SHA-1 that git names it by; NULL: not told, or it is the pointer's */
    const char *sha256; /* of a file in LFS; NULL: none */
    bool chosen;
};

struct hn_hub_listing {
    struct hn_arena arena;
    struct hn_hub_file *files; /* in the arena's lifetime; sorted by path */
    size_t n, cap;
    char commit[HN_HASH_SIZE]; /* what the revision stands for */
};

/* Ask the hub.  A model that is not there, private or gated is told apart as far as the hub does,
 * with what to do.  Release it in any case. */
HN_MUST_USE int hn_hub_list(struct hn_http *h, const struct hn_hub_name *name,
                            struct hn_hub_listing *out, struct hone_err *err);
void hn_hub_listing_release(struct hn_hub_listing *l);
const struct hn_hub_file *hn_hub_listing_find(const struct hn_hub_listing *l, const char *path);

/* The sentence for an answer that is no success: asked is what was asked for. */
int hn_hub_fail_status(const struct hn_http *h, const struct hn_hub_name *name,
                       const struct hn_wire_reply *reply, const char *asked, struct hone_err *err);

/* path is relative and stays where it is joined to: no "..", no empty part, nothing unprintable. */
bool hn_hub_is_safe_path(const char *path, size_t n);

#endif

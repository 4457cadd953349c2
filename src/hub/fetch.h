/* One file of a model into the cache: continued where an earlier download ended, checked, and only
 * then given its name. */
#ifndef HN_HUB_FETCH_H
#define HN_HUB_FETCH_H

#include "hone/hub.h"
#include "hub/listing.h"

/* What the files of one download share, and what is told of it. */
struct hn_hub_job {
    struct hn_http *http;
    const struct hn_hub_name *name;
    char *cache, *repo_dir;
    char commit[HN_HASH_SIZE];
    hone_pull_fn *on_event; /* may be NULL */
    void *arg;
    struct hone_pull_event event; /* counts and names; sent as it stands at each moment */
    uint64_t before;              /* bytes of the files that are complete */
    double rate_time;             /* when the rate was last measured, */
    uint64_t rate_bytes;          /* and the bytes that had come by then */
    uint64_t received;            /* bytes that came over the network */
};

/* The path of a file in the snapshot, or with NULL of the snapshot; hn_free it. */
char *hn_hub_pointer(const struct hn_hub_job *job, const char *path);
/* Get the file unless it is there; *cached tells. */
HN_MUST_USE int hn_hub_fetch(struct hn_hub_job *job, const struct hn_hub_file *f, bool *cached,
                             struct hone_err *err);
/* The bytes of the file that are here already, complete or in part. */
uint64_t hn_hub_present(const struct hn_hub_job *job, const struct hn_hub_file *f);

/* Send an event; non-zero: stop. */
int hn_hub_tell(struct hn_hub_job *job, enum hone_pull_event_kind kind, const char *text);

#endif

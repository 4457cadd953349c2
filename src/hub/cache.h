/* The Hugging Face cache, as huggingface_hub lays it out:
 *   <cache>/models--ORG--NAME/refs/REVISION           holds a commit's hash
 *   <cache>/models--ORG--NAME/blobs/ETAG              the bytes, named by what they are
 *   <cache>/models--ORG--NAME/snapshots/HASH/FILE     links to them
 *   <cache>/.locks/models--ORG--NAME/ETAG.lock        held while a blob is written
 * and the environment that says where it is. */
#ifndef HN_HUB_CACHE_H
#define HN_HUB_CACHE_H

#include "base/buf.h"
#include "base/err.h"

enum { HN_HASH_SIZE = 65, HN_NAME_SIZE = 200 };

/* "ORG/NAME" or "ORG/NAME@REVISION", taken apart. */
struct hn_hub_name {
    char repo[HN_NAME_SIZE];
    char revision[HN_NAME_SIZE]; /* "main" where none is given */
};
/* False when text is no such name. */
bool hn_hub_name_parse(const char *text, struct hn_hub_name *out);
/* A revision that is safe as a path below refs/: a branch, a tag, refs/pr/1, a commit. */
bool hn_hub_is_revision(const char *text);

/* All to be freed by hn_free; NULL: no memory, or no home.  HF_HUB_CACHE, HUGGINGFACE_HUB_CACHE,
 * HF_HOME/hub, XDG_CACHE_HOME/huggingface/hub, ~/.cache/huggingface/hub. */
char *hn_hub_cache_dir(void);
char *hn_hub_token_path(void); /* HF_TOKEN_PATH, else HF_HOME/token */
/* The folder of a model in the cache. */
char *hn_hub_repo_dir(const char *cache, const char *repo);

/* An environment variable is set to 1, on, yes or true. */
bool hn_hub_is_on(const char *variable);
bool hn_hub_is_offline(void); /* HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE */

/* The commit that the revision stands for in a model's folder; without refs/main, the only snapshot
 * that there is.  HONE_NOT_FOUND: the cache does not know the revision. */
HN_MUST_USE int hn_hub_read_ref(const char *repo_dir, const char *revision, char hash[HN_HASH_SIZE],
                                struct hone_err *err);
HN_MUST_USE int hn_hub_write_ref(const char *repo_dir, const char *revision, const char *hash,
                                 struct hone_err *err);

/* What the cache has that comes near: "did you mean A/B?", "A/B, C/D are there", or "the cache is
 * empty". */
void hn_hub_near(const char *cache, const char *repo, struct hn_buf *out);
/* The model of the cache whose name without its ORG is this one or comes near; nothing: none is. */
void hn_hub_near_bare(const char *cache, const char *name, struct hn_buf *out);

#endif

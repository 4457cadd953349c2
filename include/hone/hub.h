/* From a model's name to the files that hold it. */
#ifndef HONE_HUB_H
#define HONE_HUB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "hone/err.h"

/* The path that a name given as --model stands for, freed by hone_free:
 *   an existing directory or .gguf file: itself;
 *   ORG/NAME, ORG/NAME@REVISION: the snapshot in the Hugging Face cache (HF_HUB_CACHE, else
 *   HF_HOME/hub, else ~/.cache/huggingface/hub), or the one .gguf file in it when it holds no
 *   config.json.
 * Fails with HONE_NOT_FOUND and a message that says what was looked for, where, which names in the
 * cache come near, and how to get the model; also when a download of it was not finished.  Never
 * goes to the network. */
int hone_model_locate(const char *name, char **path, struct hone_err *err);
/* The same for who needs the tokenizer alone: weights may be missing. */
int hone_tokenizer_locate(const char *name, char **path, struct hone_err *err);
/* The name is of the form ORG/NAME or ORG/NAME@REVISION, and there is no such file or folder here:
 * hone_pull may get it. */
bool hone_model_is_remote(const char *name);
/* HF_HUB_OFFLINE (or TRANSFORMERS_OFFLINE) is set. */
bool hone_hub_is_offline(void);

struct hone_pull_options {
    const char *revision;       /* NULL: what follows '@' in the name, else main */
    const char *const *include; /* patterns (* ? []) of the weights to get; none: hone's choice */
    size_t n_include;
    const char *const *exclude; /* patterns of files to leave out */
    size_t n_exclude;
    bool tokenizer_only; /* no weights */
    double backoff;      /* seconds before a second attempt; 0: 1 */
};

enum hone_pull_event_kind {
    HONE_PULL_PLAN,     /* the files are known: commit, n_files, total, path of the snapshot */
    HONE_PULL_PROGRESS, /* many times a second while bytes come, and while waiting */
    HONE_PULL_FILE,     /* file is complete: file_size, cached when it was there before */
    HONE_PULL_NOTE,     /* text: an attempt failed and is repeated, a file was begun anew… */
};
struct hone_pull_event {
    enum hone_pull_event_kind kind;
    const char *name, *endpoint, *commit, *path, *file, *text; /* valid during the call */
    size_t n_files, files_done;
    uint64_t file_size, file_done;
    uint64_t total, done; /* bytes of all files; of them here by now */
    bool total_known;     /* the hub told the size of every file */
    bool cached;
    double rate; /* bytes per second of late; 0: not known yet */
};
/* A non-zero result ends the download with HONE_INTERRUPTED; what has come is kept. */
typedef int hone_pull_fn(void *arg, const struct hone_pull_event *event);

/* Download what hone needs of a model into the Hugging Face cache, from HF_ENDPOINT with HF_TOKEN;
 * what is there already is not fetched again, and a part of a file is continued.  Every file is
 * checked against the digest that the hub lists.  Offline, or when the hub cannot be reached, what
 * the cache holds complete is good enough.  *path as of hone_model_locate.  options and on_event
 * may be NULL. */
int hone_pull(const char *name, const struct hone_pull_options *options, hone_pull_fn *on_event,
              void *arg, char **path, struct hone_err *err);

#endif

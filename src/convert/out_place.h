/* Where an output goes: a folder is written under a temporary name beside it, and given its own
 * when whole; a file's writer does the same by itself. */
#ifndef HN_CONVERT_OUT_PLACE_H
#define HN_CONVERT_OUT_PLACE_H

#include "base/err.h"

struct hn_out_place {
    char *path; /* as given, without a trailing slash */
    char *temp; /* the folder to write into, PATH.PID.tmp; NULL for a file, written as path */
    bool dir;
    int lock; /* of temp; -1: not held */
};

/* Refuses an output that is there, unless it is an empty directory or overwrite is set; then it
 * must be of the kind that will replace it: a file, or a directory that holds the file `mark`
 * (config.json) and no directories.  What is read, `source` (a directory or file), is never
 * replaced, nor the folder that it lies in.  What a writer of this output left beside it when it
 * was killed is removed. */
HN_MUST_USE int hn_out_place_open(struct hn_out_place *p, const char *path, bool dir,
                                  const char *mark, const char *source, bool overwrite,
                                  struct hone_err *err);
/* Take the name; what had it is removed, at the latest by hn_out_place_close.  On failure the old
 * output is as it was. */
HN_MUST_USE int hn_out_place_commit(struct hn_out_place *p, struct hone_err *err);
/* Remove what does not have the name, and release. */
void hn_out_place_close(struct hn_out_place *p);

#endif

/* Files: mapped for reading, written whole and atomically, or streamed line by line. */
#ifndef HN_BASE_FILE_H
#define HN_BASE_FILE_H

#include <stdio.h>
#include "base/buf.h"
#include "base/err.h"

/* A file mapped read-only; data is NULL when the size is 0. */
struct hn_map {
    const unsigned char *data;
    size_t size;
};
HN_MUST_USE int hn_map_open(struct hn_map *m, const char *path, struct hone_err *err);
void hn_map_close(struct hn_map *m);
/* Bytes of a mapped file that will not be read soon: the memory they take is given back, and they
 * are read from the file again where they are needed after all. */
void hn_map_forget(const void *p, size_t n);

/* The whole file, appended to out; an error when it is larger than max bytes. */
HN_MUST_USE int hn_file_read(const char *path, size_t max, struct hn_buf *out,
                             struct hone_err *err);
/* Replace path by these bytes: written beside it, synced, renamed, directory synced.  A crash at
 * any moment leaves the old file or the new one. */
HN_MUST_USE int hn_file_write(const char *path, const void *p, size_t n, struct hone_err *err);

/* The same in parts: open, add…, commit (or cancel, which leaves path as it was).  Sticky: an add
 * that failed makes commit fail with its message.  A pipe or device is not replaced by a file. */
struct hn_file_writer {
    FILE *f;
    char *path, *temp;
    int error; /* errno of the first failure */
    uint64_t size;
};
/* Sweeps first, so that the next writer of a file clears away what a killed one left. */
HN_MUST_USE int hn_file_writer_open(struct hn_file_writer *w, const char *path,
                                    struct hone_err *err);
void hn_file_writer_add(struct hn_file_writer *w, const void *p, size_t n);
HN_MUST_USE int hn_file_writer_commit(struct hn_file_writer *w, struct hone_err *err);
void hn_file_writer_cancel(struct hn_file_writer *w);
/* Remove what writers of this path left behind when they were killed: the files PATH.PID.tmp, and
 * folders of that name with the files in them (a writer locks its own, so those at work are told
 * from them). */
void hn_file_sweep(const char *path);

/* Lines of any length, streamed; the newline (and a CR before it) is cut off. */
struct hn_lines {
    FILE *f;
    const char *path; /* borrowed */
    struct hn_buf line;
    uint64_t number; /* of the current line, from 1 */
    uint64_t offset; /* where the current line starts, in bytes */
    uint64_t next;   /* where the next one starts */
    size_t max;      /* longest line accepted, in bytes */
};
HN_MUST_USE int hn_lines_open(struct hn_lines *l, const char *path, size_t max,
                              struct hone_err *err);
/* 1: a line is in l->line; 0: the end; negative: failed. */
HN_MUST_USE int hn_lines_next(struct hn_lines *l, struct hone_err *err);
void hn_lines_close(struct hn_lines *l);

bool hn_file_exists(const char *path);
/* Do both lead to the same file, folder or device? */
bool hn_file_same(const char *a, const char *b);
/* For a file that may be missing: 1 when it is there, 0 when nothing has its name; an error when
 * what has it is no file (a link to nothing, a directory, a pipe). */
HN_MUST_USE int hn_file_find(const char *path, struct hone_err *err);
bool hn_dir_exists(const char *path);
/* Size in bytes, or -1 when it is not a regular file. */
int64_t hn_file_size(const char *path);
/* Make the directory and its missing parents. */
HN_MUST_USE int hn_dir_make(const char *path, struct hone_err *err);
/* Remove the directory with all that is in it; links are removed, not followed.  One that is not
 * there is no error. */
HN_MUST_USE int hn_dir_remove(const char *path, struct hone_err *err);
/* Hold the directory against other programs that would write the same files in it, until it is
 * unlocked or the program ends, however it ends; an error when one of them holds it.  *lock is -1
 * where nothing is held. */
HN_MUST_USE int hn_dir_lock(const char *path, int *lock, struct hone_err *err);
void hn_dir_unlock(int *lock);
/* Names in the directory (not "." and ".."), sorted bytewise: one block to hn_free, *n pointers. */
HN_MUST_USE int hn_dir_list(const char *path, char ***names, size_t *n, struct hone_err *err);
/* "a/b" of "a" and "b"; b alone when it is absolute or a is empty.  hn_free it; NULL: no memory. */
HN_MUST_USE char *hn_path_join(const char *a, const char *b);
/* What follows the last '/'. */
const char *hn_path_name(const char *path);

#endif

/* The rows of a list of data files, of any layout that row_scan.h knows: read once from first to
 * last, then any row again by its offset.  Holds one row at a time, never a file. */
#ifndef HN_DATA_SOURCE_H
#define HN_DATA_SOURCE_H

#include "data/notes.h"
#include "data/record.h"
#include "data/row_scan.h"

enum { HN_SOURCE_MAX_FILES = 1 << 16 };

struct hn_source {
    const char *const *paths; /* [n] borrowed */
    size_t n;
    enum hone_record_kind forced; /* HONE_RECORD_AUTO: told by the keys */
    struct hn_notes *notes;       /* borrowed: empty rows and mixed files are told here */
    struct hn_source_file {
        int fd;
        uint64_t size;
        struct hn_row_format format;
        enum hone_record_kind kind; /* of the first row */
        uint64_t rows, empty;
    } * files;       /* [n] */
    uint64_t size;   /* bytes of all files */
    uint64_t before; /* bytes of the files before the current one */

    /* The current row. */
    struct hn_record record;
    size_t file;
    uint64_t line, offset;

    struct hn_row_scan scan;  /* of the first reading */
    struct hn_row_scan again; /* of rows that are read again */
    bool begun;               /* the current file */
};

/* Every path must be a regular file.  paths and notes must outlive the source. */
HN_MUST_USE int hn_source_open(struct hn_source *s, const char *const *paths, size_t n,
                               enum hone_record_kind forced, struct hn_notes *notes,
                               struct hone_err *err);
void hn_source_close(struct hn_source *s);

/* 1: the next row that is not empty is in s->record; 0: the end; negative: a row is malformed, or a
 * file cannot be read. */
HN_MUST_USE int hn_source_next(struct hn_source *s, struct hone_err *err);
/* Bytes of the files that hn_source_next has gone through. */
uint64_t hn_source_done(const struct hn_source *s);

/* Read the row at this offset of a file again.  line is for messages (0: unknown). */
HN_MUST_USE int hn_source_at(struct hn_source *s, size_t file, uint64_t offset, uint64_t line,
                             struct hone_err *err);

/* "FILE, line N: " before the message that is in err; returns its code. */
int hn_source_blame(const struct hn_source *s, struct hone_err *err);

#endif

/* Where rows begin and end in a data file, in whatever way it is written: a row per line (JSON
 * Lines), a JSON array of rows, JSON values one after another, or cells (CSV, TSV) under a header.
 * Holds one row at a time; what a row means is the record's. */
#ifndef HN_DATA_ROW_SCAN_H
#define HN_DATA_ROW_SCAN_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

enum hn_row_layout { HN_ROWS_LINES, HN_ROWS_ARRAY, HN_ROWS_VALUES, HN_ROWS_CELLS };

enum { HN_ROWS_MAX_SIZE = 1 << 26, HN_ROWS_MAX_COLUMNS = 4096 }; /* bytes of a row; cells of it */

struct hn_row_format {
    enum hn_row_layout layout;
    char delimiter;         /* of cells: ',', ';' or a tab */
    struct hn_str *columns; /* [n_columns] of cells; an empty name: not read */
    size_t n_columns;
    uint64_t begin, line; /* where the first row may begin */
    struct hn_arena arena;
};

struct hn_row_scan {
    int fd; /* borrowed */
    const struct hn_row_format *format;
    uint64_t at, line; /* of the next byte: its offset, and its line from 1 */
    char *chunk;
    size_t pos, len;
    bool inside; /* an array's row was read: a comma or the end follows */
    /* the current row */
    struct hn_buf row; /* its JSON text; an object of strings when it was cells */
    uint64_t row_at, row_line;
    struct hn_buf cell; /* scratch */
};

/* Tell the layout of the open file by the end of its name and its first bytes: an array is told by
 * its bracket, whatever the name says; .csv and .tsv are cells; the rest is JSON Lines, or values
 * where the first does not end with its line.  What is known not to be text (Parquet, gzip…) is
 * refused by name.  On failure *line is where.  Release it in any case. */
HN_MUST_USE int hn_row_format_init(struct hn_row_format *f, int fd, const char *path,
                                   uint64_t *line, struct hone_err *err);
void hn_row_format_release(struct hn_row_format *f);

/* Begin to read at `at`, format->begin or where a row was found; line is its line (0: unknown).
 * The scan is zero-initialised before its first start, and released once after the last. */
void hn_row_scan_start(struct hn_row_scan *s, int fd, const struct hn_row_format *format,
                       uint64_t at, uint64_t line);
void hn_row_scan_release(struct hn_row_scan *s);

/* 1: a row (an empty line is one too, of no bytes) is in s->row; 0: the end; negative: the file is
 * malformed at s->row_line, or cannot be read. */
HN_MUST_USE int hn_row_scan_next(struct hn_row_scan *s, struct hone_err *err);

#endif

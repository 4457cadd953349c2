#include "data/row_scan.h"
#include "base/json.h"
#include "base/mem.h"
#include "data/record.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

enum { CHUNK = 1 << 16, END = -1, FAILED = -2 };

/* ---- bytes ------------------------------------------------------------------------------------
 */

static int fill(struct hn_row_scan *s, struct hone_err *err)
{
    ssize_t n;
    if (!s->chunk && !(s->chunk = hn_calloc(CHUNK, 1))) {
        hn_fail_memory(err, "reading a row");
        return FAILED;
    }
    do
        n = pread(s->fd, s->chunk, CHUNK, (off_t)s->at);
    while (n < 0 && errno == EINTR);
    s->pos = 0;
    s->len = n > 0 ? (size_t)n : 0;
    if (n < 0) {
        hn_fail(err, HONE_FAILED, "cannot read the row: %s", strerror(errno));
        return FAILED;
    }
    return n ? 0 : END;
}

/* The next byte without taking it, END, or FAILED with err filled. */
static int peek(struct hn_row_scan *s, struct hone_err *err)
{
    if (s->pos == s->len) {
        int rc = fill(s, err);
        if (rc)
            return rc;
    }
    return (unsigned char)s->chunk[s->pos];
}

static void take(struct hn_row_scan *s)
{
    s->line += s->chunk[s->pos] == '\n';
    s->pos++;
    s->at++;
}

static int skip_blank(struct hn_row_scan *s, struct hone_err *err)
{
    int c;
    while ((c = peek(s, err)) == ' ' || c == '\t' || c == '\n' || c == '\r')
        take(s);
    return c;
}

/* A failure that fill() has put into err already, or one of ours. */
static int broken(int c, struct hone_err *err, const char *what)
{
    return c == FAILED ? err->code : hn_fail(err, HONE_FAILED, "%s", what);
}

static int check_row(const struct hn_row_scan *s, struct hone_err *err)
{
    if (s->row.failed || s->cell.failed)
        return hn_fail_memory(err, "reading a row");
    if (s->row.len > HN_ROWS_MAX_SIZE || s->cell.len > HN_ROWS_MAX_SIZE)
        return hn_fail(err, HONE_FAILED, "longer than %d bytes", HN_ROWS_MAX_SIZE);
    return 0;
}

/* ---- lines ------------------------------------------------------------------------------------
 */

static int next_line(struct hn_row_scan *s, struct hone_err *err)
{
    int c = peek(s, err);
    if (c < 0)
        return c == END ? 0 : err->code;
    for (bool end = false; !end && (c = peek(s, err)) >= 0;) {
        const char *from = s->chunk + s->pos, *stop = memchr(from, '\n', s->len - s->pos);
        size_t n = stop ? (size_t)(stop - from) : s->len - s->pos;
        hn_buf_add(&s->row, from, n);
        end = stop != NULL;
        s->pos += n + end;
        s->at += n + end;
        s->line += end;
        int rc = check_row(s, err);
        if (rc)
            return rc;
    }
    if (c == FAILED)
        return err->code;
    if (s->row.len && s->row.data[s->row.len - 1] == '\r')
        s->row.data[--s->row.len] = 0;
    return 1;
}

/* ---- values -----------------------------------------------------------------------------------
 */

/* The bytes of one JSON value: to the bracket that closes it, or to what cannot be of a scalar.
 * Whether it is one, the record tells. */
static int scan_value(struct hn_row_scan *s, struct hone_err *err)
{
    int depth = 0, c, rc = 0;
    bool string = false, escaped = false, done = false;
    while (!done && !rc && (c = peek(s, err)) >= 0) {
        bool blank = c == ' ' || c == '\t' || c == '\n' || c == '\r';
        if (depth == 0 && !string && s->row.len && (blank || c == ',' || c == ']' || c == '}'))
            return 0;
        hn_buf_add_char(&s->row, (char)c);
        take(s);
        rc = s->row.len % CHUNK == 0 || s->row.failed ? check_row(s, err) : 0;
        if (escaped)
            escaped = false;
        else if (string && c == '\\')
            escaped = true;
        else if (c == '"')
            string = !string;
        else if (!string && (c == '{' || c == '['))
            depth++;
        else if (!string && (c == '}' || c == ']'))
            done = --depth <= 0;
    }
    if (rc || done)
        return rc;
    if (c == END && depth == 0 && !string)
        return 0;
    return broken(c, err, "the file ends within this row, expected its closing bracket");
}

static int next_value(struct hn_row_scan *s, struct hone_err *err)
{
    bool array = s->format->layout == HN_ROWS_ARRAY, comma = false;
    int c = skip_blank(s, err);
    if (array && s->inside && c == ',') {
        take(s);
        c = skip_blank(s, err);
        comma = true;
    }
    s->row_line = s->line;
    if (array && c == ']' && !comma) {
        take(s);
        c = skip_blank(s, err);
        s->row_line = s->line;
        return c == END ? 0
                        : broken(c, err, "found more behind the array, expected the file's end");
    }
    if (c == END && !array)
        return 0;
    if (c < 0)
        return broken(c, err, "the file ends within the array, expected its closing bracket");
    if (array && s->inside && !comma)
        return hn_fail(err, HONE_FAILED, "found '%c' behind a row, expected a comma or a bracket",
                       c);
    if (c == ',' || c == ']' || c == '}')
        return hn_fail(err, HONE_FAILED, "found '%c', expected a row", c);
    s->row_at = s->at;
    s->inside = true;
    int rc = scan_value(s, err);
    rc = rc ? rc : check_row(s, err);
    return rc ? rc : 1;
}

/* Fails with what is wrong with a column, which is named in quotes. */
static int fail_column(struct hn_str column, const char *what, struct hone_err *err)
{
    struct hn_buf name = {0};
    hn_record_quote(&name, column);
    int rc = hn_fail(err, HONE_FAILED, "the column %s %s", hn_buf_str(&name), what);
    hn_buf_release(&name);
    return rc;
}

/* ---- cells ------------------------------------------------------------------------------------
 */

/* One cell into s->cell; *last: it ends its row.  As Python's csv reads it: a quote at its start
 * opens, two quotes within are one. */
static int next_cell(struct hn_row_scan *s, char delimiter, bool *last, struct hone_err *err)
{
    int c = peek(s, err);
    hn_buf_clear(&s->cell);
    if (c == '"') {
        for (take(s);; take(s)) {
            c = peek(s, err);
            if (c < 0)
                return broken(c, err, "a quote is never closed, expected another one");
            if (c == '"') {
                take(s);
                c = peek(s, err);
                if (c != '"')
                    break;
            }
            hn_buf_add_char(&s->cell, (char)c);
        }
        if (c >= 0 && c != delimiter && c != '\n' && c != '\r')
            return hn_fail(err, HONE_FAILED,
                           "found '%c' behind a closing quote, expected the end of the cell (a "
                           "quote within quotes is written twice)",
                           c < 128 ? c : '?');
    } else {
        for (; c >= 0 && c != delimiter && c != '\n' && c != '\r'; c = peek(s, err)) {
            hn_buf_add_char(&s->cell, (char)c);
            take(s);
        }
    }
    if (c == FAILED)
        return err->code;
    *last = c != delimiter;
    if (c >= 0)
        take(s);
    if (c == '\r' && peek(s, err) == '\n')
        take(s);
    return check_row(s, err);
}

static int add_cell(struct hn_row_scan *s, struct hn_json_writer *w, size_t i, struct hone_err *err)
{
    const struct hn_row_format *f = s->format;
    if (i >= f->n_columns || f->columns[i].n == 0)
        return 0;
    size_t bad = hn_utf8_check(hn_buf_str(&s->cell), s->cell.len);
    if (bad < s->cell.len)
        return fail_column(f->columns[i], "is no valid UTF-8", err);
    hn_jw_key(w, f->columns[i].p);
    hn_jw_strn(w, hn_buf_str(&s->cell), s->cell.len);
    return check_row(s, err);
}

static int next_cells(struct hn_row_scan *s, struct hone_err *err)
{
    const struct hn_row_format *f = s->format;
    struct hn_json_writer w;
    size_t n = 0, size = 0;
    int c = peek(s, err), rc = 0;
    bool last = false;
    if (c < 0)
        return c == END ? 0 : err->code;
    hn_jw_init(&w, &s->row, -1);
    hn_jw_open(&w, '{');
    while (!last && !rc) {
        rc = next_cell(s, f->delimiter, &last, err);
        size += s->cell.len;
        rc = rc ? rc : add_cell(s, &w, n, err);
        n++;
    }
    hn_jw_close(&w, '}');
    if (rc)
        return rc;
    if (n == 1 && size == 0) /* an empty line */
        hn_buf_clear(&s->row);
    else if (n != f->n_columns)
        return hn_fail(err, HONE_FAILED, "found %zu cell%s, expected %zu as in the header", n,
                       n == 1 ? "" : "s", f->n_columns);
    rc = check_row(s, err);
    return rc ? rc : 1;
}

/* ---- the scan ---------------------------------------------------------------------------------
 */

void hn_row_scan_start(struct hn_row_scan *s, int fd, const struct hn_row_format *format,
                       uint64_t at, uint64_t line)
{
    s->fd = fd;
    s->format = format;
    s->at = at;
    s->line = line;
    s->pos = s->len = 0;
    s->inside = false;
}

void hn_row_scan_release(struct hn_row_scan *s)
{
    hn_buf_release(&s->row);
    hn_buf_release(&s->cell);
    hn_free(s->chunk);
    *s = (struct hn_row_scan){0};
}

int hn_row_scan_next(struct hn_row_scan *s, struct hone_err *err)
{
    struct hone_err unwanted;
    err = err ? err : &unwanted; /* codes are read from it */
    hn_buf_clear(&s->row);
    s->row_at = s->at;
    s->row_line = s->line;
    switch (s->format->layout) {
    case HN_ROWS_LINES:
        return next_line(s, err);
    case HN_ROWS_CELLS:
        return next_cells(s, err);
    default:
        return next_value(s, err);
    }
}

/* ---- the format -------------------------------------------------------------------------------
 */

static int refuse_binary(const char *p, size_t n, struct hone_err *err)
{
    static const struct {
        const char *magic, *what;
    } kinds[] = {{"PAR1", "a Parquet file"},
                 {"ARROW1", "an Arrow file"},
                 {"\x1f\x8b", "compressed (gzip)"},
                 {"PK\x03\x04", "a ZIP archive (a spreadsheet, perhaps)"},
                 {"\x28\xb5\x2f\xfd", "compressed (zstd)"},
                 {"\xfd"
                  "7zXZ",
                  "compressed (xz)"}};
    for (size_t i = 0; i < HN_COUNT(kinds); i++) {
        size_t m = strlen(kinds[i].magic);
        if (n >= m && memcmp(p, kinds[i].magic, m) == 0)
            return hn_fail(err, HONE_FAILED,
                           "the file is %s, expected text: write it as JSON Lines or CSV",
                           kinds[i].what);
    }
    if (n >= 2 && (memcmp(p, "\xff\xfe", 2) == 0 || memcmp(p, "\xfe\xff", 2) == 0))
        return hn_fail(err, HONE_FAILED, "found a UTF-16 byte order mark, expected UTF-8 text");
    return 0;
}

/* The delimiter that the header has most of; a tab for .tsv. */
static char find_delimiter(const char *path, const char *p, size_t n)
{
    size_t commas = 0, semicolons = 0, tabs = 0;
    for (size_t i = 0; i < n && p[i] != '\n'; i++) {
        commas += p[i] == ',';
        semicolons += p[i] == ';';
        tabs += p[i] == '\t';
    }
    if (hn_ends_with(path, ".tsv") || tabs > HN_MAX(commas, semicolons))
        return '\t';
    return semicolons > commas ? ';' : ',';
}

/* The names of the columns. */
static int read_header(struct hn_row_format *f, struct hn_row_scan *s, struct hone_err *err)
{
    bool last = false;
    f->columns = hn_arena_alloc(&f->arena, HN_ROWS_MAX_COLUMNS, sizeof *f->columns);
    if (!f->columns)
        return hn_fail_memory(err, "reading the header");
    while (!last) {
        int rc = next_cell(s, f->delimiter, &last, err);
        if (rc)
            return rc;
        if (f->n_columns == HN_ROWS_MAX_COLUMNS)
            return hn_fail(err, HONE_FAILED, "the header has more than %d columns",
                           HN_ROWS_MAX_COLUMNS);
        if (hn_utf8_check(hn_buf_str(&s->cell), s->cell.len) < s->cell.len)
            return hn_fail(err, HONE_FAILED, "column %zu of the header is no valid UTF-8",
                           f->n_columns + 1);
        char *name = hn_arena_dup(&f->arena, hn_buf_str(&s->cell), s->cell.len + 1);
        if (!name)
            return hn_fail_memory(err, "reading the header");
        struct hn_str column = {name, strlen(name)};
        for (size_t i = 0; i < f->n_columns && column.n; i++)
            if (hn_str_eq(f->columns[i], column))
                return fail_column(column, "is twice in the header", err);
        f->columns[f->n_columns++] = column;
    }
    f->begin = s->at;
    f->line = s->line;
    return 0;
}

/* The first value that begins here ends behind its line: values, not lines. */
static bool is_spread(struct hn_row_scan *s)
{
    uint64_t line = s->line;
    return scan_value(s, &(struct hone_err){0}) == 0 && s->line > line;
}

int hn_row_format_init(struct hn_row_format *f, int fd, const char *path, uint64_t *line,
                       struct hone_err *err)
{
    struct hn_row_scan s = {0};
    struct hone_err unwanted;
    err = err ? err : &unwanted;
    *f = (struct hn_row_format){.layout = HN_ROWS_LINES, .line = 1};
    hn_arena_init(&f->arena, 0);
    hn_row_scan_start(&s, fd, f, 0, 1);
    int c = peek(&s, err), rc = c == FAILED ? err->code : refuse_binary(s.chunk, s.len, err);
    if (!rc && s.len >= 3 && memcmp(s.chunk, "\xef\xbb\xbf", 3) == 0)
        s.pos = s.at = f->begin = 3;
    if (!rc && (hn_ends_with(path, ".csv") || hn_ends_with(path, ".tsv"))) {
        f->layout = HN_ROWS_CELLS;
        f->delimiter = find_delimiter(path, s.chunk + s.pos, s.len - s.pos);
        rc = peek(&s, err) < 0 ? 0 : read_header(f, &s, err);
    } else if (!rc && (c = skip_blank(&s, err)) == '[') {
        f->layout = HN_ROWS_ARRAY;
        take(&s);
        f->begin = s.at;
        f->line = s.line;
    } else if (!rc && c == '{' && !hn_ends_with(path, ".jsonl") && is_spread(&s)) {
        f->layout = HN_ROWS_VALUES;
    }
    *line = 1; /* what can fail is in the header */
    hn_row_scan_release(&s);
    return rc;
}

void hn_row_format_release(struct hn_row_format *f)
{
    hn_arena_release(&f->arena);
    *f = (struct hn_row_format){0};
}

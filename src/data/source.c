#include "data/source.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int open_file(struct hn_source_file *f, const char *path, struct hone_err *err)
{
    struct stat st;
    f->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe is refused, not waited for */
    if (f->fd < 0 || fstat(f->fd, &st) != 0)
        return hn_fail(err, errno == ENOENT ? HONE_NOT_FOUND : HONE_FAILED,
                       "cannot open the data file %s: %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return hn_fail(err, HONE_FAILED,
                       "%s is %s, expected a file of rows (they are read again, so it cannot be "
                       "a pipe)",
                       path, S_ISDIR(st.st_mode) ? "a directory" : "not a regular file");
    f->size = (uint64_t)st.st_size;
    return 0;
}

static int tell_format(struct hn_source *s, size_t i, struct hone_err *err)
{
    s->file = i;
    int rc = hn_row_format_init(&s->files[i].format, s->files[i].fd, s->paths[i], &s->line, err);
    return rc && rc != HONE_NO_MEMORY ? hn_source_blame(s, err) : rc;
}

int hn_source_open(struct hn_source *s, const char *const *paths, size_t n,
                   enum hone_record_kind forced, struct hn_notes *notes, struct hone_err *err)
{
    *s = (struct hn_source){.paths = paths, .forced = forced, .notes = notes};
    hn_record_init(&s->record);
    if (n == 0 || n > HN_SOURCE_MAX_FILES)
        return hn_fail(err, HONE_USAGE, "found %zu data files, expected 1 to %d", n,
                       HN_SOURCE_MAX_FILES);
    if ((unsigned)forced >= HONE_RECORD_COUNT)
        return hn_fail(err, HONE_USAGE, "found record kind %d, expected 0 to %d", (int)forced,
                       HONE_RECORD_COUNT - 1);
    s->files = hn_calloc(n, sizeof *s->files);
    if (!s->files)
        return hn_fail_memory(err, "opening data files");
    s->n = n;
    for (size_t i = 0; i < n; i++)
        s->files[i].fd = -1;
    int rc = 0;
    for (size_t i = 0; i < n && !rc; i++) {
        rc = open_file(&s->files[i], paths[i], err);
        if (!rc)
            rc = tell_format(s, i, err);
        s->files[i].kind = forced;
        s->size += s->files[i].size;
    }
    s->file = 0;
    if (rc)
        hn_source_close(s);
    return rc;
}

void hn_source_close(struct hn_source *s)
{
    for (size_t i = 0; i < s->n; i++) {
        if (s->files[i].fd >= 0)
            close(s->files[i].fd);
        hn_row_format_release(&s->files[i].format);
    }
    hn_free(s->files);
    hn_row_scan_release(&s->scan);
    hn_row_scan_release(&s->again);
    hn_record_release(&s->record);
    *s = (struct hn_source){0};
}

int hn_source_blame(const struct hn_source *s, struct hone_err *err)
{
    if (!s->line)
        return hn_fail_prefix(err, "%s, byte %llu", s->paths[s->file],
                              (unsigned long long)s->offset);
    return hn_fail_prefix(err, "%s, line %llu", s->paths[s->file], (unsigned long long)s->line);
}

/* The row of the scan as s->record. */
static int parse(struct hn_source *s, const struct hn_row_scan *scan, struct hone_err *err)
{
    const struct hn_source_file *f = &s->files[s->file];
    s->record.cells = f->format.layout == HN_ROWS_CELLS;
    return hn_record_parse(&s->record, hn_buf_str(&scan->row), scan->row.len, s->forced, f->kind,
                           err);
}

/* The record of the scan's current row: 1 a row, 0 an empty one. */
static int take_row(struct hn_source *s, struct hone_err *err)
{
    struct hn_source_file *f = &s->files[s->file];
    int rc = parse(s, &s->scan, err);
    if (rc)
        return rc == HONE_NO_MEMORY ? rc : hn_source_blame(s, err);
    if (s->record.empty) {
        f->empty++;
        hn_notes_add(s->notes, HN_NOTE_EMPTY, s->paths[s->file], s->line, "empty, left out");
        return 0;
    }
    if (!f->kind)
        f->kind = s->record.kind;
    else if (f->kind != s->record.kind)
        hn_notes_add(s->notes, HN_NOTE_MIXED, s->paths[s->file], s->line,
                     "of kind %s, while the file's first row is of kind %s",
                     hone_record_kind_name(s->record.kind), hone_record_kind_name(f->kind));
    f->rows++;
    return 1;
}

int hn_source_next(struct hn_source *s, struct hone_err *err)
{
    while (s->file < s->n) {
        const struct hn_source_file *f = &s->files[s->file];
        if (!s->begun)
            hn_row_scan_start(&s->scan, f->fd, &f->format, f->format.begin, f->format.line);
        s->begun = true;
        int rc = hn_row_scan_next(&s->scan, err);
        s->line = s->scan.row_line;
        s->offset = s->scan.row_at;
        if (rc < 0)
            return rc == HONE_NO_MEMORY ? rc : hn_source_blame(s, err);
        if (rc == 0) {
            s->before += f->size;
            s->begun = false;
            s->file++;
            continue;
        }
        rc = take_row(s, err);
        if (rc)
            return rc;
    }
    return 0;
}

uint64_t hn_source_done(const struct hn_source *s)
{
    return s->before + (s->begun ? s->scan.at : 0);
}

int hn_source_at(struct hn_source *s, size_t file, uint64_t offset, uint64_t line,
                 struct hone_err *err)
{
    s->file = file;
    s->offset = offset;
    s->line = line;
    hn_row_scan_start(&s->again, s->files[file].fd, &s->files[file].format, offset, line);
    int rc = hn_row_scan_next(&s->again, err);
    if (rc > 0)
        rc = parse(s, &s->again, err);
    else if (rc == 0)
        s->record.empty = true;
    if (!rc && s->record.empty)
        rc = hn_fail(err, HONE_FAILED, "the row is gone: the file has changed while it was in use");
    return rc && rc != HONE_NO_MEMORY ? hn_source_blame(s, err) : rc;
}

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
    f->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (f->fd < 0 || fstat(f->fd, &st) != 0)
        return hn_fail(err, errno == ENOENT ? HONE_NOT_FOUND : HONE_FAILED,
                       "cannot open the data file %s: %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return hn_fail(err, HONE_FAILED,
                       "%s is %s, expected a .jsonl file (rows are read again, so it cannot be a "
                       "pipe)",
                       path, S_ISDIR(st.st_mode) ? "a directory" : "not a regular file");
    f->size = (uint64_t)st.st_size;
    return 0;
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
        s->files[i].kind = forced;
        s->size += s->files[i].size;
    }
    if (rc)
        hn_source_close(s);
    return rc;
}

void hn_source_close(struct hn_source *s)
{
    for (size_t i = 0; i < s->n; i++)
        if (s->files[i].fd >= 0)
            close(s->files[i].fd);
    hn_free(s->files);
    hn_lines_close(&s->lines);
    hn_buf_release(&s->text);
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

/* The record of s->lines' current line: 1 a row, 0 an empty one. */
static int take_line(struct hn_source *s, struct hone_err *err)
{
    struct hn_source_file *f = &s->files[s->file];
    s->line = s->lines.number;
    s->offset = s->lines.offset;
    int rc = hn_record_parse(&s->record, hn_buf_str(&s->lines.line), s->lines.line.len, s->forced,
                             f->kind, err);
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
        int rc = 0;
        if (!s->lines.f)
            rc = hn_lines_open(&s->lines, s->paths[s->file], HN_SOURCE_MAX_LINE, err);
        rc = rc ? rc : hn_lines_next(&s->lines, err);
        if (rc < 0)
            return rc;
        if (rc == 0) {
            s->before += s->files[s->file].size;
            hn_lines_close(&s->lines);
            s->file++;
            continue;
        }
        rc = take_line(s, err);
        if (rc)
            return rc;
    }
    return 0;
}

uint64_t hn_source_done(const struct hn_source *s)
{
    return s->before + (s->lines.f ? s->lines.next : 0);
}

static int read_line(struct hn_source *s, struct hone_err *err)
{
    uint64_t at = s->offset;
    hn_buf_clear(&s->text);
    for (;;) {
        size_t want = HN_MIN(HN_MAX(s->text.len, (size_t)4096), (size_t)1 << 20);
        char *to = hn_buf_reserve(&s->text, want);
        if (!to)
            return hn_fail_memory(err, "reading a row");
        ssize_t n = pread(s->files[s->file].fd, to, want, (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return hn_fail(err, HONE_FAILED, "cannot read the row: %s", strerror(errno));
        const char *end = n ? memchr(to, '\n', (size_t)n) : NULL;
        s->text.len += end ? (size_t)(end - to) : (size_t)n;
        s->text.data[s->text.len] = 0;
        if (end || n == 0)
            break;
        if (s->text.len > HN_SOURCE_MAX_LINE)
            return hn_fail(err, HONE_FAILED, "longer than %d bytes", HN_SOURCE_MAX_LINE);
        at += (uint64_t)n;
    }
    if (s->text.len && s->text.data[s->text.len - 1] == '\r')
        s->text.data[--s->text.len] = 0;
    return 0;
}

int hn_source_at(struct hn_source *s, size_t file, uint64_t offset, uint64_t line,
                 struct hone_err *err)
{
    s->file = file;
    s->offset = offset;
    s->line = line;
    int rc = read_line(s, err);
    rc = rc ? rc
            : hn_record_parse(&s->record, hn_buf_str(&s->text), s->text.len, s->forced,
                              s->files[file].kind, err);
    if (!rc && s->record.empty)
        rc = hn_fail(err, HONE_FAILED, "the row is gone: the file has changed while it was in use");
    return rc && rc != HONE_NO_MEMORY ? hn_source_blame(s, err) : rc;
}

#include "base/file.h"
#include "base/mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static int fail_errno(struct hone_err *err, const char *verb, const char *path)
{
    return hn_fail(err, errno == ENOENT ? HONE_NOT_FOUND : HONE_FAILED, "cannot %s %s: %s", verb,
                   path, strerror(errno));
}

int hn_map_open(struct hn_map *m, const char *path, struct hone_err *err)
{
    *m = (struct hn_map){0};
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe is refused, not waited for */
    if (fd < 0)
        return fail_errno(err, "open", path);
    struct stat st;
    int rc = 0;
    if (fstat(fd, &st) != 0) {
        rc = fail_errno(err, "inspect", path);
    } else if (!S_ISREG(st.st_mode)) {
        rc = hn_fail(err, HONE_FAILED, "%s is not a regular file", path);
    } else if (st.st_size > 0) {
        void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (p == MAP_FAILED)
            rc = fail_errno(err, "map", path);
        else
            *m = (struct hn_map){p, (size_t)st.st_size};
    }
    close(fd);
    return rc;
}

void hn_map_forget(const void *p, size_t n)
{
    long page = sysconf(_SC_PAGESIZE);
    if (page <= 0)
        return;
    uintptr_t size = (uintptr_t)page, begin = ((uintptr_t)p + size - 1) / size * size;
    uintptr_t end = ((uintptr_t)p + n) / size * size;
    if (begin < end) /* a hint: nothing depends on it */
        (void)madvise((void *)begin, end - begin, MADV_DONTNEED);
}

void hn_map_close(struct hn_map *m)
{
    if (m->data)
        munmap((void *)(uintptr_t)m->data, m->size);
    *m = (struct hn_map){0};
}

static int fail_large(const char *path, size_t max, struct hone_err *err)
{
    return hn_fail(err, HONE_FAILED, "%s is larger than the %zu bytes that are read of such a file",
                   path, max);
}

int hn_file_read(const char *path, size_t max, struct hn_buf *out, struct hone_err *err)
{
    FILE *f = fopen(path, "rbe");
    if (!f)
        return fail_errno(err, "open", path);
    size_t start = out->len;
    struct stat st;
    int rc = 0;
    if (fstat(fileno(f), &st) == 0 && S_ISREG(st.st_mode) && (uint64_t)st.st_size > max)
        rc = fail_large(path, max, err);
    while (!rc) {
        char *to = hn_buf_reserve(out, 1 << 16);
        if (!to) {
            rc = hn_fail(err, HONE_NO_MEMORY, "out of memory while reading %s", path);
            break;
        }
        size_t n = fread(to, 1, 1 << 16, f);
        out->len += n;
        out->data[out->len] = 0;
        if (out->len - start > max) {
            rc = fail_large(path, max, err);
        } else if (n == 0) {
            if (ferror(f))
                rc = fail_errno(err, "read", path);
            break;
        }
    }
    fclose(f);
    return rc;
}

static void sync_parent(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *dir = slash ? hn_calloc((size_t)(slash - path) + 2, 1) : NULL;
    if (slash && !dir)
        return;
    if (dir)
        memcpy(dir, path, (size_t)HN_MAX(slash - path, 1));
    int fd = open(dir ? dir : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        fsync(fd);
        close(fd);
    }
    hn_free(dir);
}

/* Writing ends in a rename, which would put a file in the place of a device or pipe: /dev/null. */
static int check_replaceable(const char *path, struct hone_err *err)
{
    struct stat st;
    if (stat(path, &st) != 0 || S_ISREG(st.st_mode))
        return 0;
    return hn_fail(err, HONE_FAILED, "%s is a %s, expected the name of a file to write", path,
                   S_ISDIR(st.st_mode) ? "directory" : "device or pipe");
}

/* Is it "NAME.DIGITS.tmp", as the writer calls its file? */
static bool is_temp_of(const char *entry, const char *name)
{
    size_t n = strlen(name);
    if (strncmp(entry, name, n) != 0 || entry[n] != '.')
        return false;
    size_t digits = strspn(entry + n + 1, "0123456789");
    return digits > 0 && strcmp(entry + n + 1 + digits, ".tmp") == 0;
}

/* A file, or a folder of files (one that holds folders is none of ours, and stays). */
static void remove_left(int parent, const char *name, int fd)
{
    struct stat st;
    if (fstat(fd, &st) != 0 || !S_ISDIR(st.st_mode)) {
        (void)unlinkat(parent, name, 0);
        return;
    }
    int copy = dup(fd); /* closedir closes it */
    DIR *d = copy >= 0 ? fdopendir(copy) : NULL;
    for (struct dirent *e; d && (e = readdir(d));)
        (void)unlinkat(fd, e->d_name, 0);
    if (d)
        closedir(d);
    else if (copy >= 0)
        close(copy);
    (void)unlinkat(parent, name, AT_REMOVEDIR);
}

void hn_file_sweep(const char *path)
{
    const char *name = hn_path_name(path);
    size_t n = (size_t)(name - path);
    char *dir = hn_calloc(n + 2, 1);
    if (!dir)
        return;
    memcpy(dir, n ? path : ".", n ? n : 1);
    DIR *d = opendir(dir);
    for (struct dirent *e; d && (e = readdir(d));) {
        if (!is_temp_of(e->d_name, name))
            continue;
        int fd = openat(dirfd(d), e->d_name, O_RDONLY | O_CLOEXEC);
        if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0)
            remove_left(dirfd(d), e->d_name, fd);
        if (fd >= 0)
            close(fd);
    }
    if (d)
        closedir(d);
    hn_free(dir);
}

int hn_file_writer_open(struct hn_file_writer *w, const char *path, struct hone_err *err)
{
    *w = (struct hn_file_writer){0};
    if (check_replaceable(path, err))
        return HONE_FAILED;
    hn_file_sweep(path);
    size_t n = strlen(path);
    w->path = hn_dup(path, n);
    w->temp = hn_calloc(n + 32, 1);
    if (!w->path || !w->temp) {
        hn_file_writer_cancel(w);
        return hn_fail_memory(err, "opening a file");
    }
    snprintf(w->temp, n + 32, "%s.%ld.tmp", path, (long)getpid());
    w->f = fopen(w->temp, "wbe");
    if (!w->f) {
        int rc = fail_errno(err, "write", w->temp);
        hn_file_writer_cancel(w);
        return rc;
    }
    (void)flock(fileno(w->f), LOCK_EX | LOCK_NB); /* for hn_file_sweep */
    return 0;
}

void hn_file_writer_add(struct hn_file_writer *w, const void *p, size_t n)
{
    if (w->error || n == 0)
        return;
    if (fwrite(p, 1, n, w->f) != n)
        w->error = errno ? errno : EIO;
    w->size += n;
}

int hn_file_writer_commit(struct hn_file_writer *w, struct hone_err *err)
{
    if (!w->error && fflush(w->f) != 0)
        w->error = errno;
    if (!w->error && fsync(fileno(w->f)) != 0)
        w->error = errno;
    if (fclose(w->f) != 0 && !w->error)
        w->error = errno;
    w->f = NULL;
    if (!w->error && rename(w->temp, w->path) != 0)
        w->error = errno;
    int rc = 0;
    if (w->error)
        rc = hn_fail(err, HONE_FAILED, "cannot write %s: %s; the file is as it was before", w->path,
                     strerror(w->error));
    else
        sync_parent(w->path);
    hn_file_writer_cancel(w);
    return rc;
}

void hn_file_writer_cancel(struct hn_file_writer *w)
{
    if (w->f)
        fclose(w->f);
    if (w->temp)
        unlink(w->temp);
    hn_free(w->path);
    hn_free(w->temp);
    *w = (struct hn_file_writer){0};
}

int hn_file_write(const char *path, const void *p, size_t n, struct hone_err *err)
{
    struct hn_file_writer w;
    int rc = hn_file_writer_open(&w, path, err);
    if (rc)
        return rc;
    hn_file_writer_add(&w, p, n);
    return hn_file_writer_commit(&w, err);
}

int hn_lines_open(struct hn_lines *l, const char *path, size_t max, struct hone_err *err)
{
    *l = (struct hn_lines){.path = path, .max = max};
    if (hn_dir_exists(path))
        return hn_fail(err, HONE_FAILED, "%s is a directory, expected a file", path);
    l->f = fopen(path, "rbe");
    return l->f ? 0 : fail_errno(err, "open", path);
}

int hn_lines_next(struct hn_lines *l, struct hone_err *err)
{
    hn_buf_clear(&l->line);
    l->offset = l->next;
    l->number++;
    char chunk[4096];
    size_t n = 0;
    int c;
    do {
        c = getc_unlocked(l->f);
        if (c != EOF)
            chunk[n++] = (char)c;
        if (n == sizeof chunk || c == '\n' || c == EOF) {
            hn_buf_add(&l->line, chunk, n);
            l->next += n;
            n = 0;
            if (l->line.failed)
                return hn_fail_memory(err, "reading a line");
            if (l->line.len > l->max)
                return hn_fail(err, HONE_FAILED, "%s, line %llu: longer than %zu bytes", l->path,
                               (unsigned long long)l->number, l->max);
        }
    } while (c != '\n' && c != EOF);
    if (ferror(l->f))
        return fail_errno(err, "read", l->path);
    if (l->line.len == 0)
        return 0;
    n = l->line.len;
    if (l->line.data[n - 1] == '\n')
        n--;
    if (n && l->line.data[n - 1] == '\r')
        n--;
    l->line.len = n;
    l->line.data[n] = 0;
    return 1;
}

void hn_lines_close(struct hn_lines *l)
{
    if (l->f)
        fclose(l->f);
    hn_buf_release(&l->line);
    *l = (struct hn_lines){0};
}

bool hn_file_exists(const char *path)
{
    return hn_file_size(path) >= 0;
}

bool hn_file_same(const char *a, const char *b)
{
    struct stat x, y;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

int hn_file_find(const char *path, struct hone_err *err)
{
    struct stat st;
    if (lstat(path, &st) != 0 && (errno == ENOENT || errno == ENOTDIR))
        return 0;
    if (stat(path, &st) != 0)
        return fail_errno(err, "open", path);
    return S_ISREG(st.st_mode) ? 1 : hn_fail(err, HONE_FAILED, "%s is not a regular file", path);
}

bool hn_dir_exists(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

int64_t hn_file_size(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode) ? (int64_t)st.st_size : -1;
}

int hn_dir_make(const char *path, struct hone_err *err)
{
    size_t n = strlen(path);
    char *part = hn_calloc(n + 1, 1);
    if (!part)
        return hn_fail_memory(err, "making a directory");
    int rc = 0;
    for (size_t i = 0; i <= n && !rc; i++) {
        if (i > 0 && (path[i] == '/' || path[i] == 0) && path[i - 1] != '/') {
            memcpy(part, path, i);
            part[i] = 0;
            if (mkdir(part, 0777) != 0 && errno != EEXIST)
                rc = fail_errno(err, "make the directory", part);
        }
    }
    if (!rc && n && !hn_dir_exists(path))
        rc = hn_fail(err, HONE_FAILED, "%s exists and is not a directory", path);
    hn_free(part);
    return rc;
}

int hn_dir_lock(const char *path, int *lock, struct hone_err *err)
{
    *lock = -1;
    int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return fail_errno(err, "open", path);
    if (flock(dir, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
        close(dir);
        return hn_fail(err, HONE_FAILED,
                       "%s is being written by another program: wait for its end, or choose "
                       "another folder",
                       path);
    }
    *lock = dir; /* a file system that knows no locks: as if there were no other */
    return 0;
}

void hn_dir_unlock(int *lock)
{
    if (*lock >= 0)
        close(*lock);
    *lock = -1;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

int hn_dir_list(const char *path, char ***names, size_t *n, struct hone_err *err)
{
    DIR *d = opendir(path);
    if (!d)
        return fail_errno(err, "list", path);
    struct hn_buf text = {0};
    size_t count = 0;
    for (struct dirent *e; (e = readdir(d));) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        hn_buf_add(&text, e->d_name, strlen(e->d_name) + 1);
        count++;
    }
    closedir(d);
    size_t table = (count + 1) * sizeof(char *);
    char **block = text.failed ? NULL : hn_calloc(table + text.len, 1);
    if (!block) {
        hn_buf_release(&text);
        return hn_fail_memory(err, "listing a directory");
    }
    char *p = (char *)block + table;
    if (text.len)
        memcpy(p, text.data, text.len);
    for (size_t i = 0; i < count; i++, p += strlen(p) + 1)
        block[i] = p;
    if (count)
        qsort(block, count, sizeof *block, compare_names);
    hn_buf_release(&text);
    *names = block;
    *n = count;
    return 0;
}

static int remove_entry(const char *path, struct hone_err *err)
{
    struct stat st;
    if (lstat(path, &st) == 0 && S_ISDIR(st.st_mode))
        return hn_dir_remove(path, err);
    return unlink(path) == 0 ? 0 : fail_errno(err, "remove", path);
}

int hn_dir_remove(const char *path, struct hone_err *err)
{
    char **names;
    size_t n;
    int rc = hn_dir_list(path, &names, &n, err);
    if (rc)
        return rc == HONE_NOT_FOUND ? 0 : rc;
    for (size_t i = 0; i < n && !rc; i++) {
        char *entry = hn_path_join(path, names[i]);
        rc = entry ? remove_entry(entry, err) : hn_fail_memory(err, "removing a directory");
        hn_free(entry);
    }
    hn_free(names);
    return rc || rmdir(path) == 0 ? rc : fail_errno(err, "remove", path);
}

char *hn_path_join(const char *a, const char *b)
{
    if (!*a || *b == '/')
        a = "";
    size_t n = strlen(a), m = strlen(b);
    bool slash = n && a[n - 1] != '/';
    char *p = hn_calloc(n + m + 2, 1);
    if (p)
        snprintf(p, n + m + 2, "%s%s%s", a, slash ? "/" : "", b);
    return p;
}

const char *hn_path_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

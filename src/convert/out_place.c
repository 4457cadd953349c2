#define _GNU_SOURCE
#include "convert/out_place.h"
#include "base/file.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Remove a directory of files (one that holds directories stays, less its files). */
static void remove_dir(const char *path)
{
    char **names = NULL;
    size_t n = 0;
    if (hn_dir_list(path, &names, &n, NULL))
        n = 0;
    for (size_t i = 0; i < n; i++) {
        char *file = hn_path_join(path, names[i]);
        if (file)
            unlink(file);
        hn_free(file);
    }
    hn_free(names);
    rmdir(path);
}

/* PATH.PID.suffix, or NULL. */
static char *beside(const char *path, const char *suffix)
{
    size_t n = strlen(path) + 48;
    char *out = hn_calloc(n, 1);
    if (out)
        snprintf(out, n, "%s.%ld.%s", path, (long)getpid(), suffix);
    return out;
}

static int refuse(const struct hn_out_place *p, const char *what, struct hone_err *err)
{
    return hn_fail(err, HONE_FAILED, "%s %s", p->path, what);
}

/* May the directory that is there be replaced? */
static int check_dir(const struct hn_out_place *p, const char *mark, bool overwrite,
                     struct hone_err *err)
{
    char **names = NULL;
    size_t n = 0;
    bool marked = false, nested = false;
    int rc = hn_dir_list(p->path, &names, &n, err);
    for (size_t i = 0; i < n && !rc; i++) {
        char *inside = hn_path_join(p->path, names[i]);
        marked |= strcmp(names[i], mark) == 0;
        nested |= !inside || hn_dir_exists(inside);
        hn_free(inside);
    }
    hn_free(names);
    if (rc || n == 0)
        return rc;
    if (!overwrite)
        return refuse(p, "exists already and is not empty; --overwrite replaces it", err);
    if (!marked)
        return hn_fail(err, HONE_FAILED,
                       "%s holds other things than such an output (there is no %s in it), so it is "
                       "not replaced",
                       p->path, mark);
    return nested ? refuse(p, "holds directories, so it is not replaced", err) : 0;
}

/* Would the source go with what is replaced? */
static int check_source(const struct hn_out_place *p, const char *source, struct hone_err *err)
{
    const char *name = hn_path_name(source);
    char *folder = hn_calloc((size_t)(name - source) + 2, 1);
    if (!folder)
        return hn_fail_memory(err, "writing a model");
    memcpy(folder, name > source ? source : ".", HN_MAX((size_t)(name - source), (size_t)1));
    bool within =
        hn_file_same(p->path, source) || (!hn_dir_exists(source) && hn_file_same(p->path, folder));
    hn_free(folder);
    return within ? refuse(p, "holds what is read, and would replace it: choose another name", err)
                  : 0;
}

/* What the rename at the end could not replace, or should not. */
static int check_kind(const struct hn_out_place *p, struct hone_err *err)
{
    struct stat st;
    if (p->dir && lstat(p->path, &st) == 0 && S_ISLNK(st.st_mode))
        return refuse(p, "is a link: give the name of the folder itself", err);
    if (p->dir && hn_file_same(p->path, "."))
        return refuse(p, "is the folder hone was started in: give the name of another", err);
    if (stat(p->path, &st) == 0 && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
        return refuse(p, "is a device or pipe, expected a name to write to", err);
    return 0;
}

static int check(const struct hn_out_place *p, const char *mark, bool overwrite,
                 struct hone_err *err)
{
    if (hn_dir_exists(p->path))
        return p->dir ? check_dir(p, mark, overwrite, err)
                      : refuse(p, "is a directory, expected the name of a file to write", err);
    if (!hn_file_exists(p->path))
        return 0;
    if (p->dir)
        return refuse(p, "is a file, expected the name of a directory to write", err);
    return overwrite ? 0 : refuse(p, "exists already; --overwrite replaces it", err);
}

/* The folder beside the output, held so that hn_file_sweep leaves it alone while it is at work. */
static int make_temp(struct hn_out_place *p, struct hone_err *err)
{
    char *temp = beside(p->path, "tmp");
    int rc = temp ? hn_dir_make(temp, err) : hn_fail_memory(err, "writing a model");
    rc = rc ? rc : hn_dir_lock(temp, &p->lock, err);
    if (rc)
        hn_free(temp);
    else
        p->temp = temp;
    return rc;
}

int hn_out_place_open(struct hn_out_place *p, const char *path, bool dir, const char *mark,
                      const char *source, bool overwrite, struct hone_err *err)
{
    *p = (struct hn_out_place){.dir = dir, .lock = -1};
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/')
        n--;
    p->path = hn_dup(path, n);
    if (!p->path)
        return hn_fail_memory(err, "writing a model");
    int rc = check_kind(p, err);
    rc = rc ? rc : check(p, mark, overwrite, err);
    rc = rc ? rc : check_source(p, source, err);
    if (!rc && dir)
        rc = make_temp(p, err);
    if (!rc)
        hn_file_sweep(p->path);
    if (rc)
        hn_out_place_close(p);
    return rc;
}

/* Whoever is killed in here leaves both, and the old one under a name that hn_file_sweep knows. */
static bool exchange(const char *a, const char *b)
{
#ifdef RENAME_EXCHANGE
    return renameat2(AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE) == 0;
#else
    (void)a;
    (void)b;
    return false;
#endif
}

int hn_out_place_commit(struct hn_out_place *p, struct hone_err *err)
{
    if (!p->dir)
        return 0;
    char *old = beside(p->path, "old");
    bool moved = false, done = false;
    if (!old)
        return hn_fail_memory(err, "writing a model");
    /* An empty directory gives way to a rename; one with files is exchanged, and where the file
     * system cannot, moved aside first. */
    done = rename(p->temp, p->path) == 0;
    if (!done && (errno == ENOTEMPTY || errno == EEXIST)) {
        if (exchange(p->temp, p->path)) {
            hn_free(old);
            return 0; /* what is temp now goes when p is closed */
        }
        moved = rename(p->path, old) == 0;
        done = moved && rename(p->temp, p->path) == 0;
    }
    int rc = done ? 0 : hn_fail(err, HONE_FAILED, "cannot write %s: %s", p->path, strerror(errno));
    if (moved && done)
        remove_dir(old);
    else if (moved && rename(old, p->path) != 0)
        rc = hn_fail(err, HONE_FAILED, "cannot write %s; what was there is now %s", p->path, old);
    hn_free(old);
    if (done) {
        hn_free(p->temp);
        p->temp = NULL;
    }
    return rc;
}

void hn_out_place_close(struct hn_out_place *p)
{
    if (p->temp)
        remove_dir(p->temp);
    hn_dir_unlock(&p->lock);
    hn_free(p->temp);
    hn_free(p->path);
    *p = (struct hn_out_place){.lock = -1};
}

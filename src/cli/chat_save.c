#include "cli/chat_save.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/buf.h"

static int write_all(int fd, const char *p, size_t n)
{
    while (n) {
        ssize_t w = write(fd, p, n);
        if (w < 0 && errno == EINTR)
            continue;
        if (w < 0)
            return -1;
        p += w;
        n -= (size_t)w;
    }
    return 0;
}

/* A file whose last line lacks its end gets it first. */
static bool ends_in_a_line(int fd)
{
    char last;
    off_t size = lseek(fd, 0, SEEK_END);
    return size <= 0 || pread(fd, &last, 1, size - 1) != 1 || last == '\n';
}

/* What was added in part is taken away again. */
static int append(const char *path, const char *record, struct hone_err *err)
{
    struct hn_buf line = {0};
    struct stat st;
    int rc = 0, fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (fd < 0)
        return hn_fail(err, HONE_FAILED, "%s cannot be written: %s", path, strerror(errno));
    bool regular = fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
    hn_buf_printf(&line, "%s%s\n", !regular || ends_in_a_line(fd) ? "" : "\n", record);
    if (line.failed)
        rc = hn_fail_memory(err, "saving a conversation");
    else if (write_all(fd, line.data, line.len)) {
        rc = hn_fail(err, HONE_FAILED, "%s cannot be written: %s", path, strerror(errno));
        if (regular && ftruncate(fd, st.st_size))
            rc = hn_fail_prefix(err, "a part of a record is left");
    }
    if (close(fd) && !rc)
        rc = hn_fail(err, HONE_FAILED, "%s cannot be written: %s", path, strerror(errno));
    hn_buf_release(&line);
    return rc;
}

int hn_chat_save(const char *path, const char *record, struct hone_err *err)
{
    struct hn_buf full = {0};
    const char *home = getenv("HOME");
    hn_buf_printf(&full, "%s%s", path[0] == '~' && path[1] == '/' && home ? home : "",
                  path[0] == '~' && path[1] == '/' && home ? path + 1 : path);
    int rc = full.failed ? hn_fail_memory(err, "saving a conversation")
                         : append(hn_buf_str(&full), record, err);
    hn_buf_release(&full);
    return rc;
}

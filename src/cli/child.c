#include "cli/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/file.h"
#include "base/mem.h"
#include "base/os.h"
#include "cli/cli.h"

enum { KEPT_ERRORS = 64 << 10, TICK_MS = 100, NO_SUCH_PROGRAM = 127 };

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static void release(struct hn_child *c)
{
    close_fd(&c->out);
    close_fd(&c->err);
    hn_buf_release(&c->text);
    hn_buf_release(&c->errors);
}

/* Fork with pipes for output and error; returns 1 in the child, 0 in the parent. */
static int start(struct hn_child *c, const char *name, struct hone_err *err)
{
    int out[2] = {-1, -1}, errors[2] = {-1, -1};
    *c = (struct hn_child){.name = name, .out = -1, .err = -1};
    fflush(NULL);
    if (pipe(out) == 0 && pipe(errors) == 0)
        c->pid = fork();
    else
        c->pid = -1;
    if (c->pid < 0) {
        int rc = hn_fail(err, HONE_FAILED, "cannot start %s: %s", name, strerror(errno));
        for (int i = 0; i < 2; i++) {
            close_fd(&out[i]);
            close_fd(&errors[i]);
        }
        return rc;
    }
    if (c->pid == 0) {
        dup2(out[1], STDOUT_FILENO);
        dup2(errors[1], STDERR_FILENO);
        close_fd(&out[0]);
        close_fd(&errors[0]);
    } else {
        c->out = out[0];
        c->err = errors[0];
        fcntl(c->out, F_SETFD, FD_CLOEXEC);
        fcntl(c->err, F_SETFD, FD_CLOEXEC);
    }
    close_fd(&out[1]);
    close_fd(&errors[1]);
    return c->pid == 0;
}

int hn_child_call(struct hn_child *c, const char *name, hn_child_fn *fn, void *arg,
                  struct hone_err *err)
{
    int rc = start(c, name, err);
    if (rc <= 0)
        return rc;
    fn(arg);
    fflush(stdout);
    _exit(0);
}

int hn_child_run(struct hn_child *c, const char *name, char *const *argv, int input,
                 struct hone_err *err)
{
    int rc = start(c, name, err);
    if (rc <= 0)
        return rc;
    lseek(input, 0, SEEK_SET);
    dup2(input, STDIN_FILENO);
    signal(SIGINT, SIG_IGN); /* the parent ends it, and says so */
    execvp(argv[0], argv);
    fprintf(stderr, "%s: %s\n", argv[0], strerror(errno));
    fflush(stderr);
    _exit(NO_SUCH_PROGRAM);
}

/* -------------------------------------------------------------------------------------------- */

/* What has come on one pipe, appended to b; false at its end. */
static bool gather(int fd, struct hn_buf *b)
{
    char *p = hn_buf_reserve(b, 65536);
    ssize_t n = p ? read(fd, p, 65536) : -1;
    if (n > 0)
        b->len += (size_t)n;
    return n > 0 || (n < 0 && (errno == EINTR || errno == EAGAIN) && p);
}

static int take_lines(struct hn_child *c, hn_child_line_fn *on_line, void *arg,
                      struct hone_err *err)
{
    size_t start = 0;
    int rc = 0;
    for (char *end; !rc && c->text.len > start &&
                    (end = memchr(c->text.data + start, '\n', c->text.len - start));) {
        size_t n = (size_t)(end - (c->text.data + start));
        *end = 0;
        rc = on_line(arg, c->text.data + start, n, err);
        start += n + 1;
    }
    if (start) {
        memmove(c->text.data, c->text.data + start, c->text.len - start);
        c->text.len -= start;
    }
    return rc;
}

static void drop_old_errors(struct hn_buf *b)
{
    if (b->len <= KEPT_ERRORS)
        return;
    memmove(b->data, b->data + b->len - KEPT_ERRORS / 2, KEPT_ERRORS / 2);
    b->len = KEPT_ERRORS / 2;
}

/* The last line of its standard error that says anything, on one line. */
static void last_error(const struct hn_child *c, struct hn_buf *out)
{
    const char *p = hn_buf_str(&c->errors);
    size_t end = c->errors.len, start;
    while (end && (unsigned char)p[end - 1] <= ' ')
        end--;
    for (start = end; start && p[start - 1] != '\n' && p[start - 1] != '\r';)
        start--;
    hn_buf_add(out, p + start, end - start);
}

static int explain(const struct hn_child *c, int status, struct hone_err *err)
{
    struct hn_buf why = {0}, last = {0};
    last_error(c, &last);
    if (WIFSIGNALED(status))
        hn_buf_printf(&why, "was killed by signal %d%s", WTERMSIG(status),
                      WTERMSIG(status) == SIGKILL ? ", as the system does when memory runs out"
                                                  : "");
    else if (WEXITSTATUS(status) == NO_SUCH_PROGRAM)
        hn_buf_add_str(&why, "could not be run");
    else
        hn_buf_printf(&why, "failed with status %d", WEXITSTATUS(status));
    if (last.len)
        hn_buf_printf(&why, "%s: %s", WIFSIGNALED(status) ? "; its last words" : "",
                      hn_buf_str(&last));
    int rc = hn_fail(err, HONE_FAILED, "%s %s", c->name, hn_buf_str(&why));
    hn_buf_release(&why);
    hn_buf_release(&last);
    return rc;
}

/* Read until both pipes are closed. */
static int follow(struct hn_child *c, double timeout, hn_child_line_fn *on_line, void *arg,
                  struct hone_err *err)
{
    double start = hn_now();
    while (c->out >= 0 || c->err >= 0) {
        struct pollfd fds[2] = {{c->out, POLLIN, 0}, {c->err, POLLIN, 0}};
        if (poll(fds, 2, TICK_MS) > 0) {
            if (fds[0].revents && !gather(c->out, &c->text))
                close_fd(&c->out);
            if (fds[1].revents && !gather(c->err, &c->errors))
                close_fd(&c->err);
            drop_old_errors(&c->errors);
        }
        if (c->text.failed || c->errors.failed)
            return hn_fail_memory(err, "reading what another process says");
        int rc = take_lines(c, on_line, arg, err);
        if (rc)
            return rc;
        if (hn_cli_interrupted())
            return hn_fail(err, HONE_INTERRUPTED, "stopped while %s was running", c->name);
        if (timeout > 0 && hn_now() - start > timeout)
            return hn_fail(err, HONE_FAILED, "%s had not ended after %g seconds", c->name, timeout);
    }
    return 0;
}

int hn_child_wait(struct hn_child *c, double timeout, hn_child_line_fn *on_line, void *arg,
                  struct hone_err *err)
{
    int status = 0, rc = follow(c, timeout, on_line, arg, err);
    if (rc)
        kill(c->pid, SIGKILL);
    while (waitpid(c->pid, &status, 0) < 0 && errno == EINTR)
        continue;
    if (!rc && status != 0)
        rc = explain(c, status, err);
    release(c);
    return rc;
}

/* -------------------------------------------------------------------------------------------- */

static char *temp_path(const char *name)
{
    const char *dir = getenv("TMPDIR");
    return hn_path_join(dir && *dir ? dir : "/tmp", name);
}

int hn_temp_file(struct hone_err *err)
{
    char *path = temp_path("hone-XXXXXX");
    int fd = path ? mkstemp(path) : -1;
    if (!path)
        (void)hn_fail_memory(err, "making a temporary file");
    else if (fd < 0)
        (void)hn_fail(err, HONE_FAILED, "cannot make a temporary file %s: %s", path,
                      strerror(errno));
    else
        unlink(path);
    hn_free(path);
    return fd;
}

void hn_fd_path(int fd, char out[32])
{
    snprintf(out, 32, "/dev/fd/%d", fd);
}

char *hn_temp_dir(struct hone_err *err)
{
    char *path = temp_path("hone-XXXXXX");
    if (!path)
        (void)hn_fail_memory(err, "making a temporary folder");
    else if (!mkdtemp(path)) {
        (void)hn_fail(err, HONE_FAILED, "cannot make a temporary folder %s: %s", path,
                      strerror(errno));
        hn_free(path);
        path = NULL;
    }
    return path;
}

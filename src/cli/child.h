/* Processes of hone's own: a measurement that needs a process to itself, or another program.  What
 * it prints is read line by line; the end of its standard error is kept, to be told when it fails.
 */
#ifndef HN_CLI_CHILD_H
#define HN_CLI_CHILD_H

#include "base/buf.h"
#include "base/err.h"

struct hn_child {
    int pid;
    int out, err;         /* the pipes from its standard output and error */
    struct hn_buf text;   /* output that is no whole line yet */
    struct hn_buf errors; /* the end of its standard error */
    const char *name;     /* of what runs, for messages; borrowed */
};

/* fn runs in a copy of this process (which must have no threads yet), and prints to stdout. */
typedef void hn_child_fn(void *arg);
HN_MUST_USE int hn_child_call(struct hn_child *c, const char *name, hn_child_fn *fn, void *arg,
                              struct hone_err *err);
/* Run a program, found as the shell finds it, with the descriptor input (which is read from its
 * start) as its standard input.  Descriptors that are open here stay open there. */
HN_MUST_USE int hn_child_run(struct hn_child *c, const char *name, char *const *argv, int input,
                             struct hone_err *err);

/* Called with every line of output; returns 0, or a code with err filled, and the child is killed.
 */
typedef int hn_child_line_fn(void *arg, const char *line, size_t n, struct hone_err *err);

/* Until it has ended.  Fails, in one sentence with the last line of its standard error, when it
 * exits with another status than 0, is killed, or has not ended after timeout seconds (0: never);
 * with HONE_INTERRUPTED after Ctrl-C.  Releases the child. */
HN_MUST_USE int hn_child_wait(struct hn_child *c, double timeout, hn_child_line_fn *on_line,
                              void *arg, struct hone_err *err);

/* A temporary file without a name, open for reading and writing; -1 with err filled.  Children find
 * it under hn_fd_path. */
HN_MUST_USE int hn_temp_file(struct hone_err *err);
void hn_fd_path(int fd, char out[32]);
/* A new folder in TMPDIR or /tmp; NULL with err filled. */
HN_MUST_USE char *hn_temp_dir(struct hone_err *err);

#endif

#include "cli/line_history.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/buf.h"
#include "base/file.h"

enum { MAX_FILE = 64 << 20 };

char *hn_history_path(const char *name)
{
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    struct hn_buf path = {0};
    /* The specification has relative paths ignored. */
    if (state && *state == '/')
        hn_buf_printf(&path, "%s/hone/%s", state, name);
    else if (home && *home == '/')
        hn_buf_printf(&path, "%s/.local/state/hone/%s", home, name);
    char *out = path.len ? hn_buf_take(&path) : NULL;
    hn_buf_release(&path);
    return out;
}

/* The file's folder and those above it, 0700 where they are made. */
static void make_folder(const char *path)
{
    struct hn_buf folder = {0};
    for (const char *p = strchr(path + 1, '/'); p; p = strchr(p + 1, '/')) {
        hn_buf_clear(&folder);
        hn_buf_add(&folder, path, (size_t)(p - path));
        if (folder.len)
            (void)mkdir(hn_buf_str(&folder), 0700);
    }
    hn_buf_release(&folder);
}

static void put(const char *path, int flags, const char *p, size_t n)
{
    int fd = open(path, flags | O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    if (fd < 0)
        return;
    ssize_t written = write(fd, p, n);
    (void)written; /* a full disk costs the history, nothing else */
    close(fd);
}

/* Where the last n lines of text begin. */
static const char *last_lines(const struct hn_buf *text, size_t n)
{
    const char *begin = hn_buf_str(text), *p = begin + text->len;
    if (p > begin && p[-1] == '\n')
        p--;
    for (; p > begin; p--)
        if (p[-1] == '\n' && --n == 0)
            break;
    return p;
}

void hn_history_read(const char *path, hn_history_fn *each, void *arg)
{
    struct hn_buf text = {0};
    size_t lines = 0;
    if (hn_file_size(path) < 0 || hn_file_read(path, MAX_FILE, &text, NULL) || !text.len) {
        hn_buf_release(&text);
        return;
    }
    for (size_t i = 0; i < text.len; i++)
        lines += text.data[i] == '\n';
    char *p = text.data + (last_lines(&text, HN_HISTORY_LINES) - hn_buf_str(&text));
    if (lines > 2 * HN_HISTORY_LINES)
        put(path, O_TRUNC, p, text.len - (size_t)(p - text.data));
    for (char *end; *p; p = end + 1) {
        end = strchr(p, '\n');
        if (!end)
            break; /* cut off while it was written */
        *end = 0;
        if (*p && each(arg, p))
            break;
    }
    hn_buf_release(&text);
}

void hn_history_add(const char *path, const char *line)
{
    struct hn_buf text = {0};
    make_folder(path);
    hn_buf_printf(&text, "%s\n", line);
    if (!text.failed)
        put(path, O_APPEND, text.data, text.len);
    hn_buf_release(&text);
}

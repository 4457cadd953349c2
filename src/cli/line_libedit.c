/* Line editing by libedit, with the user's ~/.editrc, in UTF-8 whatever the locale says. */
#include <errno.h>
#include <histedit.h>
#include <langinfo.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/line_edit.h"
#include "cli/line_history.h"

struct hn_line_edit {
    EditLine *el;
    History *history;
    const char *prompt; /* of the line that is being read */
    char *path;         /* of the history's file; NULL: none */
};

static char *prompt_of(EditLine *el)
{
    struct hn_line_edit *e = NULL;
    el_get(el, EL_CLIENTDATA, &e);
    return (char *)e->prompt; /* libedit does not write to it */
}

/* libedit reads characters of the locale, and a model reads UTF-8. */
static void use_utf8(void)
{
    if (setlocale(LC_CTYPE, "") && strcmp(nl_langinfo(CODESET), "UTF-8") == 0)
        return;
    if (!setlocale(LC_CTYPE, "C.UTF-8"))
        setlocale(LC_CTYPE, "en_US.UTF-8");
}

static int remember(void *arg, const char *line)
{
    struct hn_line_edit *e = arg;
    HistEvent event;
    return history(e->history, &event, H_ENTER, line) < 0 ? -1 : 0;
}

int hn_line_edit_open(struct hn_line_edit **out, const char *path, struct hone_err *err)
{
    HistEvent event;
    struct hn_line_edit *e = hn_calloc(1, sizeof *e);
    *out = NULL;
    if (!e)
        return hn_fail_memory(err, "reading lines");
    use_utf8();
    e->el = el_init("hone", stdin, stdout, stderr);
    e->history = history_init();
    e->path = path ? hn_dup(path, strlen(path)) : NULL;
    if (!e->el || !e->history || (path && !e->path)) {
        hn_line_edit_close(&e);
        return hn_fail_memory(err, "reading lines");
    }
    history(e->history, &event, H_SETSIZE, HN_HISTORY_LINES);
    history(e->history, &event, H_SETUNIQUE, 1);
    el_set(e->el, EL_CLIENTDATA, e);
    el_set(e->el, EL_PROMPT_ESC, prompt_of, '\1');
    el_set(e->el, EL_SIGNAL, 1);
    el_set(e->el, EL_EDITOR, "emacs");
    el_set(e->el, EL_HIST, history, e->history);
    el_set(e->el, EL_BIND, "^R", "em-inc-search-prev", NULL);
    el_source(e->el, NULL);
    if (e->path)
        hn_history_read(e->path, remember, e);
    *out = e;
    return 0;
}

void hn_line_edit_close(struct hn_line_edit **e)
{
    if (!*e)
        return;
    if ((*e)->el)
        el_end((*e)->el);
    if ((*e)->history)
        history_end((*e)->history);
    hn_free((*e)->path);
    hn_free(*e);
    *e = NULL;
}

int hn_line_edit_read(struct hn_line_edit *e, const char *prompt, struct hn_buf *text,
                      struct hone_err *err)
{
    int n = 0;
    e->prompt = prompt;
    errno = 0;
    const char *line = el_gets(e->el, &n);
    if (!line && hn_cli_interrupted()) {
        hn_cli_forget_interrupts();
        putchar('\n');
        return HONE_INTERRUPTED;
    }
    if (!line && n < 0 && errno && errno != EIO)
        return hn_fail(err, HONE_FAILED, "the terminal cannot be read: %s", strerror(errno));
    if (!line || n <= 0)
        return 0;
    size_t len = (size_t)n;
    while (len && (line[len - 1] == '\n' || line[len - 1] == '\r'))
        len--;
    hn_buf_add(text, line, len);
    if (text->failed)
        return hn_fail_memory(err, "reading a line");
    if (strspn(hn_buf_str(text), " \t") < text->len) {
        remember(e, hn_buf_str(text));
        if (e->path)
            hn_history_add(e->path, hn_buf_str(text));
    }
    return 1;
}

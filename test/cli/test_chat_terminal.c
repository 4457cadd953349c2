/* hone chat at a terminal: a pseudo-terminal types, presses Ctrl-C and Ctrl-D, and reads what
 * comes. With line editing (TERM=xterm, where libedit was there) and without (TERM=dumb). */
#define _XOPEN_SOURCE 700
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PATIENCE_MS = 30000 };

struct terminal {
    int fd;
    pid_t pid;
    char home[64];
    char seen[1 << 18];
    size_t n, from; /* bytes seen; where the next expectation begins */
};

static void be_child(int slave, const char *home, const char *term)
{
    char hone[1024], model[1024];
    const char *build = getenv("HN_BUILD");
    setsid();
    ioctl(slave, TIOCSCTTY, 0);
    for (int i = 0; i < 3; i++)
        dup2(slave, i);
    setenv("TERM", term, 1);
    setenv("HOME", home, 1);
    setenv("LC_ALL", "C", 1); /* UTF-8 is typed all the same */
    setenv("NO_COLOR", "1", 1);
    unsetenv("XDG_STATE_HOME");
    snprintf(hone, sizeof hone, "%s/hone", build ? build : HN_TEST_DIR "/../build");
    snprintf(model, sizeof model, "%s/golden/llama-tied", HN_TEST_DIR);
    execl(hone, "hone", "chat", model, "--chat-template", "chatml", "--max-tokens", "20000",
          "--max-kv-size", "30000", (char *)NULL);
    perror(hone);
    _exit(127);
}

static void begin(struct terminal *t, const char *term)
{
    memset(t, 0, sizeof *t);
    snprintf(t->home, sizeof t->home, "/tmp/hone-chat-XXXXXX");
    assert_non_null(mkdtemp(t->home));
    t->fd = posix_openpt(O_RDWR | O_NOCTTY);
    assert_true(t->fd >= 0);
    assert_int_equal(grantpt(t->fd), 0);
    assert_int_equal(unlockpt(t->fd), 0);
    const char *name = ptsname(t->fd);
    int slave = open(name, O_RDWR | O_NOCTTY);
    assert_true(slave >= 0);
    t->pid = fork();
    assert_true(t->pid >= 0);
    if (t->pid == 0)
        be_child(slave, t->home, term);
    close(slave);
}

/* Wait until text comes, behind all that was expected before. */
static void expect(struct terminal *t, const char *text)
{
    struct pollfd p = {.fd = t->fd, .events = POLLIN};
    for (;;) {
        char *at = strstr(t->seen + t->from, text);
        if (at) {
            t->from = (size_t)(at - t->seen) + strlen(text);
            return;
        }
        ssize_t got = -1;
        if (t->n + 1 < sizeof t->seen && poll(&p, 1, PATIENCE_MS) > 0)
            got = read(t->fd, t->seen + t->n, sizeof t->seen - 1 - t->n);
        if (got <= 0) {
            kill(t->pid, SIGKILL);
            fail_msg("\"%s\" never came; the end of what did: …%s", text,
                     t->seen + (t->n > 600 ? t->n - 600 : 0));
        }
        for (ssize_t i = 0; i < got; i++, t->n++) /* a NUL would end the search */
            if (!t->seen[t->n])
                t->seen[t->n] = ' ';
        t->seen[t->n] = 0;
    }
}

static void type(struct terminal *t, const char *keys)
{
    assert_int_equal(write(t->fd, keys, strlen(keys)), strlen(keys));
}

static void end(struct terminal *t, int status)
{
    char drop[4096];
    int got;
    while (read(t->fd, drop, sizeof drop) > 0) {
    }
    assert_int_equal(waitpid(t->pid, &got, 0), t->pid);
    close(t->fd);
    assert_true(WIFEXITED(got));
    assert_int_equal(WEXITSTATUS(got), status);
}

static void read_file(const char *home, const char *name, char *out, size_t size, mode_t *mode)
{
    char path[256];
    struct stat st;
    snprintf(path, sizeof path, "%s/%s", home, name);
    FILE *f = fopen(path, "r");
    if (!f)
        fail_msg("there is no %s", path);
    out[fread(out, 1, size - 1, f)] = 0;
    assert_int_equal(fstat(fileno(f), &st), 0);
    *mode = st.st_mode & 0777;
    fclose(f);
}

static void forget(const struct terminal *t)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", t->home);
    assert_int_equal(system(command), 0);
}

/* What both have: Ctrl-C ends an answer and keeps it, at the prompt it clears the line; Ctrl-D ends
 * the program. */
static void talk(struct terminal *t)
{
    expect(t, "30000 tokens at most");
    expect(t, "made for 256 tokens");
    expect(t, "> ");
    type(t, "row\n");
    expect(t, "IIII"); /* the answer of this model goes on and on */
    type(t, "\3");
    expect(t, "(stopped; the answer stays as far as it goes)");
    expect(t, "> ");
    type(t, "/rese");
    expect(t, "/rese");
    poll(NULL, 0, 100); /* libedit has echoed it, and is about to wait for more */
    type(t, "\3");
    expect(t, "> ");
    type(t, "/info\n");
    expect(t, "(2 messages, ");
    expect(t, "> ");
    type(t, "/undo now\n");
    expect(t, "hone: /undo takes nothing after it");
    expect(t, "> ");
    type(t, "/save ~/talk.jsonl\n");
    expect(t, "(2 messages added to ~/talk.jsonl)");
    expect(t, "> ");
}

static void check_record(const struct terminal *t)
{
    char text[1 << 16];
    mode_t mode;
    read_file(t->home, "talk.jsonl", text, sizeof text, &mode);
    const char *begin = "{\"messages\": [{\"role\": \"user\", \"content\": \"row\"}, "
                        "{\"role\": \"assistant\", \"content\": \"IIII";
    assert_memory_equal(text, begin, strlen(begin));
    assert_string_equal(text + strlen(text) - 5, "\"}]}\n");
}

static void without_line_editing(void **state)
{
    (void)state;
    static struct terminal t;
    begin(&t, "dumb");
    talk(&t);
    type(&t, "\4");
    end(&t, 0);
    check_record(&t);
    assert_null(strstr(t.seen, "\33")); /* a dumb terminal gets no escape sequence */
    forget(&t);
}

static void with_line_editing(void **state)
{
    (void)state;
    static struct terminal t;
    char text[4096];
    mode_t mode;
    if (!HN_HAS_LIBEDIT)
        skip();
    begin(&t, "xterm");
    talk(&t);
    /* Up, twice: the line before the last; then the end is taken back. */
    type(&t, "\33[A\33[A\b\b\b\303\251\b\b\n");
    expect(&t, "taken back; 0 are left");
    expect(&t, "> ");
    type(&t, "/q\n");
    end(&t, 0);
    check_record(&t);
    read_file(t.home, ".local/state/hone/chat_history", text, sizeof text, &mode);
    assert_string_equal(text, "row\n/info\n/undo now\n/save ~/talk.jsonl\n/undo\n/q\n");
    assert_int_equal(mode, 0600);
    forget(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_line_editing),
        cmocka_unit_test(with_line_editing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

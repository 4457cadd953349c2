/* hone migrate at a terminal: a list where the table is wider than the window, the table where it
 * is not. */
#define _XOPEN_SOURCE 700
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

static void be_child(int slave)
{
    char hone[1024], source[1024];
    const char *build = getenv("HN_BUILD");
    setsid();
    ioctl(slave, TIOCSCTTY, 0);
    for (int i = 0; i < 3; i++)
        dup2(slave, i);
    setenv("NO_COLOR", "1", 1);
    snprintf(hone, sizeof hone, "%s/hone", build ? build : HN_TEST_DIR "/../build");
    snprintf(source, sizeof source, "%s/migrate/in/unsloth.py", HN_TEST_DIR);
    execl(hone, "hone", "migrate", source, (char *)NULL);
    perror(hone);
    _exit(127);
}

/* All that it prints into a window of so many columns. */
static void see(unsigned short columns, char *text, size_t size)
{
    const struct winsize window = {.ws_row = 40, .ws_col = columns};
    int fd = posix_openpt(O_RDWR | O_NOCTTY), status;
    size_t n = 0;
    assert_true(fd >= 0 && grantpt(fd) == 0 && unlockpt(fd) == 0);
    int slave = open(ptsname(fd), O_RDWR | O_NOCTTY);
    assert_true(slave >= 0);
    assert_int_equal(ioctl(slave, TIOCSWINSZ, &window), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        be_child(slave);
    close(slave);
    for (ssize_t got = 1; got > 0 && n + 1 < size; n += got > 0 ? (size_t)got : 0)
        got = read(fd, text + n, size - 1 - n);
    text[n] = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    close(fd);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void a_narrow_terminal_gets_a_list(void **state)
{
    static char text[1 << 18];
    (void)state;
    see(80, text, sizeof text);
    assert_non_null(strstr(text,
                           "  line 12: FastLanguageModel.from_pretrained.load_in_4bit = True\r\n"
                           "    → load_in_4bit: true\r\n"
                           "      bitsandbytes' own codes, made while the model is loaded; "
                           "files that are\r\n"
                           "      quantised are used as they are\r\n"));
    assert_non_null(strstr(text, "  TrainingArguments.max_grad_norm (default)\r\n"
                                 "    → max_grad_norm: 1.0\r\n"));
    const char *end = strstr(text, "\r\nPython script: ");
    assert_non_null(end);
    size_t column = 0;
    for (const char *c = text; c < end; c++) { /* bytes: "→" has two more than columns */
        column = *c == '\n' ? 0 : column + 1;
        assert_true(column <= 80 + 2 + 1);
    }
}

static void a_wide_one_gets_the_table(void **state)
{
    static char text[1 << 18];
    (void)state;
    see(400, text, sizeof text);
    assert_non_null(strstr(text, "  where    original "));
    assert_null(strstr(text, "→"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_narrow_terminal_gets_a_list),
        cmocka_unit_test(a_wide_one_gets_the_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

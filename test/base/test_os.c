/* os.h: the peak of memory is this program's own, also when a larger one started it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/os.h"

extern char **environ;

enum { LARGE = 400 << 20 };

/* Run as a child: print the peak. */
static int print_peak(void)
{
    printf("%llu\n", (unsigned long long)hn_peak_rss());
    return 0;
}

static void peak_is_of_this_program(void **state)
{
    (void)state;
    char self[1024], text[64] = "";
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n < 0)
        skip();
    self[n] = 0;
    char *large = hn_calloc(LARGE, 1);
    assert_non_null(large);
    memset(large, 1, LARGE);
    assert_true(hn_peak_rss() > LARGE);
    int fds[2], status;
    pid_t pid;
    posix_spawn_file_actions_t actions;
    char peak[] = "peak", *args[] = {self, peak, NULL};
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(posix_spawn_file_actions_init(&actions), 0);
    assert_int_equal(posix_spawn_file_actions_adddup2(&actions, fds[1], 1), 0);
    assert_int_equal(posix_spawn(&pid, self, &actions, NULL, args, environ), 0);
    close(fds[1]);
    assert_true(read(fds[0], text, sizeof text - 1) > 0);
    close(fds[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    posix_spawn_file_actions_destroy(&actions);
    hn_free(large);
    unsigned long long got = strtoull(text, NULL, 10);
    if (got == 0 || got > LARGE / 2)
        fail_msg("the child reports a peak of %llu bytes; its parent held %d", got, LARGE);
}

static void memory_is_there(void **state)
{
    (void)state;
    uint64_t anonymous, mapped;
    hn_resident(&anonymous, &mapped);
    assert_true(anonymous > 0 && anonymous < hn_memory_total());
    assert_true(hn_memory_available() > 0 && hn_memory_available() <= hn_memory_total());
    assert_true(hn_process_age() >= 0 && hn_process_age() < 1e4);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(peak_is_of_this_program),
        cmocka_unit_test(memory_is_there),
    };
    if (argc > 1 && strcmp(argv[1], "peak") == 0)
        return print_peak();
    return cmocka_run_group_tests(tests, NULL, NULL);
}

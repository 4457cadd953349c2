/* out_place.h: a folder that replaces one takes its name at once, so that whoever is killed
 * meanwhile leaves a whole output under it, and beside it nothing that the next writer does not
 * remove. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "convert/out_place.h"

enum { TIMES = 50 };

static char folder[] = "/tmp/hone-place-XXXXXX", path[64];

static void write_one(void)
{
    struct hn_out_place p;
    struct hone_err err;
    if (hn_out_place_open(&p, path, true, "config.json", "/nowhere", true, &err))
        fail_msg("%s", err.message);
    char *mark = hn_path_join(p.temp, "config.json");
    assert_int_equal(hn_file_write(mark, "{}", 2, &err), 0);
    hn_free(mark);
    if (hn_out_place_commit(&p, &err))
        fail_msg("%s", err.message);
    hn_out_place_close(&p);
}

static void the_name_is_never_missing(void **state)
{
    (void)state;
    struct stat st;
    char **names;
    size_t n;
    int status, missing = 0;
#ifndef RENAME_EXCHANGE
    skip();
#endif
    snprintf(path, sizeof path, "%s/out", folder);
    write_one();
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        for (int i = 0; i < TIMES; i++)
            write_one();
        _exit(0);
    }
    while (waitpid(child, &status, WNOHANG) == 0)
        missing += stat(path, &st) != 0;
    assert_int_equal(status, 0);
    assert_int_equal(missing, 0);
    assert_int_equal(hn_dir_list(folder, &names, &n, NULL), 0);
    assert_int_equal(n, 1);
    hn_free(names);
}

static int setup(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    return hn_dir_remove(folder, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_name_is_never_missing)};
    return cmocka_run_group_tests(tests, setup, teardown);
}

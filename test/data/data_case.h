/* What the tests of src/data share: a folder of their own, files in it, and whole files as text. */
#ifndef HN_TEST_DATA_CASE_H
#define HN_TEST_DATA_CASE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "hone/data.h"

static char data_dir[64];

/* A fresh folder, and the working directory, so that messages name files shortly. */
static inline int data_setup(void **state)
{
    (void)state;
    snprintf(data_dir, sizeof data_dir, "/tmp/hone-data-XXXXXX");
    return mkdtemp(data_dir) && chdir(data_dir) == 0 ? 0 : -1;
}

static inline int data_teardown(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", data_dir);
    return chdir("/") == 0 && system(command) == 0 ? 0 : -1;
}

static inline void write_bytes(const char *path, const char *p, size_t n)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(p, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

static inline void write_text(const char *path, const char *text)
{
    write_bytes(path, text, strlen(text));
}

static inline void read_text(const char *path, struct hn_buf *out)
{
    struct hone_err err = {0};
    hn_buf_clear(out);
    if (hn_file_read(path, 1 << 26, out, &err))
        fail_msg("%s", err.message);
}

static inline void check_file(const char *path, const char *want)
{
    struct hn_buf text = {0};
    read_text(path, &text);
    const char *got = hn_buf_str(&text), *g = got, *w = want;
    int line = 1;
    for (; *g && *g == *w; g++, w++)
        line += *g == '\n';
    if (*g != *w) {
        while (g > got && g[-1] != '\n')
            g--, w--;
        fail_msg("%s, line %d is\n%.*s\nexpected\n%.*s", path, line, (int)strcspn(g, "\n"), g,
                 (int)strcspn(w, "\n"), w);
    }
    hn_buf_release(&text);
}

/* Entries of the working directory whose name is not one of those given (a NULL-ended list). */
static inline void check_only_files(const char *const *names)
{
    char **found;
    size_t n;
    struct hone_err err = {0};
    assert_int_equal(hn_dir_list(".", &found, &n, &err), 0);
    for (size_t i = 0; i < n; i++) {
        const char *const *name = names;
        while (*name && strcmp(*name, found[i]) != 0)
            name++;
        if (!*name)
            fail_msg("%s was left behind", found[i]);
    }
    hn_free(found);
}

#endif

/* For targets that open directories: the input, cut at each line "%%", becomes the files of one. */
#ifndef HN_TEST_FUZZ_FILES_H
#define HN_TEST_FUZZ_FILES_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/compiler.h"

static const char *fuzz_dir(void)
{
    static char dir[64];
    if (!dir[0]) {
        snprintf(dir, sizeof dir, "/dev/shm/hone-fuzz-%ld", (long)getpid());
        if (mkdir(dir, 0700) != 0)
            snprintf(dir, sizeof dir, ".");
    }
    return dir;
}

static const char *fuzz_path(const char *name)
{
    static char path[200];
    snprintf(path, sizeof path, "%s/%s", fuzz_dir(), name);
    return path;
}

static void fuzz_put(const char *name, const uint8_t *p, size_t n)
{
    FILE *f = fopen(fuzz_path(name), "wb");
    HN_ASSERT(f);
    HN_ASSERT(fwrite(p, 1, n, f) == n);
    fclose(f);
}

/* The bytes before the next separator; *p and *n become what follows it. */
static size_t fuzz_cut(const uint8_t **p, size_t *n, const uint8_t **part)
{
    static const char separator[] = "\n%%\n";
    *part = *p;
    for (size_t i = 0; i + 4 <= *n; i++) {
        if (memcmp(*p + i, separator, 4) == 0) {
            *p += i + 4;
            *n -= i + 4;
            return i;
        }
    }
    size_t all = *n;
    *p += all;
    *n = 0;
    return all;
}

/* Each name gets the next part of the input; a name for which none is left is removed. */
static inline void fuzz_spread(const uint8_t *data, size_t size, const char *const *names,
                               size_t n_names)
{
    bool any = true;
    for (size_t i = 0; i < n_names; i++) {
        const uint8_t *part;
        if (any) {
            size_t n = fuzz_cut(&data, &size, &part);
            fuzz_put(names[i], part, n);
        } else {
            unlink(fuzz_path(names[i]));
        }
        any = size > 0;
    }
}

#endif

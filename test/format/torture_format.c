/* Fails the Nth allocation for every N, while models and adapters are opened, read and written:
 *     torture_format SCRATCH_DIR PATH...        linked with --wrap=calloc --wrap=realloc
 * Each failure must come back as a sentence, leak nothing and leave the next attempt working.
 * Prints "N passed, N failed". */
#include <stdio.h>
#include <stdlib.h>

#include "format/adapter.h"
#include "format/bundle.h"

void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);

static long left = -1; /* allocations until one fails; -1: none does */
static bool failed;

static bool fails(void)
{
    if (left < 0)
        return false;
    if (left-- > 0)
        return false;
    failed = true;
    return true;
}

void *__wrap_calloc(size_t n, size_t size)
{
    return fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t size)
{
    return fails() ? NULL : __real_realloc(p, size);
}

static int open_model(const char *path, struct hone_err *err)
{
    struct hn_bundle *b = NULL;
    int rc = hn_bundle_open(&b, path, err);
    HN_ASSERT((rc == 0) == (b != NULL));
    hn_bundle_close(&b);
    return rc;
}

static int copy_adapter(const char *path, const char *scratch, struct hone_err *err)
{
    struct hn_adapter_file f;
    int rc = hn_adapter_read(&f, path, err);
    if (!rc) {
        struct hn_adapter_spec spec = {.modules = f.modules,
                                       .n = f.n,
                                       .base_model = f.base_model,
                                       .alpha = f.alpha,
                                       .dropout = f.dropout,
                                       .use_rslora = f.use_rslora,
                                       .model_layers = 2,
                                       .config = f.config};
        rc = hn_adapter_write(scratch, &spec, err);
    }
    hn_adapter_release(&f);
    return rc;
}

/* True when every failure was reported, and the run without one succeeded. */
static bool torture(const char *path, const char *scratch)
{
    bool adapter = hn_adapter_is_dir(path);
    for (long n = 0;; n++) {
        struct hone_err err = {0};
        left = n;
        failed = false;
        int rc = adapter ? copy_adapter(path, scratch, &err) : open_model(path, &err);
        left = -1;
        if (rc && (rc != HONE_NO_MEMORY || !err.message[0])) {
            printf("%s, allocation %ld: code %d, \"%s\"\n", path, n, rc, err.message);
            return false;
        }
        if (!failed) {
            printf("%s: %ld allocations\n", path, n);
            return rc == 0;
        }
    }
}

int main(int argc, char **argv)
{
    int n_passed = 0, n_failed = 0;
    for (int i = 2; i < argc; i++)
        *(torture(argv[i], argv[1]) ? &n_passed : &n_failed) += 1;
    printf("%d passed, %d failed\n", n_passed, n_failed);
    return n_failed != 0;
}

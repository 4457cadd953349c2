/* Counts the program's allocations, and fails the Nth, or all from it on, by standing in for the C
 * library's own functions.  Include it in one file of a test program; with sanitizers (which stand
 * in themselves) the hook does nothing, and alloc_hook_works says so. */
#ifndef HN_TEST_ALLOC_HOOK_H
#define HN_TEST_ALLOC_HOOK_H

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

static atomic_long alloc_count, alloc_fail_at; /* fail_at 0: never */
static atomic_bool alloc_fail_on;              /* and the ones after it too */

#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__)

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t size);
void *__libc_memalign(size_t align, size_t size);
void *malloc(size_t size);
void *calloc(size_t n, size_t size);
void *realloc(void *p, size_t size);
void *aligned_alloc(size_t align, size_t size);

static bool alloc_refused(void)
{
    long n = atomic_fetch_add(&alloc_count, 1) + 1;
    long at = atomic_load(&alloc_fail_at);
    if (at == 0 || n < at || (n > at && !atomic_load(&alloc_fail_on)))
        return false;
    errno = ENOMEM;
    return true;
}

void *malloc(size_t size)
{
    return alloc_refused() ? NULL : __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
    return alloc_refused() ? NULL : __libc_calloc(n, size);
}

void *realloc(void *p, size_t size)
{
    return alloc_refused() ? NULL : __libc_realloc(p, size);
}

void *aligned_alloc(size_t align, size_t size)
{
    return alloc_refused() ? NULL : __libc_memalign(align, size);
}

static inline bool alloc_hook_works(void)
{
    return true;
}

#else

static inline bool alloc_hook_works(void)
{
    return false;
}

#endif
#endif

/* arena.h: zeroed and aligned memory, the limit, and what a cleared arena keeps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "base/arena.h"

static unsigned char *take(struct hn_arena *a, size_t n)
{
    unsigned char *p = hn_arena_alloc(a, n, 1);
    assert_non_null(p);
    assert_int_equal((uintptr_t)p % 16, 0);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(p[i], 0);
    memset(p, 0xee, n);
    return p;
}

static void memory_is_zeroed_after_clearing_too(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 17, 100, 65536, 40000, 200000, 3, 65535, 0};
    struct hn_arena a;
    hn_arena_init(&a, 0);
    for (int round = 0; round < 5; round++) {
        unsigned char *first = NULL;
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            unsigned char *p =
                take(&a, sizes[(i + (size_t)round) % (sizeof sizes / sizeof *sizes)]);
            assert_true(p != first);
            first = first ? first : p;
        }
        hn_arena_clear(&a);
        assert_int_equal(a.used, 0);
    }
    hn_arena_clear(&a);
    hn_arena_release(&a);
    hn_arena_clear(&a);
}

static void the_limit_sticks_until_it_is_cleared(void **state)
{
    (void)state;
    struct hn_arena a;
    hn_arena_init(&a, 100);
    take(&a, 60);
    assert_null(hn_arena_alloc(&a, 60, 1));
    assert_true(a.failed);
    assert_null(hn_arena_alloc(&a, 1, 1));
    hn_arena_clear(&a);
    take(&a, 90);
    assert_null(hn_arena_alloc(&a, SIZE_MAX / 2, 4));
    hn_arena_release(&a);
    take(&a, 90);
    hn_arena_release(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_zeroed_after_clearing_too),
        cmocka_unit_test(the_limit_sticks_until_it_is_cleared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

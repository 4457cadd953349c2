/* pool.h: every thread runs every job once, barriers hold everyone, and splits cover all items. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/pool.h"

struct job {
    struct hn_pool *pool;
    atomic_int ran[8], before;
    atomic_bool early;
};

static void once_each(void *arg, int thread, int n_threads)
{
    struct job *j = arg;
    atomic_fetch_add(&j->ran[thread], 1);
    atomic_fetch_add(&j->before, 1);
    hn_pool_barrier(j->pool);
    if (atomic_load(&j->before) != n_threads)
        atomic_store(&j->early, true);
}

static void every_thread_runs_every_job(void **state)
{
    (void)state;
    for (int n = 1; n <= 8; n += n < 4 ? 1 : 4) {
        struct hone_err err;
        struct job j = {0};
        assert_int_equal(hn_pool_open(&j.pool, n, &err), 0);
        assert_int_equal(hn_pool_size(j.pool), n);
        for (int k = 0; k < 50; k++) {
            atomic_store(&j.before, 0);
            hn_pool_run(j.pool, once_each, &j);
            if (k % 20 == 19)
                usleep(2000); /* long enough that the workers go to sleep */
        }
        for (int t = 0; t < 8; t++)
            assert_int_equal(atomic_load(&j.ran[t]), t < n ? 50 : 0);
        assert_false(atomic_load(&j.early));
        hn_pool_close(&j.pool);
        assert_null(j.pool);
    }
}

static void splits_cover_everything(void **state)
{
    (void)state;
    for (int64_t n = 0; n < 70; n++) {
        for (int threads = 1; threads < 6; threads++) {
            int64_t at = 0;
            for (int t = 0; t < threads; t++) {
                int64_t begin, end;
                hn_pool_split(n, 8, t, threads, &begin, &end);
                assert_int_equal(begin, at);
                assert_true(begin % 8 == 0 || begin == n);
                at = end;
            }
            assert_int_equal(at, n);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_thread_runs_every_job),
        cmocka_unit_test(splits_cover_everything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* pool.h: every part of every job is done once, by a thread that has its number to itself, whoever
 * comes late; a thread that is held up holds up its part alone; splits cover all items. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "base/pool.h"

enum { PARTS_MAX = 2100 };

struct job {
    int64_t n;
    atomic_int done[PARTS_MAX], busy[HN_POOL_THREADS_MAX], n_done, n_wrong;
};

static void once_each(void *arg, struct hn_parts *parts)
{
    struct job *j = arg;
    int others = atomic_fetch_add(&j->busy[parts->thread], 1);
    while (hn_parts_next(parts)) {
        if (parts->n != j->n || others)
            atomic_fetch_add(&j->n_wrong, 1);
        atomic_fetch_add(&j->done[parts->at], 1);
        atomic_fetch_add(&j->n_done, 1);
    }
    atomic_fetch_sub(&j->busy[parts->thread], 1);
}

/* Jobs of every size, one after the other without a pause, and some after one in which the threads
 * fall asleep. */
static void every_part_is_done_once(void **state)
{
    static const int threads[] = {1, 2, 3, 8, 40, HN_POOL_THREADS_MAX};
    (void)state;
    for (size_t i = 0; i < HN_COUNT(threads); i++) {
        struct hone_err err;
        struct hn_pool *pool = NULL;
        static struct job j;
        assert_int_equal(hn_pool_open(&pool, threads[i], &err), 0);
        assert_int_equal(hn_pool_size(pool), threads[i]);
        for (int k = 0; k < 200; k++) {
            memset(&j, 0, sizeof j);
            j.n = k * k * k % (k % 10 ? 20 : PARTS_MAX);
            hn_pool_run(pool, once_each, &j, j.n);
            assert_int_equal(atomic_load(&j.n_done), j.n);
            assert_int_equal(atomic_load(&j.n_wrong), 0);
            for (int64_t p = 0; p < j.n; p++)
                assert_int_equal(atomic_load(&j.done[p]), 1);
            if (k % 50 == 49)
                usleep(2000);
        }
        hn_pool_close(&pool);
        assert_null(pool);
    }
}

/* The thread that has part 0 does not come back from it before all others are done. */
static void one_is_held_up(void *arg, struct hn_parts *parts)
{
    struct job *j = arg;
    while (hn_parts_next(parts)) {
        for (int k = 0; parts->at == 0 && atomic_load(&j->n_done) < parts->n - 1; k++) {
            if (k == 20000) {
                atomic_fetch_add(&j->n_wrong, 1);
                break;
            }
            usleep(1000);
        }
        atomic_fetch_add(&j->n_done, 1);
    }
}

static void a_late_thread_holds_up_one_part(void **state)
{
    struct hone_err err;
    struct hn_pool *pool = NULL;
    (void)state;
    assert_int_equal(hn_pool_open(&pool, 3, &err), 0);
    for (int k = 0; k < 20; k++) {
        struct job j = {0};
        hn_pool_run(pool, one_is_held_up, &j, 12);
        assert_int_equal(atomic_load(&j.n_done), 12);
        assert_int_equal(atomic_load(&j.n_wrong), 0);
    }
    hn_pool_close(&pool);
}

static void a_job_is_cut_for_its_threads(void **state)
{
    struct hone_err err;
    (void)state;
    for (int n = 1; n <= 4; n++) {
        struct hn_pool *pool = NULL;
        assert_int_equal(hn_pool_open(&pool, n, &err), 0);
        assert_int_equal(hn_pool_cut(pool, 0), 0);
        assert_int_equal(hn_pool_cut(pool, 1), 1);
        assert_true(n == 1 ? hn_pool_cut(pool, 1000) == 1 : hn_pool_cut(pool, 1000) >= 2 * n);
        hn_pool_close(&pool);
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

static void sleep_a_while(void *arg, struct hn_parts *parts)
{
    (void)arg;
    while (hn_parts_next(parts))
        usleep(3000);
}

/* Jobs that are shared count while somebody watches, and nothing that one thread does alone. */
static void shared_work_is_watched(void **state)
{
    struct hone_err err;
    struct hn_pool *pool = NULL;
    double seconds = 0, before;
    (void)state;
    assert_int_equal(hn_pool_open(&pool, 2, &err), 0);
    hn_pool_run(pool, sleep_a_while, NULL, 2);
    hn_pool_watch(pool, &seconds);
    hn_pool_run(pool, sleep_a_while, NULL, 1);
    assert_true(seconds == 0);
    hn_pool_run(pool, sleep_a_while, NULL, 2);
    assert_true(seconds >= 3e-3);
    before = seconds;
    hn_pool_watch(pool, NULL);
    hn_pool_run(pool, sleep_a_while, NULL, 2);
    assert_true(seconds == before);
    hn_pool_close(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_part_is_done_once),
        cmocka_unit_test(a_late_thread_holds_up_one_part),
        cmocka_unit_test(a_job_is_cut_for_its_threads),
        cmocka_unit_test(splits_cover_everything),
        cmocka_unit_test(shared_work_is_watched),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

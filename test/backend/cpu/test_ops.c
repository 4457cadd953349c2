/* The CPU's operations against the double-precision oracle: every level this machine has, one
 * thread and several. */
#include "backend/train_checks.h"

#include "backend/cpu/cpu.h"

static void run(const char *level, int n_threads)
{
    struct hone_err err = {0};
    struct hn_device *dev = NULL;
    struct hn_device_options o = {.n_threads = n_threads, .level = level};
    if (hn_backend_cpu.open(&o, &dev, &err))
        fail_msg("open: %s", err.message);
    op_check_all(&hn_backend_cpu, dev, 2026);
    train_check_all(&hn_backend_cpu, dev, 2026);
    hn_backend_cpu.close(&dev);
    assert_null(dev);
}

static void every_level(void **state)
{
    (void)state;
    const char *only = getenv("HONE_TEST_LEVEL");
    if (only) {
        run(only, 3);
        return;
    }
    run("c", 1);
    for (int level = HN_CPU_C + 1; level <= HN_CPU_AVX512; level++) /* AMX has no slots here */
        if (hn_cpu_level_available(level))
            run(hn_cpu_level_name(level), 3);
    static const int threads[] = {1, 2, 5};
    for (size_t i = 0; i < HN_COUNT(threads); i++)
        run(NULL, threads[i]);
}

static void levels_by_name(void **state)
{
    (void)state;
    struct hone_err err = {0};
    struct hn_device *dev = NULL;
    struct hn_device_options o = {.n_threads = 1, .level = "sse9"};
    assert_int_equal(hn_backend_cpu.open(&o, &dev, &err), HONE_USAGE);
    assert_string_equal(err.message,
                        "cpu level \"sse9\" is unknown; the levels are c, neon, neon_dot, "
                        "neon_i8mm, avx2, avx512, amx");
    assert_null(dev);
    for (int level = 0; level < HN_CPU_LEVEL_COUNT; level++) {
        o.level = hn_cpu_level_name(level);
        int rc = hn_backend_cpu.open(&o, &dev, &err);
        assert_int_equal(rc, hn_cpu_level_available(level) ? 0 : HONE_USAGE);
        if (rc == 0)
            assert_non_null(strstr(hn_backend_cpu.describe(dev), o.level));
        else
            assert_non_null(strstr(err.message, "this machine does not have it; choose one of c"));
        hn_backend_cpu.close(&dev);
    }
    assert_non_null(hn_backend_find("cpu"));
    assert_non_null(hn_backend_find("auto"));
    assert_null(hn_backend_find("cpuu"));
}

static void limits_are_measured(void **state)
{
    (void)state;
    struct hone_err err = {0};
    struct hn_device *dev = NULL;
    struct hn_device_options o = {.n_threads = 1};
    double bytes = 0, flops = 0;
    if (getenv("HONE_TEST_EMULATED"))
        skip(); /* an emulator's speed says nothing */
    assert_int_equal(hn_backend_cpu.open(&o, &dev, &err), 0);
    assert_int_equal(hn_backend_cpu.measure_limits(dev, &bytes, &flops, &err), 0);
    if (!(bytes > 1e8 && bytes < 1e12 && flops > 1e8 && flops < 1e12)) /* of one thread */
        fail_msg("measured %g bytes/s and %g operations/s", bytes, flops);
    hn_backend_cpu.close(&dev);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(levels_by_name),
        cmocka_unit_test(every_level),
        cmocka_unit_test(limits_are_measured),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

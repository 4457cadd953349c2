/* Out of memory at every allocation in turn: reading a command line and a config file, and locating
 * nothing worse than HONE_NO_MEMORY. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "alloc_hook.h"
#include "base/compiler.h"
#include "conf/config_file.h"
#include "conf/help.h"

static const char text[] = "model: m\ndata: d\ntarget_modules: [q_proj, \"*.v_proj\", o_proj]\n"
                           "lora_parameters: {rank: 8, scale: 2.0, dropout: 0.0}\n"
                           "optimizer_config:\n  adamw: {betas: [0.9, 0.98], eps: 1e-6}\n";

/* One whole pass; 0, or the code of the failure. */
static int pass(void)
{
    char *argv[] = {"--lora-dropout", "0.1", "--target-modules", "a,b", "--target-modules", "c"};
    struct hn_conf c;
    struct hone_err err = {0};
    struct hn_buf out = {0};
    int rc = hn_conf_init(&c, HN_TRAIN, (int)HN_COUNT(argv), argv, &err);
    if (!rc)
        rc = hn_config_parse(&c, "x.yaml", text, sizeof text - 1, &err);
    if (!rc) {
        hn_config_write(&c, &out);
        hn_help_command(&out, HN_TRAIN, 80);
        hn_conf_mlx_differences(&c, &out);
        if (out.failed)
            rc = HONE_NO_MEMORY;
        else
            assert_non_null(strstr(hn_buf_str(&out), "lora_scale: 2.0\n"));
    } else {
        assert_true(err.message[0] != 0);
    }
    hn_buf_release(&out);
    hn_conf_release(&c);
    return rc;
}

static void every_failed_allocation_is_survived(void **state)
{
    (void)state;
    if (!alloc_hook_works())
        skip();
    atomic_store(&alloc_count, 0);
    assert_int_equal(pass(), 0);
    long n = atomic_load(&alloc_count);
    assert_true(n > 20);
    for (long i = 1; i <= n; i++) {
        atomic_store(&alloc_count, 0);
        atomic_store(&alloc_fail_at, i);
        int rc = pass();
        atomic_store(&alloc_fail_at, 0);
        /* A sentence that names a choice is shortened rather than lost, so 0 is possible. */
        if (rc != 0 && rc != HONE_NO_MEMORY)
            fail_msg("allocation %ld of %ld failed: code %d", i, n, rc);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_failed_allocation_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

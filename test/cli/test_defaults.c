/* The option table and the library agree: what hone_*_defaults sets is what the table says, in
 * every field that has an option. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "conf/conf.h"
#include "conf/value.h"

static void check(enum hn_command_id command, const struct hn_settings *library, size_t begin,
                  size_t end)
{
    struct hn_conf c;
    struct hone_err err = {0};
    const struct hn_option *o;
    size_t n = 0;
    if (hn_conf_init(&c, command, 0, NULL, &err))
        fail_msg("%s", err.message);
    for (size_t i = 0; (o = hn_option_at(i)); i++) {
        if (!(o->commands & HN_BIT(command)) || o->type == HN_OPTION_FIXED || o->offset < begin ||
            o->offset >= end)
            continue;
        struct hn_buf a = {0}, b = {0};
        hn_value_get(o, &c.set, &a);
        hn_value_get(o, library, &b);
        if (strcmp(hn_buf_str(&a), hn_buf_str(&b)) != 0)
            fail_msg("hone %s --%s: the table says %s, the library %s", hn_commands[command].name,
                     o->name, hn_buf_str(&a), hn_buf_str(&b));
        hn_buf_release(&a);
        hn_buf_release(&b);
        n++;
    }
    assert_true(n > 2);
    hn_conf_release(&c);
}

#define PART(field)                                                                                \
    offsetof(struct hn_settings, field),                                                           \
        offsetof(struct hn_settings, field) + sizeof(((struct hn_settings *)0)->field)

static void the_library_has_the_defaults_of_the_table(void **state)
{
    (void)state;
    struct hn_settings s = {0};
    hone_train_defaults(&s.train);
    hone_generate_defaults(&s.generate);
    hone_prepare_defaults(&s.prepare);
    hone_test_defaults(&s.test);
    hone_bench_defaults(&s.bench);
    hone_compare_defaults(&s.compare);
    check(HN_TRAIN, &s, PART(train));
    check(HN_GENERATE, &s, PART(generate));
    check(HN_PREPARE, &s, PART(prepare));
    check(HN_TEST, &s, PART(test));
    check(HN_BENCH, &s, PART(bench));
    check(HN_COMPARE, &s, PART(compare));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_library_has_the_defaults_of_the_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

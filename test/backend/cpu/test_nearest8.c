/* The table of 8-bit codes against its definition, by a search in double: the code of a number is
 * that of the nearest of 65536 steps from -1 to 1, and the code of a step is the value nearest to
 * it. */
#include "backend/cpu/nearest8.h"
#include "backend/cpu/dynamic_map.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* after the above */
#include <cmocka.h>

static struct hn_nearest8 table;

/* How far x is from the nearest value of the map. */
static double distance(const float *map, double x)
{
    double least = INFINITY;
    for (int k = 0; k < 256; k++)
        least = fmin(least, fabs(x - (double)map[k]));
    return least;
}

/* Every step has the code of a value that is as near as any, but for float32's own rounding. */
static void every_step(void **state)
{
    const float *const maps[] = {hn_dynamic_map_signed, hn_dynamic_map_unsigned};
    (void)state;
    for (int m = 0; m < 2; m++) {
        hn_nearest8_make(&table, maps[m]);
        for (int step = 0; step < HN_NEAREST8_STEPS; step++) {
            double x = step / 32767.5 - 1, off = fabs(x - (double)maps[m][table.code[step]]);
            if (!(off <= distance(maps[m], x) + 1e-7))
                fail_msg("step %d has code %d, which is no value nearest to %.9g", step,
                         table.code[step], x);
        }
    }
}

/* A number takes the code of its step, from half a step below to half a step above. */
static void every_number(void **state)
{
    (void)state;
    hn_nearest8_make(&table, hn_dynamic_map_signed);
    for (int step = 1; step < HN_NEAREST8_STEPS - 1; step++)
        for (int part = -2; part <= 2; part++) {
            double x = (step + 0.24 * part) / 32767.5 - 1;
            if (hn_nearest8(&table, (float)x) != table.code[step])
                fail_msg("%.9g is given code %d; its step %d has %d", x,
                         hn_nearest8(&table, (float)x), step, table.code[step]);
        }
    assert_int_equal(hn_nearest8(&table, -2), 0);
    assert_int_equal(hn_nearest8(&table, NAN), 0);
    assert_int_equal(hn_nearest8(&table, 2), 255);
}

/* What bitsandbytes 0.50 makes of the smallest numbers. */
static void near_zero(void **state)
{
    (void)state;
    hn_nearest8_make(&table, hn_dynamic_map_signed);
    assert_int_equal(hn_nearest8(&table, 0), 131);
    hn_nearest8_make(&table, hn_dynamic_map_unsigned);
    assert_int_equal(hn_nearest8(&table, 0), 7);
    assert_int_equal(hn_nearest8(&table, 1e-10f), 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_step),
        cmocka_unit_test(every_number),
        cmocka_unit_test(near_zero),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

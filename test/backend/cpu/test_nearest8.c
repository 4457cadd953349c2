/* The index of nearest codes against the definition: a search for the first value that is not
 * below, and a comparison of its distance with the one before. */
#include "backend/cpu/nearest8.h"
#include "backend/cpu/dynamic_map.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* after the above */
#include <cmocka.h>

static int by_search(const float *map, float x)
{
    int k = 0;
    while (k < 255 && map[k] < x)
        k++;
    return k > 0 && fabsf(x - map[k - 1]) <= fabsf(x - map[k]) ? k - 1 : k;
}

static void check(const float *map, const struct hn_nearest8 *index, float x)
{
    if (!(fabsf(x) <= 1))
        return;
    int got = hn_nearest8(index, x), want = by_search(map, x);
    if (got != want)
        fail_msg("%a is given code %d; %d is nearest", (double)x, got, want);
}

/* Every float that has fewer than n bits of mantissa, with both neighbours: all buckets' ends. */
static void check_grid(const float *map, const struct hn_nearest8 *index, int n)
{
    for (uint32_t u = 0; u <= 0x3f800000u >> (23 - n); u++) {
        uint32_t bits = u << (23 - n);
        float x;
        memcpy(&x, &bits, sizeof x);
        for (int sign = -1; sign <= 1; sign += 2) {
            check(map, index, (float)sign * x);
            check(map, index, (float)sign * nextafterf(x, 2));
            check(map, index, (float)sign * nextafterf(x, -2));
        }
    }
}

static void every_edge(void **state)
{
    (void)state;
    const float *const maps[] = {hn_dynamic_map_signed, hn_dynamic_map_unsigned};
    static struct hn_nearest8 index;
    for (int m = 0; m < 2; m++) {
        hn_nearest8_make(&index, maps[m]);
        check_grid(maps[m], &index, 11);
        for (int c = 0; c < 255; c++) {
            float middle = (float)(((double)maps[m][c] + (double)maps[m][c + 1]) / 2);
            for (int ulp = 0; ulp < 4; ulp++, middle = nextafterf(middle, -2))
                check(maps[m], &index, middle);
            for (int ulp = 0; ulp < 8; ulp++, middle = nextafterf(middle, 2))
                check(maps[m], &index, middle);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_edge)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

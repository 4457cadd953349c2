/* The inner loops in short slices, in turn, for some seconds: the mean and the best rate of each on
 * one thread, beside the multiply-adds of the same seconds.
 *
 *   kern_slices [LEVEL [SECONDS]]
 *
 * On a machine shared with others the other half of a core is busy now and then, and takes its part
 * of what the core can issue: a loop of few instructions per multiply-add loses little by that, one
 * of many loses a third, though both reach the same best.  The mean is what users get. */
#include "backend/cpu/gemv.h"
#include "backend/cpu/igemm.h"
#include "backend/cpu/vector.h"
#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { COLS = 2048, ROWS = 48, TOKENS = 48, DEPTH = 256, STREAM = 200 << 20 };

struct loops {
    struct hn_cpu_vector vector;
    struct hn_cpu_matmul matmul;
    struct hn_cpu_igemm igemm;
    struct hn_im_tokens tokens[HN_IM_WIDTHS];
    struct hn_matrix w;
    unsigned char *weights, *panel;
    float *a, *b, *c, *x;
    size_t at; /* byte of the stream */
};

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void *filled(size_t size, int byte)
{
    void *p = hn_alloc_aligned(size);
    if (!p)
        exit(1);
    memset(p, byte, size);
    return p;
}

/* Each does some work and returns how much: multiply-adds, or bytes of weights. */
typedef double loop_fn(struct loops *l);

static double multiply_adds(struct loops *l)
{
    float x = 0.5f;
    return l->vector.burn(20000, &x) / 2;
}

static double float_tile(struct loops *l)
{
    const struct hn_mm_kernel *k = &l->matmul.plain;
    int tiles = TOKENS / k->mr;
    for (int r = 0; r < 4; r++)
        for (int i = 0; i < tiles; i++)
            k->tile(k->mr, DEPTH, l->a + i * k->mr * DEPTH, l->b, l->c, k->nr, k->nr, true);
    return 4.0 * tiles * k->mr * k->nr * DEPTH;
}

static double integer_tile(struct loops *l, enum hn_im_width width)
{
    const struct hn_im_form *form = &l->igemm.form[width];
    struct hn_im_kind kind = hn_im_kind(&l->w, width);
    int n = l->igemm.tokens;
    for (int t = 0; t + n <= TOKENS; t += n) {
        struct hn_im_tokens x = hn_im_tokens_from(&l->tokens[width], t, width == HN_IM_8 ? 1 : 2);
        form->tile(kind, n, &x, 0, COLS / 2, l->panel, l->c, HN_IM_ROWS, true);
    }
    return (double)(TOKENS / n * n) * HN_IM_ROWS * COLS / 2;
}

static double tile_of_16_bits(struct loops *l)
{
    return integer_tile(l, HN_IM_16);
}

static double tile_of_8_bits(struct loops *l)
{
    return integer_tile(l, HN_IM_8);
}

static double rows_at(struct loops *l, size_t byte)
{
    l->w.data = l->weights + byte;
    l->matmul.gemv.layout[l->w.layout].rows(&l->w, 0, ROWS, l->x, COLS, 1, l->c, ROWS);
    return (double)(ROWS * l->w.row_size);
}

static double rows_in_cache(struct loops *l)
{
    return rows_at(l, 0);
}

static double rows_from_memory(struct loops *l)
{
    size_t size = ROWS * l->w.row_size;
    l->at = l->at + 2 * size < STREAM ? l->at + size : 0;
    return rows_at(l, l->at);
}

static void open_loops(struct loops *l, enum hn_cpu_level level)
{
    hn_cpu_vector_select(&l->vector, level);
    hn_cpu_matmul_select(&l->matmul, level, HN_CLASS_EXACT);
    hn_cpu_igemm_select(&l->igemm, level);
    l->weights = filled(STREAM, 0x11);
    l->panel = filled(HN_IM_DEPTH / HN_IM_BLOCK * HN_IM_BLOCK_16, 1);
    l->a = filled(TOKENS * DEPTH * sizeof(float), 0);
    l->b = filled(HN_MM_PANEL_MAX * DEPTH * sizeof(float), 0);
    l->c = filled(64 * 64 * sizeof(float), 0);
    l->x = filled(hn_gemv_prepared_floats(COLS) * sizeof(float), 0);
    for (int i = 0; i < HN_IM_WIDTHS; i++) {
        size_t blocks = TOKENS * COLS / HN_IM_BLOCK * sizeof(float);
        l->tokens[i] = (struct hn_im_tokens){filled(TOKENS * COLS * 2, 1),
                                             filled(blocks, 0),
                                             filled(blocks, 0),
                                             filled(blocks, 0),
                                             COLS,
                                             COLS / HN_IM_BLOCK};
    }
    l->w = (struct hn_matrix){.layout = HN_LAYOUT_Q4_0,
                              .rows = ROWS,
                              .cols = COLS,
                              .data = l->weights,
                              .row_size = hn_layout_row_size(HN_LAYOUT_Q4_0, COLS, 4)};
}

int main(int argc, char **argv)
{
    static struct {
        const char *name, *unit;
        loop_fn *fn;
        double seconds, work, best;
    } slices[] = {
        {"multiply-adds", "GMAC/s", multiply_adds, 0, 0, 0},
        {"tile, float32", "GMAC/s", float_tile, 0, 0, 0},
        {"tile, 16 bits (Q4_0)", "GMAC/s", tile_of_16_bits, 0, 0, 0},
        {"tile, 8 bits (Q4_0)", "GMAC/s", tile_of_8_bits, 0, 0, 0},
        {"a token's rows, in cache (Q4_0)", "GB/s", rows_in_cache, 0, 0, 0},
        {"a token's rows, from memory", "GB/s", rows_from_memory, 0, 0, 0},
    };
    static struct loops l;
    int level = HN_CPU_AVX2;
    for (int i = 0; i < HN_CPU_LEVEL_COUNT && argc > 1; i++)
        if (strcmp(argv[1], hn_cpu_level_name((enum hn_cpu_level)i)) == 0)
            level = i;
    if (!hn_cpu_level_available((enum hn_cpu_level)level))
        return 1;
    open_loops(&l, (enum hn_cpu_level)level);
    double end = now() + (argc > 2 ? strtod(argv[2], NULL) : 4);
    while (now() < end) {
        for (size_t i = 0; i < HN_COUNT(slices); i++) {
            double start = now(), work = slices[i].fn(&l), seconds = now() - start;
            slices[i].seconds += seconds;
            slices[i].work += work;
            slices[i].best = HN_MAX(slices[i].best, work / seconds);
        }
    }
    printf("%s, one thread:\n", hn_cpu_level_name((enum hn_cpu_level)level));
    for (size_t i = 0; i < HN_COUNT(slices); i++) {
        double mean = slices[i].work / slices[i].seconds;
        printf("  %-34s mean %6.1f, best %6.1f %s: %3.0f %%\n", slices[i].name, mean * 1e-9,
               slices[i].best * 1e-9, slices[i].unit, 100 * mean / slices[i].best);
    }
    return 0;
}

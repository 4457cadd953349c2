/* Panels straight from stored weights, where a level has a shorter way than decoding rows and
 * transposing them. */
#ifndef HN_BACKEND_CPU_PANEL_H
#define HN_BACKEND_CPU_PANEL_H

#include "backend/cpu/cpu.h"

/* panel[k*nr + j] = element [row + j, k0 + k] of w, j < cols <= nr, k < depth, the decoder's bits
 * but for the sign of a zero; the rest of the nr columns is unspecified.  nr is that of the level's
 * tile; k0 and depth are whole groups.  False, and nothing done, for a w that it has no way for. */
typedef bool hn_panel_fn(const struct hn_matrix *w, int64_t row, int cols, int64_t k0,
                         int64_t depth, float *panel);

/* The panels of the other direction: panel[j/nr*stride + k*nr + j%nr] = element [row + k, col + j]
 * of w, j < cols, k < depth; col and cols are whole groups. */
typedef bool hn_panels_across_fn(const struct hn_matrix *w, int64_t row, int64_t depth, int64_t col,
                                 int64_t cols, int64_t stride, float *panel);

struct hn_cpu_panel { /* NULL: no such way */
    hn_panel_fn *layout[HN_LAYOUT_COUNT];
    hn_panels_across_fn *across[HN_LAYOUT_COUNT];
};

extern const struct hn_cpu_panel hn_cpu_panel_avx2, hn_cpu_panel_avx512;

#endif

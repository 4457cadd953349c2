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

struct hn_cpu_panel {
    hn_panel_fn *layout[HN_LAYOUT_COUNT]; /* NULL: no such way */
};

extern const struct hn_cpu_panel hn_cpu_panel_avx512;

#endif

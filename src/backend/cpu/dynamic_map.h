/* The 256 values that 8-bit codes of an optimizer's state stand for, as parts of their block's
 * largest. */
#ifndef HN_BACKEND_CPU_DYNAMIC_MAP_H
#define HN_BACKEND_CPU_DYNAMIC_MAP_H

/* Ascending: of the first moment, and of the second, which is not negative. */
extern const float hn_dynamic_map_signed[256], hn_dynamic_map_unsigned[256];

#endif

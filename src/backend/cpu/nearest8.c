/* Makes the table of hn_nearest8: csrc/cpu_ops.cpp of bitsandbytes 0.50, build_quantize_lut. */
#include "backend/cpu/nearest8.h"

void hn_nearest8_make(struct hn_nearest8 *out, const float map[256])
{
    int code = 0;
    for (int step = 0; step < HN_NEAREST8_STEPS; step++) {
        float x = 2 * (float)step / (HN_NEAREST8_STEPS - 1) - 1;
        while (code < 255 && x > (map[code] + map[code + 1]) * 0.5f)
            code++;
        out->code[step] = (uint8_t)code;
    }
}

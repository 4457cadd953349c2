/* Llama 3's rotary scaling: numbers in config.json, a divisor per pair in a GGUF.  Source:
 * transformers, modeling_rope_utils.py; llama.cpp, conversion/llama.py (generate_extra_tensors). */
#include "convert/rope_factors.h"

#include <math.h>

void hn_rope_factors(const struct hn_spec *s, float *out)
{
    (void)hn_rope_frequencies(s, NULL, out);
    for (int64_t i = 0; i < s->head_size / 2; i++) {
        double f = (double)(float)(1 / pow(s->rope.theta, 2 * (double)i / (double)s->head_size));
        out[i] = (float)(f / (double)out[i]);
    }
}

static bool same(const struct hn_spec *s, const float *factors, float *scratch)
{
    hn_rope_factors(s, scratch);
    for (int64_t i = 0; i < s->head_size / 2; i++)
        if (!(fabsf(scratch[i] - factors[i]) <= 1e-5f * factors[i]))
            return false;
    return true;
}

/* Only the ratios of the context and of the two limits matter, so that fixing the low one at 1
 * loses nothing; the high one is 4 in every model that is known. */
bool hn_rope_llama3_of(const struct hn_spec *s, const float *factors, float *scratch,
                       struct hn_rope_spec *out)
{
    struct hn_spec try = *s;
    struct hn_rope_spec *r = &try.rope;
    *r = (struct hn_rope_spec){.kind = HN_ROPE_LLAMA3,
                               .theta = s->rope.theta,
                               .factor = 1,
                               .low_freq_factor = 1,
                               .high_freq_factor = 4};
    for (int64_t i = 0; i < s->head_size / 2; i++)
        r->factor = fmax(r->factor, (double)factors[i]);
    /* 8192 first: Llama's own, which others would equal where few pairs tell them apart. */
    for (r->original_context = 8192; r->original_context; r->original_context = 0)
        if (same(&try, factors, scratch))
            break;
    for (int64_t n = 64; !r->original_context && n <= 1 << 22; n *= 2) {
        r->original_context = n;
        if (!same(&try, factors, scratch))
            r->original_context = 0;
    }
    if (r->original_context)
        *out = *r;
    return r->original_context != 0;
}

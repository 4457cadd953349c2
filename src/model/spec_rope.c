/* Rotary frequencies of each scaling kind, as transformers' modeling_rope_utils computes them. */
#include "model/spec.h"

#include <math.h>

static const double pi = 3.14159265358979323846;

static double llama3(const struct hn_rope_spec *r, double f)
{
    double wavelength = 2 * pi / f, original = (double)r->original_context;
    if (wavelength < original / r->high_freq_factor)
        return f;
    if (wavelength > original / r->low_freq_factor)
        return f / r->factor;
    double smooth =
        (original / wavelength - r->low_freq_factor) / (r->high_freq_factor - r->low_freq_factor);
    return (1 - smooth) * f / r->factor + smooth * f;
}

/* The index of the pair that turns `rotations` times over the original context. */
static double yarn_dim(const struct hn_rope_spec *r, double dim, double rotations)
{
    return dim * log((double)r->original_context / (rotations * 2 * pi)) / (2 * log(r->theta));
}

static double yarn(const struct hn_rope_spec *r, double dim, double i, double f)
{
    double low = yarn_dim(r, dim, r->beta_fast), high = yarn_dim(r, dim, r->beta_slow);
    if (r->truncate)
        low = floor(low), high = ceil(high);
    low = fmax(low, 0);
    high = fmin(high, dim - 1);
    if (low == high)
        high += 0.001;
    double ramp = fmin(fmax((i - low) / (high - low), 0), 1);
    return f / r->factor * ramp + f * (1 - ramp);
}

static double yarn_mscale(double factor, double mscale)
{
    return factor <= 1 ? 1 : 0.1 * mscale * log(factor) + 1;
}

static double yarn_magnitude(const struct hn_rope_spec *r)
{
    if (r->attention_factor)
        return r->attention_factor;
    if (r->mscale && r->mscale_all_dim)
        return yarn_mscale(r->factor, r->mscale) / yarn_mscale(r->factor, r->mscale_all_dim);
    return yarn_mscale(r->factor, 1);
}

float hn_rope_frequencies(const struct hn_spec *s, const float *factors, float *inv_freq)
{
    const struct hn_rope_spec *r = &s->rope;
    double dim = (double)s->head_size;
    for (int64_t i = 0; i < s->head_size / 2; i++) {
        double f = (double)(float)(1 / pow(r->theta, 2 * (double)i / dim));
        if (r->kind == HN_ROPE_LINEAR)
            f /= r->factor;
        else if (r->kind == HN_ROPE_LLAMA3)
            f = llama3(r, f);
        else if (r->kind == HN_ROPE_YARN)
            f = yarn(r, dim, (double)i, f);
        inv_freq[i] = (float)(factors ? f / (double)factors[i] : f);
    }
    return r->kind == HN_ROPE_YARN ? (float)yarn_magnitude(r) : 1;
}

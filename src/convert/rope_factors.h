/* Llama 3's rotary scaling as divisors of the plain frequencies, and back. */
#ifndef HN_CONVERT_ROPE_FACTORS_H
#define HN_CONVERT_ROPE_FACTORS_H

#include "model/spec.h"

/* out[HD/2] = plain frequency / scaled frequency. */
void hn_rope_factors(const struct hn_spec *s, float *out);
/* The llama3 scaling whose divisors these are, within 1e-5; false: there is none.  scratch[HD/2].
 */
bool hn_rope_llama3_of(const struct hn_spec *s, const float *factors, float *scratch,
                       struct hn_rope_spec *out);

#endif

/* AVX512 inner loops. */
#include "backend/cpu/vector.h"

const struct hn_cpu_vector hn_cpu_vector_avx512 = {0};

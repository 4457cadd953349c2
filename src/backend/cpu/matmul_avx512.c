/* The pieces of the matrix product for AVX-512. */
#include "backend/cpu/matmul.h"

const struct hn_cpu_matmul hn_cpu_matmul_avx512 = {0};

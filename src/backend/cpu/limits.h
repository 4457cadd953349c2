/* What this machine can do at most, measured, so that speeds can be shown as fractions of it. */
#ifndef HN_BACKEND_CPU_LIMITS_H
#define HN_BACKEND_CPU_LIMITS_H

#include "backend/backend.h"

struct hn_cpu_limits {
    double
        read_gbs; /* 10^9 bytes a second read from memory, all of the device's threads together */
    double fma_gflops; /* 10^9 float32 operations a second, a multiply-add counting two */
};

/* Measures with the device's threads and the best instruction set of the machine, whatever level
 * the device uses.  Takes up to half a second and 128 MB (which then count in the process's peak).
 */
HN_MUST_USE int hn_cpu_measure_limits(struct hn_device *dev, struct hn_cpu_limits *out,
                                      struct hone_err *err);

#endif

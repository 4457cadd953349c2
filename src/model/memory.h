/* The memory plan of a run, summed from the step plans that will be run. */
#ifndef HN_MODEL_MEMORY_H
#define HN_MODEL_MEMORY_H

#include "model/model.h"
#include "model/plan.h"

/* Fill out from plans that share one arena (the first is the main one).  cache_size: bytes of keys
 * and values.  Adapters must have been made.  host_size: buffers of the caller. */
void hn_memory_plan(const struct hone_model *m, const struct hn_plan *const *plans, size_t n,
                    uint64_t cache_size, uint64_t host_size, struct hone_memory_plan *out);

#endif

/* Why a run is slower than it could be: what the system tells of the time between two reports. */
#ifndef HN_CLI_SLOW_H
#define HN_CLI_SLOW_H

#include "base/buf.h"

struct hn_slow_window {
    double seconds;           /* between the reports */
    double processor_seconds; /* that this process computed in them, all threads */
    uint64_t page_reads;      /* pages that it waited for a disk for */
    int threads, processors;
    double load;      /* programs that want a processor, of late; 0: not known */
    bool plain_level; /* --cpu-level c: the kernels without vector instructions */
};

/* Append one sentence that names what bounds the run most and what to do, or nothing when the
 * window shows no reason or is too short to tell (under 2 seconds). */
void hn_slow_judge(const struct hn_slow_window *w, struct hn_buf *out);

struct hn_slow { /* zero-initialise */
    double time, processor_seconds;
    uint64_t page_reads;
    bool begun, said;
};
/* Call at each report; the sentence comes once a run.  threads <= 0: one for each processor. */
void hn_slow_look(struct hn_slow *s, int threads, const char *level, struct hn_buf *out);

#endif

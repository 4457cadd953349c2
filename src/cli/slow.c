#include "cli/slow.h"

#include <stdlib.h>
#include <string.h>
#include "base/os.h"
#include "base/pool.h"

void hn_slow_judge(const struct hn_slow_window *w, struct hn_buf *out)
{
    double busy = w->processor_seconds / (w->seconds * HN_MIN(w->threads, w->processors));
    double reads = (double)w->page_reads / w->seconds;
    if (w->seconds < 2)
        return;
    /* A disk gives some 100 to 10,000 pages a second at random; a run that waits for as many is
     * bound by them.  Between the first reports, weights come in for the first time. */
    if (reads > 100 && busy < 0.9)
        hn_buf_printf(out,
                      "slow: %.0f pages a second are read from the disk again, and the threads "
                      "compute %.0f %% of the time: memory is short; end other programs, set "
                      "--memory, or use a smaller or more quantised model",
                      reads, 100 * busy);
    else if (w->threads > w->processors)
        hn_buf_printf(out,
                      "slow: --threads %d on %d processors wait for each other; leave --threads "
                      "out, or set %d",
                      w->threads, w->processors, w->processors);
    else if (busy < 0.6 && w->load > w->processors)
        hn_buf_printf(out,
                      "slow: the threads got %.0f %% of the time that they want: other programs "
                      "compute too (load %.1f on %d processors)",
                      100 * busy, w->load, w->processors);
    else if (w->plain_level)
        hn_buf_add_str(out, "slow: --cpu-level c leaves the processor's vector instructions "
                            "unused; leave it out");
}

void hn_slow_look(struct hn_slow *s, int threads, const char *level, struct hn_buf *out)
{
    double now = hn_now(), processor = hn_processor_seconds(), load = 0;
    uint64_t reads = hn_page_reads();
    if (s->begun && !s->said && now - s->time >= 2) {
        struct hn_slow_window w = {.seconds = now - s->time,
                                   .processor_seconds = processor - s->processor_seconds,
                                   .page_reads = reads - s->page_reads,
                                   .processors = hn_cpu_count(),
                                   .plain_level = level && strcmp(level, "c") == 0};
        w.threads = threads > 0 ? threads : w.processors;
        if (getloadavg(&load, 1) == 1)
            w.load = load;
        size_t before = out->len;
        hn_slow_judge(&w, out);
        s->said = out->len > before;
    }
    if (!s->begun || now - s->time >= 2) {
        s->time = now;
        s->processor_seconds = processor;
        s->page_reads = reads;
    }
    s->begun = true;
}

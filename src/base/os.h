/* What the operating system tells about this process and machine. */
#ifndef HN_BASE_OS_H
#define HN_BASE_OS_H

#include "base/compiler.h"

double hn_now(void);         /* seconds, monotonic */
double hn_process_age(void); /* seconds since this process was started, as the kernel counts */
uint64_t hn_peak_rss(void);  /* high-water mark of resident bytes, mapped files included */
/* Resident bytes now: of anonymous memory, and of mapped files (program, libraries, models). */
void hn_resident(uint64_t *anonymous, uint64_t *mapped);
double hn_processor_seconds(void); /* that all threads of this process have computed */
uint64_t hn_page_reads(void);      /* pages that this process had to wait for a disk for */
uint64_t hn_memory_total(void);     /* bytes of RAM that this process may use (cgroup limit seen) */
uint64_t hn_memory_available(void); /* bytes free now without swapping */

/* What people call the processor and the system ("Intel(R) Xeon(R) …", "Linux 6.1.0 x86_64, Debian
 * GNU/Linux 12"), cut to size; "unknown" when nothing tells.  Both give out. */
const char *hn_cpu_name(char *out, size_t size);
const char *hn_os_name(char *out, size_t size);

#endif

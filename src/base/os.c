#include "base/os.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

double hn_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

double hn_process_age(void)
{
    char text[1024];
    FILE *f = fopen("/proc/self/stat", "re");
    size_t n = f ? fread(text, 1, sizeof text - 1, f) : 0;
    if (f)
        fclose(f);
    text[n] = 0;
    const char *p = strrchr(text, ')'); /* the name before it may hold anything */
    unsigned long long start = 0;
    /* Field 22; the text after ')' begins with field 3. */
    for (int field = 2; p && field < 22; field++)
        p = strchr(p + 1, ' ');
    if (!p)
        return 0;
    start = strtoull(p, NULL, 10);
    struct timespec t;
    clock_gettime(CLOCK_BOOTTIME, &t);
    double now = (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
    return now - (double)start / (double)sysconf(_SC_CLK_TCK);
}

/* The number after "key:" in a file of such lines, in KiB; 0 when there is none. */
static uint64_t kib_of(const char *path, const char *key)
{
    char line[128];
    uint64_t kib = 0;
    FILE *f = fopen(path, "re");
    if (!f)
        return 0;
    size_t n = strlen(key);
    while (fgets(line, sizeof line, f))
        if (strncmp(line, key, n) == 0 && line[n] == ':')
            kib = strtoull(line + n + 1, NULL, 10);
    fclose(f);
    return kib;
}

/* ru_maxrss survives exec: a small program that a large one spawned would report the large one's
 * peak.  The high-water mark in /proc is this program's own. */
uint64_t hn_peak_rss(void)
{
    uint64_t kib = kib_of("/proc/self/status", "VmHWM");
    struct rusage u;
    if (kib)
        return kib * 1024;
    if (getrusage(RUSAGE_SELF, &u) != 0)
        return 0;
#ifdef __APPLE__
    return (uint64_t)u.ru_maxrss;
#else
    return (uint64_t)u.ru_maxrss * 1024;
#endif
}

double hn_processor_seconds(void)
{
    struct timespec t;
    if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t) != 0)
        return 0;
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

uint64_t hn_page_reads(void)
{
    struct rusage u;
    return getrusage(RUSAGE_SELF, &u) == 0 ? (uint64_t)u.ru_majflt : 0;
}

void hn_resident(uint64_t *anonymous, uint64_t *mapped)
{
    unsigned long long size = 0, resident = 0, shared = 0;
    FILE *f = fopen("/proc/self/statm", "re");
    int got = f ? fscanf(f, "%llu %llu %llu", &size, &resident, &shared) : 0;
    if (f)
        fclose(f);
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    *mapped = got == 3 ? shared * page : 0;
    *anonymous = got == 3 ? (resident - shared) * page : hn_peak_rss();
}

static uint64_t cgroup(const char *path)
{
    unsigned long long v = 0;
    FILE *f = fopen(path, "re");
    int got = f ? fscanf(f, "%llu", &v) : 0;
    if (f)
        fclose(f);
    return got == 1 ? v : UINT64_MAX;
}

uint64_t hn_memory_total(void)
{
    uint64_t total = kib_of("/proc/meminfo", "MemTotal") * 1024;
    if (!total)
        total = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    return HN_MIN(total, cgroup("/sys/fs/cgroup/memory.max"));
}

uint64_t hn_memory_available(void)
{
    uint64_t free_now = kib_of("/proc/meminfo", "MemAvailable") * 1024,
             limit = cgroup("/sys/fs/cgroup/memory.max");
    if (!free_now)
        free_now = hn_memory_total();
    if (limit == UINT64_MAX)
        return free_now;
    uint64_t used = cgroup("/sys/fs/cgroup/memory.current");
    return HN_MIN(free_now, used < limit ? limit - used : 0);
}

/* The rest of the first line of the file that begins with key, after blanks and any of skip;
 * closing quotes are cut off.  False when there is none. */
static bool line_of(const char *path, const char *key, const char *skip, char *out, size_t size)
{
    char line[512];
    FILE *f = fopen(path, "re");
    bool found = false;
    while (f && !found && fgets(line, sizeof line, f)) {
        if (strncmp(line, key, strlen(key)) != 0)
            continue;
        const char *p = line + strlen(key);
        p += strspn(p, skip);
        snprintf(out, size, "%.*s", (int)strcspn(p, "\"\n"), p);
        found = *out != 0;
    }
    if (f)
        fclose(f);
    return found;
}

const char *hn_cpu_name(char *out, size_t size)
{
    if (!line_of("/proc/cpuinfo", "model name", " \t:", out, size) &&
        !line_of("/proc/cpuinfo", "Model", " \t:", out, size))
        snprintf(out, size, "unknown");
    return out;
}

const char *hn_os_name(char *out, size_t size)
{
    struct utsname u;
    char name[96];
    if (uname(&u) != 0)
        snprintf(out, size, "unknown");
    else if (line_of("/etc/os-release", "PRETTY_NAME=", "\"", name, sizeof name))
        snprintf(out, size, "%s %s %s, %s", u.sysname, u.release, u.machine, name);
    else
        snprintf(out, size, "%s %s %s", u.sysname, u.release, u.machine);
    return out;
}

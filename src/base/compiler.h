/* The compiler's extensions that hone uses, each under one name.  Nothing else in src/ spells an
 * attribute, except the instruction-set files of the CPU backend. */
#ifndef HN_BASE_COMPILER_H
#define HN_BASE_COMPILER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HN_MUST_USE     __attribute__((warn_unused_result))
#define HN_PRINTF(f, a) __attribute__((format(printf, f, a)))
#define HN_INLINE       static inline __attribute__((always_inline))
#define HN_UNLIKELY(x)  __builtin_expect(!!(x), 0)
#define HN_PREFETCH(p)  __builtin_prefetch(p) /* bring p's cache line near; never faults */
#define HN_COUNT(a)     (sizeof(a) / sizeof((a)[0]))
#define HN_MIN(a, b)    ((a) < (b) ? (a) : (b))
#define HN_MAX(a, b)    ((a) > (b) ? (a) : (b))

static inline int64_t hn_ceil_div(int64_t n, int64_t size)
{
    return n / size + (n % size != 0);
}

/* Tell the processor that this is a waiting loop. */
static inline void hn_cpu_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* Overflow-checked arithmetic: true when the result does not fit (then *out is undefined). */
#define hn_add_overflows(a, b, out) __builtin_add_overflow(a, b, out)
#define hn_mul_overflows(a, b, out) __builtin_mul_overflow(a, b, out)

/* An assertion about our own code (never about input), kept in release builds. */
#define HN_ASSERT(x) ((x) ? (void)0 : hn_assert_failed(#x, __FILE__, __LINE__))
__attribute__((noreturn, cold)) void hn_assert_failed(const char *what, const char *file, int line);

#endif

/* Which instruction sets may be used here.  Compiled for the baseline processor: nothing in this
 * file may need what it asks about.  On x86 the processor must have a set (cpuid) and the operating
 * system must save its registers (xgetbv; for AMX also a permission, arch_prctl); on ARM the
 * operating system tells both. */
#include "backend/cpu/cpu.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif
#if defined(__x86_64__) && defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif
#if defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#elif defined(__aarch64__) && defined(__APPLE__)
#include <sys/sysctl.h>
#endif

const char *hn_cpu_level_name(enum hn_cpu_level level)
{
    static const char *const names[HN_CPU_LEVEL_COUNT] = {"c",    "neon",   "neon_dot", "neon_i8mm",
                                                          "avx2", "avx512", "amx"};
    return names[level];
}

#if defined(__x86_64__)

/* Intel SDM volume 2A, CPUID; volume 1, 13.3 for the bits of XCR0. */
enum {
    XCR0_AVX = 0x6,     /* xmm and ymm state */
    XCR0_AVX512 = 0xe6, /* and opmask, zmm state */
    XCR0_AMX = 0x60000, /* tile configuration and data */
    LEAF1_ECX_FMA = 1 << 12,
    LEAF1_ECX_OSXSAVE = 1 << 27,
    LEAF1_ECX_F16C = 1 << 29,
    LEAF7_EBX_AVX2 = 1 << 5,
    LEAF7_EBX_AVX512F = 1 << 16,
    LEAF7_EBX_AVX512DQ = 1 << 17,
    LEAF7_EBX_AVX512BW = 1 << 30,
    LEAF7_ECX_AVX512VNNI = 1 << 11,
    LEAF7_EDX_AMX_BF16 = 1 << 22,
    LEAF7_EDX_AMX_TILE = 1 << 24,
    LEAF7_EDX_AMX_INT8 = 1 << 25,
    LEAF7_1_EAX_AVX512BF16 = 1 << 5,
};
static const unsigned leaf7_ebx_avx512vl = 1u << 31; /* does not fit an int */

static bool has(unsigned reg, unsigned bits)
{
    return (reg & bits) == bits;
}

static uint64_t xcr0(void)
{
    unsigned lo, hi;
    __asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
    return (uint64_t)hi << 32 | lo;
}

static bool available_x86(enum hn_cpu_level level)
{
    unsigned a, b, c, d, b7 = 0, c7 = 0, d7 = 0, a71 = 0;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !has(c, LEAF1_ECX_OSXSAVE))
        return false;
    uint64_t os = xcr0();
    if (__get_cpuid_count(7, 0, &a, &b7, &c7, &d7) && a >= 1) {
        unsigned x, y, z;
        __get_cpuid_count(7, 1, &a71, &x, &y, &z);
    }
    bool avx2 = has(c, LEAF1_ECX_FMA | LEAF1_ECX_F16C) && has(b7, LEAF7_EBX_AVX2) &&
                (os & XCR0_AVX) == XCR0_AVX;
    bool avx512 =
        avx2 && (os & XCR0_AVX512) == XCR0_AVX512 && has(c7, LEAF7_ECX_AVX512VNNI) &&
        has(b7, LEAF7_EBX_AVX512F | LEAF7_EBX_AVX512DQ | LEAF7_EBX_AVX512BW | leaf7_ebx_avx512vl);
    if (level == HN_CPU_AVX2)
        return avx2;
    if (level == HN_CPU_AVX512)
        return avx512;
    return level == HN_CPU_AMX && avx512 && (os & XCR0_AMX) == XCR0_AMX &&
           has(d7, LEAF7_EDX_AMX_BF16 | LEAF7_EDX_AMX_TILE | LEAF7_EDX_AMX_INT8) &&
           has(a71, LEAF7_1_EAX_AVX512BF16) && hn_cpu_enable_amx();
}

#endif

#if defined(__aarch64__)

#if defined(__linux__)
/* Linux Documentation/arch/arm64/elf_hwcaps.rst */
enum { HWCAP_DOTPROD = 1 << 20, HWCAP2_INT8MM = 1 << 13, HWCAP2_BFLOAT16 = 1 << 14 };
static bool has_dot(void)
{
    return getauxval(AT_HWCAP) & HWCAP_DOTPROD;
}
static bool has_i8mm(void)
{
    const unsigned long both = HWCAP2_INT8MM | HWCAP2_BFLOAT16;
    return (getauxval(AT_HWCAP2) & both) == both;
}
#elif defined(__APPLE__)
/* developer.apple.com, "Determining instruction set characteristics" */
static bool says(const char *name)
{
    int value = 0;
    size_t size = sizeof value;
    return sysctlbyname(name, &value, &size, NULL, 0) == 0 && value;
}
static bool has_dot(void)
{
    return says("hw.optional.arm.FEAT_DotProd");
}
static bool has_i8mm(void)
{
    return says("hw.optional.arm.FEAT_I8MM") && says("hw.optional.arm.FEAT_BF16");
}
#else
static bool has_dot(void)
{
    return false;
}
static bool has_i8mm(void)
{
    return false;
}
#endif

static bool available_arm(enum hn_cpu_level level)
{
    if (level == HN_CPU_NEON)
        return true; /* part of the base architecture */
    return (level == HN_CPU_NEON_DOT || (level == HN_CPU_NEON_I8MM && has_i8mm())) && has_dot();
}

#endif

bool hn_cpu_level_available(enum hn_cpu_level level)
{
    if (level == HN_CPU_C)
        return true;
#if defined(__x86_64__)
    return available_x86(level);
#elif defined(__aarch64__)
    return available_arm(level);
#else
    return false;
#endif
}

bool hn_cpu_enable_amx(void)
{
#if defined(__x86_64__) && defined(__linux__)
    /* Linux Documentation/arch/x86/xstate.rst: without the permission the first tile instruction
     * kills the process.  Asking again is harmless and cheap. */
    enum { REQ_XCOMP_PERM = 0x1023, XFEATURE_XTILEDATA = 18 };
    return syscall(SYS_arch_prctl, REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0;
#else
    return false;
#endif
}

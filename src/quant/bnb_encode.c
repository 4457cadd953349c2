/* Sources: bitsandbytes 0.50, backends/default/ops.py (quantize_4bit, int8_vectorwise_quant),
 * functional.py (create_dynamic_map, quantize_4bit), csrc/cpu_ops.cpp (quantize_cpu); torch 2.15,
 * SumKernel.cpp (the order of a sum).  tools/check_bnb.py compares them on a real model. */
#include "quant/bnb_encode.h"

#include <math.h>
#include <string.h>

/* ---- 4 bits -------------------------------------------------------------------------------- */

static const float nf4_map[16] = {
    -0x1.0p+0f,      -0x1.647362p-1f, -0x1.0cd66p-1f,  -0x1.946540p-2f,
    -0x1.23449ap-2f, -0x1.7a6a7ep-3f, -0x1.74f0e2p-4f, 0.0f,
    0x1.45f5fep-4f,  0x1.4995c6p-3f,  0x1.f809bap-3f,  0x1.5a0674p-2f,
    0x1.c34970p-2f,  0x1.200f56p-1f,  0x1.722766p-1f,  0x1.0p+0f,
};
static const float fp4_map[16] = {
    0.0f, 0x1.555556p-8f,  0x1.555556p-1f,  1.0f,  0x1.555556p-2f,  0.5f,  0x1.555556p-3f,  0.25f,
    0.0f, -0x1.555556p-8f, -0x1.555556p-1f, -1.0f, -0x1.555556p-2f, -0.5f, -0x1.555556p-3f, -0.25f,
};
/* FP4's codes by ascending value; its two zeros lie either side of 0. */
static const uint8_t fp4_order[16] = {11, 10, 13, 12, 15, 14, 9, 0, 8, 1, 6, 7, 4, 5, 2, 3};

const float *hn_bnb4_map(bool fp4)
{
    return fp4 ? fp4_map : nf4_map;
}

/* What lies between neighbours of a map: an x above bound k is nearer to entry k + 1. */
static void find_bounds(bool fp4, float bound[15])
{
    for (int k = 0; k < 15; k++) {
        int a = fp4 ? fp4_order[k] : k, b = fp4 ? fp4_order[k + 1] : k + 1;
        bound[k] = (hn_bnb4_map(fp4)[a] + hn_bnb4_map(fp4)[b]) / 2;
    }
}

static float largest_of(const float *x, int64_t n)
{
    float largest = 0;
    for (int64_t i = 0; i < n; i++)
        largest = fabsf(x[i]) > largest ? fabsf(x[i]) : largest;
    return largest;
}

/* Loops of PART turns, which compilers make vectors of. */
enum { PART = 64 };

/* code[i] = the entry nearest to x[i]. */
static void nearest_entries(const float bound[15], const float x[PART], int32_t code[PART])
{
    for (int i = 0; i < PART; i++)
        code[i] = 0;
    for (int k = 0; k < 15; k++)
        for (int i = 0; i < PART; i++)
            code[i] += x[i] > bound[k];
}

void hn_bnb4_encode(bool fp4, const float *x, int64_t n, bool whole, unsigned char *codes,
                    float *absmax)
{
    const float least = 1e-38f;
    float bound[15], largest = largest_of(x, n), safe = largest > least ? largest : least;
    float inverse = 1.0f / safe;
    find_bounds(fp4, bound);
    for (int64_t from = 0; from < n; from += PART) {
        int m = (int)HN_MIN(PART, n - from);
        float scaled[PART] = {0}; /* bitsandbytes fills up with a value of 0 */
        int32_t code[PART];
        for (int i = 0; i < m; i++)
            scaled[i] = whole ? x[from + i] * inverse : x[from + i] / safe;
        for (int i = 0; i < PART; i++) {
            float v = scaled[i] < -1 ? -1 : scaled[i];
            scaled[i] = v > 1 ? 1 : v;
        }
        nearest_entries(bound, scaled, code);
        for (int i = 0; i < m && fp4; i++)
            code[i] = fp4_order[code[i]];
        if (m % 2 && fp4)
            code[m] = fp4_order[code[m]];
        for (int i = 0; i < m; i += 2)
            codes[(from + i) / 2] = (unsigned char)(code[i] << 4 | code[i + 1]);
    }
    *absmax = whole ? largest : safe;
}

/* ---- nested scales ------------------------------------------------------------------------- */

/* The map's entries between 0 and 1: seven decades, each of twice as many as the one below, as
 * create_dynamic_map makes them of torch.linspace. */
static const float positive[127] = {
    0x1.27476ep-21f, 0x1.b43528p-19f, 0x1.040bfep-17f, 0x1.64840cp-16f, 0x1.6f0068p-15f,
    0x1.15df66p-14f, 0x1.743e96p-14f, 0x1.47ae16p-13f, 0x1.19ce0ap-12f, 0x1.8fc506p-12f,
    0x1.02de02p-11f, 0x1.3dd982p-11f, 0x1.78d5p-11f,   0x1.b3d07cp-11f, 0x1.eecbfep-11f,
    0x1.4fdf3ap-10f, 0x1.e353f8p-10f, 0x1.3b645ap-9f,  0x1.851eb8p-9f,  0x1.ced914p-9f,
    0x1.0c49bap-8f,  0x1.3126e8p-8f,  0x1.56041ap-8f,  0x1.7ae148p-8f,  0x1.9fbe76p-8f,
    0x1.c49ba6p-8f,  0x1.e978d4p-8f,  0x1.072b02p-7f,  0x1.19999ap-7f,  0x1.2c083p-7f,
    0x1.3e76c8p-7f,  0x1.75c29p-7f,   0x1.d1eb86p-7f,  0x1.170a3ep-6f,  0x1.451ebap-6f,
    0x1.733334p-6f,  0x1.a147aep-6f,  0x1.cf5c2ap-6f,  0x1.fd70a4p-6f,  0x1.15c29p-5f,
    0x1.2ccccep-5f,  0x1.43d70ap-5f,  0x1.5ae146p-5f,  0x1.71eb86p-5f,  0x1.88f5c2p-5f,
    0x1.ap-5f,       0x1.b70a3ep-5f,  0x1.ce147ap-5f,  0x1.e51ebap-5f,  0x1.fc28f6p-5f,
    0x1.09999ap-4f,  0x1.151ebap-4f,  0x1.20a3d6p-4f,  0x1.2c28f6p-4f,  0x1.37ae14p-4f,
    0x1.433334p-4f,  0x1.4eb854p-4f,  0x1.5a3d7p-4f,   0x1.65c29p-4f,   0x1.7147aep-4f,
    0x1.7ccccep-4f,  0x1.8851eep-4f,  0x1.93d70ap-4f,  0x1.b66668p-4f,  0x1.fp-4f,
    0x1.14ccccp-3f,  0x1.31999ap-3f,  0x1.4e6666p-3f,  0x1.6b3334p-3f,  0x1.88p-3f,
    0x1.a4ccccp-3f,  0x1.c1999ap-3f,  0x1.de6666p-3f,  0x1.fb3332p-3f,  0x1.0cp-2f,
    0x1.1a6668p-2f,  0x1.28ccccp-2f,  0x1.373334p-2f,  0x1.459998p-2f,  0x1.54p-2f,
    0x1.626666p-2f,  0x1.70ccccp-2f,  0x1.7f3334p-2f,  0x1.8d9998p-2f,  0x1.9cp-2f,
    0x1.aa6666p-2f,  0x1.b8ccccp-2f,  0x1.c73334p-2f,  0x1.d59998p-2f,  0x1.e4p-2f,
    0x1.f26664p-2f,  0x1.006666p-1f,  0x1.079998p-1f,  0x1.0eccccp-1f,  0x1.16p-1f,
    0x1.1d3334p-1f,  0x1.246668p-1f,  0x1.2b999ap-1f,  0x1.32ccccp-1f,  0x1.3ap-1f,
    0x1.413334p-1f,  0x1.486668p-1f,  0x1.4f999ap-1f,  0x1.56ccccp-1f,  0x1.5ep-1f,
    0x1.653334p-1f,  0x1.6c6668p-1f,  0x1.73999ap-1f,  0x1.7accccp-1f,  0x1.82p-1f,
    0x1.893334p-1f,  0x1.906666p-1f,  0x1.97999ap-1f,  0x1.9eccccp-1f,  0x1.a6p-1f,
    0x1.ad3334p-1f,  0x1.b46666p-1f,  0x1.bb999ap-1f,  0x1.c2ccccp-1f,  0x1.cap-1f,
    0x1.d13334p-1f,  0x1.d86666p-1f,  0x1.df999ap-1f,  0x1.e6ccccp-1f,  0x1.eep-1f,
    0x1.f53334p-1f,  0x1.fc6666p-1f,
};

void hn_bnb_dynamic_map(float map[HN_BNB_NESTED_MAP])
{
    enum { ZERO = 127 };
    for (int i = 0; i < (int)HN_COUNT(positive); i++) {
        map[ZERO + 1 + i] = positive[i];
        map[ZERO - 1 - i] = -positive[i];
    }
    map[ZERO] = 0;
    map[HN_BNB_NESTED_MAP - 1] = 1;
}

/* A row of vectors as torch sums it: four running sums side by side, each in four levels, where a
 * level is carried to the next after 16 (or, of very long rows, more) additions. */
static void sum_vectors(const float *x, int64_t n, int width, float total[8])
{
    enum { SIDE = 4, LEVELS = 4, WIDTH = 8 };
    float sum[LEVELS][SIDE][WIDTH];
    int64_t size = n / SIDE, power = 4, i = 0;
    memset(sum, 0, sizeof sum);
    while ((int64_t)1 << ((power + 1) * LEVELS - 1) <= size - 1) /* a quarter of log2, rounded up */
        power++;
    int64_t step = (int64_t)1 << power;
    while (i < size) {
        bool full = i + step <= size;
        int64_t stop = full ? i + step : size;
        for (; i < stop; i++)
            for (int k = 0; k < SIDE; k++)
                for (int l = 0; l < width; l++)
                    sum[0][k][l] += x[(i * SIDE + k) * width + l];
        for (int j = 1; j < LEVELS && full; j++) {
            for (int k = 0; k < SIDE * WIDTH; k++) {
                sum[j][k / WIDTH][k % WIDTH] += sum[j - 1][k / WIDTH][k % WIDTH];
                sum[j - 1][k / WIDTH][k % WIDTH] = 0;
            }
            if (i & (step - 1) << (j * power))
                break;
        }
    }
    for (int j = 1; j < LEVELS; j++)
        for (int k = 0; k < SIDE * WIDTH; k++)
            sum[0][k / WIDTH][k % WIDTH] += sum[j][k / WIDTH][k % WIDTH];
    for (i = size * SIDE; i < n; i++)
        for (int l = 0; l < width; l++)
            sum[0][0][l] += x[i * width + l];
    for (int l = 0; l < width; l++) {
        total[l] = sum[0][0][l];
        for (int k = 1; k < SIDE; k++)
            total[l] += sum[0][k][l];
    }
}

float hn_bnb_mean(const float *x, int64_t n)
{
    int width = n < 8 ? 1 : 8;
    float lanes[8], sum = 0;
    sum_vectors(x, n / width, width, lanes);
    for (int64_t i = n / width * width; i < n; i++)
        sum += x[i];
    for (int l = 0; l < width; l++)
        sum += lanes[l];
    return sum / (float)n;
}

/* bitsandbytes looks a value up in a table of 65536 steps from -1 to 1: the code is that of the
 * step, not of the value. */
static unsigned char nearest(const float bound[], float v)
{
    v = v < -1 ? -1 : v > 1 ? 1 : v;
    int step = (int)((v + 1.0f) * 0.5f * 65535.0f + 0.5f);
    float value = -1.0f + 2.0f * (float)step / 65535.0f;
    int low = 0, high = HN_BNB_NESTED_MAP - 1; /* how many bounds are below value */
    while (low < high) {
        int middle = (low + high) / 2;
        if (bound[middle] < value)
            low = middle + 1;
        else
            high = middle;
    }
    return (unsigned char)low;
}

void hn_bnb_nest(const float *absmax, int64_t n, float offset, unsigned char *codes, float *scales)
{
    float map[HN_BNB_NESTED_MAP], bound[HN_BNB_NESTED_MAP - 1];
    hn_bnb_dynamic_map(map);
    for (int k = 0; k < HN_BNB_NESTED_MAP - 1; k++)
        bound[k] = 0.5f * (map[k] + map[k + 1]);
    for (int64_t from = 0; from < n; from += HN_BNB_NESTED_BLOCK, scales++) {
        int m = (int)HN_MIN(HN_BNB_NESTED_BLOCK, n - from);
        float x[HN_BNB_NESTED_BLOCK], inverse;
        for (int i = 0; i < m; i++)
            x[i] = absmax[from + i] - offset;
        *scales = largest_of(x, m);
        inverse = 1.0f / *scales;
        for (int i = 0; i < m; i++)
            codes[from + i] = *scales == 0 ? 0 : nearest(bound, x[i] * inverse);
    }
}

/* ---- int8 ---------------------------------------------------------------------------------- */

/* Bits of a float32 that is not NaN, rounded to float16; 65536 or more has no place there. */
static uint32_t rounded_16(uint32_t bits)
{
    float v, small;
    uint32_t tiny, magnitude = bits & 0x7fffffff;
    memcpy(&v, &magnitude, sizeof v);
    small = (v + 0.5f) - 0.5f; /* below 2^-14, in units of 2^-24 */
    memcpy(&tiny, &small, sizeof tiny);
    uint32_t normal = (magnitude + 0xfff + (magnitude >> 13 & 1)) & ~0x1fffu;
    return (magnitude < 0x38800000 ? tiny : normal) | (bits & 0x80000000);
}

/* x rounded; the bits of the largest magnitude. */
static uint32_t round_part(float x[PART])
{
    uint32_t bits[PART], most = 0;
    memcpy(bits, x, sizeof bits);
    for (int i = 0; i < PART; i++)
        bits[i] = rounded_16(bits[i]);
    for (int i = 0; i < PART; i++)
        most = (bits[i] & 0x7fffffff) > most ? bits[i] & 0x7fffffff : most;
    memcpy(x, bits, sizeof bits);
    return most;
}

/* codes[i] = x[i] * factor, to the nearest integer, of two the even one. */
static void code_part(const float x[PART], float factor, int32_t code[PART])
{
    const float whole = 12582912.0f; /* 1.5 * 2^23: no sum with it has a fraction */
    for (int i = 0; i < PART; i++)
        code[i] = (int32_t)((x[i] * factor + whole) - whole);
}

bool hn_bnb8_encode(float *x, int64_t n, unsigned char *codes, float *scale)
{
    float part[PART] = {0};
    uint32_t most = 0;
    for (int64_t from = 0; from < n; from += PART) {
        size_t m = (size_t)HN_MIN(PART, n - from);
        memset(part, 0, sizeof part);
        memcpy(part, x + from, m * sizeof *part);
        uint32_t top = round_part(part);
        most = top > most ? top : most;
        memcpy(x + from, part, m * sizeof *part);
    }
    memcpy(scale, &most, sizeof *scale);
    if (*scale >= 65536)
        return false;
    float factor = *scale > 0 ? 1.0f / *scale * 127.0f : 0; /* torch's number / tensor */
    for (int64_t from = 0; from < n; from += PART) {
        int32_t code[PART];
        size_t m = (size_t)HN_MIN(PART, n - from);
        memcpy(part, x + from, m * sizeof *part);
        code_part(part, factor, code);
        for (size_t i = 0; i < m; i++)
            codes[(size_t)from + i] = (unsigned char)(signed char)code[i];
    }
    return true;
}

#include "base/sha.h"

#include <string.h>

static uint32_t rotl(uint32_t x, int n)
{
    return x << n | x >> (32 - n);
}

static uint32_t load_be(const unsigned char *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* FIPS 180-4, 4.2.2 */
static const uint32_t k256[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

/* FIPS 180-4, 6.2.2 */
static void block256(uint32_t state[8], const unsigned char *p)
{
    uint32_t w[64], v[8];
    for (int i = 0; i < 16; i++)
        w[i] = load_be(p + 4 * i);
    for (int i = 16; i < 64; i++) {
        uint32_t a = w[i - 15], b = w[i - 2];
        w[i] = w[i - 16] + w[i - 7] + (rotl(a, 25) ^ rotl(a, 14) ^ a >> 3) +
               (rotl(b, 15) ^ rotl(b, 13) ^ b >> 10);
    }
    memcpy(v, state, sizeof v);
    for (int i = 0; i < 64; i++) {
        uint32_t a = v[0], e = v[4];
        uint32_t t1 = v[7] + (rotl(e, 26) ^ rotl(e, 21) ^ rotl(e, 7)) + ((e & v[5]) ^ (~e & v[6])) +
                      k256[i] + w[i];
        uint32_t t2 =
            (rotl(a, 30) ^ rotl(a, 19) ^ rotl(a, 10)) + ((a & v[1]) ^ (a & v[2]) ^ (v[1] & v[2]));
        memmove(v + 1, v, 7 * sizeof *v);
        v[4] += t1;
        v[0] = t1 + t2;
    }
    for (int i = 0; i < 8; i++)
        state[i] += v[i];
}

/* FIPS 180-4, 6.1.2 */
static void block1(uint32_t state[8], const unsigned char *p)
{
    static const uint32_t k[4] = {0x5a827999, 0x6ed9eba1, 0x8f1bbcdc, 0xca62c1d6};
    uint32_t w[80], a = state[0], b = state[1], c = state[2], d = state[3], e = state[4];
    for (int i = 0; i < 16; i++)
        w[i] = load_be(p + 4 * i);
    for (int i = 16; i < 80; i++)
        w[i] = rotl(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
    for (int i = 0; i < 80; i++) {
        uint32_t f = i < 20              ? (b & c) ^ (~b & d)
                     : i < 40 || i >= 60 ? b ^ c ^ d
                                         : (b & c) ^ (b & d) ^ (c & d);
        uint32_t t = rotl(a, 5) + f + e + k[i / 20] + w[i];
        e = d, d = c, c = rotl(b, 30), b = a, a = t;
    }
    state[0] += a, state[1] += b, state[2] += c, state[3] += d, state[4] += e;
}

void hn_sha256_init(struct hn_sha *s)
{
    *s = (struct hn_sha){.state = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f,
                                   0x9b05688c, 0x1f83d9ab, 0x5be0cd19}};
}

void hn_sha1_init(struct hn_sha *s)
{
    *s = (struct hn_sha){.state = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0},
                         .is_sha1 = true};
}

void hn_sha_add(struct hn_sha *s, const void *data, size_t n)
{
    const unsigned char *p = data;
    void (*block)(uint32_t *, const unsigned char *) = s->is_sha1 ? block1 : block256;
    size_t have = s->size % 64;
    s->size += n;
    if (have) {
        size_t take = HN_MIN(64 - have, n);
        memcpy(s->block + have, p, take);
        if (have + take < 64)
            return;
        block(s->state, s->block);
        p += take, n -= take;
    }
    for (; n >= 64; p += 64, n -= 64)
        block(s->state, p);
    if (n)
        memcpy(s->block, p, n);
}

void hn_sha_finish(struct hn_sha *s, char *out)
{
    static const char digits[] = "0123456789abcdef";
    static const unsigned char padding[64] = {0x80};
    unsigned char length[8];
    uint64_t bits = s->size * 8;
    for (int i = 0; i < 8; i++)
        length[i] = (unsigned char)(bits >> (56 - 8 * i));
    hn_sha_add(s, padding, 64 - (s->size + 8) % 64);
    hn_sha_add(s, length, sizeof length);
    for (int i = 0; i < (s->is_sha1 ? 5 : 8); i++)
        for (int shift = 28; shift >= 0; shift -= 4)
            *out++ = digits[s->state[i] >> shift & 15];
    *out = 0;
}

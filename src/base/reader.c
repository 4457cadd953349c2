#include "base/reader.h"

#include <string.h>

void hn_reader_init(struct hn_reader *r, const void *data, size_t size)
{
    *r = (struct hn_reader){.data = data, .size = size};
}

size_t hn_reader_left(const struct hn_reader *r)
{
    return r->failed ? 0 : r->size - r->at;
}

struct hn_str hn_read_bytes(struct hn_reader *r, uint64_t n)
{
    if (n > hn_reader_left(r)) {
        r->failed = true;
        return (struct hn_str){"", 0};
    }
    struct hn_str s = {(const char *)r->data + r->at, (size_t)n};
    r->at += (size_t)n;
    return s;
}

void hn_read_skip(struct hn_reader *r, uint64_t n)
{
    (void)hn_read_bytes(r, n);
}

static uint64_t little(struct hn_reader *r, int n)
{
    struct hn_str s = hn_read_bytes(r, (uint64_t)n);
    uint64_t v = 0;
    for (size_t k = s.n; k-- > 0;)
        v = v << 8 | (unsigned char)s.p[k];
    return v;
}

uint8_t hn_read_u8(struct hn_reader *r)
{
    return (uint8_t)little(r, 1);
}

uint16_t hn_read_u16(struct hn_reader *r)
{
    return (uint16_t)little(r, 2);
}

uint32_t hn_read_u32(struct hn_reader *r)
{
    return (uint32_t)little(r, 4);
}

uint64_t hn_read_u64(struct hn_reader *r)
{
    return little(r, 8);
}

float hn_read_f32(struct hn_reader *r)
{
    uint32_t bits = hn_read_u32(r);
    float v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

double hn_read_f64(struct hn_reader *r)
{
    uint64_t bits = hn_read_u64(r);
    double v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

uint64_t hn_read_varint(struct hn_reader *r)
{
    uint64_t v = 0;
    for (int shift = 0; shift < 64; shift += 7) {
        uint8_t byte = hn_read_u8(r);
        v |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80))
            return v;
    }
    r->failed = true;
    return 0;
}

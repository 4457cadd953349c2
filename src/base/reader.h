/* The one cursor that every binary parser reads through.  Sticky: the first read past the end (or
 * the first explicit failure) sets `failed`; after it every read gives zero.  Check at the end of a
 * logical unit, and before trusting a count. */
#ifndef HN_BASE_READER_H
#define HN_BASE_READER_H

#include "base/str.h"

struct hn_reader {
    const unsigned char *data;
    size_t size, at;
    bool failed;
};

void hn_reader_init(struct hn_reader *r, const void *data, size_t size);
size_t hn_reader_left(const struct hn_reader *r);
uint8_t hn_read_u8(struct hn_reader *r);
uint16_t hn_read_u16(struct hn_reader *r); /* little-endian, as all below; data may be unaligned */
uint32_t hn_read_u32(struct hn_reader *r);
uint64_t hn_read_u64(struct hn_reader *r);
float hn_read_f32(struct hn_reader *r);
double hn_read_f64(struct hn_reader *r);
/* n bytes in place (borrowed from data); an empty view when failed. */
struct hn_str hn_read_bytes(struct hn_reader *r, uint64_t n);
void hn_read_skip(struct hn_reader *r, uint64_t n);
/* Protocol-buffers varint. */
uint64_t hn_read_varint(struct hn_reader *r);

#endif

/* SHA-256 and SHA-1 (FIPS 180-4), fed in pieces: the names that hubs and git give to files. */
#ifndef HN_BASE_SHA_H
#define HN_BASE_SHA_H

#include "base/compiler.h"

enum { HN_SHA256_HEX = 65, HN_SHA1_HEX = 41 }; /* lower-case digits and a NUL */

struct hn_sha {
    uint32_t state[8];
    uint64_t size;           /* bytes fed so far */
    unsigned char block[64]; /* what is left over of them */
    bool is_sha1;
};

void hn_sha256_init(struct hn_sha *s);
void hn_sha1_init(struct hn_sha *s);
void hn_sha_add(struct hn_sha *s, const void *p, size_t n);
/* The digest as hexadecimal; s is used up.  out: HN_SHA256_HEX or HN_SHA1_HEX bytes. */
void hn_sha_finish(struct hn_sha *s, char *out);

#endif

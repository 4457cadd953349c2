/* A growable byte buffer, always NUL-terminated.  Sticky: after a failed allocation it stays empty
 * and `failed`, and appends do nothing; check once at the end. */
#ifndef HN_BASE_BUF_H
#define HN_BASE_BUF_H

#include "base/compiler.h"

struct hn_buf {
    char *data; /* NULL until the first append */
    size_t len, cap;
    bool failed;
};

void hn_buf_init(struct hn_buf *b);
void hn_buf_release(struct hn_buf *b);
void hn_buf_clear(struct hn_buf *b); /* keeps the memory */
void hn_buf_add(struct hn_buf *b, const void *p, size_t n);
void hn_buf_add_str(struct hn_buf *b, const char *s);
void hn_buf_add_char(struct hn_buf *b, char c);
void hn_buf_printf(struct hn_buf *b, const char *fmt, ...) HN_PRINTF(2, 3);
/* Words, broken between them into lines of at most width columns, the first one begun at column
 * indent and each new one by as many spaces; a longer word stands on a line of its own. */
void hn_buf_wrap(struct hn_buf *b, const char *text, size_t indent, size_t width);
/* Room for n more bytes, zero-filled or not as they come; NULL on failure.  Add to len yourself. */
HN_MUST_USE char *hn_buf_reserve(struct hn_buf *b, size_t n);
/* The contents as a C string ("" when empty or failed); valid until the next change. */
const char *hn_buf_str(const struct hn_buf *b);
/* Move the contents out (hn_free them); NULL when the buffer has failed.  The buffer is empty then.
 */
HN_MUST_USE char *hn_buf_take(struct hn_buf *b);

#endif

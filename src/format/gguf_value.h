/* How the GGUF reader takes a metadata value from the file; shared by its two files alone. */
#ifndef HN_FORMAT_GGUF_VALUE_H
#define HN_FORMAT_GGUF_VALUE_H

#include "base/reader.h"
#include "format/gguf.h"

enum { HN_GGUF_MAX_DEPTH = 4 }; /* arrays inside arrays */

/* Take one value of this type (any number: an unknown one fails) from r; false, and r->failed, when
 * it is malformed.  depth is that of the enclosing array, 0 outside. */
bool hn_gguf_read_value(struct hn_reader *r, uint32_t type, int depth, struct hn_gguf_value *v);

#endif

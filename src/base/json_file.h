/* Files that hold one JSON object: configs of models, adapters, tokenizers and runs. */
#ifndef HN_BASE_JSON_FILE_H
#define HN_BASE_JSON_FILE_H

#include "base/json.h"

/* Read the object in the file at path, of at most max bytes, into the arena; *out is NULL when
 * there is no such file.  Errors name the file. */
HN_MUST_USE int hn_json_read_object(struct hn_arena *arena, const char *path, size_t max,
                                    struct hn_json **out, struct hone_err *err);

#endif

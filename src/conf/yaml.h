/* YAML as a small tree: block and flow collections and scalars, bounded in size, depth and nodes.
 * Anchors, aliases, tags, repeated keys and second documents are refused. */
#ifndef HN_CONF_YAML_H
#define HN_CONF_YAML_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

enum hn_yaml_kind { HN_YAML_SCALAR, HN_YAML_LIST, HN_YAML_MAP };
enum { HN_YAML_MAX_SIZE = 1 << 20, HN_YAML_MAX_DEPTH = 16, HN_YAML_MAX_NODES = 20000 };

struct hn_yaml {
    enum hn_yaml_kind kind;
    bool quoted;        /* a scalar in quotes is a string whatever it says */
    unsigned line;      /* from 1 */
    struct hn_str key;  /* within a map */
    struct hn_str text; /* of a scalar; NUL-terminated */
    size_t n;           /* children */
    struct hn_yaml *first, *next;
};

/* Parse text[n]; name is the file's, for messages ("NAME:LINE: …").  The tree lives in the arena.
 */
HN_MUST_USE int hn_yaml_parse(struct hn_arena *arena, const char *name, const char *text, size_t n,
                              struct hn_yaml **out, struct hone_err *err);

/* A plain null, ~ or nothing. */
bool hn_yaml_is_null(const struct hn_yaml *y);

#endif

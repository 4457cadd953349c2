/* What an expression comes to without running anything: a constant, a collection of such, the
 * result of a call (which is known by what was called and with what), or unknown. */
#ifndef HN_MIGRATE_PY_VALUE_H
#define HN_MIGRATE_PY_VALUE_H

#include "migrate/py_ast.h"

enum hn_py_type {
    HN_PY_UNKNOWN, /* path: the dotted name, where it is one ("torch.bfloat16"); else "" */
    HN_PY_NONE,
    HN_PY_BOOL,
    HN_PY_INT,
    HN_PY_FLOAT,
    HN_PY_STR,
    HN_PY_LIST, /* also sets */
    HN_PY_TUPLE,
    HN_PY_DICT,
    HN_PY_OBJECT, /* of a call: path: what was called; items: its arguments */
};

struct hn_py_item {
    struct hn_str key; /* of a dictionary, or a keyword argument; p NULL: positional */
    struct hn_py_value *value;
    bool later; /* set as an attribute after the call */
    unsigned cell, line;
    struct hn_py_item *next;
};

struct hn_py_value {
    enum hn_py_type type;
    bool conditional; /* depends on a condition that only the run decides; this is the likely one */
    bool space;       /* an object whose attributes are its items: a dataclass, parsed arguments */
    bool open;        /* a dictionary or call with more items than are known (**unknown) */
    bool own;         /* a call of the script's own function */
    bool shadow;      /* a call in a branch that the script's defaults do not take */
    bool boolean;
    unsigned pass; /* of a call: in which reading of the script it was met */
    int64_t integer;
    double number;
    double share;                    /* of an UNKNOWN: what part of another number it is, or 0 */
    struct hn_str text;              /* of a STR */
    struct hn_str path;              /* of UNKNOWN and OBJECT */
    struct hn_py_value *self;        /* what a method was called on, or what was indexed */
    struct hn_py_item *first, *last; /* of an UNKNOWN: what a loop gives it, one after the other */
    size_t n;
    struct hn_str source; /* the expression */
    unsigned cell, line;
};

enum { HN_PY_MAX_TEXT = 1 << 12, HN_PY_MAX_ITEMS = 1 << 10 };

/* All NULL only when the arena has failed. */
struct hn_py_value *hn_py_value_new(struct hn_arena *arena, enum hn_py_type type,
                                    const struct hn_py_node *node);
/* A number, true, false, null; else text. */
struct hn_py_value *hn_py_value_scalar(struct hn_arena *arena, struct hn_str text);
struct hn_py_value *hn_py_value_str(struct hn_arena *arena, const char *p, size_t n);
void hn_py_value_add(struct hn_arena *arena, struct hn_py_value *to, struct hn_str key,
                     struct hn_py_value *value, const struct hn_py_node *where);
/* All that is in it stands there now. */
void hn_py_value_place(struct hn_py_value *v, unsigned cell, unsigned line, unsigned depth);
/* The item of this key, the last one where there are several; NULL: none, or v is NULL. */
const struct hn_py_item *hn_py_value_find(const struct hn_py_value *v, const char *key);
const struct hn_py_value *hn_py_value_get(const struct hn_py_value *v, const char *key);
/* Positional argument or element i, or NULL. */
const struct hn_py_value *hn_py_value_at(const struct hn_py_value *v, size_t i);

bool hn_py_is_number(const struct hn_py_value *v, double *out);
bool hn_py_is_text(const struct hn_py_value *v, const char *text);
/* The same call, perhaps from another reading of the script. */
bool hn_py_is_same(const struct hn_py_value *a, const struct hn_py_value *b);
/* 1 true, 0 false, -1 unknown */
int hn_py_truth(const struct hn_py_value *v);
/* None, a number, text, or a collection of such alone. */
bool hn_py_is_constant(const struct hn_py_value *v);

/* As Python would write it, on one line; what is unknown as it stands in the source. */
void hn_py_value_show(struct hn_buf *out, const struct hn_py_value *v);
/* What follows the last dot. */
struct hn_str hn_py_last(struct hn_str path);
bool hn_str_contains(struct hn_str s, const char *part);
bool hn_str_has(struct hn_str s, struct hn_str part);
bool hn_str_ends(struct hn_str s, const char *end);
/* path is name, or ends in ".name" */
bool hn_py_path_ends(struct hn_str path, const char *name);

#endif

/* The values of the template language: Python's None, bool, int, float, str, list, tuple, dict and
 * the few objects that templates meet.  A value is 16 bytes and passed by copy; what it points to
 * lives in the arena of one rendering (or of the compiled template) and is never freed before it.
 * Lists, tuples and dicts do not change once a template can see them; namespaces and iterators do.
 */
#ifndef HN_TEXT_JINJA_VALUE_H
#define HN_TEXT_JINJA_VALUE_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/json.h"

enum hn_jv_kind {
    HN_JV_MISSING = 0, /* no value: an unset slot, an argument that was not given */
    HN_JV_UNDEF,
    HN_JV_NONE,
    HN_JV_BOOL,
    HN_JV_INT,
    HN_JV_BIG, /* an integer outside int64 */
    HN_JV_FLOAT,
    HN_JV_STR,
    HN_JV_LIST,
    HN_JV_TUPLE,
    HN_JV_DICT,
    HN_JV_VIEW, /* what dict.keys(), .values() and .items() give */
    HN_JV_RANGE,
    HN_JV_ITER, /* a generator or iterator: lazy, and consumed once */
    HN_JV_NAMESPACE,
    HN_JV_FUNC,   /* a global function */
    HN_JV_METHOD, /* a method with its receiver */
    HN_JV_MACRO,
    HN_JV_LOOP,
    HN_JV_CYCLER,
    HN_JV_JOINER,
};

struct hn_jv {
    uint8_t kind; /* enum hn_jv_kind */
    bool safe;    /* STR: went through |safe or |escape (Python's Markup) */
    union {
        bool b;
        int64_t i;
        double f;
        const struct hn_jstr *s;
        const struct hn_jbig *big;
        struct hn_jlist *list; /* LIST, TUPLE */
        struct hn_jdict *dict; /* DICT, NAMESPACE */
        const struct hn_jundef *undef;
        const struct hn_jview *view;
        const struct hn_jrange *range;
        struct hn_jiter *iter;
        const struct hn_jbuiltin *func;
        const struct hn_jmethod *method;
        const struct hn_jmacro *macro;
        struct hn_jloop *loop;
        struct hn_jcycler *cycler;
        struct hn_jjoiner *joiner;
    };
};

struct hn_jstr {
    const char *p; /* UTF-8, lone surrogates as WTF-8 */
    size_t n;      /* bytes */
    size_t n_cp;   /* code points; equal to n exactly when the text is ASCII */
};

struct hn_jlist {
    struct hn_jv *v;
    size_t n, cap;
};

struct hn_jpair {
    struct hn_jv key, value;
};

struct hn_jdict {
    struct hn_jpair *pairs; /* in order of insertion */
    size_t n, cap;
    uint32_t *index; /* open addressing, pair number + 1; NULL while the dict is small */
    size_t n_index;
};

struct hn_jundef {
    const char *hint;  /* a whole message, or NULL */
    const char *owner; /* type name of the object that lacked it; NULL: a plain name */
    struct hn_jv name; /* what was looked up; STR, or any key */
};

enum hn_jview_what { HN_VIEW_KEYS, HN_VIEW_VALUES, HN_VIEW_ITEMS };
struct hn_jview {
    const struct hn_jdict *dict;
    enum hn_jview_what what;
};

struct hn_jrange {
    int64_t start, stop, step, n;
};

struct hn_ji;
struct hn_jiter {
    /* 1 and *out, 0 at the end, or a negative code */
    int (*next)(struct hn_ji *ji, struct hn_jiter *it, struct hn_jv *out);
    const char *type_name;
    struct hn_jv src;
    size_t i, n;
    void *state;
};

struct hn_jmethod {
    struct hn_jv self;
    const struct hn_jbuiltin *builtin;
};

struct hn_jcycler {
    struct hn_jlist items;
    size_t pos;
};

struct hn_jjoiner {
    struct hn_jv sep;
    bool used;
};

static inline struct hn_jv hn_jv_none(void)
{
    return (struct hn_jv){.kind = HN_JV_NONE};
}
static inline struct hn_jv hn_jv_bool(bool b)
{
    return (struct hn_jv){.kind = HN_JV_BOOL, .b = b};
}
static inline struct hn_jv hn_jv_int(int64_t i)
{
    return (struct hn_jv){.kind = HN_JV_INT, .i = i};
}
static inline struct hn_jv hn_jv_float(double f)
{
    return (struct hn_jv){.kind = HN_JV_FLOAT, .f = f};
}
static inline bool hn_jv_is_int(struct hn_jv v) /* int or bool that fits int64 */
{
    return v.kind == HN_JV_INT || v.kind == HN_JV_BOOL;
}
static inline int64_t hn_jv_as_int(struct hn_jv v)
{
    return v.kind == HN_JV_BOOL ? v.b : v.i;
}
static inline bool hn_jv_is_number(struct hn_jv v)
{
    return hn_jv_is_int(v) || v.kind == HN_JV_BIG || v.kind == HN_JV_FLOAT;
}
static inline bool hn_jv_is_str(struct hn_jv v, const char *s)
{
    return v.kind == HN_JV_STR && hn_str_is((struct hn_str){v.s->p, v.s->n}, s);
}

/* The type's Python name: "str", "list", "Undefined"…; for messages. */
const char *hn_jv_type_name(struct hn_jv v);

/* A string over bytes that outlive it; in arena.  HONE_NO_MEMORY when the arena is full. */
HN_MUST_USE int hn_jv_str_view(struct hn_arena *arena, const char *p, size_t n, struct hn_jv *out);

/* All functions below return 0 or a negative code, with the sentence in ji's error. */

/* Strings: a copy of n bytes, a C string, the content of a buffer (which is released, always). */
HN_MUST_USE int hn_jv_str(struct hn_ji *ji, const char *p, size_t n, struct hn_jv *out);
HN_MUST_USE int hn_jv_cstr(struct hn_ji *ji, const char *s, struct hn_jv *out);
HN_MUST_USE int hn_jv_str_take(struct hn_ji *ji, struct hn_buf *b, struct hn_jv *out);

/* A new empty list (or tuple) with room for n; push appends. */
HN_MUST_USE int hn_jv_list(struct hn_ji *ji, enum hn_jv_kind kind, size_t n, struct hn_jv *out);
HN_MUST_USE int hn_jv_push(struct hn_ji *ji, struct hn_jlist *l, struct hn_jv v);
HN_MUST_USE int hn_jv_pair(struct hn_ji *ji, struct hn_jv a, struct hn_jv b, struct hn_jv *out);

HN_MUST_USE int hn_jv_dict(struct hn_ji *ji, struct hn_jv *out);
/* Insert or replace; a key that Python cannot hash is an error. */
HN_MUST_USE int hn_jdict_set(struct hn_ji *ji, struct hn_jdict *d, struct hn_jv key,
                             struct hn_jv v);
HN_MUST_USE int hn_jdict_set_str(struct hn_ji *ji, struct hn_jdict *d, const char *key,
                                 struct hn_jv v);
/* The value of a key, or NULL (also for keys that cannot be hashed). */
const struct hn_jv *hn_jdict_get(const struct hn_jdict *d, struct hn_jv key);
const struct hn_jv *hn_jdict_get_str(const struct hn_jdict *d, struct hn_str key);
bool hn_jv_hashable(struct hn_jv v);

/* Undefined, as `name`, as the attribute or item `name` of an object, or with a message of its own.
 */
HN_MUST_USE int hn_jv_undef(struct hn_ji *ji, struct hn_str name, struct hn_jv *out);
HN_MUST_USE int hn_jv_undef_of(struct hn_ji *ji, struct hn_jv obj, struct hn_jv name,
                               struct hn_jv *out);
HN_MUST_USE int hn_jv_undef_hint(struct hn_ji *ji, const char *hint, struct hn_jv *out);
/* Fail as Python does when v (UNDEF) is used. */
int hn_jv_undef_fail(struct hn_ji *ji, struct hn_jv v);

/* The tree of j; strings are borrowed from it. */
HN_MUST_USE int hn_jv_from_json(struct hn_ji *ji, const struct hn_json *j, struct hn_jv *out);

bool hn_jv_truth(struct hn_jv v);
/* == of Python.  Errors: too deep, too long. */
HN_MUST_USE int hn_jv_equal(struct hn_ji *ji, struct hn_jv a, struct hn_jv b, bool *out);
/* *out is negative, 0 or positive for a < b, a == b, a > b; types that have no order are an error.
 * NaN: *out is 2. */
HN_MUST_USE int hn_jv_compare(struct hn_ji *ji, struct hn_jv a, struct hn_jv b, int *out);
/* len(v); false when it has none. */
bool hn_jv_len(struct hn_jv v, size_t *out);
/* a is b */
bool hn_jv_same(struct hn_jv a, struct hn_jv b);

/* Append str(v), repr(v), or json.dumps(v, …) to out. */
HN_MUST_USE int hn_jv_add_str(struct hn_ji *ji, struct hn_buf *out, struct hn_jv v);
HN_MUST_USE int hn_jv_add_repr(struct hn_ji *ji, struct hn_buf *out, struct hn_jv v);
struct hn_jdump {
    struct hn_str indent; /* one level's indentation; used when has_indent */
    struct hn_str item_sep, key_sep;
    bool has_indent, ensure_ascii, sort_keys;
};
HN_MUST_USE int hn_jv_add_json(struct hn_ji *ji, struct hn_buf *out, struct hn_jv v,
                               const struct hn_jdump *d);
/* str(v) as a value; v itself when it is a string. */
HN_MUST_USE int hn_jv_to_str(struct hn_ji *ji, struct hn_jv v, struct hn_jv *out);

#endif

/* A bounded interpreter of the Jinja2 language as chat templates use it: what transformers'
 * sandboxed, immutable environment renders (trim_blocks, lstrip_blocks, break/continue, {%
 * generation %}), byte for byte, with Python's semantics.  Not there: template inheritance, include
 * and import, autoescape. Every loop, recursion and allocation is bounded, so no template can hang
 * or exhaust the program. */
#ifndef HN_TEXT_JINJA_H
#define HN_TEXT_JINJA_H

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"

enum hn_jinja_limits {
    HN_JINJA_MAX_SOURCE = 1 << 20,   /* bytes of a template */
    HN_JINJA_MAX_OUTPUT = 32 << 20,  /* bytes it may write, and that captured blocks may hold */
    HN_JINJA_MAX_MEMORY = 192 << 20, /* bytes that one rendering may hold */
    HN_JINJA_MAX_STEPS = 50000000,   /* evaluations, iterations and blocks of 64 bytes handled */
    HN_JINJA_MAX_DEPTH = 500,        /* nested evaluations */
    HN_JINJA_MAX_NESTING = 100,      /* nested brackets and blocks in the source */
};

struct hn_jinja; /* a compiled template: immutable, may be shared between threads */

/* Compile source[n].  Failures name the line. */
HN_MUST_USE int hn_jinja_open(struct hn_jinja **out, const char *source, size_t n,
                              struct hone_err *err);
void hn_jinja_close(struct hn_jinja **t);
/* Does it have {% generation %} blocks? */
bool hn_jinja_marks_generation(const struct hn_jinja *t);

struct hn_jinja_var { /* a variable of the rendering: value, else text, else None */
    const char *name;
    const struct hn_json *value;
    const char *text;
    bool is_bool, boolean;
};

struct hn_jinja_mark { /* bytes of the output that a {% generation %} block wrote */
    size_t start, end;
};

struct hn_jinja_marks {
    struct hn_jinja_mark *items; /* hn_free */
    size_t n, cap;
    bool nested; /* one stood inside a macro or captured block, and could not be placed */
};

struct hn_jinja_env {
    const struct hn_jinja_var *vars; /* a later one of the same name wins */
    size_t n_vars;
    int64_t now;                  /* strftime_now's clock, seconds since 1970; 0: the system's */
    struct hn_jinja_marks *marks; /* NULL: not wanted */
};

/* Append what the template writes to out, which is untouched on failure. */
HN_MUST_USE int hn_jinja_render(const struct hn_jinja *t, const struct hn_jinja_env *env,
                                struct hn_buf *out, struct hone_err *err);

#endif

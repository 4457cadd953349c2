/* The words of Python source: names, numbers, strings, operators, ends of logical lines.  Shell and
 * magic lines of notebooks are skipped.  It understands what is written, and runs nothing. */
#ifndef HN_MIGRATE_PY_LEX_H
#define HN_MIGRATE_PY_LEX_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

enum hn_py_token_type {
    HN_PY_END,
    HN_PY_NEWLINE, /* of a logical line */
    HN_PY_NAME,
    HN_PY_NUMBER,
    HN_PY_STRING,
    HN_PY_OP,
};

enum hn_py_string_flags {
    HN_PY_RAW = 1,
    HN_PY_FORMAT = 2, /* an f-string: text is undecoded, braces and all */
    HN_PY_BYTES = 4,
};

struct hn_py_token {
    enum hn_py_token_type type;
    unsigned char flags;     /* of a string */
    unsigned line;           /* from 1, within its unit */
    unsigned indent;         /* column of the first token of this logical line */
    struct hn_str text;      /* as written; of a STRING what stands within the quotes */
    const char *begin, *end; /* the whole token in the source */
};

/* A piece of source: a script, or one cell of a notebook. */
struct hn_py_source {
    struct hn_str text;
    unsigned cell; /* from 1; 0: not of a notebook */
};

/* The list ends with a few ENDs, so that a reader may look ahead without asking. */
enum { HN_PY_MAX_TOKENS = 1 << 20, HN_PY_LOOKAHEAD = 4 };

struct hn_py_tokens {
    struct hn_py_token *items;
    size_t n;
    unsigned bad_line;    /* 0, or where the source stopped making sense */
    const char *bad_why;  /* what was found there */
    unsigned shell_lines; /* skipped */
};

/* All tokens of one piece, ENDs last, in the arena.  What cannot be read ends the list early, with
 * bad_line set; only memory fails. */
HN_MUST_USE int hn_py_lex(struct hn_arena *arena, const struct hn_py_source *source,
                          struct hn_py_tokens *out, struct hone_err *err);

/* The closing brace of the field of an f-string whose inside begins at p; *expression is where the
 * expression in it has ended.  NULL: there is none. */
const char *hn_py_field_end(const char *p, const char *end, const char **expression);

/* Move the buffer's text into the arena, NUL-terminated, and release it.  The arena has failed when
 * the buffer had, so that nothing is lost in silence. */
struct hn_str hn_py_take_text(struct hn_arena *arena, struct hn_buf *text);

/* The text of a string token with its escapes decoded. */
struct hn_str hn_py_unescape(struct hn_arena *arena, struct hn_str text, int flags);

#endif

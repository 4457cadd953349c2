/* Tokens and syntax tree of a template, and the passes that make them: text -> tokens -> tree ->
 * tree with every name bound to a slot.  All of it lives in the arena of the compiled template. */
#ifndef HN_TEXT_JINJA_AST_H
#define HN_TEXT_JINJA_AST_H

#include "base/err.h"
#include "jinja/jinja.h"
#include "jinja/jinja_value.h"

/* Operators are their own characters; two-character ones and the rest have names. */
enum hn_jtok_kind {
    HN_JTOK_EOF = 1,
    HN_JTOK_DATA,
    HN_JTOK_BLOCK_BEGIN,
    HN_JTOK_BLOCK_END,
    HN_JTOK_VAR_BEGIN,
    HN_JTOK_VAR_END,
    HN_JTOK_NAME,
    HN_JTOK_STRING,
    HN_JTOK_INT,
    HN_JTOK_FLOAT,
    HN_JTOK_POW = 128,
    HN_JTOK_FLOORDIV,
    HN_JTOK_EQ,
    HN_JTOK_NE,
    HN_JTOK_LE,
    HN_JTOK_GE,
};

struct hn_jtok {
    int kind; /* enum hn_jtok_kind, or a character */
    int line;
    struct hn_str text; /* DATA, STRING: the final text; NAME, INT, FLOAT: as written */
};

/* Split text (valid UTF-8) into tokens, EOF last.  *toks belongs to the caller (hn_free). */
HN_MUST_USE int hn_jinja_lex(struct hn_arena *arena, const char *text, size_t n,
                             struct hn_jtok **toks, size_t *n_toks, struct hone_err *err);

enum hn_jnode_kind {
    /* expressions */
    HN_JN_CONST,   /* value */
    HN_JN_NAME,    /* name; up, slot */
    HN_JN_NSREF,   /* name.attr as an assignment target: name, attr; up, slot */
    HN_JN_TUPLE,   /* items */
    HN_JN_LIST,    /* items */
    HN_JN_DICT,    /* items: key, value, key, value… */
    HN_JN_BINARY,  /* op; a, b */
    HN_JN_UNARY,   /* op '+' '-'; a */
    HN_JN_NOT,     /* a */
    HN_JN_AND,     /* a, b */
    HN_JN_OR,      /* a, b */
    HN_JN_CONCAT,  /* items */
    HN_JN_COMPARE, /* a; items: operands, each with its op in .op (node COMPARE_ARM, a) */
    HN_JN_ARM,     /* op; a */
    HN_JN_COND,    /* a if b else c (may be NULL) */
    HN_JN_ATTR,    /* a.name */
    HN_JN_ITEM,    /* a[b] */
    HN_JN_SLICE,   /* a:b:c, each may be NULL */
    HN_JN_CALL,    /* a(items, more, *b, **c) */
    HN_JN_FILTER,  /* a|name(items, more, *b, **c); a NULL: a filter block's content */
    HN_JN_TEST,    /* a is name(items, more, *b, **c) */
    HN_JN_KEYWORD, /* name=a */
    /* statements */
    HN_JN_OUTPUT,    /* items: expressions to print */
    HN_JN_IF,        /* a; body; more (else; an elif is an IF alone in more) */
    HN_JN_FOR,       /* a target, b iterable, c test or NULL (items: the target bound for the test);
                      * body; more (else); flag: recursive */
    HN_JN_SET,       /* a target, b value */
    HN_JN_SETBLOCK,  /* a target, b filter or NULL; body */
    HN_JN_MACRO,     /* name; items: parameters, more: defaults of the last ones; body; up, slot */
    HN_JN_CALLBLOCK, /* a: the call; items, more, body as MACRO */
    HN_JN_GENERATION,  /* body as MACRO */
    HN_JN_FILTERBLOCK, /* a: the filter; body */
    HN_JN_WITH,        /* items: targets, more: values; body */
    HN_JN_BREAK,
    HN_JN_CONTINUE,
};

struct hn_jnode {
    uint8_t kind; /* enum hn_jnode_kind */
    bool flag;
    uint8_t param_flags; /* MACRO, CALLBLOCK: enum hn_jmacro_flags */
    uint16_t up;         /* NAME…: functions outwards */
    uint16_t height;     /* expressions: levels of the tree below, this one included */
    int op;              /* token kind; 'i' in, 'n' not in */
    int line;
    uint32_t slot;
    struct hn_str name, attr;
    struct hn_jv value;
    struct hn_jnode *a, *b, *c;
    struct hn_jnode **items, **body, **more;
    size_t n_items, n_body, n_more;
    struct hn_jframe *frame, *frame2, *frame3; /* body; FOR: else, test */
    struct hn_jfunc *func;                     /* MACRO, CALLBLOCK, GENERATION, recursive FOR */
    const struct hn_jbuiltin *builtin;         /* FILTER, TEST: NULL when unknown */
};

enum hn_jmacro_flags { HN_MACRO_CALLER = 1, HN_MACRO_KWARGS = 2, HN_MACRO_VARARGS = 4 };

/* How a frame's names start: Jinja decides this when it compiles, and so do we. */
enum hn_jload_action { HN_LOAD_PARAM, HN_LOAD_RESOLVE, HN_LOAD_ALIAS, HN_LOAD_UNDEFINED };
struct hn_jload {
    struct hn_str name;
    uint32_t slot, from_slot;
    uint16_t from_up;
    uint8_t action;
};
struct hn_jframe {
    struct hn_jload *loads;
    size_t n, cap;
    uint32_t loop_slot;  /* FOR's body frame: where `loop` lives */
    uint32_t special[3]; /* MACRO: slots of caller, kwargs, varargs */
};
struct hn_jfunc {
    uint32_t n_slots;
};

struct hn_jinja {
    struct hn_arena arena;
    struct hn_jnode **body;
    size_t n_body;
    struct hn_jframe *frame;
    struct hn_jfunc *func;
    bool marks_generation;
};

/* The parser's state; jinja_parse.c (statements) and jinja_expr.c (expressions) share it. */
struct hn_jparser {
    struct hn_arena *arena;
    const struct hn_jtok *toks; /* EOF last */
    size_t i;
    int depth;
    struct hone_err *err;
    int code;
    struct hn_jnode **stack; /* lists under construction */
    size_t n_stack, cap_stack;
    bool marks_generation;
};

/* All return NULL (or a negative code) on failure, with p->code set. */
struct hn_jnode *hn_jparse_node(struct hn_jparser *p, enum hn_jnode_kind kind, int line);
int hn_jparse_fail(struct hn_jparser *p, int line, const char *fmt, ...) HN_PRINTF(3, 4);
int hn_jparse_push(struct hn_jparser *p, struct hn_jnode *n);
/* Move the nodes above base off the stack into an arena array. */
int hn_jparse_pop(struct hn_jparser *p, size_t base, struct hn_jnode ***items, size_t *n);
bool hn_jparse_is_name(const struct hn_jparser *p, const char *name);
bool hn_jparse_skip(struct hn_jparser *p, int kind);
bool hn_jparse_skip_name(struct hn_jparser *p, const char *name);
int hn_jparse_expect(struct hn_jparser *p, int kind);
int hn_jparse_enter(struct hn_jparser *p); /* one level deeper; pair with p->depth-- */
/* "';'", "the end of the template"… into buf */
const char *hn_jparse_describe(const struct hn_jtok *t, char *buf, size_t size);

/* An expression that is complete: its height is taken, and bounded.  NULL stays NULL. */
struct hn_jnode *hn_jparse_done(struct hn_jparser *p, struct hn_jnode *n);
/* .name, [key] and (call) behind n; |filter, is test and (call) behind n */
struct hn_jnode *hn_jparse_postfix(struct hn_jparser *p, struct hn_jnode *n);
struct hn_jnode *hn_jparse_filter_expr(struct hn_jparser *p, struct hn_jnode *n);
struct hn_jnode *hn_jparse_expression(struct hn_jparser *p, bool with_condition);
struct hn_jnode *hn_jparse_primary(struct hn_jparser *p, bool with_namespace);
/* end_name: a name that also ends the tuple, or NULL */
struct hn_jnode *hn_jparse_tuple(struct hn_jparser *p, bool simplified, bool with_condition,
                                 const char *end_name, bool parentheses, bool with_namespace);
/* `name(args)|name…` after the first bar is read; node may be NULL */
struct hn_jnode *hn_jparse_filters(struct hn_jparser *p, struct hn_jnode *node, bool inline_start);

HN_MUST_USE int hn_jinja_parse(struct hn_jparser *p, struct hn_jnode ***body, size_t *n);

/* Bind names to slots and filters and tests to their functions. */
HN_MUST_USE int hn_jinja_bind(struct hn_jinja *t, struct hone_err *err);

#endif

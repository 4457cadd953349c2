/* Python expressions and statements as a tree in an arena.  Statements are a flat list with their
 * indentation: bodies of loops, functions and classes are read where they stand. */
#ifndef HN_MIGRATE_PY_AST_H
#define HN_MIGRATE_PY_AST_H

#include "migrate/py_lex.h"

enum hn_py_node_kind {
    HN_PY_N_NAME,     /* text */
    HN_PY_N_NUMBER,   /* text */
    HN_PY_N_STRING,   /* text, decoded */
    HN_PY_N_FSTRING,  /* children: STRING and expressions */
    HN_PY_N_CONSTANT, /* text: None, True, False, ... */
    HN_PY_N_TUPLE,    /* children */
    HN_PY_N_LIST,
    HN_PY_N_SET,
    HN_PY_N_DICT,      /* children: PAIR, or DSTAR */
    HN_PY_N_PAIR,      /* a: key, b: value */
    HN_PY_N_CALL,      /* a: what is called; children: expressions, STAR, DSTAR, KEYWORD */
    HN_PY_N_KEYWORD,   /* text: name, a: value */
    HN_PY_N_STAR,      /* a */
    HN_PY_N_DSTAR,     /* a */
    HN_PY_N_ATTRIBUTE, /* a . text */
    HN_PY_N_INDEX,     /* a [ b ]; b NULL for a slice with parts left out */
    HN_PY_N_SLICE,     /* children: start, stop (each may be a NONE) */
    HN_PY_N_UNARY,     /* text: + - ~ not, a */
    HN_PY_N_BINARY,    /* text: the operator, "and", "or", "in", "is"…; a, b */
    HN_PY_N_TERNARY,   /* a if b else c */
    HN_PY_N_LAMBDA,    /* a: the body; of an f-string: a with the format in text */
    HN_PY_N_LOOP,      /* a comprehension: a: the element; children: PAIR (targets, what they run
                          over) and conditions */
    HN_PY_N_WALRUS,    /* text := a */
};

struct hn_py_node {
    enum hn_py_node_kind kind;
    unsigned cell, line;
    struct hn_str text;
    struct hn_str source; /* as written */
    struct hn_py_node *a, *b, *c;
    struct hn_py_node *first, *next; /* children; the next sibling */
    size_t n;
};

enum hn_py_statement_kind {
    HN_PY_S_EXPRESSION, /* value */
    HN_PY_S_ASSIGN,     /* targets (one or more, chained) = value */
    HN_PY_S_AUGMENT,    /* targets op= value; op in text */
    HN_PY_S_IF,         /* value: the condition; also elif, while */
    HN_PY_S_ELSE,
    HN_PY_S_FOR,    /* targets in value */
    HN_PY_S_WITH,   /* value as targets, for each item */
    HN_PY_S_DEF,    /* text: name; targets: parameters (KEYWORD: with its default) */
    HN_PY_S_CLASS,  /* text: name */
    HN_PY_S_IMPORT, /* text: dotted name, targets: NAME it is known by */
    HN_PY_S_OTHER,  /* return and the like: value, may be NULL */
    HN_PY_S_BAD,    /* not understood: source */
};

struct hn_py_statement {
    enum hn_py_statement_kind kind;
    bool is_elif;
    unsigned cell, line, indent;
    struct hn_str text, source;
    struct hn_py_node *targets; /* a list by next */
    struct hn_py_node *value;
    struct hn_py_statement *next;
};

struct hn_py_module {
    struct hn_py_statement *first, *last;
    size_t n_statements, n_bad;
};

enum { HN_PY_MAX_DEPTH = 100 };

/* Parse one piece and add its statements to the module.  What is not understood becomes a BAD
 * statement; only memory fails. */
HN_MUST_USE int hn_py_parse(struct hn_arena *arena, const struct hn_py_source *source,
                            const struct hn_py_tokens *tokens, struct hn_py_module *module,
                            struct hone_err *err);

/* An expression in text (the inside of an f-string's braces); NULL when it is none. */
struct hn_py_node *hn_py_parse_expression(struct hn_arena *arena, struct hn_str text, unsigned cell,
                                          unsigned line, unsigned depth);

#endif

/* Inside the parser: the cursor that expressions and statements share. */
#ifndef HN_MIGRATE_PY_PARSE_H
#define HN_MIGRATE_PY_PARSE_H

#include "migrate/py_ast.h"

struct hn_py_parser {
    struct hn_arena *arena;
    const struct hn_py_token *t; /* the next one; the last is END */
    unsigned cell, depth;
    unsigned line_offset; /* added to lines: of f-strings within a source */
    bool failed;          /* this statement is not understood */
};

bool hn_py_is(const struct hn_py_parser *p, const char *op);
bool hn_py_is_word(const struct hn_py_parser *p, const char *word);
bool hn_py_take(struct hn_py_parser *p, const char *op);
bool hn_py_take_word(struct hn_py_parser *p, const char *word);
void hn_py_expect(struct hn_py_parser *p, const char *op);

struct hn_py_node *hn_py_node_new(struct hn_py_parser *p, enum hn_py_node_kind kind);
/* The source from the token `from` to the last one taken. */
struct hn_str hn_py_source_from(const struct hn_py_parser *p, const struct hn_py_token *from);

/* test, test … with a tuple where there is a comma; stars allowed */
struct hn_py_node *hn_py_parse_list(struct hn_py_parser *p);
/* one test (no comma) */
struct hn_py_node *hn_py_parse_test(struct hn_py_parser *p);
/* what may stand left of `in` in a for: no comparison */
struct hn_py_node *hn_py_parse_targets(struct hn_py_parser *p);
/* the same, of one: after as */
struct hn_py_node *hn_py_parse_target(struct hn_py_parser *p);
/* what follows the name of a class, keywords too: a TUPLE */
struct hn_py_node *hn_py_parse_bases(struct hn_py_parser *p);

#endif

/* Reading a script in the order in which it would run, with constants carried through variables:
 * what is assigned where, and every call with its arguments. */
#ifndef HN_MIGRATE_PY_EVAL_H
#define HN_MIGRATE_PY_EVAL_H

#include "migrate/py_value.h"

/* Names and their values; inner scopes can be left again. */
struct hn_py_names {
    struct hn_py_name **buckets; /* [HN_PY_BUCKETS] */
    struct hn_py_name *newest;
    size_t n;
};
enum { HN_PY_PASSES = 3 };
enum { HN_PY_MODULI = 16 };
enum { HN_PY_BUCKETS = 4096, HN_PY_MAX_STEPS = 1 << 20, HN_PY_MAX_CALLS = 1 << 16 };

struct hn_py_call {
    const struct hn_py_value *object; /* path and arguments */
    const char *function;             /* the def that it stands in; NULL: none */
    struct hn_py_call *next;
};

/* Something assigned to an attribute of what is not known: model.config.use_cache = False. */
struct hn_py_attribute {
    struct hn_str path, source;
    const struct hn_py_value *value, *owner;
    unsigned cell, line;
    struct hn_py_attribute *next;
};

struct hn_py_program {
    struct hn_arena *arena;
    const char *path; /* of the script, its __file__; NULL: it has none */
    struct hn_py_value *(*config)(void *of, const char *path); /* that it reads; NULL: none is */
    void *config_of;
    struct hn_py_names names;       /* variables */
    struct hn_py_names attributes;  /* by dotted path: self.tokenizer */
    struct hn_py_names options;     /* defaults of argparse options, fields of dataclasses */
    struct hn_py_names classes;     /* class NAME: its fields, as a DICT */
    struct hn_py_names returns;     /* what a def returns */
    struct hn_py_names first_calls; /* how a def is called: OBJECT */
    struct hn_py_names defs;        /* the script's own functions */
    struct hn_py_names later;       /* variables as the first reading left them */
    struct hn_py_call *calls, **calls_tail;
    struct hn_py_attribute *sets, **sets_tail;
    size_t n_calls, steps;
    int64_t loss_over;            /* what a loss was divided by last; 0: nothing */
    int64_t moduli[HN_PY_MODULI]; /* what was counted modulo: step % 8 == 0 */
    size_t n_moduli;
    unsigned pass;                 /* which reading this is, from 1 */
    bool shadow;                   /* within a branch that is not taken */
    const char *in_class;          /* the class that is being read */
    bool maybe;                    /* within what a condition of the run decides */
    bool weak;                     /* the less likely branch: known values stay */
    size_t scope;                  /* where the names of the function begin that is being read */
    const char *in_def;            /* the function that is being read */
    const struct hn_py_value *eos; /* where the end token was put into a text; NULL: nowhere */
};

HN_MUST_USE int hn_py_program_init(struct hn_py_program *p, struct hn_arena *arena,
                                   struct hone_err *err);
/* Read the module several times over: to learn how functions are called, and with what. */
void hn_py_program_read(struct hn_py_program *p, const struct hn_py_module *m);

/* Is this call within a function of the script that nothing refers to? */
bool hn_py_is_unused(const struct hn_py_program *p, const struct hn_py_call *call);

/* ---- within ---------------------------------------------------------------------------------- */

struct hn_py_value *hn_py_names_get(const struct hn_py_names *names, struct hn_str name);
void hn_py_names_set(struct hn_arena *arena, struct hn_py_names *names, struct hn_str name,
                     struct hn_py_value *value, size_t scope);
/* Leave the names that were added since there were n. */
void hn_py_names_leave(struct hn_py_names *names, size_t n);

struct hn_py_value *hn_py_eval(struct hn_py_program *p, const struct hn_py_node *node);
/* The value of a call of something well known (os.path.join, str.lower, dict…); NULL: it is none.
 */
struct hn_py_value *hn_py_builtin(struct hn_py_program *p, const struct hn_py_node *node,
                                  struct hn_py_value *call);
/* Keep a call for those who ask for it. */
void hn_py_record(struct hn_py_program *p, const struct hn_py_value *object);
/* Assign to a name, an attribute, an item, or a tuple of such. */
void hn_py_assign(struct hn_py_program *p, const struct hn_py_node *target,
                  struct hn_py_value *value, const struct hn_py_node *where);
struct hn_py_value *hn_py_binary(struct hn_py_program *p, const struct hn_py_node *node,
                                 struct hn_str op, struct hn_py_value *a, struct hn_py_value *b);

#endif

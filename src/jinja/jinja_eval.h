/* The interpreter's state and the functions that its files share.  Functions return 0 or a negative
 * code (then ji->err holds the sentence, with the line). */
#ifndef HN_TEXT_JINJA_EVAL_H
#define HN_TEXT_JINJA_EVAL_H

#include "jinja/jinja.h"
#include "jinja/jinja_value.h"

struct hn_jnode;

struct hn_ji { /* one rendering */
    struct hn_arena *arena;
    struct hone_err *err;
    int code; /* the failure, 0 while there is none */
    int line; /* of the node being evaluated */
    int depth;
    uint64_t steps;
    struct hn_jdict *vars; /* the rendering's variables and the global functions */
    struct hn_buf *out;    /* where output goes now */
    struct hn_buf *root;   /* where the final text goes */
    size_t root_start;     /* its length before the rendering */
    size_t captured;       /* bytes in buffers of captured blocks */
    int64_t now;
    struct hn_jinja_marks *marks;
};

struct hn_jact { /* the slots of one function that is running, or that a macro has closed over */
    struct hn_jact *up;
    struct hn_jv slots[];
};

struct hn_jargs { /* of a call */
    struct hn_jv *pos;
    size_t n_pos;
    struct hn_jpair *named; /* keys are STR */
    size_t n_named;
};

struct hn_jmacro {
    const struct hn_jnode *node; /* MACRO or CALLBLOCK */
    struct hn_jact *act;         /* of its definition */
};

struct hn_jloop {
    struct hn_jv iterable;
    struct hn_jiter *it;
    int64_t index0, length;              /* length -1: not known yet */
    struct hn_jv before, current, after; /* MISSING: none */
    struct hn_jv changed;                /* last value of changed(), a tuple */
    int depth0;
    const struct hn_jnode *node; /* the FOR; for loop(…) */
    struct hn_jact *act;         /* in which a recursive loop was defined */
};

/* A function written in C.  `params` names the parameters in order, separated by spaces; those
 * after
 * "|" may be left out (argv is MISSING then).  NULL params: the function takes args as they come. A
 * leading '-' means that names cannot be used in a call.  argv[0] of a method or filter is its
 * receiver, which params does not name for a method, and does for a filter or test. */
struct hn_jcall {
    struct hn_jv self;           /* methods */
    struct hn_jv *argv;          /* bound by params */
    const struct hn_jargs *args; /* as they came */
};
struct hn_jbuiltin {
    const char *name;
    int (*fn)(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out);
    const char *params;
};

/* ---- errors and bounds (jinja_run.c) ---- */
int hn_ji_fail(struct hn_ji *ji, const char *fmt, ...) HN_PRINTF(2, 3);
int hn_ji_no_memory(struct hn_ji *ji);
/* Count work: one evaluation, or `bytes` handled. */
HN_MUST_USE int hn_ji_step(struct hn_ji *ji, size_t bytes);
HN_MUST_USE int hn_ji_enter(struct hn_ji *ji); /* one level deeper; pair with hn_ji_leave */
void hn_ji_leave(struct hn_ji *ji);
/* Arena memory, zeroed; NULL with the error set. */
HN_MUST_USE void *hn_ji_alloc(struct hn_ji *ji, size_t n, size_t size);
/* Append to the current output, within its limit. */
HN_MUST_USE int hn_ji_write(struct hn_ji *ji, const char *p, size_t n);

/* ---- expressions and statements (jinja_eval.c, jinja_exec.c, jinja_loop.c, jinja_macro.c) ---- */
HN_MUST_USE int hn_ji_eval(struct hn_ji *ji, struct hn_jact *act, const struct hn_jnode *n,
                           struct hn_jv *out);
HN_MUST_USE int hn_ji_args(struct hn_ji *ji, struct hn_jact *act, const struct hn_jnode *n,
                           size_t reserve, struct hn_jargs *args);
/* A filter node on a value. */
HN_MUST_USE int hn_ji_filter_node(struct hn_ji *ji, struct hn_jact *act, const struct hn_jnode *n,
                                  struct hn_jv value, struct hn_jv *out);
enum hn_ji_flow { HN_FLOW_NEXT = 0, HN_FLOW_BREAK = 1, HN_FLOW_CONTINUE = 2 }; /* or negative */
/* Where the variable of this node is kept. */
struct hn_jv *hn_ji_slot(struct hn_jact *act, const struct hn_jnode *n);
int hn_ji_exec(struct hn_ji *ji, struct hn_jact *act, struct hn_jnode *const *body, size_t n);
int hn_ji_assign(struct hn_ji *ji, struct hn_jact *act, const struct hn_jnode *target,
                 struct hn_jv v);
struct hn_jframe;
void hn_ji_enter_frame(struct hn_ji *ji, struct hn_jact *act, const struct hn_jframe *f);
struct hn_jact *hn_ji_act(struct hn_ji *ji, struct hn_jact *up, size_t n_slots);
/* Send output to a fresh buffer until release; release restores and gives the text. */
struct hn_ji_capture {
    struct hn_buf buf;
    struct hn_buf *before;
};
void hn_ji_capture_begin(struct hn_ji *ji, struct hn_ji_capture *c);
HN_MUST_USE int hn_ji_capture_end(struct hn_ji *ji, struct hn_ji_capture *c, int flow,
                                  struct hn_jv *text);
int hn_ji_for(struct hn_ji *ji, struct hn_jact *act, const struct hn_jnode *n);
HN_MUST_USE int hn_ji_loop_call(struct hn_ji *ji, struct hn_jloop *loop,
                                const struct hn_jargs *args, struct hn_jv *out);
HN_MUST_USE int hn_ji_loop_attr(struct hn_ji *ji, struct hn_jloop *loop, struct hn_str name,
                                bool *found, struct hn_jv *out);
HN_MUST_USE int hn_ji_loop_length(struct hn_ji *ji, struct hn_jloop *loop, int64_t *out);
HN_MUST_USE int hn_ji_macro_call(struct hn_ji *ji, const struct hn_jmacro *m,
                                 const struct hn_jargs *args, struct hn_jv *out);
HN_MUST_USE int hn_ji_generation(struct hn_ji *ji, struct hn_jact *act, const struct hn_jnode *n);

/* ---- operators and access (jinja_ops.c, jinja_access.c) ---- */
HN_MUST_USE int hn_ji_binary(struct hn_ji *ji, int op, struct hn_jv a, struct hn_jv b,
                             struct hn_jv *out);
HN_MUST_USE int hn_ji_contains(struct hn_ji *ji, struct hn_jv item, struct hn_jv in, bool *out);
HN_MUST_USE int hn_ji_getattr(struct hn_ji *ji, struct hn_jv obj, struct hn_str name,
                              struct hn_jv *out);
HN_MUST_USE int hn_ji_getitem(struct hn_ji *ji, struct hn_jv obj, struct hn_jv key,
                              struct hn_jv *out);
/* parts are MISSING where not written */
HN_MUST_USE int hn_ji_slice(struct hn_ji *ji, struct hn_jv obj, const struct hn_jv part[3],
                            struct hn_jv *out);

/* ---- iteration (jinja_iter.c) ---- */
HN_MUST_USE int hn_ji_iter(struct hn_ji *ji, struct hn_jv v, struct hn_jiter **out);
bool hn_ji_iterable(struct hn_jv v);
HN_MUST_USE int hn_ji_list_of(struct hn_ji *ji, struct hn_jv v, enum hn_jv_kind kind,
                              struct hn_jv *out);
/* A new iterator with its function and type name ("generator"…). */
struct hn_jiter *hn_ji_new_iter(struct hn_ji *ji, const char *type_name,
                                int (*next)(struct hn_ji *, struct hn_jiter *, struct hn_jv *),
                                struct hn_jv *out);
HN_MUST_USE int hn_ji_reversed(struct hn_ji *ji, struct hn_jv v, bool *ok, struct hn_jv *out);

/* ---- calls (jinja_call.c) ---- */
HN_MUST_USE int hn_ji_call(struct hn_ji *ji, struct hn_jv callee, const struct hn_jargs *args,
                           struct hn_jv *out);
/* Bind args to the parameters of a builtin and run it; receiver is MISSING for a plain function. */
HN_MUST_USE int hn_ji_call_builtin(struct hn_ji *ji, const struct hn_jbuiltin *b, const char *what,
                                   struct hn_jv self, const struct hn_jargs *args,
                                   struct hn_jv *out);
/* A filter or test by name on a value, as map('name') and select('name') do. */
HN_MUST_USE int hn_ji_apply(struct hn_ji *ji, const struct hn_jbuiltin *b, const char *what,
                            struct hn_jv value, const struct hn_jargs *args, struct hn_jv *out);
const struct hn_jbuiltin *hn_ji_find_filter(struct hn_str name);
const struct hn_jbuiltin *hn_ji_find_test(struct hn_str name);
const struct hn_jbuiltin *hn_ji_find_method(enum hn_jv_kind kind, struct hn_str name);
/* The global functions, into vars. */
HN_MUST_USE int hn_ji_add_globals(struct hn_ji *ji);

/* An integer argument: int or bool; else an error naming what it is. */
HN_MUST_USE int hn_ji_want_int(struct hn_ji *ji, struct hn_jv v, const char *what, int64_t *out);
HN_MUST_USE int hn_ji_want_str(struct hn_ji *ji, struct hn_jv v, const char *what,
                               const struct hn_jstr **out);

/* ---- text formats (jinja_format.c, jinja_date.c) ---- */
HN_MUST_USE int hn_ji_percent(struct hn_ji *ji, const struct hn_jstr *fmt, struct hn_jv args,
                              struct hn_jv *out);
HN_MUST_USE int hn_ji_format(struct hn_ji *ji, const struct hn_jstr *fmt,
                             const struct hn_jargs *args, struct hn_jv *out);
HN_MUST_USE int hn_ji_strftime(struct hn_ji *ji, const struct hn_jstr *fmt, struct hn_jv *out);
HN_MUST_USE int hn_ji_escape(struct hn_ji *ji, struct hn_jv v, struct hn_jv *out);

/* attribute="a.b.0" of filters */
struct hn_jpath {
    struct hn_jv *parts;
    size_t n;
};
HN_MUST_USE int hn_ji_path(struct hn_ji *ji, struct hn_jv attribute, struct hn_jpath *out);
HN_MUST_USE int hn_ji_path_get(struct hn_ji *ji, const struct hn_jpath *path, struct hn_jv v,
                               struct hn_jv fallback, struct hn_jv *out);

/* Tables, each ended by a NULL name. */
extern const struct hn_jbuiltin hn_jfilters_text[], hn_jfilters_seq[], hn_jfilters_num[];
extern const struct hn_jbuiltin hn_jmethods_str[], hn_jmethods_str2[];

#endif

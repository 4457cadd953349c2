/* The arithmetic, and the few well-known functions and methods, that settings are made with. */
#include <math.h>
#include <string.h>
#include "migrate/py_eval.h"

typedef struct hn_py_value *builtin_fn(struct hn_py_program *p, const struct hn_py_node *node,
                                       struct hn_py_value *call);

static struct hn_py_value *of_int(struct hn_py_program *p, const struct hn_py_node *node, int64_t i)
{
    struct hn_py_value *v = hn_py_value_new(p->arena, HN_PY_INT, node);
    if (v)
        v->integer = i;
    return v;
}

static struct hn_py_value *of_float(struct hn_py_program *p, const struct hn_py_node *node,
                                    double d)
{
    struct hn_py_value *v = hn_py_value_new(p->arena, HN_PY_FLOAT, node);
    if (v)
        v->number = d;
    return v;
}

static struct hn_py_value *of_bool(struct hn_py_program *p, const struct hn_py_node *node, bool b)
{
    struct hn_py_value *v = hn_py_value_new(p->arena, HN_PY_BOOL, node);
    if (v)
        v->boolean = b;
    return v;
}

static struct hn_py_value *of_buf(struct hn_py_program *p, struct hn_buf *text)
{
    struct hn_py_value *v = NULL;
    if (text->failed)
        p->arena->failed = true;
    if (!text->failed && text->len <= HN_PY_MAX_TEXT)
        v = hn_py_value_str(p->arena, hn_buf_str(text), text->len);
    hn_buf_release(text);
    return v;
}

/* ---- operators ------------------------------------------------------------------------------- */

static struct hn_py_value *integers(struct hn_py_program *p, const struct hn_py_node *node,
                                    struct hn_str op, int64_t a, int64_t b)
{
    int64_t r;
    if (hn_str_is(op, "+"))
        return hn_add_overflows(a, b, &r) ? NULL : of_int(p, node, r);
    if (hn_str_is(op, "-"))
        return b == INT64_MIN || hn_add_overflows(a, -b, &r) ? NULL : of_int(p, node, r);
    if (hn_str_is(op, "*"))
        return hn_mul_overflows(a, b, &r) ? NULL : of_int(p, node, r);
    if (hn_str_is(op, "//") || hn_str_is(op, "%")) {
        if (b == 0 || (a == INT64_MIN && b == -1))
            return NULL;
        int64_t q = a / b - ((a % b != 0) && ((a < 0) != (b < 0)));
        return of_int(p, node, hn_str_is(op, "//") ? q : a - q * b);
    }
    if (hn_str_is(op, "**") && b >= 0 && b < 64) {
        r = 1;
        for (int64_t i = 0; i < b; i++)
            if (hn_mul_overflows(r, a, &r))
                return NULL;
        return of_int(p, node, r);
    }
    return NULL;
}

static struct hn_py_value *numbers(struct hn_py_program *p, const struct hn_py_node *node,
                                   struct hn_str op, double a, double b)
{
    double r;
    if (hn_str_is(op, "+"))
        r = a + b;
    else if (hn_str_is(op, "-"))
        r = a - b;
    else if (hn_str_is(op, "*"))
        r = a * b;
    else if (hn_str_is(op, "/") && b != 0)
        r = a / b;
    else if (hn_str_is(op, "//") && b != 0)
        r = floor(a / b);
    else if (hn_str_is(op, "**"))
        r = pow(a, b);
    else
        return NULL;
    return isfinite(r) ? of_float(p, node, r) : NULL;
}

static struct hn_py_value *compare(struct hn_py_program *p, const struct hn_py_node *node,
                                   struct hn_str op, const struct hn_py_value *a,
                                   const struct hn_py_value *b)
{
    double x, y;
    bool equal, eq = hn_str_is(op, "==") || hn_str_is(op, "is");
    bool ne = hn_str_is(op, "!=") || hn_str_is(op, "is not");
    if (hn_py_is_number(a, &x) && hn_py_is_number(b, &y)) {
        equal = x == y;
        if (hn_str_is(op, "<"))
            return of_bool(p, node, x < y);
        if (hn_str_is(op, ">"))
            return of_bool(p, node, x > y);
        if (hn_str_is(op, "<="))
            return of_bool(p, node, x <= y);
        if (hn_str_is(op, ">="))
            return of_bool(p, node, x >= y);
    } else if (a->type == HN_PY_STR && b->type == HN_PY_STR) {
        equal = hn_str_eq(a->text, b->text);
    } else if (a->type == HN_PY_BOOL && b->type == HN_PY_BOOL) {
        equal = a->boolean == b->boolean;
    } else if (a->type == HN_PY_NONE || b->type == HN_PY_NONE) {
        if (a->type == HN_PY_UNKNOWN || b->type == HN_PY_UNKNOWN)
            return NULL;
        equal = a->type == b->type;
    } else {
        return NULL;
    }
    return eq || ne ? of_bool(p, node, equal == eq) : NULL;
}

/* "a" in "abc", "a" in ["a", "b"] */
static struct hn_py_value *membership(struct hn_py_program *p, const struct hn_py_node *node,
                                      bool negated, const struct hn_py_value *a,
                                      const struct hn_py_value *b)
{
    bool found = false;
    if (a->type != HN_PY_STR || !hn_py_is_constant(b))
        return NULL;
    if (b->type == HN_PY_STR)
        found = hn_str_has(b->text, a->text);
    else if (b->type != HN_PY_LIST && b->type != HN_PY_TUPLE && b->type != HN_PY_DICT)
        return NULL;
    for (const struct hn_py_item *i = b->first; i && !found; i = i->next) {
        const struct hn_py_value *v = i->value;
        found = b->type == HN_PY_DICT ? hn_str_eq(i->key, a->text)
                                      : v->type == HN_PY_STR && hn_str_eq(v->text, a->text);
    }
    return of_bool(p, node, found != negated);
}

/* len(rows), rows.num_rows */
static bool is_count(const struct hn_py_value *v)
{
    return (v->type == HN_PY_OBJECT && hn_str_is(v->path, "len")) ||
           (v->type == HN_PY_UNKNOWN && hn_py_path_ends(v->path, "num_rows"));
}

/* 0.9 * len(rows), len(rows) - 50: an unknown number, with the part that it is of all rows, or how
 * many it is before their end */
static struct hn_py_value *part_of_rows(struct hn_py_program *p, const struct hn_py_node *node,
                                        struct hn_str op, const struct hn_py_value *a,
                                        const struct hn_py_value *b)
{
    double x;
    const struct hn_py_value *number = is_count(a) ? b : a;
    if (hn_str_is(op, "-") && is_count(a) && b->type == HN_PY_INT && b->integer > 0) {
        struct hn_py_value *v = hn_py_value_new(p->arena, HN_PY_UNKNOWN, node);
        if (v)
            v->number = -(double)b->integer;
        return v;
    }
    if (!hn_str_is(op, "*"))
        return NULL;
    if (is_count(a) == is_count(b) || !hn_py_is_number(number, &x) || x <= 0 || x >= 1)
        return NULL;
    struct hn_py_value *v = hn_py_value_new(p->arena, HN_PY_UNKNOWN, node);
    if (v)
        v->number = x;
    return v;
}

/* 0.1 * total, total // 10: an unknown number, with the part that it is of the other */
static struct hn_py_value *share_of(struct hn_py_program *p, const struct hn_py_node *node,
                                    struct hn_str op, const struct hn_py_value *a,
                                    const struct hn_py_value *b)
{
    double x = 0, y = 0;
    bool of_a = hn_py_is_number(b, &y), of_b = hn_py_is_number(a, &x);
    bool times = hn_str_is(op, "*"), over = hn_str_is(op, "/") || hn_str_is(op, "//");
    double share = times && of_a != of_b ? of_a ? y : x : over && of_a && !of_b ? 1 / y : 0;
    const struct hn_py_value *other = of_a ? a : b;
    if (!(share > 0 && share < 1) || (other->type != HN_PY_UNKNOWN && other->type != HN_PY_OBJECT))
        return NULL;
    struct hn_py_value *v = hn_py_value_new(p->arena, HN_PY_UNKNOWN, node);
    if (v)
        v->share = share;
    return v;
}

/* loss / 8 and step % 8: how a loop gathers gradients over several batches */
static void note_accumulation(struct hn_py_program *p, struct hn_str op,
                              const struct hn_py_value *a, const struct hn_py_value *b)
{
    if (b->type != HN_PY_INT || b->integer < 2)
        return;
    if (hn_str_is(op, "/") && hn_str_contains(a->source, "loss"))
        p->loss_over = b->integer;
    if (hn_str_is(op, "%") && p->n_moduli < HN_PY_MODULI)
        p->moduli[p->n_moduli++] = b->integer;
}

static bool is_path(const struct hn_py_value *v)
{
    return v->type == HN_PY_STR;
}

struct hn_py_value *hn_py_binary(struct hn_py_program *p, const struct hn_py_node *node,
                                 struct hn_str op, struct hn_py_value *a, struct hn_py_value *b)
{
    double x, y;
    struct hn_buf text = {0};
    bool add = hn_str_is(op, "+");
    if (a->type == HN_PY_INT && b->type == HN_PY_INT && !hn_str_is(op, "/")) {
        struct hn_py_value *v = integers(p, node, op, a->integer, b->integer);
        if (v)
            return v;
    }
    if (hn_py_is_number(a, &x) && hn_py_is_number(b, &y)) {
        struct hn_py_value *v = numbers(p, node, op, x, y);
        if (v)
            return v;
    }
    if (is_path(a) && is_path(b) && (add || hn_str_is(op, "/"))) {
        hn_buf_add(&text, a->text.p, a->text.n);
        bool slash = !add && a->text.n && a->text.p[a->text.n - 1] != '/';
        if (slash)
            hn_buf_add_char(&text, '/');
        hn_buf_add(&text, b->text.p, b->text.n);
        return of_buf(p, &text);
    }
    if (add && a->type == HN_PY_LIST && b->type == HN_PY_LIST) {
        struct hn_py_value *v = hn_py_value_new(p->arena, HN_PY_LIST, node);
        for (const struct hn_py_item *i = a->first; i && v; i = i->next)
            hn_py_value_add(p->arena, v, (struct hn_str){0}, i->value, NULL);
        for (const struct hn_py_item *i = b->first; i && v; i = i->next)
            hn_py_value_add(p->arena, v, (struct hn_str){0}, i->value, NULL);
        if (v)
            v->open = a->open || b->open;
        return v;
    }
    if (hn_str_is(op, "in") || hn_str_is(op, "not in"))
        return membership(p, node, hn_str_is(op, "not in"), a, b);
    struct hn_py_value *part = part_of_rows(p, node, op, a, b);
    if (part)
        return part;
    note_accumulation(p, op, a, b);
    struct hn_py_value *share = share_of(p, node, op, a, b);
    return share ? share : compare(p, node, op, a, b);
}

/* ---- functions ------------------------------------------------------------------------------- */

/* Path(a, b), os.path.join(a, b) */
static struct hn_py_value *join_paths(struct hn_py_program *p, const struct hn_py_node *node,
                                      struct hn_py_value *call)
{
    struct hn_buf text = {0};
    (void)node;
    for (const struct hn_py_item *i = call->first; i; i = i->next) {
        if (i->value->type != HN_PY_STR || call->open) {
            hn_buf_release(&text);
            return NULL;
        }
        struct hn_str s = i->value->text;
        if (s.n && s.p[0] == '/')
            hn_buf_clear(&text);
        if (text.len && text.data[text.len - 1] != '/')
            hn_buf_add_char(&text, '/');
        hn_buf_add(&text, s.p, s.n);
    }
    return of_buf(p, &text);
}

/* str(x), os.path.abspath(x)…: x itself, where it is text */
static struct hn_py_value *same_text(struct hn_py_program *p, const struct hn_py_node *node,
                                     struct hn_py_value *call)
{
    const struct hn_py_value *v = hn_py_value_at(call, 0);
    struct hn_buf text = {0};
    (void)node;
    if (!v || call->n != 1 || (v->type != HN_PY_STR && v->type != HN_PY_INT))
        return NULL;
    if (v->type == HN_PY_INT)
        hn_buf_printf(&text, "%lld", (long long)v->integer);
    else
        hn_buf_add(&text, v->text.p, v->text.n);
    return of_buf(p, &text);
}

/* os.path.dirname(x), os.path.basename(x) */
static struct hn_py_value *part_of_path(struct hn_py_program *p, const struct hn_py_node *node,
                                        struct hn_py_value *call)
{
    const struct hn_py_value *v = hn_py_value_at(call, 0);
    (void)node;
    if (!v || v->type != HN_PY_STR)
        return NULL;
    size_t slash = v->text.n;
    while (slash > 0 && v->text.p[slash - 1] != '/')
        slash--;
    if (hn_py_path_ends(call->path, "basename"))
        return hn_py_value_str(p->arena, v->text.p + slash, v->text.n - slash);
    return hn_py_value_str(p->arena, v->text.p, slash > 1 ? slash - 1 : slash);
}

/* os.getcwd(), Path.cwd() */
static struct hn_py_value *here(struct hn_py_program *p, const struct hn_py_node *node,
                                struct hn_py_value *call)
{
    (void)node;
    return call->n ? NULL : hn_py_value_str(p->arena, ".", 1);
}

static struct hn_py_value *to_number(struct hn_py_program *p, const struct hn_py_node *node,
                                     struct hn_py_value *call)
{
    double x;
    const struct hn_py_value *v = hn_py_value_at(call, 0);
    if (v && v->type == HN_PY_UNKNOWN && (v->number > 0 || v->share > 0)) /* a part of the rows */
        return (struct hn_py_value *)(uintptr_t)v;
    struct hn_py_value *of_text =
        v && v->type == HN_PY_STR ? hn_py_value_scalar(p->arena, v->text) : NULL;
    bool conditional = v && v->conditional;
    v = of_text ? of_text : v;
    if (!hn_py_is_number(v, &x) || call->n != 1)
        return NULL;
    if (of_text && hn_str_is(call->path, of_text->type == HN_PY_INT ? "int" : "float")) {
        of_text->conditional = conditional; /* int("8"), of the environment perhaps */
        return of_text;
    }
    if (hn_str_is(call->path, "float"))
        return of_float(p, node, x);
    if (hn_str_is(call->path, "round"))
        x = nearbyint(x);
    if (hn_py_path_ends(call->path, "ceil"))
        x = ceil(x);
    return fabs(x) < 9e15 ? of_int(p, node, (int64_t)x) : NULL;
}

static struct hn_py_value *extreme(struct hn_py_program *p, const struct hn_py_node *node,
                                   struct hn_py_value *call)
{
    const struct hn_py_value *best = NULL;
    double x, most = 0;
    bool max = hn_str_is(call->path, "max");
    (void)p;
    (void)node;
    for (const struct hn_py_item *i = call->first; i; i = i->next) {
        if (!hn_py_is_number(i->value, &x))
            return NULL;
        if (!best || (max ? x > most : x < most)) {
            best = i->value;
            most = x;
        }
    }
    return call->open || call->n < 2 ? NULL : (struct hn_py_value *)(uintptr_t)best;
}

static struct hn_py_value *count(struct hn_py_program *p, const struct hn_py_node *node,
                                 struct hn_py_value *call)
{
    const struct hn_py_value *v = hn_py_value_at(call, 0);
    if (!v || !hn_py_is_constant(v) || call->n != 1 || v->type < HN_PY_STR)
        return NULL;
    return of_int(p, node, (int64_t)(v->type == HN_PY_STR ? v->text.n : v->n));
}

/* dict(a=1, **b), Namespace(…) */
static struct hn_py_value *make_dict(struct hn_py_program *p, const struct hn_py_node *node,
                                     struct hn_py_value *call)
{
    (void)p;
    (void)node;
    const struct hn_py_value *from = hn_py_value_at(call, 0);
    if (from)
        return from->type == HN_PY_DICT && call->n == 1 ? (struct hn_py_value *)(uintptr_t)from
                                                        : NULL;
    if (!hn_str_is(call->path, "dict")) {
        call->space = true;
        call->self = call->open ? NULL : call; /* **vars(args): the rest is the command line's */
        return call;
    }
    call->type = HN_PY_DICT;
    return call;
}

/* What the machine has: these scripts were run with a GPU. */
static struct hn_py_value *has_device(struct hn_py_program *p, const struct hn_py_node *node,
                                      struct hn_py_value *call)
{
    struct hn_py_value *v = of_bool(p, node, hn_py_path_ends(call->path, "cuda.is_available"));
    if (v)
        v->conditional = true;
    return v;
}

/* os.environ.get("X", default): the default, unless the run says otherwise */
static struct hn_py_value *environment(struct hn_py_program *p, const struct hn_py_node *node,
                                       struct hn_py_value *call)
{
    const struct hn_py_value *v = hn_py_value_at(call, 1);
    struct hn_py_value *copy =
        hn_py_is_constant(v) ? hn_py_value_new(p->arena, v->type, node) : NULL;
    if (!copy)
        return NULL;
    *copy = *v;
    copy->conditional = true;
    return copy;
}

/* parser.add_argument("--learning-rate", "-l", default=…, action=…): its default by its name */
static struct hn_py_value *add_argument(struct hn_py_program *p, const struct hn_py_node *node,
                                        struct hn_py_value *call)
{
    struct hn_py_value *value = NULL;
    const struct hn_py_item *item = hn_py_value_find(call, "default");
    const struct hn_py_value *action = hn_py_value_get(call, "action");
    const struct hn_py_value *dest = hn_py_value_get(call, "dest");
    if (item)
        value = item->value;
    else if (hn_py_is_text(action, "store_true") || hn_py_is_text(action, "store_false"))
        value = of_bool(p, node, hn_py_is_text(action, "store_false"));
    for (const struct hn_py_item *i = call->first; i; i = i->next) {
        if (i->key.p || i->value->type != HN_PY_STR)
            continue;
        struct hn_str s = i->value->text;
        while (s.n && *s.p == '-') {
            s.p++;
            s.n--;
        }
        char *name = hn_arena_dup(p->arena, s.p, s.n);
        for (char *c = name; c && *c; c++)
            *c = *c == '-' ? '_' : *c;
        if (name && value)
            hn_py_names_set(p->arena, &p->options, (struct hn_str){name, s.n}, value, 0);
    }
    if (dest && dest->type == HN_PY_STR && value)
        hn_py_names_set(p->arena, &p->options, dest->text, value, 0);
    return call;
}

static struct hn_py_value *parse_args(struct hn_py_program *p, const struct hn_py_node *node,
                                      struct hn_py_value *call)
{
    struct hn_py_value *v = hn_py_value_new(p->arena, HN_PY_OBJECT, node);
    if (v) {
        v->space = true;
        v->path = call->path;
    }
    return v;
}

/* field(default=…), field(default_factory=lambda: …): the default of a dataclass's field */
static struct hn_py_value *field(struct hn_py_program *p, const struct hn_py_node *node,
                                 struct hn_py_value *call)
{
    const struct hn_py_item *item = hn_py_value_find(call, "default");
    const struct hn_py_value *made = hn_py_value_get(call, "default_factory");
    if (item)
        return item->value;
    if (made && made->type == HN_PY_UNKNOWN && made->self)
        return made->self;
    if (made && (hn_str_is(made->path, "list") || hn_str_is(made->path, "dict")))
        return hn_py_value_new(p->arena, hn_str_is(made->path, "list") ? HN_PY_LIST : HN_PY_DICT,
                               node);
    return NULL;
}

/* ---- methods --------------------------------------------------------------------------------- */

static struct hn_py_value *split(struct hn_py_program *p, const struct hn_py_node *node,
                                 struct hn_py_value *call)
{
    const struct hn_py_value *by = hn_py_value_at(call, 0);
    struct hn_str s = call->self->text;
    if (!by || by->type != HN_PY_STR || by->text.n != 1 || call->n != 1)
        return NULL;
    struct hn_py_value *v = hn_py_value_new(p->arena, HN_PY_LIST, node);
    for (size_t i = 0, from = 0; i <= s.n && v; i++) {
        if (i < s.n && s.p[i] != by->text.p[0])
            continue;
        hn_py_value_add(p->arena, v, (struct hn_str){0},
                        hn_py_value_str(p->arena, s.p + from, i - from), NULL);
        from = i + 1;
    }
    return v;
}

static struct hn_py_value *change_case(struct hn_py_program *p, const struct hn_py_node *node,
                                       struct hn_py_value *call)
{
    struct hn_buf text = {0};
    bool lower = hn_py_path_ends(call->path, "lower");
    (void)node;
    for (size_t i = 0; i < call->self->text.n; i++) {
        char c = call->self->text.p[i];
        if (lower && c >= 'A' && c <= 'Z')
            c = (char)(c + 32);
        else if (!lower && c >= 'a' && c <= 'z')
            c = (char)(c - 32);
        hn_buf_add_char(&text, c);
    }
    return of_buf(p, &text);
}

static struct hn_py_value *replace(struct hn_py_program *p, const struct hn_py_node *node,
                                   struct hn_py_value *call)
{
    const struct hn_py_value *a = hn_py_value_at(call, 0), *b = hn_py_value_at(call, 1);
    struct hn_str s = call->self->text;
    struct hn_buf text = {0};
    (void)node;
    if (!a || !b || a->type != HN_PY_STR || b->type != HN_PY_STR || a->text.n == 0)
        return NULL;
    for (size_t i = 0; i < s.n;) {
        if (s.n - i >= a->text.n && memcmp(s.p + i, a->text.p, a->text.n) == 0) {
            hn_buf_add(&text, b->text.p, b->text.n);
            i += a->text.n;
        } else {
            hn_buf_add_char(&text, s.p[i++]);
        }
        if (text.len > HN_PY_MAX_TEXT)
            break;
    }
    return of_buf(p, &text);
}

static struct hn_py_value *strip(struct hn_py_program *p, const struct hn_py_node *node,
                                 struct hn_py_value *call)
{
    const struct hn_py_value *of = hn_py_value_at(call, 0);
    const char *set = of && of->type == HN_PY_STR ? of->text.p : " \t\r\n";
    size_t n = of && of->type == HN_PY_STR ? of->text.n : 4;
    struct hn_str s = call->self->text;
    (void)node;
    while (s.n && memchr(set, s.p[s.n - 1], n))
        s.n--;
    while (s.n && !hn_py_path_ends(call->path, "rstrip") && memchr(set, s.p[0], n)) {
        s.p++;
        s.n--;
    }
    return hn_py_value_str(p->arena, s.p, s.n);
}

/* "{}/{name}".format(…) of plain fields */
static struct hn_py_value *format(struct hn_py_program *p, const struct hn_py_node *node,
                                  struct hn_py_value *call)
{
    struct hn_buf text = {0};
    struct hn_str s = call->self->text;
    size_t position = 0;
    (void)node;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] != '{' || (i + 1 < s.n && s.p[i + 1] == '{')) {
            hn_buf_add_char(&text, s.p[i]);
            i += (s.p[i] == '{' || s.p[i] == '}') && i + 1 < s.n && s.p[i + 1] == s.p[i];
            continue;
        }
        const char *close = memchr(s.p + i, '}', s.n - i);
        size_t n = close ? (size_t)(close - s.p) - i - 1 : 0;
        char key[64] = "";
        if (close && n < sizeof key)
            memcpy(key, s.p + i + 1, n);
        const struct hn_py_value *v =
            n ? hn_py_value_get(call, key) : hn_py_value_at(call, position++);
        if (v && (v->type == HN_PY_UNKNOWN && hn_py_path_ends(v->path, "eos_token")))
            p->eos = v;
        if (!close || !v || (v->type != HN_PY_STR && v->type != HN_PY_INT)) {
            hn_buf_release(&text);
            return NULL;
        }
        if (v->type == HN_PY_STR)
            hn_buf_add(&text, v->text.p, v->text.n);
        else
            hn_buf_printf(&text, "%lld", (long long)v->integer);
        i += n + 1;
    }
    return of_buf(p, &text);
}

/* dictionary.update(…) */
static struct hn_py_value *update(struct hn_py_program *p, const struct hn_py_node *node,
                                  struct hn_py_value *call)
{
    struct hn_py_value *to = call->self;
    const struct hn_py_value *from = hn_py_value_at(call, 0);
    (void)node;
    to->open = to->open || call->open || (from && (from->type != HN_PY_DICT || from->open));
    size_t n = from && from->type == HN_PY_DICT ? from->n : 0;
    const struct hn_py_item *i = n ? from->first : NULL;
    for (; n; n--, i = i->next)
        hn_py_value_add(p->arena, to, i->key, i->value, NULL);
    for (i = call->first; i; i = i->next)
        if (i->key.p)
            hn_py_value_add(p->arena, to, i->key, i->value, NULL);
    return call;
}

static struct hn_py_value *get(struct hn_py_program *p, const struct hn_py_node *node,
                               struct hn_py_value *call)
{
    const struct hn_py_value *key = hn_py_value_at(call, 0), *found = NULL;
    (void)p;
    (void)node;
    if (!key || key->type != HN_PY_STR || call->self->open)
        return NULL;
    for (const struct hn_py_item *i = call->self->first; i; i = i->next)
        if (hn_str_eq(i->key, key->text))
            found = i->value;
    return (struct hn_py_value *)(uintptr_t)(found ? found : hn_py_value_at(call, 1));
}

/* text.endswith(".json"), text.startswith(("a", "b")) */
static struct hn_py_value *begins_or_ends(struct hn_py_program *p, const struct hn_py_node *node,
                                          struct hn_py_value *call)
{
    const struct hn_py_value *v = hn_py_value_at(call, 0);
    struct hn_str s = call->self->text;
    bool ends = hn_py_path_ends(call->path, "endswith"), found = false;
    if (!v || call->n != 1 || !hn_py_is_constant(v))
        return NULL;
    const struct hn_py_item only = {.value = (struct hn_py_value *)(uintptr_t)v};
    for (const struct hn_py_item *i = v->type == HN_PY_STR ? &only : v->first; i; i = i->next) {
        struct hn_str t = i->value->text;
        if (i->value->type != HN_PY_STR)
            return NULL;
        found = found || (t.n <= s.n && memcmp(ends ? s.p + s.n - t.n : s.p, t.p, t.n) == 0);
    }
    return of_bool(p, node, found);
}

/* list(x), tuple(x) of a list that is known */
static struct hn_py_value *same_list(struct hn_py_program *p, const struct hn_py_node *node,
                                     struct hn_py_value *call)
{
    const struct hn_py_value *v = hn_py_value_at(call, 0);
    (void)p;
    (void)node;
    bool list = v && (v->type == HN_PY_LIST || v->type == HN_PY_TUPLE) && hn_py_is_constant(v);
    return list && v->n && call->n == 1 ? (struct hn_py_value *)(uintptr_t)v : NULL;
}

/* getattr(args, "name", default) */
static struct hn_py_value *attribute_or(struct hn_py_program *p, const struct hn_py_node *node,
                                        struct hn_py_value *call)
{
    const struct hn_py_value *of = hn_py_value_at(call, 0), *name = hn_py_value_at(call, 1);
    const struct hn_py_value *found = NULL;
    (void)node;
    if (!of || !of->space || !name || name->type != HN_PY_STR)
        return NULL;
    for (const struct hn_py_item *i = of->first; i; i = i->next)
        if (i->key.p && hn_str_eq(i->key, name->text))
            found = i->value;
    if (!found && !of->self)
        found = hn_py_names_get(&p->options, name->text);
    return (struct hn_py_value *)(uintptr_t)(found ? found : hn_py_value_at(call, 2));
}

/* model.to("cuda"), model.eval(): the model */
static struct hn_py_value *itself(struct hn_py_program *p, const struct hn_py_node *node,
                                  struct hn_py_value *call)
{
    (void)p;
    (void)node;
    return call->self;
}

/* vars(args) */
static struct hn_py_value *namespace_of(struct hn_py_program *p, const struct hn_py_node *node,
                                        struct hn_py_value *call)
{
    const struct hn_py_value *v = hn_py_value_at(call, 0);
    (void)p;
    (void)node;
    return v && v->space && call->n == 1 ? (struct hn_py_value *)(uintptr_t)v : NULL;
}

/* items.append(x), items.extend(…): a constant is one item more, after anything else the list is no
 * longer known.  No value, so that the call is told as any other. */
static struct hn_py_value *grow(struct hn_py_program *p, const struct hn_py_node *node,
                                struct hn_py_value *call)
{
    struct hn_py_value *list = call->self;
    const struct hn_py_item *given = call->n == 1 ? call->first : NULL;
    const struct hn_py_value *v = given ? given->value : NULL;
    bool one = hn_str_is(hn_py_last(call->path), "append");
    if (!v || p->maybe || !hn_py_is_constant(v) || (!one && v->type != HN_PY_LIST)) {
        list->open = true;
        return NULL;
    }
    size_t n = one ? 1 : v->n; /* of a list that is extended by itself, too */
    for (const struct hn_py_item *i = one ? given : v->first; i && n; i = i->next, n--)
        hn_py_value_add(p->arena, list, (struct hn_str){0}, i->value, node);
    return NULL;
}

/* yaml.safe_load(open("c.yaml")), json.load(f), OmegaConf.load("c.yaml") */
static struct hn_py_value *load_config(struct hn_py_program *p, const struct hn_py_node *node,
                                       struct hn_py_value *call)
{
    const struct hn_py_value *v = hn_py_value_at(call, 0);
    if (v && v->type == HN_PY_OBJECT && hn_py_path_ends(v->path, "open"))
        v = hn_py_value_at(v, 0);
    else if (v && v->type == HN_PY_OBJECT && hn_py_path_ends(v->path, "read_text"))
        v = v->self;
    char *path = v && v->type == HN_PY_STR && p->config
                     ? hn_arena_dup(p->arena, v->text.p, v->text.n)
                     : NULL;
    struct hn_py_value *all = path ? p->config(p->config_of, path) : NULL;
    if (all)
        hn_py_value_place(all, node->cell, node->line, 0);
    return all;
}

static const struct builtin {
    const char *name;
    enum hn_py_type self; /* of a method: what it is called on; UNKNOWN: a function */
    builtin_fn *fn;
} builtins[] = {
    {"os.path.join", HN_PY_UNKNOWN, join_paths},
    {"path.join", HN_PY_UNKNOWN, join_paths},
    {"Path", HN_PY_UNKNOWN, join_paths},
    {"PosixPath", HN_PY_UNKNOWN, join_paths},
    {"str", HN_PY_UNKNOWN, same_text},
    {"os.path.abspath", HN_PY_UNKNOWN, same_text},
    {"os.path.realpath", HN_PY_UNKNOWN, same_text},
    {"os.path.expanduser", HN_PY_UNKNOWN, same_text},
    {"os.path.dirname", HN_PY_UNKNOWN, part_of_path},
    {"os.path.basename", HN_PY_UNKNOWN, part_of_path},
    {"os.getcwd", HN_PY_UNKNOWN, here},
    {"Path.cwd", HN_PY_UNKNOWN, here},
    {"int", HN_PY_UNKNOWN, to_number},
    {"float", HN_PY_UNKNOWN, to_number},
    {"round", HN_PY_UNKNOWN, to_number},
    {"math.ceil", HN_PY_UNKNOWN, to_number},
    {"list", HN_PY_UNKNOWN, same_list},
    {"tuple", HN_PY_UNKNOWN, same_list},
    {"getattr", HN_PY_UNKNOWN, attribute_or},
    {"max", HN_PY_UNKNOWN, extreme},
    {"min", HN_PY_UNKNOWN, extreme},
    {"len", HN_PY_UNKNOWN, count},
    {"dict", HN_PY_UNKNOWN, make_dict},
    {"vars", HN_PY_UNKNOWN, namespace_of},
    {"SimpleNamespace", HN_PY_UNKNOWN, make_dict},
    {"Namespace", HN_PY_UNKNOWN, make_dict},
    {"EasyDict", HN_PY_UNKNOWN, make_dict},
    {"cuda.is_available", HN_PY_UNKNOWN, has_device},
    {"mps.is_available", HN_PY_UNKNOWN, has_device},
    {"environ.get", HN_PY_UNKNOWN, environment},
    {"os.getenv", HN_PY_UNKNOWN, environment},
    {"getenv", HN_PY_UNKNOWN, environment},
    {"add_argument", HN_PY_UNKNOWN, add_argument},
    {"parse_args", HN_PY_UNKNOWN, parse_args},
    {"parse_args_into_dataclasses", HN_PY_UNKNOWN, parse_args},
    {"parse_known_args", HN_PY_UNKNOWN, parse_args},
    {"parse_args_and_config", HN_PY_UNKNOWN, parse_args},
    {"parse_json_file", HN_PY_UNKNOWN, parse_args},
    {"parse_yaml_file", HN_PY_UNKNOWN, parse_args},
    {"parse_dict", HN_PY_UNKNOWN, parse_args},
    {"field", HN_PY_UNKNOWN, field},
    {"Field", HN_PY_UNKNOWN, field},
    {"split", HN_PY_STR, split},
    {"lower", HN_PY_STR, change_case},
    {"upper", HN_PY_STR, change_case},
    {"replace", HN_PY_STR, replace},
    {"strip", HN_PY_STR, strip},
    {"rstrip", HN_PY_STR, strip},
    {"format", HN_PY_STR, format},
    {"endswith", HN_PY_STR, begins_or_ends},
    {"startswith", HN_PY_STR, begins_or_ends},
    {"resolve", HN_PY_STR, itself},
    {"absolute", HN_PY_STR, itself},
    {"expanduser", HN_PY_STR, itself},
    {"as_posix", HN_PY_STR, itself},
    {"yaml.safe_load", HN_PY_UNKNOWN, load_config},
    {"yaml.load", HN_PY_UNKNOWN, load_config},
    {"json.load", HN_PY_UNKNOWN, load_config},
    {"OmegaConf.load", HN_PY_UNKNOWN, load_config},
    {"append", HN_PY_LIST, grow},
    {"extend", HN_PY_LIST, grow},
    {"update", HN_PY_DICT, update},
    {"get", HN_PY_DICT, get},
    {"to", HN_PY_OBJECT, itself},
    {"cuda", HN_PY_OBJECT, itself},
    {"cpu", HN_PY_OBJECT, itself},
    {"half", HN_PY_OBJECT, itself},
    {"float", HN_PY_OBJECT, itself},
    {"bfloat16", HN_PY_OBJECT, itself},
    {"eval", HN_PY_OBJECT, itself},
};

struct hn_py_value *hn_py_builtin(struct hn_py_program *p, const struct hn_py_node *node,
                                  struct hn_py_value *call)
{
    struct hn_str name = hn_py_last(call->path);
    for (size_t i = 0; i < HN_COUNT(builtins); i++) {
        const struct builtin *b = &builtins[i];
        if (b->self != HN_PY_UNKNOWN) {
            if (!call->self || call->self->type != b->self || !hn_str_is(name, b->name))
                continue;
        } else if (!hn_py_path_ends(call->path, b->name)) {
            continue;
        }
        struct hn_py_value *v = b->fn(p, node, call);
        if (v)
            return v;
    }
    return NULL;
}

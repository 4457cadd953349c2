#include "migrate/py_eval.h"

#include <string.h>
#include "base/json.h"
#include "conf/value.h"

static struct hn_py_value *unknown(struct hn_py_program *p, const struct hn_py_node *node,
                                   struct hn_str path)
{
    struct hn_py_value *v = hn_py_value_new(p->arena, HN_PY_UNKNOWN, node);
    if (v)
        v->path = path;
    return v;
}

static struct hn_str join(struct hn_py_program *p, struct hn_str a, struct hn_str b)
{
    struct hn_buf buf = {0};
    if (a.n == 0 || a.n + b.n > 500)
        return b;
    hn_buf_add(&buf, a.p, a.n);
    hn_buf_add_char(&buf, '.');
    hn_buf_add(&buf, b.p, b.n);
    return hn_py_take_text(p->arena, &buf);
}

/* v, as what a condition of the run makes likely. */
static struct hn_py_value *conditional(struct hn_py_program *p, struct hn_py_value *v,
                                       const struct hn_py_node *node)
{
    struct hn_py_value *copy = v ? hn_py_value_new(p->arena, v->type, node) : NULL;
    if (!copy || v->type == HN_PY_UNKNOWN || v->type == HN_PY_OBJECT)
        return v;
    *copy = *v;
    copy->conditional = true;
    return copy;
}

/* ---- atoms ----------------------------------------------------------------------------------- */

/* 0x2a, 0o17, 0b101 */
static bool based(const char *text, size_t n, int64_t *out)
{
    char kind = n > 2 && text[0] == '0' ? (char)(text[1] | 0x20) : 0;
    int base = kind == 'x' ? 16 : kind == 'o' ? 8 : kind == 'b' ? 2 : 0;
    *out = 0;
    for (size_t i = 2; base && i < n; i++) {
        char c = (char)(text[i] | 0x20);
        int digit = c >= 'a' ? c - 'a' + 10 : text[i] - '0';
        if (digit < 0 || digit >= base || hn_mul_overflows(*out, base, out) ||
            hn_add_overflows(*out, digit, out))
            return false;
    }
    return base != 0;
}

static struct hn_py_value *eval_number(struct hn_py_program *p, const struct hn_py_node *node)
{
    char text[64];
    size_t n = 0;
    for (size_t i = 0; i < node->text.n && n + 1 < sizeof text; i++)
        if (node->text.p[i] != '_')
            text[n++] = node->text.p[i];
    int64_t i;
    double d;
    text[n] = 0;
    if (hn_text_int(text, n, &i) || based(text, n, &i)) {
        struct hn_py_value *v = hn_py_value_new(p->arena, HN_PY_INT, node);
        if (v)
            v->integer = i;
        return v;
    }
    if (hn_text_float(text, n, &d)) {
        struct hn_py_value *v = hn_py_value_new(p->arena, HN_PY_FLOAT, node);
        if (v)
            v->number = d;
        return v;
    }
    return unknown(p, node, (struct hn_str){"", 0});
}

static struct hn_py_value *eval_name(struct hn_py_program *p, const struct hn_py_node *node)
{
    struct hn_py_value *v = hn_py_names_get(&p->names, node->text);
    if (!v)
        v = hn_py_names_get(&p->later, node->text);
    if (v)
        return v;
    struct hn_py_value *def = hn_py_names_get(&p->defs, node->text);
    if (def)
        def->pass = p->pass; /* it is used in this reading */
    if (hn_str_is(node->text, "__name__")) {
        v = hn_py_value_str(p->arena, "__main__", 8);
        return v;
    }
    if (p->path && hn_str_is(node->text, "__file__"))
        return hn_py_value_str(p->arena, p->path, strlen(p->path));
    return unknown(p, node, node->text);
}

/* The end token of a tokenizer, by any of its names. */
static bool is_eos(const struct hn_py_value *v)
{
    return v && v->type == HN_PY_UNKNOWN &&
           (hn_py_path_ends(v->path, "eos_token") || hn_py_path_ends(v->path, "EOS_TOKEN"));
}

/* ids + [tokenizer.eos_token_id], and what some take for it: ids + [tokenizer.pad_token_id] */
static bool has_eos_id(const struct hn_py_value *v)
{
    return v && v->type == HN_PY_LIST && v->n == 1 && v->first->value->type == HN_PY_UNKNOWN &&
           (hn_py_path_ends(v->first->value->path, "eos_token_id") ||
            hn_py_path_ends(v->first->value->path, "pad_token_id"));
}

static size_t digits_of(struct hn_str s, size_t from, int *number)
{
    size_t n = from;
    for (*number = 0; n < s.n && n < from + 2 && s.p[n] >= '0' && s.p[n] <= '9'; n++)
        *number = 10 * *number + (s.p[n] - '0');
    return n;
}

/* A number as Python's format writes it, where that is printf's too: :g, :.2f, :03d, :.0e. */
static bool shape_number(struct hn_buf *out, struct hn_str spec, const struct hn_py_value *v)
{
    int width, places = 6;
    double x;
    bool zeros = spec.n && spec.p[0] == '0';
    size_t n = digits_of(spec, 0, &width), dot = n;
    if (n < spec.n && spec.p[n] == '.')
        n = digits_of(spec, n + 1, &places);
    if (n + 1 != spec.n || !hn_py_is_number(v, &x))
        return false;
    if (spec.p[n] == 'd' && v->type == HN_PY_INT && n == dot)
        hn_buf_printf(out, zeros ? "%0*lld" : "%*lld", width, (long long)v->integer);
    else if (spec.p[n] == 'g')
        hn_buf_printf(out, zeros ? "%0*.*g" : "%*.*g", width, places, x);
    else if (spec.p[n] == 'e')
        hn_buf_printf(out, zeros ? "%0*.*e" : "%*.*e", width, places, x);
    else if (spec.p[n] == 'f')
        hn_buf_printf(out, zeros ? "%0*.*f" : "%*.*f", width, places, x);
    else
        return false;
    return true;
}

static struct hn_py_value *eval_format(struct hn_py_program *p, const struct hn_py_node *node)
{
    struct hn_buf text = {0};
    char number[32];
    bool known = true, maybe = false;
    for (const struct hn_py_node *c = node->first; c; c = c->next) {
        bool shaped = c->kind == HN_PY_N_LAMBDA && c->text.n;
        const struct hn_py_value *v = hn_py_eval(p, shaped ? c->a : c);
        if (!v) {
            known = false;
            continue;
        }
        maybe = maybe || v->conditional;
        if (shaped) {
            known = shape_number(&text, c->text, v) && known;
            continue;
        }
        if (is_eos(v))
            p->eos = v;
        if (v->type == HN_PY_STR) {
            hn_buf_add(&text, v->text.p, v->text.n);
        } else if (v->type == HN_PY_INT) {
            hn_buf_printf(&text, "%lld", (long long)v->integer);
        } else if (v->type == HN_PY_FLOAT) {
            hn_double_repr(v->number, number);
            hn_buf_add_str(&text, number);
        } else {
            known = false;
        }
        known = known && text.len < HN_PY_MAX_TEXT;
    }
    struct hn_py_value *v = known ? hn_py_value_str(p->arena, hn_buf_str(&text), text.len)
                                  : unknown(p, node, (struct hn_str){"", 0});
    if (v)
        v->conditional = maybe;
    if (text.failed)
        p->arena->failed = true;
    hn_buf_release(&text);
    return v;
}

static struct hn_py_value *eval_items(struct hn_py_program *p, const struct hn_py_node *node)
{
    enum hn_py_type type = node->kind == HN_PY_N_TUPLE ? HN_PY_TUPLE : HN_PY_LIST;
    struct hn_py_value *v = hn_py_value_new(p->arena, type, node);
    for (const struct hn_py_node *c = node->first; c && v; c = c->next) {
        struct hn_py_value *item = hn_py_eval(p, c->kind == HN_PY_N_STAR ? c->a : c);
        bool spread = c->kind == HN_PY_N_STAR;
        if (spread && item && (item->type == HN_PY_LIST || item->type == HN_PY_TUPLE)) {
            for (const struct hn_py_item *i = item->first; i; i = i->next)
                hn_py_value_add(p->arena, v, (struct hn_str){0}, i->value, c);
        } else if (c->kind == HN_PY_N_LOOP && item && item->type == HN_PY_LIST) {
            for (const struct hn_py_item *i = item->first; i; i = i->next)
                hn_py_value_add(p->arena, v, (struct hn_str){0}, i->value, c);
        } else if (spread || (c->kind == HN_PY_N_LOOP)) {
            v->open = true;
            v->self = item; /* where its elements come from */
        } else {
            hn_py_value_add(p->arena, v, (struct hn_str){0}, item, c);
        }
    }
    return v;
}

static void add_all(struct hn_py_program *p, struct hn_py_value *to, const struct hn_py_value *from)
{
    if (!from || (from->type != HN_PY_DICT && !from->space)) {
        to->open = true;
        return;
    }
    to->open = to->open || from->open || (from->space && !from->self);
    for (const struct hn_py_item *i = from->first; i; i = i->next) {
        const struct hn_py_node where = {.cell = i->cell, .line = i->line};
        hn_py_value_add(p->arena, to, i->key, i->value, &where);
    }
}

static struct hn_py_value *eval_dict(struct hn_py_program *p, const struct hn_py_node *node)
{
    struct hn_py_value *v = hn_py_value_new(p->arena, HN_PY_DICT, node);
    for (const struct hn_py_node *c = node->first; c && v; c = c->next) {
        if (c->kind == HN_PY_N_DSTAR) {
            add_all(p, v, hn_py_eval(p, c->a));
        } else if (c->kind == HN_PY_N_PAIR) {
            const struct hn_py_value *key = hn_py_eval(p, c->a);
            struct hn_py_value *value = hn_py_eval(p, c->b);
            if (key && key->type == HN_PY_STR)
                hn_py_value_add(p->arena, v, key->text, value, c->a);
            else
                v->open = true;
        } else {
            (void)hn_py_eval(p, c);
            v->open = true;
        }
    }
    return v;
}

/* ---- attributes, items, calls ------------------------------------------------------------------
 */

/* The last item of this key: what was set last. */
static const struct hn_py_item *find_item(const struct hn_py_value *v, struct hn_str key)
{
    const struct hn_py_item *found = NULL;
    for (const struct hn_py_item *i = v ? v->first : NULL; i; i = i->next)
        if (i->key.p && hn_str_eq(i->key, key))
            found = i;
    return found;
}

/* self.x: what a method set, else what the object was made with, else the class's own */
static struct hn_py_value *of_self(struct hn_py_program *p, struct hn_str path, struct hn_str name)
{
    struct hn_str own = {path.p + 5, path.n - 5}; /* after "self@" */
    struct hn_py_value *v = hn_py_names_get(&p->attributes, join(p, path, name));
    const struct hn_py_item *found;
    if (v)
        return v;
    found = find_item(hn_py_names_get(&p->first_calls, own), name);
    found = found ? found : find_item(hn_py_names_get(&p->classes, own), name);
    return found ? found->value : NULL;
}

/* Path("a/b.c").parent, .name, .stem; NULL: another attribute */
static struct hn_py_value *of_path(struct hn_py_program *p, struct hn_str path, struct hn_str name)
{
    size_t slash = path.n, dot;
    while (slash > 0 && path.p[slash - 1] != '/')
        slash--;
    for (dot = path.n; dot > slash + 1 && path.p[dot - 1] != '.';)
        dot--;
    if (hn_str_is(name, "parent"))
        return slash > 1 ? hn_py_value_str(p->arena, path.p, slash - 1)
                         : hn_py_value_str(p->arena, slash ? "/" : ".", 1);
    if (hn_str_is(name, "name"))
        return hn_py_value_str(p->arena, path.p + slash, path.n - slash);
    if (hn_str_is(name, "stem"))
        return hn_py_value_str(p->arena, path.p + slash,
                               (dot > slash + 1 ? dot - 1 : path.n) - slash);
    return NULL;
}

static struct hn_py_value *command_line(struct hn_py_program *p, const struct hn_py_node *node)
{
    struct hn_py_value *list = hn_py_value_new(p->arena, HN_PY_LIST, node);
    struct hn_py_value *name = hn_py_value_str(p->arena, p->path, strlen(p->path));
    if (list && name)
        hn_py_value_add(p->arena, list, (struct hn_str){0}, name, node);
    return list;
}

static struct hn_py_value *eval_attribute(struct hn_py_program *p, const struct hn_py_node *node)
{
    struct hn_py_value *base = hn_py_eval(p, node->a);
    if (!base)
        return NULL;
    if (hn_str_is(node->text, "ignore_index")) { /* of LabelSmoother, CrossEntropyLoss */
        struct hn_py_value *ignored = hn_py_value_new(p->arena, HN_PY_INT, node);
        if (ignored)
            ignored->integer = -100;
        return ignored;
    }
    struct hn_py_value *part = base->type == HN_PY_STR ? of_path(p, base->text, node->text) : NULL;
    if (part)
        return part;
    if (base->type == HN_PY_UNKNOWN && base->path.n > 5 && memcmp(base->path.p, "self@", 5) == 0) {
        struct hn_py_value *own = of_self(p, base->path, node->text);
        if (own)
            return own;
    }
    const struct hn_py_value *fields = base->type == HN_PY_OBJECT ? base : NULL;
    if (base->type == HN_PY_UNKNOWN && base->path.n)
        fields = hn_py_names_get(&p->classes, base->path);
    const struct hn_py_item *found = find_item(fields, node->text);
    if (found)
        return found->value;
    if (base->space && !base->self) {
        struct hn_py_value *option = hn_py_names_get(&p->options, node->text);
        if (option)
            return option;
    }
    struct hn_str path = join(p, base->path, node->text);
    struct hn_py_value *known = hn_py_names_get(&p->attributes, path);
    if (known)
        return known;
    if (p->path && hn_str_is(path, "sys.argv")) /* the script is run without arguments */
        return command_line(p, node);
    struct hn_py_value *v = unknown(p, node, path);
    if (v)
        v->self = base;
    return v;
}

/* rows[:n] as a call of row_slice(start, stop) on the rows, for those who ask which rows are used.
 */
static struct hn_py_value *slice_of(struct hn_py_program *p, const struct hn_py_node *node,
                                    struct hn_py_value *base)
{
    struct hn_py_value *v = hn_py_value_new(p->arena, HN_PY_OBJECT, node);
    if (!v)
        return base;
    v->path = hn_str_of("row_slice");
    v->self = base;
    v->pass = p->pass;
    for (const struct hn_py_node *c = node->b->first; c; c = c->next)
        hn_py_value_add(p->arena, v, (struct hn_str){0}, hn_py_eval(p, c), c);
    hn_py_record(p, v);
    return v;
}

static struct hn_py_value *eval_index(struct hn_py_program *p, const struct hn_py_node *node)
{
    struct hn_py_value *base = hn_py_eval(p, node->a), *key = hn_py_eval(p, node->b);
    if (!base || !key)
        return unknown(p, node, (struct hn_str){"", 0});
    if (base->type == HN_PY_DICT && key->type == HN_PY_STR) {
        const struct hn_py_item *found = find_item(base, key->text);
        if (found)
            return found->value;
    }
    if ((base->type == HN_PY_LIST || base->type == HN_PY_TUPLE) && key->type == HN_PY_INT &&
        !base->open) {
        int64_t at = key->integer < 0 ? key->integer + (int64_t)base->n : key->integer;
        int64_t i = 0;
        for (const struct hn_py_item *item = base->first; item; item = item->next)
            if (i++ == at)
                return item->value;
    }
    if (base->space) /* parse_args_into_dataclasses()[0] */
        return base;
    struct hn_py_value *v = unknown(p, node, base->path);
    if (v) {
        bool known = hn_py_is_constant(base) && (base->type == HN_PY_STR || base->n);
        bool slice = node->b && node->b->kind == HN_PY_N_SLICE && !known;
        v->self = slice ? slice_of(p, node, base) : base;
        if (key->type == HN_PY_STR)
            v->text = key->text;
    }
    return v;
}

static void add_argument(struct hn_py_program *p, struct hn_py_value *call,
                         const struct hn_py_node *arg)
{
    if (arg->kind == HN_PY_N_KEYWORD) {
        hn_py_value_add(p->arena, call, arg->text, hn_py_eval(p, arg->a), arg);
    } else if (arg->kind == HN_PY_N_DSTAR) {
        add_all(p, call, hn_py_eval(p, arg->a));
    } else if (arg->kind == HN_PY_N_STAR) {
        const struct hn_py_value *v = hn_py_eval(p, arg->a);
        bool known = v && (v->type == HN_PY_LIST || v->type == HN_PY_TUPLE);
        call->open = call->open || !known;
        for (const struct hn_py_item *i = known ? v->first : NULL; i; i = i->next)
            hn_py_value_add(p->arena, call, (struct hn_str){0}, i->value, arg);
    } else {
        hn_py_value_add(p->arena, call, (struct hn_str){0}, hn_py_eval(p, arg), arg);
    }
}

void hn_py_record(struct hn_py_program *p, const struct hn_py_value *object)
{
    if (p->n_calls >= HN_PY_MAX_CALLS || (p->shadow && !hn_str_ends(object->path, "LoraConfig")))
        return;
    struct hn_py_call *call = hn_arena_alloc(p->arena, 1, sizeof *call);
    if (!call)
        return;
    call->object = object;
    call->function = p->in_def;
    *p->calls_tail = call;
    p->calls_tail = &call->next;
    p->n_calls++;
}

/* A class of the script's own: an object with its fields, under the arguments of the call. */
static struct hn_py_value *instance(struct hn_py_program *p, const struct hn_py_node *node,
                                    const struct hn_py_value *fields,
                                    const struct hn_py_value *call)
{
    struct hn_py_value *v = hn_py_value_new(p->arena, HN_PY_OBJECT, node);
    if (!v)
        return NULL;
    v->space = true;
    v->path = call->path;
    add_all(p, v, fields);
    for (const struct hn_py_item *i = call->first; i; i = i->next) {
        const struct hn_py_node where = {.cell = i->cell, .line = i->line};
        if (i->key.p ||
            fields->type != HN_PY_OBJECT) /* a data set's rows can be followed through */
            hn_py_value_add(p->arena, v, i->key, i->value, &where);
    }
    v->self = v;                        /* its own fields, not the command line's */
    if (fields->type == HN_PY_OBJECT) { /* of a class made from TrainingArguments */
        v->path = fields->path;
        hn_py_record(p, v);
    } else if (hn_str_is(call->path, "ConstantLengthDataset")) { /* a copy of TRL's */
        hn_py_record(p, call);
    }
    return v;
}

/* self, or an object of a class of the script's */
static bool is_own_object(const struct hn_py_value *v)
{
    return v && ((v->type == HN_PY_OBJECT && v->space) ||
                 (v->type == HN_PY_UNKNOWN && v->path.n > 5 && memcmp(v->path.p, "self@", 5) == 0));
}

/* The first call of a function in each reading says what its parameters are in the next. */
static void called(struct hn_py_program *p, struct hn_str name, struct hn_py_value *call)
{
    const struct hn_py_value *before = hn_py_names_get(&p->first_calls, name);
    if (name.n && (!before || before->pass < p->pass))
        hn_py_names_set(p->arena, &p->first_calls, name, call, 0);
}

/* rows.select(range(a, b)), or up to a part of all rows, as the slice that it is; NULL: another. */
static struct hn_py_value *selected(struct hn_py_program *p, const struct hn_py_node *node,
                                    const struct hn_py_value *call)
{
    const struct hn_py_value *range = hn_py_value_at(call, 0), *a, *b;
    if (!hn_str_is(hn_py_last(call->path), "select") || !range || range->type != HN_PY_OBJECT ||
        !hn_str_is(range->path, "range"))
        return NULL;
    a = hn_py_value_at(range, 0);
    b = hn_py_value_at(range, 1);
    struct hn_py_value *v = hn_py_value_new(p->arena, HN_PY_OBJECT, node);
    struct hn_py_value *none = hn_py_value_new(p->arena, HN_PY_NONE, node);
    if (!v || !none || !a || range->n > 2 || (!b && a->type == HN_PY_INT))
        return NULL; /* the first n rows */
    bool end = b && b->type == HN_PY_OBJECT && hn_str_is(b->path, "len");
    const struct hn_py_value *from = b ? a : none, *to = !b ? a : end ? none : b;
    v->path = hn_str_of("row_slice");
    v->self = call->self;
    v->pass = p->pass;
    hn_py_value_add(p->arena, v, (struct hn_str){0}, (struct hn_py_value *)(uintptr_t)from, node);
    hn_py_value_add(p->arena, v, (struct hn_str){0}, (struct hn_py_value *)(uintptr_t)to, node);
    hn_py_record(p, v);
    return v;
}

static struct hn_py_value *eval_call(struct hn_py_program *p, const struct hn_py_node *node)
{
    struct hn_py_value *callee = hn_py_eval(p, node->a);
    struct hn_py_value *call = hn_py_value_new(p->arena, HN_PY_OBJECT, node);
    if (!callee || !call)
        return NULL;
    call->path =
        callee->type == HN_PY_OBJECT ? join(p, callee->path, hn_str_of("__call__")) : callee->path;
    call->self = callee->type == HN_PY_OBJECT ? callee : callee->self;
    for (const struct hn_py_node *arg = node->first; arg; arg = arg->next)
        add_argument(p, call, arg);
    struct hn_py_value *v = hn_py_builtin(p, node, call);
    v = v ? v : selected(p, node, call);
    if (v)
        return v;
    struct hn_str name = hn_py_last(call->path);
    const struct hn_py_value *last = hn_py_value_at(call, 0);
    bool plain = node->a->kind == HN_PY_N_NAME;
    call->pass = p->pass;
    call->shadow = p->shadow;
    call->own = plain && hn_py_names_get(&p->defs, node->a->text);
    if (hn_str_is(name, "append") && last && last->type == HN_PY_UNKNOWN &&
        hn_py_path_ends(last->path, "eos_token_id"))
        p->eos = last; /* ids.append(tokenizer.eos_token_id) */
    if (plain || is_own_object(call->self))
        called(p, name, call);
    const struct hn_py_value *fields = hn_py_names_get(&p->classes, call->path);
    bool trainer = fields && fields->type == HN_PY_DICT && fields->path.n;
    if (trainer)
        call->path = fields->path;
    else if (fields)
        return instance(p, node, fields, call);
    hn_py_record(p, call);
    v = plain ? hn_py_names_get(&p->returns, name) : NULL;
    return v ? v : call;
}

/* Labels of -100 carry no loss: [-100] * n, labels[:n] = -100.  Told as a call of label_mask. */
static void label_mask(struct hn_py_program *p, const struct hn_py_node *node)
{
    struct hn_py_value *call = hn_py_value_new(p->arena, HN_PY_OBJECT, node);
    if (!call)
        return;
    call->path = hn_str_of("label_mask");
    hn_py_record(p, call);
}

static bool is_mask(const struct hn_py_value *v)
{
    return v && v->type == HN_PY_INT && v->integer == -100;
}

/* ---- operators ------------------------------------------------------------------------------- */

static struct hn_py_value *eval_unary(struct hn_py_program *p, const struct hn_py_node *node)
{
    struct hn_py_value *a = hn_py_eval(p, node->a);
    struct hn_py_value *v = NULL;
    if (hn_str_is(node->text, "not")) {
        int truth = hn_py_truth(a);
        if (truth >= 0 && (v = hn_py_value_new(p->arena, HN_PY_BOOL, node)))
            v->boolean = !truth;
    } else if (a && a->type == HN_PY_INT && a->integer != INT64_MIN &&
               !hn_str_is(node->text, "~")) {
        if ((v = hn_py_value_new(p->arena, HN_PY_INT, node)))
            v->integer = hn_str_is(node->text, "-") ? -a->integer : a->integer;
    } else if (a && a->type == HN_PY_FLOAT && !hn_str_is(node->text, "~")) {
        if ((v = hn_py_value_new(p->arena, HN_PY_FLOAT, node)))
            v->number = hn_str_is(node->text, "-") ? -a->number : a->number;
    } else if (a && a->type == HN_PY_UNKNOWN && a->number > 0 && hn_str_is(node->text, "-")) {
        if ((v = hn_py_value_new(p->arena, HN_PY_UNKNOWN, node))) /* rows[-n:], n a part of all */
            v->number = -a->number;
    }
    if (!v)
        return unknown(p, node, (struct hn_str){"", 0});
    v->conditional = a->conditional;
    return v;
}

static struct hn_py_value *eval_binary(struct hn_py_program *p, const struct hn_py_node *node)
{
    struct hn_py_value *a = hn_py_eval(p, node->a);
    bool or = hn_str_is(node->text, "or"), and = hn_str_is(node->text, "and");
    if (or || and) {
        int truth = hn_py_truth(a);
        if (truth == (or ? 1 : 0))
            return a;
        struct hn_py_value *b = hn_py_eval(p, node->b);
        if (truth >= 0 && (!a->conditional || hn_py_is_constant(b)))
            return a->conditional ? conditional(p, b, node) : b;
        if (or &&hn_py_is_constant(b))
            return conditional(p, b, node);
        return unknown(p, node, (struct hn_str){"", 0});
    }
    struct hn_py_value *b = hn_py_eval(p, node->b);
    if (is_eos(b) || is_eos(a))
        p->eos = is_eos(b) ? b : a;
    else if (hn_str_is(node->text, "+") && has_eos_id(b))
        p->eos = b->first->value;
    if (hn_str_is(node->text, "*") && a && a->type == HN_PY_LIST && a->n == 1 &&
        is_mask(a->first->value))
        label_mask(p, node);
    struct hn_py_value *v = a && b ? hn_py_binary(p, node, node->text, a, b) : NULL;
    if (!v)
        return unknown(p, node, (struct hn_str){"", 0});
    v->conditional = a->conditional || b->conditional;
    return v;
}

static struct hn_py_value *eval_ternary(struct hn_py_program *p, const struct hn_py_node *node)
{
    const struct hn_py_value *condition = hn_py_eval(p, node->b);
    int truth = hn_py_truth(condition);
    if (truth >= 0) {
        struct hn_py_value *v = hn_py_eval(p, truth ? node->a : node->c);
        return condition->conditional ? conditional(p, v, node) : v;
    }
    struct hn_py_value *a = hn_py_eval(p, node->a), *c = hn_py_eval(p, node->c);
    if (hn_py_is_constant(a) && a->type != HN_PY_NONE)
        return conditional(p, a, node);
    if (hn_py_is_constant(c) && c->type != HN_PY_NONE && a && a->type == HN_PY_NONE)
        return conditional(p, c, node);
    return unknown(p, node, (struct hn_str){"", 0});
}

/* ---- names given values ------------------------------------------------------------------------
 */

/* What a loop gives its variable: known when there is one, else one after the other. */
static struct hn_py_value *each_of(struct hn_py_program *p, struct hn_py_value *over,
                                   const struct hn_py_node *node)
{
    struct hn_py_value *v = unknown(p, node, (struct hn_str){"", 0});
    if (v && over && (over->type == HN_PY_LIST || over->type == HN_PY_TUPLE) &&
        hn_py_is_constant(over)) {
        v->first = over->first;
        v->last = over->last;
        v->n = over->n;
    }
    if (v)
        v->self = over;
    return v;
}

static void assign_name(struct hn_py_program *p, const struct hn_py_node *target,
                        struct hn_py_value *value)
{
    if (p->weak) {
        const struct hn_py_value *old = hn_py_names_get(&p->names, target->text);
        if (old && old->type != HN_PY_UNKNOWN && old->type != HN_PY_NONE)
            return;
    }
    if (value && value->type == HN_PY_UNKNOWN && !value->path.n && !value->n) {
        struct hn_py_value *named = hn_py_value_new(p->arena, HN_PY_UNKNOWN, NULL);
        if (!named)
            return;
        *named = *value;
        named->path = target->text; /* so that what is done with it can be told */
        value = named;
    }
    hn_py_names_set(p->arena, &p->names, target->text,
                    p->maybe ? conditional(p, value, target) : value, p->scope);
}

static void assign_attribute(struct hn_py_program *p, const struct hn_py_node *target,
                             struct hn_py_value *value, const struct hn_py_node *where)
{
    struct hn_py_value *base = hn_py_eval(p, target->a);
    struct hn_py_attribute *set = hn_arena_alloc(p->arena, 1, sizeof *set);
    if (!base || !set)
        return;
    struct hn_str path = join(p, base->path, target->text);
    if (base->type == HN_PY_OBJECT) {
        size_t n = base->n;
        hn_py_value_add(p->arena, base, target->text, value, where);
        if (base->n > n)
            base->last->later = true;
    }
    hn_py_names_set(p->arena, &p->attributes, path, value, 0);
    *set = (struct hn_py_attribute){.path = path,
                                    .source = target->source,
                                    .value = value,
                                    .owner = base,
                                    .cell = where->cell,
                                    .line = where->line};
    if (p->n_calls < HN_PY_MAX_CALLS) {
        *p->sets_tail = set;
        p->sets_tail = &set->next;
        p->n_calls++;
    }
}

void hn_py_assign(struct hn_py_program *p, const struct hn_py_node *target,
                  struct hn_py_value *value, const struct hn_py_node *where)
{
    if (!target || !value)
        return;
    if (target->kind == HN_PY_N_NAME) {
        assign_name(p, target, value);
    } else if (target->kind == HN_PY_N_ATTRIBUTE) {
        assign_attribute(p, target, value, where);
    } else if (target->kind == HN_PY_N_INDEX) {
        struct hn_py_value *base = hn_py_eval(p, target->a);
        const struct hn_py_value *key = hn_py_eval(p, target->b);
        if (is_mask(value) && target->b && target->b->kind == HN_PY_N_SLICE)
            label_mask(p, target);
        if (base && base->type == HN_PY_DICT && key && key->type == HN_PY_STR)
            hn_py_value_add(p->arena, base, key->text, value, where);
        else if (base && base->type == HN_PY_DICT)
            base->open = true;
    } else if (target->kind == HN_PY_N_TUPLE || target->kind == HN_PY_N_LIST) {
        bool pieces = (value->type == HN_PY_TUPLE || value->type == HN_PY_LIST) && !value->open &&
                      value->n == target->n;
        const struct hn_py_item *item = pieces ? value->first : NULL;
        for (const struct hn_py_node *t = target->first; t; t = t->next) {
            /* (model, tokenizer) of one call: both come from it */
            struct hn_py_value *piece = item ? item->value : value;
            if (!item && value->type != HN_PY_OBJECT)
                piece = unknown(p, where, (struct hn_str){"", 0});
            hn_py_assign(p, t->kind == HN_PY_N_STAR ? t->a : t, piece, where);
            item = item ? item->next : NULL;
        }
    }
}

static bool calls(const struct hn_py_node *node, unsigned depth)
{
    bool found = !node || node->kind == HN_PY_N_CALL || depth > HN_PY_MAX_DEPTH;
    found = found || (node->a && calls(node->a, depth + 1)) ||
            (node->b && calls(node->b, depth + 1)) || (node->c && calls(node->c, depth + 1));
    for (const struct hn_py_node *c = found ? NULL : node->first; c && !found; c = c->next)
        found = calls(c, depth + 1);
    return found;
}

/* [f"{x}_proj" for x in ("q", "v")]: all its elements; NULL: they are not known, or are made by
 * calls. */
static struct hn_py_value *unrolled(struct hn_py_program *p, const struct hn_py_node *node,
                                    const struct hn_py_value *over)
{
    const struct hn_py_node *pair = node->n == 1 ? node->first : NULL;
    enum { MOST = 64 };
    if (!pair || pair->kind != HN_PY_N_PAIR || !over || over->n > MOST || over->open ||
        (over->type != HN_PY_LIST && over->type != HN_PY_TUPLE) || !hn_py_is_constant(over) ||
        !node->a || node->a->kind == HN_PY_N_PAIR || calls(node->a, 0))
        return NULL;
    struct hn_py_value *list = hn_py_value_new(p->arena, HN_PY_LIST, node);
    for (const struct hn_py_item *i = over->first; list && i; i = i->next) {
        hn_py_assign(p, pair->a, i->value, pair->b);
        struct hn_py_value *element = hn_py_eval(p, node->a);
        if (!element || !hn_py_is_constant(element))
            return NULL;
        hn_py_value_add(p->arena, list, (struct hn_str){0}, element, node);
    }
    return list;
}

static struct hn_py_value *eval_loop(struct hn_py_program *p, const struct hn_py_node *node)
{
    size_t n = p->names.n, scope = p->scope;
    struct hn_py_value *over = NULL;
    p->scope = n;
    for (const struct hn_py_node *c = node->first; c; c = c->next) {
        if (c->kind == HN_PY_N_PAIR) {
            struct hn_py_value *runs = hn_py_eval(p, c->b);
            over = over ? over : runs;
            hn_py_assign(p, c->a, each_of(p, runs, c->b), c->b);
        } else {
            (void)hn_py_eval(p, c);
        }
    }
    if (node->a && node->a->kind == HN_PY_N_PAIR) {
        (void)hn_py_eval(p, node->a->a);
        (void)hn_py_eval(p, node->a->b);
    } else {
        const struct hn_py_value *element = hn_py_eval(p, node->a);
        bool plain = node->a && node->a->kind != HN_PY_N_TERNARY;
        if (plain && is_mask(element)) /* [-100 for _ in prompt] */
            label_mask(p, node->a);
    }
    struct hn_py_value *list = unrolled(p, node, over);
    hn_py_names_leave(&p->names, n);
    p->scope = scope;
    if (list)
        return list;
    struct hn_py_value *v = unknown(p, node, (struct hn_str){"", 0});
    if (v)
        v->self = over; /* where its elements come from */
    return v;
}

static struct hn_py_value *eval_constant(struct hn_py_program *p, const struct hn_py_node *node)
{
    bool truth = hn_str_is(node->text, "True");
    enum hn_py_type type = truth || hn_str_is(node->text, "False") ? HN_PY_BOOL
                           : hn_str_is(node->text, "None")         ? HN_PY_NONE
                                                                   : HN_PY_UNKNOWN;
    struct hn_py_value *v = hn_py_value_new(p->arena, type, node);
    if (v)
        v->boolean = truth;
    return v;
}

struct hn_py_value *hn_py_eval(struct hn_py_program *p, const struct hn_py_node *node)
{
    struct hn_py_value *v;
    if (!node || ++p->steps > HN_PY_MAX_STEPS)
        return unknown(p, node, (struct hn_str){"", 0});
    switch (node->kind) {
    case HN_PY_N_NAME:
        return eval_name(p, node);
    case HN_PY_N_NUMBER:
        return eval_number(p, node);
    case HN_PY_N_STRING:
        v = hn_py_value_new(p->arena, HN_PY_STR, node);
        if (v)
            v->text = node->text;
        return v;
    case HN_PY_N_FSTRING:
        return eval_format(p, node);
    case HN_PY_N_CONSTANT:
        return eval_constant(p, node);
    case HN_PY_N_TUPLE:
    case HN_PY_N_LIST:
    case HN_PY_N_SET:
        return eval_items(p, node);
    case HN_PY_N_DICT:
        return eval_dict(p, node);
    case HN_PY_N_CALL:
        return eval_call(p, node);
    case HN_PY_N_ATTRIBUTE:
        return eval_attribute(p, node);
    case HN_PY_N_INDEX:
        return eval_index(p, node);
    case HN_PY_N_UNARY:
        return eval_unary(p, node);
    case HN_PY_N_BINARY:
        return eval_binary(p, node);
    case HN_PY_N_TERNARY:
        return eval_ternary(p, node);
    case HN_PY_N_LOOP:
        return eval_loop(p, node);
    case HN_PY_N_WALRUS:
        v = hn_py_eval(p, node->a);
        hn_py_assign(p, &(struct hn_py_node){.kind = HN_PY_N_NAME, .text = node->text}, v, node);
        return v;
    case HN_PY_N_SLICE:
        for (const struct hn_py_node *c = node->first; c; c = c->next)
            (void)hn_py_eval(p, c);
        break;
    case HN_PY_N_LAMBDA: {
        struct hn_py_value *body = hn_py_eval(p, node->a);
        v = unknown(p, node, (struct hn_str){"", 0});
        if (v)
            v->self = body; /* what default_factory=lambda: … gives */
        return v;
    }
    case HN_PY_N_PAIR:
    case HN_PY_N_KEYWORD:
    case HN_PY_N_STAR:
    case HN_PY_N_DSTAR:
        (void)hn_py_eval(p, node->a);
        break;
    }
    return unknown(p, node, (struct hn_str){"", 0});
}

#include "base/json.h"
#include "base/mem.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct parser {
    struct hn_arena *arena;
    const char *text;
    size_t n, i;
    int flags, depth;
    struct hone_err *err;
    /* Elements are gathered here, then moved to the arena when their container closes. */
    struct hn_json *stack;
    size_t n_stack, cap_stack;
    struct hn_str *keys;
    size_t n_keys, cap_keys;
    struct hn_buf scratch;
    int code;
};

static int fail(struct parser *p, const char *expected)
{
    size_t line = 1, column = 1;
    for (size_t k = 0; k < p->i && k < p->n; k++) {
        column++;
        if (p->text[k] == '\n')
            line++, column = 1;
    }
    char found[16] = "the end";
    if (p->i < p->n) {
        unsigned char c = (unsigned char)p->text[p->i];
        if (c >= 0x20 && c < 0x7f)
            snprintf(found, sizeof found, "'%c'", c);
        else
            snprintf(found, sizeof found, "byte 0x%02x", c);
    }
    p->code = hn_fail(p->err, HONE_FAILED, "line %zu, column %zu: found %s, expected %s", line,
                      column, found, expected);
    return p->code;
}

static int no_memory(struct parser *p)
{
    return p->code = hn_fail_memory(p->err, "parsing JSON");
}

static void skip_space(struct parser *p)
{
    while (p->i < p->n && (p->text[p->i] == ' ' || p->text[p->i] == '\n' || p->text[p->i] == '\r' ||
                           p->text[p->i] == '\t'))
        p->i++;
}

static bool take(struct parser *p, const char *word)
{
    size_t n = strlen(word);
    if (p->n - p->i < n || memcmp(p->text + p->i, word, n) != 0)
        return false;
    p->i += n;
    return true;
}

static int hex4(struct parser *p, uint32_t *out)
{
    uint32_t v = 0;
    for (int k = 0; k < 4; k++, p->i++) {
        char c = p->i < p->n ? p->text[p->i] : 0;
        if (c >= '0' && c <= '9')
            v = v * 16 + (uint32_t)(c - '0');
        else if ((c | 32) >= 'a' && (c | 32) <= 'f')
            v = v * 16 + (uint32_t)((c | 32) - 'a' + 10);
        else
            return fail(p, "four hexadecimal digits");
    }
    *out = v;
    return 0;
}

static int escape(struct parser *p)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    char c = p->i < p->n ? p->text[p->i] : 0;
    const char *at = c ? strchr(from, c) : NULL;
    if (at) {
        hn_buf_add_char(&p->scratch, to[at - from]);
        p->i++;
        return 0;
    }
    if (c != 'u')
        return fail(p, "an escape character");
    p->i++;
    uint32_t v, low;
    if (hex4(p, &v))
        return p->code;
    if (v >= 0xd800 && v < 0xdc00 && p->n - p->i >= 6 && p->text[p->i] == '\\' &&
        p->text[p->i + 1] == 'u') {
        size_t back = p->i;
        p->i += 2;
        if (hex4(p, &low))
            return p->code;
        if (low >= 0xdc00 && low < 0xe000)
            v = 0x10000 + ((v - 0xd800) << 10) + (low - 0xdc00);
        else
            p->i = back;
    }
    char bytes[4];
    hn_buf_add(&p->scratch, bytes, (size_t)hn_utf8_put(v, bytes));
    return 0;
}

/* At the character after the opening quote. */
static int string(struct parser *p, struct hn_str *out)
{
    hn_buf_clear(&p->scratch);
    for (;;) {
        size_t start = p->i;
        while (p->i < p->n) {
            unsigned char c = (unsigned char)p->text[p->i];
            if (c == '"' || c == '\\' || c < 0x20)
                break;
            if (c < 0x80) {
                p->i++;
            } else {
                size_t at = p->i;
                if (hn_utf8_next(p->text, p->n, &p->i) < 0) {
                    p->i = at;
                    return fail(p, "valid UTF-8");
                }
            }
        }
        hn_buf_add(&p->scratch, p->text + start, p->i - start);
        if (p->i == p->n)
            return fail(p, "'\"' at the end of a string");
        if (p->text[p->i] == '"')
            break;
        if (p->text[p->i] != '\\')
            return fail(p, "an escaped control character");
        p->i++;
        if (escape(p))
            return p->code;
    }
    p->i++;
    char *s = hn_arena_dup(p->arena, hn_buf_str(&p->scratch), p->scratch.len);
    if (!s || p->scratch.failed)
        return no_memory(p);
    *out = (struct hn_str){s, p->scratch.len};
    return 0;
}

static bool digits(struct parser *p)
{
    size_t start = p->i;
    while (p->i < p->n && p->text[p->i] >= '0' && p->text[p->i] <= '9')
        p->i++;
    return p->i > start;
}

static int number(struct parser *p, struct hn_json *out)
{
    size_t start = p->i;
    out->type = HN_JSON_INT;
    if (p->text[p->i] == '-')
        p->i++;
    if (p->i < p->n && p->text[p->i] == '0')
        p->i++;
    else if (!digits(p))
        return fail(p, "a digit");
    if (p->i < p->n && p->text[p->i] == '.') {
        out->type = HN_JSON_FLOAT;
        p->i++;
        if (!digits(p))
            return fail(p, "a digit");
    }
    if (p->i < p->n && (p->text[p->i] | 32) == 'e') {
        out->type = HN_JSON_FLOAT;
        p->i++;
        if (p->i < p->n && (p->text[p->i] == '+' || p->text[p->i] == '-'))
            p->i++;
        if (!digits(p))
            return fail(p, "a digit");
    }
    char *s = hn_arena_dup(p->arena, p->text + start, p->i - start);
    if (!s)
        return no_memory(p);
    out->text = (struct hn_str){s, p->i - start};
    return 0;
}

static int push(struct parser *p, const struct hn_json *v)
{
    if (hn_grow((void **)&p->stack, &p->cap_stack, p->n_stack + 1, sizeof *p->stack))
        return no_memory(p);
    p->stack[p->n_stack++] = *v;
    return 0;
}

static int value(struct parser *p, struct hn_json *out);

static int array(struct parser *p, struct hn_json *out)
{
    size_t base = p->n_stack;
    skip_space(p);
    if (!take(p, "]")) {
        do {
            struct hn_json item;
            if (value(p, &item) || push(p, &item))
                return p->code;
            skip_space(p);
        } while (take(p, ","));
        if (!take(p, "]"))
            return fail(p, "',' or ']'");
    }
    out->type = HN_JSON_ARRAY;
    out->n = p->n_stack - base;
    out->items = hn_arena_alloc(p->arena, out->n, sizeof *out->items);
    if (!out->items)
        return no_memory(p);
    if (out->n)
        memcpy(out->items, p->stack + base, out->n * sizeof *out->items);
    p->n_stack = base;
    return 0;
}

/* Fold repeated keys as Python does, or refuse them.  An open-addressing set of member indices. */
static int fold_repeats(struct parser *p, struct hn_json *o)
{
    size_t cap = 16;
    while (cap < o->n * 2)
        cap *= 2;
    uint32_t *set = hn_calloc(cap, sizeof *set);
    if (!set || o->n > UINT32_MAX - 1) {
        hn_free(set);
        return no_memory(p);
    }
    size_t kept = 0;
    for (size_t i = 0; i < o->n; i++) {
        struct hn_json_member m = o->members[i];
        size_t at = hn_hash(m.key.p, m.key.n) & (cap - 1);
        while (set[at] && !hn_str_eq(o->members[set[at] - 1].key, m.key))
            at = (at + 1) & (cap - 1);
        if (set[at] && p->flags & HN_JSON_UNIQUE_KEYS) {
            hn_free(set);
            return p->code =
                       hn_fail(p->err, HONE_FAILED, "the key \"%.80s\" stands twice", m.key.p);
        }
        if (set[at]) {
            o->members[set[at] - 1].value = m.value;
        } else {
            o->members[kept++] = m;
            set[at] = (uint32_t)kept;
        }
    }
    o->n = kept;
    hn_free(set);
    return 0;
}

static int object(struct parser *p, struct hn_json *out)
{
    size_t base = p->n_stack, base_keys = p->n_keys;
    skip_space(p);
    if (!take(p, "}")) {
        do {
            struct hn_json item;
            struct hn_str key;
            skip_space(p);
            if (!take(p, "\""))
                return fail(p, "'\"' and a key");
            if (string(p, &key))
                return p->code;
            skip_space(p);
            if (!take(p, ":"))
                return fail(p, "':'");
            if (hn_grow((void **)&p->keys, &p->cap_keys, p->n_keys + 1, sizeof *p->keys))
                return no_memory(p);
            p->keys[p->n_keys++] = key;
            if (value(p, &item) || push(p, &item))
                return p->code;
            skip_space(p);
        } while (take(p, ","));
        if (!take(p, "}"))
            return fail(p, "',' or '}'");
    }
    out->type = HN_JSON_OBJECT;
    out->n = p->n_stack - base;
    out->members = hn_arena_alloc(p->arena, out->n, sizeof *out->members);
    if (!out->members)
        return no_memory(p);
    for (size_t i = 0; i < out->n; i++)
        out->members[i] = (struct hn_json_member){p->keys[base_keys + i], p->stack[base + i]};
    p->n_stack = base;
    p->n_keys = base_keys;
    return out->n > 1 ? fold_repeats(p, out) : 0;
}

static int value(struct parser *p, struct hn_json *out)
{
    skip_space(p);
    memset(out, 0, sizeof *out);
    char c = p->i < p->n ? p->text[p->i] : 0;
    if (c == '{' || c == '[') {
        if (++p->depth > HN_JSON_MAX_DEPTH)
            return p->code = hn_fail(p->err, HONE_FAILED, "nested more than %d levels deep",
                                     HN_JSON_MAX_DEPTH);
        p->i++;
        int rc = c == '{' ? object(p, out) : array(p, out);
        p->depth--;
        return rc;
    }
    if (c == '"') {
        out->type = HN_JSON_STRING;
        p->i++;
        return string(p, &out->text);
    }
    if (take(p, "true") || take(p, "false")) {
        out->type = HN_JSON_BOOL;
        out->boolean = c == 't';
        return 0;
    }
    if (take(p, "null"))
        return 0;
    if (p->flags & HN_JSON_PYTHON) {
        static const char *const special[] = {"NaN", "Infinity", "-Infinity"};
        for (size_t k = 0; k < HN_COUNT(special); k++)
            if (take(p, special[k])) {
                out->type = HN_JSON_FLOAT;
                out->text = hn_str_of(special[k]);
                return 0;
            }
    }
    if (c == '-' || (c >= '0' && c <= '9'))
        return number(p, out);
    return fail(p, "a JSON value");
}

int hn_json_parse(struct hn_arena *arena, const char *text, size_t n, int flags,
                  struct hn_json **out, struct hone_err *err)
{
    struct parser p = {.arena = arena, .text = text, .n = n, .flags = flags, .err = err};
    struct hn_json *root = hn_arena_alloc(arena, 1, sizeof *root);
    if (!root) {
        no_memory(&p);
    } else if (!value(&p, root)) {
        skip_space(&p);
        if (p.i < p.n)
            fail(&p, "the end of the document");
        else
            *out = root;
    }
    hn_free(p.stack);
    hn_free(p.keys);
    hn_buf_release(&p.scratch);
    return p.code;
}

const struct hn_json *hn_json_get(const struct hn_json *j, const char *key)
{
    if (!j || j->type != HN_JSON_OBJECT)
        return NULL;
    for (size_t i = 0; i < j->n; i++)
        if (hn_str_is(j->members[i].key, key))
            return &j->members[i].value;
    return NULL;
}

const struct hn_json *hn_json_at(const struct hn_json *j, size_t i)
{
    return j && j->type == HN_JSON_ARRAY && i < j->n ? &j->items[i] : NULL;
}

bool hn_json_int(const struct hn_json *j, int64_t *out)
{
    if (!j || j->type != HN_JSON_INT)
        return false;
    const char *p = j->text.p;
    bool negative = *p == '-';
    int64_t v = 0;
    for (p += negative; *p; p++)
        if (hn_mul_overflows(v, (int64_t)10, &v) || hn_add_overflows(v, (int64_t)('0' - *p), &v))
            return false;
    if (!negative && v == INT64_MIN)
        return false;
    *out = negative ? v : -v;
    return true;
}

bool hn_json_float(const struct hn_json *j, double *out)
{
    if (!j || (j->type != HN_JSON_INT && j->type != HN_JSON_FLOAT))
        return false;
    *out = hn_double_parse(j->text.p, j->text.n);
    return true;
}

bool hn_json_bool(const struct hn_json *j, bool *out)
{
    if (!j || j->type != HN_JSON_BOOL)
        return false;
    *out = j->boolean;
    return true;
}

bool hn_json_str(const struct hn_json *j, struct hn_str *out)
{
    if (!j || j->type != HN_JSON_STRING)
        return false;
    *out = j->text;
    return true;
}

bool hn_json_is(const struct hn_json *j, const char *s)
{
    return j && j->type == HN_JSON_STRING && hn_str_is(j->text, s);
}

const char *hn_json_type_name(const struct hn_json *j)
{
    static const char *const names[] = {"null",     "a boolean", "an integer", "a float",
                                        "a string", "an array",  "an object"};
    return j ? names[j->type] : "nothing";
}

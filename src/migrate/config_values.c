/* JSON and YAML as values, and files of them that a source names. */
#include "migrate/config_values.h"

#include <string.h>
#include "base/file.h"
#include "migrate/script.h"

enum { MAX_CONFIG = 8 << 20 };

static struct hn_py_value *of_text(struct hn_arena *arena, struct hn_str text,
                                   const struct hn_py_node *where)
{
    struct hn_py_value *v = hn_py_value_str(arena, text.p, text.n);
    if (v) {
        v->line = where->line;
        v->source = v->text;
    }
    return v;
}

/* A number, true, false, null; else text. */
static struct hn_py_value *of_scalar(struct hn_arena *arena, struct hn_str text, bool quoted,
                                     const struct hn_py_node *where)
{
    if (quoted)
        return of_text(arena, text, where);
    struct hn_py_value *v = hn_py_value_scalar(arena, text);
    if (v && v->type == HN_PY_STR)
        v->source = v->text;
    if (v)
        v->line = where->line;
    return v;
}

static struct hn_py_value *of_json(struct hn_arena *arena, const struct hn_json *j, unsigned depth)
{
    const struct hn_py_node where = {.text = {"", 0}};
    struct hn_py_value *v;
    switch (depth > HN_YAML_MAX_DEPTH ? HN_JSON_NULL : j->type) {
    case HN_JSON_BOOL:
        return of_scalar(arena, hn_str_of(j->boolean ? "true" : "false"), false, &where);
    case HN_JSON_INT:
    case HN_JSON_FLOAT:
        return of_scalar(arena, j->text, false, &where);
    case HN_JSON_STRING:
        return of_scalar(arena, j->text, true, &where);
    case HN_JSON_ARRAY:
        v = hn_py_value_new(arena, HN_PY_LIST, &where);
        for (size_t i = 0; i < j->n && v; i++)
            hn_py_value_add(arena, v, (struct hn_str){0}, of_json(arena, &j->items[i], depth + 1),
                            &where);
        return v;
    case HN_JSON_OBJECT:
        v = hn_py_value_new(arena, HN_PY_DICT, &where);
        for (size_t i = 0; i < j->n && v; i++)
            hn_py_value_add(arena, v, j->members[i].key,
                            of_json(arena, &j->members[i].value, depth + 1), &where);
        return v;
    case HN_JSON_NULL:
        break;
    }
    return hn_py_value_new(arena, HN_PY_NONE, &where);
}

struct hn_py_value *hn_values_of_yaml(struct hn_arena *arena, const struct hn_yaml *y)
{
    const struct hn_py_node where = {.line = y->line, .text = {"", 0}};
    if (y->kind == HN_YAML_SCALAR)
        return of_scalar(arena, y->text, y->quoted, &where);
    bool map = y->kind == HN_YAML_MAP;
    struct hn_py_value *v = hn_py_value_new(arena, map ? HN_PY_DICT : HN_PY_LIST, &where);
    for (const struct hn_yaml *c = y->first; c && v; c = c->next) {
        const struct hn_py_node at = {.line = c->line};
        hn_py_value_add(arena, v, map ? c->key : (struct hn_str){0}, hn_values_of_yaml(arena, c),
                        &at);
    }
    return v;
}

struct hn_py_value *hn_values_of_json(struct hn_arena *arena, const struct hn_json *j)
{
    return of_json(arena, j, 0);
}

struct hn_py_value *hn_values_of_text(struct hn_arena *arena, const char *name, struct hn_str text)
{
    struct hone_err err = {0};
    struct hn_json *json = NULL;
    struct hn_yaml *yaml = NULL;
    struct hn_py_value *v = NULL;
    if (hn_ends_with(name, ".json") &&
        !hn_json_parse(arena, text.p, text.n, HN_JSON_PYTHON, &json, &err))
        v = hn_values_of_json(arena, json);
    if (!hn_ends_with(name, ".json") && !hn_yaml_parse(arena, name, text.p, text.n, &yaml, &err))
        v = hn_values_of_yaml(arena, yaml);
    return v && v->type == HN_PY_DICT ? v : NULL;
}

struct hn_py_value *hn_values_read(struct hn_plan *p, const char *path)
{
    struct hn_buf text = {0};
    struct hone_err err = {0};
    struct hn_py_value *v = NULL;
    const char *found = hn_data_locate(p, path);
    if (hn_file_exists(found) && !hn_file_read(found, MAX_CONFIG, &text, &err)) {
        const char *copy = hn_arena_dup(p->arena, hn_buf_str(&text), text.len);
        v = copy ? hn_values_of_text(p->arena, found, (struct hn_str){copy, text.len}) : NULL;
    }
    hn_buf_release(&text);
    return v;
}

#include "conf/yaml.h"

#include <string.h>
#include <yaml.h>

enum { MAX_CHILDREN = 1000 };

struct reader {
    yaml_parser_t *parser;
    struct hn_arena *arena;
    const char *name;
    size_t nodes;
    struct hone_err *err;
};

static int refuse(struct reader *r, const yaml_event_t *e, const char *what)
{
    return hn_fail(r->err, HONE_FAILED, "%s:%zu: %s", r->name, e->start_mark.line + 1, what);
}

static int next(struct reader *r, yaml_event_t *e)
{
    if (yaml_parser_parse(r->parser, e))
        return 0;
    const yaml_parser_t *p = r->parser;
    if (p->error == YAML_MEMORY_ERROR)
        return hn_fail_memory(r->err, "reading YAML");
    return hn_fail(r->err, HONE_FAILED, "%s:%zu: %s%s%s", r->name, p->problem_mark.line + 1,
                   p->problem ? p->problem : "no YAML", p->context ? ", " : "",
                   p->context ? p->context : "");
}

static int scalar(struct reader *r, const yaml_event_t *e, struct hn_str *text)
{
    char *p = hn_arena_dup(r->arena, (const char *)e->data.scalar.value, e->data.scalar.length);
    if (!p)
        return hn_fail_memory(r->err, "reading YAML");
    if (memchr(p, 0, e->data.scalar.length))
        return refuse(r, e, "a value holds a NUL character");
    *text = (struct hn_str){p, e->data.scalar.length};
    return 0;
}

static int node(struct reader *r, const yaml_event_t *e, int depth, struct hn_yaml **out);

/* The key of a map's next entry; *done at its end. */
static int read_key(struct reader *r, const struct hn_yaml *map, struct hn_str *key, bool *done)
{
    yaml_event_t e;
    int rc = next(r, &e);
    if (rc)
        return rc;
    *done = e.type == YAML_MAPPING_END_EVENT;
    if (!*done) {
        if (e.type != YAML_SCALAR_EVENT)
            rc = refuse(r, &e, "a key is not plain text");
        else
            rc = scalar(r, &e, key);
        for (const struct hn_yaml *y = map->first; y && !rc; y = y->next) {
            if (hn_str_eq(y->key, *key))
                rc = hn_fail(r->err, HONE_FAILED,
                             "%s:%zu: the key \"%s\" stands here again, after "
                             "line %u",
                             r->name, e.start_mark.line + 1, key->p, y->line);
        }
    }
    yaml_event_delete(&e);
    return rc;
}

static int children(struct reader *r, struct hn_yaml *parent, int depth)
{
    struct hn_yaml **tail = &parent->first;
    for (;;) {
        struct hn_str key = {0};
        bool done = false;
        if (parent->kind == HN_YAML_MAP) {
            int rc = read_key(r, parent, &key, &done);
            if (rc || done)
                return rc;
        }
        yaml_event_t e;
        int rc = next(r, &e);
        if (rc)
            return rc;
        done = e.type == YAML_SEQUENCE_END_EVENT;
        if (!done && parent->n >= MAX_CHILDREN)
            rc = refuse(r, &e, "a collection has more than 1000 entries");
        if (!done && !rc)
            rc = node(r, &e, depth, tail);
        yaml_event_delete(&e);
        if (rc || done)
            return rc;
        (*tail)->key = key;
        tail = &(*tail)->next;
        parent->n++;
    }
}

static int node(struct reader *r, const yaml_event_t *e, int depth, struct hn_yaml **out)
{
    if (depth > HN_YAML_MAX_DEPTH)
        return refuse(r, e, "collections are nested deeper than 16 levels");
    if (++r->nodes > HN_YAML_MAX_NODES)
        return refuse(r, e, "the file has more than 20000 values");
    struct hn_yaml *y = hn_arena_alloc(r->arena, 1, sizeof *y);
    if (!y)
        return hn_fail_memory(r->err, "reading YAML");
    y->line = (unsigned)e->start_mark.line + 1;
    int rc = 0;
    switch (e->type) {
    case YAML_SCALAR_EVENT:
        if (e->data.scalar.anchor || (e->data.scalar.tag && e->data.scalar.tag[0]))
            return refuse(r, e, "anchors and tags are not taken in a config file");
        y->quoted = e->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
        rc = scalar(r, e, &y->text);
        break;
    case YAML_SEQUENCE_START_EVENT:
        if (e->data.sequence_start.anchor || e->data.sequence_start.tag)
            return refuse(r, e, "anchors and tags are not taken in a config file");
        y->kind = HN_YAML_LIST;
        rc = children(r, y, depth + 1);
        break;
    case YAML_MAPPING_START_EVENT:
        if (e->data.mapping_start.anchor || e->data.mapping_start.tag)
            return refuse(r, e, "anchors and tags are not taken in a config file");
        y->kind = HN_YAML_MAP;
        rc = children(r, y, depth + 1);
        break;
    case YAML_ALIAS_EVENT:
        return refuse(r, e, "aliases are not taken in a config file");
    default:
        return refuse(r, e, "a value was expected");
    }
    if (!rc)
        *out = y;
    return rc;
}

/* One document: stream start, document start, a node, document end, stream end.  An empty file is
 * an empty map. */
static int document(struct reader *r, struct hn_yaml **out)
{
    struct hn_yaml *root = NULL;
    for (;;) {
        yaml_event_t e;
        int rc = next(r, &e);
        if (rc)
            return rc;
        bool done = e.type == YAML_STREAM_END_EVENT;
        bool frame = e.type == YAML_STREAM_START_EVENT || e.type == YAML_DOCUMENT_END_EVENT ||
                     e.type == YAML_DOCUMENT_START_EVENT;
        if (e.type == YAML_DOCUMENT_START_EVENT && root)
            rc = refuse(r, &e, "a second document begins here; a config file is one");
        else if (!done && !frame)
            rc = node(r, &e, 0, &root);
        yaml_event_delete(&e);
        if (rc)
            return rc;
        if (done)
            break;
    }
    if (!root) {
        root = hn_arena_alloc(r->arena, 1, sizeof *root);
        if (!root)
            return hn_fail_memory(r->err, "reading YAML");
        root->kind = HN_YAML_MAP;
        root->line = 1;
    }
    *out = root;
    return 0;
}

int hn_yaml_parse(struct hn_arena *arena, const char *name, const char *text, size_t n,
                  struct hn_yaml **out, struct hone_err *err)
{
    if (n > HN_YAML_MAX_SIZE)
        return hn_fail(err, HONE_FAILED, "%s is larger than 1 MiB, which no config file is", name);
    yaml_parser_t parser;
    if (!yaml_parser_initialize(&parser))
        return hn_fail_memory(err, "reading YAML");
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, n);
    struct reader r = {.parser = &parser, .arena = arena, .name = name, .err = err};
    int rc = document(&r, out);
    yaml_parser_delete(&parser);
    return rc;
}

bool hn_yaml_is_null(const struct hn_yaml *y)
{
    return y->kind == HN_YAML_SCALAR && !y->quoted &&
           (y->text.n == 0 || hn_str_is(y->text, "~") || hn_str_is(y->text, "null") ||
            hn_str_is(y->text, "Null") || hn_str_is(y->text, "NULL") || hn_str_is(y->text, "None"));
}

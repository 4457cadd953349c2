#include "migrate/migrate_plan.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "base/buf.h"
#include "base/json.h"
#include "conf/config_file.h"
#include "conf/value.h"

const char *hn_plan_text(struct hn_plan *p, const char *fmt, ...)
{
    char text[2048];
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    size_t used = n < 0 ? 0 : HN_MIN((size_t)n, sizeof text - 1);
    while (used && used == sizeof text - 1 && (text[used - 1] & 0xc0) == 0x80)
        used--; /* cut within a character */
    const char *copy = hn_arena_dup(p->arena, text, used);
    return copy ? copy : "";
}

void hn_plan_row(struct hn_plan *p, const struct hn_place *place, enum hone_migrate_fate fate,
                 const char *setting, const char *note)
{
    struct hn_buf value = {0};
    if (p->n_rows >= HN_MIGRATE_MAX_ROWS) {
        p->full = true;
        return;
    }
    hn_py_value_show(&value, place->value);
    const char *shown = hn_py_take_text(p->arena, &value).p;
    if (place->value && place->value->conditional)
        note = hn_plan_text(p,
                            "%s%sdepends on a condition; this is what it was with a GPU and "
                            "the script's defaults",
                            note, *note ? "; " : "");
    p->rows[p->n_rows++] = (struct hone_migrate_row){.call = place->call,
                                                     .argument = place->argument,
                                                     .value = shown,
                                                     .cell = place->cell,
                                                     .line = place->line,
                                                     .fate = fate,
                                                     .setting = setting,
                                                     .note = note};
}

/* ---- settings -------------------------------------------------------------------------------- */

static const struct hn_option *find(const char *key, size_t *index)
{
    const struct hn_option *o = hn_option_find(HN_TRAIN, key, strlen(key), index);
    HN_ASSERT(o);
    return o;
}

const char *hn_plan_get(const struct hn_plan *p, const char *key)
{
    size_t index;
    (void)find(key, &index);
    return p->settings[index].set ? p->settings[index].text : NULL;
}

static const char *origin(struct hn_plan *p, const struct hn_place *place, enum hn_rank rank)
{
    const char *dot = *place->argument ? "." : "";
    if (rank == HN_RANK_DEFAULT)
        return hn_plan_text(p, "default of %s", place->call);
    if (!place->line)
        return hn_plan_text(p, "%s%s%s", place->call, dot, place->argument);
    if (place->cell)
        return hn_plan_text(p, "%s%s%s, cell %u, line %u", place->call, dot, place->argument,
                            place->cell, place->line);
    return hn_plan_text(p, "%s%s%s, line %u", place->call, dot, place->argument, place->line);
}

/* Take the setting over from whoever had it; false when a higher rank has it. */
static bool outranked(struct hn_plan *p, const struct hn_place *place, enum hn_rank rank,
                      const struct hn_setting *s)
{
    if (!s->set || s->rank <= rank)
        return false;
    hn_plan_row(p, place, HONE_MIGRATE_NOT_CARRIED, "", hn_plan_text(p, "%s holds", s->origin));
    return true;
}

void hn_plan_unresolved(struct hn_plan *p, const struct hn_place *place, const char *key,
                        const char *hint)
{
    size_t index;
    (void)find(key, &index);
    p->settings[index].unresolved = true;
    hn_plan_row(p, place, HONE_MIGRATE_NOT_CARRIED, "",
                hn_plan_text(p, "only a run would tell its value: set %s yourself%s", key,
                             hint ? hint : ""));
}

bool hn_plan_is_unresolved(const struct hn_plan *p, const char *key)
{
    size_t index;
    (void)find(key, &index);
    return p->settings[index].unresolved;
}

/* "a,b" as a list. */
static void split_items(struct hn_plan *p, struct hn_setting *s, const char *text)
{
    size_t most = 1;
    for (const char *c = text; *c; c++)
        most += *c == ',';
    const char **items = hn_arena_alloc(p->arena, most, sizeof *items);
    while (items && *text) {
        size_t n = strcspn(text, ",");
        const char *copy = n ? hn_arena_dup(p->arena, text, n) : NULL;
        if (copy)
            items[s->n_items++] = copy;
        text += n + (text[n] == ',');
    }
    s->items = items;
}

void hn_plan_set(struct hn_plan *p, const struct hn_place *place, enum hn_rank rank,
                 const char *key, const char *text, enum hone_migrate_fate fate, const char *note)
{
    size_t index;
    struct hone_err err = {0};
    const struct hn_option *o = find(key, &index);
    struct hn_setting *s = &p->settings[index];
    if (!text || outranked(p, place, rank, s)) /* no text: out of memory, as the arena says */
        return;
    if (hn_value_check(o, text, strlen(text), key, &err)) {
        hn_plan_row(p, place, HONE_MIGRATE_NOT_CARRIED, "", hn_plan_text(p, "%s", err.message));
        return;
    }
    *s = (struct hn_setting){
        .set = true, .rank = rank, .text = text, .origin = origin(p, place, rank)};
    if (o->type == HN_OPTION_LIST)
        split_items(p, s, text);
    hn_plan_row(p, place, fate, hn_plan_text(p, "%s: %s", key, text), note);
}

void hn_plan_set_list(struct hn_plan *p, const struct hn_place *place, enum hn_rank rank,
                      const char *key, const struct hn_py_value *list, enum hone_migrate_fate fate,
                      const char *note)
{
    size_t index, n = 0;
    struct hn_buf text = {0};
    const struct hn_option *o = find(key, &index);
    struct hn_setting *s = &p->settings[index];
    if (o->type != HN_OPTION_LIST) {
        hn_plan_row(p, place, HONE_MIGRATE_NOT_CARRIED, "",
                    hn_plan_text(p, "a list; %s takes one value", key));
        return;
    }
    const char **items = hn_arena_alloc(p->arena, list->n + 1, sizeof *items);
    if (!items || outranked(p, place, rank, s))
        return;
    for (const struct hn_py_item *i = list->first; i; i = i->next) {
        if (i->value->type != HN_PY_STR || !i->value->text.n)
            continue;
        const char *copy = hn_arena_dup(p->arena, i->value->text.p, i->value->text.n);
        bool again = false;
        if (!copy)
            break;
        for (size_t k = 0; k < n; k++)
            again = again || strcmp(items[k], copy) == 0;
        if (again)
            continue;
        items[n++] = copy;
        hn_buf_printf(&text, "%s%s", n > 1 ? "," : "", copy);
    }
    const char *joined = hn_py_take_text(p->arena, &text).p;
    if (!n) {
        hn_plan_row(p, place, HONE_MIGRATE_NOT_CARRIED, "", "no name in it is known");
        return;
    }
    *s = (struct hn_setting){.set = true,
                             .rank = rank,
                             .text = joined,
                             .items = items,
                             .n_items = n,
                             .origin = origin(p, place, rank)};
    hn_plan_row(p, place, fate, hn_plan_text(p, "%s: %s", key, joined), note);
}

const char *hn_plan_value(struct hn_plan *p, const struct hn_py_value *v)
{
    char number[32];
    if (!v || !hn_py_is_constant(v))
        return NULL;
    switch (v->type) {
    case HN_PY_NONE:
        return "null";
    case HN_PY_BOOL:
        return v->boolean ? "true" : "false";
    case HN_PY_INT:
        return hn_plan_text(p, "%lld", (long long)v->integer);
    case HN_PY_FLOAT:
        hn_double_repr(v->number, number);
        return hn_plan_text(p, "%s", number);
    case HN_PY_STR:
        return memchr(v->text.p, 0, v->text.n) ? NULL
                                               : hn_arena_dup(p->arena, v->text.p, v->text.n);
    default:
        return NULL;
    }
}

const char *hn_plan_text_of(struct hn_plan *p, const struct hn_py_value *v, const char *key)
{
    const struct hn_py_value *member = hn_py_value_get(v, key);
    return member && member->type == HN_PY_STR ? hn_plan_value(p, member) : NULL;
}

/* ---- files ----------------------------------------------------------------------------------- */

bool hn_files_has(const struct hn_files *files, const char *path)
{
    for (size_t i = 0; i < files->n; i++)
        if (strcmp(files->items[i], path) == 0)
            return true;
    return false;
}

void hn_files_remove(struct hn_files *files, const char *path)
{
    size_t n = 0;
    for (size_t i = 0; i < files->n; i++)
        if (strcmp(files->items[i], path) != 0)
            files->items[n++] = files->items[i];
    files->n = n;
}

void hn_files_add(struct hn_plan *p, struct hn_files *files, const char *path)
{
    if (files->n == HN_MIGRATE_MAX_FILES || hn_files_has(files, path))
        return;
    const char *copy = hn_arena_dup(p->arena, path, strlen(path));
    if (copy)
        files->items[files->n++] = copy;
}

/* ---- train.yaml ------------------------------------------------------------------------------ */

static void put_value(const struct hn_option *o, const struct hn_setting *s, struct hn_buf *out)
{
    double number;
    size_t n = strlen(s->text);
    if (o->type == HN_OPTION_STRING || o->type == HN_OPTION_ENUM) {
        hn_buf_add_char(out, ' ');
        hn_yaml_put_string(out, s->text);
    } else if (o->type == HN_OPTION_FLOAT && hn_text_float(s->text, n, &number)) {
        char text[32];
        hn_double_repr(number, text);
        const char *e = strchr(text, 'e');
        if (e && !strchr(text, '.')) /* YAML 1.1 takes 1e-05 for text */
            hn_buf_printf(out, " %.*s.0%s", (int)(e - text), text, e);
        else
            hn_buf_printf(out, " %s", text);
    } else {
        hn_buf_printf(out, " %s", s->text);
    }
}

void hn_plan_yaml(const struct hn_plan *p, struct hn_buf *out)
{
    char key[64];
    const char *group = "";
    const struct hn_option *o;
    const char *name = strrchr(p->path, '/');
    hn_buf_add_str(out, "# Made by hone migrate from ");
    for (const char *c = name ? name + 1 : p->path; *c; c++)
        hn_buf_add_char(out, (unsigned char)*c < 0x20 || *c == 0x7f ? '?' : *c);
    hn_buf_add_str(out, ". What is not here has hone's own default.\n");
    for (int pass = 0; pass < 2; pass++) { /* the model first */
        for (size_t i = 0; (o = hn_option_at(i)); i++) {
            const struct hn_setting *s = &p->settings[i];
            bool model = strcmp(o->name, "model") == 0;
            if (!s->set || model != (pass == 0))
                continue;
            if (strcmp(group, o->group) != 0)
                hn_buf_printf(out, "\n# %s\n", o->group);
            group = o->group;
            hn_buf_printf(out, "%s:", hn_option_key(o, key, sizeof key));
            if (o->type != HN_OPTION_LIST) {
                put_value(o, s, out);
                hn_buf_printf(out, "  # %s\n", s->origin);
                continue;
            }
            hn_buf_printf(out, "  # %s\n", s->origin);
            for (size_t k = 0; k < s->n_items; k++) {
                hn_buf_add_str(out, "  - ");
                hn_yaml_put_string(out, s->items[k]);
                hn_buf_add_char(out, '\n');
            }
        }
    }
}

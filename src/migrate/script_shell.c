/* Shell lines that train, of a notebook or a shell script: the flags of mlx_lm.lora and trl sft
 * become settings, other programs are named. */
#include <string.h>
#include "migrate/script.h"

enum { MAX_WORD = 300, MAX_WORDS = 200 };

struct words {
    struct hn_str items[MAX_WORDS];
    size_t n;
};

/* One word, its quotes taken away; returns what follows it. */
static const char *one_word(struct hn_arena *arena, const char *p, const char *end,
                            struct hn_str *out)
{
    char text[MAX_WORD];
    size_t n = 0;
    char quote = 0;
    for (; p < end && (quote || (*p != ' ' && *p != '\t')); p++) {
        if (quote ? *p == quote : *p == '"' || *p == '\'')
            quote = quote ? 0 : *p;
        else if (n < sizeof text)
            text[n++] = *p;
    }
    *out = (struct hn_str){hn_arena_dup(arena, text, n), n};
    return p;
}

/* {name}, $name and ${name}: a variable of the notebook, or of the shell script */
static struct hn_str value_of(const struct hn_migrator *m, struct hn_str s)
{
    struct hn_str name = s;
    bool dollar = s.n > 1 && s.p[0] == '$';
    name.p += dollar;
    name.n -= dollar;
    bool braces = name.n > 2 && name.p[0] == '{' && name.p[name.n - 1] == '}';
    if (!braces && !dollar)
        return s;
    name.p += braces;
    name.n -= braces ? 2 : 0;
    const struct hn_py_value *v = hn_py_names_get(&m->program->names, name);
    const char *text = v ? hn_plan_value(m->plan, v) : NULL;
    return text ? hn_str_of(text) : s;
}

static void split_line(const struct hn_migrator *m, struct hn_str line, struct words *w)
{
    const char *p = line.p, *end = line.p + line.n;
    while (p < end && w->n < MAX_WORDS) {
        struct hn_str word;
        if (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r' || *p == '\\') {
            p++;
            continue;
        }
        p = one_word(m->plan->arena, p, end, &word);
        if (!word.p)
            return;
        w->items[w->n++] = value_of(m, word);
    }
}

/* --flag value, --flag=value, --flag */
static void settings(struct hn_migrator *m, const struct words *w, size_t from,
                     const struct hn_place *line)
{
    for (size_t i = from; i < w->n; i++) {
        struct hn_str s = w->items[i], given = {"", 0};
        if (s.n < 2 || s.p[0] != '-')
            continue;
        while (s.n && *s.p == '-') {
            s.p++;
            s.n--;
        }
        const char *equals = memchr(s.p, '=', s.n);
        if (equals) {
            given = (struct hn_str){equals + 1, (size_t)(s.p + s.n - equals - 1)};
            s.n = (size_t)(equals - s.p);
        } else if (i + 1 < w->n && w->items[i + 1].n && w->items[i + 1].p[0] != '-') {
            given = w->items[++i];
        }
        char *name = hn_arena_dup(m->plan->arena, s.p, s.n);
        for (char *c = name; c && *c; c++)
            *c = *c == '-' ? '_' : *c;
        struct hn_py_value *v =
            name ? hn_py_value_scalar(m->plan->arena, given.n ? given : hn_str_of("true")) : NULL;
        if (!v)
            return;
        struct hn_place place = *line;
        place.call = "mlx_lm.lora";
        place.argument = name;
        place.value = v;
        if (strcmp(name, "c") == 0 || strcmp(name, "config") == 0)
            hn_plan_row(m->plan, &place, HONE_MIGRATE_NOT_CARRIED, "",
                        "its settings are in that file: give it to hone migrate, or to hone train "
                        "--config");
        else
            hn_rule_apply(m, hn_rule_find(&hn_rules_mlx, hn_str_of(name)), &place, HN_RANK_USUAL);
    }
}

/* NAME=value, export NAME=value */
static void keep_variables(struct hn_migrator *m, const struct words *w)
{
    size_t from = w->n && hn_str_is(w->items[0], "export");
    for (size_t i = from; i < w->n; i++) {
        struct hn_str name = w->items[i];
        const char *equals = memchr(name.p, '=', name.n);
        if (!equals || equals == name.p || *name.p == '-')
            return; /* the command begins */
        name.n = (size_t)(equals - name.p);
        struct hn_py_value *v = hn_py_value_str(
            m->plan->arena, equals + 1, (size_t)(w->items[i].p + w->items[i].n - equals - 1));
        if (v)
            hn_py_names_set(m->plan->arena, &m->program->names, name, v, 0);
    }
}

/* The flags of trl sft as the recipe that --config would hold. */
static struct hn_py_value *recipe(struct hn_migrator *m, const struct words *w, size_t from,
                                  unsigned line)
{
    const struct hn_py_node where = {.line = line, .text = {"", 0}};
    struct hn_arena *arena = m->plan->arena;
    struct hn_py_value *all = hn_py_value_new(arena, HN_PY_DICT, &where);
    for (size_t i = from; all && i < w->n; i++) {
        struct hn_str key = w->items[i];
        if (key.n < 3 || memcmp(key.p, "--", 2) != 0)
            continue;
        key = (struct hn_str){key.p + 2, key.n - 2};
        const char *equals = memchr(key.p, '=', key.n);
        struct hn_py_value *list = hn_py_value_new(arena, HN_PY_LIST, &where);
        if (equals) {
            struct hn_str given = {equals + 1, (size_t)(key.p + key.n - equals - 1)};
            key.n = (size_t)(equals - key.p);
            hn_py_value_add(arena, list, (struct hn_str){0}, hn_py_value_scalar(arena, given),
                            &where);
        }
        while (!equals && i + 1 < w->n && w->items[i + 1].n && w->items[i + 1].p[0] != '-')
            hn_py_value_add(arena, list, (struct hn_str){0},
                            hn_py_value_scalar(arena, w->items[++i]), &where);
        struct hn_py_value *v = list && list->n == 0 ? hn_py_value_scalar(arena, hn_str_of("true"))
                                : list && list->n == 1 ? list->first->value
                                                       : list;
        char *name = hn_arena_dup(arena, key.p, key.n);
        for (char *c = name; c && *c; c++)
            *c = *c == '-' ? '_' : *c;
        if (name)
            hn_py_value_add(arena, all, hn_str_of(name), v, &where);
    }
    return all;
}

static bool trains(struct hn_str line)
{
    static const char *const runs[] = {"python",           "accelerate launch", "torchrun",
                                       "deepspeed",        "axolotl",           "autotrain",
                                       "llamafactory-cli", "tune run",          "trl sft"};
    static const char *const means[] = {"train", "sft", "finetun", "fine_tun", "fine-tun", "lora"};
    bool run = false, mean = false;
    for (size_t i = 0; i < HN_COUNT(runs); i++)
        run = run || hn_str_contains(line, runs[i]);
    for (size_t i = 0; i < HN_COUNT(means); i++)
        mean = mean || hn_str_contains(line, means[i]);
    return run && mean && !hn_str_contains(line, "pip ") && !hn_str_contains(line, "merge") &&
           !hn_str_contains(line, "generate");
}

static void one_line(struct hn_migrator *m, struct hn_str line, unsigned cell, unsigned number)
{
    struct words w = {.n = 0};
    struct hn_py_value shown = {.type = HN_PY_UNKNOWN, .source = line};
    const struct hn_place place = {
        .call = "shell", .argument = "", .value = &shown, .cell = cell, .line = number};
    size_t at = 0;
    split_line(m, line, &w);
    if (!cell)
        keep_variables(m, &w);
    for (size_t i = 0; i + 1 < w.n && !m->trl; i++) {
        if (!hn_str_is(w.items[i], "trl") || !hn_str_is(w.items[i + 1], "sft"))
            continue;
        const struct hn_py_value *flags = recipe(m, &w, i + 2, number);
        if (!flags)
            return;
        hn_plan_row(m->plan, &place, HONE_MIGRATE_CARRIED, "hone train", "");
        hn_trl_migrate(m, flags);
        return;
    }
    for (; at < w.n; at++)
        if (hn_str_is(w.items[at], "mlx_lm.lora") || hn_str_ends(w.items[at], "/lora.py") ||
            hn_str_is(w.items[at], "lora.py") ||
            (at && hn_str_is(w.items[at], "lora") && hn_str_ends(w.items[at - 1], "mlx_lm")))
            break;
    bool train = false;
    for (size_t i = at; i < w.n; i++)
        train = train || hn_str_is(w.items[i], "--train") || hn_str_is(w.items[i], "--config") ||
                hn_str_is(w.items[i], "-c");
    if (at < w.n && train) {
        m->mlx = true;
        hn_plan_row(m->plan, &place, HONE_MIGRATE_CARRIED, "hone lora, with the same options", "");
        settings(m, &w, at + 1, &place);
    } else if (at == w.n && trains(line)) {
        m->shell_trains = true;
        hn_plan_row(m->plan, &place, HONE_MIGRATE_NOT_CARRIED, "",
                    "another program trains here: give hone migrate its script, or its config");
    }
}

void hn_shell_migrate(struct hn_migrator *m, const struct hn_py_source *sources, size_t n, bool all)
{
    for (size_t i = 0; i < n; i++) {
        const char *p = sources[i].text.p, *end = p + sources[i].text.n;
        bool bash = all;
        for (unsigned number = 1; p < end && (all || sources[i].cell); number++) {
            const char *from = p;
            unsigned at = number;
            for (;; number++) { /* a backslash goes on in the next line */
                const char *eol = memchr(p, '\n', (size_t)(end - p));
                bool on = eol && eol > from && eol[-1] == '\\';
                p = eol ? eol + 1 : end;
                if (!on || p == end)
                    break;
            }
            struct hn_str line = {from, (size_t)(p - from)};
            while (line.n && (*line.p == ' ' || *line.p == '\t')) {
                line.p++;
                line.n--;
            }
            bash = bash || (line.n > 4 &&
                            (memcmp(line.p, "%%ba", 4) == 0 || memcmp(line.p, "%%sh", 4) == 0));
            while (line.n && (line.p[line.n - 1] == '\n' || line.p[line.n - 1] == '\r'))
                line.n--;
            if (line.n && *line.p == '!')
                one_line(m, (struct hn_str){line.p + 1, line.n - 1}, sources[i].cell, at);
            else if (line.n && bash && *line.p != '%' && *line.p != '#')
                one_line(m, line, sources[i].cell, at);
        }
    }
}

int hn_shell_script(struct hn_plan *plan, const struct hn_py_source *source, struct hone_err *err)
{
    struct hn_py_program *program = hn_arena_alloc(plan->arena, 1, sizeof *program);
    struct hn_migrator m = {.plan = plan, .program = program};
    if (!program)
        return hn_fail_memory(err, "reading the source");
    int rc = hn_py_program_init(program, plan->arena, err);
    if (rc)
        return rc;
    hn_shell_migrate(&m, source, 1, true);
    if (plan->arena->failed)
        return hn_fail_memory(err, "reading the source");
    if (!m.mlx && !m.trl && plan->n_rows)
        return hn_fail(err, HONE_FAILED,
                       "%s: what trains is another program, run in line %u: give hone migrate its "
                       "script, or its config",
                       plan->path, plan->rows[0].line);
    if (!m.mlx && !m.trl)
        return hn_fail(err, HONE_FAILED,
                       "%s: no line was found that trains (mlx_lm.lora --train, trl sft)",
                       plan->path);
    hn_defaults_apply(&m);
    return plan->arena->failed ? hn_fail_memory(err, "reading the source") : 0;
}

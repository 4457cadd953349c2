/* Shell lines that train, of a notebook or a shell script: the flags of mlx_lm.lora, trl sft,
 * llamafactory-cli, axolotl and tune run become settings, with those of the config file that they
 * name; other programs are named. */
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

/* The name of a variable that p[n] begins with: $name, ${name}, ${name:-otherwise}, {name} of a
 * notebook; *used: how much of p that is; n 0: none. */
static struct hn_str variable_at(const char *p, size_t n, size_t *used, struct hn_str *otherwise)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789";
    const bool dollar = n > 1 && p[0] == '$', braces = n > 2 && p[dollar] == '{';
    const size_t from = (size_t)dollar + braces;
    size_t at = from;
    *otherwise = (struct hn_str){NULL, 0};
    while ((dollar || braces) && at < n && p[at] && strchr(letters, p[at]))
        at++;
    struct hn_str name = {p + from, at - from};
    if (dollar && braces && at + 1 < n && p[at] == ':' && p[at + 1] == '-') {
        const char *end = memchr(p + at, '}', n - at);
        *otherwise = (struct hn_str){p + at + 2, end ? (size_t)(end - p - (ptrdiff_t)at) - 2 : 0};
        at = end ? (size_t)(end - p) : n;
    }
    bool whole = !braces || (at < n && p[at] == '}');
    *used = at + braces;
    return whole ? name : (struct hn_str){"", 0};
}

/* A word with the variables of the notebook, or of the shell script, in place of their names. */
static struct hn_str value_of(const struct hn_migrator *m, struct hn_str s)
{
    char text[2 * MAX_WORD];
    size_t n = 0;
    for (size_t i = 0; i < s.n;) {
        size_t used;
        struct hn_str otherwise, name = variable_at(s.p + i, s.n - i, &used, &otherwise);
        const struct hn_py_value *v = name.n ? hn_py_names_get(&m->program->names, name) : NULL;
        const char *value = v ? hn_plan_value(m->plan, v) : NULL;
        struct hn_str put = value         ? hn_str_of(value)
                            : otherwise.p ? otherwise
                                          : (struct hn_str){s.p + i, used = 1};
        if (put.n > sizeof text - n)
            return s;
        memcpy(text + n, put.p, put.n);
        n += put.n;
        i += used;
    }
    const char *copy = hn_arena_dup(m->plan->arena, text, n);
    return copy ? (struct hn_str){copy, n} : s;
}

/* What a flag is given; what a shell would make of it when it runs is not known. */
static struct hn_py_value *value_given(struct hn_arena *arena, struct hn_str text)
{
    const struct hn_py_node where = {.source = text, .text = {"", 0}};
    if (hn_str_contains(text, "$") || hn_str_contains(text, "`"))
        return hn_py_value_new(arena, HN_PY_UNKNOWN, &where);
    return hn_py_value_scalar(arena, text);
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
            name ? value_given(m->plan->arena, given.n ? given : hn_str_of("true")) : NULL;
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

/* The flags of such a program as the config that a file would hold. */
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
            hn_py_value_add(arena, list, (struct hn_str){0}, value_given(arena, given), &where);
        }
        while (!equals && i + 1 < w->n && w->items[i + 1].n && w->items[i + 1].p[0] != '-')
            hn_py_value_add(arena, list, (struct hn_str){0}, value_given(arena, w->items[++i]),
                            &where);
        bool flag = list && list->n == 0, no = flag && key.n > 3 && memcmp(key.p, "no", 2) == 0 &&
                                               (key.p[2] == '-' || key.p[2] == '_') &&
                                               !hn_str_is(key, "no_cuda");
        struct hn_py_value *v = flag ? hn_py_value_scalar(arena, hn_str_of(no ? "false" : "true"))
                                : list && list->n == 1 ? list->first->value
                                                       : list;
        if (no)
            key = (struct hn_str){key.p + 3, key.n - 3};
        char *name = hn_arena_dup(arena, key.p, key.n);
        for (char *c = name; c && *c; c++)
            *c = *c == '-' ? '_' : *c;
        if (name)
            hn_py_value_add(arena, all, hn_str_of(name), v, &where);
    }
    return all;
}

/* ---- programs that take a config file ---------------------------------------------------------
 */

/* The sources that the lines come from, which may have written the file. */
struct source_text {
    const struct hn_py_source *items;
    size_t n;
};

/* %%writefile NAME, or cat > NAME <<EOF: the text that follows; n 0: none. */
static struct hn_str text_after(struct hn_str source, struct hn_str name)
{
    const char *p = source.p, *end = p + source.n;
    while (p < end) {
        const char *eol = memchr(p, '\n', (size_t)(end - p));
        struct hn_str line = {p, (size_t)((eol ? eol : end) - p)};
        p = eol ? eol + 1 : end;
        bool cell = line.n > 11 && memcmp(line.p, "%%writefile", 11) == 0;
        bool here = hn_str_contains(line, "cat") && hn_str_contains(line, "<<");
        if (!(cell || here) || !hn_str_has(line, name))
            continue;
        if (cell)
            return (struct hn_str){p, (size_t)(end - p)};
        const char *mark = line.p;
        while (!(mark[0] == '<' && mark[1] == '<'))
            mark++;
        mark += 2 + strspn(mark + 2, "-'\" ");
        size_t n = strcspn(mark, "'\" >\r\n");
        for (const char *from = p; p < end && n; p = eol ? eol + 1 : end) {
            eol = memchr(p, '\n', (size_t)(end - p));
            size_t of_line = (size_t)((eol ? eol : end) - p);
            if (of_line == n && memcmp(p, mark, n) == 0)
                return (struct hn_str){from, (size_t)(p - from)};
        }
    }
    return (struct hn_str){"", 0};
}

/* Does v come from open("…/NAME", "w")? */
static bool opens(const struct hn_py_value *v, struct hn_str name)
{
    const struct hn_py_value *path = v ? hn_py_value_at(v, 0) : NULL;
    return v && v->type == HN_PY_OBJECT && hn_py_path_ends(v->path, "open") && path &&
           path->type == HN_PY_STR && hn_str_eq(hn_data_name(path->text), name);
}

/* What the source itself writes to a file of this name: json.dump({…}, open(…)), yaml.dump,
 * open(…).write("…"), %%writefile; NULL: nothing that is known. */
static struct hn_py_value *written(struct hn_migrator *m, struct source_text sources,
                                   const char *path)
{
    struct hn_str name = hn_data_name(hn_str_of(path));
    struct hn_py_value *found = NULL;
    for (size_t i = 0; i < sources.n && name.n; i++) {
        struct hn_str text = text_after(sources.items[i].text, name);
        if (text.n)
            found = hn_values_of_text(m->plan->arena, path, text);
    }
    for (const struct hn_py_call *c = m->program->calls; c && name.n; c = c->next) {
        const struct hn_py_value *call = c->object, *what = hn_py_value_at(call, 0);
        bool dumps =
            hn_py_path_ends(call->path, "dump") || hn_py_path_ends(call->path, "safe_dump");
        if (dumps && what && what->type == HN_PY_DICT && opens(hn_py_value_at(call, 1), name))
            found = (struct hn_py_value *)(uintptr_t)what;
        if (hn_py_path_ends(call->path, "write") && what && what->type == HN_PY_STR &&
            opens(call->self, name))
            found = hn_values_of_text(m->plan->arena, path, what->text);
    }
    return found;
}

/* The config of that file, with the given settings in place of its own; NULL: it is not known. */
static struct hn_py_value *config_of(struct hn_migrator *m, struct source_text sources,
                                     const char *path, const struct hn_py_value *given,
                                     const struct hn_place *line)
{
    struct hn_py_value *own = written(m, sources, path);
    own = own ? own : hn_values_read(m->plan, path);
    const struct hn_py_node where = {.cell = line->cell, .line = line->line, .text = {"", 0}};
    struct hn_py_value *all = own ? hn_py_value_new(m->plan->arena, HN_PY_DICT, &where) : NULL;
    for (const struct hn_py_item *i = all ? own->first : NULL; i; i = i->next) {
        const char *key = hn_arena_dup(m->plan->arena, i->key.p, i->key.n);
        if (key && !hn_py_value_find(given, key))
            hn_py_value_add(m->plan->arena, all, i->key, i->value, &where);
    }
    for (const struct hn_py_item *i = all ? given->first : NULL; i; i = i->next)
        if (!hn_str_is(i->key, "config"))
            hn_py_value_add(m->plan->arena, all, i->key, i->value, &where);
    if (all)
        hn_py_value_place(all, line->cell, line->line, 0);
    return all;
}

static bool is_config_name(struct hn_str s)
{
    return hn_str_ends(s, ".yaml") || hn_str_ends(s, ".yml") || hn_str_ends(s, ".json");
}

/* Where the arguments begin of a program that is given a config or its settings; 0: it is none. */
static size_t arguments_at(const struct words *w)
{
    for (size_t i = 0; i + 1 < w->n; i++) {
        struct hn_str s = w->items[i];
        bool train = hn_str_is(w->items[i + 1], "train");
        if (train &&
            (hn_str_ends(s, "llamafactory-cli") || hn_str_is(s, "lmf") || hn_str_is(s, "axolotl")))
            return i + 2;
        if ((hn_str_is(s, "trl") && hn_str_is(w->items[i + 1], "sft")) ||
            (hn_str_is(s, "tune") && hn_str_is(w->items[i + 1], "run")))
            return i + 2;
        if (hn_str_is(s, "axolotl.cli.train") || hn_str_ends(s, "src/train_bash.py") ||
            (hn_str_ends(s, "src/train.py") && is_config_name(w->items[i + 1])))
            return i + 1;
    }
    return 0;
}

/* Overrides as LLaMA-Factory and torchtune take them: key=value. */
static void add_overrides(struct hn_migrator *m, const struct words *w, size_t from,
                          struct hn_py_value *to)
{
    for (size_t i = from; i < w->n; i++) {
        struct hn_str key = w->items[i];
        const char *equals = memchr(key.p, '=', key.n);
        if (!equals || *key.p == '-')
            continue;
        struct hn_str text = {equals + 1, (size_t)(key.p + key.n - equals - 1)};
        key.n = (size_t)(equals - key.p);
        hn_py_value_add(m->plan->arena, to, key, value_given(m->plan->arena, text), NULL);
    }
}

static void migrate_config(struct hn_migrator *m, struct source_text sources, const struct words *w,
                           size_t at, const struct hn_place *line)
{
    enum hn_config_kind kind;
    struct hone_err err = {0};
    struct hn_py_value *config = recipe(m, w, at, line->line);
    const struct hn_py_value *named = config ? hn_py_value_get(config, "config") : NULL;
    bool first = at < w->n && is_config_name(w->items[at]);
    bool list = named && named->type == HN_PY_LIST; /* --config FILE key=value … */
    named = list ? hn_py_value_at(named, 0) : named;
    const char *path = first   ? hn_arena_dup(m->plan->arena, w->items[at].p, w->items[at].n)
                       : named ? hn_plan_value(m->plan, named)
                               : NULL;
    if (!config)
        return;
    if (first || list)
        add_overrides(m, w, at, config);
    hn_py_value_place(config, line->cell, line->line, 0);
    struct hn_py_value *whole = path ? config_of(m, sources, path, config, line) : NULL;
    config = first || whole ? whole : config;
    bool known = config && hn_config_find(m->plan, config, &kind, &err) == 0;
    if (hn_shell_has_config(m)) {
        hn_plan_row(m->plan, line, HONE_MIGRATE_NOT_CARRIED, "",
                    "hone carries what is trained before");
    } else if (known && kind != HN_CONFIG_MLX && kind != HN_CONFIG_PEFT) {
        hn_plan_row(m->plan, line, HONE_MIGRATE_CARRIED, "hone train",
                    whole ? hn_plan_text(m->plan, "with the settings in %s", path) : "");
        if (kind == HN_CONFIG_TRL)
            hn_trl_migrate(m, config);
        else if (kind == HN_CONFIG_AXOLOTL)
            hn_axolotl_migrate(m, config);
        else if (kind == HN_CONFIG_TORCHTUNE)
            hn_torchtune_migrate(m, config);
        else
            hn_llama_factory_migrate(m, config);
    } else {
        hn_plan_row(m->plan, line, HONE_MIGRATE_NOT_CARRIED, "",
                    path ? hn_plan_text(m->plan,
                                        "its settings are in %s, which cannot be read here: give "
                                        "that file to hone migrate",
                                        path)
                         : "another program trains here: give hone migrate its script, or its "
                           "config");
    }
}

/* ---- one line ----------------------------------------------------------------------------------
 */

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

static void one_line(struct hn_migrator *m, struct source_text sources, struct hn_str line,
                     unsigned cell, unsigned number)
{
    struct words w = {.n = 0};
    struct hn_py_value shown = {.type = HN_PY_UNKNOWN, .source = line};
    const struct hn_place place = {
        .call = "shell", .argument = "", .value = &shown, .cell = cell, .line = number};
    size_t at = 0;
    split_line(m, line, &w);
    if (!cell)
        keep_variables(m, &w);
    size_t from = arguments_at(&w);
    if (from) {
        migrate_config(m, sources, &w, from, &place);
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
        hn_plan_row(m->plan, &place, HONE_MIGRATE_NOT_CARRIED, "",
                    "another program trains here: give hone migrate its script, or its config");
    }
}

bool hn_shell_has_config(const struct hn_migrator *m)
{
    return m->trl || m->axolotl || m->llama_factory || m->torchtune;
}

void hn_shell_migrate(struct hn_migrator *m, const struct hn_py_source *sources, size_t n, bool all)
{
    const struct source_text of = {sources, n};
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
                one_line(m, of, (struct hn_str){line.p + 1, line.n - 1}, sources[i].cell, at);
            else if (line.n && bash && *line.p != '%' && *line.p != '#')
                one_line(m, of, line, sources[i].cell, at);
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
    bool found = m.mlx || hn_shell_has_config(&m);
    if (!found && plan->n_rows)
        return hn_fail(err, HONE_FAILED, "%s, line %u: %s", plan->path, plan->rows[0].line,
                       plan->rows[0].note);
    if (!found)
        return hn_fail(err, HONE_FAILED,
                       "%s: no line was found that trains (mlx_lm.lora --train, trl sft, "
                       "llamafactory-cli train, axolotl train, tune run)",
                       plan->path);
    hn_defaults_apply(&m);
    return plan->arena->failed ? hn_fail_memory(err, "reading the source") : 0;
}

/* Shell lines of a notebook that train: mlx_lm.lora's become settings, others are named. */
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

/* {name} and $name: a variable of the notebook */
static struct hn_str value_of(const struct hn_migrator *m, struct hn_str s)
{
    struct hn_str name = {s.p + 1, s.n > 1 ? s.n - 1 : 0};
    bool braces = s.n > 2 && s.p[0] == '{' && s.p[s.n - 1] == '}';
    if (!braces && !(s.n > 1 && s.p[0] == '$'))
        return s;
    name.n -= braces;
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

void hn_shell_migrate(struct hn_migrator *m, const struct hn_py_source *sources, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const char *p = sources[i].text.p, *end = p + sources[i].text.n;
        bool bash = false;
        for (unsigned number = 1; p < end && sources[i].cell; number++) {
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

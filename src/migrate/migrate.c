/* The public calls: what a file is, and its migration as one object. */
#include "hone/migrate.h"

#include <string.h>
#include "base/file.h"
#include "base/mem.h"
#include "conf/value.h"
#include "conf/yaml.h"
#include "migrate/config_values.h"
#include "migrate/notebook.h"
#include "migrate/script.h"

enum { MAX_FILE = 64 << 20, MAX_MEMORY = 512 << 20, MAX_WORDS = 2 * HN_MIGRATE_MAX_FILES + 16 };

struct migration {
    struct hone_migration pub;
    struct hn_arena arena;
    struct hn_plan plan;
};

const char *hone_migrate_fate_name(enum hone_migrate_fate fate)
{
    static const char *const names[] = {"carried",     "changed", "automatic",
                                        "not carried", "unknown", "default"};
    return fate >= 0 && (size_t)fate < HN_COUNT(names) ? names[fate] : "unknown";
}

/* ---- what a file is -------------------------------------------------------------------------- */

static int from_config(struct migration *m, const struct hn_py_value *config, struct hone_err *err)
{
    static const char *const kinds[] = {"mlx-lm config",        "PEFT adapter",
                                        "TRL recipe",           "axolotl config",
                                        "LLaMA-Factory config", "torchtune config"};
    enum hn_config_kind kind;
    if (!config)
        return hn_fail_memory(err, "reading the config");
    int rc = hn_config_find(&m->plan, config, &kind, err);
    if (rc)
        return rc;
    m->pub.kind = kinds[kind];
    return hn_config_migrate(&m->plan, config, kind, err);
}

static int from_json(struct migration *m, const char *text, size_t n, struct hone_err *err)
{
    struct hn_json *root = NULL;
    struct hn_py_source *cells;
    size_t n_cells;
    int rc = hn_json_parse(&m->arena, text, n, HN_JSON_PYTHON, &root, err);
    if (rc)
        return hn_fail_prefix(err, "%s", m->plan.path);
    if (hn_is_notebook(root)) {
        m->pub.kind = "notebook";
        rc = hn_notebook_cells(&m->arena, root, &cells, &n_cells, err);
        if (rc)
            return hn_fail_prefix(err, "%s", m->plan.path);
        return hn_script_migrate(&m->plan, cells, n_cells, err);
    }
    if (root->type != HN_JSON_OBJECT)
        return hn_fail(err, HONE_FAILED,
                       "%s: %s; expected a notebook (with \"cells\"), or an adapter_config.json",
                       m->plan.path, hn_json_type_name(root));
    return from_config(m, hn_values_of_json(&m->arena, root), err);
}

static int from_yaml(struct migration *m, const char *text, size_t n, struct hone_err *err)
{
    struct hn_yaml *root = NULL;
    int rc = hn_yaml_parse(&m->arena, m->plan.path, text, n, &root, err);
    if (rc)
        return hn_fail_prefix(err, "hone migrate");
    if (root->kind != HN_YAML_MAP)
        return hn_fail(err, HONE_FAILED, "%s:%u: a config file is a map of settings (key: value)",
                       m->plan.path, root->line);
    return from_config(m, hn_values_of_yaml(&m->arena, root), err);
}

static int from_python(struct migration *m, const char *text, size_t n, struct hone_err *err)
{
    const struct hn_py_source source = {.text = {text, n}};
    m->pub.kind = "Python script";
    size_t bad = hn_utf8_check(text, n);
    if (bad < n || memchr(text, 0, n))
        return hn_fail(err, HONE_FAILED, "%s: byte %zu is no UTF-8 text; expected a Python script",
                       m->plan.path,
                       bad < n ? bad : (size_t)((const char *)memchr(text, 0, n) - text));
    if (hn_ends_with(m->plan.path, ".sh") || hn_ends_with(m->plan.path, ".bash")) {
        m->pub.kind = "shell script";
        return hn_shell_script(&m->plan, &source, err);
    }
    return hn_script_migrate(&m->plan, &source, 1, err);
}

/* ---- the result ------------------------------------------------------------------------------ */

static int by_place(const struct hone_migrate_row *x, const struct hone_migrate_row *y)
{
    if (!x->line != !y->line)
        return x->line ? -1 : 1;
    if (x->cell != y->cell)
        return x->cell < y->cell ? -1 : 1;
    if (x->line != y->line)
        return x->line < y->line ? -1 : 1;
    return 0;
}

/* Stable: rows of one line keep the order in which they were found. */
static void sort_rows(struct hone_migrate_row *rows, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        struct hone_migrate_row row = rows[i];
        size_t at = i;
        for (; at > 0 && by_place(&rows[at - 1], &row) > 0; at--)
            rows[at] = rows[at - 1];
        rows[at] = row;
    }
}

static void add_word(const char **words, size_t *n, const char *word)
{
    if (*n < MAX_WORDS)
        words[(*n)++] = word;
}

/* The words of hone prepare, if there is something to prepare. */
static void prepare_words(const struct hn_plan *p, const char *folder, const char **words,
                          size_t *n)
{
    const char *shuffle = hn_plan_get(p, "shuffle");
    if (!p->train.n)
        return;
    add_word(words, n, "prepare");
    for (size_t i = 0; i < p->train.n; i++) {
        add_word(words, n, "--input");
        add_word(words, n, p->train.items[i]);
    }
    add_word(words, n, "--output");
    add_word(words, n, folder);
    for (size_t i = 0; i < p->n_held; i++) {
        add_word(words, n, p->held[i].flag);
        add_word(words, n, p->held[i].amount);
    }
    if (p->split_seed) {
        add_word(words, n, "--seed");
        add_word(words, n, p->split_seed);
    }
    if (shuffle && strcmp(shuffle, "false") == 0 && p->n_held == 0) /* else it draws the split */
        add_word(words, n, "--no-shuffle");
}

static int commands(struct migration *m, struct hone_err *err)
{
    struct hn_plan *p = &m->plan;
    struct hone_migration *pub = &m->pub;
    const char **prepare = hn_arena_alloc(&m->arena, MAX_WORDS, sizeof *prepare);
    const char **test = hn_arena_alloc(&m->arena, MAX_WORDS, sizeof *test);
    const char *adapter = hn_plan_get(p, "adapter_path"), *data = hn_plan_get(p, "data");
    const char *folder = p->folder ? p->folder : "data";
    data = data ? data : "data";
    size_t n_data = strlen(data);
    while (n_data > 1 && data[n_data - 1] == '/')
        n_data--;
    if (!prepare || !test)
        return hn_fail_memory(err, "writing commands");
    prepare_words(p, folder, prepare, &pub->n_prepare);
    const char *held = p->test.n ? p->test.items[0] : p->valid.n ? p->valid.items[0] : NULL;
    bool tests = false, valids = false;
    for (size_t i = 0; i < p->n_held; i++) {
        valids = valids || p->held[i].flag[2] == 'v';
        tests = tests || p->held[i].flag[2] == 't';
    }
    if (!held && p->train.n)
        held = tests    ? hn_plan_text(p, "%s/test.jsonl", folder)
               : valids ? hn_plan_text(p, "%s/valid.jsonl", folder)
                        : NULL;
    add_word(test, &pub->n_test, "test");
    add_word(test, &pub->n_test, "--model");
    add_word(test, &pub->n_test, adapter ? adapter : "adapters");
    add_word(test, &pub->n_test, "--data");
    if (held)
        add_word(test, &pub->n_test, held);
    else if (!p->train.n) /* mlx-lm's own folder */
        add_word(test, &pub->n_test, hn_plan_text(p, "%.*s/valid.jsonl", (int)n_data, data));
    else
        add_word(test, &pub->n_test, hn_plan_text(p, "%s/train.jsonl", folder));
    if (!held && p->train.n) { /* nothing is held out: a look at what was learnt */
        add_word(test, &pub->n_test, "--limit");
        add_word(test, &pub->n_test, "20");
    }
    const char *eos = hn_plan_get(p, "append_eos"), *mask = hn_plan_get(p, "mask_prompt");
    const char *length = hn_plan_get(p, "max_seq_length");
    const char *plain = hn_plan_get(p, "plain_completions");
    const char *template = hn_plan_get(p, "chat_template");
    if (eos && strcmp(eos, "false") == 0) /* rows are read as in training */
        add_word(test, &pub->n_test, "--no-append-eos");
    if (mask && strcmp(mask, "true") == 0)
        add_word(test, &pub->n_test, "--mask-prompt");
    if (plain && strcmp(plain, "true") == 0)
        add_word(test, &pub->n_test, "--plain-completions");
    if (template) { /* and worded as in training */
        add_word(test, &pub->n_test, "--chat-template");
        add_word(test, &pub->n_test, template);
    }
    if (length) {
        add_word(test, &pub->n_test, "--max-seq-length");
        add_word(test, &pub->n_test, length);
    }
    if (p->max_new_tokens) {
        add_word(test, &pub->n_test, "--max-tokens");
        add_word(test, &pub->n_test, p->max_new_tokens);
    }
    pub->prepare = prepare;
    pub->test = test;
    pub->adapter_path = adapter ? adapter : "";
    pub->model = hn_plan_get(p, "model") ? hn_plan_get(p, "model") : "";
    return 0;
}

static int finish(struct migration *m, struct hone_err *err)
{
    struct hn_buf yaml = {0};
    struct hone_migration *pub = &m->pub;
    const struct hn_place place = {.call = "model", .argument = ""};
    if (!hn_plan_get(&m->plan, "model"))
        hn_plan_row(&m->plan, &place, HONE_MIGRATE_NOT_CARRIED, "",
                    "no model was found that is known before a run: give hone train --model");
    sort_rows(m->plan.rows, m->plan.n_rows);
    hn_plan_yaml(&m->plan, &yaml);
    pub->yaml = hn_arena_dup(&m->arena, hn_buf_str(&yaml), yaml.len);
    bool failed = yaml.failed || !pub->yaml;
    hn_buf_release(&yaml);
    pub->path = m->plan.path;
    pub->rows = m->plan.rows;
    pub->n_rows = m->plan.n_rows;
    for (size_t i = 0; i < pub->n_rows; i++)
        pub->counts[pub->rows[i].fate]++;
    int rc = commands(m, err);
    return rc ? rc : failed || m->arena.failed ? hn_fail_memory(err, "writing the config") : 0;
}

int hone_migrate_parse(struct hone_migration **out, const char *path, const char *text, size_t n,
                       struct hone_err *err)
{
    struct migration *m = hn_calloc(1, sizeof *m);
    if (!m)
        return hn_fail_memory(err, "reading the source");
    hn_arena_init(&m->arena, MAX_MEMORY);
    m->plan.arena = &m->arena;
    m->plan.path = hn_arena_dup(&m->arena, path, strlen(path));
    m->plan.rows = hn_arena_alloc(&m->arena, HN_MIGRATE_MAX_ROWS, sizeof *m->plan.rows);
    size_t first = 0;
    while (first < n && strchr(" \t\r\n", text[first]) && text[first])
        first++;
    int rc;
    if (!m->plan.path || !m->plan.rows)
        rc = hn_fail_memory(err, "reading the source");
    else if (hn_ends_with(path, ".yaml") || hn_ends_with(path, ".yml"))
        rc = from_yaml(m, text, n, err);
    else if (hn_ends_with(path, ".ipynb") || hn_ends_with(path, ".json") ||
             (first < n && text[first] == '{' && !hn_ends_with(path, ".py")))
        rc = from_json(m, text, n, err);
    else
        rc = from_python(m, text, n, err);
    rc = rc ? rc : finish(m, err);
    if (rc) {
        hn_arena_release(&m->arena);
        hn_free(m);
        return rc;
    }
    *out = &m->pub;
    return 0;
}

int hone_migrate_open(struct hone_migration **out, const char *path, struct hone_err *err)
{
    struct hn_buf text = {0};
    int rc = hn_file_read(path, MAX_FILE, &text, err);
    if (!rc)
        rc = hone_migrate_parse(out, path, hn_buf_str(&text), text.len, err);
    hn_buf_release(&text);
    return rc;
}

void hone_migrate_close(struct hone_migration **out)
{
    if (!*out)
        return;
    struct migration *m = (struct migration *)(void *)*out;
    hn_arena_release(&m->arena);
    hn_free(m);
    *out = NULL;
}

/* hone migrate: the table of what became of every argument, train.yaml, and with --run the whole
 * way: prepare, train, test. */
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/err.h"
#include "base/file.h"
#include "cli/cli.h"
#include "hone/migrate.h"

enum { MAX_NAME = 44, MAX_VALUE = 30, MAX_SETTING = 44, MAX_WORDS = 256 };

/* ---- for people ------------------------------------------------------------------------------ */

static void add_where(struct hn_table *t, const struct hone_migrate_row *r)
{
    if (r->cell)
        hn_table_add(t, "cell %u, %u", r->cell, r->line);
    else if (r->line)
        hn_table_add(t, "line %u", r->line);
    else
        hn_table_add(t, "-");
}

static void fill_table(struct hn_table *t, const struct hone_migration *m)
{
    hn_table_init(t, 5, 0);
    const char *const heads[] = {"where", "original", "value", "in hone", "note"};
    for (size_t i = 0; i < HN_COUNT(heads); i++)
        hn_table_add(t, "%s", heads[i]);
    for (size_t i = 0; i < m->n_rows; i++) {
        const struct hone_migrate_row *r = &m->rows[i];
        struct hn_buf value = {0}, name = {0};
        bool says = r->setting[0];
        hn_ui_cut(&value, r->value, MAX_VALUE);
        hn_buf_printf(&name, "%s%s%s", r->call, *r->argument ? "." : "", r->argument);
        struct hn_buf shown = {0};
        hn_ui_cut(&shown, hn_ui_str(&name), MAX_NAME);
        struct hn_buf setting = {0};
        hn_ui_cut(&setting, says ? r->setting : hone_migrate_fate_name(r->fate), MAX_SETTING);
        add_where(t, r);
        hn_table_add(t, "%s", hn_ui_str(&shown));
        hn_table_add(t, "%s", r->fate == HONE_MIGRATE_DEFAULT ? "(default)" : hn_ui_str(&value));
        hn_table_add(t, "%s%s", hn_ui_str(&setting),
                     says && r->fate == HONE_MIGRATE_CHANGED ? " (changed)" : "");
        hn_table_add(t, "%s", r->note);
        hn_buf_release(&value);
        hn_buf_release(&name);
        hn_buf_release(&shown);
        hn_buf_release(&setting);
    }
}

/* One entry of the list: what it was, what it became, and the note. */
static void print_entry(const struct hone_migrate_row *r, struct hn_ui *ui)
{
    enum { INDENT = 2, DEEP = 6, MAX_LINE = 100, MAX_SHOWN = 160 };
    size_t width = (size_t)HN_MAX(HN_MIN(ui->width, MAX_LINE), 2 * DEEP);
    const char *fate = hone_migrate_fate_name(r->fate), *hone = *r->setting ? r->setting : fate;
    bool changed = *r->setting && r->fate == HONE_MIGRATE_CHANGED, given = *r->value;
    struct hn_buf was = {0}, shown = {0}, text = {0}, became = {0};
    hn_ui_cut(&shown, r->value, MAX_SHOWN);
    if (r->cell)
        hn_buf_printf(&was, "cell %u, line %u: ", r->cell, r->line);
    else if (r->line)
        hn_buf_printf(&was, "line %u: ", r->line);
    hn_buf_printf(&was, "%s%s%s%s%s", r->call, *r->argument ? "." : "", r->argument,
                  r->fate == HONE_MIGRATE_DEFAULT ? " (default)"
                  : !given                        ? ""
                  : *r->argument                  ? " = "
                                                  : ": ",
                  r->fate == HONE_MIGRATE_DEFAULT ? "" : hn_ui_str(&shown));
    hn_ui_wrap(&text, hn_ui_str(&was), INDENT, width);
    fputs(hn_ui_str(&text), ui->out);
    hn_buf_clear(&text);
    hn_buf_printf(&became, "→ %s%s", hone, changed ? " (changed)" : "");
    hn_ui_wrap(&text, hn_ui_str(&became), INDENT + 2, width);
    fputs(*r->setting ? hn_ui_style(ui, HN_BOLD) : "", ui->out);
    fputs(hn_ui_str(&text), ui->out);
    fputs(*r->setting ? hn_ui_style(ui, HN_PLAIN) : "", ui->out);
    hn_buf_clear(&text);
    hn_ui_wrap(&text, r->note, DEEP, width);
    if (*r->note)
        fputs(hn_ui_str(&text), ui->out);
    hn_buf_release(&was);
    hn_buf_release(&shown);
    hn_buf_release(&text);
    hn_buf_release(&became);
}

/* The table; on a terminal that is too narrow for it, the same rows as a list. */
static void print_rows(const struct hone_migration *m, struct hn_ui *ui)
{
    struct hn_table t;
    fill_table(&t, m);
    if (!ui->terminal || hn_table_width(&t) <= (size_t)ui->width) {
        hn_table_print(&t, ui, true);
        return;
    }
    hn_table_release(&t);
    for (size_t i = 0; i < m->n_rows; i++)
        print_entry(&m->rows[i], ui);
}

/* A word as a shell reads it. */
static void add_quoted(struct hn_buf *out, const char *word)
{
    static const char plain[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_/.-=:,+@%";
    if (*word && strspn(word, plain) == strlen(word)) {
        hn_buf_add_str(out, word);
        return;
    }
    hn_buf_add_char(out, '\'');
    for (; *word; word++) {
        if (*word == '\'')
            hn_buf_add_str(out, "'\\''");
        else
            hn_buf_add_char(out, *word);
    }
    hn_buf_add_char(out, '\'');
}

static void add_command(struct hn_buf *out, const char *const *words, size_t n)
{
    hn_buf_add_str(out, "hone");
    for (size_t i = 0; i < n; i++) {
        hn_buf_add_char(out, ' ');
        add_quoted(out, words[i]);
    }
}

static void print_command(struct hn_ui *ui, const char *const *words, size_t n)
{
    struct hn_buf text = {0};
    add_command(&text, words, n);
    hn_ui_say(ui, HN_BOLD, "  %s", hn_ui_str(&text));
    hn_buf_release(&text);
}

static void print_report(const struct hone_migration *m, const char *output, struct hn_ui *ui)
{
    const char *const train[] = {"train", "--config", output ? output : "train.yaml"};
    print_rows(m, ui);
    hn_ui_say(ui, HN_PLAIN,
              "\n%s: %zu carried, %zu changed, %zu automatic, %zu not carried, %zu not known; %zu "
              "defaults written out",
              m->kind, m->counts[HONE_MIGRATE_CARRIED], m->counts[HONE_MIGRATE_CHANGED],
              m->counts[HONE_MIGRATE_AUTOMATIC], m->counts[HONE_MIGRATE_NOT_CARRIED],
              m->counts[HONE_MIGRATE_UNKNOWN], m->counts[HONE_MIGRATE_DEFAULT]);
    if (output)
        hn_ui_say(ui, HN_GREEN, "wrote %s", output);
    else
        hn_ui_say(ui, HN_PLAIN, "\n%s", m->yaml);
    hn_ui_say(ui, HN_PLAIN, "Then:");
    if (m->n_prepare)
        print_command(ui, m->prepare, m->n_prepare);
    print_command(ui, train, HN_COUNT(train));
    print_command(ui, m->test, m->n_test);
}

/* ---- for machines ---------------------------------------------------------------------------- */

static void json_words(struct hn_json_writer *w, const char *key, const char *const *words,
                       size_t n)
{
    hn_jw_put_open(w, key, '[');
    for (size_t i = 0; i < n; i++)
        hn_jw_str(w, words[i]);
    hn_jw_close(w, ']');
}

static int print_json(const struct hone_migration *m, struct hone_err *err)
{
    struct hn_buf out = {0};
    struct hn_json_writer w;
    hn_jw_init(&w, &out, -1);
    hn_jw_open(&w, '{');
    hn_jw_put_str(&w, "path", m->path);
    hn_jw_put_str(&w, "kind", m->kind);
    hn_jw_put_str(&w, "model", m->model);
    hn_jw_put_open(&w, "rows", '[');
    for (size_t i = 0; i < m->n_rows; i++) {
        const struct hone_migrate_row *r = &m->rows[i];
        hn_jw_open(&w, '{');
        hn_jw_put_str(&w, "call", r->call);
        hn_jw_put_str(&w, "argument", r->argument);
        hn_jw_put_str(&w, "value", r->value);
        hn_jw_put_int(&w, "cell", r->cell);
        hn_jw_put_int(&w, "line", r->line);
        hn_jw_put_str(&w, "fate", hone_migrate_fate_name(r->fate));
        hn_jw_put_str(&w, "setting", r->setting);
        hn_jw_put_str(&w, "note", r->note);
        hn_jw_close(&w, '}');
    }
    hn_jw_close(&w, ']');
    hn_jw_put_open(&w, "counts", '{');
    for (int i = 0; i < HONE_MIGRATE_FATES; i++)
        hn_jw_put_int(&w, hone_migrate_fate_name((enum hone_migrate_fate)i), (int64_t)m->counts[i]);
    hn_jw_close(&w, '}');
    hn_jw_put_str(&w, "yaml", m->yaml);
    json_words(&w, "prepare", m->prepare, m->n_prepare);
    json_words(&w, "test", m->test, m->n_test);
    hn_jw_close(&w, '}');
    return hn_cli_print_json(&out, err);
}

/* ---- the command ----------------------------------------------------------------------------- */

/* One of hone's commands, as if it had been called. */
static int call(struct hn_ui *ui, enum hn_command_id id, hn_cmd_fn *fn, const char *const *words,
                size_t n, struct hone_err *err)
{
    struct hn_conf conf;
    char *argv[MAX_WORDS];
    if (n > MAX_WORDS)
        return hn_fail(err, HONE_FAILED, "hone %s: more than %d words", words[0], MAX_WORDS);
    for (size_t i = 1; i < n; i++)
        argv[i - 1] = (char *)(uintptr_t)words[i];
    print_command(ui, words, n);
    int rc = hn_conf_init(&conf, id, (int)n - 1, argv, err);
    rc = rc ? rc : fn(&conf, err);
    hn_conf_release(&conf);
    return rc;
}

static int run(const struct hone_migration *m, const char *output, struct hn_ui *ui,
               struct hone_err *err)
{
    const char *const train[] = {"train", "--config", output};
    int rc = 0;
    if (!*m->model)
        return hn_fail(
            err, HONE_FAILED,
            "%s does not say which model before it runs: add model to %s, then hone train "
            "--config %s",
            m->path, output, output);
    if (m->n_prepare)
        rc = call(ui, HN_PREPARE, hn_cmd_prepare, m->prepare, m->n_prepare, err);
    rc = rc ? rc : call(ui, HN_TRAIN, hn_cmd_train, train, HN_COUNT(train), err);
    return rc ? rc : call(ui, HN_TEST, hn_cmd_test, m->test, m->n_test, err);
}

/* What is read, and what standard output goes to (/dev/stdout), is not what a file may replace. */
static int check_output(const char *output, const char *input, struct hone_err *err)
{
    struct stat to, out;
    bool onto_input = hn_file_same(output, input);
    bool onto_output = stat(output, &to) == 0 && fstat(STDOUT_FILENO, &out) == 0 &&
                       to.st_dev == out.st_dev && to.st_ino == out.st_ino;
    if (onto_input || onto_output)
        return hn_fail(err, HONE_USAGE, "the output %s is %s: choose another name with -o", output,
                       onto_input ? "the file that is read, and would replace it"
                                  : "what standard output goes to");
    return 0;
}

int hn_cmd_migrate(struct hn_conf *c, struct hone_err *err)
{
    struct hone_migration *m = NULL;
    struct hn_ui ui;
    const char *output = c->set.output ? c->set.output : c->set.run ? "train.yaml" : NULL;
    if (!c->n_arguments)
        return hn_fail(err, HONE_USAGE,
                       "which file? A notebook (.ipynb), a Python or shell script, PEFT's "
                       "adapter_config.json, mlx-lm's, TRL's, axolotl's, "
                       "LLaMA-Factory's or torchtune's YAML");
    if (c->set.json && c->set.run)
        return hn_fail(err, HONE_USAGE, "--json and --run cannot both be printed");
    hn_ui_init(&ui, c->set.json ? stderr : stdout);
    int rc = output ? check_output(output, c->arguments[0], err) : 0;
    if (!rc)
        rc = hone_migrate_open(&m, c->arguments[0], err);
    if (!rc && output)
        rc = hn_file_write(output, m->yaml, strlen(m->yaml), err);
    if (!rc && c->set.json)
        rc = print_json(m, err);
    else if (!rc)
        print_report(m, output, &ui);
    if (!rc && c->set.run)
        rc = run(m, output, &ui, err);
    hone_migrate_close(&m);
    return rc;
}

#include "conf/help.h"

#include <string.h>
#include "conf/value.h"

enum { COLUMN = 30, MIN_WIDTH = 60, MAX_WIDTH = 100 };

static size_t bound(int width)
{
    return (size_t)HN_MAX((int)MIN_WIDTH, HN_MIN(width, (int)MAX_WIDTH));
}

void hn_help_commands(struct hn_buf *out, int width)
{
    hn_buf_add_str(out, "hone: fine-tune and run language models on this machine\n\n"
                        "usage: hone COMMAND [options]\n\n");
    for (int i = 0; i < HN_N_COMMANDS; i++) {
        hn_buf_printf(out, "  %-12s", hn_commands[i].name);
        hn_buf_wrap(out, hn_commands[i].summary, 14, bound(width));
        hn_buf_add_char(out, '\n');
    }
    hn_buf_add_str(out, "\nhone help COMMAND explains one of them.\n");
}

/* "--lora-rank N, -c FILE": how the option is written. */
static void put_flags(struct hn_buf *out, const struct hn_option *o)
{
    bool on = o->type == HN_OPTION_BOOL && o->def && strcmp(o->def, "true") == 0;
    if (o->letter)
        hn_buf_printf(out, "-%c, ", o->letter);
    hn_buf_printf(out, "--%s%s", on ? "[no-]" : "", o->name);
    if (o->type != HN_OPTION_BOOL && o->value) {
        bool bare = o->flags & HN_OPTION_BARE;
        hn_buf_printf(out, " %s%s%s", bare ? "[" : "", o->value, bare ? "]" : "");
    }
}

/* What follows the help text in brackets: choices, range and default. */
static void put_facts(struct hn_buf *out, const struct hn_option *o)
{
    struct hn_buf facts = {0};
    if (o->type == HN_OPTION_ENUM)
        hn_value_expected(o, &facts);
    bool number = o->type == HN_OPTION_INT || o->type == HN_OPTION_FLOAT ||
                  o->type == HN_OPTION_LIST || o->type == HN_OPTION_STRING ||
                  o->type == HN_OPTION_ENUM || o->type == HN_OPTION_SEED;
    bool off = o->flags & HN_OPTION_ZERO_OFF;
    if (number && o->def && *o->def && !off)
        hn_buf_printf(&facts, "%sdefault %s", facts.len ? "; " : "", o->def);
    if (o->type == HN_OPTION_BOOL && o->def && strcmp(o->def, "true") == 0)
        hn_buf_add_str(&facts, "default on");
    if (facts.len)
        hn_buf_printf(out, " (%s)", hn_buf_str(&facts));
    out->failed |= facts.failed;
    hn_buf_release(&facts);
}

static void put_option(struct hn_buf *out, const struct hn_option *o, int width)
{
    struct hn_buf left = {0}, right = {0};
    put_flags(&left, o);
    hn_buf_add_str(&right, o->help);
    put_facts(&right, o);
    int at = 2 + (int)left.len;
    hn_buf_printf(out, "  %s", hn_buf_str(&left));
    if (at > COLUMN - 2)
        hn_buf_printf(out, "\n%*s", COLUMN, "");
    else
        hn_buf_printf(out, "%*s", COLUMN - at, "");
    hn_buf_wrap(out, hn_buf_str(&right), COLUMN, bound(width));
    hn_buf_add_char(out, '\n');
    out->failed |= left.failed || right.failed;
    hn_buf_release(&left);
    hn_buf_release(&right);
}

/* The headings in the order in which a reader needs them; "Accepted" is for other systems' scripts
 * and stands in docs/options.md alone. */
static const char *const headings[] = {
    "Model",
    "Quantisation",
    "Data",
    "Input",
    "Adapter",
    "Optimizer",
    "Length",
    "Generation",
    "Evaluation and saving",
    "Run",
    "Plan",
    "Weights",
    "Memory and device",
    "PyTorch",
    "Output",
};

static bool has_group(enum hn_command_id command, const char *group)
{
    const struct hn_option *o;
    for (size_t i = 0; (o = hn_option_at(i)); i++) {
        if (o->commands & HN_BIT(command) && strcmp(o->group, group) == 0)
            return true;
    }
    return false;
}

static void put_examples(struct hn_buf *out, const char *examples)
{
    if (*examples)
        hn_buf_add_str(out, "\nExamples:\n");
    for (const char *p = examples; *p;) {
        size_t len = strcspn(p, "\n");
        hn_buf_printf(out, "  %.*s\n", (int)len, p);
        p += len + (p[len] == '\n');
    }
}

void hn_help_command(struct hn_buf *out, enum hn_command_id command, int width)
{
    const struct hn_command *c = &hn_commands[command];
    hn_buf_printf(out, "usage: hone %s%s%s%s\n\n", c->name, *c->arguments ? " " : "", c->arguments,
                  has_group(command, "Output") || has_group(command, "Input") ||
                          has_group(command, "Model")
                      ? " [options]"
                      : "");
    hn_buf_wrap(out, c->summary, 0, bound(width));
    hn_buf_add_str(out, "\n");
    if (*c->text) {
        hn_buf_add_char(out, '\n');
        hn_buf_wrap(out, c->text, 0, bound(width));
        hn_buf_add_char(out, '\n');
    }
    for (size_t g = 0; g < HN_COUNT(headings); g++) {
        if (!has_group(command, headings[g]))
            continue;
        hn_buf_printf(out, "\n%s:\n", headings[g]);
        const struct hn_option *o;
        for (size_t i = 0; (o = hn_option_at(i)); i++) {
            if (o->commands & HN_BIT(command) && strcmp(o->group, headings[g]) == 0)
                put_option(out, o, width);
        }
    }
    put_examples(out, c->examples);
}

/* ---- docs/options.md ------------------------------------------------------------------------- */

static void put_cell(struct hn_buf *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '|')
            hn_buf_add_char(out, '\\');
        hn_buf_add_char(out, *text);
    }
}

static void put_row(struct hn_buf *out, const struct hn_option *o)
{
    struct hn_buf flags = {0}, expected = {0};
    put_flags(&flags, o);
    hn_value_expected(o, &expected);
    hn_buf_add_str(out, "| `");
    put_cell(out, hn_buf_str(&flags));
    hn_buf_add_char(out, '`');
    for (const char *p = o->aliases; p && *p;) {
        size_t n = strcspn(p, " ");
        hn_buf_printf(out, " `--%.*s`", (int)n, p);
        p += n + (p[n] == ' ');
    }
    hn_buf_add_str(out, " | ");
    put_cell(out, o->help);
    hn_buf_add_str(out, " | ");
    put_cell(out, hn_buf_str(&expected));
    bool many = o->type == HN_OPTION_FIXED && o->def && strchr(o->def, '|');
    bool off = o->flags & HN_OPTION_ZERO_OFF || many; /* no default, or none to speak of */
    hn_buf_printf(out, " | %s |", o->def && !off ? o->def : "");
    out->failed |= flags.failed || expected.failed;
    hn_buf_release(&flags);
    hn_buf_release(&expected);
}

static void put_presets(struct hn_buf *out, const struct hn_option *o)
{
    hn_buf_printf(out, " %s | %s |", o->transformers ? o->transformers : "", o->mlx ? o->mlx : "");
}

void hn_help_markdown(struct hn_buf *out)
{
    hn_buf_add_str(
        out, "# Options\n\n"
             "Made from the option table (`src/conf/options_*.c`) by `hone help --markdown`; a "
             "test checks that it is up to date.\n\n"
             "Every option may be written with dashes or underscores, as `--name value` or "
             "`--name=value`; what is on or off as `--name` and `--no-name`. In a config file "
             "(`hone train --config`) the key is the name with underscores. The command line "
             "wins over the config file, which wins over the preset.\n");
    for (int c = 0; c < HN_N_COMMANDS; c++) {
        enum hn_command_id id = (enum hn_command_id)c;
        const struct hn_option *o;
        bool training = id == HN_TRAIN, any = false;
        const char *text = hn_commands[c].text;
        hn_buf_printf(out, "\n## hone %s\n\n%s\n", hn_commands[c].name,
                      *text ? text : hn_commands[c].summary);
        for (size_t i = 0; (o = hn_option_at(i)); i++) {
            bool planned = id == HN_INFO && o->commands & HN_BIT(HN_TRAIN) &&
                           strcmp(o->group, "Memory and device") != 0 && strcmp(o->name, "model");
            if (!(o->commands & HN_BIT(id)) || planned)
                continue;
            if (!any)
                hn_buf_printf(
                    out, "\n| option | meaning | takes | default |%s\n|---|---|---|---|%s\n",
                    training ? " transformers | mlx-lm |" : "", training ? "---|---|" : "");
            any = true;
            put_row(out, o);
            if (training)
                put_presets(out, o);
            hn_buf_add_char(out, '\n');
        }
        if (id == HN_INFO)
            hn_buf_add_str(out, "\nAnd, with `--train`, the options of hone train.\n");
    }
}

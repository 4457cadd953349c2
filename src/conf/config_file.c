#include "conf/config_file.h"

#include <string.h>
#include "base/file.h"
#include "conf/value.h"
#include "conf/yaml.h"

/* ---- reading ----------------------------------------------------------------------------------
 */

struct config {
    struct hn_conf *c;
    const char *name;
    const struct hn_yaml
        *optimizer_config; /* read last: which part counts depends on `optimizer` */
    struct hone_err *err;
};

static int unknown(struct config *f, const struct hn_yaml *y, const char *within)
{
    char key[64] = "";
    size_t index;
    if (y->key.n < sizeof key)
        memcpy(key, y->key.p, y->key.n);
    for (int i = 0; i < HN_N_COMMANDS && !*within; i++) {
        if (hn_option_find((enum hn_command_id)i, key, strlen(key), &index))
            return hn_fail(f->err, HONE_USAGE,
                           "%s:%u: %s is a setting of hone %s, not of a training config", f->name,
                           y->line, key, hn_commands[i].name);
    }
    char near_key[64];
    const char *near = hn_option_nearest(HN_TRAIN, key);
    snprintf(near_key, sizeof near_key, "%s", near ? near : "");
    for (char *p = near_key; *p; p++)
        *p = *p == '-' ? '_' : *p;
    return hn_fail(f->err, HONE_USAGE, "%s:%u: unknown key \"%s%.*s\"%s%s%s", f->name, y->line,
                   within, (int)HN_MIN(y->key.n, (size_t)80), y->key.p,
                   *near_key ? "; did you mean " : "", near_key, *near_key ? "?" : "");
}

/* Set the option of this name from a scalar or a list of scalars; null leaves it as it is. */
static int set_named(struct config *f, const char *name, const struct hn_yaml *y)
{
    char shown[300];
    size_t index;
    const struct hn_option *o = hn_option_find(HN_TRAIN, name, strlen(name), &index);
    HN_ASSERT(o);
    snprintf(shown, sizeof shown, "%s:%u: %.*s", f->name, y->line,
             (int)HN_MIN(y->key.n, (size_t)80), y->key.p);
    if (hn_yaml_is_null(y))
        return 0;
    if (f->c->from[index] == HN_FROM_FILE)
        return hn_fail(f->err, HONE_USAGE, "%s sets what an earlier key has set (%s)", shown, name);
    if (o->type == HN_OPTION_FIXED && y->kind != HN_YAML_SCALAR)
        return hn_fail(f->err, HONE_USAGE, "%s cannot be honoured: %s", shown, o->help);
    if (y->kind == HN_YAML_SCALAR)
        return hn_conf_set(f->c, index, y->text.p, y->text.n, false, HN_FROM_FILE, shown, f->err);
    if (y->kind != HN_YAML_LIST || o->type != HN_OPTION_LIST) {
        struct hn_buf expected = {0};
        hn_value_expected(o, &expected);
        int rc = hn_fail(f->err, HONE_USAGE, "%s: found a %s, expected %s", shown,
                         y->kind == HN_YAML_LIST ? "list" : "map", hn_buf_str(&expected));
        hn_buf_release(&expected);
        return rc;
    }
    if (!y->first)
        return hn_conf_set(f->c, index, "", 0, false, HN_FROM_FILE, shown, f->err);
    bool append = false;
    for (const struct hn_yaml *item = y->first; item; item = item->next) {
        if (item->kind != HN_YAML_SCALAR)
            return hn_fail(f->err, HONE_USAGE, "%s: an item is not plain text", shown);
        int rc = hn_conf_set(f->c, index, item->text.p, item->text.n, append, HN_FROM_FILE, shown,
                             f->err);
        if (rc)
            return rc;
        append = true;
    }
    return 0;
}

static int need_map(struct config *f, const struct hn_yaml *y)
{
    if (y->kind == HN_YAML_MAP)
        return 0;
    return hn_fail(f->err, HONE_USAGE, "%s:%u: %.*s should be a map of settings", f->name, y->line,
                   (int)HN_MIN(y->key.n, (size_t)80), y->key.p);
}

/* mlx_lm's lora_parameters: {rank, scale, dropout, keys}; alpha is what people write by mistake. */
static int lora_parameters(struct config *f, const struct hn_yaml *y)
{
    static const char *const names[][2] = {{"rank", "lora-rank"},
                                           {"scale", "lora-scale"},
                                           {"alpha", "lora-alpha"},
                                           {"dropout", "lora-dropout"},
                                           {"keys", "target-modules"}};
    if (hn_yaml_is_null(y))
        return 0;
    int rc = need_map(f, y);
    for (const struct hn_yaml *m = y->first; m && !rc; m = m->next) {
        size_t i = 0;
        while (i < HN_COUNT(names) && !hn_str_is(m->key, names[i][0]))
            i++;
        rc = i < HN_COUNT(names) ? set_named(f, names[i][1], m) : unknown(f, m, "lora_parameters.");
    }
    return rc;
}

static int optimizer_part(struct config *f, const struct hn_yaml *part)
{
    for (const struct hn_yaml *m = part->first; m; m = m->next) {
        int rc = 0;
        if (hn_str_is(m->key, "betas")) {
            if (m->kind != HN_YAML_LIST || m->n != 2)
                return hn_fail(f->err, HONE_USAGE, "%s:%u: betas should be a list of two numbers",
                               f->name, m->line);
            rc = set_named(f, "adam-beta1", m->first);
            rc = rc ? rc : set_named(f, "adam-beta2", m->first->next);
        } else if (hn_str_is(m->key, "eps")) {
            rc = set_named(f, "adam-epsilon", m);
        } else if (hn_str_is(m->key, "weight_decay")) {
            rc = set_named(f, "weight-decay", m);
        } else if (hn_str_is(m->key, "bias_correction")) {
            rc = set_named(f, "bias-correction", m);
        } else if (hn_str_is(m->key, "momentum") || hn_str_is(m->key, "dampening") ||
                   hn_str_is(m->key, "nesterov")) {
            rc = set_named(f, m->key.p, m);
        } else {
            rc = unknown(f, m, "optimizer_config.");
        }
        if (rc)
            return rc;
    }
    return 0;
}

/* mlx_lm's optimizer_config: a map per optimizer, of which the chosen one's is used. */
static int optimizer_config(struct config *f, const struct hn_yaml *y)
{
    static const char *const known[] = {"adam", "adamw", "muon", "sgd", "adafactor"};
    enum hone_optimizer optimizer = f->c->set.train.optimizer;
    /* The preset's default is set after the file is read. */
    if (f->c->set.preset == HN_PRESET_MLX && hn_conf_source(f->c, "optimizer") == HN_FROM_DEFAULT)
        optimizer = HONE_ADAM;
    int rc = need_map(f, y);
    for (const struct hn_yaml *part = y->first; part && !rc; part = part->next) {
        size_t i = 0;
        while (i < HN_COUNT(known) && !hn_str_is(part->key, known[i]))
            i++;
        if (i == HN_COUNT(known))
            return unknown(f, part, "optimizer_config.");
        if (hn_yaml_is_null(part))
            continue;
        rc = need_map(f, part);
        static const enum hone_optimizer of[] = {HONE_ADAMW, HONE_ADAM, HONE_SGD};
        static const size_t part_of[] = {1, 0, 3};
        bool chosen = false;
        for (size_t k = 0; k < HN_COUNT(of); k++)
            chosen = chosen || (optimizer == of[k] && part_of[k] == i);
        if (!rc && chosen)
            rc = optimizer_part(f, part);
    }
    return rc;
}

/* name=value as one more item of lr_scheduler_kwargs. */
static int add_kwarg(struct config *f, struct hn_str name, const struct hn_yaml *y)
{
    size_t index;
    char item[160], shown[200];
    const struct hn_option *o =
        hn_option_find(HN_TRAIN, "lr-scheduler-kwargs", strlen("lr-scheduler-kwargs"), &index);
    HN_ASSERT(o);
    snprintf(shown, sizeof shown, "%s:%u: %.*s", f->name, y->line, (int)HN_MIN(name.n, (size_t)60),
             name.p);
    if (y->kind != HN_YAML_SCALAR)
        return hn_fail(f->err, HONE_USAGE, "%s should be one value", shown);
    int n = snprintf(item, sizeof item, "%.*s=%.*s", (int)HN_MIN(name.n, (size_t)60), name.p,
                     (int)HN_MIN(y->text.n, (size_t)80), y->text.p);
    return hn_conf_set(f->c, index, item, (size_t)n, true, HN_FROM_FILE, shown, f->err);
}

static int kwargs(struct config *f, const struct hn_yaml *y)
{
    int rc = 0;
    for (const struct hn_yaml *m = y->first; m && !rc; m = m->next)
        rc = hn_yaml_is_null(m) ? 0 : add_kwarg(f, m->key, m);
    return rc;
}

/* mlx_lm's lr_schedule: {name, arguments: [in their order], warmup, warmup_init}. */
static int lr_schedule(struct config *f, const struct hn_yaml *y)
{
    static const struct {
        const char *name, *arguments[3];
    } known[] = {{"cosine_decay", {"init", "decay_steps", "end"}},
                 {"linear_schedule", {"init", "end", "steps"}},
                 {"exponential_decay", {"init", "decay_rate", NULL}},
                 {"step_decay", {"init", "decay_rate", "step_size"}}};
    const struct hn_yaml *name = NULL, *arguments = NULL;
    if (hn_yaml_is_null(y) || (y->kind == HN_YAML_SCALAR && hn_str_is(y->text, "none")))
        return 0;
    int rc = need_map(f, y);
    for (const struct hn_yaml *m = y->first; m && !rc; m = m->next) {
        if (hn_str_is(m->key, "name"))
            name = m;
        else if (hn_str_is(m->key, "arguments"))
            arguments = m;
        else if (hn_str_is(m->key, "warmup"))
            rc = set_named(f, "warmup-steps", m);
        else if (hn_str_is(m->key, "warmup_init"))
            rc = add_kwarg(f, m->key, m);
        else
            rc = unknown(f, m, "lr_schedule.");
    }
    size_t i = 0, k = 0;
    while (!rc && name && i < HN_COUNT(known) && !hn_str_is(name->text, known[i].name))
        i++;
    if (!rc && (!name || i == HN_COUNT(known)))
        return hn_fail(f->err, HONE_USAGE,
                       "%s:%u: lr_schedule should name cosine_decay, linear_schedule, "
                       "exponential_decay or step_decay (a join of schedules cannot be written in "
                       "YAML: mlx_lm has its warm-up as warmup)",
                       f->name, name ? name->line : y->line);
    rc = rc ? rc : set_named(f, "lr-scheduler-type", name);
    if (!rc && (!arguments || arguments->kind != HN_YAML_LIST))
        return hn_fail(f->err, HONE_USAGE, "%s:%u: lr_schedule should have a list of arguments",
                       f->name, y->line);
    for (const struct hn_yaml *m = rc ? NULL : arguments->first; m && !rc; m = m->next, k++) {
        if (k >= 3 || !known[i].arguments[k])
            return hn_fail(f->err, HONE_USAGE, "%s:%u: %s has at most %zu arguments", f->name,
                           m->line, known[i].name, k);
        rc = add_kwarg(f, hn_str_of(known[i].arguments[k]), m);
    }
    return rc;
}

static int entry(struct config *f, const struct hn_yaml *y)
{
    size_t index;
    if (hn_str_is(y->key, "lora_parameters"))
        return lora_parameters(f, y);
    if (hn_str_is(y->key, "optimizer_config")) {
        f->optimizer_config = hn_yaml_is_null(y) ? NULL : y;
        return 0;
    }
    if (hn_str_is(y->key, "lr_schedule"))
        return lr_schedule(f, y);
    if (hn_str_is(y->key, "lr_scheduler_kwargs") && y->kind == HN_YAML_MAP)
        return kwargs(f, y);
    const struct hn_option *o = hn_option_find(HN_TRAIN, y->key.p, y->key.n, &index);
    if (!o)
        return unknown(f, y, "");
    if (o->flags & HN_OPTION_LINE_ONLY)
        return hn_fail(f->err, HONE_USAGE, "%s:%u: %s belongs on the command line", f->name,
                       y->line, y->key.p);
    return set_named(f, o->name, y);
}

int hn_config_parse(struct hn_conf *c, const char *name, const char *text, size_t n,
                    struct hone_err *err)
{
    struct hn_arena arena;
    struct hn_yaml *root = NULL;
    struct config f = {.c = c, .name = name, .err = err};
    hn_arena_init(&arena, (size_t)64 << 20);
    int rc = hn_yaml_parse(&arena, name, text, n, &root, err);
    if (!rc && root->kind != HN_YAML_MAP)
        rc = hn_fail(err, HONE_USAGE, "%s:%u: a config file is a map of settings (key: value)",
                     name, root->line);
    for (const struct hn_yaml *y = rc ? NULL : root->first; y && !rc; y = y->next)
        rc = entry(&f, y);
    if (!rc && f.optimizer_config)
        rc = optimizer_config(&f, f.optimizer_config);
    hn_arena_release(&arena);
    /* A value that is wrong on the command line is wrong usage; in a file, a wrong file. */
    if (rc == HONE_USAGE)
        rc = HONE_FAILED;
    if (rc && err)
        err->code = rc;
    return rc;
}

int hn_config_read(struct hn_conf *c, const char *path, struct hone_err *err)
{
    struct hn_buf text = {0};
    int rc = hn_file_read(path, HN_YAML_MAX_SIZE, &text, err);
    if (!rc)
        rc = hn_config_parse(c, path, hn_buf_str(&text), text.len, err);
    hn_buf_release(&text);
    return rc;
}

/* ---- writing ----------------------------------------------------------------------------------
 */

/* Plain scalars that YAML 1.1 or 1.2 readers take for something else than text. */
static bool reads_as_other(const char *s)
{
    static const char *const words[] = {"null", "~",   "true", "false", "yes", "no",
                                        "on",   "off", "y",    "n",     "none"};
    char lower[8];
    size_t n = strlen(s);
    double d;
    if (hn_text_float(s, n, &d) || s[0] == '.' || s[0] == '-' || s[0] == '+' ||
        (s[0] >= '0' && s[0] <= '9'))
        return true;
    if (n >= sizeof lower)
        return false;
    for (size_t i = 0; i <= n; i++)
        lower[i] = s[i] >= 'A' && s[i] <= 'Z' ? (char)(s[i] + 32) : s[i];
    for (size_t i = 0; i < HN_COUNT(words); i++) {
        if (strcmp(lower, words[i]) == 0)
            return true;
    }
    return false;
}

/* Within double quotes: what YAML calls printable, less the characters that it takes for breaks. */
static bool is_printable(int32_t c)
{
    return (c >= 0x20 && c < 0x7f) ||
           (c >= 0xa0 && c < 0xfffe && c != 0x2028 && c != 0x2029 && c != 0xfeff) || c > 0xffff;
}

void hn_yaml_put_string(struct hn_buf *out, const char *s)
{
    static const char plain[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_/.-";
    if (*s && strspn(s, plain) == strlen(s) && !reads_as_other(s)) {
        hn_buf_add_str(out, s);
        return;
    }
    hn_buf_add_char(out, '"');
    for (size_t at = 0, n = strlen(s), from; at < n;) {
        from = at;
        int32_t c = hn_utf8_next(s, n, &at);
        if (c == '"' || c == '\\')
            hn_buf_printf(out, "\\%c", (int)c);
        else if (c == '\n')
            hn_buf_add_str(out, "\\n");
        else if (c < 0)
            hn_buf_add_str(out, "\\uFFFD"); /* YAML has no way to hold a byte that is no text */
        else if (!is_printable(c))
            hn_buf_printf(out, c < 256 ? "\\x%02x" : "\\u%04x", (unsigned)c);
        else
            hn_buf_add(out, s + from, at - from);
    }
    hn_buf_add_char(out, '"');
}

/* Floats with a point always: YAML 1.1 readers take 1e-05 for text. */
static void put_float(struct hn_buf *out, const char *text)
{
    const char *e = strchr(text, 'e');
    if (e && !memchr(text, '.', (size_t)(e - text)))
        hn_buf_printf(out, "%.*s.0%s", (int)(e - text), text, e);
    else
        hn_buf_add_str(out, text);
}

static void put_value(const struct hn_option *o, const struct hn_settings *s, struct hn_buf *out)
{
    struct hn_buf text = {0};
    hn_value_get(o, s, &text);
    double number;
    bool off = o->flags & HN_OPTION_ZERO_OFF &&
               hn_text_float(hn_buf_str(&text), text.len, &number) && number == 0;
    if (o->type == HN_OPTION_LIST) {
        const char *const *items =
            *(const char *const *const *)(const void *)((const char *)s + o->offset);
        size_t n = *(const size_t *)(const void *)((const char *)s + o->offset_n);
        if (n == 0)
            hn_buf_add_str(out, " []");
        for (size_t i = 0; i < n; i++) {
            hn_buf_add_str(out, "\n  - ");
            hn_yaml_put_string(out, items[i]);
        }
    } else if (off || (o->type == HN_OPTION_STRING && text.len == 0)) {
        hn_buf_add_str(out, " null");
    } else {
        hn_buf_add_char(out, ' ');
        if (o->type == HN_OPTION_STRING)
            hn_yaml_put_string(out, hn_buf_str(&text));
        else if (o->type == HN_OPTION_FLOAT)
            put_float(out, hn_buf_str(&text));
        else if (o->type == HN_OPTION_ENUM && reads_as_other(hn_buf_str(&text)))
            hn_buf_printf(out, "\"%s\"", hn_buf_str(&text));
        else
            hn_buf_add_str(out, hn_buf_str(&text));
    }
    out->failed |= text.failed; /* half a setting is worse than none */
    hn_buf_release(&text);
}

static bool is_kept(const struct hn_option *o)
{
    return o->commands & HN_BIT(HN_TRAIN) && o->offset != HN_OPTION_NOWHERE &&
           o->type != HN_OPTION_FIXED && !(o->flags & (HN_OPTION_LINE_ONLY | HN_OPTION_NOT_KEPT));
}

void hn_config_write(const struct hn_conf *c, struct hn_buf *out)
{
    char key[64];
    const struct hn_option *o;
    for (size_t i = 0; (o = hn_option_at(i)); i++) {
        if (!is_kept(o))
            continue;
        /* One of alpha and scale holds, and the other stays unset: both would be an error. */
        bool unused = strcmp(o->name, "lora-alpha") == 0 && c->set.train.lora_scale > 0;
        hn_buf_printf(out, "%s:", hn_option_key(o, key, sizeof key));
        if (unused)
            hn_buf_add_str(out, " null");
        else
            put_value(o, &c->set, out);
        hn_buf_add_char(out, '\n');
    }
}

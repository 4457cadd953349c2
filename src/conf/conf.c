#include "conf/conf.h"

#include <string.h>
#include "base/str.h"
#include "conf/config_file.h"
#include "conf/schedule_args.h"
#include "conf/value.h"

/* ---- setting -----------------------------------------------------------------------------------
 */

int hn_conf_set(struct hn_conf *c, size_t index, const char *text, size_t n, bool append,
                enum hn_source source, const char *shown, struct hone_err *err)
{
    const struct hn_option *o = hn_option_at(index);
    if (c->from[index] > source)
        return hn_value_check(o, text, n, shown, err);
    append = append && c->from[index] == source;
    int rc = hn_value_set(o, &c->set, text, n, append, shown, &c->arena, err);
    if (!rc)
        c->from[index] = (unsigned char)source;
    return rc;
}

enum hn_source hn_conf_source(const struct hn_conf *c, const char *name)
{
    size_t index;
    const struct hn_option *o = hn_option_find(c->command, name, strlen(name), &index);
    HN_ASSERT(o);
    return (enum hn_source)c->from[index];
}

/* The default of an option in a preset, as text; NULL: nothing. */
static const char *preset_default(const struct hn_option *o, int preset)
{
    if (preset == HN_PRESET_TRANSFORMERS && o->transformers)
        return o->transformers;
    if (preset == HN_PRESET_MLX && o->mlx)
        return o->mlx;
    return o->def;
}

static int set_default(struct hn_conf *c, size_t i, int preset, enum hn_source source,
                       struct hone_err *err)
{
    const struct hn_option *o = hn_option_at(i);
    const char *text = preset_default(o, preset);
    if (!text || o->offset == HN_OPTION_NOWHERE || o->type == HN_OPTION_FIXED ||
        c->from[i] > source)
        return 0;
    c->from[i] = (unsigned char)source;
    return hn_value_set(o, &c->set, text, strlen(text), false, o->name, &c->arena, err);
}

/* The rows of all commands first: one place may belong to a row each of two commands, and then the
 * command that runs has the word.  A preset speaks of training alone. */
static int apply_defaults(struct hn_conf *c, int preset, enum hn_source source,
                          struct hone_err *err)
{
    const struct hn_option *o;
    int rc = 0;
    for (size_t i = 0; (o = hn_option_at(i)) && !rc; i++) {
        if (source == HN_FROM_DEFAULT || o->commands & HN_BIT(HN_TRAIN))
            rc = set_default(c, i, preset, source, err);
    }
    for (size_t i = 0; (o = hn_option_at(i)) && !rc; i++) {
        if (o->commands & HN_BIT(c->command))
            rc = set_default(c, i, preset, source, err);
    }
    return rc;
}

/* ---- the command line ------------------------------------------------------------------------ */

struct line {
    struct hn_conf *c;
    int argc, at;
    char *const *argv;
    bool all_mlx, any;
    struct hone_err *err;
};

static int unknown(struct line *l, const char *name, size_t n)
{
    char word[64];
    size_t index;
    if (n >= sizeof word)
        return hn_fail(l->err, HONE_USAGE, "unknown option --%.40s…", name);
    memcpy(word, name, n);
    word[n] = 0;
    const char *command = hn_commands[l->c->command].name;
    const char *near = hn_option_nearest(l->c->command, word);
    for (int i = 0; i < HN_N_COMMANDS; i++) {
        if (hn_option_find((enum hn_command_id)i, word, n, &index))
            return hn_fail(l->err, HONE_USAGE, "--%s is an option of hone %s, not of hone %s%s%s%s",
                           word, hn_commands[i].name, command, near ? "; did you mean --" : "",
                           near ? near : "", near ? "?" : "");
    }
    if (near)
        return hn_fail(l->err, HONE_USAGE, "unknown option --%s; did you mean --%s?", word, near);
    return hn_fail(l->err, HONE_USAGE, "unknown option --%s; hone %s --help lists what there is",
                   word, command);
}

static int put(struct line *l, size_t index, const char *text, const char *shown)
{
    const struct hn_option *o = hn_option_at(index);
    l->any = true;
    l->all_mlx = l->all_mlx && o->flags & HN_OPTION_MLX;
    return hn_conf_set(l->c, index, text, strlen(text), true, HN_FROM_LINE, shown, l->err);
}

/* A flag that may stand alone takes the next word only when it is a value of it. */
static const char *optional_value(struct line *l, const struct hn_option *o)
{
    if (l->at >= l->argc)
        return NULL;
    const char *next = l->argv[l->at];
    size_t n = strlen(next);
    bool taken = false;
    if (o->type == HN_OPTION_BOOL || o->type == HN_OPTION_FIXED)
        taken = !strcmp(next, "true") || !strcmp(next, "false") || !strcmp(next, "True") ||
                !strcmp(next, "False");
    else
        taken = hn_value_check(o, next, n, o->name, NULL) == 0;
    return taken ? l->argv[l->at++] : NULL;
}

static int take_long(struct line *l, const char *word)
{
    const char *name = word + 2, *equals = strchr(name, '=');
    size_t n = equals ? (size_t)(equals - name) : strlen(name), index;
    char shown[72];
    const struct hn_option *o = hn_option_find(l->c->command, name, n, &index);
    if (!o && n > 3 && hn_starts_with(name, "no-")) {
        o = hn_option_find(l->c->command, name + 3, n - 3, &index);
        bool off = o && (o->type == HN_OPTION_BOOL || o->flags & HN_OPTION_BARE);
        if (!off || equals)
            return unknown(l, name, n);
        return put(l, index, "false", word);
    }
    if (!o)
        return unknown(l, name, n);
    size_t m = HN_MIN(n, sizeof shown - 3);
    memcpy(shown, word, m + 2);
    shown[m + 2] = 0;
    if (equals)
        return put(l, index, equals + 1, shown);
    if (o->type == HN_OPTION_BOOL || o->flags & HN_OPTION_BARE) {
        const char *value = optional_value(l, o);
        const char *bare = o->type == HN_OPTION_ENUM ? o->choices[0].name : "true";
        return put(l, index, value ? value : bare, shown);
    }
    if (l->at >= l->argc)
        return hn_fail(l->err, HONE_USAGE, "%s needs a value (%s)", shown, o->value);
    return put(l, index, l->argv[l->at++], shown);
}

static int take_short(struct line *l, const char *word)
{
    size_t index;
    char shown[3] = {'-', word[1], 0};
    if (word[1] == 'h' && !word[2]) {
        l->c->help = true;
        return 0;
    }
    const struct hn_option *o = hn_option_find_letter(l->c->command, word[1], &index);
    if (!o)
        return hn_fail(l->err, HONE_USAGE, "unknown option %s; hone %s --help lists what there is",
                       word, hn_commands[l->c->command].name);
    if (o->type == HN_OPTION_BOOL) {
        if (word[2])
            return hn_fail(l->err, HONE_USAGE, "%s takes no value", shown);
        return put(l, index, "true", shown);
    }
    if (word[2])
        return put(l, index, word + 2 + (word[2] == '='), shown);
    if (l->at >= l->argc)
        return hn_fail(l->err, HONE_USAGE, "%s needs a value (%s)", shown, o->value);
    return put(l, index, l->argv[l->at++], shown);
}

static int take_argument(struct line *l, const char *word)
{
    const struct hn_command *command = &hn_commands[l->c->command];
    if (l->c->n_arguments >= command->max_arguments || l->c->n_arguments >= HN_MAX_ARGUMENTS) {
        if (command->max_arguments == 0)
            return hn_fail(l->err, HONE_USAGE,
                           "hone %s takes options only; what is \"%s\"? (a value follows its "
                           "option: --option value)",
                           command->name, word);
        return hn_fail(l->err, HONE_USAGE, "hone %s takes at most %u argument%s; \"%s\" is more",
                       command->name, command->max_arguments,
                       command->max_arguments == 1 ? "" : "s", word);
    }
    l->c->arguments[l->c->n_arguments++] = word;
    return 0;
}

static int parse_line(struct hn_conf *c, int argc, char *const *argv, struct hone_err *err)
{
    struct line l = {.c = c, .argc = argc, .argv = argv, .all_mlx = true, .err = err};
    bool options = true;
    while (l.at < argc && !c->help) {
        const char *word = argv[l.at++];
        int rc = 0;
        if (!options || word[0] != '-' || !word[1])
            rc = take_argument(&l, word);
        else if (!strcmp(word, "--"))
            options = false;
        else if (!strcmp(word, "--help"))
            c->help = true;
        else if (word[1] == '-')
            rc = take_long(&l, word);
        else
            rc = take_short(&l, word);
        if (rc)
            return rc;
    }
    c->mlx_only = l.any && l.all_mlx;
    return 0;
}

/* ---- rules between options ------------------------------------------------------------------- */

static bool given(const struct hn_conf *c, const char *name)
{
    return hn_conf_source(c, name) >= HN_FROM_FILE;
}

/* The preset's defaults; where they are of mlx_lm, what a table cannot say: a multiplier that was
 * set beats the preset's, epochs that were asked for are not beaten by its number of iterations,
 * and its AdamW decays. */
static int apply_preset(struct hn_conf *c, struct hone_err *err)
{
    struct hone_train_options *t = &c->set.train;
    if (c->set.preset == HN_PRESET_HONE)
        return 0;
    int rc = apply_defaults(c, c->set.preset, HN_FROM_PRESET, err);
    if (rc || c->set.preset != HN_PRESET_MLX)
        return rc;
    if (given(c, "lora-alpha") && !given(c, "lora-scale"))
        t->lora_scale = 0;
    if ((given(c, "num-epochs") || given(c, "max-steps")) && !given(c, "iters"))
        t->iters = 0;
    if (t->optimizer == HONE_ADAMW && !given(c, "weight-decay"))
        t->weight_decay = 0.01;
    return 0;
}

static int optimizer_rules(struct hn_conf *c, struct hone_err *err)
{
    const struct hone_train_options *t = &c->set.train;
    bool sgd = t->optimizer == HONE_SGD;
    if (t->optimizer == HONE_ADAM && t->weight_decay > 0)
        return hn_fail(err, HONE_USAGE,
                       "optimizer adam with weight-decay %g: hone's weight decay is AdamW's; use "
                       "--optimizer adamw",
                       t->weight_decay);
    if (!sgd && (t->momentum > 0 || t->dampening > 0 || t->nesterov))
        return hn_fail(err, HONE_USAGE,
                       "momentum, dampening and nesterov are of --optimizer sgd alone");
    if (t->nesterov && (t->momentum == 0 || t->dampening > 0))
        return hn_fail(err, HONE_USAGE, "nesterov needs --momentum, and no dampening");
    return 0;
}

static int train_rules(struct hn_conf *c, struct hone_err *err)
{
    struct hone_train_options *t = &c->set.train;
    if (t->lora_scale > 0 && given(c, "lora-alpha") && given(c, "lora-scale"))
        return hn_fail(err, HONE_USAGE,
                       "both lora-alpha and a scale (mlx_lm's multiplier) are set: the multiplier "
                       "is alpha/rank or the scale, so give one of them");
    if (c->set.use_dora) {
        if (given(c, "fine-tune-type") && t->fine_tune_type != HONE_DORA)
            return hn_fail(err, HONE_USAGE,
                           "use-dora is set, but fine-tune-type is not dora: give one of them");
        t->fine_tune_type = HONE_DORA;
    }
    if (c->set.warmup_ratio > 0) {
        if (given(c, "warmup-steps") && t->warmup_steps > 0)
            return hn_fail(err, HONE_USAGE, "both warmup-steps and warmup-ratio are set: give one");
        if (c->set.warmup_ratio >= 1)
            return hn_fail(err, HONE_USAGE, "warmup-ratio must be below 1");
        t->warmup_steps = c->set.warmup_ratio;
    }
    if (t->max_steps < 0)
        t->max_steps = 0; /* transformers writes -1 for off */
    if (t->steps_per_eval > 0 && !given(c, "eval-strategy") && given(c, "steps-per-eval"))
        t->eval_strategy = HONE_STEPS;
    if (t->save_every > 0 && !given(c, "save-strategy") && given(c, "save-every"))
        t->save_strategy = HONE_STEPS;
    if (t->eval_strategy == HONE_STEPS && t->steps_per_eval == 0)
        return hn_fail(err, HONE_USAGE, "eval-strategy steps needs --steps-per-eval");
    if (t->save_strategy == HONE_STEPS && t->save_every == 0)
        return hn_fail(err, HONE_USAGE, "save-strategy steps needs --save-every");
    if (t->valid_data && t->valid_fraction > 0)
        return hn_fail(err, HONE_USAGE,
                       "both valid-data and valid-fraction are set: validation rows come from one "
                       "of them");
    if (t->n_target_modules == 0)
        return hn_fail(err, HONE_USAGE, "target-modules is empty: there is nothing to train");
    t->model = c->set.model;
    t->device = c->set.device;
    int rc = optimizer_rules(c, err);
    return rc ? rc : hn_schedule_arguments(c, err);
}

static bool has_training_rows(enum hn_command_id command)
{
    return command == HN_TRAIN || command == HN_INFO;
}

static int resolve(struct hn_conf *c, struct hone_err *err)
{
    if (!has_training_rows(c->command))
        return 0;
    if (c->command == HN_TRAIN && !c->set.config && given(c, "config"))
        return hn_fail(err, HONE_USAGE, "--config is empty: it takes the name of a YAML file");
    int rc = c->set.config ? hn_config_read(c, c->set.config, err) : 0;
    rc = rc ? rc : apply_preset(c, err);
    return rc ? rc : train_rules(c, err);
}

int hn_conf_init(struct hn_conf *c, enum hn_command_id command, int argc, char *const *argv,
                 struct hone_err *err)
{
    *c = (struct hn_conf){.command = command};
    hn_arena_init(&c->arena, (size_t)64 << 20);
    int rc = apply_defaults(c, HN_PRESET_HONE, HN_FROM_DEFAULT, err);
    rc = rc ? rc : parse_line(c, argc, argv, err);
    if (!rc && !c->help)
        rc = resolve(c, err);
    return rc;
}

void hn_conf_release(struct hn_conf *c)
{
    hn_arena_release(&c->arena);
    *c = (struct hn_conf){0};
}

/* ---- hone lora, called as mlx_lm.lora ----------------------------------------------------------
 */

void hn_conf_mlx_differences(const struct hn_conf *c, struct hn_buf *out)
{
    char key[64];
    const char *comma = "";
    const struct hn_option *o;
    for (size_t i = 0; (o = hn_option_at(i)); i++) {
        bool shown = o->mlx && o->commands & HN_BIT(HN_TRAIN) && !(o->flags & HN_OPTION_NOT_KEPT);
        if (!shown || c->from[i] != HN_FROM_DEFAULT)
            continue;
        struct hn_buf now = {0};
        hn_value_get(o, &c->set, &now);
        if (strcmp(hn_buf_str(&now), o->mlx) != 0) {
            bool off = o->flags & HN_OPTION_ZERO_OFF && now.len && now.data[0] == '0';
            hn_buf_printf(out, "%s%s %s (mlx_lm: %s)", comma, hn_option_key(o, key, sizeof key),
                          off ? "unset" : hn_buf_str(&now), o->mlx);
            comma = ", ";
        }
        out->failed |= now.failed;
        hn_buf_release(&now);
    }
}

/* The data of a script: which files it reads, what it holds out, and the commands that do so. */
#include <math.h>
#include <string.h>
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "migrate/script.h"

static struct hn_place place_of(const char *name, const char *argument, const struct hn_py_value *v,
                                const struct hn_py_value *call)
{
    return (struct hn_place){
        .call = name, .argument = argument, .value = v, .cell = call->cell, .line = call->line};
}

/* What follows the last slash. */
struct hn_str hn_data_name(struct hn_str s)
{
    for (size_t i = s.n; i-- > 0;)
        if (s.p[i] == '/')
            return (struct hn_str){s.p + i + 1, s.n - i - 1};
    return s;
}

static bool is_records(struct hn_str s)
{
    return s.n > 5 && (hn_str_ends(s, ".jsonl") || hn_str_ends(s, ".json") ||
                       hn_str_ends(s, ".csv") || hn_str_ends(s, ".tsv"));
}

bool hn_data_is_config(struct hn_str s)
{
    static const char *const words[] = {"config", "metric",    "result",    "args",  "params",
                                        "index",  "tokenizer", "deepspeed", "state", "package"};
    struct hn_str name = hn_data_name(s);
    for (size_t i = 0; i < HN_COUNT(words); i++)
        if (hn_str_contains(name, words[i]) && !hn_str_ends(s, ".jsonl"))
            return true;
    return false;
}

/* ---- files ----------------------------------------------------------------------------------- */

const char *hn_data_locate(struct hn_plan *p, const char *path)
{
    const char *slash = strrchr(p->path, '/'), *name = hn_path_name(path);
    const char *found = path;
    if (hn_file_exists(path))
        return path;
    const char *tries[] = {path, name};
    for (size_t i = 0; i < HN_COUNT(tries); i++) {
        const char *beside =
            slash ? hn_plan_text(p, "%.*s/%s", (int)(slash - p->path), p->path, tries[i])
                  : tries[i];
        if ((i > 0 || tries[i][0] != '/') && hn_file_exists(beside)) {
            found = beside;
            break;
        }
    }
    return found;
}

static void add_file(struct hn_plan *p, struct hn_files *files, struct hn_str path)
{
    if (path.n == 0 || path.n > 1000 || memchr(path.p, 0, path.n) || hn_str_contains(path, "://"))
        return;
    const char *name = hn_arena_dup(p->arena, path.p, path.n);
    if (!name)
        return;
    if (files == &p->train && hn_files_has(&p->written, name))
        files = &p->derived;
    hn_files_add(p, files, files == &p->written ? name : hn_data_locate(p, name));
}

/* One path, or a list of them, or what a loop runs over; returns how many. */
static size_t add_files(struct hn_plan *p, struct hn_files *files, const struct hn_py_value *v,
                        bool records_only)
{
    size_t n = 0;
    if (!v)
        return 0;
    if (v->type == HN_PY_STR) {
        if (records_only && (!is_records(v->text) || hn_data_is_config(v->text)))
            return 0;
        add_file(p, files, v->text);
        return 1;
    }
    for (const struct hn_py_item *i = v->type == HN_PY_DICT ? NULL : v->first; i; i = i->next) {
        if (i->value->type == HN_PY_STR &&
            (!records_only || (is_records(i->value->text) && !hn_data_is_config(i->value->text)))) {
            add_file(p, files, i->value->text);
            n++;
        }
    }
    return n;
}

/* data_files={"train": …, "validation": …}; eval: the key that the trainer evaluates on */
static size_t add_splits(struct hn_plan *p, const struct hn_py_value *v, struct hn_str eval)
{
    size_t n = 0;
    for (const struct hn_py_item *i = v->first; i; i = i->next) {
        bool valid = hn_str_contains(i->key, "val") || hn_str_contains(i->key, "eval") ||
                     hn_str_contains(i->key, "dev") || (eval.n && hn_str_eq(i->key, eval));
        bool test = hn_str_contains(i->key, "test");
        n += add_files(p, valid ? &p->valid : test ? &p->test : &p->train, i->value, false);
    }
    return n;
}

static bool says_valid(struct hn_str s)
{
    return hn_str_contains(s, "valid") || hn_str_contains(s, "eval") ||
           hn_str_contains(s, "/val") || hn_str_contains(s, "_val") || hn_str_contains(s, "val_") ||
           hn_str_contains(s, "dev.");
}

static bool is_named(const struct hn_py_value *v, bool valid)
{
    if (!v)
        return false;
    if (v->type == HN_PY_STR)
        return valid ? says_valid(v->text) : hn_str_contains(v->text, "test");
    for (const struct hn_py_item *i = v->type == HN_PY_OBJECT ? v->first : NULL; i; i = i->next)
        if (i->value->type == HN_PY_STR && is_named(i->value, valid))
            return true; /* os.path.join(unknown, "valid.jsonl") */
    return false;
}

static const struct hn_py_value *given_to_trainer(const struct hn_migrator *m, const char *name)
{
    return m->trainer ? hn_call_argument(hn_call_find(m->trainer), m->trainer, name) : NULL;
}

/* Is it what the trainer trains on (evaluates on)? */
static bool feeds(const struct hn_migrator *m, const char *name, const struct hn_py_value *call)
{
    return hn_call_leads_to(given_to_trainer(m, name), call);
}

/* data["validation"], on the way from the trainer's argument back to the call that loads data,
 * unless the rows were split in between. */
static struct hn_str split_key(const struct hn_migrator *m, const char *name,
                               const struct hn_py_value *call)
{
    struct hn_str key = {"", 0};
    const struct hn_py_value *v = given_to_trainer(m, name);
    for (int steps = 0; v && steps < 50; steps++) {
        if (hn_py_is_same(v, call))
            return key;
        if (v->type == HN_PY_UNKNOWN && v->text.n)
            key = v->text;
        if (v->type == HN_PY_OBJECT && hn_py_path_ends(v->path, "train_test_split"))
            break;
        v = v->self != v ? v->self : NULL;
    }
    return (struct hn_str){"", 0};
}

/* Where a file that this call reads belongs; NULL: the trainer is not given it. */
static struct hn_files *files_for(const struct hn_migrator *m, const struct hn_py_value *call,
                                  const struct hn_py_value *path, const struct hn_py_value *split)
{
    struct hn_plan *p = m->plan;
    bool train = feeds(m, "train_dataset", call);
    if (!train && feeds(m, "eval_dataset", call))
        return &p->valid;
    if (train && m->train_known)
        return &p->train;
    if (is_named(path, true) || is_named(split, true))
        return &p->valid;
    if (is_named(path, false) || is_named(split, false))
        return &p->test;
    return m->train_known ? NULL : &p->train;
}

/* ---- parts of rows --------------------------------------------------------------------------- */

/* How much rows[from:to] is: a part of all rows (below 1), or a number of them; NAN: not known. */
static double size_of_slice(double from, double to)
{
    bool parts = fabs(from) < 1 && fabs(to) < 1, rows = fabs(from) >= 1 || fabs(to) >= 1;
    if (parts && from != 0)
        return (to == 0 ? 1 : to < 0 ? 1 + to : to) - (from < 0 ? 1 + from : from);
    if (parts && to != 0)
        return to < 0 ? 1 + to : to;
    if (rows && from < 0 && to == 0)
        return -from;
    if (rows && from >= 0 && to > from && (from == 0 || from >= 1))
        return to - from;
    return NAN;
}

/* How much split="train[90%:]" is: a part of all rows, or a number of them; NAN: not known. */
static double size_of_split(struct hn_str split)
{
    double bounds[2] = {0, 0};
    bool parts = hn_str_contains(split, "%");
    const char *p = memchr(split.p, '[', split.n), *end = split.p + split.n;
    for (int i = 0; p && i < 2; i++) {
        bool minus = ++p < end && *p == '-';
        for (p += minus; p < end && *p >= '0' && *p <= '9' && bounds[i] < 1e12; p++)
            bounds[i] = 10 * bounds[i] + (*p - '0');
        bounds[i] *= (minus ? -1 : 1) * (parts ? 0.01 : 1);
        p += p < end && *p == '%';
        if (p >= end || *p != (i ? ']' : ':'))
            return NAN;
    }
    return p ? size_of_slice(bounds[0], bounds[1]) : NAN;
}

/* ---- calls ----------------------------------------------------------------------------------- */

/* load_dataset("ORG/NAME", "CONFIG", split="train").to_json("NAME.jsonl") */
static const char *export_of(struct hn_plan *p, const char *name, const struct hn_py_value *config,
                             struct hn_str split, const char *file)
{
    const char *part = config && config->type == HN_PY_STR ? hn_plan_value(p, config) : NULL;
    return hn_plan_text(p, "load_dataset(\"%s\", %s%s%ssplit=\"%.*s\").to_json(\"%s\")", name,
                        part ? "\"" : "", part ? part : "", part ? "\", " : "",
                        (int)HN_MIN(split.n, (size_t)100), split.p, file);
}

static void hub(struct hn_migrator *m, const struct hn_call_info *info,
                const struct hn_place *place, const struct hn_py_value *call)
{
    struct hn_plan *p = m->plan;
    const struct hn_py_value *path = hn_call_argument(info, call, "path");
    const struct hn_py_value *config = hn_call_argument(info, call, "name");
    const struct hn_py_value *split = hn_call_argument(info, call, "split");
    const char *name = hn_plan_value(p, path);
    if (!name || path->type != HN_PY_STR) {
        hn_plan_row(p, place, HONE_MIGRATE_NOT_CARRIED, "",
                    "only a run would tell which data: give the .jsonl files to hone prepare");
        return;
    }
    struct hn_files *files = files_for(m, call, path, split);
    if (!files) {
        hn_plan_row(p, place, HONE_MIGRATE_AUTOMATIC, "", "not what the trainer trains on");
        return;
    }
    struct hn_str part =
        split && split->type == HN_PY_STR ? split->text : split_key(m, "train_dataset", call);
    const char *valid = files == &p->train ? "" : "-valid";
    const char *file = hn_plan_text(p, "%s%s.jsonl", hn_path_name(name), valid);
    part = part.n ? part : hn_str_of("train");
    const char *how = export_of(p, name, config, part, file);
    if (files != &p->train || !p->hub) {
        p->hub = files == &p->train ? file : p->hub;
        add_file(p, files, hn_str_of(file));
    }
    struct hn_str eval = split_key(m, "eval_dataset", call);
    if (files == &p->train && eval.n && !hn_str_eq(eval, part)) {
        const char *second = hn_plan_text(p, "%s-valid.jsonl", hn_path_name(name));
        add_file(p, &p->valid, hn_str_of(second));
        how = hn_plan_text(p, "%s, and %s", how, export_of(p, name, config, eval, second));
    }
    hn_plan_row(p, place, HONE_MIGRATE_NOT_CARRIED, "",
                hn_plan_text(p,
                             "hone loads no data set from a hub: write it to a file first, with "
                             "Python's datasets: %s",
                             how));
}

/* load_dataset("json", data_files=…) */
static void local(struct hn_migrator *m, const struct hn_place *place,
                  const struct hn_py_value *call, const struct hn_py_value *what,
                  const struct hn_py_value *split)
{
    struct hn_plan *p = m->plan;
    struct hn_files *to = files_for(m, call, what, split);
    if (what->type != HN_PY_DICT && !to) {
        hn_plan_row(p, place, HONE_MIGRATE_AUTOMATIC, "", "not what the trainer trains on");
        return;
    }
    size_t n = what->type == HN_PY_DICT ? add_splits(p, what, split_key(m, "eval_dataset", call))
                                        : add_files(p, to, what, false);
    bool all = n && (what->type != HN_PY_DICT || n >= what->n);
    const char *part = what->type == HN_PY_OBJECT ? "the folder is not known before a run" : "";
    const char *use = to == &p->valid ? "valid_data" : "hone test --data";
    hn_plan_row(p, place, all ? HONE_MIGRATE_CARRIED : HONE_MIGRATE_NOT_CARRIED,
                !n                                            ? ""
                : what->type == HN_PY_DICT || to == &p->train ? "hone prepare --input"
                                                              : use,
                all ? part : "only a run would tell which files: give them to hone prepare");
}

static void load(struct hn_migrator *m, const struct hn_call_info *info,
                 const struct hn_py_value *call)
{
    struct hn_plan *p = m->plan;
    const struct hn_py_value *path = hn_call_argument(info, call, "path");
    const struct hn_py_value *files = hn_call_argument(info, call, "data_files");
    const struct hn_py_value *split = hn_call_argument(info, call, "split");
    const struct hn_place place = place_of(info->name, files ? "data_files" : "path",
                                           files  ? files
                                           : path ? path
                                                  : call,
                                           call);
    if (hn_rule_is_usual("json|csv|pandas", path) ||
        (path && path->type == HN_PY_STR && is_records(path->text))) {
        local(m, &place, call, files ? files : path, split);
    } else if (hn_rule_is_usual("parquet|text|arrow", path)) {
        hn_plan_row(p, &place, HONE_MIGRATE_NOT_CARRIED, "",
                    "hone reads .jsonl, .json, .csv and .tsv: convert the file, with Python's "
                    "datasets: load_dataset(…).to_json(…)");
    } else {
        hub(m, info, &place, call);
    }
    bool file = files || (path && path->type == HN_PY_STR && is_records(path->text));
    if (!file || !split || split->type != HN_PY_STR || !hn_str_contains(split->text, "["))
        return;
    double x = size_of_split(split->text);
    if (x < 1 && feeds(m, "train_dataset", call) && !feeds(m, "eval_dataset", call)) {
        p->cut = call; /* the rest may be what is evaluated on */
        p->kept = x;
    } else {
        const struct hn_place part = place_of(info->name, "split", split, call);
        hn_plan_row(p, &part, HONE_MIGRATE_NOT_CARRIED, "",
                    "only a part of the rows is taken: cut the .jsonl file the same way");
    }
}

/* open(path, mode), Dataset.from_json(path), pandas' read_json */
static void read(struct hn_migrator *m, const struct hn_call_info *info,
                 const struct hn_py_value *call)
{
    struct hn_plan *p = m->plan;
    const struct hn_py_value *path = hn_call_argument(info, call, "path");
    const struct hn_py_value *mode = hn_call_argument(info, call, "mode");
    if (!path && strcmp(info->name, "open") == 0) /* Path(…).open() */
        path = call->self;
    path = path ? path : hn_py_value_get(call, "path_or_paths");
    bool writes = mode && mode->type == HN_PY_STR &&
                  (hn_str_contains(mode->text, "w") || hn_str_contains(mode->text, "a") ||
                   hn_str_contains(mode->text, "x"));
    if (strcmp(info->name, "open") == 0 && writes) {
        (void)add_files(p, &p->written, path, true);
        return;
    }
    struct hn_files *to = files_for(m, call, path, NULL);
    if (!to || !add_files(p, to, path, true))
        return;
    const struct hn_place place = place_of(info->name, "path", path, call);
    hn_plan_row(p, &place, HONE_MIGRATE_CARRIED,
                to == &p->train   ? "hone prepare --input"
                : to == &p->valid ? "valid_data"
                                  : "hone test --data",
                "");
}

static void foreign(struct hn_migrator *m, const struct hn_call_info *info,
                    const struct hn_py_value *call)
{
    const struct hn_py_value *path = hn_call_argument(info, call, "path");
    const struct hn_place place = place_of(info->name, "path", path ? path : call, call);
    hn_plan_row(
        m->plan, &place, HONE_MIGRATE_NOT_CARRIED, "",
        "hone reads .jsonl, .json, .csv and .tsv: convert the file, with Python's datasets or "
        "pandas: to_json(…, orient=\"records\", lines=True)");
}

/* Of the rows that were held out before, when what is split now is a part of those: 0 the rest,
 * 1 the held-out ones; -1: it is all rows. */
static int split_of(const struct hn_py_value *call)
{
    const struct hn_py_value *v = call->self;
    for (int steps = 0; v && steps < 20; steps++) {
        bool item = v->type == HN_PY_UNKNOWN && v->text.n && v->self &&
                    hn_py_path_ends(v->self->path, "train_test_split");
        if (item)
            return hn_str_is(v->text, "test");
        v = v->self != v ? v->self : NULL;
    }
    return -1;
}

/* Hold out this part (a number of rows from 1 on) for validation, or for tests when the trainer is
 * given no rows to evaluate on; a second split is the other one. */
static void hold_out(struct hn_migrator *m, const struct hn_place *place, double x, int of)
{
    struct hn_plan *p = m->plan;
    struct hn_held *first = &p->held[0], *h = &p->held[p->n_held];
    bool valid = m->evaluates || !m->trainer, second = p->n_held == 1;
    if (p->n_held == 2 || (second && (x >= 1) != (first->part == 0))) {
        hn_plan_row(p, place, HONE_MIGRATE_NOT_CARRIED, "",
                    "one split more than hone prepare makes, or one in rows and one in parts: see "
                    "its --valid-fraction, --valid-rows, --test-fraction and --test-rows");
        return;
    }
    if (second && x < 1 && of == 1) { /* a part of what was held out */
        double whole = first->part;
        first->part = whole * (1 - x);
        first->amount = hn_plan_text(p, "%.6g", first->part);
        x *= whole;
    } else if (second && x < 1 && of == 0) {
        x *= 1 - first->part;
    }
    h->part = x < 1 ? x : 0;
    h->flag = (second ? !valid : valid) ? (x < 1 ? "--valid-fraction" : "--valid-rows")
                                        : (x < 1 ? "--test-fraction" : "--test-rows");
    h->amount = hn_plan_text(p, "%.6g", x);
    h->row = p->n_rows;
    p->n_held++;
    hn_plan_row(p, place, HONE_MIGRATE_CARRIED,
                hn_plan_text(p, "hone prepare %s %s", h->flag, h->amount),
                "as many, but other rows: the shuffles differ");
}

/* A part, or a number of rows. */
static bool can_hold_out(double x)
{
    return (x > 0 && x <= 0.9) || (x >= 1 && x < 1e12);
}

static void split_unknown(struct hn_plan *p, const struct hn_place *place, const char *note)
{
    p->split_told = true;
    hn_plan_row(p, place, HONE_MIGRATE_NOT_CARRIED, "", note);
}

static void split(struct hn_migrator *m, const struct hn_call_info *info,
                  const struct hn_py_value *call)
{
    struct hn_plan *p = m->plan;
    double x = -1, kept;
    const struct hn_py_value *size = hn_call_argument(info, call, "test_size");
    const struct hn_py_value *train = hn_call_argument(info, call, "train_size");
    const struct hn_py_value *seed = hn_py_value_get(call, "seed");
    if (!seed)
        seed = hn_py_value_get(call, "random_state");
    if (size && size->type == HN_PY_NONE)
        size = NULL;
    struct hn_place place = place_of(info->name, "test_size", size ? size : call, call);
    if (size && size->type == HN_PY_UNKNOWN && size->number > 0) /* 0.1 * len(rows) */
        x = size->number;
    else if (size)
        x = hn_py_is_number(size, &x) ? x : -1;
    else if (!train)
        x = 0.25; /* the default of both libraries that have such a function */
    if (!size && train) {
        place = place_of(info->name, "train_size", train, call);
        if (train->type == HN_PY_UNKNOWN && train->number > 0)
            x = 1 - train->number;
        else if (hn_py_is_number(train, &kept) && kept > 0 && kept < 1)
            x = 1 - kept;
    }
    if (can_hold_out(x))
        hold_out(m, &place, x, split_of(call));
    else
        split_unknown(p, &place,
                      train && !size ? "how many rows that leaves for validation, only a run would "
                                       "tell: set hone prepare --valid-fraction or --valid-rows"
                                     : "only a run would tell: set hone prepare --valid-fraction "
                                       "or --valid-rows");
    if (seed && hn_plan_value(p, seed) && seed->type == HN_PY_INT && seed->integer >= 0) {
        const struct hn_place of_seed = place_of(info->name, "seed", seed, call);
        p->split_seed = hn_plan_value(p, seed);
        hn_plan_row(p, &of_seed, HONE_MIGRATE_CARRIED,
                    hn_plan_text(p, "hone prepare --seed %s", p->split_seed), "");
    }
}

/* ---- rows[a:b] ------------------------------------------------------------------------------- */

/* A bound of a slice: a part of all rows or a number of them, negative from the end; 0: it is not
 * there; NAN: only a run would tell. */
static double bound_of(const struct hn_py_value *v)
{
    double x;
    if (!v || v->type == HN_PY_NONE)
        return 0;
    if (v->type == HN_PY_UNKNOWN)
        return v->number != 0 ? v->number : NAN;
    return hn_py_is_number(v, &x) ? x : NAN;
}

/* input_ids[:n] of a row: what it is cut at, where no tokenizer is told. */
static void cut_ids(struct hn_migrator *m, const struct hn_py_value *call,
                    const struct hn_py_value *start, const struct hn_py_value *stop)
{
    const struct hn_place place = place_of("slice", "", call, call);
    bool first = !start || start->type == HN_PY_NONE;
    if (first && stop && stop->type == HN_PY_INT && stop->integer >= 16 &&
        hn_str_contains(call->source, "input_ids[") && !hn_plan_get(m->plan, "max_seq_length"))
        hn_plan_set(m->plan, &place, HN_RANK_HINT, "max_seq_length", hn_plan_value(m->plan, stop),
                    HONE_MIGRATE_CARRIED, "");
}

/* Of rows that the trainer is given: what is held out by hand, or what is left out. */
static void slice(struct hn_migrator *m, const struct hn_call_info *info,
                  const struct hn_py_value *call)
{
    struct hn_plan *p = m->plan;
    bool train = feeds(m, "train_dataset", call), eval = feeds(m, "eval_dataset", call);
    const struct hn_place place = place_of("slice", "", call, call);
    double x = size_of_slice(bound_of(hn_call_argument(info, call, "start")),
                             bound_of(hn_call_argument(info, call, "stop")));
    if (!train && !eval)
        cut_ids(m, call, hn_call_argument(info, call, "start"),
                hn_call_argument(info, call, "stop"));
    if (train) {
        p->cut = call;
        p->kept = !eval && x > 0 && x < 1 ? x : 0;
        if (p->kept && !m->evaluates && can_hold_out(1 - x))
            hold_out(m, &place, 1 - x, -1);
    } else if (eval && can_hold_out(x)) {
        hold_out(m, &place, x, -1);
    } else if (eval) {
        split_unknown(p, &place,
                      "only a run would tell: set hone prepare --valid-fraction or --valid-rows");
    }
}

/* load_dataset(…, split="train[90%:]") to evaluate on, of the file whose other rows are trained on.
 */
static bool held_by_split(struct hn_migrator *m, const struct hn_call_info *info,
                          const struct hn_py_value *call)
{
    struct hn_plan *p = m->plan;
    const struct hn_py_value *file = hn_call_argument(info, call, "data_files");
    const struct hn_py_value *split = hn_call_argument(info, call, "split");
    const char *name = file && file->type == HN_PY_STR ? hn_plan_value(p, file) : NULL;
    if (!name || !split || split->type != HN_PY_STR || !feeds(m, "eval_dataset", call) ||
        feeds(m, "train_dataset", call) || !hn_files_has(&p->train, hn_data_locate(p, name)))
        return false;
    double x = size_of_split(split->text);
    const struct hn_place place = place_of(info->name, "split", split, call);
    if (!can_hold_out(x))
        return false;
    hold_out(m, &place, x, -1);
    return true;
}

/* random_split(rows, [train, valid]) or [train, valid, test], in parts or numbers */
static void parts(struct hn_migrator *m, const struct hn_call_info *info,
                  const struct hn_py_value *call)
{
    const struct hn_py_value *lengths = hn_call_argument(info, call, "lengths");
    const struct hn_place place = place_of(info->name, "lengths", lengths ? lengths : call, call);
    double train = bound_of(hn_py_value_at(lengths, 0)), x = bound_of(hn_py_value_at(lengths, 1));
    bool two = lengths && lengths->n == 2;
    if (!(x > 0) && two && train > 0 && train < 1) /* [n_train, len(rows) - n_train] */
        x = 1 - train;
    m->plan->kept = !two && train > 0 && train < 1 ? train : 0;
    if (can_hold_out(x))
        hold_out(m, &place, x, -1);
    else
        split_unknown(m->plan, &place,
                      "only a run would tell: set hone prepare --valid-fraction or --valid-rows");
}

/* Rows that are neither trained on nor evaluated on are those of tests. */
static void hold_out_rest(struct hn_plan *p, const struct hn_place *place)
{
    double rest = 1 - p->kept - p->held[0].part;
    struct hn_held *h = &p->held[p->n_held];
    if (p->n_held != 1 || p->held[0].flag[2] != 'v' || !p->held[0].part || !p->kept || rest < 1e-6)
        return;
    *h = (struct hn_held){.part = rest,
                          .flag = "--test-fraction",
                          .amount = hn_plan_text(p, "%.6g", rest),
                          .row = p->n_rows};
    p->n_held++;
    hn_plan_row(p, place, HONE_MIGRATE_CARRIED,
                hn_plan_text(p, "hone prepare %s %s", h->flag, h->amount),
                "rows that are neither trained on nor evaluated on");
}

void hn_data_call(struct hn_migrator *m, const struct hn_call_info *info,
                  const struct hn_py_value *call)
{
    if (info->kind == HN_C_LOAD && held_by_split(m, info, call))
        return;
    if (info->kind == HN_C_LOAD)
        load(m, info, call);
    else if (info->kind == HN_C_READ)
        read(m, info, call);
    else if (info->kind == HN_C_FOREIGN)
        foreign(m, info, call);
    else if (info->kind == HN_C_SLICE)
        slice(m, info, call);
    else if (info->kind == HN_C_PARTS)
        parts(m, info, call);
    else
        split(m, info, call);
}

/* load_rows("mode.jsonl"), to_json("out.jsonl"): a function that is given a file of records */
void hn_data_other(struct hn_migrator *m, const struct hn_py_value *call)
{
    struct hn_plan *p = m->plan;
    struct hn_str name = hn_py_last(call->path);
    static const char *const writers[] = {"write", "save", "to_json", "dump", "export", "out"};
    static const char *const ignored[] = {"exists",   "isfile",   "remove",  "unlink", "print",
                                          "upload",   "download", "getsize", "append", "info",
                                          "endswith", "replace",  "glob",    "split"};
    bool writes = false;
    for (size_t i = 0; i < HN_COUNT(ignored); i++)
        if (hn_str_contains(name, ignored[i]))
            return;
    for (size_t i = 0; i < HN_COUNT(writers); i++)
        writes = writes || hn_str_contains(name, writers[i]);
    for (const struct hn_py_item *i = call->first; i; i = i->next) {
        const struct hn_py_value *v = i->value;
        const char *end = hn_str_is(name, "to_json") ? ".json" : ".jsonl";
        bool one = v->type == HN_PY_STR && v->text.n > 6 &&
                   (hn_str_ends(v->text, ".jsonl") || hn_str_ends(v->text, end));
        bool many = (v->type == HN_PY_LIST || v->type == HN_PY_UNKNOWN) && v->first &&
                    v->first->value->type == HN_PY_STR &&
                    hn_str_ends(v->first->value->text, ".jsonl");
        if (!one && !many)
            continue;
        struct hn_files *to = writes ? &p->written : files_for(m, call, v, NULL);
        size_t before = to ? to->n : 0;
        if (to)
            (void)add_files(p, to, v, true);
        if (writes && p->n_held)
            p->written_split = true;
        if (!to || writes || to->n == before)
            continue;
        const struct hn_place place =
            place_of(hn_plan_text(p, "%.*s", (int)HN_MIN(name.n, (size_t)80), name.p), "", v, call);
        hn_plan_row(p, &place, HONE_MIGRATE_CARRIED, "hone prepare --input", "");
    }
}

/* ---- the end --------------------------------------------------------------------------------- */

/* A split that turns out not to be needed. */
static void give_back(struct hn_plan *p, size_t i, const char *why)
{
    if (p->held[i].row >= p->n_rows)
        return;
    p->rows[p->held[i].row].fate = HONE_MIGRATE_AUTOMATIC;
    p->rows[p->held[i].row].setting = "";
    p->rows[p->held[i].row].note = why;
}

int hn_data_has(const struct hn_plan *p, const char *key, const char *other)
{
    struct hn_lines lines;
    struct hn_json *row = NULL;
    struct hn_arena arena;
    struct hone_err err = {0};
    int found = -1;
    if (!p->train.n || hn_lines_open(&lines, p->train.items[0], HN_MIGRATE_MAX_LINE, &err))
        return -1;
    hn_arena_init(&arena, (size_t)16 * HN_MIGRATE_MAX_LINE);
    if (hn_lines_next(&lines, &err) == 1 &&
        !hn_json_parse(&arena, hn_buf_str(&lines.line), lines.line.len, HN_JSON_PYTHON, &row,
                       &err) &&
        row->type == HN_JSON_OBJECT)
        found = hn_json_get(row, key) && hn_json_get(row, other);
    hn_arena_release(&arena);
    hn_lines_close(&lines);
    return found;
}

/* Is one of them what hone prepare would write into the folder data? */
static bool replaced(const struct hn_files *files)
{
    static const char *const names[] = {"data/train.jsonl", "data/valid.jsonl", "data/test.jsonl"};
    bool found = false;
    for (size_t i = 0; i < files->n; i++) {
        const char *name = files->items[i] + (strncmp(files->items[i], "./", 2) == 0 ? 2 : 0);
        for (size_t k = 0; k < HN_COUNT(names); k++)
            found = found || strcmp(name, names[k]) == 0;
    }
    return found;
}

void hn_data_finish(struct hn_migrator *m)
{
    struct hn_plan *p = m->plan;
    const struct hn_place place = {.call = "data", .argument = ""};
    if (p->derived.n) {
        if (p->hub) /* what the script wrote from a hub's rows is in the form that it trains on */
            hn_files_remove(&p->train, p->hub);
        bool raw = p->train.n > 0;
        while (!raw && p->written_split && p->n_held)
            give_back(p, --p->n_held, "the files that the script writes are split already");
        for (size_t i = 0; i < p->derived.n; i++) {
            hn_plan_row(p, &place, HONE_MIGRATE_CHANGED, "",
                        raw ? hn_plan_text(p,
                                           "%s is written by the script itself: hone prepare "
                                           "reads what it is made of",
                                           p->derived.items[i])
                            : hn_plan_text(p,
                                           "%s is written by the script itself: run that part "
                                           "first, or give hone prepare what it is made of",
                                           p->derived.items[i]));
            if (!raw)
                hn_files_add(p, &p->train, p->derived.items[i]);
        }
    }
    if (!p->train.n) {
        hn_plan_row(p, &place, HONE_MIGRATE_NOT_CARRIED, "",
                    "no file of records was found: give yours to hone prepare --input");
        hn_files_add(p, &p->train, "records.jsonl");
    }
    bool taken = replaced(&p->train) || replaced(&p->valid) || replaced(&p->test);
    p->folder = taken ? "prepared" : "data";
    hn_plan_set(p, &place, HN_RANK_USUAL, "data", p->folder, HONE_MIGRATE_CARRIED,
                "the folder that hone prepare writes");
    hold_out_rest(p, &place);
    if (p->cut && !p->n_held && !p->split_told) {
        const struct hn_place cut = place_of("slice", "", p->cut, p->cut);
        hn_plan_row(p, &cut, HONE_MIGRATE_NOT_CARRIED, "",
                    "only some rows are taken: cut the .jsonl file the same way");
    }
    bool valid = p->valid.n > 0 || p->split_told;
    for (size_t i = 0; i < p->n_held; i++)
        valid = valid || p->held[i].flag[2] == 'v';
    const struct hn_py_value *eval = given_to_trainer(m, "eval_dataset");
    if (!valid && eval && hn_py_truth(eval) != 0)
        hn_plan_row(p, &place, HONE_MIGRATE_NOT_CARRIED, "",
                    "the trainer evaluates on rows of which only a run would tell where they come "
                    "from: set hone prepare --valid-fraction, or valid_data");
    if (p->valid.n) {
        hn_plan_set(p, &place, HN_RANK_USUAL, "valid_data", p->valid.items[0], HONE_MIGRATE_CARRIED,
                    p->valid.n > 1 ? "the first of several files" : "");
        for (size_t i = p->n_held; i-- > 0;) {
            if (p->held[i].flag[2] != 'v')
                continue;
            give_back(p, i, "there are validation rows of their own");
            p->held[i] = p->held[--p->n_held];
        }
    }
}

/* The data of a script: which files it reads, what it holds out, and the commands that do so. */
#include <string.h>
#include "base/file.h"
#include "base/mem.h"
#include "migrate/script.h"

static struct hn_place place_of(const char *name, const char *argument, const struct hn_py_value *v,
                                const struct hn_py_value *call)
{
    return (struct hn_place){
        .call = name, .argument = argument, .value = v, .cell = call->cell, .line = call->line};
}

static bool is_records(struct hn_str s)
{
    return s.n > 6 && (hn_str_ends(s, ".jsonl") || hn_str_ends(s, ".json"));
}

/* ---- files ----------------------------------------------------------------------------------- */

/* The file where it is now: as written, beside the script, or there by its name alone. */
static const char *locate(struct hn_plan *p, const char *path)
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
    if (files != &p->written && hn_files_has(&p->written, name))
        files = &p->derived;
    hn_files_add(p, files, files == &p->written ? name : locate(p, name));
}

/* One path, or a list of them, or what a loop runs over; returns how many. */
static size_t add_files(struct hn_plan *p, struct hn_files *files, const struct hn_py_value *v,
                        bool records_only)
{
    size_t n = 0;
    if (!v)
        return 0;
    if (v->type == HN_PY_STR) {
        if (records_only && !is_records(v->text))
            return 0;
        add_file(p, files, v->text);
        return 1;
    }
    for (const struct hn_py_item *i = v->type == HN_PY_DICT ? NULL : v->first; i; i = i->next) {
        if (i->value->type == HN_PY_STR && (!records_only || is_records(i->value->text))) {
            add_file(p, files, i->value->text);
            n++;
        }
    }
    return n;
}

/* data_files={"train": …, "validation": …} */
static size_t add_splits(struct hn_plan *p, const struct hn_py_value *v)
{
    size_t n = 0;
    for (const struct hn_py_item *i = v->first; i; i = i->next) {
        bool valid = hn_str_contains(i->key, "val") || hn_str_contains(i->key, "eval") ||
                     hn_str_contains(i->key, "dev");
        bool test = hn_str_contains(i->key, "test");
        n += add_files(p, valid ? &p->valid : test ? &p->test : &p->train, i->value, false);
    }
    return n;
}

static bool is_valid_name(const struct hn_py_value *v)
{
    return v && v->type == HN_PY_STR &&
           (hn_str_contains(v->text, "valid") || hn_str_contains(v->text, "eval") ||
            hn_str_contains(v->text, "/val") || hn_str_contains(v->text, "_val") ||
            hn_str_contains(v->text, "val_") || hn_str_contains(v->text, "dev."));
}

static struct hn_files *files_for(struct hn_plan *p, const struct hn_py_value *path,
                                  const struct hn_py_value *split)
{
    if (is_valid_name(path) || is_valid_name(split))
        return &p->valid;
    bool test = (path && path->type == HN_PY_STR && hn_str_contains(path->text, "test")) ||
                (split && split->type == HN_PY_STR && hn_str_contains(split->text, "test"));
    return test ? &p->test : &p->train;
}

/* ---- calls ----------------------------------------------------------------------------------- */

static void hub(struct hn_migrator *m, const struct hn_place *place, const struct hn_py_value *path)
{
    const char *name = hn_plan_value(m->plan, path);
    if (!name || path->type != HN_PY_STR) {
        hn_plan_row(m->plan, place, HONE_MIGRATE_NOT_CARRIED, "",
                    "only a run would tell which data: give the .jsonl files to hone prepare");
        return;
    }
    const char *file = hn_plan_text(m->plan, "%s.jsonl", hn_path_name(name));
    if (!m->plan->hub) {
        m->plan->hub = name;
        add_file(m->plan, &m->plan->train, hn_str_of(file));
    }
    hn_plan_row(m->plan, place, HONE_MIGRATE_NOT_CARRIED, "",
                hn_plan_text(m->plan,
                             "hone loads no data set from a hub: write it to a file first, with "
                             "Python's datasets: load_dataset(\"%s\", split=\"train\")"
                             ".to_json(\"%s\")",
                             name, file));
}

/* A .json file may be one list of records. */
static const char *one_a_line(const struct hn_py_value *path)
{
    bool json = path->type == HN_PY_STR && hn_str_ends(path->text, ".json");
    return json ? "hone reads one record a line: a file that is one list has to be written so first"
                : "";
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
    bool json = hn_py_is_text(path, "json"), text = hn_py_is_text(path, "text");
    if (json || (path && path->type == HN_PY_STR && is_records(path->text))) {
        const struct hn_py_value *what = files ? files : path;
        size_t n = what->type == HN_PY_DICT ? add_splits(p, what)
                                            : add_files(p, files_for(p, what, split), what, false);
        bool all = n && (what->type != HN_PY_DICT || n >= what->n);
        hn_plan_row(p, &place, all ? HONE_MIGRATE_CARRIED : HONE_MIGRATE_NOT_CARRIED,
                    n ? "hone prepare --input" : "",
                    all ? one_a_line(what)
                        : "only a run would tell which files: give them to hone "
                          "prepare");
    } else if (hn_py_is_text(path, "csv") || hn_py_is_text(path, "parquet") || text) {
        hn_plan_row(p, &place, HONE_MIGRATE_NOT_CARRIED, "",
                    "hone reads .jsonl: convert the file, with Python's datasets: "
                    "load_dataset(…).to_json(…)");
    } else {
        hub(m, &place, path);
    }
    if (split && split->type == HN_PY_STR && hn_str_contains(split->text, "[")) {
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
    if (!add_files(p, files_for(p, path, NULL), path, true))
        return;
    const struct hn_place place = place_of(info->name, "path", path, call);
    hn_plan_row(p, &place, HONE_MIGRATE_CARRIED, "hone prepare --input", "");
}

static void foreign(struct hn_migrator *m, const struct hn_call_info *info,
                    const struct hn_py_value *call)
{
    const struct hn_py_value *path = hn_call_argument(info, call, "path");
    const struct hn_place place = place_of(info->name, "path", path ? path : call, call);
    hn_plan_row(m->plan, &place, HONE_MIGRATE_NOT_CARRIED, "",
                "hone reads .jsonl: convert the file, with Python's datasets or pandas: "
                "to_json(…, orient=\"records\", lines=True)");
}

static void split(struct hn_migrator *m, const struct hn_call_info *info,
                  const struct hn_py_value *call)
{
    struct hn_plan *p = m->plan;
    double x;
    const struct hn_py_value *size = hn_call_argument(info, call, "test_size");
    const struct hn_py_value *train = hn_call_argument(info, call, "train_size");
    const struct hn_py_value *seed = hn_py_value_get(call, "seed");
    if (!seed)
        seed = hn_py_value_get(call, "random_state");
    struct hn_place place = place_of(info->name, "test_size", size ? size : call, call);
    const char *text = hn_plan_value(p, size);
    if (!size && hn_py_is_number(train, &x) && x > 0 && x < 1) {
        place = place_of(info->name, "train_size", train, call);
        text = hn_plan_text(p, "%.6g", 1 - x);
        x = 1 - x;
    } else if (!hn_py_is_number(size, &x)) {
        x = size ? -1 : 0.25; /* the default of both libraries that have such a function */
        text = "0.25";
    }
    if (x > 0 && x <= 0.9) {
        if (p->valid_fraction) {
            hn_plan_row(p, &place, HONE_MIGRATE_NOT_CARRIED, "",
                        "a second split; hone prepare has --test-fraction for it");
            return;
        }
        p->valid_fraction = text;
        hn_plan_row(p, &place, HONE_MIGRATE_CARRIED,
                    hn_plan_text(p, "hone prepare --valid-fraction %s", text),
                    "as large, but other rows: the shuffles differ");
    } else {
        hn_plan_row(p, &place, HONE_MIGRATE_NOT_CARRIED, "",
                    x >= 1
                        ? "a number of rows: hone takes a fraction, hone prepare --valid-fraction"
                        : "only a run would tell: set hone prepare --valid-fraction");
    }
    if (seed && hn_plan_value(p, seed) && seed->type == HN_PY_INT && seed->integer >= 0) {
        const struct hn_place of_seed = place_of(info->name, "seed", seed, call);
        p->split_seed = hn_plan_value(p, seed);
        hn_plan_row(p, &of_seed, HONE_MIGRATE_CARRIED,
                    hn_plan_text(p, "hone prepare --seed %s", p->split_seed), "");
    }
}

void hn_data_call(struct hn_migrator *m, const struct hn_call_info *info,
                  const struct hn_py_value *call)
{
    if (info->kind == HN_C_LOAD)
        load(m, info, call);
    else if (info->kind == HN_C_READ)
        read(m, info, call);
    else if (info->kind == HN_C_FOREIGN)
        foreign(m, info, call);
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
        bool one = v->type == HN_PY_STR && v->text.n > 6 && hn_str_ends(v->text, ".jsonl");
        bool many = (v->type == HN_PY_LIST || v->type == HN_PY_UNKNOWN) && v->first &&
                    v->first->value->type == HN_PY_STR &&
                    hn_str_ends(v->first->value->text, ".jsonl");
        if (!one && !many)
            continue;
        struct hn_files *to = writes ? &p->written : files_for(p, v, NULL);
        size_t before = to->n;
        (void)add_files(p, to, v, true);
        if (writes || to->n == before)
            continue;
        const struct hn_place place =
            place_of(hn_plan_text(p, "%.*s", (int)HN_MIN(name.n, (size_t)80), name.p), "", v, call);
        hn_plan_row(p, &place, HONE_MIGRATE_CARRIED, "hone prepare --input", "");
    }
}

/* ---- the end --------------------------------------------------------------------------------- */

void hn_data_finish(struct hn_migrator *m)
{
    struct hn_plan *p = m->plan;
    const struct hn_place place = {.call = "data", .argument = ""};
    if (p->derived.n) {
        bool raw = p->train.n > 0;
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
    hn_plan_set(p, &place, HN_RANK_USUAL, "data", "data", HONE_MIGRATE_CARRIED,
                "the folder that hone prepare writes");
    if (p->valid.n) {
        hn_plan_set(p, &place, HN_RANK_USUAL, "valid_data", p->valid.items[0], HONE_MIGRATE_CARRIED,
                    p->valid.n > 1 ? "the first of several files" : "");
        p->valid_fraction = NULL;
    }
}

/* What the migration has found so far: the rows of the table, hone's settings with where each came
 * from, and the data. */
#ifndef HN_MIGRATE_MIGRATE_PLAN_H
#define HN_MIGRATE_MIGRATE_PLAN_H

#include "conf/option.h"
#include "hone/migrate.h"
#include "migrate/py_value.h"

/* Who sets a setting: a later one of the same rank wins, a lower one is said to be overruled. */
enum hn_rank { HN_RANK_DEFAULT, HN_RANK_HINT, HN_RANK_USUAL, HN_RANK_FIRM };

struct hn_setting {
    bool set;
    bool unresolved; /* the source gives it a value that only a run would tell */
    enum hn_rank rank;
    const char *text;         /* as hn_value_set reads it; lists with commas */
    const char *const *items; /* of a list */
    size_t n_items;
    const char *origin; /* for the comment in the YAML */
};

enum { HN_MIGRATE_MAX_ROWS = 4096, HN_MIGRATE_MAX_FILES = 64, HN_MIGRATE_MAX_LINE = 1 << 20 };

struct hn_files {
    const char *items[HN_MIGRATE_MAX_FILES];
    size_t n;
};

struct hn_plan {
    struct hn_arena *arena;
    const char *path;
    struct hone_migrate_row *rows; /* [HN_MIGRATE_MAX_ROWS] */
    size_t n_rows;
    bool full;
    struct hn_setting settings[HN_MAX_OPTIONS];

    /* data */
    struct hn_files train, valid, test, written;
    struct hn_files derived; /* read, and written by the script itself before */
    const char *hub;         /* a data set of the hub; NULL: none */
    const char *folder;      /* that hone prepare is to write; NULL: nothing is prepared */
    struct hn_held {
        double part; /* of all rows; 0: a number of them */
        const char *flag, *amount;
        size_t row; /* of the table */
    } held[2];
    size_t n_held;
    double kept; /* the part of all rows that is trained on, where the script cuts them; or 0 */
    const struct hn_py_value *cut; /* rows[:n] that are trained on; NULL: all are */
    bool split_told;               /* a row says that only a run would tell what is held out */
    bool written_split;            /* a file was written when the rows had been split */
    const char *split_seed;
    const char *max_new_tokens, *temperature; /* of generation; NULL: not said */
};

/* Where a row stands in the source, and what it is about. */
struct hn_place {
    const char *call, *argument;
    const struct hn_py_value *value;
    unsigned cell, line;
};

/* printf into the arena; "" when out of memory. */
const char *hn_plan_text(struct hn_plan *p, const char *fmt, ...) HN_PRINTF(2, 3);

void hn_plan_row(struct hn_plan *p, const struct hn_place *place, enum hone_migrate_fate fate,
                 const char *setting, const char *note);

/* Set hone's option (its YAML key) to text, checked against the option table, and add the row.  A
 * value that hone refuses becomes a row that says so. */
void hn_plan_set(struct hn_plan *p, const struct hn_place *place, enum hn_rank rank,
                 const char *key, const char *text, enum hone_migrate_fate fate, const char *note);
/* The same with a list. */
void hn_plan_set_list(struct hn_plan *p, const struct hn_place *place, enum hn_rank rank,
                      const char *key, const struct hn_py_value *list, enum hone_migrate_fate fate,
                      const char *note);
/* The row of an argument whose value only a run would tell; hint says more, or is NULL. */
void hn_plan_unresolved(struct hn_plan *p, const struct hn_place *place, const char *key,
                        const char *hint);
bool hn_plan_is_unresolved(const struct hn_plan *p, const char *key);
/* What key is set to, or NULL. */
const char *hn_plan_get(const struct hn_plan *p, const char *key);

/* A constant as hone's options read it: numbers, true, text, null; NULL: it is no constant. */
const char *hn_plan_value(struct hn_plan *p, const struct hn_py_value *v);
/* The text of a member of v; NULL: it has none that is text. */
const char *hn_plan_text_of(struct hn_plan *p, const struct hn_py_value *v, const char *key);

void hn_files_add(struct hn_plan *p, struct hn_files *files, const char *path);
bool hn_files_has(const struct hn_files *files, const char *path);
void hn_files_remove(struct hn_files *files, const char *path);

/* train.yaml. */
void hn_plan_yaml(const struct hn_plan *p, struct hn_buf *out);

#endif

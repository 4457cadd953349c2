/* From a script of another system to hone's settings.  The source is read, never run. */
#ifndef HONE_MIGRATE_H
#define HONE_MIGRATE_H

#include <stddef.h>
#include "hone/err.h"

enum hone_migrate_fate {
    HONE_MIGRATE_CARRIED,     /* the same setting, with the same value */
    HONE_MIGRATE_CHANGED,     /* another value or meaning; the note says how */
    HONE_MIGRATE_AUTOMATIC,   /* nothing to set: hone does it, or has no need of it */
    HONE_MIGRATE_NOT_CARRIED, /* the note says why, and what it changes */
    HONE_MIGRATE_UNKNOWN,     /* an argument that hone does not know */
    HONE_MIGRATE_DEFAULT,     /* nothing was written: the other system's default */
    HONE_MIGRATE_FATES
};
/* "carried", "changed"…; never NULL */
const char *hone_migrate_fate_name(enum hone_migrate_fate fate);

struct hone_migrate_row {
    const char *call;     /* "TrainingArguments" */
    const char *argument; /* "learning_rate"; "" when the call itself is meant */
    const char *value;    /* as the source has it, constants put in */
    unsigned cell, line;  /* from 1; cell 0: no notebook; line 0: a default */
    enum hone_migrate_fate fate;
    const char *setting; /* "learning_rate: 0.0002", "--valid-fraction 0.1"; "" for none */
    const char *note;    /* one sentence, or "" */
};

struct hone_migration {
    const char *path;
    const char *kind; /* "notebook", "Python script", "PEFT adapter", "mlx-lm config", "TRL recipe",
                         "axolotl config", "LLaMA-Factory config", "torchtune config" */
    const struct hone_migrate_row *rows; /* in the order of the source, defaults last */
    size_t n_rows;
    size_t counts[HONE_MIGRATE_FATES];
    const char *yaml;                 /* train.yaml, whole */
    const char *model, *adapter_path; /* "" when the source does not say */
    /* The words after `hone`: "prepare", "--input", …; n 0: nothing to prepare. */
    const char *const *prepare;
    size_t n_prepare;
    const char *const *test;
    size_t n_test;
};

/* Read the file.  What it holds is told by its content: a notebook, a PEFT or mlx-lm
 * adapter_config.json, mlx-lm's YAML, else Python.  A file in which nothing is found that hone
 * knows is a failure.  Close it with hone_migrate_close. */
int hone_migrate_open(struct hone_migration **out, const char *path, struct hone_err *err);
/* The same from memory; path is for messages, and to find data files beside. */
int hone_migrate_parse(struct hone_migration **out, const char *path, const char *text, size_t n,
                       struct hone_err *err);
void hone_migrate_close(struct hone_migration **m);

#endif

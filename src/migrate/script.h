/* A script or notebook as a migration: its calls by the tables, then its data, then the defaults
 * that it relied on. */
#ifndef HN_MIGRATE_SCRIPT_H
#define HN_MIGRATE_SCRIPT_H

#include "migrate/calls.h"

HN_MUST_USE int hn_script_migrate(struct hn_plan *plan, const struct hn_py_source *sources,
                                  size_t n, struct hone_err *err);

/* A JSON or YAML config by its table: adapter_config.json of PEFT or mlx-lm, mlx-lm's YAML. */
HN_MUST_USE int hn_config_migrate(struct hn_plan *plan, const struct hn_py_value *config, bool mlx,
                                  struct hone_err *err);

/* Rows for the defaults of transformers (or mlx-lm) that differ from hone's and were not set. */
void hn_defaults_apply(struct hn_migrator *m);

/* A call that reads or splits data; rows, files and settings are added to the plan. */
void hn_data_call(struct hn_migrator *m, const struct hn_call_info *info,
                  const struct hn_py_value *call);
/* A call of something else that is given a file of records. */
void hn_data_other(struct hn_migrator *m, const struct hn_py_value *call);
/* When all calls have been seen: which files, and where from. */
void hn_data_finish(struct hn_migrator *m);

#endif

/* A script or notebook as a migration: its calls by the tables, then its data, then the defaults
 * that it relied on. */
#ifndef HN_MIGRATE_SCRIPT_H
#define HN_MIGRATE_SCRIPT_H

#include "migrate/calls.h"
#include "migrate/config_values.h"

HN_MUST_USE int hn_script_migrate(struct hn_plan *plan, const struct hn_py_source *sources,
                                  size_t n, struct hone_err *err);

/* What a JSON or YAML file is, by its keys. */
enum hn_config_kind {
    HN_CONFIG_MLX, /* mlx-lm's YAML, or its adapter_config.json */
    HN_CONFIG_PEFT,
    HN_CONFIG_TRL,
    HN_CONFIG_AXOLOTL,
    HN_CONFIG_LLAMA_FACTORY,
    HN_CONFIG_TORCHTUNE,
};
/* Fails, and says what else it is. */
HN_MUST_USE int hn_config_find(const struct hn_plan *plan, const struct hn_py_value *config,
                               enum hn_config_kind *out, struct hone_err *err);

/* A config by its table. */
HN_MUST_USE int hn_config_migrate(struct hn_plan *plan, const struct hn_py_value *config,
                                  enum hn_config_kind kind, struct hone_err *err);
/* TRL's: sets what m is about, and makes all rows but those of defaults. */
void hn_trl_migrate(struct hn_migrator *m, const struct hn_py_value *config);

/* axolotl's, LLaMA-Factory's and torchtune's. */
void hn_axolotl_migrate(struct hn_migrator *m, const struct hn_py_value *config);
void hn_llama_factory_migrate(struct hn_migrator *m, const struct hn_py_value *config);
void hn_torchtune_migrate(struct hn_migrator *m, const struct hn_py_value *config);
/* The line of Python that writes one part of a hub's data set to a file, which becomes an input;
 * config: NULL for none. */
const char *hn_hub_export(struct hn_plan *p, const char *name, const char *config,
                          const char *split, bool valid);

/* Rows for the defaults of transformers (or mlx-lm) that differ from hone's and were not set. */
void hn_defaults_apply(struct hn_migrator *m);

/* Were the settings of trl sft, llamafactory-cli, axolotl or tune run found? */
bool hn_shell_has_config(const struct hn_migrator *m);
/* The shell lines that train, marked as such in a notebook, or all; m->mlx when mlx_lm.lora is
 * called. */
void hn_shell_migrate(struct hn_migrator *m, const struct hn_py_source *sources, size_t n,
                      bool all);
/* A shell script: its lines that train. */
HN_MUST_USE int hn_shell_script(struct hn_plan *plan, const struct hn_py_source *source,
                                struct hone_err *err);

/* A call that reads or splits data; rows, files and settings are added to the plan. */
void hn_data_call(struct hn_migrator *m, const struct hn_call_info *info,
                  const struct hn_py_value *call);
/* A call of something else that is given a file of records. */
void hn_data_other(struct hn_migrator *m, const struct hn_py_value *call);
/* Have the rows that are trained on both of these keys?  1, 0, or -1 where that cannot be read in
 * the first of them. */
int hn_data_has(const struct hn_plan *p, const char *key, const char *other);
/* The part of a path behind its last slash. */
struct hn_str hn_data_name(struct hn_str path);
/* Is it named as no file of records is: config.json, metrics.json? */
bool hn_data_is_config(struct hn_str path);
/* A file where it is now: as written, beside the script, or there by its name alone. */
const char *hn_data_locate(struct hn_plan *p, const char *path);
/* When all calls have been seen: which files, and where from. */
void hn_data_finish(struct hn_migrator *m);

#endif

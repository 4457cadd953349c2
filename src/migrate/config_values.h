/* JSON and YAML as values, as the tables of rules read them. */
#ifndef HN_MIGRATE_CONFIG_VALUES_H
#define HN_MIGRATE_CONFIG_VALUES_H

#include "base/json.h"
#include "conf/yaml.h"
#include "migrate/migrate_plan.h"

/* NULL only when the arena has failed. */
struct hn_py_value *hn_values_of_json(struct hn_arena *arena, const struct hn_json *j);
struct hn_py_value *hn_values_of_yaml(struct hn_arena *arena, const struct hn_yaml *y);

/* The map of settings in a text that is called name (.json: JSON, else YAML), or in a file that the
 * source names, where it stands or beside the source; NULL: there is none. */
struct hn_py_value *hn_values_of_text(struct hn_arena *arena, const char *name, struct hn_str text);
struct hn_py_value *hn_values_read(struct hn_plan *p, const char *path);

#endif

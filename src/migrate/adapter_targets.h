/* PEFT's ways of saying which linear layers have an adapter, as names that hone has. */
#ifndef HN_MIGRATE_ADAPTER_TARGETS_H
#define HN_MIGRATE_ADAPTER_TARGETS_H

#include "migrate/rules.h"

/* target_modules as a regular expression, which PEFT matches against a layer's whole path: the
 * names of the layers that match in every block, or their whole paths where only some blocks do. */
void hn_targets_pattern(struct hn_migrator *m, const struct hn_place *place, const char *key,
                        struct hn_str pattern);

/* layers_to_transform: the whole paths of the layers named in targets (NULL: in usual, by spaces)
 * in these blocks alone, added to the list out.  False when that cannot be said. */
HN_MUST_USE bool hn_targets_blocks(struct hn_plan *p, const struct hn_py_value *targets,
                                   const char *usual, const struct hn_py_value *blocks,
                                   struct hn_py_value *out);

#endif

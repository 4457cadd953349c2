/* The code cells of a Jupyter notebook, in order. */
#ifndef HN_MIGRATE_NOTEBOOK_H
#define HN_MIGRATE_NOTEBOOK_H

#include "base/json.h"
#include "migrate/py_lex.h"

enum { HN_MAX_CELLS = 10000 };

/* Is this document a notebook (nbformat 3 or 4)? */
bool hn_is_notebook(const struct hn_json *root);

/* The code cells as sources in the arena; cells are counted from 1, text cells included, as a
 * reader of the notebook counts them.  A malformed one is a failure that names the cell. */
HN_MUST_USE int hn_notebook_cells(struct hn_arena *arena, const struct hn_json *root,
                                  struct hn_py_source **out, size_t *n, struct hone_err *err);

#endif

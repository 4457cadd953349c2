#include "migrate/notebook.h"

#include <string.h>

/* nbformat 4 has its cells at the top, nbformat 3 in its one worksheet. */
static const struct hn_json *cells_of(const struct hn_json *root)
{
    const struct hn_json *cells = hn_json_get(root, "cells");
    if (!cells)
        cells = hn_json_get(hn_json_at(hn_json_get(root, "worksheets"), 0), "cells");
    return cells;
}

bool hn_is_notebook(const struct hn_json *root)
{
    return hn_json_get(root, "cells") || hn_json_get(root, "worksheets");
}

/* A string, or a list of strings that are its lines. */
static int join_source(struct hn_arena *arena, const struct hn_json *source, size_t cell,
                       struct hn_str *out, struct hone_err *err)
{
    struct hn_str s;
    struct hn_buf text = {0};
    if (hn_json_str(source, out))
        return 0;
    if (!source || source->type != HN_JSON_ARRAY)
        return hn_fail(err, HONE_FAILED,
                       "cell %zu: \"source\" is %s, expected a string or a list of strings", cell,
                       hn_json_type_name(source));
    for (size_t i = 0; i < source->n; i++) {
        if (!hn_json_str(&source->items[i], &s)) {
            hn_buf_release(&text);
            return hn_fail(err, HONE_FAILED, "cell %zu: \"source\"[%zu] is %s, expected a string",
                           cell, i, hn_json_type_name(&source->items[i]));
        }
        hn_buf_add(&text, s.p, s.n);
    }
    char *copy = text.failed ? NULL : hn_arena_dup(arena, hn_buf_str(&text), text.len);
    *out = (struct hn_str){copy, text.len};
    hn_buf_release(&text);
    return copy ? 0 : hn_fail_memory(err, "reading the notebook");
}

int hn_notebook_cells(struct hn_arena *arena, const struct hn_json *root, struct hn_py_source **out,
                      size_t *n, struct hone_err *err)
{
    const struct hn_json *cells = cells_of(root);
    *n = 0;
    if (!cells || cells->type != HN_JSON_ARRAY)
        return hn_fail(err, HONE_FAILED, "\"cells\" is %s, expected the list of a notebook's cells",
                       hn_json_type_name(cells));
    if (cells->n > HN_MAX_CELLS)
        return hn_fail(err, HONE_FAILED, "%zu cells; at most %d are read", cells->n, HN_MAX_CELLS);
    struct hn_py_source *sources = hn_arena_alloc(arena, cells->n + 1, sizeof *sources);
    if (!sources)
        return hn_fail_memory(err, "reading the notebook");
    for (size_t i = 0; i < cells->n; i++) {
        const struct hn_json *cell = &cells->items[i], *source = hn_json_get(cell, "source");
        if (cell->type != HN_JSON_OBJECT)
            return hn_fail(err, HONE_FAILED, "cell %zu is %s, expected an object", i + 1,
                           hn_json_type_name(cell));
        if (!hn_json_is(hn_json_get(cell, "cell_type"), "code"))
            continue;
        if (!source)
            source = hn_json_get(cell, "input");
        struct hn_py_source *to = &sources[*n];
        int rc = join_source(arena, source, i + 1, &to->text, err);
        if (rc)
            return rc;
        to->cell = (unsigned)i + 1;
        ++*n;
    }
    *out = sources;
    return 0;
}

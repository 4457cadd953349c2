/* PEFT's rank_pattern and alpha_pattern: an object {regular expression: number}, where the first
 * key that matches a module's path or the end of it counts (peft/utils/other.py, get_pattern_key).
 */
#ifndef HN_FORMAT_ADAPTER_PATTERN_H
#define HN_FORMAT_ADAPTER_PATTERN_H

#include "base/json.h"

struct hn_pattern;

struct hn_patterns {
    struct hn_pattern *items;
    size_t n;
};

/* j: the object, or NULL or null for none.  name ("rank_pattern") is for messages, which say
 * nothing of the file: the caller prefixes it. */
HN_MUST_USE int hn_patterns_open(struct hn_patterns *p, const struct hn_json *j, const char *name,
                                 struct hone_err *err);
void hn_patterns_close(struct hn_patterns *p);

/* The number of the first pattern that matches path, or missing. */
HN_MUST_USE int hn_patterns_find(const struct hn_patterns *p, const char *path, double missing,
                                 double *out, struct hone_err *err);

#endif

#include "conf/option.h"

#include <string.h>
#include "base/str.h"

const struct hn_option *hn_option_at(size_t i)
{
    if (i < hn_n_options_train)
        return &hn_options_train[i];
    i -= hn_n_options_train;
    if (i < hn_n_options_other)
        return &hn_options_other[i];
    i -= hn_n_options_other;
    return i < hn_n_options_quantize ? &hn_options_quantize[i] : NULL;
}

/* Names are equal when they differ in dashes and underscores at most. */
static bool same(const char *a, const char *b, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char x = a[i] == '_' ? '-' : a[i], y = b[i] == '_' ? '-' : b[i];
        if (x != y)
            return false;
    }
    return true;
}

/* Step through a row's canonical name and aliases; *at starts as o->name. */
static bool next_name(const struct hn_option *o, const char **at, struct hn_str *name)
{
    const char *p = *at;
    if (!p)
        return false;
    size_t n = strcspn(p, " ");
    *name = (struct hn_str){p, n};
    if (p == o->name)
        *at = o->aliases;
    else
        *at = p[n] ? p + n + 1 : NULL;
    return true;
}

const struct hn_option *hn_option_find(enum hn_command_id command, const char *name, size_t n,
                                       size_t *index)
{
    const struct hn_option *o;
    for (size_t i = 0; (o = hn_option_at(i)); i++) {
        if (!(o->commands & HN_BIT(command)))
            continue;
        struct hn_str candidate;
        for (const char *at = o->name; next_name(o, &at, &candidate);) {
            if (candidate.n == n && same(candidate.p, name, n)) {
                *index = i;
                return o;
            }
        }
    }
    return NULL;
}

const struct hn_option *hn_option_find_letter(enum hn_command_id command, char letter,
                                              size_t *index)
{
    const struct hn_option *o;
    for (size_t i = 0; (o = hn_option_at(i)); i++) {
        if (o->letter == letter && (o->commands & HN_BIT(command))) {
            *index = i;
            return o;
        }
    }
    return NULL;
}

const char *hn_option_nearest(enum hn_command_id command, const char *name)
{
    const char *names[HN_MAX_OPTIONS];
    size_t n = 0;
    const struct hn_option *o;
    for (size_t i = 0; (o = hn_option_at(i)); i++) {
        if (o->commands & HN_BIT(command) && strcmp(o->group, "Accepted") != 0)
            names[n++] = o->name;
    }
    return hn_nearest(name, names, n);
}

const char *hn_option_key(const struct hn_option *o, char *out, size_t size)
{
    size_t n = strlen(o->name);
    HN_ASSERT(n < size);
    for (size_t i = 0; i <= n; i++)
        out[i] = o->name[i] == '-' ? '_' : o->name[i];
    return out;
}

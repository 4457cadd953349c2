#include "conf/value.h"

#include <limits.h>
#include <math.h>
#include <string.h>
#include "base/json.h"
#include "base/str.h"

_Static_assert(sizeof(enum hone_schedule) == sizeof(int), "enums are stored as int");

enum { MAX_LIST = 4096 };

/* ---- text to numbers ------------------------------------------------------------------------- */

bool hn_text_int(const char *p, size_t n, int64_t *out)
{
    bool negative = n && *p == '-';
    size_t i = n && (*p == '-' || *p == '+');
    if (i == n)
        return false;
    int64_t v = 0;
    for (; i < n; i++) {
        int d = p[i] - '0';
        if (d < 0 || d > 9 || hn_mul_overflows(v, 10, &v) ||
            hn_add_overflows(v, negative ? -d : d, &v))
            return false;
    }
    *out = v;
    return true;
}

/* [sign] digits [. digits] [e [sign] digits], with a digit before or after the point. */
bool hn_text_float(const char *p, size_t n, double *out)
{
    size_t i = n && (*p == '-' || *p == '+'), digits = 0;
    if (n > 400)
        return false;
    for (; i < n && p[i] >= '0' && p[i] <= '9'; i++)
        digits++;
    if (i < n && p[i] == '.')
        i++;
    for (; i < n && p[i] >= '0' && p[i] <= '9'; i++)
        digits++;
    if (!digits)
        return false;
    if (i < n && (p[i] == 'e' || p[i] == 'E')) {
        i++;
        if (i < n && (p[i] == '-' || p[i] == '+'))
            i++;
        if (i == n)
            return false;
        while (i < n && p[i] >= '0' && p[i] <= '9')
            i++;
    }
    if (i != n)
        return false;
    double v = hn_double_parse(p, n);
    if (!isfinite(v))
        return false;
    *out = v;
    return true;
}

static bool word_is(const char *p, size_t n, const char *word)
{
    if (n != strlen(word))
        return false;
    for (size_t i = 0; i < n; i++) {
        char c = p[i] >= 'A' && p[i] <= 'Z' ? (char)(p[i] + 32) : p[i];
        if (c != word[i])
            return false;
    }
    return true;
}

static bool text_bool(const char *p, size_t n, bool *out)
{
    static const char *const words[] = {"true", "yes", "on", "1", "false", "no", "off", "0"};
    for (size_t i = 0; i < HN_COUNT(words); i++) {
        if (word_is(p, n, words[i])) {
            *out = i < HN_COUNT(words) / 2;
            return true;
        }
    }
    return false;
}

/* GB are 10^9 bytes, GiB 2^30, as everywhere in hone. */
bool hn_text_size(const char *p, size_t n, uint64_t *out)
{
    static const struct {
        const char *name;
        double factor;
    } units[] = {
        {"", 1},
        {"b", 1},
        {"k", 1e3},
        {"kb", 1e3},
        {"m", 1e6},
        {"mb", 1e6},
        {"g", 1e9},
        {"gb", 1e9},
        {"t", 1e12},
        {"tb", 1e12},
        {"kib", 1024.0},
        {"mib", 1048576.0},
        {"gib", 1073741824.0},
        {"tib", 1099511627776.0},
    };
    size_t digits = 0;
    while (digits < n && ((p[digits] >= '0' && p[digits] <= '9') || p[digits] == '.'))
        digits++;
    double v;
    if (!hn_text_float(p, digits, &v))
        return false;
    while (digits < n && p[digits] == ' ')
        digits++;
    for (size_t i = 0; i < HN_COUNT(units); i++) {
        if (word_is(p + digits, n - digits, units[i].name)) {
            v *= units[i].factor;
            if (v > 1e18)
                return false;
            *out = (uint64_t)(v + 0.5);
            return true;
        }
    }
    return false;
}

/* ---- what is expected ------------------------------------------------------------------------ */

static void put_number(struct hn_buf *out, double v)
{
    char text[32];
    if (v == floor(v) && fabs(v) < 1e15) {
        hn_buf_printf(out, "%lld", (long long)v);
        return;
    }
    hn_double_repr(v, text);
    hn_buf_add_str(out, text);
}

static void put_choices(struct hn_buf *out, const struct hn_choice *choices)
{
    const char *comma = "";
    for (const struct hn_choice *c = choices; c->name; c++) {
        bool again = c->value == HN_NOT_YET;
        for (const struct hn_choice *d = choices; d < c && !again; d++)
            again = d->value == c->value;
        if (again)
            continue;
        hn_buf_printf(out, "%s%s", comma, c->name);
        comma = ", ";
    }
}

/* The values that an option of one meaning may be given, by '|'. */
static void put_words(struct hn_buf *out, const char *words)
{
    size_t n = strcspn(words, "|");
    if (!words[n]) {
        hn_buf_printf(out, "%s alone", words);
        return;
    }
    hn_buf_printf(out, "one of %.*s", (int)n, words);
    for (words += n; *words; words += n) {
        n = strcspn(++words, "|");
        hn_buf_printf(out, ", %.*s", (int)n, words);
    }
}

static void put_range(struct hn_buf *out, const struct hn_option *o)
{
    if (o->min == 0 && o->max == 0)
        return;
    hn_buf_add_str(out, o->flags & HN_OPTION_ABOVE_MIN ? " above " : " from ");
    put_number(out, o->min);
    if (o->max < 1e15) {
        hn_buf_add_str(out, " to ");
        put_number(out, o->max);
    } else {
        hn_buf_add_str(out, " up");
    }
}

void hn_value_expected(const struct hn_option *o, struct hn_buf *out)
{
    switch ((enum hn_option_type)o->type) {
    case HN_OPTION_BOOL:
        hn_buf_add_str(out, "true or false");
        break;
    case HN_OPTION_INT:
    case HN_OPTION_INT32:
        hn_buf_add_str(out, "a whole number");
        put_range(out, o);
        break;
    case HN_OPTION_SEED:
        hn_buf_add_str(out, "a whole number from 0 up");
        break;
    case HN_OPTION_FLOAT:
        hn_buf_add_str(out, "a number");
        put_range(out, o);
        break;
    case HN_OPTION_SIZE:
        hn_buf_add_str(out, "a size such as 6GB, 512MB or 1.5GiB");
        break;
    case HN_OPTION_STRING:
        hn_buf_add_str(out, "text");
        break;
    case HN_OPTION_LIST:
        hn_buf_add_str(out, "a list");
        break;
    case HN_OPTION_ENUM:
        hn_buf_add_str(out, "one of ");
        put_choices(out, o->choices);
        break;
    case HN_OPTION_FIXED:
        put_words(out, o->def);
        break;
    }
}

static int refuse(const struct hn_option *o, const char *text, size_t n, const char *shown,
                  struct hone_err *err)
{
    struct hn_buf expected = {0};
    hn_value_expected(o, &expected);
    int rc = hn_fail(err, HONE_USAGE, "%s: found \"%.*s\", expected %s", shown,
                     (int)HN_MIN(n, (size_t)80), text, hn_buf_str(&expected));
    hn_buf_release(&expected);
    return rc;
}

/* ---- storing --------------------------------------------------------------------------------- */

static void *place(const struct hn_option *o, struct hn_settings *s)
{
    return o->offset == HN_OPTION_NOWHERE ? NULL : (char *)s + o->offset;
}

static bool in_range(const struct hn_option *o, double v)
{
    if (o->min == 0 && o->max == 0)
        return true;
    return v <= o->max && (o->flags & HN_OPTION_ABOVE_MIN ? v > o->min : v >= o->min);
}

static int set_enum(const struct hn_option *o, int *at, const char *text, size_t n,
                    const char *shown, struct hone_err *err)
{
    const char *names[64];
    size_t n_names = 0;
    for (const struct hn_choice *c = o->choices; c->name; c++) {
        names[n_names++] = c->name;
        if (!word_is(text, n, c->name))
            continue;
        if (c->value == HN_NOT_YET) {
            struct hn_buf have = {0};
            put_choices(&have, o->choices);
            int rc = hn_fail(err, HONE_USAGE, "%s %s is not there yet; this version has %s", shown,
                             c->name, hn_buf_str(&have));
            hn_buf_release(&have);
            return rc;
        }
        if (at)
            *at = c->value;
        return 0;
    }
    char word[64];
    const char *near = NULL;
    if (n < sizeof word) {
        memcpy(word, text, n);
        word[n] = 0;
        near = hn_nearest(word, names, n_names);
    }
    if (!near)
        return refuse(o, text, n, shown, err);
    return hn_fail(err, HONE_USAGE, "%s: found \"%s\"; did you mean %s?", shown, word, near);
}

static int set_fixed(const struct hn_option *o, const char *text, size_t n, const char *shown,
                     struct hone_err *err)
{
    for (const char *p = o->def; p;) {
        size_t len = strcspn(p, "|");
        char word[32];
        HN_ASSERT(len < sizeof word);
        memcpy(word, p, len);
        word[len] = 0;
        if (word_is(text, n, word))
            return 0;
        p = p[len] ? p + len + 1 : NULL;
    }
    return hn_fail(err, HONE_USAGE, "%s %.*s cannot be honoured: %s", shown,
                   (int)HN_MIN(n, (size_t)80), text, o->help);
}

/* Lists are rebuilt in the arena at each addition: they are short, and set a few times. */
static int set_list(const struct hn_option *o, struct hn_settings *s, const char *text, size_t n,
                    bool append, const char *shown, struct hn_arena *arena, struct hone_err *err)
{
    const char *const **list = place(o, s);
    size_t *count = (size_t *)(void *)((char *)s + o->offset_n);
    size_t before = append ? *count : 0, items = 1;
    for (size_t i = 0; i < n; i++)
        items += text[i] == ',' && !(o->flags & HN_OPTION_NO_SPLIT);
    if (before + items > MAX_LIST)
        return hn_fail(err, HONE_USAGE, "%s has more than %d items", shown, MAX_LIST);
    const char **grown = hn_arena_alloc(arena, before + items, sizeof *grown);
    if (!grown)
        return hn_fail_memory(err, "reading options");
    for (size_t i = 0; i < before; i++)
        grown[i] = (*list)[i];
    for (size_t at = 0, end; at <= n; at = end + 1) {
        end = at;
        while (end < n && (o->flags & HN_OPTION_NO_SPLIT || text[end] != ','))
            end++;
        size_t from = at, to = end;
        while (!(o->flags & HN_OPTION_NO_SPLIT) && from < to && text[from] == ' ')
            from++;
        while (!(o->flags & HN_OPTION_NO_SPLIT) && to > from && text[to - 1] == ' ')
            to--;
        if (from == to)
            continue; /* a comma at the end, or nothing at all */
        if (!(grown[before++] = hn_arena_dup(arena, text + from, to - from)))
            return hn_fail_memory(err, "reading options");
    }
    *list = grown;
    *count = before;
    return 0;
}

static int set_number(const struct hn_option *o, void *at, const char *text, size_t n,
                      const char *shown, struct hone_err *err)
{
    int64_t i = 0;
    double d = 0;
    uint64_t size = 0;
    if (o->type == HN_OPTION_SIZE) {
        if (!hn_text_size(text, n, &size))
            return refuse(o, text, n, shown, err);
        if (at)
            *(uint64_t *)at = size;
        return 0;
    }
    if (o->type == HN_OPTION_FLOAT) {
        if (!hn_text_float(text, n, &d) || !in_range(o, d))
            return refuse(o, text, n, shown, err);
        if (at)
            *(double *)at = d;
        return 0;
    }
    if (!hn_text_int(text, n, &i) || !in_range(o, (double)i) ||
        (o->type == HN_OPTION_SEED && i < 0))
        return refuse(o, text, n, shown, err);
    if (!at)
        return 0;
    if (o->type == HN_OPTION_SEED)
        *(uint64_t *)at = (uint64_t)i;
    else if (o->type == HN_OPTION_INT32)
        *(int *)at = (int)i;
    else
        *(int64_t *)at = i;
    return 0;
}

static int set_bool(const struct hn_option *o, bool *at, const char *text, size_t n,
                    const char *shown, struct hone_err *err)
{
    bool b;
    if (!text_bool(text, n, &b))
        return refuse(o, text, n, shown, err);
    if (at)
        *at = b;
    return 0;
}

int hn_value_set(const struct hn_option *o, struct hn_settings *s, const char *text, size_t n,
                 bool append, const char *shown, struct hn_arena *arena, struct hone_err *err)
{
    void *at = place(o, s);
    switch ((enum hn_option_type)o->type) {
    case HN_OPTION_BOOL:
        return set_bool(o, at, text, n, shown, err);
    case HN_OPTION_INT:
    case HN_OPTION_INT32:
    case HN_OPTION_SEED:
    case HN_OPTION_FLOAT:
    case HN_OPTION_SIZE:
        return set_number(o, at, text, n, shown, err);
    case HN_OPTION_ENUM:
        return set_enum(o, at, text, n, shown, err);
    case HN_OPTION_FIXED:
        return set_fixed(o, text, n, shown, err);
    case HN_OPTION_LIST:
        return set_list(o, s, text, n, append, shown, arena, err);
    case HN_OPTION_STRING:
        break;
    }
    if (!at)
        return 0;
    char *copy = n ? hn_arena_dup(arena, text, n) : NULL;
    if (n && !copy)
        return hn_fail_memory(err, "reading options");
    *(const char **)at = copy;
    return 0;
}

int hn_value_check(const struct hn_option *o, const char *text, size_t n, const char *shown,
                   struct hone_err *err)
{
    if (o->type == HN_OPTION_LIST || o->type == HN_OPTION_STRING)
        return 0;
    struct hn_option nowhere = *o;
    nowhere.offset = HN_OPTION_NOWHERE;
    return hn_value_set(&nowhere, NULL, text, n, false, shown, NULL, err);
}

/* ---- and back -------------------------------------------------------------------------------- */

static const char *choice_name(const struct hn_choice *choices, int value)
{
    for (const struct hn_choice *c = choices; c->name; c++) {
        if (c->value == value)
            return c->name;
    }
    return "";
}

void hn_value_get(const struct hn_option *o, const struct hn_settings *s, struct hn_buf *out)
{
    if (o->offset == HN_OPTION_NOWHERE || o->type == HN_OPTION_FIXED) {
        hn_buf_add_str(out, o->def ? o->def : "");
        return;
    }
    const void *at = (const char *)s + o->offset;
    char text[32];
    switch ((enum hn_option_type)o->type) {
    case HN_OPTION_BOOL:
        hn_buf_add_str(out, *(const bool *)at ? "true" : "false");
        break;
    case HN_OPTION_INT:
        hn_buf_printf(out, "%lld", (long long)*(const int64_t *)at);
        break;
    case HN_OPTION_INT32:
        hn_buf_printf(out, "%d", *(const int *)at);
        break;
    case HN_OPTION_SEED:
    case HN_OPTION_SIZE:
        hn_buf_printf(out, "%llu", (unsigned long long)*(const uint64_t *)at);
        break;
    case HN_OPTION_FLOAT:
        hn_double_repr(*(const double *)at, text);
        hn_buf_add_str(out, text);
        break;
    case HN_OPTION_STRING:
        if (*(const char *const *)at)
            hn_buf_add_str(out, *(const char *const *)at);
        break;
    case HN_OPTION_ENUM:
        hn_buf_add_str(out, choice_name(o->choices, *(const int *)at));
        break;
    case HN_OPTION_LIST: {
        size_t n = *(const size_t *)(const void *)((const char *)s + o->offset_n);
        for (size_t i = 0; i < n; i++)
            hn_buf_printf(out, "%s%s", i ? "," : "", (*(const char *const *const *)at)[i]);
        break;
    }
    case HN_OPTION_FIXED:
        break;
    }
}

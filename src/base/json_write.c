/* The writing half of json.h. */
#include "base/json.h"
#include "base/mem.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

double hn_double_parse(const char *p, size_t n)
{
    if (n == 3 && memcmp(p, "NaN", 3) == 0)
        return NAN;
    if (n >= 8 && memcmp(p + n - 8, "Infinity", 8) == 0)
        return *p == '-' ? -INFINITY : INFINITY;
    char small[64], *text = n < sizeof small ? small : hn_calloc(n + 1, 1);
    if (!text)
        return NAN;
    memcpy(text, p, n);
    text[n] = 0;
    /* hone never calls setlocale, so strtod reads the "C" locale's point. */
    double v = strtod(text, NULL);
    if (text != small)
        hn_free(text);
    return v;
}

/* Digits d[n] with the point after the first, times ten to the exponent, in Python's layout. */
static void layout(bool negative, const char *d, int n, int exponent, char out[32])
{
    char *o = out;
    if (negative)
        *o++ = '-';
    if (exponent < -4 || exponent >= 16) {
        *o++ = d[0];
        if (n > 1) {
            *o++ = '.';
            memcpy(o, d + 1, (size_t)n - 1);
            o += n - 1;
        }
        snprintf(o, 8, "e%c%02d", exponent < 0 ? '-' : '+', abs(exponent) % 1000);
        return;
    }
    if (exponent < 0) {
        *o++ = '0';
        *o++ = '.';
        for (int k = -1; k > exponent; k--)
            *o++ = '0';
    }
    for (int k = 0; k < n || k <= exponent; k++) {
        *o++ = k < n ? d[k] : '0';
        if (k == exponent) {
            *o++ = '.';
            if (k >= n - 1)
                *o++ = '0';
        }
    }
    *o = 0;
}

void hn_double_repr(double v, char out[32])
{
    if (isnan(v) || isinf(v)) {
        snprintf(out, 32, "%s", isnan(v) ? "nan" : v < 0 ? "-inf" : "inf");
        return;
    }
    /* The correctly rounded text of the fewest digits that reads back is also the nearest one. */
    char text[40], digits[24];
    for (int n = 1; n <= 17; n++) {
        snprintf(text, sizeof text, "%.*e", n - 1, v);
        if (strtod(text, NULL) == v)
            break;
    }
    int n = 0, exponent = 0;
    for (const char *p = text; *p; p++) {
        if (*p >= '0' && *p <= '9')
            digits[n++] = *p;
        if (*p == 'e') {
            exponent = (int)strtol(p + 1, NULL, 10);
            break;
        }
    }
    while (n > 1 && digits[n - 1] == '0')
        n--;
    layout(signbit(v), digits, n, exponent, out);
}

/* -------------------------------------------------------------------------------------------- */

static void add_escape(struct hn_buf *out, uint32_t unit)
{
    hn_buf_printf(out, "\\u%04x", unit);
}

static void add_string(struct hn_buf *out, const char *s, size_t n, bool ensure_ascii)
{
    hn_buf_add_char(out, '"');
    for (size_t i = 0; i < n;) {
        unsigned char c = (unsigned char)s[i];
        size_t start = i;
        while (i < n && (unsigned char)s[i] >= 0x20 && (unsigned char)s[i] < 0x7f && s[i] != '"' &&
               s[i] != '\\')
            i++;
        hn_buf_add(out, s + start, i - start);
        if (i > start)
            continue;
        static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
        const char *at = c ? strchr(from, c) : NULL;
        if (at) {
            hn_buf_add_char(out, '\\');
            hn_buf_add_char(out, to[at - from]);
            i++;
        } else if (c < 0x80) {
            if (c == 0x7f && !ensure_ascii) /* ASCII ends at '~' for Python */
                hn_buf_add_char(out, 0x7f);
            else
                add_escape(out, c);
            i++;
        } else {
            int32_t cp = hn_utf8_next(s, n, &i);
            if (cp < 0 && c == 0xed && n - start >= 3) { /* a lone surrogate, kept as WTF-8 */
                cp = (c & 15) << 12 | (s[start + 1] & 63) << 6 | (s[start + 2] & 63);
                i = start + 3;
            }
            if (cp < 0)
                cp = 0xfffd;
            if (!ensure_ascii && !(cp >= 0xd800 && cp < 0xe000)) {
                char bytes[4];
                hn_buf_add(out, bytes, (size_t)hn_utf8_put((uint32_t)cp, bytes));
            } else if (cp >= 0x10000) {
                add_escape(out, 0xd800 + (((uint32_t)cp - 0x10000) >> 10));
                add_escape(out, 0xdc00 + (((uint32_t)cp - 0x10000) & 0x3ff));
            } else {
                add_escape(out, (uint32_t)cp);
            }
        }
    }
    hn_buf_add_char(out, '"');
}

static void add_newline(struct hn_buf *out, int indent, int depth)
{
    hn_buf_add_char(out, '\n');
    for (int k = 0; k < indent * depth; k++)
        hn_buf_add_char(out, ' ');
}

static void add_number(struct hn_buf *out, const struct hn_json *j)
{
    char text[32];
    if (j->type == HN_JSON_INT) {
        if (hn_str_is(j->text, "-0")) /* Python's int has no minus zero */
            hn_buf_add_char(out, '0');
        else
            hn_buf_add(out, j->text.p, j->text.n);
        return;
    }
    double v = hn_double_parse(j->text.p, j->text.n);
    if (isnan(v) || isinf(v))
        snprintf(text, sizeof text, "%s", isnan(v) ? "NaN" : v < 0 ? "-Infinity" : "Infinity");
    else
        hn_double_repr(v, text);
    hn_buf_add_str(out, text);
}

static int compare_members(const void *a, const void *b)
{
    const struct hn_json_member *const *x = a, *const *y = b;
    return hn_str_cmp((*x)->key, (*y)->key);
}

struct dump {
    struct hn_buf *out;
    int indent;
    bool ensure_ascii, sort_keys;
};

static void dump(const struct dump *d, const struct hn_json *j, int depth);

static void dump_items(const struct dump *d, const struct hn_json *j, int depth)
{
    bool object = j->type == HN_JSON_OBJECT;
    const struct hn_json_member **order = NULL;
    hn_buf_add_char(d->out, object ? '{' : '[');
    if (object && d->sort_keys && j->n > 1) {
        order = hn_calloc(j->n, sizeof *order);
        if (!order) {
            hn_buf_release(d->out);
            d->out->failed = true;
            return;
        }
        for (size_t i = 0; i < j->n; i++)
            order[i] = &j->members[i];
        qsort(order, j->n, sizeof *order, compare_members);
    }
    for (size_t i = 0; i < j->n; i++) {
        if (i)
            hn_buf_add_str(d->out, d->indent < 0 ? ", " : ",");
        if (d->indent >= 0)
            add_newline(d->out, d->indent, depth + 1);
        if (object) {
            const struct hn_json_member *m = order ? order[i] : &j->members[i];
            add_string(d->out, m->key.p, m->key.n, d->ensure_ascii);
            hn_buf_add_str(d->out, ": ");
            dump(d, &m->value, depth + 1);
        } else {
            dump(d, &j->items[i], depth + 1);
        }
    }
    hn_free(order);
    if (j->n && d->indent >= 0)
        add_newline(d->out, d->indent, depth);
    hn_buf_add_char(d->out, object ? '}' : ']');
}

static void dump(const struct dump *d, const struct hn_json *j, int depth)
{
    switch (j->type) {
    case HN_JSON_NULL:
        hn_buf_add_str(d->out, "null");
        break;
    case HN_JSON_BOOL:
        hn_buf_add_str(d->out, j->boolean ? "true" : "false");
        break;
    case HN_JSON_INT:
    case HN_JSON_FLOAT:
        add_number(d->out, j);
        break;
    case HN_JSON_STRING:
        add_string(d->out, j->text.p, j->text.n, d->ensure_ascii);
        break;
    case HN_JSON_ARRAY:
    case HN_JSON_OBJECT:
        dump_items(d, j, depth);
        break;
    }
}

void hn_json_dump(struct hn_buf *out, const struct hn_json *j, int indent, bool ensure_ascii,
                  bool sort_keys)
{
    struct dump d = {out, indent, ensure_ascii, sort_keys};
    dump(&d, j, 0);
}

/* -------------------------------------------------------------------------------------------- */

void hn_jw_init(struct hn_json_writer *w, struct hn_buf *out, int indent)
{
    *w = (struct hn_json_writer){.out = out, .indent = indent};
}

static void before_value(struct hn_json_writer *w)
{
    if (w->after_key) {
        w->after_key = false;
        return;
    }
    if (w->started)
        hn_buf_add_str(w->out, w->indent < 0 ? ", " : ",");
    if (w->depth && w->indent >= 0)
        add_newline(w->out, w->indent, w->depth);
    w->started = true;
}

void hn_jw_open(struct hn_json_writer *w, char bracket)
{
    before_value(w);
    hn_buf_add_char(w->out, bracket);
    w->depth++;
    w->started = false;
}

void hn_jw_close(struct hn_json_writer *w, char bracket)
{
    w->depth--;
    if (w->started && w->indent >= 0)
        add_newline(w->out, w->indent, w->depth);
    hn_buf_add_char(w->out, bracket);
    w->started = true;
}

void hn_jw_keyn(struct hn_json_writer *w, const char *key, size_t n)
{
    before_value(w);
    add_string(w->out, key, n, false);
    hn_buf_add_str(w->out, ": ");
    w->after_key = true;
}

void hn_jw_key(struct hn_json_writer *w, const char *key)
{
    hn_jw_keyn(w, key, strlen(key));
}

void hn_jw_strn(struct hn_json_writer *w, const char *s, size_t n)
{
    before_value(w);
    add_string(w->out, s, n, false);
}

void hn_jw_str(struct hn_json_writer *w, const char *s)
{
    hn_jw_strn(w, s, strlen(s));
}

void hn_jw_int(struct hn_json_writer *w, int64_t v)
{
    before_value(w);
    hn_buf_printf(w->out, "%lld", (long long)v);
}

void hn_jw_double(struct hn_json_writer *w, double v)
{
    char text[32];
    before_value(w);
    if (isnan(v) || isinf(v)) {
        hn_buf_add_str(w->out, "null");
        return;
    }
    hn_double_repr(v, text);
    hn_buf_add_str(w->out, text);
}

void hn_jw_bool(struct hn_json_writer *w, bool v)
{
    before_value(w);
    hn_buf_add_str(w->out, v ? "true" : "false");
}

void hn_jw_raw(struct hn_json_writer *w, const char *json)
{
    before_value(w);
    hn_buf_add_str(w->out, json);
}

void hn_jw_null(struct hn_json_writer *w)
{
    before_value(w);
    hn_buf_add_str(w->out, "null");
}

void hn_jw_value(struct hn_json_writer *w, const struct hn_json *v)
{
    before_value(w);
    struct dump d = {w->out, w->indent, false, false};
    dump(&d, v, w->depth);
}

void hn_jw_put_open(struct hn_json_writer *w, const char *key, char bracket)
{
    hn_jw_key(w, key);
    hn_jw_open(w, bracket);
}

void hn_jw_put_str(struct hn_json_writer *w, const char *key, const char *s)
{
    hn_jw_key(w, key);
    if (s)
        hn_jw_str(w, s);
    else
        hn_jw_null(w);
}

void hn_jw_put_int(struct hn_json_writer *w, const char *key, int64_t v)
{
    hn_jw_key(w, key);
    hn_jw_int(w, v);
}

void hn_jw_put_double(struct hn_json_writer *w, const char *key, double v)
{
    hn_jw_key(w, key);
    hn_jw_double(w, v);
}

void hn_jw_put_bool(struct hn_json_writer *w, const char *key, bool v)
{
    hn_jw_key(w, key);
    hn_jw_bool(w, v);
}

void hn_jw_put_null(struct hn_json_writer *w, const char *key)
{
    hn_jw_key(w, key);
    hn_jw_null(w);
}

#include "base/buf.h"
#include "base/mem.h"
#include "base/str.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void hn_buf_init(struct hn_buf *b)
{
    *b = (struct hn_buf){0};
}

void hn_buf_release(struct hn_buf *b)
{
    hn_free(b->data);
    *b = (struct hn_buf){0};
}

void hn_buf_clear(struct hn_buf *b)
{
    b->len = 0;
    if (b->data)
        b->data[0] = 0;
}

static void fail(struct hn_buf *b)
{
    hn_free(b->data);
    *b = (struct hn_buf){.failed = true};
}

char *hn_buf_reserve(struct hn_buf *b, size_t n)
{
    size_t need;
    if (b->failed)
        return NULL;
    if (hn_add_overflows(b->len, n, &need) || hn_add_overflows(need, (size_t)1, &need) ||
        hn_grow((void **)&b->data, &b->cap, need, 1)) {
        fail(b);
        return NULL;
    }
    return b->data + b->len;
}

void hn_buf_add(struct hn_buf *b, const void *p, size_t n)
{
    char *to = hn_buf_reserve(b, n);
    if (!to)
        return;
    if (n)
        memcpy(to, p, n);
    b->len += n;
    b->data[b->len] = 0;
}

void hn_buf_add_str(struct hn_buf *b, const char *s)
{
    hn_buf_add(b, s, strlen(s));
}

void hn_buf_add_char(struct hn_buf *b, char c)
{
    hn_buf_add(b, &c, 1);
}

void hn_buf_printf(struct hn_buf *b, const char *fmt, ...)
{
    char small[256];
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    int n = vsnprintf(small, sizeof small, fmt, ap);
    va_end(ap);
    if (n >= 0 && (size_t)n < sizeof small) {
        hn_buf_add(b, small, (size_t)n);
    } else if (n >= 0) {
        char *to = hn_buf_reserve(b, (size_t)n);
        if (to) {
            vsnprintf(to, (size_t)n + 1, fmt, again);
            b->len += (size_t)n;
        }
    }
    va_end(again);
}

void hn_buf_wrap(struct hn_buf *b, const char *text, size_t indent, size_t width)
{
    size_t at = indent, n;
    for (text += strspn(text, " "); *text; text += n + strspn(text + n, " ")) {
        n = strcspn(text, " ");
        size_t columns = hn_columns(text, n);
        bool follows = at > indent && at + 1 + columns <= width;
        if (at > indent)
            hn_buf_printf(b, "%s%*s", follows ? "" : "\n", follows ? 1 : (int)indent, "");
        hn_buf_add(b, text, n);
        at = (follows ? at + 1 : indent) + columns;
    }
}

const char *hn_buf_str(const struct hn_buf *b)
{
    return b->data ? b->data : "";
}

char *hn_buf_take(struct hn_buf *b)
{
    if (!b->failed && !b->data)
        hn_buf_add(b, "", 0);
    char *p = b->failed ? NULL : b->data;
    *b = (struct hn_buf){0};
    return p;
}

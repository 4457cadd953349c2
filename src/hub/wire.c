#include "hub/wire.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "base/str.h"

enum { MAX_HEADER = 16 << 10 };

void hn_wire_reply_release(struct hn_wire_reply *r)
{
    hn_buf_release(&r->location);
    hn_buf_release(&r->link);
    hn_buf_release(&r->text);
    *r = (struct hn_wire_reply){0};
}

/* value as a C string; empty, rather than cut, when it does not fit: half a name is a wrong one. */
static void keep(char *to, size_t size, struct hn_str value)
{
    to[0] = 0;
    if (value.n >= size || memchr(value.p, 0, value.n))
        return;
    memcpy(to, value.p, value.n);
    to[value.n] = 0;
}

static int64_t number(struct hn_str value)
{
    int64_t n = 0;
    for (size_t i = 0; i < value.n; i++) {
        int digit = value.p[i] - '0';
        if (digit < 0 || digit > 9 || hn_mul_overflows(n, 10, &n) || hn_add_overflows(n, digit, &n))
            return -1;
    }
    return value.n ? n : -1;
}

/* "bytes 5-9/10" begins at 5 */
static int64_t range_start(struct hn_str value)
{
    static const char unit[] = "bytes ";
    if (value.n < sizeof unit || strncasecmp(value.p, unit, sizeof unit - 1) != 0)
        return -1;
    struct hn_str rest = {value.p + sizeof unit - 1, value.n - sizeof unit + 1};
    const char *dash = memchr(rest.p, '-', rest.n);
    return dash ? number((struct hn_str){rest.p, (size_t)(dash - rest.p)}) : -1;
}

static void begin(struct hn_wire_reply *r)
{
    r->length = r->linked_size = r->range_start = -1;
    r->retry_after = 0;
    r->etag[0] = r->linked_etag[0] = r->commit[0] = r->error_code[0] = r->error_message[0] = 0;
    hn_buf_clear(&r->location);
    hn_buf_clear(&r->link);
}

static bool is(struct hn_str name, const char *what)
{
    return name.n == strlen(what) && strncasecmp(name.p, what, name.n) == 0;
}

void hn_wire_header(struct hn_wire_reply *r, const char *line, size_t n)
{
    while (n && (line[n - 1] == '\n' || line[n - 1] == '\r' || line[n - 1] == ' '))
        n--;
    if (n >= 5 && memcmp(line, "HTTP/", 5) == 0) {
        begin(r);
        return;
    }
    const char *colon = memchr(line, ':', n);
    if (!colon || n > MAX_HEADER)
        return;
    struct hn_str name = {line, (size_t)(colon - line)}, value = {colon + 1, 0};
    while (value.p < line + n && (*value.p == ' ' || *value.p == '\t'))
        value.p++;
    value.n = (size_t)(line + n - value.p);
    if (is(name, "etag"))
        keep(r->etag, sizeof r->etag, value);
    else if (is(name, "x-linked-etag"))
        keep(r->linked_etag, sizeof r->linked_etag, value);
    else if (is(name, "x-repo-commit"))
        keep(r->commit, sizeof r->commit, value);
    else if (is(name, "x-error-code"))
        keep(r->error_code, sizeof r->error_code, value);
    else if (is(name, "x-error-message"))
        keep(r->error_message, sizeof r->error_message, value);
    else if (is(name, "content-length"))
        r->length = number(value);
    else if (is(name, "x-linked-size"))
        r->linked_size = number(value);
    else if (is(name, "content-range"))
        r->range_start = range_start(value);
    else if (is(name, "retry-after"))
        r->retry_after = (double)HN_MAX(number(value), (int64_t)0);
    else if (is(name, "location"))
        hn_buf_clear(&r->location), hn_buf_add(&r->location, value.p, value.n);
    else if (is(name, "link"))
        hn_buf_clear(&r->link), hn_buf_add(&r->link, value.p, value.n);
}

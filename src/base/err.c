#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char ellipsis[] = "\xe2\x80\xa6";

/* Keep the sentence printable, on its line and of whole characters: it may quote bytes of a hostile
 * file or hub. */
static void tidy(char *s, size_t size, size_t wanted)
{
    for (char *p = s; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            *p = '?';
    if (wanted < size)
        return;
    size_t n = size - sizeof ellipsis;
    while (n > 0 && ((unsigned char)s[n] & 0xc0) == 0x80)
        n--;
    memcpy(s + n, ellipsis, sizeof ellipsis);
}

int hn_fail(struct hone_err *err, int code, const char *fmt, ...)
{
    if (!err)
        return code;
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(err->message, sizeof err->message, fmt, ap);
    va_end(ap);
    tidy(err->message, sizeof err->message, n < 0 ? 0 : (size_t)n);
    err->code = code;
    return code;
}

int hn_fail_memory(struct hone_err *err, const char *what)
{
    return hn_fail(err, HONE_NO_MEMORY, "out of memory while %s", what);
}

int hn_fail_prefix(struct hone_err *err, const char *fmt, ...)
{
    if (!err)
        return HONE_FAILED;
    char old[sizeof err->message];
    memcpy(old, err->message, sizeof old);
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(err->message, sizeof err->message, fmt, ap);
    va_end(ap);
    size_t used = n < 0 ? 0 : (size_t)n;
    if (used < sizeof err->message) {
        int m = snprintf(err->message + used, sizeof err->message - used, ": %s", old);
        used += m < 0 ? 0 : (size_t)m;
    }
    tidy(err->message, sizeof err->message, used);
    return err->code;
}

void hn_assert_failed(const char *what, const char *file, int line)
{
    fprintf(stderr, "hone: internal error, please report it: %s:%d: %s\n", file, line, what);
    abort();
}

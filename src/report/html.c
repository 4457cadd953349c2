#include "report/html.h"
#include "base/str.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void hn_html_text(struct hn_buf *out, const char *s, size_t n)
{
    for (size_t i = 0; i < n;) {
        size_t at = i;
        int32_t c = hn_utf8_next(s, n, &i);
        if (c == '&')
            hn_buf_add_str(out, "&amp;");
        else if (c == '<')
            hn_buf_add_str(out, "&lt;");
        else if (c == '>')
            hn_buf_add_str(out, "&gt;");
        else if (c == '"')
            hn_buf_add_str(out, "&quot;");
        else if (c == '\'')
            hn_buf_add_str(out, "&#39;");
        else if (c < 0 || (c < 32 && c != '\n' && c != '\t') || (c >= 127 && c < 160))
            hn_buf_add_str(out, "\xef\xbf\xbd");
        else
            hn_buf_add(out, s + at, i - at);
    }
}

void hn_html_str(struct hn_buf *out, const char *s)
{
    hn_html_text(out, s, strlen(s));
}

void hn_html_shell(struct hn_buf *out, const char *word)
{
    static const char plain[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_/.-+=:,@%";
    if (*word && strspn(word, plain) == strlen(word)) {
        hn_buf_add_str(out, word);
        return;
    }
    struct hn_buf quoted = {0};
    hn_buf_add_char(&quoted, '\'');
    for (const char *p = word; *p; p++) {
        if (*p == '\'')
            hn_buf_add_str(&quoted, "'\\''");
        else
            hn_buf_add_char(&quoted, *p);
    }
    hn_buf_add_char(&quoted, '\'');
    out->failed |= quoted.failed;
    hn_html_text(out, hn_buf_str(&quoted), quoted.len);
    hn_buf_release(&quoted);
}

static bool none(struct hn_buf *out, double v)
{
    if (isfinite(v) && fabs(v) < 1e18)
        return false;
    hn_buf_add_str(out, "–");
    return true;
}

void hn_html_count(struct hn_buf *out, double v)
{
    char digits[32];
    if (none(out, v))
        return;
    int len = snprintf(digits, sizeof digits, "%.0f", fabs(v));
    if (v <= -0.5)
        hn_buf_add_str(out, "−");
    for (int i = 0; i < len; i++) {
        if (i && (len - i) % 3 == 0)
            hn_buf_add_char(out, ',');
        hn_buf_add_char(out, digits[i]);
    }
}

void hn_html_bytes(struct hn_buf *out, double v)
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB"};
    size_t u = 0;
    if (none(out, v))
        return;
    while (fabs(v) >= 999.5 && u + 1 < HN_COUNT(units)) {
        v /= 1000;
        u++;
    }
    hn_buf_printf(out, "%.*f %s",
                  u == 0 || fabs(v) >= 100 ? 0
                  : fabs(v) >= 10          ? 1
                                           : 2,
                  v, units[u]);
}

void hn_html_time(struct hn_buf *out, double seconds)
{
    if (none(out, seconds))
        return;
    long long s = llround(seconds);
    if (s < 60)
        hn_buf_printf(out, "%.*f s", seconds < 10 ? 1 : 0, seconds);
    else if (s < 3600)
        hn_buf_printf(out, "%lld:%02lld min", s / 60, s % 60);
    else
        hn_buf_printf(out, "%lld:%02lld:%02lld h", s / 3600, s / 60 % 60, s % 60);
}

void hn_html_power(struct hn_buf *out, double v, int digits)
{
    char text[40];
    int power = 0;
    if (none(out, v))
        return;
    snprintf(text, sizeof text, "%.*e", digits - 1, v);
    char *e = strchr(text, 'e'), *end = e; /* without the zeros of its fraction */
    power = (int)strtol(e + 1, NULL, 10);
    while (end > text && end[-1] == '0' && memchr(text, '.', (size_t)(end - text)))
        end--;
    if (end > text && end[-1] == '.')
        end--;
    hn_buf_printf(out, "%.*se%d", (int)(end - text), text, power);
}

void hn_html_number(struct hn_buf *out, double v, int digits)
{
    if (none(out, v))
        return;
    double size = fabs(v);
    if (size != 0 && (size < 1e-3 || size >= 1e6)) {
        hn_html_power(out, v, digits);
        return;
    }
    int before = size >= 1 ? (int)floor(log10(size)) + 1 : 1;
    int leading = size != 0 && size < 1 ? (int)-floor(log10(size)) - 1 : 0;
    hn_buf_printf(out, "%.*f", HN_MAX(digits - before + leading, 0), v);
}

void hn_html_short(struct hn_buf *out, double v)
{
    static const char *const units[] = {"", "k", "M", "B", "T"};
    size_t u = 0;
    if (none(out, v))
        return;
    while (fabs(v) >= 999.5 && u + 1 < HN_COUNT(units)) {
        v /= 1000;
        u++;
    }
    hn_buf_printf(out, "%.*f%s", u == 0 || fabs(v) >= 100 ? 0 : fabs(v) >= 10 ? 1 : 2, v, units[u]);
}

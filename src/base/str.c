#include "base/str.h"

#include <string.h>

struct hn_str hn_str_of(const char *s)
{
    return (struct hn_str){s, strlen(s)};
}

bool hn_str_eq(struct hn_str a, struct hn_str b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

bool hn_str_is(struct hn_str a, const char *s)
{
    return hn_str_eq(a, hn_str_of(s));
}

int hn_str_cmp(struct hn_str a, struct hn_str b)
{
    size_t n = HN_MIN(a.n, b.n);
    int c = n ? memcmp(a.p, b.p, n) : 0;
    return c ? c : (a.n > b.n) - (a.n < b.n);
}

bool hn_starts_with(const char *s, const char *prefix)
{
    return strncmp(s, prefix, strlen(prefix)) == 0;
}

bool hn_ends_with(const char *s, const char *suffix)
{
    size_t n = strlen(s), m = strlen(suffix);
    return n >= m && memcmp(s + n - m, suffix, m) == 0;
}

uint64_t hn_hash(const void *p, size_t n)
{
    const unsigned char *s = p;
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < n; i++)
        h = (h ^ s[i]) * 0x100000001b3u;
    h ^= h >> 32;
    h *= 0xd6e8feb86659fd93u;
    return h ^ h >> 32;
}

int32_t hn_utf8_next(const char *s, size_t n, size_t *i)
{
    const unsigned char *p = (const unsigned char *)s + *i;
    size_t left = n - *i, len;
    uint32_t c = p[0], min;
    if (c < 0x80) {
        *i += 1;
        return (int32_t)c;
    }
    if (c >= 0xc2 && c < 0xe0)
        len = 2, c &= 0x1f, min = 0x80;
    else if (c >= 0xe0 && c < 0xf0)
        len = 3, c &= 0x0f, min = 0x800;
    else if (c >= 0xf0 && c < 0xf5)
        len = 4, c &= 0x07, min = 0x10000;
    else
        goto bad;
    if (left < len)
        goto bad;
    for (size_t k = 1; k < len; k++) {
        if ((p[k] & 0xc0) != 0x80)
            goto bad;
        c = c << 6 | (p[k] & 0x3f);
    }
    if (c < min || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
        goto bad;
    *i += len;
    return (int32_t)c;
bad:
    *i += 1;
    return -1;
}

int hn_utf8_put(uint32_t cp, char out[4])
{
    if (cp < 0x80) {
        out[0] = (char)cp;
        return 1;
    }
    if (cp < 0x800) {
        out[0] = (char)(0xc0 | cp >> 6);
        out[1] = (char)(0x80 | (cp & 0x3f));
        return 2;
    }
    if (cp < 0x10000) {
        out[0] = (char)(0xe0 | cp >> 12);
        out[1] = (char)(0x80 | (cp >> 6 & 0x3f));
        out[2] = (char)(0x80 | (cp & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | cp >> 18);
    out[1] = (char)(0x80 | (cp >> 12 & 0x3f));
    out[2] = (char)(0x80 | (cp >> 6 & 0x3f));
    out[3] = (char)(0x80 | (cp & 0x3f));
    return 4;
}

size_t hn_utf8_check(const char *s, size_t n)
{
    for (size_t i = 0; i < n;) {
        size_t at = i;
        if (hn_utf8_next(s, n, &i) < 0)
            return at;
    }
    return n;
}

/* Wide: Hangul, CJK, kana, fullwidth forms, most emoji.  Combining marks are counted as one. */
static bool is_wide(int32_t c)
{
    return (c >= 0x1100 && c <= 0x115f) || (c >= 0x2e80 && c <= 0xa4cf) ||
           (c >= 0xac00 && c <= 0xd7a3) || (c >= 0xf900 && c <= 0xfaff) ||
           (c >= 0xfe30 && c <= 0xfe6f) || (c >= 0xff00 && c <= 0xff60) ||
           (c >= 0xffe0 && c <= 0xffe6) || (c >= 0x1f300 && c <= 0x1faff) ||
           (c >= 0x20000 && c <= 0x3fffd);
}

size_t hn_columns(const char *s, size_t n)
{
    size_t columns = 0;
    for (size_t i = 0; i < n;)
        columns += is_wide(hn_utf8_next(s, n, &i)) ? 2 : 1;
    return columns;
}

enum { MAX_WORD = 63 };

/* Optimal string alignment distance with three rolling rows; words are short option names. */
static size_t distance(const char *a, size_t n, const char *b, size_t m)
{
    size_t rows[3][MAX_WORD + 1];
    for (size_t j = 0; j <= m; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= n; i++) {
        size_t *now = rows[i % 3], *up = rows[(i - 1) % 3], *up2 = rows[(i + 1) % 3];
        now[0] = i;
        for (size_t j = 1; j <= m; j++) {
            size_t d = up[j - 1] + (a[i - 1] != b[j - 1]);
            d = HN_MIN(d, up[j] + 1);
            d = HN_MIN(d, now[j - 1] + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                d = HN_MIN(d, up2[j - 2] + 1);
            now[j] = d;
        }
    }
    return rows[n % 3][m];
}

const char *hn_nearest(const char *word, const char *const *candidates, size_t n)
{
    const char *best = NULL;
    size_t len = strlen(word), best_distance = SIZE_MAX;
    if (len > MAX_WORD)
        return NULL;
    for (size_t i = 0; i < n; i++) {
        size_t m = strlen(candidates[i]);
        if (m > MAX_WORD)
            continue;
        size_t d = distance(word, len, candidates[i], m);
        if (d < best_distance)
            best_distance = d, best = candidates[i];
    }
    return best_distance <= HN_MAX(len / 3, (size_t)1) ? best : NULL;
}

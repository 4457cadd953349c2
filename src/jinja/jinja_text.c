#include "jinja/jinja_text.h"
#include "jinja/jinja_case_table.h"
#include "base/str.h"

#include <string.h>
#include <utf8proc.h>

uint32_t hn_jtext_next(const char *s, size_t n, size_t *i)
{
    const unsigned char *p = (const unsigned char *)s + *i;
    if (p[0] < 0x80) {
        *i += 1;
        return p[0];
    }
    size_t at = *i;
    int32_t cp = hn_utf8_next(s, n, i);
    if (cp >= 0)
        return (uint32_t)cp;
    if (p[0] == 0xed && n - at >= 3 && (p[1] & 0xc0) == 0x80 && (p[2] & 0xc0) == 0x80) {
        *i = at + 3; /* a lone surrogate */
        return 0xd000u | (p[1] & 63u) << 6 | (p[2] & 63u);
    }
    return 0xfffd;
}

size_t hn_jtext_prev(const char *s, size_t i)
{
    size_t k = i - 1;
    while (k > 0 && i - k < 4 && ((unsigned char)s[k] & 0xc0) == 0x80)
        k--;
    return k;
}

size_t hn_jtext_count(const char *s, size_t n)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i++)
        count += ((unsigned char)s[i] & 0xc0) != 0x80;
    return count;
}

size_t hn_jtext_offset(const struct hn_jstr *s, size_t k)
{
    if (s->n == s->n_cp || k >= s->n_cp)
        return k >= s->n_cp ? s->n : k;
    size_t i = 0;
    if (k > s->n_cp / 2) {
        i = s->n;
        for (size_t left = s->n_cp - k; left; left--)
            i = hn_jtext_prev(s->p, i);
        return i;
    }
    while (k--)
        (void)hn_jtext_next(s->p, s->n, &i);
    return i;
}

bool hn_jtext_is_space(uint32_t cp)
{
    if (cp < 0x80)
        return cp == ' ' || (cp >= 9 && cp <= 13) || (cp >= 0x1c && cp <= 0x1f);
    return cp == 0x85 || cp == 0xa0 || cp == 0x1680 || (cp >= 0x2000 && cp <= 0x200a) ||
           cp == 0x2028 || cp == 0x2029 || cp == 0x202f || cp == 0x205f || cp == 0x3000;
}

bool hn_jtext_is_line_end(uint32_t cp)
{
    return (cp >= 10 && cp <= 13) || (cp >= 0x1c && cp <= 0x1e) || cp == 0x85 || cp == 0x2028 ||
           cp == 0x2029;
}

static utf8proc_category_t category(uint32_t cp)
{
    return utf8proc_category((utf8proc_int32_t)cp);
}

bool hn_jtext_is_printable(uint32_t cp)
{
    if (cp < 0x7f)
        return cp >= 0x20;
    switch (category(cp)) {
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
    case UTF8PROC_CATEGORY_ZS:
        return false;
    default:
        return true;
    }
}

bool hn_jtext_is_alpha(uint32_t cp)
{
    if (cp < 0x80)
        return (cp | 32) >= 'a' && (cp | 32) <= 'z';
    utf8proc_category_t c = category(cp);
    return c == UTF8PROC_CATEGORY_LU || c == UTF8PROC_CATEGORY_LL || c == UTF8PROC_CATEGORY_LT ||
           c == UTF8PROC_CATEGORY_LM || c == UTF8PROC_CATEGORY_LO;
}

bool hn_jtext_is_decimal(uint32_t cp)
{
    return cp < 0x80 ? cp >= '0' && cp <= '9' : category(cp) == UTF8PROC_CATEGORY_ND;
}

static bool in_ranges(const struct hn_jcase_range *r, size_t n, uint32_t cp)
{
    size_t low = 0, high = n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (r[mid].last < cp)
            low = mid + 1;
        else
            high = mid;
    }
    return low < n && r[low].first <= cp;
}

bool hn_jtext_is_digit(uint32_t cp)
{
    return hn_jtext_is_decimal(cp) || in_ranges(hn_jcase_digit, hn_jcase_n_digit, cp);
}

bool hn_jtext_is_numeric(uint32_t cp)
{
    if (cp < 0x80)
        return hn_jtext_is_decimal(cp);
    utf8proc_category_t c = category(cp);
    return c == UTF8PROC_CATEGORY_ND || c == UTF8PROC_CATEGORY_NL || c == UTF8PROC_CATEGORY_NO ||
           in_ranges(hn_jcase_numeric, hn_jcase_n_numeric, cp);
}

bool hn_jtext_is_upper(uint32_t cp)
{
    return cp < 0x80 ? cp >= 'A' && cp <= 'Z' : utf8proc_isupper((utf8proc_int32_t)cp);
}

bool hn_jtext_is_lower(uint32_t cp)
{
    return cp < 0x80 ? cp >= 'a' && cp <= 'z' : utf8proc_islower((utf8proc_int32_t)cp);
}

bool hn_jtext_is_title(uint32_t cp)
{
    return cp >= 0x80 && category(cp) == UTF8PROC_CATEGORY_LT;
}

bool hn_jtext_is_cased(uint32_t cp)
{
    return hn_jtext_is_upper(cp) || hn_jtext_is_lower(cp) || hn_jtext_is_title(cp);
}

void hn_jtext_add_cp(struct hn_buf *out, uint32_t cp)
{
    char bytes[4];
    hn_buf_add(out, bytes, (size_t)hn_utf8_put(cp, bytes));
}

static bool add_mapped(struct hn_buf *out, const struct hn_jcase_row *rows, size_t n, uint32_t cp)
{
    size_t low = 0, high = n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (rows[mid].cp < cp)
            low = mid + 1;
        else
            high = mid;
    }
    if (low == n || rows[low].cp != cp)
        return false;
    hn_buf_add_str(out, rows[low].text);
    return true;
}

void hn_jtext_add_upper(struct hn_buf *out, uint32_t cp)
{
    if (cp < 0x80)
        hn_buf_add_char(out, (char)(cp >= 'a' && cp <= 'z' ? cp - 32 : cp));
    else if (!add_mapped(out, hn_jcase_upper, hn_jcase_n_upper, cp))
        hn_jtext_add_cp(out, (uint32_t)utf8proc_toupper((utf8proc_int32_t)cp));
}

void hn_jtext_add_title(struct hn_buf *out, uint32_t cp)
{
    if (cp < 0x80)
        hn_jtext_add_upper(out, cp);
    else if (!add_mapped(out, hn_jcase_title, hn_jcase_n_title, cp))
        hn_jtext_add_cp(out, (uint32_t)utf8proc_totitle((utf8proc_int32_t)cp));
}

void hn_jtext_add_folded(struct hn_buf *out, uint32_t cp)
{
    utf8proc_int32_t to[8];
    int last = 0;
    utf8proc_ssize_t n = utf8proc_decompose_char(
        (utf8proc_int32_t)cp, to, (utf8proc_ssize_t)HN_COUNT(to), UTF8PROC_CASEFOLD, &last);
    if (n < 1 || n > (utf8proc_ssize_t)HN_COUNT(to))
        hn_jtext_add_cp(out, cp);
    for (utf8proc_ssize_t i = 0; i < n && n <= (utf8proc_ssize_t)HN_COUNT(to); i++)
        hn_jtext_add_cp(out, (uint32_t)to[i]);
}

/* Unicode's Case_Ignorable: what may stand between a letter and the end of its word. */
static bool case_ignorable(uint32_t cp)
{
    static const uint16_t more[] = {0x27,   0x2e,   0x3a,   0xb7,   0x387,  0x55f,
                                    0x5f4,  0x2018, 0x2019, 0x2024, 0x2027, 0xfe13,
                                    0xfe52, 0xfe55, 0xff07, 0xff0e, 0xff1a};
    for (size_t i = 0; i < HN_COUNT(more); i++)
        if (more[i] == cp)
            return true;
    utf8proc_category_t c = category(cp);
    return c == UTF8PROC_CATEGORY_MN || c == UTF8PROC_CATEGORY_ME || c == UTF8PROC_CATEGORY_CF ||
           c == UTF8PROC_CATEGORY_LM || c == UTF8PROC_CATEGORY_SK;
}

/* Is the sigma at s[i, end) the last letter of a word? */
static bool final_sigma(const char *s, size_t n, size_t i, size_t end)
{
    uint32_t cp = 0;
    size_t k;
    bool before = false;
    while (i > 0) {
        i = k = hn_jtext_prev(s, i);
        cp = hn_jtext_next(s, n, &k);
        if (!case_ignorable(cp)) {
            before = hn_jtext_is_cased(cp);
            break;
        }
    }
    while (before && end < n) {
        cp = hn_jtext_next(s, n, &end);
        if (!case_ignorable(cp))
            return !hn_jtext_is_cased(cp);
    }
    return before;
}

void hn_jtext_add_lower(struct hn_buf *out, const char *s, size_t n, size_t i)
{
    size_t end = i;
    uint32_t cp = hn_jtext_next(s, n, &end);
    if (cp < 0x80)
        hn_buf_add_char(out, (char)(cp >= 'A' && cp <= 'Z' ? cp + 32 : cp));
    else if (cp == 0x130)
        hn_buf_add_str(out, "i\xcc\x87");
    else if (cp == 0x3a3)
        hn_jtext_add_cp(out, final_sigma(s, n, i, end) ? 0x3c2 : 0x3c3);
    else
        hn_jtext_add_cp(out, (uint32_t)utf8proc_tolower((utf8proc_int32_t)cp));
}

static bool among(uint32_t cp, const struct hn_jstr *chars)
{
    if (!chars)
        return hn_jtext_is_space(cp);
    for (size_t i = 0; i < chars->n;)
        if (hn_jtext_next(chars->p, chars->n, &i) == cp)
            return true;
    return false;
}

struct hn_str hn_jtext_strip(struct hn_str s, const struct hn_jstr *chars, int sides)
{
    while (sides & HN_LEFT && s.n) {
        size_t i = 0;
        if (!among(hn_jtext_next(s.p, s.n, &i), chars))
            break;
        s.p += i;
        s.n -= i;
    }
    while (sides & HN_RIGHT && s.n) {
        size_t k = hn_jtext_prev(s.p, s.n), i = k;
        if (!among(hn_jtext_next(s.p, s.n, &i), chars))
            break;
        s.n = k;
    }
    return s;
}

/* Long needles are found by a rolling hash, so that no text makes the search quadratic. */
enum { SHORT_NEEDLE = 32 };
static const uint64_t multiplier = 0x9e3779b97f4a7c15u;

static uint64_t roll(const char *p, size_t n, bool back)
{
    uint64_t h = 0;
    for (size_t i = 0; i < n; i++)
        h = h * multiplier + (unsigned char)p[back ? n - 1 - i : i];
    return h;
}

static size_t find_long(struct hn_str s, struct hn_str needle, size_t from, bool back)
{
    uint64_t want = roll(needle.p, needle.n, back), top = 1, h;
    size_t at = back ? s.n - needle.n : from, n = needle.n;
    for (size_t i = 1; i < n; i++)
        top *= multiplier;
    h = roll(s.p + at, n, back);
    for (;;) {
        if (h == want && memcmp(s.p + at, needle.p, n) == 0)
            return at;
        if (back ? at == 0 : at + n >= s.n)
            return SIZE_MAX;
        unsigned char gone = (unsigned char)s.p[back ? at + n - 1 : at];
        unsigned char next = (unsigned char)s.p[back ? at - 1 : at + n];
        h = (h - gone * top) * multiplier + next;
        at = back ? at - 1 : at + 1;
    }
}

size_t hn_jtext_find(struct hn_str s, struct hn_str needle, size_t from)
{
    if (from > s.n || needle.n > s.n - from)
        return SIZE_MAX;
    if (!needle.n)
        return from;
    if (needle.n > SHORT_NEEDLE)
        return find_long(s, needle, from, false);
    size_t last = s.n - needle.n;
    while (from <= last) {
        const char *p = memchr(s.p + from, needle.p[0], last - from + 1);
        if (!p)
            return SIZE_MAX;
        if (memcmp(p, needle.p, needle.n) == 0)
            return (size_t)(p - s.p);
        from = (size_t)(p - s.p) + 1;
    }
    return SIZE_MAX;
}

size_t hn_jtext_rfind(struct hn_str s, struct hn_str needle)
{
    if (needle.n > s.n)
        return SIZE_MAX;
    if (needle.n > SHORT_NEEDLE)
        return find_long(s, needle, 0, true);
    for (size_t i = s.n - needle.n + 1; i-- > 0;)
        if (!needle.n || memcmp(s.p + i, needle.p, needle.n) == 0)
            return i;
    return SIZE_MAX;
}

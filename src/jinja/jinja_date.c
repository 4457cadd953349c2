/* strftime_now: the local time in Python's strftime formats, with English names whatever the
 * locale. */
#include "jinja/jinja_eval.h"

#include <stdio.h>
#include <time.h>

static const char *const days[] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                   "Thursday", "Friday", "Saturday"};
static const char *const months[] = {"January",   "February", "March",    "April",
                                     "May",       "June",     "July",     "August",
                                     "September", "October",  "November", "December"};

/* The week of the year when weeks start on `first` (0 Sunday, 1 Monday). */
static int week(const struct tm *t, int first)
{
    return (t->tm_yday + 7 - (t->tm_wday + 7 - first) % 7) / 7;
}

/* ISO 8601 week and its year. */
static int iso_week(const struct tm *t, int *year)
{
    int weekday = (t->tm_wday + 6) % 7, w = (t->tm_yday - weekday + 10) / 7;
    *year = t->tm_year + 1900;
    for (int pass = 0; pass < 2; pass++) {
        int y = pass ? *year : *year - 1;
        bool leap = (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
        if (!pass && w < 1) { /* the last week of the year before */
            *year = y;
            return (t->tm_yday + 365 + leap - weekday + 10) / 7;
        }
        if (pass && w == 53 && t->tm_yday - weekday + 3 >= 365 + leap) {
            (*year)++;
            return 1;
        }
    }
    return w;
}

static bool add_name(struct hn_buf *b, char c, const struct tm *t)
{
    switch (c) {
    case 'a':
        hn_buf_printf(b, "%.3s", days[t->tm_wday]);
        return true;
    case 'A':
        hn_buf_add_str(b, days[t->tm_wday]);
        return true;
    case 'b':
    case 'h':
        hn_buf_printf(b, "%.3s", months[t->tm_mon]);
        return true;
    case 'B':
        hn_buf_add_str(b, months[t->tm_mon]);
        return true;
    case 'p':
        hn_buf_add_str(b, t->tm_hour < 12 ? "AM" : "PM");
        return true;
    case 'P':
        hn_buf_add_str(b, t->tm_hour < 12 ? "am" : "pm");
        return true;
    case 'n':
        hn_buf_add_char(b, '\n');
        return true;
    case 't':
        hn_buf_add_char(b, '\t');
        return true;
    case '%':
        hn_buf_add_char(b, '%');
        return true;
    case 'z': /* datetime.now() has no zone */
    case 'Z':
        return true;
    default:
        return false;
    }
}

static bool add(struct hn_buf *b, char c, const struct tm *t)
{
    int year = t->tm_year + 1900, hour12 = (t->tm_hour + 11) % 12 + 1, iso_year;
    int w = iso_week(t, &iso_year);
    const struct {
        char c;
        const char *fmt;
        int value;
    } numbers[] = {
        {'d', "%02d", t->tm_mday},
        {'e', "%2d", t->tm_mday},
        {'H', "%02d", t->tm_hour},
        {'k', "%2d", t->tm_hour},
        {'I', "%02d", hour12},
        {'l', "%2d", hour12},
        {'j', "%03d", t->tm_yday + 1},
        {'m', "%02d", t->tm_mon + 1},
        {'M', "%02d", t->tm_min},
        {'S', "%02d", t->tm_sec},
        {'f', "%06d", 0},
        {'w', "%d", t->tm_wday},
        {'u', "%d", (t->tm_wday + 6) % 7 + 1},
        {'U', "%02d", week(t, 0)},
        {'W', "%02d", week(t, 1)},
        {'V', "%02d", w},
        {'G', "%d", iso_year},
        {'y', "%02d", year % 100},
        {'C', "%02d", year / 100},
        {'Y', "%d", year},
    };
    for (size_t i = 0; i < HN_COUNT(numbers); i++)
        if (numbers[i].c == c) {
            char text[16];
            snprintf(text, sizeof text, numbers[i].fmt, numbers[i].value);
            hn_buf_add_str(b, text);
            return true;
        }
    return add_name(b, c, t);
}

/* Formats made of others. */
static const char *compound(char c)
{
    switch (c) {
    case 'c':
        return "%a %b %e %H:%M:%S %Y";
    case 'x':
    case 'D':
        return "%m/%d/%y";
    case 'X':
    case 'T':
        return "%H:%M:%S";
    case 'F':
        return "%Y-%m-%d";
    case 'R':
        return "%H:%M";
    case 'r':
        return "%I:%M:%S %p";
    default:
        return NULL;
    }
}

static void expand(struct hn_buf *b, const char *p, size_t n, const struct tm *t)
{
    for (size_t i = 0; i < n; i++) {
        if (p[i] != '%' || i + 1 == n) {
            hn_buf_add_char(b, p[i]);
            continue;
        }
        char c = p[++i];
        bool bare = c == '-' && i + 1 < n; /* glibc: without padding */
        if (bare)
            c = p[++i];
        const char *parts = compound(c);
        size_t start = b->len;
        if (parts) {
            for (const char *q = parts; *q; q++)
                if (*q == '%')
                    (void)add(b, *++q, t);
                else
                    hn_buf_add_char(b, *q);
        } else if (!add(b, c, t)) {
            hn_buf_add_str(b, bare ? "%-" : "%");
            hn_buf_add_char(b, c);
        } else if (bare && !b->failed) {
            size_t skip = start;
            while (skip + 1 < b->len && (b->data[skip] == '0' || b->data[skip] == ' '))
                skip++;
            struct hn_buf tail;
            hn_buf_init(&tail);
            hn_buf_add(&tail, b->data + skip, b->len - skip);
            b->len = start;
            hn_buf_add(b, hn_buf_str(&tail), tail.len);
            hn_buf_release(&tail);
        }
    }
}

int hn_ji_strftime(struct hn_ji *ji, const struct hn_jstr *fmt, struct hn_jv *out)
{
    time_t now = ji->now ? (time_t)ji->now : time(NULL);
    struct tm t;
    struct hn_buf b;
    if (!localtime_r(&now, &t))
        return hn_ji_fail(ji, "the clock shows no date");
    hn_buf_init(&b);
    expand(&b, fmt->p, fmt->n, &t);
    return hn_jv_str_take(ji, &b, out);
}

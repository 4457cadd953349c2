/* Text and numbers for the page. */
#ifndef HN_REPORT_HTML_H
#define HN_REPORT_HTML_H

#include "base/buf.h"

/* Text of others, which may hold anything: markup becomes text, control characters and what is not
 * UTF-8 become U+FFFD. */
void hn_html_text(struct hn_buf *out, const char *s, size_t n);
void hn_html_str(struct hn_buf *out, const char *s);

/* A command's word, quoted for a POSIX shell where it needs that, then as text of the page. */
void hn_html_shell(struct hn_buf *out, const char *word);

/* "12,345"; "93.2 MB" (powers of 1000); "2:05" or "1:02:05"; "0.000123", "1.5e-7": about so many
 * significant digits; "–" for what is no number. */
void hn_html_count(struct hn_buf *out, double v);
void hn_html_bytes(struct hn_buf *out, double v);
void hn_html_time(struct hn_buf *out, double seconds);
void hn_html_number(struct hn_buf *out, double v, int digits);
/* The same, always with its power of ten: "1e-3". */
void hn_html_power(struct hn_buf *out, double v, int digits);
/* "1.2k", "3.4M" */
void hn_html_short(struct hn_buf *out, double v);

#endif

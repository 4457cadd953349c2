/* Samples: what the base and the tuned model write. */
#include "report/page.h"
#include "report/html.h"
#include "report/run_record.h"

#include <string.h>

enum { SHOWN = 6000 }; /* bytes of a text that are shown */

static void pre(struct hn_buf *out, struct hn_str s)
{
    size_t n = s.n;
    if (n > SHOWN) {
        n = SHOWN;
        while (n && ((unsigned char)s.p[n] & 0xc0) == 0x80)
            n--;
    }
    hn_buf_add_str(out, "<pre>"); /* which swallows a newline at its start */
    if (n && s.p[0] == '\n')
        hn_buf_add_char(out, '\n');
    hn_html_text(out, s.p, n);
    hn_buf_printf(out, "%s</pre>\n", n < s.n ? " …" : "");
}

static struct hn_str trim(struct hn_str s)
{
    while (s.n && strchr(" \t\r\n", s.p[s.n - 1]))
        s.n--;
    while (s.n && strchr(" \t\r\n", *s.p)) {
        s.p++;
        s.n--;
    }
    return s;
}

static void answer(struct hn_buf *out, const char *style, const char *title,
                   const struct hn_json *sample, const char *key)
{
    struct hn_str text = hn_page_str(sample, key), expected = hn_page_str(sample, "expected");
    if (!hn_json_get(sample, key))
        return;
    bool exact =
        strcmp(key, "expected") != 0 && expected.n && hn_str_eq(trim(text), trim(expected));
    hn_buf_printf(out, "<div class=\"%s\"><h3>%s%s</h3>\n", style, title,
                  exact ? " <span class=\"good\">= expected</span>" : "");
    if (text.n)
        pre(out, text);
    else
        hn_buf_add_str(out, "<p class=\"none\">(nothing)</p>\n");
    hn_buf_add_str(out, "</div>\n");
}

static void sample(struct hn_buf *out, const struct hn_json *j)
{
    hn_buf_add_str(out, "<article><p class=\"dim\" style=\"margin:0 0 6px\">");
    hn_page_put(out, hn_page_str(j, "path"));
    hn_buf_add_str(out, ", line ");
    hn_html_count(out, hn_page_number(j, "line"));
    hn_buf_printf(out, "</p>\n<h3>%s</h3>\n",
                  hn_page_true(j, "continued") ? "The row begins" : "Prompt");
    pre(out, hn_page_str(j, "prompt"));
    hn_buf_add_str(out, "<div class=\"answers\">\n");
    answer(out, "wanted", hn_page_true(j, "continued") ? "It goes on" : "Expected", j, "expected");
    answer(out, "before", "Base model", j, "base");
    answer(out, "now", "Tuned model", j, "tuned");
    hn_buf_add_str(out, "</div>\n");
    if (hn_page_true(j, "cut"))
        hn_buf_add_str(out, "<p class=\"dim\" style=\"margin:8px 0 0\">An answer was ended by the "
                            "limit on its length or on the time for samples.</p>\n");
    hn_buf_add_str(out, "</article>\n");
}

void hn_page_samples(const struct hn_page *p)
{
    const struct hn_json *list = hn_json_get(p->run, "samples"), *j;
    bool written = false;
    for (size_t i = 0; (j = hn_json_at(list, i)); i++)
        written |= hn_json_get(j, "tuned") || hn_json_get(j, "base");
    if (!list || !hn_json_at(list, 0))
        return;
    bool held_out = hn_page_number(hn_json_get(p->run, "data"), "valid_rows") > 0;
    hn_buf_printf(p->out, "<h2>Before and after</h2>\n<p class=\"dim\">%s%s</p>\n",
                  held_out ? "Validation rows, which the run was not trained on"
                           : "Rows of the training data: nothing was held out",
                  written ? "; the most likely token each time."
                          : ". No model has written to them yet: that is done when the run ends.");
    for (size_t i = 0; (j = hn_json_at(list, i)) && i < HN_RECORD_MAX_SAMPLES; i++)
        sample(p->out, j);
}

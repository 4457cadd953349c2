#include "jinja/jinja_case.h"
#include "jinja/jinja_text.h"

static bool starts_word(uint32_t before)
{
    return hn_jtext_is_space(before) || before == '-' || before == '(' || before == '{' ||
           before == '[' || before == '<';
}

int hn_jcase_map(struct hn_ji *ji, const struct hn_jstr *s, enum hn_jcase how, struct hn_jv *out)
{
    struct hn_buf b;
    hn_buf_init(&b);
    uint32_t before = ' ';
    if (hn_ji_step(ji, s->n * 4))
        return ji->code;
    for (size_t i = 0; i < s->n;) {
        size_t at = i;
        uint32_t cp = hn_jtext_next(s->p, s->n, &i);
        switch (how) {
        case HN_CASE_UPPER:
            hn_jtext_add_upper(&b, cp);
            break;
        case HN_CASE_LOWER:
            hn_jtext_add_lower(&b, s->p, s->n, at);
            break;
        case HN_CASE_FOLD:
            hn_jtext_add_folded(&b, cp);
            break;
        case HN_CASE_SWAP:
            if (hn_jtext_is_upper(cp))
                hn_jtext_add_lower(&b, s->p, s->n, at);
            else if (hn_jtext_is_lower(cp))
                hn_jtext_add_upper(&b, cp);
            else
                hn_jtext_add_cp(&b, cp);
            break;
        case HN_CASE_CAPITALIZE:
            if (at == 0)
                hn_jtext_add_title(&b, cp);
            else
                hn_jtext_add_lower(&b, s->p, s->n, at);
            break;
        case HN_CASE_TITLE:
            if (hn_jtext_is_cased(before))
                hn_jtext_add_lower(&b, s->p, s->n, at);
            else
                hn_jtext_add_title(&b, cp);
            break;
        case HN_CASE_WORDS:
            if (starts_word(before))
                hn_jtext_add_upper(&b, cp);
            else
                hn_jtext_add_lower(&b, s->p, s->n, at);
            break;
        }
        before = cp;
    }
    return hn_jv_str_take(ji, &b, out);
}

int hn_jcase_fold(struct hn_ji *ji, struct hn_jv v, struct hn_jv *out)
{
    *out = v;
    return v.kind == HN_JV_STR ? hn_jcase_map(ji, v.s, HN_CASE_LOWER, out) : 0;
}

bool hn_jcase_is(const struct hn_jstr *s, bool upper)
{
    bool any = false;
    for (size_t i = 0; i < s->n;) {
        uint32_t cp = hn_jtext_next(s->p, s->n, &i);
        if (hn_jtext_is_title(cp) || (upper ? hn_jtext_is_lower(cp) : hn_jtext_is_upper(cp)))
            return false;
        any = any || (upper ? hn_jtext_is_upper(cp) : hn_jtext_is_lower(cp));
    }
    return any;
}

bool hn_jcase_line(struct hn_str s, size_t *i, bool keep_end, struct hn_str *line)
{
    size_t start = *i;
    if (start >= s.n)
        return false;
    for (size_t k = start; k < s.n;) {
        size_t at = k;
        uint32_t cp = hn_jtext_next(s.p, s.n, &k);
        if (!hn_jtext_is_line_end(cp))
            continue;
        if (cp == '\r' && k < s.n && s.p[k] == '\n')
            k++;
        *line = (struct hn_str){s.p + start, (keep_end ? k : at) - start};
        *i = k;
        return true;
    }
    *line = (struct hn_str){s.p + start, s.n - start};
    *i = s.n;
    return true;
}

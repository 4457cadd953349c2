/* Normalisers: one step of rewriting at a time. */
#include "text/charsmap.h"
#include "text/normal_form.h"
#include "text/text_steps.h"
#include "text/unicode.h"

#include <string.h>

static void strip(const struct hn_norm_step *step, struct hn_str s, struct hn_buf *out,
                  size_t *n_leading)
{
    size_t first = 0, end = s.n;
    while (step->left && first < s.n) {
        size_t i = first;
        if (!hn_ucd_has(HN_SET_RUST_WHITESPACE, (uint32_t)hn_utf8_next(s.p, s.n, &i)))
            break;
        first = i;
    }
    while (step->right && end > first) {
        size_t i = end - 1;
        while (((unsigned char)s.p[i] & 0xc0) == 0x80)
            i--;
        size_t at = i;
        if (!hn_ucd_has(HN_SET_RUST_WHITESPACE, (uint32_t)hn_utf8_next(s.p, s.n, &i)))
            break;
        end = at;
    }
    if (first)
        *n_leading = 0;
    hn_buf_add(out, s.p + first, end - first);
}

/* What REPLACE writes. */
struct replacing {
    struct hn_str s;
    struct hn_buf *out;
    size_t leading;    /* bytes of s that are leading */
    size_t *n_leading; /* bytes of out */
};

/* s[from, to) stays as it is. */
static void keep(struct replacing *r, size_t from, size_t to)
{
    size_t end = HN_MIN(to, r->leading);
    hn_buf_add(r->out, r->s.p + from, to - from);
    *r->n_leading += end > from ? end - from : 0;
}

/* The content stands for a match at s[at]. */
static void put(struct replacing *r, size_t at, struct hn_str content)
{
    hn_buf_add(r->out, content.p, content.n);
    *r->n_leading += at < r->leading ? content.n : 0;
}

static void replace_literal(const struct hn_norm_step *step, struct replacing *r)
{
    struct hn_str s = r->s;
    size_t start = 0;
    for (size_t i = 0; step->literal.n && i + step->literal.n <= s.n;) {
        if (memcmp(s.p + i, step->literal.p, step->literal.n) != 0) {
            i++;
            continue;
        }
        keep(r, start, i);
        put(r, i, step->text);
        i += step->literal.n;
        start = i;
    }
    keep(r, start, s.n);
}

static int replace_regex(const struct hn_norm_step *step, struct replacing *r,
                         struct hn_text_work *w, struct hone_err *err)
{
    struct hn_regex_scan scan;
    size_t first, end, last = 0;
    int rc = hn_regex_begin(&scan, step->re, &w->regex, r->s, err);
    if (rc)
        return rc;
    while ((rc = hn_regex_next(&scan, &first, &end, err)) > 0) {
        keep(r, last, first);
        put(r, first, step->text);
        last = end;
    }
    keep(r, last, r->s.n);
    return rc;
}

static int replace(const struct hn_norm_step *step, struct hn_str s, struct hn_buf *out,
                   size_t *n_leading, struct hn_text_work *w, struct hone_err *err)
{
    struct replacing r = {s, out, *n_leading, n_leading};
    *n_leading = 0;
    if (step->re)
        return replace_regex(step, &r, w, err);
    replace_literal(step, &r);
    return 0;
}

/* SentencePiece's Normalizer: map, then spaces (escaped, squeezed, cut at the ends), then prefix.
 */
static void sentencepiece(const struct hn_norm_step *step, struct hn_str s, bool leading,
                          struct hn_buf *out)
{
    struct hn_str space = {step->escape_spaces ? "\xe2\x96\x81" : " ", step->escape_spaces ? 3 : 1};
    size_t start = out->len;
    bool was_space = step->remove_spaces, any = !step->remove_spaces;
    for (size_t i = 0; i < s.n;) {
        struct hn_str rest = {s.p + i, s.n - i}, to = rest;
        size_t n = step->charsmap ? hn_charsmap_match(step->charsmap, rest, false, &to) : 0;
        if (n == 0) {
            size_t k = i;
            (void)hn_utf8_next(s.p, s.n, &k);
            n = k - i;
            to.n = n;
        }
        i += n;
        for (size_t k = 0; k < to.n; k++) {
            bool is_space = to.p[k] == ' ';
            if (is_space && step->remove_spaces && was_space)
                continue;
            if (out->len == start && step->prefix && (leading || step->prefix_each))
                hn_buf_add(out, space.p, space.n);
            if (is_space)
                hn_buf_add(out, space.p, space.n);
            else
                hn_buf_add_char(out, to.p[k]);
            was_space = is_space;
            any |= !is_space;
        }
    }
    while (step->remove_spaces && out->len - start >= space.n && any &&
           memcmp(out->data + out->len - space.n, space.p, space.n) == 0)
        out->len -= space.n;
}

/* SentencePiece's "nmt" rules, as the library's Nmt: 0 takes the character out. */
static int nmt(uint32_t *cp)
{
    uint32_t c = *cp;
    if ((c >= 1 && c <= 8) || c == 0x0b || (c >= 0x0e && c <= 0x1f) || c == 0x7f || c == 0x8f ||
        c == 0x9f)
        return 0;
    if (c == 9 || c == 0x0a || c == 0x0c || c == 0x0d || c == 0x1680 ||
        (c >= 0x200b && c <= 0x200f) || c == 0x2028 || c == 0x2029 || c == 0x2581 || c == 0xfeff ||
        c == 0xfffd)
        *cp = ' ';
    return 1;
}

/* Steps that look at one character at a time. */
static void each_char(enum hn_norm_kind kind, struct hn_str s, struct hn_buf *out,
                      size_t *n_leading)
{
    size_t start = out->len, leading = *n_leading;
    for (size_t i = 0; i < s.n;) {
        uint32_t cps[3];
        int n = 1;
        cps[0] = (uint32_t)hn_utf8_next(s.p, s.n, &i);
        bool chinese = kind == HN_NORM_BERT_CHINESE && hn_ucd_has(HN_SET_BERT_CHINESE, cps[0]);
        switch (kind) {
        case HN_NORM_LOWERCASE:
            n = hn_lower_case(cps[0], cps);
            break;
        case HN_NORM_STRIP_ACCENTS:
            n = !hn_ucd_has(HN_SET_COMBINING_MARK, cps[0]);
            break;
        case HN_NORM_BERT_ACCENTS:
            n = !hn_ucd_has(HN_SET_BERT_ACCENT, cps[0]);
            break;
        case HN_NORM_BERT_CLEAN:
            n = !hn_ucd_has(HN_SET_BERT_CONTROL, cps[0]);
            if (hn_ucd_has(HN_SET_BERT_SPACE, cps[0]))
                cps[0] = ' ';
            break;
        case HN_NORM_NMT:
            n = nmt(&cps[0]);
            break;
        default:
            break;
        }
        if (chinese)
            hn_buf_add_char(out, ' ');
        for (int k = 0; k < n; k++) {
            char bytes[4];
            hn_buf_add(out, bytes, (size_t)hn_utf8_put(cps[k], bytes));
        }
        if (chinese)
            hn_buf_add_char(out, ' ');
        if (i <= leading)
            *n_leading = out->len - start;
    }
}

/* Leading is as many characters as the leading part alone would become. */
static int form(enum hn_norm_kind kind, struct hn_str s, struct hn_buf *out, size_t *n_leading,
                struct hn_text_work *w)
{
    static const enum hn_form forms[] = {[HN_NORM_NFC] = HN_FORM_NFC,
                                         [HN_NORM_NFD] = HN_FORM_NFD,
                                         [HN_NORM_NFKC] = HN_FORM_NFKC,
                                         [HN_NORM_NFKD] = HN_FORM_NFKD};
    const enum hn_form as = forms[kind];
    size_t start = out->len, leading = *n_leading, n = 0, i = 0;
    if (leading && leading < s.n) {
        if (hn_form_append(as, (struct hn_str){s.p, leading}, out, w))
            return -1;
        for (; start + i < out->len; n++)
            (void)hn_utf8_next(out->data + start, out->len - start, &i);
        out->len = start;
    }
    if (hn_form_append(as, s, out, w))
        return -1;
    for (i = 0; n && start + i < out->len; n--)
        (void)hn_utf8_next(out->data + start, out->len - start, &i);
    *n_leading = leading < s.n ? i : out->len - start;
    return 0;
}

int hn_norm_run(const struct hn_norm_step *step, struct hn_str s, struct hn_buf *out,
                size_t *n_leading, struct hn_text_work *w, struct hone_err *err)
{
    int rc = 0;
    size_t start = out->len;
    switch (step->kind) {
    case HN_NORM_PREPEND:
        if (s.n) {
            hn_buf_add(out, step->text.p, step->text.n);
            *n_leading = *n_leading ? *n_leading + step->text.n : 0;
        }
        hn_buf_add(out, s.p, s.n);
        break;
    case HN_NORM_REPLACE:
        rc = replace(step, s, out, n_leading, w, err);
        break;
    case HN_NORM_STRIP:
        strip(step, s, out, n_leading);
        break;
    case HN_NORM_SENTENCEPIECE:
        sentencepiece(step, s, *n_leading > 0, out);
        break;
    case HN_NORM_BYTE_LEVEL:
        hn_byte_level_map(s, out);
        break;
    case HN_NORM_NFC:
    case HN_NORM_NFD:
    case HN_NORM_NFKC:
    case HN_NORM_NFKD:
        rc = form(step->kind, s, out, n_leading, w) ? hn_fail_memory(err, "normalising a text") : 0;
        break;
    case HN_NORM_LOWERCASE:
    case HN_NORM_STRIP_ACCENTS:
    case HN_NORM_NMT:
    case HN_NORM_BERT_CLEAN:
    case HN_NORM_BERT_CHINESE:
    case HN_NORM_BERT_ACCENTS:
        each_char(step->kind, s, out, n_leading);
        break;
    }
    if (out->failed)
        return hn_fail_memory(err, "normalising a text");
    *n_leading = HN_MIN(*n_leading, out->len - start);
    return rc;
}

void hn_norm_step_release(struct hn_norm_step *step)
{
    hn_regex_close(&step->re);
    hn_charsmap_close(&step->charsmap);
}

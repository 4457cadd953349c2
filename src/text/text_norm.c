#include "base/mem.h"
#include "text/charsmap.h"
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

static void replace_literal(const struct hn_norm_step *step, struct hn_str s, struct hn_buf *out)
{
    size_t start = 0;
    for (size_t i = 0; step->literal.n && i + step->literal.n <= s.n;) {
        if (memcmp(s.p + i, step->literal.p, step->literal.n) != 0) {
            i++;
            continue;
        }
        hn_buf_add(out, s.p + start, i - start);
        hn_buf_add(out, step->text.p, step->text.n);
        i += step->literal.n;
        start = i;
    }
    hn_buf_add(out, s.p + start, s.n - start);
}

static int replace_regex(const struct hn_norm_step *step, struct hn_str s, struct hn_buf *out,
                         struct hn_text_work *w, struct hone_err *err)
{
    struct hn_regex_scan scan;
    size_t first, end, last = 0;
    int rc = hn_regex_begin(&scan, step->re, &w->regex, s, err);
    if (rc)
        return rc;
    while ((rc = hn_regex_next(&scan, &first, &end, err)) > 0) {
        hn_buf_add(out, s.p + last, first - last);
        hn_buf_add(out, step->text.p, step->text.n);
        last = end;
    }
    hn_buf_add(out, s.p + last, s.n - last);
    return rc;
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
        if (step->re)
            rc = replace_regex(step, s, out, w, err);
        else
            replace_literal(step, s, out);
        if (*n_leading)
            *n_leading = 1;
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
    default:
        return hn_fail(err, HONE_FAILED, "this normaliser is not supported yet");
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

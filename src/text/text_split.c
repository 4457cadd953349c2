/* Splitters: cutting the text into the pieces that the model sees. */
#include "base/mem.h"
#include "text/text_steps.h"
#include "text/unicode.h"

#include <string.h>

void hn_text_work_release(struct hn_text_work *w)
{
    hn_buf_release(&w->text);
    hn_buf_release(&w->spare);
    hn_free(w->pieces.items);
    hn_free(w->new_pieces.items);
    hn_free(w->matches.items);
    hn_free(w->merged.items);
    hn_free(w->cps);
    hn_regex_work_release(&w->regex);
    *w = (struct hn_text_work){0};
}

int hn_pieces_add(struct hn_pieces *p, struct hn_piece piece)
{
    if (p->n == p->cap && hn_grow((void **)&p->items, &p->cap, p->n + 1, sizeof *p->items))
        return -1;
    p->items[p->n++] = piece;
    return 0;
}

static int add_match(struct hn_matches *m, size_t first, size_t end, bool hit)
{
    if (m->n == m->cap && hn_grow((void **)&m->items, &m->cap, m->n + 1, sizeof *m->items))
        return -1;
    m->items[m->n++] = (struct hn_match){first, end, hit};
    return 0;
}

uint32_t hn_byte_char(unsigned char byte)
{
    if ((byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte != 0xad))
        return byte;
    /* The others follow from 256 on, in order. */
    return 256u + (byte <= 0x20 ? byte : byte <= 0xa0 ? byte - 0x7fu + 33u : 67u);
}

int hn_char_byte(uint32_t cp)
{
    if ((cp >= 0x21 && cp <= 0x7e) || (cp >= 0xa1 && cp <= 0xff && cp != 0xad))
        return (int)cp;
    if (cp < 256 || cp > 256 + 67)
        return -1;
    cp -= 256;
    return (int)(cp <= 0x20 ? cp : cp < 67 ? cp - 33 + 0x7f : 0xad);
}

void hn_byte_level_map(struct hn_str s, struct hn_buf *out)
{
    char *to = hn_buf_reserve(out, 2 * s.n);
    size_t n = 0;
    if (!to)
        return;
    for (size_t i = 0; i < s.n; i++)
        n += (size_t)hn_utf8_put(hn_byte_char((unsigned char)s.p[i]), to + n);
    out->len += n;
    out->data[out->len] = 0;
}

/* A test of single characters, as Digits and its kin make. */
struct char_test {
    enum hn_ucd_set set;
    uint32_t cp; /* when set is HN_SET_COUNT */
};

static bool passes(const struct char_test *t, uint32_t cp)
{
    if (t->set == HN_SET_COUNT)
        return cp == t->cp;
    if (t->set == HN_SET_RUST_PUNCTUATION && cp < 128)
        return cp > 0x20 && cp != 0x7f && !((cp | 32) >= 'a' && (cp | 32) <= 'z') &&
               !(cp >= '0' && cp <= '9');
    return hn_ucd_has(t->set, cp);
}

static int match_chars(struct hn_matches *m, const struct char_test *t, struct hn_str s)
{
    size_t last = 0;
    for (size_t i = 0; i < s.n;) {
        size_t at = i;
        uint32_t cp = (uint32_t)hn_utf8_next(s.p, s.n, &i);
        if (!passes(t, cp))
            continue;
        if ((last < at && add_match(m, last, at, false)) || add_match(m, at, i, true))
            return -1;
        last = i;
    }
    return s.n > last ? add_match(m, last, s.n, false) : 0;
}

static int match_literal(struct hn_matches *m, struct hn_str literal, struct hn_str s)
{
    size_t last = 0;
    for (size_t i = 0; literal.n && i + literal.n <= s.n;) {
        const char *hit = memchr(s.p + i, literal.p[0], s.n - literal.n - i + 1);
        if (!hit)
            break;
        i = (size_t)(hit - s.p);
        if (memcmp(hit, literal.p, literal.n) != 0) {
            i++;
            continue;
        }
        if ((last < i && add_match(m, last, i, false)) || add_match(m, i, i + literal.n, true))
            return -1;
        i += literal.n;
        last = i;
    }
    return s.n > last ? add_match(m, last, s.n, false) : 0;
}

static int match_regex(struct hn_matches *m, const struct hn_regex *re, struct hn_str s,
                       struct hn_text_work *w, struct hone_err *err)
{
    struct hn_regex_scan scan;
    size_t first, end, last = 0;
    int rc = hn_regex_begin(&scan, re, &w->regex, s, err);
    if (rc)
        return rc;
    while ((rc = hn_regex_next(&scan, &first, &end, err)) > 0) {
        if ((last != first && add_match(m, last, first, false)) || add_match(m, first, end, true))
            return hn_fail_memory(err, "splitting a text");
        last = end;
    }
    if (rc == 0 && last != s.n && add_match(m, last, s.n, false))
        return hn_fail_memory(err, "splitting a text");
    return rc;
}

/* Whitespace: the matches of Rust's \w+|[^\w\s]+. */
static int match_words(struct hn_matches *m, struct hn_str s)
{
    enum { SPACE, WORD, OTHER } was = SPACE;
    size_t start = 0;
    for (size_t i = 0, at = 0; i <= s.n; at = i) {
        uint32_t cp = i < s.n ? (uint32_t)hn_utf8_next(s.p, s.n, &i) : ' ';
        int is = hn_ucd_has(HN_SET_RUST_W, cp)            ? WORD
                 : hn_ucd_has(HN_SET_RUST_WHITESPACE, cp) ? SPACE
                                                          : OTHER;
        if ((int)was != is || at == s.n) {
            if (at > start && add_match(m, start, at, was != SPACE))
                return -1;
            start = at;
            was = is;
        }
        if (at == s.n)
            break;
    }
    return 0;
}

/* Join matches with their neighbours as the behaviour asks; what is left are the pieces. */
static int merge_matches(struct hn_matches *out, const struct hn_matches *in, enum hn_behavior b)
{
    bool previous = false;
    out->n = 0;
    for (size_t k = 0; k < in->n; k++) {
        /* MergedWithNext is MergedWithPrevious from the other end. */
        struct hn_match m = in->items[b == HN_MERGED_WITH_NEXT ? in->n - 1 - k : k];
        bool join = b == HN_CONTIGUOUS ? m.hit == previous : m.hit && !previous;
        if (join && out->n) {
            struct hn_match *last = &out->items[out->n - 1];
            if (b == HN_MERGED_WITH_NEXT)
                last->first = m.first;
            else
                last->end = m.end;
        } else if (add_match(out, m.first, m.end, false)) {
            return -1;
        }
        previous = m.hit;
    }
    if (b == HN_MERGED_WITH_NEXT)
        for (size_t i = 0, j = out->n; i + 1 < j; i++) {
            struct hn_match m = out->items[--j];
            out->items[j] = out->items[i];
            out->items[i] = m;
        }
    return 0;
}

/* The pieces that w->matches (in the piece p) make, appended to w->new_pieces. */
static int emit(struct hn_text_work *w, const struct hn_piece *p, enum hn_behavior behavior)
{
    const struct hn_matches *m = &w->matches;
    if (behavior != HN_ISOLATED && behavior != HN_REMOVED) {
        if (merge_matches(&w->merged, m, behavior))
            return -1;
        m = &w->merged;
    }
    for (size_t k = 0; k < m->n; k++) {
        struct hn_match at = m->items[k];
        if (at.first == at.end || (behavior == HN_REMOVED && at.hit))
            continue;
        struct hn_piece piece = {p->at + at.first, at.end - at.first,
                                 p->n_leading > at.first ? p->n_leading - at.first : 0, -1};
        if (hn_pieces_add(&w->new_pieces, piece))
            return -1;
    }
    return 0;
}

static int split_chars(struct hn_text_work *w, const struct hn_piece *p,
                       const struct char_test *test, enum hn_behavior behavior)
{
    w->matches.n = 0;
    if (match_chars(&w->matches, test, (struct hn_str){hn_buf_str(&w->text) + p->at, p->n}))
        return -1;
    return emit(w, p, behavior);
}

static int split_fixed(const struct hn_split_step *step, struct hn_text_work *w,
                       const struct hn_piece *p)
{
    const char *s = hn_buf_str(&w->text) + p->at;
    for (size_t i = 0, start = 0; i < p->n; start = i) {
        for (size_t k = 0; k < step->length && i < p->n; k++)
            (void)hn_utf8_next(s, p->n, &i);
        struct hn_piece piece = {p->at + start, i - start,
                                 p->n_leading > start ? p->n_leading - start : 0, -1};
        if (hn_pieces_add(&w->new_pieces, piece))
            return -1;
    }
    return 0;
}

/* Steps that only cut: one piece to w->new_pieces. */
static int cut(const struct hn_split_step *step, struct hn_text_work *w, const struct hn_piece *p,
               struct hone_err *err)
{
    struct hn_str s = {hn_buf_str(&w->text) + p->at, p->n};
    struct char_test test = {HN_SET_RUST_WHITESPACE, 0};
    enum hn_behavior behavior = step->behavior;
    int rc = 0;
    switch (step->kind) {
    case HN_SPLIT_DIGITS:
        test.set = HN_SET_RUST_NUMERIC;
        break;
    case HN_SPLIT_PUNCTUATION:
        test.set = HN_SET_RUST_PUNCTUATION;
        break;
    case HN_SPLIT_WHITESPACE_ONLY:
    case HN_SPLIT_BERT:
        behavior = HN_REMOVED;
        break;
    case HN_SPLIT_DELIMITER:
        test = (struct char_test){HN_SET_COUNT, step->cp};
        behavior = HN_REMOVED;
        break;
    case HN_SPLIT_FIXED_LENGTH:
        return split_fixed(step, w, p) ? hn_fail_memory(err, "splitting a text") : 0;
    default:
        w->matches.n = 0;
        if (step->re)
            rc = match_regex(&w->matches, step->re, s, w, err);
        else if (step->kind == HN_SPLIT_WHITESPACE ? match_words(&w->matches, s)
                                                   : match_literal(&w->matches, step->literal, s))
            rc = hn_fail_memory(err, "splitting a text");
        for (size_t k = 0; rc == 0 && step->invert && k < w->matches.n; k++)
            w->matches.items[k].hit = !w->matches.items[k].hit;
        if (rc == 0 && emit(w, p, behavior))
            rc = hn_fail_memory(err, "splitting a text");
        return rc;
    }
    return split_chars(w, p, &test, behavior) ? hn_fail_memory(err, "splitting a text") : 0;
}

/* The text of the pieces written anew by `write`, into w->spare, which becomes the text. */
static int rewrite(const struct hn_split_step *step, struct hn_text_work *w,
                   void (*write)(const struct hn_split_step *, struct hn_str, size_t *,
                                 struct hn_buf *),
                   struct hone_err *err)
{
    hn_buf_clear(&w->spare);
    for (size_t k = 0; k < w->pieces.n; k++) {
        struct hn_piece *p = &w->pieces.items[k];
        struct hn_str s = {hn_buf_str(&w->text) + p->at, p->n};
        size_t start = w->spare.len;
        if (p->id >= 0)
            continue;
        write(step, s, &p->n_leading, &w->spare);
        p->at = start;
        p->n = w->spare.len - start;
    }
    if (w->spare.failed)
        return hn_fail_memory(err, "splitting a text");
    struct hn_buf swap = w->text;
    w->text = w->spare;
    w->spare = swap;
    return 0;
}

static void write_prefix_space(const struct hn_split_step *step, struct hn_str s, size_t *n_leading,
                               struct hn_buf *out)
{
    (void)step;
    if (s.n && s.p[0] != ' ') {
        hn_buf_add_char(out, ' ');
        *n_leading += *n_leading > 0;
    }
    hn_buf_add(out, s.p, s.n);
}

static void write_byte_level(const struct hn_split_step *step, struct hn_str s, size_t *n_leading,
                             struct hn_buf *out)
{
    size_t start = out->len, n = HN_MIN(*n_leading, s.n);
    (void)step;
    hn_byte_level_map((struct hn_str){s.p, n}, out);
    *n_leading = out->len - start;
    hn_byte_level_map((struct hn_str){s.p + n, s.n - n}, out);
}

static void write_metaspace(const struct hn_split_step *step, struct hn_str s, size_t *n_leading,
                            struct hn_buf *out)
{
    char mark[4];
    size_t n = (size_t)hn_utf8_put(step->cp, mark);
    bool has = s.n && (s.p[0] == ' ' || (s.n >= n && memcmp(s.p, mark, n) == 0));
    bool first = *n_leading > 0;
    if (first && s.p[0] == ' ')
        *n_leading += n - 1;
    if (s.n && !has &&
        (step->scheme == HN_PREPEND_ALWAYS || (step->scheme == HN_PREPEND_FIRST && first))) {
        hn_buf_add(out, mark, n);
        *n_leading += first ? n : 0;
    }
    for (size_t i = 0, start = 0; i <= s.n; i++)
        if (i == s.n || s.p[i] == ' ') {
            hn_buf_add(out, s.p + start, i - start);
            if (i < s.n)
                hn_buf_add(out, mark, n);
            start = i + 1;
        }
}

/* Cut every piece that has no id yet. */
static int cut_all(const struct hn_split_step *step, struct hn_text_work *w, struct hone_err *err)
{
    int rc = 0;
    w->new_pieces.n = 0;
    for (size_t k = 0; rc == 0 && k < w->pieces.n; k++) {
        struct hn_piece p = w->pieces.items[k];
        if (p.id < 0)
            rc = cut(step, w, &p, err);
        else if (hn_pieces_add(&w->new_pieces, p))
            rc = hn_fail_memory(err, "splitting a text");
    }
    struct hn_pieces swap = w->pieces;
    w->pieces = w->new_pieces;
    w->new_pieces = swap;
    return rc;
}

int hn_split_run(const struct hn_split_step *step, struct hn_text_work *w, struct hone_err *err)
{
    int rc = 0;
    struct hn_split_step second = *step;
    switch (step->kind) {
    case HN_SPLIT_BYTE_LEVEL:
        if (step->prefix_space)
            rc = rewrite(step, w, write_prefix_space, err);
        if (rc == 0 && step->re)
            rc = cut_all(step, w, err);
        if (rc == 0 && !step->raw)
            rc = rewrite(step, w, write_byte_level, err);
        return rc;
    case HN_SPLIT_METASPACE: {
        char mark[4];
        rc = rewrite(step, w, write_metaspace, err);
        second.kind = HN_SPLIT_PATTERN;
        second.behavior = HN_MERGED_WITH_NEXT;
        second.literal = (struct hn_str){mark, (size_t)hn_utf8_put(step->cp, mark)};
        return rc == 0 && step->split ? cut_all(&second, w, err) : rc;
    }
    case HN_SPLIT_BERT:
        rc = cut_all(step, w, err);
        second.kind = HN_SPLIT_PUNCTUATION;
        second.behavior = HN_ISOLATED;
        return rc ? rc : cut_all(&second, w, err);
    default:
        return cut_all(step, w, err);
    }
}

void hn_split_step_release(struct hn_split_step *step)
{
    hn_regex_close(&step->re);
}

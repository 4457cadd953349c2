#include "text/regex_parse.h"
#include "text/unicode_tables.h"

#include <string.h>

enum { MAX_PATTERN = 1 << 16, MAX_NESTING = 64, MAX_RUN = 256 };

struct parser {
    struct hn_regex_program *out;
    struct hn_str in;
    size_t i;
    int nesting;
    bool fold;         /* (?i) is on */
    bool dot_all;      /* (?m) of Ruby is on: '.' takes newlines */
    size_t atom;       /* where the last atom starts in out->code; SIZE_MAX: nothing to repeat */
    bool repeated;     /* the last atom has a repetition already */
    char run[MAX_RUN]; /* the literal characters before this place while fold is on */
    size_t run_n;
    struct hone_err *err;
};

static int refuse(struct parser *p, const char *what)
{
    return hn_fail(p->err, HONE_FAILED, "the regular expression \"%.*s\" has %s at byte %zu",
                   hn_utf8_cut(p->in, 200), p->in.p, what, p->i);
}

static bool more(const struct parser *p)
{
    return p->i < p->in.n;
}

static bool looking_at(const struct parser *p, const char *s)
{
    size_t n = strlen(s);
    return p->in.n - p->i >= n && memcmp(p->in.p + p->i, s, n) == 0;
}

static bool take(struct parser *p, const char *s)
{
    if (!looking_at(p, s))
        return false;
    p->i += strlen(s);
    return true;
}

static void begin_atom(struct parser *p, size_t at)
{
    p->atom = at;
    p->repeated = false;
}

static void add(struct parser *p, const char *s)
{
    hn_buf_add_str(&p->out->code, s);
}

/* A reference to the set, which is settled and moves into the program (or is released). */
static int add_set(struct parser *p, struct hn_cp_set *set)
{
    struct hn_regex_program *o = p->out;
    size_t k = 0;
    if (set->failed) {
        hn_cp_set_release(set);
        return hn_fail_memory(p->err, "reading a regular expression");
    }
    for (; k < o->n_sets; k++)
        if (o->sets[k].n == set->n && (set->n == 0 || memcmp(o->sets[k].ranges, set->ranges,
                                                             set->n * sizeof *set->ranges) == 0))
            break;
    if (k < o->n_sets) {
        hn_cp_set_release(set);
    } else if (k == HN_REGEX_MAX_SETS) {
        hn_cp_set_release(set);
        return refuse(p, "too many different character sets");
    } else {
        o->sets[o->n_sets++] = *set;
        *set = (struct hn_cp_set){0};
    }
    char ref[3] = {1, (char)('0' + k / 64), (char)('0' + k % 64)};
    hn_buf_add(&o->code, ref, sizeof ref);
    return 0;
}

static int add_range_set(struct parser *p, uint32_t first, uint32_t last)
{
    struct hn_cp_set set = {0};
    hn_cp_set_add(&set, first, last);
    return add_set(p, &set);
}

/* Oniguruma lets several characters equal one when case is ignored ("ss" and sharp s); this does
 * not, and says so where it would matter. */
static int check_multi_fold(struct parser *p, uint32_t cp)
{
    char lower[4];
    struct hn_cp_set self = {0};
    hn_cp_set_add(&self, cp, cp);
    hn_cp_set_fold(&self);
    for (size_t i = 0; i < self.n; i++)
        for (size_t k = 0; k < hn_ucd_multi_folds_count; k++)
            if (hn_cp_set_has(&self, hn_ucd_multi_folds[k].cp)) {
                hn_cp_set_release(&self);
                return refuse(p, "a character that equals several when case is ignored");
            }
    uint32_t small = self.n && cp >= 'A' && cp <= 'Z' ? cp + 32 : cp;
    hn_cp_set_release(&self);
    int n = hn_utf8_put(small, lower);
    if (p->run_n + (size_t)n > sizeof p->run) {
        memmove(p->run, p->run + sizeof p->run / 2, p->run_n - sizeof p->run / 2);
        p->run_n -= sizeof p->run / 2;
    }
    memcpy(p->run + p->run_n, lower, (size_t)n);
    p->run_n += (size_t)n;
    for (size_t k = 0; k < hn_ucd_multi_folds_count; k++) {
        size_t m = strlen(hn_ucd_multi_folds[k].text);
        if (p->run_n >= m && memcmp(p->run + p->run_n - m, hn_ucd_multi_folds[k].text, m) == 0)
            return refuse(p, "letters that equal one character when case is ignored");
    }
    return 0;
}

static int add_literal(struct parser *p, uint32_t cp)
{
    struct hn_cp_set set = {0};
    begin_atom(p, p->out->code.len);
    if (p->fold && check_multi_fold(p, cp))
        return HONE_FAILED;
    hn_cp_set_add(&set, cp, cp);
    if (p->fold)
        hn_cp_set_fold(&set);
    return add_set(p, &set);
}

static int hex(struct parser *p, int max_digits, uint32_t *out)
{
    uint32_t v = 0;
    int n = 0;
    for (; n < max_digits && more(p); n++, p->i++) {
        char c = p->in.p[p->i];
        uint32_t d = c >= '0' && c <= '9'                 ? (uint32_t)(c - '0')
                     : (c | 32) >= 'a' && (c | 32) <= 'f' ? (uint32_t)((c | 32) - 'a' + 10)
                                                          : 16;
        if (d == 16)
            break;
        v = v * 16 + d;
    }
    if (n == 0 || v > 0x10ffff)
        return refuse(p, "a malformed hexadecimal character");
    *out = v;
    return 0;
}

/* A character escape, after the backslash: 1 and *cp, 0 when it is none, negative on failure. */
static int escaped_char(struct parser *p, uint32_t *cp)
{
    static const char from[] = "tnrfvae", to[] = "\t\n\r\f\v\a\x1b";
    if (!more(p))
        return refuse(p, "a backslash at its end");
    char c = p->in.p[p->i];
    const char *simple = c ? strchr(from, c) : NULL;
    if (simple) {
        p->i++;
        *cp = (uint32_t)to[simple - from];
        return 1;
    }
    if (c == 'x' || c == 'u') {
        p->i++;
        bool braces = c == 'x' && take(p, "{");
        if (hex(p, braces ? 8 : c == 'u' ? 4 : 2, cp))
            return HONE_FAILED;
        if (braces && !take(p, "}"))
            return refuse(p, "\\x{ without }");
        return c == 'x' && !braces && *cp > 0x7f ? refuse(p, "a byte above 127") : 1;
    }
    if (c == '0') {
        uint32_t v = 0;
        for (int n = 0; n < 3 && more(p) && p->in.p[p->i] >= '0' && p->in.p[p->i] <= '7'; n++)
            v = v * 8 + (uint32_t)(p->in.p[p->i++] - '0');
        *cp = v;
        return 1;
    }
    if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'))
        return 0;
    *cp = (uint32_t)hn_utf8_next(p->in.p, p->in.n, &p->i);
    return 1;
}

/* \s, \p{…} and their kin, after the backslash: 1 and the set (settled), 0 when it is none. */
static int escaped_set(struct parser *p, bool in_bracket, struct hn_cp_set *set)
{
    char c = p->in.p[p->i];
    bool negated = c >= 'A' && c <= 'Z';
    switch (c | 32) {
    case 's':
        hn_cp_set_add_ucd(set, HN_SET_REGEX_S);
        break;
    case 'd':
        hn_cp_set_add_ucd(set, HN_SET_REGEX_D);
        break;
    case 'h':
        hn_cp_set_add_ucd(set, HN_SET_REGEX_H);
        break;
    case 'w':
        hn_cp_set_add_ucd(set, in_bracket ? HN_SET_BRACKET_WORD : HN_SET_REGEX_W);
        break;
    case 'p': {
        if (p->i + 1 >= p->in.n || p->in.p[p->i + 1] != '{')
            return refuse(p, "\\p without {");
        p->i += 2;
        if (take(p, "^"))
            negated = !negated;
        const char *start = p->in.p + p->i, *end = memchr(start, '}', p->in.n - p->i);
        if (!end || !hn_cp_set_add_named(set, (struct hn_str){start, (size_t)(end - start)}))
            return refuse(p, "a property that is not known");
        p->i += (size_t)(end - start);
        break;
    }
    default:
        return 0;
    }
    p->i++;
    if (negated)
        hn_cp_set_invert(set);
    return 1;
}

static int posix_bracket(struct parser *p, struct hn_cp_set *set)
{
    bool negated = take(p, "^");
    const char *start = p->in.p + p->i;
    size_t n = 0;
    while (p->i + n < p->in.n && start[n] >= 'a' && start[n] <= 'z')
        n++;
    struct hn_cp_set named = {0};
    struct hn_str name = {start, n};
    p->i += n;
    if (hn_str_is(name, "punct"))
        hn_cp_set_add_ucd(&named, HN_SET_BRACKET_PUNCT);
    else if (hn_str_is(name, "word"))
        hn_cp_set_add_ucd(&named, HN_SET_BRACKET_WORD);
    else if (!hn_cp_set_add_named(&named, name))
        return refuse(p, "a POSIX bracket that is not known");
    if (!take(p, ":]")) {
        hn_cp_set_release(&named);
        return refuse(p, "a POSIX bracket that is not closed");
    }
    if (negated)
        hn_cp_set_invert(&named);
    hn_cp_set_add_set(set, &named);
    hn_cp_set_release(&named);
    return 0;
}

static int bracket(struct parser *p, struct hn_cp_set *out);

/* One member of a bracket: a set (1), or a character in *cp (0). */
static int bracket_item(struct parser *p, struct hn_cp_set *set, uint32_t *cp)
{
    struct hn_cp_set one = {0};
    int rc = 0;
    if (take(p, "[:")) {
        rc = posix_bracket(p, set);
        return rc ? rc : 1;
    }
    if (take(p, "[")) {
        rc = bracket(p, &one);
    } else if (take(p, "\\")) {
        if (!more(p))
            return refuse(p, "a backslash at its end");
        if (take(p, "b")) {
            *cp = 8;
            return 0;
        }
        rc = escaped_set(p, true, &one);
        if (rc == 0) {
            rc = escaped_char(p, cp);
            return rc == 1 ? 0 : rc < 0 ? rc : refuse(p, "an escape that is not supported");
        }
        rc = rc < 0 ? rc : 0;
    } else {
        *cp = (uint32_t)hn_utf8_next(p->in.p, p->in.n, &p->i);
        return 0;
    }
    hn_cp_set_add_set(set, &one);
    hn_cp_set_release(&one);
    return rc ? rc : 1;
}

/* The members up to "]" or "&&"; *set is settled then. */
static int bracket_members(struct parser *p, struct hn_cp_set *set, bool first)
{
    while (more(p) && !looking_at(p, "&&") && (first || !looking_at(p, "]"))) {
        uint32_t a = 0, b = 0;
        first = false;
        int rc = bracket_item(p, set, &a);
        if (rc < 0)
            return rc;
        if (rc == 1)
            continue;
        b = a;
        if (looking_at(p, "-") && p->i + 1 < p->in.n && p->in.p[p->i + 1] != ']' &&
            memcmp(p->in.p + p->i, "-&&", HN_MIN(p->in.n - p->i, (size_t)3)) != 0) {
            size_t back = p->i++;
            rc = bracket_item(p, set, &b);
            if (rc < 0)
                return rc;
            if (rc == 1) { /* [a-\s]: the dash is itself */
                hn_cp_set_add(set, '-', '-');
                b = a;
            } else if (b < a) {
                p->i = back;
                return refuse(p, "a range that runs backwards");
            }
        }
        hn_cp_set_add(set, a, b);
    }
    hn_cp_set_settle(set);
    return 0;
}

/* After the "[": the set up to and including "]". */
static int bracket(struct parser *p, struct hn_cp_set *out)
{
    struct hn_cp_set part = {0};
    if (++p->nesting > MAX_NESTING)
        return refuse(p, "too much nesting");
    bool negated = take(p, "^");
    bool literal_close = looking_at(p, "]") && memchr(p->in.p + p->i + 1, ']', p->in.n - p->i - 1);
    int rc = bracket_members(p, out, literal_close);
    while (rc == 0 && take(p, "&&")) {
        rc = bracket_members(p, &part, false);
        hn_cp_set_intersect(out, &part);
        hn_cp_set_release(&part);
    }
    hn_cp_set_release(&part);
    if (rc == 0 && !take(p, "]"))
        rc = refuse(p, "a character set that is not closed");
    if (rc == 0 && p->fold && !negated)
        for (size_t k = 0; rc == 0 && k < hn_ucd_multi_folds_count; k++)
            if (hn_cp_set_has(out, hn_ucd_multi_folds[k].cp))
                rc = refuse(p, "a set with a character that equals several when case is ignored");
    if (rc == 0 && p->fold)
        hn_cp_set_fold(out);
    if (negated)
        hn_cp_set_invert(out);
    p->nesting--;
    return rc;
}

static int add_ucd_class(struct parser *p, enum hn_ucd_set which)
{
    struct hn_cp_set set = {0};
    hn_cp_set_add_ucd(&set, which);
    return add_set(p, &set);
}

/* \b: between a word character and another. */
static int word_boundary(struct parser *p, bool negated)
{
    int rc = 0;
    add(p, negated ? "(?:(?<=" : "(?:(?<=");
    rc = rc ? rc : add_ucd_class(p, HN_SET_REGEX_W);
    add(p, negated ? ")(?=" : ")(?!");
    rc = rc ? rc : add_ucd_class(p, HN_SET_REGEX_W);
    add(p, ")|(?<!");
    rc = rc ? rc : add_ucd_class(p, HN_SET_REGEX_W);
    add(p, negated ? ")(?!" : ")(?=");
    rc = rc ? rc : add_ucd_class(p, HN_SET_REGEX_W);
    add(p, "))");
    return rc;
}

/* After a backslash, outside brackets. */
static int escape(struct parser *p)
{
    struct hn_cp_set set = {0};
    uint32_t cp = 0;
    if (!more(p))
        return refuse(p, "a backslash at its end");
    char c = p->in.p[p->i];
    begin_atom(p, p->out->code.len);
    int rc = escaped_set(p, false, &set);
    if (rc == 1)
        return add_set(p, &set);
    hn_cp_set_release(&set);
    if (rc < 0)
        return rc;
    if (c == 'A' || c == 'z') {
        p->i++;
        add(p, c == 'A' ? "\\A" : "\\z");
        return 0;
    }
    if (c == 'b' || c == 'B') {
        p->i++;
        return word_boundary(p, c == 'B');
    }
    if (c == 'Z') {
        p->i++;
        add(p, "(?=");
        rc = add_range_set(p, '\n', '\n');
        add(p, "?\\z)");
        return rc;
    }
    rc = escaped_char(p, &cp);
    if (rc == 1)
        return add_literal(p, cp);
    return rc < 0 ? rc : refuse(p, "an escape that is not supported");
}

static bool number(struct parser *p, uint32_t *out)
{
    uint32_t v = 0;
    size_t start = p->i;
    while (more(p) && p->in.p[p->i] >= '0' && p->in.p[p->i] <= '9' && v < 100000)
        v = v * 10 + (uint32_t)(p->in.p[p->i++] - '0');
    *out = v;
    return p->i > start;
}

/* A repetition follows: an atom that has one already becomes a group, so that the whole repeats. */
static void wrap_atom(struct parser *p)
{
    struct hn_buf *b = &p->out->code;
    if (!p->repeated) {
        p->repeated = true;
        return;
    }
    char *room = hn_buf_reserve(b, 4);
    if (!room)
        return;
    memmove(b->data + p->atom + 3, b->data + p->atom, b->len - p->atom);
    memcpy(b->data + p->atom, "(?:", 3);
    b->len += 3;
    hn_buf_add_char(b, ')');
}

/* "{n,m}" at this place: 1 when it is one (already added), 0 when the brace is a literal. */
static int interval(struct parser *p)
{
    size_t back = p->i++;
    uint32_t low = 0, high = 0;
    bool has_low = number(p, &low), comma = take(p, ","), has_high = comma && number(p, &high);
    if (!take(p, "}") || (!has_low && !has_high)) {
        p->i = back;
        return 0;
    }
    if (low > 10000 || high > 10000 || (has_high && high < low))
        return refuse(p, "a repetition out of range");
    wrap_atom(p);
    if (!comma)
        hn_buf_printf(&p->out->code, "{%u}", low);
    else if (has_high)
        hn_buf_printf(&p->out->code, "{%u,%u}", low, high);
    else
        hn_buf_printf(&p->out->code, "{%u,}", low);
    /* {n}? and {n,m}+ are not lazy or possessive in Ruby: the sign repeats the whole anew. */
    if (comma && take(p, "?"))
        add(p, "?");
    return 1;
}

static int repeat(struct parser *p)
{
    char c = p->in.p[p->i];
    if (p->atom == SIZE_MAX)
        return refuse(p, "a repetition of nothing");
    p->run_n = 0;
    if (c == '{') {
        int rc = interval(p);
        return rc == 0 ? (p->i++, add_literal(p, '{')) : rc < 0 ? rc : 0;
    }
    p->i++;
    wrap_atom(p);
    hn_buf_add_char(&p->out->code, c);
    if (take(p, "?"))
        add(p, "?");
    else if (take(p, "+"))
        add(p, "+");
    return 0;
}

static int alternatives(struct parser *p);

/* "(?" flags: "i", "m", "-i"…, then ':' or ')'. */
static int flags(struct parser *p)
{
    bool on = true, fold = p->fold, dot_all = p->dot_all;
    for (; more(p) && !looking_at(p, ":") && !looking_at(p, ")"); p->i++) {
        char c = p->in.p[p->i];
        if (c == '-')
            on = false;
        else if (c == 'i')
            p->fold = on;
        else if (c == 'm')
            p->dot_all = on;
        else
            return refuse(p, "a group that is not supported");
    }
    p->run_n = 0;
    if (take(p, ")")) { /* to the end of the enclosing group, alternatives included */
        add(p, "(?:");
        int rc = alternatives(p);
        add(p, ")");
        p->fold = fold;
        p->dot_all = dot_all;
        return rc;
    }
    p->i++;
    add(p, "(?:");
    int rc = alternatives(p);
    add(p, ")");
    p->fold = fold;
    p->dot_all = dot_all;
    return rc ? rc : take(p, ")") ? 0 : refuse(p, "a group that is not closed");
}

/* After the "(". */
static int group(struct parser *p)
{
    static const char *const kinds[] = {"?:", "?=", "?!", "?<=", "?<!", "?>"};
    const char *open = "?:";
    bool known = !looking_at(p, "?");
    size_t start = p->out->code.len;
    if (++p->nesting > MAX_NESTING)
        return refuse(p, "too much nesting");
    if (take(p, "?#")) {
        while (more(p) && !looking_at(p, ")"))
            p->i++;
        p->nesting--;
        return take(p, ")") ? 0 : refuse(p, "a comment that is not closed");
    }
    for (size_t k = 0; !known && k < HN_COUNT(kinds); k++)
        if (take(p, kinds[k])) {
            open = kinds[k];
            known = true;
        }
    if (!known && take(p, "?<")) { /* a name, which nothing can refer to */
        while (more(p) && !looking_at(p, ">"))
            p->i++;
        known = take(p, ">");
        if (!known)
            return refuse(p, "a group that is not supported");
    }
    if (!known && take(p, "?")) {
        int rc = flags(p);
        begin_atom(p, start);
        p->nesting--;
        return rc;
    }
    bool fold = p->fold, dot_all = p->dot_all;
    p->run_n = 0;
    add(p, "(");
    add(p, open);
    int rc = alternatives(p);
    add(p, ")");
    p->fold = fold;
    p->dot_all = dot_all;
    begin_atom(p, start);
    p->run_n = 0;
    p->nesting--;
    return rc ? rc : take(p, ")") ? 0 : refuse(p, "a group that is not closed");
}

static int anchor(struct parser *p, char c)
{
    begin_atom(p, p->out->code.len);
    add(p, c == '^' ? "(?:\\A|(?<=" : "(?=\\z|");
    int rc = add_range_set(p, '\n', '\n');
    add(p, c == '^' ? ")(?!\\z))" : ")");
    return rc;
}

static int dot(struct parser *p)
{
    struct hn_cp_set set = {0};
    begin_atom(p, p->out->code.len);
    hn_cp_set_add(&set, 0, 0x10ffff);
    if (!p->dot_all) {
        hn_cp_set_release(&set);
        hn_cp_set_add(&set, '\n', '\n');
        hn_cp_set_invert(&set);
    }
    return add_set(p, &set);
}

static int element(struct parser *p)
{
    char c = p->in.p[p->i];
    struct hn_cp_set set = {0};
    if (c == '*' || c == '+' || c == '?' || (c == '{' && p->atom != SIZE_MAX))
        return repeat(p);
    if (c == '{' || ((unsigned char)c & 0x80) || !strchr("|()[\\.^$", c))
        return add_literal(p, (uint32_t)hn_utf8_next(p->in.p, p->in.n, &p->i));
    p->i++;
    if (c != '\\')
        p->run_n = 0;
    switch (c) {
    case '(':
        return group(p);
    case '\\':
        return escape(p);
    case '.':
        return dot(p);
    case '[': {
        begin_atom(p, p->out->code.len);
        int rc = bracket(p, &set);
        if (rc == 0)
            return add_set(p, &set);
        hn_cp_set_release(&set);
        return rc;
    }
    default:
        return anchor(p, c);
    }
}

/* Up to ")" or the end. */
static int alternatives(struct parser *p)
{
    begin_atom(p, SIZE_MAX);
    while (more(p) && !looking_at(p, ")")) {
        if (take(p, "|")) {
            add(p, "|");
            begin_atom(p, SIZE_MAX);
            p->run_n = 0;
            continue;
        }
        int rc = element(p);
        if (rc)
            return rc;
    }
    return 0;
}

int hn_regex_parse(struct hn_regex_program *out, struct hn_str pattern, struct hone_err *err)
{
    struct parser p = {.out = out, .in = pattern, .atom = SIZE_MAX, .err = err};
    if (pattern.n > MAX_PATTERN)
        return hn_fail(err, HONE_FAILED, "a regular expression of %zu bytes; at most %d are taken",
                       pattern.n, MAX_PATTERN);
    if (hn_utf8_check(pattern.p, pattern.n) < pattern.n)
        return hn_fail(err, HONE_FAILED, "a regular expression is not valid UTF-8");
    int rc = alternatives(&p);
    if (rc == 0 && more(&p))
        rc = refuse(&p, "a ')' too many");
    return rc ? rc : out->code.failed ? hn_fail_memory(err, "reading a regular expression") : 0;
}

void hn_regex_program_release(struct hn_regex_program *p)
{
    hn_buf_release(&p->code);
    for (size_t i = 0; i < p->n_sets; i++)
        hn_cp_set_release(&p->sets[i]);
    p->n_sets = 0;
}

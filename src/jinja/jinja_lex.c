/* Text to tokens, with Jinja's white space rules settled here: '-' and '+' signs, a newline dropped
 * after a block (trim_blocks), blanks before a block dropped (lstrip_blocks), one newline dropped
 * at the end of the template, \r\n and \r read as \n. */
#include "jinja/jinja_ast.h"
#include "jinja/jinja_text.h"
#include "base/mem.h"

#include <string.h>

enum { MAX_BRACKETS = HN_JINJA_MAX_NESTING };

struct lexer {
    struct hn_arena *arena;
    const char *s; /* newlines are \n */
    size_t n, i;
    int line;
    char brackets[MAX_BRACKETS];
    size_t n_brackets;
    struct hn_jtok *toks;
    size_t n_toks, cap_toks;
    struct hone_err *err;
};

static int push(struct lexer *l, int kind, int line, struct hn_str text)
{
    if (hn_grow((void **)&l->toks, &l->cap_toks, l->n_toks + 1, sizeof *l->toks))
        return hn_fail_memory(l->err, "reading a chat template");
    l->toks[l->n_toks++] = (struct hn_jtok){kind, line, text};
    return 0;
}

static int at(const struct lexer *l, size_t i)
{
    return i < l->n ? (unsigned char)l->s[i] : -1;
}

static bool looking_at(const struct lexer *l, size_t i, const char *what)
{
    size_t n = strlen(what);
    return l->n - i >= n && memcmp(l->s + i, what, n) == 0;
}

static size_t skip_space(const struct lexer *l, size_t i)
{
    while (i < l->n) {
        size_t k = i;
        if (!hn_jtext_is_space(hn_jtext_next(l->s, l->n, &k)))
            break;
        i = k;
    }
    return i;
}

static void move_to(struct lexer *l, size_t i)
{
    for (; l->i < i; l->i++)
        l->line += l->s[l->i] == '\n';
}

/* Where the closing mark at i ends, or 0 when there is none there: "-%}" takes the white space
 * after it, "%}" one newline (trim), "+%}" (plus) nothing. */
static size_t closing(const struct lexer *l, size_t i, const char *mark, bool plus, bool trim)
{
    if (at(l, i) == '-' && looking_at(l, i + 1, mark))
        return skip_space(l, i + 1 + strlen(mark));
    if (plus && at(l, i) == '+' && looking_at(l, i + 1, mark))
        return i + 1 + strlen(mark);
    if (!looking_at(l, i, mark))
        return 0;
    i += strlen(mark);
    return trim && at(l, i) == '\n' ? i + 1 : i;
}

/* Emit s[start, end) as data before a tag: sign '-' strips it, no sign strips the blanks of the
 * last line when nothing else stands there (blocks and comments). */
static int data(struct lexer *l, size_t start, size_t end, int sign, bool lstrip, bool line_starts)
{
    size_t stop = end;
    if (sign == '-') {
        struct hn_str t =
            hn_jtext_strip((struct hn_str){l->s + start, end - start}, NULL, HN_RIGHT);
        stop = start + t.n;
    } else if (sign != '+' && lstrip) {
        size_t bol = end;
        while (bol > start && l->s[bol - 1] != '\n')
            bol--;
        if ((bol > start || line_starts) && skip_space(l, bol) >= end)
            stop = bol;
    }
    int line = l->line;
    move_to(l, end);
    return stop > start ? push(l, HN_JTOK_DATA, line, (struct hn_str){l->s + start, stop - start})
                        : 0;
}

static int sign_at(const struct lexer *l, size_t i)
{
    int c = at(l, i);
    return c == '-' || c == '+' ? c : 0;
}

/* "raw" and its closing mark at i (after "{%" and its sign): where the raw text starts, else 0. */
static size_t raw_begin(const struct lexer *l, size_t i)
{
    i = skip_space(l, i);
    if (!looking_at(l, i, "raw"))
        return 0;
    return closing(l, skip_space(l, i + 3), "%}", false, false);
}

static int raw_text(struct lexer *l)
{
    int line = l->line;
    if (l->i == l->n) /* nothing is left to be raw, and Jinja lets it pass */
        return 0;
    for (size_t i = l->i; i + 2 <= l->n; i++) {
        if (l->s[i] != '{' || l->s[i + 1] != '%')
            continue;
        int sign = sign_at(l, i + 2);
        size_t k = skip_space(l, i + 2 + (sign != 0));
        size_t end =
            looking_at(l, k, "endraw") ? closing(l, skip_space(l, k + 6), "%}", true, true) : 0;
        if (!end)
            continue;
        int rc = data(l, l->i, i, sign, true, l->i == 0 || l->s[l->i - 1] == '\n');
        move_to(l, end);
        return rc;
    }
    return hn_fail(l->err, HONE_FAILED,
                   "line %d: the raw block that starts here has no {%% endraw %%}", line);
}

static int comment(struct lexer *l)
{
    int line = l->line;
    if (l->i == l->n)
        return 0;
    for (size_t i = l->i; i < l->n; i++) {
        size_t end = closing(l, i, "#}", true, true);
        if (end) {
            move_to(l, end);
            return 0;
        }
    }
    return hn_fail(l->err, HONE_FAILED, "line %d: the comment that starts here has no end (\"#}\")",
                   line);
}

static int hex(int c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if ((c | 32) >= 'a' && (c | 32) <= 'f')
        return (c | 32) - 'a' + 10;
    return -1;
}

static int bad_escape(struct lexer *l)
{
    return hn_fail(l->err, HONE_FAILED, "line %d: a string has an escape that Python does not know",
                   l->line);
}

/* The escape after a backslash at s[*i], as Python's unicode-escape codec reads it. */
static int escape(struct lexer *l, size_t *i, size_t end, struct hn_buf *out)
{
    static const char from[] = "\\'\"abfnrtv", to[] = "\\'\"\a\b\f\n\r\t\v";
    size_t k = *i;
    uint32_t cp = hn_jtext_next(l->s, end, i);
    const char *p = cp && cp < 0x80 ? strchr(from, (int)cp) : NULL;
    if (p) {
        hn_buf_add_char(out, to[p - from]);
        return 0;
    }
    if (cp == '\n')
        return 0;
    if (cp >=
        0x80) { /* Python writes the character as an escape first, whose backslash this one eats */
        hn_buf_printf(out, cp < 0x100 ? "\\x%02x" : cp < 0x10000 ? "\\u%04x" : "\\U%08x", cp);
        return 0;
    }
    if (cp >= '0' && cp <= '7') {
        uint32_t v = 0;
        size_t stop = HN_MIN(k + 3, end);
        for (*i = k; *i < stop && l->s[*i] >= '0' && l->s[*i] <= '7'; (*i)++)
            v = v * 8 + (uint32_t)(l->s[*i] - '0');
        hn_jtext_add_cp(out, v);
        return 0;
    }
    int digits = cp == 'x' ? 2 : cp == 'u' ? 4 : cp == 'U' ? 8 : 0;
    if (cp == 'N')
        return bad_escape(l);
    if (!digits) { /* an unknown escape stays as it is */
        hn_buf_add_char(out, '\\');
        hn_buf_add_char(out, (char)cp);
        return 0;
    }
    uint32_t v = 0;
    for (int d = 0; d < digits; d++, (*i)++) {
        int h = *i < end ? hex((unsigned char)l->s[*i]) : -1;
        if (h < 0 || v > 0x10ffff)
            return bad_escape(l);
        v = v * 16 + (uint32_t)h;
    }
    if (v > 0x10ffff)
        return bad_escape(l);
    hn_jtext_add_cp(out, v);
    return 0;
}

static int string(struct lexer *l)
{
    char quote = l->s[l->i];
    size_t end = l->i + 1;
    while (end < l->n && l->s[end] != quote)
        end += l->s[end] == '\\' ? 2 : 1;
    if (end >= l->n)
        return hn_fail(l->err, HONE_FAILED, "line %d: the string that starts here has no end",
                       l->line);
    struct hn_buf out;
    hn_buf_init(&out);
    int rc = 0;
    for (size_t i = l->i + 1; i < end && !rc;) {
        if (l->s[i] == '\\') {
            i++;
            rc = escape(l, &i, end, &out);
        } else {
            hn_buf_add_char(&out, l->s[i++]);
        }
    }
    size_t len = out.len;
    char *text = rc || out.failed ? NULL : hn_arena_dup(l->arena, hn_buf_str(&out), len);
    hn_buf_release(&out);
    if (rc)
        return rc;
    if (!text)
        return hn_fail_memory(l->err, "reading a chat template");
    int line = l->line;
    move_to(l, end + 1);
    return push(l, HN_JTOK_STRING, line, (struct hn_str){text, len});
}

static bool is_digit(int c)
{
    return c >= '0' && c <= '9';
}

/* digits with single underscores between them; the offset after them */
static size_t digits(const struct lexer *l, size_t i)
{
    while (is_digit(at(l, i)) || (at(l, i) == '_' && is_digit(at(l, i + 1))))
        i++;
    return i;
}

/* 0b, 0o and 0x numbers, or any number of zeros: the offset after what starts at i */
static size_t zero(const struct lexer *l, size_t i)
{
    int letter = at(l, i + 1) | 32, base = letter == 'b'   ? 2
                                           : letter == 'o' ? 8
                                           : letter == 'x' ? 16
                                                           : 0;
    size_t end = i + 1;
    if (base)
        for (size_t k = i + 2;;) {
            size_t d = k + (at(l, k) == '_');
            int h = hex(at(l, d));
            if (h < 0 || h >= base)
                break;
            end = k = d + 1;
        }
    if (end > i + 1)
        return end;
    for (;;) {
        size_t d = end + (at(l, end) == '_');
        if (at(l, d) != '0')
            return end;
        end = d + 1;
    }
}

static int number(struct lexer *l)
{
    size_t start = l->i, end = start;
    int kind = HN_JTOK_INT;
    if (start == 0 || l->s[start - 1] != '.') {
        size_t e = end = digits(l, start);
        if (at(l, e) == '.' && is_digit(at(l, e + 1))) {
            kind = HN_JTOK_FLOAT;
            e = end = digits(l, e + 1);
        }
        if ((at(l, e) | 32) == 'e') {
            e++;
            if (at(l, e) == '+' || at(l, e) == '-')
                e++;
            if (is_digit(at(l, e))) {
                kind = HN_JTOK_FLOAT;
                end = digits(l, e);
            }
        }
    }
    if (kind == HN_JTOK_INT && at(l, start) == '0')
        end = zero(l, start);
    else if (kind == HN_JTOK_INT)
        end = digits(l, start);
    int rc = push(l, kind, l->line, (struct hn_str){l->s + start, end - start});
    l->i = end;
    return rc;
}

/* The offset after the letters, digits and underscores at i. */
static size_t name_end(const struct lexer *l, size_t i)
{
    while (i < l->n) {
        size_t k = i;
        uint32_t cp = hn_jtext_next(l->s, l->n, &k);
        if (cp != '_' && !hn_jtext_is_alpha(cp) && !hn_jtext_is_numeric(cp))
            break;
        i = k;
    }
    return i;
}

static int operator_token(struct lexer *l)
{
    static const struct {
        char text[3];
        int kind;
    } pairs[] = {{"**", HN_JTOK_POW}, {"//", HN_JTOK_FLOORDIV}, {"==", HN_JTOK_EQ},
                 {"!=", HN_JTOK_NE},  {"<=", HN_JTOK_LE},       {">=", HN_JTOK_GE}};
    for (size_t k = 0; k < HN_COUNT(pairs); k++)
        if (looking_at(l, l->i, pairs[k].text)) {
            l->i += 2;
            return push(l, pairs[k].kind, l->line, (struct hn_str){l->s + l->i - 2, 2});
        }
    char c = l->s[l->i];
    if (!c || !strchr("+-/*%~[](){}<>=.:|,;", c))
        return hn_fail(l->err, HONE_FAILED, "line %d: found '%.*s', expected an expression",
                       l->line, (int)(c ? 1 : 0), l->s + l->i);
    if (strchr("([{", c)) {
        if (l->n_brackets == MAX_BRACKETS)
            return hn_fail(l->err, HONE_FAILED, "line %d: brackets are nested more than %d deep",
                           l->line, MAX_BRACKETS);
        l->brackets[l->n_brackets++] = c == '(' ? ')' : c == '[' ? ']' : '}';
    } else if (strchr(")]}", c)) {
        if (!l->n_brackets)
            return hn_fail(l->err, HONE_FAILED, "line %d: '%c' closes nothing", l->line, c);
        char want = l->brackets[--l->n_brackets];
        if (want != c)
            return hn_fail(l->err, HONE_FAILED, "line %d: found '%c', expected '%c'", l->line, c,
                           want);
    }
    l->i++;
    return push(l, c, l->line, (struct hn_str){l->s + l->i - 1, 1});
}

/* The tokens inside "{% … %}" or "{{ … }}", up to and with the closing mark. */
static int code(struct lexer *l, bool block)
{
    l->n_brackets = 0;
    while (l->i < l->n) {
        size_t end = 0;
        if (!l->n_brackets)
            end = block ? closing(l, l->i, "%}", true, true) : closing(l, l->i, "}}", false, false);
        if (end) {
            int line = l->line;
            move_to(l, end);
            return push(l, block ? HN_JTOK_BLOCK_END : HN_JTOK_VAR_END, line,
                        (struct hn_str){"", 0});
        }
        size_t k = skip_space(l, l->i), name = name_end(l, l->i);
        int c = at(l, l->i), rc;
        if (k > l->i) {
            move_to(l, k);
            continue;
        }
        if (is_digit(c)) {
            rc = number(l);
        } else if (name > l->i) {
            rc = push(l, HN_JTOK_NAME, l->line, (struct hn_str){l->s + l->i, name - l->i});
            l->i = name;
        } else if (c == '"' || c == '\'') {
            rc = string(l);
        } else {
            rc = operator_token(l);
        }
        if (rc)
            return rc;
    }
    return 0;
}

static int root(struct lexer *l)
{
    while (l->i < l->n) {
        size_t start = l->i, i = start;
        bool line_starts = start == 0 || l->s[start - 1] == '\n';
        while (i + 1 < l->n && !(l->s[i] == '{' && strchr("{%#", l->s[i + 1]) && l->s[i + 1]))
            i++;
        if (i + 1 >= l->n)
            return data(l, start, l->n, '+', false, false);
        char kind = l->s[i + 1];
        int sign = sign_at(l, i + 2);
        int rc = data(l, start, i, sign, kind != '{', line_starts);
        if (rc)
            return rc;
        size_t after = i + 2 + (sign != 0), raw = kind == '%' ? raw_begin(l, after) : 0;
        int line = l->line;
        move_to(l, raw ? raw : after);
        if (kind == '#')
            rc = comment(l);
        else if (raw)
            rc = raw_text(l);
        else if (!(rc = push(l, kind == '%' ? HN_JTOK_BLOCK_BEGIN : HN_JTOK_VAR_BEGIN, line,
                             (struct hn_str){"", 0})))
            rc = code(l, kind == '%');
        if (rc)
            return rc;
    }
    return 0;
}

int hn_jinja_lex(struct hn_arena *arena, const char *text, size_t n, struct hn_jtok **toks,
                 size_t *n_toks, struct hone_err *err)
{
    struct lexer l = {.arena = arena, .line = 1, .err = err};
    char *copy = hn_arena_dup(arena, text, n);
    if (!copy)
        return hn_fail_memory(err, "reading a chat template");
    for (size_t i = 0; i < n; i++) {
        if (text[i] == '\r' && i + 1 < n && text[i + 1] == '\n')
            continue;
        copy[l.n++] = text[i] == '\r' ? '\n' : text[i];
    }
    if (l.n && copy[l.n - 1] == '\n')
        l.n--;
    l.s = copy;
    int rc = root(&l);
    if (!rc)
        rc = push(&l, HN_JTOK_EOF, l.line, (struct hn_str){"", 0});
    if (rc) {
        hn_free(l.toks);
        return rc;
    }
    *toks = l.toks;
    *n_toks = l.n_toks;
    return 0;
}

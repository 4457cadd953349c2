#include "migrate/py_lex.h"

#include <string.h>

enum { MAX_FIELDS = 20 }; /* f-strings within f-strings */

struct lexer {
    struct hn_arena *arena;
    const char *p, *end;
    unsigned line, depth, indent;
    bool notebook;
    bool at_start; /* of a logical line */
    struct hn_py_tokens *out;
    size_t cap;
    bool failed;
};

static bool is_name_start(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (unsigned char)c >= 0x80;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_name(char c)
{
    return is_name_start(c) || is_digit(c);
}

static char peek(const struct lexer *l, size_t ahead)
{
    return (size_t)(l->end - l->p) > ahead ? l->p[ahead] : 0;
}

static void add(struct lexer *l, struct hn_py_token t)
{
    struct hn_py_tokens *o = l->out;
    bool last = t.type == HN_PY_NEWLINE || t.type == HN_PY_END;
    if (o->n >= HN_PY_MAX_TOKENS && !(last && l->p == l->end)) {
        if (!o->bad_line) {
            o->bad_line = l->line;
            o->bad_why = "more than a million words";
        }
        l->p = l->end;
        return;
    }
    if (o->n == l->cap) {
        size_t cap = l->cap ? l->cap * 2 : 256;
        struct hn_py_token *items = hn_arena_alloc(l->arena, cap, sizeof *items);
        if (!items) {
            l->failed = true;
            l->p = l->end;
            return;
        }
        if (o->n)
            memcpy(items, o->items, o->n * sizeof *items);
        o->items = items;
        l->cap = cap;
    }
    t.indent = l->indent;
    o->items[o->n++] = t;
}

static void add_plain(struct lexer *l, enum hn_py_token_type type, const char *begin)
{
    add(l, (struct hn_py_token){.type = type,
                                .line = l->line,
                                .text = {begin, (size_t)(l->p - begin)},
                                .begin = begin,
                                .end = l->p});
}

static void give_up(struct lexer *l, unsigned line, const char *why)
{
    if (!l->out->bad_line) {
        l->out->bad_line = line;
        l->out->bad_why = why;
    }
    l->p = l->end;
}

/* ---- strings ------------------------------------------------------------------------------- */

/* The prefix letters before a quote, as flags; -1: this is no string. */
static int string_prefix(const struct lexer *l, size_t *n)
{
    int flags = 0;
    for (*n = 0; *n < 3; ++*n) {
        char c = peek(l, *n);
        if (c == '"' || c == '\'')
            return flags;
        if (c == 'r' || c == 'R')
            flags |= HN_PY_RAW;
        else if (c == 'f' || c == 'F' || c == 't' || c == 'T')
            flags |= HN_PY_FORMAT;
        else if (c == 'b' || c == 'B')
            flags |= HN_PY_BYTES;
        else if (c != 'u' && c != 'U')
            return -1;
    }
    return -1;
}

/* The end of the string that begins at p (after its quotes), or NULL; braces are text. */
static const char *string_end(const char *p, const char *end, char quote, bool triple)
{
    for (; p < end; p++) {
        if (*p == '\\' && p + 1 < end)
            p++;
        else if (*p == '\n' && !triple)
            return NULL;
        else if (*p == quote && (!triple || (end - p >= 3 && p[1] == quote && p[2] == quote)))
            return p;
    }
    return NULL;
}

static const char *format_end(const char *p, const char *end, char quote, bool triple,
                              unsigned depth);

/* The string within a field of an f-string whose quote is at p: where it has ended. */
static const char *inner_string(const char *from, const char *p, const char *end, unsigned depth)
{
    char quote = *p;
    bool triple = end - p >= 3 && p[1] == quote && p[2] == quote;
    bool format = (p > from && (p[-1] | 0x20) == 'f') ||
                  (p > from + 1 && (p[-2] | 0x20) == 'f' && (p[-1] | 0x20) == 'r');
    p += triple ? 3 : 1;
    p = format ? format_end(p, end, quote, triple, depth) : string_end(p, end, quote, triple);
    return p ? p + (triple ? 3 : 1) : NULL;
}

/* A field of an f-string, from after its brace to its closing one; since Python 3.12 the quotes of
 * the string may stand in it again. */
static const char *field_end(const char *p, const char *end, unsigned depth,
                             const char **expression)
{
    const char *from = p;
    unsigned nested = 0;
    bool shape = false; /* after the colon */
    *expression = NULL;
    if (depth > MAX_FIELDS)
        return NULL;
    while (p < end) {
        char c = *p;
        if (!shape && (c == '"' || c == '\'')) {
            p = inner_string(from, p, end, depth + 1);
            if (!p)
                return NULL;
            continue;
        }
        if (shape && c == '{') {
            const char *unused;
            p = field_end(p + 1, end, depth + 1, &unused);
            if (!p)
                return NULL;
        } else if (c == '(' || c == '[' || c == '{') {
            nested += !shape;
        } else if (nested && (c == ')' || c == ']' || c == '}')) {
            nested--;
        } else if (!nested && !shape) {
            bool conversion = c == '!' && end - p > 1 && p[1] != '=';
            if (!*expression && (c == ':' || c == '}' || conversion))
                *expression = p;
            shape = c == ':';
        }
        if (c == '}' && !nested && p >= *expression && *expression)
            return p;
        p++;
    }
    return NULL;
}

static const char *format_end(const char *p, const char *end, char quote, bool triple,
                              unsigned depth)
{
    for (; p < end; p++) {
        const char *unused;
        if (*p == '\\' && p + 1 < end) {
            p++;
        } else if (*p == '\n' && !triple) {
            return NULL;
        } else if (*p == quote && (!triple || (end - p >= 3 && p[1] == quote && p[2] == quote))) {
            return p;
        } else if (*p == '{' && end - p > 1 && p[1] == '{') {
            p++;
        } else if (*p == '{') {
            p = field_end(p + 1, end, depth, &unused);
            if (!p)
                return NULL;
        }
    }
    return NULL;
}

const char *hn_py_field_end(const char *p, const char *end, const char **expression)
{
    return field_end(p, end, 0, expression);
}

static void lex_string(struct lexer *l, size_t prefix, int flags)
{
    const char *begin = l->p, *body = l->p + prefix + 1;
    char quote = l->p[prefix];
    unsigned line = l->line;
    bool triple = l->end - body >= 2 && body[0] == quote && body[1] == quote;
    if (triple)
        body += 2;
    const char *end = flags & HN_PY_FORMAT ? format_end(body, l->end, quote, triple, 0) : NULL;
    if (!end) /* no f-string, or not a sound one */
        end = string_end(body, l->end, quote, triple);
    if (!end) {
        give_up(l, line, "a string that does not end");
        return;
    }
    l->p = end + (triple ? 3 : 1);
    for (const char *c = body; c < end; c++)
        l->line += *c == '\n';
    add(l, (struct hn_py_token){.type = HN_PY_STRING,
                                .flags = (unsigned char)flags,
                                .line = line,
                                .text = {body, (size_t)(end - body)},
                                .begin = begin,
                                .end = l->p});
}

struct hn_str hn_py_take_text(struct hn_arena *arena, struct hn_buf *text)
{
    struct hn_str s = {hn_arena_dup(arena, hn_buf_str(text), text->len), text->len};
    if (text->failed)
        arena->failed = true;
    hn_buf_release(text);
    return s.p ? s : (struct hn_str){"", 0};
}

static int32_t hex_value(const char *p, size_t n)
{
    int32_t v = 0;
    for (size_t i = 0; i < n; i++) {
        char c = p[i] | 0x20;
        int d = is_digit(p[i]) ? p[i] - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
        if (d < 0)
            return -1;
        v = v * 16 + d;
    }
    return v;
}

/* One escape at p (after the backslash) into out; returns the bytes read. */
static size_t unescape_one(const char *p, size_t n, struct hn_buf *out)
{
    static const char from[] = "ntr\\'\"abfv0", to[] = "\n\t\r\\'\"\a\b\f\v";
    const char *at = p[0] ? strchr(from, p[0]) : NULL;
    size_t digits = p[0] == 'x' ? 2 : p[0] == 'u' ? 4 : p[0] == 'U' ? 8 : 0;
    if (p[0] == '\n')
        return 1;
    if (at) {
        hn_buf_add_char(out, *at == '0' ? 0 : to[at - from]);
        return 1;
    }
    if (digits && n > digits) {
        int32_t c = digits == 8 && p[1] != '0' ? -1 : hex_value(p + 1, digits);
        if (c >= 0 && c <= 0x10ffff) {
            char utf8[4];
            hn_buf_add(out, utf8, (size_t)hn_utf8_put((uint32_t)c, utf8));
            return digits + 1;
        }
    }
    hn_buf_add_char(out, '\\');
    hn_buf_add_char(out, p[0]);
    return 1;
}

struct hn_str hn_py_unescape(struct hn_arena *arena, struct hn_str text, int flags)
{
    if (flags & HN_PY_RAW || !text.n || !memchr(text.p, '\\', text.n))
        return text;
    struct hn_buf out = {0};
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] == '\\' && i + 1 < text.n)
            i += unescape_one(text.p + i + 1, text.n - i - 1, &out);
        else
            hn_buf_add_char(&out, text.p[i]);
    }
    return hn_py_take_text(arena, &out);
}

/* ---- the rest ------------------------------------------------------------------------------ */

static void lex_number(struct lexer *l)
{
    const char *begin = l->p;
    bool hex = l->p[0] == '0' && (peek(l, 1) | 0x20) == 'x';
    while (l->p < l->end) {
        char c = *l->p, before = l->p > begin ? l->p[-1] : 0;
        bool sign = (c == '+' || c == '-') && !hex && (before | 0x20) == 'e';
        if (!is_name(c) && c != '.' && !sign)
            break;
        l->p++;
    }
    add_plain(l, HN_PY_NUMBER, begin);
}

static void lex_operator(struct lexer *l)
{
    static const char *const longer[] = {
        "**=", "//=", ">>=", "<<=", "...", "!=", "==", "<=", ">=", "->", ":=", "+=",
        "-=",  "*=",  "/=",  "%=",  "&=",  "|=", "^=", "@=", "**", "//", "<<", ">>"};
    const char *begin = l->p;
    size_t n = 1;
    for (size_t i = 0; i < HN_COUNT(longer); i++) {
        size_t m = strlen(longer[i]);
        if ((size_t)(l->end - l->p) >= m && memcmp(l->p, longer[i], m) == 0) {
            n = m;
            break;
        }
    }
    l->p += n;
    if (n == 1 && strchr("([{", *begin))
        l->depth++;
    else if (n == 1 && strchr(")]}", *begin) && l->depth)
        l->depth--;
    add_plain(l, HN_PY_OP, begin);
}

static void skip_line(struct lexer *l)
{
    while (l->p < l->end && *l->p != '\n') {
        if (*l->p == '\\' && peek(l, 1) == '\n') {
            l->line++;
            l->p++;
        }
        l->p++;
    }
}

/* The start of a logical line: its indentation; shell and magic lines are passed over. */
static void begin_line(struct lexer *l)
{
    unsigned column = 0;
    while (l->p < l->end && (*l->p == ' ' || *l->p == '\t' || *l->p == '\f')) {
        column = *l->p == '\t' ? (column / 8 + 1) * 8 : *l->p == '\f' ? 0 : column + 1;
        l->p++;
    }
    l->indent = column;
    l->at_start = false;
    char c = peek(l, 0);
    if (c == '!' || c == '%' || c == '?') { /* no Python begins so, in exported scripts either */
        l->out->shell_lines++;
        skip_line(l);
    }
}

/* files = !ls, x = %pwd: an unknown value */
static bool is_shell_value(const struct lexer *l)
{
    const struct hn_py_tokens *o = l->out;
    return l->notebook && !l->depth && (*l->p == '!' || *l->p == '%') && o->n &&
           hn_str_is(o->items[o->n - 1].text, "=");
}

static void lex_one(struct lexer *l)
{
    size_t prefix;
    char c = *l->p;
    if (c == '\r' && peek(l, 1) != '\n')
        c = '\n'; /* the line ends of an old Mac */
    if (c == '\n') {
        if (!l->depth) {
            if (l->out->n && l->out->items[l->out->n - 1].type != HN_PY_NEWLINE)
                add_plain(l, HN_PY_NEWLINE, l->p);
            l->at_start = true;
        }
        l->p++;
        l->line++;
    } else if (c == '#') {
        while (l->p < l->end && *l->p != '\n' && *l->p != '\r')
            l->p++;
    } else if (c == '\\' && (peek(l, 1) == '\n' || (peek(l, 1) == '\r' && peek(l, 2) == '\n'))) {
        l->p += peek(l, 1) == '\n' ? 2 : 3;
        l->line++;
    } else if (is_shell_value(l)) {
        l->out->shell_lines++;
        skip_line(l);
        add(l,
            (struct hn_py_token){
                .type = HN_PY_OP, .line = l->line, .text = {"...", 3}, .begin = l->p, .end = l->p});
    } else if (c == ' ' || c == '\t' || c == '\r' || c == '\f' || (c == '?' && l->notebook)) {
        l->p++;
    } else if (c == '"' || c == '\'' || is_name_start(c)) {
        int flags = string_prefix(l, &prefix);
        const char *begin = l->p;
        if (flags >= 0) {
            lex_string(l, prefix, flags);
            return;
        }
        while (l->p < l->end && is_name(*l->p))
            l->p++;
        add_plain(l, HN_PY_NAME, begin);
    } else if (is_digit(c) || (c == '.' && is_digit(peek(l, 1)))) {
        lex_number(l);
    } else {
        lex_operator(l);
    }
}

/* A cell magic: %%time and the like are passed over with the cell kept, %%writefile x.py keeps the
 * script, any other (%%bash, %%html) makes the cell something else than Python. */
static void cell_magic(struct lexer *l)
{
    static const char *const kept[] = {"%%time", "%%timeit", "%%capture", "%%prun", "%%python"};
    const char *p = l->p;
    while (p < l->end && (*p == '\n' || *p == ' ' || *p == '\r'))
        p++;
    if (l->end - p < 3 || p[0] != '%' || p[1] != '%')
        return;
    const char *eol = memchr(p, '\n', (size_t)(l->end - p));
    size_t n = (size_t)((eol ? eol : l->end) - p);
    while (n && (p[n - 1] == ' ' || p[n - 1] == '\r'))
        n--;
    bool python = n > 14 && memcmp(p, "%%writefile", 11) == 0 && memcmp(p + n - 3, ".py", 3) == 0;
    for (size_t i = 0; i < HN_COUNT(kept) && !python; i++)
        python = n >= strlen(kept[i]) && memcmp(p, kept[i], strlen(kept[i])) == 0;
    l->out->shell_lines++;
    if (!python)
        l->p = l->end;
}

int hn_py_lex(struct hn_arena *arena, const struct hn_py_source *source, struct hn_py_tokens *out,
              struct hone_err *err)
{
    struct lexer l = {.arena = arena,
                      .p = source->text.p,
                      .end = source->text.p + source->text.n,
                      .line = 1,
                      .at_start = true,
                      .notebook = source->cell > 0,
                      .out = out};
    *out = (struct hn_py_tokens){0};
    if (source->text.n >= 3 && memcmp(l.p, "\xef\xbb\xbf", 3) == 0)
        l.p += 3;
    if (l.notebook)
        cell_magic(&l);
    while (l.p < l.end) {
        if (l.at_start)
            begin_line(&l);
        if (l.p < l.end)
            lex_one(&l);
    }
    if (l.depth)
        give_up(&l, l.line, "the end, with a bracket still open");
    add_plain(&l, HN_PY_NEWLINE, l.p);
    for (int i = 0; i < HN_PY_LOOKAHEAD; i++)
        add_plain(&l, HN_PY_END, l.p);
    return l.failed || arena->failed ? hn_fail_memory(err, "reading the source") : 0;
}

#include "data/record.h"

#include <stdio.h>
#include <string.h>

static const char response_marker[] = "### RESPONSE:\n";
static const char alpaca_marker[] = "\n\n### Response:\n";
/* The prompt texts of Stanford Alpaca (github.com/tatsu-lab/stanford_alpaca), with the newline
 * after the last marker that the published data set's own "text" column has. */
static const char alpaca_start[] = "Below is an instruction that describes a task";
static const char alpaca_plain[] =
    ". Write a response that appropriately completes the request.\n\n### Instruction:\n";
static const char alpaca_paired[] =
    ", paired with an input that provides further context. Write a response that appropriately "
    "completes the request.\n\n### Instruction:\n";

static const char *const kind_names[HONE_RECORD_COUNT] = {"auto", "chat",   "completion",
                                                          "task", "alpaca", "text"};

const char *hone_record_kind_name(enum hone_record_kind kind)
{
    return (unsigned)kind < HONE_RECORD_COUNT ? kind_names[kind] : "unknown";
}

enum hone_record_kind hone_record_kind_find(const char *name)
{
    int k = 0;
    while (k < HONE_RECORD_COUNT && strcmp(kind_names[k], name) != 0)
        k++;
    return (enum hone_record_kind)k;
}

void hn_record_init(struct hn_record *r)
{
    *r = (struct hn_record){0};
    hn_arena_init(&r->arena, 0);
}

void hn_record_release(struct hn_record *r)
{
    hn_arena_release(&r->arena);
    hn_buf_release(&r->buf);
    *r = (struct hn_record){0};
}

static bool is_blank(struct hn_str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] != ' ' && s.p[i] != '\t' && s.p[i] != '\n' && s.p[i] != '\r')
            return false;
    return true;
}

static bool has(const struct hn_json *row, const char *key)
{
    return hn_json_get(row, key) != NULL;
}

static enum hone_record_kind detect(const struct hn_json *row)
{
    if (has(row, "messages") || has(row, "conversations"))
        return HONE_RECORD_CHAT;
    if (has(row, "prompt") && has(row, "completion"))
        return HONE_RECORD_COMPLETION;
    if (has(row, "task") || (has(row, "instruction") && has(row, "response")))
        return HONE_RECORD_TASK;
    if (has(row, "instruction") && has(row, "output"))
        return HONE_RECORD_ALPACA;
    if (has(row, "text"))
        return HONE_RECORD_TEXT;
    return HONE_RECORD_AUTO;
}

void hn_record_quote(struct hn_buf *out, struct hn_str s)
{
    enum { LONGEST = 40 };
    struct hn_json v = {.type = HN_JSON_STRING, .text = s};
    while (v.text.n > LONGEST ||
           (v.text.n < s.n && v.text.n && ((unsigned char)s.p[v.text.n] & 0xc0) == 0x80))
        v.text.n--;
    hn_json_dump(out, &v, -1, false, false);
    if (v.text.n < s.n)
        hn_buf_add_str(out, "\xe2\x80\xa6");
}

/* "the keys "a", "b" and 3 more", for messages about rows of no known kind. */
static void name_keys(const struct hn_json *row, struct hn_buf *out)
{
    hn_buf_add_str(out, row->n == 1 ? "the key " : "the keys ");
    for (size_t i = 0; i < row->n && i < 6; i++) {
        hn_buf_add_str(out, i ? ", " : "");
        hn_record_quote(out, row->members[i].key);
    }
    if (row->n > 6)
        hn_buf_printf(out, " and %zu more", row->n - 6);
}

static int fail_unknown(const struct hn_json *row, struct hone_err *err)
{
    struct hn_buf keys = {0};
    name_keys(row, &keys);
    int rc = hn_fail(err, HONE_FAILED,
                     "found %s, expected \"messages\" or \"conversations\" (chat), \"prompt\" and "
                     "\"completion\", \"task\" or \"instruction\" and \"response\" (task record), "
                     "\"instruction\" and \"output\" (Alpaca), or \"text\"",
                     hn_buf_str(&keys));
    hn_buf_release(&keys);
    return rc;
}

int hn_record_check_text(const char *key, struct hn_str s, struct hone_err *err)
{
    size_t at = hn_utf8_check(s.p, s.n);
    if (at == s.n)
        return 0;
    /* The reader has refused every other kind of invalid text: this is a surrogate, as WTF-8. */
    unsigned unit = (unsigned)(s.p[at] & 15) << 12;
    if (s.n - at >= 3)
        unit |= (unsigned)(s.p[at + 1] & 63) << 6 | (unsigned)(s.p[at + 2] & 63);
    return hn_fail(err, HONE_FAILED,
                   "\"%s\" holds the lone surrogate \\u%04x, expected characters: half of a pair "
                   "cannot be encoded",
                   key, unit);
}

static int fail_type(const char *key, const struct hn_json *v, const char *expected,
                     struct hone_err *err)
{
    return hn_fail(err, HONE_FAILED, "\"%s\": found %s, expected %s", key, hn_json_type_name(v),
                   expected);
}

/* A string that must be there. */
static int need_string(const struct hn_json *row, const char *key, struct hn_str *out,
                       struct hone_err *err)
{
    const struct hn_json *v = hn_json_get(row, key);
    if (!hn_json_str(v, out))
        return fail_type(key, v, "a string", err);
    return hn_record_check_text(key, *out, err);
}

/* A string that may be missing or null, and is `missing` then. */
static int take_string(const struct hn_json *row, const char *key, const char *missing,
                       struct hn_str *out, struct hone_err *err)
{
    const struct hn_json *v = hn_json_get(row, key);
    if (!v || v->type == HN_JSON_NULL) {
        *out = hn_str_of(missing);
        return 0;
    }
    if (!hn_json_str(v, out))
        return fail_type(key, v, "a string", err);
    return hn_record_check_text(key, *out, err);
}

static void add(struct hn_buf *b, struct hn_str s)
{
    hn_buf_add(b, s.p, s.n);
}

/* The text gathered in r->buf becomes the row's. */
static int keep_text(struct hn_record *r, struct hone_err *err)
{
    char *p = r->buf.failed ? NULL : hn_arena_dup(&r->arena, r->buf.data, r->buf.len);
    if (!p)
        return hn_fail_memory(err, "reading a row");
    r->text = (struct hn_str){p, r->buf.len};
    return 0;
}

static int read_task(struct hn_record *r, const struct hn_json *row, struct hone_err *err)
{
    static const char *const keys[] = {"task", "instruction", "context", "response"};
    struct hn_str s[4];
    bool known = has(row, "response_json");
    for (size_t i = 0; i < HN_COUNT(keys); i++) {
        known |= has(row, keys[i]);
        int rc = take_string(row, keys[i], i ? "" : "UNKNOWN", &s[i], err);
        if (rc)
            return rc;
    }
    if (!known)
        return fail_unknown(row, err);
    const struct hn_json *json = hn_json_get(row, "response_json");
    if (json && json->type != HN_JSON_NULL && json->type != HN_JSON_OBJECT &&
        json->type != HN_JSON_ARRAY)
        return fail_type("response_json", json, "an object or an array", err);
    struct hn_buf *b = &r->buf;
    hn_buf_add_str(b, "### TASK: ");
    add(b, s[0]);
    hn_buf_add_str(b, "\n### INSTRUCTION:\n");
    add(b, s[1]);
    if (s[2].n) {
        hn_buf_add_str(b, "\n### CONTEXT:\n");
        add(b, s[2]);
    }
    hn_buf_add_char(b, '\n');
    hn_buf_add_str(b, response_marker);
    add(b, s[3]);
    if (json && json->type != HN_JSON_NULL && json->n) {
        hn_buf_add_str(b, "\n### RESPONSE_JSON:\n");
        hn_json_dump(b, json, 2, true, false);
    }
    int rc = keep_text(r, err);
    r->prompt_size = rc ? SIZE_MAX : hn_record_find_response(r->text);
    return rc;
}

static int read_alpaca(struct hn_record *r, const struct hn_json *row, struct hone_err *err)
{
    struct hn_str instruction, input, output;
    int rc = need_string(row, "instruction", &instruction, err);
    rc = rc ? rc : take_string(row, "input", "", &input, err);
    rc = rc ? rc : need_string(row, "output", &output, err);
    if (rc)
        return rc;
    r->empty = is_blank(instruction) && is_blank(input) && is_blank(output);
    struct hn_buf *b = &r->buf;
    hn_buf_add_str(b, alpaca_start);
    hn_buf_add_str(b, input.n ? alpaca_paired : alpaca_plain);
    add(b, instruction);
    if (input.n) {
        hn_buf_add_str(b, "\n\n### Input:\n");
        add(b, input);
    }
    hn_buf_add_str(b, alpaca_marker);
    add(b, output);
    rc = keep_text(r, err);
    r->prompt_size = rc ? SIZE_MAX : hn_record_find_response(r->text);
    return rc;
}

static int read_text(struct hn_record *r, const struct hn_json *row, struct hone_err *err)
{
    int rc = need_string(row, "text", &r->text, err);
    if (rc)
        return rc;
    r->empty = is_blank(r->text);
    r->prompt_size = hn_record_find_response(r->text);
    return 0;
}

static bool is_turns(const struct hn_json *v)
{
    return v && (v->type == HN_JSON_ARRAY || v->type == HN_JSON_OBJECT);
}

static int read_completion(struct hn_record *r, const struct hn_json *row, struct hone_err *err)
{
    if (is_turns(hn_json_get(row, "prompt")) && is_turns(hn_json_get(row, "completion")))
        return hn_record_read_turns(r, row, err);
    int rc = need_string(row, "prompt", &r->prompt, err);
    rc = rc ? rc : need_string(row, "completion", &r->completion, err);
    rc = rc ? rc : hn_record_read_tools(r, row, err);
    r->empty = !rc && is_blank(r->prompt) && is_blank(r->completion);
    return rc;
}

/* The place of the first occurrence of a marker in s, just after it; SIZE_MAX: none. */
static size_t find_after(struct hn_str s, const char *marker)
{
    size_t m = strlen(marker);
    for (size_t i = 0; s.n >= m && i <= s.n - m; i++) {
        const char *at = memchr(s.p + i, marker[0], s.n - m - i + 1);
        if (!at)
            break;
        i = (size_t)(at - s.p);
        if (memcmp(at, marker, m) == 0)
            return i + m;
    }
    return SIZE_MAX;
}

size_t hn_record_find_response(struct hn_str text)
{
    size_t n = sizeof alpaca_start - 1;
    if (text.n > n && memcmp(text.p, alpaca_start, n) == 0) {
        size_t at = find_after(text, alpaca_marker);
        if (at != SIZE_MAX)
            return at;
    }
    return find_after(text, response_marker);
}

static int read_kind(struct hn_record *r, const struct hn_json *row, struct hone_err *err)
{
    switch (r->kind) {
    case HONE_RECORD_CHAT:
        return hn_record_read_messages(r, row, err);
    case HONE_RECORD_COMPLETION:
        return read_completion(r, row, err);
    case HONE_RECORD_TASK:
        return read_task(r, row, err);
    case HONE_RECORD_ALPACA:
        return read_alpaca(r, row, err);
    case HONE_RECORD_TEXT:
        return read_text(r, row, err);
    default:
        return fail_unknown(row, err);
    }
}

static int parse_line(struct hn_record *r, struct hn_str line, struct hn_json **row,
                      struct hone_err *err)
{
    struct hone_err inner = {0};
    int rc = hn_json_parse(&r->arena, line.p, line.n, HN_JSON_PYTHON, row, &inner);
    if (rc == HONE_NO_MEMORY)
        return hn_fail_memory(err, "reading a row");
    if (rc) { /* the row's place among the lines of the file is the caller's */
        const char *at = inner.message, *comma = strchr(at, ',');
        if (hn_starts_with(at, "line 1, "))
            return hn_fail(err, rc, "%s", at + 8);
        return comma ? hn_fail(err, rc, "%.*s of the row%s", (int)(comma - at), at, comma)
                     : hn_fail(err, rc, "%s", at);
    }
    if ((*row)->type == HN_JSON_ARRAY)
        return hn_fail(err, HONE_FAILED, "found an array, expected an object");
    if ((*row)->type != HN_JSON_OBJECT)
        return hn_fail(err, HONE_FAILED, "found %s, expected an object", hn_json_type_name(*row));
    return 0;
}

int hn_record_unwrap(struct hn_record *r, const char *key, struct hn_json *v, struct hone_err *err)
{
    struct hone_err inner = {0};
    struct hn_json *j = NULL;
    int rc = hn_json_parse(&r->arena, v->text.p, v->text.n, HN_JSON_PYTHON, &j, &inner);
    if (rc == HONE_NO_MEMORY)
        return hn_fail_memory(err, "reading a row");
    if (rc)
        return hn_fail(err, rc, "\"%s\" is a string that holds no JSON: %s", key, inner.message);
    *v = *j;
    return 0;
}

/* Cells are strings: what may be missing is when it is empty, and lists are unwrapped. */
static int open_cells(struct hn_record *r, struct hn_json *row, struct hone_err *err)
{
    static const char *const optional[] = {"task",   "context", "input", "response_json",
                                           "system", "tools",   NULL};
    static const char *const nested[] = {"messages", "conversations", "tools", "response_json",
                                         NULL};
    bool all_empty = true;
    int rc = 0;
    for (size_t i = 0; i < row->n && !rc; i++) {
        struct hn_json_member *m = &row->members[i];
        all_empty &= is_blank(m->value.text);
        for (size_t k = 0; optional[k] && m->value.type == HN_JSON_STRING; k++)
            if (m->value.text.n == 0 && hn_str_is(m->key, optional[k]))
                m->value.type = HN_JSON_NULL;
        for (size_t k = 0; nested[k] && m->value.type == HN_JSON_STRING && !rc; k++)
            if (hn_str_is(m->key, nested[k]))
                rc = hn_record_unwrap(r, nested[k], &m->value, err);
    }
    r->empty = all_empty;
    return rc;
}

int hn_record_parse(struct hn_record *r, const char *line, size_t n, enum hone_record_kind forced,
                    enum hone_record_kind fallback, struct hone_err *err)
{
    struct hn_str s = {line, n};
    struct hn_json *row = NULL;
    hn_arena_clear(&r->arena);
    hn_buf_clear(&r->buf);
    *r = (struct hn_record){.kind = forced ? forced : fallback,
                            .prompt_size = SIZE_MAX,
                            .cells = r->cells,
                            .arena = r->arena,
                            .buf = r->buf};
    if (n >= 3 && memcmp(line, "\xef\xbb\xbf", 3) == 0)
        s = (struct hn_str){line + 3, n - 3};
    else if (n >= 2 && (memcmp(line, "\xff\xfe", 2) == 0 || memcmp(line, "\xfe\xff", 2) == 0))
        return hn_fail(err, HONE_FAILED, "found a UTF-16 byte order mark, expected UTF-8 text");
    r->empty = is_blank(s);
    if (r->empty)
        return 0;
    int rc = parse_line(r, s, &row, err);
    if (rc)
        return rc;
    r->n_keys = (uint32_t)HN_MIN(row->n, (size_t)UINT32_MAX);
    r->empty = row->n == 0;
    if (r->cells && !r->empty)
        rc = open_cells(r, row, err);
    if (rc || r->empty)
        return rc;
    enum hone_record_kind told = detect(row);
    if (!forced && told)
        r->kind = told;
    if (!forced && !told && (fallback == HONE_RECORD_CHAT || fallback == HONE_RECORD_TEXT))
        return fail_unknown(row, err); /* it has nothing of what the file's other rows have */
    return read_kind(r, row, err);
}

static void add_json_str(struct hn_buf *out, struct hn_str s)
{
    struct hn_json v = {.type = HN_JSON_STRING, .text = s};
    hn_json_dump(out, &v, -1, true, false);
}

void hn_record_write(const struct hn_record *r, struct hn_buf *out)
{
    if (r->kind == HONE_RECORD_CHAT) {
        hn_buf_add_str(out, "{\"messages\": ");
        hn_json_dump(out, r->messages, -1, true, false);
    } else if (r->kind == HONE_RECORD_COMPLETION && r->messages) {
        struct hn_json prompt = *r->messages, completion = *r->messages;
        prompt.n = HN_MIN(r->n_prompt, prompt.n);
        completion.items += prompt.n;
        completion.n -= prompt.n;
        hn_buf_add_str(out, "{\"prompt\": ");
        hn_json_dump(out, &prompt, -1, true, false);
        hn_buf_add_str(out, ", \"completion\": ");
        hn_json_dump(out, &completion, -1, true, false);
    } else if (r->kind == HONE_RECORD_COMPLETION) {
        hn_buf_add_str(out, "{\"prompt\": ");
        add_json_str(out, r->prompt);
        hn_buf_add_str(out, ", \"completion\": ");
        add_json_str(out, r->completion);
    } else {
        hn_buf_add_str(out, "{\"text\": ");
        add_json_str(out, r->text);
    }
    if (r->tools) {
        hn_buf_add_str(out, ", \"tools\": ");
        hn_json_dump(out, r->tools, -1, true, false);
    }
    hn_buf_add_char(out, '}');
}

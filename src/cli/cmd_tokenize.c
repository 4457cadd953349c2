/* hone tokenize: text to arrays of ids, a line each, and back. */
#include <string.h>
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "cli/cli.h"

enum { MAX_LINE = 256 << 20 };

struct work {
    const struct hone_tokenizer *tok;
    bool decode;
    int flags;
    struct hone_tokens ids;
    struct hn_buf out;
};

static int encode(struct work *w, const char *text, size_t n, struct hone_err *err)
{
    struct hn_json_writer json;
    w->ids.n = 0;
    int rc = hone_tokenizer_encode(w->tok, text, n, w->flags, &w->ids, err);
    if (rc)
        return rc;
    hn_buf_clear(&w->out);
    hn_jw_init(&json, &w->out, -1);
    hn_jw_open(&json, '[');
    for (size_t i = 0; i < w->ids.n; i++)
        hn_jw_int(&json, w->ids.ids[i]);
    hn_jw_close(&json, ']');
    hn_buf_add_char(&w->out, '\n');
    return w->out.failed ? hn_fail_memory(err, "writing ids") : 0;
}

/* Read a JSON array of ids into w->ids. */
static int read_ids(struct work *w, const char *text, size_t n, struct hone_err *err)
{
    struct hn_arena arena;
    struct hn_json *root = NULL;
    struct hone_tokenizer_info info;
    hone_tokenizer_info(w->tok, &info);
    hn_arena_init(&arena, (size_t)4 << 30);
    int rc = hn_json_parse(&arena, text, n, 0, &root, err);
    if (!rc && root->type != HN_JSON_ARRAY)
        rc = hn_fail(err, HONE_FAILED, "found %s, expected an array of ids",
                     hn_json_type_name(root));
    w->ids.n = 0;
    if (!rc && root->n > w->ids.cap) {
        void *grown = hn_realloc(w->ids.ids, root->n, sizeof *w->ids.ids);
        if (grown) {
            w->ids.ids = grown;
            w->ids.cap = root->n;
        } else {
            rc = hn_fail_memory(err, "reading ids");
        }
    }
    for (size_t i = 0; !rc && i < root->n; i++) {
        int64_t id;
        if (!hn_json_int(hn_json_at(root, i), &id) || id < 0 || id >= info.vocab_size)
            rc = hn_fail(err, HONE_FAILED,
                         "item %zu of the array is no token id; this tokenizer has 0 to %lld", i,
                         (long long)info.vocab_size - 1);
        else
            w->ids.ids[w->ids.n++] = (int32_t)id;
    }
    hn_arena_release(&arena);
    return rc;
}

static int decode(struct work *w, const char *text, size_t n, struct hone_err *err)
{
    char *decoded = NULL;
    size_t len = 0;
    int rc = read_ids(w, text, n, err);
    if (!rc)
        rc = hone_tokenizer_decode(w->tok, w->ids.ids, w->ids.n, w->flags, &decoded, &len, err);
    if (!rc) {
        hn_buf_clear(&w->out);
        hn_buf_add(&w->out, decoded, len);
        hn_buf_add_char(&w->out, '\n');
        if (w->out.failed)
            rc = hn_fail_memory(err, "writing text");
    }
    hone_free(decoded);
    return rc;
}

static int one(struct work *w, const char *text, size_t n, struct hone_err *err)
{
    int rc = w->decode ? decode(w, text, n, err) : encode(w, text, n, err);
    if (!rc)
        fwrite(hn_buf_str(&w->out), 1, w->out.len, stdout);
    return rc;
}

static int each_line(struct work *w, const char *path, struct hone_err *err)
{
    struct hn_lines lines;
    bool input = strcmp(path, "-") == 0;
    int rc = hn_lines_open(&lines, input ? "/dev/stdin" : path, MAX_LINE, err), got = 0;
    if (rc)
        return rc;
    while (!rc && (got = hn_lines_next(&lines, err)) > 0) {
        rc = one(w, hn_buf_str(&lines.line), lines.line.len, err);
        if (rc)
            rc = hn_fail_prefix(err, "%s:%llu", input ? "standard input" : path,
                                (unsigned long long)lines.number);
    }
    hn_lines_close(&lines);
    return rc ? rc : got;
}

int hn_cmd_tokenize(struct hn_conf *c, struct hone_err *err)
{
    struct work w = {.decode = c->set.decode};
    struct hone_tokenizer *tok = NULL;
    if (!c->set.model)
        return hn_fail(err, HONE_USAGE, "--model is missing: whose tokenizer?");
    if (c->set.text && c->n_arguments)
        return hn_fail(err, HONE_USAGE,
                       "both --text and a file are given: one of them is the input");
    if (w.decode)
        w.flags = c->set.special ? 0 : HONE_SKIP_SPECIAL;
    else
        w.flags = c->set.special ? HONE_ADD_SPECIAL : 0;
    int rc = hn_cli_open_tokenizer(c->set.model, &tok, err);
    w.tok = tok;
    if (!rc && (c->set.text || hn_conf_source(c, "text") == HN_FROM_LINE)) {
        const char *text = c->set.text ? c->set.text : "";
        rc = one(&w, text, strlen(text), err);
    } else if (!rc) {
        rc = each_line(&w, hn_cli_argument(c, "-"), err);
    }
    hone_tokens_release(&w.ids);
    hn_buf_release(&w.out);
    hone_tokenizer_close(&tok);
    return rc;
}

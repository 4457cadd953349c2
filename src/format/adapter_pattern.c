#define PCRE2_CODE_UNIT_WIDTH 8
#include "format/adapter_pattern.h"
#include "base/mem.h"

#include <pcre2.h>
#include <string.h>

enum { MAX_PATTERNS = 100000, MATCH_LIMIT = 100000 };

struct hn_pattern {
    pcre2_code *code;
    const char *key; /* borrowed from the JSON */
    double value;
};

static int compile(struct hn_pattern *out, struct hn_str key, const char *name,
                   struct hone_err *err)
{
    struct hn_buf text = {0};
    hn_buf_add_str(&text, "^(?:.*\\.)?(?:");
    hn_buf_add(&text, key.p, key.n);
    hn_buf_add_str(&text, ")$");
    if (text.failed) {
        hn_buf_release(&text);
        return hn_fail_memory(err, "reading an adapter");
    }
    int code;
    PCRE2_SIZE at;
    out->code = pcre2_compile((PCRE2_SPTR)text.data, text.len, PCRE2_UTF | PCRE2_NEVER_BACKSLASH_C,
                              &code, &at, NULL);
    hn_buf_release(&text);
    if (out->code)
        return 0;
    PCRE2_UCHAR why[128] = "?";
    pcre2_get_error_message(code, why, sizeof why);
    return hn_fail(err, HONE_FAILED, "%s: \"%.80s\" is not a regular expression: %s", name, key.p,
                   (const char *)why);
}

int hn_patterns_open(struct hn_patterns *p, const struct hn_json *j, const char *name,
                     struct hone_err *err)
{
    *p = (struct hn_patterns){0};
    if (!j || j->type == HN_JSON_NULL)
        return 0;
    if (j->type != HN_JSON_OBJECT)
        return hn_fail(err, HONE_FAILED, "%s is %s, expected an object", name,
                       hn_json_type_name(j));
    if (j->n > MAX_PATTERNS)
        return hn_fail(err, HONE_FAILED, "%s has %zu entries, expected at most %d", name, j->n,
                       MAX_PATTERNS);
    p->items = hn_calloc(j->n, sizeof *p->items);
    int rc = p->items ? 0 : hn_fail_memory(err, "reading an adapter");
    for (size_t i = 0; i < j->n && !rc; i++) {
        const struct hn_json_member *m = &j->members[i];
        struct hn_pattern *item = &p->items[p->n++];
        item->key = m->key.p;
        if (!hn_json_float(&m->value, &item->value))
            rc = hn_fail(err, HONE_FAILED, "%s: \"%.80s\" is %s, expected a number", name, m->key.p,
                         hn_json_type_name(&m->value));
        else
            rc = compile(item, m->key, name, err);
    }
    if (rc)
        hn_patterns_close(p);
    return rc;
}

void hn_patterns_close(struct hn_patterns *p)
{
    for (size_t i = 0; i < p->n; i++)
        pcre2_code_free(p->items[i].code);
    hn_free(p->items);
    *p = (struct hn_patterns){0};
}

int hn_patterns_find(const struct hn_patterns *p, const char *path, double missing, double *out,
                     struct hone_err *err)
{
    *out = missing;
    if (!p->n)
        return 0;
    pcre2_match_data *match = pcre2_match_data_create(1, NULL);
    pcre2_match_context *context = pcre2_match_context_create(NULL);
    int rc = match && context ? 0 : hn_fail_memory(err, "reading an adapter");
    if (!rc)
        pcre2_set_match_limit(context, MATCH_LIMIT);
    for (size_t i = 0; i < p->n && !rc; i++) {
        int found =
            pcre2_match(p->items[i].code, (PCRE2_SPTR)path, strlen(path), 0, 0, match, context);
        if (found >= 0) {
            *out = p->items[i].value;
            break;
        }
        if (found != PCRE2_ERROR_NOMATCH)
            rc = hn_fail(err, HONE_FAILED,
                         "the pattern \"%.80s\" takes too long to match against \"%s\"",
                         p->items[i].key, path);
    }
    pcre2_match_data_free(match);
    pcre2_match_context_free(context);
    return rc;
}

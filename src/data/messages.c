/* Chat rows: OpenAI's "messages" and ShareGPT's "conversations", brought into one form. */
#include "data/record.h"

#include <string.h>

/* The names that ShareGPT files give to roles. */
static const char *const share_roles[][2] = {
    {"human", "user"},        {"gpt", "assistant"},
    {"chatgpt", "assistant"}, {"bing", "assistant"},
    {"bard", "assistant"},    {"model", "assistant"},
    {"bot", "assistant"},     {"function_call", "assistant"},
    {"observation", "tool"},  {"function_response", "tool"},
};
static const char *const roles[] = {"user", "assistant", "system", "tool", "function"};

/* Every string of a tree that a template may write must be text. */
static int check_tree(const char *key, const struct hn_json *v, struct hone_err *err)
{
    int rc = 0;
    if (v->type == HN_JSON_STRING)
        return hn_record_check_text(key, v->text, err);
    for (size_t i = 0; i < v->n && !rc && v->type == HN_JSON_ARRAY; i++)
        rc = check_tree(key, &v->items[i], err);
    for (size_t i = 0; i < v->n && !rc && v->type == HN_JSON_OBJECT; i++) {
        rc = hn_record_check_text(key, v->members[i].key, err);
        rc = rc ? rc : check_tree(key, &v->members[i].value, err);
    }
    return rc;
}

static struct hn_json *find(const struct hn_json *j, const char *key)
{
    for (size_t i = 0; i < j->n; i++)
        if (hn_str_is(j->members[i].key, key))
            return &j->members[i].value;
    return NULL;
}

/* A member that had the new name already goes, as in TRL's maybe_convert_to_chatml. */
static void rename_key(struct hn_json *j, const char *from, const char *to)
{
    size_t n = 0;
    if (!find(j, from))
        return;
    for (size_t i = 0; i < j->n; i++)
        if (!hn_str_is(j->members[i].key, to))
            j->members[n++] = j->members[i];
    j->n = n;
    for (size_t i = 0; i < n; i++)
        if (hn_str_is(j->members[i].key, from))
            j->members[i].key = hn_str_of(to);
}

static int fail_in(const char *list, size_t i, const char *key, const char *found,
                   const char *expected, struct hone_err *err)
{
    return hn_fail(err, HONE_FAILED, "\"%s\"[%zu]%s%s%s: found %s, expected %s", list, i,
                   key ? "[\"" : "", key ? key : "", key ? "\"]" : "", found, expected);
}

/* Templates know roles of their own, so any name will do for "role"; "from" is ShareGPT's. */
static int check_role(const char *list, size_t i, struct hn_json *role, bool share,
                      struct hone_err *err)
{
    const char *key = share ? "from" : "role";
    struct hn_str s;
    if (!hn_json_str(role, &s))
        return fail_in(list, i, key, hn_json_type_name(role), "a string", err);
    if (!share && s.n)
        return 0;
    for (size_t k = 0; k < HN_COUNT(roles); k++)
        if (hn_str_is(s, roles[k]))
            return 0;
    for (size_t k = 0; k < HN_COUNT(share_roles); k++) {
        if (hn_str_is(s, share_roles[k][0])) {
            role->text = hn_str_of(share_roles[k][1]);
            return 0;
        }
    }
    struct hn_buf found = {0};
    hn_record_quote(&found, s);
    int rc = fail_in(list, i, key, hn_buf_str(&found),
                     share ? "\"human\", \"gpt\", \"system\" or \"tool\"" : "a name", err);
    hn_buf_release(&found);
    return rc;
}

/* A string, null (a message that only calls tools), or a list of {"type","text"} parts. */
static int check_content(const char *list, size_t i, const struct hn_json *m, const char *key,
                         struct hone_err *err)
{
    const struct hn_json *v = hn_json_get(m, key);
    bool calls = hn_json_get(m, "tool_calls") != NULL;
    if (v ? v->type == HN_JSON_STRING || (v->type == HN_JSON_NULL && calls) : calls)
        return 0;
    if (!v || v->type != HN_JSON_ARRAY)
        return fail_in(list, i, key, hn_json_type_name(v), "a string", err);
    for (size_t k = 0; k < v->n; k++) {
        struct hn_str text;
        const struct hn_json *type = hn_json_get(&v->items[k], "type");
        if (!hn_json_is(type, "text"))
            return fail_in(list, i, key, "a part that is not text",
                           "a string or parts of type \"text\"", err);
        if (!hn_json_str(hn_json_get(&v->items[k], "text"), &text))
            return fail_in(list, i, key, "a part without \"text\"", "a string in its \"text\"",
                           err);
    }
    return 0;
}

static int read_message(const char *list, size_t i, struct hn_json *m, struct hone_err *err)
{
    if (m->type != HN_JSON_OBJECT)
        return fail_in(list, i, NULL, hn_json_type_name(m), "an object", err);
    bool share = !find(m, "role") && find(m, "from");
    const char *content = share ? "value" : "content";
    int rc = check_role(list, i, find(m, share ? "from" : "role"), share, err);
    rc = rc ? rc : check_content(list, i, m, content, err);
    rc = rc ? rc : check_tree(list, m, err);
    if (!rc && share) {
        rename_key(m, "from", "role");
        rename_key(m, "value", "content");
    }
    return rc;
}

/* ShareGPT files may keep the system message beside the conversation. */
static int add_system(struct hn_record *r, const struct hn_json *row, struct hone_err *err)
{
    const struct hn_json *v = hn_json_get(row, "system");
    struct hn_str s;
    if (!v || v->type == HN_JSON_NULL)
        return 0;
    if (!hn_json_str(v, &s))
        return hn_fail(err, HONE_FAILED, "\"system\": found %s, expected a string",
                       hn_json_type_name(v));
    struct hn_json *list = r->messages;
    if (s.n == 0 || (list->n && hn_json_is(hn_json_get(&list->items[0], "role"), "system")))
        return 0;
    int rc = hn_record_check_text("system", s, err);
    if (rc)
        return rc;
    struct hn_json *items = hn_arena_alloc(&r->arena, list->n + 1, sizeof *items);
    struct hn_json_member *m = hn_arena_alloc(&r->arena, 2, sizeof *m);
    if (!items || !m)
        return hn_fail_memory(err, "reading a row");
    m[0].key = hn_str_of("role");
    m[0].value = (struct hn_json){.type = HN_JSON_STRING, .text = hn_str_of("system")};
    m[1].key = hn_str_of("content");
    m[1].value = *v;
    items[0] = (struct hn_json){.type = HN_JSON_OBJECT, .n = 2, .members = m};
    if (list->n)
        memcpy(items + 1, list->items, list->n * sizeof *items);
    list->items = items;
    list->n++;
    return 0;
}

int hn_record_read_tools(struct hn_record *r, const struct hn_json *row, struct hone_err *err)
{
    struct hn_json *tools = find(row, "tools");
    if (!tools || tools->type == HN_JSON_NULL)
        return 0;
    if (tools->type == HN_JSON_STRING) { /* as many published data sets have it */
        int rc = hn_record_unwrap(r, "tools", tools, err);
        if (rc)
            return rc;
    }
    if (tools->type != HN_JSON_ARRAY)
        return hn_fail(err, HONE_FAILED, "\"tools\": found %s, expected an array",
                       hn_json_type_name(tools));
    r->tools = tools->n ? tools : NULL;
    return check_tree("tools", tools, err);
}

int hn_record_read_messages(struct hn_record *r, const struct hn_json *row, struct hone_err *err)
{
    const char *key = find(row, "messages") ? "messages" : "conversations";
    struct hn_json *list = find(row, key);
    if (!list || list->type != HN_JSON_ARRAY)
        return hn_fail(err, HONE_FAILED, "\"%s\": found %s, expected an array of messages", key,
                       hn_json_type_name(list));
    r->messages = list;
    r->empty = list->n == 0;
    for (size_t i = 0; i < list->n; i++) {
        int rc = read_message(key, i, &list->items[i], err);
        if (rc)
            return rc;
    }
    int rc = r->empty ? 0 : add_system(r, row, err);
    return rc ? rc : hn_record_read_tools(r, row, err);
}

/* The messages of a list, or the one message that stands for a list, into items. */
static int take_turns(const char *key, struct hn_json *list, struct hn_json *items,
                      struct hone_err *err)
{
    bool one = list->type == HN_JSON_OBJECT;
    for (size_t i = 0; i < (one ? 1 : list->n); i++) {
        items[i] = one ? *list : list->items[i];
        int rc = read_message(key, i, &items[i], err);
        if (rc)
            return rc;
    }
    return 0;
}

int hn_record_read_turns(struct hn_record *r, const struct hn_json *row, struct hone_err *err)
{
    struct hn_json *prompt = find(row, "prompt"), *completion = find(row, "completion");
    size_t n = prompt->type == HN_JSON_OBJECT ? 1 : prompt->n,
           more = completion->type == HN_JSON_OBJECT ? 1 : completion->n;
    struct hn_json *list = hn_arena_alloc(&r->arena, 1, sizeof *list),
                   *items = hn_arena_alloc(&r->arena, n + more + 1, sizeof *items);
    if (!list || !items)
        return hn_fail_memory(err, "reading a row");
    int rc = take_turns("prompt", prompt, items, err);
    rc = rc ? rc : take_turns("completion", completion, items + n, err);
    *list = (struct hn_json){.type = HN_JSON_ARRAY, .n = n + more, .items = items};
    r->messages = list;
    r->n_prompt = n;
    r->empty = n + more == 0;
    return rc ? rc : hn_record_read_tools(r, row, err);
}

#include "text/chat.h"
#include "text/chat_impl.h"
#include "base/mem.h"

#include <string.h>

enum { MAX_VARIABLES = 256, FIXED_VARIABLES = 8 };

int hn_chat_template_open(struct hn_chat_template **out, const char *source, size_t n,
                          struct hone_err *err)
{
    struct hn_chat_template *t = hn_calloc(1, sizeof *t);
    if (!t)
        return hn_fail_memory(err, "reading a chat template");
    int rc = hn_jinja_open(&t->jinja, source, n, err);
    if (rc) {
        hn_free(t);
        return rc == HONE_NO_MEMORY ? rc : hn_fail_prefix(err, "the chat template");
    }
    *out = t;
    return 0;
}

void hn_chat_template_close(struct hn_chat_template **t)
{
    if (*t) {
        hn_jinja_close(&(*t)->jinja);
        hn_free(*t);
    }
    *t = NULL;
}

/* ---- what transformers does to the messages first ---- */

/* The first of the names under which reasoning is passed that the message has. */
static const struct hn_json *reasoning(const struct hn_json *m)
{
    static const char *const names[] = {"reasoning_content", "thinking", "reasoning"};
    for (size_t i = 0; i < HN_COUNT(names); i++) {
        const struct hn_json *v = hn_json_get(m, names[i]);
        if (v && v->type != HN_JSON_NULL)
            return v;
    }
    return NULL;
}

static struct hn_json text_value(const char *s)
{
    return (struct hn_json){.type = HN_JSON_STRING, .text = hn_str_of(s)};
}

/* A copy of message m without null members, with its content replaced when `content` is not NULL,
 * and its reasoning under the names that templates read: `thinking` in front, `reasoning_content`
 * in its place or at the end. */
static int normalise(struct hn_arena *arena, const struct hn_json *m, const char *content,
                     struct hn_json *out)
{
    const struct hn_json *thought = reasoning(m);
    struct hn_json_member *to = hn_arena_alloc(arena, m->n + 4, sizeof *to);
    size_t n = 0;
    bool has_content = false, has_standard = false;
    if (!to)
        return HONE_NO_MEMORY;
    const struct hn_json *named = hn_json_get(m, "thinking");
    if (thought)
        to[n++] = (struct hn_json_member){hn_str_of("thinking"),
                                          named && named->type != HN_JSON_NULL ? *named : *thought};
    for (size_t i = 0; i < m->n; i++) {
        struct hn_json_member one = m->members[i];
        if (one.value.type == HN_JSON_NULL || (thought && hn_str_is(one.key, "thinking")))
            continue;
        if (content && hn_str_is(one.key, "content")) {
            one.value = text_value(content);
            has_content = true;
        }
        if (hn_str_is(one.key, "reasoning_content"))
            has_standard = true;
        to[n++] = one;
    }
    if (thought && !has_standard)
        to[n++] = (struct hn_json_member){hn_str_of("reasoning_content"), *thought};
    if (content && !has_content)
        to[n++] = (struct hn_json_member){hn_str_of("content"), text_value(content)};
    *out = (struct hn_json){.type = HN_JSON_OBJECT, .n = n, .members = to};
    return 0;
}

static int messages_of(struct hn_arena *arena, const struct hn_chat_input *in,
                       const struct hn_chat_part *part, struct hn_json *out, struct hone_err *err)
{
    *out = (struct hn_json){.type = HN_JSON_ARRAY, .n = part->n_messages};
    out->items = hn_arena_alloc(arena, part->n_messages, sizeof *out->items);
    if (!out->items)
        return hn_fail_memory(err, "rendering a conversation");
    for (size_t i = 0; i < part->n_messages; i++) {
        const struct hn_json *m = &in->messages->items[i];
        if (m->type != HN_JSON_OBJECT)
            return hn_fail(err, HONE_FAILED, "message %zu of the conversation is %s, not an object",
                           i + 1, hn_json_type_name(m));
        if (normalise(arena, m, i == part->replace ? part->content : NULL, &out->items[i]))
            return hn_fail_memory(err, "rendering a conversation");
    }
    return 0;
}

/* ---- rendering ---- */

static int check_objects(const struct hn_json *j, const char *what, struct hone_err *err)
{
    if (j && j->type != HN_JSON_ARRAY)
        return hn_fail(err, HONE_FAILED, "the %s of a conversation must be an array, not %s", what,
                       hn_json_type_name(j));
    for (size_t i = 0; j && i < j->n; i++)
        if (j->items[i].type != HN_JSON_OBJECT)
            return hn_fail(err, HONE_FAILED,
                           "the %s of a conversation must be objects: number %zu is %s", what,
                           i + 1, hn_json_type_name(&j->items[i]));
    return 0;
}

static const struct hn_json *given(const struct hn_json *direct, const struct hn_json *variables,
                                   const char *name)
{
    const struct hn_json *v = direct ? direct : hn_json_get(variables, name);
    return v && v->type == HN_JSON_NULL ? NULL : v;
}

static int add_variables(const struct hn_json *j, struct hn_jinja_var *vars, size_t *n,
                         struct hone_err *err)
{
    if (!j)
        return 0;
    if (j->type != HN_JSON_OBJECT)
        return hn_fail(err, HONE_USAGE, "the template's variables must be an object, not %s",
                       hn_json_type_name(j));
    if (j->n > MAX_VARIABLES - FIXED_VARIABLES)
        return hn_fail(err, HONE_USAGE, "a chat template takes at most %d variables",
                       MAX_VARIABLES - FIXED_VARIABLES);
    for (size_t i = 0; i < j->n; i++) {
        struct hn_str key = j->members[i].key;
        if (hn_str_is(key, "messages") || hn_str_is(key, "add_generation_prompt"))
            return hn_fail(err, HONE_USAGE,
                           "'%s' is set by the conversation and cannot be among its variables",
                           key.p);
        if (hn_str_is(key, "tools") || hn_str_is(key, "documents"))
            continue;
        vars[(*n)++] = (struct hn_jinja_var){.name = key.p, .value = &j->members[i].value};
    }
    return 0;
}

int hn_chat_render_part(const struct hn_chat_template *t, const struct hn_chat_input *in,
                        const struct hn_chat_part *part, struct hn_buf *out, struct hone_err *err)
{
    struct hn_jinja_var vars[MAX_VARIABLES];
    const struct hn_json *tools = given(in->tools, in->variables, "tools");
    const struct hn_json *documents = given(in->documents, in->variables, "documents");
    const struct hn_jinja_var fixed[FIXED_VARIABLES] = {
        {.name = "bos_token", .text = in->bos_token},
        {.name = "eos_token", .text = in->eos_token},
        {.name = "unk_token", .text = in->unk_token},
        {.name = "pad_token", .text = in->pad_token}};
    struct hn_arena arena;
    struct hn_json messages;
    size_t n = 0;
    for (size_t i = 0; i < FIXED_VARIABLES; i++)
        if (fixed[i].text)
            vars[n++] = fixed[i];
    int rc = add_variables(in->variables, vars, &n, err);
    if (rc || (rc = check_objects(tools, "tools", err)) ||
        (rc = check_objects(documents, "documents", err)))
        return rc;
    hn_arena_init(&arena, 0);
    rc = messages_of(&arena, in, part, &messages, err);
    if (!rc) {
        vars[n++] = (struct hn_jinja_var){.name = "messages", .value = &messages};
        vars[n++] = (struct hn_jinja_var){.name = "tools", .value = tools};
        vars[n++] = (struct hn_jinja_var){.name = "documents", .value = documents};
        vars[n++] = (struct hn_jinja_var){
            .name = "add_generation_prompt", .is_bool = true, .boolean = part->prompt};
        struct hn_jinja_env env = {.vars = vars, .n_vars = n, .now = in->now, .marks = part->marks};
        rc = hn_jinja_render(t->jinja, &env, out, err);
        if (rc && rc != HONE_NO_MEMORY)
            rc = hn_fail_prefix(err, "the chat template");
    }
    hn_arena_release(&arena);
    return rc;
}

static int check_messages(const struct hn_json *messages, struct hone_err *err)
{
    if (!messages || messages->type != HN_JSON_ARRAY)
        return hn_fail(err, HONE_FAILED, "the messages of a conversation must be an array, not %s",
                       hn_json_type_name(messages));
    if (!messages->n)
        return hn_fail(err, HONE_FAILED,
                       "the conversation is empty: at least one message is needed");
    return 0;
}

int hn_chat_template_render(const struct hn_chat_template *t, const struct hn_chat_input *in,
                            struct hn_buf *out, struct hone_err *err)
{
    int rc = check_messages(in->messages, err);
    struct hn_chat_part part = {.prompt = in->add_generation_prompt, .replace = SIZE_MAX};
    if (rc)
        return rc;
    part.n_messages = in->messages->n;
    return hn_chat_render_part(t, in, &part, out, err);
}

int hn_chat_render(const char *source, const struct hn_chat_input *in, struct hn_buf *out,
                   struct hone_err *err)
{
    struct hn_chat_template *t;
    int rc = hn_chat_template_open(&t, source, strlen(source), err);
    if (rc)
        return rc;
    rc = hn_chat_template_render(t, in, out, err);
    hn_chat_template_close(&t);
    return rc;
}

#include "text/tokenizer_config.h"
#include "base/file.h"
#include "base/json_file.h"
#include "base/mem.h"
#include "text/tokenizer_json.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_FILE = 1 << 26 };

/* The file's text; 1 when it is not there. */
static int read_file(const char *dir, const char *name, struct hn_buf *out, struct hone_err *err)
{
    char *path = hn_path_join(dir, name);
    int found = path ? hn_file_find(path, err) : hn_fail_memory(err, "opening a tokenizer");
    int rc = found > 0 ? hn_file_read(path, MAX_FILE, out, err) : found == 0 ? 1 : found;
    hn_free(path);
    return rc;
}

/* *out stays NULL when the file is not there. */
static int read_json(struct hn_tokenizer_config *c, const char *name, struct hn_json **out,
                     struct hone_err *err)
{
    char *path = hn_path_join(c->dir, name);
    int rc = path ? hn_json_read_object(&c->arena, path, MAX_FILE, out, err)
                  : hn_fail_memory(err, "opening a tokenizer");
    hn_free(path);
    return rc;
}

/* A string, or a list of {"name", "template"} of which "default" is taken. */
static void take_template(struct hn_tokenizer_config *c, const struct hn_json *j)
{
    if (hn_json_str(j, &c->template) || !j || j->type != HN_JSON_ARRAY)
        return;
    for (size_t i = 0; i < j->n; i++)
        if (hn_json_is(hn_json_get(&j->items[i], "name"), "default"))
            (void)hn_json_str(hn_json_get(&j->items[i], "template"), &c->template);
}

static int read_template(struct hn_tokenizer_config *c, struct hone_err *err)
{
    struct hn_buf text = {0};
    struct hn_json *processor = NULL;
    int rc = read_file(c->dir, "chat_template.jinja", &text, err);
    if (rc == 0) {
        if (hn_utf8_check(hn_buf_str(&text), text.len) < text.len)
            rc = hn_fail(err, HONE_FAILED, "%s/chat_template.jinja: is not valid UTF-8", c->dir);
        c->template.p = rc ? NULL : hn_arena_dup(&c->arena, hn_buf_str(&text), text.len);
        c->template.n = text.len;
    } else if (rc == 1) {
        take_template(c, hn_json_get(c->config, "chat_template"));
        rc = c->template.p ? 0 : read_json(c, "chat_template.json", &processor, err);
        if (rc == 0 && !c->template.p)
            take_template(c, hn_json_get(processor, "chat_template"));
    }
    hn_buf_release(&text);
    return rc;
}

int hn_tokenizer_config_read(struct hn_tokenizer_config *c, const char *dir, struct hone_err *err)
{
    *c = (struct hn_tokenizer_config){.dir = dir};
    hn_arena_init(&c->arena, (size_t)1 << 30);
    int rc = read_json(c, "tokenizer_config.json", &c->config, err);
    /* added_tokens_decoder replaced special_tokens_map.json. */
    if (rc == 0 && !hn_json_get(c->config, "added_tokens_decoder"))
        rc = read_json(c, "special_tokens_map.json", &c->special, err);
    rc = rc ? rc : read_template(c, err);
    return rc ? rc : c->arena.failed ? hn_fail_memory(err, "reading a tokenizer") : 0;
}

void hn_tokenizer_config_release(struct hn_tokenizer_config *c)
{
    hn_arena_release(&c->arena);
}

bool hn_tokenizer_config_flag(const struct hn_tokenizer_config *c, const char *key, bool otherwise)
{
    bool v = otherwise;
    (void)hn_json_bool(hn_json_get(c->config, key), &v);
    return v;
}

/* What a key names: special_tokens_map.json's word is the later one. */
static const struct hn_json *named(const struct hn_tokenizer_config *c, const char *key)
{
    const struct hn_json *j = hn_json_get(c->special, key);
    return j ? j : hn_json_get(c->config, key);
}

static struct hn_str text_of(const struct hn_json *j)
{
    struct hn_str s = {NULL, 0};
    if (!hn_json_str(j, &s))
        (void)hn_json_str(hn_json_get(j, "content"), &s);
    return s;
}

struct adder {
    const struct hn_tokenizer_config *c;
    struct hn_tj r;
    int64_t next; /* the id of the next token that is new */
};

static bool same_flags(const struct hn_added_token *a, const struct hn_added_token *b)
{
    return a->special == b->special && a->normalized == b->normalized &&
           a->single_word == b->single_word && a->lstrip == b->lstrip && a->rstrip == b->rstrip;
}

/* j: "text", or {"content": …}.  force_special: a string, or a named token, is special. */
static int add_token(struct adder *a, const struct hn_json *j, bool force_special, bool replace)
{
    struct hone_tokenizer *t = a->r.t;
    struct hn_added_token token = {.special = force_special};
    struct hn_str s;
    int rc = 0;
    if (hn_json_str(j, &s)) {
        if (hn_utf8_check(s.p, s.n) < s.n)
            return hn_fail(a->r.err, HONE_FAILED, "%s: a special token is not valid UTF-8",
                           a->r.path);
        rc = hn_tj_dup(&a->r, s, &token.text);
        token.normalized = !token.special;
    } else {
        rc = hn_tj_added(&a->r, j, &token);
        token.special |= force_special;
    }
    if (rc || token.text.n == 0)
        return rc;
    const struct hn_added_token *old = hn_added_find(&t->added, token.text);
    if (old && (!replace || same_flags(old, &token)))
        return 0;
    token.id = old ? old->id : hn_vocab_find(&t->vocab, token.text);
    if (token.id < 0) {
        token.id = (int32_t)HN_MIN(a->next, (int64_t)INT32_MAX);
        a->next++;
    }
    return hn_added_put(&t->added, &token, a->r.err);
}

static int by_id(const void *a, const void *b)
{
    const struct hn_json_member *x = *(const struct hn_json_member *const *)a;
    const struct hn_json_member *y = *(const struct hn_json_member *const *)b;
    double i = hn_double_parse(x->key.p, x->key.n), j = hn_double_parse(y->key.p, y->key.n);
    return (i > j) - (i < j);
}

static int add_decoder_tokens(struct adder *a)
{
    const struct hn_json *list = hn_json_get(a->c->config, "added_tokens_decoder");
    if (!list || list->type != HN_JSON_OBJECT)
        return 0;
    const struct hn_json_member **order = hn_calloc(list->n, sizeof *order);
    if (!order)
        return hn_fail_memory(a->r.err, "reading added tokens");
    for (size_t i = 0; i < list->n; i++)
        order[i] = &list->members[i];
    qsort(order, list->n, sizeof *order, by_id);
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < list->n; i++)
        rc = add_token(a, &order[i]->value, false, true);
    hn_free(order);
    return rc;
}

static int add_list(struct adder *a, const char *key)
{
    const struct hn_json *list = named(a->c, key);
    int rc = 0;
    for (size_t i = 0; list && list->type == HN_JSON_ARRAY && rc == 0 && i < list->n; i++)
        rc = add_token(a, &list->items[i], true, false);
    for (size_t i = 0; list && list->type == HN_JSON_OBJECT && rc == 0 && i < list->n; i++)
        rc = add_token(a, &list->members[i].value, true, false);
    return rc;
}

static int32_t id_of(const struct hone_tokenizer *t, const struct hn_json *j, int32_t otherwise)
{
    struct hn_str s = text_of(j);
    if (!s.p)
        return otherwise;
    const struct hn_added_token *a = hn_added_find(&t->added, s);
    return a ? a->id : hn_vocab_find(&t->vocab, s);
}

static const char *const named_keys[] = {"bos_token", "eos_token", "unk_token", "sep_token",
                                         "pad_token", "cls_token", "mask_token"};

/* The named tokens, then what else is called "…_token" and is a string. */
static int add_named(struct adder *a)
{
    const struct hn_json *config = a->c->config;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < HN_COUNT(named_keys); i++) {
        const struct hn_json *j = named(a->c, named_keys[i]);
        if (j && j->type != HN_JSON_NULL)
            rc = add_token(a, j, true, false);
    }
    for (size_t i = 0; rc == 0 && config && i < config->n; i++)
        if (hn_ends_with(config->members[i].key.p, "_token") &&
            config->members[i].value.type == HN_JSON_STRING)
            rc = add_token(a, &config->members[i].value, true, false);
    return rc;
}

/* The templates of a list of {"name", "template"}, and those of additional_chat_templates/. */
static int add_templates(const struct hn_tokenizer_config *c, struct hone_tokenizer *t,
                         struct hone_err *err)
{
    const struct hn_json *list = hn_json_get(c->config, "chat_template"), *j;
    struct hn_str name, source;
    char *dir = hn_path_join(c->dir, "additional_chat_templates"), **names = NULL;
    size_t n = 0;
    int rc = dir ? 0 : hn_fail_memory(err, "reading chat templates");
    for (size_t i = 0; !rc && (j = hn_json_at(list, i)); i++)
        if (hn_json_str(hn_json_get(j, "name"), &name) &&
            hn_json_str(hn_json_get(j, "template"), &source))
            rc = hn_tokenizer_add_template(t, name, source, err);
    if (!rc && hn_dir_exists(dir))
        rc = hn_dir_list(dir, &names, &n, err);
    for (size_t i = 0; i < n && !rc; i++) {
        struct hn_buf text = {0};
        if (!hn_ends_with(names[i], ".jinja"))
            continue;
        rc = read_file(dir, names[i], &text, err);
        if (!rc)
            rc = hn_tokenizer_add_template(t, (struct hn_str){names[i], strlen(names[i]) - 6},
                                           (struct hn_str){hn_buf_str(&text), text.len}, err);
        hn_buf_release(&text);
    }
    hn_free(names);
    hn_free(dir);
    return rc;
}

int hn_tokenizer_config_apply(const struct hn_tokenizer_config *c, struct hone_tokenizer *t,
                              bool is_model_file, struct hone_err *err)
{
    struct hone_tokenizer_info *info = &t->info;
    struct adder a = {.c = c, .r = {t, c->dir, err}};
    int64_t n = (int64_t)t->vocab.n_tokens;
    a.next = t->added.n && t->added.top >= n ? (int64_t)t->added.top + 1 : n;
    int rc = add_decoder_tokens(&a);
    rc = rc ? rc : add_named(&a);
    rc = rc ? rc : add_list(&a, "extra_special_tokens");
    rc = rc ? rc : add_list(&a, "additional_special_tokens");
    if (rc)
        return rc;
    info->bos = id_of(t, named(c, "bos_token"), info->bos);
    info->eos = id_of(t, named(c, "eos_token"), info->eos);
    info->pad = id_of(t, named(c, "pad_token"), info->pad);
    info->unk = id_of(t, named(c, "unk_token"), info->unk);
    if (is_model_file && info->bos >= 0 && hn_tokenizer_config_flag(c, "add_bos_token", false))
        t->before[t->n_before++] = info->bos;
    if (is_model_file && info->eos >= 0 && hn_tokenizer_config_flag(c, "add_eos_token", false))
        t->after[t->n_after++] = info->eos;
    rc = add_templates(c, t, err);
    if (rc)
        return rc;
    if (c->template.p)
        info->chat_template = hn_arena_dup(&t->arena, c->template.p, c->template.n);
    return t->arena.failed ? hn_fail_memory(err, "reading a tokenizer") : 0;
}

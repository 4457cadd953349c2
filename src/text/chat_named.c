/* Other chat templates than a tokenizer's default: those that its model has beside it, a few that
 * hone has, and files. */
#include "base/file.h"
#include "text/chat.h"
#include "text/tokenizer_impl.h"

#include <string.h>

enum { MAX_FILE = 4 << 20 };

/* For models without a template of their own: every turn ends with the model's end token, or (in
 * ChatML) with one that such models have in their vocabulary. */
static const struct {
    const char *name, *source;
} own[] = {
    {"chatml",
     "{%- for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}"
     "{%- endfor %}{%- if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{%- endif %}"},
    {"zephyr",
     "{%- for m in messages %}{{ '<|' + m.role + '|>\\n' + m.content + eos_token + '\\n' }}"
     "{%- endfor %}{%- if add_generation_prompt %}{{ '<|assistant|>\\n' }}{%- endif %}"},
    {"vicuna",
     "{{ bos_token or '' }}{%- for m in messages %}{%- if m.role == 'system' %}{{ m.content + ' ' "
     "}}{%- elif m.role == 'user' %}{{ 'USER: ' + m.content + ' ' }}{%- else %}{{ 'ASSISTANT: ' + "
     "m.content + eos_token }}{%- endif %}{%- endfor %}{%- if add_generation_prompt %}"
     "{{ 'ASSISTANT:' }}{%- endif %}"},
    {"alpaca",
     "{{ bos_token or '' }}{%- for m in messages %}{%- if m.role == 'system' %}{{ m.content + "
     "'\\n\\n' }}{%- elif m.role == 'user' %}{{ '### Instruction:\\n' + m.content + '\\n\\n' }}"
     "{%- else %}{{ '### Response:\\n' + m.content + eos_token + '\\n\\n' }}{%- endif %}"
     "{%- endfor %}{%- if add_generation_prompt %}{{ '### Response:\\n' }}{%- endif %}"},
};

/* The template of this name, or NULL. */
static const char *find(const struct hone_tokenizer *t, const char *name)
{
    for (size_t i = 0; i < t->n_templates; i++)
        if (strcmp(t->templates[i].name, name) == 0)
            return t->templates[i].source;
    for (size_t i = 0; i < HN_COUNT(own); i++)
        if (strcmp(own[i].name, name) == 0)
            return own[i].source;
    return NULL;
}

static int fail_unknown(const struct hone_tokenizer *t, const char *name, struct hone_err *err)
{
    struct hn_buf names = {0};
    for (size_t i = 0; i < t->n_templates; i++)
        hn_buf_printf(&names, "%s, ", t->templates[i].name);
    for (size_t i = 0; i < HN_COUNT(own); i++)
        hn_buf_printf(&names, "%s%s", i ? ", " : "", own[i].name);
    int rc = hn_fail(err, HONE_NOT_FOUND,
                     "the chat template %s is no file, and not among the templates that have "
                     "names: %s",
                     name, hn_buf_str(&names));
    hn_buf_release(&names);
    return rc;
}

int hone_tokenizer_set_chat_template(struct hone_tokenizer *t, const char *name,
                                     struct hone_err *err)
{
    struct hn_buf text = {0};
    struct hn_chat_template *compiled = NULL;
    const char *source = hn_file_exists(name) ? NULL : find(t, name);
    int rc = 0;
    if (!source && !hn_file_exists(name))
        return fail_unknown(t, name, err);
    if (source)
        hn_buf_add_str(&text, source);
    else
        rc = hn_file_read(name, MAX_FILE, &text, err);
    size_t bad = rc ? 0 : hn_utf8_check(hn_buf_str(&text), text.len);
    if (!rc && bad < text.len)
        rc = hn_fail(err, HONE_FAILED, "%s: no valid UTF-8 at byte %zu", name, bad);
    if (!rc && (rc = hn_chat_template_open(&compiled, hn_buf_str(&text), text.len, err)))
        hn_fail_prefix(err, "%s", name);
    hn_chat_template_close(&compiled);
    if (!rc) {
        const char *copy = hn_arena_dup(&t->arena, hn_buf_str(&text), text.len);
        if (copy)
            t->info.chat_template = copy;
        else
            rc = hn_fail_memory(err, "reading a chat template");
    }
    hn_buf_release(&text);
    return rc;
}

int hn_tokenizer_add_template(struct hone_tokenizer *t, struct hn_str name, struct hn_str source,
                              struct hone_err *err)
{
    if (t->n_templates == HN_TOKENIZER_MAX_TEMPLATES)
        return 0; /* those beyond have no name */
    struct hn_named_template *n = &t->templates[t->n_templates];
    n->name = hn_arena_dup(&t->arena, name.p, name.n);
    n->source = hn_arena_dup(&t->arena, source.p, source.n);
    if (!n->name || !n->source)
        return hn_fail_memory(err, "reading a chat template");
    t->n_templates++;
    return 0;
}

/* What chat.c gives to chat_spans.c: renderings of parts of a conversation. */
#ifndef HN_TEXT_CHAT_IMPL_H
#define HN_TEXT_CHAT_IMPL_H

#include "text/chat.h"
#include "jinja/jinja.h"

struct hn_chat_template {
    struct hn_jinja *jinja;
};

struct hn_chat_part {
    size_t n_messages; /* the first n of the conversation */
    bool prompt;       /* with the generation prompt */
    size_t replace;    /* index of a message whose content is replaced, or SIZE_MAX */
    const char *content;
    struct hn_jinja_marks *marks; /* or NULL */
};
HN_MUST_USE int hn_chat_render_part(const struct hn_chat_template *t,
                                    const struct hn_chat_input *in, const struct hn_chat_part *part,
                                    struct hn_buf *out, struct hone_err *err);

#endif

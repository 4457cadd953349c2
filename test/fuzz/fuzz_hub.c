/* A hostile hub: the input, cut at each line "%%", is what it answers to one request after another,
 * headers, an empty line and a body, as HTTP has it; the last answers are an index's text. Whatever
 * it says, it is refused in one sentence, or lists files that stay in the model's folder. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "fuzz_files.h"
#include "hub/choose.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct hn_wire {
    const uint8_t *p; /* what has not been answered yet */
    size_t n;
};

int hn_wire_open(struct hn_wire **out, struct hone_err *err)
{
    (void)err;
    *out = hn_calloc(1, sizeof **out);
    return *out ? 0 : HONE_NO_MEMORY;
}

void hn_wire_close(struct hn_wire **w)
{
    hn_free(*w);
    *w = NULL;
}

/* The line at *p without its newline; *p and *n become what follows it. */
static struct hn_str cut_line(const uint8_t **p, size_t *n)
{
    const uint8_t *end = memchr(*p, '\n', *n);
    struct hn_str line = {(const char *)*p, end ? (size_t)(end - *p) : *n};
    size_t all = HN_MIN(line.n + 1, *n);
    *p += all;
    *n -= all;
    return line;
}

int hn_wire_run(struct hn_wire *w, const struct hn_wire_request *q, struct hn_wire_reply *reply,
                struct hone_err *err)
{
    const uint8_t *part;
    (void)err;
    hn_wire_reply_release(reply);
    hn_wire_header(reply, "HTTP/", 5);
    if (!w->n) {
        reply->failure = HN_WIRE_NO_CONNECTION;
        return 0;
    }
    size_t n = fuzz_cut(&w->p, &w->n, &part);
    struct hn_str line = cut_line(&part, &n);
    reply->status =
        line.n >= 3 ? strtol((char[]){line.p[0], line.p[1], line.p[2], 0}, NULL, 10) : 0;
    while (n && (line = cut_line(&part, &n)).n)
        hn_wire_header(reply, line.p, line.n);
    reply->retry_after = 0; /* not waited for */
    if (reply->status / 100 != 2)
        hn_buf_add(&reply->text, part, n);
    else if ((q->on_head && q->on_head(q->arg, reply)) ||
             (q->on_body && q->on_body(q->arg, part, n)))
        reply->failure = HN_WIRE_STOPPED;
    return 0;
}

static void choose(struct hn_hub_listing *l, const struct hn_buf *index)
{
    static const char *const include[] = {"*-00001-of-*", "*.gguf"};
    const struct hone_pull_options options[] = {
        {0}, {.include = include, .n_include = 2}, {.tokenizer_only = true}};
    for (size_t i = 0; i < HN_COUNT(options); i++) {
        struct hone_err err = {0};
        bool indexed = hn_hub_index(l, &options[i]) != NULL;
        if (hn_hub_choose(l, "org/model", &options[i], indexed ? index : NULL, &err))
            HN_ASSERT(err.message[0] && !strchr(err.message, '\n'));
        for (size_t k = 0; k < l->n; k++)
            l->files[k].chosen = false;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hn_http h = {0};
    struct hn_hub_name name;
    struct hn_hub_listing l;
    struct hone_err err = {0};
    setenv("HF_HUB_CACHE", fuzz_dir(), 1);
    HN_ASSERT(hn_hub_name_parse("org/model", &name) && hn_http_open(&h, &err) == 0);
    *h.wire = (struct hn_wire){data, size};
    if (hn_hub_list(&h, &name, &l, &err)) {
        HN_ASSERT(err.message[0] && !strchr(err.message, '\n'));
    } else {
        struct hn_buf index = {0};
        HN_ASSERT(l.commit[0]);
        for (size_t i = 0; i < l.n; i++)
            HN_ASSERT(hn_hub_is_safe_path(l.files[i].path, strlen(l.files[i].path)) &&
                      l.files[i].size >= -1);
        hn_buf_add(&index, h.wire->p, h.wire->n);
        choose(&l, &index);
        hn_buf_release(&index);
    }
    hn_hub_listing_release(&l);
    hn_http_close(&h);
    return 0;
}

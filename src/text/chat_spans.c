/* Which bytes of a conversation's text the assistant is trained on: see chat.h for the rule.
 *
 *   A  text of the messages before the turn, with the generation prompt     ...assistant\n
 *   B  text up to and with the turn ...assistant\nHello<end>\n F  text of the whole conversation
 * ...assistant\nHello<end>\n...
 *
 * Usually A begins B and B begins F.  Where B does not begin F (the template renders a turn
 * differently once others follow), the turn is found in F by its content: F is rendered again with
 * two other contents in its place, and what the three texts have in common before and behind it
 * encloses it. */
#include "text/chat.h"
#include "text/chat_impl.h"
#include "jinja/jinja_text.h"
#include "base/mem.h"

#include <string.h>

struct job {
    const struct hn_chat_template *t;
    const struct hn_chat_input *in;
    struct hn_buf full;          /* F */
    struct hn_buf before, after; /* A, B */
    struct hn_buf other[2];      /* with replaced contents */
    size_t index;                /* of the message */
    struct hone_err *err;
};

/* Two answers that share no first and no last character with each other. */
static const char *const sentinel[2] = {"Zq7xjWv", "Kp3mhYu"};
static const char thought_end[] = "</think>";

enum {
    MAX_LEAD =
        64,       /* bytes between the prompt and the answer's content, such as an opened thought */
    MIN_TAIL = 3, /* bytes of the prompt that must stand before the answer again */
};

/* May a span begin or end behind this byte?  Not inside a token like "<|end|>". */
static bool boundary(char c)
{
    return c == '>' || c == ']' || c == '\n' || c == ' ';
}

bool hn_chat_is_assistant(const struct hn_json *message)
{
    static const char *const names[] = {"assistant", "model", "gpt", "bot", "chatbot"};
    for (size_t i = 0; i < HN_COUNT(names); i++)
        if (hn_json_is(hn_json_get(message, "role"), names[i]))
            return true;
    return false;
}

void hn_chat_spans_release(struct hn_chat_spans *s)
{
    hn_free(s->items);
    *s = (struct hn_chat_spans){0};
}

static int push(struct hn_chat_spans *s, size_t start, size_t end, struct hone_err *err)
{
    if (hn_grow((void **)&s->items, &s->cap, s->n + 1, sizeof *s->items))
        return hn_fail_memory(err, "rendering a conversation");
    s->items[s->n++] = (struct hn_chat_span){start, end};
    return 0;
}

/* The first n messages; with `answer`, that of message j->index is replaced, its thinking kept. */
static int render(struct job *j, size_t n, bool prompt, const char *answer, struct hn_buf *out)
{
    struct hn_chat_part part = {.n_messages = n, .prompt = prompt, .replace = SIZE_MAX};
    struct hn_buf content = {0};
    hn_buf_clear(out);
    if (answer) {
        struct hn_str old = {"", 0};
        (void)hn_json_str(hn_json_get(&j->in->messages->items[j->index], "content"), &old);
        size_t keep = hn_jtext_rfind(old, hn_str_of(thought_end));
        keep = keep == SIZE_MAX ? 0 : keep + strlen(thought_end);
        while (keep && keep < old.n && old.p[keep] == '\n')
            keep++;
        hn_buf_add(&content, old.p, keep);
        hn_buf_add_str(&content, answer);
        part.replace = j->index;
        part.content = hn_buf_str(&content);
    }
    int rc = content.failed ? hn_fail_memory(j->err, "rendering a conversation")
                            : hn_chat_render_part(j->t, j->in, &part, out, j->err);
    hn_buf_release(&content);
    return rc;
}

static size_t common_start(const struct hn_buf *a, const struct hn_buf *b)
{
    size_t n = HN_MIN(a->len, b->len), i = 0;
    while (i < n && a->data[i] == b->data[i])
        i++;
    return i;
}

static size_t common_end(const struct hn_buf *a, const struct hn_buf *b, size_t most)
{
    size_t i = 0;
    while (i < most && a->data[a->len - 1 - i] == b->data[b->len - 1 - i])
        i++;
    return i;
}

static int undefined(struct job *j, const char *why)
{
    return hn_fail(j->err, HONE_FAILED,
                   "the answer of message %zu has no certain place in the conversation's text: %s; "
                   "train on the whole text, or use a chat template with {%% generation %%} blocks",
                   j->index + 1, why);
}

/* The content of the message within `text` (rendered from n messages): [*start, *end). */
static int locate(struct job *j, const struct hn_buf *text, size_t n, size_t *start, size_t *end)
{
    for (int i = 0; i < 2; i++) {
        int rc = render(j, n, false, sentinel[i], &j->other[i]);
        if (rc == HONE_NO_MEMORY)
            return rc;
        if (rc)
            return undefined(j, "its content cannot be told from the rest");
    }
    size_t s = HN_MIN(common_start(text, &j->other[0]), common_start(text, &j->other[1]));
    s = HN_MIN(s, common_start(&j->other[0], &j->other[1]));
    size_t most = HN_MIN(text->len, HN_MIN(j->other[0].len, j->other[1].len));
    most = most > s ? most - s : 0;
    size_t e = HN_MIN(common_end(text, &j->other[0], most), common_end(text, &j->other[1], most));
    e = HN_MIN(e, common_end(&j->other[0], &j->other[1], most));
    for (int i = 0; i < 2; i++) {
        struct hn_str answer = hn_str_of(sentinel[i]), all = {j->other[i].data, j->other[i].len};
        bool once = hn_jtext_find(all, answer, 0) == s && hn_jtext_rfind(all, answer) == s;
        if (!once || all.n < s + answer.n + e || j->other[0].len != j->other[1].len)
            return undefined(j,
                             "the template changes its content, or writes it twice or not at all");
    }
    *start = s;
    *end = text->len - e;
    return 0;
}

/* The messages before the answer read differently in A and in B (a template that moves the system's
 * text to the last question, say): the answer begins where what stands before it in B ends as A
 * ends. */
static int by_tail(struct job *j, size_t *out)
{
    size_t start, end, best = 0;
    int rc = locate(j, &j->after, j->index + 1, &start, &end);
    if (rc)
        return rc;
    for (size_t lead = 0; lead <= HN_MIN(start, (size_t)MAX_LEAD); lead++) {
        const struct hn_buf head = {.data = j->after.data, .len = start - lead};
        size_t same = common_end(&j->before, &head, HN_MIN(head.len, j->before.len));
        if (same > best) {
            best = same;
            *out = head.len;
        }
    }
    if (best < MIN_TAIL)
        return undefined(
            j, "the template writes the messages before it differently with and without it");
    return 0;
}

/* Where B leaves A, of which it has not all: where the prompt stops being there, whatever the
 * answer begins with. */
static int parting(struct job *j, size_t *out)
{
    *out = common_start(&j->before, &j->after);
    for (int i = 0; i < 2; i++) {
        int rc = render(j, j->index + 1, false, sentinel[i], &j->other[i]);
        if (rc == HONE_NO_MEMORY)
            return rc;
        if (!rc)
            *out = HN_MIN(*out, common_start(&j->before, &j->other[i]));
    }
    /* The prompt may differ; if the messages before it do, there is another way. */
    int rc = render(j, j->index, false, NULL, &j->other[0]);
    if (rc == HONE_NO_MEMORY)
        return rc;
    size_t from = rc ? SIZE_MAX : common_start(&j->before, &j->other[0]);
    if (*out < from)
        return by_tail(j, out);
    while (*out > from && !boundary(j->after.data[*out - 1]))
        (*out)--;
    return 0;
}

/* The end of the marker behind the answer, at F[at]: what follows it in B (tail[n]) as far as the
 * whole text has that; or one token in another's place (gpt-oss ends all turns but the last
 * differently). */
static int marker(struct job *j, size_t at, const char *tail, size_t n, size_t *end)
{
    const char *f = j->full.data + at;
    size_t left = j->full.len - at, same = 0;
    while (same < n && same < left && f[same] == tail[same])
        same++;
    while (same < n && same && !boundary(f[same - 1]))
        same--;
    if (n && !same && left && f[0] == '<' && tail[0] == '<') {
        const char *close = memchr(f, '>', left);
        same = close ? (size_t)(close - f) + 1 : 0;
    }
    *end = at + same;
    return n && !same ? undefined(j, "no end-of-turn marker follows it once more messages do") : 0;
}

/* B does not begin F: find the turn by its content. */
static int by_content(struct job *j, size_t d, size_t *start, size_t *end)
{
    size_t cb, eb, cf, ef;
    int rc = locate(j, &j->after, j->index + 1, &cb, &eb);
    if (!rc)
        rc = locate(j, &j->full, j->in->messages->n, &cf, &ef);
    if (rc)
        return rc;
    size_t lead = cb > d ? cb - d : 0, tail = j->after.len - eb;
    bool a_begins = common_start(&j->before, &j->full) == j->before.len && j->before.len <= cf;
    if (a_begins)
        *start = j->before.len;
    else if (lead <= cf && memcmp(j->full.data + cf - lead, j->after.data + d, lead) == 0)
        *start = cf - lead;
    else
        *start = cf;
    return marker(j, ef, j->after.data + eb, tail, end);
}

static int find_turn(struct job *j, size_t *start, size_t *end)
{
    size_t d;
    int rc = render(j, j->index, true, NULL, &j->before);
    /* A template may refuse an empty conversation; what A is of one says little in any case. */
    bool no_prompt = rc && !j->index;
    if (rc == HONE_NO_MEMORY || (rc && !no_prompt))
        return rc;
    rc = render(j, j->index + 1, false, NULL, &j->after);
    if (rc)
        return rc;
    d = j->before.len;
    if (no_prompt || common_start(&j->before, &j->after) < d)
        rc = j->index ? parting(j, &d) : locate(j, &j->after, 1, &d, end);
    if (rc)
        return rc;
    if (common_start(&j->after, &j->full) == j->after.len) {
        *start = d;
        *end = j->after.len;
        return 0;
    }
    return by_content(j, d, start, end);
}

static int all_turns(struct job *j, struct hn_chat_spans *spans)
{
    const struct hn_json *messages = j->in->messages;
    size_t last = 0;
    for (j->index = 0; j->index < messages->n; j->index++) {
        size_t start, end;
        if (!hn_chat_is_assistant(&messages->items[j->index]))
            continue;
        int rc = find_turn(j, &start, &end);
        if (rc)
            return rc;
        if (start > end || start < last || end > j->full.len)
            return undefined(j, "it overlaps the answer before it");
        last = end;
        rc = start < end ? push(spans, start, end, j->err) : 0;
        if (rc)
            return rc;
    }
    return 0;
}

static int marked(struct job *j, struct hn_chat_spans *spans)
{
    struct hn_jinja_marks marks = {0};
    struct hn_chat_part part = {
        .n_messages = j->in->messages->n, .replace = SIZE_MAX, .marks = &marks};
    int rc = hn_chat_render_part(j->t, j->in, &part, &j->full, j->err);
    if (!rc && marks.nested)
        rc =
            hn_fail(j->err, HONE_FAILED,
                    "the chat template has a {%% generation %%} block inside a macro or a captured "
                    "block, where its place in the text is not known");
    for (size_t i = 0; i < marks.n && !rc; i++)
        if (marks.items[i].end > marks.items[i].start)
            rc = push(spans, marks.items[i].start, marks.items[i].end, j->err);
    hn_free(marks.items);
    return rc;
}

int hn_chat_spans(const struct hn_chat_template *t, const struct hn_chat_input *in,
                  struct hn_buf *text, struct hn_chat_spans *spans, struct hone_err *err)
{
    struct job j = {.t = t, .in = in, .err = err};
    size_t n_before = spans->n;
    struct hn_chat_input whole = *in;
    struct hn_buf start = {0};
    whole.add_generation_prompt = false;
    /* checks the messages, too */
    int rc = hn_chat_template_render(t, &whole, &start, err);
    if (!rc && hn_jinja_marks_generation(t->jinja)) {
        rc = marked(&j, spans);
    } else if (!rc) {
        j.full = start;
        start = (struct hn_buf){0};
        rc = all_turns(&j, spans);
    }
    if (!rc) {
        hn_buf_add(text, hn_buf_str(&j.full), j.full.len);
        if (text->failed)
            rc = hn_fail_memory(err, "rendering a conversation");
    }
    if (rc)
        spans->n = n_before;
    struct hn_buf *all[] = {&start, &j.full, &j.before, &j.after, &j.other[0], &j.other[1]};
    for (size_t i = 0; i < HN_COUNT(all); i++)
        hn_buf_release(all[i]);
    return rc;
}

#include "hone/conversation.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "infer/answer.h"
#include "infer/turns.h"

#include <ctype.h>
#include <string.h>

enum { DEFAULT_CONTEXT = 8192 };

struct hone_conversation {
    struct hone_model *model;
    const struct hone_tokenizer *tok;
    struct hn_turns turns;
    char *variables;
    bool plain;
    struct hn_session session;
    struct hone_tokens cached; /* what the session's one slot holds */
};

/* ---- opening ----------------------------------------------------------------------------------
 */

static int duplicate(const char *s, char **out, struct hone_err *err)
{
    struct hn_buf copy = {0};
    *out = NULL;
    if (!s)
        return 0;
    hn_buf_add(&copy, s, strlen(s));
    *out = hn_buf_take(&copy);
    return *out ? 0 : hn_fail_memory(err, "opening a conversation");
}

static int choose_context(const struct hone_model *m, int64_t asked, int64_t *context,
                          struct hone_err *err)
{
    struct hone_model_info info;
    hone_model_info(m, &info);
    *context = asked;
    if (asked > 0)
        return hn_answer_fits(m, asked, 0, "--max-kv-size", err);
    int64_t want = info.context_length > 0 ? HN_MIN(info.context_length, (int64_t)DEFAULT_CONTEXT)
                                           : DEFAULT_CONTEXT;
    int rc = hn_answer_longest(m, want, context, err);
    if (!rc && *context < HN_MIN(want, 64))
        rc = hn_answer_fits(m, HN_MIN(want, 64), 0, "--max-kv-size", err);
    return rc;
}

int hone_conversation_open(struct hone_conversation **out, struct hone_model *model,
                           const struct hone_tokenizer *tok,
                           const struct hone_conversation_options *options, struct hone_err *err)
{
    static const struct hone_conversation_options none;
    const struct hone_conversation_options *o = options ? options : &none;
    struct hone_tokenizer_info info;
    struct hone_conversation *c = hn_calloc(1, sizeof *c);
    int64_t context;
    *out = NULL;
    if (!c)
        return hn_fail_memory(err, "opening a conversation");
    hone_tokenizer_info(tok, &info);
    c->model = model;
    c->tok = tok;
    c->plain = o->bare || !info.chat_template;
    int rc = duplicate(o->variables, &c->variables, err);
    rc = rc ? rc : hone_conversation_set_system(c, o->system, err);
    rc = rc ? rc : choose_context(model, o->context, &context, err);
    rc = rc ? rc : hn_session_open(&c->session, model, 1, context, err);
    /* Room for all that the cache can hold: an answer allocates nothing for it. */
    if (!rc &&
        hn_grow((void **)&c->cached.ids, &c->cached.cap, (size_t)context, sizeof *c->cached.ids))
        rc = hn_fail_memory(err, "opening a conversation");
    if (rc)
        hone_conversation_close(&c);
    *out = c;
    return rc;
}

void hone_conversation_close(struct hone_conversation **c)
{
    if (!*c)
        return;
    hn_session_close(&(*c)->session);
    hn_turns_release(&(*c)->turns);
    hone_tokens_release(&(*c)->cached);
    hn_free((*c)->variables);
    hn_free(*c);
    *c = NULL;
}

/* ---- answering ------------------------------------------------------------------------------- */

/* The caller's listener, behind what an answer of the plain format begins with: the space after
 * "Assistant:". */
struct listener {
    hone_text_fn *on_text;
    void *arg;
    bool skip_space;
};

static int listen(void *arg, const char *text, size_t n)
{
    struct listener *l = arg;
    while (l->skip_space && n && isspace((unsigned char)*text))
        text++, n--;
    l->skip_space = l->skip_space && !n;
    return l->on_text ? l->on_text(l->arg, text, n) : 0;
}

/* What a plain answer has at its ends is the format's, not the answer's. */
static void trim(struct hone_generation *g)
{
    size_t from = 0, to = g->text_size;
    while (from < to && isspace((unsigned char)g->text[from]))
        from++;
    while (to > from && isspace((unsigned char)g->text[to - 1]))
        to--;
    memmove(g->text, g->text + from, to - from);
    g->text_size = to - from;
    g->text[g->text_size] = 0;
}

/* Cut the cache back to what ids begin with; one token is always left to be read, as its logits
 * are needed.  Returns how many tokens are kept. */
static size_t cut_back(struct hone_conversation *c, const struct hone_tokens *ids)
{
    size_t n = 0, most = HN_MIN(c->cached.n, ids->n - 1);
    while (n < most && c->cached.ids[n] == ids->ids[n])
        n++;
    c->cached.n = n;
    hn_session_cut(&c->session, 0, (int64_t)n);
    return n;
}

static int check_room(const struct hone_conversation *c, size_t n, struct hone_err *err)
{
    if ((int64_t)n < c->session.context)
        return 0;
    return hn_fail(
        err, HONE_FAILED,
        "the conversation has grown to %zu tokens, but it may hold %lld with the answer: "
        "/reset begins anew, /undo takes the last turn back, and --max-kv-size N gives "
        "more room from the start",
        n, (long long)c->session.context);
}

static int write_answer(struct hone_conversation *c, const struct hone_tokens *ids,
                        const struct hone_generate_options *o, hone_text_fn *on_text, void *arg,
                        struct hone_generation *g, struct hone_err *err)
{
    struct hn_writer w = {0};
    struct hone_generate_options mine = *o;
    const char **stops = hn_calloc(o->n_stop + 1, sizeof *stops);
    struct listener l = {on_text, arg, c->plain};
    size_t kept = cut_back(c, ids);
    int64_t room = c->session.context - (int64_t)ids->n;
    mine.max_tokens = HN_MIN(o->max_tokens, room);
    if (!stops)
        return hn_fail_memory(err, "generating");
    if (c->plain) {
        stops[0] = HN_TURNS_PLAIN_STOP;
        for (size_t i = 0; i < o->n_stop; i++)
            stops[i + 1] = o->stop[i];
        mine.stop = stops;
        mine.n_stop = o->n_stop + 1;
    }
    int rc = hn_writer_open(&w, c->model, c->tok, ids->ids, ids->n, &mine, listen, &l, err);
    if (!rc)
        rc = hn_answer_write(&c->session, &w, ids->ids + kept, ids->n - kept, &c->cached, g, err);
    if (!rc)
        rc = hn_answer_take(&w, g, err);
    if (!rc && c->plain)
        trim(g);
    if (!rc && mine.max_tokens < o->max_tokens && strcmp(g->finish_reason, "length") == 0)
        g->finish_reason = "context";
    g->prompt_tokens = (int64_t)ids->n;
    g->cached_tokens = (int64_t)kept;
    hn_writer_close(&w);
    hn_free(stops);
    return rc;
}

/* Answer the turns as they stand, the last of which is the user's. */
static int answer(struct hone_conversation *c, const struct hone_generate_options *o,
                  hone_text_fn *on_text, void *arg, struct hone_generation *out,
                  struct hone_err *err)
{
    struct hone_tokens ids = {0};
    struct hone_generation g = {0};
    int rc = hn_turns_encode(&c->turns, c->tok, c->plain, c->variables, &ids, err);
    if (!rc && ids.n == 0)
        rc = hn_fail(err, HONE_FAILED, "the conversation is empty: it has no token to go on from");
    rc = rc ? rc : hn_tokens_check(c->model, ids.ids, ids.n, err);
    rc = rc ? rc : check_room(c, ids.n, err);
    rc = rc ? rc : write_answer(c, &ids, o, on_text, arg, &g, err);
    bool nothing = !rc && strcmp(g.finish_reason, "interrupted") == 0 && g.text_size == 0;
    if (!rc && !nothing)
        rc = hn_turns_add(&c->turns, true, g.text, g.text_size, err);
    if (!rc && !nothing)
        c->turns.items[c->turns.n - 1].tokens = g.prompt_tokens + g.generation_tokens;
    hone_tokens_release(&ids);
    if (rc) {
        hone_generation_release(&g);
        return rc;
    }
    *out = g;
    return 0;
}

int hone_conversation_say(struct hone_conversation *c, const char *text, size_t n,
                          const struct hone_generate_options *o, hone_text_fn *on_text, void *arg,
                          struct hone_generation *out, struct hone_err *err)
{
    size_t bad = hn_utf8_check(text, n), before = c->turns.n;
    if (bad < n)
        return hn_fail(err, HONE_FAILED, "the message is no valid UTF-8 at byte %zu", bad);
    int rc = hn_turns_add(&c->turns, false, text, n, err);
    rc = rc ? rc : answer(c, o, on_text, arg, out, err);
    if (c->turns.n < before + 2)
        hn_turns_cut(&c->turns, before);
    return rc;
}

int hone_conversation_retry(struct hone_conversation *c, const struct hone_generate_options *o,
                            hone_text_fn *on_text, void *arg, struct hone_generation *out,
                            struct hone_err *err)
{
    struct hn_turns *t = &c->turns;
    if (t->n < 2)
        return hn_fail(err, HONE_NOT_FOUND, "there is no answer yet that could be written again");
    /* Set aside until another one is there. */
    struct hn_turn last = t->items[--t->n];
    size_t before = t->n;
    int rc = answer(c, o, on_text, arg, out, err);
    if (t->n == before)
        t->items[t->n++] = last;
    else
        hn_buf_release(&last.text);
    return rc;
}

/* ---- the turns ------------------------------------------------------------------------------- */

int hone_conversation_set_system(struct hone_conversation *c, const char *text,
                                 struct hone_err *err)
{
    char *copy;
    size_t n = text ? strlen(text) : 0, bad = hn_utf8_check(text ? text : "", n);
    if (bad < n)
        return hn_fail(err, HONE_FAILED, "the system message is no valid UTF-8 at byte %zu", bad);
    int rc = duplicate(n ? text : NULL, &copy, err);
    if (rc)
        return rc;
    hn_free(c->turns.system);
    c->turns.system = copy;
    return 0;
}

bool hone_conversation_undo(struct hone_conversation *c)
{
    if (c->turns.n < 2)
        return false;
    hn_turns_cut(&c->turns, c->turns.n - 2);
    return true;
}

void hone_conversation_reset(struct hone_conversation *c)
{
    hn_turns_cut(&c->turns, 0);
    hn_session_reset(&c->session, 0);
    c->cached.n = 0;
}

void hone_conversation_info(const struct hone_conversation *c, struct hone_conversation_info *out)
{
    size_t n = c->turns.n;
    *out = (struct hone_conversation_info){.system = c->turns.system,
                                           .n_turns = n,
                                           .tokens = n ? c->turns.items[n - 1].tokens : 0,
                                           .context = c->session.context,
                                           .plain = c->plain};
}

int hone_conversation_json(const struct hone_conversation *c, char **text, struct hone_err *err)
{
    struct hn_buf out = {0};
    hn_turns_json(&c->turns, true, &out);
    *text = hn_buf_take(&out);
    return *text ? 0 : hn_fail_memory(err, "writing a conversation");
}

#include "data/encode.h"
#include "base/mem.h"

#include <string.h>

/* How many tokens HONE_ADD_SPECIAL puts first: seen on a text of one letter. */
static int count_lead(struct hn_encoder *e, struct hone_err *err)
{
    struct hone_tokens with = {0};
    e->prefix.n = 0;
    int rc = hone_tokenizer_encode(e->o.tokenizer, "a", 1, 0, &e->prefix, err);
    rc = rc ? rc : hone_tokenizer_encode(e->o.tokenizer, "a", 1, HONE_ADD_SPECIAL, &with, err);
    size_t n = e->prefix.n;
    while (!rc && n && e->lead + n < with.n &&
           memcmp(with.ids + e->lead, e->prefix.ids, n * sizeof *with.ids) != 0)
        e->lead++;
    hone_tokens_release(&with);
    return rc;
}

int hn_encoder_init(struct hn_encoder *e, const struct hone_dataset_options *o,
                    struct hone_err *err)
{
    *e = (struct hn_encoder){.o = *o};
    if (!o->tokenizer)
        return hn_fail(err, HONE_USAGE, "rows cannot be encoded without a tokenizer");
    if (o->max_seq_length < 0)
        return hn_fail(err, HONE_USAGE, "max_seq_length is %lld, expected 0 (no limit) or more",
                       (long long)o->max_seq_length);
    hone_tokenizer_info(o->tokenizer, &e->info);
    int rc = count_lead(e, err);
    if (rc)
        hn_encoder_release(e);
    return rc;
}

void hn_encoder_release(struct hn_encoder *e)
{
    hn_buf_release(&e->text);
    hn_buf_release(&e->prompt);
    hn_buf_release(&e->expected);
    hn_free(e->spans);
    hone_tokens_release(&e->prefix);
    hn_chat_template_close(&e->chat);
    *e = (struct hn_encoder){0};
}

int hn_encoder_add_span(struct hn_encoder *e, size_t begin, size_t end, struct hone_err *err)
{
    if (hn_grow((void **)&e->spans, &e->cap_spans, 2 * e->n_spans + 2, sizeof *e->spans))
        return hn_fail_memory(err, "encoding a row");
    e->spans[2 * e->n_spans] = begin;
    e->spans[2 * e->n_spans + 1] = end;
    e->n_spans++;
    return 0;
}

/* A prompt and the response that follows it, without a template. */
static int join_plain(struct hn_encoder *e, struct hn_str prompt, struct hn_str response,
                      struct hone_err *err)
{
    e->has_prompt = true;
    hn_buf_add(&e->prompt, prompt.p, prompt.n);
    hn_buf_add(&e->expected, response.p, response.n);
    hn_buf_add(&e->text, prompt.p, prompt.n);
    hn_buf_add(&e->text, response.p, response.n);
    return hn_encoder_add_span(e, prompt.n, SIZE_MAX, err);
}

static int take_text(struct hn_encoder *e, const struct hn_record *r, struct hone_err *err)
{
    if (r->prompt_size != SIZE_MAX)
        return join_plain(e, (struct hn_str){r->text.p, r->prompt_size},
                          (struct hn_str){r->text.p + r->prompt_size, r->text.n - r->prompt_size},
                          err);
    hn_buf_add(&e->text, r->text.p, r->text.n);
    return 0;
}

static int take_completion(struct hn_encoder *e, const struct hn_record *r, bool parts,
                           struct hone_err *err)
{
    if (!e->info.chat_template || e->o.plain_completions)
        return join_plain(e, r->prompt, r->completion, err);
    struct hn_json_member user[] = {
        {hn_str_of("role"), {.type = HN_JSON_STRING, .text = hn_str_of("user")}},
        {hn_str_of("content"), {.type = HN_JSON_STRING, .text = r->prompt}},
    };
    struct hn_json_member assistant[] = {
        {hn_str_of("role"), {.type = HN_JSON_STRING, .text = hn_str_of("assistant")}},
        {hn_str_of("content"), {.type = HN_JSON_STRING, .text = r->completion}},
    };
    struct hn_json items[] = {
        {.type = HN_JSON_OBJECT, .n = 2, .members = user},
        {.type = HN_JSON_OBJECT, .n = 2, .members = assistant},
    };
    struct hn_json messages = {.type = HN_JSON_ARRAY, .n = 2, .items = items};
    return hn_encoder_take_chat(e, &messages, 0, r->tools, parts, err);
}

/* Fill e->text, the spans and, if asked for, prompt and expected. */
static int take(struct hn_encoder *e, const struct hn_record *r, bool parts, struct hone_err *err)
{
    hn_buf_clear(&e->text);
    hn_buf_clear(&e->prompt);
    hn_buf_clear(&e->expected);
    e->n_spans = 0;
    e->templated = e->has_prompt = e->answered = false;
    e->offset = SIZE_MAX;
    int rc = 0;
    if (r->messages) {
        if (!e->info.chat_template)
            return hn_fail(err, HONE_FAILED,
                           "found a chat row, expected text: the model has no chat template");
        rc = hn_encoder_take_chat(e, r->messages, r->n_prompt, r->tools, parts, err);
    } else if (r->kind == HONE_RECORD_COMPLETION) {
        rc = take_completion(e, r, parts, err);
    } else {
        rc = take_text(e, r, err);
    }
    if (!rc && (e->text.failed || e->prompt.failed || e->expected.failed))
        rc = hn_fail_memory(err, "encoding a row");
    return rc;
}

/* Bytes that ids[0, n) decode to.  *whole: without the characters at its end that are not complete
 * yet, which decode to U+FFFD. */
static int decoded_size(struct hn_encoder *e, const int32_t *ids, size_t n, size_t *size,
                        size_t *whole, struct hone_err *err)
{
    char *text = NULL;
    int rc = hone_tokenizer_decode(e->o.tokenizer, ids, n, 0, &text, size, err);
    if (rc)
        return rc;
    *whole = *size;
    while (*whole >= 3 && memcmp(text + *whole - 3, "\xef\xbf\xbd", 3) == 0)
        *whole -= 3;
    hone_free(text);
    return 0;
}

/* The first token of t that starts at or after byte `at` of the text (SIZE_MAX: the end of t; the
 * text's own length: what follows its last token, as EOS does).
 *
 * The tokens that the text before `at` has when encoded alone, as far as t begins with them, lie
 * before it.  From there on t differs, because a merge reaches across; then t's tokens are counted
 * until they decode to as many bytes as those of the text before `at` do.  (Lengths of two
 * decodings that begin alike are compared, and not a decoding with the text: normalisers add a
 * space.) *straddles: a token begins before `at` and ends after it; the result is that token, so
 * that all of the response is trained. */
static int find_token(struct hn_encoder *e, const struct hone_tokens *t, size_t at, size_t *index,
                      bool *straddles, struct hone_err *err)
{
    size_t lead = e->templated ? 0 : e->lead, same = 0, want, size, whole;
    *index = t->n;
    if (at == SIZE_MAX)
        return 0;
    e->prefix.n = 0;
    int rc = hone_tokenizer_encode(e->o.tokenizer, hn_buf_str(&e->text), at, 0, &e->prefix, err);
    if (rc)
        return rc;
    while (same < e->prefix.n && lead + same < t->n && e->prefix.ids[same] == t->ids[lead + same])
        same++;
    *index = lead + same;
    if (same == e->prefix.n)
        return 0;
    rc = decoded_size(e, e->prefix.ids, e->prefix.n, &want, &whole, err);
    for (size_t k = lead + same; k < t->n && !rc; k++) {
        rc = decoded_size(e, t->ids + lead, k + 1 - lead, &size, &whole, err);
        if (rc || whole < want)
            continue;
        *straddles = size > want;
        *index = size > want ? k : k + 1;
        return 0;
    }
    return rc;
}

static int mark(struct hn_encoder *e, struct hone_row *row, struct hn_encoded *found,
                struct hone_err *err)
{
    struct hone_tokens *t = &row->tokens;
    if (hn_grow((void **)&row->trained, &row->trained_cap, HN_MAX(t->n, (size_t)1), 1))
        return hn_fail_memory(err, "encoding a row");
    memset(row->trained, !e->o.mask_prompt, HN_MAX(t->n, (size_t)1));
    if (e->offset < t->n)
        memset(row->trained + e->offset, 1, t->n - e->offset);
    for (size_t i = 0; e->o.mask_prompt && i < e->n_spans; i++) {
        size_t begin, end;
        bool across = false;
        int rc = find_token(e, t, e->spans[2 * i], &begin,
                            e->templated ? &across : &found->straddles, err);
        rc = rc ? rc : find_token(e, t, e->spans[2 * i + 1], &end, &across, err);
        if (rc)
            return rc;
        if (end > begin)
            memset(row->trained + begin, 1, end - begin);
    }
    row->trained[0] = 0;
    return 0;
}

/* mlx_lm pads with token 0, and its loss takes the first of it in. */
static int pad(struct hone_row *row, struct hone_err *err)
{
    struct hone_tokens *t = &row->tokens;
    if (hn_grow((void **)&t->ids, &t->cap, t->n + 1, sizeof *t->ids) ||
        hn_grow((void **)&row->trained, &row->trained_cap, t->n + 1, 1))
        return hn_fail_memory(err, "encoding a row");
    row->trained[t->n] = t->n > 0;
    t->ids[t->n++] = 0;
    return 0;
}

static int encode(struct hn_encoder *e, struct hone_row *row, struct hn_encoded *found,
                  struct hone_err *err)
{
    struct hone_tokens *t = &row->tokens;
    int flags = e->templated ? 0 : HONE_ADD_SPECIAL;
    t->n = 0;
    int rc =
        hone_tokenizer_encode(e->o.tokenizer, hn_buf_str(&e->text), e->text.len, flags, t, err);
    if (rc)
        return rc;
    int32_t bos = e->info.bos, eos = e->info.eos;
    found->double_bos = !e->templated && e->info.adds_bos && bos >= 0 && t->n > 1 &&
                        t->ids[0] == bos && t->ids[1] == bos;
    if (e->o.append_eos && !e->templated && eos >= 0 && (t->n == 0 || t->ids[t->n - 1] != eos)) {
        if (hn_grow((void **)&t->ids, &t->cap, t->n + 1, sizeof *t->ids))
            return hn_fail_memory(err, "encoding a row");
        t->ids[t->n++] = eos;
    }
    rc = mark(e, row, found, err);
    if (rc)
        return rc;
    found->full_length = t->n;
    found->responses = e->n_spans + (e->offset != SIZE_MAX);
    if (e->o.max_seq_length && t->n > (size_t)e->o.max_seq_length) {
        t->n = (size_t)e->o.max_seq_length;
        found->truncated = true;
        found->answer_cut = e->answered || e->n_spans > 0;
    }
    if (e->o.train_padding && (!e->o.max_seq_length || t->n < (size_t)e->o.max_seq_length))
        rc = pad(row, err);
    if (rc)
        return rc;
    for (size_t i = 1; i < t->n; i++)
        found->trained += row->trained[i];
    return 0;
}

static int copy(const struct hn_buf *from, char **to, size_t *size, struct hone_err *err)
{
    char *p = hn_calloc(from->len + 1, 1);
    if (!p)
        return hn_fail_memory(err, "reading a row");
    if (from->len)
        memcpy(p, from->data, from->len);
    *to = p;
    *size = from->len;
    return 0;
}

int hn_encoder_row(struct hn_encoder *e, const struct hn_record *r, bool parts,
                   struct hone_row *row, struct hn_encoded *found, struct hone_err *err)
{
    *found = (struct hn_encoded){0};
    int rc = take(e, r, parts, err);
    rc = rc ? rc : encode(e, row, found, err);
    if (rc || !parts)
        return rc;
    hn_free(row->text);
    hn_free(row->prompt);
    hn_free(row->expected);
    row->text = row->prompt = row->expected = NULL;
    row->text_size = row->prompt_size = row->expected_size = 0;
    row->templated = e->templated;
    row->kind = r->kind;
    rc = copy(&e->text, &row->text, &row->text_size, err);
    if (!rc && e->has_prompt)
        rc = copy(&e->prompt, &row->prompt, &row->prompt_size, err);
    if (!rc && e->has_prompt)
        rc = copy(&e->expected, &row->expected, &row->expected_size, err);
    return rc;
}

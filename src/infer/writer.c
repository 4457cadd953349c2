#include "infer/writer.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "model/model.h"

#include <string.h>

/* A part of a character would leave the other part in the text. */
static int check_stops(const struct hone_generate_options *o, struct hone_err *err)
{
    for (size_t i = 0; i < o->n_stop; i++) {
        size_t n = strlen(o->stop[i]), bad = hn_utf8_check(o->stop[i], n);
        if (bad < n)
            return hn_fail(err, HONE_USAGE, "stop text %zu is no valid UTF-8 at byte %zu", i + 1,
                           bad);
    }
    return 0;
}

static int append(struct hone_tokens *t, const int32_t *ids, size_t n, struct hone_err *err)
{
    if (hn_grow((void **)&t->ids, &t->cap, t->n + n, sizeof *t->ids))
        return hn_fail_memory(err, "generating");
    if (n)
        memcpy(t->ids + t->n, ids, n * sizeof *ids);
    t->n += n;
    return 0;
}

int hn_writer_open(struct hn_writer *w, const struct hone_model *m,
                   const struct hone_tokenizer *tok, const int32_t *prompt, size_t n_prompt,
                   const struct hone_generate_options *o, hone_text_fn *on_text, void *arg,
                   struct hone_err *err)
{
    *w = (struct hn_writer){.o = o, .model = m, .on_text = on_text, .arg = arg};
    struct hone_tokenizer_info info;
    hone_tokenizer_info(tok, &info);
    for (size_t i = 0; i < m->spec.n_eos; i++)
        w->eos[w->n_eos++] = m->spec.eos[i];
    if (info.eos >= 0)
        w->eos[w->n_eos++] = info.eos;
    int rc = check_stops(o, err);
    if (!rc)
        rc = hn_sampler_open(&w->sampler, o, m->spec.vocab_size, err);
    if (!rc)
        rc = hone_detokenizer_open(&w->detok, tok, HONE_SKIP_SPECIAL, err);
    if (!rc)
        rc = append(&w->history, prompt, n_prompt, err);
    if (rc)
        hn_writer_close(w);
    return rc;
}

void hn_writer_close(struct hn_writer *w)
{
    hn_sampler_close(&w->sampler);
    hone_detokenizer_close(&w->detok);
    hone_tokens_release(&w->history);
    hone_tokens_release(&w->tokens);
    hn_free(w->logprobs);
    hn_buf_release(&w->text);
    *w = (struct hn_writer){0};
}

/* How many bytes at the end of text could still become a stop text. */
static size_t held_back(const struct hn_writer *w)
{
    size_t most = 0;
    for (size_t i = 0; i < w->o->n_stop; i++) {
        size_t n = strlen(w->o->stop[i]), k = HN_MIN(n ? n - 1 : 0, w->text.len);
        for (; k > most; k--)
            if (memcmp(w->text.data + w->text.len - k, w->o->stop[i], k) == 0)
                most = k;
    }
    return most;
}

/* Where the first stop text begins, in what was not told yet; the text's length: there is none. */
static size_t find_stop(const struct hn_writer *w)
{
    for (size_t at = w->told; at < w->text.len; at++) {
        for (size_t i = 0; i < w->o->n_stop; i++) {
            size_t m = strlen(w->o->stop[i]);
            if (m && m <= w->text.len - at && memcmp(w->text.data + at, w->o->stop[i], m) == 0)
                return at;
        }
    }
    return w->text.len;
}

/* Take in a piece of certain text; a stop text ends the answer before it. */
static int take_text(struct hn_writer *w, const char *p, size_t n, bool last, struct hone_err *err)
{
    if (w->cut)
        return 0;
    hn_buf_add(&w->text, p, n);
    if (w->text.failed)
        return hn_fail_memory(err, "generating");
    size_t at = find_stop(w);
    if (at < w->text.len) {
        w->text.len = at;
        w->text.data[at] = 0;
        w->cut = true;
        w->finish = "stop";
    }
    size_t ready = w->finish || last ? w->text.len : w->text.len - held_back(w);
    if (ready > w->told) {
        if (w->on_text && w->on_text(w->arg, w->text.data + w->told, ready - w->told) && !w->finish)
            w->finish = "interrupted";
        w->told = ready;
    }
    return 0;
}

static bool is_eos(const struct hn_writer *w, int32_t id)
{
    for (size_t i = 0; i < w->n_eos; i++)
        if (w->eos[i] == id)
            return true;
    return false;
}

int hn_writer_next(struct hn_writer *w, const float *logits, int32_t *id, struct hone_err *err)
{
    float logprob = 0;
    *id = hn_sampler_next(&w->sampler, logits, w->history.ids, w->history.n,
                          w->o->want_logprobs ? &logprob : NULL);
    if (*id < 0)
        return hn_fail(err, HONE_FAILED,
                       "the model's logits for token %zu of its answer are not finite numbers: its "
                       "weights or its adapter's are damaged, or too large to compute with",
                       w->tokens.n + 1);
    if (is_eos(w, *id)) {
        w->finish = "stop";
        return 0;
    }
    int rc = append(&w->history, id, 1, err);
    if (!rc)
        rc = append(&w->tokens, id, 1, err);
    if (!rc && w->o->want_logprobs) {
        if (hn_grow((void **)&w->logprobs, &w->cap_logprobs, w->tokens.n, sizeof *w->logprobs))
            rc = hn_fail_memory(err, "generating");
        else
            w->logprobs[w->tokens.n - 1] = logprob;
    }
    const char *text;
    size_t n;
    if (!rc)
        rc = hone_detokenizer_push(w->detok, *id, &text, &n, err);
    if (!rc)
        rc = take_text(w, text, n, false, err);
    if (!rc && !w->finish && (int64_t)w->tokens.n >= w->o->max_tokens)
        w->finish = "length";
    return rc;
}

void hn_writer_poll(struct hn_writer *w)
{
    if (!w->finish && w->on_text && w->on_text(w->arg, "", 0))
        w->finish = "interrupted";
}

int hn_writer_end(struct hn_writer *w, struct hone_err *err)
{
    const char *text;
    size_t n;
    int rc = hone_detokenizer_flush(w->detok, &text, &n, err);
    return rc ? rc : take_text(w, text, n, true, err);
}

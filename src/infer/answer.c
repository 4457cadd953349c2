#include "infer/answer.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/os.h"

/* ---- writing ----------------------------------------------------------------------------------
 */

static int note(struct hone_tokens *fed, const int32_t *ids, size_t n, struct hone_err *err)
{
    if (!fed)
        return 0;
    if (hn_grow((void **)&fed->ids, &fed->cap, fed->n + n, sizeof *fed->ids))
        return hn_fail_memory(err, "generating");
    for (size_t i = 0; i < n; i++)
        fed->ids[fed->n++] = ids[i];
    return 0;
}

/* A chunk at a time, as hn_session_prefill would by itself, so that the prompt can be stopped. */
static int read_prompt(struct hn_session *s, struct hn_writer *w, const int32_t *ids, size_t n,
                       struct hone_tokens *fed, const float **logits, struct hone_err *err)
{
    size_t chunk = (size_t)s->prefill.limits.max_tokens;
    for (size_t done = 0; done < n && !w->finish;) {
        size_t part = HN_MIN(n - done, chunk);
        int rc = hn_session_prefill(s, 0, ids + done, (int64_t)part, logits, err);
        rc = rc ? rc : note(fed, ids + done, part, err);
        if (rc)
            return rc;
        done += part;
        hn_writer_poll(w);
    }
    return 0;
}

int hn_answer_write(struct hn_session *s, struct hn_writer *w, const int32_t *ids, size_t n,
                    struct hone_tokens *fed, struct hone_generation *g, struct hone_err *err)
{
    const float *logits = NULL;
    const int32_t slot = 0;
    int32_t id;
    double start = hn_now();
    int rc = read_prompt(s, w, ids, n, fed, &logits, err);
    if (rc)
        return rc;
    g->prompt_seconds = hn_now() - start;
    if (w->o->max_tokens <= 0)
        w->finish = "length";
    start = hn_now();
    for (int64_t i = 0; !w->finish; i++) {
        rc = hn_writer_next(w, logits, &id, err);
        if (i == 0)
            g->first_token_seconds = hn_process_age();
        if (!rc)
            hn_writer_poll(w);
        if (!rc && !w->finish)
            rc = hn_session_step(s, &slot, &id, 1, &logits, err);
        if (!rc && !w->finish)
            rc = note(fed, &id, 1, err);
        if (rc)
            return rc;
    }
    g->generation_seconds = hn_now() - start;
    return hn_writer_end(w, err);
}

int hn_answer_take(struct hn_writer *w, struct hone_generation *g, struct hone_err *err)
{
    g->finish_reason = w->finish;
    g->generation_tokens = (int64_t)w->tokens.n;
    g->tokens = w->tokens;
    w->tokens = (struct hone_tokens){0};
    g->logprobs = w->logprobs;
    w->logprobs = NULL;
    g->text_size = w->text.len;
    g->text = hn_buf_take(&w->text);
    return g->text ? 0 : hn_fail_memory(err, "generating");
}

/* ---- memory ---------------------------------------------------------------------------------- */

/* What a session of this context will allocate. */
static int need(const struct hone_model *m, int64_t context, uint64_t *bytes, uint64_t *cache,
                struct hone_err *err)
{
    struct hone_memory_plan p;
    int rc = hone_generate_plan(m, context, 0, &p, err);
    *cache = rc ? 0 : p.cache;
    *bytes = rc ? 0 : p.kept + p.working + p.cache + (uint64_t)m->spec.vocab_size * 16;
    return rc;
}

int hn_answer_longest(const struct hone_model *m, int64_t want, int64_t *context,
                      struct hone_err *err)
{
    uint64_t bytes, cache, limit = hn_memory_available();
    int64_t low = 0, high = want; /* low fits, high is not known to */
    while (low < high) {
        int64_t middle = low == 0 && high == want ? want : low + (high - low + 1) / 2;
        int rc = need(m, middle, &bytes, &cache, err);
        if (rc)
            return rc;
        if (bytes <= limit)
            low = middle;
        else
            high = middle - 1;
    }
    *context = low;
    return 0;
}

int hn_answer_fits(const struct hone_model *m, int64_t context, int64_t fixed, const char *option,
                   struct hone_err *err)
{
    uint64_t bytes, cache, limit = hn_memory_available();
    int64_t fits;
    int rc = need(m, context, &bytes, &cache, err);
    if (rc || bytes <= limit)
        return rc;
    rc = hn_answer_longest(m, context, &fits, err);
    if (rc)
        return rc;
    if (fits > fixed)
        return hn_fail(err, HONE_NO_MEMORY,
                       "%lld tokens need %.2f GB beside the weights (%.2f GB of keys and values), "
                       "but only %.2f GB are available; %s %lld fits",
                       (long long)context, (double)bytes * 1e-9, (double)cache * 1e-9,
                       (double)limit * 1e-9, option, (long long)(fits - fixed));
    return hn_fail(err, HONE_NO_MEMORY,
                   "a prompt of %lld tokens needs %.2f GB beside the weights (%.2f GB of keys and "
                   "values), but only %.2f GB are available; %lld tokens fit: shorten it, or end "
                   "other programs",
                   (long long)fixed, (double)bytes * 1e-9, (double)cache * 1e-9,
                   (double)limit * 1e-9, (long long)fits);
}

#include "infer/sampler.h"
#include "base/err.h"
#include "base/mem.h"

#include <math.h>
#include <string.h>

enum { PENALTY_WINDOW = 20 };

int hn_sampler_open(struct hn_sampler *s, const struct hone_generate_options *o, int64_t vocab,
                    struct hone_err *err)
{
    *s = (struct hn_sampler){.o = o, .vocab = vocab};
    hn_rng_init(&s->rng, o->seed, 0x53414d50);
    s->logits = hn_calloc((size_t)vocab, sizeof *s->logits);
    s->order = hn_calloc((size_t)vocab, sizeof *s->order);
    if (s->logits && s->order)
        return 0;
    hn_sampler_close(s);
    return hn_fail_memory(err, "preparing to sample");
}

void hn_sampler_close(struct hn_sampler *s)
{
    hn_free(s->logits);
    hn_free(s->order);
    *s = (struct hn_sampler){0};
}

/* NaN, wherever it is, wins. */
static int32_t arg_max(const float *x, int64_t n)
{
    int64_t best = 0;
    for (int64_t i = 1; i < n; i++)
        if (!(x[i] <= x[best]) && !isnan(x[best]))
            best = i;
    return (int32_t)best;
}

/* log of the sum of exp over all of x, given its maximum; double sums in index order. */
static double log_sum_exp(const float *x, int64_t n, float max)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += (double)expf(x[i] - max);
    return (double)max + log(sum);
}

static void penalise(struct hn_sampler *s, const int32_t *recent, size_t n)
{
    float penalty = (float)s->o->repetition_penalty;
    size_t from = n > PENALTY_WINDOW ? n - PENALTY_WINDOW : 0;
    for (size_t i = from; i < n; i++) {
        bool seen = false;
        for (size_t k = from; k < i && !seen; k++)
            seen = recent[k] == recent[i];
        if (seen || recent[i] < 0 || recent[i] >= s->vocab)
            continue;
        float *v = &s->logits[recent[i]];
        *v = *v < 0 ? *v * penalty : *v / penalty;
    }
}

/* Restore the heap property below i: the root of order[n] is the most likely. */
static void sift(const float *x, int32_t *order, int64_t i, int64_t n)
{
    for (;;) {
        int64_t c = 2 * i + 1;
        if (c >= n)
            return;
        if (c + 1 < n && x[order[c + 1]] > x[order[c]])
            c++;
        if (!(x[order[c]] > x[order[i]]))
            return;
        int32_t t = order[i];
        order[i] = order[c];
        order[c] = t;
        i = c;
    }
}

/* Take the most likely candidates off a heap until the filters say enough; they end at the back of
 * order.  Top-p keeps what is as likely as the last that it needs.  Returns how many were taken. */
static int64_t filter(struct hn_sampler *s, double log_z, float max)
{
    const struct hone_generate_options *o = s->o;
    int64_t n = s->vocab, kept = 0;
    double mass = 0, last = 0, floor = o->min_p > 0 ? (double)max + log(o->min_p) : -INFINITY;
    for (int64_t i = 0; i < n; i++)
        s->order[i] = (int32_t)i;
    for (int64_t i = n / 2 - 1; i >= 0; i--)
        sift(s->logits, s->order, i, n);
    while (n > 0) {
        int32_t top = s->order[0];
        double v = (double)s->logits[top];
        if (kept > 0 &&
            ((o->top_p < 1 && mass >= o->top_p && v < last) || v < floor ||
             (o->top_k > 0 && kept >= o->top_k)))
            break;
        mass += exp(v - log_z);
        last = v;
        s->order[0] = s->order[--n];
        s->order[n] = top;
        sift(s->logits, s->order, 0, n);
        kept++;
    }
    return kept;
}

static int32_t draw(struct hn_sampler *s, const int32_t *from, int64_t n, float max)
{
    double t = s->o->temperature, total = 0;
    for (int64_t i = 0; i < n; i++)
        total += exp(((double)s->logits[from ? from[i] : i] - (double)max) / t);
    if (!isfinite(total))
        return -1;
    double at = hn_rng_uniform(&s->rng) * total;
    for (int64_t i = 0; i < n; i++) {
        int32_t id = from ? from[i] : (int32_t)i;
        at -= exp(((double)s->logits[id] - (double)max) / t);
        if (at < 0)
            return id;
    }
    return from ? from[n - 1] : (int32_t)(n - 1);
}

int32_t hn_sampler_next(struct hn_sampler *s, const float *logits, const int32_t *recent,
                        size_t n_recent, float *logprob)
{
    const struct hone_generate_options *o = s->o;
    bool penalty = o->repetition_penalty != 1,
         filters = o->top_p < 1 || o->min_p > 0 || o->top_k > 0;
    int32_t id;
    memcpy(s->logits, logits, (size_t)s->vocab * sizeof *logits);
    if (penalty)
        penalise(s, recent, n_recent);
    int32_t best = arg_max(s->logits, s->vocab);
    float max = s->logits[best];
    double log_z = logprob || filters ? log_sum_exp(s->logits, s->vocab, max) : 0;
    if (!isfinite(max) || !isfinite(log_z))
        return -1;
    if (o->temperature <= 0) {
        id = best;
    } else if (filters) {
        int64_t n = filter(s, log_z, max);
        id = draw(s, s->order + s->vocab - n, n, max);
    } else {
        id = draw(s, NULL, s->vocab, max);
    }
    if (logprob)
        *logprob = (float)((double)s->logits[id] - log_z);
    return id;
}

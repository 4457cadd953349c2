/* Rung 3 of the proof, forward: logits and losses of every family and format against transformers
 * and peft, packed sequences and cached ones alike. */
#include "golden_case.h"

#include "backend/cpu/gemv.h"

static const double max_far = 1e-4;  /* logits: largest difference over largest value */
static const double max_loss = 1e-4; /* losses: absolute */
static const double max_kl = 1e-6;   /* generation with rounded tokens: mean over tokens, in nats */
static const double max_kl_bytes = 1e-3; /* the same with keys and values of 8 bits */

/* Logits of all sequences, laid end to end. */
static double packed_logits(const struct golden *g, struct hone_model *m)
{
    struct golden_run r;
    int64_t vocab = m->spec.vocab_size;
    golden_plan(&r, g, m, &(struct hn_decoder_options){.purpose = HN_FOR_LOGITS});
    for (int64_t s = 0; s < g->n_seqs; s++)
        golden_add(&r, g, s, false);
    golden_want_logits(&r);
    golden_step(&r, g);
    float *got = golden_read(&r, g, r.plan.logits);
    double far =
        golden_far(got, golden_array(g, "logits", g->n_tokens * vocab), g->n_tokens * vocab);
    hn_free(got);
    golden_unplan(&r);
    return far;
}

/* The next n tokens of a sequence behind what its slot already holds, all logits wanted. */
static void add_cached(struct golden_run *r, const struct golden *g, int64_t seq, int64_t past,
                       int64_t n, int32_t slots[2], int32_t pasts[2])
{
    struct hn_batch *b = &r->rows.batch;
    int64_t at = b->n_tokens;
    hn_batch_add(&r->rows, g->tokens + g->offsets[seq] + past, n, NULL);
    for (int64_t i = 0; i < n; i++)
        r->rows.positions[at + i] = (int32_t)(past + i);
    slots[b->n_seqs - 1] = (int32_t)seq;
    pasts[b->n_seqs - 1] = (int32_t)past;
    b->slots = slots;
    b->past = pasts;
}

/* True when generation rounds its tokens to 16 bits for weights of the first block. */
static bool rounds(const struct hone_model *m)
{
    for (int i = 0; i < HN_LINEAR_COUNT; i++)
        if (m->blocks[0].w[i] && hn_gemv_rounds(m->blocks[0].w[i]->m.layout))
            return true;
    return false;
}

/* Sum over n rows of the divergence of softmax(got) from softmax(want). */
static double divergence(const float *got, const float *want, int64_t n, int64_t vocab)
{
    double sum = 0;
    for (int64_t t = 0; t < n; t++, got += vocab, want += vocab) {
        double top = 0, a = 0, b = 0, mean = 0;
        for (int64_t i = 0; i < vocab; i++)
            top = fmax(top, fmax((double)got[i], (double)want[i]));
        for (int64_t i = 0; i < vocab; i++) {
            double p = exp((double)want[i] - top);
            a += p;
            b += exp((double)got[i] - top);
            mean += p * ((double)want[i] - (double)got[i]);
        }
        sum += mean / a + log(b / a);
    }
    return sum;
}

/* Sequences 0 and 1 in two cache slots, in pieces of uneven length, at last token by token; *kl:
 * mean divergence. */
static double cached_logits(const struct golden *g, struct hone_model *m, enum hn_kv_type type,
                            double *kl)
{
    struct golden_run r;
    struct hone_err err = {0};
    struct hn_kv *kv = NULL;
    int64_t vocab = m->spec.vocab_size, done[2] = {0, 0};
    const float *want = golden_array(g, "logits", g->n_tokens * vocab);
    double worst = 0;
    *kl = 0;
    struct hn_kv_shape shape = hn_model_kv_shape(m, 2, g->n_tokens);
    shape.type = type;
    if (m->backend->kv_open(m->dev, &shape, &kv, &err))
        fail_msg("%s: %s", g->name, err.message);
    golden_plan(&r, g, m, &(struct hn_decoder_options){.purpose = HN_FOR_GENERATION, .kv = kv});
    for (int step = 0; done[0] < g->offsets[1] || done[1] < g->offsets[2] - g->offsets[1]; step++) {
        int32_t slots[2], pasts[2];
        int64_t from[2], n[2];
        hn_batch_clear(&r.rows);
        for (int s = 0; s < 2; s++) {
            int64_t length = g->offsets[s + 1] - g->offsets[s];
            from[s] = done[s];
            n[s] = HN_MIN(step == 0 ? 7 : step == 1 ? 3 - s : 1, length - done[s]);
            if (n[s] > 0)
                add_cached(&r, g, s, done[s], n[s], slots, pasts);
            done[s] += n[s];
        }
        golden_want_logits(&r);
        golden_step(&r, g);
        float *got = golden_read(&r, g, r.plan.logits);
        for (int s = 0, at = 0; s < 2; at += (int)n[s++]) {
            const float *is = got + at * vocab, *should = want + (g->offsets[s] + from[s]) * vocab;
            worst = n[s] ? fmax(worst, golden_far(is, should, n[s] * vocab)) : worst;
            *kl += divergence(is, should, n[s], vocab) / (double)g->offsets[2];
        }
        hn_free(got);
    }
    golden_unplan(&r);
    m->backend->kv_close(m->dev, &kv);
    return worst;
}

/* The last sequence alone, with the adapter. */
static double adapter_logits(const struct golden *g, struct hone_model *m)
{
    struct golden_run r;
    int64_t last = g->n_seqs - 1;
    int64_t n = (g->offsets[last + 1] - g->offsets[last]) * m->spec.vocab_size;
    golden_plan(&r, g, m, &(struct hn_decoder_options){.purpose = HN_FOR_LOGITS});
    golden_add(&r, g, last, false);
    golden_want_logits(&r);
    golden_step(&r, g);
    float *got = golden_read(&r, g, r.plan.logits);
    double far = golden_far(got, golden_array(g, "logits_adapter", n), n);
    hn_free(got);
    golden_unplan(&r);
    return far;
}

/* |mean loss - golden|, with the adapter. */
static double loss_error(const struct golden *g, struct hone_model *m, bool masked)
{
    struct golden_run r;
    golden_plan(&r, g, m, &(struct hn_decoder_options){.purpose = HN_FOR_LOSS});
    for (int64_t s = 0; s < g->n_seqs; s++)
        golden_add(&r, g, s, masked);
    golden_step(&r, g);
    double mean = golden_loss_sum(&r, g) / (double)r.rows.batch.n_rows;
    golden_unplan(&r);
    return fabs(mean - golden_fact(g, masked ? "loss_masked" : "loss_all"));
}

/* Keys and values that are rounded: each block's are off by step of themselves (float16: 2^-11) or
 * of the largest beside them (Q8_0: 2^-8; of numbers a quarter as large, 2^-6), and the errors add
 * up. */
static double kv_bound(const struct hone_model *m, double step)
{
    return (double)(2 * m->spec.n_layers) * step;
}

/* The class bf16: every product of a token's way through the model may be off by 2^-8 of its terms,
 * and the ways' errors add up: four linears deep in each block, then the head. */
static void forward_bf16(const struct golden *g, const char *level)
{
    struct hone_model *m = golden_model_class(g, level, HONE_BF16);
    if (!m)
        return;
    double far = packed_logits(g, m), bound = (double)(4 * m->spec.n_layers + 1) * 0x1p-8;
    golden_adapter(g, m);
    double all = loss_error(g, m, false);
    print_message("%-16s %-44s logits: packed %.1e  loss: %.1e\n", g->name, m->device_text, far,
                  all);
    assert_true(far <= bound);
    assert_true(all <= bound); /* a mean over tokens of what should cancel */
    if (strstr(m->device_text, "bf16 products"))
        assert_true(far > 1e-5); /* it did round */
    else
        assert_true(far <= max_far);
    hone_model_close(&m);
}

static void forward(void **state)
{
    struct golden g;
    golden_open(&g, golden_names[(uintptr_t)*state]);
    for (size_t l = 0; l < HN_COUNT(golden_levels); l++) {
        struct hone_model *m = golden_model(&g, golden_levels[l]);
        if (!m)
            continue;
        bool base = hn_st_find(&g.arrays, "logits") != NULL;
        double packed = base ? packed_logits(&g, m) : 0, kl = 0, kl_half = 0, kl_bytes = 0;
        double cached = base ? cached_logits(&g, m, HN_KV_F32, &kl) : 0;
        double half = base ? cached_logits(&g, m, HN_KV_F16, &kl_half) : 0;
        double bytes = base ? cached_logits(&g, m, HN_KV_Q8_0, &kl_bytes) : 0;
        golden_adapter(&g, m);
        double adapted = adapter_logits(&g, m);
        double all = loss_error(&g, m, false), masked = loss_error(&g, m, true);
        print_message("%-16s %-24s logits: packed %.1e cached %.1e (kl %.0e) in f16 %.1e (kl %.0e) "
                      "in q8_0 %.1e (kl %.0e) adapter %.1e  loss: %.1e %.1e\n",
                      g.name, m->device_text, packed, cached, kl, half, kl_half, bytes, kl_bytes,
                      adapted, all, masked);
        assert_true(packed <= max_far);
        assert_true(cached <= max_far || rounds(m));
        assert_true(kl <= max_kl);
        assert_true(half <= kv_bound(m, 0x1p-11));
        assert_true(bytes <= kv_bound(m, 0x1p-6));
        assert_true(!base || bytes > half);
        assert_true(!base || half > 1e-5); /* it did round */
        assert_true(kl_half <= max_kl);
        assert_true(kl_bytes <= max_kl_bytes);
        assert_true(adapted <= max_far);
        assert_true(all <= max_loss);
        assert_true(masked <= max_loss);
        hone_model_close(&m);
    }
    for (size_t l = 0; l < HN_COUNT(golden_levels) && hn_st_find(&g.arrays, "logits"); l++)
        forward_bf16(&g, golden_levels[l]);
    golden_close(&g);
}

int main(void)
{
    return golden_run_all("golden forward", forward);
}

/* Rung 3 of the proof, backward: every adapter gradient of every family and format against
 * transformers and peft, whatever is kept or made again. */
#include "golden_case.h"

static const double max_far = 1e-4; /* relative L2, per tensor */

struct outcome {
    double far; /* worst relative distance of a gradient */
    char where[160];
    double loss;      /* |mean loss - golden| */
    float *gradients; /* as summed; hn_free it */
};

/* A step that is ready to run, and gradients of zero. */
static void prepare(struct golden_run *r, const struct golden *g, struct hone_model *m, bool masked,
                    struct hn_decoder_options how)
{
    how.purpose = HN_FOR_TRAINING;
    golden_plan(r, g, m, &how);
    for (size_t i = 0; i < m->adapters.n_params; i++)
        m->backend->zero(m->dev, &m->adapters.params[i].part[HN_PART_GRAD]);
    for (int64_t s = 0; s < g->n_seqs; s++)
        golden_add(r, g, s, masked);
    r->rows.batch.seed = GOLDEN_SEED;
}

/* hn_free it. */
static float *read_gradients(const struct golden *g, struct hone_model *m)
{
    struct hone_err err = {0};
    float *gradients = hn_calloc((size_t)m->adapters.n_parameters, sizeof *gradients);
    assert_non_null(gradients);
    if (hn_adapters_read(m, HN_PART_GRAD, gradients, &err))
        fail_msg("%s: %s", g->name, err.message);
    return gradients;
}

static struct outcome run(const struct golden *g, struct hone_model *m, bool masked,
                          const struct hn_decoder_options *how)
{
    struct golden_run r;
    struct outcome o = {0};
    prepare(&r, g, m, masked, *how);
    golden_step(&r, g);
    double n = (double)r.rows.batch.n_rows;
    char fact[32];
    snprintf(fact, sizeof fact, "loss_%s%s", masked ? "masked" : "all",
             golden_dropout(g) > 0 ? "_dropout" : "");
    o.loss = fabs(golden_loss_sum(&r, g) / n - golden_fact(g, fact));
    o.far =
        golden_adapter_l2(g, m, HN_PART_GRAD, 1 / n, masked ? "grad_masked" : "grad_all", o.where);
    o.gradients = read_gradients(g, m);
    golden_unplan(&r);
    return o;
}

/* Tokens of which none is trained ask for nothing. */
static void check_none_picked(const struct golden *g, struct hone_model *m,
                              const struct hn_decoder_options *how)
{
    struct golden_run r;
    prepare(&r, g, m, false, *how);
    r.rows.batch.n_rows = 0;
    golden_step(&r, g);
    float *gradients = read_gradients(g, m);
    for (int64_t i = 0; i < m->adapters.n_parameters; i++)
        if (gradients[i] != 0)
            fail_msg("%s: gradient %lld is %g", g->name, (long long)i, (double)gradients[i]);
    hn_free(gradients);
    golden_unplan(&r);
}

/* What is recomputed is computed by the same operations: the same bits.  Pieces of few rows are
 * other products, as exact as the first. */
static void check_way(const struct golden *g, struct hone_model *m, bool masked,
                      const struct hn_decoder_options *how, const float *gradients)
{
    struct outcome o = run(g, m, masked, how);
    size_t n = (size_t)m->adapters.n_parameters;
    if (!how->ffn_rows)
        assert_memory_equal(gradients, o.gradients, n * sizeof(float));
    if (o.far > max_far || o.loss > max_far)
        fail_msg(
            "%s, keep %d, segments of %d, whole %d, pieces of %d: gradients %.1e (%s), loss %.1e",
            g->name, (int)how->keep, (int)how->segment, (int)how->whole, (int)how->ffn_rows, o.far,
            o.where, o.loss);
    hn_free(o.gradients);
}

static void gradients(void **state)
{
    static const struct hn_decoder_options ways[] = {
        {.keep = HN_KEEP_ALL},
        {.keep = HN_KEEP_ATTENTION},
        {.keep = HN_KEEP_ATTENTION, .whole = 1},
        {.keep = HN_KEEP_INPUTS},
        {.keep = HN_KEEP_INPUTS, .segment = 2},
        {.keep = HN_KEEP_INPUTS, .segment = 3},
        {.keep = HN_KEEP_ATTENTION, .ffn_rows = 16},
        {.keep = HN_KEEP_INPUTS, .segment = 2, .ffn_rows = 5},
    };
    struct golden g;
    golden_open(&g, golden_names[(uintptr_t)*state]);
    for (size_t l = 0; l < HN_COUNT(golden_levels); l++) {
        struct hone_model *m = golden_model(&g, golden_levels[l]);
        if (!m)
            continue;
        golden_adapter(&g, m);
        assert_int_equal(golden_count(&g, "grad_all."), m->adapters.n_params);
        for (int masked = 0; masked < 2; masked++) {
            struct outcome kept = run(&g, m, masked, &ways[0]);
            print_message("%-16s %-24s %-6s gradients %.1e (%s)  loss %.1e\n", g.name,
                          m->device_text, masked ? "masked" : "all", kept.far, kept.where,
                          kept.loss);
            assert_true(kept.far <= max_far);
            assert_true(kept.loss <= max_far);
            for (size_t w = 1; w < HN_COUNT(ways); w++)
                check_way(&g, m, masked, &ways[w], kept.gradients);
            hn_free(kept.gradients);
        }
        for (size_t w = 0; w < HN_COUNT(ways); w++)
            check_none_picked(&g, m, &ways[w]);
        hone_model_close(&m);
    }
    golden_close(&g);
}

int main(void)
{
    return golden_run_all("golden gradients", gradients);
}

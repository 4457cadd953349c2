/* Rung 3 of the proof, backward: every adapter gradient of every family and format against
 * transformers and peft, with and without checkpointing. */
#include "golden_case.h"

static const double max_far = 1e-4; /* relative L2, per tensor */

struct outcome {
    double far; /* worst relative distance of a gradient */
    char where[160];
    double loss;      /* |mean loss - golden| */
    float *gradients; /* as summed; hn_free it */
};

static struct outcome run(const struct golden *g, struct hone_model *m, bool masked,
                          bool checkpoint)
{
    struct golden_run r;
    struct outcome o = {0};
    struct hone_err err = {0};
    struct hn_tensor **list = hn_calloc((size_t)m->adapters.n_present * 2, sizeof *list);
    o.gradients = hn_calloc((size_t)m->adapters.n_parameters, sizeof *o.gradients);
    assert_non_null(list);
    assert_non_null(o.gradients);
    golden_plan(
        &r, g, m,
        &(struct hn_decoder_options){.purpose = HN_FOR_TRAINING, .checkpoint_blocks = checkpoint});
    hn_adapters_list(m, HN_PART_GRAD, list);
    for (int64_t i = 0; i < 2 * m->adapters.n_present; i++)
        m->backend->zero(m->dev, list[i]);
    hn_free(list);
    for (int64_t s = 0; s < g->n_seqs; s++)
        golden_add(&r, g, s, masked);
    golden_step(&r, g);
    double n = (double)r.rows.batch.n_rows;
    o.loss = fabs(golden_loss_sum(&r, g) / n - golden_fact(g, masked ? "loss_masked" : "loss_all"));
    o.far =
        golden_adapter_l2(g, m, HN_PART_GRAD, 1 / n, masked ? "grad_masked" : "grad_all", o.where);
    if (hn_adapters_read(m, HN_PART_GRAD, o.gradients, &err))
        fail_msg("%s: %s", g->name, err.message);
    golden_unplan(&r);
    return o;
}

static void gradients(void **state)
{
    struct golden g;
    golden_open(&g, golden_names[(uintptr_t)*state]);
    for (size_t l = 0; l < HN_COUNT(golden_levels); l++) {
        struct hone_model *m = golden_model(&g, golden_levels[l]);
        if (!m)
            continue;
        golden_adapter(&g, m);
        assert_int_equal(golden_count(&g, "grad_all."), 2 * m->adapters.n_present);
        for (int masked = 0; masked < 2; masked++) {
            struct outcome kept = run(&g, m, masked, false), again = run(&g, m, masked, true);
            print_message("%-16s %-24s %-6s gradients %.1e (%s)  loss %.1e\n", g.name,
                          m->device_text, masked ? "masked" : "all", kept.far, kept.where,
                          kept.loss);
            assert_true(kept.far <= max_far);
            assert_true(kept.loss <= max_far);
            /* What is recomputed is computed by the same operations: the same bits. */
            assert_memory_equal(kept.gradients, again.gradients,
                                (size_t)m->adapters.n_parameters * sizeof(float));
            hn_free(kept.gradients);
            hn_free(again.gradients);
        }
        hone_model_close(&m);
    }
    golden_close(&g);
}

int main(void)
{
    return golden_run_all("golden gradients", gradients);
}

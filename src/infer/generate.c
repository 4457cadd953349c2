#include "hone/generate.h"
#include "base/mem.h"
#include "infer/answer.h"
#include "model/memory.h"

void hone_generate_defaults(struct hone_generate_options *o)
{
    *o = (struct hone_generate_options){.max_tokens = 200, .top_p = 1, .repetition_penalty = 1};
}

void hone_generation_release(struct hone_generation *g)
{
    hn_free(g->text);
    hone_tokens_release(&g->tokens);
    hn_free(g->logprobs);
    *g = (struct hone_generation){0};
}

static int check(const struct hone_model *m, const int32_t *prompt, size_t n, struct hone_err *err)
{
    if (n == 0)
        return hn_fail(err, HONE_USAGE, "the prompt is empty: it has no token to go on from");
    return hn_tokens_check(m, prompt, n, err);
}

int hone_generate(struct hone_model *m, const struct hone_tokenizer *tok, const int32_t *prompt,
                  size_t n_prompt, const struct hone_generate_options *o, hone_text_fn *on_text,
                  void *arg, struct hone_generation *out, struct hone_err *err)
{
    struct hn_session s = {0};
    struct hn_writer w = {0};
    struct hone_generation g = {0};
    int64_t need = (int64_t)n_prompt + HN_MAX(o->max_tokens, 0);
    int64_t context = o->context > 0 ? o->context : need;
    int rc = check(m, prompt, n_prompt, err);
    if (!rc)
        rc = hn_answer_fits(m, context, (int64_t)n_prompt, "--max-tokens", err);
    if (!rc)
        rc = hn_writer_open(&w, m, tok, prompt, n_prompt, o, on_text, arg, err);
    if (!rc)
        rc = hn_session_open(&s, m, 1, context, err);
    if (!rc)
        rc = hn_answer_write(&s, &w, prompt, n_prompt, NULL, &g, err);
    if (!rc)
        rc = hn_answer_take(&w, &g, err);
    g.prompt_tokens = (int64_t)n_prompt;
    hn_session_close(&s);
    hn_writer_close(&w);
    if (rc)
        hone_generation_release(&g);
    else
        *out = g;
    return rc;
}

int hone_generate_plan(const struct hone_model *m, int64_t prompt_tokens, int64_t max_tokens,
                       struct hone_memory_plan *out, struct hone_err *err)
{
    struct hn_plan prefill = {0}, decode = {0};
    int64_t context = prompt_tokens + max_tokens;
    const struct hn_kv_shape shape = hn_model_kv_shape(m, 1, context);
    int rc = hn_session_plans(m, 1, context, NULL, &prefill, &decode, err);
    if (!rc) {
        const struct hn_plan *plans[] = {&prefill, &decode};
        uint64_t cache = m->backend->kv_size(m->dev, &shape);
        hn_memory_plan(m, plans, 2, cache, (uint64_t)m->spec.vocab_size * 4 * sizeof(float), out);
    }
    hn_plan_release(&prefill);
    hn_plan_release(&decode);
    return rc;
}

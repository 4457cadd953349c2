/* Writing a model from a model: what `hone convert` does, and what `hone fuse` does with a patch.
 *
 *     struct hone_convert_options o;
 *     hone_convert_defaults(&o);
 *     o.model = base; o.output = out; o.to = HONE_FORMAT_HF;      (16-bit Hugging Face directory)
 *     struct hn_convert_patch patch = {&deltas, changes, apply};
 *     rc = hn_convert_run(&o, &patch, on_progress, arg, &report, err);
 *
 * keeps every tensor but those that the patch changes.  To stay in the base's own quantisation, let
 * o.to be the base's kind (hn_convert_kind) and o.type HONE_TYPE_AUTO: tensors that are not changed
 * are copied bit for bit, and changed ones are encoded anew as their base was stored. */
#ifndef HN_CONVERT_CONVERT_RUN_H
#define HN_CONVERT_CONVERT_RUN_H

#include "format/bundle.h"
#include "hone/convert.h"
#include "model/spec.h"

/* A change to some of the matrices on their way. */
struct hn_convert_patch {
    void *arg;
    /* Is "model.layers.0.self_attn.q_proj" changed?  Asked once per matrix, before the first row;
     * "model.embed_tokens" and "lm_head" too. */
    bool (*changes)(void *arg, const char *module);
    /* Change w[cols], row `row` (in Hugging Face order) of that matrix: it holds the base's values
     * in float32.  Called on several threads at once, for rows in any order. */
    void (*apply)(void *arg, const char *module, int64_t row, int64_t cols, float *w);
    /* Instead of module, both get the tensor's whole name ("model.norm.weight"), and vectors are
     * asked for too; one is [n, 1]. */
    bool by_name;
};

/* hone_convert with a patch (NULL: none). */
HN_MUST_USE int hn_convert_run(const struct hone_convert_options *o,
                               const struct hn_convert_patch *patch, hone_convert_fn *on_progress,
                               void *arg, struct hone_convert_report *report, struct hone_err *err);

/* The format that a bundle is of. */
enum hone_model_format hn_convert_kind(const struct hn_bundle *b);

#endif

/* Quantising a base's weights as bitsandbytes does, while it is opened: each into private memory,
 * in slabs, whose mapped source is given back as it is done with, so that neither a float copy nor
 * the source of a whole matrix is ever held. */
#ifndef HN_MODEL_QUANTIZE_H
#define HN_MODEL_QUANTIZE_H

#include "base/pool.h"
#include "format/bundle.h"
#include "hone/model.h"

/* One quantised matrix, in Hugging Face row order. */
struct hn_quantized {
    struct hn_matrix m;
    struct hn_bnb4 bnb4;
    unsigned char *memory;
    size_t size; /* of memory */
    struct hn_quantized *next;
};

static inline bool hn_quantize_wanted(const struct hone_quantize_options *o)
{
    return o->load_in_4bit || o->load_in_8bit;
}

/* Options that contradict each other are refused. */
HN_MUST_USE int hn_quantize_check(const struct hone_quantize_options *o, struct hone_err *err);

/* Does transformers quantise the linear module of this path ("model.layers.0.mlp.up_proj")?  All
 * but lm_head; with llm_int8_skip_modules, all but those that it names by the beginning or the end
 * of their path (replace_with_bnb_linear, should_convert_module). */
bool hn_quantize_takes(const struct hone_quantize_options *o, const char *module);

/* Quantise from, which is plain, with the pool's threads; name is for messages.  *out is to be
 * closed. */
HN_MUST_USE int hn_quantize_open(struct hn_quantized **out, const struct hn_matrix *from,
                                 const char *name, const struct hone_quantize_options *o,
                                 struct hn_pool *pool, struct hone_err *err);
/* The whole list. */
void hn_quantize_close(struct hn_quantized **list);

/* "bitsandbytes NF4, blocks of 64, double quantised"; out. */
const char *hn_quantize_text(const struct hone_quantize_options *o, char out[64]);

#endif

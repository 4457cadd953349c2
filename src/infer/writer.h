/* One answer while it is being written: tokens in, certain text out, and when to stop. */
#ifndef HN_INFER_WRITER_H
#define HN_INFER_WRITER_H

#include "base/buf.h"
#include "hone/generate.h"
#include "infer/sampler.h"

struct hn_writer {
    const struct hone_generate_options *o;
    const struct hone_model *model;
    struct hone_detokenizer *detok;
    struct hn_sampler sampler;
    struct hone_tokens history; /* prompt and answer, for the repetition penalty */
    struct hone_tokens tokens;  /* the answer */
    float *logprobs;
    size_t cap_logprobs;
    int32_t eos[64];
    size_t n_eos;
    struct hn_buf text; /* all certain text so far */
    size_t told;        /* bytes of it handed to on_text: no stop text begins in them */
    bool cut;           /* a stop text was found: nothing is added any more */
    hone_text_fn *on_text;
    void *arg;
    const char *finish; /* NULL while it goes on */
};

int hn_writer_open(struct hn_writer *w, const struct hone_model *m,
                   const struct hone_tokenizer *tok, const int32_t *prompt, size_t n_prompt,
                   const struct hone_generate_options *o, hone_text_fn *on_text, void *arg,
                   struct hone_err *err);
void hn_writer_close(struct hn_writer *w);
/* Choose the token after logits [V]; sets finish when the answer is over, else *id is the next
 * input. */
int hn_writer_next(struct hn_writer *w, const float *logits, int32_t *id, struct hone_err *err);
/* Ask on_text, with no text, whether to stop: what is long between two pieces calls it. */
void hn_writer_poll(struct hn_writer *w);
/* Flush the text that was held back; call once, when finish is set. */
int hn_writer_end(struct hn_writer *w, struct hone_err *err);

#endif

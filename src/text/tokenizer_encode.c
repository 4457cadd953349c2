/* Encoding: added tokens, normalisers, splitters, model, post-processor, in that order. */
#include "base/mem.h"
#include "text/tokenizer_impl.h"

#include <string.h>

int hn_tokenizer_normalize(const struct hone_tokenizer *t, struct hn_str s, size_t *n_leading,
                           struct hn_buf *out, struct hn_text_work *w, struct hone_err *err)
{
    struct hn_buf other = {0};
    int rc = 0;
    hn_buf_clear(out);
    for (size_t k = 0; rc == 0 && k < t->n_norms; k++) {
        /* The source is the previous step's output, which moves aside. */
        struct hn_buf swap = other;
        other = *out;
        *out = swap;
        hn_buf_clear(out);
        struct hn_str in = k ? (struct hn_str){hn_buf_str(&other), other.len} : s;
        rc = hn_norm_run(&t->norms[k], in, out, n_leading, w, err);
    }
    if (t->n_norms == 0)
        hn_buf_add(out, s.p, s.n);
    hn_buf_release(&other);
    return rc ? rc : out->failed ? hn_fail_memory(err, "normalising a text") : 0;
}

/* From the input to w->text and w->pieces: both rounds of added tokens, and the normaliser between.
 */
static int extract(const struct hone_tokenizer *t, struct hn_str input, struct hn_text_work *w,
                   struct hone_err *err)
{
    struct hn_pieces first = {0};
    struct hn_buf normal = {0};
    int rc = 0;
    size_t first_char = 0;
    if (input.n)
        (void)hn_utf8_next(input.p, input.n, &first_char);
    if (hn_added_cut(&t->added, &t->added.raw, input, 0, first_char, &first))
        rc = hn_fail_memory(err, "tokenizing");
    for (size_t k = 0; rc == 0 && k < first.n; k++) {
        struct hn_piece p = first.items[k];
        size_t n_leading = p.n_leading, at = w->text.len;
        if (p.id >= 0) {
            if (hn_pieces_add(&w->pieces, p))
                rc = hn_fail_memory(err, "tokenizing");
            continue;
        }
        struct hn_str s = {input.p + p.at, p.n};
        if (t->n_norms) {
            rc = hn_tokenizer_normalize(t, s, &n_leading, &normal, w, err);
            s = (struct hn_str){hn_buf_str(&normal), normal.len};
        }
        hn_buf_add(&w->text, s.p, s.n);
        if (rc == 0 && hn_added_cut(&t->added, &t->added.normalized, s, at, n_leading, &w->pieces))
            rc = hn_fail_memory(err, "tokenizing");
    }
    hn_free(first.items);
    hn_buf_release(&normal);
    return rc ? rc : w->text.failed ? hn_fail_memory(err, "tokenizing") : 0;
}

int hone_tokenizer_encode(const struct hone_tokenizer *tok, const char *text, size_t n, int flags,
                          struct hone_tokens *out, struct hone_err *err)
{
    struct hn_text_work work = {0};
    struct hn_model_work model = {0};
    size_t bad = hn_utf8_check(text, n), kept = out->n;
    if (bad < n)
        return hn_fail(err, HONE_FAILED,
                       "the text is not valid UTF-8: byte 0x%02x at offset %zu starts no character",
                       (unsigned char)text[bad], bad);
    int rc = extract(tok, (struct hn_str){text, n}, &work, err);
    for (size_t k = 0; rc == 0 && k < tok->n_splits; k++)
        rc = hn_split_run(&tok->splits[k], &work, err);
    for (size_t k = 0; rc == 0 && flags & HONE_ADD_SPECIAL && k < tok->n_before; k++)
        rc = hn_tokens_add(out, tok->before[k]) ? hn_fail_memory(err, "tokenizing") : 0;
    for (size_t k = 0; rc == 0 && k < work.pieces.n; k++) {
        const struct hn_piece *p = &work.pieces.items[k];
        struct hn_str s = {hn_buf_str(&work.text) + p->at, p->n};
        if (p->id >= 0)
            rc = hn_tokens_add(out, p->id) ? hn_fail_memory(err, "tokenizing") : 0;
        else
            rc = hn_model_encode(tok, s, &model, out, err);
    }
    for (size_t k = 0; rc == 0 && flags & HONE_ADD_SPECIAL && k < tok->n_after; k++)
        rc = hn_tokens_add(out, tok->after[k]) ? hn_fail_memory(err, "tokenizing") : 0;
    if (rc)
        out->n = kept;
    hn_text_work_release(&work);
    hn_model_work_release(&model);
    return rc;
}

/* From tokens back to text: the decoders of the tokenizers library as a chain of small machines, so
 * that decoding all ids at once and decoding them one by one are the same code.
 *
 * Between two steps travels a list of tokens, in fragments: add(bytes)… end, add(bytes)… end,
 * finish. A step passes on whatever has become certain. */
#ifndef HN_TEXT_DECODE_H
#define HN_TEXT_DECODE_H

#include "base/buf.h"
#include "base/err.h"
#include "text/regex.h"

enum hn_decode_kind {
    HN_DECODE_BYTE_LEVEL,
    HN_DECODE_BYTE_FALLBACK,
    HN_DECODE_FUSE,
    HN_DECODE_STRIP,
    HN_DECODE_REPLACE,
    HN_DECODE_METASPACE,
    HN_DECODE_WORDPIECE,
    HN_DECODE_BPE,
    HN_DECODE_CTC,
    HN_DECODE_JOIN, /* what no decoder at all does: tokens with spaces between */
};

struct hn_decode_step {
    enum hn_decode_kind kind;
    struct hn_str text;    /* REPLACE: by what; WORDPIECE: prefix; BPE: suffix; CTC: pad */
    struct hn_str literal; /* REPLACE: of what, when re is NULL; CTC: word delimiter */
    struct hn_regex *re;   /* REPLACE; owned */
    uint32_t cp;           /* STRIP: content; METASPACE: replacement */
    size_t start, stop;    /* STRIP: how many at either end */
    bool drop_first;       /* METASPACE: the marks of the first token vanish */
    bool cleanup;          /* WORDPIECE, CTC */
};
void hn_decode_step_release(struct hn_decode_step *step);

enum { HN_DECODE_MAX_STEPS = 32 };

/* The state of one chain.  Zero-initialise, then begin; release when done. */
struct hn_decode_chain {
    const struct hn_decode_step *steps; /* borrowed */
    size_t n_steps;
    struct hn_buf out; /* what has become certain; the caller takes it and clears it */
    struct hn_regex_work regex;
    int code; /* of the first failure */
    struct hone_err *err;
    struct hn_decode_state {
        struct hn_buf held, made; /* the token so far; scratch */
        struct hn_buf last;       /* CTC: the previous token */
        size_t n_tokens;          /* that have ended */
        size_t n_cut;             /* STRIP: characters cut from this token's start */
        bool past_start;          /* STRIP: nothing more is cut there */
        bool any;                 /* BPE, CTC: held (last) is a token */
    } states[HN_DECODE_MAX_STEPS];
};
void hn_decode_begin(struct hn_decode_chain *c, const struct hn_decode_step *steps, size_t n_steps);
void hn_decode_release(struct hn_decode_chain *c);
/* One whole token in. */
HN_MUST_USE int hn_decode_token(struct hn_decode_chain *c, struct hn_str token,
                                struct hone_err *err);
/* No more tokens: everything held comes out. */
HN_MUST_USE int hn_decode_finish(struct hn_decode_chain *c, struct hone_err *err);

#endif

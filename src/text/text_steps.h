/* The steps between a text and its model: normalisers rewrite the text, splitters cut it into
 * pieces (and some rewrite it too).  Each does exactly what the class of the same name in the
 * tokenizers library does; docs of those classes are the specification. */
#ifndef HN_TEXT_TEXT_STEPS_H
#define HN_TEXT_TEXT_STEPS_H

#include "base/buf.h"
#include "base/err.h"
#include "text/regex.h"

/* A stretch of the work's text.  n_leading: how many bytes at its front come from the very first
 * character of the input, which Metaspace's "first" scheme asks. */
struct hn_piece {
    size_t at, n, n_leading;
    int32_t id; /* an added token's id, or -1: still to be tokenized */
};

struct hn_pieces {
    struct hn_piece *items;
    size_t n, cap;
};

struct hn_match {
    size_t first, end;
    bool hit; /* matched the pattern; false: what lies between matches */
};

struct hn_matches {
    struct hn_match *items;
    size_t n, cap;
};

/* Everything that encoding one text needs; one per call.  Zero-initialise, release when done. */
struct hn_text_work {
    struct hn_buf text, spare;           /* the text as rewritten so far, and where the next goes */
    struct hn_pieces pieces, new_pieces; /* what it is cut into */
    struct hn_matches matches, merged;
    struct hn_regex_work regex;
    uint32_t *cps; /* [n_cps] scratch of the normal forms */
    size_t n_cps, cap_cps;
};
void hn_text_work_release(struct hn_text_work *w);
HN_MUST_USE int hn_pieces_add(struct hn_pieces *p, struct hn_piece piece);

enum hn_norm_kind {
    HN_NORM_PREPEND,
    HN_NORM_REPLACE,
    HN_NORM_STRIP,
    HN_NORM_LOWERCASE,
    HN_NORM_NFC,
    HN_NORM_NFD,
    HN_NORM_NFKC,
    HN_NORM_NFKD,
    HN_NORM_STRIP_ACCENTS,
    HN_NORM_NMT,
    HN_NORM_BYTE_LEVEL,
    HN_NORM_BERT_CLEAN,    /* control characters out, white space to ' ' */
    HN_NORM_BERT_CHINESE,  /* spaces around Chinese characters */
    HN_NORM_BERT_ACCENTS,  /* nonspacing marks out */
    HN_NORM_SENTENCEPIECE, /* all that SentencePiece itself does: map, spaces, prefix */
};

struct hn_charsmap;

struct hn_norm_step {
    enum hn_norm_kind kind;
    struct hn_str text;                                     /* PREPEND: what; REPLACE: by what */
    struct hn_str literal;                                  /* REPLACE: of what, when re is NULL */
    struct hn_regex *re;                                    /* REPLACE: of what; owned */
    bool left, right;                                       /* STRIP */
    struct hn_charsmap *charsmap;                           /* SENTENCEPIECE; or NULL; owned */
    bool prefix, prefix_each, remove_spaces, escape_spaces; /* SENTENCEPIECE */
};

/* out: s rewritten.  *n_leading: how many bytes at the front of s came from the very first byte of
 * the input, replaced by the same of out. */
HN_MUST_USE int hn_norm_run(const struct hn_norm_step *step, struct hn_str s, struct hn_buf *out,
                            size_t *n_leading, struct hn_text_work *w, struct hone_err *err);
void hn_norm_step_release(struct hn_norm_step *step);

enum hn_split_kind {
    HN_SPLIT_BYTE_LEVEL,
    HN_SPLIT_PATTERN,
    HN_SPLIT_DIGITS,
    HN_SPLIT_WHITESPACE,
    HN_SPLIT_WHITESPACE_ONLY, /* WhitespaceSplit */
    HN_SPLIT_PUNCTUATION,
    HN_SPLIT_METASPACE,
    HN_SPLIT_BERT,
    HN_SPLIT_DELIMITER,
    HN_SPLIT_FIXED_LENGTH,
};

enum hn_behavior { /* what becomes of a match */
                   HN_ISOLATED,
                   HN_REMOVED,
                   HN_CONTIGUOUS,
                   HN_MERGED_WITH_PREVIOUS,
                   HN_MERGED_WITH_NEXT,
};

enum hn_scheme { HN_PREPEND_ALWAYS, HN_PREPEND_FIRST, HN_PREPEND_NEVER };

struct hn_split_step {
    enum hn_split_kind kind;
    struct hn_regex *re;       /* PATTERN; BYTE_LEVEL with its regex; owned */
    struct hn_str literal;     /* PATTERN, when re is NULL */
    bool invert;               /* PATTERN */
    enum hn_behavior behavior; /* PATTERN, DIGITS, PUNCTUATION */
    bool prefix_space;         /* BYTE_LEVEL */
    bool raw;                  /* BYTE_LEVEL: leave the bytes as they are, the model maps them */
    bool split;                /* METASPACE */
    enum hn_scheme scheme;     /* METASPACE */
    uint32_t cp;               /* METASPACE: replacement; DELIMITER */
    size_t length;             /* FIXED_LENGTH, in characters */
};

/* Run one step over w->pieces (those without an id). */
HN_MUST_USE int hn_split_run(const struct hn_split_step *step, struct hn_text_work *w,
                             struct hone_err *err);
void hn_split_step_release(struct hn_split_step *step);

/* GPT-2's table: each byte is written as a printable character. */
uint32_t hn_byte_char(unsigned char byte);
/* The byte that cp stands for, or -1. */
int hn_char_byte(uint32_t cp);
/* s with each byte as its character, appended to out. */
void hn_byte_level_map(struct hn_str s, struct hn_buf *out);

#endif

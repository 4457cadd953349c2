/* Findings about rows, kept as lines of text for people: the first few of each kind in full, the
 * rest as a count. */
#ifndef HN_DATA_NOTES_H
#define HN_DATA_NOTES_H

#include "base/err.h"

enum hn_note {
    HN_NOTE_EMPTY,
    HN_NOTE_MIXED, /* a row of another kind than its file's first */
    HN_NOTE_DUPLICATE,
    HN_NOTE_TRUNCATED,
    HN_NOTE_UNLABELLED, /* no token of the row carries loss */
    HN_NOTE_STRADDLE,   /* a token holds the prompt's end and the response's start */
    HN_NOTE_SPECIAL,    /* what the tokenizer adds stands in the text already */
    HN_NOTE_OTHER,
    HN_NOTE_COUNT
};
enum { HN_NOTES_EACH = 5 }; /* notes of one kind that are written out */

struct hn_notes {
    char **items; /* [n] */
    size_t n, cap;
    uint64_t counts[HN_NOTE_COUNT];
    bool failed; /* out of memory: a note is missing */
};
/* Count one finding, and keep its text when few of its kind were kept before.  line 0: unknown. */
void hn_notes_add(struct hn_notes *notes, enum hn_note kind, const char *path, uint64_t line,
                  const char *fmt, ...) HN_PRINTF(5, 6);
/* Add what was counted without being written out.  HONE_NO_MEMORY when a note was lost. */
HN_MUST_USE int hn_notes_finish(struct hn_notes *notes, struct hone_err *err);
void hn_notes_release(struct hn_notes *notes);

#endif

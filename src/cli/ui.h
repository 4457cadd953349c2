/* The terminal: colours where they are wanted, columns that line up, numbers as people write them,
 * and the one line of progress that is drawn over itself. */
#ifndef HN_CLI_UI_H
#define HN_CLI_UI_H

#include <stdio.h>
#include "base/buf.h"
#include "base/compiler.h"
#include "hone/model.h"

struct hn_ui {
    FILE *out;
    bool terminal; /* out is one: progress is drawn */
    bool colour;   /* a terminal, and nobody asked for none (NO_COLOR, TERM=dumb) */
    int width;     /* columns */
    double drawn;  /* when the line of progress was last drawn */
    bool line;     /* a line of progress stands on the screen */
};

enum hn_style { HN_PLAIN, HN_BOLD, HN_DIM, HN_GREEN, HN_YELLOW, HN_RED, HN_CYAN };

void hn_ui_init(struct hn_ui *ui, FILE *out);
/* The escape sequence of a style, or "". */
const char *hn_ui_style(const struct hn_ui *ui, enum hn_style style);

/* Print a line above the line of progress, which is taken away first. */
void hn_ui_say(struct hn_ui *ui, enum hn_style style, const char *fmt, ...) HN_PRINTF(3, 4);
/* Draw the line of progress: fraction in 0..1 done, then text, for which the bar makes room, cut to
 * the width.  At most ten times a second unless now.  Does nothing where out is no terminal. */
void hn_ui_progress(struct hn_ui *ui, double fraction, bool now, const char *fmt, ...)
    HN_PRINTF(4, 5);
void hn_ui_clear(struct hn_ui *ui);

/* "93.2 MB", "1.23 GB" (powers of 1000); "12,345"; "134.5M"; "2:05" or "1:02:05". */
enum { HN_UI_TEXT = 32 };
const char *hn_ui_bytes(uint64_t bytes, char out[HN_UI_TEXT]);
const char *hn_ui_count(uint64_t n, char out[HN_UI_TEXT]);
const char *hn_ui_short(uint64_t n, char out[HN_UI_TEXT]);
const char *hn_ui_time(double seconds, char out[HN_UI_TEXT]);
/* What weights are stored as: "Q4_0"; "bfloat16" of "none (bfloat16)", a model's quantization. */
enum { HN_UI_WEIGHTS = 160 };
const char *hn_ui_weights(const char *quantization, char out[HN_UI_WEIGHTS]);

/* A table: cells are gathered, then printed with columns as wide as they need to be. */
struct hn_table {
    struct hn_buf cells; /* each cell ended by a NUL */
    size_t columns, n;
    unsigned right; /* bit i: column i is flush right */
};
void hn_table_init(struct hn_table *t, size_t columns, unsigned right);
void hn_table_add(struct hn_table *t, const char *fmt, ...) HN_PRINTF(2, 3);
/* Columns of a terminal that it takes. */
size_t hn_table_width(const struct hn_table *t);
void hn_table_release(struct hn_table *t);
/* Print, the first row as a heading when heading is set, and release. */
void hn_table_print(struct hn_table *t, struct hn_ui *ui, bool heading);

/* What was gathered, or "(out of memory)" where it could not be: nothing is left out in silence. */
const char *hn_ui_str(const struct hn_buf *b);
/* s on one line of at most width columns, control characters as spaces, "…" where cut. */
void hn_ui_cut(struct hn_buf *out, const char *s, size_t width);
/* s, control characters as spaces, broken between words into lines of at most width columns, each
 * begun by indent spaces; a word that is longer than a line stands on one of its own. */
void hn_ui_wrap(struct hn_buf *out, const char *s, size_t indent, size_t width);

/* The lines of a memory plan. */
void hn_ui_plan(struct hn_ui *ui, const struct hone_memory_plan *plan, const char *title);

#endif

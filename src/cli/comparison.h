/* What `hone compare` has found, and how it is shown. */
#ifndef HN_CLI_COMPARISON_H
#define HN_CLI_COMPARISON_H

#include "cli/compare_side.h"
#include "cli/ui.h"

enum { HN_MAX_SIDES = 3, HN_MAX_PAIRS = 3 };

struct hn_comparison {
    struct hn_compared {
        const char *title;            /* as the user named it */
        struct hone_compare_side got; /* what was measured */
        struct hn_training training;  /* with PyTorch, of the sides in the headline */
        bool pytorch;
    } sides[HN_MAX_SIDES];
    size_t n_sides;
    struct hn_pair {
        size_t a, b;
        struct hone_agreement g;
    } pairs[HN_MAX_PAIRS];
    size_t n_pairs;
    bool headline; /* sides[hone] against sides[torch] */
    size_t hone, torch;
    const char *data;          /* NULL: the built-in texts */
    const char *pytorch_error; /* NULL: none */
    const char *training_note; /* why there is no figure of training; NULL: there is one */
};

void hn_comparison_print(const struct hn_comparison *x, struct hn_ui *ui);
void hn_comparison_write(const struct hn_comparison *x, struct hn_json_writer *w);

#endif

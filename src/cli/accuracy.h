/* What merging an adapter cost: the base, the base with its adapter, and the fused model on the
 * same rows, the second being what the others are held against. */
#ifndef HN_CLI_ACCURACY_H
#define HN_CLI_ACCURACY_H

#include "base/json.h"
#include "cli/ui.h"
#include "conf/settings.h"

enum hn_accuracy_side { HN_UNTUNED, HN_TUNED, HN_FUSED, HN_ACCURACY_SIDES };

struct hn_accuracy {
    const char *data; /* NULL: the built-in texts */
    struct hone_compare_side sides[HN_ACCURACY_SIDES];
    struct hone_agreement beside[HN_ACCURACY_SIDES]; /* KL(tuned‖side) and the rest */
};

/* Measure the models in these places; adapter is the tuned one's.  On --data, or the built-in
 * texts.  Release it in any case. */
HN_MUST_USE int hn_accuracy_measure(struct hn_accuracy *a, const struct hn_settings *set,
                                    const char *base, const char *adapter, const char *fused,
                                    struct hn_ui *ui, struct hone_err *err);
/* quantized: fused weights were quantised again, so another form would be nearer. */
void hn_accuracy_print(const struct hn_accuracy *a, bool quantized, struct hn_ui *ui);
/* An object, as a value. */
void hn_accuracy_write(const struct hn_accuracy *a, struct hn_json_writer *w);
void hn_accuracy_release(struct hn_accuracy *a);

#endif

/* The same work through transformers, in a Python that has it. */
#ifndef HN_CLI_PYTORCH_H
#define HN_CLI_PYTORCH_H

#include "cli/child.h"
#include "cli/compare_side.h"
#include "conf/settings.h"

enum hn_pytorch_task { HN_PYTORCH_MEASURE, HN_PYTORCH_TRAIN };

/* Does this Python have what is needed, to load weights that are quantized so, and peft if asked
 * for?  In one sentence, when not. */
HN_MUST_USE int hn_pytorch_check(const struct hn_settings *set, bool peft, const char *quantization,
                                 struct hone_err *err);

/* Start it on what side (hone's measurement of the same checkpoint) was measured on; measuring, it
 * writes its logits to logits_path.  Wait for it with hn_child_wait. */
HN_MUST_USE int hn_pytorch_start(struct hn_child *c, const struct hn_settings *set,
                                 enum hn_pytorch_task task, const struct hone_compare_side *side,
                                 const char *logits_path, struct hone_err *err);

#endif

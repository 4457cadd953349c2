/* Merging an adapter into its base: one model that needs no adapter. */
#ifndef HONE_FUSE_H
#define HONE_FUSE_H

#include "hone/convert.h"
#include "hone/model.h"

/* Write the opened model, its adapter merged, as o says; o->model is not read: it is the base's
 * path.  A matrix with an adapter becomes W + scale * B A, summed in float32, rounded (or
 * quantised) once; all others are written as hone_convert writes them, so that where the output's
 * format is the base's they are copied bit for bit.  o->type AUTO keeps the base's types, quantised
 * ones too where the output's format has them (a bitsandbytes base becomes 16-bit: its own type).
 * HONE_USAGE when the model has no adapter.  *n_fused: the matrices that were changed; it, report
 * and on_progress may be NULL. */
int hone_fuse(const struct hone_model *model, const struct hone_convert_options *o,
              hone_convert_fn *on_progress, void *arg, size_t *n_fused,
              struct hone_convert_report *report, struct hone_err *err);

#endif

/* The filters that Python writes as generators: nothing happens before the first item is asked for.
 */
#ifndef HN_TEXT_JINJA_LAZY_H
#define HN_TEXT_JINJA_LAZY_H

#include "jinja/jinja_eval.h"

int hn_jlazy_items(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out);
int hn_jlazy_map(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out);
int hn_jlazy_select(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out);
int hn_jlazy_reject(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out);
int hn_jlazy_selectattr(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out);
int hn_jlazy_rejectattr(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out);
int hn_jlazy_unique(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out);
int hn_jlazy_batch(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out);
int hn_jlazy_slice(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out);
int hn_jlazy_attr(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out);

#endif

/* The arguments of learning rate schedules, as people write them, in one shape. */
#ifndef HN_CONF_SCHEDULE_ARGS_H
#define HN_CONF_SCHEDULE_ARGS_H

#include "conf/conf.h"

/* Bring every item of lr_scheduler_kwargs into the shape name=value: also {"name": value} as JSON
 * writes it, whose commas have made items of its members. */
HN_MUST_USE int hn_schedule_arguments(struct hn_conf *c, struct hone_err *err);

#endif

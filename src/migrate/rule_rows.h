/* How the rows of a table of rules are written. */
#ifndef HN_MIGRATE_RULE_ROWS_H
#define HN_MIGRATE_RULE_ROWS_H

#include "migrate/rules.h"

/* n: the names; k: hone's key. */
#define CARRY(n, k)                                                                                \
    {                                                                                              \
        .names = n, .action = HN_ACT_CARRY, .key = k                                               \
    }
#define AUTO(n, why)                                                                               \
    {                                                                                              \
        .names = n, .action = HN_ACT_AUTO, .note = why                                             \
    }
/* off: the value with which nothing is lost. */
#define LOST(n, off, why)                                                                          \
    {                                                                                              \
        .names = n, .action = HN_ACT_LOST, .usual = off, .note = why                               \
    }
/* f decides. */
#define CALL(n, k, f)                                                                              \
    {                                                                                              \
        .names = n, .action = HN_ACT_CALL, .key = k, .fn = f                                       \
    }

#endif

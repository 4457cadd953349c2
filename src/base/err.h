/* Filling struct hone_err.  Codes and the struct itself are public: hone/err.h. */
#ifndef HN_BASE_ERR_H
#define HN_BASE_ERR_H

#include "base/compiler.h"
#include "hone/err.h"

/* Write the sentence into err (which may be NULL) and return code, so that a failing function ends
 * with `return hn_fail(err, HONE_FAILED, "…", …);`.  A message that is too long is cut at a
 * character and ends in "…".  Control characters of the arguments are shown as '?'. */
int hn_fail(struct hone_err *err, int code, const char *fmt, ...) HN_PRINTF(3, 4);

/* hn_fail with HONE_NO_MEMORY and "out of memory while WHAT". */
int hn_fail_memory(struct hone_err *err, const char *what);

/* Put "PREFIX: " before the message that a callee left, and return its code. */
int hn_fail_prefix(struct hone_err *err, const char *fmt, ...) HN_PRINTF(2, 3);

#endif

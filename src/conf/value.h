/* One setting's value: from text to its place in the settings, and back to text. */
#ifndef HN_CONF_VALUE_H
#define HN_CONF_VALUE_H

#include "base/arena.h"
#include "base/buf.h"
#include "conf/option.h"
#include "conf/settings.h"

/* Parse text[n] as the option's type, check its range, and store it; append adds to a list rather
 * than replacing it.  Strings are copied into the arena.  A message names the option as `shown`
 * (--lora-rank, or a YAML key) and says what was found and what was expected. */
HN_MUST_USE int hn_value_set(const struct hn_option *o, struct hn_settings *s, const char *text,
                             size_t n, bool append, const char *shown, struct hn_arena *arena,
                             struct hone_err *err);

/* Check without storing. */
HN_MUST_USE int hn_value_check(const struct hn_option *o, const char *text, size_t n,
                               const char *shown, struct hone_err *err);

/* The stored value as text that hn_value_set reads back; lists with commas; "" for NULL. */
void hn_value_get(const struct hn_option *o, const struct hn_settings *s, struct hn_buf *out);

/* What is expected of the option, for messages and help: "a number from 0 to 1", "one of a, b". */
void hn_value_expected(const struct hn_option *o, struct hn_buf *out);

/* Numbers as people and Python write them; false when text is not one.  Sizes: 6GB, 512M, 1.5GiB.
 */
bool hn_text_int(const char *p, size_t n, int64_t *out);
bool hn_text_float(const char *p, size_t n, double *out);
bool hn_text_size(const char *p, size_t n, uint64_t *out);

#endif

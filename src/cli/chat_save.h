/* Conversations in a file of records. */
#ifndef HN_CLI_CHAT_SAVE_H
#define HN_CLI_CHAT_SAVE_H

#include "base/err.h"

/* Add the record (one line, without its end) to the .jsonl file at path ("~/" is the home), which
 * is made when it is not there. */
HN_MUST_USE int hn_chat_save(const char *path, const char *record, struct hone_err *err);

#endif

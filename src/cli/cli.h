/* What the commands share: their table's functions, opening what --model names, and printing JSON.
 */
#ifndef HN_CLI_CLI_H
#define HN_CLI_CLI_H

#include "base/buf.h"
#include "base/json.h"
#include "cli/ui.h"
#include "conf/conf.h"
#include "hone/tokenizer.h"

/* A command: 0, or an enum hone_code with err filled. */
typedef int hn_cmd_fn(struct hn_conf *c, struct hone_err *err);
hn_cmd_fn hn_cmd_prepare, hn_cmd_train, hn_cmd_generate, hn_cmd_test, hn_cmd_tokenize, hn_cmd_info,
    hn_cmd_bench, hn_cmd_migrate, hn_cmd_pull, hn_cmd_report, hn_cmd_compare, hn_cmd_convert,
    hn_cmd_fuse, hn_cmd_chat, hn_cmd_help, hn_cmd_version;

/* The one positional argument where there is one, else value. */
const char *hn_cli_argument(const struct hn_conf *c, const char *value);

/* The path of what --model names: hone_model_locate (hone_tokenizer_locate), and where that finds
 * nothing, hone_pull, shown on standard error. */
HN_MUST_USE int hn_cli_locate(const char *name, bool tokenizer_only, char **path,
                              struct hone_err *err);

/* Open the model that --model and --adapter-path name (an adapter's folder alone is enough), and
 * its tokenizer unless tok is NULL.  Close both with the public functions. */
HN_MUST_USE int hn_cli_open(const struct hn_conf *c, struct hone_model **model,
                            struct hone_tokenizer **tok, struct hone_err *err);
/* The tokenizer alone. */
HN_MUST_USE int hn_cli_open_tokenizer(const char *name, struct hone_tokenizer **tok,
                                      struct hone_err *err);

/* The file of held-out rows that --data names: itself, or the test rows in a folder; hn_free it. */
HN_MUST_USE int hn_cli_find_rows(const char *data, char **rows, struct hone_err *err);

/* Print the finished object and a newline on standard output; releases the buffer. */
HN_MUST_USE int hn_cli_print_json(struct hn_buf *out, struct hone_err *err);
/* Everything of a memory plan, as members of the open object. */
void hn_cli_json_plan(struct hn_json_writer *w, const char *key,
                      const struct hone_memory_plan *plan);

/* From the first call on, the first Ctrl-C asks for an orderly stop and the second one kills.  A
 * terminal that is closed (SIGHUP) asks for one too, unless that is ignored (nohup). */
void hn_cli_catch_interrupts(void);
bool hn_cli_interrupted(void);
/* Nobody reads standard output any more (hone train | head): an orderly stop too, not the death
 * that loses a run. */
void hn_cli_catch_broken_pipe(void);
/* A limit on the size of files (ulimit -f) is a write that fails, not a death; a mapped file that
 * is cut short while it is used ends the program with a sentence. */
void hn_cli_catch_file_failures(void);
/* For what goes on after Ctrl-C: each one is seen by hn_cli_interrupted until it is forgotten, and
 * none kills.  SIGTERM does.  With break_reads, a read that waits is ended by it (EINTR). */
void hn_cli_catch_each_interrupt(void);
void hn_cli_break_reads(bool on);
void hn_cli_forget_interrupts(void);

#endif

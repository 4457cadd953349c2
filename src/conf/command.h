/* The commands as the user sees them: names, summaries, usage and examples.  src/cli has the
 * function of each. */
#ifndef HN_CONF_COMMAND_H
#define HN_CONF_COMMAND_H

#include "base/compiler.h"

enum hn_command_id {
    HN_PREPARE,
    HN_TRAIN,
    HN_GENERATE,
    HN_CHAT,
    HN_TEST,
    HN_TOKENIZE,
    HN_INFO,
    HN_BENCH,
    HN_MIGRATE,
    HN_PULL,
    HN_REPORT,
    HN_COMPARE,
    HN_CONVERT,
    HN_FUSE,
    HN_HELP,
    HN_VERSION,
    HN_N_COMMANDS
};
#define HN_BIT(id) (1u << (id))

struct hn_command {
    const char *name;
    const char *alias;      /* another name; NULL: none */
    const char *summary;    /* one line */
    const char *arguments;  /* what may stand beside options in the usage line */
    unsigned max_arguments; /* positional arguments taken */
    const char *text;       /* a paragraph for `hone help NAME` */
    const char *examples;   /* lines */
};
extern const struct hn_command hn_commands[HN_N_COMMANDS];

/* HN_N_COMMANDS when there is no such command. */
enum hn_command_id hn_command_find(const char *name);
/* The nearest command to a mistyped name, or NULL. */
const char *hn_command_nearest(const char *name);

#endif

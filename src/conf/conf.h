/* The settings of one run of one command: defaults, under a preset, under a config file, under the
 * command line.  What cannot be honoured is refused here by name. */
#ifndef HN_CONF_CONF_H
#define HN_CONF_CONF_H

#include "conf/option.h"
#include "conf/settings.h"
#include "base/arena.h"
#include "base/buf.h"

enum hn_source { HN_FROM_DEFAULT, HN_FROM_PRESET, HN_FROM_FILE, HN_FROM_LINE };
enum { HN_MAX_ARGUMENTS = 256 };

struct hn_conf {
    struct hn_settings set;
    enum hn_command_id command;
    struct hn_arena arena;                   /* owns every string and list in set */
    unsigned char from[HN_MAX_OPTIONS];      /* enum hn_source of each row */
    const char *arguments[HN_MAX_ARGUMENTS]; /* what is no option; borrowed from argv */
    size_t n_arguments;
    const char *called; /* what the command was called by (\"lora\"); borrowed; NULL: unknown */
    bool help;          /* -h or --help was met: nothing else was checked */
    bool mlx_only;      /* options were given, and mlx_lm.lora has all of them */
};

/* argv[0..argc): what follows the command's name.  Release it in any case. */
HN_MUST_USE int hn_conf_init(struct hn_conf *c, enum hn_command_id command, int argc,
                             char *const *argv, struct hone_err *err);
void hn_conf_release(struct hn_conf *c);

/* Set one option from outside the command line (a config file, a preset); a source that ranks below
 * the one that set it already is checked and dropped. */
HN_MUST_USE int hn_conf_set(struct hn_conf *c, size_t index, const char *text, size_t n,
                            bool append, enum hn_source source, const char *shown,
                            struct hone_err *err);
/* Who set the option of this name (a canonical name of this command). */
enum hn_source hn_conf_source(const struct hn_conf *c, const char *name);

/* One line on the defaults that differ from mlx_lm.lora's, for the options that nobody set. */
void hn_conf_mlx_differences(const struct hn_conf *c, struct hn_buf *out);

#endif

/* The option table: what the command line, config files, help and documentation know of a setting
 * is its row here, and nothing else is known anywhere.  A row gives name, aliases, type, range,
 * default in each preset, help, the commands that take it, and where in struct hn_settings it is
 * stored. */
#ifndef HN_CONF_OPTION_H
#define HN_CONF_OPTION_H

#include "base/err.h"
#include "conf/command.h"

enum hn_option_type {
    HN_OPTION_BOOL,   /* bool; --name, --no-name, --name=true|false */
    HN_OPTION_INT,    /* int64_t */
    HN_OPTION_INT32,  /* int */
    HN_OPTION_SEED,   /* uint64_t */
    HN_OPTION_FLOAT,  /* double */
    HN_OPTION_SIZE,   /* uint64_t bytes; 6GB, 500M, 1.5GiB */
    HN_OPTION_STRING, /* const char *; "" and null are NULL */
    HN_OPTION_LIST,   /* const char *const * at offset, size_t at offset_n; commas or repetition */
    HN_OPTION_ENUM,   /* int; one of choices */
    HN_OPTION_FIXED,  /* not stored: only the values in def, by '|', are accepted; help says why */
};

enum hn_option_flags {
    HN_OPTION_NO_SPLIT = 1,  /* a list whose items may hold commas: repetition only */
    HN_OPTION_LINE_ONLY = 2, /* no key of a config file */
    HN_OPTION_ABOVE_MIN = 4, /* the minimum itself is out of range */
    HN_OPTION_BARE = 8,      /* an enum or fixed flag that may stand without a value: choices[0] */
    HN_OPTION_ZERO_OFF = 16, /* 0 means "not set": written as null */
    HN_OPTION_MLX = 32,      /* mlx_lm.lora has this flag by this name */
    HN_OPTION_NOT_KEPT = 64, /* read from a config file, never written to one */
};

enum { HN_OPTION_NOWHERE = 0xffff }; /* as an offset: checked, not stored */

struct hn_choice {
    const char *name; /* NULL ends the list */
    int value;        /* HN_NOT_YET: known, and refused with a sentence that names it */
};
enum { HN_NOT_YET = -1000 };

struct hn_option {
    const char *name;    /* canonical, with dashes; the YAML key has underscores */
    const char *aliases; /* by spaces; NULL: none */
    char letter;         /* -c; 0: none */
    unsigned char type, flags;
    unsigned commands; /* HN_BIT(id) of the commands that take it */
    unsigned short offset, offset_n;
    double min, max;                 /* of numbers; both 0: any that the type holds */
    const char *def;                 /* default, as text */
    const char *transformers, *mlx;  /* defaults of the other presets; NULL: the same */
    const struct hn_choice *choices; /* of an enum */
    const char *value;               /* what help calls the value: N, PATH */
    const char *group;               /* heading in help */
    const char *help;
};

extern const struct hn_option hn_options_train[], hn_options_other[], hn_options_quantize[];
extern const struct hn_choice hn_choices_format[];
extern const size_t hn_n_options_train, hn_n_options_other, hn_n_options_quantize;

/* All rows, the training ones first; NULL when i is past the end. */
const struct hn_option *hn_option_at(size_t i);
enum { HN_MAX_OPTIONS = 256 };

/* The row that this command takes under this name or alias (dashes or underscores alike), and its
 * index; NULL: none. */
const struct hn_option *hn_option_find(enum hn_command_id command, const char *name, size_t n,
                                       size_t *index);
const struct hn_option *hn_option_find_letter(enum hn_command_id command, char letter,
                                              size_t *index);
/* The nearest name to a mistyped one among those that the command takes, or NULL. */
const char *hn_option_nearest(enum hn_command_id command, const char *name);

/* "learning_rate" of "learning-rate", into out[size]; out. */
const char *hn_option_key(const struct hn_option *o, char *out, size_t size);

#endif

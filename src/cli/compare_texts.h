/* What is measured when no data is given: a little of everything that models are used for. */
#ifndef HN_CLI_COMPARE_TEXTS_H
#define HN_CLI_COMPARE_TEXTS_H

#include <stddef.h>

extern const char *const hn_compare_texts[];
extern const size_t hn_n_compare_texts;
extern const char *const hn_compare_prompts[];
extern const size_t hn_n_compare_prompts;

#endif

/* Reading what tools/make_format_goldens.py wrote, for the tests of the format layer. */
#ifndef HN_TEST_FORMAT_GOLDEN_H
#define HN_TEST_FORMAT_GOLDEN_H

#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "base/mem.h"
#include "format/safetensors.h"

#define DATA HN_TEST_DIR "/format/data/"

static inline void open_golden(struct hn_safetensors *st, const char *path)
{
    struct hone_err err = {0};
    if (hn_st_open(st, path, &err))
        fail_msg("%s", err.message);
}

static inline const struct hn_st_tensor *golden(const struct hn_safetensors *st, const char *name)
{
    const struct hn_st_tensor *t = hn_st_find(st, name);
    if (!t)
        fail_msg("no golden tensor %s", name);
    return t;
}

/* got[n] must be the float32 tensor, bit for bit. */
static inline void expect_bits(const struct hn_st_tensor *t, const float *got, int64_t n)
{
    assert_int_equal(t->dtype, HN_F32);
    assert_int_equal(t->n_elements, n);
    for (int64_t i = 0; i < n; i++)
        if (memcmp(t->data + i * 4, &got[i], 4) != 0)
            fail_msg("%s, element %lld: %.9g, expected %.9g", t->name, (long long)i, (double)got[i],
                     (double)hn_dtype_load(HN_F32, t->data, (size_t)i));
}

/* message must hold every one of the words, separated by '|' in pattern. */
static inline void expect_message(const char *message, const char *pattern)
{
    char word[200];
    while (*pattern) {
        size_t n = strcspn(pattern, "|");
        assert_true(n < sizeof word);
        memcpy(word, pattern, n);
        word[n] = 0;
        if (!strstr(message, word))
            fail_msg("\"%s\" does not say \"%s\"", message, word);
        pattern += n + (pattern[n] == '|');
    }
}

#endif

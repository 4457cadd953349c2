#include "text/pre_names.h"

#include <string.h>

#define GPT2 "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"
#define LLAMA3                                                                                     \
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| "                     \
    "?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define QWEN2                                                                                      \
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| "                          \
    "?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"

enum { MAX_PATTERNS = 4 };

static const struct {
    const char *name;
    const char *patterns[MAX_PATTERNS];
    bool ignore_merges;
} pres[] = {
    {"gpt-2", {GPT2}, false},
    {"smollm", {"\\p{N}", GPT2}, false},
    {"llama-bpe", {LLAMA3}, true},
    {"qwen2", {QWEN2}, false},
};

static int refuse(struct hn_str name, const char *path, struct hone_err *err)
{
    struct hn_buf list = {0};
    for (size_t i = 0; i < HN_COUNT(pres); i++) {
        hn_buf_add_str(&list, i ? ", " : "");
        hn_buf_add_str(&list, pres[i].name);
    }
    int rc = hn_fail(err, HONE_FAILED,
                     "%s: tokenizer.ggml.pre is \"%.*s\", which is not known; known are %s", path,
                     (int)HN_MIN(name.n, (size_t)60), name.p, hn_buf_str(&list));
    hn_buf_release(&list);
    return rc;
}

int hn_pre_splits(struct hone_tokenizer *t, struct hn_str name, const char *path,
                  struct hone_err *err)
{
    size_t k = 0;
    while (k < HN_COUNT(pres) && !hn_str_is(name, pres[k].name))
        k++;
    if (k == HN_COUNT(pres))
        return refuse(name, path, err);
    t->model.ignore_merges = pres[k].ignore_merges;
    for (size_t i = 0; i < MAX_PATTERNS && pres[k].patterns[i]; i++) {
        struct hn_split_step step = {.kind = HN_SPLIT_PATTERN, .behavior = HN_ISOLATED};
        int rc = hn_regex_open(&step.re, hn_str_of(pres[k].patterns[i]), err);
        if (rc)
            return rc;
        t->splits[t->n_splits++] = step;
    }
    t->splits[t->n_splits++] = (struct hn_split_step){.kind = HN_SPLIT_BYTE_LEVEL};
    return 0;
}

/* What the tokenizer targets share: an empty tokenizer, the text of an input, and its use. */
#ifndef HN_TEST_FUZZ_TOKENIZER_H
#define HN_TEST_FUZZ_TOKENIZER_H

#include <string.h>

#include "base/mem.h"
#include "text/tokenizer_impl.h"

static struct hone_tokenizer *fuzz_tokenizer_new(void)
{
    struct hone_tokenizer *t = hn_calloc(1, sizeof *t);
    HN_ASSERT(t);
    hn_arena_init(&t->arena, (size_t)1 << 28);
    return t;
}

/* Where the file ends and the text begins: after the last line "%%", or the end. */
static size_t fuzz_tokenizer_cut(const uint8_t *data, size_t size)
{
    for (size_t i = size; i >= 4; i--)
        if (memcmp(data + i - 4, "\n%%\n", 4) == 0)
            return i - 4;
    return size;
}

static void fuzz_tokenizer_use(const struct hone_tokenizer *t, const uint8_t *text, size_t n)
{
    struct hone_tokens ids = {0};
    struct hone_err err = {0};
    struct hone_detokenizer *d = NULL;
    char *whole = NULL;
    size_t len = 0, at = 0;
    int flags = n & 1 ? HONE_SKIP_SPECIAL : 0;
    if (n > 4096)
        return;
    if (hone_tokenizer_encode(t, (const char *)text, n, HONE_ADD_SPECIAL, &ids, &err)) {
        HN_ASSERT(err.message[0]);
    } else if (hone_tokenizer_decode(t, ids.ids, ids.n, flags, &whole, &len, &err) == 0) {
        HN_ASSERT(hone_detokenizer_open(&d, t, flags, &err) == 0);
        for (size_t i = 0; i <= ids.n; i++) {
            const char *part;
            size_t k;
            int rc = i < ids.n ? hone_detokenizer_push(d, ids.ids[i], &part, &k, &err)
                               : hone_detokenizer_flush(d, &part, &k, &err);
            HN_ASSERT(rc == 0 && at + k <= len && memcmp(whole + at, part, k) == 0);
            at += k;
        }
        HN_ASSERT(at == len);
    }
    for (size_t i = 0; i < ids.n; i++)
        HN_ASSERT(hone_tokenizer_token(t, ids.ids[i]));
    hone_detokenizer_close(&d);
    hone_free(whole);
    hone_tokens_release(&ids);
}

#endif

/* A GGUF's vocabulary and, after a line "%%", a text. */
#include <string.h>

#include "format/gguf.h"
#include "fuzz_tokenizer.h"
#include "text/tokenizer_impl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hone_tokenizer *t = fuzz_tokenizer_new();
    struct hone_err err = {0};
    struct hn_gguf g;
    size_t cut = fuzz_tokenizer_cut(data, size);
    int rc = hn_gguf_open_memory(&g, data, cut, "F", &err);
    rc = rc ? rc : hn_tokenizer_from_gguf(t, &g, "F", &err);
    rc = rc ? rc : hn_tokenizer_finish(t, &err);
    if (rc)
        HN_ASSERT(err.message[0]);
    else
        fuzz_tokenizer_use(t, data + cut, size - cut);
    hn_gguf_release(&g);
    hone_tokenizer_close(&t);
    return 0;
}

/* tokenizer.model (SentencePiece) and, after a line "%%", a text. */
#include <string.h>

#include "fuzz_tokenizer.h"
#include "text/tokenizer_impl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hone_tokenizer *t = fuzz_tokenizer_new();
    struct hone_err err = {0};
    size_t cut = fuzz_tokenizer_cut(data, size);
    struct hn_spm_options o = {.prefix_each = size & 1, .no_prefix = (size & 6) == 6};
    int rc = hn_tokenizer_parse_model(t, data, cut, o, "F", &err);
    rc = rc ? rc : hn_tokenizer_finish(t, &err);
    if (rc)
        HN_ASSERT(err.message[0]);
    else
        fuzz_tokenizer_use(t, data + cut, size - cut);
    hone_tokenizer_close(&t);
    return 0;
}

/* safetensors from hostile files: refused in one sentence, or every tensor lies inside the file and
 * has as many bytes as its shape says. */
#include <string.h>

#include "format/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hn_safetensors st;
    struct hone_err err = {0};
    if (hn_st_open_memory(&st, data, size, "F", &err)) {
        HN_ASSERT(err.message[0] && st.n == 0);
        return 0;
    }
    size_t covered = 0;
    for (size_t i = 0; i < st.n; i++) {
        const struct hn_st_tensor *t = &st.tensors[i];
        int64_t n = 1;
        for (int d = 0; d < t->n_dims; d++)
            n *= t->shape[d];
        HN_ASSERT(n == t->n_elements && t->size == (size_t)n * hn_dtype_size(t->dtype));
        HN_ASSERT(t->data >= data && t->data + t->size <= data + size);
        HN_ASSERT(hn_st_find(&st, t->name) == t);
        covered += t->size;
    }
    uint64_t header = 0;
    for (int i = 7; i >= 0; i--)
        header = header << 8 | data[i];
    HN_ASSERT(covered + header + 8 == size);
    struct hn_str s;
    (void)hn_st_metadata(&st, "format", &s);
    hn_st_release(&st);
    return 0;
}

/* Models from hostile files: a GGUF, or a directory (config.json %% model.safetensors %%
 * generation_config.json), or one in shards after a line "S" (config.json %% the index %% shard %%
 * shard).  Whatever opens can be listed and decoded. */
#include "fuzz_files.h"

#include "format/bundle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void decode(const struct hn_matrix *m)
{
    static float out[1 << 16];
    volatile float sum = 0;
    int64_t n = HN_MIN(m->cols, (int64_t)HN_COUNT(out)) / 256 * 256;
    if (m->cols < 256)
        n = m->cols;
    HN_ASSERT(m->rows > 0 && m->cols > 0 && m->row_size > 0);
    for (int64_t row = 0; row < m->rows; row += HN_MAX(m->rows / 7, (int64_t)1)) {
        hn_matrix_decode(m, row, 0, n, out);
        sum += out[n - 1];
    }
    if (m->rows > 0)
        hn_matrix_decode(m, m->rows - 1, 0, n, out);
}

static void visit(const struct hn_bundle *b)
{
    for (size_t i = 0; i < hn_bundle_n_tensors(b); i++) {
        struct hn_bundle_tensor t;
        struct hn_matrix m;
        struct hone_err err = {0};
        hn_bundle_tensor(b, i, &t);
        HN_ASSERT(hn_bundle_has(b, t.name));
        int rc = t.n_dims == 1 ? hn_bundle_vector(b, t.name, &m, &err)
                               : hn_bundle_matrix(b, t.name, &m, &err);
        if (rc)
            HN_ASSERT(err.message[0]);
        else
            decode(&m);
    }
    struct hn_bundle_info info;
    const int32_t *eos;
    hn_bundle_info(b, &info);
    HN_ASSERT(info.quantization && info.n_parameters >= 0);
    (void)hn_bundle_eos(b, &eos);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"config.json", "model.safetensors",
                                        "generation_config.json"};
    static const char *const shards[] = {"config.json", "model.safetensors.index.json",
                                         "model-00001-of-00002.safetensors",
                                         "model-00002-of-00002.safetensors"};
    bool sharded = size > 2 && memcmp(data, "S\n", 2) == 0;
    struct hn_bundle *b = NULL;
    struct hone_err err = {0};
    const char *path = fuzz_dir();
    if (size > 4 && memcmp(data, "GGUF", 4) == 0) {
        fuzz_put("x.gguf", data, size);
        path = fuzz_path("x.gguf");
    } else {
        for (size_t i = 1; i < HN_COUNT(shards); i++)
            unlink(fuzz_path(shards[i]));
        for (size_t i = 1; i < HN_COUNT(names); i++)
            unlink(fuzz_path(names[i]));
        if (sharded)
            fuzz_spread(data + 2, size - 2, shards, HN_COUNT(shards));
        else
            fuzz_spread(data, size, names, HN_COUNT(names));
    }
    if (hn_bundle_open(&b, path, &err))
        HN_ASSERT(err.message[0] && !b);
    else
        visit(b);
    hn_bundle_close(&b);
    return 0;
}

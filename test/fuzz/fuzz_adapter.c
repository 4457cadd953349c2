/* Adapters from hostile files: adapter_config.json %% adapter_model.safetensors %%
 * adapters.safetensors.  What is read can be written, and reads back with the same modules. */
#include "fuzz_files.h"

#include "format/adapter.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void write_again(const struct hn_adapter_file *f)
{
    struct hn_adapter_spec spec = {.modules = f->modules,
                                   .n = f->n,
                                   .base_model = f->base_model,
                                   .alpha = f->alpha,
                                   .dropout = f->dropout,
                                   .use_rslora = f->use_rslora,
                                   .model_layers = 2,
                                   .config = f->config};
    struct hone_err err = {0};
    struct hn_adapter_file again;
    char dir[200], file[220];
    snprintf(dir, sizeof dir, "%s", fuzz_path("again"));
    if (hn_adapter_write(dir, &spec, &err)) {
        HN_ASSERT(err.message[0]);
        return;
    }
    snprintf(file, sizeof file, "%s/adapter_model.safetensors", dir);
    int rc = hn_adapter_read(&again, file, &err);
    HN_ASSERT(rc == 0 && again.n == f->n);
    for (size_t i = 0; i < f->n; i++)
        HN_ASSERT(strcmp(f->modules[i].path, again.modules[i].path) == 0);
    hn_adapter_release(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"adapter_config.json", "adapter_model.safetensors",
                                        "adapters.safetensors"};
    struct hn_adapter_file f;
    struct hone_err err = {0};
    fuzz_spread(data, size, names, HN_COUNT(names));
    if (hn_adapter_read(&f, fuzz_dir(), &err))
        HN_ASSERT(err.message[0] && f.n == 0);
    else
        write_again(&f);
    hn_adapter_release(&f);
    return 0;
}

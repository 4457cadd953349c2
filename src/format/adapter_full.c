/* Writing what full fine-tuning made, in mlx-lm's form: the trained weights themselves. */
#include "base/mem.h"
#include "format/adapter.h"

int hn_adapter_write_full(struct hn_st_writer *w, const char *dir,
                          const struct hn_st_entry *entries, size_t n, struct hone_err *err)
{
    static const struct hn_st_pair metadata = {"format", "mlx"};
    char *path = hn_path_join(dir, "adapters.safetensors");
    int rc = path ? hn_dir_make(dir, err) : hn_fail_memory(err, "writing weights");
    if (!rc)
        rc = hn_st_writer_open(w, path, entries, n, &metadata, 1, err);
    hn_free(path);
    return rc;
}

int hn_adapter_write_full_config(const char *dir, const char *base_model, int64_t num_layers,
                                 struct hone_err *err)
{
    struct hn_buf text = {0};
    struct hn_json_writer w;
    char *path = hn_path_join(dir, "adapter_config.json");
    hn_jw_init(&w, &text, 2);
    hn_jw_open(&w, '{');
    hn_jw_put_str(&w, "fine_tune_type", "full");
    static const char *const names[] = {"model", "base_model_name_or_path"};
    for (size_t i = 0; i < HN_COUNT(names); i++)
        hn_jw_put_str(&w, names[i], base_model);
    hn_jw_put_int(&w, "num_layers", num_layers > 0 ? num_layers : -1);
    hn_jw_put_null(&w, "lora_parameters");
    hn_jw_close(&w, '}');
    hn_buf_add_char(&text, '\n');
    int rc = path && !text.failed ? hn_file_write(path, text.data, text.len, err)
                                  : hn_fail_memory(err, "writing weights");
    hn_buf_release(&text);
    hn_free(path);
    return rc;
}

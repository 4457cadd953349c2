/* The vocabulary of a GGUF as a directory's tokenizer.json, tokenizer_config.json and
 * generation_config.json. */
#include "base/file.h"
#include "base/mem.h"
#include "convert/convert_impl.h"
#include "text/tokenizer_write.h"

#include <string.h>

static int write_text(struct hn_converter *c, const char *dir, const char *name, struct hn_buf *b)
{
    char *path = hn_path_join(dir, name);
    int rc = !path || b->failed ? hn_fail_memory(c->err, "writing a tokenizer")
                                : hn_file_write(path, b->data, b->len, c->err);
    hn_free(path);
    hn_buf_clear(b);
    return rc;
}

/* What ends an answer: config.json has the same, but generate() of transformers looks here. */
static void generation_config(struct hn_converter *c, struct hn_buf *out)
{
    const int32_t *ids;
    size_t n = hn_bundle_eos(c->bundle, &ids);
    struct hn_json_writer w;
    hn_jw_init(&w, out, 2);
    hn_jw_open(&w, '{');
    if (c->spec.bos >= 0)
        hn_jw_put_int(&w, "bos_token_id", c->spec.bos);
    if (n) {
        hn_jw_put_open(&w, "eos_token_id", '[');
        for (size_t i = 0; i < n; i++)
            hn_jw_int(&w, ids[i]);
        hn_jw_close(&w, ']');
    }
    hn_jw_close(&w, '}');
    hn_buf_add_char(out, '\n');
}

int hn_converter_unpack_vocabulary(struct hn_converter *c, const char *dir)
{
    struct hone_tokenizer *t = NULL;
    struct hn_bundle_info info;
    struct hn_buf text = {0};
    hn_bundle_info(c->bundle, &info);
    int rc = hone_tokenizer_open(&t, info.tokenizer_path, c->err);
    if (rc)
        return rc;
    /* Qwen's tokenizers normalise, and their GGUFs do not say so. */
    bool nfc = hn_starts_with(c->spec.family->name, "qwen");
    rc = hn_tokenizer_write_json(t, nfc, c->o->model, &text, c->err);
    rc = rc ? rc : write_text(c, dir, "tokenizer.json", &text);
    if (!rc) {
        hn_tokenizer_write_config(t, c->spec.context, &text);
        rc = write_text(c, dir, "tokenizer_config.json", &text);
    }
    if (!rc) {
        generation_config(c, &text);
        rc = write_text(c, dir, "generation_config.json", &text);
    }
    hn_buf_release(&text);
    hone_tokenizer_close(&t);
    return rc;
}

/* The tokenizer of a directory: the source's files, as they are. */
#include "base/file.h"
#include "base/mem.h"
#include "convert/convert_impl.h"

#include <string.h>

/* Files beside the weights that belong to the model, whatever its form. */
static const char *const carried[] = {
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "chat_template.jinja",
    "chat_template.json",
    "generation_config.json",
    "tekken.json",
    "LICENSE",
    "LICENSE.txt",
    "NOTICE",
    "Notice",
    "USE_POLICY.md",
};

/* The largest tokenizer.json that is read (text/tokenizer_open.c); the others are smaller. */
enum { MAX_FILE = 1 << 28 };

static int copy_file(const char *from, const char *to, struct hone_err *err)
{
    struct hn_buf bytes = {0};
    int found = hn_file_find(from, err);
    int rc = found > 0 ? hn_file_read(from, MAX_FILE, &bytes, err) : found;
    if (found > 0 && !rc)
        rc = hn_file_write(to, bytes.data, bytes.len, err);
    hn_buf_release(&bytes);
    return rc;
}

static int carry(struct hn_converter *c, const char *name, const char *dir)
{
    struct hn_bundle_info info;
    hn_bundle_info(c->bundle, &info);
    char *from = hn_path_join(info.path, name), *to = hn_path_join(dir, name);
    int rc = from && to ? copy_file(from, to, c->err) : hn_fail_memory(c->err, "copying files");
    hn_free(from);
    hn_free(to);
    return rc;
}

int hn_converter_write_tokenizer(struct hn_converter *c, const char *dir)
{
    int rc = 0;
    if (hn_convert_kind(c->bundle) == HONE_FORMAT_GGUF)
        return hn_converter_unpack_vocabulary(c, dir);
    for (size_t i = 0; i < HN_COUNT(carried) && !rc; i++)
        rc = carry(c, carried[i], dir);
    return rc;
}

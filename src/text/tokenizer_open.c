/* Where a tokenizer is found: a directory, a .gguf file, or a tokenizer file itself. */
#include "base/file.h"
#include "base/mem.h"
#include "format/gguf.h"
#include "text/tokenizer_config.h"
#include "text/tokenizer_impl.h"

#include <string.h>

enum { MAX_JSON = 1 << 28 };

static int open_gguf(struct hone_tokenizer *t, const char *path, struct hone_err *err)
{
    struct hn_gguf g;
    int rc = hn_gguf_open(&g, path, err);
    if (rc == 0)
        rc = hn_tokenizer_from_gguf(t, &g, path, err);
    hn_gguf_release(&g);
    return rc;
}

static int open_json(struct hone_tokenizer *t, const char *path, struct hone_err *err)
{
    struct hn_buf text = {0};
    int rc = hn_file_read(path, MAX_JSON, &text, err);
    if (rc == 0)
        rc = hn_tokenizer_parse_json(t, hn_buf_str(&text), text.len, path, err);
    hn_buf_release(&text);
    return rc;
}

static int open_model(struct hone_tokenizer *t, const char *path,
                      const struct hn_tokenizer_config *c, struct hone_err *err)
{
    struct hn_spm_options o = {.prefix_each = c && hn_tokenizer_config_flag(c, "legacy", false),
                               .no_prefix =
                                   c && !hn_tokenizer_config_flag(c, "add_prefix_space", true)};
    struct hn_map map;
    int rc = hn_map_open(&map, path, err);
    if (rc)
        return rc;
    rc = hn_tokenizer_parse_model(t, map.data, map.size, o, path, err);
    hn_map_close(&map);
    return rc;
}

/* A tokenizer file, with the configuration beside it when it was found in a directory. */
static int open_file(struct hone_tokenizer *t, const char *path,
                     const struct hn_tokenizer_config *c, bool is_model, struct hone_err *err)
{
    int rc = is_model ? open_model(t, path, c, err) : open_json(t, path, err);
    if (rc == 0 && c)
        rc = hn_tokenizer_config_apply(c, t, is_model, err);
    return rc;
}

static int open_dir(struct hone_tokenizer *t, const char *dir, struct hone_err *err)
{
    struct hn_tokenizer_config c = {0};
    char *json = hn_path_join(dir, "tokenizer.json"), *model = hn_path_join(dir, "tokenizer.model");
    int rc = json && model ? hn_tokenizer_config_read(&c, dir, err)
                           : hn_fail_memory(err, "opening a tokenizer");
    int found = rc ? rc : hn_file_find(json, err);
    bool is_model = found == 0;
    if (is_model)
        found = hn_file_find(model, err);
    if (found > 0)
        rc = open_file(t, is_model ? model : json, &c, is_model, err);
    else if (found < 0)
        rc = found;
    else
        rc =
            hn_fail(err, HONE_NOT_FOUND, "%s: has neither tokenizer.json nor tokenizer.model", dir);
    hn_tokenizer_config_release(&c);
    hn_free(json);
    hn_free(model);
    return rc;
}

int hone_tokenizer_open(struct hone_tokenizer **out, const char *path, struct hone_err *err)
{
    struct hone_tokenizer *t = hn_calloc(1, sizeof *t);
    if (!t)
        return hn_fail_memory(err, "opening a tokenizer");
    hn_arena_init(&t->arena, 0);
    int rc = hn_dir_exists(path) ? open_dir(t, path, err)
             : hn_ends_with(path, ".gguf")
                 ? open_gguf(t, path, err)
                 : open_file(t, path, NULL, !hn_ends_with(path, ".json"), err);
    rc = rc ? rc : hn_tokenizer_finish(t, err);
    if (rc)
        hone_tokenizer_close(&t);
    else
        *out = t;
    return rc;
}

/* Where a tokenizer is found: a directory, a .gguf file, or a tokenizer file itself. */
#include "base/file.h"
#include "base/mem.h"
#include "format/gguf.h"
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

static int open_model(struct hone_tokenizer *t, const char *path, struct hone_err *err)
{
    struct hn_map map;
    int rc = hn_map_open(&map, path, err);
    if (rc)
        return rc;
    rc = hn_tokenizer_parse_model(t, map.data, map.size, false, path, err);
    hn_map_close(&map);
    return rc;
}

static int open_dir(struct hone_tokenizer *t, const char *dir, struct hone_err *err)
{
    char *json = hn_path_join(dir, "tokenizer.json");
    int rc = 0;
    if (!json)
        rc = hn_fail_memory(err, "opening a tokenizer");
    else if (hn_file_exists(json))
        rc = open_json(t, json, err);
    else
        rc =
            hn_fail(err, HONE_NOT_FOUND, "%s: has neither tokenizer.json nor tokenizer.model", dir);
    hn_free(json);
    return rc;
}

int hone_tokenizer_open(struct hone_tokenizer **out, const char *path, struct hone_err *err)
{
    struct hone_tokenizer *t = hn_calloc(1, sizeof *t);
    if (!t)
        return hn_fail_memory(err, "opening a tokenizer");
    hn_arena_init(&t->arena, 0);
    int rc = hn_dir_exists(path)           ? open_dir(t, path, err)
             : hn_ends_with(path, ".gguf") ? open_gguf(t, path, err)
             : hn_ends_with(path, ".json") ? open_json(t, path, err)
                                           : open_model(t, path, err);
    if (rc)
        hone_tokenizer_close(&t);
    else
        *out = t;
    return rc;
}

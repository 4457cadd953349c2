#include "base/json_file.h"
#include "base/file.h"

int hn_json_read_object(struct hn_arena *arena, const char *path, size_t max, struct hn_json **out,
                        struct hone_err *err)
{
    *out = NULL;
    struct hn_buf text = {0};
    struct hn_json *json = NULL;
    int found = hn_file_find(path, err);
    if (found <= 0)
        return found;
    int rc = hn_file_read(path, max, &text, err);
    if (!rc) {
        rc = hn_json_parse(arena, hn_buf_str(&text), text.len, HN_JSON_PYTHON, &json, err);
        if (rc)
            rc = hn_fail_prefix(err, "%s", path);
        else if (json->type != HN_JSON_OBJECT)
            rc = hn_fail(err, HONE_FAILED, "%s: found %s, expected an object", path,
                         hn_json_type_name(json));
    }
    hn_buf_release(&text);
    if (!rc)
        *out = json;
    return rc;
}

/* Opening what --model and --adapter-path name; JSON on standard output. */
#include <string.h>
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "hone/data.h"
#include "hone/model.h"

const char *hn_cli_argument(const struct hn_conf *c, const char *value)
{
    return c->n_arguments ? c->arguments[0] : value;
}

/* The base that an adapter's folder names when that is a name of the hub, located; *base stays NULL
 * when the folder is none, or names a path, which the model layer follows by itself. */
static int hub_base(const char *path, char **base, struct hone_err *err)
{
    char *name = NULL;
    int rc = 0;
    if (hone_adapter_base_model(path, &name, NULL))
        return 0;
    if (!hn_dir_exists(name) && !hn_file_exists(name) && strchr(name, '/')) {
        char *beside = hn_path_join(path, name);
        bool relative = beside && (hn_dir_exists(beside) || hn_file_exists(beside));
        hn_free(beside);
        if (!relative && (rc = hn_cli_locate(name, false, base, err)))
            rc = hn_fail_prefix(err, "the adapter in %s is for another model", path);
    }
    hn_free(name);
    return rc;
}

static int open_path(const struct hn_conf *c, const char *path, struct hone_model **model,
                     struct hone_err *err)
{
    char *base = NULL;
    int rc = hub_base(path, &base, err);
    if (!rc)
        rc = hone_model_open(model, base ? base : path, &c->set.device, err);
    if (!rc && base)
        rc = hone_model_load_adapter(*model, path, err);
    if (!rc && c->set.adapter && c->set.model)
        rc = hone_model_load_adapter(*model, c->set.adapter, err);
    hn_free(base);
    return rc;
}

/* The chat template that was asked for, or the one that the adapter was trained with. */
static int set_template(const struct hn_conf *c, struct hone_tokenizer *tok, const char *adapter,
                        struct hone_err *err)
{
    if (c->set.train.chat_template)
        return hone_tokenizer_set_chat_template(tok, c->set.train.chat_template, err);
    char *file = adapter ? hn_path_join(adapter, "chat_template.jinja") : NULL;
    if (adapter && !file)
        return hn_fail_memory(err, "opening a model");
    int rc = file && hn_file_exists(file) ? hone_tokenizer_set_chat_template(tok, file, err) : 0;
    hn_free(file);
    return rc;
}

static void show_note(const struct hone_model *model)
{
    struct hone_model_info info;
    hone_model_info(model, &info);
    if (info.note)
        fprintf(stderr, "hone: note: %s\n", info.note);
}

int hn_cli_open(const struct hn_conf *c, struct hone_model **model, struct hone_tokenizer **tok,
                struct hone_err *err)
{
    char *path = NULL;
    const char *name = c->set.model ? c->set.model : c->set.adapter;
    *model = NULL;
    if (tok)
        *tok = NULL;
    if (!name)
        return hn_fail(err, HONE_USAGE,
                       "--model is missing: a model's folder, a .gguf file, an adapter's folder or "
                       "ORG/NAME");
    int rc = hn_cli_locate(name, false, &path, err);
    rc = rc ? rc : open_path(c, path, model, err);
    /* train says it as it begins, and compare shows what each side is */
    if (!rc && (c->command == HN_GENERATE || c->command == HN_TEST || c->command == HN_INFO))
        show_note(*model);
    if (!rc && tok) {
        struct hone_model_info info;
        hone_model_info(*model, &info);
        rc = hone_tokenizer_open(tok, info.tokenizer_path, err);
        rc = rc ? rc : set_template(c, *tok, info.adapter_path, err);
    }
    if (rc) {
        hone_model_close(model);
        if (tok)
            hone_tokenizer_close(tok);
    }
    hn_free(path);
    return rc;
}

/* An adapter's folder from a system that saved no tokenizer beside it. */
static bool is_bare_adapter(const char *path)
{
    static const char *const files[] = {"adapter_config.json", "tokenizer.json", "tokenizer.model"};
    bool there[HN_COUNT(files)] = {0};
    for (size_t i = 0; i < HN_COUNT(files); i++) {
        char *file = hn_path_join(path, files[i]);
        there[i] = file && hn_file_exists(file);
        hn_free(file);
    }
    return there[0] && !there[1] && !there[2];
}

int hn_cli_open_tokenizer(const char *name, struct hone_tokenizer **tok, struct hone_err *err)
{
    char *path = NULL;
    *tok = NULL;
    int rc = hn_cli_locate(name, true, &path, err);
    if (!rc && is_bare_adapter(path)) {
        struct hn_conf base = {.set = {.model = path}};
        struct hone_model *model = NULL;
        rc = hn_cli_open(&base, &model, tok, err);
        hone_model_close(&model);
    } else if (!rc) {
        rc = hone_tokenizer_open(tok, path, err);
    }
    hn_free(path);
    return rc;
}

int hn_cli_find_rows(const char *data, char **rows, struct hone_err *err)
{
    *rows = NULL;
    int found = hn_dir_exists(data) ? 1 : hn_file_find(data, err);
    if (found < 0)
        return hn_fail_prefix(err, "--data");
    if (!found)
        return hn_fail(err, HONE_FAILED, "--data %s: there is no such file or folder", data);
    return hone_data_find(data, "test", rows, err);
}

int hn_cli_print_json(struct hn_buf *out, struct hone_err *err)
{
    int rc = out->failed ? hn_fail_memory(err, "writing JSON") : 0;
    if (!rc) {
        fwrite(hn_buf_str(out), 1, out->len, stdout);
        putchar('\n');
    }
    hn_buf_release(out);
    return rc;
}

void hn_cli_json_plan(struct hn_json_writer *w, const char *key, const struct hone_memory_plan *p)
{
    const struct {
        const char *name;
        uint64_t bytes;
    } rows[] = {{"process", p->process}, {"weights", p->weights},     {"repacked", p->repacked},
                {"adapter", p->adapter}, {"gradients", p->gradients}, {"optimizer", p->optimizer},
                {"kept", p->kept},       {"working", p->working},     {"cache", p->cache},
                {"total", p->total}};
    static const char *const recomputed[] = {"none", "none", "ffn", "blocks", "segments"};
    hn_jw_put_open(w, key, '{');
    for (size_t i = 0; i < HN_COUNT(rows); i++)
        hn_jw_put_int(w, rows[i].name, (int64_t)rows[i].bytes);
    hn_jw_put_bool(w, "checkpointing", p->checkpointing > HONE_CHECKPOINT_NONE);
    hn_jw_put_str(w, "recomputed", recomputed[p->checkpointing]);
    hn_jw_put_int(w, "segment", p->segment);
    hn_jw_put_int(w, "max_tokens", p->max_tokens);
    hn_jw_close(w, '}');
}

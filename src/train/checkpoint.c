#include "train/checkpoint.h"
#include "base/file.h"
#include "base/mem.h"
#include "format/safetensors.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char folder[] = "checkpoints", unfinished[] = "unfinished-",
                  state_name[] = "state.safetensors";
static const struct {
    const char *name;
    enum hn_adapter_part part;
} parts[] = {{"parameters", HN_PART_PARAM}, {"exp_avg", HN_PART_M}, {"exp_avg_sq", HN_PART_V}};

static void identity_json(const struct hn_checkpoint *c, struct hn_buf *out)
{
    const struct hone_train_options *o = c->options;
    struct hn_json_writer w;
    hn_jw_init(&w, out, -1);
    hn_jw_open(&w, '{');
    const struct {
        const char *key;
        int64_t value;
    } ints[] = {
        {"rows of training data", c->identity.rows},
        {"tokens of training data", c->identity.data_tokens},
        {"trained tokens", c->identity.trained_tokens},
        {"trainable parameters", c->identity.trainable},
        {"batch_size", o->batch_size},
        {"grad_accumulation_steps", o->grad_accumulation_steps},
        {"seed", (int64_t)o->seed},
        {"shuffle", o->shuffle},
        {"lora_rank", o->lora_rank},
        {"fine_tune_type", o->fine_tune_type},
        {"batch_order", o->batch_order},
        {"step_rule", o->step_rule},
        {"optimizer", o->optimizer},
    };
    for (size_t i = 0; i < HN_COUNT(ints); i++) {
        hn_jw_key(&w, ints[i].key);
        hn_jw_int(&w, ints[i].value);
    }
    hn_jw_key(&w, "lora_dropout");
    hn_jw_double(&w, o->lora_dropout);
    hn_jw_close(&w, '}');
}

/* Moments in 8 bits are words with codes in them. */
static enum hn_dtype type_of(const struct hn_checkpoint *c, size_t part)
{
    bool codes = c->model->moments == HN_MOMENTS_8BIT && parts[part].part != HN_PART_PARAM;
    return codes ? HN_I32 : HN_F32;
}

static int write_state(const struct hn_checkpoint *c, const struct hn_progress *p, const char *dir,
                       struct hone_err *err)
{
    const struct hn_adapter_set *set = &c->model->adapters;
    int64_t n[HN_COUNT(parts)];
    struct hn_st_entry entries[HN_COUNT(parts)];
    struct hn_buf progress = {0}, identity = {0};
    struct hn_json_writer w;
    for (size_t i = 0; i < HN_COUNT(parts); i++) {
        n[i] = hn_adapters_count(c->model, parts[i].part);
        entries[i] = (struct hn_st_entry){
            .name = parts[i].name, .dtype = type_of(c, i), .n_dims = 1, .shape = &n[i]};
    }
    float *values = hn_calloc((size_t)set->largest, sizeof *values);
    char *path = hn_path_join(dir, state_name);
    hn_jw_init(&w, &progress, -1);
    hn_progress_write(&w, p);
    identity_json(c, &identity);
    const struct hn_st_pair metadata[] = {{"format", "hone"},
                                          {"progress", hn_buf_str(&progress)},
                                          {"identity", hn_buf_str(&identity)}};
    struct hn_st_writer writer;
    int rc = values && path && !progress.failed && !identity.failed
                 ? hn_st_writer_open(&writer, path, entries, HN_COUNT(entries), metadata,
                                     HN_COUNT(metadata), err)
                 : hn_fail_memory(err, "saving a checkpoint");
    if (!rc) {
        for (size_t i = 0; i < HN_COUNT(parts) * set->n_params && !rc; i++) {
            const struct hn_tensor *t =
                &set->params[i % set->n_params].part[parts[i / set->n_params].part];
            rc = c->model->backend->read(c->model->dev, t, values, err);
            hn_st_writer_add(&writer, values, (size_t)(t->rows * t->cols) * sizeof *values);
        }
        if (rc)
            hn_st_writer_cancel(&writer);
        else
            rc = hn_st_writer_commit(&writer, err);
    }
    hn_buf_release(&progress);
    hn_buf_release(&identity);
    hn_free(values);
    hn_free(path);
    return rc;
}

static char *checkpoint_path(const struct hn_checkpoint *c, const char *prefix, int64_t step)
{
    struct hn_buf b = {0};
    hn_buf_printf(&b, "%s/%s/%s%07lld", c->options->adapter_path, folder, prefix, (long long)step);
    return hn_buf_take(&b);
}

/* What saves that were killed left: checkpoints under the name that they have until they are whole.
 */
static int remove_unfinished(const struct hn_checkpoint *c, struct hone_err *err)
{
    char **names = NULL, *dir = hn_path_join(c->options->adapter_path, folder);
    size_t n = 0;
    int rc = dir ? hn_dir_list(dir, &names, &n, err) : hn_fail_memory(err, "saving a checkpoint");
    for (size_t i = 0; i < n && !rc; i++) {
        if (strncmp(names[i], unfinished, strlen(unfinished)) != 0)
            continue;
        char *path = hn_path_join(dir, names[i]);
        rc = path ? hn_dir_remove(path, err) : hn_fail_memory(err, "saving a checkpoint");
        hn_free(path);
    }
    hn_free(names);
    hn_free(dir);
    return rc == HONE_NOT_FOUND ? 0 : rc;
}

int hn_checkpoint_save(const struct hn_checkpoint *c, const struct hn_progress *p, char **path,
                       struct hone_err *err)
{
    const struct hone_train_options *o = c->options;
    char *final = checkpoint_path(c, "", p->step), *temp = checkpoint_path(c, unfinished, p->step);
    int rc = final && temp ? remove_unfinished(c, err) : hn_fail_memory(err, "saving a checkpoint");
    if (!rc)
        rc = hn_dir_make(temp, err);
    if (!rc && !c->model->adapters.full) /* else the state is all there is, and large enough */
        rc = hn_adapters_save(c->model, temp, c->base_model, o->lora_alpha, o->lora_dropout,
                              o->use_rslora, o->num_layers, err);
    if (!rc)
        rc = write_state(c, p, temp, err);
    if (!rc)
        rc = hn_dir_remove(final, err); /* of an earlier run that went another way from here */
    if (!rc && rename(temp, final) != 0)
        rc = hn_fail(err, HONE_FAILED, "cannot rename %s to %s: %s", temp, final, strerror(errno));
    hn_free(temp);
    if (rc)
        hn_free(final);
    else
        *path = final;
    return rc;
}

/* -------------------------------------------------------------------------------------------- */

/* The step that a directory name stands for, or -1. */
static int64_t step_of(const char *name)
{
    char *end;
    if (name[0] < '0' || name[0] > '9')
        return -1;
    long long v = strtoll(name, &end, 10);
    return *end ? -1 : v;
}

static int list_steps(const struct hn_checkpoint *c, int64_t **steps, size_t *n,
                      struct hone_err *err)
{
    char **names, *dir = hn_path_join(c->options->adapter_path, folder);
    size_t n_names, count = 0;
    if (!dir)
        return hn_fail_memory(err, "looking for checkpoints");
    int rc = hn_dir_list(dir, &names, &n_names, err);
    hn_free(dir);
    if (rc)
        return rc;
    int64_t *list = hn_calloc(n_names + 1, sizeof *list);
    for (size_t i = 0; i < n_names && list; i++)
        if (step_of(names[i]) >= 0)
            list[count++] = step_of(names[i]); /* names are zero-padded: sorted already */
    hn_free(names);
    if (!list)
        return hn_fail_memory(err, "looking for checkpoints");
    *steps = list;
    *n = count;
    return 0;
}

static int parse_metadata(const struct hn_safetensors *st, const char *key, struct hn_arena *arena,
                          struct hn_json **out, struct hone_err *err)
{
    struct hn_str text;
    if (!hn_st_metadata(st, key, &text))
        return hn_fail(err, HONE_FAILED, "its metadata lacks \"%s\"", key);
    return hn_json_parse(arena, text.p, text.n, 0, out, err);
}

/* Every member of want must stand equal in got. */
static int compare_identity(const struct hn_json *got, const struct hn_json *want,
                            struct hone_err *err)
{
    for (size_t i = 0; i < want->n; i++) {
        const struct hn_json_member *m = &want->members[i];
        const struct hn_json *old = hn_json_get(got, m->key.p);
        if (!old || !hn_str_eq(old->text, m->value.text))
            return hn_fail(err, HONE_USAGE,
                           "cannot resume: %s was %s, now it is %s; a resumed run needs the same "
                           "data and settings (start without --resume, or restore them)",
                           m->key.p, old ? old->text.p : "not recorded", m->value.text.p);
    }
    return 0;
}

static int load_part(const struct hn_checkpoint *c, enum hn_adapter_part part,
                     const unsigned char *from, struct hone_err *err)
{
    const struct hn_adapter_set *set = &c->model->adapters;
    float *values = hn_calloc((size_t)set->largest, sizeof *values); /* the file may be unaligned */
    if (!values)
        return hn_fail_memory(err, "loading a checkpoint");
    for (size_t i = 0; i < set->n_params; i++) {
        struct hn_tensor *t = &set->params[i].part[part];
        size_t size = (size_t)(t->rows * t->cols) * sizeof *values;
        memcpy(values, from, size);
        c->model->backend->write(c->model->dev, t, values);
        hn_map_forget(from, size);
        from += size;
    }
    hn_free(values);
    return 0;
}

static int load_state(const struct hn_checkpoint *c, const struct hn_safetensors *st,
                      struct hn_arena *arena, struct hn_progress *p, struct hone_err *err)
{
    struct hn_json *progress, *identity, *want;
    struct hn_buf mine = {0};
    int rc = parse_metadata(st, "progress", arena, &progress, err);
    if (!rc)
        rc = hn_progress_read(progress, p, err);
    if (!rc)
        rc = parse_metadata(st, "identity", arena, &identity, err);
    if (!rc) {
        identity_json(c, &mine);
        rc = hn_json_parse(arena, hn_buf_str(&mine), mine.len, 0, &want, err);
    }
    if (!rc)
        rc = compare_identity(identity, want, err);
    hn_buf_release(&mine);
    for (size_t i = 0; i < HN_COUNT(parts) && !rc; i++) {
        const struct hn_st_tensor *t = hn_st_find(st, parts[i].name);
        int64_t n = hn_adapters_count(c->model, parts[i].part);
        if (!t || t->dtype != type_of(c, i) || t->n_elements != n)
            return hn_fail(err, HONE_FAILED, "the tensor \"%s\" is not the expected %s [%lld]",
                           parts[i].name, hn_dtype_name(type_of(c, i)), (long long)n);
        rc = load_part(c, parts[i].part, t->data, err);
        hn_map_forget(t->data, t->size);
    }
    if (!rc)
        hn_adapters_refresh(c->model);
    return rc;
}

static int load_one(const struct hn_checkpoint *c, const char *dir, struct hn_progress *p,
                    struct hone_err *err)
{
    struct hn_safetensors st;
    struct hn_arena arena;
    char *path = hn_path_join(dir, state_name);
    if (!path)
        return hn_fail_memory(err, "loading a checkpoint");
    int rc = hn_st_open(&st, path, err);
    if (!rc) {
        hn_arena_init(&arena, 0);
        rc = load_state(c, &st, &arena, p, err);
        if (rc == HONE_FAILED)
            rc = hn_fail_prefix(err, "%s", path);
        hn_arena_release(&arena);
        hn_st_release(&st);
    }
    hn_free(path);
    return rc;
}

int hn_checkpoint_load(const struct hn_checkpoint *c, struct hn_progress *p, char **path,
                       struct hone_err *err)
{
    int64_t *steps;
    size_t n;
    int rc = list_steps(c, &steps, &n, err);
    if (rc)
        return rc;
    rc = n ? 0 : hn_fail(err, HONE_NOT_FOUND, "%s holds no checkpoint", c->options->adapter_path);
    if (!rc) {
        char *dir = checkpoint_path(c, "", steps[n - 1]);
        rc = dir ? load_one(c, dir, p, err) : hn_fail_memory(err, "loading a checkpoint");
        if (rc)
            hn_free(dir);
        else
            *path = dir;
    }
    hn_free(steps);
    return rc;
}

int hn_checkpoint_set_aside(const struct hn_checkpoint *c, char **to, struct hone_err *err)
{
    int64_t *steps;
    size_t n;
    *to = NULL;
    int rc = list_steps(c, &steps, &n, err);
    if (rc)
        return rc == HONE_NOT_FOUND ? 0 : rc;
    hn_free(steps);
    if (n == 0)
        return 0;
    char *from = hn_path_join(c->options->adapter_path, folder);
    struct hn_buf b = {0};
    struct stat st;
    for (int i = 1; from && !b.failed; i++) {
        hn_buf_clear(&b);
        hn_buf_printf(&b, "%s-%d", from, i);
        if (!b.failed && lstat(hn_buf_str(&b), &st) != 0)
            break;
    }
    char *path = hn_buf_take(&b);
    if (!from || !path)
        rc = hn_fail_memory(err, "looking for checkpoints");
    else if (rename(from, path) != 0)
        rc = hn_fail(err, HONE_FAILED, "cannot rename %s to %s: %s", from, path, strerror(errno));
    hn_free(from);
    if (rc)
        hn_free(path);
    else
        *to = path;
    return rc;
}

int hn_checkpoint_try(const struct hn_checkpoint *c, struct hone_err *err)
{
    char *path = checkpoint_path(c, unfinished, 0);
    int rc = path ? hn_dir_make(path, err) : hn_fail_memory(err, "looking for checkpoints");
    if (!rc)
        rc = hn_dir_remove(path, err);
    hn_free(path);
    return rc;
}

int hn_checkpoint_take(const struct hn_checkpoint *c, int64_t step, struct hone_err *err)
{
    struct hn_progress then;
    char *dir = checkpoint_path(c, "", step);
    int rc = dir ? load_one(c, dir, &then, err) : hn_fail_memory(err, "loading a checkpoint");
    hn_free(dir);
    return rc;
}

int hn_checkpoint_prune(const struct hn_checkpoint *c, int64_t keep, int64_t best_step,
                        struct hone_err *err)
{
    int64_t *steps;
    size_t n;
    int rc = list_steps(c, &steps, &n, err);
    if (rc)
        return rc;
    for (size_t i = 0; (int64_t)(n - i) > keep && !rc; i++) {
        if (steps[i] == best_step)
            continue;
        char *dir = checkpoint_path(c, "", steps[i]);
        rc = dir ? hn_dir_remove(dir, err) : hn_fail_memory(err, "removing a checkpoint");
        hn_free(dir);
    }
    hn_free(steps);
    return rc;
}

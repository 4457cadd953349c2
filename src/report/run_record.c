#include "report/run_record.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/os.h"
#include "hone.h"

#include <string.h>
#include <time.h>

static void now_text(char out[32])
{
    time_t t = time(NULL);
    struct tm tm;
    if (!gmtime_r(&t, &tm) || !strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &tm))
        out[0] = 0;
}

void hn_run_record_init(struct hn_run_record *r)
{
    *r = (struct hn_run_record){0};
    now_text(r->started);
}

void hn_run_record_release(struct hn_run_record *r)
{
    hn_samples_release(&r->samples);
    hn_buf_release(&r->model);
    hn_buf_release(&r->plan);
    hn_buf_release(&r->data);
    hn_buf_release(&r->notes);
}

/* ---- from events ------------------------------------------------------------------------------
 */

static void take_model(struct hn_run_record *r, const struct hone_train_event *e)
{
    const struct hone_model_info *m = e->model;
    struct hn_json_writer w;
    hn_buf_clear(&r->model);
    hn_jw_init(&w, &r->model, -1);
    hn_jw_open(&w, '{');
    hn_jw_put_str(&w, "path", m->path);
    hn_jw_put_str(&w, "family", m->family);
    hn_jw_put_str(&w, "format", m->format);
    hn_jw_put_str(&w, "quantization", m->quantization);
    hn_jw_put_str(&w, "device", m->device);
    hn_jw_put_int(&w, "parameters", m->n_parameters);
    hn_jw_put_int(&w, "trainable_parameters", e->trainable_parameters);
    hn_jw_put_int(&w, "weight_bytes", m->weight_bytes);
    hn_jw_put_int(&w, "file_bytes", m->file_bytes);
    hn_jw_put_int(&w, "layers", m->n_layers);
    hn_jw_put_int(&w, "context_length", m->context_length);
    hn_jw_close(&w, '}');
}

static void take_plan(struct hn_run_record *r, const struct hone_memory_plan *p)
{
    static const char *const recomputed[] = {"nothing", "nothing", "the feed-forward halves",
                                             "blocks", "segments of blocks"};
    struct hn_json_writer w;
    hn_buf_clear(&r->plan);
    hn_jw_init(&w, &r->plan, -1);
    hn_jw_open(&w, '{');
    hn_jw_put_int(&w, "weights", (int64_t)p->weights);
    hn_jw_put_int(&w, "repacked", (int64_t)p->repacked);
    hn_jw_put_int(&w, "adapter", (int64_t)p->adapter);
    hn_jw_put_int(&w, "gradients", (int64_t)p->gradients);
    hn_jw_put_int(&w, "optimizer", (int64_t)p->optimizer);
    hn_jw_put_int(&w, "kept", (int64_t)p->kept);
    hn_jw_put_int(&w, "working", (int64_t)p->working);
    hn_jw_put_int(&w, "cache", (int64_t)p->cache);
    hn_jw_put_int(&w, "process", (int64_t)p->process);
    hn_jw_put_int(&w, "total", (int64_t)p->total);
    hn_jw_put_str(&w, "recomputed", recomputed[p->checkpointing]);
    hn_jw_put_int(&w, "max_tokens", p->max_tokens);
    hn_jw_close(&w, '}');
}

static void put_data(struct hn_json_writer *w, const char *key, const struct hone_dataset_info *d)
{
    hn_jw_put_open(w, key, '{');
    hn_jw_put_int(w, "rows", (int64_t)d->rows);
    hn_jw_put_int(w, "tokens", (int64_t)d->tokens);
    hn_jw_put_int(w, "trained_tokens", (int64_t)d->trained_tokens);
    hn_jw_put_int(w, "max_tokens", (int64_t)d->max_tokens);
    hn_jw_put_int(w, "empty", (int64_t)d->empty);
    hn_jw_put_int(w, "truncated", (int64_t)d->truncated);
    hn_jw_put_int(w, "cut_answers", (int64_t)d->cut_answers);
    hn_jw_put_int(w, "double_bos", (int64_t)d->double_bos);
    hn_jw_put_int(w, "duplicates", (int64_t)d->duplicates);
    hn_jw_put_int(w, "unlabelled", (int64_t)d->unlabelled);
    hn_jw_put_int(w, "lengths_width", (int64_t)d->lengths_width);
    hn_jw_put_open(w, "lengths", '[');
    for (size_t i = 0; i < HONE_LENGTH_BINS; i++)
        hn_jw_int(w, (int64_t)d->lengths[i]);
    hn_jw_close(w, ']');
    hn_jw_put_open(w, "notes", '[');
    for (size_t i = 0; i < HN_MIN(d->n_notes, (size_t)HN_RECORD_MAX_NOTES); i++)
        hn_jw_str(w, d->notes[i]);
    hn_jw_close(w, ']');
    hn_jw_close(w, '}');
}

static void take_data(struct hn_run_record *r, const struct hone_train_event *e)
{
    struct hn_json_writer w;
    hn_buf_clear(&r->data);
    hn_jw_init(&w, &r->data, -1);
    hn_jw_open(&w, '{');
    hn_jw_put_int(&w, "train_rows", e->train_rows);
    hn_jw_put_int(&w, "valid_rows", e->valid_rows);
    hn_jw_put_int(&w, "max_seq_length", r->max_seq_length);
    put_data(&w, "train", e->train_data);
    if (e->valid_data)
        put_data(&w, "valid", e->valid_data);
    hn_jw_close(&w, '}');
}

/* Where a text without a response is parted for a sample: at white space before its middle, and not
 * beyond 600 bytes. */
static size_t middle(const char *text, size_t n)
{
    size_t at = HN_MIN(n / 2, (size_t)600), word = at;
    while (word && text[word] != ' ' && text[word] != '\n')
        word--;
    if (word)
        return word;
    while (at && ((unsigned char)text[at] & 0xc0) == 0x80) /* no white space: between characters */
        at--;
    return at;
}

static void take_sample(struct hn_run_record *r, const struct hone_row *row)
{
    if (r->samples.n == HN_RECORD_MAX_SAMPLES || row->text_size > HN_RECORD_MAX_TEXT)
        return;
    struct hn_sample x = {.line = row->line, .templated = row->templated};
    x.path = hn_dup(row->path, strlen(row->path));
    if (row->prompt) {
        x.prompt = hn_dup(row->prompt, row->prompt_size);
        x.expected = hn_dup(row->expected, row->expected_size);
    } else {
        size_t half = middle(row->text, row->text_size);
        x.continued = true;
        x.prompt = hn_dup(row->text, half);
        x.expected = hn_dup(row->text + half, row->text_size - half);
    }
    r->samples.items[r->samples.n++] = x;
    if (!x.path || !x.prompt || !x.expected) {
        r->model.failed = true; /* told when the record is written */
        hn_samples_release(&r->samples);
    }
}

static void take_note(struct hn_run_record *r, const char *text)
{
    struct hn_json_writer w;
    if (r->n_notes++ >= HN_RECORD_MAX_NOTES)
        return;
    hn_buf_add_str(&r->notes, r->notes.len ? ", " : "[");
    hn_jw_init(&w, &r->notes, -1);
    hn_jw_str(&w, text);
}

void hn_run_record_event(struct hn_run_record *r, const struct hone_train_event *e)
{
    if (e->kind == HONE_TRAIN_NOTE) {
        take_note(r, e->text);
        return;
    }
    if (e->kind == HONE_TRAIN_SAMPLE) {
        take_sample(r, e->row);
        return;
    }
    r->step = e->step;
    r->total_steps = e->total_steps;
    r->peak_memory = HN_MAX(r->peak_memory, e->peak_memory);
    if (e->kind == HONE_TRAIN_PLAN) {
        take_model(r, e);
        take_plan(r, e->plan);
        take_data(r, e);
        r->planned = true;
        return;
    }
    if (e->epoch > 0)
        r->epoch = e->epoch;
    if (e->tokens > 0)
        r->tokens = e->tokens;
    if (e->seconds > 0)
        r->seconds = e->seconds;
}

/* ---- to run.json ------------------------------------------------------------------------------
 */

static void put_raw(struct hn_json_writer *w, const char *key, const char *json)
{
    hn_jw_key(w, key);
    hn_jw_raw(w, json);
}

static void put_environment(struct hn_json_writer *w, const struct hn_run_record *r)
{
    char cpu[128], os[128];
    hn_jw_put_open(w, "environment", '{');
    hn_jw_put_str(w, "hone", HONE_VERSION);
    hn_jw_put_str(w, "cpu", hn_cpu_name(cpu, sizeof cpu));
    hn_jw_put_str(w, "os", hn_os_name(os, sizeof os));
    hn_jw_put_int(w, "memory_bytes", (int64_t)hn_memory_total());
    hn_jw_put_str(w, "compute", r->compute);
    hn_jw_close(w, '}');
}

static void put_all(struct hn_json_writer *w, const struct hn_run_record *r, const char *status,
                    const char *message)
{
    char now[32];
    now_text(now);
    hn_jw_open(w, '{');
    hn_jw_put_int(w, "version", 1);
    hn_jw_put_str(w, "status", status);
    hn_jw_put_str(w, "message", message);
    hn_jw_put_str(w, "started", r->started);
    hn_jw_put_str(w, "updated", now);
    hn_jw_put_str(w, "adapter_path", r->adapter_path);
    hn_jw_put_int(w, "step", r->step);
    hn_jw_put_int(w, "total_steps", r->total_steps);
    hn_jw_put_double(w, "epoch", r->epoch);
    hn_jw_put_int(w, "tokens", r->tokens);
    hn_jw_put_double(w, "seconds", r->seconds);
    hn_jw_put_int(w, "peak_memory_bytes", (int64_t)r->peak_memory);
    put_environment(w, r);
    put_raw(w, "model", r->model.len ? hn_buf_str(&r->model) : "null");
    put_raw(w, "plan", r->plan.len ? hn_buf_str(&r->plan) : "null");
    put_raw(w, "data", r->data.len ? hn_buf_str(&r->data) : "null");
    put_raw(w, "settings", r->settings ? r->settings : "[]");
    put_raw(w, "notes", r->notes.len ? hn_buf_str(&r->notes) : "[");
    hn_buf_add_char(w->out, ']');
    hn_jw_key(w, "samples");
    hn_samples_write(w, &r->samples);
    hn_jw_close(w, '}');
    hn_buf_add_char(w->out, '\n');
}

int hn_run_record_write(const struct hn_run_record *r, const char *status, const char *message,
                        struct hone_err *err)
{
    struct hn_buf text = {0};
    struct hn_json_writer w;
    hn_jw_init(&w, &text, -1);
    put_all(&w, r, status, message);
    char *path = hn_path_join(r->adapter_path, "run.json");
    bool failed = text.failed || r->model.failed || r->plan.failed || r->data.failed ||
                  r->notes.failed || !path;
    int rc = failed ? hn_fail_memory(err, "writing run.json")
                    : hn_file_write(path, hn_buf_str(&text), text.len, err);
    hn_free(path);
    hn_buf_release(&text);
    return rc;
}

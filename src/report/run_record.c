#include "report/run_record.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/os.h"
#include "hone.h"

#include <string.h>
#include <time.h>

static void put_int(struct hn_json_writer *w, const char *key, int64_t v)
{
    hn_jw_key(w, key);
    hn_jw_int(w, v);
}

static void put_double(struct hn_json_writer *w, const char *key, double v)
{
    hn_jw_key(w, key);
    hn_jw_double(w, v); /* null when it is no number */
}

static void put_str(struct hn_json_writer *w, const char *key, const char *s)
{
    hn_jw_key(w, key);
    if (s)
        hn_jw_str(w, s);
    else
        hn_jw_null(w);
}

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
    put_str(&w, "path", m->path);
    put_str(&w, "family", m->family);
    put_str(&w, "format", m->format);
    put_str(&w, "quantization", m->quantization);
    put_str(&w, "device", m->device);
    put_int(&w, "parameters", m->n_parameters);
    put_int(&w, "trainable_parameters", e->trainable_parameters);
    put_int(&w, "weight_bytes", m->weight_bytes);
    put_int(&w, "file_bytes", m->file_bytes);
    put_int(&w, "layers", m->n_layers);
    put_int(&w, "context_length", m->context_length);
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
    put_int(&w, "weights", (int64_t)p->weights);
    put_int(&w, "repacked", (int64_t)p->repacked);
    put_int(&w, "adapter", (int64_t)p->adapter);
    put_int(&w, "gradients", (int64_t)p->gradients);
    put_int(&w, "optimizer", (int64_t)p->optimizer);
    put_int(&w, "kept", (int64_t)p->kept);
    put_int(&w, "working", (int64_t)p->working);
    put_int(&w, "cache", (int64_t)p->cache);
    put_int(&w, "process", (int64_t)p->process);
    put_int(&w, "total", (int64_t)p->total);
    put_str(&w, "recomputed", recomputed[p->checkpointing]);
    put_int(&w, "max_tokens", p->max_tokens);
    hn_jw_close(&w, '}');
}

static void put_data(struct hn_json_writer *w, const char *key, const struct hone_dataset_info *d)
{
    hn_jw_key(w, key);
    hn_jw_open(w, '{');
    put_int(w, "rows", (int64_t)d->rows);
    put_int(w, "tokens", (int64_t)d->tokens);
    put_int(w, "trained_tokens", (int64_t)d->trained_tokens);
    put_int(w, "max_tokens", (int64_t)d->max_tokens);
    put_int(w, "empty", (int64_t)d->empty);
    put_int(w, "truncated", (int64_t)d->truncated);
    put_int(w, "cut_answers", (int64_t)d->cut_answers);
    put_int(w, "double_bos", (int64_t)d->double_bos);
    put_int(w, "duplicates", (int64_t)d->duplicates);
    put_int(w, "unlabelled", (int64_t)d->unlabelled);
    put_int(w, "lengths_width", (int64_t)d->lengths_width);
    hn_jw_key(w, "lengths");
    hn_jw_open(w, '[');
    for (size_t i = 0; i < HONE_LENGTH_BINS; i++)
        hn_jw_int(w, (int64_t)d->lengths[i]);
    hn_jw_close(w, ']');
    hn_jw_key(w, "notes");
    hn_jw_open(w, '[');
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
    put_int(&w, "train_rows", e->train_rows);
    put_int(&w, "valid_rows", e->valid_rows);
    put_int(&w, "max_seq_length", r->max_seq_length);
    put_data(&w, "train", e->train_data);
    if (e->valid_data)
        put_data(&w, "valid", e->valid_data);
    hn_jw_close(&w, '}');
}

static char *copy(const char *p, size_t n)
{
    char *c = hn_calloc(n + 1, 1);
    if (c)
        memcpy(c, p, n);
    return c;
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
    x.path = copy(row->path, strlen(row->path));
    if (row->prompt) {
        x.prompt = copy(row->prompt, row->prompt_size);
        x.expected = copy(row->expected, row->expected_size);
    } else {
        size_t half = middle(row->text, row->text_size);
        x.continued = true;
        x.prompt = copy(row->text, half);
        x.expected = copy(row->text + half, row->text_size - half);
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
    hn_jw_key(w, "environment");
    hn_jw_open(w, '{');
    put_str(w, "hone", HONE_VERSION);
    put_str(w, "cpu", hn_cpu_name(cpu, sizeof cpu));
    put_str(w, "os", hn_os_name(os, sizeof os));
    put_int(w, "memory_bytes", (int64_t)hn_memory_total());
    put_str(w, "compute", r->compute);
    hn_jw_close(w, '}');
}

static void put_all(struct hn_json_writer *w, const struct hn_run_record *r, const char *status,
                    const char *message)
{
    char now[32];
    now_text(now);
    hn_jw_open(w, '{');
    put_int(w, "version", 1);
    put_str(w, "status", status);
    put_str(w, "message", message);
    put_str(w, "started", r->started);
    put_str(w, "updated", now);
    put_str(w, "adapter_path", r->adapter_path);
    put_int(w, "step", r->step);
    put_int(w, "total_steps", r->total_steps);
    put_double(w, "epoch", r->epoch);
    put_int(w, "tokens", r->tokens);
    put_double(w, "seconds", r->seconds);
    put_int(w, "peak_memory_bytes", (int64_t)r->peak_memory);
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

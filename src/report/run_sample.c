/* Samples in run.json. */
#include "report/run_record.h"
#include "base/mem.h"

#include <string.h>

void hn_samples_release(struct hn_samples *s)
{
    for (size_t i = 0; i < s->n; i++) {
        struct hn_sample *x = &s->items[i];
        hn_free(x->path);
        hn_free(x->prompt);
        hn_free(x->expected);
        hn_free(x->base);
        hn_free(x->tuned);
    }
    *s = (struct hn_samples){0};
}

/* The string of this key as a text of our own; *out stays NULL when there is none. */
static bool take(const struct hn_json *j, const char *key, char **out)
{
    struct hn_str s;
    if (!hn_json_str(hn_json_get(j, key), &s))
        return true;
    *out = hn_calloc(s.n + 1, 1);
    if (*out)
        memcpy(*out, s.p, s.n);
    return *out != NULL;
}

int hn_samples_read(struct hn_samples *s, const struct hn_json *run, struct hone_err *err)
{
    const struct hn_json *list = hn_json_get(run, "samples"), *j;
    for (size_t i = 0; (j = hn_json_at(list, i)) && s->n < HN_RECORD_MAX_SAMPLES; i++) {
        struct hn_sample *x = &s->items[s->n++];
        int64_t line = 0;
        *x = (struct hn_sample){0};
        if (!take(j, "path", &x->path) || !take(j, "prompt", &x->prompt) ||
            !take(j, "expected", &x->expected) || !take(j, "base", &x->base) ||
            !take(j, "tuned", &x->tuned))
            return hn_fail_memory(err, "reading samples");
        hn_json_int(hn_json_get(j, "line"), &line);
        hn_json_bool(hn_json_get(j, "templated"), &x->templated);
        hn_json_bool(hn_json_get(j, "continued"), &x->continued);
        hn_json_bool(hn_json_get(j, "cut"), &x->cut);
        x->line = line > 0 ? (uint64_t)line : 0;
        if (!x->prompt) { /* nothing to show or to write on */
            s->n--;
            hn_free(x->path);
            hn_free(x->expected);
            hn_free(x->base);
            hn_free(x->tuned);
        }
    }
    return 0;
}

static void put(struct hn_json_writer *w, const char *key, const char *text)
{
    if (!text)
        return;
    hn_jw_put_str(w, key, text);
}

void hn_samples_write(struct hn_json_writer *w, const struct hn_samples *s)
{
    hn_jw_open(w, '[');
    for (size_t i = 0; i < s->n; i++) {
        const struct hn_sample *x = &s->items[i];
        hn_jw_open(w, '{');
        put(w, "path", x->path);
        hn_jw_put_int(w, "line", (int64_t)x->line);
        hn_jw_put_bool(w, "templated", x->templated);
        hn_jw_put_bool(w, "continued", x->continued);
        hn_jw_put_bool(w, "cut", x->cut);
        put(w, "prompt", x->prompt);
        put(w, "expected", x->expected);
        put(w, "base", x->base);
        put(w, "tuned", x->tuned);
        hn_jw_close(w, '}');
    }
    hn_jw_close(w, ']');
}

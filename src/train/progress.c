#include "train/progress.h"

#include <math.h>

struct field {
    const char *name;
    int64_t *i;
    double *d;
};

enum { N_FIELDS = 17 };

static void fields(struct hn_progress *p, struct field f[N_FIELDS])
{
    const struct field all[N_FIELDS] = {
        {"micro_batches", &p->micro, NULL},
        {"step", &p->step, NULL},
        {"tokens", &p->tokens, NULL},
        {"window_loss", NULL, &p->window_loss},
        {"window_first_step", &p->window_first_step, NULL},
        {"best_loss", NULL, &p->best_loss},
        {"best_step", &p->best_step, NULL},
        {"validated_step", &p->validated_step, NULL},
        {"validations_since_best", &p->worse, NULL},
        {"seconds", NULL, &p->seconds},
        {"window_micro_batches", &p->window_micro, NULL},
        {"grad_norm", NULL, &p->norm},
        {"learning_rate", NULL, &p->rate},
        {"plateau_rate", NULL, &p->plateau.rate},
        {"plateau_best", NULL, &p->plateau.best},
        {"plateau_bad", &p->plateau.bad, NULL},
        {"plateau_cooldown", &p->plateau.cooldown, NULL},
    };
    for (int k = 0; k < N_FIELDS; k++)
        f[k] = all[k];
}

void hn_progress_write(struct hn_json_writer *w, const struct hn_progress *p)
{
    struct hn_progress copy = *p;
    struct field f[N_FIELDS];
    fields(&copy, f);
    hn_jw_open(w, '{');
    for (int k = 0; k < N_FIELDS; k++) {
        hn_jw_key(w, f[k].name);
        if (f[k].i)
            hn_jw_int(w, *f[k].i);
        else
            hn_jw_double(w, *f[k].d); /* infinity is written as null */
    }
    hn_jw_close(w, '}');
}

int hn_progress_read(const struct hn_json *j, struct hn_progress *p, struct hone_err *err)
{
    struct hn_progress got = {0};
    struct field f[N_FIELDS];
    fields(&got, f);
    for (int k = 0; k < N_FIELDS; k++) {
        const struct hn_json *v = hn_json_get(j, f[k].name);
        bool ok = f[k].i ? hn_json_int(v, f[k].i) && *f[k].i >= 0 : hn_json_float(v, f[k].d);
        if (!ok && f[k].d && v && v->type == HN_JSON_NULL) {
            *f[k].d = INFINITY;
            ok = true;
        }
        if (!ok)
            return hn_fail(err, HONE_FAILED, "\"%s\" is %s, expected a number", f[k].name,
                           hn_json_type_name(v));
    }
    *p = got;
    return 0;
}

#include "conf/schedule_args.h"

#include <string.h>
#include "base/str.h"

/* text[n] without the characters of `drop` at either end. */
static struct hn_str strip(const char *text, size_t n, const char *drop)
{
    while (n && strchr(drop, *text))
        text++, n--;
    while (n && strchr(drop, text[n - 1]))
        n--;
    return (struct hn_str){text, n};
}

static int item(struct hn_conf *c, const char *text, const char **out, struct hone_err *err)
{
    size_t at = strcspn(text, "=:");
    struct hn_str name = strip(text, at, " {\"'"), value = {"", 0};
    if (text[at])
        value = strip(text + at + 1, strlen(text + at + 1), " }\"'");
    if (name.n == 0 || value.n == 0 || name.n > 60 || value.n > 60)
        return hn_fail(err, HONE_USAGE,
                       "lr-scheduler-kwargs: found \"%.60s\", expected name=value items", text);
    char *p = hn_arena_alloc(&c->arena, name.n + value.n + 2, 1);
    if (!p)
        return hn_fail_memory(err, "reading options");
    memcpy(p, name.p, name.n);
    p[name.n] = '=';
    memcpy(p + name.n + 1, value.p, value.n);
    p[name.n + 1 + value.n] = 0;
    *out = p;
    return 0;
}

int hn_schedule_arguments(struct hn_conf *c, struct hone_err *err)
{
    struct hone_train_options *t = &c->set.train;
    size_t n = t->n_lr_scheduler_kwargs;
    const char **items = hn_arena_alloc(&c->arena, n + 1, sizeof *items);
    if (!items)
        return hn_fail_memory(err, "reading options");
    for (size_t i = 0; i < n; i++) {
        int rc = item(c, t->lr_scheduler_kwargs[i], &items[i], err);
        if (rc)
            return rc;
    }
    t->lr_scheduler_kwargs = items;
    return 0;
}

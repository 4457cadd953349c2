#include "migrate/rules.h"

#include <string.h>

static bool name_in(const char *names, struct hn_str name)
{
    while (*names) {
        size_t n = strcspn(names, " ");
        bool prefix = n && names[n - 1] == '*';
        if (prefix ? name.n >= n - 1 && memcmp(names, name.p, n - 1) == 0
                   : name.n == n && memcmp(names, name.p, n) == 0)
            return true;
        names += n;
        names += strspn(names, " ");
    }
    return false;
}

const struct hn_rule *hn_rule_find(const struct hn_rules *rules, struct hn_str name)
{
    for (; rules; rules = rules->next)
        for (size_t i = 0; i < rules->n; i++)
            if (name_in(rules->rules[i].names, name))
                return &rules->rules[i];
    return NULL;
}

bool hn_rule_is_usual(const char *usual, const struct hn_py_value *v)
{
    struct hn_buf text = {0};
    bool found = false;
    if (!usual || !v)
        return false;
    if (v->type == HN_PY_STR)
        hn_buf_add(&text, v->text.p, v->text.n);
    else
        hn_py_value_show(&text, v);
    while (!found && *usual) {
        size_t n = strcspn(usual, "|");
        found = n == text.len && memcmp(usual, hn_buf_str(&text), n) == 0;
        usual += n + (usual[n] == '|');
    }
    hn_buf_release(&text);
    return found;
}

static void carry(struct hn_migrator *m, const struct hn_rule *rule, const struct hn_place *place,
                  enum hn_rank rank)
{
    const struct hn_py_value *v = place->value;
    const char *note = rule->note ? rule->note : "";
    if (v->type == HN_PY_NONE || hn_rule_is_usual(rule->usual, v)) {
        hn_plan_row(m->plan, place, HONE_MIGRATE_AUTOMATIC, "", "as in hone");
        return;
    }
    bool list = v->type == HN_PY_LIST || v->type == HN_PY_TUPLE;
    if (list && !v->open) {
        hn_plan_set_list(m->plan, place, rank, rule->key, v, HONE_MIGRATE_CARRIED, note);
        return;
    }
    const char *text = hn_plan_value(m->plan, v);
    if (!text) {
        hn_plan_row(
            m->plan, place, HONE_MIGRATE_NOT_CARRIED, "",
            hn_plan_text(m->plan, "only a run would tell its value: set %s yourself", rule->key));
        return;
    }
    hn_plan_set(m->plan, place, rank, rule->key, text, HONE_MIGRATE_CARRIED, note);
}

void hn_rule_apply(struct hn_migrator *m, const struct hn_rule *rule, const struct hn_place *place,
                   enum hn_rank rank)
{
    if (!rule) {
        hn_plan_row(m->plan, place, HONE_MIGRATE_UNKNOWN, "", "not known to hone");
        return;
    }
    switch (rule->action) {
    case HN_ACT_CARRY:
        carry(m, rule, place, rank);
        break;
    case HN_ACT_AUTO:
        hn_plan_row(m->plan, place, HONE_MIGRATE_AUTOMATIC, "", rule->note);
        break;
    case HN_ACT_LOST:
        if (hn_rule_is_usual(rule->usual, place->value))
            hn_plan_row(m->plan, place, HONE_MIGRATE_AUTOMATIC, "", "changes nothing");
        else
            hn_plan_row(m->plan, place, HONE_MIGRATE_NOT_CARRIED, "", rule->note);
        break;
    case HN_ACT_CALL:
        rule->fn(m, rule, place, place->value);
        break;
    }
}

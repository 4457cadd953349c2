#include "migrate/rules.h"

#include <stdio.h>
#include <string.h>
#include "base/json.h"

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

/* Short values as Python writes them; longer ones are nobody's usual ones. */
struct shown {
    char text[64];
    size_t n;
};

static void put(struct shown *s, const char *text, size_t n)
{
    if (n > sizeof s->text - s->n)
        n = sizeof s->text - s->n;
    memcpy(s->text + s->n, text, n);
    s->n += n;
}

static void put_value(struct shown *s, const struct hn_py_value *v, bool quoted, unsigned depth)
{
    char number[32];
    const char *brackets = v->type == HN_PY_TUPLE ? "()" : v->type == HN_PY_DICT ? "{}" : "[]";
    if (v->type == HN_PY_NONE) {
        put(s, "None", 4);
    } else if (v->type == HN_PY_BOOL) {
        put(s, v->boolean ? "True" : "False", v->boolean ? 4 : 5);
    } else if (v->type == HN_PY_INT) {
        put(s, number, (size_t)snprintf(number, sizeof number, "%lld", (long long)v->integer));
    } else if (v->type == HN_PY_FLOAT) {
        hn_double_repr(v->number, number);
        put(s, number, strlen(number));
    } else if (v->type == HN_PY_STR) {
        put(s, "\"", quoted);
        put(s, v->text.p, v->text.n);
        put(s, "\"", quoted);
    } else if (v->type == HN_PY_UNKNOWN || v->type == HN_PY_OBJECT || v->open || depth > 2) {
        put(s, "?", 1);
    } else {
        put(s, brackets, 1);
        for (const struct hn_py_item *i = v->first; i && s->n < sizeof s->text; i = i->next) {
            put_value(s, i->value, true, depth + 1);
            put(s, ", ", i->next ? 2 : 0);
        }
        put(s, brackets + 1, 1);
    }
}

bool hn_rule_is_usual(const char *usual, const struct hn_py_value *v)
{
    struct shown s = {.n = 0};
    bool found = false;
    if (!usual || !v)
        return false;
    put_value(&s, v, false, 0);
    do {
        size_t n = strcspn(usual, "|");
        found = n == s.n && memcmp(usual, s.text, n) == 0;
        usual += n + (usual[n] == '|');
    } while (!found && *usual);
    return found;
}

static void carry(struct hn_migrator *m, const struct hn_rule *rule, const struct hn_place *place,
                  enum hn_rank rank)
{
    const struct hn_py_value *v = place->value;
    const char *note = rule->note ? rule->note : "";
    if (v->type == HN_PY_NONE || hn_rule_is_usual(rule->usual, v)) {
        hn_plan_row(m->plan, place, HONE_MIGRATE_AUTOMATIC, "",
                    v->type == HN_PY_NONE ? "not set" : "as in hone");
        return;
    }
    bool list = v->type == HN_PY_LIST || v->type == HN_PY_TUPLE;
    if (list && !v->open) {
        hn_plan_set_list(m->plan, place, rank, rule->key, v, HONE_MIGRATE_CARRIED, note);
        return;
    }
    const char *text = hn_plan_value(m->plan, v);
    if (!text) {
        hn_plan_unresolved(m->plan, place, rule->key, NULL);
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

void hn_rule_by_name(struct hn_migrator *m, const struct hn_rule *rule,
                     const struct hn_place *place, const struct hn_py_value *v)
{
    const struct hn_rules *tables[] = {&hn_rules_model, &hn_rules_lora, &hn_rules_bnb,
                                       &hn_rules_sft};
    (void)v;
    for (size_t i = 0; i < HN_COUNT(tables); i++) {
        const struct hn_rule *of = hn_rule_find(tables[i], hn_str_of(rule->key));
        if (!of)
            continue;
        hn_rule_apply(m, of, place, HN_RANK_USUAL);
        return;
    }
}

void hn_rule_on_inputs(struct hn_migrator *m, const struct hn_rule *rule,
                       const struct hn_place *place, const struct hn_py_value *v)
{
    if (m->texts)
        hn_plan_row(m->plan, place, HONE_MIGRATE_AUTOMATIC, "", "rows of text have no prompt");
    else
        hn_plan_set(m->plan, place, HN_RANK_USUAL, rule->key,
                    hn_py_truth(v) == 1 ? "false" : "true", HONE_MIGRATE_CARRIED,
                    "the other way round");
}

void hn_rule_held_out(struct hn_migrator *m, const struct hn_rule *rule,
                      const struct hn_place *place, const struct hn_py_value *v)
{
    struct hn_plan *p = m->plan;
    double x = 0;
    const char *text = hn_plan_value(p, v);
    (void)rule;
    if (v->type == HN_PY_NONE || (hn_py_is_number(v, &x) && x <= 0)) {
        hn_plan_row(p, place, HONE_MIGRATE_AUTOMATIC, "", "nothing is held out");
        return;
    }
    if (!text || p->n_held || x <= 0 || (x < 1 ? x > 0.9 : v->type != HN_PY_INT)) {
        hn_plan_row(p, place, HONE_MIGRATE_NOT_CARRIED, "",
                    "set hone prepare --valid-fraction or --valid-rows");
        return;
    }
    const char *flag = x < 1 ? "--valid-fraction" : "--valid-rows";
    m->evaluates = true;
    p->held[p->n_held++] =
        (struct hn_held){.part = x < 1 ? x : 0, .flag = flag, .amount = text, .row = p->n_rows};
    hn_plan_row(p, place, HONE_MIGRATE_CARRIED, hn_plan_text(p, "hone prepare %s %s", flag, text),
                "as many, but other rows: the shuffles differ");
}

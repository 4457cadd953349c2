#define PCRE2_CODE_UNIT_WIDTH 8
#include "migrate/adapter_targets.h"

#include <pcre2.h>
#include <stdio.h>
#include <string.h>

/* No model that hone reads has so many blocks; what \d{1,2} takes of them; most paths in a list. */
enum { BLOCKS = 200, TWO_DIGITS = 100, MAX_PATHS = 400, MATCH_LIMIT = 100000 };

static const char *const linears[] = {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj",
                                      "self_attn.o_proj", "mlp.gate_proj",    "mlp.up_proj",
                                      "mlp.down_proj"};
enum { LINEARS = HN_COUNT(linears) };

struct matched {
    bool at[LINEARS][BLOCKS];
    bool head; /* lm_head or the embedding too */
};

static const char *path_of(struct hn_plan *p, size_t linear, size_t block)
{
    return hn_plan_text(p, "model.layers.%zu.%s", block, linears[linear]);
}

static void add(struct hn_plan *p, struct hn_py_value *list, const char *text)
{
    struct hn_py_value *v = hn_py_value_str(p->arena, text, strlen(text));
    if (v)
        hn_py_value_add(p->arena, list, (struct hn_str){0}, v, NULL);
}

/* ---- regular expressions --------------------------------------------------------------------- */

/* What PEFT's re.fullmatch would find; false: it is no regular expression, or takes too long. */
static bool match_all(const char *pattern, size_t n, struct matched *out)
{
    int code;
    PCRE2_SIZE at;
    char path[96];
    bool good = true;
    pcre2_code *re = pcre2_compile(
        (PCRE2_SPTR)pattern, n,
        PCRE2_UTF | PCRE2_NEVER_BACKSLASH_C | PCRE2_ANCHORED | PCRE2_ENDANCHORED, &code, &at, NULL);
    pcre2_match_data *match = re ? pcre2_match_data_create(1, NULL) : NULL;
    pcre2_match_context *context = re ? pcre2_match_context_create(NULL) : NULL;
    memset(out, 0, sizeof *out);
    good = match && context;
    if (good)
        pcre2_set_match_limit(context, MATCH_LIMIT);
    for (size_t i = 0; i < LINEARS * BLOCKS + 2 && good; i++) {
        size_t linear = i / BLOCKS, block = i % BLOCKS;
        bool head = linear == LINEARS;
        snprintf(path, sizeof path, "model.layers.%zu.%s", block, linears[head ? 0 : linear]);
        const char *subject = !head ? path : block ? "lm_head" : "model.embed_tokens";
        int found = pcre2_match(re, (PCRE2_SPTR)subject, strlen(subject), 0, 0, match, context);
        good = found >= 0 || found == PCRE2_ERROR_NOMATCH;
        if (found >= 0)
            *(head ? &out->head : &out->at[linear][block]) = true;
    }
    pcre2_match_data_free(match);
    pcre2_match_context_free(context);
    pcre2_code_free(re);
    return good;
}

/* How many blocks from the first on have it; *more: others beyond these too. */
static size_t from_first(const bool at[BLOCKS], bool *more)
{
    size_t n = 0;
    while (n < BLOCKS && at[n])
        n++;
    *more = false;
    for (size_t i = n; i < BLOCKS; i++)
        *more = *more || at[i];
    return n;
}

/* By name, where each is in all blocks or in none; by whole path, where only some blocks are. */
static bool name_them(struct hn_plan *p, const struct matched *found, struct hn_py_value *list,
                      bool *paths)
{
    *paths = false;
    for (size_t i = 0; i < LINEARS; i++) {
        bool more;
        size_t n = from_first(found->at[i], &more);
        *paths = *paths || more || (n && n < TWO_DIGITS);
    }
    for (size_t i = 0; i < LINEARS; i++) {
        if (!*paths && found->at[i][0])
            add(p, list, strchr(linears[i], '.') + 1);
        for (size_t b = 0; b < BLOCKS && *paths; b++) {
            if (!found->at[i][b])
                continue;
            if (b >= TWO_DIGITS || list->n == MAX_PATHS)
                return false; /* every other block, and the like */
            add(p, list, path_of(p, i, b));
        }
    }
    return true;
}

void hn_targets_pattern(struct hn_migrator *m, const struct hn_place *place, const char *key,
                        struct hn_str pattern)
{
    struct hn_plan *p = m->plan;
    struct matched *found = hn_arena_alloc(p->arena, 1, sizeof *found);
    struct hn_py_value list = {.type = HN_PY_LIST};
    bool paths;
    if (!found)
        return;
    if (!match_all(pattern.p, pattern.n, found))
        hn_plan_row(p, place, HONE_MIGRATE_NOT_CARRIED, "",
                    "a regular expression that cannot be read here: set target_modules to names");
    else if (!name_them(p, found, &list, &paths))
        hn_plan_row(p, place, HONE_MIGRATE_NOT_CARRIED, "",
                    "a regular expression that takes some blocks and not others: set "
                    "target_modules to the whole paths of those (model.layers.0.self_attn.q_proj)");
    else if (!list.n)
        hn_plan_row(p, place, HONE_MIGRATE_NOT_CARRIED, "",
                    "a regular expression that matches no linear layer of the models that hone "
                    "reads, whose paths are like model.layers.0.self_attn.q_proj: set "
                    "target_modules");
    else
        hn_plan_set_list(
            p, place, HN_RANK_USUAL, key, &list, HONE_MIGRATE_CHANGED,
            hn_plan_text(p, "the linear layers that this regular expression matches%s%s",
                         paths ? ", by whole paths, since it takes some blocks alone" : "",
                         found->head ? "; not embeddings or the output head" : ""));
}

/* ---- blocks ---------------------------------------------------------------------------------- */

/* q_proj, self_attn.q_proj, all-linear: which of the seven, as bits */
static unsigned linears_of(struct hn_str name)
{
    unsigned bits = 0;
    for (size_t i = 0; i < LINEARS; i++) {
        const char *last = strchr(linears[i], '.') + 1;
        if (hn_str_is(name, "all-linear") || hn_str_is(name, last) || hn_str_is(name, linears[i]))
            bits |= 1u << i;
    }
    return bits;
}

/* range(a), range(a, b), list(range(…)) */
static bool range_of(const struct hn_py_value *v, int64_t *from, int64_t *to)
{
    const struct hn_py_value *a, *b;
    if (v->type == HN_PY_OBJECT && hn_str_is(v->path, "list"))
        v = hn_py_value_at(v, 0);
    if (!v || v->type != HN_PY_OBJECT || !hn_str_is(v->path, "range") || v->n < 1 || v->n > 2)
        return false;
    a = hn_py_value_at(v, 0);
    b = hn_py_value_at(v, 1);
    if (!a || a->type != HN_PY_INT || (b && b->type != HN_PY_INT))
        return false;
    *from = b ? a->integer : 0;
    *to = b ? b->integer : a->integer;
    return *from < *to;
}

static bool add_block(struct hn_plan *p, struct hn_py_value *list, int64_t block, unsigned bits)
{
    if (block < 0 || block >= BLOCKS)
        return false;
    for (size_t i = 0; i < LINEARS; i++) {
        if (!(bits >> i & 1))
            continue;
        if (list->n == MAX_PATHS)
            return false;
        add(p, list, path_of(p, i, (size_t)block));
    }
    return true;
}

bool hn_targets_blocks(struct hn_plan *p, const struct hn_py_value *targets, const char *usual,
                       const struct hn_py_value *blocks, struct hn_py_value *out)
{
    unsigned bits = 0;
    for (; !targets && *usual; usual += strcspn(usual, " "), usual += strspn(usual, " "))
        bits |= linears_of((struct hn_str){usual, strcspn(usual, " ")});
    for (const struct hn_py_item *i = targets ? targets->first : NULL; i; i = i->next) {
        unsigned of = i->value->type == HN_PY_STR ? linears_of(i->value->text) : 0;
        if (!of && !hn_rule_is_usual("lm_head|embed_tokens", i->value))
            return false;
        bits |= of;
    }
    int64_t from, to;
    bool many = blocks->type == HN_PY_LIST || blocks->type == HN_PY_TUPLE, good = bits != 0;
    if (range_of(blocks, &from, &to)) {
        for (; from < to && good; from++)
            good = add_block(p, out, from, bits);
        return good;
    }
    if (!many)
        return good && blocks->type == HN_PY_INT && add_block(p, out, blocks->integer, bits);
    for (const struct hn_py_item *i = blocks->first; i && good; i = i->next)
        good = i->value->type == HN_PY_INT && add_block(p, out, i->value->integer, bits);
    return good && blocks->n && !blocks->open;
}

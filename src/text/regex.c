#include "text/regex.h"
#include "base/mem.h"
#include "text/regex_parse.h"

#include <stdlib.h>
#include <string.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

enum { BLOCK = 128, N_BLOCKS = 0x110000 / BLOCK, MAX_CLASSES = 256 };

struct hn_regex {
    char *source;        /* the pattern as it was given */
    struct hn_buf spelt; /* as PCRE2 runs it, over classes */
    pcre2_code *code;
    uint8_t ascii[128];       /* class of each ASCII character */
    uint16_t index[N_BLOCKS]; /* which block of classes */
    uint8_t *blocks;          /* [n_blocks][BLOCK] */
    size_t n_blocks, cap_blocks;
};

/* The classes: code points that are in the same sets. */
struct classes {
    uint64_t members[MAX_CLASSES][HN_REGEX_MAX_SETS / 64]; /* a bit per set */
    size_t n;
};

static size_t class_of(struct classes *c, const uint64_t *bits)
{
    for (size_t i = 0; i < c->n; i++)
        if (memcmp(c->members[i], bits, sizeof c->members[i]) == 0)
            return i;
    if (c->n < MAX_CLASSES)
        memcpy(c->members[c->n], bits, sizeof c->members[c->n]);
    return c->n++;
}

static int new_block(struct hn_regex *re)
{
    if (hn_grow((void **)&re->blocks, &re->cap_blocks, re->n_blocks + 1, BLOCK))
        return -1;
    re->n_blocks++;
    return 0;
}

/* Give the code points [first, last] to a class.  Called in ascending order without gaps; uniform
 * blocks of one class are shared. */
static int fill(struct hn_regex *re, uint32_t first, uint32_t last, uint8_t class,
                uint16_t uniform[MAX_CLASSES])
{
    for (uint32_t at = first; at <= last;) {
        uint32_t block = at / BLOCK, end = HN_MIN(last, block * BLOCK + BLOCK - 1);
        if (at % BLOCK == 0 && end % BLOCK == BLOCK - 1) {
            if (!uniform[class]) {
                if (new_block(re))
                    return -1;
                memset(re->blocks + (re->n_blocks - 1) * BLOCK, class, BLOCK);
                uniform[class] = (uint16_t)re->n_blocks;
            }
            re->index[block] = (uint16_t)(uniform[class] - 1);
        } else {
            if (at % BLOCK == 0) {
                if (new_block(re))
                    return -1;
                re->index[block] = (uint16_t)(re->n_blocks - 1);
            }
            memset(re->blocks + (size_t)re->index[block] * BLOCK + at % BLOCK, class, end - at + 1);
        }
        at = end + 1;
    }
    return 0;
}

static int compare_u32(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* Every code point at which some set begins or ends, sorted; 0 is the first. */
static uint32_t *boundaries(const struct hn_regex_program *p, size_t *n)
{
    size_t total = 1, k = 0, kept = 0;
    for (size_t s = 0; s < p->n_sets; s++)
        total += 2 * p->sets[s].n;
    uint32_t *cuts = hn_calloc(total, sizeof *cuts);
    if (!cuts)
        return NULL;
    cuts[k++] = 0;
    for (size_t s = 0; s < p->n_sets; s++)
        for (size_t i = 0; i < p->sets[s].n; i++) {
            cuts[k++] = p->sets[s].ranges[i].first;
            cuts[k++] = p->sets[s].ranges[i].last + 1;
        }
    qsort(cuts, k, sizeof *cuts, compare_u32);
    for (size_t i = 0; i < k; i++)
        if ((!kept || cuts[i] != cuts[kept - 1]) && cuts[i] <= 0x10ffff)
            cuts[kept++] = cuts[i];
    *n = kept;
    return cuts;
}

static int split_code_points(struct hn_regex *re, const struct hn_regex_program *p,
                             struct classes *c, struct hone_err *err)
{
    size_t n = 0, next[HN_REGEX_MAX_SETS] = {0};
    uint16_t uniform[MAX_CLASSES] = {0};
    uint32_t *cuts = boundaries(p, &n);
    int rc = cuts ? 0 : hn_fail_memory(err, "compiling a regular expression");
    for (size_t i = 0; rc == 0 && i < n; i++) {
        uint64_t bits[HN_REGEX_MAX_SETS / 64] = {0};
        for (size_t s = 0; s < p->n_sets; s++) {
            const struct hn_cp_set *set = &p->sets[s];
            while (next[s] < set->n && set->ranges[next[s]].last < cuts[i])
                next[s]++;
            if (next[s] < set->n && set->ranges[next[s]].first <= cuts[i])
                bits[s / 64] |= (uint64_t)1 << s % 64;
        }
        size_t class = class_of(c, bits);
        if (class >= MAX_CLASSES)
            rc = hn_fail(err, HONE_FAILED,
                         "the regular expression tells more than %d kinds of characters apart",
                         MAX_CLASSES);
        else if (fill(re, cuts[i], i + 1 < n ? cuts[i + 1] - 1 : 0x10ffff, (uint8_t) class,
                      uniform))
            rc = hn_fail_memory(err, "compiling a regular expression");
    }
    hn_free(cuts);
    for (uint32_t cp = 0; rc == 0 && cp < 128; cp++)
        re->ascii[cp] = re->blocks[(size_t)re->index[cp / BLOCK] * BLOCK + cp % BLOCK];
    return rc;
}

/* The program with each set spelt as a bracket of class bytes. */
static void spell(struct hn_buf *out, const struct hn_regex_program *p, const struct classes *c)
{
    const char *code = hn_buf_str(&p->code);
    for (size_t i = 0; i < p->code.len; i++) {
        if (code[i] != 1) {
            hn_buf_add_char(out, code[i]);
            continue;
        }
        size_t set = (size_t)(code[i + 1] - '0') * 64 + (size_t)(code[i + 2] - '0'), members = 0;
        size_t start = out->len;
        i += 2;
        hn_buf_add_char(out, '[');
        for (size_t k = 0; k < c->n; k++)
            if (c->members[k][set / 64] >> set % 64 & 1) {
                hn_buf_printf(out, "\\x%02x", (unsigned)k);
                members++;
            }
        hn_buf_add_char(out, ']');
        if (members == 0) {
            out->len = start;
            hn_buf_add_str(out, "(?!)");
        }
    }
}

static int compile(struct hn_regex *re, const struct hn_buf *pattern, struct hone_err *err)
{
    int code;
    PCRE2_SIZE at;
    re->code = pcre2_compile((PCRE2_SPTR)hn_buf_str(pattern), pattern->len,
                             PCRE2_NEVER_UTF | PCRE2_NEVER_BACKSLASH_C, &code, &at, NULL);
    if (!re->code) {
        PCRE2_UCHAR text[200] = "";
        pcre2_get_error_message(code, text, sizeof text);
        return hn_fail(err, HONE_FAILED, "the regular expression does not compile: %s",
                       (const char *)text);
    }
    /* Without a just-in-time compiler the interpreter runs it. */
    (void)pcre2_jit_compile(re->code, PCRE2_JIT_COMPLETE);
    return 0;
}

int hn_regex_open(struct hn_regex **out, struct hn_str pattern, struct hone_err *err)
{
    struct hn_regex_program *p = hn_calloc(1, sizeof *p);
    struct classes *c = hn_calloc(1, sizeof *c);
    struct hn_regex *re = hn_calloc(1, sizeof *re);
    int rc = p && c && re ? 0 : hn_fail_memory(err, "compiling a regular expression");
    if (rc == 0) {
        re->source = hn_calloc(pattern.n + 1, 1);
        rc = re->source ? 0 : hn_fail_memory(err, "compiling a regular expression");
    }
    if (rc == 0 && pattern.n)
        memcpy(re->source, pattern.p, pattern.n);
    if (rc == 0)
        rc = hn_regex_parse(p, pattern, err);
    if (rc == 0)
        rc = split_code_points(re, p, c, err);
    if (rc == 0) {
        spell(&re->spelt, p, c);
        rc = re->spelt.failed ? hn_fail_memory(err, "compiling a regular expression")
                              : compile(re, &re->spelt, err);
    }
    if (p)
        hn_regex_program_release(p);
    hn_free(p);
    hn_free(c);
    if (rc)
        hn_regex_close(&re);
    else
        *out = re;
    return rc;
}

void hn_regex_close(struct hn_regex **re)
{
    if (!*re)
        return;
    pcre2_code_free((*re)->code);
    hn_free((*re)->blocks);
    hn_free((*re)->source);
    hn_buf_release(&(*re)->spelt);
    hn_free(*re);
    *re = NULL;
}

const char *hn_regex_source(const struct hn_regex *re)
{
    return re->source;
}

bool hn_regex_same(const struct hn_regex *a, const struct hn_regex *b)
{
    return a->spelt.len == b->spelt.len && a->n_blocks == b->n_blocks &&
           memcmp(hn_buf_str(&a->spelt), hn_buf_str(&b->spelt), a->spelt.len) == 0 &&
           memcmp(a->index, b->index, sizeof a->index) == 0 &&
           memcmp(a->blocks, b->blocks, a->n_blocks * BLOCK) == 0;
}

void hn_regex_work_release(struct hn_regex_work *w)
{
    pcre2_match_data_free(w->match);
    pcre2_match_context_free(w->context);
    pcre2_jit_stack_free(w->stack);
    hn_free(w->classes);
    *w = (struct hn_regex_work){0};
}

int hn_regex_begin(struct hn_regex_scan *s, const struct hn_regex *re, struct hn_regex_work *w,
                   struct hn_str text, struct hone_err *err)
{
    *s = (struct hn_regex_scan){re, w, text, 0, SIZE_MAX, 0, 0};
    if (!w->match)
        w->match = pcre2_match_data_create(1, NULL);
    if (!w->context)
        w->context = pcre2_match_context_create(NULL);
    if (!w->match || !w->context || hn_grow((void **)&w->classes, &w->cap, text.n + 1, 1))
        return hn_fail_memory(err, "matching a regular expression");
    size_t n = 0;
    for (size_t i = 0; i < text.n;) {
        unsigned char c = (unsigned char)text.p[i];
        if (c < 128) {
            w->classes[n++] = re->ascii[c];
            i++;
            continue;
        }
        int32_t cp = hn_utf8_next(text.p, text.n, &i);
        uint32_t k = cp < 0 ? 0 : (uint32_t)cp;
        w->classes[n++] = re->blocks[(size_t)re->index[k / BLOCK] * BLOCK + k % BLOCK];
    }
    w->n_classes = n;
    return 0;
}

/* The byte where code point cp starts; cp never goes back. */
static size_t byte_of(struct hn_regex_scan *s, size_t cp)
{
    while (s->cp < cp) {
        s->byte++;
        while (s->byte < s->text.n && ((unsigned char)s->text.p[s->byte] & 0xc0) == 0x80)
            s->byte++;
        s->cp++;
    }
    return s->byte;
}

static int search(struct hn_regex_scan *s, struct hone_err *err)
{
    struct hn_regex_work *w = s->work;
    for (;;) {
        int rc = pcre2_match(s->re->code, w->classes, w->n_classes, s->at, 0, w->match, w->context);
        if (rc >= 0 || rc == PCRE2_ERROR_NOMATCH)
            return rc >= 0;
        if (rc == PCRE2_ERROR_JIT_STACKLIMIT && !w->stack) {
            w->stack = pcre2_jit_stack_create(1 << 16, 1 << 26, NULL);
            if (w->stack) {
                pcre2_jit_stack_assign(w->context, NULL, w->stack);
                continue;
            }
        }
        return hn_fail(err, HONE_FAILED,
                       "the tokenizer's regular expression needs too much work on this text "
                       "(PCRE2 error %d near byte %zu)",
                       rc, byte_of(s, s->at));
    }
}

int hn_regex_next(struct hn_regex_scan *s, size_t *first, size_t *end, struct hone_err *err)
{
    while (s->text.n && s->at <= s->work->n_classes) {
        int rc = search(s, err);
        if (rc <= 0)
            return rc;
        const PCRE2_SIZE *where = pcre2_get_ovector_pointer(s->work->match);
        size_t a = where[0], b = where[1];
        if (a == b && b == s->last_end) {
            s->at++;
            continue;
        }
        s->at = b;
        s->last_end = b;
        *first = byte_of(s, a);
        *end = byte_of(s, b);
        return 1;
    }
    return 0;
}

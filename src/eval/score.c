#include "eval/score.h"
#include "base/json.h"
#include "base/mem.h"

#include <math.h>
#include <string.h>

enum { MAX_WORDS = 1 << 15 };
static const char json_marker[] = "### RESPONSE_JSON:";

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static struct hn_str trim(struct hn_str s)
{
    while (s.n && is_space(s.p[0]))
        s.p++, s.n--;
    while (s.n && is_space(s.p[s.n - 1]))
        s.n--;
    return s;
}

/* What follows the first occurrence of a word at the start of a line; false: there is none. */
static bool after_line_start(struct hn_str s, const char *word, struct hn_str *rest)
{
    size_t m = strlen(word);
    for (size_t i = 0; i + m <= s.n; i++) {
        if ((i == 0 || s.p[i - 1] == '\n') && memcmp(s.p + i, word, m) == 0) {
            *rest = (struct hn_str){s.p + i + m, s.n - i - m};
            return true;
        }
    }
    return false;
}

/* The inside of the first fence; whole: the text must be the fence and nothing else. */
static bool inside_fence(struct hn_str s, bool whole, struct hn_str *inside)
{
    struct hn_str rest;
    s = trim(s);
    if (!after_line_start(s, "```json", &rest) && !(whole && after_line_start(s, "```", &rest)))
        return false;
    size_t i = 0;
    while (i + 3 <= rest.n && memcmp(rest.p + i, "```", 3) != 0)
        i++;
    if (i + 3 > rest.n || (whole && (memcmp(s.p, "```", 3) != 0 || i + 3 != rest.n)))
        return false;
    *inside = (struct hn_str){rest.p, i};
    return true;
}

static int parse(struct hn_arena *arena, struct hn_str s, struct hn_json **out,
                 struct hone_err *err)
{
    struct hone_err inner = {0};
    *out = NULL;
    int rc = hn_json_parse(arena, s.p, s.n, HN_JSON_PYTHON, out, &inner);
    return rc == HONE_NO_MEMORY ? hn_fail_memory(err, "scoring an answer") : 0;
}

enum place { NOWHERE, MARKER, WHOLE, FENCE };

static int find_expected(struct hn_arena *arena, struct hn_str s, enum place *place,
                         struct hn_json **out, struct hone_err *err)
{
    struct hn_str part;
    int rc = 0;
    *place = NOWHERE;
    if (after_line_start(s, json_marker, &part)) {
        *place = MARKER;
        rc = parse(arena, part, out, err);
    } else if (trim(s).n && strchr("{[", trim(s).p[0])) {
        *place = WHOLE;
        rc = parse(arena, s, out, err);
    } else if (inside_fence(s, false, &part)) {
        *place = FENCE;
        rc = parse(arena, part, out, err);
    }
    if (rc || !*out) /* an expected answer cut short by truncation has no JSON to compare with */
        *place = NOWHERE;
    return rc;
}

static int find_answer(struct hn_arena *arena, struct hn_str s, enum place place,
                       struct hn_json **out, struct hone_err *err)
{
    struct hn_str part = s, inside;
    if (place == MARKER && !after_line_start(s, json_marker, &part))
        return 0;
    if (place == FENCE && !inside_fence(s, false, &part))
        return 0;
    int rc = parse(arena, part, out, err);
    if (!rc && !*out && inside_fence(part, true, &inside))
        rc = parse(arena, inside, out, err);
    return rc;
}

static bool same_number(const struct hn_json *a, const struct hn_json *b)
{
    double x, y;
    if (hn_str_eq(a->text, b->text))
        return true;
    /* Two integers that a double cannot tell apart are told apart by their digits. */
    if (a->type == HN_JSON_INT && b->type == HN_JSON_INT && (a->text.n > 15 || b->text.n > 15))
        return false;
    return hn_json_float(a, &x) && hn_json_float(b, &y) && (x == y || (isnan(x) && isnan(y)));
}

static bool is_number(const struct hn_json *j)
{
    return j->type == HN_JSON_INT || j->type == HN_JSON_FLOAT;
}

static bool same_leaf(const struct hn_json *a, const struct hn_json *b)
{
    if (!b)
        return false;
    if (is_number(a) && is_number(b))
        return same_number(a, b);
    if (a->type != b->type)
        return false;
    switch (a->type) {
    case HN_JSON_BOOL:
        return a->boolean == b->boolean;
    case HN_JSON_STRING:
        return hn_str_eq(a->text, b->text);
    case HN_JSON_ARRAY:
    case HN_JSON_OBJECT:
        return b->n == 0;
    default:
        return true;
    }
}

static const struct hn_json *member(const struct hn_json *j, struct hn_str key)
{
    for (size_t i = 0; j && j->type == HN_JSON_OBJECT && i < j->n; i++)
        if (hn_str_eq(j->members[i].key, key))
            return &j->members[i].value;
    return NULL;
}

/* Count the leaves of want, and those that got has alike; got is NULL where its path ends. */
static void compare(const struct hn_json *want, const struct hn_json *got, struct hn_score *score)
{
    bool container = want->type == HN_JSON_ARRAY || want->type == HN_JSON_OBJECT;
    if (!container || want->n == 0) {
        score->json_fields++;
        score->json_fields_right += same_leaf(want, got);
    }
    for (size_t i = 0; want->type == HN_JSON_ARRAY && i < want->n; i++)
        compare(&want->items[i], hn_json_at(got, i), score);
    for (size_t i = 0; want->type == HN_JSON_OBJECT && i < want->n; i++)
        compare(&want->members[i].value, member(got, want->members[i].key), score);
}

static int score_json(struct hn_str expected, struct hn_str output, struct hn_score *score,
                      struct hone_err *err)
{
    struct hn_arena arena;
    struct hn_json *want = NULL, *got = NULL;
    enum place place;
    hn_arena_init(&arena, 0);
    int rc = find_expected(&arena, expected, &place, &want, err);
    if (!rc && place != NOWHERE)
        rc = find_answer(&arena, output, place, &got, err);
    if (!rc && place != NOWHERE) {
        score->has_json = true;
        score->json_valid = got != NULL;
        compare(want, got, score);
    }
    hn_arena_release(&arena);
    return rc;
}

/* -------------------------------------------------------------------------------------------- */
/* ROUGE-L: Lin, "ROUGE: a package for automatic evaluation of summaries", 2004 */

/* The character that the lower-cased text has at s[*i] if it is one of [a-z0-9], else 0; advances
 * *i.  Two letters outside ASCII have one within when lower-cased: the Kelvin sign, and I with a
 * dot (whose dot becomes a separate, combining one). */
static char word_char(struct hn_str s, size_t *i)
{
    int32_t c = hn_utf8_next(s.p, s.n, i);
    if (c >= 'A' && c <= 'Z')
        return (char)(c - 'A' + 'a');
    if (c == 0x212a)
        return 'k';
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ? (char)c : 0;
}

/* The hashes of the words of s, at most MAX_WORDS; NULL: out of memory. */
static uint64_t *words(struct hn_str s, size_t *n, struct hn_buf *word)
{
    size_t cap = 0;
    uint64_t *hashes = NULL;
    *n = 0;
    hn_buf_clear(word);
    if (hn_grow((void **)&hashes, &cap, 1, sizeof *hashes))
        return NULL;
    for (size_t i = 0; i <= s.n && *n < MAX_WORDS;) {
        size_t at = i;
        bool end = i == s.n;
        char c = end ? 0 : word_char(s, &i);
        bool dotted = !end && i - at == 2 && memcmp(s.p + at, "\xc4\xb0", 2) == 0;
        if (c || dotted)
            hn_buf_add_char(word, dotted ? 'i' : c);
        if (!c && word->len) {
            if (hn_grow((void **)&hashes, &cap, *n + 1, sizeof *hashes) || word->failed) {
                hn_free(hashes);
                return NULL;
            }
            hashes[(*n)++] = hn_hash(word->data, word->len);
            hn_buf_clear(word);
        }
        i += end;
    }
    return hashes;
}

/* Length of the longest common subsequence: row by row, row[j] being that of a[0, i) and b[0, j).
 */
static size_t common_subsequence(const uint64_t *a, size_t n, const uint64_t *b, size_t m,
                                 uint32_t *row)
{
    memset(row, 0, (m + 1) * sizeof *row);
    for (size_t i = 0; i < n; i++) {
        uint32_t diagonal = 0;
        for (size_t j = 1; j <= m; j++) {
            uint32_t up = row[j];
            row[j] = a[i] == b[j - 1] ? diagonal + 1 : HN_MAX(up, row[j - 1]);
            diagonal = up;
        }
    }
    return row[m];
}

static int score_rouge(struct hn_str expected, struct hn_str output, struct hn_score *score,
                       struct hone_err *err)
{
    struct hn_buf word = {0};
    size_t n = 0, m = 0;
    uint64_t *a = words(expected, &n, &word), *b = words(output, &m, &word);
    uint32_t *row = hn_calloc(m + 1, sizeof *row);
    bool ok = a && b && row;
    if (ok && n && m) {
        double lcs = (double)common_subsequence(a, n, b, m, row);
        double precision = lcs / (double)m, recall = lcs / (double)n;
        score->rouge_l = lcs > 0 ? 2 * precision * recall / (precision + recall) : 0;
    }
    hn_free(a);
    hn_free(b);
    hn_free(row);
    hn_buf_release(&word);
    return ok ? 0 : hn_fail_memory(err, "scoring an answer");
}

int hn_score_answer(const char *expected, size_t expected_size, const char *output,
                    size_t output_size, struct hn_score *score, struct hone_err *err)
{
    struct hn_str want = {expected, expected_size}, got = {output, output_size};
    struct hn_score s = {.exact = hn_str_eq(trim(want), trim(got))};
    int rc = score_json(want, got, &s, err);
    rc = rc ? rc : score_rouge(want, got, &s, err);
    if (!rc)
        *score = s;
    return rc;
}

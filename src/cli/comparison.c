#include "cli/comparison.h"

#include <math.h>
#include <string.h>
#include "base/file.h"

static char letter(size_t side)
{
    return (char)('A' + (int)side);
}

/* ---- what they are -----------------------------------------------------------------------------
 */

static void print_sides(const struct hn_comparison *x, struct hn_ui *ui)
{
    struct hn_table t;
    hn_table_init(&t, 3, 0);
    for (size_t i = 0; i < x->n_sides; i++) {
        const struct hn_compared *c = &x->sides[i];
        const struct hone_compare_side *s = &c->got;
        char weights[HN_UI_WEIGHTS];
        hn_table_add(&t, "%c", letter(i));
        hn_table_add(&t, "%s", c->title);
        if (c->pytorch)
            hn_table_add(&t, "%s, %s; %s", s->system, s->quantization, s->device);
        else
            hn_table_add(&t, "%s, %s, %s%s; %s", s->family, s->format,
                         hn_ui_weights(s->quantization, weights), s->adapter ? ", adapter" : "",
                         s->device);
    }
    hn_table_print(&t, ui, false);
    hn_ui_say(ui, HN_PLAIN, " ");
}

/* ---- the answers, under each other -------------------------------------------------------------
 */

static void print_text(struct hn_ui *ui, enum hn_style style, const char *label, const char *text)
{
    struct hn_buf lines = {0};
    for (const char *p = text; *p; p++) {
        hn_buf_add_char(&lines, *p);
        if (*p == '\n')
            hn_buf_add_str(&lines, "    ");
    }
    hn_ui_say(ui, HN_DIM, "  %s", label);
    hn_ui_say(ui, style, "    %s", hn_buf_str(&lines));
    hn_buf_release(&lines);
}

static void print_answers(const struct hn_comparison *x, struct hn_ui *ui)
{
    const struct hone_compare_side *first = &x->sides[0].got;
    for (size_t i = 0; i < first->n_answers; i++) {
        const struct hone_compare_answer *a = &first->answers[i];
        hn_ui_say(ui, HN_BOLD, "Prompt %zu", i + 1);
        print_text(ui, HN_PLAIN, "prompt", a->prompt);
        if (a->expected)
            print_text(ui, HN_PLAIN, "expected", a->expected);
        for (size_t k = 0; k < x->n_sides; k++) {
            const struct hone_compare_side *s = &x->sides[k].got;
            const char *text = i < s->n_answers ? s->answers[i].output : NULL;
            char label[40];
            size_t same = 0;
            while (text && same < k &&
                   (!x->sides[same].got.answers[i].output ||
                    strcmp(x->sides[same].got.answers[i].output, text) != 0))
                same++;
            snprintf(label, sizeof label, same < k ? "%c writes the same as %c" : "%c writes",
                     letter(k), letter(same));
            if (text && same < k)
                hn_ui_say(ui, HN_DIM, "  %s", label);
            else if (text)
                print_text(ui, HN_CYAN, label, *text ? text : "(nothing)");
        }
        hn_ui_say(ui, HN_PLAIN, " ");
    }
}

/* ---- the figures -------------------------------------------------------------------------------
 */

typedef void cell_fn(struct hn_table *t, const struct hone_compare_side *s);

static void add_loss(struct hn_table *t, const struct hone_compare_side *s)
{
    hn_table_add(t, "%.4f", s->loss);
}
static void add_perplexity(struct hn_table *t, const struct hone_compare_side *s)
{
    hn_table_add(t, "%.3f", s->perplexity);
}
static void add_rate(struct hn_table *t, int64_t part, int64_t all)
{
    if (all)
        hn_table_add(t, "%.1f %%", 100 * (double)part / (double)all);
    else
        hn_table_add(t, "-");
}
static void add_exact(struct hn_table *t, const struct hone_compare_side *s)
{
    struct hn_answer_sums sums;
    hn_side_sum(s, &sums);
    add_rate(t, sums.exact, sums.expected);
}
static void add_json(struct hn_table *t, const struct hone_compare_side *s)
{
    struct hn_answer_sums sums;
    hn_side_sum(s, &sums);
    add_rate(t, sums.json_valid, sums.json);
}
static void add_fields(struct hn_table *t, const struct hone_compare_side *s)
{
    struct hn_answer_sums sums;
    hn_side_sum(s, &sums);
    add_rate(t, sums.fields_right, sums.fields);
}
static void add_rouge(struct hn_table *t, const struct hone_compare_side *s)
{
    struct hn_answer_sums sums;
    hn_side_sum(s, &sums);
    hn_table_add(t, "%.3f", sums.rouge_l);
}
static void add_speed(struct hn_table *t, double rate)
{
    hn_table_add(t, "%.1f tokens/s", rate);
}
static void add_prompt_speed(struct hn_table *t, const struct hone_compare_side *s)
{
    add_speed(t, s->prompt_tokens_per_second);
}
static void add_generation_speed(struct hn_table *t, const struct hone_compare_side *s)
{
    add_speed(t, s->generation_tokens_per_second);
}
static void add_load(struct hn_table *t, const struct hone_compare_side *s)
{
    hn_table_add(t, "%.3f s", s->load_seconds);
}
static void add_first(struct hn_table *t, const struct hone_compare_side *s)
{
    hn_table_add(t, "%.3f s", s->first_token_seconds);
}
static void add_bytes(struct hn_table *t, uint64_t bytes)
{
    char text[HN_UI_TEXT];
    hn_table_add(t, "%s", hn_ui_bytes(bytes, text));
}
static void add_memory(struct hn_table *t, const struct hone_compare_side *s)
{
    add_bytes(t, s->peak_memory);
}
static void add_size(struct hn_table *t, const struct hone_compare_side *s)
{
    add_bytes(t, (uint64_t)(s->file_bytes + s->adapter_bytes));
}

static void print_figures(const struct hn_comparison *x, struct hn_ui *ui)
{
    const struct hone_compare_side *first = &x->sides[0].got;
    struct hn_answer_sums sums;
    struct hn_table t;
    hn_side_sum(first, &sums);
    bool loss = first->loss_tokens > 0, expected = sums.expected > 0;
    const struct {
        const char *name;
        cell_fn *add;
        bool shown;
    } rows[] = {
        {"loss", add_loss, loss},
        {"perplexity", add_perplexity, loss},
        {"exact answers", add_exact, expected},
        {"valid JSON", add_json, sums.json > 0},
        {"JSON fields right", add_fields, sums.fields > 0},
        {"ROUGE-L", add_rouge, expected},
        {"reads prompts", add_prompt_speed, true},
        {"writes", add_generation_speed, true},
        {"load time", add_load, true},
        {"start to first token", add_first, first->n_answers > 0},
        {"peak memory", add_memory, true},
        {"size on disk", add_size, true},
    };
    hn_table_init(&t, 1 + x->n_sides, 0xfe);
    hn_table_add(&t, " ");
    for (size_t k = 0; k < x->n_sides; k++)
        hn_table_add(&t, "%c", letter(k));
    for (size_t i = 0; i < HN_COUNT(rows); i++) {
        if (!rows[i].shown)
            continue;
        hn_table_add(&t, "%s", rows[i].name);
        for (size_t k = 0; k < x->n_sides; k++)
            rows[i].add(&t, &x->sides[k].got);
    }
    hn_table_print(&t, ui, true);
    if (loss)
        hn_ui_say(ui, HN_DIM, "  loss over %lld tokens of %zu rows of %s",
                  (long long)first->loss_tokens, first->n_rows,
                  x->data ? hn_path_name(x->data) : "the built-in texts");
    hn_ui_say(ui, HN_PLAIN, " ");
}

/* ---- agreement ---------------------------------------------------------------------------------
 */

static void print_agreement(const struct hn_comparison *x, struct hn_ui *ui)
{
    static const char *const names[] = {
        "positions compared",       "same likeliest token",     "mean KL, left from right",
        "mean KL, right from left", "largest KL at a position", "largest logit difference",
        "  over the largest logit",
    };
    const struct hn_pair *shown[HN_MAX_PAIRS];
    size_t n = 0;
    struct hn_table t;
    for (size_t i = 0; i < x->n_pairs; i++)
        if (x->pairs[i].g.positions)
            shown[n++] = &x->pairs[i];
    hn_table_init(&t, 1 + n, 0xfe);
    hn_table_add(&t, "next-token distributions");
    for (size_t i = 0; i < n; i++)
        hn_table_add(&t, "%c beside %c", letter(shown[i]->a), letter(shown[i]->b));
    for (size_t r = 0; r < HN_COUNT(names); r++) {
        hn_table_add(&t, "%s", names[r]);
        for (size_t i = 0; i < n; i++) {
            const struct hone_agreement *g = &shown[i]->g;
            const double figures[] = {0,
                                      100 * g->top1,
                                      g->kl_ab,
                                      g->kl_ba,
                                      g->kl_max,
                                      g->logit_difference,
                                      g->relative_difference};
            if (r == 0)
                hn_table_add(&t, "%lld", (long long)g->positions);
            else if (r == 1)
                hn_table_add(&t, "%.1f %%", figures[r]);
            else
                hn_table_add(&t, "%.2g", figures[r]);
        }
    }
    if (n)
        hn_table_print(&t, ui, true);
    else
        hn_buf_release(&t.cells);
    for (size_t i = 0; i < x->n_pairs; i++) {
        const struct hn_pair *p = &x->pairs[i];
        int64_t a = x->sides[p->a].got.vocab_size, b = x->sides[p->b].got.vocab_size;
        if (!p->g.positions)
            hn_ui_say(ui, HN_YELLOW, "  The distributions of %c and %c cannot be compared: %s.",
                      letter(p->a), letter(p->b), p->g.why);
        else if (a != b)
            hn_ui_say(ui, HN_YELLOW,
                      "  %c has %lld tokens, %c %lld: distributions are over the first %lld.",
                      letter(p->a), (long long)a, letter(p->b), (long long)b,
                      (long long)p->g.vocabulary);
    }
}

/* ---- hone against PyTorch ----------------------------------------------------------------------
 */

enum better { LESS, MORE };
struct line {
    const char *name;
    enum better better;
    double hone, torch; /* 0: not measured */
};

static size_t headline(const struct hn_comparison *x, struct line out[6])
{
    const struct hn_compared *h = &x->sides[x->hone], *p = &x->sides[x->torch];
    const struct line lines[] = {
        {"memory to train", LESS, (double)h->training.peak_memory, (double)p->training.peak_memory},
        {"training", MORE, h->training.tokens_per_second, p->training.tokens_per_second},
        {"memory to run", LESS, (double)h->got.peak_memory, (double)p->got.peak_memory},
        {"reading prompts", MORE, h->got.prompt_tokens_per_second, p->got.prompt_tokens_per_second},
        {"writing", MORE, h->got.generation_tokens_per_second, p->got.generation_tokens_per_second},
        {"model size", LESS, (double)h->got.file_bytes, (double)p->got.file_bytes},
    };
    memcpy(out, lines, sizeof lines);
    return HN_COUNT(lines);
}

/* How many times better hone is; 0: not known. */
static double ratio(const struct line *l)
{
    if (!(l->hone > 0) || !(l->torch > 0))
        return 0;
    return l->better == LESS ? l->torch / l->hone : l->hone / l->torch;
}

static void add_figure(struct hn_table *t, const struct line *l, double v)
{
    if (!(v > 0))
        hn_table_add(t, "-");
    else if (l->better == LESS)
        add_bytes(t, (uint64_t)v);
    else
        add_speed(t, v);
}

static void print_headline(const struct hn_comparison *x, struct hn_ui *ui)
{
    struct line lines[6];
    struct hn_table t;
    size_t n = headline(x, lines);
    const struct hn_training *h = &x->sides[x->hone].training;
    hn_ui_say(ui, HN_PLAIN, " ");
    hn_table_init(&t, 4, 6);
    hn_table_add(&t, "on this machine");
    hn_table_add(&t, "hone, %c", letter(x->hone));
    hn_table_add(&t, "PyTorch, %c", letter(x->torch));
    hn_table_add(&t, " ");
    for (size_t i = 0; i < n; i++) {
        double r = ratio(&lines[i]);
        hn_table_add(&t, "%s", lines[i].name);
        add_figure(&t, &lines[i], lines[i].hone);
        add_figure(&t, &lines[i], lines[i].torch);
        if (r <= 0)
            hn_table_add(&t, " ");
        else if (lines[i].better == MORE)
            hn_table_add(&t, "%.2f times as fast", r);
        else
            hn_table_add(&t, "1/%.2f of PyTorch's", r);
    }
    hn_table_print(&t, ui, true);
    if (x->training_note)
        hn_ui_say(ui, HN_YELLOW, "  Training was not measured: %s", x->training_note);
    else if (h->tokens_per_second > 0)
        hn_ui_say(ui, HN_DIM,
                  "  training: %lld step%s on the same rows with the same LoRA; loss %.4f to %.4f "
                  "and %.4f to %.4f",
                  (long long)h->steps, h->steps == 1 ? "" : "s", h->first_loss, h->last_loss,
                  x->sides[x->torch].training.first_loss, x->sides[x->torch].training.last_loss);
}

void hn_comparison_print(const struct hn_comparison *x, struct hn_ui *ui)
{
    hn_ui_clear(ui);
    print_sides(x, ui);
    print_answers(x, ui);
    print_figures(x, ui);
    print_agreement(x, ui);
    if (x->headline)
        print_headline(x, ui);
}

/* ---- for machines ------------------------------------------------------------------------------
 */

static void write_name(struct hn_json_writer *w, const char *key, size_t side)
{
    char name = letter(side);
    hn_jw_key(w, key);
    hn_jw_strn(w, &name, 1);
}

static void write_side(const struct hn_comparison *x, size_t i, struct hn_json_writer *w)
{
    const struct hn_compared *c = &x->sides[i];
    struct hn_answer_sums s;
    hn_side_sum(&c->got, &s);
    hn_jw_open(w, '{');
    write_name(w, "name", i);
    hn_jw_put_str(w, "title", c->title);
    hn_side_write(w, &c->got, false);
    const struct {
        const char *key;
        int64_t n;
    } sums[] = {{"expected", s.expected},  {"exact", s.exact},
                {"json_rows", s.json},     {"json_valid", s.json_valid},
                {"json_fields", s.fields}, {"json_fields_right", s.fields_right}};
    for (size_t k = 0; k < HN_COUNT(sums); k++)
        hn_jw_put_int(w, sums[k].key, sums[k].n);
    hn_jw_put_double(w, "rouge_l", s.rouge_l);
    if (c->training.tokens_per_second > 0) {
        hn_jw_put_open(w, "training", '{');
        hn_training_write(w, &c->training);
        hn_jw_close(w, '}');
    }
    hn_jw_close(w, '}');
}

static void write_pair(const struct hn_pair *p, struct hn_json_writer *w)
{
    const struct hone_agreement *g = &p->g;
    hn_jw_open(w, '{');
    write_name(w, "a", p->a);
    write_name(w, "b", p->b);
    hn_jw_put_int(w, "positions", g->positions);
    if (g->positions) {
        hn_jw_put_int(w, "vocabulary", g->vocabulary);
        hn_jw_put_double(w, "top1", g->top1);
        hn_jw_put_double(w, "kl_ab", g->kl_ab);
        hn_jw_put_double(w, "kl_ba", g->kl_ba);
        hn_jw_put_double(w, "kl_max", g->kl_max);
        hn_jw_put_double(w, "logit_difference", g->logit_difference);
        hn_jw_put_double(w, "relative_logit_difference", g->relative_difference);
    } else {
        hn_jw_put_str(w, "impossible", g->why);
    }
    hn_jw_close(w, '}');
}

static void write_headline(const struct hn_comparison *x, struct hn_json_writer *w)
{
    static const char *const keys[] = {
        "training_memory_bytes",    "training_tokens_per_second",   "memory_bytes",
        "prompt_tokens_per_second", "generation_tokens_per_second", "model_bytes",
    };
    struct line lines[6];
    size_t n = headline(x, lines);
    hn_jw_put_open(w, "headline", '{');
    write_name(w, "hone", x->hone);
    write_name(w, "pytorch", x->torch);
    for (size_t i = 0; i < n; i++) {
        hn_jw_put_open(w, keys[i], '{');
        hn_jw_put_double(w, "hone", lines[i].hone);
        hn_jw_put_double(w, "pytorch", lines[i].torch);
        hn_jw_put_double(w, "times_better", ratio(&lines[i]));
        hn_jw_close(w, '}');
    }
    hn_jw_put_str(w, "training_note", x->training_note);
    hn_jw_close(w, '}');
}

void hn_comparison_write(const struct hn_comparison *x, struct hn_json_writer *w)
{
    hn_jw_open(w, '{');
    hn_jw_put_str(w, "data", x->data);
    hn_jw_put_open(w, "sides", '[');
    for (size_t i = 0; i < x->n_sides; i++)
        write_side(x, i, w);
    hn_jw_close(w, ']');
    hn_jw_put_open(w, "agreement", '[');
    for (size_t i = 0; i < x->n_pairs; i++)
        write_pair(&x->pairs[i], w);
    hn_jw_close(w, ']');
    if (x->headline)
        write_headline(x, w);
    if (x->pytorch_error)
        hn_jw_put_str(w, "pytorch_error", x->pytorch_error);
    hn_jw_close(w, '}');
}

/* Rung 3 of the proof, training: ten optimizer steps of hone_train on every family and format, from
 * the adapter of the golden, against transformers, peft and torch's AdamW: losses, gradient norms,
 * and the adapter that is saved.  Batches of two rows, and two micro-batches of one row each, must
 * give the same. */
#include "golden_case.h"

#include "base/buf.h"
#include "base/file.h"
#include "hone/train.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static const double max_loss = 1e-4; /* absolute */
static const double max_norm = 1e-4; /* relative */
/* Of the saved adapter, relative L2 per tensor.  Adam's first steps divide each gradient by its own
 * size, so an element whose gradient is within rounding of zero may move by 2 lr = 2e-2 either way:
 * torch in float32 is itself up to 7e-5 from the exact values here. */
static const double max_final = 1e-3;

enum { MAX_STEPS = 16, VOCAB = 96 /* of every golden */ };

struct seen {
    double loss[MAX_STEPS], norm[MAX_STEPS];
    int64_t n;
};

static int on_event(void *arg, const struct hone_train_event *e)
{
    struct seen *s = arg;
    if (e->kind == HONE_TRAIN_REPORT && s->n < MAX_STEPS) {
        s->loss[s->n] = e->loss;
        s->norm[s->n++] = e->grad_norm;
    }
    return 0;
}

/* The text of tokens: each is one character, three special tokens and a pair apart (make_vocab). */
static void add_text(struct hn_buf *out, const int32_t *ids, int64_t n, int32_t vocab)
{
    static const char *const special[] = {"<|pad|>", "<|start|>", "<|end|>"};
    for (int64_t i = 0; i < n; i++) {
        if (ids[i] < 3)
            hn_buf_add_str(out, special[ids[i]]);
        else if (ids[i] == vocab - 1)
            hn_buf_add_str(out, "qz");
        else
            hn_buf_add_char(out, (char)('!' + ids[i] - 3));
    }
}

static void add_member(struct hn_json_writer *w, const char *key, const int32_t *ids, int64_t n)
{
    struct hn_buf text = {0};
    add_text(&text, ids, n, VOCAB);
    hn_jw_key(w, key);
    hn_jw_strn(w, hn_buf_str(&text), text.len);
    hn_buf_release(&text);
}

/* The sequences as rows: texts, or prompts with completions. */
static void write_rows(const struct golden *g, const char *path, bool completion)
{
    struct hn_buf out = {0};
    struct hone_err err = {0};
    const int32_t *prompts =
        (const int32_t *)(const void *)golden_tensor(g, "prompts", HN_I32)->data;
    for (int64_t s = 0; s < g->n_seqs; s++) {
        const int32_t *ids = g->tokens + g->offsets[s];
        int64_t n = g->offsets[s + 1] - g->offsets[s], k = completion ? prompts[s] : 0;
        struct hn_json_writer w;
        hn_jw_init(&w, &out, -1);
        hn_jw_open(&w, '{');
        if (completion)
            add_member(&w, "prompt", ids, k);
        add_member(&w, completion ? "completion" : "text", ids + k, n - k);
        hn_jw_close(&w, '}');
        hn_buf_add_char(&out, '\n');
    }
    if (hn_file_write(path, out.data, out.len, &err))
        fail_msg("%s", err.message);
    hn_buf_release(&out);
}

static void remove_tree(const char *path)
{
    char **names;
    size_t n;
    struct hone_err err;
    if (hn_dir_exists(path) && hn_dir_list(path, &names, &n, &err) == 0) {
        for (size_t i = 0; i < n; i++) {
            char *child = hn_path_join(path, names[i]);
            remove_tree(child);
            hn_free(child);
        }
        hn_free(names);
    }
    remove(path);
}

/* The worst relative distance of the saved adapter's tensors. */
static double final_distance(const struct golden *g, const char *dir)
{
    struct hn_adapter_file f = {0};
    struct hone_err err = {0};
    double worst = 0;
    if (hn_adapter_read(&f, dir, &err))
        fail_msg("%s: %s", g->name, err.message);
    assert_true(f.full == (golden_full(g) != 0));
    for (size_t i = 0; i < f.weights.n; i++) {
        const struct hn_st_tensor *t = &f.weights.tensors[i];
        char name[160];
        snprintf(name, sizeof name, "final.%s", t->name);
        assert_int_equal(t->dtype, HN_F32);
        worst = fmax(worst, golden_l2((const float *)(const void *)t->data, 1,
                                      golden_array(g, name, t->n_elements), t->n_elements));
    }
    if (f.full)
        assert_int_equal(golden_count(g, "final."), f.weights.n);
    else
        assert_int_equal(golden_count(g, "final."), (f.use_dora ? 3 : 2) * f.n);
    for (size_t i = 0; i < f.n; i++) {
        const struct hn_adapter_module *m = &f.modules[i];
        char name[160];
        snprintf(name, sizeof name, "final.%s.lora_A", m->path);
        double a = golden_l2(m->a, 1, golden_array(g, name, m->rank * m->in), m->rank * m->in);
        snprintf(name, sizeof name, "final.%s.lora_B", m->path);
        double b = golden_l2(m->b, 1, golden_array(g, name, m->rank * m->out), m->rank * m->out);
        worst = fmax(worst, fmax(a, b));
        snprintf(name, sizeof name, "final.%s.lora_magnitude_vector", m->path);
        if (f.use_dora)
            worst = fmax(worst, golden_l2(m->magnitude, 1, golden_array(g, name, m->out), m->out));
    }
    hn_adapter_release(&f);
    return worst;
}

static void set_options(const struct golden *g, const struct hn_json *steps,
                        struct hone_train_options *o)
{
    const struct hn_json *betas = hn_json_get(steps, "betas");
    hone_train_defaults(o);
    o->model = g->model_path;
    o->lora_dropout = golden_dropout(g);
    o->fine_tune_type = golden_full(g)            ? HONE_FULL
                        : strstr(g->name, "dora") ? HONE_DORA
                                                  : HONE_LORA;
    o->num_layers = golden_full(g) ? golden_full(g) : -1;
    o->seed = GOLDEN_SEED;
    o->shuffle = false;
    o->append_eos = false;
    o->mask_prompt = hn_json_is(hn_json_get(steps, "loss"), "completion");
    o->learning_rate = golden_number(g, hn_json_get(steps, "lr"), "lr");
    o->adam_beta1 = golden_number(g, hn_json_at(betas, 0), "betas");
    o->adam_beta2 = golden_number(g, hn_json_at(betas, 1), "betas");
    o->adam_epsilon = golden_number(g, hn_json_get(steps, "eps"), "eps");
    o->weight_decay = golden_number(g, hn_json_get(steps, "weight_decay"), "weight_decay");
    o->decay_norms = true; /* the goldens' AdamW has one group */
    o->max_grad_norm = golden_number(g, hn_json_get(steps, "max_grad_norm"), "max_grad_norm");
    o->max_steps = (int64_t)golden_number(g, hn_json_get(steps, "n"), "n");
    o->eval_strategy = HONE_NEVER;
    o->save_strategy = HONE_NEVER;
    o->steps_per_report = 1;
}

static void train(const struct golden *g, const char *dir, int64_t batch_size)
{
    const struct hn_json *steps = hn_json_get(g->facts, "steps");
    struct hone_train_options o;
    struct hone_err err = {0};
    struct seen seen = {.n = 0};
    char data[GOLDEN_PATH_SIZE], out[GOLDEN_PATH_SIZE], start[2 * GOLDEN_PATH_SIZE];
    set_options(g, steps, &o);
    snprintf(data, sizeof data, "%s/rows.jsonl", dir);
    snprintf(out, sizeof out, "%s/batch-%lld", dir, (long long)batch_size);
    snprintf(start, sizeof start, "%s/adapter_model.safetensors", g->adapter_path);
    write_rows(g, data, o.mask_prompt);
    o.data = data;
    o.adapter_path = out;
    o.resume_adapter_file = golden_full(g) ? NULL : start;
    o.batch_size = batch_size;
    o.grad_accumulation_steps = 2 / batch_size;
    o.device.n_threads = (int)batch_size;
    if (hone_train(&o, NULL, on_event, &seen, &err))
        fail_msg("%s: %s", g->name, err.message);
    assert_int_equal(seen.n, o.max_steps);
    double loss = 0, norm = 0;
    for (int64_t i = 0; i < seen.n; i++) {
        double want =
            golden_number(g, hn_json_at(hn_json_get(steps, "losses"), (size_t)i), "losses");
        double size =
            golden_number(g, hn_json_at(hn_json_get(steps, "grad_norms"), (size_t)i), "grad_norms");
        loss = fmax(loss, fabs(seen.loss[i] - want));
        norm = fmax(norm, fabs(seen.norm[i] - size) / size);
        assert_false(isnan(seen.loss[i]) || isnan(seen.norm[i]));
    }
    double final = final_distance(g, out);
    print_message("%-16s batches of %lld: losses %.1e  gradient norms %.1e  adapter %.1e\n",
                  g->name, (long long)batch_size, loss, norm, final);
    assert_true(loss <= max_loss);
    assert_true(norm <= max_norm);
    assert_true(final <= max_final);
}

static void steps_of(void **state)
{
    struct golden g;
    char dir[] = "/tmp/hone-golden-XXXXXX";
    golden_open(&g, golden_names[(uintptr_t)*state]);
    assert_non_null(mkdtemp(dir));
    train(&g, dir, 2);
    if (golden_dropout(&g) == 0) /* the masks of a micro-batch are its own */
        train(&g, dir, 1);
    remove_tree(dir);
    golden_close(&g);
}

int main(void)
{
    return golden_run_all("golden optimizer steps", steps_of);
}

/* hone info: what a model is, and what memory it will take. */
#include <stdarg.h>
#include <string.h>
#include "base/err.h"
#include "base/mem.h"
#include "base/os.h"
#include "cli/cli.h"
#include "hone/data.h"
#include "hone/generate.h"
#include "hone/train.h"

struct report {
    struct hone_model_info model;
    struct hone_tokenizer_info tok;
    struct hone_memory_plan inference, training;
    bool trains;
    int64_t longest;
};

static void add(struct hn_table *t, const char *name, const char *fmt, ...) HN_PRINTF(3, 4);

static void add(struct hn_table *t, const char *name, const char *fmt, ...)
{
    char text[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    hn_table_add(t, "%s", name);
    hn_table_add(t, "%s", text);
}

static void print_model(const struct report *r, struct hn_ui *ui)
{
    const struct hone_model_info *m = &r->model;
    char a[HN_UI_TEXT], b[HN_UI_TEXT], weights[HN_UI_WEIGHTS];
    struct hn_table t;
    hn_table_init(&t, 2, 0);
    add(&t, "file", "%s (%s, %s)", m->path, m->format, hn_ui_bytes((uint64_t)m->file_bytes, a));
    add(&t, "architecture", "%s", m->family);
    add(&t, "parameters", "%s (%s)", hn_ui_count((uint64_t)m->n_parameters, a),
        hn_ui_short((uint64_t)m->n_parameters, b));
    add(&t, "weights", "%s, %.3f bits per weight", hn_ui_weights(m->quantization, weights),
        m->bits_per_weight);
    add(&t, "blocks", "%lld of width %lld, feed-forward %lld", (long long)m->n_layers,
        (long long)m->d_model, (long long)m->d_ff);
    add(&t, "attention", "%lld heads of %lld, %lld for keys and values%s%s", (long long)m->n_heads,
        (long long)m->head_size, (long long)m->n_kv_heads,
        m->qk_norm ? ", normalised queries and keys" : "", m->attention_bias ? ", with bias" : "");
    if (m->window > 0)
        add(&t, "window", "%lld tokens", (long long)m->window);
    add(&t, "positions", "rotary, base %g, scaling %s, context of %s tokens", m->rope_theta,
        m->rope_scaling ? m->rope_scaling : "none", hn_ui_count((uint64_t)m->context_length, a));
    add(&t, "vocabulary", "%s tokens%s", hn_ui_count((uint64_t)m->vocab_size, a),
        m->tied_embeddings ? ", embedding and output tied" : "");
    add(&t, "tokenizer", "%s, %s tokens%s%s", r->tok.kind,
        hn_ui_count((uint64_t)r->tok.vocab_size, a), r->tok.adds_bos ? ", adds a start token" : "",
        r->tok.adds_eos ? ", adds an end token" : "");
    add(&t, "chat template", "%s", r->tok.chat_template ? "yes" : "none");
    if (m->adapter_path && !m->adapter_rank)
        add(&t, "trained", "%s, %s weights in the place of the base's", m->adapter_path,
            hn_ui_count((uint64_t)m->adapter_parameters, a));
    else if (m->adapter_path)
        add(&t, "adapter", "%s, rank %lld, %s parameters", m->adapter_path,
            (long long)m->adapter_rank, hn_ui_count((uint64_t)m->adapter_parameters, a));
    add(&t, "device", "%s", m->device);
    hn_ui_say(ui, HN_BOLD, "Model");
    hn_table_print(&t, ui, false);
}

static void json_model(struct hn_json_writer *w, const struct hone_model_info *m)
{
    hn_jw_put_str(w, "path", m->path);
    hn_jw_put_str(w, "format", m->format);
    hn_jw_put_str(w, "architecture", m->family);
    hn_jw_put_str(w, "quantization", m->quantization);
    hn_jw_put_double(w, "bits_per_weight", m->bits_per_weight);
    hn_jw_put_int(w, "parameters", m->n_parameters);
    hn_jw_put_int(w, "weight_bytes", m->weight_bytes);
    hn_jw_put_int(w, "file_bytes", m->file_bytes);
    hn_jw_put_int(w, "num_layers", m->n_layers);
    hn_jw_put_int(w, "hidden_size", m->d_model);
    hn_jw_put_int(w, "intermediate_size", m->d_ff);
    hn_jw_put_int(w, "num_heads", m->n_heads);
    hn_jw_put_int(w, "num_kv_heads", m->n_kv_heads);
    hn_jw_put_int(w, "head_size", m->head_size);
    hn_jw_put_int(w, "vocab_size", m->vocab_size);
    hn_jw_put_int(w, "context_length", m->context_length);
    hn_jw_put_int(w, "window", m->window);
    hn_jw_put_double(w, "rope_theta", m->rope_theta);
    hn_jw_put_str(w, "rope_scaling", m->rope_scaling);
    hn_jw_put_double(w, "norm_eps", m->norm_eps);
    hn_jw_put_bool(w, "tied_embeddings", m->tied_embeddings);
    hn_jw_put_bool(w, "qk_norm", m->qk_norm);
    hn_jw_put_bool(w, "attention_bias", m->attention_bias);
    hn_jw_put_int(w, "bos_token_id", m->bos);
    hn_jw_put_open(w, "eos_token_ids", '[');
    for (size_t i = 0; i < m->n_eos; i++)
        hn_jw_int(w, m->eos[i]);
    hn_jw_close(w, ']');
    hn_jw_put_str(w, "adapter_path", m->adapter_path);
    hn_jw_put_int(w, "adapter_rank", m->adapter_rank);
    hn_jw_put_int(w, "adapter_parameters", m->adapter_parameters);
    hn_jw_put_str(w, "device", m->device);
}

static int print_json(const struct report *r, struct hone_err *err)
{
    struct hn_buf out = {0};
    struct hn_json_writer w;
    hn_jw_init(&w, &out, -1);
    hn_jw_open(&w, '{');
    json_model(&w, &r->model);
    hn_jw_put_open(&w, "tokenizer", '{');
    hn_jw_put_str(&w, "kind", r->tok.kind);
    hn_jw_put_int(&w, "vocab_size", r->tok.vocab_size);
    hn_jw_put_int(&w, "bos_token_id", r->tok.bos);
    hn_jw_put_int(&w, "eos_token_id", r->tok.eos);
    hn_jw_put_bool(&w, "adds_bos", r->tok.adds_bos);
    hn_jw_put_bool(&w, "adds_eos", r->tok.adds_eos);
    hn_jw_close(&w, '}');
    hn_jw_put_str(&w, "chat_template", r->tok.chat_template);
    hn_cli_json_plan(&w, "inference_plan", &r->inference);
    if (r->trains)
        hn_cli_json_plan(&w, "training_plan", &r->training);
    hn_jw_put_int(&w, "machine_memory_bytes", (int64_t)hn_memory_total());
    hn_jw_close(&w, '}');
    return hn_cli_print_json(&out, err);
}

/* The longest row that training will meet: of the data where it is given, else the bound on rows.
 */
static int longest_row(const struct hn_conf *c, const struct hone_tokenizer *tok, int64_t *longest,
                       struct hone_err *err)
{
    const struct hone_train_options *t = &c->set.train;
    struct hone_dataset *data = NULL;
    struct hone_dataset_info info;
    *longest = t->max_seq_length;
    if (!t->data)
        return 0;
    char *path = NULL;
    const struct hone_dataset_options o = {.tokenizer = tok,
                                           .format = t->format,
                                           .max_seq_length = t->max_seq_length,
                                           .append_eos = t->append_eos,
                                           .mask_prompt = t->mask_prompt,
                                           .train_last_turn = t->train_last_turn,
                                           .plain_completions = t->plain_completions,
                                           .train_padding = t->train_padding};
    int rc = hone_data_find(t->data, "train", &path, err);
    rc = rc ? rc : hone_dataset_open(&data, (const char *const *)&path, 1, &o, err);
    if (!rc) {
        hone_dataset_info(data, &info);
        *longest = (int64_t)info.max_tokens;
    }
    hone_dataset_close(&data);
    hn_free(path);
    return rc;
}

static int plan(const struct hn_conf *c, struct hone_model *model, const struct hone_tokenizer *tok,
                struct report *r, struct hone_err *err)
{
    int rc = hone_generate_plan(model, c->set.bench.prompt_tokens, c->set.bench.generation_tokens,
                                &r->inference, err);
    if (rc || !c->set.plan_training)
        return rc;
    r->trains = true;
    rc = longest_row(c, tok, &r->longest, err);
    r->longest *= c->set.train.batch_size;
    return rc ? rc : hone_train_plan(model, &c->set.train, r->longest, &r->training, err);
}

static void print_plans(const struct hn_conf *c, const struct report *r, struct hn_ui *ui)
{
    char title[160], bytes[HN_UI_TEXT];
    snprintf(title, sizeof title, "Memory of inference (%lld tokens of prompt, %lld of answer)",
             (long long)c->set.bench.prompt_tokens, (long long)c->set.bench.generation_tokens);
    hn_ui_plan(ui, &r->inference, title);
    if (r->trains) {
        snprintf(title, sizeof title, "Memory of training (micro-batches of at most %lld tokens)",
                 (long long)r->longest);
        hn_ui_plan(ui, &r->training, title);
    }
    hn_ui_say(ui, HN_DIM, "  of %s that this machine has", hn_ui_bytes(hn_memory_total(), bytes));
}

int hn_cmd_info(struct hn_conf *c, struct hone_err *err)
{
    struct hone_model *model = NULL;
    struct hone_tokenizer *tok = NULL;
    struct report r = {0};
    struct hn_ui ui;
    c->set.model = hn_cli_argument(c, c->set.model);
    hn_ui_init(&ui, stdout);
    int rc = hn_cli_open(c, &model, &tok, err);
    if (!rc) {
        hone_model_info(model, &r.model);
        hone_tokenizer_info(tok, &r.tok);
        rc = plan(c, model, tok, &r, err);
    }
    if (!rc && c->set.json) {
        rc = print_json(&r, err);
    } else if (!rc) {
        print_model(&r, &ui);
        print_plans(c, &r, &ui);
    }
    hone_tokenizer_close(&tok);
    hone_model_close(&model);
    return rc;
}

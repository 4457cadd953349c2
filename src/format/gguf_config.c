/* A GGUF's metadata in the words of Hugging Face's config.json, so that the model layer reads one
 * dialect.  Source of the keys: gguf.constants of gguf 0.19; of their meaning: llama.cpp. */
#include "format/bundle_impl.h"

#include <stdio.h>
#include <string.h>

/* The architectures that hone knows how to name.  llama.cpp's converter stores q and k of some with
 * the rows of each head interleaved (convert_hf_to_gguf.py, LlamaModel.permute). */
static const struct family {
    const char *gguf, *model_type, *class;
    bool interleaved;
} families[] = {
    {"llama", "llama", "LlamaForCausalLM", true},
    {"mistral", "mistral", "MistralForCausalLM", true},
    {"qwen2", "qwen2", "Qwen2ForCausalLM", false},
    {"qwen3", "qwen3", "Qwen3ForCausalLM", false},
};

struct config {
    struct hn_bundle *b;
    const char *arch;
    struct hn_json_writer w;
    struct hone_err *err;
    int rc; /* of the first failure */
};

static const struct family *find_family(const char *arch)
{
    for (size_t i = 0; i < HN_COUNT(families); i++)
        if (strcmp(families[i].gguf, arch) == 0)
            return &families[i];
    return NULL;
}

bool hn_gguf_interleaved(const char *architecture)
{
    const struct family *f = find_family(architecture);
    return f && f->interleaved;
}

/* The value of "ARCH.name", or NULL. */
static const struct hn_gguf_value *get(const struct config *c, const char *name)
{
    char key[160];
    int n = snprintf(key, sizeof key, "%s.%s", c->arch, name);
    return n > 0 && (size_t)n < sizeof key ? hn_gguf_get(&c->b->gguf, key) : NULL;
}

static void fail_key(struct config *c, const char *name, const char *expected)
{
    if (!c->rc)
        c->rc = hn_fail(c->err, HONE_FAILED, "%s: metadata \"%s.%s\": %s", c->b->path, c->arch,
                        name, expected);
}

/* A positive count: one number, or an array of equal ones (one per block).  missing < 0: required.
 */
static int64_t count(struct config *c, const char *name, int64_t missing)
{
    const struct hn_gguf_value *v = get(c, name);
    int64_t n = missing, other;
    if (v && v->type == HN_GGUF_ARRAY) {
        bool ok = hn_gguf_int_at(v, 0, &n);
        for (uint64_t i = 1; ok && i < v->n; i++)
            ok = hn_gguf_int_at(v, i, &other) && other == n;
        if (!ok) {
            fail_key(c, name, "differs from block to block, which hone does not support");
            return 1;
        }
    } else if (v && !hn_gguf_int(v, &n)) {
        fail_key(c, name, "is not an integer");
        return 1;
    }
    if (!v && missing < 0)
        fail_key(c, name, "is missing");
    else if (v && (n < 0 || n > INT32_MAX))
        fail_key(c, name, "is not a count");
    return c->rc ? 1 : n;
}

static int64_t positive(struct config *c, const char *name, int64_t missing)
{
    int64_t n = count(c, name, missing);
    if (n < 1)
        fail_key(c, name, "is 0, expected a positive number");
    return c->rc ? 1 : n;
}

/* A float as its writer meant it: the shortest decimal number that is the same float32. */
static double meant(const struct hn_gguf_value *v, double d)
{
    for (int digits = 6; v->type == HN_GGUF_F32 && digits < 9; digits++) {
        char text[40];
        int n = snprintf(text, sizeof text, "%.*g", digits, d);
        double shorter = hn_double_parse(text, (size_t)n);
        if ((float)shorter == (float)d)
            return shorter;
    }
    return d;
}

/* A number, or missing when it is not there (required when missing is negative). */
static double number(struct config *c, const char *name, double missing)
{
    const struct hn_gguf_value *v = get(c, name);
    double d = missing;
    if (v && !hn_gguf_float(v, &d))
        fail_key(c, name, "is not a number");
    else if (v && !(d - d == 0))
        fail_key(c, name, "is not finite");
    else if (!v && missing < 0)
        fail_key(c, name, "is missing");
    return c->rc ? 1 : v ? meant(v, d) : d;
}

static void put_yarn(struct config *c, double factor)
{
    int64_t original = count(c, "rope.scaling.original_context_length", 0);
    double attention = number(c, "rope.scaling.attn_factor", 0);
    double fast = number(c, "rope.scaling.yarn_beta_fast", 0);
    double slow = number(c, "rope.scaling.yarn_beta_slow", 0);
    hn_jw_put_str(&c->w, "rope_type", "yarn");
    hn_jw_put_double(&c->w, "factor", factor);
    if (original)
        hn_jw_put_int(&c->w, "original_max_position_embeddings", original);
    if (attention > 0 && attention != 1)
        fail_key(c, "rope.scaling.attn_factor", "is not 1, which hone does not support");
    if (fast > 0)
        hn_jw_put_double(&c->w, "beta_fast", fast);
    if (slow > 0)
        hn_jw_put_double(&c->w, "beta_slow", slow);
}

static void put_rope_scaling(struct config *c)
{
    struct hn_str type = hn_str_of("none");
    const struct hn_gguf_value *v = get(c, "rope.scaling.type");
    double factor = number(c, "rope.scaling.factor", 0);
    bool factors = hn_gguf_find(&c->b->gguf, "rope_freqs.weight") != NULL;
    if (v && !hn_gguf_str(v, &type))
        fail_key(c, "rope.scaling.type", "is not a string");
    if (!v && get(c, "rope.scale_linear")) { /* before the key rope.scaling.type there was this */
        factor = number(c, "rope.scale_linear", 1);
        type = hn_str_of(factor == 1 ? "none" : "linear");
    }
    if (factors && !hn_str_is(type, "none"))
        fail_key(c, "rope.scaling.type",
                 "is set beside rope_freqs.weight, a pair that hone does not support");
    hn_jw_key(&c->w, "rope_scaling");
    if (hn_str_is(type, "none") && !factors) {
        hn_jw_null(&c->w);
        return;
    }
    hn_jw_open(&c->w, '{');
    if (factors) {
        hn_jw_put_str(&c->w, "rope_type", "factors");
    } else if (factor <= 0) {
        fail_key(c, "rope.scaling.factor", "is missing or not positive");
    } else if (hn_str_is(type, "linear")) {
        hn_jw_put_str(&c->w, "rope_type", "linear");
        hn_jw_put_double(&c->w, "factor", factor);
    } else if (hn_str_is(type, "yarn")) {
        put_yarn(c, factor);
    } else {
        fail_key(c, "rope.scaling.type", "is not one of none, linear, yarn");
    }
    hn_jw_close(&c->w, '}');
}

static void put_shape(struct config *c)
{
    const struct hn_gguf *g = &c->b->gguf;
    int64_t width = positive(c, "embedding_length", -1);
    int64_t heads = positive(c, "attention.head_count", -1);
    int64_t head = count(c, "attention.key_length", 0);
    if (!head)
        head = width / heads;
    if (count(c, "attention.value_length", head) != head)
        fail_key(c, "attention.value_length",
                 "differs from the key length, which hone does not "
                 "support");
    if (head < 2 || head % 2) /* rotary embedding turns pairs */
        fail_key(c, "attention.head_count", "gives heads of a size that is not even");
    int64_t rotated = count(c, "rope.dimension_count", head);
    const struct hn_gguf_tensor *embedding = hn_gguf_find(g, "token_embd.weight");
    int64_t vocab = embedding && embedding->n_dims == 2 ? embedding->shape[1] : 0;
    hn_jw_put_int(&c->w, "hidden_size", width);
    hn_jw_put_int(&c->w, "num_hidden_layers", positive(c, "block_count", -1));
    hn_jw_put_int(&c->w, "num_attention_heads", heads);
    hn_jw_put_int(&c->w, "num_key_value_heads", positive(c, "attention.head_count_kv", heads));
    hn_jw_put_int(&c->w, "head_dim", head);
    hn_jw_put_int(&c->w, "intermediate_size", positive(c, "feed_forward_length", -1));
    hn_jw_put_int(&c->w, "vocab_size", vocab ? vocab : count(c, "vocab_size", -1));
    hn_jw_put_int(&c->w, "max_position_embeddings", positive(c, "context_length", -1));
    hn_jw_put_double(&c->w, "rms_norm_eps", number(c, "attention.layer_norm_rms_epsilon", -1));
    hn_jw_put_double(&c->w, "rope_theta", number(c, "rope.freq_base", 10000));
    if (rotated && rotated != head)
        hn_jw_put_double(&c->w, "partial_rotary_factor", (double)rotated / (double)head);
    int64_t window = count(c, "attention.sliding_window", 0);
    hn_jw_key(&c->w, "sliding_window");
    if (window)
        hn_jw_int(&c->w, window);
    else
        hn_jw_null(&c->w);
    if (count(c, "expert_count", 0))
        fail_key(c, "expert_count", "is not 0: a mixture of experts, which hone does not support");
    hn_jw_put_bool(&c->w, "tie_word_embeddings", !hn_gguf_find(g, "output.weight"));
    hn_jw_put_bool(&c->w, "attention_bias",
                   hn_gguf_find(g, "blk.0.attn_q.bias") ||
                       hn_gguf_find(g, "blk.0.attn_output.bias"));
    hn_jw_put_bool(&c->w, "mlp_bias", hn_gguf_find(g, "blk.0.ffn_gate.bias") != NULL);
}

/* bos_token_id, and eos_token_id as one id or a list: the end of the text, of a turn, of a message.
 */
static void put_tokens(struct config *c)
{
    static const char *const ends[] = {"tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id",
                                       "tokenizer.ggml.eom_token_id"};
    int64_t ids[HN_COUNT(ends)], id;
    size_t n = 0;
    if (hn_gguf_int(hn_gguf_get(&c->b->gguf, "tokenizer.ggml.bos_token_id"), &id) && id >= 0)
        hn_jw_put_int(&c->w, "bos_token_id", id);
    for (size_t i = 0; i < HN_COUNT(ends); i++) {
        bool new = hn_gguf_int(hn_gguf_get(&c->b->gguf, ends[i]), &id) && id >= 0;
        for (size_t k = 0; k < n; k++)
            new = new &&ids[k] != id;
        if (new)
            ids[n++] = id;
    }
    if (!n)
        return;
    hn_jw_key(&c->w, "eos_token_id");
    if (n > 1)
        hn_jw_open(&c->w, '[');
    for (size_t i = 0; i < n; i++)
        hn_jw_int(&c->w, ids[i]);
    if (n > 1)
        hn_jw_close(&c->w, ']');
}

static int check_file(struct hn_bundle *b, const char **arch, struct hone_err *err)
{
    struct hn_str s;
    int64_t shards;
    if (!hn_gguf_str(hn_gguf_get(&b->gguf, "general.architecture"), &s) || !s.n)
        return hn_fail(err, HONE_FAILED, "%s: metadata \"general.architecture\" is missing",
                       b->path);
    if (hn_gguf_int(hn_gguf_get(&b->gguf, "split.count"), &shards) && shards > 1)
        return hn_fail(err, HONE_FAILED,
                       "%s is one of %lld parts; hone reads whole GGUF files: join them with "
                       "llama-gguf-split --merge",
                       b->path, (long long)shards);
    struct hn_str type;
    if (hn_gguf_str(hn_gguf_get(&b->gguf, "general.type"), &type) && !hn_str_is(type, "model"))
        return hn_fail(err, HONE_FAILED, "%s holds \"%.*s\", expected a model", b->path,
                       (int)HN_MIN(type.n, (size_t)40), type.p);
    char *copy = hn_arena_dup(&b->arena, s.p, s.n);
    if (!copy)
        return hn_fail_memory(err, "opening a model");
    if (!find_family(copy))
        return hn_fail(err, HONE_FAILED,
                       "%s: architecture \"%.60s\" is not one that hone reads from GGUF (llama, "
                       "mistral, qwen2, qwen3)",
                       b->path, copy);
    *arch = copy;
    return 0;
}

int hn_gguf_config(struct hn_bundle *b, struct hone_err *err)
{
    struct config c = {.b = b, .err = err};
    int rc = check_file(b, &c.arch, err);
    if (rc)
        return rc;
    const struct family *f = find_family(c.arch);
    struct hn_buf text = {0};
    hn_jw_init(&c.w, &text, -1);
    hn_jw_open(&c.w, '{');
    hn_jw_put_str(&c.w, "model_type", f->model_type);
    hn_jw_put_open(&c.w, "architectures", '[');
    hn_jw_str(&c.w, f->class);
    hn_jw_close(&c.w, ']');
    put_shape(&c);
    put_rope_scaling(&c);
    put_tokens(&c);
    hn_jw_close(&c.w, '}');
    if (!c.rc && text.failed)
        c.rc = hn_fail_memory(err, "opening a model");
    struct hn_json *config;
    if (!c.rc)
        c.rc = hn_json_parse(&b->arena, text.data, text.len, 0, &config, err);
    if (!c.rc)
        b->config = config;
    hn_buf_release(&text);
    return c.rc;
}

/* llama.cpp's tensor names in Hugging Face's words, and back.  Source: gguf.tensor_mapping of gguf
 * 0.19, for the families whose decoder is Llama's. */
#include "format/gguf_names.h"
#include "format/bundle_impl.h"

#include <string.h>

struct rename {
    const char *from, *to;
};

static const struct rename whole[] = {
    {"token_embd", "model.embed_tokens"},
    {"output_norm", "model.norm"},
    {"output", "lm_head"},
};

static const struct rename in_block[] = {
    {"attn_norm", "input_layernorm"},    {"ffn_norm", "post_attention_layernorm"},
    {"attn_q", "self_attn.q_proj"},      {"attn_k", "self_attn.k_proj"},
    {"attn_v", "self_attn.v_proj"},      {"attn_output", "self_attn.o_proj"},
    {"attn_q_norm", "self_attn.q_norm"}, {"attn_k_norm", "self_attn.k_norm"},
    {"ffn_gate", "mlp.gate_proj"},       {"ffn_up", "mlp.up_proj"},
    {"ffn_down", "mlp.down_proj"},
};

/* The new name of the n bytes at p, or NULL. */
static const char *look_up(const struct rename *table, size_t n_table, const char *p, size_t n)
{
    for (size_t i = 0; i < n_table; i++)
        if (strlen(table[i].from) == n && memcmp(table[i].from, p, n) == 0)
            return table[i].to;
    return NULL;
}

const char *hn_gguf_hf_name(struct hn_arena *arena, const char *stored)
{
    const char *dot = strrchr(stored, '.'); /* before "weight" or "bias" */
    if (!dot)
        return hn_arena_dup(arena, stored, strlen(stored));
    const char *to = look_up(whole, HN_COUNT(whole), stored, (size_t)(dot - stored));
    if (to)
        return hn_arena_printf(arena, "%s%s", to, dot);
    if (strncmp(stored, "blk.", 4) == 0) {
        const char *number = stored + 4;
        size_t digits = strspn(number, "0123456789");
        const char *part = number + digits + 1;
        if (digits && digits < 8 && number[digits] == '.' && part < dot &&
            (to = look_up(in_block, HN_COUNT(in_block), part, (size_t)(dot - part))))
            return hn_arena_printf(arena, "model.layers.%.*s.%s%s", (int)digits, number, to, dot);
    }
    return hn_arena_dup(arena, stored, strlen(stored));
}

/* The name that becomes the n bytes at p, or NULL. */
static const char *look_back(const struct rename *table, size_t n_table, const char *p, size_t n)
{
    for (size_t i = 0; i < n_table; i++)
        if (strlen(table[i].to) == n && memcmp(table[i].to, p, n) == 0)
            return table[i].from;
    return NULL;
}

const char *hn_gguf_stored_name(struct hn_arena *arena, const char *name)
{
    static const char layers[] = "model.layers.";
    const char *dot = strrchr(name, '.');
    const char *from = dot ? look_back(whole, HN_COUNT(whole), name, (size_t)(dot - name)) : NULL;
    if (from)
        return hn_arena_printf(arena, "%s%s", from, dot);
    if (dot && hn_starts_with(name, layers)) {
        const char *number = name + sizeof layers - 1;
        size_t digits = strspn(number, "0123456789");
        const char *part = number + digits + 1;
        if (digits && number[digits] == '.' && part < dot &&
            (from = look_back(in_block, HN_COUNT(in_block), part, (size_t)(dot - part))))
            return hn_arena_printf(arena, "blk.%.*s.%s%s", (int)digits, number, from, dot);
    }
    return hn_arena_dup(arena, name, strlen(name));
}

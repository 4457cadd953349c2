/* hone generate: a prompt in, text out as it is written, statistics in mlx_lm's words. */
#include <string.h>
#include "base/err.h"
#include "base/file.h"
#include "base/os.h"
#include "cli/cli.h"
#include "cli/prompt.h"
#include "hone/generate.h"

enum { MAX_PROMPT = 64 << 20 };

/* The prompt as text: standard input for "-", and as in mlx_lm a written \n or \t is the character.
 */
static int read_prompt(const struct hn_conf *c, struct hn_buf *out, struct hone_err *err)
{
    const char *text = hn_cli_argument(c, c->set.prompt);
    if (!text)
        return hn_fail(err, HONE_USAGE, "--prompt is missing (- reads standard input)");
    if (c->n_arguments && c->set.prompt)
        return hn_fail(err, HONE_USAGE, "two prompts: --prompt and \"%s\"", c->arguments[0]);
    if (strcmp(text, "-") == 0)
        return hn_file_read("/dev/stdin", MAX_PROMPT, out, err);
    for (; *text; text++) {
        if (text[0] == '\\' && (text[1] == 'n' || text[1] == 't'))
            hn_buf_add_char(out, *++text == 'n' ? '\n' : '\t');
        else
            hn_buf_add_char(out, *text);
    }
    return out->failed ? hn_fail_memory(err, "reading the prompt") : 0;
}

static int encode(const struct hn_conf *c, const struct hone_tokenizer *tok,
                  struct hone_tokens *ids, struct hone_err *err)
{
    struct hn_buf prompt = {0};
    const struct hn_prompt_options o = {c->set.system_prompt, c->set.prefill_response,
                                        c->set.chat_template_config, c->set.ignore_chat_template};
    int rc = read_prompt(c, &prompt, err);
    if (!rc)
        rc = hn_prompt_encode(tok, hn_buf_str(&prompt), prompt.len, &o, ids, err);
    hn_buf_release(&prompt);
    return rc;
}

static int print_text(void *arg, const char *text, size_t n)
{
    (void)arg;
    fwrite(text, 1, n, stdout);
    fflush(stdout);
    return hn_cli_interrupted();
}

static int stop_only(void *arg, const char *text, size_t n)
{
    (void)arg;
    (void)text;
    (void)n;
    return hn_cli_interrupted();
}

static double rate(int64_t n, double seconds)
{
    return seconds > 0 ? (double)n / seconds : 0;
}

static int print_json(const struct hone_generation *g, double load_seconds, struct hone_err *err)
{
    struct hn_buf out = {0};
    struct hn_json_writer w;
    hn_jw_init(&w, &out, -1);
    hn_jw_open(&w, '{');
    hn_jw_key(&w, "text");
    hn_jw_strn(&w, g->text, g->text_size);
    hn_jw_put_open(&w, "token_ids", '[');
    for (size_t i = 0; i < g->tokens.n; i++)
        hn_jw_int(&w, g->tokens.ids[i]);
    hn_jw_close(&w, ']');
    hn_jw_put_open(&w, "logprobs", '[');
    for (size_t i = 0; i < g->tokens.n && g->logprobs; i++)
        hn_jw_double(&w, (double)g->logprobs[i]);
    hn_jw_close(&w, ']');
    hn_jw_put_int(&w, "prompt_tokens", g->prompt_tokens);
    hn_jw_put_double(&w, "prompt_tokens_per_second", rate(g->prompt_tokens, g->prompt_seconds));
    hn_jw_put_int(&w, "generation_tokens", g->generation_tokens);
    hn_jw_put_double(&w, "generation_tokens_per_second",
                     rate(g->generation_tokens, g->generation_seconds));
    hn_jw_put_double(&w, "load_seconds", load_seconds);
    hn_jw_put_double(&w, "first_token_seconds", g->first_token_seconds);
    hn_jw_put_int(&w, "peak_memory_bytes", (int64_t)hn_peak_rss());
    hn_jw_put_str(&w, "finish_reason", g->finish_reason);
    hn_jw_close(&w, '}');
    return hn_cli_print_json(&out, err);
}

static void print_statistics(const struct hone_generation *g)
{
    printf("\n==========\n");
    printf("Prompt: %lld tokens, %.3f tokens-per-sec\n", (long long)g->prompt_tokens,
           rate(g->prompt_tokens, g->prompt_seconds));
    printf("Generation: %lld tokens, %.3f tokens-per-sec\n", (long long)g->generation_tokens,
           rate(g->generation_tokens, g->generation_seconds));
    printf("Peak memory: %.3f GB\n", (double)hn_peak_rss() / 1e9);
}

int hn_cmd_generate(struct hn_conf *c, struct hone_err *err)
{
    struct hone_model *model = NULL;
    struct hone_tokenizer *tok = NULL;
    struct hone_tokens ids = {0};
    struct hone_generation g = {0};
    struct hone_generate_options o = c->set.generate;
    double start = hn_now(), load_seconds = 0;
    bool statistics = c->set.verbose && !c->set.json;
    o.want_logprobs = c->set.json;
    int rc = hn_cli_open(c, &model, &tok, err);
    load_seconds = hn_now() - start;
    rc = rc ? rc : encode(c, tok, &ids, err);
    if (!rc) {
        hn_cli_catch_interrupts();
        if (statistics)
            puts("==========");
        if (!c->set.json && c->set.prefill_response)
            fputs(c->set.prefill_response, stdout);
        rc = hone_generate(model, tok, ids.ids, ids.n, &o, c->set.json ? stop_only : print_text,
                           NULL, &g, err);
    }
    if (!rc && c->set.json)
        rc = print_json(&g, load_seconds, err);
    else if (!rc)
        putchar('\n');
    if (!rc && statistics)
        print_statistics(&g);
    if (!rc && hn_cli_interrupted())
        rc = hn_fail(err, HONE_INTERRUPTED, "stopped after %lld tokens",
                     (long long)g.generation_tokens);
    hone_generation_release(&g);
    hone_tokens_release(&ids);
    hone_tokenizer_close(&tok);
    hone_model_close(&model);
    return rc;
}

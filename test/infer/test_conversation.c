/* conversation.h: every answer has the tokens that hone_generate writes for the same text, whatever
 * the cache held before: turns, templates that write earlier turns anew, interruptions, a full
 * context, undo and retry. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/mem.h"
#include "hone/conversation.h"

enum { ANSWER = 12, TURNS = 4, MAX_MESSAGES = 16 };

static const char *const golden[] = {"llama-tied", "qwen2-window", "mlx-q4", "gguf-q4_0"};
static const char *const says[TURNS] = {"row of data", "the tone", "and a stone", "no"};

struct fixture {
    struct hone_model *model;
    struct hone_tokenizer *tok;
    struct hone_conversation *talk;
    /* the conversation as this test knows it */
    const char *system;
    char *texts[MAX_MESSAGES];
    size_t n;
    struct hone_tokens held; /* what the cache must hold */
    struct hone_err err;
};

static void must(struct fixture *f, int rc)
{
    if (rc)
        fail_msg("%s", f->err.message);
}

/* A Jinja template as a file beside the test. */
static void open_with(struct fixture *f, const char *name, const char *template, int64_t context)
{
    char path[512], file[64] = "/tmp/hone-template-XXXXXX";
    struct hone_model_info info;
    struct hone_conversation_options o = {.context = context, .system = "be brief"};
    *f = (struct fixture){.system = "be brief"};
    snprintf(path, sizeof path, "%s/golden/%s", HN_TEST_DIR, name);
    if (strncmp(name, "gguf", 4) == 0)
        strncat(path, "/model.gguf", sizeof path - strlen(path) - 1);
    must(f, hone_model_open(&f->model, path, NULL, &f->err));
    hone_model_info(f->model, &info);
    must(f, hone_tokenizer_open(&f->tok, info.tokenizer_path, &f->err));
    if (template) {
        int fd = mkstemp(file);
        assert_true(fd >= 0);
        assert_int_equal(write(fd, template, strlen(template)), strlen(template));
        close(fd);
        must(f, hone_tokenizer_set_chat_template(f->tok, file, &f->err));
        unlink(file);
    }
    o.bare = !template;
    must(f, hone_conversation_open(&f->talk, f->model, f->tok, &o, &f->err));
}

static void done(struct fixture *f)
{
    for (size_t i = 0; i < f->n; i++)
        hone_free(f->texts[i]);
    hone_tokens_release(&f->held);
    hone_conversation_close(&f->talk);
    hone_tokenizer_close(&f->tok);
    hone_model_close(&f->model);
}

static void add(struct fixture *f, const char *text)
{
    assert_true(f->n < MAX_MESSAGES);
    f->texts[f->n++] = strdup(text);
}

/* The tokens of the conversation so far, rendered here. */
static void render(struct fixture *f, bool plain, struct hone_tokens *ids)
{
    struct hn_buf text = {0};
    struct hn_json_writer w;
    char *rendered = NULL;
    if (plain && f->system)
        hn_buf_printf(&text, "%s\n\n", f->system);
    for (size_t i = 0; plain && i < f->n; i++)
        hn_buf_printf(&text, "%s: %s\n", i % 2 ? "Assistant" : "User", f->texts[i]);
    if (plain) {
        hn_buf_add_str(&text, "Assistant:");
        must(f, hone_tokenizer_encode(f->tok, text.data, text.len, HONE_ADD_SPECIAL, ids, &f->err));
        hn_buf_release(&text);
        return;
    }
    hn_jw_init(&w, &text, -1);
    hn_jw_open(&w, '[');
    for (size_t i = 0; i < f->n + (f->system != NULL); i++) {
        size_t m = i - (f->system != NULL);
        bool system = f->system && i == 0;
        hn_jw_open(&w, '{');
        hn_jw_key(&w, "role");
        hn_jw_str(&w, system ? "system" : m % 2 ? "assistant" : "user");
        hn_jw_key(&w, "content");
        hn_jw_str(&w, system ? f->system : f->texts[m]);
        hn_jw_close(&w, '}');
    }
    hn_jw_close(&w, ']');
    must(f, hone_chat_render(f->tok, text.data, NULL, NULL, true, &rendered, NULL, &f->err));
    must(f, hone_tokenizer_encode(f->tok, rendered, strlen(rendered), 0, ids, &f->err));
    hone_free(rendered);
    hn_buf_release(&text);
}

static void append(struct hone_tokens *to, const int32_t *ids, size_t n)
{
    assert_int_equal(hn_grow((void **)&to->ids, &to->cap, to->n + n, sizeof *ids), 0);
    memcpy(to->ids + to->n, ids, n * sizeof *ids);
    to->n += n;
}

/* The answer g to the conversation (its last message is the user's) is what hone_generate writes,
 * and the cache gave what it had. */
static void check_answer(struct fixture *f, bool plain, const struct hone_generate_options *o,
                         const struct hone_generation *g)
{
    static const char *const stop[] = {"\nUser:"};
    struct hone_generate_options alone = *o;
    struct hone_tokens ids = {0};
    struct hone_generation want;
    size_t common = 0;
    if (plain)
        alone.stop = stop, alone.n_stop = 1;
    render(f, plain, &ids);
    must(f, hone_generate(f->model, f->tok, ids.ids, ids.n, &alone, NULL, NULL, &want, &f->err));
    assert_int_equal(g->prompt_tokens, ids.n);
    assert_int_equal(g->tokens.n, want.tokens.n);
    assert_memory_equal(g->tokens.ids, want.tokens.ids, want.tokens.n * sizeof(int32_t));
    assert_string_equal(g->finish_reason, want.finish_reason);
    while (common < f->held.n && common + 1 < ids.n && f->held.ids[common] == ids.ids[common])
        common++;
    assert_int_equal(g->cached_tokens, common);
    f->held.n = 0;
    append(&f->held, ids.ids, ids.n);
    /* The last token of an answer that was cut was never read. */
    append(&f->held, g->tokens.ids, g->tokens.n - (strcmp(g->finish_reason, "length") == 0));
    hone_generation_release(&want);
    hone_tokens_release(&ids);
}

static void say(struct fixture *f, const char *text, bool plain)
{
    struct hone_generate_options o;
    struct hone_generation g;
    hone_generate_defaults(&o);
    o.max_tokens = ANSWER;
    must(f, hone_conversation_say(f->talk, text, strlen(text), &o, NULL, NULL, &g, &f->err));
    add(f, text);
    check_answer(f, plain, &o, &g);
    add(f, g.text);
    hone_generation_release(&g);
}

/* ---- tests ------------------------------------------------------------------------------------
 */

#define SIMPLE                                                                                     \
    "{% for m in messages %}({{ m.role }}) {{ m.content }}\n{% endfor %}"                          \
    "{% if add_generation_prompt %}(assistant) {% endif %}"

static void answers_are_generates(void **state)
{
    (void)state;
    for (size_t m = 0; m < HN_COUNT(golden); m++) {
        for (int plain = 0; plain < 2; plain++) {
            struct fixture f;
            open_with(&f, golden[m], plain ? NULL : SIMPLE, 0);
            for (int i = 0; i < TURNS; i++) {
                size_t before = f.held.n;
                say(&f, says[i], plain);
                /* Only new tokens are read: at least the last prompt is in the cache. */
                assert_true(f.held.n > before);
            }
            done(&f);
        }
    }
}

/* Templates that write earlier turns anew: from the first word on, or in the middle. */
static void rewriting_templates_cut_the_cache(void **state)
{
    (void)state;
    static const char *const templates[] = {
        "{{ messages | length }} messages\n" SIMPLE,
        "{% for m in messages %}({{ m.role }}) {{ m.content if m.role != 'assistant' or "
        "loop.last else m.content[:3] }}\n{% endfor %}(assistant) ",
    };
    for (size_t i = 0; i < HN_COUNT(templates); i++) {
        struct fixture f;
        open_with(&f, "llama-tied", templates[i], 0);
        for (int k = 0; k < TURNS; k++)
            say(&f, says[k], false);
        done(&f);
    }
}

static int stop_after(void *arg, const char *text, size_t n)
{
    int *left = arg;
    (void)text;
    (void)n;
    return --*left < 0;
}

static void interrupted_answers_stay(void **state)
{
    (void)state;
    struct fixture f;
    struct hone_conversation_info info;
    struct hone_generate_options o;
    struct hone_generation g;
    open_with(&f, "llama-tied", SIMPLE, 0);
    hone_generate_defaults(&o);
    o.max_tokens = ANSWER;
    say(&f, says[0], false);
    /* At once, while the prompt is read: the turn is taken back. */
    int left = 0;
    must(&f, hone_conversation_say(f.talk, "lost", 4, &o, stop_after, &left, &g, &f.err));
    assert_string_equal(g.finish_reason, "interrupted");
    assert_int_equal(g.text_size, 0);
    hone_generation_release(&g);
    hone_conversation_info(f.talk, &info);
    assert_int_equal(info.n_turns, 2);
    /* In the middle: what was written stays. */
    left = 6;
    must(&f, hone_conversation_say(f.talk, says[1], strlen(says[1]), &o, stop_after, &left, &g,
                                   &f.err));
    assert_string_equal(g.finish_reason, "interrupted");
    assert_true(g.text_size > 0 && g.generation_tokens < ANSWER);
    add(&f, says[1]);
    add(&f, g.text);
    hone_generation_release(&g);
    hone_conversation_info(f.talk, &info);
    assert_int_equal(info.n_turns, 4);
    /* And it goes on as if nothing had been. */
    add(&f, says[2]);
    must(&f, hone_conversation_say(f.talk, says[2], strlen(says[2]), &o, NULL, NULL, &g, &f.err));
    f.held.n = 0;
    struct hone_tokens ids = {0};
    render(&f, false, &ids);
    append(&f.held, ids.ids, (size_t)g.cached_tokens);
    assert_true(g.cached_tokens > 0);
    check_answer(&f, false, &o, &g);
    hone_tokens_release(&ids);
    hone_generation_release(&g);
    done(&f);
}

static void context_is_a_limit(void **state)
{
    (void)state;
    struct fixture f;
    struct hone_conversation_info info;
    struct hone_generate_options o;
    struct hone_generation g;
    char longest[256];
    open_with(&f, "llama-tied", SIMPLE, 80);
    hone_generate_defaults(&o);
    memset(longest, 'o', sizeof longest);
    assert_int_equal(
        hone_conversation_say(f.talk, longest, sizeof longest, &o, NULL, NULL, &g, &f.err),
        HONE_FAILED);
    assert_non_null(strstr(f.err.message, "/reset"));
    assert_non_null(strstr(f.err.message, "may hold 80"));
    hone_conversation_info(f.talk, &info);
    assert_int_equal(info.n_turns, 0);
    must(&f, hone_conversation_say(f.talk, "row", 3, &o, NULL, NULL, &g, &f.err));
    assert_string_equal(g.finish_reason, "context");
    assert_int_equal(g.prompt_tokens + g.generation_tokens, 80);
    hone_generation_release(&g);
    assert_int_equal(hone_conversation_say(f.talk, "row", 3, &o, NULL, NULL, &g, &f.err),
                     HONE_FAILED);
    hone_conversation_reset(f.talk);
    o.max_tokens = ANSWER;
    add(&f, "row");
    must(&f, hone_conversation_say(f.talk, "row", 3, &o, NULL, NULL, &g, &f.err));
    check_answer(&f, false, &o, &g);
    assert_int_equal(g.cached_tokens, 0);
    hone_generation_release(&g);
    done(&f);
}

static void turns_can_be_taken_back(void **state)
{
    (void)state;
    struct fixture f;
    struct hone_generate_options o;
    struct hone_generation g;
    open_with(&f, "llama-tied", SIMPLE, 0);
    hone_generate_defaults(&o);
    o.max_tokens = ANSWER;
    assert_false(hone_conversation_undo(f.talk));
    assert_int_equal(hone_conversation_retry(f.talk, &o, NULL, NULL, &g, &f.err), HONE_NOT_FOUND);
    say(&f, says[0], false);
    say(&f, says[1], false);
    assert_true(hone_conversation_undo(f.talk));
    hone_free(f.texts[--f.n]);
    hone_free(f.texts[--f.n]);
    say(&f, says[2], false);
    /* The same options: the same answer, read from the cache but for one token. */
    must(&f, hone_conversation_retry(f.talk, &o, NULL, NULL, &g, &f.err));
    hone_free(f.texts[--f.n]);
    check_answer(&f, false, &o, &g);
    assert_int_equal(g.cached_tokens, g.prompt_tokens - 1);
    add(&f, g.text);
    hone_generation_release(&g);
    must(&f, hone_conversation_set_system(f.talk, "be long", &f.err));
    f.system = "be long";
    say(&f, says[3], false);
    must(&f, hone_conversation_set_system(f.talk, NULL, &f.err));
    f.system = NULL;
    say(&f, says[0], false);
    done(&f);
}

static void records_are_chats(void **state)
{
    (void)state;
    struct fixture f;
    char *text = NULL;
    open_with(&f, "llama-tied", SIMPLE, 0);
    say(&f, "a \"row\"", false);
    must(&f, hone_conversation_json(f.talk, &text, &f.err));
    const char *begin = "{\"messages\": [{\"role\": \"system\", \"content\": \"be brief\"}, "
                        "{\"role\": \"user\", \"content\": \"a \\\"row\\\"\"}, "
                        "{\"role\": \"assistant\", \"content\": \"";
    assert_memory_equal(text, begin, strlen(begin));
    assert_null(strchr(text, '\n'));
    hone_free(text);
    assert_int_equal(hone_conversation_say(f.talk, "a\xff", 2, NULL, NULL, NULL, NULL, &f.err),
                     HONE_FAILED);
    assert_non_null(strstr(f.err.message, "byte 1"));
    done(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_are_generates),
        cmocka_unit_test(rewriting_templates_cut_the_cache),
        cmocka_unit_test(interrupted_answers_stay),
        cmocka_unit_test(context_is_a_limit),
        cmocka_unit_test(turns_can_be_taken_back),
        cmocka_unit_test(records_are_chats),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

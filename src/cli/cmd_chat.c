/* hone chat: a conversation, one line a message, and commands that begin with '/'. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/os.h"
#include "base/str.h"
#include "cli/chat_save.h"
#include "cli/cli.h"
#include "cli/line.h"
#include "cli/line_history.h"
#include "hone/conversation.h"

struct chat {
    const struct hn_conf *c;
    struct hn_ui notes; /* standard error; standard output has the answers alone */
    struct hone_model *model;
    struct hone_tokenizer *tok;
    struct hone_conversation *talk;
    struct hn_line line;
    uint64_t n_answers; /* each has a seed of its own */
    bool over;
};

/* ---- answers ----------------------------------------------------------------------------------
 */

static int print_text(void *arg, const char *text, size_t n)
{
    (void)arg;
    if (n) {
        fwrite(text, 1, n, stdout);
        fflush(stdout);
    }
    return hn_cli_interrupted() || ferror(stdout);
}

static double rate(int64_t n, double seconds)
{
    return seconds > 0 ? (double)n / seconds : 0;
}

static void show_statistics(struct chat *t, const struct hone_generation *g)
{
    int64_t new_tokens = g->prompt_tokens - g->cached_tokens;
    hn_ui_say(&t->notes, HN_DIM,
              "==========\nPrompt: %lld tokens (%lld in the cache), %.3f tokens-per-sec\n"
              "Generation: %lld tokens, %.3f tokens-per-sec\nPeak memory: %.3f GB",
              (long long)g->prompt_tokens, (long long)g->cached_tokens,
              rate(new_tokens, g->prompt_seconds), (long long)g->generation_tokens,
              rate(g->generation_tokens, g->generation_seconds), (double)hn_peak_rss() / 1e9);
}

/* What an answer that did not end by itself needs to be said. */
static void show_finish(struct chat *t, const struct hone_generation *g)
{
    struct hone_conversation_info info;
    hone_conversation_info(t->talk, &info);
    if (strcmp(g->finish_reason, "interrupted") == 0)
        hn_ui_say(&t->notes, HN_DIM, "%s",
                  g->text_size ? "(stopped; the answer stays as far as it goes)"
                               : "(stopped before there was an answer: the message is taken back)");
    else if (strcmp(g->finish_reason, "context") == 0)
        hn_ui_say(&t->notes, HN_YELLOW,
                  "(cut: the conversation has reached the %lld tokens that it may hold; /reset "
                  "begins anew, /undo takes the last turn back)",
                  (long long)info.context);
    else if (strcmp(g->finish_reason, "length") == 0)
        hn_ui_say(&t->notes, HN_DIM, "(cut after %lld tokens; --max-tokens N allows more)",
                  (long long)t->c->set.generate.max_tokens);
}

/* Say text[n]; NULL: write the last answer again. */
static int answer(struct chat *t, const char *text, size_t n, struct hone_err *err)
{
    struct hone_generate_options o = t->c->set.generate;
    struct hone_generation g = {0};
    o.seed += t->n_answers++;
    int rc = text ? hone_conversation_say(t->talk, text, n, &o, print_text, NULL, &g, err)
                  : hone_conversation_retry(t->talk, &o, print_text, NULL, &g, err);
    if (rc)
        return rc;
    bool stopped = hn_cli_interrupted();
    if (g.text_size || !stopped)
        putchar('\n');
    if (fflush(stdout) || ferror(stdout))
        rc = hn_fail(err, HONE_FAILED, "standard output cannot be written");
    if (!rc && stopped && !t->line.terminal)
        rc = hn_fail(err, HONE_INTERRUPTED, "stopped after %lld tokens",
                     (long long)g.generation_tokens);
    hn_cli_forget_interrupts();
    if (!rc)
        show_finish(t, &g);
    if (!rc && t->c->set.verbose)
        show_statistics(t, &g);
    if (!rc && t->line.terminal)
        putchar('\n');
    hone_generation_release(&g);
    return rc;
}

/* ---- commands -------------------------------------------------------------------------------- */

typedef int command_fn(struct chat *t, const char *argument, struct hone_err *err);

static int do_quit(struct chat *t, const char *argument, struct hone_err *err)
{
    (void)argument;
    (void)err;
    t->over = true;
    return 0;
}

static int do_reset(struct chat *t, const char *argument, struct hone_err *err)
{
    struct hone_conversation_info info;
    (void)argument;
    (void)err;
    hone_conversation_reset(t->talk);
    hone_conversation_info(t->talk, &info);
    hn_ui_say(&t->notes, HN_DIM, "(a new conversation%s)",
              info.system ? "; the system message stays" : "");
    return 0;
}

static int do_system(struct chat *t, const char *argument, struct hone_err *err)
{
    struct hone_conversation_info info;
    hone_conversation_info(t->talk, &info);
    if (!*argument) {
        hn_ui_say(&t->notes, HN_DIM, "%s%s", info.system ? "system message: " : "",
                  info.system ? info.system : "(there is no system message)");
        return 0;
    }
    bool off = strcmp(argument, "off") == 0;
    int rc = hone_conversation_set_system(t->talk, off ? NULL : argument, err);
    if (!rc)
        hn_ui_say(&t->notes, HN_DIM, "(the system message is %s%s)", off ? "gone" : "set",
                  info.n_turns ? "; /reset forgets what was said before" : "");
    return rc;
}

static int do_save(struct chat *t, const char *argument, struct hone_err *err)
{
    struct hone_conversation_info info;
    char *text = NULL;
    hone_conversation_info(t->talk, &info);
    if (!*argument)
        return hn_fail(err, HONE_USAGE, "/save needs a file: /save talk.jsonl");
    if (!info.n_turns)
        return hn_fail(err, HONE_FAILED, "there is nothing to save yet");
    int rc = hone_conversation_json(t->talk, &text, err);
    if (!rc)
        rc = hn_chat_save(argument, text, err);
    if (!rc)
        hn_ui_say(&t->notes, HN_DIM, "(%zu messages added to %s)",
                  info.n_turns + (info.system != NULL), argument);
    hone_free(text);
    return rc;
}

static int do_undo(struct chat *t, const char *argument, struct hone_err *err)
{
    struct hone_conversation_info info;
    (void)argument;
    if (!hone_conversation_undo(t->talk))
        return hn_fail(err, HONE_FAILED, "there is nothing to take back yet");
    hone_conversation_info(t->talk, &info);
    hn_ui_say(&t->notes, HN_DIM, "(the last message and its answer are taken back; %zu are left)",
              info.n_turns);
    return 0;
}

static int do_retry(struct chat *t, const char *argument, struct hone_err *err)
{
    (void)argument;
    if (t->c->set.generate.temperature <= 0)
        hn_ui_say(&t->notes, HN_DIM, "(at --temp 0 an answer is always the same)");
    return answer(t, NULL, 0, err);
}

static int do_info(struct chat *t, const char *argument, struct hone_err *err)
{
    struct hone_conversation_info info;
    (void)argument;
    (void)err;
    hone_conversation_info(t->talk, &info);
    hn_ui_say(&t->notes, HN_DIM, "(%zu messages, %lld of %lld tokens)", info.n_turns,
              (long long)info.tokens, (long long)info.context);
    return 0;
}

static command_fn do_help;

static const struct {
    const char *name, *argument, *help;
    command_fn *run;
} commands[] = {
    {"help", "", "this list", do_help},
    {"reset", "", "begin anew; the system message stays", do_reset},
    {"system", "TEXT", "another system message; off for none, nothing to see it", do_system},
    {"save", "FILE", "add the conversation to FILE, as a record for hone prepare", do_save},
    {"retry", "", "write the last answer again", do_retry},
    {"undo", "", "take the last message and its answer back", do_undo},
    {"info", "", "how long the conversation is, and may become", do_info},
    {"quit", "", "end (Ctrl-D does too)", do_quit},
};

static int do_help(struct chat *t, const char *argument, struct hone_err *err)
{
    char word[32];
    (void)argument;
    (void)err;
    for (size_t i = 0; i < HN_COUNT(commands); i++) {
        snprintf(word, sizeof word, "/%s %s", commands[i].name, commands[i].argument);
        hn_ui_say(&t->notes, HN_PLAIN, "  %-13s %s", word, commands[i].help);
    }
    hn_ui_say(&t->notes, HN_PLAIN, "  %-13s %s\n  %-13s %s\n  %-13s %s", "Ctrl-C",
              "stops an answer, clears a line", "\\", "at the end of a line goes on in the next",
              "//", "begins a message that begins with /");
    return 0;
}

static int unknown(const char *word, struct hone_err *err)
{
    const char *names[HN_COUNT(commands)];
    for (size_t i = 0; i < HN_COUNT(commands); i++)
        names[i] = commands[i].name;
    const char *near = hn_nearest(word, names, HN_COUNT(commands));
    return hn_fail(err, HONE_FAILED,
                   "there is no command /%s%s%s%s; /help lists what there is, and // begins a "
                   "message that begins with /",
                   word, near ? "; did you mean /" : "", near ? near : "", near ? "?" : "");
}

/* "/name argument": white space around the argument is cut off. */
static int command(struct chat *t, char *line, struct hone_err *err)
{
    char *name = line + 1, *argument = name + strcspn(name, " \t");
    if (*argument)
        *argument++ = 0;
    argument += strspn(argument, " \t");
    for (size_t n = strlen(argument); n && strchr(" \t", argument[n - 1]); n--)
        argument[n - 1] = 0;
    for (size_t i = 0; i < HN_COUNT(commands); i++) {
        if (strcmp(commands[i].name, name))
            continue;
        if (*argument && !*commands[i].argument)
            return hn_fail(err, HONE_USAGE, "/%s takes nothing after it", name);
        return commands[i].run(t, argument, err);
    }
    if (!strcmp(name, "exit") || !strcmp(name, "q") || !strcmp(name, "bye"))
        return do_quit(t, "", err);
    return unknown(name, err);
}

/* ---- the loop -------------------------------------------------------------------------------- */

/* A message: lines, each but the last ended by a backslash. */
static int read_message(struct chat *t, struct hn_buf *message, struct hone_err *err)
{
    struct hn_buf line = {0};
    struct hn_ui ui;
    char first[64];
    int got = 1;
    hn_ui_init(&ui, stdout);
    snprintf(first, sizeof first, "\1%s\1>\1%s\1 ", hn_ui_style(&ui, HN_BOLD),
             hn_ui_style(&ui, HN_PLAIN));
    hn_buf_clear(message);
    for (const char *prompt = ui.colour ? first : "> "; got == 1; prompt = ". ") {
        got = hn_line_read(&t->line, prompt, &line, err);
        if (got != 1)
            break;
        bool more = line.len && line.data[line.len - 1] == '\\';
        hn_buf_add(message, hn_buf_str(&line), line.len - more);
        if (!more)
            break;
        hn_buf_add_char(message, '\n');
    }
    if (got == 0 && message->len)
        got = 1; /* the input ended behind a backslash */
    if (got == 1 && message->failed)
        got = hn_fail_memory(err, "reading a message");
    hn_buf_release(&line);
    return got;
}

/* mlx_lm.chat's commands are single letters. */
static bool is_letter(const struct hn_buf *m, char letter)
{
    return m->len == 1 && m->data[0] == letter;
}

static int take(struct chat *t, struct hn_buf *m, struct hone_err *err)
{
    const char *text = hn_buf_str(m);
    if (strspn(text, " \t\n") == m->len)
        return 0;
    if (is_letter(m, 'q'))
        return do_quit(t, "", err);
    if (is_letter(m, 'r'))
        return do_reset(t, "", err);
    if (is_letter(m, 'h'))
        return do_help(t, "", err);
    if (text[0] == '/' && text[1] != '/')
        return command(t, m->data, err);
    bool escaped = text[0] == '/';
    return answer(t, text + escaped, m->len - escaped, err);
}

static int talk(struct chat *t, struct hone_err *err)
{
    struct hn_buf message = {0};
    int rc = 0;
    while (!t->over) {
        rc = read_message(t, &message, err);
        if (rc == HONE_INTERRUPTED && t->line.terminal)
            continue;
        if (rc == HONE_INTERRUPTED)
            rc = hn_fail(err, HONE_INTERRUPTED, "stopped");
        if (rc <= 0)
            break;
        rc = take(t, &message, err);
        /* Who types reads the sentence and goes on; a script has to know. */
        if (rc && t->line.terminal && !ferror(stdout)) {
            hn_ui_say(&t->notes, HN_PLAIN, "hone: %s", err->message);
            rc = 0;
        }
        if (rc)
            break;
    }
    if (!rc && !t->over && t->line.terminal)
        putchar('\n');
    hn_buf_release(&message);
    return rc;
}

static void greet(struct chat *t)
{
    struct hone_conversation_info info;
    struct hone_model_info model;
    char weights[HN_UI_WEIGHTS];
    hone_conversation_info(t->talk, &info);
    hone_model_info(t->model, &model);
    if (t->line.terminal)
        hn_ui_say(&t->notes, HN_DIM,
                  "%s%s%s, %s; %lld tokens at most. /help lists commands, "
                  "Ctrl-D ends.",
                  hn_path_name(model.path), model.adapter_path ? " + " : "",
                  model.adapter_path ? hn_path_name(model.adapter_path) : "",
                  hn_ui_weights(model.quantization, weights), (long long)info.context);
    if (model.context_length && info.context > model.context_length)
        hn_ui_say(&t->notes, HN_YELLOW,
                  "(the model was made for %lld tokens: beyond them it may "
                  "lose the thread)",
                  (long long)model.context_length);
    if (info.plain)
        hn_ui_say(&t->notes, HN_DIM, "(%s: turns are written as \"User: …\" and \"Assistant: …\")",
                  t->c->set.ignore_chat_template ? "the chat template is ignored"
                                                 : "the model has no chat template");
}

int hn_cmd_chat(struct hn_conf *c, struct hone_err *err)
{
    struct chat t = {.c = c};
    struct hone_conversation_options o = {c->set.system_prompt, c->set.chat_template_config,
                                          c->set.ignore_chat_template, c->set.generate.context};
    char *history = NULL;
    if (c->n_arguments && c->set.model)
        return hn_fail(err, HONE_USAGE, "two models: --model %s and %s", c->set.model,
                       c->arguments[0]);
    c->set.model = hn_cli_argument(c, c->set.model);
    hn_ui_init(&t.notes, stderr);
    int rc = hn_cli_open(c, &t.model, &t.tok, err);
    rc = rc ? rc : hone_conversation_open(&t.talk, t.model, t.tok, &o, err);
    if (!rc) {
        hn_cli_catch_each_interrupt();
        history = hn_history_path("chat_history");
        rc = hn_line_open(&t.line, history, err);
    }
    if (!rc) {
        greet(&t);
        rc = talk(&t, err);
    }
    hn_line_close(&t.line);
    hone_conversation_close(&t.talk);
    hone_tokenizer_close(&t.tok);
    hone_model_close(&t.model);
    hn_free(history);
    return rc;
}

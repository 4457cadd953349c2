/* hone: finds the command, reads its options, runs it, and turns its result into an exit status:
 * 0 done, 1 failed, 2 wrong usage, 130 interrupted after saving. */
#include <stdio.h>
#include <string.h>
#include "base/err.h"
#include "cli/cli.h"
#include "conf/help.h"
#include "hone.h"

static hn_cmd_fn *const functions[HN_N_COMMANDS] = {
    [HN_PREPARE] = hn_cmd_prepare, [HN_TRAIN] = hn_cmd_train,       [HN_GENERATE] = hn_cmd_generate,
    [HN_TEST] = hn_cmd_test,       [HN_TOKENIZE] = hn_cmd_tokenize, [HN_INFO] = hn_cmd_info,
    [HN_BENCH] = hn_cmd_bench,     [HN_MIGRATE] = hn_cmd_migrate,   [HN_PULL] = hn_cmd_pull,
    [HN_REPORT] = hn_cmd_report,   [HN_HELP] = hn_cmd_help,         [HN_VERSION] = hn_cmd_version,
    [HN_COMPARE] = hn_cmd_compare, [HN_CONVERT] = hn_cmd_convert,   [HN_FUSE] = hn_cmd_fuse,
    [HN_CHAT] = hn_cmd_chat,
};

static int exit_status(int code)
{
    switch (code) {
    case HONE_OK:
        return 0;
    case HONE_USAGE:
        return 2;
    case HONE_INTERRUPTED:
        return 130;
    default:
        return 1;
    }
}

static int show_help(enum hn_command_id id, struct hone_err *err)
{
    struct hn_buf text = {0};
    struct hn_ui ui;
    hn_ui_init(&ui, stdout);
    if (id == HN_N_COMMANDS)
        hn_help_commands(&text, ui.width);
    else
        hn_help_command(&text, id, ui.width);
    int rc = text.failed ? hn_fail_memory(err, "writing help") : 0;
    fputs(hn_buf_str(&text), stdout);
    hn_buf_release(&text);
    return rc;
}

static int no_such_command(const char *word, struct hone_err *err)
{
    const char *near = hn_command_nearest(word);
    if (near)
        return hn_fail(err, HONE_USAGE, "there is no command %s; did you mean hone %s?", word,
                       near);
    return hn_fail(err, HONE_USAGE, "there is no command %s; hone --help lists what there is",
                   word);
}

int hn_cmd_help(struct hn_conf *c, struct hone_err *err)
{
    if (c->set.markdown) {
        struct hn_buf text = {0};
        hn_help_markdown(&text);
        fputs(hn_buf_str(&text), stdout);
        hn_buf_release(&text);
        return 0;
    }
    if (!c->n_arguments)
        return show_help(HN_N_COMMANDS, err);
    enum hn_command_id id = hn_command_find(c->arguments[0]);
    return id == HN_N_COMMANDS ? no_such_command(c->arguments[0], err) : show_help(id, err);
}

int hn_cmd_version(struct hn_conf *c, struct hone_err *err)
{
    (void)c;
    (void)err;
    puts("hone " HONE_VERSION);
    return 0;
}

/* "--help" and "--version" stand for the commands; nothing at all asks for help too. */
static enum hn_command_id find_command(const char *word)
{
    if (!word || strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)
        return HN_HELP;
    if (strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0)
        return HN_VERSION;
    return hn_command_find(word);
}

int main(int argc, char **argv)
{
    struct hone_err err = {0};
    struct hn_conf conf = {0};
    enum hn_command_id id = find_command(argc > 1 ? argv[1] : NULL);
    int rc;
    hn_cli_catch_file_failures();
    if (id == HN_N_COMMANDS) {
        rc = no_such_command(argv[1], &err);
    } else {
        int skip = HN_MIN(argc, 2);
        rc = hn_conf_init(&conf, id, argc - skip, argv + skip, &err);
        conf.called = argc > 1 ? argv[1] : NULL;
        if (!rc)
            rc = conf.help ? show_help(id, &err) : functions[id](&conf, &err);
        hn_conf_release(&conf);
    }
    if ((fflush(stdout) || ferror(stdout)) && !rc)
        rc = hn_fail(&err, HONE_FAILED, "standard output cannot be written");
    if (rc)
        fprintf(stderr, "hone: %s\n", err.message);
    return exit_status(rc);
}

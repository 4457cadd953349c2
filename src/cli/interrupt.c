/* Ctrl-C, SIGTERM and SIGHUP.  For most commands the first asks for an orderly stop, through a flag
 * that the commands look at between steps; the second ends the program at once.  What comes within
 * a third of a second of the first is its echo (timeout and some shells signal a program and its
 * group), not a second one.  SIGHUP (the terminal is gone: its shell and the system may each say
 * so) never ends it at once. */
#include <signal.h>
#include <time.h>
#include <unistd.h>
#include "cli/cli.h"

enum { ECHO_MS = 300 };

static volatile sig_atomic_t stop_requested, stop_time;

/* Milliseconds on a clock that only goes forward, wrapped to what a signal handler may keep. */
static int now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int)((t.tv_sec % 1000000) * 1000 + t.tv_nsec / 1000000);
}

static void on_signal(int number)
{
    static const char message[] = "\nhone: stopping after this step; again to stop at once\n";
    if (stop_requested) {
        if (now_ms() - stop_time >= ECHO_MS) {
            signal(number, SIG_DFL);
            raise(number);
        }
        return;
    }
    stop_requested = 1;
    stop_time = now_ms();
    if (number == SIGINT && isatty(STDERR_FILENO)) {
        ssize_t written = write(STDERR_FILENO, message, sizeof message - 1);
        (void)written; /* nothing can be done about it here */
    }
}

static void on_each(int number)
{
    (void)number;
    stop_requested = 1;
}

void hn_cli_break_reads(bool on)
{
    struct sigaction action = {.sa_handler = on_each, .sa_flags = on ? 0 : SA_RESTART};
    sigemptyset(&action.sa_mask);
    (void)sigaction(SIGINT, &action, NULL);
}

void hn_cli_catch_broken_pipe(void)
{
    struct sigaction action = {.sa_handler = on_each, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    (void)sigaction(SIGPIPE, &action, NULL);
}

static void on_lost_file(int number, siginfo_t *info, void *context)
{
    static const char message[] =
        "hone: a file that is in use was cut short, or its disk no longer answers: put it back and "
        "run the command again (a training run with --resume)\n";
    (void)context;
    if (info->si_code == BUS_ADRERR) {
        ssize_t written = write(STDERR_FILENO, message, sizeof message - 1);
        (void)written;
        _exit(1);
    }
    signal(number, SIG_DFL);
    raise(number);
}

void hn_cli_catch_file_failures(void)
{
    struct sigaction action = {.sa_sigaction = on_lost_file, .sa_flags = SA_SIGINFO};
    sigemptyset(&action.sa_mask);
    (void)sigaction(SIGBUS, &action, NULL);
    (void)signal(SIGXFSZ, SIG_IGN);
}

void hn_cli_catch_each_interrupt(void)
{
    hn_cli_break_reads(false);
}

void hn_cli_forget_interrupts(void)
{
    stop_requested = 0;
}

/* nohup has SIGHUP ignored: the program is to outlive its terminal. */
static void catch_hangup(void)
{
    struct sigaction action = {.sa_handler = on_each, .sa_flags = SA_RESTART}, old;
    sigemptyset(&action.sa_mask);
    if (sigaction(SIGHUP, NULL, &old) == 0 && old.sa_handler != SIG_IGN)
        (void)sigaction(SIGHUP, &action, NULL);
}

void hn_cli_catch_interrupts(void)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    catch_hangup();
}

bool hn_cli_interrupted(void)
{
    return stop_requested != 0;
}

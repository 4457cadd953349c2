/* Ctrl-C and SIGTERM.  The first asks for an orderly stop, through a flag that the commands look at
 * between steps; the second does what it does by default. */
#include <signal.h>
#include <unistd.h>
#include "cli/cli.h"

static volatile sig_atomic_t stop_requested;

static void on_signal(int number)
{
    static const char message[] = "\nhone: stopping after this step; again to stop at once\n";
    stop_requested = 1;
    if (number == SIGINT && isatty(STDERR_FILENO)) {
        ssize_t written = write(STDERR_FILENO, message, sizeof message - 1);
        (void)written; /* nothing can be done about it here */
    }
}

void hn_cli_catch_interrupts(void)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND | SA_RESTART};
    sigemptyset(&action.sa_mask);
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
}

bool hn_cli_interrupted(void)
{
    return stop_requested != 0;
}

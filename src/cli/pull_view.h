/* What is shown of a download: a line of progress on a terminal, plain lines elsewhere. */
#ifndef HN_CLI_PULL_VIEW_H
#define HN_CLI_PULL_VIEW_H

#include "cli/ui.h"
#include "hone/hub.h"

struct hn_pull_view {
    struct hn_ui ui;
    bool brief;          /* one line at the beginning, no line per file */
    uint64_t received;   /* bytes of files that were not there before */
    size_t n_files;      /* files so far, */
    size_t n_fetched;    /* and of them those that were not there before */
    double last_line;    /* when progress was last written where there is no terminal */
    char commit[72];     /* what the revision stands for */
    struct hn_buf files; /* JSON objects of the files so far, commas between them */
};
void hn_pull_view_init(struct hn_pull_view *v, FILE *out, bool brief);
void hn_pull_view_release(struct hn_pull_view *v);
hone_pull_fn hn_pull_view_event; /* arg: the view */

#endif

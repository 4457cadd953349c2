/* Talking to a hub: its address and token from the environment, redirects followed, what is
 * transient tried again.  The token goes to the endpoint's own origin (scheme, host, port) and
 * nowhere else, whatever a redirect or a listing says. */
#ifndef HN_HUB_HTTP_H
#define HN_HUB_HTTP_H

#include "hub/wire.h"

enum { HN_HTTP_ATTEMPTS = 6 };

struct hn_http {
    struct hn_wire *wire;
    char *endpoint;            /* HF_ENDPOINT, else https://huggingface.co; no '/' at its end */
    char *token;               /* HF_TOKEN, else the token file's; NULL: none */
    const char *token_from;    /* "HF_TOKEN" or "the token file", for messages */
    double backoff;            /* seconds before the second attempt; doubled for each further one */
    bool reached;              /* the hub has answered before */
    int (*on_tick)(void *arg); /* several times a second; non-zero: stop.  May be NULL */
    void *arg;
};

HN_MUST_USE int hn_http_open(struct hn_http *h, struct hone_err *err);
void hn_http_close(struct hn_http *h);

/* One request, its redirects followed; q->token and q->on_tick are set here.  A HEAD stops at a
 * redirect to another origin: what is said of the file is in that answer.  0 whatever the answer
 * is; HONE_INTERRUPTED when on_tick asked for it. */
HN_MUST_USE int hn_http_run(struct hn_http *h, struct hn_wire_request q,
                            struct hn_wire_reply *reply, struct hone_err *err);
/* Another attempt may do better.  A hub that was never reached is not waited for. */
bool hn_http_transient(const struct hn_http *h, const struct hn_wire_reply *reply);
/* Wait before attempt (1: the second one). */
HN_MUST_USE int hn_http_wait(const struct hn_http *h, int attempt,
                             const struct hn_wire_reply *reply, struct hone_err *err);

/* The whole answer to a GET (or HEAD), attempts included, at most max bytes of it appended to out,
 * which may be NULL. */
HN_MUST_USE int hn_http_text(struct hn_http *h, const char *url, bool head, size_t max,
                             struct hn_buf *out, struct hn_wire_reply *reply, struct hone_err *err);

/* Say what went wrong in an exchange that brought no usable answer; what: "the listing of …". */
int hn_http_fail(const struct hn_http *h, const struct hn_wire_reply *reply, const char *what,
                 struct hone_err *err);

/* Append path with everything but letters, digits, "-._~" and '/' as %XX. */
void hn_url_add_path(struct hn_buf *url, const char *path);

#endif

/* One HTTP exchange: a request out, headers and body in, no redirect followed and nothing tried
 * twice (http.h does that).  wire_curl.c is libcurl; wire_none.c says how to get it. */
#ifndef HN_HUB_WIRE_H
#define HN_HUB_WIRE_H

#include "base/buf.h"
#include "base/err.h"

enum hn_wire_failure {
    HN_WIRE_OK,
    HN_WIRE_NO_CONNECTION, /* no such host, refused, or nobody answered in time */
    HN_WIRE_CUT,           /* the connection ended or stalled before the answer did */
    HN_WIRE_STOPPED,       /* on_head or on_body asked for it */
    HN_WIRE_INTERRUPTED,   /* on_tick asked for it */
    HN_WIRE_BROKEN,        /* what no second attempt mends: a bad certificate, a bad address */
};

struct hn_wire_reply {
    enum hn_wire_failure failure;
    char why[256];                            /* of a failure, in words */
    long status;                              /* 200; 0: none came */
    int64_t length, linked_size, range_start; /* -1: not told */
    double retry_after;                       /* seconds; 0: not told */
    char etag[160], linked_etag[160];         /* as sent, quotes and all */
    char commit[80], error_code[64], error_message[256];
    struct hn_buf location, link; /* headers */
    struct hn_buf text;           /* the beginning of a body that is no success */
};
void hn_wire_reply_release(struct hn_wire_reply *r);

/* on_head: a successful answer begins; on_body: its bytes; on_tick: several times a second.  A
 * non-zero result ends the exchange.  Each may be NULL. */
struct hn_wire_request {
    const char *url;
    bool head;         /* no body is asked for */
    const char *token; /* for Authorization; NULL: none */
    uint64_t from;     /* > 0: only the bytes from here on */
    int (*on_head)(void *arg, const struct hn_wire_reply *reply);
    int (*on_body)(void *arg, const void *p, size_t n);
    void *arg;
    int (*on_tick)(void *tick_arg);
    void *tick_arg;
};

struct hn_wire; /* connections that are kept open between exchanges; used by one thread */
HN_MUST_USE int hn_wire_open(struct hn_wire **out, struct hone_err *err);
void hn_wire_close(struct hn_wire **w);
/* Fills reply, which was zeroed or released before; fails only where nothing can be tried at all
 * (no memory). */
HN_MUST_USE int hn_wire_run(struct hn_wire *w, const struct hn_wire_request *q,
                            struct hn_wire_reply *reply, struct hone_err *err);

/* A header line "Name: value" of n bytes, noted in the reply; a status line begins it anew. */
void hn_wire_header(struct hn_wire_reply *r, const char *line, size_t n);

#endif

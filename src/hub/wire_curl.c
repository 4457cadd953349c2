/* The exchange over libcurl. */
#include <curl/curl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "hub/wire.h"

enum { CONNECT_SECONDS = 5, STALL_SECONDS = 20, MAX_TEXT = 4096 };

struct hn_wire {
    CURL *curl;
    long stall; /* seconds without a byte after which a connection counts as cut */
};

struct exchange {
    CURL *curl;
    const struct hn_wire_request *q;
    struct hn_wire_reply *reply;
    bool begun, stopped, interrupted;
};

int hn_wire_open(struct hn_wire **out, struct hone_err *err)
{
    struct hn_wire *w = hn_calloc(1, sizeof *w);
    const char *stall = getenv("HF_HUB_DOWNLOAD_TIMEOUT");
    *out = NULL;
    if (!w || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        hn_free(w);
        return hn_fail_memory(err, "preparing a download");
    }
    w->stall = stall ? strtol(stall, NULL, 10) : 0;
    if (w->stall < 1 || w->stall > 3600)
        w->stall = STALL_SECONDS;
    w->curl = curl_easy_init();
    *out = w;
    if (w->curl)
        return 0;
    hn_wire_close(out);
    return hn_fail_memory(err, "preparing a download");
}

/* Without signals of its own, libcurl leaves the SIGPIPE of a connection that has gone to its
 * caller: it is held back from this thread, and forgotten. */
struct pipe_guard {
    sigset_t old;
    bool was_pending;
};

static bool pipe_pending(void)
{
    sigset_t pending;
    return sigpending(&pending) == 0 && sigismember(&pending, SIGPIPE) == 1;
}

static void guard_pipe(struct pipe_guard *g)
{
    sigset_t pipe;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    g->was_pending = pipe_pending();
    pthread_sigmask(SIG_BLOCK, &pipe, &g->old);
}

static void unguard_pipe(const struct pipe_guard *g)
{
    sigset_t pipe;
    int which;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    if (!g->was_pending && pipe_pending())
        (void)sigwait(&pipe, &which);
    pthread_sigmask(SIG_SETMASK, &g->old, NULL);
}

void hn_wire_close(struct hn_wire **w)
{
    if (!*w)
        return;
    struct pipe_guard guard;
    guard_pipe(&guard);
    curl_easy_cleanup((*w)->curl);
    unguard_pipe(&guard);
    curl_global_cleanup();
    hn_free(*w);
    *w = NULL;
}

static size_t on_header(char *line, size_t size, size_t n, void *arg)
{
    struct exchange *x = arg;
    hn_wire_header(x->reply, line, size * n);
    return size * n;
}

/* The first byte of a success: what the headers said is complete. */
static bool begin(struct exchange *x)
{
    if (!x->begun) {
        x->begun = true;
        curl_easy_getinfo(x->curl, CURLINFO_RESPONSE_CODE, &x->reply->status);
        if (x->reply->status / 100 == 2 && x->q->on_head)
            x->stopped = x->q->on_head(x->q->arg, x->reply) != 0;
    }
    return !x->stopped;
}

static size_t on_write(char *p, size_t size, size_t n, void *arg)
{
    struct exchange *x = arg;
    size_t bytes = size * n;
    if (!begin(x))
        return 0;
    if (x->reply->status / 100 != 2) {
        size_t room = MAX_TEXT - HN_MIN(x->reply->text.len, (size_t)MAX_TEXT);
        hn_buf_add(&x->reply->text, p, HN_MIN(bytes, room));
    } else if (x->q->on_body && x->q->on_body(x->q->arg, p, bytes)) {
        x->stopped = true;
        return 0;
    }
    return bytes;
}

static int on_progress(void *arg, curl_off_t down_total, curl_off_t down, curl_off_t up_total,
                       curl_off_t up)
{
    struct exchange *x = arg;
    (void)down_total, (void)down, (void)up_total, (void)up;
    x->interrupted = x->q->on_tick && x->q->on_tick(x->q->tick_arg);
    return x->interrupted;
}

static enum hn_wire_failure failure_of(CURLcode code, const char *why)
{
    switch (code) {
    case CURLE_OK:
        return HN_WIRE_OK;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_CONNECT:
    case CURLE_SSL_CONNECT_ERROR:
        return HN_WIRE_NO_CONNECTION;
    case CURLE_OPERATION_TIMEDOUT: /* of connecting, or of a transfer that crawls */
        return strstr(why, "too slow") ? HN_WIRE_CUT : HN_WIRE_NO_CONNECTION;
    case CURLE_PARTIAL_FILE:
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
    case CURLE_GOT_NOTHING:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
        return HN_WIRE_CUT;
    default:
        return HN_WIRE_BROKEN;
    }
}

static void set_up(struct exchange *x, const struct hn_wire *w, struct curl_slist *headers,
                   char *words)
{
    CURL *c = x->curl;
    curl_easy_reset(c); /* connections stay */
    curl_easy_setopt(c, CURLOPT_URL, x->q->url);
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c, CURLOPT_USERAGENT, "hone; libcurl");
    curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(c, CURLOPT_ERRORBUFFER, words);
    curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_SECONDS);
    curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, w->stall);
#if LIBCURL_VERSION_NUM >= 0x075500
    curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
#else
    curl_easy_setopt(c, CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
    curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(c, CURLOPT_HEADERDATA, x);
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_write);
    curl_easy_setopt(c, CURLOPT_WRITEDATA, x);
    curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(c, CURLOPT_XFERINFODATA, x);
    curl_easy_setopt(c, CURLOPT_BUFFERSIZE, 256L << 10);
    if (x->q->head)
        curl_easy_setopt(c, CURLOPT_NOBODY, 1L);
}

/* Headers of the request; NULL when memory ran out. */
static struct curl_slist *headers_of(const struct hn_wire_request *q)
{
    struct hn_buf line = {0};
    struct curl_slist *list = curl_slist_append(NULL, "Accept: */*"), *next = list;
    if (next && q->token) {
        hn_buf_printf(&line, "Authorization: Bearer %s", q->token);
        next = line.failed ? NULL : curl_slist_append(list, hn_buf_str(&line));
    }
    if (next && q->from) {
        hn_buf_clear(&line);
        hn_buf_printf(&line, "Range: bytes=%llu-", (unsigned long long)q->from);
        next = line.failed ? NULL : curl_slist_append(list, hn_buf_str(&line));
    }
    hn_buf_release(&line);
    if (!next)
        curl_slist_free_all(list);
    return next ? list : NULL;
}

int hn_wire_run(struct hn_wire *w, const struct hn_wire_request *q, struct hn_wire_reply *reply,
                struct hone_err *err)
{
    struct exchange x = {.curl = w->curl, .q = q, .reply = reply};
    char words[CURL_ERROR_SIZE] = "";
    struct curl_slist *headers = headers_of(q);
    hn_wire_reply_release(reply);
    hn_wire_header(reply, "HTTP/", 5);
    if (!headers)
        return hn_fail_memory(err, "downloading");
    set_up(&x, w, headers, words);
    struct pipe_guard guard;
    guard_pipe(&guard);
    CURLcode code = curl_easy_perform(w->curl);
    unguard_pipe(&guard);
    if (code == CURLE_OK)
        (void)begin(&x); /* a body of no bytes begins here */
    curl_easy_getinfo(w->curl, CURLINFO_RESPONSE_CODE, &reply->status);
    curl_easy_setopt(w->curl, CURLOPT_ERRORBUFFER, NULL);
    reply->failure = x.interrupted ? HN_WIRE_INTERRUPTED
                     : x.stopped   ? HN_WIRE_STOPPED
                                   : failure_of(code, words);
    if (reply->failure > HN_WIRE_OK) {
        struct hn_buf why = {0};
        hn_buf_add_str(&why, words[0] ? words : curl_easy_strerror(code));
        for (size_t i = 0; i < why.len; i++)
            if ((unsigned char)why.data[i] < ' ')
                why.data[i] = ' ';
        if (why.len < sizeof reply->why && !why.failed)
            memcpy(reply->why, hn_buf_str(&why), why.len + 1);
        hn_buf_release(&why);
    }
    curl_slist_free_all(headers);
    if (reply->location.failed || reply->link.failed || reply->text.failed)
        return hn_fail_memory(err, "downloading");
    return 0;
}

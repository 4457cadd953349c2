#include "hub/http.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include "base/file.h"
#include "base/mem.h"
#include "base/os.h"
#include "base/str.h"
#include "hub/cache.h"

enum { MAX_REDIRECTS = 10, MAX_URL = 16 << 10, MAX_WAIT = 60 };

/* ---- the environment ------------------------------------------------------------------------ */

/* Without white space at its ends; nothing that would break a header line. */
static int keep_token(struct hn_http *h, const char *text, const char *from, struct hone_err *err)
{
    size_t skip = strspn(text, " \t\r\n"), n = strlen(text + skip);
    while (n && strchr(" \t\r\n", text[skip + n - 1]))
        n--;
    if (!n)
        return 0;
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)text[skip + i] <= ' ' || (unsigned char)text[skip + i] > '~')
            return hn_fail(err, HONE_FAILED, "%s holds a character that no token has, at byte %zu",
                           from, skip + i);
    h->token = hn_dup(text + skip, n);
    h->token_from = from;
    return h->token ? 0 : hn_fail_memory(err, "reading the hub's token");
}

static int read_token(struct hn_http *h, struct hone_err *err)
{
    static const char *const names[] = {"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"};
    int rc = 0;
    if (hn_hub_is_on("HF_HUB_DISABLE_IMPLICIT_TOKEN"))
        return 0;
    for (size_t i = 0; i < HN_COUNT(names) && !rc && !h->token; i++)
        if (getenv(names[i]))
            rc = keep_token(h, getenv(names[i]), names[i], err);
    char *path = rc || h->token ? NULL : hn_hub_token_path();
    struct hn_buf text = {0};
    if (path && hn_file_exists(path)) {
        rc = hn_file_read(path, 1 << 16, &text, err);
        rc = rc ? rc : keep_token(h, hn_buf_str(&text), "the token file", err);
    }
    hn_buf_release(&text);
    hn_free(path);
    return rc;
}

int hn_http_open(struct hn_http *h, struct hone_err *err)
{
    const char *endpoint = getenv("HF_ENDPOINT");
    if (!endpoint || !*endpoint)
        endpoint = "https://huggingface.co";
    size_t n = strlen(endpoint);
    while (n && endpoint[n - 1] == '/')
        n--;
    if ((!hn_starts_with(endpoint, "http://") && !hn_starts_with(endpoint, "https://")) || n > 1000)
        return hn_fail(err, HONE_FAILED,
                       "HF_ENDPOINT is \"%s\", expected an address that begins "
                       "with https://",
                       endpoint);
    h->endpoint = hn_dup(endpoint, n);
    if (!h->endpoint)
        return hn_fail_memory(err, "preparing a download");
    int rc = read_token(h, err);
    rc = rc ? rc : hn_wire_open(&h->wire, err);
    if (rc)
        hn_http_close(h);
    return rc;
}

void hn_http_close(struct hn_http *h)
{
    hn_wire_close(&h->wire);
    hn_free(h->endpoint);
    hn_free(h->token);
    h->endpoint = h->token = NULL;
}

/* ---- addresses ------------------------------------------------------------------------------ */

void hn_url_add_path(struct hn_buf *url, const char *path)
{
    for (; *path; path++) {
        unsigned char c = (unsigned char)*path;
        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
            strchr("-._~/", c))
            hn_buf_add_char(url, (char)c);
        else
            hn_buf_printf(url, "%%%02X", c);
    }
}

/* Bytes of "scheme://host:port" at the beginning of url; 0: it is no such address. */
static size_t origin(const char *url)
{
    const char *host = strstr(url, "://");
    return host ? (size_t)(host - url) + 3 + strcspn(host + 3, "/?#") : 0;
}

/* The same without the port that the scheme has anyway. */
static size_t bare_origin(const char *url)
{
    size_t n = origin(url);
    if (n > 4 && strncasecmp(url, "https:", 6) == 0 && memcmp(url + n - 4, ":443", 4) == 0)
        return n - 4;
    if (n > 3 && strncasecmp(url, "http:", 5) == 0 && memcmp(url + n - 3, ":80", 3) == 0)
        return n - 3;
    return n;
}

static bool same_origin(const char *a, const char *b)
{
    size_t n = bare_origin(a);
    return n && n == bare_origin(b) && strncasecmp(a, b, n) == 0;
}

/* Put where a redirect leads into url, which holds where it came from. */
static int follow(struct hn_buf *url, const char *to, struct hone_err *err)
{
    struct hn_buf next = {0};
    bool absolute = strncasecmp(to, "http://", 7) == 0 || strncasecmp(to, "https://", 8) == 0;
    const char *from = hn_buf_str(url);
    int rc = 0;
    if (strncasecmp(from, "https://", 8) == 0 && strncasecmp(to, "http://", 7) == 0)
        rc = hn_fail(err, HONE_FAILED,
                     "%.*s redirects to an address without encryption, which is not followed",
                     (int)origin(from), from);
    else if (!absolute && (*to != '/' || to[1] == '/'))
        rc = hn_fail(err, HONE_FAILED, "%.*s redirects to \"%.200s\", which is no web address",
                     (int)origin(from), from, to);
    if (!rc && !absolute)
        hn_buf_add(&next, from, origin(from));
    hn_buf_add_str(&next, to);
    hn_buf_clear(url);
    hn_buf_add(url, hn_buf_str(&next), next.len);
    if (!rc && (next.failed || url->failed))
        rc = hn_fail_memory(err, "following a redirect");
    if (!rc && url->len > MAX_URL)
        rc = hn_fail(err, HONE_FAILED, "a redirect is longer than %d bytes", MAX_URL);
    hn_buf_release(&next);
    return rc;
}

/* ---- exchanges ------------------------------------------------------------------------------ */

int hn_http_run(struct hn_http *h, struct hn_wire_request q, struct hn_wire_reply *reply,
                struct hone_err *err)
{
    struct hn_buf url = {0};
    int rc = 0;
    hn_buf_add_str(&url, q.url);
    q.on_tick = h->on_tick;
    q.tick_arg = h->arg;
    for (int hops = 0;; hops++) {
        q.url = hn_buf_str(&url);
        q.token = same_origin(q.url, h->endpoint) ? h->token : NULL;
        rc = url.failed ? hn_fail_memory(err, "downloading") : hn_wire_run(h->wire, &q, reply, err);
        if (rc)
            break;
        h->reached |= reply->status > 0;
        if (reply->status / 100 != 3 || !reply->location.len || reply->failure)
            break;
        const char *to = hn_buf_str(&reply->location);
        bool leaves = strstr(to, "://") && !same_origin(to, q.url);
        if (q.head && leaves)
            break;
        if (hops == MAX_REDIRECTS) {
            rc = hn_fail(err, HONE_FAILED, "%s redirects more than %d times", h->endpoint,
                         MAX_REDIRECTS);
            break;
        }
        rc = follow(&url, to, err);
        if (rc)
            break;
    }
    if (!rc && reply->failure == HN_WIRE_INTERRUPTED)
        rc = hn_fail(err, HONE_INTERRUPTED, "the download was stopped");
    hn_buf_release(&url);
    return rc;
}

bool hn_http_transient(const struct hn_http *h, const struct hn_wire_reply *r)
{
    if (r->failure == HN_WIRE_OK)
        return r->status == 408 || r->status == 429 || r->status / 100 == 5;
    return r->failure == HN_WIRE_CUT || (r->failure == HN_WIRE_NO_CONNECTION && h->reached);
}

int hn_http_wait(const struct hn_http *h, int attempt, const struct hn_wire_reply *reply,
                 struct hone_err *err)
{
    const struct timespec nap = {.tv_nsec = 20000000};
    double seconds = h->backoff * (double)(1 << HN_MIN(attempt - 1, 5));
    if (reply->status == 429 || reply->status == 503)
        seconds = HN_MAX(seconds, HN_MIN(reply->retry_after, (double)MAX_WAIT));
    for (double end = hn_now() + seconds; hn_now() < end;) {
        if (h->on_tick && h->on_tick(h->arg))
            return hn_fail(err, HONE_INTERRUPTED, "the download was stopped");
        nanosleep(&nap, NULL);
    }
    return 0;
}

struct gather {
    struct hn_buf *out;
    size_t max, start;
    bool too_long;
};

static int on_body(void *arg, const void *p, size_t n)
{
    struct gather *g = arg;
    if (!g->out)
        return 0;
    g->too_long = g->out->len - g->start + n > g->max;
    if (!g->too_long)
        hn_buf_add(g->out, p, n);
    return g->too_long || g->out->failed;
}

int hn_http_text(struct hn_http *h, const char *url, bool head, size_t max, struct hn_buf *out,
                 struct hn_wire_reply *reply, struct hone_err *err)
{
    struct gather g = {.out = out, .max = max, .start = out ? out->len : 0};
    struct hn_wire_request q = {.url = url, .head = head, .on_body = on_body, .arg = &g};
    for (int attempt = 1;; attempt++) {
        if (out)
            out->len = g.start;
        int rc = hn_http_run(h, q, reply, err);
        if (!rc && g.too_long)
            rc = hn_fail(err, HONE_FAILED, "%s answers with more than the %zu bytes that are read",
                         h->endpoint, max);
        if (!rc && out && out->failed)
            rc = hn_fail_memory(err, "reading the hub's answer");
        if (rc || attempt == HN_HTTP_ATTEMPTS || !hn_http_transient(h, reply))
            return rc;
        rc = hn_http_wait(h, attempt, reply, err);
        if (rc)
            return rc;
    }
}

int hn_http_fail(const struct hn_http *h, const struct hn_wire_reply *r, const char *what,
                 struct hone_err *err)
{
    switch (r->failure) {
    case HN_WIRE_NO_CONNECTION:
        return hn_fail(err, HONE_FAILED,
                       "%s: the hub %s cannot be reached (%s); see to the connection, or to "
                       "HF_ENDPOINT",
                       what, h->endpoint, r->why);
    case HN_WIRE_CUT:
        return hn_fail(err, HONE_FAILED,
                       "%s: the connection to %s was cut %d times (%s); try again", what,
                       h->endpoint, HN_HTTP_ATTEMPTS, r->why);
    case HN_WIRE_BROKEN:
        return hn_fail(err, HONE_FAILED, "%s: %s: %s", what, h->endpoint, r->why);
    default:
        return hn_fail(err, HONE_FAILED, "%s: the hub %s answered with status %ld%s%s", what,
                       h->endpoint, r->status, r->error_message[0] ? ": " : "", r->error_message);
    }
}

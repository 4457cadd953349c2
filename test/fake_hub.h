/* A model hub on a port of this machine, for tests: it answers as huggingface.co does (description,
 * tree in pages, resolve with redirects, ranges, digests) and misbehaves where it is told to.  It
 * runs on threads of the test program; what it was asked is in its log. */
#ifndef HN_TEST_FAKE_HUB_H
#define HN_TEST_FAKE_HUB_H

#include <arpa/inet.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/sha.h"
#include "base/str.h"

#define FAKE_COMMIT "0123456789abcdef0123456789abcdef01234567"

enum { FAKE_FILES = 16, FAKE_REQUEST = 8192 };

struct fake_file {
    const char *path, *data;
    size_t size;
    bool lfs;
    const char *digest; /* listed instead of the right one */
    long long listed;   /* size in the listing, where it is not 0 */
};

struct fake_hub {
    struct fake_file files[FAKE_FILES];
    const char *token;      /* only who has it gets anything */
    const char *revision;   /* the one that there is; NULL: any */
    const char *listing;    /* sent instead of the description */
    const char *tree;       /* sent instead of the tree */
    const char *cdn;        /* where files in LFS are redirected to, "http://host:port" */
    const char *redirect;   /* where the description is redirected to */
    const char *error_code; /* header X-Error-Code of `refuse` */
    int refuse;             /* status of the description; 0: as it should be */
    int refuse_file;        /* status of a file's content, */
    int refusals;           /* so many times; -1: always */
    size_t page;            /* files in a page of the tree; 0: all */
    size_t cut;             /* bytes of a file's content after which the connection is cut, */
    int cuts;               /* so many times; -1: always */
    int slow_ms;            /* pause after every 4 kB of content */
    size_t extra;           /* bytes sent beyond the content, and announced */
    bool no_tree, no_head, no_ranges, wrong_range, corrupt, weak_tags;

    int fd, port;
    char url[64];
    pthread_t thread;
    pthread_mutex_t lock;
    atomic_int busy;
    atomic_bool stop;
    struct hn_buf log; /* "GET /path from=5 token\n"… */
};

/* ---- sending -------------------------------------------------------------------------------- */

static bool fake_send(int fd, const void *p, size_t n)
{
    const char *from = p;
    while (n) {
        ssize_t m = send(fd, from, n, MSG_NOSIGNAL);
        if (m <= 0)
            return false;
        from += m, n -= (size_t)m;
    }
    return true;
}

struct fake_request {
    int fd;
    bool head, token;
    long long from; /* -1: no range */
    char path[2048];
};

static bool fake_answer(const struct fake_request *q, int status, const char *headers,
                        const char *body)
{
    struct hn_buf out = {0};
    hn_buf_printf(&out, "HTTP/1.1 %d X\r\nContent-Length: %zu\r\n%s\r\n", status, strlen(body),
                  headers);
    if (!q->head)
        hn_buf_add_str(&out, body);
    bool sent = fake_send(q->fd, hn_buf_str(&out), out.len);
    hn_buf_release(&out);
    return sent;
}

static const char *fake_digest(const struct fake_file *f, char out[HN_SHA256_HEX])
{
    struct hn_sha sha;
    char head[40];
    if (f->digest)
        return f->digest;
    if (f->lfs) {
        hn_sha256_init(&sha);
    } else {
        hn_sha1_init(&sha);
        int n = snprintf(head, sizeof head, "blob %zu", f->size);
        hn_sha_add(&sha, head, (size_t)n + 1);
    }
    hn_sha_add(&sha, f->data, f->size);
    hn_sha_finish(&sha, out);
    return out;
}

/* ---- what is asked for ---------------------------------------------------------------------- */

static bool fake_describe(const struct fake_hub *h, const struct fake_request *q)
{
    struct hn_buf body = {0}, headers = {0};
    bool sent;
    const char *last = strrchr(q->path, '/');
    if (h->redirect) {
        hn_buf_printf(&headers, "Location: %s%s\r\n", h->redirect, q->path);
        sent = fake_answer(q, 307, hn_buf_str(&headers), "");
    } else if (h->refuse) {
        hn_buf_printf(&headers, "X-Error-Code: %s\r\n", h->error_code ? h->error_code : "");
        sent = fake_answer(q, h->refuse, hn_buf_str(&headers), "{\"error\": \"no\"}");
    } else if (h->revision && strcmp(last + 1, h->revision) != 0) {
        sent = fake_answer(q, 404, "X-Error-Code: RevisionNotFound\r\n", "{}");
    } else if (h->listing) {
        sent = fake_answer(q, 200, "", h->listing);
    } else {
        hn_buf_add_str(&body, "{\"id\": \"acme/m\", \"sha\": \"" FAKE_COMMIT "\", \"siblings\": [");
        for (size_t i = 0; h->files[i].path; i++)
            hn_buf_printf(&body, "%s{\"rfilename\": \"%s\"}", i ? ", " : "", h->files[i].path);
        hn_buf_add_str(&body, "]}");
        sent = fake_answer(q, 200, "", hn_buf_str(&body));
    }
    hn_buf_release(&headers);
    hn_buf_release(&body);
    return sent;
}

static bool fake_list(const struct fake_hub *h, const struct fake_request *q)
{
    struct hn_buf body = {0}, headers = {0};
    const char *cursor = strstr(q->path, "cursor=");
    size_t i = cursor ? strtoul(cursor + 7, NULL, 10) : 0, end = h->page ? i + h->page : FAKE_FILES;
    if (h->no_tree || h->tree) {
        return h->tree ? fake_answer(q, 200, "", h->tree) : fake_answer(q, 404, "", "{}");
    }
    hn_buf_add_str(&body, "[{\"type\": \"directory\", \"path\": \"onnx\", \"size\": 0}");
    for (; h->files[i].path && i < end; i++) {
        const struct fake_file *f = &h->files[i];
        char hex[HN_SHA256_HEX];
        const char *digest = fake_digest(f, hex);
        long long size = f->listed ? f->listed : (long long)f->size;
        hn_buf_printf(&body, ", {\"type\": \"file\", \"path\": \"%s\", \"size\": %lld", f->path,
                      size);
        if (f->lfs)
            hn_buf_printf(&body, ", \"oid\": \"%040d\", \"lfs\": {\"oid\": \"%s\", \"size\": %lld}",
                          7, digest, size);
        else
            hn_buf_printf(&body, ", \"oid\": \"%s\"", digest);
        hn_buf_add_str(&body, "}");
    }
    hn_buf_add_str(&body, "]");
    if (h->files[i].path)
        hn_buf_printf(&headers,
                      "Link: <%s/api/models/acme/m/tree/main?cursor=%zu>; rel=\"next\"\r\n", h->url,
                      i);
    bool sent = fake_answer(q, 200, hn_buf_str(&headers), hn_buf_str(&body));
    hn_buf_release(&headers);
    hn_buf_release(&body);
    return sent;
}

/* The bytes of a file from q->from on, with whatever is to go wrong. */
static bool fake_content(struct fake_hub *h, const struct fake_request *q,
                         const struct fake_file *f, const char *headers)
{
    struct hn_buf out = {0};
    const struct timespec nap = {.tv_nsec = h->slow_ms * 1000000L};
    bool ranged = q->from >= 0 && !h->no_ranges, sent;
    size_t from = ranged ? (size_t)q->from : 0;
    if (ranged && from >= f->size)
        return fake_answer(q, 416, headers, "");
    size_t n = f->size - from, limit = n;
    hn_buf_printf(&out, "HTTP/1.1 %d X\r\nContent-Length: %zu\r\n%s", ranged ? 206 : 200,
                  n + h->extra, headers);
    if (ranged)
        hn_buf_printf(&out, "Content-Range: bytes %zu-%zu/%zu\r\n", from + (h->wrong_range ? 1 : 0),
                      f->size - 1, f->size);
    hn_buf_add_str(&out, "\r\n");
    pthread_mutex_lock(&h->lock);
    if (!q->head && h->cuts && h->cut < n) {
        limit = h->cut;
        h->cuts -= h->cuts > 0;
    }
    pthread_mutex_unlock(&h->lock);
    sent = fake_send(q->fd, hn_buf_str(&out), out.len);
    hn_buf_release(&out);
    for (size_t i = 0; !q->head && sent && i < limit;) {
        size_t piece = HN_MIN(limit - i, (size_t)4096);
        char bytes[4096];
        memcpy(bytes, f->data + from + i, piece);
        bytes[0] = (char)(bytes[0] ^ (h->corrupt && i == 0));
        sent = fake_send(q->fd, bytes, piece);
        i += piece;
        if (h->slow_ms)
            nanosleep(&nap, NULL);
    }
    for (size_t i = 0; !q->head && sent && i < h->extra; i++)
        sent = fake_send(q->fd, "x", 1);
    return sent && limit == n;
}

static bool fake_resolve(struct fake_hub *h, const struct fake_request *q)
{
    const char *name = strstr(q->path, "/resolve/");
    name = name ? strchr(name + 9, '/') : NULL;
    const struct fake_file *f = NULL;
    for (size_t i = 0; name && h->files[i].path; i++)
        if (strcmp(h->files[i].path, name + 1) == 0)
            f = &h->files[i];
    if (!f)
        return fake_answer(q, 404, "X-Error-Code: EntryNotFound\r\n", "");
    if (q->head && h->no_head)
        return fake_answer(q, 405, "", "");
    pthread_mutex_lock(&h->lock);
    bool refused = !q->head && h->refuse_file && h->refusals;
    h->refusals -= refused && h->refusals > 0;
    pthread_mutex_unlock(&h->lock);
    if (refused)
        return fake_answer(q, h->refuse_file, "Retry-After: 0\r\n", "busy");
    struct hn_buf headers = {0};
    char hex[HN_SHA256_HEX];
    const char *digest = fake_digest(f, hex);
    bool sent;
    hn_buf_printf(&headers, "X-Repo-Commit: " FAKE_COMMIT "\r\nETag: %s\"%s\"\r\n",
                  h->weak_tags ? "W/" : "", f->lfs && h->cdn ? "of-the-redirect" : digest);
    if (f->lfs)
        hn_buf_printf(&headers, "X-Linked-Etag: \"%s\"\r\nX-Linked-Size: %zu\r\n", digest, f->size);
    if (f->lfs && h->cdn) {
        hn_buf_printf(&headers, "Location: %s%s\r\n", h->cdn, q->path);
        sent = fake_answer(q, 302, hn_buf_str(&headers), "");
    } else {
        sent = fake_content(h, q, f, hn_buf_str(&headers));
    }
    hn_buf_release(&headers);
    return sent;
}

/* ---- connections ---------------------------------------------------------------------------- */

/* One request, read up to its empty line; false: the client has gone. */
static bool fake_read(int fd, struct fake_request *q)
{
    char text[FAKE_REQUEST] = "";
    size_t n = 0;
    while (!strstr(text, "\r\n\r\n")) {
        ssize_t m = n + 1 < sizeof text ? recv(fd, text + n, 1, 0) : 0;
        if (m <= 0)
            return false;
        n += (size_t)m;
        text[n] = 0;
    }
    *q = (struct fake_request){.fd = fd, .from = -1, .head = hn_starts_with(text, "HEAD ")};
    const char *range = strstr(text, "\r\nRange: bytes="), *path = strchr(text, ' ');
    if (range)
        q->from = strtoll(range + 15, NULL, 10);
    q->token = strstr(text, "\r\nAuthorization: Bearer ") != NULL;
    size_t len = strcspn(path + 1, " \r");
    if (len >= sizeof q->path)
        return false;
    memcpy(q->path, path + 1, len);
    return true;
}

static bool fake_serve(struct fake_hub *h, const struct fake_request *q)
{
    pthread_mutex_lock(&h->lock);
    hn_buf_printf(&h->log, "%s %s", q->head ? "HEAD" : "GET", q->path);
    if (q->from >= 0)
        hn_buf_printf(&h->log, " from=%lld", q->from);
    hn_buf_add_str(&h->log, q->token ? " token\n" : "\n");
    pthread_mutex_unlock(&h->lock);
    if (h->token && !q->token)
        return fake_answer(q, 401, "X-Error-Code: RepoNotFound\r\n", "{}");
    if (strstr(q->path, "/revision/"))
        return fake_describe(h, q);
    if (strstr(q->path, "/tree/"))
        return fake_list(h, q);
    return fake_resolve(h, q);
}

struct fake_connection {
    struct fake_hub *hub;
    int fd;
};

static void *fake_talk(void *arg)
{
    struct fake_connection *c = arg;
    struct fake_request q;
    while (!atomic_load(&c->hub->stop) && fake_read(c->fd, &q) && fake_serve(c->hub, &q))
        ;
    shutdown(c->fd, SHUT_RDWR);
    close(c->fd);
    atomic_fetch_sub(&c->hub->busy, 1);
    free(c);
    return NULL;
}

static void *fake_accept(void *arg)
{
    struct fake_hub *h = arg;
    for (;;) {
        pthread_t t;
        int fd = accept(h->fd, NULL, NULL);
        if (fd < 0)
            return NULL;
        const struct timeval patience = {.tv_sec = 2};
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        struct fake_connection *c = malloc(sizeof *c);
        if (!c)
            abort();
        *c = (struct fake_connection){h, fd};
        atomic_fetch_add(&h->busy, 1);
        if (pthread_create(&t, NULL, fake_talk, c) != 0)
            abort();
        pthread_detach(t);
    }
}

static void fake_hub_start(struct fake_hub *h)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    pthread_mutex_init(&h->lock, NULL);
    h->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (h->fd < 0 || bind(h->fd, (struct sockaddr *)&a, sizeof a) != 0 || listen(h->fd, 16) != 0 ||
        getsockname(h->fd, (struct sockaddr *)&a, &n) != 0)
        abort();
    h->port = ntohs(a.sin_port);
    snprintf(h->url, sizeof h->url, "http://127.0.0.1:%d", h->port);
    if (pthread_create(&h->thread, NULL, fake_accept, h) != 0)
        abort();
}

static void fake_hub_stop(struct fake_hub *h)
{
    const struct timespec nap = {.tv_nsec = 2000000};
    atomic_store(&h->stop, true);
    shutdown(h->fd, SHUT_RDWR);
    close(h->fd);
    pthread_join(h->thread, NULL);
    while (atomic_load(&h->busy))
        nanosleep(&nap, NULL);
    hn_buf_release(&h->log);
}

/* How many lines of the log hold both words. */
static int fake_asked(struct fake_hub *h, const char *word, const char *other)
{
    int n = 0;
    pthread_mutex_lock(&h->lock);
    for (const char *line = hn_buf_str(&h->log), *end; (end = strchr(line, '\n')); line = end + 1) {
        const char *a = strstr(line, word), *b = strstr(line, other);
        n += a && a < end && b && b < end;
    }
    pthread_mutex_unlock(&h->lock);
    return n;
}

#endif

/* The C side of make_tokenizer_goldens.py: encodes and decodes what a file of records holds.
 *
 *     tokenize_driver TOKENIZER encode TEXTS OUT    texts -> per text: ids, ids with specials,
 *                                                   text of those, the same without specials
 *     tokenize_driver TOKENIZER decode IDS OUT      ids -> per list: text, text without specials
 *     tokenize_driver TOKENIZER time TEXTS OUT      only prints how long opening and encoding took
 *
 * A record is a 32-bit count of bytes and the bytes; ids are 32-bit integers.  A failed encoding is
 * one record holding the message after a byte 1; a good one starts with a byte 0. */
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/os.h"
#include "base/reader.h"
#include "hone/tokenizer.h"

static void put(FILE *f, const char *tag, const void *p, size_t n)
{
    uint32_t size = (uint32_t)(n + 1);
    fwrite(&size, 4, 1, f);
    fwrite(tag, 1, 1, f);
    fwrite(p, 1, n, f);
}

static int check_stream(const struct hone_tokenizer *t, const int32_t *ids, size_t n, int flags,
                        const char *text, size_t len)
{
    struct hone_detokenizer *d = NULL;
    struct hone_err err = {0};
    size_t at = 0;
    int bad = hone_detokenizer_open(&d, t, flags, &err);
    for (size_t i = 0; !bad && i <= n; i++) {
        const char *part;
        size_t k;
        bad = i < n ? hone_detokenizer_push(d, ids[i], &part, &k, &err)
                    : hone_detokenizer_flush(d, &part, &k, &err);
        bad = bad || at + k > len || memcmp(text + at, part, k) != 0;
        at += bad ? 0 : k;
    }
    hone_detokenizer_close(&d);
    return bad || at != len;
}

static void put_text(FILE *f, const struct hone_tokenizer *t, const int32_t *ids, size_t n,
                     int flags)
{
    struct hone_err err = {0};
    char *text = NULL;
    size_t len = 0;
    if (hone_tokenizer_decode(t, ids, n, flags, &text, &len, &err)) {
        put(f, "\1", err.message, strlen(err.message));
        return;
    }
    if (check_stream(t, ids, n, flags, text, len))
        put(f, "\1", "streaming differs", 17);
    else
        put(f, "\0", text, len);
    hone_free(text);
}

static void encode(FILE *f, const struct hone_tokenizer *t, struct hn_str s)
{
    struct hone_tokens ids = {0};
    for (int flags = 0; flags < 2; flags++) {
        struct hone_err err = {0};
        ids.n = 0;
        if (hone_tokenizer_encode(t, s.p, s.n, flags, &ids, &err))
            put(f, "\1", err.message, strlen(err.message));
        else
            put(f, "\0", ids.ids, ids.n * sizeof *ids.ids);
    }
    put_text(f, t, ids.ids, ids.n, 0);
    put_text(f, t, ids.ids, ids.n, HONE_SKIP_SPECIAL);
    hone_tokens_release(&ids);
}

int main(int argc, char **argv)
{
    struct hone_tokenizer *t = NULL;
    struct hone_err err = {0};
    struct hn_map m = {0};
    struct hn_reader r;
    double start = hn_now(), opened;
    size_t n_ids = 0, n_bytes = 0;
    if (argc != 5 || hone_tokenizer_open(&t, argv[1], &err) || hn_map_open(&m, argv[3], &err)) {
        fprintf(stderr, "%s\n", argc == 5 ? err.message : "see the top of tokenize_driver.c");
        return 1;
    }
    opened = hn_now();
    FILE *f = fopen(argv[4], "wb");
    hn_reader_init(&r, m.data, m.size);
    while (f && hn_reader_left(&r)) {
        struct hn_str s = hn_read_bytes(&r, hn_read_u32(&r));
        n_bytes += s.n;
        if (strcmp(argv[2], "encode") == 0) {
            encode(f, t, s);
        } else if (strcmp(argv[2], "decode") == 0) {
            static int32_t ids[1 << 16];
            memcpy(ids, s.p, s.n);
            put_text(f, t, ids, s.n / 4, 0);
            put_text(f, t, ids, s.n / 4, HONE_SKIP_SPECIAL);
        } else {
            struct hone_tokens out = {0};
            if (hone_tokenizer_encode(t, s.p, s.n, 0, &out, &err))
                fprintf(stderr, "%s\n", err.message);
            n_ids += out.n;
            hone_tokens_release(&out);
        }
    }
    double took = hn_now() - opened;
    if (strcmp(argv[2], "time") == 0)
        printf("open %.1f ms; %zu bytes, %zu tokens, %.1f ms, %.1f MB/s\n", (opened - start) * 1e3,
               n_bytes, n_ids, took * 1e3, (double)n_bytes / took / 1e6);
    hn_map_close(&m);
    hone_tokenizer_close(&t);
    return !f || fclose(f);
}

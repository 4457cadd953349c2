/* Rows of data from hostile files: whatever the bytes, a line is refused in one sentence or becomes
 * a record, and a record that is written reads back as the same one. */
#include <string.h>

#include "base/compiler.h"
#include "data/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_again(const struct hn_record *r)
{
    struct hn_record again;
    struct hn_buf first = {0}, second = {0};
    struct hone_err err = {0};
    hn_record_write(r, &first);
    HN_ASSERT(hn_utf8_check(first.data, first.len) == first.len);
    HN_ASSERT(!memchr(first.data, '\n', first.len));
    hn_record_init(&again);
    int rc =
        hn_record_parse(&again, first.data, first.len, HONE_RECORD_AUTO, HONE_RECORD_AUTO, &err);
    HN_ASSERT(rc == 0 && !again.empty);
    if (r->kind != HONE_RECORD_CHAT && r->kind != HONE_RECORD_COMPLETION) {
        HN_ASSERT(again.kind == HONE_RECORD_TEXT);
        HN_ASSERT(again.prompt_size == r->prompt_size);
    }
    hn_record_write(&again, &second);
    HN_ASSERT(first.len == second.len && memcmp(first.data, second.data, first.len) == 0);
    hn_buf_release(&first);
    hn_buf_release(&second);
    hn_record_release(&again);
}

/* The first byte chooses a forced kind, and whether values are cells; the rest is a file. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hn_record r;
    enum hone_record_kind forced = HONE_RECORD_AUTO, fallback = HONE_RECORD_AUTO;
    if (size == 0)
        return 0;
    if ((data[0] & 127) < HONE_RECORD_COUNT)
        forced = (enum hone_record_kind)(data[0] & 127);
    const char *p = (const char *)data + 1, *end = (const char *)data + size;
    hn_record_init(&r);
    r.cells = data[0] >> 7;
    while (p < end) {
        const char *newline = memchr(p, '\n', (size_t)(end - p));
        size_t n = newline ? (size_t)(newline - p) : (size_t)(end - p);
        struct hone_err err = {0};
        int rc = hn_record_parse(&r, p, n, forced, fallback, &err);
        if (rc)
            HN_ASSERT(rc == HONE_FAILED && err.message[0] && !strchr(err.message, '\n'));
        else if (!r.empty)
            check_again(&r);
        if (!rc && !r.empty)
            fallback = r.kind;
        p += n + 1;
    }
    hn_record_release(&r);
    return 0;
}

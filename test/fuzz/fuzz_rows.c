/* Hostile data files of every layout: rows come out, or one sentence; a row that was found is found
 * again by its offset, the same. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/compiler.h"
#include "data/row_scan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_again(const struct hn_row_scan *s, const struct hn_row_format *f, int fd)
{
    struct hn_row_scan again = {0};
    struct hone_err err = {0};
    hn_row_scan_start(&again, fd, f, s->row_at, s->row_line);
    HN_ASSERT(hn_row_scan_next(&again, &err) == 1);
    HN_ASSERT(again.row.len == s->row.len && again.at == s->at && again.line == s->line);
    HN_ASSERT(!s->row.len || memcmp(again.row.data, s->row.data, s->row.len) == 0);
    hn_row_scan_release(&again);
}

/* The first byte chooses a name; the rest is the file. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"a.jsonl", "a.json", "a.csv", "a.tsv"};
    struct hn_row_format format;
    struct hn_row_scan scan = {0};
    struct hone_err err = {0};
    uint64_t line = 0, before = 0;
    FILE *file = size ? tmpfile() : NULL;
    if (!file)
        return 0;
    fwrite(data + 1, 1, size - 1, file);
    fflush(file);
    int fd = fileno(file), rows = 0, rc;
    rc = hn_row_format_init(&format, fd, names[data[0] % HN_COUNT(names)], &line, &err);
    if (!rc) {
        hn_row_scan_start(&scan, fd, &format, format.begin, format.line);
        while ((rc = hn_row_scan_next(&scan, &err)) > 0) {
            HN_ASSERT(scan.row_at >= before && scan.at > scan.row_at && scan.at < size);
            before = scan.at;
            if (rows++ < 50)
                check_again(&scan, &format, fd);
        }
    }
    if (rc)
        HN_ASSERT(rc == HONE_FAILED && err.message[0] && !strchr(err.message, '\n'));
    hn_row_scan_release(&scan);
    hn_row_format_release(&format);
    fclose(file);
    return 0;
}

#include "text/charsmap.h"
#include "base/mem.h"
#include "base/reader.h"

#include <string.h>

struct hn_charsmap {
    uint32_t *units; /* [n_units] */
    size_t n_units;
    char *texts; /* [n_texts] NUL-terminated replacements, one after another */
    size_t n_texts;
};

int hn_charsmap_open(struct hn_charsmap **out, struct hn_str blob, struct hone_err *err)
{
    struct hn_reader r;
    *out = NULL;
    if (blob.n == 0)
        return 0;
    hn_reader_init(&r, blob.p, blob.n);
    uint32_t size = hn_read_u32(&r);
    if (r.failed || size % 4 || size == 0 || size > hn_reader_left(&r))
        return hn_fail(err, HONE_FAILED,
                       "the precompiled character map of %zu bytes is damaged: its trie would have "
                       "%u",
                       blob.n, size);
    struct hn_charsmap *m = hn_calloc(1, sizeof *m);
    if (m) {
        m->n_units = size / 4;
        m->n_texts = hn_reader_left(&r) - size;
        m->units = hn_calloc(m->n_units, sizeof *m->units);
        m->texts = hn_calloc(m->n_texts + 1, 1);
    }
    if (!m || !m->units || !m->texts) {
        hn_charsmap_close(&m);
        return hn_fail_memory(err, "reading a character map");
    }
    for (size_t i = 0; i < m->n_units; i++)
        m->units[i] = hn_read_u32(&r);
    struct hn_str texts = hn_read_bytes(&r, m->n_texts);
    memcpy(m->texts, texts.p, texts.n);
    *out = m;
    return 0;
}

void hn_charsmap_close(struct hn_charsmap **map)
{
    if (!*map)
        return;
    hn_free((*map)->units);
    hn_free((*map)->texts);
    hn_free(*map);
    *map = NULL;
}

/* A unit holds: bits 0-7 its label, 8 whether a leaf follows, 9 the scale of the offset, 10-30 the
 * offset; a leaf has bit 31 and its value.  (Darts-clone's DoubleArrayUnit.) */
static size_t offset_of(uint32_t unit)
{
    return (size_t)(unit >> 10) << ((unit & 1u << 9) >> 6);
}

size_t hn_charsmap_match(const struct hn_charsmap *map, struct hn_str s, bool exact,
                         struct hn_str *to)
{
    size_t best = 0, at = offset_of(map->units[0]);
    for (size_t i = 0; i < s.n; i++) {
        unsigned char byte = (unsigned char)s.p[i];
        at ^= byte;
        if (byte == 0 || at >= map->n_units || (map->units[at] & 0x800000ffu) != byte)
            break;
        uint32_t unit = map->units[at];
        at ^= offset_of(unit);
        if (!(unit >> 8 & 1) || (exact && i + 1 < s.n) || at >= map->n_units)
            continue;
        size_t value = map->units[at] & 0x7fffffffu;
        if (value > map->n_texts)
            break;
        best = i + 1;
        *to = hn_str_of(map->texts + value);
    }
    return best;
}

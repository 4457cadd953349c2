#include "data/notes.h"
#include "base/buf.h"
#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>

static void keep(struct hn_notes *notes, struct hn_buf *text)
{
    char *p = hn_buf_take(text);
    if (!p || hn_grow((void **)&notes->items, &notes->cap, notes->n + 1, sizeof *notes->items)) {
        hn_free(p);
        notes->failed = true;
        return;
    }
    notes->items[notes->n++] = p;
}

void hn_notes_add(struct hn_notes *notes, enum hn_note kind, const char *path, uint64_t line,
                  const char *fmt, ...)
{
    if (notes->counts[kind]++ >= HN_NOTES_EACH)
        return;
    char what[400];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(what, sizeof what, fmt, ap);
    va_end(ap);
    struct hn_buf text = {0};
    hn_buf_add_str(&text, path);
    if (line)
        hn_buf_printf(&text, ", line %llu", (unsigned long long)line);
    hn_buf_printf(&text, ": %s", what);
    keep(notes, &text);
}

int hn_notes_finish(struct hn_notes *notes, struct hone_err *err)
{
    static const char *const what[HN_NOTE_COUNT] = {
        "empty",
        "of another kind than the first of its file",
        "duplicates of an earlier one",
        "too long",
        "without a token that carries loss",
        "with a token across the start of the response",
        "with special tokens that the tokenizer adds again",
        "with other findings",
    };
    for (int k = 0; k < HN_NOTE_COUNT; k++) {
        uint64_t more = notes->counts[k] > HN_NOTES_EACH ? notes->counts[k] - HN_NOTES_EACH : 0;
        struct hn_buf text = {0};
        if (!more)
            continue;
        hn_buf_printf(&text, "and %llu more row%s %s", (unsigned long long)more,
                      more == 1 ? "" : "s", what[k]);
        keep(notes, &text);
    }
    return notes->failed ? hn_fail_memory(err, "noting what was found in the data") : 0;
}

void hn_notes_release(struct hn_notes *notes)
{
    for (size_t i = 0; i < notes->n; i++)
        hn_free(notes->items[i]);
    hn_free(notes->items);
    *notes = (struct hn_notes){0};
}

/* Tables and the memory plan: what is printed in columns. */
#include "cli/ui.h"

#include <stdarg.h>
#include <string.h>
#include "base/str.h"

enum { MAX_COLUMNS = 8 };

void hn_table_init(struct hn_table *t, size_t columns, unsigned right)
{
    HN_ASSERT(columns <= MAX_COLUMNS);
    *t = (struct hn_table){.columns = columns, .right = right};
}

void hn_table_add(struct hn_table *t, const char *fmt, ...)
{
    char text[1024];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    hn_buf_add(&t->cells, text, strlen(text) + 1);
    t->n++;
}

/* How wide each column is. */
static void measure(const struct hn_table *t, size_t widths[MAX_COLUMNS])
{
    const char *cell = hn_buf_str(&t->cells);
    size_t n = t->cells.failed ? 0 : t->n;
    for (size_t i = 0; i < n; i++, cell += strlen(cell) + 1) {
        size_t *w = &widths[i % t->columns];
        *w = HN_MAX(*w, hn_columns(cell, strlen(cell)));
    }
}

size_t hn_table_width(const struct hn_table *t)
{
    size_t widths[MAX_COLUMNS] = {0}, all = 0;
    measure(t, widths);
    for (size_t c = 0; c < t->columns; c++)
        all += 2 + widths[c];
    return all;
}

void hn_table_release(struct hn_table *t)
{
    hn_buf_release(&t->cells);
}

static void put_cell(struct hn_ui *ui, const char *cell, size_t width, bool right, bool last)
{
    size_t pad = width - HN_MIN(width, hn_columns(cell, strlen(cell)));
    if (right)
        fprintf(ui->out, "%*s%s", (int)pad, "", cell);
    else
        fprintf(ui->out, "%s%*s", cell, last ? 0 : (int)pad, "");
}

void hn_table_print(struct hn_table *t, struct hn_ui *ui, bool heading)
{
    size_t widths[MAX_COLUMNS] = {0};
    const char *cell = hn_buf_str(&t->cells);
    size_t n = t->cells.failed ? 0 : t->n;
    measure(t, widths);
    hn_ui_clear(ui);
    if (t->cells.failed)
        fprintf(ui->out, "  %s\n", hn_ui_str(&t->cells));
    for (size_t i = 0; i < n; i++, cell += strlen(cell) + 1) {
        size_t c = i % t->columns;
        bool bold = heading && i < t->columns, last = c + 1 == t->columns;
        fputs(c == 0 ? "  " : "  ", ui->out);
        fputs(bold ? hn_ui_style(ui, HN_BOLD) : "", ui->out);
        put_cell(ui, cell, widths[c], t->right >> c & 1, last);
        fputs(bold ? hn_ui_style(ui, HN_PLAIN) : "", ui->out);
        if (last)
            fputc('\n', ui->out);
    }
    fflush(ui->out);
    hn_table_release(t);
}

/* What the activations are that the backward pass finds. */
static void describe_kept(const struct hone_memory_plan *p, char *out, size_t size)
{
    static const char *const texts[] = {
        [HONE_CHECKPOINT_AUTO] = "activations for the backward pass",
        [HONE_CHECKPOINT_NONE] = "activations for the backward pass",
        [HONE_CHECKPOINT_FFN] = "activations for it; feed-forward halves are recomputed",
        [HONE_CHECKPOINT_BLOCKS] = "activations between blocks (blocks are recomputed)",
    };
    if (p->checkpointing == HONE_CHECKPOINT_FFN && p->segment)
        snprintf(out, size, "activations for it; %lld feed-forward halves are recomputed",
                 (long long)p->segment);
    else if (p->checkpointing == HONE_CHECKPOINT_SEGMENTS)
        snprintf(out, size, "between segments of %lld blocks (recomputed)", (long long)p->segment);
    else
        snprintf(out, size, "%s", texts[p->checkpointing]);
}

void hn_ui_plan(struct hn_ui *ui, const struct hone_memory_plan *p, const char *title)
{
    char kept[64];
    describe_kept(p, kept, sizeof kept);
    const struct {
        const char *name;
        uint64_t bytes;
        const char *what;
    } rows[] = {
        {"weights", p->weights, "the model's file, mapped"},
        {"repacked", p->repacked, "copies of weights in a faster layout"},
        {"adapter", p->adapter, "its parameters"},
        {"gradients", p->gradients, "of what is trained"},
        {"optimizer", p->optimizer, "its state"},
        {"kept", p->kept, kept},
        {"working", p->working, "activations within a block, scratch"},
        {"cache", p->cache, "keys and values"},
        {"process", p->process, "program, tokenizer, data index"},
    };
    char bytes[HN_UI_TEXT];
    struct hn_table t;
    hn_table_init(&t, 3, 2);
    for (size_t i = 0; i < HN_COUNT(rows); i++) {
        if (rows[i].bytes == 0)
            continue;
        hn_table_add(&t, "%s", rows[i].name);
        hn_table_add(&t, "%s", hn_ui_bytes(rows[i].bytes, bytes));
        hn_table_add(&t, "%s", rows[i].what);
    }
    hn_table_add(&t, "total");
    hn_table_add(&t, "%s", hn_ui_bytes(p->total, bytes));
    hn_table_add(&t, "expected peak");
    hn_ui_say(ui, HN_BOLD, "%s", title);
    hn_table_print(&t, ui, false);
}

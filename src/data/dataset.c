/* An index over data files: 24 bytes a row.  Rows are read and encoded when asked for. */
#include "hone/data.h"
#include "base/mem.h"
#include "data/encode.h"
#include "data/hash_set.h"
#include "data/source.h"

#include <string.h>

struct entry {
    uint64_t offset, line : 48, keys : 16;
    uint32_t length, file;
};

struct hone_dataset {
    struct hn_source source;
    struct hn_encoder encoder;
    struct hn_notes notes;
    char **paths; /* [n_paths] our copies */
    size_t n_paths;
    struct entry *rows;
    size_t cap;
    struct hone_dataset_info info;
};

static int copy_paths(struct hone_dataset *d, const char *const *paths, size_t n,
                      struct hone_err *err)
{
    d->paths = hn_calloc(n, sizeof *d->paths);
    for (size_t i = 0; d->paths && i < n; i++) {
        size_t size = strlen(paths[i]) + 1;
        d->paths[i] = hn_calloc(size, 1);
        if (!d->paths[i])
            break;
        memcpy(d->paths[i], paths[i], size);
        d->n_paths++;
    }
    return d->n_paths == n && d->paths ? 0 : hn_fail_memory(err, "opening data files");
}

/* Count what was found in the current row and tell it; false: the row is left out. */
static bool judge(struct hone_dataset *d, const struct hn_encoded *found)
{
    const struct hn_source *s = &d->source;
    const char *path = s->paths[s->file];
    long long limit = (long long)d->encoder.o.max_seq_length;
    if (found->truncated) {
        d->info.truncated++;
        d->info.cut_answers += found->answer_cut;
        hn_notes_add(&d->notes, HN_NOTE_TRUNCATED, path, s->line, "%zu tokens, truncated to %lld%s",
                     found->full_length, limit, found->answer_cut ? ": its answer has no end" : "");
    }
    d->info.double_bos += found->double_bos;
    if (found->straddles)
        hn_notes_add(&d->notes, HN_NOTE_STRADDLE, path, s->line,
                     "a token holds the prompt's end and the response's start; it is trained");
    if (found->double_bos)
        hn_notes_add(&d->notes, HN_NOTE_SPECIAL, path, s->line,
                     "the text starts with the begin token, and the tokenizer adds it again");
    if (found->trained)
        return true;
    d->info.unlabelled++;
    hn_notes_add(&d->notes, HN_NOTE_UNLABELLED, path, s->line,
                 "no token carries loss (%s), left out",
                 found->full_length < 2 ? "a row needs two tokens"
                 : found->responses     ? "none of the response is left after truncation"
                                        : "no response is marked");
    return false;
}

/* Count a length in the histogram, whose bins widen to twice as much where it lies beyond them. */
static void count_length(struct hone_dataset_info *info, uint64_t length)
{
    if (!info->lengths_width)
        info->lengths_width = 1;
    while (length >= info->lengths_width * HONE_LENGTH_BINS) {
        for (size_t i = 0; i < HONE_LENGTH_BINS; i++) {
            uint64_t n = info->lengths[i];
            info->lengths[i] = 0;
            info->lengths[i / 2] += n;
        }
        info->lengths_width *= 2;
    }
    info->lengths[length / info->lengths_width]++;
}

static int add_row(struct hone_dataset *d, struct hone_row *row, struct hn_hash_set *seen,
                   struct hone_err *err)
{
    struct hn_source *s = &d->source;
    struct hn_encoded found;
    int rc = hn_encoder_row(&d->encoder, &s->record, false, row, &found, err);
    if (rc)
        return rc == HONE_NO_MEMORY ? rc : hn_source_blame(s, err);
    uint64_t hash = hn_hash(d->encoder.text.data, d->encoder.text.len);
    int known = hn_hash_set_add(seen, hash);
    if (known < 0 || hn_grow((void **)&d->rows, &d->cap, d->info.rows + 1, sizeof *d->rows))
        return hn_fail_memory(err, "indexing the data");
    if (known) {
        d->info.duplicates++;
        hn_notes_add(&d->notes, HN_NOTE_DUPLICATE, s->paths[s->file], s->line,
                     "the same as an earlier row");
    }
    if (!judge(d, &found))
        return 0;
    d->rows[d->info.rows++] = (struct entry){.offset = s->offset,
                                             .line = s->line & (((uint64_t)1 << 48) - 1),
                                             .keys = (uint16_t)HN_MIN(s->record.n_keys, 65535u),
                                             .length = (uint32_t)row->tokens.n,
                                             .file = (uint32_t)s->file};
    count_length(&d->info, found.full_length);
    d->info.tokens += row->tokens.n;
    d->info.max_tokens = HN_MAX(d->info.max_tokens, (uint64_t)row->tokens.n);
    d->info.trained_tokens += found.trained;
    return 0;
}

static int fail_no_rows(const struct hone_dataset *d, struct hone_err *err)
{
    const char *first = d->paths[0],
               *more = d->n_paths > 1 ? " and the other data files hold" : " holds";
    unsigned long long empty = d->info.empty, unlabelled = d->info.unlabelled;
    if (unlabelled)
        return hn_fail(err, HONE_FAILED,
                       "%s%s no row with a token that carries loss (%llu without, %llu "
                       "empty)%s%s",
                       first, more, unlabelled, empty, d->notes.n ? "; " : "",
                       d->notes.n ? d->notes.items[d->notes.n - 1] : "");
    return hn_fail(err, HONE_FAILED,
                   "%s%s no rows (%llu empty), expected objects with the keys of a record", first,
                   more, empty);
}

/* What is no fault of hone's training (it pads nothing), and of others' is one. */
static void note_padding(struct hone_dataset *d)
{
    const struct hone_tokenizer_info *t = &d->encoder.info;
    if (t->pad < 0 || t->pad != t->eos)
        return;
    hn_notes_add(&d->notes, HN_NOTE_OTHER, d->paths[0], 0,
                 "the tokenizer pads with its end token %s; hone pads nothing and trains the end",
                 hone_tokenizer_token(d->encoder.o.tokenizer, t->eos));
}

static int read_all(struct hone_dataset *d, struct hone_err *err)
{
    struct hone_row row = {0};
    struct hn_hash_set seen = {0};
    int rc;
    while ((rc = hn_source_next(&d->source, err)) > 0) {
        rc = add_row(d, &row, &seen, err);
        if (rc)
            break;
    }
    hn_hash_set_release(&seen);
    hone_row_release(&row);
    for (size_t i = 0; i < d->source.n; i++)
        d->info.empty += d->source.files[i].empty;
    if (!rc && d->info.rows == 0)
        rc = fail_no_rows(d, err);
    if (!rc)
        note_padding(d);
    rc = rc ? rc : hn_notes_finish(&d->notes, err);
    d->info.notes = d->notes.items;
    d->info.n_notes = d->notes.n;
    return rc;
}

int hone_dataset_open(struct hone_dataset **out, const char *const *paths, size_t n_paths,
                      const struct hone_dataset_options *o, struct hone_err *err)
{
    struct hone_dataset *d = hn_calloc(1, sizeof *d);
    if (!d)
        return hn_fail_memory(err, "opening data files");
    int rc = copy_paths(d, paths, n_paths, err);
    rc = rc ? rc : hn_encoder_init(&d->encoder, o, err);
    rc = rc ? rc
            : hn_source_open(&d->source, (const char *const *)d->paths, n_paths, o->format,
                             &d->notes, err);
    rc = rc ? rc : read_all(d, err);
    if (rc)
        hone_dataset_close(&d);
    else
        *out = d;
    return rc;
}

void hone_dataset_close(struct hone_dataset **d)
{
    if (!d || !*d)
        return;
    hn_source_close(&(*d)->source);
    hn_encoder_release(&(*d)->encoder);
    hn_notes_release(&(*d)->notes);
    for (size_t i = 0; i < (*d)->n_paths; i++)
        hn_free((*d)->paths[i]);
    hn_free((*d)->paths);
    hn_free((*d)->rows);
    hn_free(*d);
    *d = NULL;
}

void hone_dataset_info(const struct hone_dataset *d, struct hone_dataset_info *out)
{
    *out = d->info;
}

int64_t hone_dataset_length(const struct hone_dataset *d, uint64_t i)
{
    HN_ASSERT(i < d->info.rows);
    return d->rows[i].length;
}

unsigned hone_dataset_keys(const struct hone_dataset *d, uint64_t i)
{
    HN_ASSERT(i < d->info.rows);
    return (unsigned)d->rows[i].keys;
}

int hone_dataset_read(struct hone_dataset *d, uint64_t i, struct hone_row *row,
                      struct hone_err *err)
{
    struct hn_encoded found;
    HN_ASSERT(i < d->info.rows);
    const struct entry *e = &d->rows[i];
    int rc = hn_source_at(&d->source, e->file, e->offset, e->line, err);
    if (rc)
        return rc;
    rc = hn_encoder_row(&d->encoder, &d->source.record, true, row, &found, err);
    /* The plan of a step was made from the lengths that were seen when the file was opened. */
    if (!rc && row->tokens.n != e->length)
        rc = hn_fail(err, HONE_FAILED,
                     "found %zu tokens, %u when the file was opened: it has changed while in use",
                     row->tokens.n, e->length);
    if (rc)
        return rc == HONE_NO_MEMORY ? rc : hn_source_blame(&d->source, err);
    row->path = d->paths[e->file];
    row->line = e->line;
    return 0;
}

void hone_row_release(struct hone_row *row)
{
    hone_tokens_release(&row->tokens);
    hn_free(row->trained);
    hn_free(row->text);
    hn_free(row->prompt);
    hn_free(row->expected);
    *row = (struct hone_row){0};
}

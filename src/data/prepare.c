/* hone prepare.  Two readings of the input: the first checks and measures every row and keeps 16
 * bytes of it; the second, in the shuffled order, writes the rows. */
#include "hone/data.h"
#include "base/file.h"
#include "base/mem.h"
#include "data/lengths.h"
#include "data/row_index.h"
#include "data/source.h"
#include "data/truncate.h"

#include <errno.h>
#include <math.h>
#include <string.h>

enum { TRAIN, VALID, TEST, N_SPLITS };
static const char *const split_names[N_SPLITS] = {"train.jsonl", "valid.jsonl", "test.jsonl"};

struct prepare {
    const struct hone_prepare_options *o;
    struct hn_source source;
    struct hn_row_index index;
    struct hn_notes notes;
    struct hn_encoder encoder; /* when lengths are measured */
    struct hn_lengths lengths;
    struct hone_row row; /* scratch */
    struct hn_buf line;
    uint64_t truncated, duplicates, dropped;

    hone_progress_fn *progress;
    void *arg;
    uint64_t told; /* bytes at the last call of progress */
    struct hone_err *err;
};

void hone_prepare_defaults(struct hone_prepare_options *o)
{
    *o = (struct hone_prepare_options){.shuffle = true, .append_eos = true};
}

static bool is_file_name(const char *output)
{
    return hn_ends_with(output, ".jsonl") && !hn_dir_exists(output);
}

static int check_options(const struct hone_prepare_options *o, struct hone_err *err)
{
    double v = o->valid_fraction, t = o->test_fraction;
    if (o->n_inputs == 0)
        return hn_fail(err, HONE_USAGE, "no input file is given");
    if (!o->output || !*o->output)
        return hn_fail(err, HONE_USAGE, "no output directory or .jsonl file is given");
    if (!(v >= 0 && v < 1 && t >= 0 && t < 1 && v + t < 1))
        return hn_fail(err, HONE_USAGE,
                       "valid_fraction is %g and test_fraction %g, expected 0 or more, together "
                       "less than 1",
                       v, t);
    if (o->valid_rows < 0 || o->test_rows < 0 || (o->valid_rows && v > 0) ||
        (o->test_rows && t > 0))
        return hn_fail(err, HONE_USAGE,
                       "%s rows: expected 0 or more of them, and not beside a fraction",
                       o->valid_rows < 0 || (o->valid_rows && v > 0) ? "valid" : "test");
    if ((v > 0 || t > 0 || o->valid_rows || o->test_rows) && is_file_name(o->output))
        return hn_fail(err, HONE_USAGE,
                       "%s is one file, expected a directory to hold the valid and test splits",
                       o->output);
    if (o->max_seq_length < 0)
        return hn_fail(err, HONE_USAGE, "max_seq_length is %lld, expected 0 (no limit) or more",
                       (long long)o->max_seq_length);
    if (o->max_seq_length && !o->tokenizer)
        return hn_fail(err, HONE_USAGE,
                       "max_seq_length counts tokens: name the model whose tokenizer counts them");
    return 0;
}

/* Bytes of work done, of twice the input; tells at every 256 KiB and at the end. */
static int tell(struct prepare *p, uint64_t done)
{
    uint64_t total = 2 * p->source.size;
    if (!p->progress || (done - p->told < 1 << 18 && done < total))
        return 0;
    p->told = done;
    if (p->progress(p->arg, done, total))
        return hn_fail(p->err, HONE_INTERRUPTED, "stopped; no output was written");
    return 0;
}

static int blame(struct prepare *p, int rc)
{
    return rc && rc != HONE_NO_MEMORY ? hn_source_blame(&p->source, p->err) : rc;
}

/* Tokens of the current row, which is truncated if it must be. */
static int measure(struct prepare *p, size_t *tokens, size_t *before, bool *double_bos)
{
    struct hn_encoded found;
    size_t limit = (size_t)p->o->max_seq_length;
    int rc = hn_encoder_row(&p->encoder, &p->source.record, false, &p->row, &found, p->err);
    *tokens = *before = found.full_length;
    *double_bos = found.double_bos;
    if (!rc && limit && *tokens > limit)
        rc = hn_record_truncate(&p->source.record, &p->encoder, limit, tokens, p->err);
    return blame(p, rc);
}

static int look_at(struct prepare *p)
{
    const struct hn_source *s = &p->source;
    unsigned marks = 0;
    hn_buf_clear(&p->line);
    hn_record_write(&s->record, &p->line);
    if (p->line.failed)
        return hn_fail_memory(p->err, "reading a row");
    uint64_t hash = hn_hash(p->line.data, p->line.len);
    if (p->o->tokenizer) {
        size_t tokens, before;
        bool double_bos;
        int rc = measure(p, &tokens, &before, &double_bos);
        if (rc)
            return rc;
        if (hn_lengths_add(&p->lengths, tokens, 1))
            return hn_fail_memory(p->err, "measuring the rows");
        if (double_bos)
            hn_notes_add(&p->notes, HN_NOTE_SPECIAL, s->paths[s->file], s->line,
                         "the text starts with the begin token, and the tokenizer adds it again");
        if (tokens < before) {
            marks = HN_ROW_LONG;
            p->truncated++;
            hn_notes_add(&p->notes, HN_NOTE_TRUNCATED, s->paths[s->file], s->line,
                         "%zu tokens, truncated to %zu", before, tokens);
        }
    }
    return hn_row_index_add(&p->index, s->file, s->offset, hash, marks, p->err);
}

static int first_reading(struct prepare *p)
{
    int rc;
    while ((rc = hn_source_next(&p->source, p->err)) > 0) {
        rc = look_at(p);
        rc = rc ? rc : tell(p, hn_source_done(&p->source));
        if (rc)
            return rc;
    }
    if (!rc && p->index.n == 0)
        rc = hn_fail(p->err, HONE_FAILED,
                     "%s%s no rows (%llu empty), expected objects with the keys of a record",
                     p->o->inputs[0], p->o->n_inputs > 1 ? " and the other inputs hold" : " holds",
                     (unsigned long long)p->notes.counts[HN_NOTE_EMPTY]);
    return rc;
}

/* ---- duplicates ------------------------------------------------------------------------------ */

struct pairs {
    struct hn_row_at duplicate[HN_NOTES_EACH], first[HN_NOTES_EACH];
    uint64_t duplicate_line[HN_NOTES_EACH], first_line[HN_NOTES_EACH];
    size_t n;
};

/* Keep the pairs whose duplicate comes first in order of reading. */
static void keep_pair(void *arg, struct hn_row_at duplicate, struct hn_row_at first)
{
    struct pairs *p = arg;
    size_t i = p->n;
    if (i == HN_NOTES_EACH && p->duplicate[--i].place < duplicate.place)
        return;
    for (; i > 0 && p->duplicate[i - 1].place > duplicate.place; i--) {
        p->duplicate[i] = p->duplicate[i - 1];
        p->first[i] = p->first[i - 1];
    }
    p->duplicate[i] = duplicate;
    p->first[i] = first;
    p->n += p->n < HN_NOTES_EACH;
}

/* Line numbers are not kept: count them again in the files that the pairs are in. */
static int find_lines(struct prepare *p, struct pairs *pairs, size_t file)
{
    size_t left = 0;
    for (size_t i = 0; i < pairs->n; i++)
        left += (hn_row_file(pairs->duplicate[i]) == file) + (hn_row_file(pairs->first[i]) == file);
    if (!left)
        return 0;
    const struct hn_source_file *f = &p->source.files[file];
    struct hn_row_scan scan = {0};
    int rc = 0;
    hn_row_scan_start(&scan, f->fd, &f->format, f->format.begin, f->format.line);
    while (left && (rc = hn_row_scan_next(&scan, p->err)) > 0) {
        for (size_t i = 0; i < pairs->n; i++) {
            struct hn_row_at d = pairs->duplicate[i], first = pairs->first[i];
            if (hn_row_file(d) == file && hn_row_offset(d) == scan.row_at)
                pairs->duplicate_line[i] = scan.row_line, left--;
            if (hn_row_file(first) == file && hn_row_offset(first) == scan.row_at)
                pairs->first_line[i] = scan.row_line, left--;
        }
    }
    hn_row_scan_release(&scan);
    return rc < 0 ? rc : 0;
}

/* A duplicate that is left out is taken back from what was measured. */
static int take_back(struct prepare *p, struct hn_row_at r)
{
    size_t tokens, before;
    bool double_bos;
    int rc = hn_source_at(&p->source, hn_row_file(r), hn_row_offset(r), 0, p->err);
    rc = rc ? rc : measure(p, &tokens, &before, &double_bos);
    if (rc)
        return rc;
    p->truncated -= (r.place & HN_ROW_LONG) != 0;
    return hn_lengths_add(&p->lengths, tokens, -1) ? hn_fail_memory(p->err, "measuring the rows")
                                                   : 0;
}

static int drop_duplicates(struct prepare *p)
{
    size_t kept = 0;
    for (size_t i = 0; i < p->index.n; i++) {
        struct hn_row_at r = p->index.rows[i];
        if (!(r.place & HN_ROW_DUPLICATE)) {
            p->index.rows[kept++] = r;
            continue;
        }
        int rc = p->o->tokenizer ? take_back(p, r) : 0;
        if (rc)
            return rc;
        p->dropped++;
    }
    p->index.n = kept;
    return 0;
}

static int find_duplicates(struct prepare *p)
{
    struct pairs pairs = {0};
    p->duplicates = hn_row_index_mark(&p->index, keep_pair, &pairs);
    int rc = 0;
    for (size_t file = 0; file < p->o->n_inputs && !rc; file++)
        rc = find_lines(p, &pairs, file);
    for (size_t i = 0; i < pairs.n && !rc; i++)
        hn_notes_add(&p->notes, HN_NOTE_DUPLICATE, p->o->inputs[hn_row_file(pairs.duplicate[i])],
                     pairs.duplicate_line[i], "the same as %s, line %llu%s",
                     p->o->inputs[hn_row_file(pairs.first[i])],
                     (unsigned long long)pairs.first_line[i],
                     p->o->drop_duplicates ? ", left out" : "");
    p->notes.counts[HN_NOTE_DUPLICATE] = p->duplicates;
    if (!rc && p->o->drop_duplicates)
        rc = drop_duplicates(p);
    return rc;
}

/* ---- writing --------------------------------------------------------------------------------- */

/* Rows of each split: train, valid, test, in the index's order.  A split that is asked for gets a
 * row while there are rows for it, train first; more rows than there are leave one to train on. */
static void split(const struct prepare *p, uint64_t counts[N_SPLITS])
{
    uint64_t n = p->index.n, left = n - 1;
    double fractions[N_SPLITS] = {0, p->o->valid_fraction, p->o->test_fraction};
    uint64_t rows[N_SPLITS] = {0, (uint64_t)p->o->valid_rows, (uint64_t)p->o->test_rows};
    for (int k = VALID; k <= TEST; k++) {
        uint64_t want = fractions[k] > 0 ? (uint64_t)llround(fractions[k] * (double)n) : rows[k];
        if (fractions[k] > 0 && want == 0)
            want = 1;
        counts[k] = HN_MIN(want, left);
        left -= counts[k];
    }
    if (fractions[TEST] > 0 && counts[TEST] == 0 && counts[VALID] > 1) {
        counts[VALID]--;
        counts[TEST]++;
    }
    counts[TRAIN] = n - counts[VALID] - counts[TEST];
}

static int write_row(struct prepare *p, struct hn_row_at r, struct hn_file_writer *w)
{
    int rc = hn_source_at(&p->source, hn_row_file(r), hn_row_offset(r), 0, p->err);
    if (!rc && r.place & HN_ROW_LONG) {
        size_t tokens, before;
        bool double_bos;
        rc = measure(p, &tokens, &before, &double_bos);
    }
    if (rc)
        return rc;
    hn_buf_clear(&p->line);
    hn_record_write(&p->source.record, &p->line);
    hn_buf_add_char(&p->line, '\n');
    if (p->line.failed)
        return hn_fail_memory(p->err, "writing a row");
    hn_file_writer_add(w, p->line.data, p->line.len);
    return w->error
               ? hn_fail(p->err, HONE_FAILED, "cannot write %s: %s", w->temp, strerror(w->error))
               : 0;
}

static int open_outputs(struct prepare *p, const uint64_t counts[N_SPLITS],
                        struct hn_file_writer w[N_SPLITS])
{
    const char *output = p->o->output;
    if (is_file_name(output))
        return hn_file_writer_open(&w[TRAIN], output, p->err);
    int rc = hn_dir_make(output, p->err);
    for (int k = 0; k < N_SPLITS && !rc; k++) {
        char *path = hn_path_join(output, split_names[k]);
        if (!path)
            return hn_fail_memory(p->err, "writing the rows");
        hn_file_sweep(path);
        if (counts[k])
            rc = hn_file_writer_open(&w[k], path, p->err);
        else if (hn_file_exists(path))
            hn_notes_add(&p->notes, HN_NOTE_OTHER, path, 0,
                         "from an earlier run, left as it is; remove it if it is not wanted");
        hn_free(path);
    }
    return rc;
}

/* All is written before the first output appears, so that a full disk leaves none. */
static int commit(struct prepare *p, struct hn_file_writer w[N_SPLITS])
{
    int rc = 0;
    for (int k = 0; k < N_SPLITS; k++)
        if (w[k].f && fflush(w[k].f) != 0)
            rc = hn_fail(p->err, HONE_FAILED, "cannot write %s: %s", w[k].temp, strerror(errno));
    for (int k = 0; k < N_SPLITS && !rc; k++)
        if (w[k].f)
            rc = hn_file_writer_commit(&w[k], p->err);
    return rc;
}

static int second_reading(struct prepare *p, const uint64_t counts[N_SPLITS],
                          struct hn_file_writer w[N_SPLITS])
{
    int rc = open_outputs(p, counts, w), k = TRAIN;
    uint64_t in_split = 0;
    for (size_t i = 0; i < p->index.n && !rc; i++, in_split++) {
        for (; in_split == counts[k]; in_split = 0)
            k++;
        rc = write_row(p, p->index.rows[i], &w[k]);
        double part = (double)(i + 1) / (double)p->index.n;
        rc = rc ? rc : tell(p, p->source.size + (uint64_t)(part * (double)p->source.size));
    }
    return rc;
}

/* ---- the report ------------------------------------------------------------------------------ */

static int fill_report(struct prepare *p, const uint64_t counts[N_SPLITS],
                       struct hone_prepare_report *r)
{
    int rc = hn_notes_finish(&p->notes, p->err);
    *r = (struct hone_prepare_report){
        .rows = p->index.n + p->dropped,
        .train_rows = counts[TRAIN],
        .valid_rows = counts[VALID],
        .test_rows = counts[TEST],
        .duplicates = p->duplicates,
        .truncated = p->truncated,
        .measured = p->o->tokenizer != NULL,
        .tokens = p->lengths.sum,
        .min_tokens = p->lengths.min,
        .median_tokens = hn_lengths_quantile(&p->lengths, 0.5),
        .p95_tokens = hn_lengths_quantile(&p->lengths, 0.95),
        .max_tokens = p->lengths.max,
    };
    r->files = hn_calloc(p->o->n_inputs, sizeof *r->files);
    if (rc || !r->files)
        return hn_fail_memory(p->err, "reporting on the data");
    r->n_files = p->o->n_inputs;
    for (size_t i = 0; i < r->n_files; i++) {
        const struct hn_source_file *f = &p->source.files[i];
        r->files[i].path = p->o->inputs[i];
        r->files[i].kind = f->kind;
        r->files[i].rows = f->rows;
        r->files[i].empty = f->empty;
        r->empty += f->empty;
    }
    r->notes = p->notes.items;
    r->n_notes = p->notes.n;
    p->notes = (struct hn_notes){0};
    return 0;
}

void hone_prepare_report_release(struct hone_prepare_report *r)
{
    struct hn_notes notes = {.items = r->notes, .n = r->n_notes};
    hn_notes_release(&notes);
    hn_free(r->files);
    *r = (struct hone_prepare_report){0};
}

static int run(struct prepare *p, struct hone_prepare_report *report)
{
    const struct hone_prepare_options *o = p->o;
    uint64_t counts[N_SPLITS];
    int rc = check_options(o, p->err);
    if (!rc && o->tokenizer) {
        struct hone_dataset_options d = {.tokenizer = o->tokenizer,
                                         .append_eos = o->append_eos,
                                         .plain_completions = o->plain_completions};
        rc = hn_encoder_init(&p->encoder, &d, p->err);
    }
    rc = rc ? rc : hn_source_open(&p->source, o->inputs, o->n_inputs, o->format, &p->notes, p->err);
    rc = rc ? rc : first_reading(p);
    rc = rc ? rc : find_duplicates(p);
    if (rc)
        return rc;
    if (o->shuffle)
        hn_row_index_shuffle(&p->index, o->seed);
    split(p, counts);
    if (p->duplicates && !o->drop_duplicates && counts[VALID] + counts[TEST])
        hn_notes_add(
            &p->notes, HN_NOTE_OTHER, o->output, 0,
            "with duplicates kept, rows of the held-out splits may also be in train.jsonl");
    struct hn_file_writer w[N_SPLITS] = {0};
    struct hone_prepare_report r = {0};
    rc = second_reading(p, counts, w);
    rc = rc ? rc : fill_report(p, counts, &r);
    rc = rc ? rc : commit(p, w); /* last: nothing can fail once the outputs are there */
    for (int k = 0; k < N_SPLITS; k++)
        hn_file_writer_cancel(&w[k]);
    if (rc)
        hone_prepare_report_release(&r);
    else
        *report = r;
    return rc;
}

int hone_prepare(const struct hone_prepare_options *o, hone_progress_fn *progress, void *arg,
                 struct hone_prepare_report *report, struct hone_err *err)
{
    struct prepare p = {.o = o, .progress = progress, .arg = arg, .err = err};
    int rc = run(&p, report);
    hn_source_close(&p.source);
    hn_row_index_release(&p.index);
    hn_notes_release(&p.notes);
    hn_encoder_release(&p.encoder);
    hn_lengths_release(&p.lengths);
    hone_row_release(&p.row);
    hn_buf_release(&p.line);
    return rc;
}

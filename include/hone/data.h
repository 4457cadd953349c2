/* Training rows: formats, preparation, and reading them back as tokens. */
#ifndef HONE_DATA_H
#define HONE_DATA_H

#include "hone/tokenizer.h"

enum hone_record_kind { /* told apart by their keys, in this order */
                        HONE_RECORD_AUTO,
                        HONE_RECORD_CHAT,       /* messages, or ShareGPT's conversations */
                        HONE_RECORD_COMPLETION, /* prompt + completion */
                        HONE_RECORD_TASK,       /* task, or instruction + response */
                        HONE_RECORD_ALPACA,     /* instruction + output (+ input) */
                        HONE_RECORD_TEXT,       /* text */
                        HONE_RECORD_COUNT
};
const char *hone_record_kind_name(enum hone_record_kind kind);
/* HONE_RECORD_COUNT when the name is unknown. */
enum hone_record_kind hone_record_kind_find(const char *name);

/* ---- hone prepare ---------------------------------------------------------------------------- */

struct hone_prepare_options {
    const char *const *inputs;
    size_t n_inputs;
    const char *output;           /* a directory (train/valid/test.jsonl) or one .jsonl file */
    enum hone_record_kind format; /* HONE_RECORD_AUTO: detect, per file */
    bool shuffle;                 /* true */
    uint64_t seed;                /* 0 */
    double valid_fraction, test_fraction; /* 0, 0; only with a directory as output */
    int64_t valid_rows, test_rows;        /* 0, 0: as many rows, in place of a fraction */
    const struct hone_tokenizer
        *tokenizer;         /* NULL: lengths are not measured, nothing is truncated */
    int64_t max_seq_length; /* 0: no limit; needs the tokenizer */
    bool append_eos;        /* counted in the lengths */
    bool plain_completions; /* as in hone_dataset_options */
    bool drop_duplicates;   /* false: they are counted and kept */
};
void hone_prepare_defaults(struct hone_prepare_options *o);

struct hone_prepare_report {
    struct hone_prepare_file {
        const char *path; /* borrowed from the options */
        enum hone_record_kind kind;
        uint64_t rows, empty;
    } * files;
    size_t n_files;
    uint64_t rows, train_rows, valid_rows, test_rows, empty, duplicates, truncated;
    /* tokens, when measured: */
    bool measured;
    uint64_t tokens, min_tokens, median_tokens, p95_tokens, max_tokens;
    /* file:line of the first few rows of each finding, as text lines for people; NULL-free array */
    char **notes;
    size_t n_notes;
};
void hone_prepare_report_release(struct hone_prepare_report *r);

/* Read, format, shuffle, split and write.  Outputs appear only when all of it has succeeded.
 * progress (may be NULL) gets bytes done and in all; a non-zero result stops. */
typedef int hone_progress_fn(void *arg, uint64_t done, uint64_t total);
int hone_prepare(const struct hone_prepare_options *o, hone_progress_fn *progress, void *arg,
                 struct hone_prepare_report *report, struct hone_err *err);

/* ---- rows as a model sees them ------------------------------------------------------------------
 */

struct hone_dataset; /* an index over data files; rows are read and encoded when asked for */

struct hone_dataset_options {
    const struct hone_tokenizer *tokenizer;
    enum hone_record_kind format; /* HONE_RECORD_AUTO */
    int64_t max_seq_length;       /* longer rows are truncated; 0: never */
    bool append_eos;              /* add the end token if it is not last (not to chat rows, whose
                                     template ends them) */
    bool mask_prompt;             /* loss on responses only (every assistant turn of a chat); a row
                                     without a response is `unlabelled` then */
    bool train_last_turn;   /* with mask_prompt: of a chat only what follows the prompt of its last
                               message, counted in tokens, as mlx_lm does */
    bool plain_completions; /* join prompt and completion as they are, as TRL does; false: where the
                               model has a chat template, as a turn each, as mlx_lm does */
    bool train_padding; /* predict one token 0 after each row that is shorter than max_seq_length,
                         as mlx_lm does; counted in lengths */
};

/* The file of a split ("train", "valid" or "test") in a folder: split.jsonl, .json, .csv or .tsv,
 * the first that is there; validation rows may also be called validation, val or dev.  Where data
 * is no folder it is the file.  *path is freed with hone_free; HONE_NOT_FOUND when there is none.
 */
int hone_data_find(const char *data, const char *split, char **path, struct hone_err *err);

/* paths: files of rows: JSON Lines, JSON arrays, CSV or TSV.  Every row is checked here: a
 * malformed one fails by file and line, an empty one is dropped and counted.  No row left is a
 * failure too.  A data set belongs to one thread. */
int hone_dataset_open(struct hone_dataset **out, const char *const *paths, size_t n_paths,
                      const struct hone_dataset_options *o, struct hone_err *err);
void hone_dataset_close(struct hone_dataset **d);

enum { HONE_LENGTH_BINS = 48 };

struct hone_dataset_info {
    uint64_t rows, empty, truncated, duplicates;
    uint64_t
        cut_answers;     /* of the truncated: those whose response lost its end, or all of itself */
    uint64_t double_bos; /* rows that begin with the token that the tokenizer adds once more */
    uint64_t unlabelled; /* rows in which no token carries loss; kept out of rows */
    uint64_t tokens, max_tokens, trained_tokens;
    /* Rows by their length before truncation: lengths[i] have i*lengths_width tokens up to below
     * (i+1)*lengths_width. */
    uint64_t lengths[HONE_LENGTH_BINS], lengths_width;
    char **notes; /* [n_notes] findings for people, each with file and line; borrowed */
    size_t n_notes;
};
void hone_dataset_info(const struct hone_dataset *d, struct hone_dataset_info *out);
/* Tokens of row i without reading it. */
int64_t hone_dataset_length(const struct hone_dataset *d, uint64_t i);
/* Keys of the record that row i comes from (65535: as many or more): mlx_lm sorts rows by it. */
unsigned hone_dataset_keys(const struct hone_dataset *d, uint64_t i);

struct hone_row {
    struct hone_tokens tokens;
    uint8_t
        *trained; /* [tokens.n] 1 where this token is to be predicted with loss (never the first) */
    size_t trained_cap;
    /* where it came from, and its parts as text (borrowed until the next read into this row): */
    const char *path;
    uint64_t line;
    enum hone_record_kind kind;
    /* Each is NUL-terminated; the sizes count, for text may hold NULs. */
    char *text;     /* the whole row as text, before it is truncated to max_seq_length */
    char *prompt;   /* up to the response, its marker included; NULL when there is no response */
    char *expected; /* the response that follows the prompt */
    size_t text_size, prompt_size, expected_size;
    bool templated; /* text and prompt come from the chat template and hold their special tokens:
                       encode them without HONE_ADD_SPECIAL */
};
void hone_row_release(struct hone_row *row);
/* Row i in file order, i < info.rows.  row is zero-initialised before its first use; on failure it
 * may be read into again or released. */
int hone_dataset_read(struct hone_dataset *d, uint64_t i, struct hone_row *row,
                      struct hone_err *err);

#endif

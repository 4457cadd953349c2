/* tokenizer.model: SentencePiece's ModelProto, read field by field over the checked cursor.
 * (sentencepiece_model.proto: pieces = 1, trainer_spec = 2, normalizer_spec = 3.) */
#include "base/mem.h"
#include "base/reader.h"
#include "text/tokenizer_spm.h"

#include <string.h>

struct field {
    uint32_t number;
    uint32_t wire;
    uint64_t value;      /* wire types 0, 1, 5 */
    struct hn_str bytes; /* wire type 2 */
};

/* The next field: 1; 0 at the end; -1 when it is damaged. */
static int next_field(struct hn_reader *r, struct field *f)
{
    if (hn_reader_left(r) == 0 || r->failed)
        return r->failed ? -1 : 0;
    uint64_t key = hn_read_varint(r);
    *f = (struct field){.number = (uint32_t)(key >> 3), .wire = (uint32_t)(key & 7)};
    switch (f->wire) {
    case 0:
        f->value = hn_read_varint(r);
        break;
    case 1:
        f->value = hn_read_u64(r);
        break;
    case 2:
        f->bytes = hn_read_bytes(r, hn_read_varint(r));
        break;
    case 5:
        f->value = hn_read_u32(r);
        break;
    default:
        return -1;
    }
    return r->failed || key >> 32 || f->number == 0 ? -1 : 1;
}

struct model {
    struct hone_tokenizer *t;
    const char *path;
    struct hone_err *err;
    struct hn_spm_source spm;
    float *scores;
    uint8_t *types;
    char *texts; /* where the next piece's text goes */
    size_t n;    /* pieces */
    int64_t model_type, unk, bos, eos, pad;
};

static int damaged(const struct model *m, const char *where, size_t at)
{
    return hn_fail(m->err, HONE_FAILED,
                   "%s: %s is damaged near byte %zu; expected a SentencePiece model", m->path,
                   where, at);
}

static float as_float(uint64_t bits)
{
    uint32_t low = (uint32_t)bits;
    float f;
    memcpy(&f, &low, sizeof f);
    return f;
}

static int read_piece(struct model *m, struct hn_str bytes, size_t id)
{
    struct hn_reader r;
    struct field f;
    struct hn_str text = {"", 0};
    int rc;
    hn_reader_init(&r, bytes.p, bytes.n);
    m->types[id] = HN_SPM_NORMAL;
    while ((rc = next_field(&r, &f)) > 0) {
        if (f.number == 1 && f.wire == 2)
            text = f.bytes;
        else if (f.number == 2 && f.wire == 5)
            m->scores[id] = as_float(f.value);
        else if (f.number == 3 && f.wire == 0)
            m->types[id] = f.value <= HN_SPM_BYTE ? (uint8_t)f.value : 0;
    }
    if (rc < 0 || m->types[id] == 0 || m->scores[id] != m->scores[id])
        return hn_fail(m->err, HONE_FAILED, "%s: piece %zu is damaged", m->path, id);
    if (text.n == 0 || hn_utf8_check(text.p, text.n) < text.n)
        return hn_fail(m->err, HONE_FAILED, "%s: piece %zu is %s", m->path, id,
                       text.n ? "not valid UTF-8" : "empty");
    memcpy(m->texts, text.p, text.n);
    rc = hn_vocab_add(&m->t->vocab, (struct hn_str){m->texts, text.n}, (int64_t)id, m->err);
    m->texts += text.n + 1;
    return rc ? hn_fail_prefix(m->err, "%s", m->path) : 0;
}

static int read_trainer(struct model *m, struct hn_str bytes)
{
    struct hn_reader r;
    struct field f;
    int rc;
    hn_reader_init(&r, bytes.p, bytes.n);
    while ((rc = next_field(&r, &f)) > 0) {
        /* negative int32 travel as 64-bit varints */
        int64_t v = (int32_t)(uint32_t)f.value;
        switch (f.wire == 0 ? f.number : 0) {
        case 3:
            m->model_type = v;
            break;
        case 35:
            m->spm.byte_fallback = f.value != 0;
            break;
        case 40:
            m->unk = v;
            break;
        case 41:
            m->bos = v;
            break;
        case 42:
            m->eos = v;
            break;
        case 43:
            m->pad = v;
            break;
        case 24:
            if (f.value)
                return hn_fail(m->err, HONE_FAILED,
                               "%s: treat_whitespace_as_suffix is not supported", m->path);
            break;
        default:
            break;
        }
    }
    return rc < 0 ? damaged(m, "trainer_spec", r.at) : 0;
}

static int read_normalizer(struct model *m, struct hn_str bytes)
{
    struct hn_reader r;
    struct field f;
    int rc;
    hn_reader_init(&r, bytes.p, bytes.n);
    while ((rc = next_field(&r, &f)) > 0) {
        if (f.number == 2 && f.wire == 2)
            m->spm.charsmap = f.bytes;
        else if (f.number == 3 && f.wire == 0)
            m->spm.dummy_prefix = f.value != 0;
        else if (f.number == 4 && f.wire == 0)
            m->spm.remove_spaces = f.value != 0;
        else if (f.number == 5 && f.wire == 0)
            m->spm.escape_spaces = f.value != 0;
    }
    return rc < 0 ? damaged(m, "normalizer_spec", r.at) : 0;
}

/* First pass: how many pieces there are, and the two specs. */
static int read_outline(struct model *m, struct hn_str file)
{
    struct hn_reader r;
    struct field f;
    int rc, bad = 0;
    hn_reader_init(&r, file.p, file.n);
    while (!bad && (rc = next_field(&r, &f)) > 0) {
        if (f.number == 1 && f.wire == 2)
            m->n++;
        else if (f.number == 2 && f.wire == 2)
            bad = read_trainer(m, f.bytes);
        else if (f.number == 3 && f.wire == 2)
            bad = read_normalizer(m, f.bytes);
    }
    if (bad)
        return bad;
    if (rc < 0)
        return damaged(m, "the file", r.at);
    if (m->n == 0 || m->n > HN_VOCAB_MAX_ID)
        return hn_fail(m->err, HONE_FAILED, "%s: holds %zu pieces; expected a SentencePiece model",
                       m->path, m->n);
    if (m->model_type != 1 && m->model_type != 2)
        return hn_fail(m->err, HONE_FAILED,
                       "%s: the model type is %lld; supported are 1 (Unigram) and 2 (BPE)", m->path,
                       (long long)m->model_type);
    return 0;
}

static int read_pieces(struct model *m, struct hn_str file)
{
    struct hn_reader r;
    struct field f;
    size_t id = 0;
    hn_reader_init(&r, file.p, file.n);
    int rc = hn_vocab_init(&m->t->vocab, m->n, (uint32_t)m->n, m->err);
    m->scores = hn_calloc(m->n, sizeof *m->scores);
    m->types = hn_calloc(m->n, 1);
    m->texts = hn_arena_alloc(&m->t->arena, file.n + m->n, 1);
    if (rc == 0 && (!m->scores || !m->types || !m->texts))
        rc = hn_fail_memory(m->err, "reading a vocabulary");
    while (rc == 0 && next_field(&r, &f) > 0)
        if (f.number == 1 && f.wire == 2)
            rc = read_piece(m, f.bytes, id++);
    return rc;
}

static int32_t within(const struct model *m, int64_t id)
{
    return id >= 0 && id < (int64_t)m->n ? (int32_t)id : -1;
}

int hn_tokenizer_parse_model(struct hone_tokenizer *t, const void *data, size_t n,
                             struct hn_spm_options o, const char *path, struct hone_err *err)
{
    struct hn_str file = {data, n};
    /* The proto's defaults. */
    struct model m = {
        .t = t, .path = path, .err = err, .model_type = 1, .unk = 0, .bos = 1, .eos = 2, .pad = -1};
    m.spm = (struct hn_spm_source){.dummy_prefix = true,
                                   .remove_spaces = true,
                                   .escape_spaces = true,
                                   .prefix_each = o.prefix_each};
    int rc = read_outline(&m, file);
    rc = rc ? rc : read_pieces(&m, file);
    if (rc == 0) {
        m.spm.scores = m.scores;
        m.spm.types = m.types;
        m.spm.dummy_prefix &= !o.no_prefix;
        m.spm.unigram = m.model_type == 1;
        m.spm.unk = within(&m, m.unk);
        t->info.bos = within(&m, m.bos);
        t->info.eos = within(&m, m.eos);
        t->info.pad = within(&m, m.pad);
        t->info.unk = m.spm.unk;
        rc = hn_spm_build(t, &m.spm, err);
    }
    hn_free(m.scores);
    hn_free(m.types);
    return rc;
}

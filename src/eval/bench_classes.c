/* Each class of arithmetic beside float32: how fast it writes, and how far its next-token
 * distributions lie from those of float32 on an English text. */
#include "base/mem.h"
#include "eval/bench.h"
#include "eval/divergence.h"
#include "model/batch.h"

#include <string.h>

/* Sequences that the text is cut into.  They are decoded together: in an eighth of the steps, and
 * because a single token may be served by a better class than the one asked for
 * (docs/numerics.md). */
enum { SEQUENCES = 8 };

static const char text[] =
    "The ferry to the island leaves at a quarter past seven, before the market has opened and "
    "while "
    "the street lamps are still lit. Most of the passengers are people who work in the harbour: a "
    "woman with a crate of lemons, two electricians, a boy who has forgotten his cap and runs back "
    "for it twice. The captain knows them all by name and waits for each of them, so the boat is "
    "never on time, and nobody minds. On the way across, coffee is sold from a tin counter beside "
    "the engine room. It costs less than anywhere else in town, because the cook roasts the beans "
    "herself and keeps no accounts.\n\n"
    "Visitors often ask which day is best for the crossing. In spring the wind comes from the "
    "north "
    "and the water is rough, but the hills are green and the hotels are almost empty. In August it "
    "is the other way round. If you have only one day, take the early boat, walk from the pier to "
    "the old lighthouse (about forty minutes, and steep at the end), and come back through the "
    "village. The bakery there closes at noon. There are 214 steps in the tower; from the top one "
    "can see both coasts, and on a clear morning the snow on the mountains behind the capital.\n\n"
    "To find out when the last boat returns, look at the board next to the ticket office rather "
    "than "
    "at the printed timetable, which was out of date when it was printed. Children under six "
    "travel "
    "free of charge. Bicycles cost 3.50 and have to be tied to the rail. Dogs are welcome, "
    "provided "
    "that they do not bark at the gulls; the captain once turned around in the middle of the "
    "strait "
    "because of a terrier, and the owner still has to hear about it. When the sea is too high, the "
    "company sends a bus over the bridge instead. It takes twice as long and has no coffee, but it "
    "stops at the cave where, so the story goes, a painter hid for a whole winter from the people "
    "to "
    "whom he owed money, and paid them all in the end with a single picture.";

struct reference {
    int32_t ids[SEQUENCES * 1024];
    int64_t length; /* of each sequence */
    float *logits;  /* [SEQUENCES * length, V] */
};

/* The text's tokens into sequences of one length; none when the model has no tokenizer or less
 * vocabulary than it. */
static int cut_text(const struct hn_bench *b, struct reference *r)
{
    struct hone_tokens t = {0};
    int64_t most = HN_MIN(b->o->class_tokens, (int64_t)HN_COUNT(r->ids));
    int rc = 0;
    if (b->tok)
        rc = hone_tokenizer_encode(b->tok, text, sizeof text - 1, 0, &t, b->err);
    if (!rc && t.n > 0)
        rc = hn_tokens_check(b->m, t.ids, t.n, b->err);
    r->length = rc ? 0 : HN_MIN((int64_t)t.n, most) / SEQUENCES;
    if (r->length > 0)
        memcpy(r->ids, t.ids, (size_t)(r->length * SEQUENCES) * sizeof *r->ids);
    hone_tokens_release(&t);
    return rc;
}

/* Whole sequences at once and no cache: nothing is narrower than float32. */
static int compute_reference(const struct hn_bench *b, struct hone_model *m, struct reference *r)
{
    const struct hn_decoder_options o = {.purpose = HN_FOR_LOGITS,
                                         .max_tokens = r->length,
                                         .max_rows = r->length,
                                         .max_seqs = 1,
                                         .max_context = r->length};
    struct hn_plan plan = {0}, *plans[] = {&plan};
    struct hn_batch_rows rows = {0};
    void *arena = NULL;
    size_t one = (size_t)r->length * (size_t)m->spec.vocab_size;
    r->logits = hn_calloc(one, SEQUENCES * sizeof *r->logits);
    int rc = r->logits ? 0 : hn_fail_memory(b->err, "comparing classes of arithmetic");
    if (!rc)
        rc = hn_decoder_plan(m, &o, &plan, b->err);
    if (!rc)
        rc = hn_plan_bind(plans, 1, m->backend, m->dev, &arena, b->err);
    if (!rc)
        rc = hn_batch_init(&rows, r->length, 1, b->err);
    for (int64_t i = 0; i < SEQUENCES && !rc; i++) {
        hn_batch_clear(&rows);
        hn_batch_add(&rows, r->ids + i * r->length, r->length, NULL);
        for (int64_t k = 0; k < r->length; k++)
            rows.rows[k] = (int32_t)k;
        rows.batch.n_rows = r->length;
        rows.batch.targets = NULL;
        rc = hn_plan_run(&plan, m->backend, m->dev, &rows.batch, b->err);
        if (!rc)
            rc = m->backend->read(m->dev, &plan.tensors[plan.logits].t, r->logits + (size_t)i * one,
                                  b->err);
    }
    hn_plan_release(&plan);
    if (arena)
        m->backend->unbind(m->dev, &arena);
    hn_batch_release(&rows);
    return rc;
}

static int compare(const struct hn_bench *b, struct hone_model *m, const struct reference *r,
                   struct hone_bench_class *c)
{
    int32_t slots[SEQUENCES], ids[SEQUENCES];
    struct hn_session s = {0};
    struct hn_divergence d = {0};
    const float *logits;
    int64_t v = m->spec.vocab_size;
    int rc = hn_session_open(&s, m, SEQUENCES, r->length, b->err);
    for (int64_t k = 0; k < r->length && !rc; k++) {
        for (int32_t i = 0; i < SEQUENCES; i++) {
            slots[i] = i;
            ids[i] = r->ids[i * r->length + k];
        }
        rc = hn_session_step(&s, slots, ids, SEQUENCES, &logits, b->err);
        for (int64_t i = 0; i < SEQUENCES && !rc; i++)
            hn_divergence_add(&d, r->logits + (i * r->length + k) * v, logits + i * v, v);
    }
    hn_session_close(&s);
    c->positions = SEQUENCES * r->length;
    c->mean_kl = d.ab / (double)c->positions;
    c->same_top = (double)d.same / (double)c->positions;
    return rc;
}

static double speed_of(const struct hone_bench_result *r, const char *name)
{
    for (size_t i = 0; i < r->n_rows; i++)
        if (strcmp(r->rows[i].name, name) == 0)
            return r->rows[i].tokens_per_second;
    return 0;
}

/* A class that the machine has not is served by the exact one, and is left out. */
static bool offered(const struct hone_model *m, enum hone_compute compute)
{
    static const enum hn_class classes[] = {
        [HONE_EXACT] = HN_CLASS_EXACT, [HONE_BF16] = HN_CLASS_BF16, [HONE_INT8] = HN_CLASS_INT8};
    return m->backend->op_info(m->dev, HN_OP_LINEAR).class == classes[compute];
}

static int measure_class(struct hn_bench *b, struct hone_model *m, enum hone_compute compute,
                         struct reference *r)
{
    struct hone_bench_class *c = &b->out->classes[b->out->n_classes];
    *c = (struct hone_bench_class){.compute = compute};
    int rc = 0;
    if (m == b->m) {
        c->prefill = speed_of(b->out, "prefill");
        c->decode = speed_of(b->out, "decode");
    } else {
        rc = hn_bench_speeds(b, m, &c->prefill, &c->decode);
    }
    if (!rc && r->length > 0 && !r->logits)
        rc = compute_reference(b, m, r); /* the exact class comes first */
    if (!rc && r->length > 0)
        rc = compare(b, m, r, c);
    b->out->n_classes += !rc;
    return rc;
}

int hn_bench_classes(struct hn_bench *b)
{
    static const struct {
        enum hone_compute compute;
        const char *note;
    } classes[] = {{HONE_EXACT, "comparing the exact class with float32"},
                   {HONE_BF16, "comparing the class bf16 with float32"},
                   {HONE_INT8, "comparing the class int8 with float32"}};
    struct reference *r = hn_calloc(1, sizeof *r);
    int rc = r ? cut_text(b, r) : hn_fail_memory(b->err, "comparing classes of arithmetic");
    for (size_t i = 0; i < HN_COUNT(classes) && !rc; i++) {
        struct hone_device_options device = b->o->device;
        bool own = device.compute != classes[i].compute;
        struct hone_model *m = b->m;
        device.compute = classes[i].compute;
        if (own)
            rc = hone_model_open(&m, b->path, &device, b->err);
        if (!rc && offered(m, classes[i].compute)) {
            rc = hn_bench_tell(b, classes[i].note);
            if (!rc)
                rc = measure_class(b, m, classes[i].compute, r);
        }
        if (own)
            hone_model_close(&m);
    }
    hn_free(r ? r->logits : NULL);
    hn_free(r);
    return rc;
}

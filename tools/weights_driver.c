/* What hone makes of a model's weights, as hashes for a script to compare (tools/check_bnb.py,
 * which builds it).
 *
 *   weights_driver MODEL                     NAME decoded SHA-256 of all rows as float32
 *   weights_driver MODEL nf4|nf4x2|fp4|fp4x2|int8
 *                                            quantises the linear layers as while loading; also
 *                                            NAME codes SHA, NAME scales SHA, NAME outer SHA,
 *                                            NAME offset NUMBER */
#include "base/mem.h"
#include "base/sha.h"
#include "base/str.h"
#include "model/quantize.h"

#include <stdio.h>
#include <string.h>

static void print_sha(const char *name, const char *what, const void *p, size_t n)
{
    struct hn_sha s;
    char hex[HN_SHA256_HEX];
    hn_sha256_init(&s);
    hn_sha_add(&s, p, n);
    hn_sha_finish(&s, hex);
    printf("%s %s %s\n", name, what, hex);
}

static void print_decoded(const char *name, const struct hn_matrix *m)
{
    struct hn_sha s;
    char hex[HN_SHA256_HEX];
    float *row = hn_calloc((size_t)m->cols, sizeof *row);
    hn_sha256_init(&s);
    for (int64_t r = 0; row && r < m->rows; r++) {
        hn_matrix_decode(m, r, 0, m->cols, row);
        hn_sha_add(&s, row, (size_t)m->cols * sizeof *row);
    }
    hn_sha_finish(&s, hex);
    hn_free(row);
    printf("%s decoded %s\n", name, hex);
}

static void print_codes(const char *name, const struct hn_matrix *m)
{
    const struct hn_bnb4 *b = m->bnb4;
    int64_t n = m->rows * m->cols;
    if (!b) {
        print_sha(name, "codes", m->data, (size_t)n);
        print_sha(name, "scales", m->scales, (size_t)m->rows * 4);
        return;
    }
    size_t blocks = (size_t)((n + b->block - 1) / b->block);
    print_sha(name, "codes", m->data, (size_t)n / 2);
    print_sha(name, "scales", b->absmax, blocks * (b->nested_map ? 1 : 4));
    if (!b->nested_map)
        return;
    print_sha(name, "outer", b->nested_absmax, (blocks + 255) / 256 * 4);
    print_sha(name, "map", b->nested_map, 256 * 4);
    printf("%s offset %.9g\n", name, (double)b->nested_offset);
}

static int each(const struct hn_bundle *b, const struct hone_quantize_options *o,
                struct hn_pool *pool, struct hone_err *err)
{
    int rc = 0;
    for (size_t i = 0; i < hn_bundle_n_tensors(b) && !rc; i++) {
        struct hn_bundle_tensor t;
        struct hn_matrix m;
        struct hn_quantized *q = NULL;
        char module[256];
        hn_bundle_tensor(b, i, &t);
        if (t.n_dims != 2 || !hn_ends_with(t.name, ".weight") ||
            hn_bundle_matrix(b, t.name, &m, NULL))
            continue;
        snprintf(module, sizeof module, "%.*s", (int)strlen(t.name) - 7, t.name);
        bool linear = !hn_ends_with(module, "embed_tokens");
        if (linear && hn_quantize_wanted(o) && hn_quantize_takes(o, module)) {
            rc = hn_quantize_open(&q, &m, t.name, o, pool, err);
            m = rc ? m : q->m;
        }
        print_decoded(t.name, &m);
        if (q)
            print_codes(t.name, &m);
        hn_quantize_close(&q);
    }
    return rc;
}

int main(int argc, char **argv)
{
    struct hone_quantize_options o = {0};
    struct hone_err err = {0};
    struct hn_bundle *b = NULL;
    struct hn_pool *pool = NULL;
    const char *how = argc > 2 ? argv[2] : "";
    if (argc < 2)
        return 2;
    o.load_in_8bit = strcmp(how, "int8") == 0;
    o.load_in_4bit = *how && !o.load_in_8bit;
    o.bnb_4bit_quant_type = hn_starts_with(how, "fp4") ? HONE_FP4 : HONE_NF4;
    o.bnb_4bit_use_double_quant = hn_ends_with(how, "x2");
    int rc = hn_pool_open(&pool, 0, &err);
    rc = rc ? rc : hn_bundle_open(&b, argv[1], &err);
    rc = rc ? rc : each(b, &o, pool, &err);
    if (rc)
        fprintf(stderr, "%s\n", err.message);
    hn_bundle_close(&b);
    hn_pool_close(&pool);
    return rc ? 1 : 0;
}

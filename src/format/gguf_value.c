/* Metadata values of a GGUF: typed reads and iteration.  Everything was checked at opening, so a
 * read past the end cannot happen on a value that came from there; the reader guards it all the
 * same. */
#include "format/gguf_value.h"
#include "base/reader.h"

/* Bytes of one value; 0: it varies. */
static const unsigned char sizes[HN_GGUF_TYPE_COUNT] = {
    [HN_GGUF_U8] = 1,  [HN_GGUF_I8] = 1,  [HN_GGUF_U16] = 2, [HN_GGUF_I16] = 2,
    [HN_GGUF_U32] = 4, [HN_GGUF_I32] = 4, [HN_GGUF_F32] = 4, [HN_GGUF_BOOL] = 1,
    [HN_GGUF_U64] = 8, [HN_GGUF_I64] = 8, [HN_GGUF_F64] = 8,
};

bool hn_gguf_read_value(struct hn_reader *r, uint32_t type, int depth, struct hn_gguf_value *v)
{
    if (type >= HN_GGUF_TYPE_COUNT || depth > HN_GGUF_MAX_DEPTH) {
        r->failed = true;
        return false;
    }
    *v = (struct hn_gguf_value){.type = (enum hn_gguf_type)type};
    struct hn_str s;
    if (sizes[type]) {
        s = hn_read_bytes(r, (uint64_t)sizes[type]);
    } else if (type == HN_GGUF_STRING) {
        s = hn_read_bytes(r, hn_read_u64(r));
    } else {
        uint32_t item = hn_read_u32(r);
        v->n = hn_read_u64(r);
        size_t begin = r->at;
        if (item >= HN_GGUF_TYPE_COUNT) {
            r->failed = true;
            return false;
        }
        v->item_type = (enum hn_gguf_type)item;
        uint64_t bytes;
        if (sizes[item]) {
            if (hn_mul_overflows(v->n, (uint64_t)sizes[item], &bytes))
                r->failed = true;
            else
                hn_read_skip(r, bytes);
        } else {
            struct hn_gguf_value each;
            for (uint64_t i = 0; i < v->n && !r->failed; i++)
                if (!hn_gguf_read_value(r, item, depth + 1, &each))
                    return false;
        }
        s = (struct hn_str){(const char *)r->data + begin, r->failed ? 0 : r->at - begin};
    }
    v->data = (const unsigned char *)s.p;
    v->size = s.n;
    return !r->failed;
}

bool hn_gguf_int(const struct hn_gguf_value *v, int64_t *out)
{
    if (!v)
        return false;
    struct hn_reader r;
    hn_reader_init(&r, v->data, v->size);
    int64_t i;
    switch (v->type) {
    case HN_GGUF_U8:
        i = hn_read_u8(&r);
        break;
    case HN_GGUF_I8:
        i = (int8_t)hn_read_u8(&r);
        break;
    case HN_GGUF_U16:
        i = hn_read_u16(&r);
        break;
    case HN_GGUF_I16:
        i = (int16_t)hn_read_u16(&r);
        break;
    case HN_GGUF_U32:
        i = hn_read_u32(&r);
        break;
    case HN_GGUF_I32:
        i = (int32_t)hn_read_u32(&r);
        break;
    case HN_GGUF_I64:
    case HN_GGUF_U64:
        i = (int64_t)hn_read_u64(&r);
        if (v->type == HN_GGUF_U64 && i < 0)
            return false;
        break;
    default:
        return false;
    }
    if (r.failed)
        return false;
    *out = i;
    return true;
}

bool hn_gguf_float(const struct hn_gguf_value *v, double *out)
{
    int64_t i;
    if (!v)
        return false;
    struct hn_reader r;
    hn_reader_init(&r, v->data, v->size);
    double d;
    if (v->type == HN_GGUF_F32)
        d = (double)hn_read_f32(&r);
    else if (v->type == HN_GGUF_F64)
        d = hn_read_f64(&r);
    else if (hn_gguf_int(v, &i))
        d = (double)i;
    else
        return false;
    if (r.failed)
        return false;
    *out = d;
    return true;
}

bool hn_gguf_bool(const struct hn_gguf_value *v, bool *out)
{
    if (!v || v->type != HN_GGUF_BOOL || v->size < 1)
        return false;
    *out = v->data[0] != 0;
    return true;
}

bool hn_gguf_str(const struct hn_gguf_value *v, struct hn_str *out)
{
    if (!v || v->type != HN_GGUF_STRING)
        return false;
    *out = (struct hn_str){(const char *)v->data, v->size};
    return true;
}

/* Item i of an array of fixed-size items, as a value of its own. */
static bool item_at(const struct hn_gguf_value *v, uint64_t i, struct hn_gguf_value *out)
{
    if (!v || v->type != HN_GGUF_ARRAY || i >= v->n || !sizes[v->item_type])
        return false;
    size_t size = (size_t)sizes[v->item_type];
    *out = (struct hn_gguf_value){
        .type = v->item_type, .data = v->data + (size_t)i * size, .size = size};
    return true;
}

bool hn_gguf_int_at(const struct hn_gguf_value *v, uint64_t i, int64_t *out)
{
    struct hn_gguf_value item;
    return item_at(v, i, &item) && hn_gguf_int(&item, out);
}

bool hn_gguf_float_at(const struct hn_gguf_value *v, uint64_t i, double *out)
{
    struct hn_gguf_value item;
    return item_at(v, i, &item) && hn_gguf_float(&item, out);
}

uint64_t hn_gguf_count(const struct hn_gguf_value *v, enum hn_gguf_type item_type)
{
    return v && v->type == HN_GGUF_ARRAY && v->item_type == item_type ? v->n : 0;
}

struct hn_gguf_items hn_gguf_items(const struct hn_gguf_value *v)
{
    if (!v || v->type != HN_GGUF_ARRAY)
        return (struct hn_gguf_items){.type = HN_GGUF_TYPE_COUNT};
    return (struct hn_gguf_items){v->item_type, v->n, v->data, v->size};
}

bool hn_gguf_next(struct hn_gguf_items *it, struct hn_gguf_value *out)
{
    if (!it->left)
        return false;
    struct hn_reader r;
    hn_reader_init(&r, it->at, it->size);
    if (!hn_gguf_read_value(&r, it->type, 0, out))
        return false;
    it->at += r.at;
    it->size -= r.at;
    it->left--;
    return true;
}

bool hn_gguf_next_str(struct hn_gguf_items *it, struct hn_str *out)
{
    struct hn_gguf_value v;
    return it->type == HN_GGUF_STRING && hn_gguf_next(it, &v) && hn_gguf_str(&v, out);
}

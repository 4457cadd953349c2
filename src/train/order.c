#include "train/order.h"
#include "base/err.h"
#include "base/mem.h"

/* Rows in order of their number of keys, equal ones as they come. */
static void sort_by_keys(uint64_t *out, const uint16_t *keys, int64_t n)
{
    int64_t at = 0;
    for (int64_t i = 0; i < n && !keys; i++)
        out[i] = (uint64_t)i;
    for (int64_t k = 0, next = 0; keys && at < n; k = next) {
        next = 1 << 16;
        for (int64_t i = 0; i < n; i++) {
            if (keys[i] == k)
                out[at++] = (uint64_t)i;
            else if (keys[i] > k && keys[i] < next)
                next = keys[i];
        }
    }
}

static bool is_mlx(const struct hn_order *x)
{
    return x->o->batch_order == HONE_ORDER_MLX;
}

static int check_mlx(const struct hn_order *x, struct hone_err *err)
{
    const struct hone_train_options *o = x->o;
    const struct {
        const char *what;
        int64_t n;
    } sets[] = {{"training", x->n}, {"validation", x->n_valid}};
    if (o->seed > UINT32_MAX)
        return hn_fail(err, HONE_USAGE,
                       "the seed is %llu: mlx_lm's batch order takes seeds below 4294967296",
                       (unsigned long long)o->seed);
    for (size_t i = 0; i < HN_COUNT(sets); i++) {
        if (sets[i].n > 0 && sets[i].n < o->batch_size)
            return hn_fail(err, HONE_USAGE,
                           "mlx_lm's batch order drops partial batches, and %lld rows of %s data "
                           "make none of %lld; use a smaller --batch-size, or --batch-order hone",
                           (long long)sets[i].n, sets[i].what, (long long)o->batch_size);
    }
    return 0;
}

int hn_order_init(struct hn_order *x, const struct hone_train_options *o,
                  const struct hn_run_length *length, int64_t n, const uint16_t *keys,
                  int64_t n_valid, const uint16_t *valid_keys, struct hone_err *err)
{
    *x = (struct hn_order){.o = o, .length = length, .n = n, .n_valid = n_valid, .epoch = -1};
    size_t size = (size_t)n + 1, v_size = (size_t)n_valid + 1;
    x->rows = hn_calloc(size, sizeof *x->rows);
    x->valid = hn_calloc(v_size, sizeof *x->valid);
    bool made = x->rows && x->valid;
    if (made && is_mlx(x)) {
        int rc = check_mlx(x, err);
        if (rc)
            return rc;
        x->sorted = hn_calloc(size, sizeof *x->sorted);
        x->perm = hn_calloc(size, sizeof *x->perm);
        x->v_sorted = hn_calloc(v_size, sizeof *x->v_sorted);
        x->v_perm = hn_calloc(v_size, sizeof *x->v_perm);
        made = x->sorted && x->perm && x->v_sorted && x->v_perm;
    }
    if (!made)
        return hn_fail_memory(err, "ordering the rows");
    if (is_mlx(x)) {
        sort_by_keys(x->sorted, keys, n);
        sort_by_keys(x->v_sorted, valid_keys, n_valid);
    }
    return 0;
}

void hn_order_release(struct hn_order *x)
{
    hn_free(x->rows);
    hn_free(x->valid);
    hn_free(x->sorted);
    hn_free(x->perm);
    hn_free(x->lengths);
    hn_free(x->v_sorted);
    hn_free(x->v_perm);
    *x = (struct hn_order){0};
}

bool hn_mlx_validates(const struct hone_train_options *o, const struct hn_run_length *length,
                      int64_t iter)
{
    if (o->eval_strategy == HONE_NEVER || o->val_batches == 0)
        return false;
    if (iter == length->total_micro || (iter == 1 && o->eval_on_start))
        return true;
    if (o->eval_strategy == HONE_EPOCH)
        return iter > 1 && (iter - 1) % length->micro_per_epoch == 0;
    return o->steps_per_eval > 0 && iter % o->steps_per_eval == 0;
}

/* Replay the stream up to the permutations that are drawn at this iteration. */
static void draw(struct hn_order *x, int64_t iter)
{
    uint64_t batches = (uint64_t)(x->n / x->o->batch_size),
             v_batches = (uint64_t)(x->n_valid / x->o->batch_size);
    if (iter < x->drawn || x->drawn == 0) {
        hn_numpy_seed(&x->rng, (uint32_t)x->o->seed);
        x->drawn = 0;
    }
    while (x->drawn < iter) {
        if ((uint64_t)x->drawn++ % batches == 0)
            hn_numpy_permutation(&x->rng, x->perm, batches);
        if (v_batches && hn_mlx_validates(x->o, x->length, x->drawn))
            hn_numpy_permutation(&x->rng, x->v_perm, v_batches);
    }
}

/* The rows of n batches, in permuted order if there is one. */
static void lay_out(uint64_t *out, const uint64_t *perm, const uint64_t *sorted, int64_t n,
                    int64_t size)
{
    for (int64_t i = 0; i < n * size; i++)
        out[i] = sorted[(perm ? (int64_t)perm[i / size] : i / size) * size + i % size];
}

/* Longest first, equal ones as they came: a heap of the shortest at its root, taken from the end.
 */
static void sift(uint64_t *rows, const uint32_t *length, int64_t i, int64_t n)
{
    for (int64_t child; (child = 2 * i + 1) < n; i = child) {
        if (child + 1 < n && length[rows[child + 1]] < length[rows[child]])
            child++;
        if (length[rows[i]] <= length[rows[child]])
            break;
        uint64_t t = rows[i];
        rows[i] = rows[child];
        rows[child] = t;
    }
}

static void longest_first(uint64_t *rows, const uint32_t *length, int64_t n)
{
    for (int64_t i = n / 2; i-- > 0;)
        sift(rows, length, i, n);
    for (int64_t end = n; end-- > 1;) {
        uint64_t t = rows[0];
        rows[0] = rows[end];
        rows[end] = t;
        sift(rows, length, 0, end);
    }
}

/* transformers' get_length_grouped_indices: a random order, cut into groups of up to 50 batches,
 * each ordered by length; the longest row of all comes first, so that what it needs is met at once.
 */
static void group(struct hn_order *x)
{
    int64_t batch = x->o->batch_size * x->o->grad_accumulation_steps, n = x->n, longest = 0;
    int64_t size = HN_MAX(1, HN_MIN(n / (batch * 4), (int64_t)50)) * batch;
    for (int64_t at = 0; at < n; at += size) {
        longest_first(x->rows + at, x->lengths, HN_MIN(size, n - at));
        if (x->lengths[x->rows[at]] > x->lengths[x->rows[longest]])
            longest = at;
    }
    uint64_t t = x->rows[0];
    x->rows[0] = x->rows[longest];
    x->rows[longest] = t;
}

void hn_order_epoch(struct hn_order *x, int64_t epoch)
{
    int64_t size = x->o->batch_size, batches = x->n / size;
    if (epoch == x->epoch)
        return;
    x->epoch = epoch;
    if (!is_mlx(x)) {
        hn_epoch_order(x->o, epoch, x->rows, x->n);
        if (x->lengths)
            group(x);
        return;
    }
    draw(x, epoch * batches + 1);
    lay_out(x->rows, x->o->shuffle ? x->perm : NULL, x->sorted, batches, size);
}

void hn_order_valid(struct hn_order *x, int64_t iter)
{
    int64_t size = x->o->batch_size, limit = x->o->val_batches;
    if (!is_mlx(x)) {
        for (int64_t i = 0; i < x->n_valid; i++)
            x->valid[i] = (uint64_t)i;
        x->n_validated = limit < 0 ? x->n_valid : HN_MIN(x->n_valid, limit * size);
        return;
    }
    int64_t batches = x->n_valid / size, n = limit < 0 ? batches : HN_MIN(batches, limit);
    draw(x, iter);
    lay_out(x->valid, x->o->shuffle ? x->v_perm : NULL, x->v_sorted, n, size);
    x->n_validated = n * size;
}

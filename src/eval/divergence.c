#include "eval/divergence.h"
#include "base/compiler.h"

#include <math.h>

static double log_sum_exp(const float *x, int64_t n, int64_t *top)
{
    double sum = 0;
    *top = 0;
    for (int64_t i = 1; i < n; i++)
        if (x[i] > x[*top])
            *top = i;
    for (int64_t i = 0; i < n; i++)
        sum += exp((double)x[i] - (double)x[*top]);
    return (double)x[*top] + log(sum);
}

/* KL(a||b) = sum of p_a (log p_a - log p_b), in double precision. */
double hn_divergence_add(struct hn_divergence *s, const float *a, const float *b, int64_t n)
{
    int64_t top_a, top_b;
    double za = log_sum_exp(a, n, &top_a), zb = log_sum_exp(b, n, &top_b), ab = 0, ba = 0;
    for (int64_t i = 0; i < n; i++) {
        double x = (double)a[i], y = (double)b[i], d = (x - za) - (y - zb);
        ab += exp(x - za) * d;
        ba -= exp(y - zb) * d;
        s->difference = HN_MAX(s->difference, fabs(x - y));
        s->largest = HN_MAX(s->largest, fabs(y));
    }
    s->same += top_a == top_b;
    s->ab += ab;
    s->ba += ba;
    return ab;
}

/* How far two next-token distributions lie apart, summed over positions. */
#ifndef HN_EVAL_DIVERGENCE_H
#define HN_EVAL_DIVERGENCE_H

#include <stdint.h>

struct hn_divergence {
    double difference, largest; /* of logits: |a - b|, |b| */
    double ab, ba;              /* sums of KL(a||b) and KL(b||a), in nats */
    int64_t same;               /* positions whose likeliest token is the same */
};

/* Add a position with logits a[n] and b[n]; returns its KL(a||b). */
double hn_divergence_add(struct hn_divergence *s, const float *a, const float *b, int64_t n);

#endif

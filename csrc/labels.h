/* labels: class labels of any stored type as int64, each checked to be a whole number in [0, classes).
 *
 * A batch has few of them, so the loop is the plain one that stops at the first which is none. Threads may
 * find several; the lowest index stays. Units of work are elements.
 */
#ifndef LABELS
#define LABELS

#define INTEGER_LABELS(type)                                                                       \
    for (const type *from = x; begin < end; begin++) {                                             \
        const uint64_t label = (uint64_t)from[begin]; /* a negative one is too large */            \
        if (label >= classes) break;                                                               \
        y[begin] = (int64_t)label;                                                                 \
    }                                                                                              \
    break;
#define FLOAT_LABELS(type, convert)                                                                \
    for (const type *from = x; begin < end; begin++) {                                             \
        const double label = convert(from[begin]);                                                 \
        if (!(label >= 0 && label < (double)classes) || label != (double)(int64_t)label) break;    \
        y[begin] = (int64_t)label;                                                                 \
    }                                                                                              \
    break;

/* Where the first element is that is no label, or `end`. */
static size_t convert_labels(int64_t *y, const void *x, int type, uint64_t classes, size_t begin, size_t end)
{
    switch (type) {
    case FN_UINT8: INTEGER_LABELS(uint8_t)
    case FN_INT8: INTEGER_LABELS(int8_t)
    case FN_UINT16: INTEGER_LABELS(uint16_t)
    case FN_INT16: INTEGER_LABELS(int16_t)
    case FN_UINT32: INTEGER_LABELS(uint32_t)
    case FN_INT32: INTEGER_LABELS(int32_t)
    case FN_UINT64: INTEGER_LABELS(uint64_t)
    case FN_INT64: INTEGER_LABELS(int64_t)
    case FN_FLOAT16: FLOAT_LABELS(uint16_t, from_half)
    case FN_FLOAT32: FLOAT_LABELS(float, )
    case FN_FLOAT64: FLOAT_LABELS(double, )
    }
    return begin;
}
#endif

KERNEL(labels)
{
    const fn_labels_args *g = args;
    const size_t first = convert_labels(g->y, g->x, g->type, g->classes, begin, end);
    size_t bad = __atomic_load_n(g->bad, __ATOMIC_RELAXED);
    while (first < end && (bad == 0 || first + 1 < bad))
        if (__atomic_compare_exchange_n(g->bad, &bad, first + 1, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
            break;
}

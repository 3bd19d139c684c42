/* Where the sums of a product go: scaled, biased, through an activation or its mask, added to what is there. */

/* Where in c a tile goes, and which sums it holds: those of the first block of k are stored, later ones
 * are added, and after the last one comes the rest, unless the sums are `plain`. */
typedef struct NAME(target) {
    T *c;
    const T *mask, *bias;
    size_t ldc, columns;
    T alpha;
    int first, plain, accumulate, relu;
} NAME(target);

/* Stores the first n elements of a vector of sums at c; bias and mask, where they are not NULL, are what
 * belongs there. */
INLINE void NAME(finish)(const NAME(target) *t, NAME(vector) sum, T *c, const T *bias, const T *mask,
                         size_t n)
{
    const int held = !t->first || t->accumulate;
    const NAME(vector) before = held ? NAME(load_left)(c, n) : (NAME(vector)){0};
    NAME(vector) x = (t->first ? (NAME(vector)){0} : before) + sum;
    if (t->accumulate)
        x = VECTOR_FMA(NAME(broadcast)(t->alpha), x, before);
    else if (!t->plain) {
        x *= NAME(broadcast)(t->alpha);
        if (bias) x += NAME(load_left)(bias, n);
        if (t->relu) x = NAME(relu_of)(x);
        if (mask) x = NAME(relu_grad_of)(x, NAME(load_left)(mask, n));
    }
    NAME(store_left)(c, x, n);
}

/* Stores n elements of a row of sums, which fill whole vectors. */
INLINE void NAME(finish_row)(const NAME(target) *t, const T *sums, T *c, const T *bias, const T *mask,
                             size_t n)
{
    size_t j = 0;
    for (; j + WIDTH <= n; j += WIDTH)
        NAME(finish)(t, NAME(load)(sums + j), c + j, bias ? bias + j : NULL, mask ? mask + j : NULL, WIDTH);
    if (j < n)
        NAME(finish)(t, NAME(load)(sums + j), c + j, bias ? bias + j : NULL, mask ? mask + j : NULL, n - j);
}

/* Stores a tile, whose rows of sums lie `width` apart. */
static void NAME(finish_tile)(const NAME(target) *target, const T *sums, size_t rows, size_t width)
{
    const NAME(target) t = *target; /* which no store can change: its parts stay in registers */
    for (size_t i = 0; i < rows; i++)
        NAME(finish_row)(&t, sums + i * width, t.c + i * t.ldc, t.bias,
                         t.mask ? t.mask + i * t.ldc : NULL, t.columns);
}

/* Whether sums are stored in one of the ways of `store_whole`. An accumulation has one block of k. */
INLINE int NAME(is_usual)(const NAME(target) *t)
{
    if (t->plain || t->accumulate) return 1;
    return t->first && t->alpha == 1 && (t->mask ? !t->bias && !t->relu : t->bias && t->relu);
}

/* Stores the first `whole` vectors of each row of a tile from their registers: which of the ways it is is asked
 * once, and not of each vector. */
INLINE void NAME(store_whole)(const int rows, const int vectors, const int whole, const NAME(target) *t,
                              const NAME(vector) *sum, T *c)
{
    const NAME(target) first_block = {.first = 1, .plain = 1}, later_block = {.plain = 1},
                       added = {.first = 1, .accumulate = 1, .alpha = t->alpha},
                       masked = {.first = 1, .alpha = 1}, rectified = {.first = 1, .alpha = 1, .relu = 1};
    const T *bias = t->bias, *mask = t->mask;
    const size_t ldc = t->ldc;
/* Of vector v of row i, which begins `at` elements into the tile. */
#define EACH_VECTOR(how, its_bias, its_mask)                                                       \
    UNROLL for (int i = 0; i < rows; i++)                                                          \
        UNROLL for (int v = 0; v < whole; v++)                                                     \
        {                                                                                          \
            const size_t at = (size_t)i * ldc + (size_t)v * WIDTH;                                 \
            NAME(finish)(&how, sum[i * vectors + v], c + at, its_bias, its_mask, WIDTH);           \
        }
    if (t->plain && t->first) {
        EACH_VECTOR(first_block, NULL, NULL)
    } else if (t->plain) {
        EACH_VECTOR(later_block, NULL, NULL)
    } else if (t->accumulate) {
        EACH_VECTOR(added, NULL, NULL)
    } else if (mask) {
        EACH_VECTOR(masked, NULL, mask + at)
    } else {
        EACH_VECTOR(rectified, bias + v * WIDTH, NULL)
    }
#undef EACH_VECTOR
}

/* Stores the last, incomplete vectors of a tile, from column j on. */
static void NAME(store_last)(const NAME(target) *target, const T *sums, size_t rows, size_t j)
{
    T *c = target->c + j;
    const size_t ldc = target->ldc, columns = target->columns - j;
    for (size_t i = 0; i < rows; i++, c += ldc) STORE_FEW(c, NAME(load)(sums + i * WIDTH), columns);
}

INLINE NAME(target) NAME(target_at)(const fn_gemm_args *g, size_t i, size_t j, size_t p, size_t k,
                                    size_t columns)
{
    return (NAME(target)){
        .c = (T *)g->c + i * g->ldc + j,
        .mask = g->mask ? (const T *)g->mask + i * g->ldc + j : NULL,
        .bias = g->bias ? (const T *)g->bias + j : NULL,
        .ldc = g->ldc,
        .columns = columns,
        .alpha = (T)(g->rate ? -*g->rate : g->alpha),
        .first = p == 0,
        .plain = !g->accumulate &&
                 (p + k < g->k || (!g->rate && g->alpha == 1 && !g->bias && !g->relu && !g->mask)),
        .accumulate = g->accumulate,
        .relu = g->relu};
}

/* c = relu(alpha * a . b + bias) for a compressed a: of each row only the elements that are not zero, with
 * their columns. A multiply-add with a zero changes no sum as long as b is finite, and sums start at +0, so
 * leaving them out gives the bits of gemm.h; the order of additions is the one promised there.
 *
 * A row of c over a strip of SPARSE_VECTORS vectors lives in registers, while for each element of the row of
 * a one row of b is added to it: one load for each multiply-add, so all depends on where b lies. Loops,
 * from outside: strips; blocks of k, and in those sections of k; rows; elements. A section of the strip
 * of b is copied into a dense panel of SPARSE_PANEL bytes, which stays in the first-level cache while all
 * rows use it; whether b is finite is seen on the way. Between sections the sums of a row wait in a buffer
 * (second-level cache), and a cursor tells where its next section begins, whose elements are fetched. The row
 * of c that the sums will go to is fetched while they are made.
 *
 * Few rows would not pay for a panel: they take those rows of b that they need from where they lie, and
 * whether b is finite is a look of its own, which the units share.
 *
 * Short products are sums in LANES lanes, k modulo LANES: lanes of a row of c each, in memory.
 *
 * The weights' gradient is the same product with the compressed transpose of a, which `transpose_compressed`
 * makes by counting: rows come out in order, and so do the additions.
 */

#undef SPARSE_STRIP
#undef SPARSE_SECTION
#undef SPARSE_SCRATCH
#define SPARSE_STRIP (SPARSE_VECTORS * WIDTH)
#define SPARSE_SECTION (SPARSE_PANEL / (SPARSE_STRIP * (int)sizeof(T)))
/* A panel of b, the waiting sums and the cursors. */
#define SPARSE_SCRATCH                                                                             \
    (sizeof(T) * SPARSE_STRIP * (SPARSE_SECTION + FN_SPARSE_ROWS) + FN_SPARSE_ROWS * sizeof(int64_t))

#ifndef SPARSE_CHOICES
#define SPARSE_CHOICES
enum { SPARSE_PANEL = 44 << 10 };
#endif

/* Whether something infinite or NaN went into the sums: 0 times a finite number is 0, else NaN. */
INLINE int NAME(is_nan)(const NAME(vector) *zeros, int vectors)
{
    NAME(vector) all = {0};
    T sum = 0;
    for (int v = 0; v < vectors; v++) all += zeros[v];
    for (int l = 0; l < WIDTH; l++) sum += all[l];
    return sum != 0;
}

/* Copies a section of a strip of b, padded with zeros to `vectors` vectors; returns whether it is not
 * finite. */
INLINE int NAME(copy_section)(T *to, const int vectors, const T *b, size_t ldb, size_t k, size_t columns)
{
    enum { CHAINS = 4 };
    NAME(vector) zeros[CHAINS] = {{0}};
    const size_t width = (size_t)vectors * WIDTH;
    for (size_t p = 0; p < k; p++, to += width, b += ldb)
        if (columns == width)
            UNROLL for (int v = 0; v < vectors; v++)
            {
                const NAME(vector) x = NAME(load)(b + v * WIDTH);
                zeros[v % CHAINS] += x * 0;
                NAME(store)(to + v * WIDTH, x);
            }
        else
            for (size_t j = 0; j < width; j += WIDTH) {
                const NAME(vector) x = NAME(load_left)(b + j, columns > j ? columns - j : 0);
                zeros[0] += x * 0;
                NAME(store)(to + j, x);
            }
    return NAME(is_nan)(zeros, CHAINS);
}

/* Whether one of n elements is infinite or NaN. */
static int NAME(not_finite)(const T *x, size_t n)
{
    enum { CHAINS = 8 };
    NAME(vector) zeros[CHAINS] = {{0}};
    for (; n >= CHAINS * WIDTH; n -= CHAINS * WIDTH, x += CHAINS * WIDTH)
        UNROLL for (int v = 0; v < CHAINS; v++) zeros[v] += NAME(load)(x + v * WIDTH) * 0;
    for (; n >= WIDTH; n -= WIDTH, x += WIDTH) zeros[0] += NAME(load)(x) * 0;
    zeros[0] += NAME(load_few)(x, n, 0) * 0;
    return NAME(is_nan)(zeros, CHAINS);
}

static void NAME(set_infinite)(const fn_sparse_args *s)
{
    if (s->infinite) __atomic_store_n(s->infinite, 1, __ATOMIC_RELAXED);
}

static void NAME(look_for_infinite)(int *found, const T *x, size_t n)
{
    if (found && NAME(not_finite)(x, n)) __atomic_store_n(found, 1, __ATOMIC_RELAXED);
}

/* Whether a sum of nothing, times alpha, leaves every number as it is: -0 does, +0 would not leave -0. */
INLINE int NAME(leaves_all)(T alpha)
{
    return signbit(alpha) && isfinite(alpha);
}

/* Fetches elements from `bytes` of values after `at` on, about as many as a section has, into the second-level
 * cache: the rows of a shuffled batch lie anywhere in memory. */
INLINE void NAME(fetch_elements)(const fn_sparse_args *s, int64_t at, int bytes)
{
    const char *values = (const char *)((const T *)s->values + at) + bytes;
    const int64_t column = at + bytes / (int)sizeof(T);
    __builtin_prefetch(values, 0, 2);
    __builtin_prefetch(values + FN_LINE, 0, 2);
    __builtin_prefetch((const char *)s->columns.data + column * (s->columns.narrow ? 2 : 4), 0, 2);
}

/* The rows [i, i + m) of c over one section [p, p + k) of k, which begins or ends a block of k or not. */
INLINE void NAME(sparse_section)(const int vectors, const fn_sparse_args *s, size_t i, size_t m, size_t p,
                                 size_t k, int begins, int ends, const T *b, size_t ldb, T *sums,
                                 int64_t *cursor, const NAME(target) *target)
{
    const NAME(target) t = *target;
    const T *values = s->values;
    const fn_columns columns = s->columns;
    const size_t width = (size_t)vectors * WIDTH;
    const int skips = t.accumulate && NAME(leaves_all)(t.alpha);
    for (size_t r = 0; r < m; r++, sums += width) {
        NAME(vector) sum[SPARSE_VECTORS];
        int64_t at = cursor[r];
        const int64_t end = s->ends[i + r];
        if (skips && s->starts[i + r] == end) continue;
        T *c = t.c + r * t.ldc;
        if (ends)
            UNROLL for (int v = 0; v < vectors; v += FN_LINE / VECTOR_BYTES) __builtin_prefetch(c + v * WIDTH, 1);
        if (begins)
            UNROLL for (int v = 0; v < vectors; v++) sum[v] = (NAME(vector)){0};
        else
            UNROLL for (int v = 0; v < vectors; v++) sum[v] = NAME(load)(sums + v * WIDTH);
        for (; at < end; at++) {
            const size_t column = fn_column(columns, at) - p;
            if (column >= k) break;
            const T *row = b + column * ldb;
            ADDRESS(row);
            const NAME(vector) x = NAME(broadcast)(values[at]);
            UNROLL for (int v = 0; v < vectors; v++)
                sum[v] = VECTOR_FMA(x, NAME(load)(row + v * WIDTH), sum[v]);
        }
        cursor[r] = at;
        NAME(fetch_elements)(s, at, FN_LINE);
        const T *mask = t.mask ? t.mask + r * t.ldc : NULL;
        if (ends && t.columns == width && (t.plain || t.accumulate)) {
            NAME(store_whole)(1, vectors, vectors, &t, sum, c);
            if (t.accumulate) NAME(look_for_infinite)(s->spoilt, c, t.columns);
            continue;
        }
        UNROLL for (int v = 0; v < vectors; v++) NAME(store)(sums + v * WIDTH, sum[v]);
        if (ends) NAME(finish_row)(&t, sums, c, t.bias, mask, t.columns);
        if (ends && t.accumulate) NAME(look_for_infinite)(s->spoilt, c, t.columns);
    }
}

/* The rows [i, i + m) of a strip of c. */
INLINE void NAME(sparse_strip)(const int vectors, const fn_sparse_args *s, size_t i, size_t m, size_t j,
                               size_t columns, void *scratch)
{
    const fn_gemm_args *g = &s->product;
    const size_t width = (size_t)vectors * WIDTH;
    const int copying = g->m > FN_SPARSE_FEW || columns < width;
    T *panel = scratch, *sums = panel + SPARSE_STRIP * SPARSE_SECTION;
    int64_t *cursor = (int64_t *)(sums + SPARSE_STRIP * FN_SPARSE_ROWS);
    const size_t length = NAME(block_length)(g);
    const size_t longest = copying ? SPARSE_STRIP * SPARSE_SECTION / width : length;
    memcpy(cursor, s->starts + i, m * sizeof *cursor);
    for (size_t r = i; r < i + m; r++) NAME(fetch_elements)(s, s->starts[r], 0);
    size_t p = 0;
    do {
        const size_t block = g->k - p < length ? g->k - p : length;
        const size_t sections = block ? (block + longest - 1) / longest : 1;
        const NAME(target) t = NAME(target_at)(g, i, j, p, block, columns);
        for (size_t n = 0; n < sections; n++) {
            const size_t start = p + block * n / sections, k = p + block * (n + 1) / sections - start;
            const T *b = (const T *)g->b + start * g->ldb + j;
            if (copying && NAME(copy_section)(panel, vectors, b, g->ldb, k, columns)) NAME(set_infinite)(s);
            NAME(sparse_section)(vectors, s, i, m, start, k, n == 0, n + 1 == sections,
                                 copying ? panel : b, copying ? width : g->ldb, sums, cursor, &t);
        }
        p += block;
    } while (p < g->k);
}

/* Rows [i, i + m) of a short c. */
static void NAME(sparse_short)(const fn_sparse_args *s, size_t i, size_t m)
{
    const fn_gemm_args *g = &s->product;
    const size_t length = NAME(block_length)(g);
    const T *values = s->values, *b = g->b;
    const int skips = g->accumulate && NAME(leaves_all)(NAME(target_at)(g, 0, 0, 0, g->k, g->n).alpha);
    for (size_t r = i; r < i + m; r++) {
        int64_t at = s->starts[r];
        if (skips && at == s->ends[r]) continue;
        size_t p = 0;
        do {
            const size_t block = g->k - p < length ? g->k - p : length;
            const NAME(target) t = NAME(target_at)(g, r, 0, p, block, g->n);
            T lane[LANES][SHORT_N] = {{0}};
            for (; at < s->ends[r]; at++) {
                const size_t column = fn_column(s->columns, at);
                if (column >= p + block) break;
                T *sum = lane[(column - p) % LANES];
                const T *row = b + column * g->ldb;
                for (size_t j = 0; j < g->n; j++) sum[j] = FMA(values[at], row[j], sum[j]);
            }
            for (size_t half = LANES / 2; half > 0; half /= 2)
                for (size_t l = 0; l < half; l++)
                    for (size_t j = 0; j < SHORT_N; j++) lane[l][j] += lane[l + half][j];
            NAME(finish_row)(&t, lane[0], t.c, t.bias, t.mask, g->n);
            if (g->accumulate) NAME(look_for_infinite)(s->spoilt, t.c, g->n);
            p += block;
        } while (p < g->k);
    }
}

/* Adds to rows [i, i + m) of c, over a k so short that b stays in the first-level cache: a row of c is gone
 * through as a whole, and most rows, which have no element, not at all. */
static void NAME(sparse_outer)(const fn_sparse_args *s, size_t i, size_t m)
{
    const fn_gemm_args *g = &s->product;
    const T *values = s->values, alpha = NAME(target_at)(g, 0, 0, 0, g->k, g->n).alpha;
    const int skips = NAME(leaves_all)(alpha);
    for (size_t r = i; r < i + m; r++) {
        const int64_t start = s->starts[r], end = s->ends[r];
        if (skips && start == end) continue;
        T *c = (T *)g->c + r * g->ldc;
        size_t j = 0;
        for (; j + WIDTH <= g->n; j += WIDTH) {
            NAME(vector) sum = {0};
            for (int64_t at = start; at < end; at++) {
                const T *row = (const T *)g->b + fn_column(s->columns, at) * g->ldb + j;
                sum = VECTOR_FMA(NAME(broadcast)(values[at]), NAME(load)(row), sum);
            }
            NAME(store)(c + j, VECTOR_FMA(NAME(broadcast)(alpha), sum + 0, NAME(load)(c + j)));
        }
        for (; j < g->n; j++) {
            T sum = 0;
            for (int64_t at = start; at < end; at++)
                sum = FMA(values[at], ((const T *)g->b)[fn_column(s->columns, at) * g->ldb + j], sum);
            c[j] = FMA(alpha, sum + 0, c[j]);
        }
        NAME(look_for_infinite)(s->spoilt, c, g->n);
    }
}

/* Units are strips of parts of the rows, part after part: one after another they share rows of a. Threads that
 * write strips of the same rows slow each other down, since a processor fetches ahead, from what it writes, the
 * lines that follow in the page, which are another's: where rows are many, a thread's share are parts. A gradient
 * begins with the strip of the weights that the forward product ended with, which is still in the cache. */
KERNEL(sparse_gemm)
{
    const fn_sparse_args *s = args;
    const fn_gemm_args *g = &s->product;
    char *scratch = (char *)g->scratch + (size_t)worker * SPARSE_SCRATCH;
    const size_t units = g->parts_down * g->parts_across;
    for (size_t unit = begin; unit < end; unit++) {
        const size_t part = unit / g->parts_across, strip = unit % g->parts_across;
        const size_t across = g->transpose_a ? g->parts_across - 1 - strip : strip;
        const size_t i = g->m * part / g->parts_down, m = g->m * (part + 1) / g->parts_down - i;
        const size_t j = across * SPARSE_STRIP, columns = g->n - j < SPARSE_STRIP ? g->n - j : SPARSE_STRIP;
        const size_t vectors = (columns + WIDTH - 1) / WIDTH;
        const int is_short = NAME(is_short)(g);
        const int is_outer = fn_is_outer(g);
        if (s->infinite && (is_short || is_outer || g->m <= FN_SPARSE_FEW)) {
            const size_t first = g->k * unit / units, last = g->k * (unit + 1) / units;
            NAME(look_for_infinite)(s->infinite, (const T *)g->b + first * g->n, (last - first) * g->n);
        }
        if (is_short)
            NAME(sparse_short)(s, i, m);
        else if (is_outer)
            NAME(sparse_outer)(s, i, m);
        else if (vectors <= 2)
            NAME(sparse_strip)(2, s, i, m, j, columns, scratch);
        else if (vectors <= 4)
            NAME(sparse_strip)(4, s, i, m, j, columns, scratch);
        else if (SPARSE_VECTORS > 8 && vectors <= 8)
            NAME(sparse_strip)(8, s, i, m, j, columns, scratch);
        else
            NAME(sparse_strip)(SPARSE_VECTORS, s, i, m, j, columns, scratch);
    }
}

/* Sets *infinite if an element is infinite or NaN. */
KERNEL(find_infinite)
{
    const fn_finite_args *g = args;
    NAME(look_for_infinite)(g->infinite, (const T *)g->x + begin, end - begin);
}

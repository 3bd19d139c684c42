/* Rows without their zeros: made of a matrix, moved, transposed, and made a matrix again. */

#ifndef COMPRESS_CHOICES
#define COMPRESS_CHOICES
enum { COMPRESS_AHEAD = 4 << 10 }; /* bytes that are fetched ahead of what is being compressed */
#endif

/* Writes the elements x[j .. j + WIDTH) at the mask's bits, and their columns, from `at` on, where there is room
 * for all; returns where they end. Which those are nobody can foretell: without an instruction that packs
 * them all are written, each over the last one if that was zero. */
INLINE size_t NAME(write_nonzeros)(const T *x, size_t j, unsigned bits, size_t at, T *values,
                                   fn_columns columns)
{
#ifdef HAS_PACK
    typedef uint16_t narrow __attribute__((vector_size(2 * WIDTH)));
    typedef uint32_t wide __attribute__((vector_size(4 * WIDTH)));
    NAME(mask) index;
    UNROLL for (UINT l = 0; l < WIDTH; l++) index[l] = l;
    index = (NAME(mask))PACK((NAME(vector))(index + (UINT)j), bits);
    NAME(store)(values + at, PACK(NAME(load)(x + j), bits));
    if (columns.narrow) {
        const narrow packed = __builtin_convertvector(index, narrow);
        memcpy((uint16_t *)columns.data + at, &packed, sizeof packed);
    } else {
        const wide packed = __builtin_convertvector(index, wide);
        memcpy((uint32_t *)columns.data + at, &packed, sizeof packed);
    }
    return at + (size_t)__builtin_popcount(bits);
#else
    UNROLL for (size_t l = 0; l < WIDTH; l++)
    {
        values[at] = x[j + l];
        fn_set_column(columns, at, j + l);
        at += bits >> l & 1;
    }
    return at;
#endif
}

/* Writes the elements of a row that are not zero, and their columns, from `at` on, and nothing from `end` on;
 * returns where they end. What lies `ahead` elements on, if that is not 0, is fetched into the second-level
 * cache. */
INLINE size_t NAME(compress_row_as)(const int narrow, const T *x, size_t n, size_t ahead, size_t at, size_t end,
                                    T *values, void *data)
{
    const fn_columns columns = {data, narrow};
    for (size_t j = 0; j < n; j += WIDTH) {
        if (ahead) __builtin_prefetch(x + j + ahead, 0, 2);
        const NAME(mask) kept = (NAME(mask))(NAME(load_left)(x + j, n - j) != 0);
        unsigned bits = MASK_BITS(kept);
        if (bits == 0) continue;
        if (at + WIDTH <= end && j + WIDTH <= n)
            at = NAME(write_nonzeros)(x, j, bits, at, values, columns);
        else
            for (; bits != 0 && at < end; bits &= bits - 1) {
                const size_t i = j + (size_t)__builtin_ctz(bits);
                values[at] = x[i];
                fn_set_column(columns, at++, i);
            }
    }
    return at;
}

static size_t NAME(compress_row)(const T *x, size_t n, size_t ahead, size_t at, size_t end, T *values,
                                 fn_columns columns)
{
    return columns.narrow ? NAME(compress_row_as)(1, x, n, ahead, at, end, values, columns.data)
                          : NAME(compress_row_as)(0, x, n, ahead, at, end, values, columns.data);
}

/* Memory is read once, and what is not zero stays in the second-level cache until all know where it goes. */
KERNEL(compress)
{
    const fn_compress_args *g = args;
    for (size_t unit = begin; unit < end; unit++) {
        const size_t first = unit * g->rows, last = first + g->rows < g->m ? first + g->rows : g->m;
        size_t at = first * g->n;
        for (size_t i = first; i < last; i++) {
            const size_t stop = NAME(compress_row)((const T *)g->x + i * g->n, g->n, COMPRESS_AHEAD / sizeof(T), at,
                                                   last * g->n, g->values, g->columns);
            g->starts[i + 1] = (int64_t)(stop - at);
            at = stop;
        }
    }
}

KERNEL(move_rows)
{
    const fn_compress_args *g = args;
    const size_t width = g->columns.narrow ? sizeof(uint16_t) : sizeof(uint32_t);
    for (size_t unit = begin; unit < end; unit++) {
        const size_t first = unit * g->rows, last = first + g->rows < g->m ? first + g->rows : g->m;
        const size_t from = first * g->n, to = (size_t)g->starts[first], count = (size_t)g->starts[last] - to;
        memcpy((T *)g->to + to, (const T *)g->values + from, count * sizeof(T));
        memcpy((char *)g->to_columns.data + to * width, (const char *)g->columns.data + from * width,
               count * width);
    }
}

/* Row i of a as a row of n elements; units are rows. */
KERNEL(expand)
{
    const fn_sparse_args *s = args;
    const size_t n = s->product.k;
    for (size_t i = begin; i < end; i++) {
        T *c = (T *)s->product.c + i * n;
        memset(c, 0, n * sizeof(T));
        for (int64_t at = s->starts[i]; at < s->ends[i]; at++)
            c[fn_column(s->columns, at)] = ((const T *)s->values)[at];
    }
}

/* The first place from `at` on, before `end`, whose column is `column` or a later one. */
INLINE int64_t NAME(first_from)(fn_columns columns, int64_t at, int64_t end, size_t column)
{
    while (at < end) {
        const int64_t middle = at + (end - at) / 2;
        if (fn_column(columns, middle) < column)
            at = middle + 1;
        else
            end = middle;
    }
    return at;
}

/* The columns [first, last) of a as rows of its transpose. */
static void NAME(transpose_columns)(const fn_transpose_args *g, size_t first, size_t last, int64_t *begins,
                                    int64_t *ends)
{
    const fn_sparse_args *s = &g->of;
    const size_t m = s->product.m;
    const fn_columns columns = s->columns, to_columns = g->columns;
    const T *values = s->values;
    T *to = g->values;
    /* The row of column p is counted in starts[p + 1]; the counts become where the rows begin, and move on
     * to where they end, and the next ones begin, as they are filled. */
    int64_t *starts = g->starts, next = 0;
    memset(starts + first + 1, 0, (last - first) * sizeof *starts);
    for (size_t i = 0; i < m; i++) {
        const int64_t begin = s->starts[i], end = s->ends[i];
        const int64_t from = first == 0 ? begin : NAME(first_from)(columns, begin, end, first);
        const int64_t to_here = last == s->product.k ? end : NAME(first_from)(columns, from, end, last);
        begins[i] = from;
        ends[i] = to_here;
        next += from - begin;
        for (int64_t at = from; at < to_here; at++) starts[fn_column(columns, at) + 1]++;
    }
    for (size_t p = first + 1; p <= last; p++) {
        const int64_t count = starts[p];
        starts[p] = next;
        next += count;
    }
    for (size_t i = 0; i < m; i++) {
        const int64_t end = ends[i];
        for (int64_t at = begins[i]; at < end; at++) {
            const int64_t place = starts[fn_column(columns, at) + 1]++;
            fn_set_column(to_columns, (size_t)place, i);
            to[place] = values[at];
        }
    }
}

/* The transpose of the m rows of a: its rows begin at starts[0 .. k] of `to`. Units are parts of a's columns. */
KERNEL(transpose_compressed)
{
    const fn_transpose_args *g = args;
    const size_t m = g->of.product.m, k = g->of.product.k;
    if (begin == 0) g->starts[0] = 0;
    for (size_t unit = begin; unit < end; unit++) {
        int64_t *begins = g->bounds + 2 * m * unit;
        NAME(transpose_columns)(g, k * unit / g->parts, k * (unit + 1) / g->parts, begins, begins + m);
    }
}

KERNEL(compress_few)
{
    (void)begin;
    (void)end;
    const fn_compress_few_args *g = args;
    size_t total = 0;
    for (size_t i = 0; i < g->m; i++) {
        const size_t start = i * g->k;
        const size_t stop =
            NAME(compress_row)((const T *)g->x + i * g->ldx, g->k, 0, start, start + g->k, g->values,
                               g->columns);
        g->starts[i] = (int64_t)start;
        g->ends[i] = (int64_t)stop;
        total += stop - start;
    }
    *g->whole = *g->infinite || total > g->m * g->k / 2;
}

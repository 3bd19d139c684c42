/* The machine's vector of T (GCC's and clang's vector extension), and the LANES of a row in such vectors:
 * lane l is element l % WIDTH of vector l / WIDTH. */
#undef WIDTH
#undef LANE_VECTORS
#define WIDTH (VECTOR_BYTES / (int)sizeof(T))
#define LANE_VECTORS (LANES / WIDTH)

typedef T NAME(vector) __attribute__((vector_size(VECTOR_BYTES)));
typedef UINT NAME(mask) __attribute__((vector_size(VECTOR_BYTES)));

INLINE NAME(vector) NAME(load)(const T *p)
{
    NAME(vector) v;
    memcpy(&v, p, sizeof v);
    return v;
}

INLINE NAME(vector) NAME(broadcast)(T x)
{
    return x - (NAME(vector)){0}; /* and not 0 + x, which loses the sign of -0 */
}

INLINE void NAME(store)(T *p, NAME(vector) v)
{
    memcpy(p, &v, sizeof v);
}

/* Elements of a where the mask's bits are set, else of b. */
INLINE NAME(vector) NAME(select)(NAME(mask) mask, NAME(vector) a, NAME(vector) b)
{
    return (NAME(vector))((mask & (NAME(mask))a) | (~mask & (NAME(mask))b));
}

/* For levels without such an instruction: stores the first n < WIDTH elements, in pieces of constant size. */
__attribute__((unused)) INLINE void NAME(store_first)(T *y, NAME(vector) v, size_t n)
{
    T all[WIDTH];
    const T *from = all;
    NAME(store)(all, v);
    UNROLL for (size_t s = WIDTH / 2; s > 0; s /= 2)
        if (n & s) {
            memcpy(y, from, s * sizeof(T));
            y += s;
            from += s;
        }
}

/* For levels without such an instruction: the elements of x where the mask's bits are set, which are the
 * first ones. */
__attribute__((unused)) INLINE NAME(vector) NAME(load_first)(const T *x, NAME(mask) mask)
{
    T few[WIDTH] = {0};
    UNROLL for (int l = 0; l < WIDTH; l++)
        if (mask[l]) few[l] = x[l];
    return NAME(load)(few);
}

/* For levels without such an instruction: bit l is set where lane l is. */
__attribute__((unused)) INLINE unsigned NAME(bits_of)(NAME(mask) mask)
{
    unsigned bits = 0;
    UNROLL for (int l = 0; l < WIDTH; l++) bits |= (unsigned)(mask[l] & 1) << l;
    return bits;
}

/* The first n < WIDTH elements of x, then `rest`: all of the last, short piece of a row. */
INLINE NAME(vector) NAME(load_few)(const T *x, size_t n, T rest)
{
    NAME(mask) first;
    UNROLL for (UINT l = 0; l < WIDTH; l++) first[l] = l;
    first = (NAME(mask))(first < (UINT)n);
    return NAME(select)(first, MASKED_LOAD(x, first), NAME(broadcast)(rest));
}

/* What there is of a vector where n elements are left: at least as many, a few or none. */
INLINE NAME(vector) NAME(load_left)(const T *x, size_t n)
{
    return n < WIDTH ? NAME(load_few)(x, n, 0) : NAME(load)(x);
}

INLINE void NAME(store_left)(T *y, NAME(vector) x, size_t n)
{
    if (n < WIDTH)
        STORE_FEW(y, x, n);
    else
        NAME(store)(y, x);
}

/* Exchanges blocks of h elements: u gets the even blocks of both, those of u first in each pair, and v the
 * odd ones. The steps h = WIDTH / 2, ..., 2, 1 over rows h apart transpose a square of WIDTH vectors. */
INLINE void NAME(exchange)(__attribute__((unused)) const int h, NAME(vector) *u, NAME(vector) *v)
{
    const NAME(vector) a = *u, b = *v;
#define EXCHANGE(even, odd)                                                                        \
    *u = __builtin_shufflevector(a, b, EXPAND even);                                               \
    *v = __builtin_shufflevector(a, b, EXPAND odd);                                                \
    return;
#if VECTOR_BYTES * 8 / T_BITS == 2
    EXCHANGE((0, 2), (1, 3))
#elif VECTOR_BYTES * 8 / T_BITS == 4
    if (h == 2) { EXCHANGE((0, 1, 4, 5), (2, 3, 6, 7)) }
    EXCHANGE((0, 4, 2, 6), (1, 5, 3, 7))
#elif VECTOR_BYTES * 8 / T_BITS == 8
    if (h == 4) { EXCHANGE((0, 1, 2, 3, 8, 9, 10, 11), (4, 5, 6, 7, 12, 13, 14, 15)) }
    if (h == 2) { EXCHANGE((0, 1, 8, 9, 4, 5, 12, 13), (2, 3, 10, 11, 6, 7, 14, 15)) }
    EXCHANGE((0, 8, 2, 10, 4, 12, 6, 14), (1, 9, 3, 11, 5, 13, 7, 15))
#else
    if (h == 8) {
        EXCHANGE((0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23),
                 (8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31))
    }
    if (h == 4) {
        EXCHANGE((0, 1, 2, 3, 16, 17, 18, 19, 8, 9, 10, 11, 24, 25, 26, 27),
                 (4, 5, 6, 7, 20, 21, 22, 23, 12, 13, 14, 15, 28, 29, 30, 31))
    }
    if (h == 2) {
        EXCHANGE((0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29),
                 (2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31))
    }
    EXCHANGE((0, 16, 2, 18, 4, 20, 6, 22, 8, 24, 10, 26, 12, 28, 14, 30),
             (1, 17, 3, 19, 5, 21, 7, 23, 9, 25, 11, 27, 13, 29, 15, 31))
#endif
#undef EXCHANGE
}

/* Transposes a square: element j of row i goes to element i of row j. */
INLINE void NAME(transpose)(NAME(vector) row[WIDTH])
{
    UNROLL for (int h = WIDTH / 2; h > 0; h /= 2)
        UNROLL for (int i = 0; i < WIDTH; i++)
            if (!(i & h)) NAME(exchange)(h, &row[i], &row[i + h]);
}

/* Of each piece of two vectors of float32 the first halves, interleaved, and the second ones. */
#if T_BITS == 32
INLINE void NAME(interleave)(NAME(vector) *u, NAME(vector) *v)
{
    const NAME(vector) a = *u, b = *v;
#define INTERLEAVE(first, second)                                                                  \
    *u = __builtin_shufflevector(a, b, EXPAND first);                                              \
    *v = __builtin_shufflevector(a, b, EXPAND second);
#if VECTOR_BYTES == 16
    INTERLEAVE((0, 4, 1, 5), (2, 6, 3, 7))
#elif VECTOR_BYTES == 32
    INTERLEAVE((0, 8, 1, 9, 4, 12, 5, 13), (2, 10, 3, 11, 6, 14, 7, 15))
#else
    INTERLEAVE((0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9, 25, 12, 28, 13, 29),
               (2, 18, 3, 19, 6, 22, 7, 23, 10, 26, 11, 27, 14, 30, 15, 31))
#endif
#undef INTERLEAVE
}
#endif

/* Loads WIDTH elements of WIDTH rows as a square and transposes it: blocks of pieces of 16 bytes by the way
 * they are loaded, and then each piece by itself. Rows may push each other out of the cache: all of a few come
 * before the next ones. */
INLINE void NAME(load_transposed)(NAME(vector) square[WIDTH], const T *x, size_t ldx)
{
    enum { PIECE = 16 / sizeof(T) };
    UNROLL for (size_t i = 0; i < PIECE; i++)
        UNROLL for (size_t q = 0; q < WIDTH; q += PIECE)
            square[q + i] = LOAD_PIECES(x + i * ldx + q, PIECE * ldx);
    UNROLL for (size_t q = 0; q < WIDTH; q += PIECE)
    {
        NAME(vector) *row = square + q;
#if T_BITS == 32
        NAME(interleave)(&row[0], &row[1]);
        NAME(interleave)(&row[2], &row[3]);
        NAME(exchange)(2, &row[0], &row[2]);
        NAME(exchange)(2, &row[1], &row[3]);
        const NAME(vector) second = row[2];
        row[2] = row[1];
        row[1] = second;
#else
        NAME(exchange)(1, &row[0], &row[1]);
#endif
    }
}

/* Sums of LANES lanes: the upper half is added to the lower until one is left. `sums_of` does so for
 * WIDTH rows of lanes at once, of which `fold` has made one vector each; element i is the sum of row i. */
INLINE NAME(vector) NAME(fold)(const NAME(vector) lanes[LANE_VECTORS])
{
    NAME(vector) sum[LANE_VECTORS];
    UNROLL for (int v = 0; v < LANE_VECTORS; v++) sum[v] = lanes[v];
    UNROLL for (int s = LANE_VECTORS / 2; s > 0; s /= 2)
        UNROLL for (int v = 0; v < s; v++) sum[v] += sum[v + s];
    return sum[0];
}

INLINE NAME(vector) NAME(sums_of)(const NAME(vector) folded[WIDTH])
{
    NAME(vector) row[WIDTH];
    UNROLL for (int i = 0; i < WIDTH; i++) row[i] = folded[i];
    UNROLL for (int h = WIDTH / 2; h > 0; h /= 2)
        UNROLL for (int i = 0; i < h; i++) {
            NAME(exchange)(h, &row[i], &row[i + h]);
            row[i] += row[i + h];
        }
    return row[0];
}

INLINE T NAME(lane_sum)(const NAME(vector) lanes[LANE_VECTORS])
{
    T lane[WIDTH];
    NAME(store)(lane, NAME(fold)(lanes));
    UNROLL for (int s = WIDTH / 2; s > 0; s /= 2)
        UNROLL for (int l = 0; l < s; l++) lane[l] += lane[l + s];
    return lane[0];
}

/* The n <= LANES elements at the end of a row, one in each lane, and `rest` in the others. */
INLINE void NAME(load_lanes)(NAME(vector) lanes[LANE_VECTORS], const T *x, size_t n, T rest)
{
    UNROLL for (size_t v = 0; v < LANE_VECTORS; v++) {
        const size_t before = v * WIDTH;
        lanes[v] = n >= before + WIDTH ? NAME(load)(x + before)
                                       : NAME(load_few)(x + before, n > before ? n - before : 0, rest);
    }
}

/* Stores the first n <= LANES lanes. */
INLINE void NAME(store_lanes)(T *y, const NAME(vector) lanes[LANE_VECTORS], size_t n)
{
    UNROLL for (size_t v = 0; v < LANE_VECTORS; v++) {
        const size_t before = v * WIDTH;
        if (n >= before + WIDTH)
            NAME(store)(y + before, lanes[v]);
        else if (n > before)
            STORE_FEW(y + before, lanes[v], n - before);
    }
}

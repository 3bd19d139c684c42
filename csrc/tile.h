/* Tiles of a product: TILE_ROWS x TILE_VECTORS vectors of sums in registers, over a block of k (gemm.h says why). */

#undef TILE_COLUMNS
#undef TILE_SUMS
#define TILE_COLUMNS (TILE_VECTORS * WIDTH)
#define TILE_SUMS (TILE_ROWS * TILE_VECTORS)

#ifndef TILE_CHOICES
#define TILE_CHOICES
enum {
    AHEAD = 24,  /* steps of k that the copying tile fetches ahead */
    FETCHED = 24 /* steps of k in whose time the place of a tile's sums can be fetched */
};
#endif

/* A matrix that gives rows: element (i, p) lies at data[i * row_step + p * k_step], and every tile
 * tile_step * TILE_ROWS after the one above it. */
typedef struct NAME(panel) {
    const T *data;
    size_t tile_step, row_step, k_step;
} NAME(panel);

/* One tile of rows x vectors, constants after inlining, over a block of k. If `copying`, the vectors of
 * b that it loads are also written to `copy`, one row of the tile after another. */
INLINE void NAME(tile)(const int rows, const int vectors, const int copying, size_t k, NAME(panel) a,
                       const T *b, size_t ldb, T *copy, const NAME(target) *t)
{
    _Static_assert(TILE_SUMS <= MOST_ROUNDS, "all sums are in registers");
    NAME(vector) sum[TILE_SUMS];
    UNROLL for (int i = 0; i < rows * vectors; i++) sum[i] = (NAME(vector)){0};
    /* Where the sums will go is fetched meanwhile, unless there is no time for that. */
    if (t->accumulate || !t->first || k > FETCHED)
        for (size_t i = 0; i < (size_t)rows; i++)
            UNROLL for (int v = 0; v < vectors * VECTOR_BYTES; v += FN_LINE)
                __builtin_prefetch((const char *)(t->c + i * t->ldc) + v, 1);
    /* Two pointers and one distance take fewer registers than the distances of all rows. */
    _Static_assert(TILE_ROWS <= 6, "no row is farther from a pointer than twice the distance");
    const T *upper = a.data, *lower = a.data + (rows > 3 ? 3 * a.row_step : 0);
    __attribute__((unused)) const size_t last = t->columns - (size_t)(vectors - 1) * WIDTH;
    for (size_t p = 0; p < k; p++, upper += a.k_step, lower += a.k_step, b += ldb) {
        NAME(vector) bv[TILE_SUMS];
        UNROLL for (int v = 0; v < vectors - 1; v++) bv[v] = NAME(load)(b + v * WIDTH);
        bv[vectors - 1] = LOAD_LAST(b + (vectors - 1) * WIDTH, last);
        if (copying) {
            __builtin_prefetch(b + AHEAD * ldb);
            UNROLL for (int v = 0; v < vectors; v++) NAME(store)(copy + v * WIDTH, bv[v]);
            copy += vectors * WIDTH;
        }
        UNROLL for (int i = 0; i < rows; i++) {
            const NAME(vector) ai = NAME(broadcast)((i < 3 ? upper : lower)[(size_t)(i % 3) * a.row_step]);
            UNROLL for (int v = 0; v < vectors; v++)
                sum[i * vectors + v] = VECTOR_FMA(ai, bv[v], sum[i * vectors + v]);
        }
    }
    if (t->columns == (size_t)vectors * WIDTH && NAME(is_usual)(t)) {
        NAME(store_whole)(rows, vectors, vectors, t, sum, t->c);
        return;
    }
    T sums[TILE_SUMS * WIDTH];
    if (t->plain && t->first) {
        NAME(store_whole)(rows, vectors, vectors - 1, t, sum, t->c);
        UNROLL for (int i = 0; i < rows; i++) NAME(store)(sums + i * WIDTH, sum[(i + 1) * vectors - 1] + 0);
        NAME(store_last)(t, sums, (size_t)rows, (size_t)(vectors - 1) * WIDTH);
    } else {
        UNROLL for (int i = 0; i < rows * vectors; i++) NAME(store)(sums + i * WIDTH, sum[i]);
        NAME(finish_tile)(t, sums, (size_t)rows, (size_t)vectors * WIDTH);
    }
}

#undef TILE
#undef TILES
#define TILE(rows, vectors, copying)                                                               \
    case rows: NAME(tile)(rows, vectors, copying, k, a, b, ldb, copy, t); break;
#define TILES(vectors, copying)                                                                    \
    switch (rows) {                                                                                \
        TILE(1, vectors, copying)                                                                  \
        TILE(2, vectors, copying)                                                                  \
        TILE(3, vectors, copying)                                                                  \
        TILE(4, vectors, copying)                                                                  \
        TILE(5, vectors, copying)                                                                  \
        TILE(6, vectors, copying)                                                                  \
    }

static void NAME(any_tile)(int rows, int vectors, int copying, size_t k, NAME(panel) a, const T *b,
                           size_t ldb, T *copy, const NAME(target) *t)
{
    if (copying)
        TILES(TILE_VECTORS, 1)
    else if (vectors == TILE_VECTORS)
        TILES(TILE_VECTORS, 0)
#if TILE_VECTORS > 2
    else if (vectors == 3)
        TILES(3, 0)
    else if (vectors == 2)
        TILES(2, 0)
#endif
    else
        TILES(1, 0)
}

/* A column of tiles, m rows high. If `copying`, the first tile, of full width, copies b for the others. */
static void NAME(tile_column)(size_t m, int vectors, int copying, size_t k, NAME(panel) a, const T *b,
                              size_t ldb, T *copy, NAME(target) t)
{
    while (m) {
        size_t rows = m < TILE_ROWS ? m : TILE_ROWS;
        /* The last rows go as two near-equal tiles: one row alone would wait for its own additions. */
        if (m > TILE_ROWS && m < 10 && a.tile_step == a.row_step) rows = (m + 1) / 2;
        NAME(any_tile)((int)rows, vectors, copying, k, a, b, ldb, copy, &t);
        if (copying) {
            copying = 0;
            b = copy;
            ldb = TILE_COLUMNS;
        }
        a.data += rows * (rows == TILE_ROWS ? a.tile_step : a.row_step);
        t.c += rows * t.ldc;
        if (t.mask) t.mask += rows * t.ldc;
        m -= rows;
    }
}

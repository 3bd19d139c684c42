/* gather: the rows of a data set that make up a batch, converted to T and scaled on the way, so that
 * images of bytes or a table of float64 need no copy of the whole set.
 *
 * A row is read once and written once; bytes are a quarter of the traffic of floats, so converting here is
 * cheaper than reading what was converted before. Rows of a shuffled set lie anywhere, and the processor
 * cannot guess the next one: its first lines are asked for while the present row is converted. Rows that
 * need no conversion are copied.
 *
 * Each source type is one plain loop that the compiler turns into vector code. NaN and infinity pass.
 * Units of work are rows.
 */
#ifndef GATHER_HALF
#define GATHER_HALF
enum { ASKED_FOR = 1024 }; /* bytes; further ones follow in order, which the processor notices */

/* float16 as a float: its bits, moved to their places in a float, stand for a number 2^-112 as large, also
 * where it is subnormal. Infinity and NaN get the larger exponent that they have in a float. */
INLINE float from_half(uint16_t half)
{
    uint32_t bits = (uint32_t)(half & 0x7fff) << 13;
    const uint32_t special = bits >= 0x0f800000u ? 0x7f800000u : 0;
    float size;
    memcpy(&size, &bits, sizeof size);
    size *= 0x1p112f;
    memcpy(&bits, &size, sizeof bits);
    bits |= special | (uint32_t)(half & 0x8000) << 16;
    memcpy(&size, &bits, sizeof size);
    return size;
}
#endif

#undef CONVERT
#define CONVERT(source, convert)                                                                   \
    {                                                                                              \
        const source *from = x;                                                                    \
        INDEPENDENT for (size_t j = 0; j < n; j++) y[j] = (T)convert(from[j]) * scale;             \
        break;                                                                                     \
    }

INLINE void NAME(convert_row)(T *restrict y, const void *restrict x, size_t n, int type, T scale)
{
    switch (type) {
    case FN_UINT8: CONVERT(uint8_t, )
    case FN_INT8: CONVERT(int8_t, )
    case FN_UINT16: CONVERT(uint16_t, )
    case FN_INT16: CONVERT(int16_t, )
    case FN_UINT32: CONVERT(uint32_t, )
    case FN_INT32: CONVERT(int32_t, )
    case FN_UINT64: CONVERT(uint64_t, )
    case FN_INT64: CONVERT(int64_t, )
    case FN_FLOAT16: CONVERT(uint16_t, from_half)
    case FN_FLOAT32: CONVERT(float, )
    case FN_FLOAT64: CONVERT(double, )
    }
}

KERNEL(gather)
{
    const fn_gather_args *g = args;
    const size_t n = g->n, row = n * g->itemsize, asked = row < ASKED_FOR ? row : ASKED_FOR;
    const int same = g->type == (sizeof(T) == 4 ? FN_FLOAT32 : FN_FLOAT64) && g->scale == 1;
    for (size_t i = begin; i < end; i++) {
        const char *x = *g->x + (size_t)g->rows[i] * row;
        if (i + 1 < end)
            for (size_t byte = 0; byte < asked; byte += FN_LINE)
                __builtin_prefetch(*g->x + (size_t)g->rows[i + 1] * row + byte);
        T *y = (T *)g->y + i * n;
        if (same)
            memcpy(y, x, row);
        else
            NAME(convert_row)(y, x, n, g->type, (T)g->scale);
    }
}

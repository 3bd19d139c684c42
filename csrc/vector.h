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

/* b where it is larger than a, else a. */
INLINE NAME(vector) NAME(larger)(NAME(vector) a, NAME(vector) b)
{
    const NAME(mask) take_b = (NAME(mask))(b > a);
    return (NAME(vector))((take_b & (NAME(mask))b) | (~take_b & (NAME(mask))a));
}

/* The sum of the lanes: the upper half is added to the lower until one is left. */
INLINE T NAME(lane_sum)(const NAME(vector) lanes[LANE_VECTORS])
{
    NAME(vector) sum[LANE_VECTORS];
    UNROLL for (int v = 0; v < LANE_VECTORS; v++) sum[v] = lanes[v];
    UNROLL for (int s = LANE_VECTORS / 2; s > 0; s /= 2)
        UNROLL for (int v = 0; v < s; v++) sum[v] += sum[v + s];
    T lane[WIDTH];
    memcpy(lane, sum, sizeof lane);
    UNROLL for (int s = WIDTH / 2; s > 0; s /= 2)
        UNROLL for (int l = 0; l < s; l++) lane[l] += lane[l + s];
    return lane[0];
}

/* Adds n elements of x to the lanes, element j to lane j % LANES. */
INLINE void NAME(add_to_lanes)(NAME(vector) lanes[LANE_VECTORS], const T *x, size_t n)
{
    for (; n >= LANES; n -= LANES, x += LANES)
        UNROLL for (int v = 0; v < LANE_VECTORS; v++) lanes[v] += NAME(load)(x + v * WIDTH);
    T tail[LANES] = {0};
    memcpy(tail, x, n * sizeof(T));
    UNROLL for (int v = 0; v < LANE_VECTORS; v++) lanes[v] += NAME(load)(tail + v * WIDTH);
}

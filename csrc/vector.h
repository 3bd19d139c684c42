/* The machine's vector of T (GCC's and clang's vector extension), and the sum over the LANES of a row. */
#undef WIDTH
#define WIDTH (VECTOR_BYTES / (int)sizeof(T))

typedef T NAME(vector) __attribute__((vector_size(VECTOR_BYTES)));

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

INLINE T NAME(lane_sum)(T lane[LANES])
{
    for (size_t s = LANES / 2; s > 0; s /= 2)
        for (size_t l = 0; l < s; l++) lane[l] += lane[l + s];
    return lane[0];
}

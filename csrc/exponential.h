/* exp and log as straight-line code over T: no branch, no libm, so the compiler turns a loop over them
 * into vector code and the bits are the same on every level with a fused multiply-add.
 *
 * exp(x) = 2^n exp(r), n the integer nearest to x / ln 2 and |r| <= ln(2) / 2: the Taylor series of
 * exp(r) is cut where its next term is below half a unit in the last place. 2^n is applied as two
 * factors, since 2^n alone overflows or vanishes before the result does.
 * log(x) = e ln 2 + 2 artanh((m - 1) / (m + 1)), x = m 2^e and sqrt(1/2) <= m < sqrt(2): the series of
 * artanh, in powers of s^2 <= 0.0295, cut in the same way.
 * ln 2 is the sum of two numbers, the first with zeros at its end, so that n times it is exact.
 *
 * Bounds that tests/test_kernels.py holds them to, in units in the last place of results that are normal
 * numbers: exp 1 (2 on the base level, which does not fuse), log 1.
 */

#undef MANTISSA_BITS
#undef EXPONENT_BIAS
#undef EXP_MIN
#undef EXP_MAX
#undef LN2_HIGH
#undef LN2_LOW
#undef SQRT_HALF_BITS
#undef SMALLEST_NORMAL
#undef ROUNDER
#undef TWO_TO_MANTISSA_BITS
#if T_BITS == 32
#define MANTISSA_BITS 23
#define EXPONENT_BIAS 127
#define EXP_MIN -104.0f /* below: 0 */
#define EXP_MAX 89.0f   /* above: infinity */
#define LN2_HIGH 0x1.62e4p-1f
#define LN2_LOW 0x1.7f7d1cp-20f
#define SQRT_HALF_BITS 0x3f3504f3u
#define SMALLEST_NORMAL 0x1p-126f
#define ROUNDER 0x1.8p23f /* adding it rounds to the nearest integer, kept in the low bits */
#define TWO_TO_MANTISSA_BITS 0x1p23f
static const float exp_terms_f32[] = {0x1p0f,        0x1p0f,        0x1p-1f,       0x1.555556p-3f,
                                      0x1.555556p-5f, 0x1.111112p-7f, 0x1.6c16c2p-10f,
                                      0x1.a01a02p-13f};
static const float log_terms_f32[] = {2.0f / 3, 2.0f / 5, 2.0f / 7, 2.0f / 9};
#else
#define MANTISSA_BITS 52
#define EXPONENT_BIAS 1023
#define EXP_MIN -746.0
#define EXP_MAX 710.0
#define LN2_HIGH 0x1.62e42feep-1
#define LN2_LOW 0x1.a39ef35793c76p-33
#define SQRT_HALF_BITS 0x3fe6a09e667f3bcdu
#define SMALLEST_NORMAL 0x1p-1022
#define ROUNDER 0x1.8p52
#define TWO_TO_MANTISSA_BITS 0x1p52
static const double exp_terms_f64[] = {1.0,
                                       1.0,
                                       1.0 / 2,
                                       1.0 / 6,
                                       1.0 / 24,
                                       1.0 / 120,
                                       1.0 / 720,
                                       1.0 / 5040,
                                       1.0 / 40320,
                                       1.0 / 362880,
                                       1.0 / 3628800,
                                       1.0 / 39916800,
                                       1.0 / 479001600,
                                       1.0 / 6227020800.0};
static const double log_terms_f64[] = {2.0 / 3,  2.0 / 5,  2.0 / 7,  2.0 / 9,  2.0 / 11,
                                       2.0 / 13, 2.0 / 15, 2.0 / 17, 2.0 / 19, 2.0 / 21};
#endif

INLINE UINT NAME(bits_of)(T x)
{
    UINT bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

INLINE T NAME(from_bits)(UINT bits)
{
    T x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

INLINE T NAME(nearest_integer)(T x)
{
    return (x + ROUNDER) - ROUNDER;
}

/* n is an integer within the range of exponents; for anything else the result has no meaning. */
INLINE T NAME(power_of_two)(T n)
{
    return NAME(from_bits)(NAME(bits_of)(n + (ROUNDER + EXPONENT_BIAS)) << MANTISSA_BITS);
}

INLINE T NAME(exp_of)(T x)
{
    x = x < EXP_MIN ? EXP_MIN : x;
    x = x > EXP_MAX ? EXP_MAX : x;
    const T n = NAME(nearest_integer)(x * (T)0x1.71547652b82fep0);
    const T r = FMA(n, -LN2_LOW, FMA(n, -LN2_HIGH, x));
    const int terms = sizeof NAME(exp_terms) / sizeof(T);
    T sum = NAME(exp_terms)[terms - 1];
    UNROLL for (int i = terms - 2; i >= 0; i--) sum = FMA(sum, r, NAME(exp_terms)[i]);
    const T half = NAME(nearest_integer)(n * (T)0.5);
    return sum * NAME(power_of_two)(half) * NAME(power_of_two)(n - half);
}

INLINE T NAME(log_of)(T x)
{
    const int tiny = x < SMALLEST_NORMAL;
    const UINT bits = NAME(bits_of)(tiny ? x * TWO_TO_MANTISSA_BITS : x);
    /* Biased, so that it is positive, and counted from sqrt(1/2) instead of 1. */
    const UINT exponent =
        (bits - SQRT_HALF_BITS + ((UINT)EXPONENT_BIAS << MANTISSA_BITS)) >> MANTISSA_BITS;
    const T m = NAME(from_bits)(bits - ((exponent - EXPONENT_BIAS) << MANTISSA_BITS));
    const T e = NAME(from_bits)(NAME(bits_of)(TWO_TO_MANTISSA_BITS) + exponent) -
                (TWO_TO_MANTISSA_BITS + EXPONENT_BIAS) - (tiny ? MANTISSA_BITS : 0);
    const T f = m - 1;
    const T s = f / (m + 1);
    const T z = s * s;
    const int terms = sizeof NAME(log_terms) / sizeof(T);
    T sum = NAME(log_terms)[terms - 1];
    UNROLL for (int i = terms - 2; i >= 0; i--) sum = FMA(sum, z, NAME(log_terms)[i]);
    /* 2 s = f - s f exactly, and keeping f whole saves the digits that s has lost. */
    const T tail = FMA(s, FMA(z, sum, -f), e * LN2_LOW);
    const T y = FMA(e, LN2_HIGH, f + tail);
    const T special = x < 0 ? (T)NAN : x == 0 ? -(T)INFINITY : x;
    return x > 0 && x < (T)INFINITY ? y : special;
}

/* exp, log, tanh and sigmoid as straight-line code over vectors: no branch, no table, no libm, so the bits
 * are the same on every level with a fused multiply-add, and a vector costs some twenty instructions that
 * overlap with those of the next one.
 *
 * exp(x) = 2^n exp(r), n the integer nearest to x / ln 2 and |r| <= ln(2) / 2. All four functions but log
 * rest on the Taylor series of exp(r), cut where its next term is below half a unit in the last place.
 * 2^n is applied as two factors, since 2^n alone overflows or vanishes before the result does; AVX-512 has one
 * instruction for it. Either way only the last step rounds, so the bits are the same. Rounding to n is done by
 * adding ROUNDER, so large that the fraction is rounded away: n then stands in the low bits, from where a shift
 * moves it into the exponent.
 *
 * tanh(x) = (exp(2x) - 1) / (exp(2x) + 1) for x > 0, with exp(2x) - 1 = 2^n (exp(r) - 1) + (2^n - 1),
 * which keeps all digits of a small x; the sign is taken off before and put back at the end.
 * sigmoid(x) = 1 / (1 + e) for x > 0 and e / (1 + e) below, e = exp(-|x|): nothing cancels.
 *
 * log(x) = e ln 2 + 2 artanh((m - 1) / (m + 1)), x = m 2^e and sqrt(1/2) <= m < sqrt(2): the series of
 * artanh, in powers of s^2 <= 0.0295, cut in the same way.
 * ln 2 is the sum of two numbers, the first with zeros at its end, so that n times it is exact.
 *
 * The worst errors over all 2^32 numbers of float32, in units in the last place (of subnormal results the
 * smallest number), as tests/stress/test_every_float.py finds them:
 *
 *                                    exp     log    tanh  sigmoid
 *     with a fused multiply-add     0.91    0.90    2.43     2.41
 *     base level                    1.18    0.96    2.45     2.41
 *
 * Bounds that tests hold both float types to: exp and log 1, tanh and sigmoid 3; exp 2 on the base level.
 */

#undef MANTISSA_BITS
#undef EXPONENT_BIAS
#undef EXP_MIN
#undef EXP_MAX
#undef TANH_MAX
#undef LN2_HIGH
#undef LN2_LOW
#undef SQRT_HALF_BITS
#undef SMALLEST_NORMAL
#undef ROUNDER
#undef EXP_TERMS
#undef LOG_TERMS
#undef ONE_BITS
#undef TWO_TO_MANTISSA_BITS
#if T_BITS == 32
#define MANTISSA_BITS 23
#define EXPONENT_BIAS 127
#define EXP_MIN -104.0f /* below: 0 */
#define EXP_MAX 89.0f   /* above: infinity */
#define TANH_MAX 10.0f  /* above: 1 */
#define LN2_HIGH 0x1.62e4p-1f
#define LN2_LOW 0x1.7f7d1cp-20f
#define SQRT_HALF_BITS 0x3f3504f3u
#define SMALLEST_NORMAL 0x1p-126f
#define ROUNDER 0x1.8p23f /* adding it rounds to the nearest integer, kept in the low bits */
#define TWO_TO_MANTISSA_BITS 0x1p23f
/* 1 / 2!, 1 / 3! and so on; 1 / 6! is a little larger and stands for most of 1 / 8! too. */
#define EXP_TERMS 6
#define LOG_TERMS 4
static const float exp_terms_f32[EXP_TERMS] = {0x1p-1f,        0x1.555556p-3f,  0x1.555556p-5f,
                                               0x1.111112p-7f, 0x1.6cceaep-10f, 0x1.a01a02p-13f};
static const float log_terms_f32[LOG_TERMS] = {2.0f / 3, 2.0f / 5, 2.0f / 7, 2.0f / 9};
#else
#define MANTISSA_BITS 52
#define EXPONENT_BIAS 1023
#define EXP_MIN -746.0
#define EXP_MAX 710.0
#define TANH_MAX 20.0
#define LN2_HIGH 0x1.62e42feep-1
#define LN2_LOW 0x1.a39ef35793c76p-33
#define SQRT_HALF_BITS 0x3fe6a09e667f3bcdu
#define SMALLEST_NORMAL 0x1p-1022
#define ROUNDER 0x1.8p52
#define TWO_TO_MANTISSA_BITS 0x1p52
#define EXP_TERMS 12
#define LOG_TERMS 10
static const double exp_terms_f64[EXP_TERMS] = {
    1.0 / 2,      1.0 / 6,       1.0 / 24,       1.0 / 120,       1.0 / 720,        1.0 / 5040,
    1.0 / 40320,  1.0 / 362880,  1.0 / 3628800,  1.0 / 39916800,  1.0 / 479001600,  1.0 / 6227020800.0};
static const double log_terms_f64[LOG_TERMS] = {2.0 / 3,  2.0 / 5,  2.0 / 7,  2.0 / 9,  2.0 / 11,
                                                2.0 / 13, 2.0 / 15, 2.0 / 17, 2.0 / 19, 2.0 / 21};
#endif

/* The bits of 1, and with n added to its exponent, of 2^n. */
#define ONE_BITS ((UINT)EXPONENT_BIAS << MANTISSA_BITS)

/* x as n ln 2 + r, n being returned as ROUNDER + n. */
INLINE NAME(vector) NAME(reduce)(NAME(vector) x, NAME(vector) *n)
{
    *n = VECTOR_FMA(x, NAME(broadcast)((T)0x1.71547652b82fep0), NAME(broadcast)(ROUNDER));
    const NAME(vector) whole = *n - ROUNDER;
    const NAME(vector) r = VECTOR_FMA(whole, NAME(broadcast)(-LN2_HIGH), x);
    return VECTOR_FMA(whole, NAME(broadcast)(-LN2_LOW), r);
}

/* The sum of term[i] * x^i over an even number of terms: those of even and of odd powers side by side,
 * since one chain would be so long that too few vectors are under way at a time. */
INLINE NAME(vector) NAME(series)(const T *term, const int terms, NAME(vector) x, NAME(vector) square)
{
    NAME(vector) even = NAME(broadcast)(term[terms - 2]), odd = NAME(broadcast)(term[terms - 1]);
    UNROLL for (int i = terms - 4; i >= 0; i -= 2) {
        even = VECTOR_FMA(even, square, NAME(broadcast)(term[i]));
        odd = VECTOR_FMA(odd, square, NAME(broadcast)(term[i + 1]));
    }
    return VECTOR_FMA(odd, x, even);
}

/* (exp(r) - 1 - r) / r^2, |r| <= ln(2) / 2 */
INLINE NAME(vector) NAME(exp_rest)(NAME(vector) r, NAME(vector) square)
{
    return NAME(series)(NAME(exp_terms), EXP_TERMS, r, square);
}

/* exp(x), x <= EXP_MAX */
INLINE NAME(vector) NAME(bounded_exp)(NAME(vector) x)
{
    x = VECTOR_MAX(NAME(broadcast)(EXP_MIN), x);
    NAME(vector) n;
    const NAME(vector) r = NAME(reduce)(x, &n);
    const NAME(vector) slope = VECTOR_FMA(NAME(exp_rest)(r, r * r), r, NAME(broadcast)(1));
#ifdef HAS_SCALE
    return SCALE(VECTOR_FMA(slope, r, NAME(broadcast)(1)), n - ROUNDER);
#else
    /* n = half + rest, each about n / 2; ROUNDER goes out with the shift, or in the difference. */
    const NAME(vector) half =
        VECTOR_FMA(x, NAME(broadcast)((T)0x1.71547652b82fep-1), NAME(broadcast)(ROUNDER));
    const NAME(mask) rest = (NAME(mask))n - (NAME(mask))half;
    const NAME(vector) factor = (NAME(vector))(((NAME(mask))half << MANTISSA_BITS) + ONE_BITS);
    return VECTOR_FMA(slope, r * factor, factor) *
           (NAME(vector))((rest << MANTISSA_BITS) + ONE_BITS);
#endif
}

INLINE NAME(vector) NAME(exp_of)(NAME(vector) x)
{
    return NAME(bounded_exp)(VECTOR_MIN(NAME(broadcast)(EXP_MAX), x));
}

INLINE NAME(vector) NAME(tanh_of)(NAME(vector) x)
{
    const NAME(mask) sign = (NAME(mask))x & ((UINT)1 << (T_BITS - 1));
    const NAME(vector) size = (NAME(vector))((NAME(mask))x ^ sign);
    NAME(vector) n;
    const NAME(vector) r =
        NAME(reduce)(2 * VECTOR_MIN(NAME(broadcast)(TANH_MAX), size), &n);
    const NAME(vector) power = (NAME(vector))(((NAME(mask))n << MANTISSA_BITS) + ONE_BITS);
    const NAME(vector) square = r * r;
    const NAME(vector) small = VECTOR_FMA(square, NAME(exp_rest)(r, square), r);
    const NAME(vector) exp_minus_1 = VECTOR_FMA(power, small, power - 1);
    return (NAME(vector))((NAME(mask))(exp_minus_1 / (exp_minus_1 + 2)) | sign);
}

INLINE NAME(vector) NAME(sigmoid_of)(NAME(vector) x)
{
    const NAME(mask) negative = (NAME(mask))x | ((UINT)1 << (T_BITS - 1));
    const NAME(vector) e = NAME(bounded_exp)((NAME(vector))negative);
    return NAME(select)((NAME(mask))(x < 0), e, NAME(broadcast)(1)) / (1 + e);
}

INLINE NAME(vector) NAME(log_of)(NAME(vector) x)
{
    const NAME(mask) tiny = (NAME(mask))(x < SMALLEST_NORMAL);
    const NAME(mask) bits = (NAME(mask))NAME(select)(tiny, x * TWO_TO_MANTISSA_BITS, x);
    /* Biased, so that it is positive, and counted from sqrt(1/2) instead of 1. */
    const NAME(mask) exponent = (bits - SQRT_HALF_BITS + ONE_BITS) >> MANTISSA_BITS;
    const NAME(vector) m = (NAME(vector))(bits - ((exponent - EXPONENT_BIAS) << MANTISSA_BITS));
    const NAME(mask) shifted = tiny & (NAME(mask))NAME(broadcast)(MANTISSA_BITS);
    const NAME(vector) e =
        (NAME(vector))((NAME(mask))NAME(broadcast)(TWO_TO_MANTISSA_BITS) + exponent) -
        (TWO_TO_MANTISSA_BITS + EXPONENT_BIAS) - (NAME(vector))shifted;
    const NAME(vector) f = m - 1;
    const NAME(vector) s = f / (m + 1);
    const NAME(vector) z = s * s;
    const NAME(vector) sum = NAME(series)(NAME(log_terms), LOG_TERMS, z, z * z);
    /* 2 s = f - s f exactly, and keeping f whole saves the digits that s has lost. */
    const NAME(vector) tail = VECTOR_FMA(s, VECTOR_FMA(z, sum, -f), e * LN2_LOW);
    NAME(vector) y = VECTOR_FMA(e, NAME(broadcast)(LN2_HIGH), f + tail);
    y = NAME(select)((NAME(mask))(x == (T)INFINITY), x, y);
    y = NAME(select)((NAME(mask))(x == 0), NAME(broadcast)(-(T)INFINITY), y);
    /* All bits set are a NaN. */
    return (NAME(vector))((NAME(mask))y | ~(NAME(mask))(x >= 0));
}

/* Compiles the bodies for one level, once per floating-point type, and fills the level's table.
 * An isa_*.c includes this after it has set its target and the macros used here. */

/* What a level leaves out is done without instructions of its own. */
#ifndef FMA_f32
#define FMA_f32 __builtin_fmaf
#define FMA_f64 __builtin_fma
#endif
#ifndef VECTOR_MAX_f32
#define VECTOR_MAX_f32(a, b) select_f32((mask_f32)((a) > (b)), a, b)
#define VECTOR_MAX_f64(a, b) select_f64((mask_f64)((a) > (b)), a, b)
#define VECTOR_MIN_f32(a, b) select_f32((mask_f32)((a) < (b)), a, b)
#define VECTOR_MIN_f64(a, b) select_f64((mask_f64)((a) < (b)), a, b)
#endif
#ifndef MASKED_LOAD_f32
#define MASKED_LOAD_f32 load_first_f32
#define MASKED_LOAD_f64 load_first_f64
#endif
#ifndef LOAD_PIECES_f32
#define LOAD_PIECES_f32(x, distance) load_f32(x)
#define LOAD_PIECES_f64(x, distance) load_f64(x)
#endif
#ifndef LOADS_LAST
#define LOADS_LAST 0
#define LOAD_LAST_f32(x, n) load_f32(x)
#define LOAD_LAST_f64(x, n) load_f64(x)
#endif
#ifndef SLOW_DENORMALS
#define SLOW_DENORMALS 0
#endif
#ifndef STORE_FEW_f32
#define STORE_FEW_f32 store_first_f32
#define STORE_FEW_f64 store_first_f64
#endif
#ifndef MASK_BITS_f32
#define MASK_BITS_f32 bits_of_f32
#define MASK_BITS_f64 bits_of_f64
#endif
#ifndef MULTIPLY_WORDS
#define MULTIPLY_WORDS(a, b) (((a)&0xffffffffu) * ((b)&0xffffffffu))
#endif

/* Those that a level has for each type: FMA is FMA_f32 or FMA_f64. */
#define FMA PASTE(FMA, SUFFIX)
#define VECTOR_FMA PASTE(VECTOR_FMA, SUFFIX)
#define VECTOR_MAX PASTE(VECTOR_MAX, SUFFIX)
#define VECTOR_MIN PASTE(VECTOR_MIN, SUFFIX)
#define MASKED_LOAD PASTE(MASKED_LOAD, SUFFIX)
#define LOAD_PIECES PASTE(LOAD_PIECES, SUFFIX)
#define STORE_FEW PASTE(STORE_FEW, SUFFIX)
#define LOAD_LAST PASTE(LOAD_LAST, SUFFIX)
#define MASK_BITS PASTE(MASK_BITS, SUFFIX)
#define PACK PASTE(PACK, SUFFIX)
#define SCALE PASTE(SCALE, SUFFIX)

#define T float
#define T_BITS 32
#define UINT uint32_t
#define SUFFIX f32
#define SQRT __builtin_sqrtf
#include "bodies.h"
#undef T
#undef T_BITS
#undef UINT
#undef SUFFIX
#undef SQRT

#define T double
#define T_BITS 64
#define UINT uint64_t
#define SUFFIX f64
#define SQRT __builtin_sqrt
#include "bodies.h"

static int supported(void)
{
    return LEVEL_SUPPORTED;
}

const fn_level LEVEL = {LEVEL_NAME, supported, &kernels_f32, &kernels_f64};

/* Compiles the bodies for one level, once per floating-point type, and fills the level's table.
 * An isa_*.c includes this after it has set its target and the macros used here. */

#define T float
#define T_BITS 32
#define UINT uint32_t
#define SUFFIX f32
#define FMA FMA_f32
#define VECTOR_FMA VECTOR_FMA_f32
#define VECTOR_MAX VECTOR_MAX_f32
#define VECTOR_MIN VECTOR_MIN_f32
#define MASKED_LOAD MASKED_LOAD_f32
#define LOAD_PIECES LOAD_PIECES_f32
#define STORE_FEW STORE_FEW_f32
#define LOAD_LAST LOAD_LAST_f32
#define MASK_BITS MASK_BITS_f32
#define PACK PACK_f32
#define SCALE SCALE_f32
#define SQRT __builtin_sqrtf
#include "bodies.h"
#undef T
#undef T_BITS
#undef UINT
#undef SUFFIX
#undef FMA
#undef VECTOR_FMA
#undef VECTOR_MAX
#undef VECTOR_MIN
#undef MASKED_LOAD
#undef LOAD_PIECES
#undef STORE_FEW
#undef LOAD_LAST
#undef MASK_BITS
#undef PACK
#undef SCALE
#undef SQRT

#define T double
#define T_BITS 64
#define UINT uint64_t
#define SUFFIX f64
#define FMA FMA_f64
#define VECTOR_FMA VECTOR_FMA_f64
#define VECTOR_MAX VECTOR_MAX_f64
#define VECTOR_MIN VECTOR_MIN_f64
#define MASKED_LOAD MASKED_LOAD_f64
#define LOAD_PIECES LOAD_PIECES_f64
#define STORE_FEW STORE_FEW_f64
#define LOAD_LAST LOAD_LAST_f64
#define MASK_BITS MASK_BITS_f64
#define PACK PACK_f64
#define SCALE SCALE_f64
#define SQRT __builtin_sqrt
#include "bodies.h"

static int supported(void)
{
    return LEVEL_SUPPORTED;
}

const fn_level LEVEL = {LEVEL_NAME, supported, &kernels_f32, &kernels_f64};

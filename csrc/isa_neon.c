/* NEON with fused multiply-add, which every 64-bit ARM has. 32 registers hold a tile of 6 x 4 vectors,
 * four vectors of b and the broadcasts of a. */
#include "system.h"

#if defined(__aarch64__)
#define LEVEL fn_neon
#define LEVEL_NAME "neon"
#define LEVEL_SUPPORTED 1
#define VECTOR_BYTES 16
#define FMA_f32 __builtin_fmaf
#define FMA_f64 __builtin_fma
#define VECTOR_FMA_f32(a, b, c) vfmaq_f32(c, a, b)
#define VECTOR_FMA_f64(a, b, c) vfmaq_f64(c, a, b)
#define VECTOR_MAX_f32(a, b) select_f32((mask_f32)((a) > (b)), a, b)
#define VECTOR_MAX_f64(a, b) select_f64((mask_f64)((a) > (b)), a, b)
#define VECTOR_MIN_f32(a, b) select_f32((mask_f32)((a) < (b)), a, b)
#define VECTOR_MIN_f64(a, b) select_f64((mask_f64)((a) < (b)), a, b)
#define MASKED_LOAD_f32 load_first_f32
#define MASKED_LOAD_f64 load_first_f64
#define LOAD_PIECES_f32(x, distance) load_f32(x)
#define LOAD_PIECES_f64(x, distance) load_f64(x)
#define LOAD_LAST_f32(x, n) load_f32(x)
#define LOAD_LAST_f64(x, n) load_f64(x)
#define LOADS_LAST 0
#define STORE_FEW_f32 store_first_f32
#define STORE_FEW_f64 store_first_f64
#define MASK_BITS_f32(mask) vaddvq_u32((uint32x4_t)(mask) & (uint32x4_t){1, 2, 4, 8})
#define MASK_BITS_f64(mask) (unsigned)vaddvq_u64((uint64x2_t)(mask) & (uint64x2_t){1, 2})
#define MULTIPLY_WORDS(a, b) (((a)&0xffffffffu) * ((b)&0xffffffffu))
#define TILE_ROWS 6
#define TILE_VECTORS 4
#define SPARSE_VECTORS 28
#include "level.h"
#endif

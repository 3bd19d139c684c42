/* NEON with fused multiply-add, which every 64-bit ARM has. 32 registers hold a tile of 6 x 4 vectors,
 * four vectors of b and the broadcasts of a. */
#include "system.h"

#if defined(__aarch64__)
#define LEVEL fn_neon
#define LEVEL_NAME "neon"
#define LEVEL_SUPPORTED 1
#define VECTOR_BYTES 16
#define VECTOR_FMA_f32(a, b, c) vfmaq_f32(c, a, b)
#define VECTOR_FMA_f64(a, b, c) vfmaq_f64(c, a, b)
#define MASK_BITS_f32(mask) vaddvq_u32((uint32x4_t)(mask) & (uint32x4_t){1, 2, 4, 8})
#define MASK_BITS_f64(mask) (unsigned)vaddvq_u64((uint64x2_t)(mask) & (uint64x2_t){1, 2})
#define TILE_ROWS 6
#define TILE_VECTORS 4
#define SPARSE_VECTORS 28
#include "level.h"
#endif

/* The portable level: the vectors that every processor of the architecture has (SSE2, NEON), and a
 * multiply followed by an add where the other levels fuse the two. */
#include "system.h"

#define LEVEL fn_base
#define LEVEL_NAME "base"
#define LEVEL_SUPPORTED 1
#define VECTOR_BYTES 16
#define FMA_f32(a, b, c) ((a) * (b) + (c))
#define FMA_f64(a, b, c) ((a) * (b) + (c))
#define VECTOR_FMA_f32 FMA_f32
#define VECTOR_FMA_f64 FMA_f64
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
#define MASK_BITS_f32 bits_of_f32
#define MASK_BITS_f64 bits_of_f64
#define MULTIPLY_WORDS(a, b) (((a)&0xffffffffu) * ((b)&0xffffffffu))
#define TILE_ROWS 6
#define TILE_VECTORS 2
#define SPARSE_VECTORS 13
#include "level.h"

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
#define TILE_ROWS 6
#define TILE_VECTORS 2
#define SPARSE_VECTORS 13
#include "level.h"

/* x86-64-v3: 32-byte vectors and fused multiply-add (AVX2 and FMA). 16 registers hold a tile of 6 x 2
 * vectors, two vectors of b and one broadcast of a. */
#include "system.h"

#if defined(__x86_64__)
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma,bmi,bmi2"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma,bmi,bmi2")
#endif

#define LEVEL fn_x86_v3
#define LEVEL_NAME "x86-64-v3"
#define LEVEL_SUPPORTED                                                                            \
    (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&                            \
     __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2"))
#define VECTOR_BYTES 32
#define VECTOR_FMA_f32 _mm256_fmadd_ps
#define VECTOR_FMA_f64 _mm256_fmadd_pd
#define VECTOR_MAX_f32 _mm256_max_ps
#define VECTOR_MAX_f64 _mm256_max_pd
#define VECTOR_MIN_f32 _mm256_min_ps
#define VECTOR_MIN_f64 _mm256_min_pd
#define MASKED_LOAD_f32(x, mask) _mm256_maskload_ps(x, (__m256i)(mask))
#define MASKED_LOAD_f64(x, mask) _mm256_maskload_pd(x, (__m256i)(mask))
#define LOAD_PIECES_f32(x, distance)                                                               \
    _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(x)), _mm_loadu_ps((x) + (distance)), 1)
#define LOAD_PIECES_f64(x, distance)                                                               \
    _mm256_insertf128_pd(_mm256_castpd128_pd256(_mm_loadu_pd(x)), _mm_loadu_pd((x) + (distance)), 1)
#define MASK_BITS_f32(mask) (unsigned)_mm256_movemask_ps((__m256)(mask))
#define MASK_BITS_f64(mask) (unsigned)_mm256_movemask_pd((__m256d)(mask))
#define MULTIPLY_WORDS(a, b) ((lanes_f32)_mm256_mul_epu32((__m256i)(a), (__m256i)(b)))
#define SLOW_DENORMALS 1 /* on processors of Intel */
#define TILE_ROWS 6
#define TILE_VECTORS 2
#define SPARSE_VECTORS 12
#include "level.h"

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif

/* x86-64-v4: 64-byte vectors (AVX-512 F, BW, CD, DQ, VL). 32 registers hold a tile of 6 x 4 vectors,
 * four vectors of b and the broadcasts of a. */
#include "system.h"

#if defined(__x86_64__)
#if defined(__clang__)
#pragma clang attribute push(                                                                      \
    __attribute__((target("avx2,fma,bmi,bmi2,avx512f,avx512bw,avx512cd,avx512dq,avx512vl"))),      \
    apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma,bmi,bmi2,avx512f,avx512bw,avx512cd,avx512dq,avx512vl")
#pragma GCC target("prefer-vector-width=512")
#endif

#define LEVEL fn_x86_v4
#define LEVEL_NAME "x86-64-v4"
#define LEVEL_SUPPORTED                                                                            \
    (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&                    \
     __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&                   \
     __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("fma") &&                        \
     __builtin_cpu_supports("bmi2"))
#define VECTOR_BYTES 64
#define VECTOR_FMA_f32 _mm512_fmadd_ps
#define VECTOR_FMA_f64 _mm512_fmadd_pd
#define VECTOR_MAX_f32 _mm512_max_ps
#define VECTOR_MAX_f64 _mm512_max_pd
#define VECTOR_MIN_f32 _mm512_min_ps
#define VECTOR_MIN_f64 _mm512_min_pd
#define MASKED_LOAD_f32(x, mask) _mm512_maskz_loadu_ps(_mm512_movepi32_mask((__m512i)(mask)), x)
#define MASKED_LOAD_f64(x, mask) _mm512_maskz_loadu_pd(_mm512_movepi64_mask((__m512i)(mask)), x)
#define INSERT_f32(v, x, place) _mm512_insertf32x4(v, _mm_loadu_ps(x), place)
#define INSERT_f64(v, x, place) _mm512_insertf64x2(v, _mm_loadu_pd(x), place)
#define LOAD_PIECES_f32(x, distance)                                                               \
    INSERT_f32(INSERT_f32(INSERT_f32(_mm512_castps128_ps512(_mm_loadu_ps(x)), (x) + (distance), 1), \
                          (x) + 2 * (distance), 2),                                                \
               (x) + 3 * (distance), 3)
#define LOAD_PIECES_f64(x, distance)                                                               \
    INSERT_f64(INSERT_f64(INSERT_f64(_mm512_castpd128_pd512(_mm_loadu_pd(x)), (x) + (distance), 1), \
                          (x) + 2 * (distance), 2),                                                \
               (x) + 3 * (distance), 3)
#define LOAD_LAST_f32(x, n) _mm512_maskz_loadu_ps((__mmask16)((1u << (n)) - 1), x)
#define LOAD_LAST_f64(x, n) _mm512_maskz_loadu_pd((__mmask8)((1u << (n)) - 1), x)
#define LOADS_LAST 1
#define STORE_FEW_f32(y, v, n) _mm512_mask_storeu_ps(y, (__mmask16)((1u << (n)) - 1), v)
#define STORE_FEW_f64(y, v, n) _mm512_mask_storeu_pd(y, (__mmask8)((1u << (n)) - 1), v)
#define MASK_BITS_f32(mask) (unsigned)_mm512_movepi32_mask((__m512i)(mask))
#define MASK_BITS_f64(mask) (unsigned)_mm512_movepi64_mask((__m512i)(mask))
/* The elements of x at the mask's bits, one after another, then zeros. */
#define PACK_f32(x, bits) _mm512_maskz_compress_ps((__mmask16)(bits), x)
#define PACK_f64(x, bits) _mm512_maskz_compress_pd((__mmask8)(bits), x)
#define HAS_PACK
/* x 2^n, rounded once */
#define SCALE_f32(x, n) _mm512_scalef_ps(x, n)
#define SCALE_f64(x, n) _mm512_scalef_pd(x, n)
#define HAS_SCALE
#define MULTIPLY_WORDS(a, b) ((lanes_f32)_mm512_mul_epu32((__m512i)(a), (__m512i)(b)))
#define SLOW_DENORMALS 1 /* on processors of Intel */
#define TILE_ROWS 6
#define TILE_VECTORS 4
#define SPARSE_VECTORS 8
#include "level.h"

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif

/* System headers and helpers of every isa_*.c. They come before a file sets its target, so that no
 * system function is compiled for instructions that the processor may lack. */
#ifndef FASTNN_SYSTEM_H
#define FASTNN_SYSTEM_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#include "fastnn.h"

/* Elementwise loops may run in place, so their pointers are not `restrict`; no iteration reads what
 * another one writes. */
#if defined(__clang__)
#define INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#else
#define INDEPENDENT _Pragma("GCC ivdep")
#endif

#define INLINE static inline __attribute__((always_inline))
#define PRAGMA_(text) _Pragma(#text)
#define PRAGMA(text) PRAGMA_(text)
/* No loop that UNROLL stands before has more rounds than MOST_ROUNDS: an array is kept in registers only if
 * no loop over it is left. */
#define MOST_ROUNDS 32
#define UNROLL PRAGMA(GCC unroll MOST_ROUNDS)

/* Makes the compiler load a vector that is used several times once, and not anew at every use. */
#if defined(__x86_64__)
#define IN_REGISTER(v) __asm__("" : "+v"(v))
#elif defined(__aarch64__)
#define IN_REGISTER(v) __asm__("" : "+w"(v))
#else
#define IN_REGISTER(v)
#endif

/* And compute an address once: a vector that is used from the sum of two registers takes two operations. */
#define ADDRESS(p) __asm__("" : "+r"(p))

#define EXPAND(...) __VA_ARGS__
#define PASTE_(a, b) a##_##b
#define PASTE(a, b) PASTE_(a, b)

/* The head of a kernel of the table (fn_kernel). */
#define KERNEL(name)                                                                               \
    static void NAME(name)(const void *args, size_t begin, size_t end,                             \
                           __attribute__((unused)) int worker)

/* Sums and maxima over a row run in this many fixed lanes on every level, so that their bits do not
 * depend on the width of the machine's vectors. */
#define LANES 16

#endif

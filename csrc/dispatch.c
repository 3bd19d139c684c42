/* The levels that were built, and what this processor and its operating system support of them.
 * (__builtin_cpu_supports asks XGETBV before it trusts the AVX bits of CPUID.) */
#include "fastnn.h"

extern const fn_level fn_base;

#if defined(__x86_64__)
extern const fn_level fn_x86_v3, fn_x86_v4;
const fn_level *const fn_levels[] = {&fn_base, &fn_x86_v3, &fn_x86_v4, NULL};
#elif defined(__aarch64__)
extern const fn_level fn_neon;
const fn_level *const fn_levels[] = {&fn_base, &fn_neon, NULL};
#else
const fn_level *const fn_levels[] = {&fn_base, NULL};
#endif

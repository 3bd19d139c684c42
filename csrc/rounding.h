/* How the processor rounds while kernels run: to the nearest number, denormals being kept. The thread that calls
 * them may have it otherwise (torch.set_flush_denormal, a library linked with -ffast-math), and gets that
 * back. */
#ifndef FASTNN_ROUNDING_H
#define FASTNN_ROUNDING_H

#if defined(__x86_64__)
/* The control bits of MXCSR, as a process starts with them; the lowest bits say what has happened. */
#define FN_EXACTLY 0x1f80u
#define FN_CONTROL 0xffc0u

static inline unsigned fn_rounding(void)
{
    return __builtin_ia32_stmxcsr() & FN_CONTROL;
}

static inline void fn_set_rounding(unsigned control)
{
    __builtin_ia32_ldmxcsr(control);
}
#elif defined(__aarch64__)
#define FN_EXACTLY 0u

static inline unsigned fn_rounding(void)
{
    uint64_t control;
    __asm__ volatile("mrs %0, fpcr" : "=r"(control));
    return (unsigned)control;
}

static inline void fn_set_rounding(unsigned control)
{
    __asm__ volatile("msr fpcr, %0" : : "r"((uint64_t)control));
}
#else
#define FN_EXACTLY 0u

static inline unsigned fn_rounding(void)
{
    return FN_EXACTLY;
}

static inline void fn_set_rounding(unsigned control)
{
    (void)control;
}
#endif

/* Returns what `fn_round_again` needs. */
static inline unsigned fn_round_exactly(void)
{
    const unsigned before = fn_rounding();
    if (before != FN_EXACTLY) fn_set_rounding(FN_EXACTLY);
    return before;
}

static inline void fn_round_again(unsigned before)
{
    if (before != FN_EXACTLY) fn_set_rounding(before);
}

#endif

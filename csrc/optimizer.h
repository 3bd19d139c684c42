/* The update rules of the optimizers (Keras 3's formulas): one pass over the variable w, its gradient g
 * and its slots, element by element.
 *
 * An element takes a few multiply-adds, and at most a root and a division, for which two to four arrays are
 * read and up to three written: where those do not fit in the caches, a rule is bound by memory, and what
 * counts is that each array goes by once. So no rule is built from others. All arrays are read in order, as
 * the machine foresees; they are distinct. What a slot becomes is used from its register: read back, a store
 * of 64 bytes over two cache lines would be waited for.
 *
 * Numbers that are the same for all elements (the rate with its corrections, 1 - decay) come ready or are
 * computed before the loop, in double, and rounded once. Where a rule decays a slot or adds to it, it does so
 * by a fused multiply-add. Roots and divisions are those of the machine, rounded correctly, so that they
 * give the same bits on every level that fuses.
 *
 * Where gradients stay 0, as behind a unit that is never positive, means decay to denormal numbers and stay
 * there. Denormals are kept; but to multiply, divide or take the root of one takes processors of Intel a
 * hundred times as long. So slots decay as whole multiples of the smallest number, and Adam, which computes
 * most with its means, leaves out what is lost in rounding anyway. Neither changes a bit.
 *
 * Units of work are elements: any cut between threads gives the same bits.
 */

#undef DIGITS
#undef UNIT
#undef TINY
#undef TINY_ROOT
#undef ROUNDING
#undef LEAST
#undef NORMAL
#define DIGITS (T_BITS == 32 ? 23 : 52)
/* From this to twice this the numbers are whole, and their lowest bits tell by how much they are larger. */
#define UNIT ((T)((UINT)1 << DIGITS))
/* A smaller number may become denormal when it is multiplied by one of usual size, and one smaller than TINY_ROOT
 * when it is squared, which is then lost beside TINY. */
#define TINY ((T)(T_BITS == 32 ? 0x1p-96 : 0x1p-960))
#define TINY_ROOT ((T)(T_BITS == 32 ? 0x1p-62 : 0x1p-510))
/* What is smaller than so much of a number is lost when added to it, with some margin. */
#define ROUNDING (T_BITS == 32 ? 0x1p-26 : 0x1p-55)
/* The smallest number of all, and of those that are not denormal. */
#define LEAST (T_BITS == 32 ? 0x1p-149 : 0x1p-1074)
#define NORMAL ((T)(T_BITS == 32 ? 0x1p-126 : 0x1p-1022))

/* The numbers of a rule, rounded once. */
typedef struct NAME(numbers) {
    T rate, epsilon, decay[2], rest[2];
    T lost_root; /* of a smaller number the root is lost beside epsilon */
    T lost_step; /* beside a larger number a step by a mean below TINY is lost */
    int nesterov;
} NAME(numbers);

/* A vector of each array. */
typedef struct NAME(part) {
    NAME(vector) w, slot[2], g;
} NAME(part);

/* A rule: changes w and the slots. */
typedef void NAME(rule)(const NAME(numbers) *n, NAME(part) *x);

INLINE NAME(numbers) NAME(numbers_of)(const fn_update_args *u)
{
    const T rate = (T)*u->learning_rate, epsilon = (T)u->epsilon, root = epsilon * (T)ROUNDING;
    /* rate * mean and its quotient are each rounded by less than LEAST or a few units of their own. */
    const double step = ((fabs((double)rate) * TINY + LEAST) / epsilon + LEAST) / ROUNDING;
    return (NAME(numbers)){.rate = rate,
                           .epsilon = epsilon,
                           .decay = {(T)u->decay[0], (T)u->decay[1]},
                           .rest = {(T)(1 - u->decay[0]), (T)(1 - u->decay[1])},
                           .lost_root = root * root,
                           .lost_step = (T)(epsilon > 0 ? step : HUGE_VAL),
                           .nesterov = u->nesterov};
}

INLINE void NAME(change_part)(NAME(rule) *rule, const NAME(numbers) *n, const size_t slots,
                              const fn_update_args *u, size_t i, size_t few)
{
    NAME(part) x = {.w = NAME(load_left)((const T *)u->w + i, few),
                    .g = NAME(load_left)((const T *)u->g + i, few)};
    for (size_t s = 0; s < slots; s++) x.slot[s] = NAME(load_left)((const T *)u->slot[s] + i, few);
    rule(n, &x);
    NAME(store_left)((T *)u->w + i, x.w, few);
    for (size_t s = 0; s < slots; s++) NAME(store_left)((T *)u->slot[s] + i, x.slot[s], few);
}

INLINE void NAME(change)(NAME(rule) *rule, const size_t slots, const void *args, size_t begin, size_t end)
{
    const fn_update_args u = *(const fn_update_args *)args; /* which no store can change */
    const NAME(numbers) n = NAME(numbers_of)(&u);
    size_t i = begin;
    for (; i + WIDTH <= end; i += WIDTH) NAME(change_part)(rule, &n, slots, &u, i, WIDTH);
    if (i < end) NAME(change_part)(rule, &n, slots, &u, i, end - i);
}

/* The bits but for the sign: they are ordered as the numbers are, NaN above all. */
INLINE NAME(mask) NAME(size_of)(NAME(vector) x)
{
    return (NAME(mask))x & (~(UINT)0 >> 1);
}

INLINE NAME(mask) NAME(size)(T x)
{
    return NAME(size_of)(NAME(broadcast)(x));
}

/* The mask of differences of sizes that are below 0; of none on levels where denormals are not slow. The signs are
 * spread: comparisons would take a detour through other registers. */
INLINE NAME(mask) NAME(negative)(NAME(mask) difference)
{
    typedef __typeof__((NAME(vector)){0} < (NAME(vector)){0}) with_sign;
    return SLOW_DENORMALS ? (NAME(mask))((with_sign)difference >> (T_BITS - 1)) : (NAME(mask)){0};
}

/* Where x is below the limit in size, but not 0. */
INLINE NAME(mask) NAME(is_small)(NAME(vector) x, T limit)
{
    return NAME(negative)((NAME(size_of)(x) - NAME(size)(limit)) & -NAME(size_of)(x));
}

/* Zeros where the mask's bits are set: the compiler does not see that it may compute with x there all the same. */
INLINE NAME(vector) NAME(without)(NAME(mask) mask, NAME(vector) x)
{
    return (NAME(vector))(~mask & (NAME(mask))x);
}

/* FMA(factor, x, kept ? x : 0) of denormal numbers, if that has the sign of x and is no larger: above UNIT the
 * same multiply-add of whole numbers is rounded in the same way. */
INLINE NAME(vector) NAME(decayed)(T factor, NAME(vector) x, const int kept)
{
    const NAME(mask) size = NAME(size_of)(x), ones = NAME(size)(UNIT);
    const NAME(vector) whole = (NAME(vector))(size | ones), unit = (NAME(vector))ones;
    const NAME(vector) left = VECTOR_FMA(NAME(broadcast)(factor), whole - unit, kept ? whole : unit);
    return (NAME(vector))(((NAME(mask))left ^ ones) | ((NAME(mask))x ^ size));
}

/* Where a denormal number meets a 0. */
INLINE NAME(mask) NAME(only_decays)(NAME(vector) x, NAME(vector) other)
{
    return NAME(is_small)(x, NORMAL) & NAME(negative)(NAME(size_of)(other) - 1);
}

/* `next`, which is +0 where the mask's bits are set, and there what is left of x. */
INLINE NAME(vector) NAME(or_left)(NAME(vector) next, NAME(mask) mask, NAME(vector) left)
{
    return (NAME(vector))((NAME(mask))next | (mask & (NAME(mask))left));
}

/* FMA(x - mean, rest, mean): the running mean after x. */
INLINE NAME(vector) NAME(running_mean)(NAME(vector) mean, NAME(vector) x, T rest)
{
    const NAME(mask) decays = 0 < rest && rest < 1 ? NAME(only_decays)(mean, x) : (NAME(mask)){0};
    const NAME(vector) usual = NAME(without)(decays, mean);
    const NAME(vector) next = VECTOR_FMA(x - usual, NAME(broadcast)(rest), usual);
    return NAME(or_left)(next, decays, NAME(decayed)(-rest, mean, 1));
}

/* FMA(factor, sum, x): a sum that decays, and x. */
INLINE NAME(vector) NAME(running_sum)(NAME(vector) sum, T factor, NAME(vector) x)
{
    const NAME(mask) decays = 0 < factor && factor <= 1 ? NAME(only_decays)(sum, x) : (NAME(mask)){0};
    if (!MASK_BITS(decays)) return VECTOR_FMA(NAME(broadcast)(factor), sum, x);
    const NAME(vector) next = VECTOR_FMA(NAME(broadcast)(factor), NAME(without)(decays, sum), x);
    return NAME(or_left)(next, decays, NAME(decayed)(factor, sum, 0));
}

INLINE NAME(vector) NAME(root_of)(NAME(vector) x)
{
    UNROLL for (int l = 0; l < WIDTH; l++) x[l] = SQRT(x[l]);
    return x;
}

INLINE void NAME(sgd_rule)(const NAME(numbers) *n, NAME(part) *x)
{
    x->w = VECTOR_FMA(NAME(broadcast)(-n->rate), x->g, x->w);
}

INLINE void NAME(momentum_rule)(const NAME(numbers) *n, NAME(part) *x)
{
    const NAME(vector) step = n->rate * x->g, velocity = NAME(running_sum)(x->slot[0], n->decay[0], -step);
    x->slot[0] = velocity;
    x->w += n->nesterov ? NAME(running_sum)(velocity, n->decay[0], -step) : velocity;
}

INLINE void NAME(adagrad_rule)(const NAME(numbers) *n, NAME(part) *x)
{
    x->slot[0] = VECTOR_FMA(x->g, x->g, x->slot[0]);
    x->w -= n->rate * x->g / NAME(root_of)(x->slot[0] + n->epsilon);
}

INLINE void NAME(rmsprop_rule)(const NAME(numbers) *n, NAME(part) *x)
{
    x->slot[0] = NAME(running_sum)(x->slot[0], n->decay[0], n->rest[0] * (x->g * x->g));
    x->w -= n->rate * x->g / NAME(root_of)(x->slot[0] + n->epsilon);
}

/* Adam's running mean of squares, and returned its root, where one or the other may be denormal, which is rare. */
static __attribute__((noinline)) NAME(vector) NAME(small_squares)(const NAME(numbers) *n, NAME(vector) g,
                                                                  NAME(vector) *mean)
{
    const NAME(mask) lost = (NAME(size_of)(g) - NAME(size)(TINY_ROOT)) & (NAME(size)(TINY) - NAME(size_of)(*mean));
    const NAME(vector) kept = NAME(without)(NAME(negative)(lost), g);
    *mean = NAME(running_mean)(*mean, kept * kept, n->rest[1]);
    const NAME(mask) no_root = (NAME(size_of)(*mean) - NAME(size)(n->lost_root)) & ~(NAME(mask))*mean;
    return NAME(root_of)(NAME(without)(NAME(negative)(no_root), *mean));
}

INLINE void NAME(adam_rule)(const NAME(numbers) *n, NAME(part) *x)
{
    NAME(vector) mean = x->slot[0], square = x->slot[1], moved, root;
    if (MASK_BITS(NAME(is_small)(mean, TINY))) {
        mean = NAME(running_mean)(mean, x->g, n->rest[0]);
        const NAME(mask) lost =
            (NAME(size_of)(mean) - NAME(size)(TINY)) & (NAME(size)(n->lost_step) - NAME(size_of)(x->w));
        moved = NAME(without)(NAME(negative)(lost), mean);
    } else
        moved = mean = VECTOR_FMA(x->g - mean, NAME(broadcast)(n->rest[0]), mean);
    if (MASK_BITS(NAME(is_small)(x->g, TINY_ROOT) | NAME(is_small)(square, NORMAL)))
        root = NAME(small_squares)(n, x->g, &square);
    else {
        square = VECTOR_FMA(x->g * x->g - square, NAME(broadcast)(n->rest[1]), square);
        root = NAME(root_of)(square);
    }
    x->w -= n->rate * moved / (root + n->epsilon);
    x->slot[0] = mean;
    x->slot[1] = square;
}

KERNEL(sgd)
{
    NAME(change)(NAME(sgd_rule), 0, args, begin, end);
}

KERNEL(momentum)
{
    NAME(change)(NAME(momentum_rule), 1, args, begin, end);
}

KERNEL(adagrad)
{
    NAME(change)(NAME(adagrad_rule), 1, args, begin, end);
}

KERNEL(rmsprop)
{
    NAME(change)(NAME(rmsprop_rule), 1, args, begin, end);
}

KERNEL(adam)
{
    NAME(change)(NAME(adam_rule), 2, args, begin, end);
}

/* chain: several elementwise ops in one pass, so that what lies between them never goes to memory.
 *
 * The output is taken in blocks. A block goes through all steps before the next one is begun; each step is
 * one loop over whole vectors, and its result waits in a buffer on the stack for those that need it. The
 * buffers share CHAIN_BYTES, half a first-level cache: blocks are as long as the number of buffers leaves
 * room for, so that choosing the loop of a step costs little beside running it.
 *
 * A block is a piece of one row or, where rows are short, as many whole rows as fit: a step over a row of
 * ten elements would be over before it had begun. Inputs are read in place where the block's elements lie
 * next to each other. The others are spread into a buffer: numbers and repeated rows once in a call,
 * repeated columns, and bytes, once in a block. Where a block ends within a vector all its inputs are
 * copied, since the loops read and write the whole vector; what they make of the zeros there goes nowhere.
 *
 * An element's result is its own chain of IEEE operations, wherever the blocks begin.
 */
#ifndef CHAIN_SIZES
#define CHAIN_SIZES
enum { CHAIN_BYTES = 16384 };
#endif

INLINE NAME(vector) NAME(subtract_of)(NAME(vector) a, NAME(vector) b)
{
    return a - b;
}

INLINE NAME(vector) NAME(multiply_of)(NAME(vector) a, NAME(vector) b)
{
    return a * b;
}

INLINE NAME(vector) NAME(divide_of)(NAME(vector) a, NAME(vector) b)
{
    return a / b;
}

/* As NumPy has it, NaN wins, the first one if both are, and of two zeros the second. */
INLINE NAME(vector) NAME(maximum_of)(NAME(vector) a, NAME(vector) b)
{
    return NAME(select)((NAME(mask))(a == a), VECTOR_MAX(a, b), a);
}

INLINE NAME(vector) NAME(minimum_of)(NAME(vector) a, NAME(vector) b)
{
    return NAME(select)((NAME(mask))(a == a), VECTOR_MIN(a, b), a);
}

#undef COMPARISON
#define COMPARISON(name, operator)                                                                 \
    INLINE NAME(vector) NAME(name##_of)(NAME(vector) a, NAME(vector) b)                            \
    {                                                                                              \
        return (NAME(vector))((NAME(mask))(a operator b) & (NAME(mask))NAME(broadcast)(1));        \
    }

COMPARISON(equal, ==)
COMPARISON(not_equal, !=)
COMPARISON(less, <)
COMPARISON(less_equal, <=)
COMPARISON(greater, >)
COMPARISON(greater_equal, >=)

INLINE NAME(vector) NAME(where_of)(NAME(vector) condition, NAME(vector) a, NAME(vector) b)
{
    return NAME(select)((NAME(mask))(condition != 0), a, b);
}

INLINE NAME(vector) NAME(negative_of)(NAME(vector) x)
{
    return -x;
}

INLINE NAME(vector) NAME(abs_of)(NAME(vector) x)
{
    return (NAME(vector))((NAME(mask))x & ~((UINT)1 << (T_BITS - 1)));
}

/* NaN, which is neither, stays; both zeros give 0. */
INLINE NAME(vector) NAME(sign_of)(NAME(vector) x)
{
    const NAME(vector) zero = NAME(broadcast)(0);
    const NAME(vector) sign = NAME(greater_of)(x, zero) - NAME(less_of)(x, zero);
    return NAME(select)((NAME(mask))(x == x), sign, x);
}

INLINE NAME(vector) NAME(square_of)(NAME(vector) x)
{
    return x * x;
}

INLINE NAME(vector) NAME(sqrt_of)(NAME(vector) x)
{
    T root[WIDTH];
    NAME(store)(root, x);
    UNROLL for (int l = 0; l < WIDTH; l++) root[l] = SQRT(root[l]);
    return NAME(load)(root);
}

INLINE NAME(vector) NAME(copy_of)(NAME(vector) x)
{
    return x;
}

#undef APPLY
#undef APPLY_1
#undef APPLY_2
#undef APPLY_3
#define APPLY_1(f) f(NAME(load)(a + j))
#define APPLY_2(f) f(NAME(load)(a + j), NAME(load)(b + j))
#define APPLY_3(f) f(NAME(load)(a + j), NAME(load)(b + j), NAME(load)(c + j))
#define APPLY(upper, lower, operands)                                                              \
    case FN_##upper:                                                                               \
        _Pragma("GCC unroll 4") for (size_t j = 0; j < n; j += WIDTH)                              \
            NAME(store)(y + j, APPLY_##operands(NAME(lower##_of)));                                \
        break;

/* y = op(a, b, c), of which an op takes as many as it has operands, over n elements in whole vectors. */
INLINE void NAME(apply)(int op, T *y, const T *a, const T *b, const T *c, size_t n)
{
    switch (op) {
        FN_CHAIN_OPS(APPLY)
    }
}

INLINE void NAME(fill)(T *y, T value, size_t n)
{
    for (size_t j = 0; j < n; j += WIDTH) NAME(store)(y + j, NAME(broadcast)(value));
}

/* Elements [first, first + n) of an input, with zeros to the end of the last vector. */
INLINE void NAME(copy_input)(T *y, const fn_chain_input *x, size_t first, size_t n)
{
    NAME(store)(y + n / WIDTH * WIDTH, (NAME(vector)){0});
    if (x->boolean)
        for (size_t j = 0; j < n; j++) y[j] = ((const uint8_t *)x->data)[first + j];
    else
        memcpy(y, (const T *)x->data + first, n * sizeof(T));
}

INLINE T NAME(number_of)(const fn_chain_input *x, size_t at)
{
    return x->boolean ? (T)((const uint8_t *)x->data)[at] : ((const T *)x->data)[at];
}

/* A part of the output: `rows` rows of `n` elements each, from (row, column) on. */
typedef struct NAME(block) {
    size_t row, column, rows, n;
} NAME(block);

/* An input's elements of a block: its own, or rows that are the same, or numbers that are repeated. */
INLINE void NAME(spread)(T *y, const fn_chain_input *x, NAME(block) block)
{
    const size_t n = block.n, first = block.row * x->down + block.column * x->across;
    if (x->across) NAME(copy_input)(y, x, first, x->down ? block.rows * n : n);
    if (x->across && x->down) return;
    for (size_t i = x->across ? 1 : 0; i < block.rows; i++) {
        const NAME(vector) number = NAME(broadcast)(NAME(number_of)(x, first + i * x->down));
        for (size_t j = 0; j < n; j += WIDTH)
            NAME(store)(y + i * n + j, x->across ? NAME(load)(y + j) : number);
    }
}

/* From (row, column) on and at most so many elements: whole rows if they are short, else a piece of one. */
INLINE NAME(block) NAME(next_block)(size_t row, size_t column, size_t n, size_t most)
{
    if (column == 0 && n <= most) return (NAME(block)){row, column, most / n, n};
    return (NAME(block)){row, column, 1, n - column < most ? n - column : most};
}

/* Whether an input's part of every block is in its buffer from the beginning of the call: numbers, and rows
 * that are repeated in a block of whole rows. */
INLINE int NAME(is_kept)(const fn_chain_input *x, int whole_rows)
{
    return !x->down && (whole_rows || !x->across);
}

/* Where the block's elements of an input are, which go to the buffer if they must be spread. */
INLINE const T *NAME(input_of)(T *buffer, const fn_chain_input *x, NAME(block) block, int whole_rows)
{
    if (NAME(is_kept)(x, whole_rows)) return buffer + block.column * x->across;
    if (x->across && !x->boolean && block.rows * block.n % WIDTH == 0)
        return (const T *)x->data + block.row * x->down + block.column;
    NAME(spread)(buffer, x, block);
    return buffer;
}

/* All steps over n elements, the inputs' operands being there; the last result goes to `direct` if that is
 * not NULL. */
INLINE const T *NAME(run_steps)(const fn_chain_args *g, const T **operand, T *buffers, int room,
                                T *direct, size_t n)
{
    const int last = g->inputs + g->steps - 1;
    for (int r = g->inputs; r <= last; r++) {
        const fn_chain_step *step = &g->step[r - g->inputs];
        T *result = r == last && direct ? direct : buffers + r * room;
        NAME(apply)(step->op, result, operand[step->operand[0]], operand[step->operand[1]],
                    operand[step->operand[2]], n);
        operand[r] = result;
    }
    return operand[last];
}

KERNEL(chain)
{
    const fn_chain_args *g = args;
    const size_t n = g->n, count = end - begin;
    const int room = CHAIN_BYTES / (int)sizeof(T) / (g->inputs + g->steps) / WIDTH * WIDTH;
    const size_t longest = (size_t)(room - WIDTH); /* the rest of a vector may follow */
    T buffers[CHAIN_BYTES / sizeof(T)] __attribute__((aligned(VECTOR_BYTES)));
    const T *operand[FN_CHAIN_INPUTS + FN_CHAIN_STEPS];
    NAME(block) block = NAME(next_block)(0, 0, n, count < longest ? count : longest);
    const int whole_rows = block.n == n;
    for (int i = 0; i < g->inputs; i++)
        if (NAME(is_kept)(&g->input[i], whole_rows))
            NAME(spread)(buffers + i * room, &g->input[i], block);
    size_t row = begin / n, column = begin % n, length;
    for (size_t at = begin; at < end; at += length) {
        block = NAME(next_block)(row, column, n, end - at < longest ? end - at : longest);
        length = block.rows * block.n;
        for (int i = 0; i < g->inputs; i++)
            operand[i] = NAME(input_of)(buffers + i * room, &g->input[i], block, whole_rows);
        T *direct = g->boolean || length % WIDTH ? NULL : (T *)g->y + at;
        const T *y = NAME(run_steps)(g, operand, buffers, room, direct, length);
        if (g->boolean)
            for (size_t j = 0; j < length; j++) ((uint8_t *)g->y)[at + j] = y[j] != 0;
        else if (!direct)
            memcpy((T *)g->y + at, y, length * sizeof(T));
        column += block.n;
        row += column == n ? block.rows : 0;
        column = column == n ? 0 : column;
    }
}

/* Every kernel body for one type, and the table of them: included by level.h with the macros set that it names.
 * NAME(relu) is relu_f32 or relu_f64.
 *
 * VECTOR_MAX(a, b) is a where it is larger than b, else b, so that a NaN in b stays; VECTOR_MIN likewise.
 * MASKED_LOAD(x, mask) reads the elements of x at the mask's lanes only; the others are zeros.
 * LOAD_LAST(x, n) is a vector with the first n <= WIDTH elements of x; if LOADS_LAST, only they are read.
 * STORE_FEW(y, v, n) writes the first n < WIDTH elements of v and nothing behind them.
 * LOAD_PIECES(x, distance) is a vector of pieces of 16 bytes that lie `distance` elements apart. */
#undef NAME
#define NAME(name) PASTE(name, SUFFIX)

#include "vector.h"
#include "exponential.h"
#include "elementwise.h"
#include "chain.h"
#include "columns.h"
#include "softmax.h"
#include "reductions.h"
#include "philox.h"
#include "gather.h"
#include "labels.h"
#include "optimizer.h"
#include "target.h"
#include "tile.h"
#include "packing.h"
#include "few_rows.h"
#include "gemm.h"
#include "short.h"
#include "product.h"
#include "sparse.h"
#include "compress.h"

static const fn_kernels NAME(kernels) = {
    .relu = NAME(relu),
    .exp = NAME(exp),
    .log = NAME(log),
    .tanh = NAME(tanh),
    .sigmoid = NAME(sigmoid),
    .relu_grad = NAME(relu_grad),
    .tanh_grad = NAME(tanh_grad),
    .sigmoid_grad = NAME(sigmoid_grad),
    .add = NAME(add),
    .add_rows = NAME(add_rows),
    .chain = NAME(chain),
    .add_grad = NAME(add_grad),
    .add_groups = NAME(add_groups),
    .softmax = NAME(softmax),
    .softmax_grad = NAME(softmax_grad),
    .softmax_cross_entropy = NAME(softmax_cross_entropy),
    .sum_rows = NAME(sum_rows),
    .max_rows = NAME(max_rows),
    .min_rows = NAME(min_rows),
    .argmax_rows = NAME(argmax_rows),
    .hits = NAME(hits),
    .labels = NAME(labels),
    .dropout = NAME(dropout),
    .random_order = NAME(random_order),
    .gather = NAME(gather),
    .sgd = NAME(sgd),
    .momentum = NAME(momentum),
    .adagrad = NAME(adagrad),
    .rmsprop = NAME(rmsprop),
    .adam = NAME(adam),
    .gemm = NAME(gemm),
    .sparse_gemm = NAME(sparse_gemm),
    .expand = NAME(expand),
    .compress = NAME(compress),
    .move_rows = NAME(move_rows),
    .transpose_compressed = NAME(transpose_compressed),
    .find_infinite = NAME(find_infinite),
    .compress_few = NAME(compress_few),
    .gemm_scratch = GEMM_SCRATCH,
    .sparse_scratch = SPARSE_SCRATCH,
    .sparse_strip = SPARSE_STRIP,
};

# The C API, csrc/fastnn.h: a part of the door, csrc/_kernels.pyx.

cdef extern from "Python.h":
    ctypedef struct PyThreadState
    PyThreadState *PyEval_SaveThread()
    void PyEval_RestoreThread(PyThreadState *state)


cdef extern from "fastnn.h":
    ctypedef void fn_kernel(const void *, size_t, size_t, int) noexcept nogil

    ctypedef struct fn_unary_args:
        void *y
        const void *x

    ctypedef struct fn_binary_args:
        void *y
        const void *a
        const void *b

    ctypedef struct fn_rows_args:
        void *y
        const void *a
        const void *b
        size_t m, n

    ctypedef struct fn_cross_entropy_args:
        void *loss
        void *dlogits
        const void *logits
        const int64_t *labels
        const void *dloss
        size_t n

    ctypedef struct fn_order_args:
        int64_t *order
        uint64_t n, key

    ctypedef struct fn_dropout_args:
        void *y
        const void *x
        double scale
        uint64_t key
        const uint64_t *counter
        uint32_t threshold

    ctypedef enum fn_type:
        FN_UINT8, FN_INT8, FN_UINT16, FN_INT16, FN_UINT32, FN_INT32, FN_UINT64, FN_INT64
        FN_FLOAT16, FN_FLOAT32, FN_FLOAT64

    ctypedef struct fn_gather_args:
        void *y
        char **x
        const int64_t *rows
        size_t n, itemsize
        fn_type type
        double scale

    ctypedef struct fn_labels_args:
        int64_t *y
        const void *x
        size_t *bad
        uint64_t classes
        fn_type type

    ctypedef struct fn_update_args:
        void *w
        void *slot[2]
        const void *g
        const double *learning_rate
        double decay[2]
        double epsilon
        int nesterov

    ctypedef struct fn_gemm_args:
        void *c
        const void *a
        const void *b
        const void *bias
        const void *mask
        size_t m, n, k, lda, ldb, ldc
        double alpha
        const double *rate
        int transpose_a, transpose_b, accumulate, relu
        int swapped
        size_t parts_down, parts_across
        void *scratch

    size_t FN_BLOCK_MAX

    ctypedef struct fn_columns:
        void *data
        int narrow

    ctypedef struct fn_sparse_args:
        fn_gemm_args product
        const int64_t *starts
        const int64_t *ends
        fn_columns columns
        const void *values
        int *infinite
        int *spoilt

    size_t FN_SPARSE_ROWS, FN_SPARSE_FEW
    bint fn_is_outer(const fn_gemm_args *)

    ctypedef struct fn_compress_args:
        const void *x
        size_t m
        size_t n
        size_t rows
        int64_t *starts
        fn_columns columns
        fn_columns to_columns
        void *values
        void *to

    ctypedef struct fn_transpose_args:
        fn_sparse_args of
        int64_t *starts
        int64_t *bounds
        fn_columns columns
        void *values
        size_t parts

    ctypedef struct fn_compress_few_args:
        const void *x
        size_t m, k, ldx
        int64_t *starts
        int64_t *ends
        fn_columns columns
        void *values
        const int *infinite
        int *whole

    ctypedef struct fn_finite_args:
        const void *x
        int *infinite

    int FN_CHAIN_OP_COUNT, FN_WHERE, FN_EQUAL, FN_GREATER_EQUAL
    int FN_CHAIN_INPUTS
    int FN_CHAIN_STEPS

    ctypedef struct fn_chain_input:
        const void *data
        size_t down, across
        int boolean

    ctypedef struct fn_chain_step:
        uint8_t op
        uint8_t operand[3]

    ctypedef struct fn_chain_args:
        void *y
        size_t n
        int boolean, inputs, steps
        fn_chain_input *input
        fn_chain_step *step

    ctypedef struct fn_kernels:
        fn_kernel *relu
        fn_kernel *exp
        fn_kernel *log
        fn_kernel *tanh
        fn_kernel *sigmoid
        fn_kernel *relu_grad
        fn_kernel *tanh_grad
        fn_kernel *sigmoid_grad
        fn_kernel *add
        fn_kernel *add_rows
        fn_kernel *chain
        fn_kernel *add_grad
        fn_kernel *add_groups
        fn_kernel *softmax
        fn_kernel *softmax_grad
        fn_kernel *softmax_cross_entropy
        fn_kernel *sum_rows
        fn_kernel *max_rows
        fn_kernel *min_rows
        fn_kernel *argmax_rows
        fn_kernel *hits
        fn_kernel *labels
        fn_kernel *dropout
        fn_kernel *random_order
        fn_kernel *gather
        fn_kernel *sgd
        fn_kernel *momentum
        fn_kernel *adagrad
        fn_kernel *rmsprop
        fn_kernel *adam
        fn_kernel *gemm
        fn_kernel *sparse_gemm
        fn_kernel *expand
        fn_kernel *compress
        fn_kernel *move_rows
        fn_kernel *transpose_compressed
        fn_kernel *find_infinite
        fn_kernel *compress_few
        size_t gemm_scratch, sparse_scratch, sparse_strip

    ctypedef struct fn_level:
        const char *name
        int (*supported)() noexcept nogil
        const fn_kernels *f32
        const fn_kernels *f64

    const fn_level *const *fn_levels
    const int FN_MAX_THREADS
    const size_t FN_LINE, FN_GROUP
    const size_t FN_SUM_BLOCK

    ctypedef struct fn_instruction:
        fn_kernel *kernel
        const void *args
        size_t count, grain
        int threads
        int is_ "is"
        const int *when

    ctypedef struct fn_program:
        const fn_instruction *instructions
        size_t length
        const int64_t *failed
        int64_t *nanoseconds

    ctypedef struct fn_count_args:
        int64_t *to

    ctypedef struct fn_accumulate_args:
        double *sum
        const void *value
        bint is_double
        double weight

    ctypedef struct fn_stream_args:
        void *here
        char **there
        size_t bytes

    ctypedef struct fn_clear_args:
        void *to
        size_t bytes

    ctypedef struct fn_pick_args:
        void *y
        char **x
        const int64_t *rows
        size_t bytes

    ctypedef struct fn_fetch_args:
        char **there
        char **end
        char **x
        size_t count
        size_t bytes

    fn_kernel fn_count_up, fn_accumulate, fn_read_next, fn_write_next, fn_clear, fn_pick, fn_fetch_next

    size_t fn_run(const fn_program *, size_t, int64_t) noexcept nogil
    int64_t fn_now() noexcept nogil
    void fn_parallel(fn_kernel *, const void *, size_t, size_t, int) noexcept nogil
    int fn_threads() noexcept nogil
    void fn_set_threads(int) noexcept nogil
    size_t fn_gemm_cut(fn_gemm_args *, int) noexcept nogil

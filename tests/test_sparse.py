"""Compressed rows: the bits of the dense products, the selection of rows, and what is refused."""

import tracemalloc

import numpy as np
import pytest
from kernel_inputs import draw

import fastnn
from fastnn import _kernels

# (m, k, n, density): lengths of whole and partial strips, blocks and sections, and short products.
SHAPES = [
    (0, 40, 3, 0.3),
    (7, 0, 17, 0.3),
    (7, 40, 0, 0.3),
    (1, 1, 1, 1.0),
    (7, 0, 5, 0.3),
    (7, 13, 10, 0.3),
    (7, 16, 3, 0.3),
    (7, 40, 3, 0.3),
    (7, 1500, 10, 0.3),
    (300, 900, 16, 0.05),
    (7, 900, 17, 0.3),
    (300, 320, 100, 0.3),
    (300, 321, 113, 0.05),
    (7, 900, 512, 1.0),
    (7, 40, 512, 0.0),
    (1500, 40, 100, 0.05),
    (1, 900, 512, 0.3),
    (4, 900, 208, 0.3),
    (3, 700, 64, 0.05),
    (300, 88, 100, 0.3),
    (300, 176, 50, 0.3),
]


def sparse(rng, shape, density, dtype):
    """Random numbers in random places, and zeros, of which some are negative, in the others."""
    x = draw(rng, shape, dtype)
    return np.where(rng.random(shape) < density, x, np.copysign(dtype(0), x))


def bits(a, b, **options):
    """What the same product gives of compressed rows and of the dense array."""
    return [_kernels.matmul(x, b, **options).tobytes() for x in (_kernels.compress(a), a)]


def tolerance(a, b, dtype):
    k = a.shape[1]
    return 4 * np.sqrt(k + 1) * np.finfo(dtype).eps * (np.abs(a) @ np.abs(b))


@pytest.mark.parametrize(("m", "k", "n", "density"), SHAPES)
def test_products_have_the_bits_of_dense_ones(m, k, n, density, dtype, isa, rng):
    a = sparse(rng, (m, k), density, dtype)
    rows = _kernels.compress(a)
    for transpose_a in (False, True):
        op = a.T if transpose_a else a
        b, bias = draw(rng, (op.shape[1], n), dtype), draw(rng, (n,), dtype)
        mask = draw(rng, (op.shape[0], n), dtype)
        exact = op.astype(float) @ b.astype(float)
        plain = _kernels.matmul(rows, b, transpose_a)
        assert (np.abs(plain - exact) <= tolerance(op.astype(float), b, dtype)).all()
        for options in (
            {},
            {"transpose_b": True},
            {"bias": bias},
            {"bias": bias, "relu": True, "alpha": -0.3},
            {"mask": mask, "alpha": 0.5},
        ):
            right = b.T.copy() if "transpose_b" in options else b
            found, expected = bits(a, right, transpose_a=transpose_a, **options)
            assert found == expected, (transpose_a, options.keys())


@pytest.mark.parametrize(("m", "k", "n", "density"), SHAPES)
def test_accumulation_has_the_bits_of_the_dense_one(m, k, n, density, dtype, isa, rng):
    a = sparse(rng, (m, k), density, dtype)
    for transpose_a in (False, True):
        op = a.T if transpose_a else a
        b, start = draw(rng, (op.shape[1], n), dtype), draw(rng, (op.shape[0], n), dtype)
        made = []
        for x in (_kernels.compress(a), a):
            c = start.copy()
            _kernels.matmul(x, b, transpose_a, out=c, alpha=-0.1, accumulate=True)
            made.append(c.tobytes())
        assert made[0] == made[1]
        # The compressed rows of `op` itself, which one needs not transpose, are the same operand,
        # though the additions of a short product have another order then.
        c = start.copy()
        _kernels.matmul(_kernels.compress(op), b, out=c, alpha=-0.1, accumulate=True)
        error = np.abs(c - np.frombuffer(made[0], dtype).reshape(c.shape))
        assert (error <= tolerance(op, b, dtype) + np.finfo(dtype).eps * np.abs(c)).all()


def test_parts_of_many_rows(dtype, isa, rng):
    """Two threads would take four parts, but so many rows are more than one part may have."""
    a, b = sparse(rng, (5000, 40), 0.3, dtype), draw(rng, (40, 60), dtype)
    with fastnn.threads(2):
        found, expected = bits(a, b)
    assert found == expected


@pytest.mark.parametrize("n", [3, 10, 17, 100, 512])
@pytest.mark.parametrize("transpose_a", [False, True])
def test_accumulation_leaves_rows_without_a_gradient_alone(n, transpose_a, dtype, isa, rng):
    """Their bits stay, be they those of NaN or of -0, as a step down the gradient leaves them."""
    a = sparse(rng, (9, 40), 0.5, dtype)
    a[3], a[:, 5] = 0, -0.0
    row = 5 if transpose_a else 3
    b = draw(rng, (9 if transpose_a else 40, n), dtype)
    out = draw(rng, (40 if transpose_a else 9, n), dtype)
    out[row] = -0.0
    out[row, ::2] = np.nan
    before = out.copy()
    _kernels.matmul(_kernels.compress(a), b, transpose_a, out=out, alpha=-1.0, accumulate=True)
    assert out[row].tobytes() == before[row].tobytes()
    others = np.arange(len(out)) != row
    op = a.T if transpose_a else a
    expected = before - op.astype(float) @ b.astype(float)
    bound = tolerance(op, b, dtype) + np.finfo(dtype).eps * np.abs(expected)
    assert (np.abs(out - expected)[others] <= bound[others]).all()


@pytest.mark.parametrize("m", [1, 3, 9])
@pytest.mark.parametrize("n", [3, 16, 17, 100, 512])
@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_infinity_and_nan_in_the_right_operand(m, n, value, dtype, isa, rng):
    """0 times infinity is NaN, as in NumPy, wherever it stands."""
    a = sparse(rng, (m, 40), 0.3, dtype)
    for transpose_a in (False, True):
        op = a.T if transpose_a else a
        for at in ((0, 0), (-1, -1), (len(op.T) // 2, n // 2)):
            b = draw(rng, (op.shape[1], n), dtype)
            b[at] = value
            found = _kernels.matmul(_kernels.compress(a), b, transpose_a)
            with np.errstate(invalid="ignore"):
                expected = op.astype(float) @ b.astype(float)
            close = dict.fromkeys(("rtol", "atol"), 1e3 * np.finfo(dtype).eps)
            np.testing.assert_allclose(found, expected, **close)
            np.testing.assert_array_equal(found, _kernels.matmul(a, b, transpose_a))


@pytest.mark.parametrize("n", [3, 17, 100])
def test_infinity_and_nan_in_the_rows(n, dtype, isa, rng):
    a = sparse(rng, (9, 40), 0.3, dtype)
    a[1, 3], a[2, 5], a[4, 7], a[5, 39] = np.nan, np.inf, -np.inf, np.nan
    b = draw(rng, (40, n), dtype)
    b[5, 0] = 0
    for options in ({}, {"relu": True}):
        found = _kernels.matmul(_kernels.compress(a), b, **options)
        np.testing.assert_array_equal(found, _kernels.matmul(a, b, **options))
    assert np.isnan(found[[1, 2, 5], 0]).all()


@pytest.mark.parametrize("alpha", [-0.5, -0.0, 0.0, 1.0, np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("n", [1, 17, 300])
@pytest.mark.parametrize("k", [1, 40])
def test_rows_to_which_nothing_is_added(k, n, alpha, dtype, isa):
    """Unless alpha is finite and negative, they change all the same: -0 to +0, or to NaN."""
    a = np.zeros((50, k), dtype)
    a[::7, 0] = 2
    found = []
    for x in (_kernels.compress(a), a):
        c = np.full((50, n), -0.0, dtype)
        c[1::3] = [1.5]
        _kernels.matmul(x, np.ones((k, n), dtype), out=c, alpha=alpha, accumulate=True)
        found.append(np.where(np.isnan(c), dtype(np.nan), c).tobytes())
    assert found[0] == found[1]


def test_rows_are_picked_into_their_own_buffer_alone():
    """A buffer has room for the rows that it was made for, and no longer ones."""
    a = np.zeros((11, 5000), np.float32)
    a[:10, 0] = a[10] = 1
    rows = _kernels.compress(a)
    buffer = rows[:10].buffer(5)
    for others in (rows, rows[:10], _kernels.compress(a[:10])):
        with pytest.raises(ValueError, match=r"must be made by x\.buffer"):
            _kernels.pick_rows(others, np.full(5, 9), buffer)
    with pytest.raises(TypeError, match="rows of a buffer change"):
        buffer[:2]


@pytest.mark.parametrize("n", [1, 17, 100])
def test_products_that_underflow(n, dtype, isa):
    """A sum that is -0 after an underflow ends as +0, though no zero follows to make it so."""
    tiny = dtype(1e-30 if dtype is np.float32 else 1e-200)
    a, b = np.zeros((2, 40), dtype), np.ones((40, n), dtype)
    a[0, 7], b[7], a[1, 39], b[39] = tiny, -tiny, -tiny, tiny
    for options in ({}, {"transpose_a": True}, {"alpha": -1.0}, {"bias": np.full(n, -0.0, dtype)}):
        x = a.T.copy() if "transpose_a" in options else a
        found, expected = bits(x, b, **options)
        assert found == expected
    assert not np.signbit(_kernels.matmul(_kernels.compress(a), b)).any()


@pytest.mark.parametrize("alpha", [-0.1, 1.0])
@pytest.mark.parametrize("n", [1, 2, 17])
@pytest.mark.parametrize("k", [1, 40])
def test_additions_that_underflow(k, n, alpha, dtype, isa):
    """To -0 is added what is +0 after an underflow, or minus that."""
    tiny = dtype(1e-30 if dtype is np.float32 else 1e-200)
    a, b = np.zeros((2, k), dtype), np.full((k, n), -tiny, dtype)
    a[:, 0] = tiny
    found = []
    for x in (_kernels.compress(a), a):
        c = np.full((2, n), -0.0, dtype)
        _kernels.matmul(x, b, out=c, alpha=alpha, accumulate=True)
        found.append(np.signbit(c).tolist())
    assert found == 2 * [np.full((2, n), alpha < 0).tolist()]


def test_zeros_are_left_out(dtype, isa, rng):
    for shape in ((0, 5), (5, 0), (1, 1), (7, 33), (300, 100)):
        a = sparse(rng, shape, 0.3, dtype)
        rows = _kernels.compress(a)
        assert rows.shape == shape
        assert len(rows) == shape[0]
        assert rows.dtype == dtype
        assert rows.nonzeros == np.count_nonzero(a)
        np.testing.assert_array_equal(rows.dense(), a)
        assert not np.signbit(rows.dense()[a == 0]).any()
        out = np.full(shape, np.nan, dtype)
        assert rows.dense(out) is out
        np.testing.assert_array_equal(out, a)
        with pytest.raises(ValueError, match="out has shape"):
            rows.dense(np.zeros((*shape, 1), dtype))


@pytest.mark.parametrize("k", [65_536, 65_537])
def test_columns_of_16_bits_and_more(k, dtype, isa, rng):
    """As the rows' own columns, and as the columns of their transpose."""
    a = np.zeros((10, k), dtype)
    a[rng.integers(0, 10, 900), rng.integers(0, k, 900)] = 1.5
    a[::3, -1] = 2
    for rows, x in ((_kernels.compress(a), a), (_kernels.compress(a.T.copy()), a.T)):
        np.testing.assert_array_equal(rows.dense(), x)
        for n in (3, 40):
            b, c = draw(rng, (x.shape[1], n), dtype), draw(rng, (x.shape[0], n), dtype)
            for op, y, transpose_a in ((x, b, False), (x.T, c, True)):
                found = _kernels.matmul(rows, y, transpose_a)
                exact = op.astype(float) @ y.astype(float)
                assert (np.abs(found - exact) <= tolerance(op.astype(float), y, dtype)).all()
                dense = _kernels.matmul(np.ascontiguousarray(x), y, transpose_a)
                assert found.tobytes() == dense.tobytes()


@pytest.mark.parametrize("order", [1, -1])
def test_rows_of_which_the_last_are_fuller(order, dtype, isa, rng):
    """More elements than the first rows let expect, or fewer."""
    a = sparse(rng, (3000, 300), np.linspace(0, 0.9, 3000)[::order, None], dtype)
    rows = _kernels.compress(a)
    assert rows.nonzeros == np.count_nonzero(a)
    np.testing.assert_array_equal(rows.dense(), a)


@pytest.mark.parametrize("source", [bool, np.uint8, np.int64, np.uint32, np.float16, ">f8", float])
def test_compress_converts(source, dtype, isa, rng):
    """In pieces, of which the last is short; a number that becomes 0 is left out."""
    x = (sparse(rng, (2017, 7), 0.3, np.float64) * 9).clip(0, None).astype(source)
    if np.dtype(source).kind == "f":
        x[3, 2], x[2016, 6] = np.nan, 1e-60
    rows = _kernels.compress(x[::-1], dtype)
    np.testing.assert_array_equal(rows.dense(), x[::-1].astype(dtype))
    assert rows.nonzeros == np.count_nonzero(x.astype(dtype))
    assert rows.dtype == dtype


def test_compress_makes_no_dense_copy_of_the_whole():
    """As float64 it would be 80 MB."""
    x = np.zeros((20_000, 500), np.uint8)
    x[::7, 3] = 1
    tracemalloc.start()
    rows = _kernels.compress(x, np.float64)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert rows.nonzeros == np.count_nonzero(x)
    assert peak < 10e6


SELECTIONS = [
    slice(None),
    slice(3, 9),
    slice(9, 3, -2),
    slice(8, 100),
    np.array([4]),
    np.array([7, 7, 0, 11, 7]),
    np.array([-1, 0, -12], np.int32),
    np.array([5, 2], np.uint8),
    np.array([], int),
]


@pytest.mark.parametrize("index", SELECTIONS, ids=str)
def test_selection(index, dtype, isa, rng):
    """As NumPy selects, also a selection of a selection."""
    a = sparse(rng, (12, 40), 0.3, dtype)
    b, dz = draw(rng, (40, 20), dtype), draw(rng, (len(a[index]), 20), dtype)
    rows = _kernels.compress(a)[index]
    assert rows.shape == a[index].shape
    assert rows.nonzeros == np.count_nonzero(a[index])
    np.testing.assert_array_equal(rows.dense(), a[index])
    np.testing.assert_array_equal(rows[::-1][:3].dense(), a[index][::-1][:3])
    for right, transpose_a in ((b, False), (dz, True)):
        found = _kernels.matmul(rows, right, transpose_a)
        assert found.tobytes() == _kernels.matmul(a[index], right, transpose_a).tobytes()


def test_selections_that_are_refused(rng):
    rows = _kernels.compress(sparse(rng, (4, 5), 0.5, np.float32))
    for index in (4, [0, 1], np.array([True] * 4), np.array([[0]]), np.array([0.0]), None, (0, 1)):
        with pytest.raises(TypeError, match="a slice or an array of integers of one axis"):
            rows[index]
    for index in (np.array([0, 4]), np.array([-5])):
        with pytest.raises(IndexError, match="out of bounds"):
            rows[index]


STARTS, COLUMNS, VALUES = np.array([0, 2, 2, 3]), np.array([1, 3, 0]), np.array([1.0, 2.0, 3.0])


def test_from_csr_is_the_matrix(dtype, isa):
    values = VALUES.astype(dtype)
    rows = _kernels.from_csr(STARTS.astype(np.int32), COLUMNS.astype(np.uint16), values, 4)
    np.testing.assert_array_equal(rows.dense(), [[0, 1, 0, 2], [0, 0, 0, 0], [3, 0, 0, 0]])
    assert rows.nonzeros == 3
    empty = _kernels.from_csr(np.array([0]), np.array([], int), values[:0], 4)
    assert empty.dense().shape == (0, 4)


def test_from_csr_copies():
    starts, columns, values = STARTS.copy(), COLUMNS.copy(), VALUES.copy()
    rows = _kernels.from_csr(starts, columns, values, 4)
    expected = rows.dense()
    starts[:], columns[:], values[:] = 9, 9, 9
    np.testing.assert_array_equal(rows.dense(), expected)


def test_zeros_that_are_stored(dtype, isa, rng):
    """They change no bit of a product, and an infinity that they meet makes NaN."""
    values = np.array([1.0, -0.0, 0.0], dtype)
    rows = _kernels.from_csr(STARTS, COLUMNS, values, 4)
    for n in (3, 40):
        b = draw(rng, (4, n), dtype)
        assert _kernels.matmul(rows, b).tobytes() == _kernels.matmul(rows.dense(), b).tobytes()
        b[3, 0] = np.inf
        assert np.isnan(_kernels.matmul(rows, b)[:, 0]).all()


FIT = "do not fit together"
ORDER = r"in \[0, 4\) and ascend"
MISFITS = {
    "no starts": ((np.array([], int), COLUMNS[:0], VALUES[:0]), FIT),
    "starts' axes": ((STARTS[None], COLUMNS, VALUES), FIT),
    "columns' axes": ((STARTS, COLUMNS[None], VALUES), FIT),
    "values' axes": ((STARTS, COLUMNS, VALUES[:, None]), FIT),
    "first start": ((np.array([1, 2, 2, 3]), COLUMNS, VALUES), FIT),
    "last start": ((np.array([0, 2, 2, 2]), COLUMNS, VALUES), FIT),
    "descending starts": ((np.array([0, 3, 2, 3]), COLUMNS, VALUES), FIT),
    "lengths": ((STARTS, COLUMNS, VALUES[:2]), FIT),
    "negative column": ((STARTS, np.array([-1, 3, 0]), VALUES), ORDER),
    "column too large": ((STARTS, np.array([1, 4, 0]), VALUES), ORDER),
    "column that wraps": ((STARTS, np.array([1, 3, 2**32]), VALUES), ORDER),
    "descending columns": ((STARTS, np.array([3, 1, 0]), VALUES), ORDER),
    "a column twice": ((STARTS, np.array([3, 3, 0]), VALUES), ORDER),
}


@pytest.mark.parametrize(("arrays", "message"), MISFITS.values(), ids=MISFITS.keys())
def test_from_csr_refuses(arrays, message):
    with pytest.raises(ValueError, match=message):
        _kernels.from_csr(*arrays, 4)


X = np.eye(3, 4, dtype=np.float32)
ROWS = _kernels.compress(X)

WRONG_TYPE = {
    "compress a list": lambda: _kernels.compress([[1.0]]),
    "compress integers": lambda: _kernels.compress(np.ones((2, 2), int)),
    "compress a list to": lambda: _kernels.compress([[1.0]], np.float32),
    "compress complex": lambda: _kernels.compress(np.ones((2, 2), complex), np.float32),
    "compress to integers": lambda: _kernels.compress(X, int),
    "float starts": lambda: _kernels.from_csr(STARTS * 1.0, COLUMNS, VALUES, 4),
    "float columns": lambda: _kernels.from_csr(STARTS, COLUMNS * 1.0, VALUES, 4),
    "integer values": lambda: _kernels.from_csr(STARTS, COLUMNS, COLUMNS, 4),
    "list of columns": lambda: _kernels.from_csr(STARTS, [1, 3, 0], VALUES, 4),
    "made by hand": _kernels.CompressedRows,
    "mixed": lambda: _kernels.matmul(ROWS, np.ones((4, 2))),
    "mixed bias": lambda: _kernels.matmul(ROWS, X.T, bias=np.ones(3)),
    "mixed out": lambda: _kernels.matmul(ROWS, X.T, out=np.ones((3, 3))),
    "on the right": lambda: _kernels.matmul(X.T, ROWS),
}


@pytest.mark.parametrize("call", WRONG_TYPE.values(), ids=WRONG_TYPE.keys())
def test_wrong_type(call):
    with pytest.raises(TypeError):
        call()


WRONG_VALUE = {
    "compress axes": (lambda: _kernels.compress(X[0]), "two axes"),
    "too many columns": (
        lambda: _kernels.from_csr(STARTS, COLUMNS, VALUES, 2**31),
        r"fewer than 2\*\*31 columns",
    ),
    "inner": (lambda: _kernels.matmul(ROWS, X), r"4 along axis 1 .* 3 along axis 0"),
    "inner, transposed": (
        lambda: _kernels.matmul(ROWS, X.T, transpose_a=True),
        r"a \(3, 4\) has 3 along axis 0 and b \(4, 3\) has 4 along axis 0",
    ),
    "axes": (lambda: _kernels.matmul(ROWS, X[0]), "two axes"),
    "out": (lambda: _kernels.matmul(ROWS, X.T, out=X.copy()), r"the result has shape \(3, 3\)"),
    "mask": (lambda: _kernels.matmul(ROWS, X.T, mask=X), r"mask has shape \(3, 4\)"),
    "bias": (lambda: _kernels.matmul(ROWS, X.T, bias=X[0]), r"it must be \(3,\)"),
    "accumulate": (lambda: _kernels.matmul(ROWS, X.T, accumulate=True), "needs out"),
}


@pytest.mark.parametrize(("call", "message"), WRONG_VALUE.values(), ids=WRONG_VALUE.keys())
def test_wrong_value(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_an_output_that_overlaps_is_refused():
    b = np.ones((4, 4), np.float32)
    before = b.copy()
    for options in ({}, {"accumulate": True}):
        with pytest.raises(ValueError, match="out overlaps b"):
            _kernels.matmul(_kernels.compress(b), b, out=b, **options)
    np.testing.assert_array_equal(b, before)


@pytest.mark.parametrize("shape", [(3, 5), (0, 5), (3, 0), (2, 70_000), (40, 33)])
def test_rows_that_are_filled_again(shape, dtype, isa, rng):
    rows = _kernels.empty_rows(*shape, dtype)
    np.testing.assert_array_equal(rows.dense(), np.zeros(shape))
    for share in (0.3, 1.0, 0.0):
        x = np.where(rng.random(shape) < share, rng.standard_normal(shape), 0).astype(dtype)
        _kernels.fill_rows(x, rows)
        np.testing.assert_array_equal(rows.dense(), x, strict=True)
        assert rows.nonzeros == np.count_nonzero(x)


def test_rows_that_do_not_fit():
    rows = _kernels.empty_rows(2, 3, np.float32)
    x = np.ones((2, 3), np.float32)
    _kernels.fill_rows(x, rows)
    for wrong, error in (
        (np.zeros((3, 2), np.float32), ValueError),
        (np.zeros((2, 3)), TypeError),
        ([[0.0] * 3] * 2, TypeError),
    ):
        with pytest.raises(error):
            _kernels.fill_rows(wrong, rows)
    matrix = _kernels.compress(x)
    for shared in (matrix, matrix.buffer(2)):
        with pytest.raises(ValueError, match="empty_rows"):
            _kernels.fill_rows(x, shared)
    np.testing.assert_array_equal(matrix.dense(), x)
    _kernels.fill_rows(np.asfortranarray(x), rows)
    np.testing.assert_array_equal(rows.dense(), x)

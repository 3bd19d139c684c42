"""Every kernel on every instruction set against float64 NumPy, and the promises about its bits."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from kernel_inputs import draw

from fastnn import _kernels
from fastnn.arrays import on_a_line

SIZES = [(), (0,), (1,), (7,), (3, 0), (5, 16), (2, 3, 33), (1000, 17)]
ROWS = [(0, 3), (1, 1), (1, 16), (3, 0), (5, 10), (7, 17), (33, 100), (600, 257)]
EDGES = [0.0, -0.0, np.inf, -np.inf, np.nan, 1e-310, -1e-40, 3e38, -3e38]


def tolerance(dtype, k=1):
    return 4 * np.sqrt(k + 1) * np.finfo(dtype).eps


@pytest.mark.parametrize("shape", SIZES)
def test_relu(shape, dtype, isa, rng):
    x, dy = draw(rng, shape, dtype), draw(rng, shape, dtype)
    y = _kernels.relu(x)
    np.testing.assert_array_equal(y, np.maximum(x, 0))
    np.testing.assert_array_equal(_kernels.relu_grad(dy, y), np.where(x > 0, dy, 0))


@pytest.mark.parametrize("length", [1, 4, 15, 16, 17, 40])
def test_relu_edges(length, dtype, isa):
    """At every position of a vector and its tail."""
    x = np.resize(np.array(EDGES, dtype), length)
    with np.errstate(invalid="ignore"):
        np.testing.assert_array_equal(_kernels.relu(x), np.maximum(x, dtype(0)))
        np.testing.assert_array_equal(_kernels.relu_grad(x, x), np.where(x > 0, x, dtype(0)))


@pytest.mark.parametrize("shape", ROWS)
def test_add(shape, dtype, isa, rng):
    x, b = draw(rng, shape, dtype), draw(rng, shape[1:], dtype)
    np.testing.assert_array_equal(_kernels.add(x, b), x + b)
    np.testing.assert_array_equal(_kernels.add(x, x), x + x)
    sums, bound = x.astype(float).sum(0), np.abs(x).sum(0, dtype=float)
    assert (np.abs(_kernels.add_grad(x) - sums) <= tolerance(dtype, shape[0]) * bound).all()


@pytest.mark.parametrize("m", [1, 15, 16, 17, 63, 64, 65, 200])
def test_the_sums_of_columns_depend_on_their_own_column_alone(m, dtype, isa, rng):
    """A column's sum has the same bits in a matrix of any width."""
    x = draw(rng, (m, 1500), dtype)
    whole = _kernels.add_grad(x)
    for n in (1, 2, 10, 31, 32, 33, 100):
        np.testing.assert_array_equal(_kernels.add_grad(x[:, :n]), whole[:n])


def test_the_sums_of_columns_are_in_the_order_that_is_promised(dtype, isa, rng):
    """Groups of 64 rows, in them sixteen lanes of four rows; every addition is rounded."""
    x = draw(rng, (151, 3), dtype)
    total = np.zeros(3, dtype)
    for start in range(0, 151, 64):
        group = np.zeros(3, dtype)
        for lane in range(16):
            rows = x[start : start + 64][lane::16]
            group += np.add.accumulate(rows, dtype=dtype)[-1] if len(rows) else dtype(0)
        total += group
    np.testing.assert_array_equal(_kernels.add_grad(x), total)


def test_add_axes(dtype, isa, rng):
    x, b = draw(rng, (2, 3, 4, 5), dtype), draw(rng, (4, 5), dtype)
    np.testing.assert_array_equal(_kernels.add(x, b), x + b)
    np.testing.assert_array_equal(_kernels.add(x, b[0]), x + b[0])
    np.testing.assert_allclose(
        _kernels.add_grad(x), x.sum((0, 1, 2)), rtol=0, atol=10 * tolerance(dtype)
    )


def ulps(found, exact, dtype):
    """The error in units in the last place of the exact result, which has more digits."""
    return np.abs(found - exact) / np.spacing(np.abs(exact).astype(dtype))


def test_exp(dtype, isa, rng):
    """2 units in the last place, 1 where multiply and add are fused; beyond its range 0 and inf."""
    limits = (-87, 88) if dtype is np.float32 else (-708, 709)
    x = np.concatenate([rng.uniform(*limits, 100_000), rng.uniform(-1, 1, 100_000)]).astype(dtype)
    error = ulps(_kernels.exp(x), np.exp(x.astype(np.longdouble)), dtype)
    assert error.max() <= (2 if isa == "base" else 1)
    x = np.array([0, -0.0, np.inf, -np.inf, np.nan, 1e30, -1e30], dtype)
    np.testing.assert_array_equal(_kernels.exp(x), [1, 1, np.inf, 0, np.nan, np.inf, 0])
    subnormal = np.array([-90, -100, -103] if dtype is np.float32 else [-710, -740, -744], dtype)
    exact = np.exp(subnormal.astype(np.longdouble)).astype(dtype)
    assert (np.abs(_kernels.exp(subnormal) - exact) <= np.finfo(dtype).smallest_subnormal).all()


def test_log(dtype, isa, rng):
    """1 unit in the last place, for subnormal numbers too; -inf at 0 and NaN below."""
    tiny = np.finfo(dtype).smallest_subnormal
    x = np.exp(rng.uniform(np.log(tiny * 4), 88, 100_000))
    x = np.concatenate([x, rng.uniform(0.5, 2, 100_000)]).astype(dtype)
    assert ulps(_kernels.log(x), np.log(x.astype(np.longdouble)), dtype).max() <= 1
    x = np.array([1, 0, -0.0, -1, np.inf, -np.inf, np.nan], dtype)
    expected = [0, -np.inf, -np.inf, np.nan, np.inf, np.nan, np.nan]
    np.testing.assert_array_equal(_kernels.log(x), expected)


def finite(dtype):
    """Magnitudes from the smallest subnormal number to the largest number, each with both signs."""
    info = np.finfo(dtype)
    exponents = np.linspace(np.log2(info.smallest_subnormal), info.maxexp - 0.1, 5000)
    sizes = np.exp2(exponents.astype(np.longdouble)).astype(dtype)
    return np.concatenate([sizes, -sizes])


def test_tanh(dtype, isa, rng):
    """3 units in the last place, for tiny numbers too."""
    x = np.concatenate([rng.uniform(-20, 20, 100_000), rng.uniform(-1, 1, 100_000)]).astype(dtype)
    x = np.concatenate([x, finite(dtype)])
    exact = np.tanh(x.astype(np.longdouble))
    assert ulps(_kernels.tanh(x), exact, dtype).max() <= 3
    x = np.array([0, -0.0, np.inf, -np.inf, np.nan], dtype)
    y = _kernels.tanh(x)
    np.testing.assert_array_equal(y, [0, -0.0, 1, -1, np.nan])
    np.testing.assert_array_equal(np.signbit(y[:4]), [False, True, False, True])
    tiny = np.finfo(dtype).smallest_subnormal
    np.testing.assert_array_equal(_kernels.tanh(np.array([tiny, -3 * tiny])), [tiny, -3 * tiny])


def test_sigmoid(dtype, isa, rng):
    """3 units in the last place, far into the negative too; 0 and 1 at the ends."""
    limit = 87 if dtype is np.float32 else 708
    x = np.concatenate([rng.uniform(-limit, 100, 100_000), rng.uniform(-1, 1, 100_000)])
    x = np.concatenate([x.astype(dtype), finite(dtype)])
    x = x[x > -limit]
    exact = 1 / (1 + np.exp(-x.astype(np.longdouble)))
    assert ulps(_kernels.sigmoid(x), exact, dtype).max() <= 3
    x = np.array([0, -0.0, np.inf, -np.inf, np.nan, -1e30], dtype)
    np.testing.assert_array_equal(_kernels.sigmoid(x), [0.5, 0.5, 1, 0, np.nan, 0])
    # Subnormal results have fewer digits.
    x = np.array([-95, -103] if dtype is np.float32 else [-720, -744], dtype)
    exact = (1 / (1 + np.exp(-x.astype(np.longdouble)))).astype(dtype)
    assert (np.abs(_kernels.sigmoid(x) - exact) <= np.finfo(dtype).smallest_subnormal).all()


@pytest.mark.parametrize("shape", SIZES)
def test_gradients_from_outputs(shape, dtype, isa, rng):
    dy, x = draw(rng, shape, dtype), draw(rng, shape, dtype)
    y = np.asarray(np.tanh(x))
    exact = dy.astype(float) * (1 - y.astype(float) ** 2)
    np.testing.assert_allclose(_kernels.tanh_grad(dy, y), exact, tolerance(dtype), tolerance(dtype))
    p = np.asarray(np.abs(y))
    exact = dy.astype(float) * p * (1 - p.astype(float))
    np.testing.assert_allclose(
        _kernels.sigmoid_grad(dy, p), exact, tolerance(dtype), tolerance(dtype)
    )
    ends = np.array([0, 1, -1, np.nan], dtype)
    np.testing.assert_array_equal(_kernels.tanh_grad(ends**0, ends), [1, 0, 0, np.nan])
    np.testing.assert_array_equal(_kernels.sigmoid_grad(ends**0, ends), [0, 0, -2, np.nan])


def philox(counter, key):
    """Philox4x32 with ten rounds: four words from a counter of four words and a key of two."""
    c, k = list(counter), list(key)
    for _ in range(10):
        p, q = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [q >> 32 ^ c[1] ^ k[0], q % 2**32, p >> 32 ^ c[3] ^ k[1], p % 2**32]
        k = [(k[0] + 0x9E3779B9) % 2**32, (k[1] + 0xBB67AE85) % 2**32]
    return c


PUBLISHED = [
    ([0] * 4, [0] * 2, [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]),
    ([0xFFFFFFFF] * 4, [0xFFFFFFFF] * 2, [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]),
    (
        [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
        [0xA4093822, 0x299F31D0],
        [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1],
    ),
]


@pytest.mark.parametrize(("counter", "key", "words"), PUBLISHED)
def test_philox_is_the_published_function(counter, key, words):
    assert philox(counter, key) == words


def words_of(n, key, counter):
    """The random words of n elements: element 64 g + 16 w + l has word w of counter 16 g + l."""
    high = [counter % 2**32, counter >> 32]
    halves = [key % 2**32, key >> 32]
    blocks = [philox([i, 0, *high], halves) for i in range(-(-n // 64) * 16)]
    return np.array(blocks).reshape(-1, 16, 4).transpose(0, 2, 1).reshape(-1)[:n]


def order_of(n, key):
    """Fisher and Yates, with 64 random bits for each place."""
    words = words_of(2 * n, key, 0)
    order = []
    for i in range(n):
        place = (int(words[2 * i]) + (int(words[2 * i + 1]) << 32)) * (i + 1) >> 64
        order.append(i)
        order[place], order[i] = i, order[place]
    return order


@pytest.mark.parametrize("n", [0, 1, 2, 31, 32, 33, 1000])
@pytest.mark.parametrize("key", [0, 2**64 - 1])
def test_random_order(n, key, isa):
    order = _kernels.random_order(n, key)
    assert order.dtype == np.int64
    assert order.tolist() == order_of(n, key)


def test_all_orders_are_as_likely():
    orders, counts = np.unique(
        [_kernels.random_order(4, key) for key in range(24_000)], axis=0, return_counts=True
    )
    assert len(orders) == 24
    # Chi squared with 23 degrees of freedom is above 58.6 once in 10^4 times.
    assert ((counts - 1000) ** 2 / 1000).sum() < 58.6


@pytest.mark.parametrize("shape", [(), (0,), (1,), (63,), (3, 65), (1000,)])
@pytest.mark.parametrize(("key", "counter"), [(0, 0), (2**64 - 1, 1), (0xA4093822299F31D0, 2**40)])
def test_dropout(shape, key, counter, dtype, isa, rng):
    x = draw(rng, shape, dtype)
    words = words_of(x.size, key, counter).reshape(shape)
    for rate in (0.0, 0.1, 0.5, 0.999):
        y = _kernels.dropout(x, rate, key, counter)
        np.testing.assert_allclose(y, np.where(words >= rate * 2**32, x / (1 - rate), 0), 1e-6)
    np.testing.assert_array_equal(_kernels.dropout(x, 1.0, key, counter), np.zeros(shape, dtype))


def test_dropout_compares_whole_words(dtype, isa):
    """The first word for key and counter 0 is 0x6627e8d5: a rate just above drops the element."""
    one = np.ones(1, dtype)
    assert _kernels.dropout(one, 0x6627E8D5 / 2**32, 0, 0) != 0
    assert _kernels.dropout(one, 0x6627E8D6 / 2**32, 0, 0) == 0


def test_dropout_of_many(dtype, isa):
    """More elements than a thread takes at a time."""
    y = _kernels.dropout(np.ones(40_000, dtype), 0.3, 5, 6)
    np.testing.assert_array_equal(y != 0, words_of(40_000, 5, 6) >= 0.3 * 2**32)
    assert abs((y == 0).mean() - 0.3) < 0.01


def test_a_dropped_nan_is_gone(dtype, isa):
    x = np.full(200, np.nan, dtype)
    dropped = words_of(200, 1, 2) < 2**31
    y = _kernels.dropout(x, 0.5, 1, 2)
    np.testing.assert_array_equal(y, np.where(dropped, 0, np.nan))


STORED = ["?", "u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f2", "f4", "f8"]


@pytest.mark.parametrize("stored", STORED)
@pytest.mark.parametrize("shape", [(5,), (5, 0), (5, 1), (5, 33), (5, 3, 7), (5, 1500)])
def test_gather(stored, shape, dtype, isa, rng):
    if stored.startswith("f"):
        x = (rng.standard_normal(shape) * 100).astype(stored)
    else:
        x = rng.integers(0, 2**63, shape).astype(stored)
    rows = np.array([4, 0, 4, 2, 1, 3, 3])
    out = np.full((7, *shape[1:]), np.nan, dtype)
    assert _kernels.gather(x, rows, out) is out
    np.testing.assert_array_equal(out, x[rows].astype(dtype))
    _kernels.gather(x, rows, out, 1 / 255)
    np.testing.assert_array_equal(out, x[rows].astype(dtype) * dtype(1 / 255))
    _kernels.gather(x, rows[:0], out[:0])


def test_gather_of_every_float16(dtype, isa):
    x = np.arange(2**16, dtype=np.uint16).view(np.float16).reshape(256, 256)
    out = np.empty(x.shape, dtype)
    _kernels.gather(x, np.arange(256), out)
    np.testing.assert_array_equal(out, x.astype(dtype))
    np.testing.assert_array_equal(np.signbit(out), np.signbit(x))


def operand(rng, rows, columns, transposed, dtype):
    """op(x), of shape (rows, columns), and x."""
    x = draw(rng, (columns, rows) if transposed else (rows, columns), dtype)
    return (x.T if transposed else x).astype(float), x


TRANSPOSED = [(False, False), (True, False), (False, True), (True, True)]


@pytest.mark.parametrize(("ta", "tb"), TRANSPOSED)
@pytest.mark.parametrize("k", [0, 1, 5, 16, 31, 400, 401, 900])
def test_matmul(k, ta, tb, dtype, isa, rng):
    for m in (0, 1, 2, 3, 4, 6, 7, 13, 250):
        for n in (0, 1, 3, 10, 16, 17, 33, 110):
            exact_a, a = operand(rng, m, k, ta, dtype)
            exact_b, b = operand(rng, k, n, tb, dtype)
            bias = draw(rng, (n,), dtype)
            exact = exact_a @ exact_b
            bound = tolerance(dtype, k) * (np.abs(exact_a) @ np.abs(exact_b) + np.abs(bias))
            plain = _kernels.matmul(a, b, ta, tb)
            assert (np.abs(plain - exact) <= bound).all()
            biased = _kernels.matmul(a, b, ta, tb, bias)
            np.testing.assert_array_equal(biased, plain + bias)
            activated = _kernels.matmul(a, b, ta, tb, bias, relu=True)
            np.testing.assert_array_equal(activated, np.maximum(biased, 0))
            mask = draw(rng, (m, n), dtype)
            masked = _kernels.matmul(a, b, ta, tb, mask=mask, alpha=0.5)
            np.testing.assert_array_equal(masked, np.where(mask > 0, plain / 2, 0))
            scaled = _kernels.matmul(a, b, ta, tb, rate=np.array(0.5))
            np.testing.assert_array_equal(scaled, plain * dtype(-0.5))
            changed, updated = mask.copy(), mask.copy()
            _kernels.matmul(a, b, ta, tb, out=changed, alpha=-0.1, accumulate=True)
            _kernels.sgd(updated, plain, 0.1)
            np.testing.assert_array_equal(changed, updated)


@pytest.mark.parametrize(("ta", "tb"), TRANSPOSED)
@pytest.mark.parametrize(
    ("m", "n"), [(245, 260), (130, 257), (1, 800), (1, 399), (600, 20), (20, 600)]
)
def test_matmul_wide(m, n, ta, tb, dtype, isa, rng):
    """Shapes whose left operand is copied, in whole tiles and a rest, and single rows."""
    for k in (3, 401):
        exact_a, a = operand(rng, m, k, ta, dtype)
        exact_b, b = operand(rng, k, n, tb, dtype)
        bound = tolerance(dtype, k) * (np.abs(exact_a) @ np.abs(exact_b))
        assert (np.abs(_kernels.matmul(a, b, ta, tb) - exact_a @ exact_b) <= bound).all()


@pytest.mark.parametrize("tb", [False, True])
@pytest.mark.parametrize(
    ("n", "k"), [(1, 1), (1, 50), (1, 403), (1, 5200), (3, 403), (20, 50), (50, 403)]
)
def test_matmul_of_a_part_of_a_matrix(n, tb, k, dtype, isa, rng):
    """Rows or columns that do not follow each other, between others that are not numbers."""
    for m in (1, 5, 30):
        wide = np.full((n + 2, k + 3) if tb else (k, n + 5), np.nan, dtype)
        b = wide[1 : n + 1, 2 : k + 2] if tb else wide[:, 2 : n + 2]
        tall = np.full((m, k + 7), np.inf, dtype)
        a = tall[:, 3 : k + 3]
        a[...], b[...] = draw(rng, a.shape, dtype), draw(rng, b.shape, dtype)
        found = _kernels.matmul(a, b, transpose_b=tb)
        np.testing.assert_array_equal(found, _kernels.matmul(a.copy(), b.copy(), transpose_b=tb))
        exact_a, exact_b = a.astype(float), (b.T if tb else b).astype(float)
        bound = tolerance(dtype, k) * (np.abs(exact_a) @ np.abs(exact_b))
        assert (np.abs(found - exact_a @ exact_b) <= bound).all()


@pytest.mark.parametrize("n", range(2, 18))
@pytest.mark.parametrize("m", [17, 50])
def test_matmul_of_few_columns(m, n, dtype, isa, rng):
    """Each number of them; what lies before and behind stays as it is."""
    a, b = draw(rng, (30, m), dtype), draw(rng, (30, n), dtype)
    exact, size = a.T.astype(float) @ b, np.abs(a.T.astype(float)) @ np.abs(b)
    bias, mask, before = (draw(rng, shape, dtype) for shape in ((n,), (m, n), (m, n)))
    ways = {
        "plain": ({}, exact),
        "bias": ({"bias": bias}, exact + bias),
        "relu": ({"bias": bias, "relu": True}, np.maximum(exact + bias, 0)),
        "mask": ({"mask": mask}, np.where(mask > 0, exact, 0)),
        "accumulate": ({"accumulate": True, "alpha": -0.5}, before - exact / 2),
    }
    for options, expected in ways.values():
        around = np.full(m * n + 40, 7, dtype)
        out = around[20:-20].reshape(m, n)
        out[...] = before
        found = _kernels.matmul(a, b, transpose_a=True, out=out, **options)
        assert (np.abs(found - expected) <= tolerance(dtype, 30) * (size + 4)).all()
        assert (around[:20] == 7).all()
        assert (around[-20:] == 7).all()


@pytest.mark.parametrize(("ta", "tb"), TRANSPOSED)
@pytest.mark.parametrize("n", [48, 64, 130])
def test_matmul_anywhere_in_memory(n, ta, tb, dtype, isa, rng):
    """Columns that fill lines of the cache, and those that lie across them."""

    def at(x, elements):
        memory = on_a_line(x.nbytes + elements * x.itemsize)[elements * x.itemsize :]
        moved = memory.view(dtype).reshape(x.shape)
        moved[...] = x
        return moved

    for m in (5, 30, 250):
        exact_a, a = operand(rng, m, 401, ta, dtype)
        exact_b, b = operand(rng, 401, n, tb, dtype)
        found = _kernels.matmul(at(a, 0), at(b, 0), ta, tb)
        bound = tolerance(dtype, 401) * (np.abs(exact_a) @ np.abs(exact_b))
        assert (np.abs(found - exact_a @ exact_b) <= bound).all()
        for elements in (1, 4):
            moved = _kernels.matmul(at(a, elements), at(b, elements), ta, tb)
            np.testing.assert_array_equal(moved, found)


@pytest.mark.parametrize("n", [5, 16, 40, 64])
def test_matmul_nan_and_infinity(n, dtype, isa):
    """They spread as in NumPy, through bias and relu too."""
    a = np.ones((9, 20), dtype)
    a[1, 3], a[2, 5], a[4, 7] = np.nan, np.inf, -np.inf
    b = np.ones((20, n), dtype)
    b[5, 0] = 0
    bias = np.zeros(n, dtype)
    bias[-1] = np.nan
    with np.errstate(invalid="ignore"):
        np.testing.assert_array_equal(_kernels.matmul(a, b), a @ b)
        expected = np.maximum(a @ b + bias, 0)
    np.testing.assert_array_equal(_kernels.matmul(a, b, bias=bias, relu=True), expected)


@pytest.mark.parametrize(("ta", "tb"), TRANSPOSED)
# Two blocks of k, one, and few steps.
@pytest.mark.parametrize(("k", "n"), [(1100, 5), (450, 40), (320, 130), (16, 16), (9, 10)])
def test_matmul_rows_stand_alone(k, n, ta, tb, dtype, isa, rng):
    """A row of the result has the same bits in every batch, whatever its neighbours are."""
    m = 250
    _, a = operand(rng, m, k, ta, dtype)
    _, b = operand(rng, k, n, tb, dtype)
    bias, mask, before = (rng.standard_normal(shape).astype(dtype) for shape in (n, (m, n), (m, n)))

    def products(start, stop):
        rows, out = a[:, start:stop] if ta else a[start:stop], before[start:stop].copy()
        return [
            _kernels.matmul(rows, b, ta, tb),
            _kernels.matmul(rows, b, ta, tb, bias=bias, relu=True),
            _kernels.matmul(rows, b, ta, tb, mask=mask[start:stop]),
            _kernels.matmul(rows, b, ta, tb, out=out, accumulate=True, alpha=-0.5),
        ]

    whole = products(0, m)
    for start, stop in [(0, 1), (3, 4), (1, 3), (5, 8), (2, 6), (2, 21), (50, 250), (249, 250)]:
        for part, x in zip(products(start, stop), whole, strict=True):
            np.testing.assert_array_equal(part, x[start:stop])


def rounded(x: Fraction, dtype) -> Fraction:
    """x rounded once, to the nearest number of the dtype, ties to the even one."""
    near = dtype(float(x))
    around = [np.nextafter(near, dtype(-np.inf)), near, np.nextafter(near, dtype(np.inf))]
    even = [int(c.view(np.uint32 if dtype is np.float32 else np.uint64)) % 2 for c in around]
    best = min(range(3), key=lambda i: (abs(Fraction(float(around[i])) - x), even[i]))
    return Fraction(float(around[best]))


def chain(a, b, dtype, fused) -> Fraction:
    """Multiply-adds over k ascending from 0; a product that is not fused is rounded by itself."""
    total = Fraction(0)
    for x, y in zip(a, b, strict=True):
        product = Fraction(float(x)) * Fraction(float(y))
        total = rounded((product if fused else rounded(product, dtype)) + total, dtype)
    return total


def lanes(a, b, dtype, fused) -> Fraction:
    """Sixteen chains, k modulo 16, joined in halves."""
    sums = [chain(a[lane::16], b[lane::16], dtype, fused) for lane in range(16)]
    while len(sums) > 1:
        half = len(sums) // 2
        sums = [rounded(sums[i] + sums[i + half], dtype) for i in range(half)]
    return sums[0]


@pytest.mark.parametrize(
    ("k", "n", "transposed"),
    [
        *itertools.product([5, 16, 64, 65, 403], [1, 16, 17], TRANSPOSED),
        *itertools.product([1500], [1, 2], TRANSPOSED),
        (5200, 1, (False, False)),
    ],
)
def test_matmul_is_the_chain_that_is_promised(k, n, transposed, dtype, isa, rng):
    """Exact arithmetic, rounded where the promise says, gives the same bits.

    k is cut into as few near-equal blocks of at most 320 as there can be: 403 into 202 and 201;
    where sums run in lanes, of at most 1024.
    """
    m = 2
    ta, tb = transposed
    _, a = operand(rng, m, k, ta, dtype)
    _, b = operand(rng, k, n, tb, dtype)
    c = _kernels.matmul(a, b, ta, tb)
    rows, columns = (a.T if ta else a), (b if tb else b.T)
    one = lanes if not ta and n <= 16 and (n == 1 or k > 64) else chain
    length = math.ceil(k / math.ceil(k / (1024 if one is lanes else 320)))
    for i, j in [(0, 0), (1, n - 1)]:
        total = Fraction(0)
        for p in range(0, k, length):
            cut = slice(p, p + length)
            total = rounded(total + one(rows[i][cut], columns[j][cut], dtype, isa != "base"), dtype)
        assert Fraction(float(c[i, j])) == total


def reference_softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True, initial=-np.inf))
    return e / e.sum(-1, keepdims=True)


@pytest.mark.parametrize("shape", [(5,), (2, 3, 4), *ROWS])
def test_softmax(shape, dtype, isa, rng):
    x = draw(rng, shape, dtype) * dtype(5)
    dy = draw(rng, shape, dtype)
    exact = reference_softmax(x.astype(float))
    y = _kernels.softmax(x)
    # x - max is rounded, by up to half a unit of its own size, before exp makes a factor of it.
    size = np.ptp(x) if x.size else 0
    np.testing.assert_allclose(y, exact, rtol=(size / 2 + 16) * np.finfo(dtype).eps, atol=0)
    gradient = exact * (dy - (dy * exact).sum(-1, keepdims=True))
    bound = tolerance(dtype, 64) * exact * (1 + np.abs(dy))
    assert (np.abs(_kernels.softmax_grad(dy, y) - gradient) <= bound).all()


@pytest.mark.parametrize("shape", [(0, 3), (1, 1), (1, 16), (5, 10), (7, 17), (600, 257)])
def test_softmax_cross_entropy(shape, dtype, isa, rng):
    m, n = shape
    x, dloss = draw(rng, shape, dtype) * dtype(5), draw(rng, (m,), dtype)
    labels = rng.integers(0, n, m)
    exact = reference_softmax(x.astype(float))
    dlogits = np.full_like(x, np.nan)
    loss = _kernels.softmax_cross_entropy(x, labels, dlogits, dloss)
    expected = -np.log(exact[np.arange(m), labels])
    np.testing.assert_allclose(loss, expected, rtol=tolerance(dtype, 64), atol=tolerance(dtype))
    gradient = (exact - np.eye(n)[labels]) * dloss[:, None]
    np.testing.assert_allclose(dlogits, gradient, rtol=0, atol=tolerance(dtype, 64))
    np.testing.assert_array_equal(_kernels.softmax_cross_entropy(x, labels), loss)
    _kernels.softmax_cross_entropy(x, labels, dlogits)
    np.testing.assert_allclose(dlogits, exact - np.eye(n)[labels], rtol=0, atol=tolerance(dtype, 9))


@pytest.mark.parametrize("n", [1, 10, 40, 256])
def test_softmax_of_a_row_depends_on_no_other(n, dtype, isa, rng):
    """Though short rows are computed together."""
    x, labels = draw(rng, (21, n), dtype) * dtype(5), rng.integers(0, n, 21)
    x[3, n // 2], x[9] = np.nan, np.inf
    y, loss = _kernels.softmax(x), _kernels.softmax_cross_entropy(x, labels)
    for i in range(len(x)):
        row = slice(i, i + 1)
        assert _kernels.softmax(x[row]).tobytes() == y[row].tobytes()
        assert _kernels.softmax_cross_entropy(x[row], labels[row]).tobytes() == loss[row].tobytes()
    assert np.isnan(y).any(axis=1).tolist() == [i in (3, 9) for i in range(21)]


def test_softmax_is_stable(dtype, isa):
    """Large logits overflow nowhere, and hopeless ones give a loss without limit."""
    x = np.array([[1e4, -1e4, 0], [-1e4, 1e4, 1e4]], dtype)
    np.testing.assert_array_equal(_kernels.softmax(x), [[1, 0, 0], [0, 0.5, 0.5]])
    loss = _kernels.softmax_cross_entropy(x, np.array([1, 0]))
    np.testing.assert_allclose(loss, [2e4, 2e4 + np.log(2)], rtol=1e-6)


@pytest.mark.parametrize("kernel", [_kernels.softmax, _kernels.exp, _kernels.tanh, _kernels.log])
def test_rows_stand_alone(kernel, dtype, isa, rng):
    x = draw(rng, (50, 21), dtype)
    np.testing.assert_array_equal(kernel(x)[7:8], kernel(x[7:8].copy()))


RULES = {
    "sgd": (
        lambda w, g, s: _kernels.sgd(w, g, 0.1),
        lambda w, g, s: (w - 0.1 * g, ()),
        0,
    ),
    "momentum": (
        lambda w, g, s: _kernels.momentum(w, s[0], g, 0.1, 0.9),
        lambda w, g, s: (w + 0.9 * s[0] - 0.1 * g, (0.9 * s[0] - 0.1 * g,)),
        1,
    ),
    "nesterov": (
        lambda w, g, s: _kernels.momentum(w, s[0], g, 0.1, 0.9, True),
        lambda w, g, s: (w + 0.9 * (0.9 * s[0] - 0.1 * g) - 0.1 * g, (0.9 * s[0] - 0.1 * g,)),
        1,
    ),
    "adagrad": (
        lambda w, g, s: _kernels.adagrad(w, s[0], g, 0.1, 1e-7),
        lambda w, g, s: (w - 0.1 * g / np.sqrt(s[0] + g * g + 1e-7), (s[0] + g * g,)),
        1,
    ),
    "rmsprop": (
        lambda w, g, s: _kernels.rmsprop(w, s[0], g, 0.1, 0.9, 1e-7),
        lambda w, g, s: (
            w - 0.1 * g / np.sqrt(0.9 * s[0] + 0.1 * g * g + 1e-7),
            (0.9 * s[0] + 0.1 * g * g,),
        ),
        1,
    ),
    "adam": (
        lambda w, g, s: _kernels.adam(w, s[0], s[1], g, 0.1, 0.9, 0.999, 1e-7),
        lambda w, g, s: (
            w - 0.1 * (0.9 * s[0] + 0.1 * g) / (np.sqrt(0.999 * s[1] + 0.001 * g * g) + 1e-7),
            (0.9 * s[0] + 0.1 * g, 0.999 * s[1] + 0.001 * g * g),
        ),
        2,
    ),
}


@pytest.mark.parametrize("shape", SIZES)
@pytest.mark.parametrize("rule", RULES)
def test_update(rule, shape, dtype, isa, rng):
    update, reference, slots = RULES[rule]
    w, g = draw(rng, shape, dtype), draw(rng, shape, dtype)
    s = [np.asarray(np.abs(draw(rng, shape, dtype)) + dtype(0.1)) for _ in range(slots)]
    expected, expected_slots = reference(
        w.astype(float), g.astype(float), [x.astype(float) for x in s]
    )
    update(w, g, s)
    np.testing.assert_allclose(w, expected, rtol=tolerance(dtype), atol=tolerance(dtype))
    for found, slot in zip(s, expected_slots, strict=True):
        np.testing.assert_allclose(found, slot, rtol=tolerance(dtype), atol=tolerance(dtype))


def any_size(rng, n, dtype):
    """Numbers of all sizes, half of them denormal or nearly so, and zeros."""
    info = np.finfo(dtype)
    exponents = rng.integers(info.minexp - info.nmant, info.maxexp // 2 - 4, n)
    exponents[: n // 2] = rng.integers(info.minexp - info.nmant, info.minexp + 2, n // 2)
    x = np.ldexp(dtype(1) + rng.random(n).astype(dtype), exponents) * rng.choice([-1, 0, 1], n)
    return rng.permutation(x.astype(dtype))


@pytest.mark.parametrize("decay", [0.9, 0.3, 0.999, 0.0, 1.0, 1.5, -0.5])
@np.errstate(invalid="ignore")
def test_updates_of_numbers_of_any_size(decay, dtype, isa, rng):
    """Slots are rounded as in exact arithmetic, and w is what NumPy makes of them."""

    def fma(a, b, c):
        product = Fraction(float(a)) * Fraction(float(b))
        product = rounded(product, dtype) if isa == "base" else product
        return dtype(float(rounded(product + Fraction(float(c)), dtype)))

    w, m, g = (any_size(rng, 300, dtype) for _ in range(3))
    v = np.abs(any_size(rng, 300, dtype))
    g[::2], v[::7] = 0, -v[::7]
    rate, kept, rest, epsilon = map(dtype, (0.01, decay, 1 - decay, 1e-7))
    means = [fma(x - y, rest, y) for x, y in zip(g, m, strict=True)]
    squares = [fma(x * x - y, rest, y) for x, y in zip(g, v, strict=True)]
    sums = [fma(kept, y, rest * (x * x)) for x, y in zip(g, v, strict=True)]
    velocities = [fma(kept, y, -(rate * x)) for x, y in zip(g, m, strict=True)]
    further = [fma(kept, y, -(rate * x)) for x, y in zip(g, velocities, strict=True)]
    found = [x.copy() for x in (w, m, v, w, v, w, m, w, m)]
    _kernels.adam(*found[:3], g, 0.01, decay, decay, 1e-7)
    _kernels.rmsprop(*found[3:5], g, 0.01, decay, 1e-7)
    _kernels.momentum(*found[5:7], g, 0.01, decay)
    _kernels.momentum(*found[7:], g, 0.01, decay, True)
    expected = [
        w - rate * np.array(means) / (np.sqrt(np.array(squares)) + epsilon),
        means,
        squares,
        w - rate * g / np.sqrt(np.array(sums) + epsilon),
        sums,
        w + np.array(velocities),
        velocities,
        w + np.array(further),
        velocities,
    ]
    for x, y in zip(found, expected, strict=True):
        np.testing.assert_array_equal(x, np.array(y, dtype))


@pytest.mark.parametrize(
    ("rate", "epsilon"),
    [(0.01, 1e-7), (1e39, 1e-7), (0.0, 0.0), (1e-3, 1e-46), (1e-9, -1.0), (1e30, 1e18)],
)
@np.errstate(all="ignore")
def test_adam_with_any_rate_and_epsilon(rate, epsilon, dtype, isa, rng):
    """w is what NumPy makes of the means, also where a step is nearly lost beside it."""
    w, m, v, g = (any_size(rng, 2000, dtype) for _ in range(4))
    v, g[::2] = np.abs(v), 0
    steps = np.zeros_like(w)
    _kernels.adam(steps, m.copy(), v.copy(), g, rate, 0.9, 0.999, epsilon)
    larger = rng.integers(0, np.finfo(dtype).nmant + 5, w.shape)
    w[::3] = (np.ldexp(steps, larger) * (1 + rng.random(w.shape)))[::3]
    before = w.copy()
    _kernels.adam(w, m, v, g, rate, 0.9, 0.999, epsilon)
    expected = before - dtype(rate) * m / (np.sqrt(v) + dtype(epsilon))
    np.testing.assert_array_equal(w, expected)


@pytest.mark.skipif(len(_kernels.isas()) < 3, reason="one level with a fused multiply-add only")
def test_levels_agree_bit_for_bit(dtype, rng):
    """All levels with a fused multiply-add give the same bits."""
    x, g = draw(rng, (37, 450), dtype), draw(rng, (37, 450), dtype)
    narrow, wide = draw(rng, (450, 10), dtype), draw(rng, (450, 77), dtype)

    def everything():
        w, v = x.copy(), np.abs(g)
        _kernels.rmsprop(w, v, g, 0.1, 0.9, 1e-7)
        products = [_kernels.matmul(x, b) for b in (narrow, wide)]
        products += [_kernels.matmul(x, b, transpose_a=True) for b in (g, g[:, :10])]
        loss = _kernels.softmax_cross_entropy(x, np.arange(37))
        rows = [_kernels.softmax(x), _kernels.softmax_grad(g, x), _kernels.add_grad(x), loss]
        rows += [f(x) for f in (_kernels.exp, _kernels.log, _kernels.tanh, _kernels.sigmoid)]
        rows += [_kernels.tanh_grad(g, x), _kernels.sigmoid_grad(g, x)]
        rows += [_kernels.dropout(x, 0.5, 1, 2)]
        rows += [_kernels.sum_rows(a) for a in (x, x.reshape(-1), narrow)]
        rows += [_kernels.max_rows(x), _kernels.min_rows(narrow), _kernels.argmax_rows(x)]
        rows += [_kernels.chain([("tanh", 0), ("divide", 2, 1)], [x, g[0]], np.empty_like(x))]
        return [a.tobytes() for a in (w, v, *products, *rows)]

    before = _kernels.isa()
    found = {}
    for name in _kernels.isas()[1:]:
        _kernels.set_isa(name)
        found[name] = everything()
    _kernels.set_isa(before)
    first, *others = found.values()
    assert all(other == first for other in others)


def test_out_may_follow_the_columns_of_a_matrix():
    block = np.ones(320, np.float32)
    a, out = block[:200].reshape(20, 10), block[200:].reshape(6, 20)
    _kernels.matmul(a[:, 4:], np.ones((20, 20), np.float32), True, out=out)
    np.testing.assert_array_equal(out, np.full((6, 20), 20))
    with pytest.raises(ValueError, match="out overlaps a"):
        _kernels.matmul(
            a[:, 4:], np.ones((20, 20), np.float32), True, out=block[199:319].reshape(6, 20)
        )

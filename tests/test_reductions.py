"""Reductions of rows, hits and labels: NumPy's results, the promised order, what stands alone."""

import numpy as np
import pytest
from kernel_inputs import draw

import fastnn
from fastnn import _kernels

SHAPES = [(1,), (16,), (3, 1), (0, 4), (5, 4), (7, 10), (40, 16), (33, 17), (2, 3, 32), (9, 33)]
SHAPES += [(5, 64), (3, 127), (4, 1000), (2, 1024), (2, 1025), (3, 5000)]
SPECIAL = [np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0]


@pytest.mark.parametrize("shape", [*SHAPES, (0,), (3, 0), (2, 1_100_000)])
def test_sum_rows(shape, dtype, isa, rng):
    x = draw(rng, shape, dtype)
    exact = x.astype(np.longdouble).sum(-1)
    # The depth of the tree of additions: lanes of a block, their tree, and the same again.
    depth = 80 if shape[-1] <= 1024 else 240
    bound = depth * np.finfo(dtype).eps * np.abs(x).sum(-1, dtype=float)
    assert (np.abs(_kernels.sum_rows(x) - exact) <= bound).all()
    assert _kernels.sum_rows(x).dtype == dtype


def in_lanes(x, dtype):
    """Sixteen lanes, each in order, joined by halves; blocks first, then their sums."""
    if len(x) > 1024:
        return in_lanes([in_lanes(x[i : i + 1024], dtype) for i in range(0, len(x), 1024)], dtype)
    rows = np.zeros((-(-len(x) // 16), 16), dtype)
    rows.reshape(-1)[: len(x)] = x
    lanes = np.add.accumulate(rows)[-1]
    while len(lanes) > 1:
        half = len(lanes) // 2
        lanes = lanes[:half] + lanes[half:]
    return lanes[0]


@pytest.mark.parametrize("n", [1, 10, 16, 100, 1024, 1025, 40_000, 1_100_000])
def test_sums_are_in_the_order_that_is_promised(n, dtype, isa, rng):
    x = draw(rng, (2, n), dtype)
    np.testing.assert_array_equal(_kernels.sum_rows(x), [in_lanes(row, dtype) for row in x])


def test_the_error_of_a_long_sum_stays_small(dtype, isa):
    """Where a running sum of float32 would stop at 2^24 times the terms' size."""
    x = np.full(5_000_000, 0.1, dtype)
    np.testing.assert_allclose(_kernels.sum_rows(x), 5e6 * float(x[0]), rtol=1e-6)


@pytest.mark.parametrize("n", [1, 5, 16, 33, 1000, 3000])
def test_sums_of_nan_and_infinity(n, dtype, isa):
    for special in (np.nan, np.inf, -np.inf):
        x = np.ones((9, n), dtype)
        x[3, n // 2] = special
        np.testing.assert_array_equal(_kernels.sum_rows(x), x.sum(-1))
    x = np.full((1, n), np.inf, dtype)
    x[0, 0] = -np.inf
    assert np.isnan(_kernels.sum_rows(x)[0]) == (n > 1)


@pytest.mark.parametrize("shape", SHAPES)
def test_extremes(shape, dtype, isa, rng):
    """Of numbers that are all different, of few that are often equal, and of special ones."""
    for x in (
        draw(rng, shape, dtype),
        rng.integers(-2, 3, shape).astype(dtype),
        rng.choice(np.array(SPECIAL, dtype), shape),
        rng.choice(np.array(SPECIAL[1:], dtype), shape),
        np.full(shape, -np.inf, dtype),
        np.full(shape, np.inf, dtype),
    ):
        np.testing.assert_array_equal(_kernels.max_rows(x), x.max(-1))
        np.testing.assert_array_equal(_kernels.min_rows(x), x.min(-1))
        places = np.argmax(x, -1)
        found = _kernels.argmax_rows(x)
        assert found.dtype == np.int64
        np.testing.assert_array_equal(found, places)
        labels = np.asarray(np.where(rng.random(places.shape) < 0.5, places, 0))
        hits = _kernels.hits(x, labels.astype(dtype))
        assert hits.dtype == dtype
        np.testing.assert_array_equal(hits, places == labels)


@pytest.mark.parametrize("n", [2, 10, 32, 33, 64, 100, 1000])
def test_the_first_of_every_place(n, dtype, isa):
    """The largest element or a NaN at each place, with a second one behind."""
    for special in (1, np.nan):
        x = np.zeros((n - 1, n), dtype)
        np.fill_diagonal(x, special)
        x[:, -1] = special
        np.testing.assert_array_equal(_kernels.argmax_rows(x), np.arange(n - 1))
        x[:, -1] = np.nan
        expected = np.arange(n - 1) if np.isnan(special) else np.full(n - 1, n - 1)
        np.testing.assert_array_equal(_kernels.argmax_rows(x), expected)


@pytest.mark.parametrize("n", [4, 10, 33, 1500])
def test_rows_stand_alone(n, dtype, isa, rng):
    """Signs of zeros too."""
    x = rng.choice(np.array([0.0, -0.0, -1.0], dtype), (37, n))
    sums = draw(rng, (37, n), dtype)
    for kernel, rows in (
        *((kernel, x) for kernel in (_kernels.max_rows, _kernels.min_rows, _kernels.argmax_rows)),
        (_kernels.sum_rows, sums),
    ):
        whole = kernel(rows)
        for start, stop in ((0, 1), (3, 4), (5, 36), (36, 37)):
            assert kernel(rows[start:stop].copy()).tobytes() == whole[start:stop].tobytes()


def test_out_receives_the_result(dtype, rng):
    x = draw(rng, (5, 7), dtype)
    out, places = np.empty(5, dtype), np.empty(5, np.int64)
    for kernel in (_kernels.sum_rows, _kernels.max_rows, _kernels.min_rows):
        assert kernel(x, out=out) is out
        np.testing.assert_array_equal(out, kernel(x))
    assert _kernels.argmax_rows(x, out=places) is places
    assert _kernels.hits(x, places.astype(dtype), out=out) is out
    np.testing.assert_array_equal(out, 1)


STORED = ["?", "u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f2", "f4", "f8"]


@pytest.mark.parametrize("stored", STORED)
@pytest.mark.parametrize("shape", [(), (0,), (1,), (300,), (5, 7)])
def test_labels(stored, shape, isa, rng):
    x = np.asarray(rng.integers(0, 2 if stored == "?" else 100, shape)).astype(stored)
    out = np.full(shape, -1)
    assert _kernels.labels(x, 100, out) is out
    np.testing.assert_array_equal(out, x)


BAD = [(stored, 5) for stored in STORED if stored != "?"]
BAD += [(stored, -1) for stored in STORED if stored[0] in "if"]
BAD += [(stored, x) for stored in ("f2", "f4", "f8") for x in (0.5, 4.5, np.nan, np.inf, -np.inf)]
BAD += [("u8", 2**64 - 1), ("i8", -(2**63)), ("f8", 2.0**63), ("f8", 1e300), ("f4", 1e30)]


@pytest.mark.parametrize(("stored", "bad"), BAD)
def test_labels_that_are_none(stored, bad, isa):
    x = np.ones((4, 3), stored)
    x[2, 1] = x[3, 0] = bad
    remedy = r"; 5 classes are numbered by the whole numbers 0 to 4"
    with pytest.raises(ValueError, match=r"^x\[2, 1\] is .*" + remedy):
        _kernels.labels(x, 5, np.empty((4, 3), np.int64))


def test_labels_of_no_class(isa):
    with pytest.raises(ValueError, match=r"^x\[\] is 0; 0 classes"):
        _kernels.labels(np.array(0), 0, np.array(0))


@pytest.mark.parametrize(
    ("axes", "shape"),
    [((1,), (3, 4)), ((0, 1), (3, 4)), ((1, 0), (3, 4)), ((1, 2), (2, 3, 4)), ((0,), (7,))]
    + [((2,), (2, 3, 4)), ((0, 2), (2, 3, 4)), ((0,), (3, 4)), ((), (3, 4)), ((), ())]
    + [((1,), (0, 3)), ((2, 1), (0, 3, 2))],
)
def test_the_ops_over_all_kinds_of_axes(axes, shape, dtype, rng):
    x = draw(rng, shape, dtype)
    for tensor in (fastnn.constant(x), fastnn.transpose(fastnn.constant(x.T.copy()))):
        for name in ("sum", "max", "min"):
            for keepdims in (False, True):
                found = getattr(fastnn, f"reduce_{name}")(tensor, axes, keepdims).numpy()
                expected = getattr(np, name)(x, axis=axes, keepdims=keepdims)
                np.testing.assert_allclose(found, expected, rtol=0, atol=100 * np.finfo(dtype).eps)
                assert found.dtype == dtype
                assert found.shape == expected.shape


def test_the_sum_of_no_columns(dtype):
    x = fastnn.zeros((3, 0), dtype)
    np.testing.assert_array_equal(fastnn.reduce_sum(x, axis=1).numpy(), [0, 0, 0])
    assert fastnn.reduce_sum(x).numpy() == 0

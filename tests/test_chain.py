"""Chains of elementwise ops: every op's bits, how inputs broadcast, in place, what is refused."""

import itertools
import math

import numpy as np
import pytest

import fastnn
from fastnn import _kernels

EDGES = [0.0, -0.0, 1.0, -1.0, 2.5, -2.5, np.inf, -np.inf, np.nan, 1e-310, -1e-40, 3e38, -3e38]
SHAPES = [(1, 1), (1, 5), (3, 1), (5, 7), (8, 16), (100, 10), (4, 301), (3, 3000), (2000, 17)]

# Where NumPy has the op, under the same name, the bits are NumPy's; others are those of the kernel.
OTHERS = {
    "where": np.where,
    "copy": np.copy,
    **{
        name: getattr(_kernels, name)
        for name in ("exp", "log", "tanh", "sigmoid", "relu")
        + ("relu_grad", "tanh_grad", "sigmoid_grad")
    },
}


def expected_of(name, *operands):
    operation = OTHERS.get(name) or getattr(np, name)
    with np.errstate(all="ignore"):
        return operation(*operands)


def assert_same_bits(found, expected):
    """Signs of zeros count; all NaN are one."""
    np.testing.assert_array_equal(found, expected)
    numbers = ~np.isnan(expected)
    np.testing.assert_array_equal(np.signbit(found)[numbers], np.signbit(expected)[numbers])


def test_the_ops():
    assert set(OTHERS) < set(_kernels.CHAIN_OPS)
    assert _kernels.CHAIN_OPS["where"] == 3


@pytest.mark.parametrize("name", _kernels.CHAIN_OPS)
def test_an_op(name, dtype, isa, rng):
    """On all combinations of special numbers, and at every place of a vector and its tail."""
    count = _kernels.CHAIN_OPS[name]
    special = np.array(list(itertools.product(EDGES, repeat=count)), dtype).T
    ordinary = rng.standard_normal((count, 3000)).astype(dtype)
    for table in (special, ordinary, ordinary[:, :1], ordinary[:, :15], ordinary[:, :16]):
        inputs = [row.copy() for row in table]
        out = np.full(inputs[0].shape, 7, dtype)
        assert _kernels.chain([(name, *range(count))], inputs, out) is out
        assert_same_bits(out, expected_of(name, *inputs).astype(dtype))


@pytest.mark.parametrize("name", ["equal", "not_equal", "less", "less_equal", "greater"])
def test_a_condition(name, dtype, isa):
    """Comparisons to a bool array, and that in turn as an input."""
    a, b = np.array(list(itertools.product(EDGES, repeat=2)), dtype).T.copy()
    out = np.empty(a.shape, bool)
    _kernels.chain([(name, 0, 1)], [a, b], out)
    np.testing.assert_array_equal(out, getattr(np, name)(a, b))
    chosen = _kernels.chain([("where", 2, 0, 1)], [a, b, out], np.empty_like(a))
    assert_same_bits(chosen, np.where(out, a, b))
    kept = _kernels.chain([("where", 1, 0, 1)], [out, ~out], np.empty_like(out))
    np.testing.assert_array_equal(kept, np.where(~out, out, ~out))
    assert_same_bits(_kernels.chain([("copy", 0)], [out], np.empty_like(a)), out.astype(dtype))


STEPS = [("multiply", 0, 1), ("add", 5, 2), ("subtract", 6, 3), ("tanh", 7), ("where", 4, 8, 7)]


def parts(x):
    """A matrix as the four things that broadcast to it."""
    return {"all": x, "row": x[:1].copy(), "column": x[:, :1].copy(), "number": x[0, 0].copy()}


@pytest.mark.parametrize("shape", SHAPES)
def test_broadcasting(shape, dtype, isa, rng):
    x = rng.standard_normal(shape).astype(dtype)
    choices = parts(rng.standard_normal(shape).astype(dtype))
    bits = parts(rng.standard_normal(shape) > 0)
    for names in itertools.product(choices, repeat=3):
        a, b, c = (np.asarray(choices[name]) for name in names)
        for condition in map(np.asarray, bits.values()):
            out = _kernels.chain(STEPS, [x, a, b, c, condition], np.empty_like(x))
            y = x * a + b - c
            np.testing.assert_array_equal(out, np.where(condition, _kernels.tanh(y), y))


def test_an_element_does_not_depend_on_its_place(dtype, isa, rng):
    x = rng.standard_normal((40, 50)).astype(dtype)
    steps = [("sigmoid", 0), ("divide", 1, 0), ("log", 2)]
    whole = _kernels.chain(steps, [x], np.empty_like(x))
    for part in itertools.product((slice(0, 1), slice(3, 39)), (slice(1, 2), slice(5, 38))):
        alone = x[part].copy()
        _kernels.chain(steps, [alone], alone)
        np.testing.assert_array_equal(alone, whole[part])


def test_axes(dtype, rng):
    """Any number of axes, each input with as many of the last ones as it has."""
    x = rng.standard_normal((2, 3, 4, 5)).astype(dtype)
    for shape in ((2, 3, 1, 1), (4, 5), (1, 1, 4, 5), (1, 1), (), (2, 3, 4, 5)):
        a = np.asarray(rng.standard_normal(shape), dtype)
        out = _kernels.chain([("add", 0, 1)], [x, a], np.empty_like(x))
        np.testing.assert_array_equal(out, x + a)
    a, b = x[0, 0], x[:, :1, :1, :1].copy()
    outer = _kernels.chain([("add", 0, 1)], [a, b], np.empty((2, 1, 4, 5), dtype))
    np.testing.assert_array_equal(outer, a + b)


@pytest.mark.parametrize("shape", [(0,), (3, 0), (0, 3), (2, 0, 3)])
def test_nothing(shape, dtype):
    out = np.empty(shape, dtype)
    _kernels.chain([("add", 0, 1)], [out.copy(), np.ones((1,) * len(shape), dtype)], out)


def test_the_longest_chain(dtype, isa, rng):
    """Sixteen steps over eight inputs."""
    inputs = list(rng.uniform(0.5, 1, (8, 1000)).astype(dtype))
    steps = [("add", i, 8 + i - 1) if i else ("copy", 0) for i in range(8)]
    steps += [("multiply", i, 8 + 8 + i - 1) for i in range(8)]
    out = _kernels.chain(steps, inputs, np.empty(1000, dtype))
    expected = inputs[0]
    for i in range(1, 8):
        expected = inputs[i] + expected
    for i in range(8):
        expected = inputs[i] * expected
    np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize("shape", SHAPES)
def test_in_place(shape, dtype, isa, rng):
    x, row = rng.standard_normal(shape).astype(dtype), rng.standard_normal(shape[1]).astype(dtype)
    steps = [("exp", 0), ("add", 2, 1), ("multiply", 3, 0)]
    expected, y = np.empty_like(x), x.copy()
    _kernels.chain(steps, [x, row], expected)
    _kernels.chain(steps, [y, row], y)
    np.testing.assert_array_equal(y, expected)
    condition = x > 0
    _kernels.chain([("not_equal", 0, 1)], [condition, condition.copy()], condition)
    assert not condition.any()


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_rows_longer_than_a_thread_takes(threads, dtype, rng):
    x, column = rng.standard_normal((2, 50_000)).astype(dtype), np.array([[1], [2]], dtype)
    with fastnn.threads(threads):
        out = _kernels.chain([("multiply", 0, 1)], [x, column], np.empty_like(x))
    np.testing.assert_array_equal(out, x * column)


def is_matrix_like(shape, out_shape, first):
    """Whether the axes before `first` and those after are each all there or none, but for ones."""
    padded = (1,) * (len(out_shape) - len(shape)) + shape
    return all(
        padded[part] == out_shape[part] or math.prod(padded[part]) == 1
        for part in (slice(first), slice(first, None))
    )


@pytest.mark.parametrize("out_shape", [(2, 4, 3), (2, 1, 3), (1, 4), (2, 3, 4, 2)])
def test_what_fits(out_shape):
    """All pairs of shapes that broadcast to the output's."""
    axes = len(out_shape)
    shapes = set(itertools.product(*({1, n} for n in out_shape))) | {(), out_shape[-1:]}
    found = set()
    for pair in itertools.product(shapes, repeat=2):
        expected = np.broadcast_shapes(*pair) == out_shape and any(
            all(is_matrix_like(shape, out_shape, first) for shape in pair) for first in range(axes)
        )
        assert _kernels.chain_fits(pair, out_shape) == expected
        found.add(expected)
    assert found == {False, True}


def test_what_does_not_fit():
    assert _kernels.chain_fits([(2, 1, 3)], (2, 4, 3)) is False
    assert _kernels.chain_fits([(2, 1, 3), (2, 4, 3)], (2, 4, 3)) is False
    assert _kernels.chain_fits([(3,), (4,)], (4,)) is False
    assert _kernels.chain_fits([], ()) is False
    assert _kernels.chain_fits([()] * 9, ()) is False
    assert _kernels.chain_fits([()] * 8, ()) is True


X = np.ones((3, 4), np.float32)
B = X > 0
OUT = np.zeros((3, 4), np.float32)
ADD = [("add", 0, 1)]
REFUSED = {
    "no input": (lambda: _kernels.chain([("copy", 0)], [], OUT), "there are 0 inputs; give from 1"),
    "inputs": (lambda: _kernels.chain(ADD, [X] * 9, OUT), "there are 9 inputs; give from 1 to 8"),
    "no step": (lambda: _kernels.chain([], [X], OUT), "there are 0 steps; give from 1 to 16"),
    "steps": (lambda: _kernels.chain([("abs", 0)] * 17, [X], OUT), "there are 17 steps"),
    "op": (lambda: _kernels.chain([("sin", 0)], [X], OUT), r"steps\[0\]: there is no op 'sin'"),
    "empty step": (lambda: _kernels.chain([()], [X], OUT), r"steps\[0\]: there is no op None"),
    "operands": (lambda: _kernels.chain([("add", 0)], [X], OUT), "add has 2 operands, got 1"),
    "operand": (
        lambda: _kernels.chain([("abs", 0), ("abs", 2)], [X], OUT),
        r"steps\[1\]: operand 2 does not exist; there are 1 inputs and 1 steps before",
    ),
    "negative operand": (lambda: _kernels.chain([("abs", -1)], [X], OUT), "operand -1 does not"),
    "pattern": (
        lambda: _kernels.chain(ADD, [np.ones((2, 4, 3)), np.ones((2, 1, 3))], np.ones((2, 4, 3))),
        r"inputs of shapes \(2, 4, 3\), \(2, 1, 3\) do not broadcast to out \(2, 4, 3\) as a chain",
    ),
    "out shape": (lambda: _kernels.chain([("abs", 0)], [X[0]], OUT), "shape of the result"),
    "out axes": (lambda: _kernels.chain([("abs", 0)], [X], OUT[None]), "shape of the result"),
    "layout": (
        lambda: _kernels.chain(ADD, [X, X[:, :1]], OUT),
        r"inputs\[1\] must be aligned, C-contiguous",
    ),
    "out layout": (lambda: _kernels.chain(ADD, [X, X], OUT.T), "out must be writable"),
}


@pytest.mark.parametrize(("call", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
    assert not OUT.any()


WRONG_TYPE = {
    "list": lambda: _kernels.chain(ADD, [X, [1.0]], OUT),
    "list out": lambda: _kernels.chain(ADD, [X, X], [1.0]),
    "int": lambda: _kernels.chain(ADD, [X, X.astype(int)], OUT),
    "int out": lambda: _kernels.chain(ADD, [X, X], X.astype(int)),
    "mixed": lambda: _kernels.chain(ADD, [X, X.astype(float)], OUT),
    "mixed out": lambda: _kernels.chain(ADD, [X, X], X.astype(float)),
    "mixed, bool out": lambda: _kernels.chain(ADD, [B, X, X.astype(float)], B.copy()),
    "step": lambda: _kernels.chain(["add"], [X, X], OUT),
    "operand": lambda: _kernels.chain([("add", 0, 1.5)], [X, X], OUT),
}


@pytest.mark.parametrize("call", WRONG_TYPE.values(), ids=WRONG_TYPE.keys())
def test_wrong_type(call):
    with pytest.raises(TypeError):
        call()
    assert not OUT.any()

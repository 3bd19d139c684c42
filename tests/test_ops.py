"""Values and gradients of every op in the table: NumPy and central differences in float64."""

import importlib
import pkgutil

import numpy as np
import pytest
from cases import CASES, Case

import fastnn
from fastnn import GradientTape, Variable, ops
from fastnn.recorders import recorders
from fastnn.sparse import SparseTensor

cases = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


@cases
def test_value(case: Case, dtype, isa, rng):
    inputs = [case.draw(rng, shape).astype(dtype) for shape in case.shapes]
    result = case.op(*[fastnn.constant(x) for x in inputs])
    expected = case.reference(*[x.astype(np.float64) for x in inputs])
    assert result.shape == expected.shape
    assert result.dtype == (np.float64 if case.name == "cast" else dtype)
    np.testing.assert_allclose(result, expected, rtol=64 * np.finfo(dtype).eps, atol=1e-6)


def _gradients(case: Case, inputs, weights, order_2=None):
    """The gradients of sum(op * weights), or those of their products with `order_2`."""
    variables = [Variable(x) for x in inputs]
    with GradientTape() as outer:
        with GradientTape() as inner:
            y = fastnn.reduce_sum(case.op(*variables) * weights)
        first = inner.gradient(y, variables)
        if order_2 is None:
            return first
        total = fastnn.constant(np.float64(0))
        for g, v in zip(first, order_2, strict=True):
            if g is not None:
                total = total + fastnn.reduce_sum(g * v)
    return outer.gradient(total, variables)


def _central_differences(function, inputs, h):
    """The derivatives of a function of arrays by every entry of them."""
    result = []
    for x in inputs:
        slopes = np.zeros_like(x)
        for index in np.ndindex(x.shape):
            kept = x[index]
            x[index] = kept + h
            above = function()
            x[index] = kept - h
            below = function()
            x[index] = kept
            slopes[index] = (above - below) / (2 * h)
        result.append(slopes)
    return result


def _assert_close(gradients, expected):
    for g, e in zip(gradients, expected, strict=True):
        found = np.zeros_like(e) if g is None else g.numpy()
        assert found.shape == e.shape
        np.testing.assert_allclose(found, e, rtol=1e-6, atol=1e-7)


@cases
def test_gradient(case: Case, rng):
    inputs = [np.asarray(case.draw(rng, shape)) for shape in case.shapes]
    weights = rng.standard_normal(case.reference(*inputs).shape)

    def function():
        return np.sum(case.reference(*inputs) * weights)

    expected = _central_differences(function, inputs, 1e-5)
    _assert_close(_gradients(case, inputs, weights), expected)


@cases
def test_second_gradient(case: Case, rng):
    inputs = [np.asarray(case.draw(rng, shape)) for shape in case.shapes]
    weights = rng.standard_normal(case.reference(*inputs).shape)
    directions = [rng.standard_normal(x.shape) for x in inputs]

    def function():
        first = _gradients(case, inputs, weights)
        return sum(
            np.sum(g.numpy() * v) for g, v in zip(first, directions, strict=True) if g is not None
        )

    expected = _central_differences(function, inputs, 1e-5)
    _assert_close(_gradients(case, inputs, weights, directions), expected)


def test_every_primitive_has_a_case(monkeypatch, rng):
    """A new op cannot be forgotten in the table."""
    from fastnn.ops import core

    known = {
        p.name
        for module in pkgutil.iter_modules(fastnn.ops.__path__)
        for p in vars(importlib.import_module(f"fastnn.ops.{module.name}")).values()
        if isinstance(p, core.Primitive) and p.rule is not None
    }
    used = set()

    class Listener:
        def record(self, call):
            used.add(call.primitive.name)

        def watches(self, x):
            return False

        def follows(self, x):
            return not isinstance(x, SparseTensor)

    monkeypatch.setattr(recorders, "stack", {Listener(): None})
    for case in CASES:
        inputs = [np.asarray(case.draw(rng, shape)) for shape in case.shapes]
        ones = np.ones(case.reference(*inputs).shape)
        _gradients(case, inputs, ones, inputs)
        _gradients(case, [x.astype(np.float32) for x in inputs], ones)
    assert known - used == set()


@pytest.mark.parametrize("name", ["relu", "maximum", "minimum", "reduce_max", "softmax", "add"])
def test_nan_goes_through(name, dtype, isa):
    x = np.array([1.0, np.nan, -1.0] * 9, dtype)
    if name in ("maximum", "minimum", "add"):
        for a, b in ((x, np.zeros_like(x)), (np.zeros_like(x), x)):
            found = getattr(fastnn, name)(a, b).numpy()
            np.testing.assert_array_equal(np.isnan(found), np.isnan(x))
    else:
        found = getattr(fastnn, name)(x).numpy()
        assert np.isnan(found[1] if name == "relu" else found).all()


@pytest.mark.parametrize("op", [fastnn.maximum, fastnn.minimum])
def test_ties_go_to_the_first(op):
    a, b = Variable([1.0, 2.0]), Variable([1.0, 2.0])
    with GradientTape() as tape:
        y = op(a, b)
    first, second = tape.gradient(y, [a, b])
    np.testing.assert_array_equal(first, [1, 1])
    np.testing.assert_array_equal(second, [0, 0])


def test_the_gradient_of_pow_at_its_edges():
    """d(0^0)/da = 0, not 0 * infinity, and bases that have no logarithm give 0."""
    a, b = Variable([0.0, -2.0, 0.0]), Variable([0.0, 2.0, 3.0])
    with GradientTape() as tape:
        y = a**b
    to_a, to_b = tape.gradient(y, [a, b])
    np.testing.assert_array_equal(to_a, [0, -4, 0])
    np.testing.assert_array_equal(to_b, [0, 0, 0])


@pytest.mark.parametrize("name", ["reduce_sum", "reduce_max", "square", "abs", "negative", "exp"])
def test_float16_only_stores(name):
    x = np.full((10_000,), 10, np.float16)
    result = getattr(fastnn, name)(x if name != "exp" else x / 10)
    assert result.dtype == np.float32
    if name == "reduce_sum":
        assert float(result) == 100_000


@pytest.mark.parametrize("shape", [(), (1,), (1, 1)])
def test_gradients_of_float16_are_added_up_in_float32(shape):
    x = fastnn.constant(np.ones(shape, np.float16))
    with GradientTape() as tape:
        tape.watch(x)
        y = fastnn.ops.broadcast_to(x, (70_000, 1))
    dx = tape.gradient(y, x)
    assert dx.dtype == np.float32
    np.testing.assert_array_equal(dx, np.full(shape, 70_000))


def test_extremes_share_the_gradient():
    x = Variable([1.0, 3.0, 3.0])
    with GradientTape() as tape:
        y = fastnn.reduce_max(x)
    np.testing.assert_array_equal(tape.gradient(y, x), [0, 0.5, 0.5])


def test_constants():
    np.testing.assert_array_equal(fastnn.one_hot([2, 0], 3), [[0, 0, 1], [1, 0, 0]])
    np.testing.assert_array_equal(fastnn.argmax([[1, 3], [4, 2]], axis=1), [1, 0])
    np.testing.assert_array_equal(fastnn.argmax([[1, 3], [4, 2]], 0), [1, 0])
    np.testing.assert_array_equal(fastnn.sign([-2.0, 0.0, 3.0]), [-1, 0, 1])


INVALID = {
    "add (2, 3) and (4,)": (lambda: fastnn.ones((2, 3)) + fastnn.ones((4,)), "axis -1 has 3 and 4"),
    "add (4,) and (2, 3)": (lambda: fastnn.ones((4,)) + fastnn.ones((2, 3)), "do not broadcast"),
    "where": (
        lambda: fastnn.where([True, False], fastnn.ones((3,)), fastnn.ones((3,))),
        "do not broadcast",
    ),
    "matmul inner": (lambda: fastnn.ones((2, 3)) @ fastnn.ones((2, 3)), r"-1 has 3 .* -2 has 2"),
    "matmul transposed": (
        lambda: fastnn.matmul(fastnn.ones((2, 3)), fastnn.ones((4, 3)), transpose_a=True),
        "transposed",
    ),
    "matmul batches": (lambda: fastnn.ones((2, 1, 1)) @ fastnn.ones((3, 1, 1)), "leading axes"),
    "matmul number": (lambda: fastnn.matmul(2.0, fastnn.ones((2, 2))), r"use \*"),
    "dot inner": (lambda: fastnn.dot(fastnn.ones((2,)), fastnn.ones((3,))), "they must be equal"),
    "dense x": (lambda: fastnn.dense(fastnn.ones((2, 3)), fastnn.ones((4, 5))), "must be 4"),
    "dense bias": (
        lambda: fastnn.dense(fastnn.ones((2, 3)), fastnn.ones((3, 5)), fastnn.ones((4,))),
        r"shape \(5,\)",
    ),
    "dense kernel": (lambda: fastnn.dense(fastnn.ones((2, 3)), fastnn.ones((3,))), "kernel"),
    "reshape": (lambda: fastnn.reshape(fastnn.ones((2, 3)), (4, -1)), "6 elements"),
    "reshape, negative": (lambda: fastnn.reshape(fastnn.ones((2,)), (-1, -2)), "2 elements"),
    "reshape to a number": (lambda: fastnn.reshape(fastnn.ones((2, 3)), 5), r"shape \(5,\)"),
    "transpose outside": (lambda: fastnn.transpose(fastnn.ones((2, 3)), (2, 1)), "each of the 2"),
    "reshape, any length": (lambda: fastnn.reshape(fastnn.ones((0, 3)), (0, -1)), "that is meant"),
    "concat of numbers": (lambda: fastnn.concat([1.0, 2.0]), r"use stack|stack\(values\)"),
    "stack of nothing": (lambda: fastnn.stack([]), "stack: values is empty"),
    "stack of others": (
        lambda: fastnn.stack([fastnn.ones((2,)), fastnn.ones((3,))]),
        r"stack: values\[0\] has shape \(2,\) and values\[1\] has shape \(3,\)",
    ),
    "one_hot, depth": (lambda: fastnn.one_hot([0], -1), "depth must be .* not negative"),
    "seed": (lambda: fastnn.random.seed(-1), "seed must be an integer"),
    "randint, range": (
        lambda: fastnn.random.randint((2,), 0, 300, dtype="uint8"),
        "integers from 0 to 255.*from 0 to 299",
    ),
    "transpose": (lambda: fastnn.transpose(fastnn.ones((2, 3)), (0, 0)), "each of the 2 axes"),
    "sort": (lambda: fastnn.sort(fastnn.ones((2,)), 1), "argsort: axis 1 does not exist"),
    "top_k": (lambda: fastnn.top_k(fastnn.ones((3, 2)), 3), "no 3 largest"),
    "top_k, part": (lambda: fastnn.top_k(fastnn.ones((3, 2)), 1.5), "no 1.5 largest"),
    "take_along_axis": (
        lambda: fastnn.take_along_axis(fastnn.ones((3, 2)), [[0]]),
        r"shape \(1, 1\) and the tensor \(3, 2\)",
    ),
    "repeat": (lambda: fastnn.repeat(fastnn.ones((3,)), [1, 2]), "one for each of the 3"),
    "repeat, negative": (lambda: fastnn.repeat(fastnn.ones((3,)), -1), "not negative"),
    "tile": (lambda: fastnn.tile(fastnn.ones((3,)), -1), "not be negative"),
    "moveaxis": (lambda: fastnn.moveaxis(fastnn.ones((3, 2)), 0, (0, 1)), "must match"),
    "concat none": (lambda: fastnn.concat([]), "empty"),
    "concat shapes": (
        lambda: fastnn.concat([fastnn.ones((2, 3)), fastnn.ones((3, 2))]),
        r"values\[1\] has shape \(3, 2\)",
    ),
    "concat axis": (lambda: fastnn.concat([fastnn.ones((2,))], axis=1), "axis 1"),
    "expand_dims": (lambda: fastnn.expand_dims(fastnn.ones((2,)), 3), "axis 3"),
    "expand_dims twice": (lambda: fastnn.expand_dims(fastnn.ones((2,)), (0, -3)), "axis twice"),
    "transpose two": (
        lambda: fastnn.transpose(fastnn.ones((2, 3)), (1, 0), axes=(1, 0)),
        "give one of them",
    ),
    "global_norm": (lambda: fastnn.global_norm([None]), "there is no tensor"),
    "squeeze twice": (lambda: fastnn.squeeze(fastnn.ones((1, 1)), (0, -2)), "axis twice"),
    "uniform too wide": (lambda: fastnn.random.uniform((2,), -3e38, 3e38), "more than float32 can"),
    "squeeze": (lambda: fastnn.squeeze(fastnn.ones((2, 1)), 0), r"axis 0 .*choose from \[1\]"),
    "broadcast_to": (lambda: fastnn.broadcast_to(fastnn.ones((3,)), (3, 2)), r"\(3,\)"),
    "reduce_sum axis": (lambda: fastnn.reduce_sum(fastnn.ones((2,)), axis=1), "axis 1"),
    "reduce_sum twice": (lambda: fastnn.reduce_sum(fastnn.ones((2,)), axis=(0, -1)), "twice"),
    "reduce_max of nothing": (lambda: fastnn.reduce_max(fastnn.ones((2, 0))), "no elements"),
    "argmax of which": (lambda: fastnn.argmax(fastnn.ones((2, 3))), "along which axis"),
    "argmin of which": (lambda: fastnn.argmin(fastnn.ones((2, 3))), "along which axis"),
    "arange": (lambda: fastnn.range(0, 3, 0), "step must not be 0"),
    "argmax of nothing": (lambda: fastnn.argmax(fastnn.ones((0,))), "no elements"),
    "softmax axis": (lambda: fastnn.softmax(fastnn.ones((2, 2)), axis=2), "axis 2 does not exist"),
    "softmax axes": (lambda: fastnn.softmax(fastnn.ones((2, 2)), axis=(0, -2)), "names an axis tw"),
    "softmax number": (lambda: fastnn.softmax(1.0), r"shape \(\); it has none"),
    "take axis": (lambda: fastnn.take(fastnn.ones((2,)), 0, axis=1), "take: axis 1"),
    "split lengths or places": (
        lambda: fastnn.split(fastnn.ones((4,)), [1, 3]),
        r"lengths or places\? Pass num_or_size_splits=\[1, 3\]",
    ),
    "split lengths or places of an array": (
        lambda: fastnn.split(fastnn.ones((6,)), np.array([1, 2, 3])),
        "lengths or places",
    ),
    "split lengths": (
        lambda: fastnn.split(fastnn.ones((4,)), num_or_size_splits=[1, 2]),
        r"the lengths \[1, 2\] do not add up to that of axis 0 of shape \(4,\)",
    ),
    "split nothing": (lambda: fastnn.split(fastnn.ones((4,))), "pass one of"),
    "cumsum of which": (lambda: fastnn.cumsum(fastnn.ones((2, 3))), "along which axis"),
    "split axis": (lambda: fastnn.split(fastnn.ones((2,)), 2, axis=1), "split: axis 1"),
    "split places": (
        lambda: fastnn.split(fastnn.ones((4, 2)), [2, 1]),
        r"are \[2, 1\]; they must rise and be between 0 and 4",
    ),
    "norm of a matrix": (lambda: fastnn.norm(fastnn.ones((3, 2)), ord=2), "ord 2 over axis None"),
    "split": (lambda: fastnn.split(fastnn.ones((3, 2)), 2), r"shape \(3, 2\) cannot be cut into 2"),
    "norm": (lambda: fastnn.norm(fastnn.ones((3, 2)), ord=1), "ord 1 over axis None"),
    "glu": (lambda: fastnn.glu(fastnn.ones((2, 3))), r"axis -1 of shape \(2, 3\)"),
    "one_hot": (lambda: fastnn.one_hot([0, 3], 3), r"indices\[1\] is 3"),
    "cross-entropy shapes": (
        lambda: fastnn.softmax_cross_entropy([0, 1], fastnn.ones((3, 2))),
        r"\(2,\) and logits \(3, 2\)",
    ),
}


@pytest.mark.parametrize(("call", "message"), INVALID.values(), ids=INVALID.keys())
def test_invalid(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: fastnn.reduce_sum(fastnn.ones((2, 3)), axis=1.0), "a tuple of int, got 1.0"),
        (lambda: fastnn.reduce_sum(fastnn.ones((2, 3)), axis=np.array([0, 1])), "axis is an int"),
        (lambda: fastnn.expand_dims(fastnn.ones((2,)), 0.5), "a tuple of int, got 0.5"),
        (lambda: fastnn.squeeze(fastnn.ones((1,)), 0.0), "a tuple of int, got 0.0"),
        (lambda: fastnn.stack([1.0, 2.0], axis=(0, 1)), "stack: axis is an int or a tuple of int"),
        (lambda: float(fastnn.ones((2,))), r"shape \(2,\) is not one number: .*x\[0\]"),
        (lambda: int(fastnn.ones((0,))), r"shape \(0,\) is not one number"),
        (lambda: fastnn.argmax(fastnn.ones((2, 3)), axis=(0, 1)), r"argmax: axis .*\(0, 1\)"),
        (lambda: fastnn.subtract([True], [False]), "subtract: these are bools: make numbers"),
        (lambda: -fastnn.constant([True]), "negative: these are bools"),
        (lambda: fastnn.sign([True]), "sign: these are bools"),
        (lambda: fastnn.round([True]), "round: these are bools"),
        (lambda: fastnn.take([5.0, 7.0], [True, True]), r"bool: cast .* x\[mask\]"),
        (lambda: fastnn.gather([5.0, 7.0], [1.0]), "take: indices are integers and these are fl"),
        (lambda: fastnn.ops.take_along_axis([5.0, 7.0], [1.0]), "take_along_axis: indices are int"),
    ],
)
def test_invalid_type(call, message):
    with pytest.raises(TypeError, match=message):
        call()


def test_uniform_integers():
    with pytest.raises(TypeError, match="must be float32 or float64, got 'int32'; randint draws"):
        fastnn.random.uniform((2,), 0, 9, "int32")


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0,)])
def test_nothing(shape):
    """Empty tensors give empty results and zero sums, as in NumPy."""
    x = fastnn.ones(shape)
    assert fastnn.relu(x).shape == shape
    assert (x + x).shape == shape
    assert fastnn.softmax(x).shape == shape
    assert float(fastnn.reduce_sum(x)) == 0
    if len(shape) == 2:
        rows, columns = shape
        product = fastnn.matmul(x, fastnn.ones((columns, 2)))
        np.testing.assert_array_equal(product, np.zeros((rows, 2)))
        assert fastnn.reduce_sum(x, axis=0).shape == (columns,)


@pytest.mark.parametrize("axis", [0, 1, (0, 2)])
def test_a_sum_does_not_depend_on_the_order_in_memory(axis, rng):
    x = rng.standard_normal((30, 50, 20))
    expected = fastnn.reduce_sum(fastnn.constant(x), axis=axis)
    for other in (np.asfortranarray(x), np.moveaxis(np.moveaxis(x, 1, 0).copy(), 0, 1)):
        np.testing.assert_array_equal(
            fastnn.reduce_sum(fastnn.constant(other), axis=axis), expected
        )


def test_an_infinite_norm_is_noticed():
    """NaN, without a warning of NumPy's on the way."""
    np.testing.assert_array_equal(fastnn.clip_by_norm([np.inf, 1.0], 1.0), [np.nan, np.nan])
    clipped, norm = fastnn.clip_by_global_norm([[np.inf], [1.0]], 1.0)
    assert float(norm) == np.inf
    assert all(np.isnan(x.numpy()).all() for x in clipped)


def test_axes_may_be_any_sequence():
    assert fastnn.expand_dims(fastnn.ones((3,)), range(2)).shape == (1, 1, 3)


@pytest.mark.parametrize("name", ["erf", "expm1", "log1p", "mish", "softplus", "exp"])
def test_numbers_behind_a_header_of_one_byte(name):
    x = np.frombuffer(b"0" + np.full(4, 0.5, np.float32).tobytes(), np.float32, offset=1)
    assert not x.flags.aligned
    np.testing.assert_array_equal(getattr(ops, name)(x), getattr(ops, name)(x.copy()))


def test_nothing_along_an_axis():
    assert ops.log_softmax(np.zeros((3, 0))).shape == (3, 0)
    np.testing.assert_array_equal(ops.logsumexp(np.zeros((3, 0)), axis=1), [-np.inf] * 3)


def test_repeats_of_any_integers():
    np.testing.assert_array_equal(ops.repeat([1, 2], np.array([1, 2], np.uint64)), [1, 2, 2])

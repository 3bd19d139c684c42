"""Activations by name, special values, and the functions that they are made of."""

import math

import numpy as np
import pytest
from activation_formulas import ACTIVATIONS

import fastnn
from fastnn import GradientTape, Variable, activations, layers, ops

EDGES = np.array([-np.inf, -1e4, -700.0, -90.0, -20.0, -1e-4, -0.0, 0.0, 1e-4, 20.0, 90.0, 1e4])


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_names(name):
    found = activations.get(name)
    assert found is getattr(activations, name)
    assert activations.get(found) is found
    config = activations.serialize(found)
    assert isinstance(config, str)
    assert activations.deserialize(config) is found
    layer = layers.Dense(4, activation=name)
    assert layers.Dense.from_config(layer.get_config()).activation is found


def test_every_activation_has_a_formula():
    assert activations._NAMES.keys() == {*ACTIVATIONS, "threshold"}


def test_other_ways_to_say_it():
    assert activations.get(None) is activations.linear
    assert activations.get(abs) is abs
    assert activations.relu is ops.relu
    with pytest.raises(ValueError, match="unknown activation 'leaky'"):
        activations.get("leaky")
    with pytest.raises(TypeError, match="activation must be a name or a function"):
        activations.get(3)


@pytest.mark.parametrize("name", set(ACTIVATIONS) - {"glu", "sparsemax", "softmax", "log_softmax"})
def test_edges(name, dtype, isa):
    """Far from 0 and near it: no overflow, and relative precision."""
    x = EDGES[1:].astype(dtype)
    exact = ACTIVATIONS[name]
    with np.errstate(all="ignore"):
        expected = exact(x.astype(np.longdouble)).astype(dtype)
        # What cancels in these formulas near 0.
        if name in ("elu", "celu"):
            expected = np.where(x > 0, x, np.expm1(x))
        elif name == "selu":
            expected = np.float64(1.0507009873554805) * np.where(
                x > 0, x, 1.6732632423543772 * np.expm1(x)
            )
    found = getattr(activations, name)(x)
    atol = np.finfo(dtype).tiny  # below which exp gives 0
    if name in ("gelu", "squareplus", "tanh_shrink"):  # which subtract what is nearly equal
        atol = np.finfo(dtype).eps * np.maximum(abs(x), 1)
    assert np.isclose(found, expected, rtol=1e-5, atol=atol).all(), (found, expected)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_nan_goes_through(name, dtype):
    x = np.array([[0.5, np.nan, -0.5, 1.0]], dtype)
    found = getattr(activations, name)(x).numpy()
    assert np.isnan(found[0, 1] if name != "glu" else found[0, 1:]).all()


@pytest.mark.parametrize("name", set(ACTIVATIONS) - {"glu"})
def test_gradients_are_finite_far_from_0(name, dtype):
    x = Variable(np.array([[-1e4, -100.0, 0.0, 100.0, 1e4]], dtype))
    if name == "exponential":
        return
    with GradientTape() as tape:
        y = getattr(activations, name)(x)
    assert np.isfinite(tape.gradient(y, x).numpy()).all()


@pytest.mark.parametrize("name", ["expm1", "log1p", "erf"])
def test_precision(name, dtype, isa):
    """In units in the last place, against long doubles or the C library."""
    limit = 80.0 if dtype is np.float32 else 700.0
    small = np.geomspace(1e-30, 0.9, 500)
    x = np.concatenate([-small, small, np.linspace(-0.99, limit, 5000)])
    if name != "log1p":
        x = np.concatenate([x, np.linspace(-40, 6, 5000)])
    x = x.astype(dtype)
    exact = np.vectorize(math.erf) if name == "erf" else getattr(np, name)
    expected = exact(x.astype(np.longdouble if name != "erf" else np.float64))
    found = getattr(fastnn, name)(x).numpy()
    unit = np.spacing(np.abs(expected.astype(dtype)))
    assert np.max(np.abs(found - expected) / unit) < 5


@pytest.mark.parametrize("name", ["expm1", "log1p"])
def test_special_values(name, dtype):
    x = np.array([np.inf, -np.inf, np.nan, 0.0, -0.0, -1.0, -2.0], dtype)
    with np.errstate(all="ignore"):
        expected = getattr(np, name)(x)
    found = getattr(fastnn, name)(x).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    np.testing.assert_array_equal(np.signbit(found[3:5]), [False, True])


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (ops.ceil, np.ceil),
        (ops.floor, np.floor),
        (ops.round, np.round),
        (lambda x: ops.round(x, 1), lambda x: np.round(x, 1)),
        (lambda x: ops.floor_divide(x, x[0]), lambda x: np.floor_divide(x, x[0])),
        (lambda x: x // 2 + 3 // x, lambda x: x // 2 + 3 // x),
        (lambda x: ops.mod(x, x[0]), lambda x: np.mod(x, x[0])),
        (lambda x: x % 2 + 3 % x, lambda x: x % 2 + 3 % x),
        (ops.argsort, lambda x: np.argsort(x, -1, kind="stable")),
        (lambda x: ops.argsort(x, 0), lambda x: np.argsort(x, 0, kind="stable")),
        (lambda x: ops.sort(x, 0), lambda x: np.sort(x, 0)),
        (lambda x: ops.top_k(ops.round(x), 2)[0], lambda x: np.sort(np.round(x))[:, :-3:-1]),
        (lambda x: ops.cumsum(x, None), np.cumsum),
        (ops.isnan, np.isnan),
        (ops.isinf, np.isinf),
        (ops.isfinite, np.isfinite),
        (lambda x: ops.logical_and(x > 0, [True, False, True]), lambda x: (x > 0) & [1, 0, 1]),
        (lambda x: ops.logical_or(x > 0, [True, False, True]), lambda x: (x > 0) | [1, 0, 1]),
        (lambda x: ops.logical_not(x > 0), lambda x: ~(x > 0)),
        (lambda x: (x > 0) & (x < 2) | ~(x > -1), lambda x: (x > 0) & (x < 2) | ~(x > -1)),
        (lambda x: [True, False, True] & (x > 0), lambda x: (x > 0) & [1, 0, 1]),
        (lambda x: [True, False, True] | (x > 0), lambda x: (x > 0) | [1, 0, 1]),
        (lambda x: ops.any(x > 1, axis=0), lambda x: (x > 1).any(0)),
        (lambda x: ops.all(x > 1, axis=1, keepdims=True), lambda x: (x > 1).all(1, keepdims=True)),
        (lambda x: ops.argmin(x, axis=1), lambda x: x.argmin(1)),
        (lambda x: ops.argmin(x, axis=None), lambda x: x.argmin()),
        (lambda x: ops.argmax(x, axis=None), lambda x: x.argmax()),
    ],
)
@pytest.mark.parametrize("data", ["ordinary", "special", "whole"])
def test_ops_without_gradient(found, expected, data, dtype, rng):
    x = (4 * rng.standard_normal((5, 3))).astype(dtype)
    if data == "special":
        x[1:4] = [np.nan, np.inf, -np.inf]
    if data == "whole":
        x = x.astype(np.int64)
    with np.errstate(all="ignore"):
        values = expected(x)
    np.testing.assert_array_equal(found(ops.convert_to_tensor(x)), values)
    if found in (ops.ceil, ops.floor):
        assert found(x).dtype == (np.float32 if data == "whole" else dtype)
    compiled = fastnn.function(found)
    for _ in range(2):
        np.testing.assert_array_equal(compiled(x), values)


def test_top_k_takes_the_first_of_equal_elements():
    values, places = ops.top_k(np.array([[1, 3, 3, 2], [0, 0, 0, 0]], np.uint8), 3)
    np.testing.assert_array_equal(values, [[3, 3, 2], [0, 0, 0]])
    np.testing.assert_array_equal(places, [[1, 2, 3], [0, 1, 2]])
    assert values.dtype == np.uint8
    values, places = ops.top_k([[1.0, np.nan, np.inf]], 2)
    np.testing.assert_array_equal(values, [[np.nan, np.inf]])
    for k in range(4):
        values, places = ops.top_k([[3.0, 1.0, 4.0]], k)
        np.testing.assert_array_equal(values, np.array([[4, 3, 1]])[:, :k])
        np.testing.assert_array_equal(places, np.array([[2, 0, 1]])[:, :k])


def test_logsumexp_of_infinities():
    x = np.array([[-np.inf, -np.inf], [np.inf, 0.0], [1000.0, 1000.0]])
    np.testing.assert_allclose(ops.logsumexp(x, axis=1), [-np.inf, np.inf, 1000 + np.log(2)])


def test_sparsemax_of_large_numbers(dtype):
    x = np.array([[1, 2, 3e30], [5e9, 5e9, 0], [1, -np.inf, 0.5], [np.inf, 0, 1]], dtype)
    expected = [[0, 0, 1], [0.5, 0.5, 0], [0.75, 0, 0.25], [np.nan] * 3]
    np.testing.assert_array_equal(ops.sparsemax(x), expected)
    assert ops.sparsemax(x[:, :0]).shape == (4, 0)


def test_products_over_nothing_and_with_zeros():
    for kind in (np.uint8, np.int32, np.bool_, np.uint64):
        for x in (np.array([200, 200], kind), np.zeros(0, kind)):
            product, expected = ops.prod(x), np.prod(x)
            assert (int(product), product.dtype) == (expected, expected.dtype)
    np.testing.assert_array_equal(ops.prod(fastnn.ones((0, 2)), axis=0), [1, 1])
    x = Variable([2.0, 0.0, 5.0])
    with GradientTape() as tape:
        y = ops.prod(x)
    np.testing.assert_array_equal(tape.gradient(y, x), [0, 10, 0])


def test_tensors_made_of_a_rule():
    for made, expected in (
        (ops.arange(3), np.arange(3, dtype=np.int32)),
        (ops.arange(1, 2, 0.25), np.arange(1, 2, 0.25, dtype=np.float32)),
        (ops.range(1, 7, 2, dtype="float64"), np.array([1.0, 3.0, 5.0])),
        (ops.eye(2, 3), np.eye(2, 3, dtype=np.float32)),
        (ops.full((2,), 7), np.array([7, 7], np.int32)),
        (ops.eye(3, 4, k=1), np.eye(3, 4, 1, dtype=np.float32)),
        (ops.linspace(0, 1, 5), np.linspace(0, 1, 5, dtype=np.float32)),
    ):
        np.testing.assert_array_equal(made, expected, strict=True)


def test_log_softmax_of_large_numbers(dtype, rng):
    """It depends on differences alone, which large numbers of a few digits have exactly."""
    x = rng.integers(0, 64, (20, 7)).astype(np.longdouble) / 8
    exact = x - np.log(np.exp(x).sum(-1, keepdims=True))
    found = ops.log_softmax((x + 2.0**16).astype(dtype))
    np.testing.assert_allclose(found, exact, rtol=8 * np.finfo(dtype).eps, atol=np.finfo(dtype).eps)

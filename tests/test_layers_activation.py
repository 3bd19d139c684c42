"""Activations as layers: formulas in float64, edges, errors."""

import numpy as np
import pytest

import fastnn
from fastnn import GradientTape, layers

X = np.array([-np.inf, -9.0, -0.5, 0.0, 0.3, 0.5, 0.7, 4.0, 9.0, np.inf, np.nan])


def _softmax(x, axis):
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def _relu(x, max_value=np.inf, negative_slope=0.0, threshold=0.0):
    below = negative_slope * (x - threshold) if negative_slope else 0 * np.nan_to_num(x)
    y = np.where(x > threshold, np.minimum(x, max_value), below)
    return np.where(np.isnan(x), x, y)


CASES = {
    "relu": (layers.ReLU, _relu),
    "relu, limited": (lambda **o: layers.ReLU(6, **o), lambda x: _relu(x, 6)),
    "relu, leaking": (
        lambda **o: layers.ReLU(negative_slope=0.2, **o),
        lambda x: _relu(x, negative_slope=0.2),
    ),
    "relu, threshold": (
        lambda **o: layers.ReLU(threshold=0.5, **o),
        lambda x: _relu(x, threshold=0.5),
    ),
    "relu, all": (lambda **o: layers.ReLU(8, 0.2, 0.5, **o), lambda x: _relu(x, 8, 0.2, 0.5)),
    "leaky relu": (layers.LeakyReLU, lambda x: _relu(x, negative_slope=0.3)),
    "leaky relu, no slope": (lambda **o: layers.LeakyReLU(0, **o), _relu),
    "elu": (layers.ELU, lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0)))),
    "elu, alpha": (
        lambda **o: layers.ELU(alpha=0.7, **o),
        lambda x: np.where(x > 0, x, 0.7 * np.expm1(np.minimum(x, 0))),
    ),
    "by name": (lambda **o: layers.Activation("tanh", **o), np.tanh),
    "none": (lambda **o: layers.Activation(None, **o), lambda x: x),
}


@pytest.mark.parametrize(("make", "reference"), CASES.values(), ids=CASES.keys())
def test_values(make, reference, dtype):
    layer = make(dtype=dtype)
    expected = reference(X.astype(dtype).astype(np.float64))
    y = layer(fastnn.constant(X.astype(dtype)))
    assert y.dtype == dtype
    np.testing.assert_allclose(y, expected, rtol=1e-6, atol=1e-7)
    assert layer.weights == []


@pytest.mark.parametrize(("make", "reference"), CASES.values(), ids=CASES.keys())
def test_gradients(make, reference):
    """Central differences away from the kinks; finite far out, where exponentials overflow."""
    x = fastnn.constant(np.array([-800.0, -1.3, 0.2, 0.9, 5.0, 7.0, 9.0, 800.0]))
    with GradientTape() as tape:
        tape.watch(x)
        y = make(dtype="float64")(x)
    h = 1e-6
    expected = (reference(x.numpy() + h) - reference(x.numpy() - h)) / (2 * h)
    np.testing.assert_allclose(tape.gradient(y, x), expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("axis", [-1, 0, np.int64(1), (1, 2), (0, np.int64(-1)), np.array([1, 2])])
def test_softmax(axis, dtype, rng):
    x = rng.standard_normal((3, 4, 5)).astype(dtype)
    layer = layers.Softmax(axis=axis, dtype=dtype)
    axes = axis if np.ndim(axis) == 0 else tuple(axis)
    expected = _softmax(x.astype(np.float64), axes)
    np.testing.assert_allclose(layer(fastnn.constant(x)), expected, rtol=3e-6)


def test_softmax_with_a_mask(rng):
    x = rng.standard_normal((3, 4)).astype(np.float32)
    mask = np.array([[1, 1, 0, 1], [0, 1, 0, 0], [0, 0, 0, 0]], bool)
    e = np.where(mask, np.exp(x), 0)
    expected = e / np.maximum(e.sum(-1, keepdims=True), 1e-30)
    np.testing.assert_allclose(layers.Softmax()(x, mask=mask), expected, rtol=1e-6)


@pytest.mark.parametrize("shape", [(2, 3), (1, 1, 3), (1, 2)])
def test_a_mask_that_does_not_fit(shape):
    with pytest.raises(ValueError, match=r"does not stretch to \(1, 3\)"):
        layers.Softmax()(np.ones((1, 3)), mask=np.ones(shape, bool))


def test_softmax_before_a_cross_entropy_is_found(rng):
    """The layer hands on that its output is probabilities, so that the loss sees the logits."""
    logits = np.array([[1000.0, 0.0]], np.float32)
    y = layers.Softmax()(logits)
    loss = fastnn.losses.sparse_categorical_crossentropy([1], y)
    np.testing.assert_allclose(loss, [1000.0])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: layers.Activation("rellu"), "did you mean 'relu'"),
        (lambda: layers.Softmax(axis=2)(np.ones((2, 2))), "axis 2 is out of bounds .* -2 to 1"),
    ],
)
def test_errors(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_prelu(rng):
    layer = layers.PReLU(shared_axes=[1], alpha_initializer="random_normal")
    x = rng.standard_normal((2, 4, 3)).astype(np.float32)
    y = layer(x)
    assert layer.alpha.shape == (1, 3)
    np.testing.assert_allclose(y, np.where(x > 0, x, layer.alpha.numpy() * x), rtol=1e-6)
    assert layer(np.ones((2, 9, 3))).shape == (2, 9, 3)
    with pytest.raises(ValueError, match=r"shape \(2, 4, 5\) is incompatible with the layer"):
        layer(np.ones((2, 4, 5)))
    with pytest.raises(ValueError, match=r"inputs of 3 axes, .* got the shape \(3, 3\)"):
        layer(np.ones((3, 3)))
    assert layers.PReLU(shared_axes=1).shared_axes == [1]
    for axis in (3, -4):
        with pytest.raises(ValueError, match=f"axis {axis} is out of bounds"):
            layers.PReLU(shared_axes=[axis])(x)


def test_prelu_learns(rng):
    layer = layers.PReLU(dtype="float64")
    x = rng.standard_normal((5, 3))
    layer.build((None, 3))
    with GradientTape() as tape:
        y = fastnn.reduce_sum(layer(x))
    np.testing.assert_allclose(tape.gradient(y, layer.alpha), np.minimum(x, 0).sum(0))

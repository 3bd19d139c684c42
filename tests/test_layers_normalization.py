"""BatchNormalization, LayerNormalization, Normalization: formulas, state, gradients, errors."""

import numpy as np
import pytest

import fastnn
from fastnn import GradientTape, layers


def _normalized(x, axes, epsilon=1e-3):
    mean, variance = x.mean(axes, keepdims=True), x.var(axes, keepdims=True)
    return (x - mean) / np.sqrt(variance + epsilon)


def _others(ndim, axis):
    return tuple(a for a in range(ndim) if a != axis % ndim)


@pytest.mark.parametrize("shape", [(7, 5), (1, 5), (4, 3, 5), (4, 5, 2, 3)])
@pytest.mark.parametrize("axis", [-1, 1])
def test_batches_move_the_averages(shape, axis, dtype, isa, rng):
    """Several batches of training, then inference; the formulas of the paper in float64."""
    layer = layers.BatchNormalization(axis, momentum=0.8, epsilon=0.01, dtype=dtype)
    others = _others(len(shape), axis)
    along = [1 if a in others else n for a, n in enumerate(shape)]
    mean, variance = np.zeros(along), np.ones(along)
    rtol = 1e-5 if dtype == np.float32 else 1e-11
    for n in (shape[0], shape[0], 2):
        x = (3 * rng.standard_normal((n, *shape[1:])) + 1).astype(dtype)
        y = layer(fastnn.constant(x), training=True)
        x = x.astype(np.float64)
        np.testing.assert_allclose(y, _normalized(x, others, 0.01), rtol=rtol, atol=10 * rtol)
        mean = 0.8 * mean + 0.2 * x.mean(others, keepdims=True)
        variance = 0.8 * variance + 0.2 * x.var(others, keepdims=True)
        np.testing.assert_allclose(layer.moving_mean, mean.ravel(), rtol=rtol, atol=rtol)
        np.testing.assert_allclose(layer.moving_variance, variance.ravel(), rtol=rtol)
    expected = (x - mean) / np.sqrt(variance + 0.01)
    y = layer(fastnn.constant(x.astype(dtype)))
    np.testing.assert_allclose(y, expected, rtol=rtol, atol=10 * rtol)


def test_a_layer_that_is_not_trainable_leaves_its_averages(rng):
    x = rng.standard_normal((6, 3)).astype(np.float32)
    layer = layers.BatchNormalization()
    layer(x, training=True)
    layer.trainable = False
    before = layer.get_weights()
    y = layer(x, training=True)
    np.testing.assert_array_equal(y, layer(x))
    for a, b in zip(layer.get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)
    assert layer.trainable_weights == []


def test_weights():
    layer = layers.BatchNormalization()
    layer.build((None, 3))
    assert [w.name for w in layer.weights] == ["gamma", "beta", "moving_mean", "moving_variance"]
    assert [w.name for w in layer.trainable_weights] == ["gamma", "beta"]
    assert [w.name for w in layer.non_trainable_weights] == ["moving_mean", "moving_variance"]
    bare = layers.BatchNormalization(center=False, scale=False)
    bare.build((None, 3))
    assert (bare.gamma, bare.beta, len(bare.weights)) == (None, None, 2)
    bare = layers.LayerNormalization(axis=(2, 1), scale=False)
    bare.build((None, 4, 3))
    assert (bare.gamma, bare.beta.shape) == (None, (4, 3))


def test_options_reach_the_weights():
    options = {
        "beta_initializer": "random_normal",
        "gamma_initializer": "random_uniform",
        "beta_regularizer": "l1",
        "gamma_regularizer": "l2",
        "beta_constraint": "non_neg",
        "gamma_constraint": "max_norm",
    }
    for kind in (layers.BatchNormalization, layers.LayerNormalization):
        layer = kind(**options)
        layer.build((None, 50))
        for weight, name in ((layer.beta, "beta"), (layer.gamma, "gamma")):
            assert weight.regularizer is getattr(layer, f"{name}_regularizer") is not None
            assert weight.constraint is getattr(layer, f"{name}_constraint") is not None
            assert 0 < np.abs(weight.numpy()).max() < 0.5
        assert len(layer.losses) == 2


@pytest.mark.parametrize(
    ("shape", "axis"),
    [((7, 5), -1), ((1, 5), 1), ((4, 3, 5), (1, 2)), ((4, 3, 5), (-1, 1)), ((4, 3, 5), 1)],
)
def test_samples_are_normalized(shape, axis, dtype, isa, rng):
    x = (3 * rng.standard_normal(shape) + 1).astype(dtype)
    layer = layers.LayerNormalization(axis, dtype=dtype)
    layer.build((None, *shape[1:]))
    gamma, beta = (rng.standard_normal(layer.gamma.shape) for _ in range(2))
    layer.set_weights([gamma, beta])
    axes = [a % x.ndim for a in ([axis] if isinstance(axis, int) else axis)]
    along = [n if a in axes else 1 for a, n in enumerate(shape)]
    expected = _normalized(x.astype(np.float64), tuple(axes))
    expected = expected * gamma.reshape(along) + beta.reshape(along)
    rtol = 2e-5 if dtype == np.float32 else 1e-12
    np.testing.assert_allclose(layer(fastnn.constant(x)), expected, rtol=rtol, atol=rtol)


GRADIENTS = {
    "batch": (lambda: layers.BatchNormalization(dtype="float64"), (5, 3)),
    "batch, axis": (lambda: layers.BatchNormalization(axis=1, dtype="float64"), (4, 3, 2)),
    "sample": (lambda: layers.LayerNormalization(dtype="float64"), (4, 6)),
    "sample, axes": (lambda: layers.LayerNormalization([1, 2], dtype="float64"), (3, 4, 2)),
}


@pytest.mark.parametrize(("make", "shape"), GRADIENTS.values(), ids=GRADIENTS.keys())
@pytest.mark.parametrize("training", [False, True])
def test_gradients(make, shape, training, rng):
    """Central differences in float64, for the input and for gamma and beta."""
    layer = make()
    layer.build(shape)
    layer.gamma.assign(rng.standard_normal(layer.gamma.shape))
    layer.beta.assign(rng.standard_normal(layer.beta.shape))
    parts = [fastnn.Variable(rng.standard_normal(shape)), layer.gamma, layer.beta]
    weights = rng.standard_normal(shape)
    state = [w.numpy() for w in layer.non_trainable_weights]

    def loss():
        for w, value in zip(layer.non_trainable_weights, state, strict=True):
            w.assign(value)
        return fastnn.reduce_sum(layer(parts[0], training=training) * weights)

    with GradientTape() as tape:
        y = loss()
    for part, gradient in zip(parts, tape.gradient(y, parts), strict=True):
        slopes = np.zeros(part.shape)
        for index in np.ndindex(part.shape):
            part[index].assign_add(1e-5)
            above = float(loss())
            part[index].assign_sub(2e-5)
            slopes[index] = (above - float(loss())) / 2e-5
            part[index].assign_add(1e-5)
        np.testing.assert_allclose(gradient, slopes, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("axis", [-1, None, 1, (1, 2)])
@pytest.mark.parametrize("form", ["array", "tensor", "list", "generator", "pairs", "integers"])
def test_adapt(axis, form, rng):
    x = 5 * rng.standard_normal((33, 4, 3)) + 2
    x = x.astype(np.int32 if form == "integers" else np.float32)
    data = {
        "tensor": lambda: fastnn.constant(x),
        "list": lambda: [x[:10], x[10:11], x[11:]],
        "generator": lambda: (x[i : i + 8] for i in range(0, 33, 8)),
        "pairs": lambda: [(x[:10], x[:10, 0]), (x[10:], x[10:, 0])],
    }.get(form, lambda: x)()
    layer = layers.Normalization(axis)
    layer.adapt(data)
    assert layer.built
    kept = [a % 3 for a in (() if axis is None else (axis,) if isinstance(axis, int) else axis)]
    others = tuple(a for a in range(3) if a not in kept)
    exact = x.astype(np.float64)
    np.testing.assert_allclose(layer.mean, exact.mean(others, keepdims=True), rtol=1e-6)
    np.testing.assert_allclose(layer.variance, exact.var(others, keepdims=True), rtol=1e-6)
    assert int(layer.count) == exact.size // layer.adapt_mean.size
    expected = _normalized(exact, others, 0)
    np.testing.assert_allclose(layer(x), expected, rtol=1e-5, atol=1e-5)
    back = layers.Normalization(axis, invert=True)
    back.build(x.shape)
    back.set_weights(layer.get_weights())
    np.testing.assert_allclose(back(layer(x)), x, rtol=1e-5, atol=1e-5)


def test_the_axis_of_samples_can_be_kept(rng):
    x = rng.standard_normal((3, 400))
    layer = layers.Normalization(axis=0)
    layer.adapt(x)
    np.testing.assert_allclose(layer.mean, x.mean(1, keepdims=True), atol=1e-6)
    np.testing.assert_allclose(layer.variance, x.var(1, keepdims=True), rtol=1e-6)


def test_adapt_forgets_what_was_before(rng):
    layer = layers.Normalization()
    layer.adapt(rng.standard_normal((10, 3)))
    layer.adapt(np.array([[1.0, 2.0, 3.0], [3.0, 2.0, 3.0]]))
    np.testing.assert_array_equal(layer([[3.0, 2.0, 4.0]])[:, :2], [[1, 0]])
    assert np.isfinite(layer([[3.0, 2.0, 4.0]]).numpy()).all()


def test_large_numbers_keep_their_variance(rng):
    x = 1e6 + rng.standard_normal((3_000_000, 1)).astype(np.float32)
    layer = layers.Normalization(dtype="float64")
    layer.adapt(x)
    np.testing.assert_allclose(layer.variance.numpy().item(), x.astype(np.float64).var(), rtol=1e-9)


def test_adapt_before_a_model(rng):
    """One feature without an axis of its own, as a table's column comes."""
    column = rng.standard_normal(40).astype(np.float32)
    layer = layers.Normalization(axis=None)
    layer.adapt(column)
    np.testing.assert_allclose(layer(column[:, None])[:, 0], layer(column), rtol=1e-6)


def test_given_statistics(rng):
    x = rng.standard_normal((5, 4, 3)).astype(np.float32)
    for axis, mean, variance, along in [
        (-1, 3.0, 4.0, 3.0),
        (None, 3.0, 4.0, 3.0),
        (-1, [1.0, 2.0, 3.0], [4.0, 4.0, 4.0], [1.0, 2.0, 3.0]),
        ((1, 2), [1.0, 2.0, 3.0], [4.0, 4.0, 4.0], [1.0, 2.0, 3.0]),
        (1, [1.0, 2.0, 3.0, 4.0], [4.0] * 4, [[1.0], [2.0], [3.0], [4.0]]),
    ]:
        layer = layers.Normalization(axis, mean, variance)
        np.testing.assert_allclose(layer(x), (x - np.array(along)) / 2, rtol=1e-5, atol=1e-6)
        assert layer.weights == []


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: layers.Normalization(mean=0.5), "both `mean` and `variance` must be set"),
        (lambda: layers.Normalization(variance=0.5), "both `mean` and `variance` must be set"),
        (lambda: layers.Normalization(mean=[1.0], variance=[1.0, 2.0]), r"\(1,\) and .* \(2,\)"),
        (lambda: layers.Normalization(None, [1.0], [1.0]), "at most 0 axes"),
        (lambda: layers.Normalization(3).build((2, 2)), "axis 3 is out of bounds"),
        (lambda: layers.Normalization(1).build((None, None)), "must know its length"),
        (lambda: layers.Normalization(mean=[1.0] * 2, variance=[1.0] * 2)(np.ones((2, 3))), "eq"),
        (lambda: _adapted((10, 5)).adapt(np.ones((10, 3))), r"an incompatible shape: \(10, 3\)"),
        (lambda: _adapted((10, 5))(np.ones((10, 3))), r"an incompatible shape: \(10, 3\)"),
        (lambda: layers.Normalization().adapt([]), "adapt needs data"),
        (lambda: layers.Normalization().adapt(np.ones((0, 3))), "adapt needs data"),
        (lambda: layers.Normalization(-1, 1.0, 1.0).adapt(np.ones((2, 3))), "make one without"),
        (lambda: layers.BatchNormalization(axis=3)(np.ones((2, 2))), "axis 3 is out of bounds"),
        (lambda: layers.BatchNormalization().build((None, None)), "must know its length"),
        (
            lambda: _built(layers.BatchNormalization(name="bn"))(np.ones((2, 1))),
            r"shape \(2, 1\) is incompatible with the layer 'bn'",
        ),
        (lambda: _built(layers.LayerNormalization())(np.ones((2, 4))), "incompatible with the la"),
        (lambda: layers.LayerNormalization(axis=[1, -1])(np.ones((2, 4))), "twice"),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_errors_of_types():
    for make in (layers.LayerNormalization, layers.Normalization, layers.Softmax):
        with pytest.raises(TypeError, match="axis must be an integer or a list"):
            make(axis={"axis": -1})
    with pytest.raises(TypeError, match="shared_axes must be an integer or a list"):
        layers.PReLU(shared_axes="1")
    with pytest.raises(TypeError, match="an iterable of batches that are arrays, got a list"):
        layers.Normalization().adapt([[1.0, 2.0]])


def test_a_layer_that_could_not_be_adapted_can_still_be():
    layer = layers.Normalization()
    with pytest.raises(ValueError, match="incompatible shape"):
        layer.adapt([np.ones((4, 3)), np.ones((4, 5))])
    assert not layer.built
    layer.adapt(np.arange(10.0).reshape(2, 5))
    np.testing.assert_array_equal(layer.mean, [[2.5, 3.5, 4.5, 5.5, 6.5]])


def _adapted(shape):
    layer = layers.Normalization()
    layer.adapt(np.ones(shape))
    return layer


def _built(layer):
    layer.build((None, 3))
    return layer

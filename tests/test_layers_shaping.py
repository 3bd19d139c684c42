"""Layers without numbers of their own: Flatten, Reshape, Rescaling, Input, and merging."""

import numpy as np
import pytest

import fastnn
from fastnn import GradientTape, layers

X = np.arange(24, dtype=np.float32).reshape(2, 3, 4)


def test_flatten():
    np.testing.assert_array_equal(layers.Flatten()(X), X.reshape(2, 12))
    assert layers.Flatten()(np.ones(5)).shape == (5, 1)
    channels_first = layers.Flatten(data_format="channels_first")
    np.testing.assert_array_equal(channels_first(X), X.transpose(0, 2, 1).reshape(2, 12))
    assert layers.Flatten().data_format == "channels_last"
    assert layers.Flatten().compute_output_shape((None, None, 4)) == (None, None)
    assert layers.Flatten().compute_output_shape((None,)) == (None, 1)
    with pytest.raises(ValueError, match="data_format must be"):
        layers.Flatten("channels")


@pytest.mark.parametrize("target", [(4, 3), (12,), (-1,), (2, -1), (2, -1, 3), [3, 4]])
def test_reshape(target):
    np.testing.assert_array_equal(layers.Reshape(target)(X), X.reshape(2, *target))


def test_reshape_of_unknown_lengths():
    assert layers.Reshape((-1, 2)).compute_output_shape((None, None, 4)) == (None, None, 2)
    assert layers.Reshape((3, 2)).compute_output_shape((None, None)) == (None, 3, 2)
    assert layers.Reshape(()).compute_output_shape((None, 1)) == (None,)


@pytest.mark.parametrize("target", [(5,), (5, -1), (0, -1)])
def test_a_target_shape_that_does_not_fit(target):
    layer = layers.Reshape(target, name="r")
    for call in (lambda: layer(X), lambda: layer.compute_output_shape((None, 3, 4))):
        with pytest.raises(ValueError, match=r"layer 'r': a sample of shape \(3, 4\) has 12 elem"):
            call()


def test_rescaling(dtype):
    x = np.array([[0, 51], [102, 255]], np.uint8)
    layer = layers.Rescaling(1 / 255, -0.5, dtype=dtype)
    y = layer(x)
    assert y.dtype == dtype
    np.testing.assert_allclose(y, x / 255 - 0.5, rtol=4 * np.finfo(dtype).eps)
    per_feature = layers.Rescaling([1.0, 2.0], np.array([3.0, 4.0]))
    np.testing.assert_array_equal(per_feature(x), x * [1, 2] + [3, 4])
    again = layers.Rescaling.from_config(per_feature.get_config())
    np.testing.assert_array_equal(again(x), per_feature(x))


def test_input():
    layer = fastnn.Input((3, None), name="in")
    assert (layer.shape, layer.batch_shape) == ((None, 3, None), (None, 3, None))
    assert (layer.input_shape, layer.dtype, layer.name) == ((3, None), "float32", "in")
    assert fastnn.Input((4,), batch_size=8).shape == (8, 4)
    assert fastnn.Input(batch_shape=(8, 4)).shape == (8, 4)
    assert layers.Input is fastnn.Input
    np.testing.assert_array_equal(layer(X), X)
    assert layer(X.astype(np.int64)).dtype == np.float32
    assert fastnn.Input((3, 4), dtype="int32")(X.astype(np.uint8)).dtype == np.int32
    config = layer.get_config()
    assert config["batch_shape"] == [None, 3, None]
    assert layers.InputLayer.from_config(config).shape == layer.shape


def test_an_input_finds_or_loses_a_last_axis_of_length_1():
    assert fastnn.Input((1,))(np.ones(5)).shape == (5, 1)
    assert fastnn.Input(())(np.ones((5, 1))).shape == (5,)
    assert fastnn.Input((4,))(np.ones((5, 4, 1))).shape == (5, 4)


@pytest.mark.parametrize(
    "call",
    [
        lambda: fastnn.Input((784,), name="in")(np.ones((2, 28, 28))),
        lambda: fastnn.Input((3,), name="in")(np.ones((2, 4))),
        lambda: fastnn.Input((3,), name="in").compute_output_shape((None, 4)),
    ],
)
def test_an_input_that_was_not_announced(call):
    with pytest.raises(ValueError, match="is incompatible with the layer 'in', which takes"):
        call()


def test_one_sample_is_no_batch():
    model = fastnn.Sequential([fastnn.Input((3,)), layers.Dense(1)])
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match=r"takes the shape \(None, 3\): put one .* with x\[None\]"):
        model.predict(X[0, 0, :3])
    with pytest.raises(ValueError, match=r"y has shape \(\); .* with x\[None\] and \[y\]"):
        model.evaluate(X[0, 0, :3], 1.0)


@pytest.mark.parametrize(
    "options",
    [{}, {"shape": (1,), "batch_shape": (2, 1)}, {"batch_size": 2, "batch_shape": (2, 1)}],
)
def test_an_input_has_one_shape(options):
    with pytest.raises(ValueError, match="give a shape"):
        fastnn.Input(**options)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: fastnn.Input((2.5,)), TypeError, r"'input_layer.*': shape must be a tuple of len"),
        (lambda: fastnn.Input((-3,)), ValueError, r"shape \(-3,\) has a length below 0"),
        (lambda: layers.Dense(2, input_shape=("a",)), TypeError, "'dense.*': input_shape must be"),
        (lambda: layers.Reshape((2, "a")), TypeError, "'reshape.*': target_shape must be a tuple"),
        (lambda: layers.Reshape((2, -2)), ValueError, "a length below -1"),
        (lambda: layers.Reshape((-1, -1)), ValueError, "may have one length that is open, -1"),
        (lambda: layers.Reshape((None, 2)), ValueError, "may have one length that is open, -1"),
    ],
)
def test_shapes_are_lengths(make, error, message):
    with pytest.raises(error, match=message):
        make()


MERGING = {
    "Add": lambda a, b, c: a + b + c,
    "Multiply": lambda a, b, c: a * b * c,
    "Average": lambda a, b, c: (a + b + c) / 3,
    "Maximum": lambda a, b, c: np.maximum(np.maximum(a, b), c),
    "Minimum": lambda a, b, c: np.minimum(np.minimum(a, b), c),
}


@pytest.mark.parametrize("name", MERGING)
def test_merging(name, dtype, rng):
    a, b, c = (rng.standard_normal(s).astype(dtype) for s in ((5, 4, 3), (5, 1, 3), (5, 3)))
    layer = getattr(layers, name)(dtype=dtype)
    y = layer([fastnn.constant(x) for x in (a, b, c)])
    assert y.dtype == dtype
    np.testing.assert_allclose(y, MERGING[name](a, b, c[:, None]), rtol=1e-6)
    assert layer.compute_output_shape([(None, 4, 3), (None, None, 3), (None, 3)]) == (None, 4, 3)
    assert layer.compute_output_shape([(None, 1), (7, None)]) == (7, None)
    np.testing.assert_array_equal(layer([a, a, a]), layer((a, a, a)))


def test_subtract(rng):
    a, b = rng.standard_normal((2, 5, 3))
    np.testing.assert_allclose(layers.Subtract(dtype="float64")([a, b]), a - b)
    with pytest.raises(ValueError, match="exactly 2 inputs, got 3"):
        layers.Subtract()([a, b, b])


@pytest.mark.parametrize("axis", [-1, 1, 0])
def test_concatenate(axis, rng):
    a, b = rng.standard_normal((2, 5, 4, 3)).astype(np.float32)
    layer = layers.Concatenate(axis=axis)
    np.testing.assert_array_equal(layer([a, b]), np.concatenate([a, b], axis))
    shapes = [[None, 4, 3], [None, 4, 3]]
    shapes[1][axis] = None if axis == 0 else 7
    expected = [None, 4, 3]
    expected[axis] = None if axis == 0 else 7 + expected[axis]
    assert layer.compute_output_shape(list(map(tuple, shapes))) == tuple(expected)


def test_gradients_reach_every_input():
    a, b = fastnn.Variable(np.ones((2, 3))), fastnn.Variable(np.full((2, 1), 2.0))
    with GradientTape() as tape:
        y = layers.Multiply()([a, b])
    to_a, to_b = tape.gradient(y, [a, b])
    np.testing.assert_array_equal(to_a, np.full((2, 3), 2))
    np.testing.assert_array_equal(to_b, np.full((2, 1), 3))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: layers.Add(name="a")(X), r"layer 'a' must be called on a list .* \(2, 3, 4\)"),
        (lambda: layers.Concatenate()(X), "must be called on a list"),
        (lambda: layers.Add().build((None, 3)), "must be called on a list"),
        (lambda: layers.Add()([X, X[:1]]), r"incompatible shapes \(2, 3, 4\), \(1, 3, 4\)"),
        (lambda: layers.Add()([X, X[..., :2]]), "incompatible shapes"),
        (lambda: layers.Concatenate()([X, X[:, :2]]), r"matching shapes except for axis -1, got"),
        (lambda: layers.Concatenate()([X, X[0]]), "matching shapes"),
        (lambda: layers.Concatenate(axis=5)([X, X]), "axis 5 is out of bounds"),
    ],
)
def test_errors_of_merging(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_built_layer_still_checks(rng):
    layer = layers.Add()
    layer([X, X])
    with pytest.raises(ValueError, match="incompatible shapes"):
        layer([X, X[:1]])

"""What holds for every layer: shapes, building, configurations, dtypes, the same bits compiled."""

import json

import numpy as np
import pytest

import fastnn
from fastnn import GradientTape, layers
from fastnn.function import function

X = (6, 4, 3)

# A layer and its input's shapes: the concrete one, or a list of them.
LAYERS = {
    "Activation": (lambda: layers.Activation("tanh"), X),
    "Activation, softmax": (lambda: layers.Activation("softmax"), X),
    "ActivityRegularization": (lambda: layers.ActivityRegularization(0.1, 0.2), X),
    "Add": (layers.Add, [X, X, (6, 1, 3)]),
    "AlphaDropout": (lambda: layers.AlphaDropout(0.3, seed=1), X),
    "AlphaDropout, noise_shape": (lambda: layers.AlphaDropout(0.3, (None, 1, 3), 1), X),
    "Average": (layers.Average, [X, X]),
    "BatchNormalization": (layers.BatchNormalization, X),
    "BatchNormalization, axis": (lambda: layers.BatchNormalization(axis=1, scale=False), X),
    "BatchNormalization, frozen": (lambda: layers.BatchNormalization(trainable=False), X),
    "Concatenate": (lambda: layers.Concatenate(axis=1), [X, (6, 2, 3)]),
    "Dense": (lambda: layers.Dense(5, "relu"), X),
    "Dropout": (lambda: layers.Dropout(0.4, seed=1), X),
    "Dropout, noise_shape": (lambda: layers.Dropout(0.4, (None, 1, 3), 1), X),
    "ELU": (lambda: layers.ELU(0.5), X),
    "Flatten": (layers.Flatten, X),
    "Flatten, channels_first": (lambda: layers.Flatten("channels_first"), X),
    "GaussianDropout": (lambda: layers.GaussianDropout(0.4, seed=1), X),
    "GaussianNoise": (lambda: layers.GaussianNoise(0.4, seed=1), X),
    "Identity": (layers.Identity, X),
    "InputLayer": (lambda: layers.Input((4, None)), X),
    "LayerNormalization": (layers.LayerNormalization, X),
    "LayerNormalization, axes": (lambda: layers.LayerNormalization(axis=[1, 2], center=False), X),
    "LeakyReLU": (lambda: layers.LeakyReLU(0.1), X),
    "Maximum": (layers.Maximum, [X, X]),
    "Minimum": (layers.Minimum, [X, (6, 3)]),
    "Multiply": (layers.Multiply, [X, X, X]),
    "Normalization": (layers.Normalization, X),
    "Normalization, given": (lambda: layers.Normalization((1, 2), 0.5, 4.0), X),
    "Normalization, inverted": (lambda: layers.Normalization(None, 0.5, 4.0, invert=True), X),
    "PReLU": (lambda: layers.PReLU("random_uniform", shared_axes=[1]), X),
    "ReLU": (lambda: layers.ReLU(0.8, 0.1, 0.2), X),
    "Rescaling": (lambda: layers.Rescaling(2.0, np.array([1.0, 2.0, 3.0])), X),
    "Reshape": (lambda: layers.Reshape((2, -1)), X),
    "Softmax": (layers.Softmax, X),
    "Softmax, axes": (lambda: layers.Softmax(axis=[1, 2]), X),
    "Subtract": (layers.Subtract, [X, X]),
}

every_layer = pytest.mark.parametrize(("make", "shape"), LAYERS.values(), ids=LAYERS.keys())


def _drawn(rng, shape, dtype=np.float32):
    if isinstance(shape, list):
        return [_drawn(rng, part, dtype) for part in shape]
    return fastnn.constant(rng.standard_normal(shape).astype(dtype))


def _of_any_batch(shape):
    return [_of_any_batch(s) for s in shape] if isinstance(shape, list) else (None, *shape[1:])


def test_every_layer_is_here():
    public = {getattr(layers, name).__name__ for name in layers.__all__} - {"Layer"}
    assert public == {name.split(",")[0] for name in LAYERS}


@every_layer
def test_shapes(make, shape, rng):
    layer = make()
    expected = layer(_drawn(rng, shape)).shape
    assert layer.compute_output_shape(shape) == expected
    before = fastnn.random.state_of(fastnn.random.generator())
    assert make().compute_output_shape(_of_any_batch(shape)) == (None, *expected[1:])
    assert fastnn.random.state_of(fastnn.random.generator()) == before


@every_layer
def test_build(make, shape, rng):
    """Once built, with any batch, a call makes nothing new."""
    layer = make()
    layer.build(_of_any_batch(shape))
    assert layer.built
    before = [id(w) for w in layer.weights]
    layer(_drawn(rng, shape))
    assert [id(w) for w in layer.weights] == before


@every_layer
def test_configuration(make, shape, rng):
    layer = make()
    x = _drawn(rng, shape)
    layer(x)
    config = json.loads(json.dumps(layer.get_config()))
    again = type(layer).from_config(config)
    assert again.get_config() == layer.get_config()
    again(x)
    again.set_weights(layer.get_weights())
    np.testing.assert_array_equal(again(x), layer(x))


@every_layer
@pytest.mark.parametrize("n", [0, 1])
def test_few_samples(make, shape, n, rng):
    layer = make()
    layer(_drawn(rng, shape))
    few = [(n, *s[1:]) for s in shape] if isinstance(shape, list) else (n, *shape[1:])
    y = layer(_drawn(rng, few))
    assert y.shape == layer.compute_output_shape(few)
    assert np.isfinite(y.numpy()).all()


@every_layer
def test_doubles(make, shape, rng):
    """What a layer computes in follows from its dtype."""
    config = {**make().get_config(), "dtype": "float64"}
    layer = type(make()).from_config(config)
    assert layer(_drawn(rng, shape, np.float64)).dtype == np.float64
    assert {w.dtype for w in layer.weights} <= {np.dtype(np.float64), np.dtype(np.int64)}
    assert make()(_drawn(rng, shape)).dtype == np.float32


def _steps(call, layer, inputs):
    """What comes out of training steps and of a call afterwards."""

    def step(x):
        with GradientTape() as tape:
            tape.watch(x)
            y = layer(x, training=True)
            loss = fastnn.reduce_sum(y * fastnn.cos(y)) + sum(layer.losses, fastnn.zeros(()))
        gradients = tape.gradient(loss, [x, *layer.trainable_weights])
        for w, g in zip(layer.trainable_weights, gradients[1:], strict=True):
            w.assign_sub(0.1 * g)
        return [y, loss, *(fastnn.zeros(()) if g is None else g for g in _leaves(gradients))]

    run = call(step)
    seen = [part for x in inputs for part in run(x)]
    return [*seen, call(layer)(inputs[0]), *layer.weights]


def _leaves(structure):
    return [part for x in structure for part in (x if isinstance(x, list) else [x])]


@every_layer
def test_compiled_and_op_by_op(make, shape, dtype, isa, rng):
    """The same bits, also in a shorter batch, through changes of weights and of random numbers."""
    short = [(5, *s[1:]) for s in shape] if isinstance(shape, list) else (5, *shape[1:])
    inputs = [_drawn(rng, s, dtype) for s in (shape, short, shape)]
    found = []
    for call in (function, lambda step: step):
        fastnn.utils.set_random_seed(3)
        layer = type(make()).from_config({**make().get_config(), "dtype": np.dtype(dtype).name})
        layer(inputs[0])
        found.append(_steps(call, layer, inputs))
    for a, b in zip(*found, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy(), strict=True)

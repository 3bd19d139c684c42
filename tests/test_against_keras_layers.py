"""Layers against Keras's own: outputs, updates of state, weights, shapes, configurations."""

import numpy as np
import pytest
from keras_reference import keras

from fastnn import layers

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of Keras with torch

# What makes a layer, and the shapes of its inputs.
CASES = [
    ("Activation", {"activation": "tanh"}, (6, 5)),
    ("ReLU", {}, (6, 5)),
    ("ReLU", {"max_value": 0.8, "negative_slope": 0.1, "threshold": 0.3}, (6, 5)),
    ("LeakyReLU", {}, (6, 5)),
    ("LeakyReLU", {"negative_slope": 0.7}, (6, 5)),
    ("ELU", {"alpha": 0.4}, (6, 5)),
    ("PReLU", {"alpha_initializer": "ones", "shared_axes": [1]}, (6, 4, 5)),
    ("Softmax", {}, (6, 5)),
    ("Softmax", {"axis": 1}, (6, 4, 5)),
    ("Softmax", {"axis": (1, 2)}, (6, 4, 5)),
    ("Flatten", {}, (6, 4, 5)),
    ("Flatten", {"data_format": "channels_first"}, (6, 4, 5)),
    ("Reshape", {"target_shape": (2, -1)}, (6, 4, 5)),
    ("Rescaling", {"scale": 0.5, "offset": -1.0}, (6, 5)),
    ("Identity", {}, (6, 5)),
    ("ActivityRegularization", {"l1": 0.1, "l2": 0.01}, (6, 5)),
    ("GaussianNoise", {"stddev": 0.2, "seed": 3}, (6, 5)),
    ("GaussianDropout", {"rate": 0.2, "seed": 3}, (6, 5)),
    ("AlphaDropout", {"rate": 0.2, "seed": 3}, (6, 5)),
    ("Dropout", {"rate": 0.2, "seed": 3}, (6, 5)),
    ("Dense", {"units": 7, "activation": "relu"}, (6, 5)),
    ("Dense", {"units": 7, "use_bias": False}, (6, 4, 5)),
    ("BatchNormalization", {}, (6, 5)),
    ("BatchNormalization", {"axis": 1, "center": False}, (6, 4, 5)),
    ("BatchNormalization", {"momentum": 0.7, "epsilon": 0.1, "scale": False}, (6, 4, 5)),
    ("BatchNormalization", {"trainable": False}, (6, 5)),
    ("LayerNormalization", {}, (6, 5)),
    ("LayerNormalization", {"axis": [1, 2], "epsilon": 0.1}, (6, 4, 5)),
    ("LayerNormalization", {"scale": False}, (6, 4, 5)),
    ("Normalization", {"axis": -1, "mean": 0.5, "variance": 4.0}, (6, 5)),
    ("Normalization", {"axis": 1, "mean": [0.5] * 4, "variance": [4.0] * 4}, (6, 4, 5)),
    ("Normalization", {"axis": None, "mean": 2.0, "variance": 3.0, "invert": True}, (6, 5)),
    ("Add", {}, [(6, 4, 5), (6, 4, 5), (6, 5)]),
    ("Subtract", {}, [(6, 5), (6, 5)]),
    ("Multiply", {}, [(6, 5), (6, 1)]),
    ("Average", {}, [(6, 5), (6, 5), (6, 5)]),
    ("Maximum", {}, [(6, 5), (6, 5)]),
    ("Minimum", {}, [(6, 5), (6, 5)]),
    ("Concatenate", {"axis": 1}, [(6, 4, 5), (6, 2, 5)]),
]
every_case = pytest.mark.parametrize(
    ("name", "options", "shape"), CASES, ids=[f"{name} {options}" for name, options, _ in CASES]
)
RANDOM = {"GaussianNoise", "GaussianDropout", "AlphaDropout", "Dropout"}


def _drawn(rng, shape):
    if isinstance(shape, list):
        return [_drawn(rng, part) for part in shape]
    return rng.standard_normal(shape).astype(np.float32)


def _both(name, options):
    return getattr(layers, name)(**options), getattr(keras.layers, name)(**options)


def _values(tensor):
    return keras.ops.convert_to_numpy(tensor)


@every_case
def test_outputs_and_state(name, options, shape, rng):
    """Three calls, in training where nothing is drawn, and one of inference."""
    ours, theirs = _both(name, options)
    x = _drawn(rng, shape)
    for layer in (ours, theirs):
        layer.build([*shape] if isinstance(shape, list) else shape)
    for w in ours.trainable_weights:
        w.assign(rng.standard_normal(w.shape))
    theirs.set_weights(ours.get_weights())
    for training in (*[name not in RANDOM] * 3, False):
        found, expected = ours(x, training=training), theirs(x, training=training)
        np.testing.assert_allclose(found, _values(expected), rtol=2e-6, atol=2e-6)
        x = _drawn(rng, shape)
    for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7)
    losses = [float(_values(loss)) for loss in theirs.losses]
    np.testing.assert_allclose([float(loss) for loss in ours.losses], losses, rtol=1e-6)


@every_case
def test_weights_and_shapes(name, options, shape, rng):
    ours, theirs = _both(name, options)
    shape = [(None, *s[1:]) for s in shape] if isinstance(shape, list) else (None, *shape[1:])
    assert ours.built or not theirs.built
    for layer in (ours, theirs):
        layer.build(shape)
    for part in ("weights", "trainable_weights", "non_trainable_weights"):
        described = [
            [(w.name, tuple(w.shape)) for w in getattr(layer, part)] for layer in (ours, theirs)
        ]
        assert described[0] == described[1]
    assert ours.compute_output_shape(shape) == tuple(theirs.compute_output_shape(shape))


NOT_HERE = {
    "BatchNormalization": {"renorm", "renorm_clipping", "renorm_momentum", "synchronized"},
    "LayerNormalization": {"rms_scaling"},
    "Dense": {"quantization_config"},
}


@every_case
def test_configurations(name, options, shape):
    """Keras's keys, and its values where they are plain."""
    ours, theirs = (layer.get_config() for layer in _both(name, options))
    assert set(theirs) - set(ours) == NOT_HERE.get(name, set())
    for key, value in theirs.items():
        if key in ours and key != "name" and isinstance(value, bool | int | float | None):
            assert ours[key] == value, key


def test_adapt(rng):
    x = (3 * rng.standard_normal((50, 4, 3)) + 1).astype(np.float32)
    for axis in (-1, None, 1, (1, 2)):
        ours, theirs = _both("Normalization", {"axis": axis})
        for layer in (ours, theirs):
            layer.adapt(x)
        np.testing.assert_allclose(ours(x), _values(theirs(x)), rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(ours.mean, _values(theirs.mean), rtol=1e-5)
        np.testing.assert_allclose(ours.variance, _values(theirs.variance), rtol=1e-5)
        assert [w.name for w in ours.weights] == [w.name for w in theirs.weights]


def test_input():
    ours, theirs = _both("InputLayer", {"shape": (3, None)})
    assert ours.batch_shape == theirs.batch_shape
    assert layers.Input((3, None)).shape == keras.Input((3, None)).shape
    assert (ours.dtype, ours.get_config()["batch_shape"]) == (theirs.dtype, [None, 3, None])

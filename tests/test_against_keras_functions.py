"""Regularizers, constraints, initializers and activations, against Keras itself."""

import numpy as np
import pytest
from keras_reference import keras

import fastnn
from fastnn import activations

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of Keras with torch

REGULARIZERS = {
    "L1": {"l1": 0.3},
    "L2": {"l2": 0.2},
    "L1L2": {"l1": 0.3, "l2": 0.2},
    "OrthogonalRegularizer": {"factor": 0.1, "mode": "columns"},
}

CONSTRAINTS = {
    "MaxNorm": {"max_value": 1.5, "axis": 1},
    "MinMaxNorm": {"min_value": 1.0, "max_value": 2.0, "rate": 0.3, "axis": 0},
    "NonNeg": {},
    "UnitNorm": {"axis": 0},
}


@pytest.mark.parametrize(
    ("family", "name", "config"),
    [
        *(("regularizers", name, config) for name, config in REGULARIZERS.items()),
        *(("constraints", name, config) for name, config in CONSTRAINTS.items()),
    ],
)
def test_of_weights(family, name, config, rng):
    w = rng.standard_normal((6, 5)).astype(np.float32)
    ours, theirs = (getattr(getattr(k, family), name) for k in (fastnn, keras))
    expected = keras.ops.convert_to_numpy(theirs(**config)(keras.ops.convert_to_tensor(w)))
    np.testing.assert_allclose(ours(**config)(w), expected, rtol=1e-6)
    assert ours().get_config() == pytest.approx(theirs().get_config())
    assert ours(**config).get_config() == pytest.approx(theirs(**config).get_config())


INITIALIZERS = [
    *("GlorotNormal", "GlorotUniform", "HeNormal", "HeUniform", "LecunNormal", "LecunUniform"),
    *("RandomNormal", "RandomUniform", "TruncatedNormal", "VarianceScaling", "Orthogonal"),
    *("Constant", "Identity", "Ones", "Zeros"),
]


@pytest.mark.parametrize("name", INITIALIZERS)
def test_initializers(name):
    """The same arguments, and the same spread of what is drawn."""
    ours, theirs = (getattr(k.initializers, name)() for k in (fastnn, keras))
    assert {**ours.get_config(), **theirs.get_config()} == ours.get_config()
    a, b = (np.sort(np.array(make((200, 300))).ravel()) for make in (ours, theirs))
    np.testing.assert_allclose(a.std(), b.std(), rtol=0.02)
    np.testing.assert_allclose(a[999::599], b[999::599], atol=0.1 * max(b.std(), 1e-9))


ACTIVATIONS = {
    # Not sparsemax: some of Keras's rows are all 0, while their sum must be 1.
    **{name: {} for name in activations._NAMES if name not in ("threshold", "sparsemax")},
    "relu": {"negative_slope": 0.1, "max_value": 2.0, "threshold": 0.5},
    "leaky_relu": {"negative_slope": 0.3},
    "elu": {"alpha": 0.7},
    "celu": {"alpha": 0.7},
    "gelu": {"approximate": True},
    "hard_shrink": {"threshold": 0.2},
    "soft_shrink": {"threshold": 0.2},
    "softmax": {"axis": 0},
    "log_softmax": {"axis": 0},
    "squareplus": {"b": 2.0},
    "threshold": {"threshold": 0.5, "default_value": 3.0},
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations(name, rng):
    x = (3 * rng.standard_normal((8, 6))).astype(np.float32)
    ours, theirs = (getattr(k.activations, name) for k in (fastnn, keras))
    for options in ({}, ACTIVATIONS[name]):
        if name == "threshold" and not options:
            continue
        expected = keras.ops.convert_to_numpy(theirs(keras.ops.convert_to_tensor(x), **options))
        np.testing.assert_allclose(ours(x, **options), expected, rtol=1e-6, atol=1e-6)

"""Losses against Keras: values of functions and classes, reductions, weights, names, arguments."""

from inspect import signature

import numpy as np
import pytest
from keras_reference import keras
from loss_formulas import FORMULAS

import fastnn
from fastnn import losses

REDUCTIONS = ["sum_over_batch_size", "mean", "sum", "mean_with_sample_weight", "none", None]
CLASSES = sorted({formula.of for formula in FORMULAS.values()})
ALIASES = ["bce", "BCE", "kld", "KLD", "mae", "MAE", "mape", "MAPE", "mse", "MSE", "msle", "MSLE"]


def arguments(name):
    """Targets and predictions; Keras would take float64 arrays as float32."""
    formula = FORMULAS[name]
    whole = formula.y_true.dtype.kind == "i"
    return formula.y_true.astype("int32" if whole else "float32"), formula.y_pred.astype("float32")


def assert_agree(found, expected):
    expected = np.asarray(expected)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=3e-7)


@pytest.mark.parametrize("name", FORMULAS)
def test_functions(name):
    function, options = FORMULAS[name].function, FORMULAS[name].options
    expected = getattr(keras.losses, function)(*arguments(name), **options)
    assert_agree(getattr(losses, function)(*arguments(name), **options), expected)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", FORMULAS)
def test_classes(name, weighted, rng):
    of, options = FORMULAS[name].of, FORMULAS[name].options
    ours, theirs = (getattr(m, of)(**options) for m in (losses, keras.losses))
    samples = len(FORMULAS[name].value(*FORMULAS[name][3:5]))
    weights = rng.random(samples).astype("float32") if weighted else None
    y_true, y_pred = arguments(name)
    assert_agree(ours(y_true, y_pred, weights), theirs(y_true, y_pred, weights))


@pytest.mark.parametrize(
    "weights", [None, [0.2, 0.5, 0.0, 3.0], [[1], [2], [3], [4]], 0.3, [0] * 4]
)
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_reductions(reduction, weights):
    y_true, y_pred = arguments("mse")
    weights = None if weights is None else np.array(weights, "float32")
    expected = np.asarray(keras.losses.MeanSquaredError(reduction)(y_true, y_pred, weights))
    found = losses.MeanSquaredError(reduction)(y_true, y_pred, weights)
    # Keras gives weights (n, 1) of values (n,) their shape; here the values keep theirs.
    assert_agree(found, expected.reshape(found.shape))


@pytest.mark.parametrize("shapes", [((4,), (4, 1)), ((4, 1), (4,)), ((4, 2), (4, 2, 1))], ids=str)
@pytest.mark.parametrize("of", ["MeanSquaredError", "BinaryCrossentropy", "Hinge", "Poisson"])
def test_ranks(of, shapes, rng):
    y_true = rng.integers(0, 2, shapes[0]).astype("float32")
    y_pred = rng.uniform(0.1, 0.9, shapes[1]).astype("float32")
    expected = getattr(keras.losses, of)()(y_true, y_pred)
    assert_agree(getattr(losses, of)()(y_true, y_pred), expected)


@pytest.mark.parametrize("shape", [(4, 3), (4, 1), (1, 3), (3,), ()], ids=str)
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_weights_of_values_with_more_axes(shape, reduction, rng):
    """But for (n,) where it is not the last axis, which Keras refuses."""
    a, b = rng.random((2, 4, 3, 2)).astype("float32")
    weights = rng.random(shape).astype("float32")
    expected = keras.losses.MeanSquaredError(reduction)(a, b, weights)
    assert_agree(losses.MeanSquaredError(reduction)(a, b, weights), expected)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("weighted", [False, True])
def test_an_ignored_class(reduction, weighted, rng):
    y_true = np.array([0, 2, 255, 1, 255], np.int32)
    y_pred = rng.uniform(0.1, 1, (5, 3)).astype("float32")
    weights = rng.random(5).astype("float32") if weighted else None
    options = {"ignore_class": 255, "reduction": reduction}
    expected = keras.losses.SparseCategoricalCrossentropy(**options)(y_true, y_pred, weights)
    found = losses.SparseCategoricalCrossentropy(**options)(y_true, y_pred, weights)
    assert_agree(found, expected)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("scalar", [False, True])
def test_own_losses(reduction, weighted, scalar, rng):
    def cubic(base, mean):
        class Cubic(base):
            def call(self, y_true, y_pred):
                error = abs(y_true - y_pred) ** 3
                return mean(error) if scalar else error

        return Cubic(reduction=reduction)

    ours = cubic(losses.Loss, fastnn.reduce_mean)
    theirs = cubic(keras.Loss, keras.ops.mean)
    y_true, y_pred = rng.integers(0, 3, 6), rng.random(6).astype("float32")
    weights = rng.random(6).astype("float32") if weighted else None
    assert_agree(ours(y_true, y_pred, weights), theirs(y_true, y_pred, weights))


@pytest.mark.parametrize("of", CLASSES)
def test_arguments_and_names(of):
    """The same arguments in the same places with the same defaults; the names of the objects."""
    ours, theirs = getattr(losses, of), getattr(keras.losses, of)
    places, expected = (signature(c).parameters for c in (ours, theirs))
    assert list(places) == list(expected)
    for name, parameter in places.items():
        if name != "name":
            assert parameter.default == expected[name].default
    assert ours().name == theirs().name
    assert theirs().get_config().items() <= ours().get_config().items()


@pytest.mark.parametrize("name", sorted({f.function for f in FORMULAS.values()}))
def test_arguments_of_functions(name):
    ours, theirs = (signature(getattr(m, name)).parameters for m in (losses, keras.losses))
    assert [(p.name, p.default) for p in ours.values()] == [
        (p.name, p.default) for p in theirs.values()
    ]


@pytest.mark.parametrize("name", ALIASES)
def test_aliases(name):
    assert losses.get(name).__name__ == keras.losses.get(name).__name__


def test_configurations_of_keras():
    """What Keras wrote is read: its class and module names are the same but for the first word."""
    theirs = keras.losses.serialize(keras.losses.BinaryCrossentropy(label_smoothing=0.1))
    assert losses.deserialize(theirs).label_smoothing == 0.1

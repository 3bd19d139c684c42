"""Regularizers and constraints: formulas in NumPy, names, configurations, errors, in training."""

import numpy as np
import pytest

import fastnn
from fastnn import (
    GradientTape,
    Variable,
    activations,
    constraints,
    initializers,
    layers,
    losses,
    metrics,
    optimizers,
    regularizers,
)


def cosines(w):
    units = w / np.sqrt((w**2).sum(1, keepdims=True))
    products = abs(units @ units.T)
    n = len(w)
    return (products.sum() - np.trace(products)) / (n * (n - 1))


REGULARIZERS = {
    "l1": (lambda: regularizers.L1(0.3), lambda w: 0.3 * abs(w).sum()),
    "l2": (lambda: regularizers.L2(0.2), lambda w: 0.2 * (w**2).sum()),
    "both": (
        lambda: regularizers.L1L2(0.3, 0.2),
        lambda w: 0.3 * abs(w).sum() + 0.2 * (w**2).sum(),
    ),
    "one of both": (lambda: regularizers.L1L2(l1=0.3), lambda w: 0.3 * abs(w).sum()),
    "none of both": (regularizers.L1L2, lambda w: 0.0),
    "rows": (lambda: regularizers.OrthogonalRegularizer(0.1), lambda w: 0.1 * cosines(w)),
    "columns": (
        lambda: regularizers.OrthogonalRegularizer(0.1, mode="columns"),
        lambda w: 0.1 * cosines(w.T),
    ),
}


def norms(w, axis=0):
    return np.sqrt((w**2).sum(axis, keepdims=True))


CONSTRAINTS = {
    "max_norm": (
        lambda: constraints.MaxNorm(1.5),
        lambda w: w * np.minimum(norms(w), 1.5) / (norms(w) + 1e-7),
    ),
    "unit_norm": (
        lambda: constraints.UnitNorm(axis=1),
        lambda w: w / (norms(w, 1) + 1e-7),
    ),
    "min_max_norm": (
        lambda: constraints.MinMaxNorm(1.0, 2.0, axis=(0, 1)),
        lambda w: w * np.clip(norms(w, (0, 1)), 1, 2) / (norms(w, (0, 1)) + 1e-7),
    ),
    "min_max_norm, slowly": (
        lambda: constraints.MinMaxNorm(1.0, 2.0, rate=0.3),
        lambda w: w * (0.3 * np.clip(norms(w), 1, 2) + 0.7 * norms(w)) / (norms(w) + 1e-7),
    ),
    "non_neg": (constraints.NonNeg, lambda w: np.maximum(w, 0)),
    "none": (constraints.Constraint, lambda w: w),
}


@pytest.mark.parametrize("name", REGULARIZERS)
@pytest.mark.parametrize("kind", [np.asarray, fastnn.constant, Variable])
def test_penalties(name, kind, dtype, rng):
    make, reference = REGULARIZERS[name]
    w = rng.standard_normal((5, 4)).astype(dtype)
    found = make()(kind(w))
    assert found.shape == ()
    assert found.dtype == dtype
    np.testing.assert_allclose(
        float(found), reference(w.astype(float)), rtol=20 * np.finfo(dtype).eps
    )


@pytest.mark.parametrize("name", REGULARIZERS)
def test_gradients(name, rng):
    make, reference = REGULARIZERS[name]
    w = Variable(rng.standard_normal((5, 4)))
    with GradientTape() as tape:
        y = make()(w)
    found = tape.gradient(y, w)
    slopes = np.zeros(w.shape)
    for at in np.ndindex(w.shape):
        step = np.zeros(w.shape)
        step[at] = 1e-6
        slopes[at] = (reference(w.numpy() + step) - reference(w.numpy() - step)) / 2e-6
    np.testing.assert_allclose(0 if found is None else found, slopes, atol=1e-8)


@pytest.mark.parametrize("name", [*REGULARIZERS, *CONSTRAINTS])
def test_compiled(name, dtype, rng):
    """The same bits as a program."""
    function = {**REGULARIZERS, **CONSTRAINTS}[name][0]()
    w = Variable(rng.standard_normal((5, 4)).astype(dtype))
    compiled = fastnn.function(lambda: function(w))
    for _ in range(2):
        np.testing.assert_array_equal(compiled(), function(w), strict=True)
        w.assign(2 * w)


def test_zero_rows_and_single_rows_have_no_cosine():
    of_rows = regularizers.OrthogonalRegularizer(1.0)
    assert float(of_rows(fastnn.zeros((3, 2)))) == 0
    assert float(of_rows(fastnn.ones((1, 2)))) == 0


def test_defaults():
    assert regularizers.l1().l1 == regularizers.l2().l2 == regularizers.L1(None).l1 == 0.01
    assert regularizers.l1_l2().get_config() == {"l1": 0.01, "l2": 0.01}
    assert regularizers.l1_l2(l1=0.5).get_config() == {"l1": 0.5, "l2": 0.0}
    assert regularizers.l1_l2(l2=0.5).get_config() == {"l1": 0.0, "l2": 0.5}
    assert regularizers.L1L2().get_config() == {"l1": 0.0, "l2": 0.0}
    assert regularizers.OrthogonalRegularizer().get_config() == {"factor": 0.01, "mode": "rows"}


@pytest.mark.parametrize("value", [-1, np.nan, np.inf, "0.1", [0.1], True])
@pytest.mark.parametrize("make", [regularizers.L1, regularizers.L2, regularizers.L1L2])
def test_factors(make, value):
    with pytest.raises(ValueError, match=r"must be a number and not negative, got"):
        make(value)


def test_errors():
    with pytest.raises(ValueError, match="mode must be 'rows' or 'columns', got 'diagonal'"):
        regularizers.OrthogonalRegularizer(mode="diagonal")
    with pytest.raises(ValueError, match=r"needs a matrix, got shape \(2, 3, 4\)"):
        regularizers.OrthogonalRegularizer()(fastnn.ones((2, 3, 4)))
    with pytest.raises(ValueError, match="unknown regularizer 'L3'"):
        regularizers.get("L3")
    with pytest.raises(TypeError, match=r"no number: write L2\(3\)"):
        regularizers.get(3)


@pytest.mark.parametrize("name", ["l1", "L1", "l2", "L2", "l1l2", "l1_l2", "L1L2"])
def test_regularizers_by_name(name):
    found = regularizers.get(name)
    assert type(found).__name__ == name.upper().replace("_", "")
    assert regularizers.get(found) is found


def test_none_and_functions():
    assert regularizers.get(None) is None
    assert constraints.get(None) is None
    assert regularizers.get(abs) is abs
    assert isinstance(regularizers.get(regularizers.L2), regularizers.L2)


def test_configurations():
    for family, made in (
        (regularizers, regularizers.L1L2(0.1, 0.2)),
        (regularizers, regularizers.OrthogonalRegularizer(0.1, "columns")),
        (constraints, constraints.MinMaxNorm(0.5, 2.0, 0.7, axis=1)),
        (constraints, constraints.MaxNorm(3.0, axis=(0, 1))),
        (constraints, constraints.NonNeg()),
    ):
        again = type(made).from_config(made.get_config())
        assert again.get_config() == made.get_config()
        for config in (
            family.serialize(made),
            {"class_name": type(made).__name__, "config": made.get_config()},
        ):
            for found in (family.deserialize(config), family.get(config)):
                assert type(found) is type(made)
                assert found.get_config() == made.get_config()


@pytest.mark.parametrize("name", CONSTRAINTS)
@pytest.mark.parametrize("kind", [np.asarray, fastnn.constant, Variable])
def test_constraints(name, kind, dtype, rng):
    make, reference = CONSTRAINTS[name]
    w = rng.standard_normal((5, 4)).astype(dtype)
    w[:, 2] = 0
    found = make()(kind(w))
    assert found.dtype == dtype
    np.testing.assert_allclose(
        found, reference(w.astype(float)), rtol=20 * np.finfo(dtype).eps, atol=1e-7
    )


@pytest.mark.parametrize("name", ["max_norm", "min_max_norm", "non_neg", "unit_norm"])
def test_constraints_by_name(name):
    found = constraints.get(name)
    assert type(found).__name__.lower() == name.replace("_", "")
    assert type(constraints.get(type(found).__name__)) is type(found)
    with pytest.raises(ValueError, match="did you mean"):
        constraints.get(name + "x")


def test_a_layer_takes_them():
    layer = layers.Dense(
        3,
        kernel_regularizer="l2",
        bias_regularizer=regularizers.l1(0.5),
        kernel_constraint=constraints.max_norm(2.0),
        bias_constraint="non_neg",
        bias_initializer="ones",
    )
    layer(fastnn.ones((2, 4)))
    kernel = layer.kernel.numpy().astype(float)
    expected = [0.01 * (kernel**2).sum(), 1.5]
    np.testing.assert_allclose([float(x) for x in layer.losses], expected, rtol=1e-6)
    assert layer.kernel.constraint.max_value == 2
    assert isinstance(layer.bias.constraint, constraints.NonNeg)


@pytest.mark.parametrize(
    ("family", "base"),
    [
        (activations, activations.softplus),
        (constraints, constraints.UnitNorm),
        (initializers, initializers.Zeros),
        (losses, losses.Huber),
        (metrics, metrics.Mean),
        (optimizers, optimizers.SGD),
        (regularizers, regularizers.L2),
    ],
    ids=lambda thing: getattr(thing, "__name__", None),
)
def test_ones_own_of_the_same_name(family, base):
    """What the caller hands in comes before fastnn's own."""
    if isinstance(base, type):
        own = type(base.__name__, (base,), {})
        config = family.serialize(own())
        assert type(family.deserialize(config, {base.__name__: own})) is own
    else:
        own = lambda x: x  # noqa: E731  # to be given the other's name
        own.__name__ = base.__name__
        assert family.deserialize(family.serialize(own), {base.__name__: own}) is own
    assert isinstance(family.get(base.__name__), base if isinstance(base, type) else type(base))

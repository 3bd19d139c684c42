"""Losses and metrics against formulas in float64, and their checks of targets."""

import numpy as np
import pytest

import fastnn
from fastnn import losses, metrics

P = np.array([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8]])


@pytest.mark.parametrize("labels", [[0, 1], np.array([0, 1], np.uint8), [[0], [1]], [0.0, 1.0]])
def test_sparse_categorical_crossentropy(labels):
    expected = -np.log([0.7, 0.1])
    loss = losses.sparse_categorical_crossentropy(labels, P)
    np.testing.assert_allclose(loss, expected, rtol=1e-12)
    np.testing.assert_allclose(losses.sparse_categorical_crossentropy(labels, 5 * P), expected)
    from_logits = losses.sparse_categorical_crossentropy(labels, np.log(P), from_logits=True)
    np.testing.assert_allclose(from_logits, expected, rtol=1e-12)


def test_categorical_crossentropy():
    targets = np.array([[0.5, 0.5, 0.0], [0.0, 0.0, 1.0]])
    expected = -(targets * np.log(P)).sum(-1)
    np.testing.assert_allclose(losses.categorical_crossentropy(targets, P), expected)
    from_logits = losses.categorical_crossentropy(targets, np.log(P), from_logits=True)
    np.testing.assert_allclose(from_logits, expected, rtol=1e-12)


@pytest.mark.parametrize("sparse", [True, False])
def test_probabilities_are_clipped_above_too(sparse):
    """-log(1 - 1e-7), not 0: a hand-made certainty has a loss, as in Keras."""
    loss = losses.sparse_categorical_crossentropy if sparse else losses.categorical_crossentropy
    found = loss([0] if sparse else [[1.0, 0.0]], np.array([[1.0, 0.0]]))
    np.testing.assert_allclose(found, [1e-7], rtol=1e-6)


def test_large_logits():
    loss = losses.categorical_crossentropy([[0.0, 1.0]], [[1e4, -1e4]], from_logits=True)
    np.testing.assert_allclose(loss, [2e4])


@pytest.mark.parametrize("sparse", [True, False])
def test_probabilities_are_clipped_and_those_of_a_softmax_are_not(sparse):
    """The largest loss from probabilities is -log(1e-7) = 16.118; from a softmax there is none."""
    loss = losses.sparse_categorical_crossentropy if sparse else losses.categorical_crossentropy
    target = [1] if sparse else [[0.0, 1.0]]
    np.testing.assert_allclose(loss(target, np.array([[1.0, 0.0]])), [16.118], atol=1e-3)
    probabilities = fastnn.softmax([[50.0, -50.0]])
    np.testing.assert_allclose(loss(target, probabilities), [100], rtol=1e-6)
    np.testing.assert_allclose(loss(target, probabilities.numpy()), [16.118], atol=1e-3)


@pytest.mark.parametrize(
    ("y_true", "y_pred"),
    [((4, 3), (4, 3)), ((4,), (4, 1)), ((4, 1), (4,)), ((4,), (4,)), ((4, 2, 3), (4, 2, 3))],
)
def test_mean_squared_error(y_true, y_pred, rng):
    a, b = rng.standard_normal(y_true), rng.standard_normal(y_pred)
    columns = (4, *max(y_true, y_pred, key=len)[1:])
    expected = ((a.reshape(columns) - b.reshape(columns)) ** 2).mean(-1)
    np.testing.assert_allclose(losses.mean_squared_error(a, b), expected)


WRONG = {
    "labels too high": (
        losses.sparse_categorical_crossentropy,
        [0, 3],
        r"y_true\[1\] is 3; 3 classes",
    ),
    "labels negative": (losses.sparse_categorical_crossentropy, [-1, 0], r"y_true\[0\] is -1"),
    "labels fractional": (losses.sparse_categorical_crossentropy, [0.5, 1], r"y_true\[0\] is 0.5"),
    "labels nan": (losses.sparse_categorical_crossentropy, [0, np.nan], r"y_true\[1\] is nan"),
    "labels infinite": (losses.sparse_categorical_crossentropy, [0, np.inf], r"y_true\[1\] is inf"),
    "labels missing": (losses.sparse_categorical_crossentropy, [0], r"\(1,\) and y_pred \(2, 3\)"),
    "one-hot labels": (
        losses.sparse_categorical_crossentropy,
        np.eye(3)[:2],
        "use categorical_crossentropy",
    ),
    "inputs not flattened": (
        lambda y, p: losses.sparse_categorical_crossentropy(y, np.ones((2, 28, 3))),
        [0, 1],
        r"flatten the model's input with x.reshape\(len\(x\), -1\)",
    ),
    "sparse targets": (losses.categorical_crossentropy, [0, 1], "use sparse_categorical"),
    "targets of (n,)": (losses.mean_squared_error, [1.0, 2.0], r"\(2,\) and y_pred \(2, 3\)"),
    "targets wide": (losses.mean_squared_error, np.ones((2, 4)), "must be equal"),
}


@pytest.mark.parametrize(("loss", "y_true", "message"), WRONG.values(), ids=WRONG.keys())
def test_wrong_targets(loss, y_true, message):
    with pytest.raises(ValueError, match=message):
        loss(y_true, P)


@pytest.mark.parametrize("name", ["sparse_categorical_crossentropy", "mean_squared_error"])
def test_no_axis(name):
    with pytest.raises(ValueError, match=r"\(\)"):
        losses.get(name)(1.0, 1.0)


def test_accuracies():
    np.testing.assert_array_equal(metrics.accuracy([0, 1], P), [1, 0])
    np.testing.assert_array_equal(metrics.accuracy([[0], [1]], P), [1, 0])
    np.testing.assert_array_equal(metrics.accuracy(np.eye(3)[[0, 2]], P), [1, 1])
    np.testing.assert_array_equal(metrics.accuracy([1, 0, 1], [[0.6], [0.6], [0.5]]), [1, 0, 0])
    np.testing.assert_array_equal(metrics.accuracy([[1], [0]], [[0.6], [0.4]]), [1, 1])
    halves = metrics.binary_accuracy([[1, 0], [1, 1]], [[0.9, 0.9], [0.9, 0.9]])
    np.testing.assert_array_equal(halves, [0.5, 1])


@pytest.mark.parametrize(
    ("accuracy", "y_true", "y_pred"),
    [
        (metrics.categorical_accuracy, [0, 1], P),
        (metrics.sparse_categorical_accuracy, np.eye(3)[:2], P),
        (metrics.sparse_categorical_accuracy, [0], P),
        (metrics.accuracy, [0], P),
        (metrics.accuracy, 1, 0.3),
        (metrics.binary_accuracy, [1, 0, 1], [[0.5], [0.5]]),
    ],
)
def test_targets_that_do_not_fit(accuracy, y_true, y_pred):
    with pytest.raises(ValueError, match="the targets have shape"):
        accuracy(y_true, y_pred)


@pytest.mark.parametrize(("family", "name"), [(losses, "loss"), (metrics, "metric")])
def test_names(family, name):
    def own(y_true, y_pred):
        return y_pred

    assert family.get(own) is own
    assert family.get("mse") is losses.mean_squared_error
    with pytest.raises(
        ValueError, match=f"unknown {name} 'mean_squared_eror'; did you mean 'mean_s"
    ):
        family.get("mean_squared_eror")
    with pytest.raises(ValueError, match="choose one of"):
        family.get("zzz")
    with pytest.raises(TypeError, match="must be a name or a function"):
        family.get(7)

"""Metrics, against Keras itself: several batches, weighted and not, and configurations."""

import numpy as np
import pytest
from keras_reference import keras

import fastnn
from fastnn import metrics

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of Keras with torch

CLASSES = 4


def numbers(rng, n):
    return rng.random((n, 3)) + 0.1, rng.random((n, 3)) + 0.1


def signs(rng, n):
    return np.where(rng.random((n, 2)) < 0.5, -1.0, 1.0), rng.normal(size=(n, 2))


def bits(rng, n):
    return rng.integers(0, 2, (n, 3)), rng.integers(0, 2, (n, 3))


def binary(rng, n):
    return rng.integers(0, 2, (n, 1)), rng.random((n, 1))


def several(rng, n):
    return rng.integers(0, 2, (n, CLASSES)), rng.random((n, CLASSES))


def probabilities(rng, n):
    p = rng.random((n, CLASSES))
    return p / p.sum(axis=1, keepdims=True)


def one_hot(rng, n):
    return np.eye(CLASSES)[rng.integers(0, CLASSES, n)], probabilities(rng, n)


def labels(rng, n):
    return rng.integers(0, CLASSES, n), probabilities(rng, n)


def tied(rng, n):
    return rng.integers(0, CLASSES, n), rng.integers(0, 3, (n, CLASSES)) / 2


CASES = [
    ("Accuracy", {}, bits),
    ("BinaryAccuracy", {}, binary),
    ("BinaryAccuracy", {"threshold": 0.7}, binary),
    ("CategoricalAccuracy", {}, one_hot),
    ("SparseCategoricalAccuracy", {}, labels),
    ("TopKCategoricalAccuracy", {"k": 2}, one_hot),
    ("SparseTopKCategoricalAccuracy", {"k": 2}, labels),
    ("SparseTopKCategoricalAccuracy", {"k": 1}, tied),
    ("SparseTopKCategoricalAccuracy", {"k": 3}, tied),
    ("MeanSquaredError", {}, numbers),
    ("RootMeanSquaredError", {}, numbers),
    ("MeanAbsoluteError", {}, numbers),
    ("MeanAbsolutePercentageError", {}, numbers),
    ("MeanSquaredLogarithmicError", {}, numbers),
    ("LogCoshError", {}, numbers),
    ("CosineSimilarity", {}, numbers),
    ("R2Score", {}, numbers),
    ("R2Score", {"class_aggregation": None}, numbers),
    ("R2Score", {"class_aggregation": "variance_weighted_average"}, numbers),
    ("R2Score", {"num_regressors": 2}, numbers),
    ("BinaryCrossentropy", {}, binary),
    ("BinaryCrossentropy", {"label_smoothing": 0.1}, binary),
    ("BinaryCrossentropy", {"from_logits": True}, binary),
    ("CategoricalCrossentropy", {}, one_hot),
    ("CategoricalCrossentropy", {"from_logits": True, "label_smoothing": 0.1}, one_hot),
    ("SparseCategoricalCrossentropy", {}, labels),
    ("SparseCategoricalCrossentropy", {"from_logits": True}, labels),
    ("KLDivergence", {}, one_hot),
    ("Poisson", {}, numbers),
    ("Hinge", {}, signs),
    ("SquaredHinge", {}, signs),
    ("CategoricalHinge", {}, one_hot),
    ("TruePositives", {}, binary),
    ("FalsePositives", {"thresholds": [0.2, 0.7]}, several),
    ("TrueNegatives", {"thresholds": 0.3}, several),
    ("FalseNegatives", {}, several),
    ("Precision", {}, binary),
    ("Precision", {"thresholds": [0.1, 0.5, 0.9]}, several),
    ("Precision", {"top_k": 2}, several),
    ("Precision", {"top_k": 2, "class_id": 1}, one_hot),
    ("Recall", {}, several),
    ("Recall", {"class_id": 2, "thresholds": 0.2}, one_hot),
    ("Recall", {"top_k": 1}, one_hot),
    ("AUC", {}, binary),
    ("AUC", {"num_thresholds": 7}, binary),
    ("AUC", {"curve": "PR"}, binary),
    ("AUC", {"curve": "PR", "summation_method": "minoring"}, binary),
    ("AUC", {"summation_method": "majoring"}, binary),
    ("AUC", {"curve": "PRGAIN"}, binary),
    ("AUC", {"thresholds": [0.2, 0.35, 0.8]}, binary),
    ("AUC", {"from_logits": True}, signs),
    ("AUC", {"multi_label": True}, several),
    ("AUC", {"multi_label": True, "num_labels": CLASSES, "curve": "PR"}, several),
    ("AUC", {"multi_label": True, "label_weights": [0.1, 0.2, 0.3, 0.4]}, several),
    ("SensitivityAtSpecificity", {"specificity": 0.4}, binary),
    ("SpecificityAtSensitivity", {"sensitivity": 0.4, "num_thresholds": 1}, binary),
    ("PrecisionAtRecall", {"recall": 0.6, "class_id": 1}, several),
    ("RecallAtPrecision", {"precision": 0.55}, binary),
    ("F1Score", {}, one_hot),
    ("F1Score", {"threshold": 0.5, "average": "micro"}, several),
    ("FBetaScore", {"beta": 2.0, "average": "macro"}, one_hot),
    ("FBetaScore", {"beta": 0.5, "average": "weighted", "threshold": 0.3}, several),
]


def batches(draw, rng):
    for n in (32, 32, 7):
        y, p = draw(rng, n)
        yield y, p.astype(np.float32), rng.random(n).astype(np.float32)


@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
@pytest.mark.parametrize(("name", "options", "draw"), CASES, ids=lambda x: str(x)[:40])
def test_several_batches(name, options, draw, weighted, rng):
    ours, theirs = getattr(metrics, name)(**options), getattr(keras.metrics, name)(**options)
    for y, p, w in batches(draw, rng):
        ours.update_state(y, p, sample_weight=w if weighted else None)
        theirs.update_state(y, p, sample_weight=w if weighted else None)
    assert ours.name.rstrip("_0123456789") == theirs.name.rstrip("_0123456789")
    expected = keras.ops.convert_to_numpy(theirs.result())
    rtol = 1e-5 if name == "R2Score" else 2e-6  # Keras subtracts large sums in float32
    np.testing.assert_allclose(np.asarray(ours.result()), expected, rtol=rtol, atol=1e-7)
    ours.reset_state()
    assert all((v.numpy() == 0).all() for v in ours.variables)


@pytest.mark.parametrize(("name", "options", "draw"), CASES, ids=lambda x: str(x)[:40])
def test_configurations(name, options, draw, rng):
    ours, theirs = getattr(metrics, name)(**options), getattr(keras.metrics, name)(**options)
    config, expected = ours.get_config(), theirs.get_config()
    assert config.keys() >= expected.keys() - {"beta"}
    for key in config.keys() & expected.keys() - {"name", "label_weights"}:
        assert config[key] == expected[key]
    again = metrics.deserialize(metrics.serialize(ours))
    assert type(again) is type(ours)
    assert again.get_config() == config
    for y, p, _ in batches(draw, rng):
        np.testing.assert_array_equal(ours(y, p), again(y, p))


def test_names():
    names = [name for name in vars(keras.metrics) if name[0].isupper()]
    missing = {name for name in names if not hasattr(metrics, name)}
    assert missing == {
        "BinaryIoU",
        "ConcordanceCorrelation",
        "IoU",
        "MeanIoU",
        "OneHotIoU",
        "OneHotMeanIoU",
        "PearsonCorrelation",
    }
    for name in ("mse", "bce", "MAPE", "root_mean_squared_error", "AUC", "precision"):
        assert isinstance(metrics.to_metric(name), fastnn.metrics.Metric)

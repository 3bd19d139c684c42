"""Layers inside models: training and evaluation with the statistics that belong to each."""

import numpy as np
import pytest

import fastnn
from fastnn import Sequential, layers

DEEP = {
    "batch normalization": lambda: [
        part
        for _ in range(6)
        for part in (layers.Dense(24), layers.BatchNormalization(momentum=0.9), layers.ReLU())
    ],
    "layer normalization": lambda: [
        part for _ in range(6) for part in (layers.Dense(24, "relu"), layers.LayerNormalization())
    ],
    "activations": lambda: [
        part
        for activation in (layers.ELU, layers.LeakyReLU, layers.PReLU)
        for part in (layers.Dense(24), activation(), layers.GaussianNoise(0.05))
    ],
}


def _rings(rng, n=600):
    """Points of two rings, as images of 1 by 2 pixels, with brightnesses from 0 to 255."""
    y = rng.integers(0, 2, n)
    angle = rng.uniform(0, 2 * np.pi, n)
    radius = np.where(y == 1, 0.9, 0.4) + 0.03 * rng.standard_normal(n)
    x = np.stack([radius * np.cos(angle), radius * np.sin(angle)], -1)
    return np.clip(127.5 * (x + 1), 0, 255).astype(np.uint8)[:, None], y


@pytest.mark.parametrize("name", DEEP)
def test_deep_models_learn(name, rng):
    x, y = _rings(rng)
    normalization = layers.Normalization()
    normalization.adapt(x)
    model = Sequential(
        [
            fastnn.Input((1, 2)),
            normalization,
            layers.Flatten(),
            *DEEP[name](),
            layers.Dense(2),
            layers.Softmax(),
        ]
    )
    weights = len(model.weights)
    assert weights
    model.compile("adam", "sparse_categorical_crossentropy", ["accuracy"])
    history = model.fit(x, y, epochs=20, batch_size=50, verbose=0, validation_split=0.1).history
    assert history["accuracy"][-1] > 0.95
    assert model.evaluate(x, y, verbose=0)[1] > 0.95
    assert len(model.weights) == weights


def test_prediction_does_not_depend_on_the_batch(rng):
    x = rng.standard_normal((50, 6)).astype(np.float32)
    model = Sequential([layers.Dense(5), layers.BatchNormalization(), layers.LayerNormalization()])
    model.compile("sgd", "mse")
    model.fit(x, x[:, :5], batch_size=20, epochs=2, verbose=0)
    together = model.predict(x)
    np.testing.assert_array_equal(model.predict(x, batch_size=7), together)
    np.testing.assert_allclose(model(x), together, rtol=1e-6)


def test_fit_moves_the_averages_batch_by_batch(rng):
    """Over 3 batches, the last one short, in order: the formula in float64."""
    x = rng.standard_normal((50, 4)).astype(np.float32)
    layer = layers.BatchNormalization(momentum=0.7)
    model = Sequential([layer])
    model.compile("sgd", "mse")
    model.fit(x, x, batch_size=20, shuffle=False, verbose=0)
    mean, variance = np.zeros(4), np.ones(4)
    for start in (0, 20, 40):
        batch = x[start : start + 20].astype(np.float64)
        mean = 0.7 * mean + 0.3 * batch.mean(0)
        variance = 0.7 * variance + 0.3 * batch.var(0)
    np.testing.assert_allclose(layer.moving_mean, mean, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(layer.moving_variance, variance, rtol=1e-5)
    model.evaluate(x, x, verbose=0)
    model.predict(x)
    np.testing.assert_allclose(layer.moving_mean, mean, rtol=1e-5, atol=1e-6)


def test_freezing_a_layer_counts_in_the_next_fit(rng):
    x = rng.standard_normal((40, 3)).astype(np.float32)
    layer = layers.BatchNormalization()
    model = Sequential([layer, layers.Dense(3)])
    model.compile("sgd", "mse")
    model.fit(x, x, verbose=0)
    layer.trainable = False
    before = layer.get_weights()
    model.fit(x, x, verbose=0)
    for a, b in zip(layer.get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)


def test_an_input_first_is_no_layer_of_the_model():
    model = Sequential([fastnn.Input((4,)), layers.Dense(3), layers.BatchNormalization()])
    assert [type(layer) for layer in model.layers] == [layers.Dense, layers.BatchNormalization]
    assert [w.shape for w in model.weights] == [(4, 3), (3,), (3,), (3,), (3,), (3,)]
    with pytest.raises(ValueError, match=r"\(2, 5\) is incompatible with the layer"):
        model(np.ones((2, 5)))


def test_activity_penalties_are_of_a_sample(rng):
    """Twice the batch, the same penalty; and it is part of the loss that is reported."""
    layer = layers.Dense(3, activity_regularizer="l2")
    model = Sequential([layer])
    model.compile("sgd", "mse")
    x = rng.standard_normal((8, 4)).astype(np.float32)
    out = model(x).numpy().astype(np.float64)
    penalty = 0.01 * (out**2).sum() / 8
    np.testing.assert_allclose(model.losses[0], penalty, rtol=1e-6)
    model(np.concatenate([x, x]))
    np.testing.assert_allclose(model.losses[0], penalty, rtol=1e-6)
    found = model.evaluate(x, np.zeros((8, 3)), verbose=0)
    np.testing.assert_allclose(found, (out**2).mean() + penalty, rtol=1e-6)

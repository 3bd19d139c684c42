"""Experiments on overfitting: noise, capacity, learning rates, penalties, dropout."""

import numpy as np
import pytest
from stand_ins import digits, multi_hot, reviews


def small_digits(count=1000):
    (x, y), test = digits()
    return (x[:count], y[:count]), test


def digit_model(keras, width=128, optimizer="rmsprop"):
    layers = keras.layers
    model = keras.Sequential(
        [layers.Dense(width, activation="relu"), layers.Dense(10, activation="softmax")]
    )
    model.compile(optimizer=optimizer, loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def test_noise_beside_the_pixels(keras):
    """White noise channels hurt; zeros do not. Joined arrays are float64."""
    rng = np.random.default_rng(0)
    (x, y), _ = digits()
    with_noise = np.concatenate([x, rng.random((len(x), 784))], axis=1)
    with_zeros = np.concatenate([x, np.zeros((len(x), 784))], axis=1)
    assert with_noise.dtype == np.float64
    accuracies = []
    for data in (with_noise, with_zeros):
        keras.utils.set_random_seed(1)
        history = digit_model(keras).fit(
            data, y, epochs=6, batch_size=128, validation_split=0.2, verbose=0
        )
        accuracies.append(history.history["val_accuracy"][-1])
    assert accuracies[0] < accuracies[1]
    assert accuracies[1] > 0.85


def test_labels_in_random_order(keras):
    """Such labels can be learned by heart, but nothing can be learned from them."""
    (x, y), _ = small_digits()
    shuffled = y[:]
    np.random.default_rng(1).shuffle(shuffled)
    model = digit_model(keras, 512)
    history = model.fit(
        x, shuffled, epochs=60, batch_size=128, validation_split=0.2, verbose=0
    ).history
    assert history["accuracy"][-1] > 0.8
    assert history["val_accuracy"][-1] < 0.25
    assert history["val_loss"][-1] > history["val_loss"][0]


def test_learning_rates(keras):
    """At 1.0 little is learned and losses are huge, at 0.01 it works."""
    (x, y), _ = small_digits(2000)
    too_high, good = (
        digit_model(keras, 512, keras.optimizers.RMSprop(rate))
        .fit(x, y, epochs=5, batch_size=128, validation_split=0.2, verbose=0)
        .history
        for rate in (1.0, 1e-2)
    )
    assert all(np.isfinite(v) for values in too_high.values() for v in values)
    assert too_high["loss"][0] > 1000
    assert max(too_high["val_loss"]) > 10 * max(good["val_loss"])
    assert max(good["val_accuracy"]) > max(0.8, too_high["val_accuracy"][-1] + 0.1)


def test_too_little_capacity(keras):
    """Logistic regression: its validation loss falls and stays."""
    (x, y), _ = digits()
    model = keras.Sequential([keras.layers.Dense(10, activation="softmax")])
    model.compile("rmsprop", "sparse_categorical_crossentropy", metrics=["accuracy"])
    history = model.fit(x, y, epochs=10, batch_size=128, validation_split=0.2, verbose=0).history
    assert history["val_loss"][-1] < history["val_loss"][0]
    assert 0.8 < history["val_accuracy"][-1] < 0.93


def test_enough_capacity(keras):
    (x, y), _ = small_digits()
    layers = keras.layers
    model = keras.Sequential(
        [
            layers.Dense(128, activation="relu"),
            layers.Dense(128, activation="relu"),
            layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    history = model.fit(x, y, epochs=30, batch_size=128, validation_split=0.2, verbose=0).history
    assert history["accuracy"][-1] > 0.99
    assert np.argmin(history["val_loss"]) < 29


def penalties(keras):
    regularizers = keras.regularizers
    return {
        "l2": (regularizers.l2(0.002), lambda w: 0.002 * np.sum(w**2)),
        "l1": (regularizers.l1(0.001), lambda w: 0.001 * np.sum(np.abs(w))),
        "l1_l2": (
            regularizers.l1_l2(l1=0.001, l2=0.002),
            lambda w: 0.001 * np.sum(np.abs(w)) + 0.002 * np.sum(w**2),
        ),
        "L2": (regularizers.L2(0.002), lambda w: 0.002 * np.sum(w**2)),
        "by name": ("l2", lambda w: 0.01 * np.sum(w**2)),
        "without arguments": (regularizers.l1(), lambda w: 0.01 * np.sum(np.abs(w))),
    }


@pytest.mark.parametrize("name", ["l2", "l1", "l1_l2", "L2", "by name", "without arguments"])
def test_penalties_are_in_every_loss(keras, name):
    penalty, formula = penalties(keras)[name]
    (train, y), _ = reviews()
    x, layers = multi_hot(train, 500), keras.layers
    model = keras.Sequential(
        [
            layers.Dense(16, kernel_regularizer=penalty, activation="relu"),
            layers.Dense(16, kernel_regularizer=penalty, activation="relu"),
            layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(optimizer="rmsprop", loss="binary_crossentropy", metrics=["accuracy"])
    history = model.fit(x, y, epochs=4, batch_size=64, validation_split=0.4, verbose=0).history
    assert history["loss"][-1] < history["loss"][0]
    assert len(model.losses) == 2
    cost = sum(formula(layer.get_weights()[0].astype("float64")) for layer in model.layers[:2])
    assert sum(float(loss) for loss in model.losses) == pytest.approx(cost, rel=1e-5)
    p = np.clip(model.predict(x, verbose=0)[:, 0].astype("float64"), 1e-7, 1 - 1e-7)
    entropy = -np.mean(y * np.log(p) + (1 - y) * np.log(1 - p))
    assert model.evaluate(x, y, verbose=0)[0] == pytest.approx(entropy + cost, rel=1e-4)
    held_out = -np.mean((y * np.log(p) + (1 - y) * np.log(1 - p))[360:])
    assert history["val_loss"][-1] == pytest.approx(held_out + cost, rel=1e-4)


def test_l2_keeps_weights_small(keras):
    (train, y), _ = reviews()
    x = multi_hot(train, 500)
    sizes = []
    for penalty in (None, keras.regularizers.l2(0.02)):
        keras.utils.set_random_seed(2)
        model = keras.Sequential(
            [
                keras.layers.Dense(16, activation="relu", kernel_regularizer=penalty),
                keras.layers.Dense(1, activation="sigmoid"),
            ]
        )
        model.compile("rmsprop", "binary_crossentropy", metrics=["accuracy"])
        model.fit(x, y, epochs=10, batch_size=64, verbose=0)
        sizes.append(np.square(model.layers[0].get_weights()[0]).sum())
    assert sizes[1] < sizes[0] / 2


def test_dropout(keras):
    (train, y), _ = reviews()
    x, layers = multi_hot(train, 500), keras.layers
    model = keras.Sequential(
        [
            layers.Dense(64, activation="relu"),
            layers.Dropout(0.5),
            layers.Dense(64, activation="relu"),
            layers.Dropout(0.5),
            layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile("rmsprop", "binary_crossentropy", metrics=["accuracy"])
    history = model.fit(x, y, epochs=8, batch_size=64, validation_split=0.4, verbose=0).history
    assert history["val_accuracy"][-1] > 0.85
    once = model.predict(x, verbose=0)
    np.testing.assert_array_equal(once, model.predict(x, verbose=0))
    at_work = keras.ops.convert_to_numpy(model(x[:50].astype("float32"), training=True))
    assert np.abs(at_work - once[:50]).max() > 1e-3


def test_sizes_of_models(keras):
    """A smaller model fits the training data more slowly, a larger one faster."""
    (train, y), _ = reviews()
    x = multi_hot(train, 500)
    last = []
    for width in (4, 16, 256):
        keras.utils.set_random_seed(3)
        model = keras.Sequential(
            [
                keras.layers.Dense(width, activation="relu"),
                keras.layers.Dense(width, activation="relu"),
                keras.layers.Dense(1, activation="sigmoid"),
            ]
        )
        model.compile("rmsprop", "binary_crossentropy", metrics=["accuracy"])
        history = model.fit(x, y, epochs=3, batch_size=32, validation_split=0.4, verbose=0)
        last.append(history.history["loss"][-1])
    assert last[0] > last[1] > last[2]


@pytest.mark.parametrize(("count", "part", "held"), [(100, 0.2, 20), (7, 0.4, 3), (10, 0.25, 3)])
def test_the_last_part_is_held_out(keras, count, part, held):
    """Before shuffling, and the index of the cut is rounded down."""
    x = np.arange(count, dtype="float64")[:, None]
    model = keras.Sequential([keras.layers.Dense(1, kernel_initializer="zeros", use_bias=False)])
    model.compile(keras.optimizers.SGD(0.0), "mse")
    history = model.fit(x, x[:, 0], validation_split=part, verbose=0).history
    assert history["val_loss"][0] == pytest.approx(np.mean(x[count - held :] ** 2), rel=1e-5)
    assert history["loss"][0] == pytest.approx(np.mean(x[: count - held] ** 2), rel=1e-5)

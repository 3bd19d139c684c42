"""Two clouds of points: every way to compile, fit, evaluate and predict."""

import numpy as np
import pytest
from stand_ins import two_clouds


def split(seed=0):
    x, y = two_clouds()
    order = np.random.default_rng(seed).permutation(len(x))
    x, y = x[order], y[order]
    count = int(0.3 * len(x))
    return (x[count:], y[count:]), (x[:count], y[:count])


WAYS = {
    "names": lambda keras: {
        "optimizer": "rmsprop",
        "loss": "mean_squared_error",
        "metrics": ["accuracy"],
    },
    "objects": lambda keras: {
        "optimizer": keras.optimizers.RMSprop(),
        "loss": keras.losses.MeanSquaredError(),
        "metrics": [keras.metrics.BinaryAccuracy()],
    },
    "functions": lambda keras: {
        "optimizer": keras.optimizers.RMSprop(learning_rate=1e-3),
        "loss": keras.losses.mean_squared_error,
        "metrics": [keras.metrics.binary_accuracy],
    },
    "own": lambda keras: {
        "optimizer": "rmsprop",
        "loss": lambda y, p: keras.ops.mean(keras.ops.square(y - p), axis=-1),
        "metrics": [keras.metrics.BinaryAccuracy(name="right", threshold=0.5)],
    },
}
NAMES = {
    "names": "accuracy",
    "objects": "binary_accuracy",
    "functions": "binary_accuracy",
    "own": "right",
}


@pytest.mark.parametrize("way", WAYS)
def test_compile(keras, way):
    (x, y), (x_val, y_val) = split()
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile(**WAYS[way](keras))
    name = NAMES[way]
    history = model.fit(
        x, y, epochs=3, batch_size=16, validation_data=(x_val, y_val), verbose=0
    ).history
    assert set(history) == {"loss", name, "val_loss", f"val_{name}"}
    loss, accuracy = model.evaluate(x_val, y_val, batch_size=128, verbose=0)
    assert history["val_loss"][-1] == pytest.approx(loss, rel=1e-5)
    assert history[f"val_{name}"][-1] == pytest.approx(accuracy, rel=1e-5)


def test_all_ways_train_alike(keras):
    losses = []
    for way in WAYS.values():
        keras.utils.set_random_seed(3)
        (x, y), _ = split()
        model = keras.Sequential([keras.layers.Dense(1)])
        model.compile(**way(keras))
        losses.append(model.fit(x, y, epochs=3, batch_size=64, verbose=0).history["loss"])
    for other in losses[1:]:
        np.testing.assert_allclose(other, losses[0], rtol=1e-5)


def test_a_high_learning_rate(keras):
    (x, y), (x_val, y_val) = split()
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile(
        optimizer=keras.optimizers.RMSprop(learning_rate=0.1),
        loss=keras.losses.MeanSquaredError(),
        metrics=[keras.metrics.BinaryAccuracy()],
    )
    history = model.fit(
        x, y, epochs=5, batch_size=16, validation_data=(x_val, y_val), verbose=0
    ).history
    assert max(history["val_binary_accuracy"]) > 0.95  # between large steps to and fro
    loss_and_metrics = model.evaluate(x_val, y_val, batch_size=128, verbose=0)
    assert isinstance(loss_and_metrics, list)
    predictions = model.predict(x_val, batch_size=128, verbose=0)
    assert predictions.shape == (300, 1)
    assert ((predictions > 0.5) == y_val).mean() == pytest.approx(loss_and_metrics[1], abs=5e-3)


def test_evaluate_without_metrics_is_a_number(keras):
    (x, y), _ = split()
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    loss = model.evaluate(x, y, verbose=0)
    assert isinstance(loss, float)
    assert model.evaluate(x, y, verbose=0, return_dict=True) == pytest.approx({"loss": loss})
    np.testing.assert_allclose(loss, np.mean((model.predict(x, verbose=0) - y) ** 2), rtol=1e-5)


def test_names_of_the_metrics(keras):
    (x, y), _ = split()
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile("sgd", "mse", metrics=["mae", "mean_absolute_error", "acc"])
    history = model.fit(x, y, epochs=1, verbose=0).history
    assert set(history) == {"loss", "mae", "mean_absolute_error", "acc"}
    assert history["mae"] == history["mean_absolute_error"]
    values = model.evaluate(x, y, verbose=0, return_dict=True)
    assert set(values) == set(history)
    assert set(model.metrics_names) >= {"loss"}


def test_one_batch_at_a_time(keras):
    (x, y), _ = split()
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.05), "mse", metrics=["mae"])
    x, y = x[:64], y[:64]
    before = model.predict_on_batch(x)
    assert before.shape == (64, 1)
    loss, mae = model.train_on_batch(x, y)
    assert float(loss) == pytest.approx(np.mean((before - y) ** 2), rel=1e-5)
    assert float(mae) == pytest.approx(np.mean(np.abs(before - y)), rel=1e-5)
    for _ in range(50):
        at_start = model.predict_on_batch(x)
        logs = model.train_on_batch(x, y, return_dict=True)
        # Of this batch alone: there is no average with those before.
        assert float(logs["loss"]) == pytest.approx(np.mean((at_start - y) ** 2), rel=1e-4)
    assert set(logs) == {"loss", "mae"}
    after = model.predict_on_batch(x)
    for _ in range(2):
        loss, mae = model.test_on_batch(x, y)
        assert float(loss) == pytest.approx(np.mean((after - y) ** 2), rel=1e-4)
    assert float(loss) < np.mean((before - y) ** 2) / 2


def test_fit_continues_where_it_stopped(keras):
    (x, y), _ = split()
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    first = model.fit(x, y, epochs=2, verbose=0)
    second = model.fit(x, y, epochs=5, initial_epoch=2, verbose=0)
    assert second.epoch == [2, 3, 4]
    assert second.history["loss"][0] < first.history["loss"][-1]
    assert int(model.optimizer.iterations) == 5 * 22


def test_compiling_anew_keeps_the_weights(keras):
    (x, y), _ = split()
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile("adam", "mse")
    model.fit(x, y, epochs=1, verbose=0)
    before = model.get_weights()
    model.compile("rmsprop", "mae", metrics=["mse"])
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert set(model.fit(x, y, verbose=0).history) == {"loss", "mse"}


def test_generators_of_batches(keras):
    (x, y), (x_val, y_val) = split()

    def batches():
        while True:
            for start in range(0, len(x), 32):
                yield x[start : start + 32], y[start : start + 32]

    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile(keras.optimizers.RMSprop(0.05), "mse", metrics=["accuracy"])
    history = model.fit(
        batches(),
        steps_per_epoch=22,
        epochs=5,
        validation_data=(x_val, y_val),
        validation_freq=2,
        verbose=0,
    ).history
    assert len(history["loss"]) == 5
    assert len(history["val_loss"]) == 2
    assert history["val_accuracy"][-1] > 0.9
    parts = [slice(i, i + 50) for i in range(0, 300, 50)]
    loss, _ = model.evaluate(((x_val[part], y_val[part]) for part in parts), verbose=0)
    assert loss == pytest.approx(model.evaluate(x_val, y_val, verbose=0)[0], rel=1e-5)
    p = model.predict(((x_val[part],) for part in parts), verbose=0)
    np.testing.assert_allclose(p, model.predict(x_val, verbose=0), rtol=1e-5, atol=1e-6)


def test_weights_of_classes_and_samples(keras):
    """Doubling a class's weight is the same as doubling that of each of its samples."""
    (x, y), _ = split()
    runs = []
    for options in (
        {"class_weight": {0: 2.0, 1: 1.0}},
        {"sample_weight": np.where(y[:, 0] == 0, 2.0, 1.0)},
        {},
    ):
        keras.utils.set_random_seed(4)
        model = keras.Sequential([keras.layers.Dense(1, activation="sigmoid")])
        model.compile("sgd", "binary_crossentropy")
        runs.append(model.fit(x, y[:, 0], epochs=2, verbose=0, **options).history["loss"])
    np.testing.assert_allclose(runs[0], runs[1], rtol=1e-5)
    assert runs[2][0] < runs[0][0]


def test_validation_with_sample_weights(keras):
    (x, y), (x_val, y_val) = split()
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    weights = np.zeros(len(x_val), "float32")
    weights[:10] = 1
    history = model.fit(x, y, validation_data=(x_val, y_val, weights), verbose=0).history
    error = (model.predict(x_val, verbose=0) - y_val)[:, 0] ** 2
    assert history["val_loss"][0] == pytest.approx((error * weights).mean(), rel=1e-4)


def test_pandas(keras):
    pd = pytest.importorskip("pandas")
    (x, y), _ = split()
    frame = pd.DataFrame({"width": x[:, 0], "height": x[:, 1], "kind": y[:, 0]})
    model = keras.Sequential([keras.layers.Dense(1, activation="sigmoid")])
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    features = frame[["width", "height"]]
    history = model.fit(features, frame["kind"], epochs=2, validation_split=0.2, verbose=0)
    assert set(history.history) == {"loss", "accuracy", "val_loss", "val_accuracy"}
    assert model.predict(features, verbose=0).shape == (700, 1)
    loss, _ = model.evaluate(features, frame["kind"], verbose=0)
    assert loss == pytest.approx(model.evaluate(x, y, verbose=0)[0], rel=1e-5)

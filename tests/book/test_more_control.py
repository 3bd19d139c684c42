"""Callbacks, losses and metrics of one's own, steps and loops of one's own, saving."""

import csv
import random

import numpy as np
import pytest
from stand_ins import digits, two_clouds

import fastnn as tf


def digit_model(keras):
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input(shape=(784,)),
            layers.Dense(64, activation="relu"),
            layers.Dropout(0.3),
            layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile(optimizer="rmsprop", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def test_stop_early_and_keep_the_best(keras, tmp_path):
    (x, y), (x_test, y_test) = digits()
    path = str(tmp_path / "checkpoint.keras")
    callbacks = [
        keras.callbacks.EarlyStopping(monitor="val_accuracy", patience=2),
        keras.callbacks.ModelCheckpoint(filepath=path, monitor="val_loss", save_best_only=True),
    ]
    model = digit_model(keras)
    history = model.fit(
        x[:1000],
        y[:1000],
        epochs=60,
        callbacks=callbacks,
        validation_data=(x_test, y_test),
        verbose=0,
    ).history
    epochs = len(history["loss"])
    assert epochs < 60
    assert max(history["val_accuracy"][-2:]) <= max(history["val_accuracy"][:-2])
    assert callbacks[0].stopped_epoch == epochs - 1
    best = keras.models.load_model(path)
    loss, accuracy = best.evaluate(x_test, y_test, verbose=0)
    assert loss == pytest.approx(min(history["val_loss"]), rel=1e-5)
    assert accuracy == pytest.approx(
        history["val_accuracy"][int(np.argmin(history["val_loss"]))], abs=1e-6
    )


def test_the_best_weights_come_back(keras):
    x, y = two_clouds(50)
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(1.0), "mse")  # diverges: the first epoch is the best
    stop = keras.callbacks.EarlyStopping(
        monitor="loss", patience=1, restore_best_weights=True, verbose=0
    )
    history = model.fit(x, y, epochs=9, batch_size=100, callbacks=[stop], verbose=0).history
    assert len(history["loss"]) == 2
    assert stop.best == pytest.approx(history["loss"][0])
    assert model.evaluate(x, y, verbose=0) == pytest.approx(history["loss"][1], rel=1e-4)


def test_stopping_within_an_epoch_leaves_its_validation_whole(keras):
    class Stop(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.model.stop_training = batch == 1

    x, y = two_clouds(50)
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    data = {"validation_data": (x, y), "validation_batch_size": 64}
    history = model.fit(x, y, epochs=3, callbacks=[Stop()], verbose=0, **data).history
    assert int(model.optimizer.iterations) == 2
    error = np.mean((model.predict(x, verbose=0) - y) ** 2)
    assert history["val_loss"] == [pytest.approx(error, rel=1e-5)]


def test_a_log_in_a_file(keras, tmp_path):
    x, y = two_clouds(50)
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile("sgd", "mse", metrics=["mae"])
    file = tmp_path / "log.csv"
    log = keras.callbacks.CSVLogger(str(file))
    history = model.fit(x, y, epochs=3, validation_split=0.2, callbacks=[log], verbose=0)
    with file.open() as lines:
        rows = list(csv.DictReader(lines))
    assert [row["epoch"] for row in rows] == ["0", "1", "2"]
    assert set(rows[0]) == {"epoch", "loss", "mae", "val_loss", "val_mae"}
    for name, values in history.history.items():
        np.testing.assert_allclose([float(row[name]) for row in rows], values, rtol=1e-6)


def test_a_smaller_learning_rate_on_a_plateau(keras):
    x = np.zeros((20, 2), "float32")
    model = keras.Sequential([keras.layers.Dense(1, use_bias=False)])
    model.compile(keras.optimizers.SGD(learning_rate=0.8), "mse")
    reduce = keras.callbacks.ReduceLROnPlateau(monitor="loss", factor=0.5, patience=1)
    history = model.fit(x, np.ones(20), epochs=4, callbacks=[reduce], verbose=0).history
    assert history["loss"] == [1, 1, 1, 1]
    np.testing.assert_allclose(history["learning_rate"], [0.8, 0.8, 0.4, 0.2], rtol=1e-6)
    assert float(model.optimizer.learning_rate) == pytest.approx(0.1)


def test_a_schedule_by_epochs(keras):
    x, y = two_clouds(50)
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.1), "mse")
    schedule = keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2)
    history = model.fit(x, y, epochs=3, callbacks=[schedule], verbose=0).history
    np.testing.assert_allclose(history["learning_rate"], [0.05, 0.025, 0.0125], rtol=1e-6)


def test_a_schedule_by_steps(keras):
    x, y = two_clouds(50)
    model = keras.Sequential([keras.layers.Dense(1)])
    rates = keras.optimizers.schedules.ExponentialDecay(0.1, decay_steps=10, decay_rate=0.5)
    model.compile(keras.optimizers.SGD(rates), "mse")
    model.fit(x, y, epochs=5, batch_size=10, verbose=0)
    assert int(model.optimizer.iterations) == 50
    assert float(model.optimizer.learning_rate) == pytest.approx(0.1 * 0.5**5, rel=1e-5)


def test_own_callback(keras):
    seen = []

    class Losses(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            seen.append("begin")
            self.per_batch = []

        def on_epoch_begin(self, epoch, logs=None):
            seen.append(f"epoch {epoch}")

        def on_train_batch_end(self, batch, logs=None):
            self.per_batch.append(logs["loss"])

        def on_epoch_end(self, epoch, logs=None):
            seen.append(sorted(logs))
            if epoch == 1:
                self.model.stop_training = True

        def on_train_end(self, logs=None):
            seen.append("end")

    x, y = two_clouds(50)
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    losses = Losses()
    model.fit(x, y, batch_size=32, epochs=5, callbacks=[losses], verbose=0)
    assert seen == ["begin", "epoch 0", ["loss"], "epoch 1", ["loss"], "end"]
    assert len(losses.per_batch) == 2 * 4
    assert losses.model is model
    assert losses.params["epochs"] == 5


def test_callback_of_functions(keras):
    x, y = two_clouds(50)
    epochs = []
    callback = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: epochs.append(epoch))
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    model.fit(x, y, epochs=3, callbacks=callback, verbose=0)
    assert epochs == [0, 1, 2]


def test_own_metric(keras):
    ops = keras.ops

    class RootMeanSquaredError(keras.metrics.Metric):
        def __init__(self, name="rmse", **kwargs):
            super().__init__(name=name, **kwargs)
            self.total = self.add_weight(name="total", initializer="zeros")
            self.samples = self.add_weight(name="samples", initializer="zeros")

        def update_state(self, y_true, y_pred, sample_weight=None):
            y_true = ops.one_hot(ops.cast(y_true, "int32"), 10)
            self.total.assign(self.total + ops.sum(ops.square(y_true - y_pred)))
            self.samples.assign(self.samples + ops.shape(y_pred)[0])

        def result(self):
            return ops.sqrt(self.total / self.samples)

        def reset_state(self):
            self.total.assign(0.0)
            self.samples.assign(0.0)

    (x, y), (x_test, y_test) = digits()
    model = digit_model(keras)
    model.compile(
        "rmsprop", "sparse_categorical_crossentropy", metrics=["accuracy", RootMeanSquaredError()]
    )
    history = model.fit(x, y, epochs=3, validation_split=0.2, verbose=0).history
    assert set(history) == {"loss", "accuracy", "rmse", "val_loss", "val_accuracy", "val_rmse"}
    assert history["rmse"][-1] < history["rmse"][0]
    p = model.predict(x_test, verbose=0)
    expected = np.sqrt(np.sum((np.eye(10)[y_test] - p) ** 2) / len(p))
    values = model.evaluate(x_test, y_test, verbose=0, return_dict=True)
    assert values["rmse"] == pytest.approx(expected, rel=1e-4)


def test_own_loss(keras):
    class Quartic(keras.losses.Loss):
        def __init__(self, scale=1.0, name="quartic"):
            super().__init__(name=name)
            self.scale = scale

        def call(self, y_true, y_pred):
            return self.scale * keras.ops.mean(keras.ops.power(y_true - y_pred, 4), axis=-1)

    x, y = two_clouds(50)
    model = keras.Sequential([keras.layers.Dense(1, "sigmoid")])
    model.compile("adam", loss=Quartic(2.0))
    p = model.predict(x, verbose=0)
    assert model.evaluate(x, y, verbose=0) == pytest.approx(2 * np.mean((y - p) ** 4), rel=1e-4)
    losses = model.fit(x, y, epochs=10, batch_size=10, verbose=0).history["loss"]
    assert losses[-1] < losses[0]


def test_own_compute_loss_and_compute_metrics(keras):
    """As older programs write it, `compute_loss` does not know of `training`."""

    class Twofold(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = keras.layers.Dense(1)
            self.seen = keras.metrics.Mean(name="seen")

        def call(self, inputs):
            return self.dense(inputs)

        def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None):
            loss = 2 * super().compute_loss(x, y, y_pred, sample_weight)
            self.seen.update_state(loss * 4)
            return loss

        def compute_metrics(self, x, y, y_pred, sample_weight=None):
            results = super().compute_metrics(x, y, y_pred, sample_weight)
            results["three"] = 3.0
            return results

    x, y = two_clouds(16)
    model = Twofold()
    model.compile("sgd", "mse", metrics=["mse"])
    p = model.predict(x, verbose=0)
    values = model.evaluate(x, y, verbose=0, return_dict=True)
    assert set(values) == {"loss", "mse", "seen", "three"}
    assert values["mse"] == pytest.approx(np.mean((p - y) ** 2), rel=1e-5)
    assert values["loss"] == pytest.approx(2 * values["mse"], rel=1e-5)
    assert values["seen"] == pytest.approx(8 * values["mse"], rel=1e-5)
    history = model.fit(x, y, epochs=3, verbose=0).history
    assert set(history) == set(values)
    assert history["three"] == [3, 3, 3]
    assert history["loss"][-1] < history["loss"][0]


def test_one_seed_for_everything(keras):
    draws = []
    for _ in range(2):
        keras.utils.set_random_seed(7)
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
        draws.append((model.get_weights()[0], np.random.random(3), random.random()))
    np.testing.assert_array_equal(draws[0][0], draws[1][0])
    np.testing.assert_array_equal(draws[0][1], draws[1][1])
    assert draws[0][2] == draws[1][2]


def test_losses_and_metrics_by_themselves(keras):
    loss = keras.losses.SparseCategoricalCrossentropy()
    p = np.array([[0.8, 0.2], [0.5, 0.5], [0.1, 0.9]], "float32")
    assert float(loss(np.array([0, 1, 1]), p)) == pytest.approx(
        -np.mean(np.log([0.8, 0.5, 0.9])), rel=1e-5
    )
    metric = keras.metrics.SparseCategoricalAccuracy()
    metric.update_state([0, 1, 1], p)
    metric.update_state([1], [[0.9, 0.1]])
    assert float(metric.result()) == pytest.approx(0.5)
    metric.reset_state()
    assert float(metric.result()) == 0
    mean = keras.metrics.Mean(name="loss")
    for value in (1.0, 2.0, 6.0):
        mean.update_state(value)
    assert float(mean.result()) == 3
    assert mean.name == "loss"


def test_own_training_step():
    """A Sequential whose `fit` runs a step that the user wrote."""
    keras = tf
    tracker = keras.metrics.Mean(name="loss")
    loss_function = keras.losses.SparseCategoricalCrossentropy()

    class OwnStep(keras.Sequential):
        def train_step(self, data):
            inputs, targets = data
            with tf.GradientTape() as tape:
                predictions = self(inputs, training=True)
                loss = loss_function(targets, predictions)
            gradients = tape.gradient(loss, self.trainable_weights)
            self.optimizer.apply_gradients(zip(gradients, self.trainable_weights, strict=True))
            tracker.update_state(loss)
            return {"loss": tracker.result()}

        @property
        def metrics(self):
            return [tracker]

    (x, y), (x_test, y_test) = digits()
    model = OwnStep(
        [keras.layers.Dense(64, activation="relu"), keras.layers.Dense(10, activation="softmax")]
    )
    model.compile(optimizer=keras.optimizers.RMSprop())
    history = model.fit(x, y, epochs=4, batch_size=64, verbose=0).history
    assert set(history) == {"loss"}
    assert history["loss"][-1] < 0.5 < history["loss"][0]
    assert np.mean(model.predict(x_test, verbose=0).argmax(axis=1) == y_test) > 0.85


def test_own_training_step_with_compiled_loss_and_metrics():
    keras = tf

    class OwnStep(keras.Model):
        def __init__(self):
            super().__init__()
            self.hidden = keras.layers.Dense(64, activation="relu")
            self.out = keras.layers.Dense(10, activation="softmax")

        def call(self, inputs, training=False):
            return self.out(self.hidden(inputs))

        def train_step(self, data):
            x, y = data
            with tf.GradientTape() as tape:
                y_pred = self(x, training=True)
                loss = self.compute_loss(y=y, y_pred=y_pred)
            gradients = tape.gradient(loss, self.trainable_weights)
            self.optimizer.apply_gradients(zip(gradients, self.trainable_weights, strict=True))
            for metric in self.metrics:
                if metric.name == "loss":
                    metric.update_state(loss)
                else:
                    metric.update_state(y, y_pred)
            return {m.name: m.result() for m in self.metrics}

    (x, y), (x_test, y_test) = digits()
    model = OwnStep()
    model.compile("rmsprop", "sparse_categorical_crossentropy", metrics=["accuracy"])
    history = model.fit(x, y, epochs=4, batch_size=64, validation_split=0.2, verbose=0).history
    assert set(history) == {"loss", "accuracy", "val_loss", "val_accuracy"}
    assert history["val_accuracy"][-1] > 0.85
    assert model.evaluate(x_test, y_test, verbose=0)[1] > 0.85


@pytest.mark.parametrize("compiled", [False, True])
def test_own_loop(compiled):
    """Steps for training and for evaluation, with metrics, outside of any model's `fit`."""
    keras = tf
    (x, y), (x_test, y_test) = digits()
    model = keras.Sequential(
        [
            keras.layers.Dense(64, activation="relu"),
            keras.layers.Dropout(0.2),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    loss_fn = keras.losses.SparseCategoricalCrossentropy()
    optimizer = keras.optimizers.RMSprop()
    metrics = [keras.metrics.SparseCategoricalAccuracy()]
    loss_tracking = keras.metrics.Mean()

    def train_step(inputs, targets):
        with tf.GradientTape() as tape:
            predictions = model(inputs, training=True)
            loss = loss_fn(targets, predictions)
        gradients = tape.gradient(loss, model.trainable_weights)
        optimizer.apply_gradients(zip(gradients, model.trainable_weights, strict=True))
        logs = {}
        for metric in metrics:
            metric.update_state(targets, predictions)
            logs[metric.name] = metric.result()
        loss_tracking.update_state(loss)
        logs["loss"] = loss_tracking.result()
        return logs

    def test_step(inputs, targets):
        predictions = model(inputs, training=False)
        for metric in metrics:
            metric.update_state(targets, predictions)
        return {"val_" + metric.name: metric.result() for metric in metrics}

    model(x[:1])
    if compiled:
        train_step, test_step = tf.function(train_step), tf.function(test_step)
    results = []
    for _ in range(3):
        for metric in [*metrics, loss_tracking]:
            metric.reset_state()
        for start in range(0, 3200, 32):
            logs = train_step(x[start : start + 32], y[start : start + 32])
        results.append({name: float(value) for name, value in logs.items()})
    assert set(results[0]) == {"sparse_categorical_accuracy", "loss"}
    assert results[-1]["loss"] < results[0]["loss"]
    assert results[-1]["sparse_categorical_accuracy"] > 0.85
    for metric in metrics:
        metric.reset_state()
    for start in range(0, 1000, 100):
        logs = test_step(x_test[start : start + 100], y_test[start : start + 100])
    accuracy = np.mean(model.predict(x_test, verbose=0).argmax(axis=1) == y_test)
    np.testing.assert_allclose(logs["val_sparse_categorical_accuracy"], accuracy, rtol=1e-5)


def test_save_and_load(keras, tmp_path):
    (x, y), (x_test, y_test) = digits()
    model = digit_model(keras)
    model.fit(x[:1000], y[:1000], epochs=2, verbose=0)
    path = tmp_path / "model.keras"
    model.save(path)
    again = keras.models.load_model(path)
    np.testing.assert_array_equal(
        again.predict(x_test, verbose=0), model.predict(x_test, verbose=0)
    )
    assert again.evaluate(x_test, y_test, verbose=0) == pytest.approx(
        model.evaluate(x_test, y_test, verbose=0), rel=1e-6
    )
    assert int(again.optimizer.iterations) == int(model.optimizer.iterations) == 2 * 32
    again.fit(x[:1000], y[:1000], epochs=1, verbose=0)


def test_save_and_load_weights(keras, tmp_path):
    (x, _), _ = digits()
    path = str(tmp_path / "model.weights.h5")
    one, other = digit_model(keras), digit_model(keras)
    one.save_weights(path)
    assert not np.allclose(one.predict(x[:9], verbose=0), other.predict(x[:9], verbose=0))
    other.load_weights(path)
    np.testing.assert_array_equal(one.predict(x[:9], verbose=0), other.predict(x[:9], verbose=0))


def test_save_a_model_with_a_layer_of_ones_own(keras, tmp_path):
    class Scale(keras.layers.Layer):
        def __init__(self, factor, **kwargs):
            super().__init__(**kwargs)
            self.factor = factor

        def call(self, inputs):
            return inputs * self.factor

        def get_config(self):
            return {**super().get_config(), "factor": self.factor}

    x, y = two_clouds(50)
    model = keras.Sequential([Scale(3.0), keras.layers.Dense(1)])
    model.compile("adam", "mse")
    model.fit(x, y, verbose=0)
    path = str(tmp_path / "own.keras")
    model.save(path)
    again = keras.models.load_model(path, custom_objects={"Scale": Scale})
    assert again.layers[0].factor == 3
    np.testing.assert_array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))


def test_from_a_configuration(keras):
    model = digit_model(keras)
    again = keras.Sequential.from_config(model.get_config())
    assert [layer.name for layer in again.layers] == [layer.name for layer in model.layers]
    assert again.layers[1].rate == 0.3
    assert again.count_params() == model.count_params()
    twin = keras.models.clone_model(model)
    assert not np.allclose(twin.get_weights()[0], model.get_weights()[0])
    layer = keras.layers.Dense(3, activation="relu", kernel_regularizer=keras.regularizers.l2(0.1))
    config = layer.get_config()
    assert config["units"] == 3
    assert config["activation"] == "relu"
    assert float(keras.layers.Dense.from_config(config).kernel_regularizer.l2) == pytest.approx(0.1)


def test_the_old_name_of_the_learning_rate():
    """First edition; Keras 3 itself no longer knows `lr`."""
    optimizer = tf.optimizers.RMSprop(lr=0.001)
    assert float(optimizer.learning_rate) == pytest.approx(0.001)
    assert tf.utils.np_utils.to_categorical([1, 0]).tolist() == [[0, 1], [1, 0]]

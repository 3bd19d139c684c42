"""fit, evaluate and predict: weights of samples, batches one by one, epochs, steps of one's own."""

import warnings

import numpy as np
import pytest

import fastnn
from fastnn import GradientTape, Model, Sequential, callbacks, layers, metrics

RNG = np.random.default_rng(5)
X = RNG.standard_normal((24, 3)).astype(np.float32)
Y = X @ np.array([1.0, -2.0, 0.5], np.float32)
LABELS = (Y > 0).astype(np.int64)


@pytest.fixture(params=[False, True], ids=["compiled", "eagerly"])
def eagerly(request):
    """Both ways; and nothing may fall back from one to the other."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield request.param


def linear(eagerly=False, **options):
    model = Sequential([layers.Dense(1, use_bias=False, kernel_initializer="zeros", **options)])
    model.compile(fastnn.optimizers.SGD(0.1), "mse", ["mae"], run_eagerly=eagerly)
    return model


def kernel_after(x, y, weights, batches, rate=0.1):
    """Gradient descent on the mean of weight * (x w - y)^2 in float64, by hand."""
    w = np.zeros(x.shape[1])
    for rows in batches:
        error = x[rows] @ w - y[rows]
        w -= rate * 2 * (weights[rows] * error) @ x[rows].astype(np.float64) / len(rows)
    return w[:, None]


def in_batches(n, size, passes=1):
    return [np.arange(i, min(i + size, n)) for i in range(0, n, size)] * passes


def test_sample_weights(eagerly):
    weights = RNG.random(24)
    model = linear(eagerly)
    model.fit(X, Y, 7, epochs=2, sample_weight=weights, shuffle=False, verbose=0)
    expected = kernel_after(X, Y, weights, in_batches(24, 7, 2))
    np.testing.assert_allclose(model.layers[0].kernel, expected, rtol=1e-4, atol=1e-6)
    error = X @ expected[:, 0] - Y
    found = model.evaluate(X, Y, sample_weight=weights, verbose=0)
    expected = [(weights * error**2).mean(), abs(error).mean()]  # the metric knows no weights
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_weights_of_classes(eagerly):
    model = linear(eagerly)
    options = {"shuffle": False, "verbose": 0, "sample_weight": np.full(24, 0.5)}
    model.fit(X, LABELS, 24, class_weight={1: 3.0}, **options)
    weights = np.where(LABELS == 1, 1.5, 0.5)
    expected = kernel_after(X, LABELS, weights, in_batches(24, 24))
    np.testing.assert_allclose(model.layers[0].kernel, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("targets", [LABELS, LABELS[:, None], np.eye(2)[LABELS]], ids=str)
def test_classes_in_every_form_have_weights(targets):
    found = fastnn.samples.weights_of_classes(targets, {0: 0.25})
    np.testing.assert_array_equal(found, np.where(LABELS == 0, 0.25, 1))


def test_weights_of_classes_are_fractions_also_where_inputs_are_integers(eagerly):
    class Floats(layers.Layer):
        def call(self, x):
            return fastnn.cast(x, "float32")

    model = Sequential([Floats(), layers.Dense(1, use_bias=False)])
    model.compile("sgd", "mse", run_eagerly=eagerly)
    x = np.arange(8, dtype=np.int32).reshape(4, 2)
    model.build((None, 2))
    error = x @ model.weights[0].numpy()[:, 0] - [0, 1, 0, 1]
    found = model.fit(x, np.array([0, 1, 0, 1]), class_weight={0: 0.5, 1: 0.25}, verbose=0)
    expected = ([0.5, 0.25, 0.5, 0.25] * error**2).mean()
    assert found.history["loss"] == pytest.approx([expected], rel=1e-5)


def test_classes_may_be_named_by_whole_floats(eagerly):
    model, expected = linear(eagerly), linear(eagerly)
    labels = LABELS.astype(np.float32)
    named = dict(zip(np.unique(labels), [1.0, 3.0], strict=False))
    options = {"shuffle": False, "verbose": 0}
    model.fit(X, labels, 24, class_weight=named, **options)
    expected.fit(X, labels, 24, class_weight={1: 3.0}, **options)
    np.testing.assert_array_equal(model.layers[0].kernel, expected.layers[0].kernel)
    with pytest.raises(TypeError, match="class_weight must be a dict"):
        model.fit(X, labels, 24, class_weight={0.5: 3.0}, verbose=0)


def test_weights_of_classes_multiply_weights_in_columns(eagerly):
    model, expected = linear(eagerly), linear(eagerly)
    options = {"shuffle": False, "verbose": 0, "class_weight": {1: 3.0}}
    weights = np.linspace(0.1, 1, 24)
    model.fit(X, LABELS, 7, sample_weight=weights[:, None], **options)
    expected.fit(X, LABELS, 7, sample_weight=weights, **options)
    np.testing.assert_array_equal(model.layers[0].kernel, expected.layers[0].kernel)


def test_weights_of_classes_are_for_the_training_alone(eagerly):
    model = linear(eagerly)
    options = {"class_weight": {0: 5.0, 1: 3.0}, "validation_split": 0.25, "verbose": 0}
    found = model.fit(X, LABELS, 24, sample_weight=np.full(24, 0.5), **options).history
    error = X @ model.layers[0].kernel.numpy()[:, 0] - LABELS
    assert found["val_loss"] == pytest.approx([0.5 * (error[18:] ** 2).mean()], rel=1e-5)
    weights = np.where(LABELS == 1, 1.5, 2.5)[:18]
    assert found["loss"] == pytest.approx([(weights * LABELS[:18] ** 2).mean()], rel=1e-5)


def test_weights_of_classes_for_batches(eagerly):
    model, expected = linear(eagerly), linear(eagerly)
    batches = [(X[rows], LABELS[rows]) for rows in in_batches(24, 8)]
    model.fit(Again(batches), class_weight={1: 3.0}, verbose=0)
    expected.fit(X, LABELS, 8, class_weight={1: 3.0}, shuffle=False, verbose=0)
    np.testing.assert_array_equal(model.layers[0].kernel, expected.layers[0].kernel)


class Again:
    """Batches that can be read again."""

    def __init__(self, batches):
        self.batches = batches

    def __iter__(self):
        return iter(self.batches)


@pytest.mark.parametrize(
    ("y", "class_weight", "error", "message"),
    [
        (LABELS, [1.0, 2.0], TypeError, "must be a dict from class to weight"),
        (LABELS, {"1": 2.0}, TypeError, "must be a dict from class to weight"),
        (LABELS, {1: None}, TypeError, "must be a dict from class to weight"),
        (LABELS + 0.5, {1: 2.0}, ValueError, "class_weight needs whole numbers"),
        (None, {0: 2.0}, ValueError, "class_weight needs targets"),
    ],
)
def test_classes_that_cannot_be_weighted(y, class_weight, error, message):
    with pytest.raises(error, match=message):
        linear().fit(X, y, class_weight=class_weight, verbose=0)


def test_a_weighted_metric_beside_the_same_without_weights(eagerly):
    model = linear(eagerly)
    model.compile("sgd", "mse", ["mae"], weighted_metrics=["mae"], run_eagerly=eagerly)
    weights = np.arange(24.0)
    found = model.evaluate(X, Y, sample_weight=weights, verbose=0, return_dict=True)
    assert found["mae"] == pytest.approx(abs(Y).mean(), rel=1e-5)
    expected = (weights * abs(Y)).sum() / weights.sum()
    assert found["weighted_mae"] == pytest.approx(expected, rel=1e-5)
    metric = metrics.MeanAbsoluteError(name="mae")
    for both in (["mae", metric], [metric]):
        with pytest.raises(ValueError, match="two metrics have one name"):
            model.compile("sgd", "mse", both, weighted_metrics=[metric])
    assert metric.name == "mae"


def test_weighted_metrics(eagerly):
    model = linear(eagerly)
    model.compile("sgd", "mse", weighted_metrics=["mae"], run_eagerly=eagerly)
    weights = np.arange(24.0)
    found = model.evaluate(X, Y, 5, sample_weight=weights, verbose=0, return_dict=True)
    expected = {
        "loss": (weights * Y**2).mean(),
        "mae": (weights * abs(Y)).sum() / weights.sum(),
    }
    assert found == pytest.approx(expected, rel=1e-5)


def test_batches_from_a_generator(eagerly):
    def batches():
        while True:
            for rows in in_batches(24, 8):
                yield X[rows], Y[rows]

    model, expected = linear(eagerly), linear(eagerly)
    history = model.fit(batches(), epochs=2, steps_per_epoch=3, verbose=0).history
    same = expected.fit(X, Y, 8, epochs=2, shuffle=False, verbose=0).history
    assert history == same
    np.testing.assert_array_equal(model.layers[0].kernel, expected.layers[0].kernel)
    assert model.evaluate(batches(), steps=3, verbose=0) == expected.evaluate(X, Y, 8, verbose=0)
    found = model.predict(X[rows] for rows in in_batches(24, 8))
    np.testing.assert_array_equal(found, expected.predict(X))


class Indexed:
    """What has a length and an index, and no iterator."""

    def __init__(self):
        self.epochs = 0

    def __len__(self):
        return 3

    def __getitem__(self, at):
        rows = in_batches(24, 8)[at]
        return X[rows], Y[rows], np.full(8, 2.0)

    def on_epoch_end(self):
        self.epochs += 1


def test_batches_by_index(eagerly):
    model, expected, batches = linear(eagerly), linear(eagerly), Indexed()
    model.fit(batches, epochs=3, verbose=0, shuffle=False, validation_data=Indexed())
    expected.fit(X, Y, 8, 3, sample_weight=np.full(24, 2.0), shuffle=False, verbose=0)
    np.testing.assert_array_equal(model.layers[0].kernel, expected.layers[0].kernel)
    assert batches.epochs == 3


def test_too_few_batches_end_the_training():
    model = linear()
    with pytest.warns(UserWarning, match="the data ended after 1 batches of an epoch"):
        history = model.fit(iter([(X, Y)] * 4), epochs=5, steps_per_epoch=3, verbose=0)
    assert history.epoch == [0, 1]


def test_a_generator_that_was_read_is_no_epoch():
    with pytest.warns(UserWarning, match="no data are left: a generator is read once"):
        history = linear().fit(iter([(X, Y)] * 4), epochs=5, verbose=0)
    assert (history.epoch, len(history.history["loss"])) == ([0], 1)


def test_a_generator_that_was_read_validates_nothing():
    with pytest.warns(UserWarning, match="no data are left: a generator is read once"):
        history = linear().fit(X, Y, epochs=2, validation_data=iter([(X, Y)]), verbose=0)
    assert [len(history.history[name]) for name in ("loss", "val_loss", "val_mae")] == [2, 1, 1]


@pytest.mark.parametrize("use", ["fit", "evaluate", "predict"])
def test_no_batches(use):
    model = linear()
    with pytest.raises(ValueError, match="the data gave no batch"):
        getattr(model, use)(iter([]), verbose=0)


@pytest.mark.parametrize(
    ("batch", "options", "message"),
    [
        (X, {}, "needs targets: pass y beside x"),
        ((X, Y, None, None), {}, "a batch must be x, .* got 4 parts"),
        (None, {}, "a batch must be x, .* got None"),
        ((X, Y), {"y": Y}, r"let each batch be \(x, y\)"),
        ((X, Y), {"sample_weight": Y}, r"let each batch be \(x, y\)"),
    ],
)
def test_batches_that_are_wrong(batch, options, message, eagerly):
    model = linear(eagerly)
    with pytest.raises(ValueError, match=message):
        model.fit(iter([batch]), verbose=0, **options)
    assert int(model.optimizer.iterations) == 0


def test_steps_of_arrays_go_on_in_the_next_epoch(eagerly):
    model, expected = linear(eagerly), linear(eagerly)
    model.fit(X, Y, 6, epochs=4, steps_per_epoch=2, shuffle=False, verbose=0)
    expected.fit(X, Y, 6, epochs=2, shuffle=False, verbose=0)
    np.testing.assert_array_equal(model.layers[0].kernel, expected.layers[0].kernel)


@pytest.mark.parametrize(("frequency", "times"), [(1, 5), (np.int64(2), 2), ([1, 4, 5], 3)])
def test_validation_now_and_then(frequency, times):
    options = {"validation_data": (X, Y), "validation_freq": frequency}
    history = linear().fit(X, Y, epochs=5, verbose=0, **options).history
    assert [len(history[name]) for name in ("loss", "val_loss", "val_mae")] == [5, times, times]


@pytest.mark.parametrize("frequency", [0, -1, 1.5])
def test_no_frequency_of_validation(frequency):
    model = linear()
    model(X)
    options = {"validation_data": (X, Y), "validation_freq": frequency}
    with pytest.raises(ValueError, match="validation_freq must be a positive integer"):
        model.fit(X, Y, verbose=0, **options)
    assert int(model.optimizer.iterations) == 0


def test_validation_with_weights(eagerly):
    model = linear(eagerly)
    weights = np.linspace(0, 1, 24)
    history = model.fit(X, Y, verbose=0, validation_data=(X, Y, weights)).history
    found = model.evaluate(X, Y, sample_weight=weights, verbose=0, return_dict=True)
    assert history["val_loss"] == [found["loss"]]


@pytest.mark.parametrize("kind", ["arrays", "batches", "generator"])
def test_steps_of_validation_begin_anew_each_time(kind):
    batches = [(X[rows], Y[rows]) for rows in in_batches(24, 4)]
    data = {"arrays": (X, Y), "batches": Again(batches), "generator": iter(batches)}[kind]
    model = linear()
    model.compile(fastnn.optimizers.SGD(0.0), "mse")
    options = {"validation_data": data, "validation_steps": 2, "validation_batch_size": 4}
    found = model.fit(X, Y, epochs=2, verbose=0, **options).history["val_loss"]
    second = slice(8, 16) if kind == "generator" else slice(8)
    assert found == pytest.approx([(Y[:8] ** 2).mean(), (Y[second] ** 2).mean()], rel=1e-5)


def test_epochs_are_counted_from_the_first():
    history = linear().fit(X, Y, epochs=5, initial_epoch=3, verbose=0)
    assert history.epoch == [3, 4]


class Stops(callbacks.Callback):
    """Hears of every batch, and has the training end after one."""

    def __init__(self, after):
        self.after, self.heard = after, []

    def on_train_batch_begin(self, batch, logs=None):
        self.heard.append(batch)

    def on_train_batch_end(self, batch, logs=None):
        self.heard.append(logs)
        self.model.stop_training = batch == self.after


def test_callbacks_hear_of_every_batch_and_may_end_the_training(eagerly):
    listener = Stops(after=1)
    history = linear(eagerly).fit(X, Y, 8, 9, callbacks=[listener], shuffle=False, verbose=0)
    first, after_first, second, after_second = listener.heard
    assert (first, second, history.epoch) == (0, 1, [0])
    assert after_first["loss"] == pytest.approx((Y[:8] ** 2).mean(), rel=1e-5)
    assert history.history["loss"] == [after_second["loss"]]


def test_a_training_ended_before_an_epoch_ends_with_its_first_batch(eagerly):
    def stop(epoch, logs):
        model.stop_training = epoch == 1

    model = linear(eagerly)
    stopping = callbacks.LambdaCallback(on_epoch_begin=stop)
    model.fit(X, Y, 8, 3, callbacks=[stopping], shuffle=False, verbose=0)
    assert int(model.optimizer.iterations) == -(-len(X) // 8) + 1


def test_a_training_that_was_ended_ends_nothing_else(eagerly):
    model, whole = linear(eagerly), linear(eagerly)
    options = {"callbacks": [Stops(after=0)], "validation_data": (X, Y), "verbose": 0}
    history = model.fit(X, Y, 8, validation_batch_size=5, **options).history
    whole.build((None, 3))
    whole.set_weights(model.get_weights())
    expected = whole.evaluate(X, Y, 5, verbose=0)
    assert [history["val_loss"][0], history["val_mae"][0]] == expected
    assert model.evaluate(X, Y, 5, verbose=0) == expected
    assert len(model.predict(X, 5)) == len(X)


class Enough(callbacks.Callback):
    """Ends what would not end by itself."""

    def on_test_batch_end(self, batch, logs=None):
        self.model.stop_evaluating = batch == 1

    def on_predict_batch_end(self, batch, logs=None):
        self.model.stop_predicting = batch == 2
        self.last = batch


def test_callbacks_may_end_evaluations_and_predictions(eagerly):
    def endless():
        while True:
            yield X[:8], Y[:8]

    model = linear(eagerly)
    found = model.evaluate(endless(), callbacks=[Enough()], verbose=0)
    assert found == pytest.approx([(Y[:8] ** 2).mean(), abs(Y[:8]).mean()], rel=1e-5)
    assert len(model.predict((x for x, _ in endless()), callbacks=[Enough()])) == 24
    for samples in (len(X), 27):  # a short batch may follow, and is none of these
        enough = Enough()
        outputs = model.predict(X[:samples], 8, callbacks=[enough])
        assert enough.last == 2
        np.testing.assert_array_equal(outputs, model.predict(X[:24]))


def test_a_description_in_the_midst_of_an_epoch_leaves_its_metrics_alone(eagerly):
    def trained(*listeners):
        model = linear(eagerly)
        history = model.fit(X, Y, 8, shuffle=False, verbose=0, callbacks=listeners)
        return history.history, model.get_weights()

    describe = callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: describe.model.describe(X, Y, 8, profile=True)
    )
    (plain, weights), (described, same) = trained(), trained(describe)
    assert described == plain
    for a, b in zip(weights, same, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_batch_at_a_time(eagerly):
    model, expected = linear(eagerly), linear(eagerly)
    first = model.train_on_batch(X[:8], Y[:8])
    assert first == pytest.approx([(Y[:8] ** 2).mean(), abs(Y[:8]).mean()], rel=1e-5)
    weighted = {"sample_weight": np.full(8, 2.0), "class_weight": None}
    both = model.train_on_batch(X[8:16], Y[8:16], return_dict=True, **weighted)
    assert set(both) == {"loss", "mae"}
    scale = np.repeat([1.0, 2.0], 8)
    expected.fit(X[:16], Y[:16], 8, sample_weight=scale, shuffle=False, verbose=0)
    np.testing.assert_array_equal(model.layers[0].kernel, expected.layers[0].kernel)
    error = X[:8] @ model.layers[0].kernel.numpy()[:, 0] - Y[:8]
    assert model.test_on_batch(X[:8], Y[:8])[0] == pytest.approx((error**2).mean(), rel=1e-5)
    assert model.test_on_batch(X, Y) == expected.evaluate(X, Y, 24, verbose=0)
    np.testing.assert_array_equal(model.predict_on_batch(X), expected.predict(X))


@pytest.mark.parametrize("method", ["train_on_batch", "test_on_batch"])
def test_a_batch_with_a_wrong_label_changes_nothing(method, eagerly):
    """Neither the first time, nor when a program for such batches is there."""
    classes = np.arange(8) % 3
    model = Sequential([layers.BatchNormalization(), layers.Dense(3, "softmax")])
    model.compile("adam", "sparse_categorical_crossentropy", ["accuracy"], run_eagerly=eagerly)
    model.build((None, 3))
    for _ in range(2):
        variables = [*model.weights, *model.optimizer.variables]
        variables += [v for metric in model.metrics for v in metric.variables]
        before = [v.numpy() for v in variables]
        with pytest.raises(ValueError, match=r"y_true\[2\] is 3"):
            getattr(model, method)(X[:8], classes + 1)
        for variable, value in zip(variables, before, strict=True):
            np.testing.assert_array_equal(variable, value)
        getattr(model, method)(X[:8], classes)


def test_a_batch_of_compressed_rows(eagerly):
    scipy_sparse = pytest.importorskip("scipy.sparse")
    model, rows = linear(eagerly), scipy_sparse.csr_matrix(X)
    np.testing.assert_allclose(model.predict_on_batch(rows), model.predict(X), rtol=1e-6)
    assert model.train_on_batch(rows, Y)[0] == pytest.approx((Y**2).mean(), rel=1e-5)


def test_what_layers_add_to_the_loss(eagerly):
    class Adds(layers.Layer):
        def call(self, inputs):
            self.add_loss(3.0)
            self.add_loss(fastnn.reduce_sum(inputs))
            return inputs

    dense = layers.Dense(
        1,
        kernel_initializer="ones",
        kernel_regularizer="l1",
        bias_initializer="ones",
        bias_regularizer=lambda b: 10 * fastnn.reduce_sum(b),
        activity_regularizer=lambda y: 0.5 * fastnn.reduce_sum(y),
    )
    model = Sequential([Adds(), dense])
    model.compile("sgd", "mae", run_eagerly=eagerly)
    x = np.ones((4, 2), np.float32)
    y = np.full((4, 1), 3.0)
    # Mean |3 - 3|; 3 + 8 by the first layer; 0.01 * 2 and 10 * 1 for the weights.
    activity = 0.5 * 4 * 3 / 4  # the sum of all outputs, for each sample
    assert model.evaluate(x, y, verbose=0) == pytest.approx(3 + 8 + 0.02 + 10 + activity, rel=1e-6)
    assert model.fit(x, y, verbose=0).history["loss"] == pytest.approx([21.02 + activity])


def test_a_model_without_weights_to_train_is_measured():
    model = linear()
    model.trainable = False
    with pytest.warns(UserWarning, match="has no weights to train"):
        history = model.fit(X, Y, epochs=2, verbose=0).history
    assert history["loss"] == pytest.approx([(Y**2).mean()] * 2, rel=1e-5)


def test_constraints_hold_after_every_update(eagerly):
    model = linear(eagerly, kernel_constraint="non_neg")
    model.fit(X, Y, 4, epochs=3, verbose=0)
    kernel = model.layers[0].kernel.numpy()
    assert kernel.min() == 0 < kernel.max()


class Own(Model):
    """A model of somebody else's, with a step of its own."""

    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(1, kernel_initializer="zeros", use_bias=False)
        self.error = metrics.Mean(name="error")

    def call(self, inputs):
        return self.dense(inputs)

    def train_step(self, data):
        x, y = data
        with GradientTape() as tape:
            loss = fastnn.reduce_mean((self(x, training=True)[:, 0] - y) ** 2)
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_variables, strict=True))
        self.error.update_state(loss)
        return {"error": self.error.result(), "twice": 2 * loss}


def test_a_step_of_ones_own(eagerly):
    model, expected = Own(), linear(eagerly)
    model.compile(fastnn.optimizers.SGD(0.1), run_eagerly=eagerly)
    history = model.fit(X, Y, 8, epochs=2, shuffle=False, verbose=0).history
    same = expected.fit(X, Y, 8, epochs=2, shuffle=False, verbose=0).history
    np.testing.assert_allclose(history["error"], same["loss"], rtol=1e-5)
    np.testing.assert_allclose(model.dense.kernel, expected.layers[0].kernel, rtol=1e-5)
    assert set(history) == {"error", "twice"}


def test_a_step_must_return_names():
    class Silent(Own):
        def train_step(self, data):
            return None

    model = Silent()
    model.compile("sgd")
    with pytest.raises(TypeError, match="must return a dict of numbers by name"):
        model.fit(X, Y, verbose=0)


def test_a_loss_of_ones_own(eagerly):
    class Halved(Own):
        train_step = Model.train_step

        def compute_loss(self, x, y, y_pred, sample_weight=None, training=True):
            return fastnn.reduce_mean((y_pred[:, 0] - y) ** 2) / 2

    model, expected = Halved(), linear(eagerly)
    model.compile(fastnn.optimizers.SGD(0.2), run_eagerly=eagerly)
    model.fit(X, Y, 8, shuffle=False, verbose=0)
    expected.fit(X, Y, 8, shuffle=False, verbose=0)
    np.testing.assert_allclose(model.dense.kernel, expected.layers[0].kernel, rtol=1e-5)


class TwoInputs(Model):
    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(1, kernel_initializer="ones")

    def call(self, inputs):
        return self.dense(inputs["left"]) - inputs["right"]


def test_inputs_by_name(eagerly):
    model = TwoInputs()
    model.compile("sgd", "mse", run_eagerly=eagerly)
    inputs = {"left": X, "right": X[:, :1]}
    np.testing.assert_allclose(model.predict(inputs)[:, 0], X[:, 1] + X[:, 2], rtol=1e-5, atol=1e-6)
    history = model.fit(inputs, Y, 8, epochs=8, verbose=0, validation_split=0.25).history
    assert history["loss"][-1] < history["loss"][0]
    with pytest.raises(ValueError, match="first axes must be equal"):
        model.fit({"left": X, "right": X[:4]}, Y)


def test_data_of_other_libraries():
    torch = pytest.importorskip("torch")
    pandas = pytest.importorskip("pandas")
    expected = linear().fit(X, Y, epochs=2, shuffle=False, verbose=0).history
    for x, y in (
        (pandas.DataFrame(X, columns=list("abc")), pandas.Series(Y)),
        (torch.tensor(X), torch.tensor(Y)),
        (X.tolist(), Y.tolist()),
    ):
        assert linear().fit(x, y, epochs=2, shuffle=False, verbose=0).history == expected


def test_what_is_not_here_is_said():
    with pytest.raises(TypeError, match=r"models of inputs and outputs are not here"):
        Model(inputs=layers.Input((3,)), outputs=3)
    with pytest.raises(TypeError, match=r"put one after the other with Sequential"):
        layers.Dense(3)(layers.Input((3,)))
    with pytest.raises(ValueError, match="is not compiled"):
        Own().fit(X, Y)
    with pytest.raises(ValueError, match="has no layer 'head'; it has 'dense"):
        linear().get_layer("head")
    with pytest.raises(ValueError, match="validation_split needs arrays"):
        linear().fit(iter([(X, Y)]), validation_split=0.5)


def test_summary(capsys):
    model = Sequential([layers.Dense(4, name="hidden"), layers.Dense(2, name="head")], name="m")
    model.summary()
    assert "hidden (Dense)  ?             ? (not built)" in capsys.readouterr().out
    model.build((None, 3))
    model.layers[0].trainable = False
    lines = []
    model.summary(print_fn=lines.append)
    text = "\n".join(lines)
    assert "hidden (Dense)  (None, 4)             16" in text
    assert "Total parameters: 26 (104 bytes)\nTrainable: 10, not trainable: 16" in text


def test_an_input_shape_makes_the_weights_at_once():
    model = Sequential([layers.Dense(4, input_shape=(3,))])
    model.add(layers.Dense(2))
    assert [w.shape for w in model.weights] == [(3, 4), (4,), (4, 2), (2,)]
    with pytest.raises(ValueError, match="does not fill the target_shape"):
        model.add(fastnn.layers.Reshape((3,)))
    assert len(model.layers) == 2
    again = Sequential([layers.Input((3,)), layers.Dense(4)])
    assert (len(again.layers), again.count_params()) == (1, 16)
    assert (again.output_shape, again.layers[0].output_shape) == ((None, 4), (None, 4))
    with pytest.raises(ValueError, match="has not been called yet"):
        layers.Dense(3).output_shape  # noqa: B018  # the question is what raises


def test_more_steps_than_batches():
    model = Sequential([layers.Dense(1)])
    model.compile("sgd", "mse")
    with pytest.warns(UserWarning, match="there are 3 batches for 10 steps"):
        history = model.fit(np.ones((20, 2)), np.ones(20), 8, steps_per_epoch=10, verbose=0)
    assert history.params["steps"] == 3


class Thirds(fastnn.utils.PyDataset):
    """Nine samples in three batches, and a note of where each epoch begins and ends."""

    def __init__(self):
        super().__init__()
        self.told = []

    def __len__(self):
        return 3

    def __getitem__(self, index):
        x = np.arange(9.0).reshape(9, 1)[3 * index : 3 * index + 3]
        return x, 2 * x

    def on_epoch_begin(self):
        self.told.append("begin")

    def on_epoch_end(self):
        self.told.append("end")


def test_the_batches_of_a_dataset_are_shuffled_to_train_alone():
    asked = []

    class Noted(Thirds):
        def __getitem__(self, index):
            asked.append(index)
            return super().__getitem__(index)

    model = Sequential([layers.Dense(1, input_shape=(1,))])
    model.compile("sgd", "mse")
    model.fit(Noted(), epochs=20, verbose=0)
    epochs = [tuple(asked[at : at + 3]) for at in range(0, 60, 3)]
    assert all(sorted(epoch) == [0, 1, 2] for epoch in epochs)
    assert len(set(epochs)) > 1
    asked.clear()
    model.fit(Noted(), shuffle=False, verbose=0, validation_data=Noted())
    model.predict(Noted())
    assert asked == [0, 1, 2] * 3


@pytest.mark.parametrize("kind", ["no length", "length not known", "only in order", "an iterator"])
def test_batches_that_have_no_numbers(kind):
    """They come in their own order, though the end of an epoch is told to them."""
    batches = [(X[rows], Y[rows]) for rows in in_batches(24, 8)]

    class Told:
        ended = 0

        def __iter__(self):
            return iter(batches)

        def on_epoch_end(self):
            self.ended += 1

    class Numbered(Told):  # as Keras's PyDataset may be
        def __getitem__(self, at):
            return batches[at]

    class Ordered(fastnn.utils.PyDataset):
        ended = 0

        def __iter__(self):
            return iter(batches)

        def on_epoch_end(self):
            self.ended += 1

    class Iterating(Told):
        def __init__(self):
            self.rest = iter(batches)

        def __iter__(self):
            return self

        def __next__(self):
            return next(self.rest)

    kinds = {"no length": Told, "length not known": Numbered, "only in order": Ordered}
    data, model, expected = kinds.get(kind, Iterating)(), linear(), linear()
    model.fit(data, verbose=0)
    expected.fit(X, Y, 8, shuffle=False, verbose=0)
    np.testing.assert_array_equal(model.layers[0].kernel, expected.layers[0].kernel)
    assert data.ended == 1


@pytest.mark.parametrize("steps", [2, 5])
def test_steps_that_are_no_part_of_a_dataset(steps, eagerly):
    """It ends within an epoch, and begins anew with the next one."""
    model = linear(eagerly)
    assert model.fit(Indexed(), epochs=4, steps_per_epoch=steps, verbose=0).epoch == [0, 1, 2, 3]
    assert int(model.optimizer.iterations) == {2: 2 + 1 + 2 + 1, 5: 4 * 3}[steps]


def test_a_dataset_of_batches_by_number():
    thirds, model = Thirds(), Sequential([layers.Dense(1)])
    model.compile("sgd", "mse")
    model.fit(thirds, epochs=2, verbose=0)
    assert thirds.told == ["begin", "end"] * 2
    assert (len(list(thirds)), model.predict(thirds).shape) == (3, (9, 1))
    with pytest.raises(ValueError, match="x has 3 samples"):
        model.fit(thirds, np.ones((9, 1)), verbose=0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: m.fit(X, Y, epoch=3), "fit: there is no option 'epoch'; did you mean 'epochs'"),
        (lambda m: m.evaluate(X, Y, step=3), "evaluate: .* 'step'; did you mean 'steps'"),
        (lambda m: m.predict(X, batchsize=3), "predict: .* did you mean 'batch_size'"),
        (lambda m: m.compile(optimiser="sgd"), "compile: .* did you mean 'optimizer'"),
        (lambda m: m.compile(loss_weights=[1]), "compile: .* 'loss_weights'"),
    ],
)
def test_options_that_there_are_not(call, message):
    with pytest.raises(TypeError, match=message):
        call(linear())


def test_a_step_of_ones_own_that_is_a_function():
    class Own(fastnn.Model):
        def __init__(self):
            super().__init__()
            self.dense = layers.Dense(1, kernel_initializer="zeros", use_bias=False)

        def call(self, inputs):
            return self.dense(inputs)

        @fastnn.function
        def train_step(self, data):
            x, y = data
            with fastnn.GradientTape() as tape:
                loss = self.compute_loss(x, y, self(x))
            weights = self.trainable_variables
            self.optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))
            return {"loss": loss}

    model, expected = Own(), linear()
    model.compile("sgd", "mse")
    model.build((None, 3))
    expected = Sequential([layers.Dense(1, kernel_initializer="zeros", use_bias=False)])
    expected.compile("sgd", "mse")
    for m in (model, expected):
        m.fit(X, Y[:, None], 8, epochs=2, shuffle=False, verbose=0)
    np.testing.assert_array_equal(model.get_weights()[0], expected.get_weights()[0])


def test_a_prediction_that_is_ended_has_the_rows_until_then(eagerly):
    model = linear(eagerly)
    outputs = model.predict(X, 5, callbacks=[Enough()])
    np.testing.assert_array_equal(outputs, model.predict(X[:15]))


def test_so_many_steps_are_all_of_the_samples():
    assert len(linear().predict(X, steps=5)) == len(X)  # the last one has fewer


def test_a_stop_is_for_one_call(eagerly):
    model = linear(eagerly)
    model.stop_training = model.stop_evaluating = model.stop_predicting = True
    assert model.fit(X, Y, 8, 2, verbose=0).epoch == [0, 1]
    whole = model.evaluate(X, Y, len(X), verbose=0)
    assert model.evaluate(X, Y, 8, verbose=0) == pytest.approx(whole)
    assert len(model.predict(X, 8)) == len(X)


def test_averages_leave_out_what_begins_to_learn_at_the_end():
    model = Sequential([layers.Dense(2, trainable=False), layers.Dense(1)])
    model.compile(fastnn.optimizers.SGD(0.1, use_ema=True), "mse")
    thaw = callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: setattr(model.layers[0], "trainable", True)
    )
    model.fit(X, Y, callbacks=[thaw], verbose=0)
    assert len(model.trainable_weights) == 4


def test_a_model_may_take_whole_batches_alone():
    class Pairs(layers.Layer):
        def call(self, inputs):
            return fastnn.reshape(inputs, (64, 2, 3))

    model = Sequential([Pairs(), layers.Flatten(), layers.Dense(1)])
    model.compile("sgd", "mse")
    model.fit(np.ones((128, 6), np.float32), np.ones(128), 64, verbose=0)
    assert int(model.optimizer.iterations) == 2


def test_validation_is_in_batches_of_the_training_by_default():
    class Counts(callbacks.Callback):
        batches = 0

        def on_test_batch_end(self, batch, logs=None):
            self.batches += 1

    counts = Counts()
    linear().fit(X, Y, 8, validation_data=(X, Y), callbacks=[counts], verbose=0)
    assert counts.batches == 3


def test_describe_shows_the_program_of_fit():
    assert "(24, 3)" in linear().describe(X, Y)  # there are fewer samples than in a batch
    with pytest.raises(ValueError, match="not compiled"):
        Sequential([layers.Dense(1)]).describe(X, Y)


def test_who_ends_a_training_that_is_not_finite_is_told_nothing_more():
    class Ends(callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.model.stop_training = not np.isfinite(logs["loss"])

    model = linear()
    model.optimizer.learning_rate = 1e30
    history = model.fit(X, Y, 8, 9, callbacks=[Ends()], verbose=0).history
    assert not np.isfinite(history["loss"][-1])


def test_an_error_says_that_the_validation_data_are_wrong():
    with pytest.raises(TypeError, match=r"^validation data: "):
        linear().fit(X, Y, validation_data=(X, (Y, Y)), verbose=0)


def test_metrics_may_come_in_a_list_for_the_only_output():
    model = Sequential([layers.Dense(1)])
    model.compile("sgd", "mse", metrics=[["mae", "mse"]])
    model.evaluate(X, Y, verbose=0)
    assert model.metrics_names == ["loss", "mae", "mse"]


def test_an_error_names_the_metric_that_does_not_fit(eagerly):
    model = Sequential([layers.Dense(3, activation="softmax")])
    loss = "sparse_categorical_crossentropy"
    model.compile("sgd", loss, metrics=["accuracy", "Precision"], run_eagerly=eagerly)
    with pytest.raises(ValueError, match="metric 'Precision': y_true has shape"):
        model.fit(X, np.zeros(len(X)), verbose=0)


def test_whether_to_shuffle_is_yes_or_no():
    with pytest.raises(TypeError, match="shuffle must be True or False, got 'no'"):
        linear().fit(X, Y, shuffle="no", verbose=0)


@pytest.mark.parametrize("is_built", [False, True])
def test_a_look_at_the_data_beforehand_changes_no_weight(is_built):
    class Counting(layers.Layer):
        def build(self, input_shape):
            self.calls = self.add_weight(shape=(), initializer="zeros", trainable=False)

        def call(self, inputs):
            self.calls.assign_add(1.0)
            return inputs

    model = Sequential([Counting(), layers.Dense(1)])
    model.compile("sgd", "mse")
    if is_built:
        model.build((None, 3))
    model.fit(np.ones((6, 3)), np.ones(6), batch_size=2, verbose=0)
    assert float(model.layers[0].calls) == 3


def test_steps_per_epoch_of_all_batches_of_a_data_set():
    """It begins anew in each epoch, since it can."""

    class Batches(fastnn.utils.PyDataset):
        def __len__(self):
            return 3

        def __getitem__(self, index):
            return np.full((2, 3), index, np.float32), np.ones(2, np.float32)

    def weights(**options):
        fastnn.utils.set_random_seed(1)
        model = Sequential([layers.Dense(1)])
        model.compile("adam", "mse")
        assert model.fit(Batches(), epochs=3, verbose=0, **options).epoch == [0, 1, 2]
        return model.get_weights()

    for found, expected in zip(weights(steps_per_epoch=3), weights(), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_a_generator_evaluates_a_model_without_weights_by_all_its_batches(eagerly):
    def batches():
        return ((X[rows], Y[rows]) for rows in in_batches(24, 8))

    model = linear(eagerly)
    loss = model.evaluate(batches(), verbose=0)[0]
    np.testing.assert_allclose(loss, np.mean(Y.astype(np.float64) ** 2), rtol=1e-5)  # zeros


def test_callbacks_find_the_weights_of_a_model_with_a_step_of_its_own():
    class Own(Sequential):
        def train_step(self, data):
            return super().train_step(data)

    found = []
    model = Own([layers.Dense(1)])
    model.compile("sgd", "mse")
    noting = callbacks.LambdaCallback(
        on_train_begin=lambda logs: found.append(model.count_params())
    )
    model.fit(X, Y, verbose=0, callbacks=[noting])
    assert found == [4]


def test_a_step_that_makes_its_weights_for_other_inputs_than_the_data():
    """The step is what makes them, and not a call of the model on the data."""

    class Generator(Model):
        def __init__(self):
            super().__init__()
            self.generator, self.judge = layers.Dense(4), layers.Dense(1)

        def call(self, noise):
            return self.generator(noise)

        def train_step(self, real):
            with GradientTape() as tape:
                made = self(fastnn.ones((8, 2)), training=True)
                loss = fastnn.reduce_mean(self.judge(made)) - fastnn.reduce_mean(self.judge(real))
            weights = self.trainable_weights
            self.optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))
            return {"loss": loss}

    found = []
    model = Generator()
    model.compile("sgd")
    noting = callbacks.LambdaCallback(on_train_begin=lambda logs: found.append(len(model.weights)))
    model.fit(RNG.standard_normal((24, 4)), verbose=0, callbacks=[noting])
    assert found == [4]
    assert model.generator.kernel.shape == (2, 4)


def test_a_step_that_needs_what_a_callback_brings():
    class Late(Sequential):
        def train_step(self, data):
            return super().train_step(tuple(self.scale * part for part in data))

    model = Late([layers.Dense(1)])
    model.compile("sgd", "mse")

    def bring(logs):
        model.scale = 2.0

    bringing = callbacks.LambdaCallback(on_train_begin=bring)
    assert model.fit(X, Y, verbose=0, callbacks=[bringing]).epoch == [0]
    model = Late([layers.Dense(1)])
    model.compile("sgd", "mse")
    with pytest.raises(AttributeError, match="scale"):
        model.fit(X, Y, verbose=0)


def test_a_batch_at_a_time_op_by_op_goes_through_the_layers_once():
    calls = []

    class Noting(layers.Layer):
        def call(self, inputs):
            calls.append(inputs.shape)
            return inputs

    model = Sequential([Noting(), layers.Dense(1)])
    model.compile("sgd", "mse", run_eagerly=True)
    model.train_on_batch(X, Y)
    calls.clear()
    model.train_on_batch(X, Y)
    model.test_on_batch(X, Y)
    assert calls == [X.shape] * 2


def test_no_epochs_change_nothing():
    model = linear()
    model.compile(fastnn.optimizers.SGD(0.1, use_ema=True), "mse")
    model.fit(X, Y, verbose=0)
    model.set_weights([np.full((3, 1), 7.0)])
    model.fit(X, Y, epochs=0, verbose=0)
    np.testing.assert_array_equal(model.get_weights()[0], np.full((3, 1), 7.0))


@pytest.mark.parametrize("kind", ["generator", "told when an epoch begins"])
def test_a_model_without_weights_loses_no_batch(kind):
    """It is built by a look at the first one, if there is one yet."""
    x = np.random.default_rng(0).standard_normal((6, 2)).astype(np.float32)

    class Told(fastnn.utils.PyDataset):
        def on_epoch_begin(self):
            self.x = x

        def __len__(self):
            return 3

        def __getitem__(self, index):
            return self.x[2 * index : 2 * index + 2], np.ones(2, np.float32)

    def batches():
        return ((x[at : at + 2], np.ones(2, np.float32)) for at in (0, 2, 4))

    def weights(is_built):
        fastnn.utils.set_random_seed(1)
        model = Sequential([layers.Dense(1)])
        model.compile("adam", "mse")
        if is_built:
            model.build((None, 2))
        model.fit(batches() if kind == "generator" else Told(), shuffle=False, verbose=0)
        assert int(model.optimizer.iterations) == 3
        return model.get_weights()

    for found, expected in zip(weights(False), weights(True), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_classes_may_be_numbers_below_zero():
    """As labels of hinge are: the same as weights of the samples."""
    x, y = np.arange(12.0).reshape(4, 3), np.array([-1, 1, -1, 1])
    losses = []
    for weights in ({"class_weight": {-1: 2.0}}, {"sample_weight": np.array([2.0, 1, 2, 1])}):
        model = Sequential([layers.Dense(1, kernel_initializer="ones")])
        model.compile("sgd", "hinge")
        losses += model.fit(x, y, verbose=0, **weights).history["loss"]
    assert losses[0] == losses[1] > 0

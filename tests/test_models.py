"""Sequential: compile, fit, evaluate, predict, what they report and what they refuse."""

import functools
import sys

import numpy as np
import pytest

import fastnn
from fastnn import (
    Model,
    Sequential,
    Variable,
    callbacks,
    layers,
    losses,
    metrics,
    models,
    optimizers,
)
from fastnn.datasets import mnist
from fastnn.structure import leaves


def blobs(rng, n=200):
    """Two clouds of points, easily told apart, with labels 0 and 1."""
    labels = np.arange(n) % 2
    return rng.standard_normal((n, 2)) + 4 * labels[:, None], labels


def classifier(**options):
    model = Sequential([layers.Dense(8, activation="relu"), layers.Dense(2, activation="softmax")])
    options = {"optimizer": "rmsprop", "loss": "sparse_categorical_crossentropy", **options}
    model.compile(**{"metrics": ["accuracy"], **options})
    return model


@pytest.mark.parametrize("optimizer", ["sgd", "rmsprop", "adagrad", "adam"])
def test_fit_learns(optimizer, rng):
    x, y = blobs(rng)
    rate = 0.1 if optimizer == "adagrad" else 0.05
    model = classifier(optimizer=type(optimizers.get(optimizer))(learning_rate=rate))
    model.fit(x, y, epochs=10, batch_size=16, verbose=0)
    loss, accuracy = model.evaluate(x, y, verbose=0)
    assert accuracy > 0.97
    assert loss < 0.2


def test_the_sample_of_mnist():
    (x, y), (x_test, y_test) = mnist.load_sample()
    model = Sequential(
        [layers.Dense(64, activation="relu"), layers.Dense(10, activation="softmax")]
    )
    model.compile("rmsprop", "sparse_categorical_crossentropy", ["accuracy"])
    model.fit(x.reshape(-1, 784) / 255, y, epochs=3, batch_size=64, verbose=0)
    assert model.evaluate(x_test.reshape(-1, 784) / 255, y_test, verbose=0)[1] > 0.85


def test_fit_is_the_loop_written_by_hand(rng):
    """One epoch of fit, not shuffled, is NumPy's loop over the same batches, averages included."""
    x, y = rng.standard_normal((50, 3)), rng.standard_normal((50, 2))
    model = Sequential([layers.Dense(2)])
    model.compile(optimizers.SGD(0.1), "mse")
    model(x[:1])
    w, b = (v.numpy().astype(float) for v in model.weights)
    history = model.fit(x, y, batch_size=16, epochs=1, shuffle=False, verbose=0)
    total = 0.0
    for start in range(0, 50, 16):
        xb, yb = x[start : start + 16], y[start : start + 16]
        error = xb @ w + b - yb
        total += (error**2).mean() * len(xb)
        gradient = 2 * error / error.size
        w, b = w - 0.1 * xb.T @ gradient, b - 0.1 * gradient.sum(0)
    np.testing.assert_allclose(model.weights[0], w, atol=1e-6)
    np.testing.assert_allclose(model.weights[1], b, atol=1e-6)
    assert history.history["loss"] == pytest.approx([total / 50], rel=1e-5)


def test_history(rng):
    x, y = blobs(rng)
    history = classifier().fit(x, y, 32, 3, verbose=0, validation_data=(x[:50], y[:50]))
    assert set(history.history) == {"loss", "accuracy", "val_loss", "val_accuracy"}
    assert all(len(values) == 3 for values in history.history.values())
    assert all(type(value) is float for value in history.history["val_accuracy"])
    assert history.epoch == [0, 1, 2]
    assert history.params == {"epochs": 3, "steps": 7, "verbose": 0}


def test_no_epochs_train_nothing(rng):
    model, told = classifier(), []
    listener = callbacks.LambdaCallback(
        on_train_begin=lambda logs: told.append("begin"),
        on_train_end=told.append,
    )
    history = model.fit(*blobs(rng), epochs=0, verbose=0, callbacks=[listener])
    assert (history.history, history.epoch, told) == ({}, [], ["begin", {}])


def test_validation_split_takes_the_last_part(rng):
    x, y = blobs(rng, 100)
    y[80:] = 1 - y[80:]  # the held back part contradicts the rest
    history = classifier(optimizer=optimizers.Adam(0.05)).fit(
        x, y, epochs=20, verbose=0, validation_split=0.2
    )
    assert history.params["steps"] == 3
    assert history.history["accuracy"][-1] > 0.9
    assert history.history["val_accuracy"][-1] < 0.1


def test_validation_data_takes_precedence(rng):
    x, y = blobs(rng, 100)
    history = classifier().fit(x, y, verbose=0, validation_split=0.5, validation_data=(x, y))
    assert history.params["steps"] == 4


class Stacked(layers.Layer):
    """It keeps its weights in a list and a dict."""

    def __init__(self):
        super().__init__()
        self.scales, self.by_name = [], {}

    def build(self, input_shape):
        self.scales.append(self.add_weight(input_shape[-1:], "ones", name="scale"))
        self.by_name["shift"] = self.add_weight(input_shape[-1:], "zeros", name="shift")

    def call(self, inputs):
        return inputs * self.scales[0] + self.by_name["shift"]


def test_a_refused_first_fit_leaves_no_weights_in_containers():
    model = Sequential([Stacked(), layers.Dense(2, "softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    with pytest.raises(ValueError, match="class"):
        model.fit(np.ones((4, 9)), np.full(4, 7), verbose=0)
    assert (model.layers[0].scales, model.layers[0].by_name) == ([], {})
    model.fit(np.ones((4, 5)), np.zeros(4), verbose=0)
    assert [w.shape for w in model.weights] == [(5,), (5,), (5, 2), (2,)]


def test_a_refused_first_fit_leaves_the_model_unbuilt(rng):
    """Images that were not flattened can be flattened and tried again, with the same model."""
    images, labels = rng.standard_normal((20, 4, 4)), np.arange(20) % 2
    model = classifier()
    with pytest.raises(ValueError, match="y_true"):
        model.fit(images, labels, verbose=0)
    assert model.weights == []
    model.fit(images.reshape(20, 16), labels, verbose=0)
    assert model.layers[0].kernel.shape == (16, 8)


def test_labels_are_checked_for_a_partial_loss_too():
    loss = functools.partial(losses.sparse_categorical_crossentropy, from_logits=True)
    model = Sequential([layers.Dense(2)])
    model.compile("sgd", loss)
    with pytest.raises(ValueError, match=r"y_true\[9\] is 2"):
        model.fit(X, [*Y[:9], 2], batch_size=2, verbose=0)
    assert model.weights == []


def test_a_layer_comes_once():
    layer = layers.Dense(2)
    with pytest.raises(ValueError, match="in the model already"):
        Sequential([layer, layer])


def test_the_names_of_metrics(rng):
    x, y = blobs(rng)

    def distance(y_true, y_pred):
        return fastnn.abs(y_pred[:, 1] - y_true)

    model = classifier(metrics=["acc", distance, losses.mean_squared_error])
    model.compile("sgd", losses.sparse_categorical_crossentropy, metrics=["acc", distance])
    logs = model.evaluate(x, y, verbose=0, return_dict=True)
    assert list(logs) == ["loss", "acc", "distance"]
    p = model.predict(x)
    assert logs["acc"] == pytest.approx(np.mean(p.argmax(1) == y))
    assert logs["distance"] == pytest.approx(np.abs(p[:, 1] - y).mean(), rel=1e-5)
    assert model.evaluate(x, y, verbose=0) == list(logs.values())
    model.compile("sgd", "sparse_categorical_crossentropy")
    assert isinstance(model.evaluate(x, y, verbose=0), float)


@pytest.mark.parametrize("size", [1, 3, 32, 1000])
def test_predict_does_not_depend_on_the_batch(size, rng):
    x, _ = blobs(rng)
    model = classifier()
    p = model.predict(x, batch_size=size)
    assert isinstance(p, np.ndarray)
    assert p.shape == (200, 2)
    np.testing.assert_array_equal(p, model.predict(x))
    np.testing.assert_array_equal(p[5], model.predict(x[5:6])[0])
    np.testing.assert_allclose(p.sum(1), 1, rtol=1e-6)


def test_seeds_repeat_a_training(rng):
    x, y = blobs(rng)

    def weights():
        fastnn.utils.set_random_seed(5)
        model = classifier()
        model.fit(x, y, epochs=2, verbose=0)
        return [w.numpy() for w in model.weights]

    for a, b in zip(weights(), weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_shuffling_keeps_samples_and_targets_together_and_mixes_batches():
    """The targets follow from the inputs, so a wrong pair would show as a loss."""
    x = np.arange(64.0).reshape(64, 1) / 64
    seen = []

    def loss(y_true, y_pred):
        seen.append(np.asarray(y_true).ravel())
        return losses.mean_squared_error(y_true, y_pred)

    model = Sequential([layers.Dense(1, kernel_initializer="ones")])
    model.compile(optimizers.SGD(1e-9), loss, run_eagerly=True)  # the loss looks at values
    history = model.fit(x, x, batch_size=16, epochs=2, verbose=0)
    np.testing.assert_allclose(history.history["loss"], 0, atol=1e-10)
    first, second = np.concatenate(seen[1:5]), np.concatenate(seen[5:9])
    assert sorted(first) == sorted(second) == x.ravel().tolist()
    assert not np.array_equal(first, second)
    assert not np.array_equal(first, x.ravel())


def test_frozen_layers_stay(rng):
    x, y = blobs(rng)
    model = classifier()
    model(x[:1])
    model.layers[0].trainable = False
    frozen, free = model.layers[0].kernel.numpy(), model.layers[1].kernel.numpy()
    model.fit(x, y, verbose=0)
    np.testing.assert_array_equal(model.layers[0].kernel, frozen)
    assert not np.array_equal(model.layers[1].kernel, free)


def test_compile_leaves_weights_alone(rng):
    x, y = blobs(rng)
    model = classifier()
    model.fit(x, y, verbose=0)
    before = model.layers[0].kernel.numpy()
    model.compile("adam", "mse")
    np.testing.assert_array_equal(model.layers[0].kernel, before)


def test_add_and_pop():
    model = Sequential(name="net")
    model.add(layers.Dense(3))
    model.add(layers.Dense(2))
    assert model(fastnn.ones((1, 4))).shape == (1, 2)
    assert model.pop().units == 2
    assert model(fastnn.ones((1, 4))).shape == (1, 3)
    outer = Sequential([model, layers.Dense(1)])
    assert outer(fastnn.ones((1, 4))).shape == (1, 1)
    assert len(outer.weights) == 4
    for given in ([layers.Dense(3)], [layers.Dense(3), layers.Dense(3)]):
        with pytest.raises(TypeError, match=r"write Sequential\(\[layer, layer\], name"):
            Sequential(*given)
    for wrong in (10, layers.Dense, "dense"):
        with pytest.raises(TypeError, match=r"Dense\(10\)"):
            model.add(wrong)
    with pytest.raises(ValueError, match="no layers to remove"):
        Sequential().pop()
    with pytest.raises(ValueError, match="an Input comes first"):
        model.add(layers.Input((3,)))
    with pytest.raises(TypeError, match="write Dense"):
        Sequential(dtype="float64")


def test_what_is_added_to_a_model_with_weights_has_some_too():
    model = Sequential([layers.Dense(3)])
    model(fastnn.ones((2, 4)))
    model.add(layers.Dense(2))
    assert [w.shape for w in model.weights] == [(4, 3), (3,), (3, 2), (2,)]
    with pytest.raises(ValueError, match="does not fill the target_shape"):
        model.add(layers.Reshape((5,)))
    assert len(model.layers) == 2
    model.pop()
    model.pop()
    model.add(layers.Dense(5))  # there is nothing left that was for 4 inputs
    assert model(fastnn.ones((2, 7))).shape == (2, 5)


@pytest.mark.parametrize("shape", [784, "784", "n" * 10**6])
def test_a_shape_that_is_no_tuple_is_refused(shape):
    with pytest.raises(TypeError, match=r"layer 'first': input_shape must be a tuple") as refusal:
        layers.Dense(1, input_shape=shape, name="first")
    assert len(str(refusal.value)) < 200


@pytest.mark.parametrize(
    "first",
    [[layers.Dense(1, input_shape=[1])], [layers.Input((1,)), layers.Dense(1)]],
    ids=["input_shape", "Input"],
)
@pytest.mark.parametrize("eagerly", [False, True])
def test_one_number_for_each_sample(first, eagerly):
    model = Sequential([type(layer).from_config(layer.get_config()) for layer in first])
    model.compile("sgd", "mse", run_eagerly=eagerly)
    x = np.zeros(50)
    x[7] = 2.0
    model.fit(x, 3 * x, epochs=2, verbose=0)
    assert model.predict(x).shape == (50, 1)
    np.testing.assert_array_equal(model.predict(x), model.predict(x[:, None]))


def test_verbose(capsys, rng):
    x, y = blobs(rng)
    model = classifier()
    model.fit(x, y, epochs=2, verbose=0)
    model.evaluate(x, y, verbose=0)
    model.predict(x)
    assert capsys.readouterr() == ("", "")
    for verbose in ("auto", 1, 2):
        model.fit(x, y, epochs=2, verbose=verbose)
        lines = capsys.readouterr().out.splitlines()
        assert len(lines) == 2
        assert lines[0].startswith("Epoch 1/2 - ")
        assert "accuracy: " in lines[1]
    with pytest.raises(ValueError, match="verbose must be"):
        model.fit(x, y, verbose=3)


def test_a_bar_on_a_terminal(capsys, monkeypatch, rng):
    x, y = blobs(rng)
    model = classifier()
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    model.fit(x, y, batch_size=1, epochs=1)
    out = capsys.readouterr().out
    assert "Epoch 1/1:" in out
    assert "/200 [" in out
    assert out.splitlines()[-1].lstrip().split("\r")[-1].startswith("Epoch 1/1 - ")
    model.fit(x, y, verbose=2)
    assert "[" not in capsys.readouterr().out


X, Y = np.ones((10, 3)), np.zeros(10, int)
WRONG = {
    "lengths": (
        X,
        Y[:9],
        {},
        ValueError,
        r"x has 10 samples .* y has 9 .*first axes must be equal",
    ),
    "lengths of inputs": ((X, X[:9]), Y, {}, ValueError, r"10 samples .* array 2 of x has 9 \("),
    "no samples": (X[:0], Y[:0], {}, ValueError, r"x has shape \(0, 3\)"),
    "a number": (1.0, Y, {}, ValueError, "x has shape"),
    "one axis": (X[:, 0], Y, {}, ValueError, "incompatible with the layer"),
    "strings": (X.astype(str), Y, {}, TypeError, r"x: .* not texts such as .*astype\(float\)"),
    "names": (X, np.array(["cat"] * 10), {}, TypeError, r"y: .* np.unique\(texts"),
    "a pair": ((X, Y), None, {}, ValueError, r"pass y beside x, as in fit\(x, y\)"),
    "complex": (X.astype(complex), Y, {}, TypeError, "complex128"),
    "objects": (X, np.array([None] * 10), {}, TypeError, "y: a tensor holds real numbers"),
    "last label": (X, [*Y[:9], 2], {}, ValueError, r"y_true\[9\] is 2; 2 .* the last layer"),
    "negative label": (X, Y - 1, {}, ValueError, r"y_true\[0\] is -1"),
    "nan label": (X, [*Y[:9], np.nan], {}, ValueError, r"y_true\[9\] is nan"),
    "one-hot": (X, np.eye(2)[Y], {}, ValueError, "categorical_crossentropy"),
    "batch_size 0": (X, Y, {"batch_size": 0}, ValueError, "batch_size must be a positive integer"),
    "batch_size 2.5": (X, Y, {"batch_size": 2.5}, ValueError, "batch_size"),
    "epochs": (X, Y, {"epochs": -1}, ValueError, "epochs must be .*, got -1"),
    "masked": (
        np.ma.masked_equal(X, X[0, 0]),
        Y,
        {},
        TypeError,
        r"x: a tensor has no mask, .*filled",
    ),
    "targets in a dict": (X, {"y": Y}, {}, TypeError, "one output, .* a dict of 1: pass y as one"),
    "split of 1": (X, Y, {"validation_split": 1.0}, ValueError, "validation_split"),
    "split of nothing": (X, Y, {"validation_split": 0.95}, ValueError, "one part empty"),
    "validation": (
        X,
        Y,
        {"validation_data": (X, Y[:3])},
        ValueError,
        "x of validation_data has 10",
    ),
    "split of a": (X, Y, {"validation_split": "a"}, ValueError, "must be a number"),
    "validation of one": (X, Y, {"validation_data": (X,)}, ValueError, "pass y beside x"),
    "validation labels": (
        X,
        Y,
        {"validation_data": (X, Y + 7)},
        ValueError,
        r"validation data: y_true\[0\] is 7",
    ),
    "validation width": (
        X,
        Y,
        {"validation_data": (X[:, :2], Y)},
        ValueError,
        r"validation data: .* must have length 3",
    ),
    "list of samples": ([*X], Y, {}, ValueError, "np.stack makes one array"),
}


@pytest.mark.parametrize(
    ("x", "y", "options", "error", "message"), WRONG.values(), ids=WRONG.keys()
)
def test_refused_data_change_nothing(x, y, options, error, message):
    model = classifier(optimizer=optimizers.SGD(0.1, momentum=0.9))
    model.fit(X, Y, verbose=0)
    before = [v.numpy() for v in [*model.weights, *model.optimizer.variables]]
    with pytest.raises(error, match=message):
        model.fit(x, y, verbose=0, **options)
    for kept, v in zip(before, [*model.weights, *model.optimizer.variables], strict=True):
        np.testing.assert_array_equal(v, kept)


def test_a_wrong_width_names_the_layer():
    model = classifier()
    model.fit(X, Y, verbose=0)
    for call in (
        lambda: model.fit(np.ones((10, 4)), Y),
        lambda: model.evaluate(np.ones((10, 4)), Y),
        lambda: model.predict(np.ones((10, 4))),
    ):
        with pytest.raises(ValueError, match=r"\(.*, 4\) is incompatible with the layer 'dense"):
            call()


@pytest.mark.parametrize("eagerly", [False, True])
def test_mistakes_in_call_are_named(eagerly):
    class WithoutReturn(Model):
        def call(self, inputs):
            layers.Dense(2)(inputs)

    class WithLayersInside(Model):
        def call(self, inputs):
            return layers.Dense(2)(inputs)

    model = WithoutReturn(name="silent")
    model.compile("sgd", "mse", run_eagerly=eagerly)
    with pytest.raises(TypeError, match="'silent': call returned None; end it with return"):
        model.fit(X, X[:, :2], verbose=0)
    model = WithLayersInside()
    model.compile("sgd", "mse", run_eagerly=eagerly)
    with pytest.warns(UserWarning, match="layer") as warned:
        model.fit(X, X[:, :2], verbose=0)
    messages = "\n".join(str(w.message) for w in warned)
    assert "no weights to train; make its layers in __init__" in messages
    assert ("makes a layer, which would be one for all runs" in messages) != eagerly


def test_a_layer_beside_others_that_is_made_in_call():
    class Inside(Model):
        def __init__(self):
            super().__init__()
            self.inner = layers.Dense(3)

        def call(self, inputs):
            return layers.Dense(2)(self.inner(inputs))

    model = Inside()
    model.compile("sgd", "mse")
    with pytest.warns(UserWarning, match="makes a layer, which would be one for"):
        model.fit(X, X[:, :2], epochs=2, verbose=0)
    apart = layers.Dense(2)
    step = fastnn.function(apart)
    np.testing.assert_array_equal(step(X[:3]), apart(X[:3]))


def test_an_optimizer_is_of_one_model():
    adam = fastnn.optimizers.Adam()
    first, second = Sequential([layers.Dense(1)]), Sequential([layers.Dense(1)])
    for model in (first, second):
        model.compile(adam, "mse")
    first.fit(X, Y, verbose=0)
    first.compile(adam, "mae")
    first.fit(X, Y, verbose=0)
    before = [v.numpy() for v in adam.variables]
    second.evaluate(X, Y, verbose=0)
    with pytest.raises(ValueError, match=r"'adam.* other weights .* an optimizer of its own"):
        second.fit(X, Y, verbose=0)
    for variable, value in zip(adam.variables, before, strict=True):
        np.testing.assert_array_equal(variable, value)


def test_one_unit_for_several_classes():
    model = Sequential([layers.Dense(1, "sigmoid")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    with pytest.raises(ValueError, match=r"there is one class, 0: .* binary_crossentropy"):
        model.fit(X, Y + 1, verbose=0)


def test_before_compile():
    model = Sequential([layers.Dense(2)])
    for call in (model.fit, model.evaluate):
        with pytest.raises(ValueError, match=r"call model\.compile"):
            call(X, Y)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"optimizer": "rmspropp"}, "did you mean 'rmsprop'"),
        ({"loss": "categorical_crosentropy"}, "did you mean 'categorical_crossentropy'"),
        ({"metrics": ["acuracy"]}, "did you mean 'accuracy'"),
        ({"metrics": [lambda a, b: a, lambda a, b: b]}, "give each function or object its own"),
        ({"metrics": "accuracy"}, r"write metrics=\['accuracy'\]"),
    ],
)
def test_unknown_names_leave_the_model_compiled_as_it_was(options, message):
    model = classifier()
    before = (model.optimizer, model.loss, model.metrics)
    with pytest.raises(ValueError, match=message):
        model.compile(**options)
    assert (model.optimizer, model.loss, model.metrics) == before


def test_a_model_without_layers_is_refused():
    model = Sequential()
    model.compile("sgd", "mse")
    for call in (lambda: model.fit(X, Y, verbose=0), lambda: model.predict(X), lambda: model(X)):
        with pytest.raises(ValueError, match="has no layers: add some"):
            call()


def test_errors_show_the_shapes_of_a_batch():
    with pytest.raises(ValueError, match=r"shape \(10, 3\).* one weight for each sample"):
        classifier().fit(X, Y, 10, sample_weight=np.ones((len(X), 3)), verbose=0)


def test_data_that_are_no_numbers_come_with_a_remedy():
    def batches():
        yield X, Y

    for x, message in ((batches, "x is a function: call it"), ([[1, 2], [3]], "pad_sequences")):
        with pytest.raises((TypeError, ValueError), match=message):
            classifier().fit(x, Y, verbose=0)
    with pytest.raises(TypeError, match="dtype must be float32 or float64, got 'flaot32'"):
        layers.Dense(3, dtype="flaot32")


def test_what_returns_nothing_is_named():
    def silent(y_true, y_pred):
        fastnn.square(y_true - y_pred)

    for options in ({"loss": silent}, {"loss": "mse", "metrics": [silent]}):
        model = Sequential([layers.Dense(2)])
        model.compile("sgd", **options)
        with pytest.raises(TypeError, match="'silent' returned None; end it with return"):
            model.fit(X, X[:, :2], verbose=0)


def test_shapes_are_tuples():
    for make in (fastnn.Input, Sequential([layers.Dense(2)]).build):
        with pytest.raises(TypeError, match=r"must be a tuple of lengths such as \(784,\), got 8"):
            make(8)


@pytest.mark.parametrize(
    "given", [{"head": ["mae"]}, [None], metrics.MeanSquaredError(), metrics.MeanSquaredError]
)
def test_metrics_are_a_list_of_names_and_functions(given):
    with pytest.raises(TypeError, match="metrics must be a list"):
        Sequential([layers.Dense(2)]).compile("sgd", "mse", metrics=given)


def test_metrics_may_come_one_by_one():
    model = Sequential([layers.Dense(2)])
    model.compile("sgd", "mse", metrics=(name for name in ["mae"]))
    assert model.metrics_names == ["loss", "mae"]


@pytest.mark.parametrize("inputs", [fastnn.Input((3,)), [fastnn.Input((3,)), fastnn.Input((3,))]])
def test_layers_are_not_called_on_layers(inputs):
    with pytest.raises(TypeError, match=r"or write a Model whose call\(self, inputs\) joins them"):
        layers.Concatenate()(inputs)


def test_to_categorical():
    to_categorical = fastnn.utils.to_categorical
    np.testing.assert_array_equal(to_categorical([[2], [0]]), [[0, 0, 1], [1, 0, 0]])
    assert to_categorical(np.array([1, 1], np.uint8), num_classes=5).shape == (2, 5)
    assert to_categorical([]).shape == (0, 0)
    for wrong in (np.nan, np.inf, 0.5, -1):
        with pytest.raises(ValueError, match=r"x\[1\] is"):
            to_categorical([0, wrong])
    with pytest.raises(ValueError, match=r"x\[0\] is 4"):
        to_categorical([4], num_classes=4)


def test_a_variable_as_data(rng):
    x, y = blobs(rng)
    classifier().fit(Variable(x), fastnn.constant(y), verbose=0)
    classifier().fit(x.tolist(), y.tolist(), verbose=0)


def test_a_length_that_a_layer_must_know():
    with pytest.raises(ValueError, match=r"layer 'head' has weights for axis -1 .* number there"):
        Sequential([layers.Input((None,)), layers.Dense(3, name="head")])
    model = Sequential([layers.Input((None, 4)), layers.Dense(3), layers.ReLU()])
    assert model.compute_output_shape((None, None, 4)) == (None, None, 3)
    assert model(np.ones((2, 5, 4))).shape == (2, 5, 3)


def test_a_layer_that_is_not_here():
    with pytest.raises(AttributeError, match="has no attribute 'Conv2D'; the layers here are"):
        layers.Conv2D  # noqa: B018  # to ask is enough
    with pytest.raises(AttributeError, match="did you mean 'BatchNormalization'"):
        layers.BatchNormalisation  # noqa: B018


def test_a_model_in_front_brings_its_shape():
    first = Sequential([layers.Input((3,)), layers.Dense(4)])
    model = Sequential([first, layers.Dense(2)])
    assert model.count_params() == 3 * 4 + 4 + 4 * 2 + 2
    assert model.output_shape == (None, 2)
    assert Sequential([model.layers[1], layers.Dense(1)]).count_params() == 4 * 2 + 2 + 2 + 1


@pytest.mark.parametrize("layer", [layers.Dense(3), Sequential([layers.Dense(3)])])
def test_parameters_that_are_not_there_yet_are_not_counted(layer):
    with pytest.raises(ValueError, match=f"{layer.name!r} has no weights yet"):
        layer.count_params()


def test_a_list_of_the_only_input_and_output(rng):
    x, y = blobs(rng)
    model, other = classifier(), classifier()
    for one in (model, other):
        one(x[:1])
    other.set_weights(model.get_weights())
    model.fit([x], [y], shuffle=False, verbose=0)
    other.fit(x, y, shuffle=False, verbose=0)
    np.testing.assert_array_equal(model.predict((x,)), other.predict(x))
    assert model.evaluate([x], (y,), verbose=0) == other.evaluate(x, y, verbose=0)


def test_nothing_is_trained_without_an_optimizer(rng):
    model = Sequential([layers.Dense(1)])
    model.compile(None, "mse")
    x = rng.standard_normal((8, 3))
    assert model.evaluate(x, x[:, :1], verbose=0) > 0
    with pytest.raises(ValueError, match="has no optimizer: give compile one"):
        model.fit(x, x[:, :1], verbose=0)


def test_only_models_are_cloned():
    with pytest.raises(TypeError, match="only a Model can be cloned, got 3"):
        models.clone_model(3)


def test_steps_are_those_of_the_part_that_is_trained(rng):
    x, y = blobs(rng, 100)
    with pytest.warns(UserWarning, match="there are 5 batches for 20 steps") as warned:
        history = classifier().fit(
            x, y, batch_size=10, steps_per_epoch=20, validation_split=0.5, verbose=0
        )
    assert len(warned) == 1
    assert history.params["steps"] == 5


@pytest.mark.parametrize("steps", [-1, 0, True, 2.5])
@pytest.mark.parametrize("way", ["validation_split", "validation_data"])
def test_validation_steps_are_a_count(way, steps, rng):
    x, y = blobs(rng, 100)
    model = classifier()
    given = {"validation_split": 0.5, "validation_data": (x, y)}[way]
    with pytest.raises(ValueError, match="validation_steps must be a positive integer"):
        model.fit(x, y, validation_steps=steps, verbose=0, **{way: given})
    assert not model.weights


def test_a_model_that_is_only_measured_is_saved(tmp_path, rng):
    x, y = blobs(rng, 20)
    model = classifier(optimizer=None)
    before = model.evaluate(x, y, verbose=0)
    model.save(tmp_path / "measured.keras")
    again = models.load_model(tmp_path / "measured.keras")
    assert again.optimizer is None
    assert again.evaluate(x, y, verbose=0) == before


class Remainders(layers.Layer):
    """Of integers, which float32 could not tell apart."""

    def call(self, inputs):
        return fastnn.cast(inputs % 2, "float32")


@pytest.mark.parametrize("eagerly", [False, True])
@pytest.mark.parametrize("dtype", ["int32", "int64", "uint32"])
def test_own_layers_see_the_integers_that_were_given(dtype, eagerly):
    ids = np.array([[16777216], [16777217], [16777219]], dtype)
    model = Sequential([Remainders(), layers.Dense(1, kernel_initializer="ones")])
    model.compile(optimizers.SGD(0.0), "mse", run_eagerly=eagerly)
    np.testing.assert_array_equal(model(ids), [[0], [1], [1]])
    np.testing.assert_array_equal(model.predict(ids), [[0], [1], [1]])
    np.testing.assert_array_equal(model.predict_on_batch(ids), [[0], [1], [1]])
    assert model.evaluate(ids, ids % 2, verbose=0) == 0
    assert model.fit(ids, ids % 2, batch_size=2, verbose=0).history["loss"] == [0]


def test_an_own_layer_that_looks_things_up(rng):
    class Embedding(layers.Layer):
        def build(self, input_shape):
            self.table = self.add_weight((10, 3), "ones", name="table")

        def call(self, inputs):
            return fastnn.reduce_mean(fastnn.gather(self.table, inputs), axis=1)

    ids = rng.integers(0, 10, (64, 4))
    model = Sequential([Embedding(), layers.Dense(1)])
    model.compile("sgd", "mse")
    losses = model.fit(ids, np.zeros(64), epochs=2, verbose=0).history["loss"]
    assert losses[1] < losses[0]
    np.testing.assert_array_equal(model.predict(ids), model(ids))


def test_a_loss_that_needs_a_whole_batch(rng):
    def in_squares(y_true, y_pred):
        return fastnn.reduce_mean(fastnn.reshape(y_true, (4, 5)) - fastnn.reshape(y_pred, (4, 5)))

    model = Sequential([layers.Dense(1)])
    model.compile("sgd", in_squares)
    x = rng.standard_normal((40, 3))
    assert np.isfinite(model.fit(x, x[:, :1], batch_size=20, verbose=0).history["loss"]).all()


def test_a_frozen_model_says_so():
    model = classifier()
    model.trainable = False
    with pytest.warns(UserWarning, match="no weights to train; all are frozen: set trainable"):
        model.fit(np.ones((4, 3)), np.ones(4), verbose=0)


@pytest.mark.parametrize("steps", [1, 2, 7])
def test_the_default_batch_makes_so_many_steps_of_all(steps, rng):
    x, y = blobs(rng, 200)
    model = classifier()
    expected = model.evaluate(x, y, verbose=0)
    np.testing.assert_allclose(model.evaluate(x, y, steps=steps, verbose=0), expected, rtol=1e-6)
    assert len(model.predict(x, steps=steps)) == 200
    assert len(model.predict(x, batch_size=8, steps=steps)) == 8 * steps
    model.fit(x, y, epochs=2, steps_per_epoch=steps, verbose=0)
    assert int(model.optimizer.iterations) == 2 * steps
    history = model.fit(
        x, y, steps_per_epoch=steps, validation_split=0.5, validation_steps=steps, verbose=0
    )
    expected = model.evaluate(x[100:], y[100:], verbose=0)
    told = [history.history["val_loss"][0], history.history["val_accuracy"][0]]
    np.testing.assert_allclose(told, expected, rtol=1e-6)
    assert int(model.optimizer.iterations) == 3 * steps


def test_a_layer_that_cannot_be_added_changes_nothing():
    model = Sequential([layers.Input((2,)), layers.Dense(3)])
    with pytest.raises(ValueError, match="axis -1"):
        model.add(layers.Dense(1, kernel_initializer=lambda shape, dtype: fastnn.zeros((7, 7))))
    assert (model.output_shape, len(model.layers)) == ((None, 3), 1)
    model.add(layers.Dense(1))
    assert model.output_shape == (None, 1)


def test_input_shape():
    model = Sequential([layers.Dense(3)])
    assert model.input_shape is None
    model.build((None, 5))
    assert model.input_shape == (None, 5)
    for first in (
        layers.Input((4,)),
        layers.Dense(2, input_shape=(4,)),
        layers.Dense(2, input_dim=4),
    ):
        outer = Sequential([Sequential([first, layers.Dense(3)]), layers.Dense(1)])
        assert (outer.input_shape, outer.output_shape) == ((None, 4), (None, 1))
        again = Sequential.from_config(outer.get_config())
        assert (again.input_shape, again.count_params()) == ((None, 4), outer.count_params())


def test_a_list_of_one_loss_is_that_of_the_only_output(rng):
    x, y = blobs(rng, 40)
    model = classifier()
    expected = model.evaluate(x, y, verbose=0)
    model.compile("sgd", loss=["sparse_categorical_crossentropy"], metrics=["accuracy"])
    np.testing.assert_array_equal(model.evaluate(x, y, verbose=0), expected)
    with pytest.raises(TypeError, match=r"must be a name or a function, got \['mse', 'mse'\]"):
        model.compile("sgd", loss=["mse", "mse"])


def test_a_layer_under_any_name_is_trained():
    class Part(Model):
        def __init__(self):
            super().__init__()
            self.history = layers.Dense(4)

        def call(self, inputs):
            return self.history(inputs)

    model = Sequential([Part(), layers.Dense(1)])
    model.build((None, 3))
    assert len(model.trainable_weights) == 4


class Encoder(Model):
    """Several outputs, of several shapes and dtypes."""

    def __init__(self, form):
        super().__init__()
        self.form, self.mean, self.log_variance = form, layers.Dense(2), layers.Dense(3)

    def call(self, inputs):
        mean, log_variance = self.mean(inputs), self.log_variance(inputs)
        return self.form(mean, log_variance, fastnn.argmax(mean, axis=1))


FORMS = {
    "tuple": lambda *parts: parts,
    "list": lambda *parts: [*parts],
    "dict": lambda mean, variance, best: {"z": (mean, variance), "best": best},
}


@pytest.mark.parametrize("eagerly", [False, True])
@pytest.mark.parametrize("form", FORMS)
def test_predictions_of_several_outputs(form, eagerly, rng):
    model, x = Encoder(FORMS[form]), rng.standard_normal((50, 4)).astype(np.float32)
    model.compile(run_eagerly=eagerly)
    expected, seen = model(x), []
    tell = callbacks.LambdaCallback(on_predict_batch_end=lambda batch, logs: seen.append(logs))
    for found in (
        model.predict(x, 16),
        model.predict(x, 16, callbacks=[tell]),
        model.predict_on_batch(x),
        model.predict(part for part in (x[:20], x[20:])),
    ):
        assert type(found) is type(expected)
        for a, b in zip(leaves(found), leaves(expected), strict=True):
            assert isinstance(a, np.ndarray)
            assert a.flags.writeable
            np.testing.assert_array_equal(a, b)
    assert len(seen) == 4
    assert [y.shape for y in leaves(seen[-1]["outputs"])] == [(2, 2), (2, 3), (2,)]


@pytest.mark.parametrize("output", [(), None, 3.0])
def test_predictions_of_no_tensor(output):
    class Nothing(Model):
        def call(self, inputs):
            return inputs

        def predict_step(self, data):
            return output

    with pytest.raises(TypeError, match="predict needs a model that gives tensors"):
        Nothing().predict(np.ones((2, 2)))


def test_predictions_of_a_variable(rng):
    class WithConstant(Model):
        def __init__(self):
            super().__init__()
            self.dense = layers.Dense(2)
            self.constant = self.add_weight((8, 2), "ones")

        def call(self, inputs):
            return self.dense(inputs), self.constant

    _, constant = WithConstant().predict(rng.standard_normal((16, 3)), batch_size=8)
    np.testing.assert_array_equal(constant, np.ones((16, 2)))


def test_a_model_may_keep_settings():
    class Scaled(Model):
        def __init__(self):
            super().__init__()
            self.settings = {"scale": 2.0}

        def call(self, x):
            return x * self.settings["scale"]

    np.testing.assert_array_equal(Scaled().predict(np.ones((2, 1))), [[2.0], [2.0]])


def test_a_model_may_stop_its_own_prediction():
    class Stopping(Model):
        def call(self, inputs):
            return inputs

        def predict_step(self, data):
            self.stop_predicting = len(data) == 3
            return self(data)

    model = Stopping()
    model.compile(run_eagerly=True)
    parts = (np.ones((n, 2), np.float32) for n in (5, 3, 7))
    assert model.predict(parts).shape == (8, 2)


def test_a_mask_that_is_changed_in_place_counts():
    class Pruned(layers.Layer):
        def __init__(self):
            super().__init__()
            self.mask = np.ones((3, 1), np.float32)
            self.w = self.add_weight((3, 1), "ones")

        def call(self, inputs):
            return inputs @ (self.w * self.mask)

    model = Sequential([Pruned()])
    assert model.predict(np.ones((4, 3))).sum() == 12
    model.layers[0].mask[1:] = 0
    assert model.predict(np.ones((4, 3))).sum() == 4


def test_layers_may_keep_an_input_shape_of_their_own():
    class Own(layers.Layer):
        def __init__(self, input_shape):
            super().__init__()
            self.input_shape = input_shape

    class OwnModel(Sequential):
        def __init__(self, input_shape):
            super().__init__([layers.Dense(2)])
            self.input_shape = input_shape

    for made in (Own((4,)), OwnModel((4,))):
        assert made.input_shape == (4,)


def test_steps_that_return_no_dict_are_named():
    class Own(Sequential):
        def train_step(self, data):
            return fastnn.constant(1.0)

        def test_step(self, data):
            return [1.0]

    model = Own([layers.Dense(1)])
    model.compile("sgd", "mse")
    with pytest.raises(TypeError, match=r"train_step must return a dict .* returned a Tensor"):
        model.fit(X, Y, verbose=0)
    with pytest.raises(TypeError, match=r"test_step must return a dict .* returned a list"):
        model.evaluate(X, Y, verbose=0)


@pytest.mark.parametrize(
    ("call", "remedy"),
    [
        (lambda: Sequential(["relu"]), r"write Activation\(...\)"),
        (lambda: Sequential([layers.Dense]), "a class needs its arguments"),
        (
            lambda: classifier().compile("sgd", "mse", learning_rate=0.1),
            r"SGD\(learning_rate=0.1\)",
        ),
        (lambda: fastnn.constant(1.0) * None, "a gradient is None where"),
        (lambda: fastnn.constant(np.array([[1, 2], [3]], object)), "2 sequences: .*pad_sequences"),
    ],
)
def test_what_is_of_another_kind_comes_with_a_remedy(call, remedy):
    with pytest.raises(TypeError, match=remedy):
        call()


def test_a_forgotten_sigmoid_is_seen_though_the_first_prediction_may_be_a_share():
    x = np.linspace(0.5, -1, 20)[:, None]
    model = Sequential([layers.Dense(1, kernel_initializer="ones")])
    model.compile("sgd", "binary_crossentropy")
    with pytest.warns(SyntaxWarning, match="activation='sigmoid'"):
        model.fit(x, (x[:, 0] > 0) * 1, verbose=0, shuffle=False)


@pytest.mark.parametrize("base", [Sequential, Model])
def test_a_build_of_ones_own_may_call_that_of_the_base(base):
    calls = []

    class Own(base):
        def build(self, input_shape):
            calls.append(tuple(input_shape))
            super().build(input_shape)

        def call(self, inputs):
            return self.head(inputs)

    for build in (lambda model: model(np.ones((2, 3))), lambda model: model.build((None, 3))):
        model = Own()
        model.head = layers.Dense(1)
        build(model)
        assert [w.shape for w in model.weights] == [(3, 1), (1,)]
        assert model.built
    assert calls == [(2, 3), (None, 3)]


def test_what_the_first_layer_announces_is_asked_for():
    """Of a layer's own `input_shape` as of an Input."""
    x, y = np.ones((40, 20), np.float32), np.zeros((40, 1), np.float32)
    for announced in (x.shape, (4, 5)):
        model = Sequential([layers.Dense(1, input_shape=announced)])
        model.compile("sgd", "mse")
        with pytest.raises(ValueError, match=r"takes the shape .* the shape of one, \(20,\)"):
            model.fit(x, y, verbose=0)
    announced = Sequential([layers.Dense(1, input_shape=(20,))])
    assert announced.predict(x).shape == (40, 1)
    with pytest.raises(ValueError, match=r"shape \(\) is incompatible .* with x\[None\], or resh"):
        announced(fastnn.constant(1.0))


def test_a_layer_may_note_the_shape_that_it_is_built_for():
    class Noting(layers.Layer):
        def build(self, input_shape):
            self.input_shape = input_shape
            self.w = self.add_weight((input_shape[-1], 2))

        def call(self, x):
            return x @ self.w

    model = Sequential([Noting(), layers.Dense(1)])
    model.compile("sgd", "mse")
    model.fit(np.ones((8, 3)), np.ones((8, 1)), verbose=0)
    assert model.predict(np.ones((5, 3))).shape == (5, 1)


def test_errors_name_the_loss_and_the_metric():
    x, y = np.ones((4, 2), np.float32), np.array([1, 2, 3, 3])
    model = Sequential([layers.Dense(3, activation="softmax")])
    model.compile("sgd", "categorical_crossentropy")
    with pytest.raises(ValueError, match=r"^loss 'categorical_crossentropy': .* use sparse_cat"):
        model.fit(x, y, verbose=0)
    with pytest.raises(ValueError, match="a unit for each column of y_true, or count classes fr"):
        model.fit(x, np.eye(4)[y], verbose=0)
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=[np.mean])
    with pytest.raises(TypeError, match=r"^metric 'mean': "):
        model.fit(x, y - 1, verbose=0)


def test_errors_of_ones_own_stay_what_they_are():
    class OwnError(ValueError):
        pass

    def loss(y_true, y_pred):
        raise OwnError("bad")

    model = Sequential([layers.Dense(1)])
    model.compile("sgd", loss)
    with pytest.raises(OwnError, match="bad"):
        model.fit(np.ones((4, 2)), np.ones((4, 1)), verbose=0)


def test_what_may_be_meant_by_names_and_shapes():
    model = Sequential([layers.Dense(1)])
    with pytest.raises(AttributeError) as raised:
        model.sumary()
    # By which Python finds a name like it.
    assert (raised.value.name, raised.value.obj) == ("sumary", model)
    model.build((None, 6))
    with pytest.raises(ValueError, match=r"of one sample make a batch with x.reshape\(1, -1\)"):
        model.predict(np.ones((2, 3)))
    with pytest.raises(TypeError, match=r"join samples with np\.stack"):
        model.predict([np.ones(6), np.ones(6)])

"""Models as files: what comes back, how training goes on, and what happens when things break."""

import contextlib
import copy
import json
import os
import pathlib
import signal
import stat
import struct
import subprocess
import sys
import threading

import numpy as np
import pytest
import safetensors.numpy

import fastnn
from fastnn import callbacks, layers, metrics, models, optimizers, saving

X = np.random.default_rng(0).normal(size=(60, 5)).astype(np.float32)
Y = np.random.default_rng(1).integers(0, 3, 60)


def classifier(optimizer="sgd", **more):
    """A model with everything in it that has a state."""
    fastnn.utils.set_random_seed(7)
    model = fastnn.Sequential(
        [
            layers.Dense(6, activation="relu", kernel_regularizer="l2"),
            layers.Dropout(0.3),
            layers.BatchNormalization(),
            layers.GaussianNoise(0.1),
            fastnn.Sequential([layers.Dense(4, kernel_constraint="max_norm"), layers.ReLU()]),
            layers.Dense(3, activation="softmax"),
        ]
    )
    model.compile(optimizer, "sparse_categorical_crossentropy", ["accuracy"], **more)
    return model


def python(script, *arguments):
    """Another process that runs a script, with this fastnn and these tests."""
    folders = [pathlib.Path(fastnn.__file__).parents[1], pathlib.Path(__file__).parent]
    return subprocess.Popen(
        [sys.executable, "-c", script, *arguments],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, folders))},
    )


def train(model, start, end):
    return model.fit(X, Y, batch_size=16, initial_epoch=start, epochs=end, verbose=0)


def assert_same(a, b):
    assert len(a.get_weights()) == len(b.get_weights())
    for one, other in zip(a.get_weights(), b.get_weights(), strict=True):
        assert one.dtype == other.dtype
        assert one.tobytes() == other.tobytes()


OPTIMIZERS = {
    "adadelta": lambda: optimizers.Adadelta(1.0),
    "adagrad": lambda: optimizers.Adagrad(0.1),
    "adam": lambda: optimizers.Adam(0.01),
    "adam amsgrad": lambda: optimizers.Adam(0.01, amsgrad=True, clipnorm=0.5),
    "adamax": lambda: optimizers.Adamax(0.01),
    "adamw": lambda: optimizers.AdamW(0.01),
    "ema": lambda: optimizers.SGD(0.1, use_ema=True, ema_overwrite_frequency=3),
    "nadam": lambda: optimizers.Nadam(0.01),
    "rmsprop": lambda: optimizers.RMSprop(0.01),
    "rmsprop centered": lambda: optimizers.RMSprop(0.01, momentum=0.9, centered=True),
    "schedule": lambda: optimizers.SGD(optimizers.schedules.ExponentialDecay(0.1, 5, 0.9)),
    "sgd": lambda: optimizers.SGD(0.1),
    "sgd momentum": lambda: optimizers.SGD(0.1, momentum=0.9, nesterov=True),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_training_goes_on_with_the_same_bits(name, tmp_path):
    path = os.fspath(tmp_path / "{epoch}.keras")
    whole = classifier(OPTIMIZERS[name]())
    save = callbacks.ModelCheckpoint(path)
    expected = whole.fit(X, Y, batch_size=16, epochs=4, verbose=0, callbacks=[save]).history
    for stop in (1, 2, 3):
        fastnn.utils.set_random_seed(1000)
        again = models.load_model(path.format(epoch=stop))
        got = train(again, stop, 4).history
        assert_same(whole, again)
        assert got == {name: values[stop:] for name, values in expected.items()}
        assert int(again.optimizer.iterations) == int(whole.optimizer.iterations)


def test_training_begins_with_the_same_bits(tmp_path):
    model = classifier("adam")
    model(X[:1])
    model.save(tmp_path / "model")
    again = models.load_model(tmp_path / "model")
    for each in (model, again):
        fastnn.utils.set_random_seed(5)
        train(each, 0, 2)
    assert_same(model, again)


@pytest.mark.parametrize("eagerly", [False, True])
def test_training_goes_on_batch_by_batch(eagerly, tmp_path):
    whole = classifier("adam", run_eagerly=eagerly)
    for at in range(6):
        whole.train_on_batch(X[at : at + 8], Y[at : at + 8])
    part = classifier("adam", run_eagerly=eagerly)
    for at in range(6):
        part.train_on_batch(X[at : at + 8], Y[at : at + 8])
        part.save(tmp_path / "model")
        part = models.load_model(tmp_path / "model")
    assert_same(whole, part)


def test_a_run_in_another_process_goes_on_with_the_same_bits(tmp_path):
    whole = classifier("adam")
    train(whole, 0, 3)
    script = "import test_saving as t; m = t.classifier('adam'); t.train(m, 0, 2); m.save({!r})"
    path = os.fspath(tmp_path / "model.keras")
    process = python(script.format(path))
    process.communicate()
    assert process.returncode == 0
    again = models.load_model(path)
    train(again, 2, 3)
    assert_same(whole, again)


def test_what_comes_back(tmp_path):
    model = classifier(optimizers.Adam(0.02, beta_1=0.8))
    train(model, 0, 1)
    model.layers[0].trainable = False
    model.save(tmp_path / "model.keras")
    again = models.load_model(str(tmp_path / "model.keras"))
    assert_same(model, again)
    assert again.name == model.name
    assert [layer.name for layer in again.layers] == [layer.name for layer in model.layers]
    assert not again.layers[0].trainable
    assert [w.path for w in again.weights] == [w.path for w in model.weights]
    assert len(again.trainable_weights) == len(model.trainable_weights)
    assert again.optimizer.get_config() == model.optimizer.get_config()
    assert again.metrics_names == model.metrics_names
    assert again.evaluate(X, Y, verbose=0) == model.evaluate(X, Y, verbose=0)
    assert again.predict(X).tobytes() == model.predict(X).tobytes()
    table, same_table = [], []
    model.summary(print_fn=table.append)
    again.summary(print_fn=same_table.append)
    assert table == same_table


def test_float64_comes_back_as_float64(tmp_path):
    model = fastnn.Sequential([layers.Dense(2, input_shape=(3,), dtype="float64")])
    model.save(tmp_path / "model")
    again = models.load_model(tmp_path / "model")
    assert again.weights[0].dtype == np.float64
    assert_same(model, again)


def test_the_common_random_numbers_stay_if_nothing_was_trained(tmp_path):
    trained, compiled = classifier(), classifier()
    train(trained, 0, 1)
    trained.save(tmp_path / "trained")
    compiled(X[:1])
    compiled.save(tmp_path / "compiled")
    for path, options in (("compiled", {}), ("trained", {"compile": False})):
        fastnn.utils.set_random_seed(5)
        expected = fastnn.random.normal((3,)).numpy()
        fastnn.utils.set_random_seed(5)
        model = models.load_model(tmp_path / path, **options)
        assert (fastnn.random.normal((3,)).numpy() == expected).all()
    assert not model.compiled
    assert model.optimizer is None


def test_a_model_without_weights_comes_back_without(tmp_path):
    model = fastnn.Sequential([layers.Dense(2)])
    model.save(tmp_path / "model")
    again = models.load_model(tmp_path / "model")
    assert not again.built
    assert again(np.ones((2, 5))).shape == (2, 2)


def test_the_file_is_read_by_others(tmp_path):
    model = classifier()
    train(model, 0, 1)
    model.save(tmp_path / "model.keras")
    tensors = safetensors.numpy.load_file(tmp_path / "model.keras")
    for key, w in zip(("0/", "0/", "2/"), model.weights[:3], strict=True):
        assert (tensors[key + w.path] == w.numpy()).all()
    assert int(tensors["optimizer/0/iterations"]) == 4


@saving.register_keras_serializable(package="tests")
class Scale(layers.Layer):
    """A layer with weights of its own, one of them made at once."""

    def __init__(self, factor=2.0, **options):
        super().__init__(**options)
        self.factor = factor
        self.uses = self.add_weight((), "zeros", trainable=False, name="same")
        self.seeds = fastnn.random.SeedGenerator(3)

    def build(self, input_shape):
        self.inner = layers.Dense(input_shape[-1])
        self.scale = self.add_weight((input_shape[-1],), "ones", name="same")

    def call(self, inputs):
        self.uses.assign_add(1.0)
        return self.inner(inputs) * self.scale * self.factor


class Own(fastnn.Model):
    """A model that is no Sequential, and not registered."""

    def __init__(self, units, activation=None, **options):
        super().__init__(**options)
        self.units, self.activation = units, activation
        self.hidden = layers.Dense(units, activation=activation)
        self.branches = {"a": Scale(), "b": [Scale(3.0)]}
        self.head = layers.Dense(3, activation="softmax")
        self.offset = self.add_weight((), "zeros", name="offset")

    def call(self, inputs):
        x = self.hidden(inputs) + self.offset
        return self.head(self.branches["a"](x) + self.branches["b"][0](x))


def half(x):
    return x / 2


@saving.register_keras_serializable(package="tests")
class Applied(layers.Layer):
    """A layer that calls what it is given, and looks up no name."""

    def __init__(self, function, more=(), **options):
        super().__init__(**options)
        self.function, self.more = function, more

    def call(self, inputs):
        return self.function(inputs)


@pytest.mark.parametrize(
    "function", [fastnn.nn.relu, fastnn.activations.softmax, fastnn.square, fastnn.reduce_mean]
)
def test_functions_that_a_class_of_ones_own_is_given(function, tmp_path):
    model = fastnn.Sequential([Applied(function, [function])])
    expected = model(X).numpy()
    model.save(tmp_path / "model.keras")
    for copy_of in (models.load_model(tmp_path / "model.keras"), models.clone_model(model)):
        np.testing.assert_array_equal(copy_of(X).numpy(), expected)
        assert copy_of.layers[0].more == [function]


def own(optimizer="adam"):
    fastnn.utils.set_random_seed(3)
    model = Own(4, half)
    model.compile(optimizer, "sparse_categorical_crossentropy", [metrics.MeanMetricWrapper(gap)])
    return model


def gap(y_true, y_pred):
    return y_pred[:, 0]


OWN = {"Own": Own, "half": half, "gap": gap}


def test_classes_and_functions_of_ones_own(tmp_path):
    whole = own()
    train(whole, 0, 3)
    part = own()
    train(part, 0, 1)
    part.save(tmp_path / "model")
    again = models.load_model(tmp_path / "model", custom_objects=OWN)
    train(again, 1, 3)
    assert_same(whole, again)
    assert [w.name for w in again.weights] == [w.name for w in part.weights]


def test_a_layer_of_ones_own_called_as_one_of_fastnns(tmp_path):
    class Dense(layers.Dense):
        pass

    model = fastnn.Sequential([Dense(2, input_shape=(3,)), layers.Dense(2)])
    model.save(tmp_path / "model")
    again = models.load_model(tmp_path / "model", custom_objects={"Dense": Dense})
    assert [type(layer) for layer in again.layers] == [Dense, layers.Dense]


def test_a_name_as_long_as_may_be(tmp_path):
    path = tmp_path / ("數" * 80 + ".keras")
    classifier().save(path)
    assert [*tmp_path.iterdir()] == [path]


def test_unknown_names_are_refused(tmp_path):
    model = own()
    train(model, 0, 1)
    model.save(tmp_path / "model")
    with pytest.raises(ValueError, match=r"'Own' is neither fastnn's nor registered"):
        models.load_model(tmp_path / "model")
    with pytest.raises(ValueError, match=r"'half' is neither"):
        models.load_model(tmp_path / "model", {"Own": Own, "gap": gap})
    with pytest.raises(ValueError, match=r"cannot be compiled.*'gap' is neither"):
        models.load_model(tmp_path / "model", {"Own": Own, "half": half})
    models.load_model(tmp_path / "model", {"Own": Own, "half": half}, compile=False)


def test_no_weight_decay_where_there_was_none(tmp_path):
    def start():
        model = classifier(optimizers.AdamW(0.1, weight_decay=0.5))
        model.optimizer.exclude_from_weight_decay(var_names=["bias", "beta"])
        return model

    whole = start()
    train(whole, 0, 2)
    part = start()
    train(part, 0, 1)
    part.save(tmp_path / "model")
    again = models.load_model(tmp_path / "model")
    train(again, 1, 2)
    assert_same(whole, again)


def test_a_layer_that_was_taken_out_takes_the_state_of_the_optimizer_with_it(tmp_path):
    model = classifier("adam")
    train(model, 0, 1)
    model.pop()
    with pytest.warns(UserWarning, match="has also trained variables that are not in the model"):
        model.save(tmp_path / "model")
    again = models.load_model(tmp_path / "model")
    assert_same(model, again)
    assert int(again.optimizer.iterations) == 0


# Weights alone.


def test_a_layer_that_was_added_and_inputs_that_are_several(tmp_path):
    x, y = fastnn.ones((4, 3)), fastnn.ones((4, 2))
    grown = fastnn.Sequential([layers.Dense(3)])
    grown(x)
    grown.add(layers.Dense(2))
    joined = fastnn.Sequential([layers.Concatenate(), layers.Dense(2)])
    joined([x, y])
    for model, inputs in ((grown, x), (joined, [x, y])):
        model.save(tmp_path / "model.safetensors")
        again = models.load_model(tmp_path / "model.safetensors")
        np.testing.assert_array_equal(again(inputs), model(inputs))


def test_weights(tmp_path):
    model, other = classifier(), classifier("adam")
    train(model, 0, 1)
    other(X[:1])
    model.save_weights(tmp_path / "w.weights.h5")
    other.load_weights(str(tmp_path / "w.weights.h5"))
    assert_same(model, other)
    model.save(tmp_path / "model.keras")  # a whole model has weights too
    train(other, 0, 1)
    other.load_weights(tmp_path / "model.keras")
    assert_same(model, other)


def test_weights_that_do_not_fit_change_nothing(tmp_path):
    model = fastnn.Sequential([layers.Dense(4, input_shape=(5,)), layers.Dense(3, name="head")])
    before = model.get_weights()
    others = {
        r"2 weights .* 4": [layers.Dense(4, input_shape=(5,))],
        r"\(4, 2\) for '1/other/kernel' and the variable 'head/kernel' .*\(4, 3\): make": [
            layers.Dense(4, input_shape=(5,)),
            layers.Dense(2, name="other"),
        ],
        r"float64 .* float32": [
            layers.Dense(4, input_shape=(5,)),
            layers.Dense(3, dtype="float64"),
        ],
    }
    for message, parts in others.items():
        fastnn.Sequential(parts).save_weights(tmp_path / "w")
        with pytest.raises(ValueError, match=message):
            model.load_weights(tmp_path / "w")
        for old, new in zip(before, model.get_weights(), strict=True):
            assert (old == new).all()
    with pytest.raises(ValueError, match=r"has only weights: make the model, and call its load"):
        models.load_model(tmp_path / "w")
    with pytest.raises(ValueError, match=r"has no weights yet: call it on data"):
        fastnn.Sequential([layers.Dense(4)]).load_weights(tmp_path / "w")


# Configurations.


def test_from_config():
    model = classifier()
    model(X[:1])
    config = model.get_config()
    assert config["build_input_shape"] == [None, 5]
    again = fastnn.Sequential.from_config(json.loads(json.dumps(config)))
    again.set_weights(model.get_weights())
    assert again.predict(X).tobytes() == model.predict(X).tobytes()
    assert again.get_config() == config
    rebuilt = models.model_from_json(model.to_json())
    assert rebuilt.get_config() == config
    dense = json.dumps(saving.serialize_keras_object(layers.Dense(1)))
    with pytest.raises(ValueError, match="describes Dense, which is no model"):
        models.model_from_json(dense)


class Hidden(layers.Layer):
    """Its argument is kept under another name."""

    def __init__(self, units=4, **options):
        super().__init__(**options)
        self.dense = layers.Dense(units)

    def call(self, inputs):
        return self.dense(inputs)

    def get_config(self):
        return dict(units=self.dense.units, **super().get_config())  # as Keras's guides write it


class Below(fastnn.losses.Loss):
    def __init__(self, threshold=1.0, **options):
        super().__init__(**options)
        self._threshold = threshold

    def call(self, y_true, y_pred):
        return fastnn.maximum(y_true - y_pred - self._threshold, 0)

    def get_config(self):
        return {**super().get_config(), "threshold": self._threshold}


class Doubled(layers.Dense):
    def __init__(self, units, extra=1, **options):
        super().__init__(2 * units, **options)
        self._half, self._extra = units, extra

    def get_config(self):
        return {**super().get_config(), "units": self._half, "extra": self._extra}


@pytest.mark.parametrize(
    ("thing", "own"),
    [
        (Hidden(7, name="hidden"), {"units": 7, "name": "hidden"}),
        (Below(0.5, name="below"), {"threshold": 0.5, "name": "below", "dtype": None}),
        (Doubled(3, 2, use_bias=False), {"units": 3, "extra": 2, "use_bias": False}),
    ],
)
def test_a_class_that_tells_of_itself_adds_to_what_its_base_tells(thing, own):
    config = thing.get_config()
    assert own.items() <= config.items()
    assert type(thing).from_config(config).get_config() == config


class Scaled(layers.Layer):
    """It leaves its configuration to the base."""

    def __init__(self, factor=1.0, **options):
        super().__init__(**options)
        self.factor = factor


class Shifted(Scaled):
    def __init__(self, shift=0.0, **options):
        super().__init__(**options)
        self._shift = shift

    def get_config(self):
        return {**super().get_config(), "shift": self._shift}


class Again(Shifted):
    def __init__(self, factor, times=1, **options):
        super().__init__(factor=factor, **options)
        self.times = times


def test_weights_of_one_name_are_all_kept(tmp_path):
    class Three(layers.Layer):
        def build(self, input_shape):
            self.parts = [self.add_weight((2,), "ones") for _ in range(3)]

        def call(self, inputs):
            return sum(self.parts, inputs)

    model, other = (fastnn.Sequential([Three(input_shape=(2,))]) for _ in range(2))
    model.set_weights([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    model.save_weights(tmp_path / "weights")
    other.load_weights(tmp_path / "weights")
    np.testing.assert_array_equal(other.get_weights(), model.get_weights())


def test_the_arguments_of_classes_between_are_told():
    config = Again(5.0, 2, shift=3.0).get_config()
    assert {"factor": 5.0, "shift": 3.0, "times": 2}.items() <= config.items()
    assert Again.from_config(config).get_config() == config


class Tied(fastnn.Model):
    """Its constructor looks at weights."""

    def __init__(self, body, **options):
        super().__init__(**options)
        self.body, self.head = body, layers.Dense(body.layers[0].kernel.shape[0])

    def call(self, inputs):
        return self.head(self.body(inputs))


def test_a_model_inside_is_built_when_the_outer_one_is_made(tmp_path):
    body = fastnn.Sequential([layers.Dense(4)])
    body.build((None, 5))
    model = Tied(body)
    expected = model.predict(X)
    model.save(tmp_path / "model")
    again = models.load_model(tmp_path / "model", custom_objects={"Tied": Tied})
    assert again.predict(X).tobytes() == expected.tobytes()


class Started(layers.Layer):
    """Its build wants more than a shape."""

    def build(self, input_shape, start):
        self.w = self.add_weight((input_shape[-1], 4), start)

    def call(self, inputs):
        return fastnn.matmul(inputs, self.w)

    def get_build_config(self):
        return {"input_shape": [None, 3]}

    def build_from_config(self, config):
        self.build(config["input_shape"], "ones")


def test_a_layer_of_a_model_without_input_is_built_by_its_own_configuration(tmp_path):
    inner = Started()
    inner.build([None, 3], "ones")
    model = fastnn.Sequential([fastnn.Sequential([inner]), layers.Dense(1)])
    expected = model(X[:, :3]).numpy()
    model.save(tmp_path / "model")
    with fastnn.utils.custom_object_scope({"Started": Started}):
        again = models.load_model(tmp_path / "model")
    assert again(X[:, :3]).numpy().tobytes() == expected.tobytes()


def test_names_of_a_scope_are_of_its_thread():
    found = []
    with fastnn.utils.custom_object_scope({"relu": fastnn.tanh}):
        thread = threading.Thread(target=lambda: found.append(fastnn.activations.get("relu")))
        thread.start()
        thread.join()
        found.append(fastnn.activations.get("relu"))
    assert found == [fastnn.relu, fastnn.tanh]


@pytest.mark.parametrize("method", ["save_own_variables", "load_assets"])
@pytest.mark.parametrize("save", ["save", "save_weights"])
def test_what_would_not_be_saved_is_refused(method, save, tmp_path):
    kind = type("Own", (layers.ReLU,), {method: lambda self, store: None})
    model = fastnn.Sequential([layers.Dense(2, input_shape=(3,)), kind(name="own")])
    with pytest.raises(TypeError, match=f"layer 'own' defines {method}, which is not called here"):
        getattr(model, save)(tmp_path / "model")
    assert os.listdir(tmp_path) == []


def test_compile_config():
    model = classifier(optimizers.Adam(0.02))
    again = classifier("sgd")
    again.compile_from_config(json.loads(json.dumps(model.get_compile_config())))
    assert again.get_compile_config() == model.get_compile_config()
    assert again.metrics_names == ["loss", "accuracy"]


def test_clone_model():
    model = classifier()
    train(model, 0, 1)
    copy = models.clone_model(model)
    assert not copy.compiled
    assert [w.shape for w in copy.weights] == [w.shape for w in model.weights]
    assert not any(a is b for a, b in zip(copy.weights, model.weights, strict=True))
    assert (copy.get_weights()[0] != model.get_weights()[0]).any()
    copy.set_weights(model.get_weights())
    assert copy.predict(X).tobytes() == model.predict(X).tobytes()
    with fastnn.utils.custom_object_scope(OWN):
        copy = models.clone_model(own())
        assert isinstance(copy, Own)

    def wider(layer):
        return layers.Dense(9) if isinstance(layer, layers.Dense) else layer

    narrow = fastnn.Sequential([layers.Input((X.shape[1],)), layers.Dense(4)])
    wide = models.clone_model(narrow, clone_function=wider)
    assert wide(X).shape == (60, 9)
    assert wide._layers[0] is not narrow._layers[0]

    def frozen(layer):
        return layers.Dense(4, trainable=False)

    assert models.clone_model(narrow, clone_function=frozen).trainable_weights == []
    with pytest.raises(ValueError, match="is no Sequential"), fastnn.utils.custom_object_scope(OWN):
        models.clone_model(own(), clone_function=wider)


# Backups.


class CutOff(callbacks.Callback):
    """Ends a training as a crash does."""

    def __init__(self, epoch=None, batch=None):
        self.epoch, self.batch = epoch, batch

    def on_epoch_end(self, epoch, logs=None):
        if epoch == self.epoch:
            raise KeyboardInterrupt

    def on_train_batch_end(self, batch, logs=None):
        if batch == self.batch:
            raise KeyboardInterrupt


@pytest.mark.parametrize("in_one_process", [True, False])
@pytest.mark.parametrize("stop", [0, 2])
def test_a_backup_lets_fit_go_on_with_the_same_bits(in_one_process, stop, tmp_path):
    whole = classifier("adam")
    expected = train(whole, 0, 4)
    part, backup = classifier("adam"), callbacks.BackupAndRestore(tmp_path / "backup")
    with pytest.raises(KeyboardInterrupt):
        part.fit(X, Y, batch_size=16, epochs=4, verbose=0, callbacks=[backup, CutOff(stop)])
    assert os.path.isdir(tmp_path / "backup")
    if not in_one_process:
        fastnn.utils.set_random_seed(88)
        part = classifier("adam")
    history = part.fit(X, Y, batch_size=16, epochs=4, verbose=0, callbacks=[backup])
    assert history.epoch == list(range(stop + 1, 4))
    assert history.history["loss"] == expected.history["loss"][stop + 1 :]
    assert_same(whole, part)
    assert not os.path.exists(tmp_path / "backup")


def test_a_backup_inside_an_epoch(tmp_path):
    part = classifier()
    backup = callbacks.BackupAndRestore(tmp_path, save_freq=1, delete_checkpoint=False)
    with pytest.raises(KeyboardInterrupt):
        part.fit(X, Y, batch_size=16, epochs=2, verbose=0, callbacks=[backup, CutOff(batch=1)])
    history = part.fit(X, Y, batch_size=16, epochs=2, verbose=0, callbacks=[backup])
    assert history.epoch == [0, 1]
    assert int(part.optimizer.iterations) == 2 + 2 * 4
    assert os.listdir(tmp_path) == ["latest.safetensors"]


def test_a_damaged_backup(tmp_path):
    part = classifier()
    backup = callbacks.BackupAndRestore(tmp_path, double_checkpoint=True)
    with pytest.raises(KeyboardInterrupt):
        part.fit(X, Y, epochs=4, verbose=0, callbacks=[backup, CutOff(2)])
    (tmp_path / "latest.safetensors").write_bytes(b"0")
    history = part.fit(X, Y, epochs=4, verbose=0, callbacks=[backup, CutOff(2)][:1])
    assert history.epoch == [2, 3]
    tmp_path.mkdir()
    (tmp_path / "latest.safetensors").write_bytes(b"0")
    with pytest.raises(ValueError, match="no safetensors file, or is cut off"):
        part.fit(X, Y, epochs=4, verbose=0, callbacks=[backup])


# Writing.


def test_a_configuration_that_could_not_be_read_again_is_not_written(tmp_path):
    model = fastnn.Sequential([layers.Dense(2, input_shape=(3,))])
    model.layers[0].units = [{}] * 100_000
    with pytest.raises(ValueError, match="keep large arrays in weights, not in configurations"):
        model.save(tmp_path / "model")
    assert os.listdir(tmp_path) == []


def test_a_file_that_is_there(tmp_path):
    model = fastnn.Sequential([layers.Dense(2, input_shape=(3,))])
    path = tmp_path / "model"
    path.write_text("old")
    with pytest.raises(FileExistsError, match="is there already; pass overwrite=True"):
        model.save(path, overwrite=False)
    assert path.read_text() == "old"
    link = tmp_path / "link"
    link.symlink_to(path)
    model.save(link)
    assert link.is_symlink()
    assert models.load_model(path).weights
    with pytest.raises(IsADirectoryError):
        model.save(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"nowhere of .* does not exist; make it first"):
        model.save(tmp_path / "nowhere" / "model")
    with pytest.raises(FileNotFoundError):
        models.load_model(tmp_path / "nowhere")
    assert sorted(os.listdir(tmp_path)) == ["link", "model"]


def test_configurations_that_are_no_data(tmp_path):
    model = fastnn.Sequential([layers.Dense(2, input_shape=(3,))])
    model.layers[0].units = float("nan")
    with pytest.raises(ValueError, match="cannot be written: a configuration holds"):
        model.save(tmp_path / "model")
    model.layers[0].units = object()
    with pytest.raises(TypeError, match="cannot be written into a configuration"):
        model.save(tmp_path / "model")
    assert os.listdir(tmp_path) == []


# Reading files that are not right.


def parts_of(path):
    raw = pathlib.Path(path).read_bytes()
    (length,) = struct.unpack("<Q", raw[:8])
    return json.loads(raw[8 : 8 + length]), raw[8 + length :]


def put(path, header, data):
    raw = json.dumps(header).encode() if isinstance(header, dict) else header
    pathlib.Path(path).write_bytes(struct.pack("<Q", len(raw)) + raw + data)


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "good"
    model = classifier("adam")
    train(model, 0, 1)
    model.save(path)
    return path


def described(change):
    """A file whose description was changed."""

    def damage(header, data):
        text = header["__metadata__"]["fastnn"]
        description = json.loads(text)
        changed = change(description)
        new = json.dumps(description) if changed is None else changed
        header["__metadata__"]["fastnn"] = new
        return header, data

    return damage


def stated(**metadata):
    def damage(header, data):
        header["__metadata__"] |= metadata
        return header, data

    return damage


def set_in(*keys, value):
    def change(description):
        for key in keys[:-1]:
            description = description[key]
        description[keys[-1]] = value

    return described(change)


def _in_texts(description):
    """For each of the two ways to build a layer."""
    description["architecture"]["config"]["build_input_shape"] = ["a", "b"]
    description["layers"][1]["build"]["input_shape"] = ["a", "b"]


def without(name):
    def damage(header, data):
        key = next(key for key in header if key.endswith(name))
        size = header[key]["data_offsets"][1] - header[key]["data_offsets"][0]
        start = header[key]["data_offsets"][0]
        del header[key]
        for entry in header.values():
            if "data_offsets" in entry and entry["data_offsets"][0] > start:
                entry["data_offsets"] = [at - size for at in entry["data_offsets"]]
        return header, data[:start] + data[start + size :]

    return damage


def reshaped(name, shape):
    def damage(header, data):
        key = next(key for key in header if key.endswith(name))
        header[key]["shape"] = shape
        return header, data

    return damage


def retyped(name, dtype):
    def damage(header, data):
        key = next(key for key in header if key.endswith(name))
        header[key]["dtype"] = dtype
        return header, data

    return damage


def placed(elsewhere):
    """The last tensor said to lie elsewhere."""

    def damage(header, data):
        entry = max((e for e in header.values() if "shape" in e), key=lambda e: e["data_offsets"])
        entry["data_offsets"] = elsewhere(*entry["data_offsets"])
        return header, data

    return damage


LAYERS = ("architecture", "config", "layers")
DAMAGE = {
    "cut": (lambda h, d: (h, d[:-5]), "no safetensors file, or is damaged"),
    "more": (lambda h, d: (h, d + b"more"), "no safetensors file, or is damaged"),
    "no header": (lambda h, d: (b"", d), "no safetensors file, or is cut off"),
    "header is no JSON": (lambda h, d: (b"nonsense", d), "no safetensors file, or is damaged"),
    "another's": (lambda h, d: ({k: h[k] for k in h if k != "__metadata__"}, d), "not one of fast"),
    "another format": (stated(format="pt"), "not one of fastnn's"),
    "metadata of numbers": (stated(version=1), "no safetensors file, or is damaged"),
    "version 2": (stated(version="2"), r"has version 2 .* reads up to 1: update fastnn"),
    "version x": (stated(version="x"), "has the version 'x', which is no number"),
    "version 0": (stated(version="0"), "has the version '0', which is no number"),
    "no JSON": (described(lambda d: "{"), "its description is not JSON"),
    "no object": (described(lambda d: "[1]"), "its description is no object"),
    "NaN": (set_in(*LAYERS, 1, "config", "rate", value=np.nan), "NaN is no number of JSON"),
    "infinity": (described(lambda d: '{"a": 1e999}'), "1e999 is too large a number"),
    "a name twice": (described(lambda d: '{"weights": [], "weights": []}'), "has a name twice"),
    "much in little": (
        described(lambda d: '{"a": [%s0]}' % ("{}," * 40_000)),
        "has more parts than",
    ),
    "thresholds": (
        set_in(
            *("compile", "metrics"),
            value=[{"module": None, "class_name": "AUC", "config": {"num_thresholds": 10**9}}],
        ),
        "its metrics count more than a metric can",
    ),
    "overlap": (placed(lambda start, stop: [start - 4, stop - 4]), "do not lie one after another"),
    "outside": (placed(lambda start, stop: [start + 2**60, stop + 2**60]), "what cannot be"),
    "digits": (described(lambda d: '{"a": %s}' % ("9" * 5000)), "its description is not JSON"),
    "deep": (described(lambda d: "[" * 100000), "its description is not JSON"),
    "no weights": (described(lambda d: json.dumps({})), "has only weights"),
    "weights": (set_in("weights", value={}), "'weights' should be a list"),
    "weights of numbers": (set_in("weights", value=[1]), "'weights' should list names"),
    "weights twice": (set_in("weights", 1, value="0/dense/kernel"), "names, each once|missing"),
    "weights missing": (set_in("weights", 1, value="nowhere"), "'nowhere'] are missing"),
    "tensor missing": (without("/bias"), r"the tensors \['0/.*bias'\] are missing"),
    "shape": (reshaped("/bias", [2, 3]), r"float32 of shape \(2, 3\) for '0/.*/bias' and the var"),
    "dtype": (retyped("/bias", "I32"), "int32 of shape .* is float32"),
    "unknown dtype": (retyped("/bias", "F99"), "no safetensors file, or is damaged"),
    "fewer weights": (described(lambda d: d["weights"].pop() and None), "has 9 weights .* 10"),
    "architecture": (set_in("architecture", value=[]), "'architecture' should be a dict"),
    "a layer": (
        set_in("architecture", value=saving.serialize_keras_object(layers.Dense(1))),
        "it describes Dense, which is no model",
    ),
    "a function": (
        set_in(
            "architecture",
            value={"module": "fastnn.models", "class_name": "load_model", "config": {}},
        ),
        "cannot be made",
    ),
    "a module": (
        set_in("architecture", value={"module": "os", "class_name": "system", "config": "ls"}),
        "'system' is neither fastnn's nor registered",
    ),
    "builtins": (
        set_in(
            *(*LAYERS, 0, "config", "activation"),
            value={"module": "builtins", "class_name": "function", "config": "eval"},
        ),
        "'eval' is neither fastnn's nor registered",
    ),
    "no class": (set_in("architecture", "class_name", value=None), "cannot be made"),
    "arguments": (set_in(*LAYERS, 0, "config", "what", value=1), "cannot be made.*'what'"),
    "units": (set_in(*LAYERS, 0, "config", "units", value=10**15), "larger than what is in the"),
    "huge units": (set_in(*LAYERS, 0, "config", "units", value=10**3000), "cannot be made"),
    "negative units": (set_in(*LAYERS, 0, "config", "units", value=-1), "must be a positive integ"),
    "input": (set_in("architecture", "config", "build_input_shape", value=[None, 10**12]), "too l"),
    "input of text": (
        described(_in_texts),
        "cannot be made",
    ),
    "fewer layers": (described(lambda d: d["layers"].pop() and None), "no entry for the layer"),
    "more layers": (described(lambda d: d["layers"].append({})), "more layers than it has"),
    "layers": (set_in("layers", value=3), "'layers' should be a list"),
    "compile": (set_in("compile", value=3), "'compile' should be a dict"),
    "compile arguments": (set_in("compile", "what", value=3), "cannot be compiled.*'what'"),
    "loss": (set_in("compile", "loss", value="what"), "cannot be compiled: unknown loss 'what'"),
    "optimizer": (
        set_in("compile", "optimizer", "class_name", value="SGD"),
        "cannot be compiled|compile the model with the same optimizer",
    ),
    "slots": (described(lambda d: d["optimizer"].pop() and None), "has 17 variables of an optimi"),
    "trained": (set_in("trained", 0, value="optimizer/0/iterations"), "is no weight of the model"),
    "random": (set_in("random", value=[[1, 2]]), r"1 sources of random numbers and .* 2"),
    "keys": (set_in("random", 0, 0, value=-1), "the state of random numbers is"),
    "uses": (set_in("random", 0, 1, value=2**63), "the state of random numbers is"),
    "shuffles": (set_in("shuffles", 10, value=-5), "the state of random numbers is"),
    "more shuffles": (set_in("shuffles", value=[1] * 99), "the state of random numbers is"),
    "float shuffles": (set_in("shuffles", 3, value=0.5), "the state of random numbers is"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_files_that_are_not_right(name, good, tmp_path):
    damage, message = DAMAGE[name]
    put(tmp_path / "bad", *damage(*parts_of(good)))
    before = fastnn.random.generator().bit_generator.state
    with pytest.raises(ValueError, match=message) as caught:
        models.load_model(tmp_path / "bad")
    assert os.fspath(tmp_path / "bad") in str(caught.value)
    assert str(fastnn.random.generator().bit_generator.state) == str(before)


def test_every_shorter_file_is_refused(good, tmp_path):
    raw = good.read_bytes()
    for length in [*range(20), *range(20, len(raw), 211), len(raw) - 1]:
        (tmp_path / "bad").write_bytes(raw[:length])
        with pytest.raises(ValueError, match="fastnn reads only its own files"):
            models.load_model(tmp_path / "bad")


def test_flipped_bytes_raise_value_errors_or_load(good, tmp_path):
    rng = np.random.default_rng(0)
    raw = good.read_bytes()
    (length,) = struct.unpack("<Q", raw[:8])
    for at in rng.integers(0, length + 8, 150):
        bad = bytearray(raw)
        bad[at] ^= 1 << rng.integers(8)
        (tmp_path / "bad").write_bytes(bad)
        with contextlib.suppress(ValueError):
            models.load_model(tmp_path / "bad")


FOREIGN = {
    b"PK\x03\x04" + b"0" * 50: "a zip archive, as Keras",
    b"\x89HDF\r\n\x1a\n" + b"0" * 50: "an HDF5 file",
    b"\x93NUMPY" + b"0" * 50: "an array of NumPy",
    b"": "no safetensors file",
    b"\xff" * 8 + b"{}": "no safetensors file",
    struct.pack("<Q", 2**40) + b"{}": "no safetensors file",
}


@pytest.mark.parametrize("content", FOREIGN, ids=lambda content: FOREIGN[content])
@pytest.mark.parametrize("whole", [False, True])
def test_files_of_others(content, whole, tmp_path):
    (tmp_path / "file").write_bytes(content)
    model = fastnn.Sequential([layers.Dense(2, input_shape=(3,))])
    load = models.load_model if whole else model.load_weights
    with pytest.raises(ValueError, match=f"{FOREIGN[content]}.*fastnn reads only its own files"):
        load(tmp_path / "file")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of Keras itself
def test_files_of_keras(tmp_path):
    keras = pytest.importorskip("keras_reference").keras
    model = keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(2)])
    model.save(tmp_path / "model.keras")
    model.save_weights(tmp_path / "model.weights.h5")
    for path in (tmp_path / "model.keras", tmp_path / "model.weights.h5"):
        with pytest.raises(ValueError, match="as Keras"):
            models.load_model(path)


@pytest.mark.parametrize("layer", [layers.LayerNormalization, lambda: layers.Dense(3)])
def test_weights_keep_their_order_when_one_is_frozen(layer, tmp_path):
    def made():
        model = models.Sequential([layers.Input((3,)), layer(), layers.Dense(2)])
        for n, w in enumerate(model.weights):
            w.assign(np.full(w.shape, n, w.dtype))
        return model

    model, other = made(), made()
    values = model.get_weights()
    model.save_weights(tmp_path / "before")
    model.layers[0].weights[0].trainable = False
    model.save(tmp_path / "after")
    for again in (
        models.load_model(tmp_path / "after"),
        copy.deepcopy(model),
        models.clone_model(model),
    ):
        again.set_weights(model.get_weights())
        assert [w.name for w in again.weights] == [w.name for w in other.weights]
        for own, value in zip(again.get_weights(), values, strict=True):
            np.testing.assert_array_equal(own, value)
    model.load_weights(tmp_path / "before")
    for own, value in zip(model.get_weights(), values, strict=True):
        np.testing.assert_array_equal(own, value)


def test_only_files_that_may_be_written_are_replaced(tmp_path):
    model = models.Sequential([layers.Dense(1, input_shape=(3,))])
    pipe, private = tmp_path / "pipe", tmp_path / "private"
    os.mkfifo(pipe)
    with pytest.raises(OSError, match="is no file but a device or a pipe; give another path"):
        model.save(pipe)
    assert pipe.is_fifo()
    model.save_weights(private)
    private.chmod(0o600)
    model.save_weights(private)
    assert stat.S_IMODE(private.stat().st_mode) == 0o600


class Signalled(layers.Layer):
    """The first time that a step is being recorded with it a signal comes."""

    def call(self, inputs):
        if fastnn.recorders.recorders.trace is not None:
            signal.raise_signal(signal.SIGALRM)
        return inputs


def test_a_handler_may_save_while_a_step_is_recorded(tmp_path):
    model = models.Sequential([layers.Dense(3, input_shape=(3,)), Signalled(), layers.Dense(2)])
    model.compile("adam", "mse")
    model(np.ones((1, 3)))
    start, saves = model.get_weights(), []

    def save(*_):
        model.save(tmp_path / "model")
        model.save_weights(tmp_path / "weights")
        saves.append(1)

    before = signal.signal(signal.SIGALRM, save)
    try:
        model.fit(np.ones((4, 3)), np.ones((4, 2)), verbose=0)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert saves
    model.load_weights(tmp_path / "weights")
    for own, value in zip(model.get_weights(), start, strict=True):
        np.testing.assert_array_equal(own, value)


def test_a_layer_at_two_places_is_not_saved_as_two(tmp_path):
    shared = layers.Dense(5, name="shared")
    model = fastnn.Sequential(
        [fastnn.Sequential([shared]), fastnn.Sequential([shared, layers.Dense(1)])], name="whole"
    )
    model.build((None, 5))
    for make in (lambda: model.save(tmp_path / "m.keras"), lambda: models.clone_model(model)):
        with pytest.raises(ValueError, match="'shared' stands at 2 places of model 'whole'"):
            make()
    assert not [*tmp_path.iterdir()]


def test_what_is_not_decayed_is_saved_before_the_first_step(tmp_path):
    adam = optimizers.AdamW(0.01, weight_decay=0.5)
    adam.exclude_from_weight_decay(var_names=["bias"])
    model = fastnn.Sequential([layers.Dense(1)])
    model.build((None, 3))
    model.compile(adam, "mse")
    model.save(tmp_path / "m.keras")
    again = models.load_model(tmp_path / "m.keras")
    assert [again.optimizer._is_decayed(w) for w in again.weights] == [True, False]


def test_lambdas_have_no_names(tmp_path):
    model = fastnn.Sequential([layers.Dense(2, lambda x: 2 * x)], name="nameless")
    model.build((None, 3))
    with pytest.warns(UserWarning, match="'nameless' contains a lambda, .* define a function"):
        model.save(tmp_path / "m.keras")


def test_frozen_weights_stay_frozen(tmp_path):
    model = classifier("adam")
    model.build((None, 5))
    model.layers[0].kernel.trainable = False
    model.fit(X, Y, verbose=0)
    model.save(tmp_path / "model")
    model.fit(X, Y, verbose=0)
    again = models.load_model(tmp_path / "model")
    again.fit(X, Y, verbose=0)
    names = [[w.path for w in one.trainable_weights] for one in (model, again)]
    assert names[0] == names[1]
    assert len(names[0]) == len(model.weights) - 1 - 2  # the kernel; BatchNormalization's averages
    for found, expected in zip(again.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(found, expected)


@saving.register_keras_serializable()
class Chain(fastnn.Model):
    """Layers that it is given, after one of its own."""

    def __init__(self, parts, **options):
        super().__init__(**options)
        self.base = layers.Dense(4)
        self.parts = parts

    def call(self, x):
        x = self.base(x)
        for part in self.parts:
            x = part(x)
        return x


@pytest.mark.parametrize("copied", ["saved", "cloned"])
def test_frozen_layers_stay_frozen(copied, tmp_path):
    """Also those of which the configuration of the model does not tell."""
    model = Chain([layers.BatchNormalization(), layers.Dense(1)])
    model(X)
    model.base.trainable = False
    model.compile("sgd", "mse")
    model.fit(X, Y, verbose=0)
    if copied == "saved":
        model.save(tmp_path / "model")
        again = models.load_model(tmp_path / "model")
    else:
        again = models.clone_model(model)
    flags = [[layer.trainable for layer in one.layers] for one in (model, again)]
    assert flags == [[False, True, True]] * 2
    assert len(again.trainable_weights) == len(model.trainable_weights)


def test_a_layer_at_several_places_is_not_saved_as_several(tmp_path):
    shared = layers.Dense(4, name="shared")
    model = Chain([shared, fastnn.Sequential([shared, layers.Dense(2)])])
    model(X)
    with pytest.raises(ValueError, match="layer 'shared' stands at several places"):
        model.save(tmp_path / "model")
    assert list(tmp_path.iterdir()) == []
    activation = layers.LeakyReLU()  # which is the same wherever it stands
    parts = [layers.Dense(4, activation=activation), layers.Dense(2, activation=activation)]
    model = Chain(parts)
    model(X)
    model.save(tmp_path / "model")
    np.testing.assert_array_equal(models.load_model(tmp_path / "model")(X), model(X))
    model = Chain([layers.Dense(4, name="same"), fastnn.Sequential([layers.Dense(2, name="same")])])
    model(X)
    model.save(tmp_path / "model")
    np.testing.assert_array_equal(models.load_model(tmp_path / "model")(X), model(X))


def test_a_backup_of_a_model_with_a_step_of_its_own(tmp_path):
    """It finds the weights, though nobody has called the new model."""

    class Own(Chain):
        def train_step(self, data):
            return super().train_step(data)

    class CutOff(callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                raise KeyboardInterrupt

    def trained(*more):
        model = Own([layers.Dense(1)])
        model.compile("adam", "mse")
        backup = callbacks.BackupAndRestore(tmp_path)
        return model.fit(X, Y, epochs=4, verbose=0, callbacks=[backup, *more]).epoch

    with pytest.raises(KeyboardInterrupt):
        trained(CutOff())
    assert trained() == [2, 3]


def test_files_of_before_layers_were_frozen_one_by_one(tmp_path):
    """Their configurations tell which layers of a Sequential are frozen."""
    model = models.Sequential([layers.Dense(2, trainable=False, input_shape=(5,)), layers.Dense(3)])
    model.save(tmp_path / "new")

    def change(description):
        for entry in description["layers"]:
            del entry["trainable"]

    put(tmp_path / "old", *described(change)(*parts_of(tmp_path / "new")))
    again = models.load_model(tmp_path / "old")
    assert [layer.trainable for layer in again.layers] == [False, True]


def test_a_class_may_be_defined_again(tmp_path):
    """As where a notebook's cell is run again: what is saved is of the registered name."""

    def cell():
        @fastnn.saving.register_keras_serializable()
        class Double(layers.Layer):
            def call(self, x):
                return 2 * x

        return Double

    model = models.Sequential([layers.Input((2,)), cell()(), layers.Dense(1)])
    cell()
    model.save(tmp_path / "model.keras")
    x = np.ones((3, 2))
    loaded = models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.predict(x), model.predict(x))

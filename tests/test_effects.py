"""What a step does in Python at every run: fit notices it, says so, and runs op by op."""

import copy
import random
import types
from collections import OrderedDict, defaultdict, deque
from contextlib import nullcontext
from functools import partial

import numpy as np
import pytest

import fastnn
from fastnn import Model, Sequential, layers, metrics, optimizers
from fastnn.loop import CompiledLoop

X, Y = np.ones((100, 3), np.float32), np.zeros((100, 1), np.float32)


class Noise(layers.Layer):
    def __init__(self, draw):
        super().__init__()
        self.draw = draw

    def call(self, inputs, training=False):
        return inputs + float(self.draw()) if training else inputs


@pytest.mark.parametrize("draw", [np.random.normal, random.random])
def test_random_numbers_of_others(draw):
    model = Sequential([layers.Dense(1, kernel_initializer="zeros"), Noise(draw)])
    model.compile(optimizers.SGD(0.0), "mse")
    with pytest.warns(UserWarning, match="draws from random numbers of NumPy or Python"):
        history = model.fit(X, Y, epochs=4, verbose=0).history
    assert len(set(history["loss"])) == 4


class Count(metrics.Metric):
    """The samples, counted in Python."""

    def __init__(self):
        super().__init__(name="count")
        self.n = 0

    def reset_state(self):
        self.n = 0

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.n += len(y_true)

    def result(self):
        return fastnn.constant(float(self.n))


def test_a_metric_that_counts():
    model = Sequential([layers.Dense(1)])
    model.compile("sgd", "mse", metrics=[Count()])
    with pytest.warns(UserWarning, match=r"changes Count\.n, .*make a Variable of it"):
        assert model.evaluate(X, Y, batch_size=10, verbose=0)[1] == 100


class Summing(metrics.Metric):
    """A mean of batches, of which all state is tensors in Python's hands."""

    def __init__(self):
        super().__init__(name="summing")
        self.reset_state()

    def reset_state(self):
        self.total, self.batches = fastnn.zeros(()), 0

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.total = self.total + fastnn.reduce_mean(abs(y_true - y_pred))
        self.batches += 1

    def result(self):
        return self.total / max(1, self.batches)


class SummingOnly(Summing):
    """The same, which counts nothing."""

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.total = self.total + fastnn.reduce_mean(abs(y_true - y_pred))

    def result(self):
        return self.total / 10


class Listing(metrics.Metric):
    """The same with a list."""

    def __init__(self):
        super().__init__(name="listing")
        self.values = []

    def reset_state(self):
        self.values = []

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.values.append(fastnn.reduce_mean(abs(y_true - y_pred)))

    def result(self):
        return fastnn.reduce_mean(fastnn.stack(self.values))


LEFT = "computes with a tensor that an earlier step has left"


@pytest.mark.parametrize(
    ("metric", "message"),
    [(Summing, LEFT), (SummingOnly, LEFT), (Listing, r"changes Listing\.values, ")],
)
def test_a_metric_that_keeps_tensors(metric, message):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(100, 3)), rng.normal(size=(100, 1))
    model = Sequential([layers.Dense(1, kernel_initializer="ones")])
    model.compile(optimizers.SGD(0.0), "mse", metrics=[metric()])
    expected = np.abs(x.sum(axis=1, keepdims=True) - y).mean()
    with pytest.warns(UserWarning, match=message) as warned:
        history = model.fit(x, y, 10, epochs=2, verbose=0).history
    assert len(warned) == 1
    np.testing.assert_allclose(history[metric().name], [expected] * 2, rtol=1e-5)


RNG = np.random.default_rng(1)


class OwnNoise(layers.Layer):
    """Noise of a generator that is found by `where`."""

    def __init__(self, where):
        super().__init__()
        self.where, self.rng = where, np.random.default_rng(1) if where == "attribute" else None
        enclosed = np.random.RandomState(1)
        draws = {"closure": lambda: 2 * enclosed.normal(), "method": enclosed.normal}
        draws |= {
            "partial": partial(enclosed.normal, 1.0),
            "list": lambda: 2 * self.several[0].normal(),
        }
        self.several = [np.random.default_rng(2)]
        self.draw = draws.get(where, _from_a_global)

    def call(self, inputs):
        return inputs + float(self.rng.normal() if self.rng else self.draw())


def _from_a_global():
    return sum(RNG.normal() for _ in range(1))


@pytest.mark.parametrize("where", ["attribute", "closure", "global", "method", "partial", "list"])
def test_generators_of_ones_own(where):
    model = Sequential([OwnNoise(where)])
    with pytest.warns(UserWarning, match="draws from random numbers of NumPy or Python"):
        outputs = model.predict(X, 10)
    assert len(np.unique(outputs)) == 10


class Remembering(Model):
    """It keeps what it computed, for others to read."""

    def __init__(self):
        super().__init__()
        self.dense, self.hidden, self.last = layers.Dense(1), None, None

    def call(self, inputs):
        self.hidden = self.dense(inputs)
        return self.hidden * 2

    def train_step(self, data):
        logs = super().train_step(data)
        self.last = fastnn.reduce_mean(self.hidden)
        return logs | {"mean": self.last}


def test_what_a_step_leaves_is_its_own(recwarn):
    """It may go through an attribute; whoever reads that afterwards is told that it is gone."""
    model = Remembering()
    model.compile("sgd", "mse")
    means = model.fit(X, Y, 10, epochs=2, verbose=0).history["mean"]
    assert means[0] != means[1]
    assert not recwarn
    reads = [float, len, np.asarray, fastnn.floor, fastnn.zeros_like, np.zeros_like, fastnn.stack]
    for read in (*reads, lambda x: x[0], lambda x: x @ x, lambda x: x.shape):
        with pytest.raises(RuntimeError, match="is gone: return it from the step"):
            read(model.hidden)
    with pytest.raises(RuntimeError, match="is gone"):
        copy.deepcopy(model).last + 1
    assert repr(model.last) == "Tensor(gone)"
    model(X)
    assert model.hidden.shape == (100, 1)
    model.compile("sgd", "mse", run_eagerly=True)
    model.fit(X, Y, 10, verbose=0)
    assert model.last.shape == ()


def test_losses_that_layers_add_are_not_those_of_a_recording():
    model = Sequential([layers.Dense(1, kernel_regularizer="l2", activity_regularizer="l1")])
    model.compile("sgd", "mse")
    model.fit(X, Y, verbose=0)
    penalty = 0.01 * np.square(model.weights[0]).sum()
    assert [float(loss) for loss in model.losses] == pytest.approx([penalty])
    model(X)
    assert len(model.losses) == 2


class Counting(Model):
    """It counts its steps."""

    def __init__(self):
        super().__init__()
        self.dense, self.steps, self.seen = layers.Dense(1), 0, 0

    def call(self, inputs):
        return self.dense(inputs)

    def train_step(self, data):
        self.steps += 1
        self.seen += len(data[0])
        return {"steps": fastnn.constant(float(self.steps))}


def test_a_model_that_counts_its_steps(recwarn):
    model = Counting()
    model.compile("sgd")
    for first in (1, 5):
        history = model.fit(X, Y, batch_size=100, epochs=4, verbose=0).history
        assert history["steps"] == list(range(first, first + 4))
    assert model.seen == 800
    assert len([w for w in recwarn if "Counting.steps" in str(w.message)]) == 1


class Running(layers.Layer):
    """It scales by a running mean of what went through it, kept in some way."""

    def __init__(self, kept):
        super().__init__()
        self.kept, self.mean, self.means = kept, None, [fastnn.zeros(())]
        self.by_name, self.number, self.array = {"n": 0}, np.float32(0), np.zeros(2)

    def call(self, inputs):
        mean = fastnn.reduce_mean(inputs)
        if self.kept == "attribute":
            self.mean = mean if self.mean is None else 0.5 * (self.mean + mean)
            return inputs * self.mean
        if self.kept == "list":
            self.means[0] = self.means[0] + mean
            return inputs * self.means[0]
        if self.kept == "dict":
            self.by_name["n"] += 1
            return inputs * self.by_name["n"]
        if self.kept == "array":
            self.array[1] += 1
            return inputs * self.array[1]
        self.number = self.number + np.float32(1)
        return inputs * self.number


@pytest.mark.parametrize("samples", [80, 83])
@pytest.mark.parametrize("kept", ["attribute", "list", "dict", "array", "number"])
def test_a_layer_that_keeps_something(kept, samples):
    x = np.random.default_rng(3).random((samples, 2))
    found = []
    for eagerly in (False, True):
        model = Sequential([Running(kept), layers.Dense(1, kernel_initializer="ones")])
        model.build((None, 2))
        model.compile(optimizers.SGD(1e-5), "mse", run_eagerly=eagerly)
        with nullcontext() if eagerly else pytest.warns(UserWarning, match="runs op by op"):
            loss = model.fit(x, x[:, :1], 10, epochs=3, shuffle=False, verbose=0).history["loss"]
            found.append((loss, model.predict(x[:3]).tolist()))
    assert found[0] == found[1]


class Caching(layers.Layer):
    """It keeps constants that it has made once, and what it computed last."""

    def __init__(self):
        super().__init__()
        self.cache, self.acts, self.shapes, self.width, self.eye = {}, {}, [], None, None

    def build(self, input_shape):
        self.width, self.columns = input_shape[-1], input_shape[-1]
        self.shapes.append(tuple(input_shape))
        self.parts = [layers.Dense(2)]

    def call(self, inputs):
        if inputs.shape not in self.cache:
            self.cache[inputs.shape] = fastnn.ones(inputs.shape)
        self.eye = fastnn.ops.eye(self.width)
        self.acts["last"] = inputs * self.cache[inputs.shape]
        return self.parts[0](self.acts["last"] @ self.eye)


@pytest.mark.parametrize("data", [X, X[:97]])
def test_what_is_kept_and_harms_nobody(data, recwarn):
    model = Sequential([Caching()])
    model.predict(data, 10)
    model.compile("sgd", "mse")
    model.fit(data, data[:, :2], 10, epochs=2, verbose=0)
    assert not [w for w in recwarn if "op by op" in str(w.message)]


class Lazy:
    """A proxy as in larger libraries: whatever it is asked for, it refuses."""

    def __getattr__(self, name):
        raise RuntimeError("not ready")


PROXY, SYSTEM = Lazy(), random.SystemRandom()


class Naming(layers.Layer):
    """Its code names globals that have nothing to do with it."""

    def call(self, inputs):
        return inputs if inputs.shape else [PROXY, SYSTEM]


def test_globals_of_other_kinds_are_no_concern(recwarn):
    Sequential([Naming()]).predict(X)
    assert not recwarn


def test_random_numbers_go_on_where_they_were():
    found = []
    for eagerly in (False, True):
        np.random.seed(3)
        model = Sequential([layers.Dense(1, kernel_initializer="ones"), Noise(np.random.normal)])
        model.build((None, 3))
        model.compile(optimizers.SGD(0.0), "mse", run_eagerly=eagerly)
        with nullcontext() if eagerly else pytest.warns(UserWarning, match="op by op"):
            found.append(model.fit(X, Y, 50, shuffle=False, verbose=0).history["loss"])
    assert found[0] == found[1]


class Idiom(layers.Layer):
    """State that begins in some way."""

    cls = 0

    def __init__(self, kind):
        super().__init__()
        self.kind, self.dim, self.history, self.acc = kind, 0, None, None

    def build(self, input_shape):
        self.dim, self.built_with = input_shape[-1], 0
        self.noted = {"n": 0}

    def call(self, inputs, training=False):
        if self.kind == "hasattr":
            self.count = getattr(self, "count", 0) + 1
            return inputs * self.count
        if self.kind == "class":
            self.cls += 1
            return inputs * self.cls
        if self.kind == "list of None":
            self.history = [*(self.history or []), 1]
            return inputs * len(self.history)
        if self.kind == "tensors of None":
            mean = fastnn.reduce_mean(inputs)
            self.acc = [mean] if self.acc is None else [0.5 * (self.acc[0] + mean)]
            return inputs * self.acc[0]
        if self.kind == "dimension":
            return inputs * self.dim * float(np.random.rand() >= 0)
        if self.kind == "deep":
            mean = fastnn.reduce_mean(inputs)
            before = 0 if self.history is None else self.history["a"]["b"]
            self.history = {"a": {"b": before + mean}}
            return inputs * self.history["a"]["b"]
        if training:
            self.dim += 1
        return inputs / self.dim


class Growing(layers.Layer):
    """It makes a layer on its first call, beside what it counts in the same list."""

    def __init__(self):
        super().__init__()
        self.things, self.count = [0], [0]

    def call(self, inputs):
        if len(self.things) == 1:
            self.things.append(layers.Dense(2))
        self.things[0] += 1
        return self.things[1](inputs) * self.things[0]


def test_layers_made_on_the_way_stay():
    model = Sequential([Growing()])
    with pytest.warns(UserWarning, match="op by op"):
        first = model.predict(X[:30], 10)
    kernel = model.layers[0].things[1].kernel
    np.testing.assert_allclose(first[:10], X[:10] @ np.asarray(kernel), rtol=1e-6)
    np.testing.assert_allclose(first[20:], 3 * first[:10], rtol=1e-6)


KINDS = ["hasattr", "class", "list of None", "tensors of None", "dimension", "deep", "training"]


@pytest.mark.parametrize("kind", KINDS)
def test_state_however_it_begins(kind):
    x = np.random.default_rng(3).random((80, 2))
    found = []
    for eagerly in (False, True):
        model = Sequential([Idiom(kind), layers.Dense(1, kernel_initializer="ones")])
        model.build((None, 2))
        model.compile(optimizers.SGD(1e-5), "mse", run_eagerly=eagerly)
        with nullcontext() if eagerly else pytest.warns(UserWarning, match="op by op"):
            outputs = [] if kind == "training" else model.predict(x, 10).tolist()
            history = model.fit(
                x, x[:, :1], 10, epochs=3, shuffle=False, verbose=0, validation_data=(x, x[:, :1])
            ).history
        found.append((outputs, history))
    assert found[0] == found[1]


class LastError(metrics.Metric):
    """That of the last batch."""

    def __init__(self):
        super().__init__(name="last")
        self.reset_state()

    def reset_state(self):
        self.error = fastnn.zeros(())

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.error = fastnn.reduce_max(abs(y_true - y_pred))

    def result(self):
        return self.error


def test_a_metric_that_keeps_the_last_batch():
    x = np.random.default_rng(3).random((60, 2))
    model = Sequential([layers.Dense(1, kernel_initializer="ones")])
    model.compile(optimizers.SGD(0.0), "mse", metrics=[LastError()])
    with pytest.warns(UserWarning, match=r"changes LastError\.error"):
        found = model.evaluate(x, x[:, :1], 20, verbose=0)[1]
    assert found == pytest.approx(np.abs(x[40:, 1]).max(), rel=1e-6)


class AtTheEnd(layers.Layer):
    """It looks at values, or counts, in the last, short batch alone."""

    def __init__(self, looks):
        super().__init__()
        self.looks, self.n = looks, 0

    def call(self, inputs):
        if inputs.shape[0] % 10 and self.looks:
            return inputs * 2 if float(fastnn.reduce_sum(inputs)) > 0 else inputs
        self.n += bool(inputs.shape[0] % 10)
        return inputs + self.n


@pytest.mark.parametrize("looks", [True, False])
def test_the_short_last_batch(looks):
    found = []
    for eagerly in (False, True):
        model = Sequential([AtTheEnd(looks)])
        model.compile("sgd", "mse", run_eagerly=eagerly)
        with nullcontext() if eagerly else pytest.warns(UserWarning, match="op by op"):
            found.append([model.predict(X[:37], 10).tolist() for _ in range(2)])
    assert found[0] == found[1]


class Looking(layers.Layer):
    """It looks at values, which no program can."""

    def call(self, inputs):
        return 2 * inputs if float(fastnn.reduce_sum(inputs)) > 0 else inputs


def test_weights_made_in_a_recording_that_fails_are_drawn_once():
    outputs = []
    for eagerly in (False, True):
        fastnn.utils.set_random_seed(4)
        model = Sequential([layers.Dense(2), Looking(), layers.Dense(2)])
        model.compile("sgd", "mse", run_eagerly=eagerly)
        with nullcontext() if eagerly else pytest.warns(UserWarning, match="op by op"):
            outputs.append(model.predict(X))
    np.testing.assert_array_equal(*outputs)


class Jittering(fastnn.regularizers.Regularizer):
    """A penalty of random strength."""

    def __init__(self):
        self.rng = np.random.default_rng(1)

    def __call__(self, x):
        return fastnn.reduce_sum(x * x) * float(self.rng.random())


def test_generators_of_what_layers_have():
    model = Sequential([layers.Dense(1, kernel_regularizer=Jittering())])
    model.compile(optimizers.SGD(0.0), "mse")
    with pytest.warns(UserWarning, match="draws from random numbers"):
        loss = model.fit(X, Y, 10, epochs=4, verbose=0).history["loss"]
    assert len(set(loss)) == 4


class Fresh(metrics.MeanSquaredError):
    """It begins each epoch with a new list, which no result depends on."""

    def reset_state(self):
        super().reset_state()
        self.notes = []


def test_what_a_metric_begins_anew_records_nothing_anew(monkeypatch):
    recorded, init = [], CompiledLoop.__init__
    monkeypatch.setattr(CompiledLoop, "__init__", lambda *args: recorded.append(1) or init(*args))
    model = Sequential([layers.Dense(1)])
    model.compile("sgd", "mse", metrics=[Fresh()])
    model.fit(X, Y, 10, epochs=4, verbose=0)
    assert len(recorded) == 1


def _count_deep(layer):
    layer.kept["a"]["b"][0] += 1
    return layer.kept["a"]["b"][0]


def _count_in_a_tuple(layer):
    layer.kept[0].append(1)
    return len(layer.kept[0])


def _count_by_default(layer):
    layer.kept["n"] += 1
    return layer.kept["n"]


def _count_in_a_queue(layer):
    layer.kept.append(layer.kept.popleft() + 1)
    return layer.kept[0]


def _count_in_a_large_array(layer):
    layer.kept[-1] += 1
    return layer.kept[-1]


def _count_in_a_new_array(layer):
    layer.kept = layer.kept + 1
    return float(layer.kept[-1])


def _count_in_a_layer(layer):
    layer.kept.rate = min(0.9, layer.kept.rate + 0.125)
    return layer.kept.rate


def _count_by_rotation(layer):
    key = next(iter(layer.kept))
    layer.kept[key] = layer.kept.pop(key)
    return "abc".index(key)


def _count_in_an_object_array(layer):
    layer.kept[0].append(1)
    return len(layer.kept[0])


class Helper:
    """An object of the user's."""

    def __init__(self):
        self.counts = [0]


def _count_in_a_helper(layer):
    layer.kept.counts[0] += 1
    return layer.kept.counts[0]


def _count_in_a_namespace(layer):
    layer.kept.n += 1
    return layer.kept.n


class Frozen(dict):
    """What is in it can be changed by nobody."""

    def __setitem__(self, key, value):
        raise TypeError("frozen")

    def update(self, *args):
        raise TypeError("frozen")

    def __delitem__(self, key):
        raise TypeError("frozen")

    def __reduce_ex__(self, protocol):
        raise TypeError("frozen")


def _count_beside_what_cannot_be_copied(layer):
    layer.kept["n"][0] += 1
    return layer.kept["n"][0]


def _count_beside_a_huge_array(layer):
    layer.kept["n"][0] += 1
    return layer.kept["n"][0]


WAYS = {
    "helper": (_count_in_a_helper, Helper),
    "namespace": (_count_in_a_namespace, lambda: types.SimpleNamespace(n=0)),
    "beside a huge array": (
        _count_beside_a_huge_array,
        lambda: {"n": [0], "table": np.zeros(2_000_000)},
    ),
    "order": (_count_by_rotation, lambda: OrderedDict(a=1, b=2, c=3)),
    "object array": (_count_in_an_object_array, lambda: np.array([[], None], object)),
    "frozen dict": (_count_beside_what_cannot_be_copied, lambda: Frozen(n=[0])),
    "dict of dicts": (_count_deep, lambda: {"a": {"b": [0]}}),
    "tuple of lists": (_count_in_a_tuple, lambda: ([], 0)),
    "defaultdict": (_count_by_default, lambda: defaultdict(int)),
    "deque": (_count_in_a_queue, lambda: deque([0], 3)),
    "large array": (_count_in_a_large_array, lambda: np.zeros(100_000)),
    "new array": (_count_in_a_new_array, lambda: np.zeros(100_000)),
    "new tensor": (_count_in_a_new_array, lambda: fastnn.zeros((100_000,))),
    "argument of a layer": (_count_in_a_layer, lambda: layers.Dropout(0.0)),
}


class CountingSomehow(layers.Layer):
    def __init__(self, count, kept):
        super().__init__()
        self.count, self.kept = count, kept

    def call(self, inputs, training=False):
        return inputs * (1 + 0.1 * self.count(self)) if training else inputs


@pytest.mark.parametrize("way", WAYS)
def test_state_wherever_it_is(way):
    count, kept = WAYS[way]
    found = []
    for eagerly in (False, True):
        layer = CountingSomehow(count, kept())
        model = Sequential([layer, layers.Dense(1, kernel_initializer="ones")])
        model.compile(optimizers.SGD(1e-3), "mse", run_eagerly=eagerly)
        with nullcontext() if eagerly else pytest.warns(UserWarning, match="op by op"):
            history = model.fit(X, Y, 30, epochs=2, shuffle=False, verbose=0).history
        found.append((history, model.layers[1].get_weights()))
    assert found[0][0] == found[1][0]
    np.testing.assert_array_equal(found[0][1][0], found[1][1][0])


class DropoutAnew(Model):
    """It makes a layer in every call, which no program can, and draws a seed for it."""

    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(1)

    def call(self, inputs, training=False):
        return self.dense(layers.Dropout(0.5)(inputs, training=training))


def test_what_a_refused_recording_drew_is_drawn_again():
    found = []
    for eagerly in (False, True):
        fastnn.utils.set_random_seed(1)
        model = DropoutAnew()
        model.compile("sgd", "mse", run_eagerly=eagerly)
        with nullcontext() if eagerly else pytest.warns(UserWarning, match="op by op"):
            loss = model.fit(X, Y, verbose=0).history["loss"]
        found.append((loss, float(fastnn.random.uniform(()))))
    assert found[0] == found[1]


class Finite(layers.Layer):
    """It has numbers for so many steps of training."""

    def __init__(self, steps):
        super().__init__()
        self.factors, self.n = [0.5] * steps, 0

    def call(self, inputs, training=False):
        if not training:
            return inputs
        self.n += 1
        return inputs * self.factors[self.n - 1]


def test_recordings_use_up_nothing():
    model = Sequential([Finite(4), layers.Dense(1)])
    model.compile("sgd", "mse")
    with pytest.warns(UserWarning, match="changes Finite.n, which a program would do once"):
        model.fit(X, Y, 30, verbose=0)
    assert (model.layers[0].n, int(model.optimizer.iterations)) == (4, 4)
    with pytest.raises(IndexError):
        model.fit(X, Y, 30, verbose=0)
    assert (model.layers[0].n, int(model.optimizer.iterations)) == (5, 4)


class Lazily(layers.Layer):
    """It makes what it needs on first use, which takes a layer that no program can make."""

    def __init__(self):
        super().__init__()
        self.parts = {}

    def call(self, inputs, training=False):
        if training and "dense" not in self.parts:
            self.parts["dense"] = layers.Dense(3)
            self.drop = layers.Dropout(0.5)
        return self.drop(self.parts["dense"](inputs), training=True) if training else inputs


def test_what_a_refused_recording_has_made_half_is_made_again():
    found = []
    for eagerly in (False, True):
        fastnn.utils.set_random_seed(1)
        model = Sequential([Lazily(), layers.Dense(1)])
        model.compile("sgd", "mse", run_eagerly=eagerly)
        with nullcontext() if eagerly else pytest.warns(UserWarning, match="op by op"):
            found.append(model.fit(X, Y, epochs=2, verbose=0).history["loss"])
    assert found[0] == found[1]


def _deep():
    value = []
    for _ in range(300):
        value = [value]
    return value


def _cyclic():
    value = deque()
    value.extend([value, value])
    return value


@pytest.mark.parametrize("kept", [_deep, _cyclic, lambda: [[0.5] * 9] * 5_000])
def test_attributes_that_are_deep_cyclic_or_large(kept):
    model = Sequential([CountingSomehow(lambda layer: 1, kept()), layers.Dense(1)])
    model.compile("sgd", "mse")
    model.fit(X, Y, verbose=0)


class Halves(Model):
    """Two layers, for steps that do something else each time."""

    def __init__(self):
        super().__init__()
        self.first, self.second = layers.Dense(4, "tanh"), layers.Dense(1)
        self.turn, self.function = self.first, fastnn.tanh
        self.other = optimizers.SGD(1e-9)

    def call(self, inputs):
        return self.second(self.function(self.first(inputs)))


def in_turns(model):
    model.turn = model.second if model.turn is model.first else model.first
    model.first.trainable = model.turn is model.first


def freezing_a_weight(model):
    model.first.kernel.trainable = not model.first.kernel.trainable


def penalizing_a_weight(model):
    kernel = model.first.kernel
    kernel.regularizer = fastnn.regularizers.L2(0.5) if kernel.regularizer is None else None


def with_another_function(model):
    model.function = fastnn.relu if model.function is fastnn.tanh else fastnn.tanh


def with_another_optimizer(model):
    model.optimizer, model.other = model.other, model.optimizer


def with_another_activation(model):
    is_tanh = model.first.activation is fastnn.tanh
    model.first.activation = fastnn.relu if is_tanh else fastnn.tanh


CHANGES = [
    in_turns,
    freezing_a_weight,
    penalizing_a_weight,
    with_another_function,
    with_another_optimizer,
    with_another_activation,
]


@pytest.mark.parametrize("samples", [64, 60])
@pytest.mark.parametrize("change", CHANGES)
def test_what_steps_exchange(change, samples):
    """Also where a short last batch makes the number of recordings even."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((samples, 5)).astype(np.float32)
    y = rng.standard_normal((samples, 1)).astype(np.float32)

    class Changing(Halves):
        def train_step(self, data):
            change(self)
            return super().train_step(data)

    def weights(**options):
        fastnn.utils.set_random_seed(0)
        model = Changing()
        model(x[:1])
        model.compile(optimizers.SGD(0.1), "mse", **options)
        model.fit(x, y, batch_size=16, epochs=2, shuffle=False, verbose=0)
        return model.get_weights()

    expected = weights(run_eagerly=True)
    with pytest.warns(UserWarning, match="which a program would do once"):
        found = weights()
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


class ActNorm(layers.Layer):
    """Begins with the scale of its first batch."""

    def build(self, input_shape):
        self.scale = self.add_weight((input_shape[-1],), "ones", trainable=False)
        self.is_set = False

    def call(self, inputs, training=False):
        if training and not self.is_set:
            self.scale.assign(1 / fastnn.reduce_max(inputs, axis=0))
            self.is_set = True
        return inputs * self.scale


def test_what_only_the_first_step_does():
    x = np.random.default_rng(0).uniform(1, 9, (64, 5)).astype(np.float32)
    model = Sequential([ActNorm(), layers.Dense(1)])
    model(x[:1])
    model.compile("sgd", "mse")
    with pytest.warns(UserWarning, match=r"ActNorm\.is_set.*and not in every step"):
        model.fit(x, np.ones(64), batch_size=16, shuffle=False, verbose=0)
    np.testing.assert_array_equal(model.layers[0].scale, 1 / x[:16].max(axis=0))


def test_random_numbers_of_an_object():
    drawing = types.SimpleNamespace(inner=types.SimpleNamespace(rng=np.random.default_rng(0)))

    class Scaled(layers.Layer):
        def __init__(self):
            super().__init__()
            self.drawing = drawing

        def call(self, inputs):
            return inputs * self.drawing.inner.rng.uniform(0.5, 1.5)

    model = Sequential([Scaled()])
    with pytest.warns(UserWarning, match="draws from random numbers of NumPy"):
        found = model.predict(X, batch_size=10)
    assert len(set(found[:, 0])) == 10


def test_a_method_is_the_same_whenever_it_is_asked_for():
    class Naming(Halves):
        def call(self, inputs):
            self.function = self.activate
            return super().call(inputs)

        def activate(self, inputs):
            return fastnn.tanh(inputs)

    model = Naming()
    model(X)
    found = model.predict(X)  # without a warning
    np.testing.assert_array_equal(found, model(X))
    assert isinstance(next(iter(model._loops.values())), CompiledLoop)

"""Passes over a data set in C: what is kept from one to the next, what stops them, what warns."""

import copy
import gc
import pickle
import signal
import subprocess
import sys
import threading
import time
import tracemalloc
import weakref

import numpy as np
import pytest

import fastnn
from fastnn import Sequential, layers, losses, optimizers
from fastnn.recent import KEPT


def compiled(units=3, **options):
    model = Sequential([layers.Dense(8, "relu"), layers.Dense(units)])
    model.compile(**{"optimizer": optimizers.SGD(0.1), "loss": "mse", **options})
    return model


def data(n=40, seed=0):
    rng = np.random.default_rng(seed)
    return rng.random((n, 4)).astype(np.float32), rng.random((n, 3)).astype(np.float32)


def eager(model, x):
    return model(x).numpy()


def test_a_pass_reads_the_data_that_it_is_given():
    model = compiled()
    (x, y), (other, _) = data(), data(seed=1)
    first, second = model.predict(x), model.predict(other)
    np.testing.assert_array_equal(first, eager(model, x))
    np.testing.assert_array_equal(second, eager(model, other))
    x[...] = other
    np.testing.assert_array_equal(model.predict(x), second)
    for size in (1, 7, 40):
        np.testing.assert_array_equal(model.predict(other, batch_size=size), second)
    assert model.evaluate(x, y, verbose=0) == model.evaluate(other.astype(float), y, verbose=0)


def test_weights_and_the_learning_rate_are_read_anew():
    model, (x, y) = compiled(), data()
    model.fit(x, y, verbose=0)
    model.layers[1].bias.assign([7.0, 8.0, 9.0])
    np.testing.assert_array_equal(model.predict(x), eager(model, x))
    model.optimizer.learning_rate = 1e-30
    before = model.predict(x)
    model.fit(x, y, verbose=0)
    np.testing.assert_array_equal(model.predict(x), before)


def test_layers_and_trainable_are_looked_at_anew():
    model, (x, y) = compiled(), data()
    model.fit(x, y, verbose=0)
    model.predict(x)
    model.layers[0].trainable = False
    before = model.layers[0].kernel.numpy()
    model.fit(x, y, verbose=0)
    np.testing.assert_array_equal(model.layers[0].kernel, before)
    model.add(layers.Dense(2))
    assert model.predict(x).shape == (40, 2)
    model.pop()
    assert model.predict(x).shape == (40, 3)


def test_a_tensor_read_before_training_keeps_its_values():
    model, (x, y) = compiled(), data()
    model(x)
    read = model.layers[0].kernel.value
    values = read.numpy()
    model.fit(x, y, verbose=0)
    np.testing.assert_array_equal(read, values)
    assert (model.layers[0].kernel.numpy() != values).any()


def test_what_cannot_be_compiled_runs_op_by_op_after_one_warning():
    def looking(y_true, y_pred):
        assert np.isfinite(y_pred.numpy()).all()
        return losses.mean_squared_error(y_true, y_pred)

    x, y = data()
    fastnn.utils.set_random_seed(1)
    model = compiled(loss=looking)
    with pytest.warns(UserWarning, match=r"runs op by op.*line \d+ of .*test_loop.py") as warned:
        first = model.fit(x, y, epochs=2, verbose=0).history
    model.fit(x, y, verbose=0)  # a warning would be an error here
    assert len(warned) == 1
    fastnn.utils.set_random_seed(1)
    assert compiled(loss=looking, run_eagerly=True).fit(x, y, epochs=2, verbose=0).history == first


def test_describe_shows_the_step_and_changes_nothing():
    model, (x, y) = compiled(optimizer="adam"), data()
    model(x)
    before = [w.numpy() for w in (*model.weights, *model.optimizer.variables)]
    recorded, runs, _ = model.describe(x, y, batch_size=16, profile=True).split("\n\n")
    assert "mean" not in recorded  # it is made of a sum and a division
    assert "Python" not in runs
    after = [w.numpy() for w in (*model.weights, *model.optimizer.variables)][: len(before)]
    for a, b in zip(after, before, strict=True):
        np.testing.assert_array_equal(a, b)


def test_threads_may_predict_with_one_model():
    model = compiled()
    model(np.ones((1, 4)))
    sets = [data(seed=n)[0] for n in range(4)]
    expected = [eager(model, x) for x in sets]
    wrong = []

    def ask(n):
        wrong.extend(n for _ in range(100) if (model.predict(sets[n]) != expected[n]).any())

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


INTERRUPTED = """
import signal

import numpy as np
import fastnn
from fastnn import layers

x = np.random.default_rng(0).random((100_000, 64)).astype(np.float32)
model = fastnn.Sequential([layers.Dense(64, "relu"), layers.Dense(1)])
model.compile("sgd", "mse")
model.fit(x[:64], x[:64, :1], verbose=0)
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's job may be told to ignore it
print("begun", flush=True)
try:
    model.fit(x, x[:, :1], epochs=1000, verbose=0)
except KeyboardInterrupt:
    print("stopped", np.isfinite(model.predict(x[:1])).all())
"""


def test_ctrl_c_stops_a_pass():
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "begun\n"
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=30)
    assert out == "stopped True\n"


class Stacked(layers.Layer):
    def call(self, inputs):
        return fastnn.concat([inputs, inputs], axis=0)


class Averaged(layers.Layer):
    def call(self, inputs):
        return fastnn.reduce_mean(inputs, axis=0, keepdims=True)


@pytest.mark.parametrize(("layer", "rows"), [(Stacked, 80), (Averaged, 2)])
def test_an_output_with_other_rows_than_samples_runs_op_by_op(layer, rows):
    model, (x, _) = Sequential([layers.Dense(3), layer()]), data()
    with pytest.warns(UserWarning, match="not a row for each"):
        output = model.predict(x, batch_size=32)
    assert output.shape == (rows, 3)
    batches = [eager(model, x[:32]), eager(model, x[32:])]
    np.testing.assert_array_equal(output, np.concatenate(batches))


class Products(layers.Layer):
    """Of all samples of a batch with each other."""

    def call(self, inputs):
        return fastnn.matmul(inputs, inputs, transpose_b=True)


@pytest.mark.parametrize("eagerly", [False, True])
def test_an_output_whose_shape_is_the_batch_size(eagerly):
    model, (x, _) = Sequential([Products()]), data()
    model.run_eagerly = eagerly
    with pytest.raises(ValueError, match=r"\(32,\) of float32 and \(8,\).*divides"):
        model.predict(x, batch_size=32)
    found = model.predict(x, batch_size=20)
    np.testing.assert_allclose(found[:20], x[:20] @ x[:20].T, rtol=1e-5)


def test_a_short_last_batch_that_comes_later_may_run_op_by_op():
    class Choosy(layers.Layer):
        def call(self, inputs):
            return inputs if len(inputs) == 32 or float(fastnn.reduce_sum(inputs)) else -inputs

    model, (x, _) = Sequential([Choosy()]), data()
    np.testing.assert_array_equal(model.predict(x[:32], batch_size=32), x[:32])
    with pytest.warns(UserWarning, match="op by op"):
        np.testing.assert_array_equal(model.predict(x, batch_size=32), x)


def unaligned(array):
    memory = np.zeros(array.nbytes + 1, np.uint8)[1:]
    copied = memory.view(array.dtype).reshape(array.shape)
    copied[...] = array
    return copied


def test_data_may_lie_anywhere_in_memory():
    model, (x, y) = compiled(), data()
    expected = model.evaluate(x, y, verbose=0)
    assert model.evaluate(unaligned(x), unaligned(y), verbose=0) == expected
    assert model.evaluate(x, unaligned(y), verbose=0) == expected
    offset = fastnn.constant(unaligned(x[0]))
    np.testing.assert_array_equal(fastnn.function(lambda t: t + offset)(x), x + x[0])


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_a_copy_of_a_trained_model_trains_alone(copied):
    model, (x, y) = compiled(optimizer="adam"), data()
    model.fit(x, y, verbose=0)
    other = copied(model)
    before = model.predict(x)
    losses_of_other = other.fit(x, y, shuffle=False, verbose=0).history
    np.testing.assert_array_equal(model.predict(x), before)
    assert model.fit(x, y, shuffle=False, verbose=0).history == losses_of_other


def test_rows_without_zeros_are_not_kept_for_ever():
    x, y = np.zeros((80, 500), np.float32), np.zeros((80, 3), np.float32)
    x[:, ::50] = 1
    model = Sequential([layers.Dense(320), layers.Dense(3)])
    model.compile("sgd", "mse")
    histories = [model.fit(x, y, epochs=2, shuffle=False, verbose=0).history for _ in range(3)]
    assert histories[0] != histories[1]
    assert len(model._loops) == 0


def test_rows_without_zeros_are_let_go_of_at_once():
    """And not by the garbage collector, some day: they are large."""
    x, y = np.zeros((4000, 500), np.float32), np.zeros((4000, 3), np.float32)
    x[:, ::10] = 1
    model = Sequential([layers.Dense(320), layers.Dense(3)])
    model.compile("sgd", "mse")
    model.fit(x, y, epochs=2, verbose=0)
    gc.disable()
    tracemalloc.start()
    model.fit(x, y, epochs=2, verbose=0)
    kept, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    gc.enable()
    assert most > 4000 * 50 * 8  # they were there
    assert kept < most / 4


def test_a_model_keeps_no_data_alive():
    model, (x, y) = compiled(), data()
    held = weakref.ref(x), weakref.ref(y)
    model.fit(x, y, batch_size=7, verbose=0)
    model.predict(x[::-1])
    del x, y
    gc.collect()
    assert [reference() for reference in held] == [None, None]


def test_the_programs_of_last_batches_are_forgotten_one_day():
    model, (x, _) = compiled(), data(200)
    expected = eager(model, x)
    for n in (*range(50, 99), 63, 200):
        np.testing.assert_array_equal(model.predict(x[:n], batch_size=50), expected[:n])
    assert len(model._loops) == KEPT
    for n in range(1, KEPT + 5):
        model.predict_on_batch(x[:n])
    assert len(model._loops) == KEPT


@pytest.mark.parametrize("kind", ["predict", "test", "train"])
def test_a_pass_within_such_a_pass(kind):
    """A callback asks for it: what it gives, and what the pass around it gives, is as ever."""
    model, (x, y) = compiled(), data()
    asked = {
        "predict": lambda model, **options: model.predict(x, 16, **options),
        "test": lambda model, **options: model.test_on_batch(x[:16], y[:16]),
        "train": lambda model, **options: model.train_on_batch(x[:16], y[:16]),
    }[kind]
    around = {
        "predict": asked,
        "test": lambda model, **options: model.evaluate(x, y, 16, 0, **options),
        "train": lambda model, **options: model.fit(x, y, 16, verbose=0, **options),
    }[kind]
    model.predict(x)
    other, results = copy.deepcopy(model), []
    hook = f"on_{kind}_batch_end"
    ask = type("Ask", (fastnn.callbacks.Callback,), {hook: lambda *_: results.append(asked(model))})
    around(model, callbacks=[ask()])
    assert len(results) == 3
    if kind != "train":
        np.testing.assert_array_equal(results, [asked(other)] * 3)


def test_threads_may_be_the_first_to_call_a_model():
    x, _ = data()
    for _ in range(20):
        model, begin, outputs = compiled(), threading.Barrier(8), []

        def ask(model=model, begin=begin, outputs=outputs):
            begin.wait()
            outputs.append(model.predict(x))

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        np.testing.assert_array_equal(outputs, [model.predict(x)] * 8)


class Interrupted(layers.Layer):
    """Is interrupted in a step, after the layers before it have changed their state."""

    begun = False

    def call(self, inputs, training=False):
        if self.begun and training:
            raise KeyboardInterrupt
        return inputs


def test_a_step_op_by_op_that_is_interrupted_changes_nothing():
    interrupted, (x, y) = Interrupted(), data()
    model = Sequential([layers.BatchNormalization(), layers.Dropout(0.5), interrupted])
    model.add(layers.Dense(3, activation="softmax"))
    model.compile("adam", "categorical_crossentropy", run_eagerly=True)
    model.fit(x, y, verbose=0)
    before, uses = model.get_weights(), int(model.layers[1]._stream._uses)
    interrupted.begun = True
    with pytest.raises(KeyboardInterrupt):
        model.fit(x, y, verbose=0)
    for value, old in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(value, old)
    assert int(model.layers[1]._stream._uses) == uses

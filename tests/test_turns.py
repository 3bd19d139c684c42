"""Turns: two threads do not train one model, or measure with it; nothing stays locked."""

import copy
import itertools
import os
import pickle
import sys
import threading

import numpy as np
import pytest

import fastnn
from fastnn import Sequential, callbacks, layers, models

X = np.random.default_rng(0).random((32, 4)).astype(np.float32)
Y = X[:, :1]

CALLS = {
    "fit": lambda model: model.fit(X, Y, verbose=0),
    "evaluate": lambda model: model.evaluate(X, Y, verbose=0),
    "train_on_batch": lambda model: model.train_on_batch(X, Y),
    "test_on_batch": lambda model: model.test_on_batch(X, Y),
    "describe": lambda model: model.describe(X, Y, profile=True),
}


def compiled():
    model = Sequential([layers.Dense(8, "relu"), layers.Dense(1)], name="net")
    model.compile("sgd", "mse")
    return model


def at_begin(ask):
    """A callback that calls `ask` when an epoch of a training begins."""
    return callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: ask())


def in_the_midst_of_fit(model, ask):
    """What `ask` gives, or the error that it raises, beside a `fit` in another thread."""
    begun, enough = threading.Event(), threading.Event()

    def wait():
        begun.set()
        assert enough.wait(10)

    trainer = threading.Thread(
        target=lambda: model.fit(X, Y, verbose=0, callbacks=[at_begin(wait)])
    )
    trainer.start()
    try:
        assert begun.wait(10)
        return ask(model)
    finally:
        enough.set()
        trainer.join()


@pytest.mark.parametrize("name", CALLS)
def test_out_of_turn(name):
    model = compiled()
    with pytest.raises(RuntimeError, match=rf"^model 'net': {name} .* its fit, .*copy.deepcopy"):
        in_the_midst_of_fit(model, CALLS[name])
    CALLS[name](model)


def test_anybody_may_predict():
    model = compiled()
    outputs = in_the_midst_of_fit(model, lambda model: model.predict(X))
    assert outputs.shape == (32, 1)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_a_copy_has_turns_of_its_own(copied):
    copies = in_the_midst_of_fit(compiled(), copied)
    CALLS["fit"](copies)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_a_layer_may_get_attributes_while_it_is_copied(copied):
    """As another thread gives it, where that builds it."""
    layer = fastnn.layers.Dense(1)
    layer.activation = Built(layer)
    assert copied(layer).units == 1


class Built(fastnn.layers.Layer):
    """Copied, it gives another layer an attribute."""

    def __init__(self, other):
        super().__init__()
        self.other = other

    def __reduce__(self):
        self.other.kernel = 1
        return fastnn.layers.ReLU, ()


@pytest.mark.parametrize("name", CALLS.keys() - {"fit"})
def test_a_callback_of_the_same_thread_has_its_turn(name):
    model = compiled()
    model.fit(X, Y, verbose=0, callbacks=[at_begin(lambda: CALLS[name](model))])


def test_fit_within_fit():
    model = compiled()
    with pytest.raises(RuntimeError, match=r"^model 'net': fit was called in the midst of its fit"):
        model.fit(X, Y, verbose=0, callbacks=[at_begin(lambda: CALLS["fit"](model))])
    CALLS["fit"](model)


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_an_exception_ends_a_turn(error):
    def stop():
        raise error

    model = compiled()
    with pytest.raises(error):
        model.fit(X, Y, verbose=0, callbacks=[at_begin(stop)])
    thread = threading.Thread(target=CALLS["fit"], args=(model,))
    thread.start()
    thread.join()
    assert model.history.epoch == [0]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of forks beside threads
def test_a_child_has_turns_of_its_own():
    def forked(model):
        child = os.fork()
        if child == 0:
            with fastnn.threads(1):
                CALLS["fit"](model)
            os._exit(0)
        return os.waitpid(child, 0)[1]

    model = compiled()
    assert in_the_midst_of_fit(model, forked) == 0
    statuses = []
    model.fit(X, Y, verbose=0, callbacks=[at_begin(lambda: statuses.append(forked(model)))])
    assert statuses == [0]


def test_the_error_is_that_of_the_memory():
    """Not that nobody was written down."""

    class Full(dict):
        def __setitem__(self, caller, nothing):
            raise MemoryError

    model = compiled()
    model._callers = Full()
    with pytest.raises(MemoryError):
        model.fit(X, Y, verbose=0)
    model._callers = {}
    model.fit(X, Y, verbose=0)


def interrupted_as_a_block_begins(call, number):
    """The Ctrl-C that came in the midst of a call, as the so-maniest ``with`` block was entered."""
    left = number

    def trace(frame, event, _):
        nonlocal left
        if event == "return" and frame.f_code.co_name == "__enter__":
            left -= 1
            if left < 0:
                sys.settrace(None)
                raise KeyboardInterrupt
        return trace

    sys.settrace(trace)
    try:
        call()
    except KeyboardInterrupt as error:
        return error  # which a notebook keeps for a while, with all that its frames hold
    finally:
        sys.settrace(None)
    return None


def test_an_interrupt_leaves_nothing_behind_that_acts_later(tmp_path):
    x, y = np.ones((20, 6), np.float32), np.ones((20, 1), np.float32)
    saved = Sequential([layers.Dense(2, input_shape=(6,)), layers.Dense(1)])
    saved.save(tmp_path / "model.keras")

    def load():
        models.load_model(tmp_path / "model.keras")

    for number in itertools.count():
        model = Sequential([layers.Dense(5), layers.Dense(1)])
        model.compile("sgd", "mse")
        kept = [interrupted_as_a_block_begins(lambda m=model: m.train_on_batch(x, y), number)]
        model.fit(x, y, verbose=0)
        kept += [interrupted_as_a_block_begins(load, number)]
        assert Sequential([layers.Dense(2, input_shape=(3,))]).get_weights()[0].any()
        ended = kept == [None, None]
        kept.clear()
        assert len(model.weights) == 4
        if ended:
            break
    assert number > 0

"""Turns: two threads do not train one model, or measure with it; nothing stays locked."""

import copy
import os
import pickle
import threading

import numpy as np
import pytest

import fastnn
from fastnn import Sequential, callbacks, layers

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

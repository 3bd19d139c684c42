"""Allocations that fail, one after another, in calls of the public interface.

It runs in a process of its own, ``python faults.py STRIDE NAME...``, with faults.c preloaded and
PYTHONMALLOC=malloc, so that the allocations of C, of Python and of NumPy all come from there. An
interpreter that is out of memory may crash: then its last line says at which allocation.
"""

import ctypes
import gc
import itertools
import json
import os
import shutil
import sys
import tempfile
from functools import partial

import numpy as np
import public_calls

import fastnn
from fastnn import Sequential, _kernels, callbacks, layers, models, optimizers

X = np.random.default_rng(0).normal(size=(8, 5)).astype(np.float32)
Y = np.random.default_rng(1).integers(0, 3, len(X))
FOLDER = tempfile.mkdtemp()
AFTER = 10  # allocations that the sweep looks for behind the last one
LOOK = 500  # faults after which it looks for lost memory, which takes longer than a fault

C = ctypes.CDLL(None)
fail_after, bytes_in_use, kernel_blocks_in_use = (
    getattr(C, name) for name in ("fail_after", "bytes_in_use", "kernel_blocks_in_use")
)
fail_after.argtypes = [ctypes.c_long]
bytes_in_use.restype = kernel_blocks_in_use.restype = ctypes.c_long


def enter_allocator():
    """Have NumPy take the memory of arrays from faults.c, which keeps none for later."""
    new = ctypes.pythonapi.PyCapsule_New
    new.restype, new.argtypes = ctypes.py_object, [ctypes.c_void_p] * 3
    handler, name = (
        ctypes.addressof(ctypes.c_char.in_dll(C, symbol))
        for symbol in ("array_handler", "array_handler_name")
    )
    pointer = ctypes.pythonapi.PyCapsule_GetPointer
    pointer.restype, pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    table = pointer(np._core._multiarray_umath._ARRAY_API, None)
    entry = ctypes.c_void_p.from_address(table + 304 * ctypes.sizeof(ctypes.c_void_p))
    set_handler = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.py_object)(entry.value)
    set_handler(new(handler, name, None))


class Stateless:
    """A call that changes nothing that lasts."""

    first = False

    def __init__(self, run):
        self.run = run

    def state(self):
        return []

    def states(self):
        return [[]]

    def restore(self):
        fastnn.utils.clear_session()  # the same names
        fastnn.utils.set_random_seed(3)


class Changing(Stateless):
    """A call that changes variables."""

    def __init__(self, make):
        self.variables, self.run = make()
        self.start = [w.numpy() for w in self.variables]

    def state(self):
        return [w.numpy().tobytes() for w in self.variables]

    def restore(self):
        for w, value in zip(self.variables, self.start, strict=True):
            w.assign(value)

    def states(self):
        """As before, or as after the whole call."""
        before = self.state()
        self.run()
        return [before, self.state()]


class Training:
    """A model with everything that changes when it is trained."""

    first = False  # whether a call is one of a new model

    def __init__(self, **options):
        fastnn.utils.clear_session()  # the same names
        fastnn.utils.set_random_seed(7)
        self.model = Sequential(self.layers())
        self.model(X[:1])
        loss = fastnn.losses.SparseCategoricalCrossentropy(from_logits=True)
        self.model.compile(optimizers.Adam(0.01), loss, ["accuracy"], **options)
        if not self.first:
            self.prepare()
        self.start = self.state()

    def layers(self):
        return [layers.Dense(4, "relu"), layers.Dropout(0.3), *self.last_layers()]

    def last_layers(self):
        return [layers.BatchNormalization(), layers.Dense(3)]

    def prepare(self):
        self.run()

    def variables(self):
        uses = [layer._stream._uses for layer in self.model.layers if hasattr(layer, "_stream")]
        return [*self.model.weights, *uses, *self.model.optimizer.variables]

    def state(self):
        return [w.numpy().tobytes() for w in self.variables()]

    def restore(self):
        fastnn.utils.set_random_seed(3)
        for w, value in itertools.zip_longest(self.variables(), self.start, fillvalue=None):
            w.assign(np.frombuffer(value, w.dtype).reshape(w.shape) if value else np.zeros(w.shape))

    def states(self):
        """What the state may be afterwards: as before, or as after the whole call."""
        self.restore()
        self.run()
        return [self.start, self.state()]

    def run(self):
        raise NotImplementedError


class Fit(Training):
    def run(self):
        return self.fit([]).history

    def fit(self, callbacks):
        options = {"batch_size": 4, "callbacks": callbacks, "verbose": 0}
        return self.model.fit(X, Y, **options)

    def states(self):
        """After each whole step."""
        self.restore()
        found = [self.start]
        note = callbacks.LambdaCallback(
            on_train_batch_end=lambda batch, logs: found.append(self.state())
        )
        self.fit([note])
        return found


class FirstFit(Fit):
    first = True

    def last_layers(self):
        return [layers.Dense(3)]


class EagerFit(Fit):
    def __init__(self):
        super().__init__(run_eagerly=True)


class FitWithCallbacks(Fit):
    """With those that change something: the learning rate, files, the weights in the end."""

    folder = os.path.join(FOLDER, "fit")

    def prepare(self):
        self.empty_folder()
        super().prepare()

    def restore(self):
        super().restore()
        self.empty_folder()

    def empty_folder(self):
        shutil.rmtree(self.folder, ignore_errors=True)
        os.mkdir(self.folder)

    def callbacks(self):
        return [
            callbacks.BackupAndRestore(os.path.join(self.folder, "backup")),
            callbacks.CSVLogger(os.path.join(self.folder, "log")),
            callbacks.EarlyStopping("loss", restore_best_weights=True),
            callbacks.LearningRateScheduler(lambda epoch: 0.1 / (epoch + 1)),
            callbacks.ModelCheckpoint(os.path.join(self.folder, "{epoch}"), save_weights_only=True),
            callbacks.ReduceLROnPlateau("loss"),
            callbacks.TerminateOnNaN(),
        ]

    def run(self):
        return self.fit(self.callbacks()).history

    def states(self):
        """At each call of a callback, and in the end."""
        self.restore()
        found = [self.start]
        hooks = [hook for hook in vars(callbacks.Callback) if hook.startswith("on_")]
        note = type("Note", (callbacks.Callback,), {})()
        for hook in hooks:
            setattr(note, hook, lambda *arguments, **named: found.append(self.state()))
        self.fit([*self.callbacks(), note])
        return [*found, self.state()]


class Predict(Training):
    def run(self):
        return self.model.predict(X, batch_size=5)


class FirstPredict(Predict):
    first = True


class Evaluate(Training):
    def run(self):
        return self.model.evaluate(X, Y, batch_size=4, verbose=0)


class FirstEvaluate(Evaluate):
    first = True
    last_layers = FirstFit.last_layers


class EagerEvaluate(Evaluate):
    def __init__(self):
        super().__init__(run_eagerly=True)


class TrainOnBatch(Training):
    def run(self):
        return self.model.train_on_batch(X, Y)


class Save(Training):
    """Into a file that is there already."""

    last_layers = FirstFit.last_layers
    path = os.path.join(FOLDER, "model")

    def prepare(self):
        self.model.fit(X, Y, verbose=0)
        self.model.save(self.path)

    def run(self):
        self.model.save(self.path)
        with open(self.path, "rb") as file:
            return file.read()

    def state(self):
        with open(self.path, "rb") as file:
            return [sorted(os.listdir(FOLDER)), file.read(), *super().state()]

    def restore(self):
        pass


class SaveWeights(Save):
    def prepare(self):
        self.model.save_weights(self.path)

    def run(self):
        self.model.save_weights(self.path)


class Load(Save):
    def run(self):
        return models.load_model(self.path).get_weights()


class LoadWeights(Load):
    def run(self):
        self.model.load_weights(self.path)


class Method(Training):
    """A call that needs a model."""

    def __init__(self, call):
        self.call = call
        super().__init__()

    def run(self):
        return self.call(self.model)


class FirstCall(Training):
    first = True

    def __init__(self):
        super().__init__()
        self.layer = layers.Dense(3, "softmax", kernel_initializer="ones")

    def run(self):
        return self.layer(X)


class Step(Training):
    """Gradients by hand, and a step of the optimizer."""

    def run(self):
        return self.step(fastnn.constant(X))

    def step(self, x):
        with fastnn.GradientTape() as tape:
            loss = fastnn.reduce_sum(self.model(x, training=False) ** 2)
        gradients = tape.gradient(loss, self.model.trainable_weights)
        self.model.optimizer.apply(gradients, self.model.trainable_weights)
        return loss


class FirstStep(Step):
    first = True


class Function(Step):
    def __init__(self):
        self.function = fastnn.function(self.step)
        super().__init__()

    def run(self):
        return self.function(fastnn.constant(X))


class FirstFunction(Function):
    first = True
    last_layers = FirstFit.last_layers


def changed(model):
    model.set_weights([w + 1 for w in model.get_weights()])


METHODS = {
    "call": lambda model: model(X, training=False),
    "predict_on_batch": lambda model: model.predict_on_batch(X),
    "test_on_batch": lambda model: model.test_on_batch(X, Y),
    "set_weights": changed,
    "summary": lambda model: model.summary(str),
    "get_metrics_result": lambda model: model.get_metrics_result(),
    "compute_output_shape": lambda model: model.compute_output_shape((None, 5)),
}
CALLS = {
    "fit": {"fit": Fit},
    "fit, first": {"fit, first": FirstFit},
    "fit, eager": {"fit, eager": EagerFit},
    "fit, callbacks": {"fit, callbacks": FitWithCallbacks},
    "predict": {"predict": Predict, "predict, first": FirstPredict},
    "evaluate": {"evaluate": Evaluate, "evaluate, eager": EagerEvaluate},
    "evaluate, first": {"evaluate, first": FirstEvaluate},
    "train_on_batch": {"train_on_batch": TrainOnBatch},
    "save": {"save": Save, "save_weights": SaveWeights},
    "load": {"load_model": Load, "load_weights": LoadWeights},
    "layer, first": {"layer, first": FirstCall},
    "steps": {"step": Step, "step, first": FirstStep},
    "function": {"function": Function, "function, first": FirstFunction},
    "methods": {name: partial(Method, call) for name, call in METHODS.items()},
    **{
        group: {name: partial(kind, call) for name, call in table.items()}
        for kind, groups in ((Stateless, public_calls.CALLS), (Changing, public_calls.CHANGING))
        for group, table in groups.items()
    },
}


def same(state, other):
    """Whether they are of one step; what an optimizer has not made yet counts as its zeros."""
    pairs = itertools.zip_longest(state, other)
    return all(a == b or (None in (a, b) and not any(a or b)) for a, b in pairs)


def plain(x):
    """What can be compared of a result: shapes and bits instead of arrays."""
    if isinstance(x, fastnn.Tensor | np.ndarray):
        array = np.asarray(x)
        return array.shape, array.dtype.char, array.tobytes()
    if isinstance(x, dict):
        return {key: plain(value) for key, value in x.items()}
    return [plain(part) for part in x] if isinstance(x, list | tuple) else repr(x)


def in_use():
    """Bytes of all, and blocks of the kernels but for those of programs and of scratch memory."""
    gc.collect()
    programs = sum(isinstance(x, _kernels.Program) for x in gc.get_objects())
    return bytes_in_use(), kernel_blocks_in_use() - programs - 1


class Sweep:
    """A call of which one allocation after another fails, and what became of it."""

    def __init__(self, make):
        self.make = make
        self.context = make()
        self.first = self.context.first
        self.states = self.context.states()
        self.context.restore()
        self.expected = plain(self.context.run())
        self.found = {"failed": 0, "hidden": 0, "problems": []}

    def run(self, stride):
        start, lost = in_use()
        spared = 0
        for tries, n in enumerate(itertools.count(0, stride), 1):
            spared = 0 if self.attempt(n) else spared + 1
            done = spared > AFTER // stride
            if done or tries % LOOK == 0:
                end, now_lost = in_use()
                if now_lost > max(lost, 0):
                    self.found["problems"].append(f"up to allocation {n}: the kernels lose a block")
                lost = now_lost
            if done:
                break
        self.found["growth"] = (end - start) / max(1, self.found["failed"])
        return self.found

    def attempt(self, n):
        """Call it while an allocation fails; whether one did."""
        if self.first:
            self.context = self.make()
        self.context.restore()
        what, failed = outcome(self.context, n)
        if not failed:
            return False
        self.found["failed"] += 1
        self.found["hidden"] += is_hidden(what)
        problem = self.refused(what) or self.wrong()
        if problem:
            self.found["problems"].append(f"allocation {n}: {problem[:200]}")
            self.context = self.make()
        return True

    def refused(self, what):
        """What is wrong about an outcome."""
        if isinstance(what, MemoryError) or is_hidden(what) or plain(what) == self.expected:
            return None
        return repr(what)

    def wrong(self):
        """What is wrong with the state after a fault, or with the next call."""
        state = self.context.state()
        if not any(same(state, other) for other in self.states):
            return "the state is between two steps"
        self.context.restore()
        try:
            again = plain(self.context.run())
        except Exception as error:
            return f"the next call raises {error!r}"
        return None if again == self.expected else "the next call gives something else"


def keep_pairs():
    """Leave CPython memory for pairs: it does not survive ``for k, v in x.items()`` without any."""
    pairs = [(n, n) for n in range(1000)]
    del pairs


def outcome(context, n):
    """The result of a call, or its error, while an allocation fails; and whether one did."""
    what = None
    keep_pairs()
    fail_after(n)
    try:
        what = context.run()
    except BaseException as error:
        what = error.with_traceback(None)
    try:
        return what, bool(fail_after(-1))
    except (MemoryError, ctypes.ArgumentError):  # it failed here, behind the call
        return what, False


def is_hidden(error):
    """Whether NumPy or CPython raised something else: a function of C that fails without an error
    is a SystemError, and a lock that cannot be made, as a file has one, is a RuntimeError.
    """
    of_a_lock = isinstance(error, RuntimeError) and "can't allocate" in str(error)
    return of_a_lock or isinstance(error, SystemError)


if __name__ == "__main__":
    stride, *names = sys.argv[1:]
    sys.unraisablehook = lambda unraisable: None  # what fails while an object is freed
    enter_allocator()
    gc.disable()
    gc.collect()
    gc.freeze()  # so that `in_use` looks at little
    found = {}
    for name in names:
        for call, make in CALLS[name].items():
            print(name, call, file=sys.stderr, flush=True)
            found[f"{name}: {call}"] = Sweep(make).run(int(stride))
    print(json.dumps(found))

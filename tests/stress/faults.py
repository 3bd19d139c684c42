"""Allocations that fail, one after another, in calls of the public interface.

It runs in a process of its own, ``python faults.py MEMORY STRIDE CALL...``, as an interpreter that
is out of memory may crash: then its last line says at which allocation. Two allocators fail:
Python's, from which the kernels' scratch memory and programs come too (PyMem_Raw in csrc), and
NumPy's.
"""

import _testcapi
import array
import ctypes
import gc
import itertools
import json
import os
import sys
import tempfile

import numpy as np

import fastnn
from fastnn import Sequential, layers, models, optimizers

X = np.random.default_rng(0).normal(size=(12, 5)).astype(np.float32)
Y = np.random.default_rng(1).integers(0, 3, 12)
FOLDER = tempfile.mkdtemp()
DONE = 40  # allocations after the last that failed


class PythonMemory:
    """Fails an allocation of Python's: raw, of the interpreter, and of objects."""

    @staticmethod
    def fail(n):
        _testcapi.set_nomemory(n, n + 1)

    stop = staticmethod(_testcapi.remove_mem_hooks)


class _Allocator(ctypes.Structure):
    _fields_ = [(name, ctypes.c_void_p) for name in ("ctx", "malloc", "calloc", "realloc", "free")]


class _Handler(ctypes.Structure):
    _fields_ = [("name", ctypes.c_char * 127), ("version", ctypes.c_uint8), ("by", _Allocator)]


class NumPyMemory:
    """Fails an allocation of the memory in arrays, by an allocator entered into NumPy."""

    def __init__(self):
        self._left = -1
        getting, setting = _numpy(305), _numpy(304)  # PyDataMem_GetHandler, PyDataMem_SetHandler
        by = _Handler.from_address(_pointer(getting(), b"mem_handler"))
        self._handler = _Handler.from_buffer_copy(by)
        size, block = ctypes.c_size_t, ctypes.c_void_p
        self._kept = []
        for name, sizes in (("malloc", [size]), ("calloc", [size, size])):
            kind = ctypes.CFUNCTYPE(block, block, *sizes)
            calling = ctypes.PYFUNCTYPE(block, block, *sizes)(getattr(by.by, name))
            counted = kind(self._counted(calling))
            self._kept.append(counted)
            setattr(self._handler.by, name, ctypes.cast(counted, block))
        capsule = ctypes.pythonapi.PyCapsule_New
        capsule.restype = ctypes.py_object
        capsule.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
        setting(capsule(ctypes.addressof(self._handler), b"mem_handler", None))

    def _counted(self, allocate):
        def counted(*arguments):
            self._left -= 1
            return None if self._left == -1 else allocate(*arguments)

        return counted

    def fail(self, n):
        self._left = n + 1

    def stop(self):
        self._left = -1


def _pointer(capsule, name):
    pointer = ctypes.pythonapi.PyCapsule_GetPointer
    pointer.restype, pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    return pointer(capsule, name)


def _numpy(number):
    """A function in NumPy's table for C."""
    table = _pointer(np._core._multiarray_umath._ARRAY_API, None)
    address = ctypes.c_void_p.from_address(table + number * ctypes.sizeof(ctypes.c_void_p)).value
    arguments = [ctypes.py_object] if number == 304 else []
    return ctypes.PYFUNCTYPE(ctypes.py_object, *arguments)(address)


class Training:
    """A model with everything that changes when it is trained."""

    first = False

    def __init__(self, **options):
        fastnn.utils.set_random_seed(7)
        self.model = Sequential(
            [
                layers.Dense(4, "relu"),
                layers.Dropout(0.3),
                layers.BatchNormalization(),
                layers.Dense(3),
            ]
        )
        self.model(X[:1])
        loss = fastnn.losses.SparseCategoricalCrossentropy(from_logits=True)
        self.model.compile(optimizers.Adam(0.01), loss, ["accuracy"], **options)
        if not self.first:
            self.prepare()
        self.start = self.state()

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
        """What the state may be afterwards: as before."""
        return [self.start]

    def run(self):
        raise NotImplementedError


class Fit(Training):
    def run(self):
        history = self.model.fit(X, Y, batch_size=4, epochs=2, verbose=0)
        return history.history

    def states(self):
        """After each whole step."""
        self.restore()
        found = [self.start]
        note = fastnn.callbacks.LambdaCallback(
            on_train_batch_end=lambda batch, logs: found.append(self.state())
        )
        self.model.fit(X, Y, batch_size=4, epochs=2, verbose=0, callbacks=[note])
        return found


class FirstFit(Fit):
    first = True


class EagerFit(Fit):
    def __init__(self):
        super().__init__(run_eagerly=True)


class Predict(Training):
    def run(self):
        return self.model.predict(X, batch_size=5).tobytes()


class FirstPredict(Predict):
    first = True


class Evaluate(Training):
    def run(self):
        return self.model.evaluate(X, Y, batch_size=5, verbose=0)


class FirstEvaluate(Evaluate):
    first = True


class EagerEvaluate(Evaluate):
    def __init__(self):
        super().__init__(run_eagerly=True)


class TrainOnBatch(Training):
    def run(self):
        return self.model.train_on_batch(X, Y)

    def states(self):
        self.restore()
        self.run()
        return [self.start, self.state()]


class Save(Training):
    path = os.path.join(FOLDER, "model")

    def prepare(self):
        self.model.fit(X, Y, verbose=0)
        self.run()

    def run(self):
        self.model.save(self.path)
        with open(self.path, "rb") as file:
            return file.read()

    def state(self):
        there = os.listdir(FOLDER) == ["model"] if os.path.exists(self.path) else True
        return [there, *super().state()]

    def restore(self):
        pass


class Load(Save):
    def run(self):
        return [w.tobytes() for w in models.load_model(self.path).get_weights()]

    def prepare(self):
        self.model.fit(X, Y, verbose=0)
        self.model.save(self.path)
        self.run()


class LoadWeights(Load):
    def run(self):
        self.model.load_weights(self.path)


class CallLayer(Training):
    def run(self):
        return self.model(X, training=False).numpy().tobytes()


class FirstCall(Training):
    first = True

    def __init__(self):
        super().__init__()
        self.layer = layers.Dense(3, "softmax", kernel_initializer="ones")

    def run(self):
        return self.layer(X).numpy().tobytes()


class Step(Training):
    """Gradients by hand, and a step of the optimizer."""

    def run(self):
        with fastnn.GradientTape() as tape:
            loss = fastnn.reduce_sum(self.model(X, training=False) ** 2)
        gradients = tape.gradient(loss, self.model.trainable_weights)
        self.model.optimizer.apply(gradients, self.model.trainable_weights)
        return float(loss)

    def states(self):
        self.restore()
        self.run()
        return [self.start, self.state()]


class FirstStep(Step):
    first = True


class Gradient(Training):
    def run(self):
        with fastnn.GradientTape() as tape:
            loss = fastnn.reduce_sum(self.model(X, training=False) ** 2)
        gradients = tape.gradient(loss, self.model.trainable_weights)
        return [g.numpy().tobytes() for g in gradients]


class Function(Training):
    def __init__(self):
        self.function = None
        super().__init__()

    def run(self):
        if self.function is None:
            self.function = fastnn.function(self.step)
        return float(self.function(fastnn.constant(X)))

    def step(self, x):
        with fastnn.GradientTape() as tape:
            loss = fastnn.reduce_sum(self.model(x, training=False) ** 2)
        gradients = tape.gradient(loss, self.model.trainable_weights)
        self.model.optimizer.apply(gradients, self.model.trainable_weights)
        return loss

    states = Step.states


class FirstFunction(Function):
    first = True


CALLS = {
    "fit": Fit,
    "fit, first": FirstFit,
    "fit, eager": EagerFit,
    "predict": Predict,
    "predict, first": FirstPredict,
    "evaluate": Evaluate,
    "evaluate, first": FirstEvaluate,
    "evaluate, eager": EagerEvaluate,
    "train_on_batch": TrainOnBatch,
    "save": Save,
    "load_model": Load,
    "load_weights": LoadWeights,
    "layer": CallLayer,
    "layer, first": FirstCall,
    "optimizer, step": Step,
    "optimizer, first step": FirstStep,
    "tape, gradient": Gradient,
    "function": Function,
    "function, first": FirstFunction,
}


def same(state, other):
    """Whether they are of one step; what an optimizer has not made yet counts as its zeros."""
    pairs = itertools.zip_longest(state, other)
    return all(a == b or (None in (a, b) and not any(a or b)) for a, b in pairs)


def swept(make, memory, stride):
    """Fail every `stride`-th allocation of a call; what became of it."""
    example = make()
    states = example.states()
    example.restore()
    expected = example.run()
    found = {"failed": 0, "by_numpy": 0, "problems": [], "growth": 0.0}
    blocks = array.array("q")
    spared = 0
    context = example
    for n in itertools.count(0, stride):
        if make.first:
            context = make()
        context.restore()
        print(f"{make.__name__}, allocation {n}", file=sys.stderr, flush=True)
        what = outcome(context, memory, n)
        spared = 0 if isinstance(what, BaseException) else spared + 1
        if isinstance(what, BaseException):
            found["failed"] += 1
            found["by_numpy"] += is_numpys(what)
        problem = refused(what, expected) or wrong(context, states, expected)
        if problem:
            found["problems"].append(f"allocation {n}: {problem}")
            context = make()
        del what
        gc.collect()
        blocks.append(sys.getallocatedblocks())
        if spared > max(2, DONE // stride):
            break
    half = blocks[len(blocks) // 2 :]
    found["growth"] = (half[-1] - half[0]) / len(half)
    return found


def outcome(context, memory, n):
    """The result of a call, or its error, while an allocation fails."""
    memory.fail(n)
    try:
        return context.run()
    except BaseException as error:
        memory.stop()
        return error.with_traceback(None)
    finally:
        memory.stop()


def is_numpys(error):
    """Some of NumPy's functions return without setting the error, which the interpreter notes."""
    return isinstance(error, SystemError) and "set" in str(error)


def refused(what, expected):
    """What is wrong about an outcome."""
    if isinstance(what, MemoryError) or is_numpys(what):
        return None
    return None if what == expected else repr(what)


def wrong(context, states, expected):
    """What is wrong with the state after a fault, or with the next call."""
    state = context.state()
    if not any(same(state, other) for other in states):
        return "the state is between two steps"
    context.restore()
    try:
        return None if context.run() == expected else "the next call gives something else"
    except Exception as error:
        return f"the next call raises {error!r}"


if __name__ == "__main__":
    kind, stride, *calls = sys.argv[1:]
    failing = {"Python": PythonMemory, "NumPy": NumPyMemory}[kind]()
    sys.unraisablehook = lambda unraisable: None  # what fails while an object is freed
    print(json.dumps({call: swept(CALLS[call], failing, int(stride)) for call in calls}))

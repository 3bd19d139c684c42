"""Faults: no memory, no disk, a kill or Ctrl-C leave what was there, or a whole step."""

import errno
import inspect
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from test_saving import assert_same, classifier, python, train

import fastnn
from fastnn import Sequential, layers, models

EVERY = 997, 1  # allocation: in the usual run, and with --stress


@pytest.fixture(scope="module")
def out_of_memory(tmp_path_factory):
    """A process with allocators of which one call fails, as faults.c says; what it printed."""
    if sys.platform != "linux" or shutil.which("gcc") is None:
        pytest.skip("this needs the allocators of Linux, and gcc")
    here, library = Path(__file__).parent, tmp_path_factory.mktemp("faults") / "faults.so"
    options = ["-std=c11", "-O2", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared"]
    subprocess.run(["gcc", *options, here / "faults.c", "-o", library, "-ldl"], check=True)
    folders = map(str, [Path(fastnn.__file__).parents[1], here.parent])
    environment = {
        **{**os.environ, "PYTHONMALLOC": "malloc", "LD_PRELOAD": str(library)},
        "PYTHONHASHSEED": "0",  # every run fails at the same places
        "PYTHONPATH": os.pathsep.join(folders),
    }

    def run(*arguments):
        command = [sys.executable, *arguments]
        process = subprocess.run(
            command, capture_output=True, text=True, check=False, env=environment
        )
        assert process.returncode == 0, process.stderr[-3000:]
        return process.stdout

    return run


def test_no_memory(out_of_memory, times, record):
    """Each is a MemoryError after whole steps, and the next call gives what it should."""
    script, stride = str(Path(__file__).with_name("faults.py")), str(times(*EVERY))
    groups = json.loads(out_of_memory(script))
    with ThreadPoolExecutor(2) as running:
        printed = running.map(lambda group: out_of_memory(script, stride, group), groups)
        found = {call: each for calls in printed for call, each in json.loads(calls).items()}
    assert not [(call, p) for call, each in found.items() for p in each["problems"]]
    # Bytes for each, as CPython loses the arguments of a call that it has no memory to make; those
    # of the kernels are a megabyte each.
    grown = {
        call: each["growth"]
        for call, each in found.items()
        if each["failed"] >= 100 and not call.startswith("kernels: ")
    }
    assert not {call: growth for call, growth in grown.items() if growth > 5000}
    failed, hidden = (sum(each[k] for each in found.values()) for k in ("failed", "hidden"))
    result = "MemoryError, state as before or after a whole step, the next call right"
    note = f"; {hidden:,} times NumPy or CPython raises another error" if hidden else ""
    what = f"failed allocations of C and Python, in {len(found)} calls"
    record(what, f"{failed:,}: {result}{note}")


STARTING_THREADS = """
import ctypes, os
import numpy as np
from fastnn import _kernels

C = ctypes.CDLL(None)
x = np.random.default_rng(0).normal(size=(300, 300))
_kernels.set_threads(1)
expected = _kernels.matmul(x, x)
_kernels.set_threads(3)
threads = len(os.listdir("/proc/self/task"))
refused = 0
for n in range(1000):
    C.fail_after(n)
    try:
        got = _kernels.matmul(x, x)
        failed = C.fail_after(-1)
        assert got.tobytes() == expected.tobytes()
    except (MemoryError, ctypes.ArgumentError):
        C.fail_after(-1)
        continue
    if len(os.listdir("/proc/self/task")) == threads + 2:
        break
    refused += failed
print(refused)
"""


def test_threads_that_cannot_be_started(out_of_memory):
    """The job is done by the others."""
    assert int(out_of_memory("-c", STARTING_THREADS)) > 0


# Saving.


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
@pytest.mark.parametrize("call", ["open", "write", "fsync", "close", "replace"])
def test_failures_leave_the_old_file_or_the_new_one(call, code, tmp_path, monkeypatch, record):
    """At every such call that saving makes."""
    model, path = classifier(), tmp_path / "model"
    train(model, 0, 1)
    model.save(path)
    old = path.read_bytes()
    train(model, 1, 2)
    model.save(tmp_path / "new")
    new = (tmp_path / "new").read_bytes()
    (tmp_path / "new").unlink()
    real = getattr(os, call)
    at = 0
    while True:
        calls = []

        def failing(*arguments, at=at, calls=calls):
            calls.append(arguments)
            if len(calls) == at + 1:
                if call == "close":
                    real(*arguments)
                raise OSError(code, os.strerror(code))
            return real(*arguments)

        monkeypatch.setattr(os, call, failing)
        error = None
        try:
            model.save(path)
        except OSError as caught:
            error = caught
        monkeypatch.undo()
        content = path.read_bytes()
        assert content in (old, new)
        assert os.listdir(tmp_path) == ["model"]
        if error is None:
            break
        assert error.errno == code
        assert error.filename == os.fspath(path)
        assert (content == old) == ("not saved" in str(error))
        path.write_bytes(old)
        at += 1
    assert at > 0
    every = "open, write, fsync, close and replace of saving"
    record(f"ENOSPC and EIO at every {every}: the old or the new file loads", at)


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_writes_come_in_pieces(size, tmp_path, monkeypatch):
    model = classifier()
    train(model, 0, 1)
    real = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: real(descriptor, data[:size]))
    model.save(tmp_path / "model")
    monkeypatch.undo()
    assert_same(model, models.load_model(tmp_path / "model"))


SAVING_AND_KILLING = """
import os, random, signal, sys, time
import numpy as np, fastnn
from fastnn import layers, models

path, kills = sys.argv[1], int(sys.argv[2])
model = fastnn.Sequential([layers.Dense(200, input_shape=(300,)), layers.Dense(1)])

def save(n):
    model.set_weights([np.full(w.shape, n, np.float32) for w in model.weights])
    model.save(path)

save(0)
start = time.perf_counter()
save(0)
seconds = time.perf_counter() - start
last = left = 0
for _ in range(kills):
    child = os.fork()
    while not child:
        last += 1
        save(last)
    time.sleep(random.uniform(0, 6 * seconds))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    values = {float(v) for w in models.load_model(path).get_weights() for v in set(w.flat)}
    assert len(values) == 1 and max(values) >= last, values
    last = int(max(values))
    for name in os.listdir(os.path.dirname(path)):
        if name.endswith(".tmp"):  # it was killed before the new file was whole
            left += 1
            os.unlink(os.path.join(os.path.dirname(path), name))
print(last, left)
"""


def test_killed_while_saving(tmp_path, times, record):
    kills = times(8, 500)
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder in folders:
        folder.mkdir()
    running = [
        python(SAVING_AND_KILLING, os.fspath(folder / "model.keras"), str(kills))
        for folder in folders
    ]
    saved = cut_off = 0
    for process in running:
        out, _ = process.communicate()
        assert process.returncode == 0
        last, left = map(int, out.split())
        saved, cut_off = saved + last, cut_off + left
    assert saved > 0  # they did save
    figure = f"{2 * kills:,}, of {saved + cut_off:,} saves: the old or the new file loads"
    record("processes killed (SIGKILL) while they saved", figure)


# Ctrl-C.


def clock(process):
    """Seconds, but for those in which the process was ready to run and had no processor."""
    with open(f"/proc/{process}/schedstat") as file:
        return time.perf_counter() - int(file.read().split()[1]) * 1e-9


SENDING = f"""
import os, signal, sys, time

{inspect.getsource(clock)}
for line in sys.stdin:
    time.sleep(float(line))
    print(clock(os.getppid()), flush=True)
    os.kill(os.getppid(), signal.SIGINT)
"""
STEPS = {True: 120, False: 1000}  # by whether they run op by op


class Training:
    """A model, a call of `fit` that trains it, and its state."""

    def __init__(self, eagerly):
        fastnn.utils.set_random_seed(7)
        rng = np.random.default_rng(0)
        self.x = rng.normal(size=(STEPS[eagerly] * 8, 20)).astype(np.float32)
        self.y = rng.integers(0, 3, len(self.x))
        dropout = layers.Dropout(0.2)
        self.model = Sequential(
            [layers.Dense(16, "relu", input_shape=(20,)), dropout, layers.Dense(3, "softmax")]
        )
        self.model.compile("adam", "sparse_categorical_crossentropy", run_eagerly=eagerly)
        self.model.fit(self.x[:8], self.y[:8], batch_size=8, verbose=0)
        optimizer = self.model.optimizer
        self.variables = [*self.model.weights, *optimizer.variables, dropout._stream._uses]
        self.start = [w.numpy() for w in self.variables]

    def state(self):
        return b"".join(w.numpy().tobytes() for w in self.variables)

    def restore(self):
        fastnn.utils.set_random_seed(3)
        for w, value in zip(self.variables, self.start, strict=True):
            w.assign(value)

    def run(self, *callbacks):
        self.model.fit(self.x, self.y, batch_size=8, verbose=0, callbacks=[*callbacks])

    def whole_steps(self):
        """The state at the start, and after each step."""
        self.restore()
        states = [self.state()]
        note = fastnn.callbacks.LambdaCallback(
            on_train_batch_end=lambda batch, logs: states.append(self.state())
        )
        self.run(note)
        return states


@pytest.fixture
def _interruptible():
    """A job of a shell may be told to ignore Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_interruptible")
@pytest.mark.skipif(sys.platform != "linux", reason="the time without a processor is Linux's")
@pytest.mark.parametrize("eagerly", [False, True], ids=["compiled", "eager"])
def test_ctrl_c(eagerly, times, record):
    training = Training(eagerly)
    states = training.whole_steps()
    assert len(set(states)) == STEPS[eagerly] + 1
    training.restore()
    start = time.perf_counter()
    training.run()
    seconds = time.perf_counter() - start
    rng, late = random.Random(20), []
    with subprocess.Popen(
        [sys.executable, "-c", SENDING], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as sender:
        while len(late) < times(5, 250):
            training.restore()
            ended = False
            try:
                print(rng.uniform(0, seconds), file=sender.stdin, flush=True)
                training.run()
                ended = True
                time.sleep(60)  # it was quicker this time
            except KeyboardInterrupt:
                now = clock(os.getpid())
            if not ended:
                late.append(now - float(sender.stdout.readline()))
            else:
                sender.stdout.readline()
            assert training.state() in states
            training.restore()
            training.run()
            assert training.state() == states[-1]  # the model is as usable as ever
        sender.stdin.close()
    assert max(late) < 0.1
    way = "op by op" if eagerly else "compiled"
    record(
        "Ctrl-C at random moments of fit: weights after a whole step, within 100 ms",
        f"{len(late)} {way}, the slowest after {1000 * max(late):.0f} ms",
    )

"""Faults: no memory, no disk, a kill or Ctrl-C leave what was there, or a whole step."""

import errno
import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from test_saving import assert_same, classifier, python, train

import fastnn
from fastnn import Sequential, layers, models

CALLS = [
    *("fit", "fit, first", "fit, eager", "predict", "predict, first", "evaluate"),
    *("evaluate, first", "evaluate, eager", "train_on_batch", "save", "load_model"),
    *("load_weights", "layer", "layer, first", "optimizer, step", "optimizer, first step"),
    *("tape, gradient", "function", "function, first"),
]
EVERY = {"Python": (4999, 37), "NumPy": (97, 1)}  # allocation: in the usual run, and with --stress


@pytest.fixture(scope="module")
def sweep():
    """What became of a call whose allocations failed, in a process of its own."""
    pytest.importorskip("_testcapi", reason="this Python lacks _testcapi")
    folders = [Path(fastnn.__file__).parents[1], Path(__file__).parents[1]]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, folders))}

    def swept(calls, memory, stride):
        command = [sys.executable, str(Path(__file__).with_name("faults.py")), memory, str(stride)]
        process = subprocess.run(
            [*command, *calls], capture_output=True, text=True, env=environment, check=False
        )
        assert process.returncode == 0, process.stderr[-3000:]
        return json.loads(process.stdout)

    return swept


@pytest.mark.parametrize("memory", EVERY)
def test_no_memory(memory, sweep, times, record):
    """Each is a MemoryError after whole steps, and the next call gives what it should."""
    found = sweep(CALLS, memory, times(*EVERY[memory]))
    failed = sum(each["failed"] for each in found.values())
    theirs = sum(each["by_numpy"] for each in found.values())
    assert not [(call, p) for call, each in found.items() for p in each["problems"]]
    assert failed > 0
    note = f"; {theirs} times NumPy hides it in a SystemError" if theirs else ""
    many = [each["growth"] for each in found.values() if each["failed"] >= 100]
    assert max(many, default=0) < 10  # blocks of memory for each fault: no array, no frame is kept
    result = "MemoryError, state as before or after a whole step, the next call right"
    record(f"failed allocations of {memory}, in {len(CALLS)} calls", f"{failed:,}: {result}{note}")


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
    record(f"saving with {errno.errorcode[code]} at every {call}", f"{at}: the old or the new file")


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

SENDING = """
import os, signal, sys, time
for line in sys.stdin:
    time.sleep(float(line))
    print(time.perf_counter(), flush=True)
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
                now = time.perf_counter()
            if not ended:
                late.append(now - float(sender.stdout.readline()))
            else:
                sender.stdout.readline()
            assert training.state() in states
            training.restore()
            training.run()
            assert training.state() == states[-1]  # the model is as usable as ever
        sender.stdin.close()
    assert np.median(late) < 0.1
    within = sum(seconds < 0.1 for seconds in late)
    way = "op by op" if eagerly else "compiled"
    record(
        f"Ctrl-C at random moments of fit, {way}",
        f"{len(late)}: weights after a whole step; {within} within 100 ms, the slowest after "
        f"{1000 * max(late):.0f} ms",
    )

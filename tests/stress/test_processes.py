"""Processes and threads: nothing hangs, results are exact, other libraries do not matter."""

import importlib.util
import itertools
import multiprocessing
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import fastnn
from fastnn import Sequential, layers

fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
linux = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs Linux's /proc")


def printed(program, *arguments, timeout=60, **environment):
    """What a new Python prints that runs the program."""
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program, *map(str, arguments)],
        env={**os.environ, "FASTNN_NUM_THREADS": "2", **environment},
        cwd=Path(fastnn.__file__).parents[1],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    return result.stdout.strip() or result.stderr.strip()


MODEL = """
import multiprocessing, os, signal, sys, threading, time
import numpy as np
import fastnn
from fastnn import layers

x = np.random.default_rng(0).random((200, 64)).astype(np.float32)

def made():
    model = fastnn.Sequential([layers.Dense(256, "relu"), layers.Dense(10)])
    model.compile("adam", "mse")
    return model

model, trained = made(), made()
asked = fastnn.function(model)
expected = model.predict(x).tobytes()
assert asked(x).numpy().tobytes() == expected
"""

# Prints how many children ended in each way; one that takes 30 seconds is held to hang.
FORKS = (
    MODEL
    + """
def train():
    return trained.fit(x, x[:, :10], 20, verbose=0).history["loss"][0]

def right():
    outputs = model.predict(x), asked(x).numpy(), model(x).numpy(), made().predict(x)
    return [y.tobytes() == expected for y in outputs] == [True] * 3 + [False] and train() > 0

def again_and_again(work):
    while not stop:
        work()

train()
stop, ends = False, {"right": 0, "wrong": 0, "hung": 0}
works = [
    train,
    lambda: model.predict(x),
    lambda: asked(x),
    lambda: fastnn.random.generator().permutation(100_000),
]
if sys.argv[2] == "busy":
    for work in works:
        threading.Thread(target=again_and_again, args=(work,), daemon=True).start()
for _ in range(int(sys.argv[1])):
    child = os.fork()
    if child == 0:
        os._exit(not right())
    until, status = time.monotonic() + 30, (0, 0)
    while not status[0] and time.monotonic() < until:
        time.sleep(0.001)
        status = os.waitpid(child, os.WNOHANG)
    if not status[0]:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    ends["hung" if not status[0] else "wrong" if status[1] else "right"] += 1
stop = True
print(ends)
"""
)


@fork
@pytest.mark.parametrize("parent", ["idle", "busy"])
def test_forks(parent, times, record):
    """After the parent computed, and while other threads of it train and predict."""
    n = times(10, 1000)
    assert printed(FORKS, n, parent, timeout=20 * n) == str({"right": n, "wrong": 0, "hung": 0})
    meanwhile = {"idle": "computed", "busy": "computed in four threads"}[parent]
    record("forks, each child predicts and trains: no hang", f"{n:,} of a process that {meanwhile}")


POOLS = (
    MODEL
    + """
context = multiprocessing.get_context(sys.argv[1])
for _ in range(int(sys.argv[2])):
    with context.Pool(int(sys.argv[3])) as pool:
        outputs = pool.map(model.predict, [x] * 6)
    assert [y.tobytes() for y in outputs] == [expected] * 6
    assert model.predict(x).tobytes() == expected
print("right")
"""
)


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_pools(method, times, record):
    """Of multiprocessing: each process gets a copy of the model and predicts as its parent does."""
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"this system cannot {method}")
    n = times(1, 20)
    assert printed(POOLS, method, n, times(1, 2), timeout=60 * n) == "right"
    record("pools of processes that predict: no hang", f"{n} by {method}")


def test_threads_predict(times, record):
    """Many with one model, which none of them had called before, in batches of several sizes."""
    threads, each = 16, times(20, 2000)
    x = np.random.default_rng(0).random((400, 64)).astype(np.float32)
    model = Sequential([layers.Dense(128, "relu"), layers.Dense(10, "softmax")])
    begin, outputs, wrong = threading.Barrier(threads), [], []

    def ask(n):
        begin.wait()
        outputs.append(model.predict(x))
        for i in range(each):
            start, size, batch = (37 * i + n) % 300, 1 + i % 100, (1, 7, 32, 128)[n % 4]
            rows = slice(start, start + size)
            wrong.extend((model.predict(x[rows], batch) != outputs[0][rows]).any(axis=1).nonzero())

    workers = [threading.Thread(target=ask, args=(n,)) for n in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    np.testing.assert_array_equal(outputs, [model(x)] * threads)
    assert len(wrong) == threads * each
    assert not np.concatenate(wrong).size
    record("predictions of one model in 16 threads at once: same bits", threads * each)


def test_threads_fit(times, record):
    """Two of one model at once: the second is refused, and the first ends as if alone."""
    x = np.random.default_rng(0).random((640, 8)).astype(np.float32)

    def made():
        fastnn.utils.set_random_seed(1)
        model = Sequential([layers.Dense(8, "relu"), layers.Dense(1)], name="net")
        model.compile("adam", "mse", metrics=["mae"])
        return model

    def fit(model, **options):
        return model.fit(x, x[:, :1], 8, times(2, 5), verbose=0, shuffle=False, **options).history

    expected, refused = fit(made()), 0
    for _ in range(times(3, 100)):
        model, begun, done = made(), threading.Event(), []
        watch = fastnn.callbacks.LambdaCallback(
            on_train_begin=lambda logs, begun=begun: begun.set()
        )
        first = threading.Thread(
            target=lambda model=model, watch=watch, done=done: done.append(
                fit(model, callbacks=watch)
            )
        )
        first.start()
        assert begun.wait(10)
        while first.is_alive():
            for method in (fit, lambda model: model.evaluate(x, x[:, :1], verbose=0)):
                try:
                    method(model)
                except RuntimeError as error:
                    assert "model 'net'" in str(error)  # noqa: PT017  # it may also have its turn
                    refused += 1
                else:
                    first.join()
        assert done == [expected]
    assert refused
    record("fits and evaluations beside a fit of the same model, refused: none mixed", refused)


IMPORTED = """
import hashlib, importlib, sys
for name in sys.argv[1:]:
    importlib.import_module(name)

import numpy as np
import fastnn
from fastnn import layers

x = np.random.default_rng(0).random((600, 64)).astype(np.float32)
model = fastnn.Sequential([layers.Dense(512, "relu"), layers.Dense(10)])

def others():
    assert np.isfinite(x.T @ x).all()
    if "torch" in sys.modules:
        import torch
        assert torch.isfinite(torch.relu(torch.from_numpy(x).T @ torch.from_numpy(x))).all()
    if "sklearn" in sys.modules:
        from sklearn.cluster import KMeans
        assert KMeans(3, n_init=1).fit(x).cluster_centers_.shape == (3, 64)

fastnn.utils.set_random_seed(1)
model.compile("adam", "mse")
for _ in range(3):
    others()
    model.fit(x, x[:, :10], 100, verbose=0)
weights = b"".join(w.numpy().tobytes() for w in model.weights)
print(hashlib.sha256(weights).hexdigest())
"""


@pytest.mark.parametrize("others", [("torch",), ("sklearn",), ("torch", "sklearn")], ids=" ".join)
def test_libraries_in_one_process(others, times, record):
    """Imported in every order, each computes, and a training has the bits that it has alone."""
    for name in others:
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"{name} is not installed")
    expected = printed(IMPORTED, "fastnn")
    assert len(expected) == 64, expected
    orders = list(itertools.permutations(("fastnn", "numpy", *others)))
    for order in orders[:: times(len(orders), 1)]:
        assert printed(IMPORTED, *order) == expected
    record("orders of importing fastnn, NumPy, PyTorch and scikit-learn: no clash", len(orders))


# The files of a control group are read below the folder given; whatever they say, 8 processors.
THREADS = """
import os, sys
from pathlib import Path

root, read = Path(sys.argv[1]), Path.read_text

def read_below(path, *options):
    there = path if path.parts[1] not in ("proc", "sys") else root / path.relative_to("/")
    return read(there, *options)

if root.parts:
    os.sched_getaffinity = lambda pid: set(range(8))
    Path.read_text = read_below
import numpy as np
from fastnn import _kernels

x = np.linspace(-3, 3, 2_000_000)
for _ in range(20):
    _kernels.exp(x)
print(len(os.listdir("/proc/self/task")))
"""


@linux
@pytest.mark.parametrize(("quota", "most"), [("250000 100000", 3), ("50000 100000", 1)])
def test_threads_within_the_quota(quota, most, tmp_path):
    for name, text in {"proc/self/cgroup": "0::/a\n", "sys/fs/cgroup/a/cpu.max": quota}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    alone = {"FASTNN_NUM_THREADS": "", "OPENBLAS_NUM_THREADS": "1"}
    assert printed(THREADS, tmp_path, **alone) == str(most)


@linux
def test_threads_within_the_affinity():
    """A process that may use some of the processors has no more threads than those."""
    allowed = os.sched_getaffinity(0)
    alone = {"FASTNN_NUM_THREADS": "", "OPENBLAS_NUM_THREADS": "1"}
    try:
        for n in range(1, min(len(allowed), 4) + 1):
            os.sched_setaffinity(0, sorted(allowed)[:n])
            assert int(printed(THREADS, "", **alone)) <= n
    finally:
        os.sched_setaffinity(0, allowed)
